//! Who the command is: inside, outside, and in what it leaves behind.

use crate::live::{HOLD, Live, field};
use crate::support::{Project, done, is_root, program, skip};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;

fn own_ids() -> (u32, u32) {
    (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    )
}

/// What a run sees of itself, and what the host sees of it.
struct Seen {
    /// `id -u`, `id -g`, `id -G`.
    ids: Vec<String>,
    uid_map: Vec<Vec<u32>>,
    gid_map: Vec<Vec<u32>>,
    setgroups: String,
    /// The real, effective, saved and file system id, as the host has them.
    outside: (Vec<u32>, Vec<u32>),
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect()
}

#[track_caller]
fn look(project: &Project, user: &str) -> Seen {
    let _ = std::fs::remove_file(project.path().join("go"));
    // The project may lie beyond the reach of the ids outside: what is to be seen goes through the
    // pipe, and the end of the run through its signal.
    let script = "id -u; id -g; id -G; echo; cat /proc/self/uid_map; echo; cat /proc/self/gid_map;
        echo; cat /proc/self/setgroups; kill -STOP $$";
    let profile = format!("version = 1\n[user]\n{user}");
    let mut live = Live::spawn(&mut project.script(&profile, script));
    let mut outside = None;
    crate::live::eventually("the command has stopped or failed", || {
        let command = live.inside().get(1).copied();
        let status =
            command.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok());
        if let Some(status) = status.filter(|s| s.contains("State:\tT")) {
            outside = Some((
                numbers(field(&status, "Uid")),
                numbers(field(&status, "Gid")),
            ));
        }
        outside.is_some() || live.has_ended()
    });
    live.signal(nix::sys::signal::Signal::SIGCONT);
    let text = live.done().ok();
    let parts: Vec<_> = text.split("\n\n").collect();
    let map = |text: &str| text.lines().map(numbers).collect();
    Seen {
        ids: parts[0].lines().map(str::to_owned).collect(),
        uid_map: map(parts[1]),
        gid_map: map(parts[2]),
        setgroups: parts[3].trim().into(),
        outside: outside.expect("the command ended without stopping"),
    }
}

impl Seen {
    /// Asserts who it is inside and outside, and that no id of the host's root is in its maps.
    #[track_caller]
    fn is(&self, inside: (u32, u32), outside: (u32, u32)) {
        assert_eq!(self.ids[0], inside.0.to_string());
        assert_eq!(self.ids[1], inside.1.to_string());
        assert_eq!(self.outside.0, [outside.0; 4]);
        assert_eq!(self.outside.1, [outside.1; 4]);
        for range in self.uid_map.iter().chain(&self.gid_map) {
            assert_ne!(range[1], 0, "an id of the host's root: {range:?}");
        }
    }
}

#[test]
fn by_default_the_command_has_one_id_that_is_not_roots() {
    let project = Project::new();
    let (uid, gid) = own_ids();
    let seen = look(&project, "");
    if is_root() {
        let outside = (seen.uid_map[0][1], seen.gid_map[0][1]);
        assert!(
            outside.0 >= 0x7000_0000 && outside.1 >= 0x7000_0000,
            "{outside:?}"
        );
        assert_eq!(seen.uid_map, [[1000, outside.0, 1]]);
        assert_eq!(seen.gid_map, [[1000, outside.1, 1]]);
        seen.is((1000, 1000), outside);
        assert_eq!(seen.setgroups, "allow");
        assert_eq!(seen.ids[2], "1000", "no group of the caller's is kept");
    } else {
        assert_eq!(seen.uid_map, [[uid, uid, 1]]);
        assert_eq!(seen.gid_map, [[gid, gid, 1]]);
        seen.is((uid, gid), (uid, gid));
        assert_eq!(seen.setgroups, "deny");
    }
}

#[test]
fn the_map_root_makes_the_command_uid_0_inside_alone() {
    let project = Project::new();
    let (uid, gid) = own_ids();
    let seen = look(&project, "uid_map = \"root\"");
    let outside = if is_root() {
        (seen.uid_map[0][1], seen.gid_map[0][1])
    } else {
        (uid, gid)
    };
    assert_eq!(seen.uid_map, [[0, outside.0, 1]]);
    assert_eq!(seen.gid_map, [[0, outside.1, 1]]);
    seen.is((0, 0), outside);
}

#[test]
fn the_map_self_takes_any_id_inside() {
    let project = Project::new();
    let seen = look(&project, "uid = 77\ngid = 78\nuid_map = \"self\"");
    let outside = if is_root() {
        (seen.uid_map[0][1], seen.gid_map[0][1])
    } else {
        own_ids()
    };
    assert_eq!(seen.uid_map, [[77, outside.0, 1]]);
    assert_eq!(seen.gid_map, [[78, outside.1, 1]]);
    seen.is((77, 78), outside);
}

/// The caller's subordinate ids, if there are any and the program that maps them.
fn subordinate() -> Option<u32> {
    let user = std::env::var("USER").unwrap_or_default();
    let (uid, _) = own_ids();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let name = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields[2] == uid.to_string()).then(|| fields[0].to_owned())
    });
    let name = name.unwrap_or(user);
    let table = std::fs::read_to_string("/etc/subuid").ok()?;
    Path::new("/usr/bin/newuidmap").exists().then_some(())?;
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let count: u32 = fields[2].parse().ok()?;
        let own = fields[0] == name || fields[0] == uid.to_string();
        (own && count >= 65_536).then(|| fields[1].parse().unwrap())
    })
}

/// Whether a test of subordinate ids cannot run here.
fn without_subordinate(test: &str) -> bool {
    let missing = !is_root() && subordinate().is_none();
    if missing {
        skip(
            test,
            "the caller has no subordinate ids, or uidmap is not installed",
        );
    }
    missing
}

#[test]
fn the_map_auto_holds_65536_ids() {
    if without_subordinate("the_map_auto_holds_65536_ids") {
        return;
    }
    let project = Project::new();
    let (uid, gid) = own_ids();
    let seen = look(&project, "uid_map = \"auto\"");
    assert_eq!(seen.setgroups, "allow");
    assert_eq!(seen.ids[2], "0");
    if is_root() {
        let outside = (seen.uid_map[0][1], seen.gid_map[0][1]);
        assert_eq!(seen.uid_map, [[0, outside.0, 65_536]]);
        assert_eq!(seen.gid_map, [[0, outside.1, 65_536]]);
        seen.is((0, 0), outside);
    } else {
        let first = subordinate().unwrap();
        assert_eq!(seen.uid_map, [[0, uid, 1], [1, first, 65_536]]);
        assert_eq!(seen.gid_map, [[0, gid, 1], [1, first, 65_536]]);
        seen.is((0, 0), (uid, gid));
    }
    let seen = look(
        &project,
        "uid_map = \"auto\"\nuid = 5\ngid = 6\ngroups = [7, 8]",
    );
    assert_eq!(seen.ids[2], "6 7 8");
    let at = |map: &[Vec<u32>], id| {
        let range = map.iter().find(|r| r[0] <= id && id < r[0] + r[2]).unwrap();
        id - range[0] + range[1]
    };
    seen.is((5, 6), (at(&seen.uid_map, 5), at(&seen.gid_map, 6)));
}

#[test]
fn a_map_of_ranges_is_written_as_declared() {
    if without_subordinate("a_map_of_ranges_is_written_as_declared") {
        return;
    }
    let project = Project::new();
    let first = if is_root() {
        200_000
    } else {
        subordinate().unwrap()
    };
    let ranges = format!(
        "[{{ inside = 0, outside = {first}, count = 10 }}, {{ inside = 1000, outside = {}, count = 5 }}]",
        first + 500
    );
    let map = [[0, first, 10], [1000, first + 500, 5]];
    let user = format!("uid = 1001\ngid = 3\nuid_map = {ranges}\ngid_map = {ranges}");
    let seen = look(&project, &user);
    assert_eq!(seen.uid_map, map);
    assert_eq!(seen.gid_map, map);
    seen.is((1001, 3), (first + 501, first + 3));
    let beyond = format!("version = 1\n[user]\nuid = 500\nuid_map = {ranges}\ngid_map = {ranges}");
    let words = project.run(&beyond, "echo ran").fails(125);
    assert!(words.contains("the id map holds no uid 500"), "{words}");
    assert!(words.contains("sandbox.toml:3:"), "{words}");
}

#[test]
fn ranges_that_are_not_the_callers_are_refused_with_their_line() {
    if is_root() {
        let why = "root may map every id";
        return skip(
            "ranges_that_are_not_the_callers_are_refused_with_their_line",
            why,
        );
    }
    if without_subordinate("ranges_that_are_not_the_callers_are_refused_with_their_line") {
        return;
    }
    let project = Project::new();
    let first = subordinate().unwrap();
    for (outside, count) in [(0, 1), (5000, 10), (first - 1, 2), (first, 65_537)] {
        let profile = format!(
            "version = 1\n[user]\nuid = 0\nuid_map = [{{ inside = 0, outside = {outside}, count = {count} }}]"
        );
        let refused = project.run(&profile, "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        assert!(
            words.contains("the caller holds no subordinate uids"),
            "{words}"
        );
        assert!(words.contains("sandbox.toml:4:"), "{words}");
    }
}

#[test]
fn supplementary_groups_are_the_declared_ones_or_refused() {
    let project = Project::new();
    if is_root() {
        let user = "uid = 1\ngid = 2\ngroups = [3, 4]
uid_map = [{ inside = 1, outside = 200001 }]
gid_map = [{ inside = 2, outside = 200002, count = 3 }]";
        let seen = look(&project, user);
        assert_eq!(seen.ids[2], "2 3 4");
        let profile = "version = 1\n[user]\ngroups = [44]";
        let words = project.run(profile, "echo ran").fails(125);
        assert!(words.contains("the id map holds no gid 44"), "{words}");
        return;
    }
    let profile = "version = 1\n[user]\ngroups = [44]";
    let words = project.run(profile, "echo ran").fails(125);
    assert!(
        words.contains("supplementary groups cannot be set by a plain user"),
        "{words}"
    );
    assert!(words.contains("sandbox.toml:3:"), "{words}");
}

#[test]
fn what_is_made_in_the_project_belongs_to_the_caller() {
    let project = Project::new();
    let mut maps = vec!["", "uid_map = \"root\""];
    if is_root() || subordinate().is_some() {
        maps.push("uid_map = \"auto\"");
    }
    for map in maps {
        let script = "mkdir made && echo text > made/file && ln -s file made/link && \
            stat -c '%u %g' . made made/file && id -u && id -g";
        let run = project
            .run(&format!("version = 1\n[user]\n{map}"), script)
            .ok();
        let lines: Vec<_> = run.lines().collect();
        let who = format!("{} {}", lines[3], lines[4]);
        assert_eq!(lines[..3], [who.as_str(); 3], "inside, {map}");
        for name in ["made", "made/file", "made/link"] {
            let metadata = project.path().join(name).symlink_metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), own_ids(), "{name}, {map}");
        }
        std::fs::remove_dir_all(project.path().join("made")).unwrap();
    }
}

#[test]
fn the_project_of_another_user_stays_theirs_when_root_runs_in_it() {
    if !is_root() {
        let why = "only root can make a project for another user";
        return skip(
            "the_project_of_another_user_stays_theirs_when_root_runs_in_it",
            why,
        );
    }
    let project = Project::new();
    project.write("theirs", "text");
    project.write("roots", "text");
    chown(project.path(), Some(4242), Some(4343)).unwrap();
    chown(project.path().join("theirs"), Some(4242), Some(4343)).unwrap();
    for map in ["", "uid_map = \"root\""] {
        let script = "echo more >> theirs && touch made && stat -c '%u %g' theirs made && \
            stat -c %u roots; echo more >> roots";
        let profile = format!("version = 1\n[user]\n{map}");
        let run = project.run(&profile, script);
        let id = if map.is_empty() { 1000 } else { 0 };
        assert_eq!(
            run.stdout,
            format!("{id} {id}\n{id} {id}\n65534\n"),
            "{run:?}"
        );
        assert!(run.stderr.contains("Permission denied"), "{run:?}");
        let metadata = project.path().join("made").metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4242, 4343));
        std::fs::remove_file(project.path().join("made")).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(project.path().join("roots")).unwrap(),
        "text"
    );
}

#[test]
fn without_a_user_namespace_the_ids_are_the_declared_ones() {
    if !is_root() {
        let why = "only root can take other ids";
        return skip(
            "without_a_user_namespace_the_ids_are_the_declared_ones",
            why,
        );
    }
    let project = Project::new();
    let profile = "version = 1\n[namespaces]\nuser = \"shared\"\n[user]\nuid = 4242\ngid = 4243\ngroups = [4244]";
    let script = "id -u; id -g; id -G; grep Cap /proc/self/status";
    let run = project.run(profile, script).ok();
    assert!(run.starts_with("4242\n4243\n4243 4244\n"), "{run}");
    assert!(!run.contains(|c: char| ('1'..='9').contains(&c) && run.contains("CapEff:\t1")));
    let maps = "version = 1\n[namespaces]\nuser = \"shared\"\n[user]\nuid_map = \"root\"";
    let words = project.run(maps, "echo ran").fails(125);
    assert!(
        words.contains("id maps need a new user namespace"),
        "{words}"
    );
}

#[test]
fn two_runs_of_root_side_by_side_have_different_ids() {
    if !is_root() {
        let why = "a plain user has one id";
        return skip("two_runs_of_root_side_by_side_have_different_ids", why);
    }
    let (one, two) = (Project::new(), Project::new());
    let script = format!("cat /proc/self/uid_map; {HOLD}");
    let first = Live::script(&one, "version = 1", &script);
    let second = Live::script(&two, "version = 1", &script);
    assert_ne!(first.go(&one).ok(), second.go(&two).ok());
}

#[test]
fn without_owner_maps_the_owners_are_the_hosts() {
    if !is_root() {
        let why = "a plain user's mounts have no maps";
        return skip("without_owner_maps_the_owners_are_the_hosts", why);
    }
    let project = Project::new();
    let profile = "version = 1\n[enforce]\nidmap = \"off\"";
    let run = done(&mut project.script(profile, "stat -c %u .; touch made"));
    assert_eq!(run.stdout, "65534\n");
    assert_ne!(run.code, 0);
}

/// A file system that cannot map owners: a ramfs, in a mount namespace that ends with the run.
#[test]
fn where_owners_cannot_be_mapped_enforce_decides() {
    if !is_root() {
        return skip(
            "where_owners_cannot_be_mapped_enforce_decides",
            "only root's mounts have maps",
        );
    }
    let run = |tables: &str| {
        let project = Project::new();
        let script = "mount -t ramfs none \"$PWD\" && cd \"$PWD\" && mkdir project && cd project &&
            touch file && printf '%s' \"$2\" >ramfs.toml && exec \"$1\" --profile ramfs.toml -- ls";
        done(
            Command::new("unshare")
                .args(["--mount", "sh", "-ec", script, "sh"])
                .arg(program())
                .arg(format!("version = 1\n{tables}"))
                .current_dir(project.path()),
        )
    };
    let required = run("");
    let words = required.fails(125);
    assert!(words.contains("owners mapped: Invalid argument"), "{words}");
    assert!(words.contains("idmap = \"prefer\""), "{words}");
    let preferred = run("[enforce]\nidmap = \"prefer\"");
    assert_eq!(
        (preferred.code, preferred.stdout.as_str()),
        (0, "file\nramfs.toml\n")
    );
    assert!(preferred.stderr.contains("not enforced: "), "{preferred:?}");
    for quiet in ["[enforce]\nidmap = \"off\"", "[rootfs]\nproject = \"read\""] {
        assert_eq!(run(quiet).ok(), "file\nramfs.toml\n");
    }
}
