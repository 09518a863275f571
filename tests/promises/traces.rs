//! What a run could leave behind, found by what is its own: other tests run at the same time, so
//! that a mere number would tell nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process, told from a later one with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pid: i32,
    start: u64,
}

/// The fields of `/proc/PID/stat` from the third one on.
fn stat(pid: i32) -> Option<(String, Vec<String>)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    Some((name, rest.split_whitespace().map(str::to_owned).collect()))
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        let start = stat(pid)?.1.get(19)?.parse().ok()?;
        Some(Self { pid, start })
    }

    /// Whether it is still there, and no zombie that only its parent has to take notice of.
    pub(crate) fn is_alive(self) -> bool {
        let zombie = stat(self.pid).is_none_or(|(_, fields)| fields[0] == "Z" || fields[0] == "X");
        Self::of(self.pid) == Some(self) && !zombie
    }
}

/// The processes for which a condition on pid, name and the fields from the third one on holds.
fn processes(holds: impl Fn(i32, &str, &[String]) -> bool) -> Vec<Process> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(name, fields)| holds(*pid, &name, &fields)))
        .filter_map(Process::of)
        .filter(|process| process.is_alive())
        .collect()
}

/// The processes with a marker among their arguments.
pub(crate) fn marked(marker: &str) -> Vec<Process> {
    processes(|pid, _, _| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(marker)
    })
}

/// The processes of a process group.
pub(crate) fn of_group(group: u32) -> Vec<Process> {
    processes(|_, _, fields| fields[2] == group.to_string())
}

/// The processes that see a mount of this project, as far as this user may look.
pub(crate) fn that_see(project: &Path) -> Vec<Process> {
    let project = project.to_str().unwrap();
    processes(|pid, name, _| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
        name.starts_with("sandbox") && table.is_ok_and(|table| table.contains(project))
    })
}

/// The children of a process, their children, and so on.
pub(crate) fn descendants(pid: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut todo = vec![pid.to_string()];
    while let Some(pid) = todo.pop() {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            found.extend(child.parse().ok().and_then(Process::of));
            todo.push(child.to_owned());
        }
    }
    found
}

/// The control groups of the run with this supervisor.
pub(crate) fn groups_of(supervisor: u32) -> Vec<PathBuf> {
    fn look(folder: &Path, prefix: &str, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path());
            } else if depth > 0 {
                look(&entry.path(), prefix, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    let prefix = format!("sandbox-{supervisor}-");
    look(Path::new("/sys/fs/cgroup"), &prefix, 6, &mut found);
    found
}

/// Waits until nothing is found any more: an end takes a moment.
#[track_caller]
pub(crate) fn gone<T: std::fmt::Debug>(mut find: impl FnMut() -> Vec<T>) {
    let start = Instant::now();
    loop {
        let found = find();
        if found.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < crate::live::PATIENCE,
            "left behind: {found:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
