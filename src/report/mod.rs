//! How a run ended: in a number and, where the command did not end by itself, in a sentence; and on
//! demand a report on all of it, for programs and for people.

pub mod document;
pub mod limits;
pub mod place;
pub mod summary;
pub mod usage;

pub mod denial;
pub mod egress;
pub mod files;

use crate::diag::{At, Sources};
use crate::exit;
use crate::plan::Plan;
pub use document::Report;
pub use place::Opened;
pub use usage::Measured;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command exited with this code.
    Exited(i32),
    /// This signal ended the command.
    Signaled(i32),
    /// The system call filter of the profile ended the command (SIGSYS).
    SeccompKilled,
    /// The wall time was over.
    WallTimeout,
    /// The processor time was used up.
    CpuTimeout,
    /// The command had done nothing for too long.
    IdleTimeout,
    /// The command wrote more than it may.
    OutputLimit,
    /// The memory limit was reached; with this code the command ended.
    OomKilled {
        /// The exit code.
        code: i32,
    },
    /// The command went on after SIGTERM, and was killed.
    Unresponsive,
    /// An attempt was made in the place of the command ([`crate::plan::attempt`]).
    Attempted {
        /// Why it was refused; 0 if it was not.
        errno: i32,
        /// What the kind of attempt adds to that.
        detail: u32,
    },
    /// The sandbox's init was killed from outside, by this signal.
    Lost(i32),
}

impl Outcome {
    /// The exit code of the sandbox.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(code) | Self::OomKilled { code } => code,
            Self::Signaled(signal) | Self::Lost(signal) => 128 + signal,
            Self::Attempted { errno, .. } => i32::from(errno != 0),
            Self::WallTimeout | Self::CpuTimeout | Self::IdleTimeout | Self::OutputLimit => {
                return exit::TIMED_OUT;
            }
            Self::Unresponsive => 128 + libc::SIGKILL,
            Self::SeccompKilled => 128 + libc::SIGSYS,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// What reports call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Signaled(_) => "signaled",
            Self::SeccompKilled => "seccomp-killed",
            Self::WallTimeout => "wall-timeout",
            Self::CpuTimeout => "cpu-timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::OutputLimit => "output-limit",
            Self::OomKilled { .. } => "oom-killed",
            Self::Unresponsive => "unresponsive",
            Self::Attempted { .. } => "attempted",
            Self::Lost(_) => "init-lost",
        }
    }

    /// One line, if the end was not the command's own doing.
    #[must_use]
    pub fn line(self, plan: &Plan, sources: &Sources) -> Option<String> {
        /// What was reached, and the line that bounds it.
        fn killed<T>(limit: &At<T>, sources: &Sources, words: impl Fn(&T) -> String) -> String {
            let line = limit.origin.display(sources);
            format!("killed: {} ({line})", words(&limit.value))
        }
        let watch = &plan.watch;
        match self {
            Self::Exited(_) | Self::Attempted { .. } => None,
            Self::SeccompKilled => plan.deadly_filter().map(|filter| {
                let line = filter.origin.display(sources);
                format!(
                    "killed: the command made a system call that its filter ends (SIGSYS) ({line})"
                )
            }),
            Self::Signaled(_) => None,
            Self::WallTimeout => watch.wall_time.as_ref().map(|limit| {
                killed(limit, sources, |time| {
                    format!("wall time of {time} reached")
                })
            }),
            Self::CpuTimeout => watch.cpu_time.as_ref().map(|limit| {
                killed(limit, sources, |time| {
                    format!("processor time of {time} reached")
                })
            }),
            Self::IdleTimeout => watch.idle.as_ref().map(|limit| {
                killed(limit, sources, |time| {
                    format!("idle for {time}: no output, and next to no processor time")
                })
            }),
            Self::OutputLimit => watch
                .output
                .as_ref()
                .map(|limit| killed(limit, sources, |size| format!("output of {size} reached"))),
            Self::OomKilled { .. } => watch.memory.as_ref().map(|limit| {
                killed(limit, sources, |size| {
                    format!("memory limit of {size} reached")
                })
            }),
            Self::Unresponsive => Some(format!(
                "killed: still running {:?} after {}",
                watch.grace, watch.stop_signal
            )),
            Self::Lost(signal) => Some(format!(
                "killed: signal {signal} from outside ended the sandbox's init"
            )),
        }
    }
}
