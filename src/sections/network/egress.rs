//! `allow` and `deny`: what of the network the command may reach, by name, address and port.

use super::{Mode, Network, RawNetwork};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::egress::{End, Host, Name, Permit, Protocol, Reason, Rule, Rules};
use crate::plan::layout::{Entry, What};
use crate::plan::op::filter::{MOST_LINES, PacketFilter};
use crate::plan::op::gate::{self, Listen, MOST_PORTS};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::review::grant::WHOLE;
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;
use crate::sys::mount::Attributes;
use caps::Capability;
use std::net::IpAddr;
use std::path::Path;

/// What of the network the command may reach.
#[derive(Clone, Debug)]
pub struct Egress {
    /// The rules.
    pub rules: Rules,
    /// The lines of `allow`, one each.
    allow: Vec<Origin>,
    /// The lines of `deny`, one each.
    deny: Vec<Origin>,
    /// The place of `allow`.
    origin: Origin,
    /// Whether names are decided on too: at the gate, and not by a packet filter.
    at_gate: bool,
}

/// A refusal in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<'e> {
    /// What refuses.
    pub rule: String,
    /// The line.
    pub origin: &'e Origin,
    /// What to write so that it is permitted.
    pub remedy: String,
}

/// Where names are resolved by, as resolv.conf(5) has it.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What needs no resolving.
const HOSTS: &str = "/etc/hosts";

impl Egress {
    /// Reads the lines. `None` where nothing is allowed: then there is nothing to decide.
    pub(super) fn check(raw: &RawNetwork, problems: &mut Diagnostics) -> Option<Self> {
        let mut read = |list: &Option<At<List<String>>>, deny: bool| {
            let lines = list.iter().flat_map(|list| &list.value.0);
            let (mut rules, mut origins) = (Vec::new(), Vec::new());
            for line in lines {
                match rule(&line.value, deny) {
                    Ok(rule) => {
                        rules.push(rule);
                        origins.push(line.origin.clone());
                    }
                    Err((why, help)) => {
                        let text = crate::diag::printable(&line.value);
                        let message = format!("`{text}` is nothing that can be reached: {why}");
                        let problem = Diagnostic::new(Code::BadAddress, &line.origin, message);
                        problems.push(problem.help(help));
                    }
                }
            }
            (rules, origins)
        };
        let (allow, allow_origins) = read(&raw.allow, false);
        let (deny, deny_origins) = read(&raw.deny, true);
        let origin = raw.allow.as_ref()?.origin.clone();
        let rules = Rules { allow, deny };
        let at_gate = raw.mode.value == Mode::Loopback;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            if at_gate && rules.ports(protocol).len() > MOST_PORTS {
                let message = format!("more than {MOST_PORTS} different ports ({protocol})");
                problems.push(
                    Diagnostic::new(Code::WrongValue, &origin, message)
                        .help("each takes a socket of the supervisor: name fewer"),
                );
            }
        }
        (!rules.allow.is_empty()).then_some(Self {
            rules,
            allow: allow_origins,
            deny: deny_origins,
            origin,
            at_gate,
        })
    }

    /// Why something was refused; `whom` is the host that was meant, `address` and `port` where it would have led.
    #[must_use]
    pub fn refused(
        &self,
        reason: Reason,
        whom: &str,
        address: Option<IpAddr>,
        port: Option<(u16, Protocol)>,
    ) -> Refused<'_> {
        let at = |host: &str| {
            let host = match host.parse::<IpAddr>() {
                Ok(address) if address.is_ipv6() => format!("[{address}]"),
                _ => host.to_owned(),
            };
            match port {
                Some((port, Protocol::Tcp)) => format!("\"{host}:{port}\""),
                Some((port, Protocol::Udp)) => format!("\"{host}:{port}/udp\""),
                None => format!("\"{host}:PORT\""),
            }
        };
        let add = |host: &str| {
            match self.at_gate || host.parse::<IpAddr>().is_ok() {
            true => format!("add {} to `allow` under [network]", at(host)),
            false => "add its addresses to `allow` under [network], or leave the mode out: then names are decided on"
                .into(),
        }
        };
        let by_number = || address.map_or_else(|| add(whom), |address| add(&address.to_string()));
        let (rule, origin, remedy) = match reason {
            Reason::Denied(line) => {
                let text = (self.rules.deny.get(line)).map_or_else(String::new, Rule::to_string);
                let remedy = format!("remove \"{text}\" from `deny` under [network]");
                (
                    format!("network.deny {text:?}"),
                    self.deny.get(line),
                    remedy,
                )
            }
            Reason::NotAllowed => ("not in network.allow".into(), None, add(whom)),
            Reason::OtherPort(line) => {
                let text = (self.rules.allow.get(line)).map_or_else(String::new, Rule::to_string);
                let rule = format!("network.allow has another port: {text:?}");
                (rule, self.allow.get(line), add(whom))
            }
            Reason::Special(kind) => {
                let rule = format!("no name leads to an address of the kind \"{kind}\"");
                let loopback = address.is_some_and(|a| a.is_loopback() || a.is_unspecified());
                let remedy = match loopback {
                    true => "have it lead elsewhere: what listens on the host's loopback is not reached from a sandbox".into(),
                    false => by_number(),
                };
                (rule, None, remedy)
            }
            Reason::Nameless => (
                "it names no host that can be read".into(),
                None,
                by_number(),
            ),
        };
        Refused {
            rule,
            origin: origin.unwrap_or(&self.origin),
            remedy,
        }
    }

    /// Whether a host may be reached at a port, for `sandbox why`: the line that permits it.
    ///
    /// # Errors
    /// Why not.
    pub fn reaches(
        &self,
        host: &Result<Name, IpAddr>,
        port: u16,
    ) -> Result<(&Rule, &Origin), Refused<'_>> {
        let protocol = Protocol::Tcp;
        let decided = match host {
            Ok(name) => self.rules.reach(name, port, protocol),
            Err(address) => {
                (self.rules.connect(End::new(*address, port, protocol), &[])).map(|permit| {
                    match permit {
                        Permit::Address(at) | Permit::Name(at) => at,
                    }
                })
            }
        };
        let whom = match host {
            Ok(name) => name.to_string(),
            Err(address) => address.to_string(),
        };
        let address = host.as_ref().err().copied();
        decided
            .and_then(|at| {
                let line = self.rules.allow.get(at).zip(self.allow.get(at));
                line.ok_or(Reason::NotAllowed)
            })
            .map_err(|reason| self.refused(reason, &whom, address, Some((port, protocol))))
    }

    /// Whether it is decided at the gate; else by a packet filter.
    pub(super) fn is_at_gate(&self) -> bool {
        self.at_gate
    }

    fn filter_steps(&self, draft: &mut Draft<'_>) {
        let filter = Op::FilterPackets(Box::new(PacketFilter::new(&self.rules)));
        draft.step(Phase::GateNetwork, filter, &self.origin);
        let told = Op::HearRefused(Box::new(self.rules.clone()));
        draft.step(Phase::Gate, told, &self.origin);
    }

    /// What is permitted of a network; one from `within` on leads to all of it.
    pub(super) fn grants(&self, within: u64) -> impl Iterator<Item = Grant> {
        let lines = self.rules.allow.iter().zip(&self.allow);
        lines.map(move |(rule, origin)| {
            let share = match &rule.host {
                Host::Name(_) => 300,
                Host::Below(_) => 600,
                // Half of the whole for half of the addresses.
                Host::Network(network) => {
                    let bits = if network.is_v6() { 128 } else { 32 };
                    let wide = u32::from(bits - network.length()) * (WHOLE / 2) / u32::from(bits);
                    300 + wide
                }
            };
            let extent = Extent::Reach(rule.clone(), self.rules.deny.clone(), within);
            let words = format!("reach {rule}");
            Grant::new(Area::Network, "network:allow", extent, words, origin)
                .share(share)
                .one_of("reach", rule.to_string())
        })
    }
}

/// One line; else why it is none, and what to write.
fn rule(text: &str, deny: bool) -> Result<Rule, (String, String)> {
    let rule = Rule::parse(text, deny).map_err(|wrong| (wrong.why, wrong.help))?;
    let own = match &rule.host {
        Host::Name(name) | Host::Below(name) => name.is_localhost(),
        // Of a network that reaches beyond, the rest is meant.
        Host::Network(network) => {
            network.address().is_loopback() && (network.is_v6() || network.length() >= 8)
        }
    };
    if own && !deny {
        return Err((
            "inside, this is the sandbox's own loopback".into(),
            "what listens inside is reached without a line; what listens on the host's loopback is not reached from a sandbox".into(),
        ));
    }
    Ok(rule)
}

impl Network {
    /// What `allow` and `deny` need of the rest of the profile.
    pub(super) fn relate_egress(&self, profile: &Profile, problems: &mut Diagnostics) {
        let Some(place) = self.lists.first() else {
            return;
        };
        let net = &profile.namespaces.net;
        let mode = self.mode.value;
        let own = profile.namespaces.has_own_network(mode);
        // Where there is no network at all, to deny some of it is no contradiction.
        if own && self.is_connected() {
            return self.relate_filter(profile, problems);
        }
        if own && (mode == Mode::Loopback || self.egress.is_none()) {
            if self.egress.is_some() && !profile.namespaces.builds_root() {
                let message = "names are resolved by files of a root of the sandbox's own";
                problems.push(
                    Diagnostic::new(Code::Needs, place, message)
                        .and(
                            &profile.namespaces.mount.origin,
                            "the host's is shared here",
                        )
                        .help("remove `mount = \"shared\"` under [namespaces], or the list"),
                );
            }
            return;
        }
        let (with, what) = if net.value.is_new() {
            (
                &self.mode.origin,
                format!("the mode is \"{}\"", mode.word()),
            )
        } else {
            (&net.origin, "the network is not the sandbox's own".into())
        };
        let message = "what may be reached is decided only in a network of the sandbox's own";
        problems.push(
            Diagnostic::new(Code::Conflict, place, message)
                .and(with, what)
                .help("write `mode = \"loopback\"` under [network], or remove the list"),
        );
    }

    /// What a packet filter beside a connected mode cannot tell, and who could pass it by.
    fn relate_filter(&self, profile: &Profile, problems: &mut Diagnostics) {
        let Some(egress) = &self.egress else {
            if let Some(place) = self.lists.first() {
                let message =
                    "`deny` takes something away from `allow`, and nothing is listed there";
                problems.push(
                    Diagnostic::new(Code::Needs, place, message)
                        .help("write under `allow` what may be reached; all else is refused then"),
                );
            }
            return;
        };
        let word = self.mode.value.word();
        let Rules { allow, deny } = &egress.rules;
        let lines = allow.iter().zip(&egress.allow);
        for (rule, origin) in lines.chain(deny.iter().zip(&egress.deny)) {
            if matches!(rule.host, Host::Network(_)) {
                continue;
            }
            let message =
                format!("beside the mode \"{word}\" packets are filtered, which bear no names");
            problems.push(
                Diagnostic::new(Code::Conflict, origin, message)
                    .and(&self.mode.origin, format!("the mode is \"{word}\""))
                    .help("write the address, or a network, or leave the mode out: then names are decided on, where nothing else leads out"),
            );
        }
        if let Some(origin) = (egress.allow.iter().chain(&egress.deny)).nth(MOST_LINES) {
            let message = format!("more than {MOST_LINES} lines for one packet filter");
            problems.push(
                Diagnostic::new(Code::WrongValue, origin, message)
                    .help("name networks in place of addresses, or several ports in a row"),
            );
        }
        for (capability, why) in [
            (Capability::CAP_NET_ADMIN, "could change the packet filter"),
            (
                Capability::CAP_NET_RAW,
                "sends what no packet filter sees (packet(7))",
            ),
        ] {
            if profile.capabilities.keeps(capability) {
                let message = format!("who keeps {capability} {why}");
                let kept = profile.capabilities.origin_of(capability);
                problems.push(
                    Diagnostic::new(Code::Conflict, kept, message)
                        .and(&egress.origin, "what may be reached")
                        .help("do not keep it, or remove the list"),
                );
            }
        }
    }

    /// The files by which names are resolved, at the gate.
    pub(super) fn egress_entries(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let Some(egress) = &self.egress else {
            return;
        };
        let name = &profile.names.hostname.value;
        let resolver = gate::RESOLVER;
        for (target, text) in [
            (
                RESOLV_CONF,
                format!("nameserver {resolver}\noptions timeout:10 attempts:2\n"),
            ),
            (
                HOSTS,
                format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n"),
            ),
        ] {
            if profile.mounts.on(Path::new(target)).is_some() {
                let text = format!("names are resolved as {target} of the profile says");
                draft.note(&egress.origin, text);
                continue;
            }
            draft.entries.push(Entry {
                target: target.into(),
                what: What::File(text.into_bytes(), 0o644.into()),
                attributes: Attributes::READ_ONLY
                    .with(Attributes::NOSUID)
                    .with(Attributes::NODEV),
                optional: false,
                origin: egress.origin.clone(),
            });
        }
    }

    /// Makes the gate, and opens it.
    pub(super) fn egress_steps(&self, draft: &mut Draft<'_>) {
        let Some(egress) = &self.egress else {
            return;
        };
        if !egress.at_gate {
            return egress.filter_steps(draft);
        }
        let Egress {
            rules,
            allow,
            origin,
            ..
        } = egress;
        draft.step(Phase::Gate, Op::OpenGate(Box::new(rules.clone())), origin);
        let mut inside = |op, origin: &Origin| draft.step(Phase::GateNetwork, op, origin);
        inside(Op::MakeGateNetwork, origin);
        for link in [gate::OPEN, gate::SHUT] {
            inside(Op::LinkGate(link), origin);
        }
        let worse = self.worse();
        if let Some((line, origin)) = worse {
            inside(Op::WorsenGate(line), origin);
        }
        if let Some(At { value, origin }) = &self.rate {
            let (rate, behind) = (value.0, worse.is_some());
            inside(Op::LimitGate { rate, behind }, origin);
        }
        for (rule, origin) in rules.allow.iter().zip(allow) {
            if let Host::Network(network) = &rule.host {
                inside(Op::RouteToGate(*network), origin);
            }
        }
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            inside(Op::ListenAtGate(Listen::Resolver(protocol)), origin);
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for port in rules.ports(protocol) {
                let wants = |rule: &Rule| {
                    rule.port.is_some_and(|ports| ports.has(port))
                        && rule.protocol == Some(protocol)
                };
                let line = rules
                    .allow
                    .iter()
                    .position(wants)
                    .and_then(|at| allow.get(at));
                let listen = Listen::Port(protocol, port);
                inside(Op::ListenAtGate(listen), line.unwrap_or(origin));
            }
        }
        let filter = gate::observer(&rules.ports(Protocol::Udp));
        inside(Op::ObserveGate(filter), origin);
        inside(Op::LeaveGateNetwork, origin);
        inside(Op::RepeatAtGate, origin);
    }
}
