//! `sandbox completions`: what a shell completes, from the definition of the command line itself.

use super::arguments::{Arguments, Completions, Shell};
use super::{Refused, output};
use clap::CommandFactory as _;
use clap_complete::shells;

pub(super) fn run(of: &Completions) -> Result<u8, Refused> {
    let mut script = Vec::new();
    let mut command = super::settings::with_options(Arguments::command());
    match of.shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, "sandbox", &mut script),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, "sandbox", &mut script),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, "sandbox", &mut script),
    }
    let script = String::from_utf8_lossy(&script);
    output(&match of.shell {
        Shell::Fish => for_argparse(&script),
        _ => script.into_owned(),
    })?;
    Ok(0)
}

/// fish finds the action with its `argparse`, which takes no option whose name holds a dot, as
/// those of settings do; none of them stands before an action, so that it need not know them.
fn for_argparse(script: &str) -> String {
    let lines = script.lines().map(|line| {
        if !line.trim_start().starts_with("string join ") {
            return line.to_owned();
        }
        let words = line.split(' ').filter(|word| !word.contains('.'));
        words.collect::<Vec<_>>().join(" ")
    });
    lines.flat_map(|line| [line, "\n".into()]).collect()
}
