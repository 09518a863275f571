//! Profiles that lie on others, their parameters, and the options on top of them.

use crate::{Folder, refused};

/// What `sandbox explain` says about files of which one is wrong, the first being the profile.
#[track_caller]
fn wrong(files: &[(&str, &str)], options: &[&str]) -> String {
    let folder = folder(files);
    let mut arguments = vec!["explain", "--profile", "sandbox.toml"];
    arguments.extend(options);
    refused(&folder, &mut folder.program(&arguments))
}

fn folder(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::with(files[0].1);
    for (name, text) in &files[1..] {
        let path = folder.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// What `sandbox show --format plain` prints.
#[track_caller]
fn shown(files: &[(&str, &str)], options: &[&str]) -> String {
    let folder = folder(files);
    let mut arguments = vec!["show", "--profile", "sandbox.toml", "--format", "plain"];
    arguments.extend(options);
    printed(&folder, &arguments)
}

#[track_caller]
fn printed(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.program(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .replace(folder.0.to_str().unwrap(), "[project]")
}

const BASE: &str = r#"
hostname = "base"

[limits]
pids = 100
memory = "1G"

[environment]
inherit = ["CC", "LD"]
set = { A = "1", B = "2" }

[user]
uid_map = [{ inside = 0, outside = 1000 }]
gid_map = "root"

[[mounts]]
type = "tmpfs"
target = "/data/"
size = "1M"

[[mounts]]
type = "directory"
target = "/empty"
"#;

#[test]
fn every_rule_of_merging() {
    let child = r#"
extends = ["base"]
hostname = "child"

[limits]
memory = "2G"

[environment]
inherit = ["AR"]
set = { B = "3" }

[user]
uid_map = [{ inside = 5, outside = 1000 }]

[[mounts]]
type = "file"
target = "/data"

[[mounts]]
type = "directory"
target = "/more"
"#;
    insta::assert_snapshot!(shown(&[("", child), ("base.toml", BASE)], &[]), @r#"
    hostname = "child"

    [user]
    uid_map = [{ inside = 5, outside = 1000 }]
    gid_map = "root"

    [[mounts]]
    type = "file"
    target = "/data"

    [[mounts]]
    type = "directory"
    target = "/empty"

    [[mounts]]
    type = "directory"
    target = "/more"

    [limits]
    pids = 100
    memory = "2G"

    [environment]
    inherit = ["CC", "LD", "AR"]

    [environment.set]
    A = "1"
    B = "3"
    "#);
}

#[test]
fn what_is_removed_is_gone_and_what_replaces_it_is_there() {
    let child = r#"
extends = ["base"]
remove = ["limits.memory", "environment.inherit", "environment.set.A", "mounts./data", "user"]

[environment]
inherit = ["AR"]
"#;
    insta::assert_snapshot!(shown(&[("", child), ("base.toml", BASE)], &[]), @r#"
    hostname = "base"

    [[mounts]]
    type = "directory"
    target = "/empty"

    [limits]
    pids = 100

    [environment]
    inherit = ["AR"]

    [environment.set]
    B = "2"
    "#);
}

#[test]
fn a_removal_that_names_nothing() {
    let child = "extends = [\"base\"]\nremove = [\"limits.memroy\", \"mounts./nowhere\"]\n";
    insta::assert_snapshot!(wrong(&[("", child), ("base.toml", BASE)], &[]), @r#"
    error[SBX0061]: `limits.memroy` names nothing in what is extended
     --> sandbox.toml:2:11
      |
    2 | remove = ["limits.memroy", "mounts./nowhere"]
      |           ^^^^^^^^^^^^^^^
      |
      = help: did you mean `limits.memory`?

    error[SBX0061]: `mounts./nowhere` names nothing in what is extended
     --> sandbox.toml:2:28
      |
    2 | remove = ["limits.memroy", "mounts./nowhere"]
      |                            ^^^^^^^^^^^^^^^^^
      |
      = help: write the path of a key, of a list's value or of a mount's target: limits.memory, environment.inherit.LANG, mounts./srv/data
    "#);
}

#[test]
fn several_are_extended_in_their_order_and_each_once() {
    let files = [
        ("", "extends = [\"left\", \"./deep/right.toml\"]\n"),
        (
            "left.toml",
            "extends = [\"base\"]\n[limits]\npids = 7\ncpu = 1\n",
        ),
        (
            "deep/right.toml",
            "extends = [\"../base.toml\"]\n[limits]\ncpu = 2\n",
        ),
        (
            "base.toml",
            "[environment]\ninherit = [\"ONCE\"]\n[limits]\npids = 1\n",
        ),
    ];
    insta::assert_snapshot!(shown(&files, &[]), @r#"
    [limits]
    pids = 7
    cpu = 2

    [environment]
    inherit = ["ONCE"]
    "#);
}

#[test]
fn a_profile_can_extend_the_built_in_one_of_its_own_name() {
    let folder = folder(&[
        ("", ""),
        ("ci.toml", "extends = [\"ci\"]\n[limits]\npids = 9\n"),
    ]);
    let shown = printed(&folder, &["show", "--profile", "ci", "--limits.cpu", "1.5"]);
    assert!(shown.contains("pids = 9  # ci.toml:3\n"), "{shown}");
    assert!(shown.contains("cpu = 1.5  # command line\n"), "{shown}");
    assert!(
        shown.contains("memory = \"4G\"  # built-in:ci.toml:21\n"),
        "{shown}"
    );
    assert!(shown.contains("# grace = \"5s\"  # default\n"), "{shown}");
}

#[test]
fn profiles_that_extend_each_other() {
    let files = [
        ("", "extends = [\"one\"]\n"),
        ("one.toml", "extends = [\"two\"]\n"),
        ("two.toml", "version = 1\nextends = [\"./one.toml\"]\n"),
    ];
    insta::assert_snapshot!(wrong(&files, &[]), @r#"
    error[SBX0060]: a profile that extends itself
     --> two.toml:2:12
      |
    2 | extends = ["./one.toml"]
      |            ^^^^^^^^^^^^ one.toml, which extends two.toml, which extends one.toml
      |
      = help: remove one of these
    "#);
}

#[test]
fn a_profile_that_extends_itself() {
    let files = [("", "extends = [\"./sandbox.toml\"]\n")];
    insta::assert_snapshot!(wrong(&files, &[]), @r#"
    error[SBX0060]: a profile that extends itself
     --> sandbox.toml:1:12
      |
    1 | extends = ["./sandbox.toml"]
      |            ^^^^^^^^^^^^^^^^ sandbox.toml, which extends sandbox.toml
      |
      = help: remove one of these
    "#);
}

#[test]
fn what_is_extended_is_not_there() {
    let files = [(
        "",
        "extends = [\"biuld\", \"./missing.toml\", \"/etc/passwd\", \".\"]\n",
    )];
    insta::assert_snapshot!(wrong(&files, &[]), @r#"
    error[SBX0101]: there is no profile named `biuld`; looked for biuld.toml, [project]/profiles/biuld.toml, /home/ada/.config/sandbox/biuld.toml, /etc/sandbox/biuld.toml, and among the built-in ones
     --> sandbox.toml:1:12
      |
    1 | extends = ["biuld", "./missing.toml", "/etc/passwd", "."]
      |            ^^^^^^^
      |
      = help: the built-in profiles are: default, build, cargo, python, node, strict, go, ci

    error[SBX0101]: cannot read the profile missing.toml: No such file or directory (os error 2)
     --> sandbox.toml:1:21
      |
    1 | extends = ["biuld", "./missing.toml", "/etc/passwd", "."]
      |                     ^^^^^^^^^^^^^^^^
      |
      = help: name a profile that is there, by path or by name

    error[SBX0008]: `/etc/passwd` is extended and does not end in `.toml`
     --> sandbox.toml:1:39
      |
    1 | extends = ["biuld", "./missing.toml", "/etc/passwd", "."]
      |                                       ^^^^^^^^^^^^^
      |
      = help: name a profile: `./base.toml`, or just `base`

    error[SBX0101]: there is no profile named `.`; looked for ..toml, [project]/profiles/..toml, /home/ada/.config/sandbox/..toml, /etc/sandbox/..toml, and among the built-in ones
     --> sandbox.toml:1:54
      |
    1 | extends = ["biuld", "./missing.toml", "/etc/passwd", "."]
      |                                                      ^^^
      |
      = help: the built-in profiles are: default, build, cargo, python, node, strict, go, ci
    "#);
}

#[test]
fn what_is_extended_is_wrong() {
    let files = [
        ("", "extends = [\"base\"]\n[limits]\npids = 3\n"),
        (
            "base.toml",
            "version = 2\n[limits]\nmemroy = \"1G\"\ncpu = \"much\"\n",
        ),
    ];
    insta::assert_snapshot!(wrong(&files, &[]), @r#"
    error[SBX0004]: version 2 of the language is not known to this program
     --> base.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = help: write `version = 1`, or use a newer sandbox

    error[SBX0003]: there is no key `memroy` in [limits]
     --> base.toml:3:1
      |
    3 | memroy = "1G"
      | ^^^^^^
      |
      = help: did you mean `memory`?

    error[SBX0004]: invalid type: string "much", expected a number of processors from 0.01 to 10000, such as 0.5 or 2
     --> base.toml:4:7
      |
    4 | cpu = "much"
      |       ^^^^^^
      |
      = help: for example: 0.5
    "#);
}

#[test]
fn what_is_extended_is_no_text_or_no_file() {
    let folder = folder(&[(
        "",
        "extends = [\"bytes\", \"fifo\", \"folder\", \"large\"]\n",
    )]);
    std::fs::write(folder.0.join("bytes.toml"), b"a = \"\xff\"").unwrap();
    nix::unistd::mkfifo(
        &folder.0.join("fifo.toml"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    std::fs::create_dir(folder.0.join("folder.toml")).unwrap();
    std::fs::write(folder.0.join("large.toml"), "#".repeat(2 << 20)).unwrap();
    let mut explain = folder.program(&["explain", "--profile", "sandbox.toml"]);
    insta::assert_snapshot!(refused(&folder, &mut explain), @r#"
    error[SBX0001]: the profile bytes.toml is not UTF-8: line 1, byte 5 of the file
     --> sandbox.toml:1:12
      |
    1 | extends = ["bytes", "fifo", "folder", "large"]
      |            ^^^^^^^
      |
      = help: TOML is UTF-8: save the file in that encoding

    error[SBX0001]: the profile fifo.toml is not a regular file
     --> sandbox.toml:1:21
      |
    1 | extends = ["bytes", "fifo", "folder", "large"]
      |                     ^^^^^^
      |
      = help: name a TOML file

    error[SBX0001]: the profile folder.toml is not a regular file
     --> sandbox.toml:1:29
      |
    1 | extends = ["bytes", "fifo", "folder", "large"]
      |                             ^^^^^^^^
      |
      = help: name a TOML file

    error[SBX0001]: the profile large.toml has more than 524288 bytes
     --> sandbox.toml:1:39
      |
    1 | extends = ["bytes", "fifo", "folder", "large"]
      |                                       ^^^^^^^
      |
      = help: is this a profile? Move large data to files that it mounts
    "#);
}

const WITH_PARAMS: &str = r#"
[params]
jobs = 4
share = 0.5
tests = true
memory = { type = "size", default = "1G", description = "what the build may use" }
level = { type = "string", choices = ["debug", "release"], default = "debug" }
data = { type = "path" }

[limits]
pids = "${jobs}"
cpu = "${share}"
memory = "${memory}"

[environment]
set = { MAKEFLAGS = "-j${jobs}", LEVEL = "${level}", LITERAL = "$${jobs}" }

[[mounts]]
type = "bind"
target = "${data}/in"
optional = "${tests}"
"#;

#[test]
fn parameters_have_the_callers_values_or_their_defaults() {
    let options = [
        "--set",
        "data=/srv",
        "--set",
        "jobs=8",
        "--set",
        "level=release",
    ];
    insta::assert_snapshot!(shown(&[("", WITH_PARAMS)], &options), @r#"
    [[mounts]]
    type = "bind"
    target = "/srv/in"
    optional = true

    [limits]
    pids = 8
    memory = "1G"
    cpu = 0.5

    [environment.set]
    LEVEL = "release"
    LITERAL = "$${jobs}"
    MAKEFLAGS = "-j8"
    "#);
}

#[test]
fn a_parameter_without_a_value() {
    insta::assert_snapshot!(wrong(&[("", WITH_PARAMS)], &[]), @r#"
    error[SBX0063]: the parameter `data` has no value
      --> sandbox.toml:19:10
       |
    19 | target = "${data}/in"
       |          ^^^^^^^^^^^^ wanted here
       |
      ::: sandbox.toml:7:1
       |
     7 | data = { type = "path" }
       | ---- declared here, without a default
       |
       = help: give one: --set data=VALUE
    "#);
}

#[test]
fn values_that_parameters_cannot_have() {
    let options = [
        "--set",
        "data=relative",
        "--set",
        "jobs=many",
        "--set",
        "share=0x",
        "--set",
        "tests=yes",
        "--set",
        "memory=lots",
        "--set",
        "level=fast",
        "--set",
        "lvel=debug",
    ];
    insta::assert_snapshot!(wrong(&[("", WITH_PARAMS)], &options), @r#"
    error[SBX0062]: the parameter is an absolute path, and `relative` is none
     --> command line:1:12
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |            ^^^^^^^^
      |
      = help: for example: "/srv/data"

    error[SBX0062]: the parameter is a whole number, and `many` is none
     --> command line:1:32
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                ^^^^
      |
      = help: for example: 4

    error[SBX0062]: the parameter is a number, and `0x` is none
     --> command line:1:49
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                                 ^^
      |
      = help: for example: 0.5

    error[SBX0062]: the parameter is true or false, and `yes` is none
     --> command line:1:64
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                                                ^^^
      |
      = help: for example: true

    error[SBX0062]: the parameter is a size, and `lots` is none
     --> command line:1:81
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                                                                 ^^^^
      |
      = help: for example: "64M"

    error[SBX0062]: `fast` is none of the choices
     --> command line:1:98
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                                                                                  ^^^^
      |
      = help: one of: debug, release

    error[SBX0062]: there is no parameter `lvel`
     --> command line:1:114
      |
    1 | --set data=relative --set jobs=many --set share=0x --set tests=yes --set memory=lots --set level=fast --set lvel=debug
      |                                                                                                                  ^^^^^
      |
      = help: did you mean `level`?
    "#);
}

#[test]
fn parameters_that_are_declared_wrongly() {
    let profile = r#"
[params]
Jobs = 4
size = { type = "sise" }
list = [1, 2]
level = { default = "x", choices = ["a", "b"] }
when = 2024-01-01
count = { type = "integer", default = "4", descripton = "" }
"#;
    insta::assert_snapshot!(wrong(&[("", profile)], &[]), @r#"
    error[SBX0062]: `Jobs` cannot be the name of a parameter
     --> sandbox.toml:2:1
      |
    2 | Jobs = 4
      | ^^^^
      |
      = help: a lower-case letter, then letters, digits and `_`: variables of the language are in capitals

    error[SBX0004]: `sise` is none of the choices
     --> sandbox.toml:3:17
      |
    3 | size = { type = "sise" }
      |                 ^^^^^^
      |
      = help: did you mean "size"?

    error[SBX0004]: expected a single value, found a list
     --> sandbox.toml:4:8
      |
    4 | list = [1, 2]
      |        ^^^^^^
      |
      = help: a string, a number, or true or false; for example: default = 4

    error[SBX0062]: `x` is none of the choices
     --> sandbox.toml:5:21
      |
    5 | level = { default = "x", choices = ["a", "b"] }
      |                     ^^^
      |
      = help: one of: a, b

    error[SBX0004]: expected a single value, found a date
     --> sandbox.toml:6:8
      |
    6 | when = 2024-01-01
      |        ^^^^^^^^^^
      |
      = help: a string, a number, or true or false; for example: default = 4

    error[SBX0062]: the parameter is a whole number, and `4` is none
     --> sandbox.toml:7:39
      |
    7 | count = { type = "integer", default = "4", descripton = "" }
      |                                       ^^^
      |
      = help: for example: 4

    error[SBX0003]: there is no key `descripton` in a parameter
     --> sandbox.toml:7:44
      |
    7 | count = { type = "integer", default = "4", descripton = "" }
      |                                            ^^^^^^^^^^
      |
      = help: did you mean `description`?
    "#);
}

#[test]
fn a_parameter_that_does_not_exist() {
    let profile = "[params]\njobs = 4\n[limits]\npids = \"${jbos}\"\n";
    insta::assert_snapshot!(wrong(&[("", profile)], &["--set", "cpus=4"]), @r#"
    error[SBX0006]: there is no variable `${jbos}`
     --> sandbox.toml:4:8
      |
    4 | pids = "${jbos}"
      |        ^^^^^^^^^
      |
      = help: did you mean `${jobs}`?

    error[SBX0062]: there is no parameter `cpus`
     --> command line:1:12
      |
    1 | --set cpus=4
      |            ^
      |
      = help: the parameters are: jobs
    "#);
}

#[test]
fn a_child_changes_the_default_of_a_parameter() {
    let files = [
        (
            "",
            "extends = [\"base\"]\n[params]\njobs = 9\n[limits]\npids = \"${jobs}\"\n",
        ),
        (
            "base.toml",
            "[params]\njobs = { type = \"integer\", description = \"how many\" }\n",
        ),
    ];
    insta::assert_snapshot!(shown(&files, &[]), @"
    [limits]
    pids = 9
    ");
}

#[test]
fn options_that_are_wrong() {
    let options = [
        "--limits.pids",
        "lots",
        "--limits.memory",
        "0",
        "--user.uid",
        "-1",
        "--network.mode",
        "lan",
        "--process.cwd",
        "here",
    ];
    insta::assert_snapshot!(wrong(&[("", "version = 1\n")], &options), @r#"
    error[SBX0004]: expected a whole number from 0 to 4294967295, found -1
     --> command line:1:12
      |
    1 | --user.uid -1 --network.mode lan --limits.pids lots --limits.memory 0 --process.cwd here
      |            ^^
      |
      = help: write it in digits, without quotes

    error[SBX0004]: `lan` is none of the choices
     --> command line:1:30
      |
    1 | --user.uid -1 --network.mode lan --limits.pids lots --limits.memory 0 --process.cwd here
      |                              ^^^
      |
      = help: one of: "none", "loopback", "host", "veth", "macvlan", "user", "join"

    error[SBX0004]: expected a whole number from 0 to 9223372036854775807, found a string
     --> command line:1:48
      |
    1 | --user.uid -1 --network.mode lan --limits.pids lots --limits.memory 0 --process.cwd here
      |                                                ^^^^
      |
      = help: write it in digits, without quotes

    error[SBX0044]: too little memory to start a command
     --> command line:1:69
      |
    1 | --user.uid -1 --network.mode lan --limits.pids lots --limits.memory 0 --process.cwd here
      |                                                                     ^
      |
      = help: for example: memory = "100M"

    error[SBX0008]: the working directory `here` is not absolute
     --> command line:1:85
      |
    1 | --user.uid -1 --network.mode lan --limits.pids lots --limits.memory 0 --process.cwd here
      |                                                                                     ^^^^
      |
      = help: start it with `/`, for example "/here"
    "#);
}

#[test]
fn an_option_for_a_key_that_does_not_exist() {
    let folder = Folder::with("version = 1\n");
    let output = folder
        .program(&["explain", "--limits.memroy", "1G"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("'--limits.memory'"), "{said}");
    let output = folder
        .program(&["explain", "--set", "jobs"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--set NAME=VALUE"), "{said}");
}

/// What every option sets can be said in a file, and the reverse.
#[test]
fn a_shown_command_line_is_a_profile_that_does_the_same() {
    let options = [
        "--hostname",
        "7",
        "--limits.pids",
        "50",
        "--limits.wall_time",
        "1m",
        "--user.uid",
        "5",
        "--process.umask",
        "077",
        "--rlimits.nofile",
        "64",
        "--namespaces.time",
        "shared",
        "--rootfs.project",
        "read",
        "--process.init",
        "false",
        "--limits.cpu",
        "0.5",
    ];
    let text = shown(&[("", "version = 1\n")], &options);
    insta::assert_snapshot!(text, @r#"
    version = 1
    hostname = "7"

    [rootfs]
    project = "read"

    [namespaces]
    time = "shared"

    [user]
    uid = 5

    [limits]
    pids = 50
    cpu = 0.5
    wall_time = "1m"

    [rlimits]
    nofile = 64

    [process]
    umask = "077"
    init = false
    "#);
    assert_eq!(shown(&[("", &text)], &[]), text);
}

#[test]
fn origins_are_shown_beside_every_value() {
    let folder = folder(&[
        (
            "",
            "extends = [\"base\"]\n[environment]\ninherit = [\"AR\"]\n[limits]\npids = 3\n",
        ),
        (
            "base.toml",
            "[environment]\ninherit = [\"CC\"]\n[limits]\npids = 2\n",
        ),
    ]);
    let arguments = ["show", "--profile", "sandbox.toml", "--limits.cpu", "1"];
    insta::assert_snapshot!(printed(&folder, &arguments), @r#"
    # hostname = "sandbox"  # default
    # domainname = "(none)"  # default

    # [rootfs]
    # changes = "forbid"  # default
    # propagation = "private"  # default
    # project = "write"  # default

    # [namespaces]
    # user = "new"  # default
    # mount = "new"  # default
    # pid = "new"  # default
    # ipc = "new"  # default
    # uts = "new"  # default
    # net = "new"  # default
    # cgroup = "new"  # default
    # time = "new"  # default
    # nested_user = false  # default

    # [devices]
    # policy = "auto"  # default
    # shm_size = "256M"  # default

    # [network]
    # mode = "loopback"  # default
    # isolated = false  # default
    # names = false  # default
    # nat = false  # default

    # [capabilities]
    # new_privileges = false  # default

    # [seccomp]
    # preset = "default"  # default
    # refuse = "EPERM"  # default
    # denials = "tell"  # default

    [limits]
    pids = 3  # sandbox.toml:5
    cpu = 1  # command line
    # cpu_period = "100ms"  # default
    # grace = "5s"  # default
    # stop_signal = "SIGTERM"  # default
    # output_over = "cut"  # default

    [environment]
    inherit = [
        "CC",  # base.toml:2
        "AR",  # sandbox.toml:3
    ]

    # [process]
    # by_descriptor = false  # default
    # stdin = "inherit"  # default
    # stdout = "inherit"  # default
    # stderr = "inherit"  # default
    # umask = "022"  # default
    # init = true  # default
    # session = "new"  # default
    # terminal = "auto"  # default
    # escapes = "all"  # default
    # write_execute = true  # default
    # output_files = "relay"  # default
    # input_file = "read"  # default
    # reset_on_fork = false  # default
    # keyring = "new"  # default
    # tsc = true  # default
    # transparent_huge_pages = true  # default

    # [enforce]
    # limits = "require"  # default
    # devices = "require"  # default
    # namespaces = "require"  # default
    # idmap = "require"  # default
    # seccomp = "require"  # default
    # write_execute = "require"  # default
    # landlock = "prefer"  # default
    # labels = "require"  # default

    # [report]
    # stats = false  # default
    "#);
    let json = printed(&folder, &[&arguments[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let limits = &json["profile"]["limits"];
    insta::assert_snapshot!(limits["pids"], @r#"{"origin":{"column":8,"file":"sandbox.toml","kind":"file","line":5},"value":3}"#);
    insta::assert_snapshot!(limits["cpu"], @r#"{"origin":{"kind":"command-line"},"value":1}"#);
    insta::assert_snapshot!(limits["grace"], @r#"{"origin":{"kind":"default"},"value":"5s"}"#);
    insta::assert_snapshot!(json["profile"]["environment"]["inherit"], @r#"[{"origin":{"column":12,"file":"base.toml","kind":"file","line":2},"value":"CC"},{"origin":{"column":12,"file":"sandbox.toml","kind":"file","line":3},"value":"AR"}]"#);
}

/// Arguments of one command mean nothing behind those of another.
#[test]
fn a_command_is_replaced_as_a_whole() {
    let base = "[process]\ncommand = [\"make\", \"-j4\"]\n";
    let child = "extends = [\"base\"]\n[process]\ncommand = [\"ninja\"]\n";
    insta::assert_snapshot!(shown(&[("", child), ("base.toml", base)], &[]), @r#"
    [process]
    command = ["ninja"]
    "#);
}
