//! A listener outside of the sandbox, so that a refused connection inside means something.

use crate::plan::attempt::Address;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// How long is waited for an answer of somebody who has the address already.
const ANSWER: Duration = Duration::from_secs(1);

/// Somebody listens, as long as this is there.
#[derive(Default)]
pub(super) struct Listener {
    /// Where, if not at the very address: at another port of it.
    pub(super) address: Option<Address>,
    /// Our own socket, if it is not somebody else who listens.
    _socket: Option<OwnedFd>,
}

/// Sees to it that somebody listens on an address, outside; or why that cannot be.
pub(super) fn on(address: &Address) -> Result<Listener, String> {
    match address {
        Address::V4(address) => tcp(SocketAddr::V4(SocketAddrV4::from(*address))),
        Address::V6(address) => tcp(SocketAddr::V6(SocketAddrV6::from(*address))),
        Address::Unix(address) => match address.as_abstract() {
            Some(name) => abstract_unix(name),
            None => Err("nobody listens on it".into()),
        },
        Address::Vsock(_) => Err("nobody can listen on it for a test".into()),
    }
}

fn tcp(address: SocketAddr) -> Result<Listener, String> {
    match TcpListener::bind(address) {
        Ok(socket) => Ok(Listener {
            address: None,
            _socket: Some(socket.into()),
        }),
        Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
            in_use(TcpStream::connect_timeout(&address, ANSWER).err())
        }
        // Ports below 1024 are root's. Which network an address belongs to shows at any port.
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => {
            let any_port = SocketAddr::new(address.ip(), 0);
            let socket = TcpListener::bind(any_port).map_err(cannot_listen)?;
            let address = match socket.local_addr().map_err(cannot_listen)? {
                SocketAddr::V4(address) => Address::V4(address.into()),
                SocketAddr::V6(address) => Address::V6(address.into()),
            };
            Ok(Listener {
                address: Some(address),
                _socket: Some(socket.into()),
            })
        }
        Err(cause) => Err(cannot_listen(cause)),
    }
}

fn abstract_unix(name: &[u8]) -> Result<Listener, String> {
    let address = UnixSocketAddr::from_abstract_name(name).map_err(cannot_listen)?;
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Ok(Listener {
            address: None,
            _socket: Some(socket.into()),
        }),
        Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
            in_use(UnixStream::connect_addr(&address).err())
        }
        Err(cause) => Err(cannot_listen(cause)),
    }
}

/// Somebody has the address already: whether they answer.
fn in_use(failure: Option<std::io::Error>) -> Result<Listener, String> {
    match failure {
        None => Ok(Listener::default()),
        Some(cause) => Err(format!("it is in use, and does not answer: {cause}")),
    }
}

fn cannot_listen(cause: std::io::Error) -> String {
    format!("nobody can listen on it for a test: {cause}")
}
