//! The families of sockets, beside the filter, the mode and the capabilities.

use crate::{checked, warned};

#[test]
fn a_family_that_is_none() {
    let wrong = checked(
        r#"
[network]
families = ["unix", "AF_INET", "ine6"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `AF_INET` is none of the choices
     --> sandbox.toml:2:21
      |
    2 | families = ["unix", "AF_INET", "ine6"]
      |                     ^^^^^^^^^
      |
      = help: one of: "unix", "inet", "inet6", "netlink", "packet", "vsock", "bluetooth", "alg", "can", "xdp", "key", "tipc", "smc", "rds", "rxrpc", "kcm", "pppox", "llc", "ieee802154", "nfc", "phonet", "caif", "qipcrtr", "mctp", "x25", "ax25", "appletalk"

    error[SBX0004]: `ine6` is none of the choices
     --> sandbox.toml:2:32
      |
    2 | families = ["unix", "AF_INET", "ine6"]
      |                                ^^^^^^
      |
      = help: did you mean "inet"?
    "#);
}

#[test]
fn families_where_no_socket_can_be_made() {
    let odd = warned(
        r#"
[network]
families = ["unix"]

[seccomp]
preset = "strict"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: no socket can be made, whatever its family
     --> sandbox.toml:2:12
      |
    2 | families = ["unix"]
      |            ^^^^^^^^
      |
     ::: sandbox.toml:5:10
      |
    5 | preset = "strict"
      |          -------- refuses socket(2)
      |
      = help: write allow = ["@network-io"] under [seccomp], or remove `families`
    "#);
}

#[test]
fn a_network_without_sockets() {
    let odd = warned(
        r#"
[network]
mode = "loopback"
families = []
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0049]: without sockets there is no use of a network
     --> sandbox.toml:2:8
      |
    2 | mode = "loopback"
      |        ^^^^^^^^^^
      |
     ::: sandbox.toml:3:12
      |
    3 | families = []
      |            -- no family here
      |
      = help: write `mode = "none"`, or the families that are needed: families = ["unix", "inet"]
    "#);
}

#[test]
fn families_that_are_switched_off() {
    let odd = warned(
        r#"
[network]
families = ["unix"]

[enforce]
seccomp = "off"
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0048]: what is said about system calls is switched off
     --> sandbox.toml:5:11
      |
    5 | seccomp = "off"
      |           ^^^^^
      |
     ::: sandbox.toml:2:12
      |
    2 | families = ["unix"]
      |            -------- said here
      |
      = help: write "require" or "prefer", or remove what is switched off
    "#);
}

#[test]
fn families_that_take_a_capability() {
    let odd = warned(
        r#"
[network]
families = ["unix", "packet"]
"#,
    );
    insta::assert_snapshot!(odd, @r#"
    warning[SBX0038]: "packet" is a family of which the kernel makes no socket without `net_raw`
     --> sandbox.toml:2:12
      |
    2 | families = ["unix", "packet"]
      |            ^^^^^^^^^^^^^^^^^^
      |
      = help: write keep = ["net_raw"] under [capabilities], or remove "packet"
    "#);
}
