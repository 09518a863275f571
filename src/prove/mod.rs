//! Proving the assertions of a profile (`[[test]]`): each is tried inside a sandbox of its own, set
//! up by the plan of a run, and the kernel's answer is judged.

mod command;
pub mod json;
mod judge;
pub mod junit;
mod listener;
mod remedy;
pub mod text;

use crate::diag::{Code, Diagnostic, Diagnostics, Origin, Sources, printable};
use crate::exit::SET_UP_FAILED;
use crate::host::Host;
use crate::plan::attempt::{Address, Attempt};
use crate::plan::draft::{Command, c_string};
use crate::plan::{Plan, Step};
use crate::report::Outcome;
use crate::report::egress::{Attempt as Tried, Meant, Unreached};
use crate::running::joined;
use crate::sections::test::{Assertion, Claim, Subject, Test};
use crate::sections::{self, Profile};
use crate::supervisor::{self, Observer};
use judge::{Answer, Finding, Kind};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// One assertion of one test.
#[derive(Clone, Copy, Debug)]
pub struct Case<'p> {
    /// The test.
    pub test: &'p Test,
    /// The assertion.
    pub assertion: &'p Assertion,
}

impl Case<'_> {
    /// The name on one line: `secrets stay out: cannot_read /root`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}: {}", one_line(&self.test.name.value), self.claim())
    }

    /// What is asserted, on one line: `cannot_read /root`.
    #[must_use]
    pub fn claim(&self) -> String {
        let text = format!("{} {}", self.assertion.key, self.assertion.text);
        match self.assertion.subject {
            Subject::Run { exit, .. } if exit != 0 => one_line(&format!("{text} (exit {exit})")),
            _ => one_line(&text),
        }
    }
}

fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// The assertions whose names hold a word, in the order of the profile; all of them without one.
#[must_use]
pub fn cases<'p>(profile: &'p Profile, word: Option<&str>) -> Vec<Case<'p>> {
    let all = profile.tests.0.iter().flat_map(|test| {
        let case = move |assertion| Case { test, assertion };
        test.assertions.iter().map(case)
    });
    all.filter(|case| word.is_none_or(|word| case.name().contains(word)))
        .collect()
}

/// Whether an assertion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// What happened says nothing about the sandbox; as bad as a failure.
    Unproven,
}

/// What became of an assertion.
#[derive(Clone, Debug)]
pub struct Proof<'p> {
    /// The assertion.
    pub case: Case<'p>,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What happened, in words.
    pub happened: String,
    /// The kernel's answer to the attempt, if it was refused.
    pub errno: Option<i32>,
    /// How long it took, set-up included.
    pub took: Duration,
    /// The end of what a command wrote.
    pub output: String,
    help: String,
}

impl Proof<'_> {
    /// What there is to say about an assertion that does not hold.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let (code, does_not) = match self.verdict {
            Verdict::Holds => return None,
            Verdict::Fails => (Code::TestFailed, "does not hold"),
            Verdict::Unproven => (Code::Unproven, "is not proven"),
        };
        let Case { test, assertion } = self.case;
        let message = format!(
            "`{}` {does_not}: {}",
            one_line(&test.name.value),
            self.case.claim()
        );
        Some(
            Diagnostic::new(code, &assertion.origin, message)
                .here(&self.happened)
                .help(&self.help),
        )
    }
}

/// Why there is no proof either way.
#[derive(Debug)]
pub enum Stopped {
    /// The sandbox could not be planned or set up.
    Refused(Diagnostics),
    /// A signal asked for the end.
    Interrupted(i32),
}

impl From<Diagnostics> for Stopped {
    fn from(problems: Diagnostics) -> Self {
        Self::Refused(problems)
    }
}

impl From<Diagnostic> for Stopped {
    fn from(problem: Diagnostic) -> Self {
        let mut problems = Diagnostics::default();
        problems.push(problem);
        Self::Refused(problems)
    }
}

/// Where a value stands: file, line and column.
#[must_use]
pub fn place(origin: &Origin, sources: &Sources) -> Option<(String, usize, usize)> {
    let Origin::File(id, span) = origin else {
        return None;
    };
    let source = sources.get(*id)?;
    let at = source.position(span.start);
    Some((source.name().to_owned(), at.line, at.column))
}

/// Proves the assertions of a profile, one after the other.
pub struct Prover<'p> {
    profile: &'p Profile,
    say: &'p dyn Fn(&Origin, &str),
}

impl<'p> Prover<'p> {
    /// Under a profile. `say` is told what is not enforced, and which line asked for it: at every
    /// run anew.
    #[must_use]
    pub fn new(profile: &'p Profile, say: &'p dyn Fn(&Origin, &str)) -> Self {
        Self { profile, say }
    }

    /// Tries what an assertion is about.
    pub fn prove(&self, case: Case<'p>) -> Result<Proof<'p>, Stopped> {
        let start = Instant::now();
        let Assertion {
            subject, holds_if, ..
        } = case.assertion;
        let (finding, output) = match subject {
            Subject::Run { words, exit } => self.command(words, *exit)?,
            _ => (self.attempts(case.assertion)?, String::new()),
        };
        let verdict = match (holds_if, finding.kind) {
            (Claim::Can, Kind::Done) | (Claim::Cannot, Kind::Refused) => Verdict::Holds,
            (Claim::Cannot, Kind::NobodyListens | Kind::Unclear) => Verdict::Unproven,
            _ => Verdict::Fails,
        };
        Ok(Proof {
            case,
            verdict,
            help: remedy::remedy(case.assertion, &finding, verdict),
            happened: finding.words,
            errno: finding.errno,
            took: start.elapsed(),
            output,
        })
    }

    /// The plans by which an assertion is tried, in this order.
    pub fn plans(&self, case: Case<'_>) -> Result<Vec<Plan>, Diagnostics> {
        let Assertion {
            subject, origin, ..
        } = case.assertion;
        if let Subject::Run { words, .. } = subject {
            return Ok(vec![self.plan_to_run(words)?]);
        }
        let attempts = subject.attempts(self.profile).into_iter();
        attempts
            .map(|attempt| self.plan_to_try(&attempt, origin))
            .collect()
    }

    /// As a run does it, down to the facts about this machine, which are asked for anew.
    fn plan_to_run(&self, words: &[String]) -> Result<Plan, Diagnostics> {
        let command = Command::new(words.iter().map(c_string), &Origin::CommandLine);
        sections::build(self.profile, &here(), &command)
    }

    fn plan_to_try(&self, attempt: &Attempt, origin: &Origin) -> Result<Plan, Diagnostics> {
        // The files of the profile's own command are part of a root of programs.
        let command = self.profile.process.command().unwrap_or_default();
        let plan = sections::build(self.profile, &here(), &command)?;
        Ok(plan.attempting(attempt.clone(), origin))
    }

    /// Tries until one attempt succeeds.
    fn attempts(&self, assertion: &Assertion) -> Result<Finding, Stopped> {
        let mut last = Finding::nothing_tried();
        for attempt in assertion.subject.attempts(self.profile) {
            last = self.attempt(&attempt, &assertion.origin)?;
            if let (Attempt::Connect(address), Kind::NobodyListens, Claim::Cannot) =
                (&attempt, last.kind, assertion.holds_if)
            {
                last = self.beside_listener(address, last, &assertion.origin)?;
            }
            if last.kind == Kind::Done {
                break;
            }
        }
        Ok(last)
    }

    /// A refused connection says nothing as long as nobody listens. So somebody does, outside of
    /// the sandbox: what is refused then is refused because inside it is another network.
    fn beside_listener(
        &self,
        address: &Address,
        first: Finding,
        origin: &Origin,
    ) -> Result<Finding, Stopped> {
        let unproven = |why: &str| Finding {
            words: format!("{}; outside, {why}", first.words),
            ..first.clone()
        };
        let listener = match listener::on(address) {
            Ok(listener) => listener,
            Err(why) => return Ok(unproven(&why)),
        };
        let address = listener.address.as_ref().unwrap_or(address).clone();
        let again = self.attempt(&Attempt::Connect(address), origin)?;
        Ok(match (again.kind, &listener.address) {
            (Kind::NobodyListens, other) => Finding {
                kind: Kind::Refused,
                words: match other {
                    None => "refused, while outside somebody listens there".into(),
                    Some(other) => {
                        format!("refused, as {other} is, where outside somebody listens")
                    }
                },
                ..again
            },
            (Kind::Done, Some(other)) => unproven(&format!(
                "nobody listens on it either, and {other} is reached"
            )),
            _ => again,
        })
    }

    fn attempt(&self, attempt: &Attempt, origin: &Origin) -> Result<Finding, Stopped> {
        let plan = self.plan_to_try(attempt, origin)?;
        let mut unreached = Unreached::default();
        let observer = Observer {
            unreached: Some(&mut unreached),
            ..Observer::default()
        };
        let ended = self.execute(&plan, |say| {
            supervisor::execute_observed(&plan, say, observer)
        })?;
        let answer = match ended {
            Ok(Outcome::Attempted { errno, detail }) => Answer::Errno(errno, detail),
            Ok(Outcome::Signaled(signal)) if is_request_to_end(signal) => {
                return Err(Stopped::Interrupted(signal));
            }
            Ok(outcome) => Answer::End(outcome),
            Err(failure) => return Err(failure.diagnostic(&plan).into()),
        };
        let connects = |one: &Tried| matches!(one.meant, Meant::Connect(..));
        if matches!(attempt, Attempt::Connect(_)) && unreached.all.iter().any(connects) {
            // Whatever the kernel has answered, and it may have answered before.
            return Ok(judge::at_the_gate());
        }
        Ok(judge::finding(attempt, answer, plan.leaves_network()))
    }

    fn command(&self, words: &[String], exit: u8) -> Result<(Finding, String), Stopped> {
        // Its output is for the report, and no file of the profile's is emptied for an assertion.
        let plan = self.plan_to_run(words)?.with_callers_streams();
        let run = |say: Say<'_>| command::captured(|| supervisor::execute(&plan, say));
        let (end, output) = self.execute(&plan, run)??;
        let finding = match end {
            Ok(Outcome::Signaled(signal))
                if is_request_to_end(signal) && i32::from(exit) != 128 + signal =>
            {
                return Err(Stopped::Interrupted(signal));
            }
            Ok(outcome) => judge::end(outcome, exit, &plan),
            Err(failure) => {
                let (problem, code) = (failure.diagnostic(&plan), failure.exit_code(&plan));
                // 126 and 127 are ends like any other; else the sandbox could not be set up.
                if code == SET_UP_FAILED {
                    return Err(problem.into());
                }
                judge::not_executed(problem.message, code, exit)
            }
        };
        Ok((finding, output))
    }

    /// Performs a plan, and says what is done without.
    fn execute<T>(&self, plan: &Plan, act: impl FnOnce(Say<'_>) -> T) -> Result<T, Stopped> {
        for note in plan.notes.iter().filter(|note| note.is_weaker()) {
            (self.say)(&note.origin, &note.text);
        }
        if let Some(signal) = command::pending_request_to_end() {
            return Err(Stopped::Interrupted(signal));
        }
        // Said afterwards: the standard error may be the command's until then.
        let without = RefCell::new(Vec::new());
        let result = act(&|step, why| {
            let text = format!("{}: {why}", step.op);
            without.borrow_mut().push((step.origin.clone(), text));
        });
        for (origin, text) in without.into_inner() {
            (self.say)(&origin, &text);
        }
        Ok(result)
    }
}

/// What [`supervisor::execute`] is given to be told of steps that are done without.
type Say<'s> = &'s dyn Fn(&Step, &str);

/// This machine, as a run finds it whose caller has no terminal: what is proved holds in CI too.
fn here() -> Host {
    joined::here().with_terminal(None)
}

/// Whether a signal is one by which a person or a system asks a program to end.
fn is_request_to_end(signal: i32) -> bool {
    command::REQUESTS_TO_END
        .iter()
        .any(|request| *request as i32 == signal)
}
