//! Where this process may make a control group with limits, found by looking and never by guessing.
//!
//! Nothing here changes anything. The rules of the two versions are in cgroups(7),
//! Documentation/admin-guide/cgroup-v1 and Documentation/admin-guide/cgroup-v2.rst.

mod holder;
mod look;
mod parse;
mod systemd;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holder::Holder;
pub use parse::Cgroups;
pub use systemd::{IDLE_WEIGHT, Manager, Scope, Socket, Surroundings, run_of_scope, scope_name};

/// Where the processes of a populated v2 group wait while a run has its limits beside them.
pub const LEAF: &str = "sandbox.leaf";

/// A controller that a limit needs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Number of tasks.
    Pids,
    /// Memory and swap.
    Memory,
    /// Processor time.
    Cpu,
    /// Which processors.
    Cpuset,
    /// Counting processor time: a controller of v1 alone, since on v2 every group counts.
    Cpuacct,
    /// Input and output of block devices; `blkio` on v1.
    Io,
    /// Huge pages.
    Hugetlb,
    /// Which devices may be opened: a controller of v1 alone, since on v2 a program does it (bpf(2)).
    Devices,
    /// With whom packets are exchanged: no controller at all, but programs on a group of v2 (bpf(2)), also beside v1.
    Packets,
}

impl Controller {
    /// All of them.
    pub const ALL: [Controller; 9] = [
        Self::Pids,
        Self::Memory,
        Self::Cpu,
        Self::Cpuset,
        Self::Cpuacct,
        Self::Io,
        Self::Hugetlb,
        Self::Devices,
        Self::Packets,
    ];

    /// The kernel's name in v1, as in `/proc/self/cgroup`.
    pub fn v1_name(self) -> &'static str {
        match self {
            Self::Io => "blkio",
            other => other.name(),
        }
    }

    /// The kernel's name in v2, as in `cgroup.controllers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pids => "pids",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Cpuacct => "cpuacct",
            Self::Io => "io",
            Self::Hugetlb => "hugetlb",
            Self::Devices => "devices",
            Self::Packets => "packets",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the group of a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One directory in each v1 hierarchy that carries a wanted controller.
    V1 {
        /// Each hierarchy once.
        hierarchies: Vec<V1Hierarchy>,
    },
    /// One directory in the unified hierarchy.
    V2 {
        /// The directory below which the group is made.
        base: PathBuf,
        /// What that directory is to us.
        kind: Kind,
        /// The controllers that `base` has to hand on to its children (`cgroup.subtree_control`).
        enable: Vec<Controller>,
    },
    /// Both, where some of the controllers are bound to v1 and others to the unified hierarchy.
    Both {
        /// As in [`Place::V1`].
        hierarchies: Vec<V1Hierarchy>,
        /// As in [`Place::V2`].
        base: PathBuf,
        /// As in [`Place::V2`].
        kind: Kind,
        /// As in [`Place::V2`].
        enable: Vec<Controller>,
    },
}

impl Place {
    /// The v1 hierarchies of it.
    #[must_use]
    pub fn v1(&self) -> &[V1Hierarchy] {
        match self {
            Self::V1 { hierarchies } | Self::Both { hierarchies, .. } => hierarchies,
            Self::V2 { .. } => &[],
        }
    }

    /// What of it is in the unified hierarchy: the base, what that is to us, and what it hands on.
    #[must_use]
    pub fn v2(&self) -> Option<(&Path, &Kind, &[Controller])> {
        match self {
            Self::V1 { .. } => None,
            Self::V2 { base, kind, enable }
            | Self::Both {
                base, kind, enable, ..
            } => Some((base, kind, enable)),
        }
    }
}

/// The directories of a run's control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Groups {
    /// One in each hierarchy of v1, with the controllers that it has.
    pub v1: Vec<(Vec<Controller>, PathBuf)>,
    /// The one in the unified hierarchy.
    pub v2: Option<PathBuf>,
}

impl Groups {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v1.is_empty() && self.v2.is_none()
    }
}

/// What is missing of what was wanted.
pub type Lacking = Vec<(Controller, NoPlace)>;

/// A v1 hierarchy to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Hierarchy {
    /// All controllers of [`Controller`] that it carries, wanted or not: a new group has to be made
    /// usable for each of them (an empty cpuset admits nobody).
    pub controllers: Vec<Controller>,
    /// The directory of our own group in it; the new group goes below, so that it stays inside our limits.
    pub dir: PathBuf,
}

/// How the base directory of a v2 group relates to our own group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It is the parent of our own group.
    Beside,
    /// It is our own group, and may have children with controllers as it is (the true root may).
    Below,
    /// It is our own group, which holds processes: they have to move into a leaf ([`LEAF`]) first,
    /// because of the no-internal-process rule (Documentation/admin-guide/cgroup-v2.rst).
    Leaf,
    /// It is a scope that a manager of systemd is asked for; we move into it, and there into a leaf.
    Scope(Box<Scope>),
}

impl Kind {
    /// Whether processes have to be moved out of the base into a leaf.
    #[must_use]
    pub fn has_leaf(&self) -> bool {
        matches!(self, Self::Leaf | Self::Scope(_))
    }
}

/// Why no group with the wanted controllers can be made here.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// No cgroup file system that would carry the controllers is mounted in our mount namespace.
    #[error("no cgroup file system{} is mounted here", carrying(.controller))]
    NotMounted {
        /// The first controller that was looked for.
        controller: Option<Controller>,
    },
    /// This kernel has no such controller, or it is switched off.
    #[error("this kernel offers no {controller} controller")]
    Missing {
        /// The controller.
        controller: Controller,
    },
    /// v2: the controller exists, but the groups above do not hand it on to where we are.
    #[error("the {controller} controller is not available in {}", dir.display())]
    NotHandedOn {
        /// The controller.
        controller: Controller,
        /// The group that lacks it.
        dir: PathBuf,
    },
    /// The mounts here do not show our own group.
    #[error("our own control group, {}, cannot be seen through any mount here", path.display())]
    OutOfSight {
        /// Its path as `/proc/self/cgroup` has it.
        path: PathBuf,
    },
    /// The group that is to be the parent is not there.
    #[error("there is no control group {}{}", path.display(), carrying(.controller))]
    NoGroup {
        /// Its path as the profile has it.
        path: PathBuf,
        /// The controller of v1 whose hierarchy lacks it.
        controller: Option<Controller>,
    },
    /// v2: the group that is to be the parent holds processes, and so can hand nothing on.
    #[error("processes are in {}, so that no group below it can have limits", dir.display())]
    Populated {
        /// The parent.
        dir: PathBuf,
    },
    /// v2: systemd manages the group that is to be the parent, and did not delegate it.
    #[error("{} is systemd's own, which may take controllers away there at any time", dir.display())]
    Systemd {
        /// The parent.
        dir: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("{} is read-only", path.display())]
    ReadOnly {
        /// What would have to be written.
        path: PathBuf,
    },
    /// We may not write there: the group is not delegated to us.
    #[error("{} may not be written by this user{}", path.display(), Holder::of(.path).map_or("", Holder::words))]
    NotDelegated {
        /// What would have to be written.
        path: PathBuf,
    },
    /// v2: a login session's group, and no manager of the user's that could give another.
    #[error("{} is not delegated to uid {uid}, and no systemd user manager can be asked for another group: there is neither {}", own.display(), alternatives(.looked))]
    NoManager {
        /// Our own group.
        own: PathBuf,
        /// Whose manager is looked for.
        uid: u32,
        /// The sockets on which it would be called.
        looked: Vec<PathBuf>,
    },
    /// v2: systemd does not hand the controller on to the user's manager.
    #[error("systemd does not delegate the {controller} controller to the user manager, {}", dir.display())]
    NotGiven {
        /// The controller.
        controller: Controller,
        /// The manager's group.
        dir: PathBuf,
    },
    /// v2: our own group is limited in a way that a scope elsewhere would not be.
    #[error("{} is not delegated, and has limits that would not hold in another group", dir.display())]
    Limited {
        /// Our own group.
        dir: PathBuf,
    },
    /// v2: our group is threaded, and a threaded group cannot hold memory limits or be left by itself.
    #[error("the control group {} is of type `{kind}`", dir.display())]
    NotDomain {
        /// Our own group.
        dir: PathBuf,
        /// What its `cgroup.type` says.
        kind: String,
    },
    /// Something that should be readable is not.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

fn alternatives(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" nor ")
}

fn carrying(controller: &Option<Controller>) -> String {
    controller.map_or(String::new(), |c| format!(" with the {c} controller"))
}

impl NoPlace {
    /// What the person at the keyboard can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotMounted { .. } => {
                "mount cgroup2 on /sys/fs/cgroup, or give this container its cgroup file system"
            }
            Self::Missing { .. } => {
                "boot with a kernel that has the controller switched on (for memory, some need cgroup_enable=memory on the kernel command line)"
            }
            Self::NotHandedOn { .. } => {
                "ask for delegation: `systemd-run --user --scope -p Delegate=yes …`, and for cpu and cpuset a drop-in for user@.service with Delegate=cpu cpuset io memory pids"
            }
            Self::OutOfSight { .. } => {
                "mount the cgroup file system from inside this cgroup namespace, or start the container with a private one"
            }
            Self::ReadOnly { .. } => {
                "remount the cgroup file system read-write, or start the container so that its own group is writable"
            }
            Self::NotDelegated { path } => match Holder::of(path) {
                Some(holder) => holder.remedy(),
                None => {
                    "run in a delegated group: `systemd-run --user --scope -p Delegate=yes …` on v2, or a group below that root has handed over with chown"
                }
            },
            Self::NoManager { .. } => {
                "log in through PAM with pam_systemd (ssh, login; not su or sudo), or have root start the manager: `loginctl enable-linger USER`; and set XDG_RUNTIME_DIR where it is not /run/user/UID"
            }
            Self::NotGiven { .. } => {
                "as root, write `[Service]` and `Delegate=cpu cpuset io memory pids` into /etc/systemd/system/user@.service.d/delegate.conf, run `systemctl daemon-reload`, and log in anew"
            }
            Self::Limited { .. } => {
                "start from a group without limits of its own, or have it delegated: `Delegate=yes` in its unit"
            }
            Self::NoGroup { .. } => {
                "make it first (`mkdir` in the cgroup file system; on v1 in each hierarchy), or name one that is there"
            }
            Self::Populated { .. } => {
                "name a group that only has groups in it, or one below that is empty"
            }
            Self::Systemd { .. } => "name a group of a unit with `Delegate=yes`, or one below it",
            Self::NotDomain { .. } => {
                "start from a group whose cgroup.type is `domain`; a threaded group cannot be changed back"
            }
            Self::Unreadable { .. } => "mount /proc and the cgroup file system completely",
        }
    }
}

/// How often the own group is looked for, where it is not to be seen.
const LOOKS: u32 = 10;

impl Cgroups {
    /// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`; again where what they say is gone by then: runs that
    /// begin and end beside this one move it between its group and the leaf below.
    ///
    /// # Errors
    /// [`NoPlace::Unreadable`] when there is no usable `/proc`.
    pub fn read() -> Result<Cgroups, NoPlace> {
        for _ in 0..LOOKS {
            let all = Self::read_once()?;
            let own = all.v2.as_ref().map(|path| all.find(None, path));
            if !matches!(own, Some(Err(NoPlace::OutOfSight { .. }))) {
                return Ok(all);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Self::read_once()
    }

    fn read_once() -> Result<Cgroups, NoPlace> {
        let text = |path: &str| match std::fs::read(path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(cause) => Err(NoPlace::Unreadable {
                path: path.into(),
                cause,
            }),
        };
        let all = Self::parse(&text("/proc/self/cgroup")?, &text("/proc/self/mountinfo")?);
        Ok(all.with(Surroundings::here()))
    }

    /// The same with managers of systemd around it; [`Cgroups::parse`] assumes none.
    #[must_use]
    pub fn with(mut self, around: Surroundings) -> Self {
        self.around = around;
        self
    }

    /// The same for groups below the one of this path, in every hierarchy, and not our own; as `/proc/self/cgroup`
    /// has it.
    #[must_use]
    pub fn below(&self, parent: &Path) -> Self {
        let mut moved = self.clone();
        moved.v1.iter_mut().for_each(|one| one.path = parent.into());
        moved.from = moved.v2.replace(parent.into());
        moved.given = true;
        moved
    }

    /// Finds where a group with the wanted controllers can be made. Only looks.
    ///
    /// # Errors
    /// [`NoPlace`] says what is in the way.
    pub fn place(&self, wanted: &[Controller]) -> Result<Place, NoPlace> {
        let (v1, rest): (Vec<_>, Vec<_>) = wanted.iter().copied().partition(|c| self.is_v1(*c));
        let unified = !rest.is_empty() || v1.is_empty() && self.v2.is_some();
        let v2 = unified.then(|| self.place_unified(&rest)).transpose()?;
        Ok(match (v1.is_empty(), v2) {
            (true, Some(v2)) => v2,
            (false, Some(Place::V2 { base, kind, enable })) => Place::Both {
                hierarchies: self.place_v1(&v1)?,
                base,
                kind,
                enable,
            },
            _ => Place::V1 {
                hierarchies: self.place_v1(&v1)?,
            },
        })
    }

    /// The same for as many of the controllers as can be had together, and why the others cannot.
    #[must_use]
    pub fn place_most(&self, wanted: &[Controller]) -> (Option<Place>, Lacking) {
        // Nearly always it is all or nothing that is in the way.
        if let Ok(place) = self.place(wanted) {
            return (Some(place), Vec::new());
        }
        let (mut had, mut place, mut lacking) = (Vec::new(), None, Vec::new());
        for &controller in wanted {
            had.push(controller);
            match self.place(&had) {
                Ok(found) => place = Some(found),
                Err(no) => {
                    had.pop();
                    lacking.push((controller, no));
                }
            }
        }
        (place, lacking)
    }

    /// What no v1 hierarchy carries.
    fn place_unified(&self, wanted: &[Controller]) -> Result<Place, NoPlace> {
        // A group of the unified hierarchy counts processor time, and can have programs that decide about devices and
        // packets, without a controller.
        let free = [
            Controller::Cpuacct,
            Controller::Devices,
            Controller::Packets,
        ];
        let is_free = |c: &&Controller| free.contains(c) && self.v2.is_some();
        let wanted: Vec<_> = wanted.iter().filter(|c| !is_free(c)).copied().collect();
        if !self.v1.is_empty()
            && let Some(&controller) = wanted.iter().find(|c| !self.v2_root_has(**c))
        {
            return Err(NoPlace::Missing { controller });
        }
        self.place_v2(&wanted)
    }

    /// Whether the controller is in a v1 hierarchy.
    #[must_use]
    pub fn is_v1(&self, controller: Controller) -> bool {
        self.member(controller.v1_name()).is_some()
    }

    /// What `io.cost.qos` of the root group says of each disk; `None` where the root cannot be seen, or the kernel
    /// has no cost model.
    #[must_use]
    pub fn costs(&self) -> Option<String> {
        let spots = self.v2.iter().flat_map(|path| self.spots(None, path));
        let mut texts = spots.map(|spot| std::fs::read_to_string(spot.top.join("io.cost.qos")));
        texts.find_map(Result::ok)
    }

    /// Which versions are in use, and our own groups; `None` where there is no hierarchy.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let v1: Vec<_> = Controller::ALL
            .iter()
            .filter_map(|c| {
                Some(format!(
                    "{}:{}",
                    c.v1_name(),
                    self.member(c.v1_name())?.path.display()
                ))
            })
            .collect();
        let v2 = self.v2.as_ref().map(|path| path.display().to_string());
        match (v1.is_empty(), v2) {
            (true, None) => None,
            (true, Some(path)) => Some(format!("v2; our group is {path}")),
            (false, None) => Some(format!("v1; our groups are {}", v1.join(", "))),
            (false, Some(path)) => Some(format!(
                "v1 and v2 side by side; our groups are {}, in v2 {path}",
                v1.join(", ")
            )),
        }
    }

    fn place_v1(&self, wanted: &[Controller]) -> Result<Vec<V1Hierarchy>, NoPlace> {
        let mut hierarchies: Vec<V1Hierarchy> = Vec::new();
        for &controller in wanted {
            if hierarchies
                .iter()
                .any(|h| h.controllers.contains(&controller))
            {
                continue;
            }
            let Some(member) = self.member(controller.v1_name()) else {
                return Err(NoPlace::Missing { controller });
            };
            let spot = self.find(Some(controller), &member.path)?;
            look::writable(&spot.dir)?;
            hierarchies.push(V1Hierarchy {
                controllers: Controller::ALL
                    .into_iter()
                    .filter(|c| member.names.iter().any(|n| n == c.v1_name()))
                    .collect(),
                dir: spot.dir,
            });
        }
        Ok(hierarchies)
    }

    /// The first spot at which the group's directory really is: a mount may be covered by another.
    fn find(&self, v1: Option<Controller>, path: &Path) -> Result<parse::Spot, NoPlace> {
        let name = v1.map(Controller::v1_name);
        if !self.mounted(name) {
            return Err(NoPlace::NotMounted { controller: v1 });
        }
        self.spots(name, path)
            .into_iter()
            .find(|spot| spot.dir.join("cgroup.procs").exists())
            .ok_or_else(|| {
                let path = path.to_path_buf();
                match self.given {
                    true => NoPlace::NoGroup {
                        path,
                        controller: v1,
                    },
                    false => NoPlace::OutOfSight { path },
                }
            })
    }
}

/// What a group is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// [`group_name`]: whose it is.
    pub run: String,
    /// The name that the profile gives it.
    pub own: Option<String>,
}

impl Names {
    /// A group that has no name but that of the run.
    pub fn of_run(run: impl Into<String>) -> Self {
        Self {
            run: run.into(),
            own: None,
        }
    }
}

/// In a group with a name of its own, an empty group with this in front of the name of the run says whose it is.
pub const MARK: &str = "of.";

/// The process id and start time in the name of a run's group, `sandbox-<pid>-<start>`.
pub fn run_name(name: &str) -> Option<(u32, u64)> {
    let (pid, start) = name.strip_prefix("sandbox-")?.split_once('-')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (digits(pid) && digits(start)).then_some(())?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// The name for the group of this process's run, `sandbox-<pid>-<start>`; the start time is field 22 of
/// `/proc/self/stat`, in clock ticks since boot (proc_pid_stat(5)).
pub fn group_name() -> String {
    let start = start_time("self").unwrap_or(0);
    format!("sandbox-{}-{start}", std::process::id())
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); `pid` may be `self`.
pub fn start_time(pid: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the command's name, may contain anything; what follows begins with the third.
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    rest.split_whitespace().nth(19)?.parse().ok()
}
