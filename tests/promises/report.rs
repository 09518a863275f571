//! The report tells how a run ended from evidence, with what was used and what was in force; nobody
//! inside can lead it astray, and a supervisor that is killed leaves the truth.

use crate::live::{HOLD, Live, eventually, has_limits, lives, without_limits};
use crate::support::{Done, Project, done, is_root, program};
use serde_json::{Value, json};
use std::process::Command;

/// The published schema, in which nothing may be that it does not name.
fn validator() -> jsonschema::Validator {
    fn close(schema: &mut Value) {
        if let Value::Object(map) = schema {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(close);
        } else if let Value::Array(items) = schema {
            items.iter_mut().for_each(close);
        }
    }
    let text = include_str!("../../schema/report.schema.json");
    let mut schema: Value = serde_json::from_str(text).unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

/// A report, which has to be what the schema says.
#[track_caller]
fn parsed(text: &str) -> Value {
    let report: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let wrong: Vec<_> = validator()
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    report
}

/// The report in a project.
#[track_caller]
fn read(project: &Project) -> Value {
    let text = std::fs::read_to_string(project.path().join("report.json")).unwrap();
    parsed(&text)
}

/// A run of a command under a profile, with a report.
fn with_report(project: &Project, profile: &str, command: &[&str]) -> Command {
    project.write("sandbox.toml", profile);
    let mut all = vec!["--profile", "sandbox.toml", "--report", "report.json", "--"];
    all.extend(command);
    project.program(&all)
}

/// Runs a command to its end: what it said, and its report.
#[track_caller]
fn reported(project: &Project, profile: &str, command: &[&str]) -> (Done, Value) {
    let done = done(&mut with_report(project, profile, command));
    let report = read(project);
    assert_eq!(report["exit_code"], done.code, "{done:?}\n{report:#}");
    (done, report)
}

/// The entry of a limit.
#[track_caller]
fn limit<'r>(report: &'r Value, key: &str) -> &'r Value {
    let mut limits = report["limits"].as_array().unwrap().iter();
    let found = limits.find(|limit| limit["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {report:#}"))
}

/// How often something happened on the way.
fn event(report: &Value, name: &str) -> u64 {
    let mut events = report["events"].as_array().unwrap().iter();
    let found = events.find(|event| event["event"] == name);
    found.map_or(0, |event| event["times"].as_u64().unwrap())
}

/// All that a project's folder holds.
fn names(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_exit_code_is_reported_as_an_exit() {
    let project = Project::new();
    for code in 0..=255 {
        let (_, report) = reported(
            &project,
            "version = 1",
            &["sh", "-c", &format!("exit {code}")],
        );
        assert_eq!(report["outcome"], "exited", "{report:#}");
        assert_eq!(
            report["command_end"],
            json!({ "code": code, "signal": null })
        );
        assert_eq!(report["exit_code"], code);
        assert_eq!(report["sentence"], Value::Null);
    }
}

#[test]
fn every_signal_is_reported_as_that_signal() {
    let project = Project::new();
    // Without a filter, that none could have ended the command.
    let profile = "version = 1\n[seccomp]\npreset = \"off\"";
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGURG,
        libc::SIGWINCH,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    for signal in (1..=64).filter(|signal| !harmless.contains(signal)) {
        let script = format!("import os; os.kill(os.getpid(), {signal})");
        let command = ["python3", "-I", "-S", "-c", &script];
        let profile = match signal {
            // Python ignores some of them.
            libc::SIGPIPE | libc::SIGXFSZ | libc::SIGINT => continue,
            _ => profile,
        };
        let (_, report) = reported(&project, profile, &command);
        assert_eq!(report["outcome"], "signaled", "{signal}: {report:#}");
        assert_eq!(
            report["command_end"],
            json!({ "code": null, "signal": signal })
        );
        assert_eq!(report["exit_code"], 128 + signal);
    }
    for signal in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGINT] {
        let script = format!("kill -{signal} $$");
        let (_, report) = reported(&project, profile, &["sh", "-c", &script]);
        assert_eq!(report["outcome"], "signaled", "{signal}: {report:#}");
        assert_eq!(report["command_end"]["signal"], signal);
    }
}

#[test]
fn a_call_that_the_filter_ends_is_told_from_a_signal() {
    let project = Project::new();
    let profile = "version = 1\n[seccomp]\ndeny = [{ calls = \"chdir\", with = \"kill\" }]";
    let (done, report) = reported(&project, profile, &["env", "-C", "/", "true"]);
    assert_eq!(report["outcome"], "seccomp-killed");
    assert_eq!(report["command_end"]["signal"], libc::SIGSYS);
    let sentence = report["sentence"].as_str().unwrap();
    assert!(sentence.ends_with("(sandbox.toml:2)"), "{sentence}");
    assert_eq!(done.stderr, format!("sandbox: {sentence}\n"));
    // The same number from a shell whose child it was is an exit.
    let script = "env -C / true; exit $?";
    let (_, report) = reported(&project, profile, &["sh", "-c", script]);
    assert_eq!(report["outcome"], "exited");
    assert_eq!(report["command_end"]["code"], 128 + libc::SIGSYS);
}

const MEMORY: &str = "version = 1\n[limits]\nmemory = \"64M\"\nswap = 0";

/// Uses more memory than there is.
const HOG: &str = "x = bytearray(b'x' * (256 << 20))";

fn python(script: &str) -> [&str; 5] {
    ["python3", "-I", "-S", "-c", script]
}

#[test]
fn the_numbers_of_a_kill_are_not_taken_for_one() {
    if without_limits("the_numbers_of_a_kill_are_not_taken_for_one") {
        return;
    }
    let project = Project::new();
    let (done, report) = reported(&project, MEMORY, &["sh", "-c", "exit 137"]);
    assert_eq!(report["outcome"], "exited");
    assert_eq!(
        report["command_end"],
        json!({ "code": 137, "signal": null })
    );
    assert_eq!(done.fails(137), "");
    let (done, report) = reported(&project, MEMORY, &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(report["outcome"], "signaled");
    assert_eq!(report["command_end"], json!({ "code": null, "signal": 9 }));
    assert_eq!(event(&report, "oom-kill"), 0);
    assert_eq!(done.fails(137), "");
    // 124 is what a time limit exits with.
    let (_, report) = reported(&project, "version = 1", &["sh", "-c", "exit 124"]);
    assert_eq!(report["outcome"], "exited");
}

#[test]
fn a_lack_of_memory_is_reported_with_what_was_reached() {
    if without_limits("a_lack_of_memory_is_reported_with_what_was_reached") {
        return;
    }
    let project = Project::new();
    let (done, report) = reported(&project, MEMORY, &python(HOG));
    assert_eq!(report["outcome"], "oom-killed", "{report:#}");
    assert_eq!(report["command_end"]["signal"], 9);
    assert!(event(&report, "oom-kill") >= 1);
    let memory = limit(&report, "limits.memory");
    assert_eq!(memory["hit"], true);
    assert_eq!(memory["requested"], "64M");
    assert_eq!(
        memory["enforced"],
        json!({ "value": 64 << 20, "unit": "bytes" })
    );
    assert_eq!(memory["origin"]["text"], "sandbox.toml:3");
    assert_eq!(memory["origin"]["line"], 3);
    assert_eq!(limit(&report, "limits.swap")["requested"], "0");
    let line = "sandbox: killed: memory limit of 64M reached (sandbox.toml:3)\n";
    assert_eq!(done.fails(137), line);
    // A run that stays below it has not reached it.
    let (done, report) = reported(&project, MEMORY, &["true"]);
    assert_eq!(done.ok(), "");
    assert_eq!(limit(&report, "limits.memory")["hit"], false);
    assert_eq!(limit(&report, "limits.grace")["hit"], false);
}

/// What ended the command counts, whatever else happened.
#[test]
fn memory_and_time_are_told_apart_when_both_run_out() {
    if without_limits("memory_and_time_are_told_apart_when_both_run_out") {
        return;
    }
    let project = Project::new();
    let timed = |time: &str| format!("{MEMORY}\nwall_time = \"{time}\"\ngrace = \"60s\"");
    // Out of memory while there was time.
    let (_, report) = reported(&project, &timed("120s"), &python(HOG));
    assert_eq!(report["outcome"], "oom-killed", "{report:#}");
    assert_eq!(limit(&report, "limits.wall_time")["hit"], false);
    // Out of time while there was memory.
    let (_, report) = reported(&project, &timed("300ms"), &["sleep", "100"]);
    assert_eq!(report["outcome"], "wall-timeout", "{report:#}");
    assert_eq!(report["command_end"]["signal"], libc::SIGTERM);
    assert_eq!(event(&report, "oom-kill"), 0);
    let wall = limit(&report, "limits.wall_time");
    assert_eq!(
        (&wall["hit"], &wall["enforced"]["unit"]),
        (&json!(true), &json!("seconds"))
    );
    // Asked to end, and then out of memory. A slow machine takes a while to get to the handler.
    let late = format!(
        "import signal, time\ndef hog(*_):\n {HOG}\nsignal.signal(signal.SIGTERM, hog)\ntime.sleep(100)"
    );
    let (_, report) = reported(&project, &timed("4s"), &python(&late));
    assert_eq!(report["outcome"], "oom-killed", "{report:#}");
    assert_eq!(limit(&report, "limits.wall_time")["hit"], true);
    assert_eq!(report["command_end"]["signal"], 9);
    // Out of time, with its last handler still at work when the grace is over.
    let stubborn =
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)";
    let profile = timed("4s").replace("60s", "300ms");
    let (_, report) = reported(&project, &profile, &python(stubborn));
    assert_eq!(report["outcome"], "wall-timeout", "{report:#}");
    assert_eq!(limit(&report, "limits.grace")["hit"], true);
    assert_eq!(report["command_end"]["signal"], 9);
    // At the same time: whichever it is called, the rest of the report agrees.
    for step in 0..20 {
        let time = format!("{}ms", 60 + step * 15);
        let (done, report) = reported(&project, &timed(&time), &python(HOG));
        match report["outcome"].as_str().unwrap() {
            "oom-killed" => {
                assert_eq!(report["command_end"]["signal"], 9, "{report:#}");
                assert!(event(&report, "oom-kill") >= 1, "{report:#}");
                assert!(done.stderr.contains("memory limit of 64M"), "{done:?}");
            }
            "wall-timeout" => {
                assert_eq!(
                    limit(&report, "limits.wall_time")["hit"],
                    true,
                    "{report:#}"
                );
                assert_ne!(report["command_end"]["signal"], 9, "{report:#}");
                assert!(done.stderr.contains("wall time of"), "{done:?}");
            }
            other => panic!("{other}: {report:#}"),
        }
    }
}

#[test]
fn forks_refused_for_pids_are_an_event_and_no_end() {
    if without_limits("forks_refused_for_pids_are_an_event_and_no_end") {
        return;
    }
    let project = Project::new();
    let script = "import os, time
for _ in range(20):
    try:
        if os.fork() == 0: time.sleep(60)
    except OSError: pass
";
    let (done, report) = reported(&project, "version = 1\n[limits]\npids = 8", &python(script));
    assert_eq!(done.ok(), "");
    assert_eq!(report["outcome"], "exited");
    // Init and the command are two of the eight.
    assert_eq!(event(&report, "pids-limited"), 14);
    let pids = limit(&report, "limits.pids");
    assert_eq!((&pids["hit"], &pids["times"]), (&json!(true), &json!(14)));
    assert_eq!(pids["enforced"], json!({ "value": 8, "unit": "tasks" }));
}

#[test]
fn the_peak_of_memory_is_what_was_touched_within_5_percent() {
    let project = Project::new();
    let touched: u64 = 400 << 20;
    let script = format!(
        "import mmap\nm = mmap.mmap(-1, {touched}, flags=mmap.MAP_PRIVATE)\n\
         for page in range(0, {touched}, 4096): m[page] = 1"
    );
    let limits = has_limits();
    let profile = match limits {
        true => "version = 1\n[limits]\nmemory = \"1G\"",
        false => "version = 1",
    };
    let (done, report) = reported(&project, profile, &python(&script));
    assert_eq!(done.ok(), "");
    let peak = &report["usage"]["memory_peak_bytes"];
    let source = peak["source"].as_str();
    let Some(source) = source else {
        // Linux 5.19 is the first to keep it on cgroup v2.
        assert!(
            limits
                && crate::live::group(std::process::id(), "memory")
                    .join("cgroup.controllers")
                    .exists()
        );
        return crate::support::skip(
            "the_peak_of_memory_is_what_was_touched_within_5_percent",
            "this kernel keeps no peak",
        );
    };
    assert_eq!(source.starts_with("cgroup"), limits, "{source}");
    let peak = peak["value"].as_u64().unwrap();
    assert!(
        (touched..=touched / 100 * 105).contains(&peak),
        "{peak} of {touched}"
    );
}

#[test]
fn processor_time_is_what_was_used_within_5_percent() {
    let project = Project::new();
    // Long beside what the sandbox itself uses for its set-up, which is counted too.
    let script = "import time
while time.process_time() < 4: pass
print(time.process_time())";
    let mut profiles = vec!["version = 1"];
    if has_limits() {
        profiles.push("version = 1\n[limits]\ncpu_time = \"1h\"");
    }
    for (group, profile) in profiles.into_iter().enumerate() {
        let (done, report) = reported(&project, profile, &python(script));
        let used: f64 = done.ok().trim().parse().unwrap();
        let cpu = &report["usage"]["cpu_seconds"];
        let source = cpu["source"].as_str().unwrap();
        assert_eq!(source.starts_with("cgroup"), group == 1, "{source}");
        let cpu = cpu["value"].as_f64().unwrap();
        assert!(
            (used * 0.95..=used * 1.05).contains(&cpu),
            "{cpu} of {used}: {source}"
        );
        let part = |name: &str| report["usage"][name]["value"].as_f64().unwrap();
        let parts = part("cpu_user_seconds") + part("cpu_system_seconds");
        assert!((cpu * 0.9..=cpu * 1.1).contains(&parts), "{parts} of {cpu}");
    }
}

#[test]
fn a_set_up_that_fails_is_reported_with_its_step_its_line_and_its_errno() {
    let project = Project::new();
    let profile = "version = 1\n[process]\ncwd = \"/usr/nowhere\"";
    let (done, report) = reported(&project, profile, &["true"]);
    let failure = &report["failure"];
    assert_eq!(report["outcome"], "setup-failed");
    assert_eq!(report["command_end"], Value::Null);
    assert_eq!(report["usage"], Value::Null);
    assert_eq!(failure["phase"], "WorkingDirectory");
    assert_eq!(failure["errno"], "ENOENT");
    assert_eq!(failure["problems"][0]["code"], "SBX0102");
    assert_eq!(failure["problems"][0]["origin"]["line"], 3);
    let said = done.fails(125);
    let step = format!("step {} of {} failed", failure["step"], failure["of"]);
    assert!(said.contains(&step), "{step}: {said}");
    assert!(
        said.contains(failure["problems"][0]["help"].as_str().unwrap()),
        "{said}"
    );
    // A command that is not there has not started either.
    let (done, report) = reported(&project, "version = 1", &["nowhere"]);
    assert_eq!(report["outcome"], "setup-failed");
    assert_eq!(report["failure"]["phase"], "Exec");
    assert_eq!(report["failure"]["errno"], "ENOENT");
    done.fails(127);
}

#[test]
fn a_profile_that_is_wrong_or_cannot_be_had_here_is_reported() {
    let project = Project::new();
    let (done, report) = reported(&project, "version = 1\n[limits]\npids = \"few\"", &["true"]);
    done.fails(125);
    assert_eq!(report["outcome"], "setup-failed");
    assert_eq!(report["failure"]["step"], Value::Null);
    assert_eq!(
        report["failure"]["problems"][0]["origin"]["text"],
        "sandbox.toml:3"
    );
    assert_eq!(report["profiles"][0]["name"], "sandbox.toml");
    // What the profile itself names as the place is known once it is right.
    let profile = "version = 1\n[report]\nfile = \"own.json\"\n[[mounts]]\ntype = \"bind\"\ntarget = \"/srv/nowhere\"";
    let done = project.run(profile, "true");
    done.fails(125);
    let text = std::fs::read_to_string(project.path().join("own.json")).unwrap();
    let report = parsed(&text);
    assert_eq!(report["outcome"], "setup-failed");
    assert_eq!(
        report["failure"]["problems"][0]["origin"]["file"],
        "sandbox.toml"
    );
}

#[test]
fn a_supervisor_that_is_killed_leaves_a_report_that_says_so() {
    let project = Project::new();
    // An earlier report is not taken for this run's.
    reported(&project, "version = 1", &["true"]);
    let mut live = Live::spawn(&mut with_report(
        &project,
        "version = 1",
        &["sh", "-c", HOLD],
    ));
    live.await_file(&project.path().join("ready"));
    let inside = live.inside();
    for kill in [false, true] {
        if kill {
            live.kill();
        }
        let report = read(&project);
        assert_eq!(report["outcome"], "supervisor-lost");
        assert_eq!(report["command"], json!(["sh", "-c", HOLD]));
        assert_eq!(report["profiles"][0]["name"], "sandbox.toml");
        assert_eq!(report["exit_code"], Value::Null);
        assert_eq!(report["ended"], Value::Null);
    }
    eventually("all inside are gone", || {
        inside.iter().all(|pid| !lives(*pid))
    });
    assert_eq!(names(&project), ["ready", "report.json", "sandbox.toml"]);
}

#[test]
fn a_report_follows_no_link_that_a_command_could_have_made() {
    let project = Project::new();
    let outside = Project::new();
    outside.write("victim", "precious");
    std::os::unix::fs::symlink(outside.path().join("victim"), project.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.path(), project.path().join("folder")).unwrap();
    project.write("sandbox.toml", "version = 1");
    let absolute = project.path().join("folder/new.json");
    for place in [
        "file",
        "folder/new.json",
        "folder/victim",
        absolute.to_str().unwrap(),
    ] {
        let run = done(&mut project.program(&["--report", place, "--", "touch", "started"]));
        let said = run.fails(125);
        assert!(
            said.contains("symbolic link") && said.contains("help: "),
            "{said}"
        );
    }
    for place in [".", "sandbox.toml/x", "nowhere/x.json", ""] {
        let run = done(&mut project.program(&["--report", place, "--", "touch", "started"]));
        run.fails(125);
    }
    assert_eq!(names(&outside), ["victim"]);
    // One that is made while the command runs is replaced, not followed.
    let victim = outside.path().join("victim");
    let script = format!("rm report.json; ln -s {} report.json", victim.display());
    let (done_, report) = reported(&project, "version = 1", &["sh", "-c", &script]);
    assert_eq!(done_.ok(), "");
    assert_eq!(report["outcome"], "exited");
    let kind = project
        .path()
        .join("report.json")
        .symlink_metadata()
        .unwrap();
    assert!(kind.is_file());
    // What cannot be replaced is said, and the end is the command's.
    let script = "rm report.json; mkdir -p report.json/full; exit 7";
    let run = done(&mut with_report(
        &project,
        "version = 1",
        &["sh", "-c", script],
    ));
    let said = run.fails(7);
    assert!(
        said.starts_with("sandbox: cannot write the report to report.json: "),
        "{said}"
    );
    std::fs::remove_dir_all(project.path().join("report.json")).unwrap();
    // The folder goes elsewhere, and the report with it; where it is gone, that is said.
    std::fs::create_dir(project.path().join("out")).unwrap();
    let run = |script: &str| {
        let place = ["--report", "out/report.json", "--", "sh", "-c", script];
        done(&mut project.program(&place))
    };
    let script = format!("mv out moved; ln -s {} out", outside.path().display());
    assert_eq!(run(&script).ok(), "");
    let text = std::fs::read_to_string(project.path().join("moved/report.json")).unwrap();
    assert_eq!(parsed(&text)["outcome"], "exited");
    std::fs::remove_file(project.path().join("out")).unwrap();
    std::fs::create_dir(project.path().join("out")).unwrap();
    assert!(
        run("rm -r out; exit 3")
            .fails(3)
            .contains("cannot write the report")
    );
    assert_eq!(names(&outside), ["victim"]);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(names(&project), ["file", "folder", "moved", "sandbox.toml"]);
}

#[test]
fn a_report_goes_to_a_descriptor_that_the_command_never_sees() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let sandbox = program();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("S", &sandbox);
        command.current_dir(project.path());
        done(&mut command)
    };
    let run =
        shell("\"$S\" --report fd:7 -- sh -c 'ls /proc/self/fd; ls /proc/1/fd 2>&1' 7>report.json");
    assert!(!run.stdout.lines().any(|line| line == "7"), "{run:?}");
    assert_eq!(read(&project)["outcome"], "exited");
    let piped =
        shell("{ \"$S\" --report fd:7 -- sh -c 'echo out; exit 3' 7>&1 >/dev/null; } | cat");
    assert_eq!(parsed(&piped.ok())["command_end"]["code"], 3);
    for (script, words) in [
        (
            "\"$S\" --report fd:7 -- touch started",
            "descriptor 7: it is not open",
        ),
        (
            "\"$S\" --report fd:7 -- touch started 7<sandbox.toml",
            "it is not open for writing",
        ),
        (
            "\"$S\" --report fd: -- touch started",
            "after `fd:` comes the number",
        ),
        (
            "\"$S\" --report fd:+7 -- touch started 7>x",
            "after `fd:` comes the number",
        ),
        (
            "\"$S\" --profile keeps.toml --report fd:7 -- touch started 7>x",
            "the command keeps it",
        ),
        (
            "\"$S\" --profile both.toml -- touch started 7>x",
            "the command keeps it",
        ),
    ] {
        project.write("keeps.toml", "version = 1\n[process]\ndescriptors = [7]");
        project.write(
            "both.toml",
            "version = 1\n[process]\ndescriptors = [7]\n[report]\nfile = \"fd:7\"",
        );
        let said = shell(script).fails(125);
        assert!(said.contains(words), "{script}: {said}");
    }
    assert!(!project.path().join("started").exists());
    // Nobody reads any more: that is said, and the end is the command's.
    let run = shell(
        "{ \"$S\" --report fd:7 -- sh -c 'sleep 0.5; exit 3' 7>&1 >/dev/null; echo $? >&2; } | true",
    );
    assert!(
        run.stderr.contains("EPIPE") && run.stderr.ends_with("3\n"),
        "{run:?}"
    );
}

#[test]
fn what_is_not_enforced_is_in_the_report_with_its_reason() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\nmemory_high = \"64M\"\npids = 50\n[rlimits]\nnofile = 100\n[enforce]\nlimits = \"prefer\"";
    let (done, report) = reported(&project, profile, &["true"]);
    assert_eq!(done.code, 0, "{done:?}");
    for key in ["limits.memory_high", "limits.pids"] {
        let entry = limit(&report, key);
        assert_eq!(
            entry["enforced"].is_null(),
            entry["remark"].is_string(),
            "{entry:#}"
        );
        assert_eq!(
            entry["enforced"].is_null(),
            entry["hit"].is_null(),
            "{entry:#}"
        );
    }
    let missing = report["not_enforced"].as_array().unwrap();
    assert_eq!(missing.len(), done.stderr.lines().count(), "{done:?}");
    for (entry, line) in missing.iter().zip(done.stderr.lines()) {
        assert!(line.contains(entry["text"].as_str().unwrap()), "{line}");
        assert!(
            line.contains(entry["origin"]["text"].as_str().unwrap()),
            "{line}"
        );
    }
    assert_eq!(
        limit(&report, "limits.pids")["enforced"].is_null(),
        !has_limits()
    );
    if !has_limits() {
        assert!(!missing.is_empty());
    }
    let files = limit(&report, "rlimits.nofile");
    let wanted = json!({ "value": 100, "unit": "descriptors", "hard": 100 });
    assert_eq!(files["enforced"], wanted);
    assert_eq!(files["origin"]["line"], 6);
    let off = profile.replace("prefer", "off");
    let (_, report) = reported(&project, &off, &["true"]);
    let entry = limit(&report, "limits.pids");
    assert_eq!(entry["enforced"], Value::Null);
    assert_eq!(entry["remark"], "switched off under [enforce]");
}

#[test]
fn digests_are_those_of_sha256sum() {
    let project = Project::new();
    project.write(
        "base.toml",
        "version = 1\nhostname = \"b\u{e9}\"\n".replace('\u{e9}', "e"),
    );
    let profile = "version = 1\nextends = [\"./base.toml\"]\n";
    let (_, report) = reported(&project, profile, &["true"]);
    let sums = |script: &str| {
        let mut shell = Command::new("sh");
        done(shell.args(["-c", script]).current_dir(project.path())).ok()
    };
    let lines: String = report["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| {
            format!(
                "{}  {}\n",
                text["sha256"].as_str().unwrap(),
                text["name"].as_str().unwrap()
            )
        })
        .collect();
    let names = "sandbox.toml base.toml";
    assert_eq!(lines, sums(&format!("sha256sum {names}")));
    let whole = sums(&format!("sha256sum {names} | sha256sum"));
    assert!(
        whole.starts_with(report["profiles_sha256"].as_str().unwrap()),
        "{whole}"
    );
}

#[test]
fn statistics_go_to_stderr_and_only_when_asked_for() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let run = done(&mut project.program(&["--stats", "--", "sh", "-c", "echo out; exit 3"]));
    assert_eq!(run.stdout, "out\n");
    let said = run.fails(3);
    for start in ["end      exited, code 3, after ", "cpu ", "memory "] {
        let start = format!("sandbox: {start}");
        assert!(
            said.lines().any(|line| line.starts_with(&start)),
            "{start}: {said}"
        );
    }
    assert!(
        said.lines().all(|line| line.starts_with("sandbox: ")),
        "{said}"
    );
    let asked = project.run("version = 1\n[report]\nstats = true", "true");
    assert!(asked.fails(0).contains("sandbox: end      exited, code 0"));
    assert_eq!(project.run("version = 1", "true").ok(), "");
}

#[test]
fn a_profile_beyond_its_ceiling_has_no_report_where_it_names_one() {
    let project = Project::new();
    project.write("admin.toml", "version = 1");
    project.write("own.json", "precious");
    project.write("sandbox.toml", "version = 1\n[report]\nfile = \"own.json\"");
    let under = |more: &[&str]| {
        let mut all = vec!["--ceiling", "admin.toml"];
        all.extend(more);
        all.extend(["--", "touch", "started"]);
        done(&mut project.program(&all)).fails(125)
    };
    let explained =
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok();
    let note = format!(
        "note: a report replaces {} (sandbox.toml:3)",
        project.path().join("own.json").display()
    );
    assert!(explained.contains(&note), "{explained}");
    let said = under(&[]);
    assert!(said.contains("own.json replaced by a report"), "{said}");
    assert_eq!(
        std::fs::read_to_string(project.path().join("own.json")).unwrap(),
        "precious"
    );
    // What the caller names is the caller's.
    under(&["--report", "report.json"]);
    assert_eq!(read(&project)["outcome"], "setup-failed");
    assert!(!project.path().join("started").exists());
}

/// A report of a caller's is the caller's, whoever the command is.
#[test]
fn a_report_belongs_to_the_caller() {
    use std::os::unix::fs::MetadataExt as _;
    let project = Project::new();
    reported(&project, "version = 1", &["true"]);
    let meta = project.path().join("report.json").metadata().unwrap();
    assert_eq!(meta.uid(), nix::unistd::geteuid().as_raw());
    assert_eq!(meta.uid() == 0, is_root());
    assert_eq!(meta.mode() & 0o7133, 0);
}

/// A shell with a terminal of its own, in which a sandbox runs; prints what the terminal shows.
const TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
shown = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part: break
    shown += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
"#;

#[test]
fn progress_is_drawn_on_a_terminal_that_the_command_leaves_alone_and_on_no_other() {
    let project = Project::new();
    let limits = match has_limits() {
        true => "[limits]\nmemory = \"100M\"",
        false => "",
    };
    project.write("sandbox.toml", format!("version = 1\n{limits}"));
    let sandbox = program();
    let shown = |script: &str| {
        let mut python = Command::new("python3");
        python.args(["-c", TERMINAL, script]).env("S", &sandbox);
        done(python.current_dir(project.path())).ok()
    };
    let slow = "-- sh -c 'echo out; sleep 1.5; echo err >&2'";
    let text = shown(&format!("\"$S\" --progress {slow} >log 2>&1"));
    assert!(
        text.starts_with("\rsandbox: 0 s") && text.contains("\rsandbox: 1 s"),
        "{text:?}"
    );
    assert!(
        text.ends_with("\r\x1b[K") && !text.contains('\n'),
        "{text:?}"
    );
    assert_eq!(text.contains(" of 100M"), has_limits(), "{text:?}");
    let log = std::fs::read_to_string(project.path().join("log")).unwrap();
    assert_eq!(log, "out\nerr\n");
    // The command's own terminal is the command's, but for one line before it starts.
    for to in ["", ">/dev/null", "2>log"] {
        let text = shown(&format!("\"$S\" --progress {slow} {to}"));
        assert!(!text.contains("\x1b") && !text.contains(" s,"), "{text:?}");
    }
    let log = std::fs::read_to_string(project.path().join("log")).unwrap();
    assert!(log.starts_with("sandbox: no progress is shown"), "{log}");
    // Without a terminal there is nothing to draw on.
    let run = done(&mut project.program(&["--progress", "--", "echo", "out"]));
    assert!(run.ok() == "out\n");
}

#[test]
fn what_was_denied_is_in_the_report_as_it_is_said() {
    let project = Project::new();
    let profile = "version = 1\n[seccomp]\ndeny = [\"getpriority\"]";
    let script =
        "import ctypes\nlibc = ctypes.CDLL(None)\nfor _ in range(3): libc.getpriority(0, 0)";
    let command = ["/usr/bin/python3", "-c", script];
    let (done, report) = reported(&project, profile, &command);
    let denials = report["denials"].as_array().unwrap();
    assert_eq!(denials.len(), 1, "{report:#}");
    assert_eq!(denials[0]["call"], "getpriority");
    assert_eq!(denials[0]["times"], 3);
    assert_eq!(denials[0]["errno"], "EPERM");
    let line = denials[0]["line"].as_str().unwrap();
    assert!(line.ends_with("sandbox.toml:3"), "{line}");
    for part in ["rule", "line", "remedy"] {
        let part = denials[0][part].as_str().unwrap();
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
    assert_eq!(report["denials_untold"], 0);
    let silent = format!("{profile}\ndenials = \"silent\"");
    let (_, report) = reported(&project, &silent, &command);
    assert_eq!(report["denials"], json!([]));
}
