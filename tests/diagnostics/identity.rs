//! `[user]`, names, `[namespaces]`, `[network]`.

use crate::{checked, explained, warned};
use sandbox::diag::{Source, Sources};
use sandbox::host::Host;
use sandbox::host::accounts::Accounts;
use sandbox::host::caller::{Caller, IdRange, SubordinateIds};
use sandbox::host::tree::Tree;
use sandbox::plan::draft::Command;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::variables::Variables;
use sandbox::sections;

#[test]
fn ranges_that_overlap_inside() {
    let wrong = checked(
        r#"
[user]
uid_map = [
    { inside = 0, outside = 100000, count = 10 },
    { inside = 9, outside = 200000, count = 10 },
]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: ranges of ids that overlap inside
     --> sandbox.toml:4:5
      |
    4 |     { inside = 9, outside = 200000, count = 10 },
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:5
      |
    3 |     { inside = 0, outside = 100000, count = 10 },
      |     -------------------------------------------- with this one
      |
      = help: every id may be mapped once, on either side
    "#);
}

#[test]
fn ranges_that_overlap_outside() {
    let wrong = checked(
        r#"
[user]
gid_map = [
    { inside = 0, outside = 100000, count = 10 },
    { inside = 10, outside = 100009 },
]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: ranges of ids that overlap outside
     --> sandbox.toml:4:5
      |
    4 |     { inside = 10, outside = 100009 },
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:5
      |
    3 |     { inside = 0, outside = 100000, count = 10 },
      |     -------------------------------------------- with this one
      |
      = help: every id may be mapped once, on either side
    "#);
}

#[test]
fn an_empty_range() {
    let wrong = checked(
        r#"
[user]
uid_map = [{ inside = 0, outside = 100000, count = 0 }]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: an empty range, or one beyond the largest id
     --> sandbox.toml:2:12
      |
    2 | uid_map = [{ inside = 0, outside = 100000, count = 0 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: ids go from 0 to 4294967294, and `count` is 1 or more
    "#);
}

#[test]
fn a_range_beyond_the_largest_id() {
    let wrong = checked(
        r#"
[user]
uid_map = [{ inside = 0, outside = 4294967000, count = 65536 }]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: an empty range, or one beyond the largest id
     --> sandbox.toml:2:12
      |
    2 | uid_map = [{ inside = 0, outside = 4294967000, count = 65536 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: ids go from 0 to 4294967294, and `count` is 1 or more
    "#);
}

#[test]
fn an_id_beyond_the_largest_id() {
    let wrong = checked(
        r#"
[user]
uid_map = [{ inside = 0, outside = 4294967296 }]
"#,
    );
    insta::assert_snapshot!(wrong, @"
    error[SBX0004]: expected a whole number from 0 to 4294967295, found 4294967296
     --> sandbox.toml:2:36
      |
    2 | uid_map = [{ inside = 0, outside = 4294967296 }]
      |                                    ^^^^^^^^^^
      |
      = help: write it in digits, without quotes
    ");
}

#[test]
fn a_map_without_ranges() {
    let wrong = checked(
        r#"
[user]
uid_map = []
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: an id map has 1 to 340 ranges
     --> sandbox.toml:2:11
      |
    2 | uid_map = []
      |           ^^
      |
      = help: for example: [{ inside = 0, outside = 100000, count = 65536 }]
    "#);
}

#[test]
fn a_range_without_an_end() {
    let wrong = checked(
        r#"
[user]
uid_map = [{ inside = 0, count = 10 }]
"#,
    );
    insta::assert_snapshot!(wrong, @"
    error[SBX0005]: `outside` is missing in a range of ids
     --> sandbox.toml:2:12
      |
    2 | uid_map = [{ inside = 0, count = 10 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: for example: outside = 100000
    ");
}

#[test]
fn a_map_that_is_no_map() {
    let wrong = checked(
        r#"
[user]
uid_map = "everyone"
gid_map = 0
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `everyone` is no id map
     --> sandbox.toml:2:11
      |
    2 | uid_map = "everyone"
      |           ^^^^^^^^^^
      |
      = help: "self", "root", "auto", or [{ inside = 0, outside = 100000, count = 65536 }]

    error[SBX0004]: `a whole number` is no id map
     --> sandbox.toml:3:11
      |
    3 | gid_map = 0
      |           ^
      |
      = help: "self", "root", "auto", or [{ inside = 0, outside = 100000, count = 65536 }]
    "#);
}

#[test]
fn an_id_that_stands_for_none() {
    let wrong = checked(
        r#"
[user]
uid = 4294967295
gid = 4294967295
groups = [4294967295]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0009]: 4294967295 stands for no id at all
     --> sandbox.toml:2:7
      |
    2 | uid = 4294967295
      |       ^^^^^^^^^^
      |
      = help: choose a smaller one

    error[SBX0009]: 4294967295 stands for no id at all
     --> sandbox.toml:3:7
      |
    3 | gid = 4294967295
      |       ^^^^^^^^^^
      |
      = help: choose a smaller one

    error[SBX0009]: 4294967295 stands for no id at all
     --> sandbox.toml:4:11
      |
    4 | groups = [4294967295]
      |           ^^^^^^^^^^
      |
      = help: choose a smaller one
    "#);
}

#[test]
fn a_uid_and_a_gid_outside_of_the_map() {
    let wrong = checked(
        r#"
[user]
uid = 5
gid = 6
uid_map = "root"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0028]: the id map holds no uid 5
     --> sandbox.toml:2:7
      |
    2 | uid = 5
      |       ^
      |
     ::: sandbox.toml:4:11
      |
    4 | uid_map = "root"
      |           ------ the map
      |
      = help: choose a uid that the map holds, or widen the map

    error[SBX0028]: the id map holds no gid 6
     --> sandbox.toml:3:7
      |
    3 | gid = 6
      |       ^
      |
     ::: sandbox.toml:4:11
      |
    4 | uid_map = "root"
      |           ------ the map
      |
      = help: choose a gid that the map holds, or widen the map
    "#);
}

#[test]
fn a_host_name_that_is_too_long() {
    let wrong = checked(
        r#"
hostname = "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a host name has 1 to 64 printable ASCII characters
     --> sandbox.toml:1:12
      |
    1 | hostname = "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: for example: "build"
    "#);
}

#[test]
fn a_host_name_that_is_empty_and_a_domain_with_spaces() {
    let wrong = checked(
        r#"
hostname = ""
domainname = "example dot org"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a host name has 1 to 64 printable ASCII characters
     --> sandbox.toml:1:12
      |
    1 | hostname = ""
      |            ^^
      |
      = help: for example: "build"

    error[SBX0004]: a domain name has 1 to 64 printable ASCII characters
     --> sandbox.toml:2:14
      |
    2 | domainname = "example dot org"
      |              ^^^^^^^^^^^^^^^^^
      |
      = help: for example: "build"
    "#);
}

#[test]
fn names_without_a_uts_namespace() {
    let wrong = checked(
        r#"
hostname = "build"
domainname = "example.org"

[namespaces]
uts = "shared"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0026]: a name of its own needs a new uts namespace
     --> sandbox.toml:1:12
      |
    1 | hostname = "build"
      |            ^^^^^^^
      |
     ::: sandbox.toml:5:7
      |
    5 | uts = "shared"
      |       -------- not new here
      |
      = help: write `uts = "new"` under [namespaces], or remove the name

    error[SBX0026]: a name of its own needs a new uts namespace
     --> sandbox.toml:2:14
      |
    2 | domainname = "example.org"
      |              ^^^^^^^^^^^^^
      |
     ::: sandbox.toml:5:7
      |
    5 | uts = "shared"
      |       -------- not new here
      |
      = help: write `uts = "new"` under [namespaces], or remove the name
    "#);
}

#[test]
fn a_namespace_of_another_sandbox() {
    insta::assert_snapshot!(checked(
        r#"
[namespaces]
net = "name:"
uts = "name:db"
ipc = "name:../db"

[network]
mode = "veth"
"#,
    ));
    insta::assert_snapshot!(checked(
        r#"
[namespaces]
net = "name:db"

[network]
allow = ["192.0.2.1:80"]
forward = ["22:22"]
"#,
    ));
    insta::assert_snapshot!(explained(
        r#"
[network]
mode = "join"
namespace = "name:no-such-sandbox"
"#,
    ));
}

#[test]
fn a_namespace_that_is_no_choice() {
    let wrong = checked(
        r#"
[namespaces]
net = "none"
user = "proc/1/ns/user"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `none` is no choice for a namespace
     --> sandbox.toml:2:7
      |
    2 | net = "none"
      |       ^^^^^^
      |
      = help: "new", "shared", an absolute path such as "/proc/42/ns/net", or for `net` "name:NAME", of a sandbox that runs

    error[SBX0004]: `proc/1/ns/user` is no choice for a namespace
     --> sandbox.toml:3:8
      |
    3 | user = "proc/1/ns/user"
      |        ^^^^^^^^^^^^^^^^
      |
      = help: "new", "shared", an absolute path such as "/proc/42/ns/net", or for `net` "name:NAME", of a sandbox that runs
    "#);
}

#[test]
fn the_hosts_network_in_a_new_namespace() {
    let wrong = checked(
        r#"
[namespaces]
net = "new"

[network]
mode = "host"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: the mode "host" contradicts the namespace
     --> sandbox.toml:5:8
      |
    5 | mode = "host"
      |        ^^^^^^
      |
     ::: sandbox.toml:2:7
      |
    2 | net = "new"
      |       ----- chosen here
      |
      = help: remove one of the two lines: `mode` alone is enough
    "#);
}

#[test]
fn a_loopback_of_its_own_in_the_hosts_network() {
    let wrong = checked(
        r#"
[namespaces]
net = "shared"

[network]
mode = "loopback"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0007]: the mode "loopback" contradicts the namespace
     --> sandbox.toml:5:8
      |
    5 | mode = "loopback"
      |        ^^^^^^^^^^
      |
     ::: sandbox.toml:2:7
      |
    2 | net = "shared"
      |       -------- chosen here
      |
      = help: remove one of the two lines: `mode` alone is enough
    "#);
}

#[test]
fn a_name_that_no_account_could_have() {
    let wrong = checked(
        r#"
[user]
uid = "www data"
gid = ""
groups = ["a:b", -1]
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `www data` is no name that an account could have
     --> sandbox.toml:2:7
      |
    2 | uid = "www data"
      |       ^^^^^^^^^^
      |
      = help: for example: "www-data", or 33

    error[SBX0004]: `` is no name that an account could have
     --> sandbox.toml:3:7
      |
    3 | gid = ""
      |       ^^
      |
      = help: for example: "www-data", or 33

    error[SBX0004]: `a:b` is no name that an account could have
     --> sandbox.toml:4:11
      |
    4 | groups = ["a:b", -1]
      |           ^^^^^
      |
      = help: for example: "www-data", or 33

    error[SBX0004]: expected a whole number from 0 to 4294967295, found -1
     --> sandbox.toml:4:18
      |
    4 | groups = ["a:b", -1]
      |                  ^^
      |
      = help: write it in digits, without quotes
    "#);
}

/// What root is told on a machine with these accounts, whatever this one has.
#[track_caller]
fn among_accounts(text: &str) -> String {
    const USERS: &str = "root:x:0:0::/root:\nweb:x:33:34:::\nsame:x:33:35:::\n";
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let (variables, overlay) = (Variables::default(), Overlay::default());
    let (profile, _) = sections::load(&mut sources, id, &variables, &overlay).unwrap();
    let every = vec![IdRange {
        inside: 0,
        outside: 0,
        count: u32::MAX,
    }];
    let root = Caller {
        uid: 0,
        gid: 0,
        capabilities: u64::MAX,
        pid: 4711,
        uid_map: every.clone(),
        gid_map: every,
        setgroups_denied: false,
    };
    let host = Host::fixed(root, Tree::here(), SubordinateIds::default());
    let host = host.with_accounts(Accounts::fixed(USERS, "tape:x:26:\n"));
    let drafted = sections::draft(&profile, &host, &Command::default());
    drafted.problems.render(&sources, false)
}

#[test]
fn names_that_are_no_accounts() {
    let said = among_accounts(
        r#"[user]
uid = "tape"
gid = "web"
groups = ["tape", "nobody-knows"]
uid_map = [{ inside = 0, outside = "web" }, { inside = 1, outside = "lost" }]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error[SBX0131]: there is no user `tape` in /etc/passwd
     --> sandbox.toml:2:7
      |
    2 | uid = "tape"
      |       ^^^^^^
      |
      = help: add it, correct the name, or write the number of the user; other sources of accounts (LDAP, systemd-homed) are not asked

    error[SBX0131]: there is no group `web` in /etc/group
     --> sandbox.toml:3:7
      |
    3 | gid = "web"
      |       ^^^^^
      |
      = help: add it, correct the name, or write the number of the group; other sources of accounts (LDAP, systemd-homed) are not asked

    error[SBX0028]: the id map holds no gid 26
     --> sandbox.toml:4:11
      |
    4 | groups = ["tape", "nobody-knows"]
      |           ^^^^^^
      |
      = note: default of user.gid_map: the map
      = help: choose a gid that the map holds, or widen the map

    error[SBX0131]: there is no group `nobody-knows` in /etc/group
     --> sandbox.toml:4:19
      |
    4 | groups = ["tape", "nobody-knows"]
      |                   ^^^^^^^^^^^^^^
      |
      = help: add it, correct the name, or write the number of the group; other sources of accounts (LDAP, systemd-homed) are not asked

    error[SBX0131]: there is no user `lost` in /etc/passwd
     --> sandbox.toml:5:45
      |
    5 | uid_map = [{ inside = 0, outside = "web" }, { inside = 1, outside = "lost" }]
      |                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: add it, correct the name, or write the number of the user; other sources of accounts (LDAP, systemd-homed) are not asked
    "#);
}

#[test]
fn two_names_of_one_id() {
    let said = among_accounts(
        r#"[user]
uid = 0
uid_map = [{ inside = 0, outside = "web" }, { inside = 1, outside = "same" }]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error[SBX0009]: ranges of ids that overlap outside
     --> sandbox.toml:3:45
      |
    3 | uid_map = [{ inside = 0, outside = "web" }, { inside = 1, outside = "same" }]
      |                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: sandbox.toml:3:12
      |
    3 | uid_map = [{ inside = 0, outside = "web" }, { inside = 1, outside = "same" }]
      |            ------------------------------- with this one
      |
      = help: every id may be mapped once, on either side
    "#);
    // By its name, too, the host's root is known before the run.
    let warned = warned("[user]\nuid_map = [{ inside = 1, outside = \"root\" }]\n");
    insta::assert_snapshot!(warned, @r#"
    warning[SBX0029]: an id inside is 0 outside: what belongs to root there belongs to the command
     --> sandbox.toml:2:12
      |
    2 | uid_map = [{ inside = 1, outside = "root" }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: map onto ids that belong to nobody, for example outside = 100000
    "#);
}
