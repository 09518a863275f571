//! Tracing another process (ptrace(2)). What belongs to a thread here belongs to the one that traces.

use super::{Result, check, check_int};
use nix::errno::Errno;
use std::ptr;

/// Why somebody that is traced does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has ended.
    Ended,
    /// It enters a system call, or returns from one.
    Call,
    /// Its group was stopped, by a signal that stops.
    Group,
    /// Another event of `PTRACE_EVENT_*`.
    Event(libc::c_int),
    /// A signal came for it.
    Signal(libc::c_int),
}

/// At which end of a system call somebody is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before it: its number, `AUDIT_ARCH_*` and arguments.
    Entry(u64, u32, [u64; 6]),
    /// After it: the errno, if it has failed.
    Exit(Option<Errno>),
    /// Elsewhere.
    Neither,
}

/// Traces a process and all that it will make, and stops it. It is killed when the tracer ends.
///
/// # Errors
/// EPERM: the kernel, or a security module, does not let this process trace it.
pub fn seize(pid: libc::pid_t) -> Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE, pid, options as libc::c_long)?;
    request(libc::PTRACE_INTERRUPT, pid, 0)
}

/// Lets it go on to the next end of a system call; with a signal, or without (0).
pub fn resume(pid: libc::pid_t, signal: libc::c_int) -> Result<()> {
    request(libc::PTRACE_SYSCALL, pid, libc::c_long::from(signal))
}

/// Leaves it stopped, as the signal wants, until it is continued.
pub fn leave_stopped(pid: libc::pid_t) -> Result<()> {
    request(libc::PTRACE_LISTEN, pid, 0)
}

/// Waits for somebody that this thread traces (wait(2)).
///
/// # Errors
/// ECHILD: it traces nobody any more.
pub fn wait() -> Result<(libc::pid_t, Stop)> {
    let mut status = 0;
    // SAFETY: the status lives here.
    let pid =
        check_int(unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) })?;
    Ok((pid, stop(status)))
}

fn stop(status: libc::c_int) -> Stop {
    const CALL: libc::c_int = libc::SIGTRAP | 0x80;
    const STOPPED: libc::c_int = 128;
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended;
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == CALL => Stop::Call,
        0 => Stop::Signal(signal),
        // PTRACE_EVENT_STOP comes with SIGTRAP where nobody sent a signal.
        STOPPED if signal != libc::SIGTRAP => Stop::Group,
        event => Stop::Event(event),
    }
}

/// The system call at one of whose ends somebody is stopped (`PTRACE_GET_SYSCALL_INFO`, Linux 5.3).
pub fn call(pid: libc::pid_t) -> Result<At> {
    // SAFETY: zeros are a valid structure of numbers; the kernel writes no more than its size, and which part of
    // the union it has filled is what `op` says.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        check(libc::ptrace(
            libc::PTRACE_GET_SYSCALL_INFO,
            pid,
            size_of_val(&info),
            &raw mut info,
        ))?;
        Ok(match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                At::Entry(info.u.entry.nr, info.arch, info.u.entry.args)
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                let exit = info.u.exit;
                let errno = i32::try_from(exit.sval.wrapping_neg()).unwrap_or(0);
                At::Exit((exit.is_error != 0).then(|| Errno::from_raw(errno)))
            }
            _ => At::Neither,
        })
    }
}

fn request(what: libc::c_uint, pid: libc::pid_t, data: libc::c_long) -> Result<()> {
    // SAFETY: none of these requests takes a pointer.
    check(unsafe { libc::ptrace(what, pid, ptr::null_mut::<libc::c_void>(), data) }).map(drop)
}
