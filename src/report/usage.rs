//! What a run has used, and what the kernel has counted on the way. Each figure says where it is
//! from; what nobody counted is not there, and never a guess.

use serde::Serialize;

/// A number, and the file or call that it was read from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure<T> {
    /// The number.
    pub value: T,
    /// `cgroup v1 memory.max_usage_in_bytes`, for instance, or `rusage ru_maxrss`.
    pub source: String,
}

impl<T> Figure<T> {
    /// A number from somewhere.
    #[must_use]
    pub fn new(value: T, source: impl Into<String>) -> Self {
        Self {
            value,
            source: source.into(),
        }
    }
}

/// What the command and all its descendants have used.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// The most memory at once. From rusage: of the largest process alone.
    pub memory_peak_bytes: Option<Figure<u64>>,
    /// The most processes and threads at once, the sandbox's own init included.
    pub tasks_peak: Option<Figure<u64>>,
    /// Processor time, of all processors together.
    pub cpu_seconds: Option<Figure<f64>>,
    /// The part of it outside of the kernel.
    pub cpu_user_seconds: Option<Figure<f64>>,
    /// The part of it in the kernel.
    pub cpu_system_seconds: Option<Figure<f64>>,
    /// Bytes read from disks.
    pub read_bytes: Option<Figure<u64>>,
    /// Bytes written to disks.
    pub written_bytes: Option<Figure<u64>>,
    /// Read operations on disks.
    pub read_operations: Option<Figure<u64>>,
    /// Write operations on disks.
    pub write_operations: Option<Figure<u64>>,
    /// In how many periods the limit on processor time held it up.
    pub throttled_periods: Option<Figure<u64>>,
    /// For how long, summed over the processors.
    pub throttled_seconds: Option<Figure<f64>>,
    /// How often a process gave up the processor by itself.
    pub voluntary_context_switches: Option<Figure<u64>>,
    /// How often one was taken off the processor.
    pub involuntary_context_switches: Option<Figure<u64>>,
}

/// How often the kernel held the run up at one of its limits; `None` where it does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Forks refused for `pids`.
    pub pids: Option<u64>,
    /// Times that `memory` was reached, whether something could be reclaimed or not.
    pub memory: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Times that `memory_high` was exceeded.
    pub memory_high: Option<u64>,
    /// Times that `swap` was reached.
    pub swap: Option<u64>,
    /// Times that each limit of `huge_pages` was reached, by the size of the pages.
    pub huge_pages: Vec<(u64, u64)>,
    /// Periods in which `cpu` held it up.
    pub cpu: Option<u64>,
}

/// The end of the command itself, whatever the outcome is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl End {
    /// Takes a wait status apart (wait(2)); `None` for a process that has not ended.
    #[must_use]
    pub fn of_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return Some(Self::Code(libc::WEXITSTATUS(status)));
        }
        libc::WIFSIGNALED(status).then(|| Self::Signal(libc::WTERMSIG(status)))
    }
}

/// What the supervisor has found out about a run besides its outcome.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// What was used.
    pub usage: Usage,
    /// What was counted.
    pub counted: Counted,
    /// How the command itself ended; none where it never started, or where that is not known.
    pub end: Option<End>,
    /// Whether the wall time was over.
    pub wall_time_over: bool,
    /// Whether the processor time was used up.
    pub cpu_time_over: bool,
    /// Whether it had done nothing for too long.
    pub idle_over: bool,
    /// Whether it wrote more than it may.
    pub output_over: bool,
    /// Whether it was killed when its grace was over.
    pub grace_over: bool,
}
