//! A plan in the making: sections add steps in any order, and the phases sort them.

use super::op::{IdRange, NewRoot, Op, Slot, Stream, Target, Upper};
use super::order::Phase;
use super::{Note, Plan, Step, Watch, Weight, needs};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::host::probe::Mechanism;
use crate::plan::layout::Entry;
use crate::sys::mount::Attributes;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

/// The command: what the command line names, else the profile's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The program.
    pub program: CString,
    /// What it is told that it is called (argument 0), where that is not `program`.
    pub argv0: Option<CString>,
    /// Its arguments, without the program's own name.
    pub arguments: Vec<CString>,
    /// Which line names it.
    pub origin: Origin,
}

impl Command {
    /// The program and its arguments.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = CString>, origin: &Origin) -> Self {
        let mut words = words.into_iter();
        Self {
            program: words.next().unwrap_or_default(),
            argv0: None,
            arguments: words.collect(),
            origin: origin.clone(),
        }
    }
}

/// None at all: what is planned without a command.
impl Default for Command {
    fn default() -> Self {
        Self::new([], &Origin::CommandLine)
    }
}

/// A plan in the making.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The facts.
    pub host: &'a Host,
    /// The command.
    pub command: &'a Command,
    /// What is mounted inside, collected from all sections.
    pub entries: Vec<Entry>,
    /// What the supervisor watches.
    pub watch: Watch,
    /// Whether init is cloned straight into the group.
    pub into_group: bool,
    steps: Vec<Step>,
    slots: Slot,
    idmaps: Vec<(Slot, Vec<IdRange>, Vec<IdRange>)>,
    notes: Vec<Note>,
    problems: Diagnostics,
    wanted: BTreeSet<Mechanism>,
}

/// What is said of a plan that prepares a run.
const NOT_YET: &str = "this is done once; the run is planned after it, from what the root then holds (`sandbox images unpack` does it without a run)";

/// A plan, or as much of one as there is.
#[derive(Debug, Default)]
pub struct Drafted {
    /// The operations, in order. Not to be performed where there are problems.
    pub plan: Plan,
    /// Why there is no plan; empty if there is one.
    pub problems: Diagnostics,
    wanted: BTreeSet<Mechanism>,
}

impl Drafted {
    /// The mechanisms of this machine that the profile needs, whether it has them or not.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Mechanism> {
        let mut needs = needs::of(self.plan.steps.iter().map(|step| &step.op));
        needs.extend(&self.wanted);
        needs
    }

    /// The plan; or why there is none.
    pub fn whole(mut self) -> Result<Plan, Diagnostics> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        if self.plan.is_preparation() {
            // The rest was drafted to find what is wrong with it: nobody knows yet what is in the root.
            let steps = &mut self.plan.steps;
            steps.retain(|step| matches!(step.op, Op::Unpack(_)));
            self.plan.notes.retain(|note| note.is_weaker());
            let origin = steps.first().map(|step| step.origin.clone());
            self.plan.notes.push(Note {
                text: NOT_YET.into(),
                origin: origin.unwrap_or(Origin::CommandLine),
                weight: Weight::Remark,
            });
        }
        Ok(self.plan)
    }
}

/// The standard streams of the caller that the command has, and nothing in their place.
pub fn shared_streams(steps: &[Step]) -> impl Iterator<Item = Stream> {
    let is_taken = |stream: Stream| {
        steps.iter().any(|step| match &step.op {
            Op::TakePipes { stdout, stderr } => match stream {
                1 => stdout.is_some(),
                2 => stderr.is_some(),
                _ => false,
            },
            Op::TakeStream { streams, .. } | Op::TakeTerminal { streams, .. } => {
                streams.contains(&stream)
            }
            _ => false,
        })
    };
    (0..3).filter(move |stream| !is_taken(*stream))
}

impl<'a> Draft<'a> {
    /// An empty one.
    #[must_use]
    pub fn new(host: &'a Host, command: &'a Command) -> Self {
        Self {
            host,
            command,
            entries: Vec::new(),
            watch: Watch::default(),
            into_group: false,
            steps: Vec::new(),
            slots: 0,
            idmaps: Vec::new(),
            notes: Vec::new(),
            problems: Diagnostics::default(),
            wanted: BTreeSet::new(),
        }
    }

    /// Notes a mechanism that the profile needs, where no operation would show it: because this
    /// machine lacks it, the operation is not planned.
    pub fn wants(&mut self, mechanism: impl IntoIterator<Item = Mechanism>) {
        self.wanted.extend(mechanism);
    }

    /// Adds a step.
    pub fn step(&mut self, phase: Phase, op: Op, origin: &Origin) {
        self.steps.push(Step {
            phase,
            op,
            origin: origin.clone(),
        });
    }

    /// Has the files of each file system in memory, and terminals, bear a label (`context=`, mount(8)); in a user
    /// namespace the kernel takes it for no others. Returns whether there is one.
    pub fn label_files(&mut self, context: &CString) -> bool {
        let mut labelled = false;
        for step in &mut self.steps {
            let memory = match &mut step.op {
                Op::AttachStaging(options)
                | Op::AttachRoot(
                    NewRoot::Tmpfs(options) | NewRoot::Overlay(_, Upper::Memory(options), _),
                )
                | Op::MountOverlay {
                    upper: Upper::Memory(options),
                    ..
                } => options,
                Op::MountFilesystem { kind, options, .. }
                    if [c"tmpfs", c"devpts"].contains(&kind.as_c_str()) =>
                {
                    options.push((c"context".into(), Some(context.clone())));
                    labelled = true;
                    continue;
                }
                _ => continue,
            };
            memory.push((c"context".into(), context.clone()));
            labelled = true;
        }
        labelled
    }

    /// The trees of the planned root that can be written to, none within another.
    #[must_use]
    pub fn writable_trees(&self) -> Vec<Target> {
        let read_only = |a: &Attributes| a.contains(Attributes::READ_ONLY);
        let mut sealed = BTreeSet::new();
        let mut open = BTreeSet::new();
        let mut devices = false;
        for step in &self.steps {
            match &step.op {
                Op::SealMount { target, attributes } if read_only(attributes) => {
                    sealed.insert(target.to_bytes());
                }
                Op::AttachRoot(NewRoot::Tmpfs(_)) => {
                    open.insert(&b""[..]);
                }
                Op::AttachRoot(
                    NewRoot::Tree(_, attributes) | NewRoot::Overlay(_, _, attributes),
                ) if !read_only(attributes) => {
                    open.insert(&b""[..]);
                }
                Op::MountFilesystem {
                    target, attributes, ..
                } => {
                    devices |= target.to_bytes() == b"dev";
                    if !read_only(attributes) {
                        open.insert(target.to_bytes());
                    }
                }
                Op::AttachSource {
                    target, attributes, ..
                }
                | Op::MountOverlay {
                    target, attributes, ..
                } if !read_only(attributes) => {
                    open.insert(target.to_bytes());
                }
                _ => {}
            }
        }
        // In the order of names, a tree comes before what lies in it, though not right before it.
        let mut trees = BTreeSet::new();
        for mut target in open.into_iter().filter(|target| !sealed.contains(target)) {
            // Devices are mounts of a file each: one rule for all of them.
            if devices && target.starts_with(b"dev/") {
                target = b"dev";
            }
            let slashes = (0..target.len()).filter(|at| target[*at] == b'/');
            let mut around = slashes.map(|at| &target[..at]).chain([&b""[..]]);
            if !around.any(|folder| trees.contains(folder)) {
                trees.insert(target);
            }
        }
        let owned = |target: &[u8]| c_string(std::ffi::OsStr::from_bytes(target));
        trees.into_iter().map(owned).collect()
    }

    /// Whether the planned root has terminals of its own: a devpts on /dev/pts.
    #[must_use]
    pub fn has_terminals(&self) -> bool {
        self.steps.iter().any(|step| match &step.op {
            Op::MountFilesystem { kind, target, .. } => {
                kind.to_bytes() == b"devpts" && target.to_bytes() == b"dev/pts"
            }
            _ => false,
        })
    }

    /// Whether the command has this stream of the caller's, so far as the steps say.
    #[must_use]
    pub fn shares(&self, stream: Stream) -> bool {
        shared_streams(&self.steps).any(|shared| shared == stream)
    }

    /// Has the caller's streams set in the end as they are now, once it is known which the command has.
    pub fn keep_flags(&mut self) {
        let op = Op::KeepFlags(shared_streams(&self.steps).collect());
        self.step(Phase::Output, op, &Origin::Default("process.streams"));
    }

    /// Whether a standard stream is the sandbox's own terminal.
    #[must_use]
    pub fn is_own_terminal(&self, stream: Stream) -> bool {
        self.steps.iter().any(|step| match &step.op {
            Op::TakeTerminal { streams, .. } => streams.contains(&stream),
            _ => false,
        })
    }

    /// Whether this plan prepares a run, as [`Plan::is_preparation`] says.
    #[must_use]
    pub fn is_preparation(&self) -> bool {
        let unpacks = |step: &Step| matches!(step.op, Op::Unpack(_));
        self.steps.iter().any(unpacks)
    }

    /// The slot of the program that is executed by its descriptor, if one is.
    #[must_use]
    pub fn opened_program(&self) -> Option<Slot> {
        self.steps.iter().find_map(|step| match &step.op {
            Op::OpenProgram { slot, .. } => Some(*slot),
            _ => None,
        })
    }

    /// The descriptors of the caller that the command keeps.
    #[must_use]
    pub fn streams(&self) -> Vec<i32> {
        let kept = self.steps.iter().find_map(|step| match &step.op {
            Op::CloseDescriptors { kept, .. } => Some(kept),
            _ => None,
        });
        (0..3).chain(kept.into_iter().flatten().copied()).collect()
    }

    /// A slot for a descriptor.
    pub fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    /// The slot of a user namespace with these maps, made once for all mounts that need it.
    pub fn idmap(&mut self, users: &[IdRange], groups: &[IdRange], origin: &Origin) -> Slot {
        if let Some((slot, ..)) = self
            .idmaps
            .iter()
            .find(|(_, u, g)| u == users && g == groups)
        {
            return *slot;
        }
        let slot = self.slot();
        let op = Op::MakeIdmap {
            slot,
            users: users.to_vec(),
            groups: groups.to_vec(),
        };
        self.step(Phase::MappedSources, op, origin);
        self.idmaps.push((slot, users.to_vec(), groups.to_vec()));
        slot
    }

    /// Refuses the plan: this machine cannot do what a line asks for.
    pub fn refuse(&mut self, origin: &Origin, message: impl Into<String>, help: impl Into<String>) {
        self.problem(Diagnostic::new(Code::NotHere, origin, message).help(help));
    }

    /// Refuses the plan.
    pub fn problem(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Adds something that a person should know.
    pub fn note(&mut self, origin: &Origin, text: impl Into<String>) {
        self.notice(Weight::Remark, origin, text);
    }

    /// Adds what whoever starts the run will not expect.
    pub fn surprise(&mut self, origin: &Origin, text: impl Into<String>) {
        self.notice(Weight::Surprise, origin, text);
    }

    /// Adds that less is enforced than the profile asked for, as `[enforce]` permits.
    pub fn weaker(&mut self, origin: &Origin, text: impl Into<String>) {
        self.notice(Weight::Weaker, origin, text);
    }

    fn notice(&mut self, weight: Weight, origin: &Origin, text: impl Into<String>) {
        self.notes.push(Note {
            text: text.into(),
            origin: origin.clone(),
            weight,
        });
    }

    /// The plan, in order, and what is wrong with it.
    #[must_use]
    pub fn finish(mut self) -> Drafted {
        // Stable: within a phase, steps stay in the order in which they were added.
        self.steps.sort_by_key(|step| step.phase);
        let plan = Plan {
            steps: self.steps,
            slots: self.slots,
            notes: self.notes,
            watch: self.watch,
        };
        Drafted {
            plan,
            problems: self.problems,
            wanted: self.wanted,
        }
    }
}

/// A string for the kernel. Values with NUL were refused when they were read, so nothing is lost.
#[must_use]
pub fn c_string(text: impl AsRef<std::ffi::OsStr>) -> CString {
    let bytes: Vec<u8> = text
        .as_ref()
        .as_bytes()
        .iter()
        .copied()
        .filter(|b| *b != 0)
        .collect();
    CString::new(bytes).unwrap_or_default()
}
