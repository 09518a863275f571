//! Tables of nftables as bytes: messages of netlink that take effect together, and the expressions of their rules
//! (linux/netfilter/nf_tables.h).

use netlink_packet_core::{DefaultNla, Emitable as _, NLA_F_NESTED};
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use std::net::IpAddr;

// linux/netfilter/nfnetlink.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;

const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const OWNER: u32 = 2;

/// The first of the registers that expressions load, and the second.
pub const REGISTER_1: u32 = 1;
/// See [`REGISTER_1`].
pub const REGISTER_2: u32 = 2;

/// `NFPROTO_INET`: IPv4 and IPv6.
const INET: u8 = 1;

/// A part of a rule: what is loaded, compared or done.
pub type Expression = DefaultNla;

/// From where packets come to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its type: `filter` or `nat`.
    pub kind: &'static str,
    /// The hook (`NF_INET_*`).
    pub hook: u32,
    /// The priority (`NF_IP_PRI_*`).
    pub priority: i32,
    /// Whether what no rule decides is dropped.
    pub drops: bool,
}

/// `NF_INET_*`
pub mod hook {
    /// What arrives.
    pub const PRE_ROUTING: u32 = 0;
    /// What is handed on.
    pub const FORWARD: u32 = 2;
    /// What is sent from here.
    pub const LOCAL_OUT: u32 = 3;
    /// What leaves.
    pub const POST_ROUTING: u32 = 4;
}

/// Messages about one table that take effect together or not at all. The kernel answers once: to the last, or to the
/// first that it refuses.
#[derive(Debug)]
pub struct Batch {
    table: String,
    bytes: Vec<u8>,
    /// Where the last message begins.
    last: usize,
}

impl Batch {
    /// Begins with a table; one that is `owned` belongs to the socket that makes it, and goes with it.
    #[must_use]
    pub fn new(table: &str, owned: bool) -> Self {
        let mut batch = Self {
            table: table.to_owned(),
            bytes: Vec::new(),
            last: 0,
        };
        batch.frame(BATCH_BEGIN);
        let flags = if owned { OWNER } else { 0 };
        batch.ask(NEW_TABLE, NLM_F_EXCL, &[text(1, table), number(2, flags)]);
        batch
    }

    /// Adds a chain; one without a base is only jumped to.
    pub fn chain(&mut self, name: &str, base: Option<Base>) {
        let mut attributes = vec![text(1, &self.table), text(3, name)];
        if let Some(base) = base {
            let place = [
                number(1, base.hook),
                number(2, base.priority.cast_unsigned()),
            ];
            attributes.extend([nested(4, &place), text(7, base.kind)]);
            if base.drops {
                attributes.push(number(5, 0));
            }
        }
        self.ask(NEW_CHAIN, 0, &attributes);
    }

    /// Adds a rule at the end of a chain.
    pub fn rule(&mut self, chain: &str, expressions: &[Expression]) {
        let attributes = [text(1, &self.table), text(2, chain), nested(4, expressions)];
        self.ask(NEW_RULE, NLM_F_APPEND, &attributes);
    }

    /// The whole packet.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        /// Where the flags of `struct nlmsghdr` are.
        const FLAGS: usize = 6;
        let flags = self.bytes.get_mut(self.last + FLAGS..);
        if let Some(flags) = flags.and_then(<[u8]>::first_chunk_mut::<2>) {
            *flags = (u16::from_ne_bytes(*flags) | NLM_F_ACK).to_ne_bytes();
        }
        self.frame(BATCH_END);
        self.bytes
    }

    /// The begin or the end.
    fn frame(&mut self, kind: u16) {
        self.message(kind, NLM_F_REQUEST, 0, SUBSYSTEM, &[]);
    }

    fn ask(&mut self, kind: u16, flags: u16, attributes: &[DefaultNla]) {
        let flags = NLM_F_REQUEST | NLM_F_CREATE | flags;
        self.last = self.bytes.len();
        self.message(SUBSYSTEM << 8 | kind, flags, INET, 0, attributes);
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
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NLA_F_NESTED, emitted(attributes))
}

/// An attribute of 32 bits.
#[must_use]
pub fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

/// An attribute of 16 bits.
fn short(kind: u16, value: u16) -> DefaultNla {
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

/// An expression by its name, with its attributes.
#[must_use]
pub fn expression(name: &str, attributes: &[DefaultNla]) -> Expression {
    nested(1, &[text(1, name), nested(2, attributes)])
}

/// Loads something about the packet that is not in it.
fn meta(key: u32) -> Expression {
    expression("meta", &[number(1, REGISTER_1), number(2, key)])
}

/// Loads something about the connection that it belongs to (`NFT_CT_*`).
fn connection(key: u32) -> Expression {
    expression("ct", &[number(1, REGISTER_1), number(2, key)])
}

/// Loads bytes of a header: 1 of the network's, 2 of the transport's.
#[must_use]
pub fn payload(header: u32, offset: u32, length: u32) -> Expression {
    let place = [number(2, header), number(3, offset), number(4, length)];
    expression("payload", &[&[number(1, REGISTER_1)], &place[..]].concat())
}

/// `NFT_CMP_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Equal = 0,
    Other = 1,
    AtMost = 3,
    AtLeast = 5,
}

fn compared(how: Compared, value: &[u8]) -> Expression {
    expression(
        "cmp",
        &[number(1, REGISTER_1), number(2, how as u32), data(3, value)],
    )
}

/// Goes on only if what was loaded is this, or is not.
#[must_use]
pub fn compare(equal: bool, value: &[u8]) -> Expression {
    compared(
        if equal {
            Compared::Equal
        } else {
            Compared::Other
        },
        value,
    )
}

/// Goes on only if what was loaded is a number from one to another, with the highest byte first.
#[must_use]
pub fn within(least: &[u8], most: &[u8]) -> [Expression; 2] {
    [
        compared(Compared::AtLeast, least),
        compared(Compared::AtMost, most),
    ]
}

/// Leaves these bits of what was loaded.
#[must_use]
pub fn mask(bits: &[u8]) -> Expression {
    let attributes = [
        number(1, REGISTER_1),
        number(2, REGISTER_1),
        number(3, bits.len() as u32),
        data(4, bits),
        data(5, &vec![0; bits.len()]),
    ];
    expression("bitwise", &attributes)
}

/// Puts a value into a register.
#[must_use]
pub fn immediate(register: u32, value: &[u8]) -> Expression {
    expression("immediate", &[number(1, register), data(2, value)])
}

/// `NFT_META_*`
const IIFNAME: u32 = 6;
const OIFNAME: u32 = 7;
const NFPROTO: u32 = 15;
const L4PROTO: u32 = 16;

/// The version of IP, as `NFPROTO_*`.
#[must_use]
pub fn version(ipv4: bool) -> [Expression; 2] {
    let number = if ipv4 { 2 } else { 10 };
    [meta(NFPROTO), compare(true, &[number])]
}

/// The protocol that IP carries, as `IPPROTO_*`.
#[must_use]
pub fn carries(protocol: i32) -> [Expression; 2] {
    [meta(L4PROTO), compare(true, &[protocol as u8])]
}

/// Loads the port that it goes to.
#[must_use]
pub fn port() -> Expression {
    payload(2, 2, 2)
}

/// The name of an interface, as the kernel has it: 16 bytes.
fn padded(name: &str) -> Vec<u8> {
    name.bytes().chain([0; 16]).take(16).collect()
}

/// The interface that the packet leaves by.
#[must_use]
pub fn leaves_by(equal: bool, name: &str) -> [Expression; 2] {
    [meta(OIFNAME), compare(equal, &padded(name))]
}

/// The interface that it has come by.
#[must_use]
pub fn came_by(name: &str) -> [Expression; 2] {
    [meta(IIFNAME), compare(true, &padded(name))]
}

/// Whether the connection goes to a published port: `IPS_DST_NAT` of the status (`NFT_CT_STATUS`).
#[must_use]
pub fn is_published() -> [Expression; 3] {
    [
        connection(2),
        mask(&32u32.to_ne_bytes()),
        compare(false, &[0; 4]),
    ]
}

/// Whether it answers what has come from elsewhere: the direction of it (`NFT_CT_DIRECTION`), and that its state is
/// `ESTABLISHED` or `RELATED` (`NFT_CT_STATE`).
#[must_use]
pub fn is_answer() -> [Expression; 5] {
    [
        connection(1),
        compare(true, &[1]),
        connection(0),
        mask(&6u32.to_ne_bytes()),
        compare(false, &[0; 4]),
    ]
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'n> {
    /// `NF_DROP`.
    Drop,
    /// `NF_ACCEPT`.
    Accept,
    /// Another chain decides (`NFT_GOTO`).
    Goto(&'n str),
}

/// Decides.
#[must_use]
pub fn verdict(verdict: Verdict<'_>) -> Expression {
    let attributes = match verdict {
        Verdict::Drop => vec![number(1, 0)],
        Verdict::Accept => vec![number(1, 1)],
        Verdict::Goto(chain) => vec![number(1, (-4i32).cast_unsigned()), text(2, chain)],
    };
    let verdict = nested(2, &attributes);
    expression("immediate", &[number(1, 0), nested(2, &[verdict])])
}

/// Hands the beginning of the packet to who listens to a group of nfnetlink_log, at once.
#[must_use]
pub fn tell(group: u16, length: u32) -> Expression {
    expression("log", &[short(1, group), number(3, length), short(4, 1)])
}

/// Refuses the packet with a reset (`NFT_REJECT_TCP_RST`), or as by a host with nobody at the port
/// (`NFT_REJECT_ICMPX_UNREACH`).
#[must_use]
pub fn reject(reset: bool) -> Expression {
    let kind = if reset { 1 } else { 2 };
    let code = DefaultNla::new(2, vec![1]);
    expression("reject", &[number(1, kind), code])
}

/// An address as it is in packets.
#[must_use]
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Loads the address that the packet is from.
#[must_use]
pub fn source(ipv4: bool) -> Expression {
    if ipv4 {
        payload(1, 12, 4)
    } else {
        payload(1, 8, 16)
    }
}

/// Loads the address that it is for.
#[must_use]
pub fn destination(ipv4: bool) -> Expression {
    if ipv4 {
        payload(1, 16, 4)
    } else {
        payload(1, 24, 16)
    }
}
