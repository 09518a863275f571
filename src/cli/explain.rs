//! `sandbox explain`: the very list that a run performs.

use super::arguments::Explain;
use super::{Refused, Session, output};
use crate::plan::explain;
use std::ffi::OsString;

pub(super) fn run(arguments: &Explain, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    let placeholder = [OsString::from("COMMAND")];
    let command = if arguments.command.is_empty() {
        &placeholder[..]
    } else {
        &arguments.command[..]
    };
    let plan = session.plan(&profile, command)?;
    output(&explain::text(&plan, &session.sources, arguments.why))?;
    Ok(0)
}
