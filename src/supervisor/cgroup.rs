//! The control group of a run: made, limited, watched and removed from outside.
//!
//! Fails closed: a limit that the kernel has not taken over exactly is an error, on both versions.
//! See cgroups(7), Documentation/admin-guide/cgroup-v2.rst and Documentation/admin-guide/cgroup-v1.

mod bus;
mod clear;
mod counts;
mod devices;
mod error;
mod limits;
mod named;
mod peers;
mod programs;
mod scope;
mod share;
mod sweep;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{CgroupError, Operation};
pub use scope::ask;
pub use sweep::{Swept, sweep, sweep_below};

use crate::host::cgroup::{Controller, Groups, Names, Place};
use crate::plan::op::Limit;
use limits::{Counter, Files};

/// What the kernel has counted for a group. Zero or `None` where it does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Processes killed for want of memory (v1: `oom_kill` of `memory.oom_control`, Linux 4.13).
    pub oom_kills: u64,
    /// Forks refused by the pids limit.
    pub pids_refused: u64,
    /// Most memory used at once, in bytes (v2: Linux 5.19).
    pub memory_peak: Option<u64>,
    /// Most tasks at once (Linux 6.1).
    pub pids_peak: Option<u64>,
}

/// The control group of one run. Owns its directories: they go when it goes, with whatever is in them.
///
/// Dropping it removes it as [`Group::remove`] does, without a report; a process forked from the one
/// that made it never does.
pub struct Group {
    v1: Option<v1::V1>,
    v2: Option<v2::V2>,
    maker: u32,
    gone: bool,
    memory: Option<u64>,
    /// v1: the sum of memory and swap in force.
    memsw: Option<u64>,
    /// What counts processor time, for [`Limit::CpuTime`] and [`Limit::Idle`].
    cpu_counter: Option<Counter>,
}

impl Group {
    /// Makes the group, without limits and without processes. The name of the run should be
    /// [`crate::host::cgroup::group_name`]'s: any other is not recognised by [`sweep`].
    ///
    /// # Errors
    /// When a directory cannot be made or, on v2, its base cannot be made to hand the controllers on.
    /// Nothing is left behind then.
    pub fn create(place: &Place, names: &Names) -> Result<Group, CgroupError> {
        let v2 = match place.v2() {
            Some((base, kind, enable)) => Some(v2::V2::create(base, kind, enable, names)?),
            None => None,
        };
        // From here on, what fails takes away what was made.
        let mut group = Group {
            v1: None,
            v2,
            maker: std::process::id(),
            gone: false,
            memory: None,
            memsw: None,
            cpu_counter: None,
        };
        if !place.v1().is_empty() {
            group.v1 = Some(v1::V1::create(place.v1(), names)?);
        }
        Ok(group)
    }

    /// The group of a running sandbox, for a process that is to join it. It is never removed from here.
    ///
    /// # Errors
    /// It is gone, or the caller may put nobody into it.
    pub fn enter(groups: &Groups) -> Result<Group, CgroupError> {
        let mut group = Self::look(groups)?;
        if let Some(v1) = &mut group.v1 {
            v1.open_tasks()?;
        }
        Ok(group)
    }

    /// The same to look at what it counts.
    ///
    /// # Errors
    /// It is gone.
    pub fn look(groups: &Groups) -> Result<Group, CgroupError> {
        let v1 = (!groups.v1.is_empty()).then(|| v1::V1::of(&groups.v1));
        Ok(Group {
            v1: v1.transpose()?,
            v2: groups.v2.as_deref().map(v2::V2::of).transpose()?,
            maker: std::process::id(),
            gone: true,
            memory: None,
            memsw: None,
            cpu_counter: None,
        })
    }

    /// Where it is, for others.
    #[must_use]
    pub fn groups(&self) -> Groups {
        let parts = self.v1.iter().flat_map(|group| &group.parts);
        Groups {
            v1: parts
                .map(|part| (part.controllers.clone(), part.dir.clone()))
                .collect(),
            v2: self.v2.as_ref().map(|group| group.dir.clone()),
        }
    }

    /// The directory with the files of a controller, and whether it is one of v2.
    fn dir(&self, controller: Controller) -> Option<(&PathBuf, bool)> {
        let v1 = self.v1.as_ref().and_then(|group| group.dir(controller));
        let v2 = || self.v2.as_ref().map(|group| (&group.dir, true));
        v1.map(|dir| (dir, false)).or_else(v2)
    }

    /// Sets a limit, reads it back and compares.
    ///
    /// # Errors
    /// When the group has no such controller, the kernel refuses the value, or what it says afterwards
    /// is not what was asked for. The limit must then be taken as not in force.
    pub fn set(&mut self, limit: &Limit) -> Result<(), CgroupError> {
        let controller = limit.controller();
        let Some((dir, v2)) = self.dir(controller) else {
            let cause = io::Error::new(io::ErrorKind::NotFound, "the group was made without it");
            let operation = Operation::Write(format!("{limit:?}"));
            return Err(CgroupError::new(Path::new("the group"), operation, cause).of(controller));
        };
        let dir = dir.clone();
        let files = Files { dir: &dir, v2 };
        match limit {
            Limit::Pids(max) => files.pids(*max),
            Limit::Memory(bytes) if v2 => files.memory(*bytes),
            Limit::MemoryHigh(bytes) => files.memory_by("memory.high", *bytes),
            Limit::MemoryLow(bytes) => files.memory_by("memory.low", *bytes),
            Limit::MemoryMin(bytes) => files.memory_by("memory.min", *bytes),
            Limit::OomGroup(all) if *all || v2 => files.oom_group(*all),
            // v1 kills one process, and has no file to say so.
            Limit::OomGroup(_) => Ok(()),
            Limit::HugePages { page, bytes } => files.huge_pages(*page, *bytes),
            Limit::Swap(bytes) if v2 => files.swap(*bytes),
            Limit::Memory(bytes) => self.set_v1_memory(files, *bytes),
            Limit::Swap(bytes) => self.set_v1_swap(files, *bytes),
            Limit::Cpu {
                quota_us,
                period_us,
            } => files.cpu(*quota_us, *period_us),
            Limit::CpuBurst(burst) => files.cpu_burst(*burst),
            Limit::Realtime(us) => files.realtime(*us),
            Limit::CpuWeight(weight) => files.cpu_weight(*weight),
            Limit::CpuIdle => files.cpu_idle(),
            Limit::CpuTime(_) | Limit::Idle(_) => {
                let counter = files.cpu_counter()?;
                self.cpu_counter = Some(counter);
                Ok(())
            }
            Limit::Io(device, rates) => files.io(*device, *rates),
            Limit::IoWeight { by, of, weight } => files.io_weight(*by, *of, *weight),
            Limit::Cpuset(list) => files.cpuset(list),
            Limit::MemoryNodes(list) => files.memory_nodes(list),
        }
    }

    /// The kernel keeps memory at or below the sum of memory and swap at all times, so the order of the
    /// two writes depends on the direction.
    fn set_v1_memory(&mut self, files: Files, bytes: u64) -> Result<(), CgroupError> {
        if let (Some(before), Some(sum)) = (self.memory, self.memsw) {
            let sum_after = sum.saturating_sub(before).saturating_add(bytes);
            if bytes > before {
                files.swap(sum_after)?;
                files.memory(bytes)?;
            } else {
                files.memory(bytes)?;
                files.swap(sum_after)?;
            }
            self.memsw = Some(sum_after);
        } else {
            files.memory(bytes)?;
        }
        self.memory = Some(bytes);
        Ok(())
    }

    fn set_v1_swap(&mut self, files: Files, bytes: u64) -> Result<(), CgroupError> {
        let Some(memory) = self.memory else {
            let cause =
                "v1 limits the sum of memory and swap, so the memory limit has to be set first";
            return Err(CgroupError::new(
                &files.dir.join("memory.memsw.limit_in_bytes"),
                Operation::Write(bytes.to_string()),
                io::Error::new(io::ErrorKind::InvalidInput, cause),
            )
            .of(Controller::Memory));
        };
        let sum = memory.saturating_add(bytes);
        files.swap(sum)?;
        self.memsw = Some(sum);
        Ok(())
    }

    /// v2: the group's directory, for `clone_args.cgroup` with CLONE_INTO_CGROUP (clone(2)).
    pub fn v2_dir(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|group| group.fd.as_fd())
    }

    /// v1: the `tasks` file of each hierarchy, open for writing. The child joins by writing `0` to each
    /// while it has one thread: from outside, the same costs some ten milliseconds. Empty on v2.
    pub fn v1_tasks(&self) -> &[OwnedFd] {
        self.v1.as_ref().map_or(&[], |group| &group.tasks)
    }

    /// Reads what the kernel has counted. To be asked before [`Group::remove`].
    pub fn evidence(&self) -> Evidence {
        let mut found = Evidence::default();
        if let Some((dir, v2)) = self.dir(Controller::Memory) {
            let (kills, peak) = match v2 {
                true => ("memory.events", "memory.peak"),
                false => ("memory.oom_control", "memory.max_usage_in_bytes"),
            };
            found.oom_kills = keyed(&dir.join(kills), "oom_kill").unwrap_or(0);
            found.memory_peak = number(&dir.join(peak));
        }
        if let Some((dir, _)) = self.dir(Controller::Pids) {
            found.pids_refused = keyed(&dir.join("pids.events"), "max").unwrap_or(0);
            found.pids_peak = number(&dir.join("pids.peak"));
        }
        found
    }

    /// The processor time that everything in the group has used; `None` where that was not to be
    /// counted or cannot be read.
    pub fn cpu_used(&self) -> Option<Duration> {
        self.cpu_counter.as_ref()?.used().ok()
    }

    /// Kills everything in the group (v2: `cgroup.kill`, else SIGKILL to all that is listed, until nothing
    /// is). Does not wait for the processes to be gone.
    pub fn kill(&self) {
        if let Some(group) = &self.v2 {
            clear::kill(&group.dir);
        }
        if let Some(group) = &self.v1 {
            group.kill();
        }
    }

    /// Kills what is left and removes the group; the last run below a v2 base also puts that back as it
    /// was. Takes up to some ten seconds where processes do not die.
    ///
    /// # Errors
    /// When something is left behind.
    pub fn remove(mut self) -> Result<(), CgroupError> {
        self.clear()
    }

    fn clear(&mut self) -> Result<(), CgroupError> {
        if self.gone || self.maker != std::process::id() {
            return Ok(());
        }
        self.gone = true;
        let v1 = self.v1.as_mut().map_or(Ok(()), v1::V1::remove);
        let v2 = self.v2.as_mut().map_or(Ok(()), v2::V2::remove);
        v1.and(v2)
    }

    /// Stops everything in it, or lets it go on, and waits until that is so; false where there is no
    /// freezer: a group of v1 has none, since who is frozen there could not even be killed.
    ///
    /// # Errors
    /// The caller may not (or whatever else the kernel says), it is gone (`NotFound`), or somebody in it has not come to
    /// a stop (`TimedOut`).
    pub fn freeze(&self, frozen: bool) -> Result<bool, CgroupError> {
        let Some(group) = &self.v2 else {
            return Ok(false);
        };
        let file = group.dir.join("cgroup.freeze");
        limits::write(&file, if frozen { "1" } else { "0" })?;
        // What is in the middle of a call of the kernel comes to its end first.
        for _ in 0..1000 {
            match self.frozen() {
                Some(is) if is == frozen => return Ok(true),
                Some(_) => {}
                None => {
                    let cause = io::ErrorKind::NotFound;
                    return Err(CgroupError::new(&group.dir, Operation::Read, cause));
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let cause = io::Error::new(io::ErrorKind::TimedOut, "a process does not stop");
        let operation = Operation::Verify {
            wanted: frozen.to_string(),
            found: (!frozen).to_string(),
        };
        Err(CgroupError::new(&file, operation, cause))
    }

    /// Lets everything in it go on, if it was stopped by [`Group::freeze`], without waiting for that.
    pub fn thaw(&self) {
        if let Some(group) = &self.v2 {
            let _ = limits::write(&group.dir.join("cgroup.freeze"), "0");
        }
    }

    /// Whether everything in it is stopped by its freezer.
    pub fn is_frozen(&self) -> bool {
        self.frozen() == Some(true)
    }

    /// The directories, for messages.
    pub fn paths(&self) -> Vec<PathBuf> {
        let v1 = self.v1.iter().flat_map(|group| &group.parts);
        let v1 = v1.map(|part| part.dir.clone());
        v1.chain(self.v2.iter().map(|group| group.dir.clone()))
            .collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

/// The number behind `key` in a flat keyed file.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
