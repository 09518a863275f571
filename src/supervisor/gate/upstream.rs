//! Looking names up outside, as the caller's machine does: by its /etc/hosts, and by the servers of its
//! /etc/resolv.conf.

use crate::plan::egress::Name;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How many servers are asked (`MAXNS` of resolver(3)), and how often each.
const SERVERS: usize = 3;
const TIMES: usize = 2;
/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many aliases are followed, and how often that takes another question.
const ALIASES: usize = 16;
const QUESTIONS: usize = 4;
/// The largest file that is read.
const FILE: u64 = 1 << 20;

/// Of which family addresses are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Family {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

impl Family {
    pub(super) const fn holds(self, address: IpAddr) -> bool {
        matches!(
            (self, address),
            (Self::Four, IpAddr::V4(_)) | (Self::Six, IpAddr::V6(_))
        )
    }
}

/// What a name leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::supervisor) struct Found {
    pub(in crate::supervisor) addresses: Vec<IpAddr>,
    /// For how long it does.
    pub(super) seconds: u32,
}

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Failure {
    /// There is no such name.
    NotThere,
    /// Nobody can say.
    Failed,
}

/// Who is asked.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Upstream {
    hosts: HashMap<String, Vec<IpAddr>>,
    servers: Vec<SocketAddr>,
}

impl Upstream {
    /// As the files of this machine say.
    pub(in crate::supervisor) fn of_this_machine() -> Self {
        Self {
            hosts: hosts(&text("/etc/hosts")),
            servers: servers(&text("/etc/resolv.conf")),
        }
    }

    /// Looks a name up.
    pub(in crate::supervisor) fn look_up(
        &self,
        name: &Name,
        family: Family,
    ) -> Result<Found, Failure> {
        if let Some(addresses) = self.hosts.get(name.as_str()) {
            let of_family = addresses.iter().filter(|address| family.holds(**address));
            return Ok(Found {
                addresses: of_family.copied().collect(),
                seconds: 1,
            });
        }
        let mut wanted = name.to_string();
        let mut seconds = u32::MAX;
        for _ in 0..QUESTIONS {
            let bytes = self.ask(&wanted, family)?;
            let packet = Packet::parse(&bytes).map_err(|_| Failure::Failed)?;
            match packet.rcode() {
                RCODE::NoError => {}
                RCODE::NameError => return Err(Failure::NotThere),
                _ => return Err(Failure::Failed),
            }
            let (last, found, holds) = follow(&packet, &wanted, family);
            seconds = seconds.min(holds);
            if !found.is_empty() || last == wanted {
                return Ok(Found {
                    addresses: found,
                    seconds,
                });
            }
            // The server has told an alias alone.
            wanted = last;
        }
        Err(Failure::Failed)
    }

    /// The first answer of a server that has one.
    fn ask(&self, name: &str, family: Family) -> Result<Vec<u8>, Failure> {
        let name = simple_dns::Name::new(name).map_err(|_| Failure::Failed)?;
        let kind = match family {
            Family::Four => TYPE::A,
            Family::Six => TYPE::AAAA,
        };
        let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
        for _ in 0..TIMES {
            for server in &self.servers {
                let mut packet = Packet::new_query(number());
                packet.set_flags(PacketFlag::RECURSION_DESIRED);
                packet.questions = vec![question.clone()];
                let bytes = packet.build_bytes_vec().map_err(|_| Failure::Failed)?;
                if let Some(answer) = by_datagram(*server, &bytes, &packet) {
                    return Ok(answer);
                }
            }
        }
        Err(Failure::Failed)
    }
}

/// A number that nobody can guess: what hash maps begin with is random.
fn number() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

/// Asks one server; over a connection, where the answer does not fit into a datagram.
pub(in crate::supervisor) fn by_datagram(
    server: SocketAddr,
    bytes: &[u8],
    asked: &Packet<'_>,
) -> Option<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.send(bytes).ok()?;
    let until = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    loop {
        let left = until.checked_duration_since(Instant::now())?;
        socket
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .ok()?;
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let answer = buffer.get(..length)?;
        match Packet::parse(answer) {
            Ok(packet) if !belongs(&packet, asked) => {}
            Ok(packet) if packet.has_flags(PacketFlag::TRUNCATION) => {
                return by_stream(server, bytes, asked);
            }
            Ok(packet) if matches!(packet.rcode(), RCODE::NoError | RCODE::NameError) => {
                return Some(answer.to_vec());
            }
            // Another server may know better.
            Ok(_) => return None,
            Err(_) => {}
        }
    }
}

fn by_stream(server: SocketAddr, bytes: &[u8], asked: &Packet<'_>) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut whole = u16::try_from(bytes.len()).ok()?.to_be_bytes().to_vec();
    whole.extend_from_slice(bytes);
    stream.write_all(&whole).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    let packet = Packet::parse(&answer).ok()?;
    belongs(&packet, asked).then_some(answer.clone())
}

/// Whether an answer is one to this question.
fn belongs(answer: &Packet<'_>, asked: &Packet<'_>) -> bool {
    let same = match (answer.questions.as_slice(), asked.questions.as_slice()) {
        ([one], [other]) => {
            is_same(&one.qname.to_string(), &other.qname.to_string())
                && one.qtype == other.qtype
                && one.qclass == other.qclass
        }
        _ => false,
    };
    answer.has_flags(PacketFlag::RESPONSE) && answer.id() == asked.id() && same
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Follows the aliases of a name: the last of them, its addresses, and for how many seconds all of it holds.
fn follow(packet: &Packet<'_>, name: &str, family: Family) -> (String, Vec<IpAddr>, u32) {
    let mut last = name.to_owned();
    let mut seconds = u32::MAX;
    for _ in 0..ALIASES {
        let own =
            |record: &&simple_dns::ResourceRecord<'_>| is_same(&record.name.to_string(), &last);
        let mut addresses = Vec::new();
        let mut alias = None;
        for record in packet.answers.iter().filter(own) {
            let address: Option<IpAddr> = match &record.rdata {
                RData::A(a) => Some(Ipv4Addr::from_bits(a.address).into()),
                RData::AAAA(aaaa) => Some(Ipv6Addr::from_bits(aaaa.address).into()),
                RData::CNAME(to) => {
                    alias = Some(to.0.to_string());
                    None
                }
                _ => continue,
            };
            seconds = seconds.min(record.ttl);
            addresses.extend(address.filter(|address| family.holds(*address)));
        }
        match alias {
            Some(alias) if addresses.is_empty() => last = alias,
            _ => return (last, addresses, seconds),
        }
    }
    (last, Vec::new(), seconds)
}

/// A file, as far as it can be read.
fn text(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// hosts(5).
fn hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        for name in words.filter_map(|word| Name::parse(word).ok()) {
            hosts.entry(name.to_string()).or_default().push(address);
        }
    }
    hosts
}

/// The servers of resolv.conf(5).
fn servers(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let server = words
                .next()
                .filter(|word| *word == "nameserver")
                .and(words.next())?;
            Some(SocketAddr::new(server.parse().ok()?, 53))
        })
        .take(SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, CNAME};

    fn name(text: &str) -> simple_dns::Name<'_> {
        simple_dns::Name::new(text).unwrap()
    }

    fn record<'a>(owner: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
        ResourceRecord::new(name(owner), CLASS::IN, 60, data)
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_strangers_passed_over() {
        let mut packet = Packet::new_reply(1);
        packet.answers = vec![
            record("c.example", RData::A(A { address: 7 })),
            record("evil.example", RData::A(A { address: 9 })),
            record("B.example", RData::CNAME(CNAME(name("c.example")))),
            record("a.example", RData::CNAME(CNAME(name("b.example")))),
        ];
        let (last, found, seconds) = follow(&packet, "a.example", Family::Four);
        assert_eq!((last.as_str(), seconds), ("c.example", 60));
        assert_eq!(found, [IpAddr::from([0, 0, 0, 7])]);
        let (last, found, _) = follow(&packet, "b.example", Family::Six);
        assert_eq!((last.as_str(), found.len()), ("c.example", 0));
        packet
            .answers
            .push(record("c.example", RData::CNAME(CNAME(name("a.example")))));
        packet.answers.remove(0);
        assert!(follow(&packet, "a.example", Family::Four).1.is_empty());
    }

    #[test]
    fn the_files_are_read_as_resolvers_read_them() {
        let hosts = hosts("# x\n203.0.113.7 A.example a # b.example\n::1 a.example\nnone c\n");
        assert_eq!(hosts.get("a.example").map(Vec::len), Some(2));
        assert!(!hosts.contains_key("b.example") && !hosts.contains_key("c"));
        let text = "search x\nnameserver 192.0.2.1\nnameserver\tfd00::1 \n#nameserver 192.0.2.9\n";
        let found: Vec<_> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[fd00::1]:53"]);
        assert_eq!(servers(""), ["127.0.0.1:53".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 12..200)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let _ = follow(&packet, "a.example", Family::Four);
            }
        }
    }
}
