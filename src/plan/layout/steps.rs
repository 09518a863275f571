//! From what is placed to the steps that build it.

use super::{Changes, Entry, Layout, Placed, Point, What, tmpfs_options};
use crate::diag::{Code, Diagnostic, Origin};
use crate::plan::draft::c_string;
use crate::plan::op::{HostPath, NewName, NewRoot, Op, SecretFrom, SecretSource, Target, Upper};
use crate::plan::order::Phase;
use crate::sys::mount::{Attributes, Depth};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// The attributes of what hides a path. What is put there is made or opened by init, so nothing
/// that a command made is ever used for it.
const HIDDEN: Attributes = Attributes::INERT;

impl Layout<'_, '_> {
    /// Adds the steps.
    pub(super) fn emit(&mut self, sealed: bool) {
        let placed = std::mem::take(&mut self.placed);
        let mut provided = BTreeSet::new();
        let count = placed.len();
        for (path, placed) in placed.into_sorted() {
            if path == Path::new("/") {
                self.emit_root(placed.entry, count);
                continue;
            }
            if let Some((at, point)) = self.provided.remove(&path) {
                self.provide(&path, &at, point, &placed.entry.origin, &mut provided);
            }
            self.emit_entry(&path, placed);
        }
        for (at, lock, mut kept, origin) in std::mem::take(&mut self.kept) {
            let made = provided
                .iter()
                .filter_map(|path| path.strip_prefix(&at).ok());
            kept.mount_points = made.map(|path| path.display().to_string()).collect();
            let op = Op::KeepChanges { lock, kept };
            self.draft.step(Phase::Changes, op, &origin);
        }
        if sealed {
            let attributes = Attributes::READ_ONLY
                .with(Attributes::NOSUID)
                .with(Attributes::NODEV);
            let op = Op::SealMount {
                target: Target::default(),
                attributes,
            };
            self.draft
                .step(Phase::Seal, op, &Origin::Default("rootfs.changes"));
        }
    }

    pub(super) fn emit_root(&mut self, entry: Entry, count: usize) {
        let origin = entry.origin;
        let bound = self.open_bound(&entry.what, &origin);
        let root = match (bound, self.open_upper(&entry.what, Path::new("/"), &origin)) {
            (Some(slot), Some(upper)) => NewRoot::Overlay(slot, upper, entry.attributes),
            (Some(slot), None) => NewRoot::Tree(slot, entry.attributes),
            (None, _) => NewRoot::Tmpfs(vec![
                (c"mode".into(), c"755".into()),
                (c"size".into(), c"1M".into()),
                (c"nr_inodes".into(), c_string((count * 2 + 256).to_string())),
            ]),
        };
        self.draft.step(Phase::Root, Op::AttachRoot(root), &origin);
    }

    pub(super) fn emit_entry(&mut self, path: &Path, placed: Placed) {
        let Entry {
            what,
            attributes,
            origin,
            ..
        } = placed.entry;
        match &what {
            What::Directory(dress) => {
                let op = Op::MakeDirectory(new_name(path), dress.mode);
                self.draft.step(Phase::Mounts, op, &origin);
                // mkdir(2) leaves out the bits for set-user-id and set-group-id.
                if dress.owner.is_some() || dress.mode & 0o6000 != 0 {
                    let op = Op::DressDirectory(relative(path), *dress);
                    self.draft.step(Phase::Mounts, op, &origin);
                }
                return;
            }
            What::Symlink(to) => {
                let op = Op::MakeSymlink(new_name(path), c_string(to));
                return self.draft.step(Phase::Mounts, op, &origin);
            }
            _ => {}
        }
        match placed.point.filter(|_| placed.make) {
            Some(Point::Directory) => {
                self.draft.step(
                    Phase::Mounts,
                    Op::MakeDirectory(new_name(path), 0o755),
                    &origin,
                );
            }
            Some(Point::File) => {
                self.draft
                    .step(Phase::Mounts, Op::MakeFile(new_name(path)), &origin);
            }
            None => {}
        }
        let target = relative(path);
        if let Some(slot) = self.open_bound(&what, &origin)
            && let What::Bind { source, .. } = &what
        {
            let source = source.clone();
            let op = match self.open_upper(&what, path, &origin) {
                Some(upper) => Op::MountOverlay {
                    lower: slot,
                    source,
                    upper,
                    attributes,
                    target,
                },
                None => Op::AttachSource {
                    slot,
                    source,
                    attributes,
                    target,
                },
            };
            return self.draft.step(Phase::Mounts, op, &origin);
        }
        let op = match what {
            What::Filesystem {
                kind,
                options,
                sealed,
            } => {
                // A file system of our own is read-only once its mount points are made.
                let own = kind == "tmpfs" && attributes.contains(Attributes::READ_ONLY);
                if sealed || own {
                    let attributes = attributes.with(Attributes::READ_ONLY);
                    let op = Op::SealMount {
                        target: target.clone(),
                        attributes,
                    };
                    self.draft.step(Phase::Seal, op, &origin);
                }
                let attributes = if own {
                    attributes.without(Attributes::READ_ONLY)
                } else {
                    attributes
                };
                filesystem(kind, options, attributes, target)
            }
            What::Secret(source, dress) => {
                let from = match source {
                    SecretSource::File(path) => SecretFrom::File(self.host_path(&path, None)),
                    SecretSource::Variable(name) => SecretFrom::Variable(name),
                };
                let secret = self.draft.slot();
                let op = Op::TakeSecret { slot: secret, from };
                self.draft.step(Phase::Secrets, op, &origin);
                let name = self.staged_name(&origin);
                let slot = self.draft.slot();
                let op = Op::StageSecret {
                    slot,
                    secret,
                    name,
                    dress,
                };
                self.draft.step(Phase::Staging, op, &origin);
                Op::AttachSource {
                    slot,
                    source: "a secret".into(),
                    attributes,
                    target,
                }
            }
            What::Socket(source) => {
                let slot = self.draft.slot();
                let op = Op::OpenSource {
                    slot,
                    source: self.host_path(&source, None),
                    depth: Depth::Alone,
                };
                self.draft.step(Phase::Sources, op, &origin);
                Op::AttachSource {
                    slot,
                    source,
                    attributes,
                    target,
                }
            }
            What::Node(node) => {
                let slot = self.draft.slot();
                let op = Op::MakeNode { slot, node };
                self.draft.step(Phase::Secrets, op, &origin);
                Op::AttachSource {
                    slot,
                    source: "a node of its own".into(),
                    attributes,
                    target,
                }
            }
            What::File(contents, dress) => {
                let name = self.staged_name(&origin);
                let slot = self.draft.slot();
                let op = Op::StageFile {
                    slot,
                    name,
                    contents,
                    dress,
                };
                self.draft.step(Phase::Staging, op, &origin);
                Op::AttachSource {
                    slot,
                    source: "contents of the profile".into(),
                    attributes,
                    target,
                }
            }
            What::Protect => Op::Protect { target, attributes },
            What::Mask if placed.point == Some(Point::File) => {
                // A device that cannot be opened, since the mount is nodev.
                let null = What::bind("/dev/null".into(), None);
                let Some(slot) = self.open_bound(&null, &origin) else {
                    return;
                };
                let attributes = HIDDEN.with(Attributes::READ_ONLY);
                Op::AttachSource {
                    slot,
                    source: "nothing".into(),
                    attributes,
                    target,
                }
            }
            What::Mask => {
                // An empty directory that nobody can list; with more mounted below, only entered.
                let mode = if placed.has_children { "111" } else { "000" };
                let attributes = HIDDEN.with(Attributes::READ_ONLY);
                let op = Op::SealMount {
                    target: target.clone(),
                    attributes,
                };
                self.draft.step(Phase::Seal, op, &origin);
                filesystem("tmpfs", tmpfs_options("64K", mode), HIDDEN, target)
            }
            What::Directory(_) | What::Symlink(_) | What::Bind { .. } => return,
        };
        self.draft.step(Phase::Mounts, op, &origin);
    }

    /// Adds the step that opens what is bound: where its descriptor goes. `None` of what is no bind.
    fn open_bound(&mut self, what: &What, origin: &Origin) -> Option<usize> {
        let What::Bind {
            source,
            idmap,
            trusted,
            depth,
            receives,
            locked,
            ..
        } = what
        else {
            return None;
        };
        let (source, depth) = (self.host_path(source, trusted.as_deref()), *depth);
        if *locked {
            let op = Op::LockFile(source.clone());
            self.draft.step(Phase::Locks, op, origin);
        }
        let idmap = idmap.as_ref();
        let idmap = idmap.map(|map| (self.draft.idmap(&map.users, &map.groups, origin), map.need));
        let slot = self.draft.slot();
        let (phase, op) = match idmap {
            Some((idmap, need)) => (
                Phase::MappedSources,
                Op::OpenMapped {
                    slot,
                    source,
                    depth,
                    idmap,
                    need,
                },
            ),
            None => (
                if *receives {
                    Phase::Receiving
                } else {
                    Phase::Sources
                },
                Op::OpenSource {
                    slot,
                    source,
                    depth,
                },
            ),
        };
        if *receives && !self.receives {
            self.receives = true;
            self.draft.step(phase, Op::MakeSlave, origin);
        }
        self.draft.step(phase, op, origin);
        Some(slot)
    }

    /// The name of the next file aside.
    fn staged_name(&mut self, origin: &Origin) -> CString {
        self.stage(origin);
        self.staged += 1;
        c_string((self.staged - 1).to_string())
    }

    /// Adds the step that makes a place aside, once.
    fn stage(&mut self, origin: &Origin) {
        if !std::mem::replace(&mut self.has_aside, true) {
            let options = vec![
                (c"mode".into(), c"700".into()),
                (c"size".into(), c"64M".into()),
            ];
            let op = Op::AttachStaging(options);
            self.draft.step(Phase::Staging, op, origin);
        }
    }

    /// Adds the steps that open where changes to what is bound go, if they go elsewhere.
    fn open_upper(&mut self, what: &What, at: &Path, origin: &Origin) -> Option<Upper> {
        let What::Bind { changes, idmap, .. } = what else {
            return None;
        };
        let changes = changes.as_ref()?;
        self.stage(origin);
        Some(match changes {
            Changes::Memory(size, inodes) => {
                let options = [("size", size.clone()), ("nr_inodes", inodes.to_string())];
                let options = options.map(|(key, value)| (c_string(key), c_string(value)));
                Upper::Memory(options.into())
            }
            Changes::Disk(kept) => {
                let layers = What::bind(kept.layers(), idmap.clone());
                let first = self
                    .kept
                    .iter()
                    .find(|(_, _, first, _)| first.name == kept.name);
                if let Some((at, _, _, first)) = first {
                    let text = format!(
                        "two trees whose changes are kept as `{}`: this one and {}",
                        kept.name,
                        at.display()
                    );
                    let help = "give one of them another name: `changes_name`, `project_name`";
                    let problem = Diagnostic::new(Code::Conflict, origin, text);
                    self.draft
                        .problem(problem.and(first, "the other one").help(help));
                    return None;
                }
                let lock = self.draft.slot();
                self.kept
                    .push((at.into(), lock, kept.clone(), origin.clone()));
                Upper::Disk(self.open_bound(&layers, origin)?)
            }
        })
    }

    /// Adds the steps that make a mount point in an overlay, and the folders on the way to it.
    fn provide(
        &mut self,
        path: &Path,
        at: &Path,
        point: Point,
        origin: &Origin,
        provided: &mut BTreeSet<PathBuf>,
    ) {
        let mut missing: Vec<_> = path.ancestors().take_while(|above| *above != at).collect();
        missing.reverse();
        for each in missing {
            if !provided.insert(each.into()) {
                continue;
            }
            let op = Op::ProvideMountPoint {
                name: new_name(each),
                directory: each != path || point == Point::Directory,
            };
            self.draft.step(Phase::Mounts, op, origin);
        }
    }

    /// Splits a path where trust ends: at the outermost tree that a command can write to, or where
    /// the one who asked for it says so.
    pub(super) fn host_path(&self, path: &Path, trusted: Option<&Path>) -> HostPath {
        let grants = self.grants.iter().map(PathBuf::as_path);
        // Most are told apart by their bytes; comparing by components takes ten times as long.
        let grant = grants
            .chain(trusted)
            .filter(|grant| {
                path.as_os_str()
                    .as_encoded_bytes()
                    .starts_with(grant.as_os_str().as_encoded_bytes())
            })
            .filter(|grant| path != *grant && path.starts_with(grant))
            .min_by_key(|grant| grant.components().count());
        match grant {
            Some(grant) => HostPath {
                trusted: c_string(grant),
                beneath: path.strip_prefix(grant).ok().map(c_string),
            },
            None => HostPath {
                trusted: c_string(path),
                beneath: None,
            },
        }
    }
}

fn filesystem(
    kind: &str,
    options: Vec<(String, Option<String>)>,
    attributes: Attributes,
    target: Target,
) -> Op {
    let options = options
        .into_iter()
        .map(|(key, value)| (c_string(key), value.map(c_string)))
        .collect();
    Op::MountFilesystem {
        kind: c_string(kind),
        options,
        attributes,
        target,
    }
}

fn relative(path: &Path) -> Target {
    c_string(path.strip_prefix("/").unwrap_or(path))
}

fn new_name(path: &Path) -> NewName {
    NewName {
        parent: relative(path.parent().unwrap_or(Path::new("/"))),
        name: c_string(path.file_name().unwrap_or_default()),
    }
}
