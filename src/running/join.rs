//! The plan of whoever joins a running sandbox: enters its group and its namespaces, and then goes
//! through the very steps that confine its command.
//!
//! Whoever is inside may have every capability in its user namespace, and sees who comes in. So a
//! joiner hides before (Op::Hide): it is not dumpable then, and its memory belongs to the user
//! namespace outside, where nobody inside has a capability (ptrace(2)). It is found in no `/proc`
//! of the inside that anything here would read: namespaces are entered by descriptors that the
//! supervisor of the sandbox has held since it was made, each compared with its number.

use super::live::Live;
use super::record::{Namespace, Record};
use crate::diag::Origin;
use crate::host::Host;
use crate::plan::draft::shared_streams;
use crate::plan::op::{NamespaceKind, Op, Over, Slot};
use crate::plan::order::Actor;
use crate::plan::{Phase, Plan, Step, Watch};
use crate::sections::namespaces::KINDS;
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

/// The plan for a command in a sandbox that runs.
///
/// # Errors
/// Its namespaces cannot be had, or its record is none of this version's.
pub fn plan(record: &Record, live: &Live, command: &[CString]) -> Result<Joining, CannotJoin> {
    shares(record, live)?;
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
    // All of that was the supervisor's, if it still lives: a process that lives keeps its number.
    if live.ended(Some(Duration::ZERO)) {
        return Err(just_ended());
    }
    let plan = build(record, entered, files(record), command).ok_or_else(|| CannotJoin {
        message: format!("the record of {} is not understood", record.called()),
        help: "was it started by another version of sandbox? Use that one".into(),
    })?;
    Ok(Joining {
        plan,
        namespaces: held,
    })
}

/// Which of the standard output and the standard error are pipes, since they go to files that the command
/// shall not have: the slots of their ends. Into one file goes one pipe.
fn files(record: &Record) -> [Option<Slot>; 2] {
    let host = Host::here();
    let file = |number| {
        let file = host.written_file(number);
        file.filter(|_| record.watch.relays_files)
    };
    let [one, other] = [file(1), file(2)];
    let stdout = one.map(|_| record.slots);
    let stderr = match other {
        Some(_) if other == one => stdout,
        other => other.map(|_| record.slots + 1),
    };
    [stdout, stderr]
}

/// The plan, given the operations that enter the namespaces and the streams that have a pipe; `None` for a
/// record that is not understood.
#[must_use]
pub fn build(
    record: &Record,
    entered: Vec<(Phase, Op)>,
    files: [Option<Slot>; 2],
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
    add(Phase::DeathSignal, Op::DieWithSupervisor);
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
            // Its file is the caller's until it hides.
            Op::SetOwnOomScore(_) => {
                step.phase = Phase::Approach;
                hide.insert(0, step);
            }
            _ => steps.push(step),
        }
    }
    steps.extend(hide);
    // A bound is one on both.
    let (streams, most, over, origin) = match bound {
        Some(Step {
            op: Op::MakePipes { most, over, .. },
            origin,
            ..
        }) => {
            let both = [Some(record.slots), Some(record.slots + 1)];
            (both, most, over, origin)
        }
        _ => (
            files,
            None,
            Over::Cut,
            Origin::Default("process.output_files"),
        ),
    };
    if streams != [None, None] {
        steps.extend(pipes(streams, most, over, &origin));
    }
    keep_flags(&mut steps);
    Some(Plan {
        steps,
        slots: record.slots + 2,
        notes: Vec::new(),
        watch: Watch {
            grace: Duration::from_millis(record.watch.grace),
            new_session: record.watch.new_session,
            new_pid_namespace: record.watch.new_pid_namespace,
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
fn open(namespace: &Namespace, live: &Live) -> Result<(NamespaceKind, OwnedFd), CannotJoin> {
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
    origin: &Origin,
) -> [Step; 2] {
    let make = Op::MakePipes {
        stdout,
        stderr,
        most,
        over,
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
    let both = [Some(plan.slots), Some(plan.slots + 1)];
    plan.slots += 2;
    plan.steps
        .extend(pipes(both, most.or(Some(LOG)), over, &origin));
    keep_flags(&mut plan.steps);
}

/// Has a plan come to no command: init stays, and others may join.
pub fn stay_open(plan: &mut Plan) {
    let of_command = |step: &Step| {
        step.phase.actor() == Actor::Payload
            || step.phase == Phase::Fork
            || matches!(step.op, Op::MakePipes { .. } | Op::KeepFlags(_))
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
            Op::JoinNamespace { kind: joined, .. } => joined == kind,
            Op::UnshareCgroupNamespace => kind.flag == libc::CLONE_NEWCGROUP,
            Op::UnshareTimeNamespace => kind.flag == libc::CLONE_NEWTIME,
            _ => false,
        })
    };
    KINDS.into_iter().filter(has).collect()
}
