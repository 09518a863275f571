//! What the limits permit.

use super::processors::cpus;
use super::{Limits, USUAL_WEIGHT, key};
use crate::diag::{At, Origin};
use crate::plan::op::{Limit, Over};
use crate::profile::value::{Duration, Size};
use crate::review::grant::UNLIMITED;
use crate::review::{Area, Extent, Grant};
use crate::sections::{Profile, enforce::Level};
use std::collections::BTreeMap;

impl Limits {
    /// How much may be used; what has no bound, or a bound that is not enforced, is unlimited.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        // `memory`, `cpu_time` and `idle` are of the group, too, and what bounds the processors is.
        let Self {
            group,
            parent: _,
            // A name permits nothing.
            name: _,
            memory: _,
            parts,
            cpu_time: _,
            idle: _,
            output,
            output_over,
            io,
            io_weight,
            period_us,
            processors: _,
            wall_time,
            grace,
            stop_signal,
        } = self;
        let off = profile.enforce.limits.value == Level::Off;
        let default = Origin::Default("limits");
        let mut grants = vec![
            self.grant_of_parent(off),
            unlimited("pids", "start any number of processes", 3_000),
            unlimited("memory", "use any amount of memory", 3_000),
            unlimited("swap", "use any amount of swap", 500),
            unlimited("cpu", "use all processor time", 1_500),
            unlimited("cpuset", "use all processors", 500),
            unlimited("wall_time", "run for any time", 1_500),
            // As with wall_time, but a command that sleeps is not bounded by it.
            unlimited("cpu_time", "use any amount of processor time in all", 0),
            // What only shortens a run that wall_time bounds, and what is only read.
            unlimited("idle", "do nothing for any time", 0),
            unlimited("output", "write any amount of output", 0),
            // What slows down or divides bounds nothing: it does not count for the exposure.
            unlimited("memory_high", "use memory without being slowed down", 0),
            weight("cpu_weight", "processor time", USUAL_WEIGHT, &default),
            weight("io_weight", "disks", USUAL_WEIGHT, &default),
            Grant::rank(
                Area::Limits,
                "limit:memory_low",
                0,
                "have no memory kept for it",
                &default,
            ),
            Grant::rank(
                Area::Limits,
                "limit:memory_min",
                0,
                "have no memory kept for it at all cost",
                &default,
            ),
            Grant::rank(
                Area::Limits,
                "limit:cpu_burst",
                0,
                "save up no processor time",
                &default,
            ),
            // Who may have such a priority is bounded by what the caller's group has, then.
            Grant::rank(
                Area::Limits,
                "limit:realtime",
                0,
                "be given no real-time processor time",
                &default,
            ),
            Grant::rank(
                Area::Limits,
                "limit:oom_group",
                1,
                "go on without a process that was killed for want of memory",
                &default,
            ),
            // Only who has set huge pages aside has any.
            unlimited("huge_pages", "use all huge pages", 0),
            unlimited("memory_nodes", "use memory of all nodes", 0),
        ];
        let mut bound = |key: &str, extent, words: String, origin| {
            grants.retain(|grant| grant.key != format!("limit:{key}"));
            let key = format!("limit:{key}");
            grants.push(Grant::new(Area::Limits, key, extent, words, origin));
        };
        let mut huge_pages: BTreeMap<String, u64> = BTreeMap::new();
        for At { value, origin } in group.iter().filter(|_| !off) {
            let (extent, words) = match value {
                Limit::HugePages { page, bytes } => {
                    huge_pages.insert(Size(*page).to_string(), *bytes);
                    let each = huge_pages.iter();
                    let each = each.map(|(page, bytes)| format!("{} of {page}", Size(*bytes)));
                    let each: Vec<_> = each.collect();
                    let words = format!("use huge pages: {}", each.join(", "));
                    (Extent::Bounds(huge_pages.clone()), words)
                }
                Limit::MemoryLow(n) => {
                    let words = format!("have {} of memory kept for it", Size(*n));
                    (Extent::Rank(*n), words)
                }
                Limit::MemoryMin(n) => {
                    let words = format!("have {} of memory kept for it at all cost", Size(*n));
                    (Extent::Rank(*n), words)
                }
                Limit::OomGroup(true) => {
                    (Extent::Rank(0), "end as a whole for want of memory".into())
                }
                Limit::OomGroup(false) => {
                    let words = "go on without a process that was killed for want of memory";
                    (Extent::Rank(1), words.into())
                }
                Limit::CpuBurst(n) => {
                    let time = Duration(std::time::Duration::from_micros(*n));
                    (
                        Extent::Rank(*n),
                        format!("save up {time} of processor time"),
                    )
                }
                Limit::Realtime(n) => {
                    let time = Duration(std::time::Duration::from_micros(*n));
                    let words = format!(
                        "take {time} of each second from all others, with a real-time priority"
                    );
                    (Extent::Rank(*n), words)
                }
                Limit::MemoryNodes(list) => {
                    let words = format!("use memory of the nodes {list}");
                    (Extent::Numbers(cpus(list)), words)
                }
                Limit::Pids(n) => (fixed(*n), format!("start {n} processes")),
                Limit::Memory(n) => (fixed(*n), format!("use {} of memory", Size(*n))),
                Limit::MemoryHigh(n) => {
                    let words = format!("use {} of memory without being slowed down", Size(*n));
                    (Extent::Rank(*n), words)
                }
                Limit::Swap(0) => (Extent::Rank(0), "use no swap".into()),
                Limit::Swap(n) => (Extent::Rank(*n), format!("use {} of swap", Size(*n))),
                Limit::Cpu {
                    quota_us,
                    period_us,
                } => {
                    // Per second: periods may differ.
                    let rank = u128::from(*quota_us) * 1_000_000 / u128::from((*period_us).max(1));
                    let rank = u64::try_from(rank).unwrap_or(UNLIMITED);
                    let words = format!("use {} processors", rank as f64 / 1e6);
                    (fixed(rank), words)
                }
                Limit::CpuWeight(n) => {
                    let Grant { extent, words, .. } = weight("", "processor time", *n, origin);
                    (extent, words)
                }
                Limit::CpuIdle => {
                    let words = "have processor time that nobody else wants";
                    (Extent::Rank(0), words.into())
                }
                Limit::CpuTime(time) => {
                    let time = Duration(*time);
                    let words = format!("use {time} of processor time in all");
                    (Extent::Rank(milliseconds(&time)), words)
                }
                Limit::Idle(time) => {
                    let time = Duration(*time);
                    let words = format!("do nothing for {time}");
                    (Extent::Rank(milliseconds(&time)), words)
                }
                // Not of a profile: resolved when a plan is made.
                Limit::Io(..) | Limit::IoWeight { .. } => continue,
                Limit::Cpuset(list) => {
                    let words = format!("use the processors {list}");
                    (Extent::Numbers(cpus(list)), words)
                }
            };
            bound(key(value), extent, words, origin);
        }
        for At { value, origin } in parts.iter().filter(|_| !off) {
            let words = match value.key() {
                "memory" => format!("use {}% of the memory that there is", value.percent),
                "cpu" => format!("use {}% of the processors that there are", value.percent),
                _ => format!(
                    "start {}% of the processes that there may be",
                    value.percent
                ),
            };
            // How much that is, the machine knows: it is compared with other parts alone.
            let extent = BTreeMap::from([("percent".to_owned(), u64::from(value.percent))]);
            bound(value.key(), Extent::Bounds(extent), words, origin);
        }
        let mut rates: BTreeMap<String, u64> = BTreeMap::new();
        for At { value, .. } in io.iter().filter(|_| !off) {
            for (name, rate) in value.rates.named() {
                let name = format!("{} {name}", value.device.display());
                let held = rates.entry(name).or_insert(rate);
                *held = rate.min(*held);
            }
        }
        if let Some(At { value, origin }) = io_weight.as_ref().filter(|_| !off) {
            let Grant { extent, words, .. } = weight("", "disks", value.0, origin);
            bound("io_weight", extent, words, origin);
        }
        for At { value, origin } in io.iter().filter(|_| !off) {
            let device = value.device.display();
            match value.weight {
                // No more than others have.
                Some(weight) if weight <= USUAL_WEIGHT => {
                    rates.insert(format!("{device} weight"), weight.into());
                }
                Some(number) => {
                    let of = format!("the disk of {device}");
                    let Grant { extent, words, .. } = weight("", &of, number, origin);
                    bound(&format!("io_weight:{device}"), extent, words, origin);
                }
                None => {}
            }
        }
        let At { value, origin } = period_us;
        let time = Duration(std::time::Duration::from_micros(*value));
        let words = format!("have its processor time counted over {time}");
        bound("cpu_period", Extent::Rank(*value), words, origin);
        let words = match rates.is_empty() {
            true => "read and write disks at any rate".into(),
            false => {
                let entries: Vec<_> = io.iter().map(|entry| entry.value.to_string()).collect();
                format!("use disks at these rates: {}", entries.join("; "))
            }
        };
        let origin = io.first().map_or(&default, |entry| &entry.origin);
        bound("io", Extent::Bounds(rates), words, origin);
        if let Some(At { value, origin }) = wall_time {
            let words = format!("run for {value}");
            bound(
                "wall_time",
                Extent::Rank(milliseconds(value)),
                words,
                origin,
            );
        }
        if let Some(At { value, origin }) = output {
            let words = format!("write {value} of output");
            bound("output", Extent::Rank(value.0), words, origin);
        }
        let (rank, words) = match (output, output_over.value) {
            (Some(_), Over::End) => (0, "end where its output does"),
            _ => (1, "go on, however much it writes"),
        };
        let rank = Extent::Rank(rank);
        bound("output_over", rank, words.into(), &output_over.origin);
        let (rank, words) = match grace.value.is_endless() {
            true => (UNLIMITED, "go on when it is asked to end".to_owned()),
            false => (
                milliseconds(&Duration(grace.value.0)),
                format!("go on for {} when it is asked to end", grace.value),
            ),
        };
        bound("grace", Extent::Rank(rank), words, &grace.origin);
        let At { value, origin } = stop_signal;
        let (rank, words) = match value.ends() {
            true => (0, format!("be asked to end by {value}, which ends it")),
            false => (
                1,
                format!("be asked to end by {value}, which ends nothing by itself"),
            ),
        };
        bound("stop_signal", Extent::Rank(rank), words, origin);
        grants
    }
}

/// A fixed amount, where a part of what there is could stand.
fn fixed(most: u64) -> Extent {
    Extent::Bounds(BTreeMap::from([("amount".to_owned(), most)]))
}

fn unlimited(name: &'static str, words: &str, share: u32) -> Grant {
    let extent = match name {
        "cpuset" | "memory_nodes" => Extent::Numbers(vec![(0, UNLIMITED)]),
        "pids" | "memory" | "cpu" | "huge_pages" => Extent::Bounds(BTreeMap::new()),
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

/// A weight among the groups beside: the usual one where none is asked for.
fn weight(name: &str, of: &str, weight: u32, origin: &Origin) -> Grant {
    let words = format!("have a weight of {weight} where others want {of} too");
    let extent = Extent::Rank(u64::from(weight));
    Grant::new(Area::Limits, format!("limit:{name}"), extent, words, origin)
}

/// Rounded up, so that no duration counts for less than it is.
fn milliseconds(duration: &Duration) -> u64 {
    u64::try_from(duration.0.as_nanos().div_ceil(1_000_000)).unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::super::RawLimits;
    use crate::profile::table::Table as _;

    #[test]
    fn every_limit_is_compared() {
        let profile = crate::sections::tests::profile("");
        let grants = profile.limits.grants(&profile);
        // A name permits nothing.
        let named = RawLimits::SHAPE.fields.iter();
        for field in named.filter(|field| field.key != "name") {
            let key = format!("limit:{}", field.key);
            assert!(grants.iter().any(|grant| grant.key == key), "{key}");
        }
    }
}
