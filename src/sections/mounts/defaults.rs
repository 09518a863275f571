//! What is mounted unless the profile says otherwise.

use super::kernel::proc;
use super::{DEFAULT_INODES, DEFAULT_SIZE, Kind, Mount, Propagation, bind, sized};
use crate::diag::{At, Origin};
use crate::plan::Draft;
use crate::plan::layout::{Entry, What};
use crate::profile::value::Mode;
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
            // A machine need not have what is hidden.
            optional: what == What::Mask,
            what,
            attributes: plain,
            origin: Origin::Default(name),
        });
    };
    add(
        Path::new("/tmp"),
        sized(DEFAULT_SIZE, DEFAULT_INODES, "1777", false),
        "mounts: /tmp",
    );
    add(
        Path::new("/run"),
        What::Directory(0o755.into()),
        "mounts: /run",
    );
    if profile.rootfs.is_whole_host() {
        // /var is the host's, and other jobs' files lie here too.
        add(
            Path::new("/var/tmp"),
            sized(DEFAULT_SIZE, DEFAULT_INODES, "1777", false),
            "mounts: /var/tmp",
        );
    } else if profile.rootfs.is_host() {
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
    // Names this machine for good; whoever shows another /etc has said what is in it.
    let etc = Path::new("/etc");
    if profile.rootfs.is_host() && profile.mounts.on(etc).is_none() {
        add(
            &etc.join("machine-id"),
            What::Mask,
            "mounts: /etc/machine-id",
        );
    }
    if let Some(home) = home(variables) {
        add(
            home,
            sized(DEFAULT_SIZE, DEFAULT_INODES, "700", false),
            "mounts: the home",
        );
    }
    // A proc of the profile's at this place comes with what covers it.
    let is_own = |mount: &At<Mount>| {
        mount.value.kind == Kind::Proc && mount.value.target.value == Path::new("/proc")
    };
    let own = profile.mounts.0.iter().any(is_own);
    if profile.namespaces.pid.value.is_new() && !own {
        proc(
            Path::new("/proc"),
            &[],
            false,
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
        target: At::new(folder.clone(), origin.clone()),
        source: None,
        several: None,
        attributes: plain.with_if(read_only, Attributes::READ_ONLY),
        optional: false,
        create: false,
        recursive: true,
        lock: None,
        aside: profile
            .rootfs
            .project_aside
            .clone()
            .map(|aside| At::new(aside, origin.clone())),
        propagation: At::default_of("mounts.propagation", Propagation::Private),
        subset: None,
        hidepid: None,
        idmap: None,
        owners: Vec::new(),
        size: At::default_of("mounts.size", DEFAULT_SIZE),
        inodes: At::default_of("mounts.inodes", DEFAULT_INODES),
        mode: None,
        owner: None,
        atime: None,
        nosuid: None,
        contents: String::new(),
        to: PathBuf::new(),
    };
    bind(folder.clone(), &mount, profile, identity, &origin, draft);
}

/// What is at a path unless a mount of the profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A directory of the sandbox's own: only what is mounted there is in it.
    Empty,
    /// What the host or the kernel has.
    Foreign,
}

/// The paths that [`defaults`], `[devices]` and a root of the host fill.
pub(super) fn places(profile: &Profile) -> Vec<(PathBuf, Content)> {
    let mut places = vec![
        ("/tmp".into(), Content::Empty),
        ("/run".into(), Content::Empty),
        ("/dev".into(), Content::Foreign),
    ];
    let mut foreign = |path: &Path| places.push((path.into(), Content::Foreign));
    for name in profile.rootfs.public() {
        foreign(&Path::new("/").join(name));
    }
    if profile.rootfs.is_host() {
        // Links.
        foreign(Path::new("/var/run"));
        foreign(Path::new("/var/tmp"));
    }
    if profile.namespaces.pid.value.is_new() {
        foreign(Path::new("/proc"));
    }
    let project = profile.variables.project.as_deref();
    if let Some(project) = project.filter(|_| profile.rootfs.project.value != Project::Hide) {
        foreign(project);
    }
    if let Some(home) = home(&profile.variables) {
        places.push((home.into(), Content::Empty));
    }
    places
}

/// Where a mount is what is there anyway: what to do.
pub(super) fn repeats(mount: &Mount, profile: &Profile) -> Option<String> {
    let target = mount.target.value.as_path();
    let remove = || Some("remove this mount".to_owned());
    let plain = Attributes::NOSUID.with(Attributes::NODEV);
    let is = |path: &str| target == Path::new(path);
    match mount.kind {
        Kind::Tmpfs => {
            let mode = if is("/tmp") {
                0o1777
            } else if home(&profile.variables) == Some(target) {
                0o700
            } else {
                return None;
            };
            let same = mount.attributes == plain
                && mount.size.origin.is_default()
                && mount.inodes.origin.is_default()
                && mount.mode.is_none_or(|given| given == Mode(mode));
            same.then(remove)?
        }
        Kind::Proc if is("/proc") && profile.namespaces.pid.value.is_new() => remove(),
        Kind::Devpts if is("/dev/pts") => remove(),
        Kind::Directory if is("/run") && mount.mode.is_none_or(|m| m == Mode(0o755)) => remove(),
        Kind::Bind if mount.shown().value == target && mount.idmap.is_none() => {
            let public = profile.rootfs.public().iter();
            let shown = public.map(|name| Path::new("/").join(name));
            if mount.attributes == plain.with(Attributes::READ_ONLY) {
                return shown
                    .into_iter()
                    .find(|path| path == target)
                    .and_then(|_| remove());
            }
            let project = profile.variables.project.as_deref() == Some(target);
            let default = &profile.rootfs.project;
            let written = default.value == Project::Write && default.origin.is_default();
            (project && written && mount.attributes == plain).then(remove)?
        }
        _ => None,
    }
}

/// The home that is replaced by an empty one: not the root directory, which some accounts have.
#[must_use]
pub fn home(variables: &Variables) -> Option<&Path> {
    variables
        .home
        .as_deref()
        .filter(|home| home.is_absolute() && home.parent().is_some())
}
