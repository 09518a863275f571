//! `sandbox pause` and `resume`: the freezer of a sandbox's control group.

use super::{Refused, found};
use crate::supervisor::cgroup::Group;

pub(super) fn run(name: &str, frozen: bool) -> Result<u8, Refused> {
    let (_, record, owner) = found::running(name)?;
    found::own(name, owner)?;
    let group = Group::look(&record.groups);
    let group = group.map_err(|why| found::not_running(name, &format!("has just ended: {why}")))?;
    match group.freeze(frozen) {
        Ok(true) => Ok(0),
        Ok(false) => Err(found::out_of_reach(
            format!("{name} has no control group of cgroup v2, whose freezer this takes"),
            "set a limit under [limits], such as `pids = 1000`, on a machine with cgroup v2",
        )),
        Err(why) => Err(found::out_of_reach(
            format!("{name} cannot be frozen: {why}"),
            "do it as the user who has started it, with the same rights",
        )),
    }
}
