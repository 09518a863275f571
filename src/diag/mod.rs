//! Diagnostics: what is wrong, where, why, and what to do about it.

mod code;
mod origin;

pub use code::{Code, Severity};
pub use origin::{At, Origin, Source, SourceId, Sources, Span};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt::Write as _;

/// One problem, with the places it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, by which the documentation lists it.
    pub code: Code,
    /// The sentence: what is wrong.
    pub message: String,
    /// Where; the first is the place itself, the others are what it contradicts.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

/// A place, and what to say beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub origin: Origin,
    /// The words under the underline; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A problem at a place.
    pub fn new(code: Code, origin: &Origin, message: impl Into<String>) -> Self {
        let label = Label {
            origin: origin.clone(),
            text: String::new(),
        };
        Self {
            code,
            message: message.into(),
            labels: vec![label],
            help: None,
        }
    }

    /// Adds the words under the underline of the first place.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn and(mut self, origin: &Origin, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            origin: origin.clone(),
            text: text.into(),
        });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The text for people, with the source lines underlined.
    #[must_use]
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let mut notes = Vec::new();
        let level = match self.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = level
            .primary_title(printable(&self.message))
            .id(self.code.as_str())
            .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
        for (index, label) in self.labels.iter().enumerate() {
            let Origin::File(source, span) = &label.origin else {
                let place = label.origin.display(sources).to_string();
                if index == 0 {
                    group = group.element(annotate_snippets::Origin::path(place));
                } else {
                    notes.push(if label.text.is_empty() {
                        place
                    } else {
                        format!("{place}: {}", label.text)
                    });
                }
                continue;
            };
            let Some(source) = sources.get(*source) else {
                continue;
            };
            let kind = if index == 0 {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let mut annotation = kind.span(span.clamped(source.text()));
            if !label.text.is_empty() {
                annotation = annotation.label(printable(&label.text));
            }
            group = group.element(
                Snippet::source(source.text())
                    .path(source.name())
                    .annotation(annotation),
            );
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

/// Everything that was found wrong, in the order of the file. Checks push here and go on.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one that refuses the profile.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.code.severity() == Severity::Error)
    }

    /// The problems, by place.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.0
            .sort_by_key(|d| d.labels.first().map(|l| l.origin.clone()));
        self.0
    }

    /// The text of all of them for people, separated by empty lines.
    #[must_use]
    pub fn render(self, sources: &Sources, color: bool) -> String {
        let mut text = String::new();
        for diagnostic in self.sorted() {
            let _ = writeln!(text, "{}\n", diagnostic.render(sources, color));
        }
        text
    }
}

/// The text with control characters escaped: paths and profile values may hold anything, and a
/// terminal would act on it.
#[must_use]
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().all(|c| !c.is_control() || c == '\n') {
        return text.into();
    }
    text.chars()
        .flat_map(|c| {
            let escaped: Box<dyn Iterator<Item = char>> = if c.is_control() && c != '\n' {
                Box::new(c.escape_default())
            } else {
                Box::new(std::iter::once(c))
            };
            escaped
        })
        .collect::<String>()
        .into()
}

/// The name in `known` that was probably meant, if one is close enough.
#[must_use]
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(wrong.len()) / 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a\\u{1b}[31mb\nc");
    }

    #[test]
    fn the_nearest_name_is_close() {
        assert_eq!(nearest("memroy", ["memory", "pids"]), Some("memory"));
        assert_eq!(
            nearest("read-only", ["read_only", "nosuid"]),
            Some("read_only")
        );
        assert_eq!(nearest("zebra", ["memory", "pids"]), None);
    }
}
