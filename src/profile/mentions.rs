//! Which of the caller's environment variables a text asks for: every `${env:NAME}` in it.
//!
//! Their values end up anywhere in a profile, in a path or in the contents of a file, so what a
//! profile permits includes them. They are read off the text because nothing in a checked profile
//! tells a value that was written from one that was taken from a variable.

use crate::diag::{At, Origin, Source, SourceId, Span};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The names, with the places of the strings that use them. What stands behind `$${`, and so is
/// not expanded, counts too: a name too many is refused, and a name too few would be told.
#[must_use]
pub fn of(source: &Source, id: SourceId) -> Vec<At<String>> {
    let mut found = Vec::new();
    let (table, _) = DeTable::parse_recoverable(source.text());
    for value in table.get_ref().values() {
        walk(value, id, &mut found);
    }
    found
}

fn walk(value: &Spanned<DeValue<'_>>, id: SourceId, found: &mut Vec<At<String>>) {
    match value.get_ref() {
        DeValue::String(text) => {
            let origin = Origin::File(id, Span::from(value.span()));
            for after in text.split("${env:").skip(1) {
                let name = after.split('}').next().unwrap_or_default();
                let name = name.split(":-").next().unwrap_or_default();
                found.push(At::new(name.to_owned(), origin.clone()));
            }
        }
        DeValue::Array(items) => items.iter().for_each(|item| walk(item, id, found)),
        DeValue::Table(table) => table.values().for_each(|item| walk(item, id, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    #[test]
    fn names_are_found_wherever_they_are() {
        let text = r#"
            a = "${HOME} ${env:A}/${env:B:-${env:C:-x}}"
            b = [{ c = "\u0024{env:D}" }]
            d.e = '$${env:E}'
            f = 1
        "#;
        let mut sources = Sources::default();
        let id = sources.add(Source::new("test.toml", text));
        let found = of(sources.get(id).unwrap(), id);
        let names: Vec<_> = found.iter().map(|name| name.value.as_str()).collect();
        assert_eq!(names, ["A", "B", "C", "D", "E"]);
    }
}
