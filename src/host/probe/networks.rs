//! What connects a sandbox with other networks.

use super::Found;
use super::attempt::{self, Refused};
use crate::host::Host;
use crate::host::link::{self, Given};
use crate::host::netlink::Netlink;
use crate::host::network::TUN;
use crate::sys::identity;
use nix::errno::Errno;

/// A pair of interfaces, made in a network that is thrown away.
pub(super) fn veth(host: &Host) -> Found {
    if !host.caller.has_rights_over_network() {
        return Found::unused("it takes root's rights over the network: plain users have pasta");
    }
    let tried = attempt::alone(&|| {
        identity::unshare(libc::CLONE_NEWNET)?;
        let mut netlink = Netlink::route()?;
        let (here, there) = (("sbx", None), ("eth0", std::process::id()));
        link::make_pair(&mut netlink, here, there, Given::default())?;
        Ok(0)
    });
    match tried {
        Ok(_) => Found::ok("pairs of interfaces"),
        Err(Refused::Inside(Errno::EOPNOTSUPP)) => Found::missing(
            "the kernel makes no pairs of interfaces",
            "modprobe veth (CONFIG_VETH)",
        ),
        Err(refused) => Found::blocked(
            format!("a pair of interfaces cannot be made: {}", words(refused)),
            "see the log of the kernel for a security module, and the filter of the container that this runs in",
        ),
    }
}

/// An interface behind another, in a network that is thrown away; that other one is of a pair.
pub(super) fn macvlan(host: &Host) -> Found {
    if !host.caller.has_rights_over_network() {
        return Found::unused("it takes root's rights over the network: plain users have pasta");
    }
    let tried = attempt::alone(&|| {
        identity::unshare(libc::CLONE_NEWNET)?;
        let mut netlink = Netlink::route()?;
        let own = std::process::id();
        link::make_pair(&mut netlink, ("sbx", None), ("sbx1", own), Given::default())?;
        let on = link::index(&mut netlink, "sbx")?;
        link::make_macvlan(&mut netlink, on, ("eth0", own), Given::default())?;
        Ok(0)
    });
    match tried {
        Ok(_) => Found::ok("interfaces that are machines of their own on the host's network"),
        Err(Refused::Inside(Errno::EOPNOTSUPP)) => Found::missing(
            "the kernel makes no interfaces behind others",
            "modprobe macvlan (CONFIG_MACVLAN)",
        ),
        Err(refused) => Found::blocked(
            format!(
                "an interface behind another cannot be made: {}",
                words(refused)
            ),
            "see the log of the kernel for a security module, and the filter of the container that this runs in",
        ),
    }
}

/// A network in user space.
pub(super) fn pasta(host: &Host) -> Found {
    let Some(path) = host.pasta() else {
        return Found::missing(
            "pasta is not installed: a network for plain users",
            "install it (package `passt`)",
        );
    };
    match host.may_open_tun() {
        Some(true) => Found::ok(format!("{}: a network for plain users", path.display())),
        Some(false) => Found::blocked(
            format!("{TUN} may not be opened by the ids that pasta takes"),
            format!("sudo chmod 666 {TUN}, as udev has it"),
        ),
        None => Found::blocked(
            format!("there is no {TUN}, by which pasta makes its interface"),
            "modprobe tun; in a container, let it have the device (for Docker: --device /dev/net/tun)",
        ),
    }
}

/// Packet filters: tried for the kernel's answer alone, since a table would be another's business.
pub(super) fn nftables(host: &Host) -> Found {
    if !host.caller.has_rights_over_network() {
        return Found::unused("it takes root's rights over the network");
    }
    match Netlink::netfilter() {
        Ok(_) => Found::ok("packet filters of the kernel's (nftables), over netlink"),
        Err(errno) => Found::missing(
            format!("the kernel has no packet filters: {}", errno.desc()),
            "modprobe nf_tables (CONFIG_NF_TABLES)",
        ),
    }
}

fn words(refused: Refused) -> String {
    match refused {
        Refused::Fork(errno) | Refused::Clone(errno) | Refused::Map(errno) => {
            errno.desc().to_owned()
        }
        Refused::Inside(errno) => errno.desc().to_owned(),
        Refused::Killed(signal) => format!("signal {signal}"),
    }
}
