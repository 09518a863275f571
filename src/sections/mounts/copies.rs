//! How far a bind mount is a copy of its source: with what is mounted below it now, and with what
//! the host mounts there later (mount_namespaces(7)).

use super::{Kind, Mount, RawIdmap, RawMount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::Idmap;
use crate::sections::Profile;
use crate::sys::mount::Depth;
use std::path::Path;

crate::choice! {
    /// What becomes of what is mounted later (mount_namespaces(7), "Shared subtrees").
    pub enum Propagation {
        /// Nothing: it does not show.
        Private = "private",
        /// What the host mounts there later shows inside; nothing shows the other way.
        Slave = "slave",
        /// The same, where the options of this mount hold for what is there when the run starts, and what shows later
        /// comes as the host has it mounted: writable, for instance.
        SlaveAsIs = "slave-as-is",
    }
}

/// What the host mounts later has the host's options: a mount that is less has to be asked for, in so many words.
pub(super) fn check(raw: &RawMount, origin: &Origin, problems: &mut Diagnostics) {
    let slave = raw.propagation.as_ref();
    let Some(slave) = slave.filter(|how| how.value != Propagation::Private) else {
        return;
    };
    if raw.r#type.as_ref().map(|kind| kind.value) != Some(Kind::Bind) {
        return;
    }
    let as_is = slave.value == Propagation::SlaveAsIs;
    let off = |value: &Option<At<bool>>| value.as_ref().is_some_and(|value| !value.value);
    let flags = [
        ("read_only", off(&raw.read_only)),
        ("nosuid", off(&raw.nosuid)),
        ("nodev", off(&raw.nodev)),
    ];
    let missing: Vec<_> = flags.iter().filter(|(_, off)| !off).collect();
    if !missing.is_empty() && !as_is {
        let lines: Vec<_> = missing
            .iter()
            .map(|(key, _)| format!("{key} = false"))
            .collect();
        let names: Vec<_> = missing.iter().map(|(key, _)| format!("`{key}`")).collect();
        problems.push(
            Diagnostic::new(
                Code::Needs,
                &slave.origin,
                format!(
                    "{} cannot hold for what the host mounts there later, which comes with its own options",
                    names.join(", ")
                ),
            )
            .and(origin, "of this mount")
            .help(format!(
                "write {}; or propagation = \"slave-as-is\", where they shall hold for what is there now alone",
                lines.join(", ")
            )),
        );
    }
    let held = [("noexec", &raw.noexec), ("nosymfollow", &raw.nosymfollow)];
    let held = held.into_iter().map(|(key, value)| {
        let value = value.as_ref().filter(|value| value.value && !as_is);
        (key, value.map(|value| &value.origin))
    });
    let idmap = raw.idmap.as_ref();
    let idmap = idmap.filter(|idmap| !matches!(idmap.value, RawIdmap::Flag(false)));
    for (key, place) in held.chain([("idmap", idmap.map(|idmap| &idmap.origin))]) {
        if let Some(place) = place {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    place,
                    format!("`{key}` cannot hold for what the host mounts there later"),
                )
                .and(&slave.origin, "shown here")
                .help("remove one of the two lines"),
            );
        }
    }
}

impl Mount {
    pub(super) fn depth(&self) -> Depth {
        if self.recursive {
            Depth::Whole
        } else {
            Depth::Alone
        }
    }

    pub(super) fn receives(&self) -> bool {
        self.propagation.value != Propagation::Private
    }
}

/// Whether this machine can make such a copy; if not, the refusal is in the draft.
pub(super) fn can_be_had(
    source: &Path,
    mount: &Mount,
    idmap: Option<&Idmap>,
    profile: &Profile,
    origin: &Origin,
    draft: &mut Draft<'_>,
) -> bool {
    if mount.recursive && !mount.receives() {
        return true;
    }
    // What is not there is said, or left out, where it is looked for.
    let Some(real) = draft.host.tree.resolve(source) else {
        return true;
    };
    // The supervisor, which maps the owners, is where the mounts were made.
    let is_locked = profile.namespaces.user.value.is_new() && idmap.is_none();
    let below = draft.host.mounts().below(&real).next();
    if let Some(below) = below.filter(|_| !mount.recursive && is_locked) {
        let text = format!(
            "{} is mounted below the source, and in a new user namespace it cannot be left out",
            below.display()
        );
        let help = "mount it with `recursive = true`, and hide what is below by a mount of the type \"mask\"";
        draft.refuse(origin, text, help);
        return false;
    }
    !mount.receives() || hears(&real, &mount.propagation.origin, draft)
}

/// Whether what the host mounts later below a path can be heard of; if not, the refusal is in the draft.
pub(in crate::sections) fn hears(path: &Path, asked: &Origin, draft: &mut Draft<'_>) -> bool {
    let hears = draft.host.mounts().hear(path);
    if !hears {
        let text = format!(
            "{} is in a mount that is not shared, so that nothing of what the host mounts there later can show",
            path.display()
        );
        let help = "share it on the host (mount --make-shared), or remove `propagation`";
        draft.refuse(asked, text, help);
    }
    hears
}
