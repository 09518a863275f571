//! `sandbox doctor`: what this machine offers, and whether a profile can run on it.
//!
//! The list explains; the verdict is a trial: the plan is performed as a run performs it, up to the
//! command, in place of which there is nothing that could be executed.

use super::arguments::{Doctor, Form};
use super::{Refused, Session, command_of, output, output_json, placeholder};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin, Sources, printable};
use crate::exit;
use crate::host::probe::{self, Finding, Mechanism};
use crate::plan::{Op, Plan};
use crate::profile::find;
use crate::profile::overlay::Overlay;
use crate::running::joined;
use crate::sections::{self, Profile};
use crate::supervisor;
use serde::Serialize;
use std::fmt::Write as _;

/// What is found out.
#[derive(Serialize)]
struct Report {
    /// The profile in question.
    profile: String,
    /// Whether it can run here.
    can_run: bool,
    mechanisms: Vec<Line>,
    /// Why it cannot: what a run would say.
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Line {
    mechanism: &'static str,
    /// `ok`, `limited`, `blocked`, `missing` or `unused`.
    state: &'static str,
    detail: String,
    remedy: Option<String>,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: String,
    place: Option<String>,
    help: Option<String>,
}

pub(super) fn run(arguments: &Doctor, session: &mut Session) -> Result<u8, Refused> {
    let host = joined::here().with_terminal(None);
    let selection = &arguments.selection;
    let named = selection.profile.as_deref();
    let (profile, name) = match named {
        Some(name) => (session.profile(selection)?, name.to_owned()),
        None => default(session, &selection.settings.0)?,
    };
    let command = command_of(&arguments.command, &profile, &host)?;
    let command = command.unwrap_or_else(|| placeholder(c"true"));
    let drafted = sections::draft(&profile, &host, &command);
    let needs = drafted.needs();
    let asked = |mechanism: &&Mechanism| named.is_none() || needs.contains(*mechanism);
    let findings: Vec<Finding> = Mechanism::ALL
        .iter()
        .filter(asked)
        .map(|mechanism| probe::examine(*mechanism, &host))
        .collect();
    // Last, since the supervisor blocks signals for good.
    let held = session
        .hold(&profile, &host)
        .map_err(|refused| refused.problems);
    let problems = held
        .and_then(|()| drafted.whole())
        .and_then(|plan| {
            let again = || sections::build(&profile, &host, &command);
            let prepared = session.prepared(plan, again);
            prepared.map_err(|refused| refused.problems)
        })
        .and_then(|plan| trial(plan, session));
    let problems = problems.err().unwrap_or_default();
    let can_run = problems.is_empty();
    match arguments.output.format {
        Form::Text => {
            output(&text(&findings, &name, can_run))?;
            if !can_run {
                return Err(problems.into());
            }
        }
        Form::Json => output_json(&Report {
            profile: name,
            can_run,
            mechanisms: findings.into_iter().map(line).collect(),
            problems: listed(problems, &session.sources),
        })?,
    }
    Ok(if can_run { 0 } else { exit::SET_UP_FAILED })
}

/// The profile that everybody has.
fn default(session: &mut Session, overlay: &Overlay) -> Result<(Profile, String), Refused> {
    let source = find::default();
    let name = source.name().to_owned();
    let id = session.sources.add(source);
    let variables = super::variables()?;
    let (profile, _) = sections::load(&mut session.sources, id, &variables, overlay)?;
    Ok((profile, name))
}

/// Performs a plan up to the command.
fn trial(mut plan: Plan, session: &Session) -> Result<(), Diagnostics> {
    for step in &mut plan.steps {
        if let Op::Exec { candidates, .. } = &mut step.op {
            // The root is a directory whatever it holds, and no directory can be executed.
            *candidates = vec![c"/".to_owned()];
        }
    }
    if let Some((blocker, remedy)) = probe::deadly() {
        let mut problems = Diagnostics::default();
        problems.push(Diagnostic::new(Code::NotHere, &Origin::CommandLine, blocker).help(remedy));
        return Err(problems);
    }
    match supervisor::execute(&plan, &|step, why| session.without(step, why)) {
        Err(failure) if failure.exit_code(&plan) == exit::SET_UP_FAILED => {
            let mut problems = Diagnostics::default();
            problems.push(failure.diagnostic(&plan));
            Err(problems)
        }
        // It got as far as to the command.
        _ => Ok(()),
    }
}

fn line(finding: Finding) -> Line {
    Line {
        mechanism: finding.mechanism.name(),
        state: finding.state.word(),
        detail: finding.detail,
        remedy: finding.remedy,
    }
}

fn listed(problems: Diagnostics, sources: &Sources) -> Vec<Problem> {
    let problem = |problem: Diagnostic| Problem {
        code: problem.code.as_str(),
        message: problem.message,
        place: problem
            .labels
            .first()
            .map(|label| label.origin.display(sources).to_string()),
        help: problem.help,
    };
    problems.sorted().into_iter().map(problem).collect()
}

fn text(findings: &[Finding], profile: &str, can_run: bool) -> String {
    let mut out = String::new();
    for finding in findings {
        let (state, name) = (finding.state.word(), finding.mechanism.name());
        let _ = writeln!(
            out,
            "{state:<8} {name:<17} {}",
            printable(&finding.detail).replace('\n', " ")
        );
        let remedy = finding.remedy.iter().flat_map(|remedy| remedy.lines());
        for (number, line) in remedy.enumerate() {
            // Further lines are commands to be copied, a here-document among them.
            let mark = if number == 0 { "         help: " } else { "" };
            let _ = writeln!(out, "{mark}{}", printable(line));
        }
    }
    let verdict = if can_run { "can" } else { "cannot" };
    let _ = writeln!(
        out,
        "\nthe profile {} {verdict} run here",
        printable(profile)
    );
    out
}
