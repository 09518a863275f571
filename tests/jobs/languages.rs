//! Projects in Rust, Python and JavaScript, under `cargo`, `python` and `node`.

use crate::frame::{Copy, Job, input, lines};
use crate::support::done;
use std::process::Command;

/// Some 75 packages, from a CARGO_HOME that the sandbox cannot write to.
#[test]
fn a_rust_project_is_built_under_cargo() {
    let input = input("cargo");
    let job = Job::of(&input.join("src")).with("CARGO_HOME", input.join("home"));
    job.run("cargo", &["cargo", "build", "--offline", "--locked"]);
    let version = |copy: &Copy| {
        let made = copy.project.path().join("target/debug/hyperfine");
        done(Command::new(made).arg("--version")).ok()
    };
    assert_eq!(version(&job.bare), version(&job.boxed));
}

/// pytest lies in the project, as a virtual environment does.
#[test]
fn a_python_package_is_tested_under_python() {
    let input = input("python");
    let job = Job::of(&input.join("src")).with("PYTHONPATH", ".site");
    for copy in [&job.bare, &job.boxed] {
        let site = copy.project.path().join(".site");
        let mut cp = Command::new("cp");
        cp.arg("-R").arg(input.join("site")).arg(site);
        assert_eq!(done(&mut cp).code, 0);
    }
    let (bare, boxed) = job.run("python", &["/usr/bin/python3", "-m", "pytest", "-q"]);
    // "765 passed, 21194 subtests passed in 28.04s"
    let verdict = |out: &str| {
        let line = out.lines().last().unwrap_or_default();
        line.split(" in ").next().map(str::to_owned)
    };
    assert!(verdict(&bare.stdout).is_some_and(|line| line.contains(" passed")));
    assert_eq!(verdict(&bare.stdout), verdict(&boxed.stdout));
}

/// Its tests listen on the loopback interface.
#[test]
fn an_npm_package_is_tested_under_node() {
    let job = Job::of(&input("node").join("src"));
    let (bare, boxed) = job.run("node", &["npm", "test"]);
    let counts = |out: &str| {
        lines(out, |line| {
            ["# tests ", "# pass ", "# fail "]
                .iter()
                .any(|word| line.starts_with(word))
        })
    };
    assert_eq!(counts(&bare.stdout), counts(&boxed.stdout));
}
