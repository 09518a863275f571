//! What a supervisor that was killed has left behind, and how live groups are told from dead ones.
//!
//! A group's name says whose it is, but a process id means something only inside its pid namespace,
//! and a start time only inside its time namespace. So every run also holds a lock (flock(2)) on the
//! directory of its group for as long as it lives, which the kernel lets go of however it ends. A group
//! is dead when its name belongs to nobody here and its lock can be had.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::clear::{self, children};
use super::error::{CgroupError, Operation};
use super::named;
use super::v2::restore;
use crate::host::cgroup::{Kind, LEAF, Place, run_name, start_time};

/// Removes the groups below the place's directories whose supervisor is gone, with all processes in them.
///
/// Never touches a live run's group, in whatever pid namespace its supervisor is, and any number of
/// sweepers may run at once. What cannot be removed is left for the next one: nothing depends on it.
pub fn sweep(place: &Place) {
    for hierarchy in place.v1() {
        if children(&hierarchy.dir).iter().any(|n| is_orphan(n))
            && let Ok(_turn) = turn(&hierarchy.dir, Duration::ZERO)
        {
            sweep_base(&hierarchy.dir);
        }
    }
    if let Some((base, kind, _)) = place.v2() {
        let names = children(base);
        let runs = || names.iter().filter(|n| run_name(n).is_some());
        let abandoned =
            *kind == Kind::Leaf && names.iter().any(|n| n == LEAF) && runs().all(|n| is_orphan(n));
        if (abandoned || runs().any(|n| is_orphan(n)))
            && let Ok(_turn) = turn(base, Duration::ZERO)
        {
            sweep_base(base);
            let _ = restore(base, kind);
        }
    }
}

/// A group that was left behind: how many processes were still in it, or why it is still there.
pub type Swept = (PathBuf, Result<usize, CgroupError>);

/// The same for a directory and everything below it, also where this process could make no group: what
/// earlier logins or containers of this user's have left. Says what was found.
pub fn sweep_below(dir: &Path) -> Vec<Swept> {
    let names = children(dir);
    let is_run = |name: &&String| run_name(name).is_some();
    let leaf = dir.join(LEAF);
    let mut swept = Vec::new();
    let orphans = names.iter().any(|n| is_orphan(n) && is_mine(&dir.join(n)));
    let abandoned = is_mine(&leaf) && names.iter().filter(is_run).all(|n| is_orphan(n));
    if (orphans || abandoned)
        && let Ok(_turn) = turn(dir, Duration::from_millis(500))
    {
        swept = sweep_base(dir);
        let kind = match leaf.exists() {
            true => Kind::Leaf,
            false => Kind::Beside,
        };
        // v1 has nothing to be put back.
        if dir.join("cgroup.subtree_control").exists() {
            let held = clear::members(&leaf).len();
            match restore(dir, &kind) {
                Ok(()) if kind == Kind::Leaf && !leaf.exists() => swept.push((leaf, Ok(held))),
                Ok(()) => {}
                Err(error) => swept.push((dir.to_path_buf(), Err(error))),
            }
        }
    }
    for name in children(dir) {
        swept.extend(sweep_below(&dir.join(name)));
    }
    swept
}

/// Sweeps one directory, below which it must be our turn.
pub(super) fn sweep_base(base: &Path) -> Vec<Swept> {
    let orphans = children(base).into_iter().filter(|name| is_orphan(name));
    let mut swept = Vec::new();
    for name in orphans {
        let dir = base.join(&name);
        let Some(_claim) = is_mine(&dir).then(|| claim(&dir).ok()).flatten() else {
            continue;
        };
        // What has another name goes first: this one says so.
        let named = named::sweep(base, &dir, &name);
        let failed = matches!(named, Some((_, Err(_))));
        swept.extend(named);
        if failed {
            continue;
        }
        let held = clear::members(&dir).len();
        let removed = clear::remove(&dir);
        swept.push((dir, removed.map(|()| held)));
    }
    swept
}

/// Whether it is there, and made by this user: what is another's is that one's to sweep.
pub(super) fn is_mine(dir: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    std::fs::metadata(dir).is_ok_and(|metadata| metadata.uid() == me)
}

/// Whether the name is one of ours and no process here bears it.
fn is_orphan(name: &str) -> bool {
    run_name(name).is_some_and(|(pid, start)| start_time(&pid.to_string()) != Some(start))
}

/// Opens and locks the directory of a group, without waiting. The file is both the sign that the
/// run is alive and, on v2, what clone3 takes (CLONE_INTO_CGROUP).
pub(super) fn claim(dir: &Path) -> Result<File, CgroupError> {
    lock(dir, Duration::ZERO)
}

/// Waits, no longer than `patience`, for the turn to make or remove groups below `base`: whoever may
/// read there may also hold the lock. It is on a file, because the base may itself be the group of a
/// run around this one, whose directory is locked as its sign of life.
pub(super) fn turn(base: &Path, patience: Duration) -> Result<File, CgroupError> {
    lock(&base.join("cgroup.procs"), patience)
}

/// The same in the order of asking, for whoever can do nothing without it: those who only try every now and then
/// may miss each chance while others come and go. Only the kernel keeps an order, and nobody can stop waiting there
/// but with its thread; so a thread waits, and has ended when this returns with success.
pub(super) fn turn_in_order(base: &Path, patience: Duration) -> Result<File, CgroupError> {
    let path = base.join("cgroup.procs");
    let file = File::open(&path).map_err(|e| CgroupError::new(&path, Operation::Open, e))?;
    let failed = |cause: io::Error| CgroupError::new(&path, Operation::Lock, cause);
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // The lock belongs to the open file, and so to both descriptors.
    let same = file.try_clone().map_err(failed)?;
    let (done, waited) = mpsc::channel();
    let waiter = std::thread::Builder::new().spawn(move || {
        let _ = done.send(same.lock());
    });
    let waiter = waiter.map_err(failed)?;
    match waited.recv_timeout(patience) {
        Ok(locked) => {
            let _ = waiter.join();
            locked.map(|()| file).map_err(failed)
        }
        Err(_) => {
            let cause = io::Error::new(io::ErrorKind::WouldBlock, "another process holds it");
            Err(failed(cause))
        }
    }
}

fn lock(dir: &Path, patience: Duration) -> Result<File, CgroupError> {
    let file = File::open(dir).map_err(|e| CgroupError::new(dir, Operation::Open, e))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => {
                let cause = io::Error::new(io::ErrorKind::WouldBlock, "another process holds it");
                return Err(CgroupError::new(dir, Operation::Lock, cause));
            }
            Err(TryLockError::Error(e)) => return Err(CgroupError::new(dir, Operation::Lock, e)),
        }
    }
}
