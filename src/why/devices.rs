//! What the rules about devices say, where there are any.

use super::Answer;
use super::inside::{Found, Inside, Is};
use crate::host::Host;
use crate::plan::op::{DeviceRule, Op};
use crate::plan::{Plan, Step};
use std::path::Path;

/// The refusal of a device that is there, if no rule permits it.
pub(super) fn refused(
    path: &Path,
    write: bool,
    inside: &Inside<'_>,
    plan: &Plan,
    host: &Host,
) -> Option<Answer> {
    let rules = |step: &'_ Step| match &step.op {
        Op::LimitDevices(rules) => Some((rules.clone(), step.origin.clone())),
        _ => None,
    };
    let (rules, origin) = plan.steps.iter().find_map(rules)?;
    let found: Found<'_> = inside
        .find(path)
        .ok()
        .filter(|found| found.is == Is::Device)?;
    let (block, major, minor) = match found.number {
        Some(number) => number,
        None => {
            let (block, device) = host.tree.device(found.on_host.as_deref()?)?;
            (block, device.major, device.minor)
        }
    };
    let permits = |rule: &DeviceRule| {
        let same =
            rule.block == block && rule.major == major && rule.minor.is_none_or(|one| one == minor);
        same && if write { rule.write } else { rule.read }
    };
    if rules.iter().any(permits) {
        return None;
    }
    let name = path
        .strip_prefix("/dev")
        .unwrap_or(path)
        .display()
        .to_string();
    Some(Answer::denied(
        "the rules about devices do not permit it",
        &origin,
        format!("[devices] nodes = [{{ name = {name:?}, access = \"rw\" }}]"),
    ))
}
