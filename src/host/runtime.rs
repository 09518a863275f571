//! The folder of what a run keeps while it lasts: its record, and the sockets that only it may use.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why there is no folder for records, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoFolder {
    /// The sentence.
    pub message: String,
    /// The remedy.
    pub help: &'static str,
}

const SET_IT: &str = "set XDG_RUNTIME_DIR to a folder that only you may enter (mode 0700), as a login under systemd does";

/// Where this caller's records are: `/run/sandbox` of root, else `sandbox` in `XDG_RUNTIME_DIR`, or
/// in `/run/user/UID` where that is not set. Where there is neither, as for a user without a login (CI, su),
/// `sandbox-UID` in `/tmp`: its owner alone may enter it, and the sticky bit keeps others from putting another
/// in its place. Whoever makes one of that name first keeps its user from having records there, and no more.
///
/// # Errors
/// There is no folder that others cannot write to: what is in a record decides what
/// [`crate::running::join`] does with the caller's rights.
pub fn path_of_caller() -> Result<PathBuf, NoFolder> {
    let uid = rustix::process::geteuid().as_raw();
    if uid == 0 {
        return Ok("/run/sandbox".into());
    }
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    let of_login = PathBuf::from(format!("/run/user/{uid}"));
    if named.is_none() && !of_login.exists() && is_sticky(Path::new(SHARED)) {
        return Ok(shared(uid));
    }
    let base = named.unwrap_or(of_login);
    let refused = |why: String| NoFolder {
        message: format!("no place for the records of runs: {why}"),
        help: SET_IT,
    };
    match std::fs::metadata(&base) {
        Err(why) => Err(refused(format!("{}: {why}", base.display()))),
        Ok(found) if !found.is_dir() => Err(refused(format!("{} is no folder", base.display()))),
        Ok(found) if found.uid() != uid => Err(refused(format!(
            "{} belongs to another user",
            base.display()
        ))),
        Ok(found) if found.mode() & 0o022 != 0 => {
            Err(refused(format!("others may write to {}", base.display())))
        }
        Ok(_) => Ok(base.join("sandbox")),
    }
}

/// Where users without a login have their folder.
pub const SHARED: &str = "/tmp";

/// The folder of such a user.
#[must_use]
pub fn shared(uid: u32) -> PathBuf {
    Path::new(SHARED).join(format!("sandbox-{uid}"))
}

/// Whether nobody can rename what others have made there (inode(7)).
fn is_sticky(folder: &Path) -> bool {
    let found = std::fs::metadata(folder);
    found.is_ok_and(|found| {
        found.is_dir() && (found.mode() & 0o1000 != 0 || found.mode() & 0o022 == 0)
    })
}
