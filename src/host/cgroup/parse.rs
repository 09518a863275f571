//! The two texts that say where this process stands: `/proc/self/cgroup` (cgroups(7)) and
//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::Surroundings;

/// The control groups of this process and the mounts through which they can be seen.
///
/// Nothing is looked up in the file system yet: the value is a pure function of the two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cgroups {
    pub(super) v1: Vec<Member>,
    pub(super) v2: Option<PathBuf>,
    mounts: Vec<Mount>,
    pub(super) around: Surroundings,
    /// Whether the paths are those of a group that was asked for, and not of our own.
    pub(super) given: bool,
    /// Our own group in the unified hierarchy, then.
    pub(super) from: Option<PathBuf>,
}

/// Our membership in one v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The kernel's names, also of controllers that no limit of ours uses.
    pub names: Vec<String>,
    /// As the kernel prints it: relative to the root of the reader's cgroup namespace.
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    v2: bool,
    /// v1: the options of the superblock, among which are the names of its controllers.
    options: Vec<String>,
    root: PathBuf,
    point: PathBuf,
    read_only: bool,
}

/// A group's directory, and the top directory of the mount in which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub dir: PathBuf,
    pub top: PathBuf,
}

impl Cgroups {
    /// Reads the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
    ///
    /// Lines that do not have the documented form are passed over: a later question about what they
    /// would have said is then answered with an error.
    pub fn parse(cgroup: &str, mountinfo: &str) -> Cgroups {
        let mut all = Cgroups::default();
        for line in cgroup.lines() {
            // A path may itself contain colons.
            let mut fields = line.splitn(3, ':');
            let (Some(id), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if !path.starts_with('/') {
                continue;
            }
            if id == "0" && names.is_empty() {
                all.v2 = Some(path.into());
            } else {
                all.v1.push(Member {
                    names: names.split(',').map(str::to_owned).collect(),
                    path: path.into(),
                });
            }
        }
        all.mounts = mountinfo.lines().filter_map(mount).collect();
        all
    }

    /// The v1 hierarchies as mount(2) names them: a name for a directory, and the options of the
    /// file system `cgroup`. Empty where everything is in the unified hierarchy.
    pub fn v1_options(&self) -> Vec<(String, Vec<String>)> {
        self.v1
            .iter()
            .map(|member| {
                let mut options = member.names.clone();
                // A hierarchy without controllers is found by its name only with this.
                if options.iter().any(|name| name.starts_with("name=")) {
                    options.push("none".into());
                }
                (member.names.join(",").replace("name=", ""), options)
            })
            .collect()
    }

    /// The v1 hierarchy that carries the controller of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.v1.iter().find(|m| m.names.iter().any(|n| n == name))
    }

    /// Whether a hierarchy is mounted at all: `Some(name)` asks for a v1 controller, `None` for v2.
    pub(super) fn mounted(&self, v1: Option<&str>) -> bool {
        self.mounts.iter().any(|m| m.carries(v1))
    }

    /// The tops of all that is mounted here of any hierarchy, and can be written to.
    #[must_use]
    pub fn tops(&self) -> Vec<&Path> {
        let writable = self.mounts.iter().filter(|mount| !mount.read_only);
        writable.map(|mount| &*mount.point).collect()
    }

    /// Where the group `path` of a hierarchy can be seen, the best place first: one that is mounted
    /// writable before one that is not, and a later mount before an earlier, which it may cover.
    pub(super) fn spots(&self, v1: Option<&str>, path: &Path) -> Vec<Spot> {
        let mut found: Vec<(bool, Spot)> = self
            .mounts
            .iter()
            .rev()
            .filter(|m| m.carries(v1))
            .filter_map(|m| {
                Some((
                    m.read_only,
                    Spot {
                        dir: below(&m.root, &m.point, path)?,
                        top: m.point.clone(),
                    },
                ))
            })
            .collect();
        found.sort_by_key(|(read_only, _)| *read_only);
        found.into_iter().map(|(_, spot)| spot).collect()
    }
}

impl Mount {
    fn carries(&self, v1: Option<&str>) -> bool {
        match v1 {
            None => self.v2,
            Some(name) => !self.v2 && self.options.iter().any(|o| o == name),
        }
    }
}

fn mount(line: &str) -> Option<Mount> {
    let fields: Vec<&str> = line.split(' ').collect();
    // Six fields, any number of optional ones, a dash, three more.
    let dash = 6 + fields.get(6..)?.iter().position(|f| *f == "-")?;
    let v2 = match *fields.get(dash + 1)? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let options: Vec<String> = fields
        .get(dash + 3)?
        .split(',')
        .map(str::to_owned)
        .collect();
    let read_only = options.iter().any(|o| o == "ro") || fields[5].split(',').any(|o| o == "ro");
    Some(Mount {
        v2,
        options,
        root: unescape(fields[3]),
        point: unescape(fields[4]),
        read_only,
    })
}

/// Undoes the octal escapes (`\040` for a space) of mountinfo.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The directory of group `path` in a mount at `point` that shows the groups from `root` down.
///
/// Both are relative to our cgroup namespace, so either may begin with `/..` (cgroup_namespaces(7));
/// a path that would have to climb out of the mount, or whose way back down has no name, is unseen.
fn below(root: &Path, point: &Path, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(root).ok()?;
    if !rest.components().all(|c| matches!(c, Component::Normal(_))) {
        return None;
    }
    Some(match rest.as_os_str().is_empty() {
        true => point.to_path_buf(),
        false => point.join(rest),
    })
}
