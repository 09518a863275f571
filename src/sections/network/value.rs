//! The values of `[network]`: addresses, names of interfaces, published ports.

use crate::diag::{At, Diagnostics};
use crate::host::network::Net;
use crate::host::runs::is_name;
use crate::plan::op::network::{Forwarded, HardwareAddress, Protocol, Published};
use crate::plan::ports::Ports;
use crate::profile::node::Node;
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{List, Value, read_list_or, read_string, wrong};
use crate::sections::namespaces::NAMED;
use std::net::IpAddr;

impl Value for Net {
    const KIND: Kind = Kind::Text {
        what: "an address and the bits of its network",
        form: "^[0-9a-fA-F:.]+/[0-9]+$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = Self::parse(&text);
        if found.is_none() {
            let message = format!("`{text}` is no address with the bits of its network");
            let help = match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => format!("for example: \"{text}/24\""),
                Ok(IpAddr::V6(_)) => format!("for example: \"{text}/64\""),
                Err(_) => "for example: \"172.2.0.2/24\" or \"fd00:2::2/64\"".into(),
            };
            wrong(&origin, message, &help, problems);
        }
        found
    }
}

impl Value for IpAddr {
    const KIND: Kind = Kind::Text {
        what: "an address",
        form: "^[0-9a-fA-F:.]+$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = text.parse().ok();
        if found.is_none() {
            let help = "for example: \"172.2.0.1\" or \"fd00:2::1\"; names are not looked up";
            wrong(&origin, format!("`{text}` is no address"), help, problems);
        }
        found
    }
}

impl Value for HardwareAddress {
    const KIND: Kind = Kind::Text {
        what: "a hardware address",
        form: "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = hardware_address(&text);
        if let Err(why) = &found {
            let help =
                "for example: \"02:00:5e:10:00:01\"; addresses that begin with 02 are nobody's";
            wrong(&origin, format!("`{text}`: {why}"), help, problems);
        }
        found.ok()
    }
}

fn hardware_address(text: &str) -> Result<HardwareAddress, &'static str> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2);
        let part = part.filter(|part| part.bytes().all(|one| one.is_ascii_hexdigit()));
        *byte = part
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .ok_or("it is not six bytes in hexadecimal with colons between them")?;
    }
    match (parts.next(), bytes) {
        (Some(_), _) => Err("it is not six bytes in hexadecimal with colons between them"),
        (None, [0, 0, 0, 0, 0, 0]) => Err("it is nobody's address"),
        // The lowest bit of the first byte.
        (None, [first, ..]) if first & 1 == 1 => Err("it is the address of a group of interfaces"),
        (None, _) => Ok(HardwareAddress(bytes)),
    }
}

/// The name of an interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName(pub String);

/// `IFNAMSIZ`, without the terminating NUL.
const LONGEST_NAME: usize = 15;

impl Value for InterfaceName {
    const KIND: Kind = Kind::Text {
        what: "the name of an interface",
        form: "^[^/: \\t]{1,15}$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        if text.is_empty()
            || text.len() > LONGEST_NAME
            || text.contains(odd)
            || text == ".."
            || text == "."
        {
            let message = format!("`{text}` cannot be the name of an interface");
            let help = "it has 1 to 15 bytes, without blanks, `/` and `:`; for example: \"br0\"";
            wrong(&origin, message, help, problems);
            return None;
        }
        Some(Self(text))
    }
}

/// The network namespace that is joined: a name as ip-netns(8) gives them, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceName(pub String);

impl NamespaceName {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        std::path::Path::new("/run/netns").join(&self.0)
    }

    /// The name, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let named = self.0.starts_with('/') || self.sandbox().is_some();
        (!named).then_some(self.0.as_str())
    }

    /// The name of a sandbox, if it is that of one.
    #[must_use]
    pub fn sandbox(&self) -> Option<&str> {
        self.0.strip_prefix(NAMED).filter(|name| is_name(name))
    }
}

impl Value for NamespaceName {
    const KIND: Kind = Kind::Text {
        what: "the name or the path of a network namespace",
        form: "",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let name = !text.is_empty() && !text.contains('/') && text != "." && text != "..";
        if !name && !text.starts_with('/') {
            let message = format!("`{text}` is neither a name nor an absolute path");
            let help = "for example: \"lab\", after `ip netns add lab`, or \"/proc/42/ns/net\"";
            wrong(&origin, message, help, problems);
            return None;
        }
        Some(Self(text))
    }
}

/// The addresses of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// These.
    Given(Vec<At<Net>>),
    /// One of each network of the bridge that nobody has.
    Auto,
}

impl Value for Addresses {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[Word {
            word: "auto",
            doc: &["Of each network of the bridge, one that nobody there has."],
        }]),
        Kind::List(&Net::KIND),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let help = "for example: address = [\"172.2.0.2/24\"], or with a bridge address = \"auto\"";
        let list = read_list_or(node, "auto", ("addresses", help), problems)?;
        Some(list.map_or(Self::Auto, |list| Self::Given(list.0)))
    }
}

/// A line of `publish`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish(pub Vec<Published>);

/// A line of `forward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward(pub Vec<Forwarded>);

/// Which ports lead to the host's loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwards {
    /// These.
    Named(List<Forward>),
    /// Each that somebody listens on there when the run starts.
    Auto,
}

impl Value for Forwards {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[Word {
            word: "auto",
            doc: &["Every port on which somebody listens there when the run starts."],
        }]),
        Kind::List(&Forward::KIND),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let help =
            "for example: forward = [\"2222:22\"], or with mode = \"user\" forward = \"auto\"";
        let list = read_list_or(node, "auto", ("ports", help), problems)?;
        Some(list.map_or(Self::Auto, Self::Named))
    }
}

impl Value for Publish {
    const KIND: Kind = Kind::Text {
        what: "a port of the host and one of the sandbox",
        form: "^(.+:)?[0-9]+(-[0-9]+)?:[0-9]+(-[0-9]+)?(/(tcp|udp))?$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        match published(&text) {
            Ok(published) => Some(Self(published)),
            Err(why) => {
                let help = "for example: \"127.0.0.1:8080:80\", \"8443:443/tcp\", \"[::1]:5353:53/udp\", \"8000-8010:8000-8010\": the host's port, then the sandbox's";
                wrong(&origin, format!("`{text}`: {why}"), help, problems);
                None
            }
        }
    }
}

impl Value for Forward {
    const KIND: Kind = Kind::Text {
        what: "a port of the sandbox and one of the host's loopback",
        form: "^[0-9]+(-[0-9]+)?:[0-9]+(-[0-9]+)?(/(tcp|udp))?$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        match forwarded(&text) {
            Ok(forwarded) => Some(Self(forwarded)),
            Err(why) => {
                let help = "for example: \"2222:22\" or \"53:5353/udp\": the sandbox's port, then that of the host's loopback";
                wrong(&origin, format!("`{text}`: {why}"), help, problems);
                None
            }
        }
    }
}

fn forwarded(text: &str) -> Result<Vec<Forwarded>, String> {
    let (ports, protocol) = protocol(text)?;
    let (inside, outside) = ports.split_once(':').ok_or("it has no two ports")?;
    let all = pairs(inside, outside)?.map(|(port, to)| Forwarded { protocol, port, to });
    Ok(all.collect())
}

/// The most ports of one line: each takes a socket.
const MOST: usize = 128;

/// As many ports on both sides, one each.
fn pairs(one: &str, other: &str) -> Result<impl Iterator<Item = (u16, u16)>, String> {
    let (one, other) = (Ports::parse(one)?, Ports::parse(other)?);
    if one.count() != other.count() {
        return Err(format!(
            "{one} and {other} are not as many: {} and {}",
            one.count(),
            other.count()
        ));
    }
    if one.count() > MOST {
        return Err(format!("{one} are more than {MOST} ports"));
    }
    Ok(one.all().zip(other.all()))
}

/// What is before the protocol, and that.
fn protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.rsplit_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, "tcp")) => Ok((ports, Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some((_, other)) => Err(format!("`{other}` is neither tcp nor udp")),
    }
}

fn published(text: &str) -> Result<Vec<Published>, String> {
    let (ports, protocol) = protocol(text)?;
    let (outside, inside) = ports.rsplit_once(':').ok_or("it has no two ports")?;
    let (address, outside) = match outside.rsplit_once(':') {
        Some((address, outside)) => (Some(address), outside),
        None => (None, outside),
    };
    let bare = address.map(|address| {
        let bracketed = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bracketed {
            Some(address) => address.parse().map(IpAddr::V6).ok(),
            None => address.parse().map(IpAddr::V4).ok(),
        }
    });
    let address = match bare {
        None => None,
        Some(Some(address)) if address.is_unspecified() => {
            return Err("for all addresses, leave the address out".into());
        }
        Some(Some(address)) => Some(address),
        Some(None) => return Err("what is before the ports is no address".into()),
    };
    let all = pairs(outside, inside)?.map(|(port, inside)| Published {
        protocol,
        address,
        port,
        inside,
    });
    Ok(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_and_printed() {
        let read = |text| hardware_address(text).map(|one| one.to_string());
        assert_eq!(
            read("02:00:5E:10:00:0a").as_deref(),
            Ok("02:00:5e:10:00:0a")
        );
        for (text, why) in [
            ("", "not six bytes"),
            ("02:00:5e:10:00", "not six bytes"),
            ("02:00:5e:10:00:01:02", "not six bytes"),
            ("02:00:5e:10:00:1", "not six bytes"),
            ("02:00:5e:10:00:+1", "not six bytes"),
            ("00:00:00:00:00:00", "nobody's"),
            ("ff:ff:ff:ff:ff:ff", "a group"),
            ("03:00:5e:10:00:01", "a group"),
        ] {
            let found = read(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn published_ports_are_read_and_printed() {
        for (text, printed) in [
            ("127.0.0.1:8080:80", "127.0.0.1:8080:80"),
            ("8443:443/tcp", "8443:443"),
            ("5353:53/udp", "5353:53/udp"),
            ("[::1]:1:65535", "[::1]:1:65535"),
        ] {
            let found = published(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(found[0].to_string(), printed);
            assert_eq!(found.len(), 1);
        }
        let several = published("127.0.0.1:8000-8002:90-92/udp").unwrap();
        let several: Vec<_> = several.iter().map(ToString::to_string).collect();
        let expected = ["8000:90", "8001:91", "8002:92"].map(|one| format!("127.0.0.1:{one}/udp"));
        assert_eq!(several, expected);
        assert_eq!(forwarded("1-128:2-129").unwrap().len(), 128);
        for (text, why) in [
            ("80", "no two ports"),
            ("80-81:80", "not as many: 2 and 1"),
            ("81-80:80-81", "ends before it begins"),
            ("1-129:1-129", "more than 128 ports"),
            ("80:0", "`0` is no port"),
            ("80:65536", "`65536` is no port"),
            ("+80:80", "`+80` is no port"),
            ("80:80/sctp", "neither tcp nor udp"),
            ("localhost:80:80", "no address"),
            ("::1:80:80", "no address"),
            ("0.0.0.0:80:80", "leave the address out"),
            ("", "no two ports"),
            (":80:80", "no address"),
        ] {
            let found = published(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(found.contains(why), "{text}: {found}");
        }
    }
}
