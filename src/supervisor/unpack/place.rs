//! The folder of the cache in which a root is made, before it is moved to where whole ones are.
//!
//! It is named like the root that it becomes, and whoever makes that holds an exclusive lock on it
//! (flock(2)): others wait, and then find the root made, or what was left of it by one who was killed,
//! which they take away.

use super::tree::remove;
use crate::host::images::cache::Description;
use crate::host::images::{Cache, Digest};
use rustix::fs::{fsync, renameat, syncfs};
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is fetched from a registry.
const LAYOUT: &str = "layout";

/// A root that is being made.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    folder: File,
    whole: PathBuf,
}

impl Place {
    /// Begins; none if the root is there by now.
    pub(super) fn begin(cache: &Cache, name: &str) -> Result<Option<Self>, String> {
        let fail = |path: &Path, e: io::Error| format!("{}: {e}", path.display());
        for folder in [
            cache.base().to_owned(),
            cache.images(),
            cache.unpacking(),
            cache.archives(),
        ] {
            folder_of_ours(&folder).map_err(|e| fail(&folder, e))?;
        }
        // By now it is there, whoever made it.
        cache.is_safe()?;
        let (path, whole) = (cache.unpacking().join(name), cache.images().join(name));
        // Whoever holds the lock moves the folder away in the end, and the next one makes it anew.
        for _ in 0..1000 {
            // Not as those above: who makes a whole path looks again at what is in its way, which may
            // have been taken away by then.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(fail(&path, error));
                }
                _ => {}
            }
            let Ok(folder) = File::open(&path) else {
                continue;
            };
            folder.lock().map_err(|e| fail(&path, e))?;
            let (held, now) = (folder.metadata(), path.symlink_metadata());
            let (Ok(held), Ok(now)) = (held, now) else {
                continue;
            };
            if (held.dev(), held.ino()) != (now.dev(), now.ino()) {
                continue;
            }
            if whole.symlink_metadata().is_ok() {
                let _ = std::fs::remove_dir(&path);
                return Ok(None);
            }
            return Ok(Some(Self {
                path,
                folder,
                whole,
            }));
        }
        Err(format!(
            "{}: it is made and removed all the time",
            path.display()
        ))
    }

    /// The tree's own directory, empty.
    pub(super) fn root(&self) -> Result<OwnedFd, String> {
        let fail = |e: io::Error| format!("{}: {e}", self.path.display());
        self.clear()?;
        let root = self.path.join("root");
        DirBuilder::new().mode(0o700).create(&root).map_err(fail)?;
        File::open(&root).map(OwnedFd::from).map_err(fail)
    }

    /// An empty folder for what is fetched before it is unpacked.
    pub(super) fn layout(&self) -> Result<PathBuf, String> {
        self.clear()?;
        let layout = self.path.join(LAYOUT);
        let made = DirBuilder::new().mode(0o700).create(&layout);
        made.map_err(|e| format!("{}: {e}", layout.display()))?;
        Ok(layout)
    }

    /// Takes away what is in it.
    pub(super) fn clear(&self) -> Result<(), String> {
        clear(&self.folder).map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// Takes the folder away, if nothing is in it: it is locked, so that nobody waits for more.
    pub(super) fn give_up(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }

    /// Moves it to where whole roots are, once it is on the disk.
    pub(super) fn finish(self, description: &Description) -> Result<(), String> {
        let fail = |e: io::Error| format!("{}: {e}", self.path.display());
        let text = serde_json::to_string_pretty(description).unwrap_or_default();
        write_new(&self.path.join("description.json"), &text).map_err(fail)?;
        // One call for all of its files.
        syncfs(&self.folder).map_err(|e| fail(e.into()))?;
        let cwd = rustix::fs::CWD;
        renameat(cwd, &self.path, cwd, &self.whole).map_err(|e| fail(e.into()))?;
        let images = self.whole.parent().unwrap_or(Path::new("/"));
        let images = File::open(images).map_err(fail)?;
        fsync(&images).map_err(|e| fail(e.into()))
    }
}

/// Takes away what is in the folder of a root.
pub(super) fn clear(folder: &File) -> io::Result<()> {
    for name in ["root", "description.json", LAYOUT] {
        match remove(folder.as_fd(), name.as_ref()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Notes a digest under a name: that of an archive for as long as it is not changed, that of the image of an index.
pub(super) fn remember(cache: &Cache, note: &str, digest: &Digest) -> Result<(), String> {
    let note = cache.archives().join(note);
    let aside = note.with_extension(std::process::id().to_string());
    let _ = std::fs::remove_file(&aside);
    write_new(&aside, &digest.to_string())
        .and_then(|()| std::fs::rename(&aside, &note))
        .map_err(|e| format!("{}: {e}", note.display()))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Makes a folder that only the caller may use, with those on the way to it.
fn folder_of_ours(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::geteuid;

    #[test]
    fn many_who_want_the_same_at_once_all_get_their_turn() {
        let base = std::env::temp_dir().join(format!("unpacking-{}", std::process::id()));
        let cache = Cache::of(geteuid().as_raw(), base.to_str(), None).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let place = Place::begin(&cache, "name.fetched").unwrap();
                        place.unwrap().give_up();
                    }
                });
            }
        });
        let left = std::fs::read_dir(cache.unpacking()).unwrap().count();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(left, 0);
    }
}
