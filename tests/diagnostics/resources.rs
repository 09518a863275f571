//! `[limits]`, `[rlimits]`.

use crate::{checked, warned};

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

#[test]
fn huge_pages_that_are_none() {
    let wrong = checked(
        r#"
[limits]
huge_pages = { "3M" = "6M", "2M" = "3M", "1G" = "2G", "1024M" = 0 }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `3M` is no size of huge pages
     --> sandbox.toml:2:16
      |
    2 | huge_pages = { "3M" = "6M", "2M" = "3M", "1G" = "2G", "1024M" = 0 }
      |                ^^^^
      |
      = help: for example: huge_pages = { "2M" = "512M" }

    error[SBX0004]: 3M are no whole number of pages of 2M
     --> sandbox.toml:2:29
      |
    2 | huge_pages = { "3M" = "6M", "2M" = "3M", "1G" = "2G", "1024M" = 0 }
      |                             ^^^^
      |
      = help: for example: "2M" = "16M"

    error[SBX0004]: pages of 1G are limited twice
     --> sandbox.toml:2:42
      |
    2 | huge_pages = { "3M" = "6M", "2M" = "3M", "1G" = "2G", "1024M" = 0 }
      |                                          ^^^^
      |
     ::: sandbox.toml:2:55
      |
    2 | huge_pages = { "3M" = "6M", "2M" = "3M", "1G" = "2G", "1024M" = 0 }
      |                                                       ------- also here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_period_and_a_burst_that_the_kernel_would_not_take() {
    let wrong = checked(
        r#"
[limits]
cpu = 0.02
cpu_period = "20ms"
cpu_burst = "1ms"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: 400 µs of each period are too few to run in
     --> sandbox.toml:2:7
      |
    2 | cpu = 0.02
      |       ^^^^
      |
     ::: sandbox.toml:3:14
      |
    3 | cpu_period = "20ms"
      |              ------ the period
      |
      = help: 1 ms is the least: raise `cpu`, or `cpu_period`
    "#);
}

#[test]
fn a_period_without_a_share() {
    let wrong = checked(
        r#"
[limits]
cpu_period = "2s"
cpu_burst = "1ms"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: `cpu_period` is about the share that `cpu` gives
     --> sandbox.toml:2:14
      |
    2 | cpu_period = "2s"
      |              ^^^^
      |
      = help: set `cpu` too, for example: cpu = 1.5

    error[SBX0004]: no period is 2s long
     --> sandbox.toml:2:14
      |
    2 | cpu_period = "2s"
      |              ^^^^
      |
      = help: from 1 ms to 1 s, for example: cpu_period = "50ms"

    error[SBX0012]: `cpu_burst` is about the share that `cpu` gives
     --> sandbox.toml:3:13
      |
    3 | cpu_burst = "1ms"
      |             ^^^^^
      |
      = help: set `cpu` too, for example: cpu = 1.5
    "#);
}

#[test]
fn memory_that_is_kept_and_cannot_be_used() {
    let wrong = checked(
        r#"
[limits]
memory = "64M"
memory_low = "65M"
memory_min = 0
memory_nodes = "one"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    warning[SBX0049]: more memory is kept than there may be
     --> sandbox.toml:3:14
      |
    3 | memory_low = "65M"
      |              ^^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | memory = "64M"
      |          ----- the memory that it has
      |
      = help: lower `memory_low`, or raise `memory`

    warning[SBX0018]: no memory is kept anyway
     --> sandbox.toml:4:14
      |
    4 | memory_min = 0
      |              ^
      |
      = help: remove `memory_min`

    error[SBX0004]: `one` is no list of memory nodes
     --> sandbox.toml:5:16
      |
    5 | memory_nodes = "one"
      |                ^^^^^
      |
      = help: for example: memory_nodes = "0-3,7"
    "#);
}

#[test]
fn a_cgroup_in_no_place() {
    for (line, said) in [
        ("parent = \"builds\"", "`builds` is no path of a cgroup"),
        ("parent = \"/a/../b\"", "`/a/../b` is no path of a cgroup"),
        (
            "parent = \"/sys/fs/cgroup/builds\"",
            "write the path below the mount, for example \"/builds\"",
        ),
        ("name = \"\"", "a name has 1 to 200 bytes"),
        ("name = \"a/b\"", "it has a letter, a digit or `_` in front"),
        ("name = \"..\"", "it has a letter, a digit or `_` in front"),
        (
            "name = \"sandbox-1-2\"",
            "the sandbox recognises its own groups by such a name",
        ),
        (
            "name = \"sandbox.leaf\"",
            "the sandbox recognises its own groups by such a name",
        ),
        (
            "name = \"cgroup.procs\"",
            "the kernel's own files begin with `cgroup.`",
        ),
    ] {
        let wrong = checked(&format!("[limits]\npids = 9\n{line}\n"));
        assert!(wrong.contains("error["), "{line}: {wrong}");
        assert!(wrong.contains(said), "{line}: {wrong}");
        assert!(wrong.contains(" --> sandbox.toml:3:"), "{line}: {wrong}");
    }
}

#[test]
fn a_place_for_a_cgroup_without_a_limit() {
    for line in ["parent = \"/builds\"", "name = \"build-7\""] {
        let said = warned(&format!("[limits]\nwall_time = \"1m\"\n{line}\n"));
        assert!(
            said.contains("there is no limit that takes a cgroup"),
            "{said}"
        );
        let taken = warned(&format!("[limits]\npids = 9\n{line}\n"));
        assert!(!taken.contains("there is no limit"), "{taken}");
    }
}

#[test]
fn real_time_that_is_no_part_of_a_second() {
    for time in ["0s", "1001ms", "2h"] {
        let wrong = checked(&format!("[limits]\nrealtime = \"{time}\"\n"));
        assert!(wrong.contains("is no part of a second"), "{wrong}");
        assert!(wrong.contains(" --> sandbox.toml:2:12"), "{wrong}");
    }
}
