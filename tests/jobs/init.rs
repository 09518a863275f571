//! What `sandbox init` writes works at once: the project is built under it, without --profile.

use crate::frame::{Copy, Files as _, example};
use crate::support::{Project, skip};
use std::process::Command;

/// Writes the profile, and runs a command under it and without it.
#[track_caller]
fn works(project: &std::path::Path, command: &[&str]) -> (Copy, Copy) {
    let (bare, boxed) = (Copy::of(project), Copy::of(project));
    let told = boxed.sandbox(&["init"]).ok();
    assert!(told.contains("is written, for"), "{told}");
    assert_eq!(boxed.sandbox(&["check", "sandbox.toml"]).ok(), "");

    let without = bare.bare(command);
    assert_eq!(without.code, 0, "fails without a sandbox: {without:?}");
    let before = boxed.home_files();
    let mut arguments = vec!["--"];
    arguments.extend(command);
    let within = boxed.sandbox(&arguments);
    assert_eq!(within.code, 0, "fails in the sandbox: {within:?}");
    assert_eq!(before, boxed.home_files(), "the home was touched");
    boxed.project.assert_owned_by_caller();
    // It is the written profile that was used, and it hides the rest of the home.
    let look = [
        "--",
        "sh",
        "-c",
        "! cat ~/.ssh/id_ed25519 2>/dev/null && ! echo >>/usr/x 2>/dev/null",
    ];
    assert_eq!(boxed.sandbox(&look).code, 0);
    (bare, boxed)
}

#[test]
fn a_makefile_is_built_under_what_init_writes() {
    let (bare, boxed) = works(&example("wordcount"), &["make", "test"]);
    for copy in [bare, boxed] {
        assert!(copy.project.path().join("wordcount").exists());
    }
}

/// A package with a build script and a test, and no dependency, so that nothing is fetched.
#[test]
fn a_cargo_package_is_built_and_tested_under_what_init_writes() {
    let project = Project::new();
    project.write(
        "Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\nbuild = \"build.rs\"\n",
    );
    project.write(
        "build.rs",
        "fn main() { println!(\"cargo:rustc-env=BUILT=yes\"); }\n",
    );
    project.write(
        "src/main.rs",
        "fn main() { println!(\"{}\", env!(\"BUILT\")); }\n#[test]\nfn built() { assert_eq!(env!(\"BUILT\"), \"yes\"); }\n",
    );
    let (_, boxed) = works(project.path(), &["cargo", "test"]);
    assert_eq!(boxed.sandbox(&["--", "cargo", "run", "-q"]).ok(), "yes\n");
}

/// Several kinds in one folder.
#[test]
fn make_and_cargo_together_are_built_under_what_init_writes() {
    let project = Project::new();
    project.write(
        "Makefile",
        "all:\n\tcargo build\n\tcc -o hello hello.c\n\t./hello\n",
    );
    project.write("hello.c", "int main(void) { return 0; }\n");
    project.write(
        "Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    project.write("src/lib.rs", "pub fn one() -> u32 { 1 }\n");
    works(project.path(), &["make"]);
}

#[test]
fn a_go_module_is_tested_under_what_init_writes() {
    const NAME: &str = "a_go_module_is_tested_under_what_init_writes";
    if Command::new("go").arg("version").output().is_err() {
        return skip(NAME, "go is not installed");
    }
    let project = Project::new();
    project.write("go.mod", "module example.org/tiny\n\ngo 1.18\n");
    project.write("one.go", "package tiny\n\nfunc One() int { return 1 }\n");
    project.write(
        "one_test.go",
        "package tiny\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif One() != 1 {\n\t\tt.Fatal()\n\t}\n}\n",
    );
    // Bare, Go makes a cache in the home; in the sandbox that home is private.
    works(project.path(), &["go", "test", "./..."]);
}
