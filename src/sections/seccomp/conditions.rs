//! When a preset permits a call only with some arguments, and why.

use super::policy::{Answer, Case};
use super::presets::Preset;
use crate::review::arguments::{Is, Row, Test};
use libc::{EAFNOSUPPORT, EPERM};
use syscalls::Sysno;

/// When a permitted call may run: if all tests of any one row hold. Else it returns `errno`.
#[derive(Debug, PartialEq, Eq)]
pub struct Condition {
    /// The condition in words; it completes "if the …".
    pub summary: &'static str,
    /// The errno of a refusal.
    pub errno: i32,
    /// The rows. It is an allow-list too: what no row describes is refused.
    pub rows: &'static [&'static [Test]],
}

impl Condition {
    /// The case in which the call is permitted.
    #[must_use]
    pub fn case(&self) -> Case {
        let rows: Vec<Row> = self.rows.iter().map(|row| row.to_vec()).collect();
        Case {
            rows: rows.into(),
            words: Some(self.summary.into()),
            answer: Answer::Allow,
        }
    }
}

/// The condition under which `preset` permits `call`, if it does not permit it for every argument.
///
/// `None` does not mean that the call is permitted: that is [`super::presets::Group::stance`].
#[must_use]
pub const fn condition(preset: Preset, call: Sysno) -> Option<&'static Condition> {
    match (preset, call) {
        (Preset::None | Preset::Off, _) => None,
        (_, Sysno::ioctl) => Some(&TERMINAL_INPUT),
        (_, Sysno::clone) => Some(&NAMESPACE_FLAGS),
        (Preset::Build, Sysno::socket) => Some(&UNIX_SOCKET),
        (_, Sysno::socket) => Some(&SOCKET_FAMILY),
        (Preset::Strict | Preset::NetworkClient, Sysno::socketpair) => Some(&CONNECTED_PAIR),
        (_, Sysno::socketpair) => Some(&UNIX_PAIR),
        (_, Sysno::personality) => Some(&PERSONALITY),
        (_, Sysno::fchmod) => Some(&MODE_IN_1),
        (_, Sysno::fchmodat | Sysno::fchmodat2 | Sysno::mknodat) => Some(&MODE_IN_2),
        (_, Sysno::openat) => Some(&CREATE_AT),
        #[cfg(target_arch = "x86_64")]
        (_, Sysno::chmod | Sysno::creat | Sysno::mknod) => Some(&MODE_IN_1),
        #[cfg(target_arch = "x86_64")]
        (_, Sysno::open) => Some(&CREATE),
        _ => None,
    }
}

const fn equal(arg: u8, value: u64) -> Test {
    test(arg, Is::Equal(value))
}

const fn other(arg: u8, value: u64) -> Test {
    test(arg, Is::Other(value))
}

const fn masked(arg: u8, mask: u64, value: u64) -> Test {
    test(arg, Is::Masked(mask, value))
}

/// The kernel takes each of the arguments here as a 32-bit value.
const fn test(arg: u8, is: Is) -> Test {
    Test {
        arg,
        wide: false,
        is,
    }
}

/// The first two type into the terminal of whoever started the sandbox (CVE-2017-5226, CVE-2023-28100). The
/// third has the kernel load a line discipline for a modem or a bus, and any pseudo-terminal will do for that
/// (CVE-2023-6546 in n_gsm); who needs one is a daemon with a serial line.
static TERMINAL_INPUT: Condition = Condition {
    summary: "request is neither TIOCSTI, TIOCLINUX nor TIOCSETD",
    errno: EPERM,
    rows: &[&[other(1, 0x5412), other(1, 0x541c), other(1, 0x5423)]],
};

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, in the order of their bits.
/// CLONE_NEWTIME shares its bit with the exit signal here, and only clone3 and unshare take it.
const CLONE_NEW: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

static NAMESPACE_FLAGS: Condition = Condition {
    summary: "flags ask for no namespace",
    errno: EPERM,
    rows: &[&[masked(0, CLONE_NEW, 0)]],
};

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const NETLINK_ROUTE: u64 = 0;

/// vsock passes by network namespaces; AF_ALG, packet and the rare families have a long list of holes; the
/// other netlink protocols reach audit, netfilter and device events.
/// Of the inet types, the mask leaves stream, datagram and raw (which needs CAP_NET_RAW): 5 is SCTP, 6 is
/// DCCP, and 10 (SOCK_PACKET) would become a packet socket, see `__sock_create` in the kernel's net/socket.c.
/// The kernel loads a module for a protocol that is asked for, and SCTP is a stream too: so of streams and
/// datagrams those protocols are left that have always been there (TCP, UDP, ICMP; all below 64, unlike L2TP,
/// SCTP, UDP-Lite and SMC), and MPTCP, in which Go's servers listen.
static SOCKET_FAMILY: Condition = Condition {
    summary: "family is AF_UNIX, AF_INET or AF_INET6 (TCP, UDP, ICMP or raw), or AF_NETLINK with NETLINK_ROUTE",
    errno: EAFNOSUPPORT,
    rows: &[
        &[equal(0, AF_UNIX)],
        &[equal(0, AF_INET), masked(1, 0xf, 1), equal(2, MPTCP)],
        &[equal(0, AF_INET), masked(1, 0xc, 0), masked(2, LATER, 0)],
        &[equal(0, AF_INET), masked(1, 0xf, 3)],
        &[equal(0, AF_INET6), masked(1, 0xf, 1), equal(2, MPTCP)],
        &[equal(0, AF_INET6), masked(1, 0xc, 0), masked(2, LATER, 0)],
        &[equal(0, AF_INET6), masked(1, 0xf, 3)],
        &[equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)],
    ],
};

/// The bits of the numbers from 64 on.
const LATER: u64 = 0xffff_ffc0;

/// `IPPROTO_MPTCP`, which becomes TCP where the other end does not know it.
const MPTCP: u64 = 262;

/// Job servers and language servers talk over them; a build that is repeatable talks to no other machine.
static UNIX_SOCKET: Condition = Condition {
    summary: "family is AF_UNIX",
    errno: EAFNOSUPPORT,
    rows: &[&[equal(0, AF_UNIX)]],
};

/// No other family of the list makes pairs.
static UNIX_PAIR: Condition = Condition {
    summary: "family is AF_UNIX",
    errno: EAFNOSUPPORT,
    rows: &[&[equal(0, AF_UNIX)]],
};

/// A datagram socket of a pair can still be made to send to any path (sendto with an address), which would
/// be a way to the services of the host; stream (1) and seqpacket (5) stay with their peer.
static CONNECTED_PAIR: Condition = Condition {
    summary: "family is AF_UNIX and the type stream or seqpacket",
    errno: EAFNOSUPPORT,
    rows: &[
        &[equal(0, AF_UNIX), masked(1, 0xf, 1)],
        &[equal(0, AF_UNIX), masked(1, 0xf, 5)],
    ],
};

/// Execution domains change how the kernel parses later calls, and READ_IMPLIES_EXEC undoes W^X.
/// Left are Linux, PER_LINUX32, UNAME26 with either, ADDR_NO_RANDOMIZE (gdb) and the query.
static PERSONALITY: Condition = Condition {
    summary: "persona is 0, PER_LINUX32, UNAME26, both, ADDR_NO_RANDOMIZE or the query",
    errno: EPERM,
    rows: &[
        &[equal(0, 0)],
        &[equal(0, 0x0008)],
        &[equal(0, 0x2_0000)],
        &[equal(0, 0x2_0008)],
        &[equal(0, 0x4_0000)],
        &[equal(0, 0xffff_ffff)],
    ],
};

/// S_ISUID and S_ISGID: such a file in a shared directory would run with the caller's identity for anybody
/// on the host, outside of the sandbox. The filter cannot see whether a path is a directory, where the
/// set-group-id bit is harmless: `chmod g+s dir` is refused too. A new directory still inherits the
/// bit from its parent, since that is not done by a mode.
const SET_ID: u64 = 0o6000;

static MODE_IN_1: Condition = Condition {
    summary: "mode has neither set-user-id nor set-group-id",
    errno: EPERM,
    rows: &[&[masked(1, SET_ID, 0)]],
};

static MODE_IN_2: Condition = Condition {
    summary: "mode has neither set-user-id nor set-group-id",
    errno: EPERM,
    rows: &[&[masked(2, SET_ID, 0)]],
};

/// O_CREAT and O_TMPFILE (of which O_DIRECTORY is a part, in the header). Without them, the register of
/// the mode holds whatever it held before and must not be judged.
const CREATES: u64 =
    (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)).cast_unsigned() as u64;

#[cfg(target_arch = "x86_64")]
static CREATE: Condition = Condition {
    summary: "call creates nothing or the mode has neither set-user-id nor set-group-id",
    errno: EPERM,
    rows: &[&[masked(1, CREATES, 0)], &[masked(2, SET_ID, 0)]],
};

static CREATE_AT: Condition = Condition {
    summary: "call creates nothing or the mode has neither set-user-id nor set-group-id",
    errno: EPERM,
    rows: &[&[masked(2, CREATES, 0)], &[masked(3, SET_ID, 0)]],
};
