//! The doctor: what it says is what a run meets. Each test builds a real obstacle around it, in
//! namespaces that go away with the test, and asks what is in the way.

use crate::support::{
    Done, Project, copy_program, done, finished, install, is_root, program, skip,
};
use crate::traces::groups_of;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// What doctor said in JSON.
struct Report {
    code: i32,
    json: Value,
}

impl Report {
    #[track_caller]
    fn of(done: &Done) -> Self {
        let json =
            serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        let report = Self {
            code: done.code,
            json,
        };
        // The verdict, the exit code and the reasons never contradict each other.
        let can_run = report.json["can_run"].as_bool().unwrap();
        assert_eq!(report.code, if can_run { 0 } else { 125 }, "{done:?}");
        assert_eq!(can_run, report.problems().is_empty(), "{done:?}");
        report
    }

    fn problems(&self) -> &[Value] {
        self.json["problems"].as_array().unwrap()
    }

    /// Every mechanism with its state.
    fn states(&self) -> BTreeMap<&str, &str> {
        let lines = self.json["mechanisms"].as_array().unwrap().iter();
        lines
            .map(|line| {
                let word = |key: &str| line[key].as_str().unwrap();
                (word("mechanism"), word("state"))
            })
            .collect()
    }

    /// What is in the way of a mechanism, and the remedy.
    #[track_caller]
    fn blocked(&self, mechanism: &str) -> (String, String) {
        let lines = self.json["mechanisms"].as_array().unwrap();
        let line = lines
            .iter()
            .find(|line| line["mechanism"] == mechanism)
            .unwrap_or_else(|| panic!("no {mechanism} in {:#}", self.json));
        let state = line["state"].as_str().unwrap();
        assert!(
            matches!(state, "blocked" | "missing"),
            "{mechanism}: {:#}",
            self.json
        );
        let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (word("detail"), word("remedy"))
    }
}

/// Asks about a profile, from within a shell script that builds the obstacle and ends with "$@".
fn behind(project: &Project, outer: &[&str], script: &str, profile: Option<&str>) -> Report {
    Report::of(&behind_any(project, outer, script, profile))
}

fn behind_any(project: &Project, outer: &[&str], script: &str, profile: Option<&str>) -> Done {
    let mut command = Command::new(outer[0]);
    command.args(&outer[1..]);
    command.args(["sh", "-c", &format!("set -e\n{script}"), "sh"]);
    command.arg(program());
    command.args(["doctor", "--format", "json"]);
    if let Some(profile) = profile {
        project.write("sandbox.toml", profile);
        command.args(["--profile", "sandbox.toml"]);
    }
    done(command.current_dir(project.path()).stdin(Stdio::null()))
}

/// A mount namespace of the test's own, for root and for a plain user.
fn own_mounts() -> &'static [&'static str] {
    if is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--user", "--map-root-user", "--mount"]
    }
}

#[track_caller]
fn run_fails_as_doctor_says(report: &Report, run: &Done) {
    assert_eq!(run.code, 125, "{run:?}");
    let message = report.problems()[0]["message"].as_str().unwrap();
    // The last words are the cause; the plans are as long as the command's name.
    let cause = message.rsplit(": ").next().unwrap();
    assert!(run.stderr.contains(cause), "{message}: {run:?}");
}

#[test]
fn doctor_and_a_run_agree_where_nothing_is_in_the_way() {
    let project = Project::new();
    project.run("version = 1", "true").ok();
    let report = behind(&project, &["env"], "exec \"$@\"", Some("version = 1"));
    assert_eq!(report.code, 0, "{:#}", report.json);
    let wrong: Vec<_> = report
        .states()
        .into_iter()
        .filter(|(_, state)| matches!(*state, "blocked" | "missing"))
        .collect();
    assert_eq!(wrong, []);
    assert_eq!(report.states()["user-namespace"], "ok");
}

#[test]
fn doctor_names_only_what_a_profile_needs() {
    let project = Project::new();
    let profile = "[namespaces]\ntime = \"shared\"\n[network]\nmode = \"host\"\n[seccomp]\npreset = \"off\"\n";
    let report = behind(&project, &["env"], "exec \"$@\"", Some(profile));
    let states = report.states();
    for needed in [
        "kernel",
        "user-namespace",
        "mount-api",
        "pivot-root",
        "fresh-proc",
    ] {
        assert!(states.contains_key(needed), "{needed}: {states:?}");
    }
    for other in [
        "time-namespace",
        "net-namespace",
        "seccomp",
        "cgroups",
        "cgroup-pids",
        "pasta",
    ] {
        assert!(!states.contains_key(other), "{other}: {states:?}");
    }
    let limits = "[limits]\npids = 50\n[enforce]\nlimits = \"prefer\"\n";
    let report = behind(&project, &["env"], "exec \"$@\"", Some(limits));
    let states = report.states();
    assert!(states.contains_key("cgroup-pids"), "{states:?}");
    assert!(!states.contains_key("cgroup-memory"), "{states:?}");
    // Whoever goes on without them can run.
    assert_eq!(report.code, 0, "{:#}", report.json);
}

#[test]
fn doctor_without_a_profile_names_everything_once() {
    let project = Project::new();
    let report = behind(&project, &["env"], "exec \"$@\"", None);
    let names = report.json["mechanisms"].as_array().unwrap();
    assert_eq!(names.len(), sandbox::host::probe::Mechanism::ALL.len());
    assert_eq!(names.len(), report.states().len());
    assert_eq!(report.json["profile"], "built-in:default.toml");
    for line in names {
        let (state, remedy) = (line["state"].as_str().unwrap(), &line["remedy"]);
        let words = ["ok", "limited", "blocked", "missing", "unused"];
        assert!(words.contains(&state), "{line}");
        assert_eq!(remedy.is_null(), matches!(state, "ok" | "unused"), "{line}");
    }
}

#[test]
fn doctor_names_the_limit_that_permits_no_user_namespace() {
    let project = Project::new();
    let outer = ["unshare", "--user", "--map-root-user"];
    let script = "echo 0 >/proc/sys/user/max_user_namespaces\nexec \"$@\"";
    let report = behind(&project, &outer, script, Some("version = 1"));
    assert_eq!(report.code, 125);
    let (blocker, remedy) = report.blocked("user-namespace");
    assert_eq!(
        blocker,
        "user.max_user_namespaces is 0: no such namespace may be made"
    );
    assert!(remedy.starts_with("sudo sysctl -w user.max_user_namespaces="));
    let (blocker, _) = report.blocked("namespace-limits");
    assert!(blocker.contains("user.max_user_namespaces"), "{blocker}");
    let (blocker, _) = report.blocked("fresh-proc");
    assert!(blocker.ends_with("see user-namespace"), "{blocker}");
}

/// A filter that answers like Docker's: it knows no clone3.
#[test]
fn doctor_names_the_filter_that_knows_no_clone3() {
    let project = Project::new();
    let run = sandboxed(&project, "[seccomp]\npreset = \"default\"", "version = 1");
    let report = Report::of(&run);
    assert_eq!(report.code, 125);
    let (blocker, remedy) = report.blocked("user-namespace");
    assert!(
        blocker.starts_with("a system call filter around this process refuses clone3"),
        "{blocker}"
    );
    assert!(
        remedy.contains("seccomp profile that allows clone3, unshare"),
        "{remedy}"
    );
}

/// One call of the set-up after the other.
#[test]
fn doctor_names_the_call_that_a_filter_refuses() {
    let project = Project::new();
    for (call, mechanism) in [
        ("unshare", "cgroup-namespace"),
        ("mount", "mount-namespace"),
        ("fsopen", "mount-api"),
        ("open_tree", "mount-api"),
        ("move_mount", "mount-api"),
        ("mount_setattr", "mount-api"),
        ("pivot_root", "pivot-root"),
    ] {
        let outer = format!("[seccomp]\npreset = \"off\"\ndeny = [\"{call}\"]");
        let report = Report::of(&sandboxed(&project, &outer, "version = 1"));
        let (blocker, _) = report.blocked(mechanism);
        assert!(
            blocker.starts_with(&format!(
                "a system call filter around this process refuses {call} "
            )),
            "{call}: {blocker}"
        );
        assert_eq!(report.states()["user-namespace"], "ok", "{call}");
    }
    let outer = "[seccomp]\npreset = \"off\"\ndeny = [\"seccomp\"]";
    let (blocker, remedy) =
        Report::of(&sandboxed(&project, outer, "version = 1")).blocked("seccomp");
    assert!(blocker.contains("permits no further one"), "{blocker}");
    assert!(
        remedy.contains("allows seccomp;") || remedy.contains("allows seccomp ("),
        "{remedy}"
    );
}

/// A filter that does not answer but kills: the doctor lives.
#[test]
fn doctor_survives_a_filter_that_kills() {
    const NAME: &str = "doctor_survives_a_filter_that_kills";
    let project = Project::new();
    let filter = filter(libc_number("clone3"), 0x8000_0000);
    let path = project.write("filter", filter);
    let script = format!(
        "exec bwrap --dev-bind / / --seccomp 9 \"$@\" 9<{}",
        path.display()
    );
    if done(Command::new("bwrap").args(["--dev-bind", "/", "/", "true"])).code != 0 {
        return skip(NAME, "bwrap is missing or makes no sandbox here");
    }
    let told = behind_any(&project, &["env"], &script, None);
    assert_eq!(told.code, 125, "{told:?}");
    let (blocker, _) = Report::of(&told).blocked("user-namespace");
    assert!(blocker.contains("kills for it"), "{blocker}");
}

/// BPF: load the number of the call; if it is this one, this action; else allow.
fn filter(call: u32, action: u32) -> Vec<u8> {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([jt, jf]);
        bytes.extend(k.to_ne_bytes());
        bytes
    };
    const ALLOW: u32 = 0x7fff_0000;
    [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, call),
        instruction(0x06, 0, 0, action),
        instruction(0x06, 0, 0, ALLOW),
    ]
    .concat()
}

fn libc_number(call: &str) -> u32 {
    call.parse::<syscalls::Sysno>().unwrap().id() as u32
}

/// Runs doctor in a sandbox of the first profile, about the second.
fn sandboxed(project: &Project, outer: &str, inner: &str) -> Done {
    // Where the program lies may not be visible inside; the project is.
    copy_program(&project.path().join("doctor"));
    project.write("inner.toml", inner);
    let doctor = "./doctor doctor --format json --profile inner.toml";
    // Without the preset, what doctor finds is to be about one thing, and not about a limit on namespaces.
    let nested = match outer.contains("preset = \"off\"") {
        true => "[namespaces]\nnested_user = true\n",
        false => "",
    };
    let outer = format!("{outer}\n{nested}");
    done(&mut project.script(&outer, doctor))
}

#[test]
fn doctor_names_what_covers_proc() {
    let project = Project::new();
    let script = "mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        mount -t tmpfs none /proc/acpi || mount -t tmpfs none /proc/fs
        exec \"$@\"";
    let report = behind(&project, own_mounts(), script, Some("version = 1"));
    if report.states()["fresh-proc"] == "ok" {
        if !is_root() {
            // The namespace around the obstacle is another one.
            report.blocked("caller");
        } else {
            let script = format!("set -e\n{}", script.replace("$@", "$0"));
            let script = format!("{script} --profile sandbox.toml -- true");
            let mut run = Command::new(own_mounts()[0]);
            run.args(&own_mounts()[1..]).args(["sh", "-c", &script]);
            let run = done(run.arg(program()).current_dir(project.path()));
            assert_eq!(run.code, 0, "{run:?}");
        }
        return skip(
            "doctor_names_what_covers_proc",
            "this kernel shows a new proc whatever covers the old one",
        );
    }
    let (blocker, remedy) = report.blocked("fresh-proc");
    assert!(
        blocker.starts_with("/proc is covered in part (/proc/sys, /proc/"),
        "{blocker}"
    );
    assert!(
        remedy.contains("systempaths=unconfined")
            || remedy.contains("unmask=ALL")
            || remedy.contains("Unmasked"),
        "{remedy}"
    );
    let message = report.problems()[0]["message"].as_str().unwrap();
    assert!(message.contains("mount proc on /proc"), "{message}");
}

#[test]
fn doctor_works_where_proc_does_not_show_it() {
    let project = Project::new();
    let script = "mount -t tmpfs none /proc\nexec \"$@\"";
    let report = behind(&project, own_mounts(), script, Some("version = 1"));
    assert_eq!(report.code, 125);
    let (blocker, remedy) = report.blocked("proc");
    assert!(blocker.starts_with("/proc is not mounted"), "{blocker}");
    assert_eq!(remedy, "mount it: mount -t proc proc /proc");
    assert_eq!(report.problems()[0]["message"], "/proc is not mounted here");
}

/// As in a container that drops capabilities: whether such a root can run depends on the profile.
#[test]
fn doctor_names_a_root_without_the_rights_of_root() {
    const NAME: &str = "doctor_names_a_root_without_the_rights_of_root";
    if !is_root() {
        return skip(NAME, "only root can be without its rights");
    }
    let project = Project::new();
    let outer = [
        "setpriv",
        "--bounding-set=-sys_admin,-setuid,-setgid",
        "--inh-caps=-all",
    ];
    let report = behind(&project, &outer, "exec \"$@\"", Some("version = 1"));
    assert_eq!(report.code, 125);
    assert_eq!(report.states()["caller"], "limited");
    let message = report.problems()[0]["message"].as_str().unwrap();
    assert!(
        message.contains("uid 0 is never mapped by default"),
        "{message}"
    );
}

/// A plain user's own user namespace makes a root that may not set groups, nor may what is below.
#[test]
fn doctor_names_the_namespace_that_denies_setgroups() {
    let project = Project::new();
    let outer = ["unshare", "--user", "--map-root-user"];
    let report = behind(&project, &outer, "exec \"$@\"", Some("version = 1"));
    // A plain user keeps the groups, as everywhere; root has more than one id to give up.
    assert_eq!(report.code, if is_root() { 125 } else { 0 });
    let (blocker, _) = report.blocked("caller");
    assert!(blocker.ends_with("denies setgroups(2)"), "{blocker}");
}

#[test]
fn doctor_names_the_place_of_a_limit_that_cannot_be_had() {
    let project = Project::new();
    let profile = "version = 1\n\n[limits]\npids = 50\n";
    let report = if is_root() {
        let script = "for m in /sys/fs/cgroup /sys/fs/cgroup/pids; do
            mount -o remount,bind,ro $m 2>/dev/null || true
        done
        exec \"$@\"";
        behind(&project, own_mounts(), script, Some(profile))
    } else {
        behind(&project, &["env"], "exec \"$@\"", Some(profile))
    };
    if report.code == 0 {
        return skip(
            "doctor_names_the_place_of_a_limit_that_cannot_be_had",
            "a group is delegated, so that nothing is in the way",
        );
    }
    let (blocker, _) = report.blocked("cgroup-pids");
    let words = if is_root() {
        "is read-only"
    } else {
        "may not be written by this user"
    };
    assert!(blocker.contains(words), "{blocker}");
    let [problem] = report.problems() else {
        panic!("{:#}", report.json)
    };
    assert_eq!(problem["code"], "SBX0100");
    assert_eq!(problem["place"], "sandbox.toml:4");
    assert!(!problem["help"].is_null());
}

/// Without newuidmap, with one that has lost its setuid bit, and under no_new_privs.
#[test]
fn doctor_names_what_is_wrong_with_newuidmap() {
    const NAME: &str = "doctor_names_what_is_wrong_with_newuidmap";
    if !is_root() {
        return skip(
            NAME,
            "only root can hide a program of the system and become another user",
        );
    }
    let project = Project::new();
    let own = project.path().join("doctor");
    copy_program(&own);
    let tool = |name: &str| {
        let found = ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(name));
        let found = found.iter().find(|path| path.exists()).unwrap().clone();
        install(&found, Stdio::null(), &project.path().join(name));
    };
    tool("setpriv");
    project.write("auto.toml", "[user]\nuid_map = \"auto\"\n");
    let asked = |hide: &str, more: &str| {
        let script = format!(
            "set -e\n{hide}\nexec ./setpriv --reuid=54321 --regid=54321 --clear-groups {more} ./doctor doctor --format json --profile auto.toml"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        Report::of(&done(command.current_dir(project.path())))
    };
    let (blocker, remedy) = asked("mount -t tmpfs none /usr/bin", "").blocked("subordinate-ids");
    assert!(
        blocker.starts_with("newuidmap is not installed"),
        "{blocker}"
    );
    assert!(remedy.contains("package `uidmap`"), "{remedy}");

    let plain = "cp /bin/true plain; chmod 755 plain; mount --bind plain /usr/bin/newuidmap";
    let (blocker, remedy) = asked(plain, "").blocked("subordinate-ids");
    assert_eq!(
        blocker,
        "/usr/bin/newuidmap is neither setuid root nor has cap_setuid"
    );
    assert!(
        remedy.starts_with("sudo setcap cap_setuid=ep /usr/bin/newuidmap"),
        "{remedy}"
    );

    let (blocker, _) = asked("", "--no-new-privs").blocked("subordinate-ids");
    assert!(blocker.contains("no_new_privs"), "{blocker}");

    let (blocker, remedy) = asked("", "").blocked("subordinate-ids");
    assert_eq!(blocker, "/etc/subuid gives uid 54321 no range of ids");
    assert!(remedy.contains("usermod --add-subuids"), "{remedy}");
}

#[test]
fn doctor_tells_a_chroot_and_the_setting_of_debian_apart() {
    const NAME: &str = "doctor_tells_a_chroot_and_the_setting_of_debian_apart";
    if !is_root() {
        return skip(NAME, "only root can make a chroot");
    }
    let project = Project::new();
    let root = project.path().join("root");
    for folder in ["proc", "dev"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    copy_program(&root.join("doctor"));
    let asked = |more: &str| {
        let script = format!(
            "set -e
            mount -t proc proc root/proc
            mount --rbind /dev root/dev
            {more}
            exec chroot --userspec=54321:54321 root /doctor doctor --format json --profile /profile.toml"
        );
        std::fs::write(root.join("profile.toml"), "version = 1").unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        Report::of(&done(command.current_dir(project.path())))
    };
    let (blocker, _) = asked("").blocked("user-namespace");
    assert!(
        blocker.starts_with("this process is in a chroot"),
        "{blocker}"
    );
    // The refusal is the chroot's; the setting, which this kernel need not have, is more certain.
    let debian = "mount -t tmpfs none root/proc/sys/kernel
        echo 0 >root/proc/sys/kernel/unprivileged_userns_clone";
    let (blocker, remedy) = asked(debian).blocked("user-namespace");
    assert!(
        blocker.starts_with("kernel.unprivileged_userns_clone is 0"),
        "{blocker}"
    );
    assert!(
        remedy.starts_with("sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        "{remedy}"
    );
}

/// Ubuntu's restriction lets a user namespace be made in which nothing may be done. Here a filter
/// takes the place of AppArmor, and a file that of its setting.
#[test]
fn doctor_prints_the_profile_that_apparmor_asks_for() {
    let project = Project::new();
    let outer = r#"
        [seccomp]
        preset = "off"
        deny = ["prctl"]

        [[mounts]]
        type = "tmpfs"
        target = "/proc/sys/kernel"

        [[mounts]]
        type = "file"
        target = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
        contents = "1\n"
    "#;
    let report = Report::of(&sandboxed(&project, outer, "version = 1"));
    let (blocker, remedy) = report.blocked("user-namespace");
    assert!(
        blocker.contains("kernel.apparmor_restrict_unprivileged_userns is 1"),
        "{blocker}"
    );
    let program = project.path().join("doctor");
    let remedy = remedy.replace(program.to_str().unwrap(), "[program]");
    let expected = "\
give this program, and no other, a profile that allows it:
sudo tee /etc/apparmor.d/sandbox <<'END'
abi <abi/4.0>,
include <tunables/global>
profile sandbox \"[program]\" flags=(unconfined) {
  userns,
  include if exists <local/sandbox>
}
END
sudo apparmor_parser -r /etc/apparmor.d/sandbox
(on a machine that is thrown away, such as a CI runner, this is enough: \
sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)";
    assert_eq!(remedy, expected);
}

/// The trial of the plan makes what a run makes, and takes it away again.
#[test]
fn doctor_leaves_nothing_behind_and_runs_nothing() {
    let project = Project::new();
    let profile = "
        [limits]
        pids = 50

        [enforce]
        limits = \"prefer\"

        [[mounts]]
        type = \"tmpfs\"
        target = \"${PROJECT}/missing\"
    ";
    project.write("sandbox.toml", profile);
    let marker = project.path().join("started");
    let arguments = [
        "doctor",
        "--profile",
        "sandbox.toml",
        "--",
        "touch",
        marker.to_str().unwrap(),
    ];
    let child = project
        .program(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let told = finished(child.wait_with_output().unwrap());
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout
            .ends_with("\nthe profile sandbox.toml can run here\n"),
        "{told:?}"
    );
    assert!(!marker.exists(), "the command ran");
    let left: Vec<_> = std::fs::read_dir(project.path())
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(groups_of(pid), Vec::<std::path::PathBuf>::new());
}

/// `strict` shows the files of its command only.
#[test]
fn doctor_is_told_the_command_where_the_profile_depends_on_it() {
    let project = Project::new();
    let asked = |command: &[&str]| {
        let mut all = vec!["doctor", "--profile", "strict", "--"];
        all.extend(command);
        done(&mut project.program(&all))
    };
    assert_eq!(asked(&["cat"]).code, 0);
    let told = asked(&["no-such-program"]);
    assert_eq!(told.code, 125);
    assert!(
        told.stderr
            .contains("there is no program `no-such-program`"),
        "{told:?}"
    );
}

/// What `sandbox` says of a failed step leads to what doctor says.
#[test]
fn an_error_that_sends_people_to_doctor_is_explained_there() {
    let project = Project::new();
    copy_program(&project.path().join("doctor"));
    let run = project.run("version = 1", "./doctor --profile default -- true");
    assert_eq!(run.code, 125);
    assert!(
        run.stderr.contains("`sandbox doctor` says which"),
        "{run:?}"
    );
    let report = Report::of(&sandboxed(&project, "version = 1", "version = 1"));
    run_fails_as_doctor_says(&report, &run);
    report.blocked("user-namespace");
}
