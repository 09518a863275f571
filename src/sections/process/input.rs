//! `input_file`: the caller's file as standard input, without power over it.

use super::Process;
use crate::diag::Origin;
use crate::plan::draft::c_string;
use crate::plan::{Draft, Op, Phase};
use crate::sections::Profile;
use crate::sys::descriptor::Kind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

crate::choice! {
    /// What the command has of a regular file that is the caller's standard input.
    pub enum InputFile {
        /// It is opened anew on a mount that is read-only, at the same place in it.
        Read = "read",
        /// The file itself, which its owner can also shorten, and whose mode, owner and times it can set.
        Give = "give",
    }
}

impl Process {
    /// Takes the power over the file of the standard input, where the command would have any: that of a plain
    /// user's own file, or of one that others may write to.
    pub(super) fn input(&self, profile: &Profile, draft: &mut Draft<'_>) {
        if self.input_file.value == InputFile::Give
            || *self.stream(0) != super::streams::Source::Inherit
            || !profile.namespaces.builds_root()
            || draft.host.caller.has_rights()
            || !draft.shares(0)
        {
            return;
        }
        let Some(Kind::File(device, inode)) = draft.host.stream(0) else {
            return;
        };
        if crate::sys::descriptor::is_writable(0) {
            // The caller has opened it for both.
            return;
        }
        // What has no name any more is nobody's but the command's.
        let Ok(path) = std::fs::read_link("/proc/self/fd/0") else {
            return;
        };
        let Some(found) =
            named(&path).filter(|found| (found.dev(), found.ino()) == (device, inode))
        else {
            return;
        };
        if found.uid() != draft.host.caller.uid && found.mode() & 0o022 == 0 {
            return;
        }
        let slot = draft.slot();
        let read = Op::ReadInput {
            slot,
            path: c_string(&path),
            file: (device, inode),
        };
        let default = Origin::Default("process.input_file");
        let origin = match self.input_file.origin {
            Origin::Default(_) => &default,
            _ => &self.input_file.origin,
        };
        draft.step(Phase::Sources, read, origin);
        let take = Op::TakeStream {
            slot,
            streams: vec![0],
        };
        draft.step(Phase::OwnStreams, take, origin);
    }
}

fn named(path: &Path) -> Option<std::fs::Metadata> {
    path.is_absolute().then(|| std::fs::metadata(path).ok())?
}
