//! Binds of which the source stays as it is, whatever is changed.

use super::{Mount, Propagation, RawMount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::tree::Kind;
use crate::plan::Draft;
use crate::plan::layout::{self, Idmap};
use crate::sections::changes::{self, Aside, Changes, Keys};
use crate::sections::{Profile, user::Identity};
use std::path::Path;

/// What becomes of changes that do not go into the source.
pub(super) fn check(
    raw: &RawMount,
    origin: &Origin,
    problems: &mut Diagnostics,
) -> Option<At<Aside>> {
    let how = raw.changes.as_ref();
    let is = |what| how.filter(|how| how.value == what).map(|how| &how.origin);
    let keys = Keys {
        name: ("changes_name", raw.changes_name.as_ref()),
        place: ("changes_on", raw.changes_on.as_ref()),
        size: ("size", raw.size.as_ref()),
        inodes: ("inodes", raw.inodes.as_ref()),
    };
    let (discarded, kept) =
        changes::check(is(Changes::Discard), is(Changes::Keep), &keys, problems);
    let how = how?;
    if let Some(read_only) = &raw.read_only {
        problems.push(
            Diagnostic::new(
                Code::Conflict,
                &read_only.origin,
                "`changes` says already whether something can be changed",
            )
            .and(&how.origin, "here")
            .help("remove one of the two lines"),
        );
    }
    let aside = At::new(discarded.or(kept)?, how.origin.clone());
    let alone = raw.recursive.as_ref().filter(|at| !at.value);
    let slave = raw
        .propagation
        .as_ref()
        .filter(|at| at.value != Propagation::Private);
    let places = [
        ("recursive", alone.map(|at| &at.origin)),
        ("propagation", slave.map(|at| &at.origin)),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            let text =
                format!("`{key}` means nothing for an overlay, which shows one file system alone");
            problems.push(
                Diagnostic::new(Code::Conflict, place, text)
                    .and(&how.origin, "changes go elsewhere")
                    .and(origin, "of this mount")
                    .help("remove the line"),
            );
        }
    }
    Some(aside)
}

/// How the overlay is laid out; `None` where there can be none, which the draft has then.
pub(super) fn of(
    aside: &At<Aside>,
    source: &Path,
    idmap: Option<&Idmap>,
    mount: &Mount,
    profile: &Profile,
    identity: &Identity,
    draft: &mut Draft<'_>,
) -> Option<layout::Changes> {
    let there = draft.host.tree.target(source).kind;
    if there == Kind::File {
        let text = format!(
            "{} is no directory: its changes cannot go elsewhere",
            source.display()
        );
        let help = "bind the folder that it is in, or set `changes` to \"forbid\" or \"write\"";
        draft.problem(Diagnostic::new(Code::NotHere, &aside.origin, text).help(help));
        return None;
    }
    if there != Kind::Directory && !mount.create {
        // Said, or left out, where it is looked for; there is nothing to put an overlay on.
        return Some(layout::Changes::Memory(String::new(), 0));
    }
    let (place, aside) = (&aside.origin, &aside.value);
    changes::aside(aside, source, idmap, place, profile, identity, draft)
}
