//! The accounts of a root: passwd(5) and group(5), from the two files alone. The resolver of libc
//! would load plug-ins (nsswitch.conf(5)), which a static program cannot.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The most that is read of a file, in bytes: a few hundred thousand accounts.
const LONGEST: u64 = 64 << 20;

/// What the two files say.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: String,
    groups: String,
}

impl Accounts {
    /// Those of a root. Its links are followed as a process would that lives in it: a root may be
    /// anybody's, and none of them leads out of it.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            users: text(root, "etc/passwd").unwrap_or_default(),
            groups: text(root, "etc/group").unwrap_or_default(),
        }
    }

    /// Given texts of the two files.
    #[must_use]
    pub fn fixed(users: &str, groups: &str) -> Self {
        Self {
            users: users.into(),
            groups: groups.into(),
        }
    }

    /// The uid of a user, and the gid of its group.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<(u32, u32)> {
        let fields = entry(&self.users, |fields| fields.first() == Some(&name))?;
        Some((id(&fields, 2)?, id(&fields, 3)?))
    }

    /// The gid of a group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u32> {
        id(
            &entry(&self.groups, |fields| fields.first() == Some(&name))?,
            2,
        )
    }

    /// The name of a user.
    #[must_use]
    pub fn name(&self, uid: u32) -> Option<String> {
        let fields = entry(&self.users, |fields| id(fields, 2) == Some(uid))?;
        fields.first().map(|name| (*name).to_owned())
    }
}

/// The fields of the first line of which this holds.
fn entry(text: &str, is: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    // Lines with a sign in front ask other sources (nsswitch.conf(5), compat).
    lines
        .filter(|fields| !matches!(fields.first(), Some(name) if name.starts_with(['+', '-'])))
        .find(|fields| is(fields))
}

/// A number of a line; what stands for no id is none.
fn id(fields: &[&str], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok().filter(|id| *id != u32::MAX)
}

/// A regular file of a root: neither a FIFO, which would be waited for, nor a device.
fn text(root: &Path, path: &str) -> Option<String> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, root, directory, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(root, path, flags, Mode::empty(), resolve).ok()?);
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_and_numbers() {
        let users = "+@staff\nroot:x:0:0::/root:/bin/sh\nbroken:x:one:1\nwww-data:x:33:34\nnone:x:4294967295:1:";
        let accounts = Accounts::fixed(users, "tape:x:26:\nwww-data:x:33:a,b");
        assert_eq!(accounts.user("www-data"), Some((33, 34)));
        assert_eq!(accounts.group("www-data"), Some(33));
        assert_eq!(accounts.name(33).as_deref(), Some("www-data"));
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
        let accounts = Accounts::of(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(accounts.user("own"), Some((7, 8)));
        // That link leads to itself.
        assert_eq!(accounts.group("root"), None);
    }
}
