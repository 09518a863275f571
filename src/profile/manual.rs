//! The reference of the language, made from the declarations that reading goes by.

use super::schema::text;
use super::shape::{Field, Kind, Shape};
use std::fmt::Write as _;

/// The reference as Markdown.
#[must_use]
pub fn markdown(shape: &'static Shape) -> String {
    let mut out = String::from(
        "# The profile language\n\n\
         <!-- Made by `sandbox schema --format markdown`; a test keeps it fresh. -->\n\n",
    );
    section(shape, "Top level", &mut out);
    for field in shape.fields {
        if let Some(table) = field.kind.shape() {
            section(table, table.name, &mut out);
        }
        if let Kind::Map(Kind::Either(kinds)) = &field.kind {
            let title = format!("[{}]", field.key);
            kinds
                .iter()
                .filter_map(Kind::shape)
                .for_each(|table| section(table, &title, &mut out));
        }
    }
    out
}

fn section(shape: &'static Shape, title: &str, out: &mut String) {
    let _ = writeln!(out, "## {}\n\n{}\n", escaped(title), paragraphs(shape.doc));
    out.push_str("| key | holds | default | what it says |\n|---|---|---|---|\n");
    for field in shape.fields {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            field.key,
            cell(&holds(&field.kind)),
            cell(&default(field)),
            cell(&text(field.doc)),
        );
    }
    out.push('\n');
    // Keys that hold the same are explained together.
    let mut explained: Vec<(String, Vec<&str>)> = Vec::new();
    for field in shape.fields {
        for text in [words(&field.kind), below(&field.kind)]
            .into_iter()
            .flatten()
        {
            match explained.iter_mut().find(|(known, _)| *known == text) {
                Some((_, keys)) => keys.push(field.key),
                None => explained.push((text, vec![field.key])),
            }
        }
    }
    for (text, keys) in explained {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(out, "{}:\n\n{text}", keys.join(", "));
    }
}

/// What each key of a table that stands inside a value means.
fn below(kind: &'static Kind) -> Option<String> {
    let shape = either(kind)?.iter().find_map(Kind::shape)?;
    Some(bullets(shape, ""))
}

fn bullets(shape: &'static Shape, indent: &str) -> String {
    let mut out = String::new();
    for key in shape.fields {
        let _ = writeln!(out, "{indent}- `{}`: {}", key.key, text(key.doc));
        if let Some(nested) = key.kind.shape() {
            out.push_str(&bullets(nested, &format!("{indent}  ")));
        }
    }
    out
}

/// What a value, or each value of a list, can be.
fn either(kind: &'static Kind) -> Option<&'static [Kind]> {
    match kind {
        Kind::Either(kinds) => Some(kinds),
        Kind::List(items) => either(items),
        _ => None,
    }
}

/// What each word of a choice means.
fn words(kind: &'static Kind) -> Option<String> {
    let words = match kind {
        Kind::Choice(words) => words,
        Kind::Either(kinds) => kinds.iter().find_map(|kind| match kind {
            Kind::Choice(words) => Some(words),
            _ => None,
        })?,
        _ => return None,
    };
    let words = words
        .iter()
        .map(|word| format!("- `\"{}\"`: {}\n", word.word, text(word.doc)));
    Some(words.collect())
}

/// The documentation of a table: its text as paragraphs, its samples as they are.
fn paragraphs(doc: &[&str]) -> String {
    let lines: Vec<_> = doc
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}

fn default(field: &Field) -> String {
    match (field.default, field.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, Some(_)) => "must be there".into(),
        (None, None) => String::new(),
    }
}

/// What a key holds, in words.
fn holds(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".into(),
        Kind::Integer(0, i64::MAX) => "a whole number".into(),
        Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Number(least, most) if *most > 1e300 || *least < -1e300 => "a number".into(),
        Kind::Number(least, most) => format!("a number from {least} to {most}"),
        Kind::Text { what, .. } => (*what).into(),
        Kind::Choice(words) => {
            let words: Vec<_> = words
                .iter()
                .map(|word| format!("`\"{}\"`", word.word))
                .collect();
            words.join(", ")
        }
        Kind::Either(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(holds).collect();
            kinds.join(", or ")
        }
        Kind::List(Kind::Table(shape)) => format!("{}, any number of them", shape.name),
        Kind::List(kind) => format!("a list, each: {}", holds(kind)),
        Kind::Map(kind) => format!("a table of names, each: {}", holds(kind)),
        Kind::Table(shape) => format!("the table {}", shape.name),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Brackets would make a link of a heading.
fn escaped(title: &str) -> String {
    format!("`{title}`").replace("`Top level`", "Top level")
}
