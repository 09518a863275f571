//! Control groups: which version, where we are, and whether a group with limits can be made. Only
//! looked at, by the very code that a run asks.

use super::Found;
use crate::host::Host;
use crate::host::cgroup::{Controller, Kind};
use crate::sys::bpf::{self, Hook};

/// The hierarchies.
pub(super) fn hierarchies(host: &Host) -> Found {
    match host.cgroups() {
        Ok(cgroups) => match cgroups.summary() {
            Some(summary) => Found::ok(summary),
            None => Found::missing(
                "this process is in no control group",
                "boot with a kernel that has CONFIG_CGROUPS, and mount cgroup2 on /sys/fs/cgroup",
            ),
        },
        Err(error) => Found::blocked(error, "mount /proc completely"),
    }
}

/// Rules about devices: for root alone, and on v2 for kernels that take a program about them.
pub(super) fn devices(host: &Host) -> Found {
    if !host.caller.is_over_the_machine() {
        return Found::blocked(
            "only root of the machine may have rules about devices",
            "run as root, or go without: no other node is in /dev, and none can be made",
        );
    }
    let found = controller(Controller::Devices, host);
    let is_v1 = host
        .cgroups()
        .is_ok_and(|all| all.is_v1(Controller::Devices));
    if is_v1 || found.0 != super::State::Ok {
        return found;
    }
    programs(Hook::DEVICES, "devices").unwrap_or(found)
}

/// Rules about packets of the host's network: for root alone, and in the unified hierarchy.
pub(super) fn packets(host: &Host) -> Found {
    if !host.caller.is_over_the_machine() {
        return Found::blocked(
            "only root of the machine may bound whom a command reaches in the host's network",
            "run as root, or write `allow` under [network], in a network of the sandbox's own",
        );
    }
    let found = controller(Controller::Packets, host);
    if found.0 != super::State::Ok {
        return found;
    }
    programs(Hook::SENT, "packets").unwrap_or(found)
}

/// Why there are no programs of a kind, if there are none.
fn programs(hook: Hook, about: &str) -> Option<Found> {
    let errno = bpf::load(hook, &bpf::PERMIT_NOTHING).err()?;
    Some(Found::blocked(
        format!("the kernel takes no program about {about}: {errno}"),
        "boot with a kernel that has CONFIG_CGROUP_BPF, or run with the capability sys_admin",
    ))
}

/// The limits of one controller.
pub(super) fn controller(controller: Controller, host: &Host) -> Found {
    let cgroups = match host.cgroups() {
        Ok(cgroups) => cgroups,
        Err(error) => return Found::blocked(error, "mount /proc completely"),
    };
    match cgroups.place(&[controller]) {
        Ok(place) => {
            let mut found: Vec<_> = place
                .v1()
                .iter()
                .map(|hierarchy| format!("v1, below {}", hierarchy.dir.display()))
                .collect();
            found.extend(place.v2().map(|(base, kind, _)| {
                let base = base.display();
                match kind {
                    Kind::Beside => format!("v2, below {base}, beside our own group"),
                    Kind::Below => format!("v2, below our own group {base}"),
                    Kind::Leaf => {
                        format!("v2, below our own group {base}, whose processes move into a leaf")
                    }
                    Kind::Scope(scope) => format!(
                        "v2, in a scope of its own, for which {} is asked at {}",
                        scope.manager.name(),
                        scope.socket.path.display()
                    ),
                }
            }));
            Found::ok(found.join("; "))
        }
        Err(no) => Found::blocked(no.to_string(), no.remedy()),
    }
}
