//! `[[mounts]]`.

use crate::{Folder, checked, explained, refused};

#[test]
fn a_relative_target() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the target `data` is not absolute
     --> sandbox.toml:3:10
      |
    3 | target = "data"
      |          ^^^^^^
      |
      = help: start it with `/`, for example "/data"
    "#);
}

#[test]
fn a_target_that_leads_upwards() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data/../../etc"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the target `/data/../../etc` leads upwards (`..`)
     --> sandbox.toml:3:10
      |
    3 | target = "/data/../../etc"
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: write the path without `..`
    "#);
}

#[test]
fn an_empty_target() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = ""
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the target `` is not absolute
     --> sandbox.toml:3:10
      |
    3 | target = ""
      |          ^^
      |
      = help: start it with `/`, for example "/"
    "#);
}

#[test]
fn a_source_that_leads_upwards() {
    let wrong = checked(
        r#"
[[mounts]]
type = "bind"
source = "../secrets"
target = "/data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the path `[project]/../secrets` leads upwards (`..`)
     --> sandbox.toml:3:10
      |
    3 | source = "../secrets"
      |          ^^^^^^^^^^^^
      |
      = help: write the path without `..`
    "#);
}

#[test]
fn a_mount_without_a_type_and_without_a_target() {
    let wrong = checked(
        r#"
[[mounts]]
read_only = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0005]: `type` is missing in [[mounts]]
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: for example: type = "bind"

    error[SBX0005]: `target` is missing in [[mounts]]
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: for example: target = "/data"
    "#);
}

#[test]
fn a_type_that_does_not_exist() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpsf"
target = "/data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `tmpsf` is none of the choices
     --> sandbox.toml:2:8
      |
    2 | type = "tmpsf"
      |        ^^^^^^^
      |
      = help: did you mean "tmpfs"?
    "#);
}

#[test]
fn a_key_that_means_nothing_for_the_type() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data"
source = "/srv"
contents = "hello"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: `source` means nothing for the type "tmpfs"
     --> sandbox.toml:4:10
      |
    4 | source = "/srv"
      |          ^^^^^^
      |
     ::: sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ---------- of this mount
      |
      = help: "tmpfs" takes: read_only, nosuid, nodev, noexec, nosymfollow, atime, size, inodes, mode, owner

    error[SBX0007]: `contents` means nothing for the type "tmpfs"
     --> sandbox.toml:5:12
      |
    5 | contents = "hello"
      |            ^^^^^^^
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
fn a_key_for_a_type_that_takes_none() {
    let wrong = checked(
        r#"
[[mounts]]
type = "mask"
target = "/etc/shadow"
read_only = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: `read_only` means nothing for the type "mask"
     --> sandbox.toml:4:13
      |
    4 | read_only = true
      |             ^^^^
      |
     ::: sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ---------- of this mount
      |
      = help: "mask" takes no more than `type` and `target`
    "#);
}

#[test]
fn a_link_that_points_nowhere() {
    let wrong = checked(
        r#"
[[mounts]]
type = "symlink"
target = "/usr/bin/python"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0005]: a symbolic link needs `to`
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: for example: to = "/usr/bin/python3"
    "#);
}

#[test]
fn a_decimal_mode() {
    let wrong = checked(
        r#"
[[mounts]]
type = "directory"
target = "/data"
mode = 755
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a mode in octal, found a whole number in decimal
     --> sandbox.toml:4:8
      |
    4 | mode = 755
      |        ^^^
      |
      = help: for example: 0o755 or "755"
    "#);
}

#[test]
fn a_mode_that_is_none() {
    let wrong = checked(
        r#"
[[mounts]]
type = "directory"
target = "/data"
mode = "rwxr-xr-x"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `rwxr-xr-x` is no mode
     --> sandbox.toml:4:8
      |
    4 | mode = "rwxr-xr-x"
      |        ^^^^^^^^^^^
      |
      = help: for example: 0o755 or "755"
    "#);
}

#[test]
fn a_mode_with_too_many_bits() {
    let wrong = checked(
        r#"
[[mounts]]
type = "directory"
target = "/data"
mode = 0o17777
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `17777` is no mode
     --> sandbox.toml:4:8
      |
    4 | mode = 0o17777
      |        ^^^^^^^
      |
      = help: for example: 0o755 or "755"
    "#);
}

#[test]
fn a_file_system_without_a_bound() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data"
size = 0
inodes = 0
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: 0 would mean a tmpfs without a bound
     --> sandbox.toml:4:8
      |
    4 | size = 0
      |        ^
      |
      = help: for example: size = "64M"

    error[SBX0004]: a file system without inodes
     --> sandbox.toml:5:10
      |
    5 | inodes = 0
      |          ^
      |
      = help: 1 is the root directory alone; for example: inodes = 10000
    "#);
}

#[test]
fn a_size_that_is_none() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data"
size = "64 meters"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "64 meters", expected a size in bytes, such as 65536, "64M" or "1.5GiB"
     --> sandbox.toml:4:8
      |
    4 | size = "64 meters"
      |        ^^^^^^^^^^^
      |
      = help: for example: "64M"
    "#);
}

#[test]
fn two_mounts_on_one_target() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/data"

[[mounts]]
type = "directory"
target = "/data/"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0013]: a second mount on /data
     --> sandbox.toml:7:10
      |
    7 | target = "/data/"
      |          ^^^^^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/data"
      |          ------- the first one
      |
      = help: remove one of the two
    "#);
}

#[test]
fn a_missing_source() {
    let wrong = explained(
        r#"
[[mounts]]
type = "bind"
source = "/srv/no/such/source"
target = "/data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: the source /srv/no/such/source does not exist
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: make it, correct the path, or set `optional = true`
    "#);
}

#[test]
fn a_mount_on_the_root() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: a mount on the root itself
     --> sandbox.toml:3:10
      |
    3 | target = "/"
      |          ^^^
      |
      = help: [rootfs] says what the root is
    "#);
}

#[test]
fn a_mount_below_a_file() {
    let wrong = checked(
        r#"
[[mounts]]
type = "file"
target = "/data"
contents = ""

[[mounts]]
type = "tmpfs"
target = "/data/below"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0015]: /data/below lies below /data, which can hold no mount
     --> sandbox.toml:8:10
      |
    8 | target = "/data/below"
      |          ^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/data"
      |          ------- the type is "file"
      |
      = help: choose another target
    "#);
}

#[test]
fn a_mount_that_the_kernel_has_no_place_for() {
    let wrong = explained(
        r#"
[[mounts]]
type = "tmpfs"
target = "/proc/no-such-entry"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: the kernel has no mount point /proc/no-such-entry
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: choose another target
    "#);
}

#[test]
fn a_folder_too_large_to_be_rebuilt() {
    let folder = Folder::with(
        r#"
[[mounts]]
type = "bind"
source = "large"
target = "/data"

[[mounts]]
type = "tmpfs"
target = "/data/new"
"#,
    );
    let large = folder.0.join("large");
    std::fs::create_dir(&large).unwrap();
    for number in 0..4097 {
        std::fs::write(large.join(number.to_string()), "").unwrap();
    }
    let arguments = ["explain", "--profile", "sandbox.toml", "--", "true"];
    let wrong = refused(&folder, &mut folder.program(&arguments));
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0100]: a mount point is missing in [project]/large, and its 4097 entries are too many to rebuild it
     --> sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: make the mount point on the host, or mount a tmpfs on the directory
    "#);
}

#[test]
fn a_mount_that_receives_says_what_cannot_hold_for_it() {
    let problems = checked(
        r#"
[[mounts]]
type = "bind"
target = "/srv"
noexec = true
nodev = false
propagation = "slave"

[[mounts]]
type = "tmpfs"
target = "/a"
recursive = false

[[mounts]]
type = "proc"
target = "/proc"
hidepid = "all"

[namespaces]
pid = "shared"
"#,
    );
    insta::assert_snapshot!(problems, @r#"
    error[SBX0007]: `noexec` cannot hold for what the host mounts there later
     --> sandbox.toml:4:10
      |
    4 | noexec = true
      |          ^^^^
      |
     ::: sandbox.toml:6:15
      |
    6 | propagation = "slave"
      |               ------- shown here
      |
      = help: remove one of the two lines

    error[SBX0012]: `read_only`, `nosuid` cannot hold for what the host mounts there later, which comes with its own options
     --> sandbox.toml:6:15
      |
    6 | propagation = "slave"
      |               ^^^^^^^
      |
     ::: sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ---------- of this mount
      |
      = help: write read_only = false, nosuid = false; or propagation = "slave-as-is", where they shall hold for what is there now alone

    error[SBX0007]: `recursive` means nothing for the type "tmpfs"
      --> sandbox.toml:11:13
       |
    11 | recursive = false
       |             ^^^^^
       |
      ::: sandbox.toml:8:1
       |
     8 | [[mounts]]
       | ---------- of this mount
       |
       = help: "tmpfs" takes: read_only, nosuid, nodev, noexec, nosymfollow, atime, size, inodes, mode, owner

    warning[SBX0025]: this shows the processes of others, and their arguments
      --> sandbox.toml:13:1
       |
    13 | [[mounts]]
       | ^^^^^^^^^^
       |
      ::: sandbox.toml:19:7
       |
    19 | pid = "shared"
       |       -------- the pid namespace is not new
       |
       = help: write `pid = "new"` under [namespaces], or remove this mount

    error[SBX0004]: `all` is none of the choices
      --> sandbox.toml:16:11
       |
    16 | hidepid = "all"
       |           ^^^^^
       |
       = help: one of: "off", "noaccess", "invisible", "ptraceable"
    "#);
}
