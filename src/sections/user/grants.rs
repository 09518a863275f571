//! Who the command may be on the host.

use super::{Id, Map, User};
use crate::diag::{At, Origin};
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
            of_account,
            uid_map,
            gid_map,
        } = self;
        let mut grants = Vec::new();
        let new = profile.namespaces.user.value.is_new();
        let own = |id: &Option<At<Id>>| id.iter().cloned().collect::<Vec<_>>();
        let in_groups = own(gid).into_iter().chain(groups.iter().cloned());
        for (map, what, key, ids) in [
            (uid_map, "user", "uid", own(uid)),
            (gid_map, "group", "gid", in_groups.collect()),
        ] {
            let ranges = match &map.value {
                _ if !new => {
                    // Without a map, an id inside is that of the namespace.
                    grants.extend(
                        ids.iter()
                            .map(|id| has(&id.value, 0, what, key, &id.origin)),
                    );
                    if let Some(origin) = of_account.as_ref().filter(|_| what == "group") {
                        let user = uid
                            .as_ref()
                            .map_or("nobody".to_owned(), |uid| uid.value.to_string());
                        let words = format!("have the host's groups of {user}");
                        let extent = Extent::Same(words.clone());
                        let key = "user:groups";
                        let grant = Grant::new(Area::Identity, key, extent, words, origin);
                        grants.push(grant.share(2_000));
                    }
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
                let (extent, ids) = outside(&value.outside, 0, value.count, what);
                let key = format!("user:{key}_map");
                let grant = Grant::new(Area::Identity, key, extent, format!("take {ids}"), origin);
                let is_root = value.outside.number() == Some(0);
                grants.push(grant.share(if is_root { 8_000 } else { 1_000 }));
            }
            if let Some(origin) = of_account.as_ref().filter(|_| what == "group") {
                // Which groups those are, the machine decides: any that the map holds.
                for At { value: range, .. } in ranges {
                    let (extent, ids) = outside(&range.outside, 0, range.count, what);
                    let key = format!("user:{key}");
                    let words = format!("have any of {ids}");
                    let grant = Grant::new(Area::Identity, key, extent, words, origin);
                    grants.push(grant.share(1_000));
                }
            }
            let first = ranges
                .first()
                .map(|range| At::new(Id::Number(range.value.inside), range.origin.clone()));
            let main = if ids.is_empty() || (what == "group" && gid.is_none()) {
                first
            } else {
                None
            };
            for id in main.iter().chain(&ids) {
                for At { value: range, .. } in ranges {
                    match id.value.number() {
                        Some(number) if range.holds(number) => {
                            let at = number - range.inside;
                            grants.push(has(&range.outside, at, what, key, &id.origin));
                        }
                        // An id that the map does not hold is refused.
                        Some(_) => {}
                        // What a name stands for is not known: it may be any.
                        None => {
                            let (extent, ids) = outside(&range.outside, 0, range.count, what);
                            let key = format!("user:{key}");
                            let words = format!("have one of {ids}");
                            let grant = Grant::new(Area::Identity, key, extent, words, &id.origin);
                            grants.push(grant.share(1_000));
                        }
                    }
                }
            }
        }
        grants
    }
}

/// Ids of the host, from `at` after one of them on, and what they are called.
fn outside(first: &Id, at: u32, count: u32, what: &str) -> (Extent, String) {
    let Some(number) = first.number() else {
        // Contained in nothing but itself: which number it is, the machine decides.
        let behind = match (at, count) {
            (0, 0 | 1) => String::new(),
            (0, count) => format!(" and the {} behind it", count - 1),
            (at, _) => format!(", {at} behind it"),
        };
        let ids = format!("the host's {what} id of {first}{behind}");
        return (Extent::Same(ids.clone()), ids);
    };
    let first = u64::from(number) + u64::from(at);
    let last = first + u64::from(count.max(1)) - 1;
    let ids = if first == last {
        format!("the host's {what} id {first}")
    } else {
        format!("the host's {what} ids {first} to {last}")
    };
    (Extent::Numbers(vec![(first, last)]), ids)
}

fn has(id: &Id, at: u32, what: &str, key: &str, origin: &Origin) -> Grant {
    let (extent, ids) = outside(id, at, 1, what);
    let is_root = at == 0 && id.number() == Some(0);
    let share = if is_root { 10_000 } else { 1_000 };
    let key = format!("user:{key}");
    Grant::new(Area::Identity, key, extent, format!("have {ids}"), origin).share(share)
}
