//! The names of system calls, as syscalls(2) has them, and what a number means.

use super::compile::{NATIVE, X32_BIT};
use super::foreign::{ABI, Meaning, meaning};
use super::presets::GROUPS;
use crate::diag::nearest;
use std::fmt;
use syscalls::Sysno;
pub use syscalls::x86::Sysno as I386;

#[cfg(target_arch = "x86_64")]
use syscalls::aarch64::Sysno as OtherSysno;
#[cfg(target_arch = "aarch64")]
use syscalls::x86_64::Sysno as OtherSysno;

/// A call of either ABI. In lists of names, a foreign one is a name that the native ABI has not: what both have
/// is meant of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// One of the architecture that programs are made for.
    Native(Sysno),
    /// One of the machine's other ABI.
    Foreign(I386),
}

impl From<Sysno> for Call {
    fn from(call: Sysno) -> Self {
        Self::Native(call)
    }
}

impl From<I386> for Call {
    fn from(call: I386) -> Self {
        Self::Foreign(call)
    }
}

impl Call {
    /// Its name in its own ABI.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Native(call) => call.name(),
            // A word of Rust, which the table writes in another way.
            Self::Foreign(I386::r#break) => "break",
            Self::Foreign(call) => call.name(),
        }
    }

    /// The native call, if it is one.
    #[must_use]
    pub const fn native(self) -> Option<Sysno> {
        match self {
            Self::Native(call) => Some(call),
            Self::Foreign(_) => None,
        }
    }
}

/// As people are told of it: a foreign call with its ABI, `i386 mount`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, ABI) {
            (Self::Foreign(_), Some(abi)) => write!(f, "{} {}", abi.name, self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// What a number means that somebody called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A call that is known here.
    Known(Call),
    /// One that the table of its ABI does not know; of the other ABI, if `foreign`.
    Unlisted {
        /// Whether it is one of the other ABI.
        foreign: bool,
    },
    /// One of an ABI that nothing here knows, such as x32.
    Elsewhere,
}

impl Made {
    /// By the number and `AUDIT_ARCH_*`.
    #[must_use]
    pub fn of(number: u32, architecture: u32) -> Self {
        let at = number as usize;
        let (call, foreign) = match ABI {
            _ if architecture == NATIVE.0 && number >= X32_BIT => return Self::Elsewhere,
            _ if architecture == NATIVE.0 => (Sysno::new(at).map(Call::Native), false),
            Some(abi) if architecture == abi.architecture => {
                (I386::new(at).map(Call::Foreign), true)
            }
            _ => return Self::Elsewhere,
        };
        call.map_or(Self::Unlisted { foreign }, Self::Known)
    }
}

/// The call of the other ABI with a name that the native one has not.
#[must_use]
pub fn parse_foreign(name: &str) -> Option<I386> {
    ABI?;
    name.parse().ok().filter(|_| parse_call(name).is_err())
}

/// A name that is no system call of this architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown system call `{name}`{}", hint(*suggestion))]
pub struct UnknownCall {
    /// What was written.
    pub name: String,
    /// The nearest name there is, unless none is near.
    pub suggestion: Option<&'static str>,
    /// Whether the other supported architecture has a call of this name. A profile that is shared between
    /// machines may name it: here the call cannot be made, so there is nothing to permit or refuse.
    pub elsewhere: bool,
    /// The native call that does the same, where the machine's other ABI has one of this name.
    pub native: Option<Sysno>,
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

/// The system call of that name.
///
/// # Errors
///
/// [`UnknownCall`], with the nearest name, if this architecture has no such call.
pub fn parse_call(name: &str) -> Result<Sysno, UnknownCall> {
    // One call that headers and tables name differently on the two architectures.
    const FSTATAT: [&str; 2] = ["fstatat", "newfstatat"];
    let spellings = if FSTATAT.contains(&name) {
        FSTATAT
    } else {
        [name, name]
    };
    spellings
        .iter()
        .find_map(|spelling| spelling.parse().ok())
        .ok_or_else(|| UnknownCall {
            name: name.to_owned(),
            suggestion: nearest(name, known()),
            elsewhere: name.parse::<OtherSysno>().is_ok(),
            native: ABI
                .and_then(|_| name.parse().ok())
                .and_then(|call| match meaning(call) {
                    Meaning::As(native, _) => Some(native),
                    Meaning::Any(_) | Meaning::Nothing => None,
                }),
        })
}

/// The names that can be meant.
fn known() -> impl Iterator<Item = &'static str> {
    let calls = GROUPS.iter().flat_map(|group| group.calls);
    calls.map(Sysno::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_with_a_suggestion() {
        assert_eq!(parse_call("openat"), Ok(Sysno::openat));
        assert_eq!(parse_call("newfstatat"), parse_call("fstatat"));
        assert!(parse_call("fstatat").is_ok());
        let unknown = parse_call("umonut2").unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "unknown system call `umonut2`, did you mean `umount2`?"
        );
        assert_eq!(parse_call("xyzzy").unwrap_err().suggestion, None);
        // Nothing is compared with what is as long as no name is: this would take minutes.
        let long = "umount".repeat(80_000);
        assert_eq!(parse_call(&long).unwrap_err().suggestion, None);
        #[cfg(target_arch = "x86_64")]
        assert!(parse_call("futex_time64").unwrap_err().elsewhere);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(parse_call("mmap2").unwrap_err().native, Some(Sysno::mmap));
        #[cfg(target_arch = "aarch64")]
        assert!(parse_call("open").unwrap_err().elsewhere);
    }
}
