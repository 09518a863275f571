//! What is run under faults: this program under several profiles, and its peers with options that
//! ask for about the same.

use crate::look;
use crate::tracer::Job;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A program and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// This program, with a profile by name.
    Sandbox(&'static str),
    Bubblewrap,
    Crun,
}

/// This program's runs: between them they take every step that a plan can have.
pub(crate) const OURS: [Subject; 3] = [
    Subject::Sandbox("everything"),
    Subject::Sandbox("no init"),
    Subject::Sandbox("joined"),
];

impl Subject {
    /// For the table.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Sandbox(profile) => format!("sandbox, {profile}"),
            Self::Bubblewrap => "bubblewrap".into(),
            Self::Crun => "crun".into(),
        }
    }

    /// Whether it is this program.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Sandbox(_))
    }
}

/// Asks for something of every kind, so that every kind of step can fail.
const EVERYTHING: &str = r#"
hostname = "inside"
domainname = "inside.example"

[user]
groups = []

[namespaces.time_offsets]
boottime = "1h"

[capabilities]
keep = ["net_raw", "kill"]
ambient = ["net_raw"]

[rlimits]
nofile = 256

[environment]
set = { DECLARED = "yes" }

[process]
output_files = "give"
nice = 19
oom_score_adj = 900
umask = "027"
affinity = "0"
scheduler = "batch"
ioprio = "best-effort:7"
timer_slack = 0.001
personality = ["addr_no_randomize"]
WRITE_EXECUTE

[[mounts]]
type = "tmpfs"
target = "${PROJECT}/missing"

[[mounts]]
type = "bind"
source = "${PROJECT}/made"
target = "/made"
create = true

[[mounts]]
type = "file"
target = "/answers/answer"
contents = "42"

[[mounts]]
type = "symlink"
target = "/answers/question"
to = "answer"

[[mounts]]
type = "mask"
target = "/etc/passwd"

[[mounts]]
type = "mqueue"
target = "/dev/mqueue"
"#;

/// What root can have besides.
const OF_ROOT: &str = r#"
[limits]
pids = 50
memory = "200M"
cpu = 1.5
cpu_weight = 50
cpu_time = 60

[[mounts]]
type = "cgroup"
target = "/sys/fs/cgroup"
"#;

// The files that take the output are the command's own in each: what it says of itself is the evidence, and is
// not to hang on the calls by which its output would be handed on.

/// Without an init, with as little as can be; a map and a filter of another kind.
const NO_INIT: &str = r#"
[rootfs]
empty = true

[user]
uid_map = "root"

[network]
mode = "none"

[seccomp]
preset = "strict"

[process]
init = false
session = "inherit"
output_files = "give"
"#;

/// Namespaces that are joined or shared, so that other processes do the work.
const JOINED: &str = r#"
[namespaces]
ipc = "/proc/self/ns/ipc"
pid = "shared"

[process]
output_files = "give"
"#;

/// A folder of its own with all that runs in it need; removed in the end.
pub(crate) struct Bench {
    folder: PathBuf,
    checker: PathBuf,
    callers: Vec<String>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Bench {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-faults-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
        for part in ["project", "home", "tmp", "bundle"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        Self {
            folder,
            checker: std::env::current_exe().unwrap(),
            callers: look::namespaces(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A run of a subject here, whose command is the look at its isolation.
    pub(crate) fn job(&self, subject: Subject) -> Job {
        let (program, arguments) = match subject {
            Subject::Sandbox(profile) => {
                let text = self.profile(profile);
                fs::write(self.at("profile.toml"), text).unwrap();
                let profile = self.at("profile.toml").display().to_string();
                let arguments = ["--profile", &profile, "--"].map(str::to_owned);
                (program(), [arguments.to_vec(), self.look()].concat())
            }
            Subject::Bubblewrap => ("bwrap".into(), [self.bubblewrap(), self.look()].concat()),
            Subject::Crun => {
                fs::write(self.at("bundle/config.json"), self.oci()).unwrap();
                ("crun".into(), self.crun())
            }
        };
        let home = self.at("home").display().to_string();
        let tmp = self.at("tmp").display().to_string();
        let variables = [
            ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
            ("HOME", &home),
            ("TMPDIR", &tmp),
            ("LANG", "C"),
            ("SECRET", "the caller's"),
        ];
        Job {
            program,
            arguments,
            folder: self.at("project"),
            environment: variables.map(|(k, v)| (k.into(), v.into())).to_vec(),
            stdout: self.at("out"),
            stderr: self.at("err"),
        }
    }

    /// The command: this program again.
    fn look(&self) -> Vec<String> {
        let mut command = vec!["/checker".to_owned(), "look".to_owned()];
        command.extend(self.callers.iter().cloned());
        command
    }

    fn profile(&self, name: &str) -> String {
        let checker = self.checker.display();
        let mut text = match name {
            "everything" => {
                // Kernels before Linux 6.3 refuse no more than the plan.
                let can = sandbox::sys::process::can_refuse_write_execute();
                let line = if can { "write_execute = false" } else { "" };
                EVERYTHING.replace("WRITE_EXECUTE", line)
            }
            "no init" => NO_INIT.into(),
            // Only root may join what it did not make.
            _ if is_root() => JOINED.into(),
            _ => JOINED.replace("\"/proc/self/ns/ipc\"", "\"shared\""),
        };
        if name == "everything" && is_root() {
            text += OF_ROOT;
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
        ];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                found.insert(entry.path().display().to_string());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    todo.push(entry.path());
                }
            }
        }
        found
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
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The program under test: `SANDBOX_BIN` where the tests run as another user than the one that
/// built them.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("SANDBOX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_sandbox").into(), Into::into)
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
