//! How a profile lies on top of those that it extends. The rules, all of them:
//!
//! | what | rule |
//! |---|---|
//! | a single value | the later one holds |
//! | a table | key by key |
//! | a list | the later values come after the earlier ones |
//! | a list of [`KEYED`] | an entry replaces the earlier one of the same key as a whole; new ones come after |
//! | an id map, a command | the later one holds, as a whole |
//! | a parameter | key by key; a single value stands for its default |
//! | what `remove` names | is taken out of the profiles that are extended, before all of the above |

use super::node::{Content, Entry, Node, Table};
use super::parameters;
use super::pattern::is_pattern;
use crate::diag::{At, Code, Diagnostic, Diagnostics, nearest};

/// Lists whose entries are known by a key.
pub const KEYED: &[(&str, &str)] = &[
    ("mounts", "target"),
    ("secrets", "name"),
    ("bus", "address"),
    ("test", "name"),
];

/// Values that only make sense as a whole.
const WHOLE: &[&str] = &["uid_map", "gid_map", "command"];

/// Puts a later table on top of an earlier one.
pub fn merge(earlier: &mut Table, later: Table) {
    for (key, entry) in later {
        match earlier.get_mut(&key) {
            Some(known) if key == "params" => merge_with(known, entry, parameters::merge),
            Some(known) => merge_entry(&key, known, entry),
            None => {
                earlier.insert(key, entry);
            }
        }
    }
}

/// The same for one value under a key.
fn merge_entry(key: &str, earlier: &mut Entry, later: Entry) {
    match (&mut earlier.node.value, later.node.value) {
        (Content::Table(earlier), Content::Table(later)) => merge(earlier, later),
        (Content::Array(earlier), Content::Array(later)) if !WHOLE.contains(&key) => {
            for node in later {
                let same = |known: &&mut Node| {
                    identity(key, known).is_some_and(|id| Some(id) == identity(key, &node))
                };
                match earlier.iter_mut().find(same) {
                    Some(known) => *known = node,
                    None => earlier.push(node),
                }
            }
        }
        (_, value) => {
            *earlier = Entry {
                node: Node::new(value, later.node.origin),
                key: later.key,
            };
        }
    }
}

/// Merges a table whose values have a rule of their own.
fn merge_with(earlier: &mut Entry, later: Entry, rule: fn(&mut Node, Node)) {
    match (&mut earlier.node.value, later.node.value) {
        (Content::Table(earlier), Content::Table(later)) => {
            for (name, entry) in later {
                match earlier.get_mut(&name) {
                    Some(known) => rule(&mut known.node, entry.node),
                    None => {
                        earlier.insert(name, entry);
                    }
                }
            }
        }
        (_, value) => earlier.node = Node::new(value, later.node.origin),
    }
}

/// By what an entry of a list is known; `None` where the list has no keys, or the entry lacks it. A path is the same with
/// and without a slash at its end.
fn identity(list: &str, entry: &Node) -> Option<String> {
    let (_, key) = KEYED.iter().find(|(name, _)| *name == list)?;
    let Content::Table(table) = &entry.value else {
        return None;
    };
    let text = |key: &str| match &table.get(key)?.node.value {
        Content::String(text) => Some(text.as_str()),
        _ => None,
    };
    let source = text("source").filter(|_| list == "mounts");
    match (text(key), source) {
        // Where what a pattern stands for goes into a folder, the folder may take more than that.
        (Some(folder), Some(source)) if folder.ends_with('/') && is_pattern(source) => {
            let name = source.rsplit('/').next().unwrap_or_default();
            Some(format!("{folder}{name}"))
        }
        (Some(text), _) => Some(match text.trim_end_matches('/') {
            "" => text.into(),
            trimmed => trimmed.into(),
        }),
        // A mount without a target is at its source.
        (None, source) => source.map(str::to_owned),
    }
}

/// Takes out of a table what a path names: `limits.memory`, `mounts./srv/data`,
/// `environment.inherit.LANG`. A path that names nothing is a problem: what was to be taken away
/// may still be there under another name.
pub fn remove(table: &mut Table, path: &At<String>, problems: &mut Diagnostics) {
    if take_out(table, &path.value) {
        return;
    }
    let mut known = Vec::new();
    paths(table, "", &mut known);
    let message = format!("`{}` names nothing in what is extended", path.value);
    let problem = Diagnostic::new(Code::NothingToRemove, &path.origin, message);
    problems.push(match nearest(&path.value, known.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("write the path of a key, of a list's value or of a mount's target: limits.memory, environment.inherit.LANG, mounts./srv/data"),
    });
}

fn take_out(table: &mut Table, path: &str) -> bool {
    if table.remove(path).is_some() {
        return true;
    }
    // A key may hold dots itself: every split is tried, the shortest key first.
    for (at, _) in path.match_indices('.') {
        let (key, rest) = (&path[..at], &path[at + 1..]);
        let Some(entry) = table.get_mut(key) else {
            continue;
        };
        let found = match &mut entry.node.value {
            Content::Table(below) => take_out(below, rest),
            Content::Array(items) => {
                let before = items.len();
                items.retain(|item| !is_called(key, item, rest));
                items.len() < before
            }
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

fn is_called(list: &str, item: &Node, name: &str) -> bool {
    match identity(list, item) {
        Some(identity) => identity == name,
        None => {
            !matches!(item.value, Content::Table(_) | Content::Array(_))
                && item.value.to_string() == name
        }
    }
}

/// Every path that can be removed.
fn paths(table: &Table, prefix: &str, found: &mut Vec<String>) {
    for (key, entry) in table {
        let path = format!("{prefix}{key}");
        match &entry.node.value {
            Content::Table(below) => paths(below, &format!("{path}."), found),
            Content::Array(items) => {
                for item in items {
                    let name = identity(key, item).unwrap_or_else(|| item.value.to_string());
                    found.push(format!("{path}.{name}"));
                }
            }
            _ => {}
        }
        found.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Origin;

    #[test]
    fn a_mount_is_known_by_where_it_is_and_a_pattern_by_what_it_stands_for_too() {
        let known = |text: &str| {
            let content = Content::value(text).unwrap();
            identity("mounts", &Node::new(content, Origin::CommandLine))
        };
        for (text, name) in [
            ("{ target = '/data/', source = '/x' }", "/data"),
            ("{ source = '/x' }", "/x"),
            ("{ source = '/x-*' }", "/x-*"),
            ("{ target = '/data/', source = '/x-*' }", "/data/x-*"),
            ("{ target = '/data', source = '/x-*' }", "/data"),
        ] {
            assert_eq!(known(text).as_deref(), Some(name), "{text}");
        }
        assert_eq!(known("{ type = 'bind' }"), None);
    }
}
