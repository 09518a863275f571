//! Disks that are full: the one that changes are kept on, and the one that they are taken over to.

use crate::support::{Done, Project, done, is_root, program, skip};
use std::path::Path;
use std::process::Command;

const KEEP: &str = "version = 1\n[rootfs]\nproject = \"keep\"\n";

/// A disk of few megabytes, mounted for a script alone; none where that cannot be done here.
fn with_disk(test: &str, project: &Project, at: &Path, script: &str) -> Option<Done> {
    if !is_root() {
        skip(test, "only root can mount a disk of its own");
        return None;
    }
    let image = project.path().join("disk.img");
    let setup = r#"
        truncate -s 4M "$IMAGE" && mkfs.ext4 -q -m 0 -O ^has_journal "$IMAGE" &&
        mkdir -p "$AT" && mount -o loop "$IMAGE" "$AT" && chmod 700 "$AT" && rmdir "$AT/lost+found" || exit 77
    "#;
    let run = done(
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!("{setup}{script}"))
            .env("IMAGE", &image)
            .env("AT", at)
            .env("SANDBOX", program())
            .env("KEEP", project.write("keep.toml", KEEP))
            .current_dir(project.path()),
    );
    if run.code == 77 {
        skip(test, "no disk can be made and mounted here");
        return None;
    }
    Some(run)
}

#[test]
fn a_disk_that_is_full_is_the_commands_matter_and_loses_nothing() {
    let test = "a_disk_that_is_full_is_the_commands_matter_and_loses_nothing";
    let project = Project::new();
    let script = r#"
        set -e
        mkdir -p a/.git b/.git
        run() { "$SANDBOX" --profile "$KEEP" -- sh -c "$1"; }
        cd a
        echo "-- first"
        run 'echo small > small; head -c 64M /dev/zero > big; echo "head: $?"; echo alive' 2>&1
        "$SANDBOX" changes list a
        echo "-- another"
        cd ../b
        run 'echo started' 2>&1 || echo "code: $?"
        ls -A "$AT"
        echo "-- again"
        cd ../a
        run 'rm big; echo more > more; echo "echo: $?"' 2>&1
        "$SANDBOX" changes list a
        "$SANDBOX" changes apply a
        ls "$AT"
        cat small more
    "#;
    let store = Path::new("/var/lib/sandbox/changes");
    let Some(run) = with_disk(test, &project, store, script) else {
        return;
    };
    assert_eq!(run.code, 0, "{run:?}");
    let mut parts = run.stdout.split("-- ");
    let mut part = || parts.next().unwrap_or_default();
    assert_eq!(part(), "");
    let first = part();
    for line in [
        "No space left on device",
        "head: 1\nalive\n",
        "sandbox: the file system of /var/lib/sandbox/changes is full: what the command could not write",
        "sandbox: changes to ",
        "added     small",
    ] {
        assert!(first.contains(line), "{line}: {first}");
    }
    let another = part();
    assert!(!another.contains("started"), "{another}");
    assert!(another.contains("No space left on device"), "{another}");
    // What could not begin leaves nothing.
    assert!(another.ends_with("code: 125\na\n"), "{another}");
    let again = part();
    assert!(again.contains("echo: 0"), "{again}");
    assert!(
        !again.contains("is full") && !again.contains(" big"),
        "{again}"
    );
    assert!(again.ends_with("small\nmore\n"), "{again}");
}

#[test]
fn what_there_is_no_room_for_is_not_taken_over_and_stays_kept() {
    let test = "what_there_is_no_room_for_is_not_taken_over_and_stays_kept";
    let project = Project::new();
    let tree = project.path().join(format!("tree-{}", std::process::id()));
    let script = r#"
        set -e
        name=$(basename "$AT")
        cd "$AT"
        mkdir .git
        echo old > old
        echo before > becomes
        head -c 2560K /dev/zero > filler
        trap '"$SANDBOX" changes discard "$name" 2>/dev/null || true' EXIT
        "$SANDBOX" --profile "$KEEP" -- sh -c 'rm old; echo new > new; head -c 1800K /dev/zero > big; rm becomes; head -c 1500K /dev/zero > becomes' 2>/dev/null
        echo "-- full"
        "$SANDBOX" changes apply "$name" 2>&1 || echo "code: $?"
        find . -name '.sandbox*'
        cat new becomes
        "$SANDBOX" changes list "$name"
        rm filler
        echo "-- room"
        "$SANDBOX" changes apply "$name" 2>&1
        stat -c '%n %s' becomes big
    "#;
    let Some(run) = with_disk(test, &project, &tree, script) else {
        return;
    };
    assert_eq!(run.code, 0, "{run:?}");
    let (_, rest) = run.stdout.split_once("-- full\n").unwrap();
    let (full, room) = rest.split_once("-- room\n").unwrap();
    for line in [
        "sandbox: big is not taken over: No space left on device",
        "sandbox: becomes is not taken over: No space left on device",
        "code: 1\nnew\nbefore\n",
        "added     big",
        "modified  becomes",
    ] {
        assert!(full.contains(line), "{line}: {full}");
    }
    assert_eq!(room, "becomes 1536000\nbig 1843200\n");
}
