//! What `allow` and `deny` under `[network]` say is what can be reached, by whatever way a command asks.

use crate::support::{Done, Project, done, is_root, skip};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

const WORLD: &str = include_str!("egress/world.py");
const ATTEMPTS: &str = include_str!("egress/attempts.py");

const PROFILE: &str = r#"version = 1

[network]
allow = [
  "a.example:443",
  "a.example:80",
  "*.mirror.example:80",
  "git.example:22",
  "10.20.0.0/16:5432",
  "quic.example:443/udp",
  "down.example:80",
]
deny = ["old.mirror.example"]

[report]
file = "report.json"
"#;

/// Whether a world can be made here, which takes a network and a mount namespace, and a gate, which takes veth(4).
pub fn can_have_a_world(test: &str) -> bool {
    let pair = "ip link add w0 type veth peer name w1";
    let tried = done(&mut in_namespaces(&["sh", "-c", pair]));
    if tried.code != 0 {
        skip(test, "no network of its own, or no veth, can be made here");
    }
    tried.code == 0
}

/// A command in namespaces of its own, with the rights over them.
fn in_namespaces(command: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    unshare.args(["--net", "--mount", "--propagation", "private", "--"]);
    unshare.args(command).stdin(Stdio::null());
    unshare
}

/// A run of the program in a world of its own; the project holds what the world was asked.
fn in_world(project: &Project, arguments: &[&str]) -> Command {
    let world = project.write("world/world.py", WORLD);
    let folder = world.parent().unwrap().to_str().unwrap().to_owned();
    let program = crate::support::program();
    let mut all = vec![
        "python3",
        world.to_str().unwrap(),
        &folder,
        program.to_str().unwrap(),
    ];
    all.extend(arguments);
    let mut command = in_namespaces(&all);
    command.current_dir(project.path());
    command
}

/// Runs a shell script under a profile in a world of its own.
fn run(project: &Project, profile: &str, script: &str) -> Done {
    project.write("sandbox.toml", profile);
    let arguments = ["--profile", "sandbox.toml", "--", "sh", "-c", script];
    done(&mut in_world(project, &arguments))
}

/// Makes attempts under a profile, and compares what each has come to.
#[track_caller]
fn attempt(project: &Project, profile: &str, attempts: &[(&str, &str, &str)]) -> Done {
    project.write("attempts.py", ATTEMPTS);
    let lines: Vec<_> = (attempts.iter())
        .map(|(name, code, _)| format!("{name}|{code}\n"))
        .collect();
    project.write("attempts", lines.concat());
    let ended = run(project, profile, "python3 attempts.py <attempts");
    let came: BTreeMap<_, _> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once('|'))
        .collect();
    let mut wrong = Vec::new();
    for (name, _, expected) in attempts {
        let found = came.get(name).copied().unwrap_or("nothing");
        if !expected.split(" or ").any(|one| one == found) {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), ended.stderr);
    ended
}

const REFUSED: &str = "ECONNREFUSED";
const RESET: &str = "ECONNRESET or EPIPE";
const NO_NAME: &str = "no name (-2)";
const NO_ADDRESS: &str = "no name (-5)";

/// What is tried, how, and what it comes to.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "tls, right name",
        "tls(\"a.example\", \"a.example\")",
        "tls a.example",
    ),
    (
        "tls, wrong name on the same address",
        "tls(\"a.example\", \"b.example\")",
        RESET,
    ),
    (
        "tls, a name of another line",
        "tls(\"a.example\", \"x.mirror.example\")",
        RESET,
    ),
    ("tls, no name", "tls(\"a.example\", None)", "tls None"),
    (
        "tls, wrong name in small records",
        "raw(\"a.example\", 443, fragmented(\"b.example\"))",
        RESET,
    ),
    (
        "tls, wrong name byte by byte",
        "raw(\"a.example\", 443, hello(\"b.example\"), parts=600)",
        RESET,
    ),
    (
        "tls, right name byte by byte",
        "raw(\"a.example\", 443, hello(\"a.example\"), parts=600)[:0] + \"answered\"",
        "answered",
    ),
    (
        "tls, right name over ipv6",
        "tls(\"a.example\", \"a.example\", family=V6)",
        "tls a.example",
    ),
    (
        "tls, wrong name over ipv6",
        "tls(\"a.example\", \"b.example\", family=V6)",
        RESET,
    ),
    (
        "raw address of nobody",
        "raw(\"203.0.113.66\", 443, b\"x\")",
        REFUSED,
    ),
    (
        "raw address of a permitted name",
        "tls(\"203.0.113.10\", \"a.example\")",
        "tls a.example",
    ),
    (
        "raw address of a permitted name, other name",
        "tls(\"203.0.113.10\", \"evil.example\")",
        RESET,
    ),
    (
        "raw address, permitted name claimed",
        "tls(\"203.0.113.66\", \"a.example\")",
        REFUSED,
    ),
    (
        "raw address over ipv6",
        "raw(\"2001:db8::66\", 443, b\"x\")",
        REFUSED,
    ),
    (
        "mapped address of nobody",
        "raw(\"::ffff:203.0.113.66\", 443, b\"x\", V6)",
        REFUSED,
    ),
    (
        "mapped address of a permitted name",
        "tls(\"::ffff:203.0.113.10\", \"a.example\", family=V6)",
        "tls a.example",
    ),
    ("other port", "raw(\"a.example\", 8443, b\"x\")", REFUSED),
    (
        "port of another name",
        "raw(\"a.example\", 22, b\"x\")",
        REFUSED,
    ),
    (
        "http, right name",
        "raw(\"a.example\", 80, request(\"a.example\"))",
        "http a.example",
    ),
    (
        "http, right name in capitals",
        "raw(\"a.example\", 80, request(\"A.EXAMPLE.:80\"))",
        "http A.EXAMPLE.:80",
    ),
    (
        "http, wrong name",
        "raw(\"a.example\", 80, request(\"b.example\"))",
        RESET,
    ),
    (
        "http, wrong name in the target",
        "raw(\"a.example\", 80, request(\"a.example\", \"http://b.example/\"))",
        RESET,
    ),
    (
        "http, two names",
        "raw(\"a.example\", 80, b\"GET / HTTP/1.1\\r\\nHost: a.example\\r\\nHost: b.example\\r\\n\\r\\n\")",
        RESET,
    ),
    (
        "http, wrong name later",
        "raw(\"a.example\", 80, request(\"a.example\")) and late(\"a.example\", request(\"a.example\"), request(\"b.example\"))",
        RESET,
    ),
    (
        "http, right name later",
        "raw(\"a.example\", 80, request(\"a.example\") + request(\"A.example\"), until=b\"http A\")",
        "http A.example",
    ),
    (
        "http, tunnel",
        "raw(\"a.example\", 80, b\"CONNECT b.example:443 HTTP/1.1\\r\\nHost: b.example\\r\\n\\r\\n\")",
        RESET,
    ),
    (
        "http2 without tls",
        "raw(\"a.example\", 80, b\"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\")",
        RESET,
    ),
    (
        "redirect to a stranger",
        "get(\"http://a.example/away\")",
        "no name",
    ),
    (
        "proxy that is a stranger",
        "get(\"http://a.example/\", \"http://203.0.113.66:8080\")",
        REFUSED,
    ),
    (
        "proxy that is a stranger by name",
        "get(\"http://a.example/\", \"http://evil.example:80\")",
        "no name",
    ),
    (
        "wildcard",
        "raw(\"x.mirror.example\", 80, request(\"x.mirror.example\"))",
        "http x.mirror.example",
    ),
    (
        "wildcard, deep",
        "raw(\"deep.x.mirror.example\", 80, request(\"deep.x.mirror.example\"))",
        "http deep.x.mirror.example",
    ),
    (
        "wildcard, not itself",
        "resolve(\"mirror.example\")",
        NO_NAME,
    ),
    (
        "wildcard, denied",
        "resolve(\"old.mirror.example\")",
        NO_NAME,
    ),
    (
        "wildcard, denied name on a permitted address",
        "raw(\"x.mirror.example\", 80, request(\"old.mirror.example\"))",
        RESET,
    ),
    (
        "name in capitals with a dot",
        "raw(\"A.Example.\", 80, request(\"a.example\"))",
        "http a.example",
    ),
    ("stranger's name", "resolve(\"evil.example\")", NO_NAME),
    (
        "alias of a permitted name",
        "raw(\"alias.mirror.example\", 80, request(\"alias.mirror.example\"))",
        "http alias.mirror.example",
    ),
    (
        "alias told in two answers",
        "raw(\"lone.mirror.example\", 80, request(\"lone.mirror.example\"))",
        "http lone.mirror.example",
    ),
    (
        "what an alias points to",
        "resolve(\"cdn.other.example\")",
        NO_NAME,
    ),
    (
        "answer that takes a stream",
        "resolve(\"big.mirror.example\", V4)",
        "203.0.113.20",
    ),
    (
        "rebinding to a private address",
        "resolve(\"rebind.mirror.example\")",
        NO_ADDRESS,
    ),
    (
        "rebinding in part",
        "resolve(\"half.mirror.example\", V4)",
        "203.0.113.20",
    ),
    (
        "rebinding to loopback",
        "resolve(\"local.mirror.example\")",
        NO_ADDRESS,
    ),
    (
        "rebinding to a mapped address",
        "resolve(\"mapped.mirror.example\")",
        NO_ADDRESS,
    ),
    (
        "metadata by name",
        "resolve(\"meta.mirror.example\")",
        NO_ADDRESS,
    ),
    (
        "metadata by address",
        "raw(\"169.254.169.254\", 80, b\"x\")",
        REFUSED,
    ),
    ("private address", "raw(\"10.9.9.9\", 80, b\"x\")", REFUSED),
    (
        "the host's loopback",
        "raw(\"127.0.0.1\", 80, b\"x\")",
        REFUSED,
    ),
    (
        "address by network",
        "raw(\"10.20.0.5\", 5432, b\"\\x00hello\")",
        "\u{0}hello",
    ),
    (
        "address by network, other port",
        "raw(\"10.20.0.5\", 80, b\"x\")",
        REFUSED,
    ),
    (
        "dns of the gate",
        "dns(\"192.0.0.3\", \"a.example\")",
        "rcode 0, 1 answers",
    ),
    (
        "dns of the gate, stranger",
        "dns(\"192.0.0.3\", \"evil.example\")",
        "rcode 3, 0 answers",
    ),
    (
        "dns of the gate over tcp",
        "dns(\"192.0.0.3\", \"a.example\", stream=True)",
        "rcode 0, 1 answers",
    ),
    (
        "dns of the gate over tcp, stranger",
        "dns(\"192.0.0.3\", \"evil.example\", stream=True)",
        "rcode 3, 0 answers",
    ),
    (
        "dns of the gate, other kinds",
        "dns(\"192.0.0.3\", \"a.example\", 65)",
        "rcode 0, 0 answers",
    ),
    (
        "dns of the world",
        "dns(\"203.0.113.53\", \"a.example\")",
        REFUSED,
    ),
    (
        "dns of the world over tcp",
        "dns(\"203.0.113.53\", \"evil.example\", stream=True)",
        REFUSED,
    ),
    (
        "dns of somebody else",
        "dns(\"198.51.100.53\", \"evil.example\")",
        REFUSED,
    ),
    ("udp", "udp(\"quic.example\", 443)", "udp hello"),
    (
        "udp to a name that is permitted over tcp",
        "udp(\"a.example\", 443)",
        REFUSED,
    ),
    ("udp to a stranger", "udp(\"203.0.113.66\", 443)", REFUSED),
    ("udp to another port", "udp(\"quic.example\", 123)", REFUSED),
    (
        "tcp to a name that is permitted over udp",
        "raw(\"quic.example\", 443, b\"x\")",
        REFUSED,
    ),
    (
        "protocol that speaks first",
        "raw(\"git.example\", 22, b\"SSH-2.0-me\\r\\n\", until=b\"heard\")",
        "heard SSH-2.0-me",
    ),
    (
        "ssh by its program",
        "run(\"ssh\", \"-o\", \"ConnectTimeout=60\", \"nobody@203.0.113.66\", \"true\").rpartition(\": \")[2]",
        "Connection refused']",
    ),
    (
        "git by its program",
        "run(\"git\", \"ls-remote\", \"git://evil.example/x\").partition(\"(port\")[0]",
        "failed: ['fatal: unable to look up evil.example ",
    ),
    (
        "nobody listens",
        "raw(\"down.example\", 8081, b\"x\")",
        REFUSED,
    ),
];

#[test]
fn every_way_of_reaching_somebody_is_decided_by_the_lists() {
    const TEST: &str = "every_way_of_reaching_somebody_is_decided_by_the_lists";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    attempt(&project, PROFILE, TABLE);
    // The world has seen nothing of what was refused: neither the names, nor what was said.
    let asked = std::fs::read_to_string(project.path().join("world/asked")).unwrap();
    let asked: Vec<_> = asked.lines().collect();
    let refused = [
        "evil.example",
        "b.example",
        "old.mirror.example",
        "mirror.example",
    ];
    for line in &asked {
        assert!(
            !line.split(' ').any(|word| refused.contains(&word)),
            "{line}"
        );
    }
    assert!(
        asked.contains(&"tls a.example") && asked.contains(&"http a.example"),
        "{asked:?}"
    );
}

#[test]
fn connecting_comes_to_what_it_comes_to_outside() {
    const TEST: &str = "connecting_comes_to_what_it_comes_to_outside";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let profile = r#"version = 1

[network]
allow = [
  "a.example:80", "a.example:9", "a.example:7", "a.example:13", "[2001:db8::10]:9",
  "198.18.0.0/24:80", "198.18.1.0/24:80", "198.18.2.0/24:80",
  "[2001:db8:1::]/48:80", "[2001:db8:2::]/48:80", "[2001:db8:3::]/48:80",
  "quic.example:9/udp",
]
"#;
    let attempts = [
        ("somebody listens", "begin('a.example', 80)", "begun"),
        ("nobody listens", "begin('a.example', 9)", REFUSED),
        ("nobody listens, ipv6", "begin('2001:db8::10', 9)", REFUSED),
        ("nobody listens, udp", "udp('quic.example', 9)", REFUSED),
        ("nobody answers", "begin('a.example', 7, 2)", "timeout"),
        // Meanwhile the command's system has asked again, more than once.
        ("somebody answers late", "begin('a.example', 13)", "begun"),
        (
            "no way to the host",
            "begin('198.18.0.1', 80)",
            "EHOSTUNREACH",
        ),
        (
            "a way that is forbidden",
            "begin('198.18.1.1', 80)",
            "EHOSTUNREACH",
        ),
        (
            "no way to the network",
            "begin('198.18.2.1', 80)",
            "ENETUNREACH",
        ),
        (
            "no way to the host, ipv6",
            "begin('2001:db8:1::1', 80)",
            "EHOSTUNREACH",
        ),
        (
            "a way that is forbidden, ipv6",
            "begin('2001:db8:2::1', 80)",
            "EACCES",
        ),
        (
            "no way to the network, ipv6",
            "begin('2001:db8:3::1', 80)",
            "ENETUNREACH",
        ),
        ("many at once", "many('a.example', 80, 300)", "300 begun"),
    ];
    let ended = attempt(&project, profile, &attempts);
    // The lists permit all of it: there is nothing to be told.
    assert!(!ended.stderr.contains("denied"), "{}", ended.stderr);
}

#[test]
fn ports_in_a_row_are_permitted_each_and_no_others() {
    const TEST: &str = "ports_in_a_row_are_permitted_each_and_no_others";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let profile = r#"version = 1

[network]
allow = ["a.example:79-81", "a.example:8000-8079"]
deny = ["a.example:8080-8090"]
"#;
    let attempts = [
        ("one", "begin('a.example', 80)", "begun"),
        (
            "one where nobody listens",
            "begin('a.example', 81)",
            REFUSED,
        ),
        ("before them", "begin('a.example', 78)", REFUSED),
        ("behind them", "begin('a.example', 8080)", REFUSED),
    ];
    let ended = attempt(&project, profile, &attempts);
    let told = ended.stderr.matches("denied: connect").count();
    assert_eq!(told, 2, "{}", ended.stderr);
}

#[test]
fn what_goes_through_the_gate_is_limited_each_way() {
    const TEST: &str = "what_goes_through_the_gate_is_limited_each_way";
    if !can_have_a_world(TEST) {
        return;
    }
    let pair = "ip link add w0 type veth peer name w1 && tc qdisc add dev w0 root tbf rate 1mbit burst 9kb limit 9kb";
    if done(&mut in_namespaces(&["sh", "-c", pair])).code != 0 {
        return skip(TEST, "the kernel has no token bucket filter");
    }
    let project = Project::new();
    project.write(
        "carry.py",
        r#"
import socket, threading
s = socket.create_connection(("10.20.0.5", 5432))
data = bytes(1 << 20)
threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
got = 0
while part := s.recv(1 << 16):
    got += len(part)
print(got)
"#,
    );
    let profile = "version = 1\n[network]\nallow = [\"10.20.0.0/16:5432\"]\nrate = \"2M\"\n";
    let script =
        "python3 carry.py; tc -s qdisc show dev gate0; tc qdisc del dev gate0 root 2>&1 || true";
    let said = run(&project, profile, script).ok();
    // What was sent, and what the world says at the end of its echo.
    assert!(said.starts_with("1048579\n"), "{said}");
    assert!(
        said.contains("tbf") && said.contains("rate 16777Kbit"),
        "{said}"
    );
    // It was limited, and not only told to be.
    assert!(
        said.contains("overlimits ") && !said.contains("overlimits 0 "),
        "{said}"
    );
    assert!(said.contains("Operation not permitted"), "{said}");
    let shown =
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok();
    assert!(
        shown.contains("limit what goes through it to 2M each second, each way"),
        "{shown}"
    );
}

#[test]
fn what_goes_through_the_gate_comes_later_and_in_part() {
    const TEST: &str = "what_goes_through_the_gate_comes_later_and_in_part";
    if !can_have_a_world(TEST) {
        return;
    }
    let pair = "ip link add w0 type veth peer name w1 && tc qdisc add dev w0 root netem delay 1ms";
    if done(&mut in_namespaces(&["sh", "-c", pair])).code != 0 {
        return skip(TEST, "the kernel has no network emulator");
    }
    let project = Project::new();
    let ask = "import socket\ntry:\n    s = socket.create_connection(('10.20.0.5', 5432), 3)\n    s.sendall(b'hello')\n    s.shutdown(1)\n    print(s.recv(100))\nexcept OSError as error: print('none', error)\n";
    project.write("ask.py", ask);
    let script =
        "python3 ask.py; tc qdisc show dev gate0; tc qdisc del dev gate0 root 2>&1 || true";
    for (more, answers, shown) in [
        ("delay = \"20ms\"\nrate = \"2M\"\n", true, "delay 20ms"),
        ("delay = \"60s\"\n", false, "delay 60s"),
        ("loss = \"100%\"\n", false, "loss 100%"),
    ] {
        let profile = format!("version = 1\n[network]\nallow = [\"10.20.0.0/16:5432\"]\n{more}");
        let said = run(&project, &profile, script).stdout;
        assert_eq!(said.contains("hello"), answers, "{more}: {said}");
        assert!(
            said.contains("netem 1: root") && said.contains(shown),
            "{more}: {said}"
        );
        assert!(said.contains("Operation not permitted"), "{said}");
    }
}

/// A program with a way of its own to ask: how it is built from its source, and how it is run with a host and a port.
struct Asker {
    takes: &'static str,
    source: (&'static str, &'static str),
    build: &'static str,
    run: &'static str,
}

#[track_caller]
fn asks(test: &str, asker: &Asker) {
    let Asker {
        takes,
        source,
        build,
        run: ask,
    } = asker;
    if !can_have_a_world(test) {
        return;
    }
    if done(Command::new("sh").args(["-c", &format!("command -v {takes}")])).code != 0 {
        return skip(test, &format!("{takes} is not installed"));
    }
    let project = Project::new();
    project.write(source.0, source.1);
    let profile = "version = 1\n[network]\nallow = [\"a.example:80\"]\n";
    let ends = [
        "a.example 80",
        "evil.example 80",
        "203.0.113.66 80",
        "203.0.113.10 8080",
    ];
    let asked = ends.map(|end| format!("{ask} {end}")).join("; ");
    let ended = run(&project, profile, &format!("{build} && {asked}"));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines, ["http a.example", "no", "no", "no"], "{ended:?}");
    for told in [
        "resolve evil.example",
        "connect 203.0.113.66:80",
        "connect a.example (203.0.113.10:8080)",
    ] {
        let told = format!("denied: {told}");
        assert!(ended.stderr.contains(&told), "{told}: {}", ended.stderr);
    }
    let asked = std::fs::read_to_string(project.path().join("world/asked")).unwrap();
    assert!(!asked.contains("evil.example"), "{asked}");
}

#[test]
fn a_static_program_with_a_resolver_of_its_own_is_decided_by_the_lists() {
    let asker = Asker {
        takes: "busybox",
        source: (
            "get",
            "[ $2 = 80 ] || at=:$2\ntimeout 60 busybox wget -q -O - \"http://$1$at/\" 2>/dev/null || echo no\n",
        ),
        build: "true",
        run: "sh get",
    };
    asks(
        "a_static_program_with_a_resolver_of_its_own_is_decided_by_the_lists",
        &asker,
    );
}

#[test]
fn a_client_of_node_is_decided_by_the_lists() {
    let asker = Asker {
        takes: "node",
        source: (
            "get.js",
            "const [host, port] = process.argv.slice(2);
             const asked = require('http').get({ host, port }, (answer) => answer.pipe(process.stdout));
             asked.on('error', () => console.log('no'));\n",
        ),
        build: "true",
        run: "node get.js",
    };
    asks("a_client_of_node_is_decided_by_the_lists", &asker);
}

#[test]
fn a_client_of_java_is_decided_by_the_lists() {
    let asker = Asker {
        takes: "javac",
        source: (
            "Get.java",
            "public class Get { public static void main(String[] a) throws Exception {
                try (var socket = new java.net.Socket(a[0], Integer.parseInt(a[1]))) {
                    var asked = \"GET / HTTP/1.0\\r\\nHost: \" + a[0] + \"\\r\\n\\r\\n\";
                    socket.getOutputStream().write(asked.getBytes());
                    var lines = new java.io.BufferedReader(new java.io.InputStreamReader(socket.getInputStream()));
                    for (String line; (line = lines.readLine()) != null; )
                        if (line.startsWith(\"http \")) { System.out.println(line); return; }
                } catch (java.io.IOException none) { System.out.println(\"no\"); } } }\n",
        ),
        build: "javac Get.java",
        run: "java Get",
    };
    asks("a_client_of_java_is_decided_by_the_lists", &asker);
}

#[test]
fn a_client_of_go_is_decided_by_the_lists() {
    let asker = Asker {
        takes: "go",
        source: (
            "get.go",
            "package main
import (\"fmt\"; \"io\"; \"net/http\"; \"os\")
func main() {
	at := os.Args[1]
	if os.Args[2] != \"80\" { at += \":\" + os.Args[2] }
	answer, err := http.Get(\"http://\" + at + \"/\")
	if err != nil { fmt.Println(\"no\"); return }
	io.Copy(os.Stdout, answer.Body)
}
",
        ),
        // Without the C library, so that it is static and asks by itself.
        build: "HOME=/tmp CGO_ENABLED=0 GO111MODULE=off GOTOOLCHAIN=local go build -o get get.go",
        run: "./get",
    };
    asks("a_client_of_go_is_decided_by_the_lists", &asker);
}

#[test]
fn another_resolver_is_reached_where_a_line_names_it_and_names_are_still_the_gates() {
    const TEST: &str =
        "another_resolver_is_reached_where_a_line_names_it_and_names_are_still_the_gates";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let profile = r#"version = 1

[network]
allow = ["198.51.100.53:53", "198.51.100.53:53/udp", "git.example:22", "[2001:db8::/32]:443"]
"#;
    let attempts = [
        (
            "udp",
            "dns('198.51.100.53', 'evil.example')",
            "rcode 0, 1 answers",
        ),
        (
            "tcp",
            "dns('198.51.100.53', 'evil.example', stream=True)",
            "rcode 0, 1 answers",
        ),
        ("third", "dns('203.0.113.53', 'evil.example')", REFUSED),
        (
            "third, tcp",
            "dns('203.0.113.53', 'evil.example', stream=True)",
            REFUSED,
        ),
        (
            "own",
            "dns('192.0.0.3', 'git.example')",
            "rcode 0, 1 answers",
        ),
        (
            "own, tcp",
            "dns('192.0.0.3', 'git.example', stream=True)",
            "rcode 0, 1 answers",
        ),
        (
            "own, stranger",
            "dns('192.0.0.3', 'evil.example')",
            "rcode 3, 0 answers",
        ),
        (
            "six",
            "tls('2001:db8::66', 'evil.example')",
            "tls evil.example",
        ),
        ("four", "raw('203.0.113.66', 443, b'x')", REFUSED),
    ];
    let ended = attempt(&project, profile, &attempts);
    for told in [
        "203.0.113.53:53/udp ",
        "203.0.113.53:53 ",
        "203.0.113.66:443 ",
    ] {
        assert!(
            ended.stderr.contains(&format!("denied: connect {told}")),
            "{told}: {}",
            ended.stderr
        );
    }
}

#[test]
fn what_was_not_reached_is_told_with_the_name_that_was_meant_and_its_line() {
    const TEST: &str = "what_was_not_reached_is_told_with_the_name_that_was_meant_and_its_line";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let attempts = [
        ("name", "resolve('evil.example')", NO_NAME),
        ("said", "tls('a.example', 'b.example')", RESET),
        ("port", "raw('a.example', 8443, b'x')", REFUSED),
        ("raw", "raw('203.0.113.66', 443, b'x')", REFUSED),
        ("denied", "resolve('old.mirror.example')", NO_NAME),
        ("special", "resolve('meta.mirror.example')", NO_ADDRESS),
        ("udp", "udp('203.0.113.66', 123)", REFUSED),
    ];
    let ended = attempt(&project, PROFILE, &attempts);
    let expected = [
        (
            "resolve evil.example",
            "not in network.allow",
            "sandbox.toml:4",
            "add \"evil.example:PORT\" to `allow` under [network]",
        ),
        (
            "connect b.example (203.0.113.10:443)",
            "not in network.allow",
            "sandbox.toml:4",
            "add \"b.example:443\" to `allow` under [network]",
        ),
        (
            "connect a.example (203.0.113.10:8443)",
            "network.allow has another port: \"a.example:443\"",
            "sandbox.toml:5",
            "add \"a.example:8443\" to `allow` under [network]",
        ),
        (
            "connect 203.0.113.66:443",
            "not in network.allow",
            "sandbox.toml:4",
            "add \"203.0.113.66:443\" to `allow` under [network]",
        ),
        (
            "resolve old.mirror.example",
            "network.deny \"old.mirror.example\"",
            "sandbox.toml:13",
            "remove \"old.mirror.example\" from `deny` under [network]",
        ),
        (
            "resolve meta.mirror.example (169.254.169.254)",
            "no name leads to an address of the kind \"link-local\"",
            "sandbox.toml:4",
            "add \"169.254.169.254:PORT\" to `allow` under [network]",
        ),
        (
            "connect 203.0.113.66:123/udp",
            "not in network.allow",
            "sandbox.toml:4",
            "add \"203.0.113.66:123/udp\" to `allow` under [network]",
        ),
    ];
    for (what, rule, line, remedy) in expected {
        let told = ended
            .stderr
            .split("denied: ")
            .find(|told| told.starts_with(what));
        let told = told.unwrap_or_else(|| panic!("{what}: {}", ended.stderr));
        for part in [rule, line, remedy] {
            assert!(told.contains(part), "{what}: {part}: {told}");
        }
    }
    let text = std::fs::read_to_string(project.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let unreached = report["unreached"].as_array().unwrap();
    assert_eq!(unreached.len(), expected.len(), "{text}");
    let said = unreached
        .iter()
        .find(|one| one["name"] == "b.example")
        .unwrap();
    assert_eq!(
        (&said["address"], &said["port"]),
        (&"203.0.113.10".into(), &443.into())
    );
    let schema = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/schema/report.schema.json"
    ));
    let schema = schema
        .or_else(|_| std::fs::read_to_string("schema/report.schema.json"))
        .unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn bytes_arrive_whole_and_in_order_both_ways_with_either_end_closed_first() {
    const TEST: &str = "bytes_arrive_whole_and_in_order_both_ways_with_either_end_closed_first";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    project.write("attempts.py", ATTEMPTS);
    let script = r#"
import hashlib, os, socket, threading
data = os.urandom(1 << 20) * 24
def one(results):
    with socket.create_connection(("10.20.0.5", 5432), 60) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send).start()
        got = bytearray()
        while part := s.recv(1 << 16):
            got += part
        results.append(bytes(got) == data + b"end")
results = []
all = [threading.Thread(target=one, args=(results,)) for _ in range(4)]
[t.start() for t in all]
[t.join() for t in all]
print(results)
"#;
    project.write("whole.py", script);
    let ended = run(&project, PROFILE, "python3 whole.py");
    assert_eq!(ended.ok(), "[True, True, True, True]\n");
}

#[test]
fn a_command_that_opens_all_the_connections_it_can_delays_no_time_limit_and_leaves_nothing() {
    const TEST: &str =
        "a_command_that_opens_all_the_connections_it_can_delays_no_time_limit_and_leaves_nothing";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let script = r#"
import socket, resource, os
address = socket.getaddrinfo("a.example", 443)[0][4]
held = []
try:
    while len(held) < 900:
        s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        s.setblocking(False)
        s.connect_ex(address)
        held.append(s)
except OSError as e:
    print(e)
print(len(held) > 500, flush=True)
for s in held[:200]:
    try: s.send(b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfc" + os.urandom(900))
    except OSError: pass
junk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    junk.sendto(os.urandom(60), ("192.0.0.3", 53))
    junk.sendto(b"x", ("203.0.113.66", 9))
"#;
    project.write("flood.py", script);
    let profile = format!(
        "{PROFILE}\n[rlimits]\nnofile = 1000\n\n[limits]\nwall_time = \"3s\"\ngrace = \"1s\"\n"
    );
    let profile = profile.replace("file = \"report.json\"", "");
    let ended = run(&project, &profile, "python3 flood.py");
    assert!(ended.stdout.contains("True"), "{ended:?}");
    let said = ended.fails(124);
    assert!(said.contains("wall time of 3s reached"), "{said}");
}

#[test]
fn a_supervisor_that_is_killed_takes_the_command_and_its_connections_along() {
    const TEST: &str = "a_supervisor_that_is_killed_takes_the_command_and_its_connections_along";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let profile = PROFILE.replace("[report]\nfile = \"report.json\"\n", "");
    project.write("sandbox.toml", profile);
    let held = r#"
import socket, time
s = socket.create_connection(("10.20.0.5", 5432))
s.sendall(b"\0x")
print("there", s.recv(9), flush=True)
time.sleep(4711)
"#;
    project.write("held.py", held);
    let killer = r#"
"$1" --profile sandbox.toml -- python3 held.py >out &
run=$!
for i in $(seq 100); do grep -q there out && break; sleep 0.1; done
ss -Htn state established dport = :5432 | wc -l
kill -9 $run
for i in $(seq 100); do ss -Htn state established dport = :5432 | grep -q . || break; sleep 0.1; done
ss -Htn state established dport = :5432 | wc -l
for i in $(seq 100); do ps -eo pid,args | grep '[h]eld\.py' | grep -q "$2" || break; sleep 0.1; done
ps -eo args | grep -c "[h]eld.py.*$2"
ip -o link | grep -c -e gate0 -e shut0
true
"#;
    let killer = project.write("kill.sh", killer);
    let world = project.write("world/world.py", WORLD);
    let program = crate::support::program();
    let words = [
        "python3".as_ref(),
        world.as_os_str(),
        world.parent().unwrap().as_os_str(),
        "sh".as_ref(),
        killer.as_os_str(),
        program.as_os_str(),
        project.path().as_os_str(),
    ];
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    let ended = done(in_namespaces(&words).current_dir(project.path()));
    assert_eq!(ended.stdout, "1\n0\n0\n0\n", "{ended:?}");
}

#[test]
fn what_why_answers_is_what_the_lists_say() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    for (about, allowed, part) in [
        ("a.example:443", true, "network.allow has \"a.example:443\""),
        ("A.EXAMPLE:443", true, "network.allow has \"a.example:443\""),
        ("x.y.mirror.example:80", true, "*.mirror.example:80"),
        ("a.example:22", false, "another port"),
        ("evil.example:443", false, "not in network.allow"),
        ("old.mirror.example:80", false, "network.deny"),
        ("10.20.1.2:5432", true, "10.20.0.0/16:5432"),
        ("10.21.1.2:5432", false, "private"),
        ("203.0.113.66:443", false, "not in network.allow"),
        ("127.0.0.1:80", false, "the sandbox's own"),
    ] {
        let answer = done(&mut project.program(&["why", "sandbox.toml", "connect", about]));
        assert_eq!(answer.code, i32::from(!allowed), "{about}: {answer:?}");
        assert!(answer.stdout.contains(part), "{about}: {answer:?}");
    }
}

#[test]
fn the_plan_shows_the_gate_and_a_profile_without_lists_has_no_step_of_it() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let shown =
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok();
    for part in [
        "open the gate: let through nothing but a.example:443, a.example:80, *.mirror.example:80, git.example:22, 10.20.0.0/16:5432, quic.example:443/udp, down.example:80; and of that not old.mirror.example",
        "make the gate's network namespace",
        "route 10.20.0.0/16 by gate0",
        "take what comes to port 443 (udp) of the gate",
        "resolve names at 192.0.0.3:53 (udp) of the gate",
        "return to the sandbox's network namespace",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    project.write("sandbox.toml", "version = 1\n");
    let shown =
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok();
    assert!(!shown.contains("gate"), "{shown}");
}

#[test]
fn an_assertion_about_a_connection_is_judged_by_the_lists() {
    const TEST: &str = "an_assertion_about_a_connection_is_judged_by_the_lists";
    if !can_have_a_world(TEST) {
        return;
    }
    let project = Project::new();
    let profile = PROFILE.replace("[report]\nfile = \"report.json\"\n", "");
    let tests = r#"
[[test]]
name = "stranger"
cannot_connect = ["203.0.113.66:443", "203.0.113.66:9", "[2001:db8::66]:443", "10.20.0.5:80"]

[[test]]
name = "database"
can_connect = ["10.20.0.5:5432"]

[[test]]
name = "wrong"
can_connect = ["203.0.113.66:80"]
"#;
    project.write("sandbox.toml", profile + tests);
    let ended = done(&mut in_world(&project, &["test", "sandbox.toml"]));
    assert_ne!(ended.code, 0, "{ended:?}");
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        all.contains("`allow` under [network] is not about it"),
        "{all}"
    );
    let json = done(&mut in_world(
        &project,
        &["test", "--format", "json", "sandbox.toml"],
    ));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let text = json.to_string();
    let passed = text.matches("\"outcome\":\"passed\"").count();
    assert_eq!(passed, 5, "{text}");
}
