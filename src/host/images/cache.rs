//! Where unpacked roots are kept: `images/` holds a folder for each, named by the digest of what it was
//! unpacked from, `unpacking/` those that are being made, `archives/` the digests of archives that were
//! read before, and of the images of indexes.
//!
//! Nothing here writes. A folder in `images/` is whole, since it was moved there when it was; who uses
//! one holds a shared lock on it (flock(2)).

use super::Owners;
use super::digest::Digest;
use super::layout::{Config, open_regular, said};
use rustix::fs::{AtFlags, CWD, FileType, Stat, statat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The name of the folder, in whichever folder of caches.
const NAME: &str = "sandbox";

/// The cache of root, where nothing else is said.
const OF_ROOT: &str = "/var/cache";

/// The most bytes of a description.
const DESCRIPTION: u64 = 4 << 20;

/// The version of descriptions.
pub const VERSION: u32 = 1;

/// The folder of everything that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    base: PathBuf,
    uid: u32,
}

/// What is kept about an unpacked root, beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The version of this form.
    pub version: u32,
    /// The digest of what it was unpacked from.
    pub digest: String,
    /// The path of that.
    pub source: String,
    /// How many members were unpacked.
    pub entries: u64,
    /// How many bytes of files.
    pub bytes: u64,
    /// What the image says about commands in it.
    #[serde(default)]
    pub config: Config,
}

/// An unpacked root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its folder in the cache.
    pub folder: PathBuf,
}

impl Entry {
    /// The tree.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// What is kept about it.
    ///
    /// # Errors
    /// A sentence.
    pub fn description(&self) -> Result<Description, String> {
        let path = self.folder.join("description.json");
        let with = |why: String| format!("{}: {why}", path.display());
        let file = open_regular(&path).map_err(with)?;
        let mut text = Vec::new();
        let mut bounded = file.take(DESCRIPTION);
        bounded
            .read_to_end(&mut text)
            .map_err(|e| with(e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| with(e.to_string()))
    }

    /// Keeps it from being removed for as long as the result lives.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn hold(&self) -> io::Result<File> {
        let folder = File::open(&self.folder)?;
        folder.lock_shared()?;
        // It may have been taken away before the lock was had.
        let now = self.folder.symlink_metadata()?;
        let held = folder.metadata()?;
        match (now.dev(), now.ino()) == (held.dev(), held.ino()) {
            true => Ok(folder),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Cache {
    /// The caller's: below `XDG_CACHE_HOME` (XDG Base Directory Specification), or `.cache` of the home; for
    /// root below `/var/cache`. None for a plain user without a home.
    #[must_use]
    pub fn of(uid: u32, caches: Option<&str>, home: Option<&Path>) -> Option<Self> {
        let named = caches.map(Path::new).filter(|path| path.is_absolute());
        let base = match (named, home) {
            (Some(named), _) => named.to_owned(),
            (None, _) if uid == 0 => OF_ROOT.into(),
            (None, home) => home?.join(".cache"),
        };
        let base = base.join(NAME);
        Some(Self { base, uid })
    }

    /// Its path.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The folder of whole roots.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.base.join("images")
    }

    /// The folder of roots that are being unpacked.
    #[must_use]
    pub fn unpacking(&self) -> PathBuf {
        self.base.join("unpacking")
    }

    /// The folder of the digests of archives.
    #[must_use]
    pub fn archives(&self) -> PathBuf {
        self.base.join("archives")
    }

    /// The name of a root of one content and one kind of owners.
    #[must_use]
    pub fn name(digest: &Digest, owners: &Owners) -> String {
        format!("{}-{}.{}", digest.algorithm(), digest.hex(), owners.word())
    }

    /// The root of that content, if it is there; of an index, that of its image for this platform.
    ///
    /// # Errors
    /// A sentence: somebody else may have written to the cache.
    pub fn entry(&self, digest: &Digest, owners: &Owners) -> Result<Option<Entry>, String> {
        if !self.is_safe()? {
            return Ok(None);
        }
        let there = |digest: &Digest| {
            let folder = self.images().join(Self::name(digest, owners));
            match statat(CWD, &folder, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(Some(Entry { folder })),
                Err(rustix::io::Errno::NOENT) => Ok(None),
                Err(errno) => Err(format!("{}: {}", folder.display(), said(errno))),
            }
        };
        match (there(digest)?, self.noted(&Self::index_note(digest))) {
            (None, Some(image)) => there(&image),
            (entry, _) => Ok(entry),
        }
    }

    /// Whether it is there; an error if others could have written to it.
    ///
    /// # Errors
    /// A sentence.
    pub fn is_safe(&self) -> Result<bool, String> {
        let look = |path: &Path, flags| match statat(CWD, path, flags) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(format!("{}: {}", path.display(), said(errno))),
        };
        let Some(base) = look(&self.base, AtFlags::SYMLINK_NOFOLLOW)? else {
            return Ok(false);
        };
        let parent = self.base.parent().unwrap_or(Path::new("/"));
        if let Some(stat) = look(parent, AtFlags::empty())? {
            let mode = stat.st_mode & 0o7777;
            let others = mode & 0o002 != 0 && mode & 0o1000 == 0;
            if others || (stat.st_uid != 0 && stat.st_uid != self.uid) {
                return Err(format!(
                    "{} is another's, or everybody may write to it: set XDG_CACHE_HOME to a folder of your own",
                    parent.display()
                ));
            }
        }
        let is_directory = FileType::from_raw_mode(base.st_mode) == FileType::Directory;
        if !is_directory || base.st_uid != self.uid || base.st_mode & 0o077 != 0 {
            return Err(format!(
                "{} is not a folder that only the caller may use: `chmod 700` it, or remove it",
                self.base.display()
            ));
        }
        Ok(true)
    }

    /// The digest of an archive that was unpacked before and not been changed since.
    ///
    /// # Errors
    /// A sentence: the archive is not there, or no file.
    pub fn remembered(&self, path: &Path) -> Result<Option<Digest>, String> {
        let file = open_regular(path)?;
        let stat = rustix::fs::fstat(&file).map_err(said)?;
        if !self.is_safe()? {
            return Ok(None);
        }
        Ok(self.noted(&Self::note(&stat)))
    }

    /// The digest that stands in a note.
    fn noted(&self, note: &str) -> Option<Digest> {
        let file = open_regular(&self.archives().join(note)).ok()?;
        let mut text = String::new();
        file.take(256).read_to_string(&mut text).ok()?;
        Digest::parse(text.trim())
    }

    /// The name under which it is noted which image an index has for this platform.
    #[must_use]
    pub fn index_note(index: &Digest) -> String {
        let facts = format!("index {index} {}", super::layout::platform());
        Digest::of(facts.as_bytes()).hex().to_owned()
    }

    /// The name under which the digest of a file is noted: what the kernel says of the file, the time of
    /// its last change (`st_ctim`) among it, which nobody can set.
    #[must_use]
    pub fn note(stat: &Stat) -> String {
        let facts = format!(
            "{} {} {} {}.{} {}.{}",
            stat.st_dev,
            stat.st_ino,
            stat.st_size,
            stat.st_mtime,
            stat.st_mtime_nsec,
            stat.st_ctime,
            stat.st_ctime_nsec
        );
        Digest::of(facts.as_bytes()).hex().to_owned()
    }

    /// The whole roots, by name.
    ///
    /// # Errors
    /// A sentence.
    pub fn entries(&self) -> Result<Vec<Entry>, String> {
        if !self.is_safe()? {
            return Ok(Vec::new());
        }
        let images = self.images();
        let names = match crate::host::tree::entries(&images) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("{}: {error}", images.display())),
        };
        let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let entry = |name| Entry {
            folder: images.join(name),
        };
        Ok(names.into_iter().map(entry).collect())
    }
}
