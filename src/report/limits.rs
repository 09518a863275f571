//! Every limit in a report: what was asked for, what was in force, and whether the run reached it.

use super::document::Place;
use super::usage::{Counted, Measured};
use crate::diag::{Origin, Sources};
use crate::plan::op::{INFINITY, Limit, Op};
use crate::plan::{Note, Plan};
use crate::profile::value::{Duration, Grace};
use crate::sections::Profile;
use crate::sections::enforce::Level;
use crate::sections::limits::{Asked, key};
use serde::Serialize;
use serde_json::{Value, json};

/// A limit.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its key: `limits.memory`, `rlimits.nofile`.
    pub key: String,
    /// What the profile asks for, in words.
    pub requested: String,
    /// What was in force; `null` if nothing was.
    pub enforced: Option<InForce>,
    /// What there is to say about what was not in force.
    pub remark: Option<String>,
    /// Whether the run reached it; `null` where nobody can tell.
    pub hit: Option<bool>,
    /// How often, where that is counted.
    pub times: Option<u64>,
    /// The line.
    pub origin: Place,
}

/// What was in force.
#[derive(Clone, Debug, Serialize)]
pub struct InForce {
    /// A number, a list of processors, rates by name, or `"infinity"`.
    pub value: Value,
    /// Of what.
    pub unit: &'static str,
    /// How far the command could raise it, for what getrlimit(2) has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard: Option<Value>,
}

impl InForce {
    fn new(value: impl Into<Value>, unit: &'static str) -> Self {
        Self {
            value: value.into(),
            unit,
            hard: None,
        }
    }
}

/// All limits of a run: those of the group, of time, and of each process.
#[must_use]
pub fn entries(
    profile: &Profile,
    plan: &Plan,
    measured: Option<&Measured>,
    sources: &Sources,
) -> Vec<Entry> {
    let asked: Vec<_> = profile.limits.asked().collect();
    let of_group = asked.iter().map(|one| {
        let limit = in_force(one, plan);
        let (hit, times) = match (limit, measured) {
            (Some(limit), Some(measured)) => reached(limit, measured),
            _ => (None, None),
        };
        Entry {
            key: format!("limits.{}", one.key),
            requested: one.words.clone(),
            enforced: limit.map(amount),
            remark: remark(one, limit.is_some(), &asked, profile, plan),
            hit,
            times,
            origin: Place::of(one.origin, sources),
        }
    });
    let time = |key: &str, time: std::time::Duration, origin: &Origin, hit| Entry {
        key: format!("limits.{key}"),
        requested: Duration(time).to_string(),
        enforced: Some(InForce::new(time.as_secs_f64(), "seconds")),
        remark: None,
        hit,
        times: None,
        origin: Place::of(origin, sources),
    };
    let wall_time = plan.watch.wall_time.iter().map(|wall| {
        let hit = measured.map(|measured| measured.wall_time_over);
        time("wall_time", wall.value.0, &wall.origin, hit)
    });
    let output = plan.watch.output.iter().map(|output| Entry {
        key: "limits.output".into(),
        requested: output.value.to_string(),
        enforced: Some(InForce::new(output.value.0, "bytes")),
        remark: None,
        hit: measured.map(|measured| measured.output_over),
        times: None,
        origin: Place::of(&output.origin, sources),
    });
    let grace = profile.limits.grace();
    let hit = measured.map(|measured| measured.grace_over);
    let grace = Some(grace).filter(|_| plan.watch.grace != Grace::ENDLESS.0);
    let grace = grace.map(|grace| time("grace", plan.watch.grace, &grace.origin, hit));
    let of_processes = plan.steps.iter().filter_map(|step| match &step.op {
        Op::SetRlimit {
            name, soft, hard, ..
        } => Some(rlimit(name, *soft, *hard, Place::of(&step.origin, sources))),
        _ => None,
    });
    of_group
        .chain(wall_time)
        .chain(output)
        .chain(grace)
        .chain(of_processes)
        .collect()
}

/// The limit that was set for what is asked for.
fn in_force<'p>(asked: &Asked<'_>, plan: &'p Plan) -> Option<&'p Limit> {
    let set = plan.steps.iter().filter_map(|step| match &step.op {
        Op::SetLimit(limit) if key(limit) == asked.key => Some((limit, &step.origin)),
        _ => None,
    });
    // What several lines ask of one disk is set once, at the lowest rates.
    let holds = |limit: &Limit| match (limit, asked.rates) {
        (Limit::Io(_, rates), Some(wanted)) => rates.lowest(wanted) == *rates,
        _ => false,
    };
    let mut set: Vec<_> = set.collect();
    set.sort_by_key(|(_, origin)| *origin != asked.origin);
    set.into_iter()
        .find(|(limit, origin)| *origin == asked.origin || holds(limit))
        .map(|(limit, _)| limit)
}

fn amount(limit: &Limit) -> InForce {
    match limit {
        Limit::Pids(most) => InForce::new(*most, "tasks"),
        Limit::Memory(bytes)
        | Limit::MemoryHigh(bytes)
        | Limit::MemoryLow(bytes)
        | Limit::MemoryMin(bytes)
        | Limit::HugePages { bytes, .. }
        | Limit::Swap(bytes) => InForce::new(*bytes, "bytes"),
        Limit::OomGroup(all) => InForce::new(*all, "whether all end"),
        Limit::Cpu {
            quota_us,
            period_us,
        } => InForce::new(*quota_us as f64 / *period_us as f64, "processors"),
        Limit::CpuBurst(us) | Limit::Realtime(us) => InForce::new(*us as f64 / 1e6, "seconds"),
        Limit::CpuWeight(weight) | Limit::IoWeight { weight, .. } => {
            InForce::new(*weight, "weight")
        }
        Limit::CpuIdle => InForce::new("idle", "weight"),
        Limit::CpuTime(time) | Limit::Idle(time) => InForce::new(time.as_secs_f64(), "seconds"),
        Limit::Io(device, rates) => {
            let named = rates
                .named()
                .map(|(name, rate)| (name.to_owned(), rate.into()));
            let mut rates: serde_json::Map<_, _> = named.collect();
            rates.insert("device".into(), device.to_string().into());
            InForce::new(rates, "a second")
        }
        Limit::Cpuset(list) => InForce::new(list.as_str(), "processors"),
        Limit::MemoryNodes(list) => InForce::new(list.as_str(), "memory nodes"),
    }
}

/// Whether a limit was reached, and how often.
fn reached(limit: &Limit, measured: &Measured) -> (Option<bool>, Option<u64>) {
    let times = times(limit, &measured.counted);
    match limit {
        Limit::CpuTime(_) => (Some(measured.cpu_time_over), None),
        Limit::Idle(_) => (Some(measured.idle_over), None),
        // On v1 the sum with swap is bounded too, and reaching that first is not counted
        // (`memory.memsw.failcnt` stays 0): then the peak tells.
        Limit::Memory(bytes) if times == Some(0) => {
            let peak = measured.usage.memory_peak_bytes.as_ref();
            let page = rustix::param::page_size() as u64;
            match peak.is_some_and(|peak| peak.value >= bytes - bytes % page) {
                true => (Some(true), None),
                false => (Some(false), times),
            }
        }
        _ => (times.map(|times| times > 0), times),
    }
}

/// How often a limit was reached; `None` where the kernel does not count it, or nobody asked it.
fn times(limit: &Limit, counted: &Counted) -> Option<u64> {
    match limit {
        Limit::Pids(_) => counted.pids,
        Limit::Memory(_) => counted.memory,
        Limit::MemoryHigh(_) => counted.memory_high,
        Limit::Swap(_) => counted.swap,
        Limit::Cpu { .. } => counted.cpu,
        Limit::HugePages { page, .. } => {
            let of = |(size, times): &(u64, u64)| (size == page).then_some(*times);
            counted.huge_pages.iter().find_map(of)
        }
        Limit::MemoryLow(_)
        | Limit::MemoryMin(_)
        | Limit::OomGroup(_)
        | Limit::CpuBurst(_)
        | Limit::Realtime(_)
        | Limit::CpuWeight(_)
        | Limit::CpuIdle
        | Limit::IoWeight { .. }
        | Limit::MemoryNodes(_)
        | Limit::CpuTime(_)
        | Limit::Idle(_)
        | Limit::Io(..)
        | Limit::Cpuset(_) => None,
    }
}

/// Why a limit was not in force, or not wholly: what was said of its own line; else, where there is
/// no group, what was said of all of them.
fn remark(
    one: &Asked<'_>,
    set: bool,
    all: &[Asked<'_>],
    profile: &Profile,
    plan: &Plan,
) -> Option<String> {
    let notes = || plan.notes.iter().filter(|note| note.is_weaker());
    let text = |note: &Note| note.text.clone();
    if let Some(note) = notes().find(|note| note.origin == *one.origin) {
        return Some(text(note));
    }
    if set {
        return None;
    }
    if profile.enforce.limits.value == Level::Off {
        return Some("switched off under [enforce]".into());
    }
    let of_limits = |note: &&Note| all.iter().any(|asked| *asked.origin == note.origin);
    notes().find(of_limits).map(text)
}

fn rlimit(name: &str, soft: u64, hard: u64, origin: Place) -> Entry {
    let value = |bound| match bound {
        INFINITY => json!("infinity"),
        bound => json!(bound),
    };
    let unit = match name {
        "as" | "core" | "data" | "fsize" | "memlock" | "msgqueue" | "rss" | "stack" => "bytes",
        "cpu" => "seconds",
        "rttime" => "microseconds",
        "nofile" => "descriptors",
        "nproc" => "tasks",
        "sigpending" => "signals",
        "locks" => "locks",
        _ => "priority",
    };
    let words = |bound: Value| match bound {
        Value::String(text) => text,
        number => number.to_string(),
    };
    Entry {
        key: format!("rlimits.{name}"),
        requested: words(value(soft)),
        enforced: Some(InForce {
            value: value(soft),
            unit,
            hard: Some(value(hard)),
        }),
        remark: None,
        hit: None,
        times: None,
        origin,
    }
}
