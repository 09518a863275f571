//! `--explain-denials`: every file that the sandbox refuses is told of, with its line, and none that it does not.

use crate::support::{Done, Project, done, is_root};

const PROFILE: &str = r#"version = 1
[rootfs]
project = "read"
[[mounts]]
type = "tmpfs"
target = "/work"
[[mounts]]
type = "mask"
target = "/etc/passwd"
"#;

/// Runs a script with what is refused in it explained.
fn explained(project: &Project, profile: &str, script: &str) -> Done {
    project.write("sandbox.toml", profile);
    let arguments = [
        "--profile",
        "sandbox.toml",
        "--explain-denials",
        "--",
        "sh",
        "-c",
        script,
    ];
    done(&mut project.program(&arguments))
}

/// What is told of a path, in one line.
fn told<'d>(run: &'d Done, path: &str) -> Option<&'d str> {
    let name = format!("({path:?})");
    run.stderr
        .lines()
        .find(|line| line.starts_with("sandbox: denied: ") && line.contains(&name))
}

#[test]
fn each_file_that_is_refused_is_told_of_with_its_line() {
    let project = Project::new();
    project.write("kept", "words");
    let outside = Project::new();
    let secret = outside.write("secret", "words");
    let here = project.path().display();
    let secret = secret.display();
    let script = format!(
        "echo one > kept; echo two > new; rm -f kept; mkdir folder; echo 3 > /usr/new; cat {secret};
         cat /etc/passwd; chmod 600 kept; mv kept other; ln -s a b; exit 7"
    );
    let run = explained(&project, PROFILE, &script);
    assert_eq!(run.code, 7, "{run:?}");
    let line = |path: &str, errno: &str, origin: &str| {
        let line = told(&run, path).unwrap_or_else(|| panic!("nothing of {path}: {run:?}"));
        assert!(line.contains(&format!(": {errno} ")), "{line}");
        assert!(line.contains(&format!("  {origin}")), "{line}");
    };
    line(&format!("{here}/kept"), "EROFS", "sandbox.toml:3");
    line(&format!("{here}/new"), "EROFS", "sandbox.toml:3");
    line(&format!("{here}/folder"), "EROFS", "sandbox.toml:3");
    line(&format!("{here}/b"), "EROFS", "sandbox.toml:3");
    line("/usr/new", "EROFS", "default of rootfs");
    // Which line shows the folder that lacks it depends on where temporary files are.
    line(&secret.to_string(), "ENOENT", "");
    line("/etc/passwd", "EACCES", "sandbox.toml:7");
    // A remedy each.
    let remedies = run.stderr.matches("        to allow it: ").count();
    let denials = run.stderr.matches("sandbox: denied: ").count();
    assert_eq!(remedies, denials, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("to allow it: [rootfs] project = \"write\""),
        "{}",
        run.stderr
    );
}

#[test]
fn what_the_sandbox_does_not_refuse_is_not_told_of() {
    let project = Project::new();
    // Nothing of that is there outside either, or is refused by the command's own modes; and what was
    // looked for in vain on PATH is found in the end.
    let script = "cat /none/such none such 2>/dev/null; echo x > /work/own; chmod 000 /work/own; cat /work/own 2>/dev/null;
                  ls /work /etc /usr >/dev/null; python3 -I -c 'import json, socket' ; true";
    let run = explained(&project, PROFILE, script);
    assert_eq!(run.code, 0, "{run:?}");
    let all: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.contains("denied: "))
        .collect();
    let invented = all.iter().filter(|line| {
        ["none", "/work", "/usr/bin", "/usr/lib/python3"]
            .iter()
            .any(|word| line.contains(word))
    });
    assert_eq!(invented.count(), 0, "{all:#?}");
}

#[test]
fn a_run_is_the_same_with_its_denials_explained() {
    let project = Project::new();
    // Output, exit code, signals, job control, threads, and what the kernel says of the process.
    let script = "echo out; echo err >&2; grep -E '^(NoNewPrivs|Seccomp|CapEff|CapBnd|Uid|SigIgn)' /proc/self/status;
                  python3 -I -c '
import os, signal, subprocess, threading
t = [threading.Thread(target=os.getpid) for _ in range(8)]; [x.start() for x in t]; [x.join() for x in t]
child = subprocess.Popen([\"sleep\", \"100\"]); os.kill(child.pid, signal.SIGSTOP); os.waitpid(child.pid, os.WUNTRACED)
os.kill(child.pid, signal.SIGCONT); os.kill(child.pid, signal.SIGRTMIN + 3); print(child.wait())
'; trap 'echo caught' USR1; kill -USR1 $$; kill -9 $$";
    project.write("sandbox.toml", "version = 1");
    let run = |more: &[&str]| {
        let mut arguments = vec!["--profile", "sandbox.toml"];
        arguments.extend(more);
        arguments.extend(["--", "sh", "-c", script]);
        done(&mut project.program(&arguments))
    };
    let (plain, traced) = (run(&[]), run(&["--explain-denials"]));
    assert_eq!(plain.code, 137, "{plain:?}");
    assert_eq!(traced.code, 137, "{traced:?}");
    assert_eq!(traced.stdout, plain.stdout);
    assert!(traced.stdout.ends_with("-37\ncaught\n"), "{traced:?}");
    assert!(traced.stderr.contains("err\n"), "{traced:?}");
}

#[test]
fn the_plan_of_a_traced_run_has_a_step_more_and_nothing_else() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    let explain = |more: &[&str]| {
        let mut arguments = vec!["explain", "--profile", "sandbox.toml"];
        arguments.extend(more);
        arguments.extend(["--", "true"]);
        done(&mut project.program(&arguments)).ok()
    };
    // Without what is different in every plan: the numbers, and the id that root takes.
    let steps = |plan: &str| -> Vec<String> {
        let step = |line: &str| Some(line.trim_start().split_once(' ')?.1.to_owned());
        plan.lines()
            .filter_map(step)
            .filter(|step| !step.contains("map"))
            .collect()
    };
    let (plain, traced) = (
        steps(&explain(&[])),
        steps(&explain(&["--explain-denials"])),
    );
    let more: Vec<_> = traced.iter().filter(|step| !plain.contains(step)).collect();
    assert!(
        more.iter()
            .any(|step| step.contains("be traced by the supervisor")),
        "{more:#?}"
    );
    assert_eq!(traced.len(), plain.len() + 1, "{plain:#?} {traced:#?}");

    project.write("sandbox.toml", "version = 1\n[process]\ninit = false");
    let arguments = [
        "--profile",
        "sandbox.toml",
        "--explain-denials",
        "--",
        "true",
    ];
    let words = done(&mut project.program(&arguments)).fails(125);
    assert!(
        words.contains("sandbox.toml:3") && words.contains("help: "),
        "{words}"
    );
}

#[test]
fn the_report_has_the_files_that_were_refused() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    let report = if is_root() {
        "report.json"
    } else {
        "./report.json"
    };
    let arguments = [
        "--profile",
        "sandbox.toml",
        "--explain-denials",
        "--report",
        report,
        "--",
        "sh",
        "-c",
        "echo > new",
    ];
    let run = done(&mut project.program(&arguments));
    assert_eq!(run.code, 2, "{run:?}");
    let text = std::fs::read_to_string(project.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let denials = report["denials"].as_array().unwrap();
    assert!(
        denials
            .iter()
            .any(|denial| denial["errno"] == "EROFS" && denial["line"] == "sandbox.toml:3"),
        "{report:#}"
    );
}
