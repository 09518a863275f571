//! An option for every single value of a profile: `--limits.memory 2G`. They are read off the
//! declarations of the tables, so that there is one for each, under its own name and words.

use crate::profile::overlay::Overlay;
use crate::profile::shape::{self, Field, Kind};
use crate::profile::table::Table as _;
use crate::sections::Raw;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// What the command line says on top of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(pub(super) Overlay);

/// Keys that speak about the file itself.
const NOT_OPTIONS: &[&str] = &["version", "description"];

/// The values that have an option, by path.
fn options() -> impl Iterator<Item = (String, &'static Field)> {
    shape::scalars(const { &Raw::SHAPE })
        .into_iter()
        .filter(|(path, _)| !NOT_OPTIONS.contains(&path.as_str()))
}

/// The command line with all of them. They are left out of it at first, since describing some
/// seventy options for each action takes as long as planning a run: [`super::parse`] asks for them
/// where a line does not parse without.
pub(super) fn with_options(command: Command) -> Command {
    let heading = "Settings of the profile (each holds instead of the file's)";
    let takes = command.get_arguments().any(|a| a.get_id() == SET);
    let options = options().filter(|_| takes).map(|(path, field)| {
        Arg::new(path.clone())
            .long(path)
            .value_name(value_name(&field.kind))
            .allow_hyphen_values(true)
            .help(field.doc.concat().trim().to_owned())
            .help_heading(heading)
            .hide_short_help(true)
    });
    command.args(options).mut_subcommands(with_options)
}

/// The key of the two short options.
const TERMINAL: &str = "process.terminal";

/// Short options: the name, the value that it stands for, and what for.
const SHORT: [(&str, &str, &str); 2] = [
    (
        "tty",
        "own",
        "Give the command a terminal of its own, in pipes too",
    ),
    ("no-tty", "caller", "Give it none of its own"),
];

/// The option for parameters; what has it has the others too.
const SET: &str = "set";

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let set = Arg::new(SET)
            .long(SET)
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help("The value of a parameter of the profile");
        let terminal = SHORT.map(|(name, value, help)| {
            Arg::new(name)
                .long(name)
                .action(ArgAction::SetTrue)
                .conflicts_with_all(
                    SHORT
                        .map(|(name, ..)| name)
                        .into_iter()
                        .filter(move |n| *n != name),
                )
                .help(format!("{help}: the same as --{TERMINAL} {value}"))
        });
        command.arg(set).args(terminal)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for set in matches.get_many::<String>(SET).into_iter().flatten() {
            let Some((name, value)) = set.split_once('=') else {
                let message = format!("`--set {set}` names no value: write --set NAME=VALUE\n");
                return Err(Error::raw(clap::error::ErrorKind::InvalidValue, message));
            };
            self.0.set(name, value);
        }
        for (name, value, _) in SHORT.iter().filter(|(name, ..)| matches.get_flag(name)) {
            if let Some((path, field)) = options().find(|(path, _)| path == TERMINAL) {
                self.0.short(&format!("--{name}"), &path, field, value);
            }
        }
        // Listing the options takes a tenth of what planning does: only for a line that may have one.
        let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let is_key = |id: &&str| {
            let (first, _) = id.split_once('.').unwrap_or((id, ""));
            Raw::SHAPE.fields.iter().any(|field| field.key == first)
        };
        let ids = matches.ids().map(Id::as_str);
        let given: Vec<_> = ids.filter(is_key).filter(given).collect();
        if given.is_empty() {
            return Ok(());
        }
        for (path, field) in options().filter(|(path, _)| given.contains(&path.as_str())) {
            if let Some(text) = matches.get_one::<String>(&path) {
                self.0.value(&path, field, text);
            }
        }
        Ok(())
    }
}

/// What stands behind the option in the help.
fn value_name(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "true|false".into(),
        Kind::Integer(..) | Kind::Number(..) => "NUMBER".into(),
        Kind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| word.word).collect();
            words.join("|")
        }
        Kind::Text { what, .. } => what.trim_start_matches("a ").to_uppercase(),
        Kind::Either(kinds) => {
            let names: Vec<_> = kinds.iter().map(value_name).collect();
            names.join("|")
        }
        Kind::List(_) | Kind::Map(_) | Kind::Table(_) => "TOML".into(),
    }
}
