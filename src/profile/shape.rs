//! What the language can say, as data: made from the declarations of the tables, at compile time.
//! The command line's options, the schema, the documentation and `show` are read off it, so that
//! none of them can differ from what is read.

use super::node::Content;

/// A table: its name, its words, its keys in the order of their declaration.
#[derive(Debug)]
pub struct Shape {
    /// How messages call it, such as `[limits]`.
    pub name: &'static str,
    /// The documentation, a line each.
    pub doc: &'static [&'static str],
    /// The keys.
    pub fields: &'static [Field],
}

/// A key of a table.
#[derive(Debug)]
pub struct Field {
    /// As it is written.
    pub key: &'static str,
    /// The documentation, a line each.
    pub doc: &'static [&'static str],
    /// What it holds.
    pub kind: Kind,
    /// What holds when it is not there, as TOML; `None` where that depends on something else.
    pub default: Option<&'static str>,
    /// Whether it must be there: with a valid sample.
    pub required: Option<&'static str>,
}

/// What a key can hold.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number, from the first to the second.
    Integer(i64, i64),
    /// A number, from the first to the second.
    Number(f64, f64),
    /// A string. `form` is a regular expression (of ECMA-262, as JSON Schema uses it) that tells
    /// right from wrong as far as one can; empty for any text.
    Text {
        /// What it is, for people: `a path`.
        what: &'static str,
        /// The expression.
        form: &'static str,
    },
    /// One of some words, each with its documentation.
    Choice(&'static [Word]),
    /// Any of these.
    Either(&'static [Kind]),
    /// A list.
    List(&'static Kind),
    /// A table whose keys are the author's own.
    Map(&'static Kind),
    /// A table.
    Table(&'static Shape),
}

/// One of the words of a choice.
#[derive(Debug)]
pub struct Word {
    /// As it is written.
    pub word: &'static str,
    /// The documentation, a line each.
    pub doc: &'static [&'static str],
}

impl Shape {
    /// The key with this name.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Kind {
    /// Whether a string is meant, whatever the text looks like: a host name may be `7`.
    fn is_text(&self) -> bool {
        match self {
            Self::Text { .. } | Self::Choice(_) => true,
            Self::Either(kinds) => kinds.iter().all(Self::is_text),
            _ => false,
        }
    }

    /// The content that an option's text stands for; what does not fit stays a string, and reading
    /// says so.
    #[must_use]
    pub fn content(&self, text: &str) -> Content {
        if self.is_text() {
            return text.into();
        }
        match self {
            Self::List(_) | Self::Map(_) | Self::Table(_) => {
                Content::value(text).unwrap_or_else(|| text.into())
            }
            _ => Content::bare(text).unwrap_or_else(|| text.into()),
        }
    }

    /// The table that this is, or a list of.
    #[must_use]
    pub fn shape(&self) -> Option<&'static Shape> {
        match self {
            Self::Table(shape) | Self::List(Self::Table(shape)) => Some(shape),
            _ => None,
        }
    }
}

/// Every single value that a profile can hold below its tables, with its path: `limits.memory`.
/// What is in lists is not among them.
pub fn scalars(shape: &'static Shape) -> Vec<(String, &'static Field)> {
    let mut found = Vec::new();
    for field in shape.fields {
        match &field.kind {
            Kind::Table(table) => {
                let below = scalars(table).into_iter();
                found.extend(below.map(|(path, leaf)| (format!("{}.{path}", field.key), leaf)));
            }
            Kind::Map(_) | Kind::List(_) => {}
            _ => found.push((field.key.to_owned(), field)),
        }
    }
    found
}
