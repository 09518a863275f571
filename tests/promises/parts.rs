//! A limit that is a part of what there is: of the machine, and of the groups around.

use crate::live::{HOLD, Live, group, without_limits};
use crate::support::{Project, done, is_root, program};
use std::path::Path;
use std::process::Command;

/// The number in the first of these files that is there; `None` for no limit.
fn limit(folder: &Path, names: [&str; 2]) -> Option<u64> {
    let text = names
        .iter()
        .find_map(|name| std::fs::read_to_string(folder.join(name)).ok())?;
    text.trim().parse().ok()
}

fn kernel(path: &str) -> u64 {
    std::fs::read_to_string(path)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];

#[test]
fn half_is_half_of_what_the_machine_and_the_groups_around_permit() {
    if without_limits("half_is_half_of_what_the_machine_and_the_groups_around_permit") {
        return;
    }
    let project = Project::new();
    let profile =
        "version = 1\n[limits]\npids = \"50%\"\nmemory = \"50%\"\nswap = 0\ncpu = \"50%\"";
    let live = Live::script(&project, profile, HOLD);
    let around = |controller: &str, names, machine: u64| {
        let own = group(live.command(), controller);
        let above = own.ancestors().skip(1);
        let groups = above.take_while(|folder| folder.join("cgroup.procs").exists());
        let least = groups.filter_map(|folder| limit(folder, names)).min();
        (
            limit(&own, names),
            least.map_or(machine, |l| l.min(machine)),
        )
    };
    let threads = kernel("/proc/sys/kernel/threads-max");
    let threads = threads.min(kernel("/proc/sys/kernel/pid_max"));
    let (set, most) = around("pids", ["pids.max"; 2], threads);
    assert_eq!(set, Some(most / 2));
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = text.split_whitespace().nth(1).unwrap();
    let (set, most) = around("memory", MEMORY, total.parse::<u64>().unwrap() * 1024);
    // Whole megabytes.
    assert_eq!(set, Some((most / 2) >> 20 << 20));
    // So many may this process run on, and no group around has a quota.
    let processors = Command::new("nproc").output().unwrap().stdout;
    let processors: u64 = String::from_utf8(processors)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let own = group(live.command(), "cpu");
    let quota = std::fs::read_to_string(own.join("cpu.cfs_quota_us"));
    let quota = quota
        .or_else(|_| std::fs::read_to_string(own.join("cpu.max")))
        .unwrap();
    let expected = (processors * 50_000).to_string();
    assert_eq!(quota.split_whitespace().next(), Some(&*expected));
    live.go(&project).ok();

    // Inside a group with less, it is half of that. On v2 a group that holds processes hands
    // nothing on, so that it cannot be tried from inside one.
    let own = group(std::process::id(), "memory");
    if !is_root() || !own.join("memory.limit_in_bytes").exists() {
        return;
    }
    let outer = own.join(format!("part-{}", std::process::id()));
    std::fs::create_dir(&outer).unwrap();
    std::fs::write(outer.join("memory.limit_in_bytes"), "256M").unwrap();
    let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(&outer).arg(program());
    let hog = "x = b'x' * (200 << 20)";
    let inner = project.command(profile, &["python3", "-c", hog]);
    command.args(inner.get_args()).current_dir(project.path());
    let run = done(&mut command);
    std::fs::remove_dir(&outer).unwrap();
    let line = "sandbox: killed: memory limit of 128M reached (sandbox.toml:4)\n";
    assert_eq!(run.fails(137), line);
}
