//! How mounts lie to each other: the planner puts parents before children, so none hides another
//! by its place in the file; but not everything can hold a mount.

use super::defaults::{Content, home, places};
use super::{Kind, Mount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::sections::Profile;
use crate::sections::rootfs::{Part, Project, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) fn check(mounts: &[At<Mount>], profile: &Profile, problems: &mut Diagnostics) {
    let root = Path::new("/");
    let mut by_target: BTreeMap<&Path, &Mount> = BTreeMap::new();
    let mut claimed: BTreeMap<PathBuf, &Origin> = claims(profile, problems);
    for At { value: mount, .. } in mounts {
        let At {
            value: target,
            origin,
        } = &mount.target;
        if target == root {
            problems.push(
                Diagnostic::new(Code::Conflict, origin, "a mount on the root itself")
                    .help("[rootfs] says what the root is"),
            );
            continue;
        }
        if let Some(first) = claimed.get(target) {
            problems.push(second(target, origin, first));
            continue;
        }
        claimed.insert(target.clone(), origin);
        by_target.insert(target, mount);
    }
    let mut placed: BTreeMap<&Path, Parent<'_>> = BTreeMap::new();
    if let Some(project) = &profile.variables.project
        && profile.rootfs.project.value == Project::Write
    {
        placed.insert(project, Parent::Project(&profile.rootfs.project.origin));
    }
    placed.extend(
        by_target
            .iter()
            .map(|(path, mount)| (*path, Parent::Mount(mount))),
    );
    let mut open = Open::default();
    for (path, this) in placed {
        match (this, open.holder(path)) {
            (Parent::Mount(mount), Some(Parent::Mount(parent))) => below(mount, parent, problems),
            (Parent::Mount(mount), Some(Parent::Project(origin)))
                if mount.kind == Kind::Symlink =>
            {
                problems.push(link_in(mount, origin));
            }
            _ => {}
        }
        open.0.push((path, this));
    }
    inodes(&by_target, profile, problems);
}

/// What a mount lies in.
#[derive(Clone, Copy)]
enum Parent<'p> {
    Mount(&'p Mount),
    /// The project, writable.
    Project(&'p Origin),
}

/// The holders that a walk over sorted paths is in, the innermost last: a path stands right before
/// those below it.
struct Open<'p, T>(Vec<(&'p Path, T)>);

impl<T> Default for Open<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Open<'_, T> {
    fn holder(&mut self, path: &Path) -> Option<T> {
        while self
            .0
            .pop_if(|(holder, _)| !path.starts_with(holder))
            .is_some()
        {}
        self.0.last().map(|(_, holder)| *holder)
    }
}

/// What other tables place by name: the nodes of `[devices]`, and the project if it is asked for.
fn claims<'p>(profile: &'p Profile, problems: &mut Diagnostics) -> BTreeMap<PathBuf, &'p Origin> {
    let mut claimed: BTreeMap<PathBuf, &'p Origin> = BTreeMap::new();
    for (target, origin) in profile.devices.named() {
        match claimed.get(&target) {
            Some(first) => problems.push(second(&target, origin, first)),
            None => {
                claimed.insert(target, origin);
            }
        }
    }
    let asked = &profile.rootfs.project;
    if let Some(project) = &profile.variables.project
        && asked.value != Project::Hide
        && !asked.origin.is_default()
    {
        claimed.insert(project.clone(), &asked.origin);
    }
    claimed
}

fn second(target: &Path, origin: &Origin, first: &Origin) -> Diagnostic {
    Diagnostic::new(
        Code::DuplicateTarget,
        origin,
        format!("a second mount on {}", target.display()),
    )
    .and(first, "the first one")
    .help("remove one of the two")
}

fn below(mount: &Mount, parent: &Mount, problems: &mut Diagnostics) {
    let (target, origin) = (mount.target.value.display(), &mount.target.origin);
    let above = parent.target.value.display();
    match parent.kind {
        Kind::Mask if mount.kind != Kind::Mask => problems.push(
            Diagnostic::new(
                Code::BelowMask,
                origin,
                format!("{target} is visible, though {above} is masked"),
            )
            .and(&parent.target.origin, "masked here")
            .help("to show nothing else there, write `type = \"tmpfs\"` and `read_only = true` instead of the mask; else remove one of the two"),
        ),
        Kind::File | Kind::Devpts | Kind::Mqueue => problems.push(
            Diagnostic::new(
                Code::BelowFile,
                origin,
                format!("{target} lies below {above}, which can hold no mount"),
            )
            .and(
                &parent.target.origin,
                format!("the type is \"{}\"", parent.kind.word()),
            )
            .help("choose another target"),
        ),
        Kind::Bind
            if mount.kind == Kind::Symlink && !parent.is_read_only() && !parent.optional =>
        {
            problems.push(link_in(mount, &parent.target.origin));
        }
        _ => {}
    }
}

/// A mount point is made in a folder of the host and taken away again; a link would stay.
fn link_in(link: &Mount, tree: &Origin) -> Diagnostic {
    Diagnostic::new(
        Code::LinkInWritableTree,
        &link.target.origin,
        format!(
            "the symbolic link {} would have to be made in a writable folder of the host",
            link.target.value.display()
        ),
    )
    .and(tree, "writable")
    .help("make the link on the host, or choose a target elsewhere")
}

/// Every mount point in a tmpfs, and every directory on the way to it, takes an inode.
fn inodes(by_target: &BTreeMap<&Path, &Mount>, profile: &Profile, problems: &mut Diagnostics) {
    let scarce = |mount: &Mount| mount.kind == Kind::Tmpfs && !mount.inodes.origin.is_default();
    let small: Vec<_> = by_target.values().filter(|mount| scarce(mount)).collect();
    // A link may lead what is below it elsewhere.
    if small.is_empty() || by_target.values().any(|mount| mount.kind == Kind::Symlink) {
        return;
    }
    // What may be left out takes no inode for certain, but holds what is below it if it is there.
    let sure = |mount: &Mount| mount.kind != Kind::Mask && !mount.optional;
    let given = by_target
        .values()
        .map(|mount| (mount.target.value.clone(), sure(mount)));
    let others = profile
        .devices
        .targets()
        .chain(home(&profile.variables).map(Path::to_owned));
    let mut targets: BTreeMap<PathBuf, bool> = others.map(|path| (path, true)).collect();
    targets.extend(given);
    // Of each holder, how many directories it takes and the last path in it: what a path shares
    // with the one before it, which is sorted, is counted already.
    let mut needed: BTreeMap<&Path, (u64, &Path)> = BTreeMap::new();
    let mut open: Open<'_, &Mount> = Open::default();
    for (target, sure) in &targets {
        if let Some(holder) = open.holder(target).filter(|_| *sure) {
            let holder = holder.target.value.as_path();
            let (count, last) = needed.entry(holder).or_insert((0, holder));
            let shared = last.iter().zip(target).take_while(|(a, b)| a == b).count();
            *count += target.iter().skip(shared).count() as u64;
            *last = target;
        }
        if let Some(mount) = by_target.get(target.as_path()) {
            open.0.push((target, mount));
        }
    }
    for mount in small {
        let inside = needed.get(mount.target.value.as_path());
        // The first is the root directory.
        let needed = 1 + inside.map_or(0, |(count, _)| *count);
        if mount.inodes.value < needed && needed > 1 {
            problems.push(
                Diagnostic::new(
                    Code::TooFewInodes,
                    &mount.inodes.origin,
                    format!("what is mounted in it needs {needed} inodes"),
                )
                .and(&mount.target.origin, "below this target")
                .help(format!(
                    "inodes = {needed}, or more if the command makes files there"
                )),
            );
        }
    }
}

pub(super) fn can_hold(mounts: &[At<Mount>], path: &Path, profile: &Profile) -> bool {
    // What is in a directory or came with a program is not known, and a link may lead anywhere.
    let known = matches!(
        profile.rootfs.source.value,
        Source::Host(Part::Public) | Source::Empty
    );
    let linked = mounts.iter().any(|m| m.value.kind == Kind::Symlink);
    let behind_link = |path: &Path| path.starts_with("/var/run") || path.starts_with("/var/tmp");
    let mut targets = mounts.iter().map(|m| m.value.target.value.as_path());
    if !known || linked || behind_link(path) || targets.any(behind_link) {
        return true;
    }
    let mut all: BTreeMap<PathBuf, Content> = places(profile).into_iter().collect();
    for At { value: mount, .. } in mounts {
        let content = match mount.kind {
            Kind::Tmpfs | Kind::Directory | Kind::Mask => Content::Empty,
            _ => Content::Foreign,
        };
        all.insert(mount.target.value.clone(), content);
    }
    match path.ancestors().find_map(|a| Some((a, *all.get(a)?))) {
        Some((_, Content::Foreign)) => true,
        Some((at, Content::Empty)) if at == path => true,
        _ => path.parent().is_none() || all.keys().any(|target| target.starts_with(path)),
    }
}
