//! What of the network was not reached, and what to write so that it is: one sentence each, and the same as data.

use crate::diag::Sources;
use crate::plan::egress::{End, Protocol, Reason};
use crate::sections::Profile;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// What a command has tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Meant {
    /// To resolve a name.
    Resolve(String),
    /// To resolve a name that leads to this address, among others.
    Answer(String, IpAddr),
    /// To connect, or to send to, this end; with the name that was meant, if one is known.
    Connect(End, Option<String>),
}

/// What was refused, once or more often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub meant: Meant,
    /// Why it was refused.
    pub reason: Reason,
    /// How often.
    pub times: u64,
}

/// All that was refused, in the order of the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreached {
    /// Each different attempt.
    pub all: Vec<Attempt>,
    /// How many more there were than can be kept apart.
    pub others: u64,
}

/// A refused attempt, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// `resolve` or `connect`.
    pub attempt: &'static str,
    /// The name that was meant, if one is known.
    pub name: Option<String>,
    /// The address.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: Option<u16>,
    /// `tcp` or `udp`.
    pub protocol: Option<&'static str>,
    /// How often.
    pub times: u64,
    /// What refuses it.
    pub rule: String,
    /// The line that says so.
    pub line: String,
    /// The column in that line, from 1.
    pub column: Option<usize>,
    /// What to write to allow it.
    pub remedy: String,
}

/// Explains what was refused under a profile.
#[must_use]
pub fn explain(unreached: &Unreached, profile: &Profile, sources: &Sources) -> Vec<Denied> {
    let Some(egress) = &profile.network.egress else {
        return Vec::new();
    };
    let one = |attempt: &Attempt| {
        let (name, end) = match &attempt.meant {
            Meant::Resolve(name) => (Some(name), None),
            Meant::Answer(name, address) => (Some(name), Some((*address, None))),
            Meant::Connect(end, name) => (
                name.as_ref(),
                Some((end.address, Some((end.port, end.protocol)))),
            ),
        };
        let whom = match &attempt.meant {
            Meant::Connect(End { address, .. }, None) => address.to_string(),
            Meant::Answer(_, address) => address.to_string(),
            Meant::Resolve(name) | Meant::Connect(_, Some(name)) => name.clone(),
        };
        let port = end.and_then(|(_, port)| port);
        let refused = egress.refused(attempt.reason, &whom, end.map(|end| end.0), port);
        Denied {
            attempt: match attempt.meant {
                Meant::Connect(..) => "connect",
                Meant::Resolve(_) | Meant::Answer(..) => "resolve",
            },
            name: name.cloned(),
            address: end.map(|(address, _)| address),
            port: port.map(|(port, _)| port),
            protocol: port.map(|(_, protocol)| match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            }),
            times: attempt.times,
            rule: refused.rule,
            line: refused.origin.display(sources).to_string(),
            column: (refused.origin.region(sources)).map(|(_, region)| region.start.column),
            remedy: refused.remedy,
        }
    };
    unreached.all.iter().map(one).collect()
}

/// Two lines, without an end: what was refused and by what, and what to write.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut what = format!("denied: {}", self.attempt);
        let end = self.address.map(|address| {
            let udp = if self.protocol == Some("udp") {
                "/udp"
            } else {
                ""
            };
            match self.port {
                Some(port) => format!("{}{udp}", std::net::SocketAddr::new(address, port)),
                None => address.to_string(),
            }
        });
        match (&self.name, end) {
            (Some(name), Some(end)) => what.push_str(&format!(" {name} ({end})")),
            (Some(name), None) => what.push_str(&format!(" {name}")),
            (None, Some(end)) => what.push_str(&format!(" {end}")),
            (None, None) => {}
        }
        if self.times > 1 {
            what.push_str(&format!(" {} times", self.times));
        }
        writeln!(f, "{what:<56}  {}  {}", self.rule, self.line)?;
        write!(f, "        to allow it: {}", self.remedy)
    }
}
