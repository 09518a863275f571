//! What Landlock refuses once more, besides the mounts, the namespaces and the filter (landlock(7)).

use super::{Slot, Target};
use crate::sys::landlock::Handled;
use std::fmt;

/// Executing a file: execve(2) of it, or its being the interpreter or the loader of what is executed.
pub const EXECUTE: u64 = 1;

/// Opening a file for writing.
pub const WRITE_FILE: u64 = 1 << 1;

/// Opening a file for reading.
pub const READ_FILE: u64 = 1 << 2;

/// Listing a directory.
pub const READ_DIR: u64 = 1 << 3;

/// Moving and linking from one directory to another. Where anything about files is refused, this is too unless a
/// rule permits it, also by a ruleset that does not handle it.
pub const REFER: u64 = 1 << 13;

/// Shortening a file, or making it longer: truncate(2), `O_TRUNC`. Version 3.
pub const TRUNCATE: u64 = 1 << 14;

/// ioctl(2) on a device that is opened from now on, but for the commands that concern the descriptor alone. Version 5.
pub const IOCTL_DEV: u64 = 1 << 15;

/// What can be permitted for a file that is no directory.
pub const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// Every access that changes a file or a directory: opening for writing, removing, making, and moving
/// or linking from one directory to another.
///
/// Not truncation, though version 3 has it: the kernel asks for it whenever a file is opened, also for
/// reading, so that each open would walk to the root. [`Right::Write`] has it.
pub const WRITES: u64 = WRITE_FILE | 0x3ff << 4;

/// `LANDLOCK_ACCESS_NET_BIND_TCP`.
pub const BIND_TCP: u64 = 1;

/// `LANDLOCK_ACCESS_NET_CONNECT_TCP`.
pub const CONNECT_TCP: u64 = 2;

/// Both.
pub const TCP: u64 = BIND_TCP | CONNECT_TCP;

/// A port that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// How: [`BIND_TCP`] or [`CONNECT_TCP`].
    pub access: u64,
}

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
pub const ABSTRACT_SOCKETS: u64 = 1;

/// `LANDLOCK_SCOPE_SIGNAL`.
pub const SIGNALS: u64 = 2;

/// What a profile bounds by paths: a key of `[landlock]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Reading files and listing directories.
    Read,
    /// Changing files and directories.
    Write,
    /// Executing files.
    Execute,
    /// Commands to devices.
    Ioctl,
}

impl Right {
    /// All of them, in the order of the language.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Execute, Self::Ioctl];

    /// Its key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Ioctl => "ioctl",
        }
    }

    /// What of `LANDLOCK_ACCESS_FS_*` it is.
    #[must_use]
    pub const fn access(self) -> u64 {
        match self {
            Self::Read => READ_FILE | READ_DIR,
            Self::Write => WRITES | TRUNCATE,
            Self::Execute => EXECUTE,
            Self::Ioctl => IOCTL_DEV,
        }
    }

    /// The version of Landlock that can refuse all of it. Before version 2, whoever is restricted in anything
    /// could move nothing from one directory to another.
    #[must_use]
    pub const fn since(self) -> u32 {
        match self {
            Self::Read | Self::Execute => 2,
            Self::Write => 3,
            Self::Ioctl => 5,
        }
    }

    /// What of it a ruleset refuses, in words after "no".
    const fn words(self, handled: u64) -> Option<&'static str> {
        match (self, handled & self.access()) {
            // Handled only to be permitted.
            (_, 0 | REFER) => None,
            (Self::Read, _) => Some("reading"),
            (Self::Write, WRITES) => Some("writing"),
            (Self::Write, _) => Some("writing or truncating"),
            (Self::Execute, _) => Some("executing"),
            (Self::Ioctl, _) => Some("commands to devices"),
        }
    }
}

/// A file, or a directory and all below it, and what may be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneath {
    /// Its path.
    pub target: Target,
    /// `LANDLOCK_ACCESS_FS_*`; of a file, what does not concern directories.
    pub access: u64,
}

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// What is refused unless a rule permits it.
    pub handled: Handled,
    /// What is permitted by path.
    pub beneath: Vec<Beneath>,
    /// The descriptors whose files may be opened again for what they are open for.
    pub streams: Vec<i32>,
    /// The program that is executed by its descriptor, which may be.
    pub program: Option<Slot>,
    /// The ports that may be used.
    pub ports: Vec<Port>,
}

impl Ruleset {
    /// The trees in which something may be done.
    pub fn trees(&self, access: u64) -> impl Iterator<Item = &Target> {
        let permit = move |rule: &&Beneath| rule.access & access != 0;
        self.beneath.iter().filter(permit).map(|rule| &rule.target)
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("restrict itself by Landlock:")?;
        let mut before = " ";
        let mut part = |f: &mut fmt::Formatter<'_>, text: &str| {
            let result = write!(f, "{before}{text}");
            before = "; ";
            result
        };
        for right in Right::ALL {
            let Some(words) = right.words(self.handled.files) else {
                continue;
            };
            part(f, &format!("no {words} but below"))?;
            let mut comma = "";
            for target in self.trees(right.access() & !REFER) {
                write!(f, "{comma} /{}", crate::plan::explain::s(target))?;
                comma = ",";
            }
            if comma.is_empty() {
                f.write_str(" nothing")?;
            }
        }
        if self.handled.files & WRITES == REFER {
            part(f, "moving files anywhere")?;
        }
        if self.program.is_some() {
            part(f, "executing the program that was opened")?;
        }
        for (access, what) in [
            (CONNECT_TCP, "connections over TCP"),
            (BIND_TCP, "servers over TCP"),
        ] {
            if self.handled.network & access == 0 || self.ports.is_empty() {
                continue;
            }
            let ports = self.ports.iter().filter(|port| port.access == access);
            let list: Vec<_> = ports.map(|port| port.port.to_string()).collect();
            match list.is_empty() {
                true => part(f, &format!("no {what}"))?,
                false => part(f, &format!("no {what} but on {}", list.join(", ")))?,
            }
        }
        if self.handled.network != 0 && self.ports.is_empty() {
            part(
                f,
                match self.handled.network {
                    CONNECT_TCP => "no connections over TCP",
                    BIND_TCP => "no servers over TCP",
                    _ => "no TCP",
                },
            )?;
        }
        if self.handled.scoped & SIGNALS != 0 {
            part(f, "no signals out")?;
        }
        if self.handled.scoped & ABSTRACT_SOCKETS != 0 {
            part(f, "no abstract sockets outside")?;
        }
        Ok(())
    }
}
