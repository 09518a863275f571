//! Trying: what nothing else can tell is really done, in a child that is thrown away.
//!
//! Two processes: the outer one is an ordinary copy of this one, so that a filter that kills for a
//! call kills nobody else; the inner one is cloned as init of a run is, with new namespaces.

use crate::host::caller::Caller;
use crate::sys::process::{self, Side};
use crate::sys::{self, descriptor, identity, trial};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No child could be made at all.
    Fork(Errno),
    /// The clone into the namespaces.
    Clone(Errno),
    /// Writing the id maps.
    Map(Errno),
    /// What was tried inside.
    Inside(Errno),
    /// A signal, which a filter sends for a call.
    Killed(i32),
}

/// The one id that a trial has inside, as 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    uid: u32,
    gid: u32,
    setgroups: bool,
}

impl Ids {
    /// Those that a run of this caller would have outside.
    #[must_use]
    pub(super) fn of(caller: &Caller) -> Self {
        let rights = caller.has_rights();
        let nobody = |map| caller.unprivileged_ids(map, 1).filter(|_| rights);
        Self {
            uid: nobody(&caller.uid_map).unwrap_or(caller.uid),
            gid: nobody(&caller.gid_map).unwrap_or(caller.gid),
            setgroups: rights,
        }
    }
}

/// Does something in new namespaces, as `CLONE_NEW*`; the user namespace is among them always.
///
/// `inside` is called after the clone: it may not allocate or panic.
pub(super) fn inside(
    namespaces: libc::c_int,
    ids: Ids,
    inside: &dyn Fn() -> sys::Result<()>,
) -> Result<(), Refused> {
    apart(|| cloned(namespaces, ids, inside, &|_| Ok(()))).map(drop)
}

/// The same, for what is done from outside to a user namespace, given the pid of a process in it.
pub(super) fn beside(
    ids: Ids,
    outside: &dyn Fn(libc::pid_t) -> sys::Result<()>,
) -> Result<(), Refused> {
    apart(|| cloned(0, ids, &|| Ok(()), outside)).map(drop)
}

/// Does something in a child of its own; the number that it finds out.
pub(super) fn alone(body: &dyn Fn() -> sys::Result<u32>) -> Result<u32, Refused> {
    apart(|| body().map_err(Refused::Inside))
}

/// The outer process.
fn apart(body: impl FnOnce() -> Result<u32, Refused>) -> Result<u32, Refused> {
    let (mut reader, writer) = match pipe2(OFlag::O_CLOEXEC) {
        Ok((reader, writer)) => (std::fs::File::from(reader), writer),
        Err(errno) => return Err(Refused::Fork(errno)),
    };
    let pid = match trial::fork().map_err(Refused::Fork)? {
        Some(pid) => pid,
        None => {
            let _ = process::die_with_parent();
            let _ = descriptor::write_all(writer.as_raw_fd(), &pack(body()));
            process::exit(0);
        }
    };
    drop(writer);
    let mut message = Vec::new();
    // End of file without a message means that the child was killed: its status says by what.
    let _ = reader.read_to_end(&mut message);
    match (wait_for(pid), unpack(&message)) {
        (_, Some(result)) => result,
        (Ok(WaitStatus::Signaled(_, signal, _)), None) => Err(Refused::Killed(signal as i32)),
        (_, None) => Err(Refused::Killed(libc::SIGKILL)),
    }
}

/// The inner process, seen from the outer one.
fn cloned(
    namespaces: libc::c_int,
    ids: Ids,
    inside: &dyn Fn() -> sys::Result<()>,
    outside: &dyn Fn(libc::pid_t) -> sys::Result<()>,
) -> Result<u32, Refused> {
    let (ready, go) = pipe2(OFlag::O_CLOEXEC).map_err(Refused::Fork)?;
    let flags = (namespaces | libc::CLONE_NEWUSER) as u64;
    let (pid, pidfd) = match process::clone_into(flags, None).map_err(Refused::Clone)? {
        Side::Child => {
            sys::alloc::forbid();
            let end = first_steps(&ready, &go).and_then(|()| inside());
            process::exit(end.err().map_or(0, |errno| errno as i32));
        }
        Side::Parent { pid, pidfd } => (pid, descriptor::own(pidfd)),
    };
    drop(pidfd);
    drop(ready);
    let mapped = map(pid, ids).map_err(Refused::Map);
    let done = mapped.and_then(|()| outside(pid).map_err(Refused::Inside));
    if done.is_ok() {
        let _ = descriptor::write_all(go.as_raw_fd(), &[1]);
    }
    // Without a byte before the end of file, the child gives up.
    drop(go);
    let status = wait_for(pid);
    done?;
    match status {
        Ok(WaitStatus::Exited(_, 0)) => Ok(0),
        Ok(WaitStatus::Exited(_, errno)) => Err(Refused::Inside(Errno::from_raw(errno))),
        Ok(WaitStatus::Signaled(_, signal, _)) => Err(Refused::Killed(signal as i32)),
        _ => Err(Refused::Killed(libc::SIGKILL)),
    }
}

/// Waits until the maps are written, and takes the ids that they hold.
fn first_steps(ready: &OwnedFd, go: &OwnedFd) -> sys::Result<()> {
    let _ = process::die_with_parent();
    descriptor::close(go.as_raw_fd());
    let mut byte = [0];
    if descriptor::read(ready.as_raw_fd(), &mut byte)? == 0 {
        return Err(Errno::ECANCELED);
    }
    identity::set_gid(0)?;
    identity::set_uid(0)
}

/// Writes the id maps of a process, in the order that user_namespaces(7) asks for.
fn map(pid: libc::pid_t, ids: Ids) -> sys::Result<()> {
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/{pid}/{file}"), text)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    if !ids.setgroups {
        write("setgroups", "deny".into())?;
    }
    write("gid_map", format!("0 {} 1", ids.gid))?;
    write("uid_map", format!("0 {} 1", ids.uid))
}

fn wait_for(pid: libc::pid_t) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// The result as it goes through the pipe: a kind and a number.
fn pack(result: Result<u32, Refused>) -> [u8; 8] {
    let (kind, number) = match result {
        Ok(number) => (0, number as i32),
        Err(Refused::Fork(errno)) => (1, errno as i32),
        Err(Refused::Clone(errno)) => (2, errno as i32),
        Err(Refused::Map(errno)) => (3, errno as i32),
        Err(Refused::Inside(errno)) => (4, errno as i32),
        Err(Refused::Killed(signal)) => (5, signal),
    };
    let (kind, number): ([u8; 4], [u8; 4]) = (i32::to_ne_bytes(kind), number.to_ne_bytes());
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&kind);
    bytes[4..].copy_from_slice(&number);
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Result<u32, Refused>> {
    let (kind, number) = bytes.split_first_chunk::<4>()?;
    let number = i32::from_ne_bytes(number.try_into().ok()?);
    let errno = Errno::from_raw(number);
    Some(match i32::from_ne_bytes(*kind) {
        0 => Ok(number as u32),
        1 => Err(Refused::Fork(errno)),
        2 => Err(Refused::Clone(errno)),
        3 => Err(Refused::Map(errno)),
        4 => Err(Refused::Inside(errno)),
        _ => Err(Refused::Killed(number)),
    })
}
