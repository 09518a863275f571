//! The policy for people: what becomes of each call, as `explain --seccomp` prints it.

use super::Seccomp;
use super::call::I386;
use super::foreign::{self, ABI, ALL, Meaning, meaning};
use super::policy::Policy;
use super::presets::{GROUPS, Group};
use crate::sections::{Profile, enforce::Level};
use std::fmt::Write as _;

impl Seccomp {
    /// Every call and what becomes of it, by groups.
    #[must_use]
    pub fn words(&self, profile: &Profile) -> String {
        if profile.enforce.seccomp.value == Level::Off {
            return "no system call filter: every call is allowed\n".into();
        }
        let added = self.added.as_ref().map(|added| {
            format!(
                "the filter of {} is installed besides: it can refuse more (`explain --bpf` prints it)\n",
                added.name()
            )
        });
        let added = added.unwrap_or_default();
        if self.policy.is_off() && !added.is_empty() {
            return added;
        }
        if self.policy.is_off() {
            return "no system call filter: every call is allowed\n".into();
        }
        let mut out = format!("preset: {}\n", self.policy.preset().word());
        for group in GROUPS {
            let _ = writeln!(out, "\n@{}: {}", group.name, group.about);
            calls(&self.policy, group, &mut out);
        }
        let other = ABI.filter(|_| self.policy.follows());
        if let Some(abi) = other {
            let _ = writeln!(
                out,
                "\n{}: each call as the native one of its name; and besides, or otherwise,",
                abi.name
            );
            foreign_calls(&self.policy, &mut out);
        }
        let _ = writeln!(
            out,
            "\nnewer calls: {}\ncalls of {}: {}",
            self.policy.unlisted(),
            if other.is_some() {
                "x32 and of other architectures"
            } else {
                "other architectures"
            },
            self.policy.foreign()
        );
        out + &added
    }
}

fn calls(policy: &Policy, group: &Group, out: &mut String) {
    let width = group.calls.iter().map(|call| call.name().len()).max();
    for call in group.calls {
        let verdict = policy.verdict_in(Some(group), *call);
        let width = width.unwrap_or_default();
        let _ = writeln!(out, "  {:width$}  {verdict}", call.name());
    }
}

/// The calls of the other ABI that no native one has the name of, or that have another verdict than it.
fn foreign_calls(policy: &Policy, out: &mut String) {
    let differs = |call: &I386| match meaning(*call) {
        Meaning::As(native, ALL) if native.name() == call.name() => false,
        Meaning::As(native, _) => {
            native.name() != call.name() || policy.verdict(native) != policy.foreign_verdict(*call)
        }
        Meaning::Any(_) => true,
        Meaning::Nothing => false,
    };
    let calls: Vec<_> = foreign::all().filter(differs).collect();
    let width = calls.iter().map(|call| call.name().len()).max();
    for call in calls {
        let verdict = policy.foreign_verdict(call);
        let what = match meaning(call) {
            Meaning::As(native, _) if policy.verdict(native) == verdict => format!("as {native}"),
            Meaning::As(native, _) if native.name() != call.name() => {
                format!("{verdict}; it does what {native} does")
            }
            _ => verdict.to_string(),
        };
        let _ = writeln!(
            out,
            "  {:width$}  {what}",
            call.name(),
            width = width.unwrap_or_default()
        );
    }
}
