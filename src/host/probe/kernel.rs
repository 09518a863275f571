//! The kernel itself, `/proc`, the caller, and what restricts single processes.

use super::attempt::{self, Refused};
use super::evidence::{self, status, sysctl};
use super::{Cause, Found};
use crate::host::Host;
use crate::host::caller::Caller;
use crate::plan::op::label::Module;
use crate::sys::{identity, landlock as sys_landlock, process, trial::Call};
use nix::errno::Errno;

/// The oldest kernel that has all that a run needs: mount_setattr(2).
const OLDEST: (u32, u32) = (5, 12);

pub(super) fn version() -> Found {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let machine = system.machine().to_string_lossy();
    let (major, minor) = OLDEST;
    let detail = format!("Linux {release} on {machine}; {major}.{minor} or newer is needed");
    if is_at_least(OLDEST) {
        return Found::ok(detail);
    }
    Found::blocked(
        detail,
        format!("use Linux {major}.{minor} or newer, which has mount_setattr(2)"),
    )
}

/// Whether the kernel is as new as this; one that does not tell is.
pub(super) fn is_at_least(version: (u32, u32)) -> bool {
    let system = rustix::system::uname();
    parse(&system.release().to_string_lossy()).is_none_or(|release| release >= version)
}

/// The first two numbers of a release.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn proc() -> Found {
    // What /proc/self points to is our pid in the pid namespace that this /proc belongs to.
    match std::fs::read_link("/proc/self") {
        Ok(me) if me.to_str() == Some(&std::process::id().to_string()) => {
            Found::ok("mounted on /proc")
        }
        Ok(_) => Found::blocked(
            "/proc is that of another pid namespace",
            "mount that of this one: mount -t proc proc /proc",
        ),
        Err(_) => Found::blocked(
            "/proc is not mounted, or does not show this process",
            "mount it: mount -t proc proc /proc",
        ),
    }
}

pub(super) fn caller(caller: &Caller) -> Found {
    let who = format!("uid {}, gid {}", caller.uid, caller.gid);
    let confined = match status("NoNewPrivs") {
        Some(1) => ", under no_new_privs",
        _ => "",
    };
    let setgroups = std::fs::read_to_string("/proc/self/setgroups");
    if caller.has_rights() && setgroups.is_ok_and(|text| text.trim() == "deny") {
        // Of a namespace made by a plain user; those below it inherit the denial (user_namespaces(7)).
        return Found::blocked(
            format!(
                "{who}, with the rights of root{confined}, in a user namespace that denies setgroups(2)"
            ),
            "make the outer namespace with newgidmap, as `podman unshare` and `unshare --map-auto` do; or run outside of it",
        );
    }
    if caller.has_rights() {
        return Found::ok(format!(
            "{who}, with the rights of root{confined}: a run is on ids of nobody"
        ));
    }
    if caller.uid == 0 || caller.gid == 0 {
        return Found::limited(
            format!(
                "{who}, without CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID{confined}: id 0 is never mapped by default"
            ),
            "run as a plain user; or give root these capabilities (docker run --cap-add SYS_ADMIN); or write the maps down (`uid_map = [{ inside = 0, outside = 0 }]` under [user])",
        );
    }
    Found::ok(format!("{who}, a plain user{confined}"))
}

pub(super) fn seccomp() -> Found {
    let Some(actions) = sysctl("kernel.seccomp.actions_avail") else {
        return Found::missing(
            "this kernel has no system call filters, or /proc/sys is hidden",
            "use a kernel with CONFIG_SECCOMP_FILTER; in a container, have /proc whole",
        );
    };
    let tried = attempt::alone(&|| {
        // BPF_RET, SECCOMP_RET_ALLOW: a filter that refuses nothing.
        let allow = libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ALLOW,
        };
        identity::no_new_privileges()?;
        identity::set_filter(&[allow]).map(|()| 0)
    });
    let outer = match (evidence::is_filtered(), status("Seccomp_filters")) {
        (false, _) => String::new(),
        (true, Some(number)) => format!("; {number} filter(s) around this process already"),
        (true, None) => "; a filter is around this process already".into(),
    };
    match tried {
        Ok(_) => Found::ok(format!("filters with {actions}{outer}")),
        Err(Refused::Inside(errno)) if evidence::is_filtered() => {
            let Cause { remedy, .. } = evidence::filtered(Call::Seccomp);
            let why = errno.desc();
            Found::blocked(
                format!("a filter around this process permits no further one: {why}"),
                remedy,
            )
        }
        Err(refused) => Found::blocked(
            format!("no filter can be installed: {refused:?}"),
            "see the log of the kernel (`dmesg`)",
        ),
    }
}

pub(super) fn write_execute() -> Found {
    match attempt::alone(&|| process::refuse_write_execute().map(|()| 0)) {
        Ok(_) => Found::ok("written memory can be kept from being executed"),
        Err(Refused::Inside(Errno::EINVAL)) => Found::missing(
            "this kernel cannot keep written memory from being executed",
            "use Linux 6.3 or newer",
        ),
        Err(refused) => Found::blocked(
            format!("prctl(PR_SET_MDWE) is refused: {refused:?}"),
            "start the container with a seccomp profile that allows it",
        ),
    }
}

pub(super) fn landlock() -> Found {
    match attempt::alone(&sys_landlock::abi) {
        Ok(abi) => Found::ok(format!("ABI {abi}")),
        Err(Refused::Inside(Errno::EOPNOTSUPP)) => Found::missing(
            "off in this kernel",
            "add landlock to the list of lsm= on the kernel command line",
        ),
        Err(Refused::Inside(Errno::ENOSYS)) if !evidence::is_filtered() => Found::missing(
            "this kernel does not have it",
            "use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK",
        ),
        Err(_) => Found::blocked(
            "a system call filter around this process refuses landlock_create_ruleset",
            "start the container with a seccomp profile that allows it",
        ),
    }
}

pub(super) fn label(module: Module, host: &Host) -> Found {
    match host.has_module(module) {
        true => Found::ok("a command can be given a label"),
        false => Found::unused("not active in this kernel: no profile that asks for a label runs"),
    }
}

pub(super) fn ptrace() -> Found {
    match sysctl("kernel.yama.ptrace_scope").as_deref() {
        None => Found::ok("Yama does not restrict it; a run hides from it all the same"),
        Some("0") => Found::ok("kernel.yama.ptrace_scope is 0: any process of the same user"),
        Some("1") => Found::ok("kernel.yama.ptrace_scope is 1: debuggers trace what they start"),
        Some("2") => Found::limited(
            "kernel.yama.ptrace_scope is 2: only who has CAP_SYS_PTRACE, so no debugger in a run",
            "sudo sysctl -w kernel.yama.ptrace_scope=1",
        ),
        Some(other) => Found::limited(
            format!("kernel.yama.ptrace_scope is {other}: nothing may trace, until the next boot"),
            "boot with kernel.yama.ptrace_scope=1",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{OLDEST, parse};

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(parse("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse("5.4.0-150-generic"), Some((5, 4)));
        assert!(parse("5.9.1") < Some(OLDEST));
        assert!(parse("5.12") >= Some(OLDEST));
        assert!(parse("10.0-rc1") > Some(OLDEST));
    }
}
