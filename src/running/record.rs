//! What a record says.

use super::saved::Saved;
use crate::host::cgroup::Groups;
use crate::plan::op::TerminalOwner;
use crate::plan::terminal::WhoJoins;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// The version of the form of records. Another version's are not read.
pub const VERSION: u32 = 2;

/// A run, as its supervisor describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// The command; empty for a sandbox that is kept open without one.
    pub command: Vec<String>,
    /// The profiles that it was made of.
    pub profiles: Vec<String>,
    /// Where it was started.
    pub directory: Option<PathBuf>,
    /// Whether its output goes to log files.
    pub detached: bool,
    /// Init's pid outside.
    pub init: libc::pid_t,
    /// The namespaces that the sandbox has for itself.
    pub namespaces: Vec<Namespace>,
    /// The user namespace that the command is in, where that is not init's.
    pub inner: Option<Namespace>,
    /// Its resolv.conf(5), where that is its own, for those that join its network.
    #[serde(default)]
    pub resolvers: Option<String>,
    /// The bridge that it is on, for those that ask for its name there.
    #[serde(default)]
    pub port: Option<Port>,
    /// The control groups.
    pub groups: Groups,
    /// What confines the command: the steps that whoever joins goes through too.
    pub confinement: Vec<Saved>,
    /// How many slots for descriptors they use.
    pub slots: usize,
    /// What the supervisor of who joins has to know.
    pub watch: Watched,
    /// The plan, as `explain` prints it.
    pub plan: String,
    /// The profile, as `show` prints it.
    pub profile: String,
    /// How the run ended: a line of its own behind the rest.
    #[serde(skip)]
    pub ended: Option<Ended>,
}

/// A namespace, and where to get at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The kernel's name of the kind.
    pub kind: String,
    /// The number of its inode, as lsns(8) shows it.
    pub inode: u64,
    /// The number of a descriptor of it that the supervisor has.
    pub descriptor: i32,
}

/// Where a sandbox is on a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The bridge.
    pub bridge: String,
    /// The number of the inode of the network namespace that the bridge is in.
    pub network: u64,
    /// The sandbox's addresses.
    pub addresses: Vec<IpAddr>,
}

/// The part of [`crate::plan::Watch`] that holds for whoever joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Milliseconds between the signal that asks to end and SIGKILL; the largest number for never.
    pub grace: u64,
    /// The number of the signal that asks the command to end.
    pub stop_signal: i32,
    /// Whether the command is in a session of its own.
    pub new_session: bool,
    /// Whether it is in a pid namespace of the sandbox's own.
    pub new_pid_namespace: bool,
    /// Whether it has an init, which stops those inside when it is asked to ([`super::paused`]).
    #[serde(default)]
    pub init: bool,
    /// Whether files that output goes to are kept from the command, which writes to pipes instead.
    pub relays_files: bool,
    /// Whether the caller's terminals are kept from the command.
    pub keeps_terminals_away: bool,
    /// Whether a terminal is handed only what it displays.
    pub is_displayed: bool,
    /// When who joins has a terminal of its own.
    #[serde(default)]
    pub terminal: WhoJoins,
    /// Whose a terminal of the sandbox's /dev/pts would be, where it has one.
    #[serde(default)]
    pub terminals: Option<TerminalOwner>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code of `sandbox`.
    pub code: u8,
    /// The word of reports for it.
    pub outcome: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// What a file of a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Nothing yet, or half a line.
    Unfinished,
    /// What this version does not understand.
    Unknown,
    /// A record.
    Known(Box<Record>),
}

impl Record {
    /// Reads a record. Lines are only ever added.
    #[must_use]
    pub fn parse(text: &str) -> Reading {
        let Some((first, rest)) = text.split_once('\n') else {
            return Reading::Unfinished;
        };
        match serde_json::from_str::<Self>(first) {
            Ok(mut record) if record.version == VERSION => {
                let last = rest.split_once('\n').map(|(last, _)| last);
                record.ended = last.and_then(|last| serde_json::from_str(last).ok());
                Reading::Known(Box::new(record))
            }
            _ => Reading::Unknown,
        }
    }

    /// What it is called: its name, or its id.
    #[must_use]
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// A line of a record's file. Values of ours have string keys only, and so can always be written.
pub(super) fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
