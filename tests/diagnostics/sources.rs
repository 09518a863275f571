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
      = help: "tmpfs" takes: read_only, nosuid, nodev, noexec, size, inodes, mode
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
