//! `[network] peers`: with which addresses a command in the host's network exchanges packets.

use crate::live::{HOLD, Live};
use crate::running::{Place, name};
use crate::support::{Project, done, is_root, skip};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

/// A profile of root's or of a plain user's, with this list.
fn profile(peers: &str) -> String {
    format!("version = 1\n[network]\nmode = \"host\"\npeers = [{peers}]\n")
}

/// Whether the kernel can keep such a list here.
fn can(test: &str) -> bool {
    if !is_root() {
        skip(test, "only root can bound whom a command reaches");
        return false;
    }
    let run = Project::new().run(&profile(""), "true");
    if run.code != 125 {
        return true;
    }
    assert!(run.stderr.contains("peers"), "{run:?}");
    skip(
        test,
        "this machine has no unified hierarchy, or no such programs",
    );
    false
}

/// Tries to send to some addresses, and says what became of each.
const TRY: &str = r#"
import errno, socket, sys
def say(what, act):
    try:
        act()
        print(what, "yes")
    except OSError as e:
        print(what, errno.errorcode[e.errno])
for at in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in at else socket.AF_INET
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.settimeout(5)
    say("tcp " + at, lambda: stream.connect((at, int(sys.argv[1]))))
    datagram = socket.socket(family, socket.SOCK_DGRAM)
    say("udp " + at, lambda: datagram.sendto(b"x", (at, int(sys.argv[1]))))
"#;

#[test]
fn a_command_reaches_the_addresses_that_are_listed_and_no_others() {
    let test = "a_command_reaches_the_addresses_that_are_listed_and_no_others";
    if !can(test) {
        return;
    }
    // One port at which each address is listened on, and answers are not needed.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _datagrams = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let project = Project::new();
    let run = |peers: &str, user: &str, addresses: &[&str]| {
        let profile = format!("{}{user}", profile(peers));
        let port = port.to_string();
        let command: Vec<&str> = ["python3", "-c", TRY, &port]
            .into_iter()
            .chain(addresses.iter().copied())
            .collect();
        done(&mut project.command(&profile, &command)).ok()
    };
    let all = [
        "127.0.0.1",
        "127.0.0.2",
        "::ffff:127.0.0.1",
        "::ffff:127.0.0.2",
        "0.0.0.0",
        "::1",
    ];
    for user in ["", "[namespaces]\nuser = \"shared\"\n"] {
        let said = run("\"127.0.0.1\"", user, &all);
        let wanted = "tcp 127.0.0.1 yes\nudp 127.0.0.1 yes\ntcp 127.0.0.2 EPERM\nudp 127.0.0.2 EPERM\n\
                      tcp ::ffff:127.0.0.1 yes\nudp ::ffff:127.0.0.1 yes\n\
                      tcp ::ffff:127.0.0.2 EPERM\nudp ::ffff:127.0.0.2 EPERM\n\
                      tcp 0.0.0.0 yes\nudp 0.0.0.0 yes\ntcp ::1 EPERM\n";
        assert!(said.starts_with(wanted), "{user}{said}");
    }
    let none = run("", "", &all[..2]);
    assert_eq!(none.matches("EPERM").count(), 4, "{none}");
    // Others on this machine are in nobody's way.
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 2], port))).unwrap();
    let wide = run("\"127.0.0.0/8\", \"fd00::/8\"", "", &all[..2]);
    assert_eq!(wide.matches("yes").count(), 4, "{wide}");
}

#[test]
fn a_command_is_reached_from_the_addresses_that_are_listed_and_from_no_others() {
    let test = "a_command_is_reached_from_the_addresses_that_are_listed_and_from_no_others";
    if !can(test) {
        return;
    }
    let project = Project::new();
    let serve = "import socket; s = socket.create_server(('', 0)); open('port.new', 'w').write(str(s.getsockname()[1])); import os; os.rename('port.new', 'port')\nwhile True: s.accept()[0].sendall(b'here')";
    let mut live =
        Live::spawn(&mut project.command(&profile("\"127.0.0.1\""), &["python3", "-c", serve]));
    let file = project.path().join("port");
    live.await_file(&file);
    let port: u16 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    // From where a connection comes is where its answer goes.
    let from = |last: u8| {
        let script = format!(
            "import socket; print(socket.create_connection(('127.0.0.1', {port}), 2, ('127.0.0.{last}', 0)).recv(9))"
        );
        done(std::process::Command::new("python3").args(["-c", &script]))
    };
    assert_eq!(from(1).ok(), "b'here'\n");
    let lost = from(2);
    assert!(lost.stderr.contains("timed out"), "{lost:?}");
    live.kill();
}

#[test]
fn who_joins_reaches_no_more() {
    let test = "who_joins_reaches_no_more";
    if !can(test) {
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (place, name) = (Place::new(), name());
    let live = place.start(&name, &profile("\"127.0.0.1\""), HOLD);
    let arguments = [
        "exec",
        &name,
        "--",
        "python3",
        "-c",
        TRY,
        &port,
        "127.0.0.1",
        "127.0.0.2",
    ];
    let said = place.done(&arguments).ok();
    assert_eq!(
        said,
        "tcp 127.0.0.1 yes\nudp 127.0.0.1 yes\ntcp 127.0.0.2 EPERM\nudp 127.0.0.2 EPERM\n"
    );
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn whom_a_command_reaches_is_told_before_it_runs() {
    let test = "whom_a_command_reaches_is_told_before_it_runs";
    let project = Project::new();
    let text = format!(
        "{}connect_ports = [443]\n[enforce]\nlandlock = \"prefer\"\n",
        profile("\"192.0.2.0/24\", \"fd00::/8\"")
    );
    project.write("sandbox.toml", text);
    if !is_root() {
        let said = done(&mut project.program(&["--", "true"])).fails(125);
        for part in [
            "only root of the machine",
            "sandbox.toml:4:",
            "write `allow`",
        ] {
            assert!(said.contains(part), "{said}");
        }
        return;
    }
    if !can(test) {
        return;
    }
    let why = |end: &str| {
        let run = done(&mut project.program(&["why", "sandbox.toml", "connect", end]));
        format!("{}{}", run.stdout, run.stderr)
    };
    for (end, words) in [
        ("192.0.2.9:443", "network.peers has it"),
        ("[fd00::1]:443", "network.peers has it"),
        ("192.0.3.9:443", "network.peers does not have 192.0.3.9"),
        ("192.0.2.9:80", "network.connect_ports does not have 80"),
        ("host.example:443", "names lead to some"),
    ] {
        let said = why(end);
        assert!(said.contains(words), "{end}: {said}");
    }
    let plan = done(&mut project.program(&["explain", "--", "true"])).stdout;
    let words = "let packets be exchanged with nobody but: 192.0.2.0/24, fd00::/8";
    assert!(plan.contains(words), "{plan}");
}
