//! `[rootfs]`, `[devices]`, and what has no root to lie in.

use crate::{checked, explained};

#[test]
fn two_sources_of_the_root() {
    let wrong = checked(
        r#"
[rootfs]
directory = "/srv/debian"
empty = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: a second source of the root
     --> sandbox.toml:3:9
      |
    3 | empty = true
      |         ^^^^
      |
     ::: sandbox.toml:2:13
      |
    2 | directory = "/srv/debian"
      |             ------------- the first one
      |
      = help: keep one of `host`, `directory`, `programs`, `archive`, `image` and `empty`
    "#);
}

#[test]
fn three_sources_of_the_root() {
    let wrong = checked(
        r#"
[rootfs]
directory = "/srv/debian"
programs = ["true"]
empty = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: a second source of the root
     --> sandbox.toml:3:12
      |
    3 | programs = ["true"]
      |            ^^^^^^^^
      |
     ::: sandbox.toml:2:13
      |
    2 | directory = "/srv/debian"
      |             ------------- the first one
      |
      = help: keep one of `host`, `directory`, `programs`, `archive`, `image` and `empty`
    "#);
}

#[test]
fn what_is_about_a_root_that_is_unpacked() {
    let wrong = checked(
        r#"
[rootfs]
directory = "/srv/debian"
image_name = "latest"
max_size = "1G"
digest = "sha256:12"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: `image_name` is about an image, and there is none
     --> sandbox.toml:3:14
      |
    3 | image_name = "latest"
      |              ^^^^^^^^
      |
      = help: write `image` too, or remove the line

    error[SBX0012]: `max_size` is about a root that is unpacked, and there is none
     --> sandbox.toml:4:12
      |
    4 | max_size = "1G"
      |            ^^^^
      |
      = help: write `archive` or `image` too, or remove the line

    error[SBX0004]: `sha256:12` is no digest that could be verified
     --> sandbox.toml:5:10
      |
    5 | digest = "sha256:12"
      |          ^^^^^^^^^^^
      |
      = help: for example: digest = "sha256:…", with 64 hexadecimal digits; or sha512 with 128

    error[SBX0012]: `digest` is about a root that is unpacked, and there is none
     --> sandbox.toml:5:10
      |
    5 | digest = "sha256:12"
      |          ^^^^^^^^^^^
      |
      = help: write `archive` or `image` too, or remove the line
    "#);
}

#[test]
fn an_archive_and_an_image() {
    let wrong = checked(
        r#"
[rootfs]
archive = "root.tar"
image = "layout"
image_config = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: a second source of the root
     --> sandbox.toml:3:9
      |
    3 | image = "layout"
      |         ^^^^^^^^
      |
     ::: sandbox.toml:2:11
      |
    2 | archive = "root.tar"
      |           ---------- the first one
      |
      = help: keep one of `host`, `directory`, `programs`, `archive`, `image` and `empty`
    "#);
}

#[test]
fn an_image_in_a_registry_that_is_not_named_whole() {
    let wrong = checked(
        r#"
[rootfs]
image = "registry:debian:12"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `registry:debian:12` is no reference to an image: it names no registry
     --> sandbox.toml:2:9
      |
    2 | image = "registry:debian:12"
      |         ^^^^^^^^^^^^^^^^^^^^
      |
      = help: for example: image = "registry:docker.io/library/debian:12@sha256:…"
    "#);
    let wrong = checked(
        r#"
[rootfs]
image = "registry:docker.io/library/debian:12"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: an image in a registry has to be named by its digest: a tag may be another image tomorrow
     --> sandbox.toml:2:9
      |
    2 | image = "registry:docker.io/library/debian:12"
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: `sandbox images pin registry:docker.io/library/debian:12` asks the registry, and prints the line to write
    "#);
}

#[test]
fn an_image_in_a_registry_that_is_named_twice() {
    let wrong = checked(
        r#"
[rootfs]
image = "registry:quay.io/a:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
image_name = "b"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: another digest of the image
     --> sandbox.toml:3:10
      |
    3 | digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | image = "registry:quay.io/a:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      |         ---------------------------------------------------------------------------------------------- the first one
      |
      = help: keep one of them

    error[SBX0007]: `image_name` is about a layout that holds several, and a registry is asked for one
     --> sandbox.toml:4:14
      |
    4 | image_name = "b"
      |              ^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | image = "registry:quay.io/a:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      |         ---------------------------------------------------------------------------------------------- the registry
      |
      = help: remove the line: the reference says which
    "#);
}

#[test]
fn a_missing_image() {
    let wrong = explained(
        r#"
[rootfs]
image = "/srv/no/such/image"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: the image /srv/no/such/image cannot be used: it is not there
     --> sandbox.toml:2:9
      |
    2 | image = "/srv/no/such/image"
      |         ^^^^^^^^^^^^^^^^^^^^
      |
      = help: make it, or correct the path
    "#);
}

#[test]
fn changes_to_a_root_that_is_no_directory() {
    let wrong = checked(
        r#"
[rootfs]
changes = "write"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: changes can be written only to a root that is a directory
     --> sandbox.toml:2:11
      |
    2 | changes = "write"
      |           ^^^^^^^
      |
      = help: set `directory`, or grant single folders with [[mounts]]
    "#);
}

#[test]
fn a_missing_root() {
    let wrong = explained(
        r#"
[rootfs]
directory = "/srv/no/such/root"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: the root /srv/no/such/root is not a directory
     --> sandbox.toml:2:13
      |
    2 | directory = "/srv/no/such/root"
      |             ^^^^^^^^^^^^^^^^^^^
      |
      = help: make one, for example with debootstrap, or correct the path
    "#);
}

#[test]
fn a_root_that_leads_upwards() {
    let wrong = checked(
        r#"
[rootfs]
directory = "../../root"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: the path `[project]/../../root` leads upwards (`..`)
     --> sandbox.toml:2:13
      |
    2 | directory = "../../root"
      |             ^^^^^^^^^^^^
      |
      = help: write the path without `..`
    "#);
}

#[test]
fn a_root_in_a_shared_mount_namespace() {
    let wrong = checked(
        r#"
[namespaces]
mount = "shared"

[rootfs]
empty = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: this needs a new mount namespace: without one no root is built
     --> sandbox.toml:4:1
      |
    4 | [rootfs]
      | ^^^^^^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | mount = "shared"
      |         -------- not new here
      |
      = help: write `mount = "new"` under [namespaces], or remove this
    "#);
}

#[test]
fn a_mount_in_a_shared_mount_namespace() {
    let wrong = checked(
        r#"
[namespaces]
mount = "shared"

[[mounts]]
type = "tmpfs"
target = "/scratch"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0012]: this needs a new mount namespace: without one no root is built
     --> sandbox.toml:4:1
      |
    4 | [[mounts]]
      | ^^^^^^^^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | mount = "shared"
      |         -------- not new here
      |
      = help: write `mount = "new"` under [namespaces], or remove this
    "#);
}

#[test]
fn a_program_that_is_not_installed() {
    let wrong = explained(
        r#"
[rootfs]
programs = ["no-such-program"]

[environment]
set = { PATH = "/usr/bin:/bin" }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: there is no program `no-such-program` in /usr/bin:/bin
     --> sandbox.toml:2:13
      |
    2 | programs = ["no-such-program"]
      |             ^^^^^^^^^^^^^^^^^
      |
      = help: install the program, or name it by its path
    "#);
}

#[test]
fn a_device_with_a_path() {
    let wrong = checked(
        r#"
[devices]
nodes = ["/dev/kvm", "../mem", ""]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0008]: `/dev/kvm` is no name of a device
     --> sandbox.toml:2:10
      |
    2 | nodes = ["/dev/kvm", "../mem", ""]
      |          ^^^^^^^^^^
      |
      = help: name it as it is called below /dev, for example "kvm" or "net/tun"

    error[SBX0008]: `../mem` is no name of a device
     --> sandbox.toml:2:22
      |
    2 | nodes = ["/dev/kvm", "../mem", ""]
      |                      ^^^^^^^^
      |
      = help: name it as it is called below /dev, for example "kvm" or "net/tun"

    error[SBX0008]: `` is no name of a device
     --> sandbox.toml:2:32
      |
    2 | nodes = ["/dev/kvm", "../mem", ""]
      |                                ^^
      |
      = help: name it as it is called below /dev, for example "kvm" or "net/tun"
    "#);
}

#[test]
fn a_shared_memory_without_a_bound() {
    let wrong = checked(
        r#"
[devices]
shm_size = 0
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: 0 would mean no bound
     --> sandbox.toml:2:12
      |
    2 | shm_size = 0
      |            ^
      |
      = help: for example: shm_size = "64M"
    "#);
}

#[test]
fn a_device_that_is_not_there() {
    let wrong = explained(
        r#"
[devices]
nodes = ["no-such-device"]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0101]: the source /dev/no-such-device does not exist
     --> sandbox.toml:2:10
      |
    2 | nodes = ["no-such-device"]
      |          ^^^^^^^^^^^^^^^^
      |
      = help: make it, correct the path, or set `optional = true`
    "#);
}

#[test]
fn what_the_host_mounts_later_shows_in_no_root_that_cannot_have_it() {
    insta::assert_snapshot!(checked("\n[rootfs]\npropagation = \"slave\"\n"), @r#"
    error[SBX0012]: what holds of the root cannot hold for what the host mounts there later, which comes as it is there
     --> sandbox.toml:2:15
      |
    2 | propagation = "slave"
      |               ^^^^^^^
      |
      = help: write propagation = "slave-as-is", where it shall hold for what is there now alone
    "#);
    insta::assert_snapshot!(checked("\n[rootfs]\nempty = true\npropagation = \"slave-as-is\"\n"), @r#"
    error[SBX0007]: the host mounts nothing in a root that is made for this run or unpacked
     --> sandbox.toml:3:15
      |
    3 | propagation = "slave-as-is"
      |               ^^^^^^^^^^^^^
      |
     ::: sandbox.toml:2:9
      |
    2 | empty = true
      |         ---- the root
      |
      = help: remove one of the two lines
    "#);
    let discards = "\n[rootfs]\ndirectory = \"/srv/debian\"\nchanges = \"discard\"\npropagation = \"slave-as-is\"\n";
    insta::assert_snapshot!(checked(discards), @r#"
    error[SBX0007]: what is mounted below an overlay does not show in it
     --> sandbox.toml:4:15
      |
    4 | propagation = "slave-as-is"
      |               ^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:11
      |
    3 | changes = "discard"
      |           --------- changes go elsewhere by an overlay
      |
      = help: remove one of the two lines
    "#);
}
