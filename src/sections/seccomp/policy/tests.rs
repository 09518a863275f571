//! What becomes of calls, and arguments that show it.

use super::super::presets::GROUPS;
use super::super::sets;
use super::*;
use crate::review::arguments::{Is, Test};
use libc::{EPERM, c_int};
use proptest::prelude::*;

pub(in super::super) fn any_call() -> impl Strategy<Value = Sysno> {
    (0..Sysno::table_size()).prop_filter_map("a gap", Sysno::new)
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => (0..200_i32).prop_map(Answer::Errno),
        1 => Just(Answer::Kill),
        1 => Just(Answer::Trap),
        1 => Just(Answer::Log),
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    let value = || {
        prop_oneof![
            (0..20_u64),
            Just(0x5412),
            Just(0x1_0000_0000),
            Just(0x1_0000_0004),
            any::<u64>(),
        ]
    };
    let is = prop_oneof![
        value().prop_map(Is::Equal),
        value().prop_map(Is::Other),
        (value(), value()).prop_map(|(mask, value)| Is::Masked(mask, value & mask)),
        value().prop_map(Is::Below),
        value().prop_map(Is::Above),
    ];
    (0..6_u8, any::<bool>(), is).prop_map(|(arg, wide, is)| {
        let low = u64::from(u32::MAX);
        let is = match is {
            is if wide => is,
            Is::Equal(value) => Is::Equal(value & low),
            Is::Other(value) => Is::Other(value & low),
            Is::Masked(mask, value) => Is::Masked(mask & low, value & low),
            Is::Below(value) => Is::Below(value & low),
            Is::Above(value) => Is::Above(value & low),
        };
        Test { arg, wide, is }
    })
}

fn any_entry(calls: BoxedStrategy<Sysno>) -> impl Strategy<Value = Entry> {
    let names = prop_oneof![
        4 => prop::collection::vec(calls, 1..6).prop_map(|calls| {
            calls.into_iter().map(|call| Named { call: call.into(), by_set: false }).collect()
        }),
        1 => prop::sample::select(sets::names().collect::<Vec<_>>()).prop_map(|name| {
            let members = sets::members(name).unwrap().into_iter();
            members.map(|call| Named { call: call.into(), by_set: true }).collect::<Vec<_>>()
        }),
    ];
    let rows = prop::collection::vec(prop::collection::vec(any_test(), 1..4), 1..4);
    let when = prop::option::of(rows.prop_map(Arc::from));
    (names, when, prop::option::of(any_answer())).prop_map(|(calls, when, with)| Entry {
        calls,
        when,
        with,
    })
}

/// Policies in which several entries speak of the same calls.
pub(in super::super) fn any_policy() -> impl Strategy<Value = Policy> {
    let calls = || {
        prop_oneof![
            any_call(),
            prop::sample::select(vec![Sysno::socket, Sysno::ioctl, Sysno::clone, Sysno::read]),
        ]
        .boxed()
    };
    let entries = move || prop::collection::vec(any_entry(calls()), 0..8);
    let foreign = prop::option::weighted(
        0.5,
        prop_oneof![any_answer().prop_map(Foreign::Refuse), Just(Foreign::Same),],
    );
    let preset = prop::sample::select(Preset::ALL);
    let families = prop::option::weighted(0.3, any_families());
    (
        preset,
        any_answer(),
        foreign,
        entries(),
        entries(),
        families,
    )
        .prop_map(|(preset, refuse, foreign, allow, deny, families)| {
            Policy::new(preset, refuse, &allow, &deny)
                .foreign_calls(foreign)
                .families(families)
        })
}

fn any_families() -> impl Strategy<Value = Vec<Family>> {
    prop::sample::subsequence(Family::ALL, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn examples_are_permitted(policy in any_policy(), calls in prop::collection::vec(any_call(), 20)) {
        for call in calls {
            let verdict = policy.verdict(call);
            for example in verdict.examples() {
                prop_assert_eq!(
                    verdict.answer(&example).permits(), verdict.permits_some(),
                    "{}: {}: {:?}", call, verdict, example
                );
            }
        }
    }

    #[test]
    fn no_socket_is_of_a_family_that_is_not_listed(
        policy in any_policy(), listed in any_families(), rest in any::<[u64; 5]>()
    ) {
        let policy = policy.families(Some(listed.clone()));
        let without = policy.clone().families(None);
        for family in 0..50 {
            let [a, b, c, d, e] = rest;
            let args = [family | a << 32, b, c, d, e, 0];
            let there = listed.iter().any(|listed| listed.number() == family);
            for call in families::CALLS {
                let answer = policy.verdict(call).answer(&args);
                prop_assert!(there || !answer.permits(), "{} {}: {}", call, family, answer);
                // What is listed and was permitted is permitted as before; a family of its own row is not logged.
                let before = without.verdict(call).answer(&args);
                let same = answer == before || (before, answer) == (Answer::Log, Answer::Allow);
                prop_assert!(!there || !before.permits() || same, "{} {}", call, family);
            }
        }
    }
}

fn when(call: Sysno, tests: &[(u8, Is)], with: Option<Answer>) -> Entry {
    let row = tests.iter().map(|(arg, is)| Test {
        arg: *arg,
        wide: false,
        is: *is,
    });
    Entry {
        when: Some(vec![row.collect()].into()),
        with,
        ..Entry::from(call)
    }
}

fn set(name: &str) -> Entry {
    let members = sets::members(name).unwrap().into_iter();
    Entry {
        calls: members
            .map(|call| Named {
                call: call.into(),
                by_set: true,
            })
            .collect(),
        when: None,
        with: None,
    }
}

const REFUSE: Answer = Answer::Errno(EPERM);

#[test]
fn off_has_no_program_unless_something_is_denied() {
    assert!(Policy::from(Preset::Off).compile().unwrap().is_none());
    let deny = Policy::new(Preset::Off, REFUSE, &[], &[Sysno::ptrace.into()]);
    assert!(deny.compile().unwrap().is_some());
    assert_eq!(deny.verdict(Sysno::ptrace), REFUSE.into());
    assert_eq!(deny.verdict(Sysno::mount), Answer::Allow.into());
    let native = Policy::from(Preset::Off).foreign_calls(Some(Foreign::Refuse(Answer::Kill)));
    assert!(native.compile().unwrap().is_some());
    assert_eq!(native.foreign(), Answer::Kill);
}

#[test]
fn allow_lifts_conditions_and_deny_wins() {
    let allow = [Sysno::socket, Sysno::bpf, Sysno::kill].map(Entry::from);
    let policy = Policy::new(Preset::Default, REFUSE, &allow, &[Sysno::kill.into()]);
    assert_eq!(policy.verdict(Sysno::socket), Answer::Allow.into());
    assert_eq!(policy.verdict(Sysno::bpf), Answer::Allow.into());
    assert_eq!(policy.verdict(Sysno::kill), REFUSE.into());
}

#[test]
fn a_set_keeps_the_conditions_of_the_default_preset() {
    for preset in [Preset::None, Preset::Strict] {
        let policy = Policy::new(
            preset,
            Answer::Kill,
            &[set("network-io"), set("process")],
            &[],
        );
        let default = Policy::from(Preset::Default);
        for call in [Sysno::socket, Sysno::clone, Sysno::socketpair] {
            assert_eq!(
                policy.verdict(call).permitted(),
                default.verdict(call).permitted(),
                "{call} under {}",
                preset.word()
            );
        }
        assert_eq!(policy.verdict(Sysno::connect), Answer::Allow.into());
    }
}

#[test]
fn none_permits_starting_and_ending_and_refuses_the_rest_as_it_is_told() {
    let policy = Policy::new(Preset::None, Answer::Kill, &[], &[]);
    let calls = (0..Sysno::table_size()).filter_map(Sysno::new);
    let (allowed, refused): (Vec<_>, Vec<_>) =
        calls.partition(|call| policy.verdict(*call) == Answer::Allow.into());
    let names: Vec<_> = allowed.iter().map(|call| call.name()).collect();
    let mut expected: Vec<_> = STARTING.iter().map(|call| call.name()).collect();
    expected.sort_by_key(|name| name.parse::<Sysno>().unwrap().id());
    assert_eq!(names, expected);
    for call in refused {
        assert_eq!(policy.verdict(call), Answer::Kill.into(), "{call}");
    }
    assert_eq!(
        (policy.unlisted(), policy.foreign()),
        (Answer::Kill, Answer::Kill)
    );
    // Numbers of other architectures mean other calls: they are never let through.
    let log = Policy::new(Preset::None, Answer::Log, &[], &[]);
    assert_eq!(
        (log.unlisted(), log.foreign()),
        (Answer::Log, Answer::Errno(ENOSYS))
    );
}

#[test]
fn a_call_by_itself_counts_before_a_set_and_a_later_entry_before_an_earlier_one() {
    let with = |entry: Entry, errno: c_int| Entry {
        with: Some(Answer::Errno(errno)),
        ..entry
    };
    let deny = [
        with(Sysno::mount.into(), 2),
        with(Sysno::fsopen.into(), 3),
        with(set("mount"), 4),
        with(Sysno::fsopen.into(), 5),
    ];
    let policy = Policy::new(Preset::Off, REFUSE, &[], &deny);
    for (call, errno) in [(Sysno::mount, 2), (Sysno::fsopen, 5), (Sysno::umount2, 4)] {
        assert_eq!(policy.verdict(call), Answer::Errno(errno).into(), "{call}");
    }
}

#[test]
fn conditions_decide_in_their_order() {
    let allow = [when(
        Sysno::mmap,
        &[(2, Is::Masked(4, 0))],
        Some(Answer::Errno(1)),
    )];
    let deny = [when(
        Sysno::mmap,
        &[(3, Is::Equal(7)), (2, Is::Equal(1))],
        Some(Answer::Kill),
    )];
    let policy = Policy::new(Preset::None, Answer::Trap, &allow, &deny);
    let verdict = policy.verdict(Sysno::mmap);
    let answer = |prot, flags| verdict.answer(&[0, 0, prot, flags, 0, 0]);
    assert_eq!(answer(1, 7), Answer::Kill);
    assert_eq!(answer(1, 6), Answer::Allow);
    assert_eq!(answer(3, 7), Answer::Allow);
    assert_eq!(answer(5, 7), Answer::Errno(1));
}

#[test]
fn verdicts_read_as_sentences() {
    let policy = Policy::from(Preset::Default);
    let say = |call| policy.verdict(call).to_string();
    assert_eq!(say(Sysno::read), "allowed");
    assert_eq!(say(Sysno::clone3), "refused with ENOSYS");
    assert_eq!(
        say(Sysno::clone),
        "allowed if the flags ask for no namespace; else refused with EPERM"
    );
    let deny = [when(
        Sysno::read,
        &[(0, Is::Above(2)), (2, Is::Masked(0xf000, 0x1000))],
        Some(Answer::Errno(1337)),
    )];
    let policy = Policy::new(Preset::Off, REFUSE, &[], &deny);
    assert_eq!(
        policy.verdict(Sysno::read).to_string(),
        "refused with errno 1337 if argument 0 is above 2 and argument 2 & 0xf000 is 0x1000; else allowed"
    );
}

#[test]
fn every_condition_of_a_preset_has_an_example_for_each_row() {
    let mut conditions = 0;
    for preset in [Preset::Default, Preset::Strict] {
        let policy = Policy::from(preset);
        for call in GROUPS.iter().flat_map(|group| group.calls) {
            let verdict = policy.verdict(*call);
            if verdict.cases.is_empty() {
                continue;
            }
            conditions += 1;
            let rows: usize = verdict.cases.iter().map(|case| case.rows.len()).sum();
            assert_eq!(verdict.examples().len(), rows, "{call}");
        }
    }
    assert!(conditions > 10);
}

#[test]
fn an_example_goes_round_what_is_refused_before() {
    let allow = [when(Sysno::socket, &[(0, Is::Below(3))], None)];
    let deny = [
        when(Sysno::socket, &[(0, Is::Equal(0))], None),
        when(Sysno::socket, &[(1, Is::Masked(0xf, 0))], None),
    ];
    let policy = Policy::new(Preset::None, REFUSE, &allow, &deny);
    let examples = policy.verdict(Sysno::socket).examples();
    assert!(!examples.is_empty());
    let nothing = Policy::new(Preset::None, REFUSE, &[], &[]);
    assert_eq!(nothing.verdict(Sysno::socket).examples(), [[0; 6]]);
}
