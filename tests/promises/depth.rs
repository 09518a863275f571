//! What holds a second time: keys, the inner user namespace, the limit on user namespaces, Landlock;
//! and what a caller has about itself that must not come along.

use crate::support::{Project, done, is_root, program, skip};
use std::process::Command;

/// Python: system calls by number, with an answer in words; `KEYS` are add_key and keyctl.
const CALLS: &str = r#"
import ctypes, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
ADD_KEY, KEYCTL = (248, 250) if platform.machine() == "x86_64" else (217, 219)
def call(*arguments):
    answer = libc.syscall(*arguments)
    return answer if answer >= 0 else os.strerror(ctypes.get_errno())
SESSION, USER = -3, -4
"#;

/// Looks for the keys of the caller: by name, where the session and the user keep theirs, and by number.
const LOOK: &str = r#"
found = []
for keyring in SESSION, USER:
    if isinstance(call(KEYCTL, 10, keyring, b"user", b"sandbox-test", 0), int): found.append("by name")
for serial in map(int, sys.argv[1:]):
    text = ctypes.create_string_buffer(16)
    if isinstance(call(KEYCTL, 11, serial, text, 16), int): found.append("by number: " + text.value.decode())
print(found)
"#;

/// Makes two keys, runs what follows with their numbers, and takes them away again.
const WITH_KEYS: &str = r#"
import subprocess
call(KEYCTL, 1, None)
call(KEYCTL, 8, USER, SESSION)
keys = [call(ADD_KEY, b"user", b"sandbox-test", b"secret", 6, keyring) for keyring in (SESSION, USER)]
if sys.argv[1] == "open":
    for key in keys: call(KEYCTL, 5, key, 0x3f3f3f3f)
print("keys", all(isinstance(key, int) for key in keys), flush=True)
answer = subprocess.run(sys.argv[2:] + [str(key) for key in keys])
for key in keys: call(KEYCTL, 3, key)
sys.exit(answer.returncode)
"#;

#[test]
fn no_key_of_the_callers_is_found_or_read_inside() {
    let project = Project::new();
    let look = project.write("look.py", format!("{CALLS}{LOOK}"));
    let keys = project.write("keys.py", format!("{CALLS}{WITH_KEYS}"));
    let run = |kind: &str, words: &[&str]| {
        let mut command = Command::new("python3");
        command
            .arg(&keys)
            .arg(kind)
            .args(words)
            .current_dir(project.path());
        done(&mut command)
    };
    let look = look.to_str().unwrap();
    let bare = run("open", &["python3", look]);
    if bare.stdout.contains("keys False") {
        let test = "no_key_of_the_callers_is_found_or_read_inside";
        return skip(test, "the kernel has no keys, or permits none");
    }
    assert_eq!(
        bare.ok(),
        "keys True\n['by name', 'by name', 'by number: secret', 'by number: secret']\n"
    );
    // The filter holds by default, also where the key is open to everybody. Without a filter, the session
    // and the user namespace hide what is not.
    let off = "version = 1\n[seccomp]\npreset = \"off\"";
    for (kind, profile) in [("open", "version = 1"), ("closed", off)] {
        project.write("sandbox.toml", profile);
        let program = program();
        let program = program.to_str().unwrap();
        let words = [program, "--profile", "sandbox.toml", "--", "python3", look];
        let seen = run(kind, &words).ok();
        assert_eq!(seen, "keys True\n[]\n", "{profile}");
    }
}

const OFF: &str = "version = 1\n[seccomp]\npreset = \"off\"\n";
const NESTED: &str = "version = 1\n[namespaces]\nnested_user = true\n";

#[test]
fn no_user_namespace_can_be_made_inside_but_where_the_profile_says_so() {
    let project = Project::new();
    let make = "unshare --user --map-root-user id -u 2>&1";
    let refused = project.run("version = 1", make);
    assert!(
        refused.stdout.contains("Operation not permitted"),
        "{refused:?}"
    );
    // Nor without a filter.
    let limited = project.run(OFF, make);
    assert!(
        limited.stdout.contains("No space left on device"),
        "{limited:?}"
    );
    // The limit is that of an outer namespace: all capabilities inside cannot lift it.
    let strong = format!("{OFF}[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n");
    let lift =
        "echo 1000 2>/dev/null > /proc/sys/user/max_user_namespaces; unshare --user true 2>&1";
    let limited = project.run(&strong, lift);
    assert!(
        limited.stdout.contains("No space left on device"),
        "{limited:?}"
    );
    assert_eq!(project.run(NESTED, make).ok(), "0\n");
    // The sandbox's own limit is no limit outside.
    let outside = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap();
    assert_ne!(outside.trim(), "0");
}

/// Takes mounts away and makes others writable; prints what that revealed. Not the root itself, without
/// which nothing more could be tried.
const UNDO: &str = r#"
    for at in "$PWD/hidden" $(cut -d' ' -f5 /proc/self/mountinfo | grep '^/proc/.'); do
        umount "$at"; umount -l "$at"
    done 2>/dev/null
    mount -o remount,bind,rw "$PWD" 2>/dev/null
    ls hidden 2>/dev/null
    touch made 2>/dev/null && echo "wrote to the project"
    (echo 0 >/proc/sys/kernel/domainname) 2>/dev/null && echo "wrote to /proc/sys"
    echo done"#;

/// A read-only project with a folder that is hidden.
const COVERED: &str =
    "[rootfs]\nproject = \"read\"\n[[mounts]]\ntype = \"mask\"\ntarget = \"${PROJECT}/hidden\"\n";

#[test]
fn in_a_nested_namespace_no_mount_of_the_sandbox_can_be_undone() {
    let project = Project::new();
    project.write("hidden/secret", "");
    project.write("undo.sh", UNDO);
    let nested = "unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /tmp && echo mounted; . ./undo.sh' 2>/dev/null";
    let seen = project.run(&format!("{NESTED}{COVERED}"), nested);
    assert_eq!(seen.stdout, "mounted\ndone\n", "{seen:?}");
}

/// Root inside with every capability and without a filter.
const STRONG: &str =
    "[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"\n";

#[test]
fn cap_sys_admin_has_no_power_over_the_mounts_and_keeps_it_over_the_rest() {
    let project = Project::new();
    project.write("hidden/secret", "");
    project.write("undo.sh", UNDO);
    let profile = format!("version = 1\n{STRONG}{COVERED}");
    let seen = project.run(&profile, ". ./undo.sh");
    assert_eq!(seen.stdout, "done\n", "{seen:?}");
    let own =
        "unshare --mount sh -c 'mount -t tmpfs none /tmp && echo mounted; . ./undo.sh' 2>/dev/null";
    let seen = project.run(&profile, own);
    assert_eq!(seen.stdout, "mounted\ndone\n", "{seen:?}");
    let rest = "hostname other && hostname; ip link set lo down && echo down; cat /proc/self/uid_map | tr -s ' '";
    assert_eq!(project.run(&profile, rest).ok(), "other\ndown\n 0 0 1\n");
}

#[test]
fn the_inner_user_namespace_has_the_ids_of_the_outer_one() {
    let project = Project::new();
    let map = if is_root() {
        "uid = 5\ngid = 6\ngroups = [7]
uid_map = [{ inside = 0, outside = 200000, count = 10 }, { inside = 20, outside = 300000, count = 3 }]
gid_map = [{ inside = 0, outside = 200000, count = 10 }]\n"
    } else if std::path::Path::new("/usr/bin/newuidmap").exists() {
        "uid = 5\ngid = 6\ngroups = [7]\nuid_map = \"auto\"\n"
    } else {
        let why = "uidmap is not installed: there is no second id";
        return skip("the_inner_user_namespace_has_the_ids_of_the_outer_one", why);
    };
    let look = "id -u; id -g; id -G; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; echo x > /tmp/made; stat -c '%u %g' /tmp/made";
    let run = |keep: &str| {
        let profile = format!("version = 1\n[user]\n{map}[capabilities]\nkeep = [{keep}]\n");
        project.run(&profile, look)
    };
    let outer = run("").ok();
    let inner = run("\"sys_admin\"");
    let maps = |text: &str| -> Vec<Vec<u32>> {
        let lines = text
            .lines()
            .filter(|line| line.split_whitespace().count() == 3);
        lines
            .map(|line| {
                line.split_whitespace()
                    .map(|n| n.parse().unwrap())
                    .collect()
            })
            .collect()
    };
    let (before, after) = (maps(&outer), maps(&inner.stdout));
    assert!(!after.is_empty(), "{inner:?}");
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(other[..], [one[0], one[0], one[2]], "{inner:?}");
    }
    assert_eq!(before.len(), after.len());
    let ids = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.split_whitespace().count() < 3);
        lines.map(str::to_owned).collect()
    };
    assert_eq!(ids(&outer), ids(&inner.stdout));
}

#[test]
fn a_file_given_for_reading_cannot_be_opened_for_writing_and_one_for_writing_can() {
    let project = Project::new();
    // Apart from every tree that the sandbox shows, and writable to anybody.
    let outside = Project::new();
    let log = outside.write("log", "begin\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&log, mode).unwrap();
    let folder = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(outside.path(), folder).unwrap();
    let run = |tables: &str, script: &str, write: bool| {
        let mut command = project.script(&format!("version = 1\n{tables}"), script);
        let mut open = std::fs::OpenOptions::new();
        let file = open.read(!write).append(write).open(&log).unwrap();
        match write {
            true => command.stderr(file),
            false => command.stdin(file),
        };
        done(&mut command)
    };
    let again = "echo changed 2>/dev/null >>/proc/self/fd/0 && echo opened";
    if run("[enforce]\nlandlock = \"require\"", "true", false).code != 0 {
        let test = "a_file_given_for_reading_cannot_be_opened_for_writing_and_one_for_writing_can";
        return skip(test, "the kernel has no Landlock, or an old one");
    }
    assert_eq!(run("", again, false).stdout, "");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "begin\n");
    assert_eq!(
        run(
            "[process]\ninput_file = \"give\"\n[enforce]\nlandlock = \"off\"",
            again,
            false
        )
        .stdout,
        "opened\n"
    );
    let said = run("", "echo said >>/dev/stderr && echo opened", true);
    assert_eq!(said.stdout, "opened\n");
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "begin\nchanged\nsaid\n"
    );
}

#[test]
fn files_move_from_one_writable_folder_to_another() {
    let project = Project::new();
    let script =
        "mkdir -p a/d b && echo 1 >a/f && mv a/f b/f && ln b/f a/g && mv a/d b/d && rm -r a b
        ln -s x link && mkfifo fifo && rm link fifo && echo t >t && : >t && truncate -s 5 t && rm t
        for at in /tmp /dev/shm /dev/null /proc/self/comm; do
            if [ -d $at ]; then at=$at/file; fi; echo x >$at || echo $at
        done
        echo done";
    let level = |level: &str| format!("version = 1\n[enforce]\nlandlock = \"{level}\"\n");
    for level in [level("prefer"), level("off")] {
        assert_eq!(project.run(&level, script).stdout, "done\n", "{level}");
    }
}

const OUT: &str = r#"
import os, signal, socket, sys
def attempt(act):
    try: act(); return "done"
    except OSError as error: return error.strerror
connect = lambda: socket.socket(socket.AF_UNIX).connect(chr(0) + sys.argv[1])
print(attempt(connect), attempt(lambda: os.kill(int(sys.argv[2]), 0)))
own = socket.socket(socket.AF_UNIX); own.bind(chr(0) + sys.argv[1] + "-own"); own.listen()
print(attempt(lambda: socket.socket(socket.AF_UNIX).connect(own.getsockname())))
child = os.fork()
if child == 0: signal.pause()
print(attempt(lambda: os.kill(child, signal.SIGKILL)))
"#;

#[test]
fn with_the_hosts_network_no_abstract_socket_of_the_host_is_reached() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let project = Project::new();
    project.write("out.py", OUT);
    let name = format!("sandbox-depth-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let run = |level: &str| {
        let profile =
            format!("version = 1\n[network]\nmode = \"host\"\n[enforce]\nlandlock = \"{level}\"\n");
        project.run(&profile, &format!("python3 out.py {name} 1"))
    };
    let required = run("require");
    if required.stderr.contains("Landlock of this kernel") {
        let test = "with_the_hosts_network_no_abstract_socket_of_the_host_is_reached";
        return skip(test, "the kernel's Landlock is too old for it");
    }
    let own = "done\ndone\n";
    // Nor is a signal sent to init, which is outside of what is restricted.
    let refused = format!("Operation not permitted Operation not permitted\n{own}");
    assert_eq!(required.stdout, refused, "{required:?}");
    assert_eq!(run("off").stdout, format!("done done\n{own}"));
}

#[test]
fn a_kernel_without_landlock_is_said_where_it_is_asked_for() {
    let project = Project::new();
    let look = |level: &str| {
        project.write("sandbox.toml", format!("version = 1\n{level}"));
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).stdout
    };
    let plan = look("");
    let off = look("[enforce]\nlandlock = \"off\"");
    assert!(off.contains("no rules of Landlock: it is off"), "{off}");
    assert!(!off.contains("restrict itself by Landlock"), "{off}");
    assert!(
        plan.contains("restrict itself by Landlock") || plan.contains("Landlock of this kernel"),
        "{plan}"
    );
}

/// Takes on what a caller may have about itself, and executes what follows.
const CALLER: &str = r#"
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None)
for number in signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM: signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 3])
libc.personality(0x0440000)
libc.prctl(36, 1)
libc.prctl(1, 15)
os.umask(0o077)
signal.setitimer(signal.ITIMER_REAL, 1000)
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
# Which has the C library ignore the signals that it uses itself.
spawned = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(spawned, 0)[1]))
"#;

/// What a process has of all that.
const SELF: &str = r#"
import ctypes, resource, signal
libc = ctypes.CDLL(None)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print([status[name].strip() for name in ("SigPnd", "ShdPnd", "SigBlk")])
# Python itself ignores SIGPIPE and SIGXFSZ.
print(hex(int(status["SigIgn"], 16)))
print([number.name for number in (signal.SIGHUP, signal.SIGALRM, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_DFL])
print(open("/proc/self/personality").read().strip())
subreaper, death = ctypes.c_int(-1), ctypes.c_int(-1)
libc.prctl(37, ctypes.byref(subreaper)); libc.prctl(2, ctypes.byref(death))
print(subreaper.value, signal.getitimer(signal.ITIMER_REAL))
print(resource.getrlimit(resource.RLIMIT_CORE), death.value)
"#;

#[test]
fn what_the_caller_has_set_for_itself_does_not_come_along() {
    let project = Project::new();
    let caller = project.write("caller.py", CALLER);
    project.write("self.py", SELF);
    for init in ["true", "false"] {
        project.write(
            "sandbox.toml",
            format!("version = 1\n[process]\ninit = {init}\n"),
        );
        let mut command = Command::new("python3");
        command.arg(&caller).arg(program());
        let script = "umask; python3 self.py";
        command.args(["--profile", "sandbox.toml", "--", "sh", "-c", script]);
        let seen = done(command.current_dir(project.path())).ok();
        let none = "0".repeat(16);
        let expected = format!(
            "0022\n['{none}', '{none}', '{none}']\n0x1001000\n[]\n00000000\n0 (0.0, 0.0)\n(1, 1) 0\n"
        );
        assert_eq!(seen, expected, "init = {init}");
    }
}
