//! What is run under faults: this program under several profiles, and its peers with options that
//! ask for about the same.

use crate::reach::Listener;
use crate::tracer::Job;
use crate::{look, profiles};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A program and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// This program, with a profile by name.
    Sandbox(&'static str),
    /// The same on a terminal.
    Terminal,
    /// The same under a name, by which it is found.
    Recorded,
    /// A command that joins a sandbox which runs.
    Exec,
    Bubblewrap,
    Crun,
}

/// This program's runs.
pub(crate) const OURS: [Subject; 8] = [
    Subject::Sandbox("everything"),
    Subject::Sandbox("no init"),
    Subject::Sandbox("joined"),
    Subject::Sandbox("reach"),
    Subject::Sandbox("changes"),
    Subject::Terminal,
    Subject::Recorded,
    Subject::Exec,
];

impl Subject {
    /// For the table.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Sandbox(profile) => format!("sandbox, {profile}"),
            Self::Terminal => "sandbox, terminal".into(),
            Self::Recorded => "sandbox, recorded".into(),
            Self::Exec => "sandbox exec".into(),
            Self::Bubblewrap => "bubblewrap".into(),
            Self::Crun => "crun".into(),
        }
    }

    /// Whether it differs from the others in a part only.
    pub(crate) fn is_a_variant(self) -> bool {
        let parts = ["reach", "changes"].map(Self::Sandbox);
        parts.contains(&self) || matches!(self, Self::Terminal | Self::Recorded | Self::Exec)
    }

    /// Whether it is this program.
    pub(crate) fn is_ours(self) -> bool {
        !matches!(self, Self::Bubblewrap | Self::Crun)
    }
}

/// A folder of its own with all that runs in it need; removed in the end.
pub(crate) struct Bench {
    folder: PathBuf,
    checker: PathBuf,
    callers: Vec<String>,
    /// What is called after this folder: a run, and changes.
    name: String,
    /// Where somebody listens whom runs may reach, on a machine with an address.
    listener: Option<Listener>,
    /// The pid of the supervisor of the sandbox that is joined.
    joined: Option<i32>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Bench {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-faults-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(&name);
        for part in ["project", "home", "tmp", "bundle", "tree", "runtime"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(folder.join("runtime"), private).unwrap();
        Self {
            folder,
            checker: std::env::current_exe().unwrap(),
            callers: look::namespaces(),
            name,
            listener: None,
            joined: None,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A run of a subject here, whose command is the look at its isolation.
    pub(crate) fn job(&mut self, subject: Subject) -> Job {
        if subject == Subject::Sandbox("reach") {
            self.listener = Listener::new();
        }
        if subject.is_ours() {
            fs::write(self.at("profile.toml"), self.profile(subject)).unwrap();
        }
        let profile = self.at("profile.toml").display().to_string();
        let named = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned());
            (program(), words.chain(self.look()).collect())
        };
        let (program, arguments) = match subject {
            Subject::Sandbox(_) | Subject::Terminal => named(&["--profile", &profile, "--"]),
            Subject::Recorded => named(&["--profile", &profile, "--name", &self.name, "--"]),
            Subject::Exec => named(&["exec", &self.name, "--"]),
            Subject::Bubblewrap => ("bwrap".into(), [self.bubblewrap(), self.look()].concat()),
            Subject::Crun => {
                fs::write(self.at("bundle/config.json"), self.oci()).unwrap();
                ("crun".into(), self.crun())
            }
        };
        let home = self.at("home").display().to_string();
        let tmp = self.at("tmp").display().to_string();
        let runtime = self.at("runtime").display().to_string();
        let variables = [
            ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
            ("HOME", &home),
            ("TMPDIR", &tmp),
            ("LANG", "C"),
            ("SECRET", "the caller's"),
            ("XDG_RUNTIME_DIR", &runtime),
        ];
        let job = Job {
            program,
            arguments,
            folder: self.at("project"),
            environment: variables.map(|(k, v)| (k.into(), v.into())).to_vec(),
            stdout: self.at("out"),
            stderr: self.at("err"),
            terminal: subject == Subject::Terminal,
        };
        if subject == Subject::Exec {
            self.joined = Some(self.open(&job));
        }
        job
    }

    /// Keeps a sandbox open for those that join: its supervisor.
    fn open(&self, job: &Job) -> i32 {
        let profile = self.at("profile.toml").display().to_string();
        let ran = |words: &[&str]| {
            let mut command = Command::new(program());
            let command = command.args(words).current_dir(&job.folder);
            let command = command.env_clear().envs(job.environment.iter().cloned());
            command.output().unwrap()
        };
        let up = ran(&["up", "--profile", &profile, &self.name]);
        assert!(up.status.success(), "{up:?}");
        let shown = ran(&["ps", "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        let mut rows = shown["sandboxes"].as_array().unwrap().iter();
        let ours = rows.find(|row| row["name"] == self.name.as_str()).unwrap();
        i32::try_from(ours["supervisor"].as_i64().unwrap()).unwrap()
    }

    /// Who is in the sandbox that is joined, besides its init, once that has had the time to wait for those that
    /// are dead; or that it is gone.
    pub(crate) fn inside(&self) -> Vec<String> {
        let Some(supervisor) = self.joined else {
            return Vec::new();
        };
        let start = Instant::now();
        loop {
            let inits = children_of(supervisor);
            if inits.is_empty() {
                return vec!["no sandbox any more".into()];
            }
            let left: Vec<_> = inits.iter().flat_map(|init| children_of(*init)).collect();
            if left.is_empty() || start.elapsed() > Duration::from_secs(5) {
                let words = left
                    .iter()
                    .map(|pid| format!("process {pid} in the sandbox"));
                return words.collect();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The command: this program again.
    fn look(&self) -> Vec<String> {
        let reach = self.listener.as_ref().map_or("-".into(), Listener::place);
        let mut command = vec!["/checker".to_owned(), "look".to_owned(), reach];
        command.extend(self.callers.iter().cloned());
        command
    }

    fn profile(&self, subject: Subject) -> String {
        let checker = self.checker.display();
        let mut text = match subject {
            Subject::Sandbox("everything") => {
                // Kernels before Linux 6.3 refuse no more than the plan.
                let can = sandbox::sys::process::can_refuse_write_execute();
                let line = if can { "write_execute = false" } else { "" };
                profiles::EVERYTHING.replace("WRITE_EXECUTE", line)
            }
            Subject::Sandbox("no init") => profiles::NO_INIT.into(),
            // Only root may join what it did not make.
            Subject::Sandbox("joined") if is_root() => profiles::JOINED.into(),
            Subject::Sandbox("joined") => {
                profiles::JOINED.replace("\"/proc/self/ns/ipc\"", "\"shared\"")
            }
            Subject::Sandbox("reach") => {
                let place = self.listener.as_ref().map(Listener::place);
                let place = place.unwrap_or_else(|| "198.51.100.1:80".into());
                profiles::REACH.replace("PLACE", &place)
            }
            Subject::Sandbox("changes") => profiles::CHANGES
                .replace("NAME", &self.name)
                .replace("TREE", &self.at("tree").display().to_string()),
            Subject::Exec if is_root() => format!("{}{}", profiles::PLAIN, profiles::LIMITS),
            _ => profiles::PLAIN.into(),
        };
        if subject == Subject::Sandbox("everything") && is_root() {
            text += profiles::OF_ROOT;
        }
        text += &format!(
            "[[mounts]]\ntype = \"bind\"\nsource = \"{checker}\"\ntarget = \"/checker\"\n"
        );
        text
    }

    fn bubblewrap(&self) -> Vec<String> {
        let checker = self.checker.display().to_string();
        let project = self.at("project").display().to_string();
        [
            "--unshare-user",
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup",
            "--die-with-parent",
            "--new-session",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "inside",
            "--cap-drop",
            "ALL",
            "--clearenv",
            "--setenv",
            "DECLARED",
            "yes",
            "--ro-bind",
            "/usr",
            "/usr",
            "--ro-bind",
            "/etc",
            "/etc",
            "--symlink",
            "usr/bin",
            "/bin",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--mqueue",
            "/dev/mqueue",
            "--bind",
            &project,
            &project,
            "--chdir",
            &project,
            "--ro-bind",
            &checker,
            "/checker",
            "--remount-ro",
            "/",
            "--",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn crun(&self) -> Vec<String> {
        let root = self.at("tmp/crun").display().to_string();
        let bundle = self.at("bundle").display().to_string();
        [
            "--root",
            &root,
            "--cgroup-manager=disabled",
            "run",
            "--bundle",
            &bundle,
            "faults",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// A bundle's settings (the runtime specification of the Open Container Initiative).
    fn oci(&self) -> String {
        use serde_json::json;
        let root = self.at("bundle/root");
        for part in ["usr", "etc", "proc", "dev", "tmp", "project"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        let _ = fs::write(root.join("checker"), "");
        let uid = nix::unistd::geteuid().as_raw();
        let gid = nix::unistd::getegid().as_raw();
        let bind = |from: &Path, to: &str, mode: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", mode, "nosuid", "nodev"]});
        let kinds = ["user", "mount", "pid", "ipc", "uts", "network", "cgroup"];
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false, "cwd": "/project", "args": self.look(), "env": ["DECLARED=yes"],
                "user": {"uid": 1000, "gid": 1000, "umask": 23},
                "capabilities": {"bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": []},
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 256}],
                "noNewPrivileges": true, "oomScoreAdj": 900,
            },
            "root": {"path": "root", "readonly": true},
            "hostname": "inside",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]},
                bind(Path::new("/usr"), "/usr", "ro"), bind(Path::new("/etc"), "/etc", "ro"),
                bind(&self.at("project"), "/project", "rw"), bind(&self.checker, "/checker", "ro"),
            ],
            "linux": {
                "namespaces": kinds.map(|kind| json!({"type": kind})),
                "uidMappings": [{"containerID": 1000, "hostID": uid, "size": 1}],
                "gidMappings": [{"containerID": 1000, "hostID": gid, "size": 1}],
                "maskedPaths": ["/proc/kcore", "/proc/keys"], "readonlyPaths": ["/proc/sys"],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["mount", "pivot_root", "chroot", "unshare", "setns", "bpf", "keyctl"], "action": "SCMP_ACT_ERRNO"}]},
            },
        })
        .to_string()
    }

    /// A text of a run's, without what is this folder's own.
    pub(crate) fn neutral(&self, text: &str) -> String {
        text.replace(&self.folder.display().to_string(), "[bench]")
    }

    /// Every path in what runs may change.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut todo = vec![
            self.at("project"),
            self.at("home"),
            self.at("tmp"),
            self.at("bundle/root"),
            self.at("tree"),
            self.at("runtime"),
        ];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                found.insert(entry.path().display().to_string());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    todo.push(entry.path());
                }
            }
        }
        // Root has a folder for all its records, and one for all changes that it keeps.
        for folder in ["/run/sandbox", "/var/lib/sandbox/changes"] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().ends_with(&self.name) {
                    found.insert(entry.path().display().to_string());
                }
            }
        }
        found
    }

    /// What a run of this supervisor's has thrown away, and has not removed.
    pub(crate) fn thrown(supervisor: i32) -> Vec<String> {
        let prefix = format!(".thrown-{supervisor}-");
        let found = fs::read_dir("/var/lib/sandbox/changes")
            .into_iter()
            .flatten();
        let names = found.flatten().map(|entry| entry.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }

    /// Mounts of this mount namespace in the folder.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let here = self.folder.display().to_string();
        table
            .lines()
            .filter(|line| line.contains(&here))
            .map(str::to_owned)
            .collect()
    }

    /// Takes away what a peer has left, so that its next run starts as the first one did.
    pub(crate) fn tidy(&self, subject: Subject) {
        if subject == Subject::Crun {
            let _ = fs::remove_dir_all(self.at("tmp/crun"));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(supervisor) = self.joined {
            let pid = nix::unistd::Pid::from_raw(supervisor);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let start = Instant::now();
            while !children_of(supervisor).is_empty() && start.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The program under test: `SANDBOX_BIN` where the tests run as another user than the one that
/// built them.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("SANDBOX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_sandbox").into(), Into::into)
}

/// The children of a process, those that nobody has waited for yet among them.
fn children_of(parent: i32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace());
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        fields.get(1) == Some(&parent.to_string().as_str())
    })
    .collect()
}

/// The control groups that a run of ours has left.
pub(crate) fn groups_of(supervisor: i32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let prefix = format!("sandbox-{supervisor}-");
    let mut todo = vec![(PathBuf::from("/sys/fs/cgroup"), 6)];
    while let Some((folder, depth)) = todo.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                found.push(entry.path());
            } else if depth > 0 {
                todo.push((entry.path(), depth - 1));
            }
        }
    }
    found
}
