//! Mount points in trees of the host: made where they are missing, taken away in the end.
//!
//! Problem: a profile mounts something at a path inside a writable grant, say a tmpfs on
//! `node_modules`, and nothing is there. A mount needs a mount point, and the tree is somebody's
//! repository. Three things can go wrong: it stays behind after kill -9; two runs share it, and
//! the first to end removes it under the other, whose mount would vanish with it (an unlinked
//! mount point is unmounted everywhere); a link planted in the tree leads elsewhere.
//!
//! 1. What is made here carries a mark that nobody else leaves on an empty directory or file: the
//!    sticky bit and no permissions but the owner's ([`DIRECTORY_MARK`]). So every run recognises it, whoever
//!    made it, and the next run with the profile takes it away after a kill -9.
//! 2. Every run that uses one holds a shared lock on it (flock(2)); it is removed only by who gets
//!    the exclusive lock, which is the last one.
//! 3. Every component is opened without following links, below the grant.

use crate::host::tree::{DIRECTORY_MARK, FILE_MARK};
use crate::sys::descriptor::{self, Resolve};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A mount point that is to go in the end.
#[derive(Debug)]
pub(super) struct MountPoint {
    parent: OwnedFd,
    name: CString,
    directory: bool,
    lock: Option<File>,
}

impl MountPoint {
    /// Makes the missing components of a path below a tree. What is there already, and was not
    /// made by a run, is left alone; what was made is added to the list, also where it fails.
    pub(super) fn make(
        tree: &CStr,
        path: &CStr,
        directory: bool,
        made: &mut Vec<Self>,
    ) -> nix::Result<()> {
        let mut parent = open(
            tree,
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let names: Vec<&[u8]> = path
            .to_bytes()
            .split(|b| *b == b'/')
            .filter(|n| !n.is_empty())
            .collect();
        for (index, name) in names.iter().enumerate() {
            let name = CString::new(*name).map_err(|_| Errno::EINVAL)?;
            let is_directory = directory || index + 1 < names.len();
            made.extend(Self::at(&parent, &name, is_directory)?);
            let next =
                descriptor::open_path(parent.as_raw_fd(), &name, Resolve::BeneathWithoutLinks)?;
            parent = descriptor::own(next);
        }
        Ok(())
    }

    /// One component: made, or recognised as made by another run, and locked; `None` if it is
    /// somebody else's.
    fn at(parent: &OwnedFd, name: &CStr, directory: bool) -> nix::Result<Option<Self>> {
        let mark = Mode::from_bits_truncate(if directory { DIRECTORY_MARK } else { FILE_MARK });
        for _ in 0..100 {
            let created = if directory {
                nix::sys::stat::mkdirat(parent, name, mark)
            } else {
                let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
                openat(parent, name, flags, mark).map(drop)
            };
            match created {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            match Self::locked(parent, name, directory, created.is_ok()) {
                Ok(Locked::Ours(parent, lock)) => {
                    return Ok(Some(Self {
                        parent,
                        name: name.into(),
                        directory,
                        lock: Some(lock),
                    }));
                }
                Ok(Locked::Foreign) => return Ok(None),
                // Another run took it away between two of the calls.
                Ok(Locked::Gone) | Err(Errno::ENOENT) => {}
                Err(errno) => {
                    if created.is_ok() {
                        let _ = unlinkat(parent, name, removal(directory));
                    }
                    return Err(errno);
                }
            }
        }
        Err(Errno::EBUSY)
    }

    /// Opens and locks what is there, if a run made it.
    fn locked(
        parent: &OwnedFd,
        name: &CStr,
        directory: bool,
        created: bool,
    ) -> nix::Result<Locked> {
        let kind = if directory {
            OFlag::O_DIRECTORY
        } else {
            OFlag::O_NONBLOCK
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | kind;
        let file = match openat(parent, name, flags, Mode::empty()) {
            // Not readable, so without the mark.
            Err(Errno::EACCES) if !created => return Ok(Locked::Foreign),
            result => result?,
        };
        if created {
            // Past the umask.
            let mark = if directory { DIRECTORY_MARK } else { FILE_MARK };
            nix::sys::stat::fchmod(&file, Mode::from_bits_truncate(mark))?;
        } else if !is_marked(&fstat(&file)?, directory) {
            return Ok(Locked::Foreign);
        }
        let lock = File::from(file);
        lock.lock_shared()
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
        // Still linked? Otherwise its last user removed it while we waited for the lock.
        if fstat(lock.as_fd())?.st_nlink == 0 || !is_same(parent, name, &lock)? {
            return Ok(Locked::Gone);
        }
        let parent = parent.try_clone().map_err(|_| Errno::EMFILE)?;
        Ok(Locked::Ours(parent, lock))
    }

    /// Takes it away if nobody else uses it; whether it did.
    pub(super) fn remove(mut self) -> bool {
        let Some(lock) = self.lock.take() else {
            return false;
        };
        // An upgrade of the shared lock: it fails while another run holds one.
        if lock.try_lock().is_ok()
            && is_same(&self.parent, &self.name, &lock).unwrap_or(false)
            && fstat(lock.as_fd()).is_ok_and(|stat| is_marked(&stat, self.directory))
        {
            // A directory that is not empty any more stays: what is in it is not ours, and so the
            // directory is not either.
            let gone = unlinkat(&self.parent, self.name.as_c_str(), removal(self.directory));
            if gone == Err(Errno::ENOTEMPTY) {
                let _ = nix::sys::stat::fchmod(lock.as_fd(), Mode::from_bits_truncate(0o755));
            }
            return gone.is_ok();
        }
        false
    }
}

/// How deep folders are looked for what was left behind: each level takes a descriptor.
const DEEPEST: usize = 200;

/// Takes away the mount points that killed runs of this user have left in a folder, on its own file system
/// and without following links: what is marked, empty, and used by nobody. Says which.
///
/// # Errors
/// When the folder itself cannot be opened.
pub fn sweep(folder: &Path) -> nix::Result<Vec<PathBuf>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = Dir::open(folder, flags, Mode::empty())?;
    let device = fstat(dir.as_fd())?.st_dev;
    let mut found = Vec::new();
    sweep_in(dir, folder, device, DEEPEST, false, &mut found);
    Ok(found)
}

/// `within`: in a folder that a run of this user's has made, in which nobody else makes anything.
fn sweep_in(
    mut dir: Dir,
    path: &Path,
    device: libc::dev_t,
    deep: usize,
    within: bool,
    found: &mut Vec<PathBuf>,
) {
    let Ok(parent) = dir.as_fd().try_clone_to_owned() else {
        return;
    };
    let names = dir
        .iter()
        .flatten()
        .map(|entry| entry.file_name().to_owned());
    let names: Vec<CString> = names
        .filter(|n| !matches!(n.to_bytes(), b"." | b".."))
        .collect();
    let me = nix::unistd::geteuid().as_raw();
    for name in names {
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        let Ok(stat) = nix::sys::stat::fstatat(&parent, name.as_c_str(), flags) else {
            continue;
        };
        let kind = stat.st_mode & libc::S_IFMT;
        let directory = kind == libc::S_IFDIR;
        if stat.st_dev != device || !(directory || kind == libc::S_IFREG) {
            continue;
        }
        let path = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // Those within first: a mount point may lie in folders that were made on the way to it.
        if directory
            && deep > 0
            && let Ok(dir) = Dir::openat(&parent, name.as_c_str(), flags, Mode::empty())
        {
            let ours = is_marked(&stat, directory) && stat.st_uid == me;
            sweep_in(dir, &path, device, deep - 1, ours, found);
        }
        if is_marked(&stat, directory)
            && (stat.st_uid == me || within)
            && let Ok(Locked::Ours(parent, lock)) =
                MountPoint::locked(&parent, &name, directory, false)
        {
            let point = MountPoint {
                parent,
                name,
                directory,
                lock: Some(lock),
            };
            found.extend(point.remove().then_some(path));
        }
    }
}

/// What locking a mount point found.
enum Locked {
    /// One that a run made; the lock is held.
    Ours(OwnedFd, File),
    /// Somebody else's.
    Foreign,
    /// Nothing any more.
    Gone,
}

const fn removal(directory: bool) -> UnlinkatFlags {
    if directory {
        UnlinkatFlags::RemoveDir
    } else {
        UnlinkatFlags::NoRemoveDir
    }
}

fn is_marked(stat: &FileStat, directory: bool) -> bool {
    let mark = if directory { DIRECTORY_MARK } else { FILE_MARK };
    stat.st_mode & 0o7777 == mark && (directory || stat.st_size == 0)
}

fn is_same(parent: &OwnedFd, name: &CStr, file: &File) -> nix::Result<bool> {
    let now = nix::sys::stat::fstatat(parent, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW);
    let ours = fstat(file.as_fd())?;
    Ok(now.is_ok_and(|now| now.st_ino == ours.st_ino && now.st_dev == ours.st_dev))
}
