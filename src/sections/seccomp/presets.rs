//! The policy data: which system calls each preset permits, and why.
//!
//! All are allow-lists. The default one follows what Docker's default profile and systemd's
//! `@system-service` agree on, minus what no build needs; the strict one is for a program that computes
//! on the files it is given. Between them, `build` is the default without some groups, and `network-client`
//! the strict one with some. Where a refusal should look like an older kernel, so that a program takes its
//! fallback, the errno is `ENOSYS`; where it should look like a missing privilege, it is `EPERM`.
//!
//! Numbers that stand in no group (calls that are newer than this table) are answered with `ENOSYS`:
//! a new call must not pass an old filter, as the mount API of Linux 5.2 once did (CVE-2021-41133).

use libc::{ENOSYS, EOPNOTSUPP, EPERM};
use syscalls::Sysno;

crate::choice! {
    /// A named starting point for a filter.
    #[derive(Hash)]
    pub enum Preset {
        /// Everything that builds, tests and their debuggers do.
        Default = "default",
        /// Compiling, testing and packing: as the default, without tracing, and with sockets of the unix family alone.
        Build = "build",
        /// Fetching from servers: as the strict one, with sockets that connect and none that take connections.
        NetworkClient = "network-client",
        /// Computing on given files: no network, no tracing, no change of identity.
        Strict = "strict",
        /// Nothing but what starting and ending a program takes: an allow-list of one's own.
        None = "none",
        /// No filter at all.
        Off = "off",
    }
}

/// What a preset says about a whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stance {
    /// The calls run, those with a [`condition`](super::conditions::condition) only when it holds.
    Allow,
    /// The calls return this errno without being run.
    Refuse(i32),
}

/// System calls that belong together, under a name that people know from systemd's sets.
#[derive(Debug)]
pub struct Group {
    /// The name, without the `@`.
    pub name: &'static str,
    /// What the calls are for and why they are permitted or refused; one line, for people.
    pub about: &'static str,
    /// The verdict of [`Preset::Default`].
    pub default: Stance,
    /// The verdict of [`Preset::Strict`].
    pub strict: Stance,
    /// The members. Each call of the architecture is in exactly one group.
    pub calls: &'static [Sysno],
}

/// What [`Preset::Build`] refuses of the default preset, as the strict one does. Their users in a build (node,
/// the JVM) do without; what debugs, or runs the sanitizer for leaks, wants the default preset.
const NOT_TO_BUILD: &[&str] = &["aio", "file-watch", "numa", "privileges", "trace"];

/// What [`Preset::NetworkClient`] permits beyond the strict preset: sockets, and what curl, git, ssh and the
/// clients of package registries do with what they fetch.
const TO_FETCH: &[&str] = &["memfd", "network-io", "numa", "xattr-write", "zero-copy"];

impl Group {
    /// What `preset` says about this group.
    #[must_use]
    pub fn stance(&self, preset: Preset) -> Stance {
        let of = |names: &[&str]| names.contains(&self.name);
        match preset {
            Preset::Build if of(NOT_TO_BUILD) => self.strict,
            Preset::NetworkClient if of(TO_FETCH) => self.default,
            Preset::Default | Preset::Build => self.default,
            Preset::Strict | Preset::NetworkClient => self.strict,
            Preset::None => Stance::Refuse(EPERM),
            Preset::Off => Stance::Allow,
        }
    }
}

/// The group of that name (without `@`), if there is one.
#[must_use]
pub fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The group that holds `call`. Every call that [`Sysno`] knows has one.
#[must_use]
pub fn group_of(call: Sysno) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.calls.contains(&call))
}

/// Lists calls: those of every architecture, then those of x86_64 alone, then those of aarch64 alone.
macro_rules! calls {
    ($($both:ident)* $(; x86_64: $($x86_64:ident)*)? $(; aarch64: $($aarch64:ident)*)?) => {
        &[
            $(Sysno::$both,)*
            $($(#[cfg(target_arch = "x86_64")] Sysno::$x86_64,)*)?
            $($(#[cfg(target_arch = "aarch64")] Sysno::$aarch64,)*)?
        ]
    };
}
pub(super) use calls;

/// What [`Preset::None`] permits: what starting a program and ending it takes. With write(2), the launcher
/// reports why a program could not be started.
pub const STARTING: &[Sysno] = calls![execve exit exit_group restart_syscall rt_sigreturn write];

const ALLOW: Stance = Stance::Allow;
const FORBIDDEN: Stance = Stance::Refuse(EPERM);
const ABSENT: Stance = Stance::Refuse(ENOSYS);

/// THE list: every group, the permitted ones first.
pub static GROUPS: &[Group] = &[
    // ---- Permitted by both presets ----
    Group {
        name: "basic-io",
        about: "reading and writing what is already open",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range
            dup dup3
            ; x86_64: dup2
        ],
    },
    Group {
        name: "descriptors",
        about: "what else is done to open files; making a terminal obey is refused by ioctl's condition",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            pipe2 fcntl ioctl sendfile copy_file_range flock fadvise64 readahead cachestat
            ; x86_64: pipe
        ],
    },
    Group {
        name: "file-system",
        about: "names, contents and modes of files; what may be touched is the mounts' business, not the filter's",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            openat fstat statx readlinkat faccessat faccessat2 getdents64 getcwd chdir fchdir statfs fstatfs
            mkdirat unlinkat renameat renameat2 linkat symlinkat truncate ftruncate fallocate utimensat fchmod
            fchmodat fchmodat2
            ; x86_64: open creat stat lstat newfstatat access readlink getdents mkdir rmdir unlink rename link
                      symlink chmod utime utimes futimesat
            ; aarch64: fstatat
        ],
    },
    Group {
        name: "xattr-read",
        about: "reading extended attributes",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr listxattrat file_getattr
        ],
    },
    Group {
        name: "sync",
        about: "flushing to disk: databases and package managers do it after every step",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![sync syncfs fsync fdatasync sync_file_range],
    },
    Group {
        name: "memory",
        about: "the caller's own address space",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            brk mmap munmap mprotect mremap madvise mincore msync remap_file_pages mseal pkey_alloc pkey_free
            pkey_mprotect map_shadow_stack
        ],
    },
    Group {
        name: "program",
        about: "what a program does to itself: starting and ending, its names, asking about the machine",
        default: ALLOW,
        strict: ALLOW,
        // execve stays even in the strict preset: the launcher itself needs it after the filter is in place.
        // uprobe and uretprobe are entered from a trampoline that the host's tracer plants; a refusal
        // would kill a traced program, and without a trampoline they do nothing.
        calls: calls![
            execve exit exit_group getpid getppid gettid getpgid setpgid getsid setsid umask uname sysinfo getcpu
            getrandom restart_syscall rt_sigreturn
            ; x86_64: getpgrp arch_prctl set_thread_area get_thread_area uprobe uretprobe pause
        ],
    },
    Group {
        name: "process",
        about: "making, signalling and awaiting processes; namespaces are refused by clone's condition",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            clone execveat wait4 waitid prctl kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open
            pidfd_send_signal getrusage times
            ; x86_64: fork vfork
        ],
    },
    Group {
        name: "threads",
        about: "what the C library needs to run threads",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            futex futex_wait futex_wake futex_waitv futex_requeue set_robust_list get_robust_list
            set_tid_address rseq membarrier sched_yield
        ],
    },
    Group {
        name: "signal",
        about: "handling signals",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack signalfd4
            ; x86_64: signalfd
        ],
    },
    Group {
        name: "time",
        about: "reading clocks, and sleeping",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday
            ; x86_64: time
        ],
    },
    Group {
        name: "timer",
        about: "timers",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
            timerfd_create timerfd_settime timerfd_gettime
            ; x86_64: alarm
        ],
    },
    Group {
        name: "io-event",
        about: "waiting for several descriptors",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            ppoll pselect6 epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2
            ; x86_64: poll select epoll_create epoll_wait eventfd
        ],
    },
    Group {
        name: "identity",
        about: "asking who the caller is",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            getuid geteuid getgid getegid getresuid getresgid getgroups capget
        ],
    },
    Group {
        name: "limits",
        about: "asking about scheduling; limits, which can only be lowered without a capability",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            getrlimit setrlimit prlimit64 getpriority ioprio_get sched_getaffinity sched_getattr
            sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
            sched_rr_get_interval
        ],
    },
    Group {
        name: "socket-io",
        about: "using a socket that exists: socketpair, or one that was handed in",
        default: ALLOW,
        strict: ALLOW,
        calls: calls![
            socketpair sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown getsockname getpeername
            getsockopt
        ],
    },
    // ---- Permitted by the default preset only ----
    Group {
        name: "network-io",
        about: "making and connecting sockets; families are limited by socket's condition",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![socket connect bind setsockopt],
    },
    Group {
        name: "network-server",
        about: "taking connections",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![listen accept accept4],
    },
    Group {
        name: "chown",
        about: "giving files away: install and tar do; the id map limits to whom",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![fchown fchownat ; x86_64: chown lchown],
    },
    Group {
        name: "xattr-write",
        about: "changing extended attributes; cp takes EOPNOTSUPP for a file system without them",
        default: ALLOW,
        strict: Stance::Refuse(EOPNOTSUPP),
        calls: calls![
            setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
            file_setattr
        ],
    },
    Group {
        name: "special-files",
        about: "FIFOs and socket nodes; device nodes need a capability that is dropped",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![mknodat ; x86_64: mknod],
    },
    Group {
        name: "setuid",
        about: "changing identity: fakeroot and package managers do, within the id map",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![
            setuid setgid setreuid setregid setresuid setresgid setgroups
        ],
    },
    Group {
        name: "privileges",
        about: "changing capabilities, and the identity before the file system; neither gives what is not there",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![capset setfsuid setfsgid],
    },
    Group {
        name: "ipc",
        about: "System V and POSIX message queues, semaphores and shared memory, in an own ipc namespace",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![
            shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open
            mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
        ],
    },
    Group {
        name: "memfd",
        about: "files without a name: shared memory of browsers and test runners",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![memfd_create],
    },
    Group {
        name: "memlock",
        about: "locking memory, within RLIMIT_MEMLOCK: gpg and databases do",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![mlock mlock2 mlockall munlock munlockall],
    },
    Group {
        name: "numa",
        about: "placing own memory on nodes: the JVM and numeric libraries do",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![get_mempolicy set_mempolicy set_mempolicy_home_node mbind],
    },
    Group {
        name: "scheduling",
        about: "changing priority and affinity: nice, taskset, video encoders; raising needs a capability",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![
            setpriority ioprio_set sched_setaffinity sched_setattr sched_setparam sched_setscheduler
        ],
    },
    Group {
        name: "zero-copy",
        about: "moving pages between pipes: cat and git do; CVE-2022-0847 was here, so strict goes without",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![splice tee vmsplice],
    },
    Group {
        name: "aio",
        about: "the older asynchronous i/o, used by databases",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents],
    },
    Group {
        name: "file-watch",
        about: "inotify: file watchers of node, cargo-watch, make servers",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![inotify_init1 inotify_add_watch inotify_rm_watch ; x86_64: inotify_init],
    },
    Group {
        name: "sandbox",
        about: "confining oneself further: node, browsers and tests of sandboxes do; it cannot loosen anything",
        default: ALLOW,
        strict: ABSENT,
        calls: calls![
            seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr
            lsm_list_modules
        ],
    },
    Group {
        name: "trace",
        // Before Linux 4.8 a tracer could change the number after the filter had judged it; since then
        // the filter sees the changed number.
        about: "gdb, strace and sanitizers on own children; safe with a filter since Linux 4.8",
        default: ALLOW,
        strict: FORBIDDEN,
        calls: calls![ptrace process_vm_readv process_vm_writev personality],
    },
    // ---- Refused by both presets ----
    Group {
        name: "mount",
        about: "changing what the root holds would undo the sandbox; also the door to CVE-2022-0185",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![
            mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr
            mount_setattr
        ],
    },
    Group {
        name: "mount-info",
        about: "the mount table around a masked /proc; programs fall back to /proc/self/mountinfo",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![statmount listmount],
    },
    Group {
        name: "namespaces",
        about: "a new user namespace opens kernel code that only root can reach otherwise",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![unshare setns],
    },
    Group {
        name: "opaque",
        // clone3: glibc falls back to clone, whose flags are in a register.
        // openat2: its mode and flags are in memory, so the set-id condition could be passed by. Its users
        // (tar, rsync, cap-std, libpathrs, systemd) run on kernels before 5.6 too and fall back.
        about: "flags behind a pointer, where no filter can look; programs fall back to clone and openat",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![clone3 openat2],
    },
    Group {
        name: "io-uring",
        about: "operations on a ring are not filtered, and its code had many holes; libuv and others fall back",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![io_uring_setup io_uring_enter io_uring_register],
    },
    Group {
        name: "keyring",
        about: "keys of the caller's uid are not in any namespace used here",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![add_key request_key keyctl],
    },
    Group {
        name: "kernel-surface",
        about: "large and seldom needed kernel interfaces, often the first step of an exploit",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![
            bpf perf_event_open userfaultfd lookup_dcookie syslog fanotify_init fanotify_mark
        ],
    },
    Group {
        name: "file-handles",
        about: "opening by handle passes by every path check (the \"shocker\" escape)",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![name_to_handle_at open_by_handle_at],
    },
    Group {
        name: "other-processes",
        about: "taking descriptors, pages or kernel pointers of another process; debuggers do without",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![
            pidfd_getfd kcmp process_madvise process_mrelease migrate_pages move_pages
        ],
    },
    Group {
        name: "module",
        about: "loading kernel code",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![init_module finit_module delete_module],
    },
    Group {
        name: "kexec",
        about: "loading another kernel",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![kexec_load kexec_file_load],
    },
    Group {
        name: "clock",
        about: "setting the machine's clock",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![clock_settime clock_adjtime adjtimex settimeofday],
    },
    Group {
        name: "administration",
        about: "the machine as a whole: power, swap, accounting, quotas, names, consoles",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![
            reboot swapon swapoff acct quotactl quotactl_fd sethostname setdomainname vhangup
        ],
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        name: "raw-io",
        about: "i/o ports: hardware access",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![; x86_64: iopl ioperm],
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        name: "cpu-emulation",
        about: "segment descriptors: entry code with a long list of holes",
        default: FORBIDDEN,
        strict: FORBIDDEN,
        calls: calls![; x86_64: modify_ldt],
    },
    Group {
        name: "uncommon",
        about: "calls that hardly any program makes yet, and none without a fallback",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![memfd_secret lsm_set_self_attr],
    },
    Group {
        name: "obsolete",
        about: "removed, never implemented or superseded: they answer as the kernel of today mostly does",
        default: ABSENT,
        strict: ABSENT,
        calls: calls![
            nfsservctl
            ; x86_64: uselib ustat sysfs _sysctl create_module get_kernel_syms query_module getpmsg putpmsg
                      afs_syscall tuxcall security epoll_ctl_old epoll_wait_old vserver
            ; aarch64: clock_gettime64 clock_settime64 clock_adjtime64 clock_getres_time64
                       clock_nanosleep_time64 timer_gettime64 timer_settime64 timerfd_gettime64
                       timerfd_settime64 utimensat_time64 pselect6_time64 ppoll_time64 io_pgetevents_time64
                       recvmmsg_time64 mq_timedsend_time64 mq_timedreceive_time64 semtimedop_time64
                       rt_sigtimedwait_time64 futex_time64 sched_rr_get_interval_time64
        ],
    },
];

#[cfg(test)]
#[expect(
    unsafe_code,
    reason = "the calls that a filter refuses are made by number, in a forked process"
)]
mod tests;
