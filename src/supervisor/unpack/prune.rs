//! Taking unpacked roots away that nobody uses.

use super::namespace::within;
use super::place::clear;
use crate::host::images::{Cache, Owners};
use crate::host::tree::entries;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A root, or what was left of one, and what became of it.
#[derive(Debug)]
pub struct Pruned {
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it is gone; not, if a run uses it.
    pub is_gone: bool,
}

/// Removes what no run uses, of the roots with these names, or of all; and what runs have left that were
/// killed while they unpacked. `owners` is how files of subordinate ids are reached.
///
/// # Errors
/// A sentence about the first that cannot be removed.
pub fn prune(
    cache: &Cache,
    owners: &Owners,
    chosen: Option<&[String]>,
) -> Result<Vec<Pruned>, String> {
    if !cache.is_safe()? {
        return Ok(Vec::new());
    }
    let mut pruned = Vec::new();
    let unpacking = cache.unpacking();
    for folder in [cache.images(), unpacking.clone()] {
        for name in names(&folder)? {
            if folder == cache.images() && chosen.is_some_and(|chosen| !chosen.contains(&name)) {
                continue;
            }
            let path = folder.join(&name);
            // A name of its own, so that nobody who unpacks the same comes upon it.
            let aside = match folder == unpacking {
                true => path.clone(),
                false => unpacking.join(format!("{name}.{}", std::process::id())),
            };
            let is_gone = take(&path, &aside, owners)?;
            pruned.push(Pruned {
                folder: path,
                is_gone,
            });
        }
    }
    forget(cache)?;
    Ok(pruned)
}

/// Moves a root to where none is looked for, and removes it there; false if a run has it.
fn take(path: &Path, aside: &Path, owners: &Owners) -> Result<bool, String> {
    let fail = |e: io::Error| format!("{}: {e}", path.display());
    let folder = match File::open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(fail(error)),
    };
    match folder.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(false),
        Err(std::fs::TryLockError::Error(error)) => return Err(fail(error)),
    }
    if path != aside {
        match std::fs::rename(path, aside) {
            Ok(()) => {}
            // Somebody else removes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(fail(error)),
        }
    }
    within(owners, || {
        clear(&folder).map_err(fail)?;
        Ok(String::new())
    })?;
    std::fs::remove_dir(aside).map_err(fail)?;
    Ok(true)
}

/// Removes the notes about archives whose roots are gone.
fn forget(cache: &Cache) -> Result<(), String> {
    let digest = |name: &str| {
        let (digest, _) = name.split_once('.')?;
        Some(digest.replacen('-', ":", 1))
    };
    let images = names(&cache.images())?;
    let kept: BTreeSet<_> = images.iter().filter_map(|name| digest(name)).collect();
    let folder = cache.archives();
    for name in names(&folder)? {
        let note = folder.join(&name);
        let text = std::fs::read_to_string(&note).unwrap_or_default();
        if !kept.contains(text.trim()) {
            std::fs::remove_file(&note).map_err(|e| format!("{}: {e}", note.display()))?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, String> {
    let found = match entries(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    };
    let mut names: Vec<_> = found
        .into_iter()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}
