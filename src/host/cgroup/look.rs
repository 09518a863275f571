//! Looking at the unified hierarchy for a base directory.
//!
//! The no-internal-process rule of Documentation/admin-guide/cgroup-v2.rst decides: a group other than the
//! root either holds processes or hands controllers on to its children. The kernel bends the rule for a
//! populated group when only pids, cpu or cpuset are asked for, by making the group threaded; that cannot
//! be undone while it is in use and keeps everybody else out, so it is never made use of.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::systemd::is_delegated;
use super::{Cgroups, Controller, Kind, LEAF, MARK, NoPlace, Place, parse::Spot, run_name};

impl Cgroups {
    pub(super) fn place_v2(&self, wanted: &[Controller]) -> Result<Place, NoPlace> {
        let Some(path) = &self.v2 else {
            return Err(NoPlace::NotMounted {
                controller: wanted.first().copied(),
            });
        };
        let Spot { dir: own, top } = self.find(None, path)?;
        let place = |base: &Path, kind| Place::V2 {
            base: base.to_path_buf(),
            kind,
            enable: wanted.to_vec(),
        };
        if self.given {
            return self.given(&own, &top, wanted).map(|kind| place(&own, kind));
        }
        let parent = own.parent().filter(|_| own != top);
        let name = own.file_name().and_then(|n| n.to_str()).unwrap_or_default();

        if let Some(base) = parent.filter(|_| name == LEAF) {
            // An earlier or concurrent run has moved us here; the group we came from is the base.
            self.leaf_base(base, wanted)?;
            return Ok(place(base, Kind::Leaf));
        }
        // Without a controller there is nothing that a manager could take away.
        if is_root(&own) || (wanted.is_empty() && writable(&own).is_ok()) {
            writable(&own)?;
            self.hands_on(&own, wanted)?;
            return Ok(place(&own, Kind::Below));
        }
        let own_alone = || {
            self.leaf_base(&own, wanted)?;
            Ok(place(&own, Kind::Leaf))
        };
        let (manager, login) = match self.managed(&own, &top) {
            Some(managed) if managed.unit.is_some() => (Some(managed), None),
            login => (None, login),
        };
        if let Some(managed) = manager {
            // What systemd did not delegate it also changes: without it, what can be had is had, but
            // never beside our own group.
            return match is_delegated(&own) {
                true => own_alone(),
                false => match self.scope(&own, managed, wanted) {
                    Err(no @ (NoPlace::NoManager { .. } | NoPlace::Limited { .. })) => {
                        own_alone().map_err(|_| no)
                    }
                    found => found,
                },
            };
        }
        // A nested run must stay inside the group of the run around it, and any run inside the
        // limits that our own group has: beside it they would not hold.
        if let Some(parent) = parent
            && run_name(name).is_none()
            && !is_marked(&own)
            && !has_limits(&own, wanted)
            && self.beside(parent, wanted).is_ok()
        {
            return Ok(place(parent, Kind::Beside));
        }
        match (own_alone(), login) {
            (Err(NoPlace::NotDelegated { .. }), Some(login)) => self.scope(&own, login, wanted),
            (found, _) => found,
        }
    }

    /// Whether a child of `parent`, which is not our own group, can have the controllers.
    fn beside(&self, parent: &Path, wanted: &[Controller]) -> Result<(), NoPlace> {
        writable(parent)?;
        if !is_root(parent) {
            is_domain(parent)?;
            let on = words(&parent.join("cgroup.subtree_control"))?;
            let procs = read(&parent.join("cgroup.procs"))?;
            if !has_all(&on, wanted) && !procs.trim().is_empty() {
                return Err(NoPlace::NotDelegated {
                    path: parent.join("cgroup.subtree_control"),
                });
            }
        }
        self.hands_on(parent, wanted)
    }

    /// Whether a group can be made below the one that was asked for, and we moved there.
    fn given(&self, base: &Path, top: &Path, wanted: &[Controller]) -> Result<Kind, NoPlace> {
        if self.is_systemds(base, top) {
            return Err(NoPlace::Systemd { dir: base.into() });
        }
        self.beside(base, wanted).map_err(|no| match no {
            NoPlace::NotDelegated { path } if has_members(base) && may_write(&path).is_ok() => {
                NoPlace::Populated { dir: base.into() }
            }
            no => no,
        })?;
        // Who moves a process has to be allowed to write to what the two groups are both below (cgroup-v2.rst,
        // "Delegation Containment").
        if let (Some(from), Some(to)) = (&self.from, &self.v2) {
            let both = from.iter().zip(to).take_while(|(a, b)| a == b);
            let both: PathBuf = both.map(|(name, _)| name).collect();
            if let Some(spot) = self.spots(None, &both).first() {
                may_write(&spot.dir.join("cgroup.procs"))?;
            }
        }
        Ok(match is_root(base) {
            true => Kind::Below,
            false => Kind::Beside,
        })
    }

    fn leaf_base(&self, base: &Path, wanted: &[Controller]) -> Result<(), NoPlace> {
        writable(base)?;
        is_domain(base)?;
        self.hands_on(base, wanted)
    }

    /// Checks that children of `base` have the controllers, or that we can switch them on.
    fn hands_on(&self, base: &Path, wanted: &[Controller]) -> Result<(), NoPlace> {
        let here = words(&base.join("cgroup.controllers"))?;
        for &controller in wanted {
            if !here.iter().any(|w| w == controller.name()) {
                return Err(match self.v2_root_has(controller) {
                    true => NoPlace::NotHandedOn {
                        controller,
                        dir: base.to_path_buf(),
                    },
                    false => NoPlace::Missing { controller },
                });
            }
        }
        let switch = base.join("cgroup.subtree_control");
        if !has_all(&words(&switch)?, wanted) {
            may_write(&switch)?;
        }
        Ok(())
    }

    /// Whether the top of a v2 mount has the controller. The top need not be the true root, so "no" means
    /// only that nothing we can see has it.
    pub(super) fn v2_root_has(&self, controller: Controller) -> bool {
        self.v2
            .iter()
            .flat_map(|path| self.spots(None, path))
            .any(|spot| {
                words(&spot.top.join("cgroup.controllers"))
                    .is_ok_and(|all| has_all(&all, &[controller]))
            })
    }
}

/// Checks that groups can be made in `dir` and processes moved into them: for the latter it is the common
/// ancestor's `cgroup.procs` that counts on v2 (cgroup-v2.rst, "Delegation Containment").
pub(super) fn writable(dir: &Path) -> Result<(), NoPlace> {
    may_write(dir)?;
    // On v1 a process that joins needs the `tasks` file of the new group only.
    match dir.join("cgroup.controllers").exists() {
        true => may_write(&dir.join("cgroup.procs")),
        false => Ok(()),
    }
}

fn may_write(path: &Path) -> Result<(), NoPlace> {
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).map_err(|errno| {
        let path = path.to_path_buf();
        match errno {
            Errno::ROFS => NoPlace::ReadOnly { path },
            Errno::ACCESS | Errno::PERM => NoPlace::NotDelegated { path },
            other => NoPlace::Unreadable {
                path,
                cause: other.into(),
            },
        }
    })
}

/// The true root has no `cgroup.type`; the root of a cgroup namespace has one.
fn is_root(dir: &Path) -> bool {
    !dir.join("cgroup.type").exists()
}

/// Whether it is the group of a run, under a name that does not say so.
fn is_marked(dir: &Path) -> bool {
    let entries = crate::host::tree::entries(dir).unwrap_or_default();
    let names = entries.iter().filter_map(|(name, _)| name.to_str());
    let mut runs = names.filter_map(|name| name.strip_prefix(MARK));
    runs.any(|name| run_name(name).is_some())
}

fn has_members(dir: &Path) -> bool {
    read(&dir.join("cgroup.procs")).is_ok_and(|text| !text.trim().is_empty())
}

fn is_domain(dir: &Path) -> Result<(), NoPlace> {
    match read(&dir.join("cgroup.type"))?.trim() {
        "domain" => Ok(()),
        kind => Err(NoPlace::NotDomain {
            dir: dir.to_path_buf(),
            kind: kind.to_owned(),
        }),
    }
}

/// Whether the group itself is limited in a way that a sibling would not be.
///
/// Its pids limit does not count where the run gets its own: service managers put a generous one on
/// every group, and to stay inside it would mean to move everything in the group about for each run.
pub(super) fn has_limits(dir: &Path, wanted: &[Controller]) -> bool {
    let files = [
        ("memory.max", "max"),
        ("memory.high", "max"),
        ("memory.swap.max", "max"),
        ("cpu.max", "max"),
        ("cpuset.cpus", ""),
        ("io.max", ""),
        ("pids.max", "max"),
    ];
    files
        .into_iter()
        .filter(|(file, _)| *file != "pids.max" || !wanted.contains(&Controller::Pids))
        .any(|(file, free)| {
            read(&dir.join(file))
                .is_ok_and(|text| text.split(' ').next().map(str::trim) != Some(free))
        })
}

pub(super) fn has_all(words: &[String], wanted: &[Controller]) -> bool {
    wanted.iter().all(|c| words.iter().any(|w| w == c.name()))
}

pub(super) fn words(path: &Path) -> Result<Vec<String>, NoPlace> {
    Ok(read(path)?.split_whitespace().map(str::to_owned).collect())
}

fn read(path: &Path) -> Result<String, NoPlace> {
    std::fs::read_to_string(path).map_err(|cause: io::Error| NoPlace::Unreadable {
        path: path.to_path_buf(),
        cause,
    })
}
