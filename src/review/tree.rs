//! Files of the host that a command sees, and whether one set of them holds another.
//!
//! Files are named by their path on the host, wherever they appear inside. A host that shows the
//! same files at two paths (a bind mount, a hard link) has two names for them, and a grant of one
//! name says nothing about the other.

use crate::diag::Origin;
use crate::profile::pattern::PathPattern;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What may be done with files, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access(u16);

impl Access {
    /// Reading. Connecting to a socket needs no more.
    pub const READ: Self = Self(1);
    /// Writing.
    pub const WRITE: Self = Self(1 << 1);
    /// Executing.
    pub const EXECUTE: Self = Self(1 << 2);
    /// Setuid bits and file capabilities count.
    pub const SETUID: Self = Self(1 << 3);
    /// Device files can be opened.
    pub const DEVICES: Self = Self(1 << 4);
    /// As their owner, where root calls (mapped owners).
    pub const OWNER: Self = Self(1 << 5);
    /// It is made where it is missing.
    pub const CREATE: Self = Self(1 << 6);
    /// With what is mounted below it.
    pub const MOUNTS: Self = Self(1 << 7);
    /// With what lies under mounts.
    pub const UNCOVERED: Self = Self(1 << 8);
    /// With what is mounted there later.
    pub const LATER: Self = Self(1 << 9);
    /// All of it.
    pub const ALL: Self = Self(0b11_1111_1111);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, with `other` if a condition holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// These without [`Access::OWNER`].
    #[must_use]
    pub const fn without_owner(self) -> Self {
        Self(self.0 & !Self::OWNER.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, for [`Extent::Bits`](super::Extent::Bits).
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = [
            (Self::READ, "read"),
            (Self::WRITE, "write"),
            (Self::EXECUTE, "execute"),
        ]
        .into_iter()
        .filter(|(one, _)| self.contains(*one))
        .map(|(_, word)| word)
        .collect();
        match words.split_last() {
            Some((last, [])) => f.write_str(last),
            Some((last, first)) => write!(f, "{} and {last}", first.join(", ")),
            None => f.write_str("see"),
        }
    }
}

/// A file or a directory of the host with what is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The path on the host.
    pub source: PathBuf,
    /// What may be done with it.
    pub access: Access,
    /// What of it is covered by something else.
    pub holes: Vec<Hole>,
    /// A program: on a known machine it stands for all the files that it loads.
    pub program: Option<Program>,
    /// A pattern: on a known machine it stands for the paths that fit, and `source` is its text.
    pub pattern: Option<PathPattern>,
    /// Whether it is an entry of the root: where the machine has a link, it stays one, and shows
    /// what it leads to inside.
    pub of_root: bool,
}

/// A program and the path in which it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// As the profile names it.
    pub name: String,
    /// Folders, separated by colons.
    pub search: String,
}

/// A place in a tree that shows something else.
#[derive(Clone, Debug, PartialEq)]
pub struct Hole {
    /// The path on the host of what is covered.
    pub path: PathBuf,
    /// What is mounted there only where this path of the host exists; `None` if it is always.
    pub if_there: Option<PathBuf>,
    /// The line that covers it.
    pub origin: Origin,
}

/// The holes of a tree by their paths, since there can be many of them.
#[derive(Debug, Default)]
struct Holes<'t>(BTreeMap<&'t Path, Vec<&'t Hole>>);

impl<'t> Holes<'t> {
    fn of(tree: &'t Tree) -> Self {
        let mut holes = Self::default();
        for hole in &tree.holes {
            holes.0.entry(&hole.path).or_default().push(hole);
        }
        holes
    }

    /// Those that a path is or lies in.
    fn over<'h>(&'h self, path: &'h Path) -> impl Iterator<Item = &'t Hole> + 'h {
        let above = path.ancestors().filter_map(|above| self.0.get(above));
        above.flatten().copied()
    }

    /// Those that are a path or lie below it.
    fn below<'h>(&'h self, path: &'h Path) -> impl Iterator<Item = &'t Hole> + 'h {
        // Paths are ordered by their components, so that what lies below one follows it.
        let from = self.0.range(path..);
        let below = from.take_while(move |(hole, _)| hole.starts_with(path));
        below.flat_map(|(_, holes)| holes).copied()
    }

    /// Whether what a hole hides is hidden here too, on every machine.
    fn hide(&self, hole: &Hole) -> bool {
        self.over(&hole.path).any(|own| match &own.if_there {
            None => true,
            Some(_) => own.path == hole.path && own.if_there == hole.if_there,
        })
    }
}

/// Trees that are asked what they hold.
#[derive(Debug, Default)]
pub struct Forest<'t>(BTreeMap<&'t Path, Vec<(&'t Tree, Holes<'t>)>>);

impl<'t> FromIterator<&'t Tree> for Forest<'t> {
    fn from_iter<I: IntoIterator<Item = &'t Tree>>(trees: I) -> Self {
        let mut forest = Self::default();
        for tree in trees {
            let same = forest.0.entry(&tree.source).or_default();
            same.push((tree, Holes::of(tree)));
        }
        forest
    }
}

impl<'t> Forest<'t> {
    /// Whether these hold all of a tree, with as much access.
    #[must_use]
    pub fn covers(&self, tree: &Tree) -> bool {
        let own = Holes::of(tree);
        let Some(pattern) = &tree.pattern else {
            return self.covers_below(&tree.source, tree.access, &own, &mut BTreeMap::new());
        };
        // Which paths it stands for is not known here: the same pattern does, or all that is in the
        // folder in front of it.
        let same = self.0.get(tree.source.as_path());
        same.into_iter().flatten().any(|(over, holes)| {
            over.pattern.as_ref() == Some(pattern)
                && over.access.contains(tree.access)
                && holes.0.is_empty()
        }) || self.covers_below(&pattern.base, tree.access, &own, &mut BTreeMap::new())
    }

    /// Whether they hold what lies at `path` and below: one of them does, and what it hides is
    /// hidden by the tree's own holes too, or another one holds it. Every step leads further down,
    /// and each place is looked at once.
    fn covers_below<'p>(
        &'p self,
        path: &'p Path,
        access: Access,
        own: &Holes<'_>,
        known: &mut BTreeMap<&'p Path, bool>,
    ) -> bool {
        if let Some(known) = known.get(path) {
            return *known;
        }
        let covered = self
            .above(path)
            .filter(|(over, holes)| {
                over.pattern.is_none()
                    && over.access.contains(access)
                    && holes.over(path).next().is_none()
            })
            .any(|(_, holes)| {
                holes
                    .below(path)
                    .all(|hole| own.hide(hole) || self.covers_below(&hole.path, access, own, known))
            });
        known.insert(path, covered);
        covered
    }

    /// The trees that a path is or lies in, the nearest first.
    fn above<'f>(&'f self, path: &'f Path) -> impl Iterator<Item = &'f (&'t Tree, Holes<'t>)> + 'f {
        path.ancestors()
            .filter_map(|ancestor| self.0.get(ancestor))
            .flatten()
    }

    /// The tree that comes nearest to holding `tree`, and what of it is hidden if that is why it
    /// does not.
    #[must_use]
    pub fn nearest(&self, tree: &Tree) -> Option<(&'t Tree, Option<&'t Hole>)> {
        let (over, holes) = self.above(&tree.source).next()?;
        let own = Holes::of(tree);
        let hole = holes
            .over(&tree.source)
            .chain(holes.below(&tree.source))
            .find(|hole| !own.hide(hole));
        Some((over, hole.filter(|_| over.access.contains(tree.access))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(source: &str, access: Access, holes: &[&str]) -> Tree {
        let hole = |path: &&str| Hole {
            path: path.into(),
            if_there: None,
            origin: Origin::CommandLine,
        };
        Tree {
            source: source.into(),
            access,
            holes: holes.iter().map(hole).collect(),
            program: None,
            pattern: None,
            of_root: false,
        }
    }

    const R: Access = Access::READ;
    const RW: Access = Access::READ.with(Access::WRITE);

    fn covers(ceiling: &[Tree], one: &Tree) -> bool {
        ceiling.iter().collect::<Forest<'_>>().covers(one)
    }

    #[test]
    fn a_tree_holds_what_lies_below() {
        let srv = [tree("/srv", R, &[])];
        assert!(covers(&srv, &tree("/srv", R, &[])));
        assert!(covers(&srv, &tree("/srv/data", R, &[])));
        assert!(!covers(&srv, &tree("/srv/data", RW, &[])));
        assert!(!covers(&srv, &tree("/", R, &[])));
        assert!(!covers(&srv, &tree("/srvice", R, &[])));
    }

    #[test]
    fn what_is_masked_must_be_masked() {
        let masked = [tree("/srv", R, &["/srv/a/secret"])];
        assert!(!covers(&masked, &tree("/srv", R, &[])));
        assert!(!covers(&masked, &tree("/srv/a", R, &["/srv/a/secret/x"])));
        assert!(!covers(&masked, &tree("/srv/a/secret/x", R, &[])));
        assert!(covers(&masked, &tree("/srv", R, &["/srv/a"])));
        assert!(covers(&masked, &tree("/srv/b", R, &[])));
    }

    #[test]
    fn what_one_hides_another_may_show() {
        let two = [
            tree("/srv", R, &["/srv/data"]),
            tree("/srv/data", RW, &["/srv/data/x"]),
        ];
        assert!(!covers(&two, &tree("/srv", R, &[])));
        assert!(covers(&two, &tree("/srv", R, &["/srv/data/x"])));
        assert!(covers(&two, &tree("/srv/data/y", RW, &[])));
    }

    #[test]
    fn what_may_be_missing_hides_nothing() {
        let mut own = tree("/srv", R, &["/srv/secret"]);
        own.holes[0].if_there = Some("/maybe".into());
        assert!(!covers(&[tree("/srv", R, &["/srv/secret"])], &own));
        assert!(covers(std::slice::from_ref(&own), &own));
    }
}
