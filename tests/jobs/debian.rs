//! A root file system of Debian, made by mmdebstrap: with root's ids when root runs it, with
//! subordinate ids when a plain user does.

use crate::frame::input;
use crate::support::{Project, done, is_root};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

fn root() -> PathBuf {
    if is_root() {
        return input("debian").join("root");
    }
    let name = done(Command::new("id").arg("-un")).ok();
    input(&format!("debian-{}", name.trim())).join("root")
}

fn profile(changes: &str) -> String {
    format!(
        "version = 1\n\
         [rootfs]\n\
         directory = \"{}\"\n\
         changes = \"{changes}\"\n\
         [user]\n\
         uid_map = \"auto\"\n\
         [capabilities]\n\
         keep = [\"chown\"]\n",
        root().display()
    )
}

/// Bash as container root, which sees the owners of the files as Debian has them.
const LOOK: &str = "set -e
    test \"$(id -u):$(id -g)\" = 0:0
    . /etc/os-release; echo \"$ID $VERSION_ID\"
    apt-get --version | head -n 1
    stat -c '%u:%g %n' /bin/bash /etc/shadow /var/mail";

fn look(changes: &str, then: &str) -> crate::support::Done {
    let project = Project::new();
    let script = format!("{LOOK}\n{then}");
    done(&mut project.command(&profile(changes), &["bash", "-c", &script]))
}

#[track_caller]
fn assert_debian(out: &str) {
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.first(), Some(&"debian 12"), "{out}");
    assert!(
        lines.get(1).is_some_and(|line| line.starts_with("apt 2.6")),
        "{out}"
    );
    let owners = ["0:0 /bin/bash", "0:42 /etc/shadow", "0:8 /var/mail"];
    assert_eq!(lines.get(2..5), Some(&owners[..]), "{out}");
}

#[test]
fn bash_and_apt_run_as_container_root_of_a_read_only_debian() {
    let out = look(
        "forbid",
        "! touch /etc/made 2>/dev/null; ! touch /made 2>/dev/null",
    )
    .ok();
    assert_debian(&out);
}

#[test]
fn bash_and_apt_run_as_container_root_of_a_writable_debian() {
    let name = format!("made-{}", std::process::id());
    let made = root().join("srv").join(&name);
    let out = look(
        "write",
        &format!("touch /srv/{name}; chown 0:42 /srv/{name}"),
    )
    .ok();
    assert_debian(&out);

    // As root of the sandbox made it: outside, it belongs to the owner of the root's own files.
    let shadow = root().join("etc/shadow").metadata().unwrap();
    let metadata = made.symlink_metadata().unwrap();
    assert_eq!(
        (metadata.uid(), metadata.gid()),
        (shadow.uid(), shadow.gid())
    );
    std::fs::remove_file(&made).unwrap();
    let changed = ["etc", "usr/bin", "."].map(|folder| root().join(folder).join(&name));
    assert!(changed.iter().all(|path| !path.exists()));
}
