//! Who stands between the command and message buses: xdg-dbus-proxy(1), with the caller's rights, outside.
//!
//! It ends with the supervisor, by a pipe that it watches and by its death signal. Its sockets lie in a folder of the run's
//! own, which is locked (flock(2)) as long as the supervisor lives and removed in the end; what a killed one has left, the next
//! run with a bus takes away, or `sandbox gc`.

use super::failure::Cause;
use crate::plan::op::bus::BusProxy;
use crate::running::Folder;
use crate::sys::process::{self, Side, StringArray};
use crate::sys::{descriptor, identity, signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How long it may take to get ready, in milliseconds.
const PATIENCE: u16 = 10_000;

/// What the names of the folders begin with.
const PREFIX: &[u8] = b"bus-";

/// A proxy that runs, and its folder. Dropping it ends the one and removes the other.
pub(super) struct Proxy {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: bool,
    /// What it watches: it ends when this is closed.
    watched: OwnedFd,
    _place: Place,
}

/// A folder of a run's own.
struct Place {
    above: Folder,
    name: CString,
    fd: OwnedFd,
}

impl Place {
    /// Makes it, once what killed runs have left is gone.
    fn make(path: &Path) -> Result<Self, Cause> {
        let (above, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL)?;
        let name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
        let above = Folder::make(above).map_err(Cause::Text)?;
        let fd = {
            // Between its making and its lock nobody takes it for one that was left.
            let _turn = above.turn().map_err(Cause::Text)?;
            remove_left(&above);
            rustix::fs::mkdirat(above.fd(), &name, Mode::RWXU).map_err(errno)?;
            open(&above, &name)
                .filter(lock)
                .ok_or_else(|| Cause::Text("it cannot be locked".into()))?
        };
        Ok(Self { above, name, fd })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.above, &self.name, self.fd.as_fd());
    }
}

/// Removes the folders that killed runs have left: which.
#[must_use]
pub fn sweep(above: &Folder) -> Vec<PathBuf> {
    match above.turn() {
        Ok(_turn) => remove_left(above),
        Err(_) => Vec::new(),
    }
}

fn remove_left(above: &Folder) -> Vec<PathBuf> {
    let names = Dir::read_from(above.fd()).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_owned());
    let left = names.filter(|name| name.to_bytes().starts_with(PREFIX));
    let removed = left.filter_map(|name| {
        let fd = open(above, &name).filter(lock)?;
        let path = above
            .path()
            .join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        remove(above, &name, fd.as_fd()).then_some(path)
    });
    removed.collect()
}

fn open(above: &Folder, name: &CStr) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(above.fd(), name, flags, Mode::empty()).ok()
}

/// Whether nobody else has it.
fn lock(fd: &OwnedFd) -> bool {
    rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn remove(above: &Folder, name: &CStr, fd: BorrowedFd<'_>) -> bool {
    for entry in Dir::read_from(fd).into_iter().flatten().flatten() {
        let _ = rustix::fs::unlinkat(fd, entry.file_name(), AtFlags::empty());
    }
    rustix::fs::unlinkat(above.fd(), name, AtFlags::REMOVEDIR).is_ok()
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

impl Proxy {
    /// Starts it, and waits until it listens.
    pub(super) fn start(wanted: &BusProxy) -> Result<Self, Cause> {
        let place = Place::make(&wanted.folder)?;
        let (watched, theirs) = process::pipe()?;
        let (watched, theirs) = (descriptor::own(watched), descriptor::own(theirs));
        let string = |text: &[u8]| CString::new(text).map_err(|_| Errno::EINVAL);
        let program = string(wanted.program.as_os_str().as_bytes())?;
        // The pipe takes the place of its standard input, from which it reads nothing.
        let mut arguments = vec![program.clone(), c"--fd=0".into()];
        let mut sockets = Vec::new();
        for bus in &wanted.buses {
            let socket = wanted.folder.join(&bus.name);
            arguments.push(string(bus.address.as_bytes())?);
            arguments.push(string(socket.as_os_str().as_bytes())?);
            arguments.push(c"--filter".into());
            for rule in &bus.rules {
                arguments.push(string(rule.as_bytes())?);
            }
            sockets.push(socket);
        }
        let prepared = Prepared {
            program,
            arguments: StringArray::new(arguments),
            environment: StringArray::new(Vec::new()),
            supervisor: std::process::id() as libc::pid_t,
        };
        let null = descriptor::own(descriptor::open_for_writing(c"/dev/null")?);
        let streams = [theirs.as_raw_fd(), null.as_raw_fd(), null.as_raw_fd()];
        let (pid, pidfd) = match process::clone_into(0, None)? {
            Side::Child => {
                crate::sys::alloc::forbid();
                let why = prepared.become_proxy(streams);
                process::exit(why as libc::c_int)
            }
            Side::Parent { pid, pidfd } => (pid, descriptor::own(pidfd)),
        };
        drop(theirs);
        let mut proxy = Self {
            pid,
            pidfd,
            reaped: false,
            watched,
            _place: place,
        };
        proxy.await_ready()?;
        for socket in sockets {
            // Nobody but the sandbox comes to it; and there, only its ids are the command's.
            rustix::fs::chmod(&socket, Mode::from_raw_mode(0o666)).map_err(errno)?;
        }
        Ok(proxy)
    }

    /// Until it writes a byte; end of file means that it has ended.
    fn await_ready(&mut self) -> Result<(), Cause> {
        let watched = self.watched.as_raw_fd();
        let mut fds = [PollFd::new(descriptor::borrow(watched), PollFlags::POLLIN)];
        let found = loop {
            match poll(&mut fds, PollTimeout::from(PATIENCE)) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        if found == 0 {
            return Err(Cause::Text(
                "xdg-dbus-proxy was not ready within 10 s".into(),
            ));
        }
        if descriptor::read(watched, &mut [0])? > 0 {
            return Ok(());
        }
        let status = self
            .reap()
            .map(std::os::unix::process::ExitStatusExt::from_raw);
        Err(match status {
            Some(status) => {
                let status: std::process::ExitStatus = status;
                match status.code().filter(|code| *code > 1) {
                    // What could not be done before it became the proxy is its exit code.
                    Some(errno) => Cause::Errno(Errno::from_raw(errno)),
                    None => Cause::Text(format!("xdg-dbus-proxy ended with {status}")),
                }
            }
            None => Cause::Text("xdg-dbus-proxy ended".into()),
        })
    }

    /// Why it has ended, if it has, though the run goes on.
    pub(super) fn lost(&mut self) -> Option<String> {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let ended = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|found| found > 0);
        ended.then(|| "xdg-dbus-proxy ended before the command did: the buses were gone".into())
    }

    fn reap(&mut self) -> Option<libc::c_int> {
        if std::mem::replace(&mut self.reaped, true) {
            return None;
        }
        super::wait_for(self.pid).map(|(status, _)| status)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !self.reaped && signal::kill_child(self.pid, self.pidfd.as_raw_fd()).is_ok() {
            self.reap();
        }
    }
}

/// What the child needs, all of it made before the clone.
struct Prepared {
    program: CString,
    arguments: StringArray,
    environment: StringArray,
    supervisor: libc::pid_t,
}

impl Prepared {
    /// In the child: becomes the proxy, or returns why not. Nothing is allocated here.
    fn become_proxy(&self, streams: [RawFd; 3]) -> Errno {
        match self.prepare(streams) {
            Ok(()) => process::exec(&self.program, &self.arguments, &self.environment),
            Err(errno) => errno,
        }
    }

    fn prepare(&self, streams: [RawFd; 3]) -> crate::sys::Result<()> {
        process::die_with_parent()?;
        if process::parent() != self.supervisor {
            return Err(Errno::ESRCH);
        }
        identity::no_new_privileges()?;
        process::new_session()?;
        for (number, fd) in (0..).zip(streams) {
            descriptor::take_as(fd, number)?;
        }
        descriptor::close_on_exec_from(3, &[])?;
        descriptor::change_directory(c"/")?;
        signal::reset_dispositions()?;
        signal::unblock_all()
    }
}
