//! The JSON Schema of the language, for editors and validators.

use super::node::Content;
use super::shape::{Field, Kind, Shape};
use super::show::plain;
use serde_json::{Map, Value, json};

/// What a string must hold to be replaced before it is read: whatever its key takes, a variable or
/// a parameter may stand for it.
const VARIABLE: &str = r"\$\{[^}]+\}";

/// The schema, in the draft that editors of TOML know best.
#[must_use]
pub fn schema(shape: &'static Shape) -> Value {
    let mut schema = table(shape);
    schema.insert(
        "$schema".into(),
        "http://json-schema.org/draft-07/schema#".into(),
    );
    schema.insert("title".into(), "A profile of sandbox".into());
    Value::Object(schema)
}

fn table(shape: &'static Shape) -> Map<String, Value> {
    let properties: Map<_, _> = shape
        .fields
        .iter()
        .map(|field| (field.key.to_owned(), property(field)))
        .collect();
    let required: Vec<_> = shape
        .fields
        .iter()
        .filter(|f| f.required.is_some())
        .map(|f| f.key)
        .collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("description".into(), text(shape.doc).into());
    schema.insert("properties".into(), Value::Object(properties));
    schema.insert("additionalProperties".into(), false.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema
}

fn property(field: &'static Field) -> Value {
    let mut schema = kind(&field.kind);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), text(field.doc).into());
        if let Some(default) = field.default.and_then(Content::value) {
            schema.insert("default".into(), plain(&default));
        }
    }
    schema
}

fn kind(kind: &'static Kind) -> Value {
    match kind {
        Kind::Table(shape) => Value::Object(table(shape)),
        Kind::List(items) => json!({ "type": "array", "items": self::kind(items) }),
        Kind::Map(values) => {
            json!({ "type": "object", "additionalProperties": self::kind(values) })
        }
        Kind::Text { form: "", .. } => json!({ "type": "string" }),
        single => {
            let mut choices = Vec::new();
            alternatives(single, &mut choices);
            choices.push(json!({ "type": "string", "pattern": VARIABLE }));
            json!({ "anyOf": choices })
        }
    }
}

/// Every form that a value can have.
fn alternatives(kind: &'static Kind, found: &mut Vec<Value>) {
    match kind {
        Kind::Boolean => found.push(json!({ "type": "boolean" })),
        Kind::Integer(least, most) => {
            found.push(json!({ "type": "integer", "minimum": least, "maximum": most }));
        }
        Kind::Number(least, most) => {
            found.push(json!({ "type": "number", "minimum": least, "maximum": most }));
        }
        Kind::Text { what, form } => {
            found.push(json!({ "type": "string", "pattern": form, "description": what }));
        }
        Kind::Choice(words) => found.extend(
            words
                .iter()
                .map(|word| json!({ "const": word.word, "description": text(word.doc) })),
        ),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| alternatives(kind, found)),
        Kind::List(_) | Kind::Map(_) | Kind::Table(_) => found.push(self::kind(kind)),
    }
}

/// The lines of a documentation as running text, without the samples.
pub(super) fn text(doc: &[&str]) -> String {
    let mut out = String::new();
    for line in prose(doc) {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push(' ');
        }
        out.push_str(line);
    }
    out
}

/// The lines that are no sample.
fn prose<'d>(doc: &'d [&'d str]) -> impl Iterator<Item = &'d str> {
    let mut in_sample = false;
    doc.iter().map(|line| line.trim()).filter(move |line| {
        let fence = line.starts_with("```");
        in_sample ^= fence;
        !fence && !in_sample && !line.is_empty()
    })
}
