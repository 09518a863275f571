//! Which system calls may be made.

use super::added;
use super::conditions::condition;
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
        for (key, open, what) in [
            (
                "syscall:unlisted",
                policy.unlisted().permits(),
                "make system calls that are newer than this program",
            ),
            (
                "syscall:foreign",
                policy.is_off(),
                "make system calls of other architectures (32-bit programs)",
            ),
        ] {
            let (words, share) = if open {
                (what.to_owned(), 500)
            } else {
                (format!("not {what}"), 0)
            };
            let grant = Grant::rank(Area::SystemCalls, key, open.into(), words, origin);
            grants.push(grant.share(share));
        }
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
