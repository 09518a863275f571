//! A network that a pair of interfaces connects with the host's (veth(4)).

use super::Network;
use super::user::INSIDE;
use crate::diag::{At, Origin};
use crate::host::cgroup::start_time;
use crate::host::network::{Net, Networks};
use crate::host::probe::Mechanism;
use crate::plan::op::network::{
    Assigned, End, HardwareAddress, Limited, Names, Pair, Port, Protocol, Published, RESOLVER, Rule,
};
use crate::plan::{Draft, Op, Phase};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// From where networks are taken, unless the profile says so.
const POOL: [Net; 2] = [
    Net {
        address: IpAddr::V4(Ipv4Addr::new(10, 213, 0, 0)),
        prefix: 16,
    },
    Net {
        address: IpAddr::V6(Ipv6Addr::new(0xfd73, 0x6278, 0, 0, 0, 0, 0, 0)),
        prefix: 48,
    },
];

/// The longest packet of a pair, unless the profile says so.
const PACKET: u32 = 1500;
/// The length of a header of Ethernet, with one tag of a VLAN.
const ETHERNET: u32 = 18;

/// One network that both ends are in.
struct Shared {
    inside: Net,
    /// The host's end; on a bridge it has none.
    host: Option<Net>,
    origin: Origin,
}

impl Network {
    /// Makes the pair, gives it addresses, and opens the ways that the profile asks for.
    pub(super) fn connect_by_pair(&self, draft: &mut Draft<'_>) {
        let origin = &self.mode.origin;
        if !draft.host.caller.has_rights_over_network() {
            draft.wants([Mechanism::Veth]);
            return draft.refuse(
                origin,
                "only root may connect a sandbox with the host's network by a pair of interfaces",
                "write `mode = \"user\"`, which plain users may, or run as root",
            );
        }
        let outside = name(draft.host.caller.pid);
        let networks = draft.host.networks();
        let port = self.bridge.as_ref().map(|bridge| {
            let name = &bridge.value.0;
            if !networks.named(name).is_some_and(|found| found.is_bridge) {
                draft.refuse(
                    &bridge.origin,
                    format!("the host has no bridge `{name}`"),
                    format!("make it: ip link add {name} type bridge && ip link set {name} up"),
                );
            }
            Port {
                bridge: name.clone(),
                isolated: self.isolated.value,
            }
        });
        let shared = match (&self.auto, self.address.is_empty()) {
            (Some(origin), _) => self.of_bridge(origin, networks, draft),
            (None, true) => self.of_pool(networks, draft),
            (None, false) => self.as_given(networks, draft),
        };
        let by = port
            .as_ref()
            .map_or(outside.clone(), |port| port.bridge.clone());
        let pair = Op::MakePair(Pair {
            outside: outside.clone(),
            inside: INSIDE.into(),
            mtu: self.mtu.as_ref().map(|mtu| mtu.value),
            hardware: match (&self.hardware_address, shared.first()) {
                (Some(one), _) => Some(one.value),
                (None, Some(one)) if port.is_some() => Some(hardware_of(one.inside.address)),
                (None, _) => None,
            },
            port,
        });
        draft.step(Phase::Attach, pair, origin);
        self.settings(&outside, &shared, networks, draft);
        for end in [End::Host, End::Inside] {
            let interface = match end {
                End::Host => outside.clone(),
                End::Inside => INSIDE.to_owned(),
            };
            for one in &shared {
                let net = match end {
                    End::Host => one.host,
                    End::Inside => Some(one.inside),
                };
                if let Some(net) = net {
                    let assigned = Assigned {
                        end,
                        interface: interface.clone(),
                        net,
                    };
                    draft.step(Phase::Attach, Op::AddAddress(assigned), &one.origin);
                }
            }
            let worse = self.worse();
            if let Some((line, origin)) = worse {
                let interface = interface.clone();
                let op = Op::Worsen {
                    end,
                    interface,
                    line,
                };
                draft.step(Phase::Attach, op, origin);
            }
            if let Some(At { value, origin }) = &self.rate {
                let limited = Limited {
                    end,
                    interface: interface.clone(),
                    rate: value.0,
                    packet: self.mtu.as_ref().map_or(PACKET, |mtu| mtu.value) + ETHERNET,
                    behind: worse.is_some(),
                };
                draft.step(Phase::Attach, Op::LimitRate(limited), origin);
            }
            let op = Op::RaiseInterface { end, interface };
            draft.step(Phase::Attach, op, origin);
        }
        for At { value, origin } in self.gateways(&shared, networks, draft) {
            let op = Op::AddDefaultRoute {
                gateway: value,
                interface: INSIDE.into(),
            };
            draft.step(Phase::Attach, op, &origin);
        }
        self.translate(&outside, &by, &shared, networks, draft);
        self.resolve_names(&shared, draft);
    }

    /// Answers for the names of others on the bridge.
    fn resolve_names(&self, shared: &[Shared], draft: &mut Draft<'_>) {
        let (true, Some(bridge)) = (self.names.value, &self.bridge) else {
            return;
        };
        let origin = &self.names.origin;
        let Some(folder) = draft.host.runtime().map(PathBuf::from) else {
            return draft.refuse(
                origin,
                "there is no folder for the records of runs, by which names are known",
                "set XDG_RUNTIME_DIR to a folder that only you may enter (mode 0700), as a login under systemd does",
            );
        };
        let servers = self.servers(draft).into_iter();
        let names = Names {
            bridge: bridge.value.0.clone(),
            own: shared.iter().map(|one| one.inside).collect(),
            servers: servers.filter(|one| *one != IpAddr::V4(RESOLVER)).collect(),
            folder,
        };
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            draft.step(Phase::GateNetwork, Op::ListenForNames(protocol), origin);
        }
        draft.step(Phase::Gate, Op::ResolveNames(Box::new(names)), origin);
    }

    /// An address of each network of the bridge, to be reserved. Which one depends on the process, so that runs that
    /// start side by side choose differently; whether anybody has it is found out when it is reserved.
    fn of_bridge(
        &self,
        origin: &Origin,
        networks: &Networks,
        draft: &mut Draft<'_>,
    ) -> Vec<Shared> {
        let bridge = self.bridge.as_ref().map(|bridge| bridge.value.0.as_str());
        let Some(found) = bridge.and_then(|name| networks.named(name)) else {
            return Vec::new();
        };
        let is_wide = |net: &&Net| net.room() >= 2 && !is_of_link(net.address);
        let nets: Vec<_> = found.addresses.iter().filter(is_wide).copied().collect();
        if nets.is_empty() {
            draft.refuse(
                origin,
                format!(
                    "the bridge {} has no address, of whose network one could be chosen",
                    found.name
                ),
                format!(
                    "give it one: ip address add 10.9.0.1/24 dev {}; or name the sandbox's address",
                    found.name
                ),
            );
        }
        let mut shared = Vec::new();
        for net in nets {
            let is_taken = |address| {
                let mut held = found.addresses.iter().map(|one| one.address);
                held.any(|one| one == address) || draft.host.is_avoided(address)
            };
            let Some(inside) = free_address(net, draft.host.caller.pid, is_taken) else {
                draft.refuse(
                    origin,
                    format!(
                        "every address of the network of {net} on the bridge {} is in use",
                        found.name
                    ),
                    "wait until other runs end, or give the bridge a larger network",
                );
                continue;
            };
            let op = Op::ReserveAddress {
                bridge: found.name.clone(),
                address: inside.address,
            };
            draft.step(Phase::Attach, op, origin);
            shared.push(Shared {
                inside,
                host: None,
                origin: origin.clone(),
            });
        }
        shared
    }

    /// Networks that nobody here has: which one depends on the process, so that runs that start side by side
    /// choose differently.
    fn of_pool(&self, networks: &Networks, draft: &mut Draft<'_>) -> Vec<Shared> {
        let default = || {
            let known = POOL.into_iter();
            let known = known.filter(|pool| {
                // Where the host hands on no IPv6, an address with a route would only keep programs waiting.
                pool.address.is_ipv4()
                    || (networks.has_ipv6 && (!self.nat.value || networks.forwards[1]))
            });
            known
                .map(|pool| At::new(pool, Origin::Default("network.pool")))
                .collect()
        };
        let pools: Vec<_> = match self.pool.is_empty() {
            true => default(),
            false => self.pool.clone(),
        };
        let mut shared = Vec::new();
        for pool in pools {
            match free(pool.value, draft.host.caller.pid, networks) {
                Some(net) => shared.push(Shared {
                    inside: net.nth(2).unwrap_or(net),
                    host: net.nth(1),
                    origin: pool.origin,
                }),
                None => draft.refuse(
                    &pool.origin,
                    format!("every network of the pool {} is in use", pool.value),
                    "wait until other runs end, or name a larger pool: see `ip address`",
                ),
            }
        }
        shared
    }

    /// The addresses of the profile, in networks that nobody else here has.
    fn as_given(&self, networks: &Networks, draft: &mut Draft<'_>) -> Vec<Shared> {
        let bridge = self.bridge.as_ref().map(|bridge| bridge.value.0.as_str());
        let mut shared = Vec::new();
        for At { value, origin } in &self.address {
            let given = self.host_address.iter().map(|one| one.value);
            let mut given = given.filter(|one| value.holds(one.address));
            // The first address of a network of two is one like the other.
            let from = u128::from(value.room() > 1);
            let free = (from..).take(3).filter_map(|n| value.nth(n));
            let mut free = free.filter(|one| one.address != value.address && !one.is_nobodys());
            let host = given.next().or_else(|| free.next());
            if let Some(other) = networks.with(*value, bridge) {
                draft.refuse(
                    origin,
                    format!(
                        "{} of the host is in the network of {value} already",
                        other.name
                    ),
                    "choose another network: see `ip address`",
                );
            }
            if let Some(name) = bridge
                && let Some(found) = networks.named(name)
                && found
                    .addresses
                    .iter()
                    .any(|one| one.address == value.address)
            {
                let text = format!("the bridge {name} itself has the address {}", value.address);
                draft.refuse(origin, text, "choose another address of the network");
            }
            shared.push(Shared {
                inside: *value,
                host: host.filter(|_| bridge.is_none()),
                origin: origin.clone(),
            });
        }
        shared
    }

    /// By whom other networks are reached.
    fn gateways(
        &self,
        shared: &[Shared],
        networks: &Networks,
        draft: &mut Draft<'_>,
    ) -> Vec<At<IpAddr>> {
        if !self.gateway.is_empty() {
            return self.gateway.clone();
        }
        if !self.nat.value {
            return Vec::new();
        }
        let mut gateways = Vec::new();
        for one in shared {
            let on_bridge = || {
                let bridge = networks.named(&self.bridge.as_ref()?.value.0)?;
                let held = bridge.addresses.iter().map(|net| net.address);
                held.into_iter().find(|address| one.inside.holds(*address))
            };
            match one.host.map(|net| net.address).or_else(on_bridge) {
                Some(address) => gateways.push(At::new(address, self.nat.origin.clone())),
                None => draft.refuse(
                    &self.nat.origin,
                    format!("the bridge has no address in the network of {}, by which the host could be reached", one.inside),
                    "give it one: ip address add ADDRESS/BITS dev BRIDGE",
                ),
            }
        }
        gateways
    }

    /// What the host's end must not do by itself: believe a router inside, take packets from elsewhere.
    fn settings(
        &self,
        outside: &str,
        shared: &[Shared],
        networks: &Networks,
        draft: &mut Draft<'_>,
    ) {
        let mut set = |version: &str, name: &str, value| {
            let path = PathBuf::from(format!("/proc/sys/net/{version}/conf/{outside}/{name}"));
            let op = Op::SetInterface { path, value };
            draft.step(Phase::Attach, op, &self.mode.origin);
        };
        let speaks = |ipv4: bool| {
            let mut hosts = shared.iter().filter_map(|one| one.host);
            hosts.any(|net| net.address.is_ipv4() == ipv4)
        };
        if networks.has_ipv6 {
            let name = if speaks(false) {
                "accept_ra"
            } else {
                "disable_ipv6"
            };
            set("ipv6", name, if speaks(false) { "0" } else { "1" });
        }
        if self.bridge.is_none() {
            set("ipv4", "rp_filter", "1");
            let published = self.publish.iter().map(|one| one.value.address);
            let mut local = published.filter(|one| one.is_none_or(|address| address.is_loopback()));
            if speaks(true) && local.any(|one| one.is_none_or(|address| address.is_ipv4())) {
                // What the host sends to its own 127.0.0.1 may leave by this interface.
                set("ipv4", "route_localnet", "1");
            }
        }
    }

    /// Whether a port is published where the kernel hands on nothing by itself, so that the supervisor does: nothing goes
    /// from ::1 to another interface, nor from 127.0.0.1 to a bridge.
    fn is_served(&self, published: &Published) -> bool {
        (published.address).is_some_and(|address| {
            address.is_loopback() && (address.is_ipv6() || self.bridge.is_some())
        })
    }

    /// Lets the sandbox out under the host's address, and others in to what it publishes.
    fn translate(
        &self,
        outside: &str,
        by: &str,
        shared: &[Shared],
        networks: &Networks,
        draft: &mut Draft<'_>,
    ) {
        let mut rules = Vec::new();
        if !self.nat.value && self.gateway.is_empty() && self.bridge.is_none() {
            // Also a command that makes packets by itself gets no further, on a machine that hands packets on.
            rules.push(Rule::Keep {
                on: outside.to_owned(),
            });
        }
        if self.nat.value {
            for one in shared {
                let from = one.inside.address;
                let (forwards, setting) = match from {
                    IpAddr::V4(_) => (networks.forwards[0], "net.ipv4.ip_forward"),
                    IpAddr::V6(_) => (networks.forwards[1], "net.ipv6.conf.all.forwarding"),
                };
                if !forwards {
                    draft.refuse(
                        &self.nat.origin,
                        format!("this machine hands on no packets from one network to another ({setting} is 0)"),
                        format!("sysctl -w {setting}=1, or remove `nat`"),
                    );
                }
                rules.push(Rule::Masquerade {
                    from,
                    but: by.to_owned(),
                });
            }
        }
        let mut translated = false;
        for At { value, origin } in &self.publish {
            if self.is_served(value) {
                let published = *value;
                let to = shared.iter().map(|one| one.inside.address).collect();
                draft.step(Phase::Attach, Op::ServePort { published, to }, origin);
                continue;
            }
            translated = true;
            draft.step(Phase::Attach, Op::ReservePort(*value), origin);
            let own = |ipv4: bool| value.address.is_none_or(|one| one.is_ipv4() == ipv4);
            for one in shared
                .iter()
                .filter(|one| own(one.inside.address.is_ipv4()))
            {
                rules.push(Rule::Publish {
                    published: *value,
                    to: one.inside.address,
                    // The kernel sends nothing from ::1 to another interface.
                    loopback: self.bridge.is_none() && one.inside.address.is_ipv4(),
                });
            }
        }
        if translated {
            for one in shared {
                rules.push(Rule::MasqueradeInwards {
                    to: one.inside.address,
                    by: by.to_owned(),
                    // Without a way back to them, the sandbox answers the host for all others.
                    loopback_only: self.nat.value,
                });
            }
        }
        if rules.is_empty() {
            return;
        }
        let first = self.publish.first().map(|one| &one.origin);
        let origin = if self.nat.value {
            &self.nat.origin
        } else {
            first.unwrap_or(&self.mode.origin)
        };
        let op = Op::Translate {
            table: outside.to_owned(),
            rules,
        };
        draft.step(Phase::Attach, op, origin);
    }
}

/// The name of the host's end: it carries the run's process id, and a part of the time when that started.
fn name(pid: u32) -> String {
    let start = start_time("self").unwrap_or(0) & 0xfff;
    format!("sbx{pid}-{start:x}")
}

/// The hardware address on a bridge of who has this address, the same for each who has it in turn: whoever has talked
/// to the one before would not reach the next until that was forgotten (`base_reachable_time_ms` of arp(7)). It is one
/// of those that nobody sells (the second lowest bit of the first byte); of IPv6 there is not all in it, so that it is
/// mixed.
fn hardware_of(address: IpAddr) -> HardwareAddress {
    let (family, [a, b, c, d]) = match address {
        IpAddr::V4(address) => (4, address.octets()),
        IpAddr::V6(address) => {
            let mut hasher = DefaultHasher::new();
            address.hash(&mut hasher);
            let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
            (6, [a, b, c, d])
        }
    };
    HardwareAddress([0x02, family, a, b, c, d])
}

/// Whether an address is one that every interface gives itself.
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// How many addresses of a network are looked at.
const ADDRESSES: u128 = 1 << 16;

/// An address of the network that is not taken, the search beginning somewhere of its own.
fn free_address(net: Net, pid: u32, is_taken: impl Fn(IpAddr) -> bool) -> Option<Net> {
    let count = (1u128 << net.room().min(16)).min(ADDRESSES);
    let numbers = (0..count).map(|step| (u128::from(pid) + step) % count);
    let mut nets = numbers.filter_map(|number| net.nth(number));
    nets.find(|one| !one.is_nobodys() && !is_taken(one.address))
}

/// A network of the pool that no interface of the host is in, the search beginning somewhere of its own.
fn free(pool: Net, pid: u32, networks: &Networks) -> Option<Net> {
    /// How many are looked at.
    const MOST: u128 = 1 << 16;
    let ipv4 = pool.address.is_ipv4();
    let (prefix, bits) = if ipv4 { (30, 2) } else { (64, 64) };
    let count = 1u128 << pool.room().saturating_sub(bits);
    let numbers = (0..count.min(MOST)).map(|step| (u128::from(pid) + step) % count);
    let nets = numbers.filter_map(|number| {
        let Net { address, .. } = pool.nth(number << bits)?;
        Some(Net { address, prefix })
    });
    nets.into_iter()
        .find(|net| networks.with(*net, None).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::network::Interface;

    #[test]
    fn a_bridge_is_searched_until_an_address_is_free() {
        let net = |text: &str| Net::parse(text).unwrap();
        let free = |net, pid, taken: &[&str]| {
            let taken: Vec<IpAddr> = taken.iter().map(|text| text.parse().unwrap()).collect();
            free_address(net, pid, |one| taken.contains(&one))
        };
        let four = net("10.9.0.1/29");
        assert_eq!(free(four, 12, &[]), Some(net("10.9.0.4/29")));
        // Neither the last nor the first one is anybody's.
        assert_eq!(free(four, 7, &["10.9.0.1"]), Some(net("10.9.0.2/29")));
        let all = [
            "10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6",
        ];
        assert_eq!(free(four, 9, &all), None);
        let six = net("fd00:9::1/64");
        assert_eq!(free(six, 65_538, &[]), Some(net("fd00:9::2/64")));
        assert!(is_of_link("fe80::1".parse().unwrap()) && !is_of_link("fd00::1".parse().unwrap()));
    }

    #[test]
    fn a_pool_is_searched_until_a_network_is_free() {
        let net = |text: &str| Net::parse(text).unwrap();
        let with = |addresses: &[&str]| Networks {
            interfaces: vec![Interface {
                addresses: addresses.iter().map(|text| net(text)).collect(),
                ..Interface::default()
            }],
            ..Networks::default()
        };
        let pool = net("10.0.0.0/29");
        assert_eq!(free(pool, 7, &with(&[])), Some(net("10.0.0.4/30")));
        assert_eq!(free(pool, 8, &with(&[])), Some(net("10.0.0.0/30")));
        assert_eq!(
            free(pool, 7, &with(&["10.0.0.5/30"])),
            Some(net("10.0.0.0/30"))
        );
        assert_eq!(free(pool, 7, &with(&["10.0.0.0/8"])), None);
        let pool = net("fd00::/63");
        assert_eq!(
            free(pool, 1, &with(&["fd00::1/128"])),
            Some(net("fd00:0:0:1::/64"))
        );
        assert_eq!(free(net("::/0"), 1, &with(&[])), Some(net("0:0:0:1::/64")));
    }
}
