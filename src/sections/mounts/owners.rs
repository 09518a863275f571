//! `idmap` as a list: whose the files of a bind are inside, id by id.

use super::Mount;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::Idmap;
use crate::plan::op::{IdRange, IdmapNeed, Ids};
use crate::profile::node::{Content, Node};
use crate::profile::shape::Kind;
use crate::profile::table::{List, Value};
use crate::review::{Area, Extent, Grant};
use crate::sections::user::Identity;
use crate::sys::mount::Attributes;

crate::table! {
    /// Ids of owners in a source, and who they are inside.
    struct RawMapped as "a range of owners" {
        /// The first id in the source: of a user, and of a group.
        source: u32; required 1000,
        /// The first id inside. The maps under `[user]` have to hold it.
        inside: u32; required 0,
        /// How many ids.
        count: u32 = 1,
    }
}

/// `true`, `false`, or which ids are which.
#[derive(Clone, Debug)]
pub enum RawIdmap {
    /// Whether the owner of the source appears as the command.
    Flag(bool),
    /// As written.
    Ranges(Vec<At<Mapped>>),
}

/// A range of owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    source: u32,
    inside: u32,
    count: u32,
}

impl Value for RawIdmap {
    const KIND: Kind = Kind::Either(&[bool::KIND, Kind::List(&RawMapped::KIND)]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.value, Content::Array(_)) {
            return bool::read(node, problems).map(Self::Flag);
        }
        let ranges = List::<RawMapped>::read(node, problems)?.0.into_iter();
        let ranges = ranges.map(|At { value, origin }| {
            let mapped = Mapped {
                source: value.source?.value,
                inside: value.inside?.value,
                count: value.count.value,
            };
            Some(At::new(mapped, origin))
        });
        ranges.collect::<Option<_>>().map(Self::Ranges)
    }
}

/// The flag, and the ranges, where there are any.
pub(super) fn check(
    raw: Option<At<RawIdmap>>,
    problems: &mut Diagnostics,
) -> (Option<At<bool>>, Vec<At<Mapped>>) {
    let Some(At { value, origin }) = raw else {
        return (None, Vec::new());
    };
    let ranges = match value {
        RawIdmap::Flag(flag) => return (Some(At::new(flag, origin)), Vec::new()),
        RawIdmap::Ranges(ranges) => ranges,
    };
    let wrong = |place: &Origin, text: &str| {
        Diagnostic::new(Code::BadIds, place, text)
            .help("for example: idmap = [{ source = 1000, inside = 0 }, { source = 2000, inside = 1, count = 10 }]")
    };
    if ranges.is_empty() || ranges.len() > 340 {
        problems.push(wrong(&origin, "a map of owners has 1 to 340 ranges"));
    }
    let end = |first: u32, count: u32| u64::from(first) + u64::from(count);
    for (number, range) in ranges.iter().enumerate() {
        let r = &range.value;
        let largest = u64::from(u32::MAX);
        if r.count == 0 || end(r.source, r.count) > largest || end(r.inside, r.count) > largest {
            problems.push(wrong(
                &range.origin,
                "an empty range, or one beyond the largest id",
            ));
            continue;
        }
        let overlap =
            |a: u32, b: u32, of: u32| u64::from(a) < end(b, of) && u64::from(b) < end(a, r.count);
        let earlier = ranges.iter().take(number).find(|earlier| {
            let e = &earlier.value;
            overlap(r.source, e.source, e.count) || overlap(r.inside, e.inside, e.count)
        });
        if let Some(earlier) = earlier {
            problems.push(
                wrong(&range.origin, "ranges of owners that overlap")
                    .and(&earlier.origin, "with this one"),
            );
        }
    }
    (Some(At::new(true, origin)), ranges)
}

/// The map of a mount whose owners are said one by one; where it cannot be had, the refusal is in the draft.
pub(super) fn map(mount: &Mount, identity: &Identity, draft: &mut Draft<'_>) -> Option<Idmap> {
    let mut map = Idmap {
        users: Vec::new(),
        groups: Vec::new(),
        need: IdmapNeed::Required,
    };
    for At { value, origin } in &mount.owners {
        if !identity.maps_owners {
            let text = "only root can say who the owners of a mount are";
            draft.refuse(origin, text, "run as root, or remove `idmap`");
            return None;
        }
        let sides = [
            (Ids::User, "uid", &mut map.users),
            (Ids::Group, "gid", &mut map.groups),
        ];
        for (ids, what, ranges) in sides {
            let Some(outside) = identity.outside(ids, value.inside, value.count) else {
                let last = u64::from(value.inside) + u64::from(value.count) - 1;
                let text = format!(
                    "the id map has no range that holds {what} {} to {last}",
                    value.inside
                );
                let help =
                    format!("choose ids that the map holds, or widen `{what}_map` under [user]");
                draft.problem(Diagnostic::new(Code::OutsideMap, origin, text).help(help));
                return None;
            };
            ranges.push(IdRange {
                inside: value.source,
                outside,
                count: value.count,
            });
        }
    }
    Some(map)
}

/// As whom the command, and who else is inside, may act on the files of a source.
pub(super) fn grants(mount: &Mount) -> impl Iterator<Item = Grant> {
    let path = mount.shown().value.display().to_string();
    let writes = !mount.attributes.contains(Attributes::READ_ONLY) && mount.aside.is_none();
    mount.owners.iter().map(move |At { value, origin }| {
        let first = u64::from(value.source);
        let last = first + u64::from(value.count.max(1)) - 1;
        let verb = if writes { "own and make" } else { "own" };
        let words = format!("{verb} files of the ids {first} to {last} in {path}");
        let extent = Extent::Numbers(vec![(first, last)]);
        let key = format!("owners:{path}");
        let share = match (writes, first) {
            (true, 0) => 2_000,
            (true, _) => 200,
            (false, _) => 50,
        };
        Grant::new(Area::Filesystem, key, extent, words, origin).share(share)
    })
}
