//! A sandbox that runs while a test looks at it from outside.

use crate::support::{Done, Project, finished, is_root, skip};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that anything here may take. Nothing is asserted about how long it did take: a test
/// that gets here has failed, and says what it was waiting for. Long, because a machine may be slow
/// (an emulated one, on one processor that others want too) without anything being wrong.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Held by whoever sweeps all groups, and by whoever waits to see who has swept one.
pub static SWEEPING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Waits until something holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running sandbox; killed with everything in it if the test gives up on it.
pub struct Live {
    child: Option<Child>,
}

impl Live {
    /// Starts a command.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self {
            child: Some(child.unwrap()),
        }
    }

    /// Starts a shell script under a profile and waits until it has made the file `ready` in the
    /// project.
    #[track_caller]
    pub fn script(project: &Project, profile: &str, script: &str) -> Self {
        let ready = project.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut live = Self::spawn(&mut project.script(profile, script));
        live.await_file(&ready);
        live
    }

    /// Waits for a file that the command makes.
    #[track_caller]
    pub fn await_file(&mut self, file: &Path) {
        let start = Instant::now();
        while !file.exists() {
            let child = self.child.as_mut().unwrap();
            let ended = child.try_wait().unwrap().is_some();
            if ended && !file.exists() {
                let done = finished(self.child.take().unwrap().wait_with_output().unwrap());
                panic!("ended without making {}: {done:?}", file.display());
            }
            assert!(start.elapsed() < PATIENCE, "never made: {}", file.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the supervisor has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// The supervisor's pid.
    pub fn supervisor(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Everything below the supervisor, as the host sees it, in the order of birth: init first.
    pub fn inside(&self) -> Vec<u32> {
        descendants(self.supervisor())
    }

    /// The command: init's first child.
    #[track_caller]
    pub fn command(&self) -> u32 {
        let inside = self.inside();
        assert!(inside.len() >= 2, "no command inside: {inside:?}");
        inside[1]
    }

    /// Sends a signal to the supervisor.
    #[track_caller]
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.supervisor().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Kills the supervisor as nothing can be handled, and waits for its own end alone.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn done(mut self) -> Done {
        finished(self.child.take().unwrap().wait_with_output().unwrap())
    }

    /// Makes the file `go` in the project, for which the command waits, and waits for its end.
    #[track_caller]
    pub fn go(self, project: &Project) -> Done {
        project.write("go", "");
        self.done()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A shell script's last lines: says that it is ready, and waits until the test has looked.
pub const HOLD: &str = "touch ready; while ! [ -e go ]; do sleep 0.05; done";

/// What the kernel says of a process, as far as `/proc/PID/stat` does: name, state, and the fields
/// from the third on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.get(text.rfind(')')? + 2..)?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Whether a process is there and not only waiting to be reaped.
pub fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
}

/// Every pid of this pid namespace.
pub fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

/// All descendants of a process, in the order of birth.
pub fn descendants(of: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    let mut births = BTreeMap::new();
    for pid in pids() {
        if let Some(fields) = stat(pid) {
            parents.insert(pid, fields[1].parse::<u32>().unwrap());
            births.insert(pid, fields[19].parse::<u64>().unwrap());
        }
    }
    let below = |mut pid: u32| {
        while let Some(parent) = parents.get(&pid) {
            if *parent == of {
                return true;
            }
            pid = *parent;
        }
        false
    };
    let mut found: Vec<u32> = parents.keys().copied().filter(|pid| below(*pid)).collect();
    found.sort_by_key(|pid| (births.get(pid).copied(), *pid));
    found
}

/// The pids of all processes, in whatever sandbox, that carry a word in their command line.
pub fn bearing(word: &str) -> Vec<u32> {
    let bears = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
    };
    pids().into_iter().filter(bears).collect()
}

/// The value of a line such as `NoNewPrivs: 1` in a status file.
#[track_caller]
pub fn field<'t>(status: &'t str, name: &str) -> &'t str {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
        .trim()
}

/// The directory of a process's group under a controller, on either version of cgroups.
pub fn group(pid: u32, controller: &str) -> PathBuf {
    let membership = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let path_of = |wanted: &dyn Fn(&str) -> bool| {
        membership.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let names = parts.next()?;
            wanted(names).then(|| parts.next().unwrap().to_owned())
        })
    };
    let mount_of = |wanted: &dyn Fn(&str, &str) -> bool| {
        table.lines().find_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let fields: Vec<_> = mount.split(' ').collect();
            let kind: Vec<_> = filesystem.split(' ').collect();
            wanted(kind[0], kind[2]).then(|| (fields[3].to_owned(), fields[4].to_owned()))
        })
    };
    let named = |list: &str| list.split(',').any(|name| name == controller);
    let (path, (root, point)) = match path_of(&named) {
        Some(path) => (
            path,
            mount_of(&|kind, options| kind == "cgroup" && named(options)).unwrap(),
        ),
        None => (
            path_of(&str::is_empty).unwrap(),
            mount_of(&|kind, _| kind == "cgroup2").unwrap(),
        ),
    };
    let below = Path::new(&path)
        .strip_prefix(&root)
        .unwrap_or(Path::new(&path));
    Path::new(&point).join(below.strip_prefix("/").unwrap_or(below))
}

/// Whether a test of limits cannot run here: a plain user without a delegated group. Root always
/// can, or the test fails.
pub fn without_limits(test: &str) -> bool {
    let without = !has_limits();
    if without {
        skip(test, "no control group is delegated to the caller");
    }
    without
}

/// Whether limits can be had here: root always can, others where a control group is delegated.
pub fn has_limits() -> bool {
    if is_root() {
        return true;
    }
    let project = Project::new();
    let done = project.run("version = 1\n[limits]\npids = 100", "true");
    !(done.code == 125 && done.stderr.contains("cannot be enforced"))
}

/// A line of a mount table.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where it is.
    pub point: String,
    /// Its own attributes.
    pub attributes: Vec<String>,
    /// The type of its file system.
    pub kind: String,
    /// The options of its file system.
    pub options: Vec<String>,
}

/// The mounts of a table by mount point; the last one on each, which is the one that is seen.
pub fn mount_table(text: &str) -> BTreeMap<String, Mount> {
    let words = |text: &str| text.split(',').map(str::to_owned).collect();
    let lines = text.lines().map(|line| {
        let (mount, filesystem) = line.split_once(" - ").unwrap();
        let fields: Vec<_> = mount.split(' ').collect();
        let kind: Vec<_> = filesystem.split(' ').collect();
        let point = fields[4].to_owned();
        let (attributes, options) = (words(fields[5]), words(kind[2]));
        (
            point.clone(),
            Mount {
                point,
                attributes,
                kind: kind[0].into(),
                options,
            },
        )
    });
    lines.collect()
}

impl Mount {
    /// Asserts that it has all of these attributes and options.
    #[track_caller]
    pub fn has(&self, wanted: &[&str]) -> &Self {
        for word in wanted {
            let found = self
                .attributes
                .iter()
                .chain(&self.options)
                .any(|w| w == word);
            assert!(found, "no {word}: {self:?}");
        }
        self
    }

    /// Asserts that it has none of these attributes.
    #[track_caller]
    pub fn lacks(&self, unwanted: &[&str]) -> &Self {
        for word in unwanted {
            assert!(
                !self.attributes.iter().any(|w| w == word),
                "{word}: {self:?}"
            );
        }
        self
    }
}
