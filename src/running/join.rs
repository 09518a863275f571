//! The plan of whoever joins a running sandbox: enters its group and its namespaces, and then goes
//! through the very steps that confine its command.
//!
//! Whoever is inside may have every capability in its user namespace, and sees who comes in. So a
//! joiner hides before (Op::Hide): it is not dumpable then, and its memory belongs to the user
//! namespace outside, where nobody inside has a capability (ptrace(2)). It is found in no `/proc`
//! of the inside that anything here would read: namespaces are entered by descriptors that the
//! supervisor of the sandbox has held since it was made, each compared with its number.

use super::live::Live;
use super::paused;
use super::record::{Namespace, Record};
use crate::diag::Origin;
use crate::host;
use crate::plan::draft::shared_streams;
use crate::plan::op::{NamespaceKind, Op, Over, Slot, Stream};
use crate::plan::order::Actor;
use crate::plan::terminal::{OwnTerminal, WhoJoins};
use crate::plan::{Phase, Plan, Step, Watch};
use crate::profile::value::StopSignal;
use crate::sections::namespaces::KINDS;
use crate::sys::{descriptor, terminal};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// A plan, and the descriptors that it names.
#[derive(Debug)]
pub struct Joining {
    /// The plan.
    pub plan: Plan,
    /// Held as long as the plan is performed.
    pub namespaces: Vec<OwnedFd>,
}

/// Why nobody can join, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotJoin {
    /// The sentence.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// The plan for a command in a sandbox that runs; `terminal` says whether it has one of its own, where the caller
/// has said so.
///
/// # Errors
/// Its namespaces cannot be had, its record is none of this version's, or it can have no terminal.
pub fn plan(
    record: &Record,
    live: &Live,
    terminal: Option<bool>,
    command: &[CString],
) -> Result<Joining, CannotJoin> {
    shares(record, live)?;
    let streams = Streams::of(record, own_terminal(record, terminal)?);
    let mut entered = Vec::new();
    let mut held = Vec::new();
    let own = record.namespaces.iter().map(|one| (Phase::Join, one));
    // The command is in there, and init is not.
    let inner = record.inner.iter().map(|one| (Phase::EnterInner, one));
    for (phase, namespace) in own.chain(inner) {
        let (kind, fd) = open(namespace, live)?;
        let op = Op::EnterNamespace {
            kind,
            descriptor: fd.as_raw_fd(),
            inode: namespace.inode,
        };
        entered.push((phase, op));
        held.push(fd);
    }
    if paused::is_possible(record) {
        let op = Op::RefusePaused {
            init: record.init,
            supervisor: live.pid,
        };
        entered.push((Phase::Release, op));
    }
    // All of that was the supervisor's, if it still lives: a process that lives keeps its number.
    if live.ended(Some(Duration::ZERO)) {
        return Err(just_ended());
    }
    let plan = build(record, entered, streams, command).ok_or_else(|| CannotJoin {
        message: format!("the record of {} is not understood", record.called()),
        help: "was it started by another version of sandbox? Use that one".into(),
    })?;
    Ok(Joining {
        plan,
        namespaces: held,
    })
}

/// What becomes of the standard streams of whoever joins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams {
    /// The slots of the ends of pipes for the standard output and the standard error.
    pub pipes: [Option<Slot>; 2],
    /// Which of the two are a terminal's that is handed only what it displays.
    pub displayed: [bool; 2],
    /// Whether nothing is read, since that would be a terminal that the command shall not have.
    pub empty_input: bool,
    /// A terminal of the command's own.
    pub terminal: Option<OwnTerminal>,
}

/// The terminal of whoever joins, where it is to have one of its own.
fn own_terminal(record: &Record, asked: Option<bool>) -> Result<Option<OwnTerminal>, CannotJoin> {
    let watch = &record.watch;
    let caller = match (asked, watch.terminal) {
        (Some(false), _) | (None, WhoJoins::IfAsked | WhoJoins::Never) => return Ok(None),
        (Some(true), _) => host::terminal::any(),
        (None, WhoJoins::AtTerminal) => match host::terminal::interactive() {
            None => return Ok(None),
            terminal => terminal,
        },
    };
    let refused = |message: &str, help: &str| CannotJoin {
        message: message.into(),
        help: help.into(),
    };
    match watch.terminals {
        _ if watch.terminal == WhoJoins::Never => Err(refused(
            "the profile of the sandbox gives a command no terminal of its own: `terminal = \"none\"` or `session = \"inherit\"`",
            "leave out `--tty`, or start the sandbox with `terminal = \"auto\"` and `session = \"new\"`",
        )),
        Some(owner) => Ok(Some(OwnTerminal {
            caller,
            owner,
            displayed: watch.is_displayed,
        })),
        None if asked.is_none() => Ok(None),
        None => Err(refused(
            "nothing is mounted on the sandbox's /dev/pts in which there could be a terminal",
            "leave out `--tty`, or start the sandbox with a profile that leaves /dev/pts to [devices]",
        )),
    }
}

impl Streams {
    /// Which streams go to files and terminals that the command shall not have: what goes to one place goes through
    /// one pipe.
    fn of(record: &Record, own: Option<OwnTerminal>) -> Self {
        let watch = &record.watch;
        let is_own = |number: Stream| {
            let streams = own.map_or([false; 3], |own| own.streams());
            (0..3).zip(streams).any(|(n, is)| n == number && is)
        };
        let terminal = |number| match watch.keeps_terminals_away && !is_own(number) {
            true => terminal::device(number).ok(),
            false => None,
        };
        let file = |number| match watch.relays_files {
            true if is_own(number) => None,
            true => match descriptor::kind(number) {
                Ok(descriptor::Kind::File(device, inode)) => Some((device, inode)),
                _ => None,
            },
            false => None,
        };
        let place = |number| (file(number), terminal(number));
        let [one, other] = [place(1), place(2)];
        let stdout = (one != (None, None)).then_some(record.slots);
        let stderr = match other {
            (None, None) => None,
            other if other == one => stdout,
            _ => Some(record.slots + 1),
        };
        Self {
            pipes: [stdout, stderr],
            displayed: [one, other].map(|(_, to)| to.is_some() && watch.is_displayed),
            empty_input: terminal(0).is_some(),
            terminal: own,
        }
    }
}

/// The plan, given what it does with the namespaces as they are now and what becomes of the streams; `None` for a
/// record that is not understood.
#[must_use]
pub fn build(
    record: &Record,
    entered: Vec<(Phase, Op)>,
    own: Streams,
    command: &[CString],
) -> Option<Plan> {
    let mut steps = Vec::new();
    let mut add = |phase, op| {
        steps.push(Step {
            phase,
            op,
            origin: Origin::CommandLine,
        });
    };
    for (phase, op) in entered {
        add(phase, op);
    }
    if !record.groups.is_empty() {
        add(Phase::Group, Op::OpenGroup(record.groups.clone()));
    }
    if !record.groups.v1.is_empty() {
        add(Phase::Approach, Op::JoinGroups);
    }
    add(
        Phase::Clone,
        Op::CloneInit {
            namespaces: Vec::new(),
            into_group: record.groups.v2.is_some(),
        },
    );
    add(Phase::Release, Op::Release);
    add(Phase::Tether, Op::DieWithSupervisor);
    add(Phase::AwaitRelease, Op::AwaitRelease);
    if let Some(terminal) = &own.terminal {
        // A process group whose parent is in another session cannot be stopped from its terminal.
        add(Phase::Fork, Op::ForkBesideInit);
        add(Phase::ProcessSettings, Op::NewProcessGroup);
        add(Phase::DeathSignal, Op::DieWithInit);
        for (phase, op) in terminal.steps(record.slots + 2, [true; 3]) {
            add(phase, op);
        }
    } else {
        add(Phase::DeathSignal, Op::DieWithSupervisor);
    }
    let mut hide = vec![Step {
        phase: Phase::Approach,
        op: Op::Hide,
        origin: Origin::CommandLine,
    }];
    let mut bound = None;
    for saved in &record.confinement {
        let mut step = saved.restore(command)?;
        match step.op {
            Op::MakePipes { .. } => bound = Some(step),

            // Entered by the descriptor above.
            Op::EnterInnerUser => continue,
            // Their files are the caller's until it hides.
            Op::SetOwnOomScore(_) | Op::SetCoredumpFilter(_) => {
                step.phase = Phase::Approach;
                hide.insert(0, step);
            }
            _ => steps.push(step),
        }
    }
    steps.extend(hide);
    // A bound is one on both.
    let mut is_bound = false;
    let (streams, most, over, origin) = match bound {
        Some(Step {
            op: Op::MakePipes { most, over, .. },
            origin,
            ..
        }) => {
            let [_, stdout, stderr] = own.terminal.map_or([false; 3], |own| own.streams());
            let both = [(stdout, 0), (stderr, 1)];
            let both = both.map(|(own, slot)| (!own).then_some(record.slots + slot));
            is_bound = true;
            (both, most, over, origin)
        }
        _ => (
            own.pipes,
            None,
            Over::Cut,
            Origin::Default("process.output_files"),
        ),
    };
    if is_bound || streams != [None, None] {
        steps.extend(pipes(streams, most, over, own.displayed, &origin));
    }
    if own.empty_input {
        steps.push(Step {
            phase: Phase::Streams,
            op: Op::TakeEmptyInput,
            origin: Origin::Default("process.terminal"),
        });
    }
    keep_flags(&mut steps);
    Some(Plan {
        steps,
        slots: record.slots + 3,
        notes: Vec::new(),
        watch: Watch {
            grace: match record.watch.grace {
                u64::MAX => Duration::MAX,
                grace => Duration::from_millis(grace),
            },
            stop_signal: StopSignal(record.watch.stop_signal),
            new_session: record.watch.new_session,
            new_pid_namespace: record.watch.new_pid_namespace,
            init: own.terminal.is_some(),
            terminal: own.terminal.is_some(),
            ..Watch::default()
        },
    })
}

fn just_ended() -> CannotJoin {
    CannotJoin {
        message: "the sandbox has just ended".into(),
        help: "`sandbox ps` shows what runs".into(),
    }
}

/// Opens a namespace by the descriptor that the supervisor has of it.
pub(super) fn open(
    namespace: &Namespace,
    live: &Live,
) -> Result<(NamespaceKind, OwnedFd), CannotJoin> {
    let Namespace {
        kind,
        inode,
        descriptor,
    } = namespace;
    let refused = |why: String| {
        if live.ended(Some(Duration::ZERO)) {
            return just_ended();
        }
        CannotJoin {
            message: format!("cannot open the sandbox's namespace {kind}:[{inode}]: {why}"),
            help: "join it as the user who has started it, with the same rights".into(),
        }
    };
    let known = KINDS.iter().find(|known| known.name == kind);
    let known = known.ok_or_else(|| refused("there is no such kind".into()))?;
    let path = format!("/proc/{}/fd/{descriptor}", live.pid);
    // Only a namespace is opened: what else may be there could wait, or have an effect.
    let link = std::fs::read_link(&path).map_err(|why| refused(why.to_string()))?;
    let other = || refused("its supervisor has another file there".into());
    if link.to_str() != Some(&format!("{kind}:[{inode}]")) {
        return Err(other());
    }
    let file = File::open(&path).map_err(|why| refused(why.to_string()))?;
    let found = file.metadata().map_err(|why| refused(why.to_string()))?;
    if found.ino() != *inode {
        return Err(other());
    }
    Ok((*known, file.into()))
}

/// What the sandbox shares with who started it, this process has to share with that one.
fn shares(record: &Record, live: &Live) -> Result<(), CannotJoin> {
    for kind in KINDS {
        if record.namespaces.iter().any(|own| own.kind == kind.name) {
            continue;
        }
        let of = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/{}", kind.name));
        let (theirs, ours) = (of(&live.pid.to_string()), of("self"));
        // A kind that the kernel does not know is nobody's.
        if theirs.as_ref().ok() != ours.as_ref().ok() {
            return Err(CannotJoin {
                message: format!(
                    "the sandbox shares the {} namespace with who has started it, and this process is in another one",
                    kind.name
                ),
                help: "start `sandbox exec` where the sandbox was started".into(),
            });
        }
    }
    Ok(())
}

/// Has a plan keep a record in this folder.
pub fn keep_record(plan: &mut Plan, folder: PathBuf, record: &Record) {
    let kinds = own_kinds(plan);
    let claim = Op::ClaimRecord {
        folder,
        id: record.id.clone(),
        name: record.name.clone(),
    };
    for (phase, op) in [
        (Phase::Record, claim),
        (Phase::Shown, Op::ShowNamespaces(kinds.clone())),
        (Phase::Recorded, Op::WriteRecord(kinds)),
    ] {
        plan.steps.push(Step {
            phase,
            op,
            origin: Origin::CommandLine,
        });
    }
    plan.steps.sort_by_key(|step| step.phase);
}

/// What of the output of a run that is detached is kept, where its profile does not bound it.
pub const LOG: u64 = 16 << 20;

/// Pipes for these streams.
fn pipes(
    [stdout, stderr]: [Option<Slot>; 2],
    most: Option<u64>,
    over: Over,
    displayed: [bool; 2],
    origin: &Origin,
) -> [Step; 2] {
    let make = Op::MakePipes {
        stdout,
        stderr,
        most,
        over,
        displayed,
    };
    [
        (Phase::Output, make),
        (Phase::Streams, Op::TakePipes { stdout, stderr }),
    ]
    .map(|(phase, op)| Step {
        phase,
        op,
        origin: origin.clone(),
    })
}

/// Adds what remembers the flags of the streams that the command has, and puts the steps in order.
fn keep_flags(steps: &mut Vec<Step>) {
    steps.retain(|step| !matches!(step.op, Op::KeepFlags(_)));
    let op = Op::KeepFlags(shared_streams(steps).collect());
    steps.push(Step {
        phase: Phase::Output,
        op,
        origin: Origin::Default("process.streams"),
    });
    steps.sort_by_key(|step| step.phase);
}

/// Has a plan hand on both streams within a bound, as log files need it.
pub fn bound_output(plan: &mut Plan) {
    let mut bound = (None, Over::Cut, Origin::CommandLine);
    let own = |plan: &Plan, number: Stream| {
        plan.steps.iter().any(
            |step| matches!(&step.op, Op::TakeStream { streams, .. } if streams.contains(&number)),
        )
    };
    // A file of its own needs no pipe.
    let streams =
        [1, 2].map(|number| (!own(plan, number)).then_some(plan.slots + number as usize - 1));
    plan.steps.retain(|step| match &step.op {
        Op::MakePipes { most, over, .. } => {
            if most.is_some() {
                bound = (*most, *over, step.origin.clone());
            }
            false
        }
        Op::TakePipes { .. } => false,
        _ => true,
    });
    let (most, over, origin) = bound;
    plan.slots += 2;
    if streams != [None, None] {
        plan.steps.extend(pipes(
            streams,
            most.or(Some(LOG)),
            over,
            [false; 2],
            &origin,
        ));
    }
    keep_flags(&mut plan.steps);
}

/// Has a plan come to no command: init stays, and others may join.
pub fn stay_open(plan: &mut Plan) {
    let of_command = |step: &Step| {
        step.phase.actor() == Actor::Payload
            || step.phase == Phase::Fork
            || matches!(
                step.op,
                Op::MakePipes { .. }
                    | Op::KeepFlags(_)
                    | Op::OpenStream { .. }
                    | Op::OpenProgram { .. }
            )
    };
    plan.steps.retain(|step| !of_command(step));
    plan.steps.push(Step {
        phase: Phase::Fork,
        op: Op::Stay,
        origin: Origin::CommandLine,
    });
    plan.steps.sort_by_key(|step| step.phase);
    plan.watch.init = true;
}

/// The namespaces that a plan makes or joins.
#[must_use]
pub fn own_kinds(plan: &Plan) -> Vec<NamespaceKind> {
    let has = |kind: &NamespaceKind| {
        plan.steps.iter().any(|step| match &step.op {
            Op::CloneInit { namespaces, .. } | Op::MakeInnerUser { namespaces, .. } => {
                namespaces.contains(kind)
            }
            Op::JoinNamespace { kind: joined, .. } | Op::JoinSandbox { kind: joined, .. } => {
                joined == kind
            }
            Op::UnshareCgroupNamespace => kind.flag == libc::CLONE_NEWCGROUP,
            Op::UnshareTimeNamespace => kind.flag == libc::CLONE_NEWTIME,
            _ => false,
        })
    };
    KINDS.into_iter().filter(has).collect()
}
