//! Who a process is: ids, groups, capabilities, securebits. Raw calls on purpose: glibc's
//! wrappers signal every thread it believes in, and after a clone it believes in the wrong ones.

use super::{Result, check, check_int};
use std::os::fd::RawFd;

/// setresuid(2) with all three ids equal.
pub fn set_uid(uid: libc::uid_t) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// setresgid(2) with all three ids equal.
pub fn set_gid(gid: libc::gid_t) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setgroups(2).
pub fn set_groups(groups: &[libc::gid_t]) -> Result<()> {
    // SAFETY: the pointer and the count are those of a live slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// The three sets that capset(2) takes, as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What may be made effective.
    pub permitted: u64,
    /// What is checked.
    pub effective: u64,
    /// What an exec may hand on.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// capset(2) on the calling thread.
pub fn set_capabilities(sets: CapabilitySets) -> Result<()> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 takes a header and two data structures, and both live here.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// The effective capabilities of the calling thread (capget(2)).
pub fn effective_capabilities() -> Result<u64> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 fills two data structures, and both live here.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let [low, high] = data;
    Ok(u64::from(low.effective) | (u64::from(high.effective) << 32))
}

/// Takes one capability out of the bounding set (`PR_CAPBSET_DROP`).
pub fn drop_from_bounding_set(capability: u8) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0)
}

/// Whether a capability is in the bounding set (`PR_CAPBSET_READ`); one that the kernel does not know
/// is not.
#[must_use]
pub fn is_in_bounding_set(capability: u8) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0, 0, 0) == 1 }
}

/// Raises one capability into the ambient set (`PR_CAP_AMBIENT_RAISE`).
pub fn raise_ambient(capability: u8) -> Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_RAISE as u64,
        u64::from(capability),
    )
}

/// Empties the ambient set (`PR_CAP_AMBIENT_CLEAR_ALL`).
pub fn clear_ambient() -> Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    )
}

/// `PR_SET_SECUREBITS`; the bits are those of capabilities(7).
pub fn set_securebits(bits: u32) -> Result<()> {
    prctl(libc::PR_SET_SECUREBITS, u64::from(bits), 0)
}

/// `PR_SET_NO_NEW_PRIVS`: no exec from here on can add a privilege.
pub fn no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Installs a system call filter on the calling thread (seccomp(2), `SECCOMP_SET_MODE_FILTER`).
pub fn set_filter(program: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| nix::errno::Errno::E2BIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads `len` instructions at `filter`, both of a live slice.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    })
    .map(drop)
}

fn prctl(option: libc::c_int, a: u64, b: u64) -> Result<()> {
    // SAFETY: the options used in this file take numbers, and zeros for what they do not use.
    check_int(unsafe { libc::prctl(option, a, b, 0, 0) }).map(drop)
}

/// Moves the calling process into a namespace (setns(2)); `kind` is one `CLONE_NEW*`.
pub fn enter_namespace(fd: RawFd, kind: libc::c_int) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::setns(fd, kind) }).map(drop)
}

/// Moves the calling process into new namespaces (unshare(2)).
pub fn unshare(flags: libc::c_int) -> Result<()> {
    // SAFETY: no pointers; the process has one thread.
    check_int(unsafe { libc::unshare(flags) }).map(drop)
}
