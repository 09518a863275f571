//! All mistakes at once.

use crate::checked;
use sandbox::diag::Code;
use std::collections::BTreeSet;

/// One mistake a line, but for the first and the lines of tables.
pub(crate) const MISTAKES: &str = r#"version = 3
hostname = "no spaces here"
domainname = 12
colour = "red"
[rootfs]
directory = "../root"
changes = "kept"
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

/// Where, by line and column from 1, and what.
#[test]
fn thirty_mistakes_give_thirty_diagnostics_at_their_places_in_one_run() {
    let said = checked(MISTAKES);
    let mut lines = said.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(message) = line.strip_prefix("error[") else {
            continue;
        };
        let place = lines.next().unwrap().trim();
        let place = place.strip_prefix("--> sandbox.toml:").unwrap();
        let (line, column) = place.split_once(':').unwrap();
        let place: (usize, usize) = (line.parse().unwrap(), column.parse().unwrap());
        found.push((place, message.replacen("]:", "", 1)));
    }
    assert!(found.is_sorted_by_key(|(place, _)| *place), "{said}");
    let list: Vec<_> = found
        .iter()
        .map(|((line, column), message)| format!("{line:>2}:{column:<2} {message}"))
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
     1:11 SBX0004 version 3 of the language is not known to this program
     2:12 SBX0004 a host name has 1 to 64 printable ASCII characters
     3:14 SBX0004 expected a string, found a whole number
     4:1  SBX0003 there is no key `colour` in the profile
     6:13 SBX0008 the path `[project]/../root` leads upwards (`..`)
     7:11 SBX0004 `kept` is none of the choices
     8:11 SBX0004 expected a string, found true or false
    10:7  SBX0004 `old` is no choice for a namespace
    12:7  SBX0009 4294967295 stands for no id at all
    13:12 SBX0009 an empty range, or one beyond the largest id
    14:10 SBX0004 no list of groups
    16:10 SBX0008 `/dev/sda` is no name of a device
    18:8  SBX0004 `internet` is none of the choices
    20:9  SBX0010 there is no capability `flying`
    21:12 SBX0012 `net_raw` can be ambient only if it is kept
    23:10 SBX0011 there is no system call `opne` on this architecture
    24:9  SBX0040 without `execve` no command can be started
    26:8  SBX0044 too few processes to start a command
    27:10 SBX0004 invalid value: string "lots", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
    28:7  SBX0004 invalid value: floating point `-1.0`, expected a number of processors from 0.01 to 10000, such as 0.5 or 2
    29:10 SBX0004 `all` is no list of processors
    30:13 SBX0004 invalid value: string "later", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
    32:19 SBX0045 soft is above hard
    33:9  SBX0004 invalid value: string "tall", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
    35:12 SBX0004 the name of a variable is not empty and holds no `=`
    36:16 SBX0006 there is no variable `${HOUSE}`
    38:7  SBX0008 the working directory `here` is not absolute
    39:9  SBX0004 expected a mode in octal, found a whole number in decimal
    40:8  SBX0004 `nice` goes from -20 to 19
    42:11 SBX0004 `sometimes` is none of the choices
    45:10 SBX0008 the target `data` is not absolute
    46:1  SBX0005 `type` is missing in [[mounts]]
    50:10 SBX0008 the target `/data/..` leads upwards (`..`)
    51:8  SBX0012 `size` says nothing here
    "#);
    // No two of one place and sentence, one for each mistake.
    let distinct: BTreeSet<_> = found.iter().collect();
    assert_eq!(distinct.len(), found.len());
    assert!(found.len() >= 30);
    // Every line that is no table, and the one mount that lacks its type.
    let expected: Vec<_> = (1..)
        .zip(MISTAKES.lines())
        .filter(|(_, text)| !text.starts_with('[') && !text.starts_with("type"))
        .map(|(line, _)| line)
        .collect();
    for line in expected {
        let text = MISTAKES.lines().nth(line - 1).unwrap();
        // The target of the mount without a type is right.
        if text != "target = \"/data\"" {
            let here = found.iter().filter(|((at, _), _)| *at == line).count();
            assert_eq!(here, 1, "line {line} `{text}`: {said}");
        }
    }
}

#[test]
fn every_code_has_a_test_that_shows_it() {
    let tests = [
        include_str!("forms.rs"),
        include_str!("bounds.rs"),
        include_str!("effects.rs"),
        include_str!("exposure.rs"),
        include_str!("assertions.rs"),
        include_str!("identity.rs"),
        include_str!("input.rs"),
        include_str!("language.rs"),
        include_str!("layers.rs"),
        include_str!("machine.rs"),
        include_str!("mounts.rs"),
        include_str!("nesting.rs"),
        include_str!("power.rs"),
        include_str!("privileges.rs"),
        include_str!("process.rs"),
        include_str!("resources.rs"),
        include_str!("review.rs"),
        include_str!("root.rs"),
        include_str!("../promises/ceiling.rs"),
        // What only a sandbox shows.
        include_str!("../promises/proofs.rs"),
        include_str!("../promises/running.rs"),
        include_str!("../promises/pausing.rs"),
    ];
    let page = crate::page::sections();
    for code in Code::ALL {
        let shown = format!("[{}]: ", code.as_str());
        // The wrong samples of the page are run.
        let on_page = page
            .iter()
            .any(|section| section.code == code.as_str() && !section.wrong.is_empty());
        assert!(
            on_page || tests.iter().any(|t| t.contains(&shown)),
            "{code:?}"
        );
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

#[test]
fn the_built_in_profiles_are_checked_in_silence() {
    let folder = crate::Folder::with("version = 1\n");
    for (name, _) in sandbox::profile::find::BUILT_IN {
        let output = folder.program(&["check", name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}
