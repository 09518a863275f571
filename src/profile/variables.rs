//! `${HOME}` and the few other variables that a string in a profile may use.
//!
//! The set is closed: a profile says the same on every machine but for these, and loading it runs
//! nothing. `$${` stands for a literal `${`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the variables stand for. Collected once, so that loading is a function of it.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `${HOME}`: the caller's home.
    pub home: Option<PathBuf>,
    /// `${PWD}`: the caller's working directory.
    pub working_directory: Option<PathBuf>,
    /// `${PROJECT}`: the folder of the project that the working directory belongs to.
    pub project: Option<PathBuf>,
    /// `${TMPDIR}`: the caller's folder for temporary files.
    pub temporary: PathBuf,
    /// `${UID}`: the caller's effective user id.
    pub uid: u32,
    /// `${GID}`: the caller's effective group id.
    pub gid: u32,
    /// `${env:NAME}`.
    pub environment: BTreeMap<String, String>,
}

/// Names as a person writes them, for suggestions.
pub const NAMES: &[&str] = &["HOME", "PWD", "PROJECT", "UID", "GID", "TMPDIR", "env:NAME"];

/// Why a string cannot be expanded; byte positions are relative to the string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// `${` without `}`.
    #[error("a variable that does not end: `${{` without `}}`")]
    Unclosed,
    /// A name that is not in the set.
    #[error("there is no variable `${{{0}}}`")]
    Unknown(String),
    /// A variable of the set that has no value here.
    #[error("`${{{0}}}` has no value here")]
    Unset(String),
}

impl Variables {
    /// Replaces every `${…}` in a string.
    pub fn expand(&self, text: &str) -> Result<String, VariableError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(literal) = before.strip_suffix('$') {
                out.push_str(literal);
                out.push_str("${");
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            out.push_str(before);
            let inner = after.get(2..).unwrap_or_default();
            let end = closing(inner).ok_or(VariableError::Unclosed)?;
            let (name, tail) = inner.split_at(end);
            out.push_str(&self.value(name)?);
            rest = tail.get(1..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<String, VariableError> {
        let unset = || VariableError::Unset(name.into());
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .and_then(|p| p.to_str())
                .map(String::from)
                .ok_or_else(unset)
        };
        match name {
            "HOME" => path(&self.home),
            "PWD" => path(&self.working_directory),
            "PROJECT" => path(&self.project),
            "TMPDIR" => self.temporary.to_str().map(String::from).ok_or_else(unset),
            "UID" => Ok(self.uid.to_string()),
            "GID" => Ok(self.gid.to_string()),
            _ => {
                let Some(env) = name.strip_prefix("env:") else {
                    return Err(VariableError::Unknown(name.into()));
                };
                let (key, default) = match env.split_once(":-") {
                    Some((key, default)) => (key, Some(default)),
                    None => (env, None),
                };
                match (self.environment.get(key).filter(|v| !v.is_empty()), default) {
                    (Some(value), _) => Ok(value.clone()),
                    (None, Some(default)) => self.expand(default),
                    (None, None) => Err(VariableError::Unset(name.into())),
                }
            }
        }
    }
}

/// Where the variable that starts here ends: defaults may hold variables themselves.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes.get(at - 1) == Some(&b'$') => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            home: Some("/home/ada".into()),
            environment: BTreeMap::from([
                ("A".into(), "1".into()),
                ("EMPTY".into(), String::new()),
            ]),
            uid: 7,
            ..Variables::default()
        }
    }

    #[test]
    fn variables_are_replaced() {
        let v = variables();
        let is = |text: &str, expected: &str| assert_eq!(v.expand(text).as_deref(), Ok(expected));
        is("plain $x {y}", "plain $x {y}");
        is("${HOME}/.cargo", "/home/ada/.cargo");
        is("${env:A}${UID}", "17");
        is("${env:B:-none}", "none");
        is("${env:EMPTY:-none}", "none");
        is("${env:B:-${HOME}/x}", "/home/ada/x");
        is("$${HOME}", "${HOME}");
    }

    #[test]
    fn wrong_variables_are_named() {
        let v = variables();
        assert_eq!(
            v.expand("${HOEM}"),
            Err(VariableError::Unknown("HOEM".into()))
        );
        assert_eq!(
            v.expand("${env:B}"),
            Err(VariableError::Unset("env:B".into()))
        );
        assert_eq!(v.expand("a${HOME"), Err(VariableError::Unclosed));
        assert_eq!(
            v.expand("${PROJECT}"),
            Err(VariableError::Unset("PROJECT".into()))
        );
    }
}
