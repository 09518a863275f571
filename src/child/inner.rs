//! The inner user namespace: the command has power over what belongs to it, and none over the
//! mounts, which belong to the outer one.
//!
//! Init stays in the outer namespace and has all capabilities over the inner one, as the owner of
//! a child of its own (user_namespaces(7)). So it can set up the network, the names and the file
//! systems of namespaces that belong to the inner one, and still build the root in the outer one.
//!
//! A process that makes a user namespace is in it at once, and never comes back. So a keeper is
//! cloned into it, which does nothing but keep it alive until init has written the maps, has
//! entered the namespaces that were made with it, and has a descriptor of it.

use super::Child;
use crate::sys::process::Side;
use crate::sys::{self, descriptor, identity, process};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// The longest path made here: `/proc/`, a number, NUL.
const LONGEST: usize = 32;

impl Child<'_> {
    /// Makes the namespaces of `flags`, a user namespace among them, and enters all but that one.
    pub(super) fn make_inner_user(
        &mut self,
        flags: u64,
        users: &str,
        groups: &str,
    ) -> sys::Result<()> {
        // After a change of ids, the keeper's files in /proc would belong to the host's root. Init
        // hides for good before anybody else is inside.
        process::show()?;
        let (theirs, ours) = process::pipe()?;
        match process::clone_into(flags, None)? {
            Side::Child => {
                // End of file: init has what it wants, or is gone.
                descriptor::close(ours);
                let _ = descriptor::read(theirs, &mut [0]);
                process::exit(0)
            }
            Side::Parent { pid, pidfd } => {
                descriptor::close(theirs);
                let others = flags & !(libc::CLONE_NEWUSER as u64);
                let taken = take(pidfd, others as libc::c_int, users, groups);
                descriptor::close(ours);
                descriptor::close(pidfd);
                while process::wait_for(pid) == Err(Errno::EINTR) {}
                self.inner = taken?;
                Ok(())
            }
        }
    }

    /// Enters the inner user namespace: from here on this process has no power over the mounts.
    pub(super) fn enter_inner_user(&self) -> sys::Result<()> {
        identity::enter_namespace(self.inner, libc::CLONE_NEWUSER)
    }
}

/// Writes the maps, enters the other namespaces, returns a descriptor of the user namespace.
fn take(keeper: RawFd, others: libc::c_int, users: &str, groups: &str) -> sys::Result<RawFd> {
    let mut path = [0; LONGEST];
    let path = path_of_only_child(&mut path)?;
    let directory = descriptor::open_path(libc::AT_FDCWD, path, descriptor::Resolve::Anywhere)?;
    // The maps of the outer namespace hold already: these are written with the rights of init over it.
    for (file, lines) in [(c"gid_map", groups), (c"uid_map", users)] {
        let map = descriptor::open_for_writing_at(directory, file)?;
        let written = descriptor::write_all(map, lines.as_bytes());
        descriptor::close(map);
        written?;
    }
    if others != 0 {
        identity::enter_namespace(keeper, others)?;
    }
    let inner = descriptor::open_for_reading_at(directory, c"ns/user");
    descriptor::close(directory);
    inner
}

/// `/proc/PID` of the only child, in the numbers of the host's `/proc`: there this process has
/// another number than in its own pid namespace.
fn path_of_only_child(buffer: &mut [u8; LONGEST]) -> sys::Result<&CStr> {
    let list = process::open_children()?;
    let mut number = [0; 16];
    let read = descriptor::read(list, &mut number);
    descriptor::close(list);
    let digits = number.get(..read?).unwrap_or_default();
    let digits = digits.split(|byte| *byte == b' ').next();
    let digits = digits.filter(|digits| !digits.is_empty());
    let digits = digits.ok_or(Errno::ESRCH)?;
    let bytes = b"/proc/".iter().chain(digits);
    for (to, from) in buffer.iter_mut().zip(bytes) {
        *to = *from;
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::ENAMETOOLONG)
}

/// Where the limit on user namespaces is written, in the user namespace of whoever opens it.
const LIMIT: &CStr = c"/proc/sys/user/max_user_namespaces";

/// Nobody makes a user namespace below this one any more, whatever filter there is: the limit of an
/// outer namespace holds for all inside (namespaces(7)). It is read back, since a file that takes a
/// value may be anything where `/proc` is not what it seems.
pub(super) fn forbid_user_namespaces() -> sys::Result<()> {
    let file = descriptor::open_for_both(LIMIT)?;
    let result = forbid_in(file);
    descriptor::close(file);
    result
}

fn forbid_in(file: RawFd) -> sys::Result<()> {
    if !descriptor::is_of_proc(file)? {
        return Err(Errno::EXDEV);
    }
    descriptor::write_all(file, b"0")?;
    let mut now = [0; 16];
    let length = descriptor::read_at(file, &mut now, 0)?;
    match now.get(..length) {
        Some(b"0\n") => Ok(()),
        _ => Err(Errno::EPROTO),
    }
}
