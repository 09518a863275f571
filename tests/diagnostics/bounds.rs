//! Limits that are too small or too large.

use crate::{checked, warned};

#[test]
fn no_descriptor_for_a_library() {
    let odd = warned(
        r#"
[rlimits]
nofile = 3
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0041]: no program with shared libraries can start with so little
     --> sandbox.toml:2:10
      |
    2 | nofile = 3
      |          ^
      |
      = help: for example: nofile = 1024
    "#);
}

#[test]
fn a_grace_longer_than_the_time() {
    let odd = warned(
        r#"
[limits]
wall_time = "10s"
grace = "1m"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0046]: a command that does not end when it is asked to runs for 1m after its 10s are over
     --> sandbox.toml:3:9
      |
    3 | grace = "1m"
      |         ^^^^
      |
     ::: sandbox.toml:2:13
      |
    2 | wall_time = "10s"
      |             ----- the time that it has
      |
      = help: shorten `grace`, or lengthen `wall_time`
    "#);
}

#[test]
fn a_bound_that_slows_down_above_the_one_that_kills() {
    let odd = warned(
        r#"
[limits]
memory = "1G"
memory_high = "2G"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0056]: at 1G the sandbox is killed, before 2G slow it down
     --> sandbox.toml:3:15
      |
    3 | memory_high = "2G"
      |               ^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | memory = "1G"
      |          ---- the memory that it has
      |
      = help: lower `memory_high`, or raise `memory`
    "#);
}

#[test]
fn a_processor_time_that_cannot_be_used() {
    let odd = warned(
        r#"
[limits]
cpu = 2
cpuset = "0"
cpu_time = "90s"
wall_time = "1m"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: more processor time than the processors of `cpuset` have
     --> sandbox.toml:2:7
      |
    2 | cpu = 2
      |       ^
      |
     ::: sandbox.toml:3:10
      |
    3 | cpuset = "0"
      |          --- 1 of them
      |
      = help: lower `cpu`, or name more processors

    warning[SBX0049]: this much processor time cannot be used before `wall_time` is over
     --> sandbox.toml:4:12
      |
    4 | cpu_time = "90s"
      |            ^^^^^
      |
     ::: sandbox.toml:5:13
      |
    5 | wall_time = "1m"
      |             ---- the time that there is
      |
     ::: sandbox.toml:3:10
      |
    3 | cpuset = "0"
      |          --- the processors that there are
      |
      = help: lower `cpu_time`, or lengthen `wall_time`

    sandbox: 2 warnings in 1 profile
    "#);
    let fine = "[limits]\ncpu = 2\ncpu_time = \"90s\"\nwall_time = \"1m\"";
    assert_eq!(warned(fine), "");
}

#[test]
fn no_processor_time() {
    let wrong = checked("[limits]\ncpu_time = 0");
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: no time to start a command
     --> sandbox.toml:2:12
      |
    2 | cpu_time = 0
      |            ^
      |
      = help: for example: cpu_time = "10m"; without the key there is no limit
    "#);
}

#[test]
fn parts_of_nothing() {
    let wrong = checked(
        r#"
[limits]
pids = "0%"
memory = "-5%"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `0%` is no part of what there is
     --> sandbox.toml:2:8
      |
    2 | pids = "0%"
      |        ^^^^
      |
      = help: write a whole number from 1 to 100, for example: "50%"

    error[SBX0004]: `-5%` is no part of what there is
     --> sandbox.toml:3:10
      |
    3 | memory = "-5%"
      |          ^^^^^
      |
      = help: write a whole number from 1 to 100, for example: "50%"
    "#);
    let wrong = checked("[limits]\npids = \"50\"\nmemory = \"101%\"");
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a whole number from 0 to 9223372036854775807, found a string
     --> sandbox.toml:2:8
      |
    2 | pids = "50"
      |        ^^^^
      |
      = help: write it in digits, without quotes

    error[SBX0004]: `101%` is no part of what there is
     --> sandbox.toml:3:10
      |
    3 | memory = "101%"
      |          ^^^^^^
      |
      = help: write a whole number from 1 to 100, for example: "50%"
    "#);
}

#[test]
fn limits_on_devices_that_say_nothing() {
    let wrong = checked(
        r#"
[limits]
io = [
    { device = "/dev/sda", read = 0, write_ops = 0 },
    { device = "/dev/sdb" },
    { read = "1M" },
    { device = "/dev/../sdc", reads = "1M", write = "1M" },
]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: a device that is limited to nothing
     --> sandbox.toml:3:35
      |
    3 |     { device = "/dev/sda", read = 0, write_ops = 0 },
      |                                   ^
      |
      = help: for example: read = "10M"; what may not be read at all is not shown

    error[SBX0044]: a device that is limited to nothing
     --> sandbox.toml:3:50
      |
    3 |     { device = "/dev/sda", read = 0, write_ops = 0 },
      |                                                  ^
      |
      = help: for example: read = "10M"; what may not be read at all is not shown

    error[SBX0005]: no rate is limited here
     --> sandbox.toml:4:5
      |
    4 |     { device = "/dev/sdb" },
      |     ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: for example: { device = "/dev/sda", read = "10M", write_ops = 100 }

    error[SBX0005]: `device` is missing in a limit on a device
     --> sandbox.toml:5:5
      |
    5 |     { read = "1M" },
      |     ^^^^^^^^^^^^^^^
      |
      = help: for example: device = "/dev/sda"

    error[SBX0008]: the path `/dev/../sdc` leads upwards (`..`)
     --> sandbox.toml:6:16
      |
    6 |     { device = "/dev/../sdc", reads = "1M", write = "1M" },
      |                ^^^^^^^^^^^^^
      |
      = help: write the path without `..`

    error[SBX0003]: there is no key `reads` in a limit on a device
     --> sandbox.toml:6:31
      |
    6 |     { device = "/dev/../sdc", reads = "1M", write = "1M" },
      |                               ^^^^^
      |
      = help: did you mean `read`?
    "#);
}

#[test]
fn a_tmpfs_larger_than_the_memory() {
    let odd = warned(
        r#"
[limits]
memory = "1G"

[[mounts]]
type = "tmpfs"
target = "/scratch"
size = "4G"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0047]: before this is full, the sandbox is killed for its memory
     --> sandbox.toml:7:8
      |
    7 | size = "4G"
      |        ^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | memory = "1G"
      |          ---- the memory that it has
      |
      = help: lower the size, so that writing more fails instead, or raise `memory`
    "#);
}

#[test]
fn limits_that_nothing_starts_with() {
    let wrong = checked(
        r#"
[limits]
wall_time = 0

[rlimits]
as = "64K"
stack = 0
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0044]: no time to start a command
     --> sandbox.toml:2:13
      |
    2 | wall_time = 0
      |             ^
      |
      = help: for example: wall_time = "10m"; without the key there is no limit

    error[SBX0044]: no program can start with so little
     --> sandbox.toml:5:6
      |
    5 | as = "64K"
      |      ^^^^^
      |
      = help: for example: as = "1G"

    error[SBX0044]: no program can start with so little
     --> sandbox.toml:6:9
      |
    6 | stack = 0
      |         ^
      |
      = help: for example: stack = "8M"
    "#);
}

#[test]
fn limits_that_no_library_fits() {
    let odd = warned(
        r#"
[rlimits]
as = "512K"
data = 4096
stack = 4096

[seccomp]
deny = ["mmap"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0041]: no program with shared libraries can start with so little
     --> sandbox.toml:2:6
      |
    2 | as = "512K"
      |      ^^^^^^
      |
      = help: for example: as = "1G"

    warning[SBX0041]: no program with shared libraries can start with so little
     --> sandbox.toml:3:8
      |
    3 | data = 4096
      |        ^^^^
      |
      = help: for example: data = "1G"

    warning[SBX0041]: no program with shared libraries can start with so little
     --> sandbox.toml:4:9
      |
    4 | stack = 4096
      |         ^^^^
      |
      = help: for example: stack = "8M"

    warning[SBX0041]: without `mmap` no program with shared libraries can be started
     --> sandbox.toml:7:9
      |
    7 | deny = ["mmap"]
      |         ^^^^^^
      |
      = help: remove it from `deny`

    sandbox: 4 warnings in 1 profile
    "#);
}

#[test]
fn a_shared_memory_larger_than_the_memory() {
    let odd = warned(
        r#"
[limits]
memory = "64M"
swap = "64M"

[devices]
shm_size = "256M"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0047]: before this is full, the sandbox is killed for its memory
     --> sandbox.toml:6:12
      |
    6 | shm_size = "256M"
      |            ^^^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | memory = "64M"
      |          ----- the memory that it has
      |
      = help: lower the size, so that writing more fails instead, or raise `memory`
    "#);
}

#[test]
fn output_and_idleness_that_say_nothing() {
    let wrong = checked("[limits]\noutput_over = \"end\"\nidle = \"500ms\"");
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: beyond nothing nothing happens
     --> sandbox.toml:2:15
      |
    2 | output_over = "end"
      |               ^^^^^
      |
      = help: set `output` too, for example: output = "10M"; or remove `output_over`

    error[SBX0044]: a command that starts does nothing for as long as that
     --> sandbox.toml:3:8
      |
    3 | idle = "500ms"
      |        ^^^^^^^
      |
      = help: a second is the least; for example: idle = "5m"
    "#);
    let odd = warned(
        r#"
[limits]
wall_time = "5m"
idle = "5m"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: the command is ended before it has done nothing for that long
     --> sandbox.toml:3:8
      |
    3 | idle = "5m"
      |        ^^^^
      |
     ::: sandbox.toml:2:13
      |
    2 | wall_time = "5m"
      |             ---- the time that it has
      |
      = help: shorten `idle`, or lengthen `wall_time`
    "#);
    let fine = "[limits]\nwall_time = \"6m\"\nidle = \"5m\"\noutput = 0\noutput_over = \"cut\"";
    assert_eq!(warned(fine), "");
}
