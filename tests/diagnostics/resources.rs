//! `[limits]`, `[rlimits]`.

use crate::checked;

#[test]
fn sizes_and_times_in_words() {
    let wrong = checked(
        r#"
[limits]
memory = "lots"
cpu = "fast"
wall_time = "soon"
grace = "-5s"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "lots", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
     --> sandbox.toml:2:10
      |
    2 | memory = "lots"
      |          ^^^^^^
      |
      = help: for example: "64M"

    error[SBX0004]: invalid type: string "fast", expected a number of processors from 0.01 to 10000, such as 0.5 or 2
     --> sandbox.toml:3:7
      |
    3 | cpu = "fast"
      |       ^^^^^^
      |
      = help: for example: 0.5

    error[SBX0004]: invalid value: string "soon", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
     --> sandbox.toml:4:13
      |
    4 | wall_time = "soon"
      |             ^^^^^^
      |
      = help: for example: "10s"

    error[SBX0004]: invalid value: string "-5s", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
     --> sandbox.toml:5:9
      |
    5 | grace = "-5s"
      |         ^^^^^
      |
      = help: for example: "10s" or "infinity"
    "#);
}

#[test]
fn swap_without_memory() {
    let wrong = checked(
        r#"
[limits]
swap = "1G"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: `swap` is counted on top of `memory`
     --> sandbox.toml:2:8
      |
    2 | swap = "1G"
      |        ^^^^
      |
      = help: set `memory` too, for example: memory = "1G"
    "#);
}

#[test]
fn a_list_of_processors_that_is_none() {
    let wrong = checked(
        r#"
[limits]
cpuset = "x"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `x` is no list of processors
     --> sandbox.toml:2:10
      |
    2 | cpuset = "x"
      |          ^^^
      |
      = help: for example: cpuset = "0-3,7"
    "#);
}

#[test]
fn too_few_processes() {
    let wrong = checked(
        r#"
[limits]
pids = 1
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: too few processes to start a command
     --> sandbox.toml:2:8
      |
    2 | pids = 1
      |        ^
      |
      = help: 2 are init and the command; for example: pids = 20
    "#);
}

#[test]
fn too_little_memory() {
    let wrong = checked(
        r#"
[limits]
memory = "4K"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: too little memory to start a command
     --> sandbox.toml:2:10
      |
    2 | memory = "4K"
      |          ^^^^
      |
      = help: for example: memory = "100M"
    "#);
}

#[test]
fn no_processor_time() {
    let wrong = checked(
        r#"
[limits]
cpu = 0
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: floating point `0.0`, expected a number of processors from 0.01 to 10000, such as 0.5 or 2
     --> sandbox.toml:2:7
      |
    2 | cpu = 0
      |       ^
      |
      = help: for example: 0.5
    "#);
}

#[test]
fn more_memory_than_numbers() {
    let wrong = checked(
        r#"
[limits]
memory = "99999999999T"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "99999999999T", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
     --> sandbox.toml:2:10
      |
    2 | memory = "99999999999T"
      |          ^^^^^^^^^^^^^^
      |
      = help: for example: "64M"
    "#);
}

#[test]
fn soft_above_hard() {
    let wrong = checked(
        r#"
[rlimits]
nofile = { soft = 4096, hard = 1024 }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0045]: soft is above hard
     --> sandbox.toml:2:19
      |
    2 | nofile = { soft = 4096, hard = 1024 }
      |                   ^^^^
      |
     ::: sandbox.toml:2:32
      |
    2 | nofile = { soft = 4096, hard = 1024 }
      |                                ---- hard
      |
      = help: lower `soft`, or raise `hard`
    "#);
}

#[test]
fn a_limit_with_neither_soft_nor_hard() {
    let wrong = checked(
        r#"
[rlimits]
nofile = {}
core = { soft = "x" }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0005]: a limit that is none: neither `soft` nor `hard`
     --> sandbox.toml:2:10
      |
    2 | nofile = {}
      |          ^^
      |
      = help: for example: { soft = 1024, hard = 4096 }

    error[SBX0004]: invalid value: string "x", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
     --> sandbox.toml:3:17
      |
    3 | core = { soft = "x" }
      |                 ^^^
      |
      = help: for example: 1024, "64M" or "infinity"
    "#);
}

#[test]
fn a_resource_limit_in_words() {
    let wrong = checked(
        r#"
[rlimits]
nofile = "plenty"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "plenty", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
     --> sandbox.toml:2:10
      |
    2 | nofile = "plenty"
      |          ^^^^^^^^
      |
      = help: for example: 1024, "64M" or "infinity"
    "#);
}

#[test]
fn a_resource_that_does_not_exist() {
    let wrong = checked(
        r#"
[rlimits]
nofiles = 1024
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0003]: there is no key `nofiles` in [rlimits]
     --> sandbox.toml:2:1
      |
    2 | nofiles = 1024
      | ^^^^^^^
      |
      = help: did you mean `nofile`?
    "#);
}
