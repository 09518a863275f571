//! The tree that a plan builds, without building it: what is at a path inside, and who may do what with it.

use crate::diag::Origin;
use crate::host::Host;
use crate::plan::op::landlock::Ruleset;
use crate::plan::op::{Dress, IdRange, Ids, NewName, NewNode, NewRoot, Op, Upper};
use crate::plan::{Plan, Step};
use crate::sys::mount::Attributes;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

/// The id of what has no owner inside (`overflowuid`).
const NOBODY: u32 = 65_534;

/// Who asks, in ids of the host.
#[derive(Clone, Debug, Default)]
struct Asker {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    /// The id maps; empty where there is no user namespace.
    users: Vec<IdRange>,
    groups_map: Vec<IdRange>,
    /// The effective capabilities of the command.
    capabilities: u64,
    /// Whose are the files that the set-up makes.
    maker: (u32, u32),
}

/// What a mount shows.
#[derive(Clone, Debug)]
enum Shows {
    /// A tree or a file of the host, with the maps of its owners.
    Host(PathBuf, Vec<IdRange>, Vec<IdRange>),
    /// A file system of the sandbox's own, empty but for what is placed in it.
    Own(Dress),
    /// A file with contents from the profile.
    Contents(Dress),
    /// A node that is made.
    Node(NewNode),
    /// One of the kernel's.
    Kernel,
}

#[derive(Clone, Debug)]
struct Mount<'p> {
    shows: Shows,
    attributes: Attributes,
    origin: &'p Origin,
    /// The line that makes it read-only.
    sealed: &'p Origin,
    /// What becomes of changes, where they do not go into what it shows.
    aside: Option<&'static str>,
}

enum Thing<'p> {
    Directory(Dress, &'p Origin),
    File(&'p Origin),
    Link(PathBuf),
    Mount(Mount<'p>),
}

/// What a plan puts where.
pub(super) struct Inside<'p> {
    things: BTreeMap<PathBuf, Thing<'p>>,
    asker: Asker,
    /// The folder in which the command starts.
    pub(super) folder: PathBuf,
    /// The rules of Landlock.
    pub(super) rules: Option<&'p Ruleset>,
}

/// What is found at a path.
#[derive(Clone, Debug)]
pub(super) struct Found<'p> {
    /// The path, links followed.
    pub(super) path: PathBuf,
    /// The mount that it lies on.
    pub(super) attributes: Attributes,
    /// The line that shows it.
    pub(super) origin: &'p Origin,
    /// The line that makes its mount what it is.
    pub(super) sealed: &'p Origin,
    /// What becomes of changes, where they do not go into what is there.
    pub(super) aside: Option<&'static str>,
    /// What is there.
    pub(super) is: Is,
    /// Where it lies on the host, if it does.
    pub(super) on_host: Option<PathBuf>,
    /// Of a node that is made: whether it is one of blocks, and the two parts of its number.
    pub(super) number: Option<(bool, u32, u32)>,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Whether it belongs to an id that the sandbox has.
    known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Directory,
    File,
    Device,
    Socket,
}

/// Why nothing was found.
#[derive(Clone, Debug)]
pub(super) enum Lost<'p> {
    /// Nothing is there: the nearest directory above that is, and the line that shows that.
    Nothing(Box<Found<'p>>),
    /// A directory on the way may not be entered.
    Closed(Box<Found<'p>>),
    /// A component on the way is no directory.
    NotDirectory(Box<Found<'p>>),
    /// Too many links.
    Loop,
}

fn path_of(text: &CStr) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(text.to_bytes()))
}

fn named(name: &NewName) -> PathBuf {
    path_of(&name.parent).join(OsStr::from_bytes(name.name.to_bytes()))
}

impl Asker {
    fn of(plan: &Plan, host: &Host) -> Self {
        let mut asker = Self {
            uid: host.caller.uid,
            gid: host.caller.gid,
            ..Self::default()
        };
        let (mut uid, mut gid, mut groups) = (None, None, None);
        let mut maker = None;
        let mut denied = false;
        let (mut effective, mut ambient_only) = (0, 0);
        for step in &plan.steps {
            match &step.op {
                Op::WriteIdMap { ids, ranges, .. } => match ids {
                    Ids::User => asker.users.clone_from(ranges),
                    Ids::Group => asker.groups_map.clone_from(ranges),
                },
                Op::TakeIds { uid, gid } => maker = Some((*uid, *gid)),
                Op::SetUid(id) => uid = Some(*id),
                Op::SetGid(id) => gid = Some(*id),
                Op::SetGroups(list) => groups = Some(list.clone()),
                Op::DenySetgroups => denied = true,
                Op::SetCapabilities { sets, ambient, .. } => {
                    (effective, ambient_only) = (sets.effective, *ambient);
                }
                _ => {}
            }
        }
        let outside = |map: &[IdRange], id: u32| mapped(map, id).unwrap_or(NOBODY);
        asker.maker = maker.map_or((asker.uid, asker.gid), |(uid, gid)| {
            (outside(&asker.users, uid), outside(&asker.groups_map, gid))
        });
        // As any exec leaves them for a uid other than 0; uid 0 gains nothing by exec either.
        asker.capabilities = effective & ambient_only;
        if let Some(uid) = uid {
            asker.uid = outside(&asker.users, uid);
        }
        if let Some(gid) = gid {
            asker.gid = outside(&asker.groups_map, gid);
        }
        asker.groups = match groups {
            Some(list) => list
                .iter()
                .map(|g| outside(&asker.groups_map, *g))
                .collect(),
            None if denied => nix::unistd::getgroups()
                .map(|all| all.iter().map(|g| g.as_raw()).collect())
                .unwrap_or_default(),
            None => Vec::new(),
        };
        asker
    }

    /// Whether what is asked for may be done with something.
    fn may(&self, found: &Found<'_>, bits: u32) -> bool {
        const DAC_OVERRIDE: u64 = 1 << 1;
        const DAC_READ_SEARCH: u64 = 1 << 2;
        let shift = if self.uid == found.uid {
            6
        } else if self.gid == found.gid || self.groups.contains(&found.gid) {
            3
        } else {
            0
        };
        if found.mode >> shift & bits == bits {
            return true;
        }
        // A capability over the namespace counts for what belongs to ids of the namespace.
        let has = |capability| found.known && self.capabilities & capability != 0;
        let executes_file = bits & 1 != 0 && found.is != Is::Directory;
        let reads = bits & 2 == 0 && !executes_file && has(DAC_READ_SEARCH);
        reads || has(DAC_OVERRIDE) && !(executes_file && found.mode & 0o111 == 0)
    }
}

/// What becomes of changes in what an operation mounts, where they do not go into what it shows.
fn aside(op: &Op) -> Option<&'static str> {
    match op {
        Op::MountOverlay { upper, .. } | Op::AttachRoot(NewRoot::Overlay(_, upper, _)) => {
            Some(match upper {
                Upper::Memory(_) => "changes are thrown away in the end",
                Upper::Disk(_) => "changes are put aside, and the tree stays as it is",
            })
        }
        _ => None,
    }
}

/// An id through a map, from inside to outside; as it is without one.
fn mapped(map: &[IdRange], id: u32) -> Option<u32> {
    if map.is_empty() {
        return Some(id);
    }
    map.iter().find_map(|range| {
        let at = id
            .checked_sub(range.inside)
            .filter(|at| *at < range.count)?;
        range.outside.checked_add(at)
    })
}

fn has_inside(map: &[IdRange], id: u32) -> bool {
    let holds = |range: &IdRange| {
        id.checked_sub(range.outside)
            .is_some_and(|at| at < range.count)
    };
    map.is_empty() || map.iter().any(holds)
}

impl<'p> Inside<'p> {
    /// What a plan builds.
    pub(super) fn of(plan: &'p Plan, host: &Host) -> Self {
        let mut inside = Self {
            things: BTreeMap::new(),
            asker: Asker::of(plan, host),
            folder: "/".into(),
            rules: None,
        };
        let mut opened = BTreeMap::new();
        let mut maps = BTreeMap::new();
        for step in &plan.steps {
            inside.place(step, &mut opened, &mut maps);
        }
        inside
    }

    fn place(
        &mut self,
        Step { op, origin, .. }: &'p Step,
        opened: &mut BTreeMap<usize, Shows>,
        maps: &mut BTreeMap<usize, (Vec<IdRange>, Vec<IdRange>)>,
    ) {
        let on_host = |path: &crate::plan::op::HostPath| {
            let mut whole = path_of(&path.trusted);
            if let Some(beneath) = &path.beneath {
                whole.push(OsStr::from_bytes(beneath.to_bytes()));
            }
            whole
        };
        let mount = |shows, attributes| {
            Thing::Mount(Mount {
                shows,
                attributes,
                origin,
                sealed: origin,
                aside: aside(op),
            })
        };
        match op {
            Op::MakeIdmap {
                slot,
                users,
                groups,
            } => {
                maps.insert(*slot, (users.clone(), groups.clone()));
            }
            Op::OpenMapped {
                slot,
                source,
                idmap,
                ..
            } => {
                let (users, groups) = maps.get(idmap).cloned().unwrap_or_default();
                opened.insert(*slot, Shows::Host(on_host(source), users, groups));
            }
            Op::OpenSource { slot, source, .. } => {
                let shows = Shows::Host(on_host(source), Vec::new(), Vec::new());
                opened.insert(*slot, shows);
            }
            Op::StageFile { slot, dress, .. } | Op::StageSecret { slot, dress, .. } => {
                opened.insert(*slot, Shows::Contents(*dress));
            }
            Op::MakeNode { slot, node } => {
                opened.insert(*slot, Shows::Node(*node));
            }
            Op::AttachRoot(root) => {
                let (shows, attributes) = match root {
                    NewRoot::Overlay(slot, _, attributes) => {
                        let shows = opened.get(slot).cloned();
                        (shows.unwrap_or(Shows::Own(0o755.into())), *attributes)
                    }
                    NewRoot::Tmpfs(_) => (Shows::Own(0o755.into()), Attributes::NONE),
                    NewRoot::Tree(slot, attributes) => {
                        let shows = opened.get(slot).cloned();
                        (shows.unwrap_or(Shows::Own(0o755.into())), *attributes)
                    }
                };
                self.things.insert("/".into(), mount(shows, attributes));
            }
            Op::MakeDirectory(name, mode) => {
                let thing = Thing::Directory((*mode).into(), origin);
                self.things.insert(named(name), thing);
            }
            Op::DressDirectory(target, dress) => {
                let thing = Thing::Directory(*dress, origin);
                self.things.insert(path_of(target), thing);
            }
            Op::MakeFile(name) => {
                self.things.insert(named(name), Thing::File(origin));
            }
            Op::MakeSymlink(name, to) => {
                let to = OsStr::from_bytes(to.to_bytes()).into();
                self.things.insert(named(name), Thing::Link(to));
            }
            Op::MountFilesystem {
                kind,
                options,
                attributes,
                target,
            } => {
                let shows = match kind.to_bytes() {
                    b"tmpfs" => {
                        let option = |name: &CStr, radix| {
                            let found = options.iter().find(|(key, _)| key.as_c_str() == name);
                            let text = found.and_then(|(_, value)| value.as_ref()?.to_str().ok());
                            text.and_then(|text| u32::from_str_radix(text, radix).ok())
                        };
                        Shows::Own(Dress {
                            mode: option(c"mode", 8).unwrap_or(0o1777),
                            owner: option(c"uid", 10).zip(option(c"gid", 10)),
                        })
                    }
                    // Its files are much like those of the host's.
                    b"proc" => Shows::Host("/proc".into(), Vec::new(), Vec::new()),
                    b"sysfs" => Shows::Host("/sys".into(), Vec::new(), Vec::new()),
                    _ => Shows::Kernel,
                };
                self.things
                    .insert(path_of(target), mount(shows, *attributes));
            }
            Op::AttachSource {
                slot,
                attributes,
                target,
                ..
            }
            | Op::MountOverlay {
                lower: slot,
                attributes,
                target,
                ..
            } => {
                let shows = opened.get(slot).cloned().unwrap_or(Shows::Kernel);
                self.things
                    .insert(path_of(target), mount(shows, *attributes));
            }
            Op::Protect { target, attributes } => {
                let target = path_of(target);
                let (over, rest) = self.mount_of(&target);
                let Some(over) = over else { return };
                let shows = match &over.shows {
                    Shows::Host(source, users, groups) => {
                        Shows::Host(joined(source, &rest), users.clone(), groups.clone())
                    }
                    other => other.clone(),
                };
                let attributes = over.attributes.with(*attributes);
                self.things.insert(target, mount(shows, attributes));
            }
            Op::SealMount { target, attributes } => {
                if let Some(Thing::Mount(mount)) = self.things.get_mut(&path_of(target)) {
                    mount.attributes = *attributes;
                    mount.sealed = origin;
                }
            }
            Op::ChangeDirectory(folder) => self.folder = path_of(folder),
            Op::Restrict(rules) => self.rules = Some(rules),
            _ => {}
        }
    }

    /// The mount that a path lies on, and the rest of the path below it.
    fn mount_of(&self, path: &Path) -> (Option<&Mount<'p>>, PathBuf) {
        for above in path.ancestors() {
            if let Some(Thing::Mount(mount)) = self.things.get(above) {
                let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
                return (Some(mount), rest.into());
            }
        }
        (None, PathBuf::new())
    }

    /// What is at a path, its last component a link that is followed too.
    pub(super) fn find(&self, path: &Path) -> Result<Found<'p>, Lost<'p>> {
        let mut todo: Vec<_> = path.components().rev().map(owned).collect();
        let mut at = PathBuf::from("/");
        let mut found = self.look(&at).ok().flatten().ok_or(Lost::Loop)?;
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                found = self.look(&at).ok().flatten().ok_or(Lost::Loop)?;
                continue;
            }
            if name == "/" || name == "." {
                continue;
            }
            if found.is != Is::Directory {
                return Err(Lost::NotDirectory(found.into()));
            }
            if !self.asker.may(&found, 1) {
                return Err(Lost::Closed(found.into()));
            }
            let next = at.join(&name);
            match self.look(&next) {
                Err(to) => {
                    links += 1;
                    if links > 40 {
                        return Err(Lost::Loop);
                    }
                    if to.is_absolute() {
                        at = "/".into();
                        found = self.look(&at).ok().flatten().ok_or(Lost::Loop)?;
                    }
                    todo.extend(to.components().rev().map(owned));
                }
                Ok(Some(next_found)) => {
                    at = next;
                    found = next_found;
                }
                Ok(None) => return Err(Lost::Nothing(found.into())),
            }
        }
        Ok(found)
    }

    /// What is at a path without links before its end: something, nothing, or a link.
    fn look(&self, path: &Path) -> Result<Option<Found<'p>>, PathBuf> {
        let (mount, rest) = self.mount_of(path);
        let Some(mount) = mount else { return Ok(None) };
        let outside = |(uid, gid): (u32, u32)| {
            let of = |map: &[IdRange], id| mapped(map, id).unwrap_or(NOBODY);
            (of(&self.asker.users, uid), of(&self.asker.groups_map, gid))
        };
        let own = |is, dress: Dress, origin| {
            let (uid, gid) = dress.owner.map_or(self.asker.maker, outside);
            let mode = dress.mode;
            Found {
                path: path.into(),
                attributes: mount.attributes,
                origin,
                sealed: mount.sealed,
                aside: mount.aside,
                is,
                on_host: None,
                number: None,
                mode,
                uid,
                gid,
                known: true,
            }
        };
        match self.things.get(path) {
            Some(Thing::Link(to)) => return Err(to.clone()),
            // On a host's tree, what is made is a mount point that is covered at once.
            Some(Thing::Directory(dress, origin)) => {
                return Ok(Some(own(Is::Directory, *dress, origin)));
            }
            Some(Thing::File(origin)) => return Ok(Some(own(Is::File, 0o644.into(), origin))),
            Some(Thing::Mount(_)) | None => {}
        }
        match &mount.shows {
            Shows::Own(dress) if rest.as_os_str().is_empty() => {
                Ok(Some(own(Is::Directory, *dress, mount.origin)))
            }
            Shows::Node(node) => Ok(Some(Found {
                uid: node.owner.0,
                gid: node.owner.1,
                known: has_inside(&self.asker.users, node.owner.0)
                    && has_inside(&self.asker.groups_map, node.owner.1),
                number: Some((node.block, node.major, node.minor)),
                ..own(Is::Device, node.mode.into(), mount.origin)
            })),
            Shows::Contents(dress) => Ok(Some(own(Is::File, *dress, mount.origin))),
            Shows::Kernel if rest.as_os_str().is_empty() => {
                Ok(Some(own(Is::Directory, 0o755.into(), mount.origin)))
            }
            Shows::Own(_) | Shows::Kernel => Ok(None),
            Shows::Host(source, users, groups) => {
                let on_host = joined(source, &rest);
                let Ok(metadata) = std::fs::symlink_metadata(&on_host) else {
                    return Ok(None);
                };
                let kind = metadata.file_type();
                if kind.is_symlink() {
                    // A source is opened with its links followed; below it, they lead on inside.
                    if !rest.as_os_str().is_empty() {
                        return Err(std::fs::read_link(&on_host).unwrap_or_default());
                    }
                }
                let Ok(metadata) = std::fs::metadata(&on_host) else {
                    return Ok(None);
                };
                let kind = metadata.file_type();
                // /proc/self is the asker's own.
                let own = Path::new("/proc").join(std::process::id().to_string());
                let (owner, group) = if on_host.starts_with(own) {
                    (self.asker.uid, self.asker.gid)
                } else {
                    (
                        mapped(users, metadata.uid()).unwrap_or(NOBODY),
                        mapped(groups, metadata.gid()).unwrap_or(NOBODY),
                    )
                };
                Ok(Some(Found {
                    path: path.into(),
                    attributes: mount.attributes,
                    origin: mount.origin,
                    sealed: mount.sealed,
                    aside: mount.aside,
                    is: if kind.is_dir() {
                        Is::Directory
                    } else if kind.is_char_device() || kind.is_block_device() {
                        Is::Device
                    } else if kind.is_socket() {
                        Is::Socket
                    } else {
                        Is::File
                    },
                    on_host: Some(on_host),
                    number: None,
                    mode: metadata.mode() & 0o7777,
                    uid: owner,
                    gid: group,
                    known: has_inside(&self.asker.users, owner)
                        && has_inside(&self.asker.groups_map, group),
                }))
            }
        }
    }

    /// Whether the permissions let the command read (4), write (2) or execute (1) something.
    pub(super) fn may(&self, found: &Found<'_>, bits: u32) -> bool {
        self.asker.may(found, bits)
    }
}

impl Found<'_> {
    /// Mode and owner in words, as an id inside would be told of them.
    pub(super) fn permissions(&self) -> String {
        format!(
            "its mode is {:04o}, and its owner {}",
            self.mode,
            if self.known {
                "is an id that the sandbox has"
            } else {
                "is nobody that the sandbox knows"
            }
        )
    }

    /// Its permission bits.
    pub(super) fn mode(&self) -> u32 {
        self.mode
    }
}

fn owned(component: Component<'_>) -> std::ffi::OsString {
    component.as_os_str().to_owned()
}

/// Without a slash at the end, which would mean a directory.
fn joined(source: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        source.into()
    } else {
        source.join(rest)
    }
}
