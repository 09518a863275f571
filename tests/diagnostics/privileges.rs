//! `[capabilities]`, `[seccomp]`.

use crate::checked;

#[test]
fn an_unknown_capability() {
    let wrong = checked(
        r#"
[capabilities]
keep = ["sys_tmie", "fly"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0010]: there is no capability `sys_tmie`
     --> sandbox.toml:2:9
      |
    2 | keep = ["sys_tmie", "fly"]
      |         ^^^^^^^^^^
      |
      = help: did you mean "sys_time"?

    error[SBX0010]: there is no capability `fly`
     --> sandbox.toml:2:21
      |
    2 | keep = ["sys_tmie", "fly"]
      |                     ^^^^^
      |
      = help: the names are those of capabilities(7), for example "net_raw"
    "#);
}

#[test]
fn a_capability_that_is_kept_and_dropped() {
    let wrong = checked(
        r#"
[capabilities]
keep = ["net_raw", "chown"]
drop = ["CAP_CHOWN"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    warning[SBX0033]: a uid other than 0 loses at exec what is not ambient: net_raw
     --> sandbox.toml:2:9
      |
    2 | keep = ["net_raw", "chown"]
      |         ^^^^^^^^^
      |
      = help: write ambient = ["net_raw"], or be 0 inside (`uid_map = "root"` under [user])

    error[SBX0032]: `chown` is dropped and kept
     --> sandbox.toml:3:9
      |
    3 | drop = ["CAP_CHOWN"]
      |         ^^^^^^^^^^^
      |
     ::: sandbox.toml:2:20
      |
    2 | keep = ["net_raw", "chown"]
      |                    ------- kept here
      |
      = help: remove it from one of the two lists
    "#);
}

#[test]
fn an_ambient_capability_that_is_not_kept() {
    let wrong = checked(
        r#"
[capabilities]
keep = ["net_raw"]
ambient = ["net_raw", "net_admin"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: `net_admin` can be ambient only if it is kept
     --> sandbox.toml:3:23
      |
    3 | ambient = ["net_raw", "net_admin"]
      |                       ^^^^^^^^^^^
      |
      = help: add it to `keep`: keep = ["net_admin"]
    "#);
}

#[test]
fn an_unknown_system_call() {
    let wrong = checked(
        r#"
[seccomp]
allow = ["ptrce", "open_the_door"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0011]: there is no system call `ptrce` on this architecture
     --> sandbox.toml:2:10
      |
    2 | allow = ["ptrce", "open_the_door"]
      |          ^^^^^^^
      |
      = help: did you mean "ptrace"?

    error[SBX0011]: there is no system call `open_the_door` on this architecture
     --> sandbox.toml:2:19
      |
    2 | allow = ["ptrce", "open_the_door"]
      |                   ^^^^^^^^^^^^^^^
      |
      = help: the names are those of syscalls(2), for example "ptrace"
    "#);
}

#[test]
fn a_system_call_that_is_allowed_and_denied() {
    let wrong = checked(
        r#"
[seccomp]
allow = ["ptrace", "bpf"]
deny = ["bpf"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0039]: `bpf` is denied and allowed
     --> sandbox.toml:3:9
      |
    3 | deny = ["bpf"]
      |         ^^^^^
      |
     ::: sandbox.toml:2:20
      |
    2 | allow = ["ptrace", "bpf"]
      |                    ----- allowed here
      |
      = help: remove it from one of the two lists
    "#);
}

#[test]
fn a_command_that_could_not_be_started() {
    let wrong = checked(
        r#"
[seccomp]
deny = ["execve", "write"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0040]: without `execve` no command can be started
     --> sandbox.toml:2:9
      |
    2 | deny = ["execve", "write"]
      |         ^^^^^^^^
      |
      = help: remove it from `deny`

    error[SBX0040]: without `write` no command can be started
     --> sandbox.toml:2:19
      |
    2 | deny = ["execve", "write"]
      |                   ^^^^^^^
      |
      = help: remove it from `deny`
    "#);
}
