//! `sandbox check`: everything that is wrong with profiles, in one run.

use super::arguments::{Check, Deny, Format};
use super::{Refused, Session, not_found, output, variables};
use crate::diag::{Checked, Counts, Diagnostics, Severity, github, json, sarif};
use crate::exit;
use crate::host::Host;
use crate::profile::find::FindError;
use crate::profile::variables::Variables;
use crate::running::joined;
use crate::sections::{self, Profile};

pub(super) fn run(arguments: &Check, session: &mut Session) -> Result<u8, Refused> {
    let variables = variables()?;
    let names: Vec<_> = match &arguments.profiles[..] {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let checked: Vec<_> = names
        .into_iter()
        .map(|name| check(name, arguments, &variables, session))
        .collect();
    let counts = Counts::of(&checked);
    let denied = counts.at_least(match arguments.deny {
        None => Severity::Error,
        Some(Deny::Warnings) => Severity::Warning,
        Some(Deny::Notes) => Severity::Note,
    });
    match arguments.format {
        Format::Text => text(&checked, counts, arguments.deny, session),
        Format::Json => output(&json::render(&checked, &session.sources))?,
        Format::Sarif => output(&sarif::render(&checked, &session.sources))?,
        Format::Github => output(&github::render(&checked, &session.sources))?,
    }
    Ok(if denied > 0 { exit::SET_UP_FAILED } else { 0 })
}

/// What is to be said of one profile.
fn check(
    name: Option<&str>,
    arguments: &Check,
    variables: &Variables,
    session: &mut Session,
) -> Checked {
    let id = match session.read(name, variables) {
        Ok(id) => id,
        Err(error) => {
            let file = match &error {
                FindError::Read(error) => Some(error.path().to_owned()),
                _ => None,
            };
            return Checked {
                profile: name.map(Into::into).or(file.clone()).unwrap_or_default(),
                file,
                problems: vec![not_found(&error)],
                omitted: 0,
            };
        }
    };
    let problems = match sections::load(&mut session.sources, id, variables, &arguments.settings.0)
    {
        Ok((profile, mut problems)) => {
            if arguments.host {
                problems.extend(against(&joined::here(), &profile));
            }
            problems
        }
        Err(problems) => problems,
    };
    let file = session.sources.get(id).map(|s| s.name().to_owned());
    Checked {
        profile: name.map(Into::into).or(file.clone()).unwrap_or_default(),
        file,
        omitted: problems.omitted(),
        problems: problems.sorted(),
    }
}

/// What this machine has against a profile: the problems of planning it, with its own command, if
/// it has one. What the defaults come to here is left to `explain`: nobody wrote a line that could be mended.
fn against(host: &Host, profile: &Profile) -> Diagnostics {
    let command = profile.process.command().unwrap_or_default();
    let plan = match sections::build(profile, host, &command) {
        Ok(plan) => plan,
        Err(problems) => return problems,
    };
    let mut problems = Diagnostics::default();
    let notes = plan.notes.iter();
    for note in notes.filter(|note| note.is_weaker() || !note.origin.is_default()) {
        problems.push(note.diagnostic());
    }
    problems
}

/// For people: the sentences, and how many there were.
fn text(checked: &[Checked], counts: Counts, deny: Option<Deny>, session: &Session) {
    for one in checked {
        session.print(&one.problems);
    }
    let denied = match deny {
        Some(Deny::Warnings) if counts.warnings > 0 => "; warnings are denied",
        Some(Deny::Notes) if counts.warnings + counts.notes > 0 => {
            "; warnings and notes are denied"
        }
        _ => "",
    };
    if counts.at_least(Severity::Note) > 1 || !denied.is_empty() {
        session.say(&format!("{counts}{denied}"));
    }
}
