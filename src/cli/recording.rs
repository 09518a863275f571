//! The record of a run that is about to be: what it is to say.

use super::arguments::Selection;
use super::{Refused, Session, found};
use crate::plan::draft::Command;
use crate::plan::op::network::End;
use crate::plan::{Op, Plan, explain};
use crate::profile::show::{self, Detail};
use crate::profile::table::Table as _;
use crate::running::record::{Port, VERSION, Watched, now};
use crate::running::{Record, Recording, folder, join, new_id, saved};
use crate::sections::{Profile, Raw};
use std::os::unix::fs::MetadataExt as _;

/// What a run is to be remembered as.
pub(super) struct Wanted<'w> {
    /// Its name.
    pub(super) name: Option<&'w str>,
    /// What it runs; nothing where it is only kept open.
    pub(super) command: Option<&'w Command>,
    /// Whether it goes on in the background, and its record stays when it has ended.
    pub(super) detached: bool,
}

/// Has the plan keep a record, and puts that together.
pub(super) fn begin(
    wanted: &Wanted<'_>,
    profile: &Profile,
    selection: &Selection,
    plan: &mut Plan,
    session: &mut Session,
) -> Result<Recording, Refused> {
    let folder = folder::path_of_caller().map_err(found::no_folder)?;
    let words = wanted.command.into_iter();
    let words =
        words.flat_map(|command| std::iter::once(&command.program).chain(&command.arguments));
    let profiles = session.of_profiles.iter();
    let profiles = profiles.filter_map(|id| session.sources.get(*id));
    let mut record = Record {
        version: VERSION,
        id: new_id(),
        name: wanted.name.map(str::to_owned),
        started: now(),
        command: words
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        profiles: profiles.map(|source| source.name().to_owned()).collect(),
        directory: std::env::current_dir().ok(),
        detached: wanted.detached,
        confinement: saved::save(plan, &session.sources),
        slots: plan.slots,
        watch: Watched {
            grace: plan.watch.grace.as_millis().try_into().unwrap_or(u64::MAX),
            stop_signal: plan.watch.stop_signal.0,
            new_session: plan.watch.new_session,
            new_pid_namespace: plan.watch.new_pid_namespace,
            // Where there is no command, init stays.
            init: plan.watch.init || wanted.command.is_none(),
            relays_files: profile.process.relays_files(),
            keeps_terminals_away: profile.process.keeps_terminals_away().is_some(),
            is_displayed: profile.process.is_displayed(),
            terminal: profile.process.terminal_of_who_joins(),
            terminals: plan.watch.terminals,
        },
        resolvers: resolvers(plan),
        port: port(plan),
        ..Record::default()
    };
    if wanted.command.is_none() {
        join::stay_open(plan);
    } else if wanted.detached {
        join::bound_output(plan);
    }
    join::keep_record(plan, folder, &record);
    record.plan = explain::text(plan, &session.sources, false);
    let document = session.document(selection)?;
    let shape = const { &Raw::SHAPE };
    record.profile = show::toml(&document, shape, &session.sources, Detail::Origins);
    // What was only kept open has nothing to say when it is closed.
    let kept = wanted.detached && wanted.command.is_some();
    Ok(Recording::new(record, kept))
}

/// Where the sandbox is on a bridge.
fn port(plan: &Plan) -> Option<Port> {
    let steps = || plan.steps.iter().map(|step| &step.op);
    let bridge = steps().find_map(|op| match op {
        Op::MakePair(pair) => pair.port.as_ref().map(|port| port.bridge.clone()),
        _ => None,
    })?;
    let addresses = steps().filter_map(|op| match op {
        Op::AddAddress(one) if one.end == End::Inside => Some(one.net.address),
        _ => None,
    });
    Some(Port {
        bridge,
        network: std::fs::metadata("/proc/self/ns/net").ok()?.ino(),
        addresses: addresses.collect(),
    })
}

/// The file of the sandbox's own that says who resolves names.
fn resolvers(plan: &Plan) -> Option<String> {
    let steps = || plan.steps.iter().map(|step| &step.op);
    let slot = steps().find_map(|op| match op {
        Op::AttachSource { slot, target, .. } if target.to_bytes() == b"etc/resolv.conf" => {
            Some(*slot)
        }
        _ => None,
    })?;
    steps().find_map(|op| match op {
        Op::StageFile {
            slot: staged,
            contents,
            ..
        } if *staged == slot => Some(String::from_utf8_lossy(contents).into_owned()),
        _ => None,
    })
}
