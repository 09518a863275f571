//! Ways to the host's loopback.

use super::lab::{CLIENT, Lab};
use crate::support::{Project, is_root};

/// What asks by each way, and besides.
fn script() -> String {
    format!(
        "ask() {{ python3 -c \"{CLIENT}\" $* 2>/dev/null || echo nobody; echo; }}
         ask tcp 127.0.0.1 2222; ask tcp localhost 2222; ask udp 127.0.0.1 5353
         ask tcp 127.0.0.1 9001; ask tcp 127.0.0.1 9000; ask tcp 127.0.0.1 2223; ask udp 127.0.0.1 2222"
    )
}

const WAYS: &str = "forward = [\"2222:9000\", \"5353:9000/udp\", \"2223:9009\"]\n";

const ANSWERS: [&str; 7] = [
    "127.0.0.1",
    "127.0.0.1",
    "echo 127.0.0.1",
    "nobody",
    "nobody",
    "nobody",
    "nobody",
];

#[track_caller]
fn leads_there(lab: &Lab, mode: &str) {
    let project = Project::new();
    let _service = lab.server(&["9000", "9001"]);
    let ended = lab.run(&project, &format!("[network]\n{mode}{WAYS}"), &script());
    let said = ended.ok();
    let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ANSWERS, "{mode}");
}

#[test]
fn ways_to_the_hosts_loopback_lead_to_the_ports_that_are_named_alone() {
    let Some(lab) = Lab::new("ways_to_the_hosts_loopback_lead_to_the_ports_that_are_named_alone")
    else {
        return;
    };
    leads_there(&lab, "");
    lab.is_clean(&[]);
}

#[test]
fn ways_to_the_hosts_loopback_are_there_beside_the_gate() {
    let Some(lab) = Lab::with_pairs("ways_to_the_hosts_loopback_are_there_beside_the_gate") else {
        return;
    };
    leads_there(&lab, "allow = [\"203.0.113.1:9000\"]\n");
    lab.is_clean(&[]);
}

#[test]
fn ways_to_the_hosts_loopback_are_there_beside_a_pair_of_interfaces() {
    let test = "ways_to_the_hosts_loopback_are_there_beside_a_pair_of_interfaces";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    leads_there(&lab, "mode = \"veth\"\n");
    lab.is_clean(&[]);
}

#[test]
fn ways_to_the_hosts_loopback_are_there_beside_pasta() {
    let test = "ways_to_the_hosts_loopback_are_there_beside_pasta";
    let Some(lab) = Lab::with_pasta(test) else {
        return;
    };
    let world = lab.world();
    leads_there(&lab, "mode = \"user\"\n");
    drop(world);
}

#[test]
fn whatever_listens_on_the_hosts_loopback_is_reached_where_the_profile_says_so_alone() {
    let test = "whatever_listens_on_the_hosts_loopback_is_reached_where_the_profile_says_so_alone";
    let Some(lab) = Lab::with_pasta(test) else {
        return;
    };
    let world = lab.world();
    let service = lab.server(&["9000", "9001"]);
    let project = Project::new();
    let script = format!(
        "ask() {{ python3 -c \"{CLIENT}\" $* 2>/dev/null || echo nobody; echo; }}
         ask tcp 127.0.0.1 9000; ask udp 127.0.0.1 9001; ask tcp ::1 9001; ask udp ::1 9000
         ask tcp 127.0.0.1 9002"
    );
    for (line, expected) in [
        (
            "forward = \"auto\"",
            ["127.0.0.1", "echo 127.0.0.1", "::1", "echo ::1", "nobody"],
        ),
        ("", ["nobody"; 5]),
    ] {
        let profile = format!("[network]\nmode = \"user\"\n{line}\n");
        let said = lab.run(&project, &profile, &script).ok();
        let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, expected, "{line}");
    }
    drop((service, world));
}

#[test]
fn a_port_below_1024_can_lead_to_the_hosts_loopback_without_any_right_of_the_command() {
    let test = "a_port_below_1024_can_lead_to_the_hosts_loopback_without_any_right_of_the_command";
    let Some(lab) = Lab::new(test) else {
        return;
    };
    let _service = lab.server(&["9000"]);
    let project = Project::new();
    let script = format!("python3 -c \"{CLIENT}\" tcp 127.0.0.1 22; id -u");
    let said = lab.run(&project, "[network]\nforward = [\"22:9000\"]\n", &script);
    let uid = if is_root() { 0 } else { 1000 };
    assert!(said.ok().starts_with("127.0.0.1"), "{uid}");
}

#[test]
fn a_way_is_taken_for_what_it_is_by_why_and_by_the_plan() {
    let project = Project::new();
    project.write("sandbox.toml", format!("version = 1\n[network]\n{WAYS}"));
    let run = |words: &[&str]| crate::support::done(&mut project.program(words));
    let answer = run(&["why", "sandbox.toml", "connect", "127.0.0.1:2222"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(
        answer.stdout.contains("port 9000 of the host's loopback"),
        "{answer:?}"
    );
    let answer = run(&["why", "sandbox.toml", "connect", "127.0.0.1:9000"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let shown = run(&["explain", "--profile", "sandbox.toml", "--", "true"]).ok();
    assert!(
        shown.contains("take what comes to port 5353 (udp) of the sandbox's loopback, for port 9000 of the host's"),
        "{shown}"
    );
}
