//! `sandbox -- COMMAND`: read, check, plan, execute.

use super::arguments::Run;
use super::{Refused, Session};
use crate::diag::Diagnostics;
use crate::supervisor;

pub(super) fn run(arguments: &Run, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    let plan = session.plan(&profile, &arguments.command)?;
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
