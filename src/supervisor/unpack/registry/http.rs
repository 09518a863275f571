//! Questions over HTTP, and over TLS wherever the other side is not on this machine's loopback.
//!
//! Redirections are followed here, so that none leads from TLS to a connection without, from another machine to
//! one's own, or takes what is said of who asks to somebody else.

use crate::host::images::reference;
use crate::plan::egress::Name;
use crate::supervisor::gate::upstream::{Family, Upstream};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Uri;
use ureq::http::header::{
    ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, LOCATION, WWW_AUTHENTICATE,
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

/// How often a question is sent elsewhere.
const REDIRECTIONS: usize = 8;
/// How long connecting may take, an answer, and a pause in it.
const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
/// What is slower than this is given up: bytes in a second.
const SLOWEST: u64 = 16 << 10;
/// The most bytes of the head of an answer.
const HEAD: usize = 64 << 10;

/// Who asks.
pub(super) struct Client {
    agent: Agent,
    /// Whether the registry is on loopback, where there is no TLS.
    loopback: bool,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// What is said of who may ask.
    pub(super) challenges: Vec<String>,
    pub(super) body: Box<dyn Read>,
}

impl Client {
    pub(super) fn new(loopback: bool) -> Self {
        // An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let found = rustls_native_certs::load_native_certs();
        let known = found.certs.iter();
        let known: Vec<_> = known
            .map(|one| Certificate::from_der(one.as_ref()).to_owned())
            .collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(known)))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(HEAD)
            .user_agent(concat!("sandbox/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_send_request(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(ANSWER));
        if loopback {
            config = config.proxy(None);
        }
        let names = Names(Upstream::of_this_machine());
        Self {
            agent: Agent::with_parts(config.build(), DefaultConnector::default(), names),
            loopback,
        }
    }

    /// Asks for what has about so many bytes.
    pub(super) fn get(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<&str>,
        size: u64,
    ) -> Result<Answer, String> {
        let first: Uri = url.parse().map_err(|_| format!("{url} is no address"))?;
        let mut uri = first.clone();
        for _ in 0..REDIRECTIONS {
            self.permits(&uri)?;
            let patience = ANSWER.saturating_add(Duration::from_secs(size / SLOWEST));
            let mut request = self.agent.get(uri.clone()).header(ACCEPT, accept);
            if let Some(value) = authorization.filter(|_| is_same_origin(&first, &uri)) {
                request = request.header(AUTHORIZATION, value);
            }
            let request = request.config().timeout_recv_body(Some(patience)).build();
            let response = request.call().map_err(|error| unanswered(&uri, &error))?;
            let (head, body) = response.into_parts();
            if matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                uri = elsewhere(&uri, &head.headers)?;
                continue;
            }
            return Ok(Answer {
                status: head.status.as_u16(),
                challenges: texts(&head.headers, &WWW_AUTHENTICATE),
                body: Box::new(body.into_reader()),
            });
        }
        Err(format!("{url} leads to more than {REDIRECTIONS} others"))
    }

    /// The same with parameters.
    pub(super) fn query(
        &self,
        url: &str,
        parameters: &[(&str, String)],
        authorization: Option<&str>,
        size: u64,
    ) -> Result<Answer, String> {
        let mut url = url.to_owned();
        for (name, value) in parameters {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            for byte in value.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'/' => {
                        url.push(char::from(byte));
                    }
                    _ => url.push_str(&format!("%{byte:02X}")),
                }
            }
        }
        self.get(&url, "application/json", authorization, size)
    }

    /// Without TLS, only this machine is asked, and only if the registry itself is there.
    fn permits(&self, uri: &Uri) -> Result<(), String> {
        let host = uri.authority().map(|authority| authority.as_str());
        let host = host.unwrap_or_default();
        let is_safe = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.loopback && reference::is_loopback(host),
            _ => false,
        };
        // What stands before an `@` would be credentials.
        match is_safe && !host.contains('@') {
            true => Ok(()),
            false => Err(format!(
                "{uri} is not asked: without TLS, only a registry on this machine is (localhost, 127.0.0.1, [::1])"
            )),
        }
    }
}

fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    (one.scheme(), one.authority()) == (other.scheme(), other.authority())
}

/// Where a question is sent.
fn elsewhere(from: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let to = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = to.ok_or_else(|| format!("{from} leads elsewhere, and does not say where"))?;
    let whole = match (
        to.starts_with('/') && !to.starts_with("//"),
        from.authority(),
    ) {
        (true, Some(authority)) => {
            format!("{}://{authority}{to}", from.scheme_str().unwrap_or("https"))
        }
        _ => to.to_owned(),
    };
    let uri: Result<Uri, _> = whole.parse();
    let whole = uri.ok().filter(|uri| uri.authority().is_some());
    whole.ok_or_else(|| format!("{from} leads to something that is no address"))
}

fn texts(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect()
}

/// The value of a parameter of a challenge: `realm="…",service="…"` (RFC 9110, 11.2).
pub(super) fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text.trim_start();
    loop {
        let (name, after) = rest.split_once('=')?;
        let mut value = String::new();
        let after = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut characters = quoted.char_indices();
                let end = loop {
                    match characters.next()? {
                        (at, '"') => break at,
                        (_, '\\') => value.push(characters.next()?.1),
                        (_, other) => value.push(other),
                    }
                };
                quoted.get(end + 1..)?
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (word, after) = after.split_at(end);
                word.trim_end().clone_into(&mut value);
                after
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start_matches([',', ' ', '\t']);
    }
}

/// Why nobody answers.
fn unanswered(uri: &Uri, error: &Error) -> String {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let why = match error {
        Error::HostNotFound => "there is no such name".into(),
        Error::Timeout(_) => "it does not answer in time".into(),
        Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    format!("{host} cannot be asked: {why}")
}

/// Why an answer cannot be read to its end.
pub(super) fn unread(what: &str, error: &std::io::Error) -> String {
    format!("{what} cannot be fetched: {error}")
}

/// Names are looked up by the files of this machine and by its servers: the resolver of glibc would load libraries.
#[derive(Debug)]
struct Names(Upstream);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let port = uri.port_u16().unwrap_or(default);
        let mut addresses = Vec::new();
        if let Some(address) = reference::address(host) {
            addresses.push(address);
        } else if host.eq_ignore_ascii_case("localhost") {
            let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            addresses.extend(own);
        } else if let Ok(name) = Name::parse(host) {
            for family in [Family::Four, Family::Six] {
                let found = self.0.look_up(&name, family);
                addresses.extend(found.into_iter().flat_map(|found| found.addresses));
            }
        }
        let mut result = self.empty();
        // As many as it takes.
        for address in addresses.into_iter().take(16) {
            result.push(SocketAddr::new(address, port));
        }
        match result.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart() {
        let text = r#"realm="https://auth.example/token?a=b,c",service=plain, scope="a\"b""#;
        assert_eq!(
            parameter(text, "realm").as_deref(),
            Some("https://auth.example/token?a=b,c")
        );
        assert_eq!(parameter(text, "Service").as_deref(), Some("plain"));
        assert_eq!(parameter(text, "scope").as_deref(), Some("a\"b"));
        assert_eq!(parameter(text, "token"), None);
        assert_eq!(parameter(r#"realm="unclosed"#, "realm"), None);
    }

    #[test]
    fn nothing_leads_from_tls_to_a_connection_without() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let (far, near) = (Client::new(false), Client::new(true));
        for (text, from_far, from_near) in [
            ("https://quay.io/v2/", true, true),
            ("http://quay.io/v2/", false, false),
            ("http://127.0.0.1:5000/v2/", false, true),
            ("http://localhost/v2/", false, true),
            ("http://127.0.0.1.evil.example/", false, false),
            ("https://user:word@quay.io/", false, false),
        ] {
            assert_eq!(far.permits(&uri(text)).is_ok(), from_far, "{text}");
            assert_eq!(near.permits(&uri(text)).is_ok(), from_near, "{text}");
        }
        let mut headers = HeaderMap::new();
        assert!(elsewhere(&uri("https://a/b"), &headers).is_err());
        headers.insert(LOCATION, "/c?d".parse().unwrap());
        assert_eq!(
            elsewhere(&uri("https://a:1/b"), &headers).unwrap(),
            uri("https://a:1/c?d")
        );
        assert!(is_same_origin(&uri("https://a/b"), &uri("https://a/c")));
        assert!(!is_same_origin(
            &uri("https://a/b"),
            &uri("https://a:444/c")
        ));
    }
}
