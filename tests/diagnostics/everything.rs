//! All mistakes at once.

use crate::checked;
use sandbox::diag::Code;

/// One mistake a line, but for the first and the lines of tables.
const MISTAKES: &str = r#"version = 3
hostname = "no spaces here"
domainname = 12
colour = "red"
[rootfs]
directory = "../root"
changes = "keep"
project = true
[namespaces]
pid = "old"
[user]
uid = 4294967295
uid_map = [{ inside = 0, outside = 0, count = 0 }]
groups = "wheel"
[devices]
nodes = ["/dev/sda"]
[network]
mode = "internet"
[capabilities]
keep = ["flying"]
ambient = ["net_raw"]
[seccomp]
allow = ["opne"]
deny = ["execve"]
[limits]
pids = 0
memory = "lots"
cpu = -1
cpuset = "all"
wall_time = "later"
[rlimits]
nofile = { soft = 2, hard = 1 }
stack = "tall"
[environment]
inherit = ["A=B"]
set = { HOME = "${HOUSE}" }
[process]
cwd = "here"
umask = 22
nice = 40
[enforce]
seccomp = "sometimes"
[[mounts]]
type = "tmpfs"
target = "data"
[[mounts]]
target = "/data"
[[mounts]]
type = "bind"
target = "/data/.."
size = 64
"#;

#[test]
fn all_mistakes_are_reported_in_one_run_at_their_lines() {
    let said = checked(MISTAKES);
    let mut lines = said.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(message) = line.strip_prefix("error[") else {
            continue;
        };
        let place = lines.next().unwrap().trim();
        let place = place.strip_prefix("--> sandbox.toml:").unwrap();
        let (line, _) = place.split_once(':').unwrap();
        found.push((
            line.parse::<usize>().unwrap(),
            message.replacen("]:", "", 1),
        ));
    }
    assert!(found.is_sorted_by_key(|(line, _)| *line), "{said}");
    let list: Vec<_> = found.iter().map(|(l, m)| format!("{l:>2} {m}")).collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
     1 SBX0004 version 3 of the language is not known to this program
     2 SBX0004 a host name has 1 to 64 printable ASCII characters
     3 SBX0004 expected a string, found a whole number
     4 SBX0003 there is no key `colour` in the profile
     6 SBX0008 the path `[project]/../root` leads upwards (`..`)
     7 SBX0004 `keep` is none of the choices
     8 SBX0004 expected a string, found true or false
    10 SBX0004 `old` is no choice for a namespace
    12 SBX0009 4294967295 stands for no id at all
    13 SBX0009 an empty range, or one beyond the largest id
    14 SBX0004 expected a list, found a string
    16 SBX0008 `/dev/sda` is no name of a device
    18 SBX0004 `internet` is none of the choices
    20 SBX0010 there is no capability `flying`
    21 SBX0012 `net_raw` can be ambient only if it is kept
    23 SBX0011 there is no system call `opne` on this architecture
    24 SBX0011 without `execve` no command can be started
    26 SBX0004 too few processes to start a command
    27 SBX0004 invalid value: string "lots", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
    28 SBX0004 invalid value: floating point `-1.0`, expected a number of processors from 0.01 to 10000, such as 0.5 or 2
    29 SBX0004 `all` is no list of processors
    30 SBX0004 invalid value: string "later", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
    32 SBX0007 soft is above hard
    33 SBX0004 invalid value: string "tall", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
    35 SBX0004 the name of a variable is not empty and holds no `=`
    36 SBX0006 there is no variable `${HOUSE}`
    38 SBX0008 the working directory `here` is not absolute
    39 SBX0004 expected a mode in octal, found a whole number in decimal
    40 SBX0004 `nice` goes from -20 to 19
    42 SBX0004 `sometimes` is none of the choices
    45 SBX0008 the target `data` is not absolute
    46 SBX0005 a mount without `type`
    50 SBX0008 the target `/data/..` leads upwards (`..`)
    51 SBX0007 `size` means nothing for the type "bind"
    "#);
    // Every line that is no table, and the one mount that lacks its type.
    let expected: Vec<_> = (1..)
        .zip(MISTAKES.lines())
        .filter(|(_, text)| !text.starts_with('[') && !text.starts_with("type"))
        .map(|(line, _)| line)
        .collect();
    let mut reported: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    reported.dedup();
    for line in expected {
        let text = MISTAKES.lines().nth(line - 1).unwrap();
        // The target of the mount without a type is right.
        if text != "target = \"/data\"" {
            assert!(reported.contains(&line), "line {line} `{text}`: {said}");
        }
    }
}

#[test]
fn every_code_has_a_test_that_shows_it() {
    let tests = [
        include_str!("assertions.rs"),
        include_str!("identity.rs"),
        include_str!("language.rs"),
        include_str!("machine.rs"),
        include_str!("mounts.rs"),
        include_str!("privileges.rs"),
        include_str!("process.rs"),
        include_str!("resources.rs"),
        include_str!("root.rs"),
        // What only a sandbox shows.
        include_str!("../promises/proofs.rs"),
    ];
    for code in Code::ALL {
        let shown = format!("error[{}]: ", code.as_str());
        assert!(tests.iter().any(|t| t.contains(&shown)), "{code:?}");
    }
}

#[test]
fn a_profile_without_mistakes_is_checked_in_silence() {
    let folder = crate::Folder::with("version = 1\n");
    let output = folder.program(&["check", "sandbox.toml"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}
