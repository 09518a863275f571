//! `sandbox test`: proves what the profile asserts, by trying it inside.

use super::arguments::{Selection, Test, TestFormat};
use super::{Refused, Session, output};
use crate::diag::{Code, Diagnostic, Origin};
use crate::plan::explain;
use crate::prove::{self, Case, Prover, Stopped, json, junit, text};
use crate::running::joined;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;

/// The exit code if an assertion does not hold.
const FAILED: u8 = 1;

pub(super) fn run(arguments: &Test, session: &mut Session) -> Result<u8, Refused> {
    let profile = session.profile(&Selection {
        profile: arguments.profile.clone(),
        settings: arguments.settings.clone(),
    })?;
    session.hold(&profile, &joined::here())?;
    let cases = prove::cases(&profile, arguments.filter.as_deref());
    if cases.is_empty() {
        return Err(nothing_to_do(arguments).into());
    }
    // Every run says the same; once is enough.
    let said = RefCell::new(BTreeSet::new());
    let say = |origin: &Origin, what: &str| {
        let line = format!(
            "not enforced: {what} ({})",
            origin.display(&session.sources)
        );
        if said.borrow_mut().insert(line.clone()) {
            session.say(&line);
        }
    };
    if !arguments.explain {
        session.unpack(&profile)?;
    }
    let prover = Prover::new(&profile, &say);
    if arguments.explain {
        return explained(&prover, &cases, session);
    }
    let mut proofs = Vec::new();
    for case in cases {
        let proof = match prover.prove(case) {
            Ok(proof) => proof,
            Err(Stopped::Refused(problems)) => return Err(problems.into()),
            Err(Stopped::Interrupted(signal)) => {
                session.say(&format!("interrupted by signal {signal}"));
                return Ok(u8::try_from(128 + signal).unwrap_or(u8::MAX));
            }
        };
        if arguments.format == TestFormat::Text {
            output(&text::line(&proof))?;
        }
        proofs.push(proof);
    }
    let sources = &session.sources;
    output(&match arguments.format {
        TestFormat::Text => text::end(&proofs, sources, std::io::stdout().is_terminal()),
        TestFormat::Json => json::report(&proofs, sources),
        TestFormat::Junit => junit::report(&proofs, sources).map_err(|cause| {
            let message = format!("the report cannot be written as XML: {cause}");
            Diagnostic::new(Code::Output, &Origin::CommandLine, message)
                .help("use another format: --format json")
        })?,
    })?;
    let all = text::passed(&proofs) == proofs.len();
    Ok(if all { 0 } else { FAILED })
}

fn explained(prover: &Prover<'_>, cases: &[Case<'_>], session: &Session) -> Result<u8, Refused> {
    for case in cases {
        for plan in prover.plans(*case)? {
            output(&format!("{}\n\n", case.name()))?;
            output(&explain::text(&plan, &session.sources, false))?;
        }
    }
    Ok(0)
}

/// A run that tests nothing must not look like one that found nothing wrong.
fn nothing_to_do(arguments: &Test) -> Diagnostic {
    let (message, help) = match &arguments.filter {
        None => (
            "the profile asserts nothing that could be tested".to_owned(),
            "add a [[test]], for example with: cannot_write = [\"/usr\"]",
        ),
        Some(word) => (
            format!("no assertion of the profile has `{word}` in its name"),
            "run without --filter to see the names",
        ),
    };
    Diagnostic::new(Code::NoTest, &Origin::CommandLine, message).help(help)
}
