//! What the command is given of its surroundings is what the profile means, and no power over more: streams, ports,
//! labels.

use crate::support::{Project, done, is_root, skip};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_directory_is_no_standard_stream() {
    let project = Project::new();
    let folder = || File::open("/").unwrap();
    for (number, name) in [(0, "input"), (1, "output"), (2, "error")] {
        let mut run = project.script("version = 1\n", "true");
        match number {
            0 => run.stdin(folder()),
            1 => run.stdout(folder()),
            _ => run.stderr(folder()),
        };
        let run = done(&mut run);
        assert_eq!(run.code, 125, "{run:?}");
        if number != 2 {
            let said = format!("the standard {name} is a directory, which leads out");
            assert!(run.stderr.contains(&said), "{run:?}");
        }
    }
    // Where the root is the caller's own, it leads nowhere else.
    let shared = "version = 1\n[namespaces]\nmount = \"shared\"\n";
    let run = done(project.script(shared, "echo ran").stdin(folder()));
    assert!(!run.stderr.contains("SBX0132"), "{run:?}");
}

#[test]
fn streams_are_set_as_before_when_the_command_is_gone() {
    let project = Project::new();
    let (reader, _writer) = std::io::pipe().unwrap();
    let ours = reader.try_clone().unwrap();
    let flags = || nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    let before = flags();
    let script = "import os; os.set_blocking(0, False); print(os.get_blocking(0))";
    let mut run = project.command("version = 1\n", &["/usr/bin/python3", "-Ic", script]);
    assert_eq!(done(run.stdin(reader)).ok(), "False\n");
    assert_eq!(flags(), before);
}

#[test]
fn a_file_as_input_can_be_read_anywhere_and_not_be_changed() {
    let project = Project::new();
    let path = std::env::temp_dir().join(format!("input-{}", std::process::id()));
    std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let script = "
import os
for change in (lambda: os.truncate('/proc/self/fd/0', 0), lambda: os.fchmod(0, 0o666), lambda: os.utime(0)):
    try: change(); print('changed')
    except OSError: pass
print(os.pread(0, 3, 4), os.read(0, 4))";
    let mut file = File::open(&path).unwrap();
    let input = || file.try_clone().unwrap();
    let python = ["/usr/bin/python3", "-Ic", script];
    let mut run = project.command("version = 1\n", &python);
    assert_eq!(done(run.stdin(input())).ok(), "b'two' b'one\\n'\n");
    // Others read on where the command has come to, and so does the next one.
    let script = "import os; print(os.read(0, 4))";
    let mut run = project.command("version = 1\n", &["/usr/bin/python3", "-Ic", script]);
    assert_eq!(done(run.stdin(input())).ok(), "b'two\\n'\n");
    assert_eq!(file.stream_position().unwrap(), 8);
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "three\n");
    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    // What has no name is nobody else's.
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut run = project.script("version = 1\n", "cat");
    assert_eq!(done(run.stdin(file)).ok(), "one\ntwo\nthree\n");
}

#[test]
fn the_file_itself_is_given_where_the_profile_says_so() {
    const TEST: &str = "the_file_itself_is_given_where_the_profile_says_so";
    if is_root() {
        return skip(
            TEST,
            "the ids of a run of root have no power over a file of root's",
        );
    }
    let project = Project::new();
    let path = std::env::temp_dir().join(format!("given-{}", std::process::id()));
    std::fs::write(&path, "text").unwrap();
    let give = "version = 1\n[process]\ninput_file = \"give\"\n";
    let script = "import os; os.truncate('/proc/self/fd/0', 2)";
    let mut run = project.command(give, &["/usr/bin/python3", "-Ic", script]);
    let run = done(run.stdin(File::open(&path).unwrap()));
    let left = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((run.ok(), left), (String::new(), "te".into()));
}

#[test]
fn only_the_ports_that_are_listed_are_connected_to_and_served_on() {
    const TEST: &str = "only_the_ports_that_are_listed_are_connected_to_and_served_on";
    if !sandbox::sys::landlock::abi().is_ok_and(|version| version >= 4) {
        return skip(TEST, "Landlock of this kernel has no rules about ports");
    }
    let project = Project::new();
    let [one, other] = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let [permitted, refused] = [&one, &other].map(|one| one.local_addr().unwrap().port());
    let script = format!(
        "
import socket
def attempt(what, act):
    try: act(); print(what)
    except OSError as error: print(what, error.strerror)
def sends():
    socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', {refused}))
attempt('permitted', lambda: socket.create_connection(('127.0.0.1', {permitted})))
attempt('refused', lambda: socket.create_connection(('127.0.0.1', {refused})))
attempt('fast', sends)
attempt('multipath', lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
attempt('any', lambda: socket.socket().bind(('127.0.0.1', 0)))
attempt('served', lambda: socket.socket().bind(('127.0.0.1', 39)))
attempt('datagrams', lambda: socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', {refused})))"
    );
    let python = ["/usr/bin/python3", "-Ic", &script];
    let host = "version = 1\n[network]\nmode = \"host\"\n";
    let listed = format!("{host}connect_ports = [{permitted}]\nbind_ports = [0]\n");
    let run = done(&mut project.command(&listed, &python));
    let lines: Vec<_> = run.stdout.lines().collect();
    let expected = [
        "permitted",
        "refused Permission denied",
        "fast Operation not supported",
        "multipath Protocol not supported",
        "any",
        "served Permission denied",
        "datagrams",
    ];
    assert_eq!(lines, expected, "{run:?}");
    // Without the lists it is not Landlock that refuses anything.
    let run = done(&mut project.command(host, &python));
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[..3], ["permitted", "refused", "fast"], "{run:?}");
    // Where there is no such rule, there is no run; and what switches the rules off contradicts the lists.
    let off = format!("{listed}[enforce]\nlandlock = \"off\"\n");
    project.write("off.toml", off);
    let check = done(&mut project.program(&["check", "off.toml"]));
    assert!(
        check
            .stderr
            .contains("what is said about ports is switched off"),
        "{check:?}"
    );
}

#[test]
fn a_label_of_a_module_that_is_not_active_is_refused_with_its_line() {
    const TEST: &str = "a_label_of_a_module_that_is_not_active_is_refused_with_its_line";
    let project = Project::new();
    let active = [
        (
            "apparmor",
            "build",
            "/sys/module/apparmor/parameters/enabled",
        ),
        (
            "selinux",
            "system_u:system_r:container_t:s0",
            "/sys/fs/selinux/enforce",
        ),
    ];
    let mut tried = 0;
    for (key, label, sign) in active {
        if std::path::Path::new(sign).exists() {
            continue;
        }
        tried += 1;
        let profile = format!("version = 1\n[process]\n{key} = \"{label}\"\n");
        let said = project.run(&profile, "true").fails(125);
        assert!(said.contains("is not active in this kernel"), "{said}");
        assert!(said.contains("sandbox.toml:3"), "{said}");
        let prefer = format!("{profile}[enforce]\nlabels = \"prefer\"\n");
        let run = project.run(&prefer, "echo ran");
        assert_eq!((run.code, run.stdout.as_str()), (0, "ran\n"), "{run:?}");
        assert!(
            run.stderr.contains("is not active in this kernel"),
            "{run:?}"
        );
        let doctor = done(&mut project.program(&["doctor"]));
        let line = doctor.stdout.lines().find(|line| line.contains(key));
        assert!(
            line.is_some_and(|line| line.contains("not active")),
            "{doctor:?}"
        );
    }
    if tried == 0 {
        skip(TEST, "both modules are active here");
    }
    let space = "version = 1\n[process]\napparmor = \"a b\"\n";
    let said = project.run(space, "true").fails(125);
    assert!(
        said.contains("AppArmor has no label of this name"),
        "{said}"
    );
}
