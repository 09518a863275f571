//! Where an attack is tried: bare, in a sandbox, in the sandboxes of others.

use crate::attack::{Attack, Evidence, Input, Verdict};
use crate::stage::Stage;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

/// Where an attack is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// Without a sandbox.
    Bare,
    /// Under the profile `default`.
    Default,
    /// Under the profile `ci`; its limits where they can be had.
    Ci,
    /// bubblewrap, with an allow-list as its root and all namespaces.
    Bubblewrap,
    /// crun, with what `crun spec` writes, and a root of the same folders.
    Crun,
}

const PYTHON: &str = "/usr/bin/python3";

/// Tries an attack on a stage of its own.
pub fn attempt(attack: &Attack, runner: Runner) -> Verdict {
    let stage = Stage::new();
    let before = match attack.before {
        "" => String::new(),
        script => {
            let output = python(&stage, script, "").output().unwrap();
            if !output.status.success() {
                return Verdict::Unknown(format!("before: {}", words(&output)));
            }
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
    };
    let mut inner = python(&stage, attack.script, &before);
    if attack.input == Input::Folder {
        // Python does not start with a folder as its input; the attack finds it under another number.
        let mut moved = Command::new("/bin/sh");
        moved
            .args(["-c", "exec 9<&0 0</dev/null; exec \"$@\"", "sh", PYTHON])
            .args(inner.get_args());
        inner = moved;
    }
    let mut command = within(runner, attack, &stage, &inner);
    if attack.terminal {
        command = in_terminal(&command);
    }
    let mut command = surrounded(&command);
    command.current_dir(stage.project());
    command.stdin(match attack.input {
        Input::Null => Stdio::null(),
        Input::Folder => std::fs::File::open(stage.outside()).unwrap().into(),
        Input::Pipe => stage.pipe().into(),
        Input::File => std::fs::File::open(stage.outside().join("secret"))
            .unwrap()
            .into(),
    });
    let output = match attack.log {
        false => command.output().unwrap(),
        true => {
            let log = stage.outside().join("log");
            std::fs::write(&log, "earlier output\n").unwrap();
            let mut log = std::fs::File::options().write(true).open(log).unwrap();
            std::io::Seek::seek(&mut log, std::io::SeekFrom::End(0)).unwrap();
            let child = command.stdout(log).stderr(Stdio::piped()).spawn().unwrap();
            child.wait_with_output().unwrap()
        }
    };
    let said = words(&output);
    let code = output.status.code();
    if let Evidence::Outside(worked) = attack.evidence {
        return match worked(&stage) {
            true => Verdict::Worked,
            false if !attack.refusal.is_empty() && said.contains(attack.refusal) => {
                Verdict::Blocked(said)
            }
            // A sandbox that did not start, or a script that is wrong, has stopped nothing.
            false if matches!(code, Some(2 | 125..=127)) => Verdict::Unknown(said),
            false if code == Some(1) && !said.contains("stopped: ") => Verdict::Unknown(said),
            false => Verdict::Blocked(said),
        };
    }
    match code {
        Some(0) => Verdict::Worked,
        Some(125) if !attack.refusal.is_empty() && said.contains(attack.refusal) => {
            Verdict::Blocked(said)
        }
        // Others end with 1, too, where they cannot start.
        Some(1) if said.contains("stopped: ") => Verdict::Blocked(said),
        // Killed for the call.
        Some(159) => Verdict::Blocked(said),
        None if output.status.signal() == Some(libc::SIGSYS) => Verdict::Blocked(said),
        code => Verdict::Unknown(format!("{code:?}: {said}")),
    }
}

fn words(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    format!("{}{}", parts[0], parts[1]).trim().to_owned()
}

/// A script with what every script starts from.
fn python(stage: &Stage, script: &str, before: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command
        .args(["-I", "-c", include_str!("prelude.py")])
        .arg(stage.facts(before))
        .arg(numbers())
        .arg(script);
    command
}

/// The numbers of system calls on this machine.
fn numbers() -> String {
    let all = syscalls::Sysno::iter().map(|call| (call.name().to_owned(), call.id().into()));
    serde_json::Value::Object(all.collect()).to_string()
}

/// What a careless caller leaves around a sandbox: an open folder, a token, ignored signals, an open umask.
fn surrounded(command: &Command) -> Command {
    let mut outer = Command::new("sh");
    outer
        .args([
            "-c",
            "umask 0; trap '' USR1; exec 7<../outside; exec \"$@\"",
            "sh",
        ])
        .args(["timeout", "--foreground", "-k", "1", "60"])
        .arg(command.get_program())
        .args(command.get_args())
        .env("SECRET_TOKEN", "the secret")
        .env("SSH_AUTH_SOCK", "/run/agent");
    outer
}

/// The same on a terminal of its own.
fn in_terminal(command: &Command) -> Command {
    let mut outer = Command::new(PYTHON);
    outer
        .args([
            "-I",
            "-c",
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
        ])
        .arg(command.get_program())
        .args(command.get_args());
    outer
}

fn within(runner: Runner, attack: &Attack, stage: &Stage, inner: &Command) -> Command {
    let mut command = match runner {
        Runner::Bare => {
            let mut command = Command::new("env");
            if let Some(mount) = attack.mount {
                command = Command::new("sh");
                command.args(["-c", "mkdir -p \"$0\" && exec \"$@\"", mount]);
            }
            command
        }
        Runner::Default => ours(attack, stage, "default", ""),
        // Where no group is delegated there are none to be had; what is tested is the rest.
        Runner::Ci => ours(attack, stage, "ci", "[enforce]\nlimits = \"prefer\"\n"),
        Runner::Bubblewrap => bubblewrap(attack, stage),
        Runner::Crun => return crun(attack, stage, inner),
    };
    command.arg(inner.get_program()).args(inner.get_args());
    command
}

fn ours(attack: &Attack, stage: &Stage, base: &str, more: &str) -> Command {
    let mut profile = format!(
        "version = 1\nextends = [\"{base}\"]\n{more}{}\n",
        attack.profile
    );
    if attack.terminal {
        // The caller's own is what is attacked; one of the sandbox's own would be out of its way.
        profile += "[process]\nterminal = \"caller\"\n";
    }
    if let Some(mount) = attack.mount {
        profile += &format!("[[mounts]]\ntype = \"tmpfs\"\ntarget = \"${{PROJECT}}/{mount}\"\n");
    }
    let profile = stage.write("sandbox.toml", &profile);
    let mut command = Command::new(crate::promises::program());
    command.arg("--profile").arg(profile).arg("--");
    command
}

fn bubblewrap(attack: &Attack, stage: &Stage) -> Command {
    let mut command = Command::new("bwrap");
    for folder in ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"] {
        command.args(["--ro-bind-try", folder, folder]);
    }
    let project = stage.project();
    command
        .args([
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--unshare-all",
            "--die-with-parent",
        ])
        .arg("--bind")
        .args([&project, &project]);
    if let Some(mount) = attack.mount {
        command.arg("--tmpfs").arg(project.join(mount));
    }
    command.arg("--chdir").arg(project).arg("--");
    command
}

/// A bundle as `crun spec` writes it, with the host's programs as its root.
fn crun(attack: &Attack, stage: &Stage, inner: &Command) -> Command {
    let bundle = stage.outside().join("bundle");
    std::fs::create_dir_all(bundle.join("rootfs")).unwrap();
    let mut spec = Command::new("crun");
    spec.arg("spec").current_dir(&bundle);
    if !nix::unistd::geteuid().is_root() {
        spec.arg("--rootless");
    }
    assert!(spec.status().unwrap().success());
    let file = bundle.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let project = stage.project();
    config["process"]["terminal"] = attack.terminal.into();
    config["process"]["cwd"] = serde_json::json!(project);
    let arguments = std::iter::once(inner.get_program()).chain(inner.get_args());
    config["process"]["args"] = arguments
        .map(|argument| argument.to_string_lossy())
        .collect::<Vec<_>>()
        .into();
    let mounts = config["mounts"].as_array_mut().unwrap();
    for folder in ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"] {
        if std::path::Path::new(folder).exists() {
            let options = ["rbind", "ro", "nosuid"];
            mounts.push(serde_json::json!({"destination": folder, "source": folder, "type": "none", "options": options}));
        }
    }
    mounts.push(serde_json::json!({"destination": "/tmp", "source": "tmpfs", "type": "tmpfs"}));
    let options = ["rbind", "rw", "nosuid"];
    mounts.push(serde_json::json!({"destination": project, "source": project, "type": "none", "options": options}));
    if let Some(mount) = attack.mount {
        let target = project.join(mount);
        mounts.push(serde_json::json!({"destination": target, "source": "tmpfs", "type": "tmpfs"}));
    }
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new("crun");
    let name = stage
        .project()
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_owned();
    command.arg("--root").arg(stage.outside().join("crun"));
    // Its control groups are not those of every machine, and no attack is about them.
    command
        .args(["--cgroup-manager=disabled", "run", "--bundle"])
        .arg(bundle)
        .arg(name);
    command
}
