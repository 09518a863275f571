//! The plan: an ordered list of primitive operations, each with its origin. It is printed by
//! `explain` and performed by the supervisor and its child; there is no other list.

pub mod attempt;
pub mod bpf;
pub mod draft;
pub mod egress;
pub mod explain;
pub mod layout;
pub mod needs;
pub mod op;
pub mod order;
pub mod ports;
pub mod terminal;

use crate::diag::{Code, Diagnostic, Origin};
pub use attempt::Attempt;
pub use draft::Draft;
pub use op::Op;
pub use order::{Actor, Phase};

/// One operation, its place in the order and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its place in the order.
    pub phase: Phase,
    /// What is done.
    pub op: Op,
    /// Which line asked for it.
    pub origin: Origin,
}

/// The whole of what will be done, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The operations.
    pub steps: Vec<Step>,
    /// How many slots for descriptors the operations use.
    pub slots: usize,
    /// What a person should know: what was skipped and why, what is not enforced here.
    pub notes: Vec<Note>,
    /// What the supervisor watches once the command runs.
    pub watch: Watch,
}

/// Something that a person should know about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The words.
    pub text: String,
    /// The line concerned.
    pub origin: Origin,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a note matters: all but a remark are said on stderr at every run, not only by `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Worth knowing.
    Remark,
    /// The run is not what whoever starts it will expect.
    Surprise,
    /// Less is enforced than the profile asked for (under `[enforce]`).
    Weaker,
}

impl Note {
    /// Whether less is enforced than the profile asked for.
    #[must_use]
    pub fn is_weaker(&self) -> bool {
        self.weight == Weight::Weaker
    }

    /// The same as a diagnostic, for a check against this machine.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        if self.is_weaker() {
            return Diagnostic::new(Code::NotEnforced, &self.origin, self.text.clone()).help(
                "`sandbox check --deny warnings` takes this for an error; `require` under [enforce] refuses the run",
            );
        }
        Diagnostic::new(Code::OnThisMachine, &self.origin, self.text.clone())
    }
}

/// What the supervisor watches once the command runs, and what it says in the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// How long the command may take.
    pub wall_time: Option<crate::diag::At<crate::profile::value::Duration>>,
    /// How much processor time the run may take, where its group counts it.
    pub cpu_time: Option<crate::diag::At<crate::profile::value::Duration>>,
    /// How long the run may do nothing, where its group counts processor time.
    pub idle: Option<crate::diag::At<crate::profile::value::Duration>>,
    /// How much the command may write.
    pub output: Option<crate::diag::At<crate::profile::value::Size>>,
    /// How many processors it can use at once, where other limits bound that.
    pub processors: Option<f64>,
    /// How long after it was asked to end it is killed; `Duration::MAX` for never.
    pub grace: std::time::Duration,
    /// The signal that asks it to end.
    pub stop_signal: crate::profile::value::StopSignal,
    /// The memory limit and its line, for the sentence about an out-of-memory kill.
    pub memory: Option<crate::diag::At<crate::profile::value::Size>>,
    /// Whether the command has an init of ours as its parent.
    pub init: bool,
    /// Whether the command is in a session of its own, so that the terminal's signals pass it by.
    pub new_session: bool,
    /// Whether its session has a terminal of its own.
    pub terminal: bool,
    /// Whose a terminal of the sandbox's /dev/pts would be, where it has one.
    pub terminals: Option<op::TerminalOwner>,
    /// Whether the command lives in a new pid namespace, which ends with its first process.
    pub new_pid_namespace: bool,
}

impl Plan {
    /// Whether it only prepares a run, which is planned anew after that
    /// ([`supervisor::prepare`](crate::supervisor::prepare)).
    #[must_use]
    pub fn is_preparation(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.op, Op::Unpack(_)))
    }

    /// The steps that one side performs, with their numbers.
    pub fn steps_of(&self, actor: Actor) -> impl Iterator<Item = (usize, &Step)> {
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, step)| step.phase.actor() == actor)
    }

    /// The same plan, with the supervisor as the command's tracer, which tells of file calls that fail; `None`
    /// where the command is the supervisor's own child, since waiting for its end would take its stops.
    #[must_use]
    pub fn traced(mut self, asked: &Origin) -> Option<Self> {
        if !self.watch.init {
            return None;
        }
        self.steps.push(Step {
            phase: Phase::Tracing,
            op: Op::AwaitTracer,
            origin: asked.clone(),
        });
        self.steps.sort_by_key(|step| step.phase);
        Some(self)
    }

    /// The step whose filter may end the command for a call that it makes (SIGSYS).
    #[must_use]
    pub fn deadly_filter(&self) -> Option<&Step> {
        let deadly = |step: &&Step| match &step.op {
            Op::SetFilter(program) | Op::AddFilter { program, .. } => bpf::signals(program),
            _ => false,
        };
        self.steps.iter().find(deadly)
    }
}
