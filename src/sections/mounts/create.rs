//! `create = true`: where a source that is missing may be made on the host.

use super::own::Owner;
use super::{Kind, Mount, home};
use crate::diag::{Code, Diagnostic};
use crate::host::tree::{self, Node};
use crate::plan::Draft;
use crate::plan::op::Ids;
use crate::sections::Profile;
use crate::sections::rootfs::Project;
use crate::sections::user::Identity;
use std::path::{Path, PathBuf};

/// Where trust ends on the way to a source that has to be made: the folder that is there, and below
/// which no link is followed. `None` where nothing is made.
///
/// What is made is made with the caller's rights, so a link that a command has planted in an earlier
/// run would lead the caller's hand. Commands are given folders of the home and of the project; and
/// where others can write, others can plant.
pub(super) fn trusted(
    source: &Path,
    mount: &Mount,
    profile: &Profile,
    draft: &Draft<'_>,
) -> Result<Option<PathBuf>, Diagnostic> {
    let files = &draft.host.tree;
    if !mount.create {
        return Ok(None);
    }
    let place = mount.source.as_ref().unwrap_or(&mount.target);
    let wrong = |path: &Path, what: &str, help: &str| {
        let text = format!(
            "the source {} cannot be made: {} {what}",
            source.display(),
            path.display()
        );
        Err(Diagnostic::new(Code::NotHere, &place.origin, text).help(help))
    };
    let there = files.target(source);
    match there.kind {
        tree::Kind::Directory if !there.made => return Ok(None),
        tree::Kind::File => {
            let help = "remove `create`, which is for directories, or correct the path";
            return wrong(source, "is there, and no directory", help);
        }
        _ => {}
    }
    let mut trusted = None;
    let mut path = PathBuf::new();
    for component in source.components() {
        path.push(component);
        let mut node = files.node(&path);
        if let tree::Kind::Link(_) = node.kind {
            if trusted.is_some() {
                let help = "name the place that the link points to, or remove the link";
                let what = "is a symbolic link, which a command could have planted";
                return wrong(&path, what, help);
            }
            node = files.target(&path);
            if node.kind == tree::Kind::Missing {
                let help = "name the place that the link points to, or remove the link";
                return wrong(&path, "is a symbolic link that leads nowhere", help);
            }
        }
        match node.kind {
            tree::Kind::Missing => break,
            // Another run's mount point, which goes with that run.
            _ if node.made => break,
            tree::Kind::File => return wrong(&path, "is no directory", "correct the path"),
            _ => {}
        }
        if trusted.is_none() && is_doubtful(&path, &node, profile, draft) {
            trusted = Some(path.clone());
        }
    }
    // What is there on the way, if it belongs to root and the caller alone: links of theirs are
    // followed.
    Ok(trusted.or_else(|| path.parent().map(Path::to_owned)))
}

/// To whom a folder that is made is given, by ids of the host; `None` where it cannot be had, which is in the draft.
pub(super) fn given(
    owner: &Owner,
    profile: &Profile,
    identity: &Identity,
    draft: &mut Draft<'_>,
) -> Option<(u32, u32)> {
    let (uid, gid) = owner.numbers(profile, identity, draft);
    let user = identity.outside(Ids::User, uid, 1);
    let group = identity.outside(Ids::Group, gid, 1);
    // What the maps do not hold has been said.
    let (user, group) = (user?, group?);
    let caller = &draft.host.caller;
    if !caller.has_rights() && (user, group) != (caller.uid, caller.gid) {
        let text = format!("only root can give a folder to uid {user} and gid {group} of the host");
        draft.refuse(owner.place()?, text, "run as root, or leave `owner` out");
        return None;
    }
    Some((user, group))
}

/// Whether somebody but root and the caller may have made what is in a directory.
fn is_doubtful(path: &Path, node: &Node, profile: &Profile, draft: &Draft<'_>) -> bool {
    let variables = &profile.variables;
    home(variables) == Some(path)
        || variables.project.as_deref() == Some(path)
        || is_writable(path, node, profile, draft)
}

/// Whether the command, or somebody but root and the caller, can write to a directory.
pub(super) fn is_writable(path: &Path, node: &Node, profile: &Profile, draft: &Draft<'_>) -> bool {
    let granted = profile.mounts.0.iter().map(|mount| &mount.value);
    let mut granted = granted.filter(|mount| mount.kind == Kind::Bind && !mount.is_read_only());
    let project = profile.variables.project.as_deref() == Some(path);
    let strangers = ![0, draft.host.caller.uid].contains(&node.uid) || node.mode & 0o022 != 0;
    project && profile.rootfs.project.value == Project::Write
        || granted.any(|mount| mount.shown().value == path)
        || strangers && path.parent().is_some()
}
