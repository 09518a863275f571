//! `[params]`: what a caller may choose, with types, defaults and descriptions; `--set NAME=VALUE`.

use super::node::{self, Content, Entry, Node};
use super::overlay::Set;
use super::shape::Kind;
use super::table::{List, Map, Value, wrong};
use super::value::{Duration, Size};
use super::variables::VariableError;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, nearest};
use std::collections::BTreeMap;

crate::choice! {
    /// What a value of a parameter is.
    pub enum Type {
        /// Any text.
        String = "string",
        /// An absolute path.
        Path = "path",
        /// A whole number.
        Integer = "integer",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// A size in bytes, such as `"64M"`.
        Size = "size",
        /// A duration, such as `"10s"`.
        Duration = "duration",
    }
}

/// A single value: a string, a number, or true or false.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(Content);

impl Value for Scalar {
    const KIND: Kind = Kind::Either(&[
        Kind::Boolean,
        Kind::Number(f64::MIN, f64::MAX),
        Kind::Text {
            what: "a string",
            form: "",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Content::Array(_) | Content::Table(_) | Content::Datetime(_) | Content::Wrong => {
                let message = format!("expected a single value, found {}", node.value.kind());
                let help = "a string, a number, or true or false; for example: default = 4";
                wrong(&node.origin, message, help, problems);
                None
            }
            single => Some(Self(single)),
        }
    }
}

crate::table! {
    /// A parameter: what a caller may choose with `--set NAME=VALUE`, and strings use as
    /// `${NAME}`. A single value stands for `{ default = … }`.
    ///
    /// ```toml
    /// [params]
    /// jobs = 4
    /// level = { type = "string", default = "debug", choices = ["debug", "release"], description = "How to compile" }
    ///
    /// [environment]
    /// set = { MAKEFLAGS = "-j${jobs}", LEVEL = "${level}" }
    /// ```
    pub struct RawParameter as "a parameter" {
        /// What its values are. Default: as the default is, else a string.
        r#type: Type,
        /// Its value where the caller chooses none. Without it, the caller must.
        default: Scalar,
        /// What it is for.
        description: String,
        /// The only values that it can have.
        choices: List<Scalar>,
    }
}

/// The table `[params]`, or one of its entries, as it is declared; it is settled by
/// [`Parameters::settle`] before other tables are read.
#[derive(Clone, Debug, Default)]
pub struct Parameter;

impl Value for Parameter {
    const KIND: Kind = Kind::Either(&[Scalar::KIND, RawParameter::KIND]);

    fn read(_: Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Self)
    }
}

/// The parameters of a profile with their values.
#[derive(Clone, Debug, Default)]
pub struct Parameters(BTreeMap<String, Settled>);

#[derive(Clone, Debug)]
struct Settled {
    declared: Origin,
    value: State,
}

#[derive(Clone, Debug)]
enum State {
    Known(Content),
    Missing,
    Wrong,
}

impl Parameters {
    /// Reads the declarations, and gives each parameter its value: the caller's, else the default.
    pub fn settle(table: node::Table, sets: &[Set], problems: &mut Diagnostics) -> Self {
        let mut settled = BTreeMap::new();
        for (name, Entry { key, node }) in table {
            if !is_name(&name) {
                problems.push(
                    Diagnostic::new(
                        Code::BadParameter,
                        &key,
                        format!("`{name}` cannot be the name of a parameter"),
                    )
                    .help("a lower-case letter, then letters, digits and `_`: variables of the language are in capitals"),
                );
                continue;
            }
            let set = sets.iter().rev().find(|set| set.name == name);
            let before = problems.len();
            let value = declared(node, problems).and_then(|raw| raw.value(set, problems));
            let value = match value {
                Some(value) => State::Known(value),
                None if problems.len() > before => State::Wrong,
                None => State::Missing,
            };
            settled.insert(
                name,
                Settled {
                    declared: key,
                    value,
                },
            );
        }
        for set in sets {
            if settled.contains_key(&set.name) {
                continue;
            }
            let names = settled.keys().map(String::as_str);
            let help = match nearest(&set.name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if settled.is_empty() => "the profile declares none under [params]".into(),
                None => format!(
                    "the parameters are: {}",
                    names.collect::<Vec<_>>().join(", ")
                ),
            };
            let message = format!("there is no parameter `{}`", set.name);
            problems
                .push(Diagnostic::new(Code::BadParameter, &set.value.origin, message).help(help));
        }
        Self(settled)
    }

    /// The value of a parameter; `None` if there is no such parameter.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Result<Content, VariableError>> {
        let settled = self.0.get(name)?;
        Some(match &settled.value {
            State::Known(value) => Ok(value.clone()),
            State::Missing => Err(VariableError::NoValue(
                name.into(),
                settled.declared.clone(),
            )),
            State::Wrong => Err(VariableError::WrongValue(name.into())),
        })
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Lower case, so that no parameter is ever called as a variable of the language is.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A declaration; a single value is a default.
fn declared(node: Node, problems: &mut Diagnostics) -> Option<RawParameter> {
    match node.value {
        Content::Table(_) => RawParameter::read(node, problems),
        _ => {
            let origin = node.origin.clone();
            let default = Scalar::read(node, problems)?;
            Some(RawParameter {
                default: Some(At::new(default, origin)),
                ..RawParameter::default()
            })
        }
    }
}

/// The declaration in a child's file on top of that in its parent's: what the child says holds, and
/// of a single value it says the default alone.
pub fn merge(parent: &mut Node, child: Node) {
    let as_table = |node: Node| match node.value {
        Content::Table(table) => table,
        _ => node::Table::from([(
            "default".to_owned(),
            Entry {
                key: node.origin.clone(),
                node,
            },
        )]),
    };
    let mut merged = as_table(std::mem::replace(
        parent,
        Node::new(Content::Wrong, child.origin.clone()),
    ));
    merged.extend(as_table(child));
    parent.value = Content::Table(merged);
}

impl RawParameter {
    /// The value: the caller's, else the default; `None` if there is neither, or if it is wrong.
    fn value(self, set: Option<&Set>, problems: &mut Diagnostics) -> Option<Content> {
        let kind = match (&self.r#type, &self.default) {
            (Some(kind), _) => kind.value,
            (None, Some(default)) => type_of(&default.value.0),
            (None, None) => Type::String,
        };
        // A default that is never used is checked all the same.
        let default = self.default.clone().map(|at| at.map(|scalar| scalar.0));
        let default = default.map(|value| self.checked(value, kind, problems));
        match set {
            Some(set) => {
                let value = set.value.clone().map(|text| read(kind, text));
                self.checked(value, kind, problems)
            }
            None => default?,
        }
    }

    /// The value, if it is of the type and one of the choices; else a problem.
    fn checked(
        &self,
        value: At<Content>,
        kind: Type,
        problems: &mut Diagnostics,
    ) -> Option<Content> {
        let mut wrong = |message: String, help: String| {
            problems.push(Diagnostic::new(Code::BadParameter, &value.origin, message).help(help));
            None
        };
        if !is_of(kind, &value) {
            let (what, sample) = words(kind);
            return wrong(
                format!("the parameter is {what}, and `{}` is none", value.value),
                format!("for example: {sample}"),
            );
        }
        let choices = self.choices.iter().flat_map(|list| &list.value.0);
        let choices: Vec<_> = choices.map(|at| &at.value.0).collect();
        if self.choices.is_some() && !choices.contains(&&value.value) {
            let words: Vec<_> = choices.iter().map(ToString::to_string).collect();
            return wrong(
                format!("`{}` is none of the choices", value.value),
                format!("one of: {}", words.join(", ")),
            );
        }
        Some(value.value)
    }
}

/// What the text of an option is for a type.
fn read(kind: Type, text: String) -> Content {
    match kind {
        Type::Integer | Type::Number | Type::Boolean => {
            Content::bare(&text).unwrap_or(Content::String(text))
        }
        _ => Content::String(text),
    }
}

fn type_of(value: &Content) -> Type {
    match value {
        Content::Integer(..) => Type::Integer,
        Content::Float(_) => Type::Number,
        Content::Boolean(_) => Type::Boolean,
        _ => Type::String,
    }
}

fn is_of(kind: Type, value: &Node) -> bool {
    match (kind, &value.value) {
        (Type::String, Content::String(text)) => !text.contains('\0'),
        (Type::Path, Content::String(text)) => text.starts_with('/') && !text.contains('\0'),
        (Type::Integer, Content::Integer(..))
        | (Type::Number, Content::Integer(..) | Content::Float(_))
        | (Type::Boolean, Content::Boolean(_)) => true,
        (Type::Size, _) => Size::read(value.clone(), &mut Diagnostics::default()).is_some(),
        (Type::Duration, _) => Duration::read(value.clone(), &mut Diagnostics::default()).is_some(),
        _ => false,
    }
}

/// What a value of the type is, and a sample.
fn words(kind: Type) -> (&'static str, &'static str) {
    match kind {
        Type::String => ("a string", "\"text\""),
        Type::Path => ("an absolute path", "\"/srv/data\""),
        Type::Integer => ("a whole number", "4"),
        Type::Number => ("a number", "0.5"),
        Type::Boolean => ("true or false", "true"),
        Type::Size => ("a size", "\"64M\""),
        Type::Duration => ("a duration", "\"10s\""),
    }
}

/// The type of the key `params` of a profile.
pub type Params = Map<Parameter>;
