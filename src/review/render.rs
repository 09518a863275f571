//! Comparisons and exposures as text for people and as JSON for programs.

use super::compare::{Comparison, Excess, Instead};
use super::grant::Grant;
use super::score::{Exposure, Score};
use crate::diag::{Origin, Sources, printable};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Two profiles under their names, with their exposures.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'p> {
    /// The first.
    pub before: (&'p str, Exposure),
    /// The second.
    pub after: (&'p str, Exposure),
}

/// A comparison in words.
#[must_use]
pub fn comparison(pair: Pair<'_>, comparison: &Comparison<'_>, sources: &Sources) -> String {
    let ((before, was), (after, is)) = (pair.before, pair.after);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "exposure: {was} ({}) to {is} ({})",
        was.word(),
        is.word()
    );
    let parts = [
        ('+', &comparison.widened, after, before),
        ('-', &comparison.narrowed, before, after),
    ];
    for (sign, list, permits, other) in parts {
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{permits} permits, and {other} does not:");
        for excess in list {
            let _ = writeln!(text, "  {sign} {}", excess.words());
            let _ = writeln!(text, "      {}", excess.origin().display(sources));
            if let Some(instead) = &excess.instead {
                let line = instead.origin().display(sources);
                let _ = writeln!(text, "      {other}: {} ({line})", instead.words());
            }
        }
    }
    if comparison.widened.is_empty() && comparison.narrowed.is_empty() {
        let _ = writeln!(text, "\n{before} and {after} permit the same");
    }
    printable(&text).into_owned()
}

/// What adds less to an exposure is not a line of its own: it would read 0.00.
const SHOWN: f64 = 0.005;

/// An exposure and what it is made of, in words.
#[must_use]
pub fn score(name: &str, score: &Score<'_>, sources: &Sources) -> String {
    let exposure = score.exposure;
    let mut text = format!("{name}: exposure {exposure} ({})\n", exposure.word());
    let (shown, small): (Vec<_>, Vec<_>) = score.parts.iter().partition(|p| p.adds >= SHOWN);
    for part in shown {
        let Some(first) = part.grants.first() else {
            continue;
        };
        let line = first.origin.display(sources);
        let _ = writeln!(
            text,
            "  {:4.2}  {:12}  {} ({line})",
            part.adds,
            first.area.word(),
            part.words()
        );
    }
    if !small.is_empty() {
        let sum: f64 = small.iter().map(|part| part.adds).sum();
        let _ = writeln!(
            text,
            "  {sum:4.2}  {} smaller ones (--json lists them)",
            small.len()
        );
    }
    printable(&text).into_owned()
}

/// A comparison as JSON.
#[must_use]
pub fn comparison_json(pair: Pair<'_>, comparison: &Comparison<'_>, sources: &Sources) -> String {
    let profile = |(name, exposure): (&str, Exposure)| json!({ "profile": name, "exposure": exposure_json(exposure) });
    let list = |list: &[Excess<'_>]| -> Vec<Value> {
        list.iter()
            .map(|excess| excess_json(excess, sources))
            .collect()
    };
    pretty(&json!({
        "before": profile(pair.before),
        "after": profile(pair.after),
        "widened": list(&comparison.widened),
        "narrowed": list(&comparison.narrowed),
    }))
}

/// An exposure as JSON.
#[must_use]
pub fn score_json(name: &str, score: &Score<'_>, sources: &Sources) -> Value {
    let parts = score.parts.iter().map(|part| {
        json!({
            "keys": keys(&part.grants),
            "area": part.grants.first().map(|grant| grant.area.word()),
            "may": part.words(),
            "adds": (part.adds * 1000.0).round() / 1000.0,
            "origin": part.grants.first().map(|grant| origin(&grant.origin, sources)),
        })
    });
    json!({
        "profile": name,
        "exposure": exposure_json(score.exposure),
        "parts": parts.collect::<Vec<_>>(),
    })
}

/// JSON as it is printed.
#[must_use]
pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn exposure_json(exposure: Exposure) -> Value {
    json!({ "value": f64::from(exposure.0) / 10.0, "word": exposure.word() })
}

fn excess_json(excess: &Excess<'_>, sources: &Sources) -> Value {
    let instead = excess.instead.as_ref().map(|instead: &Instead<'_>| {
        json!({ "may": instead.words(), "origin": origin(instead.origin(), sources) })
    });
    json!({
        "keys": keys(&excess.grants),
        "area": excess.grants.first().map(|grant| grant.area.word()),
        "may": excess.words(),
        "danger": excess.danger(),
        "origin": origin(excess.origin(), sources),
        "other": instead,
    })
}

fn keys<'g>(grants: &[&'g Grant]) -> Vec<&'g str> {
    grants.iter().map(|grant| grant.key.as_str()).collect()
}

/// Where a value comes from: a place in a file, or the words for another origin.
fn origin(origin: &Origin, sources: &Sources) -> Value {
    match origin {
        Origin::File(id, span) => match sources.get(*id) {
            Some(source) => {
                let crate::diag::Position { line, column } = source.position(span.start);
                json!({ "file": source.name(), "line": line, "column": column })
            }
            None => Value::Null,
        },
        other => json!({ "text": other.display(sources).to_string() }),
    }
}
