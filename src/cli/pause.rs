//! `sandbox pause` and `resume`: by the freezer of the sandbox's control group, or else by its init.

use super::{Refused, found};
use crate::running::paused::{self, Failed};
use crate::running::{Live, Record};
use crate::supervisor::cgroup::Group;
use std::io::ErrorKind;

pub(super) fn run(name: &str, paused: bool) -> Result<u8, Refused> {
    let (live, record, owner) = found::running(name)?;
    found::own(name, owner)?;
    let ended = |why: &str| found::not_running(name, &format!("has just ended{why}"));
    let group = Group::look(&record.groups).map_err(|why| ended(&format!(": {why}")))?;
    match group.freeze(paused) {
        Ok(true) => return Ok(0),
        Ok(false) => {}
        Err(why) if why.cause.kind() == ErrorKind::NotFound => return Err(ended("")),
        Err(why) if why.cause.kind() == ErrorKind::TimedOut => return Err(goes_on(name)),
        Err(why) => return Err(refused(name, &why.to_string())),
    }
    match paused::set(&record, &live, paused) {
        Ok(()) => Ok(0),
        Err(Failed::NoInit) => Err(found::out_of_reach(
            format!(
                "{name} has neither a control group of cgroup v2, whose freezer would stop what is in it, \
                 nor an init in a pid namespace of its own, which would"
            ),
            "start it with `pid = \"new\"` under [namespaces] and `init = true` under [process], as they are by default; \
             or with a limit under [limits], such as `pids = 1000`, on a machine with cgroup v2",
        )),
        Err(Failed::Ended) => Err(ended("")),
        Err(Failed::Refused(errno)) => Err(refused(name, errno.desc())),
        Err(Failed::Deaf) => Err(found::out_of_reach(
            format!("the init of {name} has not done it in ten seconds"),
            "is it stopped or traced from outside, or the machine very busy? Try again",
        )),
        Err(Failed::GoesOn) => Err(goes_on(name)),
    }
}

fn refused(name: &str, why: &str) -> Refused {
    found::out_of_reach(
        format!("{name} cannot be stopped or continued: {why}"),
        "do it as the user who has started it, with the same rights",
    )
}

fn goes_on(name: &str) -> Refused {
    found::out_of_reach(
        format!("a process of {name} has not come to a stop, or gone on, in ten seconds"),
        format!(
            "`sandbox inspect {name}` shows which; `sandbox resume {name}` takes a pause back, `sandbox kill {name}` ends it"
        ),
    )
}

/// Whether a sandbox is paused. The group that another user's record names is not looked at.
pub(super) fn is_paused(live: &Live, record: &Record, owner: u32) -> bool {
    let is_own = owner == rustix::process::geteuid().as_raw();
    let group = || Group::look(&record.groups).ok();
    paused::is_paused(record.init, live.pid)
        || is_own && group().is_some_and(|group| group.is_frozen())
}
