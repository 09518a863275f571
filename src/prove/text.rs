//! The report for people.

use super::{Proof, Verdict};
use crate::diag::{Sources, printable};
use std::fmt::Write as _;

/// The line about one assertion, written as soon as it is known.
#[must_use]
pub fn line(proof: &Proof<'_>) -> String {
    let word = match proof.verdict {
        Verdict::Holds => "ok    ",
        Verdict::Fails | Verdict::Unproven => "FAILED",
    };
    let happened = super::one_line(&proof.happened);
    format!("{word}  {}: {happened}\n", proof.case.name())
}

/// What is said in the end: about each assertion that does not hold where it stands, why, and what
/// its command wrote; then the sum.
#[must_use]
pub fn end(proofs: &[Proof<'_>], sources: &Sources, color: bool) -> String {
    let mut text = String::from("\n");
    for proof in proofs {
        let Some(diagnostic) = proof.diagnostic() else {
            continue;
        };
        let _ = writeln!(text, "{}\n", diagnostic.render(sources, color));
        if !proof.output.is_empty() {
            let _ = writeln!(text, "its output:");
            for line in printable(&proof.output).lines() {
                let _ = writeln!(text, "    {line}");
            }
            text.push('\n');
        }
    }
    let passed = passed(proofs);
    let _ = writeln!(text, "{passed} passed, {} failed", proofs.len() - passed);
    text
}

/// How many assertions hold.
#[must_use]
pub fn passed(proofs: &[Proof<'_>]) -> usize {
    let holds = |proof: &&Proof<'_>| proof.verdict == Verdict::Holds;
    proofs.iter().filter(holds).count()
}
