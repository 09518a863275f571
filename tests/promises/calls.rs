//! Which system calls the command may make, and what becomes of the others.

use crate::support::{Done, Project, done};

/// What the dynamic loader and the C library do before a program begins, and what plain programs do with files.
const FILES: &str =
    r#""@default", "@basic-io", "@file-system", "@descriptors", "@program", "madvise", "mremap""#;

fn run(project: &Project, seccomp: &str, command: &[&str]) -> Done {
    let profile = format!("version = 1\n[seccomp]\n{seccomp}");
    done(&mut project.command(&profile, command))
}

#[test]
fn an_allow_list_permits_what_it_names_and_refuses_the_rest_as_it_says() {
    let project = Project::new();
    project.write("file", "contents\n");
    for answer in ["kill", "EXDEV"] {
        let list = format!("preset = \"none\"\nrefuse = \"{answer}\"\nallow = [{FILES}]");
        run(&project, &list, &["true"]).ok();
        assert_eq!(run(&project, &list, &["cat", "file"]).ok(), "contents\n");
    }
    // bash makes the socket itself, and says why it could not.
    let connect = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9"];
    let list = |answer: &str| {
        format!(
            "preset = \"none\"\nrefuse = {answer}\nallow = [{FILES}, \"@signal\", \"@io-event\", \"@process\", \"@limits\"]"
        )
    };
    for (answer, words) in [
        ("\"EXDEV\"", "socket: Invalid cross-device link"),
        ("\"EPERM\"", "socket: Operation not permitted"),
        ("1337", "socket: Unknown error 1337"),
    ] {
        let said = run(&project, &list(answer), &connect).fails(1);
        assert!(said.contains(words), "{answer}: {said}");
    }
}

#[test]
fn a_call_that_is_killed_for_ends_the_command_and_one_line_says_so() {
    let project = Project::new();
    for answer in ["kill", "trap"] {
        let deny = format!("deny = [{{ calls = \"chdir\", with = \"{answer}\" }}]");
        let ended = run(&project, &deny, &["env", "-C", "/", "true"]);
        assert_eq!(
            ended.fails(128 + libc::SIGSYS),
            "sandbox: killed: the command made a system call that its filter ends (SIGSYS) (sandbox.toml:2)\n",
            "{answer}"
        );
    }
    // A child that is killed is its parent's affair.
    let deny = "deny = [{ calls = \"chdir\", with = \"kill\" }]";
    let script = "env -C / true; echo $?";
    let said = run(&project, deny, &["sh", "-c", script]);
    assert_eq!(said.stdout, format!("{}\n", 128 + libc::SIGSYS), "{said:?}");
}

#[test]
fn arguments_decide() {
    let project = Project::new();
    let deny =
        r#"deny = [{ calls = "kill", when = [{ arg = 1, in = [10, 12] }], with = "ENODEV" }]"#;
    let script = "trap 'echo hup' HUP; kill -HUP $$; kill -USR1 $$; kill -USR2 $$; echo on";
    let said = run(&project, deny, &["bash", "-c", script]);
    assert_eq!((said.code, &*said.stdout), (0, "hup\non\n"), "{said:?}");
    assert_eq!(said.stderr.matches("No such device").count(), 2, "{said:?}");
    // The same call, by its own name and through a set, and what a set leaves refused.
    let list = r#"preset = "none"
allow = ["@system-service", { calls = "bpf", when = [{ arg = 0, is = 5 }] }]
deny = [{ calls = ["@resources", "@setuid"], with = "EDOM" }]
[[test]]
can_call = ["read", "bpf(5)", "socket(1, 1)", "getrlimit", "bpf"]
cannot_call = ["bpf(4)", "socket(40, 1)", "mount", "setuid", "setrlimit", "ioctl(0, 0x5412)", "sched_setaffinity"]"#;
    project.write("sandbox.toml", format!("version = 1\n[seccomp]\n{list}"));
    let report = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(report.code, 0, "{report:?}");
    let said = report.stdout;
    assert!(
        said.contains("cannot_call setuid: the system call filter refuses it: Math argument out of domain of func (EDOM)"),
        "{said}"
    );
}

#[test]
fn what_is_tested_is_told_apart_whatever_a_refusal_does() {
    let project = Project::new();
    let profile = r#"version = 1
[seccomp]
deny = [
    { calls = "getppid", with = 0 },
    { calls = "chroot", with = "kill" },
    { calls = "getpgid", with = 4094 },
    { calls = "getsid", with = "log" },
]
[[test]]
can_call = ["getsid"]
cannot_call = ["getppid", "chroot", "getpgid"]"#;
    project.write("sandbox.toml", profile);
    let report = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(report.code, 0, "{report:?}");
    let said = report.stdout;
    for words in [
        "cannot_call getppid: the system call filter answers with success, and nothing is performed",
        "cannot_call getpgid: the system call filter refuses it with errno 4094",
        "cannot_call chroot: ended by the system call filter (SIGSYS)",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn the_filter_is_explained_as_it_is_installed() {
    let project = Project::new();
    let profile = r#"version = 1
[seccomp]
preset = "none"
refuse = "ENOSYS"
allow = ["@default", { calls = "read", when = [{ arg = 0, is = 0 }, { arg = 2, wide = true, below = 4096 }] }]
deny = [{ calls = "nanosleep", with = "kill" }]"#;
    project.write("sandbox.toml", profile);
    let explain = |how| {
        let arguments = ["explain", "--profile", "sandbox.toml", how, "--", "true"];
        done(&mut project.program(&arguments)).ok()
    };
    let policy = explain("--seccomp");
    let line = |name: &str| {
        let mut lines = policy.lines().map(str::trim);
        let line = lines.find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {policy}"))
            .trim_start_matches(name)
            .trim()
    };
    assert_eq!(line("mmap"), "allowed");
    assert_eq!(line("socket"), "refused with ENOSYS");
    assert_eq!(line("nanosleep"), "refused by ending the process (SIGSYS)");
    assert_eq!(
        line("read"),
        "allowed if argument 0 is 0 and argument 2 (64 bits) is below 0x1000; else refused with ENOSYS"
    );
    let program = explain("--bpf");
    assert!(program.starts_with("   0  A = architecture\n"), "{program}");
    for words in [
        "return ALLOW",
        "return KILL_PROCESS",
        "return ERRNO(ENOSYS)",
        "A = argument 2, high half",
    ] {
        assert!(program.contains(words), "{program}");
    }
    // A filter that tells of refusals may come in two.
    let count = program.lines().filter(|line| !line.is_empty()).count();
    let count = format!("({count} instructions)");
    assert!(explain("--why").contains(&count), "{count}");
}

#[test]
fn a_policy_in_the_form_of_container_runtimes_is_a_filter_like_any_other() {
    let project = Project::new();
    let policy = r#"{
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 18,
    "archMap": [
        { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] },
        { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null }
    ],
    "syscalls": [
        { "names": ["STRICT", "arch_prctl", "no_such_call"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["kill"], "action": "SCMP_ACT_ALLOW",
          "args": [{ "index": 1, "value": 15, "valueTwo": 0, "op": "SCMP_CMP_NE" }] },
        { "names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_CHROOT"] } },
        { "names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 }
    ]
}"#;
    // What programs do that are started here.
    let names: Vec<_> = sandbox::sections::seccomp::presets::GROUPS
        .iter()
        .filter(|group| {
            matches!(
                group.strict,
                sandbox::sections::seccomp::presets::Stance::Allow
            )
        })
        .flat_map(|group| group.calls)
        .map(|call| call.name())
        .filter(|name| *name != "kill")
        .collect();
    project.write(
        "rules/seccomp.json",
        policy.replace("STRICT", &names.join("\", \"")),
    );
    let profile = |keep: &str| {
        format!(
            "version = 1\n[seccomp]\nfile = \"rules/seccomp.json\"\ndeny = [\"getppid\"]\n[capabilities]\nkeep = [{keep}]\n[[test]]\n\
             can_call = [\"read\", \"kill(1, 9)\"]\ncannot_call = [\"kill(1, 15)\", \"bpf\", \"mount\", \"getppid\"]\n"
        )
    };
    for (keep, chroot) in [("", "cannot_call"), ("\"sys_chroot\"", "can_call")] {
        let text = format!("{}[[test]]\n{chroot} = [\"chroot\"]\n", profile(keep));
        project.write("sandbox.toml", text);
        let report = done(&mut project.program(&["test", "sandbox.toml"]));
        assert_eq!(report.code, 0, "{report:?}");
        assert!(
            report.stdout.contains(
                "cannot_call mount: the system call filter refuses it: Permission denied"
            ),
            "{report:?}"
        );
        assert!(
            report
                .stdout
                .contains("cannot_call bpf: the system call filter refuses it: Cross-device link"),
            "{report:?}"
        );
    }
    let answer = done(&mut project.program(&["why", "sandbox.toml", "call", "bpf"]));
    assert_eq!(
        answer.stdout,
        "denied: call bpf: refused with EXDEV by seccomp file \"rules/seccomp.json\"\n  \
         decided by: sandbox.toml:3:8\n  to allow it: allow it in \"rules/seccomp.json\"\n"
    );
    let explained =
        done(&mut project.program(&["explain", "-p", "sandbox.toml", "--", "true"])).ok();
    assert!(
        explained.contains("rules/seccomp.json names what is no system call here: "),
        "{explained}"
    );
    assert_eq!(
        run(
            &project,
            "file = \"rules/seccomp.json\"",
            &["cat", "sandbox.toml"]
        )
        .code,
        0
    );
}

/// A compiled filter that answers one call with an errno, and lets all others pass.
pub fn compiled(call: libc::c_long, errno: i32) -> Vec<u8> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let refuse = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    instructions(&[
        (BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        (BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call.try_into().unwrap()),
        (BPF_RET | BPF_K, 0, 0, refuse),
        (BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ])
}

fn instructions(program: &[(u32, u8, u8, u32)]) -> Vec<u8> {
    let one = |&(code, jt, jf, k): &(u32, u8, u8, u32)| {
        let [a, b] = u16::try_from(code).unwrap().to_ne_bytes();
        let [c, d, e, f] = k.to_ne_bytes();
        [a, b, jt, jf, c, d, e, f]
    };
    program.iter().flat_map(one).collect()
}

#[test]
fn a_compiled_filter_counts_besides_and_can_only_refuse_more() {
    let project = Project::new();
    project.write("rules/app.bpf", compiled(libc::SYS_uname, libc::EXDEV));
    let filters = |lines: &str| {
        let status = run(&project, lines, &["cat", "/proc/self/status"]).ok();
        let line = status.lines().find(|l| l.starts_with("Seccomp_filters:"));
        let count = line.and_then(|line| line.split_whitespace().nth(1));
        count.map(|count| count.parse::<u32>().unwrap())
    };
    let file = "file = \"rules/app.bpf\"";
    for without in [
        "preset = \"default\"",
        "preset = \"strict\"\nallow = [\"seccomp\"]",
        "preset = \"off\"",
    ] {
        let with = format!("{without}\n{file}");
        let refused = run(&project, &with, &["uname"]).fails(1);
        assert!(refused.contains("Invalid cross-device link"), "{refused}");
        assert_eq!(run(&project, without, &["uname"]).code, 0);
        // Linux 5.9 says how many there are.
        if let Some(before) = filters(without) {
            assert_eq!(filters(&with), Some(before + 1), "{without}");
        }
    }
    // It lets mount(2) pass, and what the preset refuses stays refused.
    project.write(
        "sandbox.toml",
        format!(
            "version = 1\n[seccomp]\n{file}\n[[test]]\ncan_call = [\"getppid\"]\ncannot_call = [\"mount\", \"uname\"]\n"
        ),
    );
    let report = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(report.code, 0, "{report:?}");
    let why = done(&mut project.program(&["why", "sandbox.toml", "call", "uname"]));
    assert!(
        why.stdout.starts_with(
            "denied: call uname: ERRNO(EXDEV) by the compiled filter that is installed besides\n  \
             decided by: sandbox.toml:3:8\n"
        ),
        "{why:?}"
    );
    let explained =
        done(&mut project.program(&["explain", "-p", "sandbox.toml", "--", "true"])).ok();
    let step = explained
        .lines()
        .find(|line| line.contains("from its file"));
    assert!(
        step.is_some_and(|step| step.contains("(4 instructions, sha256:")),
        "{explained}"
    );
    let bpf =
        done(&mut project.program(&["explain", "--bpf", "-p", "sandbox.toml", "--", "true"])).ok();
    assert!(bpf.contains("return ERRNO(EXDEV)"), "{bpf}");
}

#[test]
fn a_compiled_filter_that_the_first_one_would_keep_out_is_said_by_check() {
    let project = Project::new();
    project.write("app.bpf", compiled(libc::SYS_uname, libc::EXDEV));
    let allow = "preset = \"none\"\nallow = [\"@default\", \"@basic-io\", \"@file-system\", \"execve\", \"uname\", \"fadvise64\"";
    let lines = format!("{allow}]\nfile = \"app.bpf\"");
    let stderr = run(&project, &lines, &["uname"]).fails(125);
    assert!(
        stderr.contains("the one before it refuses `seccomp`"),
        "{stderr}"
    );
    let lines = format!("{allow}, \"seccomp\"]\nfile = \"app.bpf\"");
    let refused = run(&project, &lines, &["uname"]).fails(1);
    assert!(refused.contains("Invalid cross-device link"), "{refused}");
}

#[test]
fn a_compiled_filter_that_is_none_is_a_diagnostic_before_anything_runs() {
    use libc::{BPF_JA, BPF_JMP, BPF_K, BPF_LD, BPF_MEM, BPF_RET};
    let project = Project::new();
    let allow = (BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut torn = instructions(&[allow]);
    torn.pop();
    project.write("torn.bpf", torn);
    project.write("empty.bpf", "");
    project.write("text.bpf", "root:x:0:0:secret:/root:/bin/bash\n# end\n");
    project.write("long.bpf", instructions(&[allow; 4097]));
    project.write("large.bpf", vec![0; 1 << 20]);
    project.write(
        "out.bpf",
        instructions(&[(BPF_JMP | BPF_JA, 0, 0, 7), allow]),
    );
    project.write("execve.bpf", compiled(libc::SYS_execve, libc::EPERM));
    // What only the kernel sees: memory that was never written.
    project.write(
        "memory.bpf",
        instructions(&[(BPF_LD | BPF_MEM, 0, 0, 3), allow]),
    );
    std::fs::create_dir(project.path().join("folder.bpf")).unwrap();
    nix::unistd::mkfifo(
        &project.path().join("fifo.bpf"),
        nix::sys::stat::Mode::S_IRUSR,
    )
    .unwrap();
    for (name, said) in [
        ("torn.bpf", "no whole number of instructions"),
        ("empty.bpf", "empty.bpf is empty"),
        ("text.bpf", "instruction 0 is none that seccomp(2) takes"),
        (
            "long.bpf",
            "4097 instructions, and the kernel takes at most 4096",
        ),
        ("large.bpf", "has more than"),
        ("out.bpf", "instruction 0 leads out of the program"),
        ("execve.bpf", "refuses `execve`"),
        ("memory.bpf", "the kernel takes no such program"),
        ("folder.bpf", "is not a regular file"),
        ("fifo.bpf", "is not a regular file"),
        ("nowhere.bpf", "cannot read the filter nowhere.bpf"),
    ] {
        let stderr = run(&project, &format!("file = {name:?}"), &["true"]).fails(125);
        assert!(stderr.contains(said), "{name}: {stderr}");
        assert!(stderr.contains("sandbox.toml:3:8"), "{name}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_a_diagnostic() {
    let project = Project::new();
    project.write(
        "torn.json",
        "{ \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"syscalls\": [ { ",
    );
    project.write("other.json", "{ \"defaultAction\": \"SCMP_ACT_NOTIFY\" }");
    project.write("large.json", vec![b' '; 1 << 20]);
    project.write("text.txt", "secret");
    project.write(
        "odd.json",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": [\"SCMP_ARCH_S390\"]}",
    );
    nix::unistd::mkfifo(
        &project.path().join("fifo.json"),
        nix::sys::stat::Mode::S_IRUSR,
    )
    .unwrap();
    for (name, said) in [
        (
            "torn.json",
            "torn.json: EOF while parsing an object at line 2 column",
        ),
        (
            "other.json",
            "other.json: unknown variant `SCMP_ACT_NOTIFY`",
        ),
        ("large.json", "has more than"),
        ("fifo.json", "is not a regular file"),
        ("nowhere.json", "cannot read the policy nowhere.json"),
        (
            "text.txt",
            "a file that ends in `.json`, a compiled filter one that ends in `.bpf`",
        ),
        ("odd.json", "is not among its architectures"),
    ] {
        let stderr = run(&project, &format!("file = {name:?}"), &["true"]).fails(125);
        assert!(stderr.contains(said), "{name}: {stderr}");
        assert!(stderr.contains("sandbox.toml:3:"), "{name}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    let both = run(
        &project,
        "preset = \"strict\"\nfile = \"other.json\"",
        &["true"],
    )
    .fails(125);
    assert!(
        both.contains("a filter starts from a preset or from a file"),
        "{both}"
    );
}
