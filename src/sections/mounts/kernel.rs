//! The kernel's own file systems: proc, reduced, and the cgroup tree.

use super::{Kind, Mount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::plan::Draft;
use crate::plan::layout::{Entry, What, tmpfs};
use crate::sections::Profile;
use crate::sections::user::Identity;
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

crate::choice! {
    /// Which part of proc there is (proc(5)).
    pub enum Subset {
        /// The processes alone.
        Pid = "pid",
    }
}

crate::choice! {
    /// Which processes show to which others (proc(5)).
    pub enum Hidepid {
        /// All to all.
        Off = "off",
        /// What is in the directories of others' processes cannot be read.
        Noaccess = "noaccess",
        /// Others' processes do not show at all.
        Invisible = "invisible",
        /// Only those show that the process may trace (ptrace(2)).
        Ptraceable = "ptraceable",
    }
}

/// The options of a new proc.
pub(super) fn options(mount: &Mount) -> Vec<(&'static str, &'static str)> {
    let subset = mount.subset.as_ref().map(|at| ("subset", at.value.word()));
    let hidepid = mount
        .hidepid
        .as_ref()
        .map(|at| ("hidepid", at.value.word()));
    subset.into_iter().chain(hidepid).collect()
}

/// Whether proc is a new one, and not the host's.
pub(super) fn is_fresh(asked: bool, profile: &Profile) -> bool {
    profile.namespaces.pid.value.is_new() || asked
}

pub(super) fn pseudo(kind: &'static str, options: &[(&str, Option<&str>)]) -> What {
    let options = options
        .iter()
        .map(|(key, value)| ((*key).into(), value.map(Into::into)))
        .collect();
    What::Filesystem {
        kind,
        options,
        sealed: false,
    }
}

/// What of /proc acts on the kernel: shown, not to be written to. Anybody may write to `pressure`, and has the
/// kernel keep watch over the whole machine then.
pub(super) const PROC_READ_ONLY: &[&str] =
    &["bus", "fs", "irq", "pressure", "sys", "sysrq-trigger"];

/// What of that the kernel lets its owner write to and nobody else, with all that is below it (kernel/irq/proc.c,
/// drivers/pci/proc.c).
const OWNERS_WRITE: &[&str] = &["bus", "irq", "sysrq-trigger"];

/// What of /proc tells about the machine or other users and nothing that a program needs.
pub(super) const PROC_HIDDEN: &[&str] = &[
    "acpi",
    "asound",
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "scsi",
    "slabinfo",
    "softirqs",
    "sys/kernel/random/boot_id",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];

/// What of that the kernel lets its owner open and nobody else (fs/proc).
const OWNERS_ONLY: &[&str] = &[
    "kcore",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
];

/// Whether a file of /proc belongs to somebody who has no id in the map of the new user namespace. Then no process
/// inside can have or take that id, and no capability there reaches over the file
/// (user_namespaces(7), "Operation of file-related capabilities": the ids of the file must be mapped).
fn is_strangers(name: &str, identity: &Identity, host: &Host) -> bool {
    let node = host.tree.node(&Path::new("/proc").join(name));
    let mapped = identity.users.iter().any(|r| {
        let end = u64::from(r.outside) + u64::from(r.count);
        node.uid >= r.outside && u64::from(node.uid) < end
    });
    // Without a new user namespace the maps are empty, and nothing is known about the ids.
    !identity.users.is_empty() && !mapped
}

/// Whether nobody inside can open a file of /proc, covered or not: on this machine too only its owner may.
fn is_closed(name: &str, identity: &Identity, host: &Host) -> bool {
    let node = host.tree.node(&Path::new("/proc").join(name));
    node.mode & 0o077 == 0 && is_strangers(name, identity, host)
}

/// Proc with its dangerous parts covered. Its existence is asked of the host's own /proc.
pub(super) fn proc(
    target: &Path,
    options: &[(&'static str, &'static str)],
    profile: &Profile,
    identity: &Identity,
    origin: &Origin,
    draft: &mut Draft<'_>,
) {
    let inert = Attributes::INERT;
    let closed = |name| OWNERS_ONLY.contains(&name) && is_closed(name, identity, draft.host);
    let (closed, hidden): (Vec<&str>, Vec<&str>) =
        PROC_HIDDEN.iter().copied().partition(|name| closed(*name));
    let theirs = |name| OWNERS_WRITE.contains(&name) && is_strangers(name, identity, draft.host);
    let (unwritten, protected): (Vec<&str>, Vec<&str>) = PROC_READ_ONLY
        .iter()
        .copied()
        .partition(|name| theirs(*name));
    let mut add = |target: PathBuf, what, attributes| {
        let origin = origin.clone();
        draft.entries.push(Entry {
            target,
            what,
            attributes,
            optional: true,
            origin,
        });
    };
    if !is_fresh(!options.is_empty(), profile) {
        // The processes of another namespace's proc are the host's, whoever mounts it.
        let bind = What::bind("/proc".into(), None);
        add(target.into(), bind, inert.with(Attributes::READ_ONLY));
        return;
    }
    let words: Vec<_> = options
        .iter()
        .map(|(key, word)| (*key, Some(*word)))
        .collect();
    add(target.into(), pseudo("proc", &words), inert);
    if words.contains(&("subset", Some(Subset::Pid.word()))) {
        // Nothing that would have to be covered is there.
        return;
    }
    for name in protected {
        add(
            target.join(name),
            What::Protect,
            inert.with(Attributes::READ_ONLY),
        );
    }
    for name in hidden {
        add(target.join(name), What::Mask, inert);
    }
    for (names, what) in [(closed, "open"), (unwritten, "write to")] {
        if !names.is_empty() {
            let text = format!(
                "below {}, only an owner who has no id inside can {what} {}: not covered",
                target.display(),
                names.join(", ")
            );
            draft.note(origin, text);
        }
    }
}

/// What the kernel's file systems show belongs to a namespace: it has to be the sandbox's.
pub(super) fn relate(mount: &At<Mount>, profile: &Profile, problems: &mut Diagnostics) {
    let At {
        value: mount,
        origin,
    } = mount;
    let namespaces = &profile.namespaces;
    let asked = mount.subset.as_ref().map(|at| &at.origin);
    let asked = asked.or(mount.hidepid.as_ref().map(|at| &at.origin));
    if let Some(asked) = asked.filter(|_| mount.kind == Kind::Proc)
        && !namespaces.pid.value.is_new()
        && namespaces.user.value.is_new()
    {
        problems.push(
            Diagnostic::new(
                Code::FilesystemWithoutNamespace,
                asked,
                "a proc of its own can be mounted by root of the pid namespace only, which is not the sandbox's",
            )
            .and(&namespaces.pid.origin, "not new here")
            .help("write `pid = \"new\"` under [namespaces], or, as root, `user = \"shared\"`"),
        );
        return;
    }
    if mount.kind == Kind::Proc && !namespaces.pid.value.is_new() {
        problems.push(
            Diagnostic::new(
                Code::ProcOfHost,
                origin,
                "this shows the processes of others, and their arguments",
            )
            .and(&namespaces.pid.origin, "the pid namespace is not new")
            .help("write `pid = \"new\"` under [namespaces], or remove this mount"),
        );
    }
    let network = namespaces.has_own_network(profile.network.mode.value);
    let host_network = if namespaces.net.value.is_new() {
        &profile.network.mode.origin
    } else {
        &namespaces.net.origin
    };
    let (name, own, place) = match mount.kind {
        Kind::Sysfs => ("net", network, host_network),
        Kind::Mqueue => ("ipc", namespaces.ipc.value.is_new(), &namespaces.ipc.origin),
        Kind::Cgroup => (
            "cgroup",
            namespaces.cgroup.value.is_new(),
            &namespaces.cgroup.origin,
        ),
        _ => return,
    };
    // The kernel asks for CAP_SYS_ADMIN over the namespace that the file system shows, and a new
    // user namespace has it over new ones only.
    if !own && namespaces.user.value.is_new() {
        let kind = mount.kind.word();
        problems.push(
            Diagnostic::new(
                Code::FilesystemWithoutNamespace,
                origin,
                format!("\"{kind}\" cannot be mounted without a new {name} namespace"),
            )
            .and(place, "not new here")
            .help(format!(
                "give the sandbox its own {name} namespace, or bind what the command needs of the host's"
            )),
        );
    }
}

/// The cgroup tree: on v2 one mount, on v1 one for each hierarchy.
pub(super) fn cgroup(target: &Path, origin: &Origin, draft: &mut Draft<'_>) {
    let inert = Attributes::INERT;
    let read_only = inert.with(Attributes::READ_ONLY);
    let hierarchies = match draft.host.cgroups() {
        Ok(cgroups) => cgroups.v1_options(),
        Err(error) => {
            let text = format!("there is no cgroup tree to mount: {error}");
            return draft.refuse(origin, text, "remove this mount");
        }
    };
    let mut add = |target: PathBuf, what, attributes| {
        let origin = origin.clone();
        draft.entries.push(Entry {
            target,
            what,
            attributes,
            optional: false,
            origin,
        });
    };
    if hierarchies.is_empty() {
        return add(target.into(), pseudo("cgroup2", &[]), read_only);
    }
    // Sealed, so read-only only once the hierarchies have their directories in it.
    add(target.into(), tmpfs("64K", "755", true), inert);
    for (name, options) in hierarchies {
        let options: Vec<_> = options
            .iter()
            .map(|option| match option.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (option.as_str(), None),
            })
            .collect();
        add(target.join(name), pseudo("cgroup", &options), read_only);
    }
}
