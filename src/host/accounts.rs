//! The accounts of a root: passwd(5) and group(5), from the two files alone. The resolver of libc
//! would load plug-ins (nsswitch.conf(5)), which a static program cannot.

use super::doubt::Doubt;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most that is read of a file, in bytes: a few hundred thousand accounts.
const LONGEST: u64 = 64 << 20;

/// What the two files say; of two lines with one name or number, the first.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: BTreeMap<String, (u32, u32)>,
    groups: BTreeMap<String, u32>,
    names: BTreeMap<u32, String>,
    /// The groups that name a user as a member.
    memberships: BTreeMap<String, BTreeSet<u32>>,
}

impl Accounts {
    /// Those of a root. Its links are followed as a process would that lives in it: a root may be
    /// anybody's, and none of them leads out of it.
    #[must_use]
    pub fn of(root: &Path, doubt: &Doubt) -> Self {
        let text = |path| {
            let text = doubt.found(&root.join(path), text(root, path));
            text.unwrap_or_default()
        };
        Self::fixed(&text("etc/passwd"), &text("etc/group"))
    }

    /// Given texts of the two files.
    #[must_use]
    pub fn fixed(users: &str, groups: &str) -> Self {
        Self {
            users: entries(users, |name, fields| {
                Some((name.to_owned(), (id(fields, 2)?, id(fields, 3)?)))
            }),
            groups: entries(groups, |name, fields| {
                Some((name.to_owned(), id(fields, 2)?))
            }),
            names: entries(users, |name, fields| {
                Some((id(fields, 2)?, name.to_owned()))
            }),
            memberships: memberships(groups),
        }
    }

    /// The uid of a user, and the gid of its group.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<(u32, u32)> {
        self.users.get(name).copied()
    }

    /// The gid of a group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    /// The groups that name a user as a member.
    #[must_use]
    pub fn groups_of(&self, name: &str) -> Vec<u32> {
        let found = self.memberships.get(name);
        found.into_iter().flatten().copied().collect()
    }

    /// The name of a user.
    #[must_use]
    pub fn name(&self, uid: u32) -> Option<&str> {
        self.names.get(&uid).map(String::as_str)
    }
}

/// The lines by their names or numbers, as far as they are whole.
fn entries<K: Ord, T>(
    text: &str,
    read: impl Fn(&str, &[&str]) -> Option<(K, T)>,
) -> BTreeMap<K, T> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split(':').collect();
        // Lines with a sign in front ask other sources (nsswitch.conf(5), compat).
        let name = fields.first().filter(|name| !name.starts_with(['+', '-']));
        if let Some((key, entry)) = name.and_then(|name| read(name, &fields)) {
            found.entry(key).or_insert(entry);
        }
    }
    found
}

/// The groups of each user that one names.
fn memberships(text: &str) -> BTreeMap<String, BTreeSet<u32>> {
    let groups = entries(text, |name, fields| {
        let members = fields.get(3).copied().unwrap_or_default();
        Some((name.to_owned(), (id(fields, 2)?, members.to_owned())))
    });
    let mut found: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (group, members) in groups.into_values() {
        let members = members
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty());
        for member in members {
            found.entry(member.to_owned()).or_default().insert(group);
        }
    }
    found
}

/// A number of a line; what stands for no id is none.
fn id(fields: &[&str], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok().filter(|id| *id != u32::MAX)
}

/// A regular file of a root: neither a FIFO, which would be waited for, nor a device.
fn text(root: &Path, path: &str) -> io::Result<String> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, root, directory, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(root, path, flags, Mode::empty(), resolve)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_and_numbers() {
        let users = "+@staff\nroot:x:0:0::/root:/bin/sh\nbroken:x:one:1\nwww-data:x:33:34\nalias:x:33:1\nnone:x:4294967295:1:";
        let accounts = Accounts::fixed(users, "tape:x:26:\nwww-data:x:33:a,b");
        assert_eq!(accounts.user("www-data"), Some((33, 34)));
        assert_eq!(accounts.group("www-data"), Some(33));
        assert_eq!(accounts.name(33), Some("www-data"));
        assert_eq!(accounts.groups_of("a"), [33]);
        assert!(accounts.groups_of("www-data").is_empty());
        for name in ["broken", "none", "www", "tape", "", "+@staff"] {
            assert_eq!(accounts.user(name), None, "{name}");
        }
        assert_eq!(accounts.group("root"), None);
    }

    #[test]
    fn a_roots_links_stay_in_it() {
        let root = std::env::temp_dir().join(format!("accounts-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("real"), "own:x:7:8::").unwrap();
        symlink("/real", root.join("etc/passwd")).unwrap();
        symlink("/etc/group", root.join("etc/group")).unwrap();
        let accounts = Accounts::of(&root, &Doubt::default());
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(accounts.user("own"), Some((7, 8)));
        // That link leads to itself.
        assert_eq!(accounts.group("root"), None);
    }
}
