//! Id maps as they are written, and what can be wrong with them on any machine.

use super::account::Id;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::IdRange;
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{List, Value, read_string};

crate::table! {
    /// A line of an id map.
    struct RawRange as "a range of ids" {
        /// The first id inside.
        inside: u32; required 0,
        /// The first id outside: a number, or the name of a user or a group of the host.
        outside: Id; required 100000,
        /// How many ids.
        count: u32 = 1,
    }
}

/// How ids are mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Map {
    /// One id: the command's.
    Own,
    /// One id: 0.
    Root,
    /// 0 and subordinate ids.
    Auto,
    /// As written.
    Ranges(Vec<At<Range>>),
}

/// A line of an id map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: Id,
    /// How many ids.
    pub count: u32,
}

impl Range {
    /// With numbers only, if they are known.
    #[must_use]
    pub fn numbered(&self) -> Option<IdRange> {
        Some(IdRange {
            inside: self.inside,
            outside: self.outside.number()?,
            count: self.count,
        })
    }

    /// Whether it holds an id inside.
    pub(super) fn holds(&self, id: u32) -> bool {
        id.checked_sub(self.inside)
            .is_some_and(|at| at < self.count)
    }
}

impl Map {
    /// Whether the map holds an id inside; not known where it depends on the command or the caller.
    #[must_use]
    pub fn holds(&self, id: u32) -> Option<bool> {
        match self {
            Self::Own | Self::Auto => None,
            Self::Root => Some(id == 0),
            Self::Ranges(ranges) => Some(ranges.iter().any(|range| range.value.holds(id))),
        }
    }

    /// Whether it holds a single id, so that there is none to change to.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Own | Self::Root => true,
            Self::Auto => false,
            Self::Ranges(ranges) => matches!(&ranges[..], [only] if only.value.count == 1),
        }
    }
}

impl Value for Map {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[
            Word {
                word: "self",
                doc: &["One id: the command's, onto the caller's."],
            },
            Word {
                word: "root",
                doc: &["One id: 0, onto the caller's."],
            },
            Word {
                word: "auto",
                doc: &["0 and the caller's subordinate ids."],
            },
        ]),
        Kind::List(&RawRange::KIND),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = match &node.value {
            Content::Array(_) => {
                let ranges = List::<RawRange>::read(node, problems)?.0;
                return ranges
                    .into_iter()
                    .map(range_of)
                    .collect::<Option<_>>()
                    .map(Self::Ranges);
            }
            Content::String(_) => read_string(node, problems)?,
            other => other.kind().to_owned(),
        };
        match text.as_str() {
            "self" => Some(Self::Own),
            "root" => Some(Self::Root),
            "auto" => Some(Self::Auto),
            other => {
                problems.push(
                    Diagnostic::new(Code::WrongValue, &origin, format!("`{other}` is no id map"))
                        .help("\"self\", \"root\", \"auto\", or [{ inside = 0, outside = 100000, count = 65536 }]"),
                );
                None
            }
        }
    }
}

fn range_of(range: At<RawRange>) -> Option<At<Range>> {
    let At { value: raw, origin } = range;
    let range = Range {
        inside: raw.inside?.value,
        outside: raw.outside?.value,
        count: raw.count.value,
    };
    Some(At::new(range, origin))
}

/// Ranges must not be empty, leave the space of ids, or overlap on either side.
///
/// Where only names are known outside, that is found out when they are looked up.
pub(super) fn check_ranges(ranges: &[At<Range>], map: &Origin, problems: &mut Diagnostics) {
    if ranges.is_empty() || ranges.len() > 340 {
        problems.push(
            Diagnostic::new(Code::BadIds, map, "an id map has 1 to 340 ranges")
                .help("for example: [{ inside = 0, outside = 100000, count = 65536 }]"),
        );
    }
    for (index, range) in ranges.iter().enumerate() {
        let (r, outside) = (&range.value, range.value.outside.number());
        let end = |first: u32| u64::from(first) + u64::from(r.count);
        if r.count == 0
            || end(r.inside) > u64::from(u32::MAX)
            || outside.is_some_and(|outside| end(outside) > u64::from(u32::MAX))
        {
            problems.push(
                Diagnostic::new(
                    Code::BadIds,
                    &range.origin,
                    "an empty range, or one beyond the largest id",
                )
                .help("ids go from 0 to 4294967294, and `count` is 1 or more"),
            );
            continue;
        }
        for earlier in ranges.iter().take(index) {
            let e = &earlier.value;
            let overlap = |a: u32, b: u32| {
                u64::from(a) < u64::from(b) + u64::from(e.count)
                    && u64::from(b) < u64::from(a) + u64::from(r.count)
            };
            let outside = outside.zip(e.outside.number());
            let outside = outside.is_some_and(|(r, e)| overlap(r, e));
            let side = match (overlap(r.inside, e.inside), outside) {
                (true, _) => "inside",
                (_, true) => "outside",
                _ => continue,
            };
            problems.push(
                Diagnostic::new(
                    Code::BadIds,
                    &range.origin,
                    format!("ranges of ids that overlap {side}"),
                )
                .and(&earlier.origin, "with this one")
                .help("every id may be mapped once, on either side"),
            );
        }
    }
}
