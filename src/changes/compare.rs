//! What was changed: a walk through what lies aside, beside the tree as it is now.

use super::Folder;
use super::entry::{Kind, Look, named};
use super::store::About;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was not there.
    Added,
    /// It is not there any more.
    Deleted,
    /// It is of another kind.
    Replaced,
    /// It is the same thing, changed.
    Modified,
    /// Only its time of modification is another.
    Touched,
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Modified => "modified",
            Self::Touched => "touched",
        }
    }
}

/// In which respect something was modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// What a file holds, or where a link points.
    Contents,
    /// The permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// The extended attributes.
    Attributes,
    /// It has become another name of a file.
    Link,
}

impl Aspect {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Contents => "contents",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Attributes => "xattrs",
            Self::Link => "link",
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The path, relative to the tree.
    pub path: PathBuf,
    /// What became of it.
    pub what: What,
    /// What is there in the tree now.
    pub before: Option<Look>,
    /// What is to be there.
    pub after: Option<Look>,
    /// In which respects, where it was modified.
    pub aspects: BTreeSet<Aspect>,
    /// Another path that is to name the same file.
    pub same_as: Option<PathBuf>,
    /// Where it was, if it was moved from there.
    pub renamed_from: Option<PathBuf>,
    /// Why it is not known what the command has changed: the tree is not what it was.
    pub conflict: Option<&'static str>,
}

/// What was changed.
#[derive(Debug)]
pub struct Changes {
    /// What they are changes to.
    pub about: About,
    /// The changes; what lies in a directory comes after it.
    pub list: Vec<Change>,
    /// The tree as it is now.
    pub(super) tree: Folder,
    /// What lies aside.
    pub(super) aside: Folder,
}

/// Why changes cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {errno}", path = path.display())]
pub struct CompareError {
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub errno: Errno,
}

/// Compares.
///
/// # Errors
/// What cannot be read.
pub fn compare(
    about: About,
    tree: std::os::fd::OwnedFd,
    aside: std::os::fd::OwnedFd,
) -> Result<Changes, CompareError> {
    let mut walk = Walk {
        // What is named by its digest has not changed since, whenever it was unpacked.
        since: match about.unpacked {
            Some(_) => (i64::MAX, 0),
            None => about.since,
        },
        provided: about.mount_points.iter().map(PathBuf::from).collect(),
        list: Vec::new(),
        leaders: BTreeMap::new(),
        gone: BTreeMap::new(),
    };
    let (tree, aside) = (Folder::theirs(tree), Folder::ours(aside));
    walk.root(&tree, &aside)?;
    let Walk { list, gone, .. } = walk;
    let mut changes = Changes {
        about,
        list,
        tree,
        aside,
    };
    tell_renames(&mut changes, &gone);
    Ok(changes)
}

/// How deep directories may lie in each other: each level takes descriptors.
const DEEPEST: usize = 256;

/// What a file keeps that is moved: its length and when it was changed.
type Print = (u64, (i64, i64));

struct Walk {
    since: (i64, i64),
    /// What the sandbox has made itself.
    provided: BTreeSet<PathBuf>,
    list: Vec<Change>,
    /// The first path of each file that has several names.
    leaders: BTreeMap<(u64, u64), PathBuf>,
    /// The files that are gone.
    gone: BTreeMap<Print, Vec<PathBuf>>,
}

fn at(path: &Path) -> impl Fn(Errno) -> CompareError {
    let path = path.to_owned();
    move |errno| CompareError {
        path: path.clone(),
        errno,
    }
}

fn joined(path: &Path, name: &CStr) -> PathBuf {
    path.join(OsStr::from_bytes(name.to_bytes()))
}

impl Walk {
    fn root(&mut self, tree: &Folder, aside: &Folder) -> Result<(), CompareError> {
        let here = Path::new("");
        let look = |folder: &Folder| Look::at(folder.fd()).map_err(at(here));
        let (before, after) = (look(tree)?, look(aside)?);
        // Its owner is whoever mounts the overlay.
        let aspects = aspects(&before, &after, true, false);
        let aspects: BTreeSet<_> = aspects
            .into_iter()
            .filter(|a| *a != Aspect::Owner)
            .collect();
        let opaque = after.opaque;
        if !aspects.is_empty() {
            self.list.push(Change {
                path: ".".into(),
                what: What::Modified,
                before: Some(before),
                after: Some(after),
                aspects,
                same_as: None,
                renamed_from: None,
                conflict: None,
            });
        }
        self.folder(here, Some(tree), aside, opaque)
    }

    /// What is in a directory of what lies aside.
    fn folder(
        &mut self,
        path: &Path,
        tree: Option<&Folder>,
        aside: &Folder,
        opaque: bool,
    ) -> Result<(), CompareError> {
        if path.components().count() > DEEPEST {
            return Err(at(path)(Errno::ENAMETOOLONG));
        }
        let mut names: BTreeSet<CString> = aside.names().map_err(at(path))?.into_iter().collect();
        if opaque && let Some(tree) = tree {
            // Whatever is not here is gone.
            names.extend(tree.names().map_err(at(path))?);
        }
        for name in names {
            self.entry(&joined(path, &name), &name, tree, aside, opaque)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        name: &CStr,
        tree: Option<&Folder>,
        aside: &Folder,
        opaque: bool,
    ) -> Result<(), CompareError> {
        let before = match tree {
            Some(tree) => tree.look(name).map_err(at(path))?,
            None => None,
        };
        let after = aside.look(name).map_err(at(path))?;
        let after = after.filter(|after| !after.is_whiteout());
        let Some(after) = after else {
            if let (Some(before), Some(tree)) = (before, tree) {
                self.deleted(path, name, tree, before)?;
            }
            return Ok(());
        };
        if self
            .is_provided(path, name, &after, aside)
            .map_err(at(path))?
        {
            return Ok(());
        }
        // What is made in a directory that stands for a whole one has no mark of its own.
        let after = Look {
            opaque: after.opaque || opaque,
            ..after
        };
        self.compared(path, name, tree, aside, before, after)
    }

    /// Whether it is a mount point that the sandbox has made, and nothing more.
    fn is_provided(
        &self,
        path: &Path,
        name: &CStr,
        after: &Look,
        aside: &Folder,
    ) -> nix::Result<bool> {
        if !self.provided.contains(path) || after.copied {
            return Ok(false);
        }
        match after.kind {
            Kind::File => Ok(after.size == 0),
            Kind::Directory => {
                let folder = aside.folder(name)?;
                for name in folder.names()? {
                    let inner = joined(path, &name);
                    let whole = match folder.look(&name)? {
                        Some(look) => self.is_provided(&inner, &name, &look, &folder)?,
                        None => true,
                    };
                    if !whole {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn compared(
        &mut self,
        path: &Path,
        name: &CStr,
        tree: Option<&Folder>,
        aside: &Folder,
        before: Option<Look>,
        after: Look,
    ) -> Result<(), CompareError> {
        let same_kind = before.as_ref().is_some_and(|before| {
            std::mem::discriminant(&before.kind) == std::mem::discriminant(&after.kind)
        });
        let same_as = if after.kind != Kind::Directory && after.links > 1 {
            match self.leaders.get(&after.identity) {
                Some(first) => Some(first.clone()),
                None => {
                    self.leaders.insert(after.identity, path.into());
                    None
                }
            }
        } else {
            None
        };
        let mut found = match (&before, tree) {
            (Some(before), Some(tree)) if same_kind => {
                let same = before.size == after.size
                    && (after.kind != Kind::File
                        || same_contents((tree, name), (aside, name)).map_err(at(path))?);
                aspects(before, &after, same, true)
            }
            _ => BTreeSet::new(),
        };
        if let Some(first) = &same_as
            && !self.is_linked(first, before.as_ref())
        {
            found.insert(Aspect::Link);
        }
        let what = match &before {
            None => Some(What::Added),
            Some(_) if !same_kind => Some(What::Replaced),
            Some(_) if !found.is_empty() => Some(What::Modified),
            Some(before) if after.kind == Kind::File && before.modified != after.modified => {
                Some(What::Touched)
            }
            Some(_) => None,
        };
        let conflict = match (&before, what) {
            (Some(before), Some(What::Replaced)) => match tree {
                Some(tree) => self.moved_on(tree, name, before).map_err(at(path))?,
                None => None,
            },
            (Some(before), Some(What::Modified)) if after.kind != Kind::Directory => {
                self.newer(before)
            }
            // Merged with something that is gone now.
            (None, _) if after.kind == Kind::Directory && after.copied && !after.opaque => {
                Some("the directory was removed from the tree since")
            }
            // Moved here, or gone from there. What removes it changes the directory that it was in.
            (None, _) if after.copied => match tree.map(|tree| Look::at(tree.fd())) {
                Some(Ok(folder)) if folder.modified > self.since => Some(
                    "the directory that it is in was changed since, and may have held it before",
                ),
                _ => None,
            },
            _ => None,
        };
        if let (Some(before), Some(tree)) = (&before, tree)
            && !same_kind
        {
            self.note_gone(path, name, tree, before).map_err(at(path))?;
        }
        let opaque = after.opaque || !same_kind;
        let directory = after.kind == Kind::Directory;
        if let Some(what) = what {
            self.list.push(Change {
                path: path.into(),
                what,
                before,
                after: Some(after),
                aspects: found,
                same_as,
                renamed_from: None,
                conflict,
            });
        }
        if directory {
            let inner = aside.folder(name).map_err(at(path))?;
            let tree = match tree.filter(|_| same_kind) {
                Some(tree) => Some(tree.folder(name).map_err(at(path))?),
                None => None,
            };
            self.folder(path, tree.as_ref(), &inner, opaque)?;
        }
        Ok(())
    }

    /// Whether the tree names the same file by both paths already.
    fn is_linked(&self, first: &Path, before: Option<&Look>) -> bool {
        let Some(before) = before else { return false };
        let of_first = self.list.iter().rev().find(|change| change.path == *first);
        match of_first {
            // Its leader is as it was, so that links among names which are as they were are too.
            None => before.links > 1,
            Some(change) => change
                .before
                .as_ref()
                .is_some_and(|first| first.identity == before.identity),
        }
    }

    fn deleted(
        &mut self,
        path: &Path,
        name: &CStr,
        tree: &Folder,
        before: Look,
    ) -> Result<(), CompareError> {
        let conflict = self.moved_on(tree, name, &before).map_err(at(path))?;
        self.note_gone(path, name, tree, &before)
            .map_err(at(path))?;
        self.list.push(Change {
            path: path.into(),
            what: What::Deleted,
            before: Some(before),
            after: None,
            aspects: BTreeSet::new(),
            same_as: None,
            renamed_from: None,
            conflict,
        });
        Ok(())
    }

    /// Notes what is gone.
    fn note_gone(
        &mut self,
        path: &Path,
        name: &CStr,
        tree: &Folder,
        look: &Look,
    ) -> nix::Result<()> {
        match look.kind {
            Kind::Directory => {
                let Ok(folder) = tree.folder(name) else {
                    return Ok(());
                };
                for name in folder.names()? {
                    if let Some(look) = folder.look(&name)? {
                        self.note_gone(&joined(path, &name), &name, &folder, &look)?;
                    }
                }
            }
            Kind::File => {
                let print = (look.size, look.modified);
                self.gone.entry(print).or_default().push(path.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn newer(&self, look: &Look) -> Option<&'static str> {
        (look.changed > self.since).then_some("it was changed in the tree since")
    }

    /// Whether something, or anything in it, was changed in the tree since the command began.
    fn moved_on(
        &self,
        tree: &Folder,
        name: &CStr,
        look: &Look,
    ) -> nix::Result<Option<&'static str>> {
        if look.kind != Kind::Directory {
            return Ok(self.newer(look));
        }
        let Ok(folder) = tree.folder(name) else {
            return Ok(None);
        };
        for name in folder.names()? {
            if let Some(look) = folder.look(&name)?
                && self.moved_on(&folder, &name, &look)?.is_some()
            {
                return Ok(Some("something in it was changed in the tree since"));
            }
        }
        Ok(None)
    }
}

/// In which respects two things of a kind differ.
fn aspects(before: &Look, after: &Look, same_contents: bool, attributes: bool) -> BTreeSet<Aspect> {
    let mut found = BTreeSet::new();
    let mut note = |differs, aspect| {
        if differs {
            found.insert(aspect);
        }
    };
    // A link has no mode of its own.
    let is_link = matches!(after.kind, Kind::Link(_));
    note(
        before.kind != after.kind || !same_contents && !is_link && after.kind == Kind::File,
        Aspect::Contents,
    );
    note(before.mode != after.mode && !is_link, Aspect::Mode);
    note(
        (before.uid, before.gid) != (after.uid, after.gid),
        Aspect::Owner,
    );
    note(
        attributes && before.attributes != after.attributes,
        Aspect::Attributes,
    );
    found
}

/// Whether two files hold the same. One that cannot be read holds something else.
fn same_contents(old: (&Folder, &CStr), new: (&Folder, &CStr)) -> nix::Result<bool> {
    let errno = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    let Ok(mut one) = old.0.file(old.1) else {
        return Ok(false);
    };
    let mut other = new.0.file(new.1)?;
    let mut buffers = (vec![0u8; 1 << 16], vec![0u8; 1 << 16]);
    loop {
        let n = one.read(&mut buffers.0).map_err(errno)?;
        if n == 0 {
            return Ok(other.read(&mut buffers.1).map_err(errno)? == 0);
        }
        let (Some(read), Some(room)) = (buffers.0.get(..n), buffers.1.get_mut(..n)) else {
            return Ok(false);
        };
        if other.read_exact(room).is_err() || read != room {
            return Ok(false);
        }
    }
}

/// A file that was made as a copy of one in the tree, and is as one that is gone, was moved from there. What
/// was changed besides is told as what it comes to: one file less, and another one more.
fn tell_renames(changes: &mut Changes, gone: &BTreeMap<Print, Vec<PathBuf>>) {
    let mut found = Vec::new();
    for (index, change) in changes.list.iter().enumerate() {
        let Some(after) = &change.after else { continue };
        if change.what != What::Added || after.kind != Kind::File || !after.copied {
            continue;
        }
        let alike = gone.get(&(after.size, after.modified));
        let mut alike = alike.into_iter().flatten();
        let is_same = |from: &&PathBuf| changes.is_moved(from, &change.path).unwrap_or(false);
        if let Some(from) = alike.find(is_same) {
            found.push((index, from.clone()));
        }
    }
    for (index, from) in found {
        if let Some(change) = changes.list.get_mut(index) {
            change.renamed_from = Some(from);
        }
    }
}

impl Changes {
    /// Whether a file of the tree is what lies aside under another path.
    fn is_moved(&self, from: &Path, to: &Path) -> nix::Result<bool> {
        let (tree, old) = self.in_tree(from)?;
        let (aside, new) = self.aside(to)?;
        same_contents((&tree, &old), (&aside, &new))
    }

    /// What lies aside of a change, and its folder there.
    pub(super) fn aside(&self, path: &Path) -> nix::Result<(Folder, CString)> {
        within(&self.aside, path)
    }

    /// The same in the tree.
    pub(super) fn in_tree(&self, path: &Path) -> nix::Result<(Folder, CString)> {
        within(&self.tree, path)
    }
}

/// The folder of a path, and the name in it.
pub(super) fn within(folder: &Folder, path: &Path) -> nix::Result<(Folder, CString)> {
    let name = path.file_name().unwrap_or(OsStr::new("."));
    Ok((
        folder.below(path.parent().unwrap_or(Path::new("")))?,
        named(name)?,
    ))
}
