//! Images in registries, which are served on loopback.

use super::{Layout, cached, caches, command, images, layers, needs_busybox, run, sha256};
use crate::support::{Project, done, finished, is_root, skip};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVER: &str = include_str!("registry.py");

/// A registry that is there as long as this is.
struct Registry {
    process: Child,
    log: PathBuf,
    host: String,
}

impl Registry {
    /// Of the layout `image` of a project.
    fn of(project: &Project, mode: &str) -> Self {
        let program = project.write("registry.py", SERVER);
        let log = project.write(&format!("log-{mode}"), "");
        let mut process = Command::new("python3")
            .arg(program)
            .arg(project.path().join("image"))
            .arg(mode)
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        let host = format!("127.0.0.1:{}", port.trim());
        Self { process, log, host }
    }

    /// What it was asked, and by whom.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    fn rootfs(&self, digest: &str) -> String {
        format!("image = \"registry:{}/a/image:latest@{digest}\"", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is compared, whoever it belongs to.
const LOOK: &str =
    "find bin etc opt 2>/dev/null | sort | while read f; do stat -c '%N %f %h %s %Y' \"$f\"; done";

fn prepared(test: &str) -> Option<(Project, String, String)> {
    if !needs_busybox(test) {
        return None;
    }
    if Command::new("python3").arg("-V").output().is_err() {
        skip(test, "there is no python3");
        return None;
    }
    let project = Project::new();
    let layout = Layout {
        project: &project,
        name: "image",
    };
    let config = r#"{"Env":["COLOUR=red"],"Entrypoint":["/bin/sh","-c"],"Cmd":["echo $COLOUR of the image"]}"#;
    let (manifest, _) = layout.image(&layers(), config);
    let index = std::fs::read(project.path().join("image/index.json")).unwrap();
    Some((project, manifest, sha256(&index)))
}

fn left(project: &Project) -> Vec<String> {
    let folders = ["images", "unpacking", "archives"];
    folders
        .iter()
        .flat_map(|folder| cached(project, folder))
        .collect()
}

#[test]
fn an_image_in_a_registry_is_fetched_by_the_first_run_and_by_nothing_else() {
    let test = "an_image_in_a_registry_is_fetched_by_the_first_run_and_by_nothing_else";
    let Some((project, manifest, index)) = prepared(test) else {
        return;
    };
    let wanted = run(&project, "image = \"image\"", "", LOOK).ok();
    assert_eq!(images(&project, &["prune"]).code, 0);
    for digest in [&manifest, &index] {
        let registry = Registry::of(&project, "open");
        let rootfs = registry.rootfs(digest);
        let profile = format!(
            "[rootfs]\nproject = \"hide\"\n{rootfs}\n[[test]]\nname = \"t\"\ncan_read = [\"/etc/passwd\"]\n"
        );
        project.write("sandbox.toml", &profile);
        let ask = |arguments: &[&str]| {
            let mut program = project.program(arguments);
            done(program.env("XDG_CACHE_HOME", caches(&project)))
        };
        for arguments in [
            &["check", "sandbox.toml"][..],
            &["check", "--host", "sandbox.toml"],
            &["show", "--profile", "sandbox.toml"],
            &["score", "sandbox.toml"],
            &["diff", "sandbox.toml", "default"],
            &["test", "--explain", "sandbox.toml"],
        ] {
            let said = ask(arguments);
            assert_ne!(said.code, 125, "{arguments:?}: {said:?}");
        }
        let why = ask(&["why", "--profile", "sandbox.toml", "read", "/etc/passwd"]);
        assert!(why.fails(125).contains("not unpacked yet"));
        let plan = ask(&["explain", "--profile", "sandbox.toml", "--", "/bin/true"]).ok();
        assert!(plan.contains("   1  fetch registry:127.0.0.1:"), "{plan}");
        assert!(!plan.contains("clone init"), "{plan}");
        assert_eq!(registry.asked(), [""; 0]);
        assert_eq!(run(&project, &rootfs, "", LOOK).ok(), wanted);
        let asked = registry.asked().len();
        // The manifest, and the index before it; the configuration, and three layers.
        assert!(asked == 5 + usize::from(digest == &index));
        assert!(
            registry
                .asked()
                .iter()
                .all(|line| line.ends_with(" nobody"))
        );
        assert_eq!(run(&project, &rootfs, "", LOOK).ok(), wanted);
        assert_eq!(registry.asked().len(), asked);
        drop(registry);
        assert_eq!(run(&project, &rootfs, "", LOOK).ok(), wanted);
        // The same content, whoever names it; and nothing of what was fetched.
        assert_eq!(run(&project, "image = \"image\"", "", LOOK).ok(), wanted);
        assert_eq!(cached(&project, "images").len(), 1);
        assert_eq!(cached(&project, "unpacking"), [""; 0]);
        assert_eq!(images(&project, &["prune"]).code, 0);
        assert_eq!(left(&project), [""; 0]);
    }
}

#[test]
fn credentials_go_to_the_registry_and_to_who_hands_out_its_tokens_alone() {
    let test = "credentials_go_to_the_registry_and_to_who_hands_out_its_tokens_alone";
    let Some((project, manifest, _)) = prepared(test) else {
        return;
    };
    for mode in ["token", "basic", "strangers"] {
        let registry = Registry::of(&project, mode);
        let rootfs = registry.rootfs(&manifest);
        let start = |files: &str| {
            let file = project.write("auth.json", files);
            let mut run = command(&project, &rootfs, "", &["/bin/echo", "here"]);
            run.env("REGISTRY_AUTH_FILE", file);
            run.env("HOME", project.path());
            done(&mut run)
        };
        if mode != "strangers" {
            let said = start("{}").fails(125);
            assert!(said.contains("credentials"), "{said}");
            let others = r#"{"auths":{"127.0.0.1:1":{"auth":"YWRhOndvcmQ="}}}"#;
            assert!(start(others).fails(125).contains("credentials"));
        }
        assert!(registry.asked().iter().all(|line| !line.contains("Basic")));
        assert_eq!(left(&project), [""; 0]);
        let own = match mode {
            "strangers" => "{}".into(),
            _ => format!(
                r#"{{"auths":{{"{}":{{"auth":"YWRhOndvcmQ="}}}}}}"#,
                registry.host
            ),
        };
        assert_eq!(start(&own).ok(), "here\n", "{mode}");
        let asked = registry.asked();
        let token = asked.iter().filter(|line| line.starts_with("/token"));
        let has = |word: &str| asked.iter().any(|line| line.contains(word));
        match mode {
            "token" => {
                assert!(has(
                    "/token?scope=repository:a/image:pull&service=the%20registry Basic"
                ));
                assert!(has("/v2/a/image/blobs/") && has("Bearer let-me"));
                let mut away = asked.iter().filter(|line| line.starts_with("/elsewhere"));
                assert!(has("/elsewhere") && away.all(|line| line.ends_with(" nobody")));
            }
            "basic" => assert_eq!(token.count(), 0),
            _ => assert!(token.count() == 1 && !has("Basic")),
        }
        assert_eq!(images(&project, &["prune"]).code, 0);
    }
}

#[test]
fn what_a_registry_sends_instead_is_refused_and_nothing_is_left() {
    let test = "what_a_registry_sends_instead_is_refused_and_nothing_is_left";
    let Some((project, manifest, index)) = prepared(test) else {
        return;
    };
    let absent = format!("sha256:{}", "5".repeat(64));
    for (mode, digest, more, said) in [
        ("changed", &manifest, "", "is not what its digest says"),
        ("short", &manifest, "", "is truncated"),
        ("cut", &manifest, "", "cannot be fetched"),
        ("long", &manifest, "", "has more than the "),
        (
            "other",
            &index,
            "",
            "the manifest is not what its digest says",
        ),
        ("large", &manifest, "", "has more than 4194304 bytes"),
        ("away", &manifest, "", "http://192.0.2.1/blob is not asked"),
        ("around", &manifest, "", "leads to more than 8 others"),
        ("open", &absent, "", "the registry does not have it"),
        ("open", &manifest, "max_size = \"64K\"", "permits no more"),
    ] {
        let registry = Registry::of(&project, mode);
        let rootfs = format!("{}\n{more}", registry.rootfs(digest));
        let refused = run(&project, &rootfs, "", "echo started").fails(125);
        assert!(refused.contains(said), "{mode}: {refused}");
        // The line is named.
        assert!(refused.contains("sandbox.toml:3"), "{refused}");
        assert_eq!(left(&project), [""; 0], "{mode}");
        if !more.is_empty() {
            assert!(
                registry
                    .asked()
                    .iter()
                    .all(|line| !line.contains("/blobs/"))
            );
        }
    }
    // Nobody is there.
    let rootfs = format!("image = \"registry:127.0.0.1:1/a/image@{manifest}\"");
    let refused = run(&project, &rootfs, "", "true").fails(125);
    assert!(refused.contains("127.0.0.1:1 cannot be asked"), "{refused}");
    assert_eq!(left(&project), [""; 0]);
}

#[test]
fn runs_side_by_side_fetch_once_and_a_killed_one_leaves_nothing() {
    let test = "runs_side_by_side_fetch_once_and_a_killed_one_leaves_nothing";
    let Some((project, manifest, _)) = prepared(test) else {
        return;
    };
    let slow = Registry::of(&project, "slow");
    let begin = |rootfs: &str| -> Child {
        let mut run = command(&project, rootfs, "", &["/bin/echo", "here"]);
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run.spawn().unwrap()
    };
    let mut killed = begin(&slow.rootfs(&manifest));
    let until = Instant::now() + Duration::from_secs(60);
    while !slow.asked().contains(&"half".to_owned()) {
        assert!(Instant::now() < until, "{:?}", slow.asked());
        std::thread::sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(cached(&project, "images"), [""; 0]);
    drop(slow);
    let open = Registry::of(&project, "open");
    let runs: Vec<_> = (0..4).map(|_| begin(&open.rootfs(&manifest))).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(finished(output).ok(), "here\n");
    }
    let mut blobs: Vec<_> = open.asked();
    blobs.retain(|line| line.contains("/blobs/"));
    let all = blobs.len();
    blobs.sort();
    blobs.dedup();
    assert_eq!(blobs.len(), all);
    assert_eq!(cached(&project, "unpacking"), [""; 0]);
}

/// A network with one more address, which has a name, and certificates for it.
const ELSEWHERE: &str = r#"
    set -e
    ip link set lo up
    ip address add 192.0.2.7/32 dev lo
    echo "192.0.2.7 registry.example" >hosts
    mount --bind hosts /etc/hosts
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
    openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=x
    echo subjectAltName=DNS:registry.example >names
    openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
    openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=other -days 2
    cat key.pem cert.pem >both.pem
"#;

#[test]
fn a_registry_elsewhere_is_asked_over_tls_and_has_to_be_who_it_says() {
    let test = "a_registry_elsewhere_is_asked_over_tls_and_has_to_be_who_it_says";
    if !is_root() {
        skip(
            test,
            "only root can make a network with an address of its own",
        );
        return;
    }
    let Some((project, manifest, _)) = prepared(test) else {
        return;
    };
    project.write("registry.py", SERVER);
    let profile = |host: &str| {
        format!("[rootfs]\nproject = \"hide\"\nimage = \"registry:{host}/a/image@{manifest}\"\n")
    };
    project.write("named.toml", profile("registry.example"));
    project.write("numbered.toml", profile("192.0.2.7"));
    project.write("plain.toml", profile("192.0.2.7:80"));
    let script = r#"
        start() { "$SANDBOX" --profile "$1" -- /bin/echo "$1" 2>&1 || echo "code: $?"; }
        python3 registry.py image open log 192.0.2.7 both.pem >port & server=$!
        trap 'kill $server' EXIT
        while [ ! -s port ]; do sleep 0.1; done
        SSL_CERT_FILE=$PWD/other.pem start named.toml
        export SSL_CERT_FILE=$PWD/ca.pem
        echo "-- asked: $(wc -l <log)"
        start numbered.toml
        start plain.toml
        echo "-- asked: $(wc -l <log)"
        start named.toml
        echo "-- asked: $(wc -l <log)"
    "#;
    let log = project.write("log", "");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!(
            "({ELSEWHERE}) >made 2>&1 || {{ cat made; exit 77; }}{script}"
        ))
        .env("SANDBOX", crate::support::program())
        .env("XDG_CACHE_HOME", caches(&project))
        .current_dir(project.path())
        .output()
        .unwrap();
    let said = finished(output).ok();
    let parts: Vec<_> = said.split("-- asked: ").collect();
    let [other, others, right, end] = &parts[..] else {
        panic!("{said}")
    };
    // Nothing is asked of who is not known.
    assert!(other.contains("invalid peer certificate"), "{said}");
    assert!(other.ends_with("code: 125\n"), "{said}");
    assert!(others.starts_with("0\n"), "{said}");
    // The certificate is for the name alone; and no registry elsewhere is asked without one.
    assert!(others.contains("invalid peer certificate"), "{said}");
    assert_eq!(others.matches("code: 125").count(), 2, "{said}");
    assert!(right.starts_with("0\nnamed.toml\n"), "{said}");
    assert_eq!(*end, "5\n", "{said}");
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 5);
}

#[test]
fn a_tag_is_pinned_when_that_is_asked_for() {
    let test = "a_tag_is_pinned_when_that_is_asked_for";
    let Some((project, _, index)) = prepared(test) else {
        return;
    };
    let registry = Registry::of(&project, "open");
    let reference = format!("registry:{}/a/image:latest", registry.host);
    let line = images(&project, &["pin", &reference]).ok();
    assert_eq!(line, format!("image = \"{reference}@{index}\"\n"));
    assert_eq!(registry.asked(), ["/v2/a/image/manifests/latest nobody"]);
    // What the image says is known once it was fetched.
    project.write(
        "sandbox.toml",
        format!("[rootfs]\n{line}image_config = true\nproject = \"hide\"\n"),
    );
    let start = || {
        let mut run = project.program(&["--profile", "sandbox.toml"]);
        done(run.env("XDG_CACHE_HOME", caches(&project)))
    };
    assert_eq!(start().ok(), "red of the image\n");
    drop(registry);
    assert_eq!(start().ok(), "red of the image\n");
    let both = Registry::of(&project, "both");
    let reference = format!("registry:{}/a/image:latest", both.host);
    let refused = images(&project, &["pin", &reference]).fails(125);
    assert!(
        refused.contains("neither an index nor a manifest"),
        "{refused}"
    );
    for (reference, said) in [
        ("registry:127.0.0.1:1/a/image:latest", "cannot be asked"),
        ("debian:12", "names no registry"),
    ] {
        let refused = images(&project, &["pin", reference]).fails(125);
        assert!(refused.contains(said), "{refused}");
    }
}
