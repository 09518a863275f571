//! `sandbox inspect`: everything about a sandbox that runs.

use super::arguments::Inspect;
use super::ps::columns;
use super::{Refused, found, output, output_json, pause};
use crate::diag::printable;
use crate::report::Measured;
use crate::running::inside::{self, Process};
use crate::running::record::Namespace;
use crate::running::{Live, Record};
use crate::supervisor::cgroup::Group;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The version of the JSON form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    version: u32,
    id: String,
    name: Option<String>,
    user: u32,
    paused: bool,
    supervisor: i32,
    init: i32,
    started: u64,
    command: Vec<String>,
    directory: Option<PathBuf>,
    detached: bool,
    profiles: Vec<String>,
    /// As `show` prints it, with the origin of every value.
    profile: String,
    /// As `explain` prints it.
    plan: String,
    namespaces: Vec<Kind>,
    uid_map: Vec<String>,
    gid_map: Vec<String>,
    mounts: Vec<String>,
    cgroups: Vec<PathBuf>,
    /// Nothing where there is no group, or another user's.
    usage: Option<Usage>,
    processes: Vec<Process>,
}

#[derive(Serialize)]
struct Kind {
    kind: String,
    inode: u64,
    /// Whether it is the one inside init's, in which the command is.
    inner: bool,
}

#[derive(Serialize)]
struct Usage {
    cpu_seconds: Option<f64>,
    memory_bytes: Option<u64>,
    memory_peak_bytes: Option<u64>,
    tasks: Option<u64>,
    frozen: Option<bool>,
}

pub(super) fn run(arguments: &Inspect) -> Result<u8, Refused> {
    let (live, record, owner) = found::running(&arguments.name)?;
    let report = report(&live, *record, owner);
    if arguments.json {
        output_json(&report)?;
    } else {
        output(&report.text())?;
    }
    Ok(0)
}

fn report(live: &Live, record: Record, owner: u32) -> Report {
    let kind = |namespace: &Namespace, inner| Kind {
        kind: namespace.kind.clone(),
        inode: namespace.inode,
        inner,
    };
    let own = record.namespaces.iter().map(|ns| kind(ns, false));
    let namespaces = own.chain(record.inner.iter().map(|ns| kind(ns, true)));
    let v1 = record.groups.v1.iter().map(|(_, path)| path);
    // What another user's record names is not read with this one's rights.
    let is_own = owner == rustix::process::geteuid().as_raw();
    Report {
        version: VERSION,
        user: owner,
        paused: pause::is_paused(live, &record, owner),
        supervisor: live.pid,
        namespaces: namespaces.collect(),
        uid_map: inside::lines(&record, "uid_map"),
        gid_map: inside::lines(&record, "gid_map"),
        mounts: inside::lines(&record, "mountinfo"),
        cgroups: v1.chain(&record.groups.v2).cloned().collect(),
        usage: is_own.then(|| usage(&record)).flatten(),
        processes: inside::processes(&record, live),
        id: record.id,
        name: record.name,
        init: record.init,
        started: record.started,
        command: record.command,
        directory: record.directory,
        detached: record.detached,
        profiles: record.profiles,
        profile: record.profile,
        plan: record.plan,
    }
}

fn usage(record: &Record) -> Option<Usage> {
    if record.groups.is_empty() {
        return None;
    }
    let group = Group::look(&record.groups).ok()?;
    let mut measured = Measured::default();
    group.count(&mut measured);
    let now = group.now();
    Some(Usage {
        cpu_seconds: now.cpu.map(|time| time.as_secs_f64()),
        memory_bytes: now.memory,
        memory_peak_bytes: measured.usage.memory_peak_bytes.map(|peak| peak.value),
        tasks: now.tasks,
        frozen: now.frozen,
    })
}

impl Report {
    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |key: &str, value: &str| {
            let value = value.replace(['\n', '\t'], " ");
            let _ = writeln!(out, "{key:<12} {}", printable(&value));
        };
        let none = "-";
        line("id", &self.id);
        line("name", self.name.as_deref().unwrap_or(none));
        line("user", &self.user.to_string());
        line("state", if self.paused { "paused" } else { "running" });
        line("supervisor", &self.supervisor.to_string());
        let command = self.command.join(" ");
        line(
            "command",
            if command.is_empty() {
                "(open)"
            } else {
                &command
            },
        );
        let directory = self
            .directory
            .as_ref()
            .map(|path| path.display().to_string());
        line("directory", directory.as_deref().unwrap_or(none));
        line("profiles", &self.profiles.join(", "));
        for (key, values) in [("uid map", &self.uid_map), ("gid map", &self.gid_map)] {
            line(key, &values.join(", "));
        }
        for group in &self.cgroups {
            line("cgroup", &group.display().to_string());
        }
        if let Some(usage) = &self.usage {
            let number = |what: Option<u64>| what.map_or_else(|| none.into(), |n| n.to_string());
            let cpu = usage
                .cpu_seconds
                .map_or_else(|| none.into(), |s| format!("{s:.2}s"));
            line(
                "usage",
                &format!(
                    "cpu {cpu}, memory {} (peak {}), tasks {}",
                    number(usage.memory_bytes),
                    number(usage.memory_peak_bytes),
                    number(usage.tasks),
                ),
            );
        }
        for namespace in &self.namespaces {
            let inner = if namespace.inner {
                " (the command's)"
            } else {
                ""
            };
            line(
                "namespace",
                &format!("{}:[{}]{inner}", namespace.kind, namespace.inode),
            );
        }
        out.push_str("\nprocesses:\n");
        let head = [
            "PID",
            "INSIDE",
            "STATE",
            "UID",
            "CAPABILITIES",
            "SECCOMP",
            "NAME",
        ];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        lines.extend(self.processes.iter().map(|process| {
            vec![
                process.pid.to_string(),
                process.inside.to_string(),
                process.state.clone(),
                process.uid.to_string(),
                process.capabilities.clone(),
                process.seccomp.to_string(),
                process.name.clone(),
            ]
        }));
        out.push_str(&columns(&lines));
        out.push_str("\nmounts:\n");
        for mount in &self.mounts {
            let _ = writeln!(out, "  {}", printable(mount));
        }
        let _ = write!(
            out,
            "\nplan:\n{}\nprofile:\n{}",
            printable(&self.plan),
            printable(&self.profile)
        );
        out
    }
}
