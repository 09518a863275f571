//! Diagnostics as SARIF 2.1.0 (the OASIS standard for results of static analysis), which code
//! hosts and editors take.

use super::{Checked, Code, Diagnostic, Label, Origin, Sources};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The log: one run, whose rules are all codes.
#[must_use]
pub fn render(checked: &[Checked], sources: &Sources) -> String {
    let rules: Vec<_> = Code::ALL.iter().copied().map(rule).collect();
    let results: Vec<_> = checked
        .iter()
        .flat_map(|one| one.problems.iter().map(|p| result(p, one, sources)))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sandbox",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": format!("{}.", code.title()) },
        "defaultConfiguration": { "level": code.severity().word() },
    })
}

fn result(problem: &Diagnostic, checked: &Checked, sources: &Sources) -> Value {
    let mut text = problem.message.clone();
    if let Some(label) = problem.labels.first().filter(|l| !l.text.is_empty()) {
        let _ = write!(text, ": {}", label.text);
    }
    if let Some(help) = &problem.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    let mut labels = problem.labels.iter();
    let place = labels
        .next()
        .and_then(|l| physical(&l.origin, checked.file.as_deref(), sources));
    let locations: Vec<_> = place
        .map(|place| json!({ "physicalLocation": place }))
        .into_iter()
        .collect();
    let related: Vec<_> = labels
        .enumerate()
        .map(|(id, l)| related(id, l, sources))
        .collect();
    json!({
        "ruleId": problem.code.as_str(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == problem.code),
        "level": problem.code.severity().word(),
        "message": { "text": text },
        "locations": locations,
        "relatedLocations": related,
    })
}

fn related(id: usize, label: &Label, sources: &Sources) -> Value {
    let mut location = Map::new();
    location.insert("id".into(), json!(id));
    let text = match physical(&label.origin, None, sources) {
        Some(place) => {
            location.insert("physicalLocation".into(), place);
            label.text.clone()
        }
        // A default or the command line: the words are all there is to point with.
        None => format!("{}: {}", label.origin.display(sources), label.text),
    };
    location.insert("message".into(), json!({ "text": text }));
    location.into()
}

/// A place in a file. What is no line of a profile stands at the head of the profile, since
/// viewers drop results without a line.
fn physical(origin: &Origin, profile: Option<&str>, sources: &Sources) -> Option<Value> {
    let (file, region) = match origin.region(sources) {
        Some((source, region)) => (
            source.name(),
            json!({
                "startLine": region.start.line,
                "startColumn": region.start.column,
                "endLine": region.end.line,
                "endColumn": region.end.column,
                "byteOffset": region.bytes.start,
                "byteLength": region.bytes.len(),
            }),
        ),
        None => (profile?, json!({ "startLine": 1 })),
    };
    Some(json!({
        "artifactLocation": { "uri": uri(file) },
        "region": region,
    }))
}

/// The name of a source as a URI (RFC 3986): a path, relative as it was given, or that of a
/// built-in profile, which has a scheme of its own.
fn uri(name: &str) -> String {
    let (mut uri, path) = match name.strip_prefix("built-in:") {
        Some(path) => (String::from("built-in:"), path),
        None if name.starts_with('/') => (String::from("file://"), name),
        None => (String::new(), name.trim_start_matches("./")),
    };
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_uris() {
        assert_eq!(uri("./a b/c:d.toml"), "a%20b/c%3Ad.toml");
        assert_eq!(
            uri("/etc/sandbox/é.toml"),
            "file:///etc/sandbox/%C3%A9.toml"
        );
        assert_eq!(uri("built-in:default.toml"), "built-in:default.toml");
    }
}
