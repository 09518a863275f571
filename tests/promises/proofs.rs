//! `sandbox test` proves what a profile asserts: each kind of assertion holds where it should, and
//! fails where it should.

use crate::support::{Done, Project, done};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::Command;

/// A run of `sandbox test` under a profile.
fn test(project: &Project, profile: &str, arguments: &[&str]) -> Command {
    project.write("sandbox.toml", profile);
    let all: Vec<_> = ["test", "sandbox.toml"].iter().chain(arguments).collect();
    let mut command = project.program(&[]);
    command.args(all);
    command
}

/// What became of each assertion, as `KEY VALUE`: its outcome, and what happened.
#[track_caller]
fn outcomes(project: &Project, profile: &str) -> BTreeMap<String, (String, String)> {
    let run = done(&mut test(project, profile, &["--format", "json"]));
    let report: serde_json::Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    assert_eq!(report["version"], 1);
    let mut failed = 0;
    let mut all = BTreeMap::new();
    for assertion in report["assertions"].as_array().unwrap() {
        let text = |key: &str| assertion[key].as_str().unwrap().to_owned();
        failed += u64::from(text("outcome") != "passed");
        let name = format!("{} {}", text("key"), text("value"));
        all.insert(name, (text("outcome"), text("happened")));
    }
    assert_eq!(report["failed"], failed);
    assert_eq!(report["passed"], all.len() as u64 - failed);
    assert_eq!(run.code, i32::from(failed > 0), "{run:?}");
    all
}

/// Tries each value under both keys of a kind, `can_X` and `cannot_X`. Those of the first list can
/// be done, those of the second are refused; the other key fails in each case.
#[track_caller]
fn both_ways(project: &Project, tables: &str, kind: &str, can: &[&str], cannot: &[&str]) {
    let (positive, negative) = match kind {
        "environment" => ("environment_has".into(), "environment_has_not".into()),
        _ => (format!("can_{kind}"), format!("cannot_{kind}")),
    };
    for (values, right, wrong) in [(can, &positive, &negative), (cannot, &negative, &positive)] {
        if values.is_empty() {
            continue;
        }
        for (key, expected) in [(right, "passed"), (wrong, "failed")] {
            let found = outcomes(project, &profile(tables, key, values));
            for value in values {
                let (outcome, happened) = &found[&format!("{key} {value}")];
                assert_eq!(outcome, expected, "{key} {value}: {happened}");
            }
            assert_eq!(found.len(), values.len());
        }
    }
}

fn profile(tables: &str, key: &str, values: &[&str]) -> String {
    format!("version = 1\n{tables}\n[[test]]\n{key} = {values:?}\n")
}

/// The one outcome of a single assertion.
#[track_caller]
fn outcome(project: &Project, tables: &str, key: &str, value: &str) -> (String, String) {
    let mut all = outcomes(project, &profile(tables, key, &[value]));
    assert_eq!(all.len(), 1);
    all.pop_first().unwrap().1
}

fn is(outcome: &(String, String), expected: &str, happened: &str) {
    assert_eq!(outcome.0, expected, "{outcome:?}");
    assert!(outcome.1.contains(happened), "{outcome:?}");
}

/// A path in the project, as text.
fn at(project: &Project, name: &str) -> String {
    project.path().join(name).to_str().unwrap().to_owned()
}

fn set_mode(path: &str, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_can_be_read_is_read_and_nothing_else_is() {
    let project = Project::new();
    project.write("text", "text");
    project.write("empty", "");
    project.write("secret", "secret");
    project.write("closed", "closed");
    set_mode(&at(&project, "closed"), 0);
    nix::unistd::mkfifo(&project.path().join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    // Open for writing too, so that there is nothing to be read yet, instead of an end.
    let options = std::fs::OpenOptions::new().read(true).write(true).clone();
    set_mode(&at(&project, "fifo"), 0o600);
    let _writer = options.open(project.path().join("fifo")).unwrap();
    let [text, empty, fifo, secret, closed] =
        ["text", "empty", "fifo", "secret", "closed"].map(|name| at(&project, name));
    let mask = format!("[[mounts]]\ntype = \"mask\"\ntarget = {secret:?}");
    both_ways(
        &project,
        &mask,
        "read",
        &[
            &text,
            &empty,
            &fifo,
            "/usr",
            "/etc/hostname",
            "/proc/self/environ",
            "/dev/null",
        ],
        // A mask is an empty file that may not be opened.
        &[
            &closed,
            &secret,
            "/nowhere",
            "/etc/hostname/x",
            "/var/lib/dpkg",
            "/etc/shadow",
        ],
    );
}

#[test]
fn what_can_be_written_is_found_out_without_a_trace() {
    let project = Project::new();
    let file = project.write("file", "contents");
    project.write("folder/closed", "closed");
    project.write("target", "");
    let before = file.metadata().unwrap().modified().unwrap();
    let [file, folder, closed, target] =
        ["file", "folder", "folder/closed", "target"].map(|name| at(&project, name));
    set_mode(&closed, 0o400);
    let bind = format!(
        "[[mounts]]\ntype = \"bind\"\nsource = {file:?}\ntarget = {target:?}\n\
         [[mounts]]\ntype = \"bind\"\ntarget = \"/opt/folder\"\nsource = {folder:?}"
    );
    let project_folder = at(&project, "");
    let project_folder = project_folder.trim_end_matches('/');
    both_ways(
        &project,
        &bind,
        "write",
        &[
            project_folder,
            &folder,
            &file,
            "/tmp",
            "/dev/shm",
            "/dev/null",
        ],
        &[
            &closed,
            &target,
            "/opt/folder",
            "/usr",
            "/etc/passwd",
            "/",
            "/proc",
            "/nowhere",
        ],
    );
    let names = |folder: &str| -> Vec<_> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let all = ["file", "folder", "sandbox.toml", "target"];
    assert_eq!(names(project_folder), all);
    assert_eq!(names(&folder), ["closed"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "contents");
    assert_eq!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        before
    );
    // Nothing without a name can be made here: it gets one, and is removed.
    let queues = "[[mounts]]\ntype = \"mqueue\"\ntarget = \"/dev/mqueue\"";
    let (outcome, happened) = outcome(&project, queues, "can_write", "/dev/mqueue");
    assert_eq!(
        (outcome.as_str(), happened.as_str()),
        ("passed", "a file was made in it")
    );
    let read = "[rootfs]\nproject = \"read\"";
    both_ways(&project, read, "write", &[], &[project_folder, &file]);
}

#[test]
fn what_is_there_is_seen() {
    let project = Project::new();
    let file = project.write("file", "");
    set_mode(file.to_str().unwrap(), 0);
    let file = at(&project, "file");
    both_ways(
        &project,
        "",
        "see",
        &[&file, "/usr", "/proc/self"],
        // Descriptors of the set-up are as far away as they are from a command.
        &[
            "/nowhere",
            "/var/lib",
            "/srv",
            "/proc/self/fd/3",
            "/proc/self/fd/9",
        ],
    );
    let mut inherits = test(
        &project,
        &profile("", "cannot_see", &["/proc/self/fd/7"]),
        &[],
    );
    let program = inherits.get_program().to_owned();
    let arguments: Vec<_> = inherits.get_args().map(ToOwned::to_owned).collect();
    inherits = project.program(&[]);
    let mut shell = Command::new("sh");
    shell
        .current_dir(inherits.get_current_dir().unwrap())
        .args(["-c", "exec 7</; exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments);
    assert_eq!(done(&mut shell).code, 0);
}

#[test]
fn a_program_is_started_and_does_nothing() {
    let project = Project::new();
    project.executable("script", "#!/bin/sh\necho done >trace\n");
    project.executable("orphan", "#!/nowhere/sh\n");
    project.executable("text", "no program\n");
    project.write("closed", "#!/bin/sh\n");
    // Its first system call is the one to exit.
    project.write(
        "exit.c",
        "void _start(void) {
            register long number __asm__(EXIT_REGISTER) = EXIT;
            __asm__ volatile(CALL : : \"r\"(number));
            __builtin_trap();
        }",
    );
    let (register, number, call) = if cfg!(target_arch = "x86_64") {
        ("\"rax\"", "231", "\"syscall\"")
    } else {
        ("\"x8\"", "94", "\"svc #0\"")
    };
    let built = Command::new("cc")
        .current_dir(project.path())
        .args(["-nostdlib", "-static", "-O1", "-o", "exit", "exit.c"])
        .arg(format!("-DEXIT_REGISTER={register}"))
        .arg(format!("-DEXIT={number}"))
        .arg(format!("-DCALL={call}"))
        .status()
        .unwrap();
    assert!(built.success());
    let [script, orphan, text, closed, exit] =
        ["script", "orphan", "text", "closed", "exit"].map(|name| at(&project, name));
    let noexec = format!(
        "[[mounts]]\ntype = \"bind\"\nnoexec = true\nsource = {script:?}\ntarget = \"/opt/script\""
    );
    both_ways(
        &project,
        &noexec,
        "execute",
        &["sh", "python3", "/usr/bin/env", &script, &exit],
        &[
            &orphan,
            &text,
            &closed,
            "/opt/script",
            "/usr",
            "/nowhere",
            "no-such-program",
        ],
    );
    assert!(!project.path().join("trace").exists());
    assert!(std::fs::read_dir(project.path()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_str().unwrap().starts_with("core")
    }));
}

#[test]
fn under_a_list_of_programs_only_those_can_be_executed() {
    let project = Project::new();
    let tables = "[rootfs]\nprograms = [\"cat\"]\n[seccomp]\npreset = \"strict\"";
    both_ways(&project, tables, "execute", &["cat"], &["sh", "ls"]);
}

/// The host's network, abstract sockets included.
const HOST: &str = "[network]\nmode = \"host\"\n[enforce]\nlandlock = \"off\"";

#[test]
fn a_listener_outside_is_reached_through_the_callers_network_only() {
    let project = Project::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let name = format!("sandbox-test-{}", std::process::id());
    let at_name = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&at_name).unwrap();
    let name = format!("unix-abstract:{name}");
    both_ways(
        &project,
        HOST,
        "connect",
        &[&address, &name],
        &["vsock:2:1024"],
    );
    both_ways(
        &project,
        "",
        "connect",
        &[],
        &[&address, &name, "192.0.2.1:80", "vsock:2:1024"],
    );
    let none = "[network]\nmode = \"none\"";
    both_ways(&project, none, "connect", &[], &[&address, &name]);
    let strict = format!("{HOST}\n[seccomp]\npreset = \"strict\"");
    both_ways(&project, &strict, "connect", &[], &[&address, &name]);
}

#[test]
fn a_refusal_by_nobody_proves_nothing() {
    let project = Project::new();
    // Nobody listens on it: the test does so itself, outside, and then knows.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let name = format!("unix-abstract:sandbox-free-{}", std::process::id());
    for address in [&address, &name] {
        is(
            &outcome(&project, "", "cannot_connect", address),
            "passed",
            "while outside somebody listens there",
        );
        is(
            &outcome(&project, HOST, "cannot_connect", address),
            "failed",
            "connected",
        );
        is(
            &outcome(&project, HOST, "can_connect", address),
            "failed",
            "nobody listens",
        );
    }
    // Port 1 is root's: as a plain user the test listens on another port of the same address.
    is(
        &outcome(&project, "", "cannot_connect", "127.0.0.1:1"),
        "passed",
        "refused, ",
    );
    let (outcome_of_1, happened) = outcome(&project, HOST, "cannot_connect", "127.0.0.1:1");
    let expected = if crate::support::is_root() {
        ("failed", "connected")
    } else {
        ("unproven", "nobody listens on it either")
    };
    is(&(outcome_of_1, happened), expected.0, expected.1);
    // Somebody has it who does not listen.
    let taken = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    let any = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, 0);
    std::os::fd::AsRawFd::as_raw_fd(&taken);
    nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&taken), &any).unwrap();
    let bound: nix::sys::socket::SockaddrIn =
        nix::sys::socket::getsockname(std::os::fd::AsRawFd::as_raw_fd(&taken)).unwrap();
    is(
        &outcome(&project, "", "cannot_connect", &bound.to_string()),
        "unproven",
        "in use, and does not answer",
    );
}

#[test]
fn a_network_without_a_way_is_no_proof_if_it_is_the_callers() {
    let project = Project::new();
    // In a network of its own, which the inner sandbox then takes for the caller's.
    let inner = profile(
        "[network]\nmode = \"host\"",
        "cannot_connect",
        &["192.0.2.1:80"],
    );
    project.write("inner.toml", &inner);
    let outer = Command::new("unshare")
        .current_dir(project.path())
        .args(if crate::support::is_root() {
            &["--net"][..]
        } else {
            &["--user", "--map-current-user", "--net"]
        })
        .arg(crate::support::program())
        .args(["test", "inner.toml"])
        .output()
        .unwrap();
    let outer = crate::support::finished(outer);
    assert_eq!(outer.code, 1, "{outer:?}");
    insta::assert_snapshot!(outer.stdout, @r#"
    FAILED  test 1: cannot_connect 192.0.2.1:80: there is no way to it, nor outside: the network is the caller's: Network is unreachable (ENETUNREACH)

    error[SBX0084]: `test 1` is not proven: cannot_connect 192.0.2.1:80
     --> inner.toml:5:19
      |
    5 | cannot_connect = ["192.0.2.1:80"]
      |                   ^^^^^^^^^^^^^^ there is no way to it, nor outside: the network is the caller's: Network is unreachable (ENETUNREACH)
      |
      = help: name an address that answers outside of the sandbox: silence has many reasons

    0 passed, 1 failed
    "#);
}

#[test]
fn a_socket_of_the_file_system_is_reached_where_it_is_seen() {
    let project = Project::new();
    let _stream = UnixListener::bind(project.path().join("stream")).unwrap();
    let _datagram = UnixDatagram::bind(project.path().join("datagram")).unwrap();
    drop(UnixListener::bind(project.path().join("left")).unwrap());
    let [stream, datagram, left] =
        ["stream", "datagram", "left"].map(|name| format!("unix:{}", at(&project, name)));
    both_ways(
        &project,
        "",
        "connect",
        &[&stream, &datagram],
        &["unix:/nowhere", "unix:/run/docker.sock"],
    );
    let hidden = "[rootfs]\nproject = \"hide\"";
    both_ways(&project, hidden, "connect", &[], &[&stream, &datagram]);
    // It can be reached as soon as somebody listens.
    for key in ["can_connect", "cannot_connect"] {
        is(
            &outcome(&project, "", key, &left),
            "failed",
            "it is there, and nobody listens",
        );
    }
}

#[test]
fn a_call_is_judged_by_the_filter_and_never_performed() {
    let project = Project::new();
    both_ways(
        &project,
        "",
        "call",
        // Performed, some of these would end the attempt or hold it up for ever.
        &[
            "getpid",
            "exit_group",
            "execve",
            "write",
            "read",
            "rt_sigsuspend",
            "ioctl",
            "socket",
            "clone",
            "socket(1, 1)",
            "clone(0)",
            "rt_sigreturn",
            "munmap(0, -1)",
        ],
        &[
            "mount",
            "bpf",
            "keyctl",
            "reboot",
            "clone3",
            "init_module",
            "socket(40, 1)",
            "clone(0x10000000)",
            "ioctl(0, 0x5412)",
        ],
    );
    let tables =
        "[seccomp]\nallow = [\"mount\", \"reboot\", \"socket\"]\ndeny = [\"getpid\", \"openat\"]";
    both_ways(
        &project,
        tables,
        "call",
        &[
            "mount",
            "reboot",
            "reboot(0xfee1dead, 672274793, 0x4321fedc)",
            "socket(40, 1)",
        ],
        &["getpid", "openat", "bpf"],
    );
    let off = "[seccomp]\npreset = \"off\"";
    both_ways(&project, off, "call", &["mount", "bpf", "reboot"], &[]);
    let strict = "[seccomp]\npreset = \"strict\"";
    both_ways(
        &project,
        strict,
        "call",
        &["read"],
        &["socket", "ptrace", "mount"],
    );
}

#[test]
fn the_environment_is_what_a_command_would_get() {
    let project = Project::new();
    let tables = "[environment]\nset = { COLOUR = \"red\", LIKE = \"COLOR=red\" }";
    both_ways(
        &project,
        tables,
        "environment",
        &["PATH", "COLOUR", "COL*", "*OUR"],
        &["COLOR", "CARGO_*", "red"],
    );
}

#[test]
fn a_command_runs_to_its_end() {
    let project = Project::new();
    let run = |command: &str, exit: &str| {
        let profile = format!("version = 1\n[[test]]\nruns = {command}\n{exit}");
        done(&mut test(&project, &profile, &[]))
    };
    let passes = |run: Done| assert_eq!(run.code, 0, "{run:?}");
    let fails = |run: Done, words: &str| {
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stdout.contains(words), "{run:?}");
    };
    passes(run(r#"["true"]"#, ""));
    passes(run(r#"["sh", "-c", "exit 3"]"#, "exit = 3"));
    passes(run(r#"["sh", "-c", "kill -KILL $$"]"#, "exit = 137"));
    passes(run(r#"["sh", "-c", "kill -TERM $$"]"#, "exit = 143"));
    passes(run(r#"["no-such-program"]"#, "exit = 127"));
    fails(run(r#"["sh", "-c", "exit 3"]"#, ""), "it exited with 3");
    fails(run(r#"["true"]"#, "exit = 1"), "it exited with 0");
    fails(
        run(r#"["sh", "-c", "kill -KILL $$"]"#, ""),
        "signal 9 ended it",
    );
    fails(
        run(r#"["no-such-program"]"#, ""),
        "cannot execute `no-such-program`",
    );
    // What it writes is shown if it fails, and is no part of the report otherwise.
    let noise = r#"["sh", "-c", "echo to-out; echo to-err >&2; exit 1"]"#;
    fails(run(noise, ""), "its output:\n    to-out\n    to-err\n");
    let quiet = run(noise, "exit = 1");
    assert!(!quiet.stdout.contains("    to-out"), "{quiet:?}");
    assert_eq!(quiet.stderr, "");
    // Nobody answers it, whatever the test itself is given.
    let profile = "version = 1\n[[test]]\nruns = [\"sh\", \"-c\", \"! read answer\"]";
    let answers = std::fs::File::open(project.write("answers", "yes\n")).unwrap();
    passes(done(test(&project, profile, &[]).stdin(answers)));
    let limit = "[limits]\nwall_time = \"100ms\"\ngrace = \"100ms\"";
    let profile = format!("version = 1\n{limit}\n[[test]]\nruns = [\"sleep\", \"60\"]");
    fails(
        done(&mut test(&project, &profile, &[])),
        "wall time of 100ms reached",
    );
}

#[test]
fn an_attempt_has_the_capabilities_that_a_command_has() {
    let project = Project::new();
    project.write("closed", "closed");
    let closed = at(&project, "closed");
    set_mode(&closed, 0);
    let keep = "[capabilities]\nkeep = [\"dac_override\"]";
    let plain = format!("[user]\nuid = 1000\n{keep}");
    let ambient = format!("[user]\nuid = 1000\n{keep}\nambient = [\"dac_override\"]");
    let root = format!("[user]\nuid_map = \"root\"\n{keep}");
    for (tables, can) in [(&plain, false), (&ambient, true), (&root, true)] {
        let profile = format!("version = 1\n{tables}");
        let command = done(&mut project.command(&profile, &["cat", &closed]));
        assert_eq!(command.code == 0, can, "{command:?}");
        let key = if can { "can_read" } else { "cannot_read" };
        is(&outcome(&project, tables, key, &closed), "passed", "");
    }
}

#[test]
fn attempts_are_made_under_any_shape_of_sandbox() {
    let project = Project::new();
    let assertions = "[[test]]
        can_read = [\"/etc/hostname\"]
        cannot_write = [\"/usr\"]
        can_execute = [\"sh\"]
        cannot_call = [\"mount\"]
        environment_has = [\"PATH\"]
        runs = [\"true\"]";
    for tables in [
        "[process]\ninit = false",
        "[process]\nsession = \"inherit\"",
        "[namespaces]\npid = \"shared\"",
        "[network]\nmode = \"host\"",
        "[user]\nuid_map = \"root\"",
        "[limits]\npids = 50\n[enforce]\nlimits = \"prefer\"",
        "[rlimits]\ncore = \"infinity\"",
        "[seccomp]\ndeny = [\"close_range\", \"capset\", \"prctl\", \"setrlimit\", \"prlimit64\", \"seccomp\"]",
    ] {
        let profile = format!("version = 1\n{tables}\n{assertions}");
        let found = outcomes(&project, &profile);
        for (name, (outcome, happened)) in found {
            // A program that needs what is denied here fails, as under a run.
            if tables.contains("deny") && name == "runs true" {
                continue;
            }
            assert_eq!(outcome, "passed", "{tables}: {name}: {happened}");
        }
    }
    // No core file of what a trap has ended, either.
    let left: Vec<_> = std::fs::read_dir(project.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_not_enforced_is_said_once() {
    let project = Project::new();
    let tables = "version = 1\n[limits]\npids = 50\n[enforce]\nlimits = \"prefer\"\n";
    let command = done(&mut project.command(tables, &["true"]));
    let tests = "[[test]]\nruns = [\"true\"]\ncan_see = [\"/usr\", \"/etc\"]";
    let run = done(&mut test(&project, &format!("{tables}{tests}"), &[]));
    assert_eq!(run.code, 0, "{run:?}");
    // Nothing at all where the limits can be had.
    assert_eq!(run.stderr, command.stderr);
}

#[test]
fn a_profile_that_is_wrong_or_proves_nothing_is_no_success() {
    let project = Project::new();
    let fails = |profile: &str, arguments: &[&str], code: &str| {
        let run = done(&mut test(&project, profile, arguments));
        assert_eq!(run.code, 125, "{run:?}");
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains(code), "{run:?}");
    };
    let tests = "version = 1\n[[test]]\ncan_see = [\"/usr\"]\n";
    fails("version = 1", &[], "SBX0085");
    fails("version = 1", &["--format", "junit"], "SBX0085");
    fails(tests, &["--filter", "cannot"], "SBX0085");
    fails(&format!("{tests}can_fly = [\"/\"]"), &[], "SBX0003");
    fails(
        &format!("{tests}[process]\ncwd = \"/usr/nowhere\""),
        &[],
        "SBX0102",
    );
    let missing = "[[mounts]]\ntype = \"bind\"\ntarget = \"/nowhere\"";
    fails(&format!("{tests}{missing}"), &[], "SBX0101");
}

#[test]
fn a_broken_profile_fails_its_tests() {
    let project = Project::new();
    let tests = "[[test]]\nname = \"secrets\"\ncannot_read = [\"/opt/secrets\"]\n";
    let good = done(&mut test(&project, &format!("version = 1\n{tests}"), &[]));
    assert_eq!(good.code, 0, "{good:?}");
    project.write("secrets", "secret");
    let mount = "[[mounts]]\ntype = \"bind\"\ntarget = \"/opt/secrets\"\nsource = \"secrets\"";
    let bad = done(&mut test(
        &project,
        &format!("version = 1\n{tests}{mount}"),
        &[],
    ));
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.stdout.ends_with("0 passed, 1 failed\n"), "{bad:?}");
}

#[test]
fn the_shipped_profiles_keep_what_they_assert() {
    let project = Project::new();
    for name in ["default", "strict"] {
        let run = done(project.program(&[]).args(["test", name]));
        assert_eq!(run.code, 0, "{run:?}");
    }
}

#[test]
fn an_interrupted_test_ends_with_its_signal() {
    let project = Project::new();
    let profile = "version = 1\n[[test]]\nruns = [\"sh\", \"-c\", \"echo >started; sleep 60\"]\n\
        [[test]]\nruns = [\"sh\", \"-c\", \"echo >second\"]";
    let mut command = test(&project, profile, &[]);
    let mut running = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    while !project.path().join("started").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = nix::unistd::Pid::from_raw(running.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert!(!project.path().join("second").exists());
}

const MIXED: &str = "version = 1
[[test]]
name = \"secrets stay out\\u001b[31m\"
cannot_see = [\"/srv\"]
cannot_read = [\"/etc/hostname\"]
[[test]]
runs = [\"sh\", \"-c\", \"printf 'a\\\\033[31mb\\\\001<&]]>\\\\n'; exit 2\"]
";

/// A report without what differs from run to run.
fn steady(text: &str, project: &Project) -> String {
    let folder = project.path().to_str().unwrap();
    let mut out = String::new();
    for line in text.replace(folder, "[project]").lines() {
        let mut line = line.to_owned();
        for (before, after) in [("time=\"", "\""), ("\"seconds\": ", ",")] {
            if let Some(at) = line.find(before) {
                let from = at + before.len();
                let to = from + line[from..].find(after).unwrap();
                line.replace_range(from..to, "0");
            }
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[test]
fn the_report_for_people() {
    let project = Project::new();
    let run = done(&mut test(&project, MIXED, &[]));
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(steady(&run.stdout, &project), @r#"
    ok      secrets stay out\u{1b}[31m: cannot_see /srv: not there: No such file or directory (ENOENT)
    FAILED  secrets stay out\u{1b}[31m: cannot_read /etc/hostname: it was opened and read
    FAILED  test 2: runs sh -c printf 'a\033[31mb\001<&]]>\n'; exit 2: it exited with 2

    error[SBX0083]: `secrets stay out\u{1b}[31m` does not hold: cannot_read /etc/hostname
     --> sandbox.toml:5:16
      |
    5 | cannot_read = ["/etc/hostname"]
      |                ^^^^^^^^^^^^^^^ it was opened and read
      |
      = help: hide it with an entry of [[mounts]]: type = "mask"; or remove the mount that shows it

    error[SBX0083]: `test 2` does not hold: runs sh -c printf 'a\033[31mb\001<&]]>\n'; exit 2
     --> sandbox.toml:7:8
      |
    7 | runs = ["sh", "-c", "printf 'a\\033[31mb\\001<&]]>\\n'; exit 2"]
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it exited with 2
      |
      = help: run it by hand: sandbox --profile … -- COMMAND; or correct `exit`, which is 0

    its output:
        a\u{1b}[31mb\u{1}<&]]>

    1 passed, 2 failed
    "#);
}

#[test]
fn the_report_for_programs() {
    let project = Project::new();
    let run = done(&mut test(&project, MIXED, &["--format", "json"]));
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(steady(&run.stdout, &project), @r#"
    {
      "version": 1,
      "passed": 1,
      "failed": 2,
      "assertions": [
        {
          "test": "secrets stay out\u001b[31m",
          "key": "cannot_see",
          "value": "/srv",
          "file": "sandbox.toml",
          "line": 4,
          "column": 15,
          "outcome": "passed",
          "code": null,
          "happened": "not there: No such file or directory (ENOENT)",
          "errno": "ENOENT",
          "help": null,
          "seconds": 0,
          "output": null
        },
        {
          "test": "secrets stay out\u001b[31m",
          "key": "cannot_read",
          "value": "/etc/hostname",
          "file": "sandbox.toml",
          "line": 5,
          "column": 16,
          "outcome": "failed",
          "code": "SBX0083",
          "happened": "it was opened and read",
          "errno": null,
          "help": "hide it with an entry of [[mounts]]: type = \"mask\"; or remove the mount that shows it",
          "seconds": 0,
          "output": null
        },
        {
          "test": "test 2",
          "key": "runs",
          "value": "sh -c printf 'a\\033[31mb\\001<&]]>\\n'; exit 2",
          "file": "sandbox.toml",
          "line": 7,
          "column": 8,
          "outcome": "failed",
          "code": "SBX0083",
          "happened": "it exited with 2",
          "errno": null,
          "help": "run it by hand: sandbox --profile … -- COMMAND; or correct `exit`, which is 0",
          "seconds": 0,
          "output": "a\u001b[31mb\u0001<&]]>\n"
        }
      ]
    }
    "#);
}

#[test]
fn the_report_for_ci_services() {
    let project = Project::new();
    let run = done(&mut test(&project, MIXED, &["--format", "junit"]));
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let report = quick_junit::Report::deserialize_from_str(&run.stdout).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (3, 2, 0));
    let suites: Vec<_> = report.test_suites.iter().map(|suite| suite.tests).collect();
    assert_eq!(suites, [2, 1]);
    assert!(run.stdout.chars().all(|c| c == '\n' || !c.is_control()));
    insta::assert_snapshot!(steady(&run.stdout, &project), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="sandbox test" tests="3" skipped="0" failures="2" errors="0" time="0">
        <testsuite name="secrets stay out\u{1b}[31m" tests="2" skipped="0" errors="0" failures="1" time="0">
            <testcase name="cannot_see /srv" classname="secrets stay out\u{1b}[31m" time="0" file="sandbox.toml" line="4"/>
            <testcase name="cannot_read /etc/hostname" classname="secrets stay out\u{1b}[31m" time="0" file="sandbox.toml" line="5">
                <failure message="it was opened and read" type="SBX0083">error[SBX0083]: `secrets stay out\u{1b}[31m` does not hold: cannot_read /etc/hostname
     --&gt; sandbox.toml:5:16
      |
    5 | cannot_read = [&quot;/etc/hostname&quot;]
      |                ^^^^^^^^^^^^^^^ it was opened and read
      |
      = help: hide it with an entry of [[mounts]]: type = &quot;mask&quot;; or remove the mount that shows it</failure>
            </testcase>
        </testsuite>
        <testsuite name="test 2" tests="1" skipped="0" errors="0" failures="1" time="0">
            <testcase name="runs sh -c printf &apos;a\033[31mb\001&lt;&amp;]]&gt;\n&apos;; exit 2" classname="test 2" time="0" file="sandbox.toml" line="7">
                <failure message="it exited with 2" type="SBX0083">error[SBX0083]: `test 2` does not hold: runs sh -c printf &apos;a\033[31mb\001&lt;&amp;]]&gt;\n&apos;; exit 2
     --&gt; sandbox.toml:7:8
      |
    7 | runs = [&quot;sh&quot;, &quot;-c&quot;, &quot;printf &apos;a\\033[31mb\\001&lt;&amp;]]&gt;\\n&apos;; exit 2&quot;]
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it exited with 2
      |
      = help: run it by hand: sandbox --profile … -- COMMAND; or correct `exit`, which is 0</failure>
                <system-out>a\u{1b}[31mb\u{1}&lt;&amp;]]&gt;
    </system-out>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
}

#[test]
fn what_is_tried_can_be_read_beforehand() {
    let project = Project::new();
    let profile = "version = 1\n[[test]]\nname = \"secrets\"\ncannot_read = [\"/root\"]\n\
        can_call = [\"socket\"]\nruns = [\"sh\", \"-c\", \"echo >ran\"]";
    let run = done(&mut test(&project, profile, &["--explain"]));
    let text = run.ok();
    for line in [
        "secrets: cannot_read /root\n",
        "  try to read /root, and report the answer  ",
        "  stop socket behind the system call filter  ",
        "  try to call socket(0xa), and report the answer  ",
        "  execute sh -c echo >ran",
        " sandbox.toml:4\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!project.path().join("ran").exists());
}
