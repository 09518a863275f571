//! Where a value comes from: a place in a profile, the command line, or a named default.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A profile's text and the name under which messages show it.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: String,
    kind: SourceKind,
    /// Where each line starts, found out when a message first needs it.
    lines: OnceLock<Vec<usize>>,
}

/// What a text was read from.
#[derive(Clone, Debug)]
enum SourceKind {
    /// Part of the program, or given by another program.
    Text,
    /// A file: its folder, and what makes it the same file under another name.
    File {
        folder: PathBuf,
        device: u64,
        inode: u64,
    },
    /// A revision of a file, under the name that git knows it by.
    Revision,
    /// Options.
    CommandLine,
}

impl Source {
    /// A text with a name, usually its path.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            kind: SourceKind::Text,
            lines: OnceLock::new(),
        }
    }

    /// The options of a command line.
    pub fn command_line(text: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::CommandLine,
            ..Self::new("command line", text)
        }
    }

    /// The text of a file; its folder is absolute.
    #[must_use]
    pub fn in_file(self, folder: PathBuf, device: u64, inode: u64) -> Self {
        let kind = SourceKind::File {
            folder,
            device,
            inode,
        };
        Self { kind, ..self }
    }

    /// The text of a revision.
    #[must_use]
    pub fn of_revision(self) -> Self {
        let kind = SourceKind::Revision;
        Self { kind, ..self }
    }

    /// Whether it is a revision: the name is then one that git knows.
    #[must_use]
    pub fn is_revision(&self) -> bool {
        matches!(self.kind, SourceKind::Revision)
    }

    /// The same text, as if it were in no folder.
    #[must_use]
    pub fn in_no_folder(self) -> Self {
        let kind = SourceKind::Text;
        Self { kind, ..self }
    }

    /// The folder of the file; `None` for a text that is in none.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            SourceKind::File { folder, .. } => Some(folder),
            _ => None,
        }
    }

    /// Whether it is a command line.
    #[must_use]
    pub fn is_command_line(&self) -> bool {
        matches!(self.kind, SourceKind::CommandLine)
    }

    /// Whether it is the same file, or the same text of the program.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (
                SourceKind::File { device, inode, .. },
                SourceKind::File {
                    device: d,
                    inode: i,
                    ..
                },
            ) => (device, inode) == (d, i),
            (SourceKind::Text, SourceKind::Text) | (SourceKind::Revision, SourceKind::Revision) => {
                self.name == other.name
            }
            _ => false,
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

    /// Line and column of a byte position.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let byte = self.text.floor_char_boundary(byte);
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= byte);
        let start = lines.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// The place of a span.
    #[must_use]
    pub fn region(&self, span: Span) -> Region {
        let bytes = span.clamped(&self.text);
        Region {
            start: self.position(bytes.start),
            end: self.position(bytes.end),
            bytes,
        }
    }

    /// The bytes of some whole lines, numbered from 1, both ends included.
    #[must_use]
    pub fn line_bytes(&self, first: usize, last: usize) -> Range<usize> {
        let lines = self.lines();
        let end = self.text.len();
        let start = |line: usize| lines.get(line).copied().unwrap_or(end);
        start(first.saturating_sub(1))..start(last)
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
            std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect()
        })
    }
}

/// A position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters (Unicode scalar values).
    pub column: usize,
}

/// A range of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first character.
    pub start: Position,
    /// The character after its last one.
    pub end: Position,
    /// The same in bytes, from 0.
    pub bytes: Range<usize>,
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

    /// A value as it is written in a profile, its variables not replaced.
    #[must_use]
    pub fn written(&self, origin: &Origin) -> Option<&str> {
        let Origin::File(id, span) = origin else {
            return None;
        };
        let text = self.get(*id)?.text();
        text.get(span.clamped(text))
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
    /// What the record of a run says of where it came from.
    Recorded(std::sync::Arc<str>),
}

impl Origin {
    /// The profile and the place in it, if it is one.
    #[must_use]
    pub fn region<'s>(&self, sources: &'s Sources) -> Option<(&'s Source, Region)> {
        let Self::File(id, span) = self else {
            return None;
        };
        let source = sources.get(*id)?;
        Some((source, source.region(*span)))
    }

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
                        Some(source) if source.is_command_line() => f.write_str(source.name()),
                        Some(source) => {
                            let line = source.position(span.start).line;
                            write!(f, "{}:{line}", super::printable(source.name()))
                        }
                        None => f.write_str("a profile"),
                    },
                    Origin::CommandLine => f.write_str("command line"),
                    Origin::Recorded(words) => f.write_str(&super::printable(words)),
                    Origin::Default(name) => {
                        // A declaration says `[limits] grace`, and `the profile hostname`.
                        let name = name.strip_prefix("the profile ").unwrap_or(name);
                        match name
                            .strip_prefix('[')
                            .and_then(|name| name.split_once("] "))
                        {
                            Some((table, key)) => write!(f, "default of {table}.{key}"),
                            None => write!(f, "default of {name}"),
                        }
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a.toml", "a = 1\nbé = \"ü\" # \u{1f600}\r\n\nlast");
        let place = |byte| {
            let Position { line, column } = source.position(byte);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(5), (1, 6));
        assert_eq!(place(6), (2, 1));
        // Inside the two bytes of a character: the character.
        assert_eq!(place(8), (2, 2));
        assert_eq!(place(9), (2, 3));
        assert_eq!(place(source.text().find('\r').unwrap()), (2, 13));
        assert_eq!(place(source.text().find("last").unwrap()), (4, 1));
        assert_eq!(place(1000), (4, 5));
        assert_eq!(Source::new("empty", "").position(7).line, 1);
    }

    #[test]
    fn lines_end_with_their_line_feed() {
        let source = Source::new("a.toml", "one\ntwo\nthree");
        let lines = |first, last| &source.text()[source.line_bytes(first, last)];
        assert_eq!(lines(1, 1), "one\n");
        assert_eq!(lines(2, 3), "two\nthree");
        assert_eq!(lines(4, 9), "");
    }
}
