//! Stops: filters that keep an attempt (`sandbox test`) from having an effect, and that show what
//! the sandbox's own filter does with a call.
//!
//! Of several filters that answer a call, the kernel takes the answer that is most severe
//! (seccomp(2)): a trap, then an errno, then permission; among equally severe ones, that of the
//! filter which was installed last. A stop is installed in front of the sandbox's filter. A call
//! that the sandbox refuses therefore ends as the sandbox says, and one that it permits ends here:
//! it is judged by the real filter in the real kernel, and never performed.

use super::{Result, identity};
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    SECCOMP_RET_TRAP, sock_filter,
};
use std::os::fd::RawFd;

/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// Offsets into `struct seccomp_data`; the low half of the first argument, on little-endian
/// machines.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
const DATA_ARG0: u32 = 16;

/// The errno of a stopped call: the last one that the C library takes for an errno, which is none of
/// the kernel's, and which no profile can make a filter return.
const MARK: i32 = 4095;

/// What became of a call behind a [`Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The sandbox's filter let it through; the stop ended it.
    Permitted,
    /// It was refused with this errno; with 0 it was not performed, and answered with success.
    Refused(i32),
}

/// The call by which an attempt reports, with one descriptor.
const WRITE: u32 = libc::SYS_write as u32;

/// Proof that a system call of this process has no effect any more.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    number: u32,
    spared: u32,
}

impl Stop {
    /// Stops a call from here on, in this process and its children, with any arguments; but for
    /// write(2) to `socket`.
    pub fn install(number: u32, socket: RawFd) -> Result<Self> {
        let spared = socket.cast_unsigned();
        identity::set_filter(&[
            load(DATA_ARCH),
            jump_if(NATIVE, 0, 5),
            load(DATA_NR),
            jump_if(number, 0, 3),
            jump_if(WRITE, 0, 3),
            load(DATA_ARG0),
            jump_if(spared, 0, 1),
            end(SECCOMP_RET_ALLOW),
            end(SECCOMP_RET_ERRNO | MARK.cast_unsigned()),
        ])?;
        Ok(Self { number, spared })
    }

    /// Makes the call. A filter that ends the process ends it.
    #[must_use]
    pub fn call(self, [a, b, c, d, e, f]: [u64; 6]) -> Judged {
        let number = libc::c_long::from(self.number);
        let spared = self.number == WRITE && a as u32 == self.spared;
        // Any other descriptor does as well.
        let a = if spared { u64::MAX } else { a };
        // SAFETY: a Stop exists only after its filter was installed. A filter cannot be removed,
        // and no other one can loosen it, so the kernel never performs the call, with the one
        // exception that was just excluded: no argument is ever looked at as a pointer.
        if unsafe { libc::syscall(number, a, b, c, d, e, f) } != -1 {
            // Nothing but the sandbox's own filter can make it return something else.
            return Judged::Refused(0);
        }
        match nix::errno::Errno::last_raw() {
            MARK => Judged::Permitted,
            errno => Judged::Refused(errno),
        }
    }
}

/// From here on, the process may still install filters, report through `socket`, execute a program
/// and end. Anything else is a trap (SIGSYS), so that a program ends at its first system call.
///
/// A trap, not a kill: the kernel notes kills in its log.
pub fn end_after_exec(socket: RawFd) -> Result<()> {
    let seccomp = libc::SYS_seccomp as u32;
    let execve = libc::SYS_execve as u32;
    let exit_group = libc::SYS_exit_group as u32;
    identity::set_filter(&[
        load(DATA_ARCH),
        jump_if(NATIVE, 0, 7),
        load(DATA_NR),
        jump_if(seccomp, 6, 0),
        jump_if(execve, 5, 0),
        jump_if(exit_group, 4, 0),
        jump_if(WRITE, 0, 2),
        load(DATA_ARG0),
        jump_if(socket.cast_unsigned(), 1, 0),
        end(SECCOMP_RET_TRAP),
        end(SECCOMP_RET_ALLOW),
    ])
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

/// Skips so many instructions if what was loaded is the value, or is not.
fn jump_if(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
}

fn end(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

    /// The end of a process in which `child` runs.
    fn end_of(child: impl FnOnce() -> i32) -> WaitStatus {
        match process::fork().unwrap() {
            None => process::exit(child()),
            Some(pid) => {
                let pid = nix::unistd::Pid::from_raw(pid);
                waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap()
            }
        }
    }

    fn refuse(number: libc::c_long, answer: u32) {
        let program = [
            load(DATA_NR),
            jump_if(number as u32, 0, 1),
            end(answer),
            end(SECCOMP_RET_ALLOW),
        ];
        identity::set_filter(&program).unwrap();
    }

    #[test]
    fn a_stopped_call_is_judged_and_not_performed() {
        let end = end_of(|| {
            identity::no_new_privileges().unwrap();
            // The calls end the process, or wait for ever, if anything performs them.
            let pause = Stop::install(libc::SYS_rt_sigsuspend as u32, -1).unwrap();
            let reboot = Stop::install(libc::SYS_reboot as u32, -1).unwrap();
            refuse(libc::SYS_reboot, SECCOMP_RET_ERRNO | libc::EPERM as u32);
            let permitted = pause.call([0; 6]) == Judged::Permitted;
            let refused = reboot.call([u64::MAX; 6]) == Judged::Refused(libc::EPERM);
            let time = Stop::install(libc::SYS_reboot as u32 + 1, -1).unwrap();
            refuse(libc::SYS_reboot + 1, SECCOMP_RET_ERRNO);
            let faked = time.call([0; 6]) == Judged::Refused(0);
            i32::from(!(permitted && refused && faked))
        });
        assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
    }

    #[test]
    fn the_report_can_be_written_when_writing_is_stopped() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = std::os::fd::AsRawFd::as_raw_fd(&theirs);
        let end = end_of(|| {
            identity::no_new_privileges().unwrap();
            let stop = Stop::install(WRITE, socket).unwrap();
            let stopped = [u64::MAX, 1, socket as u64]
                .iter()
                .all(|fd| stop.call([*fd, 0, 0, 0, 0, 0]) == Judged::Permitted);
            let told = crate::sys::descriptor::write_all(socket, b"told");
            i32::from(!(stopped && told.is_ok()))
        });
        assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
        drop(theirs);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut &ours, &mut text).unwrap();
        assert_eq!(text, "told");
    }

    #[test]
    fn a_filter_that_ends_the_process_ends_it() {
        let end = end_of(|| {
            identity::no_new_privileges().unwrap();
            let stop = Stop::install(libc::SYS_bpf as u32, -1).unwrap();
            refuse(libc::SYS_bpf, SECCOMP_RET_TRAP);
            let _ = stop.call([0; 6]);
            0
        });
        let sigsys = nix::sys::signal::Signal::SIGSYS;
        assert!(
            matches!(end, WaitStatus::Signaled(_, signal, _) if signal == sigsys),
            "{end:?}"
        );
    }

    #[test]
    fn a_program_ends_at_its_first_call() {
        let strings = |all: &[&std::ffi::CStr]| {
            process::StringArray::new(all.iter().map(|s| (*s).into()).collect())
        };
        let (arguments, none) = (strings(&[c"sh", c"-c", c"exit 3"]), strings(&[]));
        let run = |program: &std::ffi::CStr| {
            end_of(|| {
                identity::no_new_privileges().unwrap();
                process::set_rlimit(libc::RLIMIT_CORE, 0, 0).unwrap();
                end_after_exec(-1).unwrap();
                process::exec(program, &arguments, &none) as i32
            })
        };
        let sigsys = nix::sys::signal::Signal::SIGSYS;
        let end = run(c"/bin/sh");
        assert!(
            matches!(end, WaitStatus::Signaled(_, signal, false) if signal == sigsys),
            "{end:?}"
        );
        let end = run(c"/nowhere");
        assert!(
            matches!(end, WaitStatus::Exited(_, libc::ENOENT)),
            "{end:?}"
        );
    }
}
