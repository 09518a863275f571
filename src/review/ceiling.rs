//! Holding a profile to a ceiling: another profile, which says the most that any may permit.
//!
//! Here paths are looked up on this machine. A source is the file that its links lead to, and a
//! program the files that it loads; so a link in a project's folder is no way past a ceiling.

use super::compare::{Excess, beyond};
use super::grant::{Extent, Grant};
use super::tree::{Hole, Tree};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::host::tree::Kind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most that a profile may permit.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// How messages call it: its path.
    pub name: String,
    /// The file as a whole, for what none of its lines is about.
    pub origin: Origin,
    /// What it permits.
    pub grants: Vec<Grant>,
}

/// How many things one message lists before it counts the rest.
const LISTED: usize = 3;

/// Whether a profile permits no more than a ceiling on this machine; else everything that it does.
pub fn hold(grants: &[Grant], ceiling: &Ceiling, host: &Host) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    let most = on_host(&ceiling.grants, host, |hole| {
        problems.push(
            Diagnostic::new(
                Code::UnclearCeiling,
                &hole.origin,
                format!(
                    "the ceiling {} hides {}, which a symbolic link on this machine leads to",
                    ceiling.name,
                    hole.path.display()
                ),
            )
            .help("name the place that the link leads to"),
        );
    });
    // What a profile hides behind a link is not taken for hidden.
    let asked = on_host(grants, host, |_| {});
    let mut by_lines: BTreeMap<(Option<&Origin>, Option<&Origin>), Vec<Excess<'_>>> =
        BTreeMap::new();
    for excess in beyond(&asked, &most) {
        let against = excess.instead.map(|instead| instead.origin());
        let lines = (Some(excess.origin()), against);
        by_lines.entry(lines).or_default().push(excess);
    }
    for found in by_lines.values() {
        problems.push(refusal(found, ceiling));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// One line of a profile against one of the ceiling.
fn refusal(found: &[Excess<'_>], ceiling: &Ceiling) -> Diagnostic {
    let mut words: Vec<_> = found.iter().take(LISTED).map(Excess::words).collect();
    if let more @ 1.. = found.len().saturating_sub(LISTED) {
        words.push(format!("and {more} more"));
    }
    let origin = found.first().map_or(&Origin::CommandLine, Excess::origin);
    let problem = Diagnostic::new(
        Code::ExceedsCeiling,
        origin,
        format!(
            "the profile exceeds the ceiling {}: it may {}",
            ceiling.name,
            words.join("; ")
        ),
    );
    let problem = match found.first().and_then(|excess| excess.instead) {
        Some(instead) => problem.and(
            instead.origin(),
            format!("{} permits at most: {}", ceiling.name, instead.words()),
        ),
        None => problem.and(
            &ceiling.origin,
            format!("nothing in {} permits this", ceiling.name),
        ),
    };
    problem.help(format!(
        "permit less in the profile, or have {} permit more",
        ceiling.name
    ))
}

/// The grants with the paths that this machine has; `linked` is told of holes behind links.
fn on_host(grants: &[Grant], host: &Host, mut linked: impl FnMut(&Hole)) -> Vec<Grant> {
    grants
        .iter()
        .cloned()
        .map(|mut grant| {
            if let Extent::Trees(trees) = &mut grant.extent {
                let here: Vec<_> = trees
                    .iter()
                    .flat_map(|tree| loaded(tree, host))
                    .filter_map(|tree| real(&tree, host, &mut linked))
                    .collect();
                if let ([written], [here]) = (&trees[..], &here[..])
                    && written.source != here.source
                {
                    let to = here.source.display();
                    grant.words.push_str(&format!(", which leads to {to}"));
                }
                *trees = here;
            }
            grant
        })
        .collect()
}

/// For a program, the files that it needs to start; one that is not there stays where it was looked
/// for. For a pattern, the paths that fit.
fn loaded(tree: &Tree, host: &Host) -> Vec<Tree> {
    if let Some(pattern) = &tree.pattern {
        // One that is not clear is refused by the plan; in a ceiling it permits nothing.
        let found = host.tree.expand(pattern, true).unwrap_or_default();
        let one = |source| Tree {
            source,
            pattern: None,
            ..tree.clone()
        };
        return found.paths.into_iter().map(one).collect();
    }
    let files = tree
        .program
        .as_ref()
        .and_then(|program| host.program_files(&program.name, &program.search).ok());
    let of = |source: PathBuf| Tree {
        source,
        ..tree.clone()
    };
    match files {
        Some(files) => files.into_iter().map(of).collect(),
        None => vec![tree.clone()],
    }
}

/// The tree under its path without links; `None` if it is no more than a link itself.
fn real(tree: &Tree, host: &Host, linked: &mut impl FnMut(&Hole)) -> Option<Tree> {
    if tree.of_root && matches!(host.tree.node(&tree.source).kind, Kind::Link(_)) {
        tree.holes.iter().for_each(linked);
        return None;
    }
    let source = resolved(&tree.source, host);
    let mut holes = Vec::new();
    for hole in &tree.holes {
        let below = hole
            .path
            .strip_prefix(&tree.source)
            .unwrap_or(Path::new(""));
        // Not followed: inside, a link leads to what the new root has there.
        let mut at = source.clone();
        let link = below.components().any(|component| {
            at.push(component);
            matches!(host.tree.node(&at).kind, Kind::Link(_))
        });
        if link {
            linked(hole);
            continue;
        }
        holes.push(Hole {
            path: source.join(below),
            ..hole.clone()
        });
    }
    Some(Tree {
        source,
        holes,
        ..tree.clone()
    })
}

/// The path without links, as far as it is there.
fn resolved(path: &Path, host: &Host) -> PathBuf {
    let there = path
        .ancestors()
        .find_map(|ancestor| Some((host.tree.resolve(ancestor)?, ancestor)));
    match there {
        Some((real, ancestor)) => real.join(path.strip_prefix(ancestor).unwrap_or(Path::new(""))),
        None => path.into(),
    }
}
