//! Nodes of devices that are made: `number`, `mode` and `owner` of `[devices]`.

use crate::support::{Project, is_root, skip};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

/// The number of /dev/zero, which is the same on every machine.
const ZERO: &str = "number = \"c 1:5\"";

fn profile(nodes: &str) -> String {
    format!("version = 1\n[user]\nuid = 1000\ngid = 1000\n[devices]\nnodes = [{nodes}]\n")
}

/// Whether the tests make nodes here; said if not.
fn can(test: &str, project: &Project) -> bool {
    let node = format!("{{ name = \"nothing\", {ZERO} }}");
    let why = match is_root() {
        false => "only root can make nodes",
        true if project.run(&profile(&node), "true").code != 0 => "root may make no nodes here",
        true => return true,
    };
    skip(test, why);
    false
}

#[test]
fn a_node_is_made_with_its_number_its_mode_and_its_owner_and_goes_with_the_run() {
    let test = "a_node_is_made_with_its_number_its_mode_and_its_owner_and_goes_with_the_run";
    let project = Project::new();
    if !can(test, &project) {
        return;
    }
    let nodes = format!(
        "{{ name = \"made/own\", {ZERO}, mode = \"640\", owner = {{ uid = 1000, gid = 1000 }} }},
         {{ name = \"made/any\", {ZERO} }},
         {{ name = \"made/none\", {ZERO}, mode = \"600\" }},
         {{ name = \"made/nowhere\", number = \"c 4095:1048575\" }},
         {{ name = \"made/disk\", number = \"b 4095:7\", mode = \"606\" }}"
    );
    let script = "cd /dev/made && stat -c '%n %F %t:%T %a %u:%g' own any disk
        for one in own any none nowhere; do
            head -c 3 $one 2>/dev/null | od -An -tx1; ls -d $one >/dev/null || echo missing
        done
        head -c 1 none; head -c 1 nowhere
        chmod 777 any; mknod other c 1 5; rm own";
    let done = project.run(&profile(&nodes), script);
    let seen = "own character special file 1:5 640 1000:1000\n\
        any character special file 1:5 666 65534:65534\n\
        disk block special file fff:7 606 65534:65534\n \
        00 00 00\n 00 00 00\n";
    assert_eq!(done.stdout, seen, "{done:?}");
    for words in [
        "'none' for reading: Permission denied",
        "'nowhere' for reading: No such device or address",
        "'any': Operation not permitted",
        "mknod: other: ",
        "'own': ",
    ] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
    assert!(!std::path::Path::new("/dev/made").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("/made"), "{mounts}");
}

#[test]
fn a_node_that_is_made_is_open_as_far_as_its_access_says() {
    let test = "a_node_that_is_made_is_open_as_far_as_its_access_says";
    let project = Project::new();
    if !can(test, &project) {
        return;
    }
    // A command of root's own ids, so that only the rules are in its way.
    let ways = "for way in '<' '>>' '<>'; do
            sh -c \": $way/dev/made\" 2>/dev/null && echo \"$way\"
        done; true";
    let node = |number: &str, access: &str| {
        let ids = "[namespaces]\nuser = \"shared\"\n[user]\nuid = 0\ngid = 0\n";
        let nodes = format!("{{ name = \"made\", number = \"{number}\", mode = \"600\"{access} }}");
        format!("version = 1\n{ids}[devices]\nnodes = [{nodes}]\n")
    };
    let opens =
        |(_, number): &(&str, String)| project.run(&node(number, ""), ways).stdout == "<\n>>\n<>\n";
    let Some((_, number)) = there().find(opens) else {
        return skip(test, "this machine has no device for it");
    };
    let refused = project.run(&node(&number, ", access = \"rw\""), "true");
    if refused.stderr.contains("a program about devices") {
        return skip(test, "this kernel takes no program about devices");
    }
    for (access, expected) in [("rw", "<\n>>\n<>\n"), ("r", "<\n"), ("w", ">>\n")] {
        let access = format!(", access = \"{access}\"");
        assert_eq!(project.run(&node(&number, &access), ways).ok(), expected);
    }
    let why = |access: &str, question: &str| {
        project.write("sandbox.toml", node(&number, access));
        let arguments = ["why", "sandbox.toml", question, "/dev/made"];
        let said = crate::support::done(&mut project.program(&arguments));
        format!("{}{}", said.stdout, said.stderr)
    };
    let refused = "the rules about devices do not permit it";
    assert!(why(", access = \"r\"", "write").contains(refused));
    let read = why(", access = \"r\"", "read");
    assert!(read.contains("may be read"), "{read}");
}

/// Nodes of this machine's besides the minimal ones, with their kinds and numbers.
fn there() -> impl Iterator<Item = (&'static str, String)> {
    let names = ["fuse", "loop-control", "net/tun", "ubda", "kmsg"];
    names.into_iter().filter_map(|name| {
        let found = std::fs::metadata(std::path::Path::new("/dev").join(name)).ok()?;
        let kind = if found.file_type().is_char_device() {
            'c'
        } else {
            'b'
        };
        let number = found.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        Some((name, format!("{kind} {major}:{minor}")))
    })
}

#[test]
fn the_hosts_node_of_the_number_is_shown_as_it_is_and_a_plain_user_has_no_other() {
    let project = Project::new();
    let Some((name, number)) = there().next() else {
        let test = "the_hosts_node_of_the_number_is_shown_as_it_is_and_a_plain_user_has_no_other";
        return skip(test, "this machine has no node besides the minimal ones");
    };
    let node = |more: &str| {
        profile(&format!(
            "{{ name = \"{name}\", number = \"{number}\"{more} }}"
        ))
    };
    project.write("sandbox.toml", node(""));
    let run = |words: &[&str]| crate::support::done(&mut project.program(words));
    let shown = run(&["explain", "--profile", "sandbox.toml", "--", "true"]).ok();
    assert!(!shown.contains("make a node"), "{shown}");
    let script = format!("stat -c '%a %t:%T' /dev/{name}");
    let outside = crate::support::done(std::process::Command::new("sh").args(["-c", &script])).ok();
    assert_eq!(project.run(&node(""), &script).ok(), outside);
    if is_root() {
        return;
    }
    for (more, help) in [
        (", mode = \"666\"", "remove `mode` and `owner`"),
        (", owner = { uid = 1000 }", "remove `mode` and `owner`"),
    ] {
        let said = project.run(&node(more), "true").fails(125);
        for words in [
            "sandbox.toml:6",
            "only root of the machine can make a node",
            help,
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    let other = profile("{ name = \"other\", number = \"c 1:5\" }");
    let said = project.run(&other, "true").fails(125);
    assert!(
        said.contains("only root of the machine can make a node"),
        "{said}"
    );
}
