//! Sources of the host that are made.

use crate::{checked, explained, warned};

#[test]
fn a_source_that_is_made_and_optional() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/data"
source = "kept"
optional = true
create = true
"#,
    );
    insta::assert_snapshot!(odd, @"
    warning[SBX0049]: what is made where it is missing is always there
     --> sandbox.toml:5:12
      |
    5 | optional = true
      |            ^^^^
      |
     ::: sandbox.toml:6:10
      |
    6 | create = true
      |          ---- made here
      |
      = help: remove one of the two lines
    ");
}

#[test]
fn a_tmpfs_has_no_source_to_make() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data"
create = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: `create` means nothing for the type "tmpfs"
     --> sandbox.toml:4:10
      |
    4 | create = true
      |          ^^^^
      |
     ::: sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ---------- of this mount
      |
      = help: "tmpfs" takes: read_only, nosuid, nodev, noexec, nosymfollow, atime, size, inodes, mode, owner
    "#);
}

#[test]
fn a_source_that_is_a_file_is_not_made() {
    let wrong = explained(
        r#"
[[mounts]]
type = "bind"
target = "/data"
source = "/etc/passwd"
create = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0100]: the source /etc/passwd cannot be made: /etc/passwd is there, and no directory
     --> sandbox.toml:4:10
      |
    4 | source = "/etc/passwd"
      |          ^^^^^^^^^^^^^
      |
      = help: remove `create`, which is for directories, or correct the path
    "#);
}

#[test]
fn patterns_that_are_none() {
    let wrong = checked(
        r#"
[[mounts]]
type = "bind"
source = "/srv/**/lib"

[[mounts]]
type = "bind"
source = "/srv/[ab"
target = "/found/"

[[mounts]]
type = "bind"
source = "/srv/new-*"
create = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0150]: `**` is no pattern: `*` stands for a part of one name, never for folders
     --> sandbox.toml:3:10
      |
    3 | source = "/srv/**/lib"
      |          ^^^^^^^^^^^^^
      |
      = help: write one component for each folder, for example: source = "/nix/store/*-rust-*/lib"

    error[SBX0150]: `[ab` is no pattern: invalid range pattern
     --> sandbox.toml:7:10
      |
    7 | source = "/srv/[ab"
      |          ^^^^^^^^^^
      |
      = help: write one component for each folder, for example: source = "/nix/store/*-rust-*/lib"

    error[SBX0150]: a pattern stands for what is there: it cannot be made
      --> sandbox.toml:12:10
       |
    12 | source = "/srv/new-*"
       |          ^^^^^^^^^^^^
       |
      ::: sandbox.toml:13:10
       |
    13 | create = true
       |          ---- made here
       |
       = help: remove one of the two
    "#);
}

#[test]
fn a_pattern_that_stands_for_nothing() {
    let wrong = explained(
        r#"
[[mounts]]
type = "bind"
source = "/srv/no-such-*"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: nothing is there that /srv/no-such-* stands for
     --> sandbox.toml:3:10
      |
    3 | source = "/srv/no-such-*"
      |          ^^^^^^^^^^^^^^^^
      |
      = help: correct the pattern, or set `optional = true`
    "#);
}

#[test]
fn a_source_with_a_target_of_its_own_is_no_pattern() {
    let wrong = explained(
        r#"
[[mounts]]
type = "bind"
source = "/srv/no-such-*"
target = "/data"
"#,
    );
    insta::assert_snapshot!(wrong, @"
    error[SBX0101]: the source /srv/no-such-* does not exist
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: make it, correct the path, or set `optional = true`
    ");
}

#[test]
fn patterns_that_stand_for_what_is_dangerous() {
    let odd = warned(
        r#"
mounts = [
    { type = "bind", source = "/home/*", optional = true },
    { type = "bind", source = "/run/*.sock", optional = true },
    { type = "bind", source = "/var/run/user/*/b?s", optional = true },
    { type = "bind", source = "${HOME}/.ss*", read_only = false, optional = true },
    { type = "bind", source = "/dev/input/event*", optional = true },
    { type = "bind", source = "/tmp/ssh-*", optional = true },
]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0021]: the command sees the whole of /home/*: every key, token and history file that lies there
     --> sandbox.toml:2:31
      |
    2 |     { type = "bind", source = "/home/*", optional = true },
      |                               ^^^^^^^^^
      |
      = help: bind the folders that the command needs, each by an entry of its own

    warning[SBX0020]: this holds the socket of Docker, through which the command acts outside of the sandbox
     --> sandbox.toml:3:31
      |
    3 |     { type = "bind", source = "/run/*.sock", optional = true },
      |                               ^^^^^^^^^^^^^
      |
      = help: remove the mount; where the command needs the service, run a second one that is confined itself

    warning[SBX0020]: this holds the socket of the session bus, through which the command acts outside of the sandbox
     --> sandbox.toml:4:31
      |
    4 |     { type = "bind", source = "/var/run/user/*/b?s", optional = true },
      |                               ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: remove the mount, and name what of the bus the command needs in [[bus]]

    warning[SBX0022]: the command can write to /home/ada/.ss*, which is obeyed outside of the sandbox
     --> sandbox.toml:5:31
      |
    5 |     { type = "bind", source = "${HOME}/.ss*", read_only = false, optional = true },
      |                               ^^^^^^^^^^^^^^
      |
      = help: remove `read_only = false`, or bind a folder that holds data only

    warning[SBX0055]: a device on a mount without devices: it is visible and cannot be opened
     --> sandbox.toml:6:31
      |
    6 |     { type = "bind", source = "/dev/input/event*", optional = true },
      |                               ^^^^^^^^^^^^^^^^^^^
      |
      = help: write `nodev = false`

    sandbox: 5 warnings in 1 profile
    "#);
}

#[test]
fn the_whole_host_as_the_root() {
    let odd = warned("[rootfs]\nhost = \"all\"\n");
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0021]: the command sees the whole of /: homes of others, /var, /srv, and all else that the caller can read
     --> sandbox.toml:2:8
      |
    2 | host = "all"
      |        ^^^^^
      |
      = help: remove the line, and bind the folders that the command needs besides the public ones
    "#);
}
