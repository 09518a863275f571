//! Names: what the command asks, and what it is told. Nothing of its questions goes out as it is, and nothing of
//! the answers comes in as it is: a permitted name is asked for anew, and of what is answered only addresses are
//! handed on, as those of the name itself.

use super::upstream::{Failure, Family};
use super::{LOOKUPS, STACK, Shared};
use crate::plan::egress::Name;
use crate::report::egress::Meant;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// More than the longest question (RFC 1035, 4.2.1).
const QUESTION: usize = 512;
/// How many questions are taken before it is anybody else's turn.
const TURN: usize = 64;
/// How many questions may come over one connection, and how long each may take.
const OVER_STREAM: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);
/// So many addresses fit into an answer of 512 bytes after the longest name.
const ADDRESSES: usize = 8;
/// For how long an answer holds, at most and at least, in seconds.
const HOLDS: (u32, u32) = (1, 300);

/// What is to be done about a question.
enum Plan {
    /// It is answered with these addresses, or with this code.
    Answer(RCODE, Vec<IpAddr>),
    /// The name is permitted, and is looked up.
    LookUp(Name, Family),
}

/// Takes the questions that wait, so many and no more, and sends those answers that are there at once.
pub(in crate::supervisor) fn take_datagrams(
    socket: &UdpSocket,
    mut answer: impl FnMut(&[u8], SocketAddr) -> Option<Vec<u8>>,
) {
    let mut buffer = [0; QUESTION];
    for _ in 0..TURN {
        let (length, client) = match socket.recv_from(&mut buffer) {
            Ok(came) => came,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if let Some(answer) = answer(buffer.get(..length).unwrap_or_default(), client) {
            let _ = socket.send_to(&answer, client);
        }
    }
}

/// Answers the questions that come over a connection, as long as it goes on; `None` when that is over.
pub(in crate::supervisor) fn take_stream(
    mut client: TcpStream,
    goes_on: impl Fn() -> bool,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<()> {
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    client.set_write_timeout(Some(PATIENCE)).ok()?;
    for _ in 0..OVER_STREAM {
        let mut length = [0; 2];
        if !goes_on() {
            return None;
        }
        client.read_exact(&mut length).ok()?;
        let length = usize::from(u16::from_be_bytes(length));
        let mut bytes = vec![0; length];
        if length > QUESTION {
            return None;
        }
        client.read_exact(&mut bytes).ok()?;
        let answer = answer(&bytes)?;
        let mut whole = u16::try_from(answer.len()).ok()?.to_be_bytes().to_vec();
        whole.extend(answer);
        client.write_all(&whole).ok()?;
    }
    None
}

impl Shared {
    /// Answers what waits: what needs no look-up at once.
    pub(super) fn answer_queries(self: &Arc<Self>, queries: &Arc<UdpSocket>) {
        take_datagrams(queries, |bytes, client| {
            let question = question(bytes)?;
            match self.plan(&question) {
                Plan::Answer(code, addresses) => reply(&question, code, &addresses, HOLDS.0),
                Plan::LookUp(..) => {
                    // Who gets no answer asks again.
                    let place = self.place(|shared| &shared.lookups, LOOKUPS)?;
                    let (shared, queries) = (Arc::clone(self), Arc::clone(queries));
                    let bytes = bytes.to_vec();
                    let thread = std::thread::Builder::new().stack_size(STACK);
                    let _ = thread.spawn(move || {
                        let _place = place;
                        if let Some(reply) = shared.answer(&bytes) {
                            let _ = queries.send_to(&reply, client);
                        }
                    });
                    None
                }
            }
        });
    }

    /// Answers the questions that come over a connection.
    pub(super) fn answer_stream(self: Arc<Self>, client: TcpStream) {
        take_stream(client, || !self.is_over(), |bytes| self.answer(bytes));
    }

    /// The answer to a question; `None` for what is none.
    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let question = question(bytes)?;
        match self.plan(&question) {
            Plan::Answer(code, addresses) => reply(&question, code, &addresses, HOLDS.0),
            Plan::LookUp(name, family) => match self.upstream.look_up(&name, family) {
                Ok(found) => {
                    let mut addresses: Vec<IpAddr> = Vec::new();
                    for address in found.addresses {
                        let address = address.to_canonical();
                        if let Err(reason) = self.rules.answer(address) {
                            let meant = Meant::Answer(name.to_string(), address);
                            self.ledger().count(meant, reason);
                        } else if addresses.len() < ADDRESSES
                            && !addresses.contains(&address)
                            && family.holds(address)
                            && is_routed(address)
                        {
                            addresses.push(address);
                        }
                    }
                    // Before the command knows of them.
                    let mut known = self.known();
                    for address in &addresses {
                        known.keep(*address, &name);
                    }
                    drop(known);
                    let holds = found.seconds.clamp(HOLDS.0, HOLDS.1);
                    reply(&question, RCODE::NoError, &addresses, holds)
                }
                Err(Failure::NotThere) => reply(&question, RCODE::NameError, &[], 0),
                Err(Failure::Failed) => reply(&question, RCODE::ServerFailure, &[], 0),
            },
        }
    }

    /// Decides; counts what is refused.
    fn plan(&self, packet: &Packet<'_>) -> Plan {
        let no = |code| Plan::Answer(code, Vec::new());
        let [question] = packet.questions.as_slice() else {
            return no(RCODE::FormatError);
        };
        if packet.opcode() != OPCODE::StandardQuery {
            return no(RCODE::NotImplemented);
        }
        if question.qclass != QCLASS::CLASS(CLASS::IN) {
            return no(RCODE::Refused);
        }
        let text = question.qname.to_string();
        let family = match question.qtype {
            QTYPE::TYPE(TYPE::A) => Some(Family::Four),
            QTYPE::TYPE(TYPE::AAAA) => Some(Family::Six),
            _ => None,
        };
        let Ok(name) = Name::parse(&text) else {
            self.ledger().count(
                Meant::Resolve(text),
                crate::plan::egress::Reason::NotAllowed,
            );
            return no(RCODE::NameError);
        };
        if name.is_localhost() {
            return Plan::Answer(
                RCODE::NoError,
                match family {
                    Some(Family::Four) => vec![Ipv4Addr::LOCALHOST.into()],
                    Some(Family::Six) => vec![Ipv6Addr::LOCALHOST.into()],
                    None => Vec::new(),
                },
            );
        }
        if let Err(reason) = self.rules.name(&name) {
            // The names of addresses are asked for by programs that only want to print them.
            if !name.as_str().ends_with(".arpa") {
                self.ledger().count(Meant::Resolve(text), reason);
            }
            return no(RCODE::NameError);
        }
        match family {
            Some(family) => Plan::LookUp(name, family),
            // It is there, and has nothing of the kind.
            None => no(RCODE::NoError),
        }
    }
}

/// A question as it came; `None` for what deserves no answer.
pub(in crate::supervisor) fn question(bytes: &[u8]) -> Option<Packet<'_>> {
    let packet = Packet::parse(bytes).ok()?;
    (!packet.has_flags(PacketFlag::RESPONSE)).then_some(packet)
}

/// An answer: addresses of the very name that was asked for.
pub(in crate::supervisor) fn reply(
    question: &Packet<'_>,
    code: RCODE,
    addresses: &[IpAddr],
    seconds: u32,
) -> Option<Vec<u8>> {
    let mut reply = Packet::new_reply(question.id());
    if question.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    *reply.rcode_mut() = code;
    reply.questions.clone_from(&question.questions);
    if let [asked] = question.questions.as_slice() {
        let record = |address: &IpAddr| {
            let data = match address {
                IpAddr::V4(four) => RData::A(A {
                    address: four.to_bits(),
                }),
                IpAddr::V6(six) => RData::AAAA(AAAA {
                    address: six.to_bits(),
                }),
            };
            ResourceRecord::new(asked.qname.clone(), CLASS::IN, seconds, data)
        };
        reply.answers = addresses.iter().map(record).collect();
    }
    reply.build_bytes_vec_compressed().ok()
}

/// Whether this machine has a way to an address. A command that is told of others would connect to the gate, and
/// not try the next one.
fn is_routed(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Of datagrams, to connect sends nothing.
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((address, 9)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::Question;

    #[test]
    fn the_longest_answer_fits_into_a_datagram() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let mut packet = Packet::new_query(7);
        let name = simple_dns::Name::new(&name).unwrap();
        let (kind, class) = (QTYPE::TYPE(TYPE::AAAA), QCLASS::CLASS(CLASS::IN));
        packet
            .questions
            .push(Question::new(name, kind, class, false));
        let addresses: Vec<IpAddr> = (0..ADDRESSES as u128)
            .map(|bits| Ipv6Addr::from_bits(bits << 64 | 7).into())
            .collect();
        let bytes = reply(&packet, RCODE::NoError, &addresses, 300).unwrap();
        assert!(bytes.len() <= 512, "{}", bytes.len());
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!((read.id(), read.answers.len()), (7, ADDRESSES));
    }

    proptest! {
        #[test]
        fn no_question_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = question(&bytes) {
                let _ = reply(&packet, RCODE::NameError, &[Ipv4Addr::LOCALHOST.into()], 1);
            }
        }
    }
}
