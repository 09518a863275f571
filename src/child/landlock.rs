//! Landlock: the rules are made here, after the last mount, since each names a file by a descriptor.

use super::Child;
use crate::plan::op::landlock::{Ruleset, WRITE_FILE};
use crate::sys::descriptor::{self, Resolve};
use crate::sys::{self, landlock};
use nix::errno::Errno;
use std::os::fd::RawFd;

impl Child<'_> {
    pub(super) fn restrict(&self, rules: &Ruleset) -> sys::Result<()> {
        let ruleset = landlock::create_ruleset(&rules.handled)?;
        let restricted = self
            .permit(ruleset, rules)
            .and_then(|()| landlock::restrict_self(ruleset));
        descriptor::close(ruleset);
        restricted
    }

    fn permit(&self, ruleset: RawFd, rules: &Ruleset) -> sys::Result<()> {
        for port in &rules.ports {
            landlock::permit_port(ruleset, port.port, port.access)?;
        }
        if rules.handled.files == 0 {
            return Ok(());
        }
        // Who has joined has not built the root, and is in it by now.
        let root = match self.root {
            super::UNOPENED => descriptor::open_path(libc::AT_FDCWD, c"/", Resolve::Anywhere)?,
            root => root,
        };
        for target in &rules.writable {
            let path = if target.is_empty() { c"." } else { target };
            let tree = descriptor::open_path(root, path, Resolve::BeneathWithoutLinks)?;
            let permitted = match landlock::permit_beneath(ruleset, tree, rules.handled.files) {
                // A file: what concerns directories cannot be permitted for it.
                Err(Errno::EINVAL) => landlock::permit_beneath(ruleset, tree, WRITE_FILE),
                result => result,
            };
            descriptor::close(tree);
            permitted?;
        }
        // `echo >/dev/stderr` opens the caller's file anew. What lies outside of all trees needs a rule
        // of its own; a pipe needs none (EBADFD).
        for stream in &rules.streams {
            if !descriptor::is_file_for_writing(*stream) {
                continue;
            }
            match landlock::permit_beneath(ruleset, *stream, WRITE_FILE) {
                Err(Errno::EBADFD) => {}
                result => result?,
            }
        }
        Ok(())
    }
}
