//! Namespaces: each kind is made, together with a user namespace, as a run makes it.

use super::attempt::{self, Ids};
use super::evidence::{self, sysctl};
use super::{Found, Mechanism};
use crate::host::Host;
use crate::plan::egress::Rules;
use crate::plan::op::filter::{GROUP, KEPT, PacketFilter};
use crate::plan::op::gate::OPEN;
use crate::sys::{self, identity, mount, netlink, network, process};
use nix::errno::Errno;

/// A kind of namespace.
pub(super) struct Kind {
    pub(super) mechanism: Mechanism,
    /// As in `/proc/self/ns`, and in `user.max_*_namespaces`.
    pub(super) name: &'static str,
    flag: libc::c_int,
    /// What shows that it can be used: AppArmor, for one, lets a user namespace be made that is
    /// good for nothing.
    used: fn() -> sys::Result<()>,
    /// The build option of the kernel.
    option: &'static str,
}

/// The kinds.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        mechanism: Mechanism::UserNamespace,
        name: "user",
        flag: libc::CLONE_NEWUSER,
        // CAP_CHOWN; to drop it takes CAP_SETPCAP in the namespace.
        used: || identity::drop_from_bounding_set(0),
        option: "CONFIG_USER_NS",
    },
    Kind {
        mechanism: Mechanism::MountNamespace,
        name: "mnt",
        flag: libc::CLONE_NEWNS,
        used: mount::make_all_private,
        option: "CONFIG_NAMESPACES",
    },
    Kind {
        mechanism: Mechanism::PidNamespace,
        name: "pid",
        flag: libc::CLONE_NEWPID,
        used: || match process::parent() {
            0 => Ok(()),
            _ => Err(Errno::ECHILD),
        },
        option: "CONFIG_PID_NS",
    },
    Kind {
        mechanism: Mechanism::IpcNamespace,
        name: "ipc",
        flag: libc::CLONE_NEWIPC,
        used: || Ok(()),
        option: "CONFIG_IPC_NS",
    },
    Kind {
        mechanism: Mechanism::UtsNamespace,
        name: "uts",
        flag: libc::CLONE_NEWUTS,
        used: || process::set_hostname(c"trial"),
        option: "CONFIG_UTS_NS",
    },
    Kind {
        mechanism: Mechanism::NetNamespace,
        name: "net",
        flag: libc::CLONE_NEWNET,
        used: network::loopback_up,
        option: "CONFIG_NET_NS",
    },
    Kind {
        mechanism: Mechanism::CgroupNamespace,
        name: "cgroup",
        // A run makes it from inside, once it is in its group.
        flag: 0,
        used: || identity::unshare(libc::CLONE_NEWCGROUP),
        option: "CONFIG_CGROUPS",
    },
    Kind {
        mechanism: Mechanism::TimeNamespace,
        name: "time",
        flag: libc::CLONE_NEWTIME,
        used: || Ok(()),
        option: "CONFIG_TIME_NS",
    },
];

impl Kind {
    fn maximum(&self) -> String {
        format!("user.max_{}_namespaces", self.name)
    }
}

/// One kind.
pub(super) fn of(mechanism: Mechanism, host: &Host, ids: Ids) -> Found {
    let Some(kind) = KINDS.iter().find(|kind| kind.mechanism == mechanism) else {
        return Found::unused("no kind of namespace");
    };
    if !std::path::Path::new("/proc/self/ns").exists() {
        return Found::blocked("/proc does not show it", "mount -t proc proc /proc");
    }
    if !host.has_namespace(kind.name) {
        return Found::missing(
            "this kernel does not have it",
            format!("use a kernel with {}, or share the namespace", kind.option),
        );
    }
    match attempt::inside(kind.flag, ids, &kind.used) {
        Ok(()) => {
            let who = match host.caller.has_rights() {
                true => "made and used by root, on ids of nobody",
                false => "made and used by this plain user",
            };
            Found::ok(if kind.mechanism == Mechanism::UserNamespace {
                who
            } else {
                "made and used"
            })
        }
        Err(refused) => {
            if kind.mechanism != Mechanism::UserNamespace && !has_user_namespace(ids) {
                return Found::without_user_namespace();
            }
            evidence::of_refusal(refused, &host.caller, &kind.maximum()).into()
        }
    }
}

/// A pair of interfaces, and somebody who sees what passes.
pub(super) fn gate(ids: Ids) -> Found {
    let pair = || pair().map(drop);
    let nothing = [libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let observe = || network::observe(0, &nothing).map(sys::descriptor::close);
    let needs = |what: &str, option: &str| {
        Found::missing(
            format!("this kernel has no {what}"),
            format!("use a kernel with {option}, or do without `allow` under [network]"),
        )
    };
    if attempt::inside(libc::CLONE_NEWNET, ids, &network::loopback_up).is_err() {
        let name = Mechanism::NetNamespace.name();
        let blocker = format!("it lies in a network namespace, which cannot be had: see {name}");
        return Found(super::State::Blocked, blocker, None);
    }
    if attempt::inside(libc::CLONE_NEWNET, ids, &pair).is_err() {
        return needs("veth(4)", "CONFIG_VETH");
    }
    match attempt::inside(libc::CLONE_NEWNET, ids, &observe) {
        Ok(()) => Found::ok("linked and observed"),
        Err(_) => needs("packet(7)", "CONFIG_PACKET"),
    }
}

/// A pair of interfaces, of which one sends no faster than it is told.
pub(super) fn rate(ids: Ids) -> Found {
    let network = attempt::inside(libc::CLONE_NEWNET, ids, &|| pair().map(drop));
    if network.is_err() {
        let name = Mechanism::Gate.name();
        let blocker = format!("it takes a pair of interfaces, which cannot be had: see {name}");
        let remedy = format!("what {name} asks for, or do without `rate` under [network]");
        return Found(super::State::Blocked, blocker, Some(remedy));
    }
    let limited = || netlink::limit_rate(pair()?, 11, 1 << 20, 2000, false);
    match attempt::inside(libc::CLONE_NEWNET, ids, &limited) {
        Ok(()) => Found::ok("what an interface sends is limited"),
        Err(_) => Found::missing(
            "this kernel has no token bucket filter",
            "modprobe sch_tbf (CONFIG_NET_SCH_TBF), or do without `rate` under [network]",
        ),
    }
}

/// The same of which one sends later than it is told.
pub(super) fn delay(ids: Ids) -> Found {
    let network = attempt::inside(libc::CLONE_NEWNET, ids, &|| pair().map(drop));
    if network.is_err() {
        let name = Mechanism::Gate.name();
        let blocker = format!("it takes a pair of interfaces, which cannot be had: see {name}");
        let remedy =
            format!("what {name} asks for, or do without `delay` and `loss` under [network]");
        return Found(super::State::Blocked, blocker, Some(remedy));
    }
    let delayed = || netlink::worsen(pair()?, 11, std::time::Duration::from_millis(1), 1);
    match attempt::inside(libc::CLONE_NEWNET, ids, &delayed) {
        Ok(()) => Found::ok("what an interface sends is delayed and lost"),
        Err(_) => Found::missing(
            "this kernel has no network emulator",
            "modprobe sch_netem (CONFIG_NET_SCH_NETEM), or do without `delay` and `loss` under [network]",
        ),
    }
}

/// A packet filter in a network that is thrown away, and somebody who hears what it refuses.
pub(super) fn filter(ids: Ids) -> Found {
    if attempt::inside(libc::CLONE_NEWNET, ids, &network::loopback_up).is_err() {
        let name = Mechanism::NetNamespace.name();
        let blocker = format!("it lies in a network namespace, which cannot be had: see {name}");
        return Found(super::State::Blocked, blocker, None);
    }
    let filter = PacketFilter::new(&Rules::default());
    let filtered = || {
        netlink::hear_packets(GROUP, KEPT).map(sys::descriptor::close)?;
        netlink::ask(netlink::open_netfilter()?, &filter.batch)
    };
    match attempt::inside(libc::CLONE_NEWNET, ids, &filtered) {
        Ok(()) => Found::ok("packets are let out by address and port"),
        Err(_) => Found::missing(
            "this kernel lacks a part of its packet filters",
            "modprobe -a nf_tables nft_ct nft_reject_inet nft_log nfnetlink_log (CONFIG_NF_TABLES_INET, NFT_CT, NFT_REJECT_INET, NFT_LOG, NETFILTER_NETLINK_LOG), or do without `allow` under [network] beside another mode",
        ),
    }
}

/// Two interfaces in the network that this process is in, of the numbers 11 and 12; a socket for more requests.
fn pair() -> sys::Result<std::os::fd::RawFd> {
    let socket = netlink::open()?;
    let here = network::namespace_of(socket)?;
    let [one, other] = OPEN.hardware;
    let (one, other) = ((c"trial0", 11, one), (c"trial1", 12, other));
    netlink::make_pair(socket, one, other, here, 1500)?;
    Ok(socket)
}

/// Whether a user namespace can be had, without which there is nothing else to be tried.
pub(super) fn has_user_namespace(ids: Ids) -> bool {
    attempt::inside(0, ids, &|| identity::drop_from_bounding_set(0)).is_ok()
}

/// The limits of this user namespace. Outer ones have their own, which are not shown.
pub(super) fn limits() -> Found {
    let limits: Vec<(String, String)> = KINDS
        .iter()
        .filter_map(|kind| Some((kind.maximum(), sysctl(&kind.maximum())?)))
        .collect();
    if limits.is_empty() {
        return Found::limited("/proc/sys/user cannot be read", "mount /proc completely");
    }
    let none: Vec<&str> = limits
        .iter()
        .filter(|(_, limit)| limit == "0")
        .map(|(name, _)| name.as_str())
        .collect();
    if !none.is_empty() {
        let set: Vec<_> = none.iter().map(|name| format!("{name}=15000")).collect();
        return Found::blocked(
            format!("0, so that none may be made: {}", none.join(", ")),
            format!("sudo sysctl -w {}", set.join(" ")),
        );
    }
    let least = limits
        .iter()
        .filter_map(|(_, limit)| limit.parse::<u64>().ok())
        .min();
    Found::ok(format!(
        "{} or more of each kind in this user namespace (user.max_*_namespaces)",
        least.unwrap_or_default()
    ))
}
