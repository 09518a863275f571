//! Printing a merged profile: as TOML that says the same when it is loaded again, with the origin
//! of every value beside it, and as JSON.

use super::node::{Content, Node, Table};
use super::shape::{Field, Kind, Shape};
use crate::diag::{Origin, Sources};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How much is printed besides the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Plain,
    /// Origins, and as comments the defaults of what is not there.
    Origins,
}

/// The profile as TOML.
#[must_use]
pub fn toml(profile: &Table, shape: &'static Shape, sources: &Sources, detail: Detail) -> String {
    let mut printer = Printer {
        out: String::new(),
        sources,
        detail,
    };
    printer.table(profile, shape, "");
    printer.out
}

struct Printer<'s> {
    out: String,
    sources: &'s Sources,
    detail: Detail,
}

impl Printer<'_> {
    /// The keys of a table in the order of their declaration: single values first, since they would
    /// belong to a table below otherwise.
    fn table(&mut self, table: &Table, shape: &'static Shape, path: &str) {
        let (below, single): (Vec<_>, Vec<_>) = shape
            .fields
            .iter()
            .partition(|field| is_section(&field.kind));
        for field in single {
            match table.get(field.key) {
                Some(entry) => self.value(field.key, &entry.node),
                None => self.default(field),
            }
        }
        for field in below {
            let path = if path.is_empty() {
                field.key.to_owned()
            } else {
                format!("{path}.{}", field.key)
            };
            self.section(
                table.get(field.key).map(|entry| &entry.node),
                &field.kind,
                &path,
            );
        }
    }

    /// A table under a heading of its own, or a list of them.
    fn section(&mut self, node: Option<&Node>, kind: &'static Kind, path: &str) {
        match (kind, node.map(|node| &node.value)) {
            (Kind::Table(shape), Some(Content::Table(table))) => {
                // A table of nothing but tables needs no heading of its own.
                let single = |field: &&Field| !is_section(&field.kind);
                let is_printed = |field: &Field| {
                    let default = self.detail == Detail::Origins && field.default.is_some();
                    table.contains_key(field.key) || default
                };
                if table.is_empty() || shape.fields.iter().filter(single).any(is_printed) {
                    self.heading(&format!("[{path}]"), None);
                }
                self.table(table, shape, path);
            }
            (Kind::Table(shape), None) => {
                let defaults = shape.fields.iter().any(|field| field.default.is_some());
                if self.detail == Detail::Origins && defaults {
                    self.heading(&format!("# [{path}]"), None);
                    shape.fields.iter().for_each(|field| self.default(field));
                }
            }
            (Kind::List(Kind::Table(shape)), Some(Content::Array(items))) => {
                for item in items {
                    if let Content::Table(table) = &item.value {
                        self.heading(&format!("[[{path}]]"), Some(&item.origin));
                        self.table(table, shape, path);
                    }
                }
            }
            (Kind::Map(_), Some(Content::Table(table))) => {
                self.heading(&format!("[{path}]"), None);
                for (key, entry) in table {
                    self.value(&quoted_key(key), &entry.node);
                }
            }
            _ => {}
        }
    }

    fn heading(&mut self, text: &str, origin: Option<&Origin>) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(text);
        self.end(origin);
    }

    fn value(&mut self, key: &str, node: &Node) {
        let Content::Array(items) = &node.value else {
            let _ = write!(self.out, "{key} = {}", inline(node));
            return self.end(Some(&node.origin));
        };
        // The values of a list may come from several files.
        let lines = |item: &Node| self.line_of(&item.origin);
        let together = items
            .iter()
            .map(lines)
            .all(|line| line == self.line_of(&node.origin));
        if together || self.detail == Detail::Plain {
            let _ = write!(self.out, "{key} = {}", inline(node));
            return self.end(Some(&node.origin));
        }
        let _ = writeln!(self.out, "{key} = [");
        for item in items {
            let _ = write!(self.out, "    {},", inline(item));
            self.end(Some(&item.origin));
        }
        self.out.push_str("]\n");
    }

    fn default(&mut self, field: &Field) {
        if let (Detail::Origins, Some(default)) = (self.detail, field.default) {
            let _ = writeln!(self.out, "# {} = {default}  # default", field.key);
        }
    }

    fn line_of(&self, origin: &Origin) -> String {
        origin.display(self.sources).to_string()
    }

    /// Ends a line, with where it comes from.
    fn end(&mut self, origin: Option<&Origin>) {
        if let (Detail::Origins, Some(origin)) = (self.detail, origin) {
            let origin = self.line_of(origin);
            // The name of a file may hold anything, and a comment ends with its line.
            let _ = write!(self.out, "  # {}", origin.replace(['\n', '\r'], " "));
        }
        self.out.push('\n');
    }
}

/// Whether it is printed under a heading of its own.
fn is_section(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Table(_) | Kind::Map(_) | Kind::List(Kind::Table(_))
    )
}

/// A value in one line.
fn inline(node: &Node) -> String {
    match &node.value {
        Content::String(text) => quoted(&text.replace("${", "$${")),
        Content::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Content::Table(table) => {
            let entries: Vec<_> = table
                .iter()
                .map(|(key, entry)| format!("{} = {}", quoted_key(key), inline(&entry.node)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.into()
    } else {
        quoted(key)
    }
}

/// The profile as JSON: every single value as `{ "value", "origin" }`, defaults included.
#[must_use]
pub fn json(profile: &Table, shape: &'static Shape, sources: &Sources) -> Value {
    json!({ "version": 1, "profile": json_table(profile, shape, sources) })
}

fn json_table(table: &Table, shape: &'static Shape, sources: &Sources) -> Value {
    let entries = shape.fields.iter().filter_map(|field| {
        let value = match (&field.kind, table.get(field.key)) {
            (Kind::Table(below), entry) => {
                let nothing = Table::new();
                let table = match entry.map(|entry| &entry.node.value) {
                    Some(Content::Table(table)) => table,
                    _ => &nothing,
                };
                json_table(table, below, sources)
            }
            (kind, Some(entry)) => json_node(&entry.node, kind, sources),
            (_, None) => {
                let default = Content::value(field.default?)?;
                json!({ "value": plain(&default), "origin": { "kind": "default" } })
            }
        };
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        (!is_empty).then(|| (field.key.to_owned(), value))
    });
    Value::Object(entries.collect())
}

fn json_node(node: &Node, kind: &'static Kind, sources: &Sources) -> Value {
    match (kind, &node.value) {
        (Kind::List(Kind::Table(shape)), Content::Array(items)) => items
            .iter()
            .map(|item| match &item.value {
                Content::Table(table) => json_table(table, shape, sources),
                _ => Value::Null,
            })
            .collect(),
        (Kind::List(kind), Content::Array(items)) => items
            .iter()
            .map(|item| json_node(item, kind, sources))
            .collect(),
        (Kind::Map(kind), Content::Table(table)) => {
            let entries = table
                .iter()
                .map(|(key, entry)| (key.clone(), json_node(&entry.node, kind, sources)));
            Value::Object(entries.collect())
        }
        _ => json!({ "value": plain(&node.value), "origin": json_origin(&node.origin, sources) }),
    }
}

fn json_origin(origin: &Origin, sources: &Sources) -> Value {
    let place = match origin {
        Origin::File(id, span) => sources.get(*id).map(|source| (source, *span)),
        Origin::CommandLine | Origin::Recorded(_) => None,
        Origin::Default(_) => return json!({ "kind": "default" }),
    };
    match place {
        Some((source, span)) if !source.is_command_line() => {
            let at = source.position(span.start);
            json!({ "kind": "file", "file": source.name(), "line": at.line, "column": at.column })
        }
        _ => json!({ "kind": "command-line" }),
    }
}

/// A value without places.
pub(super) fn plain(content: &Content) -> Value {
    match content {
        Content::String(text) | Content::Datetime(text) => text.as_str().into(),
        Content::Integer(digits, radix) => match i64::from_str_radix(digits, *radix) {
            Ok(number) => number.into(),
            Err(_) => digits.as_str().into(),
        },
        Content::Float(number) => (*number).into(),
        Content::Boolean(truth) => (*truth).into(),
        Content::Array(items) => items.iter().map(|item| plain(&item.value)).collect(),
        Content::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, entry)| (key.clone(), plain(&entry.node.value)));
            Value::Object(entries.collect())
        }
        Content::Wrong => Value::Null,
    }
}
