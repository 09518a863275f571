//! `sandbox gc` takes away what killed supervisors have left, and nothing else.

use crate::live::{HOLD, Live, SWEEPING, eventually, group, has_limits, lives};
use crate::support::{Done, Project, done, is_root, skip};
use crate::traces::groups_of;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

fn profile() -> String {
    let limits = if has_limits() {
        "[limits]\npids = 50\nmemory = \"64M\"\n"
    } else {
        ""
    };
    format!(
        "version = 1\n{limits}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"${{PROJECT}}/scratch/deep\"\n\
         [[mounts]]\ntype = \"file\"\ntarget = \"${{PROJECT}}/settings\"\ncontents = \"x\"\n"
    )
}

/// A group of root's own for a test, beside those of other tests, and in it the group of a run that is gone.
fn left_group() -> (PathBuf, PathBuf) {
    static NEXT: AtomicU32 = AtomicU32::new(4_194_305);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let outer =
        group(std::process::id(), "pids").join(format!("gc-{}-{number}", std::process::id()));
    let dir = outer.join(format!("sandbox-{number}-1"));
    std::fs::create_dir_all(&dir).unwrap();
    (outer, dir)
}

fn gc(project: &Project, arguments: &[&str]) -> Done {
    done(project.program(&["gc"]).args(arguments))
}

#[test]
fn gc_removes_what_a_killed_supervisor_left_and_says_what() {
    let project = Project::new();
    let mut live = Live::script(&project, &profile(), HOLD);
    let supervisor = live.supervisor();
    let inside = live.inside();
    let groups = groups_of(supervisor);
    assert_eq!(groups.is_empty(), !has_limits());
    let points = ["scratch/deep", "scratch", "settings"].map(|name| project.path().join(name));
    assert!(points.iter().all(|point| point.exists()));
    live.kill();
    eventually("all inside are gone", || {
        !inside.iter().any(|pid| lives(*pid))
    });
    let said = gc(&project, &[]).ok();
    for (kind, path) in points
        .iter()
        .map(|p| ("mount point", p))
        .chain(groups.iter().map(|g| ("cgroup", g)))
    {
        let line = format!("removed {kind} {}", path.display());
        // Whoever sweeps at the same time may have been faster with a group.
        let swept = said.lines().any(|l| l == line) || kind == "cgroup";
        assert!(swept && !path.exists(), "{line} in {said}");
    }
    assert!(groups_of(supervisor).is_empty());
    let again = gc(&project, &[]).ok();
    let here = project.path().to_str().unwrap();
    assert!(!again.contains(here), "{again}");
}

#[test]
fn gc_leaves_what_is_in_use() {
    let project = Project::new();
    let live = Live::script(
        &project,
        &profile(),
        &format!("{HOLD}; [ -s settings ] && [ -d scratch/deep ]"),
    );
    let groups = groups_of(live.supervisor());
    let folder = project.path().to_str().unwrap();
    let said = gc(&project, &[folder, "--json"]).ok();
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["version"], 1);
    let paths: Vec<_> = found["removed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert!(!paths.iter().any(|path| path.starts_with(folder)), "{said}");
    assert!(
        groups
            .iter()
            .all(|dir| dir.exists() && !paths.iter().any(|path| Path::new(path) == dir)),
        "{said}"
    );
    assert_eq!(live.go(&project).ok(), "");
    assert!(!project.path().join("settings").exists());
}

#[test]
fn gc_leaves_what_no_run_of_this_user_made() {
    let project = Project::new();
    let make = |name: &str, mode: u32| {
        let path = project.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let empty = make("empty", 0o755);
    let sticky = make("sticky", 0o1777);
    // The mark on a folder that holds something: that is somebody's by now.
    let used = make("used", 0o1701);
    project.write("used/file", "x");
    // What only a link leads to.
    let elsewhere = Project::new();
    let beyond = elsewhere.path().join("marked");
    std::fs::create_dir(&beyond).unwrap();
    std::fs::set_permissions(&beyond, std::fs::Permissions::from_mode(0o1701)).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), project.path().join("link")).unwrap();
    let mut kept = vec![empty, sticky, used, beyond];
    let ours = make("ours", 0o1701);
    let mut made = Vec::new();
    if is_root() {
        // Another user's: a mount point, and a group with the name of a run that is gone.
        let other = make("other", 0o1701);
        std::os::unix::fs::chown(&other, Some(65_534), None).unwrap();
        kept.push(other);
        let (outer, dir) = left_group();
        std::os::unix::fs::chown(&dir, Some(65_534), None).unwrap();
        kept.push(dir.clone());
        made.extend([dir, outer]);
    }
    let run = gc(&project, &[project.path().to_str().unwrap()]);
    let there: Vec<_> = kept.iter().map(|path| path.exists()).collect();
    for dir in made {
        std::fs::remove_dir(dir).unwrap();
    }
    let said = run.ok();
    assert!(there.into_iter().all(|there| there), "{kept:?}: {said}");
    assert!(
        said.contains(&format!("removed mount point {}\n", ours.display())),
        "{said}"
    );
    let refused = gc(&project, &["nowhere"]).fails(125);
    assert!(refused.contains("cannot look into nowhere"), "{refused}");
}

#[test]
fn gc_ends_what_is_left_in_a_group() {
    let test = "gc_ends_what_is_left_in_a_group";
    if !is_root() {
        return skip(test, "a process is put into a group by root");
    }
    let _alone = SWEEPING.lock().unwrap_or_else(|held| held.into_inner());
    let (outer, dir) = left_group();
    let script = "echo $$ >\"$0/cgroup.procs\" && exec sleep 600";
    let mut left = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(&dir)
        .spawn()
        .unwrap();
    let procs = || std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    eventually("the process is in the group", || !procs().is_empty());
    let project = Project::new();
    let said = gc(&project, &[]);
    assert!(!left.wait().unwrap().success());
    let line = format!("removed cgroup {} with 1 process\n", dir.display());
    assert!(said.clone().ok().contains(&line), "{said:?}");
    assert!(!dir.exists());
    std::fs::remove_dir(outer).unwrap();
}
