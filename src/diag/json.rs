//! Diagnostics as a JSON document of our own, for programs. `docs/diagnostics.md` describes it;
//! what it says of version 1 stays true, and keys may be added.

use super::{Checked, Counts, Diagnostic, Origin, Sources};
use serde_json::{Value, json};

/// The version of the document.
const VERSION: u32 = 1;

/// The document.
#[must_use]
pub fn render(checked: &[Checked], sources: &Sources) -> String {
    let counts = Counts::of(checked);
    let diagnostics: Vec<_> = checked
        .iter()
        .flat_map(|one| one.problems.iter().map(|p| diagnostic(p, one, sources)))
        .collect();
    let document = json!({
        "version": VERSION,
        "summary": {
            "profiles": counts.profiles,
            "errors": counts.errors,
            "warnings": counts.warnings,
            "notes": counts.notes,
            "omitted": counts.omitted,
        },
        "diagnostics": diagnostics,
    });
    format!("{document:#}\n")
}

fn diagnostic(problem: &Diagnostic, checked: &Checked, sources: &Sources) -> Value {
    let first = problem.labels.first();
    let related: Vec<_> = problem
        .labels
        .iter()
        .skip(1)
        .map(|label| {
            json!({
                "message": label.text,
                "location": location(&label.origin, None, sources),
            })
        })
        .collect();
    json!({
        "profile": checked.profile,
        "code": problem.code.as_str(),
        "severity": problem.code.severity().word(),
        "message": problem.message,
        "label": first.map(|l| l.text.as_str()).filter(|text| !text.is_empty()),
        "help": problem.help,
        "location": first.map(|l| location(&l.origin, checked.file.as_deref(), sources)),
        "related": related,
    })
}

/// A place. Where it is no line of a profile, the profile as a whole is meant.
fn location(origin: &Origin, profile: Option<&str>, sources: &Sources) -> Value {
    let region = origin.region(sources);
    let (start, end) = match &region {
        Some((_, region)) => (Some(region.start), Some(region.end)),
        None => (None, None),
    };
    json!({
        "origin": origin.display(sources).to_string(),
        "file": region.as_ref().map(|(source, _)| source.name()).or(profile),
        "line": start.map(|p| p.line),
        "column": start.map(|p| p.column),
        "end_line": end.map(|p| p.line),
        "end_column": end.map(|p| p.column),
        "span": region.as_ref().map(|(_, region)| json!({
            "start": region.bytes.start,
            "end": region.bytes.end,
        })),
    })
}
