//! What `sandbox why` answers is what happens.

use crate::support::{Project, done};
use std::os::unix::fs::PermissionsExt as _;

/// The answer to a question: whether it is allowed.
#[track_caller]
fn ask(project: &Project, word: &str, about: &str) -> (bool, serde_json::Value) {
    let run = done(&mut project.program(&["why", "--json", "sandbox.toml", word, about]));
    let answer: serde_json::Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    let allowed = answer["allowed"].as_bool().unwrap();
    assert_eq!(run.code, i32::from(!allowed), "{run:?}");
    (allowed, answer)
}

#[test]
fn an_answer_is_what_an_attempt_shows() {
    let project = Project::new();
    let file = |name: &str, mode: u32| {
        let path = project.executable(name, "#!/bin/sh\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let open = file("open", 0o755);
    let closed = file("closed", 0o000);
    let read_only = file("read-only", 0o444);
    let masked = file("masked", 0o644);
    let folder = file("folder/file", 0o644);
    let folder = folder.trim_end_matches("/file").to_owned();
    std::os::unix::fs::symlink("open", project.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/home", project.path().join("out")).unwrap();
    let at = |name: &str| project.path().join(name).to_str().unwrap().to_owned();
    let (link, out) = (at("link"), at("out"));
    let root = at("");
    let root = root.trim_end_matches('/').to_owned();
    let paths = [
        &open,
        &closed,
        &read_only,
        &masked,
        &folder,
        &link,
        &out,
        &root,
        "/",
        "/etc/passwd",
        "/etc/hostname",
        "/etc/shadow",
        "/usr",
        "/usr/bin/env",
        "/bin/sh",
        "/tmp",
        "/var/tmp",
        "/home",
        "/root",
        "/run",
        "/nowhere",
        "/etc/hostname/x",
        "/dev",
        "/dev/null",
        "/dev/full",
        "/dev/shm",
        "/dev/fd",
        "/proc",
        "/proc/self/status",
        "/proc/self/environ",
        "/proc/version",
        "/proc/kallsyms",
        "/proc/sys/kernel/hostname",
        "/opt/copy",
        "/opt/copy/file",
        "/opt/noexec",
        "/sys",
        "/var/lib/dpkg",
    ]
    .map(str::to_owned);
    let calls = [
        "read",
        "mount",
        "clone",
        "clone(0x10000000)",
        "socket(1, 1)",
        "socket(40, 1)",
        "chroot",
        "bpf(5)",
        "bpf(4)",
        "bpf",
        "kill",
        "clone3",
        "ioctl(0, 0x5412)",
    ];
    let variables = ["HOME", "PATH", "CI", "LANG", "AWS_SECRET"];
    let tables = format!(
        "version = 1
[seccomp]
deny = [\"kill\"]
allow = [{{ calls = \"bpf\", when = [{{ arg = 0, is = 5 }}] }}]
[environment]
set = {{ CI = \"1\" }}
unset = [\"LANG\"]
[[mounts]]
type = \"mask\"
target = {masked:?}
[[mounts]]
type = \"bind\"
source = {folder:?}
target = \"/opt/copy\"
[[mounts]]
type = \"bind\"
source = {open:?}
target = \"/opt/noexec\"
noexec = true
"
    );
    let mut profile = format!("{tables}[[test]]\n");
    for key in ["can_read", "can_write", "can_see", "can_execute"] {
        profile.push_str(&format!("{key} = {paths:?}\n"));
    }
    profile.push_str(&format!(
        "can_call = {calls:?}\nenvironment_has = {variables:?}\n"
    ));
    project.write("sandbox.toml", &profile);
    let run = done(&mut project.program(&["test", "sandbox.toml", "--format", "json"]));
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let assertions = report["assertions"].as_array().unwrap();
    assert_eq!(
        assertions.len(),
        4 * paths.len() + calls.len() + variables.len()
    );
    let (mut yes, mut wrong) = (0, Vec::new());
    for assertion in assertions {
        let text = |key: &str| assertion[key].as_str().unwrap();
        let word = match text("key") {
            "can_read" => "read",
            "can_write" => "write",
            "can_see" => "see",
            "can_execute" => "exec",
            "can_call" => "call",
            _ => "env",
        };
        let happened = text("outcome") == "passed";
        let (allowed, answer) = ask(&project, word, text("value"));
        yes += usize::from(allowed);
        // What is not there yet may be made, which no attempt at it shows.
        let new = answer["reason"]
            .as_str()
            .unwrap()
            .contains("can be made in");
        if allowed != happened && !new {
            wrong.push(format!("{answer}: {}", text("happened")));
        }
        assert_eq!(answer["remedy"].is_null(), allowed, "{answer}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(yes > 40, "{yes}");
}

#[test]
fn an_answer_names_the_line_that_decides() {
    let project = Project::new();
    let profile = "version = 1
[seccomp]
deny = [
    \"kill\",
]
[network]
mode = \"none\"
[capabilities]
keep = [\"chown\"]
[environment]
unset = [\"LANG\"]
[rootfs]
project = \"read\"
[[mounts]]
type = \"tmpfs\"
target = \"/opt\"
";
    project.write("sandbox.toml", profile);
    let file = project.path().join("sandbox.toml");
    let file = file.to_str().unwrap();
    for (word, about, allowed, line, remedy) in [
        ("call", "kill", false, 4, "remove \"kill\" from `deny`"),
        (
            "connect",
            "example.com:443",
            false,
            7,
            "[network] mode = \"host\"",
        ),
        (
            "connect",
            "127.0.0.1:80",
            false,
            7,
            "[network] mode = \"host\"",
        ),
        ("capability", "chown", true, 9, ""),
        (
            "capability",
            "CAP_SYS_ADMIN",
            false,
            8,
            "[capabilities] keep = [\"sys_admin\"]",
        ),
        (
            "env",
            "LANG",
            false,
            11,
            "[environment] inherit = [\"LANG\"]",
        ),
        ("write", file, false, 13, "[rootfs] project = \"write\""),
        ("write", "/opt/x", true, 14, ""),
    ] {
        let (is_allowed, answer) = ask(&project, word, about);
        assert_eq!(is_allowed, allowed, "{answer}");
        assert_eq!(answer["line"], line, "{answer}");
        assert_eq!(answer["file"], "sandbox.toml", "{answer}");
        let text = answer["remedy"].as_str().unwrap_or_default();
        assert!(text.starts_with(remedy), "{answer}");
    }
    let (_, answer) = ask(&project, "call", "mount");
    assert_eq!(answer["decided_by"], "default of seccomp.preset");
    let text = done(&mut project.program(&["why", "sandbox.toml", "call", "kill"]));
    assert_eq!(
        text.stdout,
        "denied: call kill: refused with EPERM by seccomp deny \"kill\"\n  \
         decided by: sandbox.toml:4:5\n  \
         to allow it: remove \"kill\" from `deny` under [seccomp]\n"
    );
    for (arguments, said) in [
        (
            &["why", "sandbox.toml", "red", "/x"][..],
            "did you mean `read`?",
        ),
        (
            &["why", "sandbox.toml", "capability", "sys_admn"],
            "did you mean \"sys_admin\"?",
        ),
        (
            &["why", "sandbox.toml", "call", "moumt"],
            "did you mean \"mount\"?",
        ),
    ] {
        let said_so = done(&mut project.program(arguments)).fails(125);
        assert!(said_so.contains(said), "{said_so}");
    }
}

#[test]
fn what_a_network_reaches_is_answered_by_its_mode() {
    let project = Project::new();
    for (network, about, allowed, reason) in [
        (
            "mode = \"user\"",
            "192.0.2.1:443",
            true,
            "what the caller reaches",
        ),
        (
            "mode = \"user\"",
            "example.com:443",
            true,
            "what the caller reaches",
        ),
        ("mode = \"user\"", "127.0.0.1:80", false, "is not reached"),
        ("mode = \"loopback\"", "192.0.2.1:443", false, "no way out"),
        (
            "mode = \"join\"\nnamespace = \"/proc/self/ns/net\"",
            "192.0.2.1:443",
            true,
            "not the sandbox's own",
        ),
    ] {
        let text = format!("version = 1\n[network]\n{network}\n");
        project.write("sandbox.toml", text);
        let run = done(&mut project.program(&["why", "sandbox.toml", "connect", about]));
        // Where a mode cannot be had, nothing is answered.
        if run.code == 125 {
            let said = ["/dev/net/tun", "pasta"]
                .iter()
                .any(|word| run.stderr.contains(word));
            assert!(said, "{run:?}");
            continue;
        }
        assert_eq!(run.code, i32::from(!allowed), "{network} {about}: {run:?}");
        assert!(run.stdout.contains(reason), "{network} {about}: {run:?}");
    }
}
