//! Which system calls may be made.

use super::compile::{Policy, Verdict};
use super::presets::{GROUPS, Group, Preset, condition};
use super::{Profile, Seccomp};
use crate::diag::Origin;
use crate::review::{Area, Grant};
use crate::sections::enforce::Level;
use syscalls::Sysno;

impl Seccomp {
    /// Every call and how far it may be made: not, under a condition, or with any arguments.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            policy,
            origin: _,
            preset,
            allow,
            deny,
        } = self;
        let enforce = &profile.enforce.seccomp;
        let none = Policy::from(Preset::Off);
        let off = enforce.value == Level::Off;
        let policy = if off { &none } else { policy };
        let line = |call: Sysno| -> &Origin {
            let named = allow.iter().chain(deny).find(|(named, _)| *named == call);
            match named {
                _ if off => &enforce.origin,
                Some((_, origin)) => origin,
                None => &preset.origin,
            }
        };
        let mut grants = Vec::new();
        for group in GROUPS {
            for &call in group.calls {
                grants.push(one(group, call, policy.verdict(call), line(call)));
            }
        }
        let origin = if off { &enforce.origin } else { &preset.origin };
        for (key, open, what) in [
            (
                "syscall:unlisted",
                policy.preset == Preset::Off,
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
        grants
    }
}

fn one(group: &Group, call: Sysno, verdict: Verdict, origin: &Origin) -> Grant {
    let name = call.name();
    let strict = condition(Preset::Strict, call);
    let usual = strict.or(condition(Preset::Default, call));
    let members = u32::try_from(group.calls.len()).unwrap_or(u32::MAX).max(1);
    let set = format!("@{}", group.name);
    let (rank, verb, share) = match verdict {
        Verdict::Errno(_) => (0, format!("not make system calls of {set}"), 0),
        // The conditions of the strict preset imply those of the default one (a test says so).
        Verdict::Conditional(met) if strict == Some(met) => {
            let verb = format!("make this system call if the {}", met.summary);
            (1, verb, 0)
        }
        Verdict::Conditional(met) => {
            let verb = format!("make this system call if the {}", met.summary);
            (2, verb, 10)
        }
        Verdict::Allow if usual.is_some() => {
            let verb = format!("make, with any arguments, system calls of {set}");
            (3, verb, 100)
        }
        Verdict::Allow => (
            3,
            format!("make system calls of {set}"),
            (danger(group) / members).max(u32::from(danger(group) > 0)),
        ),
    };
    let words = match rank {
        0 => verb.clone(),
        _ => format!("{verb}: {name}"),
    };
    Grant::rank(
        Area::SystemCalls,
        format!("syscall:{name}"),
        rank,
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
        "mount" | "kernel-surface" => 1_200,
        "namespaces" => 1_000,
        "io-uring" | "file-handles" | "raw-io" => 800,
        "administration" | "opaque" | "other-processes" => 500,
        "keyring" => 400,
        "clock" | "debug" => 300,
        "network-io" => 150,
        _ => match (group.default, group.strict) {
            (_, Allow) => 0,
            (Allow, Refuse(_)) => 50,
            (Refuse(_), Refuse(_)) => 100,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::presets::{Is, Test};
    use super::*;

    /// Whether what passes one test passes another, too.
    fn implies(one: Test, other: Test) -> bool {
        one.arg == other.arg
            && match (one.is, other.is) {
                (a, b) if a == b => true,
                (Is::Equal(value), Is::Other(not)) => value != not,
                (Is::Equal(value), Is::Masked(mask, bits)) => value & mask == bits,
                _ => false,
            }
    }

    #[test]
    fn the_strict_conditions_imply_the_default_ones() {
        let calls = GROUPS.iter().flat_map(|group| group.calls);
        let mut differ = Vec::new();
        for &call in calls {
            let strict = condition(Preset::Strict, call);
            let default = condition(Preset::Default, call);
            assert_eq!(strict.is_some(), default.is_some(), "{call}");
            let (Some(strict), Some(default)) = (strict, default) else {
                continue;
            };
            for row in strict.rows {
                let wider = default.rows.iter().any(|wide| {
                    wide.iter()
                        .all(|test| row.iter().any(|own| implies(*own, *test)))
                });
                assert!(wider, "{call}");
            }
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
