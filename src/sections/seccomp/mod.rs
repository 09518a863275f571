//! `[seccomp]`: which system calls the command may make (seccomp(2)).

pub mod compile;
mod grants;
pub mod presets;

use super::{Profile, enforce::Level, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::probe::Mechanism;
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use compile::{Policy, UnknownCall, Verdict, parse_call};
use presets::Preset;
use std::collections::BTreeMap;
use syscalls::Sysno;

crate::table! {
    /// Which system calls the command may make.
    ///
    /// ```toml
    /// [seccomp]
    /// preset = "strict"
    /// allow = ["ptrace"]
    /// deny = ["chroot"]
    /// ```
    pub struct RawSeccomp as "[seccomp]" {
        /// What the filter starts from.
        preset: Preset = "default",
        /// Calls that are permitted besides those of the preset, whatever their arguments.
        allow: List<String>,
        /// Calls that are refused (EPERM), whatever the preset says.
        deny: List<String>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Seccomp {
    /// What the filter does.
    pub policy: Policy,
    /// The table, and what of it the profile names.
    origin: Origin,
    preset: At<Preset>,
    allow: Vec<(Sysno, Origin)>,
    deny: Vec<(Sysno, Origin)>,
}

/// Calls without which the sandbox could not start the command, or the command not end.
const ESSENTIAL: &[Sysno] = &[Sysno::execve, Sysno::exit_group, Sysno::write];

/// Calls without which the C library's loader gives up.
const LOADING: &[Sysno] = &[
    #[cfg(target_arch = "x86_64")]
    Sysno::arch_prctl,
    Sysno::close,
    Sysno::mmap,
    Sysno::mprotect,
    Sysno::openat,
    Sysno::read,
];

impl Seccomp {
    /// Checks the names.
    pub fn check(raw: Option<At<RawSeccomp>>, problems: &mut Diagnostics) -> Self {
        let (raw, origin) = split(raw, "seccomp");
        let allow = calls(&raw.allow, problems);
        let deny = calls(&raw.deny, problems);
        let places: BTreeMap<_, _> = allow
            .iter()
            .map(|(call, place)| (call.id(), place))
            .collect();
        for (call, place) in &deny {
            if let Some(other) = places.get(&call.id()) {
                problems.push(
                    Diagnostic::new(
                        Code::AllowedAndDenied,
                        place,
                        format!("`{call}` is denied and allowed"),
                    )
                    .and(other, "allowed here")
                    .help("remove it from one of the two lists"),
                );
            }
            if ESSENTIAL.contains(call) {
                problems.push(
                    Diagnostic::new(
                        Code::EssentialCall,
                        place,
                        format!("without `{call}` no command can be started"),
                    )
                    .help("remove it from `deny`"),
                );
            } else if LOADING.contains(call) {
                problems.push(
                    Diagnostic::new(
                        Code::NoLoader,
                        place,
                        format!("without `{call}` no program with shared libraries can be started"),
                    )
                    .help("remove it from `deny`"),
                );
            }
        }
        if let (Preset::Off, Some((_, first))) = (raw.preset.value, allow.first()) {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    first,
                    "without a preset every call is allowed",
                )
                .and(&raw.preset.origin, "off here")
                .help("remove `allow`, or choose a preset"),
            );
        }
        let only = |calls: &[(Sysno, Origin)]| calls.iter().map(|(call, _)| *call).collect();
        let policy = Policy {
            preset: raw.preset.value,
            allow: only(&allow),
            deny: only(&deny),
        };
        Self {
            policy,
            origin,
            preset: raw.preset,
            allow,
            deny,
        }
    }

    /// The calls that the profile allows besides the preset's.
    #[must_use]
    pub fn allowed(&self) -> &[(Sysno, Origin)] {
        &self.allow
    }

    /// The place of the table, where it asks for a filter.
    #[must_use]
    pub fn asked(&self) -> Option<&Origin> {
        Some(&self.origin).filter(|origin| !origin.is_default() && !self.policy.is_off())
    }

    /// Where the preset is off and nothing is denied.
    #[must_use]
    pub fn switched_off(&self) -> Option<&Origin> {
        Some(&self.preset.origin).filter(|_| self.policy.is_off())
    }

    /// The place of the preset, or of the default.
    #[must_use]
    pub fn preset_origin(&self) -> &Origin {
        &self.preset.origin
    }

    /// What becomes of a call.
    #[must_use]
    pub fn verdict(&self, call: Sysno, profile: &Profile) -> Verdict {
        if profile.enforce.seccomp.value == Level::Off || self.policy.is_off() {
            return Verdict::Allow;
        }
        self.policy.verdict(call)
    }

    /// Which line permits ioctl(2) with every argument, and so to type into a terminal.
    #[must_use]
    pub fn permits_terminal_input<'p>(&'p self, profile: &'p Profile) -> Option<&'p Origin> {
        if self.verdict(Sysno::ioctl, profile) != Verdict::Allow {
            return None;
        }
        let allowed = self.allow.iter().find(|(call, _)| *call == Sysno::ioctl);
        let enforce = &profile.enforce.seccomp;
        Some(match allowed {
            _ if enforce.value == Level::Off => &enforce.origin,
            Some((_, place)) if self.preset.value != Preset::Off => place,
            _ => &self.preset.origin,
        })
    }

    /// Installs the filter.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let enforce = &profile.enforce.seccomp;
        if enforce.value == Level::Off {
            return draft.note(&enforce.origin, "no system call filter: it is off");
        }
        if !self.policy.is_off() {
            draft.wants([Mechanism::Seccomp]);
        }
        // Kernels without seccomp (CONFIG_SECCOMP_FILTER=n) lack this file.
        if !self.policy.is_off()
            && !draft
                .host
                .tree
                .exists("/proc/sys/kernel/seccomp/actions_avail".as_ref())
        {
            if enforce.value == Level::Prefer {
                return draft.weaker(&self.origin, "this kernel has no system call filters");
            }
            return draft.refuse(
                &self.origin,
                "this kernel has no system call filters (seccomp), or /proc is not mounted",
                "mount /proc, write `preset = \"off\"` under [seccomp], or `seccomp = \"prefer\"` under [enforce]",
            );
        }
        match self.policy.compile() {
            Ok(Some(program)) => draft.step(Phase::Filter, Op::SetFilter(program), &self.origin),
            Ok(None) => {}
            Err(error) => draft.refuse(
                &self.origin,
                format!("the system call filter cannot be compiled: {error}"),
                "shorten `allow` and `deny`",
            ),
        }
    }
}

fn calls(list: &Option<At<List<String>>>, problems: &mut Diagnostics) -> Vec<(Sysno, Origin)> {
    let Some(list) = list else { return Vec::new() };
    let mut out = Vec::new();
    for name in &list.value.0 {
        match parse_call(&name.value) {
            Ok(call) => out.push((call, name.origin.clone())),
            Err(unknown) => problems.push(no_such_call(&unknown, &name.origin)),
        }
    }
    out
}

/// What is said about a name that is no system call here.
pub(super) fn no_such_call(unknown: &UnknownCall, origin: &Origin) -> Diagnostic {
    let (code, help) = match (unknown.suggestion, unknown.elsewhere) {
        (_, true) => (
            Code::ForeignCall,
            "another one has it, and there this line counts; here it does nothing".into(),
        ),
        (Some(near), _) => (Code::BadSystemCall, format!("did you mean \"{near}\"?")),
        (None, _) => (
            Code::BadSystemCall,
            "the names are those of syscalls(2), for example \"ptrace\"".into(),
        ),
    };
    let name = &unknown.name;
    let message = format!("there is no system call `{name}` on this architecture");
    Diagnostic::new(code, origin, message).help(help)
}
