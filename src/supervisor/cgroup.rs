//! The control group of a run: made, limited, watched and removed from outside.
//!
//! Fails closed: a limit that the kernel has not taken over exactly is an error, on both versions.
//! See cgroups(7), Documentation/admin-guide/cgroup-v2.rst and Documentation/admin-guide/cgroup-v1.

mod bus;
mod clear;
mod counts;
mod error;
mod limits;
mod scope;
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
pub use sweep::sweep;

use crate::host::cgroup::{Controller, Place};
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
    version: Version,
    maker: u32,
    gone: bool,
    memory: Option<u64>,
    /// v1: the sum of memory and swap in force.
    memsw: Option<u64>,
    /// What counts processor time, for [`Limit::CpuTime`].
    cpu_counter: Option<Counter>,
}

enum Version {
    One(v1::V1),
    Two(v2::V2),
}

impl Group {
    /// Makes the group, without limits and without processes. `name` should be [`crate::host::cgroup::group_name`]'s: any
    /// other is not recognised by [`sweep`].
    ///
    /// # Errors
    /// When a directory cannot be made or, on v2, its base cannot be made to hand the controllers on.
    /// Nothing is left behind then.
    pub fn create(place: &Place, name: &str) -> Result<Group, CgroupError> {
        let version = match place {
            Place::V1 { hierarchies } => Version::One(v1::V1::create(hierarchies, name)?),
            Place::V2 { base, kind, enable } => {
                Version::Two(v2::V2::create(base, kind, enable, name)?)
            }
        };
        Ok(Group {
            version,
            maker: std::process::id(),
            gone: false,
            memory: None,
            memsw: None,
            cpu_counter: None,
        })
    }

    /// Sets a limit, reads it back and compares.
    ///
    /// # Errors
    /// When the group has no such controller, the kernel refuses the value, or what it says afterwards
    /// is not what was asked for. The limit must then be taken as not in force.
    pub fn set(&mut self, limit: &Limit) -> Result<(), CgroupError> {
        let controller = limit.controller();
        let (dir, v2) = match &self.version {
            Version::One(group) => (group.dir(controller).cloned(), false),
            Version::Two(group) => (Some(group.dir.clone()), true),
        };
        let Some(dir) = dir else {
            let cause = io::Error::new(io::ErrorKind::NotFound, "the group was made without it");
            let operation = Operation::Write(format!("{limit:?}"));
            return Err(CgroupError::new(Path::new("the group"), operation, cause).of(controller));
        };
        let files = Files { dir: &dir, v2 };
        match limit {
            Limit::Pids(max) => files.pids(*max),
            Limit::Memory(bytes) if v2 => files.memory(*bytes),
            Limit::MemoryHigh(bytes) => files.memory_high(*bytes),
            Limit::Swap(bytes) if v2 => files.swap(*bytes),
            Limit::Memory(bytes) => self.set_v1_memory(files, *bytes),
            Limit::Swap(bytes) => self.set_v1_swap(files, *bytes),
            Limit::Cpu {
                quota_us,
                period_us,
            } => files.cpu(*quota_us, *period_us),
            Limit::CpuWeight(weight) => files.cpu_weight(*weight),
            Limit::CpuTime(_) => {
                let counter = files.cpu_counter()?;
                self.cpu_counter = Some(counter);
                Ok(())
            }
            Limit::Io(device, rates) => files.io(*device, *rates),
            Limit::Cpuset(list) => files.cpuset(list),
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
        match &self.version {
            Version::One(_) => None,
            Version::Two(group) => Some(group.fd.as_fd()),
        }
    }

    /// v1: the `tasks` file of each hierarchy, open for writing. The child joins by writing `0` to each
    /// while it has one thread: from outside, the same costs some ten milliseconds. Empty on v2.
    pub fn v1_tasks(&self) -> &[OwnedFd] {
        match &self.version {
            Version::One(group) => &group.tasks,
            Version::Two(_) => &[],
        }
    }

    /// Reads what the kernel has counted. To be asked before [`Group::remove`].
    pub fn evidence(&self) -> Evidence {
        let (memory, pids, v2) = match &self.version {
            Version::One(group) => (
                group.dir(Controller::Memory),
                group.dir(Controller::Pids),
                false,
            ),
            Version::Two(group) => (Some(&group.dir), Some(&group.dir), true),
        };
        let mut found = Evidence::default();
        if let Some(dir) = memory {
            let (kills, peak) = match v2 {
                true => ("memory.events", "memory.peak"),
                false => ("memory.oom_control", "memory.max_usage_in_bytes"),
            };
            found.oom_kills = keyed(&dir.join(kills), "oom_kill").unwrap_or(0);
            found.memory_peak = number(&dir.join(peak));
        }
        if let Some(dir) = pids {
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
        match &self.version {
            Version::One(group) => group.kill(),
            Version::Two(group) => clear::kill(&group.dir),
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
        match &mut self.version {
            Version::One(group) => group.remove(),
            Version::Two(group) => group.remove(),
        }
    }

    /// The directories, for messages.
    pub fn paths(&self) -> Vec<PathBuf> {
        match &self.version {
            Version::One(group) => group.parts.iter().map(|p| p.dir.clone()).collect(),
            Version::Two(group) => vec![group.dir.clone()],
        }
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
