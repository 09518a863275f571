//! When, where and under which personality a process runs: sched(7), ioprio_set(2), set_mempolicy(2), personality(2).

use super::{Result, check, check_int};
use nix::errno::Errno;

const IOPRIO_WHO_PROCESS: libc::c_int = 1;

/// sched_setscheduler(2) for the calling process. Raw, since the C library's wrapper may refuse.
pub fn set_policy(policy: i32, priority: u32) -> Result<()> {
    // `struct sched_param`: a priority, 0 for what is no real-time policy.
    let priority = priority as libc::c_int;
    // SAFETY: the parameter is one integer, and lives here.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) })
        .map(drop)
}

/// ioprio_set(2) for the calling process; the class in the bits from 13 on.
pub fn set_io_priority(priority: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) }).map(drop)
}

/// ioprio_get(2) of the calling process; 0 where it has none of its own.
pub fn io_priority() -> Result<u32> {
    // SAFETY: no pointers.
    let got = check(unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) })?;
    u32::try_from(got).map_err(|_| Errno::EINVAL)
}

/// set_mempolicy(2) for the calling thread and what it starts: a bit for each node. The kernel leaves out in silence
/// what the machine or the cpuset does not have, so what it came to is read back: ENODEV where that is less.
pub fn place_memory<const WORDS: usize>(policy: i32, nodes: &[u64; WORDS]) -> Result<()> {
    // Both take one bit more than there are (set_mempolicy(2), "Bugs").
    let bits = 64 * WORDS + 1;
    let mask = if policy == libc::MPOL_LOCAL {
        std::ptr::null()
    } else {
        nodes.as_ptr()
    };
    let given = if mask.is_null() { 0 } else { bits };
    // SAFETY: the mask is null, or that of a live array of as many bits as are told, but for the one that is never read.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, policy, mask, given) })?;
    if mask.is_null() {
        return Ok(());
    }
    let (mut found, mut held) = (0, [0_u64; WORDS]);
    // SAFETY: an integer and an array of as many bits as are told, both live; no address is asked about.
    check(unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &raw mut found,
            held.as_mut_ptr(),
            bits,
            std::ptr::null::<libc::c_void>(),
            0,
        )
    })?;
    if found == policy && held == *nodes {
        Ok(())
    } else {
        Err(Errno::ENODEV)
    }
}

/// `PR_SET_TIMERSLACK` of prctl(2): how late timers may fire.
pub fn set_timer_slack(nanoseconds: u64) -> Result<()> {
    // SAFETY: this option takes one number.
    check_int(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) }).map(drop)
}

/// sched_setaffinity(2) for the calling process: a bit for each processor.
pub fn set_affinity(mask: &[u64]) -> Result<()> {
    // SAFETY: the pointer and the length in bytes are those of a live slice.
    check(unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of_val(mask),
            mask.as_ptr(),
        )
    })
    .map(drop)
}

/// personality(2).
pub fn set_personality(bits: u32) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_personality, bits) }).map(drop)
}
