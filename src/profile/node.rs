//! A profile as a tree of values, each with its place; what is merged, overlaid and printed is such
//! a tree, whatever file or option its parts come from.

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, SourceId, Sources, Span};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
pub type Node = At<Content>;

/// What a value holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A string.
    String(String),
    /// A whole number: its digits, and to which base. Kept as written, since `0o755` and `755` are
    /// different things for a mode.
    Integer(String, u32),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A date, which no key takes.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(Table),
    /// A value of which a problem was pushed already: it counts as given, and is not read.
    Wrong,
}

/// A table: by key, the place of the key and the value.
pub type Table = BTreeMap<String, Entry>;

/// A value of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The place of the key.
    pub key: Origin,
    /// The value.
    pub node: Node,
}

impl Content {
    /// What it is, in words.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(..) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Wrong => "a wrong value",
        }
    }

    /// A number or a truth value: `true`, `4`, `0.5`.
    #[must_use]
    pub fn bare(text: &str) -> Option<Self> {
        let scalar = |c: &Self| matches!(c, Self::Integer(..) | Self::Float(_) | Self::Boolean(_));
        Self::value(text).filter(scalar)
    }

    /// A value as it stands behind the `=` of a profile; the places of what it holds are nowhere.
    #[must_use]
    pub fn value(text: &str) -> Option<Self> {
        let value = content(DeValue::parse(text).ok()?.into_inner(), &|_| {
            Origin::CommandLine
        });
        // `0x` passes as a number without digits.
        let digits = !matches!(&value, Self::Integer(digits, _) if digits.is_empty());
        digits.then_some(value)
    }
}

/// As text, for strings that a value is put into, and for messages.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) | Self::Datetime(text) => f.write_str(text),
            Self::Integer(digits, 2) => write!(f, "0b{digits}"),
            Self::Integer(digits, 8) => write!(f, "0o{digits}"),
            Self::Integer(digits, 16) => write!(f, "0x{digits}"),
            Self::Integer(digits, _) => f.write_str(digits),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Array(_) | Self::Table(_) | Self::Wrong => f.write_str(self.kind()),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

/// Reads the text of a profile; what is no TOML is a problem, and the rest is read all the same.
#[must_use]
pub fn parse(sources: &Sources, id: SourceId, problems: &mut Diagnostics) -> Table {
    let Some(source) = sources.get(id) else {
        return Table::new();
    };
    let (parsed, errors) = DeTable::parse_recoverable(source.text());
    for error in errors {
        let origin = Origin::File(id, Span::from(error.span().unwrap_or(0..0)));
        problems.push(
            Diagnostic::new(
                Code::Syntax,
                &origin,
                format!("this is not TOML: {}", error.message()),
            )
            .help("the syntax is that of https://toml.io"),
        );
    }
    table(parsed.into_inner(), &|span| {
        Origin::File(id, Span::from(span))
    })
}

/// Where a range of the text that is parsed stands.
type Place<'p> = &'p dyn Fn(std::ops::Range<usize>) -> Origin;

fn table(parsed: DeTable<'_>, place: Place<'_>) -> Table {
    let entries = parsed.into_iter().map(|(key, value)| {
        let entry = Entry {
            key: place(key.span()),
            node: node(value, place),
        };
        (key.into_inner().into_owned(), entry)
    });
    entries.collect()
}

fn node(value: Spanned<DeValue<'_>>, place: Place<'_>) -> Node {
    let origin = place(value.span());
    Node::new(content(value.into_inner(), place), origin)
}

fn content(value: DeValue<'_>, place: Place<'_>) -> Content {
    match value {
        DeValue::String(text) => Content::String(text.into_owned()),
        DeValue::Integer(number) => Content::Integer(number.as_str().to_owned(), number.radix()),
        // What toml has accepted as a float parses as one.
        DeValue::Float(number) => Content::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Content::Boolean(truth),
        DeValue::Datetime(date) => Content::Datetime(date.to_string()),
        DeValue::Array(items) => {
            Content::Array(items.into_iter().map(|item| node(item, place)).collect())
        }
        DeValue::Table(parsed) => Content::Table(table(parsed, place)),
    }
}
