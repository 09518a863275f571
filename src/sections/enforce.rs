//! `[enforce]`: what happens where this machine cannot do what a profile asks for.

use super::{or_default, split};
use crate::diag::At;
use crate::review::{Area, Grant};

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
    /// Each: `"require"` (the default), `"prefer"` or `"off"`.
    pub struct RawEnforce as "[enforce]" {
        /// The limits of `[limits]` that need a cgroup: pids, memory, swap, cpu, cpuset.
        limits: Level,
        /// Namespaces that the kernel may lack.
        namespaces: Wanted,
        /// Mapped owners of bind mounts, where the file system of a source has none.
        idmap: Level,
        /// The system call filter.
        seccomp: Level,
    }
}

crate::choice! {
    /// How much namespaces matter. One that is not wanted at all is shared under `[namespaces]`.
    pub enum Wanted {
        /// See [`Level::Require`].
        Require = "require",
        /// See [`Level::Prefer`].
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
        let namespaces = raw.namespaces.map(|at| {
            at.map(|wanted| match wanted {
                Wanted::Require => Level::Require,
                Wanted::Prefer => Level::Prefer,
            })
        });
        Self {
            limits: or_default(raw.limits, "enforce.limits", Level::Require),
            namespaces: or_default(namespaces, "enforce.namespaces", Level::Require),
            idmap: or_default(raw.idmap, "enforce.idmap", Level::Require),
            seccomp: or_default(raw.seccomp, "enforce.seccomp", Level::Require),
        }
    }

    /// What may silently be less than the rest of the profile says.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            limits,
            namespaces,
            idmap,
            seccomp,
        } = self;
        [
            (limits, "limits", "limits on the group", 3_000),
            (namespaces, "namespaces", "new namespaces", 4_000),
            (idmap, "idmap", "mapped owners", 500),
            (seccomp, "seccomp", "the system call filter", 2_500),
        ]
        .into_iter()
        .map(|(level, name, what, share)| {
            let (rank, words) = match level.value {
                Level::Require => (0, format!("run only with {what}")),
                Level::Prefer => (1, format!("run without {what} where they cannot be had")),
                Level::Off => (2, format!("run without {what}")),
            };
            let key = format!("enforce:{name}");
            Grant::rank(Area::Enforcement, key, rank, words, &level.origin).share(if rank == 0 {
                0
            } else {
                share
            })
        })
        .collect()
    }
}
