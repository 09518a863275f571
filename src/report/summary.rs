//! `--stats`: what a run has used, in a few lines for people.

use super::Outcome;
use super::usage::{End, Figure, Measured};
use crate::plan::Plan;
use crate::plan::op::{Limit, Op};
use crate::profile::value::Size;
use std::time::Duration;

/// A line a thing; what is not known has none.
#[must_use]
pub fn lines(outcome: Outcome, measured: &Measured, took: Duration, plan: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    let usage = &measured.usage;
    let seconds = took.as_secs_f64();
    let end = match measured.end {
        Some(End::Code(code)) => format!(", code {code}"),
        Some(End::Signal(signal)) => format!(", signal {signal}"),
        None => String::new(),
    };
    let mut line = |name: &str, text: &str| out.push(format!("{name:<8} {text}"));
    line(
        "end",
        &format!("{}{end}, after {seconds:.2} s", outcome.word()),
    );
    if let Some(Figure { value, .. }) = usage.cpu_seconds {
        let parts = match (&usage.cpu_user_seconds, &usage.cpu_system_seconds) {
            (Some(user), Some(system)) => {
                format!(" ({:.2} user, {:.2} system)", user.value, system.value)
            }
            _ => String::new(),
        };
        let held = usage.throttled_periods.as_ref().map(|n| n.value);
        let held = held.filter(|n| *n > 0);
        let held = held
            .map(|n| format!("; held up in {n} periods"))
            .unwrap_or_default();
        line("cpu", &format!("{value:.2} s{parts}{held}"));
    }
    if let Some(peak) = &usage.memory_peak_bytes {
        let of = limit(plan, |limit| match limit {
            Limit::Memory(bytes) => Some(Size(*bytes).to_string()),
            _ => None,
        });
        let whose = match peak.source.starts_with("rusage") {
            true => " (the largest process)",
            false => "",
        };
        line(
            "memory",
            &format!("{} at most{of}{whose}", rounded(peak.value)),
        );
    }
    if let Some(peak) = &usage.tasks_peak {
        let of = limit(plan, |limit| match limit {
            Limit::Pids(most) => Some(most.to_string()),
            _ => None,
        });
        line("tasks", &format!("{} at most{of}", peak.value));
    }
    if let (Some(read), Some(written)) = (&usage.read_bytes, &usage.written_bytes) {
        let (read, written) = (rounded(read.value), rounded(written.value));
        line("disks", &format!("{read} read, {written} written"));
    }
    let counted = &measured.counted;
    for (times, what) in [
        (counted.pids, "forks refused for the limit on pids"),
        (counted.oom_kills, "processes killed for want of memory"),
    ] {
        if let Some(times) = times.filter(|times| *times > 0) {
            line("limits", &format!("{times} {what}"));
        }
    }
    out
}

/// ` of 100M`, for a limit that was set.
fn limit(plan: &Plan, of: impl Fn(&Limit) -> Option<String>) -> String {
    let set = plan.steps.iter().find_map(|step| match &step.op {
        Op::SetLimit(limit) => of(limit),
        _ => None,
    });
    set.map(|most| format!(" of {most}")).unwrap_or_default()
}

/// A size with one digit behind the point.
#[must_use]
pub fn rounded(bytes: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let unit = units.into_iter().find(|(shift, _)| bytes >= 1 << shift);
    match unit {
        Some((shift, unit)) => format!("{:.1}{unit}", bytes as f64 / f64::from(1u32 << shift)),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded() {
        assert_eq!(rounded(1023), "1023");
        assert_eq!(rounded(1536), "1.5K");
        assert_eq!(rounded(100 << 20), "100.0M");
        assert_eq!(rounded(5 << 30), "5.0G");
    }
}
