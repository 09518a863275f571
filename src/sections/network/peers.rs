//! `peers`: with which addresses packets are exchanged, where the network is the host's.

use super::Network;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::egress::{Host, Network as Range, Rule};
use crate::plan::op::MOST_PEERS;
use crate::profile::node::Node;
use crate::profile::shape::Kind;
use crate::profile::table::{List, Value, read_string, wrong};
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;
use crate::sections::network::family::Family;
use caps::Capability;

/// An address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Range);

impl Value for Peer {
    const KIND: Kind = Kind::Text {
        what: "an address or a network",
        form: "^[0-9a-fA-F:.]+(/[0-9]+)?$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        // As it is written everywhere else; in brackets it has a port.
        let plain = match text.contains('[') {
            true => None,
            false if text.contains(':') => Range::parse(&format!("[{text}]")),
            false => Range::parse(&text),
        };
        let sample = "for example: \"192.0.2.7\", \"10.0.0.0/8\" or \"fd00::/8\"; this machine's own are \"127.0.0.0/8\" and \"::1\"";
        let (message, help) = match plain {
            Some(Ok(range)) => return Some(Self(range)),
            Some(Err(why)) => (format!("`{text}` is no network: {}", why.why), why.help),
            None => (
                format!("`{text}` is no address and no network"),
                sample.into(),
            ),
        };
        wrong(&origin, message, &help, problems);
        None
    }
}

/// The list, which the kernel looks through for each packet.
pub(super) fn check(
    raw: Option<At<List<Peer>>>,
    problems: &mut Diagnostics,
) -> Option<At<Vec<At<Peer>>>> {
    let At { value, origin } = raw?;
    if let Some(beyond) = value.0.get(MOST_PEERS) {
        let message = format!("more than {MOST_PEERS} lines, through which each packet goes");
        problems.push(
            Diagnostic::new(Code::WrongValue, &beyond.origin, message)
                .help("name networks in place of addresses"),
        );
    }
    Some(At::new(value.0, origin))
}

impl Network {
    /// The addresses with which packets are exchanged, where they are bounded and this caller can have that; a refusal
    /// is in the draft.
    pub fn bounded_peers(&self, draft: &mut Draft<'_>) -> Option<(Vec<Range>, &Origin)> {
        let At { value, origin } = self.peers.as_ref()?;
        if !draft.host.caller.is_over_the_machine() {
            let help = "run as root; or leave `mode` and `peers` out, and write `allow`: what is reached is decided for everybody in a network of the sandbox's own";
            let text =
                "only root of the machine can bound whom a command reaches in the host's network";
            draft.refuse(origin, text, help);
            return None;
        }
        Some((value.iter().map(|peer| peer.value.0).collect(), origin))
    }

    /// Who sends packets by another way than its group's.
    pub(super) fn relate_peers(&self, profile: &Profile, problems: &mut Diagnostics) {
        let Some(peers) = &self.peers else {
            return;
        };
        let raw = Capability::CAP_NET_RAW;
        let others = |families: &At<Vec<Family>>| families.value.contains(&Family::Packet);
        let packets = self.families.as_ref().is_none_or(others);
        if packets && !profile.namespaces.user.value.is_new() && profile.capabilities.keeps(raw) {
            let kept = profile.capabilities.origin_of(raw);
            let message =
                format!("who keeps {raw} sends what no rule about addresses sees (packet(7))");
            problems.push(
                Diagnostic::new(Code::Conflict, kept, message)
                    .and(&peers.origin, "whom it may reach")
                    .help("do not keep it, or write `families` under [network] without \"packet\""),
            );
        }
    }

    /// With whom packets are exchanged, where that is bounded; a network from this rank on is the whole of the host's.
    pub(super) fn grants_of_peers(&self, whole: u64) -> impl Iterator<Item = Grant> {
        let peers = self.peers.iter().flat_map(|peers| &peers.value);
        peers.map(move |At { value, origin }| {
            let rule = Rule {
                host: Host::Network(value.0),
                port: None,
                protocol: None,
            };
            let words = format!("exchange packets with {rule}");
            let extent = Extent::Reach(rule.clone(), Vec::new(), whole);
            Grant::new(Area::Network, "network:peers", extent, words, origin)
                .one_of("exchange packets with", rule.to_string())
        })
    }
}
