//! Signals in the child: masks, dispositions, waiting.

use super::{Result, check, check_int};
use std::ptr;

/// A signal that arrived, and what its sender attached.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// The number of the signal.
    pub signal: libc::c_int,
    /// What the supervisor attached.
    pub mark: Mark,
    /// Whether it was sent from outside of this pid namespace, by who may signal this process.
    pub from_outside: bool,
}

/// What the supervisor attaches to a signal for init.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Whether it is for the command's whole process group: the terminal sent it to the whole of its
    /// foreground group, or what the terminal has stopped is to go on.
    pub to_group: bool,
    /// Of a SIGCONT: how often the supervisor was stopped together with the command before.
    pub number: u32,
}

impl Mark {
    /// For one process, without a number.
    pub const NONE: Self = Self {
        to_group: false,
        number: 0,
    };

    const fn value(self) -> usize {
        self.to_group as usize | (self.number as usize) << 1
    }

    const fn of(value: usize) -> Self {
        Self {
            to_group: value & 1 != 0,
            number: (value >> 1) as u32,
        }
    }
}

/// Blocks every signal.
pub fn block_all() -> Result<()> {
    set_mask(libc::SIG_BLOCK, |set| {
        // SAFETY: set is a live sigset_t.
        unsafe { libc::sigfillset(set) };
    })
}

/// Unblocks every signal.
pub fn unblock_all() -> Result<()> {
    set_mask(libc::SIG_SETMASK, |set| {
        // SAFETY: set is a live sigset_t.
        unsafe { libc::sigemptyset(set) };
    })
}

fn set_mask(how: libc::c_int, fill: impl FnOnce(*mut libc::sigset_t)) -> Result<()> {
    // SAFETY: a sigset_t of zeros is valid; sigprocmask reads it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        fill(&raw mut set);
        check_int(libc::sigprocmask(how, &raw const set, ptr::null_mut())).map(drop)
    }
}

/// Gives every signal its default disposition: the runtime ignores SIGPIPE, and the caller may
/// have ignored more, which an exec would hand on (signal(7)).
///
/// The kernel is asked without the C library, which lets nobody set the two signals that it uses
/// itself (nptl(7)), and whose posix_spawn(3) starts every program with those two ignored.
///
/// # Errors
/// One stays as it is.
pub fn reset_dispositions() -> Result<()> {
    // The kernel's `struct sigaction` of zeros: SIG_DFL, no flags, an empty mask. It is 32 bytes
    // long or less, by architecture; the size of the mask in it is what the last argument says.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            continue;
        }
        // SAFETY: default is a valid kernel sigaction, and nothing is written back.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
        check(set)?;
    }
    Ok(())
}

/// Waits for the next of the (blocked) signals (sigwaitinfo(2)).
pub fn wait() -> Result<Arrived> {
    // SAFETY: a sigset_t and a siginfo_t of zeros are valid, and both live here.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        let mut info: libc::siginfo_t = std::mem::zeroed();
        loop {
            match check_int(libc::sigwaitinfo(&raw const set, &raw mut info)) {
                Ok(signal) => {
                    let mark = if info.si_code == libc::SI_QUEUE {
                        Mark::of(info.si_value().sival_ptr as usize)
                    } else {
                        Mark::NONE
                    };
                    // The kernel writes the pid of who calls kill(2); who queues a signal writes what it likes.
                    let from_outside = info.si_code == libc::SI_USER && info.si_pid() == 0;
                    return Ok(Arrived {
                        signal,
                        mark,
                        from_outside,
                    });
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// kill(2).
pub fn kill(pid: libc::pid_t, signal: libc::c_int) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Kills a child that was not waited for, so that its pid cannot be anybody else's: by its pid where
/// a filter around us does not know pidfd_send_signal(2).
///
/// # Errors
/// Neither way is open. To wait for the child then could take forever.
pub fn kill_child(pid: libc::pid_t, pidfd: std::os::fd::RawFd) -> Result<()> {
    send(pidfd, libc::SIGKILL, Mark::NONE).or_else(|_| kill(pid, libc::SIGKILL))
}

/// Stops this process, or with it its whole group, as the terminal does with Ctrl-Z: SIGTSTP has to have its
/// default disposition, and nothing is stopped whose stopping nobody would hear of (setpgid(2)). Returns when
/// it goes on, with SIGTSTP blocked as before.
pub fn stop(whole_group: bool) -> Result<()> {
    // SAFETY: no pointers; getpid cannot fail.
    let whom = if whole_group {
        0
    } else {
        unsafe { libc::getpid() }
    };
    kill(whom, libc::SIGTSTP)?;
    for how in [libc::SIG_UNBLOCK, libc::SIG_BLOCK] {
        set_mask(how, |set| {
            // SAFETY: set is a live sigset_t.
            unsafe {
                libc::sigemptyset(set);
                libc::sigaddset(set, libc::SIGTSTP);
            }
        })?;
    }
    Ok(())
}

/// Sends a signal to the process of a pidfd, with a mark (pidfd_send_signal(2)).
pub fn send(pidfd: std::os::fd::RawFd, signal: libc::c_int, mark: Mark) -> Result<()> {
    /// The head of `siginfo_t` as the kernel lays it out for `SI_QUEUE`.
    #[repr(C)]
    struct Queued {
        signo: libc::c_int,
        errno: libc::c_int,
        code: libc::c_int,
        _pad: libc::c_int,
        pid: libc::pid_t,
        uid: libc::uid_t,
        value: usize,
        _rest: [u64; 12],
    }
    const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());
    let info = Queued {
        signo: signal,
        errno: 0,
        code: libc::SI_QUEUE,
        _pad: 0,
        pid: 0,
        uid: 0,
        value: mark.value(),
        _rest: [0; 12],
    };
    let info = if mark != Mark::NONE {
        &raw const info
    } else {
        ptr::null()
    };
    // SAFETY: info is null or a live structure with the size and layout of siginfo_t.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info, 0) }).map(drop)
}
