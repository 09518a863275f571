//! Ports of tcp(7) and udp(7): one, or several in a row.

use std::fmt;
use std::ops::RangeInclusive;

/// Ports from a first to a last one: `443` or `8000-8010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// One port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// Why they are none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ports = Self {
            first: port(first)?,
            last: port(last)?,
        };
        match ports.first <= ports.last {
            true => Ok(ports),
            false => Err(format!("`{text}` ends before it begins")),
        }
    }

    /// All of them, in order.
    #[must_use]
    pub const fn all(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.last.saturating_sub(self.first)) + 1
    }

    /// The first and the last.
    #[must_use]
    pub fn ends(self) -> (u16, u16) {
        (self.first, self.last)
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn has(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether these are all among others.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        other.has(self.first) && other.has(self.last)
    }

    /// Whether some of these are among others.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

fn port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(format!(
            "`{}` is no port: they go from 1 to 65535",
            crate::diag::printable(text)
        )),
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        match self.first == self.last {
            true => Ok(()),
            false => write!(f, "-{}", self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_are_read_and_printed() {
        for text in ["443", "1-65535", "8000-8010"] {
            assert_eq!(Ports::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Ports::parse("7-7").unwrap(), Ports::one(7));
        for (text, why) in [
            ("", "is no port"),
            ("0", "is no port"),
            ("65536", "is no port"),
            ("+1", "is no port"),
            ("1-", "is no port"),
            ("1-2-3", "is no port"),
            ("9-8", "ends before it begins"),
        ] {
            assert!(Ports::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_holds_of_two_holds_of_their_ports(a in 1..99u16, b in 0..9u16, c in 1..99u16, d in 0..9u16) {
            let (one, other) = (Ports { first: a, last: a + b }, Ports { first: c, last: c + d });
            prop_assert_eq!(one.count(), one.all().count());
            prop_assert_eq!(one.is_within(other), one.all().all(|port| other.has(port)));
            prop_assert_eq!(one.meets(other), one.all().any(|port| other.has(port)));
        }
    }
}
