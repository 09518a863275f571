//! What `[process]` and its neighbours set, seen from inside and from outside.

use crate::support::{Done, Project, done};

/// A run of the profile's own command, with these arguments of the program.
fn own(project: &Project, tables: &str, arguments: &[&str]) -> Done {
    project.write("sandbox.toml", format!("version = 1\n{tables}"));
    done(&mut project.program(arguments))
}

#[test]
fn the_profiles_command_runs_where_none_is_given() {
    let project = Project::new();
    let tables = "[process]\ncommand = [\"sh\", \"-c\", \"echo $0 $1; exit 3\", \"own\", \"a b\"]";
    let run = own(&project, tables, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, "own a b\n"), "{run:?}");
    let run = own(&project, tables, &["--", "echo", "given"]);
    assert_eq!(run.ok(), "given\n");
    let named = "[process]\ncommand = [\"sh\", \"-c\", \"tr '\\\\0' ' ' </proc/$$/cmdline; :\"]\nargv0 = \"-other\"";
    let run = own(&project, named, &[]).ok();
    assert!(run.starts_with("-other -c "), "{run}");
    // It is the name of the profile's own program only.
    let run = own(&project, named, &["--", "sh", "-c", "echo $0"]).ok();
    assert_eq!(run, "sh\n");
}

#[test]
fn explain_and_test_take_the_profiles_command() {
    let project = Project::new();
    let tables = "[rootfs]\nprograms = [\"sh\"]\n[process]\ncommand = [\"env\", \"x\"]\n[[test]]\ncan_see = [\"/usr/bin/env\"]";
    let run = own(&project, tables, &["explain"]).ok();
    let last = run
        .trim_end()
        .lines()
        .find(|line| line.contains("execute env x"));
    assert!(last.unwrap().ends_with("sandbox.toml:5"), "{run}");
    own(&project, tables, &["test", "sandbox.toml"]).ok();
    // A given command takes its place in a root of programs too.
    let run = own(
        &project,
        tables,
        &["--", "sh", "-c", "test -e /usr/bin/env"],
    );
    assert_eq!(run.code, 1, "{run:?}");
}

#[test]
fn a_command_that_is_missing_is_refused_at_its_line() {
    let project = Project::new();
    let run = own(&project, "[process]\ncommand = [\"./no-such\"]", &[]);
    let said = run.fails(127);
    assert!(said.contains("/sandbox.toml:3:11"), "{said}");
}
