//! Who wanted to go where: the beginnings of connections, and datagrams that no socket of the gate is for. Of these,
//! the kernel refuses what no line is about; they are told apart and counted.

use super::Shared;
use super::packet::{Beginning, LONGEST};
use crate::plan::egress::Protocol;
use crate::plan::op::gate::{OPEN, REPEATED, RESOLVER};
use crate::sys::network;
use nix::errno::Errno;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::Arc;

/// How many are looked at before it is anybody else's turn.
const TURN: usize = 256;

impl Shared {
    /// Looks at what has arrived: begins what may be permitted, counts what is refused.
    pub(super) fn observe(
        self: &Arc<Self>,
        observer: BorrowedFd<'_>,
        waiting: &mut VecDeque<Beginning>,
    ) {
        let mut packet = [0; LONGEST];
        for _ in 0..TURN {
            let (length, interface, from) = match network::hear(observer.as_raw_fd(), &mut packet) {
                Ok(heard) => heard,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            // What was repeated was looked at before.
            if from == REPEATED {
                continue;
            }
            let Some(seen) = packet.get(..length).and_then(Beginning::read) else {
                continue;
            };
            let end = seen.end;
            if (end.address == IpAddr::V4(RESOLVER) && end.port == 53)
                || OPEN.gate.contains(&end.address)
            {
                continue;
            }
            let heard = interface == OPEN.gate_index
                && end.protocol == Protocol::Tcp
                && self.ports.contains(&end.port);
            if heard {
                if !self.begin(&seen) && waiting.len() < super::begin::WAITING {
                    waiting.push_back(seen);
                }
            } else if let Err(reason) = self.decide(end) {
                self.refused(end, None, reason);
            }
        }
    }
}
