//! The report for programs. The form is versioned: a key is added without a new version, and never
//! removed or given another meaning.

use super::{Proof, Verdict, place, text};
use crate::diag::Sources;
use nix::errno::Errno;
use serde::Serialize;

/// The version of the form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report {
    version: u32,
    passed: usize,
    failed: usize,
    assertions: Vec<Assertion>,
}

#[derive(Serialize)]
struct Assertion {
    /// The name of its test.
    test: String,
    /// Its key and value in the profile.
    key: &'static str,
    value: String,
    /// Where it stands.
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    /// `passed`, `failed` or `unproven`.
    outcome: &'static str,
    /// The diagnostic's code, if it does not hold.
    code: Option<&'static str>,
    happened: String,
    /// The kernel's name for the refusal.
    errno: Option<String>,
    help: Option<String>,
    seconds: f64,
    /// The end of what a command wrote.
    output: Option<String>,
}

/// The report as JSON.
#[must_use]
pub fn report(proofs: &[Proof<'_>], sources: &Sources) -> String {
    let passed = text::passed(proofs);
    let report = Report {
        version: VERSION,
        passed,
        failed: proofs.len() - passed,
        assertions: proofs
            .iter()
            .map(|proof| assertion(proof, sources))
            .collect(),
    };
    // Strings and numbers only: nothing in it can fail.
    let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push('\n');
    text
}

fn assertion(proof: &Proof<'_>, sources: &Sources) -> Assertion {
    let asserted = proof.case.assertion;
    let place = place(&asserted.origin, sources);
    let diagnostic = proof.diagnostic();
    Assertion {
        test: proof.case.test.name.value.clone(),
        key: asserted.key,
        value: asserted.text.clone(),
        line: place.as_ref().map(|(_, line, _)| *line),
        column: place.as_ref().map(|(.., column)| *column),
        file: place.map(|(file, ..)| file),
        outcome: match proof.verdict {
            Verdict::Holds => "passed",
            Verdict::Fails => "failed",
            Verdict::Unproven => "unproven",
        },
        code: diagnostic
            .as_ref()
            .map(|diagnostic| diagnostic.code.as_str()),
        happened: proof.happened.clone(),
        errno: proof
            .errno
            .map(|errno| format!("{:?}", Errno::from_raw(errno))),
        help: diagnostic.and_then(|diagnostic| diagnostic.help),
        seconds: proof.took.as_secs_f64(),
        output: Some(proof.output.clone()).filter(|output| !output.is_empty()),
    }
}
