//! What the promise tests share: a project folder with a profile in it, and runs of the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The program under test: `SANDBOX_BIN` where the tests run as another user or on another
/// kernel than the one that built them.
pub fn program() -> PathBuf {
    std::env::var_os("SANDBOX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_sandbox").into(), Into::into)
}

/// Puts the program at a path, as one that is run from there.
pub fn copy_program(to: &Path) {
    install(&program(), Stdio::null(), to);
}

/// Copies something that is executed from there. Not by this process: what another test forks while
/// the copy is open for writing has it open too until it executes something, and the kernel executes
/// no file that is, be it a program or a script (ETXTBSY, execve(2)).
pub fn install(from: &Path, input: Stdio, to: &Path) {
    let mut command = Command::new("install");
    command.args(["-D", "-m", "755"]).arg(from).arg(to);
    let status = command.stdin(input).status().unwrap();
    assert!(status.success(), "install {}", to.display());
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says why a test cannot run here. `tests/run` compares what is said with the list of tests that
/// may be skipped in its lane, and fails on any other.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(file) = std::env::var_os("SANDBOX_SKIPS") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

/// How often: `few` by default, `many` under `SANDBOX_STRESS=full`, or the number that is given.
pub fn times(few: u32, many: u32) -> u32 {
    match std::env::var("SANDBOX_STRESS").as_deref() {
        Ok("full") => many,
        Ok(number) => number.parse().unwrap_or(few),
        Err(_) => few,
    }
}

/// Twice as many processes as there are processors, each of which would have one to itself.
pub struct Load(Vec<std::process::Child>);

impl Load {
    /// Starts them.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // They end with whoever has started them, too.
        let busy = "while [ $(readlink /proc/$PPID/exe) ]; do i=0; \
                    while [ $i -lt 100000 ]; do i=$((i + 1)); done; done";
        let start = |_| {
            let mut command = Command::new("sh");
            command.args(["-c", busy]).stderr(Stdio::null()).spawn()
        };
        Self((0..processors * 2).map(|n| start(n).unwrap()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A folder of its own, removed in the end; the project of its runs.
pub struct Project {
    folder: PathBuf,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Project {
    /// An empty project.
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file in it, and returns its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Writes a program or a script in it, to be executed, and returns its path.
    pub fn executable(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        let (contents, (reader, mut writer)) = (contents.as_ref(), std::io::pipe().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(move || std::io::Write::write_all(&mut writer, contents));
            install(Path::new("/dev/stdin"), reader.into(), &path);
        });
        path
    }

    /// A run of `sandbox` in it, with the given arguments.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// A run of a command under a profile, given as text.
    pub fn command(&self, profile: &str, command: &[&str]) -> Command {
        self.write("sandbox.toml", profile);
        let mut all = vec!["--profile", "sandbox.toml", "--"];
        all.extend(command);
        self.program(&all)
    }

    /// The same for a shell script.
    pub fn script(&self, profile: &str, script: &str) -> Command {
        self.command(profile, &["sh", "-c", script])
    }

    /// Runs a shell script under a profile to its end.
    pub fn run(&self, profile: &str, script: &str) -> Done {
        done(&mut self.script(profile, script))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its exit code; -N if signal N ended the supervisor.
    pub code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it and the sandbox said.
    pub stderr: String,
}

impl Done {
    /// The output of a run that must have succeeded in silence.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
        self.stdout
    }

    /// Stderr of a run that must have ended with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.stderr
    }
}

/// Runs a command to its end.
pub fn done(command: &mut Command) -> Done {
    finished(command.output().unwrap())
}

/// The same for what is already known of it.
pub fn finished(output: Output) -> Done {
    use std::os::unix::process::ExitStatusExt as _;
    let code = output
        .status
        .code()
        .unwrap_or_else(|| -output.status.signal().unwrap());
    Done {
        code,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The lines of the host's mount table.
pub fn mounts() -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().map(str::to_owned).collect()
}
