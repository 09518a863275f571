//! Emptying and removing groups, of either version.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::{CgroupError, Operation};
use super::limits::write;
use crate::host::tree::entries;

/// How long to go on removing a group whose processes do not go away. A killed process leaves its group
/// when it has given back its memory, which takes a moment per gigabyte.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of one group, without those of its children. Zero stands for one that this pid
/// namespace does not show.
pub(super) fn members(dir: &Path) -> Vec<u32> {
    // A threaded group has no readable cgroup.procs, but then its threads are listed above it.
    std::fs::read_to_string(dir.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|l| l.trim().parse().ok()).collect())
        .unwrap_or_default()
}

/// The names of the groups directly below.
pub(super) fn children(dir: &Path) -> Vec<String> {
    let entries = entries(dir).unwrap_or_default().into_iter();
    entries
        .filter(|(_, is_directory)| *is_directory)
        .filter_map(|(name, _)| name.into_string().ok())
        .collect()
}

/// Kills everything in these groups and below, once, and says whether there was anything.
fn kill_once(dir: &Path) -> bool {
    let mut found = false;
    for child in children(dir) {
        found |= kill_once(&dir.join(child));
    }
    // Opened before the second look, a descriptor either is the process that is still listed then, or
    // of one that has ended: a recycled id cannot hit a stranger.
    // A thread of ours that has been in a v1 group is listed, as us, until it is wholly gone.
    let open: Vec<_> = members(dir)
        .into_iter()
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| Some((pid, Pid::from_raw(i32::try_from(pid).ok()?)?)))
        .map(|(pid, raw)| (pid, pidfd_open(raw, PidfdFlags::empty())))
        .collect();
    found |= !open.is_empty();
    if !open.is_empty() {
        let still = members(dir);
        for (_, fd) in open.iter().filter(|(pid, _)| still.contains(pid)) {
            if let Ok(fd) = fd {
                let _ = pidfd_send_signal(fd, Signal::KILL);
            }
        }
    }
    found
}

/// Sends SIGKILL to everything in the group and below it, until nothing is listed any more.
///
/// v2 has one atomic write for it (`cgroup.kill`, Linux 5.14). Elsewhere forks are stopped first where
/// there is a pids controller, and the list is worked through a bounded number of times.
pub(super) fn kill(dir: &Path) {
    if write(&dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let _ = write(&dir.join("pids.max"), "0");
    let mut pause = Duration::from_micros(100);
    for _ in 0..200 {
        if !kill_once(dir) {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Removes a group and what is below it, killing what is left in it. A group that is gone is fine.
pub(super) fn remove(dir: &Path) -> Result<(), CgroupError> {
    let mut deadline = None;
    let mut pause = Duration::from_micros(50);
    loop {
        let cause = match std::fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => e,
        };
        // EBUSY is for processes and, on v1 and v2 alike, for child groups.
        let busy = matches!(
            cause.kind(),
            io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty
        );
        let now = Instant::now();
        if !busy || now > *deadline.get_or_insert(now + PATIENCE) {
            return Err(CgroupError::new(dir, Operation::Remove, cause));
        }
        if !members(dir).is_empty() || !children(dir).is_empty() {
            kill(dir);
        }
        for child in children(dir) {
            remove(&dir.join(child))?;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Removes several, all of them even when one fails; reports the first failure.
pub(super) fn remove_all(dirs: impl Iterator<Item = PathBuf>) -> Result<(), CgroupError> {
    dirs.map(|dir| remove(&dir)).fold(Ok(()), Result::and)
}
