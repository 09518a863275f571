//! Diagnostics for people: the sentence, the lines underlined, what to do.

use super::{Diagnostic, Diagnostics, Label, Origin, Severity, Source, Sources, Span, printable};
use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Renderer, Snippet};
use std::fmt::Write as _;
use std::ops::Range;

/// How many bytes of a profile are shown at one place. Beyond it only the place is named: a wrong
/// value in a line of a megabyte is not found by looking at that line.
const SHOWN: usize = 4096;

impl Diagnostic {
    /// The text for people, with the source lines underlined.
    #[must_use]
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let level = match self.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut notes = Vec::new();
        let mut group = level
            .primary_title(printable(&self.message))
            .id(self.code.as_str())
            .elements(Vec::<Element<'_>>::new());
        for (index, label) in self.labels.iter().enumerate() {
            let kind = if index == 0 {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            if let Some(snippet) = snippet(label, kind, sources) {
                group = group.element(snippet);
                continue;
            }
            let place = place(&label.origin, sources);
            if index == 0 {
                group = group.element(place);
                notes.extend((!label.text.is_empty()).then(|| label.text.clone()));
            } else {
                let place = label.origin.display(sources);
                notes.push(match label.text.as_str() {
                    "" => place.to_string(),
                    text => format!("{place}: {text}"),
                });
            }
        }
        for note in notes {
            group = group.element(Level::NOTE.message(printable(&note).into_owned()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

impl Diagnostics {
    /// The text of all of them for people, separated by empty lines.
    #[must_use]
    pub fn render(self, sources: &Sources, color: bool) -> String {
        render(&self.sorted(), sources, color)
    }
}

/// The text of several for people, separated by empty lines.
#[must_use]
pub fn render(problems: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut text = String::new();
    for problem in problems {
        let _ = writeln!(text, "{}\n", problem.render(sources, color));
    }
    text
}

/// A place with its lines, if they can be shown.
fn snippet<'s>(
    label: &'s Label,
    kind: AnnotationKind,
    sources: &'s Sources,
) -> Option<Snippet<'s, Annotation<'s>>> {
    let Origin::File(id, span) = &label.origin else {
        return None;
    };
    let source = sources.get(*id)?;
    // Only the lines concerned: to hand over the whole text for each of many problems would take
    // time in proportion to their product.
    let (line, shown, span) = excerpt(source, *span)?;
    let mut annotation = kind.span(span);
    if !label.text.is_empty() {
        annotation = annotation.label(printable(&label.text));
    }
    Some(
        Snippet::source(shown)
            .line_start(line)
            .path(printable(source.name()))
            .annotation(annotation),
    )
}

/// The lines of a span: the number of the first, their text, and the span within that text. If they
/// are too many, the first alone.
fn excerpt(source: &Source, span: Span) -> Option<(usize, &str, Range<usize>)> {
    let region = source.region(span);
    let first = region.start.line;
    let whole = source.line_bytes(first, region.end.line);
    let (lines, end) = if whole.len() <= SHOWN {
        (whole, region.bytes.end)
    } else {
        let line = source.line_bytes(first, first);
        let end = region.bytes.end.min(line.end);
        (line, end)
    };
    if lines.len() > SHOWN {
        return None;
    }
    let within = region.bytes.start - lines.start..end - lines.start;
    Some((first, source.text().get(lines)?, within))
}

/// A place without its lines.
fn place<'s>(origin: &Origin, sources: &'s Sources) -> annotate_snippets::Origin<'s> {
    match origin.region(sources) {
        Some((source, region)) => annotate_snippets::Origin::path(printable(source.name()))
            .line(region.start.line)
            .char_column(region.start.column),
        None => annotate_snippets::Origin::path(origin.display(sources).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn rendered(text: &str, span: Range<usize>, code: Code) -> String {
        let mut sources = Sources::default();
        let id = sources.add(Source::new("a.toml", text));
        Diagnostic::new(code, &Origin::File(id, span.into()), "what")
            .here("here")
            .render(&sources, false)
    }

    #[test]
    fn the_level_is_that_of_the_code() {
        insta::assert_snapshot!(rendered("a = 1\n", 0..1, Code::NotEnforced), @r"
        warning[SBX0107]: what
         --> a.toml:1:1
          |
        1 | a = 1
          | ^ here
        ");
        let note = rendered("a = 1\n", 0..1, Code::OnThisMachine);
        assert!(note.starts_with("note[SBX0108]: what"), "{note}");
    }

    #[test]
    fn a_line_in_the_middle_keeps_its_number() {
        insta::assert_snapshot!(rendered("a = 1\nb = 2\nc = [\n3,\n4]\n", 10..20, Code::Syntax), @"
        error[SBX0002]: what
         --> a.toml:2:5
          |
        2 |   b = 2
          |  _____^
        3 | | c = [
        4 | | 3,
          | |__^ here
        ");
    }

    #[test]
    fn many_lines_are_cut_to_the_first_and_a_long_one_to_its_place() {
        let lines = format!("a = [\n{}]\n", "1,\n".repeat(SHOWN));
        insta::assert_snapshot!(rendered(&lines, 4..lines.len(), Code::Syntax), @"
        error[SBX0002]: what
         --> a.toml:1:5
          |
        1 | a = [
          |     ^ here
        ");
        let line = format!("# one\n{}x", "é".repeat(SHOWN));
        insta::assert_snapshot!(rendered(&line, line.len() - 1..line.len(), Code::Syntax), @"
        error[SBX0002]: what
        --> a.toml:2:4097
         = note: here
        ");
    }
}
