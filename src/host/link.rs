//! What is asked of the kernel about interfaces, addresses and routes (rtnetlink(7)).

use super::netlink::Netlink;
use super::network::Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoMacVlan, InfoPortData, InfoPortKind, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::net::IpAddr;

/// What an interface is given that the kernel would choose otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// The largest packet, in bytes.
    pub mtu: Option<u32>,
    /// The hardware address.
    pub hardware: Option<[u8; 6]>,
}

impl Given {
    fn address(self) -> Option<LinkAttribute> {
        let bytes = self.hardware?;
        Some(LinkAttribute::Address(bytes.to_vec()))
    }
}

/// Makes a pair of interfaces: one here, with a bridge that it becomes a port of by the bridge's number, the
/// other in the network namespace of the process `pid`. A hardware address is that of the other.
///
/// # Errors
/// `EEXIST` where there is such a name; others of the kernel's.
pub fn make_pair(
    netlink: &mut Netlink,
    (here, bridge): (&str, Option<u32>),
    (there, pid): (&str, u32),
    given: Given,
) -> nix::Result<()> {
    let mtu = || given.mtu.map(LinkAttribute::Mtu);
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(there.to_owned()),
        LinkAttribute::NetNsPid(pid),
    ];
    peer.attributes.extend(mtu());
    peer.attributes.extend(given.address());
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(here.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    message.attributes.extend(mtu());
    message
        .attributes
        .extend(bridge.map(LinkAttribute::Controller));
    let what = RouteNetlinkMessage::NewLink(message);
    netlink.request(what, NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes an interface in the network namespace of the process `pid`, behind one here, by its number; several of them
/// reach each other, and none the host itself.
///
/// # Errors
/// `EOPNOTSUPP` where the kernel makes no such interfaces, `EINVAL` or `EBUSY` where that one can have none.
pub fn make_macvlan(
    netlink: &mut Netlink,
    on: u32,
    (there, pid): (&str, u32),
    given: Given,
) -> nix::Result<()> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(there.to_owned()),
        LinkAttribute::NetNsPid(pid),
        LinkAttribute::Link(on),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(
                MacVlanMode::Bridge,
            )])),
        ]),
    ];
    message.attributes.extend(given.mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(given.address());
    let what = RouteNetlinkMessage::NewLink(message);
    netlink.request(what, NLM_F_CREATE | NLM_F_EXCL)
}

fn numbered(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// Keeps a port of a bridge from exchanging packets with other isolated ones.
///
/// # Errors
/// The kernel's.
pub fn isolate(netlink: &mut Netlink, index: u32) -> nix::Result<()> {
    let mut message = numbered(index);
    message.attributes = vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(
            true,
        )])),
    ])];
    netlink.request(RouteNetlinkMessage::NewLink(message), 0)
}

/// Brings an interface up.
///
/// # Errors
/// The kernel's.
pub fn raise(netlink: &mut Netlink, index: u32) -> nix::Result<()> {
    let mut message = numbered(index);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink.request(RouteNetlinkMessage::SetLink(message), 0)
}

/// Removes an interface, and with it the other end of its pair.
///
/// # Errors
/// The kernel's.
pub fn remove(netlink: &mut Netlink, index: u32) -> nix::Result<()> {
    netlink.request(RouteNetlinkMessage::DelLink(numbered(index)), 0)
}

/// Gives an interface an address, to be used at once: nobody else on a network of the run's own can have it.
///
/// # Errors
/// The kernel's.
pub fn add_address(netlink: &mut Netlink, index: u32, net: Net) -> nix::Result<()> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = net.prefix;
    message.header.family = family(net.address);
    message.attributes = vec![AddressAttribute::Address(net.address)];
    if net.address.is_ipv4() {
        message
            .attributes
            .push(AddressAttribute::Local(net.address));
    } else {
        message.header.flags = AddressHeaderFlags::Nodad;
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let what = RouteNetlinkMessage::NewAddress(message);
    netlink.request(what, NLM_F_CREATE | NLM_F_EXCL)
}

/// Has the kernel ask anew who has an address on the network of an interface (arp(7), RFC 4861), as it would to send a
/// packet there.
///
/// # Errors
/// The kernel's.
pub fn ask_for(netlink: &mut Netlink, index: u32, address: IpAddr) -> nix::Result<()> {
    forget(netlink, index, address)?;
    let mut message = neighbour(index, address);
    message.header.flags = NeighbourFlags::Use;
    netlink.request(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE)
}

/// Forgets the answer; not one that was written down by hand.
///
/// # Errors
/// `EEXIST` where it was; others of the kernel's.
pub fn forget(netlink: &mut Netlink, index: u32, address: IpAddr) -> nix::Result<()> {
    let known = neighbours(netlink, index, address)?;
    if known.contains(&NeighbourState::Permanent) {
        return Err(Errno::EEXIST);
    }
    let what = RouteNetlinkMessage::DelNeighbour(neighbour(index, address));
    match netlink.request(what, 0) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

/// Whether the kernel can ask for an address of IPv6 there: it does so from an address of the link, which must not be
/// tentative itself any more (RFC 4862).
///
/// # Errors
/// The kernel's.
pub fn can_ask_by_ipv6(netlink: &mut Netlink, index: u32) -> nix::Result<bool> {
    let unready = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    let all = netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    Ok(all.iter().any(|message| match message {
        RouteNetlinkMessage::NewAddress(AddressMessage { header, .. }) => {
            header.index == index
                && header.family == AddressFamily::Inet6
                && header.scope == AddressScope::Link
                && !header.flags.intersects(unready)
        }
        _ => false,
    }))
}

/// Whether somebody has answered.
///
/// # Errors
/// The kernel's.
pub fn is_answered(netlink: &mut Netlink, index: u32, address: IpAddr) -> nix::Result<bool> {
    use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable, Stale};
    let known = neighbours(netlink, index, address)?;
    let answers = [Reachable, Stale, Delay, Probe, Noarp, Permanent];
    Ok(known.iter().any(|state| answers.contains(state)))
}

/// What is known of an address.
fn neighbours(
    netlink: &mut Netlink,
    index: u32,
    address: IpAddr,
) -> nix::Result<Vec<NeighbourState>> {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    let wanted = neighbour(index, address);
    let all = netlink.dump(RouteNetlinkMessage::GetNeighbour(message))?;
    let states = all.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(found) => (found.header.ifindex == index
            && wanted
                .attributes
                .iter()
                .all(|one| found.attributes.contains(one)))
        .then_some(found.header.state),
        _ => None,
    });
    Ok(states.collect())
}

fn neighbour(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    message
}

/// Routes everything else by a gateway.
///
/// # Errors
/// The kernel's.
pub fn add_default_route(netlink: &mut Netlink, index: u32, gateway: IpAddr) -> nix::Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(gateway);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Gateway(RouteAddress::from(gateway)),
        RouteAttribute::Oif(index),
    ];
    let what = RouteNetlinkMessage::NewRoute(message);
    netlink.request(what, NLM_F_CREATE | NLM_F_EXCL)
}

/// The number of an interface where the socket was made.
///
/// # Errors
/// `ENODEV` if there is none of this name.
pub fn index(netlink: &mut Netlink, name: &str) -> nix::Result<u32> {
    let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let found = links.iter().find_map(|message| match message {
        RouteNetlinkMessage::NewLink(message) => message
            .attributes
            .contains(&LinkAttribute::IfName(name.to_owned()))
            .then_some(message.header.index),
        _ => None,
    });
    found.ok_or(Errno::ENODEV)
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
