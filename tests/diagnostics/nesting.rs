//! Mounts that lie to each other, and what holds them.

use crate::{checked, warned};

#[test]
fn a_mount_below_a_mask() {
    let odd = warned(
        r#"
[[mounts]]
type = "mask"
target = "/usr/share"

[[mounts]]
type = "bind"
target = "/usr/share/zoneinfo"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0014]: /usr/share/zoneinfo is visible, though /usr/share is masked
     --> sandbox.toml:7:10
      |
    7 | target = "/usr/share/zoneinfo"
      |          ^^^^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/usr/share"
      |          ------------ masked here
      |
      = help: to show nothing else there, write `type = "tmpfs"` and `read_only = true` instead of the mask; else remove one of the two
    "#);
}

#[test]
fn a_link_in_a_writable_folder() {
    let wrong = checked(
        r#"
[[mounts]]
type = "bind"
target = "/srv/data"
read_only = false

[[mounts]]
type = "symlink"
target = "/srv/data/latest"
to = "/srv/data/1"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0016]: the symbolic link /srv/data/latest would have to be made in a writable folder of the host
     --> sandbox.toml:8:10
      |
    8 | target = "/srv/data/latest"
      |          ^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/srv/data"
      |          ----------- writable
      |
      = help: make the link on the host, or choose a target elsewhere
    "#);
}

#[test]
fn what_is_so_anyway() {
    let odd = warned(
        r#"
[[mounts]]
type = "tmpfs"
target = "/tmp"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0018]: /tmp is so anyway
     --> sandbox.toml:3:10
      |
    3 | target = "/tmp"
      |          ^^^^^^
      |
      = help: remove this mount
    "#);
}

#[test]
fn too_few_inodes() {
    let wrong = checked(
        r#"
[[mounts]]
type = "tmpfs"
target = "/work"
inodes = 2

[[mounts]]
type = "bind"
target = "/work/in/data"
source = "/srv/data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0019]: what is mounted in it needs 3 inodes
     --> sandbox.toml:4:10
      |
    4 | inodes = 2
      |          ^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/work"
      |          ------- below this target
      |
      = help: inodes = 3, or more if the command makes files there
    "#);
}

#[test]
fn queues_of_another_namespace() {
    let wrong = checked(
        r#"
[namespaces]
ipc = "shared"

[[mounts]]
type = "mqueue"
target = "/dev/mqueue"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0024]: "mqueue" cannot be mounted without a new ipc namespace
     --> sandbox.toml:4:1
      |
    4 | [[mounts]]
      | ^^^^^^^^^^
      |
     ::: sandbox.toml:2:7
      |
    2 | ipc = "shared"
      |       -------- not new here
      |
      = help: give the sandbox its own ipc namespace, or bind what the command needs of the host's
    "#);
}

#[test]
fn a_proc_without_a_pid_namespace() {
    let odd = warned(
        r#"
[namespaces]
pid = "shared"

[[mounts]]
type = "proc"
target = "/proc"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0025]: this shows the processes of others, and their arguments
     --> sandbox.toml:4:1
      |
    4 | [[mounts]]
      | ^^^^^^^^^^
      |
     ::: sandbox.toml:2:7
      |
    2 | pid = "shared"
      |       -------- the pid namespace is not new
      |
      = help: write `pid = "new"` under [namespaces], or remove this mount
    "#);
}

#[test]
fn a_target_that_is_named_twice() {
    let wrong = checked(
        r#"
[devices]
nodes = ["kvm", "kvm"]

[rootfs]
project = "read"

[[mounts]]
type = "tmpfs"
target = "${PROJECT}"

[[mounts]]
type = "bind"
target = "/dev/kvm"
nodev = false
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0013]: a second mount on /dev/kvm
     --> sandbox.toml:2:17
      |
    2 | nodes = ["kvm", "kvm"]
      |                 ^^^^^
      |
     ::: sandbox.toml:2:10
      |
    2 | nodes = ["kvm", "kvm"]
      |          ----- the first one
      |
      = help: remove one of the two

    error[SBX0013]: a second mount on [project]
     --> sandbox.toml:9:10
      |
    9 | target = "${PROJECT}"
      |          ^^^^^^^^^^^^
      |
     ::: sandbox.toml:5:11
      |
    5 | project = "read"
      |           ------ the first one
      |
      = help: remove one of the two

    error[SBX0013]: a second mount on /dev/kvm
      --> sandbox.toml:13:10
       |
    13 | target = "/dev/kvm"
       |          ^^^^^^^^^^
       |
      ::: sandbox.toml:2:10
       |
     2 | nodes = ["kvm", "kvm"]
       |          ----- the first one
       |
       = help: remove one of the two
    "#);
}

#[test]
fn a_link_in_the_project() {
    let wrong = checked(
        r#"
[[mounts]]
type = "symlink"
target = "${PROJECT}/latest"
to = "1"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0016]: the symbolic link [project]/latest would have to be made in a writable folder of the host
     --> sandbox.toml:3:10
      |
    3 | target = "${PROJECT}/latest"
      |          ^^^^^^^^^^^^^^^^^^^
      |
      = note: default of rootfs.project: writable
      = help: make the link on the host, or choose a target elsewhere
    "#);
}

#[test]
fn mounts_below_queues_and_terminals() {
    let wrong = checked(
        r#"
[[mounts]]
type = "mqueue"
target = "/queues"

[[mounts]]
type = "tmpfs"
target = "/queues/q"

[[mounts]]
type = "devpts"
target = "/terminals"

[[mounts]]
type = "directory"
target = "/terminals/deep/down"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0015]: /queues/q lies below /queues, which can hold no mount
     --> sandbox.toml:7:10
      |
    7 | target = "/queues/q"
      |          ^^^^^^^^^^^
      |
     ::: sandbox.toml:3:10
      |
    3 | target = "/queues"
      |          --------- the type is "mqueue"
      |
      = help: choose another target

    error[SBX0015]: /terminals/deep/down lies below /terminals, which can hold no mount
      --> sandbox.toml:15:10
       |
    15 | target = "/terminals/deep/down"
       |          ^^^^^^^^^^^^^^^^^^^^^^
       |
      ::: sandbox.toml:11:10
       |
    11 | target = "/terminals"
       |          ------------ the type is "devpts"
       |
       = help: choose another target
    "#);
}

#[test]
fn defaults_that_are_repeated() {
    let odd = warned(
        r#"
[devices]
nodes = ["null", "kvm"]

[[mounts]]
type = "bind"
target = "/usr"

[[mounts]]
type = "proc"
target = "/proc"

[[mounts]]
type = "bind"
target = "${PROJECT}"
read_only = false

[[mounts]]
type = "tmpfs"
target = "${HOME}"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0018]: /dev/null is there anyway
     --> sandbox.toml:2:10
      |
    2 | nodes = ["null", "kvm"]
      |          ^^^^^^
      |
      = help: remove it from `nodes`

    warning[SBX0018]: /usr is so anyway
     --> sandbox.toml:6:10
      |
    6 | target = "/usr"
      |          ^^^^^^
      |
      = help: remove this mount

    warning[SBX0018]: /proc is so anyway
      --> sandbox.toml:10:10
       |
    10 | target = "/proc"
       |          ^^^^^^^
       |
       = help: remove this mount

    warning[SBX0018]: [project] is so anyway
      --> sandbox.toml:14:10
       |
    14 | target = "${PROJECT}"
       |          ^^^^^^^^^^^^
       |
       = help: remove this mount

    warning[SBX0018]: /home/ada is so anyway
      --> sandbox.toml:19:10
       |
    19 | target = "${HOME}"
       |          ^^^^^^^^^
       |
       = help: remove this mount

    sandbox: 5 warnings in 1 profile
    "#);
}

#[test]
fn file_systems_of_the_host_network_and_cgroup() {
    let wrong = checked(
        r#"
[namespaces]
cgroup = "shared"

[network]
mode = "host"

[[mounts]]
type = "sysfs"
target = "/sys"

[[mounts]]
type = "cgroup"
target = "/cgroup"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    note[SBX0031]: the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them
     --> sandbox.toml:5:8
      |
    5 | mode = "host"
      |        ^^^^^^
      |
      = help: write `mode = "loopback"` under [network] where no network is needed

    error[SBX0024]: "sysfs" cannot be mounted without a new net namespace
     --> sandbox.toml:7:1
      |
    7 | [[mounts]]
      | ^^^^^^^^^^
      |
     ::: sandbox.toml:5:8
      |
    5 | mode = "host"
      |        ------ not new here
      |
      = help: give the sandbox its own net namespace, or bind what the command needs of the host's

    error[SBX0024]: "cgroup" cannot be mounted without a new cgroup namespace
      --> sandbox.toml:11:1
       |
    11 | [[mounts]]
       | ^^^^^^^^^^
       |
      ::: sandbox.toml:2:10
       |
     2 | cgroup = "shared"
       |          -------- not new here
       |
       = help: give the sandbox its own cgroup namespace, or bind what the command needs of the host's
    "#);
}
