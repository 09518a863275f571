//! The stable codes of diagnostics. A code is never used again for something else.

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal,)*) => {
        /// A stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// `SBX` and four digits.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// What it says of its documentation here: the whole text.
            const fn doc(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),*),)* }
            }
        }
    };
}

codes! {
    /// The profile cannot be read: not a file, too large, not UTF-8.
    Unreadable = "SBX0001",
    /// The text is not TOML.
    Syntax = "SBX0002",
    /// A key that this table does not have.
    UnknownKey = "SBX0003",
    /// A value of the wrong type or form.
    WrongValue = "SBX0004",
    /// A key that must be there is not.
    MissingKey = "SBX0005",
    /// A variable that does not exist, or an environment variable without a value.
    UnknownVariable = "SBX0006",
    /// Two settings that exclude each other.
    Conflict = "SBX0007",
    /// A path that is not absolute, or leads upwards.
    BadPath = "SBX0008",
    /// Ids that overlap, are empty or out of range, or that the map does not hold.
    BadIds = "SBX0009",
    /// A capability that does not exist.
    UnknownCapability = "SBX0010",
    /// A system call that does not exist on this architecture, or cannot be denied.
    BadSystemCall = "SBX0011",
    /// A setting that needs another one.
    Needs = "SBX0012",
    /// Two mounts on one target.
    DuplicateTarget = "SBX0013",
    /// A profile that extends itself, or too many that extend each other.
    ExtendsCycle = "SBX0060",
    /// A path under `remove` that names nothing in the profiles that are extended.
    NothingToRemove = "SBX0061",
    /// A parameter that does not exist, is declared wrongly, or has a value that it cannot have.
    BadParameter = "SBX0062",
    /// A parameter without a value.
    NoParameterValue = "SBX0063",
    /// What the profile asks for cannot be had on this machine.
    NotHere = "SBX0100",
    /// Something that the profile names is not there.
    NotFound = "SBX0101",
    /// A step of the set-up failed; the command did not start.
    StepFailed = "SBX0102",
    /// The output cannot be written.
    Output = "SBX0103",
    /// Less would be enforced on this machine than the profile asks for.
    NotEnforced = "SBX0107",
    /// What a line of the profile comes to on this machine.
    OnThisMachine = "SBX0108",
}

/// How bad a problem is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The profile is wrong: nothing runs under it.
    Error,
    /// The profile runs, and probably does not do what its author meant.
    Warning,
    /// Something that the author may like to know.
    Note,
}

impl Severity {
    /// The word, as messages and documents have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Code {
    /// How bad it is. A code has one severity, so that what is denied can be said in advance.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::NotEnforced => Severity::Warning,
            Self::OnThisMachine => Severity::Note,
            _ => Severity::Error,
        }
    }

    /// One line that says what it is: the first sentence of its documentation, which is also the
    /// title of its section in `docs/diagnostics.md`.
    #[must_use]
    pub fn title(self) -> &'static str {
        let doc = self.doc().trim();
        let end = doc.find(". ").unwrap_or(doc.len());
        doc.get(..end).unwrap_or(doc).trim_end_matches('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }

    #[test]
    fn a_title_is_one_sentence() {
        assert_eq!(Code::Syntax.title(), "The text is not TOML");
        for code in Code::ALL {
            let title = code.title();
            assert!(!title.is_empty() && !title.contains(". "), "{title}");
        }
    }
}
