//! Patterns of paths: `*`, `?` and `[…]`, each within one component (glob(7)).

use glob::{MatchOptions, Pattern};
use std::path::{Component, Path, PathBuf};

/// As shells do: a name that starts with a dot is meant only where the pattern has the dot.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A path of which some components stand for several names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// The folder in front of the first such component.
    pub base: PathBuf,
    /// The components from there on; never empty.
    pub parts: Vec<Pattern>,
}

/// Whether a text has what makes a path a pattern.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl PathPattern {
    /// The pattern below a folder. `text` does not lead upwards; where it is absolute, the folder
    /// does not matter.
    ///
    /// # Errors
    /// Why a component is none, in words.
    pub fn below(folder: &Path, text: &str) -> Result<Self, String> {
        let mut base = folder.to_owned();
        let mut parts = Vec::new();
        for component in Path::new(text).components() {
            let name = match component {
                Component::Normal(name) => name.to_string_lossy(),
                other => {
                    base.push(other);
                    continue;
                }
            };
            if parts.is_empty() && !is_pattern(&name) {
                base.push(component);
                continue;
            }
            if name.contains("**") {
                return Err(format!(
                    "`{name}` is no pattern: `*` stands for a part of one name, never for folders"
                ));
            }
            let pattern = Pattern::new(&name)
                .map_err(|error| format!("`{name}` is no pattern: {}", error.msg))?;
            parts.push(pattern);
        }
        Ok(Self { base, parts })
    }

    /// Whether a name is one that a component stands for.
    #[must_use]
    pub fn matches(part: &Pattern, name: &str) -> bool {
        part.matches_with(name, OPTIONS)
    }

    /// Whether one of the paths that it stands for holds another path, or is it.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        self.parts.len() <= self.fits(path).unwrap_or(0)
    }

    /// The same, or whether the path holds one of them.
    #[must_use]
    pub fn touches(&self, path: &Path) -> bool {
        self.base.starts_with(path) || self.fits(path).is_some()
    }

    /// How many components of a path below the base fit, if none does not.
    fn fits(&self, path: &Path) -> Option<usize> {
        let names = path.strip_prefix(&self.base).ok()?.iter();
        let mut count = 0;
        for (part, name) in self.parts.iter().zip(names) {
            if !Self::matches(part, name.to_str()?) {
                return None;
            }
            count += 1;
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::below(Path::new("/work/[it]"), text).unwrap()
    }

    #[test]
    fn a_pattern_begins_where_the_first_sign_stands() {
        let absolute = pattern("/nix/store/*-rust-*/lib");
        assert_eq!(absolute.base, Path::new("/nix/store"));
        assert_eq!(absolute.parts.len(), 2);
        // What is in front of a relative one is no pattern, whatever it is called.
        assert_eq!(pattern("out-?").base, Path::new("/work/[it]"));
    }

    #[test]
    fn a_sign_stays_within_its_component() {
        let pattern = pattern("/run/user/*/pulse");
        for path in ["/run/user/7/pulse", "/run/user/7/pulse/native"] {
            assert!(pattern.holds(Path::new(path)) && pattern.touches(Path::new(path)));
        }
        for path in ["/run", "/run/user", "/run/user/7"] {
            assert!(!pattern.holds(Path::new(path)) && pattern.touches(Path::new(path)));
        }
        for path in ["/run/user/7/bus", "/run/user/.7/pulse", "/etc"] {
            assert!(!pattern.holds(Path::new(path)) && !pattern.touches(Path::new(path)));
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for text in ["/a/**", "/a/**/b", "/a/x**", "/a/[b", "/a/***"] {
            assert!(PathPattern::below(Path::new("/"), text).is_err(), "{text}");
        }
    }
}
