//! `[[test]]`: what is wrong with assertions.

use crate::{Folder, checked, refused};

#[test]
fn a_test_that_asserts_nothing() {
    let wrong = checked(
        r#"
[[test]]
name = "nothing"
[[test]]
cannot_read = []
[[test]]
runs = []
[[test]]
runs = [""]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0080]: this test asserts nothing
     --> sandbox.toml:1:1
      |
    1 | [[test]]
      | ^^^^^^^^
      |
      = help: for example: cannot_write = ["/usr"]

    error[SBX0080]: `cannot_read` names nothing, and so asserts nothing
     --> sandbox.toml:4:15
      |
    4 | cannot_read = []
      |               ^^
      |
      = help: for example: cannot_write = ["/usr"]

    error[SBX0080]: `runs` names nothing, and so asserts nothing
     --> sandbox.toml:6:8
      |
    6 | runs = []
      |        ^^
      |
      = help: for example: runs = ["make", "--version"]

    error[SBX0080]: `runs` names nothing, and so asserts nothing
     --> sandbox.toml:8:8
      |
    8 | runs = [""]
      |        ^^^^
      |
      = help: for example: runs = ["make", "--version"]
    "#);
}

#[test]
fn an_address_that_is_none() {
    let wrong = checked(
        r#"
[[test]]
cannot_connect = ["localhost:80", "10.0.0.1", "/run/docker.sock", "vsock:2", "127.0.0.1:80"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0081]: `localhost:80` is no address: names are not looked up
     --> sandbox.toml:2:19
      |
    2 | cannot_connect = ["localhost:80", "10.0.0.1", "/run/docker.sock", "vsock:2", "127.0.0.1:80"]
      |                   ^^^^^^^^^^^^^^
      |
      = help: write "127.0.0.1:80" or "[::1]:80"

    error[SBX0081]: `10.0.0.1` is no address: it has no port
     --> sandbox.toml:2:35
      |
    2 | cannot_connect = ["localhost:80", "10.0.0.1", "/run/docker.sock", "vsock:2", "127.0.0.1:80"]
      |                                   ^^^^^^^^^^
      |
      = help: for example: "10.0.0.1:80"

    error[SBX0081]: `/run/docker.sock` is no address: it does not say of which kind it is
     --> sandbox.toml:2:47
      |
    2 | cannot_connect = ["localhost:80", "10.0.0.1", "/run/docker.sock", "vsock:2", "127.0.0.1:80"]
      |                                               ^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean "unix:/run/docker.sock"?

    error[SBX0081]: `vsock:2` is no address: it needs a context and a port, both numbers
     --> sandbox.toml:2:67
      |
    2 | cannot_connect = ["localhost:80", "10.0.0.1", "/run/docker.sock", "vsock:2", "127.0.0.1:80"]
      |                                                                   ^^^^^^^^^
      |
      = help: 2 is the host: "vsock:2:1024"
    "#);
}

#[test]
fn two_tests_of_one_name() {
    let wrong = checked(
        r#"
[[test]]
name = "secrets"
cannot_read = ["/root"]
[[test]]
name = "secrets"
cannot_write = ["/root"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0082]: two tests are called `secrets`
     --> sandbox.toml:5:8
      |
    5 | name = "secrets"
      |        ^^^^^^^^^
      |
     ::: sandbox.toml:2:8
      |
    2 | name = "secrets"
      |        --------- the other one
      |
      = help: give one of them another `name`
    "#);
}

#[test]
fn assertions_that_cannot_both_hold() {
    let wrong = checked(
        r#"
[[test]]
can_read = ["/etc/passwd"]
environment_has = ["HOME"]
[[test]]
cannot_read = ["/etc/shadow", "/etc/passwd"]
cannot_write = ["/etc/passwd"]
environment_has_not = ["HOME"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: `cannot_read` and `can_read` of `/etc/passwd` cannot both hold
     --> sandbox.toml:5:31
      |
    5 | cannot_read = ["/etc/shadow", "/etc/passwd"]
      |                               ^^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:13
      |
    2 | can_read = ["/etc/passwd"]
      |             ------------- the opposite is asserted here
      |
      = help: remove one of the two

    error[SBX0007]: `environment_has_not` and `environment_has` of `HOME` cannot both hold
     --> sandbox.toml:7:24
      |
    7 | environment_has_not = ["HOME"]
      |                        ^^^^^^
      |
     ::: sandbox.toml:3:20
      |
    3 | environment_has = ["HOME"]
      |                    ------ the opposite is asserted here
      |
      = help: remove one of the two
    "#);
}

#[test]
fn an_exit_code_of_nothing_or_beyond_its_range() {
    let wrong = checked(
        r#"
[[test]]
can_see = ["/usr"]
exit = 1
[[test]]
runs = ["true"]
exit = 256
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: `exit` is the exit code of `runs`, which is not there
     --> sandbox.toml:3:8
      |
    3 | exit = 1
      |        ^
      |
      = help: add a command: runs = ["make", "--version"]

    error[SBX0004]: exit codes go from 0 to 255
     --> sandbox.toml:6:8
      |
    6 | exit = 256
      |        ^^^
      |
      = help: 128+N stands for an end by signal N, for example: exit = 143
    "#);
}

#[test]
fn a_path_that_is_not_absolute() {
    let wrong = checked(
        r#"
[[test]]
can_write = ["build"]
cannot_read = ["/srv/../etc"]
can_execute = ["./make", "make"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the path `build` is not absolute
     --> sandbox.toml:2:14
      |
    2 | can_write = ["build"]
      |              ^^^^^^^
      |
      = help: in the project it is "${PROJECT}/build"

    error[SBX0008]: the path `/srv/../etc` leads upwards (`..`)
     --> sandbox.toml:3:16
      |
    3 | cannot_read = ["/srv/../etc"]
      |                ^^^^^^^^^^^^^
      |
      = help: write the path without `..`

    error[SBX0008]: the program `./make` is not absolute
     --> sandbox.toml:4:16
      |
    4 | can_execute = ["./make", "make"]
      |                ^^^^^^^^
      |
      = help: in the project it is "${PROJECT}/make"
    "#);
}

#[test]
fn a_call_that_is_none() {
    let wrong = checked(
        r#"
[[test]]
cannot_call = ["mont", "socket(AF_VSOCK)", "socket(1, 2", "clone(0x10000000)"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0011]: there is no system call `mont` on this architecture
     --> sandbox.toml:2:16
      |
    2 | cannot_call = ["mont", "socket(AF_VSOCK)", "socket(1, 2", "clone(0x10000000)"]
      |                ^^^^^^
      |
      = help: did you mean "mount"?

    error[SBX0011]: `(AF_VSOCK)` are no arguments of a system call
     --> sandbox.toml:2:24
      |
    2 | cannot_call = ["mont", "socket(AF_VSOCK)", "socket(1, 2", "clone(0x10000000)"]
      |                        ^^^^^^^^^^^^^^^^^^
      |
      = help: write up to six numbers, for example: "socket(40, 1, 0)" or "clone(0x10000000)"

    error[SBX0011]: `(1, 2` are no arguments of a system call
     --> sandbox.toml:2:44
      |
    2 | cannot_call = ["mont", "socket(AF_VSOCK)", "socket(1, 2", "clone(0x10000000)"]
      |                                            ^^^^^^^^^^^^^
      |
      = help: write up to six numbers, for example: "socket(40, 1, 0)" or "clone(0x10000000)"
    "#);
}

#[test]
fn names_that_are_none() {
    let wrong = checked(
        r#"
[[test]]
name = " "
environment_has = ["PATH=x", ""]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a name without a letter
     --> sandbox.toml:2:8
      |
    2 | name = " "
      |        ^^^
      |
      = help: for example: name = "secrets stay out"

    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:3:20
      |
    3 | environment_has = ["PATH=x", ""]
      |                    ^^^^^^^^
      |
      = help: for example: environment_has_not = ["AWS_*"]

    error[SBX0004]: the name of a variable is not empty and holds no `=`
     --> sandbox.toml:3:30
      |
    3 | environment_has = ["PATH=x", ""]
      |                              ^^
      |
      = help: for example: environment_has_not = ["AWS_*"]
    "#);
}

#[test]
fn a_profile_that_asserts_nothing() {
    let folder = Folder::with("version = 1\n");
    let wrong = refused(&folder, &mut folder.program(&["test", "sandbox.toml"]));
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0085]: the profile asserts nothing that could be tested
    --> command line
     = help: add a [[test]], for example with: cannot_write = ["/usr"]
    "#);
}

#[test]
fn a_word_that_no_assertion_holds() {
    let folder = Folder::with("[[test]]\ncan_see = [\"/usr\"]\n");
    let arguments = ["test", "sandbox.toml", "--filter", "cannot"];
    let wrong = refused(&folder, &mut folder.program(&arguments));
    insta::assert_snapshot!(wrong, @"
    error[SBX0085]: no assertion of the profile has `cannot` in its name
    --> command line
     = help: run without --filter to see the names
    ");
}
