//! How mounts lie to each other and to the rest of the profile.

use super::{Mount, Mounts, defaults, exposure, kernel, nesting};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin, Sources};
use crate::sections::{Profile, limits};
use std::path::Path;

impl Mounts {
    /// How mounts lie to each other and to the rest, and what of the host they expose. `sources`
    /// tell how a path is written.
    pub fn relate(&self, profile: &Profile, sources: &Sources, problems: &mut Diagnostics) {
        if !profile.namespaces.builds_root() {
            return;
        }
        nesting::check(&self.0, profile, problems);
        for mount in &self.0 {
            exposure::check(&mount.value, profile, sources, problems);
            kernel::relate(mount, profile, problems);
            mount.value.relate(profile, problems);
        }
    }

    /// The place of the mount on a path, if there is one.
    #[must_use]
    pub fn on(&self, path: &Path) -> Option<&Origin> {
        let found = self.0.iter().find(|mount| mount.value.target.value == path);
        found.map(|mount| &mount.value.target.origin)
    }

    /// Whether a directory can be there: not where nothing provides it, whatever the host has.
    #[must_use]
    pub fn can_hold(&self, path: &Path, profile: &Profile) -> bool {
        nesting::can_hold(&self.0, path, profile)
    }

    /// Whether any of them is at a path, around it or below it.
    #[must_use]
    pub fn concern(&self, path: &Path) -> bool {
        let mut targets = self.0.iter().map(|mount| &mount.value.target.value);
        targets.any(|target| target.starts_with(path) || path.starts_with(target))
    }

    /// The mounts that ask for mapped owners.
    pub fn mapped(&self) -> impl Iterator<Item = &Origin> {
        let asked = self.0.iter().filter_map(|mount| mount.value.idmap.as_ref());
        asked.filter(|idmap| idmap.value).map(|idmap| &idmap.origin)
    }

    /// Whether a program may have capabilities by its file.
    #[must_use]
    pub fn permit_file_capabilities(&self) -> bool {
        self.0
            .iter()
            .any(|mount| mount.value.nosuid.as_ref().is_some_and(|at| !at.value))
    }
}

impl Mount {
    /// What of it is said elsewhere too, or better.
    fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        if let Some(instead) = defaults::repeats(self, profile) {
            problems.push(
                Diagnostic::new(
                    Code::RepeatsDefault,
                    &self.target.origin,
                    format!("{} is so anyway", self.target.value.display()),
                )
                .help(instead),
            );
        }
        if let Some(owner) = &self.owner {
            owner.relate(profile, problems);
        }
        let nosuid = self.nosuid.as_ref().filter(|nosuid| !nosuid.value);
        if let Some(nosuid) = nosuid.filter(|_| profile.capabilities.keeps_none()) {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &nosuid.origin,
                    "setuid bits stay without effect (no_new_privs), and no capability is kept for files to give",
                )
                .help("remove the line"),
            );
        }
        limits::fits_memory(&self.size, profile, problems);
    }
}
