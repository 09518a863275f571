//! A program that works outside beside a sandbox, as pasta(1) and xdg-dbus-proxy(1) do: a child of the supervisor that ends
//! with it.

use super::failure::Cause;
use crate::sys::process;
use crate::sys::{self, descriptor, identity, signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

/// How long one may take to get ready, in milliseconds.
const PATIENCE: u16 = 10_000;

/// One that was started. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Helper {
    name: &'static str,
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Helper {
    pub(super) const fn new(name: &'static str, pid: libc::pid_t, pidfd: OwnedFd) -> Self {
        Self {
            name,
            pid,
            pidfd,
            reaped: false,
        }
    }

    /// Waits until it writes that it is ready; false where it has ended instead.
    pub(super) fn is_ready(&self, ready: &OwnedFd) -> Result<bool, Cause> {
        let mut fds = [PollFd::new(ready.as_fd(), PollFlags::POLLIN)];
        let found = loop {
            match poll(&mut fds, PollTimeout::from(PATIENCE)) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        if found == 0 {
            let name = self.name;
            return Err(Cause::Text(format!("{name} was not ready within 10 s")));
        }
        Ok(descriptor::read(ready.as_raw_fd(), &mut [0; 32])? > 0)
    }

    /// Why it has ended before it was ready.
    pub(super) fn why(&mut self) -> Cause {
        let name = self.name;
        let status = self
            .reap()
            .map(<std::process::ExitStatus as std::os::unix::process::ExitStatusExt>::from_raw);
        match status {
            Some(status) => match status.code().filter(|code| *code > 1) {
                // What could not be done before it became that program is its exit code.
                Some(errno) => Cause::Errno(Errno::from_raw(errno)),
                None => Cause::Text(format!("{name} ended with {status}")),
            },
            None => Cause::Text(format!("{name} ended")),
        }
    }

    /// Whether it has ended.
    pub(super) fn is_lost(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|found| found > 0)
    }

    /// Waits for its end; how it ended, the first time.
    pub(super) fn reap(&mut self) -> Option<libc::c_int> {
        if std::mem::replace(&mut self.reaped, true) {
            return None;
        }
        super::wait_for(self.pid).map(|(status, _)| status)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.reaped && signal::kill_child(self.pid, self.pidfd.as_raw_fd()).is_ok() {
            self.reap();
        }
    }
}

/// In the child, before it becomes the program: it ends with the supervisor, gains nothing, and has these streams and
/// nothing else of it. Nothing after this may change the credentials, which would clear the death signal.
pub(super) fn detach(supervisor: libc::pid_t, streams: [RawFd; 3]) -> sys::Result<()> {
    process::die_with_parent()?;
    if process::parent() != supervisor {
        return Err(Errno::ESRCH);
    }
    identity::no_new_privileges()?;
    process::new_session()?;
    for (number, fd) in (0..).zip(streams) {
        descriptor::take_as(fd, number)?;
    }
    descriptor::close_on_exec_from(3, &[])?;
    // Where it has no business.
    descriptor::change_directory(c"/")?;
    signal::reset_dispositions()?;
    signal::unblock_all()
}
