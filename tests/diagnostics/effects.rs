//! Settings that do nothing, too much, or the opposite of another.

use crate::{checked, warned};

// The name is one of another architecture.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_another_architecture() {
    let odd = warned(
        r#"
[seccomp]
deny = ["modify_ldt", "clock_gettime64"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0042]: `i386 clock_gettime64` is refused, as every call of its ABI is
     --> sandbox.toml:2:23
      |
    2 | deny = ["modify_ldt", "clock_gettime64"]
      |                       ^^^^^^^^^^^^^^^^^
      |
      = help: remove it, or write foreign = "same"
    "#);
}

#[test]
fn a_terminal_to_type_into() {
    let odd = warned(
        r#"
[process]
session = "inherit"

[seccomp]
preset = "off"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0043]: the command can type into the caller's terminal (TIOCSTI), and the shell would obey
     --> sandbox.toml:2:11
      |
    2 | session = "inherit"
      |           ^^^^^^^^^
      |
     ::: sandbox.toml:5:10
      |
    5 | preset = "off"
      |          ----- permitted here
      |
      = help: write `session = "new"`, or keep the filter and do not allow `ioctl`
    "#);
}

#[test]
fn limits_that_are_off() {
    let odd = warned(
        r#"
[limits]
pids = 100
memory = "1G"

[enforce]
limits = "off"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0048]: what is said about limits is switched off
     --> sandbox.toml:6:10
      |
    6 | limits = "off"
      |          ^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | pids = 100
      |        --- said here
      |
     ::: sandbox.toml:3:10
      |
    3 | memory = "1G"
      |          ---- and here
      |
      = help: write "require" or "prefer", or remove what is switched off
    "#);
}

#[test]
fn the_size_of_what_is_not_mounted() {
    let odd = warned(
        r#"
[devices]
shm_size = "64M"

[[mounts]]
type = "tmpfs"
target = "/dev/shm"
size = "1G"
mode = "1777"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: `shm_size` is the size of a /dev/shm that is not mounted
     --> sandbox.toml:2:12
      |
    2 | shm_size = "64M"
      |            ^^^^^
      |
     ::: sandbox.toml:6:10
      |
    6 | target = "/dev/shm"
      |          ---------- because of this one
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_variable_that_is_inherited_and_removed() {
    let odd = warned(
        r#"
[environment]
inherit = ["CC"]
unset = ["C*"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0050]: `CC` is inherited in vain: it is removed
     --> sandbox.toml:2:12
      |
    2 | inherit = ["CC"]
      |            ^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | unset = ["C*"]
      |          ---- removed here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn the_whole_environment() {
    let odd = warned(
        r#"
[environment]
inherit = ["*"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    note[SBX0051]: the command gets every variable of the caller, tokens and keys included
     --> sandbox.toml:2:12
      |
    2 | inherit = ["*"]
      |            ^^^
      |
      = help: name the variables that it needs
    "#);
}

#[test]
fn a_working_directory_that_nothing_provides() {
    let wrong = checked(
        r#"
[process]
cwd = "/srv/app"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0052]: nothing puts a directory /srv/app into the root
     --> sandbox.toml:2:7
      |
    2 | cwd = "/srv/app"
      |       ^^^^^^^^^^
      |
      = help: choose one that is visible inside, or mount it
    "#);
}

#[test]
fn a_umask_that_lets_everybody_write() {
    let odd = warned(
        r#"
[process]
umask = "000"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0053]: everybody can write to new files, in the project too
     --> sandbox.toml:2:9
      |
    2 | umask = "000"
      |         ^^^^^
      |
      = help: a umask says what is taken away: "022" leaves rwxr-xr-x
    "#);
}

#[test]
fn a_filter_and_owners_that_are_off() {
    let odd = warned(
        r#"
[seccomp]
deny = ["ptrace"]

[[mounts]]
type = "bind"
target = "/srv/data"
idmap = true

[enforce]
seccomp = "off"
idmap = "off"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0048]: what is said about system calls is switched off
      --> sandbox.toml:10:11
       |
    10 | seccomp = "off"
       |           ^^^^^
       |
      ::: sandbox.toml:1:1
       |
     1 | [seccomp]
       | --------- said here
       |
       = help: write "require" or "prefer", or remove what is switched off

    warning[SBX0048]: what is said about the owners of mounts is switched off
      --> sandbox.toml:11:9
       |
    11 | idmap = "off"
       |         ^^^^^
       |
      ::: sandbox.toml:7:9
       |
     7 | idmap = true
       |         ---- said here
       |
       = help: write "require" or "prefer", or remove what is switched off

    sandbox: 2 warnings in 1 profile
    "#);
}

#[test]
fn a_filter_that_is_required_and_off() {
    let odd = warned(
        r#"
[seccomp]
preset = "off"

[enforce]
seccomp = "require"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0048]: there is no filter to enforce
     --> sandbox.toml:2:10
      |
    2 | preset = "off"
      |          ^^^^^
      |
     ::: sandbox.toml:5:11
      |
    5 | seccomp = "require"
      |           --------- asked for here
      |
      = help: choose a preset, or remove `seccomp` under [enforce]
    "#);
}

#[test]
fn settings_that_do_nothing() {
    let odd = warned(
        r#"
[limits]
cpu = 4
cpuset = "0-1,1"

[rlimits]
rss = "1G"

[seccomp]
preset = "off"
allow = ["bpf"]

[[mounts]]
type = "bind"
target = "/srv/data"
nosuid = false
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: more processor time than the processors of `cpuset` have
     --> sandbox.toml:2:7
      |
    2 | cpu = 4
      |       ^
      |
     ::: sandbox.toml:3:10
      |
    3 | cpuset = "0-1,1"
      |          ------- 2 of them
      |
      = help: lower `cpu`, or name more processors

    warning[SBX0049]: the kernel has ignored this limit since Linux 2.4.30
     --> sandbox.toml:6:7
      |
    6 | rss = "1G"
      |       ^^^^
      |
      = help: remove it; [limits] memory and pids bound the sandbox

    warning[SBX0049]: without a preset every call is allowed
      --> sandbox.toml:10:10
       |
    10 | allow = ["bpf"]
       |          ^^^^^
       |
      ::: sandbox.toml:9:10
       |
     9 | preset = "off"
       |          ----- off here
       |
       = help: remove `allow`, or choose a preset

    warning[SBX0049]: setuid bits stay without effect (no_new_privs), and no capability is kept for files to give
      --> sandbox.toml:15:10
       |
    15 | nosuid = false
       |          ^^^^^
       |
       = help: remove the line

    sandbox: 4 warnings in 1 profile
    "#);
}

#[test]
fn a_variable_that_is_inherited_and_set() {
    let odd = warned(
        r#"
[environment]
inherit = ["CC"]
set = { CC = "clang" }
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0050]: `CC` is inherited in vain: it is set
     --> sandbox.toml:2:12
      |
    2 | inherit = ["CC"]
      |            ^^^^
      |
     ::: sandbox.toml:3:9
      |
    3 | set = { CC = "clang" }
      |         -- set here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_working_directory_below_an_empty_one() {
    let wrong = checked(
        r#"
[process]
cwd = "/tmp/work"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0052]: nothing puts a directory /tmp/work into the root
     --> sandbox.toml:2:7
      |
    2 | cwd = "/tmp/work"
      |       ^^^^^^^^^^^
      |
      = help: choose one that is visible inside, or mount it
    "#);
}

#[test]
fn a_umask_that_shuts_the_owner_out() {
    let odd = warned(
        r#"
[process]
umask = "0777"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0053]: new files cannot be used by their owner, the command itself
     --> sandbox.toml:2:9
      |
    2 | umask = "0777"
      |         ^^^^^^
      |
      = help: a umask says what is taken away: "022" leaves rwxr-xr-x
    "#);
}
