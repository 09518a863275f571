//! `output`, and what `idle` and the safety of the caller's files need of it: the standard output and error as pipes.

use super::{Limits, RawLimits};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::plan::op::Op;
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::process::{OutputFiles, StreamSource};
use std::path::Path;
use std::time::Duration;

/// A file that output goes to: one that the caller has opened, or one that the profile names.
#[derive(PartialEq, Eq)]
enum File<'p> {
    Inode(u64, u64),
    Path(&'p Path),
}

/// The shortest time in which doing nothing means something.
const LEAST_IDLE: Duration = Duration::from_secs(1);

pub(super) fn check(raw: &RawLimits, problems: &mut Diagnostics) {
    let over = &raw.output_over;
    if raw.output.is_none() && !over.origin.is_default() {
        problems.push(
            Diagnostic::new(Code::Needs, &over.origin, "beyond nothing nothing happens")
                .help("set `output` too, for example: output = \"10M\"; or remove `output_over`"),
        );
    }
    let Some(idle) = &raw.idle else { return };
    if idle.value.0 < LEAST_IDLE {
        problems.push(
            Diagnostic::new(
                Code::LimitTooSmall,
                &idle.origin,
                "a command that starts does nothing for as long as that",
            )
            .help("a second is the least; for example: idle = \"5m\""),
        );
    }
    if let Some(wall) = &raw.wall_time
        && idle.value.0 >= wall.value.0
    {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                &idle.origin,
                "the command is ended before it has done nothing for that long",
            )
            .and(&wall.origin, "the time that it has")
            .help("shorten `idle`, or lengthen `wall_time`"),
        );
    }
}

impl Limits {
    /// Has the output relayed, where it is limited or watched, or goes to a file that the command shall not have.
    /// Whether all of the output is handed on.
    pub(in crate::sections) fn relays_all(&self, draft: &Draft<'_>) -> bool {
        self.output.is_some() || draft.watch.idle.is_some()
    }

    pub(super) fn relay(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let idle = draft.watch.idle.as_ref().map(|idle| &idle.origin);
        let output = self.output.as_ref().map(|output| &output.origin);
        let (stdout, stderr, origin) = match output.or(idle).cloned() {
            Some(origin) => (Some(draft.slot()), Some(draft.slot()), origin),
            None => {
                let files = &profile.process.output_files;
                let process = &profile.process;
                let file = |number| match process.stream(number) {
                    StreamSource::Inherit => {
                        let file = draft.host.written_file(number);
                        let file = file.filter(|_| files.value == OutputFiles::Relay);
                        file.map(|(device, inode)| File::Inode(device, inode))
                    }
                    _ => process.relayed_file(number).map(File::Path),
                };
                let [one, other] = [file(1), file(2)];
                if one.is_none() && other.is_none() {
                    return;
                }
                let same = one == other;
                let stdout = one.is_some().then(|| draft.slot());
                // Into one file goes one pipe, which keeps the order of what is written to it.
                let stderr = match other {
                    Some(_) if same => stdout,
                    other => other.is_some().then(|| draft.slot()),
                };
                (stdout, stderr, files.origin.clone())
            }
        };
        let pipes = Op::MakePipes {
            stdout,
            stderr,
            most: self.output.as_ref().map(|most| most.value.0),
            over: self.output_over.value,
        };
        draft.step(Phase::Output, pipes, &origin);
        draft.step(Phase::Streams, Op::TakePipes { stdout, stderr }, &origin);
        draft.watch.output = self.output.clone();
    }
}
