//! What `[process]` and its neighbours set, seen from inside and from outside.

use crate::live::HOLD;
use crate::running::{Place, name};
use crate::support::{Done, Project, done, is_root, program, skip};

/// A run of the profile's own command, with these arguments of the program.
fn own(project: &Project, tables: &str, arguments: &[&str]) -> Done {
    project.write("sandbox.toml", format!("version = 1\n{tables}"));
    done(&mut project.program(arguments))
}

#[test]
fn the_profiles_command_runs_where_none_is_given() {
    let project = Project::new();
    let tables = "[process]\ncommand = [\"sh\", \"-c\", \"echo $0 $1; exit 3\", \"own\", \"a b\"]";
    let run = own(&project, tables, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, "own a b\n"), "{run:?}");
    let run = own(&project, tables, &["--", "echo", "given"]);
    assert_eq!(run.ok(), "given\n");
    let named = "[process]\ncommand = [\"sh\", \"-c\", \"tr '\\\\0' ' ' </proc/$$/cmdline; :\"]\nargv0 = \"-other\"";
    let run = own(&project, named, &[]).ok();
    assert!(run.starts_with("-other -c "), "{run}");
    // It is the name of the profile's own program only.
    let run = own(&project, named, &["--", "sh", "-c", "echo $0"]).ok();
    assert_eq!(run, "sh\n");
}

#[test]
fn explain_and_test_take_the_profiles_command() {
    let project = Project::new();
    let tables = "[rootfs]\nprograms = [\"sh\"]\n[process]\ncommand = [\"env\", \"x\"]\n[[test]]\ncan_see = [\"/usr/bin/env\"]";
    let run = own(&project, tables, &["explain"]).ok();
    let last = run
        .trim_end()
        .lines()
        .find(|line| line.contains("execute env x"));
    assert!(last.unwrap().ends_with("sandbox.toml:5"), "{run}");
    own(&project, tables, &["test", "sandbox.toml"]).ok();
    // A given command takes its place in a root of programs too.
    let run = own(
        &project,
        tables,
        &["--", "sh", "-c", "test -e /usr/bin/env"],
    );
    assert_eq!(run.code, 1, "{run:?}");
}

#[test]
fn a_command_that_is_missing_is_refused_at_its_line() {
    let project = Project::new();
    let run = own(&project, "[process]\ncommand = [\"./no-such\"]", &[]);
    let said = run.fails(127);
    assert!(said.contains("/sandbox.toml:3:11"), "{said}");
}

/// Maps a page that is writable and executable at once, and makes a written page executable.
const GAIN: &str = r#"
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def page(protection): return libc.mmap(None, 4096, protection, 0x22, -1, 0)
at_once = page(7)
print("at once", "yes" if at_once != 2**64 - 1 else os.strerror(ctypes.get_errno()))
print("later", "yes" if libc.mprotect(page(3), 4096, 5) == 0 else os.strerror(ctypes.get_errno()))
"#;

#[test]
fn written_memory_is_not_executed_where_that_is_refused() {
    let project = Project::new();
    let table = |value: &str| format!("version = 1\n[process]\nwrite_execute = {value}\n");
    let run = |value: &str, words: &[&str]| done(&mut project.command(&table(value), words));
    let python = &["python3", "-c", GAIN];
    assert_eq!(run("true", python).ok(), "at once yes\nlater yes\n");
    let refused = run("false", python);
    if refused.stderr.contains("this kernel cannot") {
        let test = "settings::written_memory_is_not_executed_where_that_is_refused";
        return skip(test, "the kernel is older than Linux 6.3");
    }
    let denied = "at once Permission denied\nlater Permission denied\n";
    assert_eq!(refused.ok(), denied);
    // Descendants, too.
    let shell = &["sh", "-c", "python3 -c \"$1\"; :", "sh", GAIN];
    assert_eq!(run("false", shell).ok(), denied);
    let off = table("false") + "[enforce]\nwrite_execute = \"off\"";
    assert_eq!(
        done(&mut project.command(&off, python)).ok(),
        "at once yes\nlater yes\n"
    );
}

#[test]
fn names_of_accounts_stand_for_their_ids() {
    let project = Project::new();
    let run = |tables: &str| own(&project, &format!("{IDS}{tables}"), &[]);
    const IDS: &str =
        "[process]\ncommand = [\"sh\", \"-c\", \"id -u; id -g; cat /proc/self/uid_map\"]\n";
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let field = |name: &str, at: usize| {
        let mut lines = accounts.lines().map(|line| line.split(':'));
        let mut line = lines
            .find(|line| line.clone().next() == Some(name))
            .unwrap();
        line.nth(at).unwrap().to_owned()
    };
    let (uid, gid) = (field("nobody", 2), field("nobody", 3));
    let seen = run("[user]\nuid = \"nobody\"").ok();
    assert!(seen.starts_with(&format!("{uid}\n{gid}\n")), "{seen}");
    // In a root that is a directory, its own accounts count.
    std::fs::create_dir_all(project.path().join("root/etc")).unwrap();
    project.write("root/etc/passwd", "nobody:x:4711:4712:::\n");
    let explain = |tables: &str| own(&project, tables, &["explain"]);
    let plan = explain("[rootfs]\ndirectory = \"root\"\n[user]\nuid = \"nobody\"").ok();
    assert!(
        plan.contains("set the uid to 4711 ") && plan.contains("set the gid to 4712 "),
        "{plan}"
    );
    let lost = explain("[rootfs]\ndirectory = \"root\"\n[user]\nuid = \"daemon\"").fails(125);
    assert!(
        lost.contains("error[SBX0131]: there is no user `daemon` in "),
        "{lost}"
    );
    assert!(
        lost.contains("/root/etc/passwd") && lost.contains("sandbox.toml:5:7"),
        "{lost}"
    );
    if !is_root() {
        return;
    }
    // Outside, names are always the host's.
    let map = "uid_map = [{ inside = 5, outside = \"nobody\" }]";
    let seen = run(&format!("[user]\n{map}")).ok();
    let line = seen.lines().last().unwrap().split_whitespace();
    assert_eq!(line.collect::<Vec<_>>(), ["5", &uid, "1"], "{seen}");
}

#[test]
fn only_the_named_descriptors_are_kept() {
    let project = Project::new();
    project.write("secret", "not for you");
    project.write(
        "sandbox.toml",
        "version = 1\n[process]\ndescriptors = [4, 100]\ncommand = [\"bash\", \"-c\", \"for d in 3 4 5 99 100; do test -e /proc/$$/fd/$d && echo $d; done; cat <&4; echo written >&100\"]",
    );
    let run = |script: &str| {
        let mut shell = std::process::Command::new("bash");
        shell.arg("-c").arg(script).arg(program());
        done(shell.current_dir(project.path()))
    };
    let opened = "3<secret 4<<<handed 5<secret 99<secret 100>out";
    let seen = run(&format!("exec \"$0\" {opened}")).ok();
    assert_eq!(seen, "4\n100\nhanded\n");
    let out = std::fs::read_to_string(project.path().join("out")).unwrap();
    assert_eq!(out, "written\n");
    // Under an attempt, too: of the caller's there are these two and no other.
    let test = "[[test]]\ncan_see = [\"/proc/self/fd/4\"]\ncannot_see = [\"/proc/self/fd/3\", \"/proc/self/fd/5\"]\n";
    project.write(
        "test.toml",
        format!("[process]\ndescriptors = [4, 100]\n{test}"),
    );
    run(&format!("exec \"$0\" test test.toml {opened}")).ok();
    let refused = run("exec \"$0\" 4</ 100>out").fails(125);
    assert!(
        refused.contains("error[SBX0132]: descriptor 4 is a directory"),
        "{refused}"
    );
    let refused = run("exec \"$0\" 4<secret").fails(125);
    assert!(
        refused.contains("error[SBX0132]: descriptor 100 is not open"),
        "{refused}"
    );
}

/// What Python's own functions and the kernel's files say.
const SCHEDULE: &str = r#"
import os, ctypes
libc = ctypes.CDLL(None)
print(sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0), libc.syscall(SYS_ioprio_get, 1, 0), libc.prctl(30, 0, 0, 0, 0))
print(os.uname().machine)
print(open("/proc/self/personality").read().strip())
"#;

#[test]
fn what_comes_before_others_is_had_where_the_caller_may_give_it() {
    let test = "what_comes_before_others_is_had_where_the_caller_may_give_it";
    let project = Project::new();
    let script = format!(
        "import os, ctypes; p = os.popen('nice').read(); print(os.nice(0), p.strip(), ctypes.CDLL(None).syscall({}, 1, 0))",
        nix::libc::SYS_ioprio_get
    );
    let run = |keys: &str| {
        let profile = format!("version = 1\n[process]\n{keys}");
        done(&mut project.command(&profile, &["python3", "-c", &script]))
    };
    let (nice, ioprio) = (run("nice = -3"), run("nice = 0\nioprio = \"realtime:2\""));
    if !is_root() {
        // No plain user has such a limit unless somebody has given it.
        if nice.code == 0 {
            return skip(test, "the caller may lower its nice value");
        }
        let words = nice.fails(125);
        assert!(
            words.contains("takes 23 of the caller's limit on nice"),
            "{words}"
        );
        assert!(words.contains("sandbox.toml:3:"), "{words}");
        let words = ioprio.fails(125);
        assert!(
            words.contains("only root can give the real-time class"),
            "{words}"
        );
        assert!(words.contains("sandbox.toml:4:"), "{words}");
        return;
    }
    let outside = || {
        let own = "import os, ctypes; print(os.nice(0), ctypes.CDLL(None).syscall(SYS, 1, 0))";
        let own = own.replace("SYS", &nix::libc::SYS_ioprio_get.to_string());
        done(std::process::Command::new("python3").args(["-c", &own])).ok()
    };
    let before = outside();
    assert_eq!(ioprio.ok(), format!("0 0 {}\n", (1 << 13) | 2));
    assert_eq!(outside(), before);
    // In the host's user namespace it takes another right of root's.
    let shared = "nice = -3\nioprio = \"realtime\"\n[namespaces]\nuser = \"shared\"";
    let all = format!("-3 -3 {}\n", (1 << 13) | 4);
    assert_eq!(run(shared).ok(), all);
    if nice.code == 125 {
        assert!(
            nice.stderr
                .contains("takes 23 of the caller's limit on nice"),
            "{nice:?}"
        );
        return skip(test, "root may not raise limits here");
    }
    assert!(nice.ok().starts_with("-3 -3 "));
    assert_eq!(outside(), before);
    // For who joins, too.
    let profile = "version = 1\n[process]\nnice = -3\nioprio = \"realtime\"";
    let (place, name) = (Place::new(), name());
    let live = place.start(&name, profile, HOLD);
    let joined = place.done(&["exec", &name, "--", "python3", "-c", &script]);
    assert_eq!(joined.ok(), all);
    assert_eq!(live.go(&place.project).code, 0);
    // It stays, also where nothing below it is had any more.
    let limited = run("nice = -3\n[rlimits]\nnice = 0").ok();
    assert!(limited.starts_with("-3 -3 "), "{limited}");
}

#[test]
fn a_real_time_policy_is_kept_from_what_the_command_starts() {
    let test = "a_real_time_policy_is_kept_from_what_the_command_starts";
    let project = Project::new();
    let script = "import os, subprocess as s, sys; print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, flush=True); s.run([sys.executable, '-c', 'import os; print(os.sched_getscheduler(0))'])";
    // Where root may not raise limits, it has the right in the host's user namespace.
    let user = if is_root() { "shared" } else { "new" };
    let run = |keys: &str| {
        let profile = format!(
            "version = 1\n[namespaces]\nuser = \"{user}\"\n[process]\nscheduler = \"rr\"\npriority = 3\n{keys}"
        );
        done(&mut project.command(&profile, &["python3", "-c", script]))
    };
    let plain = run("");
    if plain.code == 125 {
        return skip(test, "the caller may give no real-time policy");
    }
    assert_eq!(plain.ok(), "2\n2\n");
    assert_eq!(run("reset_on_fork = true").ok(), "2\n0\n");
}

#[test]
fn memory_is_taken_from_the_nodes_that_the_profile_names() {
    let test = "memory_is_taken_from_the_nodes_that_the_profile_names";
    let project = Project::new();
    let script = format!(
        "import ctypes; m, n = ctypes.c_int(), (ctypes.c_ulong * 16)(); print(ctypes.CDLL(None).syscall({}, ctypes.byref(m), n, 1025, None, 0), m.value, n[0])",
        nix::libc::SYS_get_mempolicy
    );
    let run = |numa: &str| {
        let profile =
            format!("version = 1\n[process]\n{numa}\n[seccomp]\nallow = [\"get_mempolicy\"]");
        done(&mut project.command(&profile, &["python3", "-c", &script]))
    };
    let bound = run("numa = \"bind:0\"");
    if bound.code == 125 && bound.stderr.contains("CONFIG_NUMA") {
        return skip(test, "this kernel knows no memory nodes");
    }
    assert_eq!(bound.ok(), "0 2 1\n");
    assert_eq!(run("").ok(), "0 0 0\n");
    assert_eq!(run("numa = \"interleave:0\"").ok(), "0 3 1\n");
    assert_eq!(run("numa = \"preferred:0\"").ok(), "0 1 1\n");
    assert_eq!(run("numa = \"local\"").ok(), "0 4 0\n");
    // A node that is not there is no reason for less than was asked for.
    for numa in ["bind:0,1000", "preferred:1000"] {
        let words = run(&format!("numa = \"{numa}\"")).fails(125);
        for part in ["sandbox.toml:3:", numa, "has_memory"] {
            assert!(words.contains(part), "{words}");
        }
    }
}

#[test]
fn the_command_is_scheduled_as_the_profile_says() {
    let project = Project::new();
    let number = nix::libc::SYS_ioprio_get.to_string();
    let script = SCHEDULE.replace("SYS_ioprio_get", &number);
    let run = |keys: &str| {
        let profile = format!("version = 1\n[process]\n{keys}");
        done(&mut project.command(&profile, &["python3", "-c", &script]))
    };
    let plain = run("").ok();
    let seen = run("affinity = \"0\"\nscheduler = \"batch\"\nioprio = \"best-effort:6\"\ntimer_slack = \"2ms\"").ok();
    let first = seen.lines().next().unwrap();
    assert_eq!(first, format!("[0] 3 {} 2000000", (2 << 13) | 6));
    let idle = run("scheduler = \"idle\"\nioprio = \"idle\"").ok();
    assert!(idle.contains(&format!("] 5 {} ", 3 << 13)), "{idle}");
    // The rest is as it was.
    assert_eq!(
        seen.lines().skip(1).collect::<Vec<_>>(),
        plain.lines().skip(1).collect::<Vec<_>>()
    );
    let other = run("personality = [\"linux32\", \"addr_no_randomize\"]").ok();
    let mut lines = other.lines().skip(1);
    if cfg!(target_arch = "x86_64") {
        // As outside: a kernel without 32-bit programs calls itself the same under every personality.
        let outside = std::process::Command::new("setarch")
            .args(["linux32", "uname", "-m"])
            .output();
        let outside = String::from_utf8(outside.unwrap().stdout).unwrap();
        assert_eq!(lines.next(), Some(outside.trim()), "{other}");
    }
    assert_eq!(lines.last(), Some("00040008"), "{other}");
    let missing = run("affinity = \"60000\"").fails(125);
    assert!(
        missing.contains("this machine has none of these processors"),
        "{missing}"
    );
}

#[test]
fn the_clocks_inside_are_set() {
    let project = Project::new();
    // The second number is the distance of the two clocks, which no pause between runs changes.
    let clocks = "from time import *
monotonic = clock_gettime(CLOCK_MONOTONIC)
print(monotonic, clock_gettime(CLOCK_BOOTTIME) - monotonic)";
    let run = |offsets: &str| {
        let profile = format!("version = 1\n[namespaces.time_offsets]\n{offsets}");
        done(&mut project.command(&profile, &["python3", "-c", clocks]))
    };
    let numbers = |run: Done| -> Vec<f64> {
        let seen = run.ok();
        seen.split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect()
    };
    let plain = numbers(run(""));
    let set = numbers(run("monotonic = \"10d\""));
    assert!(set[0] - plain[0] > 863_000.0, "{plain:?} {set:?}");
    let set = numbers(run("monotonic = 10\nboottime = \"-0.5s\""));
    let further = set[1] - plain[1];
    assert!((-10.6..-10.4).contains(&further), "{plain:?} {set:?}");
    let refused = run("boottime = \"-3000d\"").fails(125);
    assert!(refused.contains("set it less far behind"), "{refused}");
    assert!(refused.contains("sandbox.toml:3:12"), "{refused}");
    let table = std::fs::read_to_string("/proc/self/timens_offsets").unwrap();
    assert!(
        table.lines().all(|line| line.trim_end().ends_with(" 0")),
        "{table}"
    );
}

#[test]
fn limits_of_the_caller_are_kept_or_raised_to() {
    let project = Project::new();
    let run = |limit: &str, callers: &str| {
        let profile = format!("version = 1\n[rlimits]\nnofile = {limit}");
        project.write("sandbox.toml", profile);
        let script = format!("{callers}; exec \"$0\" -- sh -c 'ulimit -Sn; ulimit -Hn'");
        let mut shell = std::process::Command::new("bash");
        done(
            shell
                .args(["-c", &script])
                .arg(program())
                .current_dir(project.path()),
        )
    };
    let callers = "ulimit -Sn 300; ulimit -Hn 900";
    for (limit, seen) in [
        ("\"inherit\"", "300\n900\n"),
        ("\"hard\"", "900\n900\n"),
        ("{ soft = 400 }", "400\n900\n"),
        ("{ hard = 800 }", "300\n800\n"),
        ("{ hard = 200 }", "200\n200\n"),
        ("{ soft = 100, hard = 200 }", "100\n200\n"),
    ] {
        assert_eq!(run(limit, callers).ok(), seen, "{limit}");
    }
    let refused = run("{ soft = 1000 }", callers).fails(125);
    assert!(
        refused.contains("1000 is above the caller's own hard limit on nofile, 900"),
        "{refused}"
    );
    assert!(refused.contains("sandbox.toml:3:10"), "{refused}");
}
