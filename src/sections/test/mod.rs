//! `[[test]]`: what `sandbox test` proves, by trying it inside.

mod address;
mod call;
pub(crate) mod subject;

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::profile::table::List;
use std::collections::BTreeMap;
pub use subject::Subject;
use subject::{path, program, socket, system_call, variable};

crate::table! {
    /// One test: assertions that hold inside, each proven by an attempt under the very confinement
    /// of a run. `cannot_…` holds only if the sandbox refuses the attempt: an answer that says
    /// nothing about the sandbox, such as a host that does not reply, is a failure too.
    ///
    /// ```toml
    /// [[test]]
    /// name = "secrets stay out"
    /// cannot_read = ["${HOME}/.ssh", "/root"]
    /// cannot_connect = ["unix:/run/docker.sock"]
    /// cannot_call = ["bpf", "mount"]
    /// environment_has_not = ["AWS_*"]
    ///
    /// [[test]]
    /// name = "and the build works"
    /// can_write = ["/tmp"]
    /// runs = ["sh", "-c", "exit 3"]
    /// exit = 3
    /// ```
    pub struct RawTest as "[[test]]" {
        /// What reports call it; unique. Default: `test 1`, by its place among the tests.
        name: String,
        /// Files, of which a byte, and directories, of which an entry can be read. Absolute paths.
        can_read: List<String>,
        /// Paths that are not there or may not be read.
        cannot_read: List<String>,
        /// Files that can be opened for writing (nothing is written), and directories in which a
        /// file can be made (it is removed at once).
        can_write: List<String>,
        /// Paths that are not there or may not be written: a directory itself, not what is below.
        cannot_write: List<String>,
        /// Paths at which something is there (stat(2)).
        can_see: List<String>,
        /// Paths at which nothing is there.
        cannot_see: List<String>,
        /// Programs that can be started, by path or by name; they are ended before they do
        /// anything.
        can_execute: List<String>,
        /// Programs that are not there or may not be executed.
        cannot_execute: List<String>,
        /// Addresses that can be connected to: `"127.0.0.1:80"`, `"[::1]:80"` (TCP),
        /// `"unix:/run/x.sock"`, `"unix-abstract:name"`, `"vsock:2:1024"`.
        can_connect: List<String>,
        /// Addresses that the sandbox keeps from being reached. A refusal by an address on which
        /// nobody listens proves nothing: on an address of this machine, `sandbox test` listens
        /// itself meanwhile.
        cannot_connect: List<String>,
        /// System calls that the filter lets through, with some arguments, or with those that are
        /// given: `"clone"`, `"socket(1, 1, 0)"`. They are stopped right behind the filter.
        can_call: List<String>,
        /// System calls that the filter refuses, with all arguments, or with those that are given.
        cannot_call: List<String>,
        /// Variables of the environment that are there; `*` stands for anything.
        environment_has: List<String>,
        /// Variables that are not there: `"AWS_*"`.
        environment_has_not: List<String>,
        /// A command and its arguments that run to their end.
        runs: List<String>,
        /// The exit code that `runs` must have, 0 to 255; 128+N if signal N ends it. Default: 0.
        exit: u32,
    }
}

/// The tests of a profile.
#[derive(Clone, Debug, Default)]
pub struct Tests(pub Vec<Test>);

/// One test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name, and where that or the test stands.
    pub name: At<String>,
    /// What it asserts, in the order of the file.
    pub assertions: Vec<Assertion>,
}

/// One assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Its key in the profile.
    pub key: &'static str,
    /// Its value, as it is written but for variables.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
    /// Whether what is tried must succeed or be refused.
    pub holds_if: Claim,
    /// What is tried.
    pub subject: Subject,
}

/// Which end of an attempt an assertion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It succeeds.
    Can,
    /// It is refused.
    Cannot,
}

impl Tests {
    /// Checks every test, and that no two contradict each other.
    pub fn check(raw: Option<At<List<RawTest>>>, problems: &mut Diagnostics) -> Self {
        let raw = raw.map(|list| list.value.0).unwrap_or_default();
        let tests: Vec<_> = (1..)
            .zip(raw)
            .map(|(number, test)| check(number, test, problems))
            .collect();
        let mut names: BTreeMap<&str, &Origin> = BTreeMap::new();
        for Test { name, .. } in &tests {
            if let Some(other) = names.insert(&name.value, &name.origin) {
                let message = format!("two tests are called `{}`", name.value);
                problems.push(
                    Diagnostic::new(Code::DuplicateTest, &name.origin, message)
                        .and(other, "the other one")
                        .help("give one of them another `name`"),
                );
            }
        }
        contradictions(&tests, problems);
        Self(tests)
    }
}

/// An assertion and its opposite cannot both hold.
fn contradictions(tests: &[Test], problems: &mut Diagnostics) {
    let mut said: BTreeMap<(&str, &str), &Assertion> = BTreeMap::new();
    for assertion in tests.iter().flat_map(|test| &test.assertions) {
        let kind = kind_of(assertion.key);
        let Some(other) = said.insert((kind, &assertion.text), assertion) else {
            continue;
        };
        if other.holds_if != assertion.holds_if {
            let Assertion { key, text, .. } = assertion;
            let message = format!("`{key}` and `{}` of `{text}` cannot both hold", other.key);
            problems.push(
                Diagnostic::new(Code::Conflict, &assertion.origin, message)
                    .and(&other.origin, "the opposite is asserted here")
                    .help("remove one of the two"),
            );
        }
    }
}

/// What the two keys of a kind have in common.
fn kind_of(key: &'static str) -> &'static str {
    let key = key.strip_suffix("_not").unwrap_or(key);
    key.split_once('_').map_or(key, |(_, kind)| kind)
}

fn check(number: usize, at: At<RawTest>, problems: &mut Diagnostics) -> Test {
    let At { value: raw, origin } = at;
    let mut assertions = Assertions {
        all: Vec::new(),
        asked: false,
        problems,
    };
    use Claim::{Can, Cannot};
    assertions.add("can_read", Can, raw.can_read, path(Subject::Read));
    assertions.add("cannot_read", Cannot, raw.cannot_read, path(Subject::Read));
    assertions.add("can_write", Can, raw.can_write, path(Subject::Write));
    assertions.add(
        "cannot_write",
        Cannot,
        raw.cannot_write,
        path(Subject::Write),
    );
    assertions.add("can_see", Can, raw.can_see, path(Subject::See));
    assertions.add("cannot_see", Cannot, raw.cannot_see, path(Subject::See));
    assertions.add("can_execute", Can, raw.can_execute, program);
    assertions.add("cannot_execute", Cannot, raw.cannot_execute, program);
    assertions.add("can_connect", Can, raw.can_connect, socket);
    assertions.add("cannot_connect", Cannot, raw.cannot_connect, socket);
    assertions.add("can_call", Can, raw.can_call, system_call);
    assertions.add("cannot_call", Cannot, raw.cannot_call, system_call);
    assertions.add("environment_has", Can, raw.environment_has, variable);
    assertions.add(
        "environment_has_not",
        Cannot,
        raw.environment_has_not,
        variable,
    );
    let exit = exit(&raw.exit, raw.runs.as_ref(), assertions.problems);
    if let Some(runs) = raw.runs {
        assertions.run(runs, exit);
    }
    let Assertions {
        mut all,
        asked,
        problems,
    } = assertions;
    // As they are written, so that reports follow the file.
    all.sort_by(|a, b| a.origin.cmp(&b.origin));
    if !asked {
        problems.push(
            Diagnostic::new(Code::EmptyTest, &origin, "this test asserts nothing")
                .help("for example: cannot_write = [\"/usr\"]"),
        );
    }
    let name = raw
        .name
        .unwrap_or_else(|| At::new(format!("test {number}"), origin));
    if name.value.trim().is_empty() {
        problems.push(
            Diagnostic::new(Code::WrongValue, &name.origin, "a name without a letter")
                .help("for example: name = \"secrets stay out\""),
        );
    }
    Test {
        name,
        assertions: all,
    }
}

/// The assertions of a test, as far as they were read.
struct Assertions<'p> {
    all: Vec<Assertion>,
    /// Whether any was written down, even if it was wrong.
    asked: bool,
    problems: &'p mut Diagnostics,
}

impl Assertions<'_> {
    fn add(
        &mut self,
        key: &'static str,
        holds_if: Claim,
        values: Option<At<List<String>>>,
        subject: impl Fn(&At<String>, &mut Diagnostics) -> Option<Subject>,
    ) {
        let Some(values) = values else { return };
        self.asked = true;
        if values.value.0.is_empty() {
            self.empty(
                key,
                &values.origin,
                "for example: cannot_write = [\"/usr\"]",
            );
        }
        for value in values.value.0 {
            if let Some(subject) = subject(&value, self.problems) {
                self.all.push(Assertion {
                    key,
                    text: value.value,
                    origin: value.origin,
                    holds_if,
                    subject,
                });
            }
        }
    }

    fn run(&mut self, runs: At<List<String>>, exit: u8) {
        self.asked = true;
        let words: Vec<_> = runs.value.0.into_iter().map(|word| word.value).collect();
        if words.first().is_none_or(String::is_empty) {
            return self.empty(
                "runs",
                &runs.origin,
                "for example: runs = [\"make\", \"--version\"]",
            );
        }
        self.all.push(Assertion {
            key: "runs",
            text: words.join(" "),
            origin: runs.origin,
            holds_if: Claim::Can,
            subject: Subject::Run { words, exit },
        });
    }

    fn empty(&mut self, key: &str, origin: &Origin, sample: &str) {
        let message = format!("`{key}` names nothing, and so asserts nothing");
        self.problems
            .push(Diagnostic::new(Code::EmptyTest, origin, message).help(sample));
    }
}

fn exit(exit: &Option<At<u32>>, runs: Option<&At<List<String>>>, problems: &mut Diagnostics) -> u8 {
    let Some(exit) = exit else { return 0 };
    if runs.is_none() {
        problems.push(
            Diagnostic::new(
                Code::Needs,
                &exit.origin,
                "`exit` is the exit code of `runs`, which is not there",
            )
            .help("add a command: runs = [\"make\", \"--version\"]"),
        );
    }
    u8::try_from(exit.value).unwrap_or_else(|_| {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &exit.origin,
                "exit codes go from 0 to 255",
            )
            .help("128+N stands for an end by signal N, for example: exit = 143"),
        );
        0
    })
}
