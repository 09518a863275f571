//! Who stands between the command and message buses: xdg-dbus-proxy(1), with the caller's rights, outside.
//!
//! It ends with the supervisor, by a pipe that it watches and by its death signal. Its sockets lie in a folder of the run's
//! own, which is locked (flock(2)) as long as the supervisor lives and removed in the end; what a killed one has left, the next
//! run with a bus takes away, or `sandbox gc`.

use super::failure::Cause;
use super::helper::{self, Helper};
use crate::plan::op::bus::BusProxy;
use crate::running::Folder;
use crate::sys::descriptor;
use crate::sys::process::{self, Side, StringArray};
use nix::errno::Errno;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What the names of the folders begin with.
const PREFIX: &[u8] = b"bus-";

/// A proxy that runs, and its folder. Dropping it ends the one and removes the other.
pub(super) struct Proxy {
    helper: Helper,
    /// What it watches: it ends when this is closed.
    _watched: OwnedFd,
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
        let mut helper = Helper::new("xdg-dbus-proxy", pid, pidfd);
        if !helper.is_ready(&watched)? {
            return Err(helper.why());
        }
        for socket in sockets {
            // Nobody but the sandbox comes to it; and there, only its ids are the command's.
            rustix::fs::chmod(&socket, Mode::from_raw_mode(0o666)).map_err(errno)?;
        }
        Ok(Self {
            helper,
            _watched: watched,
            _place: place,
        })
    }

    /// Why it has ended, if it has, though the run goes on.
    pub(super) fn lost(&self) -> Option<String> {
        let ended = self.helper.is_lost();
        ended.then(|| "xdg-dbus-proxy ended before the command did: the buses were gone".into())
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
        match helper::detach(self.supervisor, streams) {
            Ok(()) => process::exec(&self.program, &self.arguments, &self.environment),
            Err(errno) => errno,
        }
    }
}
