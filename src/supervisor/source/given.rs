//! A folder of the host that is made for somebody else.
//!
//! Problem: between mkdir(2) and chown(2), who may write to the folder above could put another one in its place, which
//! would then be given away. So it is made in a folder of the caller's own, in which nobody else can change anything,
//! gets its owner there by its descriptor, and is moved to its place as a whole, where nothing may be (renameat2(2),
//! `RENAME_NOREPLACE`).
//!
//! Both folders carry the mark of mount points until they are done: what a kill -9 leaves is taken away by the next
//! run that makes one there, and by `sandbox gc`. Both are locked meanwhile, so that nobody does so too early.

use crate::host::tree::DIRECTORY_MARK;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

/// The folder in which it is made.
const OWN: &CStr = c".sandbox.made";
/// Its name there.
const NEW: &CStr = c"new";

/// Makes it, unless something is there by then; whether it did.
pub(super) fn make(
    parent: &OwnedFd,
    name: &CStr,
    owner: (u32, u32),
    mode: Mode,
) -> nix::Result<bool> {
    for _ in 0..100 {
        let Some(own) = take(parent)? else { continue };
        let made = place(&own, parent, name, owner, mode);
        let _ = unlinkat(&own, NEW, UnlinkatFlags::RemoveDir);
        let _ = unlinkat(parent, OWN, UnlinkatFlags::RemoveDir);
        match made {
            // Swept before it was locked.
            Err(Errno::ENOENT) => {}
            made => return made,
        }
    }
    Err(Errno::EBUSY)
}

/// Takes away what a killed run has left beside a folder.
pub(super) fn clear(parent: &OwnedFd) {
    if let Ok(Some(own)) = lock(parent) {
        let _ = unlinkat(&own, NEW, UnlinkatFlags::RemoveDir);
        let _ = unlinkat(parent, OWN, UnlinkatFlags::RemoveDir);
    }
}

/// The folder of one's own, made if it is not there, and locked; `None` if it went meanwhile.
fn take(parent: &OwnedFd) -> nix::Result<Option<File>> {
    match mkdirat(parent, OWN, mark()) {
        Ok(()) | Err(Errno::EEXIST) => lock(parent),
        Err(errno) => Err(errno),
    }
}

fn lock(parent: &OwnedFd) -> nix::Result<Option<File>> {
    let own = match openat(parent, OWN, flags(), Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        own => File::from(own?),
    };
    let found = fstat(own.as_fd())?;
    let permissions = found.st_mode & 0o7777;
    // Somebody else's would not keep them out.
    if found.st_uid != nix::unistd::geteuid().as_raw() || permissions & 0o022 != 0 {
        return Err(Errno::EPERM);
    }
    // Past the umask; nothing but what it leaves of the mark is changed.
    if permissions != DIRECTORY_MARK && permissions & !DIRECTORY_MARK == 0 {
        fchmod(own.as_fd(), mark())?;
    }
    locked(&own)?;
    let there = nix::sys::stat::fstatat(parent, OWN, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW);
    let same =
        there.is_ok_and(|there| (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino));
    Ok(same.then_some(own))
}

fn place(
    own: &File,
    parent: &OwnedFd,
    name: &CStr,
    (uid, gid): (u32, u32),
    mode: Mode,
) -> nix::Result<bool> {
    // What a killed run has left.
    match unlinkat(own, NEW, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    mkdirat(own, NEW, mark())?;
    let new = File::from(openat(own, NEW, flags(), Mode::empty())?);
    locked(&new)?;
    fchmod(new.as_fd(), mark())?;
    fchown(
        new.as_fd(),
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
    )?;
    match renameat2(own, NEW, parent, name, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => {}
        Err(Errno::EEXIST) => return Ok(false),
        Err(errno) => return Err(errno),
    }
    fchmod(new.as_fd(), mode)?;
    Ok(true)
}

fn locked(file: &File) -> nix::Result<()> {
    file.lock()
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

const fn flags() -> OFlag {
    OFlag::O_RDONLY
        .union(OFlag::O_DIRECTORY)
        .union(OFlag::O_NOFOLLOW)
        .union(OFlag::O_CLOEXEC)
}

const fn mark() -> Mode {
    Mode::from_bits_truncate(DIRECTORY_MARK)
}
