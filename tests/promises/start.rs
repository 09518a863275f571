//! A command runs, and its exit code is the sandbox's.

use crate::support::Project;

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
