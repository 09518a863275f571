//! Writing files for the caller, into folders that others may write to: a file appears whole or not
//! at all, and no symbolic link is followed on the way.

use super::Refused;
use crate::diag::{Code, Diagnostic, Origin};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A folder, opened once, so that nobody can put another one in its place between two steps.
pub(super) struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

/// What becomes of something that has the name already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced: a link itself, not what it points to.
    Replace,
}

impl Folder {
    /// Opens a folder that the caller has named; links on the way to it are the caller's.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|errno| unwritable(path, &errno.into()))?;
        Ok(Self {
            path: path.into(),
            fd,
        })
    }

    /// Whether something has this name, be it a link to nowhere.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The path of a name, for messages.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        match self.path == Path::new(".") {
            true => name.into(),
            false => self.path.join(name),
        }
    }

    /// Writes a file: under another name first, which then becomes the right one.
    pub(super) fn write(&self, name: &str, bytes: &[u8], present: Present) -> Result<(), Refused> {
        let written = self.try_write(name, bytes, present);
        written.map_err(|errno| match errno {
            Errno::EXIST => self.exists(name),
            errno => unwritable(&self.path_of(name), &errno.into()),
        })
    }

    fn try_write(&self, name: &str, bytes: &[u8], present: Present) -> Result<(), Errno> {
        let passing = format!(".{name}.{}", std::process::id());
        // What a killed run left under this name is in the way of nobody else.
        let _ = rustix::fs::unlinkat(&self.fd, &passing, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let fd = rustix::fs::openat(&self.fd, &passing, flags, mode)?;
        let mut file = std::fs::File::from(fd);
        let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(errno)
            .and_then(|()| self.rename(&passing, name, present));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.fd, &passing, AtFlags::empty());
        }
        written
    }

    fn rename(&self, from: &str, to: &str, present: Present) -> Result<(), Errno> {
        if present == Present::Replace {
            return rustix::fs::renameat(&self.fd, from, &self.fd, to);
        }
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // File systems without the flag, such as NFS: a second name is never made over a first.
            Err(Errno::INVAL) => {
                rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())
            }
            result => result,
        }
    }

    /// What has the name already is not overwritten.
    fn exists(&self, name: &str) -> Refused {
        let path = self.path_of(name);
        let message = format!(
            "{} is there already, and is not overwritten",
            path.display()
        );
        Diagnostic::new(Code::Exists, &Origin::CommandLine, message)
            .help("remove or rename it, or replace it with --force")
            .into()
    }
}

/// A file or folder that cannot be written.
pub(super) fn unwritable(path: &Path, cause: &io::Error) -> Refused {
    let message = format!("cannot write {}: {cause}", path.display());
    Diagnostic::new(Code::Unwritable, &Origin::CommandLine, message)
        .help("name a folder that exists and that you may write to")
        .into()
}
