//! What holds once holds ten thousand times, side by side and under load: `SANDBOX_STRESS=full` does it as
//! often as is promised.

use crate::live::{PATIENCE, has_limits, without_limits};
use crate::support::{Load, Project, finished, mounts, times};
use crate::traces::marked;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Touches more and more memory from a moment on that comes with the end of the wall time, so that either may be
/// first; how it takes SIGTERM is what differs. What it says of that goes into a page that it has: to write it takes
/// no memory that could be refused.
const HOG: &str = "
import mmap, os, signal, sys, time
start, kind, delay = time.monotonic(), sys.argv[2], float(sys.argv[3])
with open(sys.argv[1], 'r+b') as file: told = mmap.mmap(file.fileno(), 4096)
told[0] = ord('-')
def end(*_):
    told[0] = ord('T')
    os._exit(143)
signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == 'deaf' else end)
held = []
time.sleep(max(0, delay - (time.monotonic() - start)))
if kind == 'child':
    if os.fork() == 0:
        while True: held.append(bytearray(b'x' * (1 << 20)))
    os.wait()
    told[1] = ord('K')
    while True: time.sleep(10)
while True: held.append(bytearray(b'x' * (1 << 20)))
";

/// How a run ended: its code, what it said, and what the hog had written down.
struct End {
    code: i32,
    stderr: String,
    told: String,
}

fn hog(project: &Project, number: u32, kind: &str, delay: f64) -> End {
    let page = project.write(&format!("page-{number}"), [b' '; 4096]);
    let (name, delay) = (format!("page-{number}"), format!("{delay:.3}"));
    let arguments = ["--", "python3", "-c", HOG, &name, kind, &delay];
    let mut command = project.program(&["--profile", "sandbox.toml"]);
    let done = crate::support::done(command.args(arguments));
    End {
        code: done.code,
        stderr: done.stderr,
        told: std::fs::read_to_string(page).unwrap()[..2].to_owned(),
    }
}

/// Whoever is killed for want of memory has not heard SIGTERM, or does not heed it; whoever has heard it has lost
/// its time. A child that was killed for its memory long before makes no end of the first kind of one of the second.
#[test]
fn want_of_memory_and_of_time_are_told_apart_when_they_come_together() {
    let test = "want_of_memory_and_of_time_are_told_apart_when_they_come_together";
    if without_limits(test) {
        return;
    }
    let _load = Load::new();
    let project = Project::new();
    project.write(
        "sandbox.toml",
        "version = 1\n[limits]\nwall_time = \"1s\"\ngrace = \"60s\"\nmemory = \"48M\"\n",
    );
    let memory = "sandbox: killed: memory limit of 48M reached (sandbox.toml:5)\n";
    let time = "sandbox: killed: wall time of 1s reached (sandbox.toml:3)\n";
    let counts = Mutex::new(BTreeMap::new());
    let (all, next) = (times(12, 200), AtomicU32::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= all {
                break;
            }
            // Around the end of the time, on both sides of it.
            let near = 0.55 + (f64::from(number) * 0.618_033_988).fract() * 0.5;
            let kind = ["either", "either", "deaf", "child"][number as usize % 4];
            let delay = if kind == "child" { 0.2 } else { near };
            let end = hog(&project, number, kind, delay);
            let is = match (kind, &*end.told) {
                // A slow machine: its time was over before it could say how it takes that.
                (_, "  ") => (124, time),
                // It cannot have ended but for want of memory.
                ("deaf", _) => (137, memory),
                // It was told, and ended for that.
                (_, "T " | "TK") => (124, time),
                _ => (137, memory),
            };
            let said = (end.code, &*end.stderr);
            assert_eq!(said, is, "{kind} after {delay}: {:?}", end.told);
            let told = (kind, end.told, end.code);
            *counts.lock().unwrap().entry(told).or_insert(0) += 1;
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(work)));
    });
    let counts = counts.into_inner().unwrap();
    eprintln!("{test}: of {all}: {counts:?}");
    assert_eq!(counts.values().sum::<u32>(), all);
}

/// What the kernel holds of namespaces, mounts, groups and processes, by kind: everybody's, so that only what
/// grows with the number of runs tells something. Nobody but root may read it.
fn held() -> BTreeMap<String, u64> {
    const KINDS: [&str; 9] = [
        "pid_namespace",
        "user_namespace",
        "uts_namespace",
        "net_namespace",
        "nsproxy",
        "mnt_cache",
        "mem_cgroup",
        "task_struct",
        "pid",
    ];
    let slabs = std::fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.next().filter(|kind| KINDS.contains(kind))?;
        Some((kind.to_owned(), words.next()?.parse().ok()?))
    };
    slabs.lines().filter_map(of).collect()
}

/// The control groups of runs that had one of these supervisors.
fn groups(supervisors: &BTreeSet<u32>) -> Vec<PathBuf> {
    fn look(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
                if depth > 0 {
                    look(&entry.path(), depth - 1, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    look(Path::new("/sys/fs/cgroup"), 6, &mut found);
    found.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        let pid = name
            .strip_prefix("sandbox-")
            .and_then(|n| n.split_once('-'));
        pid.is_some_and(|(pid, _)| pid.parse().is_ok_and(|pid| supervisors.contains(&pid)))
    });
    found
}

/// Memory of the kernel's that nobody can be asked to give back, in KiB.
fn kernel_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    let all = ["SUnreclaim", "KernelStack", "PageTables"];
    all.iter().filter_map(|name| of(name)).sum()
}

/// Starts runs, so many at once, until `enough` says so of their number and of the time; none fails, and nothing
/// grows with them.
fn launches(test: &str, at_once: u32, enough: impl Fn(u32, Duration) -> bool + Sync) {
    let project = Project::new();
    let limits = match has_limits() {
        true => "[limits]\npids = 50\nmemory = \"100M\"\ncpu = 1.5\n",
        false => "",
    };
    project.write(
        "sandbox.toml",
        format!(
            "version = 1\n{limits}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"${{PROJECT}}/scratch\"\n"
        ),
    );
    let marker = format!("sandbox-launch-{}-{at_once}", std::process::id());
    let launch = || {
        let mut command = project.program(&["--profile", "sandbox.toml", "--"]);
        command.args(["sh", "-c", "echo x >scratch/file", &marker]);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.spawn().unwrap();
        let pid = child.id();
        let done = finished(child.wait_with_output().unwrap());
        assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
        pid
    };
    // What is made once and kept is no growth.
    for _ in 0..20 {
        let _ = launch();
    }
    let (before, memory, table) = (held(), kernel_memory(), mounts());
    let (start, count) = (Instant::now(), AtomicU32::new(0));
    let supervisors = Mutex::new(BTreeSet::new());
    let worker = || {
        while !enough(count.load(Ordering::Relaxed), start.elapsed()) {
            count.fetch_add(1, Ordering::Relaxed);
            let pid = launch();
            supervisors.lock().unwrap().insert(pid);
        }
    };
    std::thread::scope(|scope| {
        (0..at_once).for_each(|_| drop(scope.spawn(worker)));
    });
    let (count, seconds) = (count.into_inner(), start.elapsed().as_secs_f64());
    let supervisors = supervisors.into_inner().unwrap();
    assert_eq!(marked(&marker), []);
    assert_eq!(groups(&supervisors), Vec::<PathBuf>::new());
    assert!(!project.path().join("scratch").exists());
    let here = project.path().to_str().unwrap();
    let ours = |line: &&String| line.contains(here);
    assert_eq!(mounts().difference(&table).find(ours), None);
    // The kernel takes some of it away a while later. Others run sandboxes, too: what a run left of its own would
    // come to as many as there were runs.
    let most = u64::from(count) / 10 + 500;
    let grown = || -> Vec<(String, u64, u64)> {
        let now = held().into_iter();
        let both = now.map(|(kind, now)| (before.get(&kind).copied().unwrap_or(0), kind, now));
        both.map(|(before, kind, now)| (kind, before, now))
            .collect()
    };
    let waiting = Instant::now();
    let more = || -> Vec<_> {
        let over = |(_, before, now): &(String, u64, u64)| *now > before + most;
        grown().into_iter().filter(over).collect()
    };
    while !more().is_empty() {
        assert!(
            waiting.elapsed() < PATIENCE,
            "of {count} launches: {:?}",
            more()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!(
        "{test}: {count} launches, {at_once} at once, in {seconds:.1} s, none failed; \
         kernel memory {memory} -> {} KiB; objects before and after: {:?}",
        kernel_memory(),
        grown(),
    );
}

#[test]
fn launches_in_sequence_neither_fail_nor_make_anything_grow() {
    let all = times(100, 10_000);
    let test = "launches_in_sequence_neither_fail_nor_make_anything_grow";
    launches(test, 1, |count, _| count >= all);
}

#[test]
fn launches_64_at_a_time_neither_fail_nor_make_anything_grow() {
    let seconds = times(0, 300);
    let test = "launches_64_at_a_time_neither_fail_nor_make_anything_grow";
    launches(test, 64, |count, time| {
        count >= 128 && time >= Duration::from_secs(seconds.into())
    });
}
