//! `[[mounts]]`: what is mounted, one entry a target; and what is mounted by default.

mod defaults;
mod grants;
mod kernel;

pub use defaults::home;

use super::{Profile, absolute, enforce::Level, host_path, user::Identity};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::{Entry, What, tmpfs};
use crate::plan::op::IdmapNeed;
use crate::profile::table::List;
use crate::profile::value::{Mode, Size};
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
    /// One mount.
    pub struct RawMount as "[[mounts]]" {
        /// What is mounted.
        r#type: Kind,
        /// Where, an absolute path inside.
        target: String,
        /// `bind`: the path on the host, absolute or relative to the project. Default: the target.
        source: String,
        /// `bind`, `tmpfs`: whether it is read-only. Default: true for `bind`, false for `tmpfs`.
        read_only: bool,
        /// Whether setuid bits and file capabilities are ignored. Default: true.
        nosuid: bool,
        /// Whether device files cannot be opened. Default: true.
        nodev: bool,
        /// Whether nothing can be executed. Default: false for `bind` and `tmpfs`.
        noexec: bool,
        /// `bind`: whether to leave it out where the source is missing. Default: false.
        optional: bool,
        /// `bind`: whether the owner of the source appears as the command, where root calls.
        /// Default: true; for what is read-only, where its file system can.
        idmap: bool,
        /// `tmpfs`: the most it may hold. Default: 1G.
        size: Size,
        /// `tmpfs`: the most files and directories it may hold. Default: 1048576.
        inodes: u64,
        /// `tmpfs`, `file`, `directory`: the mode. Default: 755, for a file 644.
        mode: Mode,
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
    target: PathBuf,
    source: Option<PathBuf>,
    attributes: Attributes,
    optional: bool,
    idmap: Option<bool>,
    size: Size,
    inodes: u64,
    mode: Option<Mode>,
    contents: String,
    to: PathBuf,
}

/// Which optional keys a kind uses, besides `type` and `target`.
const fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bind => &[
            "source",
            "read_only",
            "nosuid",
            "nodev",
            "noexec",
            "optional",
            "idmap",
        ],
        Kind::Tmpfs => &[
            "read_only",
            "nosuid",
            "nodev",
            "noexec",
            "size",
            "inodes",
            "mode",
        ],
        Kind::Proc | Kind::Sysfs | Kind::Devpts | Kind::Mqueue | Kind::Cgroup | Kind::Mask => &[],
        Kind::File => &["contents", "mode"],
        Kind::Symlink => &["to"],
        Kind::Directory => &["mode"],
    }
}

/// The most that a tmpfs holds unless the profile says otherwise.
const DEFAULT_SIZE: Size = Size(1 << 30);
/// The most inodes of a tmpfs unless the profile says otherwise.
const DEFAULT_INODES: u64 = 1 << 20;

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
        for At {
            value: mount,
            origin,
        } in &self.0
        {
            mount.entries(profile, identity, origin, draft);
        }
    }
}

fn check_one(
    raw: At<RawMount>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<At<Mount>> {
    let At { value: raw, origin } = raw;
    let missing = |key: &str, sample: &str| {
        Diagnostic::new(
            Code::MissingKey,
            &origin,
            format!("a mount without `{key}`"),
        )
        .help(format!("for example: {sample}"))
    };
    let kind = raw.r#type.as_ref().map(|kind| kind.value);
    if kind.is_none() {
        problems.push(missing("type", "type = \"bind\""));
    }
    let target = match &raw.target {
        Some(target) => absolute(target, "target", problems),
        None => {
            problems.push(missing("target", "target = \"/data\""));
            None
        }
    };
    let source = raw
        .source
        .as_ref()
        .and_then(|source| host_path(source, variables, problems));
    let kind = kind?;
    let given = [
        ("source", raw.source.as_ref().map(|at| &at.origin)),
        ("read_only", raw.read_only.as_ref().map(|at| &at.origin)),
        ("nosuid", raw.nosuid.as_ref().map(|at| &at.origin)),
        ("nodev", raw.nodev.as_ref().map(|at| &at.origin)),
        ("noexec", raw.noexec.as_ref().map(|at| &at.origin)),
        ("optional", raw.optional.as_ref().map(|at| &at.origin)),
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
    if kind == Kind::Symlink && raw.to.is_none() {
        problems.push(missing("to", "to = \"/usr/bin/python3\""));
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
    if let Some(size) = raw.size.as_ref().filter(|size| size.value.0 == 0) {
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
    let attributes = Attributes::NONE
        .with_if(
            flag(&raw.read_only, kind == Kind::Bind),
            Attributes::READ_ONLY,
        )
        .with_if(flag(&raw.nosuid, true), Attributes::NOSUID)
        .with_if(flag(&raw.nodev, true), Attributes::NODEV)
        .with_if(flag(&raw.noexec, false), Attributes::NOEXEC);
    let mount = Mount {
        kind,
        source,
        attributes,
        optional: flag(&raw.optional, false),
        idmap: raw.idmap.map(|at| at.value),
        size: raw.size.map_or(DEFAULT_SIZE, |at| at.value),
        inodes: raw.inodes.map_or(DEFAULT_INODES, |at| at.value),
        mode: raw.mode.map(|at| at.value),
        contents: raw.contents.map(|at| at.value).unwrap_or_default(),
        to: raw.to.map(|at| at.value.into()).unwrap_or_default(),
        target: target?,
    };
    Some(At::new(mount, origin))
}

impl Mount {
    fn entries(
        &self,
        profile: &Profile,
        identity: &Identity,
        origin: &Origin,
        draft: &mut Draft<'_>,
    ) {
        let mode = |default: u32| self.mode.unwrap_or(Mode(default));
        let what = match self.kind {
            Kind::Bind => {
                let source = self.source.as_ref().unwrap_or(&self.target).clone();
                return bind(source, self, profile, identity, origin, draft);
            }
            Kind::Tmpfs => sized(self.size, self.inodes, &mode(0o755).to_string(), false),
            Kind::Proc => return kernel::proc(&self.target, profile, identity, origin, draft),
            Kind::Sysfs => kernel::pseudo("sysfs", &[]),
            Kind::Devpts => kernel::pseudo("devpts", super::devices::PTS_OPTIONS),
            Kind::Mqueue => kernel::pseudo("mqueue", &[]),
            Kind::Cgroup => return kernel::cgroup(&self.target, origin, draft),
            Kind::File => What::File(self.contents.clone().into_bytes(), mode(0o644).0),
            Kind::Symlink => What::Symlink(self.to.clone()),
            Kind::Directory => What::Directory(mode(0o755).0),
            Kind::Mask => What::Mask,
        };
        let inert = Attributes::INERT;
        let attributes = match self.kind {
            Kind::Tmpfs => self.attributes,
            Kind::Sysfs => inert.with(Attributes::READ_ONLY),
            Kind::File => Attributes::READ_ONLY
                .with(Attributes::NOSUID)
                .with(Attributes::NODEV),
            // A pty is a device.
            Kind::Devpts => Attributes::NOSUID.with(Attributes::NOEXEC),
            _ => inert,
        };
        let target = self.target.clone();
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
    let read_only = mount.attributes.contains(Attributes::READ_ONLY);
    let need = match (profile.enforce.idmap.value, mount.idmap) {
        (Level::Off, _) | (_, Some(false)) => None,
        (Level::Prefer, _) => Some(IdmapNeed::Preferred),
        (Level::Require, None) if read_only => Some(IdmapNeed::Optional),
        (Level::Require, _) => Some(IdmapNeed::Required),
    };
    let idmap = need.and_then(|need| {
        let owner = draft.host.tree.target(&source);
        identity.owner_map(owner.uid, owner.gid, need)
    });
    draft.entries.push(Entry {
        target: mount.target.clone(),
        what: What::Bind { source, idmap },
        attributes: mount.attributes,
        optional: mount.optional,
        origin: origin.clone(),
    });
}

fn sized(size: Size, inodes: u64, mode: &str, sealed: bool) -> What {
    match tmpfs(&size.0.to_string(), mode, sealed) {
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
