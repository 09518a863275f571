//! Names of the sandboxes on a bridge.

use super::lab::{Lab, Service};
use crate::live::eventually;
use crate::support::{Project, done, program};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Tells on port 7000 what names lead to: what a program is told, or after `raw:` with a protocol the code of an answer and how
/// many bytes it has.
const ASKER: &str = r#"
import socket, socketserver, struct
def raw(protocol, name):
    question = struct.pack('>6H', 7, 256, 1, 0, 0, 0)
    question += b''.join(bytes([len(part)]) + part.encode() for part in name.split('.')) + struct.pack('>BHH', 0, 16, 1)
    to = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
    to.settimeout(20)
    to.connect(('127.0.0.11', 53))
    to.send((struct.pack('>H', len(question)) if protocol == 'tcp' else b'') + question)
    if protocol == 'udp':
        answer = to.recv(9999)
    else:
        answer = b''
        while len(answer) < 2 or len(answer) < 2 + struct.unpack('>H', answer[:2])[0]:
            answer += to.recv(9999)
        answer = answer[2:]
    return f"{answer[3] & 15} {'cut' if answer[2] & 2 else 'whole'} {len(answer) > 512}"
class Tell(socketserver.BaseRequestHandler):
    def handle(self):
        name = self.request.recv(300).decode()
        try:
            if name.startswith('raw:'):
                told = raw(*name.split(':')[1:])
            else:
                told = ' '.join(sorted({one[4][0] for one in socket.getaddrinfo(name, None)}))
        except OSError as why:
            told = 'none' if isinstance(why, socket.gaierror) else repr(why)
        self.request.sendall(told.encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
Server(('', 7000), Tell).serve_forever()
"#;

/// Asks somebody's asker.
const ASK: &str = r#"
import socket, sys
to = socket.create_connection((sys.argv[1], 7000), 30)
to.send(sys.argv[2].encode())
print(to.recv(1000).decode(), end='')
"#;

/// A resolver at 198.51.100.9 that knows `world.test`, and a text of `long.test` which does not fit into a datagram.
const RESOLVER: &str = r#"
import socket, struct, threading
def answer(question, stream):
    end = question.index(b'\0', 12) + 5
    name, kind = question[12:end-4], question[end-4:end-2]
    head, rest = question[:2], question[12:end]
    if name == b'\5world\4test\0':
        found = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + bytes([198, 51, 100, 1]) if kind == b'\0\1' else b''
    elif name == b'\4long\4test\0':
        if not stream:
            return head + b'\x83\x80\0\1\0\0\0\0\0\0' + rest
        found = b'\xc0\x0c' + struct.pack('>HHIH', 16, 1, 60, 1024) + (b'\xff' + b'x' * 255) * 4
    else:
        return head + b'\x81\x83\0\1\0\0\0\0\0\0' + rest
    return head + b'\x81\x80\0\1\0' + bytes([bool(found)]) + b'\0\0\0\0' + rest + found
streams = socket.create_server(('198.51.100.9', 53))
def serve():
    while True:
        one = streams.accept()[0]
        said = answer(one.recv(512)[2:], True)
        one.sendall(struct.pack('>H', len(said)) + said)
        one.close()
threading.Thread(target=serve, daemon=True).start()
at = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
at.bind(('198.51.100.9', 53))
while True:
    question, peer = at.recvfrom(512)
    at.sendto(answer(question, False), peer)
"#;

const BRIDGE: &str = "ip link add br0 type bridge && ip address add 10.9.0.1/24 dev br0 && ip address add fd00:9::1/64 dev br0 nodad && ip link set br0 up";

fn on(bridge: &str, number: u8) -> String {
    format!(
        "[network]\nmode = \"veth\"\nbridge = \"{bridge}\"\naddress = [\"10.9.0.{number}/24\", \"fd00:9::{number}/64\"]\n"
    )
}

/// A run under a name; it has begun with its command when there is `ready`.
fn named(lab: &Lab, project: &Project, name: &str, profile: &str, words: &[&str]) -> Command {
    project.write("sandbox.toml", format!("version = 1\n{profile}"));
    let program = program();
    let mut all = vec![program.to_str().unwrap(), "--name", name];
    all.extend(["--profile", "sandbox.toml", "--"]);
    all.extend(words);
    let mut command = lab.command(&all);
    command.current_dir(project.path());
    command
}

fn ready(lab: &Lab, project: &Project, name: &str, profile: &str) -> Service {
    let _ = std::fs::remove_file(project.path().join("ready"));
    let script = ["sh", "-c", "touch ready; sleep 300"];
    let service = Service::start(&mut named(lab, project, name, profile, &script));
    eventually("it runs", || project.path().join("ready").exists());
    service
}

fn told(lab: &Lab, at: &str, name: &str) -> String {
    done(&mut lab.command(&["python3", "-c", ASK, at, name])).ok()
}

#[test]
fn a_name_on_a_bridge_leads_to_who_runs_under_it_and_to_nobody_afterwards() {
    let test = "a_name_on_a_bridge_leads_to_who_runs_under_it_and_to_nobody_afterwards";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    lab.shell(BRIDGE).ok();
    lab.shell("ip link add br1 type bridge && ip link set br1 up")
        .ok();
    let name = |what: &str| format!("{}-{what}", crate::running::name());
    let (web, other, asker) = (name("Web"), name("other.one"), name("asker"));
    let projects = [(); 3].map(|()| Project::new());
    let profile = format!("{}names = true\n", on("br0", 9));
    let words = ["python3", "-c", ASKER];
    let _asker = Service::start(&mut named(&lab, &projects[0], &asker, &profile, &words));
    eventually("it serves", || lab.ask("tcp", "10.9.0.9", "7000").is_some());
    let told = |name: &str| told(&lab, "10.9.0.9", name);
    assert_eq!(told(&asker), "10.9.0.9 fd00:9::9");
    assert_eq!(told(&web), "none");
    let mut service = ready(&lab, &projects[1], &web, &on("br0", 2));
    for spelled in [web.clone(), web.to_lowercase(), format!("{web}.")] {
        assert_eq!(told(&spelled), "10.9.0.2 fd00:9::2", "{spelled}");
    }
    // Who is asked for a text knows that there is none.
    for protocol in ["udp", "tcp"] {
        assert_eq!(told(&format!("raw:{protocol}:{web}")), "0 whole False");
        assert_eq!(told(&format!("raw:{protocol}:{other}")), "3 whole False");
    }
    // Another bridge's is none of this one's.
    let there = on("br1", 3)
        .replace("10.9.", "10.8.")
        .replace("fd00:9:", "fd00:8:");
    let elsewhere = ready(&lab, &projects[2], &other, &there);
    assert_eq!(told(&other), "none");
    drop(elsewhere);
    // Nor is what nobody runs under, whatever lies among the records.
    let strange = name("strange");
    let file = std::path::Path::new("/run/sandbox").join(format!("0123456789ab~{strange}"));
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let said = told(&strange);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(said, "none");
    let forged = r#"{"version":2,"port":{"bridge":"br0","addresses":["10.9.0.66"]}}"#;
    std::fs::write(&file, format!("{forged}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = told(&strange);
    let _ = std::fs::remove_file(&file);
    assert_eq!(said, "none");
    // The lock on the own record is still held after all those questions.
    let states = done(Command::new(program()).args(["ps", "--json"])).ok();
    let states: serde_json::Value = serde_json::from_str(&states).unwrap();
    let text = states.to_string();
    assert!(text.contains(&asker) && text.contains(&web), "{text}");
    // A name goes with its run, however that ends, and comes again with the next.
    service.kill();
    eventually("nobody has the name", || told(&web) == "none");
    let again = ready(&lab, &projects[1], &web, &on("br0", 7));
    assert_eq!(told(&web), "10.9.0.7 fd00:9::7");
    assert_eq!(again.end().code, 143);
    assert_eq!(told(&web), "none");
    drop(_asker);
    lab.is_clean(&["br0", "br1"]);
}

#[test]
fn names_of_nobody_on_the_bridge_are_asked_of_the_resolvers_of_the_profile() {
    let test = "names_of_nobody_on_the_bridge_are_asked_of_the_resolvers_of_the_profile";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    lab.shell(BRIDGE).ok();
    lab.shell("ip address add 198.51.100.9/32 dev lo").ok();
    let _resolver = Service::start(&mut lab.command(&["python3", "-c", RESOLVER]));
    let project = Project::new();
    let base = format!(
        "{}names = true\ngateway = [\"10.9.0.1\"]\ndns = [\"198.51.100.9\"]\n",
        on("br0", 9)
    );
    for (filter, expected) in [
        (
            "",
            [
                "198.51.100.1",
                "none",
                "3 whole False",
                "0 cut False",
                "0 whole True",
            ],
        ),
        // What the sandbox must not reach, nobody reaches for it.
        (
            "allow = [\"10.9.0.1:1\"]\n",
            [
                "none",
                "none",
                "2 whole False",
                "2 whole False",
                "2 whole False",
            ],
        ),
    ] {
        let name = crate::running::name();
        let profile = format!("{base}{filter}");
        let words = ["python3", "-c", ASKER];
        let service = Service::start(&mut named(&lab, &project, &name, &profile, &words));
        eventually("it serves", || lab.ask("tcp", "10.9.0.9", "7000").is_some());
        let asked = [
            "world.test",
            "nobody.test",
            "raw:udp:nobody.test",
            "raw:udp:long.test",
            "raw:tcp:long.test",
        ];
        for (name, expected) in asked.iter().zip(expected) {
            assert_eq!(told(&lab, "10.9.0.9", name), expected, "{filter}{name}");
        }
        assert_eq!(told(&lab, "10.9.0.9", &name), "10.9.0.9 fd00:9::9");
        drop(service);
    }
    lab.shell("ip address del 198.51.100.9/32 dev lo").ok();
}
