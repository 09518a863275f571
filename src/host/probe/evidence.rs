//! What is known about why this machine refuses things: settings, security modules, filters, and
//! the container around, each read when it is first asked for.

use super::attempt::{self, Ids, Refused};
use crate::host::caller::Caller;
use crate::sys::trial::Call;
use nix::errno::Errno;
use std::path::Path;

/// A cause, and what to do about it: as little as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// What is in the way.
    pub(super) blocker: String,
    /// What removes it, and nothing more.
    pub(super) remedy: String,
}

impl Cause {
    pub(super) fn new(blocker: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            blocker: blocker.into(),
            remedy: remedy.into(),
        }
    }
}

/// The value of a sysctl by its dotted name, where `/proc/sys` shows it.
#[must_use]
pub(super) fn sysctl(name: &str) -> Option<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// A number from `/proc/self/status`, by its name there.
pub(super) fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').trim().parse().ok()
}

/// Whether this process is under a system call filter.
pub(super) fn is_filtered() -> bool {
    status("Seccomp") == Some(2)
}

/// What is known of the container around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Docker,
    Podman,
    Kubernetes,
    Unknown,
}

fn container() -> Container {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Container::Kubernetes
    } else if Path::new("/run/.containerenv").exists() {
        Container::Podman
    } else if Path::new("/.dockerenv").exists() {
        Container::Docker
    } else {
        Container::Unknown
    }
}

/// How to let a container's filter pass calls of the set-up.
fn unfilter(calls: &[Call]) -> String {
    let calls: Vec<_> = calls.iter().map(|call| call.name()).collect();
    let calls = calls.join(", ");
    let all = format!("start the container with a seccomp profile that allows {calls}");
    match container() {
        Container::Docker => format!(
            "{all} (docker run --security-opt seccomp=FILE), or with --security-opt seccomp=unconfined"
        ),
        Container::Podman => format!(
            "{all} (podman run --security-opt seccomp=FILE), or with --security-opt seccomp=unconfined"
        ),
        Container::Kubernetes => format!(
            "{all} (securityContext.seccompProfile: {{type: Localhost, localhostProfile: FILE}}), or with {{type: Unconfined}}"
        ),
        Container::Unknown => {
            format!("{all}; Docker and podman take it by --security-opt seccomp=FILE")
        }
    }
}

/// How to have a container's /proc or /sys whole.
pub(super) fn unmask() -> &'static str {
    match container() {
        Container::Docker => {
            "start the container with --security-opt systempaths=unconfined (docker run)"
        }
        Container::Podman => "start the container with --security-opt unmask=ALL (podman run)",
        Container::Kubernetes => {
            "set securityContext.procMount: Unmasked and hostUsers: false for the container"
        }
        Container::Unknown => {
            "unmount what covers it; a container is started without the masks by --security-opt systempaths=unconfined (docker), --security-opt unmask=ALL (podman), procMount: Unmasked (Kubernetes)"
        }
    }
}

/// The AppArmor profile of this process, where AppArmor is on.
fn apparmor_label() -> Option<String> {
    if std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .ok()?
        .trim()
        != "Y"
    {
        return None;
    }
    [
        "/proc/self/attr/apparmor/current",
        "/proc/self/attr/current",
    ]
    .iter()
    .find_map(|path| std::fs::read_to_string(path).ok())
    .map(|label| label.trim().trim_end_matches('\0').to_owned())
}

/// Why AppArmor refuses, if it does.
fn apparmor() -> Option<Cause> {
    let restricts =
        sysctl("kernel.apparmor_restrict_unprivileged_userns").is_some_and(|value| value != "0");
    let label = apparmor_label();
    match label.as_deref() {
        // Unknown where /proc does not show it: the sysctl alone then says that AppArmor is on.
        Some("unconfined") | None if restricts => Some(Cause::new(
            "AppArmor keeps plain programs from using user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu from 23.10 on)",
            apparmor_profile(),
        )),
        Some("unconfined") | None => None,
        Some(label) => Some(Cause::new(
            format!("the AppArmor profile that this process is under forbids it: {label}"),
            if label.starts_with("docker-default") || label.starts_with("containers-default") {
                "start the container with --security-opt apparmor=unconfined, or with a profile that allows `userns` and `mount`".to_owned()
            } else {
                format!(
                    "allow `userns,` and `mount,` in the profile {label}; `journalctl -k --grep=apparmor` shows what was refused"
                )
            },
        )),
    }
}

/// The commands that give this very program, and no other, the right to use user namespaces.
fn apparmor_profile() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/sandbox".into());
    let program = program.display().to_string().replace(['\\', '"'], "?");
    format!(
        "give this program, and no other, a profile that allows it:\n\
         sudo tee /etc/apparmor.d/sandbox <<'END'\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         profile sandbox \"{program}\" flags=(unconfined) {{\n\
         \x20 userns,\n\
         \x20 include if exists <local/sandbox>\n\
         }}\n\
         END\n\
         sudo apparmor_parser -r /etc/apparmor.d/sandbox\n\
         (on a machine that is thrown away, such as a CI runner, this is enough: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"
    )
}

fn selinux() -> Option<Cause> {
    let enforces = std::fs::read_to_string("/sys/fs/selinux/enforce").ok()?;
    (enforces.trim() == "1").then(|| {
        Cause::new(
            "SELinux enforces a policy, which may forbid it",
            "`ausearch -m avc -ts recent` shows whether it did; `audit2allow` writes the rule that is missing",
        )
    })
}

/// Whether the root of this process is not the root of its mount namespace, as far as the mount
/// table shows: nothing is mounted on "/" then.
fn is_in_chroot() -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !table.is_empty()
        && !table
            .lines()
            .any(|line| line.split(' ').nth(4) == Some("/"))
}

/// A call that a filter refuses.
pub(super) fn filtered(call: Call) -> Cause {
    let (blocker, remedy) = match is_filtered() {
        true => (
            format!(
                "a system call filter around this process refuses {} (as those of Docker, podman and Kubernetes may, and that of a sandbox does)",
                call.name()
            ),
            match call {
                Call::Seccomp => unfilter(&[call]),
                _ => unfilter(Call::SET_UP),
            },
        ),
        false => (
            format!("this kernel has no system call {}", call.name()),
            "use Linux 5.12 or newer".into(),
        ),
    };
    Cause { blocker, remedy }
}

/// A filter that kills for a call of the set-up, which no run would live to tell of.
pub(super) fn deadly_filter() -> Option<Cause> {
    if !is_filtered() {
        return None;
    }
    Call::SET_UP.iter().find_map(|call| {
        let answer = attempt::alone(&|| call.reaches_the_kernel().map(|()| 0));
        matches!(answer, Err(Refused::Killed(_))).then(|| {
            let name = call.name();
            Cause::new(
                format!("a system call filter around this process kills for {name}"),
                unfilter(Call::SET_UP),
            )
        })
    })
}

/// Why new namespaces are refused, the most certain causes first. `sysctl` is that of the kind of
/// namespace that was asked for, such as `user.max_user_namespaces`.
pub(super) fn of_refusal(refused: Refused, caller: &Caller, maximum: &str) -> Cause {
    let ids = Ids::of(caller);
    let words = |errno: Errno| format!("{} ({errno:?})", errno.desc());
    match refused {
        Refused::Fork(errno) | Refused::Clone(errno @ Errno::EAGAIN) => Cause::new(
            format!("no process can be made: {}", words(errno)),
            "see `ulimit -u` and the pids limit of the cgroup that this runs in",
        ),
        Refused::Killed(signal) if is_filtered() => Cause::new(
            format!("a system call filter around this process kills for it (signal {signal})"),
            unfilter(Call::SET_UP),
        ),
        Refused::Killed(signal) => Cause::new(
            format!("the trial was killed by signal {signal}"),
            "see the log of the kernel",
        ),
        Refused::Clone(Errno::ENOSPC | Errno::EUSERS) => full(maximum),
        Refused::Clone(Errno::EINVAL) => Cause::new(
            "this kernel does not know it",
            "use a kernel that was built with it",
        ),
        Refused::Clone(errno) | Refused::Map(errno) | Refused::Inside(errno) => {
            refused_by(refused, caller, ids).unwrap_or_else(|| {
                Cause::new(
                    format!("the kernel refuses it: {}", words(errno)),
                    "see the log of the kernel (`dmesg`) for a security module that forbids it",
                )
            })
        }
    }
}

/// Who says no.
fn refused_by(refused: Refused, caller: &Caller, ids: Ids) -> Option<Cause> {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let plain = caller.capabilities & CAP_SYS_ADMIN == 0;
    let (Refused::Clone(errno) | Refused::Map(errno) | Refused::Inside(errno)) = refused else {
        return None;
    };
    // A call that gets the same answer whatever it asks for does not reach the kernel. A security
    // module is asked after the arguments were looked at, and so is not taken for a filter here.
    let outside = |call: &&Call| {
        attempt::alone(&|| call.reaches_the_kernel().map(|()| 0)) == Err(Refused::Inside(errno))
    };
    let inside = |call: &&Call| {
        attempt::inside(libc::CLONE_NEWNS, ids, &|| call.reaches_the_kernel())
            == Err(Refused::Inside(errno))
    };
    let call = [Call::Clone3, Call::Unshare].iter().find(outside);
    let mounting = || Call::MOUNTING.iter().find(inside);
    let tried = matches!(refused, Refused::Inside(_));
    if let Some(call) = call.or_else(|| mounting().filter(|_| tried)) {
        return Some(filtered(*call));
    }
    if matches!(refused, Refused::Clone(_)) {
        if plain && sysctl("kernel.unprivileged_userns_clone").as_deref() == Some("0") {
            return Some(Cause::new(
                "kernel.unprivileged_userns_clone is 0, so that only root may make user namespaces (a setting of Debian's kernels)",
                "sudo sysctl -w kernel.unprivileged_userns_clone=1 (to keep it, write kernel.unprivileged_userns_clone=1 into /etc/sysctl.d/90-userns.conf)",
            ));
        }
        if is_in_chroot() {
            return Some(Cause::new(
                "this process is in a chroot, in which the kernel makes no user namespaces",
                "enter the tree by pivot_root(2) instead, as `unshare --mount` with `pivot_root`, systemd-nspawn and containers do",
            ));
        }
        if !maps_caller(caller) {
            return Some(Cause::new(
                "the user or group id of this process has no number in its user namespace",
                "start it with ids that /proc/self/uid_map and /proc/self/gid_map hold",
            ));
        }
    }
    apparmor().or_else(selinux)
}

/// Whether the caller's ids are mapped: those that are not show as the overflow id.
fn maps_caller(caller: &Caller) -> bool {
    let holds =
        |file: &str, id: u32| {
            std::fs::read_to_string(file).is_ok_and(|text| {
                text.lines().any(|line| {
                let mut numbers = line.split_whitespace().filter_map(|n| n.parse::<u64>().ok());
                let (first, count) = (numbers.next(), numbers.nth(1));
                matches!((first, count), (Some(f), Some(c)) if (f..f + c).contains(&u64::from(id)))
            })
            })
        };
    holds("/proc/self/uid_map", caller.uid) && holds("/proc/self/gid_map", caller.gid)
}

/// A limit on the number of namespaces.
fn full(maximum: &str) -> Cause {
    match sysctl(maximum).as_deref() {
        Some("0") => Cause::new(
            format!("{maximum} is 0: no such namespace may be made"),
            format!(
                "sudo sysctl -w {maximum}=15000 (to keep it, write {maximum}=15000 into /etc/sysctl.d/90-userns.conf); in a container, where it is a setting of its own, as root there"
            ),
        ),
        Some(number) => Cause::new(
            format!(
                "there is no room for another one: {maximum} is {number} here, and outer namespaces have limits of their own; nor are they nested more than 32 deep"
            ),
            format!(
                "end what holds so many (`lsns` lists them), or raise {maximum} where it is low"
            ),
        ),
        None => Cause::new(
            format!("there is no room for another one, and {maximum} cannot be read"),
            "mount /proc completely",
        ),
    }
}
