//! An attempt, in the place of the command: one thing is tried, and the kernel's answer reported.
//!
//! The filter is in force, and may refuse anything but the report itself (write and exit_group,
//! which no profile can take away). A refused call is an answer like any other.

use super::{Child, Tag, message};
use crate::plan::Op;
use crate::plan::attempt::{Address, Attempt, CONNECT_SECONDS};
use crate::sections::environment::matches;
use crate::sys::identity::CapabilitySets;
use crate::sys::stop::{self, Judged, Stop};
use crate::sys::{self, descriptor, identity, process};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockType, SockaddrLike, setsockopt, sockopt,
};
use nix::sys::stat::{Mode, stat};
use nix::sys::time::{TimeVal, TimeValLike as _};
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};

/// What is reported beside an errno: 0, or what the kind of attempt says.
type Detail = u32;

/// The detail of [`Attempt::Write`]: a file was made in a directory.
pub(crate) const MADE: Detail = 1;
/// The same, and the file could not be removed again.
pub(crate) const LEFT: Detail = 2;
/// The detail of [`Attempt::Call`]: the filter answered with success, and nothing was performed.
pub(crate) const FAKED: Detail = 1;

impl Child<'_> {
    pub(super) fn attempt(&mut self, op: &Op) -> sys::Result<()> {
        match op {
            Op::ShedAsExec {
                ambient,
                kept,
                readable,
            } => self.shed(*ambient, kept, *readable),
            Op::StopCall { number, .. } => {
                self.stop = Some(Stop::install(*number, self.socket)?);
                Ok(())
            }
            Op::EndAfterExec => stop::end_after_exec(self.socket),
            Op::Attempt(attempt) => {
                let (errno, detail) = match attempt {
                    Attempt::Call { arguments, .. } => self.call(*arguments)?,
                    other => match self.make(other) {
                        Ok(detail) => (0, detail),
                        Err(errno) => (errno as i32, 0),
                    },
                };
                let bytes = message(Tag::Attempted, detail, errno);
                let told = descriptor::write_all(self.socket, &bytes);
                process::exit(if told.is_ok() { 0 } else { 125 })
            }
            _ => Err(Errno::ENOTSUP),
        }
    }

    /// What exec does to a process without privileges (execve(2), capabilities(7)): descriptors
    /// are closed, a uid other than 0 keeps the ambient capabilities only, and the process may be
    /// read by its like.
    fn shed(&self, ambient: u64, kept: &[RawFd], readable: bool) -> sys::Result<()> {
        // An attempt that a trap ends must not leave a core file.
        process::set_rlimit(libc::RLIMIT_CORE, 0, 0)?;
        descriptor::close_from(3, kept.iter().copied().chain([self.socket]))?;
        if !nix::unistd::geteuid().is_root() {
            identity::set_capabilities(CapabilitySets {
                permitted: ambient,
                effective: ambient,
                inheritable: ambient,
            })?;
        }
        if readable { process::show() } else { Ok(()) }
    }

    /// Makes a system call: the errno of the answer, which a profile may have made up, and the detail.
    fn call(&self, arguments: [u64; 6]) -> sys::Result<(i32, Detail)> {
        let stop = self.stop.ok_or(Errno::EBADF)?;
        Ok(match stop.call(arguments) {
            Judged::Permitted => (0, 0),
            Judged::Refused(0) => (0, FAKED),
            Judged::Refused(errno) => (errno, 0),
        })
    }

    fn make(&self, attempt: &Attempt) -> sys::Result<Detail> {
        match attempt {
            Attempt::Read(path) => read(path),
            Attempt::Write { path, file } => write(path, file),
            Attempt::See(path) => stat(path.as_c_str()).map(|_| 0),
            Attempt::Execute {
                candidates,
                arguments,
                environment,
            } => Err(process::exec_first(candidates, arguments, environment)),
            Attempt::Connect(address) => connect(address),
            Attempt::Call { .. } => Err(Errno::ENOTSUP),
            Attempt::Variable {
                pattern,
                environment,
            } => {
                let found = environment.strings().iter().position(|variable| {
                    let text = variable.to_str().unwrap_or_default();
                    let (name, _) = text.split_once('=').unwrap_or_default();
                    matches(pattern, name)
                });
                found.map(|at| at as Detail).ok_or(Errno::ENOENT)
            }
        }
    }
}

/// Neither waits for the other end of a FIFO nor takes a terminal.
const OPEN: OFlag = OFlag::O_NONBLOCK
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

fn read(path: &CStr) -> sys::Result<Detail> {
    let file = open(path, OPEN, Mode::empty())?;
    let mut byte = [0];
    match descriptor::read(file.as_raw_fd(), &mut byte) {
        // Nothing to be read yet, or nothing in it.
        Ok(_) | Err(Errno::EAGAIN) => Ok(0),
        Err(Errno::EISDIR) => {
            let mut entries = [0; 1024];
            descriptor::read_entries(file.as_raw_fd(), &mut entries).map(|_| 0)
        }
        Err(errno) => Err(errno),
    }
}

fn write(path: &CStr, file: &CStr) -> sys::Result<Detail> {
    let owner = Mode::S_IRUSR | Mode::S_IWUSR;
    match open(path, OPEN | OFlag::O_WRONLY, Mode::empty()) {
        Ok(_) => return Ok(0),
        Err(Errno::EISDIR) => {}
        Err(errno) => return Err(errno),
    }
    match open(path, OPEN | OFlag::O_WRONLY | OFlag::O_TMPFILE, owner) {
        Ok(_) => return Ok(MADE),
        // The file system has no files without a name.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    let new = OPEN | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    open(file, new, owner)?;
    match nix::unistd::unlink(file) {
        Ok(()) => Ok(MADE),
        Err(_) => Ok(LEFT),
    }
}

fn connect(address: &Address) -> sys::Result<Detail> {
    let stream = &[SockType::Stream][..];
    let any = &[SockType::Stream, SockType::Datagram, SockType::SeqPacket][..];
    let (family, kinds, address): (_, _, &dyn SockaddrLike) = match address {
        Address::V4(address) => (AddressFamily::Inet, stream, address),
        Address::V6(address) => (AddressFamily::Inet6, stream, address),
        Address::Unix(address) => (AddressFamily::Unix, any, address),
        Address::Vsock(address) => (AddressFamily::Vsock, stream, address),
    };
    let mut answer = Err(Errno::EPROTOTYPE);
    for kind in kinds {
        let socket = socket::socket(family, *kind, SockFlag::SOCK_CLOEXEC, None)?;
        // Where the filter refuses this, the deadline of the run is left.
        let _ = setsockopt(
            &socket,
            sockopt::SendTimeout,
            &TimeVal::seconds(CONNECT_SECONDS),
        );
        let socket = socket.into_raw_fd();
        answer = socket::connect(socket, address);
        descriptor::close(socket);
        // A socket is there, and it is of another type.
        if answer != Err(Errno::EPROTOTYPE) {
            break;
        }
    }
    answer.map(|()| 0)
}
