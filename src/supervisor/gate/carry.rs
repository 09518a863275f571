//! One connection: whom it is for.

use super::hello::{self, Said};
use super::{Shared, meant, relay, reset};
use crate::plan::egress::{End, Name, Permit, Reason};
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::net::TcpStream;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

/// How long whoever has begun to say whom it wants may take.
const HELLO: Duration = Duration::from_secs(20);

/// How many milliseconds pass between two looks for more where the kernel does not wait for it.
const FULL: u8 = 20;

/// What a connection carries.
enum Carried {
    /// What names no host any more.
    Anything,
    /// Requests, each of which does.
    Requests(End, Permit),
}

impl Shared {
    /// Hands on what two connections say to each other.
    pub(super) fn carry(&self, client: &TcpStream, server: &TcpStream) {
        let carried = self.whom(client, server).and_then(|carried| {
            let both = [client, server].iter().all(|socket| {
                socket
                    .set_nodelay(true)
                    .and(socket.set_nonblocking(true))
                    .is_ok()
            });
            if !both {
                return None;
            }
            match carried {
                Carried::Anything => relay(self.until.as_fd(), client, server),
                Carried::Requests(end, permit) => self.relay_requests(client, server, end, permit),
            }
        });
        if carried.is_none() {
            reset(client);
        }
    }

    /// For whom it is; `None` ends it.
    fn whom(&self, client: &TcpStream, server: &TcpStream) -> Option<Carried> {
        let end = meant(client)?;
        let permit = self.decide(end).ok()?;
        if !self.rules.asks_what_is_said(permit, end) {
            return Some(Carried::Anything);
        }
        let (said, reason) = match self.listen(client, server)? {
            Said::Host(host) => match self.may_say(permit, &host, end) {
                Ok(()) => return Some(Carried::Anything),
                Err(reason) => (Some(host), reason),
            },
            // Each is looked at once more, with those that follow.
            Said::Request(_) => return Some(Carried::Requests(end, permit)),
            // Whoever is permitted by number need not be named.
            Said::Unreadable if matches!(permit, Permit::Name(_)) => (None, Reason::Nameless),
            _ => return Some(Carried::Anything),
        };
        self.refused(end, said, reason);
        // The host shall not think that this was all.
        reset(server);
        None
    }

    /// Whether a host may be named over a connection.
    pub(super) fn may_say(&self, permit: Permit, host: &str, end: End) -> Result<(), Reason> {
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
            // Before the look: what it shows is then all.
            let ended = sys::network::says_no_more(client.as_raw_fd());
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
                Said::More if ended => return Some(Said::Unreadable),
                Said::More => {
                    until = until.or(Some(Instant::now() + HELLO));
                    sys::network::wake_at(client.as_raw_fd(), length + 1).ok()?;
                    // Small parts take so much room that the kernel wakes for those that were seen already.
                    if length == seen {
                        let over = PollFd::new(self.until.as_fd(), PollFlags::POLLIN);
                        let _ = poll(&mut [over], FULL);
                    }
                    seen = length;
                }
                said => {
                    sys::network::wake_at(client.as_raw_fd(), 1).ok()?;
                    return Some(said);
                }
            }
        }
    }
}
