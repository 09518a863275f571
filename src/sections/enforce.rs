//! `[enforce]`: what happens where this machine cannot do what a profile asks for.

use super::split;
use crate::diag::At;

crate::choice! {
    /// How much a mechanism matters.
    pub enum Level {
        /// The run is refused, with the reason and a remedy, before anything happens.
        Require = "require",
        /// The run goes on without it, and says so.
        Prefer = "prefer",
        /// It is not tried.
        Off = "off",
    }
}

crate::table! {
    /// What happens where this machine cannot do what the profile asks for.
    ///
    /// ```toml
    /// [enforce]
    /// limits = "prefer"
    /// ```
    pub struct RawEnforce as "[enforce]" {
        /// The limits of `[limits]` that need a cgroup: pids, memory, swap, cpu, cpuset.
        limits: Level = "require",
        /// Namespaces that the kernel may lack.
        namespaces: Wanted = "require",
        /// Mapped owners of bind mounts, where the file system of a source has none.
        idmap: Level = "require",
        /// The system call filter.
        seccomp: Level = "require",
    }
}

crate::choice! {
    /// How much namespaces matter. One that is not wanted at all is shared under `[namespaces]`.
    pub enum Wanted {
        /// The run is refused, with the reason and a remedy, before anything happens.
        Require = "require",
        /// The run goes on with a namespace that is shared, and says so.
        Prefer = "prefer",
    }
}

/// What must be enforced.
#[derive(Clone, Debug)]
pub struct Enforce {
    /// The limits of the group.
    pub limits: At<Level>,
    /// The namespaces.
    pub namespaces: At<Level>,
    /// The maps of owners.
    pub idmap: At<Level>,
    /// The filter.
    pub seccomp: At<Level>,
}

impl Enforce {
    /// Fills in the defaults.
    #[must_use]
    pub fn check(raw: Option<At<RawEnforce>>) -> Self {
        let (raw, _) = split(raw, "enforce");
        let namespaces = raw.namespaces.map(|wanted| match wanted {
            Wanted::Require => Level::Require,
            Wanted::Prefer => Level::Prefer,
        });
        Self {
            limits: raw.limits,
            namespaces,
            idmap: raw.idmap,
            seccomp: raw.seccomp,
        }
    }
}
