//! Limits on what a run uses.

use crate::host::cgroup::Controller;
use crate::host::disk::{Device, Weigher};
use crate::profile::value::Size;
use std::time::Duration;

/// The kernel's own period over which processor time is counted, in microseconds.
pub const USUAL_PERIOD_US: u64 = 100_000;

/// The kernel's own period over which real-time processor time is counted, in microseconds.
pub const REALTIME_PERIOD_US: u64 = 1_000_000;

/// A limit on everything that a run does together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Number of tasks (processes and threads); fork and clone fail with EAGAIN beyond it.
    Pids(u64),
    /// Bytes of memory, page cache included; rounded down to whole pages.
    Memory(u64),
    /// Bytes of memory beyond which the group is slowed down and its memory reclaimed; v2 only. Rounded
    /// down to whole pages.
    MemoryHigh(u64),
    /// Bytes of memory that are not reclaimed from the group as long as others have any that is not kept for
    /// them; v2 only. Rounded down to whole pages.
    MemoryLow(u64),
    /// Bytes of memory that are never reclaimed from the group; v2 only. Rounded down to whole pages.
    MemoryMin(u64),
    /// Bytes of memory in huge pages of one size, both in use and reserved by mmap(2).
    HugePages {
        /// The size of a page in bytes.
        page: u64,
        /// The most of them together, in bytes: a multiple of `page`.
        bytes: u64,
    },
    /// Bytes of swap, on top of memory. v1 can limit only the sum, and needs [`Limit::Memory`] first.
    Swap(u64),
    /// Processor time: this much in each period, of all processors together.
    Cpu {
        /// Microseconds; the kernel's minimum is 1,000.
        quota_us: u64,
        /// Microseconds, from 1,000 to 1,000,000.
        period_us: u64,
    },
    /// Processor time in microseconds that may be used on top of the quota of a period, as far as it was left
    /// over in earlier ones; at most the quota, which has to be set first.
    CpuBurst(u64),
    /// Processor time in microseconds of each second ([`REALTIME_PERIOD_US`]) for processes with a real-time priority;
    /// v1 only. A new group has none.
    Realtime(u64),
    /// The share of processor time beside other groups, from 1 to 10,000; a new group has 100.
    CpuWeight(u32),
    /// Processor time that no other group wants, and no more.
    CpuIdle,
    /// Processor time of all processes together, in all. No controller bounds it: the supervisor looks
    /// at the group's counter, which has to be there, and ends the run.
    CpuTime(Duration),
    /// For how long the run may do nothing. No controller bounds it: the supervisor looks at the group's
    /// counter of processor time, which has to be there, and at what is written, and ends the run.
    Idle(Duration),
    /// How fast a disk is read and written.
    Io(Device, Rates),
    /// The share of a disk, or of all that share by weights, beside other groups: from 1 to 10,000; a new group
    /// has 100.
    IoWeight {
        /// Who divides.
        by: Weigher,
        /// One disk; else all for which nothing else is said.
        of: Option<Device>,
        /// The share.
        weight: u32,
    },
    /// The processors to run on, in the list format of cpuset(7), e.g. `0-2,7`.
    Cpuset(String),
    /// The memory nodes to have memory of, in the same format.
    MemoryNodes(String),
    /// Whether want of memory ends everything in the group, and not only the process that is killed for it; v2
    /// only. A limit on memory sets it; this one comes later.
    OomGroup(bool),
}

crate::choice! {
    /// What happens when the command has written as much as it may.
    pub enum Over {
        /// The rest is taken from the command and dropped, which is said in the end; the command goes on.
        Cut = "cut",
        /// The command gets SIGTERM, and after `grace` SIGKILL, as at the end of `wall_time`; the exit code is 124.
        End = "end",
    }
}

/// The most that is done with a device in a second; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bytes read.
    pub read: Option<u64>,
    /// Bytes written.
    pub write: Option<u64>,
    /// Read operations.
    pub read_ops: Option<u64>,
    /// Write operations.
    pub write_ops: Option<u64>,
}

impl Rates {
    /// Those that are limited, under their names in a profile.
    pub fn named(self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("read", self.read),
            ("write", self.write),
            ("read_ops", self.read_ops),
            ("write_ops", self.write_ops),
        ];
        all.into_iter()
            .filter_map(|(name, rate)| Some((name, rate?)))
    }

    /// Where both are to hold.
    #[must_use]
    pub fn lowest(self, other: Self) -> Self {
        let lowest =
            |one: Option<u64>, other: Option<u64>| [one, other].into_iter().flatten().min();
        Self {
            read: lowest(self.read, other.read),
            write: lowest(self.write, other.write),
            read_ops: lowest(self.read_ops, other.read_ops),
            write_ops: lowest(self.write_ops, other.write_ops),
        }
    }

    /// Whether anything that is written is limited.
    #[must_use]
    pub fn writes(self) -> bool {
        self.write.is_some() || self.write_ops.is_some()
    }
}

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, rate)) in self.named().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match name {
                "read" | "write" => write!(f, "{comma}{name} {} a second", Size(rate))?,
                _ => write!(f, "{comma}{name} {rate} a second")?,
            }
        }
        Ok(())
    }
}

impl Limit {
    /// The controller that enforces it.
    pub fn controller(&self) -> Controller {
        match self {
            Self::Pids(_) => Controller::Pids,
            Self::Memory(_)
            | Self::MemoryHigh(_)
            | Self::MemoryLow(_)
            | Self::MemoryMin(_)
            | Self::OomGroup(_)
            | Self::Swap(_) => Controller::Memory,
            Self::HugePages { .. } => Controller::Hugetlb,
            Self::Cpu { .. }
            | Self::CpuBurst(_)
            | Self::Realtime(_)
            | Self::CpuWeight(_)
            | Self::CpuIdle => Controller::Cpu,
            Self::CpuTime(_) | Self::Idle(_) => Controller::Cpuacct,
            Self::Io(..) | Self::IoWeight { .. } => Controller::Io,
            Self::Cpuset(_) | Self::MemoryNodes(_) => Controller::Cpuset,
        }
    }
}
