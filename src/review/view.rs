//! What of the host a command sees, from what is shown at which path inside.
//!
//! The same rules as those of [`plan::layout`](crate::plan::layout), without a machine: what a
//! profile names takes the place of a default on the same path, and what is shown below another
//! covers a part of it.

use super::grant::{Area, Extent, Grant};
use super::tree::{Access, Hole, Program, Tree};
use crate::diag::Origin;
use crate::profile::pattern::PathPattern;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What is shown at a path inside.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The path inside.
    pub target: PathBuf,
    /// What of the host; `None` for what is the sandbox's own.
    pub host: Option<HostFiles>,
    /// Whether it covers what another one shows there. An empty directory does not: where there is
    /// something, it stays.
    pub covers: bool,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<PathBuf>,
    /// The path of the host without which it is left out, if there is one.
    pub if_there: Option<PathBuf>,
    /// Whether another one on the same path takes its place: it is a default.
    pub yields: bool,
    /// What many of a kind are called together: they become one grant.
    pub group: Option<Group>,
    /// The line that says so.
    pub origin: Origin,
}

impl Shown {
    /// What is the sandbox's own, and covers what was there.
    #[must_use]
    pub fn own(target: impl Into<PathBuf>, origin: Origin) -> Self {
        Self {
            target: target.into(),
            host: None,
            covers: true,
            link: None,
            if_there: None,
            yields: false,
            group: None,
            origin,
        }
    }
}

/// Many of a kind, or one that has a name besides its path.
#[derive(Clone, Debug)]
pub struct Group {
    /// What comes after `filesystem:` in the key.
    pub key: String,
    /// What it is, in words.
    pub words: String,
    /// How dangerous it is, in parts of [`WHOLE`](super::grant::WHOLE).
    pub share: u32,
}

/// Files of the host.
#[derive(Clone, Debug)]
pub struct HostFiles {
    /// The path on the host.
    pub source: PathBuf,
    /// What may be done with them.
    pub access: Access,
    /// A program, with what it loads.
    pub program: Option<Program>,
    /// A pattern, of which the path is the text.
    pub pattern: Option<PathPattern>,
    /// Whether it is an entry of the root, in which a link stays a link.
    pub of_root: bool,
}

/// All that is shown.
#[derive(Debug, Default)]
pub struct View(Vec<Shown>);

impl View {
    /// Adds something.
    pub fn show(&mut self, shown: Shown) {
        self.0.push(shown);
    }

    /// What the files of the host among it come to.
    #[must_use]
    pub fn grants(self, project: Option<&Path>, home: Option<&Path>) -> Vec<Grant> {
        // A link that is a default is not made on a path that is named, nor where files of the host
        // that are named have something at its place.
        let named = self.0.iter().filter(|shown| !shown.yields);
        let named: BTreeMap<&Path, bool> = named
            .map(|shown| (shown.target.as_path(), shown.host.is_some()))
            .collect();
        let made = |shown: &Shown| {
            let above = shown.target.ancestors().skip(1);
            let host = above.filter_map(|above| named.get(above)).any(|host| *host);
            !host && !named.contains_key(shown.target.as_path())
        };
        let links: BTreeMap<PathBuf, PathBuf> = self
            .0
            .iter()
            .filter(|shown| !shown.yields || made(shown))
            .filter_map(|shown| Some((shown.target.clone(), shown.link.clone()?)))
            .collect();
        let mut by_target: BTreeMap<PathBuf, Shown> = BTreeMap::new();
        for mut shown in self.0 {
            shown.target = resolved(&shown.target, &links);
            match by_target.get(&shown.target) {
                Some(_) if shown.yields => {}
                // No plan has two that are named on one path, so nothing is lost.
                _ => {
                    by_target.insert(shown.target.clone(), shown);
                }
            }
        }
        let mut holes: BTreeMap<&Path, Vec<Hole>> = BTreeMap::new();
        for shown in by_target.values().filter(|shown| shown.covers) {
            let above = shown.target.ancestors().skip(1);
            let Some(over) = above.filter_map(|a| by_target.get(a)).find(|o| o.covers) else {
                continue;
            };
            let Some(files) = &over.host else { continue };
            let Ok(below) = shown.target.strip_prefix(&over.target) else {
                continue;
            };
            holes.entry(&over.target).or_default().push(Hole {
                path: files.source.join(below),
                if_there: shown.if_there.clone(),
                origin: shown.origin.clone(),
            });
        }
        let mut grants: Vec<Grant> = Vec::new();
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for (target, shown) in &by_target {
            let Some(files) = &shown.host else { continue };
            let tree = Tree {
                source: files.source.clone(),
                access: files.access,
                holes: holes.remove(target.as_path()).unwrap_or_default(),
                program: files.program.clone(),
                pattern: files.pattern.clone(),
                of_root: files.of_root,
            };
            let (key, words, share) = match &shown.group {
                Some(group) => {
                    let first = groups.get(group.key.as_str());
                    if let Some(first) = first.and_then(|at| grants.get_mut(*at)) {
                        if let Extent::Trees(trees) = &mut first.extent {
                            trees.push(tree);
                        }
                        continue;
                    }
                    groups.insert(&group.key, grants.len());
                    let words = format!("{} {}", files.access, group.words);
                    (group.key.clone(), words, group.share)
                }
                None => (
                    files.source.display().to_string(),
                    words(&tree, project),
                    share(&files.source, files.access, project, home),
                ),
            };
            let extent = Extent::Trees(vec![tree]);
            let key = format!("filesystem:{key}");
            let grant = Grant::new(Area::Filesystem, key, extent, words, &shown.origin);
            grants.push(grant.share(share));
        }
        grants
    }
}

/// The path to which the links that are shown lead, as the layout of the root follows them. One
/// that leads on for ever is refused there.
fn resolved(path: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> PathBuf {
    let mut todo: Vec<_> = path.components().rev().collect();
    let mut done = PathBuf::new();
    let mut left = 40;
    while let Some(component) = todo.pop() {
        match component {
            Component::ParentDir => {
                done.pop();
            }
            Component::CurDir => {}
            other => done.push(other),
        }
        // The last component is the place itself.
        if left > 0
            && !todo.is_empty()
            && let Some(to) = links.get(&done)
        {
            left -= 1;
            done.pop();
            todo.extend(to.components().rev());
        }
    }
    done
}

/// `read and write /srv/data, without /srv/data/secret`.
fn words(tree: &Tree, project: Option<&Path>) -> String {
    let (source, access) = (tree.source.as_path(), tree.access);
    let mut words = format!("{access} {}", source.display());
    if project == Some(source) {
        words.push_str(" (the project)");
    }
    let mut extra = Vec::new();
    if access.contains(Access::SETUID) {
        extra.push("setuid programs");
    }
    if access.contains(Access::DEVICES) {
        extra.push("devices");
    }
    if access.contains(Access::CREATE) {
        extra.push("made if missing");
    }
    if access.contains(Access::UNCOVERED) {
        extra.push("without what is mounted below it, and with what lies under that");
    }
    if access.contains(Access::LATER) {
        extra.push("with what the host mounts there later");
    }
    if !access.contains(Access::OWNER) {
        extra.push("not as its owner");
    }
    if !extra.is_empty() {
        words.push_str(&format!(", {}", extra.join(", ")));
    }
    // A hole of a default is what everybody expects.
    let named = tree.holes.iter().filter(|hole| !hole.origin.is_default());
    let hidden: Vec<_> = named.map(|hole| hole.path.display().to_string()).collect();
    if !hidden.is_empty() {
        words.push_str(&format!(", without {}", hidden.join(", ")));
    }
    words
}

/// Folders that other folders' safety hangs on: what is written there is run by others, or is the
/// way to services and processes of the host.
const VITAL: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
    "/sys", "/usr", "/var",
];

/// Of these, what is dangerous to read: sockets of services, other processes, accounts.
const TELLING: &[&str] = &["/dev", "/proc", "/root", "/run", "/var/run", "/sys"];

/// How dangerous access to a tree is, in parts of [`WHOLE`](super::grant::WHOLE).
fn share(source: &Path, access: Access, project: Option<&Path>, home: Option<&Path>) -> u32 {
    let at = |folders: &[&str]| folders.iter().any(|f| source.starts_with(f));
    let whole = source.parent().is_none();
    let homes = home.is_some_and(|home| home.starts_with(source)) || source == Path::new("/home");
    let (read, write) = if whole {
        (8_000, 10_000)
    } else if project == Some(source) {
        (200, 800)
    } else if homes {
        (5_000, 9_000)
    } else if at(TELLING) {
        (2_500, 8_000)
    } else if at(VITAL) {
        (300, 6_000)
    } else if home.is_some_and(|home| source.starts_with(home)) {
        (600, 3_000)
    } else {
        (400, 1_600)
    };
    let writes = access.contains(Access::WRITE);
    let mut share = if writes { write } else { read };
    if writes && access.contains(Access::EXECUTE) {
        share += 200;
    }
    if access.contains(Access::SETUID) {
        share += 500;
    }
    if access.contains(Access::DEVICES) {
        share += 1_000;
    }
    share.min(super::grant::WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(target: &str, source: Option<&str>) -> Shown {
        Shown {
            target: target.into(),
            host: source.map(|source| HostFiles {
                source: source.into(),
                access: Access::READ.with(Access::OWNER),
                program: None,
                pattern: None,
                of_root: false,
            }),
            covers: true,
            link: None,
            if_there: None,
            yields: false,
            group: None,
            origin: Origin::CommandLine,
        }
    }

    #[test]
    fn what_is_below_covers_a_part() {
        let mut view = View::default();
        view.show(shown("/mnt", Some("/srv")));
        view.show(shown("/mnt/a", None));
        view.show(shown("/mnt/a/b", Some("/srv/a/b")));
        let mut kept = shown("/mnt/kept", None);
        kept.covers = false;
        view.show(kept);
        let grants = view.grants(None, None);
        let words: Vec<_> = grants.iter().map(|g| g.words.as_str()).collect();
        assert_eq!(words, ["read /srv, without /srv/a", "read /srv/a/b"]);
    }

    #[test]
    fn a_link_that_is_shown_is_followed() {
        let link = |target: &str, to: &str| Shown {
            covers: false,
            link: Some(to.into()),
            ..shown(target, None)
        };
        let mut view = View::default();
        view.show(shown("/mnt", Some("/srv")));
        view.show(link("/a", "/b/../mnt"));
        view.show(link("/loop", "/loop"));
        view.show(shown("/a/secret", None));
        view.show(shown("/loop/x", None));
        let grants = view.grants(None, None);
        assert_eq!(grants[0].words, "read /srv, without /srv/secret");

        let default = || Shown {
            yields: true,
            ..link("/var/tmp", "/tmp")
        };
        let mut view = View::default();
        view.show(default());
        view.show(shown("/var", Some("/var")));
        view.show(shown("/var/tmp/x", None));
        let grants = view.grants(None, None);
        assert_eq!(grants[0].words, "read /var, without /var/tmp/x");
    }

    #[test]
    fn what_is_named_takes_the_place_of_a_default() {
        let mut default = shown("/mnt", Some("/default"));
        default.yields = true;
        let mut view = View::default();
        view.show(default.clone());
        view.show(shown("/mnt", Some("/named")));
        view.show(default);
        let grants = view.grants(None, None);
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].words, "read /named");
    }
}
