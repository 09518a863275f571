//! What `init` writes, and that it writes nothing else.

use crate::support::{Done, Project, done};
use std::os::unix::fs::symlink;

fn init(project: &Project, arguments: &[&str]) -> Done {
    let mut all = vec!["init"];
    all.extend(arguments);
    done(&mut project.program(&all))
}

fn files(project: &Project) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_written_is_checked_without_a_word() {
    for marks in [
        &["Makefile"][..],
        &["configure"],
        &["CMakeLists.txt"],
        &["meson.build"],
        &["Cargo.toml"],
        &["package.json"],
        &["pyproject.toml"],
        &["setup.py"],
        &["go.mod"],
        &[
            "Makefile",
            "Cargo.toml",
            "package.json",
            "setup.py",
            "go.mod",
        ],
        &[],
    ] {
        let project = Project::new();
        for mark in marks {
            project.write(mark, "");
        }
        let told = init(&project, &[]).ok();
        assert!(told.starts_with("sandbox.toml is written"), "{told}");
        for mark in marks {
            assert!(told.contains(&format!("({mark})")), "{mark}: {told}");
        }
        let checked = done(&mut project.program(&["check", "sandbox.toml"]));
        assert_eq!(checked.ok(), "", "{marks:?}");
        let tested = done(&mut project.program(&["test"]));
        assert!(tested.ok().contains("secrets stay outside"), "{marks:?}");
        assert_eq!(files(&project).len(), marks.len() + 1, "{marks:?}");
    }
}

#[test]
fn a_profile_for_a_project_of_make_and_rust() {
    let project = Project::new();
    project.write("Makefile", "");
    project.write("Cargo.toml", "");
    let told = init(&project, &[]).ok();
    let written = std::fs::read_to_string(project.path().join("sandbox.toml")).unwrap();
    insta::assert_snapshot!(written, @r#"
    # What commands of this project may see and use. In this folder, and below it,
    #
    #     sandbox -- make
    #     sandbox -- cargo test
    #
    # runs under it; `sandbox explain` prints what that means, `sandbox doctor` says whether this
    # machine can do it. What is not said here has a safe default: the project is writable, the
    # host's programs and libraries are read-only, the home and /tmp are empty, and there is no
    # network but loopback.
    # To be downloaded before, outside: cargo fetch.
    version = 1
    description = "Build and test this project (make, Rust), offline"

    # What the tools keep in your home: read-only, without the files that hold tokens. What is not
    # there is left out.
    mounts = [
        { type = "bind", target = "${env:RUSTUP_HOME:-${HOME}/.rustup}", optional = true },
        { type = "bind", target = "${HOME}/.cargo/bin", optional = true },
        { type = "bind", target = "${env:CARGO_HOME:-${HOME}/.cargo}/registry", optional = true },
        { type = "bind", target = "${env:CARGO_HOME:-${HOME}/.cargo}/git", optional = true },
        { type = "bind", target = "${env:CARGO_HOME:-${HOME}/.cargo}/config.toml", optional = true },
    ]

    [environment]
    # Variables of yours that the tools are told, besides a few harmless ones. Tokens stay outside:
    # do not write `*` where a name will do.
    inherit = [
        "AR", "CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LDLIBS", "DESTDIR",
        "MAKEFLAGS", "CMAKE_*", "CTEST_*", "PKG_CONFIG_PATH", "SOURCE_DATE_EPOCH", "CARGO_HOME",
        "CARGO_TERM_*", "CARGO_PROFILE_*", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUST_*",
    ]

    [environment.set]
    CARGO_NET_OFFLINE = "true"

    # What a run may use at most. Without root this needs a cgroup that is delegated to the user;
    # where there is none, a run with limits is refused.
    # [limits]
    # pids = 1024
    # memory = "4G"
    # cpu = 2.0
    # wall_time = "30m"

    # The network, for the rare command that cannot do without.
    # [network]
    # mode = "host"

    # What has to hold, whatever the rest comes to say: `sandbox test` tries it.
    [[test]]
    name = "the machine stays as it is"
    cannot_write = ["/usr", "/etc"]
    cannot_call = ["mount", "bpf"]

    [[test]]
    name = "secrets stay outside"
    environment_has_not = ["*_TOKEN", "*_PASSWORD", "SSH_AUTH_SOCK"]
    "#);
    insta::assert_snapshot!(told, @"
    sandbox.toml is written, for make (Makefile), Rust (Cargo.toml).

    Try it:

        cargo fetch
        sandbox -- make
        sandbox -- cargo test

    In a workflow of GitHub Actions, after the step that installs `sandbox`:

        - run: sudo sysctl -e -w kernel.apparmor_restrict_unprivileged_userns=0
        - run: sandbox doctor --profile sandbox.toml
        - run: sandbox test
        - run: cargo fetch
        - run: sandbox -- make
        - run: sandbox -- cargo test

    In the script of any other machine, which ends at the first line that fails:

        set -e
        sandbox doctor --profile sandbox.toml
        sandbox test
        cargo fetch
        sandbox -- make
        sandbox -- cargo test
    ");
}

#[test]
fn a_profile_that_is_there_is_not_overwritten() {
    let project = Project::new();
    project.write("sandbox.toml", "# mine\n");
    let said = init(&project, &[]).fails(125);
    insta::assert_snapshot!(said.trim(), @"
    error[SBX0104]: sandbox.toml is there already, and is not overwritten
    --> command line
     = help: remove or rename it, or replace it with --force
    ");
    let path = project.path().join("sandbox.toml");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    init(&project, &["--force"]).ok();
    assert_ne!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    assert_eq!(files(&project), ["sandbox.toml"]);
}

/// A hostile project plants links where files are looked for and written.
#[test]
fn no_link_of_the_project_is_followed() {
    let outside = Project::new();
    let precious = outside.write("precious", "as it was");
    for force in [&[][..], &["--force"]] {
        for target in [&precious, &outside.path().join("made")] {
            let project = Project::new();
            let path = project.path().join("sandbox.toml");
            symlink(target, &path).unwrap();
            let told = init(&project, force);
            match force {
                [] => drop(told.fails(125)),
                _ => drop(told.ok()),
            }
            assert_eq!(std::fs::read_to_string(&precious).unwrap(), "as it was");
            assert_eq!(files(&outside), ["precious"]);
            let link = path.symlink_metadata().unwrap().is_symlink();
            assert_eq!(
                link,
                force.is_empty(),
                "replaced is the link, and only by force"
            );
        }
    }
}

#[test]
fn what_stands_in_the_way_of_the_profile_is_named() {
    let project = Project::new();
    std::fs::create_dir(project.path().join("sandbox.toml")).unwrap();
    let said = init(&project, &[]).fails(125);
    assert!(said.starts_with("error[SBX0104]"), "{said}");
    let said = init(&project, &["--force"]).fails(125);
    assert!(
        said.starts_with("error[SBX0105]: cannot write sandbox.toml"),
        "{said}"
    );
    assert_eq!(files(&project), ["sandbox.toml"]);
    let said = init(&project, &["no/such/folder"]).fails(125);
    assert!(
        said.starts_with("error[SBX0105]: cannot write no/such/folder"),
        "{said}"
    );
}

/// A profile there would never be found, and grant everything if it were.
#[test]
fn a_home_is_no_project() {
    let home = Project::new();
    let mut command = home.program(&["init"]);
    command.env("HOME", home.path());
    let said = done(&mut command).fails(125);
    assert!(said.starts_with("error[SBX0106]"), "{said}");
    assert!(files(&home).is_empty());
    let said = init(&home, &["/usr"]).fails(125);
    assert!(said.contains("/usr is no project"), "{said}");
}
