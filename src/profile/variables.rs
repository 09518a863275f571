//! `${HOME}` and the few other variables that a string in a profile may use.
//!
//! The set is closed: a profile says the same on every machine but for these and its own parameters
//! ([`super::parameters`]), and loading it runs nothing. `$${` stands for a literal `${`.

use super::node::{Content, Node, Table};
use super::parameters::Parameters;
use crate::diag::{Code, Diagnostic, Diagnostics, Origin, nearest};
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

/// How deep variables may stand in the defaults of others.
const DEEPEST: usize = 16;

/// Why a string cannot be expanded; byte positions are relative to the string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// `${` without `}`.
    #[error("a variable that does not end: `${{` without `}}`")]
    Unclosed,
    /// A name that is not in the set.
    #[error("there is no variable `${{{0}}}`")]
    Unknown(String),
    /// Defaults within defaults, beyond what anybody means.
    #[error("more than {DEEPEST} variables within each other")]
    TooDeep,
    /// A variable of the set that has no value here.
    #[error("`${{{0}}}` has no value here")]
    Unset(String),
    /// A parameter without a value, and where it is declared.
    #[error("the parameter `{0}` has no value")]
    NoValue(String, Origin),
    /// A parameter whose own value is wrong, which was said already.
    #[error("the parameter `{0}` has a wrong value")]
    WrongValue(String),
}

impl Variables {
    /// Replaces every `${…}` in the strings of a table. What cannot be is a problem at its place.
    pub fn expand_table(
        &self,
        table: &mut Table,
        parameters: &Parameters,
        problems: &mut Diagnostics,
    ) {
        for entry in table.values_mut() {
            self.expand_node(&mut entry.node, parameters, problems);
        }
    }

    fn expand_node(&self, node: &mut Node, parameters: &Parameters, problems: &mut Diagnostics) {
        match &mut node.value {
            Content::Table(table) => self.expand_table(table, parameters, problems),
            Content::Array(items) => {
                for item in items {
                    self.expand_node(item, parameters, problems);
                }
            }
            Content::String(text) if text.contains("${") => {
                node.value = match self.expand(text, parameters) {
                    Ok(expanded) => expanded,
                    Err(error) => {
                        if let Some(problem) = error.diagnostic(&node.origin, parameters) {
                            problems.push(problem);
                        }
                        Content::Wrong
                    }
                };
            }
            _ => {}
        }
    }

    /// Replaces every `${…}` in a string. A string that is a parameter and nothing else becomes
    /// the parameter's value, which may be a number.
    pub fn expand(&self, text: &str, parameters: &Parameters) -> Result<Content, VariableError> {
        let whole = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        if let Some(value) = whole.and_then(|name| parameters.value(name)) {
            return value;
        }
        self.expand_text(text, parameters, 0).map(Content::String)
    }

    fn expand_text(
        &self,
        text: &str,
        parameters: &Parameters,
        depth: usize,
    ) -> Result<String, VariableError> {
        if depth > DEEPEST {
            return Err(VariableError::TooDeep);
        }
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
            match parameters.value(name) {
                Some(value) => out.push_str(&value?.to_string()),
                None => out.push_str(&self.value(name, parameters, depth)?),
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(
        &self,
        name: &str,
        parameters: &Parameters,
        depth: usize,
    ) -> Result<String, VariableError> {
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
                    (None, Some(default)) => self.expand_text(default, parameters, depth + 1),
                    (None, None) => Err(VariableError::Unset(name.into())),
                }
            }
        }
    }
}

impl VariableError {
    /// The problem at the place of the string; `None` where it was said already.
    fn diagnostic(&self, origin: &Origin, parameters: &Parameters) -> Option<Diagnostic> {
        let problem = Diagnostic::new(Code::UnknownVariable, origin, self.to_string());
        Some(match self {
            Self::Unclosed => problem.help("close it with `}`, or write `$${` for a literal `${`"),
            Self::Unknown(name) => {
                let own: Vec<_> = parameters.names().collect();
                let near = nearest(name, own.iter().copied())
                    .or_else(|| nearest(&name.to_uppercase(), NAMES.iter().copied()));
                let known = [NAMES, &own].concat().join(", ");
                problem.help(match near {
                    Some(near) => format!("did you mean `${{{near}}}`?"),
                    None => {
                        format!("the variables are: {known}; `$${{` stands for a literal `${{`")
                    }
                })
            }
            Self::Unset(name) if name.starts_with("env:") => {
                problem.help(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            Self::Unset(name) if name == "PROJECT" => {
                problem.help("run in a folder of a project, not in the root or a home directory")
            }
            Self::TooDeep => problem.help("give the variables defaults without variables"),
            Self::Unset(_) => problem.help("write the value out"),
            Self::NoValue(name, declared) => {
                Diagnostic::new(Code::NoParameterValue, origin, self.to_string())
                    .here("wanted here")
                    .and(declared, "declared here, without a default")
                    .help(format!("give one: --set {name}=VALUE"))
            }
            Self::WrongValue(_) => return None,
        })
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

    fn expand(text: &str) -> Result<Content, VariableError> {
        variables().expand(text, &Parameters::default())
    }

    #[test]
    fn variables_are_replaced() {
        let is = |text: &str, expected: &str| assert_eq!(expand(text), Ok(expected.into()));
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
        let is = |text: &str, expected| assert_eq!(expand(text), Err(expected));
        is("${HOEM}", VariableError::Unknown("HOEM".into()));
        is("${env:B}", VariableError::Unset("env:B".into()));
        is("a${HOME", VariableError::Unclosed);
        let deep = "${env:B:-".repeat(100_000) + &"}".repeat(100_000);
        is(&deep, VariableError::TooDeep);
        is("${PROJECT}", VariableError::Unset("PROJECT".into()));
    }
}
