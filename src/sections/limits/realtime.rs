//! `realtime`: processor time for what has a real-time priority (Documentation/scheduler/sched-rt-group.rst). A group
//! has what it is given, and none to begin with; all groups below another one have no more together than that.

use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::cgroup::{Controller, Place};
use crate::plan::op::{Limit, REALTIME_PERIOD_US};
use crate::profile::value::Duration;

/// What helps.
pub(super) const REMEDY: &str =
    "give the group above more (`cpu.rt_runtime_us`), lower `realtime`, or leave it out";

/// The time in microseconds, of each second.
pub(super) fn check(raw: Option<At<Duration>>, problems: &mut Diagnostics) -> Option<At<Limit>> {
    let At { value, origin } = raw?;
    let us = u64::try_from(value.0.as_micros()).unwrap_or(u64::MAX);
    if us == 0 || us > REALTIME_PERIOD_US {
        let text = format!("{value} is no part of a second");
        problems.push(
            Diagnostic::new(Code::WrongValue, &origin, text)
                .help("from 1 µs to 1 s of each second, for example: realtime = \"50ms\""),
        );
        return None;
    }
    Some(At::new(Limit::Realtime(us), origin))
}

/// Why a group at a place could not have it.
pub(super) fn lacking(limit: &Limit, place: &Place) -> Option<String> {
    let Limit::Realtime(us) = limit else {
        return None;
    };
    let has_it = |controllers: &[Controller]| controllers.contains(&Controller::Cpu);
    let hierarchy = place.v1().iter().find(|one| has_it(&one.controllers));
    let Some(hierarchy) = hierarchy else {
        return Some("cgroup v2 gives groups no real-time processor time".into());
    };
    let file = hierarchy.dir.join("cpu.rt_runtime_us");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(
                "this kernel divides no real-time processor time (CONFIG_RT_GROUP_SCHED)".into(),
            );
        }
        Err(error) => return Some(format!("{} cannot be read: {error}", file.display())),
    };
    // -1 is no bound.
    match text.trim().parse::<i64>() {
        Ok(most) if most < 0 || most.cast_unsigned() >= *us => None,
        _ => Some(format!(
            "{} has {} µs of each second",
            hierarchy.dir.display(),
            text.trim()
        )),
    }
}
