//! Fail closed: whichever system call of the set-up fails, either the command does not start and a
//! sentence says so, or it runs in exactly the isolation that was asked for.
//!
//! strace makes the calls fail, one position after the other: a few positions of each by default,
//! every one of them, with every errno, under `SANDBOX_STRESS=full`.

use crate::support::{Project, is_root, program, skip};
use crate::traces::{gone, groups_of};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Far beyond any run: what takes longer hangs.
const DEADLINE: Duration = crate::live::PATIENCE;

const MARKER: &str = "the command has started";

/// Asks for something of every kind, so that every kind of step can fail.
fn profile() -> String {
    let mut profile = r#"hostname = "inside"
domainname = "inside.example"

[capabilities]
keep = ["net_raw", "kill"]
ambient = ["net_raw"]

[rlimits]
nofile = 256

[process]
# Any caller may go down to it.
nice = 19
oom_score_adj = 100
umask = 0o027
write_execute = WRITE_EXECUTE

[[mounts]]
type = "tmpfs"
target = "${PROJECT}/missing"

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
"#
    .replace(
        "WRITE_EXECUTE",
        // Kernels before Linux 6.3 refuse no more than the plan.
        if sandbox::sys::process::can_refuse_write_execute() {
            "false"
        } else {
            "true"
        },
    );
    if is_root() {
        profile += r#"
[limits]
pids = 50
cpu_weight = 50
cpu_time = 60

[[mounts]]
type = "cgroup"
target = "/sys/fs/cgroup"
"#;
    }
    profile
}

/// Tells what a process sees of its isolation, one fact a line, by the shell's own means: so that no
/// other program has to be started. What differs from run to run (mount ids, devices) is left out.
const LOOK: &str = r#"echo "the command has started"
while read -r line; do case $line in
    Uid:*|Gid:*|Groups:*|Cap*|NoNewPrivs:*|Seccomp:*|Umask:*|Sig[BIC]*|NSpid:*) echo "status $line" ;;
esac; done </proc/self/status
while read -r id parent device line; do echo "mount $line"; done </proc/self/mountinfo
while read -r line; do echo "limit $line"; done </proc/self/limits
while read -r line; do echo "host name $line"; done </proc/sys/kernel/hostname
while read -r line; do echo "domain name $line"; done </proc/sys/kernel/domainname
while read -r line; do echo "uid map $line"; done </proc/self/uid_map
while read -r line; do echo "gid map $line"; done </proc/self/gid_map
while read -r line; do echo "setgroups $line"; done </proc/self/setgroups
while read -r line; do echo "oom score $line"; done </proc/self/oom_score_adj
while read -r line; do echo "cgroup $line"; done </proc/self/cgroup
while read -r line; do echo "net $line"; done </proc/self/net/fib_trie
if read -r pid name state parent group session terminal rest </proc/self/stat; then
    echo "process $pid $parent $group $session $terminal"
    set -- $rest
    echo "nice ${11}"
fi
for max in /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max; do
    if [ -e $max ]; then read -r line <$max; echo "pids $line"; fi
done
for fd in /proc/self/fd/*; do echo "descriptor ${fd##*/}"; done
for name in /* /dev/* /proc/[0-9]*; do echo "there is $name"; done
echo "here is $(pwd -P)"
"#;

/// A traced run that has ended.
#[derive(Debug)]
struct Run {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    supervisor: u32,
    /// The calls that were made to fail, before the command was executed.
    in_set_up: usize,
    /// The same after.
    in_command: usize,
}

/// Runs the probe under strace, with these calls failing.
fn traced(project: &Project, inject: Option<(&str, &str, usize)>) -> Run {
    let file = |name: &str| {
        project.path().parent().unwrap().join(format!(
            "{}.{name}",
            project.path().file_name().unwrap().to_str().unwrap()
        ))
    };
    let (log, out, err) = (file("log"), file("out"), file("err"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&log);
    match inject {
        Some((call, errno, when)) => strace
            .args(["-e", &format!("trace={call},execve")])
            .args(["-e", &format!("inject={call}:error={errno}:when={when}")]),
        None => strace.args(["-e", "trace=execve"]),
    };
    let child = strace
        .arg(program())
        .args(["--profile", "sandbox.toml", "--", "sh", "-c", LOOK])
        .current_dir(project.path())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let status = wait(child, &log, inject);
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let log_text = text(&log);
    let supervisor = log_text
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok());
    let (in_set_up, in_command) = injected(&log_text);
    let run = Run {
        status,
        stdout: text(&out),
        stderr: text(&err),
        supervisor: supervisor.expect("the trace names the supervisor"),
        in_set_up,
        in_command,
    };
    for file in [log, out, err] {
        std::fs::remove_file(file).unwrap();
    }
    run
}

fn wait(mut child: Child, log: &Path, inject: Option<(&str, &str, usize)>) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > DEADLINE {
            // The supervisor's end ends everything below it.
            let log = std::fs::read_to_string(log).unwrap_or_default();
            if let Some(pid) = log
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok())
            {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{inject:?}: hangs; the trace ends with {:?}",
                log.lines().last()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many calls were made to fail before and after the command was executed: by a process other
/// than the supervisor that has executed something already.
fn injected(log: &str) -> (usize, usize) {
    let mut supervisor = None;
    let mut commands = BTreeSet::new();
    let (mut in_set_up, mut in_command) = (0, 0);
    for line in log.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let supervisor = *supervisor.get_or_insert(pid);
        if call.ends_with("(INJECTED)") {
            if commands.contains(pid) {
                in_command += 1;
            } else {
                in_set_up += 1;
            }
        } else if call.contains("execve") && call.ends_with(" = 0") && pid != supervisor {
            commands.insert(pid);
        }
    }
    (in_set_up, in_command)
}

/// The facts that a run told, the id that root takes for it outside left out: each run has its own.
fn facts(run: &Run) -> BTreeSet<String> {
    let unprivileged = |digits: &str| {
        let id = digits.parse::<u64>().unwrap_or(0);
        (0x7000_0000..0x8000_0000).contains(&id)
    };
    let fact = |line: &str| {
        let numbers = line.split(|c: char| !c.is_ascii_digit());
        numbers
            .filter(|digits| unprivileged(digits))
            .fold(line.to_owned(), |fact, id| {
                fact.replace(id, "[unprivileged]")
            })
    };
    run.stdout.lines().map(fact).collect()
}

/// What the rule says about a run; the words are those of a broken promise.
fn verdict(run: &Run, expected: &BTreeSet<String>, call: &str) -> Result<(), String> {
    for word in ["panicked", "allocation in the child", "SIGSEGV"] {
        if run.stderr.contains(word) {
            return Err(format!("{word}!"));
        }
    }
    let sentence = run.stderr.contains("error[SBX") && run.stderr.contains("help: ");
    let code = run.status.code();
    if !run.stdout.contains(MARKER) {
        let refused = code == Some(125) || (call == "execve" && matches!(code, Some(126 | 127)));
        return match (refused, sentence) {
            (true, true) => Ok(()),
            // It was the command's own call that failed, before it could say a word.
            _ if run.in_set_up == 0 => Ok(()),
            (true, false) => Err("no sentence, or no remedy".into()),
            (false, _) => Err("the command did not start, and the exit code hides it".into()),
        };
    }
    if code != Some(0) && !sentence && run.in_command == 0 {
        return Err("it ran, and failed without a sentence".into());
    }
    let found = facts(run);
    // A pattern that the shell could not expand, since its own call failed, stays as it is written.
    let own = |fact: &String| run.in_command > 0 && fact.ends_with('*');
    let wrong: Vec<_> = found.difference(expected).filter(|f| !own(f)).collect();
    if !wrong.is_empty() {
        return Err(format!("less isolated: {wrong:#?}"));
    }
    // A call of the command's own that failed may have cost it a fact.
    let missing: Vec<_> = expected.difference(&found).collect();
    if !missing.is_empty() && run.in_command == 0 {
        return Err(format!("less seen: {missing:#?}"));
    }
    Ok(())
}

/// Makes each of these calls fail in turn. Not among them: poll, which the runtime of the language
/// calls before `main` and aborts without.
fn fail_in_turn(test: &str, calls: &[&str]) {
    let strace = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    if !strace.is_ok_and(|output| output.status.success()) {
        return skip(test, "strace is missing or may not trace here");
    }
    let full = std::env::var("SANDBOX_STRESS").is_ok_and(|stress| stress == "full");
    let project = Project::new();
    project.write("sandbox.toml", profile());
    let plain = traced(&project, None);
    assert!(plain.status.success(), "{plain:?}");
    let expected = facts(&plain);
    assert!(expected.contains(MARKER), "{plain:?}");
    assert_eq!(
        facts(&traced(&project, None)),
        expected,
        "the probe tells more than isolation"
    );
    let files = |project: &Project| std::fs::read_dir(project.path()).unwrap().count();
    let before = files(&project);
    let mut broken = Vec::new();
    let mut reached = 0;
    for (number, call) in calls.iter().enumerate() {
        let all = ["EPERM", "EINVAL", "ENOMEM"];
        let mut position = 1;
        for turn in number.. {
            let errnos = if full {
                &all[..]
            } else {
                &all[turn % 3..=turn % 3]
            };
            let mut any = false;
            for errno in errnos {
                let run = traced(&project, Some((call, errno, position)));
                any |= run.in_set_up > 0;
                reached += run.in_set_up;
                if run.in_set_up + run.in_command > 0
                    && let Err(why) = verdict(&run, &expected, call)
                {
                    broken.push(format!("{call} {errno} at {position}: {why}: {run:?}"));
                }
                gone(|| groups_of(run.supervisor));
                // What only the clean-up could not take away, the next run does.
                if files(&project) != before && run.stdout.contains(MARKER) {
                    traced(&project, None);
                }
                if files(&project) != before {
                    broken.push(format!("{call} {errno} at {position}: something is left"));
                }
            }
            if !any {
                break;
            }
            position += if full { 1 } else { 1 + position / 2 };
        }
    }
    assert!(
        broken.is_empty(),
        "{} broken:\n{}",
        broken.len(),
        broken.join("\n\n")
    );
    assert!(reached > 0, "no call was reached");
}

#[test]
fn a_failing_call_that_builds_the_root_lets_no_command_start() {
    let calls = [
        "openat2",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "fsopen",
        "fsconfig",
        "fsmount",
        "pivot_root",
        "umount2",
        "mount",
    ];
    fail_in_turn(
        "a_failing_call_that_builds_the_root_lets_no_command_start",
        &calls,
    );
}

#[test]
fn a_failing_call_that_reduces_privileges_lets_no_command_start() {
    let calls = [
        "prctl",
        "setresuid",
        "setresgid",
        "setgroups",
        "capset",
        "seccomp",
        "close_range",
        "setpriority",
        "prlimit64",
        "setrlimit",
        "capget",
    ];
    fail_in_turn(
        "a_failing_call_that_reduces_privileges_lets_no_command_start",
        &calls,
    );
}

#[test]
fn a_failing_call_that_makes_processes_lets_no_command_start() {
    let calls = [
        "clone3",
        "unshare",
        "setsid",
        "setpgid",
        "execve",
        "socketpair",
        "signalfd4",
        "sethostname",
        "setdomainname",
        "socket",
        "ioctl",
        "rt_sigprocmask",
    ];
    fail_in_turn(
        "a_failing_call_that_makes_processes_lets_no_command_start",
        &calls,
    );
}

#[test]
fn a_failing_call_on_a_file_lets_no_command_start() {
    let calls = [
        "mkdirat",
        "symlinkat",
        "fchmod",
        "chdir",
        "fchdir",
        "getcwd",
        "write",
        "openat",
        "read",
        "mkdir",
    ];
    fail_in_turn("a_failing_call_on_a_file_lets_no_command_start", &calls);
}

/// A supervisor that dies before init has asked to die with it: the request comes too late, and
/// only the end of the socket tells. strace holds the supervisor up behind its first clone3(2), and
/// its child before its first prctl(2), which is that request. As a plain user the child is init;
/// as root it is the one whose user namespace maps owners.
#[test]
fn a_supervisor_that_dies_before_init_is_bound_to_it_takes_init_along() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1\n");
    let mut strace = Command::new("strace");
    let mut child = strace
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3,prctl"])
        .args(["-e", "inject=clone3:delay_exit=1000000:when=1"])
        .args(["-e", "inject=prctl:delay_enter=2000000:when=1"])
        .arg(program())
        .args(["--profile", "sandbox.toml", "--", "true"])
        .current_dir(project.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // Its first child is there before the supervisor is held up. strace has short-lived children of
    // its own, too.
    let mut found = None;
    crate::live::eventually("the supervisor has a child", || {
        let is_ours = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(program().as_os_str().as_bytes())
        };
        let supervisors = children_of(child.id()).into_iter().filter(is_ours);
        found = supervisors
            .into_iter()
            .find(|pid| !children_of(*pid).is_empty());
        found.is_some()
    });
    let supervisor = found.unwrap();
    let pid = nix::unistd::Pid::from_raw(supervisor.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    // strace ends when all that it traces has ended.
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > DEADLINE {
            let left = crate::live::descendants(child.id());
            for pid in &left {
                let pid = nix::unistd::Pid::from_raw((*pid).try_into().unwrap());
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.kill();
            let _ = child.wait();
            panic!("outlive their supervisor: {left:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The children of a process.
fn children_of(pid: u32) -> Vec<u32> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(file).unwrap_or_default();
    children
        .split_whitespace()
        .filter_map(|c| c.parse().ok())
        .collect()
}
