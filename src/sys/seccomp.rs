//! Listening to a system call filter: calls that it refuses wait until the listener has answered them
//! (seccomp_unotify(2)). The answer is always a refusal: nothing here can let a call go on.

use super::{Result, check, check_int};
use std::os::fd::RawFd;

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// What the answer refers to.
    pub id: u64,
    /// The thread that makes the call, in the pid namespace of the listener; 0 if it is not in there.
    pub thread: libc::pid_t,
    /// The number of the call.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Its arguments, as registers hold them.
    pub arguments: [u64; 6],
}

/// Installs a filter on the calling thread, and opens its listener, which an exec closes.
///
/// A call that the listener has received waits for the answer whatever signals come, but for a deadly one
/// (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, Linux 5.19): the command sees the same as with a filter that
/// answers by itself.
///
/// # Errors
/// `EBUSY` if a filter around this one has a listener already, `EINVAL` on an older kernel. Nothing is
/// installed then.
pub fn set_filter_and_listen(program: &[libc::sock_filter]) -> Result<RawFd> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| nix::errno::Errno::E2BIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the kernel reads `len` instructions at `filter`, both of a live slice.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    })?;
    Ok(fd as RawFd)
}

/// Lets a call that is made and whoever answers it take turns on one processor, where the kernel can
/// (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, Linux 6.6): neither then waits for the scheduler to find them another one.
pub fn take_turns(listener: RawFd) {
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the kernel takes the flags by value. An older one refuses, and nothing is lost.
    let _ = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
}

/// Takes the next call; waits for one if none waits.
///
/// # Errors
/// `ENOENT` if the call that was announced has gone, with its process.
pub fn receive(listener: RawFd) -> Result<Notification> {
    /// More than the kernel's structure has today, since it fills as much as it knows.
    #[repr(C)]
    struct Room {
        notification: libc::seccomp_notif,
        rest: [u64; 32],
    }
    // SAFETY: zeros are valid for both, and what the kernel wants to find.
    let mut room: Room = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills a structure that lives here.
    check_int(unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut room) })?;
    let libc::seccomp_notif { id, pid, data, .. } = room.notification;
    Ok(Notification {
        id,
        thread: pid.cast_signed(),
        number: data.nr.cast_unsigned(),
        architecture: data.arch,
        arguments: data.args,
    })
}

/// Whether a call still waits: what was read of its thread meanwhile was the thread's, then, and not that
/// of another one with the same number.
#[must_use]
pub fn still_waits(listener: RawFd, id: u64) -> bool {
    // SAFETY: the kernel reads a number that lives here.
    let valid = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
    valid == 0
}

/// Refuses a call with an errno, which is not 0.
///
/// # Errors
/// `ENOENT` if it does not wait any more.
pub fn refuse(listener: RawFd, id: u64, errno: i32) -> Result<()> {
    let answer = libc::seccomp_notif_resp {
        id,
        val: 0,
        error: errno.wrapping_neg(),
        flags: 0,
    };
    // SAFETY: the kernel reads a structure that lives here.
    check_int(unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) })
        .map(drop)
}
