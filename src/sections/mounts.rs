//! `[[mounts]]`: what is mounted, one entry a target; and what is mounted by default.

mod copies;
mod create;
mod defaults;
mod exposure;
mod grants;
mod kernel;
mod nesting;
mod overlay;
mod own;
mod owners;
mod relate;
mod several;

pub use copies::Propagation;
pub(super) use copies::hears;
pub use defaults::home;
pub(super) use exposure::in_one_home;
pub use kernel::{Hidepid, Subset};
pub(super) use own::Owner;
pub use own::{Atime, RawOwner, RawWhose};
pub use owners::RawIdmap;

use super::changes::{Aside, Changes, Place};
use super::{Profile, absolute, enforce::Level, host_path, user::Identity};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::tree;
use crate::plan::Draft;
use crate::plan::layout::{Entry, What, tmpfs};
use crate::plan::op::IdmapNeed;
use crate::profile::table::List;
use crate::profile::value::{Mode, Size, Space};
use crate::profile::variables::Variables;
use crate::sys::mount::Attributes;
use std::path::PathBuf;

crate::choice! {
    /// What is mounted.
    pub enum Kind {
        /// A file or a directory of the host, with what is mounted below it.
        Bind = "bind",
        /// An empty file system in memory (tmpfs(5)).
        Tmpfs = "tmpfs",
        /// The processes of the pid namespace (proc(5)), reduced.
        Proc = "proc",
        /// Devices and kernel objects (sysfs(5)), read-only.
        Sysfs = "sysfs",
        /// An own instance of pseudo-terminals.
        Devpts = "devpts",
        /// POSIX message queues (mq_overview(7)).
        Mqueue = "mqueue",
        /// The cgroup tree as the cgroup namespace shows it, read-only.
        Cgroup = "cgroup",
        /// A file with `contents`.
        File = "file",
        /// A symbolic link to `to`.
        Symlink = "symlink",
        /// An empty directory.
        Directory = "directory",
        /// Hides what is there.
        Mask = "mask",
    }
}

crate::table! {
    /// What is mounted, one entry a target.
    ///
    /// ```toml
    /// [[mounts]]
    /// type = "bind"
    /// target = "/data"
    /// source = "${HOME}/datasets"
    /// optional = true
    ///
    /// [[mounts]]
    /// type = "tmpfs"
    /// target = "/var/cache"
    /// size = "512M"
    ///
    /// [[mounts]]
    /// type = "file"
    /// target = "/etc/motd"
    /// contents = "inside\n"
    ///
    /// [[mounts]]
    /// type = "mask"
    /// target = "/usr/share/doc"
    /// ```
    pub struct RawMount as "[[mounts]]" {
        /// What is mounted.
        r#type: Kind; required "bind",
        /// Where, an absolute path inside. `bind`: may be left out where there is a source: the same
        /// path.
        target: String; required "/data" unless source,
        /// `bind`: the path on the host, absolute or relative to the project. Default: the target.
        /// Where `target` is left out or ends in `/`, it may be a pattern, with `*`, `?` and `[…]`
        /// within one component each (glob(7)): whatever it stands for when the run is planned, at
        /// most 1000 paths, appears at the same path, or in the folder `target` under its own name.
        /// Links are left out where the mount or the folder can be written to.
        source: String,
        /// `bind`, `tmpfs`, `file`, `proc`, `sysfs`: whether it is read-only. Default: false for `tmpfs`, else true. Of
        /// `proc` that is what acts on the kernel (`sys`, `fs`, `irq`, `bus`, `sysrq-trigger`). What is written to a
        /// `file` goes with the run.
        read_only: bool,
        /// `bind`: what becomes of changes: `"forbid"` is `read_only = true`, `"write"` is `read_only = false`,
        /// and the other two leave a directory on the host as it is.
        changes: Changes,
        /// `bind` with `changes = "keep"`: the name of the changes. Default: that of the source.
        changes_name: String,
        /// `bind` with `changes = "discard"`: where changes are. Default: `"memory"`.
        changes_on: Place,
        /// Whether setuid bits and file capabilities are ignored. Default: true.
        nosuid: bool,
        /// Whether device files cannot be opened. Default: true.
        nodev: bool,
        /// Whether nothing can be executed. Default: false for `bind` and `tmpfs`.
        noexec: bool,
        /// `bind`, `tmpfs`: whether symbolic links on it are not followed (Linux 5.14). Default: false.
        nosymfollow: bool,
        /// `bind`, `tmpfs`: when the time of the last reading is noted. Default: as on the host; for `tmpfs`
        /// `"relatime"`. Of a bind it can be changed by root, where owners are mapped.
        atime: Atime,
        /// `bind`: whether to leave it out where the source is missing. Default: false.
        optional: bool,
        /// `bind`: whether the source, a directory, is made on the host where it is missing, with
        /// those on the way to it: by the caller's rights, mode 700. Once the command has run, it stays. No
        /// symbolic link is followed to make it in the home, in the project, or where others than
        /// root and the caller can write. Default: false.
        create: bool,
        /// `bind`: whether what is mounted below the source shows too. Where something is, leaving it out
        /// takes the right to unmount it: root with `idmap`, or with the host's user namespace. Default: true.
        recursive: bool,
        /// `bind` of a file: whether the sandbox holds a lock for reading on it while it runs (fcntl(2),
        /// `F_SETLK`), so that others can tell that it is used. Default: false.
        lock: bool,
        /// `bind`: what becomes of what is mounted later. What shows so has the host's options, so that
        /// `"slave"` wants `read_only`, `nosuid` and `nodev` to be false, and `"slave-as-is"` says that they hold for
        /// what is there now alone; its owners are not mapped; the source has to be in a shared mount. Default:
        /// `"private"`.
        propagation: Propagation,
        /// `bind`: whether the owner of the source appears as the command, where root calls.
        /// Default: true; for what is read-only or has devices (`nodev = false`), where its file system can.
        /// Or which owners are who inside: `[{ source = 1000, inside = 0, count = 1 }]`, of users and of groups; other owners
        /// are strangers then, and others than root are refused.
        idmap: RawIdmap,
        /// `proc`: which part of it there is. Default: all, reduced.
        subset: Subset,
        /// `proc`: which processes of its pid namespace show to which others (proc(5)). Where that namespace is not
        /// new, `subset` and `hidepid` take the host's user namespace, and root. Default: `"off"`.
        hidepid: Hidepid,
        /// `tmpfs`, `bind` with `changes = "discard"`: the most it may hold: a size, or a share of the machine's
        /// memory (`"25%"`). Default: 1G.
        size: Space,
        /// `tmpfs`, `bind` with `changes = "discard"`: the most files and directories it may hold. Default: 1048576.
        inodes: u64,
        /// `tmpfs`, `file`, `directory`: the mode. Default: 755, for a file 644.
        mode: Mode,
        /// `tmpfs`, `file`, `directory`: whose it is, by ids inside: `{ uid = 33, gid = 33 }`. Default: `"command"`. The id maps have to hold them. `bind` with `create`: whose the folder is that is made, on the
        /// host too, by the ids that the maps have for them there; what is there already keeps its owner. Default:
        /// the caller's.
        owner: RawWhose,
        /// `file`: what it holds.
        contents: String,
        /// `symlink`: where it points.
        to: String,
    }
}

/// The mounts of a profile.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<At<Mount>>);

#[derive(Clone, Debug)]
struct Mount {
    kind: Kind,
    /// Where; of a pattern, a path that only it has.
    target: At<PathBuf>,
    source: Option<At<PathBuf>>,
    several: Option<several::Several>,
    attributes: Attributes,
    optional: bool,
    create: bool,
    recursive: bool,
    lock: Option<At<bool>>,
    /// What becomes of changes that do not go into the source, and the line that says so.
    aside: Option<At<Aside>>,
    propagation: At<Propagation>,
    subset: Option<At<Subset>>,
    hidepid: Option<At<Hidepid>>,
    idmap: Option<At<bool>>,
    owners: Vec<At<owners::Mapped>>,
    size: At<Space>,
    inodes: At<u64>,
    mode: Option<Mode>,
    owner: Option<own::Owner>,
    /// The line that says when the time of reading is noted.
    atime: Option<Origin>,
    nosuid: Option<At<bool>>,
    contents: String,
    to: PathBuf,
}

/// Which optional keys a kind uses, besides `type` and `target`.
const fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bind => &[
            "source",
            "read_only",
            "changes",
            "changes_name",
            "changes_on",
            "size",
            "inodes",
            "nosuid",
            "nodev",
            "noexec",
            "nosymfollow",
            "atime",
            "optional",
            "create",
            "owner",
            "recursive",
            "lock",
            "propagation",
            "idmap",
        ],
        Kind::Tmpfs => &[
            "read_only",
            "nosuid",
            "nodev",
            "noexec",
            "nosymfollow",
            "atime",
            "size",
            "inodes",
            "mode",
            "owner",
        ],
        Kind::Proc => &["read_only", "subset", "hidepid"],
        Kind::Sysfs => &["read_only"],
        Kind::Devpts | Kind::Mqueue | Kind::Cgroup | Kind::Mask => &[],
        Kind::File => &["contents", "read_only", "mode", "owner"],
        Kind::Symlink => &["to"],
        Kind::Directory => &["mode", "owner"],
    }
}

/// The most that a tmpfs holds unless the profile says otherwise.
pub(super) const DEFAULT_SIZE: Space = Space::Bytes(Size(1 << 30));
/// The most inodes of a tmpfs unless the profile says otherwise.
pub(super) const DEFAULT_INODES: u64 = 1 << 20;

impl Mounts {
    /// Checks every mount.
    pub fn check(
        raw: Option<At<List<RawMount>>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let list = raw.map(|list| list.value.0).unwrap_or_default();
        Self(
            list.into_iter()
                .filter_map(|m| check_one(m, variables, problems))
                .collect(),
        )
    }

    /// The place of the first mount, if there is one.
    #[must_use]
    pub fn first_origin(&self) -> Option<&Origin> {
        self.0.first().map(|mount| &mount.origin)
    }

    /// Adds the defaults and what the profile mounts.
    pub fn entries(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        defaults::defaults(profile, identity, draft);
        let mut placed = several::Placed::new(self);
        for At {
            value: mount,
            origin,
        } in &self.0
        {
            match &mount.several {
                Some(several) => {
                    several.entries(mount, &mut placed, profile, identity, origin, draft);
                }
                None => mount.entries(profile, identity, origin, draft),
            }
        }
    }
}

fn check_one(
    raw: At<RawMount>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<At<Mount>> {
    let At { value: raw, origin } = raw;
    let kind = raw.r#type.as_ref().map(|kind| kind.value);
    let target = raw.target.as_ref().and_then(|target| {
        let path = absolute(target, "target", problems)?;
        Some(At::new(path, target.origin.clone()))
    });
    let source = raw.source.as_ref().and_then(|source| {
        let path = host_path(source, variables, problems)?;
        Some(At::new(path, source.origin.clone()))
    });
    let place = several::check(&raw, target, &source, variables, problems);
    let kind = kind?;
    let given = [
        ("source", raw.source.as_ref().map(|at| &at.origin)),
        ("read_only", raw.read_only.as_ref().map(|at| &at.origin)),
        ("changes", raw.changes.as_ref().map(|at| &at.origin)),
        (
            "changes_name",
            raw.changes_name.as_ref().map(|at| &at.origin),
        ),
        ("changes_on", raw.changes_on.as_ref().map(|at| &at.origin)),
        ("nosuid", raw.nosuid.as_ref().map(|at| &at.origin)),
        ("nodev", raw.nodev.as_ref().map(|at| &at.origin)),
        ("noexec", raw.noexec.as_ref().map(|at| &at.origin)),
        ("nosymfollow", raw.nosymfollow.as_ref().map(|at| &at.origin)),
        ("atime", raw.atime.as_ref().map(|at| &at.origin)),
        ("owner", raw.owner.as_ref().map(|at| &at.origin)),
        ("optional", raw.optional.as_ref().map(|at| &at.origin)),
        ("create", raw.create.as_ref().map(|at| &at.origin)),
        ("recursive", raw.recursive.as_ref().map(|at| &at.origin)),
        ("lock", raw.lock.as_ref().map(|at| &at.origin)),
        ("propagation", raw.propagation.as_ref().map(|at| &at.origin)),
        ("subset", raw.subset.as_ref().map(|at| &at.origin)),
        ("hidepid", raw.hidepid.as_ref().map(|at| &at.origin)),
        ("idmap", raw.idmap.as_ref().map(|at| &at.origin)),
        ("size", raw.size.as_ref().map(|at| &at.origin)),
        ("inodes", raw.inodes.as_ref().map(|at| &at.origin)),
        ("mode", raw.mode.as_ref().map(|at| &at.origin)),
        ("contents", raw.contents.as_ref().map(|at| &at.origin)),
        ("to", raw.to.as_ref().map(|at| &at.origin)),
    ];
    for (key, place) in given {
        if let Some(place) = place.filter(|_| !keys_of(kind).contains(&key)) {
            let keys = keys_of(kind);
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    place,
                    format!("`{key}` means nothing for the type \"{}\"", kind.word()),
                )
                .and(&origin, "of this mount")
                .help(if keys.is_empty() {
                    format!("\"{}\" takes no more than `type` and `target`", kind.word())
                } else {
                    format!("\"{}\" takes: {}", kind.word(), keys.join(", "))
                }),
            );
        }
    }
    if let (Some(optional), Some(create)) = (&raw.optional, &raw.create)
        && kind == Kind::Bind
        && optional.value
        && create.value
    {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                &optional.origin,
                "what is made where it is missing is always there",
            )
            .and(&create.origin, "made here")
            .help("remove one of the two lines"),
        );
    }
    let makes = raw.create.as_ref().is_some_and(|create| create.value);
    if let Some(owner) = raw.owner.as_ref().filter(|_| kind == Kind::Bind && !makes) {
        problems.push(
            Diagnostic::new(
                Code::Needs,
                &owner.origin,
                "what is there keeps its owner: only a folder that is made can be given away",
            )
            .help("write `create = true`; who appears as the owner inside is for `idmap` to say"),
        );
    }
    copies::check(&raw, &origin, problems);
    let aside = (kind == Kind::Bind)
        .then(|| overlay::check(&raw, &origin, problems))
        .flatten();
    if kind == Kind::Symlink && raw.to.is_none() {
        problems.push(
            Diagnostic::new(Code::MissingKey, &origin, "a symbolic link needs `to`")
                .help("for example: to = \"/usr/bin/python3\""),
        );
    }
    if let Some(inodes) = raw.inodes.as_ref().filter(|inodes| inodes.value == 0) {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &inodes.origin,
                "a file system without inodes",
            )
            .help("1 is the root directory alone; for example: inodes = 10000"),
        );
    }
    if let Some(size) = raw.size.as_ref().filter(|size| size.value.is_zero()) {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &size.origin,
                "0 would mean a tmpfs without a bound",
            )
            .help("for example: size = \"64M\""),
        );
    }
    let flag = |value: &Option<At<bool>>, default| value.as_ref().map_or(default, |at| at.value);
    let read_only = match kind {
        Kind::Bind => is_forbidden(&raw),
        Kind::Tmpfs => false,
        _ => true,
    };
    let attributes = own::attributes(&raw)
        .with_if(flag(&raw.read_only, read_only), Attributes::READ_ONLY)
        .with_if(flag(&raw.nosuid, true), Attributes::NOSUID)
        .with_if(flag(&raw.nodev, true), Attributes::NODEV)
        .with_if(flag(&raw.noexec, false), Attributes::NOEXEC);
    let (idmap, owners) = owners::check(raw.idmap, problems);
    let (several, target) = place?;
    let mount = Mount {
        kind,
        source,
        several,
        attributes,
        optional: flag(&raw.optional, false),
        create: flag(&raw.create, false),
        recursive: flag(&raw.recursive, true),
        lock: raw.lock.filter(|lock| lock.value),
        aside,
        propagation: raw
            .propagation
            .unwrap_or_else(|| At::default_of("mounts.propagation", Propagation::Private)),
        subset: raw.subset,
        hidepid: raw.hidepid,
        idmap,
        owners,
        size: raw
            .size
            .unwrap_or_else(|| At::default_of("mounts.size", DEFAULT_SIZE)),
        inodes: raw
            .inodes
            .unwrap_or_else(|| At::default_of("mounts.inodes", DEFAULT_INODES)),
        mode: raw.mode.map(|at| at.value),
        owner: own::Owner::of(raw.owner, problems),
        atime: raw.atime.map(|at| at.origin),
        contents: raw.contents.map(|at| at.value).unwrap_or_default(),
        to: raw.to.map(|at| at.value.into()).unwrap_or_default(),
        nosuid: raw.nosuid,
        target,
    };
    Some(At::new(mount, origin))
}

/// Whether a bind is read-only, where `read_only` does not say.
fn is_forbidden(raw: &RawMount) -> bool {
    let changes = raw.changes.as_ref().map(|at| at.value);
    changes.is_none_or(|changes| changes == Changes::Forbid)
}

impl Mount {
    /// `bind`: the path on the host.
    fn shown(&self) -> &At<PathBuf> {
        self.source.as_ref().unwrap_or(&self.target)
    }

    /// Whether nothing of the source changes.
    fn is_read_only(&self) -> bool {
        self.attributes.contains(Attributes::READ_ONLY) || self.aside.is_some()
    }

    fn entries(
        &self,
        profile: &Profile,
        identity: &Identity,
        origin: &Origin,
        draft: &mut Draft<'_>,
    ) {
        let mut dress = |default| self.dress(default, profile, identity, draft);
        let writable = own::is_writable(self.kind, self.attributes);
        let what = match self.kind {
            Kind::Bind => {
                return bind(
                    self.shown().value.clone(),
                    self,
                    profile,
                    identity,
                    origin,
                    draft,
                );
            }
            Kind::Tmpfs => {
                let dress = dress(0o755);
                let mode = Mode(dress.mode).to_string();
                own::owned(
                    sized(self.size.value, self.inodes.value, &mode, false),
                    dress,
                )
            }
            Kind::Proc => {
                let options = kernel::options(self);
                return kernel::proc(
                    &self.target.value,
                    &options,
                    writable,
                    profile,
                    identity,
                    origin,
                    draft,
                );
            }
            Kind::Sysfs => kernel::pseudo("sysfs", &[]),
            Kind::Devpts => profile.devices.terminals(),
            Kind::Mqueue => kernel::pseudo("mqueue", &[]),
            Kind::Cgroup => return kernel::cgroup(&self.target.value, origin, draft),
            Kind::File => What::File(self.contents.clone().into_bytes(), dress(0o644)),
            Kind::Symlink => What::Symlink(self.to.clone()),
            Kind::Directory => What::Directory(dress(0o755)),
            Kind::Mask => What::Mask,
        };
        let inert = Attributes::INERT;
        let attributes = match self.kind {
            Kind::Tmpfs => self.attributes,
            Kind::Sysfs => inert.with_if(!writable, Attributes::READ_ONLY),
            Kind::File => Attributes::NOSUID
                .with(Attributes::NODEV)
                .with_if(!writable, Attributes::READ_ONLY),
            // A pty is a device.
            Kind::Devpts => Attributes::NOSUID.with(Attributes::NOEXEC),
            _ => inert,
        };
        let target = self.target.value.clone();
        draft.entries.push(Entry {
            target,
            what,
            attributes,
            optional: false,
            origin: origin.clone(),
        });
    }
}

fn bind(
    source: PathBuf,
    mount: &Mount,
    profile: &Profile,
    identity: &Identity,
    origin: &Origin,
    draft: &mut Draft<'_>,
) {
    match create::trusted(&source, mount, profile, draft) {
        Ok(trusted) => {
            let made = trusted.is_some();
            show(
                source, trusted, made, mount, profile, identity, origin, draft,
            );
        }
        Err(problem) => draft.problem(problem),
    }
}

/// Binds a source; no link is followed below `trusted`, and it is `made` there where it is missing.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one fact about the mount"
)]
fn show(
    source: PathBuf,
    trusted: Option<PathBuf>,
    made: bool,
    mount: &Mount,
    profile: &Profile,
    identity: &Identity,
    origin: &Origin,
    draft: &mut Draft<'_>,
) {
    let read_only = mount.attributes.contains(Attributes::READ_ONLY);
    let devices = !mount.attributes.contains(Attributes::NODEV);
    let wanted = mount.idmap.as_ref().map(|at| at.value);
    let need = match (profile.enforce.idmap.value, wanted) {
        (Level::Off, _) | (_, Some(false)) => None,
        // What is mounted later has no map either.
        _ if mount.receives() => None,
        (Level::Prefer, _) => Some(IdmapNeed::Preferred),
        // Nor can devtmpfs, where a bind of devices mostly is.
        (Level::Require, None) if read_only || devices => Some(IdmapNeed::Optional),
        (Level::Require, _) => Some(IdmapNeed::Required),
    };
    let given = match &mount.owner {
        Some(owner) if made => match create::given(owner, profile, identity, draft) {
            None => return,
            given => given,
        },
        _ => None,
    };
    let by_owner = |need| {
        let caller = &draft.host.caller;
        if made {
            let (uid, gid) = given.unwrap_or((caller.uid, caller.gid));
            return identity.owner_map(uid, gid, need);
        }
        let owner = draft.host.tree.target(&source);
        identity.owner_map(owner.uid, owner.gid, need)
    };
    let idmap = if mount.owners.is_empty() {
        need.and_then(by_owner)
    } else {
        match owners::map(mount, identity, draft) {
            None => return,
            map => map,
        }
    };
    if !copies::can_be_had(&source, mount, idmap.as_ref(), profile, origin, draft)
        || !own::can_be_had(&source, mount, idmap.as_ref(), profile, draft)
    {
        return;
    }
    if let Some(lock) = &mount.lock
        && draft.host.tree.target(&source).kind == tree::Kind::Directory
    {
        let text = format!(
            "{} is a directory, which has no such lock",
            source.display()
        );
        let help = "lock a file in it, by a mount of its own";
        return draft.problem(Diagnostic::new(Code::NotHere, &lock.origin, text).help(help));
    }
    let changes = match &mount.aside {
        None => None,
        Some(aside) => {
            let changes = overlay::of(
                aside,
                &source,
                idmap.as_ref(),
                mount,
                profile,
                identity,
                draft,
            );
            if changes.is_none() {
                return;
            }
            changes
        }
    };
    draft.entries.push(Entry {
        target: mount.target.value.clone(),
        what: What::Bind {
            changes,
            source,
            idmap,
            trusted,
            made,
            given,
            depth: mount.depth(),
            receives: mount.receives(),
            locked: mount.lock.is_some(),
        },
        attributes: mount.attributes,
        optional: mount.optional,
        origin: origin.clone(),
    });
}

pub(super) fn sized(size: Space, inodes: u64, mode: &str, sealed: bool) -> What {
    match tmpfs(&size.option(), mode, sealed) {
        What::Filesystem {
            kind,
            mut options,
            sealed,
        } => {
            options.push(("nr_inodes".into(), Some(inodes.to_string())));
            What::Filesystem {
                kind,
                options,
                sealed,
            }
        }
        other => other,
    }
}
