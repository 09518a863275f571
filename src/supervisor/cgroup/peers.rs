//! With which addresses the processes of a group exchange packets: programs on a group of v2, of which one looks at what
//! is sent, one at what is received, and two at what is connected to, so that a refusal is an error and no silence
//! (Documentation/bpf/prog_cgroup_sysctl.rst for how programs hang on groups; `struct __sk_buff` and
//! `struct bpf_sock_addr` of linux/bpf.h for what they see).

use super::Group;
use super::error::CgroupError;
use super::programs::{copy, instruction, word};
use crate::host::cgroup::Controller;
use crate::plan::egress::Network;
use crate::sys::bpf::{Hook, Instruction};
use std::net::IpAddr;

impl Group {
    /// Lets the group exchange packets with these addresses and no others, and looks whether that is so.
    ///
    /// # Errors
    /// The kernel refuses it, or says something else afterwards.
    pub fn limit_peers(&self, peers: &[Network]) -> Result<(), CgroupError> {
        let programs = [
            (Hook::SENT, packets(peers, 16, 24)),
            (Hook::RECEIVED, packets(peers, 12, 8)),
            (Hook::CONNECTS, connects(peers)),
            (Hook::CONNECTS6, connects6(peers)),
        ];
        self.hang(Controller::Packets, "packets", &programs)
    }
}

// Registers; those up to the fifth are gone after a call.
const ANSWER: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;
const FOURTH: u8 = 4;
const ASKED: u8 = 6;
const KIND: u8 = 7;
const FOUR: u8 = 8;
const STACK: u8 = 10;

/// Where on the stack an address of 16 bytes is, or one of 4.
const ADDRESS: i16 = -16;

/// `bpf_skb_load_bytes` (bpf-helpers(7)).
const LOAD_BYTES: i32 = 26;

/// How linux/if_ether.h names what a packet carries.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Keeps four bytes on the stack.
const fn keep(from: u8, offset: i16) -> Instruction {
    instruction(0x63, STACK, from, offset, 0)
}

const fn set(to: u8, number: i32) -> Instruction {
    instruction(0xb4, to, 0, 0, number)
}

const fn add(to: u8, number: i32) -> Instruction {
    instruction(0x07, to, 0, 0, number)
}

const fn and(to: u8, mask: i32) -> Instruction {
    instruction(0x54, to, 0, 0, mask)
}

/// Goes on so many instructions further where the lower half of a register holds another number.
const fn unless(register: u8, number: i32, further: i16) -> Instruction {
    instruction(0x56, register, 0, further, number)
}

/// The same where it holds this one.
const fn when(register: u8, number: i32, further: i16) -> Instruction {
    instruction(0x16, register, 0, further, number)
}

const fn call(helper: i32) -> Instruction {
    instruction(0x85, 0, 0, 0, helper)
}

const fn answer(permits: bool) -> [Instruction; 2] {
    [set(ANSWER, permits as i32), instruction(0x95, 0, 0, 0, 0)]
}

/// Four bytes of an address, as they are read.
fn number(bytes: &[u8]) -> i32 {
    let mut four = [0; 4];
    for (to, from) in four.iter_mut().zip(bytes) {
        *to = *from;
    }
    i32::from_ne_bytes(four)
}

fn octets(network: &Network) -> Vec<u8> {
    match network.address() {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// The words of an address of this network that are in its prefix: which, under which mask, and what they hold.
fn words(network: &Network) -> Vec<(i16, i32, i32)> {
    let octets = octets(network);
    let held = octets.chunks(4).zip(0_i16..).map(|(wanted, at)| {
        let bits = u32::from(network.length()).saturating_sub(32 * u32::from(at.unsigned_abs()));
        let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
        (at, number(&mask.to_be_bytes()), number(wanted))
    });
    held.filter(|(_, mask, _)| *mask != 0).collect()
}

/// Decides about the address of IPv4 in its register: the end of a program.
fn decide_four(peers: &[Network]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for network in peers.iter().filter(|network| !network.is_v6()) {
        program.push(copy(FIRST, FOUR));
        for (_, mask, wanted) in words(network) {
            program.push(and(FIRST, mask));
            program.push(unless(FIRST, wanted, 2));
        }
        program.extend(answer(true));
    }
    program.extend(answer(false));
    program
}

/// Decides about the address of IPv6 on the stack: the end of a program.
fn decide_six(peers: &[Network]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for network in peers.iter().filter(|network| network.is_v6()) {
        let words = words(network);
        for (number, (at, mask, wanted)) in words.iter().enumerate() {
            // What is left of this network: three for each word, and the answer.
            let left = 3 * (words.len() - 1 - number) as i16 + 2;
            program.push(word(FIRST, STACK, ADDRESS + 4 * at));
            program.push(and(FIRST, *mask));
            program.push(unless(FIRST, *wanted, left));
        }
        program.extend(answer(true));
    }
    program.extend(answer(false));
    program
}

/// Has so many bytes of the packet copied to the stack; where there are none, nothing is permitted.
fn load(from: i32, length: i32) -> Vec<Instruction> {
    let mut program = vec![
        copy(FIRST, ASKED),
        set(SECOND, from),
        copy(THIRD, STACK),
        add(THIRD, ADDRESS.into()),
        set(FOURTH, length),
        call(LOAD_BYTES),
        when(ANSWER, 0, 2),
    ];
    program.extend(answer(false));
    program
}

/// The program about packets: the other end's address is so many bytes from the beginning of the header of IPv4, and of
/// IPv6. What is neither does not come by here.
fn packets(peers: &[Network], four: i32, six: i32) -> Vec<Instruction> {
    let kind = |kind: u16| i32::from(kind.to_be());
    let mut of_four = load(four, 4);
    of_four.push(word(FOUR, STACK, ADDRESS));
    of_four.extend(decide_four(peers));
    let mut program = vec![copy(ASKED, FIRST), word(KIND, ASKED, 16)];
    program.push(unless(KIND, kind(IPV4), of_four.len() as i16));
    program.extend(of_four);
    program.push(when(KIND, kind(IPV6), 2));
    program.extend(answer(false));
    program.extend(load(six, 16));
    program.extend(decide_six(peers));
    program
}

/// Where in what is asked about a connection the address of IPv4 is, and the one of IPv6.
const TO_FOUR: i16 = 4;
const TO_SIX: i16 = 8;

/// The program about connecting over IPv4. The address of nobody leads to this machine (ip(7)).
fn connects(peers: &[Network]) -> Vec<Instruction> {
    let mut program = vec![
        word(FOUR, FIRST, TO_FOUR),
        unless(FOUR, 0, 1),
        set(FOUR, number(&[127, 0, 0, 1])),
    ];
    program.extend(decide_four(peers));
    program
}

/// The same over IPv6, by which addresses of IPv4 are reached too (ipv6(7)).
fn connects6(peers: &[Network]) -> Vec<Instruction> {
    let mut program = vec![copy(ASKED, FIRST)];
    for at in 0..4 {
        program.push(word(FOUR, ASKED, TO_SIX + 4 * at));
        program.push(keep(FOUR, ADDRESS + 4 * at));
    }
    let of_four = decide_four(peers);
    // From the third word on: is it one of IPv4, which the last one holds then? Is it that of nobody?
    let mut tail = vec![word(FIRST, STACK, ADDRESS + 8)];
    tail.push(unless(
        FIRST,
        number(&[0, 0, 255, 255]),
        of_four.len() as i16,
    ));
    tail.extend(of_four);
    tail.push(unless(FIRST, 0, 3));
    tail.push(unless(FOUR, 0, 2));
    tail.push(set(FOUR, number(&[0, 0, 0, 1])));
    tail.push(keep(FOUR, ADDRESS + 12));
    program.push(word(FIRST, STACK, ADDRESS));
    program.push(unless(FIRST, 0, tail.len() as i16 + 2));
    program.push(word(FIRST, STACK, ADDRESS + 4));
    program.push(unless(FIRST, 0, tail.len() as i16));
    program.extend(tail);
    program.extend(decide_six(peers));
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// What the kernel would answer about some bytes of memory; with a packet, that of the helper.
    fn run(program: &[Instruction], asked: &[u8], packet: &[u8]) -> u64 {
        let (mut registers, mut stack) = ([0_u64; 11], [0_u8; 16]);
        let at = |base: u8, offset: i16| match base {
            STACK => (true, usize::try_from(offset - ADDRESS).unwrap()),
            _ => (false, usize::try_from(offset).unwrap()),
        };
        let mut next = 0_usize;
        loop {
            let Instruction {
                code,
                registers: both,
                offset,
                number,
            } = program[next];
            let (to, from) = (both & 15, both >> 4);
            let low = registers[usize::from(to)] as u32;
            next += 1;
            match code {
                0x61 => {
                    let (of_stack, at) = at(from, offset);
                    let memory = if of_stack { &stack[..] } else { asked };
                    let word = u32::from_ne_bytes(memory[at..at + 4].try_into().unwrap());
                    registers[usize::from(to)] = word.into();
                }
                0x63 => {
                    let (of_stack, at) = at(to, offset);
                    assert!(of_stack);
                    let word = registers[usize::from(from)] as u32;
                    stack[at..at + 4].copy_from_slice(&word.to_ne_bytes());
                }
                0xbf => registers[usize::from(to)] = registers[usize::from(from)],
                0xb4 => registers[usize::from(to)] = (number as u32).into(),
                0x07 => {}
                0x54 => registers[usize::from(to)] = (low & number as u32).into(),
                0x56 if low != number as u32 => next += offset as usize,
                0x16 if low == number as u32 => next += offset as usize,
                0x56 | 0x16 => {}
                0x85 => {
                    let (from, length) = (registers[2] as usize, registers[4] as usize);
                    let held = packet.get(from..from + length);
                    registers[0] = if held.is_some() { 0 } else { u64::MAX };
                    if let Some(held) = held {
                        stack[..length].copy_from_slice(held);
                    }
                }
                0x95 => return registers[0],
                other => panic!("{other:x}"),
            }
        }
    }

    fn network(text: &str) -> Network {
        let text = if text.contains(':') {
            format!("[{text}]")
        } else {
            text.into()
        };
        Network::parse(&text).unwrap().unwrap()
    }

    #[test]
    fn programs_permit_what_lies_in_a_network_and_nothing_else() {
        let lists: [&[&str]; 5] = [
            &[],
            &["127.0.0.0/8", "::1"],
            &[
                "192.0.2.7",
                "10.0.0.0/9",
                "2001:db8::/33",
                "fd00:1:2:3:4::/80",
            ],
            &["0.0.0.0/0"],
            &["::/0", "172.16.0.0/12"],
        ];
        let addresses: Vec<IpAddr> = [
            "127.0.0.1",
            "127.255.0.9",
            "128.0.0.1",
            "192.0.2.7",
            "192.0.2.6",
            "10.127.255.255",
            "10.128.0.0",
            "172.31.255.255",
            "172.32.0.0",
            "::1",
            "::2",
            "2001:db8::1",
            "2001:db8:8000::1",
            "2001:db8:7fff::1",
            "fd00:1:2:3:4::9",
            "fd00:1:2:3:5::9",
            "fe80::1",
        ]
        .map(|text| text.parse().unwrap())
        .into();
        for list in lists {
            let peers: Vec<_> = list.iter().map(|text| network(text)).collect();
            for address in &addresses {
                let wanted = u64::from(peers.iter().any(|peer| peer.holds(*address)));
                for (source, program) in [
                    (false, packets(&peers, 16, 24)),
                    (true, packets(&peers, 12, 8)),
                ] {
                    let (kind, packet) = match address {
                        IpAddr::V4(four) => {
                            let mut packet = vec![9; 20];
                            let at = if source { 12 } else { 16 };
                            packet[at..at + 4].copy_from_slice(&four.octets());
                            (IPV4, packet)
                        }
                        IpAddr::V6(six) => {
                            let mut packet = vec![9; 40];
                            let at = if source { 8 } else { 24 };
                            packet[at..at + 16].copy_from_slice(&six.octets());
                            (IPV6, packet)
                        }
                    };
                    let mut asked = [0; 20];
                    asked[16..18].copy_from_slice(&kind.to_be_bytes());
                    assert_eq!(run(&program, &asked, &packet), wanted, "{address} {list:?}");
                    // Too short to have an address.
                    assert_eq!(run(&program, &asked, &packet[..8]), 0);
                }
                let mut asked = [0; 24];
                match address {
                    IpAddr::V4(four) => {
                        asked[4..8].copy_from_slice(&four.octets());
                        assert_eq!(run(&connects(&peers), &asked, &[]), wanted, "{address}");
                        let mapped: Ipv6Addr = four.to_ipv6_mapped();
                        asked[8..24].copy_from_slice(&mapped.octets());
                    }
                    IpAddr::V6(six) => asked[8..24].copy_from_slice(&six.octets()),
                }
                assert_eq!(
                    run(&connects6(&peers), &asked, &[]),
                    wanted,
                    "{address} {list:?}"
                );
            }
            // What is neither of IPv4 nor of IPv6 is not let through.
            assert_eq!(run(&packets(&peers, 16, 24), &[0; 20], &[0; 40]), 0);
            // The address of nobody leads to this machine.
            let own = |address: IpAddr| u64::from(peers.iter().any(|peer| peer.holds(address)));
            let nobody = [0; 24];
            assert_eq!(
                run(&connects(&peers), &nobody, &[]),
                own(Ipv4Addr::LOCALHOST.into())
            );
            assert_eq!(
                run(&connects6(&peers), &nobody, &[]),
                own(Ipv6Addr::LOCALHOST.into())
            );
        }
    }
}
