//! A sandbox that runs, as far as a plan that joins its network has to know it.

use super::caller::IdRange;
use crate::diag::Code;
use std::path::PathBuf;

/// The longest name of a run.
const LONGEST_NAME: usize = 64;

/// Whether a text is a name that a run can have: letters, digits, `-`, `_` and `.`, a letter or a
/// digit in front.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

/// A namespace that a supervisor has a descriptor of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The number of its inode, as lsns(8) shows it.
    pub inode: u64,
    /// The number of the descriptor.
    pub descriptor: i32,
}

/// A sandbox of the caller's that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The folder of its record.
    pub folder: PathBuf,
    /// Its id.
    pub id: String,
    /// Its supervisor's pid.
    pub pid: i32,
    /// The user namespace of its mounts, where it has one of its own.
    pub user: Option<Held>,
    /// Its network namespace, where it has one of its own.
    pub net: Option<Held>,
    /// The map of users of its user namespace.
    pub users: Vec<IdRange>,
    /// The map of groups.
    pub groups: Vec<IdRange>,
    /// Whether setgroups(2) works there.
    pub setgroups: bool,
    /// Its resolv.conf(5), where that is its own.
    pub resolvers: Option<String>,
}

/// Why there is none of that name, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRunning {
    /// The code of the diagnostic.
    pub code: Code,
    /// The sentence.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// Finds the sandbox of the caller's that runs under a name.
pub type Find = fn(&str) -> Result<Running, NotRunning>;

/// Where nobody looks for any.
pub(super) fn none(name: &str) -> Result<Running, NotRunning> {
    Err(NotRunning {
        code: Code::NoSandbox,
        message: format!("no sandbox is called `{name}`"),
        help: format!("start it: sandbox up {name}"),
    })
}
