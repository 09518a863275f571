//! The sandbox's own packet filter: what it sends goes to what the rules permit, by address and port, and nowhere
//! else. It lies in the sandbox's network namespace, over which the command has no power, and goes with that.

use crate::host::nftables::{
    Base, Batch, Expression, Verdict, carries, compare, destination, hook, is_answer, leaves_by,
    mask, octets, payload, port, reject, tell, verdict, version, within,
};
use crate::plan::egress::{Host, Network, Protocol, Rule, Rules, special_range, special_ranges};
use crate::plan::ports::Ports;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most lines of both lists: they go to the kernel in one message of bounded length.
pub const MOST_LINES: usize = 128;

/// The group of nfnetlink_log to which refused packets are told; it is the sandbox's network's own.
pub const GROUP: u16 = 1;

/// As much of a refused packet as is told: its headers.
pub const KEPT: u32 = 128;

/// The filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketFilter {
    /// What it is made of.
    pub rules: Rules,
    /// The same as the kernel takes it: messages of nfnetlink, of which the last is answered.
    pub batch: Vec<u8>,
}

impl PacketFilter {
    /// The filter of some rules, in which no host is a name.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            batch: batch(&lines(rules)),
        }
    }
}

/// What becomes of packets to some end. The first line that is about a packet decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    network: Network,
    /// `None`: whatever the packet carries.
    ports: Option<Ports>,
    /// `None`: both.
    protocol: Option<Protocol>,
    accepts: bool,
}

/// The rules in order. Of all that is left, nothing is let out.
fn lines(rules: &Rules) -> Vec<Line> {
    let by_address = |rule: &Rule, accepts: bool| match rule.host {
        Host::Network(network) => Some(Line {
            network,
            ports: rule.port,
            protocol: rule.protocol,
            accepts,
        }),
        Host::Name(_) | Host::Below(_) => None,
    };
    let denied = rules.deny.iter().filter_map(|rule| by_address(rule, false));
    let allowed = rules.allow.iter().filter_map(|rule| by_address(rule, true));
    let ranges = special_ranges();
    // What is special is permitted only by a line that is about nothing else.
    let of_a_kind = |line: &Line| special_range(&line.network).is_some();
    let (narrow, wide): (Vec<_>, Vec<_>) = allowed.partition(of_a_kind);
    let special: Vec<_> = ranges
        .iter()
        .filter(|range| wide.iter().any(|line| range.is_within(&line.network)))
        .map(|range| Line {
            network: *range,
            ports: None,
            protocol: None,
            accepts: false,
        })
        .collect();
    denied.chain(narrow).chain(special).chain(wide).collect()
}

fn batch(lines: &[Line]) -> Vec<u8> {
    /// The chain that all goes through that is sent, and the one for what is refused.
    const SENT: &str = "sent";
    const REFUSED: &str = "refused";
    let mut batch = Batch::new("egress", false);
    batch.chain(REFUSED, None);
    let sent = Base {
        kind: "filter",
        hook: hook::LOCAL_OUT,
        priority: 0,
        drops: true,
    };
    batch.chain(SENT, Some(sent));
    batch.rule(REFUSED, &[tell(GROUP, KEPT)]);
    let reset = [&carries(libc::IPPROTO_TCP)[..], &[reject(true)]].concat();
    batch.rule(REFUSED, &reset);
    batch.rule(REFUSED, &[reject(false)]);
    let accept = [verdict(Verdict::Accept)];
    let own = [&leaves_by(true, "lo")[..], &accept].concat();
    batch.rule(SENT, &own);
    batch.rule(SENT, &[&is_answer()[..], &accept].concat());
    // Routers and neighbours are found by messages of ICMPv6, of the types 133 to 136 (RFC 4861).
    let neighbours = [
        &version(false)[..],
        &carries(libc::IPPROTO_ICMPV6),
        &[payload(2, 0, 1)],
        &within(&[133], &[136]),
        &accept,
    ];
    batch.rule(SENT, &neighbours.concat());
    for line in lines {
        let protocols = match (line.protocol, line.ports) {
            (Some(protocol), _) => vec![Some(protocol)],
            (None, Some(_)) => vec![Some(Protocol::Tcp), Some(Protocol::Udp)],
            (None, None) => vec![None],
        };
        for protocol in protocols {
            batch.rule(SENT, &expressions(line, protocol, REFUSED));
        }
    }
    batch.rule(SENT, &[verdict(Verdict::Goto(REFUSED))]);
    batch.finish()
}

fn expressions(line: &Line, protocol: Option<Protocol>, refused: &str) -> Vec<Expression> {
    let network = &line.network;
    let ipv4 = !network.is_v6();
    let mut all = version(ipv4).to_vec();
    if network.length() > 0 {
        all.push(destination(ipv4));
        let bits = bits(network);
        if bits.iter().any(|byte| *byte != u8::MAX) {
            all.push(mask(&bits));
        }
        all.push(compare(true, &octets(network.address())));
    }
    if let Some(protocol) = protocol {
        all.extend(carries(match protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        }));
    }
    if let Some(ports) = line.ports {
        let (first, last) = ports.ends();
        all.push(port());
        all.extend(within(&first.to_be_bytes(), &last.to_be_bytes()));
    }
    all.push(verdict(match line.accepts {
        true => Verdict::Accept,
        false => Verdict::Goto(refused),
    }));
    all
}

/// The bits of an address that a network has in common.
fn bits(network: &Network) -> Vec<u8> {
    let rest = |all: u32| all.saturating_sub(network.length().into());
    let address: IpAddr = if network.is_v6() {
        Ipv6Addr::from_bits(u128::MAX.checked_shl(rest(128)).unwrap_or(0)).into()
    } else {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(rest(32)).unwrap_or(0)).into()
    };
    octets(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::egress::End;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let read = |lines: &[&str], deny| {
            let lines = lines.iter();
            lines
                .map(|line| Rule::parse(line, deny).unwrap())
                .collect::<Vec<_>>()
        };
        Rules {
            allow: read(allow, false),
            deny: read(deny, true),
        }
    }

    fn accepts(lines: &[Line], end: End) -> bool {
        let about = |line: &&Line| {
            line.network.holds(end.address)
                && line.ports.is_none_or(|ports| ports.has(end.port))
                && line.protocol.is_none_or(|own| own == end.protocol)
        };
        lines.iter().find(about).is_some_and(|line| line.accepts)
    }

    #[test]
    fn the_lines_decide_as_the_rules_do() {
        let allow = [
            "0.0.0.0/0:443",
            "[::]/0:443",
            "10.0.0.0/8:5432",
            "10.1.0.0/16:443",
            "169.254.169.254:80",
            "[fd00::]/8:53/udp",
            "[2002::]/16:443",
            "192.0.2.0/24:8000-8010",
            "203.0.113.7:443/udp",
        ];
        let deny = [
            "192.0.2.9",
            "198.51.100.0/24:443",
            "10.1.2.0/24/udp",
            "[2001:db8::1]",
        ];
        let addresses = [
            "8.8.8.8",
            "10.0.0.1",
            "10.1.0.1",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.2.8",
            "192.0.2.9",
            "198.51.100.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "2001:db8::1",
            "2001:db8::2",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::1",
            "64:ff9b::a00:1",
            "64:ff9b::808:808",
            "2002:a00:1::",
            "2002:808:808::",
        ];
        for allowed in 0..1 << allow.len() {
            for denied in [0, 0b1111, 0b0101] {
                let some = |lines: &'static [&str], bits: usize| {
                    let chosen = lines
                        .iter()
                        .enumerate()
                        .filter(move |(at, _)| bits >> at & 1 == 1);
                    chosen.map(|(_, line)| *line).collect::<Vec<_>>()
                };
                let rules = rules(
                    &some(allow.to_vec().leak(), allowed),
                    &some(deny.to_vec().leak(), denied),
                );
                let lines = lines(&rules);
                for address in addresses {
                    for (port, protocol) in [
                        (443, Protocol::Tcp),
                        (443, Protocol::Udp),
                        (53, Protocol::Udp),
                        (80, Protocol::Tcp),
                        (5432, Protocol::Tcp),
                        (8010, Protocol::Tcp),
                        (8011, Protocol::Tcp),
                    ] {
                        let end = End::new(address.parse().unwrap(), port, protocol);
                        let wanted = rules.connect(end, &[]).is_ok();
                        assert_eq!(accepts(&lines, end), wanted, "{end}: {rules:?}");
                    }
                }
            }
        }
    }
}
