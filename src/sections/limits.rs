//! `[limits]`: what the command and all its descendants may use together (cgroups(7)).

use super::{Profile, enforce::Level, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::cgroup::{Controller, Place};
use crate::plan::op::{Limit, Op};
use crate::plan::{Draft, Phase, needs};
use crate::profile::value::{Cores, Duration, Size};
use crate::review::grant::UNLIMITED;
use crate::review::{Area, Extent, Grant};

crate::table! {
    /// What the command and all its descendants may use together.
    ///
    /// ```toml
    /// [limits]
    /// pids = 200
    /// memory = "2G"
    /// cpu = 1.5
    /// wall_time = "10m"
    /// grace = "10s"
    /// ```
    pub struct RawLimits as "[limits]" {
        /// The most processes and threads, the sandbox's own init included.
        pids: u64,
        /// The most memory, page cache included; beyond it the whole sandbox is killed.
        memory: Size,
        /// The most swap, on top of memory. Default: 0 where `memory` is set.
        swap: Size,
        /// Processor time, in processors: 0.5 is half of one.
        cpu: Cores,
        /// Which processors, as cpuset(7) lists them: `"0-3,7"`.
        cpuset: String,
        /// How long the command may run; then it gets SIGTERM, and after `grace` SIGKILL.
        wall_time: Duration,
        /// How long after SIGTERM, whoever sent it.
        grace: Duration = "5s",
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Limits {
    group: Vec<At<Limit>>,
    memory: Option<At<Size>>,
    wall_time: Option<At<Duration>>,
    grace: At<Duration>,
}

/// The period over which processor time is counted, in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// The fewest processes with which a command can start: init and the command.
const FEWEST: u64 = 2;

/// The least memory with which anything starts.
const LEAST: Size = Size(1 << 20);

impl Limits {
    /// Checks the values.
    pub fn check(raw: Option<At<RawLimits>>, problems: &mut Diagnostics) -> Self {
        let (raw, _) = split(raw, "limits");
        if let Some(pids) = raw.pids.as_ref().filter(|pids| pids.value < FEWEST) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    &pids.origin,
                    "too few processes to start a command",
                )
                .help("2 are init and the command; for example: pids = 20"),
            );
        }
        if let Some(memory) = raw.memory.as_ref().filter(|memory| memory.value < LEAST) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    &memory.origin,
                    "too little memory to start a command",
                )
                .help("for example: memory = \"100M\""),
            );
        }
        if let Some(cpuset) = raw.cpuset.as_ref().filter(|list| !is_cpu_list(&list.value)) {
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &cpuset.origin,
                    format!("`{}` is no list of processors", cpuset.value),
                )
                .help("for example: cpuset = \"0-3,7\""),
            );
        }
        if let Some(time) = raw.wall_time.as_ref().filter(|time| time.value.0.is_zero()) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    &time.origin,
                    "no time to start a command",
                )
                .help("for example: wall_time = \"10m\"; without the key there is no limit"),
            );
        } else if let (Some(time), grace) = (&raw.wall_time, &raw.grace)
            && !grace.origin.is_default()
            && grace.value > time.value
        {
            problems.push(
                Diagnostic::new(
                    Code::GraceAboveWallTime,
                    &grace.origin,
                    format!(
                        "a command that ignores SIGTERM runs for {} after its {} are over",
                        grace.value, time.value
                    ),
                )
                .and(&time.origin, "the time that it has")
                .help("shorten `grace`, or lengthen `wall_time`"),
            );
        }
        if let (Some(cpu), Some(cpuset)) = (&raw.cpu, &raw.cpuset)
            && let Some(held) = processors(&cpuset.value)
            && cpu.value.0 > f64::from(held)
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &cpu.origin,
                    "more processor time than the processors of `cpuset` have",
                )
                .and(&cpuset.origin, format!("{held} of them"))
                .help("lower `cpu`, or name more processors"),
            );
        }
        let swap = match (raw.swap, &raw.memory) {
            (Some(swap), None) => {
                problems.push(
                    Diagnostic::new(
                        Code::Needs,
                        &swap.origin,
                        "`swap` is counted on top of `memory`",
                    )
                    .help("set `memory` too, for example: memory = \"1G\""),
                );
                None
            }
            (Some(swap), _) => Some(swap),
            (None, Some(_)) => Some(At::default_of("limits.swap", Size(0))),
            (None, None) => None,
        };
        let cpu = |cores: Cores| Limit::Cpu {
            quota_us: (cores.0 * PERIOD_US as f64).round() as u64,
            period_us: PERIOD_US,
        };
        // Memory before swap: cgroup v1 limits the sum of both, which must not be the smaller one.
        let group = [
            raw.pids.map(|at| at.map(Limit::Pids)),
            raw.memory
                .clone()
                .map(|at| at.map(|size| Limit::Memory(size.0))),
            swap.map(|at| at.map(|size| Limit::Swap(size.0))),
            raw.cpu.map(|at| at.map(cpu)),
            raw.cpuset.map(|at| at.map(Limit::Cpuset)),
        ];
        Self {
            group: group.into_iter().flatten().collect(),
            memory: raw.memory,
            wall_time: raw.wall_time,
            grace: raw.grace,
        }
    }

    /// The limits that need a cgroup and that the profile names.
    pub fn named(&self) -> impl Iterator<Item = &Origin> {
        let named = self.group.iter().map(|limit| &limit.origin);
        named.filter(|origin| !origin.is_default())
    }

    /// How much may be used; what has no bound, or a bound that is not enforced, is unlimited.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        // `memory` is one of the group, too.
        let Self {
            group,
            memory: _,
            wall_time,
            grace,
        } = self;
        let off = profile.enforce.limits.value == Level::Off;
        let mut grants = vec![
            unlimited("pids", "start any number of processes", 3_000),
            unlimited("memory", "use any amount of memory", 3_000),
            unlimited("swap", "use any amount of swap", 500),
            unlimited("cpu", "use all processor time", 1_500),
            unlimited("cpuset", "use all processors", 500),
            unlimited("wall_time", "run for any time", 1_500),
        ];
        let mut bound = |key: &str, extent, words: String, origin| {
            grants.retain(|grant| grant.key != format!("limit:{key}"));
            let key = format!("limit:{key}");
            grants.push(Grant::new(Area::Limits, key, extent, words, origin));
        };
        for At { value, origin } in group.iter().filter(|_| !off) {
            let (key, extent, words) = match value {
                Limit::Pids(n) => ("pids", Extent::Rank(*n), format!("start {n} processes")),
                Limit::Memory(n) => {
                    let words = format!("use {} of memory", Size(*n));
                    ("memory", Extent::Rank(*n), words)
                }
                Limit::Swap(0) => ("swap", Extent::Rank(0), "use no swap".into()),
                Limit::Swap(n) => (
                    "swap",
                    Extent::Rank(*n),
                    format!("use {} of swap", Size(*n)),
                ),
                Limit::Cpu {
                    quota_us,
                    period_us,
                } => {
                    // Per second: periods may differ.
                    let rank = u128::from(*quota_us) * 1_000_000 / u128::from((*period_us).max(1));
                    let rank = u64::try_from(rank).unwrap_or(UNLIMITED);
                    let words = format!("use {} processors", rank as f64 / 1e6);
                    ("cpu", Extent::Rank(rank), words)
                }
                Limit::Cpuset(list) => {
                    let words = format!("use the processors {list}");
                    ("cpuset", Extent::Numbers(cpus(list)), words)
                }
            };
            bound(key, extent, words, origin);
        }
        if let Some(At { value, origin }) = wall_time {
            let words = format!("run for {value}");
            bound(
                "wall_time",
                Extent::Rank(milliseconds(value)),
                words,
                origin,
            );
        }
        let words = format!("go on for {} after SIGTERM", grace.value);
        let rank = Extent::Rank(milliseconds(&grace.value));
        bound("grace", rank, words, &grace.origin);
        grants
    }

    /// Makes the group, sets the limits and joins it.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        draft.watch.wall_time = self.wall_time.clone();
        draft.watch.grace = self.grace.value.0;
        let Some(first) = self.group.first() else {
            return;
        };
        let enforce = &profile.enforce.limits;
        if enforce.value == Level::Off {
            return draft.note(&enforce.origin, "the limits that need a cgroup are off");
        }
        let mut wanted: Vec<Controller> = self.group.iter().map(|l| l.value.controller()).collect();
        wanted.dedup();
        for controller in &wanted {
            draft.wants(needs::of_controller(*controller));
        }
        let place = draft
            .host
            .cgroups()
            .map_err(|error| (error.to_owned(), "mount a cgroup file system"))
            .and_then(|cgroups| {
                cgroups
                    .place(&wanted)
                    .map_err(|no| (no.to_string(), no.remedy()))
            });
        let place = match place {
            Ok(place) => place,
            Err((why, _)) if enforce.value == Level::Prefer => {
                let text = format!("the limits on {} are not enforced: {why}", list(&wanted));
                return draft.weaker(&first.origin, text);
            }
            Err((why, remedy)) => {
                let text = format!("the limits on {} cannot be enforced: {why}", list(&wanted));
                let help = format!("{remedy}; or set `limits = \"prefer\"` under [enforce]");
                return draft.refuse(&first.origin, text, help);
            }
        };
        let v1 = matches!(place, Place::V1 { .. });
        let name = crate::host::cgroup::group_name();
        draft.step(Phase::Group, Op::CreateGroup { place, name }, &first.origin);
        for limit in &self.group {
            draft.step(
                Phase::Limits,
                Op::SetLimit(limit.value.clone()),
                &limit.origin,
            );
        }
        draft.watch.memory = self.memory.clone();
        if v1 {
            draft.step(Phase::JoinGroup, Op::JoinGroups, &first.origin);
        } else {
            draft.into_group = true;
        }
    }
}

fn unlimited(name: &'static str, words: &str, share: u32) -> Grant {
    let extent = match name {
        "cpuset" => Extent::Numbers(vec![(0, UNLIMITED)]),
        _ => Extent::Rank(UNLIMITED),
    };
    let origin = Origin::Default("limits");
    Grant::new(
        Area::Limits,
        format!("limit:{name}"),
        extent,
        words,
        &origin,
    )
    .share(share)
}

/// Rounded up, so that no duration counts for less than it is.
fn milliseconds(duration: &Duration) -> u64 {
    u64::try_from(duration.0.as_nanos().div_ceil(1_000_000)).unwrap_or(UNLIMITED)
}

/// The processors of a list that was checked.
pub(super) fn cpus(list: &str) -> Vec<(u64, u64)> {
    list.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}

fn list(controllers: &[Controller]) -> String {
    controllers
        .iter()
        .map(|c| c.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What is in a file system in memory counts as memory: before it is full, the sandbox is killed.
pub(super) fn fits_memory(size: &At<Size>, profile: &Profile, problems: &mut Diagnostics) {
    let limits = &profile.limits;
    let Some(memory) = limits.memory.as_ref() else {
        return;
    };
    let swap = limits.group.iter().find_map(|limit| match limit.value {
        Limit::Swap(bytes) => Some(bytes),
        _ => None,
    });
    let held = memory.value.0.saturating_add(swap.unwrap_or(0));
    if !size.origin.is_default()
        && size.value.0 > held
        && profile.enforce.limits.value != Level::Off
    {
        problems.push(
            Diagnostic::new(
                Code::SizeAboveMemory,
                &size.origin,
                "before this is full, the sandbox is killed for its memory",
            )
            .and(&memory.origin, "the memory that it has")
            .help("lower the size, so that writing more fails instead, or raise `memory`"),
        );
    }
}

/// How many processors a list names, if it is one.
fn processors(list: &str) -> Option<u32> {
    if !is_cpu_list(list) {
        return None;
    }
    let mut ranges: Vec<(u32, u32)> = list
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .collect();
    ranges.sort_unstable();
    let (mut held, mut next) = (0, 0);
    for (from, to) in ranges {
        let from = from.max(next);
        if from <= to {
            held += to - from + 1;
            next = to + 1;
        }
    }
    Some(held)
}

/// The list format of cpuset(7).
pub(super) fn is_cpu_list(text: &str) -> bool {
    let number = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|n| *n < 65_536 && !text.starts_with('+'))
    };
    !text.is_empty()
        && text.split(',').all(|part| match part.split_once('-') {
            Some((from, to)) => matches!((number(from), number(to)), (Some(f), Some(t)) if f <= t),
            None => number(part).is_some(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::table::Table as _;

    #[test]
    fn processors_are_counted_once() {
        assert_eq!(processors("0-3,7"), Some(5));
        assert_eq!(processors("2,0-3,1-1,3-4"), Some(5));
        assert_eq!(processors("3-1"), None);
    }

    #[test]
    fn every_limit_is_compared() {
        let profile = crate::sections::tests::profile("");
        let grants = profile.limits.grants(&profile);
        for field in RawLimits::SHAPE.fields {
            let key = format!("limit:{}", field.key);
            assert!(grants.iter().any(|grant| grant.key == key), "{key}");
        }
    }

    #[test]
    fn cpu_lists() {
        for right in ["0", "0-3", "0-3,7", "1,2,3"] {
            assert!(is_cpu_list(right), "{right}");
        }
        for wrong in ["", "a", "3-1", "0-", ",", "-1", "+1", "0;1", "99999"] {
            assert!(!is_cpu_list(wrong), "{wrong}");
        }
    }
}
