//! What was refused, and what to write so that it is not: one sentence a call, and the same as data.

use crate::diag::Sources;
use crate::sections::Profile;
use crate::sections::seccomp::call::Made;
use crate::sections::seccomp::policy::Answer;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A call that was refused, once or more often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its number.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// The arguments, those of the first time.
    pub arguments: [u64; 6],
    /// The arguments in words; `None` where they were not looked at, or not always the same.
    pub words: Option<String>,
    /// Who made it, the first time; `None` where that was not looked at.
    pub process: Option<Process>,
    /// Whether other processes of that name made it too.
    pub others: bool,
    /// With which errno.
    pub errno: i32,
    /// How often.
    pub times: u64,
}

/// A process of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its pid, as the sandbox sees it.
    pub pid: u32,
    /// Its name (proc_pid_comm(5)).
    pub name: String,
    /// That of the thread, if it has another one.
    pub thread: Option<String>,
}

/// All that was refused, in the order of the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Each different call.
    pub all: Vec<Refusal>,
    /// How many more there were of other kinds than can be kept.
    pub others: u64,
}

/// A refused call, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Its name, of another ABI with that (`i386 mount`); a number if it has none here.
    pub call: String,
    /// Its arguments in words. `None` where they were different, or not looked at.
    pub arguments: Option<String>,
    /// How often.
    pub times: u64,
    /// Who made it first: `make[12]`, by the pid inside. `None` where that was not looked at.
    pub process: Option<String>,
    /// Whether other processes of the same name made it too.
    pub others: bool,
    /// The errno: `EPERM`.
    pub errno: String,
    /// What refuses it.
    pub rule: String,
    /// When that would permit it; `None` if never.
    pub only_if: Option<String>,
    /// The line that says so: `build.toml:9`, or the name of a default.
    pub line: String,
    /// The column in that line, from 1.
    pub column: Option<usize>,
    /// What to write to allow it.
    pub remedy: String,
}

/// So many different arguments of a call are told one by one.
const APART: usize = 4;

/// Explains what was refused under a profile; what is the same to a person is one.
#[must_use]
pub fn explain(refused: &Refusals, profile: &Profile, sources: &Sources) -> Vec<Denial> {
    let all: Vec<_> = refused
        .all
        .iter()
        .map(|refusal| (refusal, one(refusal, profile, sources)))
        .collect();
    // Of what comes in many forms, the forms are not told.
    let mut forms: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (refusal, denial) in &all {
        let forms = forms.entry(about(refusal, denial)).or_default();
        forms.insert(&denial.arguments);
    }
    let mut told: Vec<Denial> = Vec::new();
    let mut places = BTreeMap::new();
    for (refusal, denial) in &all {
        let about = about(refusal, denial);
        let many = forms.get(&about).map_or(0, BTreeSet::len) > APART;
        let arguments = denial.arguments.as_ref().filter(|_| !many);
        let at = *places.entry((about, arguments)).or_insert(told.len());
        match told.get_mut(at) {
            Some(known) => {
                known.times += denial.times;
                known.others |= denial.others || known.process != denial.process;
            }
            None => told.push(Denial {
                arguments: arguments.cloned(),
                ..denial.clone()
            }),
        }
    }
    told
}

/// What denials have to have in common to be told together.
fn about<'d>(refusal: &'d Refusal, denial: &'d Denial) -> impl Ord + 'd {
    let name = refusal.process.as_ref().map(|p| (&p.name, &p.thread));
    (
        refusal.number,
        refusal.architecture,
        name,
        (
            &denial.rule,
            &denial.only_if,
            &denial.line,
            denial.column,
            &denial.errno,
        ),
    )
}

fn one(refusal: &Refusal, profile: &Profile, sources: &Sources) -> Denial {
    let seccomp = &profile.seccomp;
    let arguments = &refusal.arguments;
    let made = Made::of(refusal.number, refusal.architecture);
    let decision = seccomp.decide_made(profile, made, arguments);
    let remedy = seccomp.remedy_made(&decision, made, arguments);
    Denial {
        call: match made {
            Made::Known(call) => call.to_string(),
            Made::Unlisted { .. } | Made::Elsewhere => format!("call {}", refusal.number),
        },
        arguments: refusal.words.clone(),
        times: refusal.times,
        process: refusal.process.as_ref().map(ToString::to_string),
        others: refusal.others,
        errno: errno(refusal.errno),
        rule: decision.rule.to_string(),
        only_if: decision.rule.only_if().map(|words| format!("the {words}")),
        line: decision.origin.display(sources).to_string(),
        column: decision
            .origin
            .region(sources)
            .map(|(_, region)| region.start.column),
        remedy,
    }
}

fn errno(number: i32) -> String {
    match syscalls::Errno::new(number).name() {
        Some(name) => name.to_owned(),
        None => Answer::Errno(number).to_string(),
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.pid)?;
        match &self.thread {
            Some(thread) => write!(f, " ({thread})"),
            None => Ok(()),
        }
    }
}

/// Two or three lines, without an end: what was refused and by what, and what to write.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments = self.arguments.as_deref().unwrap_or("…");
        let mut what = format!("denied: {}({arguments})", self.call);
        if self.times > 1 {
            what.push_str(&format!(" {} times", self.times));
        }
        if let Some(process) = &self.process {
            what.push_str(&format!(" by {process}"));
            if self.others {
                what.push_str(" and others");
            }
        }
        what.push_str(&format!(": {}", self.errno));
        writeln!(f, "{what:<56}  {}  {}", self.rule, self.line)?;
        if let Some(words) = &self.only_if {
            writeln!(f, "        it is permitted only if {words}")?;
        }
        write!(f, "        to allow it: {}", self.remedy)
    }
}
