//! Measuring: what a run has used, from its group where there is one, else from what the kernel
//! tells the parent of an ended process. Only where somebody asks: it takes some twenty files.

use super::Run;
use super::watch::{Clock, Reason};
use crate::report::usage::{End, Figure, Measured, Usage};
use crate::sys::process::Spent;

impl Run<'_> {
    /// Measures a run that has ended, while its group is still there; `status` is the command's.
    pub(super) fn measure(&mut self, status: Option<i32>, clock: Clock) {
        let Some(measured) = self.observer.measured.as_deref_mut() else {
            return;
        };
        let mut found = Measured::default();
        if let Some(group) = &self.group {
            group.count(&mut found);
        }
        if let Some(init) = &self.init {
            fill(&mut found.usage, &init.spent);
        }
        found.end = status.and_then(End::of_status);
        let (Clock::Grace(_, reason) | Clock::Killed(reason)) = clock else {
            *measured = found;
            return;
        };
        found.wall_time_over = reason == Reason::WallTime;
        found.cpu_time_over = reason == Reason::CpuTime;
        found.idle_over = reason == Reason::Idle;
        found.grace_over = matches!(clock, Clock::Killed(_));
        *measured = found;
    }
}

/// Adds what no group has told. Init has waited for all but those that its own end has killed.
fn fill(usage: &mut Usage, spent: &Spent) {
    let Usage {
        memory_peak_bytes,
        // Nobody counts processes for their parent.
        tasks_peak: _,
        cpu_seconds,
        cpu_user_seconds,
        cpu_system_seconds,
        read_bytes,
        written_bytes,
        read_operations: _,
        write_operations: _,
        throttled_periods: _,
        throttled_seconds: _,
        voluntary_context_switches,
        involuntary_context_switches,
    } = usage;
    let seconds = |us: u64| us as f64 / 1e6;
    let time = |us, field| Figure::new(seconds(us), format!("rusage {field}"));
    let number = |n: u64, field| Figure::new(n, format!("rusage {field}"));
    memory_peak_bytes.get_or_insert_with(|| number(spent.largest, "ru_maxrss"));
    cpu_seconds
        .get_or_insert_with(|| time(spent.user_us + spent.system_us, "ru_utime and ru_stime"));
    cpu_user_seconds.get_or_insert_with(|| time(spent.user_us, "ru_utime"));
    cpu_system_seconds.get_or_insert_with(|| time(spent.system_us, "ru_stime"));
    read_bytes.get_or_insert_with(|| number(spent.blocks_read * 512, "ru_inblock"));
    written_bytes.get_or_insert_with(|| number(spent.blocks_written * 512, "ru_oublock"));
    voluntary_context_switches.get_or_insert_with(|| number(spent.yields, "ru_nvcsw"));
    involuntary_context_switches.get_or_insert_with(|| number(spent.preemptions, "ru_nivcsw"));
}
