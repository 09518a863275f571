//! What checking has found, profile by profile.

use super::{Code, Diagnostic, Severity};
use std::fmt;

/// A profile that was checked, and everything that was found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How the caller named it.
    pub profile: String,
    /// Its file, or the name of the built-in one; none if there is no profile of that name.
    pub file: Option<String>,
    /// The problems, by place.
    pub problems: Vec<Diagnostic>,
    /// How many more there are ([`KEPT`](super::KEPT)).
    pub omitted: usize,
}

/// How many problems there are, of which kind, and in how many profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The errors.
    pub errors: usize,
    /// The warnings.
    pub warnings: usize,
    /// The notes.
    pub notes: usize,
    /// The profiles with a problem.
    pub affected: usize,
    /// All profiles.
    pub profiles: usize,
    /// The problems that are not among those above.
    pub omitted: usize,
}

impl Counts {
    /// Counts.
    #[must_use]
    pub fn of(checked: &[Checked]) -> Self {
        let codes = || checked.iter().flat_map(|c| &c.problems).map(|p| p.code);
        let count = |severity| {
            codes()
                .map(Code::severity)
                .filter(|s| *s == severity)
                .count()
        };
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            affected: checked.iter().filter(|c| !c.problems.is_empty()).count(),
            profiles: checked.len(),
            omitted: checked.iter().map(|c| c.omitted).sum(),
        }
    }

    /// The problems that are at least as bad as that.
    #[must_use]
    pub const fn at_least(&self, severity: Severity) -> usize {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.errors + self.warnings,
            Severity::Note => self.errors + self.warnings + self.notes,
        }
    }
}

/// `3 errors and 1 warning in 2 of 5 profiles`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let parts: Vec<_> = [
            (self.errors, Severity::Error),
            (self.warnings, Severity::Warning),
            (self.notes, Severity::Note),
        ]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, severity)| format!("{n} {}{}", severity.word(), plural(*n)))
        .collect();
        match &parts[..] {
            [] => f.write_str("no problems")?,
            [all @ .., last] if !all.is_empty() => write!(f, "{} and {last}", all.join(", "))?,
            all => f.write_str(&all.concat())?,
        }
        if self.affected > 0 && self.affected < self.profiles {
            write!(f, " in {} of {} profiles", self.affected, self.profiles)?;
        } else {
            write!(f, " in {} profile{}", self.profiles, plural(self.profiles))?;
        }
        if self.omitted > 0 {
            write!(f, ", and {} more that are not shown", self.omitted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_words() {
        let said = |errors, warnings, notes, affected, profiles| {
            let counts = Counts {
                errors,
                warnings,
                notes,
                affected,
                profiles,
                omitted: 0,
            };
            counts.to_string()
        };
        assert_eq!(said(1, 0, 0, 1, 1), "1 error in 1 profile");
        assert_eq!(
            said(2, 1, 0, 2, 5),
            "2 errors and 1 warning in 2 of 5 profiles"
        );
        assert_eq!(
            said(2, 3, 1, 2, 2),
            "2 errors, 3 warnings and 1 note in 2 profiles"
        );
        assert_eq!(said(0, 0, 0, 0, 2), "no problems in 2 profiles");
        let many = Counts {
            errors: 10_000,
            affected: 1,
            profiles: 1,
            omitted: 7,
            ..Counts::default()
        };
        assert_eq!(
            many.to_string(),
            "10000 errors in 1 profile, and 7 more that are not shown"
        );
    }
}
