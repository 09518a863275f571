//! The stable codes of diagnostics. A code is never used again for something else.

macro_rules! codes {
    ($($(#[doc = $doc:expr])* $name:ident = $code:literal,)*) => {
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
        }
    };
}

codes! {
    /// The profile cannot be read: missing, not a file, too large, not UTF-8.
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
    /// A test that asserts nothing.
    EmptyTest = "SBX0080",
    /// An address that cannot be connected to as it is written.
    BadAddress = "SBX0081",
    /// Two tests of one name.
    DuplicateTest = "SBX0082",
    /// What a test asserts does not hold.
    TestFailed = "SBX0083",
    /// What a test tried proves nothing.
    Unproven = "SBX0084",
    /// No test was run.
    NoTest = "SBX0085",
    /// What the profile asks for cannot be had on this machine.
    NotHere = "SBX0100",
    /// Something that the profile names is not there.
    NotFound = "SBX0101",
    /// A step of the set-up failed; the command did not start.
    StepFailed = "SBX0102",
    /// The output cannot be written.
    Output = "SBX0103",
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
}
