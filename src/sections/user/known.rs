//! What is known about ids and maps without a machine.

use super::account::numbers;
use super::{Identity, Map, User, holds};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::op::Ids;
use crate::sections::Profile;
use crate::sections::namespaces::Choice;

impl User {
    /// Maps need a new user namespace; ids have to be in the maps that are known without a machine.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let namespace = &profile.namespaces.user;
        if !namespace.value.is_new() {
            for problem in self.without_namespace(namespace) {
                problems.push(problem);
            }
            return;
        }
        let groups = numbers(self.gid.iter().chain(&self.groups));
        let users = numbers(&self.uid).into_iter();
        let users = users.map(|id| (id, &self.uid_map, "uid"));
        let groups = groups.into_iter().map(|id| (id, &self.gid_map, "gid"));
        for (id, map, what) in users.chain(groups) {
            // The largest one is refused as what it is.
            if id.value != u32::MAX && map.value.holds(id.value) == Some(false) {
                problems.push(outside(&id, map, what));
            }
        }
        for map in [&self.uid_map, &self.gid_map] {
            let Map::Ranges(ranges) = &map.value else {
                continue;
            };
            for range in ranges
                .iter()
                .filter(|r| r.value.outside.number() == Some(0))
            {
                problems.push(
                    Diagnostic::new(
                        Code::MapsHostRoot,
                        &range.origin,
                        "an id inside is 0 outside: what belongs to root there belongs to the command",
                    )
                    .help("map onto ids that belong to nobody, for example outside = 100000"),
                );
            }
        }
    }

    /// An id inside of something that the sandbox makes has to be in a map that is known without a machine.
    pub fn knows(&self, ids: Ids, id: &At<u32>, problems: &mut Diagnostics) {
        let (map, what) = self.map_of(ids);
        if id.value == u32::MAX {
            problems.push(no_id(&id.origin));
        } else if map.value.holds(id.value) == Some(false) {
            problems.push(outside(id, map, what));
        }
    }

    /// The same for the map of this machine.
    pub fn holds(&self, ids: Ids, id: &At<u32>, identity: &Identity, draft: &mut Draft<'_>) {
        let (map, what) = self.map_of(ids);
        let ranges = match ids {
            Ids::User => &identity.users,
            Ids::Group => &identity.groups,
        };
        // Without a namespace of its own the sandbox has every id.
        let known = ranges.is_empty() || ranges.iter().any(|range| holds(range, id.value));
        // What no map can hold was said before.
        if !known && map.value.holds(id.value) != Some(false) {
            draft.problem(outside(id, map, what));
        }
    }

    fn map_of(&self, ids: Ids) -> (&At<Map>, &'static str) {
        match ids {
            Ids::User => (&self.uid_map, "uid"),
            Ids::Group => (&self.gid_map, "gid"),
        }
    }

    pub(super) fn without_namespace(&self, namespace: &At<Choice>) -> Vec<Diagnostic> {
        let mut maps = vec![&self.uid_map, &self.gid_map];
        // A group map that follows the user map has its place.
        maps.dedup_by_key(|map| &map.origin);
        maps.retain(|map| !map.origin.is_default());
        let problem = |map: &At<Map>| {
            Diagnostic::new(
                Code::MapWithoutUser,
                &map.origin,
                "id maps need a new user namespace",
            )
            .and(&namespace.origin, "not new here")
            .help("write `user = \"new\"` under [namespaces], or remove the map")
        };
        maps.into_iter().map(problem).collect()
    }

    /// Whether the command is 0 inside, as far as that is known without a machine.
    #[must_use]
    pub fn is_root_inside(&self) -> bool {
        match (&self.uid, &self.uid_map.value) {
            (Some(uid), _) => uid.value.number() == Some(0),
            (None, Map::Own) => false,
            (None, Map::Root | Map::Auto) => true,
            (None, Map::Ranges(ranges)) => ranges.first().is_some_and(|r| r.value.inside == 0),
        }
    }
}

/// `(uid_t) -1`.
pub(super) fn no_id(origin: &Origin) -> Diagnostic {
    Diagnostic::new(Code::BadIds, origin, "4294967295 stands for no id at all")
        .help("choose a smaller one")
}

/// An id that a map does not hold.
pub(super) fn outside(id: &At<u32>, map: &At<Map>, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::OutsideMap,
        &id.origin,
        format!("the id map holds no {what} {}", id.value),
    )
    .and(&map.origin, "the map")
    .help(format!(
        "choose a {what} that the map holds, or widen the map"
    ))
}
