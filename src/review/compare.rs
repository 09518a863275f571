//! What one list of grants permits beyond another.

use super::grant::{Extent, Grant};
use super::names::{Names, within};
use super::tree::{Forest, Hole, Tree};
use crate::diag::Origin;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What one list permits and the other does not: one sentence for a reviewer.
#[derive(Clone, Debug)]
pub struct Excess<'g> {
    /// The grants that go beyond, most often one; more are members of one kind.
    pub grants: Vec<&'g Grant>,
    /// What the other list has instead, if it says anything about it.
    pub instead: Option<Instead<'g>>,
}

/// What comes nearest in the other list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Instead<'g> {
    /// The same, to a lesser extent.
    Less(&'g Grant),
    /// A larger tree in which this place is hidden.
    Hidden(&'g Hole),
}

impl<'g> Instead<'g> {
    /// Its line.
    #[must_use]
    pub fn origin(&self) -> &'g Origin {
        match self {
            Self::Less(grant) => &grant.origin,
            Self::Hidden(hole) => &hole.origin,
        }
    }

    /// What it permits, as words after "may".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Less(grant) => grant.words.clone(),
            Self::Hidden(hole) => format!("not see {}", hole.path.display()),
        }
    }
}

impl<'g> Excess<'g> {
    /// What is permitted, as words after "may".
    #[must_use]
    pub fn words(&self) -> String {
        words(&self.grants)
    }

    /// How dangerous all of it is.
    #[must_use]
    pub fn danger(&self) -> u32 {
        self.grants.iter().map(|grant| grant.danger()).sum()
    }

    /// The line that asks for it.
    #[must_use]
    pub fn origin(&self) -> &'g Origin {
        const NOWHERE: &Origin = &Origin::CommandLine;
        self.grants.first().map_or(NOWHERE, |grant| &grant.origin)
    }
}

/// How many of a kind one phrase names.
const LISTED: usize = 8;

/// What some grants permit, in one phrase: one, or several of one kind.
pub(super) fn words(grants: &[&Grant]) -> String {
    let members = grants.iter().filter_map(|grant| grant.member.as_ref());
    match (grants, members.clone().next()) {
        ([_, _, ..], Some(first)) => {
            let mut items: Vec<_> = members.map(|member| member.item.as_str()).collect();
            let more = items.len().saturating_sub(LISTED);
            items.truncate(LISTED);
            let items = items.join(", ");
            match more {
                0 => format!("{}: {items}", first.verb),
                _ => format!("{}: {items} and {more} more", first.verb),
            }
        }
        ([first, ..], _) => first.words.clone(),
        ([], _) => String::new(),
    }
}

/// Both directions.
#[derive(Clone, Debug)]
pub struct Comparison<'g> {
    /// What the second permits and the first does not, the most dangerous first.
    pub widened: Vec<Excess<'g>>,
    /// What the first permits and the second does not.
    pub narrowed: Vec<Excess<'g>>,
}

/// Compares two profiles.
#[must_use]
pub fn compare<'g>(before: &'g [Grant], after: &'g [Grant]) -> Comparison<'g> {
    Comparison {
        widened: beyond(after, before),
        narrowed: beyond(before, after),
    }
}

/// What `grants` permit beyond `ceiling`, the most dangerous first.
#[must_use]
pub fn beyond<'g>(grants: &'g [Grant], ceiling: &'g [Grant]) -> Vec<Excess<'g>> {
    let limit = Index::new(ceiling);
    let mut found: Vec<Excess<'g>> = Vec::new();
    // Members of one kind go together where one line asks for them and one line stands against.
    let mut kinds: BTreeMap<(&str, &Origin, Option<&Origin>), usize> = BTreeMap::new();
    for grant in grants.iter().filter(|grant| !limit.covers(grant)) {
        let instead = limit.instead(grant);
        if let Some(member) = &grant.member {
            let against = instead.map(|instead| instead.origin());
            let kind = (member.verb.as_str(), &grant.origin, against);
            let at = *kinds.entry(kind).or_insert(found.len());
            if let Some(excess) = found.get_mut(at) {
                excess.grants.push(grant);
                continue;
            }
        }
        found.push(Excess {
            grants: vec![grant],
            instead,
        });
    }
    // Stable: what is equally dangerous stays in the order of the language.
    found.sort_by_key(|excess| std::cmp::Reverse(excess.danger()));
    found
}

/// A list of grants that is asked what it covers.
struct Index<'g> {
    by_key: BTreeMap<&'g str, Vec<&'g Grant>>,
    forest: Forest<'g>,
    trees: BTreeMap<*const Tree, &'g Grant>,
    numbers: BTreeMap<&'g str, Vec<(u64, u64)>>,
    /// Plain names, of which there can be many, and patterns.
    plain: BTreeMap<&'g str, Vec<&'g Names>>,
    patterns: Vec<(&'g Names, &'g Grant)>,
}

impl<'g> Index<'g> {
    fn new(grants: &'g [Grant]) -> Self {
        let mut by_key: BTreeMap<&str, Vec<&Grant>> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        let mut plain: BTreeMap<&str, Vec<&Names>> = BTreeMap::new();
        let mut patterns = Vec::new();
        for grant in grants {
            by_key.entry(&grant.key).or_default().push(grant);
            match &grant.extent {
                Extent::Numbers(ranges) => numbers.entry(&grant.key).or_default().extend(ranges),
                Extent::Names(names) if names.pattern.contains('*') => {
                    patterns.push((names, grant));
                }
                Extent::Names(names) => plain.entry(&names.pattern).or_default().push(names),
                _ => {}
            }
        }
        let joined = |(key, ranges)| (key, joined(ranges));
        Self {
            by_key,
            forest: trees(grants).map(|(tree, _)| tree).collect(),
            trees: trees(grants)
                .map(|(tree, grant)| (tree as *const Tree, grant))
                .collect(),
            numbers: numbers.into_iter().map(joined).collect(),
            plain,
            patterns,
        }
    }

    fn same_key(&self, grant: &Grant) -> impl Iterator<Item = &'g Grant> {
        self.by_key
            .get(grant.key.as_str())
            .into_iter()
            .flatten()
            .copied()
    }

    /// Whether the list permits as much. What it does not mention it does not permit.
    fn covers(&self, grant: &Grant) -> bool {
        let mut same = self.same_key(grant).map(|other| &other.extent);
        match &grant.extent {
            Extent::Rank(0) => true,
            Extent::Rank(rank) => same.any(|other| matches!(other, Extent::Rank(r) if r >= rank)),
            Extent::Same(_) => same.any(|other| *other == grant.extent),
            Extent::Bits(bits) => same.any(|o| matches!(o, Extent::Bits(b) if bits & !b == 0)),
            Extent::Numbers(ranges) => ranges.iter().all(|(first, last)| {
                let theirs = self.numbers.get(grant.key.as_str());
                let theirs = theirs.map_or(&[][..], Vec::as_slice);
                let after = theirs.partition_point(|(from, _)| from <= first);
                let at = after.checked_sub(1).and_then(|at| theirs.get(at));
                at.is_some_and(|(_, to)| last <= to)
            }),
            Extent::Bounds(bounds) => same.any(|other| {
                matches!(other, Extent::Bounds(theirs) if theirs.iter().all(|(name, most)| {
                    bounds.get(name).is_some_and(|bound| bound <= most)
                }))
            }),
            Extent::Trees(trees) => trees.iter().all(|tree| self.forest.covers(tree)),
            // By the words of the paths: what a link leads to is another place.
            Extent::Below(paths) => same.any(|other| {
                let holds = |path: &PathBuf, theirs: &[PathBuf]| {
                    theirs.iter().any(|above| path.starts_with(above))
                };
                matches!(other, Extent::Below(theirs) if paths.iter().all(|path| holds(path, theirs)))
            }),
            // The whole of a network of somebody else's holds all that can be reached there.
            Extent::Reach(rule, except, within) => {
                let whole = self.by_key.get("network").into_iter().flatten();
                let mut whole = whole.map(|other| &other.extent);
                whole.any(|other| matches!(other, Extent::Rank(rank) if rank >= within))
                    || same.any(|other| {
                        matches!(other, Extent::Reach(theirs, but, _) if rule.is_within(theirs)
                        && but.iter().all(|but| {
                            !but.meets(rule) || except.iter().any(|own| but.is_within(own))
                        }))
                    })
            }
            Extent::Arguments(arguments) => {
                !arguments.some()
                    || same.any(|o| matches!(o, Extent::Arguments(a) if a.covers(arguments)))
            }
            Extent::Names(names) => {
                let plain = self.plain.get(names.pattern.as_str()).into_iter().flatten();
                let patterns = self.patterns.iter().map(|(other, _)| other);
                plain.chain(patterns).any(|other| other.covers(names))
            }
        }
    }

    /// What the list says that comes nearest to a grant that it does not cover.
    fn instead(&self, grant: &Grant) -> Option<Instead<'g>> {
        match &grant.extent {
            Extent::Trees(trees) => {
                let tree = trees.iter().find(|tree| !self.forest.covers(tree))?;
                let (over, hole) = self.forest.nearest(tree)?;
                match hole {
                    Some(hole) => Some(Instead::Hidden(hole)),
                    None => {
                        let grant = self.trees.get(&(over as *const Tree))?;
                        Some(Instead::Less(grant))
                    }
                }
            }
            Extent::Names(names) => self
                .patterns
                .iter()
                .find(|(other, _)| within(&names.pattern, &other.pattern))
                .map(|(_, grant)| Instead::Less(grant)),
            // A ladder has one step; of several sets, none alone is what is permitted instead.
            _ => self.same_key(grant).next().map(Instead::Less),
        }
    }
}

fn trees(grants: &[Grant]) -> impl Iterator<Item = (&Tree, &Grant)> {
    let with_trees = grants.iter().filter_map(|grant| match &grant.extent {
        Extent::Trees(trees) => Some((trees, grant)),
        _ => None,
    });
    with_trees.flat_map(|(trees, grant)| trees.iter().map(move |tree| (tree, grant)))
}

/// The same numbers as ranges that do not touch.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match out.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => out.push((first, last)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::grant::Area;
    use super::*;

    fn grant(key: &str, extent: Extent, share: u32) -> Grant {
        let origin = Origin::Default("test");
        Grant::new(Area::Network, key, extent, format!("do {key}"), &origin).share(share)
    }

    #[test]
    fn every_extent_has_its_order() {
        use Extent::{Bits, Numbers, Rank, Same};
        let covers = |one: Extent, other: Extent| {
            beyond(&[grant("k", other, 1)], &[grant("k", one, 1)]).is_empty()
        };
        assert!(covers(Rank(2), Rank(1)) && !covers(Rank(1), Rank(2)));
        assert!(covers(Same("/a".into()), Same("/a".into())));
        assert!(!covers(Same("/a".into()), Same("/b".into())));
        assert!(!covers(Rank(u64::MAX), Same("/b".into())));
        assert!(!covers(Same("/b".into()), Rank(1)));
        assert!(covers(Bits(0b11), Bits(0b10)) && !covers(Bits(0b11), Bits(0b100)));
        let bounds = |all: &[(&str, u64)]| {
            Extent::Bounds(
                all.iter()
                    .map(|(n, most)| ((*n).to_owned(), *most))
                    .collect(),
            )
        };
        assert!(covers(bounds(&[]), bounds(&[("a", 9)])));
        assert!(covers(bounds(&[("a", 9)]), bounds(&[("a", 9), ("b", 1)])));
        assert!(!covers(bounds(&[("a", 9)]), bounds(&[])));
        assert!(!covers(bounds(&[("a", 9)]), bounds(&[("a", 10)])));
        assert!(!covers(bounds(&[("a", 9)]), bounds(&[("b", 9)])));
        assert!(covers(Numbers(vec![(0, 3), (4, 9)]), Numbers(vec![(2, 5)])));
        assert!(!covers(
            Numbers(vec![(0, 3), (5, 9)]),
            Numbers(vec![(2, 5)])
        ));
    }

    #[test]
    fn what_is_not_mentioned_is_not_permitted() {
        assert_eq!(beyond(&[grant("k", Extent::Rank(1), 1)], &[]).len(), 1);
        assert!(beyond(&[grant("k", Extent::Rank(0), 1)], &[]).is_empty());
    }

    #[test]
    fn members_of_a_kind_are_one_sentence_and_the_worst_comes_first() {
        let member = |item: &str| grant(item, Extent::Rank(1), 3).one_of("call", item);
        let grants = [
            grant("least", Extent::Rank(1), 1),
            member("a"),
            grant("worst", Extent::Rank(1), 9),
            member("b"),
        ];
        let found = beyond(&grants, &[]);
        let words: Vec<_> = found.iter().map(Excess::words).collect();
        assert_eq!(words, ["do worst", "call: a, b", "do least"]);
    }
}
