//! What `[landlock]` says of a path, where it says anything.

use super::Answer;
use super::inside::Inside;
use crate::plan::op::landlock::{REFER, Right};
use crate::sections::Profile;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

impl Inside<'_> {
    /// The refusal of something that is there, by its path without links, if it lies below nothing that is listed.
    pub(super) fn unlisted(&self, path: &Path, right: Right, profile: &Profile) -> Option<Answer> {
        let bound = profile.landlock.bound(right)?;
        let rules = self.rules?;
        let access = right.access() & !REFER;
        if rules.handled.files & access != access {
            return None;
        }
        let holds =
            |target: &[u8]| path.starts_with(Path::new("/").join(OsStr::from_bytes(target)));
        if rules.trees(access).any(|target| holds(target.to_bytes())) {
            return None;
        }
        let key = right.key();
        // What each process has of its own there has another path next time.
        let listed = match path.starts_with("/proc") {
            true => Path::new("/proc"),
            false => path,
        };
        Some(Answer::denied(
            format!("{} lies below no path of `{key}`", path.display()),
            &bound.origin,
            format!("[landlock] {key} = [{:?}]", listed.display().to_string()),
        ))
    }
}
