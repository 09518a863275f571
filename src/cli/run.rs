//! `sandbox -- COMMAND`: read, check, plan, execute.

use super::arguments::Run;
use super::{Refused, Session, command_of};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::supervisor;

pub(super) fn run(arguments: &Run, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    let command = command_of(&arguments.command, &profile).ok_or_else(nothing_to_run)?;
    let plan = session.plan(&profile, &command)?;
    match supervisor::execute(&plan, &|step, why| session.without(step, why)) {
        Ok(outcome) => {
            if let Some(line) = outcome.line(&plan, &session.sources) {
                session.say(&line);
            }
            Ok(outcome.exit_code())
        }
        Err(failure) => {
            let mut problems = Diagnostics::default();
            problems.push(failure.diagnostic(&plan));
            Err(Refused {
                problems,
                code: failure.exit_code(&plan),
            })
        }
    }
}

fn nothing_to_run() -> Diagnostic {
    let message = "nothing to run: no command follows `--`, and the profile names none";
    Diagnostic::new(Code::NoCommand, &Origin::CommandLine, message).help(
        "write it after `--`, as in `sandbox -- make`, or as `command` under [process]; `sandbox --help` says what else there is",
    )
}
