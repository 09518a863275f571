//! Bounds that slow down and weights that divide: they hold, or the run says that they do not.

use crate::live::{HOLD, Live, eventually, group, without_limits};
use crate::support::Project;
use nix::sys::signal::Signal;

const PROFILE: &str = "version = 1\n[limits]\nmemory = \"96M\"\nmemory_high = \"32M\"\n";

#[test]
fn beyond_memory_high_the_command_is_slowed_down_or_the_run_says_that_it_is_not() {
    let test = "beyond_memory_high_the_command_is_slowed_down_or_the_run_says_that_it_is_not";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let hog = "open('ready', 'w').close()\nx = b'x' * (40 << 20)\nimport time\ntime.sleep(600)";
    project.write("hog.py", hog);
    let own = format!("/proc/{}/cgroup", std::process::id());
    let membership = std::fs::read_to_string(own).unwrap();
    if membership.lines().any(|line| line.contains(":memory:")) {
        let refused = project.run(PROFILE, "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        for part in [
            "`memory_high` cannot be enforced: cgroup v1 ",
            "sandbox.toml:4:",
            "help: ",
        ] {
            assert!(words.contains(part), "{words}");
        }
        let prefer = format!("{PROFILE}[enforce]\nlimits = \"prefer\"");
        let live = Live::script(&project, &prefer, HOLD);
        // What can be enforced is.
        let folder = group(live.command(), "memory");
        let most = std::fs::read_to_string(folder.join("memory.limit_in_bytes")).unwrap();
        assert_eq!(most.trim(), (96 << 20).to_string());
        let run = live.go(&project);
        assert_eq!(run.code, 0, "{run:?}");
        let said = "sandbox: not enforced: `memory_high` is not enforced: cgroup v1 ";
        assert!(run.stderr.starts_with(said), "{run:?}");
        assert!(run.stderr.ends_with("(sandbox.toml:4)\n"), "{run:?}");
        return;
    }
    // While it starts there are others inside, of which none is the command.
    let mut live = Live::spawn(&mut project.command(PROFILE, &["python3", "hog.py"]));
    live.await_file(&project.path().join("ready"));
    let folder = || group(live.command(), "memory");
    let high = std::fs::read_to_string(folder().join("memory.high")).unwrap();
    assert_eq!(high.trim(), (32 << 20).to_string());
    let slowed = || {
        let events = std::fs::read_to_string(folder().join("memory.events")).unwrap();
        !events.contains("\nhigh 0\n")
    };
    eventually("the command was slowed down", slowed);
    live.signal(Signal::SIGTERM);
    live.done().fails(143);
}

/// Clock ticks that a process has used (proc_pid_stat(5)).
fn ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text[text.rfind(')').unwrap()..].split(' ').collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}

#[test]
fn a_sandbox_that_is_idle_has_the_processor_time_that_nobody_else_wants() {
    let test = "a_sandbox_that_is_idle_has_the_processor_time_that_nobody_else_wants";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\ncpu_weight = \"idle\"";
    let live = Live::script(&project, profile, HOLD);
    let folder = group(live.command(), "cpu");
    let idle = std::fs::read_to_string(folder.join("cpu.idle")).unwrap();
    assert_eq!(idle.trim(), "1");
    assert_eq!(live.go(&project).code, 0);
}

#[test]
fn swap_is_limited_without_memory_or_the_run_says_that_it_is_not() {
    let test = "swap_is_limited_without_memory_or_the_run_says_that_it_is_not";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\nswap = 0";
    let own = format!("/proc/{}/cgroup", std::process::id());
    let membership = std::fs::read_to_string(own).unwrap();
    if membership.lines().any(|line| line.contains(":memory:")) {
        let words = project.run(profile, "true").fails(125);
        for part in [
            "`swap` cannot be enforced: cgroup v1 counts it together",
            "sandbox.toml:3:",
        ] {
            assert!(words.contains(part), "{words}");
        }
        return;
    }
    let live = Live::script(&project, profile, HOLD);
    let folder = group(live.command(), "memory");
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    // A kernel without swap has no such file, and nothing to limit.
    if let Ok(most) = read("memory.swap.max") {
        assert_eq!(most.trim(), "0");
    }
    assert_eq!(read("memory.max").unwrap().trim(), "max");
    assert_eq!(live.go(&project).code, 0);
}

#[test]
fn a_weight_divides_processor_time_beside_another_sandbox() {
    if without_limits("a_weight_divides_processor_time_beside_another_sandbox") {
        return;
    }
    // One processor, so that they are in each other's way however many there are.
    let loops = "touch ready; while ! [ -e go ]; do sleep 0.01; done; exec taskset -c 0 \
                 sh -c 'touch started; while :; do :; done'";
    let start = |weight: u32| {
        let project = Project::new();
        let profile = format!("version = 1\n[limits]\ncpu_weight = {weight}");
        let live = Live::script(&project, &profile, loops);
        let folder = group(live.command(), "cpu");
        let shares = std::fs::read_to_string(folder.join("cpu.shares"));
        let (set, wanted) = match shares {
            Ok(shares) => (shares, weight * 1024 / 100),
            Err(_) => (
                std::fs::read_to_string(folder.join("cpu.weight")).unwrap(),
                weight,
            ),
        };
        assert_eq!(set.trim(), wanted.to_string());
        (project, live, folder)
    };
    let (mut light, mut heavy) = (start(10), start(1000));
    for (project, live, _) in [&mut light, &mut heavy] {
        project.write("go", "");
        live.await_file(&project.path().join("started"));
    }
    let used = |live: &Live| ticks(live.command());
    let before = [used(&light.1), used(&heavy.1)];
    eventually("both together have run for a while", || {
        used(&light.1) + used(&heavy.1) > before[0] + before[1] + 100
    });
    let [light_used, heavy_used] = [used(&light.1) - before[0], used(&heavy.1) - before[1]];
    // A hundred to one was asked for.
    assert!(heavy_used > 5 * light_used, "{heavy_used}, {light_used}");
    for (_project, live, folder) in [light, heavy] {
        live.signal(Signal::SIGKILL);
        drop(live);
        // Those that nobody could remove any more go with the next run.
        Project::new()
            .run("version = 1\n[limits]\ncpu_weight = 1", "true")
            .ok();
        assert!(!folder.exists());
    }
}
