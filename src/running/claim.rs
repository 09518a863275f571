//! Keeping the record of a run: made and locked before anything else of the run, written before the
//! command starts, and gone in the end, or kept with what it has to say.

use super::folder::{Entry, Folder};
use super::live;
use super::record::{Ended, Namespace, Record, line, now};
use crate::host::cgroup::Groups;
use crate::sys::descriptor;
use rustix::fs::{Mode, OFlags};
use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

/// The record of a run of this process. Dropped, it is removed, unless the run has ended and it is to
/// be kept.
pub struct Recording {
    record: Record,
    /// Whether it stays when the run has ended.
    kept: bool,
    claim: Option<Claim>,
    /// The caller's standard error, once a run that is detached writes to its log.
    caller: Rc<Cell<Option<OwnedFd>>>,
}

#[derive(Debug)]
struct Claim {
    folder: Folder,
    entry: Entry,
    /// Locked: nothing else of this process may open and close the same file, or the lock is gone
    /// (fcntl(2)).
    file: File,
}

impl Recording {
    /// A record to be: what is known before anything runs.
    #[must_use]
    pub fn new(record: Record, kept: bool) -> Self {
        Self {
            record,
            kept,
            claim: None,
            caller: Rc::default(),
        }
    }

    /// Where the caller's standard error is put aside, once this process writes to its log files.
    #[must_use]
    pub fn caller(&self) -> Rc<Cell<Option<OwnedFd>>> {
        Rc::clone(&self.caller)
    }

    /// From here on, the standard output and the standard error of this process are log files, and there
    /// is nothing on its standard input.
    fn write_logs(&self, claim: &Claim) -> Result<(), String> {
        let refused = |why: &dyn std::fmt::Display| {
            format!("no log in {}: {why}", claim.folder.path().display())
        };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
        let open = |stream: &str| {
            let name = log_name(&claim.entry.id, stream);
            rustix::fs::openat(claim.folder.fd(), name, flags, Mode::RUSR | Mode::WUSR)
        };
        let [out, err] = STREAMS.map(open);
        let (out, err) = (out.map_err(|e| refused(&e))?, err.map_err(|e| refused(&e))?);
        let nothing = File::open("/dev/null").map_err(|e| refused(&e))?;
        let caller = descriptor::duplicate(2).map_err(|e| refused(&e))?;
        nix::unistd::dup2_stdin(nothing).map_err(|e| refused(&e))?;
        nix::unistd::dup2_stdout(out).map_err(|e| refused(&e))?;
        nix::unistd::dup2_stderr(err).map_err(|e| refused(&e))?;
        self.caller.set(Some(caller));
        Ok(())
    }

    /// What is known.
    pub fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Makes the file and locks it. Records whose supervisors were killed are swept first.
    ///
    /// # Errors
    /// Another run has the name, or the file cannot be made.
    pub fn claim(&mut self, path: &Path) -> Result<(), String> {
        let folder = Folder::make(path)?;
        let entry = Entry {
            id: self.record.id.clone(),
            name: self.record.name.clone(),
            ended: false,
        };
        let turn = folder.turn()?;
        sweep_in_turn(&folder);
        let same = |other: &Entry| other.name.is_some() && other.name == entry.name;
        if let Some(other) = folder.entries().into_iter().find(same) {
            let state = if other.ended { "has ended" } else { "runs" };
            return Err(format!(
                "the name {} is taken by {}, which {state}",
                entry.called(),
                other.id
            ));
        }
        let file = entry.file();
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::APPEND
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let made = rustix::fs::openat(folder.fd(), &file, flags, mode);
        let made: File = made
            .map_err(|why| format!("cannot make {}/{file}: {why}", path.display()))?
            .into();
        if let Err(errno) = live::take(&made) {
            let _ = folder.remove(&file);
            return Err(format!(
                "cannot lock {}/{file}: {}",
                path.display(),
                errno.desc()
            ));
        }
        drop(turn);
        let claim = Claim {
            folder,
            entry,
            file: made,
        };
        let logs = match self.record.detached {
            true => self.write_logs(&claim),
            false => Ok(()),
        };
        self.claim = Some(claim);
        logs
    }

    /// Writes what the run is, now that its namespaces are there.
    ///
    /// # Errors
    /// Not all could be written.
    pub fn write(
        &mut self,
        init: libc::pid_t,
        namespaces: Vec<Namespace>,
        inner: Option<Namespace>,
        groups: Groups,
    ) -> Result<(), String> {
        self.record.init = init;
        self.record.namespaces = namespaces;
        self.record.inner = inner;
        self.record.groups = groups;
        let Some(claim) = &mut self.claim else {
            return Err("it was not made".into());
        };
        let written = claim.file.write_all(line(&self.record).as_bytes());
        written.map_err(|why| format!("{}: {why}", claim.folder.path().display()))
    }

    /// Says how the run has ended, for those that wait for it.
    pub fn ended(mut self, code: u8, outcome: &str) {
        let ended = Ended {
            code,
            outcome: outcome.into(),
            at: now(),
        };
        let Some(mut claim) = self.claim.take() else {
            return;
        };
        // Who waits has the file open, and reads this also where the name is gone.
        let told = claim.file.write_all(line(&ended).as_bytes());
        if !self.kept || told.is_err() || !claim.keep() {
            claim.remove();
        }
    }
}

impl Claim {
    /// Gives the file the name of a run that has ended; whether it has it.
    fn keep(&self) -> bool {
        let ended = Entry {
            ended: true,
            ..self.entry.clone()
        };
        let Ok(_turn) = self.folder.turn() else {
            return false;
        };
        let (fd, from, to) = (self.folder.fd(), self.entry.file(), ended.file());
        rustix::fs::renameat(fd, from, fd, to).is_ok()
    }

    fn remove(&self) {
        remove(&self.folder, &self.entry);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.remove();
        }
    }
}

/// The name of the log file of a stream.
#[must_use]
pub fn log_name(id: &str, stream: &str) -> String {
    format!("{id}.{stream}")
}

/// The streams that have log files.
pub const STREAMS: [&str; 2] = ["out", "err"];

/// Removes a record with its logs; whether it is gone.
#[must_use]
pub fn remove_entry(folder: &Folder, entry: &Entry) -> bool {
    let Ok(_turn) = folder.turn() else {
        return false;
    };
    remove(folder, entry)
}

fn remove(folder: &Folder, entry: &Entry) -> bool {
    for stream in STREAMS {
        let _ = folder.remove(&log_name(&entry.id, stream));
    }
    folder.remove(&entry.file()).is_ok()
}

/// Removes the records of runs whose supervisors were killed; those that were removed.
#[must_use]
pub fn sweep(folder: &Folder) -> Vec<Entry> {
    match folder.turn() {
        Ok(_turn) => sweep_in_turn(folder),
        Err(_) => Vec::new(),
    }
}

/// In turn, a record that nobody holds is of nobody who is about to lock it.
fn sweep_in_turn(folder: &Folder) -> Vec<Entry> {
    let mut dead = folder.entries();
    dead.retain(|entry| {
        let file = folder.file(entry.file()).filter(|_| !entry.ended);
        file.is_some_and(|file| live::locked_by(&file).is_none()) && remove(folder, entry)
    });
    dead
}
