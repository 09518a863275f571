//! The network of a sandbox that runs is joined by its name, and by that alone: what confines who joins is its own.

use crate::egress::can_have_a_world;
use crate::live::{Live, descendants, eventually, lives};
use crate::running::{PLAIN, Place, name};
use crate::support::{is_root, skip};
use nix::sys::signal::Signal;

/// Listens on loopback and answers everybody.
const SERVE: &str = "exec python3 -c '
import socket
s = socket.create_server((\"127.0.0.1\", 8000))
open(\"ready\", \"w\").close()
while True:
    c, _ = s.accept(); c.sendall(b\"served\\n\"); c.close()
'";

/// Asks it.
const ASK: &str = "python3 -c '
import socket
c = socket.create_connection((\"127.0.0.1\", 8000), 10)
print(c.recv(99).decode(), end=\"\")
'";

fn joins(name: &str) -> String {
    format!("version = 1\n[namespaces]\nnet = \"name:{name}\"\n")
}

impl Place {
    /// A profile beside that of the sandbox that is joined, run with a script.
    fn joiner(&self, profile: &str, script: &str) -> std::process::Command {
        let path = self.project.write("joiner.toml", profile);
        let path = path.to_str().unwrap();
        self.program(&["--profile", path, "--", "sh", "-c", script])
    }

    fn join(&self, profile: &str, script: &str) -> crate::support::Done {
        crate::support::done(&mut self.joiner(profile, script))
    }
}

const NAMESPACES: &str =
    "for n in net user mnt pid ipc uts cgroup; do echo $n $(readlink /proc/self/ns/$n); done";

#[test]
fn the_network_of_a_sandbox_is_joined_by_its_name() {
    let place = Place::new();
    let db = name();
    let mut running = place.start(&db, PLAIN, SERVE);
    let theirs = place.exec(&db, NAMESPACES).ok();
    let script = format!("{ASK}; {NAMESPACES}; ls /proc | grep -c '^[0-9]'");
    let said = place.join(&joins(&db), &script).ok();
    assert!(said.starts_with("served\n"), "{said}");
    for line in theirs.lines() {
        let kind = line.split(' ').next().unwrap();
        // A network belongs to a user namespace, in which a plain user has to be to enter it.
        let same = kind == "net" || (kind == "user" && !is_root());
        assert_eq!(said.contains(line), same, "{line}: {said}");
    }
    // Of the processes of the other, none is seen.
    let seen: u32 = said.lines().last().unwrap().parse().unwrap();
    assert!(seen < 6, "{said}");
    // What is planned says whose network it is.
    let path = place.project.write("joiner.toml", joins(&db));
    let path = path.to_str().unwrap();
    let plan = place
        .done(&["explain", "--profile", path, "--", "true"])
        .ok();
    let net = theirs.lines().next().unwrap().trim_start_matches("net ");
    let step = format!("join the net namespace {net} of the sandbox {db}");
    assert!(plan.contains(&step), "{plan}");
    // In the words of [network] it is the same.
    let named = format!("version = 1\n[network]\nmode = \"join\"\nnamespace = \"name:{db}\"\n");
    assert_eq!(place.join(&named, ASK).ok(), "served\n");
    // Whoever joins ends as it likes, and the other goes on.
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let up = place.project.path().join("up");
        let _ = std::fs::remove_file(&up);
        let mut joiner = Live::spawn(&mut place.joiner(&joins(&db), "touch up; sleep 1000"));
        joiner.await_file(&up);
        joiner.signal(signal);
        eventually("the joiner ends", || joiner.has_ended());
        assert!(!running.has_ended());
        assert_eq!(place.join(&joins(&db), ASK).ok(), "served\n");
    }
    running.kill();
}

#[test]
fn who_joins_a_network_is_confined_by_its_own_profile() {
    let place = Place::new();
    let db = name();
    let open = "version = 1\n[capabilities]\nkeep = [\"net_bind_service\", \"chown\"]\nambient = [\"net_bind_service\", \"chown\"]\n[seccomp]\ndeny = [\"sethostname\"]\n";
    let running = place.start(&db, open, "touch ready; sleep 1000");
    let confined = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status; cat /proc/self/uid_map /proc/self/gid_map; hostname; umask; mount | wc -l";
    let alone = place.join(PLAIN, confined).ok();
    let joined = place.join(&joins(&db), confined).ok();
    // The ids outside of a sandbox of root's are of nobody, and others each time.
    let shown = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !is_root() || !line.starts_with(' '));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(&joined), shown(&alone));
    // It has no power over the network, nor makes namespaces.
    let refused =
        "ip link set lo down; echo $?; unshare -U true; echo $?; mount -t tmpfs none /mnt; echo $?";
    let refused = place.join(&joins(&db), refused);
    for line in refused.stdout.lines() {
        assert_ne!(line, "0", "{refused:?}");
    }
    assert_eq!(refused.stdout.lines().count(), 3, "{refused:?}");
    drop(running);
}

#[test]
fn who_joins_a_network_ends_with_it() {
    let place = Place::new();
    for killed in [false, true] {
        let db = name();
        let mut running = place.start(&db, PLAIN, "touch ready; sleep 1000");
        let up = place.project.path().join("up");
        let _ = std::fs::remove_file(&up);
        let script = "trap '' TERM; touch up; sleep 1000";
        let mut joiner = Live::spawn(&mut place.joiner(&joins(&db), script));
        joiner.await_file(&up);
        let inside = descendants(joiner.supervisor());
        assert!(inside.len() > 1, "{inside:?}");
        match killed {
            true => running.kill(),
            false => drop(place.done(&["kill", &db]).ok()),
        }
        let said = joiner.done().fails(125);
        for words in [
            db.as_str(),
            "it has ended, and the command with it",
            "joiner.toml:3:7",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        eventually("nothing of it is left", || {
            !inside.iter().any(|pid| lives(*pid))
        });
    }
}

#[test]
fn a_network_that_cannot_be_joined_is_refused_with_its_line() {
    let place = Place::new();
    let db = name();
    let refused = |profile: &str, words: &[&str]| {
        let done = place.join(profile, "echo ran");
        assert_eq!(done.stdout, "", "{done:?}");
        let said = done.fails(125);
        for words in words {
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    let up = format!("sandbox up {db}");
    refused(&joins(&db), &["SBX0180", "joiner.toml:3:7", &up]);
    let other = format!("version = 1\n[namespaces]\nuts = \"name:{db}\"\n");
    refused(&other, &["joiner.toml:3:7", "only the network namespace"]);
    let host = "version = 1\n[network]\nmode = \"host\"\n";
    let mut running = place.start(&db, host, "touch ready; sleep 1000");
    refused(
        &joins(&db),
        &["joiner.toml:3:7", "has no network namespace of its own"],
    );
    running.kill();
    // One that was killed, and one that has ended and is remembered.
    refused(&joins(&db), &["joiner.toml:3:7"]);
    let ended = name();
    place.project.write("sandbox.toml", PLAIN);
    place
        .done(&["--detach", "--name", &ended, "--", "true"])
        .ok();
    place.done(&["wait", &ended]).ok();
    refused(&joins(&ended), &["SBX0181", "joiner.toml:3:7", "has ended"]);
    place.done(&["rm", &ended]).ok();
}

#[test]
fn a_plain_user_joins_a_network_with_the_ids_of_its_owner() {
    let test = "a_plain_user_joins_a_network_with_the_ids_of_its_owner";
    if is_root() {
        return skip(test, "root enters no user namespace for a network");
    }
    let place = Place::new();
    let db = name();
    let root = "version = 1\n[user]\nuid_map = \"root\"\n";
    let running = place.start(&db, root, "touch ready; sleep 1000");
    let differs = place.join(&joins(&db), "echo ran");
    assert_eq!(differs.stdout, "", "{differs:?}");
    let said = differs.fails(125);
    for words in ["joiner.toml:3:7", "the uids are not those of", "[user]"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let same = format!("{}[user]\nuid_map = \"root\"\n", joins(&db));
    assert_eq!(place.join(&same, "id -u").ok(), "0\n");
    let powerful = format!("{same}[capabilities]\nkeep = [\"sys_admin\"]\n");
    let said = place.join(&powerful, "echo ran").fails(125);
    assert!(said.contains("power over the mounts"), "{said}");
    drop(running);
}

#[test]
fn who_joins_a_network_with_a_gate_is_behind_it() {
    if !can_have_a_world("who_joins_a_network_with_a_gate_is_behind_it") {
        return;
    }
    let place = Place::new();
    let db = name();
    let gate = "version = 1\n[network]\nallow = [\"192.0.2.9:80\"]\n";
    let running = place.start(&db, gate, "touch ready; sleep 1000");
    let theirs = place.exec(&db, "cat /etc/resolv.conf").ok();
    assert!(theirs.starts_with("nameserver "), "{theirs}");
    let ask = "cat /etc/resolv.conf; python3 -c '
import socket, errno
try: socket.create_connection((\"192.0.2.8\", 80), 10)
except OSError as why: print(errno.errorcode[why.errno])
'";
    let ours = place.join(&joins(&db), ask).ok();
    assert_eq!(ours, format!("{theirs}ECONNREFUSED\n"));
    drop(running);
}
