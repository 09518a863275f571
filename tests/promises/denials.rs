//! Every refused call is told of in the end, with the line that refuses it; the command notices nothing.

use crate::support::{Done, Project, done};
use std::io::Read as _;
use std::process::{Command, Stdio};

/// A call that a script makes, and what is told of it.
struct Case {
    /// Its number, and its arguments as Python writes them.
    number: libc::c_long,
    arguments: &'static str,
    /// How it is told: empty if it is not.
    told: &'static str,
    errno: i32,
    /// What refuses it, and the line.
    rule: &'static str,
    /// A part of what is to be written.
    remedy: &'static str,
}

const DEFAULT: &str = "seccomp preset \"default\"  default of seccomp.preset";

fn case(
    number: libc::c_long,
    arguments: &'static str,
    told: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        number,
        arguments,
        told,
        errno: libc::EPERM,
        rule: DEFAULT,
        remedy,
    }
}

/// What the default preset refuses.
fn cases() -> Vec<Case> {
    let family = |arguments, told, remedy| Case {
        errno: libc::EAFNOSUPPORT,
        ..case(libc::SYS_socket, arguments, told, remedy)
    };
    vec![
        case(
            libc::SYS_mount,
            "b'none', b'/mnt', b'tmpfs', 4, 0",
            "mount(\"none\", \"/mnt\", \"tmpfs\", MS_NODEV, …)",
            "allow = [\"mount\"]",
        ),
        case(
            libc::SYS_umount2,
            "b'/proc', 2",
            "umount2(\"/proc\", MNT_DETACH)",
            "allow = [\"umount2\"]",
        ),
        case(
            libc::SYS_pivot_root,
            "b'.', b'/o\\x1bd'",
            "pivot_root(\".\", \"/o\\u{1b}d\")",
            "allow = [\"pivot_root\"]",
        ),
        case(
            libc::SYS_chroot,
            "b'/tmp'",
            "chroot(\"/tmp\")",
            "allow = [\"chroot\"]",
        ),
        case(
            libc::SYS_fsopen,
            "b'tmpfs', 0",
            "fsopen(\"tmpfs\", 0x0)",
            "allow = [\"fsopen\"]",
        ),
        case(
            libc::SYS_open_tree,
            "-100, b'/', 1",
            "open_tree(AT_FDCWD, \"/\", 0x1)",
            "allow = [\"open_tree\"]",
        ),
        case(
            libc::SYS_move_mount,
            "9, b'', -100, b'/mnt', 4",
            "move_mount(9, \"\", AT_FDCWD, \"/mnt\", 0x4)",
            "allow = [\"move_mount\"]",
        ),
        case(
            libc::SYS_mount_setattr,
            "-100, b'/', 0, 0, 0",
            "mount_setattr(AT_FDCWD, \"/\", 0x0, …)",
            "allow = [\"mount_setattr\"]",
        ),
        case(
            libc::SYS_unshare,
            "0x10020000",
            "unshare(CLONE_NEWNS|CLONE_NEWUSER)",
            "nested_user = true",
        ),
        case(
            libc::SYS_setns,
            "1, 0x40000000",
            "setns(1, CLONE_NEWNET)",
            "allow = [\"setns\"]",
        ),
        case(
            libc::SYS_clone,
            "0x10000011, 0, 0, 0, 0",
            "clone(CLONE_NEWUSER|SIGCHLD, …)",
            "nested_user = true",
        ),
        family(
            "40, 1, 0",
            "socket(AF_VSOCK, SOCK_STREAM, 0)",
            "{ calls = \"socket\", when = [{ arg = 0, is = 0x28 }] }",
        ),
        family("38, 5, 0", "socket(AF_ALG, SOCK_SEQPACKET, 0)", "is = 0x26"),
        family(
            "16, 3, 9",
            "socket(AF_NETLINK, SOCK_RAW, 9)",
            "{ arg = 2, is = 0x9 }",
        ),
        family(
            "17, 0x80003, 0",
            "socket(AF_PACKET, SOCK_RAW, 0)",
            "is = 0x11",
        ),
        case(
            libc::SYS_ioctl,
            "0, 0x5412, 0",
            "ioctl(0, TIOCSTI, …)",
            "is = 0x5412",
        ),
        case(
            libc::SYS_ioctl,
            "0, 0x541c, 0",
            "ioctl(0, TIOCLINUX, …)",
            "is = 0x541c",
        ),
        case(
            libc::SYS_personality,
            "0x400000",
            "personality(0x400000)",
            "is = 0x400000",
        ),
        case(
            libc::SYS_fchmod,
            "1, 0o2755",
            "fchmod(1, 0o2755)",
            "mask = 0o6000, is = 0o2000",
        ),
        case(
            libc::SYS_fchmodat,
            "-100, b'/tmp', 0o4755",
            "fchmodat(AT_FDCWD, \"/tmp\", 0o4755)",
            "is = 0o4000",
        ),
        case(
            libc::SYS_mknodat,
            "-100, b'/tmp/x', 0o104755, 0",
            "mknodat(AT_FDCWD, \"/tmp/x\", 0o104755)",
            "is = 0o4000",
        ),
        case(
            libc::SYS_openat,
            "-100, b'/tmp/y', 0x41, 0o4755",
            "openat(AT_FDCWD, \"/tmp/y\", 0x41, 0o4755)",
            "allow = [{ calls = \"openat\"",
        ),
        case(libc::SYS_bpf, "5, 0, 0", "bpf(5, …)", "allow = [\"bpf\"]"),
        case(
            libc::SYS_perf_event_open,
            "0, 0, -1, -1, 8",
            "perf_event_open(…, 0, -1, -1, 0x8)",
            "allow = [\"perf_event_open\"]",
        ),
        case(
            libc::SYS_userfaultfd,
            "1",
            "userfaultfd(0x1)",
            "allow = [\"userfaultfd\"]",
        ),
        case(
            libc::SYS_syslog,
            "10, 0, 0",
            "syslog(10, …)",
            "allow = [\"syslog\"]",
        ),
        case(
            libc::SYS_fanotify_init,
            "1, 2",
            "fanotify_init(0x1, 0x2)",
            "allow = [\"fanotify_init\"]",
        ),
        case(
            libc::SYS_name_to_handle_at,
            "-100, b'/', 0, 0, 0",
            "name_to_handle_at(AT_FDCWD, \"/\", …)",
            "allow = [\"name_to_handle_at\"]",
        ),
        case(
            libc::SYS_pidfd_getfd,
            "9, 8, 0",
            "pidfd_getfd(9, 8, 0x0)",
            "allow = [\"pidfd_getfd\"]",
        ),
        case(
            libc::SYS_kcmp,
            "1, 2, 0, 0, 0",
            "kcmp(1, 2, 0, …)",
            "allow = [\"kcmp\"]",
        ),
        case(
            libc::SYS_finit_module,
            "9, b'', 0",
            "finit_module(9, \"\", 0x0)",
            "allow = [\"finit_module\"]",
        ),
        case(
            libc::SYS_delete_module,
            "b'x', 0",
            "delete_module(\"x\", 0x0)",
            "allow = [\"delete_module\"]",
        ),
        case(
            libc::SYS_init_module,
            "0, 0, 0",
            "init_module(…)",
            "allow = [\"init_module\"]",
        ),
        case(
            libc::SYS_clock_settime,
            "0, 0",
            "clock_settime(0, …)",
            "allow = [\"clock_settime\"]",
        ),
        case(
            libc::SYS_swapoff,
            "b'/swap'",
            "swapoff(\"/swap\")",
            "allow = [\"swapoff\"]",
        ),
        case(libc::SYS_acct, "0", "acct(NULL)", "allow = [\"acct\"]"),
        case(
            libc::SYS_sethostname,
            "b'name', 4",
            "sethostname(\"name\")",
            "allow = [\"sethostname\"]",
        ),
        case(libc::SYS_vhangup, "", "vhangup(…)", "allow = [\"vhangup\"]"),
    ]
}

/// What is refused or allowed, and not told of.
fn quiet() -> Vec<(libc::c_long, &'static str)> {
    vec![
        (libc::SYS_clone3, "0, 0"),
        (libc::SYS_openat2, "-100, b'/', 0, 0"),
        (libc::SYS_io_uring_setup, "1, 0"),
        (libc::SYS_keyctl, "0, 0"),
        (1000, "1"),
        (libc::SYS_getppid, ""),
        (libc::SYS_openat, "-100, b'/nowhere', 0"),
        (libc::SYS_fchmodat, "-100, b'/etc/passwd', 0o644"),
        (libc::SYS_socket, "1, 1, 0"),
        (libc::SYS_kill, "0, 0"),
    ]
}

/// A script that makes calls by their numbers, and prints what became of each.
fn script(project: &Project, calls: impl IntoIterator<Item = (libc::c_long, String)>) {
    let mut text = "import ctypes, struct\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def call(number, *arguments):\n\
        \x20   given = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]\n\
        \x20   ctypes.set_errno(0)\n\
        \x20   done = libc.syscall(ctypes.c_long(number), *given)\n\
        \x20   print(number, 'failed' if done == -1 else 'done', ctypes.get_errno())\n"
        .to_owned();
    for (number, arguments) in calls {
        text.push_str(&format!("call({number}, {arguments})\n"));
    }
    project.write("calls.py", text);
}

fn run(project: &Project, profile: &str) -> Done {
    let words = ["/usr/bin/python3", "calls.py"];
    done(&mut project.command(&format!("version = 1\n{profile}"), &words))
}

/// What is told: the first line of each denial, and its remedy.
fn told(run: &Done) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in run.stderr.lines() {
        let line = line
            .strip_prefix("sandbox: ")
            .unwrap_or_else(|| panic!("{line}: {run:?}"));
        if let Some(denied) = line.strip_prefix("denied: ") {
            all.push((denied.to_owned(), String::new()));
        } else if let Some(remedy) = line.trim_start().strip_prefix("to allow it: ") {
            all.last_mut().unwrap().1 = remedy.to_owned();
        } else {
            assert!(
                line.trim_start()
                    .starts_with("it is permitted only if the "),
                "{line}"
            );
        }
    }
    all
}

#[test]
fn each_refused_call_is_told_once_with_its_rule_its_line_and_a_remedy() {
    let project = Project::new();
    let cases = cases();
    assert!(cases.len() >= 30);
    let refused = cases
        .iter()
        .map(|case| (case.number, case.arguments.to_owned()));
    let others = quiet()
        .into_iter()
        .map(|(number, arguments)| (number, arguments.to_owned()));
    script(&project, refused.chain(others));
    let silent = run(&project, "[seccomp]\ndenials = \"silent\"");
    let output = silent.clone().ok();
    let lines: Vec<_> = output.lines().collect();
    for (case, line) in cases.iter().zip(&lines) {
        assert_eq!(
            *line,
            format!("{} failed {}", case.number, case.errno),
            "{}",
            case.told
        );
    }
    let run = run(&project, "");
    // The command sees the same, and ends in the same way.
    assert_eq!((run.code, &run.stdout), (0, &output));
    let told = told(&run);
    for (case, (what, remedy)) in cases.iter().zip(&told) {
        let errno = nix::errno::Errno::from_raw(case.errno);
        let start = format!("{} by python3[2]: {errno:?} ", case.told);
        assert!(what.starts_with(&start), "{what}\n{start}");
        assert!(what.ends_with(&format!("  {}", case.rule)), "{what}");
        assert!(remedy.contains(case.remedy), "{what}: {remedy}");
    }
    assert_eq!(told.len(), cases.len(), "{told:#?}");
}

#[test]
fn a_line_of_the_profile_is_named_and_not_another_one() {
    let project = Project::new();
    let kill = |signal: i32| (libc::SYS_kill, format!("0x7fffffff, {signal}"));
    script(
        &project,
        [
            (libc::SYS_chdir, "b'/'".to_owned()),
            (libc::SYS_chdir, "b'/'".to_owned()),
            kill(10),
            kill(12),
            kill(1),
            (libc::SYS_getpriority, "0, 0".to_owned()),
            (libc::SYS_setpriority, "0, 0, 5".to_owned()),
            (libc::SYS_personality, "0x8".to_owned()),
            (libc::SYS_mount, "0, 0, 0, 0, 0".to_owned()),
        ],
    );
    let run = run(
        &project,
        "[seccomp]
deny = [
    \"chdir\",
    { calls = \"kill\", when = [{ arg = 1, is = 10 }], with = \"EXDEV\" },
    { calls = \"kill\", when = [{ arg = 1, is = 12 }], with = \"EDOM\" },
    { calls = \"@resources\", with = 1337 },
    { calls = \"personality\", with = 0 },
]
allow = [{ calls = \"mount\", when = [{ arg = 3, is = 4096 }], with = \"ENOTTY\" }]",
    );
    let told: Vec<_> = told(&run).into_iter().map(|(what, _)| what).collect();
    for (at, (start, end)) in [
        (
            "chdir(\"/\") 2 times by python3[2]: EPERM ",
            "  seccomp deny \"chdir\"  sandbox.toml:4",
        ),
        (
            "kill(2147483647, 10) by python3[2]: EXDEV ",
            "  seccomp deny \"kill\"  sandbox.toml:5",
        ),
        (
            "kill(2147483647, 12) by python3[2]: EDOM ",
            "  seccomp deny \"kill\"  sandbox.toml:6",
        ),
        (
            "setpriority(0, 0, 5) by python3[2]: refused with errno 1337 ",
            "  seccomp deny \"@resources\"  sandbox.toml:7",
        ),
        (
            "mount(NULL, NULL, NULL, 0, …) by python3[2]: ENOTTY ",
            "  seccomp allow \"mount\"  sandbox.toml:10",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let what = told.get(at).unwrap_or_else(|| panic!("{run:?}"));
        assert!(what.starts_with(start) && what.ends_with(end), "{what}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn addresses_are_told_as_profiles_write_them() {
    let project = Project::new();
    let v4 = "struct.pack('=HH4s8x', 2, int.from_bytes(struct.pack('>H', 443), __import__('sys').byteorder), bytes([140, 82, 112, 3])), 16";
    script(
        &project,
        [
            (libc::SYS_connect, format!("9, {v4}")),
            (
                libc::SYS_connect,
                "9, b'\\x01\\0/run/docker.sock\\0', 19".to_owned(),
            ),
            (libc::SYS_bind, "9, b'\\x01\\0\\0na\\nme', 8".to_owned()),
            (libc::SYS_bind, "9, 0x10, 16".to_owned()),
        ],
    );
    let run = run(&project, "[seccomp]\ndeny = [\"connect\", \"bind\"]");
    let told: Vec<_> = told(&run).into_iter().map(|(what, _)| what).collect();
    for (at, start) in [
        "connect(9, 140.82.112.3:443) by",
        "connect(9, unix:/run/docker.sock) by",
        "bind(9, unix-abstract:na\\nme) by",
        "bind(9, …) by",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(told[at].starts_with(start), "{told:#?}");
    }
}

#[test]
fn an_allow_list_that_refuses_the_hand_over_tells_as_well() {
    let project = Project::new();
    script(
        &project,
        [
            (libc::SYS_chroot, "b'/'".to_owned()),
            (libc::SYS_sendmsg, "9, 0, 0".to_owned()),
            (libc::SYS_seccomp, "3, 0, 0".to_owned()),
        ],
    );
    let run = run(
        &project,
        "[seccomp]\npreset = \"none\"\nrefuse = \"EACCES\"\nallow = [\"@system-service\"]\ndeny = [\"sendmsg\", \"seccomp\", \"chroot\"]",
    );
    let refused = format!("failed {}\n", libc::EACCES);
    assert_eq!(run.stdout.matches(&refused).count(), 3, "{run:?}");
    let told = told(&run);
    let chroot = told
        .iter()
        .find(|(what, _)| what.starts_with("chroot(\"/\") "));
    assert!(
        chroot
            .unwrap()
            .0
            .ends_with("seccomp deny \"chroot\"  sandbox.toml:6"),
        "{told:?}"
    );
}

/// A program that makes refused calls without an end, or so many.
fn flooder(project: &Project) {
    project.write(
        "flood.c",
        "#define _GNU_SOURCE
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            long left = argc > 1 ? atol(argv[1]) : -1;
            puts(\"go\"); fflush(stdout);
            for (long i = 0; i != left; i++) {
                char path[32];
                snprintf(path, sizeof path, \"/mnt/%ld\", i);
                if (syscall(SYS_chroot, path) != -1 || syscall(SYS_reboot, i, i, i, 0) != -1) return 1;
            }
            puts(\"end\");
        }",
    );
    let built = Command::new("cc")
        .current_dir(project.path())
        .args(["-O1", "-o", "flood", "flood.c"])
        .status()
        .unwrap();
    assert!(built.success());
}

/// Kilobytes that a process has used at most.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_flood_of_refused_calls_is_counted_to_the_last_and_takes_no_room() {
    let project = Project::new();
    flooder(&project);
    let calls = 6_000_u64;
    let mut child = project
        .command("version = 1", &["./flood", &(calls / 2).to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = crate::support::finished(child.wait_with_output().unwrap());
    assert_eq!((run.code, &*run.stdout), (0, "go\nend\n"), "{run:?}");
    assert!(most > 0 && most < 40_000, "{most} kB");
    assert!(run.stderr.lines().count() < 20, "{run:?}");
    let mut counted = 0;
    for line in run.stderr.lines().filter(|line| line.contains("denied: ")) {
        let words: Vec<_> = line.split(' ').collect();
        let times = words
            .iter()
            .position(|word| word.trim_end_matches(':') == "times");
        let more = words.iter().position(|word| *word == "more");
        counted += match (times, more) {
            (Some(at), _) | (None, Some(at)) => words[at - 1].parse().unwrap(),
            (None, None) => 1,
        };
    }
    assert_eq!(counted, calls, "{run:?}");
}

#[test]
fn a_time_limit_holds_in_a_flood() {
    let project = Project::new();
    flooder(&project);
    let run = done(&mut project.command("version = 1\n[limits]\nwall_time = \"1s\"", &["./flood"]));
    assert_eq!((run.code, &*run.stdout), (124, "go\n"), "{run:?}");
    assert!(
        run.stderr.contains("killed: wall time of 1s reached"),
        "{run:?}"
    );
    assert!(run.stderr.contains("denied: chroot(…) "), "{run:?}");
}

#[test]
fn without_a_supervisor_nobody_waits_for_an_answer() {
    let project = Project::new();
    flooder(&project);
    let mut child = project
        .command("version = 1", &["./flood"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut start = [0; 3];
    output.read_exact(&mut start).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    // The end of the output is the end of everybody who could write to it.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_listener_around_the_sandbox_leaves_the_refusals_as_they_are() {
    let project = Project::new();
    script(&project, [(libc::SYS_chroot, "b'/'".to_owned())]);
    project.write("sandbox.toml", "version = 1");
    project.write(
        "around.py",
        format!(
            "import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
allow = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0x7fff0000))
program = struct.pack('=H6xQ', 1, ctypes.addressof(allow))
listener = libc.syscall({}, 1, 8, program)
if listener < 0: sys.exit('no listener')
os.set_inheritable(listener, True)
os.execv(sys.argv[1], sys.argv[1:])
",
            libc::SYS_seccomp
        ),
    );
    let program = crate::support::program();
    let mut around = Command::new("/usr/bin/python3");
    around
        .current_dir(project.path())
        .args(["around.py", program.to_str().unwrap()])
        .args(["-p", "sandbox.toml", "--", "/usr/bin/python3", "calls.py"]);
    let run = done(&mut around);
    let refused = format!("{} failed {}\n", libc::SYS_chroot, libc::EPERM);
    assert_eq!((run.code, &*run.stderr, run.stdout), (0, "", refused));
}

#[test]
fn the_command_cannot_take_over_the_listener_for_what_is_refused() {
    let project = Project::new();
    // A filter that would hand everything to a listener of the command's own.
    project.write(
        "own.py",
        format!(
            "import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0x7fff0000))
program = struct.pack('=H6xQ', 1, ctypes.addressof(allow))
print('opened' if libc.syscall({}, 1, 8, program) >= 0 else ctypes.get_errno())
",
            libc::SYS_seccomp
        ),
    );
    let of = |denials: &str| {
        let profile = format!("version = 1\n[seccomp]\ndenials = {denials:?}");
        done(&mut project.command(&profile, &["/usr/bin/python3", "own.py"]))
    };
    let run = of("tell");
    assert_eq!(run.stdout, format!("{}\n", libc::EBUSY), "{run:?}");
    let told = told(&run);
    let [(what, remedy)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        what.starts_with("seccomp(1, SECCOMP_FILTER_FLAG_NEW_LISTENER, …) by"),
        "{what}"
    );
    assert_eq!(remedy, "[seccomp] denials = \"silent\"");
    assert_eq!(of("silent").ok(), "opened\n");
}

#[test]
fn what_is_told_names_the_program_and_not_each_of_its_processes() {
    let project = Project::new();
    script(&project, [(libc::SYS_chroot, "b'/'".to_owned())]);
    let run = project.run(
        "version = 1",
        "for i in 1 2 3; do /usr/bin/python3 calls.py >/dev/null; done",
    );
    let told = told(&run);
    let [(what, _)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        what.starts_with("chroot(\"/\") 3 times by python3["),
        "{what}"
    );
    assert!(what.contains("] and others: EPERM "), "{what}");
}
