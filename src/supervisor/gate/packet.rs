//! Packets by which the gate answers what a command begins: as the host would that it means, or a router on the way.

use crate::plan::egress::{End, Protocol};
use crate::plan::op::gate::{OPEN, REPEATED};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest that is looked at: with headers, and nothing behind them.
pub(super) const LONGEST: usize = 128;
/// Of how many routers a packet of ours may pass: there are none.
const HOPS: u8 = 64;
/// The length of a header of IPv4 without options, of IPv6, of TCP without options, and of UDP.
const FOUR: usize = 20;
const SIX: usize = 40;
const TCP: usize = 20;
const UDP: usize = 8;
/// Flags of TCP.
const RST_ACK: u8 = 0x14;

/// A packet of the command's, with which something begins: its headers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervisor) struct Beginning {
    pub(super) client: SocketAddr,
    pub(in crate::supervisor) end: End,
    /// From the header of the network layer on, without what it carries.
    bytes: Vec<u8>,
    /// Where the header of the transport begins.
    transport: usize,
}

/// Why there is no connection, as packets say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// Nobody listens there.
    Refused,
    /// There is no way to the network.
    Network,
    /// There is a way to the network, and none to the host.
    Host,
    /// Somebody on the way does not let it through.
    Forbidden,
}

impl No {
    /// What to tell of an error of connect(2); nothing where the host is silent, or where it is our own lack.
    pub(super) fn of(errno: Errno) -> Option<Self> {
        match errno {
            Errno::ECONNREFUSED | Errno::ECONNRESET => Some(Self::Refused),
            Errno::ENETUNREACH | Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT | Errno::ENETDOWN => {
                Some(Self::Network)
            }
            Errno::EACCES | Errno::EPERM => Some(Self::Forbidden),
            Errno::ETIMEDOUT
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EAGAIN => None,
            _ => Some(Self::Host),
        }
    }

    /// Type and code of icmp(7) and of ICMPv6.
    const fn codes(self) -> ([u8; 2], [u8; 2]) {
        match self {
            Self::Refused => ([3, 3], [1, 4]),
            Self::Network => ([3, 0], [1, 0]),
            Self::Host => ([3, 1], [1, 3]),
            Self::Forbidden => ([3, 13], [1, 1]),
        }
    }
}

impl Beginning {
    /// Reads a packet of IPv4 or IPv6, TCP or UDP.
    pub(in crate::supervisor) fn read(packet: &[u8]) -> Option<Self> {
        let byte = |at: usize| packet.get(at).copied();
        let (protocol, from, to, transport): (u8, IpAddr, IpAddr, usize) = match byte(0)? >> 4 {
            4 => {
                let address = |at: usize| -> Option<IpAddr> {
                    let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                    Some(Ipv4Addr::from(bytes).into())
                };
                let transport = usize::from(byte(0)? & 0xf) * 4;
                (byte(9)?, address(12)?, address(16)?, transport)
            }
            6 => {
                let address = |at: usize| -> Option<IpAddr> {
                    let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                    Some(Ipv6Addr::from(bytes).into())
                };
                (byte(6)?, address(8)?, address(24)?, SIX)
            }
            _ => return None,
        };
        let (protocol, length) = match i32::from(protocol) {
            libc::IPPROTO_TCP => (
                Protocol::Tcp,
                usize::from(byte(transport + 12).unwrap_or(0) >> 4) * 4,
            ),
            libc::IPPROTO_UDP => (Protocol::Udp, UDP),
            _ => return None,
        };
        let port = |at: usize| Some(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
        let (from_port, to_port) = (port(transport)?, port(transport + 2)?);
        let whole = transport + length.max(UDP);
        Some(Self {
            client: SocketAddr::new(from, from_port),
            end: End::new(to, to_port, protocol),
            bytes: packet.get(..whole.min(packet.len()))?.to_vec(),
            transport,
        })
    }

    /// A datagram that was taken already.
    pub(super) fn of_datagram(client: SocketAddr, end: End) -> Self {
        let mut bytes = header(client.ip(), end.address, libc::IPPROTO_UDP as u8, UDP);
        let transport = bytes.len();
        bytes.extend(client.port().to_be_bytes());
        bytes.extend(end.port.to_be_bytes());
        bytes.extend((UDP as u16).to_be_bytes());
        bytes.extend([0, 0]);
        Self {
            client,
            end,
            bytes,
            transport,
        }
    }

    /// The answer that there is no connection.
    pub(super) fn answer(&self, no: No) -> Option<Vec<u8>> {
        match (no, self.end.protocol) {
            (No::Refused, Protocol::Tcp) => self.reset(),
            _ => Some(self.unreachable(no)),
        }
    }

    /// As of a host where nobody listens.
    fn reset(&self) -> Option<Vec<u8>> {
        let at = self.transport + 4;
        let sequence = u32::from_be_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?);
        let mut segment = Vec::with_capacity(TCP);
        segment.extend(self.end.port.to_be_bytes());
        segment.extend(self.client.port().to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(sequence.wrapping_add(1).to_be_bytes());
        segment.extend([(TCP as u8 / 4) << 4, RST_ACK, 0, 0, 0, 0, 0, 0]);
        Some(self.back(libc::IPPROTO_TCP as u8, segment, 16))
    }

    /// As of a router on the way, or of the host; it bears what it is about.
    fn unreachable(&self, no: No) -> Vec<u8> {
        let (four, six) = no.codes();
        let (protocol, codes) = match self.end.address {
            IpAddr::V4(_) => (libc::IPPROTO_ICMP, four),
            IpAddr::V6(_) => (libc::IPPROTO_ICMPV6, six),
        };
        let mut message = Vec::with_capacity(UDP + self.bytes.len());
        message.extend(codes);
        message.extend([0; 6]);
        message.extend(&self.bytes);
        self.back(protocol as u8, message, 2)
    }

    /// A packet from whom was meant to the command, with its checksum at this place.
    fn back(&self, protocol: u8, mut payload: Vec<u8>, checksum_at: usize) -> Vec<u8> {
        let (from, to) = (self.end.address, self.client.ip());
        // That of ICMP for IPv4 is about the message alone.
        let pseudo = i32::from(protocol) != libc::IPPROTO_ICMP;
        let start = if pseudo {
            pseudo_sum(from, to, protocol, payload.len())
        } else {
            0
        };
        set_checksum(&mut payload, checksum_at, start);
        let mut packet = header(from, to, protocol, payload.len());
        packet.extend(payload);
        packet
    }

    /// The frame of it once more, from nobody's address, which sockets of the gate listen to.
    pub(super) fn again(&self) -> Option<Vec<u8>> {
        let (from, to) = (self.client.ip(), self.end.address);
        let mut bytes = self.bytes.clone();
        let payload = bytes.len().checked_sub(self.transport)?;
        let kind: u16 = match to {
            IpAddr::V4(_) => {
                put(
                    &mut bytes,
                    2,
                    &u16::try_from(self.bytes.len()).ok()?.to_be_bytes(),
                );
                let (head, _) = bytes.split_at_mut_checked(self.transport)?;
                set_checksum(head, 10, 0);
                libc::ETH_P_IP as u16
            }
            IpAddr::V6(_) => {
                put(&mut bytes, 4, &u16::try_from(payload).ok()?.to_be_bytes());
                libc::ETH_P_IPV6 as u16
            }
        };
        let (_, segment) = bytes.split_at_mut_checked(self.transport)?;
        // Between interfaces of one machine the sum was not made yet.
        let start = pseudo_sum(from, to, libc::IPPROTO_TCP as u8, payload);
        set_checksum(segment, 16, start);
        let mut frame = Vec::with_capacity(14 + bytes.len());
        let [_, gate] = OPEN.hardware;
        frame.extend(gate);
        frame.extend(REPEATED);
        frame.extend(kind.to_be_bytes());
        frame.extend(bytes);
        Some(frame)
    }
}

/// A header of the network layer.
fn header(from: IpAddr, to: IpAddr, protocol: u8, payload: usize) -> Vec<u8> {
    let length = |own: usize| {
        u16::try_from(payload + own)
            .unwrap_or(u16::MAX)
            .to_be_bytes()
    };
    let mut bytes = Vec::with_capacity(SIX + payload);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend(length(FOUR));
            bytes.extend([0, 0, 0x40, 0, HOPS, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            set_checksum(&mut bytes, 10, 0);
        }
        (from, to) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(length(0));
            bytes.extend([protocol, HOPS]);
            bytes.extend(as_six(from));
            bytes.extend(as_six(to));
        }
    }
    bytes
}

fn as_six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

/// What of the network layer's header is part of the checksum behind it.
fn pseudo_sum(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> u32 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (from, to) => sum(&as_six(from)) + sum(&as_six(to)),
    };
    addresses + u32::from(protocol) + u32::try_from(length).unwrap_or(0)
}

/// The words of 16 bits, added (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(u16::from_be_bytes([*high, 0])),
        _ => 0,
    });
    words.sum()
}

fn set_checksum(bytes: &mut [u8], at: usize, start: u32) {
    put(bytes, at, &[0, 0]);
    let mut all = start + sum(bytes);
    while all > 0xffff {
        all = (all & 0xffff) + (all >> 16);
    }
    put(bytes, at, &(!(all as u16)).to_be_bytes());
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let room = bytes.get_mut(at..).unwrap_or_default();
    for (to, from) in room.iter_mut().zip(value) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn four() -> [u8; 44] {
        let mut packet = [0u8; 44];
        packet[0] = 0x45;
        packet[9] = 6;
        packet[12..16].copy_from_slice(&[192, 0, 0, 2]);
        packet[16..20].copy_from_slice(&[203, 0, 113, 7]);
        packet[20..22].copy_from_slice(&40_000u16.to_be_bytes());
        packet[22..24].copy_from_slice(&443u16.to_be_bytes());
        packet[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
        packet[32] = 0x60;
        packet[33] = 2;
        packet
    }

    /// Whether the words of a part with its checksum come to nothing.
    fn is_summed(bytes: &[u8], start: u32) -> bool {
        let mut all = start + sum(bytes);
        while all > 0xffff {
            all = (all & 0xffff) + (all >> 16);
        }
        all == 0xffff
    }

    #[test]
    fn packets_say_where_they_go() {
        let read = Beginning::read(&four()).unwrap();
        assert_eq!(read.end.to_string(), "203.0.113.7:443");
        assert_eq!(read.client.to_string(), "192.0.0.2:40000");
        let mut six = [0u8; 60];
        six[0] = 0x60;
        six[6] = 17;
        six[39] = 9;
        six[42..44].copy_from_slice(&53u16.to_be_bytes());
        let read = Beginning::read(&six).unwrap();
        assert_eq!(read.end.to_string(), "[::9]:53/udp");
    }

    #[test]
    fn answers_go_back_with_sums_that_are_right() {
        let begun = Beginning::read(&four()).unwrap();
        let reset = begun.answer(No::Refused).unwrap();
        assert!(is_summed(&reset[..20], 0));
        let pseudo = pseudo_sum(begun.end.address, begun.client.ip(), 6, 20);
        assert!(is_summed(&reset[20..], pseudo));
        // The number that it answers comes after the last one there is.
        assert_eq!(reset[28..32], [0; 4]);
        assert_eq!(
            (reset[33], reset[12..16].to_vec()),
            (RST_ACK, vec![203, 0, 113, 7])
        );
        let told = begun.answer(No::Host).unwrap();
        assert_eq!(told[20..22], [3, 1]);
        assert!(is_summed(&told[20..], 0));
        assert_eq!(told[28..], four());
        let again = begun.again().unwrap();
        assert_eq!(again[6..12], REPEATED);
        assert!(is_summed(&again[14..34], 0));
        let pseudo = pseudo_sum(begun.client.ip(), begun.end.address, 6, 24);
        assert!(is_summed(&again[34..], pseudo));
    }

    #[test]
    fn a_datagram_that_was_taken_is_answered_like_one_that_was_seen() {
        let client: SocketAddr = "[fd00::2]:7".parse().unwrap();
        let end = End::new("2001:db8::1".parse().unwrap(), 9, Protocol::Udp);
        let told = Beginning::of_datagram(client, end)
            .answer(No::Refused)
            .unwrap();
        let read = Beginning::read(&told[SIX + 8..]).unwrap();
        assert_eq!((read.client, read.end), (client, end));
        let pseudo = pseudo_sum(end.address, client.ip(), 58, told.len() - SIX);
        assert!(is_summed(&told[SIX..], pseudo));
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in prop::collection::vec(any::<u8>(), 0..LONGEST)) {
            if let Some(begun) = Beginning::read(&packet) {
                for no in [No::Refused, No::Network, No::Host, No::Forbidden] {
                    let _ = begun.answer(no);
                }
                let _ = begun.again();
            }
        }
    }
}
