//! Mounts: each kind that a run may make is made, in a mount namespace that goes with the trial.

use super::attempt::{self, Ids, Refused};
use super::evidence;
use super::namespaces::has_user_namespace;
use super::{Found, kernel};
use crate::host::Host;
use crate::sys::descriptor::{self, Resolve};
use crate::sys::mount::{self, Attributes, Depth};
use crate::sys::{self};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

const MAXIMUM: &str = "user.max_mnt_namespaces";

/// The finding about something that was tried in a new mount namespace, with a hint where the
/// kernel's answer means something of its own.
fn judge(
    tried: Result<(), Refused>,
    what: &str,
    host: &Host,
    ids: Ids,
    hint: impl FnOnce(Errno) -> Option<Found>,
) -> Found {
    let refused = match tried {
        Ok(()) => return Found::ok(what),
        Err(refused) => refused,
    };
    if !has_user_namespace(ids) {
        return Found::without_user_namespace();
    }
    if let Refused::Inside(errno) = refused
        && let Some(found) = hint(errno)
    {
        return found;
    }
    evidence::of_refusal(refused, &host.caller, MAXIMUM).into()
}

/// A new file system, and the root, both as mounts that are not attached anywhere yet.
pub(super) fn api(host: &Host, ids: Ids) -> Found {
    let tried = attempt::inside(libc::CLONE_NEWNS, ids, &|| {
        mount::make_all_private()?;
        let root = mount::clone_tree_at(c"/", Depth::Whole)?;
        mount::set_attributes(root, Attributes::READ_ONLY)?;
        attach_on_top(tmpfs()?).map(drop)
    });
    let what = "fsopen, open_tree, move_mount and mount_setattr work";
    judge(tried, what, host, ids, |_| None)
}

/// Into a tmpfs, and back out of what was the root.
pub(super) fn pivot_root(host: &Host, ids: Ids) -> Found {
    let tried = attempt::inside(libc::CLONE_NEWNS, ids, &|| {
        mount::make_all_private()?;
        let root = attach_on_top(tmpfs()?)?;
        descriptor::change_directory_to(root)?;
        mount::pivot_root_here()
    });
    judge(tried, "the root can be replaced", host, ids, |errno| {
        (errno == Errno::EINVAL).then(|| Found::blocked(
            "the root of this machine is the initial ramfs or a plain chroot, which pivot_root(2) cannot leave",
            "boot from a root that is mounted (switch_root), or enter the tree by unshare --mount and pivot_root instead of chroot",
        ))
    })
}

/// The working directory, with owners mapped.
pub(super) fn idmapped(host: &Host, ids: Ids) -> Found {
    if !host.caller.has_rights() {
        return Found::unused(
            "only root maps owners: what a plain user makes is the user's own anyway",
        );
    }
    let tried = attempt::beside(ids, &|pid| {
        let tree = mount::clone_tree_at(c".", Depth::Whole)?;
        // "/proc/" and a number: an allocation is harmless on this side.
        let path = std::ffi::CString::new(format!("/proc/{pid}/ns/user")).unwrap_or_default();
        let namespace = descriptor::open_for_reading(&path)?;
        mount::set_idmap(tree, namespace)
    });
    let what = "the file system of the working directory maps owners";
    judge(tried, what, host, ids, |errno| match errno {
        Errno::EINVAL => Some(Found::limited(
            "the file system of the working directory cannot map owners",
            "use one that can (ext4, xfs, btrfs, tmpfs; overlayfs from Linux 5.19 on), or set `idmap = \"prefer\"` under [enforce]",
        )),
        Errno::EPERM => Some(Found::blocked(
            "mapping owners takes CAP_SYS_ADMIN where the file system was mounted: in an outer user namespace",
            "run outside of the container, on a file system that was mounted inside it (a tmpfs), or set `idmap = \"prefer\"` under [enforce]",
        )),
        _ => None,
    })
}

/// Two directories of a tmpfs as one.
pub(super) fn overlayfs(host: &Host, ids: Ids) -> Found {
    let tried = attempt::inside(libc::CLONE_NEWNS, ids, &|| {
        mount::make_all_private()?;
        let below = attach_on_top(tmpfs()?)?;
        for name in [c"lower", c"upper", c"work"] {
            descriptor::make_directory(below, name, 0o700)?;
        }
        descriptor::change_directory_to(below)?;
        let context = mount::open_filesystem(c"overlay")?;
        for (key, value) in [
            (c"lowerdir", c"lower"),
            (c"upperdir", c"upper"),
            (c"workdir", c"work"),
        ] {
            mount::configure(context, key, Some(value))?;
        }
        // The attributes that a user namespace may write (Linux 5.11).
        mount::configure(context, c"userxattr", None)?;
        mount::create_mount(context, Attributes::NOSUID.with(Attributes::NODEV)).map(drop)
    });
    let what = "mounted in a user namespace";
    judge(tried, what, host, ids, |errno| {
        let (blocker, remedy) = match errno {
            Errno::ENODEV => (
                "this kernel has no overlayfs",
                "use a kernel with CONFIG_OVERLAY_FS (`sudo modprobe overlay` where it is a module)",
            ),
            Errno::EPERM if !kernel::is_at_least((5, 11)) => (
                "this kernel mounts overlayfs for root of the machine only",
                "use Linux 5.11 or newer",
            ),
            _ => return None,
        };
        Some(Found::missing(blocker, remedy))
    })
}

/// proc in a pid namespace of its own.
pub(super) fn fresh_proc(host: &Host, ids: Ids) -> Found {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    let tried = attempt::inside(namespaces, ids, &|| fresh(c"proc"));
    judge(tried, "mounted", host, ids, |errno| {
        too_revealing(errno, "/proc")
    })
}

/// sysfs in a network namespace of its own.
pub(super) fn fresh_sysfs(host: &Host, ids: Ids) -> Found {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWNET;
    let tried = attempt::inside(namespaces, ids, &|| fresh(c"sysfs"));
    judge(tried, "mounted", host, ids, |errno| {
        too_revealing(errno, "/sys")
    })
}

fn fresh(kind: &CStr) -> sys::Result<()> {
    mount::make_all_private()?;
    let context = mount::open_filesystem(kind)?;
    mount::create_mount(context, Attributes::INERT).map(drop)
}

/// In a user namespace the kernel makes a new proc or sysfs only where it shows no more than one
/// that is visible already: whole, not covered by other mounts, and as writable
/// (mount_namespaces(7), "Restrictions on mount namespaces").
fn too_revealing(errno: Errno, path: &str) -> Option<Found> {
    if errno != Errno::EPERM {
        return None;
    }
    let covered = covers(path)?;
    let blocker = match covered.first() {
        None => format!(
            "no whole {path} is visible here, and the kernel shows a new one only where one is"
        ),
        Some(_) => format!(
            "{path} is covered in part ({}), and the kernel does not show in a new one what is hidden here",
            shown(&covered)
        ),
    };
    Some(Found::blocked(blocker, evidence::unmask()))
}

/// What is mounted below a path, or changes the mount there; `None` where nothing is in the way.
fn covers(path: &str) -> Option<Vec<String>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut whole = false;
    let mut covers = Vec::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(root), Some(point), Some(options)) =
            (fields.get(3), fields.get(4), fields.get(5))
        else {
            continue;
        };
        if *point == path {
            whole |= *root == "/";
            if options.split(',').any(|option| option == "ro") {
                covers.push(format!("{path} is read-only"));
            }
        } else if point
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('/'))
            && !is_meant_for_mounts(point)
        {
            covers.push((*point).to_owned());
        }
    }
    covers.dedup();
    (!whole || !covers.is_empty()).then_some(covers)
}

/// Directories of the kernel that are always empty, on which mounts hide nothing.
fn is_meant_for_mounts(point: &str) -> bool {
    [
        "/proc/sys/fs/binfmt_misc",
        "/proc/fs/nfsd",
        "/sys/fs/",
        "/sys/kernel/debug",
        "/sys/kernel/tracing",
        "/sys/kernel/security",
        "/sys/kernel/config",
        "/sys/firmware/efi/efivars",
    ]
    .iter()
    .any(|known| point.starts_with(known))
}

fn shown(points: &[String]) -> String {
    const MOST: usize = 4;
    let mut words: Vec<&str> = points.iter().take(MOST).map(String::as_str).collect();
    let more = format!("and {} more", points.len().saturating_sub(MOST));
    if points.len() > MOST {
        words.push(&more);
    }
    words.join(", ")
}

fn tmpfs() -> sys::Result<RawFd> {
    let context = mount::open_filesystem(c"tmpfs")?;
    mount::configure(context, c"size", Some(c"64K"))?;
    mount::create_mount(context, Attributes::NOSUID.with(Attributes::NODEV))
}

/// Attaches a mount on top of the root, as a run does with its new root.
fn attach_on_top(new: RawFd) -> sys::Result<RawFd> {
    let root = descriptor::open_path(libc::AT_FDCWD, c"/", Resolve::Anywhere)?;
    mount::attach(new, root)?;
    descriptor::close(root);
    Ok(new)
}
