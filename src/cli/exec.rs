//! `sandbox exec`: a command in a sandbox that runs, under the confinement of its first command.

use super::arguments::Exec;
use super::{Refused, Session, c_string, found, output, pause};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::plan::explain;
use crate::running::join;
use crate::supervisor;

pub(super) fn run(arguments: &Exec, session: &mut Session) -> Result<u8, Refused> {
    let (live, record, owner) = found::running(&arguments.name)?;
    found::own(&arguments.name, owner)?;
    if !arguments.explain && pause::is_paused(&live, &record, owner) {
        return Err(found::out_of_reach(
            format!("{} is paused", arguments.name),
            format!("let it go on first: `sandbox resume {}`", arguments.name),
        ));
    }
    let command: Vec<_> = arguments.command.iter().cloned().map(c_string).collect();
    let terminal = (arguments.tty || arguments.no_tty).then_some(arguments.tty);
    let joining = join::plan(&record, &live, terminal, &command).map_err(|why| {
        Diagnostic::new(Code::OutOfReach, &Origin::CommandLine, why.message).help(why.help)
    })?;
    let plan = &joining.plan;
    if arguments.explain {
        output(&explain::text(plan, &session.sources, false))?;
        return Ok(0);
    }
    let session = &*session;
    match supervisor::execute(plan, &|step, why| session.without(step, why)) {
        Ok(outcome) => {
            if let Some(line) = outcome.line(plan, &session.sources) {
                session.say(&line);
            }
            Ok(outcome.exit_code())
        }
        Err(failure) => {
            let mut problems = Diagnostics::default();
            problems.push(failure.diagnostic(plan));
            Err(Refused {
                problems,
                code: failure.exit_code(plan),
            })
        }
    }
}
