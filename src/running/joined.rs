//! A sandbox whose network another run joins: what its plan has to know, and its descriptors.

use super::folder::{self, Folder};
use super::live::{Live, Opened, State, stat};
use super::{Entry, Record, found, join};
use crate::host::Host;
use crate::host::caller::IdRange;
use crate::host::runs::{Held, NotRunning, Running};
use crate::plan::op::NamespaceKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// This machine, with the sandboxes that run on it.
#[must_use]
pub fn here() -> Host {
    Host::here().with_runs(find)
}

/// The sandbox of the caller's that runs under this name. Others' are not looked for: who made one of the same name
/// would decide what is joined.
///
/// # Errors
/// There is none, or it cannot be had from here.
pub fn find(name: &str) -> Result<Running, NotRunning> {
    let path = folder::path_of_caller().map_err(found::no_folder)?;
    let folders: Vec<_> = Folder::open(&path).into_iter().collect();
    let (live, record, owner) = found::running(name, &folders).map_err(|why| match why.code {
        crate::diag::Code::NoSandbox if folders.iter().all(|own| !called(own, name)) => NotRunning {
            help: format!(
                "start it before, as this user: `sandbox up {name}`, or `sandbox --name {name} -- COMMAND`; `sandbox ps` shows what runs"
            ),
            ..why
        },
        _ => why,
    })?;
    found::own(name, owner)?;
    let held = |kind: &str| {
        let mut all = record.namespaces.iter();
        let one = all.find(|one| one.kind == kind)?;
        Some(Held {
            inode: one.inode,
            descriptor: one.descriptor,
        })
    };
    let init = record.init;
    let gone = || found::not_running(name, "has just ended");
    let users = ranges(init, "uid_map").ok_or_else(gone)?;
    let groups = ranges(init, "gid_map").ok_or_else(gone)?;
    let setgroups = text(init, "setgroups").ok_or_else(gone)? == "allow\n";
    // The pid was init's all the time: it is a child of the supervisor's, which lives.
    if stat(init).map(|stat| stat.parent) != Some(live.pid) || live.ended(Some(Duration::ZERO)) {
        return Err(gone());
    }
    Ok(Running {
        folder: path,
        id: record.id.clone(),
        pid: live.pid,
        user: held("user"),
        net: held("net"),
        users,
        groups,
        setgroups,
        resolvers: record.resolvers.clone(),
    })
}

/// Whether something in a folder begins like this.
fn called(folder: &Folder, name: &str) -> bool {
    let mut entries = folder.entries().into_iter();
    entries.any(|entry| entry.id.starts_with(name))
}

fn text(pid: libc::pid_t, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

/// The lines of an id map, by the first id inside.
fn ranges(pid: libc::pid_t, file: &str) -> Option<Vec<IdRange>> {
    let text = text(pid, file)?;
    let mut ranges = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        ranges.push(IdRange {
            inside: next()?,
            outside: next()?,
            count: next()?,
        });
    }
    ranges.sort_by_key(|range| range.inside);
    Some(ranges)
}

/// Opens the sandbox that was planned with, and its namespaces.
///
/// # Errors
/// It has ended meanwhile, or cannot be had.
pub fn open(
    folder: &Path,
    id: &str,
    namespaces: impl Iterator<Item = (NamespaceKind, Held)>,
) -> Result<(Live, Vec<OwnedFd>), String> {
    let ended = || String::from("it has ended");
    let folder = Folder::open(folder).ok_or_else(ended)?;
    let is_it = |entry: &Entry| entry.id == id;
    let entry = folder.entries().into_iter().find(is_it).ok_or_else(ended)?;
    let opened = Opened::new(&folder, entry).ok_or_else(ended)?;
    let State::Running(live, record) = opened.state() else {
        return Err(ended());
    };
    let mut fds = Vec::new();
    for (kind, held) in namespaces {
        fds.push(descriptor(&record, &live, kind, held)?);
    }
    // All of that was the supervisor's, if it still lives: a process that lives keeps its number.
    match live.ended(Some(Duration::ZERO)) {
        true => Err(ended()),
        false => Ok((live, fds)),
    }
}

fn descriptor(
    record: &Record,
    live: &Live,
    kind: NamespaceKind,
    held: Held,
) -> Result<OwnedFd, String> {
    let mut all = record.namespaces.iter();
    let same = all.find(|one| {
        one.kind == kind.name && one.inode == held.inode && one.descriptor == held.descriptor
    });
    let namespace = same.ok_or("its record has changed")?;
    let (_, fd) = join::open(namespace, live).map_err(|why| why.message)?;
    Ok(fd)
}
