//! What a bind of the host's files gives away: services, whole trees, files that run outside.

use super::defaults::home;
use super::{Kind, Mount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Sources};
use crate::profile::pattern::is_pattern;
use crate::profile::variables::Variables;
use crate::sections::Profile;
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

pub(super) fn check(
    mount: &Mount,
    profile: &Profile,
    sources: &Sources,
    problems: &mut Diagnostics,
) {
    if mount.kind != Kind::Bind {
        return;
    }
    let source = mount.shown();
    in_one_home(source, profile, sources, problems);
    // The first is the gravest: a whole root holds every service and every file of a home too.
    let found = whole(mount, &profile.variables)
        .or_else(|| service(mount, &profile.variables))
        .or_else(|| kernel_tree(mount, profile))
        .or_else(|| runs_outside(mount, &profile.variables))
        .or_else(|| device(mount));
    if let Some(problem) = found {
        problems.push(problem);
    }
}

/// A path into the home of a person who is named in the profile.
pub(in crate::sections) fn in_one_home(
    path: &At<PathBuf>,
    profile: &Profile,
    sources: &Sources,
    problems: &mut Diagnostics,
) {
    let is_literal = |written: &str| !written.contains("${");
    if !sources.written(&path.origin).is_some_and(is_literal) {
        return;
    }
    let Some((owner, rest)) = owner_of(&path.value) else {
        return;
    };
    let project = profile.variables.project.as_deref();
    let better = match project.and_then(|project| path.value.strip_prefix(project).ok()) {
        Some(rest) => Path::new("${PROJECT}").join(rest),
        None => Path::new("${HOME}").join(rest),
    };
    problems.push(
        Diagnostic::new(
            Code::NotPortable,
            &path.origin,
            format!("only {owner} has this path: nobody else can use this profile"),
        )
        .help(format!("write \"{}\"", better.display())),
    );
}

/// Whose home a path lies in, and where there.
fn owner_of(path: &Path) -> Option<(&str, &Path)> {
    if let Ok(rest) = path.strip_prefix("/root") {
        return Some(("root", rest));
    }
    let below = path.strip_prefix("/home").ok()?;
    let owner = below.iter().next()?.to_str()?;
    // The one place where Homebrew installs to on Linux, whoever uses it.
    // Nor does a pattern name anybody.
    let one = owner != "linuxbrew" && !is_pattern(owner);
    one.then_some((owner, below.strip_prefix(owner).ok()?))
}

/// Whether the source of a bind, or what it stands for, is a path or holds it.
fn holds(mount: &Mount, known: &Path) -> bool {
    match &mount.several {
        Some(several) => several.pattern.holds(known),
        None => known.starts_with(&mount.shown().value),
    }
}

/// Whether one of the two holds the other.
fn touches(mount: &Mount, known: &Path) -> bool {
    match &mount.several {
        Some(several) => several.pattern.touches(known),
        None => mount.shown().value.starts_with(known) || holds(mount, known),
    }
}

/// The whole host, or a whole home.
fn whole(mount: &Mount, variables: &Variables) -> Option<Diagnostic> {
    let source = mount.shown();
    let path = source.value.as_path();
    let homes = home(variables).is_some_and(|home| holds(mount, home));
    let what = if path.parent().is_none() {
        "everything that the caller can read"
    } else if homes || holds(mount, Path::new("/home")) || holds(mount, Path::new("/root")) {
        "every key, token and history file that lies there"
    } else {
        return None;
    };
    let text = format!("the command sees the whole of {}: {what}", path.display());
    Some(
        Diagnostic::new(Code::WholeHost, &source.origin, text)
            .help("bind the folders that the command needs, each by an entry of its own"),
    )
}

/// Sockets of services that do outside what they are told, and who listens there. Whether the
/// mount is read-only does not matter: to connect is not to write.
const SERVICES: &[(&str, &str)] = &[
    ("/run/docker.sock", "Docker"),
    ("/run/podman/podman.sock", "Podman"),
    ("/run/containerd/containerd.sock", "containerd"),
    ("/run/crio/crio.sock", "CRI-O"),
    ("/run/dbus/system_bus_socket", "the system bus"),
    ("/run/systemd/private", "systemd"),
    ("/run/libvirt/libvirt-sock", "libvirt"),
    ("/run/snapd.socket", "snapd"),
    ("/run/user/UID/bus", "the session bus"),
    ("/run/user/UID/systemd/private", "systemd"),
    ("/run/user/UID/docker.sock", "Docker"),
    ("/run/user/UID/podman/podman.sock", "Podman"),
    ("/tmp/.X11-unix", "the X server"),
    ("/var/lib/lxd/unix.socket", "LXD"),
    ("/var/lib/incus/unix.socket", "Incus"),
    ("HOME/.docker/run/docker.sock", "Docker"),
    ("HOME/.docker/desktop/docker.sock", "Docker"),
];

fn service(mount: &Mount, variables: &Variables) -> Option<Diagnostic> {
    let source = mount.shown();
    // /var/run is a link to /run since the Filesystem Hierarchy Standard 3.0.
    let in_run = |path: &Path| match path.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => path.to_owned(),
    };
    let path = in_run(&source.value);
    let mut mount = mount.clone();
    if let Some(several) = &mut mount.several {
        several.pattern.base = in_run(&several.pattern.base);
    }
    mount.source = Some(At::new(path.clone(), source.origin.clone()));
    let uid = path
        .strip_prefix("/run/user")
        .ok()
        .and_then(|rest| rest.iter().next()?.to_str());
    let (socket, who) = SERVICES.iter().find_map(|(socket, who)| {
        let socket = match (socket.strip_prefix("HOME/"), uid) {
            (Some(rest), _) => home(variables)?.join(rest),
            (None, Some(uid)) => socket.replace("UID", uid).into(),
            (None, None) => PathBuf::from(socket),
        };
        touches(&mount, &socket).then_some((socket, who))
    })?;
    // Folders of which such a socket is the least part.
    if ["/var", "/var/lib"].iter().any(|p| path == Path::new(p)) {
        return None;
    }
    let text = if path.starts_with(&socket) {
        format!("through this socket the command directs {who}, outside of the sandbox")
    } else {
        format!(
            "this holds the socket of {who}, through which the command acts outside of the sandbox"
        )
    };
    let help = match who.ends_with(" bus") {
        true => "remove the mount, and name what of the bus the command needs in [[bus]]",
        false => {
            "remove the mount; where the command needs the service, run a second one that is confined itself"
        }
    };
    Some(Diagnostic::new(Code::HostService, &source.origin, text).help(help))
}

/// The host's views of the kernel, which the sandbox has its own of.
fn kernel_tree(mount: &Mount, profile: &Profile) -> Option<Diagnostic> {
    let source = mount.shown();
    let is = |path: &str| source.value == Path::new(path);
    let acts = !mount.is_read_only()
        && (source.value.starts_with("/proc") || source.value.starts_with("/sys"));
    let own_network = profile
        .namespaces
        .has_own_network(profile.network.mode.value);
    let (what, instead) = if is("/proc") {
        (
            "the host's processes, and settings of its kernel",
            "write `type = \"proc\"`",
        )
    } else if is("/dev") {
        (
            "every device of the host",
            "name the devices in [devices]: nodes = [\"kvm\"]",
        )
    } else if is("/sys") && own_network {
        (
            "the host's network devices and cgroups",
            "write `type = \"sysfs\"`",
        )
    } else if acts {
        (
            "settings of the host's kernel to write to",
            "write `read_only = true`",
        )
    } else {
        return None;
    };
    let text = format!("{} shows {what}", source.value.display());
    Some(Diagnostic::new(Code::HostKernelTree, &source.origin, text).help(instead))
}

/// Files and folders below a home that are executed or obeyed when their owner logs in or uses
/// everyday tools.
const OBEYED_AT_HOME: &[&str] = &[
    ".aws/config",
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cargo/bin",
    ".cargo/config.toml",
    ".cargo/env",
    ".config/autostart",
    ".config/emacs",
    ".config/environment.d",
    ".config/fish",
    ".config/git",
    ".config/nvim",
    ".config/sandbox",
    ".config/systemd",
    ".config/tmux",
    ".config/zsh",
    ".cshrc",
    ".docker/cli-plugins",
    ".docker/config.json",
    ".emacs",
    ".emacs.d",
    ".gdbinit",
    ".gitconfig",
    ".gnupg",
    ".kshrc",
    ".kube/config",
    ".local/bin",
    ".local/lib",
    ".local/share/applications",
    ".local/share/dbus-1",
    ".local/share/systemd",
    ".login",
    ".netrc",
    ".npmrc",
    ".oh-my-zsh",
    ".pam_environment",
    ".profile",
    ".rustup",
    ".ssh",
    ".tcshrc",
    ".tmux.conf",
    ".vim",
    ".vimrc",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "bin",
    "go/bin",
];

/// The same for the whole machine.
const OBEYED: &[&str] = &[
    "/bin",
    "/boot",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/crontab",
    "/etc/init.d",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/udev",
    "/etc/xdg/autostart",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
    "/var/spool/cron",
];

fn runs_outside(mount: &Mount, variables: &Variables) -> Option<Diagnostic> {
    let source = mount.shown();
    if mount.is_read_only() {
        return None;
    }
    let of_home = home(variables).and_then(|home| {
        let mut obeyed = OBEYED_AT_HOME.iter().map(|name| home.join(name));
        obeyed.find(|path| touches(mount, path))
    });
    let of_machine = || {
        let mut obeyed = OBEYED.iter().map(PathBuf::from);
        obeyed.find(|path| touches(mount, path))
    };
    let found = of_home.or_else(of_machine)?;
    let shown = if found.starts_with(&source.value) {
        found
    } else {
        source.value.clone()
    };
    let text = format!(
        "the command can write to {}, which is obeyed outside of the sandbox",
        shown.display()
    );
    Some(
        Diagnostic::new(Code::RunsOutside, &source.origin, text)
            .help("remove `read_only = false`, or bind a folder that holds data only"),
    )
}

/// What in /dev is no device.
const NO_DEVICES: &[&str] = &[
    "/dev/fd",
    "/dev/hugepages",
    "/dev/initctl",
    "/dev/log",
    "/dev/mqueue",
    "/dev/shm",
];

fn device(mount: &Mount) -> Option<Diagnostic> {
    let source = mount.shown();
    let node = source.value.strip_prefix("/dev").ok()?;
    let other = NO_DEVICES.iter().any(|path| source.value.starts_with(path));
    if other || !mount.attributes.contains(Attributes::NODEV) {
        return None;
    }
    let help = match &mount.several {
        Some(_) => "write `nodev = false`".into(),
        None => format!(
            "name it under [devices] instead: nodes = [\"{}\"]; or write `nodev = false`",
            node.display()
        ),
    };
    let text = "a device on a mount without devices: it is visible and cannot be opened";
    Some(Diagnostic::new(Code::DeviceNotOpenable, &source.origin, text).help(help))
}
