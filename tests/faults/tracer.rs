//! Runs a program with every system call of it and of its descendants in sight, and makes one of
//! them fail, or kills who makes it (ptrace(2)).
//!
//! A call is named by who makes it, which call it is, and the how many-th of its kind that is: the
//! same in every run, whatever else goes on at the same time. Who makes it is told by birth: `0` is
//! the program, `0.1` its second child, `0.1.0` the first child of that one; `0.t2` is a thread of the program,
//! born third.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use sandbox::sys::terminal::{self, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use syscalls::Sysno;

/// Far beyond any run: what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A system call of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) role: String,
    pub(crate) call: Sysno,
    /// Which of the operations of futex(2), each of which is counted by itself; else none.
    pub(crate) operation: Option<i32>,
    pub(crate) nth: usize,
}

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call is not performed, and fails.
    Error(Errno),
    /// Who makes the call is killed before it is performed.
    Kill,
}

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) pid: i32,
    /// The exit code, or minus the number of the signal that ended the program.
    pub(crate) code: i32,
    /// Every call until the fault, in the order in which they were made.
    pub(crate) calls: Vec<Point>,
    /// Successful calls of execve(2): who, and how many calls had been made before.
    pub(crate) execs: Vec<(String, usize)>,
    /// Whether the point was reached.
    pub(crate) reached: bool,
    /// Whether it took so long that it had to be killed; then, who was still there.
    pub(crate) hung: Option<BTreeSet<String>>,
    /// Whether the caller's terminal was left with other settings.
    pub(crate) is_set_otherwise: bool,
}

/// What the other thread needs to end a run that hangs.
struct Watch {
    until: Instant,
    pids: BTreeMap<i32, String>,
    hung: Option<BTreeSet<String>>,
    over: bool,
}

struct Tracee {
    role: String,
    children: usize,
    counts: BTreeMap<(Sysno, Option<i32>), usize>,
    /// The call is made to fail with this when it returns.
    pending: Option<(Sysno, Errno)>,
}

/// What is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    /// The file that is the standard input; without it, nothing.
    pub(crate) stdin: Option<PathBuf>,
    /// The files that take the other standard streams.
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
    /// Whether the input and the output are a terminal, from which the file of the output is written.
    pub(crate) terminal: bool,
}

/// Starts a job under the tracer and follows it until it and all its descendants are gone.
///
/// # Errors
/// Nothing can be traced here.
pub(crate) fn run(job: &Job, fault: Option<(&Point, Fault)>) -> Result<Trace, String> {
    // Stopped until it is traced: from its first instruction on.
    let output = File::create(&job.stdout).unwrap();
    let mut command = Command::new(if job.terminal { "setsid" } else { "sh" });
    if job.terminal {
        command.args(["--ctty", "sh"]);
    }
    command
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .arg(&job.program)
        .args(&job.arguments)
        .current_dir(&job.folder)
        .env_clear()
        .envs(job.environment.iter().cloned())
        .stderr(File::create(&job.stderr).unwrap());
    let screen = job
        .terminal
        .then(|| Screen::new(output.try_clone().unwrap()));
    let input = match &job.stdin {
        Some(path) => Stdio::from(File::open(path).unwrap()),
        None => Stdio::null(),
    };
    match &screen {
        Some(screen) => command
            .stdin(screen.peer.try_clone().unwrap())
            .stdout(screen.peer.try_clone().unwrap()),
        None => command.stdin(input).stdout(output),
    };
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
    let child = command.spawn().unwrap();
    // What it holds of the terminal.
    drop(command);
    let root = Pid::from_raw(child.id().try_into().unwrap());
    let untraced = WaitPidFlag::WUNTRACED | WaitPidFlag::__WNOTHREAD;
    let is_stopped = waitpid(root, Some(untraced)).unwrap();
    assert_eq!(is_stopped, WaitStatus::Stopped(root, Signal::SIGSTOP));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    if let Err(errno) = ptrace::seize(root, options) {
        kill(root, Signal::SIGKILL).unwrap();
        waitpid(root, Some(WaitPidFlag::__WNOTHREAD)).unwrap();
        return Err(format!("this process may not trace its children: {errno}"));
    }
    kill(root, Signal::SIGCONT).unwrap();

    let watch = Arc::new(Mutex::new(Watch {
        until: Instant::now() + DEADLINE,
        pids: BTreeMap::new(),
        hung: None,
        over: false,
    }));
    let other = Arc::clone(&watch);
    let watcher = std::thread::spawn(move || end_what_hangs(&other));
    let mut tracer = Tracer {
        fault,
        tracees: BTreeMap::new(),
        early: BTreeSet::new(),
        watch: &watch,
        begun: false,
        free: false,
        trace: Trace {
            pid: root.as_raw(),
            ..Trace::default()
        },
    };
    tracer.add(root, "0".into());
    tracer.follow(root);
    let mut trace = tracer.trace;
    trace.is_set_otherwise = screen.is_some_and(Screen::set_otherwise);
    let mut state = watch.lock().unwrap_or_else(PoisonError::into_inner);
    state.over = true;
    trace.hung = state.hung.take();
    drop(state);
    watcher.thread().unpark();
    watcher.join().unwrap();
    Ok(trace)
}

/// A terminal of the caller's.
struct Screen {
    peer: File,
    before: Settings,
    /// Keeps what is written.
    reader: JoinHandle<()>,
}

impl Screen {
    fn new(mut output: File) -> Self {
        let master = File::options().read(true).write(true).open("/dev/ptmx");
        let mut master = master.unwrap();
        terminal::unlock(master.as_raw_fd()).unwrap();
        let peer = terminal::open_peer(master.as_raw_fd()).unwrap();
        let peer = File::from(sandbox::sys::descriptor::own(peer));
        terminal::set_size(peer.as_raw_fd(), terminal::Size::of(24, 80)).unwrap();
        let before = terminal::settings(peer.as_raw_fd()).unwrap();
        let reader = std::thread::spawn(move || {
            // Ends with an error when nobody has the other side any more.
            let _ = std::io::copy(&mut master, &mut output);
        });
        Self {
            peer,
            before,
            reader,
        }
    }

    /// Once all are gone.
    fn set_otherwise(self) -> bool {
        let after = terminal::settings(self.peer.as_raw_fd());
        drop(self.peer);
        self.reader.join().unwrap();
        after != Ok(self.before)
    }
}

fn end_what_hangs(watch: &Mutex<Watch>) {
    loop {
        let mut state = watch.lock().unwrap();
        if state.over {
            return;
        }
        let left = state.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let who = state.pids.values().cloned().collect();
            state.hung.get_or_insert(who);
            for pid in state.pids.keys() {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
        drop(state);
        std::thread::park_timeout(left.max(Duration::from_millis(100)));
    }
}

struct Tracer<'a> {
    fault: Option<(&'a Point, Fault)>,
    tracees: BTreeMap<i32, Tracee>,
    /// Children that stopped before their parents told of them.
    early: BTreeSet<i32>,
    watch: &'a Mutex<Watch>,
    /// Whether the program has been executed.
    begun: bool,
    /// Whether nobody is stopped at calls any more.
    free: bool,
    trace: Trace,
}

impl Tracer<'_> {
    fn add(&mut self, pid: Pid, role: String) {
        let mut watch = self.watch.lock().unwrap();
        watch.pids.insert(pid.as_raw(), role.clone());
        self.tracees.insert(
            pid.as_raw(),
            Tracee {
                role,
                children: 0,
                counts: BTreeMap::new(),
                pending: None,
            },
        );
    }

    fn follow(&mut self, root: Pid) {
        let any = Pid::from_raw(-1);
        loop {
            match waitpid(any, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Err(Errno::ECHILD) => return,
                Err(Errno::EINTR) => {}
                Err(errno) => panic!("waitpid: {errno}"),
                Ok(WaitStatus::Exited(pid, code)) => self.ended(pid, root, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    self.ended(pid, root, -(signal as i32));
                }
                Ok(WaitStatus::PtraceSyscall(pid)) => {
                    self.at_call(pid);
                    self.resume(pid, None);
                }
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => self.at_event(pid, event),
                Ok(WaitStatus::Stopped(pid, signal)) => self.resume(pid, Some(signal)),
                Ok(_) => {}
            }
        }
    }

    fn ended(&mut self, pid: Pid, root: Pid, code: i32) {
        let mut watch = self.watch.lock().unwrap();
        watch.pids.remove(&pid.as_raw());
        drop(watch);
        self.tracees.remove(&pid.as_raw());
        self.early.remove(&pid.as_raw());
        if pid == root {
            self.trace.code = code;
        }
    }

    /// Who was killed meanwhile cannot be resumed: its end is reported next.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let _ = if self.free {
            ptrace::cont(pid, signal)
        } else {
            ptrace::syscall(pid, signal)
        };
    }

    fn at_event(&mut self, pid: Pid, event: i32) {
        const STOP: i32 = 128;
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Ok(child) = ptrace::getevent(pid) {
                    let child = Pid::from_raw(i32::try_from(child).unwrap());
                    let parent = self.tracees.get_mut(&pid.as_raw()).unwrap();
                    let thread = if is_thread(child) { "t" } else { "" };
                    let role = format!("{}.{thread}{}", parent.role, parent.children);
                    parent.children += 1;
                    self.add(child, role);
                    if self.early.remove(&child.as_raw()) {
                        self.resume(child, None);
                    }
                }
            }
            libc::PTRACE_EVENT_EXEC => {
                let tracee = self.tracees.get_mut(&pid.as_raw()).unwrap();
                if !self.begun {
                    self.begun = true;
                    tracee.counts.clear();
                    tracee.children = 0;
                } else {
                    let role = tracee.role.clone();
                    self.trace.execs.push((role, self.trace.calls.len()));
                }
            }
            STOP if !self.tracees.contains_key(&pid.as_raw()) => {
                self.early.insert(pid.as_raw());
                return;
            }
            _ => {}
        }
        self.resume(pid, None);
    }

    fn at_call(&mut self, pid: Pid) {
        let Ok(info) = ptrace::syscall_info(pid) else {
            return;
        };
        let Some(tracee) = self.tracees.get_mut(&pid.as_raw()) else {
            return;
        };
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            if let Some((call, errno)) = tracee.pending.take() {
                let answer = match call {
                    // The break that is in force, which is none that was asked for (brk(2)).
                    Sysno::brk => 0,
                    _ => -(errno as i32),
                };
                answer_with(pid, answer);
                self.free = true;
            }
            return;
        }
        if !self.begun || info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return;
        }
        let Some((call, operation)) = asked(pid) else {
            return;
        };
        let count = tracee.counts.entry((call, operation)).or_default();
        *count += 1;
        let point = Point {
            role: tracee.role.clone(),
            call,
            operation,
            nth: *count,
        };
        if let Some((_, fault)) = self
            .fault
            .filter(|(at, _)| !self.trace.reached && **at == point)
        {
            self.trace.reached = true;
            match fault {
                Fault::Kill => {
                    kill(pid, Signal::SIGKILL).unwrap();
                    self.free = true;
                }
                Fault::Error(errno) => {
                    tracee.pending = Some((call, errno));
                    // close(2) lets go of the descriptor also where it fails.
                    if !matches!(call, Sysno::close | Sysno::close_range) {
                        skip(pid);
                    }
                }
            }
        }
        self.trace.calls.push(point);
    }
}

/// Whether it belongs to a process of another number (proc_pid_status(5)).
fn is_thread(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim() != pid.to_string())
}

impl Point {
    /// Whether the supervisor makes the call: the program itself, or a thread of it.
    pub(crate) fn is_supervisors(&self) -> bool {
        self.role == "0" || self.is_threads()
    }

    /// Whether a thread of the supervisor makes it.
    pub(crate) fn is_threads(&self) -> bool {
        self.role.starts_with("0.t")
    }
}

/// The call at whose entry a process is stopped, and which operation of futex(2) it is.
fn asked(pid: Pid) -> Option<(Sysno, Option<i32>)> {
    let registers = ptrace::getregs(pid).ok()?;
    let call = Sysno::new(registers.orig_rax.try_into().ok()?)?;
    let operation = (call == Sysno::futex).then_some(registers.rsi as i32 & libc::FUTEX_CMD_MASK);
    Some((call, operation))
}

/// Lets the kernel perform no call in place of this one.
fn skip(pid: Pid) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.orig_rax = u64::MAX;
        let _ = ptrace::setregs(pid, registers);
    }
}

fn answer_with(pid: Pid, answer: i32) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.rax = i64::from(answer).cast_unsigned();
        let _ = ptrace::setregs(pid, registers);
    }
}
