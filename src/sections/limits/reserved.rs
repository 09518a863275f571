//! `memory_low`, `memory_min`: memory that is kept for the sandbox. A group has no more of it than the groups above
//! it were given (Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files"), whatever its own file says.

use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::cgroup::Place;
use crate::host::share;
use crate::plan::op::Limit;
use crate::profile::value::Size;

/// What is kept and can never be used.
pub(super) fn check(
    kept: [(&str, &Option<At<Size>>); 2],
    memory: Option<&At<Size>>,
    problems: &mut Diagnostics,
) {
    let kept = kept.into_iter();
    for (key, kept) in kept.filter_map(|(key, kept)| Some((key, kept.as_ref()?))) {
        let problem = |code, text: &str| Diagnostic::new(code, &kept.origin, text);
        if kept.value.0 == 0 {
            let text = "no memory is kept anyway";
            problems.push(problem(Code::RepeatsDefault, text).help(format!("remove `{key}`")));
        }
        if let Some(memory) = memory.filter(|memory| kept.value > memory.value) {
            let text = "more memory is kept than there may be";
            problems.push(
                problem(Code::NoEffect, text)
                    .and(&memory.origin, "the memory that it has")
                    .help(format!("lower `{key}`, or raise `memory`")),
            );
        }
    }
}

/// Why memory that is to be kept would not be, in a group at a place.
pub(super) fn lacking(limit: &Limit, place: &Place) -> Option<String> {
    let (bytes, file) = match limit {
        Limit::MemoryLow(bytes) => (*bytes, "memory.low"),
        Limit::MemoryMin(bytes) => (*bytes, "memory.min"),
        _ => return None,
    };
    match share::kept(place, file) {
        Ok(None) => None,
        Ok(Some((most, _))) if most >= bytes => None,
        Ok(Some((most, group))) => Some(format!(
            "{file} of {} is {}, and no group below it has more",
            group.display(),
            Size(most)
        )),
        Err(error) => Some(format!(
            "what the groups above keep cannot be read: {error}"
        )),
    }
}

/// What helps.
pub(super) const REMEDY: &str =
    "have the groups above given it (`MemoryLow=`, `MemoryMin=` of their units), or leave it out";
