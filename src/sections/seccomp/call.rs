//! The names of system calls, as syscalls(2) has them.

use super::presets::GROUPS;
use crate::diag::nearest;
use syscalls::Sysno;

#[cfg(target_arch = "x86_64")]
use syscalls::aarch64::Sysno as OtherSysno;
#[cfg(target_arch = "aarch64")]
use syscalls::x86_64::Sysno as OtherSysno;

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
        #[cfg(target_arch = "aarch64")]
        assert!(parse_call("open").unwrap_err().elsewhere);
    }
}
