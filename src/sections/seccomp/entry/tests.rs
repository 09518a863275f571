//! What conditions say, as they are written.

use crate::sections::tests::profile;
use syscalls::Sysno;

/// Whether a condition on the second argument of a call holds for a value.
fn holds(condition: &str, value: u64) -> bool {
    let entry = format!("{{ calls = \"lseek\", when = [{{ arg = 1, {condition} }}] }}");
    let allow = format!("[seccomp]\npreset = \"none\"\nallow = [{entry}]\n");
    let deny = format!("[seccomp]\ndeny = [{entry}]\n");
    let permits = |text: &str| {
        let verdict = profile(text).seccomp.policy.verdict(Sysno::lseek);
        verdict.answer(&[7, value, 7, 7, 7, 7]).permits()
    };
    let allowed = permits(&allow);
    assert_eq!(allowed, !permits(&deny), "{condition}: {value:#x}");
    allowed
}

#[test]
fn conditions_hold_for_what_they_say() {
    let high = 0xabcd_0000_0000;
    let minus = |value: i64| value.cast_unsigned();
    for (condition, yes, no) in [
        ("is = 3", vec![3, 3 | high], vec![2, high]),
        ("is = 3, wide = true", vec![3], vec![2, 3 | high]),
        ("not = 3", vec![2, high], vec![3, 3 | high]),
        ("not = 3, wide = true", vec![2, 3 | high], vec![3]),
        ("in = [1, 4]", vec![1, 4 | high], vec![0, 2, 5]),
        ("below = 4", vec![0, 3, high], vec![4, 5, 0xffff_ffff]),
        ("below = 4, wide = true", vec![0, 3], vec![4, high]),
        ("above = 4", vec![5, 0xffff_ffff], vec![4, 0, high]),
        ("above = 2, below = 5", vec![3, 4], vec![2, 5]),
        ("above = 2, not = 4, below = 7", vec![3, 5], vec![2, 4, 7]),
        (
            "mask = 0x6, is = 0x2",
            vec![2, 3, 0xa | high],
            vec![6, 4, 0],
        ),
        ("mask = 0x6, not = 0x2", vec![6, 4, 0, 1], vec![2, 3, 0xa]),
        ("mask = 0x6, not = 0", vec![2, 4, 6], vec![0, 1, 8]),
        ("mask = 0x6, in = [0, 6]", vec![0, 6, 9, 7], vec![2, 4]),
        ("is = -100", vec![0xffff_ff9c, minus(-100)], vec![100]),
        (
            "is = -100, wide = true",
            vec![minus(-100)],
            vec![0xffff_ff9c],
        ),
        (
            "is = 0xffff_ffff_0000_0000, wide = true",
            vec![0xffff_ffff_0000_0000],
            vec![0],
        ),
    ] {
        for value in yes {
            assert!(holds(condition, value), "{condition}: {value:#x}");
        }
        for value in no {
            assert!(!holds(condition, value), "{condition}: {value:#x}");
        }
    }
}

#[test]
fn all_conditions_of_an_entry_have_to_hold_and_one_of_several_entries() {
    let text = r#"[seccomp]
preset = "none"
allow = [
{ calls = "socket", when = [{ arg = 0, in = [1, 2] }, { arg = 1, mask = 0xf, is = 1 }] },
{ calls = ["socket", "socketpair"], when = [{ arg = 0, is = 16 }], with = "EAFNOSUPPORT" },
]"#;
    let profile = profile(text);
    let verdict = profile.seccomp.policy.verdict(Sysno::socket);
    let answer = |family, kind| verdict.answer(&[family, kind, 0, 0, 0, 0]);
    for (family, kind) in [(1, 1), (2, 0x801), (16, 9)] {
        assert!(answer(family, kind).permits(), "{family} {kind}");
    }
    for (family, kind) in [(1, 2), (3, 1), (10, 1)] {
        let refused = super::Answer::Errno(libc::EAFNOSUPPORT);
        assert_eq!(answer(family, kind), refused, "{family} {kind}");
    }
}

#[test]
fn every_errno_has_its_name() {
    let find = |wanted: &str| super::errnos().find(|(name, _)| *name == wanted);
    for (name, errno) in [
        ("EPERM", libc::EPERM),
        ("ENOSYS", libc::ENOSYS),
        ("EHWPOISON", libc::EHWPOISON),
        ("ENOTSUP", libc::EOPNOTSUPP),
    ] {
        assert_eq!(find(name), Some((name, super::Answer::Errno(errno))));
    }
}
