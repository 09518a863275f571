//! The text and its form: syntax, keys, types, variables.

use crate::checked;

#[test]
fn an_unknown_key_gets_a_suggestion() {
    let wrong = checked(
        r#"
version = 1
[limits]
memroy = "1G"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0003]: there is no key `memroy` in [limits]
     --> sandbox.toml:3:1
      |
    3 | memroy = "1G"
      | ^^^^^^
      |
      = help: did you mean `memory`?
    "#);
}

#[test]
fn a_key_like_no_other_gets_the_list_of_keys() {
    let wrong = checked(
        r#"
[network]
firewall = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0003]: there is no key `firewall` in [network]
     --> sandbox.toml:2:1
      |
    2 | firewall = true
      | ^^^^^^^^
      |
      = help: the keys are: mode, families, namespace, interface, address, host_address, gateway, bridge, isolated, names, nat, mtu, hardware_address, rate, delay, loss, pool, dns, dns_search, dns_options, publish, forward, connect_ports, bind_ports, peers, allow, deny
    "#);
}

#[test]
fn an_unknown_table_gets_a_suggestion() {
    let wrong = checked(
        r#"
[capabilites]
keep = []
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0003]: there is no key `capabilites` in the profile
     --> sandbox.toml:1:2
      |
    1 | [capabilites]
      |  ^^^^^^^^^^^
      |
      = help: did you mean `capabilities`?
    "#);
}

#[test]
fn a_misspelt_key_with_a_hyphen() {
    let wrong = checked(
        r#"
[[mounts]]
type = "bind"
target = "/data"
read-only = true
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0003]: there is no key `read-only` in [[mounts]]
     --> sandbox.toml:4:1
      |
    4 | read-only = true
      | ^^^^^^^^^
      |
      = help: did you mean `read_only`?
    "#);
}

#[test]
fn a_table_where_a_value_belongs() {
    let wrong = checked(
        r#"
[hostname]
name = "build"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a string, found a table
     --> sandbox.toml:1:1
      |
    1 | [hostname]
      | ^^^^^^^^^^
      |
      = help: write one value in "quotes"
    "#);
}

#[test]
fn a_value_where_a_table_belongs() {
    let wrong = checked(
        r#"
limits = "none"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected the table [limits], found a string
     --> sandbox.toml:1:10
      |
    1 | limits = "none"
      |          ^^^^^^
      |
      = help: it holds the keys: parent, name, pids, memory, memory_high, memory_low, memory_min, memory_nodes, oom_group, huge_pages, swap, cpu, cpu_period, cpu_burst, cpu_weight, realtime, cpu_time, cpuset, io, io_weight, wall_time, idle, grace, stop_signal, output, output_over
    "#);
}

#[test]
fn a_table_where_a_list_belongs() {
    let wrong = checked(
        r#"
[mounts]
target = "/data"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a list, found a table
     --> sandbox.toml:1:1
      |
    1 | [mounts]
      | ^^^^^^^^
      |
      = help: write each as an entry of its own, under a name in [[double brackets]]
    "#);
}

#[test]
fn a_string_where_a_list_belongs() {
    let wrong = checked(
        r#"
[capabilities]
keep = "net_raw"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a list, found a string
     --> sandbox.toml:2:8
      |
    2 | keep = "net_raw"
      |        ^^^^^^^^^
      |
      = help: write it in [brackets], the values separated by commas
    "#);
}

#[test]
fn a_string_where_true_or_false_belongs() {
    let wrong = checked(
        r#"
[process]
init = "yes"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid type: string "yes", expected a boolean
     --> sandbox.toml:2:8
      |
    2 | init = "yes"
      |        ^^^^^
      |
      = help: for example: true
    "#);
}

#[test]
fn a_number_where_a_string_belongs() {
    let wrong = checked(
        r#"
hostname = 7
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a string, found a whole number
     --> sandbox.toml:1:12
      |
    1 | hostname = 7
      |            ^
      |
      = help: write one value in "quotes"
    "#);
}

#[test]
fn a_string_where_a_number_belongs() {
    let wrong = checked(
        r#"
[limits]
pids = "20"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a whole number from 0 to 9223372036854775807, found a string
     --> sandbox.toml:2:8
      |
    2 | pids = "20"
      |        ^^^^
      |
      = help: write it in digits, without quotes
    "#);
}

#[test]
fn a_negative_number_where_none_can_be() {
    let wrong = checked(
        r#"
[user]
uid = -1
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: expected a whole number from 0 to 4294967295, found -1
     --> sandbox.toml:2:7
      |
    2 | uid = -1
      |       ^^
      |
      = help: write it in digits, without quotes
    "#);
}

#[test]
fn a_date_where_a_duration_belongs() {
    let wrong = checked(
        r#"
[limits]
wall_time = 2024-01-01
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: invalid value: string "2024-01-01", expected a duration, such as 10 (seconds), "500ms", "90s" or "1h30m"
     --> sandbox.toml:2:13
      |
    2 | wall_time = 2024-01-01
      |             ^^^^^^^^^^
      |
      = help: for example: "10s"
    "#);
}

#[test]
fn a_word_that_is_no_choice() {
    let wrong = checked(
        r#"
[network]
mode = "hots"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `hots` is none of the choices
     --> sandbox.toml:2:8
      |
    2 | mode = "hots"
      |        ^^^^^^
      |
      = help: did you mean "host"?
    "#);
}

#[test]
fn a_word_that_is_near_no_choice() {
    let wrong = checked(
        r#"
[seccomp]
preset = "paranoid"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `paranoid` is none of the choices
     --> sandbox.toml:2:10
      |
    2 | preset = "paranoid"
      |          ^^^^^^^^^^
      |
      = help: one of: "default", "build", "network-client", "strict", "none", "off"
    "#);
}

#[test]
fn a_duplicate_key() {
    let wrong = checked(
        r#"
version = 1
hostname = "one"
hostname = "two"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0002]: this is not TOML: duplicate key
     --> sandbox.toml:3:1
      |
    3 | hostname = "two"
      | ^^^^^^^^
      |
      = help: the syntax is that of https://toml.io
    "#);
}

#[test]
fn a_duplicate_table() {
    let wrong = checked(
        r#"
[limits]
pids = 20
[limits]
memory = "1G"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0002]: this is not TOML: duplicate key
     --> sandbox.toml:3:2
      |
    3 | [limits]
      |  ^^^^^^
      |
      = help: the syntax is that of https://toml.io
    "#);
}

#[test]
fn a_table_that_does_not_close() {
    let wrong = checked(
        r#"
version = 1
[limits
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0002]: this is not TOML: unclosed table, expected `]`
     --> sandbox.toml:2:8
      |
    2 | [limits
      |        ^
      |
      = help: the syntax is that of https://toml.io
    "#);
}

#[test]
fn a_string_that_does_not_close() {
    let wrong = checked(
        r#"
hostname = "build
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0002]: this is not TOML: invalid basic string, expected `"`
     --> sandbox.toml:1:18
      |
    1 | hostname = "build
      |                  ^
      |
      = help: the syntax is that of https://toml.io
    "#);
}

#[test]
fn a_line_that_says_nothing() {
    let wrong = checked(
        r#"
version = 1
networking
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0002]: this is not TOML: key with no value, expected `=`
     --> sandbox.toml:2:11
      |
    2 | networking
      |           ^
      |
      = help: the syntax is that of https://toml.io
    "#);
}

#[test]
fn a_nul_character() {
    let wrong = checked(
        r#"
hostname = "a\u0000b"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: a NUL character, which no path or name can hold
     --> sandbox.toml:1:12
      |
    1 | hostname = "a\u0000b"
      |            ^^^^^^^^^^
      |
      = help: remove it
    "#);
}

#[test]
fn a_control_character_is_escaped() {
    let wrong = checked(
        r#"
[network]
mode = "\u001b[31mhost"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: `\u{1b}[31mhost` is none of the choices
     --> sandbox.toml:2:8
      |
    2 | mode = "\u001b[31mhost"
      |        ^^^^^^^^^^^^^^^^
      |
      = help: one of: "none", "loopback", "host", "veth", "macvlan", "user", "join"
    "#);
}

#[test]
fn another_version_of_the_language() {
    let wrong = checked(
        r#"
version = 2
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0004]: version 2 of the language is not known to this program
     --> sandbox.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = help: write `version = 1`, or use a newer sandbox
    "#);
}

#[test]
fn an_unknown_variable() {
    let wrong = checked(
        r#"
[[mounts]]
type = "bind"
target = "${HOEM}/.cargo"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0006]: there is no variable `${HOEM}`
     --> sandbox.toml:3:10
      |
    3 | target = "${HOEM}/.cargo"
      |          ^^^^^^^^^^^^^^^^
      |
      = help: the variables are: HOME, PWD, PROJECT, UID, GID, TMPDIR, env:NAME; `$${` stands for a literal `${`
    "#);
}

#[test]
fn a_variable_that_is_like_no_other() {
    let wrong = checked(
        r#"
[environment]
set = { WHO = "${whoami}" }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0006]: there is no variable `${whoami}`
     --> sandbox.toml:2:15
      |
    2 | set = { WHO = "${whoami}" }
      |               ^^^^^^^^^^^
      |
      = help: the variables are: HOME, PWD, PROJECT, UID, GID, TMPDIR, env:NAME; `$${` stands for a literal `${`
    "#);
}

#[test]
fn an_environment_variable_that_is_not_set() {
    let wrong = checked(
        r#"
[environment]
set = { TOKEN = "${env:SANDBOX_TEST_NOT_SET}" }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0006]: `${env:SANDBOX_TEST_NOT_SET}` has no value here
     --> sandbox.toml:2:17
      |
    2 | set = { TOKEN = "${env:SANDBOX_TEST_NOT_SET}" }
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: set it, or give a default: `${env:SANDBOX_TEST_NOT_SET:-default}`
    "#);
}

#[test]
fn a_variable_that_does_not_close() {
    let wrong = checked(
        r#"
[environment]
set = { BIN = "${HOME/bin" }
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0006]: a variable that does not end: `${` without `}`
     --> sandbox.toml:2:15
      |
    2 | set = { BIN = "${HOME/bin" }
      |               ^^^^^^^^^^^^
      |
      = help: close it with `}`, or write `$${` for a literal `${`
    "#);
}
