//! What a profile asks for, limit by limit: for reports, which say beside it what was in force.

use super::io::Io;
use super::{Limits, key};
use crate::diag::{At, Origin};
use crate::plan::op::{Limit, Rates};
use crate::profile::value::{Duration, Grace, Size};

/// A limit as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<'p> {
    /// Its key under `[limits]`.
    pub key: &'static str,
    /// How much, in words.
    pub words: String,
    /// The line.
    pub origin: &'p Origin,
    /// What it is of a device, for `io`.
    pub rates: Option<Rates>,
}

impl Limits {
    /// How long after it was asked to end a command is killed.
    #[must_use]
    pub fn grace(&self) -> &At<Grace> {
        &self.grace
    }

    /// The limits that need a group, defaults included, in the order in which they are set.
    pub fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        let parts = self.parts.iter().map(|at| {
            let words = format!("{}%", at.value.percent);
            (at.value.key(), words, &at.origin, None)
        });
        let group = self.group.iter().map(|at| {
            let words = match &at.value {
                Limit::Pids(most) => most.to_string(),
                Limit::Memory(bytes)
                | Limit::MemoryHigh(bytes)
                | Limit::MemoryLow(bytes)
                | Limit::MemoryMin(bytes)
                | Limit::Swap(bytes) => Size(*bytes).to_string(),
                Limit::HugePages { page, bytes } => format!("{} of {}", Size(*bytes), Size(*page)),
                Limit::OomGroup(all) => all.to_string(),
                Limit::Cpu {
                    quota_us,
                    period_us,
                } => (*quota_us as f64 / *period_us as f64).to_string(),
                Limit::CpuBurst(us) | Limit::Realtime(us) => {
                    Duration(std::time::Duration::from_micros(*us)).to_string()
                }
                Limit::CpuWeight(weight) | Limit::IoWeight { weight, .. } => weight.to_string(),
                Limit::CpuIdle => "idle".into(),
                Limit::CpuTime(time) | Limit::Idle(time) => Duration(*time).to_string(),
                Limit::Io(_, rates) => rates.to_string(),
                Limit::Cpuset(list) | Limit::MemoryNodes(list) => list.clone(),
            };
            (key(&at.value), words, &at.origin, None)
        });
        let rated = |at: &&At<Io>| at.value.rates != Rates::default();
        let io = self.io.iter().filter(rated).map(|at| {
            let words = format!("{}: {}", at.value.device.display(), at.value.rates);
            ("io", words, &at.origin, Some(at.value.rates))
        });
        let weight = self.io_weight.iter();
        let weight = weight.map(|at| ("io_weight", at.value.0.to_string(), &at.origin, None));
        let weights = self.io.iter().filter_map(|at| {
            let words = format!("{}: {}", at.value.device.display(), at.value.weight?);
            Some(("io_weight", words, &at.origin, None))
        });
        let all = parts.chain(group).chain(io).chain(weight).chain(weights);
        all.map(|(key, words, origin, rates)| Asked {
            key,
            words,
            origin,
            rates,
        })
    }
}
