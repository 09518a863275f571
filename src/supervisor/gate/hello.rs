//! Whom the first bytes of a connection name: the server name of a ClientHello of TLS (RFC 8446, RFC 6066), or the
//! host of a request of HTTP/1 (RFC 9112). A function of the bytes.

use super::http;

/// The most bytes that are looked at. A hello is rarely longer than 2 KiB, the head of a request than 8.
pub(super) const MOST: usize = 32 << 10;

/// What the bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Not yet enough to tell.
    More,
    /// No name, as in most protocols; or none that is told before an answer.
    Nobody,
    /// This host, as it is written.
    Host(String),
    /// A request of HTTP/1, for this host, if it says so; others may follow, for others.
    Request(Option<String>),
    /// Something that ought to name a host, and cannot be read.
    Unreadable,
}

/// Reads them.
pub(super) fn read(bytes: &[u8]) -> Said {
    match bytes.first() {
        None => Said::More,
        // A handshake.
        Some(22) => tls(bytes),
        Some(_) => http::first(bytes),
    }
}

/// Bytes that are taken from the front.
#[derive(Clone, Copy)]
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, the highest first.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let taken = self.take(bytes)?;
        Some((taken.iter()).fold(0, |all, byte| all << 8 | usize::from(*byte)))
    }

    /// What comes after its own length, which has so many bytes.
    fn vector(&mut self, bytes: usize) -> Option<Reader<'b>> {
        let length = self.number(bytes)?;
        self.take(length).map(Reader)
    }
}

/// A hello may be spread over records, and servers take it so.
fn tls(bytes: &[u8]) -> Said {
    let mut rest = Reader(bytes);
    let mut hello = Vec::new();
    loop {
        let mut record = rest;
        let head = (
            record.number(1),
            record.number(1),
            record.number(1),
            record.number(2),
        );
        let (Some(kind), Some(major), Some(_), Some(length)) = head else {
            return match bytes.get(1) {
                None | Some(3) => Said::More,
                // Some other protocol that happens to begin like this.
                Some(_) if hello.is_empty() => Said::Nobody,
                Some(_) => Said::Unreadable,
            };
        };
        if hello.is_empty() && major != 3 {
            return Said::Nobody;
        }
        if kind != 22 || major != 3 || length == 0 || length > 1 << 14 {
            return Said::Unreadable;
        }
        let Some(part) = record.take(length) else {
            return Said::More;
        };
        hello.extend_from_slice(part);
        rest = record;
        let mut message = Reader(&hello);
        match (message.number(1), message.number(3)) {
            (Some(1), Some(length)) if length > MOST => return Said::Unreadable,
            (Some(1), Some(length)) => {
                if let Some(body) = message.take(length) {
                    return client_hello(Reader(body)).unwrap_or(Said::Unreadable);
                }
            }
            (Some(1) | None, None) => {}
            _ => return Said::Unreadable,
        }
    }
}

/// `None` for what is no hello.
fn client_hello(mut body: Reader<'_>) -> Option<Said> {
    const SERVER_NAME: usize = 0;
    // The version, and random bytes.
    body.take(34)?;
    // The session, the ciphers, the compressions.
    body.vector(1)?;
    body.vector(2)?;
    body.vector(1)?;
    if body.0.is_empty() {
        return Some(Said::Nobody);
    }
    let mut extensions = body.vector(2)?;
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let mut value = extensions.vector(2)?;
        if kind != SERVER_NAME {
            continue;
        }
        let mut names = value.vector(2)?;
        while !names.0.is_empty() {
            let kind = names.number(1)?;
            let name = names.vector(2)?;
            // Of names of hosts there is one.
            if kind != 0 || found.is_some() {
                return None;
            }
            found = Some(std::str::from_utf8(name.0).ok()?.to_owned());
        }
    }
    Some(found.map_or(Said::Nobody, Said::Host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(name: Option<&str>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
        if let Some(name) = name {
            let length = name.len() as u8;
            extensions.extend([0, 0, 0, length + 5, 0, length + 3, 0, 0, length]);
            extensions.extend(name.bytes());
        }
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1, 0];
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(body);
        message
    }

    fn records(message: &[u8], each: usize) -> Vec<u8> {
        let record = |part: &[u8]| {
            let mut record = vec![22, 3, 1];
            record.extend((part.len() as u16).to_be_bytes());
            record.extend(part);
            record
        };
        message.chunks(each).flat_map(record).collect()
    }

    #[test]
    fn a_hello_names_its_server_however_it_is_cut() {
        let message = hello(Some("a.example"));
        for each in [1, 2, 5, 40, 1000] {
            let bytes = records(&message, each);
            assert_eq!(read(&bytes), Said::Host("a.example".into()));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Said::More, "{each} {end}");
            }
        }
        assert_eq!(read(&records(&hello(None), 1000)), Said::Nobody);
    }

    #[test]
    fn what_is_no_hello_is_not_taken_for_one_without_a_name() {
        let mut wrong = records(&hello(Some("a.example")), 1000);
        let at = wrong.len() - 12;
        wrong[at] = 1;
        assert_eq!(read(&wrong), Said::Unreadable);
        let mut cut = records(&hello(Some("a.example")), 10);
        cut[15] = 23;
        assert_eq!(read(&cut), Said::Unreadable);
        assert_eq!(read(&[22, 3, 1, 0xff, 0xff, 1]), Said::Unreadable);
        assert_eq!(read(&[22, 7, 1, 0xff, 0xff, 1]), Said::Nobody);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), tls: bool) {
            let mut bytes = bytes;
            if tls {
                bytes.splice(0..0, [22, 3, 1]);
            }
            let _ = read(&bytes);
        }

        #[test]
        fn a_broken_hello_names_nobody_else(at in 0usize..90, byte: u8) {
            let mut bytes = records(&hello(Some("a.example")), 1000);
            let name_at = bytes.len() - 9;
            if at < name_at.min(bytes.len()) {
                bytes[at] = byte;
            }
            if let Said::Host(name) = read(&bytes) {
                prop_assert_eq!(name, "a.example");
            }
        }
    }
}
