//! Variables of files: told as they are written, refused with their line, and never what decides which code runs.

use crate::support::{Project, done};

const HEAD: &str = "version = 1\n[environment]\n";

#[test]
fn variables_of_files_are_told_in_their_order() {
    let project = Project::new();
    project.write(
        "one.env",
        "# the first\n\nA=1\nB='two words'\nC=1\nD=\"$HOME\"\n",
    );
    project.write("two.env", "B=second\nE=e=f\nLANG=fr\n");
    let profile = format!(
        "{HEAD}files = [\"one.env\", {{ name = \"none.env\", optional = true }}, {{ name = \"two.env\", optional = true }}]\nset = {{ C = \"set\" }}\nunset = [\"A\"]"
    );
    let mut run = project.command(&profile, &["env"]);
    let output = done(run.env_clear().env("LANG", "C").env("HOME", "/home/x")).ok();
    let mut lines: Vec<_> = output.lines().collect();
    lines.retain(|line| !line.starts_with("PATH=") && !line.starts_with("HOME="));
    lines.sort_unstable();
    assert_eq!(lines, ["B=second", "C=set", "D=$HOME", "E=e=f", "LANG=fr"]);
    // Where a value comes from is told, and what is told of nothing else.
    for (name, said) in [
        ("B", "two.env:1"),
        ("D", "one.env:6"),
        ("C", "the command gets it"),
    ] {
        let why = done(&mut project.program(&["why", "--profile", "sandbox.toml", "env", name]));
        assert!(why.stdout.contains(said), "{name}: {why:?}");
        assert!(why.stdout.contains("sandbox.toml:"), "{name}: {why:?}");
    }
    let why = done(&mut project.program(&["why", "--profile", "sandbox.toml", "env", "A"]));
    assert!(why.stdout.contains("does not get it"), "{why:?}");
}

#[test]
fn a_file_of_variables_that_says_what_it_cannot_is_refused_with_its_line() {
    let project = Project::new();
    let profile = format!("{HEAD}files = [\"env\"]\n");
    let long = format!("A={}\n", "x".repeat(300 << 10));
    for (contents, said) in [
        ("A=1\nsecret words\n", "line 2 of "),
        ("secret-words=1\n", "line 1 of "),
        ("A=1\nLD_PRELOAD=/secret/words.so\n", "line 2 of "),
        (
            "PATH=/secret/words\n",
            "sets PATH, which decides which code",
        ),
        (&long, "is longer than "),
    ] {
        project.write("env", contents);
        let words = project.run(&profile, "touch ran").fails(125);
        assert!(
            words.contains(said) && words.contains("sandbox.toml:3:"),
            "{words}"
        );
        assert!(words.contains("help: "), "{words}");
        // What a file says may be a secret.
        assert!(!words.contains("secret"), "{words}");
        assert!(!project.path().join("ran").exists());
    }
    std::fs::remove_file(project.path().join("env")).unwrap();
    let words = project.run(&profile, "touch ran").fails(125);
    assert!(
        words.contains("there is no ") && words.contains("optional"),
        "{words}"
    );
    // What the profile itself says of such a name holds.
    project.write("env", "LD_PRELOAD=/nowhere.so\nLD_DEBUG=all\nA=1\n");
    let own =
        format!("{HEAD}files = [\"env\"]\nset = {{ LD_DEBUG = \"\" }}\nunset = [\"LD_PRELOAD\"]");
    assert_eq!(
        project.run(&own, "echo $A${LD_PRELOAD-none}").ok(),
        "1none\n"
    );
}

#[test]
fn no_file_of_variables_is_read_through_a_link_or_waited_for() {
    let project = Project::new();
    project.write("real/env", "A=secret\n");
    let profile = |name: &str| format!("{HEAD}files = [{{ name = \"{name}\", optional = true }}]");
    std::os::unix::fs::symlink("real/env", project.path().join("link")).unwrap();
    std::os::unix::fs::symlink("real", project.path().join("folder")).unwrap();
    let fifo = project.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, said) in [
        ("link", "symbolic link"),
        ("folder/env", "symbolic link"),
        ("fifo", "no regular file"),
        ("real", "no regular file"),
    ] {
        let words = project.run(&profile(name), "echo $A").fails(125);
        assert!(words.contains(said), "{name}: {words}");
    }
    assert_eq!(
        project.run(&profile("real/env"), "echo $A").ok(),
        "secret\n"
    );
}
