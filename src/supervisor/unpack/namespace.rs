//! Doing something in a user namespace in which the caller's subordinate ids are at hand: only there may
//! a plain user give files to them, and take away what belongs to them.

use crate::host::caller::IdRange;
use crate::host::images::Owners;
use crate::supervisor::idmap;
use crate::sys::process::{self, Side};
use crate::sys::{descriptor, signal};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Does something where files can be given to owners as they are wanted; a sentence if it fails.
///
/// In a user namespace, it is done by a process that is copied from this one, which has one thread.
pub(super) fn within(
    owners: &Owners,
    act: impl FnOnce() -> Result<String, String>,
) -> Result<String, String> {
    let Owners::Mapped {
        users,
        groups,
        newuidmap,
        newgidmap,
    } = owners
    else {
        return act();
    };
    let told = |errno: nix::errno::Errno| errno.desc().to_owned();
    let pipe = || {
        let (reading, writing) = process::pipe().map_err(told)?;
        Ok::<_, String>((descriptor::own(reading), descriptor::own(writing)))
    };
    let (go, release) = pipe()?;
    let (answer, answering) = pipe()?;
    let supervisor = std::process::id() as libc::pid_t;
    let (pid, pidfd) = match process::clone_into(libc::CLONE_NEWUSER as u64, None) {
        Ok(Side::Child) => {
            drop((release, answer));
            process::exit(child(&go, &answering, supervisor, act))
        }
        Ok(Side::Parent { pid, pidfd }) => (pid, descriptor::own(pidfd)),
        Err(errno) => return Err(format!("no user namespace can be made: {}", errno.desc())),
    };
    drop((go, answering));
    let (uid, gid) = (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    );
    let mapped = idmap::run_helper(newuidmap, pid, &with_caller(users, uid))
        .and_then(|()| idmap::run_helper(newgidmap, pid, &with_caller(groups, gid)));
    if let Err(why) = mapped {
        // End of file means that there will be no word to go on.
        drop(release);
        let _ = signal::kill_child(pid, pidfd.as_raw_fd());
        let _ = process::wait_for(pid);
        return Err(why);
    }
    let said = descriptor::write_all(release.as_raw_fd(), &[1]).map_err(told);
    drop(release);
    let mut words = String::new();
    let read = File::from(answer).read_to_string(&mut words);
    let ended = process::wait_for(pid).map_err(told);
    said?;
    read.map_err(|e| e.to_string())?;
    match ended {
        Ok((0, _)) => Ok(words),
        _ if words.is_empty() => Err("the process that unpacked was killed".into()),
        _ => Err(words),
    }
}

/// The copied process: its exit code.
fn child(
    go: &OwnedFd,
    answering: &OwnedFd,
    supervisor: libc::pid_t,
    act: impl FnOnce() -> Result<String, String>,
) -> libc::c_int {
    // The supervisor may have died before the request: no signal comes for that.
    if process::die_with_parent().is_err() || process::parent() != supervisor {
        return 1;
    }
    let mut byte = [0];
    if descriptor::read(go.as_raw_fd(), &mut byte) != Ok(1) {
        return 1;
    }
    let (words, code) = match act() {
        Ok(words) => (words, 0),
        Err(words) => (words, 1),
    };
    match descriptor::write_all(answering.as_raw_fd(), words.as_bytes()) {
        Ok(()) => code,
        Err(_) => 1,
    }
}

/// The same ranges, with the caller's own id if they lack it: files are made by it before they are given
/// away.
fn with_caller(ranges: &[IdRange], caller: u32) -> Vec<IdRange> {
    let mut ranges = ranges.to_vec();
    let holds = |r: &IdRange| caller >= r.outside && caller - r.outside < r.count;
    if !ranges.iter().any(holds) {
        let end = ranges
            .iter()
            .filter_map(|r| r.inside.checked_add(r.count))
            .max();
        ranges.push(IdRange {
            inside: end.unwrap_or(0),
            outside: caller,
            count: 1,
        });
    }
    ranges
}
