//! Requests of HTTP/1 (RFC 9112): one connection carries many, each of which names its host. A function of the bytes;
//! what can be read in two ways is refused, since the server may read it in the other one.

use super::hello::{MOST, Said};

/// The longest method of a request.
const METHOD: usize = 64;
/// The longest line of a chunk or a trailer.
const LINE: usize = 4096;

/// Where in a request the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In its head.
    Head,
    /// In its body, of which so much is left.
    Body(u64),
    /// In the line that says how long a chunk is.
    Size,
    /// In a chunk, of which so much is left.
    Chunk(u64),
    /// In the line that ends a chunk.
    ChunkEnd,
    /// After the last chunk.
    Trailer,
    /// After a request for another protocol: what comes is part of it, if the server agrees.
    Held,
    /// In another protocol.
    Other,
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    state: State,
    first: bool,
}

/// Why requests are handed on no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// One is for this host, and may not be.
    Host(String),
    /// One cannot be read.
    Unreadable,
}

impl Requests {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self {
            state: State::Head,
            first: true,
        }
    }

    /// Whether it has to be known what the server answers before anything goes on.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.state == State::Held
    }

    /// Takes the beginning of the first answer.
    pub(super) fn answered(&mut self, answer: &[u8]) {
        self.state = match answer.strip_prefix(b"HTTP/1.1 101") {
            Some(_) => State::Other,
            None => State::Head,
        };
    }

    /// How many of these bytes may go on; the rest has to be shown again, with more behind it.
    pub(super) fn pass(&mut self, bytes: &[u8], may: &dyn Fn(&str) -> bool) -> Result<usize, Stop> {
        let mut rest = bytes;
        loop {
            let before = (self.state, rest.len());
            rest = match self.state {
                State::Head => self.head(rest, may)?,
                State::Body(left) => {
                    let (rest, left) = over(rest, left);
                    self.state = if left == 0 {
                        State::Head
                    } else {
                        State::Body(left)
                    };
                    rest
                }
                State::Chunk(left) => {
                    let (rest, left) = over(rest, left);
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    rest
                }
                State::Size => match line(rest)? {
                    Some((line, rest)) => {
                        self.state = match chunk(line).ok_or(Stop::Unreadable)? {
                            0 => State::Trailer,
                            length => State::Chunk(length),
                        };
                        rest
                    }
                    None => rest,
                },
                State::ChunkEnd => match line(rest)? {
                    Some((b"", rest)) => {
                        self.state = State::Size;
                        rest
                    }
                    Some(_) => return Err(Stop::Unreadable),
                    None => rest,
                },
                State::Trailer => match line(rest)? {
                    Some((line, rest)) => {
                        if line.is_empty() {
                            self.state = State::Head;
                        }
                        rest
                    }
                    None => rest,
                },
                State::Held => rest,
                State::Other => &[],
            };
            if (self.state, rest.len()) == before || rest.is_empty() {
                return Ok(bytes.len() - rest.len());
            }
        }
    }

    fn head<'b>(&mut self, bytes: &'b [u8], may: &dyn Fn(&str) -> bool) -> Result<&'b [u8], Stop> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MOST => return Ok(bytes),
            _ => return Err(Stop::Unreadable),
        };
        match host_of(&request).ok_or(Stop::Unreadable)? {
            Some(host) if !may(&host) => return Err(Stop::Host(host)),
            _ => {}
        }
        self.state = after(&request, self.first).ok_or(Stop::Unreadable)?;
        self.first = false;
        Ok(bytes.get(length..).unwrap_or_default())
    }
}

/// The most lines of a head.
const HEADERS: usize = 128;

/// Passes over so many bytes, as far as they are there: what comes then, and how many are left.
fn over(bytes: &[u8], length: u64) -> (&[u8], u64) {
    let here = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let rest = bytes.get(here..).unwrap_or_default();
    (rest, length - here as u64)
}

/// A line without its end, and what comes then.
type Line<'b> = (&'b [u8], &'b [u8]);

/// The first line; `None` if it has no end yet.
fn line(bytes: &[u8]) -> Result<Option<Line<'_>>, Stop> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if end < LINE => {
            let (line, rest) = bytes.split_at(end);
            let line = line.strip_suffix(b"\r").ok_or(Stop::Unreadable)?;
            Ok(rest.get(1..).map(|rest| (line, rest)))
        }
        None if bytes.len() < LINE => Ok(None),
        _ => Err(Stop::Unreadable),
    }
}

/// How long a chunk is.
fn chunk(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// What comes after a head; `None` where that can be read in two ways.
fn after(request: &httparse::Request<'_, '_>, first: bool) -> Option<State> {
    let values = |name: &'static str| {
        let own = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        request
            .headers
            .iter()
            .filter(own)
            .map(|header| header.value.trim_ascii())
    };
    let mut lengths = values("content-length");
    let mut codings = values("transfer-encoding");
    let mut upgrades = values("upgrade");
    match (lengths.next(), codings.next(), upgrades.next()) {
        (None, None, Some(to)) if first && to.eq_ignore_ascii_case(b"websocket") => {
            Some(State::Held)
        }
        (None, None, _) => Some(State::Head),
        (Some(length), None, _) if lengths.next().is_none() => {
            let text = std::str::from_utf8(length).ok()?;
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let length = plain.then(|| text.parse().ok()).flatten()?;
            Some(if length == 0 {
                State::Head
            } else {
                State::Body(length)
            })
        }
        (None, Some(coding), _) if codings.next().is_none() => {
            let chunked = coding.eq_ignore_ascii_case(b"chunked") && request.version == Some(1);
            chunked.then_some(State::Size)
        }
        _ => None,
    }
}

/// Whom the first request is for, where these are the first bytes of one.
pub(super) fn first(bytes: &[u8]) -> Said {
    // Servers pass over empty lines in front.
    let empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let skipped = bytes.iter().take_while(empty).count();
    let bytes = bytes.get(skipped..).unwrap_or_default();
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        // No method is longer.
        let method = bytes.iter().take(METHOD).any(u8::is_ascii_whitespace) || bytes.len() < METHOD;
        let text = |byte: &u8| matches!(byte, b'\t' | b'\r' | b' '..=b'~' | 0x80..);
        let more = method && bytes.iter().all(text);
        return if more { Said::More } else { Said::Nobody };
    };
    let line = bytes.get(..end).unwrap_or_default().trim_ascii_end();
    let version = line.rsplit(u8::is_ascii_whitespace).next();
    let version = version.unwrap_or_default().to_ascii_uppercase();
    match version.as_slice() {
        b"HTTP/1.1" | b"HTTP/1.0" => head(bytes),
        // Later requests of HTTP/2 name hosts in a form that takes a state of its own to read.
        _ if version.starts_with(b"HTTP/") => Said::Unreadable,
        _ => Said::Nobody,
    }
}

fn head(bytes: &[u8]) -> Said {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => match host_of(&request) {
            Some(host) => Said::Request(host),
            None => Said::Unreadable,
        },
        Ok(httparse::Status::Partial) => Said::More,
        Err(_) => Said::Unreadable,
    }
}

/// The one host that a request is for; `None` where it says different ones, or asks for a tunnel.
fn host_of(request: &httparse::Request<'_, '_>) -> Option<Option<String>> {
    let mut hosts = (request.headers.iter()).filter(|h| h.name.eq_ignore_ascii_case("host"));
    let host = match hosts.next() {
        Some(header) => Some(without_port(std::str::from_utf8(header.value).ok()?.trim())),
        None => None,
    };
    if hosts.next().is_some() || request.method.is_none_or(|method| method == "CONNECT") {
        return None;
    }
    // A target may name a host too, and comes before the header then.
    let target = request.path.unwrap_or_default();
    let named = target.split_once("://").filter(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    let named = named.map(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        without_port(authority.rsplit('@').next().unwrap_or_default())
    });
    match (named, host) {
        (Some(named), Some(host)) if !named.eq_ignore_ascii_case(host) => None,
        (Some(host), _) | (None, Some(host)) if !host.is_empty() => Some(Some(host.to_owned())),
        _ => Some(None),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((front, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!front.contains(':') || front.ends_with(']')) =>
        {
            front
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_names_its_host() {
        let host = |name: &str| Said::Request(Some(name.into()));
        for (request, said) in [
            (
                "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
                host("a.example"),
            ),
            (
                "GET / HTTP/1.1\r\nX: y\r\nhOsT:a.example:80\r\n\r\n",
                host("a.example"),
            ),
            ("\r\nGET / HTTP/1.1\nHost: a.example\n\n", host("a.example")),
            (
                "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
                host("[2001:db8::1]"),
            ),
            (
                "GET http://b.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n",
                host("b.example"),
            ),
            (
                "GET http://b.example:80 HTTP/1.0\r\n\r\n",
                host("b.example"),
            ),
            (
                "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
                Said::Unreadable,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
                Said::Unreadable,
            ),
            (
                "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n",
                Said::Unreadable,
            ),
            (
                "GET\t/\tHTTP/1.1\r\nHost: b.example\r\n\r\n",
                Said::Unreadable,
            ),
            (
                "GET / HTTP/1.1\r\nHost : b.example\r\n\r\n",
                Said::Unreadable,
            ),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Said::Unreadable),
            ("GET / HTTP/1.0\r\n\r\n", Said::Request(None)),
            ("SSH-2.0-OpenSSH_9.9\r\n", Said::Nobody),
            ("EHLO a.example\r\n", Said::Nobody),
            ("\0\0\0\x08\x04\x52\x16\x2f", Said::Nobody),
            ("GET / HTTP/1.1\r\nHost: a.exa", Said::More),
            ("GET /", Said::More),
            ("", Said::More),
        ] {
            assert_eq!(
                crate::supervisor::gate::hello::read(request.as_bytes()),
                said,
                "{request:?}"
            );
        }
    }

    fn all(text: &str) -> Result<usize, Stop> {
        Requests::new().pass(text.as_bytes(), &|host| host == "a.example")
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    const OTHER: &str = "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";

    #[test]
    fn every_request_is_looked_at() {
        let post = |head: &str, body: &str| {
            format!("POST / HTTP/1.1\r\nHost: a.example\r\n{head}\r\n\r\n{body}")
        };
        for before in [
            GET.to_owned(),
            post("Content-Length: 3", "abc"),
            post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
            post(
                "Transfer-Encoding: Chunked",
                "3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
            ),
            post("Content-Length: 0", ""),
            post("Upgrade: h2c", ""),
        ] {
            assert_eq!(all(&before), Ok(before.len()), "{before}");
            let twice = format!("{before}{GET}");
            assert_eq!(all(&twice), Ok(twice.len()), "{before}");
            let other = all(&format!("{before}{OTHER}"));
            assert_eq!(other, Err(Stop::Host("b.example".into())), "{before}");
        }
        // A body that looks like a request is none.
        let hidden = post(&format!("Content-Length: {}", OTHER.len()), OTHER);
        assert_eq!(all(&hidden), Ok(hidden.len()));
    }

    #[test]
    fn what_can_be_read_in_two_ways_goes_no_further() {
        for head in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a.example\r\n{head}\r\n\r\nabc");
            assert_eq!(all(&text), Err(Stop::Unreadable), "{head}");
        }
        for body in ["3\nabc", "0x3\r\nabc", " 3\r\nabc", "3\r\nabcd\r\n", "\r\n"] {
            let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
            assert_eq!(
                all(&format!("{head}{body}")),
                Err(Stop::Unreadable),
                "{body:?}"
            );
        }
    }

    #[test]
    fn another_protocol_begins_only_when_the_server_says_so() {
        let head = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n";
        let text = format!("{head}{OTHER}");
        let may = |host: &str| host == "a.example";
        for (answer, passes) in [
            ("HTTP/1.1 101 Switching", Ok(OTHER.len())),
            ("HTTP/1.1 200 OK", Err(Stop::Host("b.example".into()))),
        ] {
            let mut requests = Requests::new();
            assert_eq!(requests.pass(text.as_bytes(), &may), Ok(head.len()));
            assert!(requests.waits_for_answer());
            requests.answered(answer.as_bytes());
            assert_eq!(requests.pass(OTHER.as_bytes(), &may), passes);
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(at in prop::collection::vec(1usize..40, 0..20)) {
            let text = format!("{GET}POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{OTHER}");
            let (mut requests, mut shown, mut passed) = (Requests::new(), 0, 0);
            let mut end = Ok(0);
            for step in at.into_iter().chain([text.len()]) {
                shown = (shown + step).min(text.len());
                let rest = text.get(passed..shown).unwrap_or_default();
                end = requests.pass(rest.as_bytes(), &|host| host == "a.example");
                match end {
                    Ok(length) => passed += length,
                    Err(_) => break,
                }
            }
            prop_assert_eq!(end, Err(Stop::Host("b.example".into())));
            prop_assert!(passed <= text.len() - OTHER.len());
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), chunked: bool) {
            let mut text = match chunked {
                true => b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                false => Vec::new(),
            };
            text.extend(bytes);
            let _ = Requests::new().pass(&text, &|_| true);
        }
    }
}
