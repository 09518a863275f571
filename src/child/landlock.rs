//! Landlock: the rules are made here, after the last mount, since each names a file by a descriptor.

use super::Child;
use crate::plan::op::landlock::{EXECUTE, ON_FILES, READ_FILE, Ruleset, TRUNCATE, WRITE_FILE};
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
        for rule in &rules.beneath {
            let path = if rule.target.is_empty() {
                c"."
            } else {
                &rule.target
            };
            let tree = descriptor::open_path(root, path, Resolve::BeneathWithoutLinks)?;
            let permitted = match landlock::permit_beneath(ruleset, tree, rule.access) {
                // A file: what concerns directories cannot be permitted for it.
                Err(Errno::EINVAL) => permit_file(ruleset, tree, rule.access & ON_FILES),
                result => result,
            };
            descriptor::close(tree);
            permitted?;
        }
        // `echo >/dev/stderr` opens the caller's file anew. What lies outside of all trees needs a rule
        // of its own; a pipe needs none (EBADFD).
        for stream in &rules.streams {
            let mut access = 0;
            if descriptor::is_file_for_writing(*stream) {
                access |= WRITE_FILE | TRUNCATE;
            }
            if descriptor::is_file_for_reading(*stream) {
                access |= READ_FILE;
            }
            match permit_file(ruleset, *stream, rules.handled.files & access) {
                Err(Errno::EBADFD) => {}
                result => result?,
            }
        }
        // On a mount of its own, it lies in no tree.
        let program = rules.program.and_then(|slot| self.slots.get(slot));
        program.map_or(Ok(()), |program| {
            let access = rules.handled.files & (EXECUTE | READ_FILE);
            permit_file(ruleset, *program, access)
        })
    }
}

/// The kernel takes no rule that permits nothing (ENOMSG).
fn permit_file(ruleset: RawFd, file: RawFd, access: u64) -> sys::Result<()> {
    match access {
        0 => Ok(()),
        access => landlock::permit_beneath(ruleset, file, access),
    }
}
