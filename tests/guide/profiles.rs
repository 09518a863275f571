//! The list of profiles agrees with what a name means.

use crate::support::{Done, Project, done};
use serde_json::Value;

fn asked(project: &Project, arguments: &[&str]) -> Done {
    let mut all = vec!["profiles"];
    all.extend(arguments);
    done(&mut project.program(&all))
}

fn listed(project: &Project) -> (String, Vec<Value>) {
    let json: Value = serde_json::from_str(&asked(project, &["--format", "json"]).ok()).unwrap();
    let implied = json["implied"].as_str().unwrap().to_owned();
    (implied, json["profiles"].as_array().unwrap().clone())
}

#[test]
fn the_list_says_from_where_and_what_is_hidden() {
    let project = Project::new();
    project.write(".sandbox/build.toml", "description = \"the team's\"\n");
    project.write("build.toml", "version = 1\ndescription = \"mine\"\n");
    let home = Project::new();
    home.write(".config/sandbox/extra.toml", "hostname = \"x\"\n");
    project.write("sandbox.toml", "version = 1\n");
    let mut command = project.program(&["profiles"]);
    command
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME");
    let text = done(&mut command).ok();
    let ours = text
        .lines()
        .filter(|line| line.contains("build") || line.contains("extra") || line.contains("sandbox"))
        .map(|line| line.replace(project.path().to_str().unwrap(), "[project]"))
        .map(|line| line.replace(home.path().to_str().unwrap(), "[home]"))
        // The columns are as wide as the longest path.
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(ours, @"
    without --profile: [project]/sandbox.toml
    build build.toml mine
    build .sandbox/build.toml the team's [hidden by build.toml]
    build built-in Build and test C and C++ projects with the host's compilers, offline [hidden by build.toml]
    extra [home]/.config/sandbox/extra.toml
    sandbox sandbox.toml
    ");
    let (implied, list) = listed(&project);
    assert!(implied.ends_with("/sandbox.toml"), "{implied}");
    let of = |name: &str| -> Vec<_> { list.iter().filter(|p| p["name"] == name).collect() };
    let builds = of("build");
    assert_eq!(builds.len(), 3);
    assert!(builds[0]["hidden_by"].is_null());
    assert_eq!(builds[1]["hidden_by"], "build.toml");
    assert_eq!(builds[2]["from"], "built-in");
    assert_eq!(builds[2]["hidden_by"], "build.toml");
}

/// The first of a name is the one that `--profile` takes.
#[test]
fn what_is_listed_first_is_what_is_used() {
    let project = Project::new();
    // Each is wrong in a way of its own, so that `check` tells which one was read.
    for (folder, key) in [
        (".sandbox/", "second"),
        ("profiles/", "third"),
        ("", "first"),
    ] {
        project.write(
            &format!("{folder}mine.toml"),
            format!("{key} = 1\nversion = 1\n"),
        );
    }
    for expected in ["first", "second", "third"] {
        let (_, list) = listed(&project);
        let first = list.iter().find(|p| p["name"] == "mine").unwrap();
        let said = done(&mut project.program(&["check", "mine"])).fails(125);
        assert!(said.contains(&format!("no key `{expected}`")), "{said}");
        let path = project.path().join(first["from"].as_str().unwrap());
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with(expected)
        );
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn files_of_other_programs_are_not_listed_and_hostile_ones_do_no_harm() {
    let project = Project::new();
    project.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"1.0.0\"\n",
    );
    project.write("pyproject.toml", "[project]\nname = \"x\"\n");
    project.write("broken.toml", "version = \n");
    project.write("huge.toml", vec![b'#'; (1 << 20) + 1]);
    project.write("bytes.toml", b"# \xff\n");
    project.write(
        "escape.toml",
        "version = 1\ndescription = \"\\u001b[31m red\\nline\"\n",
    );
    std::fs::create_dir(project.path().join("folder.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.path().join("link.toml")).unwrap();
    let fifo = project.path().join("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let text = asked(&project, &[]).ok();
    assert!(!text.contains('\x1b'), "{text}");
    let (_, list) = listed(&project);
    let named = |name: &str| list.iter().find(|p| p["name"] == name);
    assert!(named("Cargo").is_none() && named("pyproject").is_none());
    for (name, problem) in [
        ("broken", "not TOML"),
        ("huge", "more than"),
        ("bytes", "not UTF-8"),
        ("folder", "not a regular file"),
        ("link", "cannot read"),
        ("fifo", "not a regular file"),
    ] {
        let said = named(name).unwrap_or_else(|| panic!("{name}: {text}"))["problem"].to_string();
        assert!(said.contains(problem), "{name}: {said}");
    }
}
