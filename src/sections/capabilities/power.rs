//! What a capability is good for: over which namespace it has power, whether the command still has
//! it, whether the filter lets it be used.

use super::Capabilities;
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::sections::Profile;
use crate::sections::namespaces::Choice;
use crate::sections::network::Mode;
use crate::sections::seccomp::call::parse_call;
use caps::Capability;
use syscalls::Sysno;

/// What the kernel asks for in the first user namespace only (`capable`, not `ns_capable`):
/// user_namespaces(7), "Effect of capabilities within a user namespace".
const OF_HOST: &[&str] = &[
    "audit_control",
    "audit_read",
    "audit_write",
    "block_suspend",
    "linux_immutable",
    "mac_admin",
    "mac_override",
    "mknod",
    "sys_module",
    "sys_pacct",
    "sys_rawio",
    "sys_time",
    "sys_tty_config",
    "syslog",
    "wake_alarm",
];

/// What is as good as root on the host, where the user namespace is the host's.
const OVER_HOST: &[&str] = &[
    "all",
    "bpf",
    "dac_read_search",
    "mknod",
    "sys_admin",
    "sys_boot",
    "sys_module",
    "sys_rawio",
];

/// The calls that a capability is for, where it is for calls alone.
const CALLS: &[(&str, &[&str])] = &[
    ("bpf", &["bpf"]),
    ("chown", &["fchown", "fchownat", "chown", "lchown"]),
    ("net_bind_service", &["bind"]),
    ("net_raw", &["socket"]),
    ("perfmon", &["perf_event_open", "bpf"]),
    (
        "setgid",
        &["setgid", "setregid", "setresgid", "setfsgid", "setgroups"],
    ),
    ("setuid", &["setuid", "setreuid", "setresuid", "setfsuid"]),
    ("sys_boot", &["reboot", "kexec_load", "kexec_file_load"]),
    ("sys_chroot", &["chroot", "setns"]),
];

/// Calls that always need a capability; whether one over a user namespace of the command's own
/// would do.
const NEEDED: &[(Sysno, Capability, bool)] = &[
    (Sysno::acct, Capability::CAP_SYS_PACCT, false),
    (Sysno::chroot, Capability::CAP_SYS_CHROOT, true),
    (Sysno::clock_settime, Capability::CAP_SYS_TIME, false),
    (Sysno::delete_module, Capability::CAP_SYS_MODULE, false),
    (Sysno::finit_module, Capability::CAP_SYS_MODULE, false),
    (Sysno::init_module, Capability::CAP_SYS_MODULE, false),
    (Sysno::mount, Capability::CAP_SYS_ADMIN, true),
    (Sysno::pivot_root, Capability::CAP_SYS_ADMIN, true),
    (Sysno::reboot, Capability::CAP_SYS_BOOT, true),
    (Sysno::setdomainname, Capability::CAP_SYS_ADMIN, true),
    (Sysno::sethostname, Capability::CAP_SYS_ADMIN, true),
    (Sysno::settimeofday, Capability::CAP_SYS_TIME, false),
    (Sysno::swapoff, Capability::CAP_SYS_ADMIN, false),
    (Sysno::swapon, Capability::CAP_SYS_ADMIN, false),
    (Sysno::umount2, Capability::CAP_SYS_ADMIN, true),
    (Sysno::vhangup, Capability::CAP_SYS_TTY_CONFIG, false),
];

pub(super) fn check(this: &Capabilities, profile: &Profile, problems: &mut Diagnostics) {
    let mut lost = Vec::new();
    for (name, mask) in &this.named[0] {
        if mask & this.keep == 0 {
            continue;
        }
        let found = powerless(name, this, profile).or_else(|| without_call(name, profile));
        match found {
            Some(problem) => problems.push(problem),
            None if mask & this.keep & !this.ambient != 0 => lost.push(name),
            None => {}
        }
        if let Some(problem) = powerful(name, *mask & this.keep, profile) {
            problems.push(problem);
        }
    }
    if let Some(problem) = lost_at_exec(&lost, this, profile) {
        problems.push(problem);
    }
    calls_without(this, profile, problems);
}

/// A capability that has nothing to act on.
fn powerless(name: &At<String>, this: &Capabilities, profile: &Profile) -> Option<Diagnostic> {
    let namespaces = &profile.namespaces;
    if !namespaces.user.value.is_new() {
        return None;
    }
    let At {
        value: name,
        origin,
    } = name;
    if OF_HOST.contains(&name.as_str()) {
        let text =
            format!("`{name}` has power only over the host, and not from a new user namespace");
        let problem = Diagnostic::new(Code::HostCapability, origin, text)
            .and(&namespaces.user.origin, "new")
            .help("remove it from `keep`: the kernel refuses what it is for");
        return Some(problem);
    }
    let mode = &profile.network.mode;
    let [users, groups] = profile.user.maps();
    let (what, place) = match name.as_str() {
        "net_admin" | "net_bind_service" | "net_broadcast" | "net_raw"
            if !namespaces.has_own_network(mode.value) =>
        {
            let shared = !namespaces.net.value.is_new();
            let place = if shared {
                &namespaces.net.origin
            } else {
                &mode.origin
            };
            ("a network namespace of the sandbox's own", place)
        }
        // With net_admin the command can bring one up itself.
        "net_bind_service" | "net_raw"
            if mode.value == Mode::None && this.keep & Capability::CAP_NET_ADMIN.bitmask() == 0 =>
        {
            ("a network interface that is up", &mode.origin)
        }
        "ipc_owner" if !namespaces.ipc.value.is_new() => (
            "an ipc namespace of the sandbox's own",
            &namespaces.ipc.origin,
        ),
        "sys_boot" if !namespaces.pid.value.is_new() => (
            "a pid namespace of the sandbox's own",
            &namespaces.pid.origin,
        ),
        "setuid" if users.value.is_single() => ("a second id to change to", &users.origin),
        "setgid" if groups.value.is_single() => ("a second id to change to", &groups.origin),
        _ => return None,
    };
    let text = format!("`{name}` needs {what}, and there is none");
    Some(
        Diagnostic::new(Code::WithoutNamespace, origin, text)
            .and(place, "because of this")
            .help("remove it from `keep`, or give it what it acts on"),
    )
}

/// A capability whose calls are all refused.
fn without_call(name: &At<String>, profile: &Profile) -> Option<Diagnostic> {
    let (_, calls) = CALLS.iter().find(|(known, _)| *known == name.value)?;
    let refused = |call: Sysno| !profile.seccomp.verdict(call, profile).permits_some();
    let all = calls.iter().filter_map(|name| parse_call(name).ok());
    if !all.into_iter().all(refused) {
        return None;
    }
    let text = format!(
        "`{}` is kept, and the filter refuses what it is for: {}",
        name.value,
        calls.join(", ")
    );
    let problem = Diagnostic::new(Code::CapabilityWithoutCall, &name.origin, text);
    let place = profile.seccomp.preset_origin();
    Some(problem.and(place, "by this preset").help(format!(
        "remove it from `keep`, or allow the call: allow = [\"{}\"] under [seccomp]",
        calls.first()?
    )))
}

/// A capability that is as good as many.
fn powerful(name: &At<String>, mask: u64, profile: &Profile) -> Option<Diagnostic> {
    let namespaces = &profile.namespaces;
    let text = if namespaces.user.value == Choice::Shared {
        let traces = name.value == "sys_ptrace" && !namespaces.pid.value.is_new();
        if !traces && !OVER_HOST.contains(&name.value.as_str()) {
            return None;
        }
        format!(
            "`{}` in the host's user namespace is power over the host",
            name.value
        )
    } else if mask & Capability::CAP_SYS_ADMIN.bitmask() != 0 {
        "`sys_admin` is most of root: it undoes mounts and masks, and reaches deep into the kernel"
            .into()
    } else {
        return None;
    };
    let problem = Diagnostic::new(Code::PowerfulCapability, &name.origin, text);
    let problem = match namespaces.user.value {
        Choice::Shared => problem.and(&namespaces.user.origin, "shared here"),
        _ => problem,
    };
    Some(problem.help("keep the narrower capability that the command needs"))
}

/// exec gives a uid other than 0 the ambient capabilities and no others, unless the file has some.
fn lost_at_exec(
    lost: &[&At<String>],
    this: &Capabilities,
    profile: &Profile,
) -> Option<Diagnostic> {
    let first = lost.first()?;
    if !profile.namespaces.user.value.is_new()
        || profile.user.is_root_inside()
        || profile.mounts.permit_file_capabilities()
    {
        return None;
    }
    let names: Vec<_> = lost.iter().map(|name| name.value.as_str()).collect();
    let text = format!(
        "a uid other than 0 loses at exec what is not ambient: {}",
        names.join(", ")
    );
    let problem = Diagnostic::new(Code::LostAtExec, &first.origin, text);
    let problem = lost
        .iter()
        .skip(1)
        .fold(problem, |problem, name| problem.and(&name.origin, ""));
    let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    // What is ambient already stays so.
    let more = if this.ambient == 0 {
        "write"
    } else {
        "add to `ambient`"
    };
    Some(problem.help(format!(
        "{more} ambient = [{}], or be 0 inside (`uid_map = \"root\"` under [user])",
        quoted.join(", ")
    )))
}

/// Calls that the profile allows and the kernel refuses.
fn calls_without(this: &Capabilities, profile: &Profile, problems: &mut Diagnostics) {
    // With a user namespace of its own, the command has every capability over that.
    let nested = [Sysno::unshare, Sysno::clone, Sysno::clone3]
        .iter()
        .any(|call| profile.seccomp.verdict(*call, profile).permits_all());
    for (call, place) in profile.seccomp.allowed() {
        let Some((_, capability, by_nesting)) = NEEDED.iter().find(|(known, ..)| known == call)
        else {
            continue;
        };
        if this.keep & capability.bitmask() != 0 || (nested && *by_nesting) {
            continue;
        }
        let name = capability
            .to_string()
            .trim_start_matches("CAP_")
            .to_lowercase();
        let text = format!("`{call}` is allowed, and the kernel refuses it without `{name}`");
        let problem = Diagnostic::new(Code::CallWithoutCapability, place, text);
        let problem = problem.and(&this.origin, "not kept here");
        problems.push(problem.help(format!(
            "keep the capability (keep = [\"{name}\"] under [capabilities]), or remove the call"
        )));
    }
}
