//! The caller's network, as far as a plan asks for it: interfaces, their addresses, resolvers.

use super::netlink::Netlink;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The device by which tap interfaces are made.
pub const TUN: &str = "/dev/net/tun";

/// An address and how many of its first bits all of its network have: `172.2.0.2/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Net {
    /// The address.
    pub address: IpAddr,
    /// How many bits: up to 32 or 128.
    pub prefix: u8,
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Net {
    /// Reads one; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = digits.then(|| prefix.parse().ok())??;
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// How many bits tell the addresses of the network apart.
    #[must_use]
    pub fn room(self) -> u8 {
        bits(self.address).saturating_sub(self.prefix)
    }

    /// The network's address that many behind its first; of the network alone, if there is no such.
    #[must_use]
    pub fn nth(self, offset: u128) -> Option<Self> {
        let first = self.first();
        let number = first.checked_add(offset)?;
        let address = match self.address {
            IpAddr::V4(_) => Ipv4Addr::from_bits(number.try_into().ok()?).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
        };
        self.holds(address).then_some(Self {
            address,
            prefix: self.prefix,
        })
    }

    /// Whether an address lies in the network.
    #[must_use]
    pub fn holds(self, address: IpAddr) -> bool {
        let other = Self {
            address,
            prefix: self.prefix,
        };
        self.address.is_ipv4() == address.is_ipv4() && self.first() == other.first()
    }

    /// Whether an address lies in both networks.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        match self.prefix <= other.prefix {
            true => self.holds(other.address),
            false => other.holds(self.address),
        }
    }

    /// Whether this is the first address of the network, or the last one of IPv4: these are nobody's.
    #[must_use]
    pub fn is_nobodys(self) -> bool {
        if self.room() < 2 {
            return false;
        }
        let number = number(self.address);
        let last = self.first() | (self.span() - 1);
        number == self.first() || (self.address.is_ipv4() && number == last)
    }

    /// How many addresses the network has; at most half of all that there are.
    fn span(self) -> u128 {
        1 << self.room().min(127)
    }

    fn first(self) -> u128 {
        match self.room() {
            128 => 0,
            room => number(self.address) >> room << room,
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is a bridge.
    pub is_bridge: bool,
    /// Its addresses.
    pub addresses: Vec<Net>,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Whether packets of IPv4, and of IPv6, are handed on from one interface to another.
    pub forwards: [bool; 2],
    /// Whether there is IPv6.
    pub has_ipv6: bool,
}

impl Networks {
    /// Of the network namespace that this process is in.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn here() -> nix::Result<Self> {
        let is_on = |path: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0");
        Ok(Self {
            interfaces: interfaces(&mut Netlink::route()?)?,
            forwards: [
                is_on("/proc/sys/net/ipv4/ip_forward"),
                is_on("/proc/sys/net/ipv6/conf/all/forwarding"),
            ],
            has_ipv6: Path::new("/proc/sys/net/ipv6").exists(),
        })
    }

    /// One by its name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|one| one.name == name)
    }

    /// The interface, other than `but`, that has an address of this network.
    #[must_use]
    pub fn with(&self, net: Net, but: Option<&str>) -> Option<&Interface> {
        let others = self.interfaces.iter();
        let mut others = others.filter(|one| Some(one.name.as_str()) != but);
        others.find(|one| one.addresses.iter().any(|other| other.overlaps(net)))
    }
}

/// The interfaces where the socket was made, with their addresses.
///
/// # Errors
/// What the kernel says.
pub fn interfaces(netlink: &mut Netlink) -> nix::Result<Vec<Interface>> {
    let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let mut all: Vec<_> = links.into_iter().filter_map(interface).collect();
    let addresses = netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    for message in addresses {
        if let RouteNetlinkMessage::NewAddress(message) = message
            && let Some(one) = all.iter_mut().find(|one| one.index == message.header.index)
        {
            // The local end of one whose other end has another address.
            let local = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Local(address) => Some(*address),
                    _ => None,
                });
            let address = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Address(address) => Some(*address),
                    _ => None,
                });
            one.addresses.extend(local.or(address).map(|address| Net {
                address,
                prefix: message.header.prefix_len,
            }));
        }
    }
    Ok(all)
}

fn interface(message: RouteNetlinkMessage) -> Option<Interface> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    let mut found = Interface {
        index: message.header.index,
        ..Interface::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => found.name = name,
            LinkAttribute::LinkInfo(infos) => {
                found.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
            }
            _ => {}
        }
    }
    Some(found)
}

/// The resolvers that resolv.conf(5) names; where it names one on loopback, which is another one in another
/// network, those that systemd-resolved(8) asks itself.
#[must_use]
pub fn resolvers() -> Vec<IpAddr> {
    let files = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
    let named = files.map(|file| named_in(&std::fs::read_to_string(file).unwrap_or_default()));
    named
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The resolvers of a resolv.conf(5) that can be reached from another network namespace.
fn named_in(text: &str) -> Vec<IpAddr> {
    let words = text.lines().map(str::split_whitespace);
    let named = words.filter_map(|mut words| match words.next() {
        Some("nameserver") => words.next()?.parse::<IpAddr>().ok(),
        _ => None,
    });
    named
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn networks_are_read_and_printed() {
        for text in [
            "172.2.0.2/24",
            "::/0",
            "fd00::2/64",
            "0.0.0.0/0",
            "10.0.0.1/32",
        ] {
            assert_eq!(net(text).to_string(), text);
        }
        for wrong in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "::/129",
            "10.0.0.1/+8",
            "a/8",
        ] {
            assert_eq!(Net::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert!(net("10.1.2.3/16").overlaps(net("10.1.255.0/30")));
        assert!(net("10.1.255.0/30").overlaps(net("10.1.2.3/16")));
        assert!(!net("10.1.2.3/16").overlaps(net("10.2.0.0/16")));
        assert!(!net("0.0.0.0/0").overlaps(net("::/0")));
        assert!(net("::/0").overlaps(net("fd00::/64")));
        assert_eq!(net("10.1.2.3/30").nth(1), Some(net("10.1.2.1/30")));
        assert_eq!(net("10.1.2.3/30").nth(4), None);
        assert_eq!(net("255.255.255.254/31").nth(2), None);
        assert_eq!(net("fd00::9/64").nth(2), Some(net("fd00::2/64")));
        assert!(net("10.1.2.3/30").is_nobodys() && net("10.1.2.0/30").is_nobodys());
        assert!(!net("10.1.2.0/31").is_nobodys() && !net("10.1.2.1/30").is_nobodys());
        assert!(net("fd00::/64").is_nobodys() && !net("fd00::1/64").is_nobodys());
    }

    #[test]
    fn resolvers_on_loopback_are_no_use_elsewhere() {
        let text = "# a\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n search x\nnameserver ::1\nnameserver fd00::1\nnameserver\n";
        let found = named_in(text)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        assert_eq!(found, ["192.0.2.1", "fd00::1"]);
    }
}
