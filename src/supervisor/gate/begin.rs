//! The beginning of a connection. The sockets of the gate do not hear it: first the other side is connected to, and
//! only if that answers, what the command has sent is repeated so that they do. So connect(2) inside comes to what it
//! comes to outside: a refusal, a lack of a way, silence.

use super::packet::{Beginning, No};
use super::{Place, STACK, Shared, reset};
use crate::plan::egress::End;
use crate::plan::op::gate::OPEN;
use crate::sys::network;
use nix::errno::Errno;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long a host may take until it answers; whoever still waits for it asks again.
const CONNECT: Duration = Duration::from_secs(20);
/// How long whoever has begun may take to go on.
const TAKEN: Duration = Duration::from_secs(10);
/// How many wait for a place; of further ones the command's system repeats the beginning by itself.
pub(super) const WAITING: usize = 256;

/// Both ends of a connection.
type Ends = (SocketAddr, SocketAddr);

/// A connection that has begun, until it ends: a beginning that is seen again later begins nothing.
struct Begun {
    /// The last that was seen of it.
    seen: Beginning,
    /// To whom it goes when it is taken: once the other side has answered, and until it is.
    to: Option<Sender<TcpStream>>,
}

/// The connections that have begun, and what answers them.
#[derive(Default)]
pub(super) struct Beginnings {
    begun: Mutex<HashMap<Ends, Begun>>,
    /// It sees what comes, and by it answers go back.
    observer: Option<OwnedFd>,
    /// By which beginnings are repeated.
    repeater: Option<OwnedFd>,
}

impl Beginnings {
    pub(super) fn new(observer: Option<OwnedFd>, repeater: Option<OwnedFd>) -> Self {
        Self {
            observer,
            repeater,
            ..Self::default()
        }
    }

    pub(super) fn observer(&self) -> Option<&OwnedFd> {
        self.observer.as_ref()
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<Ends, Begun>> {
        // Nobody panics while holding it; and if somebody did, it would still be what has begun.
        self.begun.lock().unwrap_or_else(|lock| lock.into_inner())
    }

    /// Tells the command that there is no connection.
    pub(super) fn answer(&self, to: &Beginning, no: No) {
        let [command, _] = OPEN.hardware;
        if let (Some(observer), Some(packet)) = (&self.observer, to.answer(no)) {
            // What is lost the command asks for again.
            let _ = network::speak(
                observer.as_raw_fd(),
                OPEN.gate_index,
                Some(command),
                &packet,
            );
        }
    }

    fn repeat(&self, begun: &Beginning) {
        if let (Some(repeater), Some(frame)) = (&self.repeater, begun.again()) {
            let _ = network::speak(repeater.as_raw_fd(), OPEN.index, None, &frame);
        }
    }

    /// Whether this has begun already; then what there is to do is done.
    fn goes_on(&self, seen: &Beginning) -> bool {
        let mut begun = self.begun();
        let Some(known) = begun.get_mut(&ends(seen)) else {
            return false;
        };
        known.seen = seen.clone();
        if known.to.is_some() {
            // It was answered, and was not heard.
            self.repeat(seen);
        }
        true
    }

    /// A connection that was taken goes to whoever has connected to its other side.
    pub(super) fn taken(&self, client: TcpStream) {
        let ends = (client.peer_addr().ok()).zip(client.local_addr().ok());
        let ends = ends.map(|(peer, own)| (plain(peer), plain(own)));
        let to = ends.and_then(|ends| self.begun().get_mut(&ends)?.to.take());
        match to {
            Some(to) => {
                if let Err(unwanted) = to.send(client) {
                    reset(&unwanted.0);
                }
            }
            // Nobody has repeated its beginning.
            None => reset(&client),
        }
    }
}

impl Shared {
    /// Goes on with a connection that begins, where that is permitted; false where there is no place for it yet.
    pub(super) fn begin(self: &Arc<Self>, seen: &Beginning) -> bool {
        if self.beginnings.goes_on(seen) {
            return true;
        }
        if let Err(reason) = self.decide(seen.end) {
            self.refused(seen.end, None, reason);
            self.beginnings.answer(seen, No::Refused);
            return true;
        }
        let Some(place) = self.place(|shared| &shared.connections, self.most) else {
            return false;
        };
        let key = ends(seen);
        let begun = Begun {
            seen: seen.clone(),
            to: None,
        };
        self.beginnings.begun().insert(key, begun);
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().stack_size(STACK);
        let end = seen.end;
        let started = thread.spawn(move || shared.connect(key, end, place));
        if started.is_err() {
            self.beginnings.begun().remove(&key);
        }
        started.is_ok()
    }

    /// The whole life of a connection, once it is permitted.
    fn connect(self: Arc<Self>, key: Ends, end: End, _place: Place) {
        let outside = TcpStream::connect_timeout(&SocketAddr::new(end.address, end.port), CONNECT);
        let server = match outside {
            Ok(server) => server,
            Err(why) => {
                let begun = self.beginnings.begun().remove(&key);
                let no = why
                    .raw_os_error()
                    .and_then(|errno| No::of(Errno::from_raw(errno)));
                if let (Some(begun), Some(no)) = (begun, no) {
                    self.beginnings.answer(&begun.seen, no);
                }
                return;
            }
        };
        let (to, taken) = channel();
        if let Some(begun) = self.beginnings.begun().get_mut(&key) {
            begun.to = Some(to);
            self.beginnings.repeat(&begun.seen);
        }
        match taken.recv_timeout(TAKEN) {
            Ok(client) => self.carry(&client, &server),
            // The command has given it up.
            Err(_) => reset(&server),
        }
        self.beginnings.begun().remove(&key);
    }
}

fn ends(seen: &Beginning) -> Ends {
    let end = SocketAddr::new(seen.end.address, seen.end.port);
    (plain(seen.client), end)
}

/// An address as it is in packets.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
