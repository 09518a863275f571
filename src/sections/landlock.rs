//! `[landlock]`: rights by path, finer than mounts (landlock(7)).

use super::enforce::Level;
use super::namespaces::Choice;
use super::wanted::{self, Item};
use super::{Profile, absolute, environment, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::host::tree::Kind;
use crate::plan::draft::Command;
use crate::plan::layout::{Look, Place};
use crate::plan::op::landlock::Right;
use crate::profile::table::List;
use crate::review::grant::Extent;
use crate::review::{Area, Grant};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

crate::table! {
    /// What may be done with files by their paths inside, of what the mounts permit; all else is refused with EACCES
    /// by Landlock (landlock(7)). A key that is not said leaves its rights to the mounts; one that is said must be enforced,
    /// unless `landlock` under `[enforce]` says otherwise. A path stands for what is there and all below it when the
    /// command starts, at whatever other path that is shown, too. Who is bounded so may mount nothing (EPERM), and moves nothing to where
    /// more may be done with it (EXDEV, upon which mv(1) copies).
    ///
    /// ```toml
    /// [landlock]
    /// read = ["/"]
    /// write = ["/dev", "/tmp", { name = "${HOME}/.cache", optional = true }]
    /// execute = ["/usr"]
    /// ```
    pub struct RawLandlock as "[landlock]" {
        /// Below which paths files may be read and directories listed. Without `"/dev"`, `"/proc"` and the folders of
        /// libraries hardly a program works; what is executed is read, too. To see that a file is there, and what
        /// stat(2) says of it, is not reading. Takes Linux 5.19; each opening of a file then walks from it to the root, which
        /// takes a quarter longer three folders deep, and two fifths eight deep.
        read: List<Item>,
        /// Below which paths files may be written to, shortened, made, removed and moved; `"/dev"` for those who write to /dev/null.
        /// What a mount shows read-only stays so. Takes Linux 6.2, and costs what `read` does.
        write: List<Item>,
        /// Below which paths files may be executed: the command, what it starts, and for each its interpreter
        /// or its loader (`"/usr/lib64/ld-linux-x86-64.so.2"`). Libraries are read and not executed. Takes Linux 5.19. An interpreter, or a loader, runs whatever it can read, and
        /// a program in memory (memfd_create(2)) has no path: `noexec` on mounts and `deny` under `[seccomp]` refuse those.
        execute: List<Item>,
        /// Below which paths devices may be given commands by ioctl(2). Those that were open before, such as the
        /// terminal of the command's streams, may. Takes Linux 6.10.
        ioctl: List<Item>,
    }
}

/// The checked table.
#[derive(Clone, Debug, Default)]
pub struct Landlock(Vec<Bound>);

/// A right, and the paths below which it is left.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The right.
    pub right: Right,
    /// The paths, each where it is written.
    paths: Vec<At<Wanted>>,
    /// Which line says so.
    pub origin: Origin,
}

#[derive(Clone, Debug)]
struct Wanted {
    path: PathBuf,
    optional: bool,
}

/// The same in the root of a run: paths without links, and without those that may be missing and are.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// The paths that each right is bounded to.
    pub bounds: Vec<(Right, Vec<PathBuf>)>,
    /// Paths that are not there.
    pub problems: Vec<Diagnostic>,
    /// The right by which the command cannot start, and the sentence on it.
    pub refused: Option<(Right, Diagnostic)>,
}

impl Landlock {
    /// Checks the paths.
    #[must_use]
    pub fn check(raw: Option<At<RawLandlock>>, problems: &mut Diagnostics) -> Self {
        let (raw, _) = split(raw, "landlock");
        let mut path = |At { value, origin }: At<wanted::Wanted>| {
            let (text, optional) = (At::new(value.name, origin), value.optional);
            let path = absolute(&text, "path", problems)?;
            Some(At::new(Wanted { path, optional }, text.origin))
        };
        let lists = [
            (Right::Read, raw.read),
            (Right::Write, raw.write),
            (Right::Execute, raw.execute),
            (Right::Ioctl, raw.ioctl),
        ];
        let bound = |(right, list): (Right, Option<At<List<Item>>>)| {
            let At { value, origin } = list?;
            Some(Bound {
                right,
                paths: wanted::names(value)
                    .into_iter()
                    .filter_map(&mut path)
                    .collect(),
                origin,
            })
        };
        Self(lists.into_iter().filter_map(bound).collect())
    }

    /// A command that cannot start, whatever it is.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let starts = |bound: &&Bound| {
            let needed = match bound.right {
                // One that is executed by descriptor has a rule of its own, and may need nothing else.
                Right::Execute | Right::Read => !profile.process.is_by_descriptor(),
                Right::Write | Right::Ioctl => false,
            };
            needed && bound.paths.is_empty() && profile.enforce.landlock.value != Level::Off
        };
        if let Some(bound) = self.0.iter().find(starts) {
            let key = bound.right.key();
            let message = format!("no command can start: nothing may be {}", done(bound.right));
            problems.push(
                Diagnostic::new(Code::CannotStart, &bound.origin, message).help(format!(
                    "name the folders of the command and of what it loads, such as {key} = [\"/usr\"]; or leave `{key}` out"
                )),
            );
        }
    }

    /// What is bounded, in the order of the language.
    pub fn bounds(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter()
    }

    /// What bounds a right, if anything does.
    #[must_use]
    pub fn bound(&self, right: Right) -> Option<&Bound> {
        self.0.iter().find(|bound| bound.right == right)
    }

    /// What may be done by path.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let grant = |right: Right| {
            let key = format!("landlock:{}", right.key());
            let verb = verb(right);
            let Some(bound) = self.bound(right) else {
                let origin = match right {
                    Right::Read => Origin::Default("landlock.read"),
                    Right::Write => Origin::Default("landlock.write"),
                    Right::Execute => Origin::Default("landlock.execute"),
                    Right::Ioctl => Origin::Default("landlock.ioctl"),
                };
                let words = format!("{verb}, as far as the mounts permit it");
                let everywhere = Extent::Below(vec!["/".into()]);
                return Grant::new(Area::Filesystem, key, everywhere, words, &origin);
            };
            let paths = bound.paths.iter().map(|at| at.value.path.clone());
            let paths: Vec<_> = paths.collect();
            let names: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
            let words = match names.is_empty() {
                true => format!("{verb} nowhere"),
                false => format!("{verb} below {} alone", names.join(", ")),
            };
            let extent = Extent::Below(paths);
            Grant::new(Area::Filesystem, key, extent, words, &bound.origin)
        };
        Right::ALL.map(grant).into()
    }

    /// Where the paths are in the root of a run, whether they are there, and whether the command is among what may be
    /// executed.
    #[must_use]
    pub fn placed(
        &self,
        profile: &Profile,
        host: &Host,
        command: &Command,
        look: &Look<'_>,
    ) -> Placed {
        let mut placed = Placed::default();
        for bound in &self.0 {
            let mut paths = Vec::new();
            for wanted in &bound.paths {
                match place(wanted, look) {
                    Ok(path) => paths.extend(path),
                    Err(problem) => placed.problems.push(*problem),
                }
            }
            placed.bounds.push((bound.right, paths));
        }
        let bounds_start = [Right::Execute, Right::Read].map(|right| self.bound(right).is_some());
        let is_inside = !profile.process.is_by_descriptor();
        if placed.problems.is_empty() && is_inside && bounds_start.contains(&true) {
            placed.refused = self.refused_command(&placed, profile, host, command, look);
        }
        placed
    }

    /// Why no program that the command's name may mean can be executed, where that can be known. As for execvp(3),
    /// a later one may do.
    fn refused_command(
        &self,
        placed: &Placed,
        profile: &Profile,
        host: &Host,
        command: &Command,
        look: &Look<'_>,
    ) -> Option<(Right, Diagnostic)> {
        let folder = profile.process.working_directory(profile).0;
        let search = profile.environment.search_path(profile);
        let mut refused = None;
        for candidate in environment::candidates(&command.program, &search) {
            let path = folder.join(OsStr::from_bytes(candidate.to_bytes()));
            let place = look(&path).ok().filter(|place| place.is_there.is_some())?;
            let is_program = |on_host: &PathBuf| {
                let node = host.tree.target(on_host);
                node.kind == Kind::File && node.mode & 0o111 != 0
            };
            if place.is_there != Some(true) || !place.on_host.iter().all(is_program) {
                continue;
            }
            let (right, what) = placed.refuses_start(place, host, look)?;
            refused = refused.or(Some((right, what)));
        }
        let (right, what) = refused?;
        let bound = self.bound(right)?;
        let message = format!(
            "the command needs {}, which may not be {}",
            what.display(),
            done(right)
        );
        let help = format!(
            "add {:?}, or a folder above it, to `{}`; or leave that out",
            what.display().to_string(),
            right.key()
        );
        let problem = Diagnostic::new(Code::CannotStart, &bound.origin, message)
            .and(&command.origin, "the command")
            .help(help);
        Some((right, problem))
    }
}

impl Placed {
    /// The paths below which a right is left, if it is bounded.
    #[must_use]
    pub fn paths(&self, right: Right) -> Option<&[PathBuf]> {
        let bound = self.bounds.iter().find(|(bounded, _)| *bounded == right);
        bound.map(|(_, paths)| paths.as_slice())
    }

    /// What of a program and what the kernel executes for it may not be executed, and by which right. `None` if it can
    /// start, or nobody knows.
    fn refuses_start(
        &self,
        program: Place,
        host: &Host,
        look: &Look<'_>,
    ) -> Option<(Right, PathBuf)> {
        /// As many interpreters of interpreters as the kernel follows (execve(2)).
        const MOST: usize = 5;
        let mut next = program;
        for _ in 0..MOST {
            for right in [Right::Execute, Right::Read] {
                let held = |paths: &[PathBuf]| paths.iter().any(|at| next.path.starts_with(at));
                if self.paths(right).is_some_and(|paths| !held(paths)) {
                    return Some((right, next.path));
                }
            }
            let executed = host.executed_for(&next.on_host?)?;
            // A relative one starts from the folder of the command, which may be any.
            next = look(&executed)
                .ok()
                .filter(|_| executed.is_absolute())
                .filter(|place| place.is_there == Some(true))?;
        }
        None
    }
}

/// What is at a path where no root is built: in the caller's, or in that of a mount namespace which is joined, and of
/// which only the kernel knows.
pub fn place_outside(path: &Path, profile: &Profile, host: &Host) -> Place {
    let known = profile.namespaces.mount.value == Choice::Shared;
    let on_host = known.then(|| host.tree.resolve(path)).flatten();
    Place {
        path: on_host.clone().unwrap_or_else(|| path.into()),
        is_there: known.then_some(on_host.is_some()),
        on_host,
    }
}

/// The path without links; `None` where it may be missing, and is.
fn place(
    At { value, origin }: &At<Wanted>,
    look: &Look<'_>,
) -> Result<Option<PathBuf>, Box<Diagnostic>> {
    let shown = value.path.display();
    let refuse = |code, message: String, help: &str| {
        Err(Box::new(Diagnostic::new(code, origin, message).help(help)))
    };
    let place = match look(&value.path) {
        Ok(place) => place,
        Err(problem) => {
            let help = problem.help.as_deref().unwrap_or_default();
            return refuse(problem.code, problem.message, help);
        }
    };
    match place.is_there {
        Some(true) => Ok(Some(place.path)),
        None if !value.optional => Ok(Some(place.path)),
        Some(false) if value.optional => Ok(None),
        Some(false) => refuse(
            Code::NotFound,
            format!("there is no {shown} inside"),
            "show it, correct the path, or write { name = \"…\", optional = true }",
        ),
        None => refuse(
            Code::NotHere,
            format!(
                "whether there will be a {shown} only the kernel knows, once the root is built"
            ),
            "remove `optional`, or name a path above it",
        ),
    }
}

/// What is done, after "may".
const fn verb(right: Right) -> &'static str {
    match right {
        Right::Read => "read files",
        Right::Write => "write to files",
        Right::Execute => "execute files",
        Right::Ioctl => "give commands to devices",
    }
}

/// What may not be done to a file, after "be".
const fn done(right: Right) -> &'static str {
    match right {
        Right::Read => "read",
        Right::Write => "written to",
        Right::Execute => "executed",
        Right::Ioctl => "given commands",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::profile;
    use super::*;
    use crate::host::caller::{Caller, SubordinateIds};
    use crate::host::tree::Tree;
    use crate::plan::{Attempt, Op, Plan};

    #[test]
    fn an_attempt_has_no_rule_for_a_program_that_it_does_not_open() {
        let profile = profile(
            "[process]\nby_descriptor = true\n[seccomp]\nallow = [\"execveat\"]\n[landlock]\nread = []\n",
        );
        let folders = [
            "/",
            "/proc",
            "/proc/self",
            "/proc/self/ns",
            "/usr",
            "/usr/bin",
        ];
        let nodes = folders.map(|path| (path.into(), Kind::Directory));
        let nodes = nodes
            .into_iter()
            .chain([("/usr/bin/true".into(), Kind::File)]);
        let host = Host::fixed(
            Caller::default(),
            Tree::fixed(nodes),
            SubordinateIds::default(),
        );
        let command = Command::new([c"/usr/bin/true".into()], &Origin::CommandLine);
        let plan = super::super::draft(&profile, &host, &command).plan;
        let names = |plan: &Plan| {
            let named = |op: &Op| matches!(op, Op::Restrict(rules) if rules.program.is_some());
            plan.steps.iter().any(|step| named(&step.op))
        };
        assert!(names(&plan));
        let attempt = Attempt::See(c"/".into());
        assert!(!names(&plan.attempting(attempt, &Origin::CommandLine)));
    }
}
