//! The program does what the verdict says, for every number, architecture and argument.

use super::*;
use libc::{BPF_ALU, BPF_AND};
use proptest::prelude::*;

/// What the kernel's interpreter would return, for the instructions that filters here are made of.
fn evaluate(program: &[sock_filter], nr: u32, arch: u32, args: &[u64; 6]) -> u32 {
    let mut data = vec![nr, arch, 0, 0];
    for arg in args {
        data.extend([(arg & 0xffff_ffff) as u32, (arg >> 32) as u32]);
    }
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let code = u32::from(code);
        at += 1;
        let holds = match code {
            c if c == BPF_RET | BPF_K => return k,
            c if c == BPF_LD | BPF_W | BPF_ABS => {
                accumulator = data[k as usize / 4];
                continue;
            }
            c if c == BPF_ALU | BPF_AND | BPF_K => {
                accumulator &= k;
                continue;
            }
            c if c == BPF_JMP | BPF_JA => {
                at += k as usize;
                continue;
            }
            c if c == BPF_JMP | BPF_JEQ | BPF_K => accumulator == k,
            c if c == BPF_JMP | BPF_JGE | BPF_K => accumulator >= k,
            _ => panic!("instruction {code:#x} at {at}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

/// What the documentation promises, by the shortest way.
fn promised(policy: &Policy, nr: u32, arch: u32, args: &[u64; 6]) -> u32 {
    let verdict = if arch != NATIVE.0 || nr >= X32_BIT {
        Verdict::Errno(ENOSYS)
    } else {
        Sysno::new(nr as usize).map_or(policy.unlisted(), |call| policy.verdict(call))
    };
    match verdict {
        Verdict::Allow => SECCOMP_RET_ALLOW,
        Verdict::Errno(errno) => refusal(errno),
        Verdict::Conditional(condition) if condition.permits(args) => SECCOMP_RET_ALLOW,
        Verdict::Conditional(condition) => refusal(condition.errno),
    }
}

fn compiled(policy: &Policy) -> Vec<sock_filter> {
    policy.compile().unwrap().unwrap()
}

fn any_call() -> impl Strategy<Value = Sysno> {
    (0..Sysno::table_size()).prop_filter_map("a gap", Sysno::new)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let calls = || prop::collection::vec(any_call(), 0..40);
    (prop::sample::select(Preset::ALL), calls(), calls()).prop_map(|(preset, allow, deny)| Policy {
        preset,
        allow,
        deny,
    })
}

fn any_number() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0..600_u32,
        1 => (0..600_u32).prop_map(|nr| nr | X32_BIT),
        1 => any::<u32>(),
    ]
}

fn any_arch() -> impl Strategy<Value = u32> {
    // i386, arm, and the two natives, of which one is foreign.
    const FOREIGN: &[u32] = &[0x4000_0003, 0x4000_0028, 0xc000_003e, 0xc000_00b7];
    prop_oneof![
        8 => Just(NATIVE.0),
        1 => prop::sample::select(FOREIGN),
        1 => any::<u32>(),
    ]
}

fn any_argument() -> impl Strategy<Value = u64> {
    const VALUES: &[u64] = &[
        0x5412, 0x541c, 0, 1, 2, 3, 5, 10, 16, 40, 0o100, 0o4755, 0o2755, 0o644, 0x4_0000,
    ];
    prop_oneof![
        4 => prop::sample::select(VALUES),
        2 => prop::sample::select(VALUES).prop_map(|low| low | 0xffff_ffff_0000_0000),
        2 => (0..32).prop_map(|bit| 1_u64 << bit),
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn program_does_what_verdict_says(
        policy in any_policy(),
        probes in prop::collection::vec(
            (any_number(), any_arch(), prop::array::uniform6(any_argument())), 50),
    ) {
        let Some(program) = policy.compile().unwrap() else {
            prop_assert!(policy.is_off());
            return Ok(());
        };
        for (nr, arch, args) in probes {
            prop_assert_eq!(
                evaluate(&program, nr, arch, &args),
                promised(&policy, nr, arch, &args),
                "call {} of {:#x} with {:x?}", nr, arch, args
            );
        }
    }
}

#[test]
fn program_does_what_verdict_says_for_every_number() {
    let deny_one = Policy {
        deny: vec![Sysno::ptrace],
        ..Policy::from(Preset::Off)
    };
    for policy in [
        Policy::from(Preset::Default),
        Policy::from(Preset::Strict),
        deny_one,
    ] {
        let program = compiled(&policy);
        for nr in (0..2000)
            .chain(X32_BIT - 2..X32_BIT + 600)
            .chain([u32::MAX])
        {
            for args in [[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]] {
                for arch in [NATIVE.0, 0x4000_0003] {
                    let expected = promised(&policy, nr, arch, &args);
                    assert_eq!(evaluate(&program, nr, arch, &args), expected, "call {nr}");
                }
            }
        }
    }
}

#[test]
fn always_allowed_calls_load_no_argument() {
    let program = compiled(&Policy::from(Preset::Default));
    for nr in 0..600 {
        let call = Sysno::new(nr as usize);
        if call.map(|call| Policy::from(Preset::Default).verdict(call)) != Some(Verdict::Allow) {
            continue;
        }
        let (mut at, mut loads) = (0, Vec::new());
        while u32::from(program[at].code) != BPF_RET | BPF_K {
            let sock_filter { code, jt, jf, k } = program[at];
            let taken = match u32::from(code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    loads.push(k);
                    jt
                }
                c if c == BPF_JMP | BPF_JGE | BPF_K && nr < k => jf,
                _ => jt,
            };
            at += 1 + usize::from(taken);
        }
        assert_eq!(loads, [DATA_ARCH, DATA_NR], "call {nr}");
    }
}

#[test]
fn off_has_no_program_unless_something_is_denied() {
    assert!(Policy::from(Preset::Off).compile().unwrap().is_none());
    let deny = Policy {
        deny: vec![Sysno::ptrace],
        ..Policy::from(Preset::Off)
    };
    assert!(deny.compile().unwrap().is_some());
    assert_eq!(deny.verdict(Sysno::ptrace), Verdict::Errno(EPERM));
    assert_eq!(deny.verdict(Sysno::mount), Verdict::Allow);
}

#[test]
fn allow_lifts_conditions_and_deny_wins() {
    let policy = Policy {
        preset: Preset::Default,
        allow: vec![Sysno::socket, Sysno::bpf, Sysno::kill],
        deny: vec![Sysno::kill],
    };
    assert_eq!(policy.verdict(Sysno::socket), Verdict::Allow);
    assert_eq!(policy.verdict(Sysno::bpf), Verdict::Allow);
    assert_eq!(policy.verdict(Sysno::kill), Verdict::Errno(EPERM));
}

#[test]
fn far_targets_are_reached_by_stepping_stones() {
    // Alternating verdicts on neighbours make the largest tree there can be.
    let every = (0..Sysno::table_size()).filter_map(Sysno::new);
    let deny = every.filter(|call| call.id() % 2 == 0).collect();
    let policy = Policy {
        deny,
        ..Policy::from(Preset::Default)
    };
    let program = compiled(&policy);
    assert!(program.len() > 255, "{}", program.len());
    for nr in 0..600 {
        let expected = promised(&policy, nr, NATIVE.0, &[0; 6]);
        assert_eq!(
            evaluate(&program, nr, NATIVE.0, &[0; 6]),
            expected,
            "call {nr}"
        );
    }
}

#[test]
fn condition_without_rows_is_an_error_and_not_a_permission() {
    let condition = Condition {
        summary: "",
        errno: EPERM,
        rows: &[],
    };
    assert!(matches!(
        condition_block(&condition),
        Err(CompileError::Form)
    ));
}

#[test]
fn too_long_programs_are_an_error() {
    let mut program = Backwards::default();
    for _ in 0..=MAX_LEN {
        program.push(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    assert!(matches!(program.finish(), Err(CompileError::TooLong(4097))));
}

#[test]
fn names_are_parsed_with_a_suggestion() {
    assert_eq!(parse_call("openat"), Ok(Sysno::openat));
    assert_eq!(parse_call("newfstatat"), parse_call("fstatat"));
    assert!(parse_call("fstatat").is_ok());
    let unknown = parse_call("umonut2").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "unknown system call `umonut2`, did you mean `umount2`?"
    );
    assert_eq!(parse_call("xyzzy").unwrap_err().suggestion, None);
    #[cfg(target_arch = "x86_64")]
    assert!(parse_call("futex_time64").unwrap_err().elsewhere);
    #[cfg(target_arch = "aarch64")]
    assert!(parse_call("open").unwrap_err().elsewhere);
}

#[test]
fn verdicts_read_as_sentences() {
    let policy = Policy::from(Preset::Default);
    let say = |call| policy.verdict(call).to_string();
    assert_eq!(say(Sysno::read), "allowed");
    assert_eq!(say(Sysno::clone3), "refused with ENOSYS");
    assert_eq!(
        say(Sysno::clone),
        "allowed if the flags ask for no namespace, else refused with EPERM"
    );
}
