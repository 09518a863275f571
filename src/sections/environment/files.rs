//! `files`: variables of files that are read when a run is planned.
//!
//! A command may have written such a file in an earlier run, under another profile than the one that reads it
//! now. So it can say what a program is told, and not which code a program runs: that is for the profile.

use super::{Environment, matches};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::Host;
use crate::host::named::Refused;
use crate::plan::Draft;
use crate::profile::table::List;
use crate::profile::variables::Variables;
use crate::review::{Area, Extent, Grant};
use crate::sections::{Profile, host_path, wanted};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The most bytes of a file that are read.
const LONGEST: u64 = 256 << 10;

/// The most files.
const MOST: usize = 64;

/// A file that is named, and whether it may be missing.
#[derive(Clone, Debug)]
pub(super) struct Named {
    path: PathBuf,
    optional: bool,
}

/// What a file says of a variable.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) value: String,
    /// The file and the number of the line.
    place: (PathBuf, usize),
    /// The line of the profile that names the file.
    pub(super) origin: Origin,
}

pub(super) fn check(
    raw: Option<At<List<wanted::Item>>>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Vec<At<Named>> {
    let Some(raw) = raw else { return Vec::new() };
    let named = wanted::names(raw.value);
    if let Some(one) = named.get(MOST) {
        let message = format!("more than {MOST} files of variables");
        problems.push(
            Diagnostic::new(Code::WrongValue, &one.origin, message)
                .help("put what they say into fewer files"),
        );
    }
    let path = |At { value, origin }: At<wanted::Wanted>| {
        let text = At::new(value.name, origin);
        let path = host_path(&text, variables, problems)?;
        let optional = value.optional;
        Some(At::new(Named { path, optional }, text.origin))
    };
    named.into_iter().take(MOST).filter_map(path).collect()
}

/// The command is told what is in a file of the host.
pub(super) fn grant(At { value, origin }: &At<Named>) -> Grant {
    let path = value.path.display().to_string();
    let words = format!("be told the variables that {path} sets");
    let key = format!("environment:file:{path}");
    Grant::new(Area::Environment, key, Extent::Rank(1), words, origin).share(1_000)
}

impl Environment {
    /// The same with what the files say on this machine, and what is wrong with them; `None` where none is named.
    #[must_use]
    pub fn read(&self, host: &Host) -> Option<(Self, Vec<Diagnostic>)> {
        if self.files.is_empty() {
            return None;
        }
        let mut said = BTreeMap::new();
        let mut problems = Vec::new();
        let mut refuse = |origin: &Origin, message: String, help: &str| {
            problems.push(Diagnostic::new(Code::NotHere, origin, message).help(help));
        };
        for At { value, origin } in &self.files {
            let shown = value.path.display();
            let text = match host.named_text(&value.path, LONGEST) {
                Ok(text) => text,
                Err(Refused::Missing) if value.optional => continue,
                Err(Refused::Missing) => {
                    let help =
                        "make it, correct the path, or write { name = \"…\", optional = true }";
                    refuse(origin, format!("there is no {shown}"), help);
                    continue;
                }
                Err(Refused::For(why, help)) => {
                    refuse(origin, format!("{shown} {why}"), help);
                    continue;
                }
            };
            for (number, line) in (1..).zip(text.lines()) {
                // What a line says may be a secret: it is not shown.
                match parse(line) {
                    Ok(None) => {}
                    Err(why) => {
                        let message = format!("line {number} of {shown} {why}");
                        refuse(origin, message, "write NAME=value, or `#` in front of it");
                    }
                    Ok(Some((name, _))) if decides_code(name) && !self.overrides(name) => {
                        let message = format!(
                            "line {number} of {shown} sets {name}, which decides which code a program runs"
                        );
                        let help = "write it in the profile, under `set` of [environment], or take it out of the file";
                        refuse(origin, message, help);
                    }
                    Ok(Some((name, text))) => {
                        let one = Said {
                            value: text.to_owned(),
                            place: (value.path.clone(), number),
                            origin: origin.clone(),
                        };
                        said.insert(name.to_owned(), one);
                    }
                }
            }
        }
        let read = Self {
            said,
            ..self.clone()
        };
        Some((read, problems))
    }

    /// The same for a plan, which is refused where a file says what it cannot say.
    #[must_use]
    pub fn on_this_machine(&self, draft: &mut Draft<'_>) -> Option<Self> {
        let (read, problems) = self.read(draft.host)?;
        for problem in problems {
            draft.problem(problem);
        }
        Some(read)
    }

    /// Which line of which file a variable has its value from, if from one.
    #[must_use]
    pub fn said_by(&self, name: &str, profile: &Profile) -> Option<String> {
        let said = self.said.get(name)?;
        if self.set.contains_key(name) || !self.variables(profile).contains_key(name) {
            return None;
        }
        let (path, line) = &said.place;
        Some(format!("{}:{line}", path.display()))
    }

    /// Whether the profile itself sets or removes a variable, whatever a file says of it.
    fn overrides(&self, name: &str) -> bool {
        let mut removed = self.unset.iter();
        self.set.contains_key(name) || removed.any(|unset| matches(&unset.value, name))
    }
}

/// The name and the value of a line; `None` for one that says nothing, and why it is no line of a file of variables.
fn parse(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or("has no `=`")?;
    let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(named) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err("has no name of a variable in front of its `=`");
    }
    if value.contains('\0') {
        return Err("holds a NUL");
    }
    let value = value.trim_start();
    let within = |mark: char| value.strip_prefix(mark).map(|rest| rest.strip_suffix(mark));
    match within('"').or_else(|| within('\'')) {
        None => Ok(Some((name, value))),
        Some(Some(inner)) => Ok(Some((name, inner))),
        Some(None) => Err("begins a quotation that does not end with it"),
    }
}

/// Whether a variable makes a loader or a shell run what its value names (ld.so(8), bash(1)). Interpreters of
/// other languages have their own, which nobody can list.
fn decides_code(name: &str) -> bool {
    const NAMES: &[&str] = &["PATH", "BASH_ENV", "ENV", "GCONV_PATH", "GLIBC_TUNABLES"];
    name.starts_with("LD_") || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, name, value) in [
            ("A=1", "A", "1"),
            ("A=", "A", ""),
            ("A=b=c # d", "A", "b=c # d"),
            ("  A=\"x y\"  ", "A", "x y"),
            ("A=''", "A", ""),
            ("A='$HOME\"'", "A", "$HOME\""),
            ("A= b", "A", "b"),
        ] {
            assert_eq!(parse(line), Ok(Some((name, value))), "{line}");
        }
        for nothing in ["", "  ", "# A=1", "\t#"] {
            assert_eq!(parse(nothing), Ok(None));
        }
        for wrong in [
            "A",
            "=1",
            "1A=2",
            "export A=1",
            "A-B=1",
            "A=\"b",
            "A='",
            "A=\0",
            "ä=1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_decides_code() {
        for name in ["PATH", "LD_PRELOAD", "LD_", "BASH_ENV"] {
            assert!(decides_code(name), "{name}");
        }
        for name in ["PATHS", "LDFLAGS", "HOME", "path"] {
            assert!(!decides_code(name), "{name}");
        }
    }
}
