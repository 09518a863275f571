//! A check has no side effects: it looks, opens nothing but profiles, and starts nothing.

use crate::support::{Project, program, skip};
use std::collections::BTreeSet;
use std::process::Command;

/// A profile that names much of what could be opened or started.
const PROFILE: &str = r#"
version = 1
[rootfs]
programs = ["sh", "true"]
[namespaces]
net = "new"
[user]
groups = []
[[mounts]]
type = "bind"
source = "inside"
target = "/inside"
[[mounts]]
type = "bind"
source = "/usr"
target = "/data"
[[mounts]]
type = "tmpfs"
target = "${PROJECT}/made"
[limits]
pids = 100
[enforce]
limits = "prefer"
"#;

/// The calls about files and processes that a check makes, as strace prints them; `None` if nothing
/// can be traced here.
fn calls(project: &Project, arguments: &[&str]) -> Option<Vec<String>> {
    let log = std::env::temp_dir().join(format!(
        "{}.strace",
        project.path().file_name().unwrap().display()
    ));
    let output = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-s",
            "4096",
            "-e",
            "trace=%file,%process,write",
            "-o",
        ])
        .arg(&log)
        .arg(program())
        .args(arguments)
        .current_dir(project.path())
        .output();
    let traced = std::fs::read_to_string(&log);
    let _ = std::fs::remove_file(&log);
    let output = output.ok()?;
    let lines: Vec<String> = traced
        .ok()?
        .lines()
        // The pid comes first.
        .map(|line| {
            line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
                .to_owned()
        })
        .filter(|line| !line.starts_with("+++"))
        .collect();
    lines.first().filter(|line| line.starts_with("execve("))?;
    assert!(output.status.success(), "{output:?}");
    Some(lines)
}

fn name(call: &str) -> &str {
    call.split_once('(').map_or(call, |(name, _)| name)
}

/// The path that a call opens.
fn opened(call: &str) -> Option<&str> {
    if !name(call).starts_with("open") {
        return None;
    }
    call.split('"').nth(1)
}

/// What looks and changes nothing, besides opening.
const LOOKS: &[&str] = &[
    "access",
    "exit_group",
    "faccessat",
    "faccessat2",
    "getcwd",
    "lstat",
    "newfstatat",
    "readlink",
    "readlinkat",
    "stat",
    "statfs",
    "statx",
];

#[test]
fn a_check_opens_nothing_but_profiles_and_starts_nothing() {
    let test = "a_check_opens_nothing_but_profiles_and_starts_nothing";
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    project.write("inside/file", "");
    for host in [false, true] {
        let mut arguments = vec!["check", "sandbox.toml"];
        arguments.extend(host.then_some("--host"));
        let Some(calls) = calls(&project, &arguments) else {
            return skip(test, "strace is missing or may not trace here");
        };
        for call in calls.iter().skip(1) {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
            let fine = match name(call) {
                open if open.starts_with("open") => !writes.iter().any(|flag| call.contains(flag)),
                // Warnings about this machine.
                "write" => call.starts_with("write(2, "),
                name => LOOKS.contains(&name),
            };
            assert!(fine, "{call}");
        }
        let opened: BTreeSet<_> = calls.iter().filter_map(|call| opened(call)).collect();
        assert!(opened.contains("sandbox.toml"), "{opened:?}");
        if host {
            // It reads what it has to know, such as the libraries of the programs.
            assert!(opened.len() > 5, "{opened:?}");
        } else {
            // The runtime of the language looks for the bounds of its stack.
            let known = BTreeSet::from(["sandbox.toml", "/proc/self/maps"]);
            assert!(opened.is_subset(&known), "{opened:?}");
        }
        let left: BTreeSet<_> = std::fs::read_dir(project.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(
            left,
            BTreeSet::from(["inside".into(), "sandbox.toml".into()])
        );
    }
}
