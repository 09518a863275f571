//! Groups with a name of the profile's choice, which does not say whose they are.
//!
//! Beside such a group is another one, without processes: the sign. It has the name by which every run is known, is
//! locked as the group of a run is, and holds an empty group `for.NAME`. The named group itself holds an empty group
//! `of.SIGN`: so a sweeper ends and removes no group but one that the run of this sign has made, whatever was there
//! before. A run that is killed between making a group and marking it leaves an empty one, which is removed as what
//! it is; and the sign goes last, so that at each moment it says what else there is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::clear::{self, children};
use super::error::{CgroupError, Operation};
use super::sweep::{Swept, claim, is_mine};
use crate::host::cgroup::{MARK, Names};

/// In the sign, what it stands for.
const STANDS_FOR: &str = "for.";

/// The group that says whose the named one is.
pub(super) struct Sign {
    dir: PathBuf,
    /// Held for as long as the run lives.
    _claim: File,
}

/// Makes the group of a run below `base`, with its sign where it has a name of its own. It must be our turn there.
pub(super) fn make(base: &Path, names: &Names) -> Result<(PathBuf, Option<Sign>), CgroupError> {
    let Some(own) = &names.own else {
        let dir = base.join(&names.run);
        create(&dir)?;
        return Ok((dir, None));
    };
    let sign = base.join(&names.run);
    create(&sign)?;
    let made = (|| {
        let claim = claim(&sign)?;
        create(&sign.join(format!("{STANDS_FOR}{own}")))?;
        let dir = base.join(own);
        create(&dir)?;
        if let Err(error) = create(&mark(&dir, &names.run)) {
            let _ = clear::remove(&dir);
            return Err(error);
        }
        Ok((dir, claim))
    })();
    match made {
        Ok((dir, _claim)) => Ok((dir, Some(Sign { dir: sign, _claim }))),
        Err(error) => {
            let _ = clear::remove(&sign);
            Err(error)
        }
    }
}

fn create(dir: &Path) -> Result<(), CgroupError> {
    std::fs::create_dir(dir).map_err(|cause| {
        let cause = match cause.kind() {
            io::ErrorKind::AlreadyExists => io::Error::new(
                cause.kind(),
                "it is there already, and only a group of one's own is used",
            ),
            _ => cause,
        };
        CgroupError::new(dir, Operation::Create, cause)
    })
}

fn mark(named: &Path, run: &str) -> PathBuf {
    named.join(format!("{MARK}{run}"))
}

impl Sign {
    /// Takes it away, when the group for which it stands is gone.
    pub(super) fn remove(&self) -> Result<(), CgroupError> {
        clear::remove(&self.dir)
    }
}

/// Removes the group for which a sign stands whose run is dead, and which is claimed; nothing where it stands for none.
pub(super) fn sweep(base: &Path, sign: &Path, run: &str) -> Option<Swept> {
    let own = children(sign)
        .into_iter()
        .find_map(|name| name.strip_prefix(STANDS_FOR).map(str::to_owned))?;
    let dir = base.join(own);
    if !is_mine(&dir) {
        return None;
    }
    if mark(&dir, run).exists() {
        let held = clear::members(&dir).len();
        let removed = clear::remove(&dir);
        return Some((dir, removed.map(|()| held)));
    }
    // Either the run made it and came no further, or somebody else did before it. Nothing is in it in the first case.
    match std::fs::remove_dir(&dir) {
        Ok(()) => Some((dir, Ok(0))),
        Err(_) => None,
    }
}
