//! `[user]`: who the command is, inside and outside (user_namespaces(7)).

mod account;
mod grants;
mod known;
mod map;

pub use map::Map;

use account::{Groups, Id, number, numbers};
use known::{no_id, outside};
use map::check_ranges;

use super::{Profile, namespaces::Choice, split};
use crate::diag::{At, Diagnostics, Origin};
use crate::host::Host;
use crate::host::accounts::Accounts;
use crate::host::caller::auto;
use crate::host::probe::Mechanism;
use crate::plan::layout::Idmap;
use crate::plan::op::{IdRange, IdmapNeed, Ids, MapWriter, Op};
use crate::plan::{Draft, Phase};

crate::table! {
    /// Who the command is.
    ///
    /// ```toml
    /// [user]
    /// uid = "www-data"
    /// uid_map = "auto"
    /// ```
    pub struct RawUser as "[user]" {
        /// The user id inside: a number, or the name of a user in the /etc/passwd of the root, where
        /// that is a directory or is unpacked, else of the host. Default: the caller's; 1000 when root calls;
        /// with the maps `"root"` and `"auto"` 0.
        uid: Id,
        /// The group id inside, or the name of a group. Default: the group of the user that `uid`
        /// names, else as for `uid`.
        gid: Id,
        /// The supplementary group ids inside, or their names; or `"account"`, for every group that names the user of
        /// `uid` as a member in the /etc/group of where that user is looked up. Default: none.
        groups: Groups,
        /// `"self"` (the default): the one id of the command. `"root"`: the one id 0. `"auto"`:
        /// 0 and the caller's subordinate ids above it. Or a list of `{ inside, outside, count }`.
        uid_map: Map,
        /// The same for groups. Default: as `uid_map`, where that is a word.
        gid_map: Map,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct User {
    uid: Option<At<Id>>,
    gid: Option<At<Id>>,
    groups: Vec<At<Id>>,
    /// The line that asks for the groups of the account, in their place.
    of_account: Option<Origin>,
    uid_map: At<Map>,
    gid_map: At<Map>,
}

/// Who the command is on this machine.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The user id inside.
    pub uid: u32,
    /// The group id inside.
    pub gid: u32,
    /// The map of users; empty where no user namespace is made.
    pub users: Vec<IdRange>,
    /// The map of groups.
    pub groups: Vec<IdRange>,
    /// Whether the outside may map owners of mounts.
    pub maps_owners: bool,
    /// Whether setgroups(2) works inside.
    setgroups: bool,
    user_writer: Option<MapWriter>,
    group_writer: Option<MapWriter>,
}

impl Identity {
    /// How the owner of a source is mapped so that it is the command's own inside.
    #[must_use]
    pub fn owner_map(&self, uid: u32, gid: u32, need: IdmapNeed) -> Option<Idmap> {
        let users = to_outside(&self.users, self.uid)?;
        let groups = to_outside(&self.groups, self.gid)?;
        if !self.maps_owners || (users, groups) == (uid, gid) {
            return None;
        }
        let one = |inside, outside| {
            vec![IdRange {
                inside,
                outside,
                count: 1,
            }]
        };
        Some(Idmap {
            users: one(uid, users),
            groups: one(gid, groups),
            need,
        })
    }

    /// The id outside of the first of some ids inside that lie in one range of the map.
    #[must_use]
    pub fn outside(&self, ids: Ids, first: u32, count: u32) -> Option<u32> {
        let map = match ids {
            Ids::User => &self.users,
            Ids::Group => &self.groups,
        };
        // Without a namespace of its own, ids are what they are.
        if map.is_empty() {
            return Some(first);
        }
        let last = first.checked_add(count.checked_sub(1)?)?;
        let range = map.iter().find(|range| holds(range, first))?;
        holds(range, last).then(|| first - range.inside + range.outside)
    }

    /// Whether setgroups(2) works inside.
    #[must_use]
    pub fn sets_groups(&self) -> bool {
        self.setgroups
    }

    /// How the owners in a whole root are mapped: as the ids of the same number inside.
    #[must_use]
    pub fn root_map(&self, need: IdmapNeed) -> Option<Idmap> {
        let shifts = |ranges: &[IdRange]| ranges.iter().any(|r| r.inside != r.outside);
        (self.maps_owners && (shifts(&self.users) || shifts(&self.groups))).then(|| Idmap {
            users: self.users.clone(),
            groups: self.groups.clone(),
            need,
        })
    }
}

impl Identity {
    /// The owner of what init makes, as the file system has it under a map of a mount.
    #[must_use]
    pub fn on_disk(&self, idmap: Option<&Idmap>) -> (u32, u32) {
        let disk = |map: &[IdRange], ids: Option<&[IdRange]>, id| {
            let outside = to_outside(map, id).unwrap_or(id);
            let range = ids.into_iter().flatten();
            let mut range = range.filter(|r| {
                outside >= r.outside
                    && u64::from(outside) < u64::from(r.outside) + u64::from(r.count)
            });
            range
                .next()
                .map_or(outside, |r| outside - r.outside + r.inside)
        };
        (
            disk(&self.users, idmap.map(|map| &map.users[..]), self.uid),
            disk(&self.groups, idmap.map(|map| &map.groups[..]), self.gid),
        )
    }
}

fn to_outside(map: &[IdRange], id: u32) -> Option<u32> {
    map.iter()
        .find(|r| holds(r, id))
        .map(|r| id - r.inside + r.outside)
}

fn holds(range: &IdRange, id: u32) -> bool {
    id >= range.inside && u64::from(id) < u64::from(range.inside) + u64::from(range.count)
}

impl User {
    /// Checks ids and ranges.
    pub fn check(raw: Option<At<RawUser>>, problems: &mut Diagnostics) -> Self {
        let (raw, _) = split(raw, "user");
        let uid_map = raw
            .uid_map
            .unwrap_or_else(|| At::default_of("user.uid_map", Map::Own));
        let gid_map = raw.gid_map.unwrap_or_else(|| match &uid_map.value {
            Map::Ranges(_) => At::default_of("user.gid_map", Map::Own),
            word => At::new(word.clone(), uid_map.origin.clone()),
        });
        for map in [&uid_map, &gid_map] {
            if let Map::Ranges(ranges) = &map.value {
                check_ranges(ranges, &map.origin, problems);
            }
        }
        let (groups, of_account) = match raw.groups {
            None => (Vec::new(), None),
            Some(At { value, origin }) => match value {
                Groups::Ids(groups) => (groups, None),
                Groups::Account => (Vec::new(), Some(origin)),
            },
        };
        let user = Self {
            uid: raw.uid,
            gid: raw.gid,
            groups,
            of_account,
            uid_map,
            gid_map,
        };
        for id in user.uid.iter().chain(&user.gid).chain(&user.groups) {
            if id.value == Id::Number(u32::MAX) {
                problems.push(no_id(&id.origin));
            }
        }
        user
    }

    /// The map of users and the map of groups.
    #[must_use]
    pub fn maps(&self) -> [&At<Map>; 2] {
        [&self.uid_map, &self.gid_map]
    }

    /// Takes the user that something else than the profile proposes, unless the profile names one: a user,
    /// and after a colon a group, else the group of that user. Names and groups are looked up in the accounts
    /// of the root, where it is there.
    pub fn propose(&mut self, text: &str, accounts: Option<&Accounts>, line: &Origin) {
        if self.uid.is_some() {
            return;
        }
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let number = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
        let account = accounts.and_then(|accounts| match number(user) {
            None => accounts.user(user),
            Some(uid) => accounts.user(accounts.name(uid)?),
        });
        let account = account.filter(|(uid, gid)| *uid != u32::MAX && *gid != u32::MAX);
        let at = |id| At::new(id, line.clone());
        let named = |text: &str| Id::Name(text.to_owned());
        self.uid = match (number(user), account) {
            (Some(uid), _) | (None, Some((uid, _))) => Some(at(Id::Number(uid))),
            // The lookup says that there is no such account.
            _ => accounts.map(|_| at(named(user))),
        };
        if self.gid.is_none() {
            self.gid = match (number(group), account) {
                (Some(gid), _) => Some(at(Id::Number(gid))),
                (None, Some((_, gid))) if group.is_empty() => Some(at(Id::Number(gid))),
                (None, _) if group.is_empty() => None,
                _ => accounts.map(|_| at(named(group))),
            };
        }
    }

    /// The same without the ids whose numbers stand in a root that is not there yet.
    #[must_use]
    pub fn without_names(&self) -> Self {
        let is_number = |id: &At<Id>| id.value.number().is_some();
        Self {
            uid: self.uid.clone().filter(is_number),
            gid: self.gid.clone().filter(is_number),
            groups: self
                .groups
                .iter()
                .filter(|id| is_number(id))
                .cloned()
                .collect(),
            of_account: None,
            ..self.clone()
        }
    }

    /// The maps of users and of groups, where both hold subordinate ids of the caller's.
    #[must_use]
    pub fn subordinate_maps(&self, host: &Host) -> Option<(Vec<IdRange>, Vec<IdRange>)> {
        let map = |ids, map: &Map, caller| match map {
            Map::Auto => Some(auto(caller, subordinate(host, ids))).filter(|all| all.len() > 1),
            Map::Ranges(ranges) => {
                let all: Option<Vec<_>> = ranges.iter().map(|r| r.value.numbered()).collect();
                all.filter(|_| !map.is_single())
            }
            Map::Own | Map::Root => None,
        };
        Some((
            map(Ids::User, &self.uid_map.value, host.caller.uid)?,
            map(Ids::Group, &self.gid_map.value, host.caller.gid)?,
        ))
    }

    /// Who the command is on this machine, where names have become numbers.
    pub fn identity(&self, profile: &Profile, draft: &mut Draft<'_>) -> Identity {
        let host = draft.host;
        let caller = &host.caller;
        if !profile.namespaces.user.value.is_new() {
            return self.identity_of_namespace(profile, draft);
        }
        let rights = caller.has_rights();
        let own = |map: &At<Map>, wanted: &Option<At<u32>>, id: u32| match (&map.value, wanted) {
            (_, Some(wanted)) => wanted.value,
            (Map::Root | Map::Auto, None) => 0,
            (Map::Ranges(ranges), None) => ranges.first().map_or(0, |r| r.value.inside),
            // Not 0: a root without capabilities breaks what a plain user does well (tar, npm).
            (Map::Own, None) if rights => 1000,
            (Map::Own, None) => id,
        };
        let (wanted_uid, wanted_gid) = (number(&self.uid), number(&self.gid));
        let uid = own(&self.uid_map, &wanted_uid, caller.uid);
        let gid = own(&self.gid_map, &wanted_gid, caller.gid);
        let (users, user_writer) = self.map(Ids::User, uid, draft).unwrap_or_default();
        let (groups, group_writer) = self.map(Ids::Group, gid, draft).unwrap_or_default();
        // What a namespace denies, all below it deny too.
        let denied = caller.setgroups_denied;
        let setgroups = !denied && (rights || matches!(group_writer, Some(MapWriter::Helper(_))));
        for (id, map, wanted, what) in [
            (uid, &users, &wanted_uid, "uid"),
            (gid, &groups, &wanted_gid, "gid"),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|_| !map.is_empty())
                && to_outside(map, id).is_none()
            {
                let map = if what == "uid" {
                    &self.uid_map
                } else {
                    &self.gid_map
                };
                draft.problem(outside(wanted, map, what));
            }
        }
        for group in &numbers(&self.groups) {
            if denied {
                draft.refuse(
                    &group.origin,
                    "the user namespace that this runs in denies supplementary groups (/proc/self/setgroups)",
                    "run outside of it, or remove `groups`",
                );
            } else if !setgroups {
                draft.refuse(
                    &group.origin,
                    "supplementary groups cannot be set by a plain user with a map of one id",
                    "write `gid_map = \"auto\"`, run as root, or remove `groups`",
                );
            } else if to_outside(&groups, group.value).is_none() {
                draft.problem(outside(group, &self.gid_map, "gid"));
            }
        }
        if !setgroups {
            let text = match denied {
                true => {
                    "the caller's supplementary groups stay in force: the user namespace that this runs in denies to drop them"
                }
                false => {
                    "the caller's supplementary groups stay in force: only root, or a map by newgidmap, can drop them"
                }
            };
            draft.note(&self.gid_map.origin, text);
        }
        let mut identity = Identity {
            uid,
            gid,
            users,
            groups,
            maps_owners: rights,
            setgroups,
            user_writer,
            group_writer,
        };
        profile.namespaces.agree(&identity, draft);
        if profile.namespaces.is_in_others_ids() {
            // They were written when it was made.
            identity.user_writer = None;
            identity.group_writer = None;
        }
        identity
    }

    /// Without a user namespace of its own, the command has ids of the namespace it is in.
    fn identity_of_namespace(&self, profile: &Profile, draft: &mut Draft<'_>) -> Identity {
        // Refused already, unless only this machine has no user namespaces.
        for problem in self.without_namespace(&profile.namespaces.user) {
            draft.problem(problem);
        }
        let caller = &draft.host.caller;
        let joined = matches!(profile.namespaces.user.value, Choice::Join(_));
        let default = |id| if joined { 0 } else { id };
        let (wanted_uid, wanted_gid) = (number(&self.uid), number(&self.gid));
        let value = |id: &At<u32>| id.value;
        let uid = wanted_uid.as_ref().map_or(default(caller.uid), value);
        let gid = wanted_gid.as_ref().map_or(default(caller.gid), value);
        let setgroups = joined || (caller.has_rights() && !caller.setgroups_denied);
        if !setgroups {
            let others = wanted_uid.iter().filter(|id| id.value != caller.uid);
            let others = others.chain(wanted_gid.iter().filter(|id| id.value != caller.gid));
            let groups = self.groups.iter().map(|group| &group.origin);
            for origin in others.map(|id| &id.origin).chain(groups) {
                draft.refuse(
                    origin,
                    "without a new user namespace, only root can take other ids",
                    "write `user = \"new\"` under [namespaces], or remove this",
                );
            }
        }
        Identity {
            uid,
            gid,
            setgroups,
            ..Identity::default()
        }
    }

    /// The lines of a map and who writes it.
    fn map(
        &self,
        ids: Ids,
        own: u32,
        draft: &mut Draft<'_>,
    ) -> Option<(Vec<IdRange>, Option<MapWriter>)> {
        let host = draft.host;
        let caller = &host.caller;
        let (map, caller_id, outer, what) = match ids {
            Ids::User => (&self.uid_map, caller.uid, &caller.uid_map, "uid"),
            Ids::Group => (&self.gid_map, caller.gid, &caller.gid_map, "gid"),
        };
        let count = if map.value == Map::Auto { 65_536 } else { 1 };
        let written = |ranges| Some((ranges, Some(MapWriter::Supervisor)));
        if let Map::Ranges(ranges) = &map.value {
            let ranges: Vec<_> = ranges.iter().filter_map(|r| r.value.numbered()).collect();
            let only_own =
                matches!(ranges[..], [IdRange { outside, count: 1, .. }] if outside == caller_id);
            if caller.has_rights() || only_own {
                return written(ranges);
            }
            let helper = helper(ids, map, draft)?;
            let held = subordinate(host, ids);
            for range in ranges
                .iter()
                .filter(|r| !(r.count == 1 && r.outside == caller_id))
            {
                let end = u64::from(range.outside) + u64::from(range.count);
                let ok = held.iter().any(|(first, count)| {
                    *first <= range.outside && end <= u64::from(*first) + u64::from(*count)
                });
                if !ok {
                    draft.refuse(
                        &map.origin,
                        format!(
                            "the caller holds no subordinate {what}s {} to {}",
                            range.outside,
                            end - 1
                        ),
                        format!("the caller's ranges in /etc/sub{what}: {}", shown(held)),
                    );
                }
            }
            return Some((ranges, Some(MapWriter::Helper(helper))));
        }
        if caller.has_rights() {
            let inside = if map.value == Map::Own { own } else { 0 };
            if let Some(outside) = caller.unprivileged_ids(outer, count) {
                return written(vec![IdRange {
                    inside,
                    outside,
                    count,
                }]);
            }
            // A namespace of one id, such as a rootless container: its root is nobody's root.
            if let [only] = outer[..]
                && only.outside != 0
                && count == 1
            {
                return written(vec![IdRange {
                    inside,
                    outside: caller_id,
                    count,
                }]);
            }
            let help = match outer[..] {
                [only] if only.outside == 0 && only.count == 1 => format!(
                    "its only {what} is 0 of the host: run this as a plain user, or outside of that namespace"
                ),
                _ => format!("write `{what}_map` as a list of ranges"),
            };
            draft.refuse(
                &map.origin,
                format!("this user namespace holds no {count} {what}(s) that belong to nobody"),
                help,
            );
            return None;
        }
        if caller_id == 0 {
            draft.refuse(
                &map.origin,
                format!("the caller is {what} 0 without the right to map another id, and {what} 0 is never mapped by default"),
                format!("give the caller CAP_SETUID, CAP_SETGID and CAP_SYS_ADMIN, or run as a plain user, or write `{what}_map = [{{ inside = 0, outside = 0 }}]`"),
            );
            return None;
        }
        if map.value != Map::Auto {
            return written(vec![IdRange {
                inside: if map.value == Map::Own { own } else { 0 },
                outside: caller_id,
                count: 1,
            }]);
        }
        let helper = helper(ids, map, draft)?;
        let held = subordinate(host, ids);
        if held.is_empty() {
            draft.refuse(
                &map.origin,
                format!("the caller has no subordinate {what}s"),
                format!("add a line to /etc/sub{what} (usermod --add-sub{what}s 100000-165535 NAME), or write `{what}_map = \"root\"`"),
            );
            return None;
        }
        Some((auto(caller_id, held), Some(MapWriter::Helper(helper))))
    }

    /// Writes the maps and takes the ids.
    pub fn steps(&self, identity: &Identity, profile: &Profile, draft: &mut Draft<'_>) {
        let maps = [
            (
                Ids::Group,
                &identity.groups,
                &identity.group_writer,
                &self.gid_map,
            ),
            (
                Ids::User,
                &identity.users,
                &identity.user_writer,
                &self.uid_map,
            ),
        ];
        let made = profile.namespaces.user.value.is_new() && !profile.namespaces.is_in_others_ids();
        if made && !identity.setgroups {
            draft.step(Phase::IdMaps, Op::DenySetgroups, &self.gid_map.origin);
        }
        for (ids, ranges, writer, map) in maps {
            if let Some(writer) = writer {
                let op = Op::WriteIdMap {
                    ids,
                    ranges: ranges.clone(),
                    writer: writer.clone(),
                };
                draft.step(Phase::IdMaps, op, &map.origin);
            }
        }
        let uid_origin = self
            .uid
            .as_ref()
            .map_or(&self.uid_map.origin, |uid| &uid.origin);
        let gid_origin = self
            .gid
            .as_ref()
            .map_or(&self.gid_map.origin, |gid| &gid.origin);
        let (uid, gid) = (identity.uid, identity.gid);
        // In a user namespace of others too, where init may: otherwise the payload would lose its
        // capabilities with the change of ids, before it has reduced all sets.
        if profile.namespaces.user.value != Choice::Shared || draft.host.caller.has_rights() {
            draft.step(Phase::InnerIds, Op::TakeIds { uid, gid }, uid_origin);
        }
        if identity.setgroups {
            let groups = numbers(&self.groups)
                .iter()
                .map(|g| g.value)
                .collect::<Vec<_>>();
            let origin = self
                .groups
                .first()
                .map_or(Origin::Default("user.groups"), |g| g.origin.clone());
            let joined = matches!(profile.namespaces.user.value, Choice::Join(_));
            let op = if joined && groups.is_empty() {
                Op::LeaveGroups
            } else {
                Op::SetGroups(groups)
            };
            draft.step(Phase::Identity, op, &origin);
        }
        draft.step(Phase::Identity, Op::SetGid(gid), gid_origin);
        draft.step(Phase::Identity, Op::SetUid(uid), uid_origin);
    }
}

fn subordinate(host: &Host, ids: Ids) -> &[(u32, u32)] {
    match ids {
        Ids::User => &host.subordinate().users,
        Ids::Group => &host.subordinate().groups,
    }
}

/// The program that maps subordinate ids, or a refusal that names its package.
fn helper(ids: Ids, map: &At<Map>, draft: &mut Draft<'_>) -> Option<std::path::PathBuf> {
    draft.wants([Mechanism::SubordinateIds]);
    let held = draft.host.subordinate();
    let (path, name) = match ids {
        Ids::User => (&held.newuidmap, "newuidmap"),
        Ids::Group => (&held.newgidmap, "newgidmap"),
    };
    if path.is_none() {
        draft.refuse(
            &map.origin,
            format!("{name} is not installed, and only it can map more than the caller's own id"),
            "install it (package `uidmap` on Debian, `shadow-utils` elsewhere), or write `uid_map = \"root\"`",
        );
    }
    path.clone()
}

fn shown(ranges: &[(u32, u32)]) -> String {
    if ranges.is_empty() {
        return "none".into();
    }
    let shown: Vec<_> = ranges
        .iter()
        .map(|(first, count)| format!("{first} to {}", u64::from(*first) + u64::from(*count) - 1))
        .collect();
    shown.join(", ")
}
