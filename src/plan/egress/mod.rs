//! What of the network a command may reach: the rules of `[network]`, and what they decide.
//!
//! A decision is a function of the rules and of what is asked; nothing here asks the network. A name is decided
//! on when it is to be resolved, an address when it is to be connected to, and a name once more when the
//! command says it over the connection. `deny` comes first, whatever order is written.

mod host;
mod special;

pub use host::{Host, Name, Network, Wrong};
pub use special::{range as special_range, ranges as special_ranges, special};

use super::ports::Ports;
use std::fmt;
use std::net::IpAddr;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A line of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Whom it is about.
    pub host: Host,
    /// Which ports; `None`, in `deny` alone, is every one.
    pub port: Option<Ports>,
    /// Over what; `None`, in `deny` alone, is both.
    pub protocol: Option<Protocol>,
}

/// What of the network a command may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is permitted, each with a port and a protocol; all else is refused.
    pub allow: Vec<Rule>,
    /// What is refused although it is permitted.
    pub deny: Vec<Rule>,
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The address, never one of IPv4 in the form of IPv6.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Why something is permitted: the index of the line of `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// The address itself is.
    Address(usize),
    /// It is one that a permitted name has resolved to.
    Name(usize),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// By this line of `deny`.
    Denied(usize),
    /// No line of `allow` is about it.
    NotAllowed,
    /// This line of `allow` is about the host, and about another port or protocol.
    OtherPort(usize),
    /// The address is of a kind that a name never leads to: what kind.
    Special(&'static str),
    /// What was said over the connection names nobody, and ought to.
    Nameless,
}

impl Rule {
    /// A rule as it is written: `HOST:PORT`, with `/udp` or `/tcp` after it; in `deny`, all after the host may be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, deny: bool) -> Result<Self, Wrong> {
        let (rest, protocol) = match text.rsplit_once('/') {
            Some((rest, "tcp")) => (rest, Some(Protocol::Tcp)),
            Some((rest, "udp")) => (rest, Some(Protocol::Udp)),
            _ => (text, None),
        };
        let (host, port) = host::split(rest)?;
        let port = match port {
            None if !deny => {
                return Err(Wrong::new(
                    "it has no port",
                    format!("for example: \"{rest}:443\""),
                ));
            }
            None => None,
            Some(digits) => match Ports::parse(digits) {
                Ok(ports) => Some(ports),
                Err(why) => {
                    return Err(Wrong::new(
                        why,
                        "for example: 443, or 8000-8010 for several in a row",
                    ));
                }
            },
        };
        Ok(Self {
            host: Host::parse(host)?,
            port,
            protocol: match protocol {
                None if !deny => Some(Protocol::Tcp),
                protocol => protocol,
            },
        })
    }

    /// Whether all that a line is about, another one is too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let port =
            (other.port).is_none_or(|theirs| self.port.is_some_and(|own| own.is_within(theirs)));
        let protocol = other.protocol.is_none() || self.protocol == other.protocol;
        let host = match (&self.host, &other.host) {
            (Host::Name(own), _) => other.host.is_name(own),
            (Host::Below(own), Host::Below(theirs)) => own == theirs || theirs.is_above(own),
            // What opens addresses of a kind is about those, and a wider network is not.
            (Host::Network(own), Host::Network(theirs)) => {
                own.is_within(theirs)
                    && special::range(own).is_none_or(|range| theirs.is_within(&range))
            }
            _ => false,
        };
        port && protocol && host
    }

    /// Whether there may be something that both are about.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let ports = self
            .port
            .zip(other.port)
            .is_none_or(|(own, theirs)| own.meets(theirs));
        let protocols =
            (self.protocol.zip(other.protocol)).is_none_or(|(own, theirs)| own == theirs);
        let hosts = match (&self.host, &other.host) {
            // A name may lead to any address.
            (Host::Network(own), Host::Network(theirs)) => {
                own.is_within(theirs) || theirs.is_within(own)
            }
            (Host::Network(_), _) | (_, Host::Network(_)) => true,
            (Host::Name(own), _) => other.host.is_name(own),
            (_, Host::Name(theirs)) => self.host.is_name(theirs),
            (Host::Below(own), Host::Below(theirs)) => {
                own == theirs || own.is_above(theirs) || theirs.is_above(own)
            }
        };
        ports && protocols && hosts
    }

    fn is_about_port(&self, port: u16, protocol: Protocol) -> bool {
        self.port.is_none_or(|own| own.has(port)) && self.protocol.is_none_or(|own| own == protocol)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Host::Network(network), Some(_)) if network.is_v6() => write!(f, "[{network}]")?,
            (host, _) => write!(f, "{host}")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.protocol {
            Some(Protocol::Udp) => f.write_str("/udp"),
            Some(Protocol::Tcp) if self.port.is_none() => f.write_str("/tcp"),
            _ => Ok(()),
        }
    }
}

impl End {
    /// With the address in its own form.
    #[must_use]
    pub fn new(address: IpAddr, port: u16, protocol: Protocol) -> Self {
        Self {
            address: address.to_canonical(),
            port,
            protocol,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::SocketAddr::new(self.address, self.port);
        match self.protocol {
            Protocol::Tcp => write!(f, "{address}"),
            Protocol::Udp => write!(f, "{address}/udp"),
        }
    }
}

impl Rules {
    /// The ports of a protocol that anything is permitted at, each once, in order.
    #[must_use]
    pub fn ports(&self, protocol: Protocol) -> Vec<u16> {
        let of = |rule: &Rule| rule.port.filter(|_| rule.protocol == Some(protocol));
        let ports = self.allow.iter().filter_map(of);
        let mut ports: Vec<_> = ports.flat_map(Ports::all).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Whether a name may be resolved: whether it may be reached at any port.
    ///
    /// # Errors
    /// Why not.
    pub fn name(&self, name: &Name) -> Result<usize, Reason> {
        let mut refused = Reason::NotAllowed;
        for (at, rule) in self.allow.iter().enumerate() {
            if let (true, Some(ports), Some(protocol)) =
                (rule.host.is_name(name), rule.port, rule.protocol)
            {
                for port in ports.all() {
                    match self.denies_name(name, port, protocol) {
                        None => return Ok(at),
                        Some(by) => refused = Reason::Denied(by),
                    }
                }
            }
        }
        // A line of `deny` that no line of `allow` is behind tells more than that there is none.
        let denied = self.deny.iter().position(|rule| rule.host.is_name(name));
        Err(match (refused, denied) {
            (Reason::NotAllowed, Some(by)) => Reason::Denied(by),
            _ => refused,
        })
    }

    /// Whether a permitted name may lead to an address at any port.
    ///
    /// # Errors
    /// Why not.
    pub fn answer(&self, address: IpAddr) -> Result<(), Reason> {
        let address = address.to_canonical();
        let whole = |rule: &Rule| rule.port.is_none() && rule.protocol.is_none();
        let denied = |rule: &Rule| whole(rule) && rule.host.is_address(address);
        if let Some(by) = self.deny.iter().position(denied) {
            return Err(Reason::Denied(by));
        }
        match special(address) {
            Some((_, kind)) if !self.allow.iter().any(|rule| opens(rule, address)) => {
                Err(Reason::Special(kind))
            }
            _ => Ok(()),
        }
    }

    /// Whether an address may be connected to; `names` are those permitted ones that have resolved to it.
    ///
    /// # Errors
    /// Why not.
    pub fn connect(&self, end: End, names: &[Name]) -> Result<Permit, Reason> {
        let End {
            address,
            port,
            protocol,
        } = end;
        let here = |rule: &Rule| rule.is_about_port(port, protocol);
        let denied = |rule: &Rule| here(rule) && rule.host.is_address(address);
        if let Some(by) = self.deny.iter().position(denied) {
            return Err(Reason::Denied(by));
        }
        let allowed = |rule: &Rule| here(rule) && opens(rule, address);
        if let Some(at) = self.allow.iter().position(allowed) {
            return Ok(Permit::Address(at));
        }
        let special = special(address);
        let mut refused = Reason::NotAllowed;
        for name in names {
            match self.reach(name, port, protocol) {
                Ok(at) if special.is_none() => return Ok(Permit::Name(at)),
                Ok(_) => {}
                Err(reason) => refused = reason,
            }
        }
        let other = self.allow.iter().position(|rule| opens(rule, address));
        Err(match (refused, other, special) {
            (Reason::NotAllowed, Some(at), _) => Reason::OtherPort(at),
            (_, _, Some((_, kind))) => Reason::Special(kind),
            _ => refused,
        })
    }

    /// Whether a name may be said over a connection that is permitted.
    ///
    /// # Errors
    /// Why not.
    pub fn said(&self, permit: Permit, name: &Name, end: End) -> Result<(), Reason> {
        match permit {
            // Whoever is permitted by number may be called anything but what is denied.
            Permit::Address(_) => match self.denies_name(name, end.port, end.protocol) {
                Some(by) => Err(Reason::Denied(by)),
                None => Ok(()),
            },
            Permit::Name(_) => self.reach(name, end.port, end.protocol).map(drop),
        }
    }

    /// Whether it matters what is said over a connection that is permitted.
    #[must_use]
    pub fn asks_what_is_said(&self, permit: Permit, end: End) -> bool {
        let name = |rule: &Rule| {
            !matches!(rule.host, Host::Network(_)) && rule.is_about_port(end.port, end.protocol)
        };
        matches!(permit, Permit::Name(_)) || self.deny.iter().any(name)
    }

    /// Whether a name may be reached at a port, whatever its address is.
    ///
    /// # Errors
    /// Why not.
    pub fn reach(&self, name: &Name, port: u16, protocol: Protocol) -> Result<usize, Reason> {
        if let Some(by) = self.denies_name(name, port, protocol) {
            return Err(Reason::Denied(by));
        }
        let mut about = (self.allow.iter().enumerate()).filter(|(_, rule)| rule.host.is_name(name));
        let mut other = None;
        about
            .find(|(at, rule)| {
                other = other.or(Some(*at));
                rule.is_about_port(port, protocol)
            })
            .map(|(at, _)| at)
            .ok_or(other.map_or(Reason::NotAllowed, Reason::OtherPort))
    }

    fn denies_name(&self, name: &Name, port: u16, protocol: Protocol) -> Option<usize> {
        let denies = |rule: &Rule| rule.is_about_port(port, protocol) && rule.host.is_name(name);
        self.deny.iter().position(denies)
    }
}

/// Whether a line permits an address by its number. A special one only if the whole network of the line is of its
/// kind: nobody who writes 0.0.0.0/0 means the metadata of a cloud.
fn opens(rule: &Rule, address: IpAddr) -> bool {
    let Host::Network(network) = &rule.host else {
        return false;
    };
    network.holds(address) && special(address).is_none_or(|(range, _)| network.is_within(&range))
}

#[cfg(test)]
mod tests;
