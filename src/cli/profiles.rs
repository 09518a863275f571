//! `sandbox profiles`: what `--profile` can name, from where, and which hides which.

use super::arguments::{Form, Profiles};
use super::{Refused, output, output_json, variables};
use crate::diag::printable;
use crate::profile::find::{self, Nameable};
use crate::profile::table::Table as _;
use crate::sections::Raw;
use serde::Serialize;
use std::fmt::Write as _;
use toml::de::{DeTable, DeValue};

/// What is said of one profile.
#[derive(Serialize)]
struct Line {
    name: String,
    /// A path, or `built-in`.
    from: String,
    description: Option<String>,
    /// From where the profile comes that is used instead, because it is found first.
    hidden_by: Option<String>,
    /// Why it cannot be read.
    problem: Option<String>,
}

/// The whole list.
#[derive(Serialize)]
struct List {
    /// What a run without `--profile` uses.
    implied: String,
    profiles: Vec<Line>,
}

pub(super) fn run(arguments: &Profiles) -> Result<u8, Refused> {
    let variables = variables()?;
    let implied = match find::implied(&variables) {
        Ok(source) => source.name().to_owned(),
        Err(error) => error.to_string(),
    };
    let mut profiles: Vec<Line> = Vec::new();
    for nameable in find::nameable(&variables) {
        let Some(mut line) = line(nameable) else {
            continue;
        };
        line.hidden_by = profiles
            .last()
            .filter(|before| before.name == line.name)
            .map(|before| before.hidden_by.as_ref().unwrap_or(&before.from).clone());
        profiles.push(line);
    }
    let list = List { implied, profiles };
    match arguments.output.format {
        Form::Text => output(&text(&list))?,
        Form::Json => output_json(&list)?,
    }
    Ok(0)
}

/// What to say of a profile; nothing of a file of another program, such as Cargo.toml, that lies
/// where commands are run.
fn line(nameable: Nameable) -> Option<Line> {
    let elsewhere = |path: &std::path::Path| path.components().count() > 1;
    let at_home = nameable.path.as_deref().is_none_or(elsewhere);
    let (description, problem) = match &nameable.source {
        Err(error) => (None, Some(error.to_string())),
        Ok(source) => match DeTable::parse(source.text()) {
            Err(error) => (None, Some(format!("not TOML: {}", error.message()))),
            Ok(table) => {
                let table = table.get_ref();
                if !at_home && !is_profile(table) {
                    return None;
                }
                let description = table.get("description").map(toml::Spanned::get_ref);
                (
                    description.and_then(DeValue::as_str).map(str::to_owned),
                    None,
                )
            }
        },
    };
    let from = nameable.path.as_deref();
    Some(Line {
        name: nameable.name,
        from: from.map_or_else(|| "built-in".into(), |path| path.display().to_string()),
        description,
        hidden_by: None,
        problem,
    })
}

/// Whether a file is meant as a profile: it says so by its version, or knows only our keys.
fn is_profile(table: &DeTable<'_>) -> bool {
    let version = table.get("version").map(toml::Spanned::get_ref);
    matches!(version, Some(DeValue::Integer(_)))
        || table
            .keys()
            .all(|key| Raw::SHAPE.field(key.get_ref().as_ref()).is_some())
}

fn text(list: &List) -> String {
    let width = |cell: fn(&Line) -> &str| {
        let widths = list.profiles.iter().map(|line| cell(line).chars().count());
        widths.max().unwrap_or_default()
    };
    let (names, places) = (width(|line| &line.name), width(|line| &line.from));
    let mut out = format!("without --profile: {}\n\n", printable(&list.implied));
    for line in &list.profiles {
        let mut words: Vec<_> = line.description.iter().map(String::as_str).collect();
        let problem = line.problem.as_ref().map(|problem| format!("[{problem}]"));
        words.extend(problem.as_deref());
        let hidden = line.hidden_by.as_ref();
        let hidden = hidden.map(|by| format!("[hidden by {by}]"));
        words.extend(hidden.as_deref());
        let words = words.join(" ").replace('\n', " ");
        let row = format!("{:<names$}  {:<places$}  {words}", line.name, line.from);
        let _ = writeln!(out, "{}", printable(&row).trim_end());
    }
    out
}
