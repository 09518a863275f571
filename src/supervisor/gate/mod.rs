//! The gate: the only way out of a sandbox whose profile names what it may reach.
//!
//! The sockets at which everything arrives that the command sends lie in a network namespace that has no way out
//! (`child/gate.rs`); they are served from here, outside, where there is one. What is permitted is connected to anew,
//! by the supervisor, and the bytes are handed on; all else goes no further, whatever the command does, since nothing
//! else is connected with anything.
//!
//! One thread takes what arrives and decides by number; a connection that is permitted, and a name that is to be
//! resolved, has a thread of its own, of which there are so many and no more. None of them holds anything that
//! the supervisor waits for: the time limits and the end of a run are not theirs to delay.

mod begin;
mod carry;
mod datagrams;
mod hello;
mod http;
mod known;
pub(in crate::supervisor) mod ledger;
pub(in crate::supervisor) mod names;
mod observe;
pub(in crate::supervisor) mod packet;
mod relay;
pub(in crate::supervisor) mod upstream;

use crate::plan::Op;
use crate::plan::egress::{End, Permit, Protocol, Reason, Rules};
use crate::plan::op::gate::Listen;
use crate::report::egress::{Meant, Unreached};
use crate::sys;
use begin::Beginnings;
use datagrams::Flows;
use known::Known;
use ledger::Ledger;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use packet::Beginning;
pub(super) use relay::relay;
use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use upstream::Upstream;

/// The most connections at once; further ones wait until one ends.
const CONNECTIONS: usize = 512;
/// The descriptors that a connection takes: two sockets, and a pipe each way.
const EACH: usize = 6;
/// The descriptors that are left for everything else.
const SPARE: usize = 128;
/// The most names that are looked up at once; who asks for more asks again.
const LOOKUPS: usize = 32;
/// The stack of a thread.
const STACK: usize = 256 << 10;
/// How long the thread is waited for in the end, in milliseconds.
const PATIENCE: u16 = 1000;
/// How long nothing is taken where there is no room for it.
const FULL: Duration = Duration::from_millis(20);

/// The gate of a run. Dropping it ends it.
pub(super) struct Gate {
    shared: Arc<Shared>,
    /// While it is open, the threads go on.
    _until: OwnedFd,
    /// Has an end when the gate has: then nobody decides any more.
    bell: OwnedFd,
}

/// A socket of the gate, as the plan has it.
pub(super) enum Socket {
    /// One that something arrives at.
    Listener(Listen, OwnedFd),
    /// The one that sees what is refused.
    Observer(OwnedFd),
    /// The one by which addresses are routed here.
    Routes(OwnedFd),
    /// The one by which beginnings are repeated.
    Repeater(OwnedFd),
}

impl Socket {
    /// What a step makes, if it makes one.
    pub(super) fn of(op: &Op) -> Option<fn(&Op, OwnedFd) -> Self> {
        match op {
            Op::ListenAtGate(_) => Some(|op, fd| match op {
                Op::ListenAtGate(listen) => Self::Listener(*listen, fd),
                _ => Self::Observer(fd),
            }),
            Op::ObserveGate(_) => Some(|_, fd| Self::Observer(fd)),
            Op::LeaveGateNetwork => Some(|_, fd| Self::Routes(fd)),
            Op::RepeatAtGate => Some(|_, fd| Self::Repeater(fd)),
            _ => None,
        }
    }
}

/// What all threads of a gate have in common.
struct Shared {
    rules: Rules,
    /// The ports at which connections are taken.
    ports: Vec<u16>,
    beginnings: Beginnings,
    known: Mutex<Known>,
    ledger: Mutex<Ledger>,
    upstream: Upstream,
    connections: AtomicUsize,
    most: usize,
    lookups: AtomicUsize,
    /// Hangs up when the run has ended.
    until: OwnedFd,
}

/// A place among so many; given back when it is dropped.
struct Place(Arc<Shared>, fn(&Shared) -> &AtomicUsize);

impl Drop for Place {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    /// Serves the sockets from now on.
    pub(super) fn open(rules: &Rules, sockets: Vec<Socket>) -> nix::Result<Self> {
        let (until, _until) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (bell, rung) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (mut routes, mut observer, mut repeater) = (None, None, None);
        let mut arrivals = Arrivals::default();
        for socket in sockets {
            match socket {
                Socket::Routes(fd) => routes = Some(fd),
                Socket::Observer(fd) => observer = Some(fd),
                Socket::Repeater(fd) => repeater = Some(fd),
                Socket::Listener(Listen::Resolver(Protocol::Tcp), fd) => {
                    arrivals.questions = Some(fd.into());
                }
                Socket::Listener(Listen::Resolver(Protocol::Udp), fd) => {
                    arrivals.queries = Some(Arc::new(fd.into()));
                }
                Socket::Listener(Listen::Port(Protocol::Tcp, _), fd) => {
                    arrivals.streams.push(fd.into());
                }
                Socket::Listener(Listen::Port(Protocol::Udp, port), fd) => {
                    arrivals.flows.add(port, fd);
                }
            }
        }
        let shared = Arc::new(Shared {
            rules: rules.clone(),
            ports: rules.ports(Protocol::Tcp),
            beginnings: Beginnings::new(observer, repeater),
            known: Mutex::new(Known::new(routes)),
            ledger: Mutex::default(),
            upstream: Upstream::of_this_machine(),
            connections: AtomicUsize::new(0),
            most: room().min(CONNECTIONS),
            lookups: AtomicUsize::new(0),
            until,
        });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("gate".into())
            .stack_size(STACK)
            .spawn(move || {
                // Closed with the end of the thread, whatever ends it.
                let _rung = rung;
                of_thread.serve(arrivals);
            })
            .map_err(|_| Errno::EAGAIN)?;
        Ok(Self {
            shared,
            _until,
            bell,
        })
    }

    /// What to wait for: it has something to say only when the gate has ended.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// What was refused, when nobody of the sandbox is left.
    pub(super) fn finish(self) -> Unreached {
        let Self {
            shared,
            _until,
            bell,
        } = self;
        drop(_until);
        // What was sent last is still to be seen. All that the thread could wait for has ended.
        let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PATIENCE);
        shared.ledger().close()
    }
}

/// How many connections the limit on open files leaves room for, once it is as high as it may be.
pub(super) fn room() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => {
            let wanted = ((CONNECTIONS * EACH + SPARE) as u64).min(hard).max(soft);
            match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
                Ok(()) => wanted,
                Err(_) => soft,
            }
        }
        Err(_) => 0,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit.saturating_sub(SPARE) / EACH).max(1)
}

/// Where something arrives.
#[derive(Default)]
struct Arrivals {
    streams: Vec<TcpListener>,
    questions: Option<TcpListener>,
    queries: Option<Arc<UdpSocket>>,
    flows: Flows,
    /// What is permitted, and waits for a place.
    waiting: VecDeque<Beginning>,
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nobody panics while holding it; and if somebody did, it would still be what was known.
        self.known.lock().unwrap_or_else(|lock| lock.into_inner())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(|lock| lock.into_inner())
    }

    /// Whether something may be connected to, by its number and the names that have led to it.
    fn decide(&self, end: End) -> Result<Permit, Reason> {
        let known = self.known();
        self.rules.connect(end, known.names(end.address))
    }

    /// Counts a refusal, with the name that was meant, if one is known.
    fn refused(&self, end: End, said: Option<String>, reason: Reason) {
        let name = said.or_else(|| {
            let known = self.known();
            known.names(end.address).last().map(ToString::to_string)
        });
        self.ledger().count(Meant::Connect(end, name), reason);
    }

    fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(self.until.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    /// The life of the thread: until the run is over.
    fn serve(self: Arc<Self>, mut arrivals: Arrivals) {
        let mut full_until: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let full = full_until.is_some_and(|until| now < until);
            let mut fds = vec![PollFd::new(self.until.as_fd(), PollFlags::POLLIN)];
            let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let observer = self.beginnings.observer();
            fds.extend(observer.iter().map(|fd| watch(fd.as_fd())));
            fds.extend(arrivals.queries.iter().map(|fd| watch(fd.as_fd())));
            let questions = arrivals.questions.iter().filter(|_| !full);
            let streams = questions.chain(&arrivals.streams);
            fds.extend(streams.map(|fd| watch(fd.as_fd())));
            let flows = arrivals.flows.sockets();
            fds.extend(flows.map(watch));
            let timeout = match (
                full || !arrivals.waiting.is_empty(),
                arrivals.flows.is_empty(),
            ) {
                (true, _) => PollTimeout::try_from(FULL).unwrap_or(PollTimeout::MAX),
                (false, false) => {
                    PollTimeout::try_from(datagrams::LOOK).unwrap_or(PollTimeout::MAX)
                }
                (false, true) => PollTimeout::NONE,
            };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let ready = |fd: BorrowedFd<'_>| {
                let found = fds
                    .iter()
                    .find(|one| one.as_fd().as_raw_fd() == fd.as_raw_fd());
                found
                    .and_then(PollFd::revents)
                    .is_some_and(|events| !events.is_empty())
            };
            let over = ready(self.until.as_fd());
            while let Some(first) = arrivals.waiting.front()
                && self.begin(first)
            {
                arrivals.waiting.pop_front();
            }
            if let Some(observer) = observer.filter(|fd| ready(fd.as_fd())) {
                self.observe(observer.as_fd(), &mut arrivals.waiting);
            }
            if over {
                return;
            }
            if let Some(queries) = arrivals.queries.as_ref().filter(|fd| ready(fd.as_fd())) {
                self.answer_queries(queries);
            }
            full_until = None;
            for listener in arrivals.streams.iter().filter(|fd| ready(fd.as_fd())) {
                while let Some(client) = accepted(listener) {
                    self.beginnings.taken(client);
                }
            }
            if let Some(questions) = arrivals.questions.as_ref().filter(|fd| ready(fd.as_fd()))
                && !self.take_questions(questions)
            {
                full_until = Some(Instant::now() + FULL);
            }
            let ready: Vec<_> = arrivals.flows.sockets().map(ready).collect();
            arrivals.flows.serve(&ready, &self);
        }
    }

    /// A place among the connections or the lookups, if there is one.
    fn place(self: &Arc<Self>, of: fn(&Self) -> &AtomicUsize, most: usize) -> Option<Place> {
        if of(self).fetch_add(1, Ordering::AcqRel) < most {
            return Some(Place(Arc::clone(self), of));
        }
        of(self).fetch_sub(1, Ordering::AcqRel);
        None
    }

    /// Takes the connections by which names are asked for, as long as there is room; false where there is none.
    fn take_questions(self: &Arc<Self>, listener: &TcpListener) -> bool {
        loop {
            let Some(place) = self.place(|shared| &shared.connections, self.most) else {
                return false;
            };
            let Some(client) = accepted(listener) else {
                return true;
            };
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().stack_size(STACK);
            let started = thread.spawn(move || {
                let _place = place;
                shared.answer_stream(client);
            });
            if started.is_err() {
                return false;
            }
        }
    }
}

/// The next connection that waits. Without room for descriptors it goes on waiting.
fn accepted(listener: &TcpListener) -> Option<TcpStream> {
    const LATER: [Errno; 5] = [
        Errno::EAGAIN,
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
    ];
    loop {
        let why = match listener.accept() {
            Ok((client, _)) => return Some(client),
            Err(why) => why.raw_os_error().map(Errno::from_raw),
        };
        if why.is_some_and(|why| LATER.contains(&why)) {
            return None;
        }
        // It was given up while it waited.
    }
}

/// Where a connection was meant to go: with every address local, its own end is what the command wrote.
fn meant(client: &TcpStream) -> Option<End> {
    let address = client.local_addr().ok()?;
    Some(End::new(address.ip(), address.port(), Protocol::Tcp))
}

/// Ends a connection so that the other side sees that it was refused.
pub(super) fn reset(client: &TcpStream) {
    let _ = sys::network::reset_at_close(client.as_raw_fd());
}
