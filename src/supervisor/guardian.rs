//! Who gives the caller's terminal back, its settings and its screen, where the supervisor was killed (SIGKILL): a
//! copy of it that does nothing but wait for its end, and ends with it.
//!
//! It lives under the law of the child ([`crate::child`]).

use super::screen::{self, Shown};
use crate::plan::op::Stream;
use crate::sys::process::{self, Side};
use crate::sys::terminal::Settings;
use crate::sys::{self, descriptor, signal, terminal};
use nix::errno::Errno;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// The guardian of one run.
pub(super) struct Guardian {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// What is to be given back, each time that it changes; its end is the supervisor's.
    pipe: OwnedFd,
}

impl Guardian {
    /// Begins, while this process has one thread and all signals are blocked.
    pub(super) fn begin(stream: Stream, output: Stream, shown: &Shown) -> nix::Result<Self> {
        let (reading, writing) = process::pipe()?;
        let (reading, writing) = (descriptor::own(reading), descriptor::own(writing));
        match process::clone_into(0, None)? {
            Side::Child => keep(reading.as_raw_fd(), stream, output, shown),
            Side::Parent { pid, pidfd } => Ok(Self {
                pid,
                pidfd: descriptor::own(pidfd),
                pipe: writing,
            }),
        }
    }

    /// What is to be given back from here on.
    pub(super) fn remember(&self, settings: Settings) {
        // It has ended if this fails: then nobody is there for the case that we are killed too.
        let _ = descriptor::write_all(self.pipe.as_raw_fd(), &settings.to_bytes());
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Who cannot be killed ends as soon as the pipe is closed.
        if signal::kill_child(self.pid, self.pidfd.as_raw_fd()).is_ok() {
            while process::wait_for(self.pid).err() == Some(Errno::EINTR) {}
        }
    }
}

/// The life of the guardian.
fn keep(pipe: RawFd, stream: Stream, output: Stream, shown: &Shown) -> ! {
    sys::alloc::forbid();
    // A signal to the whole job is not for it; and all but SIGKILL and SIGSTOP are blocked.
    let apart = process::new_process_group();
    // Of what else is open here, others wait for the end.
    let kept = [pipe, stream, output];
    if apart.is_err() || descriptor::close_from(0, kept.into_iter()).is_err() {
        process::exit(1);
    }
    let mut saved: Option<Settings> = None;
    loop {
        let mut bytes = [0; size_of::<Settings>()];
        // Written in one piece, and shorter than what a pipe could tear (PIPE_BUF of pipe(7)).
        match descriptor::read(pipe, &mut bytes) {
            Ok(n) if n == bytes.len() => saved = Some(Settings::from_bytes(bytes)),
            _ => break,
        }
    }
    // Before the settings: raw, the terminal hands on what is written as it is.
    screen::give_back(output, shown.left());
    // Only what the supervisor has left: a shell that was faster has its own settings there.
    if let Some(saved) = saved
        && terminal::settings(stream) == Ok(saved.raw())
    {
        let _ = terminal::set(stream, saved);
    }
    process::exit(0)
}
