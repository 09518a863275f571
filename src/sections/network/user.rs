//! A network that pasta(1) carries.

use super::Network;
use crate::diag::At;
use crate::host::network::TUN;
use crate::host::probe::Mechanism;
use crate::plan::op::network::{Pasta, Protocol};
use crate::plan::{Draft, Op, Phase};
use crate::sections::user::Identity;

/// The interface inside.
pub(super) const INSIDE: &str = "eth0";

/// What holds for every sandbox: it stays a child of the supervisor, and sets up the interface by itself. Neither
/// the host's loopback nor ports that happen to be open are connected with anything that the profile does not name.
const ARGUMENTS: &[&str] = &[
    "--foreground",
    "--quiet",
    "--config-net",
    "--no-map-gw",
    "--no-netns-quit",
    "--no-dhcp",
    "--no-dhcpv6",
    "--no-ra",
    "--pid",
    "/dev/stdout",
    "--netns-only",
    "--netns",
    "/proc/self/fd/0",
    "--ns-ifname",
    INSIDE,
];

impl Network {
    /// Starts pasta for the network.
    pub(super) fn connect_by_pasta(&self, identity: &Identity, draft: &mut Draft<'_>) {
        let host = draft.host;
        let origin = &self.mode.origin;
        let Some(program) = host.pasta() else {
            draft.wants([Mechanism::Pasta]);
            return draft.refuse(
                origin,
                "pasta is not installed, which carries between the sandbox and the network",
                "install the package `passt`, or as root write `mode = \"veth\"`",
            );
        };
        match host.may_open_tun() {
            Some(true) => {}
            Some(false) => draft.refuse(
                origin,
                format!("pasta may not open {TUN} under the ids that it takes"),
                format!("let everybody open it, as udev does: chmod 666 {TUN}"),
            ),
            None => draft.refuse(
                origin,
                format!("there is no {TUN}, by which pasta makes its interface"),
                "load the module (modprobe tun); in a container, let it have the device (for Docker: --device /dev/net/tun)",
            ),
        }
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(ToString::to_string).collect();
        if let Some(mtu) = &self.mtu {
            arguments.extend(["--mtu".to_owned(), mtu.value.to_string()]);
        }
        // The ports of the host's loopback that are reached by the sandbox's own.
        let reached = if self.forward_all.is_some() {
            "auto"
        } else {
            "none"
        };
        for option in ["--tcp-ns", "--udp-ns"] {
            arguments.extend([option.to_owned(), reached.to_owned()]);
        }
        for (protocol, option) in [
            (Protocol::Tcp, "--tcp-ports"),
            (Protocol::Udp, "--udp-ports"),
        ] {
            let published = self.publish.iter().map(|one| one.value);
            let mut ports: Vec<_> = published
                .filter(|one| one.protocol == protocol)
                .map(|one| match one.address {
                    Some(address) => format!("{address}/{}:{}", one.port, one.inside),
                    None => format!("{}:{}", one.port, one.inside),
                })
                .collect();
            if ports.is_empty() {
                ports.push("none".into());
            }
            arguments.extend(ports.into_iter().flat_map(|port| [option.to_owned(), port]));
        }
        for At { value, origin } in &self.publish {
            draft.step(Phase::Attach, Op::ReservePort(*value), origin);
        }
        let op = Op::StartPasta(Pasta {
            program: program.into(),
            arguments,
            uid: identity.uid,
            gid: identity.gid,
        });
        draft.step(Phase::Attach, op, origin);
    }
}
