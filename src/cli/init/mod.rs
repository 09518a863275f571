//! `sandbox init`: a profile for the project that lies in a folder.
//!
//! The project may be hostile: nothing in it is read but the names of its files, and nothing is
//! written through a link of its.

mod kinds;
mod profile;

use super::arguments::Init;
use super::save::{Folder, Present};
use super::{Refused, output, variables};
use crate::diag::{Code, Diagnostic, Origin};
use crate::profile::find;
use kinds::{KINDS, Kind};
use std::fmt::Write as _;

/// The file that a run without `--profile` looks for.
const NAME: &str = "sandbox.toml";

/// A kind of project that was found, and by which file.
struct Found {
    kind: &'static Kind,
    mark: &'static str,
}

pub(super) fn run(arguments: &Init) -> Result<u8, Refused> {
    let folder = Folder::open(&arguments.folder)?;
    let real = arguments.folder.canonicalize().unwrap_or_default();
    let home = variables()?.home;
    if matches!(find::project(&real, home.as_deref()), Ok(None)) {
        return Err(no_project(&real.display().to_string()));
    }
    let found: Vec<Found> = KINDS
        .iter()
        .filter_map(|kind| {
            let mark = kind.mark(|name| folder.has(name))?;
            Some(Found { kind, mark })
        })
        .collect();
    let present = if arguments.force {
        Present::Replace
    } else {
        Present::Keep
    };
    folder.write(NAME, profile::text(&found).as_bytes(), present)?;
    output(&next(&folder.path_of(NAME).display().to_string(), &found))?;
    Ok(0)
}

/// A home or a folder of the system is never granted to a command as its project, so that a profile
/// there would not be found.
fn no_project(folder: &str) -> Refused {
    let message =
        format!("{folder} is no project: a home, a folder of the system, or one above them");
    Diagnostic::new(Code::NoProject, &Origin::CommandLine, message)
        .help("go to the project's folder, or name it: sandbox init DIR")
        .into()
}

/// What to do now, here and on a machine that builds unattended.
fn next(path: &str, found: &[Found]) -> String {
    let mut out = String::new();
    let kinds: Vec<_> = found
        .iter()
        .map(|found| format!("{} ({})", found.kind.name, found.mark))
        .collect();
    let _ = match kinds.is_empty() {
        true => writeln!(
            out,
            "{path} is written. No kind of project was recognised by its files: fit the profile to the command."
        ),
        false => writeln!(out, "{path} is written, for {}.", kinds.join(", ")),
    };
    let before = found.iter().filter_map(|found| found.kind.before);
    let before: Vec<String> = before.map(str::to_owned).collect();
    let mut commands: Vec<String> = found
        .iter()
        .map(|found| format!("sandbox -- {}", found.kind.command))
        .collect();
    if commands.is_empty() {
        commands.push("sandbox -- COMMAND".into());
    }
    let mut block = |title: &str, prefix: &str, lines: &[&[String]]| {
        let _ = writeln!(out, "\n{title}\n");
        for line in lines.iter().copied().flatten() {
            let _ = writeln!(out, "    {prefix}{line}");
        }
    };
    block("Try it:", "", &[&before, &commands]);
    let sure = ["sandbox doctor --profile sandbox.toml", "sandbox test"].map(str::to_owned);
    // Ubuntu 24.04, on which these runners are, keeps plain programs from user namespaces. The
    // machine is thrown away after the job, so that the whole restriction may go; the AppArmor
    // profile that `sandbox doctor` prints is for machines that stay.
    let ubuntu = ["sudo sysctl -e -w kernel.apparmor_restrict_unprivileged_userns=0".to_owned()];
    block(
        "In a workflow of GitHub Actions, after the step that installs `sandbox`:",
        "- run: ",
        &[&ubuntu, &sure, &before, &commands],
    );
    block(
        "In the script of any other machine, which ends at the first line that fails:",
        "",
        &[&["set -e".to_owned()], &sure, &before, &commands],
    );
    out
}
