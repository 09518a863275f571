//! How a run ended, in a number and, where the command did not end by itself, in a sentence.

use crate::diag::Sources;
use crate::exit;
use crate::plan::{Op, Plan, bpf};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command exited with this code.
    Exited(i32),
    /// This signal ended the command.
    Signaled(i32),
    /// The wall time was over.
    WallTimeout,
    /// The processor time was used up.
    CpuTimeout,
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
            Self::WallTimeout | Self::CpuTimeout => return exit::TIMED_OUT,
            Self::Unresponsive => 128 + libc::SIGKILL,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// One line, if the end was not the command's own doing.
    #[must_use]
    pub fn line(self, plan: &Plan, sources: &Sources) -> Option<String> {
        let watch = &plan.watch;
        match self {
            Self::Exited(_) | Self::Attempted { .. } => None,
            Self::Signaled(libc::SIGSYS) => {
                let words = "killed: the command made a system call that its filter ends (SIGSYS)";
                let filter = plan.steps.iter().find(
                    |step| matches!(&step.op, Op::SetFilter(program) if bpf::signals(program)),
                );
                // Without one of the profile's, it is a filter that the command has made itself.
                let line = filter.map(|step| format!(" ({})", step.origin.display(sources)));
                Some(format!("{words}{}", line.unwrap_or_default()))
            }
            Self::Signaled(_) => None,
            Self::WallTimeout => watch.wall_time.as_ref().map(|limit| {
                format!(
                    "killed: wall time of {} reached ({})",
                    limit.value,
                    limit.origin.display(sources)
                )
            }),
            Self::CpuTimeout => watch.cpu_time.as_ref().map(|limit| {
                format!(
                    "killed: processor time of {} reached ({})",
                    limit.value,
                    limit.origin.display(sources)
                )
            }),
            Self::OomKilled { .. } => watch.memory.as_ref().map(|limit| {
                format!(
                    "killed: memory limit of {} reached ({})",
                    limit.value,
                    limit.origin.display(sources)
                )
            }),
            Self::Unresponsive => Some(format!(
                "killed: still running {:?} after SIGTERM",
                watch.grace
            )),
            Self::Lost(signal) => Some(format!(
                "killed: signal {signal} from outside ended the sandbox's init"
            )),
        }
    }
}
