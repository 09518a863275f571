//! Which system calls may be made.

use super::added;
use super::call::I386;
use super::conditions::condition;
use super::foreign::{Meaning, meaning};
use super::policy::{Policy, Verdict};
use super::presets::{GROUPS, Group, Preset};
use super::{Profile, Seccomp};
use crate::diag::Origin;
use crate::review::arguments::Arguments;
use crate::review::{Area, Extent, Grant};
use crate::sections::enforce::Level;
use std::collections::BTreeMap;
use syscalls::Sysno;

impl Seccomp {
    /// Every call and how far it may be made: not, under a condition, or with any arguments.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            policy,
            origin: _,
            // The policy knows them.
            families: _,
            preset,
            // What a refusal does permits nothing, unless it only logs; then the policy says so.
            refuse: _,
            // Nor does being told of it.
            denials: _,
            foreign: _,
            // What the file says is a part of the policy.
            file: _,
            unknown: _,
            added,
            nested: _,
            allow: _,
            deny: _,
            allowed: _,
            lines: _,
        } = self;
        let enforce = &profile.enforce.seccomp;
        let none = Policy::from(Preset::Off);
        let off = enforce.value == Level::Off;
        let policy = if off { &none } else { policy };
        let mut grants = Vec::new();
        for group in GROUPS {
            for &call in group.calls {
                let line = if off {
                    &enforce.origin
                } else {
                    self.line(call)
                };
                let verdict = policy.verdict_in(Some(group), call);
                grants.push(one(group, call, &verdict, line));
            }
        }
        let origin = if off { &enforce.origin } else { &preset.origin };
        let what = "make system calls that are newer than this program";
        let (words, share) = match policy.unlisted().permits() {
            true => (what.to_owned(), 500),
            false => (format!("not {what}"), 0),
        };
        let rank = policy.unlisted().permits().into();
        let grant = Grant::rank(Area::SystemCalls, "syscall:unlisted", rank, words, origin);
        grants.push(grant.share(share));
        grants.extend(self.foreign_grants(policy, origin));
        grants.push(match added {
            Some(added) if !off => added.grant(),
            _ => {
                let words = "make system calls whatever a compiled filter says of them";
                added::grant(BTreeMap::new(), words.into(), origin)
            }
        });
        grants
    }
}

impl Seccomp {
    /// Whether calls of another ABI may be made, and as far as the native ones or further.
    fn foreign_grants(&self, policy: &Policy, origin: &Origin) -> Vec<Grant> {
        let off = policy.is_off();
        let judged = policy.follows() && !off;
        let place = self.foreign.as_ref().filter(|_| !off).unwrap_or(origin);
        let what = "make system calls of other architectures (32-bit programs)";
        let (rank, words, share) = match (off, judged) {
            (true, _) => (2, what.to_owned(), 500),
            (_, true) => (1, format!("{what}, as far as the native ones"), 100),
            _ => (0, format!("not {what}"), 0),
        };
        let mut grants = vec![
            Grant::rank(Area::SystemCalls, "syscall:foreign", rank, words, place).share(share),
        ];
        for (call, key, what, danger) in [
            (
                I386::socketcall,
                "syscall:socketcall",
                "make any socket by a call of 32-bit programs (socketcall)",
                300,
            ),
            (
                I386::ipc,
                "syscall:ipc",
                "use System V IPC by a call of 32-bit programs (ipc)",
                50,
            ),
        ] {
            let open = off || judged && policy.foreign_verdict(call).permits_some();
            let native = |calls: &[Sysno]| {
                let mut verdicts = calls.iter().map(|call| policy.verdict(*call));
                verdicts.all(|verdict| verdict.permits_all())
            };
            // Where the native calls may do it with any arguments, it adds nothing.
            let adds = !matches!(meaning(call), Meaning::Any(calls) if native(calls));
            let words = match open {
                true => what.to_owned(),
                false => format!("not {what}"),
            };
            let line = self.lines.get(&call.into()).filter(|_| !off);
            let grant = Grant::rank(
                Area::SystemCalls,
                key,
                open.into(),
                words,
                line.unwrap_or(place),
            );
            grants.push(grant.share(if open && adds { danger } else { 0 }));
        }
        grants
    }
}

fn one(group: &Group, call: Sysno, verdict: &Verdict, origin: &Origin) -> Grant {
    let name = call.name();
    let members = u32::try_from(group.calls.len()).unwrap_or(u32::MAX).max(1);
    let set = format!("@{}", group.name);
    let usual = |preset| {
        condition(preset, call).map(|usual| Arguments {
            cases: vec![(usual.case().rows, true)],
            otherwise: false,
        })
    };
    let permitted = verdict.permitted();
    let danger = (danger(group) / members).max(u32::from(danger(group) > 0));
    let within = |preset| usual(preset).is_some_and(|usual| usual.covers(&permitted));
    let (verb, share) = if !permitted.some() {
        (format!("not make system calls of {set}"), 0)
    } else if !permitted.all() {
        let share = match (within(Preset::Strict), within(Preset::Default)) {
            (true, _) => 0,
            (_, true) => 10,
            // As far as anybody knows, the dangerous arguments are among those that are permitted.
            _ => danger.max(10),
        };
        (format!("make this system call: {verdict}"), share)
    } else if usual(Preset::Default).is_some() {
        (
            format!("make, with any arguments, system calls of {set}"),
            100,
        )
    } else {
        (format!("make system calls of {set}"), danger)
    };
    let words = if permitted.some() {
        format!("{verb}: {name}")
    } else {
        verb.clone()
    };
    let key = format!("syscall:{name}");
    Grant::new(
        Area::SystemCalls,
        key,
        Extent::Arguments(permitted),
        words,
        origin,
    )
    .share(share)
    .one_of(verb, name)
}

/// How dangerous a whole group is, in parts of 10,000.
fn danger(group: &Group) -> u32 {
    use super::presets::Stance::{Allow, Refuse};
    match group.name {
        "module" => 1_500,
        "kexec" => 600,
        "mount" | "kernel-surface" => 1_200,
        "namespaces" => 1_000,
        "io-uring" | "file-handles" => 800,
        "raw-io" => 534,
        "cpu-emulation" => 266,
        "administration" | "opaque" | "other-processes" => 500,
        "keyring" => 400,
        "clock" | "trace" => 300,
        "network-io" => 100,
        "network-server" => 50,
        _ => match (group.default, group.strict) {
            (_, Allow) => 0,
            (Allow, Refuse(_)) => 50,
            (Refuse(_), Refuse(_)) => 100,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each permits no more than the next one, of every call.
    #[test]
    fn presets_between_the_strict_and_the_default_one_are_between_them() {
        for between in [Preset::Build, Preset::NetworkClient] {
            for order in [
                [Preset::Strict, between],
                [between, Preset::Default],
                [Preset::None, between],
            ] {
                let [less, more] = order.map(Policy::from);
                let mut equal = true;
                for &call in GROUPS.iter().flat_map(|group| group.calls) {
                    let [less, more] = [&less, &more].map(|of| of.verdict(call).permitted());
                    assert!(more.covers(&less), "{order:?}: {call}");
                    equal &= less.covers(&more);
                }
                assert!(!equal, "{order:?}");
            }
        }
    }

    #[test]
    fn the_strict_conditions_imply_the_default_ones() {
        let calls = GROUPS.iter().flat_map(|group| group.calls);
        let mut differ = Vec::new();
        for &call in calls {
            let of = |preset| condition(preset, call);
            let (strict, default) = (of(Preset::Strict), of(Preset::Default));
            assert_eq!(strict.is_some(), default.is_some(), "{call}");
            let permitted = |preset| Policy::from(preset).verdict(call).permitted();
            let wider = permitted(Preset::Default);
            assert!(wider.covers(&permitted(Preset::Strict)), "{call}");
            if strict != default {
                differ.push(call);
            }
        }
        assert_eq!(differ, [Sysno::socketpair]);
    }

    #[test]
    fn without_a_filter_the_whole_area_is_open() {
        let profile = crate::sections::tests::profile("[seccomp]\npreset = \"off\"");
        let grants = profile.seccomp.grants(&profile);
        let sum: u32 = grants.iter().map(|grant| grant.share).sum();
        assert!(sum >= crate::review::grant::WHOLE, "{sum}");
    }
}
