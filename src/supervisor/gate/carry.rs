//! One connection: whom it is for, and the bytes of it, both ways.

use super::hello::{self, Said};
use super::{Shared, meant, reset};
use crate::plan::egress::{End, Name, Permit, Reason};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a host may take until it answers.
const CONNECT: Duration = Duration::from_secs(20);
/// How long whoever has begun to say whom it wants may take.
const HELLO: Duration = Duration::from_secs(20);
/// How much is moved at once, where the kernel gives so much.
const PIPE: i32 = 256 << 10;

impl Shared {
    /// The whole life of a connection.
    pub(super) fn carry(self: Arc<Self>, client: TcpStream) {
        let carried = self.begin(&client).and_then(|server| {
            let both = [&client, &server].iter().all(|socket| {
                socket.set_nodelay(true).and(socket.set_nonblocking(true)).is_ok()
            });
            both.then(|| self.relay(&client, &server)).flatten()
        });
        if carried.is_none() {
            reset(&client);
        }
    }

    /// Connects to whom it is for, once that is permitted; `None` ends it.
    fn begin(&self, client: &TcpStream) -> Option<TcpStream> {
        let end = meant(client)?;
        // Where it is refused, it was seen to begin, and counted.
        let permit = self.decide(end).ok()?;
        let address = SocketAddr::new(end.address, end.port);
        let server = TcpStream::connect_timeout(&address, CONNECT).ok()?;
        if !self.rules.asks_what_is_said(permit) {
            return Some(server);
        }
        let (said, reason) = match self.listen(client, &server)? {
            Said::Host(host) => match self.may_say(permit, &host, end) {
                Ok(()) => return Some(server),
                Err(reason) => (Some(host), reason),
            },
            // Whoever is permitted by number need not be named.
            Said::Unreadable if matches!(permit, Permit::Name(_)) => (None, Reason::Nameless),
            _ => return Some(server),
        };
        self.refused(end, said, reason);
        // The host shall not think that this was all.
        reset(&server);
        None
    }

    /// Whether a host may be named over a connection.
    fn may_say(&self, permit: Permit, host: &str, end: End) -> Result<(), Reason> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<std::net::IpAddr>() {
            // It is called by its number.
            return match address.to_canonical() == end.address {
                true => Ok(()),
                false => self.decide(End { address, ..end }).map(drop),
            };
        }
        match (Name::parse(host), permit) {
            (Ok(name), _) => self.rules.said(permit, &name, end),
            (Err(_), Permit::Address(_)) => Ok(()),
            (Err(_), Permit::Name(_)) => Err(Reason::NotAllowed),
        }
    }

    /// Looks at what the command says first, without taking it. Where the other side speaks first, it is no
    /// protocol that names hosts.
    fn listen(&self, client: &TcpStream, server: &TcpStream) -> Option<Said> {
        let mut bytes = vec![0; hello::MOST];
        let mut until: Option<Instant> = None;
        let mut seen = 0;
        loop {
            let timeout = match until {
                None => PollTimeout::NONE,
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now())?;
                    PollTimeout::try_from(left + Duration::from_millis(1)).ok()?
                }
            };
            let mut fds = [
                PollFd::new(self.until.as_fd(), PollFlags::POLLIN),
                PollFd::new(client.as_fd(), PollFlags::POLLIN),
                PollFd::new(server.as_fd(), PollFlags::POLLIN),
            ];
            let watched = if until.is_some() { 2 } else { 3 };
            match poll(fds.get_mut(..watched)?, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            let [over, said, answered] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if !over.is_empty() {
                return None;
            }
            if said.is_empty() {
                if !answered.is_empty() && until.is_none() {
                    return Some(Said::Nobody);
                }
                continue;
            }
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            let length = match recv(client.as_raw_fd(), &mut bytes, flags) {
                // It has said nothing, and will not.
                Ok(0) => return Some(Said::Nobody),
                Ok(length) => length,
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(_) => return None,
            };
            match hello::read(bytes.get(..length)?) {
                Said::More if length >= hello::MOST => return Some(Said::Unreadable),
                // Ready without more than before: nothing comes after it.
                Said::More if length == seen => return Some(Said::Unreadable),
                Said::More => {
                    seen = length;
                    until = until.or(Some(Instant::now() + HELLO));
                    sys::network::wake_at(client.as_raw_fd(), length + 1).ok()?;
                }
                said => {
                    sys::network::wake_at(client.as_raw_fd(), 1).ok()?;
                    return Some(said);
                }
            }
        }
    }

    /// Moves bytes both ways until both sides have ended; `None` where one of them broke off.
    fn relay(&self, client: &TcpStream, server: &TcpStream) -> Option<()> {
        let mut ways = [Way::new(client, server)?, Way::new(server, client)?];
        while !ways.iter().all(|way| way.closed) {
            let mut moved = false;
            for way in &mut ways {
                moved |= way.go()?;
            }
            if moved {
                continue;
            }
            let [out, back] = &ways;
            let wanted = |reads: &Way<'_>, writes: &Way<'_>| {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::POLLIN, !reads.ended && reads.inside == 0);
                flags.set(PollFlags::POLLOUT, writes.inside > 0);
                flags
            };
            let mut fds = vec![PollFd::new(self.until.as_fd(), PollFlags::POLLIN)];
            // Who has nothing to be waited for is left out: an end of it would be told without an end.
            for (socket, flags) in [(client, wanted(out, back)), (server, wanted(back, out))] {
                if !flags.is_empty() {
                    fds.push(PollFd::new(socket.as_fd(), flags));
                }
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            if fds.first()?.revents().is_some_and(|events| !events.is_empty()) {
                return None;
            }
        }
        Some(())
    }
}

/// One direction: bytes go from a socket into a pipe and out of it into another, and never through this process.
struct Way<'s> {
    from: &'s TcpStream,
    to: &'s TcpStream,
    pipe: (OwnedFd, OwnedFd),
    /// How many bytes are in the pipe.
    inside: usize,
    /// Whether nothing more comes.
    ended: bool,
    /// Whether the other side was told so.
    closed: bool,
}

impl<'s> Way<'s> {
    fn new(from: &'s TcpStream, to: &'s TcpStream) -> Option<Self> {
        let pipe = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        // Beyond what one user may have, it stays as it is.
        let _ = fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(PIPE));
        Some(Self {
            from,
            to,
            pipe,
            inside: 0,
            ended: false,
            closed: false,
        })
    }

    /// Goes on as far as it can; whether that was anywhere. `None` if one side broke off.
    fn go(&mut self) -> Option<bool> {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        let mut moved = false;
        if self.inside == 0 && !self.ended {
            match splice(self.from, None, &self.pipe.1, None, PIPE as usize, flags) {
                Ok(0) => {
                    self.ended = true;
                    moved = true;
                }
                Ok(length) => {
                    self.inside = length;
                    moved = true;
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        if self.inside > 0 {
            match splice(&self.pipe.0, None, self.to, None, self.inside, flags) {
                Ok(length) => {
                    self.inside = self.inside.saturating_sub(length);
                    moved = true;
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        if self.ended && self.inside == 0 && !self.closed {
            self.to.shutdown(Shutdown::Write).ok()?;
            self.closed = true;
            moved = true;
        }
        Some(moved)
    }
}
