//! `[limits] output`: what the command writes is bounded, and what is within the bound arrives as it would
//! without, whoever reads it and however the command ends.

use crate::live::{Live, eventually, lives};
use crate::support::{Done, Project, done, finished};
use nix::sys::signal::Signal;
use std::io::Read as _;
use std::process::{Child, Stdio};

fn bounded(output: &str, more: &str) -> String {
    format!("version = 1\n[limits]\noutput = \"{output}\"\n{more}")
}

/// What `seq` prints.
fn numbers(last: u32) -> String {
    (1..=last).map(|n| format!("{n}\n")).collect()
}

#[test]
fn output_is_cut_at_its_bound_and_the_cut_is_said() {
    let project = Project::new();
    let run = project.run(&bounded("1K", ""), "seq 1000; exit 3");
    let all = numbers(1000);
    assert_eq!(run.stdout, all[..1024]);
    let dropped = all.len() - 1024;
    let line = format!("sandbox: output cut after 1K: {dropped} bytes dropped (sandbox.toml:3)\n");
    assert_eq!(run.fails(3), line);

    // Both streams count, and each is a beginning of what was written to it.
    let script = "seq 1000; seq 1000 >&2";
    let run = project.run(&bounded("5000", ""), script);
    assert_eq!(run.code, 0, "{run:?}");
    let line = format!(
        "sandbox: output cut after 5000: {} bytes dropped (sandbox.toml:3)\n",
        2 * all.len() - 5000
    );
    let stderr = run
        .stderr
        .strip_suffix(&line)
        .unwrap_or_else(|| panic!("{run:?}"));
    assert!(
        all.starts_with(&run.stdout) && all.starts_with(stderr),
        "{run:?}"
    );
    assert_eq!(run.stdout.len() + stderr.len(), 5000);

    // To the byte what may be written.
    let bound = all.len().to_string();
    assert_eq!(project.run(&bounded(&bound, ""), "seq 1000").ok(), all);
}

#[test]
fn output_within_its_bound_is_what_the_command_wrote() {
    let project = Project::new();
    let profile = bounded("64M", "");
    let script = "seq 300000; echo apart >&2; echo named >/dev/stderr; kill -9 $$";
    let run = project.run(&profile, script);
    assert_eq!(run.stderr, "apart\nnamed\n");
    assert_eq!((run.code, run.stdout), (137, numbers(300_000)));
    // What a program leaves in its buffer until it ends, and a program that is not there.
    assert_eq!(project.run(&profile, "printf x").ok(), "x");
    let missing = done(&mut project.command(&profile, &["/nowhere/at/all"]));
    assert!(missing.fails(127).contains("cannot execute"));
}

#[test]
fn the_streams_are_the_callers_own_unless_a_bound_is_set() {
    let project = Project::new();
    let script = "readlink /proc/self/fd/1 >names; readlink /proc/self/fd/2 >>names; echo";
    let names = |profile: &str| {
        let file = std::fs::File::create(project.path().join("out")).unwrap();
        let mut command = project.script(
            profile,
            &format!("exec 3>&1; {script}").replace("fd/1", "fd/3"),
        );
        let status = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status();
        assert!(status.unwrap().success());
        let text = std::fs::read_to_string(project.path().join("names")).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let explain = |profile: &str| {
        project.write("sandbox.toml", profile);
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok()
    };
    let given = names("version = 1\n[process]\noutput_files = \"give\"");
    assert!(given.iter().all(|name| name.ends_with("/out")), "{given:?}");
    // One pipe for what goes to one file.
    let plain = names("version = 1");
    assert!(
        plain.iter().all(|name| name.starts_with("pipe:")),
        "{plain:?}"
    );
    assert_eq!(plain[0], plain[1]);
    // No file is among these.
    assert!(!explain("version = 1").contains("pipe"));
    let piped = names(&bounded("1M", ""));
    assert!(
        piped.iter().all(|name| name.starts_with("pipe:")),
        "{piped:?}"
    );
    assert_ne!(piped[0], piped[1]);
    let plan = explain(&bounded("1M", ""));
    for step in [
        "make pipes, and hand on what is written to stdout and stderr: at most 1M together, the rest is dropped",
        "take the pipes as stdout and stderr",
    ] {
        let line = plan.lines().find(|line| line.contains(step));
        assert!(
            line.is_some_and(|line| line.ends_with("sandbox.toml:3")),
            "{plan}"
        );
    }
}

#[test]
fn a_command_that_writes_beyond_its_bound_is_ended_where_the_profile_says_so() {
    let project = Project::new();
    let profile = bounded("10K", "output_over = \"end\"\ngrace = \"300ms\"");
    let line = "sandbox: killed: output of 10K reached (sandbox.toml:3)\n";
    for script in [
        "exec yes",
        // It goes on after SIGTERM, and after its output is full.
        "trap '' TERM; while :; do echo; done",
        // It has ended before anybody could end it.
        "head -c 11000 /dev/zero; exit 0",
    ] {
        let run = project.run(&profile, script);
        assert_eq!(run.stdout.len(), 10 << 10, "{script}");
        assert_eq!(run.fails(124), line, "{script}");
    }
    let within = project.run(&profile, "head -c 10240 /dev/zero; exit 7");
    assert_eq!(within.stdout.len(), 10 << 10);
    assert_eq!(within.fails(7), "");
}

#[test]
fn a_bound_that_was_reached_is_in_the_report() {
    let project = Project::new();
    for (over, outcome) in [("end", "output-limit"), ("cut", "exited")] {
        let profile = bounded("1K", &format!("output_over = \"{over}\""));
        project.write("sandbox.toml", profile);
        let script = "head -c 2000 /dev/zero";
        let arguments = [
            "--profile",
            "sandbox.toml",
            "--report",
            "report.json",
            "--",
            "sh",
            "-c",
            script,
        ];
        let run = done(&mut project.program(&arguments));
        assert_eq!(run.code, if over == "end" { 124 } else { 0 }, "{run:?}");
        let text = std::fs::read_to_string(project.path().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["outcome"], outcome, "{report:#}");
        let limits = report["limits"].as_array().unwrap();
        let limit = limits.iter().find(|limit| limit["key"] == "limits.output");
        assert_eq!(limit.unwrap()["hit"], true, "{report:#}");
    }
}

/// A run of which nobody reads, until the test does.
fn unread(project: &Project, profile: &str, script: &str) -> Child {
    let mut command = project.script(profile, script);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_reader_that_is_gone_is_gone_for_the_command() {
    let project = Project::new();
    for profile in ["version = 1", &bounded("1G", "")] {
        // Before the command writes anything: its very first word is one to nobody.
        for name in ["ready", "go", "survived"] {
            let _ = std::fs::remove_file(project.path().join(name));
        }
        let script =
            "touch ready; while ! [ -e go ]; do sleep 0.05; done; echo word; touch survived";
        let mut run = unread(&project, profile, script);
        eventually("the command runs", || project.path().join("ready").exists());
        drop(run.stdout.take());
        // The relay is told by the kernel, which nothing outside can see happen.
        std::thread::sleep(std::time::Duration::from_secs(2));
        project.write("go", "");
        assert_eq!(finished(run.wait_with_output().unwrap()).fails(141), "");
        assert!(!project.path().join("survived").exists(), "{profile}");
        // In the midst of it.
        let mut run = unread(&project, profile, "exec yes");
        let mut some = [0; 1000];
        run.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
        drop(run.stdout.take());
        assert_eq!(finished(run.wait_with_output().unwrap()).fails(141), "");
    }
}

#[test]
fn a_slow_reader_slows_the_command_down_and_loses_nothing() {
    let project = Project::new();
    let script =
        "i=0; while [ $i -lt 2000 ]; do printf '%01023d\\n' $i; i=$((i + 1)); echo $i >at; done";
    let mut run = unread(&project, &bounded("1G", ""), script);
    let at = || {
        let text = std::fs::read_to_string(project.path().join("at")).unwrap_or_default();
        text.trim().parse::<u32>().unwrap_or(0)
    };
    let mut before = 0;
    eventually("the command waits for its reader", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = at();
        now > 100 && std::mem::replace(&mut before, now) == now
    });
    // Two pipes and what is between them: 64 KiB each.
    assert!(
        at() <= 3 * 64 + 2,
        "{} KiB taken from a command that nobody reads",
        at()
    );
    let mut text = String::new();
    run.stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let expected: String = (0..2000).map(|n| format!("{n:01023}\n")).collect();
    assert!(
        text == expected,
        "{} of {} bytes",
        text.len(),
        expected.len()
    );
    assert_eq!(finished(run.wait_with_output().unwrap()).fails(0), "");
}

#[test]
fn the_time_holds_while_nobody_reads_what_the_command_has_filled_its_pipe_with() {
    let project = Project::new();
    let more = "wall_time = \"2s\"\ngrace = \"300ms\"";
    for script in ["exec yes", "trap '' TERM; while :; do echo words; done"] {
        let mut run = unread(&project, &bounded("1G", more), script);
        let status = run.wait().unwrap();
        assert_eq!(status.code(), Some(124));
        let Done { stdout, stderr, .. } = finished(run.wait_with_output().unwrap());
        assert!(!stdout.is_empty());
        let (left, killed) = stderr.split_once('\n').unwrap();
        assert!(
            left.starts_with("sandbox: output not taken by its reader in time: ")
                && left.ends_with(" bytes (sandbox.toml:3)"),
            "{stderr}"
        );
        let line = "sandbox: killed: wall time of 2s reached (sandbox.toml:4)\n";
        assert_eq!(killed, line);
    }
}

#[test]
fn who_holds_the_pipe_open_keeps_no_run_from_its_end() {
    let project = Project::new();
    let profile = bounded("1M", "");
    // Inside: with everything else there.
    let script = "setsid sh -c 'trap \"\" TERM INT HUP; sleep 600' & echo word; exit 5";
    let run = project.run(&profile, script);
    assert_eq!((run.code, &*run.stdout), (5, "word\n"), "{run:?}");
    // Outside, where the command has handed its end of the pipe to.
    let keeper = "
import array, os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind('socket')
os.chmod('socket', 0o777)
s.listen()
open('listening', 'w').close()
s = s.accept()[0]
_, ancillary, _, _ = s.recvmsg(1, 64)
fd = array.array('i', ancillary[0][2][:4])[0]
open('held', 'w').close()
while not os.path.exists('go'): time.sleep(0.05)
try:
    os.write(fd, b'from nobody')
    print('taken')
except BrokenPipeError:
    print('refused')
";
    let mut holder = std::process::Command::new("python3");
    holder.args(["-c", keeper]).current_dir(project.path());
    let holder = Live::spawn(&mut holder);
    let there = |name: &str| eventually(name, || project.path().join(name).exists());
    there("listening");
    let giver = "
import array, os, socket, time
s = socket.socket(socket.AF_UNIX)
s.connect('socket')
s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))])
while not os.path.exists('held'): time.sleep(0.05)
print('word')
";
    let run = done(&mut project.command(&profile, &["python3", "-c", giver]));
    assert_eq!(run.ok(), "word\n");
    assert_eq!(holder.go(&project).ok(), "refused\n");
}

#[test]
fn output_that_cannot_be_written_is_said() {
    let project = Project::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = project.script(&bounded("1M", ""), "exec yes");
    let run = finished(command.stdout(full).output().unwrap());
    let words =
        "sandbox: output cannot be written: No space left on device (ENOSPC) (sandbox.toml:3)\n";
    assert_eq!(run.fails(141), words);
}

#[test]
fn kill_9_of_a_supervisor_that_relays_ends_everything_inside() {
    let project = Project::new();
    let script = "(trap '' TERM HUP; setsid sleep 600) & yes & touch ready; trap '' TERM PIPE; while :; do echo; done";
    for _ in 0..3 {
        let mut live = Live::script(&project, &bounded("1G", ""), script);
        let inside = live.inside();
        assert!(inside.len() >= 4, "{inside:?}");
        live.kill();
        eventually("all inside are gone", || {
            !inside.iter().any(|pid| lives(*pid))
        });
    }
}

#[test]
fn signals_reach_a_command_whose_output_is_relayed() {
    let project = Project::new();
    let script = "trap 'echo told; exit 9' TERM; touch ready; while :; do sleep 0.05; done";
    let live = Live::script(&project, &bounded("1M", ""), script);
    live.signal(Signal::SIGTERM);
    let run = live.done();
    assert_eq!(run.stdout, "told\n");
    assert_eq!(run.fails(9), "");
}

/// Tries to read, to empty and to write anew what the output goes to.
const TAMPER: &str = r#"
import os, sys
os.write(1, b"one\n"); os.write(2, b"two\n")
for name in "/proc/self/fd/1", "/proc/self/fd/2":
    for mode in os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC:
        try: found = os.read(os.open(name, mode | os.O_NONBLOCK), 100)
        except OSError as error: found = b""
        if b"earlier" in found: os.write(1, b"read it\n")
for number in 1, 2:
    for attempt in (lambda: os.ftruncate(number, 0)), (lambda: os.lseek(number, 0, 0)), (lambda: os.pwrite(number, b"XXX", 0)):
        try: attempt()
        except OSError: pass
os.write(1, b"three\n"); os.write(2, b"four\n")
"#;

#[test]
fn a_file_that_the_output_goes_to_can_only_be_written_on() {
    let project = Project::new();
    project.write("tamper.py", TAMPER);
    let hidden = Project::new();
    let log = |name: &str| {
        let path = hidden.write(name, "earlier\n");
        std::fs::OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(hidden.path().join(name)).unwrap();
    let command = |profile: &str| project.command(profile, &["python3", "tamper.py"]);
    // One file for both, and the order of what is written to it stays.
    let both = log("both");
    let mut run = command("version = 1");
    run.stdout(both.try_clone().unwrap()).stderr(both);
    assert!(run.status().unwrap().success());
    assert_eq!(read("both"), "earlier\none\ntwo\nthree\nfour\n");
    // A file for each.
    let mut run = command("version = 1");
    run.stdout(log("stdout")).stderr(log("stderr"));
    assert!(run.status().unwrap().success());
    assert_eq!(read("stdout"), "earlier\none\nthree\n");
    assert_eq!(read("stderr"), "earlier\ntwo\nfour\n");
    // A file for one, and what the other goes to is the command's.
    let mut run = command("version = 1");
    let run = run.stderr(log("stderr")).output().unwrap();
    assert!(run.status.success());
    // A pipe of the caller's own id can be read by a command on that id, which takes its own words.
    assert!(run.stdout.ends_with(b"three\n"), "{run:?}");
    assert_eq!(read("stderr"), "earlier\ntwo\nfour\n");
    // Where a profile gives the file itself, it can be emptied.
    let given = "version = 1\n[process]\noutput_files = \"give\"";
    let mut run = command(given);
    run.stdout(log("stdout")).stderr(log("stderr"));
    assert!(run.status().unwrap().success());
    assert!(
        !read("stdout").starts_with("earlier\n"),
        "{}",
        read("stdout")
    );
}

#[test]
fn a_plan_for_a_file_says_that_its_output_is_handed_on() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let explain = |to: Stdio| {
        let mut command = project.program(&["explain", "--profile", "sandbox.toml", "--", "true"]);
        command.stdout(to).output().unwrap()
    };
    let words = "make a pipe, and hand on what is written to stdout";
    let piped = String::from_utf8(explain(Stdio::piped()).stdout).unwrap();
    assert!(!piped.contains(words), "{piped}");
    let file = project.write("plan", "");
    let open = std::fs::File::create(&file).unwrap();
    assert!(explain(open.into()).status.success());
    let plan = std::fs::read_to_string(file).unwrap();
    assert!(
        plan.contains(words) && plan.contains("take the pipe as stdout"),
        "{plan}"
    );
}
