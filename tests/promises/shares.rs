//! Limits that are about others too, or about finer parts of one: huge pages, memory that is kept, weights of disks,
//! periods, nodes. Each is in force as the kernel says itself, or the run says that it is not.

use crate::live::{HOLD, Live, group, has_limits, without_limits};
use crate::support::{Done, Project, done, is_root, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a file of the group says, under its name on v1 or on v2; nothing where neither is there.
fn says(pid: u32, controller: &str, names: &[&str]) -> Option<String> {
    let folder = group(pid, controller);
    let mut texts = names
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(name)));
    texts
        .find_map(Result::ok)
        .map(|text| text.trim().to_owned())
}

/// A run that is held, under limits that this machine has; `None` where it lacks one, which is then what the refusal
/// of the whole run says, at its line.
#[track_caller]
fn held(test: &str, project: &Project, limits: &str, lacks: &[&str]) -> Option<Live> {
    let profile = format!("version = 1\n[limits]\n{limits}");
    let tried = project.run(&profile, "true");
    if let Some(why) = lacks.iter().find(|why| tried.stderr.contains(**why)) {
        assert_eq!(tried.stdout, "");
        let said = tried.fails(125);
        assert!(
            said.contains("sandbox.toml:3:") && said.contains("help: "),
            "{said}"
        );
        skip(test, &format!("the run is refused: {why}"));
        return None;
    }
    assert_eq!(tried.ok(), "");
    Some(Live::script(project, &profile, HOLD))
}

const NO_HUGETLB: &str = "this kernel offers no hugetlb controller";
const NO_CPUSET: &str = "this kernel offers no cpuset controller";

/// Maps memory in huge pages of 2M, as many megabytes as it is told, and touches all of it.
const HUGE: &str = "
import mmap, sys
size, flags = int(sys.argv[1]) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000
try:
    pages = mmap.mmap(-1, size, flags=flags)
except OSError as error:
    sys.exit('refused: %d' % error.errno)
for at in range(0, size, 1 << 21): pages[at] = 1
print('held')
";

#[test]
fn huge_pages_are_had_up_to_their_limit_and_refused_beyond_it() {
    let test = "huge_pages_are_had_up_to_their_limit_and_refused_beyond_it";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let limits = "huge_pages = { \"2M\" = \"4M\" }";
    let lacks = [NO_HUGETLB, "this machine has no huge pages of 2M"];
    let Some(live) = held(test, &project, limits, &lacks) else {
        return;
    };
    let pid = live.command();
    let of = |kind: &str| {
        let names = ["limit_in_bytes", "max"].map(|name| format!("hugetlb.2MB.{kind}{name}"));
        says(pid, "hugetlb", &[&names[0], &names[1]])
    };
    assert_eq!(of("").as_deref(), Some("4194304"));
    assert!(of("rsvd.").is_none_or(|most| most == "4194304"));
    live.go(&project).ok();
    let report = project.path().join("report.json");
    let run = |limit: &str, megabytes: &str| {
        let profile = format!("version = 1\n[limits]\nhuge_pages = {{ \"2M\" = \"{limit}\" }}");
        project.write("sandbox.toml", profile);
        let mut command = project.program(&["--profile", "sandbox.toml", "--report"]);
        command.arg(&report);
        done(command.args(["--", "python3", "-c", HUGE, megabytes]))
    };
    if run("64M", "6").code != 0 {
        return skip(
            test,
            "this machine has set no huge pages aside (vm.nr_hugepages)",
        );
    }
    assert_eq!(run("4M", "4").ok(), "held\n");
    let beyond = run("4M", "6");
    assert_eq!(beyond.stdout, "");
    assert_eq!(beyond.fails(1), "refused: 12\n");
    let text = std::fs::read_to_string(report).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let limits = report["limits"].as_array().unwrap();
    let limit = limits
        .iter()
        .find(|limit| limit["key"] == "limits.huge_pages");
    let limit = limit.unwrap();
    assert_eq!(limit["requested"], "4M of 2M");
    assert_eq!(limit["enforced"]["value"], 4 << 20);
    assert_eq!(limit["hit"], true);
}

#[test]
fn huge_pages_that_a_machine_has_not_are_refused_at_their_line() {
    let project = Project::new();
    let run = |enforce: &str| {
        let profile =
            format!("version = 1\n[limits]\nhuge_pages = {{ \"8M\" = \"8M\" }}\n{enforce}");
        project.run(&profile, "echo ran")
    };
    let refused = run("");
    assert_eq!(refused.stdout, "");
    let said = refused.fails(125);
    assert!(said.contains("`huge_pages` cannot be enforced: "), "{said}");
    assert!(said.contains("sandbox.toml:3:"), "{said}");
    if has_limits() && !said.contains(NO_HUGETLB) {
        assert!(
            said.contains("this machine has no huge pages of 8M; it has: "),
            "{said}"
        );
    }
    let preferred = run("[enforce]\nlimits = \"prefer\"");
    assert_eq!(
        (preferred.code, &*preferred.stdout),
        (0, "ran\n"),
        "{preferred:?}"
    );
    assert!(
        preferred.stderr.contains("`huge_pages` is not enforced: "),
        "{preferred:?}"
    );
}

#[test]
fn processor_time_is_counted_over_the_period_and_saved_up_to_the_burst() {
    let test = "processor_time_is_counted_over_the_period_and_saved_up_to_the_burst";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let limits = "cpu = 0.5\ncpu_period = \"40ms\"\ncpu_burst = \"15ms\"";
    let live = held(test, &project, limits, &[]).unwrap();
    let pid = live.command();
    let quota = match says(pid, "cpu", &["cpu.cfs_quota_us"]) {
        Some(quota) => format!(
            "{quota} {}",
            says(pid, "cpu", &["cpu.cfs_period_us"]).unwrap()
        ),
        None => says(pid, "cpu", &["cpu.max"]).unwrap(),
    };
    assert_eq!(quota, "20000 40000");
    let burst = says(pid, "cpu", &["cpu.cfs_burst_us", "cpu.max.burst"]);
    assert_eq!(burst.as_deref(), Some("15000"));
    live.go(&project).ok();
    // A part of what there is, of which the plan alone knows how much it is.
    let profile = "version = 1\n[limits]\ncpu = \"1%\"\ncpu_burst = \"90ms\"";
    let said = project.run(profile, "echo ran");
    assert_eq!(said.stdout, "");
    let said = said.fails(125);
    assert!(said.contains("`cpu_burst` of 90ms is more than"), "{said}");
}

#[test]
fn memory_is_taken_from_the_declared_nodes_only() {
    let test = "memory_is_taken_from_the_declared_nodes_only";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let Some(live) = held(test, &project, "memory_nodes = \"0\"", &[NO_CPUSET]) else {
        return;
    };
    assert_eq!(
        says(live.command(), "cpuset", &["cpuset.mems"]).as_deref(),
        Some("0")
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", live.command())).unwrap();
    assert_eq!(crate::live::field(&status, "Mems_allowed_list"), "0");
    live.go(&project).ok();
    let absent = project.run("version = 1\n[limits]\nmemory_nodes = \"63\"", "echo ran");
    assert_eq!(absent.stdout, "");
    assert!(absent.fails(125).contains("sandbox.toml:3:"));
}

/// A child that takes too much, and what its parent sees of that.
const CHILD: &str = "python3 -c \"x = b'x' * (200 << 20)\"; echo $?";

#[test]
fn want_of_memory_ends_one_process_or_all_as_declared() {
    let test = "want_of_memory_ends_one_process_or_all_as_declared";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let run = |all: bool| {
        let profile = format!("version = 1\n[limits]\nmemory = \"64M\"\noom_group = {all}");
        project.run(&profile, CHILD)
    };
    let one = run(false);
    assert_eq!(
        (one.code, one.stdout.lines().last()),
        (0, Some("137")),
        "{one:?}"
    );
    let all = run(true);
    assert_eq!(all.stdout, "");
    if all.code == 125 {
        let said = all.fails(125);
        let why = "cgroup v1 kills one process for want of memory";
        assert!(
            said.contains(why) && said.contains("sandbox.toml:4:"),
            "{said}"
        );
        return;
    }
    assert!(all.fails(137).contains("memory limit of 64M reached"));
}

/// The groups of v2 above our own runs, as far as they can be written to, innermost first.
fn above(live: &Live) -> Vec<PathBuf> {
    let dir = group(live.command(), "memory");
    let above = dir.ancestors().skip(1);
    let above = above.take_while(|dir| dir.join("cgroup.procs").exists());
    above.map(Path::to_owned).collect()
}

#[test]
fn memory_is_kept_only_where_the_groups_above_have_it_kept() {
    let test = "memory_is_kept_only_where_the_groups_above_have_it_kept";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let limits = "memory = \"64M\"\nmemory_low = \"16M\"\nmemory_min = \"8M\"";
    let profile = format!("version = 1\n[limits]\n{limits}");
    let refused = |done: Done| {
        assert_eq!(done.stdout, "");
        let said = done.fails(125);
        for key in ["memory_low", "memory_min"] {
            assert!(
                said.contains(&format!("`{key}` cannot be enforced: ")),
                "{said}"
            );
        }
        assert!(
            said.contains("sandbox.toml:4:") && said.contains("sandbox.toml:5:"),
            "{said}"
        );
        said
    };
    let first = project.run(&profile, "true");
    if first.code == 0 {
        // Nobody above has less.
        let live = Live::script(&project, &profile, HOLD);
        let of = |name| says(live.command(), "memory", &[name]).unwrap();
        assert_eq!(
            (of("memory.low"), of("memory.min")),
            ("16777216".into(), "8388608".into())
        );
        return drop(live.go(&project).ok());
    }
    let said = refused(first);
    if said.contains("cgroup v1 keeps no memory for anybody") {
        return skip(test, "cgroup v1 keeps no memory for anybody");
    }
    assert!(
        said.contains("memory.low of /") && said.contains(" is 0, and no group below it has more"),
        "{said}"
    );
    if !is_root() || std::env::var_os("LAB_CGROUP2").is_none() {
        return skip(test, "the groups above have no memory kept for them");
    }
    let plain = Live::script(&project, "version = 1\n[limits]\nmemory = \"64M\"", HOLD);
    let groups = above(&plain);
    plain.go(&project).ok();
    let keep = |low: &str, min: &str| {
        for group in &groups {
            // The root has none.
            let _ = std::fs::write(group.join("memory.low"), low);
            let _ = std::fs::write(group.join("memory.min"), min);
        }
    };
    keep("32M", "8M");
    let _ = std::fs::remove_file(project.path().join("go"));
    let live = Live::script(&project, &profile, HOLD);
    let of = |name| says(live.command(), "memory", &[name]).unwrap();
    assert_eq!(
        (of("memory.low"), of("memory.min")),
        ("16777216".into(), "8388608".into())
    );
    live.go(&project).ok();
    keep("8M", "4M");
    refused(project.run(&profile, "true"));
    keep("0", "0");
}

/// A disk in a file, for root; taken away in the end.
pub(crate) struct Loop(String);

impl Loop {
    pub(crate) fn new(project: &Project) -> Option<Self> {
        let file = project.path().join("disk");
        std::fs::File::create(&file)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output();
        let name = made.ok().filter(|made| made.status.success())?.stdout;
        Some(Self(String::from_utf8(name).unwrap().trim().to_owned()))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.strip_prefix("/dev/").unwrap()
    }

    fn schedule(&self, by: &str) -> bool {
        let name = self.name();
        std::fs::write(format!("/sys/block/{name}/queue/scheduler"), by).is_ok()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_weight_of_a_disk_is_set_where_the_disk_is_divided_by_weights_and_refused_elsewhere() {
    let test =
        "a_weight_of_a_disk_is_set_where_the_disk_is_divided_by_weights_and_refused_elsewhere";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let nowhere = "version = 1\n[limits]\nio = [{ device = \"/proc\", weight = 30 }]";
    let refused = project.run(nowhere, "echo ran");
    assert_eq!(refused.stdout, "");
    let said = refused.fails(125);
    assert!(
        said.contains("the weight cannot be enforced: /proc is on no single block device"),
        "{said}"
    );
    let disk = is_root().then(|| Loop::new(&project)).flatten();
    let Some(disk) = disk else {
        return skip(test, "no disk can be made here");
    };
    let entry = format!("{{ device = \"{}\", weight = 30 }}", disk.0);
    let profile = format!("version = 1\n[limits]\nio = [{entry}]");
    assert!(disk.schedule("none"));
    let refused = project.run(&profile, "echo ran");
    assert_eq!(refused.stdout, "");
    let said = refused.fails(125);
    assert!(
        said.contains("the weight cannot be enforced: the disk "),
        "{said}"
    );
    assert!(
        said.contains("is not divided by weights") && said.contains("sandbox.toml:3:"),
        "{said}"
    );
    assert!(said.contains("bfq"), "{said}");
    if !disk.schedule("bfq") {
        return skip(test, "this kernel has no scheduler bfq");
    }
    let limits = format!("io = [{entry}]\nio_weight = 5050");
    let live = held(test, &project, &limits, &[]).unwrap();
    let name = disk.name();
    let number = std::fs::read_to_string(format!("/sys/block/{name}/dev")).unwrap();
    let pid = live.command();
    let names = ["blkio.bfq.weight_device", "io.bfq.weight"];
    let of_disk = says(pid, "blkio", &names).unwrap();
    assert!(
        of_disk
            .lines()
            .any(|line| line == format!("{} 30", number.trim())),
        "{of_disk}"
    );
    let names = ["blkio.bfq.weight", "io.bfq.weight"];
    let of_all = says(pid, "blkio", &names).unwrap();
    let first = of_all.lines().next().unwrap();
    assert_eq!(first.strip_prefix("default ").unwrap_or(first), "550");
    live.go(&project).ok();
}

#[test]
fn real_time_processor_time_is_had_where_the_kernel_divides_it_and_refused_elsewhere() {
    let test = "real_time_processor_time_is_had_where_the_kernel_divides_it_and_refused_elsewhere";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\nrealtime = \"10ms\"\n";
    // What the group above has left.
    let own = group(std::process::id(), "cpu");
    let left = std::fs::read_to_string(own.join("cpu.rt_runtime_us"));
    let left = left.ok().and_then(|text| text.trim().parse::<i64>().ok());
    let Some(left) = left.filter(|left| *left >= 10_000 || *left < 0) else {
        let refused = project.run(profile, "true").fails(125);
        assert!(
            refused.contains("`realtime` cannot be enforced"),
            "{refused}"
        );
        assert!(refused.contains("sandbox.toml:3:12"), "{refused}");
        return;
    };
    let live = Live::script(&project, profile, HOLD);
    let said = says(live.command(), "cpu", &["cpu.rt_runtime_us"]);
    assert_eq!(said.as_deref(), Some("10000"));
    assert_eq!(live.go(&project).code, 0);
    // More than the group above has is refused before anything is made.
    if (0..1_000_000).contains(&left) {
        let more = profile.replace("10ms", "1s");
        let refused = project.run(&more, "true").fails(125);
        assert!(refused.contains("µs of each second"), "{refused}");
    }
    // A group that is made for something else has none, and its command no such priority.
    let limits = ["realtime = \"10ms\"", "cpu = 1"];
    let [with, without] = limits.map(|limit| {
        let process = "[process]\nscheduler = \"fifo\"\npriority = 7\n";
        project.run(
            &format!("version = 1\n[limits]\n{limit}\n{process}"),
            "true",
        )
    });
    if !with.stderr.contains("limit on rtprio") {
        with.ok();
        let refused = without.fails(125);
        assert!(refused.contains("cpu.rt_runtime_us"), "{refused}");
    }
}
