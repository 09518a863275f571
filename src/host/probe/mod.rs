//! The mechanisms that a sandbox is made of, and what this machine says about each: whether it
//! works here, what is in the way, and what would remove that, and no more than that.
//!
//! Nothing is concluded from version numbers or settings that can be tried: it is tried, in a child
//! that is thrown away ([`attempt`]); settings explain what failed ([`evidence`]).

mod attempt;
mod evidence;
mod groups;
mod kernel;
mod mounts;
mod namespaces;
mod networks;
mod programs;

use super::Host;
use super::cgroup::Controller;
use crate::plan::op::label::Module;
use attempt::Ids;
use evidence::Cause;

macro_rules! mechanisms {
    ($($(#[doc = $doc:expr])* $name:ident = $word:literal,)*) => {
        /// Something that a sandbox may be made of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mechanism { $($(#[doc = $doc])* $name,)* }

        impl Mechanism {
            /// Every mechanism.
            pub const ALL: &[Mechanism] = &[$(Mechanism::$name,)*];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Mechanism::$name => $word,)* }
            }
        }
    };
}

mechanisms! {
    /// A kernel that is new enough.
    Kernel = "kernel",
    /// `/proc`, from which every fact about ids, namespaces and groups comes.
    Proc = "proc",
    /// The caller's ids and rights.
    Caller = "caller",
    /// user_namespaces(7).
    UserNamespace = "user-namespace",
    /// mount_namespaces(7).
    MountNamespace = "mount-namespace",
    /// pid_namespaces(7).
    PidNamespace = "pid-namespace",
    /// ipc_namespaces(7).
    IpcNamespace = "ipc-namespace",
    /// uts_namespaces(7).
    UtsNamespace = "uts-namespace",
    /// network_namespaces(7).
    NetNamespace = "net-namespace",
    /// cgroup_namespaces(7).
    CgroupNamespace = "cgroup-namespace",
    /// time_namespaces(7).
    TimeNamespace = "time-namespace",
    /// How many namespaces may be made: `/proc/sys/user/max_*` (namespaces(7)).
    NamespaceLimits = "namespace-limits",
    /// Mounts by descriptor: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).
    MountApi = "mount-api",
    /// pivot_root(2).
    PivotRoot = "pivot-root",
    /// Mounts that show owners under other ids (mount_setattr(2)).
    IdmappedMounts = "idmapped-mounts",
    /// overlayfs in a user namespace.
    Overlayfs = "overlayfs",
    /// A proc of a pid namespace's own.
    FreshProc = "fresh-proc",
    /// A sysfs of a network namespace's own.
    FreshSysfs = "fresh-sysfs",
    /// The cgroup hierarchies, and where we are in them (cgroups(7)).
    Cgroups = "cgroups",
    /// Limits on the number of processes.
    CgroupPids = "cgroup-pids",
    /// Limits on memory and swap.
    CgroupMemory = "cgroup-memory",
    /// Limits on processor time.
    CgroupCpu = "cgroup-cpu",
    /// Limits to certain processors.
    CgroupCpuset = "cgroup-cpuset",
    /// Counting processor time.
    CgroupCpuacct = "cgroup-cpuacct",
    /// Limits on input and output.
    CgroupIo = "cgroup-io",
    /// Limits on huge pages.
    CgroupHugetlb = "cgroup-hugetlb",
    /// Rules about which devices may be opened.
    CgroupDevices = "cgroup-devices",
    /// Rules about the addresses with which packets of the host's network are exchanged.
    CgroupPackets = "cgroup-packets",
    /// Id maps of more than one id: subuid(5), newuidmap(1).
    SubordinateIds = "subordinate-ids",
    /// System call filters (seccomp(2)).
    Seccomp = "seccomp",
    /// Memory that was written is never executed (PR_SET_MDWE of prctl(2)).
    WriteExecute = "write-execute",
    /// landlock(7).
    Landlock = "landlock",
    /// Profiles of AppArmor on exec.
    Apparmor = "apparmor",
    /// Contexts of SELinux on exec.
    Selinux = "selinux",
    /// ptrace(2), as Yama restricts it.
    Ptrace = "ptrace",
    /// Pairs of interfaces, for the network of a sandbox of root's (veth(4)).
    Veth = "veth",
    /// Interfaces behind one of the host's.
    Macvlan = "macvlan",
    /// A network for plain users: pasta(1).
    Pasta = "pasta",
    /// A part of a message bus: xdg-dbus-proxy(1).
    BusProxy = "bus-proxy",
    /// The gate of `allow` under `[network]`: veth(4) and packet(7) in a network namespace.
    Gate = "network-gate",
    /// Limits on what goes through interfaces: tc-tbf(8).
    Rate = "network-rate",
    /// Lines that delay and lose what goes through interfaces: tc-netem(8).
    Delay = "network-delay",
    /// Packet filters of the kernel's: nftables.
    Nftables = "nftables",
    /// A packet filter of the sandbox's own, for `allow` beside a connected mode: nftables in a network namespace.
    PacketFilter = "network-filter",
}

impl Mechanism {
    /// The one behind the limits of a controller.
    #[must_use]
    pub const fn of_controller(controller: Controller) -> Self {
        match controller {
            Controller::Pids => Self::CgroupPids,
            Controller::Memory => Self::CgroupMemory,
            Controller::Cpu => Self::CgroupCpu,
            Controller::Cpuset => Self::CgroupCpuset,
            Controller::Cpuacct => Self::CgroupCpuacct,
            Controller::Io => Self::CgroupIo,
            Controller::Hugetlb => Self::CgroupHugetlb,
            Controller::Devices => Self::CgroupDevices,
            Controller::Packets => Self::CgroupPackets,
        }
    }

    /// The one behind a kind of namespace, by its name in `/proc/self/ns`.
    #[must_use]
    pub fn of_namespace(name: &str) -> Option<Self> {
        let kind = namespaces::KINDS.iter().find(|kind| kind.name == name)?;
        Some(kind.mechanism)
    }
}

/// How it stands with a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Ok,
    /// A part of it works.
    Limited,
    /// Something is in the way.
    Blocked,
    /// It is not there: the kernel was built without it, a program is not installed.
    Missing,
    /// This caller has no use for it.
    Unused,
}

impl State {
    /// Its name in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Blocked => "blocked",
            Self::Missing => "missing",
            Self::Unused => "unused",
        }
    }
}

/// What was found out about a mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub mechanism: Mechanism,
    /// How it stands with it.
    pub state: State,
    /// What there is, or what is in the way: one line.
    pub detail: String,
    /// What to do, if something is in the way; the first line says it, further ones are commands.
    pub remedy: Option<String>,
}

/// What is found out, before it is said of which mechanism.
struct Found(State, String, Option<String>);

impl Found {
    fn ok(detail: impl Into<String>) -> Self {
        Self(State::Ok, detail.into(), None)
    }

    fn unused(detail: impl Into<String>) -> Self {
        Self(State::Unused, detail.into(), None)
    }

    fn limited(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(State::Limited, detail.into(), Some(remedy.into()))
    }

    fn missing(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(State::Missing, detail.into(), Some(remedy.into()))
    }

    /// What is made in a user namespace; its own line says what is in the way of that.
    fn without_user_namespace() -> Self {
        let name = Mechanism::UserNamespace.name();
        let blocker = format!("it is made in a user namespace, which cannot be had: see {name}");
        Self(State::Blocked, blocker, None)
    }

    fn blocked(blocker: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(State::Blocked, blocker.into(), Some(remedy.into()))
    }
}

impl From<Cause> for Found {
    fn from(cause: Cause) -> Self {
        Self::blocked(cause.blocker, cause.remedy)
    }
}

/// What would kill the supervisor of a run before it could say a word, and what to do about it.
#[must_use]
pub fn deadly() -> Option<(String, String)> {
    evidence::deadly_filter().map(|cause| (cause.blocker, cause.remedy))
}

/// Finds out about one mechanism. May fork, and has no effect that stays.
#[must_use]
pub fn examine(mechanism: Mechanism, host: &Host) -> Finding {
    let ids = Ids::of(&host.caller);
    let Found(state, detail, remedy) = match mechanism {
        Mechanism::Kernel => kernel::version(),
        Mechanism::Proc => kernel::proc(),
        Mechanism::Caller => kernel::caller(&host.caller),
        Mechanism::UserNamespace
        | Mechanism::MountNamespace
        | Mechanism::PidNamespace
        | Mechanism::IpcNamespace
        | Mechanism::UtsNamespace
        | Mechanism::NetNamespace
        | Mechanism::CgroupNamespace
        | Mechanism::TimeNamespace => namespaces::of(mechanism, host, ids),
        Mechanism::NamespaceLimits => namespaces::limits(),
        Mechanism::MountApi => mounts::api(host, ids),
        Mechanism::PivotRoot => mounts::pivot_root(host, ids),
        Mechanism::IdmappedMounts => mounts::idmapped(host, ids),
        Mechanism::Overlayfs => mounts::overlayfs(host, ids),
        Mechanism::FreshProc => mounts::fresh_proc(host, ids),
        Mechanism::FreshSysfs => mounts::fresh_sysfs(host, ids),
        Mechanism::Cgroups => groups::hierarchies(host),
        Mechanism::CgroupPids => groups::controller(Controller::Pids, host),
        Mechanism::CgroupMemory => groups::controller(Controller::Memory, host),
        Mechanism::CgroupCpu => groups::controller(Controller::Cpu, host),
        Mechanism::CgroupCpuacct => groups::controller(Controller::Cpuacct, host),
        Mechanism::CgroupIo => groups::controller(Controller::Io, host),
        Mechanism::CgroupHugetlb => groups::controller(Controller::Hugetlb, host),
        Mechanism::CgroupDevices => groups::devices(host),
        Mechanism::CgroupPackets => groups::packets(host),
        Mechanism::CgroupCpuset => groups::controller(Controller::Cpuset, host),
        Mechanism::SubordinateIds => programs::subordinate_ids(host),
        Mechanism::Seccomp => kernel::seccomp(),
        Mechanism::WriteExecute => kernel::write_execute(),
        Mechanism::Landlock => kernel::landlock(),
        Mechanism::Apparmor => kernel::label(Module::Apparmor, host),
        Mechanism::Selinux => kernel::label(Module::Selinux, host),
        Mechanism::Ptrace => kernel::ptrace(),
        Mechanism::Gate => namespaces::gate(ids),
        Mechanism::Rate => namespaces::rate(ids),
        Mechanism::Delay => namespaces::delay(ids),
        Mechanism::Veth => networks::veth(host),
        Mechanism::Macvlan => networks::macvlan(host),
        Mechanism::Pasta => networks::pasta(host),
        Mechanism::BusProxy => programs::bus_proxy(host),
        Mechanism::Nftables => networks::nftables(host),
        Mechanism::PacketFilter => namespaces::filter(ids),
    };
    Finding {
        mechanism,
        state,
        detail,
        remedy,
    }
}
