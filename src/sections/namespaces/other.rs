//! The network namespace of another sandbox, by the name under which that runs.

use super::{Choice, NAMED, NET, Namespaces, USER};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::runs::{Held, Running};
use crate::plan::op::{IdRange, NamespaceKind, Op};
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::user::Identity;
use caps::Capability;

/// The sandbox that is joined.
#[derive(Clone, Debug)]
pub(super) struct Other {
    name: String,
    running: Running,
    net: Held,
    /// Its user namespace, where that has to be entered: a network namespace takes CAP_SYS_ADMIN in the user namespace
    /// that it belongs to, and in that of who enters it (setns(2)). Root has both; a plain user has the first
    /// as the owner, and both inside.
    user: Option<Held>,
}

impl Namespaces {
    /// Of a sandbox, only the network is joined: the rest is what confines its command.
    pub(super) fn only_the_network(&self, problems: &mut Diagnostics) {
        for (choice, kind) in self.all() {
            let At { value, origin } = choice;
            if let Choice::Sandbox(name) = value
                && kind != NET
            {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        origin,
                        "of a sandbox that runs, only the network namespace is joined by name",
                    )
                    .help(format!(
                        "write `net = \"{NAMED}{name}\"`; for a command with all of its namespaces: sandbox exec {name} -- COMMAND"
                    )),
                );
            }
        }
    }

    /// The name of the sandbox whose network is joined.
    #[must_use]
    pub fn joined_sandbox(&self) -> Option<&str> {
        match &self.net.value {
            Choice::Sandbox(name) => Some(name),
            _ => None,
        }
    }

    /// The sandbox that is to be joined.
    pub(super) fn find_other(&self, draft: &mut Draft<'_>) -> Option<Other> {
        let name = self.joined_sandbox()?;
        let origin = &self.net.origin;
        let running = match draft.host.running(name) {
            Ok(running) => running,
            Err(why) => {
                let problem = Diagnostic::new(why.code, origin, why.message);
                draft.problem(problem.help(why.help));
                return None;
            }
        };
        let Some(net) = running.net else {
            draft.refuse(
                origin,
                format!("{name} has no network namespace of its own: it is in that of whoever started it"),
                "write `net = \"shared\"`, or start it with a network of its own",
            );
            return None;
        };
        let user = running.user.filter(|_| !draft.host.caller.has_rights());
        Some(Other {
            name: name.into(),
            running,
            net,
            user,
        })
    }

    /// Whether the command is in the user namespace of the sandbox whose network it joins.
    #[must_use]
    pub fn is_in_others_ids(&self) -> bool {
        self.other
            .as_ref()
            .is_some_and(|other| other.user.is_some())
    }

    /// The resolv.conf(5) of the sandbox that is joined, where it has one of its own.
    #[must_use]
    pub fn resolvers_of_other(&self) -> Option<&str> {
        self.other.as_ref()?.running.resolvers.as_deref()
    }

    /// Opens the other, and enters its network.
    pub(super) fn join_other(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let Some(other) = &self.other else {
            return;
        };
        let origin = &self.net.origin;
        let mut namespaces: Vec<(NamespaceKind, Held)> = Vec::new();
        if let Some(user) = other.user {
            if !self.user.value.is_new() {
                draft.refuse(
                    &self.user.origin,
                    format!(
                        "for the network of {}, a plain user's command is in its user namespace",
                        other.name
                    ),
                    "remove this line, or run both as root",
                );
            }
            if profile.capabilities.keeps(Capability::CAP_SYS_ADMIN) {
                draft.refuse(
                    profile.capabilities.origin_of(Capability::CAP_SYS_ADMIN),
                    format!("`sys_admin` would have power over the mounts: they belong to the user namespace of {}, in which no further one is made", other.name),
                    "remove it from `keep`, or run both as root",
                );
            }
            namespaces.push((USER, user));
        }
        namespaces.push((NET, other.net));
        let namespaces: Vec<_> = namespaces
            .into_iter()
            .map(|(kind, held)| (kind, held, draft.slot()))
            .collect();
        for (kind, held, slot) in &namespaces {
            let op = Op::JoinSandbox {
                name: other.name.clone(),
                kind: *kind,
                inode: held.inode,
                slot: *slot,
            };
            draft.step(Phase::Join, op, origin);
        }
        let op = Op::OpenSandbox {
            folder: other.running.folder.clone(),
            id: other.running.id.clone(),
            name: other.name.clone(),
            namespaces,
        };
        draft.step(Phase::Others, op, origin);
    }

    /// In the other's user namespace, its maps hold: those that the profile asks for have to be the same.
    pub fn agree(&self, identity: &Identity, draft: &mut Draft<'_>) {
        let Some(other) = self.other.as_ref().filter(|other| other.user.is_some()) else {
            return;
        };
        let Running {
            users,
            groups,
            setgroups,
            ..
        } = &other.running;
        let sorted = |ranges: &[IdRange]| {
            let mut ranges = ranges.to_vec();
            ranges.sort_by_key(|range| range.inside);
            ranges
        };
        for (ids, ours, theirs) in [
            ("uids", &identity.users, users),
            ("gids", &identity.groups, groups),
        ] {
            if sorted(ours) != *theirs {
                draft.refuse(
                    &self.net.origin,
                    format!(
                        "the {ids} are not those of {}, whose user namespace a plain user enters for its network: {} here, {} there (inside, outside, count)",
                        other.name,
                        shown(ours),
                        shown(theirs)
                    ),
                    "write the same `uid`, `gid`, `uid_map` and `gid_map` under [user] in both profiles, or run both as root",
                );
                return;
            }
        }
        if identity.sets_groups() != *setgroups {
            draft.refuse(
                &self.net.origin,
                format!("supplementary groups are dropped in one of both sandboxes, this one and {}, and not in the other", other.name),
                "write the same `gid_map` under [user] in both profiles",
            );
        }
    }
}

fn shown(ranges: &[IdRange]) -> String {
    let one = |range: &IdRange| format!("{} {} {}", range.inside, range.outside, range.count);
    let all: Vec<_> = ranges.iter().map(one).collect();
    all.join(", ")
}
