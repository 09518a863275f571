//! The plans: generated profiles on generated machines. Nothing here needs a privilege.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corpus;
mod groups;
mod keys;
mod listed;
mod machines;
mod profiles;
mod review;
mod show;

use machines::{Machine, machine};
use profiles::profile;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sandbox::diag::{Diagnostics, Origin, Source, Sources};
use sandbox::plan::draft::Command;
use sandbox::plan::op::landlock::{REFER, TRUNCATE, WRITE_FILE};
use sandbox::plan::op::{NewRoot, Op, TerminalOwner, Upper};
use sandbox::plan::order::{Phase, RULES};
use sandbox::plan::terminal::OwnTerminal;
use sandbox::plan::{Actor, Attempt, Plan, Step, explain};
use sandbox::profile::overlay::Overlay;
use sandbox::running::{Record, join, saved};
use sandbox::sections;
use sandbox::sys::mount::Attributes;
use sandbox::sys::process::StringArray;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// The plan of a text on a machine, as the program makes it.
fn plan(text: &str, machine: &Machine) -> Result<Plan, Diagnostics> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let overlay = Overlay::default();
    let loaded = sections::load(&mut sources, id, &machine.variables(), &overlay);
    let result = loaded.and_then(|(profile, _)| {
        let words = [c"true".into(), c"-v".into()];
        let given = || Command::new(words, &Origin::CommandLine);
        let command = profile.process.command().unwrap_or_else(given);
        sections::build(&profile, &machine.host(), &command)
    });
    match &result {
        // What can be planned can be printed, and what is wrong can be said.
        Ok(plan) => assert!(!explain::text(plan, &sources, true).is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty());
            let said = problems.clone().render(&sources, false);
            for problem in problems.clone().sorted() {
                assert!(problem.help.is_some(), "no remedy: {said}");
            }
        }
    }
    result
}

/// What an operation of the mounts phase makes or covers, relative to the root.
fn place(op: &Op) -> Option<(PathBuf, bool)> {
    let path = |text: &CStr| PathBuf::from(text.to_str().unwrap());
    Some(match op {
        Op::MakeDirectory(name, _)
        | Op::MakeFile(name)
        | Op::MakeSymlink(name, _)
        | Op::ProvideMountPoint { name, .. } => (path(&name.parent).join(path(&name.name)), false),
        Op::DressDirectory(target, _) => (path(target), false),
        Op::MountFilesystem { target, .. }
        | Op::AttachSource { target, .. }
        | Op::MountOverlay { target, .. }
        | Op::Protect { target, .. } => (path(target), true),
        _ => return None,
    })
}

fn parents_come_before_children(plan: &Plan) {
    let mounts: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Mounts)
        .map(|step| {
            (
                place(&step.op).expect("a step of the mounts phase has a place"),
                step,
            )
        })
        .collect();
    for (index, ((later, is_mount), step)) in mounts.iter().enumerate() {
        assert!(
            !later.as_os_str().is_empty(),
            "a mount on the root: {step:?}"
        );
        let clean = later
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_)));
        assert!(
            clean,
            "a target that does not lie beneath the root: {step:?}"
        );
        for ((earlier, earlier_is_mount), _) in mounts.iter().take(index) {
            let hides = *is_mount && earlier.starts_with(later);
            let on_its_mount_point = earlier == later && !earlier_is_mount;
            assert!(
                !hides || on_its_mount_point,
                "{step:?} hides {}",
                earlier.display()
            );
        }
    }
}

fn slots_are_opened_before_they_are_used(plan: &Plan) {
    let mut open = vec![false; plan.slots];
    let mut used = vec![false; plan.slots];
    for step in &plan.steps {
        match &step.op {
            Op::StageSecret { slot, secret, .. } => {
                assert!(open[*secret], "used before it is opened: {step:?}");
                assert!(!std::mem::replace(&mut used[*secret], true), "{step:?}");
                assert!(!std::mem::replace(&mut open[*slot], true), "{step:?}");
            }
            Op::OpenSource { slot, .. }
            | Op::TakeSecret { slot, .. }
            | Op::MakeNode { slot, .. }
            | Op::StageFile { slot, .. }
            | Op::OpenProgram { slot, .. }
            | Op::MakeIdmap { slot, .. } => {
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::MakePipes { stdout, stderr, .. } => {
                for slot in stdout.iter().chain(stderr) {
                    open[*slot] = true;
                }
            }
            Op::TakePipes { stdout, stderr } => {
                let mut all = stdout.iter().chain(stderr);
                assert!(all.all(|slot| open[*slot]), "{step:?}");
            }
            Op::OpenStream {
                slot: Some(slot), ..
            } => {
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::TakeStream { slot, .. } => assert!(open[*slot], "{step:?}"),
            Op::Restrict(rules) => {
                assert!(rules.program.iter().all(|slot| open[*slot]), "{step:?}");
            }
            Op::OpenTerminal { slot, .. } => {
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::ControlTerminal { slot } | Op::TakeTerminal { slot, .. } => {
                assert!(open[*slot], "{step:?}");
            }
            Op::OpenMapped { slot, idmap, .. } => {
                assert!(open[*idmap], "a map that is not there: {step:?}");
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::AttachSource { slot, .. } | Op::AttachRoot(NewRoot::Tree(slot, _)) => {
                assert!(open[*slot], "used before it is opened: {step:?}");
                assert!(
                    !std::mem::replace(&mut used[*slot], true),
                    "used twice: {step:?}"
                );
            }
            Op::AttachRoot(NewRoot::Overlay(lower, upper, _))
            | Op::MountOverlay { lower, upper, .. } => {
                let upper = match upper {
                    Upper::Disk(slot) => Some(slot),
                    Upper::Memory(_) => None,
                };
                for slot in std::iter::once(lower).chain(upper) {
                    assert!(open[*slot], "used before it is opened: {step:?}");
                    let used = std::mem::replace(&mut used[*slot], true);
                    assert!(!used, "used twice: {step:?}");
                }
            }
            _ => {}
        }
    }
}

/// What is made on the host is made before anything is opened or provided there, is opened by a
/// mount of the profile, and neither follows a link where it was made.
fn what_is_made_is_a_source(plan: &Plan) {
    for (number, step) in plan.steps.iter().enumerate() {
        let Op::MakeSource { tree, missing, .. } = &step.op else {
            continue;
        };
        assert!(!step.origin.is_default(), "nobody asked for it: {step:?}");
        let (tree, missing) = (tree.to_str().unwrap(), missing.to_str().unwrap());
        assert!(
            tree.starts_with('/') && !missing.starts_with('/'),
            "{step:?}"
        );
        let upwards = missing
            .split('/')
            .any(|name| matches!(name, ".." | "." | ""));
        assert!(!upwards, "{step:?}");
        let provided = |op: &Op| matches!(op, Op::MakeMountPoint { .. });
        let earlier = plan.steps.iter().take(number);
        assert_eq!(earlier.filter(|step| provided(&step.op)).count(), 0);
        let opened = plan.steps.iter().any(|step| match &step.op {
            Op::OpenSource { source, .. } | Op::OpenMapped { source, .. } => {
                source.trusted.to_str() == Ok(tree)
                    && source
                        .beneath
                        .as_ref()
                        .is_some_and(|b| b.to_str() == Ok(missing))
            }
            _ => false,
        });
        // A read-only source in which something is mounted is made anew inside, entry by entry.
        let is_anew =
            |other: &Step| other.origin == step.origin && matches!(other.op, Op::MakeDirectory(..));
        let anew = plan.steps.iter().any(is_anew);
        assert!(
            opened || anew,
            "{step:?} is opened otherwise, or not at all"
        );
    }
}

fn count(plan: &Plan, is: impl Fn(&Op) -> bool) -> usize {
    plan.steps.iter().filter(|step| is(&step.op)).count()
}

fn the_order_holds(plan: &Plan) {
    assert!(plan.steps.is_sorted_by_key(|step| step.phase));
    for rule in RULES {
        let last = plan
            .steps
            .iter()
            .rposition(|step| step.phase == rule.before);
        let first = plan.steps.iter().position(|step| step.phase == rule.after);
        if let (Some(last), Some(first)) = (last, first) {
            assert!(last < first, "{}", rule.because);
        }
    }
}

/// An attempt, a call and an execution: one for each way in which a test changes a plan.
fn attempts() -> [Attempt; 3] {
    let strings = |all: &[&CStr]| StringArray::new(all.iter().map(|s| (*s).into()).collect());
    [
        Attempt::See(c"/usr".into()),
        Attempt::Call {
            name: "mount",
            number: 165,
            arguments: [0; 6],
        },
        Attempt::Execute {
            candidates: vec![c"/bin/sh".into()],
            arguments: strings(&[c"sh"]),
            environment: strings(&[]),
        },
    ]
}

/// What `sandbox test` performs is the plan of a run, but for what takes the place of the command.
fn attempts_differ_in_the_end_only(plan: &Plan) {
    let own = [Phase::AsExecuted, Phase::Stop, Phase::Exec];
    let common = |plan: &Plan| -> Vec<_> {
        let steps = plan.steps.iter().filter(|step| !own.contains(&step.phase));
        // The same filter with a listener: a stop shows what the filter answers by itself.
        // No file is emptied, and who only tries something gains nothing.
        let steps = steps.filter(|step| {
            !matches!(
                step.op,
                Op::TellRefusals { .. }
                    | Op::OpenStream { .. }
                    | Op::TakeStream { .. }
                    | Op::OpenProgram { .. }
                    | Op::NoNewPrivileges
            )
        });
        // What installs a filter without no_new_privs.
        let steps = steps.cloned().map(|mut step| {
            match &mut step.op {
                Op::SetCapabilities { sets, .. } => {
                    sets.permitted &= !SYS_ADMIN;
                    sets.effective &= !SYS_ADMIN;
                }
                Op::Restrict(rules) => rules.program = None,
                _ => {}
            }
            step
        });
        steps.collect()
    };
    /// `CAP_SYS_ADMIN`.
    const SYS_ADMIN: u64 = 1 << 21;
    for attempt in attempts() {
        let tried = plan
            .clone()
            .attempting(attempt.clone(), &Origin::CommandLine);
        the_order_holds(&tried);
        assert_eq!(common(&tried), common(plan));
        assert_eq!((tried.slots, &tried.notes), (plan.slots, &plan.notes));
        assert_eq!(count(&tried, |op| matches!(op, Op::Exec { .. })), 0);
        assert_eq!(count(&tried, |op| matches!(op, Op::ShedAsExec { .. })), 1);
        assert_eq!(count(&tried, |op| matches!(op, Op::TellRefusals { .. })), 0);
        assert_eq!(count(&tried, |op| matches!(op, Op::NoNewPrivileges)), 1);
        // What is not opened is in no rule.
        let named = |op: &Op| matches!(op, Op::Restrict(rules) if rules.program.is_some());
        assert_eq!(count(&tried, named), 0);
        let last = tried.steps.last().map(|step| &step.op);
        assert_eq!(last, Some(&Op::Attempt(attempt)));
    }
}

/// The plan with a record, and that of whoever joins the run, by way of the record's text.
fn recorded(plan: &Plan, streams: join::Streams) -> (Plan, Plan) {
    let confinement = saved::save(plan, &sandbox::diag::Sources::default());
    let text = serde_json::to_string(&confinement).unwrap();
    let record = Record {
        id: "0123456789ab".into(),
        confinement: serde_json::from_str(&text).unwrap(),
        slots: plan.slots,
        ..Record::default()
    };
    assert_eq!(record.confinement, confinement);
    let mut kept = plan.clone();
    join::keep_record(&mut kept, "/run/sandbox".into(), &record);
    let entered = join::own_kinds(plan).into_iter().map(|kind| {
        let (descriptor, inode) = (9, 1);
        let op = Op::EnterNamespace {
            kind,
            descriptor,
            inode,
        };
        (Phase::Join, op)
    });
    let joined = join::build(&record, entered.collect(), streams, &[c"/bin/true".into()]);
    (kept, joined.unwrap())
}

/// Whoever joins a run goes through every operation that confines its command, in the same order.
fn who_joins_is_confined_as_the_command_is(plan: &Plan) {
    let at_terminal = join::Streams {
        terminal: Some(OwnTerminal {
            caller: None,
            owner: TerminalOwner { uid: 1000, gid: 5 },
            displayed: false,
        }),
        ..join::Streams::default()
    };
    for streams in [join::Streams::default(), at_terminal] {
        joins_confined(plan, streams);
    }
}

fn joins_confined(plan: &Plan, streams: join::Streams) {
    let (kept, joined) = recorded(plan, streams);
    the_order_holds(&kept);
    the_order_holds(&joined);
    let forks = count(&joined, |op| matches!(op, Op::ForkBesideInit));
    assert_eq!(forks, usize::from(streams.terminal.is_some()));
    slots_are_opened_before_they_are_used(&joined);
    assert_eq!(kept.steps.len(), plan.steps.len() + 3);
    let payload = |plan: &Plan| -> Vec<Op> {
        let steps = plan.steps_of(Actor::Payload).map(|(_, step)| &step.op);
        let own = |op: &&Op| {
            !matches!(
                op,
                // What binds its life, and what is its own.
                Op::DieWithInit
                    | Op::DieWithSupervisor
                    | Op::NewProcessGroup
                    | Op::EnterInnerUser
                    | Op::TakePipes { .. }
                    | Op::TakeEmptyInput
                    | Op::TakeStream { .. }
                    | Op::TakeTerminal { .. }
                    | Op::Exec { .. }
            )
        };
        steps
            .filter(own)
            .cloned()
            .map(without_descriptors)
            .collect()
    };
    assert_eq!(payload(&joined), payload(plan));
    let environment = |plan: &Plan| {
        plan.steps.iter().find_map(|step| match &step.op {
            Op::Exec { environment, .. } => Some(environment.clone()),
            _ => None,
        })
    };
    assert_eq!(environment(&joined), environment(plan));
    for same in [
        |op: &Op| matches!(op, Op::NewKeyring),
        |op: &Op| matches!(op, Op::TakeIds { .. }),
        |op: &Op| matches!(op, Op::NewSession),
        |op: &Op| matches!(op, Op::SetOomScore(_) | Op::SetOwnOomScore(_)),
        |op: &Op| matches!(op, Op::SetCoredumpFilter(_)),
        |op: &Op| matches!(op, Op::RaiseRlimit { .. }),
    ] {
        assert_eq!(count(&joined, same), count(plan, same));
    }
    // It hides before it enters anything, and has made nothing.
    let at = |op: fn(&Op) -> bool| joined.steps.iter().position(|step| op(&step.op));
    let hidden = at(|op| matches!(op, Op::Hide)).unwrap();
    let first = at(|op| matches!(op, Op::EnterNamespace { .. }));
    assert!(first.is_none_or(|first| hidden < first));
    let kinds = count(&joined, |op| matches!(op, Op::EnterNamespace { .. }));
    assert_eq!(kinds, join::own_kinds(plan).len());
}

/// The descriptors that a profile keeps are those of who has started the run.
fn without_descriptors(op: Op) -> Op {
    match op {
        Op::CloseDescriptors { first, .. } => Op::CloseDescriptors {
            first,
            kept: Vec::new(),
        },
        Op::Restrict(mut rules) => {
            rules.streams.retain(|stream| *stream < 3);
            // So is a program that is executed by its descriptor.
            rules.program = None;
            Op::Restrict(rules)
        }
        op => op,
    }
}

/// What must hold for every plan.
fn check(text: &str, plan: &Plan) {
    if plan.is_preparation() {
        // Nothing of a run is planned before it is known what is in the root.
        assert_eq!(plan.steps.len(), 1, "{plan:?}");
        assert_eq!(count(plan, |op| matches!(op, Op::Unpack(_))), 1);
        return;
    }
    the_order_holds(plan);
    who_joins_is_confined_as_the_command_is(plan);
    attempts_differ_in_the_end_only(plan);
    parents_come_before_children(plan);
    slots_are_opened_before_they_are_used(plan);
    what_is_made_is_a_source(plan);

    let last = &plan.steps.last().expect("no plan is empty").op;
    assert!(matches!(last, Op::Exec { .. }), "{last:?}");
    assert_eq!(count(plan, |op| matches!(op, Op::Exec { .. })), 1);
    for (what, times) in [
        (
            "clone",
            count(plan, |op| matches!(op, Op::CloneInit { .. })),
        ),
        (
            "no_new_privs",
            count(plan, |op| matches!(op, Op::NoNewPrivileges))
                + usize::from(text.contains("new_privileges = true")),
        ),
        (
            "capabilities",
            count(plan, |op| matches!(op, Op::SetCapabilities { .. })),
        ),
        (
            "bounding set",
            count(plan, |op| matches!(op, Op::DropBounding(_))),
        ),
        (
            "descriptors",
            count(plan, |op| {
                matches!(op, Op::CloseDescriptors { first: 3, .. })
            }),
        ),
        ("signals", count(plan, |op| matches!(op, Op::ResetSignals))),
        ("uid", count(plan, |op| matches!(op, Op::SetUid(_)))),
        ("gid", count(plan, |op| matches!(op, Op::SetGid(_)))),
        (
            "working directory",
            count(plan, |op| matches!(op, Op::ChangeDirectory(_))),
        ),
    ] {
        assert_eq!(times, 1, "{what}");
    }
    let filters = count(plan, |op| matches!(op, Op::SetFilter(_)));
    let off = text.contains("preset = \"off\"")
        || plan
            .notes
            .iter()
            .any(|n| n.text.contains("system call filter"));
    assert!(filters == 1 || off && filters == 0, "{filters} filters");
    // What tells of refusals is never alone: the filter without follows it.
    assert!(count(plan, |op| matches!(op, Op::TellRefusals { .. })) <= filters);

    only_own_namespaces_are_changed(plan);
    landlock_permits_writing_where_mounts_do(plan);
}

/// What can be written to by the mounts can be by the rules of Landlock, and every rule is about such a mount; with
/// `write` under `[landlock]`, every rule is about a part of one.
fn landlock_permits_writing_where_mounts_do(plan: &Plan) {
    let path = |text: &CStr| PathBuf::from("/").join(text.to_str().unwrap());
    let rules = plan.steps.iter().find_map(|step| match &step.op {
        Op::Restrict(rules) if rules.handled.files != 0 => Some(rules),
        _ => None,
    });
    let Some(rules) = rules else { return };
    let handled = rules.handled.files;
    for rule in &rules.beneath {
        assert!(rule.access != 0 && rule.access & !handled == 0, "{rules:?}");
    }
    // What is not handled is refused all the same.
    assert_ne!(handled & REFER, 0, "{rules:?}");
    let bounded = handled & TRUNCATE != 0;
    let rules: Vec<_> = rules.trees(WRITE_FILE).map(|target| path(target)).collect();
    if handled & WRITE_FILE == 0 {
        return;
    }
    let read_only = |attributes: &Attributes| attributes.contains(Attributes::READ_ONLY);
    let mut writable = std::collections::BTreeMap::new();
    for step in &plan.steps {
        let (target, attributes) = match &step.op {
            Op::AttachRoot(NewRoot::Tmpfs(_)) => (PathBuf::from("/"), &Attributes::NOSUID),
            Op::AttachRoot(NewRoot::Tree(_, attributes) | NewRoot::Overlay(_, _, attributes)) => {
                (PathBuf::from("/"), attributes)
            }
            Op::MountFilesystem {
                target, attributes, ..
            }
            | Op::AttachSource {
                target, attributes, ..
            }
            | Op::MountOverlay {
                target, attributes, ..
            }
            | Op::SealMount { target, attributes } => (path(target), attributes),
            _ => continue,
        };
        writable.insert(target, !read_only(attributes));
    }
    let is_writable = |at: &&Path| writable.get(*at) == Some(&true);
    for target in writable.keys().filter(|at| is_writable(&at.as_path())) {
        let covered = bounded || rules.iter().any(|rule| target.starts_with(rule));
        assert!(covered, "{} is not in {rules:?}", target.display());
    }
    for rule in &rules {
        let devices = rule.starts_with("/dev");
        let within = if bounded { usize::MAX } else { 1 };
        let mut of = rule.ancestors().take(within);
        assert!(
            devices || of.any(|at| is_writable(&at)),
            "{}",
            rule.display()
        );
    }
}

/// Nothing is set up that would act on a namespace of the host.
fn only_own_namespaces_are_changed(plan: &Plan) {
    let own = |name: &str| {
        plan.steps.iter().any(|step| match &step.op {
            Op::CloneInit { namespaces, .. } | Op::MakeInnerUser { namespaces, .. } => {
                namespaces.iter().any(|kind| kind.name == name)
            }
            _ => false,
        })
    };
    for step in &plan.steps {
        let kind = match &step.op {
            Op::SetHostname(_) | Op::SetDomainname(_) => "uts",
            Op::LoopbackUp
            | Op::MakeGateNetwork
            | Op::ListenInside(_)
            | Op::ListenForNames(_)
            | Op::FilterPackets(_)
            | Op::MakePair(_)
            | Op::MakeMacvlan(_)
            | Op::AddDefaultRoute { .. }
            | Op::Translate { .. }
            | Op::StartPasta(_) => "net",
            Op::WriteIdMap { .. } | Op::DenySetgroups | Op::ForbidUserNamespaces => "user",
            Op::MakePrivate | Op::PivotRoot | Op::AttachRoot(_) | Op::DetachOldRoot => "mnt",
            Op::ForkPayload { alone: true } => "pid",
            _ => continue,
        };
        assert!(own(kind), "{step:?} without a {kind} namespace of its own");
    }
    if own("mnt") {
        for needed in [
            Phase::Propagation,
            Phase::Root,
            Phase::Pivot,
            Phase::DetachOldRoot,
        ] {
            let there = plan.steps.iter().any(|step| step.phase == needed);
            assert!(there, "{needed:?} is missing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_order(text in profile(), machine in machine()) {
        if let Ok(plan) = plan(&text, &machine) {
            check(&text, &plan);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_plan(text in profile(), machine in machine()) {
        match (plan(&text, &machine), plan(&text, &machine)) {
            (Ok(one), Ok(two)) => prop_assert_eq!(one, two),
            (Err(one), Err(two)) => prop_assert_eq!(one.sorted(), two.sorted()),
            _ => prop_assert!(false, "once a plan and once none"),
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), machine in machine()) {
        let _ = plan(&text, &machine);
    }

    #[test]
    fn any_text_that_looks_like_toml_is_read_without_a_panic(
        text in "([\\[\\]{}=\",.#\n\\\\a-c0-9 ]|version|mounts|limits|type|target|\\$\\{|user|uid_map){0,60}",
        machine in machine(),
    ) {
        let _ = plan(&text, &machine);
    }

    #[test]
    fn any_damaged_profile_is_read_without_a_panic(
        text in profile(),
        machine in machine(),
        damage in vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, damage) in damage {
            let at = at.index(text.len() + 1);
            match damage {
                Damage::Cut(n) => drop(text.drain(at..(at + n).min(text.len()))),
                Damage::Insert(new) => drop(text.splice(at..at, new.chars())),
                Damage::End => text.truncate(at),
            }
        }
        let _ = plan(&text.into_iter().collect::<String>(), &machine);
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Insert(String),
    End,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (1usize..20).prop_map(Damage::Cut),
        prop_oneof![
            ".{1,5}",
            "[\\[\\]{}=\"\n#.]",
            "-?[0-9]{1,25}",
            Just("${".to_owned()),
            Just("\\u0000".to_owned())
        ]
        .prop_map(Damage::Insert),
        Just(Damage::End),
    ]
}

/// The properties above would hold for no plans at all.
#[test]
fn enough_of_the_generated_profiles_have_a_plan() {
    let mut runner = TestRunner::deterministic();
    let (mut plans, mut made) = (0, 0);
    let mut phases = std::collections::BTreeSet::new();
    // Those of single keys besides, each on a few machines: few of two thousand have a rare one.
    let texts: Vec<_> = (0..2000)
        .map(|_| profile().new_tree(&mut runner).unwrap().current())
        .chain((0..4).flat_map(|_| listed::samples()))
        .collect();
    let all = texts.len();
    for text in texts {
        let machine = machine().new_tree(&mut runner).unwrap().current();
        if let Ok(plan) = plan(&text, &machine) {
            plans += 1;
            made += count(&plan, |op| matches!(op, Op::MakeSource { .. }));
            let tried = attempts().map(|a| plan.clone().attempting(a, &Origin::CommandLine));
            let traced = plan.clone().traced(&Origin::CommandLine);
            let (kept, joined) = recorded(&plan, join::Streams::default());
            let others = [&plan, &kept, &joined];
            for plan in tried.iter().chain(&traced).chain(others) {
                phases.extend(plan.steps.iter().map(|step| step.phase));
            }
        }
    }
    assert!(made >= 10, "{made} sources made");
    assert!(plans >= 150, "{plans} plans of {all}");
    // A generated machine has no cgroups, and no resource limits that could be raised; a generated profile has
    // neither secrets nor files to lock.
    let without = [
        Phase::Scope,
        Phase::Group,
        Phase::Limits,
        Phase::JoinGroup,
        Phase::OwnLimits,
        Phase::Secrets,
        Phase::Locks,
    ];
    let missing: Vec<_> = Phase::ALL
        .iter()
        .filter(|phase| !phases.contains(phase) && !without.contains(phase))
        .collect();
    assert!(missing.is_empty(), "never planned: {missing:?}");
}

/// Every side's steps are a part of the one list.
#[test]
fn the_sides_share_one_list() {
    let all = [
        Actor::Supervisor,
        Actor::Joiner,
        Actor::Init,
        Actor::Payload,
    ];
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let text = profile().new_tree(&mut runner).unwrap().current();
        let machine = machine().new_tree(&mut runner).unwrap().current();
        if let Ok(plan) = plan(&text, &machine) {
            let mut numbers: Vec<_> = all
                .iter()
                .flat_map(|actor| plan.steps_of(*actor).map(|(number, _)| number))
                .collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..plan.steps.len()));
        }
    }
}

/// Of a proc that shows processes and nothing else, nothing else is covered: it is not there.
#[test]
fn a_mask_in_a_part_of_proc_covers_nothing() {
    let mut runner = TestRunner::deterministic();
    let mut found = 0;
    for _ in 0..20 {
        let machine = machine().new_tree(&mut runner).unwrap().current();
        let covered = |subset: &str| {
            let text = format!(
                "[[mounts]]\ntype = \"proc\"\ntarget = \"/proc\"\n{subset}[[mounts]]\ntype = \"mask\"\ntarget = \"/proc/cpuinfo\"\n"
            );
            let plan = plan(&text, &machine).ok()?;
            let places = plan.steps.iter().filter_map(|step| place(&step.op));
            Some(places.filter(|(path, _)| path.ends_with("cpuinfo")).count())
        };
        if let (Some(whole), Some(part)) = (covered(""), covered("subset = \"pid\"\n")) {
            found += whole;
            assert_eq!(part, 0);
        }
    }
    assert!(found > 0);
}
