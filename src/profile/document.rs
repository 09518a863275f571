//! From a profile to one table that says everything: what it extends, its parameters and variables,
//! and what the command line puts on top.

use super::node::{Content, Entry, Table};
use super::overlay::Overlay;
use super::parameters::Parameters;
use super::table::{List, Value as _};
use super::variables::Variables;
use super::{extends, merge};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Sources};

/// The version of the language.
const VERSION: u32 = 1;

/// Reads the profile and everything that it extends, and merges it all.
#[must_use]
pub fn assemble(
    sources: &mut Sources,
    first: SourceId,
    variables: &Variables,
    overlay: &Overlay,
    problems: &mut Diagnostics,
) -> Table {
    let mut tables = extends::collect(sources, first, variables, problems);
    for table in &tables {
        check_version(table, problems);
    }
    let (sets, options) = overlay.placed(sources);
    let parameters = parameters(&mut tables, &sets, variables, problems);
    let mut merged = Table::new();
    for mut table in tables.into_iter().chain([options]) {
        variables.expand_table(&mut table, &parameters, problems);
        if let Some(entry) = table.remove("remove") {
            let paths = List::<String>::read(entry.node, problems);
            for path in paths.unwrap_or_default().0 {
                merge::remove(&mut merged, &path, problems);
            }
        }
        merge::merge(&mut merged, table);
    }
    merged
}

/// Takes the declarations of parameters out of all tables, and gives each its value.
fn parameters(
    tables: &mut [Table],
    sets: &[super::overlay::Set],
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Parameters {
    let mut all = Table::new();
    for table in tables {
        if let Some(Entry { key, node }) = table.remove("params") {
            merge::merge(
                &mut all,
                Table::from([("params".into(), Entry { key, node })]),
            );
        }
    }
    let mut declared = match all.remove("params") {
        Some(entry) => match entry.node.value {
            Content::Table(table) => table,
            other => {
                let message = format!("expected a table, found {}", other.kind());
                let help = "write it as [params], a parameter a line: jobs = 4";
                super::table::wrong(&entry.node.origin, message, help, problems);
                Table::new()
            }
        },
        None => Table::new(),
    };
    variables.expand_table(&mut declared, &Parameters::default(), problems);
    Parameters::settle(declared, sets, problems)
}

/// Each file says for itself which language it is written in.
fn check_version(table: &Table, problems: &mut Diagnostics) {
    let Some(Entry { node, .. }) = table.get("version") else {
        return;
    };
    let Content::Integer(digits, radix) = &node.value else {
        return; // Its type is checked with that of the others.
    };
    if let Ok(version) = u32::from_str_radix(digits, *radix)
        && version != VERSION
    {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &node.origin,
                format!("version {version} of the language is not known to this program"),
            )
            .help(format!(
                "write `version = {VERSION}`, or use a newer sandbox"
            )),
        );
    }
}
