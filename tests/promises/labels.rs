//! Labels of security modules, on a kernel in which one is active: in a virtual machine, since whose policy it is would be
//! changed.

use crate::running::{Place, name};
use crate::support::{Done, Project, done, is_root, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Files are mapped to the command where the kernel can; what is tested here needs none.
const IDMAP: &str = "[enforce]\nidmap = \"off\"\n";

fn labelled(key: &str, label: &str) -> String {
    format!("version = 1\n[process]\n{key} = \"{label}\"\n{IDMAP}")
}

/// Why the policy of this machine is not replaced for a test, if so.
fn closed() -> Option<&'static str> {
    if std::env::var_os("SANDBOX_LABELS").is_none() {
        return Some(
            "the policy of a machine is replaced in one that is there for it (SANDBOX_LABELS)",
        );
    }
    (!is_root()).then_some("only root loads a policy")
}

/// Who may not load a policy runs under it all the same.
fn plain_user(project: &Project, profile: &str, script: &str) -> Done {
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(project.path(), open).unwrap();
    project.write("sandbox.toml", profile);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", "--"])
        .arg(crate::support::program())
        .args(["--", "sh", "-c", script])
        .current_dir(project.path())
        .env_remove("XDG_RUNTIME_DIR")
        .env("HOME", "/nowhere");
    done(&mut command)
}

/// The label of a run and of what is executed in it later, for root and for a plain user.
fn is_labelled(profile: &str, label: &str, script: &str, expected: &str) {
    let project = Project::new();
    let said = project.run(profile, script).ok();
    assert_eq!(said, expected);
    let said = plain_user(&project, profile, script).ok();
    assert_eq!(said, expected);

    let place = Place::new();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(place.project.path(), open).unwrap();
    let running = name();
    let mut live = place.start(&running, profile, "touch ready; exec sleep 1000");
    let current = fs::read_to_string(format!("/proc/{}/attr/current", live.command())).unwrap();
    assert!(current.contains(label), "{current}");
    // The supervisor and the init of the sandbox are outside of it.
    let own = fs::read_to_string(format!("/proc/{}/attr/current", live.supervisor())).unwrap();
    assert!(!own.contains(label), "{own}");
    let said = place.exec(&running, script).ok();
    assert_eq!(said, expected);
    live.kill();
}

#[test]
fn a_profile_of_apparmor_holds_from_the_first_instruction_and_in_what_is_executed_later() {
    const TEST: &str =
        "a_profile_of_apparmor_holds_from_the_first_instruction_and_in_what_is_executed_later";
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if !enabled.is_ok_and(|enabled| enabled.starts_with('Y')) {
        skip(TEST, "AppArmor is not active in this kernel");
        return;
    }
    if let Some(reason) = closed() {
        skip(TEST, reason);
        return;
    }
    let project = Project::new();
    let source = project.write("profile.apparmor", include_str!("labels/profile.apparmor"));
    let mut parser = Command::new("apparmor_parser");
    done(parser.args(["--replace", "--skip-cache"]).arg(&source)).ok();

    let profile = labelled("apparmor", "sandbox-test");
    let script = "cat /proc/self/attr/apparmor/current; (cat /etc/passwd || cat /etc/group) 2>&1 | cut -c 1-35 | head -1";
    let refused = "sandbox-test//&unconfined (enforce)\ncat: /etc/passwd: Permission denied\n";
    is_labelled(&profile, "sandbox-test", script, refused);
    let bare = project.run(&format!("version = 1\n{IDMAP}"), script).ok();
    assert!(bare.starts_with("unconfined\nroot:"), "{bare}");

    let said = project
        .run(&labelled("apparmor", "nowhere"), "echo ran")
        .fails(125);
    assert!(said.contains("sandbox.toml:3"), "{said}");
    assert!(
        said.contains("load it (`apparmor_parser -r FILE`)"),
        "{said}"
    );
}

#[test]
fn a_context_of_selinux_holds_from_the_first_instruction_and_in_what_is_executed_later() {
    const TEST: &str =
        "a_context_of_selinux_holds_from_the_first_instruction_and_in_what_is_executed_later";
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if !modules.split(',').any(|module| module == "selinux") {
        skip(TEST, "SELinux is not active in this kernel");
        return;
    }
    if let Some(reason) = closed() {
        skip(TEST, reason);
        return;
    }
    load_policy();

    let context = |name: &str| format!("system_u:system_r:{name}:s0");
    let profile = labelled("selinux", &context("build_t"));
    let script = "tr -d '\\0' </proc/self/attr/current; tr '\\0' '\\n' </proc/1/attr/current";
    // Init is outside of it, here as well.
    let expected = format!("{}{}\n", context("build_t"), context("base_t"));
    is_labelled(&profile, &context("build_t"), script, &expected);

    // What the sandbox makes has the context that files are given, whoever makes it; what is shown has its own.
    let files = format!(
        "version = 1\n[process]\nselinux_files = \"system_u:object_r:made_t:s0\"\n[[mounts]]\ntype = \"file\"\n\
         target = \"/etc/motd\"\ncontents = \"made\"\n{IDMAP}"
    );
    let script =
        "stat -c '%n %C' / /tmp /dev/pts /etc/motd; touch /tmp/own; stat -c '%n %C' /tmp/own /usr";
    let made = ["/", "/tmp", "/dev/pts", "/etc/motd", "/tmp/own"];
    let line = |path: &str| format!("{path} system_u:object_r:made_t:s0\n");
    let expected = made.map(line).concat();
    let project = Project::new();
    let said = project.run(&files, script).ok();
    assert!(said.starts_with(&expected), "{said}");
    assert!(!said[expected.len()..].contains("made_t"), "{said}");
    let said = plain_user(&project, &files, script).ok();
    assert!(said.starts_with(&expected), "{said}");

    let project = Project::new();
    let unknown = labelled("selinux", &context("nowhere_t"));
    let said = project.run(&unknown, "echo ran").fails(125);
    assert!(said.contains("sandbox.toml:3"), "{said}");
    assert!(said.contains("has no such context"), "{said}");
    // A label which may not execute the program: it does not start without one.
    let closed = labelled("selinux", &context("closed_t"));
    let said = project.run(&closed, "echo ran").fails(126);
    assert!(
        said.contains("does the policy let this program take the label"),
        "{said}"
    );
}

/// Loads the policy of the tests and has it enforced.
fn load_policy() {
    const FOLDER: &str = "/sys/fs/selinux";
    let project = Project::new();
    let source = project.write("policy.cil", include_str!("labels/policy.cil"));
    let compiled = project.path().join("policy");
    let mut compiler = Command::new("secilc");
    compiler.args(["--policyvers=33", "--filecontexts=/dev/null", "--output"]);
    done(compiler.arg(&compiled).arg(source)).ok();
    if !Path::new(FOLDER).join("load").exists() {
        done(Command::new("mount").args(["-t", "selinuxfs", "selinuxfs", FOLDER])).ok();
    }
    // In one call of write(2).
    fs::write(format!("{FOLDER}/load"), fs::read(compiled).unwrap()).unwrap();
    fs::write(format!("{FOLDER}/enforce"), "1").unwrap();
}
