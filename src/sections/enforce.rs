//! `[enforce]`: what happens where this machine cannot do what a profile asks for.

mod landlock;

use super::{Profile, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
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
    /// What happens where this machine cannot do what the profile asks for.
    ///
    /// ```toml
    /// [enforce]
    /// limits = "prefer"
    /// ```
    pub struct RawEnforce as "[enforce]" {
        /// The limits of `[limits]` that need a cgroup: all but wall_time, grace, stop_signal, output and output_over.
        /// Each is looked at by itself.
        limits: Level = "require",
        /// The rules about devices of `[devices]`, which only root can have.
        devices: Level = "require",
        /// Namespaces that the kernel may lack.
        namespaces: Wanted = "require",
        /// Mapped owners of bind mounts and of a root that is a directory, where the file system has none.
        idmap: Level = "require",
        /// The system call filter.
        seccomp: Level = "require",
        /// That memory which can be written never becomes executable (`write_execute = false` under
        /// `[process]`).
        write_execute: Level = "require",
        /// That Landlock (landlock(7)) refuses once more what the mounts and the namespaces refuse:
        /// writing outside of the writable trees, TCP where there is no network, signals and abstract
        /// sockets to the outside. Nothing about files where the command may mount (`nested_user` under
        /// `[namespaces]`, the capability sys_admin): Landlock would refuse that too. What `[landlock]` and the ports of `[network]` ask for
        /// is required unless this is said.
        landlock: Level = "prefer",
        /// The labels of security modules (`apparmor`, `selinux` and `selinux_files` under `[process]`).
        labels: Level = "require",
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
    /// The rules about devices.
    pub devices: At<Level>,
    /// The namespaces.
    pub namespaces: At<Level>,
    /// The maps of owners.
    pub idmap: At<Level>,
    /// The filter.
    pub seccomp: At<Level>,
    /// That no written memory is executed.
    pub write_execute: At<Level>,
    /// The rules of Landlock.
    pub landlock: At<Level>,
    /// The labels of security modules.
    pub labels: At<Level>,
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
            devices: raw.devices,
            namespaces,
            idmap: raw.idmap,
            seccomp: raw.seccomp,
            write_execute: raw.write_execute,
            landlock: raw.landlock,
            labels: raw.labels,
        }
    }

    /// What is asked for elsewhere and switched off here.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let off = |level: &At<Level>, what: &str, asked: Vec<&Origin>| {
            let (first, others) = asked.split_first().filter(|_| level.value == Level::Off)?;
            let text = format!("what is said about {what} is switched off");
            let problem =
                Diagnostic::new(Code::SwitchedOff, &level.origin, text).and(first, "said here");
            let problem = others
                .iter()
                .fold(problem, |problem, other| problem.and(other, "and here"));
            Some(problem.help("write \"require\" or \"prefer\", or remove what is switched off"))
        };
        let limits = profile.limits.named().collect();
        let devices = profile.devices.ruled().into_iter().collect();
        let owners = profile.mounts.mapped().collect();
        let filter = profile.seccomp.asked().into_iter().collect();
        let memory = profile
            .process
            .refuses_write_execute()
            .into_iter()
            .collect();
        let found = [
            off(&self.limits, "limits", limits),
            off(&self.devices, "what may be done with devices", devices),
            off(&self.idmap, "the owners of mounts", owners),
            off(&self.seccomp, "system calls", filter),
            off(&self.write_execute, "written memory", memory),
            off(
                &self.landlock,
                "ports",
                profile.network.port_lists().collect(),
            ),
            off(
                &self.landlock,
                "rights by path",
                profile
                    .landlock
                    .bounds()
                    .map(|bound| &bound.origin)
                    .collect(),
            ),
            off(&self.labels, "labels", profile.process.labelled().collect()),
        ];
        for problem in found.into_iter().flatten() {
            problems.push(problem);
        }
        // The reverse: a filter that must be enforced, and none is asked for.
        let wanted = self.seccomp.value != Level::Off && !self.seccomp.origin.is_default();
        if let Some(off) = profile.seccomp.switched_off().filter(|_| wanted) {
            problems.push(
                Diagnostic::new(Code::SwitchedOff, off, "there is no filter to enforce")
                    .and(&self.seccomp.origin, "asked for here")
                    .help("choose a preset, or remove `seccomp` under [enforce]"),
            );
        }
    }

    /// What may silently be less than the rest of the profile says.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            limits,
            devices,
            namespaces,
            idmap,
            seccomp,
            write_execute,
            landlock,
            labels,
        } = self;
        [
            (limits, "limits", "limits on the group", 3_000),
            (devices, "devices", "rules about devices", 300),
            (namespaces, "namespaces", "new namespaces", 4_000),
            (idmap, "idmap", "mapped owners", 500),
            (seccomp, "seccomp", "the system call filter", 2_500),
            (
                write_execute,
                "write_execute",
                "what keeps written memory from being executed",
                300,
            ),
            (landlock, "landlock", "the rules of Landlock", 200),
            (labels, "labels", "labels of security modules", 300),
        ]
        .into_iter()
        .map(|(level, name, what, share)| {
            let (rank, words) = match level.value {
                Level::Require => (0, format!("run only with {what}")),
                Level::Prefer => (1, format!("run without {what} where they cannot be had")),
                Level::Off => (2, format!("run without {what}")),
            };
            let key = format!("enforce:{name}");
            // Rules that repeat what holds already are missed only by who has switched them off.
            let harmless = if name == "landlock" { 1 } else { 0 };
            let share = if rank <= harmless { 0 } else { share };
            Grant::rank(Area::Enforcement, key, rank, words, &level.origin).share(share)
        })
        .collect()
    }
}
