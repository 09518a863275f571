//! `[environment]`: what of the caller's environment the command sees (environ(7)).

mod files;

use super::{Profile, mounts, split, wanted};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::draft::c_string;
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::{List, Map};
use crate::profile::variables::Variables;
use crate::review::names::{Names, overlaps, within};
use crate::review::{Area, Extent, Grant};
use crate::sys::process::StringArray;
use files::{Named, Said};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;

crate::table! {
    /// Clean by default: HOME, PATH, and language and terminal settings.
    ///
    /// ```toml
    /// [environment]
    /// inherit = ["CC", "CMAKE_*"]
    /// set = { CI = "true" }
    /// unset = ["LANG"]
    /// files = [{ name = ".env", optional = true }]
    /// ```
    pub struct RawEnvironment as "[environment]" {
        /// Names that are inherited besides the defaults; `*` stands for anything: `"LC_*"`.
        inherit: List<String>,
        /// Variables that are set.
        set: Map<String>,
        /// Names that are removed, also out of the defaults and of what `files` say.
        unset: List<String>,
        /// Files of the host with a line `NAME=value` for each variable (relative to the project), read when the
        /// run is planned: paths, or `{ name = "…", optional = true }` for one that may be missing. A blank line
        /// and one that begins with `#` say nothing; of a value in quotation marks the two are taken away, and
        /// nothing in it is expanded. A later file counts before an earlier one, and `set` before all. What decides
        /// which code a program runs (`PATH`, `LD_*` and their like) is not taken from a file.
        files: List<wanted::Item>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Environment {
    inherit: Vec<At<String>>,
    set: BTreeMap<String, At<String>>,
    unset: Vec<At<String>>,
    files: Vec<At<Named>>,
    /// What the files say, once they were read.
    said: BTreeMap<String, Said>,
}

/// What is inherited by default: how to talk to the person, and nothing about them.
const INHERITED: &[&str] = &[
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "NO_COLOR",
    "TERM",
    "TZ",
];

/// The most patterns that are compared with others.
const MOST: usize = 512;

/// The search path where the caller's does not fit.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Environment {
    /// Checks the names.
    pub fn check(
        raw: Option<At<RawEnvironment>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, _) = split(raw, "environment");
        let list = |list: Option<At<List<String>>>| list.map(|l| l.value.0).unwrap_or_default();
        let environment = Self {
            inherit: list(raw.inherit),
            set: raw.set.map(|map| map.value.0).unwrap_or_default(),
            unset: list(raw.unset),
            files: files::check(raw.files, variables, problems),
            said: BTreeMap::new(),
        };
        let set = environment
            .set
            .iter()
            .map(|(name, value)| (name.as_str(), &value.origin));
        let lists = environment.inherit.iter().chain(&environment.unset);
        for (name, place) in set.chain(lists.map(|name| (name.value.as_str(), &name.origin))) {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        place,
                        "the name of a variable is not empty and holds no `=`",
                    )
                    .help("for example: set = { CI = \"true\" }"),
                );
            }
        }
        for name in &environment.unset {
            if let Some(set) = environment.set.get(&name.value) {
                problems.push(
                    Diagnostic::new(
                        Code::Conflict,
                        &name.origin,
                        format!("`{}` is removed and set", name.value),
                    )
                    .and(&set.origin, "set here")
                    .help("remove one of the two"),
                );
            }
        }
        let removed: BTreeMap<_, _> = environment
            .unset
            .iter()
            .map(|name| (name.value.as_str(), &name.origin))
            .collect();
        for name in &environment.inherit {
            if name.value == "*" {
                problems.push(
                    Diagnostic::new(
                        Code::WholeEnvironment,
                        &name.origin,
                        "the command gets every variable of the caller, tokens and keys included",
                    )
                    .help("name the variables that it needs"),
                );
                continue;
            }
            let removed = removal(&name.value, &removed);
            let (other, what) = match (removed, environment.set.get(&name.value)) {
                (Some(removed), _) => (removed, "removed"),
                (None, Some(set)) => (&set.origin, "set"),
                (None, None) => continue,
            };
            problems.push(
                Diagnostic::new(
                    Code::InheritedInVain,
                    &name.origin,
                    format!("`{}` is inherited in vain: it is {what}", name.value),
                )
                .and(other, format!("{what} here"))
                .help("remove one of the two"),
            );
        }
        environment
    }

    /// Sets a variable that something else than the profile proposes, unless the profile says anything of it.
    pub fn propose(
        &mut self,
        name: &str,
        value: &str,
        callers: &BTreeMap<String, String>,
        line: &Origin,
    ) {
        let says = |list: &[At<String>]| list.iter().any(|pattern| matches(&pattern.value, name));
        let is_said = self.set.contains_key(name)
            || self.said.contains_key(name)
            || says(&self.unset)
            || (says(&self.inherit) && callers.contains_key(name));
        if !name.is_empty() && !is_said && !name.contains('\0') && !value.contains('\0') {
            let value = At::new(value.to_owned(), line.clone());
            self.set.insert(name.to_owned(), value);
        }
    }

    /// The variables that the command gets.
    #[must_use]
    pub fn variables(&self, profile: &Profile) -> BTreeMap<String, String> {
        let callers = &profile.variables.environment;
        let mut all = BTreeMap::new();
        let home = mounts::home(&profile.variables)
            .and_then(|h| h.to_str())
            .unwrap_or("/tmp");
        all.insert("HOME".into(), home.to_owned());
        // The caller's search path names folders of the host's root.
        let path = callers
            .get("PATH")
            .filter(|_| profile.rootfs.is_host() || !profile.namespaces.builds_root());
        all.insert("PATH".into(), path.map_or(PATH, String::as_str).to_owned());
        let named = self.inherit.iter().map(|name| name.value.as_str());
        let patterns: Vec<_> = INHERITED.iter().copied().chain(named).collect();
        for (name, value) in callers {
            if patterns.iter().any(|pattern| matches(pattern, name)) {
                all.insert(name.clone(), value.clone());
            }
        }
        for (name, said) in &self.said {
            all.insert(name.clone(), said.value.clone());
        }
        if let Some(address) = profile.buses.session() {
            all.insert("DBUS_SESSION_BUS_ADDRESS".into(), address);
        }
        for name in &self.unset {
            all.retain(|known, _| !matches(&name.value, known));
        }
        for (name, value) in &self.set {
            all.insert(name.clone(), value.value.clone());
        }
        all
    }

    /// Whether the command gets a variable, and which line says so or could: as [`Environment::variables`]
    /// puts them together.
    #[must_use]
    pub fn decide(&self, name: &str, profile: &Profile) -> (bool, Origin) {
        let there = self.variables(profile).contains_key(name);
        let fits = |list: &[At<String>]| {
            let found = list
                .iter()
                .rev()
                .find(|pattern| matches(&pattern.value, name));
            found.map(|pattern| pattern.origin.clone())
        };
        let set = self.set.get(name).map(|value| value.origin.clone());
        let said = || self.said.get(name).map(|said| said.origin.clone());
        let line = set
            .or_else(|| fits(&self.unset))
            .or_else(said)
            .or_else(|| fits(&self.inherit));
        (there, line.unwrap_or(Origin::Default("environment")))
    }

    /// The line by which the command is told a variable of the caller's under its own name.
    #[must_use]
    pub fn tells(&self, name: &str) -> Option<&Origin> {
        const DEFAULT: &Origin = &Origin::Default("environment");
        if self.unset.iter().any(|unset| matches(&unset.value, name)) {
            return None;
        }
        let named = self.inherit.iter().rev();
        let named = named.filter(|pattern| matches(&pattern.value, name));
        let default = INHERITED.iter().any(|known| matches(known, name));
        let mut lines = named.map(|pattern| &pattern.origin);
        lines.next().or_else(|| default.then_some(DEFAULT))
    }

    /// Which of the caller's variables the command is told. HOME and PATH always are.
    ///
    /// What is `set` grants nothing: the command could set it itself. A value that is taken from the
    /// caller's environment is found in the text of the profile
    /// ([`profile::mentions`](crate::profile::mentions)), wherever it is used.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            inherit,
            set: _,
            unset,
            files,
            said: _,
        } = self;
        let default = Origin::Default("environment");
        // Each of one is compared with each of the other. Who writes more has no profile in mind,
        // and is told that it is the same as itself and nothing else.
        if let Some(first) = inherit.iter().chain(unset).nth(MOST) {
            let names = |list: &[At<String>]| -> Vec<String> {
                list.iter().map(|name| name.value.clone()).collect()
            };
            let all = format!("{:?} {:?}", names(inherit), names(unset));
            let words = "be told more of the caller's variables than can be compared";
            let key = "environment:many";
            let grant = Grant::new(
                Area::Environment,
                key,
                Extent::Same(all),
                words,
                &first.origin,
            );
            return vec![grant.share(10_000)];
        }
        let defaults = INHERITED.iter().map(|name| (*name, &default));
        let named = inherit
            .iter()
            .map(|name| (name.value.as_str(), &name.origin));
        let removed = |name: &str| unset.iter().any(|unset| within(name, &unset.value));
        let told_by_files = files.iter().map(files::grant);
        defaults
            .chain(named)
            .filter(|(name, _)| !removed(name))
            .map(|(name, origin)| {
                let except = unset.iter().map(|unset| &unset.value);
                let except = except.filter(|unset| overlaps(unset, name));
                told(name, except.cloned().collect(), origin)
            })
            .chain(told_by_files)
            .collect()
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn search_path(&self, profile: &Profile) -> String {
        self.variables(profile)
            .remove("PATH")
            .unwrap_or_else(|| PATH.into())
    }

    /// Executes the command.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let variables = self.variables(profile);
        let path = variables.get("PATH").map_or(PATH, String::as_str);
        let command = draft.command;
        let candidates = candidates(&command.program, path);
        let name = command.argv0.as_ref().unwrap_or(&command.program);
        let arguments = std::iter::once(name)
            .chain(&command.arguments)
            .cloned()
            .collect();
        let op = Op::Exec {
            candidates,
            arguments: StringArray::new(arguments),
            environment: for_exec(&variables),
            opened: profile.process.open_program(profile, draft),
        };
        draft.step(Phase::Exec, op, &command.origin);
    }
}

/// The longest beginning of a name that is looked up: more is no name that a person writes.
const LONGEST: usize = 256;

/// Where a name is removed: by itself, or by a beginning of it and `*`. Looked up and not compared
/// with each, since both lists may be long.
fn removal<'o>(name: &str, removed: &BTreeMap<&str, &'o Origin>) -> Option<&'o Origin> {
    let beginnings = (0..=name.len().min(LONGEST)).filter_map(|at| name.get(..at));
    let mut patterns = beginnings.map(|beginning| format!("{beginning}*"));
    let by_pattern = || patterns.find_map(|pattern| removed.get(pattern.as_str()));
    removed.get(name).or_else(by_pattern).copied()
}

/// That the command is told variables of the caller.
#[must_use]
pub fn told(name: &str, except: Vec<String>, origin: &Origin) -> Grant {
    const SECRET: &[&str] = &["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"];
    let upper = name.to_uppercase();
    let share = match name {
        _ if INHERITED.contains(&name) => 0,
        "*" => 8_000,
        _ if SECRET.iter().any(|word| upper.contains(word)) => 3_000,
        _ if name.contains('*') => 500,
        _ => 100,
    };
    let what = if name.contains('*') {
        "variables"
    } else {
        "variable"
    };
    let mut words = format!("be told the caller's {what} {name}");
    if !except.is_empty() {
        words.push_str(&format!(" but {}", except.join(", ")));
    }
    let extent = Extent::Names(Names {
        pattern: name.into(),
        except,
    });
    let key = format!("environment:{name}");
    Grant::new(Area::Environment, key, extent, words, origin).share(share)
}

/// The paths that a program may have: itself, or its name in each folder of a search path.
#[must_use]
pub fn candidates(program: &CStr, path: &str) -> Vec<CString> {
    let name = program.to_bytes();
    if name.contains(&b'/') || name.is_empty() {
        return vec![program.into()];
    }
    path.split(':')
        .map(|folder| {
            let folder = if folder.is_empty() { "." } else { folder };
            let mut bytes = folder.as_bytes().to_vec();
            bytes.push(b'/');
            bytes.extend_from_slice(name);
            c_string(std::ffi::OsStr::from_bytes(&bytes))
        })
        .collect()
}

/// Variables as execve(2) takes them.
#[must_use]
pub fn for_exec(variables: &BTreeMap<String, String>) -> StringArray {
    let one = |(name, value)| c_string(format!("{name}={value}"));
    StringArray::new(variables.iter().map(one).collect())
}

/// Whether a name fits a pattern in which `*` stands for anything. Takes time in proportion to the
/// product of the lengths, whatever the pattern; allocates nothing.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut taken) = (0, 0);
    // The last star, and how far the name had been taken when it was met: it takes one byte more
    // whenever what follows it does not fit. Earlier stars need not be looked at again.
    let mut star = None;
    while taken < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, taken));
                at += 1;
            }
            Some(byte) if name.get(taken) == Some(byte) => {
                at += 1;
                taken += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at = star_at + 1;
                    taken = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        assert!(matches("LC_*", "LC_ALL"));
        assert!(matches("*", ""));
        assert!(matches("A*C", "ABC"));
        assert!(!matches("LC_*", "XLC_ALL"));
        assert!(!matches("A*C", "ABD"));
        assert!(matches("*A*B*", "xAyABz"));
        assert!(!matches("*A*B", "xABy"));
        assert!(!matches("A", "AB"));
        assert!(!matches("AB", "A"));
        let hostile = format!("{}b", "a*".repeat(500));
        assert!(!matches(&hostile, &"a".repeat(5_000)));
    }
}
