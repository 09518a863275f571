//! The command has the declared capabilities in all five sets, and no way to more.

use crate::live::field;
use crate::support::{Project, done, install, is_root};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

const CHOWN: u64 = 1;
const NET_RAW: u64 = 1 << 13;
const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The five sets inside, in the order of [`SETS`].
#[track_caller]
fn sets(project: &Project, tables: &str) -> [u64; 5] {
    let profile = format!("version = 1\n{tables}");
    let status = done(&mut project.command(&profile, &["cat", "/proc/self/status"])).ok();
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    SETS.map(|set| u64::from_str_radix(field(&status, set), 16).unwrap())
}

const ROOT: &str = "[user]\nuid_map = \"root\"\n[capabilities]\n";

/// Every capability that the kernel has.
fn all() -> u64 {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    (1 << (last.trim().parse::<u64>().unwrap() + 1)) - 1
}

#[test]
fn all_five_sets_are_empty_by_default() {
    let project = Project::new();
    assert_eq!(sets(&project, ""), [0; 5]);
    assert_eq!(sets(&project, "[user]\nuid_map = \"root\""), [0; 5]);
}

#[test]
fn what_is_kept_is_in_the_bounding_permitted_and_effective_sets() {
    let project = Project::new();
    let kept = CHOWN | NET_RAW;
    let root = format!("{ROOT}keep = [\"net_raw\", \"CAP_CHOWN\"]");
    assert_eq!(sets(&project, &root), [0, kept, kept, kept, 0]);
    // A uid other than 0 loses all but the ambient ones at exec.
    let plain = "[user]\nuid = 1000\n[capabilities]\nkeep = [\"net_raw\", \"chown\"]";
    assert_eq!(sets(&project, plain), [0, 0, 0, kept, 0]);
}

#[test]
fn what_is_dropped_is_in_none() {
    let project = Project::new();
    let without = all() & !NET_RAW;
    let tables = format!("{ROOT}keep = [\"all\"]\ndrop = [\"net_raw\"]");
    assert_eq!(sets(&project, &tables), [0, without, without, without, 0]);
    let tables = format!("{ROOT}keep = [\"all\"]");
    assert_eq!(sets(&project, &tables), [0, all(), all(), all(), 0]);
}

#[test]
fn what_is_ambient_is_in_all_five() {
    let project = Project::new();
    let tables = "[user]\nuid = 1000\n[capabilities]\nkeep = [\"net_raw\", \"chown\"]\nambient = [\"chown\"]";
    assert_eq!(
        sets(&project, tables),
        [CHOWN, CHOWN, CHOWN, CHOWN | NET_RAW, CHOWN]
    );
    let tables = "[capabilities]\nkeep = [\"all\"]\nambient = [\"all\"]";
    assert_eq!(sets(&project, tables), [all(); 5]);
}

#[test]
fn capsh_prints_what_is_declared() {
    let project = Project::new();
    let line = |text: &str, name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    let none = done(&mut project.command("version = 1", &["/usr/sbin/capsh", "--print"])).ok();
    assert_eq!(line(&none, "Current: "), "=");
    assert_eq!(line(&none, "Bounding set ="), "");
    assert_eq!(line(&none, "Ambient set ="), "");
    let profile = format!("version = 1\n{ROOT}keep = [\"net_raw\"]");
    let raw = done(&mut project.command(&profile, &["/usr/sbin/capsh", "--print"])).ok();
    assert_eq!(line(&raw, "Current: "), "cap_net_raw=ep");
    assert_eq!(line(&raw, "Bounding set ="), "cap_net_raw");
}

#[test]
fn a_raw_socket_needs_net_raw_over_the_sandboxs_own_network() {
    let project = Project::new();
    let open = "import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    print('opened')
except OSError as error:
    print(error.strerror)";
    let run = |tables: &str| {
        done(&mut project.command(&format!("version = 1\n{tables}"), &["python3", "-c", open])).ok()
    };
    let refused = "Operation not permitted\n";
    assert_eq!(run(""), refused);
    assert_eq!(run("[user]\nuid_map = \"root\""), refused);
    assert_eq!(
        run(&format!("{ROOT}keep = [\"all\"]\ndrop = [\"net_raw\"]")),
        refused
    );
    assert_eq!(run(&format!("{ROOT}keep = [\"all\"]")), "opened\n");
    // Over the host's network, no capability inside counts.
    assert_eq!(
        run(&format!(
            "{ROOT}keep = [\"all\"]\n[network]\nmode = \"host\""
        )),
        refused
    );
}

#[test]
fn a_setuid_program_gains_nothing() {
    let project = Project::new();
    let id = project.path().join("id");
    install(Path::new("/usr/bin/id"), Stdio::null(), &id);
    std::fs::set_permissions(&id, std::fs::Permissions::from_mode(0o4755)).unwrap();
    // Its owner is uid 0 inside, on a mount that honours setuid bits; the command is uid 5.
    let user = if is_root() {
        "uid = 5\ngid = 5
uid_map = [{ inside = 0, outside = 0 }, { inside = 5, outside = 200005 }]
gid_map = [{ inside = 0, outside = 0 }, { inside = 5, outside = 200005 }]"
    } else if std::path::Path::new("/usr/bin/newuidmap").exists() {
        "uid = 5\ngid = 5\nuid_map = \"auto\""
    } else {
        let why = "uidmap is not installed: there is no second id";
        return crate::support::skip("a_setuid_program_gains_nothing", why);
    };
    let profile = format!(
        "version = 1\n[user]\n{user}\n[[mounts]]\ntype = \"bind\"\nsource = \"id\"\n\
         target = \"/opt/id\"\nnosuid = false\nidmap = false"
    );
    let script = "stat -c '%u %a' /opt/id; /opt/id -u; grep ' /opt/id ' /proc/self/mountinfo";
    let run = project.run(&profile, script).ok();
    let lines: Vec<_> = run.lines().collect();
    assert_eq!(lines[..2], ["0 4755", "5"]);
    assert!(!lines[2].contains("nosuid"), "{}", lines[2]);
}

#[test]
fn no_capability_inside_counts_on_the_host() {
    let project = Project::new();
    // Root inside with everything: what belongs to the host's root stays out of reach.
    let profile = format!("version = 1\n{ROOT}keep = [\"all\"]\n[seccomp]\npreset = \"off\"");
    let script = "for try in 'cat /etc/shadow' 'touch /usr/sandbox-test' 'mknod /tmp/null c 1 3' \
        'renice -n -1 1' 'cat /proc/1/mem' 'cat /proc/1/environ' 'ls /proc/1/fd'; do
        $try >/dev/null 2>&1 && echo \"$try\"
    done; true";
    assert_eq!(project.run(&profile, script).ok(), "");
}
