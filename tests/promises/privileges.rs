//! What a process may gain, take or be kept from: privileges by exec, limits above the caller's, priorities, keys.

use crate::support::{Project, done, is_root, skip};
use std::os::unix::fs::{PermissionsExt as _, chown};

/// A line of /proc/self/status.
fn status<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim()
}

#[test]
fn new_privileges_are_gained_only_where_the_profile_says_so() {
    let test = "new_privileges_are_gained_only_where_the_profile_says_so";
    let project = Project::new();
    // The owner of the file is 0 inside: who has made it, or an id that belongs to nobody.
    let map = if is_root() {
        "[{ inside = 0, outside = 1879050000, count = 65536 }]"
    } else {
        "\"auto\""
    };
    let id = std::fs::read("/usr/bin/id").unwrap();
    let program = project.executable("bin/id", id);
    if is_root() {
        chown(&program, Some(1_879_050_000), Some(1_879_050_000)).unwrap();
    }
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let folder = project.path().join("bin");
    let run = |new: bool, nosuid: bool, more: &str| {
        let profile = format!(
            "version = 1\nmounts = [{{ type = \"bind\", source = \"{}\", target = \"/suid\", nosuid = {nosuid}, idmap = false }}]\n[user]\nuid = 5\ngid = 5\nuid_map = {map}\ngid_map = {map}\n[capabilities]\nnew_privileges = {new}\n{more}",
            folder.display()
        );
        project.run(
            &profile,
            "/suid/id -u; grep -E 'NoNewPrivs|Cap|Seccomp:' /proc/self/status",
        )
    };
    let gained = run(true, false, "");
    if gained.stderr.contains("subordinate") {
        return skip(test, "this user has no subordinate ids");
    }
    let gained = gained.ok();
    assert!(gained.starts_with("0\n"), "{gained}");
    assert_eq!(status(&gained, "NoNewPrivs:"), "0");
    // The filter is there, and what installed it is not any more.
    assert_eq!(status(&gained, "Seccomp:"), "2");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(status(&gained, set), "0000000000000000", "{gained}");
    }
    for (new, nosuid) in [(false, false), (true, true)] {
        let lost = run(new, nosuid, "").ok();
        assert!(lost.starts_with("5\n"), "{lost}");
        assert_eq!(status(&lost, "NoNewPrivs:"), if new { "0" } else { "1" });
    }
    // uid 0 has what is kept and no more.
    let more = "keep = [\"chown\"]\n[process]\nargv0 = \"sh\"\ncommand = [\"sh\"]";
    let kept = run(true, false, more).ok();
    assert_eq!(status(&kept, "CapBnd:"), "0000000000000001", "{kept}");
    assert_eq!(status(&kept, "CapEff:"), "0000000000000000", "{kept}");
}

#[test]
fn root_inside_has_nothing_left_of_what_installed_the_filter() {
    let project = Project::new();
    let profile = "version = 1\n[user]\nuid_map = \"root\"\n[capabilities]\nnew_privileges = true\nkeep = [\"kill\"]\nsecurebits = []";
    let text = project.run(profile, "cat /proc/self/status").ok();
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(status(&text, set), "0000000000000020", "{text}");
    }
    assert_eq!(status(&text, "NoNewPrivs:"), "0");
    // The filter refuses what it refuses anyway.
    let run = project.run(profile, "unshare -U true && echo made");
    assert_eq!(run.stdout, "", "{run:?}");
}

#[test]
fn attempts_where_privileges_may_be_gained_are_made_without() {
    let project = Project::new();
    project.write(
        "sandbox.toml",
        "version = 1\n[user]\nuid_map = \"root\"\n[capabilities]\nnew_privileges = true\n[[test]]\ncan_read = [\"/etc/passwd\"]\n[[test]]\ncannot_call = [\"mount\"]\n",
    );
    let run = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn securebits_are_those_that_are_declared() {
    let project = Project::new();
    // PR_GET_SECUREBITS of prctl(2).
    let script = "import ctypes; print(ctypes.CDLL(None).prctl(27, 0, 0, 0, 0))";
    let run = |keys: &str| {
        let profile = format!("version = 1\n[capabilities]\n{keys}");
        done(&mut project.command(&profile, &["python3", "-c", script])).ok()
    };
    assert_eq!(run(""), "43\n");
    assert_eq!(run("keep = [\"kill\"]"), "0\n");
    assert_eq!(
        run("securebits = [\"noroot\", \"no_cap_ambient_raise_locked\"]"),
        "129\n"
    );
    assert_eq!(run("securebits = []"), "0\n");
}

#[test]
fn a_program_is_executed_by_descriptor_and_cannot_be_written_to() {
    let project = Project::new();
    let busybox = std::fs::read("/usr/bin/busybox").unwrap();
    let outside = Project::new();
    let program = outside.executable("tool", &busybox);
    let script = "ls -A / | grep -v -E '^(dev|proc|sys|tmp|run)$'; test -e /usr && echo shown; echo x > /proc/self/exe || echo refused; echo ran";
    let profile = format!(
        "version = 1\n[rootfs]\nempty = true\nproject = \"hide\"\n[process]\nby_descriptor = true\ncwd = \"/\"\nargv0 = \"busybox\"\ncommand = [\"{}\", \"sh\", \"-c\", \"{script}\"]\n[environment]\nset = {{ PATH = \"/nowhere\" }}",
        program.display()
    );
    project.write("sandbox.toml", &profile);
    let run = done(&mut project.program(&["--profile", "sandbox.toml"]));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.ends_with("refused\nran\n"), "{run:?}");
    // Not only as long as it runs, which makes it busy.
    assert!(run.stderr.contains("Read-only file system"), "{run:?}");
    assert!(!run.stdout.contains("shown"), "{run:?}");
    assert_eq!(std::fs::read(&program).unwrap(), busybox);
    // A script would have to be read by another program.
    outside.executable("script", "#!/bin/sh\n:");
    for (name, said) in [("script", "is a script"), ("none", "there is no program")] {
        let profile = profile.replace("/tool\"", &format!("/{name}\""));
        project.write("sandbox.toml", &profile);
        let words = done(&mut project.program(&["--profile", "sandbox.toml"])).fails(125);
        assert!(
            words.contains(said) && words.contains("sandbox.toml:"),
            "{words}"
        );
    }
}

#[test]
fn a_limit_above_the_callers_holds_where_root_calls_and_is_refused_elsewhere() {
    let project = Project::new();
    // The caller's own are low, whoever it is.
    let run = |keys: &str, script: &str| {
        let profile = format!("version = 1\n[rlimits]\n{keys}");
        let run = project.command(&profile, &["python3", "-c", script]);
        let program = run.get_program().to_owned();
        let mut lowered = std::process::Command::new("prlimit");
        lowered
            .args([
                "--memlock=65536:65536",
                "--nofile=64:64",
                "--rtprio=0:0",
                "--",
            ])
            .arg(program)
            .args(run.get_args())
            .current_dir(project.path());
        done(&mut lowered)
    };
    let limits = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE), *resource.getrlimit(resource.RLIMIT_MEMLOCK))";
    let keys = "nofile = { soft = 100, hard = 200 }\nmemlock = \"8M\"";
    let raised = run(keys, limits);
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = u64::from_str_radix(status(&own, "CapEff:"), 16).unwrap();
    // CAP_SYS_RESOURCE, which root may lack in a container.
    if capabilities & 1 << 24 == 0 {
        let words = raised.fails(125);
        assert!(
            words.contains("hard limit") && words.contains("sandbox.toml:"),
            "{words}"
        );
        return;
    }
    assert_eq!(raised.ok(), "100 200 8388608 8388608\n");
    // It is no number alone: so much can be locked.
    let lock = "import ctypes, mmap; m = mmap.mmap(-1, 4 << 20); a = ctypes.addressof(ctypes.c_char.from_buffer(m)); print(ctypes.CDLL(None).mlock(ctypes.c_void_p(a), 4 << 20))";
    assert_eq!(run("memlock = \"8M\"", lock).ok(), "0\n");
    assert_eq!(run("", lock).ok(), "-1\n");
}

#[test]
fn a_real_time_policy_is_taken_where_the_caller_may_give_it() {
    let test = "a_real_time_policy_is_taken_where_the_caller_may_give_it";
    let project = Project::new();
    let run = |policy: &str| {
        let profile = format!("version = 1\n[process]\nscheduler = \"{policy}\"\npriority = 7");
        let script = "import os, resource; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)";
        done(&mut project.command(&profile, &["python3", "-c", script]))
    };
    for (policy, number) in [("fifo", 1), ("rr", 2)] {
        let run = run(policy);
        if run.code == 125 && run.stderr.contains("take the scheduling policy") {
            return skip(test, "the caller's group has no real-time processor time");
        }
        // Whoever cannot raise that limit, and has a lower one.
        if run.code == 125 {
            assert!(run.stderr.contains("limit on rtprio"), "{run:?}");
            assert!(run.stderr.contains("sandbox.toml:4:"), "{run:?}");
            return;
        }
        assert_eq!(run.ok(), format!("{number} 7\n"));
    }
}

#[test]
fn what_a_process_is_kept_from_it_does_not_have() {
    let project = Project::new();
    // PR_GET_SPECULATION_CTRL: what there is, and whether a process has a switch for it.
    let names = ["store_bypass", "indirect_branch"];
    let ask =
        "import ctypes; p = ctypes.CDLL(None).prctl; print(p(52, 0, 0, 0, 0), p(52, 1, 0, 0, 0))";
    let mut outside = std::process::Command::new("python3");
    let outside = done(outside.args(["-c", ask])).ok();
    let mut switched = Vec::new();
    for (name, found) in names.iter().zip(outside.split_whitespace()) {
        let found: i32 = found.parse().unwrap();
        if found == 0 || (found > 0 && found & 0b101 != 0) {
            switched.push(format!("\"{name}\""));
            continue;
        }
        let profile = format!("version = 1\n[process]\nno_speculation = [\"{name}\"]");
        let words = project.run(&profile, "touch ran").fails(125);
        assert!(
            words.contains("no switch") && words.contains("sandbox.toml:3:"),
            "{words}"
        );
        assert!(!project.path().join("ran").exists());
    }
    let switched = switched.join(", ");
    let profile = format!(
        "version = 1\n[process]\ntransparent_huge_pages = false\nno_speculation = [{switched}]\ncoredump_filter = [\"anonymous_private\", \"elf_headers\", \"dax_shared\"]\n[rlimits]\ncore = \"1M\""
    );
    let text = "import ctypes; p = ctypes.CDLL(None).prctl; print(p(42, 0, 0, 0, 0), p(52, 0, 0, 0, 0), p(52, 1, 0, 0, 0), open('/proc/self/coredump_filter').read())";
    let run = done(&mut project.command(&profile, &["python3", "-c", text]));
    let out = run.ok();
    let words: Vec<_> = out.split_whitespace().collect();
    assert_eq!((words[0], words[3]), ("1", "00000111"), "{out}");
    // Not affected, off for all, or off for good.
    for (name, found) in names.iter().zip(&words[1..3]) {
        let found: i32 = found.parse().unwrap();
        let is_off = found == 0 || found & 0b1100 != 0;
        assert!(is_off || !switched.contains(name), "{out}");
    }
    // A static program that reads the counter is ended by it.
    let source = project.write(
        "tsc.c",
        "int main(void) { return __builtin_ia32_rdtsc() == 0; }",
    );
    let program = project.path().join("tsc");
    let built = std::process::Command::new("gcc")
        .args(["-static", "-o"])
        .args([&program, &source])
        .status();
    if !cfg!(target_arch = "x86_64") || !built.is_ok_and(|status| status.success()) {
        return skip(
            "what_a_process_is_kept_from_it_does_not_have",
            "no compiler for a program that reads the counter",
        );
    }
    let run = |keys: &str| {
        let profile = format!("version = 1\n[process]\n{keys}");
        done(&mut project.command(&profile, &["./tsc"]))
    };
    assert_eq!(run("").code, 0);
    let refused = run("tsc = false");
    if refused.code == 125 {
        // A kernel that is a process itself has no such switch.
        assert!(
            refused.stderr.contains("only x86 can refuse it"),
            "{refused:?}"
        );
        return;
    }
    assert_eq!(refused.code, 128 + libc::SIGSEGV, "{refused:?}");
}

#[test]
fn the_session_keyring_is_the_callers_only_where_the_profile_says_so() {
    let project = Project::new();
    // The serial number of the session keyring (KEYCTL_GET_KEYRING_ID of keyctl(2)).
    let script = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))";
    let ask = |mut command: std::process::Command| done(&mut command);
    let ours = |script: &str| {
        let mut outside = std::process::Command::new("python3");
        outside.args(["-c", script]);
        ask(outside).ok()
    };
    let outside = ours(script);
    // Who has none has that of the user (KEY_SPEC_USER_SESSION_KEYRING), which each user namespace has its own of.
    let has_none = outside == ours(&script.replace("-3", "-5"));
    if !cfg!(target_arch = "x86_64") || outside.starts_with('-') || has_none {
        return skip(
            "the_session_keyring_is_the_callers_only_where_the_profile_says_so",
            "keys cannot be asked for here",
        );
    }
    let inside = |keys: &str| {
        let profile = format!(
            "version = 1\n[seccomp]\nallow = [\"keyctl\"]\n[namespaces]\nuser = \"{}\"\n[process]\n{keys}",
            if is_root() { "shared" } else { "new" }
        );
        ask(project.command(&profile, &["python3", "-c", script]))
    };
    assert_ne!(inside("").stdout, outside);
    assert_eq!(inside("keyring = \"inherit\"").ok(), outside);
}

#[test]
fn the_groups_of_an_account_are_those_that_name_it() {
    let test = "the_groups_of_an_account_are_those_that_name_it";
    let project = Project::new();
    project.write(
        "root/etc/passwd",
        "svc:x:7:7::/:/bin/sh\nother:x:8:8::/:/bin/sh\n",
    );
    project.write(
        "root/etc/group",
        "svc:x:7:\na:x:20:svc,other\nb:x:30:other\nc:x:40:other, svc\n",
    );
    let map = if is_root() {
        "[{ inside = 0, outside = 1879050000, count = 65536 }]"
    } else {
        "\"auto\""
    };
    let run = |uid: &str, groups: &str| {
        let profile = format!(
            "version = 1\n[rootfs]\ndirectory = \"{}/root\"\nproject = \"hide\"\n[user]\nuid = {uid}\ngid = 7\ngroups = {groups}\nuid_map = {map}\ngid_map = {map}\n[process]\nby_descriptor = true\nargv0 = \"busybox\"\ncwd = \"/\"\ncommand = [\"/usr/bin/busybox\", \"id\", \"-G\"]",
            project.path().display()
        );
        project.write("sandbox.toml", profile);
        done(&mut project.program(&["--profile", "sandbox.toml"]))
    };
    let asked = run("\"svc\"", "\"account\"");
    if asked.stderr.contains("subordinate") {
        return skip(test, "this user has no subordinate ids");
    }
    assert_eq!(asked.ok(), "7 20 40\n");
    // By the number it is the same account; nobody else's.
    assert_eq!(run("8", "\"account\"").ok(), "7 20 30 40\n");
    assert_eq!(run("\"svc\"", "[\"b\"]").ok(), "7 30\n");
    let words = run("9", "\"account\"").fails(125);
    assert!(
        words.contains("no user in ") && words.contains("sandbox.toml:8:"),
        "{words}"
    );
}
