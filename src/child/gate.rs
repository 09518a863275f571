//! The gate's side of the sandbox: a network namespace in which all that is sent arrives, and whose sockets the
//! supervisor gets. It stays as long as they do; nobody lives in it.

use super::{Child, Tag, UNOPENED, message};
use crate::plan::egress::{Network, Protocol};
use crate::plan::op::filter::{GROUP, KEPT, PacketFilter};
use crate::plan::op::gate::{LISTENER, Link, Listen, MTU, OPEN, RESOLVER, prefix};
use crate::plan::op::network::{self as network_op, Forwarded};
use crate::sys::netlink::{self, LAST, LOOPBACK, Way};
use crate::sys::{self, descriptor, identity, network};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;

/// What init holds of the two networks until the gate is made.
#[derive(Clone, Copy, Debug)]
pub struct Networks {
    /// Requests about the sandbox's network.
    inside: RawFd,
    /// The namespace of it.
    namespace: RawFd,
    /// Requests about the gate's.
    gate: RawFd,
}

/// None are open.
pub(crate) const NO_NETWORKS: Networks = Networks {
    inside: UNOPENED,
    namespace: UNOPENED,
    gate: UNOPENED,
};

/// Everywhere.
const ALL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

impl Child<'_> {
    /// Makes the gate's network and enters it.
    pub(super) fn make_gate_network(&mut self) -> sys::Result<()> {
        self.networks.inside = netlink::open()?;
        self.networks.namespace = network::namespace_of(self.networks.inside)?;
        identity::unshare(libc::CLONE_NEWNET)?;
        self.networks.gate = netlink::open()?;
        netlink::bring_up(self.networks.gate, LOOPBACK)?;
        for all in ALL {
            where_there_is_any(
                all,
                netlink::add_route(self.networks.gate, (all, 0), Way::Here, LAST),
            )?;
        }
        Ok(())
    }

    pub(super) fn link_gate(&self, link: &Link) -> sys::Result<()> {
        let Networks {
            inside,
            namespace,
            gate,
        } = self.networks;
        let [inside_address, gate_address] = link.hardware;
        let own = (link.name, link.gate_index, gate_address);
        let other = (link.name, link.index, inside_address);
        netlink::make_pair(gate, own, other, namespace, MTU)?;
        for (socket, index, addresses) in [
            (gate, link.gate_index, link.gate),
            (inside, link.index, link.inside),
        ] {
            for address in addresses {
                let added = netlink::add_address(socket, index, address, prefix(address));
                where_there_is_any(address, added)?;
            }
            netlink::bring_up(socket, index)?;
        }
        if link.rest {
            for (all, neighbour) in ALL.into_iter().zip(link.gate) {
                let way = Way::Through(link.index, neighbour);
                where_there_is_any(all, netlink::add_route(inside, (all, 0), way, LAST))?;
            }
        }
        Ok(())
    }

    pub(super) fn worsen_gate(&self, line: network_op::Line) -> sys::Result<()> {
        let network_op::Line { delay, loss } = line;
        netlink::worsen(self.networks.gate, OPEN.gate_index, delay, loss)?;
        netlink::worsen(self.networks.inside, OPEN.index, delay, loss)
    }

    pub(super) fn limit_gate(&self, rate: u64, behind: bool) -> sys::Result<()> {
        // Packets come with their header of Ethernet.
        let packet = MTU.saturating_add(14);
        netlink::limit_rate(self.networks.gate, OPEN.gate_index, rate, packet, behind)?;
        netlink::limit_rate(self.networks.inside, OPEN.index, rate, packet, behind)
    }

    pub(super) fn route_to_gate(&self, to: &Network) -> sys::Result<()> {
        let address = to.address();
        let [four, six] = OPEN.gate;
        let neighbour = if address.is_ipv4() { four } else { six };
        let way = Way::Through(OPEN.index, neighbour);
        let added = netlink::add_route(self.networks.inside, (address, to.length()), way, 0);
        where_there_is_any(address, added)
    }

    pub(super) fn listen_at_gate(&self, listen: Listen) -> sys::Result<()> {
        let socket = match listen {
            Listen::Resolver(protocol) => {
                network::serve_at(RESOLVER, 53, protocol == Protocol::Tcp)?
            }
            Listen::Port(Protocol::Tcp, port) => network::listen_at(port, OPEN.name, LISTENER)?,
            Listen::Port(Protocol::Udp, port) => network::datagrams_at(port, OPEN.name)?,
        };
        self.hand_over(socket)
    }

    pub(super) fn observe_gate(&self, filter: &[libc::sock_filter]) -> sys::Result<()> {
        self.hand_over(network::observe(0, filter)?)
    }

    /// Returns to the sandbox's network.
    pub(super) fn leave_gate_network(&mut self) -> sys::Result<()> {
        let Networks {
            inside,
            namespace,
            gate,
        } = std::mem::replace(&mut self.networks, NO_NETWORKS);
        identity::enter_namespace(namespace, libc::CLONE_NEWNET)?;
        descriptor::close(namespace);
        descriptor::close(gate);
        self.hand_over(inside)
    }

    /// In the sandbox's network, from where the gate hears what is sent.
    pub(super) fn repeat_at_gate(&self) -> sys::Result<()> {
        self.hand_over(network::speak_packets()?)
    }

    /// In the sandbox's own network, where there is no gate.
    pub(super) fn filter_packets(&self, filter: &PacketFilter) -> sys::Result<()> {
        // Who hears comes first, so that nothing is refused unheard.
        let heard = netlink::hear_packets(GROUP, KEPT)?;
        let netfilter = netlink::open_netfilter()?;
        let made = netlink::ask(netfilter, &filter.batch);
        descriptor::close(netfilter);
        made?;
        self.hand_over(heard)
    }

    /// At a port of the sandbox's own loopback.
    pub(super) fn listen_inside(&self, forwarded: Forwarded) -> sys::Result<()> {
        let Forwarded { protocol, port, .. } = forwarded;
        let stream = protocol == network_op::Protocol::Tcp;
        self.hand_over(network::serve_at(Ipv4Addr::LOCALHOST, port, stream)?)
    }

    /// At an address of the sandbox's own loopback.
    pub(super) fn listen_for_names(&self, protocol: network_op::Protocol) -> sys::Result<()> {
        let stream = protocol == network_op::Protocol::Tcp;
        self.hand_over(network::serve_at(network_op::RESOLVER, 53, stream)?)
    }

    /// Gives a socket to the supervisor, and keeps none.
    fn hand_over(&self, socket: RawFd) -> sys::Result<()> {
        let sent =
            descriptor::send_with_descriptor(self.socket, &message(Tag::Socket, 0, 0), socket);
        descriptor::close(socket);
        sent
    }
}

/// What cannot be had for IPv6 because this machine has none is nothing that could be passed by.
fn where_there_is_any(address: IpAddr, result: sys::Result<()>) -> sys::Result<()> {
    match result {
        Err(
            Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EACCES | Errno::ENODEV | Errno::EINVAL,
        ) if address.is_ipv6() => Ok(()),
        result => result,
    }
}
