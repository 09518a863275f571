//! Addresses that a name never leads to: what lies on this machine, in its own networks, or nowhere.

use super::Network;
use std::net::{IpAddr, Ipv4Addr};

/// Of IPv4 (RFC 6890 and what clouds have added). What is only for documentation is no harm.
const FOUR: &[(Network, &str)] = &[
    (Network::v4([0, 0, 0, 0], 8), "this machine"),
    (Network::v4([10, 0, 0, 0], 8), "private"),
    (Network::v4([100, 64, 0, 0], 10), "a provider's own"),
    (Network::v4([127, 0, 0, 0], 8), "loopback"),
    (Network::v4([169, 254, 0, 0], 16), "link-local"),
    (Network::v4([172, 16, 0, 0], 12), "private"),
    (Network::v4([192, 0, 0, 0], 24), "special"),
    (Network::v4([192, 168, 0, 0], 16), "private"),
    (Network::v4([198, 18, 0, 0], 15), "for benchmarks"),
    (Network::v4([224, 0, 0, 0], 4), "multicast"),
    (Network::v4([240, 0, 0, 0], 4), "reserved"),
    // The metadata of Azure, in a public range.
    (Network::v4([168, 63, 129, 16], 32), "a cloud's metadata"),
];

/// Of IPv6.
const SIX: &[(Network, &str)] = &[
    // What is unspecified, loopback, and IPv4 in an old form.
    (Network::v6(0, 96), "this machine"),
    (Network::v6(0x0064_ff9b_0001 << 80, 48), "private"),
    (Network::v6(0x0100 << 112, 64), "nowhere"),
    (Network::v6(0x2001_0000 << 96, 32), "a tunnel"),
    (Network::v6(0xfc00 << 112, 7), "private"),
    (Network::v6(0xfe80 << 112, 10), "link-local"),
    (Network::v6(0xfec0 << 112, 10), "private"),
    (Network::v6(0xff00 << 112, 8), "multicast"),
];

/// Networks of IPv6 that hold addresses of IPv4, and how many bits from the right those end.
const HOLDING: &[(Network, u32)] = &[
    (Network::v6(0x0064_ff9b << 96, 96), 0),
    (Network::v6(0x2002 << 112, 16), 80),
];

/// The network of one kind in which another lies wholly.
#[must_use]
pub fn range(network: &Network) -> Option<Network> {
    let kinds = FOUR.iter().chain(SIX).map(|(range, _)| range);
    let mut kinds = kinds.chain(HOLDING.iter().map(|(range, _)| range));
    kinds.find(|range| network.is_within(range)).copied()
}

/// All networks of addresses that a name never leads to.
#[must_use]
pub fn ranges() -> Vec<Network> {
    let embedded = HOLDING.iter().flat_map(|(network, below)| {
        FOUR.iter().filter_map(move |(four, _)| {
            let (IpAddr::V6(six), IpAddr::V4(address)) = (network.address(), four.address()) else {
                return None;
            };
            let bits = six.to_bits() | u128::from(address.to_bits()) << below;
            let length = network.length() + four.length();
            Some(Network::v6(bits, length))
        })
    });
    let kinds = FOUR.iter().chain(SIX).map(|(range, _)| *range);
    kinds.chain(embedded).collect()
}

/// The network of its kind that an address lies in, and the kind; `None` for what is anybody's.
#[must_use]
pub fn special(address: IpAddr) -> Option<(Network, &'static str)> {
    let among = |all: &[(Network, &'static str)]| {
        let found = all.iter().find(|(network, _)| network.holds(address));
        found.copied()
    };
    match address.to_canonical() {
        IpAddr::V4(four) if address.is_ipv6() => special(four.into()),
        IpAddr::V4(_) => among(FOUR),
        IpAddr::V6(six) => among(SIX).or_else(|| {
            let (network, below) = HOLDING.iter().find(|(n, _)| n.holds(address))?;
            let four = Ipv4Addr::from_bits((six.to_bits() >> below) as u32);
            special(four.into()).map(|(_, kind)| (*network, kind))
        }),
    }
}
