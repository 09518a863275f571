//! A command runs, and its exit code is the sandbox's.

use crate::running::PLAIN;
use crate::support::{Project, done, program};
use std::process::Command;

#[test]
fn the_command_runs_and_its_exit_code_is_the_sandboxs() {
    let project = Project::new();
    assert_eq!(project.run("version = 1", "echo hello").ok(), "hello\n");
    for code in [1, 42, 255] {
        assert_eq!(
            project
                .run("version = 1", &format!("exit {code}"))
                .fails(code),
            ""
        );
    }
    assert_eq!(project.run("version = 1", "kill -TERM $$").fails(143), "");
}

#[test]
fn every_exit_code_is_the_sandboxs() {
    let project = Project::new();
    for code in 0..=255 {
        let run = project.run("version = 1", &format!("exit {code}"));
        assert_eq!(run.fails(code), "");
    }
    for code in [0, 1, 125, 255] {
        let run = project.run("[process]\ninit = false", &format!("exit {code}"));
        assert_eq!(run.fails(code), "");
    }
}

#[test]
fn every_signal_that_ends_the_command_is_in_the_exit_code() {
    let project = Project::new();
    // CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG and WINCH end nobody; 32 and 33 are the C library's.
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    for signal in (1..=64).filter(|signal| !harmless.contains(signal)) {
        let run = project.run("version = 1", &format!("kill -{signal} $$"));
        let said = run.fails(128 + signal);
        // SIGSYS may be the filter's.
        assert!(said.is_empty() || signal == 31, "{signal}: {said}");
    }
    // Without an init the command is pid 1, which no signal from inside can end (pid_namespaces(7)).
    let run = project.run(
        "[process]\ninit = false",
        "kill -KILL $$; kill -TERM $$; exit 7",
    );
    assert_eq!(run.fails(7), "");
}

#[test]
fn a_shell_stops_and_continues_a_run_as_a_job() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    // The command counts; it must not count while it is stopped.
    let command =
        "n=0; while [ ! -e go ]; do n=$((n + 1)); echo $n >count; sleep 0.02; done; exit 7";
    let shell = format!(
        "set -m
         wait_for() {{ until eval \"$1\"; do sleep 0.02; done; }}
         \"$0\" --profile sandbox.toml -- sh -c '{command}' &
         wait_for '[ -s count ]'
         kill -TSTP %1
         wait_for 'jobs %1 | grep -q Stopped'
         sleep 0.3; before=$(cat count); sleep 0.5; [ \"$before\" = \"$(cat count)\" ] || echo it counts on
         kill -CONT %1
         wait_for '[ \"$before\" != \"$(cat count)\" ]'
         touch go; wait %1; exit $?"
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &shell])
        .arg(program())
        .current_dir(project.path());
    let run = done(&mut bash);
    assert_eq!((run.code, run.stdout.as_str()), (7, ""), "{run:?}");
}

/// What is written in a home would be lost without a word.
#[test]
fn a_run_in_the_home_says_that_nothing_of_it_is_shown() {
    let home = Project::new();
    home.write("note", "kept\n");
    let below = home.path().join("project");
    std::fs::create_dir(&below).unwrap();
    let run = |profile: &str, folder: &std::path::Path| {
        let path = home.write("project/other.toml", profile);
        let mut command = home.program(&["--profile", path.to_str().unwrap()]);
        command.args(["--", "sh", "-c", "ls; touch made"]);
        done(command.env("HOME", home.path()).current_dir(folder))
    };
    let said = run(PLAIN, home.path());
    assert!(
        said.stderr
            .contains("is the home and no project: nothing of it is shown"),
        "{said:?}"
    );
    assert_eq!((said.stdout.as_str(), said.code), ("", 0));
    assert!(!home.path().join("made").exists());
    let hidden = run("version = 1\n[rootfs]\nproject = \"hide\"\n", home.path());
    assert_eq!((hidden.stderr.as_str(), hidden.code), ("", 0));
    let shown = format!(
        "version = 1\n[[mounts]]\ntype = \"bind\"\nsource = \"{0}\"\nread_only = false\n",
        home.path().display()
    );
    let shown = run(&shown, home.path());
    assert_eq!(shown.stderr, "");
    assert!(
        shown.stdout.contains("note\n") && home.path().join("made").exists(),
        "{shown:?}"
    );
    let below = run(PLAIN, &below);
    assert_eq!(below.stderr, "");
    assert_eq!(below.ok(), "other.toml\n");
}
