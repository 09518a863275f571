//! From a tree of values to tables of known keys: everything that is wrong is collected, nothing
//! stops early.
//!
//! A table is declared once, with [`table!`](crate::table); its keys, their types, defaults and
//! documentation are read off that declaration. Serde reads single values only: a derived struct
//! stops at its first mistake, and loses places inside untagged and flattened types.

use super::node::{self, Content, Entry, Node};
use super::shape::{Kind, Shape};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, nearest};
use std::collections::BTreeMap;

/// Something that can be read from a value of a profile.
pub trait Value: Sized {
    /// What it can hold.
    const KIND: Kind;

    /// Reads the value. `None` means that a problem was pushed.
    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self>;
}

/// A table with a fixed set of keys; implemented by [`table!`](crate::table).
pub trait Table: Sized {
    /// Its name, words and keys.
    const SHAPE: Shape;

    /// Reads the keys.
    fn read_keys(keys: &mut Keys<'_>) -> Self;
}

/// The keys of a table that were not taken yet.
#[derive(Debug)]
pub struct Keys<'p> {
    /// Of which table, and where it stands.
    name: &'static str,
    origin: Origin,
    table: node::Table,
    problems: &'p mut Diagnostics,
}

impl Keys<'_> {
    /// Takes a key, if it is there and its value is right.
    pub fn take<T: Value>(&mut self, key: &str) -> Option<At<T>> {
        let Entry { node, .. } = self.table.remove(key)?;
        read_at(node, self.problems)
    }

    /// Takes a key that must be there; `None` means that a problem was pushed.
    pub fn take_required<T: Value>(
        &mut self,
        key: &str,
        sample: &str,
        unless: &[&str],
    ) -> Option<At<T>> {
        let there = |key: &str| self.table.contains_key(key);
        if !there(key) && !unless.iter().any(|other| there(other)) {
            let message = format!("`{key}` is missing in {}", self.name);
            self.problems.push(
                Diagnostic::new(Code::MissingKey, &self.origin, message)
                    .help(format!("for example: {key} = {sample}")),
            );
        }
        self.take(key)
    }

    /// Takes a key that has a default; `name` is how the default is called. Where the value is
    /// wrong, the default stands in for it, so that the rest can be checked.
    ///
    /// # Panics
    /// If the declaration of the table holds a default that its own type refuses.
    pub fn take_or<T: Value>(&mut self, key: &str, default: &str, name: &'static str) -> At<T> {
        self.take(key).unwrap_or_else(|| default_of(default, name))
    }
}

/// The default that a declaration names.
///
/// # Panics
/// If it is not of the type.
#[must_use]
#[expect(clippy::expect_used, reason = "a test reads every default")]
pub fn default_of<T: Value>(toml: &str, name: &'static str) -> At<T> {
    let origin = Origin::Default(name);
    let content = Content::value(toml).expect("a default is TOML");
    let node = Node::new(content, origin.clone());
    let value = T::read(node, &mut Diagnostics::default());
    At::new(value.expect("a default is of its type"), origin)
}

/// Reads a value and keeps its place.
fn read_at<T: Value>(node: Node, problems: &mut Diagnostics) -> Option<At<T>> {
    if node.value == Content::Wrong {
        return None;
    }
    let origin = node.origin.clone();
    T::read(node, problems).map(|value| At::new(value, origin))
}

/// Reads a table; `origin` is its place.
pub fn read<T: Table>(table: node::Table, origin: Origin, problems: &mut Diagnostics) -> T {
    let mut taken = BTreeMap::new();
    for (name, entry) in table {
        if T::SHAPE.field(&name).is_some() {
            taken.insert(name, entry);
            continue;
        }
        let mut problem = Diagnostic::new(
            Code::UnknownKey,
            &entry.key,
            format!("there is no key `{name}` in {}", T::SHAPE.name),
        );
        problem = match nearest(&name, T::SHAPE.fields.iter().map(|field| field.key)) {
            Some(known) => problem.help(format!("did you mean `{known}`?")),
            None => problem.help(format!("the keys are: {}", keys::<T>())),
        };
        problems.push(problem);
    }
    T::read_keys(&mut Keys {
        name: T::SHAPE.name,
        origin,
        table: taken,
        problems,
    })
}

/// The keys of a table, for messages.
fn keys<T: Table>() -> String {
    let keys: Vec<_> = T::SHAPE.fields.iter().map(|field| field.key).collect();
    keys.join(", ")
}

/// Pushes that a value is of another kind than was expected.
pub fn wrong(origin: &Origin, message: String, help: &str, problems: &mut Diagnostics) {
    problems.push(Diagnostic::new(Code::WrongValue, origin, message).help(help));
}

impl<T: Table> Value for T {
    const KIND: Kind = Kind::Table(&T::SHAPE);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Content::Table(table) => Some(read(table, node.origin, problems)),
            other => {
                let message = format!(
                    "expected the table {}, found {}",
                    T::SHAPE.name,
                    other.kind()
                );
                let help = format!("it holds the keys: {}", keys::<T>());
                wrong(&node.origin, message, &help, problems);
                None
            }
        }
    }
}

/// A list of values, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(pub Vec<At<T>>);

impl<T: Value> Value for List<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let Content::Array(items) = node.value else {
            let help = if matches!(node.value, Content::Table(_)) {
                "write each as an entry of its own, under a name in [[double brackets]]"
            } else {
                "write it in [brackets], the values separated by commas"
            };
            let message = format!("expected a list, found {}", node.value.kind());
            wrong(&node.origin, message, help, problems);
            return None;
        };
        let items = items.into_iter().filter_map(|item| read_at(item, problems));
        Some(Self(items.collect()))
    }
}

/// A table whose keys are the author's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map<T>(pub BTreeMap<String, At<T>>);

impl<T: Value> Value for Map<T> {
    const KIND: Kind = Kind::Map(&T::KIND);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let Content::Table(table) = node.value else {
            let message = format!("expected a table, found {}", node.value.kind());
            let help = "write it as { NAME = \"value\" }";
            wrong(&node.origin, message, help, problems);
            return None;
        };
        let items = table.into_iter().filter_map(|(name, entry)| {
            let value: At<T> = read_at(entry.node, problems)?;
            Some((name, At::new(value.value, entry.key)))
        });
        Some(Self(items.collect()))
    }
}

/// Reads a single value through serde. `sample` is a valid one.
pub fn read_leaf<T: for<'de> serde::Deserialize<'de>>(
    node: Node,
    problems: &mut Diagnostics,
    sample: &str,
) -> Option<T> {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
    let none = std::iter::empty::<()>;
    let too_large = |digits: &str| {
        <Error as serde::de::Error>::custom(format!(
            "{digits} is larger than any number that a profile can hold"
        ))
    };
    let result: Result<T, Error> = match &node.value {
        Content::String(text) => T::deserialize(text.as_str().into_deserializer()),
        Content::Integer(digits, radix) => match i64::from_str_radix(digits, *radix) {
            Ok(number) => T::deserialize(number.into_deserializer()),
            Err(_) => Err(too_large(digits)),
        },
        Content::Float(number) => T::deserialize(number.into_deserializer()),
        Content::Boolean(truth) => T::deserialize(truth.into_deserializer()),
        Content::Datetime(date) => T::deserialize(date.as_str().into_deserializer()),
        Content::Array(_) => T::deserialize(SeqDeserializer::new(none())),
        Content::Table(_) | Content::Wrong => {
            T::deserialize(MapDeserializer::new(none().map(|()| ((), ()))))
        }
    };
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let help = format!("for example: {sample}");
            wrong(&node.origin, error.to_string(), &help, problems);
            None
        }
    }
}

/// Reads a list, or the one word that may stand in its place: for that there is no list. `what` says of which the list
/// is, and `help` has a sample of both.
pub fn read_list_or<T: Value>(
    node: Node,
    word: &str,
    (what, help): (&str, &str),
    problems: &mut Diagnostics,
) -> Option<Option<List<T>>> {
    match &node.value {
        Content::String(text) if text == word => Some(None),
        Content::Array(_) => List::read(node, problems).map(Some),
        _ => {
            wrong(&node.origin, format!("no list of {what}"), help, problems);
            None
        }
    }
}

/// Reads a string.
pub fn read_string(node: Node, problems: &mut Diagnostics) -> Option<String> {
    let (message, help) = match node.value {
        Content::String(text) if !text.contains('\0') => return Some(text),
        Content::String(_) => (
            "a NUL character, which no path or name can hold".into(),
            "remove it",
        ),
        other => (
            format!("expected a string, found {}", other.kind()),
            "write one value in \"quotes\"",
        ),
    };
    wrong(&node.origin, message, help, problems);
    None
}

/// Reads a whole number within bounds.
pub fn read_integer(node: Node, problems: &mut Diagnostics, least: i64, most: i64) -> Option<i64> {
    let found = match &node.value {
        Content::Integer(digits, radix) => match i64::from_str_radix(digits, *radix) {
            Ok(number) if (least..=most).contains(&number) => return Some(number),
            _ => digits.clone(),
        },
        other => other.kind().to_owned(),
    };
    let message = format!("expected a whole number from {least} to {most}, found {found}");
    let help = "write it in digits, without quotes";
    wrong(&node.origin, message, help, problems);
    None
}

/// A key as it is written, from the name of its field: a keyword of Rust has `r#` in front.
#[must_use]
pub const fn key(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares a table: a struct with a placed value for each key; optional where the declaration
/// names no default.
#[macro_export]
macro_rules! table {
    (
        $(#[doc = $doc:expr])*
        $vis:vis struct $name:ident as $title:literal {
            $(
                $(#[doc = $field_doc:expr])*
                $field:ident : $type:ty $(= $default:literal)? $(; required $sample:literal $(unless $other:ident)?)?,
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $field_doc])* pub $field: $crate::table!(@type $type $(, $default)?),)*
        }

        impl $crate::profile::table::Table for $name {
            const SHAPE: $crate::profile::shape::Shape = $crate::profile::shape::Shape {
                name: $title,
                doc: &[$($doc,)*],
                fields: &[$($crate::profile::shape::Field {
                    key: $crate::profile::table::key(stringify!($field)),
                    doc: &[$($field_doc,)*],
                    kind: <$type as $crate::profile::table::Value>::KIND,
                    default: $crate::table!(@text $($default)?),
                    required: $crate::table!(@required $($sample $(unless $other)?)?),
                },)*],
            };
            fn read_keys(keys: &mut $crate::profile::table::Keys<'_>) -> Self {
                Self {
                    $($field: $crate::table!(@take keys, $title, $field $(, $default)? $(; $sample $(unless $other)?)?),)*
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                let nothing = $crate::profile::node::Table::new();
                let nowhere = $crate::diag::Origin::Default($title);
                let mut unheard = $crate::diag::Diagnostics::default();
                $crate::profile::table::read(nothing, nowhere, &mut unheard)
            }
        }
    };
    (@type $type:ty) => { Option<$crate::diag::At<$type>> };
    (@type $type:ty, $default:literal) => { $crate::diag::At<$type> };
    (@text) => { None };
    (@text $text:literal) => { Some(stringify!($text)) };
    (@required) => { None };
    (@required $text:literal) => { Some(stringify!($text)) };
    (@required $text:literal unless $other:ident) => { None };
    (@take $keys:ident, $title:literal, $field:ident) => {
        $keys.take($crate::profile::table::key(stringify!($field)))
    };
    (@take $keys:ident, $title:literal, $field:ident; $sample:literal $(unless $other:ident)?) => {
        $keys.take_required(
            $crate::profile::table::key(stringify!($field)),
            stringify!($sample),
            &[$($crate::profile::table::key(stringify!($other)))?],
        )
    };
    (@take $keys:ident, $title:literal, $field:ident, $default:literal) => {
        $keys.take_or(
            $crate::profile::table::key(stringify!($field)),
            stringify!($default),
            concat!($title, " ", stringify!($field)),
        )
    };
}
