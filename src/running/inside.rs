//! What `/proc` of the host shows of a sandbox that runs.

use super::live::Live;
use super::record::Record;
use crate::host::tree::entries;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A process of a sandbox.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Its pid outside.
    pub pid: i32,
    /// Its pid inside.
    pub inside: i32,
    /// Its name (proc_pid_comm(5)).
    pub name: String,
    /// Its state, as ps(1) has it.
    pub state: String,
    /// Its real user id outside.
    pub uid: u32,
    /// Its effective capabilities, as a mask.
    pub capabilities: String,
    /// 0: no filter; 2: one or more (proc_pid_status(5)).
    pub seccomp: u32,
    /// Whether no exec can add a privilege.
    pub no_new_privs: bool,
}

/// The processes in a sandbox's pid namespace, and below; where it has none of its own, those below its supervisor.
#[must_use]
pub fn processes(record: &Record, live: &Live) -> Vec<Process> {
    let inside = all(record, live);
    let inside = inside.iter();
    inside.map(|(pid, status)| process(*pid, status)).collect()
}

/// Whether all but init were stopped by a signal.
#[must_use]
pub(super) fn is_stopped(record: &Record, live: &Live) -> bool {
    let mut inside = all(record, live).into_keys();
    inside.all(|pid| pid == record.init || has_stopped(pid))
}

/// The same of one process, or that it is gone. One that waits in the kernel where no signal reaches it counts as stopped
/// if the signal is there: it comes to its stop before it is back. So does who waits for a child by vfork(2), which lasts as
/// long as that one is stopped.
pub(super) fn has_stopped(pid: i32) -> bool {
    const STOP: u64 = 1 << (libc::SIGSTOP - 1);
    // The state of a process is that of its first thread, which may have ended before the others.
    let threads = numbers(&format!("/proc/{pid}/task"));
    let of = |thread| status(&format!("/proc/{pid}/task/{thread}/status"));
    let threads: Vec<_> = threads.filter_map(of).collect();
    let any = |states: &[char]| {
        let mut all = threads.iter().filter_map(|thread| thread.get("State"));
        all.any(|state| state.starts_with(states))
    };
    // Taken by one of the threads, it is none that waits any more, and stops the others too.
    let is_sent = threads.iter().any(|thread| {
        let waits = thread.get("ShdPnd");
        waits.is_some_and(|set| u64::from_str_radix(set, 16).unwrap_or(0) & STOP != 0)
    });
    !any(&['R', 'S']) && (!any(&['D']) || is_sent || any(&['T', 't']))
}

/// Those inside, but for init, that have children: by generations, the oldest first.
pub(super) fn parents(record: &Record, live: &Live) -> Vec<BTreeSet<i32>> {
    let all = all(record, live);
    let parent = |pid: &i32| all.get(pid)?.get("PPid")?.parse().ok();
    let mut generations: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
    let parents: BTreeSet<i32> = all.keys().filter_map(parent).collect();
    for pid in parents {
        if pid != record.init && all.contains_key(&pid) {
            let line = std::iter::successors(Some(pid), parent).take(all.len());
            generations.entry(line.count()).or_default().insert(pid);
        }
    }
    generations.into_values().collect()
}

type Status = BTreeMap<String, String>;

fn all(record: &Record, live: &Live) -> BTreeMap<i32, Status> {
    let namespace = record.namespaces.iter().find(|ns| ns.kind == "pid");
    let wanted = namespace.map(|ns| format!("pid:[{}]", ns.inode));
    let mut all: BTreeMap<i32, Status> = numbers("/proc")
        .filter_map(|pid| Some((pid, status(&format!("/proc/{pid}/status"))?)))
        .collect();
    // Who hides shows its namespace to nobody, and is known by its parent; init by its number.
    let is_in = |pid: &i32| match &wanted {
        Some(wanted) => {
            *pid == record.init
                || std::fs::read_link(format!("/proc/{pid}/ns/pid"))
                    .is_ok_and(|link| link.to_str() == Some(wanted))
        }
        None => *pid == live.pid,
    };
    let known: BTreeSet<i32> = all.keys().copied().filter(is_in).collect();
    let parent = |pid: &i32| all.get(pid)?.get("PPid")?.parse().ok();
    let is_inside = |pid: i32| {
        let own = wanted.is_some().then_some(pid).or_else(|| parent(&pid));
        // Looked at one by one, parents may seem to go round in a circle.
        let mut line = std::iter::successors(own, parent).take(all.len());
        line.any(|pid| known.contains(&pid))
    };
    let mut inside: BTreeSet<i32> = all.keys().copied().filter(|pid| is_inside(*pid)).collect();
    // Who has joined and hides has a parent outside. It has a child inside, and is itself as deep: a process forks into
    // its own pid namespace, or into one below.
    let depth = |pid: &i32| {
        let pids = all.get(pid).and_then(|status| status.get("NSpid"));
        pids.map_or(0, |pids| pids.split_whitespace().count())
    };
    let own = depth(&record.init);
    let hidden: Vec<i32> = inside.iter().filter_map(parent).collect();
    let hidden = hidden
        .into_iter()
        .filter(|pid| own > 1 && depth(pid) >= own);
    inside.extend(hidden.filter(|_| wanted.is_some()));
    all.retain(|pid, _| inside.contains(pid));
    all
}

/// The entries of a folder of `/proc` that are numbers.
fn numbers(folder: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = entries(Path::new(folder)).unwrap_or_default().into_iter();
    entries.filter_map(|(name, _)| name.to_str()?.parse().ok())
}

fn process(pid: i32, status: &Status) -> Process {
    let text = |key: &str| status.get(key).cloned().unwrap_or_default();
    let first = |key: &str| text(key).split_whitespace().next().unwrap_or("").to_owned();
    let last = |key: &str| text(key).split_whitespace().last().unwrap_or("").to_owned();
    Process {
        pid,
        inside: last("NSpid").parse().unwrap_or(pid),
        name: text("Name"),
        state: first("State"),
        uid: first("Uid").parse().unwrap_or(u32::MAX),
        capabilities: text("CapEff"),
        seccomp: text("Seccomp").parse().unwrap_or(0),
        no_new_privs: text("NoNewPrivs") == "1",
    }
}

/// The lines of a file such as `/proc/PID/status`.
fn status(path: &str) -> Option<Status> {
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    Some(
        lines
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect(),
    )
}

/// The lines of a file of init's in `/proc`: `uid_map`, `gid_map`, `mountinfo`. Nothing if it cannot be
/// read.
#[must_use]
pub fn lines(record: &Record, file: &str) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{}/{file}", record.init)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}
