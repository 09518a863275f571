//! What `/proc` of the host shows of a sandbox that runs.

use super::live::Live;
use super::record::Record;
use crate::host::tree::entries;
use serde::Serialize;
use std::collections::BTreeMap;
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

/// The processes in a sandbox's pid namespace; where it has none of its own, those below its supervisor.
#[must_use]
pub fn processes(record: &Record, live: &Live) -> Vec<Process> {
    let namespace = record.namespaces.iter().find(|ns| ns.kind == "pid");
    let wanted = namespace.map(|ns| format!("pid:[{}]", ns.inode));
    let all: BTreeMap<i32, BTreeMap<String, String>> = entries(Path::new("/proc"))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, _)| name.to_str()?.parse().ok())
        .filter_map(|pid: i32| Some((pid, status(pid)?)))
        .collect();
    let is_inside = |pid: i32| match &wanted {
        // Init hides even from its owner, and is known by its number.
        Some(wanted) => {
            pid == record.init
                || std::fs::read_link(format!("/proc/{pid}/ns/pid"))
                    .is_ok_and(|link| link.to_str() == Some(wanted))
        }
        None => {
            let mut at = pid;
            loop {
                let parent = all.get(&at).and_then(|status| status.get("PPid"));
                match parent.and_then(|parent| parent.parse().ok()) {
                    Some(parent) if parent == live.pid => break true,
                    Some(parent) if parent > 1 && parent != at => at = parent,
                    _ => break false,
                }
            }
        }
    };
    let inside = all.iter().filter(|(pid, _)| is_inside(**pid));
    inside.map(|(pid, status)| process(*pid, status)).collect()
}

fn process(pid: i32, status: &BTreeMap<String, String>) -> Process {
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

/// The lines of `/proc/PID/status`.
fn status(pid: i32) -> Option<BTreeMap<String, String>> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
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
