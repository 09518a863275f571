//! What operations on networks are told.

use crate::host::network::Net;
use crate::profile::value::{Duration, Percent};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Which end of a pair of interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one in the caller's network.
    Host,
    /// The one in the sandbox's.
    Inside,
}

/// Two interfaces that are connected (veth(4)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name of the end on the host, which carries the run's id.
    pub outside: String,
    /// The name of the end in the sandbox.
    pub inside: String,
    /// The largest packet, in bytes, where the profile says so.
    pub mtu: Option<u32>,
    /// The hardware address of the end in the sandbox, where the profile says so.
    pub hardware: Option<HardwareAddress>,
    /// The bridge that the host's end becomes a port of.
    pub port: Option<Port>,
}

/// An interface that has a hardware address of its own behind one of the host's (macvlan in ip-link(8)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macvlan {
    /// The host's interface.
    pub on: String,
    /// The name in the sandbox.
    pub inside: String,
    /// The largest packet, in bytes, where the profile says so.
    pub mtu: Option<u32>,
    /// Its hardware address, where the profile says so.
    pub hardware: Option<HardwareAddress>,
}

/// The address of an interface of Ethernet: six bytes, written in hexadecimal with colons between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareAddress(pub [u8; 6]);

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The bridge.
    pub bridge: String,
    /// Whether it exchanges no packets with other isolated ports.
    pub isolated: bool,
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
}

impl Protocol {
    /// Its name in profiles.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of the host behind which there is one of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address; all of them, if none is named.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub port: u16,
    /// The sandbox's port.
    pub inside: u16,
}

impl fmt::Display for Published {
    /// As profiles have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}:{}", self.port, self.inside)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

/// Where a sandbox asks for the names of others on its bridge: an address of its loopback at which hardly anybody
/// serves.
pub const RESOLVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 11);

/// Whose names a sandbox on a bridge is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The bridge: sandboxes on it.
    pub bridge: String,
    /// The sandbox's addresses there, with their networks: addresses in those are told.
    pub own: Vec<Net>,
    /// Who is asked for all other names.
    pub servers: Vec<IpAddr>,
    /// The folder of the records.
    pub folder: PathBuf,
}

/// A port of the sandbox's loopback behind which there is one of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forwarded {
    /// The protocol.
    pub protocol: Protocol,
    /// The sandbox's port.
    pub port: u16,
    /// The port of the host's loopback.
    pub to: u16,
}

/// What becomes of packets on their way between the host and a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those of the sandbox get the host's address, unless they stay on this interface.
    Masquerade {
        /// The sandbox's address.
        from: IpAddr,
        /// The interface.
        but: String,
    },
    /// Those to a published port go to the sandbox.
    Publish {
        /// The port.
        published: Published,
        /// The sandbox's address.
        to: IpAddr,
        /// Whether those of the host's loopback, too.
        loopback: bool,
    },
    /// Those of the sandbox are not handed on to other networks, but for answers to what came by a published port.
    Keep {
        /// The host's end.
        on: String,
    },
    /// Those to the sandbox get an address of the host's that the sandbox can answer to.
    MasqueradeInwards {
        /// The sandbox's address.
        to: IpAddr,
        /// The interface that they leave by.
        by: String,
        /// Whether only those of the host's loopback.
        loopback_only: bool,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade { from, but } => {
                write!(f, "masquerade what {from} sends, but on {but}")
            }
            Self::Publish {
                published,
                to,
                loopback,
            } => {
                let Published {
                    protocol,
                    address,
                    port,
                    inside,
                } = published;
                let word = protocol.word();
                match address {
                    Some(address) => write!(f, "{word} to port {port} of {address}")?,
                    None if *loopback => write!(f, "{word} to port {port} of this host")?,
                    None => write!(f, "{word} to port {port} of this host but for loopback")?,
                }
                write!(f, " goes to port {inside} of {to}")
            }
            Self::Keep { on } => {
                write!(
                    f,
                    "hand on nothing from {on} but answers to published ports"
                )
            }
            Self::MasqueradeInwards {
                to,
                by,
                loopback_only,
            } => {
                let what = if *loopback_only {
                    "what the host's loopback sends"
                } else {
                    "what is sent"
                };
                write!(f, "masquerade {what} to {to} on {by}")
            }
        }
    }
}

/// How pasta(1) is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasta {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; it finds the sandbox's network at its standard input.
    pub arguments: Vec<String>,
    /// The user id of the sandbox that it takes.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
}

/// A line of a worse kind than there is (tc-netem(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// For how long what is sent is on its way.
    pub delay: std::time::Duration,
    /// How many packets of 2^32 are lost, but for one.
    pub loss: u32,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delay =
            (!self.delay.is_zero()).then(|| format!("delay it by {}", Duration(self.delay)));
        let loss = (self.loss > 0).then(|| {
            let percent = f64::from(self.loss) / f64::from(u32::MAX) * 100.0;
            format!("lose {} of it", Percent((percent * 1e6).round() / 1e6))
        });
        let all: Vec<_> = delay.into_iter().chain(loss).collect();
        f.write_str(&all.join(" and "))
    }
}

/// A limit on what an interface sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Where the interface is.
    pub end: End,
    /// Its name.
    pub interface: String,
    /// The most bytes each second.
    pub rate: u64,
    /// The longest packet, in bytes.
    pub packet: u32,
    /// Whether it holds for what a worse line lets out.
    pub behind: bool,
}

/// An address for an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Where the interface is.
    pub end: End,
    /// Its name.
    pub interface: String,
    /// The address.
    pub net: Net,
}
