//! What Landlock refuses once more, besides the mounts, the namespaces and the filter (landlock(7)).

use super::Target;
use crate::sys::landlock::Handled;
use std::fmt;

/// Opening a file for writing.
pub const WRITE_FILE: u64 = 1 << 1;

/// Every access that changes a file or a directory: opening for writing, removing, making, and moving
/// or linking from one directory to another.
///
/// Not truncation, though version 3 has it: the kernel asks for it whenever a file is opened, also for
/// reading, so that each open would walk to the root.
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

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// What is refused unless a rule permits it.
    pub handled: Handled,
    /// The trees in which all is permitted that is handled.
    pub writable: Vec<Target>,
    /// The descriptors, open for writing, whose files may be opened for writing again.
    pub streams: Vec<i32>,
    /// The ports that may be used.
    pub ports: Vec<Port>,
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
        if self.handled.files != 0 {
            part(f, "no writing but below")?;
            for (at, target) in self.writable.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                write!(f, "{comma} /{}", crate::plan::explain::s(target))?;
            }
            if self.writable.is_empty() {
                f.write_str(" nothing")?;
            }
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
