//! `sandbox explain`: the very list that a run performs.

use super::arguments::Explain;
use super::{Refused, Session, command_of, output, placeholder};
use crate::plan::{Op, bpf, explain};
use crate::running::joined;

pub(super) fn run(arguments: &Explain, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let profile = session.profile(&arguments.selection)?;
    let host = joined::here();
    let command = command_of(&arguments.command, &profile, &host)?;
    let command = command.unwrap_or_else(|| placeholder(c"COMMAND"));
    session.hold(&profile, &host)?;
    let plan = session.build(&profile, &host, &command)?;
    let plan = Session::traced(plan, &profile, arguments.explain_denials)?;
    if arguments.seccomp {
        output(&profile.seccomp.words(&profile))?;
        return Ok(0);
    }
    if arguments.bpf {
        let told = plan.steps.iter().find_map(|step| match &step.op {
            Op::TellRefusals { first, second } => Some((first, second.as_ref())),
            _ => None,
        });
        let alone = plan.steps.iter().find_map(|step| match &step.op {
            Op::SetFilter(program) => Some((program, None)),
            _ => None,
        });
        let programs = told.or(alone).into_iter();
        let programs = programs.flat_map(|(first, second)| std::iter::once(first).chain(second));
        let added = plan.steps.iter().filter_map(|step| match &step.op {
            Op::AddFilter { program, .. } => Some(program),
            _ => None,
        });
        let texts: Vec<_> = programs
            .chain(added)
            .map(|program| bpf::text(program))
            .collect();
        output(&texts.join("\n"))?;
        return Ok(0);
    }
    output(&explain::text(&plan, &session.sources, arguments.why))?;
    Ok(0)
}
