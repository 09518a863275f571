//! `[network]`: what of the network there is (network_namespaces(7)).

mod check;
mod egress;
mod family;
mod macvlan;
mod names;
mod peers;
mod ports;
mod user;
mod value;
mod veth;

pub use egress::{Egress, Refused};
pub use family::Family;
pub use names::ResolverOption;
pub use peers::Peer;
pub use value::{Addresses, Forward, Forwards, InterfaceName, NamespaceName, Publish};

use super::namespaces::{Choice, NAMED, Namespaces};
use super::user::Identity;
use super::{Profile, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::network::Net;
use crate::plan::egress::Name;
use crate::plan::op::network::{Forwarded, HardwareAddress, Line, Protocol, Published};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::profile::value::{Duration, Percent, Size};
use crate::review::{Area, Extent, Grant};
use std::net::IpAddr;
use std::path::PathBuf;

crate::choice! {
    /// What of the network there is.
    pub enum Mode {
        /// Nothing: the loopback interface exists and is down.
        None = "none",
        /// The sandbox's own loopback.
        Loopback = "loopback",
        /// The caller's network.
        Host = "host",
        /// A network of its own, connected with the host by a pair of interfaces; takes root.
        Veth = "veth",
        /// A network of the host's, in which the sandbox is a machine of its own behind `interface`; takes root.
        Macvlan = "macvlan",
        /// A network of its own, whose connections pasta(1) makes for it as the caller; for plain users too.
        User = "user",
        /// The network namespace that `namespace` names.
        Join = "join",
    }
}

crate::table! {
    /// The network.
    ///
    /// ```toml
    /// [network]
    /// mode = "user"
    /// publish = ["127.0.0.1:8080:80"]
    /// families = ["unix", "inet", "inet6"]
    /// ```
    ///
    /// ```toml
    /// [network]
    /// allow = ["packages.example.org:443", "*.mirror.example:80", "10.0.0.0/8:5432", "quic.example:443/udp"]
    /// deny = ["old.mirror.example"]
    /// ```
    pub struct RawNetwork as "[network]" {
        /// What of the network there is.
        mode: Mode = "loopback",
        /// The families that sockets may be of (address_families(7)); any other is refused with EAFNOSUPPORT. Of
        /// those that the default preset permits, as far as it does; others with any type. What refuses
        /// socket(2) altogether still does, and what permits it, permits no other family. Pairs are made of `unix` alone.
        /// Without a preset, rings of io_uring(7) are refused too, since sockets can be made on them. Default: what the preset permits.
        families: List<Family>,
        /// With `mode = "join"`: which network namespace, by its name (`ip netns add NAME`), by an absolute path, or as
        /// `"name:NAME"`, that of a sandbox that runs.
        namespace: NamespaceName,
        /// With `mode = "macvlan"`: the interface of the host whose network it is. What the sandbox sends leaves by
        /// it, under a hardware address of the sandbox's own; the host itself is not reached that way.
        interface: InterfaceName,
        /// With `mode = "veth"` and `"macvlan"`: the sandbox's addresses, each with the bits of its network, such as
        /// `"172.2.0.2/24"` and `"fd00:2::2/64"`. With a bridge also `"auto"`: of each network that the bridge has an
        /// address of, one that nobody there has. Default: with `veth` taken from the pool.
        address: Addresses,
        /// With `mode = "veth"`: the addresses of the host's end. Default: the first free one of each network.
        host_address: List<Net>,
        /// With `mode = "veth"` and `"macvlan"`: by which addresses the sandbox reaches other networks. Default: with
        /// `nat` the host's end, or the bridge; else none, so that nothing beyond its own network is reached.
        gateway: List<IpAddr>,
        /// With `mode = "veth"`: the bridge of the host that the host's end becomes a port of.
        bridge: InterfaceName,
        /// With a bridge: whether sandboxes that are isolated so exchange no packets with each other.
        isolated: bool = false,
        /// With a bridge: whether the command finds the caller's other sandboxes on it by the names that they run under
        /// (`--name`), by a resolver at the sandbox's loopback; all other names are asked of `dns`, or of who resolves names on
        /// the host.
        names: bool = false,
        /// With `mode = "veth"`: whether the sandbox reaches other networks under the host's address, by nftables.
        nat: bool = false,
        /// With `mode = "veth"`, `"macvlan"` and `"user"`: the largest packet, in bytes. Default: the kernel's, or pasta's.
        mtu: u32,
        /// With `mode = "veth"` and `"macvlan"`: the hardware address of the sandbox's interface, such as
        /// `"02:00:5e:10:00:01"`. Default: one at random; on a bridge, one that belongs to the address.
        hardware_address: HardwareAddress,
        /// With `mode = "veth"`, and with `allow`: the most bytes each second, each way, after a first burst. What is
        /// more waits, and what cannot wait is lost, as on a slow line.
        rate: Size,
        /// With `mode = "veth"`, and with `allow`: how much later what is sent arrives, each way, up to 60 s. At most
        /// 1000 packets are on their way; what is more is lost (tc-netem(8)).
        delay: Duration,
        /// With `mode = "veth"`, and with `allow`: how much of what is sent is lost, each way, such as `"1%"`.
        loss: Percent,
        /// With `mode = "veth"`: the networks from which each run takes one that nobody else here has: of IPv4 with
        /// 4 addresses, of IPv6 with 64 bits. Default: `"10.213.0.0/16"` and `"fd73:6278::/48"`.
        pool: List<Net>,
        /// With `mode = "veth"`, `"macvlan"` and `"user"`: who resolves names. Default: who does on the host, but for services
        /// on the host's own loopback.
        dns: List<IpAddr>,
        /// With the same modes: the domains below which names are looked up that are not found as they are, in this order
        /// (`search` of resolv.conf(5)). Default: none.
        dns_search: List<Name>,
        /// With the same modes: how names are looked up, such as `"ndots:2"` (`options` of resolv.conf(5)).
        dns_options: List<ResolverOption>,
        /// With `mode = "veth"` and `"user"`: ports of the host behind which there are ports of the sandbox, as
        /// `"127.0.0.1:8080:80"`, `"8443:443/tcp"` or `"[::1]:5353:53/udp"`: the host's address (default: all), the
        /// host's port, the sandbox's, or as many of both in a row: `"8000-8010:9000-9010"`.
        publish: List<Publish>,
        /// With a network of the sandbox's own: ports of its loopback behind which there are ports of the host's, as
        /// `"2222:22"` or `"53:5353/udp"`: the sandbox's port, the host's, or as many of both in a row. With
        /// `mode = "user"` also `"auto"`: every port on which somebody listens there when the run starts, under its own number. What listens on the
        /// host's loopback trusts whoever reaches it.
        forward: Forwards,
        /// With `mode = "host"`: the ports that may be connected to over TCP, on whatever machine; Landlock refuses
        /// all others with EACCES (Linux 6.7). Streams of other protocols are refused, UDP is not. Default: all.
        connect_ports: List<u32>,
        /// With `mode = "host"`: the ports that may be served on over TCP; 0 stands for those that the kernel chooses.
        /// Default: all.
        bind_ports: List<u32>,
        /// With `mode = "host"`: the addresses and networks with which packets are exchanged, in both directions, such as
        /// `"127.0.0.0/8"`, `"::1"` and `"192.0.2.0/24"`; all others are lost, and connecting to them is refused with EPERM.
        /// An empty list leaves none. The kernel keeps it for the cgroup: root alone, and cgroup v2, or the unified
        /// hierarchy beside v1. Default: all.
        peers: List<Peer>,
        /// What may be reached besides the sandbox's own loopback: `HOST:PORT`, over TCP, or over UDP with `/udp`
        /// after it; a port, or several in a row (`8000-8010`). A host is a name, `*.` and a name for all below it, an address, or a network. All
        /// else is refused, and told of in the end. It holds for every program, by whatever way it asks.
        /// A name does not lead to addresses that are private, link-local or another machine's own: those
        /// take a line with the address or the network. With `mode = "veth"`, `"macvlan"` and `"user"`, hosts are
        /// addresses and networks alone, and a packet filter decides.
        allow: List<String>,
        /// What is refused although `allow` permits it; without a port, at any.
        deny: List<String>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "documented at RawNetwork")]
pub struct Network {
    pub mode: At<Mode>,
    /// The families that sockets may be of, each once, where the profile says so.
    pub families: Option<At<Vec<Family>>>,
    pub namespace: Option<At<NamespaceName>>,
    pub interface: Option<At<InterfaceName>>,
    pub address: Vec<At<Net>>,
    /// Where it says that addresses are chosen.
    pub auto: Option<Origin>,
    pub host_address: Vec<At<Net>>,
    pub gateway: Vec<At<IpAddr>>,
    pub bridge: Option<At<InterfaceName>>,
    pub isolated: At<bool>,
    pub names: At<bool>,
    pub nat: At<bool>,
    pub mtu: Option<At<u32>>,
    pub hardware_address: Option<At<HardwareAddress>>,
    /// In bytes each second.
    pub rate: Option<At<Size>>,
    pub delay: Option<At<Duration>>,
    pub loss: Option<At<Percent>>,
    pub pool: Vec<At<Net>>,
    pub dns: Vec<At<IpAddr>>,
    pub dns_search: Vec<At<Name>>,
    pub dns_options: Vec<At<ResolverOption>>,
    pub publish: Vec<At<Published>>,
    pub connect_ports: Option<At<Vec<u16>>>,
    pub bind_ports: Option<At<Vec<u16>>>,
    pub peers: Option<At<Vec<At<Peer>>>>,
    pub forward: Vec<At<Forwarded>>,
    /// Where it says that every port of the host's loopback is reached.
    pub forward_all: Option<Origin>,
    /// What may be reached through the gate, where anything may.
    pub egress: Option<Egress>,
    /// The places of `allow` and `deny`, where they are written.
    lists: Vec<Origin>,
}

/// The rank of the whole of the host's network.
const HOSTS: u64 = 6;

/// The values of a list, none if it is not there.
fn all<T>(list: Option<At<List<T>>>) -> Vec<At<T>> {
    list.map(|list| list.value.0).unwrap_or_default()
}

/// The values of a list whose lines are about several each.
fn each<T, V>(list: Option<At<List<T>>>, values: impl Fn(T) -> Vec<V>) -> Vec<At<V>> {
    let lines = all(list).into_iter();
    let lines = lines.map(|line| (values(line.value), line.origin));
    lines
        .flat_map(|(values, origin)| {
            let values = values.into_iter();
            values.map(move |value| At::new(value, origin.clone()))
        })
        .collect()
}

impl Network {
    /// Fills in the default.
    #[must_use]
    pub fn check(raw: Option<At<RawNetwork>>, problems: &mut Diagnostics) -> Self {
        let (raw, _) = split(raw, "network");
        let egress = Egress::check(&raw, problems);
        let lists = [&raw.allow, &raw.deny].into_iter().flatten();
        let lists = lists.map(|list| list.origin.clone()).collect();
        let families = raw.families.map(|list| {
            list.map(|list| {
                let mut families = Vec::new();
                for At { value, .. } in list.0 {
                    if !families.contains(&value) {
                        families.push(value);
                    }
                }
                families
            })
        });
        let (address, auto) = match raw.address {
            None => (Vec::new(), None),
            Some(At { value, origin }) => match value {
                Addresses::Given(addresses) => (addresses, None),
                Addresses::Auto => (Vec::new(), Some(origin)),
            },
        };
        let (forward, forward_all) = match raw.forward {
            None => (Vec::new(), None),
            Some(At { value, origin }) => match value {
                Forwards::Named(list) => (each(Some(At::new(list, origin)), |line| line.0), None),
                Forwards::Auto => (Vec::new(), Some(origin)),
            },
        };
        Self {
            mode: raw.mode,
            families,
            namespace: raw.namespace,
            interface: raw.interface,
            address,
            auto,
            host_address: all(raw.host_address),
            gateway: all(raw.gateway),
            bridge: raw.bridge,
            isolated: raw.isolated,
            names: raw.names,
            nat: raw.nat,
            mtu: raw.mtu,
            hardware_address: raw.hardware_address,
            rate: raw.rate,
            delay: raw.delay,
            loss: raw.loss,
            pool: all(raw.pool),
            dns: all(raw.dns),
            dns_search: all(raw.dns_search),
            dns_options: all(raw.dns_options),
            publish: each(raw.publish, |list| list.0),
            connect_ports: ports::check(raw.connect_ports, 1, problems),
            bind_ports: ports::check(raw.bind_ports, 0, problems),
            peers: peers::check(raw.peers, problems),
            forward,
            forward_all,
            egress,
            lists,
        }
    }

    /// The namespace that the mode joins takes the place of a new one.
    pub fn join(&self, namespaces: &mut Namespaces, problems: &mut Diagnostics) {
        let (Mode::Join, Some(namespace)) = (self.mode.value, &self.namespace) else {
            return;
        };
        let net = &mut namespaces.net;
        if net.origin.is_default() {
            let choice = match namespace.value.sandbox() {
                Some(name) => Choice::Sandbox(name.into()),
                None => Choice::Join(namespace.value.path()),
            };
            *net = At::new(choice, namespace.origin.clone());
            return;
        }
        problems.push(
            Diagnostic::new(
                Code::Conflict,
                &self.mode.origin,
                "the mode \"join\" says which network namespace there is",
            )
            .and(&net.origin, "chosen here")
            .help("remove one of the two lines"),
        );
    }

    /// The mode and the namespace must not contradict each other.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        self.relate_families(profile, problems);
        self.relate_modes(profile, problems);
        self.relate_egress(profile, problems);
        self.relate_peers(profile, problems);
        let net = &profile.namespaces.net;
        let explicit = |origin: &Origin| !origin.is_default();
        let host = self.mode.value == Mode::Host;
        if self.mode.value == Mode::Join {
            return;
        }
        if explicit(&self.mode.origin) && explicit(&net.origin) && host == net.value.is_new() {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &self.mode.origin,
                    format!(
                        "the mode \"{}\" contradicts the namespace",
                        self.mode.value.word()
                    ),
                )
                .and(&net.origin, "chosen here")
                .help("remove one of the two lines: `mode` alone is enough"),
            );
        } else if host || net.value == Choice::Shared {
            let place = if host { &self.mode.origin } else { &net.origin };
            let reached = match self.peers {
                None => {
                    "the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them"
                }
                Some(_) => {
                    "the command reaches what `peers` lists, and abstract sockets of the desktop where Landlock does not refuse them"
                }
            };
            problems
                .push(Diagnostic::new(Code::HostNetwork, place, reached).help(
                    "write `mode = \"loopback\"` under [network] where no network is needed",
                ));
        }
    }

    /// The network, as this table and `[namespaces] net` say together. With the host's comes the
    /// file that resolves names, which is no secret of whoever may ask the network anyway.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            mode,
            families,
            // These say where in the sandbox's own network it is, and permit nothing.
            namespace: _,
            interface,
            address: _,
            auto: _,
            host_address: _,
            isolated,
            names,
            gateway,
            bridge,
            nat,
            mtu: _,
            hardware_address: _,
            // How fast and how well says nothing of what is reached.
            rate: _,
            delay: _,
            loss: _,
            pool: _,
            // Whom to ask and how, not what is reached.
            dns: _,
            dns_search: _,
            dns_options: _,
            publish,
            forward,
            forward_all,
            // Both are told together.
            connect_ports: _,
            bind_ports: _,
            peers: _,
            egress,
            lists: _,
        } = self;
        let net = &profile.namespaces.net;
        let beyond = nat.value || !gateway.is_empty();
        let rank = |rank, words: &str, share| (Extent::Rank(rank), words.to_owned(), share);
        let ((extent, words, share), origin) = match (&net.value, mode.value) {
            (Choice::Join(path), _) => {
                let path = path.display().to_string();
                let words = format!("use the network of {path}");
                ((Extent::Same(path), words, 10_000), &net.origin)
            }
            (Choice::Sandbox(name), _) => {
                let words = format!("use the network of the sandbox {name}");
                let extent = Extent::Same(format!("{NAMED}{name}"));
                ((extent, words, 10_000), &net.origin)
            }
            (
                Choice::Shared,
                Mode::None | Mode::Loopback | Mode::Veth | Mode::Macvlan | Mode::User | Mode::Join,
            ) => (rank(HOSTS, "use the host's network", 10_000), &net.origin),
            // With whom is told line by line.
            (_, Mode::Host) if self.peers.is_some() => {
                let words = "use the host's network, with some addresses alone";
                (rank(HOSTS - 1, words, 6_000), &mode.origin)
            }
            (_, Mode::Host) => (rank(HOSTS, "use the host's network", 10_000), &mode.origin),
            // What is reached is told line by line.
            (Choice::New, Mode::Veth | Mode::Macvlan | Mode::User) if egress.is_some() => (
                rank(1, "use a network of its own, as far as it is allowed", 100),
                &mode.origin,
            ),
            (Choice::New, Mode::Veth) if beyond => {
                let words =
                    "reach the host's services, and by the host all networks that it reaches";
                let at = if nat.value { &nat.origin } else { &mode.origin };
                (rank(4, words, 8_000), at)
            }
            (Choice::New, Mode::Macvlan) => {
                let words =
                    "reach a network of the host's as a machine of its own, and what that leads to";
                (rank(4, words, 8_000), &mode.origin)
            }
            (Choice::New, Mode::User) => {
                let words =
                    "reach all networks that the caller reaches, but for the host's loopback";
                (rank(3, words, 7_000), &mode.origin)
            }
            (Choice::New, Mode::Veth) => {
                (rank(2, "reach the host's services", 3_000), &mode.origin)
            }
            (Choice::New, Mode::Loopback) => {
                (rank(1, "use a loopback of its own", 100), &mode.origin)
            }
            // Without a namespace to join there is no profile.
            (Choice::New, Mode::None | Mode::Join) => (rank(0, "use no network", 0), &mode.origin),
        };
        let mut grants =
            vec![Grant::new(Area::Network, "network", extent, words, origin).share(share)];
        if let Some(interface) = interface {
            let name = &interface.value.0;
            let words = format!("exchange packets with all machines of the network of {name}");
            let key = format!("interface:{name}");
            let grant = Grant::rank(Area::Network, key, 1, words, &interface.origin);
            grants.push(grant.share(500));
        }
        if let Some(bridge) = bridge {
            let name = &bridge.value.0;
            let words = if isolated.value {
                format!("be an isolated port of the bridge {name}")
            } else {
                format!("exchange packets with all ports of the bridge {name}")
            };
            let key = format!("bridge:{name}");
            let rank = if isolated.value { 1 } else { 2 };
            grants.push(Grant::rank(Area::Network, key, rank, words, &bridge.origin).share(500));
        }
        if names.value {
            let words = "find the caller's other sandboxes on the bridge by their names";
            grants.push(Grant::rank(Area::Network, "names", 1, words, &names.origin).share(100));
        }
        for At { value, origin } in publish {
            // On all addresses is more than on one.
            let (place, rank) = match value.address {
                Some(address) => (format!("{address}"), 1),
                None => ("all addresses of the host".into(), 2),
            };
            let (word, port) = (value.protocol.word(), value.port);
            let words = format!("serve the {word} port {port} of {place}");
            let key = match (value.address, rank) {
                (Some(address), _) => format!("publish:{word}:{port}:{address}"),
                (None, _) => format!("publish:{word}:{port}"),
            };
            grants.push(Grant::rank(Area::Network, key, rank, words, origin).share(300));
        }
        if mode.value == Mode::Host || net.value == Choice::Shared {
            grants.push(ports::grant(self));
            grants.extend(self.grants_of_peers(HOSTS));
        }
        for At { value, origin } in forward {
            // Behind which port it is changes nothing about what is reached.
            let Forwarded { protocol, to, .. } = value;
            let word = protocol.word();
            let words = format!("reach the {word} port {to} of the host's loopback");
            let extent = Extent::Numbers(vec![(u64::from(*to), u64::from(*to))]);
            let key = format!("forward:{word}");
            grants.push(Grant::new(Area::Network, key, extent, words, origin).share(1_000));
        }
        if let Some(origin) = forward_all {
            for word in [Protocol::Tcp, Protocol::Udp].map(Protocol::word) {
                let words = format!("reach whatever listens on the host's loopback, over {word}");
                let extent = Extent::Numbers(vec![(1, u64::from(u16::MAX))]);
                let key = format!("forward:{word}");
                grants.push(Grant::new(Area::Network, key, extent, words, origin).share(3_000));
            }
        }
        // How far the common ones go is told by the system calls.
        let place = families.as_ref().map(|families| &families.origin);
        grants.extend(family::others(place, profile));
        // Without a way out there is the host alone.
        let within = match mode.value {
            Mode::Veth if !beyond => 2,
            Mode::Macvlan => 4,
            _ => 3,
        };
        grants.extend(egress.iter().flat_map(|egress| egress.grants(within)));
        grants
    }

    /// Brings up loopback, connects the network with others, and makes the gate.
    pub fn steps(&self, identity: &Identity, profile: &Profile, draft: &mut Draft<'_>) {
        self.find_namespace(draft);
        let own = profile.namespaces.has_own_network(self.mode.value);
        if !own {
            return;
        }
        if self.mode.value != Mode::None {
            // Ways to the host's loopback begin at addresses of the sandbox's, which it has once that is up; so does the
            // resolver of names.
            let phase = match self.forward.is_empty() && !self.names.value {
                true => Phase::Network,
                false => Phase::GateNetwork,
            };
            draft.step(phase, Op::LoopbackUp, &self.mode.origin);
            self.egress_steps(draft);
            self.forward_steps(draft);
        }
        match self.mode.value {
            Mode::Veth => self.connect_by_pair(draft),
            Mode::User => self.connect_by_pasta(identity, draft),
            Mode::Macvlan => self.connect_by_macvlan(draft),
            Mode::None | Mode::Loopback | Mode::Host | Mode::Join => {}
        }
    }

    /// How much worse the line is than it would be, and the first line of the profile that says so.
    fn worse(&self) -> Option<(Line, &Origin)> {
        let delay = self
            .delay
            .as_ref()
            .map(|delay| (&delay.origin, delay.value.0));
        let loss = self.loss.as_ref().map(|loss| (&loss.origin, loss.value.0));
        let (origin, _) = delay.or(loss.map(|(origin, _)| (origin, Default::default())))?;
        let line = Line {
            delay: delay.map(|(_, delay)| delay).unwrap_or_default(),
            loss: loss.map_or(0, |(_, percent)| {
                (percent / 100.0 * f64::from(u32::MAX)) as u32
            }),
        };
        Some((line, origin))
    }

    /// Opens the ways to the host's loopback.
    fn forward_steps(&self, draft: &mut Draft<'_>) {
        for At { value, origin } in &self.forward {
            draft.step(Phase::GateNetwork, Op::ListenInside(*value), origin);
        }
        if let Some(first) = self.forward.first() {
            draft.step(Phase::Gate, Op::ForwardInside, &first.origin);
        }
    }

    /// The namespace that is joined has to be there.
    fn find_namespace(&self, draft: &mut Draft<'_>) {
        let Some(namespace) = self
            .namespace
            .as_ref()
            .filter(|one| self.mode.value == Mode::Join && one.value.sandbox().is_none())
        else {
            return;
        };
        let path: PathBuf = namespace.value.path();
        if draft.host.tree.exists(&path) {
            return;
        }
        let (text, help) = match namespace.value.name() {
            Some(name) => (
                format!("there is no network namespace `{name}` in /run/netns"),
                format!("make it: ip netns add {name}"),
            ),
            None => (
                format!("there is no {}", path.display()),
                "name a network namespace that is there: see lsns -t net".into(),
            ),
        };
        draft.problem(Diagnostic::new(Code::NotFound, &namespace.origin, text).help(help));
    }
}
