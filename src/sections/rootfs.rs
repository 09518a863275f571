//! `[rootfs]`: what the root is, and what of the project and of changes to the root is kept.

use super::{Profile, host_path, or_default, split, user::Identity};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::tree::Kind;
use crate::plan::Draft;
use crate::plan::layout::{Entry, Root, What};
use crate::profile::table::List;
use crate::profile::variables::Variables;
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

crate::choice! {
    /// What becomes of changes to the root.
    pub enum Changes {
        /// The root is read-only.
        Forbid = "forbid",
        /// Changes go into the directory itself.
        Write = "write",
    }
}

crate::choice! {
    /// How the command sees the project.
    pub enum Project {
        /// Readable and writable.
        Write = "write",
        /// Readable.
        Read = "read",
        /// Not at all.
        Hide = "hide",
    }
}

crate::table! {
    /// The root: one of `directory`, `programs`, `empty`; without any of them the host's own root,
    /// read-only and without what is private.
    pub struct RawRootfs as "[rootfs]" {
        /// A directory that holds a root, such as debootstrap makes one.
        directory: String,
        /// Only these programs with the libraries that they load, and the command itself.
        programs: List<String>,
        /// Nothing but what `[[mounts]]` puts there.
        empty: bool,
        /// What becomes of changes: `"forbid"` (the default), or with `directory` `"write"`.
        changes: Changes,
        /// How the command sees the project's folder: `"write"` (the default), `"read"`, `"hide"`.
        project: Project,
    }
}

/// Where the root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's own root.
    Host,
    /// A directory.
    Directory(PathBuf),
    /// Programs and their libraries.
    Programs(Vec<At<String>>),
    /// Nothing.
    Empty,
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Rootfs {
    /// Where the root comes from.
    pub source: At<Source>,
    /// What becomes of changes.
    pub changes: At<Changes>,
    /// How the command sees the project.
    pub project: At<Project>,
    table: Origin,
}

/// The folders of the host's root that hold no private data: programs, libraries, settings.
/// A list of what is shown, not of what is hidden: /home, /root, /run, /srv, /tmp, /var, /boot,
/// /mnt, and whatever else a machine has, is not there.
const PUBLIC: &[&str] = &[
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr",
];

impl Rootfs {
    /// Checks that there is one source and that it can be changed as asked.
    pub fn check(
        raw: Option<At<RawRootfs>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, table) = split(raw, "rootfs");
        let mut sources = Vec::new();
        if let Some(directory) = &raw.directory
            && let Some(path) = host_path(directory, variables, problems)
        {
            sources.push(At::new(Source::Directory(path), directory.origin.clone()));
        }
        if let Some(programs) = raw.programs {
            sources.push(programs.map(|list| Source::Programs(list.0)));
        }
        if let Some(empty) = raw.empty.filter(|empty| empty.value) {
            sources.push(empty.map(|_| Source::Empty));
        }
        if let [first, second, ..] = &sources[..] {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &second.origin,
                    "a second source of the root",
                )
                .and(&first.origin, "the first one")
                .help("keep one of `directory`, `programs` and `empty`"),
            );
        }
        let source = sources
            .into_iter()
            .next()
            .unwrap_or_else(|| At::default_of("rootfs", Source::Host));
        let changes = or_default(raw.changes, "rootfs.changes", Changes::Forbid);
        if changes.value == Changes::Write && !matches!(source.value, Source::Directory(_)) {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &changes.origin,
                    "changes can be written only to a root that is a directory",
                )
                .help("set `directory`, or grant single folders with [[mounts]]"),
            );
        }
        let project = or_default(raw.project, "rootfs.project", Project::Write);
        Self {
            source,
            changes,
            project,
            table,
        }
    }

    /// The place of the table, if there is one.
    #[must_use]
    pub fn explicit_origin(&self) -> Option<&Origin> {
        Some(&self.table).filter(|o| !o.is_default())
    }

    /// Whether the command sees the host's own programs.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.source.value == Source::Host
    }

    /// The root, and which line asked for it; adds the entries that come with it.
    pub fn root(
        &self,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> (Root, Origin) {
        let origin = self.source.origin.clone();
        let scaffold = |of: Option<&Path>, names, idmap| Root::Scaffold {
            of: of.map(Path::to_owned),
            names,
            idmap,
        };
        let root = match &self.source.value {
            Source::Host => scaffold(Some(Path::new("/")), Some(PUBLIC), None),
            Source::Empty => scaffold(None, None, None),
            Source::Programs(programs) => {
                self.programs(programs, profile, draft);
                scaffold(None, None, None)
            }
            Source::Directory(path) => {
                if draft.host.tree.target(path).kind != Kind::Directory {
                    draft.problem(
                        Diagnostic::new(
                            Code::NotFound,
                            &origin,
                            format!("the root {} is not a directory", path.display()),
                        )
                        .help("make one, for example with debootstrap, or correct the path"),
                    );
                    return (scaffold(None, None, None), origin);
                }
                let idmap = identity.root_map();
                match self.changes.value {
                    Changes::Write => Root::Directory {
                        source: path.clone(),
                        idmap,
                    },
                    Changes::Forbid => scaffold(Some(path), None, idmap),
                }
            }
        };
        (root, origin)
    }

    /// Adds the files of the programs and of the command.
    fn programs(&self, programs: &[At<String>], profile: &Profile, draft: &mut Draft<'_>) {
        let command = draft.command.program.to_string_lossy().into_owned();
        let command = At::new(command, Origin::CommandLine);
        let search = profile.environment.search_path(profile);
        // Where a test makes an attempt, there is no command.
        let command = Some(&command).filter(|command| !command.value.is_empty());
        for program in programs.iter().chain(command) {
            let files = match draft.host.program_files(&program.value, &search) {
                Ok(files) => files,
                Err(error) => {
                    draft.problem(
                        Diagnostic::new(Code::NotFound, &program.origin, error.to_string())
                            .help("install the program, or name it by its path"),
                    );
                    continue;
                }
            };
            for file in files {
                draft.entries.push(Entry {
                    target: file.clone(),
                    what: What::Bind {
                        source: file,
                        idmap: None,
                    },
                    attributes: Attributes::READ_ONLY
                        .with(Attributes::NOSUID)
                        .with(Attributes::NODEV),
                    optional: false,
                    origin: Origin::Default("rootfs.programs"),
                });
            }
        }
    }
}
