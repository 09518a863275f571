//! Addresses of a bridge's network that a sandbox has for itself.
//!
//! Among sandboxes, whoever has bound a certain port of the address has it: the kernel gives it to one of those that ask at
//! once, and takes it back however that ends. The port is one that plain users cannot bind. Machines of others on the bridge
//! are asked as for a packet to be sent; nothing is sent to them.

use crate::host::link;
use crate::host::netlink::Netlink;
use crate::plan::{Op, Plan};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, setsockopt, socket, sockopt,
};
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// The port (udp(7)) that stands for the address; nothing is sent or received there.
const PORT: u16 = 1;

/// How often it is asked who has an address, and how long an answer may take. On a bridge, machines answer within
/// a millisecond.
const TIMES: u32 = 3;
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(5);

/// How long a bridge that was just set up may take for an address of its own: a second, and as much at random before
/// that (RFC 4862).
const LINK: Duration = Duration::from_secs(5);

/// Addresses that are reserved, as long as this is kept.
#[derive(Debug, Default)]
pub struct Reserved(Vec<(IpAddr, OwnedFd)>);

/// An address that could not be had, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The address.
    pub address: IpAddr,
    /// `EADDRINUSE` where somebody has it.
    pub errno: Errno,
}

impl Reserved {
    /// Reserves what a plan wants reserved ([`Op::ReserveAddress`]).
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn of(plan: &Plan) -> Result<Self, Taken> {
        let mut reserved = Self::default();
        for step in &plan.steps {
            if let Op::ReserveAddress { bridge, address } = &step.op {
                let socket = reserve(bridge, *address).map_err(|errno| Taken {
                    address: *address,
                    errno,
                })?;
                reserved.0.push((*address, socket));
            }
        }
        Ok(reserved)
    }

    /// Hands over what holds an address.
    pub(super) fn take(&mut self, address: IpAddr) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(one, _)| *one == address)?;
        Some(self.0.remove(at).1)
    }
}

/// Reserves an address, and sees that nobody else on the bridge has it.
pub(super) fn reserve(bridge: &str, address: IpAddr) -> nix::Result<OwnedFd> {
    let socket = bound(address)?;
    let mut netlink = Netlink::route()?;
    let index = link::index(&mut netlink, bridge)?;
    if address.is_ipv6() {
        wait_for_the_link(&mut netlink, index)?;
    }
    match is_answered(&mut netlink, index, address) {
        Ok(false) => Ok(socket),
        Ok(true) | Err(Errno::EEXIST) => Err(Errno::EADDRINUSE),
        Err(errno) => Err(errno),
    }
}

/// Waits until the kernel can ask on a bridge: until then nobody answers, since nobody was asked.
fn wait_for_the_link(netlink: &mut Netlink, index: u32) -> nix::Result<()> {
    let start = Instant::now();
    while !link::can_ask_by_ipv6(netlink, index)? {
        if start.elapsed() > LINK {
            return Err(Errno::EADDRNOTAVAIL);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn bound(address: IpAddr) -> nix::Result<OwnedFd> {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // It is no address of this machine's.
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    match address {
        IpAddr::V4(address) => {
            let to: SockaddrIn = SocketAddrV4::new(address, PORT).into();
            bind(socket.as_raw_fd(), &to)?;
        }
        IpAddr::V6(address) => {
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            let to: SockaddrIn6 = SocketAddrV6::new(address, PORT, 0, 0).into();
            bind(socket.as_raw_fd(), &to)?;
        }
    }
    Ok(socket)
}

/// Asks who has an address, and leaves no trace of having asked.
fn is_answered(netlink: &mut Netlink, index: u32, address: IpAddr) -> nix::Result<bool> {
    for _ in 0..TIMES {
        link::ask_for(netlink, index, address)?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if link::is_answered(netlink, index, address)? {
                return Ok(true);
            }
            std::thread::sleep(LOOK);
        }
    }
    link::forget(netlink, index, address)?;
    Ok(false)
}
