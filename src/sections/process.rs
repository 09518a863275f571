//! `[process]`: how the command runs.

mod descriptors;
mod grants;
mod hardening;
mod input;
mod labels;
mod numa;
mod program;
mod scheduling;
mod streams;
mod terminal;

pub use hardening::{Dumped, Speculation};
pub use input::InputFile;
pub use numa::Numa;
pub use scheduling::{IoPriority, Personality, Scheduler};
pub(super) use streams::Source as StreamSource;
pub use streams::Stream;

use descriptors::Descriptors;
use hardening::Hardening;
use labels::Labels;
use scheduling::Scheduling;
use terminal::{Escapes, Terminal};

use super::enforce::Level;
use super::rootfs::Project;
use super::user::Identity;
use super::{Profile, absolute, mounts, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::probe::Mechanism;
use crate::plan::draft::{Command, c_string};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::profile::value::{Duration, Mode};
use crate::profile::variables::Variables;
use std::path::{Path, PathBuf};

crate::choice! {
    /// Which session the command is in (setsid(2)).
    pub enum Session {
        /// One of its own; `terminal` says whether it has a terminal.
        New = "new",
        /// The caller's.
        Inherit = "inherit",
    }
}

crate::choice! {
    /// What the command has of a regular file that the caller's output goes to.
    pub enum OutputFiles {
        /// A pipe: the sandbox writes what comes through it to the file.
        Relay = "relay",
        /// The file itself, which it can also empty, write anew and, where it may open it, read.
        Give = "give",
    }
}

crate::choice! {
    /// Which session keyring the command has (keyrings(7)).
    pub enum Keyring {
        /// An empty one of its own.
        New = "new",
        /// The caller's.
        Inherit = "inherit",
    }
}

crate::table! {
    /// How the command runs.
    ///
    /// ```toml
    /// [process]
    /// command = ["make", "-j4"]
    /// cwd = "/tmp"
    /// umask = "027"
    /// nice = 10
    /// session = "inherit"
    /// ```
    pub struct RawProcess as "[process]" {
        /// What runs where nothing follows `--`: the program and its arguments. What follows `--`
        /// takes its place. Default: nothing.
        command: List<String>,
        /// What the program of `command` is told that it is called (argument 0). Default: its name
        /// as it is written there.
        argv0: String,
        /// Whether the program is looked up and opened on the host and executed by its descriptor (execveat(2)), so
        /// that its file need not be in the root. What it loads is still taken from the root. A script cannot be
        /// executed so: its interpreter would have to read it.
        by_descriptor: bool = false,
        /// What the standard input is: `"inherit"`, `"null"` (/dev/null), or a file of the host (with a `/`; relative
        /// to the project), which is opened when the run starts, through no symbolic link.
        stdin: Stream = "inherit",
        /// What the standard output is: the same; a file is emptied, or made, and with `"append:"` before its path
        /// written to at its end. The command has a pipe, or the file itself, as `output_files` says.
        stdout: Stream = "inherit",
        /// What the standard error is: as for `stdout`, and one file for both is opened once.
        stderr: Stream = "inherit",
        /// The working directory inside. Default: the caller's where it is visible, else `/`.
        cwd: String,
        /// Which permissions new files lack (umask(2)).
        umask: Mode = "022",
        /// Whether an init of ours is the first process: it reaps, and hands on signals.
        /// Without it the command itself is pid 1.
        init: bool = true,
        /// The nice value, -20 to 19 (nice(2)). Below zero, what the caller's limit on `nice` does not reach, only root
        /// can give: for a new user namespace it is that limit inside then. Default: the caller's.
        nice: i32,
        /// -1000 to 1000 (proc_pid_oom_score_adj(5)). Default: the caller's.
        oom_score_adj: i32,
        /// Which session the command is in.
        session: Session = "new",
        /// Whose terminal the command works at. `"own"` is one that is opened inside, with job control: it is
        /// set and as large as the caller's, which is raw as long as the command runs. Streams that are no
        /// terminal stay what they are, unless none is one. `"auto"` is that where the standard input and
        /// output are a terminal and the session is new, else `"caller"`. With `"none"`, streams that lead to a
        /// terminal are pipes, and the input is empty (docs/terminal.md).
        terminal: Terminal = "auto",
        /// Which control sequences of the command reach the caller's terminal (console_codes(4)). `"display"` lets
        /// through those that move, colour and erase: none that the terminal answers, as if it were typed, none
        /// that sets the clipboard, and nothing that is no UTF-8. The command then never has the caller's
        /// terminal itself, but one of its own, or pipes.
        escapes: Escapes = "all",
        /// Whether memory that can be written may become executable, as just-in-time compilers need
        /// it. `false` takes Linux 6.3 (PR_SET_MDWE of prctl(2)), and holds for all descendants. A
        /// file that was written may still be mapped, where no `noexec` of its mount forbids it.
        write_execute: bool = true,
        /// What the command has of a regular file that the standard output or error goes to, as in
        /// `sandbox -- make >log` or `stdout = "./log"`. Terminals, pipes and devices are the command's in any case.
        output_files: OutputFiles = "relay",
        /// What the command has of a regular file that is the caller's standard input, as in `sandbox -- sort <names`,
        /// where it would have power over it: a plain user's own file, or one that others may write to.
        input_file: InputFile = "read",
        /// The descriptors of the caller that the command keeps besides 0 to 2, under their numbers:
        /// files, pipes and sockets, open when the run starts. What leads out of the sandbox, such as
        /// a directory, is refused. Default: none.
        descriptors: List<u32>,
        /// The profile of AppArmor that the command runs under, on top of the one that this program runs under: it
        /// can only refuse more. It has to be loaded, in the policy that is seen from inside. Default: none.
        apparmor: String,
        /// The context of SELinux that the command runs in. The policy has to permit the transition, under
        /// no_new_privs (`nnp_transition`). Default: what the policy says of the program.
        selinux: String,
        /// The context of SELinux that files have on what the sandbox makes: the root, /tmp and other tmpfs, files with
        /// contents and terminals (`context=`, mount(8)). Binds and overlays show what their sources have. Default: what
        /// the policy says of a tmpfs.
        selinux_files: String,
        /// The processors to run on, as cpuset(7) lists them: `"0-3,7"` (sched_setaffinity(2)). Needs
        /// no cgroup, and is no bound: the command may choose others. Default: the caller's.
        affinity: String,
        /// How processor time is given (sched(7)). Default: as the caller's.
        scheduler: Scheduler,
        /// The priority of the real-time policies `"fifo"` and `"rr"`, 1 to 99. What the caller's limit on `rtprio`
        /// does not reach, only root can give: for a new user namespace it is that limit inside then.
        priority: u32,
        /// Whether what the command starts has the usual policy again, and not its real-time one
        /// (`SCHED_RESET_ON_FORK` of sched(7)).
        reset_on_fork: bool = false,
        /// `"idle"`, or `"best-effort:0"` (first) to `"best-effort:7"` (last), or before all of them `"realtime:0"` to
        /// `"realtime:7"`, which only root can give: whose input and output comes first (ioprio_set(2)). Default: the
        /// caller's.
        ioprio: IoPriority,
        /// Which nodes of the machine memory is taken from (set_mempolicy(2)): `"local"`, `"bind:0"`,
        /// `"preferred:0-1"`, `"interleave:0-3"` or `"weighted-interleave:0-1"` (Linux 6.9). No bound: the command may
        /// choose others; `memory_nodes` under [limits] is one. Default: the caller's.
        numa: Numa,
        /// How late timers may fire, so that processors can sleep longer (PR_SET_TIMERSLACK of
        /// prctl(2)). Default: the caller's.
        timer_slack: Duration,
        /// What the command sees of the kernel (personality(2)). Default: what the kernel shows to
        /// any process of its own architecture, whatever the caller has chosen for itself.
        personality: List<Personality>,
        /// Which session keyring the command has. With the caller's it can ask for the keys in it, and so can the
        /// kernel on its behalf.
        keyring: Keyring = "new",
        /// Whether the command may read the time-stamp counter of the processor; where not, that is a SIGSEGV
        /// (PR_SET_TSC of prctl(2), x86 only), also for what the C library reads the clock by. It holds for
        /// descendants, and is no bound as long as the filter permits them to undo it.
        tsc: bool = true,
        /// Which speculation of the processor is switched off for the command and all its descendants, for good
        /// (PR_SET_SPECULATION_CTRL of prctl(2)). Refused where the machine is affected and has no such switch.
        no_speculation: List<Speculation>,
        /// Whether memory may come in huge pages without being asked for (PR_SET_THP_DISABLE of prctl(2)).
        transparent_huge_pages: bool = true,
        /// Which memory a core dump holds (/proc/PID/coredump_filter, core(5)); `core` under `[rlimits]` says whether
        /// there is one. Default: as the caller's.
        coredump_filter: List<Dumped>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Process {
    command: Option<At<Vec<At<String>>>>,
    argv0: Option<At<String>>,
    cwd: Option<At<PathBuf>>,
    umask: At<Mode>,
    init: At<bool>,
    nice: Option<At<i32>>,
    oom_score_adj: Option<At<i32>>,
    session: At<Session>,
    terminal: At<Terminal>,
    escapes: At<Escapes>,
    write_execute: At<bool>,
    pub(super) output_files: At<OutputFiles>,
    input_file: At<InputFile>,
    descriptors: Descriptors,
    labels: Labels,
    scheduling: Scheduling,
    hardening: Hardening,
    by_descriptor: At<bool>,
    keyring: At<Keyring>,
    streams: [At<streams::Source>; 3],
}

const NOBODY_ENDS_ALL: &str =
    "without an init, only a new pid namespace takes every process along at the end";

impl Process {
    /// Checks ranges and paths.
    pub fn check(
        raw: Option<At<RawProcess>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, _) = split(raw, "process");
        let scheduling = Scheduling::check(&raw, problems);
        let labels = Labels::check(&raw, problems);
        let hardening = Hardening::check(&raw);
        let streams = streams::check(&raw, variables, problems);
        for (value, least, most, name) in [
            (&raw.nice, -20, 19, "nice"),
            (&raw.oom_score_adj, -1000, 1000, "oom_score_adj"),
        ] {
            if let Some(value) = value
                .as_ref()
                .filter(|v| !(least..=most).contains(&v.value))
            {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &value.origin,
                        format!("`{name}` goes from {least} to {most}"),
                    )
                    .help(format!("for example: {name} = 10")),
                );
            }
        }
        if raw.umask.value.0 > 0o777 {
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &raw.umask.origin,
                    "a umask has permission bits only",
                )
                .help("for example: umask = \"022\""),
            );
        }
        let what = |mode: u32| {
            if mode & 0o700 != 0 {
                Some("new files cannot be used by their owner, the command itself")
            } else if mode & 0o002 == 0 {
                Some("everybody can write to new files, in the project too")
            } else {
                None
            }
        };
        let mask = raw.umask.value.0;
        if let Some(what) = what(mask).filter(|_| mask <= 0o777) {
            problems.push(
                Diagnostic::new(Code::OpenFiles, &raw.umask.origin, what)
                    .help("a umask says what is taken away: \"022\" leaves rwxr-xr-x"),
            );
        }
        let command = raw.command.map(|list| list.map(|list| list.0));
        if let Some(command) = &command
            && command
                .value
                .first()
                .is_none_or(|word| word.value.is_empty())
        {
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &command.origin,
                    "a command has the name of a program in front",
                )
                .help("for example: command = [\"make\", \"-j4\"]"),
            );
        }
        if let Some(argv0) = raw.argv0.as_ref().filter(|_| command.is_none()) {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &argv0.origin,
                    "a name for the program of a command that is not there",
                )
                .help("write `command` too: what follows `--` has its own name"),
            );
        }
        let cwd = raw.cwd.and_then(|cwd| {
            absolute(&cwd, "working directory", problems).map(|path| At::new(path, cwd.origin))
        });
        Self {
            hardening,
            streams,
            by_descriptor: raw.by_descriptor,
            keyring: raw.keyring,
            scheduling,
            labels,
            descriptors: Descriptors::check(raw.descriptors, problems),
            command,
            argv0: raw.argv0,
            cwd,
            umask: raw.umask,
            init: raw.init,
            nice: raw.nice,
            oom_score_adj: raw.oom_score_adj,
            session: raw.session,
            output_files: raw.output_files,
            input_file: raw.input_file,
            terminal: raw.terminal,
            escapes: raw.escapes,
            write_execute: raw.write_execute,
        }
    }

    /// What the namespaces, the root and the filter make of it.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let namespaces = &profile.namespaces;
        if !self.init.value && !namespaces.pid.value.is_new() {
            problems.push(
                Diagnostic::new(Code::InitWithoutPid, &self.init.origin, NOBODY_ENDS_ALL)
                    .and(&namespaces.pid.origin, "not new here")
                    .help("write `init = true`, or `pid = \"new\"` under [namespaces]"),
            );
        }
        if let Some(cwd) = &self.cwd
            && namespaces.builds_root()
            && !profile.mounts.can_hold(&cwd.value, profile)
        {
            problems.push(
                Diagnostic::new(
                    Code::NoWorkingDirectory,
                    &cwd.origin,
                    format!(
                        "nothing puts a directory {} into the root",
                        cwd.value.display()
                    ),
                )
                .help("choose one that is visible inside, or mount it"),
            );
        }
        self.relate_terminal(profile, problems);
        self.relate_program(profile, problems);
        if let Some(filter) = &self.hardening.coredump_filter
            && let Some(core) = profile.rlimits.forbids_dumps()
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &filter.origin,
                    "there are no core dumps, whatever they would hold",
                )
                .and(core, "not even of a page")
                .help("write core = \"infinity\" under [rlimits], or remove it"),
            );
        }
        if self.session.value == Session::Inherit
            && let Some(permitted) = profile.seccomp.permits_terminal_input(profile)
        {
            problems.push(
                Diagnostic::new(
                    Code::TerminalInput,
                    &self.session.origin,
                    "the command can type into the caller's terminal (TIOCSTI), and the shell would obey",
                )
                .and(permitted, "permitted here")
                .help("write `session = \"new\"`, or keep the filter and do not allow `ioctl`"),
            );
        }
    }

    /// Whether files that output goes to are kept from the command.
    #[must_use]
    pub fn relays_files(&self) -> bool {
        self.output_files.value == OutputFiles::Relay
    }

    /// Whether the program is executed by its descriptor, and need not be inside.
    #[must_use]
    pub fn is_by_descriptor(&self) -> bool {
        self.by_descriptor.value
    }

    /// Which lines ask for labels.
    pub fn labelled(&self) -> impl Iterator<Item = &Origin> {
        self.labels.asked()
    }

    /// Which line refuses memory that is written and executed.
    #[must_use]
    pub fn refuses_write_execute(&self) -> Option<&Origin> {
        Some(&self.write_execute.origin).filter(|_| !self.write_execute.value)
    }

    /// Where the command has no init of ours.
    #[must_use]
    pub fn without_init(&self) -> Option<&Origin> {
        Some(&self.init.origin).filter(|_| !self.init.value)
    }

    /// The program of the profile's own command.
    #[must_use]
    pub fn program(&self) -> Option<&At<String>> {
        self.command.as_ref()?.value.first()
    }

    /// The line by which the command keeps a descriptor of the caller's, if one does.
    #[must_use]
    pub fn keeps(&self, number: i32) -> Option<&Origin> {
        self.descriptors.keeps(number)
    }

    /// The profile's own command: what runs where the caller names none.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        let At { value, origin } = self.command.as_ref()?;
        let words = value.iter().map(|word| c_string(&word.value));
        let argv0 = self.argv0.as_ref().map(|name| c_string(&name.value));
        Some(Command {
            argv0,
            ..Command::new(words, origin)
        })
    }

    /// Takes a working directory that something else than the profile proposes, unless the profile has one.
    pub fn propose_cwd(&mut self, directory: &str, line: &Origin) {
        let path = Path::new("/").join(directory);
        if self.cwd.is_none() && !directory.is_empty() && !directory.contains('\0') {
            self.cwd = Some(At::new(path, line.clone()));
        }
    }

    /// Which line decides whether there is an init.
    #[must_use]
    pub fn init_origin(&self) -> &Origin {
        &self.init.origin
    }

    /// Adds everything between the finished root and the reduced privileges.
    pub fn steps(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        let alone = draft.watch.new_pid_namespace;
        draft.watch.init = self.init.value;
        draft.watch.new_session = self.session.value == Session::New;
        let init = &self.init.origin;
        if let Some(score) = &self.oom_score_adj {
            draft.step(
                Phase::Attributes,
                Op::SetOomScore(score.value),
                &score.origin,
            );
        }
        if self.keyring.value == Keyring::New {
            draft.step(Phase::Keyring, Op::NewKeyring, &self.keyring.origin);
        }
        draft.step(Phase::Hide, Op::Hide, init);
        if self.session.value == Session::New {
            draft.step(Phase::Session, Op::NewSession, &self.session.origin);
        }
        if self.init.value {
            draft.step(Phase::Fork, Op::ForkPayload { alone }, init);
            if self.session.value == Session::New {
                draft.step(
                    Phase::ProcessSettings,
                    Op::NewProcessGroup,
                    &self.session.origin,
                );
            }
            draft.step(Phase::DeathSignal, Op::DieWithInit, init);
        } else {
            if !alone {
                draft.refuse(
                    init,
                    NOBODY_ENDS_ALL,
                    "write `init = true`, or `pid = \"new\"` under [namespaces]",
                );
            }
            draft.step(Phase::DeathSignal, Op::DieWithSupervisor, init);
        }
        let umask = Op::SetUmask(self.umask.value.0);
        draft.step(Phase::ProcessSettings, umask, &self.umask.origin);
        if let Some(nice) = &self.nice {
            scheduling::allow_nice(nice, profile.namespaces.user.value.is_new(), draft);
            draft.step(
                Phase::ProcessSettings,
                Op::SetNice(nice.value),
                &nice.origin,
            );
        }
        self.memory(profile, draft);
        let (cwd, origin) = self.working_directory(profile);
        self.without_project(profile, draft);
        draft.step(
            Phase::WorkingDirectory,
            Op::ChangeDirectory(c_string(cwd)),
            &origin,
        );
        self.terminals(profile, identity, draft);
        self.input(profile, draft);
        self.labels.steps(&profile.enforce.labels, draft);
        let new_user = profile.namespaces.user.value.is_new();
        self.scheduling.steps(new_user, draft);
        self.hardening.steps(draft);
        self.open_streams(profile.limits.relays_all(draft), draft);
        self.descriptors
            .steps(profile.namespaces.builds_root(), draft);
        draft.step(
            Phase::Signals,
            Op::ResetSignals,
            &Origin::Default("process.signals"),
        );
    }

    /// Refuses memory that is written and executed, where that is asked for.
    fn memory(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let enforce = &profile.enforce.write_execute;
        let Some(origin) = self.refuses_write_execute() else {
            return;
        };
        if enforce.value == Level::Off {
            return draft.note(
                &enforce.origin,
                "written memory may become executable: it is off",
            );
        }
        draft.wants([Mechanism::WriteExecute]);
        if draft.host.refuses_write_execute() {
            return draft.step(Phase::Memory, Op::RefuseWriteExecute, origin);
        }
        let text = "this kernel cannot refuse to execute written memory";
        if enforce.value == Level::Prefer {
            return draft.weaker(origin, text);
        }
        draft.refuse(
            origin,
            text,
            "use Linux 6.3 or newer, or write `write_execute = \"prefer\"` under [enforce]",
        );
    }

    /// Says that the caller's folder is not shown, which whoever starts a run in their home will not expect: what the
    /// command writes there would be lost with nothing said.
    fn without_project(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let variables = &profile.variables;
        let (Some(here), None) = (&variables.working_directory, &variables.project) else {
            return;
        };
        let project = &profile.rootfs.project;
        let is_meant = self.cwd.is_some()
            || project.value == Project::Hide
            || !profile.namespaces.builds_root()
            || here.parent().is_none()
            || profile.mounts.concern(here);
        if is_meant {
            return;
        }
        let what = match mounts::home(variables) == Some(here) {
            true => "the home",
            false => "a folder of the system",
        };
        draft.surprise(
            &project.origin,
            format!(
                "{} is {what} and no project: nothing of it is shown, and what is written there is lost; start in a folder below it, or write `project = \"hide\"` under [rootfs]",
                here.display()
            ),
        );
    }

    /// The working directory: the profile's, else the caller's if it lies in the project and the
    /// project is shown, or is the home, else the root.
    #[must_use]
    pub fn working_directory(&self, profile: &Profile) -> (PathBuf, Origin) {
        if let Some(cwd) = &self.cwd {
            return (cwd.value.clone(), cwd.origin.clone());
        }
        let variables = &profile.variables;
        let shown =
            profile.rootfs.project.value != Project::Hide || !profile.namespaces.builds_root();
        let path = match (&variables.working_directory, &variables.project) {
            (Some(cwd), Some(project)) if shown && cwd.starts_with(project) => cwd.as_path(),
            (Some(cwd), _) if !profile.namespaces.builds_root() => cwd,
            (Some(cwd), _) if mounts::home(variables) == Some(cwd) => cwd,
            _ => Path::new("/"),
        };
        (path.into(), Origin::Default("process.cwd"))
    }
}
