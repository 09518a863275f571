//! `[[bus]]`.

use crate::checked;

#[test]
fn what_of_a_bus_cannot_be_permitted() {
    let wrong = checked(
        r#"
[[bus]]
address = "sesion"

[[bus]]
address = "/run/some/bus"

[[bus]]
address = "system"
talk = ["*", "org.example.App", "org"]
call = ["org.example.App"]

[[bus]]
address = "system"
target = "/run/other"
"#,
    );
    insta::assert_snapshot!(wrong, @r##"
    error[SBX0004]: `sesion` is no bus
     --> sandbox.toml:2:11
      |
    2 | address = "sesion"
      |           ^^^^^^^^
      |
      = help: write "session", "system", or the path of a socket on which a bus listens

    error[SBX0005]: where the socket of this bus is inside is not said
     --> sandbox.toml:4:1
      |
    4 | [[bus]]
      | ^^^^^^^
      |
      = help: for example: target = "/run/bus/own"

    error[SBX0004]: `*` is nothing that can be permitted on a bus
     --> sandbox.toml:9:9
      |
    9 | talk = ["*", "org.example.App", "org"]
      |         ^^^
      |
      = help: write a name of at least two parts, such as "org.example.App", or with all below it "org.example.*"

    error[SBX0004]: `org` is nothing that can be permitted on a bus
     --> sandbox.toml:9:33
      |
    9 | talk = ["*", "org.example.App", "org"]
      |                                 ^^^^^
      |
      = help: write a name of at least two parts, such as "org.example.App", or with all below it "org.example.*"

    error[SBX0004]: `org.example.App` is nothing that can be permitted on a bus
      --> sandbox.toml:10:9
       |
    10 | call = ["org.example.App"]
       |         ^^^^^^^^^^^^^^^^^
       |
       = help: for example: "org.example.App=org.example.Player.*@/player/*"

    error[SBX0013]: a second entry of the bus `system`
      --> sandbox.toml:13:11
       |
    13 | address = "system"
       |           ^^^^^^^^
       |
      ::: sandbox.toml:8:11
       |
     8 | address = "system"
       |           -------- the first one
       |
       = help: write what both permit into one of them
    "##);
}

#[test]
fn a_bus_needs_a_place_and_a_socket() {
    let wrong = checked(
        r#"
[[bus]]
address = "session"

[namespaces]
mount = "shared"

[network]
families = ["inet"]
"#,
    );
    insta::assert_snapshot!(wrong, @r##"
    error[SBX0012]: the socket of a bus is a file of the sandbox's own
     --> sandbox.toml:1:1
      |
    1 | [[bus]]
      | ^^^^^^^
      |
     ::: sandbox.toml:5:9
      |
    5 | mount = "shared"
      |         -------- the mounts are not the sandbox's own here
      |
      = help: write `mount = "new"` under [namespaces], or remove the bus

    error[SBX0007]: a bus is reached by a socket of the family `unix`
     --> sandbox.toml:1:1
      |
    1 | [[bus]]
      | ^^^^^^^
      |
     ::: sandbox.toml:8:12
      |
    8 | families = ["inet"]
      |            -------- no such socket can be made here
      |
      = help: add `"unix"` to `families`, or remove the bus
    "##);
}
