//! `strict`: the command, its libraries, the project, and nothing else.

use crate::support::{Project, done};
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_dynamic_program_reads_a_file_under_strict() {
    let project = Project::new();
    project.write("names.txt", "b\na\n");
    let sort = ["--profile", "strict", "--", "sort", "names.txt"];
    assert_eq!(done(&mut project.program(&sort)).ok(), "a\nb\n");

    let input = std::fs::File::open(project.path().join("names.txt")).unwrap();
    let mut filter = project.program(&sort[..4]);
    assert_eq!(done(filter.stdin(Stdio::from(input))).ok(), "a\nb\n");
}

#[test]
fn nothing_can_be_changed_under_strict() {
    let project = Project::new();
    project.write("names.txt", "b\na\n");
    let sort = [
        "--profile",
        "strict",
        "--",
        "sort",
        "-o",
        "names.txt",
        "names.txt",
    ];
    let said = done(&mut project.program(&sort)).fails(2);
    assert!(said.contains("Read-only file system"), "{said}");
    let kept = std::fs::read_to_string(project.path().join("names.txt")).unwrap();
    assert_eq!(kept, "b\na\n");
}

#[test]
fn no_other_program_and_no_other_file_is_there_under_strict() {
    let project = Project::new();
    let find = [
        "--profile",
        "strict",
        "--",
        "find",
        "/",
        "-xdev",
        "!",
        "-type",
        "d",
    ];
    let found = done(&mut project.program(&find)).ok();
    let is_library = |name: &str| name.contains(".so.") || name.ends_with(".so");
    for path in found.lines() {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        let expected = is_library(name) || name == "find" || name == "ld.so.cache";
        assert!(expected, "{path} is there:\n{found}");
    }
    assert!(found.lines().any(|path| path.ends_with("/find")), "{found}");

    let starts_another = ["--profile", "strict", "--", "sh", "-c", "sort"];
    done(&mut project.program(&starts_another)).fails(127);
}
