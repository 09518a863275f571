//! A network of a test's own, which plays the host and the world beyond it: nothing leaves the machine.

use crate::live::eventually;
use crate::support::{Done, Project, done, finished, is_root, program, skip};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A network namespace, as root or in a user namespace of a plain user's. It goes with the test.
pub struct Lab {
    holder: Child,
}

/// What serves: over TCP the address of whoever says something, over UDP what was sent and the same; over both, of IPv4 and
/// IPv6, on the ports that are its arguments.
const SERVER: &str = r#"
import socketserver, socket, sys, threading
class Tcp(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, daemon_threads = socket.AF_INET6, True, True
class Udp(socketserver.ThreadingUDPServer):
    address_family, daemon_threads = socket.AF_INET6, True
class OnTcp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(100)
        self.request.sendall(self.client_address[0].removeprefix('::ffff:').encode())
class OnUdp(socketserver.BaseRequestHandler):
    def handle(self):
        text, socket = self.request
        socket.sendto(text + b' ' + self.client_address[0].removeprefix('::ffff:').encode(), self.client_address)
for port in sys.argv[1:]:
    for kind, handler in ((Tcp, OnTcp), (Udp, OnUdp)):
        server = kind(('::', int(port)), handler)
        threading.Thread(target=server.serve_forever).start()
"#;

/// What asks a server: kind, address, port; prints the answer, or fails.
pub const CLIENT: &str = r#"
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
to = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
to.settimeout(3)
to.connect((address, port))
to.send(b'echo')
print(to.recv(100).decode(), end='')
"#;

/// A resolver that knows one name, `world.test`: 198.51.100.1.
const RESOLVER: &str = r#"
import socket
at = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
at.bind(('198.51.100.1', 53))
while True:
    question, peer = at.recvfrom(512)
    end = question.index(b'\0', 12) + 5
    known = question[12:end-4] == b'\5world\4test\0' and question[end-4:end-2] == b'\0\1'
    answer = b'\xc0\x0c\0\1\0\1\0\0\0\1\0\4' + bytes([198, 51, 100, 1]) if known else b''
    head = question[:2] + (b'\x81\x80' if known else b'\x81\x83') + b'\0\1\0' + bytes([known]) + b'\0\0\0\0'
    at.sendto(head + question[12:end] + answer, peer)
"#;

impl Lab {
    /// An empty network with a loopback; `None`, and said so, where this machine has not what it takes.
    pub fn new(test: &str) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.arg(if is_root() { "-n" } else { "-Urn" });
        command.args(["sh", "-c", "ip link set lo up && echo up && exec cat"]);
        let holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut holder = match holder {
            Ok(holder) => holder,
            Err(error) => {
                skip(test, &format!("no unshare: {error}"));
                return None;
            }
        };
        let mut line = String::new();
        let out = holder.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let lab = Self { holder };
        if line != "up\n" {
            skip(
                test,
                "no network namespace with a loopback can be made here",
            );
            return None;
        }
        Some(lab)
    }

    /// The same, where pairs of interfaces and nftables are to be had: they take root.
    pub fn of_root(test: &str) -> Option<Self> {
        if !is_root() {
            skip(test, "only root has pairs of interfaces");
            return None;
        }
        let lab = Self::with_pairs(test)?;
        let table = "nft add table inet t '{ chain c { type nat hook output priority 0; }; }' && nft delete table inet t";
        lab.can(table, test, "nftables").then_some(lab)
    }

    /// The same, where the kernel has pairs of interfaces, which the gate needs too.
    pub fn with_pairs(test: &str) -> Option<Self> {
        let lab = Self::new(test)?;
        let pair = "ip link add v0 type veth peer name v1 && ip link del v0";
        lab.can(pair, test, "pairs of interfaces").then_some(lab)
    }

    fn can(&self, script: &str, test: &str, what: &str) -> bool {
        let can = self.shell(script).code == 0;
        if !can {
            skip(test, &format!("the kernel has no {what}"));
        }
        can
    }

    /// The same, where pasta can be used.
    pub fn with_pasta(test: &str) -> Option<Self> {
        let tun = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun");
        let open = std::fs::metadata("/dev/net/tun").is_ok_and(|device| {
            std::os::unix::fs::PermissionsExt::mode(&device.permissions()) & 0o6 == 0o6
        });
        if tun.is_err() || !open {
            skip(test, "/dev/net/tun is not everybody's");
            return None;
        }
        let lab = Self::new(test)?;
        if lab
            .shell("ip link add v0 type veth peer name v1 && ip link del v0 && command -v pasta")
            .code
            != 0
        {
            skip(test, "no pasta, or no pairs of interfaces");
            return None;
        }
        Some(lab)
    }

    fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// A command in it, with root's rights over it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &self.pid()]);
        if !is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("--").args(words).stdin(Stdio::null());
        command
    }

    /// A shell script in it, to its end.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Done {
        done(&mut self.command(&["sh", "-c", script]))
    }

    /// A run of `sandbox` in it under a profile: as root, or as a plain user without any right over it.
    pub fn sandbox(&self, project: &Project, profile: &str, words: &[&str]) -> Command {
        project.write("sandbox.toml", format!("version = 1\n{profile}"));
        let program = program();
        let mut all = Vec::new();
        if !is_root() {
            all.extend(["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]);
        }
        all.push(program.to_str().unwrap());
        all.extend(["--profile", "sandbox.toml", "--"]);
        all.extend(words);
        let mut command = self.command(&all);
        command.current_dir(project.path());
        command
    }

    /// The same for a shell script, to its end.
    #[track_caller]
    pub fn run(&self, project: &Project, profile: &str, script: &str) -> Done {
        done(&mut self.sandbox(project, profile, &["sh", "-c", script]))
    }

    /// A sandbox that serves on a port.
    pub fn serving(&self, project: &Project, profile: &str, port: &str) -> Service {
        let words = ["python3", "-c", SERVER, port];
        Service::start(&mut self.sandbox(project, profile, &words))
    }

    /// Whether the kernel has the filter that limits what an interface sends.
    pub fn has_buckets(&self) -> bool {
        let tried = "ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root tbf rate 1mbit burst 9kb limit 9kb";
        let found = self.shell(tried).code == 0;
        let _ = self.shell("ip link del v0");
        found
    }

    /// Whether the kernel has what delays and loses what an interface sends.
    pub fn has_emulator(&self) -> bool {
        let tried =
            "ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root netem delay 1ms";
        let found = self.shell(tried).code == 0;
        let _ = self.shell("ip link del v0");
        found
    }

    /// A server in this network itself.
    pub fn server(&self, ports: &[&str]) -> Service {
        let words = [&["python3", "-c", SERVER][..], ports].concat();
        let service = Service::start(&mut self.command(&words));
        for port in ports {
            self.hear("tcp", "127.0.0.1", port);
        }
        service
    }

    /// Asks a server from here: its answer, `None` where there is none.
    pub fn ask(&self, kind: &str, address: &str, port: &str) -> Option<String> {
        let asked = done(&mut self.command(&["python3", "-c", CLIENT, kind, address, port]));
        (asked.code == 0).then_some(asked.stdout)
    }

    /// The same, again and again, until there is one.
    #[track_caller]
    pub fn hear(&self, kind: &str, address: &str, port: &str) -> String {
        let mut heard = None;
        eventually(&format!("{kind} {address} {port} answers"), || {
            heard = self.ask(kind, address, port);
            heard.is_some()
        });
        heard.unwrap()
    }

    /// A world beyond this network: 198.51.100.1 and fd11::1, where a server serves on port 9000 and a
    /// resolver knows `world.test`. This network is 198.51.100.2 and fd11::2 there.
    #[track_caller]
    pub fn world(&self) -> World {
        let mut holder = self
            .command(&[
                "unshare",
                "-n",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let world = World {
            lab: Lab { holder },
            services: Vec::new(),
        };
        let pid = world.lab.pid();
        self.shell(&format!(
            "ip link add wan0 type veth peer name wan1 netns {pid} &&
             ip address add 198.51.100.2/24 dev wan0 && ip address add fd11::2/64 dev wan0 nodad &&
             ip link set wan0 up && ip route add default via 198.51.100.1"
        ))
        .ok();
        world
            .lab
            .shell(
                "ip address add 198.51.100.1/24 dev wan1 && ip address add fd11::1/64 dev wan1 nodad &&
                 ip link set wan1 up",
            )
            .ok();
        self.shell("ip -6 route add default via fd11::1").ok();
        let mut services = Vec::new();
        for words in [
            &["python3", "-c", SERVER, "9000"][..],
            &["python3", "-c", RESOLVER],
        ] {
            services.push(Service::start(&mut world.lab.command(words)));
        }
        world.lab.hear("tcp", "127.0.0.1", "9000");
        World { services, ..world }
    }

    /// That nothing is left in this network but `names` besides loopback, and no process but the test's.
    #[track_caller]
    pub fn is_clean(&self, names: &[&str]) {
        let wanted = ["lo"].iter().chain(names).map(ToString::to_string);
        let wanted: BTreeSet<_> = wanted.collect();
        eventually("no interface is left", || {
            let links = self.shell("ls /proc/sys/net/ipv4/conf").ok();
            let links = links
                .lines()
                .filter(|name| !["all", "default"].contains(name));
            links.map(str::to_owned).collect::<BTreeSet<_>>() == wanted
        });
        // A kernel without nftables has no tables, and says so before anything is made.
        let nftables = "nft add table inet t && nft delete table inet t";
        if is_root() && self.shell(nftables).code == 0 {
            assert_eq!(self.shell("nft list tables").ok(), "");
        }
        let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let own = network(&self.pid());
        eventually("no process is left", || {
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            let all = all.filter_map(|entry| entry.file_name().into_string().ok());
            let there = all.filter(|pid| pid.parse::<u32>().is_ok() && network(pid) == own);
            there.collect::<Vec<_>>() == [self.pid()]
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// See [`Lab::world`].
pub struct World {
    pub lab: Lab,
    #[expect(dead_code, reason = "they serve as long as this is there")]
    services: Vec<Service>,
}

/// Something that runs until it is dropped.
pub struct Service {
    child: Option<Child>,
}

impl Service {
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self {
            child: Some(child.unwrap()),
        }
    }

    /// Kills it as nothing can be handled.
    pub fn kill(&mut self) {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits for it.
    #[track_caller]
    pub fn end(mut self) -> Done {
        let child = self.child.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        finished(child.wait_with_output().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Hides a file in a mount namespace of the command's own; only root can.
pub fn hidden(file: &Path, command: &Command) -> Command {
    let mut all = Command::new("unshare");
    all.args(["-m", "sh", "-c"]);
    all.arg(format!(
        "mount --bind /dev/null {} && exec \"$@\"",
        file.display()
    ));
    all.arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        all.current_dir(folder);
    }
    all.stdin(Stdio::null());
    all
}
