//! The host's files, as far as a plan asks for them.

use super::disk::{self, Device, NoDisk, Weigher};
use super::doubt::Doubt;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a path is, without following it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file, a device, a socket, a FIFO: what is mounted as a file.
    File,
    /// A symbolic link and where it points.
    Link(PathBuf),
    /// Nothing.
    Missing,
}

/// A file's kind, owner and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The kind.
    pub kind: Kind,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Whether a run made it as its mount point: it goes with that run, or was left behind by one
    /// that was killed. To others it is not there.
    pub made: bool,
    /// The permission bits.
    pub mode: u32,
}

/// The mode of a directory that a run made as a mount point, or on the way to one. Its owner may do
/// anything, since a plain user has to make the next one in it; the sticky bit with no more for
/// others than to pass through is what nobody else leaves on an empty directory.
pub const DIRECTORY_MARK: u32 = 0o1701;
/// The same of a file.
pub const FILE_MARK: u32 = 0o1400;

impl Node {
    const MISSING: Self = Self {
        kind: Kind::Missing,
        uid: 0,
        gid: 0,
        made: false,
        mode: 0,
    };
}

/// A map whose keys are paths without `.`, `..` and doubled slashes. It compares their bytes, which
/// puts parents before children too: to compare paths component by component, as `Path` does, was a
/// quarter of the time that planning took.
#[derive(Debug)]
pub struct ByPath<V>(BTreeMap<OsString, V>);

impl<V> Default for ByPath<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> From<BTreeMap<PathBuf, V>> for ByPath<V> {
    fn from(map: BTreeMap<PathBuf, V>) -> Self {
        Self(map.into_iter().map(|(p, v)| (p.into(), v)).collect())
    }
}

impl<V> ByPath<V> {
    /// What is at a path.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&V> {
        self.0.get(path.as_os_str())
    }

    /// What is at a path, to be changed.
    pub fn get_mut(&mut self, path: &Path) -> Option<&mut V> {
        self.0.get_mut(path.as_os_str())
    }

    /// Puts something at a path, in place of what was there.
    pub fn insert(&mut self, path: PathBuf, value: V) {
        self.0.insert(path.into(), value);
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, parents before children.
    pub fn into_sorted(self) -> impl Iterator<Item = (PathBuf, V)> {
        self.0.into_iter().map(|(path, value)| (path.into(), value))
    }
}

/// The files, each looked at once, so that one plan sees one state.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: RefCell<ByPath<Node>>,
    lists: RefCell<BTreeMap<PathBuf, Vec<String>>>,
    /// What could not be looked at, of files and of everything else.
    pub doubt: Doubt,
    /// Whether what is not known is looked up, or missing.
    real: bool,
}

impl Tree {
    /// The files of this machine.
    #[must_use]
    pub fn here() -> Self {
        Self {
            real: true,
            ..Self::default()
        }
    }

    /// A tree of given nodes, for tests; directories list what is given below them.
    #[must_use]
    pub fn fixed(nodes: impl IntoIterator<Item = (PathBuf, Kind)>) -> Self {
        let nodes: BTreeMap<_, _> = nodes
            .into_iter()
            .map(|(p, kind)| {
                (
                    p,
                    Node {
                        kind,
                        uid: 1000,
                        gid: 1000,
                        made: false,
                        mode: 0o755,
                    },
                )
            })
            .collect();
        let mut lists: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for path in nodes.keys() {
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                lists
                    .entry(parent.into())
                    .or_default()
                    .push(name.to_string_lossy().into_owned());
            }
        }
        Self {
            nodes: ByPath::from(nodes).into(),
            lists: lists.into(),
            ..Self::default()
        }
    }

    /// What a path is, its last component not followed.
    pub fn node(&self, path: &Path) -> Node {
        if let Some(known) = self.nodes.borrow().get(path) {
            return known.clone();
        }
        let node = match self.real {
            true => self.look(path, path.symlink_metadata()),
            false => Node::MISSING,
        };
        self.nodes.borrow_mut().insert(path.into(), node.clone());
        node
    }

    /// What a path is, links followed: a source is opened like this.
    pub fn target(&self, path: &Path) -> Node {
        let mut node = self.node(path);
        let mut at = path.to_owned();
        for _ in 0..40 {
            let Kind::Link(to) = &node.kind else {
                return node;
            };
            if self.real {
                // The kernel resolves the directories on the way; only the kind matters here.
                return self.look(path, path.metadata());
            }
            at = at.parent().unwrap_or(Path::new("/")).join(to);
            node = self.node(&at);
        }
        Node::MISSING
    }

    /// The path without links of something that is there.
    pub fn resolve(&self, path: &Path) -> Option<PathBuf> {
        if self.real {
            return self.doubt.found(path, path.canonicalize());
        }
        match self.node(path).kind {
            Kind::Missing => None,
            Kind::Link(to) => Some(path.parent().unwrap_or(path).join(to)),
            _ => Some(path.into()),
        }
    }

    /// The disk on which something is.
    ///
    /// # Errors
    /// Why there is none; given trees have none.
    pub fn disk(&self, path: &Path) -> Result<Device, NoDisk> {
        match self.real {
            true => disk::below(path),
            false => Err(NoDisk::NotOnOne { path: path.into() }),
        }
    }

    /// The kind and number of a device node, links followed: whether it is one of blocks, and its two parts. `None`
    /// for everything else, and in given trees.
    #[must_use]
    pub fn device(&self, path: &Path) -> Option<(bool, Device)> {
        let metadata = self
            .doubt
            .found(path, path.metadata())
            .filter(|_| self.real)?;
        disk::number(&metadata)
    }

    /// Every disk; given trees have none.
    #[must_use]
    pub fn disks(&self) -> Vec<Device> {
        match self.real {
            true => disk::all(),
            false => Vec::new(),
        }
    }

    /// Who divides a disk by weights: see [`disk::weigher`].
    #[must_use]
    pub fn weigher(&self, disk: Device, costs: Option<&str>) -> Option<Weigher> {
        disk::weigher(disk, costs).filter(|_| self.real)
    }

    /// Whether something is there, links followed.
    pub fn exists(&self, path: &Path) -> bool {
        self.target(path).kind != Kind::Missing
    }

    /// The names in a directory, sorted; `None` where it cannot be read.
    pub fn list(&self, path: &Path) -> Option<Vec<String>> {
        if let Some(known) = self.lists.borrow().get(path) {
            return Some(known.clone());
        }
        if !self.real {
            return Some(Vec::new());
        }
        let entries = self.doubt.found(path, entries(path))?;
        // A name that is not UTF-8 cannot be shown or typed: it is left out.
        let names = entries.into_iter().map(|(name, _)| name.into_string());
        let mut names: Vec<_> = names.filter_map(Result::ok).collect();
        names.sort_unstable();
        self.lists.borrow_mut().insert(path.into(), names.clone());
        Some(names)
    }

    fn look(&self, path: &Path, metadata: io::Result<std::fs::Metadata>) -> Node {
        let node = metadata.and_then(|metadata| from(&metadata, path));
        self.doubt.found(path, node).unwrap_or(Node::MISSING)
    }
}

/// What is in a directory: names, and whether each is a directory, where the file system says so at
/// once. The standard library's own iterator panics where the directory cannot be closed.
///
/// # Errors
/// The directory cannot be opened or read to its end (getdents(2)).
pub fn entries(path: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = Vec::new();
    for entry in Dir::new(openat(CWD, path, flags, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let is_directory = entry.file_type() == FileType::Directory;
            found.push((OsStr::from_bytes(name).to_owned(), is_directory));
        }
    }
    Ok(found)
}

fn from(metadata: &std::fs::Metadata, path: &Path) -> io::Result<Node> {
    let kind = if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_symlink() {
        Kind::Link(path.read_link()?)
    } else {
        Kind::File
    };
    let made = match (&kind, metadata.mode() & 0o7777) {
        (Kind::Directory, mode) => mode == DIRECTORY_MARK,
        (Kind::File, mode) => mode == FILE_MARK && metadata.is_file() && metadata.len() == 0,
        _ => false,
    };
    Ok(Node {
        kind,
        uid: metadata.uid(),
        gid: metadata.gid(),
        made,
        mode: metadata.mode() & 0o7777,
    })
}
