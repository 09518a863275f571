//! The paths of this machine that a pattern stands for.

use super::tree::{Kind, Tree};
use crate::profile::pattern::PathPattern;
use std::path::PathBuf;

/// The most paths that a pattern may stand for, and the most folders that are looked into at each
/// of its components: each path is a mount.
pub const MOST: usize = 1000;

/// What a pattern stands for here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The paths, sorted.
    pub paths: Vec<PathBuf>,
    /// Links that were left out, sorted.
    pub links: Vec<PathBuf>,
}

/// Why a pattern stands for nothing that could be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// There are more than [`MOST`].
    TooMany,
    /// The folder in front of it cannot be read.
    Unreadable,
}

impl Tree {
    /// The paths that a pattern stands for; with `links`, those that symbolic links lead to too, as
    /// far as they lead anywhere.
    ///
    /// # Errors
    /// Where they cannot be listed.
    pub fn expand(&self, pattern: &PathPattern, links: bool) -> Result<Expansion, Unclear> {
        let mut found = Expansion::default();
        let mut folders = vec![pattern.base.clone()];
        if self.exists(&pattern.base) && self.list(&pattern.base).is_none() {
            return Err(Unclear::Unreadable);
        }
        let last = pattern.parts.len() - 1;
        for (number, part) in pattern.parts.iter().enumerate() {
            let mut next = Vec::new();
            for folder in &folders {
                let names = self.list(folder).unwrap_or_default();
                for name in names.iter().filter(|n| PathPattern::matches(part, n)) {
                    let path = folder.join(name);
                    let node = self.node(&path);
                    let kind = match node.kind {
                        Kind::Link(_) if !links => {
                            found.links.push(path);
                            continue;
                        }
                        Kind::Link(_) => self.target(&path).kind,
                        kind => kind,
                    };
                    let fits = kind == Kind::Directory || number == last && kind == Kind::File;
                    if fits && !node.made {
                        next.push(path);
                    }
                }
                if next.len().max(found.links.len()) > MOST {
                    return Err(Unclear::TooMany);
                }
            }
            folders = next;
        }
        folders.sort_unstable();
        found.paths = folders;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tree(nodes: &[&str]) -> Tree {
        Tree::fixed(nodes.iter().map(|node| match node.split_once(" -> ") {
            Some((path, to)) => (PathBuf::from(path), Kind::Link(to.into())),
            None => match node.strip_suffix('/') {
                Some(path) => (PathBuf::from(path), Kind::Directory),
                None => (PathBuf::from(node), Kind::File),
            },
        }))
    }

    fn expanded(tree: &Tree, text: &str, links: bool) -> Expansion {
        let pattern = PathPattern::below(Path::new("/"), text).unwrap();
        tree.expand(&pattern, links).unwrap()
    }

    #[test]
    fn names_are_sorted_and_links_left_out_where_they_are_not_followed() {
        let tree = tree(&[
            "/s/",
            "/s/b-1/",
            "/s/b-1/x",
            "/s/a-1",
            "/s/.h-1",
            "/s/l-1 -> b-1",
            "/s/n-1 -> gone",
        ]);
        let paths = |found: Expansion| -> Vec<String> {
            let paths = found.paths.iter();
            paths.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            paths(expanded(&tree, "/s/*-1", true)),
            ["/s/a-1", "/s/b-1", "/s/l-1"]
        );
        let strict = expanded(&tree, "/s/*-1", false);
        assert_eq!(strict.links, [Path::new("/s/l-1"), Path::new("/s/n-1")]);
        assert_eq!(paths(strict), ["/s/a-1", "/s/b-1"]);
        assert_eq!(paths(expanded(&tree, "/s/*/x", true)), ["/s/b-1/x"]);
        assert_eq!(paths(expanded(&tree, "/gone/*", true)), [""; 0]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut nodes: Vec<_> = (0..=MOST).map(|n| format!("/s/{n}")).collect();
        nodes.push("/s/".into());
        let nodes: Vec<_> = nodes.iter().map(String::as_str).collect();
        let pattern = PathPattern::below(Path::new("/"), "/s/*").unwrap();
        assert_eq!(tree(&nodes).expand(&pattern, true), Err(Unclear::TooMany));
        let few = tree(&nodes[1..]);
        assert_eq!(few.expand(&pattern, true).unwrap().paths.len(), MOST);
    }
}
