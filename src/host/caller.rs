//! Who runs the sandbox: ids, rights, subordinate ids.

use super::accounts::Accounts;
use super::doubt::Doubt;
use crate::sys;
use std::path::{Path, PathBuf};

/// A line of an id map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The caller.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The effective capabilities, as a bit mask.
    pub capabilities: u64,
    /// The pid of this process.
    pub pid: u32,
    /// The ids that the caller's own user namespace holds: `/proc/self/uid_map`.
    pub uid_map: Vec<IdRange>,
    /// The same for groups.
    pub gid_map: Vec<IdRange>,
    /// Whether nobody may change supplementary groups in the caller's own user namespace, nor in any
    /// below it: `/proc/self/setgroups`.
    pub setgroups_denied: bool,
}

const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_RESOURCE: u64 = 1 << 24;
const CAP_SYS_NICE: u64 = 1 << 23;
const CAP_MKNOD: u64 = 1 << 27;
const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;
const CAP_SYS_ADMIN: u64 = 1 << 21;

impl Caller {
    /// This process.
    #[must_use]
    pub fn here(doubt: &Doubt) -> Self {
        let capabilities = sys::identity::effective_capabilities();
        let mut caller = Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            capabilities: capabilities.unwrap_or_else(|errno| {
                // Taken for a plain user, root would be mapped onto itself.
                doubt.note("/proc/self/status", errno);
                0
            }),
            pid: std::process::id(),
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            setgroups_denied: false,
        };
        if caller.has_rights() {
            caller.uid_map = read_map("/proc/self/uid_map", doubt);
            caller.gid_map = read_map("/proc/self/gid_map", doubt);
            // The initial namespace holds all ids, and denies nothing.
            if caller.gid_map.iter().all(|range| range.count < u32::MAX) {
                let path = "/proc/self/setgroups";
                match std::fs::read_to_string(path) {
                    Ok(text) => caller.setgroups_denied = text.trim() == "deny",
                    Err(why) => doubt.note(path, why),
                }
            }
        }
        caller
    }

    /// Whether the caller may map any id and mount anything: root, or who has root's
    /// capabilities for it.
    #[must_use]
    pub fn has_rights(&self) -> bool {
        let needed = CAP_SETUID | CAP_SETGID | CAP_SYS_ADMIN;
        self.capabilities & needed == needed
    }

    /// Whether the caller may raise its own hard limits (setrlimit(2)).
    #[must_use]
    pub fn may_raise_limits(&self) -> bool {
        self.capabilities & CAP_SYS_RESOURCE != 0
    }

    /// Whether the caller may come before others at processors and disks.
    #[must_use]
    pub fn may_come_first(&self) -> bool {
        self.capabilities & CAP_SYS_NICE != 0 && self.is_over_the_machine()
    }

    /// Whether the caller has these rights over the machine, and not only in a user namespace of somebody's.
    #[must_use]
    pub fn is_over_the_machine(&self) -> bool {
        self.has_rights() && self.uid_map.iter().any(|range| range.count == u32::MAX)
    }

    /// Whether the caller may make nodes of devices (mknod(2)).
    #[must_use]
    pub fn may_make_nodes(&self) -> bool {
        self.is_over_the_machine() && self.capabilities & CAP_MKNOD != 0
    }

    /// Whether the caller may make interfaces in its own network.
    #[must_use]
    pub fn has_rights_over_network(&self) -> bool {
        self.has_rights() && self.capabilities & CAP_NET_ADMIN != 0
    }

    /// The first of `count` ids that belong to nobody, in a range that this caller's user
    /// namespace holds. Different for runs side by side, as far as there is room.
    ///
    /// Taken from above 0x70000000, the first ids that neither people, services, subordinate
    /// ranges nor the containers of systemd use (systemd's UIDS-GIDS.md); in a namespace with
    /// fewer ids, its last ones.
    #[must_use]
    pub fn unprivileged_ids(&self, map: &[IdRange], count: u32) -> Option<u32> {
        const BASE: u32 = 0x7000_0000;
        const BLOCK: u32 = 0x1_0000;
        let holds = |first: u32, count: u32| {
            map.iter().any(|r| {
                first >= r.inside
                    && u64::from(first) + u64::from(count)
                        <= u64::from(r.inside) + u64::from(r.count)
            })
        };
        let preferred = BASE + (self.pid % 0x1000) * BLOCK;
        if count <= BLOCK && holds(preferred, count) {
            return Some(preferred);
        }
        // Not 0 and not the caller: only ids beyond the first one of the last range.
        let last = map
            .iter()
            .max_by_key(|r| u64::from(r.inside) + u64::from(r.count))?;
        let first =
            (u64::from(last.inside) + u64::from(last.count)).checked_sub(u64::from(count))?;
        u32::try_from(first)
            .ok()
            .filter(|first| *first != 0 && *first > last.inside)
    }
}

/// The map of 0 onto the caller's id, and of what follows onto its subordinate ids.
#[must_use]
pub fn auto(caller: u32, held: &[(u32, u32)]) -> Vec<IdRange> {
    let mut ranges = vec![IdRange {
        inside: 0,
        outside: caller,
        count: 1,
    }];
    let mut inside = 1u32;
    for (first, count) in held {
        // Ids end at 2^32: what lies beyond has no number inside.
        let Some(next) = inside.checked_add(*count) else {
            break;
        };
        ranges.push(IdRange {
            inside,
            outside: *first,
            count: *count,
        });
        inside = next;
    }
    ranges
}

/// The lines of an id map of `/proc`.
fn read_map(path: &str, doubt: &Doubt) -> Vec<IdRange> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| {
        doubt.note(path, why);
        String::new()
    });
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some(IdRange {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                count: numbers.next()?.ok()?,
            })
        })
        .collect()
}

/// A caller's subordinate ids (subuid(5)) and the programs that map them.
#[derive(Clone, Debug, Default)]
pub struct SubordinateIds {
    /// Ranges of user ids: first and count.
    pub users: Vec<(u32, u32)>,
    /// Ranges of group ids: first and count.
    pub groups: Vec<(u32, u32)>,
    /// newuidmap(1).
    pub newuidmap: Option<PathBuf>,
    /// newgidmap(1).
    pub newgidmap: Option<PathBuf>,
}

impl SubordinateIds {
    /// Those of a caller.
    #[must_use]
    pub fn of(caller: &Caller, doubt: &Doubt) -> Self {
        let accounts = Accounts::of(Path::new("/"), doubt);
        let name = accounts.name(caller.uid);
        let ranges = |path| subordinate_ranges(path, caller.uid, name, doubt);
        let program = |name| {
            ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"]
                .iter()
                .map(|folder| Path::new(folder).join(name))
                .find(|path| path.exists())
        };
        Self {
            users: ranges("/etc/subuid"),
            groups: ranges("/etc/subgid"),
            newuidmap: program("newuidmap"),
            newgidmap: program("newgidmap"),
        }
    }
}

fn subordinate_ranges(path: &str, uid: u32, name: Option<&str>, doubt: &Doubt) -> Vec<(u32, u32)> {
    let text = doubt.found(path.as_ref(), std::fs::read_to_string(path));
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            if owner.parse() != Ok(uid) && Some(owner) != name {
                return None;
            }
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprivileged_ids_are_never_the_callers() {
        let caller = Caller {
            pid: 77,
            ..Caller::default()
        };
        let whole = [IdRange {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        }];
        let first = caller.unprivileged_ids(&whole, 1);
        assert!(first.is_some_and(|id| id >= 0x7000_0000));
        let container = [IdRange {
            inside: 0,
            outside: 100_000,
            count: 65_536,
        }];
        assert_eq!(caller.unprivileged_ids(&container, 1), Some(65_535));
        assert_eq!(caller.unprivileged_ids(&container, 65_536), None);
        let single = [IdRange {
            inside: 0,
            outside: 1000,
            count: 1,
        }];
        assert_eq!(caller.unprivileged_ids(&single, 1), None);
    }
}
