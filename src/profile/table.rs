//! From TOML to tables with places: everything that is wrong is collected, nothing stops early.
//!
//! A table is declared once, with [`table!`](crate::table); its keys, their types and their
//! documentation are read off that declaration. Serde reads single values only: a derived struct
//! stops at its first mistake, and loses places inside untagged and flattened types.

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, Source, SourceId, Span, nearest};
use crate::profile::variables::{self, VariableError, Variables};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What reading needs and fills.
#[derive(Debug)]
pub struct Context<'a> {
    source: SourceId,
    variables: &'a Variables,
    diagnostics: &'a mut Diagnostics,
}

impl Context<'_> {
    /// The place of a span in the profile that is read.
    #[must_use]
    pub fn origin(&self, span: std::ops::Range<usize>) -> Origin {
        Origin::File(self.source, Span::from(span))
    }

    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn wrong(&mut self, span: std::ops::Range<usize>, message: String, help: &str) {
        let origin = self.origin(span);
        self.push(Diagnostic::new(Code::WrongValue, &origin, message).help(help));
    }
}

/// Something that can be read from a TOML value. `None` means that a problem was pushed.
pub trait Value: Sized {
    /// Reads the value.
    fn read(value: Spanned<DeValue<'_>>, cx: &mut Context<'_>) -> Option<Self>;
}

/// A table with a fixed set of keys; implemented by [`table!`](crate::table).
pub trait Table: Sized {
    /// How messages call it, such as `[limits]`.
    const NAME: &'static str;
    /// The keys.
    const KEYS: &'static [&'static str];
    /// Reads the keys.
    fn read_keys(keys: &mut Keys<'_, '_, '_>) -> Self;
}

/// The keys of a table that were not taken yet.
#[derive(Debug)]
pub struct Keys<'t, 'c, 'x> {
    table: BTreeMap<String, (Origin, Spanned<DeValue<'t>>)>,
    cx: &'c mut Context<'x>,
}

impl Keys<'_, '_, '_> {
    /// Takes a key, if it is there and its value is right.
    pub fn take<T: Value>(&mut self, key: &str) -> Option<At<T>> {
        let (_, value) = self.table.remove(key)?;
        let origin = self.cx.origin(value.span());
        T::read(value, self.cx).map(|value| At::new(value, origin))
    }
}

/// Reads a whole profile.
pub fn read<T: Table>(
    source: &Source,
    id: SourceId,
    variables: &Variables,
    diagnostics: &mut Diagnostics,
) -> T {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let origin = Origin::File(id, Span::from(span));
        diagnostics.push(
            Diagnostic::new(
                Code::Syntax,
                &origin,
                format!("this is not TOML: {}", error.message()),
            )
            .help("the syntax is that of https://toml.io"),
        );
    }
    let mut cx = Context {
        source: id,
        variables,
        diagnostics,
    };
    read_table(table.into_inner(), &mut cx)
}

fn read_table<T: Table>(table: DeTable<'_>, cx: &mut Context<'_>) -> T {
    let mut taken = BTreeMap::new();
    for (key, value) in table {
        let origin = cx.origin(key.span());
        let name = key.into_inner();
        if T::KEYS.contains(&name.as_ref()) {
            taken.insert(name.into_owned(), (origin, value));
            continue;
        }
        let mut problem = Diagnostic::new(
            Code::UnknownKey,
            &origin,
            format!("there is no key `{name}` in {}", T::NAME),
        );
        problem = match nearest(&name, T::KEYS.iter().copied()) {
            Some(known) => problem.help(format!("did you mean `{known}`?")),
            None => problem.help(format!("the keys are: {}", T::KEYS.join(", "))),
        };
        cx.push(problem);
    }
    T::read_keys(&mut Keys { table: taken, cx })
}

impl<T: Table> Value for T {
    fn read(value: Spanned<DeValue<'_>>, cx: &mut Context<'_>) -> Option<Self> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(read_table(table, cx)),
            other => {
                cx.wrong(
                    span,
                    format!("expected the table {}, found {}", T::NAME, kind(&other)),
                    &format!("it holds the keys: {}", T::KEYS.join(", ")),
                );
                None
            }
        }
    }
}

/// A list of values, each with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(pub Vec<At<T>>);

impl<T: Value> Value for List<T> {
    fn read(value: Spanned<DeValue<'_>>, cx: &mut Context<'_>) -> Option<Self> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(array) => Some(Self(
                array
                    .into_iter()
                    .filter_map(|item| {
                        let origin = cx.origin(item.span());
                        T::read(item, cx).map(|value| At::new(value, origin))
                    })
                    .collect(),
            )),
            other => {
                cx.wrong(
                    span,
                    format!("expected a list, found {}", kind(&other)),
                    if matches!(other, DeValue::Table(_)) {
                        "write each as an entry of its own, under a name in [[double brackets]]"
                    } else {
                        "write it in [brackets], the values separated by commas"
                    },
                );
                None
            }
        }
    }
}

/// A table whose keys are the author's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map<T>(pub BTreeMap<String, At<T>>);

impl<T: Value> Value for Map<T> {
    fn read(value: Spanned<DeValue<'_>>, cx: &mut Context<'_>) -> Option<Self> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Self(
                table
                    .into_iter()
                    .filter_map(|(key, item)| {
                        let origin = cx.origin(key.span());
                        let value = T::read(item, cx)?;
                        Some((key.into_inner().into_owned(), At::new(value, origin)))
                    })
                    .collect(),
            )),
            other => {
                cx.wrong(
                    span,
                    format!("expected a table, found {}", kind(&other)),
                    "write it as { NAME = \"value\" }",
                );
                None
            }
        }
    }
}

/// Reads a single value through serde, its variables replaced. `sample` is a valid one.
pub fn read_leaf<T: for<'de> serde::Deserialize<'de>>(
    value: Spanned<DeValue<'_>>,
    cx: &mut Context<'_>,
    sample: &str,
) -> Option<T> {
    use serde::de::IntoDeserializer as _;
    let span = value.span();
    let value = expand(value, cx)?;
    match T::deserialize(value.into_deserializer()) {
        Ok(value) => Some(value),
        Err(error) => {
            let origin = cx.origin(span);
            cx.push(
                Diagnostic::new(Code::WrongValue, &origin, error.message().to_owned())
                    .help(format!("for example: {sample}")),
            );
            None
        }
    }
}

/// Reads a string, its variables replaced.
pub fn read_string(value: Spanned<DeValue<'_>>, cx: &mut Context<'_>) -> Option<String> {
    let span = value.span();
    match expand(value, cx)?.into_inner() {
        DeValue::String(text) if text.contains('\0') => {
            cx.wrong(
                span,
                "a NUL character, which no path or name can hold".into(),
                "remove it",
            );
            None
        }
        DeValue::String(text) => Some(text.into_owned()),
        other => {
            cx.wrong(
                span,
                format!("expected a string, found {}", kind(&other)),
                "write one value in \"quotes\"",
            );
            None
        }
    }
}

/// Reads a whole number within bounds.
pub fn read_integer(
    value: Spanned<DeValue<'_>>,
    cx: &mut Context<'_>,
    least: i64,
    most: i64,
) -> Option<i64> {
    let span = value.span();
    let value = value.into_inner();
    let found = match &value {
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (least..=most).contains(&number) => return Some(number),
            _ => number.to_string(),
        },
        other => kind(other).to_owned(),
    };
    cx.wrong(
        span,
        format!("expected a whole number from {least} to {most}, found {found}"),
        "write it in digits, without quotes",
    );
    None
}

fn expand<'t>(value: Spanned<DeValue<'t>>, cx: &mut Context<'_>) -> Option<Spanned<DeValue<'t>>> {
    let span = value.span();
    match value.into_inner() {
        DeValue::String(text) if text.contains("${") => match cx.variables.expand(&text) {
            Ok(expanded) => Some(Spanned::new(span, DeValue::String(expanded.into()))),
            Err(error) => {
                let origin = cx.origin(span);
                let help = match &error {
                    VariableError::Unclosed => {
                        "close it with `}`, or write `$${` for a literal `${`".into()
                    }
                    VariableError::Unknown(name) => {
                        let names = variables::NAMES;
                        match nearest(&name.to_uppercase(), names.iter().copied()) {
                            Some(known) => format!("did you mean `${{{known}}}`?"),
                            None => format!(
                                "the variables are: {}; `$${{` stands for a literal `${{`",
                                names.join(", ")
                            ),
                        }
                    }
                    VariableError::Unset(name) if name.starts_with("env:") => {
                        format!("set it, or give a default: `${{{name}:-default}}`")
                    }
                    VariableError::Unset(name) if name == "PROJECT" => {
                        "run in a folder of a project, not in the root or a home directory".into()
                    }
                    VariableError::Unset(_) => "write the value out".into(),
                };
                cx.push(
                    Diagnostic::new(Code::UnknownVariable, &origin, error.to_string()).help(help),
                );
                None
            }
        },
        other => Some(Spanned::new(span, other)),
    }
}

/// What a TOML value is, in words.
#[must_use]
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A key as it is written, from the name of its field: a keyword of Rust has `r#` in front.
#[must_use]
pub const fn key(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares a table: a struct with an optional, placed value for each key.
#[macro_export]
macro_rules! table {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident as $title:literal {
            $($(#[$field_meta:meta])* $field:ident : $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: Option<$crate::diag::At<$type>>,)*
        }

        impl $crate::profile::table::Table for $name {
            const NAME: &'static str = $title;
            const KEYS: &'static [&'static str] =
                &[$($crate::profile::table::key(stringify!($field)),)*];
            fn read_keys(keys: &mut $crate::profile::table::Keys<'_, '_, '_>) -> Self {
                Self { $($field: keys.take($crate::profile::table::key(stringify!($field))),)* }
            }
        }
    };
}
