//! Where connections come from.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{Backlog, SockType, getsockopt, listen, sockopt};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

/// Where connections are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of TCP.
    Tcp(SocketAddr),
    /// A socket of the file system (unix(7)).
    Unix(PathBuf),
    /// The sockets that a manager has passed to this process (sd_listen_fds(3)).
    Passed,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("tcp", address)) => address.parse().map(Self::Tcp).map_err(|_| {
                format!("`{address}` is no address with a port: write for example tcp:127.0.0.1:8000 or tcp:[::1]:8000")
            }),
            Some(("unix", path)) if !path.is_empty() && !path.contains('\0') => {
                Ok(Self::Unix(path.into()))
            }
            None if text == "systemd" => Ok(Self::Passed),
            _ => Err("write tcp:ADDRESS:PORT, unix:PATH or systemd".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Passed => f.write_str("the sockets of systemd"),
        }
    }
}

/// Why an address cannot be listened on, and what to do.
#[derive(Debug)]
pub struct Refusal {
    /// The cause.
    pub message: String,
    /// The remedy.
    pub help: &'static str,
}

/// The sockets that connections arrive at.
#[derive(Debug)]
pub struct Listeners {
    pub(super) sockets: Vec<OwnedFd>,
    /// The file of a socket that was made, with its device and inode.
    file: Option<(PathBuf, u64, u64)>,
    /// Where it is, as it can be connected to.
    pub address: Address,
}

impl Listeners {
    /// Listens.
    ///
    /// # Errors
    /// Nothing can arrive there.
    pub fn at(address: &Address) -> Result<Self, Refusal> {
        let refused = |cause: io::Error| Refusal {
            message: format!("cannot listen on {address}: {cause}"),
            help: match cause.kind() {
                io::ErrorKind::AddrInUse => {
                    "another program listens there: choose another address, or end that one"
                }
                io::ErrorKind::PermissionDenied => {
                    "choose a port from 1024 on, or a folder that you may write to"
                }
                io::ErrorKind::AddrNotAvailable => {
                    "choose an address of this machine, such as 127.0.0.1"
                }
                _ => "choose another address",
            },
        };
        let mut found = match address {
            Address::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).map_err(refused)?;
                let address = socket.local_addr().map_or(address.clone(), Address::Tcp);
                Self::of(vec![socket.into()], address)
            }
            Address::Unix(path) => {
                let socket = bind(path).map_err(refused)?;
                let mut listeners = Self::of(vec![socket.into()], address.clone());
                let made = std::fs::symlink_metadata(path).map_err(refused)?;
                listeners.file = Some((path.clone(), made.dev(), made.ino()));
                listeners
            }
            Address::Passed => Self::of(passed()?, address.clone()),
        };
        for socket in &mut found.sockets {
            let prepare = || {
                // All of a burst may wait, as many as the system lets (net.core.somaxconn).
                listen(socket, Backlog::MAXCONN)?;
                // Whoever gave up waiting must not keep us waiting.
                fcntl(&*socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                fcntl(&*socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
            };
            prepare().map_err(|errno| refused(errno.into()))?;
        }
        Ok(found)
    }

    fn of(sockets: Vec<OwnedFd>, address: Address) -> Self {
        Self {
            sockets,
            file: None,
            address,
        }
    }

    /// Nothing arrives any more; the file of a socket that was made goes, if it is still that one.
    pub(super) fn close(&mut self) {
        self.sockets.clear();
        if let Some((path, device, inode)) = self.file.take()
            && let Ok(found) = std::fs::symlink_metadata(&path)
            && (found.dev(), found.ino()) == (device, inode)
        {
            // Whoever has removed it meanwhile has done the same.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes a socket of the file system; in the place of one that nobody listens on any more, as a server leaves
/// it that was killed.
fn bind(path: &PathBuf) -> io::Result<UnixListener> {
    let in_use = match UnixListener::bind(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => cause,
        result => return result,
    };
    let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
    let refused = UnixStream::connect(path)
        .is_err_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused);
    if !is_socket || !refused {
        return Err(in_use);
    }
    std::fs::remove_file(path)?;
    UnixListener::bind(path)
}

/// The first descriptor that a manager passes.
const FIRST: RawFd = 3;

/// What a manager has passed: listening sockets for streams.
fn passed() -> Result<Vec<OwnedFd>, Refusal> {
    let refused = |message: String| Refusal {
        message,
        help: "start it by a socket unit of systemd with Accept=no; with Accept=yes, each connection starts a run of its own without --listen",
    };
    let variable = |name: &str| -> Option<u32> { std::env::var(name).ok()?.parse().ok() };
    let count = match (variable("LISTEN_PID"), variable("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == std::process::id() && count > 0 => count,
        _ => {
            return Err(refused(
                "no sockets were passed to this process (LISTEN_PID and LISTEN_FDS)".into(),
            ));
        }
    };
    let mut sockets = Vec::new();
    for number in (FIRST..).take(count as usize) {
        let is_listening = || -> nix::Result<bool> {
            let socket = crate::sys::descriptor::borrow(number);
            let stream = getsockopt(&socket, sockopt::SockType)? == SockType::Stream;
            Ok(stream && getsockopt(&socket, sockopt::AcceptConn)?)
        };
        match is_listening() {
            Ok(true) => sockets.push(crate::sys::descriptor::own(number)),
            Ok(false) | Err(Errno::ENOTSOCK) => {
                return Err(refused(format!(
                    "the descriptor {number} that was passed is no socket that streams connect to"
                )));
            }
            Err(errno) => {
                return Err(refused(format!(
                    "the descriptor {number} that was passed cannot be used: {}",
                    errno.desc()
                )));
            }
        }
    }
    Ok(sockets)
}

impl Listeners {
    /// The numbers of the sockets.
    pub(super) fn numbers(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.sockets.iter().map(|socket| socket.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "tcp:127.0.0.1:80",
            "tcp:[::1]:8000",
            "unix:/run/x",
            "unix:here",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("systemd".parse(), Ok(Address::Passed));
        for text in [
            "",
            "tcp:80",
            "tcp:localhost:80",
            "unix:",
            "udp:127.0.0.1:80",
            "/run/x",
            "tcp:127.0.0.1:99999",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
