//! Sandboxes that run are found, joined and ended by name; whoever joins is confined as the command is.

use crate::live::{HOLD, Live, SWEEPING, eventually, group, has_limits, lives};
use crate::support::{Done, Project, done, is_root, skip};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A project, and a runtime directory that is not in it.
pub struct Place {
    pub project: Project,
    pub runtime: Project,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test has: root's records are all in one folder.
pub fn name() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{number}", std::process::id())
}

impl Place {
    pub fn new() -> Self {
        let runtime = Project::new();
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(runtime.path(), private).unwrap();
        Self {
            project: Project::new(),
            runtime,
        }
    }

    /// The folder of the records.
    pub fn records(&self) -> PathBuf {
        match is_root() {
            true => "/run/sandbox".into(),
            false => self.runtime.path().join("sandbox"),
        }
    }

    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.program(arguments);
        command.env("XDG_RUNTIME_DIR", self.runtime.path());
        command
    }

    pub fn done(&self, arguments: &[&str]) -> Done {
        done(&mut self.program(arguments))
    }

    /// A run under a name, once its command has made the file `ready`.
    pub fn start(&self, name: &str, profile: &str, script: &str) -> Live {
        let ready = self.project.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        self.project.write("sandbox.toml", profile);
        let mut live = Live::spawn(&mut self.program(&["--name", name, "--", "sh", "-c", script]));
        live.await_file(&ready);
        live
    }

    pub fn sweep(&self) -> Done {
        let _alone = SWEEPING.lock().unwrap_or_else(|held| held.into_inner());
        self.done(&["gc"])
    }

    pub fn exec(&self, name: &str, script: &str) -> Done {
        self.done(&["exec", name, "--", "sh", "-c", script])
    }

    /// What `ps` says: name and state of each that the test started.
    pub fn ps(&self, names: &[String], all: bool) -> BTreeSet<(String, String)> {
        let mut arguments = vec!["ps", "--json"];
        arguments.extend(all.then_some("--all"));
        let said = self.done(&arguments).ok();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let rows = said["sandboxes"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        rows.map(|row| (text(&row["name"]), text(&row["state"])))
            .filter(|(name, _)| names.contains(name))
            .collect()
    }
}

pub const PLAIN: &str = "version = 1\n";

/// Settings of each kind that a command has, as far as this caller can have them.
fn confined() -> String {
    let limits = if has_limits() {
        "[limits]\npids = 60\nmemory = \"96M\"\n"
    } else {
        ""
    };
    format!(
        "version = 1\nhostname = \"inside\"\n{limits}[rlimits]\nnofile = 123\n\
         [process]\nnice = 15\numask = \"027\"\noom_score_adj = 500\ncwd = \"/tmp\"\n\
         [environment]\nset = {{ GREETING = \"good day\" }}\n\
         [capabilities]\nkeep = [\"net_bind_service\", \"chown\"]\nambient = [\"net_bind_service\", \"chown\"]\n\
         [seccomp]\nfile = \"app.bpf\"\ndeny = [\"chroot\"]\n"
    )
}

/// The filter that those name.
fn write_filter(place: &Place) {
    let compiled = crate::calls::compiled(libc::SYS_uname, libc::EXDEV);
    place.project.write("app.bpf", compiled);
}

/// What a process says of its own confinement.
const CONFINEMENT: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Cpus_allowed:)' /proc/self/status; \
     cat /proc/self/limits /proc/self/cgroup /proc/self/oom_score_adj /proc/self/uid_map /proc/self/gid_map; \
     env | grep -v ^_= | sort; umask; pwd; hostname; nice; for n in user mnt pid ipc uts net cgroup time; do readlink /proc/self/ns/$n; done; uname; \
     grep -c . /proc/self/mountinfo; ls /proc/self/fd | grep -c .";

#[test]
fn exec_is_confined_as_the_command_is_in_the_same_namespaces() {
    let nested = "version = 1\n[capabilities]\nkeep = [\"sys_admin\", \"net_admin\"]\n";
    for profile in [PLAIN, &confined(), nested] {
        let place = Place::new();
        let name = name();
        write_filter(&place);
        let script = format!("({CONFINEMENT}) 2>&1 >said; {HOLD}");
        // The project is the working directory only where nothing else is asked for.
        let script = format!("cd {}; {script}", place.project.path().display());
        let script = script.replace("pwd;", "");
        let live = place.start(&name, profile, &script);
        let first = std::fs::read_to_string(place.project.path().join("said")).unwrap();
        let there = format!("cd {}; {CONFINEMENT}", place.project.path().display());
        let second = place.exec(&name, &there.replace("pwd;", ""));
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&second.stdout), lines(&first), "{second:?}");
        let refused = second.stderr.contains("Invalid cross-device link");
        assert_eq!(refused, profile.contains("app.bpf"), "{second:?}");
        assert_eq!(second.code, 0, "{second:?}");
        // The numbers are those that the host sees of the command.
        let command = live.command();
        for kind in ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"] {
            let of = std::fs::read_link(format!("/proc/{command}/ns/{kind}"));
            // Of a command that keeps capabilities, a plain user may not look.
            if let Ok(of) = of {
                assert!(
                    second.stdout.contains(of.to_str().unwrap()),
                    "{kind}: {of:?}"
                );
            }
        }
        assert_eq!(live.go(&place.project).code, 0);
    }
}

#[test]
fn exec_starts_where_the_command_does_and_hands_on_its_exit_code() {
    let place = Place::new();
    let name = name();
    let profile = format!("{PLAIN}[process]\ncwd = \"/tmp\"\n");
    let script = format!("cd {}; {HOLD}", place.project.path().display());
    let _live = place.start(&name, &profile, &script);
    assert_eq!(place.exec(&name, "pwd").ok(), "/tmp\n");
    assert_eq!(place.exec(&name, "exit 7").code, 7);
    assert_eq!(place.exec(&name, "kill -9 $$").code, 137);
    let missing = place.done(&["exec", &name, "--", "no-such-program"]);
    assert!(
        missing
            .fails(127)
            .contains("cannot execute `no-such-program`")
    );
    // What the filter refuses, it refuses here.
    let refused = place
        .exec(&name, "unshare -U true 2>/dev/null || echo no")
        .ok();
    assert_eq!(refused, "no\n");
}

#[test]
fn exec_cannot_leave_its_group_nor_use_more_than_the_sandbox_may() {
    let test = "exec_cannot_leave_its_group_nor_use_more_than_the_sandbox_may";
    if !has_limits() {
        return skip(test, "no group is delegated");
    }
    let place = Place::new();
    let name = name();
    let profile = format!("{PLAIN}[limits]\nmemory = \"48M\"\npids = 20\n");
    // A shell that waits would end where it cannot make the next `sleep`.
    let hold = "exec perl -e 'open(F, q(>ready)); close F; select(undef, undef, undef, 0.05) until -e q(go)'";
    let live = place.start(&name, &profile, hold);
    // More processes than there may be.
    let many = place.exec(
        &name,
        "for i in $(seq 40); do sleep 5 >/dev/null 2>&1 & done; wait",
    );
    assert_ne!(many.code, 0, "{many:?}");
    eventually("the sandbox has room again", || {
        place
            .exec(&name, "kill $(ps -o pid= -C sleep) 2>/dev/null; true")
            .code
            == 0
    });
    let bomb = "exec perl -e 'my $x = \"a\" x (400 * 1024 * 1024); print length $x'";
    let done = place.exec(&name, bomb);
    assert_eq!((done.code, done.stdout.as_str()), (137, ""), "{done:?}");
    // On v2 the kernel ends the whole group for want of memory, on v1 one process of it.
    let end = live.go(&place.project);
    assert!(matches!(end.code, 0 | 137), "{end:?}");
}

#[test]
fn execs_side_by_side_all_come_in_and_leave_nothing() {
    let full = std::env::var("SANDBOX_STRESS").is_ok_and(|word| word == "full");
    let many = if full { 100 } else { 20 };
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let children: Vec<_> = (0..many)
        .map(|number| {
            let script = format!("echo {number} $(readlink /proc/self/ns/pid)");
            let mut command = place.program(&["exec", &name, "--", "sh", "-c", &script]);
            let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
            piped.spawn().unwrap()
        })
        .collect();
    let said: BTreeSet<_> = children
        .into_iter()
        .map(|child| crate::support::finished(child.wait_with_output().unwrap()).ok())
        .collect();
    assert_eq!(said.len(), many);
    let inode = said.first().unwrap().split(' ').nth(1).unwrap().to_owned();
    assert!(said.iter().all(|line| line.ends_with(&inode)), "{said:?}");
    // Init, the command, and what that has just started.
    let inside = live.inside();
    assert!(inside.len() <= 3, "{inside:?}");
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn a_joined_command_dies_with_its_own_supervisor_and_with_the_sandbox() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let start = || {
        let _ = std::fs::remove_file(place.project.path().join("joined"));
        let script = format!(
            "touch {}/joined; exec sleep 600",
            place.project.path().display()
        );
        let mut joined =
            Live::spawn(&mut place.program(&["exec", &name, "--", "sh", "-c", &script]));
        joined.await_file(&place.project.path().join("joined"));
        joined
    };
    let mut joined = start();
    eventually("it is one process", || joined.inside().len() == 1);
    let inside = joined.inside();
    joined.kill();
    eventually("the joined command is gone", || !lives(inside[0]));
    assert_eq!(place.exec(&name, "true").code, 0);
    let joined = start();
    assert_eq!(live.go(&place.project).code, 0);
    assert_eq!(joined.done().code, 137);
    let late = place.exec(&name, "true").fails(125);
    assert!(late.contains("SBX0180"), "{late}");
}

#[test]
fn nobody_inside_can_look_into_who_comes_in() {
    let place = Place::new();
    let name = name();
    let profile = format!("{PLAIN}[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n");
    // Whatever is seen of a process that is not one of the files inside.
    let watch = "touch ready; while [ ! -e go ]; do for p in /proc/[0-9]*; do \
                 readlink $p/exe; tr '\\0' ' ' 2>/dev/null <$p/environ | grep -o SECRET=caller; done 2>/dev/null; done | sort -u >seen";
    let live = place.start(&name, &profile, watch);
    for _ in 0..30 {
        let mut command = place.program(&["exec", &name, "--", "true"]);
        assert_eq!(done(command.env("SECRET", "caller")).code, 0);
    }
    assert_eq!(live.go(&place.project).code, 0);
    let seen = std::fs::read_to_string(place.project.path().join("seen")).unwrap();
    assert!(seen.contains("/sh") || seen.contains("/dash"), "{seen}");
    assert!(!seen.contains("SECRET"), "{seen}");
    let program = crate::support::program();
    let program = program.file_name().unwrap().to_str().unwrap();
    assert!(
        !seen
            .lines()
            .any(|line| line.ends_with(&format!("/{program}"))),
        "{seen}"
    );
}

#[test]
fn ps_tells_the_truth_at_once_when_every_second_supervisor_is_killed() {
    let full = std::env::var("SANDBOX_STRESS").is_ok_and(|word| word == "full");
    let place = Place::new();
    // Each holds a key, of which a plain user may have 200 (kernel.keys.maxkeys of keyrings(7)).
    let many = match (full, is_root()) {
        (true, true) => 500,
        (true, false) => 120,
        (false, _) => 8,
    };
    let names: Vec<_> = (0..many).map(|_| name()).collect();
    // So many that look again and again would leave no time for anything else: they read, until nobody can write.
    let hold = place.project.path().join("hold");
    nix::unistd::mkfifo(&hold, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let writer = std::fs::File::options().read(true).write(true).open(&hold);
    let writer = writer.unwrap();
    let mut runs: Vec<_> = names
        .iter()
        .map(|name| place.start(name, PLAIN, "exec <hold; touch ready; exec cat"))
        .collect();
    let with = |state: &str, odd: Option<usize>| -> BTreeSet<(String, String)> {
        let names = names.iter().enumerate();
        let names = names.filter(|(at, _)| odd.is_none_or(|odd| at % 2 == odd));
        names
            .map(|(_, name)| (name.clone(), state.to_owned()))
            .collect()
    };
    assert_eq!(place.ps(&names, false), with("running", None));
    for run in runs.iter_mut().step_by(2) {
        run.kill();
    }
    assert_eq!(place.ps(&names, false), with("running", Some(1)));
    let all = place.ps(&names, true);
    // Whoever starts a run at the same time sweeps too.
    assert!(all.is_superset(&with("running", Some(1))), "{all:?}");
    let gone = place.exec(&names[0], "true").fails(125);
    assert!(
        gone.contains("supervisor was killed")
            || gone.contains("error[SBX0180]: no sandbox is called"),
        "{gone}"
    );
    assert_eq!(place.sweep().code, 0);
    assert_eq!(place.ps(&names, true), with("running", Some(1)));
    let files = std::fs::read_dir(place.records()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    for (at, name) in names.iter().enumerate() {
        let is_there = files
            .iter()
            .any(|file| file.to_str().unwrap().ends_with(&format!("~{name}")));
        assert_eq!(is_there, at % 2 == 1, "{name}");
    }
    // A name that is free can be had again.
    let again = place.done(&["--name", &names[0], "--", "true"]);
    assert_eq!(again.code, 0, "{again:?}");
    drop(writer);
    for run in runs.into_iter().skip(1).step_by(2) {
        assert_eq!(run.done().code, 0);
    }
    assert_eq!(place.ps(&names, true), BTreeSet::new());
}

#[test]
fn a_sandbox_is_waited_for_signalled_and_ended_by_name() {
    let place = Place::new();
    let name = name();
    let script =
        "trap 'echo got >got' USR1; trap 'exit 9' TERM; touch ready; while :; do sleep 0.05; done";
    let live = place.start(&name, PLAIN, script);
    let mut wait = place.program(&["wait", &name]);
    let wait = wait
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(place.done(&["kill", "--signal", "usr1", &name]).ok(), "");
    eventually("the command has the signal", || {
        place.project.path().join("got").exists()
    });
    let bad = place.done(&["kill", "--signal", "SEGV", &name]).fails(125);
    assert!(bad.contains("no signal that a sandbox hands on"), "{bad}");
    eventually("the waiting process has begun", || {
        let held = std::fs::read_dir(format!("/proc/{}/fd", wait.id())).unwrap();
        let mut held = held.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        held.any(|to| to.to_string_lossy().contains("pidfd"))
    });
    // What comes between that and its sleep.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(place.done(&["kill", &name]).ok(), "");
    assert!(place.ps(std::slice::from_ref(&name), true).is_empty());
    assert_eq!(live.done().code, 9);
    let waited = crate::support::finished(wait.wait_with_output().unwrap());
    assert_eq!((waited.code, waited.stderr.as_str()), (9, ""));
    // A command that does not listen is ended, and its record goes.
    let script = "trap '' TERM; touch ready; while :; do sleep 0.05; done";
    let live = place.start(&name, "version = 1\n[limits]\ngrace = \"200ms\"\n", script);
    assert_eq!(place.done(&["kill", &name]).ok(), "");
    assert_eq!(live.done().code, 137);
    let live = place.start(&name, PLAIN, HOLD);
    assert_eq!(place.done(&["kill", "-s", "KILL", &name]).ok(), "");
    assert_eq!(live.done().code, 137);
    assert!(place.ps(&[name], true).is_empty());
}

#[test]
fn names_that_mean_nothing_or_too_much_are_refused_with_a_remedy() {
    let place = Place::new();
    let name = name();
    for arguments in [
        &["exec", "no-such", "--", "true"][..],
        &["kill", "no-such"],
        &["wait", "no-such"],
        &["rm", "no-such"],
    ] {
        let said = place.done(arguments).fails(125);
        assert!(
            said.contains("error[SBX0180]: no sandbox is called")
                && said.contains("sandbox ps --all"),
            "{said}"
        );
    }
    let _live = place.start(&name, PLAIN, HOLD);
    let taken = place.done(&["--name", &name, "--", "true"]).fails(125);
    assert!(
        taken.contains(&format!("the name {name} is taken by")),
        "{taken}"
    );
    assert!(taken.contains("choose another name"), "{taken}");
    let runs = place.done(&["rm", &name]).fails(125);
    assert!(
        runs.contains("still runs") && runs.contains(&format!("sandbox kill {name}")),
        "{runs}"
    );
    for bad in ["../x", "", "a b", "-x", &"x".repeat(65)] {
        let said = place.done(&[&format!("--name={bad}"), "--", "true"]);
        assert_eq!(said.code, 125, "{said:?}");
    }
    // By the beginning of its id.
    let ids = place.done(&["ps"]).ok();
    let line = ids.lines().find(|line| line.contains(&name)).unwrap();
    let id = line.split_whitespace().next().unwrap();
    assert_eq!(place.exec(id, "echo in").ok(), "in\n");
    // Two ids that begin alike; whoever sweeps takes them away.
    let _alone = SWEEPING.lock().unwrap_or_else(|held| held.into_inner());
    let made: Vec<_> = ["fade00000001~", "fade00000002~"]
        .map(|file| place.records().join(file))
        .into();
    for file in &made {
        std::fs::write(file, "").unwrap();
    }
    let several = place.exec("fade0000000", "true");
    for file in &made {
        let _ = std::fs::remove_file(file);
    }
    let several = several.fails(125);
    assert!(
        several.contains("may be any of fade00000001, fade00000002"),
        "{several}"
    );
}

#[test]
fn whatever_lies_in_the_folder_of_records_is_harmless() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let folder = place.records();
    let mut made = Vec::new();
    let mut put = |file: &str| {
        let path = folder.join(file);
        made.push(path.clone());
        path
    };
    let secret = place.project.write("secret", "not to be read");
    std::os::unix::fs::symlink(&secret, put("bad000000001~link")).unwrap();
    nix::unistd::mkfifo(&put("bad000000002~fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let huge = std::fs::File::create(put("bad000000003~huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    std::fs::write(put("bad000000004~half"), "{\"version\":1,\"id\":").unwrap();
    std::fs::create_dir(put("bad000000005~folder")).unwrap();
    // A record that says to be another's.
    let own = std::fs::read_dir(&folder).unwrap();
    let own = own.map(|file| file.unwrap().path());
    let own = own
        .into_iter()
        .find(|path| path.to_str().unwrap().ends_with(&format!("~{name}")));
    std::fs::copy(own.unwrap(), put("bad000000006~copy")).unwrap();
    std::os::unix::net::UnixListener::bind(put("bad000000007~socket")).unwrap();
    if is_root() {
        let path = put("bad000000008~other");
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    }
    let said = place.done(&["ps", "--json"]);
    let all = place.done(&["ps", "--all"]);
    let joined = place.exec("bad", "true");
    let copied = place.exec("bad000000006", "true");
    let swept = place.sweep();
    for path in &made {
        let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
    }
    let said = said.ok();
    assert!(said.contains(&name) && !said.contains("bad0"), "{said}");
    // Those that look like a record that nobody holds are lost runs, and swept.
    assert!(!all.ok().contains("not to be read"));
    joined.fails(125);
    copied.fails(125);
    assert_eq!(swept.code, 0, "{swept:?}");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "not to be read");
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn a_record_of_another_version_is_said_to_be_one() {
    let place = Place::new();
    let name = name();
    // The folder is there once somebody has had a record.
    assert_eq!(place.done(&["--name", &name, "--", "true"]).code, 0);
    let path = place.records().join(format!("0123456789ab~{name}"));
    // Who has it locked is its supervisor.
    let file = std::fs::File::create_new(&path).unwrap();
    let all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&all)).unwrap();
    let states: Vec<_> = [
        "",
        "{\"version\":1",
        "{\"version\":1,\"id\":\"0123456789ab\"}\n",
    ]
    .into_iter()
    .map(|text| {
        nix::unistd::ftruncate(&file, 0).unwrap();
        nix::sys::uio::pwrite(&file, text.as_bytes(), 0).unwrap();
        place.ps(std::slice::from_ref(&name), false)
    })
    .collect();
    let refused = place.exec(&name, "true");
    let kept = place.done(&["rm", &name]);
    std::fs::remove_file(&path).unwrap();
    let is = |state: &str| BTreeSet::from([(name.clone(), state.to_owned())]);
    assert_eq!(states, [is("starting"), is("starting"), is("unknown")]);
    let refused = refused.fails(125);
    assert!(refused.contains("another version of sandbox"), "{refused}");
    assert!(refused.contains("help: "), "{refused}");
    assert!(kept.fails(125).contains("still runs"));
}

#[test]
fn records_are_their_owners_alone() {
    let place = Place::new();
    let name = name();
    let _live = place.start(&name, PLAIN, HOLD);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.records()), 0o700);
    let files = std::fs::read_dir(place.records()).unwrap();
    for file in files.map(|file| file.unwrap().path()) {
        if file.to_str().unwrap().ends_with(&name) {
            assert_eq!(mode(&file), 0o600);
        }
    }
    if is_root() {
        return;
    }
    // A folder of somebody else, one that others may write to, and none.
    let open = Project::new();
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    for (runtime, why) in [
        ("/", "belongs to another user"),
        (open.path().to_str().unwrap(), "others may write to"),
        ("/no-such-folder", "No such file"),
    ] {
        for arguments in [&["ps"][..], &["--record", "--", "true"]] {
            let mut command = place.program(arguments);
            let said = done(command.env("XDG_RUNTIME_DIR", runtime)).fails(125);
            assert!(
                said.contains("error[SBX0182]: ") && said.contains(why),
                "{said}"
            );
            assert!(said.contains("set XDG_RUNTIME_DIR"), "{said}");
        }
    }
    // What others could enter is not used, and not changed.
    let loose = open.path().join("sandbox");
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::create_dir(&loose).unwrap();
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = place.program(&["--record", "--", "true"]);
    let said = done(command.env("XDG_RUNTIME_DIR", open.path())).fails(125);
    assert!(said.contains("is no folder that only its owner"), "{said}");
    assert_eq!(mode(&loose), 0o755);
    // Without a login there is a folder all the same.
    let uid = nix::unistd::geteuid();
    if std::path::Path::new(&format!("/run/user/{uid}")).exists() {
        return;
    }
    let mut command = place.program(&["--record", "--", "true"]);
    done(command.env_remove("XDG_RUNTIME_DIR")).ok();
    let folder = std::path::PathBuf::from(format!("/tmp/sandbox-{uid}"));
    assert_eq!(mode(&folder), 0o700);
}

#[test]
fn exec_explains_what_it_does_and_a_run_without_a_name_keeps_no_record() {
    let place = Place::new();
    let name = name();
    let _live = place.start(&name, PLAIN, HOLD);
    let said = place.done(&["exec", "--explain", &name, "--", "true"]).ok();
    for words in [
        "enter the namespace user:[",
        "hide init: not dumpable",
        "set no_new_privs",
        "install the system call filter",
        "execute true",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let plain = place.done(&["explain", "--", "true"]).ok();
    assert!(!plain.contains("record"), "{plain}");
}

#[test]
fn a_detached_run_goes_on_without_its_caller_and_keeps_what_it_wrote() {
    let place = Place::new();
    let name = name();
    place.project.write("sandbox.toml", PLAIN);
    let script = format!("echo out; echo err >&2; {HOLD}; echo more; exit 5");
    let mut command = place.program(&["--detach", "--name", &name, "--", "sh", "-c", &script]);
    // Its output is read to the end: nothing of the run may hold it open.
    assert_eq!(done(&mut command).ok(), format!("{name}\n"));
    eventually("the command runs", || {
        place.project.path().join("ready").exists()
    });
    // What it wrote is on its way to them.
    eventually("both words are in the logs", || {
        let logs = place.done(&["logs", &name]);
        logs.stdout == "out\n" && logs.stderr == "err\n"
    });
    let running = (name.clone(), "running".to_owned());
    assert_eq!(
        place.ps(std::slice::from_ref(&name), false),
        [running].into()
    );
    assert_eq!(place.exec(&name, "echo in").ok(), "in\n");
    let mut follow = place.program(&["logs", "--follow", &name]);
    let follow = follow
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    place.project.write("go", "");
    assert_eq!(place.done(&["wait", &name]).code, 5);
    let followed = crate::support::finished(follow.wait_with_output().unwrap());
    assert_eq!(followed.stdout, "out\nmore\n");
    // It is remembered until it is forgotten, and its name is not free before.
    let ended = (name.clone(), "ended".to_owned());
    assert_eq!(place.ps(std::slice::from_ref(&name), true), [ended].into());
    let taken = place.done(&["--name", &name, "--", "true"]).fails(125);
    assert!(
        taken.contains("which has ended") && taken.contains("sandbox rm"),
        "{taken}"
    );
    let late = place.exec(&name, "true").fails(125);
    assert!(
        late.contains("error[SBX0181]: ") && late.contains("has ended"),
        "{late}"
    );
    assert_eq!(place.sweep().code, 0);
    assert_eq!(place.done(&["logs", &name]).stdout, "out\nmore\n");
    assert_eq!(place.done(&["rm", &name]).ok(), "");
    let left = std::fs::read_dir(place.records()).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    let ours = left
        .iter()
        .filter(|file| is_root() && file.to_str().unwrap().contains(&name));
    assert!(
        ours.count() == 0 && (is_root() || left.is_empty()),
        "{left:?}"
    );
}

#[test]
fn a_detached_run_that_cannot_start_says_why_to_its_caller() {
    let place = Place::new();
    let name = name();
    place.project.write("sandbox.toml", PLAIN);
    let missing = place.done(&["--detach", "--name", &name, "--", "no-such-program"]);
    assert_eq!(missing.stdout, "");
    assert!(
        missing
            .fails(127)
            .contains("cannot execute `no-such-program`")
    );
    place
        .project
        .write("sandbox.toml", "version = 1\nhostnme = \"x\"\n");
    let wrong = place
        .done(&["--detach", "--name", &name, "--", "true"])
        .fails(125);
    assert!(wrong.contains("SBX0003"), "{wrong}");
    assert!(place.ps(&[name], true).is_empty());
}

#[test]
fn what_a_detached_run_writes_is_bounded() {
    let place = Place::new();
    let name = name();
    place
        .project
        .write("sandbox.toml", "version = 1\n[limits]\noutput = \"64K\"\n");
    let script = "head -c 1000000 /dev/zero | tr '\\0' x";
    let started = place.done(&["--detach", "--name", &name, "--", "sh", "-c", script]);
    assert_eq!(started.code, 0, "{started:?}");
    let code = place.done(&["wait", &name]).code;
    let logs = place.done(&["logs", &name]);
    assert_eq!(logs.stdout.len(), 64 << 10);
    // By default the profile has it cut, and its end is its own; either is said in the log.
    assert!(matches!(code, 0 | 124), "{code}");
    assert!(logs.stderr.contains("output"), "{}", logs.stderr);
    assert_eq!(place.done(&["rm", &name]).code, 0);
    let explained = place.done(&["inspect", &name]).fails(125);
    assert!(explained.contains("SBX0180"), "{explained}");
}

#[test]
fn a_sandbox_is_kept_open_for_many_and_ends_with_all_of_them() {
    let place = Place::new();
    let name = name();
    place.project.write("sandbox.toml", confined());
    write_filter(&place);
    assert_eq!(place.done(&["up", &name]).ok(), format!("{name}\n"));
    let state = |script: &str| place.exec(&name, script).ok();
    // What one leaves, the next one finds.
    state("echo kept >/tmp/left");
    assert_eq!(
        state("cat /tmp/left /proc/sys/kernel/hostname; echo $GREETING; umask"),
        "kept\ninside\ngood day\n0027\n"
    );
    assert_eq!(
        state("grep ^CapEff: /proc/self/status").trim(),
        "CapEff:\t0000000000000401"
    );
    let script = format!(
        "trap 'echo ended >{0}/ended; exit 3' TERM; touch {0}/ready; while :; do sleep 0.05; done",
        place.project.path().display()
    );
    let mut joined = Live::spawn(&mut place.program(&["exec", &name, "--", "sh", "-c", &script]));
    joined.await_file(&place.project.path().join("ready"));
    assert_eq!(place.done(&["down", &name]).ok(), "");
    // It was asked before it was ended.
    assert_eq!(joined.done().code, 3);
    assert!(place.project.path().join("ended").exists());
    assert!(place.ps(std::slice::from_ref(&name), true).is_empty());
    let late = place.exec(&name, "true").fails(125);
    assert!(late.contains("SBX0180"), "{late}");
    // Without a pid namespace of its own, its end would not be that of those inside.
    place.project.write(
        "sandbox.toml",
        "version = 1\n[namespaces]\npid = \"shared\"\n",
    );
    let refused = place.done(&["up", &name]).fails(125);
    assert!(
        refused.contains("needs a pid namespace of its own"),
        "{refused}"
    );
}

#[test]
fn a_sandbox_that_is_kept_open_dies_with_its_supervisor() {
    let place = Place::new();
    let name = name();
    place.project.write("sandbox.toml", PLAIN);
    assert_eq!(place.done(&["up", &name]).code, 0);
    let mut command = place.program(&["exec", &name, "--", "sleep", "600"]);
    let joined = Live::spawn(&mut command);
    eventually("it has come in", || {
        place.exec(&name, "ps ax").stdout.contains("sleep 600")
    });
    let said = place.done(&["inspect", "--json", &name]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let supervisor = said["supervisor"].as_i64().unwrap() as i32;
    let pid = nix::unistd::Pid::from_raw(supervisor);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(joined.done().code, 137);
    eventually("ps knows", || {
        place.ps(std::slice::from_ref(&name), false).is_empty()
    });
    assert_eq!(place.sweep().code, 0);
    assert!(place.ps(&[name], true).is_empty());
}

#[test]
fn inspect_says_what_the_kernel_says() {
    let place = Place::new();
    let name = name();
    write_filter(&place);
    let live = place.start(
        &name,
        &confined(),
        &format!("cd {}; {HOLD}", place.project.path().display()),
    );
    let said = place.done(&["inspect", "--json", &name]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["supervisor"], live.supervisor());
    assert_eq!(said["init"], live.inside()[0]);
    let inside = place
        .exec(
            &name,
            "for n in user mnt pid ipc uts net cgroup time; do readlink /proc/self/ns/$n; done",
        )
        .ok();
    let namespaces = said["namespaces"].as_array().unwrap().iter();
    let shown: Vec<_> = namespaces
        .map(|ns| format!("{}:[{}]", ns["kind"].as_str().unwrap(), ns["inode"]))
        .collect();
    assert_eq!(shown, inside.lines().collect::<Vec<_>>());
    let processes = said["processes"].as_array().unwrap();
    let find = |inside: i64| {
        processes
            .iter()
            .find(|process| process["inside"] == inside)
            .unwrap()
    };
    assert_eq!(find(1)["pid"], live.inside()[0]);
    let command = find(2);
    assert_eq!(command["pid"], live.command());
    assert_eq!(command["capabilities"], "0000000000000401");
    assert_eq!(
        (&command["seccomp"], &command["no_new_privs"]),
        (&2.into(), &true.into())
    );
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", live.command())).unwrap();
    let words: Vec<_> = map.split_whitespace().collect();
    assert_eq!(said["uid_map"][0], words.join(" "));
    assert!(
        said["profile"].as_str().unwrap().contains("sandbox.toml:2"),
        "{said:#}"
    );
    assert!(
        said["plan"].as_str().unwrap().contains("pivot_root"),
        "{said:#}"
    );
    if has_limits() {
        let group = group(live.command(), "pids");
        let tasks = std::fs::read_to_string(group.join("pids.current")).unwrap();
        assert_eq!(said["usage"]["tasks"].to_string(), tasks.trim());
        let stats = place.done(&["stats", "--json", &name]).ok();
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        assert!(stats[0]["memory_bytes"].as_u64().unwrap() > 0, "{stats}");
    }
    let text = place.done(&["inspect", &name]).ok();
    for line in inside.lines() {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(live.go(&place.project).code, 0);
}
