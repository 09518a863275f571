//! How mounts lie to each other: the planner puts parents before children, so none hides another
//! by its place in the file; but not everything can hold a mount.

use super::defaults::{Content, home, places};
use super::{Kind, Mount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::sections::Profile;
use crate::sections::rootfs::{Project, Source};
use std::collections::{BTreeMap, BTreeSet};
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
    for mount in by_target.values() {
        let above = mount.target.value.ancestors().skip(1);
        let parent = above.into_iter().find_map(|path| {
            let placed = by_target.get(path).map(|parent| Parent::Mount(parent));
            placed.or_else(|| Parent::of_project(path, profile))
        });
        match parent {
            Some(Parent::Mount(parent)) => below(mount, parent, problems),
            Some(Parent::Project(origin)) if mount.kind == Kind::Symlink => {
                problems.push(link_in(mount, origin));
            }
            _ => {}
        }
    }
    inodes(&by_target, profile, problems);
}

/// What a mount lies in.
enum Parent<'p> {
    Mount(&'p Mount),
    /// The project, writable.
    Project(&'p Origin),
}

impl<'p> Parent<'p> {
    fn of_project(path: &Path, profile: &'p Profile) -> Option<Self> {
        let project = &profile.rootfs.project;
        let is = profile.variables.project.as_deref() == Some(path);
        (is && project.value == Project::Write).then_some(Self::Project(&project.origin))
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
            "the link {} would have to be made in a writable folder of the host",
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
    if small.is_empty() {
        return;
    }
    let sure = |mount: &&Mount| mount.kind != Kind::Mask && !mount.optional;
    let given = by_target.values().copied().filter(sure);
    let mut targets: BTreeSet<PathBuf> = given.map(|mount| mount.target.value.clone()).collect();
    targets.extend(home(&profile.variables).map(Path::to_owned));
    targets.extend(profile.devices.targets());
    let mut needed: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
    for target in &targets {
        let holder = target
            .ancestors()
            .skip(1)
            .find_map(|path| by_target.get(path));
        if let Some(holder) = holder.filter(|holder| scarce(holder)) {
            let holder = holder.target.value.as_path();
            let on_the_way = target.ancestors().take_while(|path| *path != holder);
            let made = needed.entry(holder).or_default();
            made.extend(on_the_way.map(Path::to_owned));
        }
    }
    for mount in small {
        // The first is the root directory.
        let needed = 1 + needed
            .get(mount.target.value.as_path())
            .map_or(0, BTreeSet::len) as u64;
        if mount.inodes.value < needed && needed > 1 {
            problems.push(
                Diagnostic::new(
                    Code::TooFewInodes,
                    &mount.inodes.origin,
                    format!("what is mounted in it needs {needed} inodes"),
                )
                .and(&mount.target.origin, "below this target")
                .help(format!(
                    "inodes = {}, or more if the command makes files there",
                    needed
                )),
            );
        }
    }
}

pub(super) fn can_hold(mounts: &[At<Mount>], path: &Path, profile: &Profile) -> bool {
    // What is in a directory or came with a program is not known, and a link may lead anywhere.
    let known = matches!(profile.rootfs.source.value, Source::Host | Source::Empty);
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
