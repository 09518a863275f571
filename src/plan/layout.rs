//! From what should be where inside to mounts in an order that works.
//!
//! Sections say what they want to see at which path ([`Entry`]). Here targets are resolved through
//! symbolic links of the root, mount points are found or made, and everything is put in path
//! order, so that parents come before children.
//!
//! Where a read-only tree of the host lacks a mount point, the directory is rebuilt: as a
//! directory of the new root's own, with every entry of the host's bound into it (a *scaffold*).
//! The root itself is the first scaffold. So no mount point is ever made in a tree that is not
//! writable anyway; and in one that is, the supervisor makes it and takes it away again.

mod lookup;
mod mount_point;
mod steps;
#[cfg(test)]
mod tests;

use super::draft::Draft;
use super::op::{Dress, IdRange, IdmapNeed, Kept, NewNode, SecretSource, Slot};
use crate::diag::{Code, Diagnostic, Origin};
use crate::host::tree::{ByPath, Kind};
use crate::sys::mount::{Attributes, Depth};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Something that a path inside should show.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The absolute path inside.
    pub target: PathBuf,
    /// What.
    pub what: What,
    /// The attributes of the mount.
    pub attributes: Attributes,
    /// Whether to leave it out where its source is missing.
    pub optional: bool,
    /// Which line asked for it. What a profile names replaces a default on the same path.
    pub origin: Origin,
}

/// How the owners of a source are mapped to what is seen inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idmap {
    /// The map of users.
    pub users: Vec<IdRange>,
    /// The map of groups.
    pub groups: Vec<IdRange>,
    /// What happens where the file system cannot have a map.
    pub need: IdmapNeed,
}

/// What a path inside shows.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A tree or a file of the host.
    Bind {
        /// Its path there.
        source: PathBuf,
        /// How its owners are mapped, if they are.
        idmap: Option<Idmap>,
        /// The folder on the way to it below which no link is followed, where there is one.
        trusted: Option<PathBuf>,
        /// Whether it is a directory that is missing on the host and made there, below `trusted`.
        made: bool,
        /// To whom it is given where it is made, by ids of the host.
        given: Option<(u32, u32)>,
        /// Whether with what is mounted below it.
        depth: Depth,
        /// Whether it receives what the host mounts there later.
        receives: bool,
        /// Whether it is a file that is locked while it is used.
        locked: bool,
        /// Where changes to it go, if not into it.
        changes: Option<Changes>,
    },
    /// A new file system.
    Filesystem {
        /// Its type, as in `/proc/filesystems`.
        kind: &'static str,
        /// Its options: `key=value`, or a flag.
        options: Vec<(String, Option<String>)>,
        /// Whether it becomes read-only once everything is in place.
        sealed: bool,
    },
    /// A file with these contents.
    File(Vec<u8>, Dress),
    /// A file with a secret.
    Secret(SecretSource, Dress),
    /// A socket of the run's own, on this path of the host.
    Socket(PathBuf),
    /// A node of a device that is made.
    Node(NewNode),
    /// A symbolic link to this path.
    Symlink(PathBuf),
    /// A directory.
    Directory(Dress),
    /// Nothing: what is there is hidden.
    Mask,
    /// What is there, with the entry's attributes added.
    Protect,
}

impl What {
    /// A tree or a file of the host, opened as the caller would open it.
    #[must_use]
    pub const fn bind(source: PathBuf, idmap: Option<Idmap>) -> Self {
        Self::Bind {
            source,
            idmap,
            trusted: None,
            made: false,
            given: None,
            depth: Depth::Whole,
            receives: false,
            locked: false,
            changes: None,
        }
    }

    /// The same, which receives what the host mounts there later, or does not.
    fn receiving(mut self, later: bool) -> Self {
        if let Self::Bind { receives, .. } = &mut self {
            *receives = later;
        }
        self
    }
}

/// Where changes to a tree go that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Into memory, of which this much may be used: the option `size` of tmpfs(5), and files.
    Memory(String, u64),
    /// To disk.
    Disk(Box<Kept>),
}

/// Which entries of a directory.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// All.
    All,
    /// These.
    Only(&'static [&'static str]),
    /// All but these.
    But(&'static [&'static str]),
}

impl Names {
    fn hold(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&name),
            Self::But(names) => !names.contains(&name),
        }
    }
}

/// What the root is.
#[derive(Clone, Debug)]
pub enum Root {
    /// A directory made for this run, with entries of a host directory in it.
    Scaffold {
        /// The directory, if any.
        of: Option<PathBuf>,
        /// The names that are shown.
        names: Names,
        /// How owners are mapped.
        idmap: Option<Idmap>,
        /// Whether they receive what the host mounts there later.
        receives: bool,
    },
    /// A directory itself, writable.
    Directory {
        /// Its path.
        source: PathBuf,
        /// How owners are mapped.
        idmap: Option<Idmap>,
        /// Where changes go, if not into it.
        changes: Option<Changes>,
        /// Whether it receives what the host mounts there later.
        receives: bool,
    },
}

struct Placed {
    entry: Entry,
    /// What its mount point is; a directory or a link of our own has none.
    point: Option<Point>,
    /// Whether the mount point has to be made in the new root.
    make: bool,
    /// Whether other entries lie below.
    has_children: bool,
    /// Whether the profile names this very mount; the root's own entries and defaults yield to it.
    named: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    Directory,
    File,
}

struct Layout<'d, 'h> {
    draft: &'d mut Draft<'h>,
    placed: ByPath<Placed>,
    /// Sources that the command can write to.
    grants: Vec<PathBuf>,
    /// Sources that are made on the host before anything is opened.
    made: Vec<PathBuf>,
    staged: usize,
    /// Whether there is a place aside, for staged files and for the layers of overlays.
    has_aside: bool,
    /// The mount points to be made in overlays: where the overlay is, and what is mounted.
    provided: BTreeMap<PathBuf, (PathBuf, Point)>,
    /// The changes that are kept: where, the slot of their lock, which, and the line that says so.
    kept: Vec<(PathBuf, Slot, Box<Kept>, Origin)>,
    /// Whether a source receives what the host mounts there later.
    receives: bool,
}

pub use lookup::Place;

/// Says what is at a path of a root, or why its links may not be followed.
pub type Look<'l> = dyn Fn(&Path) -> Result<Place, Diagnostic> + 'l;

/// Places all entries of the draft in a root and adds the steps that build it. What is `asked` of the root before
/// it is forgotten is what is returned.
pub fn lay<T>(
    draft: &mut Draft<'_>,
    root: Root,
    origin: &Origin,
    asked: impl FnOnce(&Look<'_>) -> T,
) -> T {
    let entries = chosen(draft);
    let grants = entries
        .iter()
        .filter_map(writable_source)
        .map(Path::to_owned);
    let grants = grants.collect();
    let mut layout = Layout {
        draft,
        placed: ByPath::default(),
        grants,
        made: Vec::new(),
        staged: 0,
        has_aside: false,
        provided: BTreeMap::new(),
        kept: Vec::new(),
        receives: false,
    };
    // Before any mount point is made: what would be made as one on the way goes in the end.
    for entry in &entries {
        layout.make_source(entry);
    }
    let sealed = layout.place_root(root, origin);
    for entry in entries {
        layout.place(entry);
    }
    let answer = asked(&|path| layout.place_at(path));
    layout.emit(sealed);
    answer
}

/// One entry a target, parents first; what a profile names wins over a default.
fn chosen(draft: &mut Draft<'_>) -> Vec<Entry> {
    let mut by_target = ByPath::<Entry>::default();
    for entry in std::mem::take(&mut draft.entries) {
        let is_default = entry.origin.is_default();
        match by_target.get(&entry.target) {
            Some(_) if is_default => {}
            Some(first) if !first.origin.is_default() => {
                draft.problem(
                    Diagnostic::new(
                        Code::DuplicateTarget,
                        &entry.origin,
                        format!("a second mount on {}", entry.target.display()),
                    )
                    .and(&first.origin, "the first one")
                    .help("remove one of the two"),
                );
            }
            _ => {
                by_target.insert(entry.target.clone(), entry);
            }
        }
    }
    let mut entries: Vec<_> = by_target.into_sorted().map(|(_, entry)| entry).collect();
    entries.sort_by_cached_key(|e| e.target.components().count());
    entries
}

fn writable_source(entry: &Entry) -> Option<&Path> {
    match &entry.what {
        What::Bind {
            source,
            changes: None,
            ..
        } if !entry.attributes.contains(Attributes::READ_ONLY) => Some(source),
        _ => None,
    }
}

impl Layout<'_, '_> {
    /// Places the root; returns whether it is to be made read-only in the end.
    fn place_root(&mut self, root: Root, origin: &Origin) -> bool {
        let attributes = Attributes::NOSUID.with(Attributes::NODEV);
        let (what, of, sealed) = match root {
            Root::Scaffold {
                of,
                names,
                idmap,
                receives,
            } => (
                What::Directory(0o755.into()),
                of.map(|of| (What::bind(of, idmap).receiving(receives), names)),
                true,
            ),
            Root::Directory {
                source,
                idmap,
                changes,
                receives,
            } => {
                if changes.is_none() {
                    self.grants.push(source.clone());
                }
                let mut what = What::bind(source, idmap).receiving(receives);
                if let What::Bind { changes: of, .. } = &mut what {
                    *of = changes;
                }
                (what, None, false)
            }
        };
        let entry = Entry {
            target: "/".into(),
            what,
            attributes,
            optional: false,
            origin: origin.clone(),
        };
        self.placed.insert(
            "/".into(),
            Placed {
                entry,
                point: None,
                make: false,
                has_children: true,
                named: false,
            },
        );
        if let Some((what, names)) = of {
            let template = Entry {
                target: "/".into(),
                what,
                attributes: attributes.with(Attributes::READ_ONLY),
                optional: true,
                origin: origin.clone(),
            };
            self.fill(Path::new("/"), &template, names);
        }
        sealed
    }

    /// Places one entry, or says why it cannot be.
    fn place(&mut self, mut entry: Entry) {
        let wanted = entry.target.clone();
        match self.resolve(&wanted) {
            Ok(target) => entry.target = target,
            // A link of the defaults is a convenience; in a folder of the host's it is there already.
            Err(problem) if entry.origin.is_default() && matches!(entry.what, What::Symlink(_)) => {
                return self.draft.note(&entry.origin, problem.message);
            }
            Err(problem) => {
                let problem = Diagnostic {
                    labels: labels(&entry.origin),
                    ..problem
                };
                return self.draft.problem(problem);
            }
        }
        let target = entry.target.clone();
        let Some(point) = self.point_of(&entry) else {
            return;
        };
        if target == Path::new("/") {
            return self.draft.problem(
                Diagnostic::new(Code::Conflict, &entry.origin, "a mount on the root itself")
                    .help("[rootfs] says what the root is"),
            );
        }
        let is_default = entry.origin.is_default();
        if let Some(there) = self.placed.get(&target).filter(|there| there.named) {
            if is_default {
                return;
            }
            let (wanted, target) = (wanted.display(), target.display());
            return self.draft.problem(
                Diagnostic::new(
                    Code::DuplicateTarget,
                    &entry.origin,
                    format!("a second mount on {target}, which {wanted} leads to"),
                )
                .and(&there.entry.origin, "the first one")
                .help("remove one of the two"),
            );
        }
        // A mount point that an earlier entry made is used again.
        let earlier = self.placed.get(&target).filter(|there| there.make);
        let make = match earlier {
            Some(_) => true,
            None => match self.ensure(&target, point, &entry.origin) {
                Ok(make) => make,
                // A convenience of the defaults is no reason to refuse.
                Err(problem) if point.is_none() && entry.origin.is_default() => {
                    return self.draft.note(&entry.origin, problem.message);
                }
                Err(problem) => return self.draft.problem(*problem),
            },
        };
        if !make && point.is_none() {
            let text = format!("{} is there already", target.display());
            return match (&entry.what, &entry.origin) {
                (What::Directory(_), _) | (_, Origin::Default(_)) => {
                    self.draft.note(&entry.origin, text);
                }
                _ => self.draft.problem(
                    Diagnostic::new(Code::Conflict, &entry.origin, text)
                        .help("choose another target, or remove what is there on the host"),
                ),
            };
        }
        let has_children = self.placed.get(&target).is_some_and(|p| p.has_children);
        self.placed.insert(
            target,
            Placed {
                entry,
                point,
                make,
                has_children,
                named: !is_default,
            },
        );
    }

    /// What kind of mount point an entry needs; `None` if it is left out.
    fn point_of(&mut self, entry: &Entry) -> Option<Option<Point>> {
        Some(match &entry.what {
            What::Bind { source, .. } => match self.source_kind(source) {
                Kind::Directory => Some(Point::Directory),
                Kind::Missing | Kind::Link(_) if entry.optional => {
                    let text = format!("{} is not there: not mounted", source.display());
                    self.draft.note(&entry.origin, text);
                    return None;
                }
                Kind::Missing | Kind::Link(_) => {
                    self.draft.problem(
                        Diagnostic::new(
                            Code::NotFound,
                            &entry.origin,
                            format!("the source {} does not exist", source.display()),
                        )
                        .help("make it, correct the path, or set `optional = true`"),
                    );
                    return None;
                }
                Kind::File => Some(Point::File),
            },
            What::File(..) | What::Secret(..) | What::Socket(_) | What::Node(_) => {
                Some(Point::File)
            }
            What::Filesystem { .. } => Some(Point::Directory),
            What::Symlink(_) | What::Directory(_) => None,
            What::Mask | What::Protect => {
                let there = match self.placed.get(&entry.target) {
                    // Of such a proc nothing else is there than the processes.
                    None if self.is_in_a_part_of_proc(&entry.target) => Kind::Missing,
                    Some(placed) => match (&placed.entry.what, placed.point) {
                        (What::Directory(_), _) => Kind::Directory,
                        (_, Some(Point::Directory)) => Kind::Directory,
                        (_, Some(Point::File)) => Kind::File,
                        (_, None) => self.kind_at(&entry.target),
                    },
                    None => self.kind_at(&entry.target),
                };
                match there {
                    Kind::Directory => Some(Point::Directory),
                    Kind::File => Some(Point::File),
                    Kind::Link(_) | Kind::Missing => {
                        let text =
                            format!("{} is not there: nothing to hide", entry.target.display());
                        self.draft.note(&entry.origin, text);
                        return None;
                    }
                }
            }
        })
    }

    /// Whether a path lies in a proc with the option `subset`.
    fn is_in_a_part_of_proc(&self, path: &Path) -> bool {
        let around = path.ancestors().skip(1);
        let on = around.filter_map(|path| self.placed.get(path)).next();
        on.is_some_and(|placed| match &placed.entry.what {
            What::Filesystem { kind, options, .. } => {
                *kind == "proc" && options.iter().any(|(key, _)| key == "subset")
            }
            _ => false,
        })
    }
}

/// A tmpfs of a bounded size, as everything in it lives in memory.
#[must_use]
pub fn tmpfs(size: &str, mode: &str, sealed: bool) -> What {
    What::Filesystem {
        kind: "tmpfs",
        options: tmpfs_options(size, mode),
        sealed,
    }
}

fn tmpfs_options(size: &str, mode: &str) -> Vec<(String, Option<String>)> {
    vec![
        ("size".into(), Some(size.into())),
        ("mode".into(), Some(mode.into())),
    ]
}

fn labels(origin: &Origin) -> Vec<crate::diag::Label> {
    vec![crate::diag::Label {
        origin: origin.clone(),
        text: String::new(),
    }]
}

/// The host's path of what lies at `path` inside, where `source` is mounted at `at`.
fn below(source: &Path, path: &Path, at: &Path) -> PathBuf {
    source.join(path.strip_prefix(at).unwrap_or(path))
}
