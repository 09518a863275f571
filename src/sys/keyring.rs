//! Keys and keyrings (keyrings(7)).

use super::{Result, check};

/// `KEYCTL_GET_KEYRING_ID` of keyctl(2).
const GET_KEYRING_ID: libc::c_int = 0;
/// `KEYCTL_JOIN_SESSION_KEYRING` of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_int = 1;
/// `KEY_SPEC_SESSION_KEYRING`: the session keyring of whoever asks.
const SESSION: libc::c_int = -3;

/// Takes a new, empty session keyring in the place of the one that came from the parent.
///
/// # Errors
/// `EDQUOT` where the caller's quota of keys is used up (`kernel.keys.maxkeys`); `ENOSYS` where the
/// kernel has no keys.
pub fn join_new_session() -> Result<()> {
    // SAFETY: a null name asks for a keyring without one.
    check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0usize) }).map(drop)
}

/// The serial number of the session keyring; where there is none, that of the one of all sessions of the user.
///
/// # Errors
/// `ENOSYS` where the kernel has no keys, or a filter says so; `ENOKEY` where there is no keyring at all.
pub fn session() -> Result<i64> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) })
}

/// Whether keyctl(2) answers a question that is always permitted.
#[must_use]
pub fn can_be_asked() -> bool {
    !matches!(
        session(),
        Err(nix::errno::Errno::ENOSYS | nix::errno::Errno::EPERM)
    )
}
