//! `sandbox explain`: the very list that a run performs.

use super::arguments::Explain;
use super::{Refused, Session, command_of, output, placeholder};
use crate::plan::explain;

pub(super) fn run(arguments: &Explain, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    let command = command_of(&arguments.command, &profile);
    let command = command.unwrap_or_else(|| placeholder(c"COMMAND"));
    let plan = session.plan(&profile, &command)?;
    output(&explain::text(&plan, &session.sources, arguments.why))?;
    Ok(0)
}
