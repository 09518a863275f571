//! The policy for people: what becomes of each call, as `explain --seccomp` prints it.

use super::Seccomp;
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
        let _ = writeln!(
            out,
            "\nnewer calls: {}\ncalls of other architectures: {}",
            self.policy.unlisted(),
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
