//! `sandbox stats`: what sandboxes use at this moment.

use super::arguments::Stats;
use super::ps::columns;
use super::watch::{Frame, watch};
use super::{Refused, found, json_line, output};
use crate::profile::value::Size;
use crate::report::Measured;
use crate::running::live::{Opened, State};
use crate::running::{Live, Record, paused};
use crate::supervisor::cgroup::Group;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Between two looks, for the share of processors.
const SHORT: Duration = Duration::from_millis(250);

#[derive(Clone, Debug, Serialize)]
struct Figures {
    id: String,
    name: Option<String>,
    /// Processor time so far, in seconds.
    cpu_seconds: Option<f64>,
    /// Processors in use since the last look.
    processors: Option<f64>,
    memory_bytes: Option<u64>,
    memory_peak_bytes: Option<u64>,
    tasks: Option<u64>,
    /// Whether it is paused, by whatever.
    paused: bool,
    /// Whether its control group is frozen.
    frozen: Option<bool>,
}

pub(super) fn run(arguments: &Stats) -> Result<u8, Refused> {
    let mut before = BTreeMap::new();
    // Of one that was not looked at yet, the share of processors is not known.
    if !look(arguments, &mut before)?.is_empty() {
        std::thread::sleep(SHORT);
    }
    if !arguments.watch {
        output(&text(&look(arguments, &mut before)?, arguments))?;
        return Ok(0);
    }
    watch("sandbox stats", arguments.json, || {
        let mut figures = look(arguments, &mut before)?;
        // Who uses most comes first.
        let share = |one: &Figures| one.processors.unwrap_or_default();
        figures.sort_by(|a, b| share(b).total_cmp(&share(a)));
        Ok(Frame {
            text: text(&figures, arguments),
            // Who watches a screen for whatever runs has not seen the last of it.
            is_last: figures.is_empty()
                && (!arguments.names.is_empty() || !std::io::stdout().is_terminal()),
        })
    })
}

/// Those that are asked for; without names, all of this user's.
fn look(
    arguments: &Stats,
    before: &mut BTreeMap<String, (Instant, f64)>,
) -> Result<Vec<Figures>, Refused> {
    let mut all = Vec::new();
    let is_first = before.is_empty();
    if arguments.names.is_empty() {
        let me = rustix::process::geteuid().as_raw();
        let folders = found::folders()?;
        for folder in folders.iter().filter(|folder| folder.owner() == me) {
            for entry in folder.entries().into_iter().filter(|entry| !entry.ended) {
                if let Some(State::Running(live, record)) =
                    Opened::new(folder, entry).map(|opened| opened.state())
                {
                    all.push(figures(&live, &record, before));
                }
            }
        }
        return Ok(all);
    }
    for name in &arguments.names {
        match found::running(name) {
            Ok((live, record, owner)) => {
                found::own(name, owner)?;
                all.push(figures(&live, &record, before));
            }
            // It was there at the first look.
            Err(_) if !is_first => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(all)
}

fn figures(live: &Live, record: &Record, before: &mut BTreeMap<String, (Instant, f64)>) -> Figures {
    let group = Group::look(&record.groups).ok();
    let group = group.filter(|_| !record.groups.is_empty());
    let now = group.as_ref().map(Group::now).unwrap_or_default();
    let mut measured = Measured::default();
    if let Some(group) = &group {
        group.count(&mut measured);
    }
    let at = Instant::now();
    let cpu = now.cpu.map(|time| time.as_secs_f64());
    let last = cpu.and_then(|cpu| before.insert(record.id.clone(), (at, cpu)));
    let processors = last.zip(cpu).map(|((then, used), cpu)| {
        let passed = at.saturating_duration_since(then).as_secs_f64();
        ((cpu - used) / passed.max(0.001)).max(0.0)
    });
    before.entry(record.id.clone()).or_insert((at, 0.0));
    Figures {
        id: record.id.clone(),
        name: record.name.clone(),
        cpu_seconds: cpu,
        processors,
        memory_bytes: now.memory,
        memory_peak_bytes: measured.usage.memory_peak_bytes.map(|peak| peak.value),
        tasks: now.tasks,
        paused: now.frozen == Some(true) || paused::is_paused(record.init, live.pid),
        frozen: now.frozen,
    }
}

fn text(figures: &[Figures], arguments: &Stats) -> String {
    if arguments.json {
        return json_line(&figures);
    }
    let head = ["ID", "NAME", "CPU", "CPU TIME", "MEMORY", "PEAK", "TASKS"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for one in figures {
        let none = || "-".to_owned();
        let size = |bytes: Option<u64>| bytes.map_or_else(none, |bytes| Size(bytes).to_string());
        let share = one.processors.map(|n| format!("{:.0}%", n * 100.0));
        let share = if one.paused {
            Some("paused".into())
        } else {
            share
        };
        lines.push(vec![
            one.id.clone(),
            one.name.clone().unwrap_or_else(none),
            share.unwrap_or_else(none),
            one.cpu_seconds.map_or_else(none, |s| format!("{s:.2}s")),
            size(one.memory_bytes),
            size(one.memory_peak_bytes),
            one.tasks.map_or_else(none, |tasks| tasks.to_string()),
        ]);
    }
    columns(&lines)
}
