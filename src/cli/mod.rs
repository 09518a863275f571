//! The command line: one file a command.

mod arguments;
mod changes;
mod check;
mod completions;
mod detach;
mod diff;
mod doctor;
mod exec;
mod explain;
mod found;
mod gc;
mod images;
mod init;
mod inspect;
mod kill;
mod logs;
mod man;
mod many;
mod pause;
mod profiles;
mod ps;
mod recording;
mod reporting;
mod review;
mod run;
mod save;
mod schema;
mod score;
mod settings;
mod show;
mod stats;
mod test;
mod watch;
mod why;

use crate::diag::{Code, Diagnostic, Diagnostics, Origin, SourceId, Sources, text};
use crate::exit;
use crate::host::Host;
use crate::plan::draft::Command;
use crate::plan::{Op, Plan, Step, Weight};
use crate::profile::find::{self, FindError};
use crate::profile::overlay::Overlay;
use crate::profile::variables::Variables;
use crate::profile::{document, node};
use crate::running::joined;
use crate::sections::{self, Profile};
use crate::supervisor::{self, Reserved, Taken};
use arguments::{Arguments, Selection};
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use nix::errno::Errno;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Runs the program; its exit code.
#[must_use]
pub fn run() -> u8 {
    let arguments = match parse() {
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
        Some(arguments::Action::Show(show)) => show::run(&show, &mut session),
        Some(arguments::Action::Schema(schema)) => schema::run(&schema),
        Some(arguments::Action::Explain(explain)) => explain::run(&explain, &mut session),
        Some(arguments::Action::Doctor(doctor)) => doctor::run(&doctor, &mut session),
        Some(arguments::Action::Init(init)) => init::run(&init),
        Some(arguments::Action::Gc(gc)) => gc::run(&gc, &mut session),
        Some(arguments::Action::Images(images)) => images::run(&images, &mut session),
        Some(arguments::Action::Profiles(profiles)) => profiles::run(&profiles),
        Some(arguments::Action::Completions(of)) => completions::run(&of),
        Some(arguments::Action::Man(man)) => man::run(&man),
        Some(arguments::Action::Diff(diff)) => diff::run(&diff, &mut session),
        Some(arguments::Action::Score(score)) => score::run(&score, &mut session),
        Some(arguments::Action::Test(test)) => test::run(&test, &mut session),
        Some(arguments::Action::Changes(of)) => changes::run(&of, &mut session),
        Some(arguments::Action::Why(why)) => why::run(&why, &mut session),
        Some(arguments::Action::Ps(ps)) => ps::run(&ps),
        Some(arguments::Action::Exec(exec)) => exec::run(&exec, &mut session),
        Some(arguments::Action::Kill(kill)) => kill::run(&kill),
        Some(arguments::Action::Wait(which)) => kill::wait(&which.name),
        Some(arguments::Action::Rm(several)) => kill::forget(&several),
        Some(arguments::Action::Inspect(inspect)) => inspect::run(&inspect),
        Some(arguments::Action::Pause(which)) => pause::run(&which.name, true),
        Some(arguments::Action::Resume(which)) => pause::run(&which.name, false),
        Some(arguments::Action::Stats(stats)) => stats::run(&stats),
        Some(arguments::Action::Logs(of)) => logs::run(&of),
        Some(arguments::Action::Up(up)) => run::run(&up.run(), &mut session),
        Some(arguments::Action::Down(which)) => kill::down(&which.name),
        None => run::run(&arguments.run, &mut session),
    };
    match result {
        Ok(code) => code,
        Err(refused) => {
            session.print(&refused.problems.sorted());
            refused.code
        }
    }
}

/// Reads the command line. Most give no setting of a profile, and parse without their options.
fn parse() -> Result<Arguments, clap::Error> {
    Arguments::try_parse().or_else(|_| {
        let command = settings::with_options(Arguments::command());
        Arguments::from_arg_matches(&command.try_get_matches()?)
    })
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
    /// What the profiles were made of; a ceiling is none of them.
    of_profiles: Vec<SourceId>,
    /// The ceilings that the command line names.
    ceilings: Vec<String>,
    /// The addresses that the plan has chosen.
    reserved: Reserved,
}

impl Session {
    /// Finds and reads the profile that was asked for, or the implied one.
    fn read(&mut self, name: Option<&str>, variables: &Variables) -> Result<SourceId, FindError> {
        let source = match name {
            Some(name) => find::named(name, variables),
            None => find::implied(variables),
        }?;
        if name.is_none() && std::io::stderr().is_terminal() {
            self.say(&format!("profile: {}", source.name()));
        }
        Ok(self.sources.add(source))
    }

    /// The profile that was asked for, with what it is asked to hold instead. Warnings are for
    /// `check` to say: what a run prints is the command's.
    fn profile(&mut self, selection: &Selection) -> Result<Profile, Refused> {
        let variables = variables()?;
        let id = self.selected(selection, &variables)?;
        let (profile, ids) = self.load(id, &variables, &selection.settings.0)?;
        self.of_profiles.extend(ids);
        Ok(profile)
    }

    /// Checks a profile; also, the texts that it was made of.
    fn load(
        &mut self,
        id: SourceId,
        variables: &Variables,
        overlay: &Overlay,
    ) -> Result<(Profile, Vec<SourceId>), Refused> {
        let before = self.sources.ids().count();
        let (profile, _) = sections::load(&mut self.sources, id, variables, overlay)?;
        let parents = self.sources.ids().skip(before);
        Ok((profile, std::iter::once(id).chain(parents).collect()))
    }

    /// What the profile that was asked for says, after all is merged; it has been checked.
    fn document(&mut self, selection: &Selection) -> Result<node::Table, Refused> {
        let variables = variables()?;
        let id = self.selected(selection, &variables)?;
        let overlay = &selection.settings.0;
        let mut problems = Diagnostics::default();
        let document =
            document::assemble(&mut self.sources, id, &variables, overlay, &mut problems);
        sections::check(
            document.clone(),
            &self.sources,
            id,
            &variables,
            &mut problems,
        );
        if problems.has_errors() {
            return Err(problems.into());
        }
        Ok(document)
    }

    fn selected(
        &mut self,
        selection: &Selection,
        variables: &Variables,
    ) -> Result<SourceId, Refused> {
        let found = self.read(selection.profile.as_deref(), variables);
        Ok(found.map_err(|error| not_found(&error))?)
    }

    /// The plan for a command under a profile that was held to its ceilings.
    fn build(
        &mut self,
        profile: &Profile,
        host: &Host,
        command: &Command,
    ) -> Result<Plan, Refused> {
        let plan = sections::build(profile, host, command)?;
        self.tell(&plan);
        Ok(plan)
    }

    /// The same, once the root is unpacked: that is done here, where it has to be.
    fn build_prepared(
        &mut self,
        profile: &Profile,
        host: &Host,
        command: &Command,
    ) -> Result<Plan, Refused> {
        let plan = sections::build(profile, host, command)?;
        let plan = self.prepared(plan, || sections::build(profile, host, command))?;
        let plan = self.reserved(plan, host, || sections::build(profile, host, command))?;
        self.tell(&plan);
        Ok(plan)
    }

    /// Reserves the addresses that a plan has chosen, and plans anew where somebody has one.
    fn reserved(
        &mut self,
        mut plan: Plan,
        host: &Host,
        again: impl Fn() -> Result<Plan, Diagnostics>,
    ) -> Result<Plan, Refused> {
        /// After so many the step itself says why it fails.
        const TRIES: u32 = 256;
        for _ in 0..TRIES {
            match Reserved::of(&plan) {
                Ok(reserved) => {
                    self.reserved = reserved;
                    break;
                }
                Err(Taken {
                    address,
                    errno: Errno::EADDRINUSE,
                }) => {
                    host.avoid(address);
                    plan = again()?;
                }
                // The step says so again, with its line.
                Err(_) => break,
            }
        }
        Ok(plan)
    }

    /// Unpacks the root of a profile that was held to its ceilings, where that has to be done; whether it
    /// had to.
    fn unpack(&self, profile: &Profile) -> Result<bool, Refused> {
        if !profile.rootfs.is_packed() {
            return Ok(false);
        }
        let host = joined::here();
        let command = profile.process.command().unwrap_or_default();
        let build = || sections::build(profile, &host, &command);
        let plan = build()?;
        let had_to = plan.is_preparation();
        self.prepared(plan, build)?;
        Ok(had_to)
    }

    /// Unpacks the root, where a plan says so, and plans anew.
    fn prepared(
        &self,
        plan: Plan,
        again: impl FnOnce() -> Result<Plan, Diagnostics>,
    ) -> Result<Plan, Refused> {
        if !plan.is_preparation() {
            return Ok(plan);
        }
        if std::io::stderr().is_terminal() {
            for step in &plan.steps {
                self.say(&step.op.to_string());
            }
        }
        supervisor::prepare(&plan).map_err(|failure| failure.diagnostic(&plan))?;
        Ok(again()?)
    }

    /// Says what is not enforced, and what will not be expected.
    fn tell(&self, plan: &Plan) {
        for note in &plan.notes {
            let origin = note.origin.display(&self.sources);
            match note.weight {
                Weight::Remark => {}
                Weight::Surprise => self.say(&note.text),
                Weight::Weaker => self.say(&format!("not enforced: {} ({origin})", note.text)),
            }
        }
    }

    /// The same plan with the command traced, if that is asked for.
    fn traced(plan: Plan, profile: &Profile, wanted: bool) -> Result<Plan, Refused> {
        if !wanted || plan.is_preparation() {
            return Ok(plan);
        }
        let without = profile.process.init_origin();
        let traced = plan.traced(&Origin::CommandLine);
        Ok(traced.ok_or_else(|| {
            Diagnostic::new(
                Code::Conflict,
                &Origin::CommandLine,
                "file calls are explained where an init waits for the command, and this profile has none",
            )
            .and(without, "switched off here")
            .help("leave out --explain-denials, or write `init = true`")
        })?)
    }

    /// Says that a step is done without, as the profile permits, and why; or what became of output.
    fn without(&self, step: &Step, why: &str) {
        let origin = step.origin.display(&self.sources);
        if matches!(step.op, Op::MakePipes { .. } | Op::RelayTerminal { .. }) {
            return self.say(&format!("{why} ({origin})"));
        }
        self.say(&format!("not enforced: {}: {why} ({origin})", step.op));
    }

    /// Prints problems for people.
    fn print(&self, problems: &[Diagnostic]) {
        let text = text::render(problems, &self.sources, std::io::stderr().is_terminal());
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// One line on stderr; if that is closed, nobody listens.
    fn say(&self, line: &str) {
        let line = crate::diag::printable(line);
        let _ = writeln!(std::io::stderr(), "sandbox: {line}");
    }
}

/// The sentence about a profile that cannot be had.
fn not_found(error: &FindError) -> Diagnostic {
    Diagnostic::new(error.code(), &Origin::CommandLine, error.to_string()).help(error.remedy())
}

/// Writes text to stdout.
fn output(text: &str) -> Result<(), Refused> {
    write_out(text).map_err(|cause| {
        let message = format!("cannot write to the standard output: {cause}");
        Diagnostic::new(Code::Output, &Origin::CommandLine, message)
            .help("redirect the output to a file that can be written")
            .into()
    })
}

fn write_out(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a value as JSON to stdout.
fn output_json(value: &impl serde::Serialize) -> Result<(), Refused> {
    // Values of ours have string keys only, and so can always be written.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    output(&format!("{text}\n"))
}

/// A value as one line of JSON.
fn json_line(value: &impl serde::Serialize) -> String {
    // Values of ours have string keys only, and so can always be written.
    let line = serde_json::to_string(value).unwrap_or_default();
    format!("{line}\n")
}

/// The command: the words after `--`, else the profile's own, else that of its image, if there is one.
fn command_of(
    words: &[OsString],
    profile: &Profile,
    host: &Host,
) -> Result<Option<Command>, Diagnostic> {
    if words.is_empty() {
        return match profile.process.command() {
            None => profile.rootfs.command(profile, host),
            command => Ok(command),
        };
    }
    let words = words.iter().map(|word| c_string(word.clone()));
    Ok(Some(Command::new(words, &Origin::CommandLine)))
}

/// A command that stands for any.
fn placeholder(program: &std::ffi::CStr) -> Command {
    Command::new([program.into()], &Origin::CommandLine)
}

/// An argument for the kernel; the kernel gave it to us without NUL.
fn c_string(word: OsString) -> std::ffi::CString {
    std::ffi::CString::new(word.into_vec()).unwrap_or_default()
}

/// What the variables of profiles stand for in this process. A working directory that was removed
/// is none; one that cannot be told is a refusal, since the project hangs on it.
fn variables() -> Result<Variables, Diagnostic> {
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
    let untold = |what: &str, why: std::io::Error| {
        let message = format!("cannot tell {what}: {why}");
        Diagnostic::new(Code::NotHere, &Origin::CommandLine, message)
            .help("start it in another folder, such as `/`")
    };
    let working_directory = match std::env::current_dir() {
        Ok(directory) => Some(directory),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
        Err(why) => return Err(untold("the working directory", why)),
    };
    let project = match &working_directory {
        Some(directory) => find::project(directory, home.as_deref())
            .map_err(|why| untold("the project's folder", why))?,
        None => None,
    };
    Ok(Variables {
        project,
        temporary: path("TMPDIR").unwrap_or_else(|| "/tmp".into()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        home,
        working_directory,
        environment,
    })
}
