//! Ways between loopbacks, which no packet leaves: what comes to a port of one network is connected anew in another.
//!
//! To the host's: the sockets at which it comes are made by init at the sandbox's own loopback, and it is connected from
//! here. From the host's, where the kernel hands on nothing by itself: the socket is here, and it is connected
//! by threads that have entered the sandbox's network.

use super::gate::{relay, reset, room};
use crate::plan::op::network::Protocol;
use crate::sys::network;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The most connections at once; further ones wait until one ends.
const CONNECTIONS: usize = 256;
/// The most flows of datagrams at once; a further one takes the place of the one that was silent for longest.
const FLOWS: usize = 64;
/// After such a silence a flow is over.
const SILENCE: Duration = Duration::from_secs(120);
/// How often silence is looked for.
const LOOK: Duration = Duration::from_secs(10);
/// How long nothing is taken where there is no room for it.
const FULL: Duration = Duration::from_millis(20);
/// How many datagrams are taken before it is anybody else's turn.
const TURN: usize = 64;
/// The longest datagram.
const LONGEST: usize = 65_535;
/// The stack of a thread.
const STACK: usize = 128 << 10;
/// Where the caller's services listen.
pub(super) const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// A socket, and where what comes to it goes: the first that answers.
pub(super) struct Way {
    pub(super) protocol: Protocol,
    pub(super) socket: OwnedFd,
    pub(super) to: Vec<SocketAddr>,
}

/// The ways of a run. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Ways {
    /// While it is open, the threads go on.
    _until: OwnedFd,
}

/// Datagrams of one sender inside.
struct Flow {
    client: SocketAddr,
    /// The socket that they come to.
    arrival: usize,
    outside: UdpSocket,
    last: Instant,
}

/// What comes to where.
struct Served {
    streams: Vec<(Arc<[SocketAddr]>, TcpListener)>,
    datagrams: Vec<(Option<SocketAddr>, UdpSocket)>,
    flows: Vec<Flow>,
    connections: Arc<AtomicUsize>,
    most: usize,
    /// Hangs up when the run has ended.
    until: Arc<OwnedFd>,
}

impl Ways {
    /// Serves the sockets from now on; what comes is connected in the network namespace `into`, else in this one.
    pub(super) fn open(ways: Vec<Way>, into: Option<OwnedFd>) -> nix::Result<Self> {
        let (until, _until) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let mut served = Served {
            streams: Vec::new(),
            datagrams: Vec::new(),
            flows: Vec::new(),
            connections: Arc::default(),
            most: room().min(CONNECTIONS),
            until: Arc::new(until),
        };
        for Way {
            protocol,
            socket,
            to,
        } in ways
        {
            match protocol {
                Protocol::Tcp => served.streams.push((to.into(), socket.into())),
                // Nobody can tell whether datagrams were heard: they go to the first.
                Protocol::Udp => served.datagrams.push((to.first().copied(), socket.into())),
            }
        }
        let (entered, has_entered) = channel();
        std::thread::Builder::new()
            .name("ways".into())
            .stack_size(STACK)
            .spawn(move || {
                // Threads that this one starts are where it is.
                let done = into.map_or(Ok(()), |into| network::enter(into.as_raw_fd()));
                if entered.send(done).is_ok() && done.is_ok() {
                    served.serve();
                }
            })
            .map_err(|_| Errno::EAGAIN)?;
        has_entered.recv().map_err(|_| Errno::ECHILD)??;
        Ok(Self { _until })
    }
}

impl Served {
    fn serve(mut self) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let full = self.connections.load(Ordering::Acquire) >= self.most;
            let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = vec![watch(self.until.as_fd())];
            fds.extend(self.datagrams.iter().map(|(_, fd)| watch(fd.as_fd())));
            fds.extend(self.flows.iter().map(|flow| watch(flow.outside.as_fd())));
            let streams = self.streams.iter().filter(|_| !full);
            fds.extend(streams.map(|(_, fd)| watch(fd.as_fd())));
            let timeout = match (full, self.flows.is_empty()) {
                (true, _) => PollTimeout::try_from(FULL).unwrap_or(PollTimeout::MAX),
                (false, false) => PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX),
                (false, true) => PollTimeout::NONE,
            };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let happened = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let ready: Vec<bool> = fds.iter().map(happened).collect();
            let mut ready = ready.into_iter();
            if ready.next().unwrap_or(true) {
                return;
            }
            let now = Instant::now();
            let came: Vec<bool> = ready.by_ref().take(self.datagrams.len()).collect();
            let answered: Vec<bool> = ready.by_ref().take(self.flows.len()).collect();
            for (at, _) in answered.iter().enumerate().filter(|(_, ready)| **ready) {
                self.answer(at, &mut buffer, now);
            }
            for (at, _) in came.iter().enumerate().filter(|(_, ready)| **ready) {
                for _ in 0..TURN {
                    if !self.arrive(at, &mut buffer, now) {
                        break;
                    }
                }
            }
            for ((to, listener), _) in (self.streams.iter().zip(ready)).filter(|(_, ready)| *ready)
            {
                self.take(to, listener);
            }
            self.flows
                .retain(|flow| now.duration_since(flow.last) < SILENCE);
        }
    }

    /// Takes the connections that wait, as long as there is room.
    fn take(&self, to: &Arc<[SocketAddr]>, listener: &TcpListener) {
        while self.connections.load(Ordering::Acquire) < self.most {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(why) if why.raw_os_error() == Some(Errno::ECONNABORTED as i32) => continue,
                Err(_) => return,
            };
            let place = Place::among(&self.connections);
            let (until, to) = (Arc::clone(&self.until), Arc::clone(to));
            let client = Arc::new(client);
            let of_thread = Arc::clone(&client);
            let thread = std::thread::Builder::new().stack_size(STACK);
            let started = thread.spawn(move || {
                let _place = place;
                if carry(until.as_fd(), &of_thread, &to).is_none() {
                    reset(&of_thread);
                }
            });
            if started.is_err() {
                // An end that looks like one of the other side's would be taken for an answer.
                reset(&client);
                return;
            }
        }
    }

    /// Hands answers back to whoever inside has sent.
    fn answer(&mut self, at: usize, buffer: &mut [u8], now: Instant) {
        let Some(flow) = self.flows.get_mut(at) else {
            return;
        };
        let Some((_, arrival)) = self.datagrams.get(flow.arrival) else {
            return;
        };
        for _ in 0..TURN {
            let Ok(length) = flow.outside.recv(buffer) else {
                return;
            };
            flow.last = now;
            // What cannot be delivered is lost, as datagrams are.
            let _ = arrival.send_to(buffer.get(..length).unwrap_or_default(), flow.client);
        }
    }

    /// Takes one datagram of the command's; false if there is none.
    fn arrive(&mut self, arrival: usize, buffer: &mut [u8], now: Instant) -> bool {
        let Some((to, socket)) = self.datagrams.get(arrival) else {
            return false;
        };
        let Ok((length, client)) = socket.recv_from(buffer) else {
            return false;
        };
        let mut all = self.flows.iter();
        let known = all.position(|flow| flow.arrival == arrival && flow.client == client);
        let known = known.or_else(|| {
            let to = (*to)?;
            let any: IpAddr = match to {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let outside = UdpSocket::bind((any, 0)).ok()?;
            outside.set_nonblocking(true).ok()?;
            outside.connect(to).ok()?;
            if self.flows.len() >= FLOWS {
                let flows = self.flows.iter().enumerate();
                let oldest = flows.min_by_key(|(_, flow)| flow.last)?.0;
                self.flows.swap_remove(oldest);
            }
            self.flows.push(Flow {
                client,
                arrival,
                outside,
                last: now,
            });
            Some(self.flows.len() - 1)
        });
        if let Some(flow) = known.and_then(|at| self.flows.get_mut(at)) {
            flow.last = now;
            let _ = flow.outside.send(buffer.get(..length).unwrap_or_default());
        }
        true
    }
}

/// One connection; `None` where nobody listens, or somebody broke off.
fn carry(until: BorrowedFd<'_>, client: &TcpStream, to: &[SocketAddr]) -> Option<()> {
    let server = TcpStream::connect(to).ok()?;
    for socket in [client, &server] {
        socket.set_nodelay(true).ok()?;
        socket.set_nonblocking(true).ok()?;
    }
    relay(until, client, &server)
}

/// One among the connections, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(connections))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
