//! `[rootfs]`: what the root is, and what of the project and of changes to the root is kept.

mod later;
mod packed;

pub use packed::{REGISTRY, credentials};

use super::changes::{self, Aside, Changes, Place};
use super::enforce::Level;
use super::mounts::Propagation;
use super::wanted::{self, Item, Wanted};
use super::{Profile, host_path, mounts, split, user::Identity};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, Sources};
use crate::host::program::ProgramError;
use crate::host::tree::Kind;
use crate::plan::Draft;
use crate::plan::layout::{self, Entry, Names, Root, What};
use crate::plan::op::IdmapNeed;
use crate::profile::table::List;
use crate::profile::value::{Size, Space};
use crate::profile::variables::Variables;
use crate::review::Grant;
use crate::review::tree::{Access, Program};
use crate::review::view::{Group, HostFiles, Shown, View};
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

crate::choice! {
    /// How the command sees the project.
    pub enum Project {
        /// Readable and writable.
        Write = "write",
        /// Readable and writable, and what is changed is put aside, to be looked at (`sandbox changes`).
        Keep = "keep",
        /// Readable and writable, and what is changed is thrown away in the end.
        Discard = "discard",
        /// Readable.
        Read = "read",
        /// Not at all.
        Hide = "hide",
    }
}

crate::choice! {
    /// How much of the host's own root is shown.
    pub enum Part {
        /// Programs, libraries and settings: /usr, /etc, /opt and what belongs to them.
        Public = "public",
        /// Every folder but /dev, /proc, /run, /sys and /tmp: homes of others, /var, /srv and /mnt too.
        /// What the caller may not read stays unreadable.
        All = "all",
    }
}

crate::table! {
    /// The root: one of `directory`, `programs`, `archive`, `image`, `empty`; without any of them the
    /// host's own root, read-only and without what is private.
    ///
    /// ```toml
    /// [rootfs]
    /// programs = ["sh", "make", "cc"]
    /// project = "read"
    /// ```
    pub struct RawRootfs as "[rootfs]" {
        /// The host's own root, read-only, and how much of it. Default: `"public"`, where no other
        /// source is named. With `"all"` too, the caller's home, /tmp, /var/tmp and /run are private
        /// and empty, and /dev and /proc the sandbox's own; what shall not be seen is masked.
        host: Part,
        /// A directory that holds a root, such as debootstrap makes one.
        directory: String,
        /// Only these programs with the libraries that they load, and the command itself. One that a machine may
        /// lack is written as `{ name = "zenity", optional = true }`.
        programs: List<Item>,
        /// A tar archive of a root, plain or compressed with gzip, xz or zstd. It is unpacked once, into the
        /// cache (`sandbox images`), and anew when it has changed.
        archive: String,
        /// An image: an OCI image layout as a directory or a tar archive, or what `docker save` writes; or one in a
        /// registry, as `"registry:HOST/NAME:TAG@sha256:…"`, which the first run fetches (`sandbox images pin` tells
        /// the digest). Its layers are verified by their digests and unpacked as an archive is.
        image: String,
        /// Which one, where there are several: its name or tag, as it stands in the index.
        image_name: String,
        /// Whether the image's own environment, working directory, user and command hold, wherever the profile
        /// and the command line say nothing of them. Default: no.
        image_config: bool,
        /// What the digest of the archive, or of the image's manifest, has to be: `"sha256:…"`. What has it is
        /// taken from the cache without looking at its source.
        digest: String,
        /// The most members that are unpacked, of all layers together. Default: 1000000.
        max_entries: u64,
        /// The most bytes in files that are unpacked, of all layers together. Default: `"32G"`.
        max_size: Size,
        /// Nothing but what `[[mounts]]` puts there.
        empty: bool,
        /// What becomes of changes to the root. All but `"forbid"` take a root that is a directory, or one that
        /// is unpacked: that stays as it is, since others use it too, so that `"write"` is for directories alone.
        changes: Changes = "forbid",
        /// What becomes of what the host mounts later within a root that is the host's own or a directory:
        /// `"slave-as-is"` shows it, as the host has it mounted, writable for instance. Owners are not mapped then.
        propagation: Propagation = "private",
        /// How the command sees the project's folder.
        project: Project = "write",
        /// `changes = "keep"`: the name of the changes. Default: that of the directory; of what is unpacked, the
        /// name of its file with the beginning of its digest.
        changes_name: String,
        /// `project = "keep"`: the name of the changes. Default: that of the project's folder.
        project_name: String,
        /// Where changes to the root or the project are that are discarded. Default: `"memory"`.
        changes_on: Place,
        /// The most that each of them holds in memory: a size, or a share of the machine's memory (`"25%"`).
        /// Default: 1G.
        changes_size: Space,
        /// The most files and directories of each of them in memory. Default: 1048576.
        changes_inodes: u64,
    }
}

/// Where the root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's own root.
    Host(Part),
    /// A directory.
    Directory(PathBuf),
    /// Programs and their libraries.
    Programs(Vec<At<Wanted>>),
    /// An archive or an image.
    Packed(Box<packed::Packed>),
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
    /// What becomes of what the host mounts later.
    propagation: At<Propagation>,
    /// How the command sees the project.
    pub project: At<Project>,
    /// What becomes of changes to the root that do not go into it.
    pub aside: Option<Aside>,
    /// The same of the project.
    pub project_aside: Option<Aside>,
    /// The digest of what the directory was unpacked from, where it is one of the cache.
    unpacked: Option<String>,
    table: Origin,
}

/// The folders of the host's root that hold no private data: programs, libraries, settings.
/// A list of what is shown, not of what is hidden: /home, /root, /run, /srv, /tmp, /var, /boot,
/// /mnt, and whatever else a machine has, is not there.
const PUBLIC: &[&str] = &[
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr",
];

/// What is never the host's, however much of its root is shown: kernel file systems, which have no
/// maps of owners, and the folders of sockets and of other jobs' files.
const OWN: &[&str] = &["dev", "proc", "run", "sys", "tmp"];

impl Rootfs {
    /// Checks that there is one source and that it can be changed as asked.
    pub fn check(
        raw: Option<At<RawRootfs>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, table) = split(raw, "rootfs");
        let mut sources = packed::check(&raw, variables, problems);
        if let Some(part) = raw.host {
            sources.push(part.map(Source::Host));
        }
        if let Some(directory) = &raw.directory
            && let Some(path) = host_path(directory, variables, problems)
        {
            sources.push(At::new(Source::Directory(path), directory.origin.clone()));
        }
        if let Some(programs) = raw.programs {
            sources.push(programs.map(|list| Source::Programs(wanted::names(list))));
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
                .help(
                    "keep one of `host`, `directory`, `programs`, `archive`, `image` and `empty`",
                ),
            );
        }
        let source = sources
            .into_iter()
            .next()
            .unwrap_or_else(|| At::default_of("rootfs", Source::Host(Part::Public)));
        let changes = raw.changes;
        let can_be = match (&source.value, changes.value) {
            (Source::Directory(_), _) | (_, Changes::Forbid) => true,
            (Source::Packed(_), Changes::Write) => {
                problems.push(
                    Diagnostic::new(
                        Code::Conflict,
                        &changes.origin,
                        "what is unpacked is for every run that uses it: nothing is written to it",
                    )
                    .and(&source.origin, "unpacked from this")
                    .help(
                        "write \"keep\", and further runs go on with the changes, or \"discard\"",
                    ),
                );
                true
            }
            (Source::Packed(_), _) => true,
            _ => false,
        };
        if !can_be {
            let done = match changes.value {
                Changes::Forbid | Changes::Write => "written",
                Changes::Discard => "made, and discarded,",
                Changes::Keep => "made, and kept,",
            };
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &changes.origin,
                    format!("changes can be {done} only to a root that is a directory"),
                )
                .help("set `directory`, or grant single folders with [[mounts]]"),
            );
        }
        later::check(&raw.propagation, &source, &changes, problems);
        let project = raw.project;
        let of_root = |what| Some(&changes.origin).filter(|_| changes.value == what);
        let of_project = |what| Some(&project.origin).filter(|_| project.value == what);
        let both = changes::Keys {
            name: ("changes_name", raw.changes_name.as_ref()),
            place: ("changes_on", raw.changes_on.as_ref()),
            size: ("changes_size", raw.changes_size.as_ref()),
            inodes: ("changes_inodes", raw.changes_inodes.as_ref()),
        };
        let discards = of_root(Changes::Discard);
        let project_discards = of_project(Project::Discard);
        let (discarded, kept) = changes::check(
            discards.or(project_discards),
            of_root(Changes::Keep),
            &both,
            problems,
        );
        // What both are told is said once.
        let only_name = changes::Keys {
            name: ("project_name", raw.project_name.as_ref()),
            place: ("changes_on", None),
            size: ("changes_size", None),
            inodes: ("changes_inodes", None),
        };
        let (_, project_kept) =
            changes::check(None, of_project(Project::Keep), &only_name, problems);
        for (key, value) in [
            (
                "changes_size",
                raw.changes_size
                    .as_ref()
                    .map(|at| (&at.origin, u64::from(!at.value.is_zero()))),
            ),
            (
                "changes_inodes",
                raw.changes_inodes.as_ref().map(|at| (&at.origin, at.value)),
            ),
        ] {
            if let Some((place, 0)) = value {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        place,
                        format!("`{key}` is 0, which would mean no bound"),
                    )
                    .help("leave the line out for the default"),
                );
            }
        }
        let aside = discarded.clone().filter(|_| discards.is_some()).or(kept);
        let project_aside = discarded
            .filter(|_| project_discards.is_some())
            .or(project_kept);
        Self {
            source,
            changes,
            propagation: raw.propagation,
            project,
            aside,
            project_aside,
            unpacked: None,
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
        matches!(self.source.value, Source::Host(_))
    }

    /// Whether all folders of the host's own root are shown.
    #[must_use]
    pub fn is_whole_host(&self) -> bool {
        self.source.value == Source::Host(Part::All)
    }

    /// The names in `/` that the command sees of the host's own root.
    #[must_use]
    pub fn public(&self) -> &'static [&'static str] {
        if self.source.value == Source::Host(Part::Public) {
            PUBLIC
        } else {
            &[]
        }
    }

    /// A root in somebody's home is there for that person only; the whole host is more than most
    /// commands need.
    pub fn relate(&self, profile: &Profile, sources: &Sources, problems: &mut Diagnostics) {
        if self.is_whole_host() {
            let text = "the command sees the whole of /: homes of others, /var, /srv, and all else that the caller can read";
            problems.push(
                Diagnostic::new(Code::WholeHost, &self.source.origin, text)
                    .help("remove the line, and bind the folders that the command needs besides the public ones"),
            );
        }
        if let Source::Directory(path) = &self.source.value {
            if path.parent().is_none() {
                let text = match self.changes.value {
                    Changes::Write => {
                        "the command sees the whole of /, and writes wherever the caller can write"
                    }
                    _ => "the command sees the whole of /: everything that the caller can read",
                };
                problems.push(
                    Diagnostic::new(Code::WholeHost, &self.source.origin, text)
                        .and(&self.changes.origin, "what becomes of changes")
                        .help("remove the line, and bind the folders that the command needs besides the public ones"),
                );
            }
            let path = At::new(path.clone(), self.source.origin.clone());
            mounts::in_one_home(&path, profile, sources, problems);
        }
    }

    /// Shows the root. The project is shown with the mounts, since it is one.
    ///
    /// The command itself is part of a root of programs too. One that the command line names is the
    /// caller's choice; the profile's own is a program like the others.
    pub fn show(&self, profile: &Profile, view: &mut View) {
        let Self {
            source,
            changes,
            // A grant of its own.
            propagation: _,
            project: _,
            aside: _,
            project_aside: _,
            unpacked: _,
            table: _,
        } = self;
        let access = Access::READ.with(Access::EXECUTE).with(Access::MOUNTS);
        let shown = |source: PathBuf, access, group| Shown {
            target: source.clone(),
            host: Some(HostFiles {
                source,
                access,
                program: None,
                pattern: None,
                of_root: self.is_host(),
            }),
            covers: true,
            link: None,
            if_there: None,
            yields: true,
            group: Some(group),
            origin: self.source.origin.clone(),
        };
        match &source.value {
            Source::Empty => {}
            Source::Host(Part::All) => {
                let group = Group {
                    key: "host:all".into(),
                    words: "all of the host's folders but /dev, /proc, /run, /sys and /tmp".into(),
                    share: 8_000,
                };
                for name in OWN {
                    view.show(Shown {
                        host: None,
                        group: None,
                        ..shown(Path::new("/").join(name), access, group.clone())
                    });
                }
                view.show(shown("/".into(), access, group));
            }
            Source::Host(Part::Public) => {
                for name in PUBLIC {
                    let group = Group {
                        key: "host".into(),
                        words: "the host's programs, libraries and settings (/usr, /etc, /opt, …)"
                            .into(),
                        share: 300,
                    };
                    view.show(shown(Path::new("/").join(name), access, group));
                }
            }
            Source::Directory(path) => {
                let writes = changes.value == Changes::Write;
                let group = Group {
                    key: path.display().to_string(),
                    words: format!("the root {}", path.display()),
                    share: if writes { 800 } else { 200 },
                };
                let access = access.with_if(writes, Access::WRITE).with(Access::OWNER);
                view.show(Shown {
                    target: "/".into(),
                    origin: if writes {
                        changes.origin.clone()
                    } else {
                        self.source.origin.clone()
                    },
                    ..shown(path.clone(), access, group)
                });
            }
            // Whatever is in it, and nothing else of the host.
            Source::Packed(packed) => {
                let group = Group {
                    key: packed.source.to_string(),
                    words: format!("the root that is unpacked from {}", packed.source),
                    share: 200,
                };
                // Of a registry, nothing is this machine's.
                let path = packed.source.path().cloned().unwrap_or_default();
                let mut root = shown(path, access, group);
                root.host = root.host.filter(|_| packed.source.path().is_some());
                view.show(Shown {
                    target: "/".into(),
                    ..root
                });
            }
            Source::Programs(programs) => {
                let search = profile.environment.search_path(profile);
                let here = profile.variables.working_directory.as_deref();
                let command = profile.process.program();
                let named = programs
                    .iter()
                    .map(|program| (&program.value.name, &program.origin));
                let command = command.map(|program| (&program.value, &program.origin));
                for (value, origin) in named.chain(command) {
                    let folders = if value.contains('/') { "" } else { &search };
                    for folder in folders.split(':') {
                        let path = here.unwrap_or(Path::new("/")).join(folder).join(value);
                        let group = Group {
                            key: format!("program:{value}"),
                            words: format!("the program {value} and what it loads"),
                            share: 20,
                        };
                        let mut shown = shown(path, access, group);
                        shown.origin = origin.clone();
                        if let Some(files) = &mut shown.host {
                            files.program = Some(Program {
                                name: value.clone(),
                                search: search.clone(),
                            });
                        }
                        view.show(shown);
                    }
                }
            }
        }
    }

    /// What a root that is unpacked permits besides that its contents are seen.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let packed = match &self.source.value {
            Source::Packed(packed) => packed.grants(&self.source.origin),
            _ => Vec::new(),
        };
        packed.into_iter().chain(self.later_grants()).collect()
    }

    /// The root, and which line asked for it; adds the entries that come with it.
    pub fn root(
        &self,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> (Root, Origin) {
        let origin = self.source.origin.clone();
        self.can_receive(draft);
        let receives = self.receives();
        let scaffold = |of: Option<&Path>, names, idmap| Root::Scaffold {
            of: of.map(Path::to_owned),
            names,
            idmap,
            receives,
        };
        let root = match &self.source.value {
            Source::Host(Part::Public) => scaffold(Some(Path::new("/")), Names::Only(PUBLIC), None),
            Source::Host(Part::All) => scaffold(Some(Path::new("/")), Names::But(OWN), None),
            // One that is packed has become a directory, or is not there yet.
            Source::Empty | Source::Packed(_) => scaffold(None, Names::All, None),
            Source::Programs(programs) => {
                self.programs(programs, profile, draft);
                scaffold(None, Names::All, None)
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
                    return (scaffold(None, Names::All, None), origin);
                }
                // What is mounted later has no map either.
                let need = match profile.enforce.idmap.value {
                    Level::Require => Some(IdmapNeed::Required),
                    Level::Prefer => Some(IdmapNeed::Preferred),
                    Level::Off => None,
                };
                let need = need.filter(|_| !receives);
                let idmap = need.and_then(|need| identity.root_map(need));
                match self.changes.value {
                    Changes::Write => Root::Directory {
                        source: path.clone(),
                        idmap,
                        changes: None,
                        receives,
                    },
                    Changes::Discard | Changes::Keep => {
                        let place = &self.changes.origin;
                        let changes = self.aside.as_ref().and_then(|aside| {
                            changes::aside(
                                aside,
                                path,
                                idmap.as_ref(),
                                place,
                                profile,
                                identity,
                                draft,
                            )
                        });
                        let changes = changes.map(|mut changes| {
                            if let layout::Changes::Disk(kept) = &mut changes {
                                kept.unpacked.clone_from(&self.unpacked);
                            }
                            changes
                        });
                        match changes {
                            None => scaffold(Some(path), Names::All, idmap),
                            changes => Root::Directory {
                                source: path.clone(),
                                idmap,
                                changes,
                                receives,
                            },
                        }
                    }
                    Changes::Forbid => scaffold(Some(path), Names::All, idmap),
                }
            }
        };
        (root, origin)
    }

    /// Adds the files of the programs and of the command.
    fn programs(&self, programs: &[At<Wanted>], profile: &Profile, draft: &mut Draft<'_>) {
        let command = draft.command.program.to_string_lossy().into_owned();
        // A check plans without a command.
        let command = (!command.is_empty()).then(|| {
            let wanted = Wanted {
                name: command,
                optional: false,
            };
            At::new(wanted, draft.command.origin.clone())
        });
        let search = profile.environment.search_path(profile);
        // What is executed by descriptor need not be there itself.
        let opened = profile.process.opened_program(profile, draft);
        for program in programs.iter().chain(&command) {
            let files = match draft.host.program_files(&program.value.name, &search) {
                Ok(files) => files,
                Err(error @ ProgramError::NotFound { .. }) if program.value.optional => {
                    draft.note(&program.origin, format!("{error}: left out"));
                    continue;
                }
                Err(error) => {
                    draft.problem(
                        Diagnostic::new(Code::NotFound, &program.origin, error.to_string())
                            .help("install the program, or name it by its path"),
                    );
                    continue;
                }
            };
            let is_opened = |file: &Path| {
                command
                    .as_ref()
                    .is_some_and(|command| std::ptr::eq(program, command))
                    && opened.is_some()
                    && draft.host.tree.resolve(file) == opened
            };
            for file in files
                .into_iter()
                .filter(|file| !is_opened(file))
                .collect::<Vec<_>>()
            {
                draft.entries.push(Entry {
                    target: file.clone(),
                    what: What::bind(file, None),
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
