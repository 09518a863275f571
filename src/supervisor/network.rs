//! The sandbox's network, attached from outside, and taken away in the end.
//!
//! What is made here goes with the run, however it ends: an interface with the namespace of its other end, a
//! table of nftables with the socket that has made it, pasta with the supervisor that has started it, reserved
//! ports with their sockets. So nothing has to be swept.

mod address;
mod filter;
mod pasta;

pub use address::{Reserved, Taken};

use super::failure::Cause;
use super::forward::{Way, Ways};
use crate::host::link::{self, Given};
use crate::host::netlink::Netlink;
use crate::host::network::{Net, interfaces};
use crate::plan::Op;
use crate::plan::op::network::{Assigned, End, Limited, Macvlan, Pair, Protocol, Published};
use crate::sys::netlink::{limit_rate, worsen};
use crate::sys::network;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind,
    listen, setsockopt, socket, sockopt,
};
use pasta::Carrier;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

/// How many connections wait until they are taken.
const BACKLOG: i32 = 128;

/// What there is of it so far.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The end of the pair on the host, by its number.
    outside: Option<u32>,
    /// A socket of the caller's network, and one of the sandbox's until that is set up.
    host: Option<Netlink>,
    inside: Option<Netlink>,
    /// The socket that keeps the table.
    table: Option<Netlink>,
    /// Sockets that keep ports from others.
    reserved: Vec<OwnedFd>,
    /// Sockets that keep addresses from other sandboxes.
    addresses: Vec<OwnedFd>,
    carrier: Option<Carrier>,
    /// Ways from the host's loopback.
    ways: Vec<Ways>,
}

impl Network {
    /// Reserves an address, unless it is reserved already.
    pub(super) fn reserve_address(
        &mut self,
        bridge: &str,
        address: IpAddr,
        before: &mut Reserved,
    ) -> nix::Result<()> {
        let socket = match before.take(address) {
            Some(socket) => socket,
            None => address::reserve(bridge, address)?,
        };
        self.addresses.push(socket);
        Ok(())
    }

    /// Performs one operation on the network of init.
    pub(super) fn perform(&mut self, op: &Op, init: libc::pid_t) -> Result<(), Cause> {
        match op {
            Op::MakePair(pair) => self.make_pair(pair, init)?,
            Op::MakeMacvlan(Macvlan {
                on,
                inside,
                mtu,
                hardware,
            }) => {
                let host = self.host.insert(Netlink::route()?);
                let on = link::index(host, on)?;
                let there = (inside.as_str(), init.unsigned_abs());
                link::make_macvlan(
                    host,
                    on,
                    there,
                    Given {
                        mtu: *mtu,
                        hardware: hardware.map(|one| one.0),
                    },
                )?;
            }
            Op::LimitRate(Limited {
                end,
                interface,
                rate,
                packet,
                behind,
            }) => {
                let (netlink, index) = self.at(*end, interface, init)?;
                let index = index.cast_signed();
                limit_rate(netlink.descriptor(), index, *rate, *packet, *behind)?;
            }
            Op::Worsen {
                end,
                interface,
                line,
            } => {
                let (netlink, index) = self.at(*end, interface, init)?;
                let index = index.cast_signed();
                worsen(netlink.descriptor(), index, line.delay, line.loss)?;
            }
            Op::SetInterface { path, value } => std::fs::write(path, value).map_err(Cause::from)?,
            Op::AddAddress(Assigned {
                end,
                interface,
                net,
            }) => {
                let (netlink, index) = self.at(*end, interface, init)?;
                link::add_address(netlink, index, *net)?;
                if *end == End::Host {
                    alone(netlink, index, *net)?;
                }
            }
            Op::RaiseInterface { end, interface } => {
                let (netlink, index) = self.at(*end, interface, init)?;
                raise(netlink, index)?;
            }
            Op::AddDefaultRoute { gateway, interface } => {
                let (netlink, index) = self.at(End::Inside, interface, init)?;
                link::add_default_route(netlink, index, *gateway)?;
            }
            Op::ReservePort(published) => self.reserve(published)?,
            Op::ServePort { published, to } => self.serve(published, to, init)?,
            Op::Translate { table, rules } => self.table = Some(filter::make(table, rules)?),
            Op::StartPasta(wanted) => {
                // It binds them itself: that they were free is known, and whose line it is where they are not.
                self.reserved.clear();
                self.carrier = Some(Carrier::start(wanted, init)?);
            }
            _ => return Err(Errno::ENOTSUP.into()),
        }
        Ok(())
    }

    /// Lets go of the sandbox's network, which would otherwise outlive it.
    pub(super) fn settle(&mut self) {
        self.inside = None;
    }

    /// Why the carrier has ended, if it has, though the run goes on.
    pub(super) fn lost(&mut self) -> Option<String> {
        self.carrier.as_mut()?.lost()
    }

    fn make_pair(&mut self, pair: &Pair, init: libc::pid_t) -> nix::Result<()> {
        let host = self.host.insert(Netlink::route()?);
        let bridge = match &pair.port {
            Some(port) => Some(link::index(host, &port.bridge)?),
            None => None,
        };
        let there = (pair.inside.as_str(), init.unsigned_abs());
        let given = Given {
            mtu: pair.mtu,
            hardware: pair.hardware.map(|one| one.0),
        };
        link::make_pair(host, (&pair.outside, bridge), there, given)?;
        let index = link::index(host, &pair.outside)?;
        self.outside = Some(index);
        if pair.port.as_ref().is_some_and(|port| port.isolated) {
            link::isolate(host, index)?;
        }
        Ok(())
    }

    /// The socket of one end, and the number of an interface there.
    fn at(
        &mut self,
        end: End,
        name: &str,
        init: libc::pid_t,
    ) -> Result<(&mut Netlink, u32), Cause> {
        let netlink = match end {
            End::Host => self.host.as_mut().ok_or(Errno::EBADF)?,
            End::Inside => match &mut self.inside {
                Some(netlink) => netlink,
                none => none.insert(within(init)?),
            },
        };
        let index = link::index(netlink, name)?;
        Ok((netlink, index))
    }

    /// Hands on from a port of the host's, in place of the kernel.
    fn serve(
        &mut self,
        published: &Published,
        to: &[IpAddr],
        init: libc::pid_t,
    ) -> Result<(), Cause> {
        let address = published.address.ok_or(Errno::EDESTADDRREQ)?;
        let again = published.protocol == Protocol::Tcp;
        let socket = reserved(address, published, again)?;
        if published.protocol == Protocol::Tcp {
            listen(&socket, Backlog::new(BACKLOG)?)?;
        }
        // As many as are ready are taken.
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let way = Way {
            protocol: published.protocol,
            socket,
            to: (to.iter())
                .map(|address| (*address, published.inside).into())
                .collect(),
        };
        let there = File::open(format!("/proc/{init}/ns/net"))?;
        self.ways.push(Ways::open(vec![way], Some(there.into()))?);
        Ok(())
    }

    fn reserve(&mut self, published: &Published) -> Result<(), Cause> {
        let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let addresses = published.address.map_or(any.to_vec(), |one| vec![one]);
        for address in addresses {
            // Behind a pair nobody listens on the port, nor has anybody done so before.
            let again = self.outside.is_none() && published.protocol == Protocol::Tcp;
            match reserved(address, published, again) {
                Ok(socket) => self.reserved.push(socket),
                // A machine need not have IPv6.
                Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if published.address.is_none() => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The table goes before the interface that it names, and at once: its ports are free then.
        self.table = None;
        if let (Some(index), Some(host)) = (self.outside, &mut self.host) {
            // It may be gone already, with the sandbox's network.
            let _ = link::remove(host, index);
        }
    }
}

/// Brings an interface up; where another one has its hardware address, not before the kernel has had time to remove
/// the network of a run that has just ended, which may have been given the same.
fn raise(netlink: &mut Netlink, index: u32) -> nix::Result<()> {
    const TRIES: usize = 200;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..TRIES {
        match link::raise(netlink, index) {
            Err(Errno::EADDRINUSE) => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
    link::raise(netlink, index)
}

/// Whether no other interface has an address of this network: the plan has looked, and another run may have
/// started since. Of two that are at it side by side, the later one sees the other.
fn alone(netlink: &mut Netlink, index: u32, net: Net) -> nix::Result<()> {
    let others = interfaces(netlink)?;
    let others = others.iter().filter(|one| one.index != index);
    let mut held = others.flat_map(|one| &one.addresses);
    match held.any(|other| other.overlaps(net)) {
        true => Err(Errno::EADDRINUSE),
        false => Ok(()),
    }
}

/// A socket of the network that a process is in.
fn within(pid: libc::pid_t) -> Result<Netlink, Cause> {
    let here = File::open("/proc/self/ns/net")?;
    let there = File::open(format!("/proc/{pid}/ns/net"))?;
    network::enter(there.as_raw_fd())?;
    let made = Netlink::route();
    if network::enter(here.as_raw_fd()).is_err() {
        return Err(Cause::Text(
            "the supervisor cannot come back from the sandbox's network".into(),
        ));
    }
    Ok(made?)
}

/// A socket that is bound to a port and used for nothing; `again` if connections may be left of whoever has
/// listened on it before.
fn reserved(address: IpAddr, published: &Published, again: bool) -> nix::Result<OwnedFd> {
    let kind = match published.protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let make = |family| {
        let made = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&made, sockopt::ReuseAddr, &again)?;
        Ok::<_, Errno>(made)
    };
    match address {
        IpAddr::V4(address) => {
            let to: SockaddrIn = SocketAddrV4::new(address, published.port).into();
            bound(make(AddressFamily::Inet)?, &to)
        }
        IpAddr::V6(address) => {
            let socket = make(AddressFamily::Inet6)?;
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            let to: SockaddrIn6 = SocketAddrV6::new(address, published.port, 0, 0).into();
            bound(socket, &to)
        }
    }
}

fn bound(socket: OwnedFd, to: &dyn SockaddrLike) -> nix::Result<OwnedFd> {
    bind(socket.as_raw_fd(), to)?;
    Ok(socket)
}
