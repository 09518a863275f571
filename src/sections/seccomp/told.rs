//! The same filter with a listener: what it refuses with an errno, the listener is told of, and answers.
//!
//! Of two filters that hand a call to their listeners, the kernel takes the one that was installed last, and a
//! listener may let a call go on (seccomp_unotify(2)). A command that had one of its own could so have
//! whatever is refused here. The kernel permits one listener at a time; but ours might close before the command
//! has ended. So the filter itself refuses to open another one.

use super::call::I386;
use super::compile::{CompileError, program};
use super::policy::{Answer, Case, Policy, Verdict};
use crate::plan::bpf;
use crate::review::arguments::{Is, Test};
use libc::sock_filter;
use syscalls::Sysno;

/// By which the payload hands the listener over, and then installs the second filter.
const HAND_OVER: [Sysno; 2] = [Sysno::sendmsg, Sysno::seccomp];

/// The program with the listener, and the one that refuses what that lets pass for the hand-over.
type Told = (Vec<sock_filter>, Option<Vec<sock_filter>>);

impl Policy {
    /// The programs with a listener, in the order in which they are installed: one, or two where the policy
    /// refuses the very call by which the listener is handed over. `None` if there is nothing to be told of.
    ///
    /// # Errors
    /// As for [`Policy::compile`].
    pub fn compile_told(&self) -> Result<Option<Told>, CompileError> {
        if self.is_off() {
            return Ok(None);
        }
        let (mut table, mut foreign) = (self.table(), self.foreign_table());
        let at = |call: Sysno| call.id() as usize;
        let others = foreign
            .as_mut()
            .map(|table| table.get_mut(I386::seccomp.id() as usize));
        for verdict in table
            .get_mut(at(Sysno::seccomp))
            .into_iter()
            .chain(others.flatten())
        {
            verdict.cases.insert(0, no_other_listener());
        }
        let free = |verdict: Option<&Verdict>| verdict.is_none_or(Verdict::permits_all);
        let second = if free(table.get(at(Sysno::sendmsg))) {
            None
        } else {
            let mut refusing = vec![Verdict::from(Answer::Allow); table.len()];
            for call in HAND_OVER {
                if let (Some(to), Some(from)) =
                    (refusing.get_mut(at(call)), table.get_mut(at(call)))
                {
                    std::mem::swap(to, from);
                }
            }
            // Other ABIs are the first one's business: the hand-over is none of theirs.
            Some(program(refusing, None, Answer::Allow)?)
        };
        let first = bpf::told(&program(table, foreign, self.foreign())?);
        if !bpf::tells(&first) {
            return Ok(None);
        }
        Ok(Some((first, second)))
    }
}

/// seccomp(2) with `SECCOMP_FILTER_FLAG_NEW_LISTENER`: the errno is the one by which the kernel refuses a second
/// listener.
fn no_other_listener() -> Case {
    let flag = u64::from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32);
    let test = Test {
        arg: 1,
        wide: false,
        is: Is::Masked(flag, flag),
    };
    Case {
        rows: vec![vec![test]].into(),
        words: Some("flags ask for another listener".into()),
        answer: Answer::Errno(libc::EBUSY),
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Call, Made};
    use super::super::compile::{NATIVE, X32_BIT};
    use super::super::policy::tests::any_policy;
    use super::*;
    use proptest::prelude::*;

    fn refuses(errno: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// What the kernel and the supervisor answer together is what the filter answers alone.
        #[test]
        fn with_a_listener_a_call_ends_as_without(
            policy in any_policy(),
            calls in prop::collection::vec(
                (prop_oneof![0..600_u32, Just(317), Just(354)], prop::array::uniform6(0..50_u64)), 50),
            foreign in 0..3_usize,
        ) {
            let Ok(Some(plain)) = policy.compile() else { return Ok(()) };
            let Ok(Some((first, second))) = policy.compile_told() else { return Ok(()) };
            for (nr, args) in calls.into_iter().flat_map(|(nr, args)| [(nr, args), (nr | X32_BIT, args)]) {
                let arch = [NATIVE.0, 0x4000_0003, NATIVE.0 ^ 1][foreign];
                let of = |program: &[sock_filter]| bpf::answer(program, nr, arch, &args);
                // The most severe one counts; as signed numbers, the least.
                let answers = std::iter::once(&first).chain(&second).map(|program| of(program).unwrap());
                let ended = match answers.min_by_key(|answer| answer.cast_signed()).unwrap() {
                    answer if bpf::errno_told(answer).is_some() => refuses(bpf::errno_told(answer).unwrap()),
                    answer => answer,
                };
                let seccomp = match Made::of(nr, arch) {
                    Made::Known(Call::Foreign(call)) => {
                        call == I386::seccomp && policy.follows()
                    }
                    made => made == Made::Known(Sysno::seccomp.into()),
                };
                if seccomp && args[1] & 8 != 0 {
                    prop_assert_eq!(ended, refuses(libc::EBUSY));
                } else {
                    prop_assert_eq!(ended, of(&plain).unwrap(), "{} {:?}", nr, args);
                }
            }
        }
    }

    #[test]
    fn what_makes_programs_fall_back_is_not_told_of() {
        use super::super::presets::Preset;
        let (first, second) = Policy::from(Preset::Default)
            .compile_told()
            .unwrap()
            .unwrap();
        assert!(second.is_none());
        let of = |call: Sysno| {
            let nr = call.id().cast_unsigned();
            bpf::answer(&first, nr, NATIVE.0, &[0; 6]).unwrap()
        };
        assert_eq!(of(Sysno::clone3), refuses(libc::ENOSYS));
        assert_eq!(bpf::errno_told(of(Sysno::mount)), Some(libc::EPERM));
        assert_eq!(of(Sysno::read), libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn a_filter_that_refuses_the_hand_over_comes_in_two() {
        use super::super::presets::Preset;
        let (first, second) = Policy::from(Preset::None).compile_told().unwrap().unwrap();
        let second = second.unwrap();
        let of = |program: &[sock_filter], call: Sysno| {
            bpf::answer(program, call.id().cast_unsigned(), NATIVE.0, &[0; 6]).unwrap()
        };
        for call in HAND_OVER {
            assert_eq!(of(&first, call), libc::SECCOMP_RET_ALLOW);
            assert_eq!(of(&second, call), refuses(libc::EPERM));
        }
        assert_eq!(of(&second, Sysno::read), libc::SECCOMP_RET_ALLOW);
    }
}
