//! THE order: who does what, when, and why there.
//!
//! [`Phase`] lists the phases in the order in which they run. [`RULES`] holds the reasons: each
//! says that one phase comes before another, and why. The compiler checks the rules against the
//! list, property tests check every plan against both, and `explain --why` prints them.

use std::fmt;

/// Who performs a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The process that the caller started; outside, with the caller's rights.
    Supervisor,
    /// A short-lived process that enters the namespaces which the profile joins, and clones init
    /// there; only where a profile joins any.
    Joiner,
    /// The first process inside.
    Init,
    /// The process that becomes the command.
    Payload,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supervisor => "supervisor, on the host",
            Self::Joiner => "joiner, on its way in",
            Self::Init => "init, the first process inside",
            Self::Payload => "payload, about to become the command",
        })
    }
}

macro_rules! phases {
    ($($(#[doc = $doc:expr])* $name:ident: $actor:ident,)*) => {
        /// The phases, in the order in which they run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Phase { $($(#[doc = $doc])* $name,)* }

        impl Phase {
            /// Every phase, in order.
            pub const ALL: &'static [Phase] = &[$(Phase::$name,)*];

            /// Who performs it.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self { $(Self::$name => Actor::$actor,)* }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

phases! {
    /// The record of the run is made, where one is asked for.
    Record: Supervisor,
    /// A root is unpacked, and the run planned after that; or an unpacked one is kept from being removed.
    Roots: Supervisor,
    /// Sources that a profile wants made are made on the host, to stay; then mount points that a
    /// writable grant lacks are made in it, to be removed in the end.
    MountPoints: Supervisor,
    /// The changes that are kept under a name are taken for this run alone.
    Changes: Supervisor,
    /// A manager of systemd is asked for a scope, where our own cgroup is not ours to divide.
    Scope: Supervisor,
    /// The cgroup is made.
    Group: Supervisor,
    /// Its limits are written and read back.
    Limits: Supervisor,
    /// Files of the host are locked.
    Locks: Supervisor,
    /// Host paths whose owners are mapped are opened and mapped.
    MappedSources: Supervisor,
    /// A sandbox that runs is opened, whose namespaces are joined.
    Others: Supervisor,
    /// Secrets are read, and nodes of devices made, to be handed to init.
    Secrets: Supervisor,
    /// Who stands between the command and message buses is started.
    Buses: Supervisor,
    /// The pipes for what the command writes are made, and the caller's terminal is looked after.
    Output: Supervisor,
    /// Resource limits above the caller's own are raised, until init is cloned.
    OwnLimits: Supervisor,
    /// Init is cloned into its namespaces, on cgroup v2 straight into the group.
    Clone: Supervisor,
    /// Settings of init that only the outside may write.
    Attributes: Supervisor,
    /// The id maps are written.
    IdMaps: Supervisor,
    /// The network of the sandbox is connected with another one.
    Attach: Supervisor,
    /// Init is told to go on.
    Release: Supervisor,
    /// The gate is opened: the only way out, for what is permitted; and ways to the host's loopback.
    Gate: Supervisor,
    /// The record of the run is written, once its namespaces are there.
    Recorded: Supervisor,
    /// On its way into a running sandbox, the joiner enters its group, and hides.
    Approach: Joiner,
    /// The namespaces that the profile joins are entered.
    Join: Joiner,
    /// Init binds its life to the supervisor's.
    Tether: Init,
    /// The caller's session keyring is left.
    Keyring: Init,
    /// Init moves itself into the group (cgroup v1).
    JoinGroup: Init,
    /// The cgroup namespace is made.
    GroupNamespace: Init,
    /// The time namespace is made, and its clocks are set.
    TimeNamespace: Init,
    /// Settings of the kernel that belong to the new namespaces are written.
    Settings: Init,
    /// Sources that are to receive what the host mounts there later are opened.
    Receiving: Init,
    /// Mounts stop propagating.
    Propagation: Init,
    /// Host paths are opened, once, and copied as detached mounts.
    Sources: Init,
    /// Init waits until the id maps are written.
    AwaitRelease: Init,
    /// Init takes ids that the map holds.
    InnerIds: Init,
    /// The user namespace that the command will live in is made, apart from that of the mounts.
    InnerUser: Init,
    /// No further user namespaces can be made.
    UserNamespaceLimit: Init,
    /// The network of the gate is made, linked, and its sockets are handed to the supervisor; then those of ways to
    /// the host's loopback.
    GateNetwork: Init,
    /// Settings that only root of the user namespace may write are written.
    InnerSettings: Init,
    /// Descriptors of the namespaces go to the supervisor, for the record of the run.
    Shown: Init,
    /// Files with contents from the profile are written aside.
    Staging: Init,
    /// The new root is attached.
    Root: Init,
    /// Mount points are made and mounts attached, parents before children.
    Mounts: Init,
    /// The new root becomes the root.
    Pivot: Init,
    /// The old root is detached.
    DetachOldRoot: Init,
    /// What only had to be written while the root was built becomes read-only.
    Seal: Init,
    /// Host and domain name are set.
    Names: Init,
    /// The loopback interface is brought up.
    Network: Init,
    /// Init hides from those it shares a uid with, and forgets the caller's environment.
    Hide: Init,
    /// The session is made.
    Session: Init,
    /// The sandbox's own terminal is opened, and becomes that of the session.
    Terminal: Init,
    /// The payload is forked.
    Fork: Init,
    /// The inner user namespace is entered.
    EnterInner: Payload,
    /// Process group, umask, priority, resource limits.
    ProcessSettings: Payload,
    /// The working directory is entered, and checked to lie inside.
    WorkingDirectory: Payload,
    /// The bounding set is reduced.
    Bounding: Payload,
    /// Supplementary groups, gid, uid.
    Identity: Payload,
    /// The capability sets are reduced to what the profile keeps.
    Capabilities: Payload,
    /// The payload's life is bound to init's.
    DeathSignal: Payload,
    /// Memory that was written is kept from being executed.
    Memory: Payload,
    /// no_new_privs is set.
    NoNewPrivileges: Payload,
    /// Files that the profile names take the place of standard streams.
    OwnStreams: Payload,
    /// A security module is told under which label the command is executed.
    Label: Payload,
    /// Landlock is told what is refused.
    Landlock: Payload,
    /// Pipes and the sandbox's own terminal take the place of standard streams.
    Streams: Payload,
    /// Descriptors are marked to be closed at exec.
    Descriptors: Payload,
    /// Signals get their default dispositions and are unblocked.
    Signals: Payload,
    /// Where file calls that fail are to be explained: the supervisor traces from here on.
    Tracing: Payload,
    /// Where an attempt takes the place of the command: what exec takes away is given up.
    AsExecuted: Payload,
    /// Where an attempt takes the place of the command: what it may only seem to do is stopped.
    Stop: Payload,
    /// The system call filter is installed.
    Filter: Payload,
    /// The command is executed, or an attempt is made in its place.
    Exec: Payload,
}

/// One reason for the order.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What comes first.
    pub before: Phase,
    /// What comes later.
    pub after: Phase,
    /// Why.
    pub because: &'static str,
}

macro_rules! rules {
    ($($before:ident < $after:ident: $because:literal,)*) => {
        /// The reasons for the order.
        pub const RULES: &[Rule] = &[$(Rule {
            before: Phase::$before, after: Phase::$after, because: $because,
        },)*];
    };
}

rules! {
    Roots < MappedSources: "what is opened of a root must not be removed meanwhile",
    Roots < Clone: "init opens the parts of the root, which must not be removed meanwhile",
    Record < MountPoints: "a name that is taken is refused before anything is made for the run",
    Release < Recorded: "the namespaces are all there only after init was told to go on",
    Approach < Join: "whoever is inside could read the memory of somebody who comes in without having hidden, and what it does there counts as the sandbox's",
    GateNetwork < Shown: "the supervisor takes the sockets of the gate, then the namespaces, in the order in which they come",
    Gate < Recorded: "the same on its side",
    GroupNamespace < Shown: "the record names the namespaces that the command will be in",
    TimeNamespace < Shown: "the record names the namespaces that the command will be in",
    InnerUser < Shown: "the record names the namespaces that the command will be in",
    Shown < Pivot: "the namespaces are opened through the host's /proc, which leaves with the old root",
    Shown < Fork: "the command must not run before the record says what it is",
    MountPoints < Clone: "a mount point in the host's tree is made with the caller's rights, not with those that init has over its namespaces",
    MountPoints < MappedSources: "a source that is made has to be there when it is opened",
    Scope < Group: "the group goes into the scope, once there is one",
    Group < Limits: "limits are files of the group",
    Limits < Clone: "on v2 the clone is what puts init into the group, and nothing may run there unlimited",
    Limits < JoinGroup: "the same on v1: init enters a group whose limits hold already",
    MappedSources < Clone: "mapping the owners of a mount needs the rights over its file system, which only the outside has",
    MountPoints < Locks: "a file that is locked may lie in what has to be made first",
    Locks < MappedSources: "a file is held before anything of it is used",
    Locks < Clone: "the same where init opens it",
    Others < Clone: "the joiner gets the descriptors through the clone",
    Secrets < Clone: "init gets the descriptor of a secret through the clone",
    Output < Clone: "the command's ends of the pipes come to it through the clone",
    Buses < Clone: "init opens the sockets, which are there by then, and no command starts where nobody listens",
    OwnLimits < Clone: "the clone hands them on, and a user namespace is bound by what its maker has",
    Clone < IdMaps: "the maps are files of the cloned process",
    Attributes < IdMaps: "they are written while init still belongs to the caller in the eyes of the kernel",
    IdMaps < Release: "init must not act under ids that do not exist yet",
    Clone < Attach: "an interface is put into the network namespace of the cloned process",
    IdMaps < Attach: "what carries for the sandbox takes an id that the map holds",
    Attach < Release: "where there is no network as it was asked for, no command runs",
    Join < Tether: "init is cloned by the joiner, inside what was joined",
    Tether < Receiving: "an init that outlives its supervisor from here on would leave mounts behind",
    Receiving < Propagation: "a copy receives only what its original does",
    Tether < Sources: "an init that outlives its supervisor from here on would leave mounts behind",
    Tether < AwaitRelease: "if the supervisor dies while init waits, end of file must mean the end, not go",
    Keyring < InnerIds: "the keyring counts against the quota of the id that makes it, and ids that a run of root takes have a small one",
    Keyring < Fork: "the command must not find a key of the caller's session",
    JoinGroup < GroupNamespace: "a cgroup namespace is rooted where its maker is: outside the group it would show the host's tree",
    TimeNamespace < Pivot: "clocks are set through the host's /proc, which leaves with the old root",
    TimeNamespace < Fork: "clocks cannot be set any more once a process lives in the namespace",
    GroupNamespace < Settings: "a setting may forbid what is still to be made, such as namespaces",
    TimeNamespace < Settings: "a setting may forbid what is still to be made, such as namespaces",
    Settings < InnerIds: "some may be written only by the host's root, which init is until here, where root calls",
    InnerUser < InnerSettings: "the network and the ipc namespace may be made with it, and until then init is in the caller's",
    Release < Gate: "init makes the sockets of the gate once it has its ids",
    InnerUser < GateNetwork: "the network may be made with it, and until then init is in the caller's",
    GateNetwork < InnerSettings: "a setting may forbid what is still to be made, such as namespaces",
    GateNetwork < Fork: "what the command sends has to arrive somewhere from its first moment on",
    UserNamespaceLimit < InnerSettings: "a setting may forbid what is still to be made, such as namespaces",
    InnerIds < InnerSettings: "these may be written only by root of the user namespace, who is nobody before the map is written",
    Settings < Pivot: "they are written through the host's /proc, which leaves with the old root",
    InnerSettings < Pivot: "they are written through the host's /proc, which leaves with the old root",
    Propagation < Sources: "a copy of a shared mount is shared: what is attached below it would show on the host",
    Propagation < Root: "a mount made before this would show on the host",
    Changes < MappedSources: "where changes go is opened like a source, and has to be there, and nobody else's, before",
    Changes < Sources: "where changes go is opened like a source, and has to be there, and nobody else's, before",
    Sources < InnerIds: "host paths are opened with the caller's rights, before they are given up",
    Sources < Root: "host paths have to be resolved while the host's tree is still the whole tree",
    AwaitRelease < InnerIds: "an id can be taken only once the map holds it",
    InnerIds < InnerUser: "a user namespace belongs to the id that makes it: by that, init has power over it from outside",
    InnerUser < UserNamespaceLimit: "the inner namespace is the last one that may be made",
    InnerUser < Mounts: "a sysfs shows the network of whoever mounts it, a mqueue the queues",
    InnerUser < Pivot: "maps are written through the host's /proc, which leaves with the old root",
    InnerUser < Hide: "its maps are files of a process that shows itself",
    InnerUser < Names: "the names are those of a namespace that is made with it",
    InnerUser < Network: "the network is one that is made with it",
    UserNamespaceLimit < Pivot: "the limit is written through the host's /proc, before anything of the profile is on top of it",
    DetachOldRoot < EnterInner: "in the inner namespace nobody can change a mount any more",
    EnterInner < Bounding: "whoever enters a user namespace has all capabilities over it again",
    EnterInner < Identity: "whoever enters a user namespace takes its ids there",
    EnterInner < DeathSignal: "entering a user namespace changes credentials, which clears the death signal",
    EnterInner < Filter: "the filter may refuse setns",
    InnerIds < Root: "a file cannot be created by an id that the map does not hold (EOVERFLOW)",
    Staging < Root: "staged files live on the old root's side, where the command can never reach them",
    Root < Mounts: "targets are resolved below the new root",
    Mounts < Pivot: "a fresh proc may be mounted only while a fully visible one is in the namespace, and the host's leaves with the old root",
    Pivot < DetachOldRoot: "the root in use cannot be detached",
    DetachOldRoot < Fork: "the command must never see the old root",
    Mounts < Seal: "mount points can be made only while the root is writable",
    Seal < Fork: "the root that was writable for set-up must not stay so",
    Names < Fork: "the command may read its host name at once",
    Network < Fork: "the command may use loopback at once",
    IdMaps < Hide: "a hidden process's /proc files belong to the host's root, and a plain user could not write the maps",
    Hide < Fork: "the command shares init's uid: it could otherwise read init's memory and environment",
    Session < Fork: "the command's process group has to lie in the new session, or job control signals would be discarded as for an orphaned group",
    DetachOldRoot < Terminal: "the terminal is one of the sandbox's own /dev/pts, and has a name there",
    Session < Terminal: "only who leads a session without a terminal can give it one",
    Terminal < Fork: "the command comes to the foreground of a terminal that its session has",
    InnerIds < Terminal: "it is given to an id that the map holds",
    Output < Release: "who hands on between the terminals is there before there is a second one",
    WorkingDirectory < Identity: "a directory may be reachable only with the rights of set-up; it is checked to lie inside the root",
    Bounding < Identity: "dropping from the bounding set needs CAP_SETPCAP, which the change of ids may take away",
    Bounding < Capabilities: "dropping from the bounding set needs CAP_SETPCAP, which is given up here",
    Identity < Capabilities: "changing ids needs CAP_SETUID and CAP_SETGID, which are given up here",
    Identity < DeathSignal: "a change of ids clears the death signal",
    Capabilities < DeathSignal: "so that nothing that changes credentials comes after the death signal",
    Capabilities < NoNewPrivileges: "ambient capabilities are raised before privileges are frozen",
    NoNewPrivileges < Filter: "without CAP_SYS_ADMIN, the kernel takes a filter only from a process that can gain nothing by exec",
    WorkingDirectory < Landlock: "the rules are for the command, not for the set-up",
    NoNewPrivileges < Landlock: "without CAP_SYS_ADMIN, the kernel restricts only a process that can gain nothing by exec",
    OwnStreams < Landlock: "files are named by the descriptors that the command will have",
    OwnStreams < Streams: "a terminal or a pipe counts before a file",
    DetachOldRoot < Landlock: "whoever is restricted in files cannot change a mount any more",
    DetachOldRoot < Label: "the label is for the command alone, and is written through the /proc that it has",
    Label < Landlock: "the rules may not permit writing below /proc",
    Label < Filter: "the label is for the program that is executed, and the filter is a part of that",
    Landlock < AsExecuted: "the files of descriptors are named by them, and here they are closed",
    Landlock < Filter: "the filter may refuse the calls of Landlock",
    Memory < Filter: "the filter may refuse prctl",
    Streams < Descriptors: "the pipes themselves are closed at exec, so that the streams are their only ends",
    Streams < Filter: "the filter may refuse dup2",
    Identity < Tracing: "a change of ids would hide the payload from its tracer again",
    Landlock < Tracing: "what is done without a tracer is done the same with one",
    Tracing < Filter: "the filter may refuse prctl and pidfd_open",
    Descriptors < Filter: "the filter may refuse close_range",
    Signals < Filter: "the filter may refuse what resets signals",
    Capabilities < AsExecuted: "a command's capabilities are what exec leaves of those that were set",
    NoNewPrivileges < Stop: "without CAP_SYS_ADMIN, the kernel takes a filter only from a process that can gain nothing by exec",
    AsExecuted < Stop: "a process that is to end at its next call cannot give up anything",
    AsExecuted < Filter: "the filter may refuse the calls that give up what exec takes away",
    Stop < Filter: "of two filters that answer with an errno, the later one's counts: the sandbox's own must show",
    Descriptors < Exec: "a leaked directory descriptor leads out of the root",
    Filter < Exec: "the command's first instruction must be filtered",
    ProcessSettings < Capabilities: "raising a resource limit or a priority needs capabilities",
    ProcessSettings < Filter: "a filter may refuse the calls that set limits",
}

/// Holds at compile time: every rule agrees with the order of [`Phase`].
const _: () = {
    let mut i = 0;
    while i < RULES.len() {
        let rule = &RULES[i];
        // The supervisor's phases run beside the child's; the handshake (Clone, Release,
        // AwaitRelease) is what orders the two, so the numbers compare across them too.
        assert!(
            (rule.before as usize) < (rule.after as usize),
            "a rule contradicts the order"
        );
        i += 1;
    }
};
