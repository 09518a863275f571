//! Nothing left behind: no process, cgroup, mount, mount point or temporary file outlives its run,
//! however the run ends.

use crate::live::{has_limits, without_limits};
use crate::support::{Load, Project, finished, mounts, times};
use crate::traces::{descendants, gone, groups_of, marked, of_group, that_see};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A project whose runs leave as much as they can, and what was there before them.
struct Litter {
    project: Project,
    marker: String,
    before: BTreeSet<String>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Litter {
    fn new(limits: bool) -> Self {
        let project = Project::new();
        let limits = if limits {
            "[limits]\npids = 50\nmemory = \"100M\"\noutput = \"1M\"\n"
        } else {
            ""
        };
        project.write(
            "sandbox.toml",
            format!(
                "{limits}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"${{PROJECT}}/scratch/deep\"\n\
                 [[mounts]]\ntype = \"file\"\ntarget = \"${{PROJECT}}/settings\"\ncontents = \"x\"\n"
            ),
        );
        std::fs::create_dir(project.path().join("tmp")).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("sandbox-litter-{}-{number}", std::process::id());
        let before = files(&project);
        Self {
            project,
            marker,
            before,
        }
    }

    /// A run that starts processes in sessions of their own, writes files where they are private,
    /// and ends after a while, if its mounts are still there.
    fn start(&self, seconds: &str) -> Child {
        let script = format!(
            "setsid sh -c 'trap \"\" TERM INT HUP; sleep 600' {0} & sh -c 'sleep 600; :' {0} &
             echo x >scratch/deep/file; echo x >/tmp/file; sleep {seconds}
             [ -e scratch/deep/file ] && [ -s settings ] && exit 3; echo the mounts are gone >&2",
            self.marker
        );
        let mut command = self
            .project
            .program(&["--profile", "sandbox.toml", "--", "sh", "-c"]);
        command
            .args([&script, &self.marker])
            .env("TMPDIR", self.project.path().join("tmp"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command.spawn().unwrap()
    }

    /// Nothing of runs with these supervisors is left.
    #[track_caller]
    fn is_gone(&self, supervisors: &[u32]) {
        gone(|| marked(&self.marker));
        let here = self.project.path().to_str().unwrap();
        gone(|| supervisors.iter().flat_map(|pid| of_group(*pid)).collect());
        gone(|| supervisors.iter().flat_map(|pid| groups_of(*pid)).collect());
        gone(|| {
            mounts()
                .into_iter()
                .filter(|mount| mount.contains(here))
                .collect()
        });
        assert_eq!(files(&self.project), self.before);
    }
}

/// Every path in a project.
fn files(project: &Project) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![project.path().to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            found.insert(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
        }
    }
    found
}

#[track_caller]
fn ends_by_itself(run: Child) {
    let done = finished(run.wait_with_output().unwrap());
    assert_eq!(done.fails(3), "");
}

#[test]
fn runs_in_sequence_leave_nothing() {
    let litter = Litter::new(has_limits());
    let mut supervisors = Vec::new();
    for _ in 0..times(50, 1000) {
        let run = litter.start("0");
        supervisors.push(run.id());
        ends_by_itself(run);
    }
    litter.is_gone(&supervisors);
}

#[test]
fn runs_side_by_side_leave_nothing_and_do_not_disturb_each_other() {
    let litter = Litter::new(has_limits());
    for _ in 0..3 {
        let runs: Vec<_> = (0..times(8, 32))
            // Some end while others go on with the same mount points.
            .map(|n| litter.start(["0.05", "0.5"][n as usize % 2]))
            .collect();
        let supervisors: Vec<_> = runs.iter().map(Child::id).collect();
        runs.into_iter().for_each(ends_by_itself);
        litter.is_gone(&supervisors);
    }
}

/// Ends runs from outside, at moments spread over their whole life.
fn ended_at_any_moment(signal: nix::sys::signal::Signal, limits: bool, times: u32) {
    let litter = Litter::new(limits);
    // How long one takes that nobody ends: its end is to be among the moments.
    let start = Instant::now();
    let whole = litter.start("0.1");
    let mut supervisors = vec![whole.id()];
    ends_by_itself(whole);
    let life = start.elapsed().as_secs_f64() * 1.1;
    // The steps of the golden ratio fill an interval evenly, whatever the number.
    let moments = (0..times).map(|n| (f64::from(n) * 0.618_033_988).fract() * life);
    for moment in moments {
        let run = litter.start("0.1");
        let pid = run.id();
        supervisors.push(pid);
        std::thread::sleep(Duration::from_secs_f64(moment));
        let inside = descendants(pid);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal).unwrap();
        let done = finished(run.wait_with_output().unwrap());
        assert!(!done.stderr.contains("panicked"), "{done:?}");
        gone(|| inside.iter().copied().filter(|p| p.is_alive()).collect());
    }
    gone(|| marked(&litter.marker));
    gone(|| that_see(litter.project.path()));
    // The next run takes away what a killed one could not.
    let next = litter.start("0");
    supervisors.push(next.id());
    ends_by_itself(next);
    litter.is_gone(&supervisors);
}

#[test]
fn kill_9_of_the_supervisor_at_any_moment_leaves_nothing() {
    ended_at_any_moment(nix::sys::signal::Signal::SIGKILL, false, times(20, 500));
}

#[test]
fn kill_9_of_a_supervisor_with_a_cgroup_at_any_moment_leaves_nothing() {
    if without_limits("kill_9_of_a_supervisor_with_a_cgroup_at_any_moment_leaves_nothing") {
        return;
    }
    ended_at_any_moment(nix::sys::signal::Signal::SIGKILL, true, times(20, 500));
}

#[test]
fn kill_9_of_the_supervisor_at_any_moment_under_load_leaves_nothing() {
    let _load = Load::new();
    let kill = nix::sys::signal::Signal::SIGKILL;
    ended_at_any_moment(kill, has_limits(), times(10, 500));
}

#[test]
fn the_end_by_a_signal_at_any_moment_leaves_nothing() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        ended_at_any_moment(signal, has_limits(), times(5, 50));
    }
}

/// An init that is killed is a run that was lost, not one that ended.
#[test]
fn kill_9_of_init_is_said_and_leaves_nothing() {
    let litter = Litter::new(has_limits());
    let run = litter.start("600");
    let pid = run.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let init = loop {
        // The command runs once its children have the marker. The supervisor may still have to wait
        // for a child of the set-up, which it has killed.
        if marked(&litter.marker).len() >= 3 {
            let children = std::fs::read_to_string(&children).unwrap();
            if let Ok(init) = children.trim().parse() {
                break init;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let init = nix::unistd::Pid::from_raw(init);
    nix::sys::signal::kill(init, nix::sys::signal::Signal::SIGKILL).unwrap();
    let said = finished(run.wait_with_output().unwrap()).fails(137);
    assert!(said.contains("signal 9 from outside"), "{said}");
    litter.is_gone(&[pid]);
}
