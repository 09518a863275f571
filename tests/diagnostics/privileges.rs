//! `[capabilities]`, `[seccomp]`.

use crate::{checked, warned};

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

#[test]
fn a_set_of_system_calls_that_does_not_exist() {
    let wrong = checked(
        r#"
[seccomp]
deny = ["@network_io", { calls = ["@mount", "@everything"], with = "EPREM" }]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0120]: there is no set of system calls `@network_io`
     --> sandbox.toml:2:9
      |
    2 | deny = ["@network_io", { calls = ["@mount", "@everything"], with = "EPREM" }]
      |         ^^^^^^^^^^^^^
      |
      = help: did you mean "@network-io"?

    error[SBX0120]: there is no set of system calls `@everything`
     --> sandbox.toml:2:45
      |
    2 | deny = ["@network_io", { calls = ["@mount", "@everything"], with = "EPREM" }]
      |                                             ^^^^^^^^^^^^^
      |
      = help: the sets are those of systemd.exec(5), for example "@mount" or "@network-io"

    error[SBX0004]: `EPREM` is nothing that a refusal can do
     --> sandbox.toml:2:68
      |
    2 | deny = ["@network_io", { calls = ["@mount", "@everything"], with = "EPREM" }]
      |                                                                    ^^^^^^^
      |
      = help: did you mean "EPERM"?
    "#);
}

#[test]
fn a_set_that_holds_what_is_allowed_or_needed() {
    let wrong = checked(
        r#"
[seccomp]
allow = ["chroot", "@process"]
deny = ["@mount", "@basic-io", "kill"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0039]: `chroot` is denied by `@mount` and allowed
     --> sandbox.toml:3:9
      |
    3 | deny = ["@mount", "@basic-io", "kill"]
      |         ^^^^^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | allow = ["chroot", "@process"]
      |          -------- allowed here
      |
      = help: remove it from one of the two lists

    error[SBX0040]: without `write`, which is one of `@basic-io`, no command can be started
     --> sandbox.toml:3:19
      |
    3 | deny = ["@mount", "@basic-io", "kill"]
      |                   ^^^^^^^^^^^
      |
      = help: remove it from `deny`

    warning[SBX0041]: without `read`, `close` no program with shared libraries can be started
     --> sandbox.toml:3:19
      |
    3 | deny = ["@mount", "@basic-io", "kill"]
      |                   ^^^^^^^^^^^
      |
      = help: remove it from `deny`
    "#);
}

#[test]
fn conditions_that_say_nothing() {
    let wrong = checked(
        r#"
[seccomp]
allow = [{ calls = "bpf", with = "EPERM" }, { calls = "mount", when = [] }]
deny = [
    { calls = "read", when = [{ arg = 6, is = 1 }] },
    { calls = "read", when = [{ arg = 0 }, { arg = 0, mask = 1 }, { arg = 0, mask = 4, is = 2 }] },
    { calls = "read", when = [{ arg = 0, is = 0x1_0000_0000 }, { arg = 0, below = 0 }, { arg = 0, in = [] }] },
    { calls = "read", when = [{ is = "1", arg = 0 }] },
    { when = [{ arg = 0, is = 1 }] },
]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0121]: what is allowed with any arguments is never refused
     --> sandbox.toml:2:34
      |
    2 | allow = [{ calls = "bpf", with = "EPERM" }, { calls = "mount", when = [] }]
      |                                  ^^^^^^^
      |
      = help: remove `with`, or say with `when` which arguments are meant

    error[SBX0121]: no condition at all
     --> sandbox.toml:2:71
      |
    2 | allow = [{ calls = "bpf", with = "EPERM" }, { calls = "mount", when = [] }]
      |                                                                       ^^
      |
      = help: remove `when` to mean every call

    error[SBX0004]: expected a whole number from 0 to 5, found 6
     --> sandbox.toml:4:39
      |
    4 |     { calls = "read", when = [{ arg = 6, is = 1 }] },
      |                                       ^
      |
      = help: write it in digits, without quotes

    error[SBX0121]: a condition that compares its argument with nothing
     --> sandbox.toml:5:31
      |
    5 |     { calls = "read", when = [{ arg = 0 }, { arg = 0, mask = 1 }, { arg = 0, mask = 4, is = 2 }] },
      |                               ^^^^^^^^^^^
      |
      = help: for example: { arg = 0, is = 1 }

    error[SBX0121]: a mask, and nothing that is compared under it
     --> sandbox.toml:5:62
      |
    5 |     { calls = "read", when = [{ arg = 0 }, { arg = 0, mask = 1 }, { arg = 0, mask = 4, is = 2 }] },
      |                                                              ^
      |
      = help: write `is`, `not` or `in` beside it

    error[SBX0121]: under its mask, no argument has these bits
     --> sandbox.toml:5:93
      |
    5 |     { calls = "read", when = [{ arg = 0 }, { arg = 0, mask = 1 }, { arg = 0, mask = 4, is = 2 }] },
      |                                                                                             ^
      |
      = help: leave out of the number what the mask leaves out

    error[SBX0121]: a number of more than 32 bits
     --> sandbox.toml:6:47
      |
    6 |     { calls = "read", when = [{ arg = 0, is = 0x1_0000_0000 }, { arg = 0, below = 0 }, { arg = 0, in = [] }] },
      |                                               ^^^^^^^^^^^^^
      |
      = help: write `wide = true` beside it to compare all 64 bits of the argument

    error[SBX0121]: nothing is below 0
     --> sandbox.toml:6:83
      |
    6 |     { calls = "read", when = [{ arg = 0, is = 0x1_0000_0000 }, { arg = 0, below = 0 }, { arg = 0, in = [] }] },
      |                                                                                   ^
      |
      = help: write 1 or more

    error[SBX0121]: no number is one of none
     --> sandbox.toml:6:104
      |
    6 |     { calls = "read", when = [{ arg = 0, is = 0x1_0000_0000 }, { arg = 0, below = 0 }, { arg = 0, in = [] }] },
      |                                                                                                        ^^
      |
      = help: write the numbers: in = [1, 2]

    error[SBX0004]: expected a whole number of at most 64 bits, found a string
     --> sandbox.toml:7:38
      |
    7 |     { calls = "read", when = [{ is = "1", arg = 0 }] },
      |                                      ^^^
      |
      = help: write it in digits, without quotes: 16, 0x10, 0o20 or 0b10000

    error[SBX0005]: `calls` is missing in an entry of [seccomp]
     --> sandbox.toml:8:5
      |
    8 |     { when = [{ arg = 0, is = 1 }] },
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: for example: calls = "ptrace"
    "#);
}

#[test]
fn an_entry_without_effect() {
    let odd = warned(
        r#"
[seccomp]
refuse = "kill"
allow = [{ calls = ["socket", "read"], when = [{ arg = 0, is = 1 }] }]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: no call is refused in this way: `deny` names none without an answer of its own, and the preset has its own errnos
     --> sandbox.toml:2:10
      |
    2 | refuse = "kill"
      |          ^^^^^^
      |
      = note: default of seccomp.preset: this preset
      = help: remove `refuse`, name calls under `deny`, or write `preset = "none"`

    warning[SBX0049]: with these arguments, the preset permits it anyway
     --> sandbox.toml:3:47
      |
    3 | allow = [{ calls = ["socket", "read"], when = [{ arg = 0, is = 1 }] }]
      |                                               ^^^^^^^^^^^^^^^^^^^^^
      |
      = note: default of seccomp.preset: this preset
      = help: to permit it with no others, name the others under `deny`, for example: { calls = "socket", when = [{ arg = 0, not = 1 }] }

    sandbox: 2 warnings in 1 profile
    "#);
}

#[test]
fn what_cannot_be_told_apart_is_not_permitted() {
    let said = checked(
        r#"
[seccomp]
foreign = "log"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error[SBX0004]: calls of another ABI cannot be permitted as such, not even when they are logged
     --> sandbox.toml:2:11
      |
    2 | foreign = "log"
      |           ^^^^^ their numbers mean other calls
      |
      = help: write an errno, "kill" or "trap"; or "same", to permit what is permitted of the native calls
    "#);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn names_of_another_abi_that_is_refused() {
    let said = warned(
        r#"
[seccomp]
allow = ["socketcall", "mmap2"]
deny = ["stat64"]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    warning[SBX0042]: `i386 socketcall` is refused, as every call of its ABI is
     --> sandbox.toml:2:10
      |
    2 | allow = ["socketcall", "mmap2"]
      |          ^^^^^^^^^^^^
      |
      = help: remove it, or write foreign = "same"

    warning[SBX0042]: there is no system call `mmap2` on this architecture
     --> sandbox.toml:2:24
      |
    2 | allow = ["socketcall", "mmap2"]
      |                        ^^^^^^^
      |
      = help: i386 has it for `mmap`: write "mmap", which counts for both

    warning[SBX0042]: `i386 stat64` is refused, as every call of its ABI is
     --> sandbox.toml:3:9
      |
    3 | deny = ["stat64"]
      |         ^^^^^^^^
      |
      = help: remove it, or write foreign = "same"

    sandbox: 3 warnings in 1 profile
    "#);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn another_abi_without_a_filter() {
    let said = warned(
        r#"
[seccomp]
preset = "off"
foreign = "same"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    warning[SBX0049]: without a filter, calls of the other ABI are permitted as all others are
     --> sandbox.toml:3:11
      |
    3 | foreign = "same"
      |           ^^^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | preset = "off"
      |          ----- off here
      |
      = help: remove `foreign`, or choose a preset
    "#);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_that_is_many_of_which_one_is_denied() {
    let said = checked(
        r#"
[network]
families = ["unix"]

[seccomp]
foreign = "same"
allow = ["socketcall", "ipc"]
deny = ["semop"]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    warning[SBX0160]: by socketcall(2), 32-bit programs make sockets of any family
     --> sandbox.toml:6:10
      |
    6 | allow = ["socketcall", "ipc"]
      |          ^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:12
      |
    2 | families = ["unix"]
      |            -------- only these here
      |
      = help: do not allow `socketcall`, or remove `families`

    error[SBX0039]: `i386 ipc` stays refused: it can be `semop` too, which is denied
     --> sandbox.toml:6:24
      |
    6 | allow = ["socketcall", "ipc"]
      |                        ^^^^^
      |
     ::: sandbox.toml:7:9
      |
    7 | deny = ["semop"]
      |         ------- denied here
      |
      = help: remove it from one of the two lists
    "#);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_by_which_bounded_ports_would_be_passed() {
    let said = warned(
        r#"
[network]
mode = "host"
connect_ports = [443]

[seccomp]
foreign = "same"
allow = ["socketcall"]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    note[SBX0031]: the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them
     --> sandbox.toml:2:8
      |
    2 | mode = "host"
      |        ^^^^^^
      |
      = help: write `mode = "loopback"` under [network] where no network is needed

    warning[SBX0049]: `i386 socketcall` stays refused: ports that `connect_ports` and `bind_ports` bound would be passed by
     --> sandbox.toml:7:10
      |
    7 | allow = ["socketcall"]
      |          ^^^^^^^^^^^^
      |
      = help: remove it, or the ports under [network]

    sandbox: 1 warning and 1 note in 1 profile
    "#);
}
