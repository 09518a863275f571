//! What mounts permit: files of the host, and memory for private ones.

use super::Hidepid;
use super::kernel::{PROC_HIDDEN, PROC_READ_ONLY};
use super::{DEFAULT_INODES, DEFAULT_SIZE, Kind, Mount, Mounts, home, own, owners};
use crate::diag::{At, Origin};
use crate::profile::value::{Size, Space};
use crate::review::grant::UNLIMITED;
use crate::review::tree::Access;
use crate::review::view::{HostFiles, Shown, View};
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;
use crate::sections::changes::Aside;
use crate::sections::enforce::Level;
use crate::sections::namespaces::Choice;
use crate::sections::rootfs::Project;
use crate::sys::mount::{Attributes, Depth};
use std::path::Path;

impl Mounts {
    /// Shows the defaults and what the profile mounts.
    pub fn show(&self, profile: &Profile, view: &mut View) {
        let Self(mounts) = self;
        defaults(profile, view);
        for At { value, origin } in mounts {
            value.show(profile, origin, view);
        }
    }

    /// How much memory private files may take, and which file systems of the kernel are shown.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let mut grants = Vec::new();
        let namespace = &profile.namespaces.mount;
        let rank = |key: &str, rank, words: String, origin| {
            Grant::rank(
                Area::Filesystem,
                format!("filesystem:{key}"),
                rank,
                words,
                origin,
            )
        };
        // In the mounts of others nothing is mounted; what they show is their namespace's grant.
        if namespace.value != Choice::New {
            if namespace.value == Choice::Shared {
                let origin = &namespace.origin;
                for (key, what) in KERNEL {
                    let most = if *key == "sysfs" { 2 } else { 1 };
                    grants.push(rank(key, most, format!("use {what}"), origin));
                }
                grants.push(kernel_settings(origin));
                grants.push(rank(
                    "memory-share",
                    100,
                    "use all memory for files".into(),
                    origin,
                ));
                grants.extend(processes(3, 1, origin));
                for (key, what) in [("memory", "memory"), ("inodes", "inodes")] {
                    let words = format!("use any amount of {what} for files");
                    grants.push(rank(key, UNLIMITED, words, origin));
                }
                let extent = Extent::Bits(Access::ALL.bits());
                let words = "use setuid programs and devices that it makes";
                let key = "filesystem:private";
                grants.push(Grant::new(Area::Filesystem, key, extent, words, origin));
            }
            return grants;
        }
        let named = |target: &Path| {
            self.0
                .iter()
                .any(|mount| mount.value.target.value == target)
        };
        let default = Origin::Default("mounts");
        let shm = profile.devices.shm_size();
        let mut memory = Memory::of(&shm.origin);
        if !named(Path::new("/dev/shm")) {
            memory.add(shm.value, DEFAULT_INODES);
        }
        let (mut seen, mut machine) = (0, 0);
        let mut proc_at = &default;
        // Where there is none, the processes of the sandbox are no secret to each other either.
        let is_proc = |mount: &At<Mount>| mount.value.kind == Kind::Proc;
        let default_proc = profile.namespaces.pid.value.is_new() && !named(Path::new("/proc"));
        if default_proc || !self.0.iter().any(is_proc) {
            (seen, machine) = (3, 1);
        }
        let mut access = Access::READ.with(Access::WRITE);
        let mut has_files = false;
        let whole = profile.rootfs.is_whole_host();
        let var_tmp = Some(Path::new("/var/tmp")).filter(|_| whole);
        for target in [Some(Path::new("/tmp")), var_tmp, home(&profile.variables)] {
            if !target.is_none_or(named) {
                memory.add(DEFAULT_SIZE, DEFAULT_INODES);
                access = access.with(Access::EXECUTE);
            }
        }
        let root = &profile.rootfs;
        let of_root = [
            (&root.aside, &root.changes.origin),
            (&root.project_aside, &root.project.origin),
        ];
        let of_root = of_root.into_iter();
        let asides = of_root.filter_map(|(aside, origin)| Some((aside.as_ref()?, origin)));
        let of_mounts = self.0.iter().filter_map(|mount| {
            let aside = mount.value.aside.as_ref()?;
            Some((&aside.value, &aside.origin))
        });
        for (aside, origin) in asides.chain(of_mounts) {
            match aside {
                Aside::Memory(size, files) => {
                    memory.take(*size, *files, origin);
                    access = access.with(Access::EXECUTE);
                }
                Aside::Disk | Aside::Kept(_) => {
                    let stay = u64::from(matches!(aside, Aside::Kept(_))) + 1;
                    let words = "put changes on disk, in the caller's folder of changes".into();
                    grants.push(rank("changes", stay, words, origin).share(50));
                }
            }
        }
        for At { value, origin } in &self.0 {
            grants.extend(owners::grants(value));
            match value.kind {
                Kind::Tmpfs => {
                    memory.take(value.size.value, value.inodes.value, origin);
                    access = access.with(value.access(profile).without_owner());
                }
                Kind::Sysfs if own::is_writable(value.kind, value.attributes) => {
                    let words = "change settings of devices and of the kernel in /sys";
                    grants.push(rank("sysfs", 2, words.into(), origin).share(3_000));
                }
                // One place holds all of them.
                Kind::File if own::is_writable(value.kind, value.attributes) => {
                    if !std::mem::replace(&mut has_files, true) {
                        memory.take(STAGED, 0, origin);
                    }
                    access = access.with(Access::EXECUTE);
                }
                Kind::Sysfs | Kind::Devpts | Kind::Mqueue | Kind::Cgroup => {
                    let known = KERNEL.iter().find(|(name, _)| *name == value.kind.word());
                    if let Some((key, what)) = known {
                        let share = if *key == "sysfs" { 500 } else { 50 };
                        grants.push(rank(key, 1, format!("use {what}"), origin).share(share));
                    }
                }
                Kind::Proc => {
                    seen = seen.max(match value.hidepid.as_ref().map(|at| at.value) {
                        None | Some(Hidepid::Off) => 3,
                        Some(Hidepid::Noaccess) => 2,
                        Some(Hidepid::Invisible | Hidepid::Ptraceable) => 1,
                    });
                    machine = machine.max(u64::from(value.subset.is_none()));
                    proc_at = origin;
                    if own::is_writable(value.kind, value.attributes) {
                        grants.push(kernel_settings(origin));
                    }
                }
                // Files of the host are told by `show`; what is the sandbox's own, of the kind that
                // any process can make in its private folders, tells the host nothing. What is covered in
                // proc cannot be uncovered: the kernel has no place for anything else there.
                Kind::Bind | Kind::File | Kind::Directory | Kind::Symlink | Kind::Mask => {}
            }
        }
        grants.extend(processes(seen, machine, proc_at));
        let words = format!("use {} of memory for files", Size(memory.bytes));
        grants.push(rank("memory", memory.bytes, words, memory.most.1));
        if let (share @ 1.., origin) = memory.share {
            let words = format!("use {share} % of the machine's memory for files");
            grants.push(rank("memory-share", share, words, origin).share(50));
        }
        let words = format!("make {} files in memory", memory.inodes);
        grants.push(rank("inodes", memory.inodes, words, memory.most.1));
        let mut words = format!("{access} private files in memory");
        let mut share = 0;
        for (bit, what) in [
            (Access::SETUID, ", setuid programs"),
            (Access::DEVICES, ", devices"),
        ] {
            if access.contains(bit) {
                words.push_str(what);
                share += 100;
            }
        }
        let extent = Extent::Bits(access.bits());
        let origin = if share == 0 { &default } else { memory.most.1 };
        let key = "filesystem:private";
        grants.push(Grant::new(Area::Filesystem, key, extent, words, origin).share(share));
        grants
    }
}

/// What files in memory take, together.
struct Memory<'o> {
    bytes: u64,
    inodes: u64,
    /// In per cent of the machine's memory, and the last line that says so.
    share: (u64, &'o Origin),
    /// The line that takes the most; only that of what is not a default.
    most: (u64, &'o Origin),
}

/// What all files of a profile can hold, where one of them can be written to.
const STAGED: Space = Space::Bytes(Size(64 << 20));

impl<'o> Memory<'o> {
    const fn of(origin: &'o Origin) -> Self {
        Self {
            bytes: 0,
            inodes: 0,
            share: (0, origin),
            most: (0, origin),
        }
    }

    fn add(&mut self, space: Space, inodes: u64) {
        self.inodes = self.inodes.saturating_add(inodes);
        match space {
            Space::Bytes(size) => self.bytes = self.bytes.saturating_add(size.0),
            Space::Share(share) => self.share.0 = self.share.0.saturating_add(share.into()),
        }
    }

    fn take(&mut self, space: Space, inodes: u64, origin: &'o Origin) {
        self.add(space, inodes);
        match space {
            Space::Bytes(size) if size.0 >= self.most.0 => self.most = (size.0, origin),
            Space::Bytes(_) => {}
            Space::Share(_) => self.share.1 = origin,
        }
    }
}

/// What a proc permits whose protected parts can be written to. What the kernel makes of it depends on whom the
/// files belong to: in a user namespace of its own, settings of the sandbox's namespaces; else the machine's.
fn kernel_settings(origin: &Origin) -> Grant {
    let words = "change settings of the kernel in /proc (sys, fs, irq, bus, sysrq-trigger)";
    Grant::rank(Area::Filesystem, "proc:write", 1, words, origin).share(3_000)
}

/// What proc shows: of the processes of its pid namespace, and of the machine. In a new namespace these are
/// the sandbox's own, and every profile with one has it; of another it is told as files of the host.
fn processes(seen: u64, machine: u64, origin: &Origin) -> [Grant; 2] {
    let processes = match seen {
        0 => "see no processes in /proc",
        1 => "see its own user's processes in /proc",
        2 => "see all processes of its pid namespace in /proc, and read of its own user's",
        _ => "read of all processes of its pid namespace in /proc",
    };
    let system = match machine {
        0 => "see nothing of the machine in /proc",
        _ => "see what /proc tells of the machine, as far as it is not covered",
    };
    let grant = |key: &str, rank, words| {
        Grant::rank(Area::Filesystem, format!("proc:{key}"), rank, words, origin)
    };
    [
        grant("processes", seen, processes),
        grant("machine", machine, system),
    ]
}

/// The file systems of the kernel that a profile can ask for, by their names.
const KERNEL: &[(&str, &str)] = &[
    ("sysfs", "the devices and kernel objects of /sys, to read"),
    ("devpts", "pseudo-terminals of its own"),
    ("mqueue", "the message queues of its ipc namespace"),
    ("cgroup", "the cgroup tree, to read"),
];

impl Mount {
    /// What may be done with what is mounted.
    fn access(&self, profile: &Profile) -> Access {
        let has = |attribute| self.attributes.contains(attribute);
        let unmapped = self.idmap.as_ref().is_some_and(|idmap| !idmap.value);
        let mapped = !unmapped && profile.enforce.idmap.value != Level::Off;
        Access::READ
            .with_if(
                !has(Attributes::READ_ONLY) && self.aside.is_none(),
                Access::WRITE,
            )
            .with_if(!has(Attributes::NOEXEC), Access::EXECUTE)
            .with_if(!has(Attributes::NOSUID), Access::SETUID)
            .with_if(!has(Attributes::NODEV), Access::DEVICES)
            .with_if(mapped, Access::OWNER)
            .with_if(self.create, Access::CREATE)
            .with(match (self.kind, self.depth()) {
                (Kind::Bind, Depth::Whole) => Access::MOUNTS,
                (Kind::Bind, Depth::Alone) => Access::UNCOVERED,
                _ => Access::default(),
            })
            .with_if(self.receives(), Access::LATER)
    }

    fn show(&self, profile: &Profile, origin: &Origin, view: &mut View) {
        // What a file holds is known to whoever wrote the profile; modes and bounds concern private
        // files.
        let Self {
            kind,
            target,
            source,
            several,
            attributes,
            nosuid: _,
            optional,
            create: _,
            recursive: _,
            lock: _,
            aside: _,
            propagation: _,
            subset,
            hidepid,
            idmap: _,
            owners: _,
            size: _,
            inodes: _,
            mode: _,
            owner: _,
            atime: _,
            contents: _,
            to,
        } = self;
        let target = &target.value;
        let source = source.as_ref().map_or(target, |source| &source.value);
        let own = Shown::own(target, origin.clone());
        let files = |source: &Path, access| {
            Some(HostFiles {
                source: source.into(),
                access,
                program: None,
                pattern: None,
                of_root: false,
            })
        };
        match kind {
            // What a pattern covers is not known: it takes nothing away from what lies under it.
            Kind::Bind if several.is_some() => view.show(Shown {
                host: Some(HostFiles {
                    source: source.into(),
                    access: self.access(profile),
                    program: None,
                    pattern: several.as_ref().map(|several| several.pattern.clone()),
                    of_root: false,
                }),
                covers: false,
                ..own
            }),
            Kind::Bind => view.show(Shown {
                host: files(source, self.access(profile)),
                if_there: Some(source.clone()).filter(|_| *optional),
                ..own
            }),
            Kind::Proc if profile.namespaces.pid.value.is_new() => {
                proc(target, false, origin, view);
            }
            Kind::Proc => {
                // With options it is a new one, whose files are the processes' own to write to.
                let fresh = subset.is_some() || hidepid.is_some();
                let writable = own::is_writable(*kind, *attributes);
                let access = Access::READ.with_if(fresh || writable, Access::WRITE);
                view.show(Shown {
                    host: files(Path::new("/proc"), access),
                    ..own
                });
            }
            Kind::Directory | Kind::Symlink => view.show(Shown {
                covers: false,
                link: Some(to.clone()).filter(|_| *kind == Kind::Symlink),
                ..own
            }),
            // A mask of what is not there hides nothing, and there is nothing.
            Kind::Tmpfs
            | Kind::Sysfs
            | Kind::Devpts
            | Kind::Mqueue
            | Kind::Cgroup
            | Kind::File
            | Kind::Mask => view.show(own),
        }
    }
}

/// Proc of the sandbox's own. What is covered in it is not counted on: the kernel may lack it, or
/// it is read-only, not hidden. It matters only where a profile puts something else at its place.
fn proc(target: &Path, yields: bool, origin: &Origin, view: &mut View) {
    let mut own = |target: &Path, if_there: Option<&Path>, yields| {
        view.show(Shown {
            if_there: if_there.map(Path::to_owned),
            yields,
            ..Shown::own(target, origin.clone())
        });
    };
    own(target, None, yields);
    for name in PROC_HIDDEN.iter().chain(PROC_READ_ONLY) {
        let path = target.join(name);
        own(&path, Some(&Path::new("/proc").join(name)), true);
    }
}

/// The same as [`defaults::defaults`](super::defaults::defaults) mounts.
fn defaults(profile: &Profile, view: &mut View) {
    let variables = &profile.variables;
    let own = |target: &Path, name| Shown {
        yields: true,
        ..Shown::own(target, Origin::Default(name))
    };
    view.show(own(Path::new("/tmp"), "mounts: /tmp"));
    if profile.rootfs.is_whole_host() {
        view.show(own(Path::new("/var/tmp"), "mounts: /var/tmp"));
    } else if profile.rootfs.is_host() {
        for (target, to, name) in [
            ("/var/run", "/run", "mounts: /var/run"),
            ("/var/tmp", "/tmp", "mounts: /var/tmp"),
        ] {
            view.show(Shown {
                covers: false,
                link: Some(to.into()),
                ..own(Path::new(target), name)
            });
        }
    }
    if let Some(home) = home(variables) {
        view.show(own(home, "mounts: the home"));
    }
    if profile.namespaces.pid.value.is_new() {
        let origin = Origin::Default("mounts: /proc");
        proc(Path::new("/proc"), true, &origin, view);
    }
    let project = &profile.rootfs.project;
    let Some(folder) = &variables.project else {
        return;
    };
    let writes = match project.value {
        Project::Hide => return,
        Project::Read | Project::Keep | Project::Discard => false,
        Project::Write => true,
    };
    let mapped = profile.enforce.idmap.value != Level::Off;
    let access = Access::READ
        .with(Access::MOUNTS)
        .with(Access::EXECUTE)
        .with_if(writes, Access::WRITE)
        .with_if(mapped, Access::OWNER);
    view.show(Shown {
        host: Some(HostFiles {
            source: folder.clone(),
            access,
            program: None,
            pattern: None,
            of_root: false,
        }),
        origin: project.origin.clone(),
        ..own(folder, "rootfs.project")
    });
}
