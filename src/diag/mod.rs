//! Diagnostics: what is wrong, where, why, and what to do about it.

mod checked;
mod code;
pub mod github;
pub mod json;
mod origin;
pub mod sarif;
pub mod text;

pub use checked::{Checked, Counts};
pub use code::{Code, Severity};
pub use origin::{At, Origin, Position, Region, Source, SourceId, Sources, Span};

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
}

/// Everything that was found wrong. Checks push here and go on.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    omitted: usize,
    errors: bool,
}

/// How many problems of one profile are kept; more are only counted. No person reads as many, and a
/// file of a megabyte could hold a million, each a few hundred bytes here.
pub const KEPT: usize = 10_000;

impl Diagnostics {
    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors |= diagnostic.code.severity() == Severity::Error;
        if self.kept.len() < KEPT {
            self.kept.push(diagnostic);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds problems.
    pub fn extend(&mut self, others: Self) {
        self.errors |= others.errors;
        self.omitted += others.omitted;
        others.kept.into_iter().for_each(|d| self.push(d));
    }

    /// How many there are, kept or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len() + self.omitted
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether one of them is an error, and not only a warning or a note.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors
    }

    /// How many were not kept.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The problems, by place.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.kept
            .sort_by_key(|d| d.labels.first().map(|l| l.origin.clone()));
        self.kept
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
        // The distance is at least the difference in length: what a hostile profile makes long is
        // not compared.
        .filter(|name| name.len().abs_diff(wrong.len()) <= name.len().max(wrong.len()) / 3)
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
    fn what_is_not_kept_is_counted() {
        let warning = Diagnostic::new(Code::NotEnforced, &Origin::CommandLine, "");
        let error = Diagnostic::new(Code::Syntax, &Origin::CommandLine, "");
        let mut problems = Diagnostics::default();
        (0..KEPT).for_each(|_| problems.push(warning.clone()));
        assert!(!problems.has_errors() && problems.omitted() == 0);
        problems.push(error);
        assert!(problems.has_errors());
        problems.extend(problems.clone());
        assert_eq!(problems.omitted(), KEPT + 2);
        assert_eq!(problems.sorted().len(), KEPT);
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
