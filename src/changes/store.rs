//! Where changes are kept: a folder for each name, with a lock, what they are about, and the two directories
//! of the overlay.
//!
//! 1. Whoever uses a name holds the lock (flock(2)): the run with all of its processes, so that a
//!    supervisor that was killed hands nothing over while its sandbox is still ending.
//! 2. `about` is written last and replaced whole. Without it, nothing was changed yet.
//! 3. A name that is thrown away is renamed first: what is half removed is never taken for changes. Its lock is
//!    removed last, and never made by whoever sweeps: they leave it to who has begun.
//! 4. The overlay is `volatile`: it asks for nothing to be written to the disk, neither when it is unmounted
//!    nor when the command does. The run does that once, in the end, for what is kept. Until then a link
//!    `unsynced` holds the id of the boot: in another boot what is there may be half of it, and is refused.

use super::entry::{Folder, Kind, names as names_in};
use super::removal;
use crate::host::tree::entries;
use crate::plan::op::Kept;
use crate::profile::variables::Variables;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The form of `about`.
const VERSION: u32 = 1;

/// How a name begins that is being removed. No name of changes begins so.
const GOING: &str = ".going-";
/// How a name begins whose changes go with the run.
const THROWN: &str = ".thrown-";

/// What whoever uses a name holds.
const LOCK: &CStr = c"lock";

/// The link that is there as long as changes may be in memory only.
const UNSYNCED: &str = "unsynced";

/// The longest name.
const LONGEST: usize = 64;

/// What changes are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    version: u32,
    /// The tree that they are changes to.
    pub source: PathBuf,
    /// The same without symbolic links, as it was.
    pub real: PathBuf,
    /// When nothing was changed yet: seconds and nanoseconds, by the clock of file systems.
    pub since: (i64, i64),
    /// What the sandbox itself has made in it, relative to the tree.
    #[serde(default)]
    pub mount_points: Vec<String>,
    /// The digest of what the tree was unpacked from, where it is one of the cache: that is shared, and
    /// nothing is taken over into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<String>,
}

impl About {
    /// Opens the tree. A symbolic link that was put on the way to it since leads nowhere: a command that was
    /// granted a folder above could have done that.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn open(&self) -> nix::Result<OwnedFd> {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(CWD, &self.real, flags, Mode::empty(), resolve)
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
    }
}

/// Why changes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lock is held.
    #[error("the changes `{0}` are in use: a run with them goes on, or somebody looks at them")]
    InUse(String),
    /// They are changes to something else.
    #[error("the changes `{name}` are changes to {other}, not to {wanted}")]
    OfAnother {
        /// Which.
        name: String,
        /// What they are about.
        other: String,
        /// What was asked for.
        wanted: String,
    },
    /// Nothing is kept under that name.
    #[error("no changes are kept under the name `{0}`")]
    Unknown(String),
    /// What is there was not written by this program.
    #[error("{0} is not what this program writes: {1}")]
    Damaged(PathBuf, String),
    /// The machine went down before they were on the disk.
    #[error(
        "the changes `{0}` may be incomplete: the machine was started anew before the run had written them to the disk"
    )]
    Unsynced(String),
    /// A place in which the kernel puts no changes of an overlay.
    #[error(
        "{0} is on an overlay itself, as the root of most containers, and the kernel puts no changes of an overlay there"
    )]
    OnOverlay(PathBuf),
    /// A system call.
    #[error("{0}: {1}")]
    Call(PathBuf, Errno),
}

/// Whether something can be a name of changes: letters, digits, `.`, `_`, `-`, the first one a letter or digit.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    first && rest && name.len() <= LONGEST
}

/// The name that changes to a folder have unless they are given one: its own, as far as it is one.
#[must_use]
pub fn name_of(source: &Path) -> String {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    let name: String = name.chars().take(LONGEST).collect();
    if name.is_empty() { "root".into() } else { name }
}

/// The name of changes that go with a run.
#[must_use]
pub fn thrown(number: usize) -> String {
    format!("{THROWN}{}-{number}", std::process::id())
}

fn is_thrown(name: &str) -> bool {
    name.starts_with(THROWN) || name.starts_with(GOING)
}

/// The folder in which changes are kept; `None` for a caller without a home.
#[must_use]
pub fn folder(variables: &Variables) -> Option<PathBuf> {
    if variables.uid == 0 {
        return Some("/var/lib/sandbox/changes".into());
    }
    let state = variables.environment.get("XDG_STATE_HOME");
    let state = state.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(variables.home.as_ref()?.join(".local/state"));
    Some(state.or_else(home)?.join("sandbox/changes"))
}

/// Changes whose lock is held.
#[derive(Debug)]
pub struct Held {
    name: String,
    path: PathBuf,
    store: OwnedFd,
    folder: OwnedFd,
    lock: File,
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Held {
    /// Takes the lock of a name that is there.
    ///
    /// # Errors
    /// When nothing is kept under it, when it is in use, when it cannot be opened.
    pub fn take(store: &Path, name: &str) -> Result<Self, StoreError> {
        Self::open(store, name, !is_thrown(name))
    }

    /// Takes the lock, which may be made where it is missing. Of what is thrown away none is made but by the run
    /// itself: it would be one besides that of who removes it.
    fn open(store: &Path, name: &str, make_lock: bool) -> Result<Self, StoreError> {
        if !is_name(name) && !is_thrown(name) {
            return Err(StoreError::Unknown(name.into()));
        }
        let path = store.join(name);
        let call = |errno| match errno {
            Errno::ENOENT => StoreError::Unknown(name.into()),
            other => StoreError::Call(path.clone(), other),
        };
        let store = open(
            store,
            DIRECTORY.difference(OFlag::O_NOFOLLOW),
            Mode::empty(),
        )
        .map_err(call)?;
        let folder = openat(&store, name, DIRECTORY, Mode::empty()).map_err(call)?;
        let found = fstat(&folder).map_err(call)?;
        if found.st_uid != nix::unistd::geteuid().as_raw() || found.st_mode & 0o022 != 0 {
            let why = "it belongs to somebody else, or others may write to it".into();
            return Err(StoreError::Damaged(path, why));
        }
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open_lock = |more| openat(&folder, LOCK, flags | more, Mode::from_bits_truncate(0o600));
        let mut lock = open_lock(match make_lock {
            true => OFlag::O_CREAT,
            false => OFlag::empty(),
        });
        if !make_lock && matches!(lock, Err(Errno::ENOENT)) {
            lock = match unlinkat(&store, name, UnlinkatFlags::RemoveDir) {
                // Begun and not held yet, or all but gone.
                Ok(()) => Err(Errno::ENOENT),
                // Nobody removes the lock before all else, unless that failed unnoticed.
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => open_lock(OFlag::O_CREAT),
                Err(errno) => Err(errno),
            };
        }
        let lock = File::from(lock.map_err(call)?);
        if lock.try_lock().is_err() {
            return Err(StoreError::InUse(name.into()));
        }
        // Somebody may have thrown it away before the lock was had.
        let now = fstatat(&store, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(call)?;
        if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino) {
            return Err(StoreError::InUse(name.into()));
        }
        Ok(Self {
            name: name.into(),
            path,
            store,
            folder,
            lock,
        })
    }

    /// What they are changes to. `None` where a run ended before it had made anything.
    ///
    /// # Errors
    /// When it cannot be read; when they may be half of what they were.
    pub fn about(&self) -> Result<Option<About>, StoreError> {
        let path = self.path.join("about");
        match nix::fcntl::readlinkat(&self.folder, UNSYNCED) {
            Ok(boot) if boot != boot_id()?.as_str() => {
                return Err(StoreError::Unsynced(self.name.clone()));
            }
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(StoreError::Call(self.path.join(UNSYNCED), errno)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut text = String::new();
        match openat(&self.folder, "about", flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(StoreError::Call(path, errno)),
            Ok(file) => File::from(file)
                .read_to_string(&mut text)
                .map_err(|error| StoreError::Damaged(path.clone(), error.to_string()))?,
        };
        let about: About = serde_json::from_str(&text)
            .map_err(|error| StoreError::Damaged(path.clone(), error.to_string()))?;
        if about.version != VERSION {
            let why = format!("its version is {}, and {VERSION} is known", about.version);
            return Err(StoreError::Damaged(path, why));
        }
        Ok(Some(about))
    }

    /// Takes the tree for what it is now: what is changed in it from here on is another's change.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn renew(&self, mut about: About) -> Result<(), StoreError> {
        let call = |errno| StoreError::Call(self.path.join("about"), errno);
        about.since = self.now().map_err(call)?;
        self.note(&about)
    }

    fn note(&self, about: &About) -> Result<(), StoreError> {
        let path = self.path.join("about");
        let text = serde_json::to_string(about)
            .map_err(|error| StoreError::Damaged(path.clone(), error.to_string()))?;
        self.write("about", text.as_bytes())
            .map_err(|errno| StoreError::Call(path, errno))
    }

    /// Whether these go with the run.
    #[must_use]
    pub fn is_thrown(&self) -> bool {
        is_thrown(&self.name)
    }

    /// Whether nothing was changed; what the sandbox itself has made is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Ok(about) = self.about() else {
            return false;
        };
        let own: BTreeSet<PathBuf> = about
            .into_iter()
            .flat_map(|about| about.mount_points)
            .map(PathBuf::from)
            .collect();
        let upper = self.upper().map(Folder::ours);
        upper.is_ok_and(|upper| holds_only(&upper, Path::new(""), &own).unwrap_or(false))
    }

    /// Writes what is kept to the disk.
    ///
    /// # Errors
    /// When it cannot be written; then it may be lost with the machine's memory, and that stays noted.
    pub fn settle(&self) -> Result<(), Errno> {
        let upper = self.upper().map_err(|_| Errno::EIO)?;
        rustix::fs::syncfs(&upper).map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        unlinkat(&self.folder, UNSYNCED, UnlinkatFlags::NoRemoveDir)
    }

    /// A copy of the lock: it is held as long as one of them is open.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn lock(&self) -> Result<OwnedFd, Errno> {
        let lock = self.lock.try_clone().map_err(|_| Errno::EMFILE)?;
        Ok(lock.into())
    }

    /// The directory of what was changed.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn upper(&self) -> Result<OwnedFd, StoreError> {
        let call = |errno| StoreError::Call(self.path.join("layers/upper"), errno);
        let layers = openat(&self.folder, "layers", DIRECTORY, Mode::empty()).map_err(call)?;
        // The command may have closed it.
        let upper = Folder::ours(layers).folder(c"upper").map_err(call)?;
        upper.fd().try_clone().map_err(|_| call(Errno::EMFILE))
    }

    /// Throws them away.
    ///
    /// # Errors
    /// When something cannot be removed; what is left has no name any more.
    pub fn discard(self) -> Result<(), StoreError> {
        let call = |errno| StoreError::Call(self.path.clone(), errno);
        let mut name = self.name.clone();
        if !name.starts_with(GOING) {
            /// Each has a name of its own, also where one is begun anew while it goes.
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let going = format!("{GOING}{}-{number}-{name}", std::process::id());
            nix::fcntl::renameat(&self.store, name.as_str(), &self.store, going.as_str())
                .map_err(call)?;
            name = going;
        }
        self.remove_as(&name).map_err(call)
    }

    /// Removes the folder under the name that it has by now; the lock last, for as long as that is there nobody
    /// else begins to.
    fn remove_as(&self, name: &str) -> nix::Result<()> {
        let gone = |removed| match removed {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        };
        /// Whoever swept made a lock while this one was removed, at most; then it is empty again.
        const TRIES: usize = 8;
        let mut removed = Ok(());
        for _ in 0..TRIES {
            for entry in names_in(&self.folder)? {
                if entry.as_c_str() != LOCK {
                    removal::remove(&self.folder, &entry)?;
                }
            }
            // Without its lock, an empty folder is removed by whoever sees it first.
            gone(unlinkat(&self.folder, LOCK, UnlinkatFlags::NoRemoveDir))?;
            removed = gone(unlinkat(&self.store, name, UnlinkatFlags::RemoveDir));
            if !matches!(removed, Err(Errno::ENOTEMPTY | Errno::EEXIST)) {
                break;
            }
        }
        removed
    }

    /// Makes what an overlay needs, where it is missing.
    fn fill(&self, kept: &Kept, before: Option<About>) -> Result<(), StoreError> {
        let Kept {
            store,
            name,
            source,
            unpacked,
            owner,
            mount_points,
        } = kept;
        let call = |errno| StoreError::Call(self.path.clone(), errno);
        let place = nix::sys::statfs::fstatfs(&self.folder).map_err(call)?;
        if place.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
            return Err(StoreError::OnOverlay(store.clone()));
        }
        if let Some(about) = before.as_ref().filter(|about| about.source != *source) {
            return Err(StoreError::OfAnother {
                name: name.clone(),
                other: about.source.display().to_string(),
                wanted: source.display().to_string(),
            });
        }
        let lost = |error: &std::io::Error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            StoreError::Call(source.clone(), errno)
        };
        let look = std::fs::metadata(source).map_err(|error| lost(&error))?;
        self.directory(&self.folder, "layers", 0o700)
            .map_err(call)?;
        let layers = openat(&self.folder, "layers", DIRECTORY, Mode::empty()).map_err(call)?;
        if before.is_some() {
            // Of a run before: the kernel takes no directory a second time that was one of a volatile overlay.
            match removal::remove(&layers, c"work") {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(call(errno)),
            }
        }
        if !self.is_thrown() {
            let boot = boot_id()?;
            match nix::unistd::symlinkat(boot.as_str(), &self.folder, UNSYNCED) {
                // Of a run that was killed; what it has left is as the kernel has it.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(call(errno)),
            }
        }
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let mine = Uid::effective() == uid && nix::unistd::getegid() == gid;
        let give = |directory: &OwnedFd| match mine {
            true => Ok(()),
            false => fchown(directory, Some(uid), Some(gid)),
        };
        give(&layers).map_err(call)?;
        for (name, mode) in [("work", 0o700), ("upper", look.mode() & 0o1777)] {
            if let Some(made) = self.directory(&layers, name, mode).map_err(call)? {
                give(&made).map_err(call)?;
            }
        }
        let goes_on = before.as_ref().filter(|_| !self.is_empty());
        let mut about = match goes_on {
            Some(about) => about.clone(),
            None => About {
                version: VERSION,
                source: source.clone(),
                real: std::fs::canonicalize(source).map_err(|error| lost(&error))?,
                since: self.now().map_err(call)?,
                mount_points: Vec::new(),
                unpacked: unpacked.clone(),
            },
        };
        about.mount_points.extend(mount_points.iter().cloned());
        about.mount_points.sort();
        about.mount_points.dedup();
        match before.as_ref() == Some(&about) {
            true => Ok(()),
            false => self.note(&about),
        }
    }

    /// Writes a file of the folder, whole or not at all.
    fn write(&self, name: &str, contents: &[u8]) -> Result<(), Errno> {
        let aside = format!("{name}.new");
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
        let mode = Mode::from_bits_truncate(0o600);
        let file = openat(&self.folder, aside.as_str(), flags | OFlag::O_CLOEXEC, mode)?;
        let errno =
            |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        let mut file = File::from(file);
        let written = file
            .write_all(contents)
            .map_err(errno)
            .and_then(|()| nix::fcntl::renameat(&self.folder, aside.as_str(), &self.folder, name));
        written.inspect_err(|_| {
            let _ = unlinkat(&self.folder, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        })
    }

    /// The clock of the file system, as it stamps a change.
    fn now(&self) -> Result<(i64, i64), Errno> {
        fchmod(&self.lock, Mode::from_bits_truncate(0o600))?;
        let stat = fstat(self.lock.as_fd())?;
        Ok((stat.st_ctime, stat.st_ctime_nsec))
    }

    fn directory(&self, of: &OwnedFd, name: &str, mode: u32) -> Result<Option<OwnedFd>, Errno> {
        match mkdirat(of, name, Mode::S_IRWXU) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        let made = openat(of, name, DIRECTORY, Mode::empty())?;
        fchmod(&made, Mode::from_bits_truncate(mode))?;
        Ok(Some(made))
    }
}

/// Takes the changes of a run, and makes what an overlay needs where it is missing. Those that killed runs
/// should have thrown away are.
///
/// # Errors
/// When they are in use or about something else, or something cannot be made.
pub fn prepare(kept: &Kept) -> Result<Held, StoreError> {
    let Kept { store, name, .. } = kept;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(store)
        .map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            StoreError::Call(store.clone(), errno)
        })?;
    if is_thrown(name) {
        sweep(store);
    }
    let held = begun(store, name)?;
    let before = held.about()?;
    let is_new = before.is_none();
    match held.fill(kept, before) {
        Ok(()) => Ok(held),
        Err(error) => {
            // Half of what an overlay needs is of no use, and nothing was changed yet.
            if is_new {
                let _ = held.discard();
            }
            Err(error)
        }
    }
}

/// Takes a name, which is made if nothing is kept under it.
fn begun(store: &Path, name: &str) -> Result<Held, StoreError> {
    /// How often, a millisecond apart: for as long as whoever sweeps may take to rename one.
    const TRIES: u32 = 5000;
    let path = store.join(name);
    for _ in 0..TRIES {
        match nix::unistd::mkdir(&path, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(StoreError::Call(path, errno)),
        }
        match Held::open(store, name, true) {
            // Who sweeps took it for one that was left: its lock was not held yet.
            Err(StoreError::InUse(_) | StoreError::Unknown(_)) if is_thrown(name) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error @ StoreError::Call(..)) => {
                // There is no room for the lock, perhaps; what has something in it stays.
                let _ = std::fs::remove_dir(&path);
                return Err(error);
            }
            taken => return taken,
        }
    }
    Err(StoreError::InUse(name.into()))
}

/// Whether there is nothing in a folder but what the sandbox has made.
fn holds_only(folder: &Folder, path: &Path, own: &BTreeSet<PathBuf>) -> nix::Result<bool> {
    for name in folder.names()? {
        let path = path.join(OsStr::from_bytes(name.to_bytes()));
        let Some(look) = folder.look(&name)?.filter(|_| own.contains(&path)) else {
            return Ok(false);
        };
        let only = match look.kind {
            Kind::File => look.size == 0,
            Kind::Directory => !look.opaque && holds_only(&folder.folder(&name)?, &path, own)?,
            _ => false,
        };
        if !only {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a run that has ended has left changes.
#[must_use]
pub fn has_changes(kept: &Kept) -> bool {
    !is_thrown(&kept.name) && kept.layers().exists()
}

/// Whether what a run has left is not known to be on the disk.
#[must_use]
pub fn is_unsynced(kept: &Kept) -> bool {
    kept.store.join(&kept.name).join(UNSYNCED).is_symlink()
}

/// The id of this boot of the machine (random(4)).
fn boot_id() -> Result<String, StoreError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = std::fs::read_to_string(path).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        StoreError::Call(path.into(), errno)
    })?;
    Ok(text.trim().into())
}

/// Bytes that are no room: some are free again once the file system has put everything in its place.
const NO_ROOM: u64 = 64 << 10;

/// Whether there is no room any more where the changes of a run are: what the command could not write there is
/// not among them.
#[must_use]
pub fn is_full(kept: &Kept) -> bool {
    let found = nix::sys::statvfs::statvfs(&kept.store);
    found.is_ok_and(|found| {
        let room = found
            .blocks_available()
            .saturating_mul(found.fragment_size());
        room < NO_ROOM || found.files() > 0 && found.files_available() == 0
    })
}

/// The names under which something is kept.
///
/// # Errors
/// When the folder cannot be listed.
pub fn names(store: &Path) -> std::io::Result<Vec<String>> {
    let found = match entries(store) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let names = found
        .into_iter()
        .filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<_> = names.filter(|name| is_name(name)).collect();
    names.sort();
    Ok(names)
}

/// Removes what killed runs should have thrown away; says what.
pub fn sweep(store: &Path) -> Vec<PathBuf> {
    let found = entries(store).unwrap_or_default().into_iter();
    let names = found.filter_map(|(name, _)| name.into_string().ok());
    let dead = names.filter(|name| is_thrown(name));
    dead.filter(|name| Held::take(store, name).is_ok_and(|held| held.discard().is_ok()))
        .map(|name| store.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_is_being_thrown_away_is_left_to_who_does() {
        let store = std::env::temp_dir().join(format!("sandbox-store-{}", std::process::id()));
        for _ in 0..40 {
            for number in 0..20 {
                std::fs::create_dir_all(store.join(format!("a/layers/{number}"))).unwrap();
            }
            let held = Held::take(&store, "a").unwrap();
            let over = AtomicBool::new(false);
            let discarded = std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        sweep(&store);
                    }
                });
                let discarded = held.discard();
                over.store(true, Ordering::Relaxed);
                discarded
            });
            assert!(discarded.is_ok(), "{discarded:?}");
            assert_eq!(entries(&store).unwrap().len(), 0);
        }
        std::fs::remove_dir(&store).unwrap();
    }

    #[test]
    fn what_is_begun_beside_somebody_who_sweeps_is_had() {
        let store = std::env::temp_dir().join(format!("sandbox-begun-{}", std::process::id()));
        std::fs::create_dir(&store).unwrap();
        let over = AtomicBool::new(false);
        let refused: Vec<_> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    sweep(&store);
                }
            });
            let begin = |number| {
                let held = begun(&store, &format!("{THROWN}{}-{number}", std::process::id()))?;
                held.discard()
            };
            let refused = (0..2000).filter_map(|number| begin(number).err()).collect();
            over.store(true, Ordering::Relaxed);
            refused
        });
        assert!(refused.is_empty(), "{refused:?}");
        // What is left without a lock, with or without anything in it.
        for left in [".going-1-a/layers", ".thrown-1-0"] {
            std::fs::create_dir_all(store.join(left)).unwrap();
        }
        sweep(&store);
        std::fs::remove_dir(&store).unwrap();
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["a", "zlib-1.3", "A_b.c", "0"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", ".thrown-1", "-x", "a/b", "a b", "a\n", "ä"] {
            assert!(!is_name(name), "{name}");
        }
        for (path, name) in [
            ("/home/ada/zlib", "zlib"),
            ("/home/ada/.config", "config"),
            ("/srv/a b\nc", "a-b-c"),
            ("/", "root"),
            ("/...", "root"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
            assert!(is_name(&name_of(Path::new(path))));
        }
    }
}
