//! A network that is one of the host's: the sandbox is one more machine in it (macvlan in ip-link(8)).

use super::Network;
use super::user::INSIDE;
use crate::diag::At;
use crate::host::probe::Mechanism;
use crate::plan::op::network::{Assigned, End, Macvlan};
use crate::plan::{Draft, Op, Phase};

impl Network {
    /// Makes the interface, and gives it its addresses.
    pub(super) fn connect_by_macvlan(&self, draft: &mut Draft<'_>) {
        let origin = &self.mode.origin;
        let Some(interface) = &self.interface else {
            // The check has said so.
            return;
        };
        if !draft.host.caller.has_rights_over_network() {
            draft.wants([Mechanism::Macvlan]);
            return draft.refuse(
                origin,
                "only root may make a sandbox a machine of the host's network",
                "write `mode = \"user\"`, which plain users may, or run as root",
            );
        }
        let name = &interface.value.0;
        let networks = draft.host.networks();
        match networks.named(name) {
            None => draft.refuse(
                &interface.origin,
                format!("the host has no interface `{name}`"),
                "name one that is there: see `ip link`",
            ),
            Some(_) => {
                for At { value, origin } in &self.address {
                    let all = networks.interfaces.iter();
                    let mut all = all.flat_map(|one| &one.addresses);
                    if all.any(|one| one.address == value.address) {
                        let text = format!("the host itself has the address {}", value.address);
                        draft.refuse(origin, text, "choose one that nobody has on this network");
                    }
                }
            }
        }
        let made = Op::MakeMacvlan(Macvlan {
            on: name.clone(),
            inside: INSIDE.into(),
            mtu: self.mtu.as_ref().map(|mtu| mtu.value),
            hardware: self.hardware_address.as_ref().map(|one| one.value),
        });
        draft.step(Phase::Attach, made, &interface.origin);
        for At { value, origin } in &self.address {
            let assigned = Assigned {
                end: End::Inside,
                interface: INSIDE.into(),
                net: *value,
            };
            draft.step(Phase::Attach, Op::AddAddress(assigned), origin);
        }
        let op = Op::RaiseInterface {
            end: End::Inside,
            interface: INSIDE.into(),
        };
        // That another one has its hardware address, the kernel says now.
        let hardware = self.hardware_address.as_ref();
        let raised = hardware.map_or(origin, |one| &one.origin);
        draft.step(Phase::Attach, op, raised);
        for At { value, origin } in &self.gateway {
            let op = Op::AddDefaultRoute {
                gateway: *value,
                interface: INSIDE.into(),
            };
            draft.step(Phase::Attach, op, origin);
        }
    }
}
