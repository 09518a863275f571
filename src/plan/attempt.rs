//! Attempts: what `sandbox test` does in the place of the command.
//!
//! The plan is that of a run, built in the same way. Only its last step differs: instead of
//! executing a command, the payload tries one thing and reports the kernel's answer. Two steps
//! before the filter see to it that the payload is then what a command would be
//! ([`Op::ShedAsExec`]), and that a call which is only to be judged has no effect ([`Op::StopCall`],
//! [`Op::EndAfterExec`]).

use super::explain::s;
use super::op::Op;
use super::order::Phase;
use super::{Plan, Step};
use crate::diag::{At, Origin, printable};
use crate::profile::value::Duration;
use crate::sys::process::StringArray;
use nix::sys::socket::{SockaddrIn, SockaddrIn6, UnixAddr, VsockAddr};
use std::ffi::CString;
use std::fmt;

/// How long an attempt may take, in all. A connection has [`CONNECT_SECONDS`].
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);
/// How long a connection may take.
pub const CONNECT_SECONDS: i64 = 3;
/// After the deadline, nothing is waited for.
const GRACE: std::time::Duration = std::time::Duration::from_millis(100);

/// What is tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// Opens for reading, and reads a byte or a directory entry.
    Read(CString),
    /// Opens a file for writing and writes nothing, or makes a file in a directory.
    Write {
        /// The file or directory.
        path: CString,
        /// The file to be made where the directory's file system has none without a name.
        file: CString,
    },
    /// stat(2).
    See(CString),
    /// Executes a program, which is ended at its first system call.
    Execute {
        /// The paths to try, in this order.
        candidates: Vec<CString>,
        /// The arguments: the name alone.
        arguments: StringArray,
        /// The environment.
        environment: StringArray,
    },
    /// connect(2).
    Connect(Address),
    /// Makes a system call, which is stopped behind the filter.
    Call {
        /// Its name.
        name: &'static str,
        /// Its number.
        number: u32,
        /// Its arguments.
        arguments: [u64; 6],
    },
    /// Looks for a variable in the environment that execve(2) would be given.
    Variable {
        /// The name, in which `*` stands for anything.
        pattern: String,
        /// The environment.
        environment: StringArray,
    },
}

/// An address to connect to, as connect(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP over IPv4.
    V4(SockaddrIn),
    /// TCP over IPv6.
    V6(SockaddrIn6),
    /// A socket of the file system, or an abstract one (unix(7)).
    Unix(UnixAddr),
    /// A virtual machine's neighbour (vsock(7)).
    Vsock(VsockAddr),
}

impl Plan {
    /// The same plan with an attempt in the place of the command. `asked` is the line that asks.
    #[must_use]
    pub fn attempting(mut self, attempt: Attempt, asked: &Origin) -> Self {
        // A stop in front of a filter shows what that answers by itself; and nobody asks what was refused.
        self.steps.retain(|step| {
            step.phase != Phase::Exec
                && !matches!(step.op, Op::TellRefusals { .. } | Op::OpenProgram { .. })
        });
        for step in &mut self.steps {
            if let Op::Restrict(rules) = &mut step.op {
                rules.program = None;
            }
        }
        self = self.with_callers_streams();
        self.freeze_privileges(asked);
        let ambient = self.steps.iter().find_map(|step| match step.op {
            Op::SetCapabilities { ambient, .. } => Some(ambient),
            _ => None,
        });
        let kept = self.steps.iter().find_map(|step| match &step.op {
            Op::CloseDescriptors { kept, .. } => Some(kept.clone()),
            _ => None,
        });
        let mut add = |phase, op| {
            self.steps.push(Step {
                phase,
                op,
                origin: asked.clone(),
            });
        };
        add(
            Phase::AsExecuted,
            Op::ShedAsExec {
                ambient: ambient.unwrap_or_default(),
                kept: kept.unwrap_or_default(),
                // In a pid namespace of others, they could read the supervisor's memory in it.
                readable: self.watch.new_pid_namespace,
            },
        );
        match &attempt {
            Attempt::Call { name, number, .. } => add(
                Phase::Stop,
                Op::StopCall {
                    name,
                    number: *number,
                },
            ),
            Attempt::Execute { .. } => add(Phase::Stop, Op::EndAfterExec),
            _ => {}
        }
        add(Phase::Exec, Op::Attempt(attempt));
        self.steps.sort_by_key(|step| step.phase);
        self.watch.wall_time = Some(At::default_of("test: deadline", Duration(DEADLINE)));
        self.watch.grace = GRACE;
        // To wait for an answer is to do nothing.
        self.watch.idle = None;
        self
    }

    /// The same plan with the caller's standard streams, whatever the profile says of them.
    #[must_use]
    pub fn with_callers_streams(mut self) -> Self {
        let own = |op: &Op| matches!(op, Op::OpenStream { .. } | Op::TakeStream { .. });
        self.steps.retain(|step| !own(&step.op));
        self
    }

    /// Where programs may gain privileges: who only tries something gains none, and has no capability until an exec
    /// takes it, which never comes.
    fn freeze_privileges(&mut self, asked: &Origin) {
        let mut dropped = 0;
        for step in &mut self.steps {
            match &mut step.op {
                Op::NoNewPrivileges => return,
                Op::DropBounding(mask) => dropped = *mask,
                Op::SetCapabilities { sets, .. } => {
                    sets.permitted &= !dropped;
                    sets.effective &= !dropped;
                }
                _ => {}
            }
        }
        self.steps.push(Step {
            phase: Phase::NoNewPrivileges,
            op: Op::NoNewPrivileges,
            origin: asked.clone(),
        });
    }

    /// Whether the plan leaves the caller's network.
    #[must_use]
    pub fn leaves_network(&self) -> bool {
        self.steps.iter().any(|step| match &step.op {
            Op::CloneInit { namespaces, .. } | Op::MakeInnerUser { namespaces, .. } => {
                namespaces.iter().any(|kind| kind.name == "net")
            }
            Op::JoinNamespace { kind, .. } | Op::JoinSandbox { kind, .. } => kind.name == "net",
            _ => false,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
            Self::Unix(address) => match (address.path(), address.as_abstract()) {
                (Some(path), _) => {
                    write!(f, "unix:{}", printable(&path.display().to_string()))
                }
                (_, Some(name)) => write!(
                    f,
                    "unix-abstract:{}",
                    printable(&String::from_utf8_lossy(name))
                ),
                _ => f.write_str("unix:"),
            },
            Self::Vsock(address) => write!(f, "vsock:{}:{}", address.cid(), address.port()),
        }
    }
}

/// Completes "try to …".
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read {}", s(path)),
            Self::Write { path, .. } => write!(f, "write {}", s(path)),
            Self::See(path) => write!(f, "see {}", s(path)),
            Self::Execute { arguments, .. } => {
                let name = arguments.strings().first();
                write!(
                    f,
                    "execute {}",
                    name.map(|name| s(name)).unwrap_or_default()
                )
            }
            Self::Connect(address) => write!(f, "connect to {address}"),
            Self::Call {
                name, arguments, ..
            } => {
                let used = arguments
                    .iter()
                    .rposition(|a| *a != 0)
                    .map_or(0, |at| at + 1);
                let words: Vec<_> = arguments
                    .iter()
                    .take(used)
                    .map(|a| format!("{a:#x}"))
                    .collect();
                write!(f, "call {name}({})", words.join(", "))
            }
            Self::Variable { pattern, .. } => {
                write!(f, "find the variable {}", printable(pattern))
            }
        }
    }
}
