//! Addresses as they are written: `127.0.0.1:80`, `[::1]:80`, `unix:PATH`, `unix-abstract:NAME`,
//! `vsock:CID:PORT`.

use crate::plan::attempt::Address;
use nix::sys::socket::{UnixAddr, VsockAddr};
use std::net::SocketAddr;
use std::path::Path;

const SAMPLES: &str = "write \"127.0.0.1:80\", \"[::1]:80\", \"unix:/run/x.sock\", \"unix-abstract:name\" or \"vsock:2:1024\"";

/// Why a text is no address.
pub(super) struct Wrong {
    pub(super) why: String,
    pub(super) help: String,
}

fn wrong(why: &str, help: impl Into<String>) -> Wrong {
    Wrong {
        why: why.into(),
        help: help.into(),
    }
}

pub(super) fn parse(text: &str) -> Result<Address, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if let Some(name) = text.strip_prefix("unix-abstract:") {
        return abstract_unix(name);
    }
    if let Some(rest) = text.strip_prefix("vsock:") {
        return vsock(rest);
    }
    if text.starts_with(['/', '@']) {
        let help = match text.strip_prefix('@') {
            Some(name) => format!("did you mean \"unix-abstract:{name}\"?"),
            None => format!("did you mean \"unix:{text}\"?"),
        };
        return Err(wrong("it does not say of which kind it is", help));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err(wrong("nobody listens on port 0", SAMPLES)),
        Ok(SocketAddr::V4(address)) => Ok(Address::V4(address.into())),
        Ok(SocketAddr::V6(address)) => Ok(Address::V6(address.into())),
        Err(_) => Err(not_inet(text)),
    }
}

fn not_inet(text: &str) -> Wrong {
    if text.parse::<std::net::IpAddr>().is_ok() {
        let help = if text.contains(':') {
            format!("for example: \"[{text}]:80\"")
        } else {
            format!("for example: \"{text}:80\"")
        };
        return wrong("it has no port", help);
    }
    match text.rsplit_once(':') {
        Some(("localhost", port)) => wrong(
            "names are not looked up",
            format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
        ),
        Some((host, port)) if port.parse::<u16>().is_ok() && host.contains(char::is_alphabetic) => {
            wrong(
                "names are not looked up",
                "write the host's number, for example \"192.0.2.1:80\"",
            )
        }
        _ => wrong("it is of no known form", SAMPLES),
    }
}

fn unix(path: &str) -> Result<Address, Wrong> {
    let upwards = Path::new(path)
        .components()
        .any(|c| c == std::path::Component::ParentDir);
    if !path.starts_with('/') || upwards {
        return Err(wrong(
            "its path is not absolute, or leads upwards",
            "for example: \"unix:/run/docker.sock\"",
        ));
    }
    UnixAddr::new(path)
        .map(Address::Unix)
        .map_err(|_| wrong("a socket's path has at most 107 bytes", SAMPLES))
}

fn abstract_unix(name: &str) -> Result<Address, Wrong> {
    if name.is_empty() {
        return Err(wrong("it has no name", SAMPLES));
    }
    UnixAddr::new_abstract(name.as_bytes())
        .map(Address::Unix)
        .map_err(|_| wrong("an abstract name has at most 107 bytes", SAMPLES))
}

fn vsock(rest: &str) -> Result<Address, Wrong> {
    let parts = rest
        .split_once(':')
        .and_then(|(cid, port)| Some((cid.parse::<u32>().ok()?, port.parse::<u32>().ok()?)));
    match parts {
        Some((cid, port)) => Ok(Address::Vsock(VsockAddr::new(cid, port))),
        None => Err(wrong(
            "it needs a context and a port, both numbers",
            "2 is the host: \"vsock:2:1024\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn addresses_print_as_they_are_written() {
        for text in [
            "127.0.0.1:80",
            "[::1]:22",
            "[fe80::1%2]:22",
            "unix:/run/docker.sock",
            "unix-abstract:/tmp/.X11-unix/X0",
            "vsock:2:1024",
        ] {
            let address = parse(text).unwrap_or_else(|wrong| panic!("{text}: {}", wrong.why));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_was_probably_meant() {
        let long = format!("unix:/{}", "x".repeat(108));
        for (text, help) in [
            ("localhost:80", "127.0.0.1:80"),
            ("example.com:443", "192.0.2.1:80"),
            ("10.0.0.1", "10.0.0.1:80"),
            ("::1", "[::1]:80"),
            ("/run/x.sock", "unix:/run/x.sock"),
            ("@name", "unix-abstract:name"),
            ("unix:run/x.sock", "unix:/run/docker.sock"),
            ("unix:/run/../x", "unix:/run/docker.sock"),
            ("unix-abstract:", "unix-abstract:name"),
            ("vsock:2", "vsock:2:1024"),
            ("127.0.0.1:0", "127.0.0.1:80"),
            ("127.0.0.1:65536", "127.0.0.1:80"),
            ("", "127.0.0.1:80"),
            (long.as_str(), "unix:/run/x.sock"),
        ] {
            let wrong = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(wrong.help.contains(help), "{text}: {}", wrong.help);
        }
    }
}
