//! Where systemd keeps the groups, a run has its limits in a scope that systemd gave it.

use crate::live::{HOLD, Live, eventually, group, lives};
use crate::support::{Project, done, is_root, skip};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROFILE: &str = "version = 1\n[limits]\npids = 50\nmemory = \"100M\"\ncpu = 0.5";

/// Whether a manager of systemd is asked here, by what `explain` says of a run.
fn without_manager(test: &str) -> bool {
    let project = Project::new();
    let without = !first_step(&project, &mut explain(&project)).contains("ask the systemd");
    if without {
        skip(
            test,
            "our own group is not one that systemd keeps, or there is none at all",
        );
    }
    without
}

fn explain(project: &Project) -> Command {
    project.write("sandbox.toml", PROFILE);
    project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])
}

fn first_step(project: &Project, command: &mut Command) -> String {
    let done = done(command.current_dir(project.path()));
    done.stdout.lines().nth(1).unwrap_or_default().to_owned()
}

/// The directory of the scope that a command is in.
#[track_caller]
fn scope(live: &Live) -> PathBuf {
    let limited = group(live.command(), "memory");
    let name = limited.file_name().unwrap().to_str().unwrap();
    let scope = limited.parent().unwrap();
    let unit = scope.file_name().unwrap().to_str().unwrap();
    assert!(
        unit.starts_with(&format!("{name}-")) && unit.ends_with(".scope"),
        "{unit}"
    );
    scope.to_owned()
}

fn read(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim()
        .into()
}

/// `systemctl` or `systemd-run` towards the manager that runs of this user ask.
fn systemd(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    if !is_root() {
        command.arg("--user");
    }
    command.args(arguments);
    command
}

/// The units of runs that the manager knows of.
fn units() -> String {
    let list = [
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "sandbox-*.scope",
    ];
    done(&mut systemd("systemctl", &list)).ok()
}

#[test]
fn a_run_in_a_login_has_its_limits_in_a_scope_and_its_supervisor_beside_them() {
    if without_manager("a_run_in_a_login_has_its_limits_in_a_scope_and_its_supervisor_beside_them")
    {
        return;
    }
    let project = Project::new();
    let live = Live::script(&project, PROFILE, HOLD);
    let (limited, scope) = (group(live.command(), "memory"), scope(&live));
    assert_eq!(read(&limited, "memory.max"), (100 << 20).to_string());
    assert_eq!(read(&limited, "pids.max"), "50");
    assert_eq!(read(&limited, "cpu.max"), "50000 100000");
    // The supervisor shares the scope, and no limit.
    let own = group(live.supervisor(), "memory");
    assert_eq!(own.parent(), Some(scope.as_path()));
    assert_ne!(own, limited);
    assert_eq!(read(&own, "memory.max"), "max");
    let name = scope.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(units().contains(&name), "{}", units());
    live.go(&project).ok();
    eventually("the scope is gone", || !scope.exists());
    eventually("the unit is gone", || !units().contains(&name));
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_scope() {
    if without_manager("a_supervisor_that_is_killed_leaves_no_scope") {
        return;
    }
    let project = Project::new();
    let mut live = Live::script(&project, PROFILE, HOLD);
    let (scope, inside) = (scope(&live), live.inside());
    let name = scope.file_name().unwrap().to_str().unwrap().to_owned();
    live.kill();
    eventually("all processes are gone", || {
        !inside.iter().any(|pid| lives(*pid))
    });
    eventually("the scope is gone", || !scope.exists());
    eventually("the unit is gone", || !units().contains(&name));
}

/// systemd comes to have one when a supervisor is killed while it is being moved.
#[test]
fn a_scope_that_no_process_ever_entered_goes_with_the_next_run() {
    if without_manager("a_scope_that_no_process_ever_entered_goes_with_the_next_run") {
        return;
    }
    let project = Project::new();
    let live = Live::script(&project, PROFILE, HOLD);
    let scope = scope(&live);
    let name = scope.file_name().unwrap().to_str().unwrap();
    let (_, namespace) = name.rsplit_once('-').unwrap();
    live.go(&project).ok();
    // Process 1 was not born at this tick. The other name is one of another pid namespace.
    let empty = scope.with_file_name(format!("sandbox-1-1-{namespace}"));
    let other = scope.with_file_name("sandbox-1-1-1.scope");
    for folder in [&empty, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    project.run(PROFILE, "true").ok();
    let swept = !empty.exists();
    let spared = other.exists();
    let _ = std::fs::remove_dir(&empty);
    let _ = std::fs::remove_dir(&other);
    assert!(swept && spared, "{swept} {spared}");
}

#[test]
fn a_run_that_was_killed_for_its_memory_leaves_no_failed_unit_and_reports_it() {
    if without_manager("a_run_that_was_killed_for_its_memory_leaves_no_failed_unit_and_reports_it")
    {
        return;
    }
    let project = Project::new();
    let hog = ["python3", "-c", "x = b'x' * (300 << 20)"];
    let beyond = done(&mut project.command(PROFILE, &hog));
    let line = "sandbox: killed: memory limit of 100M reached (sandbox.toml:4)\n";
    assert_eq!(beyond.fails(137), line);
    eventually("no unit is left", || units().is_empty());
}

#[test]
fn what_systemd_does_with_its_other_units_takes_no_limit_away() {
    if without_manager("what_systemd_does_with_its_other_units_takes_no_limit_away") {
        return;
    }
    let project = Project::new();
    let live = Live::script(&project, PROFILE, HOLD);
    let limited = group(live.command(), "memory");
    // The manager looks anew at which of its units need which controller.
    for weight in ["-pCPUWeight=50", "-pMemoryLow=0"] {
        let other = ["--scope", "--quiet", weight, "true"];
        assert_eq!(done(&mut systemd("systemd-run", &other)).code, 0);
    }
    assert_eq!(done(&mut systemd("systemctl", &["daemon-reload"])).code, 0);
    assert_eq!(read(&limited, "memory.max"), (100 << 20).to_string());
    assert_eq!(read(&limited, "cpu.max"), "50000 100000");
    assert_eq!(read(&limited, "pids.max"), "50");
    live.go(&project).ok();
}

#[test]
fn a_run_in_a_unit_that_was_not_delegated_gets_a_scope_and_ends_with_the_unit() {
    if without_manager("a_run_in_a_unit_that_was_not_delegated_gets_a_scope_and_ends_with_the_unit")
    {
        return;
    }
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let unit = format!("around-{}.service", std::process::id());
    let folder = project.path().to_str().unwrap();
    let program = crate::support::program();
    let program = program.to_str().unwrap();
    let script = format!("{program} --profile sandbox.toml -- sh -c '{HOLD}'; sleep 60");
    let mut start = systemd(
        "systemd-run",
        &[
            "--quiet",
            "--collect",
            "--unit",
            &unit,
            "--working-directory",
            folder,
        ],
    );
    assert_eq!(done(start.args(["sh", "-c", &script])).code, 0);
    eventually("the command runs", || project.path().join("ready").exists());
    let units = || {
        units()
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let others = |name: &String| {
        let show = ["show", "--property=PartOf", "--value", name];
        done(&mut systemd("systemctl", &show)).stdout.trim() == unit
    };
    let found: Vec<_> = units().into_iter().filter(others).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(done(&mut systemd("systemctl", &["stop", &unit])).code, 0);
    eventually("the scope ended with the unit", || {
        !units().contains(&found[0])
    });
}

#[test]
fn without_a_user_manager_the_refusal_says_where_it_was_looked_for() {
    let test = "without_a_user_manager_the_refusal_says_where_it_was_looked_for";
    if is_root() {
        return skip(test, "root has the manager of the system");
    }
    if without_manager(test) {
        return;
    }
    let project = Project::new();
    let mut command = project.command(PROFILE, &["true"]);
    command
        .env("XDG_RUNTIME_DIR", project.path())
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    let said = done(&mut command).fails(125);
    let folder = project.path().display();
    let looked = format!(
        "there is neither {folder}/systemd/private nor {folder}/bus\n --> sandbox.toml:3:8"
    );
    assert!(said.contains(&looked), "{said}");
    assert!(said.contains("loginctl enable-linger"), "{said}");
    let lenient = format!("{PROFILE}\n[enforce]\nlimits = \"prefer\"");
    let mut command = project.command(&lenient, &["echo", "ran"]);
    command
        .env("XDG_RUNTIME_DIR", project.path())
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    let lenient = done(&mut command);
    assert_eq!((lenient.code, lenient.stdout.as_str()), (0, "ran\n"));
    assert!(
        lenient.stderr.contains("not enforced"),
        "{}",
        lenient.stderr
    );
}

#[test]
fn a_controller_that_the_user_manager_lacks_is_named_with_the_drop_in() {
    let test = "a_controller_that_the_user_manager_lacks_is_named_with_the_drop_in";
    if is_root() {
        return skip(test, "the manager of the system has all controllers");
    }
    if without_manager(test) {
        return;
    }
    let project = Project::new();
    let doctor = done(&mut project.program(&["doctor"])).stdout;
    let line = doctor
        .lines()
        .find(|line| line.contains("cgroup-io"))
        .unwrap();
    if !line.starts_with("blocked") {
        return skip(test, "the user manager has the io controller");
    }
    assert!(
        line.contains("systemd does not delegate the io controller to the user manager"),
        "{line}"
    );
    assert!(
        doctor.contains("Delegate=cpu cpuset io memory pids"),
        "{doctor}"
    );
    // The way to the others is said too.
    let line = doctor
        .lines()
        .find(|line| line.contains("cgroup-memory"))
        .unwrap();
    assert!(
        line.contains("for which the systemd user manager is asked at /run/user/"),
        "{line}"
    );
}

#[test]
fn a_manager_that_says_no_or_nothing_of_use_ends_the_run_before_it_begins() {
    let test = "a_manager_that_says_no_or_nothing_of_use_ends_the_run_before_it_begins";
    if is_root() {
        return skip(
            test,
            "the socket of the system's manager is not to be replaced",
        );
    }
    if without_manager(test) {
        return;
    }
    for (answer, sentence) in [
        (&b""[..], "it cannot be talked to"),
        (b"REJECTED\r\n", "it does not take us for uid"),
        (
            b"OK 1\r\nnothing that is D-Bus",
            "what it sends is no message of D-Bus",
        ),
    ] {
        let project = Project::new();
        std::fs::create_dir(project.path().join("systemd")).unwrap();
        let listener = UnixListener::bind(project.path().join("systemd/private")).unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer).unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // Until the caller has had enough.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let mut command = project.script(PROFILE, "touch ran");
        let said = done(command.env("XDG_RUNTIME_DIR", project.path())).fails(125);
        assert!(said.contains("ask the systemd user manager at"), "{said}");
        assert!(said.contains(sentence), "{said}");
        assert!(!project.path().join("ran").exists());
        other.join().unwrap();
    }
}
