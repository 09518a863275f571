//! Programs that do for a run what only they may, or do best.

use super::Found;
use super::evidence::{status, sysctl};
use crate::host::Host;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Ids besides the caller's own.
pub(super) fn subordinate_ids(host: &Host) -> Found {
    if host.caller.has_rights() {
        return Found::unused("root maps any id by itself");
    }
    let held = host.subordinate();
    let (Some(users), Some(groups)) = (&held.newuidmap, &held.newgidmap) else {
        let missing = match held.newuidmap {
            None => "newuidmap",
            Some(_) => "newgidmap",
        };
        return Found::missing(
            format!("{missing} is not installed, and only it maps more than the caller's own id"),
            "install it (package `uidmap` on Debian and Ubuntu, `shadow-utils` on Fedora, `shadow` on Arch)",
        );
    };
    for program in [users, groups] {
        if let Some(found) = powerless(program) {
            return found;
        }
    }
    let total = |ranges: &[(u32, u32)]| -> u64 { ranges.iter().map(|r| u64::from(r.1)).sum() };
    for (file, option, ranges) in [
        ("/etc/subuid", "--add-subuids", &held.users),
        ("/etc/subgid", "--add-subgids", &held.groups),
    ] {
        if total(ranges) == 0 {
            return Found::blocked(
                format!("{file} gives uid {} no range of ids", host.caller.uid),
                format!(
                    "sudo usermod {option} 100000-165535 NAME, with a range that nobody else has"
                ),
            );
        }
    }
    Found::ok(format!(
        "{} users and {} groups by newuidmap and newgidmap",
        total(&held.users),
        total(&held.groups)
    ))
}

/// A part of a message bus.
pub(super) fn bus_proxy(host: &Host) -> Found {
    match host.bus_proxy() {
        Some(path) => Found::ok(format!("{}: a part of a message bus", path.display())),
        None => Found::missing(
            "xdg-dbus-proxy is not installed: a part of a message bus",
            "install it (package `xdg-dbus-proxy`)",
        ),
    }
}

/// Why one of the two programs, which is there, could not map anything.
fn powerless(program: &Path) -> Option<Found> {
    let path = program.display();
    if status("NoNewPrivs") == Some(1) {
        return Some(Found::blocked(
            format!("this process is under no_new_privs, so that {path} gets no rights"),
            "run outside of the sandbox or service that sets it (NoNewPrivileges= in systemd, --security-opt no-new-privileges in containers)",
        ));
    }
    let metadata = program.metadata().ok()?;
    let marked = metadata.permissions().mode() & 0o4000 != 0;
    let setuid = marked && metadata.uid() == 0;
    if marked && Some(u64::from(metadata.uid())) == overflow_uid() {
        return Some(Found::blocked(
            format!(
                "the owner of {path} has no number in this user namespace, so that it gets no rights"
            ),
            "run outside of the user namespace, or in one that maps root and a range of ids",
        ));
    }
    let mut buffer = [0u8; 64];
    // As Fedora has it: file capabilities in place of the bit.
    let capable = rustix::fs::getxattr(program, "security.capability", &mut buffer).is_ok();
    if !setuid && !capable {
        let (capability, name) = match program.ends_with("newuidmap") {
            true => ("cap_setuid", "newuidmap"),
            false => ("cap_setgid", "newgidmap"),
        };
        return Some(Found::blocked(
            format!("{path} is neither setuid root nor has {capability}"),
            format!("sudo setcap {capability}=ep {path}, or install the package of {name} again"),
        ));
    }
    let mount = rustix::fs::statvfs(program).ok()?;
    mount
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::NOSUID)
        .then(|| {
            Found::blocked(
                format!("{path} lies on a mount with nosuid, so that it gets no rights"),
                "mount it without nosuid",
            )
        })
}

/// What ids show as that the user namespace does not hold (user_namespaces(7)).
fn overflow_uid() -> Option<u64> {
    sysctl("kernel.overflowuid")?.parse().ok()
}
