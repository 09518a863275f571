//! A sandbox inside something: itself, bubblewrap, crun, bare namespaces; as README says.

use crate::support::{Done, Project, copy_program, done, is_root, program, skip};
use std::process::{Command, Stdio};

/// What makes room for a sandbox inside. The default filter does not know clone3, which this takes.
pub const AROUND: &str = "[namespaces]\nnested_user = true\n[seccomp]\npreset = \"off\"\n";

/// What a sandbox inside of one asks for. A kernel shows a fresh /proc only where it is fully visible,
/// and in a sandbox it is not: so it takes the /proc that is there, and the processes with it.
pub const INSIDE: &str = r#"
[namespaces]
pid = "shared"
nested_user = true

[seccomp]
preset = "off"

[[mounts]]
type = "bind"
target = "/proc"
read_only = false
"#;

/// The program and a profile, for the sandbox inside.
pub fn carried(project: &Project) -> String {
    let (program, profile) = (program(), project.path().join("inside.toml"));
    format!(
        "[[mounts]]\ntype = \"bind\"\nsource = \"{}\"\ntarget = \"/sandbox\"\n\
         [[mounts]]\ntype = \"bind\"\nsource = \"{}\"\ntarget = \"/inside.toml\"\n",
        program.display(),
        profile.display()
    )
}

const KEPT: &str = "[[mounts]]\ntype = \"bind\"\ntarget = \"/sandbox\"\n\
                    [[mounts]]\ntype = \"bind\"\ntarget = \"/inside.toml\"\n";

#[test]
fn runs_nest_five_deep_in_themselves() {
    let project = Project::new();
    project.write("inside.toml", format!("{INSIDE}{KEPT}"));
    let around = format!("{AROUND}{}", carried(&project));
    // Each tells its namespace and starts the next one; the innermost ends as no other does.
    let script = "readlink /proc/self/ns/user; [ -w /usr ] && exit 1; [ $1 = 0 ] && exit 7
                  exec /sandbox --profile /inside.toml -- sh -c \"$0\" \"$0\" $(($1 - 1))";
    let run = done(&mut project.command(&around, &["sh", "-c", script, script, "5"]));
    assert_eq!((run.code, run.stderr.as_str()), (7, ""), "{run:?}");
    let namespaces: std::collections::BTreeSet<_> = run.stdout.lines().collect();
    assert_eq!(namespaces.len(), 6, "{run:?}");
}

#[test]
fn a_run_in_a_sandbox_that_does_not_make_room_for_it_is_refused() {
    let project = Project::new();
    project.write("inside.toml", INSIDE);
    let inner = ["/sandbox", "--profile", "/inside.toml", "--", "true"];
    let run = |around: &str| {
        let around = format!("{around}{}", carried(&project));
        done(&mut project.command(&around, &inner))
    };
    let said = run("").fails(125);
    assert!(
        said.contains("a container's filter refuses the call"),
        "{said}"
    );
    project.write("inside.toml", "");
    let run = run(AROUND);
    if run.code == 0 {
        return skip(
            "a_run_in_a_sandbox_that_does_not_make_room_for_it_is_refused",
            "the /proc of this kernel has nothing to cover, so that a fresh one may be mounted",
        );
    }
    let said = run.fails(125);
    assert!(
        said.contains("only where the host's is fully visible"),
        "{said}"
    );
}

/// A run inside of what another program makes.
fn inside(project: &Project, mut around: Command, script: &str) -> Done {
    project.write("sandbox.toml", "version = 1\n");
    around.arg(program());
    around.args(["--profile", "sandbox.toml", "--", "sh", "-c", script]);
    done(around.current_dir(project.path()).stdin(Stdio::null()))
}

const LOOK: &str =
    "readlink /proc/self/ns/user; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; exit 7";

/// What a plain user's run tells.
#[track_caller]
fn is_one(run: &Done) {
    assert_eq!(run.code, 7, "{run:?}");
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_ne!(lines[0], own.display().to_string());
    let facts = ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"];
    assert_eq!(&lines[1..], facts);
}

#[test]
fn a_run_inside_bubblewrap_is_a_run() {
    const NAME: &str = "a_run_inside_bubblewrap_is_a_run";
    let project = Project::new();
    let bubblewrap = || {
        let mut bubblewrap = Command::new("bwrap");
        bubblewrap.args(["--dev-bind", "/", "/", "--unshare-ipc", "--"]);
        bubblewrap
    };
    if done(bubblewrap().arg("true")).code != 0 {
        return skip(NAME, "bwrap is missing or makes no sandbox here");
    }
    is_one(&inside(&project, bubblewrap(), LOOK));
}

/// As a plain user outside, whose groups stay too. Its root is nobody's root only for a plain user.
#[test]
fn a_run_in_a_namespace_that_denies_setgroups_is_a_run_or_is_refused() {
    const NAME: &str = "a_run_in_a_namespace_that_denies_setgroups_is_a_run_or_is_refused";
    let project = Project::new();
    if done(Command::new("unshare").args(["-Ur", "true"])).code != 0 {
        return skip(NAME, "unshare is missing or makes no namespace here");
    }
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.arg("-Ur");
        unshare
    };
    let run = inside(&project, unshare(), LOOK);
    if is_root() {
        let said = run.fails(125);
        assert!(said.contains("its only uid is 0 of the host"), "{said}");
        return;
    }
    is_one(&run);
    project.write("groups.toml", "[user]\ngroups = [0]\ngid_map = \"root\"\n");
    let mut groups = unshare();
    groups
        .arg(program())
        .args(["--profile", "groups.toml", "--", "true"]);
    let said = done(groups.current_dir(project.path())).fails(125);
    assert!(said.contains("denies supplementary groups"), "{said}");
    assert!(said.contains("groups.toml:2:"), "{said}");
}

#[test]
fn a_read_only_tmp_is_no_obstacle() {
    const NAME: &str = "a_read_only_tmp_is_no_obstacle";
    let project = Project::new();
    project.write("here/sandbox.toml", "version = 1\n");
    let mut unshare = Command::new("unshare");
    unshare.arg(if is_root() { "-m" } else { "-Urm" });
    // The project is brought along, wherever it lies.
    let script =
        "set -e; mount --rbind here /mnt; mount -t tmpfs -o ro none /tmp; cd /mnt; exec \"$@\"";
    unshare.args(["sh", "-c", script, "sh"]);
    copy_program(&project.path().join("here/program"));
    unshare.args(["./program", "--profile", "sandbox.toml", "--"]);
    unshare.args(["sh", "-c", "echo x >/tmp/file && cat /tmp/file"]);
    let run = done(unshare.current_dir(project.path()));
    if run.stderr.starts_with("unshare: ") || run.stderr.starts_with("mount: ") {
        return skip(NAME, run.stderr.trim());
    }
    // That a folder of the system is no project is said.
    assert!(
        run.stderr.contains("/mnt is a folder of the system"),
        "{run:?}"
    );
    assert_eq!((run.stdout.as_str(), run.code), ("x\n", 0));
}

/// crun with the settings that it writes itself, but for the root, which is the host's.
#[test]
fn a_run_inside_crun_is_a_run() {
    const NAME: &str = "a_run_inside_crun_is_a_run";
    let project = Project::new();
    // With a filter, as by default, and crun's own proc, part of which is covered.
    let profile = "[namespaces]\npid = \"shared\"\n[[mounts]]\ntype = \"bind\"\ntarget = \"/proc\"\nread_only = false\n";
    project.write("sandbox.toml", profile);
    if !is_root() {
        return skip(NAME, "the settings that crun writes are those of root");
    }
    let spec = Command::new("crun")
        .arg("spec")
        .current_dir(project.path())
        .status();
    if !spec.is_ok_and(|status| status.success()) {
        return skip(NAME, "crun is missing");
    }
    let path = project.path().join("config.json");
    let mut settings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let folder = project.path().to_str().unwrap();
    let program = program();
    // The host's own root cannot be moved to (pivot_root(2)).
    let root = project.path().join("root");
    std::fs::create_dir(&root).unwrap();
    settings["root"] = serde_json::json!({"path": root, "readonly": false});
    let mounts = settings["mounts"].as_array_mut().unwrap();
    let programs = program.parent().unwrap().to_str().unwrap();
    let mut bind = |path: &str, option: &str| {
        mounts.push(serde_json::json!({
            "destination": path, "source": path, "type": "none", "options": ["rbind", option]
        }));
    };
    for path in ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"] {
        if std::path::Path::new(path).exists() {
            bind(path, "ro");
        }
    }
    bind(folder, "rw");
    bind(programs, "ro");
    // Its root has not the rights to map ids, which a plain user needs none for.
    settings["process"]["user"] = serde_json::json!({"uid": 1000, "gid": 1000});
    settings["process"]["terminal"] = false.into();
    settings["process"]["cwd"] = folder.into();
    settings["process"]["args"] = serde_json::json!([
        program.to_str().unwrap(),
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        LOOK
    ]);
    std::fs::write(&path, settings.to_string()).unwrap();
    let state = project.path().join("state");
    let name = format!("sandbox-test-{}", std::process::id());
    let mut crun = Command::new("crun");
    crun.arg("--root")
        .arg(&state)
        .args(["run", "--bundle", folder, &name]);
    let run = done(crun.current_dir(project.path()).stdin(Stdio::null()));
    if run.stderr.contains("hybrid mode not supported") {
        return skip(NAME, run.stderr.trim());
    }
    is_one(&run);
}
