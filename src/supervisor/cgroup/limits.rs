//! Writing limits, and reading each of them back.
//!
//! cgroups-rs knows the files of both versions and writes them. It does not know what the kernel made
//! of a value, so nothing counts as set here before the file has said so.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cgroups_rs::fs::MaxValue;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuset::CpuSetController;
use cgroups_rs::fs::error::Error;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;

use super::error::{CgroupError, Operation, cause};
use crate::host::cgroup::Controller;
use crate::host::disk::Device;
use crate::plan::op::{REALTIME_PERIOD_US, Rates};

/// One group's directory with the files of a controller.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub dir: &'a Path,
    pub v2: bool,
}

impl Files<'_> {
    pub(super) fn pids(self, max: u64) -> Result<(), CgroupError> {
        let file = self.file(Controller::Pids, "pids.max");
        let to = PidController::new(self.dir.into(), PathBuf::new(), self.v2);
        let value = file.signed(max)?;
        file.wrote(max, to.set_pid_max(MaxValue::Value(value)))?;
        file.says(max, max)
    }

    /// `bytes` is rounded down to whole pages by the kernel.
    pub(super) fn memory(self, bytes: u64) -> Result<(), CgroupError> {
        let name = ["memory.limit_in_bytes", "memory.max"][usize::from(self.v2)];
        let file = self.file(Controller::Memory, name);
        let to = MemController::new(self.dir.into(), PathBuf::new(), self.v2);
        file.wrote(bytes, to.set_limit(file.signed(bytes)?))?;
        file.says(bytes, whole_pages(bytes))?;
        if self.v2 {
            // All or nothing: what is left of a command after one of its processes is gone is
            // seldom of use. Kernels before 4.19 have no such file; v1 has none at all.
            let group = self.file(Controller::Memory, "memory.oom.group");
            if group.path.exists() {
                return self.oom_group(true);
            }
        }
        Ok(())
    }

    pub(super) fn oom_group(self, all: bool) -> Result<(), CgroupError> {
        let file = self.file(Controller::Memory, "memory.oom.group");
        file.write(&u64::from(all).to_string())?;
        file.says(all.into(), all.into())
    }

    /// `memory.high`, `memory.low`, `memory.min`. v2 alone has them: elsewhere there is no such file, which is an
    /// error.
    pub(super) fn memory_by(self, name: &str, bytes: u64) -> Result<(), CgroupError> {
        let file = self.file(Controller::Memory, name);
        file.write(&bytes.to_string())?;
        file.says(bytes, whole_pages(bytes))
    }

    /// v2: swap alone. v1: memory and swap together, which is what the caller has to pass.
    pub(super) fn swap(self, bytes: u64) -> Result<(), CgroupError> {
        let name = ["memory.memsw.limit_in_bytes", "memory.swap.max"][usize::from(self.v2)];
        let file = self.file(Controller::Memory, name);
        if !file.path.exists() && kernel_never_swaps() {
            return Ok(());
        }
        let to = MemController::new(self.dir.into(), PathBuf::new(), self.v2);
        file.wrote(bytes, to.set_memswap_limit(file.signed(bytes)?))?;
        file.says(bytes, whole_pages(bytes))
    }

    pub(super) fn cpu(self, quota_us: u64, period_us: u64) -> Result<(), CgroupError> {
        let to = CpuController::new(self.dir.into(), PathBuf::new(), self.v2);
        if self.v2 {
            let file = self.file(Controller::Cpu, "cpu.max");
            let value = format!("{quota_us} {period_us}");
            let quota = file.positive(quota_us)?;
            file.wrote(
                &value,
                to.set_cfs_quota_and_period(Some(quota), Some(period_us)),
            )?;
            let found = file.read()?;
            return file.compare(found == value, &value, &found);
        }
        // The period first: a quota is checked against the period that is in force.
        let period = self.file(Controller::Cpu, "cpu.cfs_period_us");
        period.wrote(period_us, to.set_cfs_period(period_us))?;
        period.says(period_us, period_us)?;
        let quota = self.file(Controller::Cpu, "cpu.cfs_quota_us");
        quota.wrote(quota_us, to.set_cfs_quota(quota.positive(quota_us)?))?;
        quota.says(quota_us, quota_us)
    }

    /// Kernels before 5.14 have no such file, which is an error.
    pub(super) fn cpu_burst(self, burst_us: u64) -> Result<(), CgroupError> {
        let name = ["cpu.cfs_burst_us", "cpu.max.burst"][usize::from(self.v2)];
        let file = self.file(Controller::Cpu, name);
        file.write(&burst_us.to_string())?;
        file.says(burst_us, burst_us)
    }

    /// The period of a new group is that of the limit. On v2 there is no such file, which is an error.
    pub(super) fn realtime(self, us: u64) -> Result<(), CgroupError> {
        let period = self.file(Controller::Cpu, "cpu.rt_period_us");
        period.says(REALTIME_PERIOD_US, REALTIME_PERIOD_US)?;
        let file = self.file(Controller::Cpu, "cpu.rt_runtime_us");
        file.write(&us.to_string())?;
        file.says(us, us)
    }

    /// v1 counts from 2 to 262,144, with 1,024 as the usual share: as systemd does it, what is usual on
    /// one version is so on the other.
    pub(super) fn cpu_weight(self, weight: u32) -> Result<(), CgroupError> {
        let weight = u64::from(weight);
        let (name, value) = match self.v2 {
            true => ("cpu.weight", weight),
            false => ("cpu.shares", (weight * 1024 / 100).clamp(2, 262_144)),
        };
        let file = self.file(Controller::Cpu, name);
        file.write(&value.to_string())?;
        file.says(value, value)
    }

    /// Kernels before 5.15 have no such file, which is an error.
    pub(super) fn cpu_idle(self) -> Result<(), CgroupError> {
        let file = self.file(Controller::Cpu, "cpu.idle");
        file.write("1")?;
        file.says(1, 1)
    }

    /// Opens what counts the group's processor time, and reads it once: without it there is no limit.
    pub(super) fn cpu_counter(self) -> Result<Counter, CgroupError> {
        let name = ["cpuacct.usage", "cpu.stat"][usize::from(self.v2)];
        let file = self.file(Controller::Cpuacct, name);
        let read = |cause| file.error(Operation::Read, cause);
        let counter = Counter {
            file: std::fs::File::open(&file.path).map_err(read)?,
            v2: self.v2,
        };
        counter.used().map_err(read)?;
        Ok(counter)
    }

    /// v2 has one file with a line a device, v1 a file for each rate.
    pub(super) fn io(self, device: Device, rates: Rates) -> Result<(), CgroupError> {
        let names = |name| match name {
            "read" => ("rbps", "read_bps"),
            "write" => ("wbps", "write_bps"),
            "read_ops" => ("riops", "read_iops"),
            _ => ("wiops", "write_iops"),
        };
        if self.v2 {
            let file = self.file(Controller::Io, "io.max");
            let wanted: Vec<_> = rates
                .named()
                .map(|(name, rate)| format!("{}={rate}", names(name).0))
                .collect();
            let value = format!("{device} {}", wanted.join(" "));
            file.write(&value)?;
            let found = file.of_device(device)?;
            let held = wanted.iter().all(|w| found.split(' ').any(|f| f == w));
            return file.compare(held, &value, &found);
        }
        for (name, rate) in rates.named() {
            let name = format!("blkio.throttle.{}_device", names(name).1);
            let file = self.file(Controller::Io, &name);
            file.write(&format!("{device} {rate}"))?;
            let found = file.of_device(device)?;
            file.compare(found.parse() == Ok(rate), &rate.to_string(), &found)?;
        }
        Ok(())
    }

    pub(super) fn cpuset(self, list: &str) -> Result<(), CgroupError> {
        let file = self.file(Controller::Cpuset, "cpuset.cpus");
        let Some(wanted) = cpu_list(list) else {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "not a list of processors");
            return Err(file.error(Operation::Write(list.to_owned()), cause));
        };
        let to = CpuSetController::new(self.dir.into(), PathBuf::new(), self.v2);
        file.wrote(list, to.set_cpus(list))?;
        let found = file.read()?;
        file.compare(cpu_list(&found).as_ref() == Some(&wanted), list, &found)?;
        let names = ["cpuset.effective_cpus", "cpuset.cpus.effective"];
        self.takes_effect(names, list, &wanted)
    }

    pub(super) fn memory_nodes(self, list: &str) -> Result<(), CgroupError> {
        let file = self.file(Controller::Cpuset, "cpuset.mems");
        let Some(wanted) = cpu_list(list) else {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "not a list of memory nodes");
            return Err(file.error(Operation::Write(list.to_owned()), cause));
        };
        file.write(list)?;
        let found = file.read()?;
        file.compare(cpu_list(&found).as_ref() == Some(&wanted), list, &found)?;
        let names = ["cpuset.effective_mems", "cpuset.mems.effective"];
        self.takes_effect(names, list, &wanted)
    }

    /// v2 takes any list, and gives the group what its parent has where none of it is to be had: only the
    /// effective list tells. `names` are those of v1 and of v2.
    fn takes_effect(
        self,
        names: [&str; 2],
        list: &str,
        wanted: &[(u32, u32)],
    ) -> Result<(), CgroupError> {
        let effective = self.file(Controller::Cpuset, names[usize::from(self.v2)]);
        let found = effective.read()?;
        let held = cpu_list(&found)
            .is_some_and(|all| !all.is_empty() && all.iter().all(|one| within(one, wanted)));
        effective.compare(held, list, &found)
    }

    /// Makes a new v1 cpuset usable: it starts without processors and memory nodes, and admits nobody
    /// before it has some of each (cpuset(7)).
    pub(super) fn open_cpuset(self, parent: &Path) -> Result<(), CgroupError> {
        let to = CpuSetController::new(self.dir.into(), PathBuf::new(), false);
        for (name, effective, set) in [
            (
                "cpuset.mems",
                "cpuset.effective_mems",
                CpuSetController::set_mems as fn(&CpuSetController, &str) -> Result<(), Error>,
            ),
            (
                "cpuset.cpus",
                "cpuset.effective_cpus",
                CpuSetController::set_cpus,
            ),
        ] {
            let file = self.file(Controller::Cpuset, name);
            if !file.read()?.is_empty() {
                continue;
            }
            let above = Files {
                dir: parent,
                v2: false,
            };
            let mut value = above.file(Controller::Cpuset, name).read()?;
            if value.is_empty() {
                value = above.file(Controller::Cpuset, effective).read()?;
            }
            file.wrote(&value, set(&to, &value))?;
            let found = file.read()?;
            file.compare(found == value, &value, &found)?;
        }
        Ok(())
    }

    pub(super) fn file(self, controller: Controller, name: &str) -> File {
        File {
            controller,
            path: self.dir.join(name),
        }
    }
}

/// A group's counter of processor time, kept open: it can be read wherever its file system goes.
pub(super) struct Counter {
    file: std::fs::File,
    v2: bool,
}

impl Counter {
    /// What the group and those below it have used.
    pub(super) fn used(&self) -> io::Result<Duration> {
        let mut bytes = [0; 4096];
        let length = self.file.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
        let number = match self.v2 {
            true => text
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec ")),
            false => Some(text.trim()),
        };
        let number = number.and_then(|number| number.parse().ok());
        let unit = [Duration::from_nanos, Duration::from_micros][usize::from(self.v2)];
        number
            .map(unit)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no number"))
    }
}

pub(super) struct File {
    controller: Controller,
    pub path: PathBuf,
}

impl File {
    fn error(&self, operation: Operation, cause: io::Error) -> CgroupError {
        CgroupError::new(&self.path, operation, cause).of(self.controller)
    }

    fn wrote(&self, value: impl ToString, result: Result<(), Error>) -> Result<(), CgroupError> {
        result.map_err(|e| {
            // cgroups-rs opens with O_CREAT, which turns "no such file" into "permission denied".
            let cause = match self.path.exists() {
                true => cause(&e),
                false => io::ErrorKind::NotFound.into(),
            };
            self.error(Operation::Write(value.to_string()), cause)
        })
    }

    pub(super) fn write(&self, value: &str) -> Result<(), CgroupError> {
        write(&self.path, value).map_err(|e| e.of(self.controller))
    }

    pub(super) fn read(&self) -> Result<String, CgroupError> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(cause) => Err(self.error(Operation::Read, cause)),
        }
    }

    /// What the file says of a device.
    pub(super) fn of_device(&self, device: Device) -> Result<String, CgroupError> {
        let text = self.read()?;
        let named = format!("{device} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&named));
        Ok(line.unwrap_or("nothing of the device").trim().to_owned())
    }

    /// The file must now hold the number `kept`.
    pub(super) fn says(&self, wanted: u64, kept: u64) -> Result<(), CgroupError> {
        let found = self.read()?;
        self.compare(found.parse() == Ok(kept), &wanted.to_string(), &found)
    }

    pub(super) fn compare(&self, same: bool, wanted: &str, found: &str) -> Result<(), CgroupError> {
        if same {
            return Ok(());
        }
        let operation = Operation::Verify {
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        };
        let cause = io::Error::other("the kernel does not enforce this limit");
        Err(self.error(operation, cause))
    }

    fn signed(&self, value: u64) -> Result<i64, CgroupError> {
        i64::try_from(value).map_err(|_| {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "the number is too large");
            self.error(Operation::Write(value.to_string()), cause)
        })
    }

    /// A quota of nothing means "no limit" to cgroups-rs and to v1: refuse it before it does.
    fn positive(&self, value: u64) -> Result<i64, CgroupError> {
        let signed = self.signed(value)?;
        if signed > 0 {
            return Ok(signed);
        }
        let cause = io::Error::new(io::ErrorKind::InvalidInput, "the quota must be above zero");
        Err(self.error(Operation::Write(value.to_string()), cause))
    }
}

/// Writes an existing file in one call, as the files of a cgroup want it.
pub(super) fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|cause| CgroupError::new(path, Operation::Write(value.to_owned()), cause))
}

fn whole_pages(bytes: u64) -> u64 {
    let page = rustix::param::page_size() as u64;
    bytes - bytes % page
}

/// Whether this kernel is built without swap, so that no limit on swap can be exceeded.
///
/// An empty `/proc/swaps` would not do: swap may be switched on while the command runs. That the file is
/// missing altogether says that swapon(2) does not exist either, provided that the rest of /proc is there
/// (a procfs mounted with `subset=pid` hides it).
fn kernel_never_swaps() -> bool {
    Path::new("/proc/meminfo").exists() && !Path::new("/proc/swaps").exists()
}

/// Parses the list format of cpuset(7) into sorted, merged, inclusive ranges.
fn cpu_list(list: &str) -> Option<Vec<(u32, u32)>> {
    let mut ranges = Vec::new();
    for item in list.trim().split(',').filter(|item| !item.is_empty()) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let range: (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (range.0 <= range.1).then(|| ranges.push(range))?;
    }
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    Some(merged)
}

fn within(range: &(u32, u32), all: &[(u32, u32)]) -> bool {
    all.iter().any(|a| a.0 <= range.0 && range.1 <= a.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_compared_by_what_they_mean() {
        assert_eq!(cpu_list("3,0-1,2"), Some(vec![(0, 3)]));
        assert_eq!(cpu_list("0,2-3,7\n"), Some(vec![(0, 0), (2, 3), (7, 7)]));
        assert_eq!(cpu_list(""), Some(vec![]));
        for bad in ["2-1", "a", "1-", "-1", "1:2"] {
            assert_eq!(cpu_list(bad), None, "{bad}");
        }
        assert!(within(&(2, 3), &[(0, 0), (2, 5)]));
        assert!(!within(&(0, 2), &[(0, 0), (2, 5)]));
    }
}
