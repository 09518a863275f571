//! A group in the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{XattrFlags, getxattr, removexattr, setxattr};

use super::clear::{self, children, members};
use super::error::{CgroupError, Operation};
use super::limits::write;
use super::named::{self, Sign};
use super::sweep::{claim, sweep_base, turn_in_order};
use crate::host::cgroup::{Controller, Kind, LEAF, Names, run_name};

/// How long to wait for other runs that are setting up or clearing away below the same base, of which there may be
/// many, on a slow machine.
const TURN: Duration = Duration::from_secs(60);

/// Where a base that is not ours alone keeps what runs have switched on in it, so that the last of them
/// can switch it off, whoever of them was killed. Cgroups have `user.` attributes (xattr(7)) since Linux
/// 5.7; on an older kernel the controllers stay on, which limits nobody.
const NOTE: &str = "user.sandbox.enabled";

/// The directory of one run.
pub(super) struct V2 {
    pub dir: PathBuf,
    /// Open on `dir`, and locked for as long as the run lives; see [`claim`].
    pub fd: File,
    sign: Option<Sign>,
    base: PathBuf,
    kind: Kind,
}

impl V2 {
    pub(super) fn create(
        base: &Path,
        kind: &Kind,
        enable: &[Controller],
        names: &Names,
    ) -> Result<V2, CgroupError> {
        let _turn = turn_in_order(base, TURN)?;
        let made = (|| {
            switch_on(base, kind, enable)?;
            let (dir, sign) = named::make(base, names)?;
            let fd = claim(&dir).inspect_err(|_| {
                let _ = clear::remove(&dir);
                let _ = sign.as_ref().map(Sign::remove);
            })?;
            Ok((dir, sign, fd))
        })();
        match made {
            Ok((dir, sign, fd)) => Ok(V2 {
                dir,
                fd,
                sign,
                base: base.to_path_buf(),
                kind: kind.clone(),
            }),
            Err(e) => {
                let _ = restore(base, kind);
                Err(e)
            }
        }
    }

    /// The directory of another process's run, which is not claimed here.
    pub(super) fn of(dir: &Path) -> Result<V2, CgroupError> {
        let fd = File::open(dir).map_err(|e| CgroupError::new(dir, Operation::Open, e))?;
        Ok(V2 {
            dir: dir.to_path_buf(),
            fd,
            sign: None,
            base: dir.parent().unwrap_or(dir).to_path_buf(),
            kind: Kind::Beside,
        })
    }

    pub(super) fn remove(&mut self) -> Result<(), CgroupError> {
        // Killing may take a while, and needs no lock: our claim keeps sweepers away.
        clear::remove(&self.dir)?;
        self.sign.as_ref().map_or(Ok(()), Sign::remove)?;
        match self.kind {
            // The scope ends with us, and systemd removes what is in it.
            Kind::Scope(_) => return Ok(()),
            Kind::Leaf => {}
            Kind::Beside | Kind::Below if noted(&self.base).is_empty() => return Ok(()),
            Kind::Beside | Kind::Below => {}
        }
        let _turn = turn_in_order(&self.base, TURN)?;
        restore(&self.base, &self.kind)
    }
}

/// Has the base hand the controllers on, clearing it of processes first where it must be.
fn switch_on(base: &Path, kind: &Kind, enable: &[Controller]) -> Result<(), CgroupError> {
    let path = base.join("cgroup.subtree_control");
    for attempt in 0.. {
        if kind.has_leaf() {
            move_all(base, &base.join(LEAF), true)?;
        }
        let on = words(&path)?;
        let off: Vec<String> = enable
            .iter()
            .map(|c| c.name().to_owned())
            .filter(|name| !on.contains(name))
            .collect();
        if off.is_empty() {
            break;
        }
        if !kind.has_leaf() {
            note(base, &off);
        }
        let order: Vec<String> = off.iter().map(|name| format!("+{name}")).collect();
        match write(&path, &order.join(" ")) {
            Ok(()) => break,
            // A process may have forked into the base between the two steps.
            Err(e)
                if kind.has_leaf()
                    && attempt < 50
                    && e.cause.kind() == io::ErrorKind::ResourceBusy =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => return Err(e),
        }
    }
    let on = words(&path)?;
    if let Some(&missing) = enable.iter().find(|c| !on.iter().any(|w| w == c.name())) {
        let operation = Operation::Verify {
            wanted: format!("+{missing}"),
            found: on.join(" "),
        };
        let cause = io::Error::other("the kernel does not hand the controller on");
        return Err(CgroupError::new(&path, operation, cause).of(missing));
    }
    // Never leave a group threaded: nobody could be put into a child of it any more.
    let kind = base.join("cgroup.type");
    match words(&kind) {
        Ok(words) if words.join(" ") != "domain" => {
            let operation = Operation::Verify {
                wanted: format!("{} to {}", on.join(" "), path.display()),
                found: words.join(" "),
            };
            let cause = io::Error::other("the group would become threaded");
            Err(CgroupError::new(&kind, operation, cause))
        }
        _ => Ok(()), // the true root has no type
    }
}

/// Moves every process of one group to another, made if need be; new ones may turn up meanwhile.
fn move_all(from: &Path, to: &Path, make: bool) -> Result<(), CgroupError> {
    let procs = to.join("cgroup.procs");
    let mut failed = None;
    for _ in 0..100 {
        let found = members(from);
        if found.is_empty() {
            return Ok(());
        }
        if make
            && let Err(e) = std::fs::create_dir(to)
            && e.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(CgroupError::new(to, Operation::Create, e));
        }
        failed = None;
        for pid in found {
            if pid == 0 {
                // Zero stands for a process that our pid namespace does not show; written back, it
                // would mean ourselves.
                let cause = io::Error::other("it belongs to another pid namespace");
                failed = Some(CgroupError::new(&procs, Operation::Move(pid), cause));
                continue;
            }
            let Err(e) = write(&procs, &pid.to_string()) else {
                continue;
            };
            if e.cause.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) {
                continue; // it has ended
            }
            failed = Some(CgroupError::new(&procs, Operation::Move(pid), e.cause));
        }
        if failed.is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Err(failed.unwrap_or_else(|| {
        let cause = io::Error::other("processes keep appearing in it");
        CgroupError::new(from, Operation::Read, cause)
    }))
}

/// Puts the base back as it was, unless another run still needs it as it is. It must be our turn.
pub(super) fn restore(base: &Path, kind: &Kind) -> Result<(), CgroupError> {
    let is_run = |name: &String| run_name(name).is_some();
    if children(base).iter().any(is_run) {
        // Those whose supervisor was killed must not keep it so.
        sweep_base(base);
        if children(base).iter().any(is_run) {
            return Ok(());
        }
    }
    let path = base.join("cgroup.subtree_control");
    if !kind.has_leaf() {
        // Somebody else may have come to rely on it; then the kernel refuses, and that is fine.
        let _ = switch_off(&path, &noted(base));
        let _ = removexattr(base, NOTE);
        return Ok(());
    }
    let leaf = base.join(LEAF);
    if !leaf.exists() {
        return Ok(());
    }
    // A group with processes hands nothing on, so nothing was on before the leaf was made.
    switch_off(&path, &words(&path)?)?;
    move_all(&leaf, base, false)?;
    clear_leaf(&leaf)
}

/// Removes the leaf without killing anybody: unlike a run's group, it holds other people's processes.
fn clear_leaf(leaf: &Path) -> Result<(), CgroupError> {
    for attempt in 0.. {
        match std::fs::remove_dir(leaf) {
            Ok(()) => break,
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && attempt < 50 => {
                std::thread::sleep(Duration::from_millis(1));
                if let Some(base) = leaf.parent() {
                    move_all(leaf, base, false)?;
                }
            }
            Err(e) => return Err(CgroupError::new(leaf, Operation::Remove, e)),
        }
    }
    Ok(())
}

fn note(base: &Path, switched: &[String]) {
    let mut all = noted(base);
    all.extend(
        switched
            .iter()
            .filter(|&s| !noted(base).contains(s))
            .cloned(),
    );
    let _ = setxattr(base, NOTE, all.join(" ").as_bytes(), XattrFlags::empty());
}

fn noted(base: &Path) -> Vec<String> {
    let mut text = [0; 128];
    let length = getxattr(base, NOTE, &mut text).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..length]);
    Controller::ALL
        .into_iter()
        .map(|c| c.name().to_owned())
        .filter(|name| text.split(' ').any(|word| word == name))
        .collect()
}

fn switch_off(path: &Path, controllers: &[String]) -> Result<(), CgroupError> {
    if controllers.is_empty() {
        return Ok(());
    }
    let order: Vec<String> = controllers.iter().map(|name| format!("-{name}")).collect();
    write(path, &order.join(" "))
}

fn words(path: &Path) -> Result<Vec<String>, CgroupError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Err(e) => Err(CgroupError::new(path, Operation::Read, e)),
    }
}
