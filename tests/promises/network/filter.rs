//! `allow` and `deny` beside a mode that connects: what the sandbox's own packet filter lets out.

use super::lab::{CLIENT, Lab, Service};
use crate::live::eventually;
use crate::support::Project;
use std::collections::BTreeSet;

/// Asks each of the ends that are its arguments (`kind,address,port`), and says which have answered: all others are
/// refused at once, and not only silent.
fn asks(ends: &[&str]) -> Vec<String> {
    let script = r#"
import socket, sys
for end in sys.argv[1:]:
    kind, address, port = end.split(',')
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.settimeout(20)
    try:
        s.connect((address, int(port)))
        s.send(b'echo')
        s.recv(100)
        print(end)
    except (ConnectionRefusedError, PermissionError): pass
    except OSError as error: print(end, error)
"#;
    let words = ["python3", "-c", script].into_iter();
    words
        .chain(ends.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// What has answered when a sandbox asks, and what was said of the rest.
#[track_caller]
fn answered(lab: &Lab, profile: &str, ends: &[&str]) -> (Vec<String>, String) {
    let project = Project::new();
    let words = asks(ends);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ended = crate::support::done(&mut lab.sandbox(&project, profile, &words));
    assert_eq!(ended.code, 0, "{ended:?}");
    let answered = ended.stdout.lines().map(str::to_owned).collect();
    (answered, ended.stderr)
}

const PAIR: &str = r#"[network]
mode = "veth"
address = ["10.99.7.2/24", "fd00:997::2/64"]
allow = [
  "10.99.7.1:9000",
  "10.99.7.0/24:9001-9002/udp",
  "[fd00:997::1]:9000",
  "0.0.0.0/0:9003",
  "[::]/0:9003",
  "10.0.0.0/8:9004",
]
deny = ["10.99.7.1:9004/tcp", "10.99.7.1:9002"]
"#;

#[test]
fn beside_a_pair_only_what_is_allowed_is_let_out() {
    let Some(lab) = Lab::of_root("beside_a_pair_only_what_is_allowed_is_let_out") else {
        return;
    };
    let service = lab.server(&["9000", "9001", "9002", "9003", "9004"]);
    let mut ends = Vec::new();
    for kind in ["tcp", "udp"] {
        for address in ["10.99.7.1", "fd00:997::1", "::ffff:10.99.7.1"] {
            for port in 9000..9005 {
                ends.push(format!("{kind},{address},{port}"));
            }
        }
    }
    let ends: Vec<_> = ends.iter().map(String::as_str).collect();
    let (reached, said) = answered(&lab, PAIR, &ends);
    // A network of everybody's opens no private address.
    let wanted = [
        "tcp,10.99.7.1,9000",
        "tcp,fd00:997::1,9000",
        "tcp,::ffff:10.99.7.1,9000",
        "udp,10.99.7.1,9001",
        "udp,::ffff:10.99.7.1,9001",
    ];
    let sorted = |ends: Vec<&str>| ends.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        reached.into_iter().collect::<BTreeSet<_>>(),
        sorted(wanted.to_vec())
    );
    for part in [
        "denied: connect 10.99.7.1:9001 ",
        "network.allow has another port: \"10.99.7.1:9000\"",
        "denied: connect 10.99.7.1:9000/udp",
        "denied: connect 10.99.7.1:9004 ",
        "network.deny \"10.99.7.1:9004\"",
        "denied: connect [fd00:997::1]:9003 ",
        "add \"[fd00:997::1]:9003\" to `allow`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Without the lists, all of them answer.
    let open = PAIR.split("allow").next().unwrap();
    let (reached, _) = answered(&lab, open, &ends);
    assert_eq!(reached, ends);
    drop(service);
    lab.is_clean(&[]);
}

#[test]
fn whoever_comes_in_is_answered_and_the_ways_to_loopback_stay() {
    let test = "whoever_comes_in_is_answered_and_the_ways_to_loopback_stay";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let project = Project::new();
    let outside = lab.server(&["9000"]);
    let profile = "[network]\nmode = \"veth\"\naddress = [\"10.99.7.2/24\", \"fd00:997::2/64\"]\nallow = [\"192.0.2.1:9\"]\npublish = [\"127.0.0.1:8080:8000\"]\nforward = [\"2222:9000\"]\n";
    let service = lab.serving(&project, profile, "8000");
    for (kind, address, port) in [
        ("tcp", "10.99.7.2", "8000"),
        ("udp", "10.99.7.2", "8000"),
        ("tcp", "fd00:997::2", "8000"),
        ("udp", "fd00:997::2", "8000"),
        ("tcp", "127.0.0.1", "8080"),
    ] {
        lab.hear(kind, address, port);
    }
    drop(service);
    eventually("the addresses are free", || {
        lab.shell("ip -o addr").ok().find("10.99.7").is_none()
    });
    let script = format!(
        "python3 -c \"{CLIENT}\" tcp 127.0.0.1 2222; python3 -c \"{CLIENT}\" tcp 10.99.7.1 9000 2>&1"
    );
    let said = lab.run(&Project::new(), profile, &script).stdout;
    assert!(
        said.starts_with("127.0.0.1") && said.contains("ConnectionRefusedError"),
        "{said}"
    );
    drop(outside);
    lab.is_clean(&[]);
}

#[test]
fn the_command_cannot_change_the_packet_filter() {
    let test = "the_command_cannot_change_the_packet_filter";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let script = "nft flush ruleset 2>&1; nft delete table inet egress 2>&1; nft add table inet mine 2>&1; ip rule add from all lookup main 2>&1; id -u";
    for more in [
        "",
        "[capabilities]\nkeep = [\"sys_admin\"]\nambient = [\"sys_admin\"]\n",
    ] {
        let profile = format!("{PAIR}[seccomp]\npreset = \"off\"\n{more}");
        let ended = lab.run(&Project::new(), &profile, script);
        let refused = ended.stdout.matches("Operation not permitted").count();
        assert!(refused >= 4, "{more}: {ended:?}");
    }
    lab.is_clean(&[]);
}

/// What is asked of the world, at 198.51.100.1 and fd11::1.
const WORLD: [&str; 6] = [
    "tcp,198.51.100.1,9000",
    "udp,198.51.100.1,9000",
    "udp,198.51.100.1,53",
    "tcp,fd11::1,9000",
    "udp,fd11::1,9000",
    "tcp,198.51.100.2,9000",
];

#[test]
fn beside_pasta_only_what_is_allowed_is_let_out() {
    let Some(lab) = Lab::with_pasta("beside_pasta_only_what_is_allowed_is_let_out") else {
        return;
    };
    let world = lab.world();
    let profile = "[network]\nmode = \"user\"\ndns = [\"198.51.100.1\"]\nallow = [\"198.51.100.1:9000\", \"[fd11::1]:9000/udp\", \"198.51.100.1:9001\"]\n";
    // A loaded machine may keep pasta longer than a client waits; who has answered once, is reached.
    let mut all = BTreeSet::new();
    let mut refused = String::new();
    eventually("what is allowed answers", || {
        let (reached, said) = answered(&lab, profile, &WORLD);
        all.extend(reached.into_iter().filter(|end| !end.contains(' ')));
        refused = said;
        all.len() >= 2
    });
    let wanted = ["tcp,198.51.100.1,9000", "udp,fd11::1,9000"];
    assert_eq!(all, BTreeSet::from(wanted.map(str::to_owned)));
    for part in [
        "denied: connect 198.51.100.1:53/udp",
        "denied: connect [fd11::1]:9000 ",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // A name is resolved where the resolver may be reached, and led by it nowhere else.
    let script = "getent hosts world.test || echo unknown";
    let project = Project::new();
    assert_eq!(lab.run(&project, profile, script).stdout, "unknown\n");
    let resolving = profile.replace("allow = [", "allow = [\"198.51.100.1:53/udp\", ");
    eventually("the name is known", || {
        lab.run(&project, &resolving, script)
            .stdout
            .contains("198.51.100.1")
    });
    drop(world);
    lab.is_clean(&[]);
}

#[test]
fn a_packet_filter_goes_with_a_run_that_is_killed() {
    let test = "a_packet_filter_goes_with_a_run_that_is_killed";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let project = Project::new();
    let script = "touch ready; exec sleep 600";
    let mut service = Service::start(&mut lab.sandbox(&project, PAIR, &["sh", "-c", script]));
    eventually("it runs", || project.path().join("ready").exists());
    service.kill();
    drop(service);
    lab.is_clean(&[]);
}
