//! What can be wrong with a network by what the profile says alone.

use super::{Egress, Mode, Network};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::network::Net;
use crate::plan::op::network::Published;
use crate::profile::value::Size;
use crate::sections::Profile;
use std::time::Duration;

/// The largest and the smallest packet that an interface can be told (ip(7)).
const MTU: std::ops::RangeInclusive<u32> = 68..=65_535;

/// The most ports of `publish` or of `forward`.
const MOST_PORTS: usize = 128;

/// The fewest and the most bytes each second that an interface is limited to.
const RATE: std::ops::RangeInclusive<u64> = 1024..=100 << 30;

/// How much later something may arrive.
const DELAY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(60);

/// The smallest one that IPv6 needs.
const MTU_OF_IPV6: u32 = 1280;

impl Network {
    /// Whether the sandbox's network is connected with others.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.mode.value, Mode::Veth | Mode::Macvlan | Mode::User)
    }

    /// Whether what may be reached is decided at the gate.
    fn has_gate(&self) -> bool {
        self.egress.as_ref().is_some_and(Egress::is_at_gate)
    }

    /// Whether ports of the host lead into the sandbox's network, where the profile says so.
    fn is_published(&self) -> bool {
        matches!(self.mode.value, Mode::Veth | Mode::User)
    }

    /// What a machine of a network has to be told.
    fn behind_an_interface(&self, problems: &mut Diagnostics) {
        for (is_missing, what, help) in [
            (
                self.interface.is_none(),
                "nothing says which interface of the host it is",
                "for example: interface = \"eth0\"",
            ),
            (
                self.address.is_empty() && self.auto.is_none(),
                "nothing says which address the sandbox has on that network",
                "for example: address = [\"192.0.2.9/24\"]",
            ),
        ] {
            if is_missing {
                problems.push(Diagnostic::new(Code::Needs, &self.mode.origin, what).help(help));
            }
        }
    }

    /// Everything that does not fit together.
    pub(super) fn relate_modes(&self, profile: &Profile, problems: &mut Diagnostics) {
        self.keys_of_other_modes(problems);
        if self.mode.value == Mode::Join && self.namespace.is_none() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &self.mode.origin,
                    "nothing says which network namespace is joined",
                )
                .help("for example: namespace = \"lab\", after `ip netns add lab`"),
            );
        }
        if self.mode.value == Mode::User && !profile.namespaces.user.value.is_new() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &self.mode.origin,
                    "a network for plain users needs a new user namespace, in which pasta has its rights",
                )
                .and(&profile.namespaces.user.origin, "not new here")
                .help("write `user = \"new\"` under [namespaces]"),
            );
        }
        if self.mode.value == Mode::Veth && self.names.value && self.bridge.is_none() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &self.names.origin,
                    "names are those of the sandboxes on a bridge, and there is none here",
                )
                .help("name the bridge, for example: bridge = \"br0\"; or remove this line"),
            );
        }
        if matches!(self.mode.value, Mode::Veth | Mode::Macvlan) {
            self.chosen(problems);
            self.addresses(problems);
        }
        if self.mode.value == Mode::Macvlan {
            self.behind_an_interface(problems);
        }
        self.packets(problems);
        self.speed(problems);
        self.ways(profile, problems);
        if self.is_published() {
            self.ports(problems);
        }
    }

    /// Addresses are chosen where the host has a network to choose from.
    fn chosen(&self, problems: &mut Diagnostics) {
        let Some(auto) = self.auto.as_ref().filter(|_| self.bridge.is_none()) else {
            return;
        };
        let (text, help) = match self.mode.value {
            Mode::Veth => (
                "an address is chosen of the networks of a bridge, and there is none here",
                "name the bridge, for example: bridge = \"br0\"; or remove this line: then a network of the pool is taken",
            ),
            _ => (
                "no address is chosen on a network of the host's: whoever gives addresses there knows which are free",
                "for example: address = [\"192.0.2.9/24\"]",
            ),
        };
        problems.push(Diagnostic::new(Code::Needs, auto, text).help(help));
    }

    /// What is said of another mode than this.
    fn keys_of_other_modes(&self, problems: &mut Diagnostics) {
        fn first<T>(list: &[At<T>]) -> Option<&Origin> {
            list.first().map(|one| &one.origin)
        }
        let set = |flag: &'_ At<bool>| (!flag.origin.is_default()).then(|| flag.origin.clone());
        let (isolated, nat, names) = (set(&self.isolated), set(&self.nat), set(&self.names));
        let veth: &[Mode] = &[Mode::Veth];
        let host: &[Mode] = &[Mode::Host];
        let own: &[Mode] = &[Mode::Veth, Mode::Macvlan];
        let all: &[Mode] = &[Mode::Veth, Mode::Macvlan, Mode::User];
        for (key, origin, modes) in [
            (
                "namespace",
                self.namespace.as_ref().map(|one| &one.origin),
                &[Mode::Join][..],
            ),
            (
                "interface",
                self.interface.as_ref().map(|one| &one.origin),
                &[Mode::Macvlan],
            ),
            ("address", first(&self.address).or(self.auto.as_ref()), own),
            ("host_address", first(&self.host_address), veth),
            ("gateway", first(&self.gateway), own),
            ("bridge", self.bridge.as_ref().map(|one| &one.origin), veth),
            ("isolated", isolated.as_ref(), veth),
            ("names", names.as_ref(), veth),
            ("nat", nat.as_ref(), veth),
            ("pool", first(&self.pool), veth),
            ("mtu", self.mtu.as_ref().map(|one| &one.origin), all),
            (
                "hardware_address",
                self.hardware_address.as_ref().map(|one| &one.origin),
                own,
            ),
            ("dns", first(&self.dns), all),
            ("dns_search", first(&self.dns_search), all),
            ("dns_options", first(&self.dns_options), all),
            (
                "connect_ports",
                self.connect_ports.as_ref().map(|one| &one.origin),
                host,
            ),
            (
                "bind_ports",
                self.bind_ports.as_ref().map(|one| &one.origin),
                host,
            ),
            ("peers", self.peers.as_ref().map(|one| &one.origin), host),
        ] {
            let Some(origin) = origin.filter(|_| !modes.contains(&self.mode.value)) else {
                continue;
            };
            let words: Vec<_> = modes
                .iter()
                .map(|mode| format!("\"{}\"", mode.word()))
                .collect();
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    origin,
                    format!("`{key}` is a setting of the mode {}", words.join(" or ")),
                )
                .and(
                    &self.mode.origin,
                    format!("this is \"{}\"", self.mode.value.word()),
                )
                .help("write the mode, or remove this line"),
            );
        }
        if !self.is_published()
            && let Some(origin) = first(&self.publish)
        {
            let why = match self.mode.value {
                Mode::Host => "the command's ports are the host's own",
                Mode::Join => "the network that is joined has its own ways in",
                Mode::Macvlan => "others reach the sandbox's address itself",
                _ => "nothing leads into the sandbox's network",
            };
            problems.push(
                Diagnostic::new(
                    Code::PublishedWithoutNetwork,
                    origin,
                    format!("no port can be published: {why}"),
                )
                .and(
                    &self.mode.origin,
                    format!("this is \"{}\"", self.mode.value.word()),
                )
                .help("write `mode = \"user\"`, or as root `mode = \"veth\"`, or remove this line"),
            );
        }
    }

    /// Ways to the host's loopback, which lead from a loopback of the sandbox's own.
    fn ways(&self, profile: &Profile, problems: &mut Diagnostics) {
        if let Some(origin) = self
            .forward_all
            .as_ref()
            .filter(|_| self.mode.value != Mode::User)
        {
            let problem = Diagnostic::new(
                Code::Needs,
                origin,
                "that whatever listens on the host's loopback is reached is a setting of the mode \"user\": pasta looks for it",
            );
            problems.push(
                problem
                    .and(
                        &self.mode.origin,
                        format!("this is \"{}\"", self.mode.value.word()),
                    )
                    .help("name the ports, for example: forward = [\"2222:22\"]; or write `mode = \"user\"`"),
            );
        }
        let Some(first) = self.forward.first() else {
            return;
        };
        let mode = self.mode.value;
        let own = profile.namespaces.has_own_network(mode);
        if !own || mode == Mode::None {
            let why = match mode {
                Mode::Host => "the host's loopback is reached without it",
                Mode::Join => "the loopback is that of the network that is joined",
                Mode::None => "the loopback is down",
                _ => "the network is not the sandbox's own",
            };
            let net = &profile.namespaces.net;
            let (at, what) = match own || mode == Mode::Host || mode == Mode::Join {
                true => (&self.mode.origin, format!("this is \"{}\"", mode.word())),
                false => (&net.origin, "chosen here".into()),
            };
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &first.origin,
                    format!("a way to the host's loopback needs one of the sandbox's own: {why}"),
                )
                .and(at, what)
                .help("write `mode = \"loopback\"`, or remove this line"),
            );
        }
        self.too_many(&self.forward, "forwarded", problems);
        for (one, other) in clashes(&self.forward, |one, other| {
            one.protocol == other.protocol && one.port == other.port
        }) {
            let (word, port) = (one.value.protocol.word(), one.value.port);
            problems.push(
                Diagnostic::new(
                    Code::BadNetwork,
                    &one.origin,
                    format!("the {word} port {port} of the sandbox leads to two ports"),
                )
                .and(&other.origin, "here already")
                .help("choose another port of the sandbox, or remove one"),
            );
        }
    }

    /// Each port of a list takes a socket of the supervisor's.
    fn too_many<T>(&self, list: &[At<T>], what: &str, problems: &mut Diagnostics) {
        if let Some(one) = list.get(MOST_PORTS) {
            let message = format!("more than {MOST_PORTS} ports are {what}");
            problems.push(
                Diagnostic::new(Code::BadNetwork, &one.origin, message)
                    .help("each takes a socket of the supervisor: name fewer"),
            );
        }
    }

    /// Where the first address is given.
    fn sandboxs_end(&self) -> &Origin {
        let first = self.address.first().map(|one| &one.origin);
        first.or(self.auto.as_ref()).unwrap_or(&self.mode.origin)
    }

    fn addresses(&self, problems: &mut Diagnostics) {
        let mut bad = |problem| problems.push(problem);
        let needs = |origin: &Origin, what: &str| {
            Diagnostic::new(
                Code::Needs,
                origin,
                format!("{what} needs the sandbox's address"),
            )
            .help("for example: address = [\"172.2.0.2/24\"]")
        };
        if self.address.is_empty() && self.auto.is_none() && self.mode.value == Mode::Veth {
            let host = self
                .host_address
                .first()
                .map(|one| (&one.origin, "the host's address"));
            let gateway = self.gateway.first().map(|one| (&one.origin, "a gateway"));
            let bridge = self.bridge.as_ref().map(|one| (&one.origin, "a bridge"));
            for (origin, what) in [host, gateway, bridge].into_iter().flatten() {
                bad(needs(origin, what));
            }
        } else if let Some(pool) = self.pool.first() {
            bad(
                Diagnostic::new(Code::Conflict, &pool.origin, "nothing is taken from a pool")
                    .and(self.sandboxs_end(), "the address is given here")
                    .help("remove one of the two lines"),
            );
        }
        for pool in &self.pool {
            let room = if pool.value.address.is_ipv4() { 2 } else { 64 };
            if pool.value.room() < room {
                bad(Diagnostic::new(
                    Code::BadNetwork,
                    &pool.origin,
                    format!("there is no room for a network in {}", pool.value),
                )
                .help("for example: \"10.213.0.0/16\" or \"fd73:6278::/48\""));
            }
        }
        for list in [&self.address, &self.host_address] {
            for (at, one) in list.iter().enumerate() {
                if let Some(why) = unusable(one.value) {
                    bad(Diagnostic::new(
                        Code::BadNetwork,
                        &one.origin,
                        format!("{}: {why}", one.value),
                    )
                    .help("choose another address"));
                }
                let mut before = list.iter().take(at);
                if let Some(other) = before.find(|other| other.value.overlaps(one.value)) {
                    bad(Diagnostic::new(
                        Code::BadNetwork,
                        &one.origin,
                        format!("the networks of {} and {} overlap", one.value, other.value),
                    )
                    .and(&other.origin, "the other one")
                    .help("remove one, or give it another network"));
                }
            }
        }
        for host in &self.host_address {
            let inside = self.address.iter();
            let mut inside = inside.filter(|one| one.value.prefix == host.value.prefix);
            match inside.find(|one| one.value.holds(host.value.address)) {
                Some(one) if one.value == host.value => bad(Diagnostic::new(
                    Code::BadNetwork,
                    &host.origin,
                    "both ends have this address",
                )
                .and(&one.origin, "the sandbox's end")
                .help("choose another address of the network")),
                Some(_) => {}
                None if self.address.is_empty() => {}
                None => bad(Diagnostic::new(
                    Code::BadNetwork,
                    &host.origin,
                    format!("{} is in no network of the sandbox's end", host.value),
                )
                .and(self.sandboxs_end(), "the sandbox's end")
                .help("both ends have addresses of one network, with the same bits")),
            }
        }
        if let Some(bridge) = &self.bridge {
            if let Some(host) = self.host_address.first() {
                bad(Diagnostic::new(
                    Code::Conflict,
                    &host.origin,
                    "a port of a bridge has no address",
                )
                .and(&bridge.origin, "the bridge")
                .help("give the bridge the address (`ip address add`), and remove this line"));
            }
        } else {
            if self.isolated.value {
                bad(Diagnostic::new(
                    Code::Needs,
                    &self.isolated.origin,
                    "`isolated` is about ports of a bridge",
                )
                .help("name the bridge, for example: bridge = \"br0\""));
            }
            let veth = self.mode.value == Mode::Veth;
            for one in (self.address.iter()).filter(|one| veth && one.value.room() == 0) {
                bad(Diagnostic::new(
                    Code::BadNetwork,
                    &one.origin,
                    format!(
                        "the network of {} has no room for the host's end",
                        one.value
                    ),
                )
                .help("for example: \"172.2.0.2/30\""));
            }
        }
        for gateway in &self.gateway {
            let holding = self
                .address
                .iter()
                .find(|one| one.value.holds(gateway.value));
            let why = match holding {
                None if self.address.is_empty() => continue,
                Some(one) if one.value.address == gateway.value => "is the sandbox's own address",
                Some(_) => continue,
                None => "is in no network of the sandbox's end",
            };
            bad(Diagnostic::new(
                Code::BadNetwork,
                &gateway.origin,
                format!("the gateway {} {why}", gateway.value),
            )
            .and(self.sandboxs_end(), "the sandbox's end")
            .help("name the host's end, or a router on the bridge"));
        }
    }

    fn speed(&self, problems: &mut Diagnostics) {
        for (key, place) in [
            ("rate", self.rate.as_ref().map(|rate| &rate.origin)),
            ("delay", self.delay.as_ref().map(|delay| &delay.origin)),
            ("loss", self.loss.as_ref().map(|loss| &loss.origin)),
        ] {
            let Some(place) = place.filter(|_| self.mode.value != Mode::Veth && !self.has_gate())
            else {
                continue;
            };
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    place,
                    format!("`{key}` is about what goes through a pair of interfaces: with the mode \"veth\", or with `allow`"),
                )
                .and(&self.mode.origin, format!("this is \"{}\"", self.mode.value.word()))
                .help("write `allow` or the mode, or remove this line"),
            );
        }
        if let Some(delay) = self
            .delay
            .as_ref()
            .filter(|delay| !DELAY.contains(&delay.value.0))
        {
            problems.push(
                Diagnostic::new(
                    Code::BadNetwork,
                    &delay.origin,
                    format!("nothing is delayed by {}", delay.value),
                )
                .help("from \"1ms\" to \"60s\", for example \"50ms\""),
            );
        }
        let Some(rate) = &self.rate else {
            return;
        };
        if !RATE.contains(&rate.value.0) {
            problems.push(
                Diagnostic::new(
                    Code::BadNetwork,
                    &rate.origin,
                    format!("no interface is limited to {} each second", rate.value),
                )
                .help(format!(
                    "from {} to {} each second, for example \"1M\"",
                    Size(*RATE.start()),
                    Size(*RATE.end())
                )),
            );
        }
    }

    fn packets(&self, problems: &mut Diagnostics) {
        let Some(mtu) = &self.mtu else {
            return;
        };
        if !MTU.contains(&mtu.value) {
            let text = format!("no interface has packets of up to {} bytes", mtu.value);
            problems.push(
                Diagnostic::new(Code::BadNetwork, &mtu.origin, text).help(format!(
                    "from {} to {}, for example 1500",
                    MTU.start(),
                    MTU.end()
                )),
            );
        } else if mtu.value < MTU_OF_IPV6
            && let Some(address) = self.address.iter().find(|one| one.value.address.is_ipv6())
        {
            let text = format!("IPv6 needs packets of at least {MTU_OF_IPV6} bytes");
            problems.push(
                Diagnostic::new(Code::BadNetwork, &mtu.origin, text)
                    .and(&address.origin, "an address of IPv6")
                    .help("raise the mtu, or remove the address"),
            );
        }
    }

    fn ports(&self, problems: &mut Diagnostics) {
        self.too_many(&self.publish, "published", problems);
        for (one, other) in clashes(&self.publish, collide) {
            let (word, port) = (one.value.protocol.word(), one.value.port);
            problems.push(
                Diagnostic::new(
                    Code::BadNetwork,
                    &one.origin,
                    format!("the {word} port {port} of the host is published twice"),
                )
                .and(&other.origin, "here already")
                .help("choose another port of the host, or remove one"),
            );
        }
        let mut seen: Option<&Origin> = None;
        for one in &self.publish {
            let Some(address) = one.value.address.filter(|_| self.mode.value == Mode::Veth) else {
                continue;
            };
            if seen.replace(&one.origin) == Some(&one.origin) {
                continue;
            }
            if address.is_loopback() && (address.is_ipv6() || self.bridge.is_some()) {
                // The supervisor hands on, to whatever address there is.
                continue;
            }
            let alike = |other: &At<Net>| other.value.address.is_ipv4() == address.is_ipv4();
            if !self.address.is_empty() && !self.address.iter().any(alike) {
                problems.push(
                    Diagnostic::new(
                        Code::BadNetwork,
                        &one.origin,
                        format!("the sandbox has no address of the kind of {address}"),
                    )
                    .and(self.sandboxs_end(), "the sandbox's")
                    .help("give the sandbox one, or publish on another address of the host"),
                );
            }
        }
    }
}

/// Why nobody can have this address.
fn unusable(net: Net) -> Option<&'static str> {
    let address = net.address;
    if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
        Some("no interface of the sandbox's can have this address")
    } else if net.prefix == 0 {
        Some("this network is all that there are")
    } else if net.is_nobodys() {
        Some("this is the address of the network itself, or of all in it")
    } else {
        None
    }
}

/// The values that clash with one before them. Of two lines that are about several ports, the first that they share is
/// enough.
fn clashes<T>(list: &[At<T>], clash: impl Fn(&T, &T) -> bool) -> Vec<(&At<T>, &At<T>)> {
    let mut found: Vec<(&At<T>, &At<T>)> = Vec::new();
    for (at, one) in list.iter().enumerate() {
        let mut before = list.iter().take(at);
        let Some(other) = before.find(|other| clash(&other.value, &one.value)) else {
            continue;
        };
        let lines = |(a, b): &(&At<T>, &At<T>)| a.origin == one.origin && b.origin == other.origin;
        if !found.iter().any(lines) {
            found.push((one, other));
        }
    }
    found
}

fn collide(one: &Published, other: &Published) -> bool {
    let same = one.protocol == other.protocol && one.port == other.port;
    same && (one.address.is_none() || other.address.is_none() || one.address == other.address)
}
