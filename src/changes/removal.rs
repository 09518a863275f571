//! Removing what a command has left: by descriptors, without following links, whatever its modes.

use super::entry::names;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Opens a directory for listing.
///
/// # Errors
/// As openat(2); ENOTDIR for a link.
pub fn open_folder(parent: &OwnedFd, name: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Sets the mode of a file or a directory, never of what a link leads to.
///
/// # Errors
/// As fchmodat(2); ELOOP for a link.
pub fn set_mode(parent: &OwnedFd, name: &CStr, mode: u32) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(parent, name, flags, Mode::empty())?;
    if fstat(&file)?.st_mode & libc::S_IFMT == libc::S_IFLNK {
        return Err(Errno::ELOOP);
    }
    // A descriptor of this kind takes no fchmod(2), and its name in /proc leads to it alone.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mode = Mode::from_bits_truncate(mode);
    fchmodat(AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink)
}

/// How many directories are open at a time. What lies deeper is moved up first.
const DEEPEST: usize = 128;

/// Removes a file, or a directory with all that is in it.
///
/// # Errors
/// The first call that fails.
pub fn remove(parent: &OwnedFd, name: &CStr) -> nix::Result<()> {
    // Depth is what a command made it: no recursion.
    let mut above: Vec<(OwnedFd, CString, Vec<CString>)> = Vec::new();
    if let Some((folder, rest)) = unlink(parent, name)? {
        above.push((folder, name.into(), rest));
    }
    while let Some((folder, own, mut rest)) = above.pop() {
        if let Some(next) = rest.pop() {
            if above.len() >= DEEPEST
                && let Some((top, _, others)) = above.first_mut()
                && let Some(moved) = move_up(&folder, &next, top)?
            {
                others.push(moved);
                above.push((folder, own, rest));
                continue;
            }
            let inner = unlink(&folder, &next)?;
            above.push((folder, own, rest));
            above.extend(inner.map(|(inner, names)| (inner, next, names)));
            continue;
        }
        let holder = above.last().map_or(parent, |(holder, ..)| holder);
        match unlinkat(holder, own.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Moves a directory up into another one, under a name that nothing has there; `None` of what is none.
fn move_up(folder: &OwnedFd, name: &CStr, top: &OwnedFd) -> nix::Result<Option<CString>> {
    let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Ok(None);
    }
    // A directory that is moved elsewhere is written to: its parent is noted in it.
    set_mode(folder, name, stat.st_mode & 0o777 | 0o700)?;
    for number in 0.. {
        let free = CString::new(format!(".deep-{}-{number}", stat.st_ino));
        let free = free.map_err(|_| Errno::EINVAL)?;
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(folder, name, top, free.as_c_str(), flags) {
            Ok(()) => return Ok(Some(free)),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

/// Unlinks a file or an empty directory; of another one, what is in it.
fn unlink(parent: &OwnedFd, name: &CStr) -> nix::Result<Option<(OwnedFd, Vec<CString>)>> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::EISDIR) => {}
        Err(errno) => return Err(errno),
    }
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ENOTEMPTY) => {}
        Err(errno) => return Err(errno),
    }
    let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if stat.st_mode & 0o700 != 0o700 {
        set_mode(parent, name, stat.st_mode & 0o777 | 0o700)?;
    }
    let folder = open_folder(parent, name)?;
    let inside = names(&folder)?;
    Ok(Some((folder, inside)))
}
