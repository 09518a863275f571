//! No call of the other ABI is permitted that the native one is refused, and 32-bit programs can live with the rest.

use super::super::compile::{NATIVE, X32_BIT};
use super::super::policy::tests::any_policy;
use super::super::policy::{Entry, Foreign, Named};
use super::super::presets::Preset;
use super::*;
use crate::plan::bpf;
use crate::sections::network::Family;
use libc::{EAFNOSUPPORT, EPERM, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_LOG};
use proptest::prelude::*;
use std::sync::Arc;

const I386_ARCH: u32 = 0x4000_0003;

fn same(policy: Policy) -> Policy {
    policy.foreign_calls(Some(Foreign::Same))
}

/// What the compiled program says of a call of i386.
fn answers(program: &[libc::sock_filter], call: I386, arguments: &[u64; 6]) -> u32 {
    let number = call.id().cast_unsigned();
    bpf::answer(program, number, I386_ARCH, arguments).expect("a known instruction")
}

fn permits(answer: u32) -> bool {
    matches!(answer, SECCOMP_RET_ALLOW | SECCOMP_RET_LOG)
}

fn refuses(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

#[test]
fn every_call_has_a_meaning() {
    let nothing: Vec<_> = all()
        .filter(|call| meaning(*call) == Meaning::Nothing)
        .map(|call| Call::from(call).name())
        .collect();
    assert_eq!(
        nothing,
        [
            "break", "stty", "gtty", "ftime", "prof", "lock", "mpx", "ulimit", "profil", "idle",
            "bdflush"
        ]
    );
    assert_eq!(all().count(), I386::count());
}

/// Numbers whose high halves and signs matter, and those that presets look at.
fn any_argument() -> impl Strategy<Value = u64> {
    const VALUES: &[u64] = &[
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
        0x80,
        0x5412,
        0x541c,
        0o100,
        0o4755,
        0o2755,
        0o644,
        0x2_0000,
        0x1000_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fff0,
        0xffff_ffff,
        0x4004_5412,
        0x8004_5412,
    ];
    prop_oneof![
        4 => prop::sample::select(VALUES),
        1 => (0..32).prop_map(|bit| 1_u64 << bit),
        1 => any::<u32>().prop_map(u64::from),
    ]
}

/// A number of 64 bits that a call of i386 can mean by this half.
fn meant(half: u64, negative: bool) -> u64 {
    match negative && half & SIGN != 0 {
        true => half | HIGH,
        false => half,
    }
}

fn any_test() -> impl Strategy<Value = Test> {
    let value = || {
        prop_oneof![
            any_argument(),
            any_argument().prop_map(|half| half | HIGH),
            any::<u64>(),
            Just(u64::MAX),
            Just(SIGN | HIGH),
        ]
    };
    let is = prop_oneof![
        value().prop_map(Is::Equal),
        value().prop_map(Is::Other),
        (value(), value()).prop_map(|(mask, value)| Is::Masked(mask, value & mask)),
        value().prop_map(Is::Below),
        value().prop_map(Is::Above),
    ];
    is.prop_map(|is| Test {
        arg: 0,
        wide: true,
        is,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn a_half_is_judged_as_what_it_can_mean(test in any_test(), half in any_argument(), high in any::<u32>()) {
        let found = halves(I386::read, &test).map(|it| match it {
            Half::Always => true,
            Half::Never => false,
            // What is above the half is nothing.
            Half::If(test) => test.accepts(half | u64::from(high) << 32),
        });
        let expected = [false, true].map(|negative| test.accepts(meant(half, negative)));
        prop_assert_eq!(found, expected, "{:?} {:#x}", test, half);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// With any policy and arguments: what is permitted is permitted of the native call, however the arguments are
    /// meant, and whatever those are that it has elsewhere.
    #[test]
    fn nothing_is_permitted_that_the_native_call_is_refused(
        policy in any_policy(),
        samples in prop::collection::vec(
            (prop::array::uniform6(any_argument()), prop::array::uniform6(any::<u64>()), any::<[bool; 6]>(), any::<u32>()), 6),
    ) {
        let policy = same(policy);
        let Some(program) = policy.compile().unwrap() else { return Ok(()) };
        let native = |call: Sysno, arguments: &[u64; 6]| {
            permits(bpf::answer(&program, call.id().cast_unsigned(), NATIVE.0, arguments).unwrap())
        };
        for call in all() {
            for (halves, others, negative, high) in &samples {
                let made = halves.map(|half| half | u64::from(*high) << 32);
                if !permits(answers(&program, call, &made)) {
                    continue;
                }
                match meaning(call) {
                    Meaning::Nothing => prop_assert!(policy.unlisted().permits()),
                    Meaning::As(counterpart, same) => {
                        let arguments: [u64; 6] = std::array::from_fn(|at| {
                            if at >= usize::from(same) {
                                return others[at];
                            }
                            meant(halves[at], negative[at] && call != I386::personality)
                        });
                        prop_assert!(native(counterpart, &arguments), "{} {:x?} {:x?}", call, made, arguments);
                    }
                    Meaning::Any(calls) => for counterpart in calls {
                        prop_assert!(native(*counterpart, others), "{} {} {:x?}", call, counterpart, others);
                    }
                }
            }
        }
    }
}

/// The same with the arguments that the presets tell apart, for every call.
#[test]
fn presets_hold_for_every_call() {
    let values = [
        0,
        1,
        2,
        8,
        9,
        17,
        40,
        0x5412,
        0x541c,
        0x5423,
        0o100,
        0o4755,
        0o2755,
        0x2_0000,
        0x1000_0000,
        0x40_0000,
        LOW,
    ];
    for preset in [
        Preset::Default,
        Preset::Build,
        Preset::NetworkClient,
        Preset::Strict,
        Preset::None,
    ] {
        let policy = same(Policy::from(preset));
        let program = policy.compile().unwrap().unwrap();
        assert!(program.len() < 1000, "{}", program.len());
        for call in all() {
            let Meaning::As(native, places) = meaning(call) else {
                continue;
            };
            let verdict = policy.verdict(native);
            for one in values {
                for other in values {
                    let arguments = [one, other, one, other, one, other];
                    let found = answers(&program, call, &arguments.map(|it| it | 5 << 32));
                    let expected = verdict.answer(&arguments);
                    let there = verdict
                        .cases
                        .iter()
                        .flat_map(|case| case.rows.iter().flatten());
                    if there.map(|test| test.arg).all(|arg| arg < places) {
                        assert_eq!(permits(found), expected.permits(), "{call}{arguments:x?}");
                    } else {
                        assert!(!permits(found), "{call}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_32_bit_program_may_what_others_may() {
    let program = same(Policy::from(Preset::Default))
        .compile()
        .unwrap()
        .unwrap();
    let of = |call, arguments: &[u64]| {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        answers(&program, call, &all)
    };
    for call in [
        I386::getpid,
        I386::mmap2,
        I386::mmap,
        I386::select,
        I386::set_thread_area,
        I386::fcntl64,
        I386::stat64,
        I386::statx,
        I386::waitpid,
        I386::clock_gettime64,
        I386::futex_time64,
        I386::sigreturn,
        I386::setuid32,
        I386::_llseek,
        I386::pread64,
        I386::ugetrlimit,
        I386::ipc,
        I386::ptrace,
    ] {
        assert_eq!(of(call, &[]), SECCOMP_RET_ALLOW, "{call}");
    }
    for (call, arguments, answer) in [
        (I386::mount, &[][..], refuses(EPERM)),
        (I386::umount, &[], refuses(EPERM)),
        (I386::unshare, &[], refuses(EPERM)),
        (I386::stime, &[], refuses(EPERM)),
        (I386::keyctl, &[], refuses(ENOSYS)),
        (I386::clone3, &[], refuses(ENOSYS)),
        (I386::io_uring_setup, &[], refuses(ENOSYS)),
        (I386::vm86, &[], refuses(EPERM)),
        (I386::ioctl, &[0, 0x5412], refuses(EPERM)),
        (I386::ioctl, &[0, 0x5412 | 1 << 40], refuses(EPERM)),
        (I386::ioctl, &[0, 0x5401], SECCOMP_RET_ALLOW),
        (I386::clone, &[0x1000_0011], refuses(EPERM)),
        (I386::clone, &[17], SECCOMP_RET_ALLOW),
        (I386::socket, &[40, 1, 0], refuses(EAFNOSUPPORT)),
        (I386::socket, &[2, 1, 132], refuses(EAFNOSUPPORT)),
        (I386::socket, &[2, 1, 0], SECCOMP_RET_ALLOW),
        (I386::socketpair, &[2, 1, 0], refuses(EAFNOSUPPORT)),
        (I386::personality, &[0x40_0000], refuses(EPERM)),
        (I386::personality, &[LOW], SECCOMP_RET_ALLOW),
        (I386::chmod, &[0, 0o4755], refuses(EPERM)),
        (I386::fchmodat, &[0, 0, 0o2755], refuses(EPERM)),
        (I386::creat, &[0, 0o4755], refuses(EPERM)),
        (I386::open, &[0, 0o101, 0o4755], refuses(EPERM)),
        (I386::mknod, &[0, 0o2755], refuses(EPERM)),
        (I386::socketcall, &[1], refuses(ENOSYS)),
        (I386::mpx, &[], refuses(ENOSYS)),
    ] {
        assert_eq!(of(call, arguments), answer, "{call}{arguments:x?}");
    }
    let raw = |number, architecture| bpf::answer(&program, number, architecture, &[0; 6]).unwrap();
    // Beyond the table, x32 in either ABI, and 32-bit ARM.
    assert_eq!(raw(1000, I386_ARCH), refuses(ENOSYS));
    assert_eq!(raw(20 | X32_BIT, I386_ARCH), refuses(ENOSYS));
    assert_eq!(raw(39 | X32_BIT, NATIVE.0), refuses(ENOSYS));
    assert_eq!(raw(20, 0x4000_0028), refuses(ENOSYS));
}

fn foreign(call: I386) -> Entry {
    Entry {
        calls: vec![Named {
            call: call.into(),
            by_set: false,
        }],
        when: None,
        with: None,
    }
}

fn when(call: Sysno, arg: u8, wide: bool, is: Is) -> Entry {
    Entry {
        when: Some(Arc::from(vec![vec![Test { arg, wide, is }]])),
        ..Entry::from(call)
    }
}

#[test]
fn a_call_that_is_many_is_permitted_where_all_are_or_by_name() {
    let refuse = Answer::Errno(EPERM);
    let policy =
        |preset, allow: &[Entry], deny: &[Entry]| same(Policy::new(preset, refuse, allow, deny));
    let sockets = |policy: &Policy| policy.foreign_verdict(I386::socketcall);
    let socket = Entry::from(Sysno::socket);
    let named = foreign(I386::socketcall);
    let own = std::slice::from_ref;
    let unseen = Verdict::from(Answer::Errno(ENOSYS));
    assert_eq!(sockets(&policy(Preset::Default, &[], &[])), unseen);
    // Without its condition, socketpair still has one.
    assert_eq!(sockets(&policy(Preset::Default, own(&socket), &[])), unseen);
    let both = [socket.clone(), Sysno::socketpair.into()];
    assert!(sockets(&policy(Preset::Default, &both, &[])).permits_all());
    assert!(sockets(&policy(Preset::Default, own(&named), &[])).permits_all());
    assert!(sockets(&policy(Preset::Strict, own(&named), &[])).permits_all());
    // What is denied stays so, whatever is allowed.
    let denied = when(Sysno::socket, 0, false, Is::Equal(40));
    for deny in [&denied, &socket, &Sysno::sendmmsg.into(), &named] {
        let policy = policy(Preset::Default, own(&named), own(deny));
        assert!(!sockets(&policy).permits_some());
    }
    // As do bounds that can be passed by.
    let bounded = policy(Preset::Default, own(&named), &[]).bounded_ports(true);
    assert_eq!(sockets(&bounded), unseen);
    assert!(bounded.foreign_verdict(I386::ipc).permits_all());
    let families = policy(Preset::Default, &[], &[]).families(Some(vec![Family::Unix]));
    assert_eq!(sockets(&families), unseen);
    // A name with a native counterpart permits nothing, and refuses.
    let mmap2 = foreign(I386::mmap2);
    let policy = |allow, deny| policy(Preset::None, allow, deny);
    let of = |policy: &Policy| policy.foreign_verdict(I386::mmap2);
    assert_eq!(of(&policy(own(&mmap2), &[])), refuse.into());
    let mmap = Entry::from(Sysno::mmap);
    assert!(of(&policy(own(&mmap), &[])).permits_all());
    assert_eq!(of(&policy(own(&mmap), own(&mmap2))), refuse.into());
    let logged = Entry {
        with: Some(Answer::Log),
        ..mmap2.clone()
    };
    assert_eq!(of(&policy(own(&mmap), own(&logged))), Answer::Log.into());
    assert_eq!(of(&policy(&[], own(&logged))), refuse.into());
}

#[test]
fn ids_of_16_bits_are_not_told_apart() {
    let root = when(Sysno::setuid, 0, false, Is::Equal(0));
    let policy = same(Policy::new(Preset::Off, Answer::Errno(EPERM), &[], &[root]));
    let of = |call: I386, id| policy.foreign_verdict(call).answer(&[id, 0, 0, 0, 0, 0]);
    assert_eq!(of(I386::setuid32, 0), Answer::Errno(EPERM));
    assert_eq!(of(I386::setuid32, 0x1_0000), Answer::Allow);
    assert_eq!(of(I386::setuid, 0x1_0000), Answer::Errno(ENOSYS));
}

#[test]
fn a_negative_number_of_64_bits_is_met() {
    let refuse = Answer::Errno(EPERM);
    let minus = when(Sysno::lseek, 1, true, Is::Equal(u64::MAX));
    let denies = same(Policy::new(
        Preset::Off,
        refuse,
        &[],
        std::slice::from_ref(&minus),
    ));
    let of = |policy: &Policy, half| {
        policy
            .foreign_verdict(I386::lseek)
            .answer(&[0, half, 0, 0, 0, 0])
    };
    assert_eq!(of(&denies, LOW), refuse);
    assert_eq!(of(&denies, LOW | 7 << 32), refuse);
    assert_eq!(of(&denies, 5), Answer::Allow);
    // Whether the kernel takes it for negative is not known here.
    let allows = same(Policy::new(Preset::None, refuse, &[minus], &[]));
    assert_eq!(of(&allows, LOW), refuse);
}

#[test]
fn requests_with_another_size_are_the_same() {
    // FS_IOC_SETFLAGS, and FS_IOC32_SETFLAGS.
    const WIDE: u64 = 0x4008_6602;
    const NARROW: u64 = 0x4004_6602;
    let refuse = Answer::Errno(EPERM);
    let of = |policy: &Policy, request| {
        let policy = same(policy.clone());
        policy
            .foreign_verdict(I386::ioctl)
            .answer(&[0, request, 0, 0, 0, 0])
    };
    let denied = when(Sysno::ioctl, 1, false, Is::Equal(WIDE));
    let denies = Policy::new(Preset::Off, refuse, &[], &[denied]);
    assert_eq!(
        denies
            .verdict(Sysno::ioctl)
            .answer(&[0, NARROW, 0, 0, 0, 0]),
        Answer::Allow
    );
    assert_eq!([WIDE, NARROW].map(|it| of(&denies, it)), [refuse; 2]);
    assert_eq!(of(&denies, 0x5401), Answer::Allow);
    let others = when(Sysno::ioctl, 1, false, Is::Other(WIDE));
    let allows = Policy::new(Preset::None, refuse, &[others], &[]);
    assert_eq!(
        [WIDE, NARROW, 0x5401].map(|it| of(&allows, it)),
        [refuse; 3]
    );
    let masked = when(Sysno::ioctl, 1, false, Is::Masked(LOW, WIDE));
    let denies = Policy::new(Preset::Off, refuse, &[], std::slice::from_ref(&masked));
    assert_eq!([WIDE, NARROW].map(|it| of(&denies, it)), [refuse; 2]);
    let allows = Policy::new(Preset::None, refuse, &[masked], &[]);
    assert_eq!([WIDE, NARROW].map(|it| of(&allows, it)), [refuse; 2]);
    let kind = when(Sysno::ioctl, 1, false, Is::Masked(0xff00, 0x6600));
    let allows = Policy::new(Preset::None, refuse, &[kind], &[]);
    assert_eq!([WIDE, NARROW].map(|it| of(&allows, it)), [Answer::Allow; 2]);
}
