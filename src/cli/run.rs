//! `sandbox -- COMMAND`: read, check, plan, execute, report.

use super::arguments::Run;
use super::detach::{self, Detached};
use super::recording::{self, Wanted};
use super::reporting::Reporting;
use super::{Refused, Session, command_of, many, placeholder};
use crate::changes::store;
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::plan::draft::Command;
use crate::plan::{Op, Plan, Step};
use crate::report::denial::{self, Denial, Refusals};
use crate::report::egress::{self, Denied, Unreached};
use crate::report::files::FailedCalls;
use crate::report::{Measured, Outcome, summary};
use crate::running::Recording;
use crate::running::joined;
use crate::sections::Profile;
use crate::supervisor::progress::is_in_the_way;
use crate::supervisor::{self, Failure, Observer, Reserved};
use crate::why;
use std::cell::RefCell;

pub(super) fn run(arguments: &Run, session: &mut Session) -> Result<u8, Refused> {
    session.ceilings.clone_from(&arguments.ceilings.names);
    let detached = match arguments.recorded.detach.then(detach::begin).transpose()? {
        Some(detach::Side::Caller(code)) => return Ok(code),
        Some(detach::Side::Run(detached)) => Some(detached),
        None => None,
    };
    let mut reporting = Reporting::begin(arguments)?;
    let read = match read(arguments, session) {
        Ok(read) => read,
        Err(refused) => {
            reporting.refused(&refused, session);
            return Err(refused);
        }
    };
    // What is read is read once: a command may write to the very folder that its profile lies in.
    match (&arguments.listen, arguments.repeat) {
        (None, None) => attempt(arguments, &read, session, &mut reporting, detached.as_ref())
            .inspect_err(|refused| {
                reporting.refused(refused, session);
            }),
        (Some(address), _) => {
            // Whoever connects is not to find out that nothing can run here.
            session.build_prepared(&read.profile, &read.host, &read.command)?;
            session.reserved = Reserved::default();
            many::listen(address, arguments, &read.profile, session, |session| {
                again(arguments, &read, session)
            })
        }
        (None, Some(times)) => {
            many::repeat(times, session, |session| again(arguments, &read, session))
        }
    }
}

/// What was read.
struct Read {
    profile: Profile,
    command: Command,
    host: Host,
}

fn read(arguments: &Run, session: &mut Session) -> Result<Read, Refused> {
    let profile = session.profile(&arguments.selection)?;
    let host = joined::here();
    let command = command_of(&arguments.command, &profile, &host)?;
    // What is only kept open is planned for any command.
    let mut command = command.or_else(|| arguments.open.then(|| placeholder(c"true")));
    let tells = profile.rootfs.tells_once_fetched();
    if command.is_none() && !tells {
        return Err(nothing_to_run().into());
    }
    session.hold(&profile, &host)?;
    if command.is_none() && session.unpack(&profile)? {
        command = command_of(&arguments.command, &profile, &host)?;
    }
    let command = command.ok_or_else(nothing_to_run)?;
    Ok(Read {
        profile,
        command,
        host,
    })
}

/// One run of several, in a process of its own: what is true of a process is asked anew.
fn again(arguments: &Run, read: &Read, session: &mut Session) -> Result<u8, Refused> {
    let read = Read {
        profile: read.profile.clone(),
        command: read.command.clone(),
        host: joined::here(),
    };
    let mut reporting = Reporting::begin(arguments)?;
    attempt(arguments, &read, session, &mut reporting, None).inspect_err(|refused| {
        reporting.refused(refused, session);
    })
}

fn attempt(
    arguments: &Run,
    read: &Read,
    session: &mut Session,
    reporting: &mut Reporting,
    detached: Option<&Detached>,
) -> Result<u8, Refused> {
    let Read {
        profile,
        command,
        host,
    } = read;
    // Not before: a profile that exceeds a ceiling has no say in which file is replaced.
    reporting.open(arguments, command, profile, session)?;
    let plan = session.build_prepared(profile, host, command)?;
    let mut plan = Session::traced(plan, profile, arguments.explain_denials)?;
    if arguments.open && !plan.watch.new_pid_namespace {
        return Err(needs_pid_namespace(profile).into());
    }
    let recorded = &arguments.recorded;
    let mut recording = match recorded.is_wanted() {
        true => {
            let wanted = Wanted {
                name: recorded.name.as_deref(),
                command: (!arguments.open).then_some(command),
                detached: recorded.detach,
            };
            let selection = &arguments.selection;
            Some(recording::begin(
                &wanted, profile, selection, &mut plan, session,
            )?)
        }
        false => None,
    };
    let plan = plan;
    let caller = recording.as_ref().map(Recording::caller);
    let started = || {
        if let (Some(detached), Some(caller)) = (detached, &caller) {
            detached.started(caller.take());
        }
    };
    if let (Some(detached), Some(recording)) = (detached, &mut recording) {
        detached.is_called(recording.record_mut().called());
    }
    reporting.planned(profile, &plan, session)?;
    let stats = arguments.stats || profile.report.stats.value;
    let mut measured = Measured::default();
    let mut refused = Refusals::default();
    let mut failed = FailedCalls::default();
    let mut unreached = Unreached::default();
    let observer = Observer {
        measured: (stats || reporting.is_wanted()).then_some(&mut measured),
        progress: arguments.progress,
        refused: Some(&mut refused),
        failed: Some(&mut failed),
        unreached: Some(&mut unreached),
        recording: recording.as_mut(),
        reserved: std::mem::take(&mut session.reserved),
        started: detached.map(|_| &started as &dyn Fn()),
    };
    if arguments.progress && is_in_the_way() {
        session.say(OCCUPIED);
    }
    match execute(&plan, observer, session, reporting) {
        Ok(outcome) => {
            let mut denials = denial::explain(&refused, profile, &session.sources);
            let files = why::explain_failed(&failed, profile, &plan, host, &session.sources);
            denials.extend(files);
            let others = refused.others + failed.others;
            tell(&denials, others, session);
            reporting.denied(&denials, others);
            let denied = egress::explain(&unreached, profile, &session.sources);
            tell_unreached(&denied, unreached.others, session);
            reporting.unreached(&denied, unreached.others);
            hint(&plan, session);
            if let Some(line) = outcome.line(&plan, &session.sources) {
                session.say(&line);
            }
            reporting.ended(outcome, &measured, profile, &plan, session);
            if let Some(recording) = recording {
                recording.ended(outcome.exit_code(), outcome.word());
            }
            if stats {
                let took = reporting.elapsed();
                for line in summary::lines(outcome, &measured, took, &plan) {
                    session.say(&line);
                }
            }
            Ok(outcome.exit_code())
        }
        Err(failure) => {
            if let Some(stderr) = caller.as_ref().and_then(|caller| caller.take()) {
                // It has not been told yet that the command runs, and never will be.
                let _ = nix::unistd::dup2_stderr(stderr);
            }
            reporting.failed(&plan, &failure);
            let mut problems = Diagnostics::default();
            problems.push(failure.diagnostic(&plan));
            Err(Refused {
                problems,
                code: failure.exit_code(&plan),
            })
        }
    }
}

/// Why there is no `--progress`.
const OCCUPIED: &str = "no progress is shown where the command writes to a terminal itself: send its output elsewhere, as in `sandbox --progress -- make >log 2>&1`";

fn execute<'p>(
    plan: &'p Plan,
    observer: Observer<'p>,
    session: &Session,
    reporting: &mut Reporting,
) -> Result<Outcome, Failure> {
    let reporting = RefCell::new(reporting);
    let say = |step: &Step, why: &str| {
        session.without(step, why);
        // What became of the output is no step that was done without.
        if !matches!(step.op, Op::MakePipes { .. } | Op::RelayTerminal { .. }) {
            reporting.borrow_mut().without(step, why, session);
        }
    };
    supervisor::execute_observed(plan, &say, observer)
}

/// Says where the changes are that are kept, if there are any, and whether all of them may be.
fn hint(plan: &Plan, session: &Session) {
    for step in &plan.steps {
        let Op::KeepChanges { kept, .. } = &step.op else {
            continue;
        };
        let (source, name) = (kept.source.display(), &kept.name);
        if store::is_full(kept) {
            let store = kept.store.display();
            session.say(&format!(
                "the file system of {store} is full: what the command could not write there is not among the changes to {source}"
            ));
        }
        if store::is_unsynced(kept) {
            session.say(&format!(
                "the changes to {source} could not be written to the disk: they are lost when the machine goes down"
            ));
        }
        if store::has_changes(kept) {
            session.say(&match &kept.unpacked {
                None => format!(
                    "changes to {source} are kept: `sandbox changes diff {name}` shows them, `sandbox changes apply {name}` takes them over"
                ),
                Some(_) => format!(
                    "changes to the unpacked root are kept for the next run: `sandbox changes diff {name}` shows them, `sandbox changes discard {name}` removes them"
                ),
            });
        }
    }
}

/// How many refused calls are told of; the rest is counted.
const MOST: usize = 40;

/// Says which calls were refused, and what to write to allow them.
fn tell(denials: &[Denial], others: u64, session: &Session) {
    for denial in denials.iter().take(MOST) {
        for line in denial.to_string().lines() {
            session.say(line);
        }
    }
    let left = denials
        .iter()
        .skip(MOST)
        .map(|denial| denial.times)
        .sum::<u64>()
        + others;
    if left > 0 {
        session.say(&format!("denied: {left} more calls of other kinds"));
    }
}

/// The same for what of the network was not reached.
fn tell_unreached(denied: &[Denied], others: u64, session: &Session) {
    for one in denied.iter().take(MOST) {
        for line in one.to_string().lines() {
            session.say(line);
        }
    }
    let left = denied.iter().skip(MOST).map(|one| one.times).sum::<u64>() + others;
    if left > 0 {
        session.say(&format!("denied: {left} more attempts to reach something"));
    }
}

fn needs_pid_namespace(profile: &Profile) -> Diagnostic {
    let message =
        "a sandbox that is kept open needs a pid namespace of its own, whose end ends all inside";
    Diagnostic::new(Code::Needs, &profile.namespaces.pid.origin, message)
        .help("write `pid = \"new\"` under [namespaces]")
}

fn nothing_to_run() -> Diagnostic {
    let message = "nothing to run: no command follows `--`, and the profile names none";
    Diagnostic::new(Code::NoCommand, &Origin::CommandLine, message).help(
        "write it after `--`, as in `sandbox -- make`, or as `command` under [process]; `sandbox --help` says what else there is",
    )
}
