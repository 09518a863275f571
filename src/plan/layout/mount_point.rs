//! Finding mount points, and providing those that are missing.

use super::lookup::Inside;
use super::{Entry, Layout, Names, Placed, Point, What, below, tmpfs};
use crate::diag::{Code, Diagnostic, Origin};
use crate::host::tree::Kind;
use crate::plan::draft::c_string;
use crate::plan::op::Op;
use crate::plan::order::Phase;
use crate::sys::mount::{Attributes, Depth};
use std::path::Path;

/// The most entries of a directory that is rebuilt: each costs a mount.
const LARGEST_SCAFFOLD: usize = 4096;

enum Found {
    There,
    Missing,
}

/// What is no mount is not made in a tree of the host's.
fn foreign(target: &Path, source: &Path, origin: &Origin) -> Box<Diagnostic> {
    let (target, source) = (target.display(), source.display());
    let text = format!("{target} would be made in {source}, which belongs to the host");
    let help = "mount a tmpfs there first, or make it on the host";
    Box::new(Diagnostic::new(Code::Conflict, origin, text).help(help))
}

impl Layout<'_, '_> {
    /// Finds or provides the mount point of a target; says whether it has to be made in the new
    /// root.
    pub(super) fn ensure(
        &mut self,
        target: &Path,
        point: Option<Point>,
        origin: &Origin,
    ) -> Result<bool, Box<Diagnostic>> {
        loop {
            let (at, inside) = self.container(target);
            if let Some(container) = self.placed.get_mut(&at) {
                container.has_children = true;
            }
            match inside {
                Inside::Anything => {
                    self.make_directories(&at, target, origin);
                    return Ok(true);
                }
                Inside::Nothing => {
                    return Err(Box::new(
                        Diagnostic::new(
                            Code::BadPath,
                            origin,
                            format!(
                                "{} lies below {}, which is no directory that can hold it",
                                target.display(),
                                at.display()
                            ),
                        )
                        .help("choose another target"),
                    ));
                }
                Inside::Kernel(source) => {
                    let path = below(&source, target, &at);
                    let found = self.draft.host.tree.node(&path).kind;
                    return match (found, point) {
                        (Kind::Directory, Some(Point::Directory))
                        | (Kind::File, Some(Point::File)) => Ok(false),
                        _ => Err(Box::new(
                            Diagnostic::new(
                                Code::NotFound,
                                origin,
                                format!("the kernel has no mount point {}", target.display()),
                            )
                            .help("choose another target"),
                        )),
                    };
                }
                Inside::Overlay(source, kept) => {
                    let found = self.find(&source, false, target, &at, point, origin)?;
                    let Some(point) = point else {
                        let there = matches!(found, Found::There);
                        return if there {
                            Ok(false)
                        } else {
                            Err(foreign(target, &source, origin))
                        };
                    };
                    // An earlier run may have taken away what the host has.
                    if kept || matches!(found, Found::Missing) {
                        self.provided.insert(target.into(), (at, point));
                    }
                    return Ok(false);
                }
                Inside::Host(source, writable) => {
                    match self.find(&source, writable, target, &at, point, origin)? {
                        Found::There => return Ok(false),
                        Found::Missing if writable => {
                            let Some(point) = point else {
                                return Err(foreign(target, &source, origin));
                            };
                            let missing = target.strip_prefix(&at).unwrap_or(target);
                            let op = Op::MakeMountPoint {
                                tree: c_string(&source),
                                missing: c_string(missing),
                                directory: point == Point::Directory,
                            };
                            self.draft.step(Phase::MountPoints, op, origin);
                            return Ok(false);
                        }
                        Found::Missing => {
                            self.must_be_whole(&at, target, origin)?;
                            self.scaffold(&at);
                        }
                    }
                }
            }
        }
    }

    /// Places the directories that are missing between `at`, which is ours, and the target.
    fn make_directories(&mut self, at: &Path, target: &Path, origin: &Origin) {
        for ancestor in target.ancestors().skip(1).take_while(|a| *a != at) {
            let entry = Entry {
                target: ancestor.into(),
                what: What::Directory(0o755.into()),
                attributes: Attributes::NONE,
                optional: false,
                origin: origin.clone(),
            };
            let placed = Placed {
                entry,
                point: None,
                make: true,
                has_children: true,
                named: false,
            };
            self.placed.insert(ancestor.into(), placed);
        }
    }

    /// Plans to make the source of an entry, if it is one that is made.
    pub(super) fn make_source(&mut self, entry: &Entry) {
        if let What::Bind {
            source,
            trusted: Some(trusted),
            made: true,
            given,
            ..
        } = &entry.what
        {
            let path = self.host_path(source, Some(trusted));
            if let Some(missing) = path.beneath {
                let tree = path.trusted;
                let owner = *given;
                let op = Op::MakeSource {
                    tree,
                    missing,
                    owner,
                };
                self.draft.step(Phase::MountPoints, op, &entry.origin);
                self.made.push(source.clone());
            }
        }
    }

    /// Looks for a mount point in a tree of the host.
    fn find(
        &self,
        source: &Path,
        writable: bool,
        target: &Path,
        at: &Path,
        point: Option<Point>,
        origin: &Origin,
    ) -> Result<Found, Box<Diagnostic>> {
        let wrong = |what: &str, path: &Path| {
            Box::new(
                Diagnostic::new(
                    Code::BadPath,
                    origin,
                    format!(
                        "the mount point {} cannot be used: {} is {what}",
                        target.display(),
                        path.display()
                    ),
                )
                .help("choose another target, or change what is there on the host"),
            )
        };
        let mut path = source.to_owned();
        let mut components = target
            .strip_prefix(at)
            .unwrap_or(target)
            .components()
            .peekable();
        while let Some(component) = components.next() {
            path.push(component);
            let last = components.peek().is_none();
            let node = self.node(&path);
            // Another run's goes with that run: this one has to take its share in it, and to remove
            // it if it was only left behind.
            if node.made && writable {
                return Ok(Found::Missing);
            }
            match (node.kind, last) {
                (Kind::Missing, _) => return Ok(Found::Missing),
                (Kind::Directory, false) => {}
                (Kind::Directory, true) if point != Some(Point::File) => return Ok(Found::There),
                (Kind::Directory, true) => {
                    return Err(wrong("a directory, and a file is mounted", &path));
                }
                (Kind::File, true) if point == Some(Point::File) => return Ok(Found::There),
                (Kind::File, _) => return Err(wrong("no directory", &path)),
                (Kind::Link(_), _) => return Err(wrong("a symbolic link", &path)),
            }
        }
        Ok(Found::There)
    }

    /// A directory is rebuilt of what is there, with what is mounted there: not one of which something is to
    /// be left out, or to come later.
    fn must_be_whole(
        &self,
        at: &Path,
        target: &Path,
        origin: &Origin,
    ) -> Result<(), Box<Diagnostic>> {
        let Some(Placed { entry, .. }) = self.placed.get(at) else {
            return Ok(());
        };
        match &entry.what {
            What::Bind {
                depth: Depth::Whole,
                receives: false,
                ..
            } => Ok(()),
            What::Bind { .. } => Err(Box::new(
                Diagnostic::new(
                    Code::Conflict,
                    origin,
                    format!(
                        "{} has no mount point for {}, and cannot be rebuilt with one",
                        at.display(),
                        target.display()
                    ),
                )
                .and(&entry.origin, "bound as it is here")
                .help("make the mount point on the host, or remove `recursive = false` and `propagation`"),
            )),
            _ => Ok(()),
        }
    }

    /// Rebuilds a bound, read-only directory so that mount points can be made in it.
    fn scaffold(&mut self, at: &Path) {
        let in_ours = matches!(self.container(at).1, Inside::Anything);
        let Some(placed) = self.placed.get_mut(at) else {
            return;
        };
        let template = Entry {
            optional: true,
            ..placed.entry.clone()
        };
        placed.entry.what = if in_ours {
            What::Directory(0o755.into())
        } else {
            tmpfs("1M", "755", true)
        };
        placed.entry.attributes = Attributes::NOSUID.with(Attributes::NODEV);
        placed.has_children = true;
        self.fill(at, &template, Names::All);
    }

    /// Places the entries of the host directory that `template` binds, below `at`.
    pub(super) fn fill(&mut self, at: &Path, template: &Entry, names: Names) {
        let What::Bind { source: of, .. } = &template.what else {
            return;
        };
        let found = if self.made.contains(of) {
            Some(Vec::new())
        } else {
            self.draft.host.tree.list(of)
        };
        let Some(found) = found else {
            self.draft.refuse(
                &template.origin,
                format!("cannot list the directory {}", of.display()),
                "the caller needs read permission for it",
            );
            return;
        };
        if found.len() > LARGEST_SCAFFOLD {
            self.draft.refuse(
                &template.origin,
                format!(
                    "a mount point is missing in {}, and its {} entries are too many to rebuild it",
                    of.display(),
                    found.len()
                ),
                "make the mount point on the host, or mount a tmpfs on the directory",
            );
            return;
        }
        for name in found.iter().filter(|name| names.hold(name)) {
            let (target, source) = (at.join(name), of.join(name));
            if let Some(earlier) = self.placed.get_mut(&target) {
                // Its mount point was the host's; from here on it is ours to make.
                earlier.make = true;
                continue;
            }
            let mut entry = Entry {
                target: target.clone(),
                ..template.clone()
            };
            let mut point = None;
            match self.draft.host.tree.node(&source).kind {
                Kind::Missing => continue,
                Kind::Link(to) => entry.what = What::Symlink(to),
                kind => {
                    point = Some(if kind == Kind::Directory {
                        Point::Directory
                    } else {
                        Point::File
                    });
                    if let What::Bind { source: of, .. } = &mut entry.what {
                        *of = source;
                    }
                }
            }
            self.placed.insert(
                target,
                Placed {
                    entry,
                    point,
                    make: true,
                    has_children: false,
                    named: false,
                },
            );
        }
    }
}
