//! Users of one machine, each with sandboxes of their own, under the same names.

use crate::live::{HOLD, Live};
use crate::running::{PLAIN, name};
use crate::support::{Done, Project, done, is_root, program, skip};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

/// Somebody without a login, and the project of theirs.
struct User {
    id: u32,
    project: Project,
}

impl User {
    fn new(id: u32) -> Self {
        let project = Project::new();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(project.path(), mode).unwrap();
        chown(project.path(), Some(id), Some(id)).unwrap();
        project.write("sandbox.toml", PLAIN);
        Self { id, project }
    }

    /// A command of theirs, in their project.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={}", self.id))
            .arg(format!("--regid={}", self.id))
            .args(["--clear-groups", "--"])
            .arg(program)
            .env_remove("XDG_RUNTIME_DIR")
            .env("HOME", "/nonexistent")
            .current_dir(self.project.path());
        command
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program());
        command.args(arguments);
        command
    }

    fn done(&self, arguments: &[&str]) -> Done {
        done(&mut self.program(arguments))
    }

    fn start(&self, name: &str) -> Live {
        let script = format!("echo of {} >whose; {HOLD}", self.id);
        let mut live = Live::spawn(&mut self.program(&["--name", name, "--", "sh", "-c", &script]));
        live.await_file(&self.project.path().join("ready"));
        live
    }

    /// The id of the one sandbox of this name that `ps` shows.
    fn id_of(&self, name: &str) -> String {
        let said = self.done(&["ps", "--json"]).ok();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let rows = said["sandboxes"].as_array().unwrap();
        let of_name: Vec<_> = rows.iter().filter(|row| row["name"] == name).collect();
        let [row] = of_name[..] else {
            panic!("{said:#}")
        };
        row["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(format!("/tmp/sandbox-{}", self.id));
    }
}

#[test]
fn sandboxes_of_one_name_belong_to_their_users_alone_and_root_tells_them_apart_by_id() {
    const TEST: &str =
        "sandboxes_of_one_name_belong_to_their_users_alone_and_root_tells_them_apart_by_id";
    if !is_root() {
        return skip(TEST, "only root can be several users");
    }
    // Of no account, and of no other run of these tests.
    let first = 1_000_000 + std::process::id() * 2;
    let (ada, bob) = (User::new(first), User::new(first + 1));
    let name = name();
    let (of_ada, of_bob) = (ada.start(&name), bob.start(&name));

    // Each has theirs, sees no other, and reaches no other by its id.
    for (one, other) in [(&ada, &bob), (&bob, &ada)] {
        let whose = one.done(&["exec", &name, "--", "cat", "whose"]).ok();
        assert_eq!(whose, format!("of {}\n", one.id));
        let theirs = other.id_of(&name);
        for arguments in [
            &["exec", &theirs, "--", "true"][..],
            &["kill", &theirs],
            &["inspect", &theirs],
            &["logs", &theirs],
            &["rm", &theirs],
        ] {
            let said = one.done(arguments).fails(125);
            assert!(
                said.contains("error[SBX0180]: no sandbox is called"),
                "{said}"
            );
        }
        let folder = format!("/tmp/sandbox-{}", other.id);
        let tried = done(one.command("ls").arg(folder)).stderr;
        assert!(tried.contains("Permission denied"), "{tried}");
    }

    // Root sees both, and is asked which is meant.
    let root = Project::new();
    let asked = |arguments: &[&str]| done(&mut root.program(arguments));
    let said = asked(&["ps", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let rows = said["sandboxes"].as_array().unwrap().iter();
    let mut users: Vec<_> = rows
        .filter(|row| row["name"] == name.as_str())
        .map(|row| row["user"].clone())
        .collect();
    users.sort_by_key(|user| user.as_u64());
    assert_eq!(users, [ada.id, bob.id], "{said:#}");
    let several = asked(&["kill", &name]).fails(125);
    let (id_of_ada, id_of_bob) = (ada.id_of(&name), bob.id_of(&name));
    for id in [&id_of_ada, &id_of_bob] {
        assert!(several.contains(id.as_str()), "{several}");
    }
    assert!(several.contains("write the id"), "{several}");
    asked(&["kill", &id_of_ada]).ok();
    assert_eq!(of_ada.done().code, 143);
    assert!(Path::new(&format!("/proc/{}", of_bob.supervisor())).exists());
    let left = bob.done(&["exec", &name, "--", "cat", "whose"]).ok();
    assert_eq!(left, format!("of {}\n", bob.id));
    assert_eq!(of_bob.go(&bob.project).code, 0);
}
