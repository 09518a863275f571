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
    /// Say what a profile permits that another does not; exit 1 if the second permits more
    Diff(Diff),
    /// Say how open profiles are, from 0.0 (tight) to 10.0 (open), and what makes them so
    Score(Score),
}

/// Running a command.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) profile: ProfileName,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
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
    /// The profiles, by path or name
    #[arg(required = true, value_name = "PROFILE")]
    pub(super) profiles: Vec<String>,
}

/// Explaining a plan.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) profile: ProfileName,
    #[command(flatten)]
    pub(super) ceilings: Ceilings,
    /// Add the reasons of the order
    #[arg(long)]
    pub(super) why: bool,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

fn exposure(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=10.0).contains(number))
        .ok_or_else(|| "an exposure goes from 0.0 to 10.0".into())
}
