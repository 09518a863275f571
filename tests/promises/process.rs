//! How the command runs, what it gets from the caller, and that it takes everything along.

use crate::live::{HOLD, Live, bearing, eventually, lives};
use crate::support::{Project, done, is_root, program, skip};
use nix::sys::signal::Signal;
use std::process::Command;

#[test]
fn the_environment_is_clean_but_for_what_is_declared() {
    let project = Project::new();
    let run = |tables: &str| {
        let profile = format!("version = 1\n{tables}");
        let mut command = project.command(&profile, &["env"]);
        let callers = [
            ("HOME", "/home/somebody"),
            ("PATH", "/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
            ("LC_TIME", "C"),
            ("SECRET_TOKEN", "hidden"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("LD_PRELOAD", "/nowhere.so"),
            ("KEEP_ONE", "1"),
            ("KEEP_TWO", "2"),
        ];
        let output = done(command.env_clear().envs(callers));
        assert_eq!(output.code, 0, "{output:?}");
        let mut lines: Vec<_> = output.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let clean = [
        "HOME=/home/somebody",
        "LANG=C.UTF-8",
        "LC_TIME=C",
        "PATH=/usr/bin:/bin",
        "TERM=dumb",
    ];
    assert_eq!(run(""), clean);
    let table = "[environment]\ninherit = [\"KEEP_*\", \"ABSENT\"]\nset = { CI = \"a b\", TERM = \"vt100\" }\nunset = [\"LC_*\", \"KEEP_TWO\"]";
    let declared = [
        "CI=a b",
        "HOME=/home/somebody",
        "KEEP_ONE=1",
        "LANG=C.UTF-8",
        "PATH=/usr/bin:/bin",
        "TERM=vt100",
    ];
    assert_eq!(run(table), declared);
}

#[test]
fn no_process_inside_holds_a_secret_of_the_callers() {
    let project = Project::new();
    // Root inside, with everything that a profile can grant it.
    let strong =
        "[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"";
    for tables in ["", strong] {
        let script = format!(
            "tr -d '\\0' < /proc/1/cmdline; echo; cat /proc/1/comm
            for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/1/mem; do
                grep -qa 'token-of''-the-caller' $file 2>/dev/null && echo \"$file\"
            done
            {HOLD}"
        );
        let mut command = project.script(&format!("version = 1\n{tables}"), &script);
        command.env("SECRET", "token-of-the-caller");
        let _ = std::fs::remove_file(project.path().join("ready"));
        let _ = std::fs::remove_file(project.path().join("go"));
        let mut live = Live::spawn(&mut command);
        live.await_file(&project.path().join("ready"));
        // Root of the host can read init's, and finds nothing either.
        if is_root() {
            for pid in live.inside() {
                // What the shell runs at the moment may end while it is looked at.
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&environ).contains("token-of-the-caller"));
            }
        }
        assert_eq!(live.go(&project).ok(), "sandbox-init\nsandbox-init\n");
    }
}

#[test]
fn init_shows_its_descriptors_and_memory_to_nobody_inside() {
    let project = Project::new();
    let strong =
        "[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"";
    for tables in ["", strong] {
        let script =
            "for file in environ mem maps; do cat /proc/1/$file >/dev/null 2>&1 && echo $file; done
            ls /proc/1/fd >/dev/null 2>&1 && echo fd
            ls /proc/1/root/ >/dev/null 2>&1 && echo root
            true";
        assert_eq!(
            project.run(&format!("version = 1\n{tables}"), script).ok(),
            ""
        );
    }
}

#[test]
fn no_descriptor_of_the_callers_is_inherited() {
    let project = Project::new();
    project.write("sandbox.toml", "version = 1");
    for init in ["true", "false"] {
        project.write(
            "sandbox.toml",
            format!("version = 1\n[process]\ninit = {init}"),
        );
        let script = "exec 5</ 7>leaked 9</etc/passwd; exec \"$0\" --profile sandbox.toml -- sh -c 'ls /proc/$$/fd'";
        let mut outer = Command::new("sh");
        outer
            .args(["-c", script])
            .arg(program())
            .current_dir(project.path());
        outer.stdin(std::process::Stdio::null());
        assert_eq!(done(&mut outer).ok(), "0\n1\n2\n");
    }
}

#[test]
fn umask_nice_score_and_directory_are_the_declared_ones() {
    let project = Project::new();
    let script = "umask; nice; cat /proc/self/oom_score_adj; pwd";
    let table = "[process]\numask = \"027\"\nnice = 11\noom_score_adj = 500\ncwd = \"/usr/bin\"";
    let run = project.run(&format!("version = 1\n{table}"), script);
    assert_eq!(run.ok(), "0027\n11\n500\n/usr/bin\n");
    let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let nice = done(&mut Command::new("nice")).ok();
    let default = project.run("version = 1", script).ok();
    assert_eq!(
        default,
        format!("0022\n{nice}{score}{}\n", project.path().display())
    );
}

#[test]
fn a_directory_that_is_not_inside_stops_the_run_with_its_line() {
    let project = Project::new();
    let run = project.run("version = 1\n[process]\ncwd = \"/nowhere\"", "echo ran");
    assert_eq!(run.stdout, "");
    let words = run.fails(125);
    assert!(
        words.contains("sandbox.toml:3:") && words.contains("help: "),
        "{words}"
    );
}

#[test]
fn the_session_is_new_or_the_callers_as_declared() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        let why = "script(1) is not installed: there is no terminal to be had";
        return skip("the_session_is_new_or_the_callers_as_declared", why);
    }
    let project = Project::new();
    // Below a terminal of the caller's own.
    let run = |session: &str| {
        project.write(
            "sandbox.toml",
            format!("version = 1\n[process]\nterminal = \"caller\"\nsession = \"{session}\""),
        );
        let inner = "( : < /dev/tty ) 2>/dev/null && echo terminal || echo none";
        let line = format!(
            "{} --profile sandbox.toml -- sh -c '{inner}'",
            program().display()
        );
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .current_dir(project.path());
        command.stdin(std::process::Stdio::null());
        done(&mut command).stdout.replace('\r', "")
    };
    assert!(run("new").ends_with("none\n"), "{}", run("new"));
    assert!(run("inherit").ends_with("terminal\n"), "{}", run("inherit"));
    let stat = "cut -d' ' -f6,7 /proc/$$/stat";
    let own = project.run("version = 1", stat).ok();
    assert_eq!(
        own, "1 0\n",
        "init leads the session, and there is no terminal"
    );
}

#[test]
fn without_an_init_the_command_is_pid_1() {
    let project = Project::new();
    let profile = "version = 1\n[process]\ninit = false";
    assert_eq!(project.run(profile, "echo $$").ok(), "1\n");
    assert_eq!(
        project.run("version = 1", "echo $$; echo $PPID").ok(),
        "2\n1\n"
    );
    assert_eq!(project.run(profile, "exit 3").fails(3), "");
    // Its daemons go with it too.
    let word = format!("sandbox-test-daemon-{}-pid1", std::process::id());
    let script = format!("setsid sh -c 'sleep 300; : {word}' >/dev/null 2>&1 & touch ready");
    project.run(profile, &script).ok();
    assert_eq!(bearing(&word), Vec::<u32>::new());
}

#[test]
fn orphans_are_reaped() {
    let project = Project::new();
    let fork = "
import os, time
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0: time.sleep(0.1)
        os._exit(0)
    os.waitpid(pid, 0)
def others():
    return [p for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())]
end = time.monotonic() + 20
while others() and time.monotonic() < end: time.sleep(0.05)
print(others())";
    let run = |profile: &str| done(&mut project.command(profile, &["python3", "-c", fork])).ok();
    assert_eq!(run("version = 1"), "[]\n");
}

#[test]
fn signals_to_the_supervisor_reach_the_command() {
    let project = Project::new();
    for tables in ["", "[process]\nsession = \"inherit\"", SHARED_PID] {
        let names = [
            "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "TSTP", "CONT", "TERM",
        ];
        let traps: String = names
            .iter()
            .map(|n| format!("trap 'touch got-{n}' {n}; "))
            .collect();
        let script =
            format!("{traps} touch ready; while ! [ -e got-TERM ]; do sleep 0.05; done; exit 7");
        let mut live = Live::script(&project, &format!("version = 1\n{tables}"), &script);
        let got = |name: &str| project.path().join(format!("got-{name}"));
        for name in names {
            live.signal(format!("SIG{name}").parse::<Signal>().unwrap());
            if name == "TSTP" {
                // The supervisor stops too, as the caller's shell expects.
                let pid = live.supervisor();
                let stopped = || {
                    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
                    status.unwrap().contains("State:\tT")
                };
                eventually("the supervisor has stopped", stopped);
            }
            live.await_file(&got(name));
        }
        assert_eq!(live.done().fails(7), "");
        for name in names {
            std::fs::remove_file(got(name)).unwrap();
        }
    }
}

#[test]
fn signals_reach_a_command_that_is_pid_1() {
    let project = Project::new();
    let script = "trap 'exit 8' TERM; touch ready; while :; do sleep 0.05; done";
    let live = Live::script(&project, "version = 1\n[process]\ninit = false", script);
    live.signal(Signal::SIGTERM);
    assert_eq!(live.done().fails(8), "");
}

#[test]
fn a_signal_that_ends_the_command_gives_128_and_its_number() {
    let project = Project::new();
    for (name, number) in [
        ("HUP", 1),
        ("INT", 2),
        ("ABRT", 6),
        ("KILL", 9),
        ("SEGV", 11),
        ("TERM", 15),
    ] {
        assert_eq!(
            project
                .run("version = 1", &format!("kill -{name} $$"))
                .fails(128 + number),
            ""
        );
    }
}

/// The pid namespace of the caller, with its processes in sight.
const SHARED_PID: &str =
    "[namespaces]\npid = \"shared\"\n[[mounts]]\ntype = \"proc\"\ntarget = \"/proc\"";

/// A daemon that has left the command's session and process group, and ignores what can be.
fn daemon(word: &str) -> String {
    format!(
        "setsid sh -c \"trap '' TERM HUP INT; while :; do sleep 0.2; : {word}; done\" </dev/null >/dev/null 2>&1 &
        while ! grep -qa {word} /proc/[0-9]*/cmdline 2>/dev/null; do sleep 0.05; done"
    )
}

#[test]
fn the_command_takes_its_daemons_along() {
    for (index, tables) in ["", SHARED_PID].into_iter().enumerate() {
        let project = Project::new();
        let word = format!("sandbox-test-daemon-{}-{index}", std::process::id());
        let script = format!("( {} ) ; {HOLD}; exit 4", daemon(&word));
        let live = Live::script(&project, &format!("version = 1\n{tables}"), &script);
        let inside = live.inside();
        assert!(inside.len() >= 3, "{inside:?}");
        assert!(!bearing(&word).is_empty());
        assert_eq!(live.go(&project).fails(4), "");
        assert!(inside.iter().all(|pid| !lives(*pid)), "{tables}");
        assert_eq!(bearing(&word), Vec::<u32>::new(), "{tables}");
    }
}

#[test]
fn the_supervisors_death_ends_everything_inside() {
    for tables in [
        "",
        "[process]\ninit = false",
        "[user]\nuid_map = \"root\"",
        SHARED_PID,
    ] {
        let project = Project::new();
        let word = format!(
            "sandbox-test-orphan-{}-{}",
            std::process::id(),
            tables.len()
        );
        let script = format!("( {} ) ; {HOLD}", daemon(&word));
        let mut live = Live::script(&project, &format!("version = 1\n{tables}"), &script);
        let inside = live.inside();
        assert!(inside.len() >= 2, "{inside:?}");
        live.kill();
        eventually("everything inside has ended", || {
            inside.iter().all(|pid| !lives(*pid))
        });
        assert_eq!(bearing(&word), Vec::<u32>::new(), "{tables}");
    }
}
