//! The run that a name on the command line means.

use super::Refused;
use crate::diag::{Diagnostic, Origin};
use crate::host::runs::NotRunning;
use crate::running::folder::NoFolder;
use crate::running::live::{Opened, State};
use crate::running::{Entry, Folder, Live, Record, found};

impl From<NotRunning> for Refused {
    fn from(why: NotRunning) -> Self {
        Diagnostic::new(why.code, &Origin::CommandLine, why.message)
            .help(why.help)
            .into()
    }
}

/// The folders that the caller may look into.
pub(super) fn folders() -> Result<Vec<Folder>, Refused> {
    Ok(found::folders()?)
}

/// The sentence about a folder that cannot be had.
pub(super) fn no_folder(why: NoFolder) -> Refused {
    found::no_folder(why).into()
}

/// The run of this name, or of the id that begins so.
pub(super) fn find<'f>(name: &str, folders: &'f [Folder]) -> Result<(&'f Folder, Entry), Refused> {
    Ok(found::find(name, folders)?)
}

/// The record of the run of this name, opened. One that ends meanwhile gets another name, or is gone.
pub(super) fn open(name: &str) -> Result<Opened, Refused> {
    Ok(found::open(name, &folders()?)?)
}

/// What is known of the run of this name, once it is more than starting.
pub(super) fn state(name: &str) -> Result<(Entry, u32, State), Refused> {
    Ok(found::state(name, &folders()?)?)
}

/// The run of this name, which has to run.
pub(super) fn running(name: &str) -> Result<(Live, Box<Record>, u32), Refused> {
    Ok(found::running(name, &folders()?)?)
}

/// Refuses what is done with what another user's record says.
pub(super) fn own(name: &str, owner: u32) -> Result<(), Refused> {
    Ok(found::own(name, owner)?)
}

pub(super) fn not_running(name: &str, how: &str) -> Refused {
    found::not_running(name, how).into()
}

pub(super) fn out_of_reach(message: impl Into<String>, help: impl Into<String>) -> Refused {
    found::out_of_reach(message, help).into()
}
