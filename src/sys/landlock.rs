//! Landlock (landlock(7)).

use super::{Result, check};
use std::os::fd::RawFd;
use std::ptr;

/// The version of Landlock's interface that the kernel speaks, from 1 (landlock_create_ruleset(2)).
///
/// # Errors
/// `ENOSYS` where the kernel was built without it, `EOPNOTSUPP` where it is off.
pub fn abi() -> Result<u32> {
    const LANDLOCK_CREATE_RULESET_VERSION: libc::c_uint = 1;
    // SAFETY: for this request the kernel takes neither attributes nor a size.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<u8>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    })
    .map(|version| version as u32)
}

/// What a ruleset refuses unless a rule permits it: `struct landlock_ruleset_attr`. Bits that the
/// kernel's version does not know must not be set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_*`; version 4.
    pub network: u64,
    /// `LANDLOCK_SCOPE_*`, to which there are no exceptions; version 6.
    pub scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// Opens a new ruleset, closed at exec (landlock_create_ruleset(2)).
pub fn create_ruleset(handled: &Handled) -> Result<RawFd> {
    // SAFETY: the pointer and the size are those of a live structure; a kernel that knows a smaller
    // one asks for zeros in the rest.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::from_ref(handled),
            size_of::<Handled>(),
            0,
        )
    })
    .map(|fd| fd as RawFd)
}

/// Permits accesses to a file, or to a directory and all below it (landlock_add_rule(2)).
///
/// # Errors
/// `EINVAL` where an access is one to directories and the file is none; `EBADFD` where the descriptor
/// is of a file that Landlock does not look at, such as a pipe.
pub fn permit_beneath(ruleset: RawFd, parent: RawFd, allowed: u64) -> Result<()> {
    const LANDLOCK_RULE_PATH_BENEATH: libc::c_int = 1;
    let rule = PathBeneath { allowed, parent };
    // SAFETY: the pointer is to a live structure of the kind that is named.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            LANDLOCK_RULE_PATH_BENEATH,
            ptr::from_ref(&rule),
            0,
        )
    })
    .map(drop)
}

/// Permits accesses to a port (landlock_add_rule(2)).
///
/// # Errors
/// `EINVAL` for an access that the ruleset does not handle; `EAFNOSUPPORT` where the kernel has no TCP.
pub fn permit_port(ruleset: RawFd, port: u16, allowed: u64) -> Result<()> {
    /// `struct landlock_net_port_attr`.
    #[repr(C)]
    struct NetPort {
        allowed: u64,
        port: u64,
    }
    const LANDLOCK_RULE_NET_PORT: libc::c_int = 2;
    let rule = NetPort {
        allowed,
        port: port.into(),
    };
    // SAFETY: the pointer is to a live structure of the kind that is named.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            LANDLOCK_RULE_NET_PORT,
            ptr::from_ref(&rule),
            0,
        )
    })
    .map(drop)
}

/// Puts the calling thread, and all that comes of it, under a ruleset (landlock_restrict_self(2)).
pub fn restrict_self(ruleset: RawFd) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) }).map(drop)
}
