//! `--detach`: the run goes on in a session of its own, and the caller returns once the command is
//! executed, or with what was in its way.

use super::{Refused, output};
use crate::diag::{Code, Diagnostic, Origin};
use crate::exit;
use crate::sys::descriptor;
use crate::sys::process::{self, Side as Cloned};
use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// On which side of it this process is.
pub(super) enum Side {
    /// The caller's, with its exit code.
    Caller(u8),
    /// That of the run.
    Run(Detached),
}

/// A run in the background, and the caller who waits to hear of it.
pub(super) struct Detached {
    /// What it is called.
    name: RefCell<String>,
    caller: Cell<Option<OwnedFd>>,
}

/// Goes on in a process of its own. Nothing of the run has begun: names and ids are made of the pid of
/// whoever performs it.
pub(super) fn begin() -> Result<Side, Refused> {
    let refused = |errno: Errno| -> Refused {
        let message = format!("cannot go on in the background: {}", errno.desc());
        Diagnostic::new(Code::StepFailed, &Origin::CommandLine, message)
            .help("the caller may be short of processes or of open files: see `ulimit -a`")
            .into()
    };
    let (ours, theirs) = process::pipe().map_err(refused)?;
    let (ours, theirs) = (descriptor::own(ours), descriptor::own(theirs));
    match process::clone_into(0, None).map_err(refused)? {
        Cloned::Child => {
            drop(ours);
            process::new_session().map_err(refused)?;
            Ok(Side::Run(Detached {
                name: RefCell::default(),
                caller: Cell::new(Some(theirs)),
            }))
        }
        Cloned::Parent { pid, pidfd } => {
            descriptor::close(pidfd);
            drop(theirs);
            let mut name = [0; 128];
            let length = descriptor::read(ours.as_raw_fd(), &mut name).unwrap_or(0);
            let name = name.get(..length).unwrap_or_default();
            if name.is_empty() {
                // It has said why.
                let status = loop {
                    match process::wait_for(pid) {
                        Err(Errno::EINTR) => {}
                        result => break result,
                    }
                };
                let code = status.ok().filter(|(status, _)| libc::WIFEXITED(*status));
                let code = code.map(|(status, _)| libc::WEXITSTATUS(status));
                let code = code.and_then(|code| u8::try_from(code).ok());
                return Ok(Side::Caller(code.unwrap_or(exit::SET_UP_FAILED)));
            }
            output(&format!("{}\n", String::from_utf8_lossy(name)))?;
            Ok(Side::Caller(0))
        }
    }
}

impl Detached {
    /// Takes note of what the run is called.
    pub(super) fn is_called(&self, name: &str) {
        name.clone_into(&mut self.name.borrow_mut());
    }

    /// Tells the caller that the command runs, and lets go of all that is the caller's.
    pub(super) fn started(&self, stderr: Option<OwnedFd>) {
        drop(stderr);
        if let Some(caller) = self.caller.take() {
            // Who does not wait any more does not need to know.
            let _ = descriptor::write_all(caller.as_raw_fd(), self.name.borrow().as_bytes());
        }
    }
}
