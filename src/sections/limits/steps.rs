//! From the limits of a profile to a group that has them, on this machine.

use super::io::{self, Io};
use super::part::{self, Part};
use super::{Limits, devices, huge_pages, key, processors, realtime, reserved, time, weights};
use crate::diag::{At, Origin};
use crate::host::cgroup::{Controller, IDLE_WEIGHT, Kind, Names};
use crate::plan::op::{Limit, Op, Rates};
use crate::plan::{Draft, Phase, needs};
use crate::profile::value::Size;
use crate::sections::{Profile, enforce::Level};

impl Limits {
    /// Makes the group, sets the limits and joins it; relays the output.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        draft.watch.wall_time = self.wall_time.clone();
        draft.watch.grace = self.grace.value.0;
        draft.watch.stop_signal = self.stop_signal.value;
        self.group(profile, draft);
    }

    fn group(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let disks = !self.io.is_empty() || self.io_weight.is_some();
        let limited = !self.group.is_empty() || !self.parts.is_empty() || disks;
        let mut devices = devices::ruled(profile, draft);
        let mut peers = profile.network.bounded_peers(draft);
        if !limited && devices.is_none() && peers.is_none() {
            return;
        }
        let enforce = &profile.enforce.limits;
        let off = enforce.value == Level::Off;
        if off && limited {
            draft.note(&enforce.origin, "the limits that need a cgroup are off");
        }
        if off && devices.is_none() && peers.is_none() {
            return;
        }
        let disks = disks && !off;
        let cgroups = draft.host.cgroups();
        let parent = self.parent.as_ref().filter(|_| !off);
        let below = parent.and_then(|parent| Some(cgroups.ok()?.below(&parent.value)));
        let cgroups = below.as_ref().map_or(cgroups, Ok);
        let bounded = self.bounds_memory();
        let lacks = |limit: &Limit| {
            let v1 = cgroups.is_ok_and(|all| all.is_v1(limit.controller()));
            v1.then(|| lacking_on_v1(limit, bounded)).flatten()
        };
        let mut group: Vec<&At<Limit>> = Vec::new();
        for limit in self.group.iter().filter(|_| !off) {
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
        let mut io: Vec<&At<Io>> = self.io.iter().filter(|_| !off).collect();
        for entry in io.iter().filter(|io| io.value.rates.writes()) {
            if cgroups.is_ok_and(|all| all.is_v1(Controller::Io)) {
                // What goes around the page cache is limited all the same.
                let what = ["`io` of what is written".into(), "is".into()];
                let why = "cgroup v1 does not know whose it is once it is in the page cache";
                lacking(draft, enforce.value, &entry.origin, what, why, NOT_ON_V1);
            }
        }
        let mut parts: Vec<&At<Part>> = self.parts.iter().filter(|_| !off).collect();
        let mut wanted: Vec<Controller> = parts
            .iter()
            .map(|part| part.value.of)
            .chain(group.iter().map(|limit| limit.value.controller()))
            .collect();
        wanted.sort_unstable();
        if disks {
            wanted.push(Controller::Io);
        }
        if devices.is_some() {
            wanted.push(Controller::Devices);
        }
        if peers.is_some() {
            wanted.push(Controller::Packets);
        }
        wanted.dedup();
        let asked = wanted.clone();
        // On v2 the owner of a page is known where the same group has both controllers.
        let v2 = cgroups.is_ok_and(|all| !all.is_v1(Controller::Io));
        if v2 && io.iter().any(|io| io.value.rates.writes()) {
            wanted.extend((!asked.contains(&Controller::Memory)).then_some(Controller::Memory));
        }
        for controller in &wanted {
            draft.wants(needs::of_controller(*controller));
        }
        let (place, lacks) = match cgroups {
            Ok(cgroups) => cgroups.place_most(&wanted),
            Err(_) => (None, Vec::new()),
        };
        // Why nothing of this controller's can be enforced here, and what would help.
        let lacks = |controller: Controller| match cgroups {
            Err(error) => Some((error.to_owned(), "mount a cgroup file system")),
            Ok(_) => lacks
                .iter()
                .find(|(lacked, _)| *lacked == controller)
                .map(|(_, no)| (no.to_string(), no.remedy())),
        };
        let mut without = Without {
            draft: &mut *draft,
            level: enforce.value,
            lacks: &lacks,
        };
        without.keep(&mut parts, |part| (part.of, part.key()));
        without.keep(&mut group, |limit| (limit.controller(), key(limit)));
        without.keep(&mut io, |_| (Controller::Io, "io"));
        let mut weight: Vec<_> = self.io_weight.iter().filter(|_| !off).collect();
        without.keep(&mut weight, |_| (Controller::Io, "io_weight"));
        if !asked.contains(&Controller::Memory) {
            without.keep_writes(&io);
        }
        if let Some((origin, (why, remedy))) = devices.zip(lacks(Controller::Devices)) {
            devices::lacking(profile, draft, origin, &why, remedy);
            devices = None;
        }
        if let Some(((_, origin), (why, remedy))) = peers.as_ref().zip(lacks(Controller::Packets)) {
            let text = format!("`peers` cannot be enforced: {why}");
            draft.refuse(origin, text, remedy);
            peers = None;
        }
        if let Some(place) = &place {
            group.retain(|limit| {
                let lacks = reserved::lacking(&limit.value, place)
                    .map(|why| (why, reserved::REMEDY))
                    .or_else(|| Some((realtime::lacking(&limit.value, place)?, realtime::REMEDY)))
                    .or_else(|| Some((huge_pages::lacking(&limit.value, draft)?, "leave it out")));
                let Some((why, remedy)) = lacks else {
                    return true;
                };
                let what = [format!("`{}`", key(&limit.value)), "is".into()];
                lacking(draft, enforce.value, &limit.origin, what, &why, remedy);
                false
            });
        }
        let (weights, unweighed) = match cgroups {
            Ok(cgroups) => weights::resolve(&weight, &io, cgroups, draft),
            Err(_) => Default::default(),
        };
        for (origin, why, remedy) in unweighed {
            let what = ["the weight".into(), "is".into()];
            lacking(draft, enforce.value, &origin, what, &why, remedy);
        }
        let origins = parts.iter().map(|part| &part.origin);
        let origins = origins.chain(group.iter().map(|limit| &limit.origin));
        let rated = io.iter().filter(|io| io.value.rates != Rates::default());
        let origins = origins.chain(rated.map(|io| &io.origin));
        let origins = origins.chain(weights.iter().map(|weight| &weight.origin));
        let bounded = peers.as_ref().map(|(_, origin)| *origin);
        let mut origins = origins.chain(devices).chain(bounded);
        let (Some(first), Some(place)) = (origins.next(), place) else {
            return;
        };
        self.watch_for(&group, draft);
        let cpuset = group.iter().find_map(|limit| match &limit.value {
            Limit::Cpuset(list) => Some(processors::cpus(list)),
            _ => None,
        });
        let parts = part::resolve(
            &parts,
            cpuset.as_deref(),
            self.period_us.value,
            &place,
            draft,
        );
        let all = parts.iter().chain(group.iter().copied());
        if let Some(why) = time::too_large(all.map(|limit| &limit.value)) {
            let burst = |limit: &&&At<Limit>| matches!(limit.value, Limit::CpuBurst(_));
            let origin = group
                .iter()
                .find(burst)
                .map_or(first, |burst| &burst.origin);
            draft.refuse(origin, why, "lower `cpu_burst`, or raise `cpu`");
        }
        let names = Names {
            run: crate::host::cgroup::group_name(),
            own: self.name.as_ref().map(|name| name.value.clone()),
        };
        if let Some((_, Kind::Scope(scope), _)) = place.v2() {
            let mut scope = scope.clone();
            scope.cpu_weight = group.iter().find_map(|limit| match limit.value {
                Limit::CpuWeight(weight) => Some(weight),
                Limit::CpuIdle => Some(IDLE_WEIGHT),
                _ => None,
            });
            draft.step(Phase::Scope, Op::AskForScope(scope), first);
        }
        let (v1, v2) = (!place.v1().is_empty(), place.v2().is_some());
        let made_for = self.name.as_ref().map(|name| &name.origin);
        let made_for = made_for.or(parent.map(|parent| &parent.origin));
        let op = Op::CreateGroup {
            place,
            parent: parent.map(|parent| parent.value.clone()),
            names,
        };
        draft.step(Phase::Group, op, made_for.unwrap_or(first));
        let io = io::resolve(&io, draft);
        for limit in parts.iter().chain(group).chain(&io).chain(&weights) {
            let op = Op::SetLimit(limit.value.clone());
            draft.step(Phase::Limits, op, &limit.origin);
            // The parts first: on v1, swap is set on top of memory.
            if let Limit::Memory(bytes) = limit.value {
                draft.watch.memory = Some(At::new(Size(bytes), limit.origin.clone()));
            }
        }
        if let Some(origin) = devices {
            let rules = profile.devices.rules(draft);
            draft.step(Phase::Limits, Op::LimitDevices(rules), origin);
        }
        if let Some((peers, origin)) = peers {
            draft.step(Phase::Limits, Op::LimitPeers(peers), origin);
        }
        if v1 {
            draft.step(Phase::JoinGroup, Op::JoinGroups, first);
        }
        draft.into_group = v2;
    }

    /// Whether there is a limit on memory beside that on swap.
    fn bounds_memory(&self) -> bool {
        let fixed = self.group.iter();
        let mut parts = self.parts.iter().map(|part| part.value.of);
        fixed
            .map(|limit| &limit.value)
            .any(|limit| matches!(limit, Limit::Memory(_)))
            || parts.any(|of| of == Controller::Memory)
    }

    /// What the supervisor watches over by what the group counts, of the limits that can be had.
    fn watch_for(&self, group: &[&At<Limit>], draft: &mut Draft<'_>) {
        let has = |controller| {
            let mut all = group.iter().map(|limit| limit.value.controller());
            all.any(|one| one == controller)
        };
        if has(Controller::Cpuacct) {
            draft.watch.cpu_time = self.cpu_time.clone();
            draft.watch.idle = self.idle.clone();
        }
        // A bound that is not in force would have the counter looked at too seldom.
        let bounds = self.group.iter().map(|limit| limit.value.controller());
        let mut bounds = bounds.filter(|c| matches!(c, Controller::Cpu | Controller::Cpuset));
        if bounds.all(has) {
            draft.watch.processors = self.processors;
        }
    }
}

/// Goes without what cannot be had, each limit by itself, or refuses the run, as `[enforce]` has it.
struct Without<'w, 'd> {
    draft: &'w mut Draft<'d>,
    level: Level,
    lacks: &'w dyn Fn(Controller) -> Option<(String, &'static str)>,
}

impl Without<'_, '_> {
    /// Keeps the limits whose controllers there are, and says of each other one that it is not in force.
    fn keep<T>(&mut self, limits: &mut Vec<&At<T>>, of: impl Fn(&T) -> (Controller, &'static str)) {
        limits.retain(|limit| {
            let (controller, key) = of(&limit.value);
            let Some((why, remedy)) = (self.lacks)(controller) else {
                return true;
            };
            // What follows from another limit goes with that.
            if !limit.origin.is_default() {
                let what = [format!("`{key}`"), "is".into()];
                lacking(self.draft, self.level, &limit.origin, what, &why, remedy);
            }
            false
        });
    }

    /// What is written can be told apart with the memory controller alone; what goes around the page
    /// cache is limited all the same.
    fn keep_writes(&mut self, io: &[&At<Io>]) {
        let Some((why, remedy)) = (self.lacks)(Controller::Memory) else {
            return;
        };
        for entry in io.iter().filter(|io| io.value.rates.writes()) {
            let what = ["`io` of what is written".into(), "is".into()];
            lacking(self.draft, self.level, &entry.origin, what, &why, remedy);
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
    what: [String; 2],
    why: &str,
    remedy: &str,
) {
    lacking_of("limits", draft, level, origin, what, why, remedy);
}

/// The same for what another key of `[enforce]` is about.
pub(super) fn lacking_of(
    key: &str,
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
    let help = format!("{remedy}; or set `{key} = \"prefer\"` under [enforce]");
    draft.refuse(origin, format!("{what} cannot be enforced: {why}"), help);
}

/// Why cgroup v1 cannot do what a limit says, if it cannot.
fn lacking_on_v1(limit: &Limit, bounded: bool) -> Option<&'static str> {
    match limit {
        Limit::Swap(_) if !bounded => {
            Some("cgroup v1 counts it together with memory, on which there is no limit here")
        }
        Limit::MemoryLow(_) | Limit::MemoryMin(_) => Some("cgroup v1 keeps no memory for anybody"),
        Limit::OomGroup(true) => Some("cgroup v1 kills one process for want of memory"),
        Limit::MemoryHigh(_) => Some(
            "cgroup v1 slows nobody down: its memory.soft_limit_in_bytes is looked at only when the whole machine runs short of memory",
        ),
        _ => None,
    }
}
