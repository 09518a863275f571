//! The run that a name means.

use super::folder::{self, NoFolder};
use super::live::{Opened, State};
use super::{Entry, Folder, Live, Record};
use crate::diag::Code;
use crate::host::runs::NotRunning;
use std::time::Duration;

/// How long a run that is being set up is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folders that the caller may look into.
///
/// # Errors
/// As for [`folder::path_of_caller`].
pub fn folders() -> Result<Vec<Folder>, NotRunning> {
    folder::all_of_caller().map_err(no_folder)
}

/// The sentence about a folder that cannot be had.
#[must_use]
pub fn no_folder(why: NoFolder) -> NotRunning {
    NotRunning {
        code: Code::NoRecords,
        message: why.message,
        help: why.help.into(),
    }
}

/// The run of this name, or of the id that begins so.
///
/// # Errors
/// There is none, or several may be meant.
pub fn find<'f>(name: &str, folders: &'f [Folder]) -> Result<(&'f Folder, Entry), NotRunning> {
    let all = || {
        folders.iter().flat_map(|folder| {
            folder
                .entries()
                .into_iter()
                .map(move |entry| (folder, entry))
        })
    };
    let named: Vec<_> = all()
        .filter(|(_, entry)| entry.name.as_deref() == Some(name))
        .collect();
    let is_name = !named.is_empty();
    let found = match is_name {
        true => named,
        false => all()
            .filter(|(_, entry)| !name.is_empty() && entry.id.starts_with(name))
            .collect(),
    };
    let several: Vec<_> = found.iter().map(|(_, entry)| entry.id.clone()).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let message = format!("no sandbox is called `{name}`");
            let help = "`sandbox ps --all` shows those that are; a run is called NAME by `sandbox --name NAME -- …`";
            Err(NotRunning {
                code: Code::NoSandbox,
                message,
                help: help.into(),
            })
        }
        (Some(_), Some(_)) => Err(NotRunning {
            code: Code::NoSandbox,
            message: format!("`{name}` may be any of {}", several.join(", ")),
            help: match is_name {
                true => "they are of several users: write the id, as `sandbox ps` shows it",
                false => "write more of the id",
            }
            .into(),
        }),
    }
}

/// The record of the run of this name, opened. One that ends meanwhile gets another name, or is gone.
///
/// # Errors
/// There is none, or several may be meant.
pub fn open(name: &str, folders: &[Folder]) -> Result<Opened, NotRunning> {
    /// A run ends once.
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        let (folder, entry) = find(name, folders)?;
        let is_ended = entry.ended;
        match Opened::new(folder, entry) {
            Some(opened) => return Ok(opened),
            None if is_ended => break,
            None => {}
        }
    }
    Err(not_running(name, "has no record that can be read"))
}

/// What is known of the run of this name, once it is more than starting.
///
/// # Errors
/// As for [`open`].
pub fn state(name: &str, folders: &[Folder]) -> Result<(Entry, u32, State), NotRunning> {
    let opened = open(name, folders)?;
    let state = opened.started(PATIENCE);
    Ok((opened.entry, opened.owner, state))
}

/// The run of this name, which has to run.
///
/// # Errors
/// It does not, or there is none.
pub fn running(name: &str, folders: &[Folder]) -> Result<(Live, Box<Record>, u32), NotRunning> {
    let (_, owner, state) = state(name, folders)?;
    match state {
        State::Running(live, record) => Ok((live, record, owner)),
        State::Starting(_) => Err(out_of_reach(
            format!("{name} is still being set up"),
            "try again; if it stays so, see what its supervisor waits for",
        )),
        State::Unknown(_) => Err(out_of_reach(
            format!("the record of {name} was written by another version of sandbox"),
            format!("use the one that has started it; `sandbox kill {name}` ends it all the same"),
        )),
        State::Elsewhere => Err(out_of_reach(
            format!("the supervisor of {name} is in another pid namespace"),
            "do this in the container, or wherever it was started",
        )),
        State::Ended(_) => Err(not_running(name, "has ended")),
        State::Lost => Err(not_running(name, "has ended: its supervisor was killed")),
    }
}

/// Refuses what is done with what another user's record says.
///
/// # Errors
/// It is another user's.
pub fn own(name: &str, owner: u32) -> Result<(), NotRunning> {
    let me = rustix::process::geteuid().as_raw();
    if owner == me {
        return Ok(());
    }
    Err(out_of_reach(
        format!(
            "{name} is of uid {owner}, and what its record says would be done with the rights of uid {me}"
        ),
        "do it as that user: `runuser -u USER -- sandbox …`",
    ))
}

/// The sentence about a run that does not run.
#[must_use]
pub fn not_running(name: &str, how: &str) -> NotRunning {
    let message = format!("{name} {how}");
    let help = "`sandbox ps` shows those that run; `sandbox rm` forgets one that has ended, `sandbox gc` those that were killed";
    NotRunning {
        code: Code::NotRunning,
        message,
        help: help.into(),
    }
}

/// The sentence about a run that cannot be had from here.
#[must_use]
pub fn out_of_reach(message: impl Into<String>, help: impl Into<String>) -> NotRunning {
    NotRunning {
        code: Code::OutOfReach,
        message: message.into(),
        help: help.into(),
    }
}
