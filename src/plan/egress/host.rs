//! Hosts as rules name them: a name, all names below one, or a network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name of a host: lower case, without the dot of the root, of at most 253 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Addresses with a common prefix; never of IPv4 in the form of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// This name: `packages.example.org`.
    Name(Name),
    /// All names below this one, at any depth, and not itself: `*.mirror.example`.
    Below(Name),
    /// An address, or a network: `192.0.2.7`, `10.0.0.0/8`.
    Network(Network),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, without a subject.
    pub why: String,
    /// What to write.
    pub help: String,
}

impl Wrong {
    pub(super) fn new(why: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            help: help.into(),
        }
    }
}

/// Valid ones.
const SAMPLES: &str = "write \"packages.example.org:443\", \"*.mirror.example:80\", \"10.0.0.0/8:5432\" or \"[2001:db8::]/32:443\"";

/// The host, and the port where there is one.
pub(super) fn split(text: &str) -> Result<(&str, Option<&str>), Wrong> {
    if text.contains("://") {
        return Err(Wrong::new(
            "it is a URL",
            "write the host and the port alone, as in \"packages.example.org:443\"",
        ));
    }
    if text.starts_with('[') {
        // `[ADDRESS]:PORT`, `[ADDRESS/LENGTH]:PORT` or `[ADDRESS]/LENGTH:PORT`.
        let Some(closing) = text.rfind(']') else {
            return Err(Wrong::new("its bracket is not closed", SAMPLES));
        };
        let (_, after) = text.split_at(closing + 1);
        return match after.rsplit_once(':') {
            Some((length, port)) => {
                let host = text.split_at(text.len() - after.len() + length.len()).0;
                Ok((host, Some(port)))
            }
            None => Ok((text, None)),
        };
    }
    match text.rsplit_once(':') {
        // More than one colon: an address of IPv6, which has no port unless it stands in brackets.
        Some((host, _)) if host.contains(':') => match Network::parse(text) {
            // The last part of a whole address may have been meant for a port.
            Some(Ok(network)) if network.length == 128 => Err(Wrong::new(
                "an address of IPv6 stands in brackets",
                format!("for example: \"[{}]:443\"", network.address),
            )),
            Some(Ok(_)) => Ok((text, None)),
            _ => Err(Wrong::new(
                "an address of IPv6 stands in brackets",
                "for example: \"[2001:db8::1]:443\" or \"[2001:db8::]/32:443\"",
            )),
        },
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(network) = Network::parse(text) {
            return network.map(Self::Network);
        }
        if let Some(below) = text.strip_prefix("*.") {
            return Name::parse(below).map(Self::Below);
        }
        Name::parse(text).map(Self::Name)
    }

    /// Whether it is about a name.
    #[must_use]
    pub fn is_name(&self, name: &Name) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Below(own) => own.is_above(name),
            Self::Network(_) => false,
        }
    }

    /// Whether it is about an address, by its number.
    #[must_use]
    pub fn is_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.holds(address))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl Name {
    /// The most bytes of a name as text (RFC 1035, 2.3.4).
    const LONGEST: usize = 253;

    /// A name as it is written: in any case, with or without the dot of the root.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if !bare.is_ascii() {
            return Err(Wrong::new(
                "it is not as resolvers see it",
                "write its ASCII form, in which each such part begins with `xn--`",
            ));
        }
        let name = bare.to_ascii_lowercase();
        let label = |label: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let bytes = label.as_bytes();
            bytes.len() <= 63
                && bytes.first().is_some_and(|byte| letter(*byte))
                && bytes.last().is_some_and(|byte| letter(*byte))
                && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        // Programs take these for addresses, in forms that are none here: 127.1, 0x7f000001.
        let number = last.bytes().all(|byte| byte.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if name.len() > Self::LONGEST || number || !name.split('.').all(label) {
            return Err(Wrong::new(
                format!("`{}` is no name of a host", crate::diag::printable(text)),
                SAMPLES,
            ));
        }
        Ok(Self(name))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another name lies below this one, at any depth.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        let front = other.0.strip_suffix(&self.0);
        front.is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }

    /// Whether it is this machine's own name for itself (RFC 6761, 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.0 == "localhost" || self.0.ends_with(".localhost")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Network {
    /// An address of IPv4, with the length of the prefix.
    #[must_use]
    pub const fn v4(address: [u8; 4], length: u8) -> Self {
        let [a, b, c, d] = address;
        Self {
            address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            length,
        }
    }

    /// An address of IPv6, with the length of the prefix.
    #[must_use]
    pub const fn v6(address: u128, length: u8) -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::from_bits(address)),
            length,
        }
    }

    /// A network as it is written; `None` for what is no address at all.
    pub fn parse(text: &str) -> Option<Result<Self, Wrong>> {
        let open = text.strip_prefix('[');
        let (address, length) = match open {
            Some(rest) => {
                let (inner, after) = rest.split_once(']')?;
                match (inner.split_once('/'), after.strip_prefix('/')) {
                    (Some((address, length)), None) if after.is_empty() => (address, Some(length)),
                    (None, Some(length)) => (inner, Some(length)),
                    (None, None) if after.is_empty() => (inner, None),
                    _ => return None,
                }
            }
            None => match text.split_once('/') {
                Some((address, length)) => (address, Some(length)),
                None => (text, None),
            },
        };
        let address: IpAddr = match (address.parse().ok(), length) {
            (Some(address), _) => address,
            (None, Some(_)) if open.is_none() => {
                return Some(Err(Wrong::new(
                    format!("`{}` is no address", crate::diag::printable(address)),
                    SAMPLES,
                )));
            }
            (None, _) => return None,
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length.map(str::parse::<u8>) {
            None => most,
            Some(Ok(length)) if length <= most => length,
            Some(_) => {
                return Some(Err(Wrong::new(
                    "its prefix has no such length",
                    format!("here it is a number of bits from 0 to {most}"),
                )));
            }
        };
        let network = Self { address, length };
        let clean = network.masked();
        if clean != address {
            return Some(Err(Wrong::new(
                "there are bits of the address beyond the prefix",
                format!("write {clean}/{length} for the network, or the address alone"),
            )));
        }
        Some(Ok(match (address, length.checked_sub(96)) {
            (IpAddr::V6(six), Some(length)) => match six.to_ipv4_mapped() {
                Some(four) => Self {
                    address: four.into(),
                    length,
                },
                None => network,
            },
            _ => network,
        }))
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix, in bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    fn masked(&self) -> IpAddr {
        let length = u32::from(self.length);
        match self.address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                Ipv4Addr::from_bits(four.to_bits() & mask).into()
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                Ipv6Addr::from_bits(six.to_bits() & mask).into()
            }
        }
    }

    /// Whether an address, in its own form, lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let of = Self {
            address,
            length: self.length,
        };
        address.is_ipv4() == self.address.is_ipv4() && of.masked() == self.address
    }

    /// Whether all of it lies in another one.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.length >= other.length && other.holds(self.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.length) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => self.address.fmt(f),
            _ => write!(f, "{}/{}", self.address, self.length),
        }
    }
}
