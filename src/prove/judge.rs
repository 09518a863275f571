//! From the kernel's answer to what it means. A refusal is one only if it can come from the
//! sandbox; everything else is unclear, and an unclear answer proves nothing.

use crate::child;
use crate::plan::Plan;
use crate::plan::attempt::{Address, Attempt, CONNECT_SECONDS};
use crate::report::Outcome;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// With an errno, or 0, and a detail.
    Errno(i32, u32),
    /// In another way.
    End(Outcome),
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It succeeded.
    Done,
    /// It did not succeed, but the sandbox was not in the way.
    Reached,
    /// The sandbox refused it.
    Refused,
    /// A host answered that nobody listens there: perhaps the sandbox's own, perhaps not.
    NobodyListens,
    /// It says nothing about the sandbox.
    Unclear,
}

/// What came out of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) words: String,
    pub(super) errno: Option<i32>,
}

impl Finding {
    fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self {
            kind,
            words: words.into(),
            errno: None,
        }
    }

    /// A refusal or its like, with the errno in words.
    fn because(kind: Kind, words: &str, errno: Errno) -> Self {
        Self {
            kind,
            words: format!("{words}: {} ({errno:?})", errno.desc()),
            errno: Some(errno as i32),
        }
    }

    pub(super) fn nothing_tried() -> Self {
        Self::new(Kind::Unclear, "nothing was tried")
    }
}

/// The end by a filter that the attempt has installed itself.
const SIGSYS: Outcome = Outcome::Signaled(libc::SIGSYS);

/// What the answer to an attempt means; `apart` if the sandbox has another network than the caller.
pub(super) fn finding(attempt: &Attempt, answer: Answer, apart: bool) -> Finding {
    match answer {
        Answer::Errno(0, child::FAKED) if matches!(attempt, Attempt::Call { .. }) => Finding::new(
            Kind::Refused,
            "the system call filter answers with success, and nothing is performed",
        ),
        Answer::Errno(0, detail) => Finding::new(Kind::Done, done(attempt, detail)),
        Answer::Errno(errno, _) => refusal(attempt, Errno::from_raw(errno), errno, apart),
        Answer::End(outcome) => match (attempt, outcome) {
            // A program ends at its first system call, which may be the one to exit.
            (Attempt::Execute { .. }, SIGSYS | Outcome::SeccompKilled | Outcome::Exited(_)) => {
                Finding::new(Kind::Done, "it was started")
            }
            (_, SIGSYS | Outcome::SeccompKilled) => {
                Finding::new(Kind::Refused, "ended by the system call filter (SIGSYS)")
            }
            (_, Outcome::Signaled(signal)) => {
                Finding::new(Kind::Unclear, format!("ended by signal {signal}"))
            }
            (_, Outcome::WallTimeout | Outcome::CpuTimeout | Outcome::IdleTimeout) => {
                Finding::new(Kind::Unclear, "no answer in time")
            }
            (_, outcome) => Finding::new(Kind::Unclear, format!("no answer: {outcome:?}")),
        },
    }
}

fn done(attempt: &Attempt, detail: u32) -> String {
    match attempt {
        Attempt::Read(_) => "it was opened and read".into(),
        Attempt::Write { file, .. } => match detail {
            child::MADE => "a file was made in it".into(),
            child::LEFT => format!(
                "a file was made in it, and cannot be removed: {}",
                file.to_string_lossy()
            ),
            _ => "it was opened for writing".into(),
        },
        Attempt::See(_) => "it is there".into(),
        Attempt::Execute { .. } => "it was started".into(),
        Attempt::Connect(_) => "connected".into(),
        Attempt::Call { arguments, .. } if *arguments == [0; 6] => {
            "the system call filter lets it through".into()
        }
        Attempt::Call { .. } => format!("the system call filter lets it through: {attempt}"),
        Attempt::Variable { environment, .. } => {
            let variable = environment.strings().get(detail as usize);
            let name = variable.and_then(|v| v.to_bytes().split(|b| *b == b'=').next());
            format!(
                "{} is there",
                String::from_utf8_lossy(name.unwrap_or_default())
            )
        }
    }
}

fn refusal(attempt: &Attempt, errno: Errno, raw: i32, apart: bool) -> Finding {
    let is = |kind, words| Finding {
        errno: Some(raw),
        ..Finding::because(kind, words, errno)
    };
    match attempt {
        Attempt::Connect(address) => connection(address, errno, apart),
        // A number that a profile has made up.
        Attempt::Call { .. } if errno == Errno::UnknownErrno => Finding {
            errno: Some(raw),
            ..Finding::new(
                Kind::Refused,
                format!("the system call filter refuses it with errno {raw}"),
            )
        },
        Attempt::Call { .. } => is(Kind::Refused, "the system call filter refuses it"),
        Attempt::Variable { .. } => Finding::new(Kind::Refused, "there is no such variable"),
        Attempt::Read(path) | Attempt::Write { path, .. } | Attempt::See(path) => {
            access(Some(path), errno)
        }
        Attempt::Execute { candidates, .. } => match (errno, &candidates[..]) {
            (Errno::ENOEXEC, _) => is(Kind::Refused, "it is no program"),
            (_, [path]) => access(Some(path), errno),
            _ => access(None, errno),
        },
    }
}

/// The answers of the file system.
fn access(path: Option<&CStr>, errno: Errno) -> Finding {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => {
            let outside = path.is_some_and(|path| {
                let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
                path.symlink_metadata().is_ok()
            });
            // Worth knowing: perhaps the path is misspelt.
            let words = if outside || path.is_none() {
                "not there"
            } else {
                "not there, nor outside"
            };
            Finding::because(Kind::Refused, words, errno)
        }
        Errno::EACCES
        | Errno::EPERM
        | Errno::EROFS
        | Errno::ELOOP
        | Errno::ESRCH
        | Errno::ENOSYS => Finding::because(Kind::Refused, "refused", errno),
        _ => Finding::because(Kind::Unclear, "failed", errno),
    }
}

/// The answers of a network.
fn connection(address: &Address, errno: Errno, apart: bool) -> Finding {
    let is = |kind, words: &str| Finding::because(kind, words, errno);
    let file = matches!(address, Address::Unix(address) if address.path().is_some());
    match errno {
        // The filter's answers, those of a security module, and that of a packet filter.
        Errno::EACCES | Errno::EPERM | Errno::EAFNOSUPPORT | Errno::ENOSYS => {
            is(Kind::Refused, "refused")
        }
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP if file => is(Kind::Refused, "not there"),
        Errno::ECONNREFUSED if file => is(Kind::Reached, "it is there, and nobody listens"),
        Errno::EAGAIN if matches!(address, Address::Unix(_)) => {
            is(Kind::Reached, "it is there, and busy")
        }
        Errno::EPROTOTYPE => is(Kind::Reached, "it is there, and of an unknown type"),
        Errno::ENETUNREACH | Errno::EADDRNOTAVAIL if apart => {
            is(Kind::Refused, "there is no way to it")
        }
        Errno::ENETUNREACH | Errno::EADDRNOTAVAIL => is(
            Kind::Unclear,
            "there is no way to it, nor outside: the network is the caller's",
        ),
        Errno::ECONNREFUSED | Errno::ECONNRESET => {
            is(Kind::NobodyListens, "a host answers that nobody listens")
        }
        Errno::EINPROGRESS | Errno::ETIMEDOUT | Errno::EAGAIN => Finding {
            words: format!("no answer within {CONNECT_SECONDS} s"),
            ..is(Kind::Unclear, "")
        },
        _ => is(Kind::Unclear, "failed"),
    }
}

/// A connection that the gate has let through to nobody.
pub(super) fn at_the_gate() -> Finding {
    Finding::new(
        Kind::Refused,
        "refused: `allow` under [network] is not about it",
    )
}

/// What the end of a command means that should have exited with `exit`.
pub(super) fn end(outcome: Outcome, exit: u8, plan: &Plan) -> Finding {
    let code = outcome.exit_code();
    let kind = if code == exit {
        Kind::Done
    } else {
        Kind::Reached
    };
    let sentence = outcome.line(plan, &crate::diag::Sources::default());
    let words = match (outcome, sentence) {
        (Outcome::Exited(code), _) => format!("it exited with {code}"),
        (Outcome::Signaled(signal), None) => format!("signal {signal} ended it"),
        (_, Some(sentence)) => sentence,
        (_, None) => format!("it ended with {code}"),
    };
    Finding::new(kind, words)
}

/// The same for a command that could not be executed, and why.
pub(super) fn not_executed(why: String, code: u8, exit: u8) -> Finding {
    let kind = if code == exit {
        Kind::Done
    } else {
        Kind::Reached
    };
    Finding::new(kind, why)
}
