//! Names for many calls at once, written `@name`: the sets that systemd has made familiar
//! (systemd.exec(5), `SystemCallFilter=`), with its meaning, and every group of the presets.

use super::presets::{GROUPS, Group, group};
use syscalls::Sysno;

/// A set that is put together of groups, other sets and single calls.
struct Set {
    name: &'static str,
    sets: &'static [&'static str],
    groups: &'static [&'static str],
    calls: &'static [Sysno],
}

/// One set: its name, the sets and groups in it, and its calls.
macro_rules! set {
    ($name:literal; $($set:literal)*; $($group:literal)*; $($calls:tt)*) => {
        Set {
            name: $name,
            sets: &[$($set),*],
            groups: &[$($group),*],
            calls: super::presets::calls![$($calls)*],
        }
    };
}

/// THE list. Where systemd has a set and the presets a group of the same name, the group is a part of it.
#[rustfmt::skip]
static SETS: &[Set] = &[
    set!["aio";; "aio" "io-uring";],
    set!["clock";; "clock";],
    set!["cpu-emulation";;; ; x86_64: modify_ldt],
    set!["debug";;; ptrace perf_event_open lookup_dcookie pidfd_getfd],
    set!["default";; "identity" "threads" "time";
        brk mmap munmap mprotect execve exit exit_group getpid getppid gettid getpgid getsid getrandom getrlimit
        prlimit64 sched_getaffinity restart_syscall rt_sigreturn
        ; x86_64: arch_prctl get_thread_area set_thread_area getpgrp pause uprobe uretprobe],
    set!["file-system";; "file-system" "file-watch" "special-files" "xattr-read" "xattr-write";
        close fcntl openat2],
    set!["ipc";; "ipc" "memfd";
        pipe2 process_vm_readv process_vm_writev process_madvise
        ; x86_64: pipe],
    set!["network-io";; "network-io" "network-server" "socket-io";],
    set!["pkey";;; pkey_alloc pkey_free pkey_mprotect],
    set!["privileged"; "chown" "clock" "module" "raw-io" "reboot" "swap"; "administration" "privileges";
        bpf fanotify_init fanotify_mark open_by_handle_at chroot pivot_root nfsservctl setuid setreuid setresuid
        setgroups
        ; x86_64: _sysctl],
    set!["process";; "process" "namespaces"; capget clone3],
    set!["raw-io";;; ; x86_64: iopl ioperm],
    set!["reboot";; "kexec"; reboot],
    set!["resources";; "scheduling";
        setrlimit mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages],
    set!["swap";;; swapon swapoff],
    set!["sync";; "sync"; msync],
    set!["system-service";
        "aio" "basic-io" "chown" "default" "file-system" "io-event" "ipc" "keyring" "memlock" "network-io"
        "process" "resources" "setuid" "signal" "sync" "timer";
        "descriptors" "limits" "numa" "privileges" "program" "zero-copy";
        madvise mremap remap_file_pages sched_yield personality kcmp name_to_handle_at userfaultfd],
    set!["timer";; "timer"; times],
];

/// The calls of `@name`, given without the `@`.
#[must_use]
pub fn members(name: &str) -> Option<Vec<Sysno>> {
    let Some(set) = SETS.iter().find(|set| set.name == name) else {
        return group(name).map(|group| group.calls.to_vec());
    };
    let below = set.sets.iter().filter_map(|name| members(name)).flatten();
    let groups = set.groups.iter().filter_map(|name| group(name));
    let mut calls: Vec<_> = below
        .chain(groups.flat_map(|group| group.calls.iter().copied()))
        .chain(set.calls.iter().copied())
        .collect();
    calls.sort_unstable_by_key(Sysno::id);
    calls.dedup();
    Some(calls)
}

/// Every name, without the `@`.
pub fn names() -> impl Iterator<Item = &'static str> {
    let groups = GROUPS.iter().map(|group: &Group| group.name);
    let sets = SETS.iter().map(|set| set.name);
    sets.chain(groups.filter(|name| !SETS.iter().any(|set| set.name == *name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_set_is_made_of_what_exists_and_holds_the_group_of_its_name() {
        for set in SETS {
            for part in set.sets {
                assert!(members(part).is_some(), "@{}: @{part}", set.name);
            }
            for part in set.groups {
                assert!(
                    group(part).is_some() || cfg!(target_arch = "aarch64"),
                    "@{}: {part}",
                    set.name
                );
            }
            let all = members(set.name).unwrap();
            let own = group(set.name).map_or(&[][..], |group| group.calls);
            assert!(own.iter().all(|call| all.contains(call)), "@{}", set.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let all: Vec<_> = names().collect();
        let unique: BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), unique.len());
    }

    /// The names that `systemd-analyze syscall-filter` lists, but for `@known`.
    #[test]
    fn the_names_of_systemd_exist() {
        for name in [
            "aio",
            "basic-io",
            "chown",
            "clock",
            "cpu-emulation",
            "debug",
            "default",
            "file-system",
            "io-event",
            "ipc",
            "keyring",
            "memlock",
            "module",
            "mount",
            "network-io",
            "obsolete",
            "pkey",
            "privileged",
            "process",
            "raw-io",
            "reboot",
            "resources",
            "sandbox",
            "setuid",
            "signal",
            "swap",
            "sync",
            "system-service",
            "timer",
        ] {
            assert!(members(name).is_some(), "@{name}");
        }
    }

    /// A service that is refused `@resources` must still be able to ask, and one that is refused
    /// `@setuid` to give up capabilities.
    #[test]
    fn sets_are_as_narrow_as_those_of_systemd() {
        let holds = |name, call| members(name).unwrap().contains(&call);
        assert!(holds("resources", Sysno::setrlimit) && !holds("resources", Sysno::prlimit64));
        assert!(holds("setuid", Sysno::setuid) && !holds("setuid", Sysno::capset));
        assert!(holds("basic-io", Sysno::read) && !holds("basic-io", Sysno::ioctl));
        assert!(holds("process", Sysno::clone) && !holds("process", Sysno::execve));
        assert!(holds("system-service", Sysno::socket) && !holds("system-service", Sysno::mount));
        assert!(!holds("system-service", Sysno::ptrace) && !holds("system-service", Sysno::bpf));
        assert!(holds("privileged", Sysno::swapon) && holds("privileged", Sysno::init_module));
    }
}
