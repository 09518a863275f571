//! The arguments.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;

/// Run a command under a profile: a TOML file that declares what the command may see and use.
#[derive(Debug, Parser)]
#[command(
    name = "sandbox",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions",
    after_help = "Exit codes: the command's own; 128+N if signal N ended it; 124 if a time limit did; \
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
    /// Print the operations that a run would perform, in order, with the line each comes from
    Explain(Explain),
    /// Prove what a profile asserts under [[test]], by trying it inside the sandbox
    ///
    /// Exit codes: 0 if all assertions hold, 1 if one does not, 125 if the profile is wrong, asserts
    /// nothing, or the sandbox could not be set up.
    Test(Test),
}

/// Running a command.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) profile: ProfileName,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Which profile.
#[derive(Debug, Args)]
pub(super) struct ProfileName {
    /// A path, or a name that is looked up in ./, ./.sandbox/, the project's profiles/, the user's
    /// and the system's configuration, and among the built-in ones [default: sandbox.toml upwards
    /// from here, else the built-in `default`]
    #[arg(short, long, value_name = "PROFILE")]
    pub(super) profile: Option<String>,
}

/// Checking profiles.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The profiles, by path or name
    #[arg(required = true, value_name = "PROFILE")]
    pub(super) profiles: Vec<String>,
}

/// Explaining a plan.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) profile: ProfileName,
    /// Add the reasons of the order
    #[arg(long)]
    pub(super) why: bool,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Proving assertions.
#[derive(Debug, Args)]
pub(super) struct Test {
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
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// The form of a report on tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For CI services
    Junit,
}
