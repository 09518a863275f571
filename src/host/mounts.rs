//! What is mounted on this machine, as the caller sees it (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// The mount table, in the order of the kernel.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<Mount>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// Whether it hears of what others of a peer group mount: as a member of one, or as a slave.
    hears: bool,
    /// When the time of the last reading is noted.
    atime: &'static str,
}

impl Mounts {
    /// Reads the table; an empty one where it cannot be read.
    #[must_use]
    pub(super) fn here() -> Self {
        Self::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
    }

    /// One root that is shared, as systemd makes it: a machine of given facts.
    #[must_use]
    pub(super) fn shared() -> Self {
        Self::parse(b"1 0 8:1 / / rw shared:1 - ext4 /dev/root rw")
    }

    fn parse(table: &[u8]) -> Self {
        let lines = table.split(|byte| *byte == b'\n');
        Self(lines.filter_map(parse).collect())
    }

    /// What is mounted below a path, which has no links in it.
    pub fn below(&self, path: &Path) -> impl Iterator<Item = &Path> {
        let points = self.0.iter().map(|mount| mount.point.as_path());
        points.filter(move |point| *point != path && point.starts_with(path))
    }

    /// Whether what is mounted later where a path is can be heard of.
    #[must_use]
    pub fn hear(&self, path: &Path) -> bool {
        self.over(path).is_some_and(|mount| mount.hears)
    }

    /// When the time of the last reading is noted where a path is, as mount(8) calls it.
    #[must_use]
    pub fn atime(&self, path: &Path) -> &'static str {
        self.over(path).map_or("relatime", |mount| mount.atime)
    }

    /// The mount that a path is on.
    fn over(&self, path: &Path) -> Option<&Mount> {
        let over = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several on one point, the last is on top.
        over.max_by_key(|mount| mount.point.components().count())
    }
}

/// `36 35 98:0 /root /point rw shared:1 - ext4 /dev/sda rw`; blanks in a path are `\\040`.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = words.nth(4)?;
    let options: Vec<_> = words.next()?.split(|byte| *byte == b',').collect();
    let atime = if options.contains(&&b"noatime"[..]) {
        "noatime"
    } else if options.contains(&&b"relatime"[..]) {
        "relatime"
    } else {
        "strictatime"
    };
    let optional = words.take_while(|word| *word != b"-");
    let mut hears =
        optional.filter(|word| word.starts_with(b"shared:") || word.starts_with(b"master:"));
    Some(Mount {
        point: unescaped(point),
        hears: hears.next().is_some(),
        atime,
    })
}

fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = after
            .get(if octal.is_some() { 3 } else { 0 }..)
            .unwrap_or_default();
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_on_top_says_who_hears() {
        let table = b"1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw
2 1 0:5 / /srv/a\\040b rw - tmpfs none rw
3 2 0:6 / /srv/a\\040b/c rw master:3 propagate_from:2 - tmpfs none rw
4 3 0:7 / /srv/a\\040b/c rw - tmpfs none rw
";
        let mounts = Mounts::parse(table);
        assert!(mounts.hear(Path::new("/usr/bin")));
        assert!(!mounts.hear(Path::new("/srv/a b")));
        assert!(!mounts.hear(Path::new("/srv/a b/c/d")));
        let options = b"1 0 8:1 / / rw,relatime - ext4 /dev/sda rw
2 1 0:5 / /a rw,noatime - tmpfs none rw
3 1 0:6 / /b rw,nosuid - tmpfs none rw,noatime
";
        let times = Mounts::parse(options);
        for (path, atime) in [
            ("/x", "relatime"),
            ("/a/x", "noatime"),
            ("/b", "strictatime"),
        ] {
            assert_eq!(times.atime(Path::new(path)), atime);
        }
        let below = |path: &str| mounts.below(Path::new(path)).count();
        assert_eq!(
            (below("/srv"), below("/srv/a b"), below("/srv/a b/c")),
            (3, 2, 0)
        );
    }
}
