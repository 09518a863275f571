//! `[namespaces]`: which namespaces are new, shared with the caller, or joined from a path
//! (namespaces(7)).

mod nested;
mod offsets;
mod other;
mod sysctls;

pub use offsets::{Offset, RawOffsets};

use self::other::Other;
use super::{Profile, enforce::Level, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::probe::Mechanism;
use crate::host::runs::is_name;
use crate::plan::draft::c_string;
use crate::plan::op::{NamespaceKind, Op};
use crate::plan::{Draft, Phase};
use crate::profile::node::Node;
use crate::profile::shape::{Kind, Word};
use crate::profile::table::Map;
use crate::profile::table::{Value, read_string};
use crate::review::tree::{Access, Tree};
use crate::review::{Area, Extent, Grant};
use crate::sections::network::Mode as NetworkMode;
use crate::sections::user::Identity;
use std::path::PathBuf;

crate::table! {
    /// Which namespaces are new, shared with the caller, or joined from a path.
    ///
    /// ```toml
    /// [namespaces]
    /// net = "/run/netns/lab"
    /// time = "shared"
    /// sysctls = { "user.max_net_namespaces" = "0" }
    /// ```
    pub struct RawNamespaces as "[namespaces]" {
        /// User and group ids, capabilities (user_namespaces(7)).
        user: Choice = "new",
        /// Mounts (mount_namespaces(7)). Shared or joined, no root is built.
        mount: Choice = "new",
        /// Process ids (pid_namespaces(7)). Shared or joined, /proc is mounted only on request: it
        /// would show processes of the host, and through them the host's files.
        pid: Choice = "new",
        /// System V IPC and POSIX message queues (ipc_namespaces(7)).
        ipc: Choice = "new",
        /// Host and domain name (uts_namespaces(7)).
        uts: Choice = "new",
        /// Network devices, addresses, ports, abstract sockets (network_namespaces(7)). Also `"name:NAME"`: that of the
        /// caller's sandbox that runs under this name.
        net: Choice = "new",
        /// The view of the cgroup tree (cgroup_namespaces(7)).
        cgroup: Choice = "new",
        /// Boot-time and monotonic clocks (time_namespaces(7)).
        time: Choice = "new",
        /// Whether the command may make user namespaces of its own, for programs that sandbox what they
        /// run: browsers, builds such as those of Bazel and Nix. It permits the calls that this takes
        /// (clone, unshare, setns, those of mounts), lifts the limit on user namespaces, and opens
        /// much of the kernel's code.
        nested_user: bool = false,
        /// What the clocks of a new time namespace show.
        time_offsets: RawOffsets,
        /// Settings of the kernel (sysctl(8)) that belong to a new namespace: `net.*`, `user.*`, `fs.mqueue.*`,
        /// `kernel.shm*`, `kernel.msg*` and `kernel.sem`. Each is read back. Default: what the kernel gives a new
        /// namespace.
        sysctls: Map<String>,
    }
}

/// What becomes of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A new one.
    New,
    /// The caller's.
    Shared,
    /// The one under this path.
    Join(PathBuf),
    /// That of the caller's sandbox that runs under this name.
    Sandbox(String),
}

/// What stands before the name of a sandbox.
pub const NAMED: &str = "name:";

impl Choice {
    /// Whether it is new.
    #[must_use]
    pub fn is_new(&self) -> bool {
        *self == Self::New
    }
}

impl Value for Choice {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[
            Word {
                word: "new",
                doc: &["A new one."],
            },
            Word {
                word: "shared",
                doc: &["The caller's."],
            },
        ]),
        Kind::Text {
            what: "the path of a namespace to join, or name:NAME of a sandbox that runs",
            form: "^(/|name:)",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        match text.as_str() {
            "new" => Some(Self::New),
            "shared" => Some(Self::Shared),
            path if path.starts_with('/') => Some(Self::Join(path.into())),
            text if text.strip_prefix(NAMED).is_some_and(is_name) => text
                .strip_prefix(NAMED)
                .map(|name| Self::Sandbox(name.into())),
            other => {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &origin,
                        format!("`{other}` is no choice for a namespace"),
                    )
                    .help("\"new\", \"shared\", an absolute path such as \"/proc/42/ns/net\", or for `net` \"name:NAME\", of a sandbox that runs"),
                );
                None
            }
        }
    }
}

/// The choices.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "documented at RawNamespaces")]
pub struct Namespaces {
    pub user: At<Choice>,
    pub mount: At<Choice>,
    pub pid: At<Choice>,
    pub ipc: At<Choice>,
    pub uts: At<Choice>,
    pub net: At<Choice>,
    pub cgroup: At<Choice>,
    pub time: At<Choice>,
    pub nested_user: At<bool>,
    offsets: offsets::Offsets,
    sysctls: sysctls::Sysctls,
    /// The sandbox whose network is joined, once this machine was looked at.
    other: Option<Other>,
}

const USER: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWUSER,
    name: "user",
};
const MOUNT: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWNS,
    name: "mnt",
};
const PID: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWPID,
    name: "pid",
};
const IPC: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWIPC,
    name: "ipc",
};
const UTS: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWUTS,
    name: "uts",
};
const NET: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWNET,
    name: "net",
};
const CGROUP: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWCGROUP,
    name: "cgroup",
};
const TIME: NamespaceKind = NamespaceKind {
    flag: libc::CLONE_NEWTIME,
    name: "time",
};

/// Every kind, in the order in which they are entered: the user namespace first, which gives the rights
/// over the others.
pub const KINDS: [NamespaceKind; 8] = [USER, MOUNT, PID, IPC, UTS, NET, CGROUP, TIME];

impl Namespaces {
    /// Fills in the defaults.
    #[must_use]
    pub fn check(raw: Option<At<RawNamespaces>>) -> Self {
        let (raw, _) = split(raw, "namespaces");
        Self {
            user: raw.user,
            mount: raw.mount,
            pid: raw.pid,
            ipc: raw.ipc,
            uts: raw.uts,
            net: raw.net,
            cgroup: raw.cgroup,
            time: raw.time,
            nested_user: raw.nested_user,
            offsets: offsets::Offsets::check(raw.time_offsets),
            sysctls: sysctls::Sysctls::check(raw.sysctls),
            other: None,
        }
    }

    /// Whether a root is built: only in a mount namespace of the sandbox's own.
    #[must_use]
    pub fn builds_root(&self) -> bool {
        self.mount.value.is_new()
    }

    /// Whether the network namespace is new, as `[network]` and `[namespaces]` say together.
    #[must_use]
    pub fn has_own_network(&self, mode: NetworkMode) -> bool {
        self.net.value.is_new() && mode != NetworkMode::Host
    }

    /// What builds a root needs a mount namespace; without one nothing may be asked of it.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        self.offsets.relate(profile, problems);
        self.only_the_network(problems);
        self.sysctls.relate(profile, problems);
        if self.builds_root() {
            return;
        }
        let explicit = [
            profile.mounts.first_origin(),
            profile.rootfs.explicit_origin(),
            profile.devices.explicit_origin(),
        ];
        for origin in explicit.into_iter().flatten() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    origin,
                    "this needs a new mount namespace: without one no root is built",
                )
                .and(&self.mount.origin, "not new here")
                .help("write `mount = \"new\"` under [namespaces], or remove this"),
            );
        }
    }

    /// Which namespaces are not new. What clocks show permits nothing. That of the network is told by `[network]`.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            user,
            mount,
            pid,
            ipc,
            uts,
            net: _,
            cgroup,
            time,
            nested_user,
            offsets: _,
            sysctls,
            other: _,
        } = self;
        let mut grants = sysctls.grants();
        let (rank, words, nested) = match nested_user.value {
            false => (0, "make no user namespaces of its own", 0),
            true => (1, "make user namespaces of its own", 1_500),
        };
        let key = "namespace:nested user".to_owned();
        let at = &nested_user.origin;
        let grant = Grant::new(Area::Namespaces, key, Extent::Rank(rank), words, at);
        grants.push(grant.share(nested));
        for (choice, name, what, share) in [
            (
                user,
                "user",
                "keep the caller's ids and capabilities",
                4_000,
            ),
            (
                mount,
                "mount",
                "see the caller's mounts, and all files",
                3_000,
            ),
            (pid, "pid", "see and signal the caller's processes", 2_500),
            (ipc, "ipc", "use the host's shared memory and queues", 1_000),
            (uts, "uts", "see the host's name", 200),
            (cgroup, "cgroup", "see the host's cgroups", 500),
            (time, "time", "see the host's boot time", 100),
        ] {
            let key = format!("namespace:{name}");
            let (extent, words, share) = match &choice.value {
                Choice::New => {
                    let words = format!("use a new {name} namespace only");
                    (Extent::Rank(0), words, 0)
                }
                Choice::Shared => (Extent::Rank(1), what.to_owned(), share),
                Choice::Join(path) => {
                    let path = path.display().to_string();
                    let words = format!("join the {name} namespace {path}");
                    (Extent::Same(path), words, share)
                }
                // Refused, but for that of the network.
                Choice::Sandbox(other) => {
                    let words = format!("join the {name} namespace of the sandbox {other}");
                    (Extent::Same(format!("{NAMED}{other}")), words, share)
                }
            };
            let grant = Grant::new(Area::Namespaces, key, extent, words, &choice.origin);
            grants.push(grant.share(share));
        }
        // The files of a namespace that is joined are not known: they come with its own grant.
        if mount.value == Choice::Shared {
            let all = Tree {
                source: "/".into(),
                access: Access::ALL,
                holes: Vec::new(),
                program: None,
                pattern: None,
                of_root: false,
            };
            let extent = Extent::Trees(vec![all]);
            let words = "read, write and execute all files, setuid programs, devices";
            let key = "filesystem:/";
            grants.push(
                Grant::new(Area::Filesystem, key, extent, words, &mount.origin).share(10_000),
            );
        }
        grants
    }

    fn all_mut(&mut self) -> [(&mut At<Choice>, NamespaceKind); 8] {
        [
            (&mut self.user, USER),
            (&mut self.mount, MOUNT),
            (&mut self.pid, PID),
            (&mut self.ipc, IPC),
            (&mut self.uts, UTS),
            (&mut self.net, NET),
            (&mut self.cgroup, CGROUP),
            (&mut self.time, TIME),
        ]
    }

    fn all(&self) -> [(&At<Choice>, NamespaceKind); 8] {
        [
            (&self.user, USER),
            (&self.mount, MOUNT),
            (&self.pid, PID),
            (&self.ipc, IPC),
            (&self.uts, UTS),
            (&self.net, NET),
            (&self.cgroup, CGROUP),
            (&self.time, TIME),
        ]
    }

    /// The choices with what this machine lacks: refused, or shared where `[enforce]` permits. To be
    /// settled before any step is made, so that nothing that was meant for a namespace of the
    /// sandbox's own (its root, its host name) is done to the host's.
    #[must_use]
    pub fn on_this_machine(&self, profile: &Profile, draft: &mut Draft<'_>) -> Self {
        let own_network = self.has_own_network(profile.network.mode.value);
        let mut here = self.clone();
        here.other = self.find_other(draft);
        for (choice, kind) in here.all_mut() {
            let wanted = choice.value.is_new() && (kind != NET || own_network);
            if !wanted || draft.host.has_namespace(kind.name) {
                continue;
            }
            draft.wants(Mechanism::of_namespace(kind.name));
            let text = format!("this kernel has no {} namespaces", kind.name);
            // Without a mount namespace no root could be built, and little would be left to enforce.
            if profile.enforce.namespaces.value == Level::Prefer && kind != MOUNT {
                draft.weaker(&choice.origin, format!("{text}: shared with the host"));
                choice.value = Choice::Shared;
                continue;
            }
            draft.refuse(
                &choice.origin,
                text,
                format!(
                    "share it (`{} = \"shared\"` under [namespaces]), or set `namespaces = \"prefer\"` under [enforce]",
                    if kind == MOUNT { "mount" } else { kind.name }
                ),
            );
        }
        here
    }

    /// Joins, clones, and unshares the cgroup namespace.
    pub fn steps(&self, identity: &Identity, profile: &Profile, draft: &mut Draft<'_>) {
        let mut new = Vec::new();
        let mut inner = Vec::new();
        let apart = self.keeps_mounts_apart(profile);
        self.join_other(profile, draft);
        for (choice, kind) in self.all() {
            match &choice.value {
                Choice::Shared => {}
                Choice::Join(path) => {
                    let op = Op::JoinNamespace {
                        kind,
                        path: c_string(path),
                    };
                    draft.step(Phase::Join, op, &choice.origin);
                }
                // The network, which `other` joins.
                Choice::Sandbox(_) => {}
                Choice::New if kind == USER && self.is_in_others_ids() => {}
                Choice::New if kind == NET && !self.has_own_network(profile.network.mode.value) => {
                }
                Choice::New if kind == CGROUP => {
                    draft.step(
                        Phase::GroupNamespace,
                        Op::UnshareCgroupNamespace,
                        &choice.origin,
                    );
                }
                Choice::New if kind == TIME && self.offsets.origin().is_some() => {
                    self.offsets.steps(&choice.origin, draft);
                }
                // It is connected from outside before init goes on, and the inner namespaces are made after that: the
                // command has no power over it.
                Choice::New if kind == NET && profile.network.is_connected() => new.push(kind),
                // What the command is to have power over belongs to its own user namespace.
                Choice::New if apart && [IPC, UTS, NET].contains(&kind) => inner.push(kind),
                Choice::New => new.push(kind),
            }
        }
        // Neither could a plain user reduce the bounding set, which takes CAP_SETPCAP.
        if self.user.value == Choice::Shared && !draft.host.caller.has_rights() {
            draft.refuse(
                &self.user.origin,
                "without a new user namespace, only root can make other namespaces and reduce capabilities",
                "write `user = \"new\"`, or run as root",
            );
        }
        draft.watch.new_pid_namespace = new.contains(&PID);
        let into_group = draft.into_group;
        draft.step(
            Phase::Clone,
            Op::CloneInit {
                namespaces: new,
                into_group,
            },
            &self.user.origin,
        );
        if apart {
            nested::keep_apart(inner, identity, profile, draft);
        }
        self.forbid_nested(profile, draft);
        draft.step(Phase::Release, Op::Release, &self.user.origin);
        draft.step(
            Phase::Tether,
            Op::DieWithSupervisor,
            profile.process.init_origin(),
        );
        draft.step(Phase::AwaitRelease, Op::AwaitRelease, &self.user.origin);
        if self.builds_root() {
            let origin = &self.mount.origin;
            draft.step(Phase::Propagation, Op::MakePrivate, origin);
            draft.step(Phase::Pivot, Op::PivotRoot, origin);
            draft.step(Phase::DetachOldRoot, Op::DetachOldRoot, origin);
        }
    }
}
