//! Landlock: what follows from the rest of the profile, so that the same intent holds twice, and what `[landlock]` bounds
//! by path besides.
//!
//! What follows is only what costs nothing where it does not matter: reading, executing and looking at files stay
//! the mounts' business alone unless a profile asks, since a rule about them makes each open walk from the file to the root.
//!
//! All of it is one ruleset. Where mounts and `write` are both about writing, what both permit is permitted, which is
//! for two trees the deeper one if it lies in the other, and nothing if neither does.

use super::Level;
use crate::host::probe::Mechanism;
use crate::plan::draft::c_string;
use crate::plan::op::landlock::{
    ABSTRACT_SOCKETS, Beneath, EXECUTE, READ_FILE, REFER, Right, Ruleset, SIGNALS, TCP, WRITES,
};
use crate::plan::op::{Op, Target};
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::landlock::Placed;
use crate::sections::network::Mode;
use crate::sys::landlock::Handled;
use caps::Capability;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What to do where the kernel's Landlock lacks something.
const NEWER: &str =
    "use Linux 6.12 or newer with Landlock, or write `landlock = \"prefer\"` under [enforce]";

impl Profile {
    /// Adds the step.
    pub(in crate::sections) fn restrict(&self, mut placed: Placed, draft: &mut Draft<'_>) {
        let level = &self.enforce.landlock;
        if level.value == Level::Off {
            return draft.note(&level.origin, "no rules of Landlock: it is off");
        }
        for problem in std::mem::take(&mut placed.problems) {
            draft.problem(problem);
        }
        let wanted = self.wanted();
        let asked = self.landlock.bounds().next().map(|bound| &bound.origin);
        if wanted == Handled::default() && asked.is_none() {
            return;
        }
        if !level.origin.is_default() || asked.is_some() {
            draft.wants([Mechanism::Landlock]);
        }
        let version = draft.host.landlock();
        let (mut handled, mut lacks) = (wanted, Vec::new());
        // Before version 2, nothing could be moved from one directory to another.
        for (part, since, what) in [
            (&mut handled.files, 2, "writing to files"),
            (&mut handled.network, 4, "TCP"),
            (&mut handled.scoped, 6, "signals and abstract sockets"),
        ] {
            if *part != 0 && version < since {
                *part = 0;
                lacks.push(what);
            }
        }
        if !lacks.is_empty() {
            let asked = self.network.port_lists().next();
            let asked = asked.filter(|_| wanted.network != 0 && handled.network == 0);
            let text = format!(
                "Landlock of this kernel (version {version}) has no rules about {}",
                lacks.join(", about ")
            );
            match (level.value, asked) {
                (Level::Require, _) => draft.refuse(&level.origin, text, NEWER),
                // Nothing else bounds the ports.
                (_, Some(asked)) if level.origin.is_default() => draft.refuse(asked, text, NEWER),
                // What nobody has asked for is no loss of what was asked for.
                _ if level.origin.is_default() => draft.note(&level.origin, text),
                _ => draft.weaker(&level.origin, text),
            }
        }
        let bounded = self.bounded(version, draft);
        let refused = placed.refused.take();
        if let Some((_, problem)) = refused.filter(|(right, _)| bounded.contains(right)) {
            draft.problem(problem);
        }
        let trees = match handled.files {
            0 => None,
            _ => Some(draft.writable_trees()),
        };
        let beneath = permitted(trees, &bounded, &placed, &mut handled.files);
        if handled == Handled::default() {
            return;
        }
        if bounded.contains(&Right::Write) {
            self.writes_nowhere(&placed, &beneath, draft);
        }
        let files = handled.files != 0;
        let rules = Ruleset {
            handled,
            beneath,
            streams: if files { draft.streams() } else { Vec::new() },
            program: draft
                .opened_program()
                .filter(|_| handled.files & (EXECUTE | READ_FILE) != 0),
            ports: match handled.network {
                0 => Vec::new(),
                _ => self.network.bounded_ports().1,
            },
        };
        let origin = asked.filter(|_| !bounded.is_empty());
        let origin = origin.unwrap_or(&level.origin);
        draft.step(Phase::Landlock, Op::Restrict(rules), origin);
    }

    /// The rights that are bounded by path, as far as this kernel can. What a profile asks for by name is required
    /// unless it says otherwise.
    fn bounded(&self, version: u32, draft: &mut Draft<'_>) -> Vec<Right> {
        let level = &self.enforce.landlock;
        let preferred = level.value == Level::Prefer && !level.origin.is_default();
        let mut bounded = Vec::new();
        for bound in self.landlock.bounds() {
            let right = bound.right;
            if version >= right.since() {
                bounded.push(right);
                continue;
            }
            let text = format!(
                "Landlock of this kernel (version {version}) cannot bound `{}` by paths: that takes version {}",
                right.key(),
                right.since()
            );
            match preferred {
                true => draft.weaker(&bound.origin, text),
                false => draft.refuse(&bound.origin, text, NEWER),
            }
        }
        let mounts = self.may_mount() && self.namespaces.builds_root();
        if let Some(bound) = self.landlock.bounds().next().filter(|_| mounts) {
            draft.note(
                &bound.origin,
                "who is restricted in files by Landlock may mount nothing, whatever else permits it",
            );
        }
        bounded
    }

    /// Says which paths of `write` the mounts let nobody write to.
    fn writes_nowhere(&self, placed: &Placed, beneath: &[Beneath], draft: &mut Draft<'_>) {
        let Some(bound) = self.landlock.bound(Right::Write) else {
            return;
        };
        for path in placed.paths(Right::Write).unwrap_or_default() {
            let is_held = |rule: &Beneath| {
                let tree = absolute(&rule.target);
                rule.access & Right::Write.access() & !REFER != 0 && meet(&tree, path).is_some()
            };
            if !beneath.iter().any(is_held) {
                let text = format!("{} is read-only, whatever `write` says", path.display());
                draft.note(&bound.origin, text);
            }
        }
    }

    /// Whether the command may mount file systems, in namespaces of its own at least.
    fn may_mount(&self) -> bool {
        self.namespaces.nested_user.value || self.capabilities.keeps(Capability::CAP_SYS_ADMIN)
    }

    /// What is to be refused where the kernel can, by what the rest of the profile says.
    fn wanted(&self) -> Handled {
        let namespaces = &self.namespaces;
        // Whoever is restricted in files may mount nothing any more, not even in namespaces of its own.
        let mounts = self.may_mount() && self.landlock.bounds().next().is_none();
        let files = namespaces.builds_root() && !mounts;
        let network = self.network.mode.value;
        let none = network == Mode::None && namespaces.has_own_network(network);
        let signals = namespaces.pid.value.is_new();
        Handled {
            files: if files { WRITES } else { 0 },
            network: if none {
                TCP
            } else {
                self.network.bounded_ports().0
            },
            scoped: ABSTRACT_SOCKETS | if signals { SIGNALS } else { 0 },
        }
    }
}

/// What is permitted where: writing in `trees`, if it is refused elsewhere, and what `[landlock]` says. Adds what is
/// handled for that.
fn permitted(
    trees: Option<Vec<Target>>,
    bounded: &[Right],
    placed: &Placed,
    handled: &mut u64,
) -> Vec<Beneath> {
    let mut beneath: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut permit = |path: PathBuf, access| *beneath.entry(path).or_default() |= access;
    let bounds = bounded
        .iter()
        .filter_map(|right| Some((*right, placed.paths(*right)?)));
    let mut writes = trees.map(|trees| trees.iter().map(absolute).collect::<Vec<_>>());
    for (right, paths) in bounds {
        *handled |= right.access();
        if right == Right::Write {
            let both = |trees: Vec<PathBuf>| {
                let pairs = trees
                    .iter()
                    .flat_map(|tree| paths.iter().map(move |path| (tree, path)));
                pairs
                    .filter_map(|(tree, path)| meet(tree, path).map(Path::to_owned))
                    .collect()
            };
            writes = Some(writes.map_or_else(|| paths.to_vec(), both));
            continue;
        }
        for path in paths {
            permit(path.clone(), right.access());
        }
    }
    let access = *handled & Right::Write.access();
    for path in writes.unwrap_or_default() {
        permit(path, access);
    }
    // What is not handled is refused all the same.
    if *handled != 0 && *handled & REFER == 0 {
        *handled |= REFER;
        permit("/".into(), REFER);
    }
    let relative = |path: &Path| c_string(path.strip_prefix("/").unwrap_or(path));
    let rule = |(path, access): (PathBuf, u64)| Beneath {
        target: relative(&path),
        access,
    };
    beneath.into_iter().map(rule).collect()
}

/// What lies in two trees.
fn meet<'p>(one: &'p Path, other: &'p Path) -> Option<&'p Path> {
    match (one.starts_with(other), other.starts_with(one)) {
        (true, _) => Some(one),
        (_, true) => Some(other),
        _ => None,
    }
}

fn absolute(target: &Target) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(target.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::op::landlock::{READ_DIR, TRUNCATE};

    /// What is permitted where both the mounts and `[landlock]` say something.
    fn rules(trees: Option<&[&str]>, bounds: &[(Right, &[&str])]) -> (u64, Vec<(String, u64)>) {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        let placed = Placed {
            bounds: bounds
                .iter()
                .map(|(right, all)| (*right, paths(all)))
                .collect(),
            ..Placed::default()
        };
        let bounded: Vec<_> = bounds.iter().map(|(right, _)| *right).collect();
        let mut handled = if trees.is_some() { WRITES } else { 0 };
        let trees = trees.map(|trees| trees.iter().map(c_string).collect());
        let beneath = permitted(trees, &bounded, &placed, &mut handled);
        let text = |rule: Beneath| (rule.target.into_string().unwrap(), rule.access);
        (handled, beneath.into_iter().map(text).collect())
    }

    #[test]
    fn writing_is_permitted_where_mounts_and_paths_both_permit_it() {
        let mounts = ["tmp", "work/project", "etc/file"];
        let write = Right::Write.access();
        let listed = ["/tmp/mine", "/work", "/usr", "/tmp2"];
        let (handled, rules) = rules(Some(&mounts), &[(Right::Write, &listed)]);
        assert_eq!(handled, write);
        let expected = ["tmp/mine", "work/project"].map(|path| (path.to_owned(), write));
        assert_eq!(rules, expected);
    }

    #[test]
    fn a_root_that_is_writable_leaves_all_that_is_listed() {
        let (_, rules) = rules(Some(&[""]), &[(Right::Write, &["/", "/a/b"])]);
        let write = Right::Write.access();
        assert_eq!(rules, [(String::new(), write), ("a/b".into(), write)]);
    }

    #[test]
    fn a_right_that_is_not_said_is_not_handled_and_moving_is_never_lost() {
        let read = READ_FILE | READ_DIR;
        let (handled, found) = rules(
            None,
            &[(Right::Read, &["/usr"]), (Right::Execute, &["/usr/bin"])],
        );
        assert_eq!(handled, read | EXECUTE | REFER);
        let expected = [("", REFER), ("usr", read), ("usr/bin", EXECUTE)];
        assert_eq!(
            found,
            expected.map(|(path, access)| (path.to_owned(), access))
        );
        // What the mounts say holds as it did, without truncation.
        let (handled, found) = rules(Some(&["tmp"]), &[(Right::Read, &["/"])]);
        assert_eq!(handled, WRITES | read);
        assert_eq!(handled & TRUNCATE, 0);
        assert_eq!(found, [(String::new(), read), ("tmp".into(), WRITES)]);
    }

    #[test]
    fn nothing_listed_is_nothing_permitted() {
        let (handled, found) = rules(Some(&["tmp", "dev"]), &[(Right::Write, &[])]);
        assert_eq!((handled, found), (Right::Write.access(), Vec::new()));
        assert_eq!(rules(None, &[]), (0, Vec::new()));
    }
}
