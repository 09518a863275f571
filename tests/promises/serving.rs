//! More than one run: `--repeat`, and a run for each connection, `--listen`.

use crate::live::{PATIENCE, eventually};
use crate::support::{Project, done, finished, program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PROFILE: &str = "version = 1";

fn repeated(project: &Project, times: &str, profile: &str, script: &str) -> Command {
    project.write("sandbox.toml", profile);
    project.program(&[
        "--profile",
        "sandbox.toml",
        "--repeat",
        times,
        "--",
        "sh",
        "-c",
        script,
    ])
}

#[test]
fn each_repetition_is_a_sandbox_of_its_own() {
    let project = Project::new();
    // What one leaves in private is not there for the next; what it leaves in the project is.
    let script = "[ ! -e /tmp/mine ] || echo seen; touch /tmp/mine; echo x >>count; wc -l <count; [ $(wc -l <count) -lt 2 ] || exit $(wc -l <count)";
    let run = done(&mut repeated(&project, "4", PROFILE, script));
    assert_eq!(
        (run.code, &*run.stdout, &*run.stderr),
        (2, "1\n2\n3\n4\n", "")
    );
    assert_eq!(
        done(&mut repeated(&project, "3", PROFILE, "echo")).ok(),
        "\n\n\n"
    );
}

#[test]
fn a_profile_is_read_once_for_all_repetitions() {
    let project = Project::new();
    let script = "hostname; printf 'version = 1\\nhostname = \"other\"\\n' >sandbox.toml";
    let run = done(&mut repeated(
        &project,
        "3",
        "version = 1\nhostname = \"first\"",
        script,
    ));
    assert_eq!(run.ok(), "first\n".repeat(3));
}

#[test]
fn repetition_ends_where_the_command_does_not_start_or_is_interrupted() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let run = done(&mut project.program(&[
        "--profile",
        "sandbox.toml",
        "--repeat",
        "forever",
        "--",
        "/nowhere/at/all",
    ]));
    assert_eq!(run.stderr.matches("cannot execute").count(), 1, "{run:?}");
    assert_eq!(run.code, 127);
    // The command's own 125 is an end like any other.
    let run = done(&mut repeated(&project, "2", PROFILE, "echo; exit 125"));
    assert_eq!((run.code, &*run.stdout), (125, "\n\n"));
    let run = done(&mut repeated(
        &project,
        "forever",
        PROFILE,
        "echo; kill -INT $$",
    ));
    assert_eq!((run.code, &*run.stdout), (130, "\n"));
    for wrong in ["0", "1.5", "often"] {
        let run = done(&mut project.program(&["--repeat", wrong, "--", "true"]));
        assert!(
            run.clone().fails(125).contains("a number from 1 on"),
            "{run:?}"
        );
    }
}

#[test]
fn repetition_ends_when_it_is_asked_to() {
    let project = Project::new();
    let mut command = repeated(
        &project,
        "forever",
        "version = 1\n[limits]\ngrace = \"300ms\"",
        "trap 'echo asked; exit 6' TERM; echo >>count; while :; do sleep 0.02; done",
    );
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let count = project.path().join("count");
    eventually("the command has begun", || count.exists());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!((run.code, &*run.stdout), (6, "asked\n"), "{run:?}");
    assert_eq!(std::fs::read_to_string(count).unwrap(), "\n");
}

/// A server, ended with all of its runs if the test gives up on it.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Where it says that it listens.
    address: String,
}

impl Server {
    fn start(project: &Project, options: &[&str], profile: &str, script: &str) -> Self {
        project.write("sandbox.toml", profile);
        let mut words = vec!["--profile", "sandbox.toml"];
        words.extend(options);
        words.extend(["--", "sh", "-c", script]);
        Self::of(&mut project.program(&words))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("sandbox: listening on ");
        let address = address.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self {
            child,
            stderr,
            address,
        }
    }

    fn port(&self) -> SocketAddr {
        self.address.strip_prefix("tcp:").unwrap().parse().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.port()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, words: &str) -> String {
        answer(self.connect(), words)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The processes of its runs, as far as they are its children's.
    fn runs(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut look = vec![self.child.id().to_string()];
        while let Some(pid) = look.pop() {
            let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            for child in list.unwrap_or_default().split_whitespace() {
                found.insert(child.to_owned());
                look.push(child.to_owned());
            }
        }
        found
    }

    /// Its exit code, and what it has said since.
    fn ends(&mut self) -> (i32, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes, and reads until the end.
fn answer(mut stream: impl std::io::Read + std::io::Write, words: &str) -> String {
    stream.write_all(words.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const ANY: &[&str] = &["--listen", "tcp:127.0.0.1:0"];

#[test]
fn connections_have_a_sandbox_each_and_none_is_lost() {
    let project = Project::new();
    let script = "read -r word; ls /tmp | grep number; touch /tmp/$word; echo \"$word $$ $(ls -d /proc/[0-9]* | wc -l)\"";
    let all = match std::env::var("SANDBOX_STRESS").as_deref() {
        Ok("full") => 1000,
        _ => 80,
    };
    let server = Server::start(&project, ANY, PROFILE, script);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..all.min(100) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        break;
                    }
                    // More is sent than is read: what is written arrives all the same.
                    let answer = server.ask(&format!("number-{number}\nunread\n"));
                    let words: Vec<_> = answer.split_whitespace().collect();
                    let [word, pid, _] = words[..] else {
                        panic!("{answer:?}")
                    };
                    assert_eq!(
                        (word, pid),
                        (&*format!("number-{number}"), "2"),
                        "{answer:?}"
                    );
                }
            });
        }
    });
    server.signal(Signal::SIGTERM);
    let mut server = server;
    assert_eq!(server.ends(), (0, String::new()));
}

#[test]
fn no_more_are_served_at_once_than_there_may_be() {
    let project = Project::new();
    let options = ["--listen", "tcp:127.0.0.1:0", "--max", "2"];
    let server = Server::start(
        &project,
        &options,
        PROFILE,
        "echo begun; read -r word; echo $word",
    );
    let mut served: Vec<_> = (0..2).map(|_| BufReader::new(server.connect())).collect();
    for one in &mut served {
        let mut line = String::new();
        one.read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
    }
    let mut third = server.connect();
    third
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let waits = third.read(&mut [0; 10]).unwrap_err();
    assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    drop(served.pop());
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(answer(third, "third\n"), "begun\nthird\n");
}

#[test]
fn limits_are_those_of_each_connection() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\nwall_time = \"60s\"\n[[mounts]]\ntarget = \"/tmp\"\ntype = \"tmpfs\"\nsize = \"1M\"";
    let script = "head -c 900000 /dev/zero >/tmp/one 2>&1 && echo room; head -c 900000 /dev/zero >/tmp/two 2>/dev/null || echo full; read -r word";
    let server = Server::start(&project, ANY, profile, script);
    let at_once: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for mut one in at_once {
        let mut said = [0; 10];
        one.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"room\nfull\n");
    }
    // A limit on time ends one run, and not the server.
    let profile = "version = 1\n[limits]\nwall_time = \"300ms\"\ngrace = \"10ms\"";
    let mut server = Server::start(
        &project,
        ANY,
        profile,
        "echo begun; while :; do sleep 1; done",
    );
    for _ in 0..2 {
        assert_eq!(server.ask(""), "begun\n");
    }
    server.signal(Signal::SIGTERM);
    let (code, said) = server.ends();
    assert_eq!(
        (code, said.matches("wall time of 300ms reached").count()),
        (0, 2),
        "{said}"
    );
}

#[test]
fn a_server_that_is_asked_to_end_ends_its_runs() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\ngrace = \"200ms\"";
    let script = "trap 'echo asked; exit' TERM; echo begun; (trap '' TERM; sleep 1000) & while :; do sleep 0.05; done";
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let mut server = Server::start(&project, ANY, profile, script);
        let mut clients: Vec<_> = (0..3).map(|_| BufReader::new(server.connect())).collect();
        for client in &mut clients {
            let mut line = String::new();
            client.read_line(&mut line).unwrap();
            assert_eq!(line, "begun\n");
        }
        let runs = server.runs();
        assert!(runs.len() >= 9, "{runs:?}");
        server.signal(signal);
        for client in &mut clients {
            let mut rest = String::new();
            client.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "asked\n", "{signal}");
        }
        drop(clients);
        if signal != Signal::SIGKILL {
            assert_eq!(server.ends().0, 0, "{signal}");
        }
        eventually("nothing is left", || {
            !runs.iter().any(|pid| Path::new("/proc").join(pid).exists())
        });
        assert!(TcpStream::connect(server.port()).is_err(), "{signal}");
    }
}

#[test]
fn a_socket_of_the_file_system_is_there_as_long_as_the_server() {
    let project = Project::new();
    let options = ["--listen", "unix:here"];
    let socket = project.path().join("here");
    let mut server = Server::start(&project, &options, PROFILE, "cat");
    let ask = || {
        let stream = UnixStream::connect(&socket).unwrap();
        let mut writer = stream.try_clone().unwrap();
        writer.write_all(b"word").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        answer(stream, "")
    };
    assert_eq!(ask(), "word");
    // Another one does not take it away.
    let second = done(&mut project.program(&[
        "--profile",
        "sandbox.toml",
        "--listen",
        "unix:here",
        "--",
        "cat",
    ]));
    assert!(second.fails(125).contains("another program listens there"));
    assert_eq!(ask(), "word");
    server.signal(Signal::SIGKILL);
    server.child.wait().unwrap();
    // What was left by a server that was killed is in nobody's way.
    let mut server = Server::start(&project, &options, PROFILE, "cat");
    assert_eq!(ask(), "word");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ends(), (0, String::new()));
    assert!(!socket.exists());
    // A file is no socket.
    project.write("here", "data");
    let third = done(&mut project.program(&[
        "--profile",
        "sandbox.toml",
        "--listen",
        "unix:here",
        "--",
        "cat",
    ]));
    third.fails(125);
    assert_eq!(std::fs::read_to_string(socket).unwrap(), "data");
}

#[test]
fn sockets_are_taken_from_a_manager() {
    const TEST: &str = "sockets_are_taken_from_a_manager";
    if !Path::new("/usr/bin/python3").exists() {
        return skip(TEST, "there is no python3 to pass a socket as systemd does");
    }
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let manager = "
import os, socket, sys
sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets), flush=True)
fds = [os.dup(s.fileno()) for s in sockets]
for at, fd in enumerate(fds): os.dup2(fd, 20 + at)
for at in range(len(fds)): os.dup2(20 + at, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid() + int(sys.argv[1])), LISTEN_FDS='2')
os.execv(sys.argv[2], sys.argv[2:])";
    let run = |wrong: &str| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", manager, wrong]).arg(program());
        command.args([
            "--profile",
            "sandbox.toml",
            "--listen",
            "systemd",
            "--",
            "sh",
            "-c",
            "ls /proc/self/fd | wc -w; echo $LISTEN_FDS.",
        ]);
        command
            .current_dir(project.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    };
    let mut server = Server::of(&mut run("0"));
    let mut ports = String::new();
    BufReader::new(server.child.stdout.take().unwrap())
        .read_line(&mut ports)
        .unwrap();
    for port in ports.split_whitespace() {
        let stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
        // 0 to 2, and the one that ls itself reads.
        assert_eq!(answer(stream, ""), "4\n.\n");
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ends().0, 0);
    let refused = done(&mut run("1"));
    assert!(refused.fails(125).contains("no sockets were passed"));
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let start = |options: &[&str]| {
        let mut words = vec!["--profile", "sandbox.toml"];
        words.extend(options);
        words.extend(["--", "true"]);
        done(&mut project.program(&words)).fails(125)
    };
    assert!(start(&["--listen", "tcp:localhost:80"]).contains("tcp:127.0.0.1:8000"));
    assert!(start(&["--listen", "here"]).contains("unix:PATH"));
    assert!(start(&["--listen", "tcp:203.0.113.1:80"]).contains("an address of this machine"));
    assert!(start(&["--listen", "unix:nowhere/at/all"]).contains("help: "));
    assert!(start(&["--listen", "systemd"]).contains("socket unit"));
    assert!(start(&["--max", "3"]).contains("--listen"));
    assert!(start(&["--listen", "unix:x", "--max", "0"]).contains("--max"));
    assert!(
        start(&["--listen", "unix:x", "--report", "r.json"]).contains("a report is of one run")
    );
    project.write("sandbox.toml", "version = 1\n[process]\ncwd = \"/nowhere\"");
    assert!(start(&["--listen", "unix:x"]).contains("sandbox.toml:3"));
}
