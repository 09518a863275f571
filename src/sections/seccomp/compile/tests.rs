//! The program does what the verdict says, for every number, architecture and argument.

use super::super::policy::tests::any_policy;
use super::super::policy::{Entry, Foreign, Policy};
use super::super::presets::Preset;
use super::*;
use libc::EPERM;
use proptest::prelude::*;

/// What the kernel's interpreter would return, for the instructions that filters here are made of.
fn evaluate(program: &[sock_filter], nr: u32, arch: u32, args: &[u64; 6]) -> u32 {
    crate::plan::bpf::answer(program, nr, arch, args).expect("a known instruction")
}

/// What the documentation promises, by the shortest way.
fn promised(policy: &Policy, nr: u32, arch: u32, args: &[u64; 6]) -> u32 {
    let judged = ABI.filter(|abi| abi.architecture == arch && policy.follows());
    let answer = if nr >= X32_BIT || arch != NATIVE.0 && judged.is_none() {
        policy.foreign()
    } else if judged.is_some() {
        let call = I386::new(nr as usize);
        let answer = call.map(|call| policy.foreign_verdict(call).answer(args));
        answer.unwrap_or(policy.unlisted())
    } else {
        let call = Sysno::new(nr as usize);
        call.map_or(policy.unlisted(), |call| policy.verdict(call).answer(args))
    };
    value(answer)
}

fn compiled(policy: &Policy) -> Vec<sock_filter> {
    let program = policy.compile().unwrap().unwrap();
    assert!(is_sound(&program));
    program
}

/// What the kernel looks at before it takes a program: every jump stays inside, and the end is an answer.
fn is_sound(program: &[sock_filter]) -> bool {
    let ends = |i: &sock_filter| u32::from(i.code) == BPF_RET | BPF_K;
    let inside = program.iter().enumerate().all(|(at, i)| {
        let left = program.len() - at - 1;
        match u32::from(i.code) {
            c if c == BPF_JMP | BPF_JA => (i.k as usize) < left,
            c if c & 7 == BPF_JMP => usize::from(i.jt.max(i.jf)) < left,
            _ => true,
        }
    });
    inside && program.last().is_some_and(ends)
}

/// A policy that denies a call and nothing else.
fn denying(calls: impl IntoIterator<Item = Sysno>, preset: Preset) -> Policy {
    let deny: Vec<_> = calls.into_iter().map(Entry::from).collect();
    Policy::new(preset, Answer::Errno(EPERM), &[], &deny)
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
        4 => Just(0x4000_0003_u32),
        1 => prop::sample::select(FOREIGN),
        1 => any::<u32>(),
    ]
}

fn any_argument() -> impl Strategy<Value = u64> {
    const VALUES: &[u64] = &[
        0x5412,
        0x541c,
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        10,
        16,
        40,
        0o100,
        0o4755,
        0o2755,
        0o644,
        0x4_0000,
        0x1_0000_0000,
        0x1_0000_0004,
        0xffff_ffff,
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
        prop_assert!(is_sound(&program));
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
    let kill = Policy::new(Preset::None, Answer::Kill, &[], &[]);
    for policy in [
        Policy::from(Preset::Default),
        Policy::from(Preset::Strict),
        Policy::from(Preset::None),
        kill,
        denying([Sysno::ptrace], Preset::Off),
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

/// The instructions that a call passes, up to the answer, which has to come without a look at arguments; and what
/// they load.
fn passed(program: &[sock_filter], nr: u32, arch: u32) -> (usize, Vec<u32>) {
    let (mut at, mut loads, mut passed) = (0, Vec::new(), 1);
    let mut loaded = 0;
    while u32::from(program[at].code) != BPF_RET | BPF_K {
        let sock_filter { code, jt, jf, k } = program[at];
        let over = match u32::from(code) {
            c if c == BPF_LD | BPF_W | BPF_ABS => {
                loads.push(k);
                loaded = if k == DATA_ARCH { arch } else { nr };
                0
            }
            c if c == BPF_JMP | BPF_JA => k as usize,
            c if c == BPF_JMP | BPF_JGE | BPF_K => usize::from(if loaded >= k { jt } else { jf }),
            c if c == BPF_JMP | BPF_JEQ | BPF_K => usize::from(if loaded == k { jt } else { jf }),
            c => panic!("{c:#x}"),
        };
        at += 1 + over;
        passed += 1;
    }
    (passed, loads)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn native_calls_have_the_same_way_whatever_becomes_of_others() {
    for preset in [Preset::Default, Preset::Strict] {
        let alone = compiled(&Policy::from(preset));
        let policy = Policy::from(preset).foreign_calls(Some(Foreign::Same));
        let both = compiled(&policy);
        assert!(both.len() < 3 * alone.len(), "{}", both.len());
        let free = |verdict: Option<Verdict>| verdict.is_some_and(|it| it.cases.is_empty());
        let mut foreign = 0;
        for nr in 0..600 {
            if free(Sysno::new(nr as usize).map(|call| policy.verdict(call))) {
                let way = passed(&alone, nr, NATIVE.0);
                assert_eq!(passed(&both, nr, NATIVE.0), way, "call {nr}");
            }
            if free(I386::new(nr as usize).map(|call| policy.foreign_verdict(call))) {
                let (_, loads) = passed(&both, nr, 0x4000_0003);
                assert_eq!(loads, [DATA_ARCH, DATA_NR], "i386 call {nr}");
                foreign += 1;
            }
        }
        assert!(foreign > 200, "{foreign}");
    }
}

#[test]
fn always_allowed_calls_load_no_argument() {
    // With conditions besides those of the preset.
    let when = |arg| Entry {
        when: Some(
            vec![vec![Test {
                arg,
                wide: true,
                is: Is::Below(5),
            }]]
            .into(),
        ),
        ..Entry::from(Sysno::lseek)
    };
    let policy = Policy::new(
        Preset::Default,
        Answer::Kill,
        &[Entry::from(Sysno::bpf)],
        &[when(0), when(1)],
    );
    let program = compiled(&policy);
    let mut always = 0;
    for nr in 0..600 {
        let call = Sysno::new(nr as usize);
        let verdict = call.map(|call| policy.verdict(call));
        if verdict != Some(Verdict::from(Answer::Allow)) {
            continue;
        }
        let (_, loads) = passed(&program, nr, NATIVE.0);
        assert_eq!(loads, [DATA_ARCH, DATA_NR], "call {nr}");
        always += 1;
    }
    assert!(always > 200, "{always}");
}

#[test]
fn far_targets_are_reached_by_stepping_stones() {
    // Alternating verdicts on neighbours make the largest tree there can be.
    let every = (0..Sysno::table_size()).filter_map(Sysno::new);
    let policy = denying(every.filter(|call| call.id() % 2 == 0), Preset::Default);
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
fn case_without_rows_is_an_error_and_not_a_permission() {
    let case = Case {
        rows: Vec::new().into(),
        words: None,
        answer: Answer::Allow,
    };
    assert!(matches!(block(&case), Err(CompileError::Form)));
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
fn long_rows_are_left_by_stepping_stones() {
    let test = |at: u64| Test {
        arg: 2,
        wide: true,
        is: Is::Other(at << 20),
    };
    let entry = Entry {
        when: Some(vec![(1..150).map(test).collect()].into()),
        with: Some(Answer::Trap),
        ..Entry::from(Sysno::lseek)
    };
    let policy = Policy::new(Preset::Default, Answer::Kill, &[], &[entry]);
    let program = compiled(&policy);
    let nr = Sysno::lseek.id().cast_unsigned();
    for at in 0..160 {
        let args = [0, 0, at << 20, 0, 0, 0];
        let expected = if (1..150).contains(&at) {
            SECCOMP_RET_ALLOW
        } else {
            SECCOMP_RET_TRAP
        };
        assert_eq!(evaluate(&program, nr, NATIVE.0, &args), expected, "{at}");
    }
}
