//! `parent` and `name` under `[limits]`: where the sandbox's cgroup is, whose it is, and that it goes.

use crate::live::{HOLD, Live, eventually, group, has_limits, lives};
use crate::support::{Project, is_root, skip};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A group directly below the root of the hierarchy that counts processes, and everything that a test makes in it.
struct Parent {
    dir: PathBuf,
    path: String,
}

impl Parent {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = group(std::process::id(), "pids");
        let is_group = |dir: &&Path| dir.join("cgroup.procs").exists();
        let root = own.ancestors().take_while(is_group).last().unwrap();
        let control = root.join("cgroup.subtree_control");
        if control.exists() {
            std::fs::write(&control, "+pids").unwrap();
        }
        let name = format!("path-{}-{number}", std::process::id());
        let dir = root.join(&name);
        std::fs::create_dir(&dir).unwrap();
        Self {
            dir,
            path: format!("/{name}"),
        }
    }

    fn profile(&self, name: &str) -> String {
        format!(
            "version = 1\n[limits]\npids = 50\nparent = \"{}\"\nname = \"{name}\"\n",
            self.path
        )
    }

    fn make(&self, path: &str) -> PathBuf {
        let dir = self.dir.join(path);
        // Who sweeps the whole machine just now may take half of it away.
        eventually("the group is there", || {
            std::fs::create_dir_all(&dir).is_ok()
        });
        dir
    }

    /// The groups in it.
    fn groups(&self) -> BTreeSet<String> {
        folders(&self.dir)
            .filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned()))
            .collect()
    }
}

fn folders(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn remove(dir: &Path) {
    folders(dir).for_each(|dir| remove(&dir));
    let _ = std::fs::remove_dir(dir);
}

impl Drop for Parent {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// A process of somebody else's in a group.
struct Stranger(Child);

impl Stranger {
    fn in_group(dir: &Path) -> Self {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        std::fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
        Self(child)
    }

    fn lives(&self) -> bool {
        lives(self.0.id())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn without_parent(test: &str) -> bool {
    let systemd = Path::new("/run/systemd/private").exists();
    if is_root() && !systemd {
        return false;
    }
    skip(
        test,
        "only root can make a group for it, and systemd would have it for its own",
    );
    true
}

#[test]
fn the_cgroup_has_the_place_and_the_name_that_the_profile_says_and_goes() {
    if without_parent("the_cgroup_has_the_place_and_the_name_that_the_profile_says_and_goes") {
        return;
    }
    let (project, parent) = (Project::new(), Parent::new());
    let profile = parent.profile("box");
    let live = Live::script(&project, &profile, HOLD);
    let dir = parent.dir.join("box");
    assert_eq!(group(live.command(), "pids"), dir);
    let most = std::fs::read_to_string(dir.join("pids.max")).unwrap();
    assert_eq!(most.trim(), "50");
    // Another one of that name is refused, and disturbs nobody.
    let second = project.run(&profile, "true").fails(125);
    assert!(second.contains("/box: it is there already"), "{second}");
    assert!(second.contains("sandbox.toml:5:8"), "{second}");
    assert!(lives(live.command()));
    assert_eq!(live.go(&project).code, 0);
    assert_eq!(parent.groups(), BTreeSet::new());
    // Who follows a killed one takes away what that has left, and has the name.
    let mut live = Live::script(&project, &profile, HOLD);
    let inside = live.inside();
    live.kill();
    eventually("all inside are gone", || {
        !inside.iter().any(|pid| lives(*pid))
    });
    assert_eq!(project.run(&profile, "true").code, 0);
    assert_eq!(parent.groups(), BTreeSet::new());
}

#[test]
fn a_cgroup_of_somebody_elses_is_neither_used_nor_swept() {
    if without_parent("a_cgroup_of_somebody_elses_is_neither_used_nor_swept") {
        return;
    }
    let (project, parent) = (Project::new(), Parent::new());
    let stranger = Stranger::in_group(&parent.make("box"));
    let refused = project.run(&parent.profile("box"), "true").fails(125);
    assert!(refused.contains("/box: it is there already"), "{refused}");
    assert_eq!(parent.groups(), BTreeSet::from(["box".to_owned()]));
    // What a run leaves that was killed when it had just seen that.
    parent.make("sandbox-4194305-1/for.box");
    // And one that had its group, with a process still in it.
    let left = parent.make("left");
    parent.make("left/of.sandbox-4194306-1");
    let leftover = Stranger::in_group(&left);
    parent.make("sandbox-4194306-1/for.left");
    // And one that had no time to mark it.
    parent.make("half");
    parent.make("sandbox-4194307-1/for.half");
    assert_eq!(project.run(&parent.profile("mine"), "true").code, 0);
    assert_eq!(parent.groups(), BTreeSet::from(["box".to_owned()]));
    assert!(stranger.lives());
    assert!(!leftover.lives());
}

#[test]
fn a_parent_that_is_not_there_or_not_the_callers_is_refused() {
    if !has_limits() {
        skip(
            "a_parent_that_is_not_there_or_not_the_callers_is_refused",
            "no group is delegated",
        );
        return;
    }
    let project = Project::new();
    let nowhere = "version = 1\n[limits]\npids = 50\nparent = \"/nowhere/at/all\"\n";
    let refused = project.run(nowhere, "true").fails(125);
    assert!(
        refused.contains("there is no control group /nowhere/at/all"),
        "{refused}"
    );
    if !is_root() {
        let root = "version = 1\n[limits]\npids = 50\nparent = \"/\"\n";
        let refused = project.run(root, "true").fails(125);
        assert!(refused.contains("`pids` cannot be enforced"), "{refused}");
    }
}
