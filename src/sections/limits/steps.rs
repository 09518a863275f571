//! From the limits of a profile to a group that has them, on this machine.

use super::{Limits, io, key, part};
use crate::diag::{At, Origin};
use crate::host::cgroup::{Controller, Kind, Place};
use crate::plan::op::{Limit, Op};
use crate::plan::{Draft, Phase, needs};
use crate::profile::value::Size;
use crate::sections::{Profile, enforce::Level};

impl Limits {
    /// Makes the group, sets the limits and joins it.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        draft.watch.wall_time = self.wall_time.clone();
        draft.watch.grace = self.grace.value.0;
        if self.group.is_empty() && self.parts.is_empty() && self.io.is_empty() {
            return;
        }
        let enforce = &profile.enforce.limits;
        if enforce.value == Level::Off {
            return draft.note(&enforce.origin, "the limits that need a cgroup are off");
        }
        let cgroups = draft.host.cgroups();
        let lacks = |limit: &Limit| {
            let v1 = cgroups.is_ok_and(|all| all.is_v1(limit.controller()));
            v1.then(|| lacking_on_v1(limit)).flatten()
        };
        let mut group: Vec<&At<Limit>> = Vec::new();
        for limit in &self.group {
            match lacks(&limit.value) {
                None => group.push(limit),
                Some(why) => {
                    let key = key(&limit.value);
                    lacking(
                        draft,
                        enforce.value,
                        &limit.origin,
                        [format!("`{key}`"), "is".into()],
                        why,
                        NOT_ON_V1,
                    );
                }
            }
        }
        for entry in self.io.iter().filter(|io| io.value.rates.writes()) {
            if cgroups.is_ok_and(|all| all.is_v1(Controller::Io)) {
                // What goes around the page cache is limited all the same.
                let what = ["`io` of what is written".into(), "is".into()];
                let why = "cgroup v1 does not know whose it is once it is in the page cache";
                lacking(draft, enforce.value, &entry.origin, what, why, NOT_ON_V1);
            }
        }
        let origins = self.parts.iter().map(|part| &part.origin);
        let origins = origins.chain(group.iter().map(|limit| &limit.origin));
        let mut origins = origins.chain(self.io.iter().map(|io| &io.origin));
        let Some(first) = origins.next() else { return };
        let parts = self.parts.iter().map(|part| part.value.of);
        let mut wanted: Vec<Controller> = parts
            .chain(group.iter().map(|limit| limit.value.controller()))
            .collect();
        wanted.sort_unstable();
        if !self.io.is_empty() {
            wanted.push(Controller::Io);
            // On v2 the owner of a page is known where the same group has both controllers.
            let written = self.io.iter().any(|io| io.value.rates.writes());
            let v2 = cgroups.is_ok_and(|all| !all.is_v1(Controller::Io));
            if written && v2 && !wanted.contains(&Controller::Memory) {
                wanted.push(Controller::Memory);
            }
        }
        wanted.dedup();
        for controller in &wanted {
            draft.wants(needs::of_controller(*controller));
        }
        let place = cgroups
            .map_err(|error| (error.to_owned(), "mount a cgroup file system"))
            .and_then(|cgroups| {
                cgroups
                    .place(&wanted)
                    .map_err(|no| (no.to_string(), no.remedy()))
            });
        let place = match place {
            Ok(place) => place,
            Err((why, remedy)) => {
                let what = [format!("the limits on {}", list(&wanted)), "are".into()];
                return lacking(draft, enforce.value, first, what, &why, remedy);
            }
        };
        let parts = part::resolve(&self.parts, &place, draft);
        let v1 = matches!(place, Place::V1 { .. });
        let name = crate::host::cgroup::group_name();
        if let Place::V2 {
            kind: Kind::Scope(scope),
            ..
        } = &place
        {
            let mut scope = scope.clone();
            scope.cpu_weight = group.iter().find_map(|limit| match limit.value {
                Limit::CpuWeight(weight) => Some(weight),
                _ => None,
            });
            draft.step(Phase::Scope, Op::AskForScope(scope), first);
        }
        draft.step(Phase::Group, Op::CreateGroup { place, name }, first);
        let io = io::resolve(&self.io, draft);
        for limit in parts.iter().chain(group).chain(&io) {
            let op = Op::SetLimit(limit.value.clone());
            draft.step(Phase::Limits, op, &limit.origin);
        }
        // The parts first: on v1, swap is set on top of memory.
        draft.watch.memory = parts
            .iter()
            .find_map(|part| match part.value {
                Limit::Memory(bytes) => Some(At::new(Size(bytes), part.origin.clone())),
                _ => None,
            })
            .or_else(|| self.memory.clone());
        draft.watch.cpu_time = self.cpu_time.clone();
        draft.watch.processors = self.processors;
        if v1 {
            draft.step(Phase::JoinGroup, Op::JoinGroups, first);
        } else {
            draft.into_group = true;
        }
    }
}

/// The remedy for what v1 cannot do.
const NOT_ON_V1: &str = "leave it out, or boot with systemd.unified_cgroup_hierarchy=1";

/// Refuses the run, or says what it goes without, as `[enforce]` has it; `what` is the subject of the
/// sentence and its verb.
fn lacking(
    draft: &mut Draft<'_>,
    level: Level,
    origin: &Origin,
    [what, verb]: [String; 2],
    why: &str,
    remedy: &str,
) {
    if level == Level::Prefer {
        return draft.weaker(origin, format!("{what} {verb} not enforced: {why}"));
    }
    let help = format!("{remedy}; or set `limits = \"prefer\"` under [enforce]");
    draft.refuse(origin, format!("{what} cannot be enforced: {why}"), help);
}

/// Why cgroup v1 cannot do what a limit says, if it cannot.
fn lacking_on_v1(limit: &Limit) -> Option<&'static str> {
    match limit {
        Limit::MemoryHigh(_) => Some(
            "cgroup v1 slows nobody down: its memory.soft_limit_in_bytes is looked at only when the whole machine runs short of memory",
        ),
        _ => None,
    }
}

fn list(controllers: &[Controller]) -> String {
    controllers
        .iter()
        .map(|c| c.name())
        .collect::<Vec<_>>()
        .join(", ")
}
