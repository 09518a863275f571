//! Each namespace is new, shared or joined as the profile says, and what is in it stays in it.

use crate::live::{HOLD, Live};
use crate::support::{Project, done, is_root, skip};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

const KINDS: [&str; 8] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];

/// Prints the namespaces of a shell.
const PRINT: &str = "for kind in user mnt pid ipc uts net cgroup time; do
    echo $kind $(readlink /proc/self/ns/$kind)
done";

fn parsed(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().map(|line| line.split_once(' ').unwrap());
    pairs
        .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
        .collect()
}

#[track_caller]
fn of(pid: &str) -> BTreeMap<String, String> {
    let id = |kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    KINDS
        .iter()
        .map(|kind| ((*kind).to_owned(), id(kind).display().to_string()))
        .collect()
}

#[test]
fn every_namespace_is_new_by_default() {
    let project = Project::new();
    let host = of("self");
    let live = Live::script(&project, "version = 1", &format!("{PRINT}; {HOLD}"));
    let outside = of(&live.command().to_string());
    let inside = parsed(&live.go(&project).ok());
    assert_eq!(inside, outside);
    for kind in KINDS {
        assert_ne!(inside[kind], host[kind], "{kind}");
    }
}

#[test]
fn a_shared_namespace_is_the_callers_and_the_others_stay_new() {
    let project = Project::new();
    let host = of("self");
    for kind in KINDS {
        // Without root's rights, a new user namespace is what all the others need.
        if kind == "user" && !is_root() {
            continue;
        }
        let key = if kind == "mnt" { "mount" } else { kind };
        // The host's processes are shown only to a profile that asks for them.
        let proc = if kind == "pid" {
            "[[mounts]]\ntype = \"proc\"\ntarget = \"/proc\""
        } else {
            ""
        };
        let profile = format!("version = 1\n[namespaces]\n{key} = \"shared\"\n{proc}");
        let inside = parsed(&project.run(&profile, PRINT).ok());
        for other in KINDS {
            assert_eq!(
                inside[other] == host[other],
                other == kind,
                "{kind} is shared: {other}"
            );
        }
    }
}

#[test]
fn a_plain_user_cannot_share_the_user_namespace() {
    if is_root() {
        let why = "root may confine a command without a namespace for users";
        return skip("a_plain_user_cannot_share_the_user_namespace", why);
    }
    let project = Project::new();
    let all = KINDS.map(|kind| {
        format!(
            "{} = \"shared\"\n",
            if kind == "mnt" { "mount" } else { kind }
        )
    });
    for shared in ["user = \"shared\"\n".to_owned(), all.concat()] {
        let refused = project.run(&format!("version = 1\n[namespaces]\n{shared}"), "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        assert!(
            words.contains("only root can make other namespaces"),
            "{words}"
        );
        assert!(words.contains("sandbox.toml:3:"), "{words}");
    }
}

/// A process in namespaces of its own, ended in the end.
struct Other(Child);

impl Other {
    fn new(flags: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(flags)
            .args(["sh", "-c", "echo ready; exec sleep 300"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_namespace_named_by_a_path_is_joined() {
    let project = Project::new();
    let host = of("self");
    let (flags, joined): (&[&str], &[&str]) = if is_root() {
        (&["--net", "--uts"], &["net", "uts"])
    } else {
        (
            &["--user", "--map-root-user", "--net", "--uts"],
            &["user", "net", "uts"],
        )
    };
    let other = Other::new(flags);
    let pid = other.0.id().to_string();
    let theirs = of(&pid);
    let lines: String = joined
        .iter()
        .map(|kind| format!("{kind} = \"/proc/{pid}/ns/{kind}\"\n"))
        .collect();
    let profile = format!("version = 1\n[namespaces]\n{lines}");
    let live = Live::script(&project, &profile, &format!("{PRINT}; {HOLD}"));
    let outside = of(&live.command().to_string());
    let inside = parsed(&live.go(&project).ok());
    assert_eq!(inside, outside);
    for kind in KINDS {
        assert_eq!(
            inside[kind] == theirs[kind],
            joined.contains(&kind),
            "{kind}"
        );
        assert_ne!(inside[kind], host[kind], "{kind}");
    }
}

#[test]
fn a_namespace_that_cannot_be_joined_stops_the_run_with_its_line() {
    let project = Project::new();
    for path in ["/proc/4194305/ns/net", "/etc/passwd"] {
        let profile = format!("version = 1\n[namespaces]\nnet = \"{path}\"");
        let refused = project.run(&profile, "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        assert!(words.contains("sandbox.toml:3:"), "{words}");
        assert!(words.contains(path), "{words}");
    }
}

#[test]
fn the_host_name_is_seen_inside_and_not_outside() {
    let project = Project::new();
    let names = || {
        let read = |file| std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap();
        (read("hostname"), read("domainname"))
    };
    let before = names();
    let profile = "version = 1\nhostname = \"container\"\ndomainname = \"example.org\"";
    let script = format!("hostname; cat /proc/sys/kernel/domainname; {HOLD}");
    let live = Live::script(&project, profile, &script);
    assert_eq!(names(), before);
    assert_eq!(live.go(&project).ok(), "container\nexample.org\n");
    assert_eq!(names(), before);
    assert_ne!(before.0, "container\n");
    let default = project.run("version = 1", "hostname; cat /proc/sys/kernel/domainname");
    assert_eq!(default.ok(), "sandbox\n(none)\n");
}

#[test]
fn ps_shows_only_the_sandbox_and_pid_1_first() {
    let project = Project::new();
    let list = project.run("version = 1", "ps -e -o pid=,comm=; true").ok();
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["1", "sandbox-init"]);
    let names: Vec<_> = lines.iter().map(|line| line[1]).collect();
    assert_eq!(names, ["sandbox-init", "sh", "ps"]);
    let list = project.run(
        "version = 1\n[process]\ninit = false",
        "ps -e -o pid=,comm=; true",
    );
    let list = list.ok();
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["1", "sh"]);
    assert_eq!(lines.len(), 2, "{list}");
}

/// The keys of all System V message queues.
fn queues(table: &str) -> Vec<String> {
    let lines = table.lines().skip(1);
    lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_system_v_message_queue_stays_on_its_side() {
    let project = Project::new();
    let before = queues(&std::fs::read_to_string("/proc/sysvipc/msg").unwrap());
    let made = done(Command::new("ipcmk").arg("--queue")).ok();
    let id = made.trim().rsplit(' ').next().unwrap().to_owned();
    let host = std::fs::read_to_string("/proc/sysvipc/msg").unwrap();
    let script = format!("cat /proc/sysvipc/msg; ipcmk --queue >&2; cat /proc/sysvipc/msg; {HOLD}");
    let live = Live::script(&project, "version = 1", &script);
    let meanwhile = std::fs::read_to_string("/proc/sysvipc/msg").unwrap();
    let run = live.go(&project);
    let removed = done(Command::new("ipcrm").args(["--queue-id", &id]));
    assert_eq!(run.code, 0, "{run:?}");
    removed.ok();
    // Inside: none before its own was made, then one.
    let tables: Vec<_> = run.stdout.split_inclusive("rtime ctime\n").collect();
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "two headings and one queue: {tables:?}");
    let inside = lines[2].split_whitespace().next().unwrap().to_owned();
    // Outside: the host's own, and not the one inside.
    let new: Vec<_> = queues(&host)
        .into_iter()
        .filter(|key| !before.contains(key))
        .collect();
    assert!(!new.is_empty());
    assert!(!new.contains(&inside));
    assert!(!queues(&meanwhile).contains(&inside));
    let shared = project.run(
        "version = 1\n[namespaces]\nipc = \"shared\"",
        "cat /proc/sysvipc/msg",
    );
    assert!(!queues(&shared.ok()).contains(&inside));
}

#[test]
fn a_posix_message_queue_stays_inside() {
    let project = Project::new();
    let profile = "version = 1\n[[mounts]]\ntype = \"mqueue\"\ntarget = \"/dev/mqueue\"";
    let open = "import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
flags = os.O_RDONLY | (os.O_CREAT if len(sys.argv) > 1 else 0)
fd = libc.mq_open(b'/sandbox-test', flags, 0o600, None)
print('there' if fd >= 0 else os.strerror(ctypes.get_errno()))";
    project.write("open.py", open);
    let script = format!("python3 open.py create; ls /dev/mqueue; {HOLD}");
    let live = Live::script(&project, profile, &script);
    let outside = done(
        Command::new("python3")
            .arg("open.py")
            .current_dir(project.path()),
    )
    .ok();
    assert_eq!(live.go(&project).ok(), "there\nsandbox-test\n");
    assert_eq!(outside, "No such file or directory\n");
}

const CONNECT: &str = "
import socket, sys
def attempt(family, address):
    try:
        socket.socket(family).connect(address)
        return 'connected'
    except OSError as error:
        return error.strerror
print(attempt(socket.AF_INET, ('127.0.0.1', int(sys.argv[1]))))
print(attempt(socket.AF_UNIX, chr(0) + sys.argv[2]))
try:
    server = socket.create_server(('127.0.0.1', 0))
    print(attempt(socket.AF_INET, server.getsockname()))
except OSError as error:
    print(error.strerror)
";

#[test]
fn of_the_network_there_is_what_the_profile_says() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let project = Project::new();
    project.write("connect.py", CONNECT);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("sandbox-test-{}", std::process::id());
    let _abstract =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let script = format!(
        "python3 connect.py {port} {name}; cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '"
    );
    let run = |network: &str| {
        project
            .run(&format!("version = 1\n{network}"), &script)
            .ok()
    };
    let loopback = "Connection refused\nConnection refused\nconnected\nlo\n";
    assert_eq!(run(""), loopback);
    assert_eq!(run("[network]\nmode = \"loopback\""), loopback);
    // Landlock refuses TCP besides (Linux 6.7), and abstract sockets of others (Linux 6.12).
    let off = "[enforce]\nlandlock = \"off\"";
    let none = "Network is unreachable\nConnection refused\nNetwork is unreachable\nlo\n";
    assert_eq!(run(&format!("[network]\nmode = \"none\"\n{off}")), none);
    if sandbox::sys::landlock::abi().is_ok_and(|version| version >= 4) {
        let none = "Permission denied\nConnection refused\nPermission denied";
        let alone = run("[network]\nmode = \"none\"");
        assert!(alone.starts_with(none), "{alone}");
    }
    let host = run("[network]\nmode = \"host\"");
    assert!(host.starts_with("connected\n"), "{host}");
    let host = run(&format!("[network]\nmode = \"host\"\n{off}"));
    assert!(
        host.starts_with("connected\nconnected\nconnected\n"),
        "{host}"
    );
}

#[test]
fn the_loopback_interface_is_up_unless_there_is_to_be_no_network() {
    let project = Project::new();
    let flags = "ip -o link show lo | grep -o '<.*>'";
    assert!(
        project
            .run("version = 1", flags)
            .ok()
            .contains("LOOPBACK,UP")
    );
    let none = project
        .run("version = 1\n[network]\nmode = \"none\"", flags)
        .ok();
    assert_eq!(none, "<LOOPBACK>\n");
}
