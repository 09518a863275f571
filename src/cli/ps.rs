//! `sandbox ps`: which sandboxes run.

use super::arguments::Ps;
use super::watch::{Frame, watch};
use super::{Refused, found, json_line, output, output_json, pause};
use crate::diag::printable;
use crate::running::live::{Opened, State};
use crate::running::record::now;
use serde::Serialize;
use std::path::PathBuf;

/// The version of the JSON form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct List {
    version: u32,
    sandboxes: Vec<Row>,
}

impl List {
    fn of(sandboxes: Vec<Row>) -> Self {
        Self {
            version: VERSION,
            sandboxes,
        }
    }
}

#[derive(Serialize)]
struct Row {
    id: String,
    name: Option<String>,
    /// `starting`, `running`, `paused`, `unknown`: of another version; `ended`, `lost`, or `elsewhere`: in another pid namespace.
    state: &'static str,
    user: u32,
    /// The supervisor's pid.
    supervisor: Option<i32>,
    /// Init's pid outside.
    init: Option<i32>,
    /// Seconds since 1970.
    started: Option<u64>,
    /// Of one that has ended.
    exit_code: Option<u8>,
    outcome: Option<String>,
    detached: Option<bool>,
    /// Empty where a sandbox is kept open without one.
    command: Option<Vec<String>>,
    profiles: Option<Vec<String>>,
    directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Ps) -> Result<u8, Refused> {
    if arguments.watch {
        return watch("sandbox ps", arguments.json, || {
            let sandboxes = look(arguments)?;
            let text = match arguments.json {
                true => json_line(&List::of(sandboxes)),
                false => table(&sandboxes),
            };
            Ok(Frame {
                text,
                is_last: false,
            })
        });
    }
    let sandboxes = look(arguments)?;
    match arguments.json {
        true => output_json(&List::of(sandboxes))?,
        false => output(&table(&sandboxes))?,
    }
    Ok(0)
}

/// Those that are asked for, as they are at this moment.
fn look(arguments: &Ps) -> Result<Vec<Row>, Refused> {
    let folders = found::folders()?;
    let mut sandboxes = Vec::new();
    for folder in &folders {
        let opened = folder.entries().into_iter();
        let opened = opened.filter_map(|entry| Opened::new(folder, entry));
        sandboxes.extend(opened.map(|opened| row(&opened)));
    }
    sandboxes.retain(|row| arguments.all || !matches!(row.state, "ended" | "lost"));
    Ok(sandboxes)
}

fn row(opened: &Opened) -> Row {
    let state = opened.state();
    let record = state.record();
    let is_paused = matches!(&state, State::Running(live, record)
        if pause::is_paused(live, record, opened.owner));
    let ended = record.and_then(|record| record.ended.as_ref());
    let supervisor = match &state {
        State::Running(live, _) | State::Starting(live) | State::Unknown(live) => Some(live.pid),
        _ => None,
    };
    Row {
        id: opened.entry.id.clone(),
        name: opened.entry.name.clone(),
        state: if is_paused { "paused" } else { state.word() },
        user: opened.owner,
        supervisor,
        init: record.filter(|_| supervisor.is_some()).map(|r| r.init),
        started: record.map(|record| record.started),
        exit_code: ended.map(|ended| ended.code),
        outcome: ended.map(|ended| ended.outcome.clone()),
        detached: record.map(|record| record.detached),
        command: record.map(|record| record.command.clone()),
        profiles: record.map(|record| record.profiles.clone()),
        directory: record.and_then(|record| record.directory.clone()),
    }
}

fn table(rows: &[Row]) -> String {
    let several = rows
        .iter()
        .any(|row| row.user != rustix::process::geteuid().as_raw());
    let mut lines = vec![
        vec!["ID", "NAME", "STATE", "PID", "AGE"]
            .into_iter()
            .map(str::to_owned)
            .chain(several.then(|| "USER".to_owned()))
            .chain(["COMMAND".to_owned()])
            .collect::<Vec<_>>(),
    ];
    let none = || "-".to_owned();
    for row in rows {
        let state = match row.exit_code {
            Some(code) => format!("{} ({code})", row.state),
            None => row.state.to_owned(),
        };
        let age = row.started.map(|at| age(now().saturating_sub(at)));
        let command = row.command.as_ref().map(|words| match words.is_empty() {
            true => "(open)".to_owned(),
            false => words.join(" "),
        });
        let mut line = vec![
            row.id.clone(),
            row.name.clone().unwrap_or_else(none),
            state,
            row.supervisor.map_or_else(none, |pid| pid.to_string()),
            age.unwrap_or_else(none),
        ];
        line.extend(several.then(|| row.user.to_string()));
        line.push(command.unwrap_or_else(none));
        lines.push(line);
    }
    columns(&lines)
}

/// Lines of words, one below the other.
pub(super) fn columns(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let clean = |cell: &str| printable(&cell.replace(['\n', '\t'], " ")).into_owned();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| clean(cell).chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let cell = clean(cell);
            out.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

/// `2d 3h`, `5m 7s`.
fn age(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}
