//! A group in v1 hierarchies (cgroups(7), Documentation/admin-guide/cgroup-v1).

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::clear;
use super::error::{CgroupError, Operation};
use super::limits::Files;
use super::named::{self, Sign};
use super::sweep::{claim, turn};
use crate::host::cgroup::{Controller, Names, V1Hierarchy};

/// The directories of one run, one in each hierarchy that it needs.
pub(super) struct V1 {
    pub parts: Vec<Part>,
    pub tasks: Vec<OwnedFd>,
}

pub(super) struct Part {
    pub dir: PathBuf,
    pub controllers: Vec<Controller>,
    /// Held for as long as the run lives; see [`claim`].
    _claim: File,
    sign: Option<Sign>,
}

impl V1 {
    pub(super) fn create(hierarchies: &[V1Hierarchy], names: &Names) -> Result<V1, CgroupError> {
        let mut made = V1 {
            parts: Vec::new(),
            tasks: Vec::new(),
        };
        for hierarchy in hierarchies {
            if let Err(e) = made.add(hierarchy, names) {
                let _ = made.remove();
                return Err(e);
            }
        }
        Ok(made)
    }

    fn add(&mut self, hierarchy: &V1Hierarchy, names: &Names) -> Result<(), CgroupError> {
        // The lock keeps a sweeper in another pid namespace from taking the new group for a dead one
        // before it is claimed. Without it the worst that can happen is an error, so anybody who can
        // open the directory and hold the lock for ever must not be able to stop us.
        let turn = turn(&hierarchy.dir, Duration::from_millis(500));
        let (dir, sign) = named::make(&hierarchy.dir, names)?;
        let claim = claim(&dir).inspect_err(|_| {
            let _ = clear::remove(&dir);
            let _ = sign.as_ref().map(Sign::remove);
        })?;
        drop(turn);
        self.parts.push(Part {
            dir: dir.clone(),
            controllers: hierarchy.controllers.clone(),
            _claim: claim,
            sign,
        });
        if hierarchy.controllers.contains(&Controller::Cpuset) {
            let files = Files {
                dir: &dir,
                v2: false,
            };
            files.open_cpuset(&hierarchy.dir)?;
        }
        let tasks = dir.join("tasks");
        // The standard library opens everything with O_CLOEXEC.
        let file = OpenOptions::new()
            .write(true)
            .open(&tasks)
            .map_err(|e| CgroupError::new(&tasks, Operation::Open, e))?;
        self.tasks.push(file.into());
        Ok(())
    }

    /// The directories of another process's run, which are not claimed here.
    pub(super) fn of(groups: &[(Vec<Controller>, PathBuf)]) -> Result<V1, CgroupError> {
        let part = |(controllers, dir): &(Vec<Controller>, PathBuf)| {
            let file = File::open(dir).map_err(|e| CgroupError::new(dir, Operation::Open, e))?;
            Ok(Part {
                dir: dir.clone(),
                controllers: controllers.clone(),
                _claim: file,
                sign: None,
            })
        };
        Ok(V1 {
            parts: groups.iter().map(part).collect::<Result<_, _>>()?,
            tasks: Vec::new(),
        })
    }

    /// Opens what a process writes itself into.
    pub(super) fn open_tasks(&mut self) -> Result<(), CgroupError> {
        for part in &self.parts {
            let tasks = part.dir.join("tasks");
            let file = OpenOptions::new()
                .write(true)
                .open(&tasks)
                .map_err(|e| CgroupError::new(&tasks, Operation::Open, e))?;
            self.tasks.push(file.into());
        }
        Ok(())
    }

    pub(super) fn dir(&self, controller: Controller) -> Option<&PathBuf> {
        let part = self
            .parts
            .iter()
            .find(|p| p.controllers.contains(&controller));
        part.map(|p| &p.dir)
    }

    pub(super) fn kill(&self) {
        // A process is in all parts, unless its setup was cut short.
        for part in &self.parts {
            clear::kill(&part.dir);
        }
    }

    pub(super) fn remove(&mut self) -> Result<(), CgroupError> {
        self.tasks.clear();
        clear::remove_all(self.parts.iter().map(|p| p.dir.clone()))?;
        let signs = self.parts.iter().filter_map(|part| part.sign.as_ref());
        signs.map(Sign::remove).fold(Ok(()), Result::and)
    }
}
