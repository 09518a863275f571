//! Where a value comes from: a place in a profile, the command line, or a named default.

use std::fmt;
use std::ops::Range;

/// A profile's text and the name under which messages show it.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A text with a name, usually its path.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column, both from 1, of a byte position.
    #[must_use]
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

/// All profiles that were read for a run.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

/// The number of a source in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

impl Sources {
    /// Adds a source.
    pub fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId(self.0.len() - 1)
    }

    /// The numbers of all sources, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + use<> {
        (0..self.0.len()).map(SourceId)
    }

    /// The source with this number.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.0.get(id.0)
    }
}

/// A range of bytes in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The range, cut to what the text has.
    #[must_use]
    pub fn clamped(self, text: &str) -> Range<usize> {
        let end = self.end.min(text.len());
        self.start.min(end)..end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A place in a profile.
    File(SourceId, Span),
    /// An option or an argument of the command line.
    CommandLine,
    /// What holds when nobody says otherwise; the name of the setting, such as `rootfs`.
    Default(&'static str),
}

impl Origin {
    /// Whether nobody asked for the value: it is what holds otherwise.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Default(_))
    }

    /// `build.toml:14`, `command line`, or `default of rootfs`.
    #[must_use]
    pub fn display<'a>(&'a self, sources: &'a Sources) -> impl fmt::Display + 'a {
        struct Display<'a>(&'a Origin, &'a Sources);
        impl fmt::Display for Display<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    Origin::File(id, span) => match self.1.get(*id) {
                        Some(source) => {
                            let (line, _) = source.position(span.start);
                            write!(f, "{}:{line}", super::printable(source.name()))
                        }
                        None => f.write_str("a profile"),
                    },
                    Origin::CommandLine => f.write_str("command line"),
                    Origin::Default(name) => write!(f, "default of {name}"),
                }
            }
        }
        Display(self, sources)
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> At<T> {
    /// A value with its origin.
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A default, under the name of its setting.
    pub const fn default_of(name: &'static str, value: T) -> Self {
        Self {
            value,
            origin: Origin::Default(name),
        }
    }

    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: f(self.value),
            origin: self.origin,
        }
    }
}
