//! The gate: what the operations need that make the only way out of a sandbox.
//!
//! The sandbox's network namespace has no way out. It is linked with a second one, in which every address is local
//! and nothing else is: whatever is sent there has arrived, whoever it was for. The sockets at which it arrives are
//! the supervisor's, and it alone is in the caller's network. There are two links, since sockets listen on one alone:
//! what is routed to the other is refused by the kernel at once, as by a host on which nobody listens.

use crate::plan::egress::Protocol;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A pair of interfaces between the sandbox's network and the gate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The name of both.
    pub name: &'static CStr,
    /// The index in the sandbox.
    pub index: i32,
    /// The index at the gate. Another one: two interfaces of one index are taken for one that has no lower one, and
    /// such are brought up with a delay.
    pub gate_index: i32,
    /// The hardware address in the sandbox, and that at the gate: beginnings of connections are answered and repeated
    /// by packets, which bear them.
    pub hardware: [Hardware; 2],
    /// The addresses in the sandbox.
    pub inside: [IpAddr; 2],
    /// Those of its neighbour at the gate.
    pub gate: [IpAddr; 2],
    /// Whether all goes through it that goes nowhere else.
    pub rest: bool,
}

/// An address of Ethernet.
pub type Hardware = [u8; 6];

/// One that is assigned locally, and to nobody else of a link.
const fn hardware(last: u8) -> Hardware {
    [0x02, b'g', b'a', b't', b'e', last]
}

/// From whom a beginning of a connection comes when it is repeated; no interface has it.
pub const REPEATED: Hardware = hardware(0);

/// The length of the prefix of a link's addresses: it has two.
#[must_use]
pub const fn prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 31,
        IpAddr::V6(_) => 127,
    }
}

/// Of a block that is nowhere routed, and meant for the two ends of a link in one machine (RFC 7335).
const fn four(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, last))
}

/// Of a private network that nobody else has (RFC 4193).
const fn six(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd5e, 0x8c1f, 0x30a7, 0, 0, 0, 0, last))
}

/// For what may be permitted.
pub const OPEN: Link = Link {
    name: c"gate0",
    index: 4001,
    gate_index: 4011,
    hardware: [hardware(1), hardware(2)],
    inside: [four(2), six(2)],
    gate: [four(3), six(3)],
    rest: false,
};

/// For what is refused.
pub const SHUT: Link = Link {
    name: c"shut0",
    index: 4002,
    gate_index: 4012,
    hardware: [hardware(3), hardware(4)],
    inside: [four(4), six(4)],
    gate: [four(5), six(5)],
    rest: true,
};

/// Where names are resolved.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 3);

/// The bytes that a packet between the two may have; nothing is on the way that takes less.
pub const MTU: u32 = 65_535;

/// What a socket of the gate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Names are resolved.
    Resolver(Protocol),
    /// What goes to this port of any address comes here.
    Port(Protocol, u16),
}

/// The most ports of a protocol: the filter of the observer reaches over so many with its jumps.
pub const MOST_PORTS: usize = 128;

/// The filter of the observer: it lets through beginnings of TCP connections, and datagrams that go to none of
/// these ports, since those come to sockets of ours; and nothing that goes out.
#[must_use]
pub fn observer(ports: &[u16]) -> Vec<libc::sock_filter> {
    use libc::{
        BPF_B, BPF_H, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_LD, BPF_LDX, BPF_MSH,
    };
    /// As much of a packet as is looked at: the longest headers of a beginning.
    const KEPT: u32 = 128;
    const SYN_WITHOUT_ACK: (u32, u32) = (0x12, 0x02);
    let (out, four, six) = (libc::PACKET_OUTGOING.into(), 0x40, 0x60);
    let (tcp, udp) = (libc::IPPROTO_TCP as u32, libc::IPPROTO_UDP as u32);
    let interface = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
    let packet_type = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    // Where the parts begin; jumps lead forward only.
    let (in_six, datagram, first) = (15, 22, 26);
    let last = first + ports.len();
    let (beginning, keep, drop) = (last + 1, last + 3, last + 4);
    let mut program: Vec<libc::sock_filter> = Vec::with_capacity(drop + 1);
    let mut push = |code: u32, k: u32, yes: usize, no: usize| {
        let from = program.len() + 1;
        let over = |to: usize| u8::try_from(to.saturating_sub(from)).unwrap_or(u8::MAX);
        let always = code == BPF_JMP | BPF_JA;
        program.push(libc::sock_filter {
            code: code as u16,
            jt: if always { 0 } else { over(yes) },
            jf: if always { 0 } else { over(no) },
            k: if always { u32::from(over(yes)) } else { k },
        });
    };
    let (byte, half) = (BPF_LD | BPF_B, BPF_LD | BPF_H);
    let (equal, any, go) = (BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JSET, BPF_JMP | BPF_JA);
    let and = libc::BPF_ALU | libc::BPF_AND;
    let absolute = libc::BPF_ABS;
    push(byte | absolute, packet_type, 0, 0);
    push(equal, out, drop, 2);
    push(byte | absolute, 0, 0, 0);
    push(and, 0xf0, 0, 0);
    push(equal, four, 5, in_six);
    // Of a fragment, only the first has ports.
    push(half | absolute, 6, 0, 0);
    push(any, 0x1fff, drop, 7);
    push(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0);
    push(byte | absolute, 9, 0, 0);
    push(equal, tcp, 10, 12);
    push(byte | BPF_IND, 13, 0, 0);
    push(go, 0, beginning, 0);
    push(equal, udp, 13, drop);
    push(half | BPF_IND, 2, 0, 0);
    push(go, 0, datagram, 0);
    push(equal, six, 16, drop);
    push(byte | absolute, 6, 0, 0);
    push(equal, tcp, 18, 20);
    push(byte | absolute, 53, 0, 0);
    push(go, 0, beginning, 0);
    push(equal, udp, 21, drop);
    push(half | absolute, 42, 0, 0);
    // Only through the one link do datagrams come to our sockets.
    push(libc::BPF_ST, 0, 0, 0);
    push(libc::BPF_LD | libc::BPF_W | absolute, interface, 0, 0);
    push(equal, OPEN.gate_index as u32, 25, keep);
    push(libc::BPF_LD | libc::BPF_MEM, 0, 0, 0);
    for (at, port) in ports.iter().enumerate() {
        push(equal, (*port).into(), drop, first + at + 1);
    }
    push(go, 0, keep, 0);
    push(and, SYN_WITHOUT_ACK.0, 0, 0);
    push(equal, SYN_WITHOUT_ACK.1, keep, drop);
    push(libc::BPF_RET, KEPT, 0, 0);
    push(libc::BPF_RET, 0, 0, 0);
    program
}

/// The filter of a socket that listens: a beginning of a connection gets no answer until it is repeated by the
/// supervisor, once the other side has answered. All else goes through.
pub const LISTENER: &[libc::sock_filter] = {
    use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_W};
    const fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
        let code = code as u16;
        libc::sock_filter { code, jt, jf, k }
    }
    const SOURCE: u32 = (libc::SKF_LL_OFF + 6) as u32;
    let [a, b, c, d, e, f] = REPEATED;
    &[
        // Flags of tcp(7): SYN without ACK.
        step(BPF_LD | BPF_B | BPF_ABS, 13, 0, 0),
        step(BPF_ALU | BPF_AND | BPF_K, 0x12, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 4),
        step(BPF_LD | BPF_W | BPF_ABS, SOURCE, 0, 0),
        step(
            BPF_JMP | BPF_JEQ | BPF_K,
            u32::from_be_bytes([a, b, c, d]),
            0,
            3,
        ),
        step(BPF_LD | BPF_H | BPF_ABS, SOURCE + 4, 0, 0),
        step(
            BPF_JMP | BPF_JEQ | BPF_K,
            u16::from_be_bytes([e, f]) as u32,
            0,
            1,
        ),
        step(libc::BPF_RET, u32::MAX, 0, 0),
        step(libc::BPF_RET, 0, 0, 0),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jump_of_the_observer_leads_into_its_program() {
        for count in [0, 1, MOST_PORTS] {
            let ports: Vec<u16> = (1..=count as u16).collect();
            let program = observer(&ports);
            for (at, step) in program.iter().enumerate() {
                let jumps = u32::from(step.code) & 7 == libc::BPF_JMP;
                let always = u32::from(step.code) == libc::BPF_JMP | libc::BPF_JA;
                let farthest = match (jumps, always) {
                    (false, _) => 0,
                    (true, true) => step.k as usize,
                    (true, false) => usize::from(step.jt.max(step.jf)),
                };
                assert!(at + 1 + farthest < program.len() || step.code == libc::BPF_RET as u16);
                assert!(farthest < 255, "{count}: {at}");
            }
        }
    }
}
