//! Links, addresses and routes of a network namespace (rtnetlink(7)): requests in a buffer of their own, so that
//! they can be made after the clone, and the kernel's answer to each.

use super::{Result, check, check_int};
use nix::errno::Errno;
use std::ffi::CStr;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;

/// More than the longest request here.
const ROOM: usize = 256;
/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// `VETH_INFO_PEER` of linux/veth.h.
const VETH_INFO_PEER: u16 = 1;
/// The metric of a route that any other one comes before.
pub const LAST: u32 = 9999;
/// The index of the loopback interface in every namespace.
pub const LOOPBACK: i32 = 1;

/// Opens a socket for requests about the network namespace that the caller is in; it stays with that one.
pub fn open() -> Result<RawFd> {
    of(libc::NETLINK_ROUTE)
}

/// The same for requests about its packet filters.
pub fn open_netfilter() -> Result<RawFd> {
    of(libc::NETLINK_NETFILTER)
}

/// Opens a socket that gets the beginnings, of so many bytes, of the packets that filters tell a group of
/// (nfnetlink_log).
pub fn hear_packets(group: u16, length: u32) -> Result<RawFd> {
    // linux/netfilter/nfnetlink_log.h: NFULNL_MSG_CONFIG of NFNL_SUBSYS_ULOG; NFULA_CFG_CMD with
    // NFULNL_CFG_CMD_BIND; NFULA_CFG_MODE with NFULNL_COPY_PACKET.
    const CONFIGURE: u16 = 4 << 8 | 1;
    let socket = open_netfilter()?;
    let mut request = Request::new(CONFIGURE, 0);
    let [high, low] = group.to_be_bytes();
    request.push(&[libc::AF_UNSPEC as u8, 0, high, low]);
    request.attribute(1, &[1]);
    let [a, b, c, d] = length.to_be_bytes();
    request.attribute(2, &[a, b, c, d, 2, 0]);
    request.send(socket)?;
    Ok(socket)
}

fn of(protocol: libc::c_int) -> Result<RawFd> {
    // SAFETY: no pointers.
    check_int(unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            protocol,
        )
    })
}

/// A request that is being written.
struct Request {
    bytes: [u8; ROOM],
    length: usize,
}

impl Request {
    fn new(kind: u16, flags: libc::c_int) -> Self {
        let mut request = Self {
            bytes: [0; ROOM],
            length: HEADER,
        };
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        request.write_at(4, &kind.to_ne_bytes());
        request.write_at(6, &flags.to_ne_bytes());
        request
    }

    fn write_at(&mut self, at: usize, bytes: &[u8]) {
        let room = self.bytes.get_mut(at..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.write_at(self.length, bytes);
        // What does not fit shows in the length, and is not sent.
        self.length = self.length.saturating_add(bytes.len()).saturating_add(3) & !3;
    }

    /// `struct ifinfomsg`.
    fn link(&mut self, index: i32, flags: u32) {
        self.push(&[0; 4]);
        self.push(&index.to_ne_bytes());
        self.push(&flags.to_ne_bytes());
        self.push(&flags.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, bytes: &[u8]) {
        let length = bytes.len().saturating_add(4) as u16;
        let [a, b] = length.to_ne_bytes();
        let [c, d] = kind.to_ne_bytes();
        self.push(&[a, b, c, d]);
        self.push(bytes);
    }

    fn address(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(four) => self.attribute(kind, &four.octets()),
            IpAddr::V6(six) => self.attribute(kind, &six.octets()),
        }
    }

    /// An attribute that holds others.
    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.length;
        self.attribute(kind, &[]);
        fill(self);
        let length = self.length.saturating_sub(start) as u16;
        self.write_at(start, &length.to_ne_bytes());
    }

    /// A new discipline of what an interface sends (tc(8)).
    fn discipline(index: i32, handle: u32, parent: u32, kind: &CStr) -> Self {
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Self::new(libc::RTM_NEWQDISC, create);
        // `struct tcmsg`.
        request.push(&[libc::AF_UNSPEC as u8, 0, 0, 0]);
        request.push(&index.to_ne_bytes());
        request.push(&handle.to_ne_bytes());
        request.push(&parent.to_ne_bytes());
        request.push(&0u32.to_ne_bytes());
        request.attribute(libc::TCA_KIND, kind.to_bytes_with_nul());
        request
    }

    /// Sends it, and waits for the answer.
    fn send(mut self, socket: RawFd) -> Result<()> {
        let length = self.length;
        self.write_at(0, &(length as u32).to_ne_bytes());
        ask(socket, self.bytes.get(..length).ok_or(Errno::EMSGSIZE)?)
    }
}

/// Sends requests as one message, and waits for the answer, which is to be asked for once.
pub fn ask(socket: RawFd, bytes: &[u8]) -> Result<()> {
    // SAFETY: the pointer and the length are those of a live slice. Without an address, it goes to the kernel.
    check(unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), 0) } as libc::c_long)?;
    let mut answer = [0u8; 1024];
    // SAFETY: the pointer and the length are those of a live, exclusive array.
    let read = unsafe { libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), 0) };
    check(read as libc::c_long)?;
    // `struct nlmsgerr`: after the header, an errno below zero, or zero.
    let word = |at: usize| {
        let bytes = answer.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(i32::from_ne_bytes)
    };
    let kind = word(4).map(|word| word.to_ne_bytes());
    match (kind, word(HEADER)) {
        (Some([a, b, ..]), Some(errno))
            if i32::from(u16::from_ne_bytes([a, b])) == libc::NLMSG_ERROR =>
        {
            match errno {
                0 => Ok(()),
                errno => Err(Errno::from_raw(errno.wrapping_neg())),
            }
        }
        _ => Err(Errno::EPROTO),
    }
}

/// A name of an interface, of less than 16 bytes.
pub type Interface = std::ffi::CStr;

/// Makes a pair of connected interfaces (veth(4)): one in the socket's namespace, the other in that of `peer`. Each
/// has a name, a number, and an address of Ethernet.
pub fn make_pair(
    socket: RawFd,
    (name, index, hardware): (&Interface, i32, [u8; 6]),
    (peer_name, peer_index, peer_hardware): (&Interface, i32, [u8; 6]),
    peer: RawFd,
    mtu: u32,
) -> Result<()> {
    let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut request = Request::new(libc::RTM_NEWLINK, create);
    request.link(index, 0);
    request.attribute(libc::IFLA_IFNAME, name.to_bytes_with_nul());
    request.attribute(libc::IFLA_ADDRESS, &hardware);
    request.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    request.nest(libc::IFLA_LINKINFO, |request| {
        request.attribute(libc::IFLA_INFO_KIND, b"veth");
        request.nest(libc::IFLA_INFO_DATA, |request| {
            request.nest(VETH_INFO_PEER, |request| {
                request.link(peer_index, 0);
                request.attribute(libc::IFLA_IFNAME, peer_name.to_bytes_with_nul());
                request.attribute(libc::IFLA_ADDRESS, &peer_hardware);
                request.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
                request.attribute(libc::IFLA_NET_NS_FD, &peer.to_ne_bytes());
            });
        });
    });
    request.send(socket)
}

/// Brings an interface up.
pub fn bring_up(socket: RawFd, index: i32) -> Result<()> {
    let mut request = Request::new(libc::RTM_NEWLINK, 0);
    request.link(index, libc::IFF_UP as u32);
    request.send(socket)
}

/// Gives an interface an address, which can be used at once.
pub fn add_address(socket: RawFd, index: i32, address: IpAddr, length: u8) -> Result<()> {
    let mut request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
    let flags = match address {
        IpAddr::V4(_) => 0,
        // Nobody else can have it.
        IpAddr::V6(_) => libc::IFA_F_NODAD as u8,
    };
    request.push(&[family(address), length, flags, libc::RT_SCOPE_UNIVERSE]);
    request.push(&index.to_ne_bytes());
    request.address(libc::IFA_LOCAL, address);
    request.address(libc::IFA_ADDRESS, address);
    request.send(socket)
}

/// `struct tc_netem_qopt` of linux/pkt_sched.h: six numbers.
const NETEM_PARAMETERS: usize = 24;
const TCA_NETEM_LATENCY64: u16 = 10;
/// How many packets may be on their way; further ones are lost.
const ON_THEIR_WAY: u32 = 1000;

/// Lets an interface send each packet so much later, and lose so many of 2^32, but for one (tc-netem(8)).
pub fn worsen(socket: RawFd, index: i32, delay: Duration, loss: u32) -> Result<()> {
    let mut parameters = [0; NETEM_PARAMETERS];
    for (at, number) in [(4, ON_THEIR_WAY), (8, loss)] {
        for (to, from) in parameters
            .get_mut(at..)
            .unwrap_or_default()
            .iter_mut()
            .zip(number.to_ne_bytes())
        {
            *to = from;
        }
    }
    let delay = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
    let mut request = Request::discipline(index, WORSE, TC_H_ROOT, c"netem");
    request.nest(libc::TCA_OPTIONS, |request| {
        request.push(&parameters);
        request.attribute(TCA_NETEM_LATENCY64, &delay.to_ne_bytes());
    });
    request.send(socket)
}

/// `struct tc_tbf_qopt` of linux/pkt_sched.h: two rates, and three numbers.
const TBF_PARAMETERS: usize = 36;
/// The attributes of a token bucket filter.
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// Packets are frames of Ethernet, for the sake of their length.
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// The root of what an interface sends.
const TC_H_ROOT: u32 = 0xffff_ffff;
/// The handle of a worse line, and what it lets out.
const WORSE: u32 = 1 << 16;
const BEHIND_WORSE: u32 = WORSE | 1;

/// How long what cannot be sent yet waits, as a part of a second.
const WAIT: u64 = 10;
/// For how long a rate may be exceeded, as a part of a second.
const BURST: u64 = 50;

/// Lets an interface send so many bytes each second (tc-tbf(8)), in bursts of no less than `packet` bytes,
/// the longest that there is; or so many of what a worse line lets out (`behind`).
pub fn limit_rate(socket: RawFd, index: i32, rate: u64, packet: u32, behind: bool) -> Result<()> {
    let least = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let burst = least(rate / BURST).max(packet);
    let limit = least(rate / WAIT).max(burst);
    let mut parameters = [0; TBF_PARAMETERS];
    let narrow = u32::try_from(rate).unwrap_or(u32::MAX);
    for (at, bytes) in [
        (1, &[TC_LINKLAYER_ETHERNET][..]),
        (8, &narrow.to_ne_bytes()),
        (24, &limit.to_ne_bytes()),
    ] {
        for (to, from) in parameters
            .get_mut(at..)
            .unwrap_or_default()
            .iter_mut()
            .zip(bytes)
        {
            *to = *from;
        }
    }
    let parent = if behind { BEHIND_WORSE } else { TC_H_ROOT };
    let mut request = Request::discipline(index, 0, parent, c"tbf");
    request.nest(libc::TCA_OPTIONS, |request| {
        request.attribute(TCA_TBF_PARMS, &parameters);
        if u64::from(narrow) != rate {
            request.attribute(TCA_TBF_RATE64, &rate.to_ne_bytes());
        }
        request.attribute(TCA_TBF_BURST, &burst.to_ne_bytes());
    });
    request.send(socket)
}

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They have arrived.
    Here,
    /// Through an interface, to a neighbour there.
    Through(i32, IpAddr),
}

/// Sends what goes to a network a way, in place of what was there with this metric.
pub fn add_route(
    socket: RawFd,
    (address, length): (IpAddr, u8),
    way: Way,
    metric: u32,
) -> Result<()> {
    let create = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let mut request = Request::new(libc::RTM_NEWROUTE, create);
    let (kind, scope, interface) = match way {
        Way::Here => (libc::RTN_LOCAL, libc::RT_SCOPE_HOST, LOOPBACK),
        Way::Through(interface, _) => (libc::RTN_UNICAST, libc::RT_SCOPE_UNIVERSE, interface),
    };
    request.push(&[family(address), length, 0, 0]);
    // The table of all routes but the addresses of interfaces, so that those come first.
    request.push(&[libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, scope, kind]);
    request.push(&[0; 4]);
    if length > 0 {
        request.address(libc::RTA_DST, address);
    }
    request.attribute(libc::RTA_OIF, &interface.to_ne_bytes());
    request.attribute(libc::RTA_PRIORITY, &metric.to_ne_bytes());
    if let Way::Through(_, neighbour) = way {
        request.address(libc::RTA_GATEWAY, neighbour);
    }
    request.send(socket)
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}
