//! `foreign = "same"`: calls of the machine's other ABI have the policy of the native ones, and no other.
#![cfg(target_arch = "x86_64")]

use crate::support::{Done, Project, done, skip};

/// Functions that make calls by `int 0x80`, and natively: each returns what the kernel does, an errno negated. Pointers
/// of i386 have 32 bits, so that what they lead to is put where such numbers do.
const PRELUDE: &str = r"
import ctypes, mmap, os, struct
low = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
start = ctypes.addressof(ctypes.c_char.from_buffer(low))
assert start + 8192 < 1 << 32
# push rbx; mov eax, edi; mov rbx, rsi; xchg rcx, rdx; mov rsi, r8; mov rdi, r9; int 0x80; pop rbx; ret
low[:19] = bytes.fromhex('53 89f8 4889f3 4887d1 4c89c6 4c89cf cd80 5b c3')
entrance = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_ulong] * 5)(start)
libc = ctypes.CDLL(None, use_errno=True)
taken = 4096
def at(contents):
    global taken
    low[taken:taken + len(contents) + 1] = contents + b'\0'
    taken += len(contents) + 16 & ~15
    return start + taken - (len(contents) + 16 & ~15)
def numbers(arguments):
    given = [at(a) if isinstance(a, bytes) else a for a in arguments]
    return given + [0] * (5 - len(given))
def foreign(number, *arguments): return entrance(number, *numbers(arguments))
def native(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(a) for a in numbers(arguments)])
    return -ctypes.get_errno() if done == -1 else done
";

/// Whether this kernel takes calls of i386 at all; says so if not.
fn has_i386(test: &str) -> bool {
    let project = Project::new();
    let run = python(
        &project,
        "preset = \"off\"",
        "print(foreign(20) == os.getpid())",
    );
    // Without them, `int 0x80` is a fault, or answered with ENOSYS.
    let killed = run.code == 128 + libc::SIGSEGV || run.code == 128 + libc::SIGILL;
    match run.stdout.as_str() {
        "True\n" => true,
        said if killed || said == "False\n" => {
            skip(test, "the kernel takes no calls of i386");
            false
        }
        _ => panic!("{run:?}"),
    }
}

fn python(project: &Project, seccomp: &str, script: &str) -> Done {
    project.write("calls.py", format!("{PRELUDE}{script}\n"));
    let profile = format!("version = 1\n[seccomp]\n{seccomp}\n");
    done(&mut project.command(&profile, &["/usr/bin/python3", "calls.py"]))
}

/// A 32-bit program without a library, which says so and ends.
fn program() -> Vec<u8> {
    const BASE: u32 = 0x1_0000;
    const HEADERS: u32 = 52 + 32;
    let text = b"32 bits\n";
    // mov eax, 4 (write); mov ebx, 1; mov ecx, text; mov edx, length; int 0x80; mov eax, 1 (exit); xor ebx, ebx;
    // int 0x80; ud2
    let mut code = vec![0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9];
    let end = [
        0xba, 8, 0, 0, 0, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80, 0x0f, 0x0b,
    ];
    let address = BASE + HEADERS + (code.len() + 4 + end.len()) as u32;
    code.extend(address.to_le_bytes());
    code.extend(end);
    code.extend(text);
    let size = HEADERS + code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // An executable for EM_386, of version 1.
    file.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // One segment, all of the file, to be read and executed.
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

#[test]
fn a_32_bit_program_runs_where_the_profile_judges_its_calls_as_others() {
    if !has_i386("a_32_bit_program_runs_where_the_profile_judges_its_calls_as_others") {
        return;
    }
    let project = Project::new();
    project.executable("program", program());
    let run = |seccomp: &str| {
        let profile = format!("version = 1\n[seccomp]\n{seccomp}\n");
        done(&mut project.command(&profile, &["./program"]))
    };
    for preset in ["default", "build", "network-client", "strict"] {
        let said = run(&format!("preset = {preset:?}\nforeign = \"same\"")).ok();
        assert_eq!(said, "32 bits\n", "{preset}");
        let refused = run(&format!("preset = {preset:?}"));
        assert_eq!(refused.stdout, "", "{preset}: {refused:?}");
        assert_ne!(refused.code, 0, "{preset}");
    }
    // Of an allow-list, the same entries count.
    let list = "preset = \"none\"\nforeign = \"same\"";
    assert_eq!(run(list).ok(), "32 bits\n");
    let denied =
        run("foreign = \"same\"\ndeny = [{ calls = \"write\", when = [{ arg = 0, is = 1 }] }]");
    assert_eq!((denied.code, denied.stdout.as_str()), (0, ""), "{denied:?}");
}

/// Numbers of a call in both ABIs, its arguments as Python writes them, and the errno.
const REFUSED: &[(u32, u32, &str, i32)] = &[
    (165, 21, "b'none', b'/mnt', b'tmpfs', 4, 0", libc::EPERM),
    (166, 22, "b'/proc', 0", libc::EPERM),
    (272, 310, "0x10000000", libc::EPERM),
    (308, 346, "1, 0", libc::EPERM),
    (161, 61, "b'/'", libc::EPERM),
    (155, 217, "b'/', b'/'", libc::EPERM),
    (321, 357, "9999, 0, 0", libc::EPERM),
    (
        298,
        336,
        "0, 0, (1 << 32) - 1, (1 << 32) - 1, 0",
        libc::EPERM,
    ),
    (250, 288, "0, 0", libc::ENOSYS),
    (425, 425, "1, 0", libc::ENOSYS),
    (435, 435, "0, 0", libc::ENOSYS),
    (16, 54, "0, 0x5412, b'x'", libc::EPERM),
    (16, 54, "0, 0x5412 | 1 << 32, b'x'", libc::EPERM),
    (16, 54, "0, 0x541c | 7 << 33, b'x'", libc::EPERM),
    (56, 120, "0x10000011", libc::EPERM),
    (41, 359, "40, 1, 0", libc::EAFNOSUPPORT),
    (41, 359, "40 | 1 << 32, 1, 0", libc::EAFNOSUPPORT),
    (41, 359, "38, 5, 0", libc::EAFNOSUPPORT),
    (53, 360, "2, 1, 0, b''", libc::EAFNOSUPPORT),
    (90, 15, "b'calls.py', 0o4755", libc::EPERM),
    (91, 94, "1, 0o2755", libc::EPERM),
    (
        268,
        306,
        "(1 << 32) - 100, b'calls.py', 0o4755",
        libc::EPERM,
    ),
    (85, 8, "b'made', 0o4755", libc::EPERM),
    (2, 5, "b'made', 0o101, 0o4755", libc::EPERM),
    (135, 136, "0x400000", libc::EPERM),
    (312, 349, "1, 1, 0, 0, 0", libc::EPERM),
    (304, 342, "-1 & 0xffffffff, 0, 0", libc::EPERM),
    (169, 88, "0, 0, 0, 0", libc::EPERM),
    (164, 79, "1, 0", libc::EPERM),
    (172, 110, "3", libc::EPERM),
    (154, 123, "0, 0, 0", libc::EPERM),
    (317, 354, "1, 8, b''", libc::EBUSY),
];

#[test]
fn what_a_native_call_is_refused_the_call_of_32_bits_is_too() {
    if !has_i386("what_a_native_call_is_refused_the_call_of_32_bits_is_too") {
        return;
    }
    let project = Project::new();
    let mut script = "assert foreign(20) == os.getpid() == native(39)\n".to_owned();
    for (native, foreign, arguments, _) in REFUSED {
        script.push_str(&format!(
            "print(native({native}, {arguments}), foreign({foreign}, {arguments}), flush=True)\n"
        ));
    }
    let run = python(&project, "foreign = \"same\"", &script);
    let expected: Vec<_> = REFUSED
        .iter()
        .map(|(.., errno)| format!("-{errno} -{errno}"))
        .collect();
    let found: Vec<_> = run.stdout.lines().collect();
    assert_eq!(found, expected, "{run:?}");
    // They are told of by the names of their own table.
    for told in [
        "denied: i386 mount(\"none\", \"/mnt\", \"tmpfs\", MS_NODEV, …)",
        "denied: i386 umount(\"/proc\")",
        "denied: i386 socket(AF_VSOCK, SOCK_STREAM, 0)",
        "denied: i386 chmod(\"calls.py\", 0o4755)",
        "denied: mount(\"none\", \"/mnt\", \"tmpfs\", MS_NODEV, …)",
    ] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    let strict = python(
        &project,
        "preset = \"strict\"\nforeign = \"same\"",
        "print([native(101, 0, 0, 0, 0), native(41, 1, 1, 0), native(53, 1, 2, 0, 0)])\n\
         print([foreign(26, 0, 0, 0, 0), foreign(359, 1, 1, 0), foreign(360, 1, 2, 0, 0)])",
    );
    let line = format!("[-{0}, -{0}, -{1}]\n", libc::EPERM, libc::EAFNOSUPPORT);
    assert_eq!(strict.stdout, line.repeat(2), "{strict:?}");
}

#[test]
fn what_the_kernel_does_not_take_of_a_register_lets_no_condition_be_passed_by() {
    if !has_i386("what_the_kernel_does_not_take_of_a_register_lets_no_condition_be_passed_by") {
        return;
    }
    let project = Project::new();
    let run = python(
        &project,
        "foreign = \"same\"\ndeny = [
            { calls = \"lseek\", when = [{ arg = 0, is = 77, wide = true }], with = 99 },
            { calls = \"kill\", when = [{ arg = 0, is = -1, wide = true }], with = 98 },
            { calls = \"setuid\", when = [{ arg = 0, is = 0 }], with = 97 },
            { calls = \"pread64\", when = [{ arg = 3, is = 5 }], with = 96 },
        ]",
        "high = 5 << 32
print(foreign(19, 77), foreign(19, 77 | high), foreign(19, 78 | high))
print(foreign(37, 0xffffffff, 0), foreign(37, 0xffffffff | high, 0))
# setuid32; and setuid, which takes 16 bits.
print(foreign(213, 0 | high), foreign(23, 0x10000))
print(foreign(180, 0, 0, 0, 5))",
    );
    let [refused, bad, absent] = [99, libc::EBADF, libc::ENOSYS];
    let expected = format!("-{refused} -{refused} -{bad}\n-98 -98\n-97 -{absent}\n-{absent}\n");
    assert_eq!(run.stdout, expected, "{run:?}");
}

#[test]
fn calls_of_32_bits_are_refused_where_the_profile_does_not_say_otherwise() {
    if !has_i386("calls_of_32_bits_are_refused_where_the_profile_does_not_say_otherwise") {
        return;
    }
    let project = Project::new();
    let getpid = "print(foreign(20))";
    assert_eq!(python(&project, "", getpid).ok(), "-38\n");
    let told = python(&project, "foreign = \"EPERM\"", getpid);
    assert_eq!(told.stdout, "-1\n", "{told:?}");
    assert!(told.stderr.contains("denied: i386 getpid("), "{told:?}");
    assert!(
        told.stderr
            .contains("to allow it: [seccomp] foreign = \"same\""),
        "{told:?}"
    );
    let killed = python(&project, "foreign = \"kill\"", getpid);
    assert_eq!(killed.code, 128 + libc::SIGSYS, "{killed:?}");
}

#[test]
fn what_is_many_calls_is_permitted_where_all_are_or_by_its_name() {
    if !has_i386("what_is_many_calls_is_permitted_where_all_are_or_by_its_name") {
        return;
    }
    let project = Project::new();
    let script = "print(*[foreign(102, 1, struct.pack('III', *of)) for of in [(1, 1, 0), (16, 3, 9)]])\n\
        print(foreign(117, 1 << 16 | 3, 0xffff, 0, 0))";
    let of = |seccomp: &str| {
        let run = python(&project, &format!("foreign = \"same\"\n{seccomp}"), script);
        let fields: Vec<i32> = run
            .stdout
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        <[i32; 3]>::try_from(fields).unwrap_or_else(|_| panic!("{run:?}"))
    };
    // ipc(2) reaches the kernel, which has no such semaphore.
    let [unix, audit, ipc] = of("");
    assert_eq!([unix, audit], [-libc::ENOSYS; 2]);
    assert_ne!(ipc, -libc::ENOSYS);
    let [unix, audit, _] = of("allow = [\"socketcall\"]");
    assert!(unix > 0 && audit != -libc::ENOSYS, "{unix} {audit}");
    let denied = of("deny = [{ calls = \"socket\", when = [{ arg = 0, is = 40 }] }, \"semop\"]");
    assert_eq!(denied, [-libc::ENOSYS, -libc::ENOSYS, -libc::EPERM]);
}

#[test]
fn a_policy_for_containers_counts_for_the_architectures_that_it_names() {
    if !has_i386("a_policy_for_containers_counts_for_the_architectures_that_it_names") {
        return;
    }
    let project = Project::new();
    let policy = |arches: &str| {
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": [{arches}], "syscalls": [
                {{ "names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77 }},
                {{ "names": ["stat64"], "action": "SCMP_ACT_ERRNO", "errnoRet": 78 }} ] }}"#
        )
    };
    let script = "print(foreign(64), foreign(20) == os.getpid(), foreign(195, b'/', 0))";
    for (arches, said) in [
        ("\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"", "-77 True -78\n"),
        ("\"SCMP_ARCH_X86_64\"", "-38 False -38\n"),
    ] {
        project.write("policy.json", policy(arches));
        let run = python(&project, "file = \"policy.json\"", script);
        assert_eq!(run.stdout, said, "{arches}: {run:?}");
    }
}

#[test]
fn what_is_answered_about_calls_of_32_bits_is_what_becomes_of_them() {
    let project = Project::new();
    let why = |call: &str| {
        let run = done(&mut project.program(&["why", "sandbox.toml", "call", call]));
        (run.code == 0, run.stdout)
    };
    project.write(
        "sandbox.toml",
        "version = 1\n[seccomp]\nforeign = \"same\"\n",
    );
    for call in [
        "i386 getpid",
        "mmap2",
        "ipc",
        "i386 socket(1, 1, 0)",
        "i386 ioctl(0, 0x5401)",
    ] {
        assert!(why(call).0, "{call}");
    }
    for (call, words) in [
        ("i386 mount", "seccomp preset \"default\""),
        ("i386 ioctl(0, 0x5412)", "TIOCSTI"),
        ("i386 socket(40, 1, 0)", "AF_UNIX"),
        ("socketcall", "where no filter looks"),
    ] {
        let (allowed, said) = why(call);
        assert!(!allowed && said.contains(words), "{call}: {said}");
    }
    project.write("sandbox.toml", "version = 1\n");
    let (allowed, said) = why("i386 getpid");
    assert!(!allowed && said.contains("foreign = \"same\""), "{said}");
}
