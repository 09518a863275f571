//! The folder of the records: only its owner may enter it, and whatever lies in it is looked at
//! before it is read.
//!
//! A file's name says most: `ID`, `ID~NAME`, and with `~ended` behind it what is kept of a run that
//! has ended.

use super::{is_id, is_name};
pub use crate::host::runtime::{NoFolder, path_of_caller};
use crate::host::runtime::{SHARED, shared};
use crate::host::tree::entries;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// More than any record has.
const LARGEST: u64 = 8 << 20;

/// How long somebody else who makes or removes records is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands behind the name of a run that has ended.
const ENDED: &str = "ended";

/// The folders that this caller may look into: its own, and where root asks, those of all users.
///
/// # Errors
/// As for [`path_of_caller`].
pub fn all_of_caller() -> Result<Vec<Folder>, NoFolder> {
    let mut paths = vec![path_of_caller()?];
    if rustix::process::geteuid().is_root() {
        let names = |folder: &str| {
            let found = entries(Path::new(folder)).unwrap_or_default();
            found.into_iter().map(|(name, _)| name)
        };
        let of_login = names("/run/user").map(|user| Path::new("/run/user").join(user));
        paths.extend(of_login.map(|folder| folder.join("sandbox")));
        let of_user = |name: OsString| {
            let uid = name.to_str()?.strip_prefix("sandbox-")?;
            uid.parse().ok().map(shared)
        };
        paths.extend(names(SHARED).filter_map(of_user));
    }
    Ok(paths.iter().filter_map(|path| Folder::open(path)).collect())
}

/// An open folder of records.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
    /// Whose it is.
    owner: u32,
}

/// A record in a folder, by the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whether the run has ended, and said how.
    pub ended: bool,
}

impl Entry {
    /// Reads the name of a file; `None` for what is no record.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let mut parts = file.split('~');
        let id = parts.next().filter(|id| is_id(id))?;
        let name = parts.next()?;
        if !name.is_empty() && !is_name(name) {
            return None;
        }
        let ended = match parts.next() {
            None => false,
            Some(ENDED) => true,
            Some(_) => return None,
        };
        parts.next().is_none().then(|| Self {
            id: id.into(),
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            ended,
        })
    }

    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        let ended = if self.ended { "~ended" } else { "" };
        format!("{}~{name}{ended}", self.id)
    }

    /// What it is called: its name, or its id.
    #[must_use]
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

impl Folder {
    /// Opens a folder that is there; `None` if there is none that its owner alone may enter.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?;
        let found = rustix::fs::fstat(&fd).ok()?;
        let me = rustix::process::geteuid().as_raw();
        let private = found.st_mode & 0o077 == 0 && (found.st_uid == me || me == 0);
        private.then(|| Self {
            path: path.into(),
            fd,
            owner: found.st_uid,
        })
    }

    /// Opens the caller's own folder, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or others may enter what is there.
    pub fn make(path: &Path) -> Result<Self, String> {
        let me = rustix::process::geteuid().as_raw();
        match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(why) => return Err(format!("cannot make {}: {why}", path.display())),
        }
        let folder = Self::open(path).filter(|folder| folder.owner == me);
        folder.ok_or_else(|| {
            format!(
                "{} is no folder that only its owner, uid {me}, may enter",
                path.display()
            )
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.owner
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The records in it, by name; what has another name is passed over.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let names = Dir::read_from(&self.fd).into_iter().flatten().flatten();
        let names = names.filter_map(|found| Entry::parse(found.file_name().to_str().ok()?));
        let mut entries: Vec<_> = names.collect();
        entries.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        entries
    }

    /// Opens a file of it for reading: `None` unless it is a regular file of the folder's owner, with
    /// no other name, and not larger than a record or a log can be. Nothing waits, follows a link
    /// or has an effect, whatever lies there.
    #[must_use]
    pub fn file(&self, name: impl AsRef<OsStr>) -> Option<File> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = name.as_ref();
        let found = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return None;
        }
        let file: File = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .ok()?
            .into();
        let found = file.metadata().ok()?;
        let fits = found.is_file() && found.uid() == self.owner && found.nlink() == 1;
        fits.then_some(file)
    }

    /// Waits for the turn to make or remove records: held until it is dropped.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, String> {
        let start = Instant::now();
        loop {
            match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Turn(self)),
                Err(Errno::WOULDBLOCK | Errno::INTR) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(why) => return Err(format!("cannot lock {}: {why}", self.path.display())),
            }
        }
    }

    /// Removes a file of it; that it is gone already is no error.
    ///
    /// # Errors
    /// It is still there.
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            result => result,
        }
    }
}

/// The turn to make or remove records.
pub(crate) struct Turn<'f>(&'f Folder);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0.fd, FlockOperation::Unlock);
    }
}

/// Reads a file of a record from its beginning.
pub(super) fn text_of(file: &File) -> Option<String> {
    use std::os::unix::fs::FileExt as _;
    let length = file.metadata().ok()?.len();
    if length > LARGEST {
        return None;
    }
    struct At<'f>(&'f File, u64);
    impl std::io::Read for At<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.read_at(buffer, self.1)?;
            self.1 += n as u64;
            Ok(n)
        }
    }
    // In one read, and one that finds the end.
    let mut text = String::with_capacity(usize::try_from(length).ok()? + 64);
    let read = At(file, 0).take(LARGEST).read_to_string(&mut text);
    read.ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_what_it_is() {
        let entry = |name: Option<&str>, ended| Entry {
            id: "0123456789ab".into(),
            name: name.map(str::to_owned),
            ended,
        };
        for (file, is) in [
            ("0123456789ab~", Some(entry(None, false))),
            ("0123456789ab~web", Some(entry(Some("web"), false))),
            ("0123456789ab~web~ended", Some(entry(Some("web"), true))),
            ("0123456789ab~~ended", Some(entry(None, true))),
            ("0123456789ab", None),
            ("0123456789AB~web", None),
            ("0123456789ab~../x", None),
            ("0123456789ab~web~ended~", None),
            ("0123456789ab~web~other", None),
            ("0123456789ab.out", None),
            ("", None),
        ] {
            assert_eq!(Entry::parse(file), is, "{file}");
            if let Some(entry) = is {
                assert_eq!(entry.file(), file);
            }
        }
    }
}
