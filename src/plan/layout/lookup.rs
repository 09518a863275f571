//! What is at a path of the root in the making, and where its links lead.

use super::{Changes, Entry, Layout, What, below};
use crate::diag::{Code, Diagnostic, Origin};
use crate::host::tree::{Kind, Node};
use crate::sys::mount::Attributes;
use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

/// What may be made inside of a placed entry.
pub(super) enum Inside {
    /// Anything: it is ours.
    Anything,
    /// Only what the host has at this path, or (where writable) what is made there.
    Host(PathBuf, bool),
    /// What the host has at this path, and whatever is made there besides; and whether that may be left
    /// of an earlier run.
    Overlay(PathBuf, bool),
    /// Only what the kernel shows there; it shows the same as on the host, at this path.
    Kernel(PathBuf),
    /// Nothing.
    Nothing,
}

/// What is at a path of a root, its links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path without symbolic links.
    pub path: PathBuf,
    /// Whether something is there; `None` where only the kernel knows, once the root is built.
    pub is_there: Option<bool>,
    /// Where it lies on the host, if it does.
    pub on_host: Option<PathBuf>,
}

impl Layout<'_, '_> {
    /// What will be at a path.
    ///
    /// # Errors
    /// Its links may not be followed: the command could have planted one, or each process has its own.
    pub(super) fn place_at(&self, path: &Path) -> Result<Place, Diagnostic> {
        let path = self.resolve(path)?;
        let (at, inside) = self.container(&path);
        let (is_there, on_host) = match (self.placed.get(&path).map(|p| &p.entry.what), inside) {
            (Some(What::Bind { source, .. }), _) => (Some(true), Some(source.clone())),
            (None | Some(What::Protect), Inside::Host(source, _) | Inside::Overlay(source, _)) => {
                let on_host = below(&source, &path, &at);
                let is_there = self.node(&on_host).kind != Kind::Missing;
                (Some(is_there), Some(on_host).filter(|_| is_there))
            }
            (None, Inside::Kernel(_)) => {
                let mut on_way = path.ancestors().take_while(|above| *above != at);
                if let Some(link) = on_way.find(|on| matches!(self.kind_at(on), Kind::Link(_))) {
                    let message = format!(
                        "the path {} leads through {}, where each process finds something else",
                        path.display(),
                        link.display()
                    );
                    return Err(
                        Diagnostic::new(Code::BadPath, &Origin::CommandLine, message)
                            .help(format!("write \"{}\"", at.display())),
                    );
                }
                (Some(self.kind_at(&path) != Kind::Missing), None)
            }
            (None, _) if path == Path::new("/") => (Some(true), None),
            (None, Inside::Nothing) => {
                let above = self.placed.get(&at).map(|placed| &placed.entry.what);
                let is_there = match above {
                    Some(What::Filesystem { .. }) => None,
                    _ => Some(false),
                };
                (is_there, None)
            }
            (None, _) => (Some(false), None),
            (Some(_), _) => (Some(true), None),
        };
        Ok(Place {
            path,
            is_there,
            on_host,
        })
    }

    /// The placed entry that a path lies in, and where it is.
    pub(super) fn container(&self, path: &Path) -> (PathBuf, Inside) {
        for ancestor in path.ancestors().skip(1) {
            if let Some(placed) = self.placed.get(ancestor) {
                return (ancestor.into(), self.inside(&placed.entry));
            }
        }
        ("/".into(), Inside::Nothing)
    }

    pub(super) fn inside(&self, entry: &Entry) -> Inside {
        match &entry.what {
            What::Directory(_) => Inside::Anything,
            What::Mask if entry.target != Path::new("/") => Inside::Anything,
            What::Filesystem { kind: "tmpfs", .. } => Inside::Anything,
            What::Filesystem { kind: "proc", .. } => Inside::Kernel("/proc".into()),
            What::Filesystem { kind: "sysfs", .. } => Inside::Kernel("/sys".into()),
            What::Bind {
                source,
                changes: Some(changes),
                ..
            } if self.source_kind(source) == Kind::Directory => {
                Inside::Overlay(source.clone(), matches!(changes, Changes::Disk(_)))
            }
            What::Bind { source, .. } => match self.source_kind(source) {
                Kind::Directory => Inside::Host(
                    source.clone(),
                    !entry.attributes.contains(Attributes::READ_ONLY),
                ),
                _ => Inside::Nothing,
            },
            What::Protect => match self.container(&entry.target) {
                (at, Inside::Host(source, _)) => {
                    Inside::Host(below(&source, &entry.target, &at), false)
                }
                (at, Inside::Kernel(source)) => Inside::Kernel(below(&source, &entry.target, &at)),
                (_, Inside::Overlay(..)) => Inside::Nothing,
                (_, inside) => inside,
            },
            _ => Inside::Nothing,
        }
    }

    /// What is at a path of the host once the sources that are missing are made.
    pub(super) fn node(&self, path: &Path) -> Node {
        let node = self.draft.host.tree.node(path);
        if self.made.iter().any(|made| made.starts_with(path)) {
            // What a run made as a mount point becomes a source like any other.
            return Node {
                kind: Kind::Directory,
                made: false,
                ..node
            };
        }
        node
    }

    /// What a source is, links followed.
    pub(super) fn source_kind(&self, source: &Path) -> Kind {
        if self.made.iter().any(|made| made.starts_with(source)) {
            return Kind::Directory;
        }
        self.draft.host.tree.target(source).kind
    }

    /// What is at a path where nothing is placed.
    pub(super) fn kind_at(&self, path: &Path) -> Kind {
        match self.container(path) {
            (at, Inside::Host(source, _) | Inside::Overlay(source, _) | Inside::Kernel(source)) => {
                self.node(&below(&source, path, &at)).kind
            }
            _ => Kind::Missing,
        }
    }

    /// The path without symbolic links, as the root will have it.
    pub(super) fn resolve(&self, target: &Path) -> Result<PathBuf, Diagnostic> {
        let nowhere = Origin::CommandLine;
        let mut todo: VecDeque<_> = target
            .components()
            .map(|c| c.as_os_str().to_owned())
            .collect();
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            match Path::new(&name).components().next() {
                Some(Component::RootDir) => {
                    done = "/".into();
                    continue;
                }
                Some(Component::ParentDir) => {
                    done.pop();
                    continue;
                }
                Some(Component::Normal(_)) => {}
                _ => continue,
            }
            let next = done.join(&name);
            let (to, planted) = match self.placed.get(&next).map(|p| &p.entry.what) {
                Some(What::Symlink(to)) => (to.clone(), false),
                Some(_) => {
                    done = next;
                    continue;
                }
                None => match (self.kind_at(&next), self.container(&next).1) {
                    (Kind::Link(to), Inside::Host(_, doubtful) | Inside::Overlay(_, doubtful)) => {
                        (to, doubtful)
                    }
                    _ => {
                        done = next;
                        continue;
                    }
                },
            };
            links += 1;
            if planted || links > 40 {
                return Err(Diagnostic::new(
                    Code::BadPath,
                    &nowhere,
                    format!(
                        "the path {} leads through the symbolic link {}, which the command could have planted",
                        target.display(),
                        next.display()
                    ),
                )
                .help("name the place that the link points to, or remove the link"));
            }
            for component in to.components().rev() {
                todo.push_front(component.as_os_str().to_owned());
            }
        }
        Ok(done)
    }
}
