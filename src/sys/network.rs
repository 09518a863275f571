//! The loopback interface (netdevice(7)), and the sockets of the gate.

use super::{Result, check_int, descriptor};
use nix::errno::Errno;
use std::ffi::CStr;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

/// Brings up `lo` in the network namespace of the caller (`SIOCSIFFLAGS`).
pub fn loopback_up() -> Result<()> {
    // SAFETY: no pointers.
    let socket = check_int(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    })?;
    // SAFETY: an ifreq of zeros is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives here.
    let result =
        check_int(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) });
    descriptor::close(socket);
    result.map(drop)
}

/// Enters a network namespace (setns(2)).
pub fn enter(namespace: std::os::fd::RawFd) -> Result<()> {
    super::identity::enter_namespace(namespace, libc::CLONE_NEWNET)
}

/// The network namespace that a socket belongs to, as a descriptor (`SIOCGSKNS`).
pub fn namespace_of(socket: RawFd) -> Result<RawFd> {
    const SIOCGSKNS: libc::c_ulong = 0x894c;
    // SAFETY: the request takes no argument, and returns a descriptor.
    check_int(unsafe { libc::ioctl(socket, SIOCGSKNS as _) })
}

/// How many connections wait until they are taken.
const BACKLOG: libc::c_int = 256;

/// A socket that listens at a port of every address, of both IPv4 and IPv6 where there is that, as far as packets
/// come through an interface and pass a filter, which sees them from the header of tcp(7) on.
pub fn listen_at(port: u16, interface: &CStr, filter: &[libc::sock_filter]) -> Result<RawFd> {
    let socket = match open(libc::AF_INET6, libc::SOCK_STREAM) {
        Err(Errno::EAFNOSUPPORT) => open(libc::AF_INET, libc::SOCK_STREAM)?,
        result => result?,
    };
    attach(socket, filter)?;
    prepare(socket, port, interface)?;
    // SAFETY: no pointers.
    check_int(unsafe { libc::listen(socket, BACKLOG) })?;
    Ok(socket)
}

/// The same for datagrams, each of which comes with the address that it was sent to.
pub fn datagrams_at(port: u16, interface: &CStr) -> Result<RawFd> {
    let socket = open(libc::AF_INET6, libc::SOCK_DGRAM)?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    prepare(socket, port, interface)?;
    Ok(socket)
}

/// A socket at one address and port: one that listens, or one for datagrams.
pub fn serve_at(address: Ipv4Addr, port: u16, stream: bool) -> Result<RawFd> {
    let kind = if stream {
        libc::SOCK_STREAM
    } else {
        libc::SOCK_DGRAM
    };
    let socket = open(libc::AF_INET, kind)?;
    share(socket)?;
    bind_v4(socket, address, port)?;
    if stream {
        // SAFETY: no pointers.
        check_int(unsafe { libc::listen(socket, BACKLOG) })?;
    }
    Ok(socket)
}

/// A socket that gets a copy of what comes in through an interface and passes a filter, from the header of the
/// network layer on (packet(7)).
pub fn observe(interface: i32, filter: &[libc::sock_filter]) -> Result<RawFd> {
    // Without a protocol, nothing comes before the filter is there.
    let socket = open(libc::AF_PACKET, libc::SOCK_DGRAM)?;
    attach(socket, filter)?;
    let address = on(interface, libc::ETH_P_ALL as u16);
    // SAFETY: the address is a live one of its family, of the size that is passed.
    check_int(unsafe {
        libc::bind(
            socket,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// A socket by which packets of any form are sent, and none is received (packet(7)).
pub fn speak_packets() -> Result<RawFd> {
    open(libc::AF_PACKET, libc::SOCK_RAW)
}

/// Sends a packet through an interface: to an address of Ethernet, or with a header of its own.
pub fn speak(socket: RawFd, interface: i32, to: Option<[u8; 6]>, packet: &[u8]) -> Result<()> {
    let protocol = match packet.first() {
        Some(first) if first >> 4 == 6 => libc::ETH_P_IPV6,
        _ => libc::ETH_P_IP,
    };
    let mut address = on(interface, protocol as u16);
    if let Some(to) = to {
        address.sll_halen = to.len() as u8;
        for (room, byte) in address.sll_addr.iter_mut().zip(to) {
            *room = byte;
        }
    }
    // SAFETY: both pointers are those of live values, of the sizes that are passed.
    let sent = unsafe {
        libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    super::check(sent as libc::c_long).map(drop)
}

/// Takes a packet that has come: how long it is, through which interface, and from which address of Ethernet.
pub fn hear(socket: RawFd, packet: &mut [u8]) -> Result<(usize, i32, [u8; 6])> {
    let mut address = on(0, 0);
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: all pointers are those of live, exclusive values, of the sizes that are passed.
    let read = unsafe {
        libc::recvfrom(
            socket,
            packet.as_mut_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    let read = super::check(read as libc::c_long)?;
    let [a, b, c, d, e, f, ..] = address.sll_addr;
    Ok((read as usize, address.sll_ifindex, [a, b, c, d, e, f]))
}

/// An address of packet(7).
fn on(interface: i32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: zeros are a valid address of this family.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface;
    address
}

/// Lets through to a socket only what passes a filter.
fn attach(socket: RawFd, filter: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads `len` instructions at `filter`, both of a live slice.
    check_int(unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Lets the end of a connection be a reset, so that the other side sees that it was refused.
pub fn reset_at_close(socket: RawFd) -> Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the kernel reads a structure that lives here, of the size that is passed.
    check_int(unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Lets a socket be ready for reading only once so many bytes have come (`SO_RCVLOWAT`).
pub fn wake_at(socket: RawFd, bytes: usize) -> Result<()> {
    set(
        socket,
        libc::SOL_SOCKET,
        libc::SO_RCVLOWAT,
        libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX),
    )
}

/// Whether nothing comes after what can be read of a connection (`POLLRDHUP` of poll(2)).
#[must_use]
pub fn says_no_more(socket: RawFd) -> bool {
    let events = libc::POLLRDHUP;
    let mut asked = libc::pollfd {
        fd: socket,
        events,
        revents: 0,
    };
    // SAFETY: one entry, which is written to.
    let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
    ready > 0 && asked.revents & (events | libc::POLLHUP | libc::POLLERR) != 0
}

fn open(family: libc::c_int, kind: libc::c_int) -> Result<RawFd> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })
}

fn set(socket: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> Result<()> {
    // SAFETY: the kernel reads an int that lives here.
    check_int(unsafe {
        libc::setsockopt(
            socket,
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Lets a socket at one address stand beside one at every address; who is sent to it, the kernel finds there.
fn share(socket: RawFd) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Binds a socket to an interface, and to a port of every address.
fn prepare(socket: RawFd, port: u16, interface: &CStr) -> Result<()> {
    let name = interface.to_bytes_with_nul();
    // SAFETY: the kernel reads a name that lives here, of the length that is passed.
    check_int(unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    })?;
    share(socket)?;
    match set(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0) {
        // A socket of IPv4.
        Err(Errno::ENOPROTOOPT | Errno::EOPNOTSUPP) => {
            return bind_v4(socket, Ipv4Addr::UNSPECIFIED, port);
        }
        result => result?,
    }
    // SAFETY: zeros are a valid address of this family.
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    address.sin6_port = port.to_be();
    // SAFETY: the address is a live one of its family, of the size that is passed.
    check_int(unsafe {
        libc::bind(
            socket,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        )
    })
    .map(drop)
}

fn bind_v4(socket: RawFd, address: Ipv4Addr, port: u16) -> Result<()> {
    // SAFETY: zeros are a valid address of this family.
    let mut to: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    to.sin_family = libc::AF_INET as libc::sa_family_t;
    to.sin_port = port.to_be();
    to.sin_addr.s_addr = address.to_bits().to_be();
    // SAFETY: the address is a live one of its family, of the size that is passed.
    check_int(unsafe {
        libc::bind(
            socket,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    })
    .map(drop)
}
