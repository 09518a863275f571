//! What is run under faults: this program under several profiles, and its peers with options that
//! ask for about the same.

use crate::lab::{self, Disk, Lab, OneHierarchy};
use crate::reach::Listener;
use crate::tracer::Job;
use crate::{look, profiles, reach};
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

/// This program's runs, as far as the caller can have them.
pub(crate) fn ours() -> Vec<Subject> {
    let mut subjects = vec![Subject::Sandbox("everything"), Subject::Sandbox("granted")];
    if is_root() {
        subjects.push(Subject::Sandbox("devices"));
        subjects.extend(lab::can_pair().then_some(Subject::Sandbox("pair")));
        subjects.extend(lab::can_stand_behind().then_some(Subject::Sandbox("machine")));
    }
    subjects.extend(["no init", "joined", "reach", "changes"].map(Subject::Sandbox));
    subjects.extend([Subject::Terminal, Subject::Recorded, Subject::Exec]);
    subjects
}

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
        let parts = ["devices", "pair", "machine", "reach", "changes"].map(Self::Sandbox);
        parts.contains(&self) || matches!(self, Self::Terminal | Self::Recorded | Self::Exec)
    }

    /// What of that which is asked for everywhere an undisturbed run does not tell of.
    fn unseen(self, facts: &BTreeSet<String>) -> Vec<&'static str> {
        let Self::Sandbox(profile) = self else {
            return Vec::new();
        };
        let of_root = is_root().then_some(profiles::ASKED_BY_ROOT);
        let all = profiles::ASKED.iter().chain(of_root.into_iter().flatten());
        let asked = all.filter(|(name, _)| *name == profile);
        let mut unseen: Vec<_> = asked.flat_map(|(_, facts)| *facts).copied().collect();
        // Where no keys can be asked for, nothing can be told of them.
        let keys = sandbox::sys::keyring::session().is_ok();
        unseen.retain(|start| keys || !start.starts_with("session keyring"));
        unseen.retain(|start| !facts.iter().any(|fact| fact.starts_with(start)));
        unseen
    }

    /// Whether it is connected with the caller's network.
    fn is_connected(self) -> bool {
        ["pair", "machine"].map(Self::Sandbox).contains(&self)
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
    /// The network that is the caller's, where runs are connected with it.
    lab: Option<Lab>,
    /// The disk that runs have a share of.
    disk: Option<Disk>,
    /// Where crun is run.
    apart: Option<OneHierarchy>,
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
            callers: look::callers(),
            name,
            listener: None,
            lab: None,
            disk: None,
            apart: None,
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
        if subject.is_connected() {
            self.lab = Some(Lab::new());
            fs::write(self.at("tree/input"), "the input").unwrap();
        }
        if subject == Subject::Sandbox("granted") && is_root() {
            self.disk = Disk::new(&self.at("disk"));
        }
        if subject == Subject::Crun {
            self.apart = OneHierarchy::new();
        }
        if subject.is_ours() {
            fs::write(self.at("profile.toml"), self.profile(subject)).unwrap();
        }
        let profile = self.at("profile.toml").display().to_string();
        let named = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned());
            (program(), words.chain(self.look(subject)).collect())
        };
        let (program, arguments) = match subject {
            Subject::Sandbox(_) | Subject::Terminal => named(&["--profile", &profile, "--"]),
            Subject::Recorded => named(&["--profile", &profile, "--name", &self.name, "--"]),
            Subject::Exec => named(&["exec", &self.name, "--"]),
            Subject::Bubblewrap => (
                "bwrap".into(),
                [self.bubblewrap(), self.look(subject)].concat(),
            ),
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
            stdin: subject.is_connected().then(|| self.at("tree/input")),
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
    fn look(&self, subject: Subject) -> Vec<String> {
        let reach = match &self.listener {
            Some(listener) => listener.place(),
            None if subject == Subject::Sandbox("pair") => reach::WAYS.into(),
            None if subject == Subject::Sandbox("machine") => reach::NOBODY.into(),
            None => "-".into(),
        };
        let checker = match subject {
            // Looked up on the host.
            Subject::Sandbox("granted") => self.checker.display().to_string(),
            _ => "/checker".to_owned(),
        };
        let mut command = vec![checker, "look".to_owned(), reach];
        command.extend(self.callers.iter().cloned());
        command
    }

    /// The profile of what is granted, and what it names.
    fn granted(&self) -> String {
        let tree = self.at("tree");
        for (name, holds) in [
            ("variables", "FROM_A_FILE=\"yes\"\n"),
            ("key", "the key"),
            ("input", "the input"),
        ] {
            fs::write(tree.join(name), holds).unwrap();
        }
        let root = |text: &'static str| if is_root() { text } else { "" };
        let mut optional = String::new();
        if root_may_be_first() {
            optional += "scheduler = \"rr\"\npriority = 3\nreset_on_fork = true\n";
        }
        optional += root("ioprio = \"realtime:7\"\n");
        if Path::new("/sys/devices/system/node/node0").exists() {
            optional += "numa = \"bind:0\"\n";
        }
        let switches = speculation_switches();
        if !switches.is_empty() {
            optional += &format!("no_speculation = {switches:?}\n");
        }
        let text = profiles::GRANTED
            .replace("BENCH", &self.folder.display().to_string())
            .replace("USER", root(profiles::RANGE))
            .replace("OWNER", root("owner = { uid = 2, gid = 3 }"))
            .replace(
                "IDMAP",
                // Who maps owners may also choose when times are noted.
                root("idmap = [{ source = 0, inside = 2, count = 1 }]\natime = \"noatime\""),
            )
            .replace("OPTIONAL", &optional);
        let [limits, unified] = profiles::MORE_LIMITS;
        let unified = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            unified
        } else {
            ""
        };
        let shares: String = self.shares().into_iter().map(|(line, _)| line).collect();
        let limits = limits.replace("[limits]", &format!("[limits]{unified}{shares}"));
        let hybrid = [limits.as_str(), profiles::BESIDE].concat();
        match is_root() {
            true if Path::new(lab::BESIDE).exists() => text + &hybrid,
            true => text + &limits,
            false => text,
        }
    }

    /// The limits on what not every machine has, for root: their lines, and what a run then has to tell.
    fn shares(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        if let Some(disk) = self.disk.as_ref().map(Disk::path) {
            let line = format!("\nio = [{{ device = \"{disk}\", read = \"1M\", weight = 30 }}]\n");
            let v1 = Path::new("/sys/fs/cgroup/blkio").exists();
            let fact = [
                "limit io.bfq.weight: default 100; ",
                "limit blkio.bfq.weight_device: default 100; ",
            ][usize::from(v1)];
            found.push((line, fact));
        }
        if is_root() && lab::counts_huge_pages() {
            let line = "\nhuge_pages = { \"2M\" = \"4M\" }\n".to_owned();
            found.push((line, "limit hugetlb.2MB."));
        }
        if is_root() && lab::divides_processors() {
            found.push(("\nmemory_nodes = \"0\"\n".into(), "limit cpuset.mems: 0"));
        }
        if is_root() && lab::has_memory_to_keep(1 << 20) {
            found.push((
                "\nmemory_low = \"1M\"\n".into(),
                "limit memory.low: 1048576",
            ));
            found.push((
                "\nmemory_min = \"1M\"\n".into(),
                "limit memory.min: 1048576",
            ));
        }
        found
    }

    /// What of that which is asked for an undisturbed run does not tell of.
    pub(crate) fn unseen(&self, subject: Subject, facts: &BTreeSet<String>) -> Vec<&'static str> {
        let mut unseen = subject.unseen(facts);
        if subject == Subject::Sandbox("granted") {
            let shares = self.shares().into_iter().map(|(_, start)| start);
            unseen.extend(shares.filter(|start| !facts.iter().any(|fact| fact.starts_with(start))));
        }
        unseen
    }

    fn profile(&self, subject: Subject) -> String {
        let checker = self.checker.display();
        let mut text = match subject {
            Subject::Sandbox("granted") => self.granted(),
            Subject::Sandbox("devices") => profiles::DEVICES.into(),
            Subject::Sandbox("pair") => profiles::PAIR.into(),
            Subject::Sandbox("machine") => profiles::MACHINE.into(),
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
                "terminal": false, "cwd": "/project", "args": self.look(Subject::Crun), "env": ["DECLARED=yes"],
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

    /// What of the caller's network is there that the lab has not made.
    pub(crate) fn connections(&self) -> Vec<String> {
        self.lab.as_ref().map_or_else(Vec::new, Lab::left)
    }

    /// Gives the kernel time to take away what has connected a network namespace that is gone.
    pub(crate) fn disconnect(&self) {
        let start = Instant::now();
        while !self.connections().is_empty() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Mounts of this mount namespace in the folder.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
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
            let states = self.at("tmp/crun");
            let _ = fs::remove_dir_all(&states);
            // It makes this once, for all containers: what it leaves is what is in it.
            let _ = fs::create_dir(states);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.lab.take());
        drop(self.disk.take());
        drop(self.apart.take());
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

/// Whether root gives priorities of real time here, which in a container it may not, nor in a group without real-time
/// processor time.
fn root_may_be_first() -> bool {
    const SYS_RESOURCE: u64 = 1 << 24;
    let held = sandbox::sys::identity::effective_capabilities();
    let mut chrt = Command::new("chrt");
    let tried = chrt.args(["--rr", "3", "true"]).output();
    held.is_ok_and(|held| held & SYS_RESOURCE != 0) && tried.is_ok_and(|done| done.status.success())
}

/// What of the processor's speculation a process can switch off here.
fn speculation_switches() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let can = |name: &str, says: &[&str]| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.is_some_and(|line| says.iter().any(|word| line.contains(word)))
    };
    let mut found = Vec::new();
    if can("Speculation_Store_Bypass:", &["thread vulnerable"]) {
        found.push("store_bypass");
    }
    if can("SpeculationIndirectBranch:", &["conditional enabled"]) {
        found.push("indirect_branch");
    }
    found
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
