//! Ids, namespaces, capabilities and system calls, and what they are good for together.

use crate::{checked, warned};

#[test]
fn a_map_without_a_user_namespace() {
    let wrong = checked(
        r#"
[namespaces]
user = "shared"

[user]
uid_map = "root"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0027]: id maps need a new user namespace
     --> sandbox.toml:5:11
      |
    5 | uid_map = "root"
      |           ^^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | user = "shared"
      |        -------- not new here
      |
      = help: write `user = "new"` under [namespaces], or remove the map
    "#);
}

#[test]
fn a_map_onto_the_hosts_root() {
    let odd = warned(
        r#"
[user]
uid_map = [{ inside = 0, outside = 0 }]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0029]: an id inside is 0 outside: what belongs to root there belongs to the command
     --> sandbox.toml:2:12
      |
    2 | uid_map = [{ inside = 0, outside = 0 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: map onto ids that belong to nobody, for example outside = 100000
    "#);
}

#[test]
fn the_network_of_the_host() {
    let odd = warned(
        r#"
[network]
mode = "host"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    note[SBX0031]: the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them
     --> sandbox.toml:2:8
      |
    2 | mode = "host"
      |        ^^^^^^
      |
      = help: write `mode = "loopback"` under [network] where no network is needed
    "#);
}

#[test]
fn a_capability_that_is_lost_at_exec() {
    let odd = warned(
        r#"
[capabilities]
keep = ["net_raw"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0033]: a uid other than 0 loses at exec what is not ambient: net_raw
     --> sandbox.toml:2:9
      |
    2 | keep = ["net_raw"]
      |         ^^^^^^^^^
      |
      = help: write ambient = ["net_raw"], or be 0 inside (`uid_map = "root"` under [user])
    "#);
}

#[test]
fn a_port_without_a_network() {
    let odd = warned(
        r#"
[network]
mode = "none"

[capabilities]
keep = ["net_bind_service"]
ambient = ["net_bind_service"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0034]: `net_bind_service` needs a network interface that is up, and there is none
     --> sandbox.toml:5:9
      |
    5 | keep = ["net_bind_service"]
      |         ^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | mode = "none"
      |        ------ because of this
      |
      = help: remove it from `keep`, or give it what it acts on
    "#);
}

#[test]
fn a_capability_over_the_host() {
    let odd = warned(
        r#"
[capabilities]
keep = ["sys_time"]
ambient = ["sys_time"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0035]: `sys_time` has power only over the host, and not from a new user namespace
     --> sandbox.toml:2:9
      |
    2 | keep = ["sys_time"]
      |         ^^^^^^^^^^
      |
      = note: default of namespaces.user: new
      = help: remove it from `keep`: the kernel refuses what it is for
    "#);
}

#[test]
fn a_capability_that_is_most_of_root() {
    let odd = warned(
        r#"
[capabilities]
keep = ["sys_admin"]
ambient = ["sys_admin"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0036]: `sys_admin` is most of root: it undoes mounts and masks, and reaches deep into the kernel
     --> sandbox.toml:2:9
      |
    2 | keep = ["sys_admin"]
      |         ^^^^^^^^^^^
      |
      = help: keep the narrower capability that the command needs
    "#);
}

#[test]
fn a_capability_whose_call_is_refused() {
    let odd = warned(
        r#"
[capabilities]
keep = ["sys_chroot"]
ambient = ["sys_chroot"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0037]: `sys_chroot` is kept, and the filter refuses what it is for: chroot, setns
     --> sandbox.toml:2:9
      |
    2 | keep = ["sys_chroot"]
      |         ^^^^^^^^^^^^
      |
      = note: default of seccomp.preset: by this preset
      = help: remove it from `keep`, or allow the call: allow = ["chroot"] under [seccomp]
    "#);
}

#[test]
fn a_call_without_its_capability() {
    let odd = warned(
        r#"
[seccomp]
allow = ["chroot"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0038]: `chroot` is allowed, and the kernel refuses it without `sys_chroot`
     --> sandbox.toml:2:10
      |
    2 | allow = ["chroot"]
      |          ^^^^^^^^
      |
      = note: default of capabilities: not kept here
      = help: keep the capability (keep = ["sys_chroot"] under [capabilities]), or remove the call
    "#);
}

#[test]
fn capabilities_without_their_namespaces() {
    let odd = warned(
        r#"
[namespaces]
ipc = "shared"
pid = "shared"

[network]
mode = "host"

[user]
uid_map = "root"

[capabilities]
keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    note[SBX0031]: the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them
     --> sandbox.toml:6:8
      |
    6 | mode = "host"
      |        ^^^^^^
      |
      = help: write `mode = "loopback"` under [network] where no network is needed

    warning[SBX0034]: `net_admin` needs a network namespace of the sandbox's own, and there is none
      --> sandbox.toml:12:9
       |
    12 | keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
       |         ^^^^^^^^^^^
       |
      ::: sandbox.toml:6:8
       |
     6 | mode = "host"
       |        ------ because of this
       |
       = help: remove it from `keep`, or give it what it acts on

    warning[SBX0034]: `ipc_owner` needs an ipc namespace of the sandbox's own, and there is none
      --> sandbox.toml:12:22
       |
    12 | keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
       |                      ^^^^^^^^^^^
       |
      ::: sandbox.toml:2:7
       |
     2 | ipc = "shared"
       |       -------- because of this
       |
       = help: remove it from `keep`, or give it what it acts on

    warning[SBX0034]: `sys_boot` needs a pid namespace of the sandbox's own, and there is none
      --> sandbox.toml:12:35
       |
    12 | keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
       |                                   ^^^^^^^^^^
       |
      ::: sandbox.toml:3:7
       |
     3 | pid = "shared"
       |       -------- because of this
       |
       = help: remove it from `keep`, or give it what it acts on

    warning[SBX0034]: `setuid` needs a second id to change to, and there is none
      --> sandbox.toml:12:47
       |
    12 | keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
       |                                               ^^^^^^^^
       |
      ::: sandbox.toml:9:11
       |
     9 | uid_map = "root"
       |           ------ because of this
       |
       = help: remove it from `keep`, or give it what it acts on

    warning[SBX0034]: `setgid` needs a second id to change to, and there is none
      --> sandbox.toml:12:57
       |
    12 | keep = ["net_admin", "ipc_owner", "sys_boot", "setuid", "setgid"]
       |                                                         ^^^^^^^^
       |
      ::: sandbox.toml:9:11
       |
     9 | uid_map = "root"
       |           ------ because of this
       |
       = help: remove it from `keep`, or give it what it acts on

    sandbox: 5 warnings and 1 note in 1 profile
    "#);
}

#[test]
fn power_over_the_host() {
    let odd = warned(
        r#"
[namespaces]
user = "shared"
pid = "shared"

[capabilities]
keep = ["sys_ptrace", "all", "chown"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0036]: `sys_ptrace` in the host's user namespace is power over the host
     --> sandbox.toml:6:9
      |
    6 | keep = ["sys_ptrace", "all", "chown"]
      |         ^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | user = "shared"
      |        -------- shared here
      |
      = help: keep the narrower capability that the command needs

    warning[SBX0036]: `all` in the host's user namespace is power over the host
     --> sandbox.toml:6:23
      |
    6 | keep = ["sys_ptrace", "all", "chown"]
      |                       ^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | user = "shared"
      |        -------- shared here
      |
      = help: keep the narrower capability that the command needs

    sandbox: 2 warnings in 1 profile
    "#);
}

#[test]
fn an_id_outside_of_the_map_of_groups() {
    let wrong = checked(
        r#"
[user]
groups = [0, 7]
gid_map = "root"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0028]: the id map holds no gid 7
     --> sandbox.toml:2:14
      |
    2 | groups = [0, 7]
      |              ^
      |
     ::: sandbox.toml:3:11
      |
    3 | gid_map = "root"
      |           ------ the map
      |
      = help: choose a gid that the map holds, or widen the map
    "#);
}

#[test]
fn calls_that_no_namespace_helps() {
    let odd = warned(
        r#"
[seccomp]
allow = ["unshare", "mount", "settimeofday"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0038]: `settimeofday` is allowed, and the kernel refuses it without `sys_time`
     --> sandbox.toml:2:30
      |
    2 | allow = ["unshare", "mount", "settimeofday"]
      |                              ^^^^^^^^^^^^^^
      |
      = note: default of capabilities: not kept here
      = help: keep the capability (keep = ["sys_time"] under [capabilities]), or remove the call
    "#);
}
