//! `[process]`, `[environment]`, `[enforce]`.

use crate::{Folder, checked, refused};

#[test]
fn a_nice_value_out_of_range() {
    let wrong = checked(
        r#"
[process]
nice = 20
oom_score_adj = -1001
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `nice` goes from -20 to 19
     --> sandbox.toml:2:8
      |
    2 | nice = 20
      |        ^^
      |
      = help: for example: nice = 10

    error[SBX0004]: `oom_score_adj` goes from -1000 to 1000
     --> sandbox.toml:3:17
      |
    3 | oom_score_adj = -1001
      |                 ^^^^^
      |
      = help: for example: oom_score_adj = 10
    "#);
}

#[test]
fn a_umask_with_more_than_permissions() {
    let wrong = checked(
        r#"
[process]
umask = 0o1022
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a umask has permission bits only
     --> sandbox.toml:2:9
      |
    2 | umask = 0o1022
      |         ^^^^^^
      |
      = help: for example: umask = "022"
    "#);
}

#[test]
fn a_decimal_umask() {
    let wrong = checked(
        r#"
[process]
umask = 22
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a mode in octal, found a whole number in decimal
     --> sandbox.toml:2:9
      |
    2 | umask = 22
      |         ^^
      |
      = help: for example: 0o755 or "755"
    "#);
}

#[test]
fn a_relative_working_directory() {
    let wrong = checked(
        r#"
[process]
cwd = "./src"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the working directory `./src` is not absolute
     --> sandbox.toml:2:7
      |
    2 | cwd = "./src"
      |       ^^^^^^^
      |
      = help: start it with `/`, for example "/src"
    "#);
}

#[test]
fn a_working_directory_that_leads_upwards() {
    let wrong = checked(
        r#"
[process]
cwd = "/work/.."
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the working directory `/work/..` leads upwards (`..`)
     --> sandbox.toml:2:7
      |
    2 | cwd = "/work/.."
      |       ^^^^^^^^^^
      |
      = help: write the path without `..`
    "#);
}

#[test]
fn names_of_variables_that_are_none() {
    let wrong = checked(
        r#"
[environment]
set = { "" = "x", "A=B" = "1" }
inherit = ["LD="]
unset = [""]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:2:9
      |
    2 | set = { "" = "x", "A=B" = "1" }
      |         ^^
      |
      = help: for example: set = { CI = "true" }

    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:2:19
      |
    2 | set = { "" = "x", "A=B" = "1" }
      |                   ^^^^^
      |
      = help: for example: set = { CI = "true" }

    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:3:12
      |
    3 | inherit = ["LD="]
      |            ^^^^^
      |
      = help: for example: set = { CI = "true" }

    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:4:10
      |
    4 | unset = [""]
      |          ^^
      |
      = help: for example: set = { CI = "true" }

    error[SBX0007]: `` is removed and set
     --> sandbox.toml:4:10
      |
    4 | unset = [""]
      |          ^^
      |
     ::: sandbox.toml:2:9
      |
    2 | set = { "" = "x", "A=B" = "1" }
      |         -- set here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_variable_that_is_set_and_removed() {
    let wrong = checked(
        r#"
[environment]
set = { CI = "true" }
unset = ["CI"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: `CI` is removed and set
     --> sandbox.toml:3:10
      |
    3 | unset = ["CI"]
      |          ^^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | set = { CI = "true" }
      |         -- set here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_variable_with_a_list() {
    let wrong = checked(
        r#"
[environment]
set = { PATH = ["/bin", "/usr/bin"] }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a string, found a list
     --> sandbox.toml:2:16
      |
    2 | set = { PATH = ["/bin", "/usr/bin"] }
      |                ^^^^^^^^^^^^^^^^^^^^
      |
      = help: write one value in "quotes"
    "#);
}

#[test]
fn no_init_in_a_shared_pid_namespace() {
    let wrong = checked(
        r#"
[namespaces]
pid = "shared"

[process]
init = false
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0030]: without an init, only a new pid namespace takes every process along at the end
     --> sandbox.toml:5:8
      |
    5 | init = false
      |        ^^^^^
      |
     ::: sandbox.toml:2:7
      |
    2 | pid = "shared"
      |       -------- not new here
      |
      = help: write `init = true`, or `pid = "new"` under [namespaces]
    "#);
}

#[test]
fn a_level_that_does_not_exist() {
    let wrong = checked(
        r#"
[enforce]
limits = "maybe"
namespaces = "off"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `maybe` is none of the choices
     --> sandbox.toml:2:10
      |
    2 | limits = "maybe"
      |          ^^^^^^^
      |
      = help: one of: "require", "prefer", "off"

    error[SBX0004]: `off` is none of the choices
     --> sandbox.toml:3:14
      |
    3 | namespaces = "off"
      |              ^^^^^
      |
      = help: one of: "require", "prefer"
    "#);
}

#[test]
fn a_command_without_a_program() {
    let wrong = checked(
        r#"
[process]
command = []
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a command has the name of a program in front
     --> sandbox.toml:2:11
      |
    2 | command = []
      |           ^^
      |
      = help: for example: command = ["make", "-j4"]
    "#);
    let wrong = checked(
        r#"
[process]
command = ["", "-v"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a command has the name of a program in front
     --> sandbox.toml:2:11
      |
    2 | command = ["", "-v"]
      |           ^^^^^^^^^^
      |
      = help: for example: command = ["make", "-j4"]
    "#);
    let wrong = checked(
        r#"
[process]
argv0 = "sh"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: a name for the program of a command that is not there
     --> sandbox.toml:2:9
      |
    2 | argv0 = "sh"
      |         ^^^^
      |
      = help: write `command` too: what follows `--` has its own name
    "#);
}

#[test]
fn nothing_to_run() {
    let folder = Folder::with("version = 1\n");
    let run = refused(&folder, &mut folder.program(&["-p", "sandbox.toml"]));
    insta::assert_snapshot!(run, @"
    error[SBX0130]: nothing to run: no command follows `--`, and the profile names none
    --> command line
     = help: write it after `--`, as in `sandbox -- make`, or as `command` under [process]; `sandbox --help` says what else there is
    ");
    let run = refused(&folder, &mut folder.program(&["-p", "sandbox.toml", "--"]));
    insta::assert_snapshot!(run, @"
    error[SBX0130]: nothing to run: no command follows `--`, and the profile names none
    --> command line
     = help: write it after `--`, as in `sandbox -- make`, or as `command` under [process]; `sandbox --help` says what else there is
    ");
}

/// What a root of programs lacks of the profile's own command is said at its line.
#[test]
fn a_command_that_is_not_installed() {
    let folder = Folder::with(
        r#"
[rootfs]
programs = ["true"]
[process]
command = ["no-such-program"]
"#,
    );
    let run = refused(
        &folder,
        &mut folder.program(&["check", "--host", "sandbox.toml"]),
    );
    insta::assert_snapshot!(run, @r#"
    error[SBX0101]: there is no program `no-such-program` in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
     --> sandbox.toml:4:11
      |
    4 | command = ["no-such-program"]
      |           ^^^^^^^^^^^^^^^^^^^
      |
      = help: install the program, or name it by its path
    "#);
}

#[test]
fn descriptors_and_scheduling_that_cannot_be() {
    let wrong = checked(
        r#"
[process]
descriptors = [1, 5000000000, 3, 2000000000]
affinity = "3-1"
scheduler = "fifo"
ioprio = "best-effort:8"
timer_slack = 0
personality = ["read_implies_exec"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: the command has 0 to 2 anyway
     --> sandbox.toml:2:16
      |
    2 | descriptors = [1, 5000000000, 3, 2000000000]
      |                ^
      |
      = help: name those from 3 on, for example: descriptors = [3]

    error[SBX0004]: expected a whole number from 0 to 4294967295, found 5000000000
     --> sandbox.toml:2:19
      |
    2 | descriptors = [1, 5000000000, 3, 2000000000]
      |                   ^^^^^^^^^^
      |
      = help: write it in digits, without quotes

    error[SBX0004]: no descriptor has such a number
     --> sandbox.toml:2:34
      |
    2 | descriptors = [1, 5000000000, 3, 2000000000]
      |                                  ^^^^^^^^^^
      |
      = help: name those from 3 on, for example: descriptors = [3]

    error[SBX0004]: `3-1` is no list of processors
     --> sandbox.toml:3:12
      |
    3 | affinity = "3-1"
      |            ^^^^^
      |
      = help: for example: affinity = "0-3,7"

    error[SBX0012]: a real-time policy has a priority
     --> sandbox.toml:4:13
      |
    4 | scheduler = "fifo"
      |             ^^^^^^
      |
      = help: write `priority` too, for example: priority = 10

    error[SBX0004]: `best-effort:8` is no class of I/O
     --> sandbox.toml:5:10
      |
    5 | ioprio = "best-effort:8"
      |          ^^^^^^^^^^^^^^^
      |
      = help: "idle", or "best-effort:0" (first) to "best-effort:7" (last), or "realtime:0" to "realtime:7"

    error[SBX0004]: the least slack is a nanosecond
     --> sandbox.toml:6:15
      |
    6 | timer_slack = 0
      |               ^
      |
      = help: for example: timer_slack = "1ms"

    error[SBX0004]: `read_implies_exec` is none of the choices
     --> sandbox.toml:7:16
      |
    7 | personality = ["read_implies_exec"]
      |                ^^^^^^^^^^^^^^^^^^^
      |
      = help: one of: "linux32", "uname26", "addr_no_randomize", "addr_limit_3gb"
    "#);
}

#[test]
fn a_descriptor_that_leads_out() {
    let folder = Folder::with("[process]\ndescriptors = [3, 4, 5]\n");
    let mut shell = std::process::Command::new("sh");
    let program = folder.program(&[]);
    let explain = "exec \"$0\" explain -p sandbox.toml 3</usr 4</etc/passwd 5>&-";
    shell.args(["-c", explain]).arg(program.get_program());
    shell.current_dir(&folder.0).env("HOME", "/home/ada");
    insta::assert_snapshot!(refused(&folder, &mut shell), @"
    error[SBX0132]: descriptor 3 is a directory, which leads out of the sandbox
     --> sandbox.toml:2:16
      |
    2 | descriptors = [3, 4, 5]
      |                ^
      |
      = help: mount what is needed of it with [[mounts]], or keep a file, a pipe or a socket

    error[SBX0132]: descriptor 5 is not open
     --> sandbox.toml:2:22
      |
    2 | descriptors = [3, 4, 5]
      |                      ^
      |
      = help: open it for the run, for example: sandbox … 5<FILE
    ");
}

#[test]
fn clocks_that_cannot_be_set() {
    let wrong = checked(
        r#"
[namespaces]
time = "shared"
time_offsets = { monotonic = "1d" }
[process]
init = false
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: only the clocks of a new time namespace can be set
     --> sandbox.toml:3:30
      |
    3 | time_offsets = { monotonic = "1d" }
      |                              ^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | time = "shared"
      |        -------- not new here
      |
      = help: write `time = "new"` under [namespaces], or remove the offsets

    error[SBX0012]: the clocks are set by an init, whose child is the first to see them
     --> sandbox.toml:3:30
      |
    3 | time_offsets = { monotonic = "1d" }
      |                              ^^^^
      |
     ::: sandbox.toml:5:8
      |
    5 | init = false
      |        ----- none here
      |
      = help: write `init = true` under [process], or remove the offsets
    "#);
    let wrong = checked(
        r#"
[namespaces]
time_offsets = { monotonic = "-", boottime = "yesterday", realtime = 0 }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
     --> sandbox.toml:2:30
      |
    2 | time_offsets = { monotonic = "-", boottime = "yesterday", realtime = 0 }
      |                              ^^^
      |
      = help: for example: "1d" or "-1h"

    error[SBX0004]: invalid value: string "yesterday", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
     --> sandbox.toml:2:46
      |
    2 | time_offsets = { monotonic = "-", boottime = "yesterday", realtime = 0 }
      |                                              ^^^^^^^^^^^
      |
      = help: for example: "1d" or "-1h"

    error[SBX0003]: there is no key `realtime` in [namespaces.time_offsets]
     --> sandbox.toml:2:59
      |
    2 | time_offsets = { monotonic = "-", boottime = "yesterday", realtime = 0 }
      |                                                           ^^^^^^^^
      |
      = help: the keys are: monotonic, boottime
    "#);
}

#[test]
fn streams_and_schedules_that_mean_nothing() {
    let wrong = checked(
        r#"
[process]
stdin = "append:./in"
stdout = "append:./log"
stderr = "./log"
reset_on_fork = true
ioprio = "idle:1"
numa = "bind"

[devices]
rules = ["c 189:* rmw", "189:* r", "c 189:*"]

[limits]
cpu_weight = "low"
"#,
    );
    insta::assert_snapshot!(wrong);
    let wrong = checked(
        "[process]\nstdin = \"./log\"\nstdout = \"append:./log\"\nstderr = \"truncate:/var/log/x\"\n",
    );
    insta::assert_snapshot!(wrong);
}
