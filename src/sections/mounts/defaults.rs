//! What is mounted unless the profile says otherwise.

use super::kernel::proc;
use super::{DEFAULT_INODES, DEFAULT_SIZE, Kind, Mount, bind, sized};
use crate::diag::Origin;
use crate::plan::Draft;
use crate::plan::layout::{Entry, What};
use crate::profile::variables::Variables;
use crate::sections::Profile;
use crate::sections::rootfs::Project;
use crate::sections::user::Identity;
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

/// What is there unless the profile says otherwise: the project, private /tmp and home, /proc.
pub(super) fn defaults(profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
    let plain = Attributes::NOSUID.with(Attributes::NODEV);
    let variables = &profile.variables;
    let mut add = |target: &Path, what, name| {
        draft.entries.push(Entry {
            target: target.into(),
            what,
            attributes: plain,
            optional: false,
            origin: Origin::Default(name),
        });
    };
    add(
        Path::new("/tmp"),
        sized(DEFAULT_SIZE, DEFAULT_INODES, "1777", false),
        "mounts: /tmp",
    );
    add(Path::new("/run"), What::Directory(0o755), "mounts: /run");
    if profile.rootfs.is_host() {
        add(
            Path::new("/var/run"),
            What::Symlink("/run".into()),
            "mounts: /var/run",
        );
        add(
            Path::new("/var/tmp"),
            What::Symlink("/tmp".into()),
            "mounts: /var/tmp",
        );
    }
    if let Some(home) = home(variables) {
        add(
            home,
            sized(DEFAULT_SIZE, DEFAULT_INODES, "700", false),
            "mounts: the home",
        );
    }
    if profile.namespaces.pid.value.is_new() {
        proc(
            Path::new("/proc"),
            profile,
            identity,
            &Origin::Default("mounts: /proc"),
            draft,
        );
    }
    let project = &profile.rootfs.project;
    let Some(folder) = &variables.project else {
        return;
    };
    if project.value == Project::Hide {
        return;
    }
    let origin = match project.origin {
        Origin::Default(_) => Origin::Default("rootfs.project"),
        _ => project.origin.clone(),
    };
    let read_only = project.value == Project::Read;
    let mount = Mount {
        kind: Kind::Bind,
        target: folder.clone(),
        source: None,
        attributes: plain.with_if(read_only, Attributes::READ_ONLY),
        optional: false,
        idmap: None,
        size: DEFAULT_SIZE,
        inodes: DEFAULT_INODES,
        mode: None,
        contents: String::new(),
        to: PathBuf::new(),
    };
    bind(folder.clone(), &mount, profile, identity, &origin, draft);
}

/// The home that is replaced by an empty one: not the root directory, which some accounts have.
#[must_use]
pub fn home(variables: &Variables) -> Option<&Path> {
    variables
        .home
        .as_deref()
        .filter(|home| home.is_absolute() && home.parent().is_some())
}
