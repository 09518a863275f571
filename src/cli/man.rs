//! `sandbox man`: the manual pages, from the definition of the command line itself.

use super::arguments::{Arguments, Man};
use super::save::{Folder, Present, unwritable};
use super::{Refused, output};
use clap::CommandFactory as _;

pub(super) fn run(man: &Man) -> Result<u8, Refused> {
    // `build` names the pages of actions after the whole way to them: sandbox-check(1).
    let mut program =
        super::settings::with_options(Arguments::command()).disable_help_subcommand(true);
    program.build();
    let Some(out) = &man.out else {
        output(&String::from_utf8_lossy(&page(&program)))?;
        return Ok(0);
    };
    std::fs::create_dir_all(out).map_err(|cause| unwritable(out, &cause))?;
    let folder = Folder::open(out)?;
    let mut left = vec![&program];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().filter(|c| !c.is_hide_set()));
        let name = clap_mangen::Man::new(command.clone()).get_filename();
        folder.write(&name, &page(command), Present::Replace)?;
    }
    Ok(0)
}

fn page(command: &clap::Command) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing into memory does not fail.
    let _ = clap_mangen::Man::new(command.clone()).render(&mut text);
    text
}
