//! `[limits]` hold, from the first instruction on, and their groups are gone afterwards.

use crate::live::{HOLD, Live, eventually, field, group, lives, without_limits};
use crate::support::{Project, done, is_root, program, skip};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;

/// A process of the host's beside the sandbox, ended in the end.
struct Sibling(std::process::Child);

impl Sibling {
    fn new() -> Self {
        Self(Command::new("sleep").arg("300").spawn().unwrap())
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first of these files that is there, read.
#[track_caller]
fn read(folder: &std::path::Path, names: &[&str]) -> String {
    let text = names
        .iter()
        .find_map(|name| std::fs::read_to_string(folder.join(name)).ok());
    text.unwrap_or_else(|| panic!("none of {names:?} in {}", folder.display()))
        .trim()
        .into()
}

#[track_caller]
fn counted(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

/// At most 2^7 processes, of which the limit lets 20 be.
const BOMB: &str = "
import os, time
def bomb(depth):
    for _ in range(2):
        try:
            if os.fork() == 0:
                if depth: bomb(depth - 1)
                time.sleep(600)
                os._exit(0)
        except OSError:
            pass
bomb(6)
def living(): return len([name for name in os.listdir('/proc') if name.isdigit()])
while living() < 20: time.sleep(0.05)
time.sleep(1)
print(living(), flush=True)
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.05)
";

#[test]
fn a_fork_bomb_stays_at_its_limit_and_siblings_outside_live_on() {
    if without_limits("a_fork_bomb_stays_at_its_limit_and_siblings_outside_live_on") {
        return;
    }
    let project = Project::new();
    let sibling = Sibling::new();
    project.write("bomb.py", BOMB);
    let profile = "version = 1\n[limits]\npids = 20";
    let live = Live::script(&project, profile, "exec python3 bomb.py");
    let folder = group(live.command(), "pids");
    assert_eq!(read(&folder, &["pids.current"]), "20");
    assert!(counted(&read(&folder, &["pids.events"]), "max") > 0);
    assert_eq!(live.inside().len(), 20);
    assert!(lives(sibling.0.id()));
    assert!(Command::new("true").status().unwrap().success());
    assert_eq!(live.go(&project).ok(), "20\n");
    assert!(lives(sibling.0.id()));
    assert!(!folder.exists());
}

#[test]
fn a_memory_hog_is_killed_and_reported_as_such_and_siblings_outside_live_on() {
    if without_limits("a_memory_hog_is_killed_and_reported_as_such_and_siblings_outside_live_on") {
        return;
    }
    let project = Project::new();
    let sibling = Sibling::new();
    let profile = "version = 1\n[limits]\npids = 20\nmemory = \"100M\"\nswap = 0";
    let hog = |megabytes: u32| format!("x = b'x' * ({megabytes} << 20); print(len(x) >> 20)");
    let within = done(&mut project.command(profile, &["python3", "-c", &hog(30)]));
    assert_eq!(within.ok(), "30\n");
    let line = "sandbox: killed: memory limit of 100M reached (sandbox.toml:4)\n";
    let beyond = done(&mut project.command(profile, &["python3", "-c", &hog(300)]));
    assert_eq!(beyond.stdout, "");
    assert_eq!(beyond.fails(137), line);
    // The same for a child of the command's.
    let below = project.run(
        profile,
        &format!("python3 -c \"{}\" 2>&1; exit $?", hog(300)),
    );
    assert_eq!(below.fails(137), line);
    assert!(lives(sibling.0.id()));
}

/// Four processes that would use four processors, and in the end what they used. A shell starts
/// with next to nothing; a larger program would be throttled for seconds before it gets to its loop.
const BUSY: &str = "
for i in 1 2 3 4; do
    while ! [ -e go ]; do :; done &
done
touch ready
wait
times";

#[test]
fn a_busy_loop_gets_the_declared_share_of_a_processor() {
    if without_limits("a_busy_loop_gets_the_declared_share_of_a_processor") {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\ncpu = 0.1";
    let start = std::time::Instant::now();
    let live = Live::script(&project, profile, BUSY);
    let folder = group(live.command(), "cpu");
    // A small share, so that it is the limit that is felt even on a busy machine; and several
    // periods, since the share is one of the whole time.
    let throttled = || counted(&read(&folder, &["cpu.stat"]), "nr_throttled");
    eventually("the loops were throttled", || throttled() >= 10);
    let times = live.go(&project).ok();
    let share = seconds(&times) / start.elapsed().as_secs_f64();
    assert!(
        share < 0.3,
        "a tenth of a processor was to be had, and {share} of one was used"
    );
}

/// The sum of what the shell's `times` prints: `0m1.500s`, four of them.
fn seconds(times: &str) -> f64 {
    let all = times.split_whitespace().map(|word| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    let sum = all.sum();
    assert!(sum > 0.0, "the loops used nothing: {times}");
    sum
}

#[test]
fn the_command_runs_on_the_declared_processors_only() {
    if without_limits("the_command_runs_on_the_declared_processors_only") {
        return;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let before = field(&status, "Cpus_allowed_list").to_owned();
    // The last one: a limit that is not applied would show the first too.
    let last: String = before.rsplit([',', '-']).next().unwrap().into();
    let project = Project::new();
    let profile = format!("version = 1\n[limits]\ncpuset = \"{last}\"");
    let run = project.run(&profile, "grep Cpus_allowed_list: /proc/self/status; nproc");
    if run
        .stderr
        .contains("this kernel offers no cpuset controller")
    {
        return skip(
            "the_command_runs_on_the_declared_processors_only",
            "this kernel has no cpuset controller",
        );
    }
    assert_eq!(run.ok(), format!("Cpus_allowed_list:\t{last}\n1\n"));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert_eq!(field(&status, "Cpus_allowed_list"), before);
    let absent = project.run("version = 1\n[limits]\ncpuset = \"4000\"", "echo ran");
    assert_eq!(absent.stdout, "");
    assert!(absent.fails(125).contains("sandbox.toml:3:"));
}

#[test]
fn a_command_that_outlasts_its_wall_time_ends_with_124_and_a_line() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\nwall_time = \"500ms\"";
    let line = "sandbox: killed: wall time of 500ms reached (sandbox.toml:3)\n";
    assert_eq!(project.run(profile, "exec sleep 60").fails(124), line);
    assert_eq!(
        project
            .run("version = 1\n[limits]\nwall_time = \"60s\"", "true")
            .ok(),
        ""
    );
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let project = Project::new();
    let stubborn = "trap 'echo told' TERM; touch ready; while :; do sleep 0.1; done";
    let profile = "version = 1\n[limits]\nwall_time = \"500ms\"\ngrace = \"700ms\"";
    let run = project.run(profile, stubborn);
    assert_eq!(run.stdout, "told\n");
    let line = "sandbox: killed: wall time of 500ms reached (sandbox.toml:3)\n";
    assert_eq!(run.fails(124), line);

    let live = Live::script(
        &project,
        "version = 1\n[limits]\ngrace = \"700ms\"",
        stubborn,
    );
    let inside = live.inside();
    live.signal(Signal::SIGTERM);
    let run = live.done();
    assert_eq!(run.stdout, "told\n");
    assert_eq!(
        run.fails(137),
        "sandbox: killed: still running 700ms after SIGTERM\n"
    );
    assert!(inside.iter().all(|pid| !lives(*pid)));
}

#[test]
fn a_command_that_ends_within_the_grace_period_keeps_its_exit_code() {
    let project = Project::new();
    let script = "trap 'exit 9' TERM; touch ready; while :; do sleep 0.05; done";
    let live = Live::script(&project, "version = 1", script);
    live.signal(Signal::SIGTERM);
    assert_eq!(live.done().fails(9), "");
}

#[test]
fn limits_are_in_force_before_the_first_instruction() {
    if without_limits("limits_are_in_force_before_the_first_instruction") {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\npids = 3\nmemory = \"64M\"\nswap = \"1M\"\ncpu = 0.75";
    // The command stops itself first of all: what is in force then was in force at its start.
    let live = Live::spawn(&mut project.command(profile, &["sh", "-c", "kill -STOP $$; sleep 60"]));
    let stopped = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("State:\tT")
    };
    eventually("the command has stopped", || {
        live.inside().get(1).is_some_and(|p| stopped(*p))
    });
    for pid in live.inside() {
        let folder = group(pid, "pids");
        assert!(
            folder.to_string_lossy().contains("/sandbox-"),
            "{}",
            folder.display()
        );
        assert_eq!(read(&folder, &["pids.max"]), "3");
        assert_eq!(read(&folder, &["pids.current"]), "2");
        let folder = group(pid, "memory");
        assert_eq!(
            read(&folder, &["memory.limit_in_bytes", "memory.max"]),
            "67108864"
        );
        if let Ok(sum) = std::fs::read_to_string(folder.join("memory.memsw.limit_in_bytes")) {
            assert_eq!(sum.trim(), "68157440");
        } else {
            assert_eq!(read(&folder, &["memory.swap.max"]), "1048576");
        }
        let folder = group(pid, "cpu");
        match std::fs::read_to_string(folder.join("cpu.cfs_quota_us")) {
            Ok(quota) => assert_eq!(quota.trim(), "75000"),
            Err(_) => assert_eq!(read(&folder, &["cpu.max"]), "75000 100000"),
        }
    }
    drop(live);
    // A shell that needs one process more than there may be fails at it, whatever it does first.
    let least = project.run("version = 1\n[limits]\npids = 2", "/bin/true; echo $?");
    assert_ne!(least.code, 0);
    assert_eq!(least.stdout, "");
}

#[test]
fn no_group_outlives_its_run_however_it_ends() {
    if without_limits("no_group_outlives_its_run_however_it_ends") {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\npids = 20\nmemory = \"64M\"\ncpu = 1.5";
    let groups = |live: &Live| -> Vec<PathBuf> {
        let pid = live.command();
        let folders: Vec<_> = ["pids", "memory", "cpu"]
            .map(|name| group(pid, name))
            .into();
        assert!(folders.iter().all(|folder| folder.exists()));
        assert!(
            folders
                .iter()
                .all(|folder| folder.to_string_lossy().contains("/sandbox-"))
        );
        folders
    };
    let live = Live::script(&project, profile, HOLD);
    let ended = groups(&live);
    live.go(&project).ok();
    assert!(ended.iter().all(|folder| !folder.exists()), "{ended:?}");

    std::fs::remove_file(project.path().join("go")).unwrap();
    let live = Live::script(&project, profile, HOLD);
    let terminated = groups(&live);
    live.signal(Signal::SIGTERM);
    live.done().fails(143);
    assert!(
        terminated.iter().all(|folder| !folder.exists()),
        "{terminated:?}"
    );

    let mut live = Live::script(&project, profile, HOLD);
    let killed = groups(&live);
    live.kill();
    project.run(profile, "true").ok();
    assert!(killed.iter().all(|folder| !folder.exists()), "{killed:?}");
}

#[test]
fn limits_that_cannot_be_enforced_follow_enforce() {
    let project = Project::new();
    // For root, a machine without a cgroup tree: in a mount namespace of its own.
    let run = |(limit, enforce): (&str, &str)| {
        let table = if enforce.is_empty() {
            String::new()
        } else {
            format!("[enforce]\n{enforce}")
        };
        let profile = format!("version = 1\n[limits]\n{limit}\n{table}\n");
        let mut command = project.script(&profile, "echo ran");
        if is_root() {
            let script = "umount -l /sys/fs/cgroup && exec \"$@\"";
            let mut outer = Command::new("unshare");
            outer
                .args(["--mount", "sh", "-c", script, "sh"])
                .arg(program());
            outer.args(command.get_args()).current_dir(project.path());
            command = outer;
        }
        done(&mut command)
    };
    if !is_root() && project.run("version = 1\n[limits]\npids = 20", "true").code == 0 {
        let why = "a control group is delegated to the caller, so that nothing is in the way";
        return skip("limits_that_cannot_be_enforced_follow_enforce", why);
    }
    for (limit, key, require) in [
        ("pids = 20", "pids", ""),
        ("pids = 20", "pids", "limits = \"require\""),
        ("cpu_time = 60", "cpu_time", ""),
        ("idle = 60", "idle", ""),
    ] {
        let refused = run((limit, require));
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        assert!(
            words.contains(&format!("`{key}` cannot be enforced: ")),
            "{words}"
        );
        assert!(words.contains("sandbox.toml:3:"), "{words}");
        assert!(words.contains("help: "), "{words}");
    }
    let preferred = run(("pids = 20", "limits = \"prefer\""));
    assert_eq!(
        (preferred.code, preferred.stdout.as_str()),
        (0, "ran\n"),
        "{preferred:?}"
    );
    let said = "sandbox: not enforced: `pids` is not enforced: ";
    assert!(preferred.stderr.starts_with(said), "{}", preferred.stderr);
    assert!(
        preferred.stderr.ends_with("(sandbox.toml:3)\n"),
        "{}",
        preferred.stderr
    );
    let off = run(("pids = 20", "limits = \"off\""));
    assert_eq!((off.code, off.stdout.as_str()), (0, "ran\n"), "{off:?}");
    // What the profile itself turns off is no surprise: `explain` says it, a run does not.
    assert_eq!(off.stderr, "");
}

#[test]
fn a_missing_controller_takes_no_other_limit_along() {
    let test = "a_missing_controller_takes_no_other_limit_along";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let limits = "version = 1\n[limits]\npids = 20\ncpuset = \"0\"\nmemory = \"64M\"\n";
    // On v1 one is taken away, by unmounting its hierarchy; elsewhere the kernel may lack it.
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let on_v1 = is_root() && membership.contains(":cpuset:");
    let mount = on_v1.then(|| {
        let dir = group(1, "cpuset");
        let above = dir
            .ancestors()
            .filter(|dir| dir.join("cgroup.procs").exists());
        above.last().unwrap().to_owned()
    });
    let run = |enforce: &str, script: &str| {
        let profile = format!("{limits}[enforce]\nlimits = \"{enforce}\"");
        let inner = project.script(&profile, script);
        let Some(mount) = &mount else { return inner };
        let mut outer = Command::new("unshare");
        let away = "umount -l \"$0\" && exec \"$@\"";
        outer.args(["--mount", "sh", "-c", away]).arg(mount);
        outer.arg(program()).args(inner.get_args());
        outer.current_dir(project.path());
        outer
    };
    let why = match on_v1 {
        true => "no cgroup file system with the cpuset controller is mounted here",
        false => "this kernel offers no cpuset controller",
    };
    let refused = done(&mut run("require", "echo ran"));
    if refused.code == 0 {
        return skip(test, "no controller is missing here");
    }
    assert_eq!(refused.stdout, "");
    let words = refused.fails(125);
    assert!(
        words.contains(&format!("`cpuset` cannot be enforced: {why}")),
        "{words}"
    );
    assert!(words.contains("sandbox.toml:4:"), "{words}");
    assert!(
        !words.contains("`pids`") && !words.contains("`memory`"),
        "{words}"
    );
    let mut live = Live::spawn(&mut run("prefer", HOLD));
    live.await_file(&project.path().join("ready"));
    let pids = group(live.command(), "pids");
    assert_eq!(read(&pids, &["pids.max"]), "20");
    let memory = group(live.command(), "memory");
    let most = read(&memory, &["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(most, (64 << 20).to_string());
    let preferred = live.go(&project);
    let line = format!("sandbox: not enforced: `cpuset` is not enforced: {why} (sandbox.toml:4)\n");
    assert_eq!((preferred.code, preferred.stderr), (0, line));
}

#[test]
fn limits_that_are_off_are_not_tried_where_they_could_be() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\npids = 2\n[enforce]\nlimits = \"off\"";
    let run = project.run(profile, "/bin/true && echo ran");
    assert_eq!((run.code, run.stdout.as_str()), (0, "ran\n"), "{run:?}");
    assert_eq!(run.stderr, "");
}
