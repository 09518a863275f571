//! Reaching somebody: who listens outside, and the attempts from inside.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What an attempt of what is permitted begins with in the facts.
pub(crate) const PERMITTED: &str = "attempt to reach what is permitted: ";

/// How long an answer is waited for: less than a run may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where names are resolved, of the gate.
const RESOLVER: &str = "192.0.0.3:53";

/// What stands in the place of who may be reached where there are ways between the two networks.
pub(crate) const WAYS: &str = "ways";

/// And where all that is asked for outside would be waited for.
pub(crate) const NOBODY: &str = "nobody";

/// Where what is served inside is published.
pub(crate) const VISITED: &str = "127.0.0.1:8080";

/// What is said to who connects.
pub(crate) const GREETING: &[u8] = b"reached";

/// Somebody who says a word to each that connects, at an address of this machine's that is not loopback.
pub(crate) struct Listener {
    place: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Listener {
    /// `None` on a machine without such an address.
    pub(crate) fn new() -> Option<Self> {
        // Nothing is sent by this: it asks which address of ours would lead there.
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("198.51.100.1:9").ok()?;
        let address = socket.local_addr().ok()?.ip();
        Self::at((address, 0).into(), GREETING)
    }

    /// One at a place, who says these words.
    pub(crate) fn at(place: SocketAddr, words: &'static [u8]) -> Option<Self> {
        let listener = TcpListener::bind(place).ok()?;
        let place = listener.local_addr().ok()?;
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                if until.load(Ordering::Acquire) {
                    return;
                }
                let _ = client.write_all(words);
            }
        });
        Some(Self {
            place,
            over,
            thread: Some(thread),
        })
    }

    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the thread.
        if TcpStream::connect(self.place).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// What becomes of trying: somebody who is permitted, two who are not, and a name that is not.
pub(crate) fn attempts(text: &mut String, permitted: &str) {
    let connect = |place: &str| -> Result<String, std::io::ErrorKind> {
        let place = place.parse().unwrap();
        let stream = TcpStream::connect_timeout(&place, PATIENCE);
        let mut stream = stream.map_err(|why| why.kind())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut said = String::new();
        let read = stream.read_to_string(&mut said);
        read.map(|_| said).map_err(|why| why.kind())
    };
    if permitted == WAYS {
        let _ = writeln!(text, "{PERMITTED}{:?}", connect("127.0.0.1:2222"));
        let _ = writeln!(text, "{PERMITTED}{:?}", serve());
    }
    if [WAYS, NOBODY].contains(&permitted) {
        return;
    }
    if permitted != "-" {
        let _ = writeln!(text, "{PERMITTED}{:?}", connect(permitted));
    }
    // How it is refused may differ; that it is reached may not.
    for refused in ["198.51.100.7:9", "127.0.0.1:9"] {
        let _ = writeln!(
            text,
            "attempt to reach {refused}: {}",
            connect(refused).is_ok()
        );
    }
    if permitted != "-" {
        let _ = writeln!(text, "{PERMITTED}{:?}", resolve());
    }
}

/// What the first visitor says.
fn serve() -> Result<String, std::io::ErrorKind> {
    let serve = || -> std::io::Result<String> {
        let listener = TcpListener::bind("0.0.0.0:8000")?;
        let mut poll = [nix::poll::PollFd::new(
            listener.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        let patience = u16::try_from(PATIENCE.as_millis()).unwrap_or(u16::MAX);
        if nix::poll::poll(&mut poll, patience)? == 0 {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let (mut visitor, _) = listener.accept()?;
        visitor.set_read_timeout(Some(PATIENCE))?;
        let mut said = String::new();
        visitor.read_to_string(&mut said)?;
        Ok(said)
    };
    serve().map_err(|why| why.kind())
}

/// Asks for a name that is not permitted: the code of the answer (RFC 1035).
fn resolve() -> Result<u8, std::io::ErrorKind> {
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x07nowhere\x07example\0\0\x01\0\x01");
    let ask = || -> std::io::Result<u8> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&question, RESOLVER)?;
        let mut answer = [0; 512];
        let (n, _) = socket.recv_from(&mut answer)?;
        Ok(answer[..n].get(3).map_or(u8::MAX, |flags| flags & 0xf))
    };
    ask().map_err(|why| why.kind())
}
