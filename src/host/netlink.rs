//! Requests to the kernel over netlink(7), answered before the call returns.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// More than the kernel puts into one packet of a dump.
const ROOM: usize = 1 << 17;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// `NLMSG_ERROR`: how a request ended, 0 for well.
const ERROR: u16 = 2;

/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;

/// A socket of netlink. What it asks for is done in the network namespace that it was made in.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// One message as it came.
struct Answer<'b> {
    kind: u16,
    whole: &'b [u8],
}

impl Answer<'_> {
    /// How the request ended, where this tells.
    fn end(&self) -> Option<nix::Result<()>> {
        if ![ERROR, DONE].contains(&self.kind) {
            return None;
        }
        let code = self.whole.get(HEADER..).and_then(<[u8]>::first_chunk);
        match code.map(|code| i32::from_ne_bytes(*code)) {
            Some(0) => Some(Ok(())),
            Some(code) => Some(Err(Errno::from_raw(code.wrapping_neg()))),
            // The end of a dump need not say more.
            None if self.kind == DONE => Some(Ok(())),
            None => Some(Err(Errno::EBADMSG)),
        }
    }
}

impl Netlink {
    /// A socket of rtnetlink(7): interfaces, addresses, routes.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn route() -> nix::Result<Self> {
        Self::of(SockProtocol::NetlinkRoute)
    }

    /// A socket of netfilter: packet filters.
    ///
    /// # Errors
    /// Those of socket(2); `EPROTONOSUPPORT` where the kernel has no packet filters.
    pub fn netfilter() -> nix::Result<Self> {
        Self::of(SockProtocol::NetlinkNetFilter)
    }

    fn of(protocol: SockProtocol) -> nix::Result<Self> {
        let family = AddressFamily::Netlink;
        let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The socket, for requests that are made elsewhere, one at a time.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Has one thing done.
    ///
    /// # Errors
    /// Why the kernel has not.
    pub fn request(&mut self, what: RouteNetlinkMessage, flags: u16) -> nix::Result<()> {
        let bytes = self.bytes(what, NLM_F_REQUEST | NLM_F_ACK | flags);
        self.send(&bytes)?;
        self.end()
    }

    /// Asks for a list. What this program cannot read of it is left out.
    ///
    /// # Errors
    /// Why the kernel refuses it.
    pub fn dump(&mut self, what: RouteNetlinkMessage) -> nix::Result<Vec<RouteNetlinkMessage>> {
        let bytes = self.bytes(what, NLM_F_REQUEST | NLM_F_DUMP);
        self.send(&bytes)?;
        let mut all = Vec::new();
        self.hear(|answer| {
            let end = answer.end();
            if end.is_none()
                && let Ok(message) = NetlinkMessage::deserialize(answer.whole)
                && let NetlinkPayload::InnerMessage(message) = message.payload
            {
                all.push(message);
            }
            end
        })?;
        Ok(all)
    }

    /// Sends messages that were put together elsewhere as one packet, the last of which asks for an answer.
    ///
    /// # Errors
    /// Why the kernel refuses the first that it refuses.
    pub fn batch(&mut self, packet: &[u8]) -> nix::Result<()> {
        self.send(packet)?;
        self.end()
    }

    fn bytes(&mut self, what: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(what));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn send(&self, bytes: &[u8]) -> nix::Result<()> {
        send(self.socket.as_raw_fd(), bytes, MsgFlags::empty()).map(drop)
    }

    /// Waits for the end of a request.
    fn end(&self) -> nix::Result<()> {
        self.hear(|answer| answer.end())
    }

    /// Hands out messages until one is the end.
    fn hear(
        &self,
        mut take: impl FnMut(&Answer<'_>) -> Option<nix::Result<()>>,
    ) -> nix::Result<()> {
        let mut room = vec![0; ROOM];
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut room, MsgFlags::MSG_TRUNC) {
                Err(Errno::EINTR) => continue,
                result => result?,
            };
            let mut rest = room.get(..length).ok_or(Errno::EMSGSIZE)?;
            while let Some(answer) = first(rest) {
                if let Some(end) = take(&answer) {
                    return end;
                }
                let next = answer.whole.len().next_multiple_of(4);
                rest = rest.get(next..).unwrap_or_default();
            }
        }
    }
}

/// The first message of a packet.
fn first(packet: &[u8]) -> Option<Answer<'_>> {
    let length = u32::from_ne_bytes(*packet.first_chunk::<4>()?) as usize;
    let kind = u16::from_ne_bytes(*packet.get(4..)?.first_chunk::<2>()?);
    let whole = packet.get(..length)?;
    (length >= HEADER).then_some(Answer { kind, whole })
}
