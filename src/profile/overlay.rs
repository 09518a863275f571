//! What the command line says on top of the file: `--set jobs=4`, `--limits.memory 2G`.
//!
//! The options become a source of their own, so that a wrong one is underlined as a wrong line of a
//! file is, and a value that holds because of one says so.

use super::node::{Content, Entry, Node, Table};
use super::shape::Field;
use crate::diag::{At, Origin, Source, SourceId, Sources, Span};

/// The options that change what a profile says.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// The options, as one line.
    text: String,
    sets: Vec<(String, String, Span)>,
    values: Vec<(String, Content, Span)>,
}

/// A value for a parameter.
#[derive(Clone, Debug)]
pub struct Set {
    /// The parameter.
    pub name: String,
    /// The text of its value.
    pub value: At<String>,
}

impl Overlay {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds `--set NAME=VALUE`.
    pub fn set(&mut self, name: &str, value: &str) {
        let span = self.write(&format!("--set {name}="), value);
        self.sets.push((name.into(), value.into(), span));
    }

    /// Adds `--PATH TEXT` for a key of the profile, `limits.memory` for instance.
    pub fn value(&mut self, path: &str, field: &Field, text: &str) {
        let span = self.write(&format!("--{path} "), text);
        let content = field.kind.content(text);
        self.values.push((path.into(), content, span));
    }

    /// Adds an option that stands for a value of a key.
    pub fn short(&mut self, option: &str, path: &str, field: &Field, value: &str) {
        let span = self.write("", option);
        self.values
            .push((path.into(), field.kind.content(value), span));
    }

    /// Adds words to the line; returns where the value stands.
    fn write(&mut self, option: &str, value: &str) -> Span {
        if !self.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(option);
        let start = self.text.len();
        self.text.push_str(value);
        Span::from(start..self.text.len())
    }

    /// The values for parameters, and the rest as a profile that lies on top of all others.
    #[must_use]
    pub fn placed(&self, sources: &mut Sources) -> (Vec<Set>, Table) {
        if self.is_empty() {
            return (Vec::new(), Table::new());
        }
        let id = sources.add(Source::command_line(self.text.clone()));
        let sets = self.sets.iter().map(|(name, value, span)| Set {
            name: name.clone(),
            value: At::new(value.clone(), Origin::File(id, *span)),
        });
        let mut table = Table::new();
        for (path, content, span) in &self.values {
            put(&mut table, path, content, id, *span);
        }
        (sets.collect(), table)
    }
}

/// Puts a value under a path, and makes the tables on the way.
fn put(table: &mut Table, path: &str, content: &Content, id: SourceId, span: Span) {
    let origin = Origin::File(id, span);
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let Some(rest) = rest else {
        let node = Node::new(content.clone(), origin.clone());
        table.insert(first.into(), Entry { key: origin, node });
        return;
    };
    let entry = table.entry(first.into()).or_insert_with(|| Entry {
        key: origin.clone(),
        node: Node::new(Content::Table(Table::new()), origin),
    });
    if let Content::Table(below) = &mut entry.node.value {
        put(below, rest, content, id, span);
    }
}
