//! systemd as the one who hands out groups: where a manager of it stands above our own group, and whether
//! it can be asked for a scope (systemd.scope(5)).
//!
//! A manager takes every group that it did not delegate for its own, and switches controllers off there
//! whenever none of its units needs them (systemd's docs/CGROUP_DELEGATION.md): a group that was made beside
//! one of its units loses its limits without a word. So a right to write is not enough here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::getxattr;

use super::look::{has_all, has_limits, words, writable};
use super::{Cgroups, Controller, Kind, LEAF, NoPlace, Place, group_name, run_name};

/// Which manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The one that is pid 1.
    System,
    /// The one of a user, `user@UID.service`.
    User,
}

impl Manager {
    /// As it stands in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "the systemd manager",
            Self::User => "the systemd user manager",
        }
    }
}

/// A socket on which a manager can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Where it is.
    pub path: PathBuf,
    /// Whether a message bus is behind it, and not the manager itself.
    pub bus: bool,
}

/// The weight by which a manager is told that others come first, whatever they want (`CPUWeight=idle`).
pub const IDLE_WEIGHT: u32 = 0;

/// A transient scope to ask for. This process moves into it, and it ends with its last process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Who is asked.
    pub manager: Manager,
    /// Where.
    pub socket: Socket,
    /// The name of the unit: see [`scope_name`].
    pub unit: String,
    /// The slice that it goes into: the one in which we are, so that its limits stay ours.
    pub slice: String,
    /// The unit in which we are, with which the scope is stopped; none if another manager started it.
    pub part_of: Option<String>,
    /// The directory that it will have.
    pub dir: PathBuf,
    /// The most tasks in it: as many as in the group that we leave. None for no limit.
    pub tasks: Option<u64>,
    /// Its share of processor time among its neighbours, who are no neighbours of a group inside it; or
    /// [`IDLE_WEIGHT`].
    pub cpu_weight: Option<u32>,
}

/// What is said about managers outside the hierarchy: the caller and the sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The effective user id.
    pub uid: u32,
    /// Where the user manager could be called, the best first.
    pub user: Vec<Socket>,
    /// Where the system manager could be called, and the group below which its units are.
    pub system: Option<(Socket, PathBuf)>,
}

impl Surroundings {
    /// Those of this process. The system manager is of use to root only.
    pub(super) fn here() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let runtime = runtime.map_or_else(|| format!("/run/user/{uid}").into(), PathBuf::from);
        let at = |path: PathBuf, bus| Socket { path, bus };
        let mut user = vec![at(runtime.join("systemd/private"), false)];
        let address = std::env::var_os("DBUS_SESSION_BUS_ADDRESS");
        user.extend(address.and_then(bus_path).map(|path| at(path, true)));
        let usual = at(runtime.join("bus"), true);
        if !user.contains(&usual) {
            user.push(usual);
        }
        let private = at("/run/systemd/private".into(), false);
        let system = (uid == 0 && private.is_there())
            .then(|| std::fs::read_to_string("/proc/1/cgroup").ok())
            .flatten()
            .and_then(|text| Some((private, above_init(&text)?)));
        Self { uid, user, system }
    }
}

impl Socket {
    fn is_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| found.file_type().is_socket())
    }
}

/// The path in the first address of a list that has one (D-Bus Specification, "Server Addresses").
pub(super) fn bus_path(addresses: OsString) -> Option<PathBuf> {
    let bytes = addresses.into_vec();
    let mut each = bytes.split(|byte| *byte == b';');
    each.find_map(|address| {
        let mut pairs = address.strip_prefix(b"unix:")?.split(|byte| *byte == b',');
        let path = pairs.find_map(|pair| pair.strip_prefix(b"path="))?;
        // Escaped bytes are rare, and the other ways to the manager are still there.
        (!path.contains(&b'%')).then(|| OsString::from_vec(path.to_vec()).into())
    })
}

/// The group in which systemd as pid 1 has its units: the one above `init.scope`.
pub(super) fn above_init(cgroup: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(path.strip_suffix("/init.scope")?).map(|root| match root {
        "" => "/".into(),
        root => root.into(),
    })
}

/// Where our own group stands below a manager.
pub(super) struct Managed {
    manager: Manager,
    /// The directory of the manager's own group, in which its slices are.
    dir: PathBuf,
    /// The slices around our own unit, outermost first; `app.slice` where another manager started it.
    slices: Vec<String>,
    /// Our own unit, where this manager started it.
    pub unit: Option<String>,
}

impl Cgroups {
    /// Whether a manager has the group for its own: there is one above, and it delegated none on the way.
    pub(super) fn is_systemds(&self, base: &Path, top: &Path) -> bool {
        let Some(path) = &self.v2 else { return false };
        let names: Vec<_> = path.iter().skip(1).collect();
        let service = format!("user@{}.service", self.around.uid);
        let user = names.iter().rposition(|name| *name == service.as_str());
        let system = self.around.system.as_ref();
        let system = system.filter(|(_, root)| path.starts_with(root));
        let depth = match (user, system) {
            (Some(at), _) => at + 1,
            (None, Some((_, root))) => root.iter().count() - 1,
            (None, None) => return false,
        };
        let below = base.ancestors().take(names.len() - depth);
        !below
            .into_iter()
            .any(|dir| dir.starts_with(top) && is_delegated(dir))
    }

    /// The manager that hands out groups where our own is. None where nobody does, where our own group
    /// lies inside a unit, which was then delegated, and in a run, which must not leave its limits.
    pub(super) fn managed(&self, own: &Path, top: &Path) -> Option<Managed> {
        let path = self.v2.as_ref()?;
        let names: Vec<&str> = path
            .iter()
            .skip(1)
            .map(|n| n.to_str().unwrap_or_default())
            .collect();
        if names.iter().any(|n| *n == LEAF || run_name(n).is_some()) {
            return None;
        }
        let uid = self.around.uid;
        let service = format!("user@{uid}.service");
        let position = |name: &str| names.iter().rposition(|n| *n == name);
        let directory = |depth: usize| {
            let found = own.ancestors().nth(names.len().checked_sub(depth)?)?;
            found.starts_with(top).then(|| found.to_path_buf())
        };
        let system = || {
            let (_, root) = self.around.system.as_ref()?;
            path.starts_with(root).then(|| root.iter().count() - 1)
        };
        let (manager, depth) = match (position(&service), system()) {
            (Some(at), _) => (Manager::User, at + 1),
            (None, Some(depth)) => (Manager::System, depth),
            (None, None) => {
                // A login: beside its scope, in the slice of the user, is the user's manager.
                let at = position(&format!("user-{uid}.slice"))?;
                return Some(Managed {
                    manager: Manager::User,
                    dir: directory(at + 1)?.join(service),
                    slices: vec!["app.slice".into()],
                    unit: None,
                });
            }
        };
        let below = names.get(depth..)?;
        let slices = below.iter().take_while(|n| n.ends_with(".slice"));
        let slices: Vec<String> = slices.map(|n| (*n).to_owned()).collect();
        let [unit] = below.get(slices.len()..)? else {
            return None;
        };
        Some(Managed {
            manager,
            dir: directory(depth)?,
            slices,
            unit: Some((*unit).to_owned()),
        })
    }

    /// The scope to ask a manager for, if it can be asked and has the controllers.
    pub(super) fn scope(
        &self,
        own: &Path,
        managed: Managed,
        wanted: &[Controller],
    ) -> Result<Place, NoPlace> {
        let Managed {
            manager,
            dir,
            slices,
            unit,
        } = managed;
        // A limit on tasks every unit has; the scope takes it along.
        if has_limits(own, &[Controller::Pids]) {
            return Err(NoPlace::Limited { dir: own.into() });
        }
        let socket = match manager {
            Manager::System => self.around.system.iter().map(|(socket, _)| socket).next(),
            Manager::User => self.around.user.iter().find(|socket| socket.is_there()),
        };
        let here = words(&dir.join("cgroup.controllers"));
        let (Some(socket), Ok(here)) = (socket, here) else {
            let looked = self.around.user.iter().map(|socket| socket.path.clone());
            return Err(NoPlace::NoManager {
                own: own.into(),
                uid: self.around.uid,
                looked: looked.collect(),
            });
        };
        writable(&dir)?;
        if let Some(&controller) = wanted.iter().find(|c| !has_all(&here, &[**c])) {
            return Err(match self.v2_root_has(controller) {
                true => NoPlace::NotGiven { controller, dir },
                false => NoPlace::Missing { controller },
            });
        }
        let name = scope_name();
        let base = dir.join(slices.iter().collect::<PathBuf>()).join(&name);
        Ok(Place::V2 {
            base: base.clone(),
            kind: Kind::Scope(Box::new(Scope {
                manager,
                socket: socket.clone(),
                slice: slices.last().map_or("-.slice", String::as_str).to_owned(),
                dir: base,
                unit: name,
                // pid 1's own scope is stopped never.
                tasks: words(&own.join("pids.max"))
                    .ok()
                    .and_then(|all| all.first()?.parse().ok()),
                cpu_weight: None,
                part_of: unit.filter(|unit| unit != "init.scope"),
            })),
            enable: wanted.to_vec(),
        })
    }
}

/// The name for this process's scope, `sandbox-<pid>-<start>-<namespace>.scope`: that of its group, and
/// the pid namespace in which the id means something, since a manager may serve several.
pub fn scope_name() -> String {
    format!("{}-{}.scope", group_name(), pid_namespace().unwrap_or(0))
}

/// The process id and start time in the name of a scope, if it is one of this pid namespace.
pub fn run_of_scope(name: &str) -> Option<(u32, u64)> {
    let (run, namespace) = name.strip_suffix(".scope")?.rsplit_once('-')?;
    let here = pid_namespace()?;
    run_name(run).filter(|_| namespace == here.to_string())
}

/// The inode number of our pid namespace (namespaces(7)).
fn pid_namespace() -> Option<u64> {
    let found = std::fs::metadata("/proc/self/ns/pid").ok()?;
    Some(std::os::unix::fs::MetadataExt::ino(&found))
}

/// Whether systemd says that it has delegated the group. A user manager does not say so, as of
/// systemd 252, and the first of the names is root's to read (xattr(7)).
pub(super) fn is_delegated(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        getxattr(dir, *name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}
