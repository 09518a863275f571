//! Which families of addresses sockets may be of.

use crate::support::{Project, done};

/// A profile whose tests hold, says `sandbox test`.
#[track_caller]
fn proven(profile: &str) {
    let project = Project::new();
    project.write("sandbox.toml", format!("version = 1\n{profile}"));
    let report = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(report.code, 0, "{report:?}");
}

#[test]
fn sockets_are_of_the_families_that_the_profile_lists_and_of_no_other() {
    // bash makes the socket itself, and says why it could not.
    let connect = |families: &str, address: &str| {
        let project = Project::new();
        let profile = format!("version = 1\n[network]\nfamilies = [{families}]\n");
        let script = format!("exec 3<>/dev/tcp/{address}/9");
        done(&mut project.command(&profile, &["bash", "-c", &script])).fails(1)
    };
    for (families, refused) in [
        ("\"inet\"", false),
        ("\"unix\", \"inet\", \"netlink\"", false),
        ("\"unix\", \"inet6\"", true),
        ("", true),
    ] {
        let said = connect(families, "127.0.0.1");
        let words = "socket: Address family not supported by protocol";
        assert_eq!(said.contains(words), refused, "{families}: {said}");
        assert_eq!(
            said.contains("Connection refused"),
            !refused,
            "{families}: {said}"
        );
    }
    proven(
        r#"[network]
families = ["unix", "netlink"]
[[test]]
can_call = ["socket(1, 1)", "socketpair(1, 1)", "socket(16, 3, 0)"]
cannot_call = ["socket(16, 3, 15)", "socket(2, 1)", "socket(10, 1)", "socket(17, 3)", "socketpair(2, 1)", "io_uring_setup"]"#,
    );
    proven(
        r#"[network]
families = []
[[test]]
cannot_call = ["socket", "socketpair"]"#,
    );
}

#[test]
fn a_family_is_permitted_beside_the_usual_ones_by_its_name_alone() {
    proven(
        r#"[network]
families = ["unix", "vsock", "packet"]
[capabilities]
keep = ["net_raw"]
ambient = ["net_raw"]
[[test]]
can_call = ["socket(40, 1)", "socket(17, 3)", "socket(1, 5)"]
cannot_call = ["socket(38, 5)", "socket(2, 1)", "socketpair(40, 1)"]"#,
    );
    proven(
        r#"[[test]]
cannot_call = ["socket(40, 1)", "socket(17, 3)"]"#,
    );
}

#[test]
fn the_families_hold_whatever_else_permits_sockets_and_without_a_preset() {
    proven(
        r#"[network]
families = ["inet"]
[seccomp]
allow = ["socket", { calls = "socketpair", when = [{ arg = 0, is = 1 }] }]
[[test]]
can_call = ["socket(2, 1)", "socket(2, 5)"]
cannot_call = ["socket(1, 1)", "socket(40, 1)", "socketpair(1, 1)"]"#,
    );
    proven(
        r#"[network]
families = ["inet", "netlink"]
[seccomp]
preset = "off"
[[test]]
can_call = ["socket(2, 5)", "socket(16, 3, 15)", "mount"]
cannot_call = ["socket(1, 1)", "socketpair(1, 1)", "io_uring_setup"]"#,
    );
}

#[test]
fn the_families_are_explained_and_compared() {
    let project = Project::new();
    let families = |list: &str| format!("version = 1\n[network]\nfamilies = [{list}]\n");
    project.write("sandbox.toml", families("\"unix\", \"inet\""));
    let arguments = [
        "explain",
        "--profile",
        "sandbox.toml",
        "--seccomp",
        "--",
        "true",
    ];
    let said = done(&mut project.program(&arguments)).ok();
    let words = "allowed if the family is AF_UNIX or AF_INET (TCP, UDP, ICMP or raw); else refused with EAFNOSUPPORT";
    assert!(said.contains(words), "{said}");
    project.write("before.toml", families("\"unix\""));
    project.write("wide.toml", families("\"unix\", \"alg\""));
    let diff = done(&mut project.program(&["diff", "before.toml", "wide.toml"]));
    assert_eq!(diff.code, 1, "{diff:?}");
    assert!(
        diff.stdout.contains("make sockets of the families alg"),
        "{diff:?}"
    );
    let run = |ceiling: &str| {
        let arguments = ["--profile", "wide.toml", "--ceiling", ceiling, "--", "true"];
        done(&mut project.program(&arguments))
    };
    let said = run("before.toml").fails(125);
    assert!(said.contains("make sockets of the families alg"), "{said}");
    assert!(said.contains("wide.toml:3"), "{said}");
    run("wide.toml").ok();
}
