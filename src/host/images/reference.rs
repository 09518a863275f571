//! References to images in registries: `HOST/NAME:TAG@sha256:…` (OCI distribution-spec, "Pulling manifests").

use super::Digest;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most bytes of a host with its port, and of a name: as in the specification.
const LONGEST: usize = 255;
/// The most bytes of a tag.
const TAG: usize = 128;

/// Docker's registry, as it is named in references; its interface is elsewhere.
const DOCKER: &str = "docker.io";

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = Digest::parse(digest);
                let wrong = "its digest is none that could be verified";
                (rest, Some(digest.ok_or(wrong)?))
            }
            None => (text, None),
        };
        let (host, rest) = rest.split_once('/').ok_or("it names no registry")?;
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        let said = host.contains(['.', ':']) || host == "localhost";
        if !said || !is_host(host) {
            return Err("it names no registry");
        }
        if name.len() > LONGEST || !name.split('/').all(is_component) {
            return Err("the name of its image is none: lower-case letters, digits, `.`, `_`, `-`");
        }
        if !tag.is_none_or(is_tag) {
            return Err("its tag is none");
        }
        if tag.is_none() && digest.is_none() {
            return Err("it has neither a tag nor a digest");
        }
        let library = match host == DOCKER && !name.contains('/') {
            true => "library/",
            false => "",
        };
        Ok(Self {
            host: host.to_owned(),
            name: format!("{library}{name}"),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The registry, with its port if it has one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name of the image there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag, which says nothing where there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of its manifest, or of an index.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image by this digest.
    #[must_use]
    pub fn pinned(self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// Whether the registry is on this machine's loopback, and asked without TLS.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Where the registry's interface begins.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let host = match &self.host[..] {
            DOCKER => "registry-1.docker.io",
            host => host,
        };
        let scheme = if self.is_loopback() { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry:{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether a host, with a port or without one, is this machine by its very name.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let (host, _) = parts(host);
    match address(host) {
        Some(address) => address.is_loopback(),
        None => host == "localhost",
    }
}

/// An address, in brackets if it is one of IPv6.
#[must_use]
pub fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => Some(rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()),
        None => Some(host.parse::<Ipv4Addr>().ok()?.into()),
    }
}

/// The host, and the port if there is one.
fn parts(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = parts(text);
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-')
    };
    let is_name = || host.split('.').all(is_label);
    text.len() <= LONGEST && port.is_none_or(is_port) && (address(host).is_some() || is_name())
}

fn is_component(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| ends(Some(b)) || matches!(b, b'.' | b'_' | b'-');
    let bytes = text.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(inner)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first = text.bytes().next().is_some_and(word);
    let rest = |b: u8| word(b) || matches!(b, b'.' | b'-');
    first && text.len() <= TAG && text.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, endpoint) in [
            (
                format!("quay.io/a/b-c:1.2@{digest}"),
                "https://quay.io/v2/a/b-c",
            ),
            (
                format!("localhost:5000/a@{digest}"),
                "http://localhost:5000/v2/a",
            ),
            ("127.3.2.1:80/a:b".into(), "http://127.3.2.1:80/v2/a"),
            ("[::1]:5000/a:b".into(), "http://[::1]:5000/v2/a"),
            ("[fd00::1]/a:b".into(), "https://[fd00::1]/v2/a"),
            (
                "docker.io/library/debian:12".into(),
                "https://registry-1.docker.io/v2/library/debian",
            ),
        ] {
            let read = Reference::parse(&text).unwrap();
            assert_eq!(read.endpoint(), endpoint);
            assert_eq!(read.to_string(), format!("registry:{text}"));
        }
        let short = Reference::parse("docker.io/debian:12").unwrap();
        assert_eq!(short.name(), "library/debian");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "debian:12",
            "library/debian:12",
            "quay.io/a",
            "quay.io/a:",
            "quay.io/:b",
            "quay.io/../a:b",
            "quay.io/a/../../b:c",
            "quay.io/A:b",
            "quay.io/a?x:b",
            "quay.io/a b:c",
            "quay.io/a:b@sha256:00",
            "quay.io:99999/a:b",
            "user@quay.io/a:b",
            "quay.io#x/a:b",
            "127.0.0.1.evil.example:x/a:b",
            "http://quay.io/a:b",
            "..quay.io/a:b",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(!is_loopback("127.0.0.1.evil.example:80"));
        assert!(!is_loopback("localhost.evil.example"));
        assert!(!is_loopback("[::1].evil.example"));
        assert!(!is_loopback("[fd00::1]:80"));
    }
}
