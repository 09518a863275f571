//! Bad input and bad surroundings: an error sentence with its remedy and the right exit code, or a
//! run that works; never a panic, never a wait, and nothing left behind.

use crate::support::{Done, Project, done, is_root, mounts, program, skip};
use std::collections::BTreeSet;
use std::process::Command;

/// What lies in a project.
fn files(project: &Project) -> BTreeSet<String> {
    std::fs::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A refusal: this exit code, a sentence that holds these words, a remedy, and no more.
#[track_caller]
fn refused(run: Done, code: i32, words: &str) {
    let stderr = run.stderr.clone();
    assert_eq!(run.stdout, "", "{run:?}");
    let stderr_of_run = run.fails(code);
    assert!(stderr.starts_with("error[SBX"), "{stderr}");
    assert!(stderr.contains(words), "`{words}` is missing in: {stderr}");
    assert!(stderr.contains("help: "), "no remedy: {stderr}");
    assert!(!stderr_of_run.contains("panicked"), "{stderr}");
}

/// The same for a run that must leave its project as it was.
#[track_caller]
fn refused_without_a_trace(project: &Project, command: &mut Command, code: i32, words: &str) {
    let before = files(project);
    refused(done(command), code, words);
    assert_eq!(files(project), before);
    let here = project.path().to_str().unwrap();
    assert!(!mounts().iter().any(|mount| mount.contains(here)));
}

/// `sh` that prepares its surroundings and then becomes the program: `"$@"` stands for it.
fn prepared(project: &Project, preparation: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", preparation, "bash"])
        .arg(program())
        .args(arguments)
        .current_dir(project.path())
        .stdin(std::process::Stdio::null());
    shell
}

#[test]
fn a_profile_that_cannot_be_read_is_refused() {
    let project = Project::new();
    let large = "# a profile of ten megabytes\n".repeat(10 * 1024 * 1024 / 29);
    project.write("large.toml", large);
    project.write("latin1.toml", b"version = 1\nhostname = \"caf\xe9\"\n");
    std::fs::create_dir(project.path().join("folder.toml")).unwrap();
    let fifo = project.path().join("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (profile, words) in [
        ("large.toml", "has more than 524288 bytes"),
        ("latin1.toml", "is not UTF-8: line 2"),
        ("folder.toml", "is not a regular file"),
        ("fifo.toml", "is not a regular file"),
        ("/dev/zero", "is not a regular file"),
        ("missing.toml", "No such file or directory"),
        ("latin1.toml/below", "Not a directory"),
        ("no-such-name", "there is no profile named `no-such-name`"),
    ] {
        for arguments in [
            &["check", profile][..],
            &["explain", "--profile", profile, "--", "true"],
            &["--profile", profile, "--", "true"],
        ] {
            let mut command = project.program(arguments);
            refused_without_a_trace(&project, &mut command, 125, words);
        }
    }
}

#[test]
fn a_profile_without_permission_is_refused() {
    if is_root() {
        return skip(
            "a_profile_without_permission_is_refused",
            "root may read every file",
        );
    }
    let project = Project::new();
    let path = project.write("sandbox.toml", "version = 1");
    let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(path, nobody).unwrap();
    // Also where it is only implied: a profile that cannot be read is not passed over.
    for arguments in [
        &["--profile", "sandbox.toml", "--", "true"][..],
        &["--", "true"],
    ] {
        let mut command = project.program(arguments);
        refused_without_a_trace(&project, &mut command, 125, "Permission denied");
    }
}

#[test]
fn a_command_that_cannot_be_executed_gives_126_and_a_missing_one_127() {
    let project = Project::new();
    project.write("plain", "#!/bin/sh\necho ran\n");
    project.executable("data", b"\x01\x02\x03 no program");
    project.executable("script", "#!/no/such/interpreter\n");
    std::fs::create_dir(project.path().join("directory")).unwrap();
    for (command, code, words) in [
        ("no-such-command", 127, "cannot execute `no-such-command`"),
        (
            "./no-such-command",
            127,
            "cannot execute `./no-such-command`",
        ),
        ("/no/such/command", 127, "cannot execute `/no/such/command`"),
        ("", 127, "cannot execute ``"),
        ("./script", 127, "interpreter is missing"),
        ("./plain", 126, "EACCES"),
        ("./data", 126, "this is no program"),
        ("./directory", 126, "EACCES"),
    ] {
        project.write("sandbox.toml", "version = 1");
        let mut run = project.command("version = 1", &[command]);
        refused_without_a_trace(&project, &mut run, code, words);
        // Without an init, too, where the first process itself becomes the command.
        let profile = "version = 1\n[process]\ninit = false";
        let mut run = project.command(profile, &[command]);
        refused_without_a_trace(&project, &mut run, code, words);
    }
}

#[test]
fn closed_standard_streams_are_closed_to_the_command_and_nothing_takes_their_place() {
    let look =
        "exec 9>fds; for fd in 0 1 2; do is=$(readlink /proc/$$/fd/$fd) || is=closed; echo $is >&9; done
                for fd in /proc/$$/fd/*; do echo ${fd##*/} >&9; done; exit 7";
    for closed in 0..8u32 {
        let project = Project::new();
        project.write("sandbox.toml", "version = 1");
        let redirections: String = (0..3)
            .filter(|fd| closed >> fd & 1 == 1)
            .map(|fd| format!(" {fd}>&-"))
            .collect();
        let start = format!("exec \"$@\"{redirections}");
        let arguments = ["--profile", "sandbox.toml", "--", "sh", "-c", look];
        let run = done(&mut prepared(&project, &start, &arguments));
        assert_eq!(run.code, 7, "{redirections}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        let found = std::fs::read_to_string(project.path().join("fds")).unwrap();
        let found: Vec<_> = found.lines().collect();
        for fd in (0..3).filter(|fd| closed >> fd & 1 == 1) {
            let what = found[fd];
            assert!(what == "/dev/null" || what == "closed", "{fd} is {what}");
        }
        // Its own standard streams; 3 is the directory that is being listed, 9 takes the answer, and
        // 10 is the shell's copy of what it redirects.
        let known = ["0", "1", "2", "3", "9", "10"];
        let others = found[3..].iter().filter(|fd| !known.contains(fd));
        assert_eq!(others.count(), 0, "{redirections}: {found:?}");

        // An error with nobody to hear it is an error still.
        let run = done(&mut prepared(
            &project,
            &start,
            &["--profile", "missing.toml", "--", "true"],
        ));
        assert_eq!(run.code, 125, "{redirections}: {run:?}");
        let arguments = ["explain", "--profile", "sandbox.toml"];
        let run = done(&mut prepared(&project, &start, &arguments));
        assert!([0, 125].contains(&run.code), "{redirections}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        let run = done(&mut prepared(&project, &start, &["--help"]));
        assert_eq!(run.code, 0, "{redirections}: {run:?}");
    }
}

#[test]
fn a_full_output_is_an_error_and_no_panic() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let full = "exec \"$@\" >/dev/full";
    let explain = ["explain", "--profile", "sandbox.toml"];
    let mut run = prepared(&project, full, &explain);
    refused_without_a_trace(
        &project,
        &mut run,
        125,
        "cannot write to the standard output",
    );
    let run = done(&mut prepared(&project, full, &["--help"]));
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    // The command's own output is the command's own affair.
    let echo = [
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        "echo x 2>/dev/null || exit 9",
    ];
    assert_eq!(done(&mut prepared(&project, full, &echo)).fails(9), "");
    // All that cannot be said is not said.
    let mute = "exec \"$@\" 2>/dev/full";
    let run = done(&mut prepared(&project, mute, &["check", "missing.toml"]));
    assert_eq!(run.code, 125, "{run:?}");
}

#[test]
fn a_broken_pipe_ends_explain_quietly() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let shell = "\"$@\" | true; exit ${PIPESTATUS[0]}";
    let arguments = ["explain", "--profile", "sandbox.toml"];
    let run = done(&mut prepared(&project, shell, &arguments));
    // 141 is SIGPIPE; 0 where all of it still fitted into the pipe.
    assert!([0, 125, 141].contains(&run.code), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

#[test]
fn a_working_directory_that_was_deleted_is_not_used() {
    let project = Project::new();
    let profile = project.write("sandbox.toml", "version = 1");
    let profile = profile.to_str().unwrap();
    let gone = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"";
    let run = done(&mut prepared(
        &project,
        gone,
        &["--profile", profile, "--", "pwd", "-P"],
    ));
    assert_eq!(run.ok(), "/\n");
    let run = done(&mut prepared(
        &project,
        gone,
        &["--profile", "sandbox.toml", "--", "true"],
    ));
    refused(run, 125, "No such file or directory");
    assert_eq!(files(&project), BTreeSet::from(["sandbox.toml".into()]));
}

#[test]
fn any_home_is_replaced_by_a_private_one() {
    let project = Project::new();
    for home in ["unset HOME", "HOME=relative/path", "HOME=/", "HOME="] {
        project.write("sandbox.toml", "version = 1");
        let start = format!("{home}; exec \"$@\"");
        let look = "touch \"$HOME/file\" && echo \"$HOME\"";
        let arguments = ["--profile", "sandbox.toml", "--", "sh", "-c", look];
        let run = done(&mut prepared(&project, &start, &arguments));
        assert_eq!(run.ok(), "/tmp\n", "{home}");
    }
    // A home that does not exist is no home to lose either.
    let start = "export HOME=/no/such/home; exec \"$@\"";
    let arguments = [
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        "echo \"$HOME\"",
    ];
    let run = done(&mut prepared(&project, start, &arguments));
    assert_eq!(run.ok(), "/no/such/home\n");
    assert_eq!(files(&project), BTreeSet::from(["sandbox.toml".into()]));
}

#[test]
fn an_empty_search_path_finds_nothing_and_a_missing_one_is_replaced() {
    let project = Project::new();
    let empty = project
        .command("version = 1", &["true"])
        .env("PATH", "")
        .output();
    refused(
        crate::support::finished(empty.unwrap()),
        127,
        "cannot execute `true`",
    );
    let mut missing = project.command("version = 1", &["true"]);
    assert_eq!(done(missing.env_remove("PATH")).ok(), "");
    // The command line comes from a program that may pass no environment at all.
    assert_eq!(done(missing.env_clear()).ok(), "");
}

#[test]
fn thousands_of_inherited_descriptors_do_not_reach_the_command() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    // As many as the caller may have, up to 10,000.
    let open = "ulimit -n $(ulimit -Hn) 2>/dev/null
                most=$(ulimit -n); [ $most = unlimited ] && most=20000
                [ $most -gt 10100 ] && most=10100
                for ((i = 20; i < most - 80; i++)); do eval \"exec $i</etc\"; done
                exec \"$@\"";
    let look = "ls /proc/self/fd | tr '\\n' ' '";
    let arguments = ["--profile", "sandbox.toml", "--", "sh", "-c", look];
    let run = done(&mut prepared(&project, open, &arguments));
    // 3 is the directory that is being listed.
    assert_eq!(run.ok(), "0 1 2 3 ");
}

#[test]
fn arguments_as_long_as_the_kernel_takes_reach_the_command() {
    let project = Project::new();
    let long = "x".repeat(120_000);
    let count = "n=0; for a; do [ ${#a} = 120000 ] && n=$((n + 1)); done; echo $n";
    let mut arguments = vec!["sh", "-c", count, "sh"];
    arguments.extend([long.as_str(); 15]);
    let mut run = project.command("version = 1", &arguments);
    assert_eq!(
        done(run.env_clear().env("PATH", "/usr/bin:/bin")).ok(),
        "15\n"
    );
    // What the caller could still pass and the command cannot take is said.
    let more: String = ["A", "B", "C", "D"]
        .iter()
        .map(|name| format!("{name} = \"{}\"\n", "y".repeat(100_000)))
        .collect();
    let profile = format!("[environment.set]\n{more}");
    let mut run = project.command(&profile, &arguments);
    run.env_clear().env("PATH", "/usr/bin:/bin");
    refused_without_a_trace(&project, &mut run, 126, "shorten the arguments");
}

#[test]
fn a_missing_proc_is_named() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    project.write("prefer.toml", "hostname = \"changed\"\n[enforce]\nnamespaces = \"prefer\"\nlimits = \"prefer\"\nseccomp = \"prefer\"");
    let name = nix::sys::utsname::uname().unwrap().nodename().to_owned();
    for profile in ["sandbox.toml", "prefer.toml"] {
        let mut unshare = Command::new("unshare");
        unshare.arg(if is_root() { "-m" } else { "-Urm" });
        unshare
            .args(["sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"])
            .arg(program())
            .args(["--profile", profile, "--", "true"])
            .current_dir(project.path());
        let run = done(&mut unshare);
        if run.stderr.starts_with("unshare: ") || run.stderr.starts_with("mount: ") {
            return skip("a_missing_proc_is_named", run.stderr.trim());
        }
        refused(run, 125, "/proc is not mounted here");
    }
    assert_eq!(nix::sys::utsname::uname().unwrap().nodename(), name);
}

#[test]
fn an_exhausted_number_of_processes_is_named() {
    if is_root() {
        return skip(
            "an_exhausted_number_of_processes_is_named",
            "the kernel does not hold root to RLIMIT_NPROC",
        );
    }
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let limited = "ulimit -u 1; exec \"$@\"";
    let arguments = ["--profile", "sandbox.toml", "--", "echo", "ran"];
    let mut run = prepared(&project, limited, &arguments);
    refused_without_a_trace(&project, &mut run, 125, "may not have more processes");
}

#[test]
fn a_command_that_forks_beyond_its_limit_fails_by_itself() {
    let project = Project::new();
    let profile = "[limits]\npids = 2";
    // More than one command, so that the shell has to fork.
    let run = project.run(profile, "(exit 3); echo forked");
    if run.stderr.contains("`pids` cannot be enforced") {
        // Said, not passed over.
        return refused(run, 125, "cannot be enforced");
    }
    assert!(![0, 125].contains(&run.code), "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    // With room for one more it works.
    assert_eq!(
        project
            .run("[limits]\npids = 3", "(exit 3); echo forked")
            .ok(),
        "forked\n"
    );
}

#[test]
fn usage_errors_give_125_and_help_gives_0() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    for nothing in [&[][..], &["--"], &["--profile", "sandbox.toml"]] {
        let run = done(&mut project.program(nothing));
        let said = run.fails(125);
        assert!(said.starts_with("error[SBX0130]: nothing to run"), "{said}");
    }
    for wrong in [
        &["--no-such-option"][..],
        &["--profile"],
        &["check", "--no-such-option", "sandbox.toml"],
        &["check", "--format", "xml"],
        &["check", "--deny", "errors"],
        &["explain", "--profile"],
        &["no-such-subcommand"],
    ] {
        let run = done(&mut project.program(wrong));
        assert_eq!(run.stdout, "", "{wrong:?}");
        let said = run.fails(125);
        assert!(said.starts_with("error: "), "{wrong:?}: {said}");
        assert!(!said.contains("panicked"), "{wrong:?}: {said}");
    }
    for help in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["explain", "--help"],
    ] {
        let run = done(&mut project.program(help));
        assert!(!run.stdout.is_empty(), "{help:?}");
        run.ok();
    }
    // A command that is called like a subcommand, or looks like an option.
    refused(
        done(&mut project.program(&["--", "check"])),
        127,
        "cannot execute `check`",
    );
    refused(
        done(&mut project.program(&["--", "--help"])),
        127,
        "cannot execute `--help`",
    );
}

#[test]
fn arguments_and_environment_that_are_no_text_reach_the_command_as_they_are() {
    use std::os::unix::ffi::OsStrExt as _;
    let project = Project::new();
    let bytes = std::ffi::OsStr::from_bytes(b"caf\xe9\xff");
    let mut run = project.command("version = 1", &["printf", "%s"]);
    let output = run.arg(bytes).env("LATIN1", bytes).output().unwrap();
    assert_eq!(output.stdout, bytes.as_bytes(), "{output:?}");
    assert!(output.status.success());
}
