//! `sandbox completions`: what a shell completes, from the definition of the command line itself.

use super::arguments::{Arguments, Completions, Shell};
use super::{Refused, output};
use clap::CommandFactory as _;
use clap_complete::shells;

pub(super) fn run(of: &Completions) -> Result<u8, Refused> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    match of.shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, "sandbox", &mut script),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, "sandbox", &mut script),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, "sandbox", &mut script),
    }
    output(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
