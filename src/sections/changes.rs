//! `changes`: what becomes of changes to a tree, of the root as of a single mount.

use super::{Profile, user::Identity};
use crate::changes::store;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::{self, Idmap};
use crate::plan::op::{IdRange, Kept};
use crate::profile::value::Space;
use std::path::Path;

crate::choice! {
    /// What becomes of changes to a tree.
    pub enum Changes {
        /// It is read-only.
        Forbid = "forbid",
        /// They are thrown away in the end.
        Discard = "discard",
        /// They are put aside under a name, to be looked at (`sandbox changes`).
        Keep = "keep",
        /// They go into the tree itself.
        Write = "write",
    }
}

crate::choice! {
    /// Where changes are that are thrown away.
    pub enum Place {
        /// In memory.
        Memory = "memory",
        /// On disk, in the folder of changes that are kept.
        Disk = "disk",
    }
}

/// What becomes of changes that do not go into the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// Thrown away, from memory: the most that it holds, of memory and files.
    Memory(Space, u64),
    /// Thrown away, from disk.
    Disk,
    /// Kept under a name; without one, under that of the tree.
    Kept(Option<At<String>>),
}

impl Aside {
    /// What becomes of them, in words.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Memory(..) | Self::Disk => "what is changed there is thrown away in the end",
            Self::Kept(_) => "what is changed there is kept aside",
        }
    }
}

/// What the keys beside `changes` say, each with its name in the table.
#[derive(Debug)]
pub struct Keys<'k> {
    /// The name under which changes are kept.
    pub name: (&'static str, Option<&'k At<String>>),
    /// Where they are while they last.
    pub place: (&'static str, Option<&'k At<Place>>),
    /// The most that they hold in memory.
    pub size: (&'static str, Option<&'k At<Space>>),
    /// The most files of them in memory.
    pub inodes: (&'static str, Option<&'k At<u64>>),
}

/// What becomes of changes, by the words that were used: those that are discarded and kept. A key that says
/// nothing then is a problem.
pub fn check(
    discards: Option<&Origin>,
    keeps: Option<&Origin>,
    keys: &Keys<'_>,
    problems: &mut Diagnostics,
) -> (Option<Aside>, Option<Aside>) {
    let mut idle = |key: &str, place: &Origin, needs: &str| {
        problems.push(
            Diagnostic::new(Code::Needs, place, format!("`{key}` says nothing here"))
                .help(format!("it holds where {needs}")),
        );
    };
    if let (key, Some(name)) = keys.name
        && keeps.is_none()
    {
        idle(key, &name.origin, "changes are kept");
    }
    if let (key, Some(place)) = keys.place
        && discards.is_none()
    {
        idle(key, &place.origin, "changes are discarded");
    }
    let on_disk = keys.place.1.is_some_and(|at| at.value == Place::Disk);
    let sizes = [
        (keys.size.0, keys.size.1.map(|at| &at.origin)),
        (keys.inodes.0, keys.inodes.1.map(|at| &at.origin)),
    ];
    for (key, place) in sizes {
        if let Some(place) = place.filter(|_| discards.is_none() || on_disk) {
            idle(key, place, "changes are discarded, in memory");
        }
    }
    if let (_, Some(name)) = keys.name
        && !store::is_name(&name.value)
    {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &name.origin,
                "no name of changes: it takes letters, digits, `.`, `_` and `-`, 64 at most, and begins with a letter or a digit",
            )
            .help("for example: \"zlib-1.3\""),
        );
    }
    let discarded = if on_disk {
        Aside::Disk
    } else {
        let size = keys
            .size
            .1
            .map_or(super::mounts::DEFAULT_SIZE, |at| at.value);
        let inodes = keys
            .inodes
            .1
            .map_or(super::mounts::DEFAULT_INODES, |at| at.value);
        Aside::Memory(size, inodes)
    };
    (
        discards.map(|_| discarded),
        keeps.map(|_| Aside::Kept(keys.name.1.cloned())),
    )
}

/// How an overlay of a tree is laid out; where there can be none here, the refusal is in the draft.
pub(super) fn aside(
    aside: &Aside,
    source: &Path,
    idmap: Option<&Idmap>,
    origin: &Origin,
    profile: &Profile,
    identity: &Identity,
    draft: &mut Draft<'_>,
) -> Option<layout::Changes> {
    let real = draft.host.tree.resolve(source);
    let real = real.unwrap_or_else(|| source.into());
    if let Some(below) = draft.host.mounts().below(&real).next() {
        let text = format!(
            "{} is mounted below {}, and an overlay shows one file system",
            below.display(),
            source.display()
        );
        let help = "name the folders apart, or unmount it";
        draft.refuse(origin, text, help);
        return None;
    }
    let (name, named) = match aside {
        Aside::Memory(size, inodes) => {
            return Some(layout::Changes::Memory(size.option(), *inodes));
        }
        Aside::Disk => (store::thrown(draft.slot()), None),
        Aside::Kept(Some(name)) => (name.value.clone(), Some(&name.origin)),
        Aside::Kept(None) => (store::name_of(source), None),
    };
    let origin = named.unwrap_or(origin);
    let several = |map: &[IdRange]| map.iter().map(|range| u64::from(range.count)).sum::<u64>() > 1;
    if !draft.host.caller.has_rights() && (several(&identity.users) || several(&identity.groups)) {
        let text = "files of other ids than the caller's could not be looked at, or removed";
        let help = "map one id, as `uid_map = \"self\"` and `\"root\"` do, or discard the changes in memory";
        draft.refuse(origin, text, help);
        return None;
    }
    let Some(folder) = store::folder(&profile.variables) else {
        let text = "there is no place for changes: the caller has no home";
        draft.refuse(
            origin,
            text,
            "set XDG_STATE_HOME or HOME to an absolute path",
        );
        return None;
    };
    if folder.starts_with(&real) || real.starts_with(&folder) {
        let text = format!(
            "changes are put into {}, which lies in {}",
            folder.display(),
            source.display()
        );
        draft.refuse(
            origin,
            text,
            "name a smaller folder, or set XDG_STATE_HOME to another place",
        );
        return None;
    }
    if source.to_str().is_none() {
        let text = "changes are kept only of a folder whose path is UTF-8";
        draft.refuse(
            origin,
            text,
            "rename the folder, or discard the changes in memory",
        );
        return None;
    }
    Some(layout::Changes::Disk(Box::new(Kept {
        store: folder,
        name,
        source: source.into(),
        unpacked: None,
        owner: identity.on_disk(idmap),
        mount_points: Vec::new(),
    })))
}
