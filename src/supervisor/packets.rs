//! What the sandbox's own packet filter has refused, as the kernel tells it (nfnetlink_log): counted, and told in the
//! end. What is told too fast is lost; what is refused stays refused.

use super::gate::ledger::Ledger;
use super::gate::packet::Beginning;
use crate::plan::egress::{End, Rules};
use crate::report::egress::{Meant, Unreached};
use netlink_packet_core::NlasIterator;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// How many messages are heard before it is anybody else's turn.
const TURN: usize = 256;
/// More than a message has.
const ROOM: usize = 4096;
/// The length of `struct nlmsghdr`, and with `struct nfgenmsg`.
const HEADER: usize = 16;
const HEADERS: usize = 20;
/// `NFULNL_MSG_PACKET` of `NFNL_SUBSYS_ULOG`.
const PACKET: u16 = 4 << 8;
/// `NFULA_PAYLOAD`
const PAYLOAD: u16 = 9;

/// Who hears it.
pub(super) struct RefusedPackets {
    rules: Rules,
    socket: OwnedFd,
    ledger: Ledger,
}

impl RefusedPackets {
    pub(super) fn new(rules: &Rules, socket: OwnedFd) -> Self {
        Self {
            rules: rules.clone(),
            socket,
            ledger: Ledger::default(),
        }
    }

    /// What to wait for: it has something to say when something was refused.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Hears what there is, as much as is one turn.
    pub(super) fn hear(&mut self) {
        let mut room = [0; ROOM];
        for _ in 0..TURN {
            match recv(self.socket.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => self.read(room.get(..length).unwrap_or_default()),
                // Some were lost.
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// What was refused, when nobody of the sandbox is left.
    pub(super) fn finish(mut self) -> Unreached {
        self.hear();
        self.ledger.close()
    }

    fn read(&mut self, mut rest: &[u8]) {
        while let Some((kind, message)) = first(rest) {
            if kind == PACKET
                && let Some(end) = message.get(HEADERS..).and_then(meant)
                && let Err(reason) = self.rules.connect(end, &[])
            {
                self.ledger.count(Meant::Connect(end, None), reason);
            }
            let next = message.len().next_multiple_of(4);
            rest = rest.get(next..).unwrap_or_default();
        }
    }
}

/// The first message, and its kind.
fn first(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk::<2>()?);
    let message = bytes.get(..length)?;
    (length >= HEADER).then_some((kind, message))
}

/// Where the packet was to go that is among the attributes of a message.
fn meant(attributes: &[u8]) -> Option<End> {
    let mut all = NlasIterator::new(attributes).flatten();
    let packet = all.find(|attribute| attribute.kind() == PAYLOAD)?;
    Beginning::read(packet.value()).map(|beginning| beginning.end)
}
