//! The kinds of values: sizes, durations, modes, choices.

use super::node::{Content, Node};
use super::shape::{Kind, Word};
use super::table::{Value, read_integer, read_leaf, read_string, wrong};
use crate::diag::Diagnostics;
use serde::Deserialize;
use serde::de::{self, Visitor};
use std::fmt;

macro_rules! leaf {
    ($($type:ty: $kind:expr, $sample:literal;)*) => {
        $(impl Value for $type {
            const KIND: Kind = $kind;
            fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
                read_leaf(node, problems, $sample)
            }
        })*
    };
}

leaf! {
    bool: Kind::Boolean, "true";
    Size: Kind::Either(&[Kind::Integer(0, i64::MAX), Kind::Text {
        what: "a size",
        form: "^[0-9]+(\\.[0-9]+)? *([kKmMgGtT]([iI]?[bB])?|[bB])?$",
    }]), "\"64M\"";
    Duration: Kind::Either(&[Kind::Number(0.0, LONGEST as f64), Kind::Text {
        what: "a duration",
        form: "^ *([0-9]+(\\.[0-9]+)? *(ms|sec|s|min|m|h|d)? *)+$",
    }]), "\"10s\"";
    Cores: Kind::Number(0.01, 10_000.0), "0.5";
    Percent: Kind::Text {
        what: "a percentage",
        form: "^[0-9]+(\\.[0-9]+)?%$",
    }, "\"1%\"";
}

impl Value for String {
    const KIND: Kind = Kind::Text {
        what: "a string",
        form: "",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        read_string(node, problems)
    }
}

macro_rules! integers {
    ($($type:ty: $least:expr, $most:expr;)*) => {
        $(impl Value for $type {
            const KIND: Kind = Kind::Integer($least, $most);
            fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
                read_integer(node, problems, $least, $most).and_then(|n| n.try_into().ok())
            }
        })*
    };
}

integers! {
    u32: 0, u32::MAX as i64;
    i32: i32::MIN as i64, i32::MAX as i64;
    u64: 0, i64::MAX;
}

/// A size in bytes: a number, or a string with K, M, G or T (powers of 1024; `KiB` and `KB` too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// Of a text such as `64M`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_size(text)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// How much a file system in memory may hold: a size, or a share of the machine's memory (`"25%"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// In bytes.
    Bytes(Size),
    /// In per cent, of 1 to 100.
    Share(u32),
}

impl Space {
    /// As the option `size` of tmpfs(5) takes it.
    #[must_use]
    pub fn option(self) -> String {
        match self {
            Self::Bytes(size) => size.0.to_string(),
            Self::Share(share) => format!("{share}%"),
        }
    }

    /// Whether it would mean no bound.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Bytes(Size(0)))
    }
}

impl Value for Space {
    const KIND: Kind = Kind::Either(&[
        Size::KIND,
        Kind::Text {
            what: "a share of the memory",
            form: "^([1-9][0-9]?|100)%$",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let text = match &node.value {
            Content::String(text) => text.strip_suffix('%'),
            _ => None,
        };
        let Some(text) = text else {
            return Size::read(node, problems).map(Self::Bytes);
        };
        match text.parse() {
            Ok(share @ 1..=100) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Some(Self::Share(share))
            }
            _ => {
                let message = format!("`{text}%` is no share of the memory");
                wrong(
                    &node.origin,
                    message,
                    "for example: \"25%\"; of 1 to 100",
                    problems,
                );
                None
            }
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in bytes, such as 65536, \"64M\" or \"1.5GiB\"")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Size, E> {
                u64::try_from(n)
                    .map(Size)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                parse_size(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(V)
    }
}

fn parse_size(text: &str) -> Option<Size> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).map(Size);
    }
    let bytes = decimal(number)? * (1u64 << shift) as f64;
    (bytes < 9e18).then_some(Size(bytes as u64))
}

/// The number in front and the unit behind.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// A decimal fraction without sign or exponent.
fn decimal(text: &str) -> Option<f64> {
    text.starts_with(|c: char| c.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// A duration: a number of seconds, or a string such as `500ms`, `10s`, `5m`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds, self.0.subsec_millis()) {
            (0, ms) if ms > 0 => write!(f, "{ms}ms"),
            (s, 0) if s > 0 && s % 3600 == 0 => write!(f, "{}h", s / 3600),
            (s, 0) if s > 0 && s % 60 == 0 => write!(f, "{}m", s / 60),
            (_, 0) => write!(f, "{seconds}s"),
            _ => write!(f, "{}s", self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration, such as 10 (seconds), \"500ms\", \"90s\" or \"1h30m\"")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Duration, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(n), &self);
                let seconds = u64::try_from(n).map_err(|_| wrong())?;
                if seconds > LONGEST {
                    Err(wrong())
                } else {
                    Ok(from_seconds(seconds as f64))
                }
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Duration, E> {
                if (0.0..=LONGEST as f64).contains(&n) {
                    Ok(from_seconds(n))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(n), &self))
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                parse_duration(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// A duration, or no end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grace(pub std::time::Duration);

impl Grace {
    /// No end: more than any duration that can be written.
    pub const ENDLESS: Self = Self(std::time::Duration::MAX);

    /// Whether it has no end.
    #[must_use]
    pub fn is_endless(self) -> bool {
        self == Self::ENDLESS
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_endless() {
            true => f.write_str("infinity"),
            false => Duration(self.0).fmt(f),
        }
    }
}

impl Value for Grace {
    const KIND: Kind = Kind::Either(&[
        Duration::KIND,
        Kind::Choice(&[Word {
            word: "infinity",
            doc: &["It never ends."],
        }]),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.value, Content::String(text) if text == "infinity") {
            return Some(Self::ENDLESS);
        }
        read_leaf::<Duration>(node, problems, "\"10s\" or \"infinity\"").map(|time| Self(time.0))
    }
}

/// A signal that asks a command to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignal(pub i32);

/// Those that a supervisor may send, by name; the real-time ones beside them.
const STOP_SIGNALS: &[(&str, i32)] = &[
    ("SIGTERM", libc::SIGTERM),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGHUP", libc::SIGHUP),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGALRM", libc::SIGALRM),
    ("SIGWINCH", libc::SIGWINCH),
];

/// The first real-time signal that the C library leaves to programs (signal(7)), and how many follow it.
const REAL_TIME: (i32, i32) = (34, 30);

impl Default for StopSignal {
    fn default() -> Self {
        Self(libc::SIGTERM)
    }
}

impl StopSignal {
    /// Whether a command that says nothing of it is ended by it (signal(7)).
    #[must_use]
    pub fn ends(self) -> bool {
        self.0 != libc::SIGWINCH
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("SIGRTMIN") {
            let (first, most) = REAL_TIME;
            let at = match rest.strip_prefix('+') {
                Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    digits.parse().ok()?
                }
                Some(_) => return None,
                None if rest.is_empty() => 0,
                None => return None,
            };
            return (0..=most).contains(&at).then(|| Self(first + at));
        }
        let known = STOP_SIGNALS.iter().find(|(name, _)| *name == text);
        known.map(|(_, number)| Self(*number))
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = STOP_SIGNALS.iter().find(|(_, number)| *number == self.0);
        match known {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "SIGRTMIN+{}", self.0 - REAL_TIME.0),
        }
    }
}

impl Value for StopSignal {
    const KIND: Kind = Kind::Text {
        what: "a signal",
        form: "^SIG(TERM|INT|QUIT|HUP|USR1|USR2|ALRM|WINCH|RTMIN(\\+([0-9]|[12][0-9]|30))?)$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = Self::parse(&text);
        if found.is_none() {
            let names: Vec<_> = STOP_SIGNALS.iter().map(|(name, _)| *name).collect();
            let message = format!("`{text}` is no signal by which a command is asked to end");
            let help = format!("one of {}, SIGRTMIN to SIGRTMIN+30", names.join(", "));
            wrong(&origin, message, &help, problems);
        }
        found
    }
}

/// Ten years, in seconds: beyond it a duration is a mistake.
const LONGEST: u64 = 10 * 366 * 86_400;

fn from_seconds(seconds: f64) -> Duration {
    Duration(std::time::Duration::from_secs_f64(seconds))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor = match unit.trim() {
            "ms" => 0.001,
            "" | "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += decimal(number)? * factor;
        rest = tail;
    }
    (seconds <= LONGEST as f64).then(|| from_seconds(seconds))
}

/// A share of processor time: `0.5` is half of one processor, `2` two whole ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cores(pub f64);

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Cores;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of processors from 0.01 to 10000, such as 0.5 or 2")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Cores, E> {
                self.visit_f64(n as f64)
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Cores, E> {
                if (0.01..=10_000.0).contains(&n) {
                    Ok(Cores(n))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(n), &self))
                }
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// A part of a hundred, more than none of it: `"1%"`, `"0.5%"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Percent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage from \"0.001%\" to \"100%\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
                let number = text.strip_suffix('%').and_then(decimal);
                number
                    .filter(|number| (0.001..=100.0).contains(number))
                    .map(Percent)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(V)
    }
}

/// A file mode or a umask, in octal: `0o755` or `"755"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

impl Value for Mode {
    const KIND: Kind = Kind::Either(&[
        Kind::Integer(0, 0o7777),
        Kind::Text {
            what: "a mode in octal",
            form: "^(0o)?[0-7]{1,4}$",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let help = "for example: 0o755 or \"755\"";
        let text = match node.value {
            Content::Integer(digits, 8) => digits,
            Content::String(text) => text,
            other => {
                // A decimal 755 would be 0o1363: nobody means that.
                let kind = other.kind();
                let message = format!("expected a mode in octal, found {kind} in decimal");
                wrong(&node.origin, message, help, problems);
                return None;
            }
        };
        match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
            Ok(mode) if mode <= 0o7777 => Some(Self(mode)),
            _ => {
                wrong(&node.origin, format!("`{text}` is no mode"), help, problems);
                None
            }
        }
    }
}

/// Declares a choice between words, as they stand in a profile.
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[doc = $doc:expr])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        $vis enum $name { $($(#[doc = $doc])* $variant,)* }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word in the profile.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::profile::table::Value for $name {
            const KIND: $crate::profile::shape::Kind = $crate::profile::shape::Kind::Choice(&[
                $($crate::profile::shape::Word { word: $word, doc: &[$($doc,)*] },)*
            ]);

            fn read(
                node: $crate::profile::node::Node,
                problems: &mut $crate::diag::Diagnostics,
            ) -> Option<Self> {
                let words = [$($word,)*];
                let index = $crate::profile::value::read_choice(node, problems, &words)?;
                Self::ALL.get(index).copied()
            }
        }
    };
}

/// Reads one of some words: which.
pub fn read_choice(node: Node, problems: &mut Diagnostics, words: &[&str]) -> Option<usize> {
    let origin = node.origin.clone();
    let text = read_string(node, problems)?;
    let found = words.iter().position(|word| *word == text);
    if found.is_none() {
        let help = match crate::diag::nearest(&text, words.iter().copied()) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => format!("one of: \"{}\"", words.join("\", \"")),
        };
        let message = format!("`{text}` is none of the choices");
        wrong(&origin, message, &help, problems);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64M"), Some(Size(64 << 20)));
        assert_eq!(parse_size("1.5 GiB"), Some(Size(3 << 29)));
        assert_eq!(parse_size("10"), Some(Size(10)));
        for wrong in [
            "",
            "lots",
            "-1",
            "1e3",
            "M",
            "99999999999999999999",
            "16777216T",
            "1..2M",
        ] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
        assert_eq!(Size(100 << 20).to_string(), "100M");
        assert_eq!(Size(1000).to_string(), "1000");
    }

    #[test]
    fn durations() {
        let seconds = |text: &str| parse_duration(text).map(|d| d.0.as_secs_f64());
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("2"), Some(2.0));
        for wrong in ["", "soon", "-1s", "5y", "s", "99999d", "1e9"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
