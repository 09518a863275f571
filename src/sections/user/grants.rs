//! Who the command may be on the host.

use super::{Map, User, to_outside};
use crate::diag::{At, Origin};
use crate::plan::op::IdRange;
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;

impl User {
    /// Which ids of the host the command may take, and which it has.
    ///
    /// The ids inside count only for what they are outside. With the maps `self`, `root` and `auto`
    /// that is the caller's own, its subordinate ones, or nobody's: the least that there is. A plain
    /// user's supplementary groups stay in force where nothing can drop them: that is no grant of a
    /// profile, and the run says so.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            uid,
            gid,
            groups,
            uid_map,
            gid_map,
        } = self;
        let mut grants = Vec::new();
        let new = profile.namespaces.user.value.is_new();
        let own = |id: &Option<At<u32>>| id.iter().cloned().collect::<Vec<_>>();
        let in_groups = own(gid).into_iter().chain(groups.iter().cloned());
        for (map, what, key, ids) in [
            (uid_map, "user", "uid", own(uid)),
            (gid_map, "group", "gid", in_groups.collect()),
        ] {
            let ranges = match &map.value {
                _ if !new => {
                    // Without a map, an id inside is that of the namespace.
                    grants.extend(ids.iter().map(|id| has(id.value, what, key, &id.origin)));
                    continue;
                }
                Map::Own | Map::Root | Map::Auto => {
                    let (rank, words) = match map.value {
                        Map::Auto => (1, format!("take {what} ids that are the caller's")),
                        _ => (0, format!("have one {what} id only")),
                    };
                    let key = format!("user:{key}_map");
                    let grant = Grant::rank(Area::Identity, key, rank, words, &map.origin);
                    grants.push(grant.share(if rank == 0 { 0 } else { 300 }));
                    continue;
                }
                Map::Ranges(ranges) => ranges,
            };
            for At { value, origin } in ranges {
                let first = u64::from(value.outside);
                let last = first + u64::from(value.count.max(1)) - 1;
                let words = if first == last {
                    format!("take the host's {what} id {first}")
                } else {
                    format!("take the host's {what} ids {first} to {last}")
                };
                let extent = Extent::Numbers(vec![(first, last)]);
                let key = format!("user:{key}_map");
                let grant = Grant::new(Area::Identity, key, extent, words, origin);
                grants.push(grant.share(if first == 0 { 8_000 } else { 1_000 }));
            }
            let plain: Vec<IdRange> = ranges.iter().map(|range| range.value).collect();
            let first = ranges
                .first()
                .map(|range| At::new(range.value.inside, range.origin.clone()));
            let main = if ids.is_empty() || (what == "group" && gid.is_none()) {
                first
            } else {
                None
            };
            for id in main.iter().chain(&ids) {
                // An id that the map does not hold is refused.
                if let Some(outside) = to_outside(&plain, id.value) {
                    grants.push(has(outside, what, key, &id.origin));
                }
            }
        }
        grants
    }
}

fn has(id: u32, what: &str, key: &str, origin: &Origin) -> Grant {
    let extent = Extent::Numbers(vec![(id.into(), id.into())]);
    let words = format!("have the host's {what} id {id}");
    let share = if id == 0 { 10_000 } else { 1_000 };
    Grant::new(Area::Identity, format!("user:{key}"), extent, words, origin).share(share)
}
