//! `by_descriptor`: the program is opened on the host and executed by its descriptor, so that its file need not
//! be in the root.

use super::Process;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::host::tree::Kind;
use crate::plan::draft::c_string;
use crate::plan::op::{Op, Slot};
use crate::plan::{Draft, Phase};
use crate::sections::{Profile, environment};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use syscalls::Sysno;

impl Process {
    /// The filter has to let the program be executed so.
    pub(super) fn relate_program(&self, profile: &Profile, problems: &mut Diagnostics) {
        let by = &self.by_descriptor;
        if by.value
            && !profile
                .seccomp
                .verdict(Sysno::execveat, profile)
                .permits_some()
        {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &by.origin,
                    "a program is executed by descriptor with `execveat`, which the filter refuses",
                )
                .and(profile.seccomp.preset_origin(), "by this")
                .help("write allow = [\"execveat\"] under [seccomp]"),
            );
        }
    }

    /// The path on the host of the program that is executed by descriptor.
    pub(in crate::sections) fn opened_program(
        &self,
        profile: &Profile,
        draft: &Draft<'_>,
    ) -> Option<PathBuf> {
        if !self.by_descriptor.value {
            return None;
        }
        let here = profile.variables.working_directory.as_deref();
        let here = here.unwrap_or(Path::new("/"));
        // It is looked up where the caller would find it, whatever the command is told.
        let search = profile.variables.environment.get("PATH");
        let search = search.map_or(environment::PATH, String::as_str);
        environment::candidates(&draft.command.program, search)
            .iter()
            .map(|path| here.join(OsStr::from_bytes(path.to_bytes())))
            .filter(|path| {
                let node = draft.host.tree.target(path);
                node.kind == Kind::File && node.mode & 0o111 != 0
            })
            .find_map(|path| draft.host.tree.resolve(&path))
    }

    /// Opens the program, if it is executed so.
    pub(in crate::sections) fn open_program(
        &self,
        profile: &Profile,
        draft: &mut Draft<'_>,
    ) -> Option<Slot> {
        // A check plans without a command.
        if !self.by_descriptor.value || draft.command.program.is_empty() {
            return None;
        }
        let origin = self.by_descriptor.origin.clone();
        let Some(path) = self.opened_program(profile, draft) else {
            let name = draft.command.program.to_string_lossy().into_owned();
            let message = format!("there is no program `{name}` on the host, where it is opened");
            draft.problem(
                Diagnostic::new(Code::NotFound, &draft.command.origin.clone(), message)
                    .help("install it, or name it by its path on the host"),
            );
            return None;
        };
        if draft.host.is_script(&path) {
            let message = format!(
                "{} is a script, whose interpreter could not read it: it is opened for the kernel alone",
                path.display()
            );
            draft.refuse(
                &origin,
                message,
                "execute the interpreter so, and show the script to it; or remove `by_descriptor`",
            );
            return None;
        }
        let slot = draft.slot();
        let op = Op::OpenProgram {
            slot,
            path: c_string(path),
        };
        draft.step(Phase::Sources, op, &origin);
        Some(slot)
    }
}
