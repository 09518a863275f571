//! A job: one copy of a project that is worked on bare, and one in a sandbox, each with a home of
//! its own that holds secrets.

use crate::support::{Done, Project, done, program};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What people have in their home, and no profile shows.
pub(crate) const SECRETS: &[&str] = &[
    ".aws/credentials",
    ".bash_history",
    ".cargo/credentials.toml",
    ".config/pip/pip.conf",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".ssh/id_ed25519",
];

/// A folder of the prepared inputs.
pub(crate) fn input(name: &str) -> PathBuf {
    let cache = std::env::var_os("SANDBOX_INPUTS").map_or_else(
        || match std::env::var_os("XDG_CACHE_HOME") {
            Some(cache) => PathBuf::from(cache).join("sandbox-inputs"),
            None => real_home().join(".cache/sandbox-inputs"),
        },
        PathBuf::from,
    );
    let folder = cache.join(name);
    assert!(
        folder.join(".pins").exists(),
        "{} is not there: tests/fetch makes it",
        folder.display()
    );
    folder
}

/// A folder of the examples. `CARGO_MANIFEST_DIR` is asked for at run time, since the tests may
/// run on a copy of the sources.
pub(crate) fn example(name: &str) -> PathBuf {
    let sources = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    sources.join("examples").join(name)
}

/// One copy of a project, with a home.
pub(crate) struct Copy {
    /// The project's folder.
    pub(crate) project: Project,
    home: Project,
    environment: Vec<(&'static str, String)>,
}

/// Both copies.
pub(crate) struct Job {
    /// The one that is worked on without a sandbox.
    pub(crate) bare: Copy,
    /// The one that is worked on in a sandbox.
    pub(crate) boxed: Copy,
}

impl Job {
    /// Copies a project twice.
    pub(crate) fn of(sources: &Path) -> Self {
        Self {
            bare: Copy::of(sources),
            boxed: Copy::of(sources),
        }
    }

    /// Sets a variable for both.
    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<Path>) -> Self {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.bare.environment.push((name, value.clone()));
        self.boxed.environment.push((name, value));
        self
    }

    /// Runs the command bare, then in a sandbox under a shipped profile. Both must succeed. In the
    /// project, the sandbox leaves files of the caller only; in the home, it leaves nothing.
    #[track_caller]
    pub(crate) fn run(&self, profile: &str, command: &[&str]) -> (Done, Done) {
        let bare = done(&mut self.bare.prepare(Command::new(command[0]), &command[1..]));
        assert_eq!(bare.code, 0, "the job fails without a sandbox: {bare:?}");

        let before = self.boxed.home.files();
        let boxed = self.boxed.sandboxed(profile, command);
        assert_eq!(boxed.code, 0, "the job fails in the sandbox: {boxed:?}");
        assert_eq!(before, self.boxed.home.files(), "the home was touched");
        self.boxed.project.assert_owned_by_caller();
        (bare, boxed)
    }
}

impl Copy {
    /// Copies a project.
    pub(crate) fn of(sources: &Path) -> Self {
        let project = Project::new();
        let from = sources.join(".");
        let copied = done(Command::new("cp").arg("-R").arg(&from).arg(project.path()));
        assert_eq!(copied.code, 0, "{copied:?}");
        let home = Project::new();
        for secret in SECRETS {
            home.write(secret, "secret");
        }
        let mut copy = Self {
            project,
            home,
            environment: Vec::new(),
        };
        copy.install_rust();
        copy
    }

    /// Its home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Shows the toolchain of rustup, where there is one, as rustup lays it out in a home.
    fn install_rust(&mut self) {
        let real = real_home();
        let folder = |name: &str, default: &str| {
            std::env::var_os(name).map_or_else(|| real.join(default), PathBuf::from)
        };
        let rustup = folder("RUSTUP_HOME", ".rustup");
        let proxies = [
            real.join(".cargo/bin"),
            folder("CARGO_HOME", ".cargo").join("bin"),
        ];
        if let Some(proxies) = proxies.iter().find(|bin| bin.join("cargo").exists())
            && rustup.exists()
        {
            symlink(proxies, self.home().join(".cargo/bin")).unwrap();
            symlink(rustup, self.home().join(".rustup")).unwrap();
        }
    }

    /// Runs a command in a sandbox under a shipped profile.
    pub(crate) fn sandboxed(&self, profile: &str, command: &[&str]) -> Done {
        let mut arguments = vec!["--profile", profile, "--"];
        arguments.extend(command);
        done(&mut self.prepare(Command::new(program()), &arguments))
    }

    /// Runs `sandbox` with these arguments.
    pub(crate) fn sandbox(&self, arguments: &[&str]) -> Done {
        done(&mut self.prepare(Command::new(program()), arguments))
    }

    /// Runs a command without a sandbox.
    pub(crate) fn bare(&self, command: &[&str]) -> Done {
        done(&mut self.prepare(Command::new(command[0]), &command[1..]))
    }

    /// What the home holds.
    pub(crate) fn home_files(&self) -> BTreeMap<PathBuf, (u32, u32, u64, i64)> {
        self.home.files()
    }

    /// The same environment bare and in a sandbox.
    fn prepare(&self, mut command: Command, arguments: &[&str]) -> Command {
        let home = self.home().display();
        command
            .args(arguments)
            .current_dir(self.project.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env(
                "PATH",
                format!("{home}/.cargo/bin:/usr/local/bin:/usr/bin:/bin"),
            );
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }
}

/// Every file below a folder, with what changes when it is touched.
pub(crate) trait Files {
    /// Paths below the folder; mode, owner, size and time of the last change.
    fn files(&self) -> BTreeMap<PathBuf, (u32, u32, u64, i64)>;
    /// Fails where anything below belongs to another than the caller.
    fn assert_owned_by_caller(&self);
}

impl Files for Project {
    fn files(&self) -> BTreeMap<PathBuf, (u32, u32, u64, i64)> {
        let mut files = BTreeMap::new();
        walk(self.path(), &mut |path, m| {
            let path = path.strip_prefix(self.path()).unwrap().to_owned();
            files.insert(path, (m.mode(), m.uid(), m.size(), m.ctime_nsec()));
        });
        files
    }

    #[track_caller]
    fn assert_owned_by_caller(&self) {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        walk(self.path(), &mut |path, m| {
            let owner = (m.uid(), m.gid());
            assert_eq!(owner, (uid.as_raw(), gid.as_raw()), "{}", path.display());
        });
    }
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &std::fs::Metadata)) {
    visit(folder, &folder.symlink_metadata().unwrap());
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            walk(&entry.path(), visit);
        } else {
            visit(&entry.path(), &metadata);
        }
    }
}

fn real_home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from)
}

/// The lines of an output that fulfil a condition, sorted, as builds run side by side.
pub(crate) fn lines(output: &str, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<_> = output
        .lines()
        .filter(|l| keep(l))
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    assert!(!lines.is_empty(), "nothing to compare in: {output}");
    lines
}
