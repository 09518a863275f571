//! A table of nftables, made over netlink.
//!
//! It belongs to the socket that has made it (`NFT_TABLE_F_OWNER`): nobody else can change it, and the kernel
//! removes it when the socket is closed, as it is at the end of its process, however that comes.

use crate::host::netlink::Netlink;
use crate::plan::op::network::{Protocol, Published, Rule};
use netlink_packet_core::{DefaultNla, Emitable as _, NLA_F_NESTED};
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use std::net::IpAddr;

/// Makes a table with these rules. It is there as long as what is returned.
pub(super) fn make(name: &str, rules: &[Rule]) -> nix::Result<Netlink> {
    let mut batch = Batch::default();
    batch.frame(BATCH_BEGIN);
    batch.table(name);
    let rules: Vec<_> = rules.iter().flat_map(expressions).collect();
    for chain in Chain::ALL {
        if rules.iter().any(|(of, _)| *of == chain) {
            batch.chain(name, chain);
        }
    }
    for (chain, expressions) in rules {
        batch.rule(name, chain, expressions);
    }
    batch.frame(BATCH_END);
    let mut socket = Netlink::netfilter()?;
    socket.batch(&batch.bytes, batch.acknowledged)?;
    Ok(socket)
}

// linux/netfilter/nfnetlink.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;

// linux/netfilter/nf_tables.h
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const OWNER: u32 = 2;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;

/// `NFPROTO_INET`: IPv4 and IPv6.
const INET: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// What is handed on.
    Forward,
    /// What arrives.
    Prerouting,
    /// What the host itself sends.
    Output,
    /// What leaves.
    Postrouting,
}

impl Chain {
    const ALL: [Self; 4] = [
        Self::Forward,
        Self::Prerouting,
        Self::Output,
        Self::Postrouting,
    ];

    /// Its name, type, hook (`NF_INET_*`) and priority (`NF_IP_PRI_FILTER`, `_NAT_DST`, `_NAT_SRC`).
    const fn place(self) -> (&'static str, &'static str, u32, i32) {
        match self {
            Self::Forward => ("forward", "filter", 2, 0),
            Self::Prerouting => ("prerouting", "nat", 0, -100),
            Self::Output => ("output", "nat", 3, -100),
            Self::Postrouting => ("postrouting", "nat", 4, 100),
        }
    }
}

/// Messages that take effect together or not at all.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    acknowledged: usize,
}

impl Batch {
    /// The begin or the end.
    fn frame(&mut self, kind: u16) {
        self.message(kind, NLM_F_REQUEST, 0, SUBSYSTEM, &[]);
    }

    fn ask(&mut self, kind: u16, flags: u16, attributes: &[DefaultNla]) {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | flags;
        self.message(SUBSYSTEM << 8 | kind, flags, INET, 0, attributes);
        self.acknowledged += 1;
    }

    /// `struct nlmsghdr`, `struct nfgenmsg`, attributes.
    fn message(&mut self, kind: u16, flags: u16, family: u8, id: u16, attributes: &[DefaultNla]) {
        let attributes = emitted(attributes);
        let length = 20 + attributes.len() as u32;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(id.to_be_bytes());
        self.bytes.extend(attributes);
    }

    fn table(&mut self, name: &str) {
        self.ask(NEW_TABLE, NLM_F_EXCL, &[text(1, name), number(2, OWNER)]);
    }

    fn chain(&mut self, table: &str, chain: Chain) {
        let (name, kind, hook, priority) = chain.place();
        let hook = nested(4, &[number(1, hook), number(2, priority.cast_unsigned())]);
        let attributes = [text(1, table), text(3, name), hook, text(7, kind)];
        self.ask(NEW_CHAIN, 0, &attributes);
    }

    fn rule(&mut self, table: &str, chain: Chain, expressions: Vec<DefaultNla>) {
        let (name, ..) = chain.place();
        let attributes = [text(1, table), text(2, name), nested(4, &expressions)];
        self.ask(NEW_RULE, NLM_F_APPEND, &attributes);
    }
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NLA_F_NESTED, emitted(attributes))
}

fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

fn text(kind: u16, value: &str) -> DefaultNla {
    let bytes = value.bytes().chain([0]).collect();
    DefaultNla::new(kind, bytes)
}

/// `NFTA_DATA_VALUE`, in an attribute of this kind.
fn data(kind: u16, value: &[u8]) -> DefaultNla {
    nested(kind, &[DefaultNla::new(1, value.to_vec())])
}

fn expression(name: &str, attributes: &[DefaultNla]) -> DefaultNla {
    nested(1, &[text(1, name), nested(2, attributes)])
}

/// Loads something about the packet that is not in it.
fn meta(key: u32) -> DefaultNla {
    expression("meta", &[number(1, REGISTER_1), number(2, key)])
}

/// Loads bytes of a header: 1 of the network's, 2 of the transport's.
fn payload(header: u32, offset: u32, length: u32) -> DefaultNla {
    let place = [number(2, header), number(3, offset), number(4, length)];
    expression("payload", &[&[number(1, REGISTER_1)], &place[..]].concat())
}

/// Goes on only if what was loaded is this, or is not.
fn compare(equal: bool, value: &[u8]) -> DefaultNla {
    let how = u32::from(!equal);
    expression(
        "cmp",
        &[number(1, REGISTER_1), number(2, how), data(3, value)],
    )
}

fn immediate(register: u32, value: &[u8]) -> DefaultNla {
    expression("immediate", &[number(1, register), data(2, value)])
}

/// `NFT_META_*`
const IIFNAME: u32 = 6;
const OIFNAME: u32 = 7;
const NFPROTO: u32 = 15;
const L4PROTO: u32 = 16;

/// The version of IP, as `NFPROTO_*`.
fn version(ipv4: bool) -> [DefaultNla; 2] {
    let number = if ipv4 { 2 } else { 10 };
    [meta(NFPROTO), compare(true, &[number])]
}

/// The name of an interface, as the kernel has it: 16 bytes.
fn padded(name: &str) -> Vec<u8> {
    name.bytes().chain([0; 16]).take(16).collect()
}

/// The interface that the packet leaves by.
fn leaves_by(equal: bool, name: &str) -> [DefaultNla; 2] {
    [meta(OIFNAME), compare(equal, &padded(name))]
}

/// The interface that it has come by.
fn came_by(name: &str) -> [DefaultNla; 2] {
    [meta(IIFNAME), compare(true, &padded(name))]
}

/// Whether the connection goes to a published port: `IPS_DST_NAT` of the status (`NFT_CT_STATUS`).
fn is_published() -> [DefaultNla; 3] {
    let status = expression("ct", &[number(1, REGISTER_1), number(2, 2)]);
    let masked = [
        number(1, REGISTER_1),
        number(2, REGISTER_1),
        number(3, 4),
        data(4, &32u32.to_ne_bytes()),
        data(5, &[0; 4]),
    ];
    let none = compare(false, &[0; 4]);
    [status, expression("bitwise", &masked), none]
}

/// What becomes of the packet: `NF_DROP` or `NF_ACCEPT`.
fn verdict(code: u32) -> DefaultNla {
    let verdict = nested(2, &[number(1, code)]);
    expression("immediate", &[number(1, 0), nested(2, &[verdict])])
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Where the addresses lie in the header of IP.
fn source(ipv4: bool) -> DefaultNla {
    if ipv4 {
        payload(1, 12, 4)
    } else {
        payload(1, 8, 16)
    }
}

fn destination(ipv4: bool) -> DefaultNla {
    if ipv4 {
        payload(1, 16, 4)
    } else {
        payload(1, 24, 16)
    }
}

/// What a rule comes to.
fn expressions(rule: &Rule) -> Vec<(Chain, Vec<DefaultNla>)> {
    match rule {
        Rule::Masquerade { from, but } => {
            let mut all = version(from.is_ipv4()).to_vec();
            all.extend([source(from.is_ipv4()), compare(true, &octets(*from))]);
            all.extend(leaves_by(false, but));
            all.push(expression("masq", &[]));
            vec![(Chain::Postrouting, all)]
        }
        Rule::Keep { on } => {
            let answers = [&came_by(on)[..], &is_published(), &[verdict(1)]].concat();
            let others = [&came_by(on)[..], &[verdict(0)]].concat();
            vec![(Chain::Forward, answers), (Chain::Forward, others)]
        }
        Rule::MasqueradeInwards {
            to,
            by,
            loopback_only,
        } => {
            let ipv4 = to.is_ipv4();
            let mut all = version(ipv4).to_vec();
            all.extend([destination(ipv4), compare(true, &octets(*to))]);
            match (*loopback_only, ipv4) {
                (false, _) => {}
                (true, true) => all.extend([payload(1, 12, 1), compare(true, &[127])]),
                (true, false) => {
                    let loopback = std::net::Ipv6Addr::LOCALHOST;
                    all.extend([source(false), compare(true, &loopback.octets())]);
                }
            }
            all.extend(leaves_by(true, by));
            all.push(expression("masq", &[]));
            vec![(Chain::Postrouting, all)]
        }
        Rule::Publish {
            published,
            to,
            loopback,
        } => [Chain::Prerouting, Chain::Output]
            .map(|chain| (chain, publish(published, *to, *loopback)))
            .to_vec(),
    }
}

fn publish(published: &Published, to: IpAddr, loopback: bool) -> Vec<DefaultNla> {
    let ipv4 = to.is_ipv4();
    let mut all = version(ipv4).to_vec();
    match published.address {
        Some(address) => all.extend([destination(ipv4), compare(true, &octets(address))]),
        None => {
            // Any address of this host: `RTN_LOCAL` of the destination.
            let addrtype = [number(1, REGISTER_1), number(2, 3), number(3, 2)];
            all.push(expression("fib", &addrtype));
            all.push(compare(true, &2u32.to_ne_bytes()));
            if !loopback && ipv4 {
                all.extend([payload(1, 16, 1), compare(false, &[127])]);
            } else if !loopback {
                let own = std::net::Ipv6Addr::LOCALHOST;
                all.extend([destination(false), compare(false, &own.octets())]);
            }
        }
    }
    let protocol = match published.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    all.extend([meta(L4PROTO), compare(true, &[protocol as u8])]);
    all.extend([
        payload(2, 2, 2),
        compare(true, &published.port.to_be_bytes()),
    ]);
    all.push(immediate(REGISTER_1, &octets(to)));
    all.push(immediate(REGISTER_2, &published.inside.to_be_bytes()));
    // `NFT_NAT_DNAT`, the family, and the registers of address and port.
    let family = if ipv4 { 2 } else { 10 };
    let nat = [
        number(1, 1),
        number(2, family),
        number(3, REGISTER_1),
        number(5, REGISTER_2),
    ];
    all.push(expression("nat", &nat));
    all
}
