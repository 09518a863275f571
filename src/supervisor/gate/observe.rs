//! Who wanted to go where: the beginnings of connections, and datagrams, that no socket of the gate is for. The
//! kernel refuses them; here they are told apart and counted.

use super::Shared;
use crate::plan::egress::{End, Protocol};
use crate::plan::op::gate::{OPEN, RESOLVER};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// How many are looked at before it is anybody else's turn.
const TURN: usize = 256;

impl Shared {
    /// Counts what has arrived and is refused.
    pub(super) fn observe(&self, observer: BorrowedFd<'_>) {
        let mut packet = [0; 96];
        for _ in 0..TURN {
            match recv(observer.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    let Some(end) = packet.get(..length).and_then(end_of) else {
                        continue;
                    };
                    let own = end.address == IpAddr::V4(RESOLVER) && end.port == 53;
                    if !own
                        && !OPEN.gate.contains(&end.address)
                        && let Err(reason) = self.decide(end)
                    {
                        self.refused(end, None, reason);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Where a packet goes: of IPv4 or IPv6, TCP or UDP.
fn end_of(packet: &[u8]) -> Option<End> {
    let byte = |at: usize| packet.get(at).copied();
    let first = byte(0)?;
    let (protocol, address, ports): (u8, IpAddr, usize) = match first >> 4 {
        4 => {
            let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            let ports = usize::from(first & 0xf) * 4;
            (byte(9)?, Ipv4Addr::from(address).into(), ports)
        }
        6 => {
            let address: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (byte(6)?, Ipv6Addr::from(address).into(), 40)
        }
        _ => return None,
    };
    let protocol = match i32::from(protocol) {
        libc::IPPROTO_TCP => Protocol::Tcp,
        libc::IPPROTO_UDP => Protocol::Udp,
        _ => return None,
    };
    let port = u16::from_be_bytes([byte(ports + 2)?, byte(ports + 3)?]);
    Some(End::new(address, port, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_say_where_they_go() {
        let mut four = [0u8; 40];
        four[0] = 0x45;
        four[9] = 6;
        four[16..20].copy_from_slice(&[203, 0, 113, 7]);
        four[22..24].copy_from_slice(&443u16.to_be_bytes());
        assert_eq!(end_of(&four).unwrap().to_string(), "203.0.113.7:443");
        let mut six = [0u8; 60];
        six[0] = 0x60;
        six[6] = 17;
        six[39] = 9;
        six[42..44].copy_from_slice(&53u16.to_be_bytes());
        assert_eq!(end_of(&six).unwrap().to_string(), "[::9]:53/udp");
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in prop::collection::vec(any::<u8>(), 0..96)) {
            let _ = end_of(&packet);
        }
    }
}
