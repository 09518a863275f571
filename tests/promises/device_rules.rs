//! `[devices]` `access` and `policy`: what may be done with devices, whatever nodes there are.

use crate::support::{Project, is_root, skip};

/// A command of root's own ids, which owns the nodes: only the rules are in its way.
const ROOT: &str = "[namespaces]\nuser = \"shared\"\n[user]\nuid = 0\ngid = 0\n";

/// Nodes that root opens without a capability, for reading and writing, on one machine or the other.
const NODES: [&str; 5] = ["loop-control", "fuse", "net/tun", "ubda", "kmsg"];

/// Opens a node in each way, and says which could be done.
fn ways(name: &str) -> String {
    format!(
        "for way in '<' '>>' '<>'; do
             sh -c \": $way/dev/{name}\" 2>/dev/null && echo \"$way\"
         done; "
    )
}

/// A node of this machine's for a test; `None` where the test cannot run.
fn node(test: &str, project: &Project) -> Option<&'static str> {
    let run = |name: &str, access: &str| {
        let nodes = format!("nodes = [{{ name = \"{name}\"{access} }}]");
        let profile = format!("version = 1\n{ROOT}[devices]\n{nodes}");
        project.run(&profile, &ways(name))
    };
    let works = |name: &&str| {
        let there = std::path::Path::new("/dev").join(name).exists();
        there && run(name, "").stdout == "<\n>>\n<>\n"
    };
    let node = is_root().then(|| NODES.into_iter().find(works)).flatten();
    let refused = node.is_some_and(|name| {
        run(name, ", access = \"rw\"")
            .stderr
            .contains("a program about devices")
    });
    let why = match (node, refused) {
        (Some(name), false) => return Some(name),
        (Some(_), true) => "this kernel takes no program about devices",
        (None, _) if is_root() => "this machine has no device for it",
        (None, _) => "only root can have rules about devices",
    };
    skip(test, why);
    None
}

#[test]
fn a_device_is_opened_as_its_access_says_and_no_further() {
    let test = "a_device_is_opened_as_its_access_says_and_no_further";
    let project = Project::new();
    let Some(name) = node(test, &project) else {
        return;
    };
    let run = |access: &str| {
        let nodes = format!("nodes = [{{ name = \"{name}\"{access} }}]");
        let profile = format!("version = 1\n{ROOT}[devices]\n{nodes}\n");
        let script = "echo x >/dev/null && head -c 3 /dev/zero | wc -c
             python3 -c 'import os; os.openpty(); print(\"terminal\")'";
        project.run(&profile, &(ways(name) + script))
    };
    assert_eq!(run("").ok(), "<\n>>\n<>\n3\nterminal\n");
    assert_eq!(run(", access = \"rw\"").ok(), "<\n>>\n<>\n3\nterminal\n");
    assert_eq!(run(", access = \"r\"").ok(), "<\n3\nterminal\n");
    assert_eq!(run(", access = \"w\"").ok(), ">>\n3\nterminal\n");
    let why = |question: &str| {
        let path = format!("/dev/{name}");
        let arguments = ["why", "sandbox.toml", question, &path];
        crate::support::done(&mut project.program(&arguments))
    };
    let denied = why("read");
    let said = format!("{}{}", denied.stdout, denied.stderr);
    assert!(
        said.contains("the rules about devices do not permit it"),
        "{said}"
    );
    let allowed = why("write");
    let said = format!("{}{}", allowed.stdout, allowed.stderr);
    assert!(said.contains("may be written"), "{said}");
}

#[test]
fn under_a_closed_policy_no_other_device_is_opened_or_made() {
    let test = "under_a_closed_policy_no_other_device_is_opened_or_made";
    let project = Project::new();
    let Some(name) = node(test, &project) else {
        return;
    };
    let run = |policy: &str| {
        let profile = format!(
            "version = 1\n{ROOT}[capabilities]\nkeep = [\"mknod\"]\n[devices]\npolicy = \"{policy}\"\n\
             [[mounts]]\ntype = \"bind\"\ntarget = \"/dev/{name}\"\nread_only = false\nnodev = false\nidmap = false\n"
        );
        let script = format!(
            "(: <>/dev/{name}) 2>&1 | grep -c 'not permitted'
             mknod /tmp/zero c 1 5 2>&1 | grep -c 'not permitted'; head -c 3 /dev/urandom | wc -c"
        );
        project.run(&profile, &script)
    };
    assert_eq!(run("auto").stdout, "0\n0\n3\n");
    assert_eq!(run("closed").stdout, "1\n1\n3\n");
}

#[test]
fn a_rule_by_number_opens_what_a_driver_has_wherever_there_is_a_node() {
    let test = "a_rule_by_number_opens_what_a_driver_has_wherever_there_is_a_node";
    let project = Project::new();
    let Some(name) = node(test, &project) else {
        return;
    };
    let stat = std::fs::metadata(format!("/dev/{name}")).unwrap();
    let number = std::os::unix::fs::MetadataExt::rdev(&stat);
    let (major, minor) = (libc::major(number), libc::minor(number));
    let kind = match std::os::unix::fs::FileTypeExt::is_block_device(&stat.file_type()) {
        true => 'b',
        false => 'c',
    };
    let run = |rules: &str| {
        let profile = format!(
            "version = 1\n{ROOT}[devices]\nrules = [{rules}]\n\
             [[mounts]]\ntype = \"bind\"\ntarget = \"/dev/{name}\"\nread_only = false\nnodev = false\nidmap = false\n"
        );
        project.run(&profile, &(ways(name) + "head -c 3 /dev/zero | wc -c"))
    };
    let all = format!("\"{kind} {major}:* rw\"");
    assert_eq!(run(&all).ok(), "<\n>>\n<>\n3\n");
    assert_eq!(run(&format!("\"{kind} {major}:{minor} r\"")).ok(), "<\n3\n");
    let other = if kind == 'b' { 'c' } else { 'b' };
    for none in [
        format!("\"{kind} {major}:{} rw\"", minor + 1),
        format!("\"{other} {major}:* rw\""),
    ] {
        assert_eq!(run(&none).ok(), "3\n", "{none}");
    }
}

#[test]
fn rules_about_devices_are_refused_where_only_root_could_have_them() {
    let test = "rules_about_devices_are_refused_where_only_root_could_have_them";
    if is_root() {
        return skip(test, "root has them");
    }
    let project = Project::new();
    let run = |enforce: &str| {
        let profile = format!(
            "version = 1\n[devices]\nnodes = [{{ name = \"fuse\", optional = true, access = \"r\" }}]\n{enforce}"
        );
        project.run(&profile, "echo ran")
    };
    let by_number = "version = 1\n[devices]\nrules = [\"c 1:* rw\"]";
    let said = project.run(by_number, "echo ran").fails(125);
    assert!(
        said.contains("only root") && said.contains("sandbox.toml:3:"),
        "{said}"
    );
    let refused = run("");
    assert_eq!(refused.stdout, "");
    let said = refused.fails(125);
    for part in [
        "only root",
        "sandbox.toml:3:",
        "help: ",
        "devices = \"prefer\"",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let preferred = run("[enforce]\ndevices = \"prefer\"");
    assert_eq!((preferred.code, &*preferred.stdout), (0, "ran\n"));
    assert!(preferred.stderr.contains("sandbox: not enforced: "));
    let off = run("[enforce]\ndevices = \"off\"");
    assert_eq!(off.ok(), "ran\n");
}
