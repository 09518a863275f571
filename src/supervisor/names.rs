//! Names of the sandboxes on the same bridge: a resolver at the sandbox's loopback, served from here.
//!
//! Each question is answered from the records that are live at that moment, so that there is no list that could be
//! stale, and nothing to take away. What is no such name is asked, as it came, of those whom the profile's own
//! resolvers would be: from the sandbox's network, where its packet filter decides as about the command's own packets.

use super::gate::names::{question, reply, take_datagrams, take_stream};
use super::gate::upstream::by_datagram;
use crate::plan::op::network::Names;
use crate::running::live::{Opened, State};
use crate::running::{Folder, Record};
use crate::sys::network;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use simple_dns::{CLASS, OPCODE, Packet, QCLASS, QTYPE, RCODE, TYPE};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The most questions to others, and connections with questions, at once.
const MOST: usize = 32;
/// The stack of a thread.
const STACK: usize = 256 << 10;
/// So many addresses of one sandbox are told.
const ADDRESSES: usize = 8;
/// How long nothing is taken where there is no room for it.
const FULL: Duration = Duration::from_millis(20);
/// The longest datagram that everybody takes (RFC 1035, 4.2.1), and the longest that is sent to who takes longer ones.
const DATAGRAM: (usize, usize) = (512, 4096);
/// The port of resolvers.
const PORT: u16 = 53;
/// That an answer is cut short, in the third byte of it (RFC 1035, 4.1.1).
const CUT: u8 = 1 << 1;

/// The resolver of a run. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Resolver {
    /// While it is open, the threads go on.
    _until: OwnedFd,
}

/// Who serves.
struct Served {
    names: Names,
    /// The caller's network.
    host: u64,
    /// The record of this very run. Its file is never opened here: with that the lock on it would be lost (fcntl(2)).
    own: Option<(String, Option<String>)>,
    busy: AtomicUsize,
}

/// A place among so many; given back when it is dropped.
struct Place(Arc<Served>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is to be done about a question.
enum Plan {
    /// It is answered like this.
    Answer(Vec<u8>),
    /// Others are asked.
    Ask,
}

impl Resolver {
    /// Serves the sockets, which are in the sandbox's network, from now on; `own` is the record of this run.
    pub(super) fn open(
        names: &Names,
        datagrams: OwnedFd,
        streams: OwnedFd,
        own: Option<&Record>,
    ) -> nix::Result<Self> {
        let (until, _until) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        // Of the socket, since init is on its way, and hides.
        let inside = network::namespace_of(datagrams.as_raw_fd())?;
        let inside = crate::sys::descriptor::own(inside);
        let here = std::fs::metadata("/proc/self/ns/net").map_err(|_| Errno::EBADF)?;
        let served = Arc::new(Served {
            names: names.clone(),
            host: here.ino(),
            own: own.map(|record| (record.id.clone(), record.name.clone())),
            busy: AtomicUsize::new(0),
        });
        let (entered, has_entered) = channel();
        std::thread::Builder::new()
            .name("names".into())
            .stack_size(STACK)
            .spawn(move || {
                // Threads that this one starts are where it is.
                let done = network::enter(inside.as_raw_fd());
                drop(inside);
                if entered.send(done).is_ok() && done.is_ok() {
                    served.serve(&until, &Arc::new(datagrams.into()), &streams.into());
                }
            })
            .map_err(|_| Errno::EAGAIN)?;
        has_entered.recv().map_err(|_| Errno::ECHILD)??;
        Ok(Self { _until })
    }
}

impl Served {
    fn serve(self: &Arc<Self>, until: &OwnedFd, datagrams: &Arc<UdpSocket>, streams: &TcpListener) {
        loop {
            let full = self.busy.load(Ordering::Acquire) >= MOST;
            let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = vec![watch(until.as_fd()), watch(datagrams.as_fd())];
            fds.extend((!full).then(|| watch(streams.as_fd())));
            let timeout = match full {
                true => PollTimeout::try_from(FULL).unwrap_or(PollTimeout::MAX),
                false => PollTimeout::NONE,
            };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let mut ready = fds.iter().map(|fd| fd.any().unwrap_or_default());
            if ready.next().unwrap_or(true) {
                return;
            }
            if ready.next().unwrap_or_default() {
                self.take_datagrams(datagrams);
            }
            if ready.next().unwrap_or_default() {
                self.take_streams(streams);
            }
        }
    }

    fn place(self: &Arc<Self>) -> Option<Place> {
        if self.busy.fetch_add(1, Ordering::AcqRel) < MOST {
            return Some(Place(Arc::clone(self)));
        }
        self.busy.fetch_sub(1, Ordering::AcqRel);
        None
    }

    fn take_datagrams(self: &Arc<Self>, socket: &Arc<UdpSocket>) {
        take_datagrams(socket, |bytes, client| {
            let asked = question(bytes)?;
            match self.plan(&asked)? {
                Plan::Answer(answer) => Some(answer),
                Plan::Ask => {
                    // Who gets no answer asks again.
                    let place = self.place()?;
                    let (bytes, socket) = (bytes.to_vec(), Arc::clone(socket));
                    let thread = std::thread::Builder::new().stack_size(STACK);
                    let _ = thread.spawn(move || {
                        let asked = question(&bytes);
                        let answer = asked.and_then(|asked| {
                            let answer = place.0.ask(&bytes, &asked)?;
                            fitting(answer, &asked)
                        });
                        if let Some(answer) = answer {
                            let _ = socket.send_to(&answer, client);
                        }
                    });
                    None
                }
            }
        });
    }

    fn take_streams(self: &Arc<Self>, listener: &TcpListener) {
        while let Some(place) = self.place() {
            let Ok((client, _)) = listener.accept() else {
                return;
            };
            let thread = std::thread::Builder::new().stack_size(STACK);
            let _ =
                thread.spawn(move || take_stream(client, || true, |bytes| place.0.answer(bytes)));
        }
    }

    /// The answer to a question, whoever gives it.
    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let asked = question(bytes)?;
        match self.plan(&asked)? {
            Plan::Answer(answer) => Some(answer),
            Plan::Ask => self.ask(bytes, &asked),
        }
    }

    /// Whose question it is: of a sandbox's name, or of others.
    fn plan(&self, packet: &Packet<'_>) -> Option<Plan> {
        let code = |code| reply(packet, code, &[], 0).map(Plan::Answer);
        let [asked] = packet.questions.as_slice() else {
            return code(RCODE::FormatError);
        };
        if packet.opcode() != OPCODE::StandardQuery {
            return code(RCODE::NotImplemented);
        }
        let name = asked.qname.to_string();
        let found = match asked.qclass {
            QCLASS::CLASS(CLASS::IN) => self.find(name.trim_end_matches('.')),
            _ => None,
        };
        let Some(addresses) = found else {
            return match self.names.servers.is_empty() {
                true => code(RCODE::NameError),
                false => Some(Plan::Ask),
            };
        };
        let wanted = |address: &&IpAddr| match asked.qtype {
            QTYPE::TYPE(TYPE::A) => address.is_ipv4(),
            QTYPE::TYPE(TYPE::AAAA) => address.is_ipv6(),
            // It is there, and has nothing of the kind.
            _ => false,
        };
        let addresses = addresses.iter().filter(wanted).take(ADDRESSES);
        let addresses: Vec<_> = addresses.copied().collect();
        // It holds for this moment.
        reply(packet, RCODE::NoError, &addresses, 0).map(Plan::Answer)
    }

    /// The addresses of the sandbox of this name on the bridge, where one runs now.
    fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let is_it = |one: &Option<String>| {
            one.as_deref()
                .is_some_and(|one| one.eq_ignore_ascii_case(name))
        };
        if self.own.as_ref().is_some_and(|(_, own)| is_it(own)) {
            return Some(self.names.own.iter().map(|net| net.address).collect());
        }
        let folder = Folder::open(&self.names.folder)?;
        let is_own = |id: &str| self.own.as_ref().is_some_and(|(own, _)| own == id);
        let entries = folder.entries().into_iter();
        let mut entries = entries.filter(|one| is_it(&one.name) && !one.ended && !is_own(&one.id));
        entries.find_map(|entry| match Opened::new(&folder, entry)?.state() {
            State::Running(_, record) => self.believed(&record),
            _ => None,
        })
    }

    /// What a record says of its sandbox on this bridge; of that only what is in this sandbox's networks there.
    fn believed(&self, record: &Record) -> Option<Vec<IpAddr>> {
        let port = record.port.as_ref()?;
        if port.bridge != self.names.bridge || port.network != self.host {
            return None;
        }
        let near = |address: &&IpAddr| self.names.own.iter().any(|net| net.holds(**address));
        let addresses: Vec<_> = port.addresses.iter().filter(near).copied().collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    /// Asks others; that nobody answers is an answer too.
    fn ask(&self, bytes: &[u8], asked: &Packet<'_>) -> Option<Vec<u8>> {
        let mut servers = self.names.servers.iter();
        let answer =
            servers.find_map(|server| by_datagram(SocketAddr::new(*server, PORT), bytes, asked));
        answer.or_else(|| reply(asked, RCODE::ServerFailure, &[], 0))
    }
}

/// An answer as it fits into a datagram for who has asked: one that does not is cut, so that it is asked for by a connection.
fn fitting(answer: Vec<u8>, asked: &Packet<'_>) -> Option<Vec<u8>> {
    let (least, most) = DATAGRAM;
    let taken = asked
        .opt()
        .map_or(0, |opt| usize::from(opt.udp_packet_size));
    if answer.len() <= taken.clamp(least, most) {
        return Some(answer);
    }
    let mut cut = reply(asked, RCODE::NoError, &[], 0)?;
    *cut.get_mut(2)? |= CUT;
    Some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::network::Net;
    use crate::running::record::Port;
    use simple_dns::rdata::RData;
    use simple_dns::{PacketFlag, Question};

    fn served(own: &[&str], servers: &[&str]) -> Served {
        Served {
            names: Names {
                bridge: "br0".into(),
                own: own.iter().map(|one| Net::parse(one).unwrap()).collect(),
                servers: servers.iter().map(|one| one.parse().unwrap()).collect(),
                folder: "/nonexistent".into(),
            },
            host: 7,
            own: Some(("0123456789ab".into(), Some("Web".into()))),
            busy: AtomicUsize::new(0),
        }
    }

    fn asked(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        let name = simple_dns::Name::new_unchecked(name);
        let (kind, class) = (QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN));
        packet
            .questions
            .push(Question::new(name, kind, class, false));
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn the_own_name_is_known_and_others_are_asked_of_others_where_there_are_any() {
        let served_alone = served(&["10.9.0.2/24", "fd00:9::2/64"], &[]);
        let answer = |served: &Served, name: &str, kind| {
            let bytes = asked(name, kind);
            let packet = question(&bytes).unwrap();
            match served.plan(&packet).unwrap() {
                Plan::Ask => None,
                Plan::Answer(bytes) => {
                    let packet = Packet::parse(&bytes).unwrap();
                    let told: Vec<_> = (packet.answers.iter())
                        .map(|one| matches!(one.rdata, RData::A(_)))
                        .collect();
                    Some((packet.rcode(), told))
                }
            }
        };
        for (name, kind, is) in [
            ("web", TYPE::A, (RCODE::NoError, vec![true])),
            ("WEB", TYPE::AAAA, (RCODE::NoError, vec![false])),
            ("web", TYPE::MX, (RCODE::NoError, vec![])),
            ("other", TYPE::A, (RCODE::NameError, vec![])),
        ] {
            assert_eq!(answer(&served_alone, name, kind), Some(is), "{name}");
        }
        let with_others = served(&["10.9.0.2/24"], &["10.9.0.1"]);
        assert_eq!(answer(&with_others, "other", TYPE::A), None);
    }

    #[test]
    fn of_a_record_only_what_is_on_this_bridge_is_believed() {
        let served = served(&["10.9.0.2/24"], &[]);
        let record = |bridge: &str, network, addresses: &[&str]| Record {
            port: Some(Port {
                bridge: bridge.into(),
                network,
                addresses: addresses.iter().map(|one| one.parse().unwrap()).collect(),
            }),
            ..Record::default()
        };
        let near: IpAddr = "10.9.0.3".parse().unwrap();
        let found = served.believed(&record("br0", 7, &["192.0.2.1", "10.9.0.3", "::1"]));
        assert_eq!(found, Some(vec![near]));
        for other in [
            record("br1", 7, &["10.9.0.3"]),
            record("br0", 8, &["10.9.0.3"]),
            record("br0", 7, &["192.0.2.1"]),
            Record::default(),
        ] {
            assert_eq!(served.believed(&other), None);
        }
    }

    #[test]
    fn what_does_not_fit_into_a_datagram_is_cut() {
        let bytes = asked("a.example", TYPE::TXT);
        let packet = question(&bytes).unwrap();
        let whole = vec![0; 512];
        assert_eq!(fitting(whole.clone(), &packet), Some(whole));
        let cut = fitting(vec![0; 513], &packet).unwrap();
        let cut = Packet::parse(&cut).unwrap();
        assert!(cut.has_flags(PacketFlag::TRUNCATION) && cut.answers.is_empty());
    }
}
