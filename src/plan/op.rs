//! The primitive operations, each in the form in which the kernel takes it.

pub mod bus;
mod device;
pub mod filter;
pub mod gate;
pub mod label;
pub mod landlock;
mod limit;
pub mod network;

use super::attempt::Attempt;
use super::egress::{Network, Rules};
pub use crate::host::caller::IdRange;
use crate::host::cgroup::{Groups, Names, Place, Scope};
use crate::host::images::{Entry, Unpacking};
use crate::host::runs::Held;
use crate::sys::identity::CapabilitySets;
use crate::sys::mount::{Attributes, Depth};
use crate::sys::process::StringArray;
use crate::sys::terminal::{Settings, Size};
pub use device::{DeviceRule, NewNode, merged};
pub use limit::{Limit, Over, REALTIME_PERIOD_US, Rates, USUAL_PERIOD_US};
use std::ffi::CString;
use std::net::IpAddr;
use std::path::PathBuf;

/// The number of a descriptor that one step opens and another one uses.
pub type Slot = usize;

/// The number of a standard stream: 0, 1 or 2.
pub type Stream = i32;

/// The most networks of [`Op::LimitPeers`]: each packet goes through them.
pub const MOST_PEERS: usize = 64;

/// How many words hold a bit for each memory node that there can be (`MAX_NUMNODES`, at most 1024).
pub const MEMORY_NODES: usize = 16;

/// To whom a terminal belongs, by ids inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TerminalOwner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// The mode of something that the sandbox makes, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dress {
    /// The mode.
    pub mode: u32,
    /// The user and the group, by ids inside; without them, who makes it: the command.
    pub owner: Option<(u32, u32)>,
}

impl From<u32> for Dress {
    fn from(mode: u32) -> Self {
        Self { mode, owner: None }
    }
}

/// A path of the host, split where trust ends: up to `trusted` it is resolved as usual, `beneath`
/// it no symbolic link is followed, because a command that was granted the tree may have planted
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    /// The path, or its part that nobody but the caller could have changed.
    pub trusted: CString,
    /// The rest, relative, without a leading slash.
    pub beneath: Option<CString>,
}

/// Where a secret comes from; never what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file of the host.
    File(PathBuf),
    /// A variable of the caller's environment.
    Variable(String),
}

/// The same, as it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// A file of the host.
    File(HostPath),
    /// A variable of the caller's environment.
    Variable(String),
}

/// A path in the new root, relative, without a leading slash; empty for the root itself.
pub type Target = CString;

/// A name to be made below a directory of the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewName {
    /// The directory.
    pub parent: Target,
    /// The name in it.
    pub name: CString,
}

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

/// What happens where a file system cannot map owners. Without the map the command sees the owners
/// as strangers: it may do less, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdmapNeed {
    /// The run is refused.
    Required,
    /// The run goes on, and says so.
    Preferred,
    /// The run goes on: what is only read hardly needs it.
    Optional,
}

/// Who writes an id map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapWriter {
    /// The supervisor, into `/proc/PID/uid_map`.
    Supervisor,
    /// newuidmap(1) or newgidmap(1), which may map the caller's subordinate ids.
    Helper(PathBuf),
}

/// A namespace kind, as a `CLONE_NEW*` flag with its name in `/proc/PID/ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceKind {
    /// `CLONE_NEW*`.
    pub flag: libc::c_int,
    /// The kernel's name.
    pub name: &'static str,
}

/// `RLIM_INFINITY` of getrlimit(2).
pub const INFINITY: u64 = u64::MAX;

/// An option of a file system, and its value: `size` and `1M`.
pub type MountOption = (CString, CString);

/// What the new root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewRoot {
    /// A tmpfs with these options, on which mount points are made.
    Tmpfs(Vec<MountOption>),
    /// A tree opened before.
    Tree(Slot, Attributes),
    /// A tree opened before, with changes to it elsewhere.
    Overlay(Slot, Upper, Attributes),
}

/// Where an overlay puts what is changed in it (overlayfs, `upperdir` and `workdir`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upper {
    /// Into a tmpfs with these options, which goes with the mounts.
    Memory(Vec<MountOption>),
    /// Into a directory opened before.
    Disk(Slot),
}

/// Where changes to a tree are put on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The folder of all that is kept.
    pub store: PathBuf,
    /// The name that these have there; none of those that are thrown away in the end.
    pub name: String,
    /// The tree, which stays as it is.
    pub source: PathBuf,
    /// The digest of what the tree was unpacked from, where it is one of the cache.
    pub unpacked: Option<String>,
    /// The owner of what is made for the overlay: who mounts it, as the file system has it.
    pub owner: (u32, u32),
    /// What the sandbox itself makes in it, relative to the tree.
    pub mount_points: Vec<String>,
}

impl Kept {
    /// The directory that holds the two of the overlay.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.store.join(&self.name).join("layers")
    }
}

/// How far a clock of a time namespace is ahead of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The kernel's name of the clock, seconds, and nanoseconds on top of them: a line of
    /// `/proc/PID/timens_offsets` (time_namespaces(7)).
    pub line: String,
}

impl ClockOffset {
    /// The nanoseconds are added, also where the seconds are negative.
    #[must_use]
    pub fn new(clock: &str, seconds: i64, nanoseconds: u32) -> Self {
        let line = format!("{clock} {seconds} {nanoseconds}");
        Self { line }
    }
}

/// One primitive operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Unpacks an archive or an image into the cache. Where a plan has this step, it has no other: the run is
    /// planned from what was unpacked.
    Unpack(Box<Unpacking>),
    /// Takes a shared lock on an unpacked root (flock(2)), so that it is not removed during the run.
    HoldRoot(Entry),
    /// Makes the record of the run, by which others find it, and locks it until the end.
    ClaimRecord {
        /// The folder, which is made if it is missing.
        folder: PathBuf,
        /// The id of the run.
        id: String,
        /// Its name.
        name: Option<String>,
    },
    /// Takes the descriptors of init's namespaces, writes the record, and tells init to go on.
    WriteRecord(Vec<NamespaceKind>),
    /// Opens the group of a running sandbox.
    OpenGroup(Groups),
    /// Makes a mount point in a writable tree of the host, if it is missing; removed in the end.
    MakeMountPoint {
        /// The tree's path, which exists.
        tree: CString,
        /// The path below it, relative.
        missing: CString,
        /// A directory, or an empty file.
        directory: bool,
    },
    /// Makes a directory of the host that a profile binds, with those on the way to it. It stays:
    /// what a command writes there is data.
    MakeSource {
        /// The path of the tree that it is made in, which exists.
        tree: CString,
        /// The path below it, relative; no link is followed there.
        missing: CString,
        /// To whom it is given, by ids of the host, where that is not the caller.
        owner: Option<(u32, u32)>,
    },
    /// Takes the changes to a tree that are kept under a name for this run alone, and makes what the
    /// overlay needs where it is missing.
    KeepChanges {
        /// Where a descriptor goes that holds them while it is open in any process.
        lock: Slot,
        /// Which.
        kept: Box<Kept>,
    },
    /// Takes a lock for reading on a file of the host (fcntl(2), `F_SETLK`), until the run is over.
    LockFile(HostPath),
    /// Makes a node of a device, where no path of the host leads to.
    MakeNode {
        /// Where the descriptor of its mount goes.
        slot: Slot,
        /// Which.
        node: NewNode,
    },
    /// Reads a secret into a file in memory.
    TakeSecret {
        /// Where its descriptor goes.
        slot: Slot,
        /// Where it comes from.
        from: SecretFrom,
    },
    /// Starts who stands between the command and message buses, and waits until it listens.
    StartBusProxy(bus::BusProxy),
    /// Asks a manager of systemd for a scope, and moves this process into it.
    AskForScope(Box<Scope>),
    /// Makes the cgroup.
    CreateGroup {
        /// Where.
        place: Place,
        /// The group below which that is, where the profile says it.
        parent: Option<PathBuf>,
        /// Its names.
        names: Names,
    },
    /// Writes one limit of the group and reads it back.
    SetLimit(Limit),
    /// Lets the group open these devices, and no others.
    LimitDevices(Vec<DeviceRule>),
    /// Lets the run's group exchange packets of IP with these addresses and no others (bpf(2)).
    LimitPeers(Vec<Network>),
    /// Makes a pipe for the standard output of the command, for its standard error, for each, or one for
    /// both, from which the supervisor takes what the command writes and hands it on to its own.
    MakePipes {
        /// Where the command's end for the one goes.
        stdout: Option<Slot>,
        /// And for the other; the same slot, where both go to one place.
        stderr: Option<Slot>,
        /// The most bytes that are handed on, of both together.
        most: Option<u64>,
        /// What happens beyond that.
        over: Over,
        /// Which of the two lead to a terminal, to which only what it displays is handed on.
        displayed: [bool; 2],
    },
    /// Remembers how these standard streams of the caller's are set (fcntl(2), F_GETFL), and sets them so again in
    /// the end: the command shares them with whoever else has them open.
    KeepFlags(Vec<Stream>),
    /// Opens the file of the standard input anew, on a read-only mount of its own, at the place that the caller is at
    /// in it. Init moves the caller there in the end, where the command has come to.
    ReadInput {
        /// Where the descriptor goes.
        slot: Slot,
        /// Its name.
        path: CString,
        /// Its device and inode.
        file: (u64, u64),
    },
    /// Opens a file of the host, or /dev/null, as standard streams of the command: the first to be read; the others
    /// to be written to, emptied or at its end, and made where it is missing. No link is followed on the way.
    OpenStream {
        /// Which ones: those that it is in the place of.
        streams: Vec<Stream>,
        /// The file.
        path: PathBuf,
        /// Whether it is written to at its end, and not emptied.
        append: bool,
        /// Where its descriptor goes; nowhere where the supervisor itself writes to it what comes through a pipe.
        slot: Option<Slot>,
    },
    /// Raises the supervisor's own resource limit (setrlimit(2)) until init is cloned, which has it from there on;
    /// the sandbox's user namespace has it as the bound of what it counts itself.
    RaiseRlimit {
        /// The kernel's number.
        resource: u32,
        /// The name in the profile.
        name: &'static str,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    },
    /// Hands on between standard streams of the supervisor's own and the terminal that the sandbox will have.
    /// If they are a terminal, that is raw meanwhile; it gets its settings back when it is not handed on, and
    /// in the end.
    RelayTerminal {
        /// Which stream is the caller's terminal, if one is.
        caller: Option<Stream>,
        /// Which one is read.
        input: Stream,
        /// Which one is written to.
        output: Stream,
        /// Whether only what a terminal displays is handed on.
        displayed: bool,
    },
    /// Makes a user namespace that serves as the map of mounts.
    MakeIdmap {
        /// Where its descriptor goes.
        slot: Slot,
        /// The map of user ids.
        users: Vec<IdRange>,
        /// The map of group ids.
        groups: Vec<IdRange>,
    },
    /// Opens a host path as a detached mount whose owners are mapped.
    OpenMapped {
        /// Where the descriptor goes.
        slot: Slot,
        /// The path.
        source: HostPath,
        /// Whether with what is mounted below it.
        depth: Depth,
        /// The map made before.
        idmap: Slot,
        /// What happens where the file system cannot have a map.
        need: IdmapNeed,
    },
    /// Clones init.
    CloneInit {
        /// The new namespaces.
        namespaces: Vec<NamespaceKind>,
        /// Whether straight into the group (cgroup v2).
        into_group: bool,
    },
    /// Writes `/proc/PID/oom_score_adj`.
    SetOomScore(i32),
    /// Writes `deny` to `/proc/PID/setgroups`.
    DenySetgroups,
    /// Writes an id map.
    WriteIdMap {
        /// Which.
        ids: Ids,
        /// Its lines.
        ranges: Vec<IdRange>,
        /// By whom.
        writer: MapWriter,
    },
    /// Makes a pair of interfaces, one of them in the sandbox's network.
    MakePair(network::Pair),
    /// Makes an interface in the sandbox's network that is one more machine on a network of the host's.
    MakeMacvlan(network::Macvlan),
    /// Limits what an interface sends each second.
    LimitRate(network::Limited),
    /// Delays and loses what an interface sends.
    Worsen {
        /// Where the interface is.
        end: network::End,
        /// Its name.
        interface: String,
        /// How.
        line: network::Line,
    },
    /// Writes a setting of the run's own interface on the host (`/proc/sys/net`).
    SetInterface {
        /// The file.
        path: PathBuf,
        /// What is written.
        value: &'static str,
    },
    /// Gives an interface an address.
    AddAddress(network::Assigned),
    /// Brings an interface up.
    RaiseInterface {
        /// Where it is.
        end: network::End,
        /// Its name.
        interface: String,
    },
    /// Sends what goes elsewhere from inside by a gateway.
    AddDefaultRoute {
        /// The gateway.
        gateway: std::net::IpAddr,
        /// The interface inside.
        interface: String,
    },
    /// Keeps others on the host from a port that is published, until somebody serves on it.
    ReservePort(network::Published),
    /// Listens on a port of the host's loopback, and hands on what comes to these addresses of the sandbox, by sockets in
    /// its network.
    ServePort {
        /// The port, with an address.
        published: network::Published,
        /// The sandbox's addresses: the first that answers.
        to: Vec<std::net::IpAddr>,
    },
    /// Makes a table of nftables on the host, which the kernel removes when the supervisor ends, however it ends.
    Translate {
        /// Its name.
        table: String,
        /// The rules.
        rules: Vec<network::Rule>,
    },
    /// Starts pasta(1), which carries between the sandbox's network and sockets of the caller.
    StartPasta(network::Pasta),
    /// Refuses to join a sandbox whose init has stopped those inside: asked once the joiner is in its pid namespace, where
    /// from then on it is stopped with them.
    RefusePaused {
        /// Init's pid.
        init: libc::pid_t,
        /// Its supervisor's.
        supervisor: libc::pid_t,
    },
    /// Tells init to go on.
    Release,
    /// Takes the sockets of the gate from init, and lets through what the rules permit, from here on.
    OpenGate(Box<Rules>),
    /// Takes the socket from init that hears what the packet filter has refused, and tells of it in the end.
    HearRefused(Box<Rules>),
    /// Takes the sockets of the sandbox's loopback from init, and hands on what comes to them to the caller's loopback.
    ForwardInside,
    /// Reserves an address of a bridge's network, which nobody there has.
    ReserveAddress {
        /// The bridge.
        bridge: String,
        /// The address.
        address: IpAddr,
    },
    /// Makes a socket at a port of the sandbox's loopback and hands it to the supervisor.
    ListenInside(network::Forwarded),
    /// Makes a socket for questions about names at [`network::RESOLVER`] and hands it to the supervisor.
    ListenForNames(network::Protocol),
    /// Takes those sockets from init, and answers by the records of runs.
    ResolveNames(Box<network::Names>),
    /// Makes the packet filter of the sandbox's network, and hands the supervisor a socket that hears what it refuses.
    FilterPackets(Box<filter::PacketFilter>),
    /// Makes the network namespace of the gate and enters it: there every address is local, and nothing else is.
    MakeGateNetwork,
    /// Links it with the sandbox's.
    LinkGate(gate::Link),
    /// Delays and loses what goes through the link for what may be permitted, each way.
    WorsenGate(network::Line),
    /// Limits what goes through it, each way.
    LimitGate {
        /// To so many bytes each second.
        rate: u64,
        /// Whether that holds for what a worse line lets out.
        behind: bool,
    },
    /// Routes a network through the link for what may be permitted.
    RouteToGate(Network),
    /// Makes a socket there and hands it to the supervisor.
    ListenAtGate(gate::Listen),
    /// The same for one that sees who wanted to go where, by this filter.
    ObserveGate(Vec<libc::sock_filter>),
    /// Returns to the sandbox's network namespace, and hands the supervisor the socket by which it routes addresses
    /// to the gate there.
    LeaveGateNetwork,
    /// Makes the socket there by which the supervisor repeats the beginning of a connection.
    RepeatAtGate,
    /// Enters a namespace of a path.
    JoinNamespace {
        /// The kind.
        kind: NamespaceKind,
        /// The path.
        path: CString,
    },
    /// Opens a sandbox that runs, and namespaces of it: the run ends with it.
    OpenSandbox {
        /// The folder of its record.
        folder: PathBuf,
        /// Its id.
        id: String,
        /// What the profile calls it.
        name: String,
        /// Its namespaces, and where their descriptors go.
        namespaces: Vec<(NamespaceKind, Held, Slot)>,
    },
    /// Enters a namespace of a sandbox that was opened.
    JoinSandbox {
        /// What the profile calls it.
        name: String,
        /// The kind of the namespace.
        kind: NamespaceKind,
        /// The number of its inode.
        inode: u64,
        /// Where its descriptor is.
        slot: Slot,
    },
    /// Enters a namespace of a running sandbox.
    EnterNamespace {
        /// The kind.
        kind: NamespaceKind,
        /// A descriptor of it, open in the supervisor.
        descriptor: i32,
        /// The number of its inode.
        inode: u64,
    },
    /// Writes `/proc/self/oom_score_adj`.
    SetOwnOomScore(i32),
    /// Hands descriptors of its namespaces to the supervisor, and waits until the record is written.
    ShowNamespaces(Vec<NamespaceKind>),
    /// Stays without a command until the supervisor ends it, for others to join.
    Stay,
    /// Dies with the supervisor.
    DieWithSupervisor,
    /// Takes an empty session keyring, and leaves the caller's (keyrings(7)).
    NewKeyring,
    /// Writes itself into the groups of cgroup v1.
    JoinGroups,
    /// Makes the cgroup namespace.
    UnshareCgroupNamespace,
    /// Makes the time namespace, in which whoever is forked from here on lives.
    UnshareTimeNamespace,
    /// Sets a clock of it, before anybody is in it.
    SetClock(ClockOffset),
    /// Stops propagation.
    MakePrivate,
    /// Stops what mounts send to others of their peer group; they still receive.
    MakeSlave,
    /// Opens a host path as a detached mount.
    OpenSource {
        /// Where the descriptor goes.
        slot: Slot,
        /// The path.
        source: HostPath,
        /// Whether with what is mounted below it.
        depth: Depth,
    },
    /// Opens the program on the host, read-only, to be executed by its descriptor; no link is followed.
    OpenProgram {
        /// Where the descriptor goes.
        slot: Slot,
        /// The path.
        path: CString,
    },
    /// Writes `/proc/self/coredump_filter` (core(5)).
    SetCoredumpFilter(u32),
    /// Waits for the supervisor.
    AwaitRelease,
    /// Takes ids of the map for the set-up.
    TakeIds {
        /// The user id inside.
        uid: u32,
        /// The group id inside.
        gid: u32,
    },
    /// Makes a user namespace inside the one that init is in, with the same ids, and other namespaces
    /// that belong to it, which init enters.
    MakeInnerUser {
        /// Which others.
        namespaces: Vec<NamespaceKind>,
        /// The lines of its `uid_map`.
        users: String,
        /// The lines of its `gid_map`.
        groups: String,
    },
    /// Writes 0 to `user.max_user_namespaces` of init's user namespace, and reads it back.
    ForbidUserNamespaces,
    /// Attaches a tmpfs with these options outside of the new root, for files with contents from the profile.
    AttachStaging(Vec<MountOption>),
    /// Writes a file there and opens it as a detached mount.
    StageFile {
        /// Where the descriptor goes.
        slot: Slot,
        /// Its name there.
        name: CString,
        /// What it holds.
        contents: Vec<u8>,
        /// Its mode and its owner.
        dress: Dress,
    },
    /// Writes a secret there and opens its file as a detached mount.
    StageSecret {
        /// Where the descriptor goes.
        slot: Slot,
        /// The one that holds it.
        secret: Slot,
        /// Its name there.
        name: CString,
        /// Its mode and its owner.
        dress: Dress,
    },
    /// Attaches the new root.
    AttachRoot(NewRoot),
    /// Makes a directory in the new root.
    MakeDirectory(NewName, u32),
    /// Gives a directory of the new root, just made, its owner and the whole of its mode.
    DressDirectory(Target, Dress),
    /// Makes an empty file in the new root, as a mount point.
    MakeFile(NewName),
    /// Makes a symbolic link in the new root.
    MakeSymlink(NewName, CString),
    /// Mounts a new file system.
    MountFilesystem {
        /// Its type.
        kind: CString,
        /// Its options: `key=value`, or a flag.
        options: Vec<(CString, Option<CString>)>,
        /// The attributes of the mount.
        attributes: Attributes,
        /// Where.
        target: Target,
    },
    /// Mounts what was opened before.
    AttachSource {
        /// The descriptor.
        slot: Slot,
        /// What it is, for messages.
        source: PathBuf,
        /// The attributes of the mount and of all below it.
        attributes: Attributes,
        /// Where.
        target: Target,
    },
    /// Mounts what was opened before, with what is changed in it put elsewhere (overlayfs).
    MountOverlay {
        /// The descriptor of the tree, which stays as it is.
        lower: Slot,
        /// What it is, for messages.
        source: PathBuf,
        /// Where changes go.
        upper: Upper,
        /// The attributes of the mount.
        attributes: Attributes,
        /// Where.
        target: Target,
    },
    /// Makes a mount point in an overlay, if it is missing.
    ProvideMountPoint {
        /// Its name.
        name: NewName,
        /// A directory, or an empty file.
        directory: bool,
    },
    /// Mounts a part of the new root on itself, with more attributes.
    Protect {
        /// Which part.
        target: Target,
        /// The attributes.
        attributes: Attributes,
    },
    /// pivot_root(2).
    PivotRoot,
    /// Detaches the old root.
    DetachOldRoot,
    /// Gives a mount that was writable for set-up its final attributes.
    SealMount {
        /// Which.
        target: Target,
        /// The attributes.
        attributes: Attributes,
    },
    /// Writes a setting of the kernel that belongs to a namespace, and reads it back.
    SetSysctl {
        /// Its file.
        path: CString,
        /// What is written.
        value: CString,
    },
    /// sethostname(2).
    SetHostname(CString),
    /// setdomainname(2).
    SetDomainname(CString),
    /// Brings up `lo`.
    LoopbackUp,
    /// Hides from ptrace and `/proc`, and forgets the caller's arguments and environment.
    Hide,
    /// setsid(2).
    NewSession,
    /// Opens a new terminal of the sandbox's /dev/pts (pty(7)), and hands its other side to the supervisor.
    OpenTerminal {
        /// Where its descriptor goes.
        slot: Slot,
        /// How it is set, if not as new ones are.
        settings: Option<Settings>,
        /// How large it is.
        size: Size,
        /// Whose it is.
        owner: TerminalOwner,
    },
    /// Makes it the controlling terminal of the session.
    ControlTerminal {
        /// The terminal.
        slot: Slot,
    },
    /// Forks the payload and becomes its init: reaps, and hands on signals.
    ForkPayload {
        /// Whether init is the first process of a pid namespace, whose end ends all others.
        alone: bool,
    },
    /// Forks a command that joins, and stays its parent in the session: reaps, and hands on signals. Init is another
    /// process, and ends what the command leaves.
    ForkBesideInit,
    /// Enters the inner user namespace.
    EnterInnerUser,
    /// setpgid(2), so that signals of the terminal can be handed to the command's group alone.
    NewProcessGroup,
    /// Takes the pipes as the standard output and the standard error (dup2(2)).
    TakePipes {
        /// The end for the one.
        stdout: Option<Slot>,
        /// The end for the other.
        stderr: Option<Slot>,
    },
    /// Takes a pipe that nobody writes to as the standard input (pipe(2), dup2(2)).
    TakeEmptyInput,
    /// Lets the supervisor trace the payload (ptrace(2)), which waits until it does: dumpable, and a pidfd of
    /// its own is handed over.
    AwaitTracer,
    /// Comes to the foreground of the sandbox's own terminal (tcsetpgrp(3)), and takes it as standard streams
    /// (dup2(2)).
    TakeTerminal {
        /// The terminal.
        slot: Slot,
        /// Which ones.
        streams: Vec<Stream>,
    },
    /// umask(2).
    SetUmask(u32),
    /// setpriority(2).
    SetNice(i32),
    /// Takes what was opened as standard streams (dup2(2)).
    TakeStream {
        /// The file.
        slot: Slot,
        /// Which ones.
        streams: Vec<Stream>,
    },
    /// `PR_SET_TSC`: reading the time-stamp counter is a SIGSEGV.
    RefuseTimestamps,
    /// `PR_SET_SPECULATION_CTRL`, for good.
    RefuseSpeculation {
        /// `PR_SPEC_*`.
        which: u32,
        /// Its name in the profile.
        name: &'static str,
    },
    /// `PR_SET_THP_DISABLE`.
    RefuseHugePages,
    /// sched_setscheduler(2).
    SetScheduler {
        /// `SCHED_*`.
        policy: i32,
        /// Its name in the profile.
        name: &'static str,
        /// The real-time priority; 0 for what is no real-time policy.
        priority: u32,
    },
    /// ioprio_set(2): class and level.
    SetIoPriority(u32),
    /// The same for the supervisor itself until init is cloned, which has it from there on: what only a right over the
    /// machine gives.
    LendIoPriority(u32),
    /// set_mempolicy(2), and reads back what it came to.
    PlaceMemory {
        /// As it is written.
        text: String,
        /// `MPOL_*`.
        policy: i32,
        /// A bit for each node.
        nodes: [u64; MEMORY_NODES],
    },
    /// `PR_SET_TIMERSLACK`, in nanoseconds.
    SetTimerSlack(u64),
    /// sched_setaffinity(2).
    SetAffinity {
        /// The processors, as they are written.
        list: String,
        /// A bit for each.
        mask: Vec<u64>,
    },
    /// personality(2).
    SetPersonality(u32),
    /// setrlimit(2).
    SetRlimit {
        /// The kernel's number.
        resource: u32,
        /// The name in the profile.
        name: &'static str,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    },
    /// chdir(2).
    ChangeDirectory(CString),
    /// Drops capabilities from the bounding set.
    DropBounding(u64),
    /// setgroups(2).
    SetGroups(Vec<u32>),
    /// setgroups(2) to none, where the user namespace that was joined permits it.
    LeaveGroups,
    /// setresgid(2).
    SetGid(u32),
    /// setresuid(2).
    SetUid(u32),
    /// Clears the ambient set, sets the three others, raises ambient ones, locks securebits.
    SetCapabilities {
        /// Permitted, effective, inheritable.
        sets: CapabilitySets,
        /// Ambient.
        ambient: u64,
        /// `SECBIT_*`.
        securebits: u32,
    },
    /// Dies with init.
    DieWithInit,
    /// Memory that can be written never becomes executable (`PR_SET_MDWE`).
    RefuseWriteExecute,
    /// Has the next exec give the command a label of a security module.
    SetLabel(label::Label),
    /// Landlock.
    Restrict(landlock::Ruleset),
    /// no_new_privs.
    NoNewPrivileges,
    /// Closes all descriptors from one on, at exec, but those that are kept.
    CloseDescriptors {
        /// The first.
        first: i32,
        /// Those that are kept.
        kept: Vec<i32>,
    },
    /// Default dispositions, nothing blocked.
    ResetSignals,
    /// Where an attempt is made: gives up what exec would take away from the command.
    ShedAsExec {
        /// The capabilities that a uid other than 0 keeps at exec.
        ambient: u64,
        /// The descriptors that a command keeps.
        kept: Vec<i32>,
        /// Whether others with the same uid may read the process, as they may read a command.
        readable: bool,
    },
    /// Where an attempt is made: this call is judged by the filter, and never performed.
    StopCall {
        /// Its name.
        name: &'static str,
        /// Its number.
        number: u32,
    },
    /// Where an attempt is made: a program that is executed ends at its first system call.
    EndAfterExec,
    /// The system call filter, with a listener that the supervisor gets: it answers the refused calls as the
    /// filter would, and tells of them in the end. Not installed where a filter around this one has a listener,
    /// or the kernel is older than 5.19.
    TellRefusals {
        /// It gets the listener; see [`bpf::told`](crate::plan::bpf::told).
        first: Vec<libc::sock_filter>,
        /// It refuses what the first must let pass for the hand-over, where that is anything.
        second: Option<Vec<libc::sock_filter>>,
    },
    /// The system call filter, where it is not installed yet.
    SetFilter(Vec<libc::sock_filter>),
    /// A filter that the profile has from a file. The kernel takes the most severe answer of all filters, so that
    /// it can only refuse more.
    AddFilter {
        /// The program, as it is in the file.
        program: Vec<libc::sock_filter>,
        /// The digest of the file.
        digest: String,
    },
    /// Executes the command.
    Exec {
        /// The paths to try, in this order.
        candidates: Vec<CString>,
        /// The arguments, with the name in front.
        arguments: StringArray,
        /// The environment.
        environment: StringArray,
        /// The program itself, where it was opened: it is executed in the place of the candidates (execveat(2)).
        opened: Option<Slot>,
    },
    /// Makes an attempt in the place of the command, and reports the kernel's answer.
    Attempt(Attempt),
}
