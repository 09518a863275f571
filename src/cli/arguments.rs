//! The arguments.

use super::many::Times;
use super::settings::Settings;
use crate::sections::report::Target;
use crate::serve::Address;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Run a command under a profile: a TOML file that declares what the command may see and use.
#[derive(Debug, Parser)]
#[command(
    name = "sandbox",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions",
    after_help = "Exit codes: the command's own; 128+N if signal N ended it; 124 if a limit on time or output did; \
                  125 if the sandbox could not be set up; 126 if the command cannot be executed; \
                  127 if it is not there."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) run: Run,
    #[command(subcommand)]
    pub(super) action: Option<Action>,
}

/// The commands of the program. A command to be run that is named like one goes after `--`.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Say everything that is wrong with profiles; run nothing
    Check(Check),
    /// Print the profile that holds, whatever it extends and the command line sets, with the origin
    /// of every value
    Show(Show),
    /// Print the language of profiles: a JSON Schema for editors, or the reference
    Schema(Schema),
    /// Print the operations that a run would perform, in order, with the line each comes from
    Explain(Explain),
    /// Say what this machine offers, what is in the way of the rest, and what would remove that
    ///
    /// Given a profile: only what that profile needs, and whether it can run here (exit code 0) or
    /// not (125). Without one: everything, and whether the built-in default can run. To find out,
    /// the sandbox is really set up, and taken down before any command starts.
    Doctor(Doctor),
    /// Write a sandbox.toml that fits the project in a folder, and say what to put in CI
    ///
    /// Only the names of the project's files are looked at.
    Init(Init),
    /// Take away what runs have left whose supervisor was killed, and say what it was
    ///
    /// The next run with the same profile does the same for its own. Control groups are looked for in all
    /// that is mounted here of their hierarchies, mount points in folders, half of a root in the cache. What a run still uses stays, and
    /// so does what another user's runs have left. Exit code 1 if something could not be removed.
    Gc(Gc),
    /// Unpack the root of a profile, list the roots that were unpacked, or remove those that no run uses
    ///
    /// Roots that a profile names by `archive` or `image` are unpacked once, into $XDG_CACHE_HOME/sandbox,
    /// else ~/.cache/sandbox; for root into /var/cache/sandbox. Those in a registry are fetched before that.
    Images(Images),
    /// List the profiles that can be named, where each comes from, and which hides which
    Profiles(Profiles),
    /// Print the completions for a shell, made from this very command line
    ///
    /// bash: `sandbox completions bash >/usr/share/bash-completion/completions/sandbox`. zsh: into a
    /// file `_sandbox` in a folder of $fpath. fish: into ~/.config/fish/completions/sandbox.fish.
    Completions(Completions),
    /// Print the manual page, or write one for each action into a folder
    Man(Man),
    /// Say what a profile permits that another does not; exit 1 if the second permits more
    Diff(Diff),
    /// Say how open profiles are, from 0.0 (tight) to 10.0 (open), and what makes them so
    Score(Score),
    /// Prove what a profile asserts under [[test]], by trying it inside the sandbox
    ///
    /// Exit codes: 0 if all assertions hold, 1 if one does not, 125 if the profile is wrong, asserts
    /// nothing, or the sandbox could not be set up.
    Test(Test),
    /// Look at the changes that runs have kept (`changes = "keep"`), take them over or throw them away
    Changes(Changes),
    /// Say whether a profile allows something, which line decides, and what to write to allow it
    ///
    /// For example: `sandbox why build write /etc/passwd`. Nothing is run. Exit codes: 0 if it is
    /// allowed, 1 if it is denied, 125 if the profile or the question is wrong.
    Why(Why),
    /// List the sandboxes that run; of root, those of all users
    ///
    /// A run has a record if it has a name (--name), was detached, or was started with --record.
    Ps(Ps),
    /// Say everything about a sandbox that runs: profile, plan, namespaces, ids, mounts, processes
    Inspect(Inspect),
    /// Run a command in a sandbox that runs, under the very same confinement
    ///
    /// It enters the namespaces and the control group, and goes through the steps that confine the first
    /// command: ids, capabilities, no_new_privs, Landlock, the system call filter, resource limits, the
    /// environment. What it leaves running stays until the sandbox ends. Exit codes are those of a run.
    Exec(Exec),
    /// End a sandbox, as its grace period has it, and wait for that; or send it a signal
    Kill(Kill),
    /// Wait for the end of a sandbox, with its exit code
    Wait(Which),
    /// Forget sandboxes that have ended: their records and logs
    Rm(Several),
    /// Stop everything in a sandbox, until it is resumed or ends
    ///
    /// By the freezer of its control group, where that is one of cgroup v2; else its init sends SIGSTOP to all others.
    Pause(Which),
    /// Let a sandbox that was paused go on
    Resume(Which),
    /// Say what sandboxes use at this moment, as their control groups count it
    Stats(Stats),
    /// Print what a sandbox that was detached has written
    Logs(Logs),
    /// Keep a sandbox open without a command, for `sandbox exec`
    Up(Up),
    /// End a sandbox that `up` keeps open, as its grace period has it
    Down(Which),
}

/// Listing runs.
#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Also those that have ended and are remembered
    #[arg(short, long)]
    pub(super) all: bool,
    /// Show it again every second: on a terminal, until q or Ctrl-C
    #[arg(short, long)]
    pub(super) watch: bool,
    /// Print JSON; with `--watch`, a line each time
    #[arg(long)]
    pub(super) json: bool,
}

/// Looking at a run.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Its name, or its id or the beginning of that
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Joining a run.
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Its name, or its id or the beginning of that
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Print the operations that this would perform, as `explain` does; run nothing
    #[arg(long)]
    pub(super) explain: bool,
    /// Give the command a terminal of its own, in pipes too
    #[arg(long)]
    pub(super) tty: bool,
    /// Give it none of its own
    #[arg(long, conflicts_with = "tty")]
    pub(super) no_tty: bool,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub(super) command: Vec<OsString>,
}

/// Ending a run.
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// Its name, or its id or the beginning of that
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Send its command this signal and do not wait: HUP, INT, QUIT, TERM, USR1, USR2, ALRM, WINCH, CONT, TSTP, KILL
    #[arg(short, long, value_name = "SIGNAL")]
    pub(super) signal: Option<String>,
}

/// One run.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its name, or its id or the beginning of that
    #[arg(value_name = "NAME")]
    pub(super) name: String,
}

/// Several runs.
#[derive(Debug, Args)]
pub(super) struct Several {
    /// Their names, or their ids or the beginnings of those
    #[arg(value_name = "NAME", required = true)]
    pub(super) names: Vec<String>,
}

/// What runs use.
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Their names, or their ids or the beginnings of those [default: all that run]
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Show it again every second, until all have ended; on a terminal, until q or Ctrl-C
    #[arg(short, long)]
    pub(super) watch: bool,
    /// Print JSON, a line each time
    #[arg(long)]
    pub(super) json: bool,
}

/// Logs.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Its name, or its id or the beginning of that
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Go on with what is written from now on, until it ends
    #[arg(short, long)]
    pub(super) follow: bool,
}

/// Keeping a sandbox open.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
    /// Its name [default: an id]
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: Option<String>,
}

impl Up {
    /// The run that it is.
    pub(super) fn run(self) -> Run {
        Run {
            selection: self.selection,
            ceilings: self.ceilings,
            report: None,
            stats: false,
            explain_denials: false,
            progress: false,
            recorded: Recorded {
                name: self.name,
                record: true,
                detach: true,
            },
            open: true,
            repeat: None,
            listen: None,
            max: NonZeroUsize::MIN,
            command: Vec::new(),
        }
    }
}

/// The record of a run.
#[derive(Debug, Args)]
pub(super) struct Recorded {
    /// Keep a record of the run under this name, so that `sandbox ps`, `exec`, `kill` and the others find it
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) name: Option<String>,
    /// Keep a record of the run without a name
    #[arg(long)]
    pub(super) record: bool,
    /// Return once the command runs, and leave it in the background; what it writes goes to log files of
    /// limited size (`sandbox logs`)
    #[arg(short, long, conflicts_with_all = ["progress", "stats"])]
    pub(super) detach: bool,
}

impl Recorded {
    /// Whether there is to be one.
    pub(super) fn is_wanted(&self) -> bool {
        self.name.is_some() || self.record || self.detach
    }
}

/// Running a command.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
    /// Write a report on the run there, as JSON: to a file, which is replaced, or to a descriptor that
    /// is open; holds instead of `file` under [report] (docs/report.md)
    #[arg(long, value_name = "FILE|fd:N")]
    pub(super) report: Option<Target>,
    /// Say on stderr in the end what the run has used
    #[arg(long)]
    pub(super) stats: bool,
    /// Tell in the end which files the command was refused or did not find, though they are on this machine, by which
    /// line, and what to write. The command is traced for it (ptrace(2)), which slows it down
    #[arg(long)]
    pub(super) explain_denials: bool,
    /// Show on the terminal how far the run is: time, processor time, memory. Only while the command's
    /// own output goes elsewhere, as in `sandbox --progress -- make >log 2>&1`
    #[arg(long)]
    pub(super) progress: bool,
    /// Run again and again, each time in a sandbox of its own; ends early if a command does not start, or is
    /// interrupted. The exit code is the first that is not 0
    #[arg(long, value_name = "NUMBER|forever", conflicts_with_all = ["listen", "detach"])]
    pub(super) repeat: Option<Times>,
    /// Listen there, and run the command for each connection, in a sandbox of its own, with the connection as
    /// standard input and output; `systemd` stands for the sockets that it passes (docs/terminal.md)
    #[arg(
        long,
        value_name = "tcp:ADDRESS:PORT|unix:PATH|systemd",
        conflicts_with_all = ["progress", "detach", "name"]
    )]
    pub(super) listen: Option<Address>,
    /// How many connections are served at once; further ones wait
    #[arg(long, value_name = "NUMBER", requires = "listen", default_value = "50")]
    pub(super) max: NonZeroUsize,
    #[command(flatten)]
    pub(super) recorded: Recorded,
    /// Whether it is kept open without a command (`sandbox up`).
    #[arg(skip)]
    pub(super) open: bool,
    /// The command and its arguments [default: `command` under [process] of the profile]
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Which profile, and what holds instead of what it says.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// A path, or a name that is looked up in ./, ./.sandbox/, the project's profiles/, the user's
    /// and the system's configuration, and among the built-in ones [default: sandbox.toml upwards
    /// from here, else the built-in `default`]
    #[arg(short, long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// What the profile may not exceed.
#[derive(Debug, Args)]
pub(super) struct Ceilings {
    /// A profile that says the most that may be permitted: a path, or a name that is looked up in
    /// the user's and the system's configuration and among the built-in ones. The run is refused if
    /// its profile permits more. /etc/sandbox/ceiling.toml holds as well
    #[arg(long = "ceiling", value_name = "PROFILE")]
    pub(super) names: Vec<String>,
}

/// Comparing profiles.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The first: a path, a name, or a git revision such as HEAD:sandbox.toml
    #[arg(value_name = "BEFORE")]
    pub(super) before: String,
    /// The second
    #[arg(value_name = "AFTER")]
    pub(super) after: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The exposure of profiles.
#[derive(Debug, Args)]
pub(super) struct Score {
    /// The profiles: paths, names, or git revisions [default: the one that a run would take]
    #[arg(value_name = "PROFILE")]
    pub(super) profiles: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Exit 1 if the exposure of a profile is above this
    #[arg(long, value_name = "EXPOSURE", value_parser = exposure)]
    pub(super) threshold: Option<f64>,
}

/// Checking profiles.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The profiles, by path or name [default: that of a run without --profile]
    #[arg(value_name = "PROFILE")]
    pub(super) profiles: Vec<String>,
    #[command(flatten)]
    pub(super) settings: Settings,
    /// How to say it: for people on stderr, the other forms on stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub(super) format: Format,
    /// What counts as an error besides errors; to deny notes is to deny warnings too
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) deny: Option<Deny>,
    /// Check against this machine too: missing sources, ids, limits and kernel features
    #[arg(long)]
    pub(super) host: bool,
}

/// The form of diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Sentences with the lines underlined
    #[default]
    Text,
    /// A JSON document, described in docs/diagnostics.md
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Workflow commands of GitHub Actions, which annotate the lines of a change
    Github,
}

/// What is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Deny {
    /// Warnings
    Warnings,
    /// Warnings and notes
    Notes,
}

/// Showing a profile.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = ShowFormat::Toml)]
    pub(super) format: ShowFormat,
}

/// How a profile is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ShowFormat {
    /// A profile that says the same, with origins and defaults as comments
    Toml,
    /// The same without comments
    Plain,
    /// JSON, with origins and defaults
    Json,
}

/// Printing the language.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// In which form
    #[arg(long, value_enum, default_value_t = SchemaFormat::Json)]
    pub(super) format: SchemaFormat,
}

/// In which form the language is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SchemaFormat {
    /// JSON Schema, draft 7
    Json,
    /// The reference of all keys
    Markdown,
}

/// Explaining a plan.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
    /// The list for a run with that option
    #[arg(long)]
    pub(super) explain_denials: bool,
    /// Add the reasons of the order
    #[arg(long)]
    pub(super) why: bool,
    /// Print instead what becomes of every system call
    #[arg(long, conflicts_with_all = ["why", "bpf"])]
    pub(super) seccomp: bool,
    /// Print instead the system call filter, one instruction of its program a line
    #[arg(long, conflicts_with = "why")]
    pub(super) bpf: bool,
    /// The command and its arguments [default: the profile's own]
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Looking at the machine.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) output: Output,
    /// The command that is to run, for profiles that show no more than its files [default: the
    /// profile's own, else `true`]
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Writing a profile.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Replace a sandbox.toml that is there
    #[arg(long)]
    pub(super) force: bool,
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,
}

/// Taking away what was left behind.
#[derive(Debug, Args)]
pub(super) struct Gc {
    /// Where to look for mount points, at any depth, on the same file system [default: the project]
    #[arg(value_name = "DIR")]
    pub(super) folders: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Unpacked roots.
#[derive(Debug, Args)]
pub(super) struct Images {
    #[command(subcommand)]
    pub(super) what: Option<OfImages>,
}

/// What is done with unpacked roots; by default, they are listed.
#[derive(Debug, Subcommand)]
pub(super) enum OfImages {
    /// List them: what each was unpacked from, how large it is, whether a run uses it
    List(ListImages),
    /// Unpack the root of a profile, as its first run would
    Unpack(UnpackImage),
    /// Ask a registry which image a tag is now, and print the line that names it in a profile
    Pin(PinImage),
    /// Remove those that no run uses, and what was left by a run that was killed while it unpacked
    Prune(PruneImages),
}

/// Listing unpacked roots.
#[derive(Debug, Args)]
pub(super) struct ListImages {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Unpacking the root of a profile.
#[derive(Debug, Args)]
pub(super) struct UnpackImage {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
}

/// Asking for a digest.
#[derive(Debug, Args)]
pub(super) struct PinImage {
    /// Which: registry:HOST/NAME:TAG
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: String,
}

/// Removing unpacked roots.
#[derive(Debug, Args)]
pub(super) struct PruneImages {
    /// Only those with these names [default: all]
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Listing profiles.
#[derive(Debug, Args)]
pub(super) struct Profiles {
    #[command(flatten)]
    pub(super) output: Output,
}

/// Proving assertions.
#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    pub(super) settings: Settings,
    /// The profile, by path or name [default: as for a run]
    #[arg(value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// Only the assertions with this in their name (`TEST: KEY VALUE`)
    #[arg(long, value_name = "WORD")]
    pub(super) filter: Option<String>,
    /// Print the operations that each attempt would perform, as `explain` does; try nothing
    #[arg(long, conflicts_with = "format")]
    pub(super) explain: bool,
    /// The form of the report on the standard output
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    pub(super) format: TestFormat,
}

/// The form of a report on tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TestFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For CI services
    Junit,
}

/// Asking a profile.
#[derive(Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    pub(super) settings: Settings,
    /// The profile, by path or name, where it is not the first word [default: as for a run]
    #[arg(short, long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// `read PATH`, `write PATH`, `see PATH`, `exec PROGRAM`, `connect HOST:PORT` (or unix:PATH,
    /// unix-abstract:NAME, vsock:CID:PORT), `call NAME` (or "NAME(1, 0x2)"), `capability NAME`,
    /// `env NAME`
    #[arg(value_names = ["[PROFILE] QUESTION", "ABOUT"], num_args = 2..=3, required = true)]
    pub(super) words: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Changes that were kept.
#[derive(Debug, Args)]
pub(super) struct Changes {
    #[command(subcommand)]
    pub(super) action: ChangesAction,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(super) enum ChangesAction {
    /// List the names under which changes are kept; or the changes of one, a line each
    List(ListChanges),
    /// Show the changes of a name, with the lines of text that differ
    Diff(DiffChanges),
    /// Take the changes of a name over into the tree that they are changes to
    ///
    /// Each file is written aside and renamed, and no symbolic link is followed. Setuid and setgid bits,
    /// file capabilities and devices are taken over only if asked for, and nothing at all where the tree
    /// has changed meanwhile. Exit code 1 if something was not taken over: the changes stay then.
    Apply(ApplyChanges),
    /// Throw away the changes of names
    Discard(DiscardChanges),
}

/// Listing changes.
#[derive(Debug, Args)]
pub(super) struct ListChanges {
    /// The name
    pub(super) name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Showing changes.
#[derive(Debug, Args)]
pub(super) struct DiffChanges {
    /// The name
    pub(super) name: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Taking changes over.
#[derive(Debug, Args)]
pub(super) struct ApplyChanges {
    /// The name
    pub(super) name: String,
    /// With setuid and setgid bits and file capabilities
    #[arg(long)]
    pub(super) privileges: bool,
    /// With device files
    #[arg(long)]
    pub(super) devices: bool,
    /// Over what was changed in the tree meanwhile too
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Changes to an unpacked root: into this copy of it, and they are kept
    #[arg(long, value_name = "FOLDER")]
    pub(super) onto: Option<std::path::PathBuf>,
}

/// Throwing changes away.
#[derive(Debug, Args)]
pub(super) struct DiscardChanges {
    /// The names
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
}

/// For whom an output is.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// The form of the output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub(super) format: Form,
}

/// The form of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Completions.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    pub(super) shell: Shell,
}

/// The shells that are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Manual pages.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write sandbox.1 and a page for each action into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    match crate::running::is_name(text) {
        true => Ok(text.into()),
        false => Err(
            "a name has up to 64 letters, digits, `-`, `_` and `.`, a letter or a digit in front"
                .into(),
        ),
    }
}

fn exposure(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=10.0).contains(number))
        .ok_or_else(|| "an exposure goes from 0.0 to 10.0".into())
}
