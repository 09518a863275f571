//! Ceilings: what no profile may exceed is refused before anything happens.

use crate::support::{Done, Project, copy_program, done, is_root, skip};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

const WIDE: &str = "[network]\nmode = \"host\"\n";

/// The command has not started, and nothing was made for it.
#[track_caller]
fn refused(project: &Project, run: Done, words: &str) {
    assert_eq!(run.stdout, "", "{run:?}");
    let stderr = run.fails(125);
    assert!(stderr.starts_with("error[SBX01"), "{stderr}");
    assert!(stderr.contains(words), "`{words}` is missing in: {stderr}");
    assert!(!project.path().join("started").exists(), "{stderr}");
}

#[test]
fn a_run_that_would_exceed_a_ceiling_does_not_start() {
    let project = Project::new();
    project.write("admin.toml", "[network]\nmode = \"loopback\"\n");
    let run = |profile: &str| {
        project.write("sandbox.toml", profile);
        let arguments = ["--ceiling", "admin.toml", "--", "touch", "started"];
        done(&mut project.program(&arguments))
    };
    refused(&project, run(WIDE), "exceeds the ceiling admin.toml");
    let secret = project.path().join("link");
    std::os::unix::fs::symlink("/var", secret).unwrap();
    let linked = "[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"link\"\n";
    refused(&project, run(linked), "link, which leads to /var");
    run("[network]\nmode = \"none\"\n").ok();
    assert!(project.path().join("started").exists());
}

/// A machine whose /etc holds this ceiling: a copy of it, in mounts of the run's own.
fn under(project: &Project, prepare: &str, user: Option<u32>, arguments: &[&str]) -> Command {
    let etc = project.path().join("etc");
    let script = r#"
set -e
etc=$1 prepare=$2 user=$3
shift 3
[ -d "$etc" ] || cp -a /etc "$etc"
rm -rf "$etc/sandbox"
mkdir "$etc/sandbox"
cd "$etc/sandbox"
eval "$prepare"
mount --bind "$etc" /etc
cd "$etc/.."
if [ -n "$user" ]; then
    exec setpriv --reuid="$user" --regid="$user" --clear-groups -- "$@"
fi
exec "$@"
"#;
    let user = user.map_or(String::new(), |user| user.to_string());
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            script,
            "bash",
        ])
        .args([etc.to_str().unwrap(), prepare, &user])
        .arg(project.path().join("program"))
        .args(arguments)
        .current_dir(project.path())
        .env("HOME", "/home/nobody")
        .stdin(std::process::Stdio::null());
    command
}

#[test]
fn the_ceiling_of_the_system_always_holds() {
    if !is_root() {
        return skip(
            "the_ceiling_of_the_system_always_holds",
            "only root can put a ceiling in place",
        );
    }
    const NOBODY: u32 = 54_321;
    const CEILING: &str =
        "printf '[network]\\nmode = \"loopback\"\\n' > ceiling.toml; chmod 644 ceiling.toml";
    let project = Project::new();
    copy_program(&project.path().join("program"));
    project.write("wide.toml", "[network]\nmode = \"host\"\n");
    project.write("narrow.toml", "[network]\nmode = \"none\"\n");
    // A later ceiling does not lift an earlier one.
    let open = "[network]\nmode = \"host\"\n";
    project.write("open.toml", open);
    std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for user in [None, Some(NOBODY)] {
        if let Some(user) = user {
            chown(project.path(), Some(user), Some(user)).unwrap();
        }
        let run = |prepare: &str, arguments: &[&str]| {
            let command = ["--", "touch", "started"];
            let arguments = [arguments, &command].concat();
            done(&mut under(&project, prepare, user, &arguments))
        };
        let words = "exceeds the ceiling /etc/sandbox/ceiling.toml";
        refused(&project, run(CEILING, &["--profile", "wide.toml"]), words);
        let both = ["--profile", "wide.toml", "--ceiling", "open.toml"];
        refused(&project, run(CEILING, &both), words);
        let wrong = format!("{CEILING}; echo 'mode = 1' > ceiling.toml");
        refused_anyhow(&project, run(&wrong, &["--profile", "narrow.toml"]));
        for (doubt, words) in [
            ("chmod 664 ceiling.toml", "by others than root"),
            ("chown 1 ceiling.toml", "not to root"),
            ("mv ceiling.toml x; ln -s x ceiling.toml", "symbolic link"),
            ("rm ceiling.toml; mkdir ceiling.toml", "not a regular file"),
            ("rm ceiling.toml; mkfifo ceiling.toml", "not a regular file"),
        ] {
            let prepare = format!("{CEILING}; {doubt}");
            let run = run(&prepare, &["--profile", "narrow.toml"]);
            refused_anyhow(&project, run.clone());
            assert!(run.stderr.starts_with("error[SBX0111]: "), "{run:?}");
            assert!(run.stderr.contains(words), "{run:?}");
        }
        // The command itself runs in the same surroundings.
        run(CEILING, &["--profile", "narrow.toml"]).ok();
        std::fs::remove_file(project.path().join("started")).unwrap();
        run("true", &["--profile", "wide.toml"]).ok();
        std::fs::remove_file(project.path().join("started")).unwrap();
    }
}

#[track_caller]
fn refused_anyhow(project: &Project, run: Done) {
    let stderr = run.fails(125);
    assert!(stderr.starts_with("error[SBX"), "{stderr}");
    assert!(!project.path().join("started").exists(), "{stderr}");
}
