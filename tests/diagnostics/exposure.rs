//! What a bind gives away of the host.

use crate::warned;

#[test]
fn a_path_with_a_name_in_it() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/data"
source = "/home/ada/dataset"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0017]: only ada has this path: nobody else can use this profile
     --> sandbox.toml:4:10
      |
    4 | source = "/home/ada/dataset"
      |          ^^^^^^^^^^^^^^^^^^^
      |
      = help: write "${HOME}/dataset"
    "#);
}

#[test]
fn the_socket_of_docker() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/run/docker.sock"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0020]: through this socket the command directs Docker, outside of the sandbox
     --> sandbox.toml:3:10
      |
    3 | target = "/run/docker.sock"
      |          ^^^^^^^^^^^^^^^^^^
      |
      = help: remove the mount; where the command needs the service, run a second one that is confined itself
    "#);
}

#[test]
fn a_whole_home() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "${HOME}"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0021]: the command sees the whole of /home/ada: every key, token and history file that lies there
     --> sandbox.toml:3:10
      |
    3 | target = "${HOME}"
      |          ^^^^^^^^^
      |
      = help: bind the folders that the command needs, each by an entry of its own
    "#);
}

#[test]
fn a_start_up_file_to_write_to() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "${HOME}/.bashrc"
read_only = false
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0022]: the command can write to /home/ada/.bashrc, which is obeyed outside of the sandbox
     --> sandbox.toml:3:10
      |
    3 | target = "${HOME}/.bashrc"
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: remove `read_only = false`, or bind a folder that holds data only
    "#);
}

#[test]
fn the_proc_of_the_host() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/host/proc"
source = "/proc"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0023]: /proc shows the host's processes, and settings of its kernel
     --> sandbox.toml:4:10
      |
    4 | source = "/proc"
      |          ^^^^^^^
      |
      = help: write `type = "proc"`
    "#);
}

#[test]
fn a_device_that_cannot_be_opened() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/dev/kvm"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0055]: a device on a mount without devices: it is visible and cannot be opened
     --> sandbox.toml:3:10
      |
    3 | target = "/dev/kvm"
      |          ^^^^^^^^^^
      |
      = help: name it under [devices] instead: nodes = ["kvm"]; or write `nodev = false`
    "#);
}

#[test]
fn folders_that_hold_sockets() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/var/run"

[[mounts]]
type = "bind"
target = "/run/user/${UID}"

[[mounts]]
type = "bind"
target = "/tmp/.X11-unix/X0"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0020]: this holds the socket of Docker, through which the command acts outside of the sandbox
     --> sandbox.toml:3:10
      |
    3 | target = "/var/run"
      |          ^^^^^^^^^^
      |
      = help: remove the mount; where the command needs the service, run a second one that is confined itself

    warning[SBX0020]: this holds the socket of the session bus, through which the command acts outside of the sandbox
     --> sandbox.toml:7:10
      |
    7 | target = "/run/user/${UID}"
      |          ^^^^^^^^^^^^^^^^^^
      |
      = help: remove the mount, and name what of the bus the command needs in [[bus]]

    warning[SBX0020]: through this socket the command directs the X server, outside of the sandbox
      --> sandbox.toml:11:10
       |
    11 | target = "/tmp/.X11-unix/X0"
       |          ^^^^^^^^^^^^^^^^^^^
       |
       = help: remove the mount; where the command needs the service, run a second one that is confined itself

    sandbox: 3 warnings in 1 profile
    "#);
}

#[test]
fn the_whole_host_and_every_home() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/host"
source = "/"

[[mounts]]
type = "bind"
target = "/home"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0021]: the command sees the whole of /: everything that the caller can read
     --> sandbox.toml:4:10
      |
    4 | source = "/"
      |          ^^^
      |
      = help: bind the folders that the command needs, each by an entry of its own

    warning[SBX0021]: the command sees the whole of /home: every key, token and history file that lies there
     --> sandbox.toml:8:10
      |
    8 | target = "/home"
      |          ^^^^^^^
      |
      = help: bind the folders that the command needs, each by an entry of its own

    sandbox: 2 warnings in 1 profile
    "#);
}

#[test]
fn more_that_is_obeyed_outside() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "${HOME}/.config"
read_only = false

[[mounts]]
type = "bind"
target = "/usr/local/bin"
read_only = false

[[mounts]]
type = "bind"
target = "/etc"
read_only = false

[[mounts]]
type = "bind"
target = "${HOME}/.ssh/known_hosts"
read_only = false
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0022]: the command can write to /home/ada/.config/autostart, which is obeyed outside of the sandbox
     --> sandbox.toml:3:10
      |
    3 | target = "${HOME}/.config"
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: remove `read_only = false`, or bind a folder that holds data only

    warning[SBX0022]: the command can write to /usr/local/bin, which is obeyed outside of the sandbox
     --> sandbox.toml:8:10
      |
    8 | target = "/usr/local/bin"
      |          ^^^^^^^^^^^^^^^^
      |
      = help: remove `read_only = false`, or bind a folder that holds data only

    warning[SBX0022]: the command can write to /etc/cron.d, which is obeyed outside of the sandbox
      --> sandbox.toml:13:10
       |
    13 | target = "/etc"
       |          ^^^^^^
       |
       = help: remove `read_only = false`, or bind a folder that holds data only

    warning[SBX0022]: the command can write to /home/ada/.ssh/known_hosts, which is obeyed outside of the sandbox
      --> sandbox.toml:18:10
       |
    18 | target = "${HOME}/.ssh/known_hosts"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: remove `read_only = false`, or bind a folder that holds data only

    sandbox: 4 warnings in 1 profile
    "#);
}

#[test]
fn kernel_trees_of_the_host() {
    let odd = warned(
        r#"
[[mounts]]
type = "bind"
target = "/host/sys"
source = "/sys"

[[mounts]]
type = "bind"
target = "/host/dev"
source = "/dev"

[[mounts]]
type = "bind"
target = "/cgroup"
source = "/sys/fs/cgroup"
read_only = false
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0023]: /sys shows the host's network devices and cgroups
     --> sandbox.toml:4:10
      |
    4 | source = "/sys"
      |          ^^^^^^
      |
      = help: write `type = "sysfs"`

    warning[SBX0023]: /dev shows every device of the host
     --> sandbox.toml:9:10
      |
    9 | source = "/dev"
      |          ^^^^^^
      |
      = help: name the devices in [devices]: nodes = ["kvm"]

    warning[SBX0023]: /sys/fs/cgroup shows settings of the host's kernel to write to
      --> sandbox.toml:14:10
       |
    14 | source = "/sys/fs/cgroup"
       |          ^^^^^^^^^^^^^^^^
       |
       = help: write `read_only = true`

    sandbox: 3 warnings in 1 profile
    "#);
}

#[test]
fn a_root_with_a_name_in_its_path() {
    let odd = warned(
        r#"
[rootfs]
directory = "/home/bob/debian"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0017]: only bob has this path: nobody else can use this profile
     --> sandbox.toml:2:13
      |
    2 | directory = "/home/bob/debian"
      |             ^^^^^^^^^^^^^^^^^^
      |
      = help: write "${HOME}/debian"
    "#);
}

#[test]
fn the_whole_host_as_a_directory() {
    let odd = warned(
        r#"
[rootfs]
directory = "/"
changes = "write"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0021]: the command sees the whole of /, and writes wherever the caller can write
     --> sandbox.toml:2:13
      |
    2 | directory = "/"
      |             ^^^
      |
     ::: sandbox.toml:3:11
      |
    3 | changes = "write"
      |           ------- what becomes of changes
      |
      = help: remove the line, and bind the folders that the command needs besides the public ones
    "#);
}
