//! Every key of the language, in the tables that the lists of keys hold: no key can be added without a sample there, and
//! every sample is part of generated profiles.

use crate::keys::{HARMLESS, SAMPLES, WIDENINGS};
use proptest::prelude::*;
use proptest::sample::subsequence;
use sandbox::profile::shape::{Kind, Shape};
use sandbox::profile::table::Table as _;
use sandbox::sections::Raw;
use std::collections::BTreeSet;

/// The path of every key that the language has, below lists and tables of names too: `limits.io.device`.
pub(crate) fn all_keys() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let top = const { &Raw::SHAPE };
    below(top, "", &mut found);
    found
}

fn below(shape: &'static Shape, path: &str, found: &mut BTreeSet<String>) {
    for field in shape.fields {
        let path = joined(path, field.key);
        found.insert(path.clone());
        within(&field.kind, &path, found);
    }
}

fn within(kind: &'static Kind, path: &str, found: &mut BTreeSet<String>) {
    match kind {
        Kind::Table(shape) => below(shape, path, found),
        Kind::List(kind) | Kind::Map(kind) => within(kind, path, found),
        Kind::Either(kinds) => {
            for kind in *kinds {
                within(kind, path, found);
            }
        }
        _ => {}
    }
}

fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// A table of the lists as it stands in a profile; nothing where it has no keys.
pub(crate) fn text(table: &str, keys: &str) -> String {
    match table {
        "" => format!("{keys}\n"),
        _ if keys.is_empty() => String::new(),
        table => format!("[{table}]\n{keys}\n"),
    }
}

/// The paths of the keys of such a table.
pub(crate) fn keys_of(table: &str, keys: &str) -> BTreeSet<String> {
    let text = text(table, keys);
    let value: toml::Value = toml::from_str(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let mut found = BTreeSet::new();
    written(&value, const { &Kind::Table(&Raw::SHAPE) }, "", &mut found);
    found
}

fn written(value: &toml::Value, kind: &'static Kind, path: &str, found: &mut BTreeSet<String>) {
    match (value, kind) {
        (toml::Value::Table(values), Kind::Table(shape)) => {
            for (key, value) in values {
                if let Some(field) = shape.field(key) {
                    let path = joined(path, key);
                    found.insert(path.clone());
                    written(value, &field.kind, &path, found);
                }
            }
        }
        (toml::Value::Table(values), Kind::Map(kind)) => {
            for value in values.values() {
                written(value, kind, path, found);
            }
        }
        (toml::Value::Array(values), Kind::List(kind)) => {
            for value in values {
                written(value, kind, path, found);
            }
        }
        (value, Kind::Either(kinds)) => {
            for kind in *kinds {
                written(value, kind, path, found);
            }
        }
        _ => {}
    }
}

/// Every table of the lists.
pub(crate) fn samples() -> Vec<String> {
    let widened = WIDENINGS
        .iter()
        .flat_map(|(table, less, more)| [text(table, less), text(table, more)]);
    let harmless = HARMLESS.iter().map(|(table, _, keys)| text(table, keys));
    let more = SAMPLES.iter().map(|(table, keys)| text(table, keys));
    let all: BTreeSet<_> = widened
        .chain(harmless)
        .chain(more)
        .chain(rlimits())
        .collect();
    all.into_iter().filter(|text| !text.is_empty()).collect()
}

/// Each of the limits of a process, which are all of one kind.
fn rlimits() -> impl Iterator<Item = String> {
    const VALUES: [&str; 3] = [
        "1",
        "{ soft = 0, hard = 1 }",
        "{ soft = 536870912, hard = 1073741824 }",
    ];
    let field = Raw::SHAPE.field("rlimits").unwrap();
    let shape = field.kind.shape().unwrap();
    let of = |key| VALUES.map(|value| text("rlimits", &format!("{key} = {value}")));
    shape.fields.iter().flat_map(move |field| of(field.key))
}

/// The names of the tables of a profile, in brackets; keys above all of them count as one.
fn tables(text: &str) -> Vec<&str> {
    let mut found = vec![];
    if !text.trim_start().starts_with('[') {
        found.push("");
    }
    found.extend(text.lines().filter(|line| line.starts_with('[')));
    found
}

/// A few of the samples, in the order in which tables may stand, and none that says a second time what another one says.
pub(crate) fn listed() -> BoxedStrategy<String> {
    subsequence(samples(), 1..5)
        .prop_shuffle()
        .prop_map(|samples| with("", &samples))
        .boxed()
}

/// A profile in which samples take the place of the tables that they hold.
pub(crate) fn with(text: &str, samples: &[String]) -> String {
    let mut taken = BTreeSet::new();
    let mut parts = Vec::new();
    for sample in samples {
        let tables = tables(sample);
        let again = |name: &&str| !name.starts_with("[[") && taken.contains(*name);
        if !tables.iter().any(again) {
            taken.extend(tables);
            parts.push(sample.clone());
        }
    }
    let mut rest = String::new();
    let mut kept = true;
    for line in text.lines() {
        if line.starts_with('[') {
            kept = line.starts_with("[[") || !taken.contains(line);
        } else if rest.is_empty() && taken.contains("") {
            kept = false;
        }
        if kept {
            rest += line;
            rest.push('\n');
        }
    }
    // What stands above all tables comes first.
    parts.sort_by_key(|part| part.starts_with('['));
    let above = parts
        .iter()
        .take_while(|part| !part.starts_with('['))
        .count();
    let below = parts.split_off(above);
    parts.concat() + &rest + &below.concat()
}
