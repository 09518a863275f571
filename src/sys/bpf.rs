//! Programs of the kernel's virtual machine that decide about devices and packets (bpf(2),
//! Documentation/bpf/prog_cgroup_sockopt.rst for how programs hang on groups).

use super::{Result, check};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// One instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u8,
    /// The registers: the target in the lower four bits, the source in the upper ones.
    pub registers: u8,
    /// How far a jump goes, or where in memory.
    pub offset: i16,
    /// A number.
    pub number: i32,
}

/// The program that answers 0 to everything.
pub const PERMIT_NOTHING: [Instruction; 2] = [
    Instruction {
        code: 0xb7,
        registers: 0,
        offset: 0,
        number: 0,
    },
    Instruction {
        code: 0x95,
        registers: 0,
        offset: 0,
        number: 0,
    },
];

/// Commands of bpf(2).
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_QUERY: libc::c_int = 16;

/// What a program is asked about: its type, and where on a group it hangs (`BPF_PROG_TYPE_*` and `BPF_CGROUP_*` of
/// linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    kind: u32,
    at: u32,
}

impl Hook {
    /// Each opening and making of a device.
    pub const DEVICES: Self = Self { kind: 15, at: 6 };
    /// Each packet of IP that is sent.
    pub const SENT: Self = Self { kind: 8, at: 1 };
    /// Each one that is received.
    pub const RECEIVED: Self = Self { kind: 8, at: 0 };
    /// Each connect(2) of a socket of IPv4.
    pub const CONNECTS: Self = Self { kind: 18, at: 10 };
    /// Each one of a socket of IPv6.
    pub const CONNECTS6: Self = Self { kind: 18, at: 11 };
}

/// Programs of the groups above and below hold beside it (`BPF_F_ALLOW_MULTI`).
const ALLOW_MULTI: u32 = 2;

/// The attributes of `BPF_PROG_LOAD`, as far as they are not zero.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_at: u32,
}

/// Those of `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    at: u32,
    flags: u32,
}

/// Those of `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    at: u32,
    flags: u32,
    found_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_long> {
    // SAFETY: the attributes are of the command, they live until the call is over, and what they point to
    // does too: each caller below holds it.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            std::mem::size_of::<T>(),
        )
    })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

/// Has the kernel check and take a program.
///
/// # Errors
/// `EPERM` without `CAP_BPF` or `CAP_SYS_ADMIN` over the machine, `EINVAL` and `ENOSYS` where the kernel has no such
/// programs.
pub fn load(hook: Hook, program: &[Instruction]) -> Result<OwnedFd> {
    let license = c"MIT";
    let mut load = Load {
        kind: hook.kind,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        expected_at: hook.at,
        ..Load::default()
    };
    let fd = bpf(PROG_LOAD, &mut load)?;
    // SAFETY: the kernel has just opened it (with FD_CLOEXEC) for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Hangs a program on a group of cgroup v2, with which it goes.
///
/// # Errors
/// `EPERM` without the right, or where a group above admits no further programs.
pub fn attach(hook: Hook, group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let mut attach = Attach {
        target: number(group),
        program: number(program),
        at: hook.at,
        flags: ALLOW_MULTI,
    };
    bpf(PROG_ATTACH, &mut attach).map(drop)
}

/// How many programs hang there on a group itself.
///
/// # Errors
/// As for [`attach`].
pub fn count(hook: Hook, group: BorrowedFd<'_>) -> Result<u32> {
    let mut query = Query {
        target: number(group),
        at: hook.at,
        ..Query::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    Ok(query.count)
}
