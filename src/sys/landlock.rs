//! Landlock (landlock(7)).

use super::{Result, check};
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
