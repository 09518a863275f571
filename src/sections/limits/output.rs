//! `output`, and what `idle` and the safety of the caller's files need of it: the standard output and error as pipes.

use super::{Limits, RawLimits};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::plan::op::Op;
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::process::{OutputFiles, StreamSource};
use std::path::Path;
use std::time::Duration;

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

/// Where a stream goes that the command shall not have.
#[derive(PartialEq, Eq)]
enum Kept<'p> {
    /// One that the caller has opened: its device and inode.
    File((u64, u64)),
    /// One that the profile names.
    Named(&'p Path),
    Terminal(u32),
}

impl Limits {
    /// Whether all of the output is handed on.
    pub(in crate::sections) fn relays_all(&self, draft: &Draft<'_>) -> bool {
        self.output.is_some() || draft.watch.idle.is_some()
    }

    /// Has the output relayed, where it is limited or watched, or goes to a file or a terminal that the command
    /// shall not have.
    pub fn relay(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let process = &profile.process;
        let away = process.keeps_terminals_away();
        let idle = draft.watch.idle.as_ref().map(|idle| &idle.origin);
        let output = self.output.as_ref().map(|output| &output.origin);
        let terminal = |number| {
            let found = away.and_then(|_| draft.host.terminal_of(number));
            let is_callers = *process.stream(number) == StreamSource::Inherit;
            found.filter(|_| is_callers && !draft.is_own_terminal(number))
        };
        let terminals = [terminal(1), terminal(2)];
        let (stdout, stderr, origin) = match output.or(idle).cloned() {
            Some(origin) => {
                let own = [1, 2].map(|number| draft.is_own_terminal(number));
                let [stdout, stderr] = own.map(|own| (!own).then(|| draft.slot()));
                (stdout, stderr, origin)
            }
            None => {
                let files = &process.output_files;
                let kept = |number, terminal: Option<u32>| match process.stream(number) {
                    StreamSource::Inherit => {
                        let file = draft.host.written_file(number);
                        let file = file.filter(|_| files.value == OutputFiles::Relay);
                        file.map(Kept::File).or(terminal.map(Kept::Terminal))
                    }
                    _ => process.relayed_file(number).map(Kept::Named),
                };
                let [one, other] = [kept(1, terminals[0]), kept(2, terminals[1])];
                let origin = match [&one, &other] {
                    [None, None] => return,
                    streams => match (
                        streams.map(|kept| matches!(kept, Some(Kept::Terminal(_)))),
                        away,
                    ) {
                        ([false, false], _) | (_, None) => files.origin.clone(),
                        (_, Some(away)) => away.clone(),
                    },
                };
                let stdout = one.as_ref().map(|_| draft.slot());
                // Into one file goes one pipe, which keeps the order of what is written to it.
                let stderr = match other {
                    Some(_) if other == one => stdout,
                    other => other.map(|_| draft.slot()),
                };
                (stdout, stderr, origin)
            }
        };
        let pipes = Op::MakePipes {
            stdout,
            stderr,
            most: self.output.as_ref().map(|most| most.value.0),
            over: self.output_over.value,
            displayed: terminals.map(|terminal| terminal.is_some() && process.is_displayed()),
        };
        draft.step(Phase::Output, pipes, &origin);
        draft.step(Phase::Streams, Op::TakePipes { stdout, stderr }, &origin);
        draft.watch.output = self.output.clone();
    }
}
