//! The bytes of a connection that is permitted, both ways.

use super::http::{Requests, Stop};
use super::{Shared, reset};
use crate::plan::egress::{End, Permit, Reason};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// How much is moved at once, where the kernel gives so much.
const PIPE: i32 = 256 << 10;
/// How much of requests is held at once.
const HELD: usize = 128 << 10;
/// As much of an answer as tells whether it agrees to another protocol.
const STATUS: usize = 12;

impl Shared {
    /// Moves requests of HTTP, each of which has to be for a host that is permitted.
    pub(super) fn relay_requests(
        &self,
        client: &TcpStream,
        server: &TcpStream,
        end: End,
        permit: Permit,
    ) -> Option<()> {
        let mut back = Way::new(server, client)?;
        let mut requests = Requests::new();
        let may = |host: &str| self.may_say(permit, host, end).is_ok();
        let mut bytes: Vec<u8> = Vec::new();
        let mut part = vec![0; HELD / 2];
        // Of the bytes, so many may go on; nothing more comes; the server was told so.
        let (mut passed, mut ended, mut closed) = (0, false, false);
        while !(closed && back.closed) {
            let mut moved = false;
            if requests.waits_for_answer() {
                let mut status = [0; STATUS];
                // Before the look: what it shows is then all.
                let no_more = sys::network::says_no_more(server.as_raw_fd());
                let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
                match recv(server.as_raw_fd(), &mut status, flags) {
                    Ok(length) if length == STATUS || length == 0 || no_more => {
                        requests.answered(&status);
                        sys::network::wake_at(server.as_raw_fd(), 1).ok()?;
                        moved = true;
                    }
                    Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(_) => return None,
                }
            }
            if !requests.waits_for_answer() {
                moved |= back.go()?;
            }
            if !ended && bytes.len() < HELD / 2 {
                match recv(client.as_raw_fd(), &mut part, MsgFlags::MSG_DONTWAIT) {
                    Ok(length) => {
                        ended = length == 0;
                        bytes.extend(part.get(..length)?);
                        moved = true;
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(_) => return None,
                }
            }
            match requests.pass(bytes.get(passed..)?, &may) {
                Ok(length) => passed += length,
                Err(stop) => {
                    let (said, reason) = match stop {
                        Stop::Host(host) => {
                            let reason = self.may_say(permit, &host, end).err()?;
                            (Some(host), reason)
                        }
                        Stop::Unreadable => (None, Reason::Nameless),
                    };
                    self.refused(end, said, reason);
                    reset(server);
                    return None;
                }
            }
            if passed > 0 {
                match send(
                    server.as_raw_fd(),
                    bytes.get(..passed)?,
                    MsgFlags::MSG_DONTWAIT,
                ) {
                    Ok(length) => {
                        bytes.drain(..length);
                        passed -= length;
                        moved = true;
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(_) => return None,
                }
            }
            if ended && passed == 0 && !closed {
                // What was begun and not finished goes nowhere.
                server.shutdown(Shutdown::Write).ok()?;
                closed = true;
                moved = true;
            }
            if moved {
                continue;
            }
            if requests.waits_for_answer() {
                sys::network::wake_at(server.as_raw_fd(), STATUS).ok()?;
            }
            let mut out = PollFlags::empty();
            out.set(PollFlags::POLLIN, !ended && bytes.len() < HELD / 2);
            out.set(PollFlags::POLLOUT, back.inside > 0);
            let mut to = PollFlags::empty();
            to.set(PollFlags::POLLIN, !back.ended && back.inside == 0);
            to.set(PollFlags::POLLOUT, passed > 0);
            wait(self.until.as_fd(), [(client, out), (server, to)])?;
        }
        Some(())
    }
}

/// Moves bytes both ways until both sides have ended; `None` where one of them broke off, or `until` hangs up.
pub(in crate::supervisor) fn relay(
    until: BorrowedFd<'_>,
    client: &TcpStream,
    server: &TcpStream,
) -> Option<()> {
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
        wait(
            until,
            [(client, wanted(out, back)), (server, wanted(back, out))],
        )?;
    }
    Some(())
}

/// Waits until something can be moved; `None` if the run is over.
fn wait(until: BorrowedFd<'_>, sockets: [(&TcpStream, PollFlags); 2]) -> Option<()> {
    let mut fds = vec![PollFd::new(until, PollFlags::POLLIN)];
    // Who has nothing to be waited for is left out: an end of it would be told without an end.
    for (socket, flags) in sockets {
        if !flags.is_empty() {
            fds.push(PollFd::new(socket.as_fd(), flags));
        }
    }
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return None,
    }
    let over = fds
        .first()?
        .revents()
        .is_some_and(|events| !events.is_empty());
    (!over).then_some(())
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
