//! The command line: one file a command.

mod arguments;
mod check;
mod explain;
mod run;
mod test;

use crate::diag::{Code, Diagnostic, Diagnostics, Origin, SourceId, Sources};
use crate::exit;
use crate::host::Host;
use crate::plan::Plan;
use crate::plan::draft::Command;
use crate::profile::find::{self, FindError};
use crate::profile::text::ReadError;
use crate::profile::variables::Variables;
use crate::sections::{self, Profile};
use arguments::Arguments;
use clap::Parser as _;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Runs the program; its exit code.
#[must_use]
pub fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() {
                exit::SET_UP_FAILED
            } else {
                0
            };
            // Help that cannot be printed is no reason to fail twice.
            let _ = error.print();
            return code;
        }
    };
    let mut session = Session::default();
    let result = match arguments.action {
        Some(arguments::Action::Check(check)) => check::run(&check, &mut session),
        Some(arguments::Action::Explain(explain)) => explain::run(&explain, &mut session),
        Some(arguments::Action::Test(test)) => test::run(&test, &mut session),
        None => run::run(&arguments.run, &mut session),
    };
    match result {
        Ok(code) => code,
        Err(refused) => {
            session.print(refused.problems);
            refused.code
        }
    }
}

/// Why a command of the program did not do what it was asked for.
struct Refused {
    problems: Diagnostics,
    code: u8,
}

impl From<Diagnostics> for Refused {
    fn from(problems: Diagnostics) -> Self {
        Self {
            problems,
            code: exit::SET_UP_FAILED,
        }
    }
}

impl From<Diagnostic> for Refused {
    fn from(problem: Diagnostic) -> Self {
        let mut problems = Diagnostics::default();
        problems.push(problem);
        problems.into()
    }
}

/// What one invocation has read.
#[derive(Default)]
struct Session {
    sources: Sources,
}

impl Session {
    /// Reads and checks the profile that was asked for, or the implied one.
    fn profile(&mut self, name: Option<&str>) -> Result<Profile, Refused> {
        let variables = variables();
        let found = match name {
            Some(name) => find::named(name, &variables),
            None => find::implied(&variables),
        };
        let source = found.map_err(|error| {
            let code = match &error {
                FindError::Read(ReadError::Io { .. }) | FindError::NoSuchName { .. } => {
                    Code::NotFound
                }
                FindError::Read(_) => Code::Unreadable,
            };
            Diagnostic::new(code, &Origin::CommandLine, error.to_string()).help(error.remedy())
        })?;
        if name.is_none() && std::io::stderr().is_terminal() {
            self.say(&format!("profile: {}", source.name()));
        }
        let id: SourceId = self.sources.add(source);
        Ok(sections::load(&self.sources, id, &variables)?)
    }

    /// The plan for a command under a profile.
    fn plan(&self, profile: &Profile, command: &[OsString]) -> Result<Plan, Refused> {
        let mut words = command.iter().map(|word| c_string(word.clone()));
        let program = words.next().unwrap_or_default();
        let command = Command {
            program,
            arguments: words.collect(),
        };
        let plan = sections::build(profile, &Host::here(), &command)?;
        for note in plan.notes.iter().filter(|note| note.weaker) {
            let origin = note.origin.display(&self.sources);
            self.say(&format!("not enforced: {} ({origin})", note.text));
        }
        Ok(plan)
    }

    /// Prints problems for people.
    fn print(&self, problems: Diagnostics) {
        let text = problems.render(&self.sources, std::io::stderr().is_terminal());
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// One line on stderr; if that is closed, nobody listens.
    fn say(&self, line: &str) {
        let line = crate::diag::printable(line);
        let _ = writeln!(std::io::stderr(), "sandbox: {line}");
    }
}

/// Writes text to stdout.
fn output(text: &str) -> Result<(), Refused> {
    let mut stdout = std::io::stdout();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|cause| {
            let message = format!("cannot write to the standard output: {cause}");
            Diagnostic::new(Code::Output, &Origin::CommandLine, message)
                .help("redirect the output to a file that can be written")
                .into()
        })
}

/// An argument for the kernel; the kernel gave it to us without NUL.
fn c_string(word: OsString) -> std::ffi::CString {
    std::ffi::CString::new(word.into_vec()).unwrap_or_default()
}

/// What the variables of profiles stand for in this process.
fn variables() -> Variables {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment: std::collections::BTreeMap<_, _> = environment.collect();
    let path = |name: &str| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let home = path("HOME");
    let working_directory = std::env::current_dir().ok();
    Variables {
        project: working_directory
            .as_deref()
            .and_then(|cwd| find::project(cwd, home.as_deref())),
        temporary: path("TMPDIR").unwrap_or_else(|| "/tmp".into()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        home,
        working_directory,
        environment,
    }
}
