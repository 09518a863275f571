//! `cpu_period`, `cpu_burst`: over which time processor time is counted, and what of it may be saved up
//! (Documentation/scheduler/sched-bwc.rst).

use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::op::{Limit, USUAL_PERIOD_US};
use crate::profile::value::{Cores, Duration};

/// The least quota of a period that the kernel takes, in microseconds.
const LEAST_US: u64 = 1_000;

/// The longest and the shortest period that it takes, in microseconds.
const PERIODS_US: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;

fn microseconds(time: &Duration) -> u64 {
    u64::try_from(time.0.as_micros()).unwrap_or(u64::MAX)
}

/// The period and the burst in microseconds. `cpu` is the share, where it is a number; `bounded` says whether there
/// is one.
pub(super) fn check(
    period: &At<Duration>,
    burst: Option<&At<Duration>>,
    cpu: Option<&At<Cores>>,
    bounded: bool,
    problems: &mut Diagnostics,
) -> (u64, Option<At<u64>>) {
    let period_us = microseconds(&period.value);
    let asked = [("cpu_period", Some(period)), ("cpu_burst", burst)];
    let asked = asked.into_iter().filter_map(|(key, at)| Some((key, at?)));
    let asked = asked.filter(|(_, at)| !at.origin.is_default());
    for (key, at) in asked.filter(|_| !bounded) {
        let text = format!("`{key}` is about the share that `cpu` gives");
        problems.push(
            Diagnostic::new(Code::Needs, &at.origin, text)
                .help("set `cpu` too, for example: cpu = 1.5"),
        );
    }
    if !PERIODS_US.contains(&period_us) {
        let text = format!("no period is {} long", period.value);
        problems.push(
            Diagnostic::new(Code::WrongValue, &period.origin, text)
                .help("from 1 ms to 1 s, for example: cpu_period = \"50ms\""),
        );
        return (USUAL_PERIOD_US, None);
    }
    let quota_us = cpu.map(|cpu| match super::cpu(cpu.value, period_us) {
        Limit::Cpu { quota_us, .. } => (quota_us, &cpu.origin),
        _ => (0, &cpu.origin),
    });
    if let Some((quota, cpu)) = quota_us.filter(|(quota, _)| *quota < LEAST_US) {
        let text = format!("{quota} µs of each period are too few to run in");
        problems.push(
            Diagnostic::new(Code::LimitTooSmall, cpu, text)
                .and(&period.origin, "the period")
                .help("1 ms is the least: raise `cpu`, or `cpu_period`"),
        );
    }
    let quota_us = quota_us.filter(|(quota, _)| *quota >= LEAST_US);
    let burst = burst.map(|at| At::new(microseconds(&at.value), at.origin.clone()));
    if let (Some(burst), Some((quota, cpu))) = (&burst, quota_us)
        && burst.value > quota
    {
        let text = format!("more than the {} that there are in a period", time(quota));
        problems.push(
            Diagnostic::new(Code::WrongValue, &burst.origin, text)
                .and(cpu, "the share")
                .help("lower `cpu_burst`, or raise `cpu` or `cpu_period`"),
        );
    }
    (period_us, burst)
}

fn time(microseconds: u64) -> Duration {
    Duration(std::time::Duration::from_micros(microseconds))
}

/// Why the kernel would not take a burst beside these limits, of which the share may be a part of what there is.
pub(super) fn too_large<'l>(limits: impl Iterator<Item = &'l Limit> + Clone) -> Option<String> {
    let quota = limits.clone().find_map(|limit| match limit {
        Limit::Cpu { quota_us, .. } => Some(*quota_us),
        _ => None,
    });
    let burst = limits.into_iter().find_map(|limit| match limit {
        Limit::CpuBurst(burst) => Some(*burst),
        _ => None,
    });
    let (quota, burst) = (quota?, burst?);
    (burst > quota).then(|| {
        let (burst, quota) = (time(burst), time(quota));
        format!(
            "`cpu_burst` of {burst} is more than the {quota} that `cpu` comes to in a period here"
        )
    })
}
