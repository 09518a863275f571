//! `sandbox why`: answers a question about a profile, without a run.

use super::arguments::{Selection, Why};
use super::{Refused, Session, output, output_json, placeholder, variables};
use crate::diag::{Code, Diagnostic, Origin, Sources};
use crate::running::joined;
use crate::sections;
use crate::why::{Answer, Question, WORDS};
use serde::Serialize;

/// The exit code if the answer is no.
const DENIED: u8 = 1;

pub(super) fn run(arguments: &Why, session: &mut Session) -> Result<u8, Refused> {
    let (profile, word, text) = match &arguments.words[..] {
        [word, text] => (arguments.profile.clone(), word, text),
        [profile, word, text] if arguments.profile.is_none() => (Some(profile.clone()), word, text),
        _ => return Err(incomplete().into()),
    };
    let question = Question::parse(word, text, &variables()?)?;
    let profile = session.profile(&Selection {
        profile,
        settings: arguments.settings.clone(),
    })?;
    let host = joined::here();
    session.hold(&profile, &host)?;
    let command = profile.process.command();
    let command = command.unwrap_or_else(|| placeholder(c"true"));
    let plan = sections::build(&profile, &host, &command)?;
    if let Some(step) = plan.steps.first().filter(|_| plan.is_preparation()) {
        let message = "the root is not unpacked yet, so that nobody knows what is in it";
        return Err(Diagnostic::new(Code::NotHere, &step.origin, message)
            .help("unpack it: sandbox images unpack --profile PROFILE")
            .into());
    }
    let answer = question.answer(&profile, &plan, &host);
    let sources = &session.sources;
    if arguments.json {
        output_json(&report(&question, &answer, sources))?;
    } else {
        output(&words(&question, &answer, sources))?;
    }
    Ok(if answer.allowed { 0 } else { DENIED })
}

fn incomplete() -> Diagnostic {
    let samples: Vec<_> = WORDS
        .iter()
        .map(|(word, sample)| format!("{word} {sample}"))
        .collect();
    let message = "it takes a question of two words, and at most a profile in front of them";
    Diagnostic::new(Code::WrongValue, &Origin::CommandLine, message).help(format!(
        "for example: sandbox why build {}",
        samples.join("; ")
    ))
}

fn words(question: &Question, answer: &Answer, sources: &Sources) -> String {
    let verdict = if answer.allowed { "allowed" } else { "denied" };
    let Question { word, text, .. } = question;
    let mut out = format!("{verdict}: {word} {text}: {}\n", answer.reason);
    let place = match answer.origin.region(sources) {
        Some((source, region)) => format!(
            "{}:{}:{}",
            source.name(),
            region.start.line,
            region.start.column
        ),
        None => answer.origin.display(sources).to_string(),
    };
    out.push_str(&format!("  decided by: {place}\n"));
    if let Some(remedy) = &answer.remedy {
        out.push_str(&format!("  to allow it: {remedy}\n"));
    }
    crate::diag::printable(&out).into_owned()
}

/// An answer as data.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    question: &'a str,
    about: &'a str,
    allowed: bool,
    reason: &'a str,
    /// Where the deciding line is in a file; else `decided_by` names a default, or the command line.
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    decided_by: String,
    remedy: Option<&'a str>,
}

fn report<'a>(question: &'a Question, answer: &'a Answer, sources: &'a Sources) -> Report<'a> {
    let region = answer.origin.region(sources);
    Report {
        version: 1,
        question: question.word,
        about: &question.text,
        allowed: answer.allowed,
        reason: &answer.reason,
        file: region.as_ref().map(|(source, _)| source.name()),
        line: region.as_ref().map(|(_, region)| region.start.line),
        column: region.as_ref().map(|(_, region)| region.start.column),
        decided_by: answer.origin.display(sources).to_string(),
        remedy: answer.remedy.as_deref(),
    }
}
