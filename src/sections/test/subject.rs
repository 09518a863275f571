//! What an assertion is about: how it is written, and the attempts that find out.

use super::address;
use super::call::{self, Call};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::attempt::{Address, Attempt};
use crate::plan::draft::c_string;
use crate::sections::seccomp::call::I386;
use crate::sections::{Profile, absolute, environment};
use crate::sys::process::StringArray;
use std::path::PathBuf;

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Reading a path.
    Read(PathBuf),
    /// Writing a path.
    Write(PathBuf),
    /// Seeing a path.
    See(PathBuf),
    /// Executing a program, by path or name.
    Execute(String),
    /// Connecting to an address.
    Connect(Address),
    /// Making a system call.
    Call(Call),
    /// Finding a variable, by a pattern.
    Variable(String),
    /// Running a command to its end.
    Run {
        /// The command and its arguments; at least one word.
        words: Vec<String>,
        /// The exit code.
        exit: u8,
    },
}

impl Subject {
    /// The attempts that find out. Any of them may succeed where several are needed. None for a
    /// command, which is run as such.
    #[must_use]
    pub fn attempts(&self, profile: &Profile) -> Vec<Attempt> {
        let attempt = match self {
            Self::Read(path) => Attempt::Read(c_string(path)),
            Self::Write(path) => Attempt::Write {
                path: c_string(path),
                file: c_string(path.join(format!(".sandbox-test-{}", std::process::id()))),
            },
            Self::See(path) => Attempt::See(c_string(path)),
            Self::Execute(name) => {
                let variables = profile.environment.variables(profile);
                let name = c_string(name);
                Attempt::Execute {
                    candidates: environment::candidates(
                        &name,
                        &profile.environment.search_path(profile),
                    ),
                    arguments: StringArray::new(vec![name]),
                    environment: environment::for_exec(&variables),
                }
            }
            Self::Connect(address) => Attempt::Connect(address.clone()),
            Self::Call(call) => return call.attempts(profile),
            Self::Variable(pattern) => Attempt::Variable {
                pattern: pattern.clone(),
                environment: environment::for_exec(&profile.environment.variables(profile)),
            },
            Self::Run { .. } => return Vec::new(),
        };
        vec![attempt]
    }
}

pub(super) fn path(
    subject: fn(PathBuf) -> Subject,
) -> impl Fn(&At<String>, &mut Diagnostics) -> Option<Subject> {
    move |value, problems| inside(value, "path", problems).map(subject)
}

/// A path inside: absolute, as the command sees it.
fn inside(value: &At<String>, what: &str, problems: &mut Diagnostics) -> Option<PathBuf> {
    let relative = value.value.trim_start_matches("./");
    if value.value.starts_with('/') || relative.is_empty() || relative.starts_with('.') {
        return absolute(value, what, problems);
    }
    let message = format!("the {what} `{}` is not absolute", value.value);
    problems.push(
        Diagnostic::new(Code::BadPath, &value.origin, message)
            .help(format!("in the project it is \"${{PROJECT}}/{relative}\"")),
    );
    None
}

pub(super) fn program(value: &At<String>, problems: &mut Diagnostics) -> Option<Subject> {
    if value.value.contains('/') || value.value.is_empty() {
        inside(value, "program", problems)?;
    }
    Some(Subject::Execute(value.value.clone()))
}

pub(crate) fn socket(value: &At<String>, problems: &mut Diagnostics) -> Option<Subject> {
    match address::parse(&value.value) {
        Ok(address) => Some(Subject::Connect(address)),
        Err(wrong) => {
            let message = format!("`{}` is no address: {}", value.value, wrong.why);
            problems
                .push(Diagnostic::new(Code::BadAddress, &value.origin, message).help(wrong.help));
            None
        }
    }
}

pub(crate) fn system_call(value: &At<String>, problems: &mut Diagnostics) -> Option<Subject> {
    call::parse(value, problems).map(Subject::Call)
}

/// A call of the machine's other ABI: by a name that the native one has not, or with that ABI before it (`i386 mount`).
pub(crate) fn foreign_call(text: &str) -> Option<(I386, Option<[u64; 6]>)> {
    call::parse_foreign_call(text)
}

pub(super) fn variable(value: &At<String>, problems: &mut Diagnostics) -> Option<Subject> {
    if value.value.is_empty() || value.value.contains('=') {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &value.origin,
                "the name of a variable is not empty and holds no `=`",
            )
            .help("for example: environment_has_not = [\"AWS_*\"]"),
        );
        return None;
    }
    Some(Subject::Variable(value.value.clone()))
}
