//! What a waiting call is about, in words: its arguments, with what their pointers lead to, and who makes it.

use crate::report::denial::Process;
use crate::sections::seccomp::call::{Call, Made};
use crate::sections::seccomp::foreign::{ALL, Meaning, meaning};
use crate::supervisor::memory;
use crate::sys::seccomp::Notification;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use syscalls::Sysno;

/// How much of a text is read, in bytes.
const LONGEST: usize = 128;

/// What was found out about a call.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Its arguments in words.
    pub(super) words: Option<String>,
    /// Those arguments that the words show as they are.
    pub(super) numbers: [u64; 6],
    /// Who makes it.
    pub(super) process: Option<Process>,
}

/// What an argument is.
#[derive(Clone, Copy)]
enum Is {
    /// A pointer to a text that ends with NUL.
    Text,
    /// A descriptor, or `AT_FDCWD`.
    Fd,
    /// A number with a sign.
    Int,
    /// Bits.
    Bits,
    /// The mode of a file.
    Mode,
    /// Bits with names.
    Flags(&'static [(u64, &'static str)]),
    /// One of some numbers with names.
    One(&'static [(u64, &'static str)]),
    /// The type of a socket.
    Kind,
    /// A pointer to an address, whose length the next argument tells.
    Address,
    /// Something that is not shown.
    More,
}

/// Reads of processes that wait.
pub(in crate::supervisor) struct Reader {
    /// Whether /proc numbers processes as we do.
    proc: bool,
    new_pid_namespace: bool,
}

impl Reader {
    pub(in crate::supervisor) fn new(new_pid_namespace: bool) -> Self {
        let own = std::fs::read_link("/proc/self").ok();
        let pid = std::process::id().to_string();
        Self {
            proc: own.is_some_and(|own| own.as_os_str() == pid.as_str()),
            new_pid_namespace,
        }
    }

    /// Reads what there is; what cannot be read is left out.
    pub(super) fn read(&self, call: &Notification) -> Read {
        let mut numbers = [0; 6];
        let made = Made::of(call.number, call.architecture);
        let given = match made {
            Made::Known(Call::Foreign(_)) => call.arguments.map(|it| it & u64::from(u32::MAX)),
            _ => call.arguments,
        };
        let words = signature_of(made).map(|kinds| {
            let arguments = given.iter().zip(numbers.iter_mut());
            let words = kinds.iter().zip(arguments).enumerate();
            let words = words.map(|(at, (is, (value, shown)))| {
                if !matches!(is, Is::Text | Is::Address | Is::More) {
                    *shown = *value;
                }
                let length = given.get(at + 1).copied().unwrap_or(0);
                word(*is, *value, length, call.thread)
            });
            words.collect::<Vec<_>>().join(", ")
        });
        Read {
            words,
            numbers,
            process: self.process(call.thread),
        }
    }

    /// Whose thread it is; `None` where /proc does not tell.
    pub(in crate::supervisor) fn process(&self, thread: libc::pid_t) -> Option<Process> {
        if !self.proc || thread <= 0 {
            return None;
        }
        let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        // The pids in all namespaces, from ours inwards; the sandbox's is the next one.
        let mut pids = field("NStgid")?.split_whitespace();
        let outside = pids.next()?;
        let inside = pids.next().filter(|_| self.new_pid_namespace);
        let own = comm(&thread.to_string())?;
        let name = comm(outside).unwrap_or_else(|| own.clone());
        Some(Process {
            pid: inside.unwrap_or(outside).parse().ok()?,
            thread: Some(own).filter(|own| *own != name),
            name,
        })
    }
}

fn comm(process: &str) -> Option<String> {
    let name = std::fs::read(format!("/proc/{process}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    let name = name.strip_suffix('\n').unwrap_or(&name);
    Some(name.escape_debug().collect())
}

/// One argument. Half of the registers may hold anything where the kernel takes a number of 32 bits.
fn word(is: Is, value: u64, length: u64, thread: libc::pid_t) -> String {
    let low = value as u32;
    let named = |names: &[(u64, &str)]| {
        let found = names.iter().find(|(number, _)| *number == u64::from(low));
        found.map(|(_, name)| (*name).to_owned())
    };
    match is {
        Is::Text if value == 0 => "NULL".into(),
        Is::Text => text(thread, value).unwrap_or_else(|| "…".into()),
        Is::Fd if low.cast_signed() == libc::AT_FDCWD => "AT_FDCWD".into(),
        Is::Fd | Is::Int => low.cast_signed().to_string(),
        Is::Bits => format!("{value:#x}"),
        Is::Mode => format!("{low:#o}"),
        Is::Flags(names) => flags(u64::from(low), names),
        Is::One(names) => named(names).unwrap_or_else(|| format!("{low:#x}")),
        Is::Kind => {
            // The lowest bits; above them are SOCK_CLOEXEC and SOCK_NONBLOCK.
            let kind = SOCKETS
                .iter()
                .find(|(kind, _)| *kind == u64::from(low & 0xf));
            kind.map_or_else(|| low.to_string(), |(_, name)| (*name).into())
        }
        Is::Address => address(thread, value, length).unwrap_or_else(|| "…".into()),
        Is::More => "…".into(),
    }
}

fn flags(value: u64, names: &[(u64, &str)]) -> String {
    let mut left = value;
    let mut words = Vec::new();
    for (bit, name) in names.iter().filter(|(bit, _)| value & bit == *bit) {
        words.push((*name).to_owned());
        left &= !bit;
    }
    if left != 0 || words.is_empty() {
        words.push(if left == 0 {
            "0".into()
        } else {
            format!("{left:#x}")
        });
    }
    words.join("|")
}

/// A text in quotes, its control characters escaped.
fn text(thread: libc::pid_t, at: u64) -> Option<String> {
    let (bytes, whole) = memory::text(thread, at, LONGEST)?;
    let cut = if whole { "" } else { "…" };
    Some(format!("{:?}{cut}", String::from_utf8_lossy(&bytes)))
}

/// A socket's address (sockaddr(3type)), as profiles write them.
fn address(thread: libc::pid_t, at: u64, length: u64) -> Option<String> {
    let mut bytes = [0; 110];
    let bytes = bytes.get_mut(..usize::try_from(length as u32).ok()?.min(110))?;
    memory::read(thread, at, bytes)?;
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = i32::from(u16::from_ne_bytes(*family));
    match family {
        libc::AF_INET => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let host = Ipv4Addr::from(*rest.first_chunk::<4>()?);
            Some(format!("{host}:{}", u16::from_be_bytes(*port)))
        }
        libc::AF_INET6 => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let host = Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?);
            let port = u16::from_be_bytes(*port);
            Some(SocketAddrV6::new(host, port, 0, 0).to_string())
        }
        libc::AF_UNIX => {
            let escaped = |bytes: &[u8]| -> String {
                let text = String::from_utf8_lossy(bytes);
                text.escape_debug().collect()
            };
            match rest.split_first() {
                None => Some("unix:".into()),
                Some((0, name)) => Some(format!("unix-abstract:{}", escaped(name))),
                Some(_) => {
                    let path = rest.split(|byte| *byte == 0).next()?;
                    Some(format!("unix:{}", escaped(path)))
                }
            }
        }
        other => {
            let name = FAMILIES.iter().find(|(number, _)| *number == other as u64);
            Some(name.map_or_else(|| format!("family {other}"), |(_, name)| (*name).into()))
        }
    }
}

const SOCKETS: &[(u64, &str)] = &[
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (3, "SOCK_RAW"),
    (4, "SOCK_RDM"),
    (5, "SOCK_SEQPACKET"),
    (6, "SOCK_DCCP"),
    (10, "SOCK_PACKET"),
];

/// `AF_*` of linux/socket.h.
const FAMILIES: &[(u64, &str)] = &[
    (0, "AF_UNSPEC"),
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (9, "AF_X25"),
    (10, "AF_INET6"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (21, "AF_RDS"),
    (24, "AF_PPPOX"),
    (26, "AF_LLC"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (38, "AF_ALG"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (42, "AF_QIPCRTR"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
    (45, "AF_MCTP"),
];

const CLONES: &[(u64, &str)] = &[
    (0x80, "CLONE_NEWTIME"),
    (0x0002_0000, "CLONE_NEWNS"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
];

/// The same for clone(2), in whose lowest byte is the signal.
const CLONES_AND_SIGNAL: &[(u64, &str)] = &[
    (0x0002_0000, "CLONE_NEWNS"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x4000, "CLONE_VFORK"),
    (17, "SIGCHLD"),
];

const MOUNTS: &[(u64, &str)] = &[
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (32, "MS_REMOUNT"),
    (4096, "MS_BIND"),
    (8192, "MS_MOVE"),
    (16384, "MS_REC"),
    (1 << 17, "MS_UNBINDABLE"),
    (1 << 18, "MS_PRIVATE"),
    (1 << 19, "MS_SLAVE"),
    (1 << 20, "MS_SHARED"),
];

const UMOUNTS: &[(u64, &str)] = &[
    (1, "MNT_FORCE"),
    (2, "MNT_DETACH"),
    (4, "MNT_EXPIRE"),
    (8, "UMOUNT_NOFOLLOW"),
];

const REQUESTS: &[(u64, &str)] = &[
    (0x5412, "TIOCSTI"),
    (0x541c, "TIOCLINUX"),
    (0x5423, "TIOCSETD"),
];

const LISTENS: &[(u64, &str)] = &[
    (1, "SECCOMP_FILTER_FLAG_TSYNC"),
    (8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
    (32, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
];

const TRACES: &[(u64, &str)] = &[
    (0, "PTRACE_TRACEME"),
    (16, "PTRACE_ATTACH"),
    (0x4206, "PTRACE_SEIZE"),
];

/// The same of what somebody called: of the other ABI, the arguments that it has where the native call has them.
fn signature_of(made: Made) -> Option<&'static [Is]> {
    let (call, same) = match made {
        Made::Known(Call::Native(call)) => (call, ALL),
        Made::Known(Call::Foreign(call)) => match meaning(call) {
            Meaning::As(native, same) => (native, same),
            Meaning::Any(_) | Meaning::Nothing => return None,
        },
        Made::Unlisted { .. } | Made::Elsewhere => return None,
    };
    let signature = signature(call)?;
    Some(signature.get(..usize::from(same)).unwrap_or(signature))
}

/// What the arguments of a call are, for the calls that filters refuse.
fn signature(call: Sysno) -> Option<&'static [Is]> {
    use Is::{Address, Bits, Fd, Flags, Int, Kind, Mode, More, One, Text};
    Some(match call {
        Sysno::mount => &[Text, Text, Text, Flags(MOUNTS), More],
        Sysno::umount2 => &[Text, Flags(UMOUNTS)],
        Sysno::pivot_root => &[Text, Text],
        Sysno::chroot | Sysno::swapoff | Sysno::acct => &[Text],
        Sysno::fsopen => &[Text, Bits],
        Sysno::fsconfig => &[Fd, Int, Text, More],
        Sysno::fsmount => &[Fd, Bits, Bits],
        Sysno::fspick | Sysno::open_tree => &[Fd, Text, Bits],
        Sysno::open_tree_attr | Sysno::mount_setattr => &[Fd, Text, Bits, More],
        Sysno::move_mount => &[Fd, Text, Fd, Text, Bits],
        Sysno::unshare => &[Flags(CLONES)],
        Sysno::setns => &[Fd, Flags(CLONES)],
        Sysno::clone => &[Flags(CLONES_AND_SIGNAL), More],
        Sysno::socket | Sysno::socketpair => &[One(FAMILIES), Kind, Int],
        Sysno::connect | Sysno::bind => &[Fd, Address],
        Sysno::listen => &[Fd, Int],
        Sysno::accept | Sysno::accept4 => &[Fd, More],
        Sysno::setsockopt => &[Fd, Int, Int, More],
        Sysno::ioctl => &[Fd, One(REQUESTS), More],
        Sysno::personality | Sysno::userfaultfd => &[Bits],
        Sysno::bpf | Sysno::syslog => &[Int, More],
        Sysno::fanotify_init => &[Bits, Bits],
        Sysno::fanotify_mark => &[Fd, Bits, Bits, Fd, Text],
        Sysno::perf_event_open => &[More, Int, Int, Fd, Bits],
        Sysno::name_to_handle_at => &[Fd, Text, More],
        Sysno::open_by_handle_at => &[Fd, More],
        Sysno::pidfd_getfd => &[Fd, Fd, Bits],
        Sysno::kcmp => &[Int, Int, Int, More],
        Sysno::finit_module => &[Fd, Text, Bits],
        Sysno::delete_module | Sysno::swapon => &[Text, Bits],
        Sysno::kexec_file_load => &[Fd, Fd, More],
        Sysno::reboot => &[Bits, Bits, Bits, More],
        Sysno::quotactl => &[Bits, Text, Int, More],
        Sysno::sethostname | Sysno::setdomainname => &[Text],
        Sysno::clock_settime | Sysno::clock_adjtime => &[Int, More],
        Sysno::ptrace => &[One(TRACES), Int, More],
        Sysno::process_vm_readv | Sysno::process_vm_writev => &[Int, More],
        Sysno::seccomp => &[Int, Flags(LISTENS), More],
        Sysno::kill | Sysno::tkill => &[Int, Int],
        Sysno::tgkill => &[Int, Int, Int],
        Sysno::execve | Sysno::chdir => &[Text],
        Sysno::execveat | Sysno::unlinkat => &[Fd, Text],
        Sysno::fchmod => &[Fd, Mode],
        Sysno::fchmodat | Sysno::fchmodat2 | Sysno::mknodat | Sysno::mkdirat => &[Fd, Text, Mode],
        Sysno::openat => &[Fd, Text, Bits, Mode],
        Sysno::fchown => &[Fd, Int, Int],
        Sysno::fchownat => &[Fd, Text, Int, Int],
        Sysno::setuid | Sysno::setgid | Sysno::setfsuid | Sysno::setfsgid => &[Int],
        Sysno::setreuid | Sysno::setregid => &[Int, Int],
        Sysno::setresuid | Sysno::setresgid => &[Int, Int, Int],
        Sysno::setxattr | Sysno::lsetxattr | Sysno::removexattr | Sysno::lremovexattr => {
            &[Text, Text]
        }
        Sysno::fsetxattr | Sysno::fremovexattr => &[Fd, Text],
        Sysno::setpriority => &[Int, Int, Int],
        #[cfg(target_arch = "x86_64")]
        Sysno::chmod | Sysno::creat | Sysno::mknod | Sysno::mkdir => &[Text, Mode],
        #[cfg(target_arch = "x86_64")]
        Sysno::open => &[Text, Bits, Mode],
        #[cfg(target_arch = "x86_64")]
        Sysno::chown | Sysno::lchown => &[Text, Int, Int],
        #[cfg(target_arch = "x86_64")]
        Sysno::iopl => &[Int],
        #[cfg(target_arch = "x86_64")]
        Sysno::ioperm => &[Bits, Int, Int],
        #[cfg(target_arch = "x86_64")]
        Sysno::modify_ldt => &[Int, More],
        _ => return None,
    })
}
