//! The report as JSON, for programs. `schema/report.schema.json` describes it. The form is
//! versioned: a key is added without a new version, and never removed or given another meaning.

use super::Outcome;
use super::denial::Denial;
use super::egress::Denied;
use super::limits::{self, Entry};
use super::usage::{End, Measured, Usage};
use crate::diag::{Diagnostic, Origin, SourceId, Sources};
use crate::plan::{Plan, Step};
use crate::sections::Profile;
use chrono::{DateTime, SecondsFormat, Utc};
use nix::errno::Errno;
use serde::Serialize;
use std::time::{Instant, SystemTime};

/// The version of the form.
const VERSION: u32 = 1;

/// All that there is to say about a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    version: u32,
    /// The version of the program.
    sandbox: &'static str,
    /// The command and its arguments. What is not UTF-8 is replaced.
    command: Vec<String>,
    profiles: Vec<Text>,
    /// The digest of the lines that sha256sum(1) prints of all of them.
    profiles_sha256: Option<String>,
    started: String,
    ended: Option<String>,
    seconds: Option<f64>,
    outcome: &'static str,
    /// What `sandbox` itself exits with.
    exit_code: Option<u8>,
    command_end: Option<CommandEnd>,
    /// What is said on stderr about the end.
    sentence: Option<String>,
    events: Vec<Event>,
    /// The calls that the filter refused, as far as they were told apart.
    denials: Vec<Denial>,
    /// How many more it refused, of other kinds.
    denials_untold: u64,
    /// What of the network was not reached, as far as it was told apart.
    unreached: Vec<Denied>,
    /// How many more attempts were refused.
    unreached_untold: u64,
    failure: Option<Failure>,
    usage: Option<Usage>,
    limits: Vec<Entry>,
    not_enforced: Vec<Missing>,
    #[serde(skip)]
    clock: Instant,
}

/// A text that the profile was made of.
#[derive(Clone, Debug, Serialize)]
struct Text {
    /// Its path, `built-in …`, or `command line`.
    name: String,
    sha256: String,
}

/// How the command itself ended.
#[derive(Clone, Debug, Serialize)]
struct CommandEnd {
    code: Option<i32>,
    signal: Option<i32>,
}

/// Something that happened on the way.
#[derive(Clone, Debug, Serialize)]
struct Event {
    event: &'static str,
    times: u64,
}

/// Why the command did not start.
#[derive(Clone, Debug, Default, Serialize)]
struct Failure {
    /// The number of the step, from 1, as `explain` prints it.
    step: Option<usize>,
    /// How many there are.
    of: Option<usize>,
    phase: Option<&'static str>,
    operation: Option<String>,
    /// The kernel's name for the refusal.
    errno: Option<String>,
    problems: Vec<Problem>,
}

/// What is wrong.
#[derive(Clone, Debug, Serialize)]
struct Problem {
    code: &'static str,
    message: String,
    help: Option<String>,
    origin: Option<Place>,
}

/// What is less than the profile asks for.
#[derive(Clone, Debug, Serialize)]
struct Missing {
    text: String,
    origin: Place,
}

/// Where a value comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// `build.toml:14`, `command line`, or `default of limits.grace`.
    text: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
}

impl Place {
    pub(super) fn of(origin: &Origin, sources: &Sources) -> Self {
        let region = origin.region(sources);
        let region = region.filter(|(source, _)| !source.is_command_line());
        Self {
            text: origin.display(sources).to_string(),
            file: region.as_ref().map(|(source, _)| source.name().into()),
            line: region.as_ref().map(|(_, region)| region.start.line),
            column: region.as_ref().map(|(_, region)| region.start.column),
        }
    }
}

impl Report {
    /// Of a run that began then, of which nothing is known yet. Should nobody ever say more, the
    /// supervisor was lost.
    #[must_use]
    pub fn begin(started: SystemTime, clock: Instant) -> Self {
        Self {
            version: VERSION,
            sandbox: env!("CARGO_PKG_VERSION"),
            command: Vec::new(),
            profiles: Vec::new(),
            profiles_sha256: None,
            started: time(started),
            ended: None,
            seconds: None,
            outcome: "supervisor-lost",
            exit_code: None,
            command_end: None,
            sentence: None,
            events: Vec::new(),
            denials: Vec::new(),
            denials_untold: 0,
            unreached: Vec::new(),
            unreached_untold: 0,
            failure: None,
            usage: None,
            limits: Vec::new(),
            not_enforced: Vec::new(),
            clock,
        }
    }

    /// Adds the command and its arguments.
    pub fn command(&mut self, words: Vec<String>) {
        self.command = words;
    }

    /// Adds what the filter has refused.
    pub fn denied(&mut self, denials: &[Denial], untold: u64) {
        self.denials = denials.to_vec();
        self.denials_untold = untold;
    }

    /// Adds what of the network was not reached.
    pub fn unreached(&mut self, denied: &[Denied], untold: u64) {
        self.unreached = denied.to_vec();
        self.unreached_untold = untold;
    }

    /// Adds the texts that the profile is made of.
    pub fn profiles(&mut self, ids: &[SourceId], sources: &Sources) {
        let texts = ids.iter().filter_map(|id| sources.get(*id));
        let texts = texts.map(|source| Text {
            name: source.name().into(),
            sha256: digest(source.text().as_bytes()),
        });
        self.profiles = texts.collect();
        let line = |text: &Text| format!("{}  {}\n", text.sha256, text.name);
        let lines: String = self.profiles.iter().map(line).collect();
        self.profiles_sha256 = (!lines.is_empty()).then(|| digest(lines.as_bytes()));
    }

    /// Adds what is planned: the limits, and what is less than the profile asks for.
    pub fn planned(&mut self, profile: &Profile, plan: &Plan, sources: &Sources) {
        self.limits = limits::entries(profile, plan, None, sources);
        let weaker = plan.notes.iter().filter(|note| note.is_weaker());
        let missing = weaker.map(|note| Missing {
            text: note.text.clone(),
            origin: Place::of(&note.origin, sources),
        });
        self.not_enforced = missing.collect();
    }

    /// Adds a step that was done without.
    pub fn without(&mut self, step: &Step, why: &str, sources: &Sources) {
        self.not_enforced.push(Missing {
            text: format!("{}: {why}", step.op),
            origin: Place::of(&step.origin, sources),
        });
    }

    /// The command did not start: the profile is wrong, or cannot be had here.
    pub fn refused(&mut self, problems: &[Diagnostic], exit_code: u8, sources: &Sources) {
        self.over("setup-failed", exit_code);
        let problems = problems.iter().map(|problem| Problem {
            code: problem.code.as_str(),
            message: problem.message.clone(),
            help: problem.help.clone(),
            origin: (problem.labels.first()).map(|label| Place::of(&label.origin, sources)),
        });
        let failure = self.failure.get_or_insert_default();
        failure.problems = problems.collect();
    }

    /// Adds the step that failed, by its number from 0, and the kernel's answer.
    pub fn failed(&mut self, plan: &Plan, number: Option<usize>, errno: Option<Errno>) {
        let step = number.and_then(|number| plan.steps.get(number));
        self.failure = Some(Failure {
            step: step.and(number).map(|number| number + 1),
            of: Some(plan.steps.len()),
            phase: step.map(|step| step.phase.name()),
            operation: step.map(|step| step.op.to_string()),
            errno: errno.map(|errno| format!("{errno:?}")),
            problems: Vec::new(),
        });
    }

    /// The command has run.
    pub fn ended(
        &mut self,
        outcome: Outcome,
        measured: &Measured,
        profile: &Profile,
        plan: &Plan,
        sources: &Sources,
    ) {
        self.over(outcome.word(), outcome.exit_code());
        self.command_end = measured.end.map(|end| match end {
            End::Code(code) => CommandEnd {
                code: Some(code),
                signal: None,
            },
            End::Signal(signal) => CommandEnd {
                code: None,
                signal: Some(signal),
            },
        });
        self.sentence = outcome.line(plan, sources);
        let counted = [
            ("pids-limited", measured.counted.pids),
            ("oom-kill", measured.counted.oom_kills),
        ];
        let happened = |(event, times): (_, Option<u64>)| {
            let times = times.filter(|times| *times > 0)?;
            Some(Event { event, times })
        };
        self.events = counted.into_iter().filter_map(happened).collect();
        self.usage = Some(measured.usage.clone());
        self.limits = limits::entries(profile, plan, Some(measured), sources);
    }

    fn over(&mut self, outcome: &'static str, exit_code: u8) {
        self.outcome = outcome;
        self.exit_code = Some(exit_code);
        self.ended = Some(time(SystemTime::now()));
        self.seconds = Some(self.clock.elapsed().as_secs_f64());
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings and numbers only: nothing in it can fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// As RFC 3339 has it, in UTC.
fn time(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let time = DateTime::<Utc>::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// In hexadecimal digits, as sha256sum(1) prints it.
fn digest(bytes: &[u8]) -> String {
    let hash = hmac_sha256::Hash::hash(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
