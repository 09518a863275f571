//! When, where and under which personality a process runs: sched(7), ioprio_set(2), personality(2).

use super::{Result, check, check_int};

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
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) }).map(drop)
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
