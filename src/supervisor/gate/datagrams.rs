//! Datagrams to ports that are permitted over UDP. Each pair of ends is a flow, which has a socket of its own
//! outside, connected, so that an answer comes from whom it was sent to and from nobody else.

use super::Shared;
use super::packet::{Beginning, No};
use crate::plan::egress::{End, Protocol};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The most flows at once; a further one takes the place of the one that was silent for longest.
const FLOWS: usize = 256;
/// After such a silence a flow is over.
const SILENCE: Duration = Duration::from_secs(120);
/// How often silence is looked for.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// How many datagrams are taken before it is anybody else's turn.
const TURN: usize = 64;
/// The longest datagram.
const LONGEST: usize = 65_535;

struct Flow {
    client: SockaddrIn6,
    end: End,
    /// Which of the sockets it came to.
    arrival: usize,
    outside: UdpSocket,
    last: Instant,
}

impl Shared {
    /// Tells the command that its datagrams do not arrive.
    fn no_datagrams(&self, client: &SockaddrIn6, end: End, no: No) {
        let client = SocketAddr::new(IpAddr::V6(client.ip()).to_canonical(), client.port());
        let begun = Beginning::of_datagram(client, end);
        self.beginnings.answer(&begun, no);
    }
}

/// The sockets that datagrams come to, and the flows of them.
#[derive(Default)]
pub(super) struct Flows {
    arrivals: Vec<(u16, OwnedFd)>,
    flows: Vec<Flow>,
}

impl Flows {
    pub(super) fn add(&mut self, port: u16, socket: OwnedFd) {
        self.arrivals.push((port, socket));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// All that is waited for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let arrivals = self.arrivals.iter().map(|(_, fd)| fd.as_fd());
        arrivals.chain(self.flows.iter().map(|flow| flow.outside.as_fd()))
    }

    /// Hands on what has come; `ready` is of the sockets in their order.
    pub(super) fn serve(&mut self, ready: &[bool], shared: &Shared) {
        if self.arrivals.is_empty() {
            return;
        }
        let mut buffer = vec![0; LONGEST];
        let now = Instant::now();
        let arrivals = self.arrivals.len();
        let came = |at: usize| ready.get(at).copied().unwrap_or(false);
        for at in (0..self.flows.len()).filter(|at| came(arrivals + at)) {
            self.answer(at, &mut buffer, now, shared);
        }
        for at in (0..arrivals).filter(|at| came(*at)) {
            for _ in 0..TURN {
                if !self.arrive(at, &mut buffer, now, shared) {
                    break;
                }
            }
        }
        self.flows
            .retain(|flow| now.duration_since(flow.last) < SILENCE);
    }

    /// Hands answers back to the command, from the address that it has sent to.
    fn answer(&mut self, at: usize, buffer: &mut [u8], now: Instant, shared: &Shared) {
        let Some(flow) = self.flows.get_mut(at) else {
            return;
        };
        let Some((_, arrival)) = self.arrivals.get(flow.arrival) else {
            return;
        };
        for _ in 0..TURN {
            let length = match flow.outside.recv(buffer) {
                Ok(length) => length,
                Err(why) => {
                    let errno = why.raw_os_error().map(Errno::from_raw);
                    if let Some(no) = errno.and_then(No::of) {
                        shared.no_datagrams(&flow.client, flow.end, no);
                    }
                    return;
                }
            };
            flow.last = now;
            let from = match flow.end.address {
                IpAddr::V4(four) => four.to_ipv6_mapped(),
                IpAddr::V6(six) => six,
            };
            let from = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: from.octets(),
                },
                ipi6_ifindex: 0,
            };
            let bytes = [IoSlice::new(buffer.get(..length).unwrap_or_default())];
            let source = [ControlMessage::Ipv6PacketInfo(&from)];
            let flags = MsgFlags::MSG_DONTWAIT;
            // What cannot be delivered is lost, as datagrams are.
            let _ = sendmsg(
                arrival.as_raw_fd(),
                &bytes,
                &source,
                flags,
                Some(&flow.client),
            );
        }
    }

    /// Takes one datagram of the command's; false if there is none.
    fn arrive(&mut self, at: usize, buffer: &mut [u8], now: Instant, shared: &Shared) -> bool {
        let Some((port, socket)) = self.arrivals.get(at) else {
            return false;
        };
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let (length, client, to) =
            match recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)
            {
                Ok(message) => {
                    let to = message.cmsgs().ok().and_then(|mut all| {
                        all.find_map(|one| match one {
                            ControlMessageOwned::Ipv6PacketInfo(info) => {
                                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr))
                            }
                            _ => None,
                        })
                    });
                    (message.bytes, message.address, to)
                }
                Err(Errno::EINTR) => return true,
                Err(_) => return false,
            };
        let (Some(client), Some(to)) = (client, to) else {
            return true;
        };
        let end = End::new(to.into(), *port, Protocol::Udp);
        if let Err(reason) = shared.decide(end) {
            shared.refused(end, None, reason);
            shared.no_datagrams(&client, end, No::Refused);
            return true;
        }
        let known = self
            .flows
            .iter()
            .position(|flow| flow.client == client && flow.end == end);
        let known = known.or_else(|| self.begin(client, end, at, now));
        let datagram = buffer.get(..length).unwrap_or_default();
        if let Some(flow) = known.and_then(|at| self.flows.get_mut(at)) {
            flow.last = now;
            // An error is about what was sent before.
            let failed = flow.outside.send(datagram).err();
            let errno = failed
                .and_then(|why| why.raw_os_error())
                .map(Errno::from_raw);
            if let Some(no) = errno.and_then(No::of) {
                shared.no_datagrams(&client, end, no);
            }
        }
        true
    }

    fn begin(
        &mut self,
        client: SockaddrIn6,
        end: End,
        arrival: usize,
        now: Instant,
    ) -> Option<usize> {
        let any: IpAddr = match end.address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let outside = UdpSocket::bind((any, 0)).ok()?;
        outside.set_nonblocking(true).ok()?;
        outside
            .connect(SocketAddr::new(end.address, end.port))
            .ok()?;
        if self.flows.len() >= FLOWS {
            let oldest = (self.flows.iter().enumerate())
                .min_by_key(|(_, flow)| flow.last)?
                .0;
            self.flows.swap_remove(oldest);
        }
        self.flows.push(Flow {
            client,
            end,
            arrival,
            outside,
            last: now,
        });
        Some(self.flows.len() - 1)
    }
}
