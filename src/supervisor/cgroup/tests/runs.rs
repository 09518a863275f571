//! Several supervisors: dead, many at once, and one inside another.

use std::io::{BufRead, BufReader};

use super::*;
use crate::host::cgroup::{Kind, group_name};

/// Not a test by itself: the others start it as a supervisor of its own.
#[test]
fn worker() {
    let Ok(role) = std::env::var("CGROUP_TEST_ROLE") else {
        return;
    };
    let place = place(&[Pids, Memory]).unwrap();
    sweep(&place);
    let mut group = Group::create(&place, &Names::of_run(group_name())).unwrap();
    group.set(&Limit::Pids(50)).unwrap();
    group.set(&Limit::Memory(100 << 20)).unwrap();
    let script = if role == "hold" {
        "exec sleep 60"
    } else {
        "for i in 1 2 3; do sleep 0.01; done"
    };
    let mut child = spawn(&group, script);
    println!("\npath {}", group.paths()[0].display());
    assert!(child.wait().unwrap().success());
    group.remove().unwrap();
}

fn start(role: &str) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::worker"), "--nocapture"])
        .env("CGROUP_TEST_ROLE", role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn path_of(worker: &mut Child) -> PathBuf {
    let lines = BufReader::new(worker.stdout.as_mut().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|l| l.starts_with("path "));
    PathBuf::from(&line.unwrap()[5..])
}

#[test]
fn groups_of_killed_supervisors_are_swept() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory]) else {
        return;
    };
    sweep(&place);
    let before = state(&place);
    let mut dead = start("hold");
    let mut alive = start("hold");
    let (gone, kept) = (path_of(&mut dead), path_of(&mut alive));
    // Alive, and by its name a stranger's: what a run in another pid namespace looks like.
    let other = Group::create(&place, &Names::of_run("sandbox-4194305-77")).unwrap();
    dead.kill().unwrap();
    dead.wait().unwrap();
    while clear::members(&kept).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(gone.exists());
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| sweep(&place));
        }
    });
    sweep(&place);
    assert!(!gone.exists(), "the dead one's group is removed");
    assert!(kept.exists() && other.paths().iter().all(|p| p.exists()));
    other.remove().unwrap();
    alive.kill().unwrap();
    alive.wait().unwrap();
    sweep(&place);
    assert_eq!(state(&place), before);
}

#[test]
fn thirty_two_supervisors_at_once_leave_nothing() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory]) else {
        return;
    };
    let before = state(&place);
    let mut victims: Vec<Child> = (0..4).map(|_| start("hold")).collect();
    let workers: Vec<Child> = (0..28).map(|_| start("run")).collect();
    for victim in &mut victims {
        path_of(victim);
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
    for worker in workers {
        let out = worker.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{text}");
    }
    sweep(&place);
    assert_eq!(state(&place), before);
}

#[test]
fn a_run_inside_a_run_stays_inside() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory]) else {
        return;
    };
    let before = state(&place);
    let mut outer = Group::create(&place, &Names::of_run(name("outer"))).unwrap();
    outer.set(&Limit::Pids(40)).unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    let exe = std::env::current_exe().unwrap();
    let text = std::env::temp_dir().join(format!("cgroup-nested-{}", std::process::id()));
    let script = format!(
        "CGROUP_TEST_ROLE=run exec {} --exact {module}::worker --nocapture > {}",
        exe.display(),
        text.display()
    );
    let status = spawn(&outer, &script).wait().unwrap();
    let said = fs::read_to_string(&text).unwrap();
    fs::remove_file(&text).unwrap();
    assert!(status.success(), "{said}");
    let path = said.lines().find_map(|l| l.strip_prefix("path ")).unwrap();
    let inner = Path::new(path);
    assert!(outer.paths().iter().any(|p| inner.starts_with(p)), "{path}");
    for dir in outer.paths() {
        assert!(clear::children(&dir).is_empty());
    }
    outer.remove().unwrap();
    assert_eq!(state(&place), before);
}

#[test]
fn a_leaf_goes_with_its_last_run() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory]) else {
        return;
    };
    let Place::V2 {
        base,
        kind: Kind::Leaf,
        ..
    } = &place
    else {
        eprintln!("skipped: no process has to move here ({place:?})");
        return;
    };
    let before = state(&place);
    let first = Group::create(&place, &Names::of_run(name("one"))).unwrap();
    // Seen from inside the leaf, the place is the same.
    assert_eq!(super::place(&[Pids, Memory]).as_ref(), Some(&place));
    let second = Group::create(&place, &Names::of_run(name("two"))).unwrap();
    first.remove().unwrap();
    assert!(base.join("sandbox.leaf").exists());
    assert_eq!(
        fs::read_to_string(base.join("cgroup.type")).unwrap(),
        "domain\n"
    );
    drop(second);
    assert_eq!(state(&place), before);
}

#[test]
fn a_group_in_both_versions_holds_in_both_and_goes_from_both() {
    let _alone = alone();
    let (v1, v2) = match (place(&[Pids]), place(&[])) {
        (Some(v1), Some(v2)) if !v1.v1().is_empty() && v2.v2().is_some() => (v1, v2),
        other => return eprintln!("skipped: not both versions are to be had here: {other:?}"),
    };
    let (base, kind, enable) = v2.v2().unwrap();
    let both = Place::Both {
        hierarchies: v1.v1().to_vec(),
        base: base.into(),
        kind: kind.clone(),
        enable: enable.to_vec(),
    };
    let before = state(&both);
    let mut group = Group::create(&both, &Names::of_run(name("both"))).unwrap();
    assert_eq!(group.paths().len(), 2);
    group.set(&Limit::Pids(7)).unwrap();
    assert_eq!(read(&group, "pids.max"), "7");
    assert_eq!(
        (group.v1_tasks().len(), group.v2_dir().is_some()),
        (1, true)
    );
    let mut child = {
        let join = |path: &PathBuf| format!("echo 0 >{}/cgroup.procs || exit 99\n", path.display());
        let joins: String = group.paths().iter().map(join).collect();
        let script = format!("{joins}exec sleep 60");
        Command::new("/bin/sh")
            .args(["-c", &script])
            .spawn()
            .unwrap()
    };
    let all_in = |group: &Group| {
        let listed = |dir: &PathBuf| clear::members(dir).contains(&child.id());
        group.paths().iter().all(listed)
    };
    while !all_in(&group) {
        std::thread::sleep(Duration::from_millis(5));
    }
    group.kill();
    assert!(!child.wait().unwrap().success());
    group.remove().unwrap();
    assert_eq!(state(&both), before);
    // What cannot be made in one version leaves nothing in the other.
    let name = name("both");
    let blocker = v1.v1()[0].dir.join(&name);
    fs::create_dir(&blocker).unwrap();
    assert!(Group::create(&both, &Names::of_run(&*name)).is_err());
    assert!(!base.join(&name).exists());
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(state(&both), before);
}
