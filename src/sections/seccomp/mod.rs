//! `[seccomp]`: which system calls the command may make (seccomp(2)).

pub mod compile;
pub mod presets;

use super::{Profile, enforce::Level, or_default, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use compile::{Policy, UnknownCall, parse_call};
use presets::Preset;
use syscalls::Sysno;

crate::table! {
    /// Which system calls the command may make.
    pub struct RawSeccomp as "[seccomp]" {
        /// `"default"`, `"strict"` or `"off"`.
        preset: Preset,
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
    origin: Origin,
}

/// Calls without which the sandbox could not start the command, or the command not end.
const ESSENTIAL: &[Sysno] = &[Sysno::execve, Sysno::exit_group, Sysno::write];

impl Seccomp {
    /// Checks the names.
    pub fn check(raw: Option<At<RawSeccomp>>, problems: &mut Diagnostics) -> Self {
        let (raw, origin) = split(raw, "seccomp");
        let preset = or_default(raw.preset, "seccomp.preset", Preset::Default);
        let allow = calls(&raw.allow, problems);
        let deny = calls(&raw.deny, problems);
        for (call, place) in &deny {
            if let Some((_, other)) = allow.iter().find(|(allowed, _)| allowed == call) {
                problems.push(
                    Diagnostic::new(
                        Code::Conflict,
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
                        Code::BadSystemCall,
                        place,
                        format!("without `{call}` no command can be started"),
                    )
                    .help("remove it from `deny`"),
                );
            }
        }
        let only = |calls: Vec<(Sysno, Origin)>| calls.into_iter().map(|(call, _)| call).collect();
        let policy = Policy {
            preset: preset.value,
            allow: only(allow),
            deny: only(deny),
        };
        Self { policy, origin }
    }

    /// Installs the filter.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let enforce = &profile.enforce.seccomp;
        if enforce.value == Level::Off {
            return draft.note(&enforce.origin, "no system call filter: it is off");
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
    let help = match (unknown.suggestion, unknown.elsewhere) {
        (_, true) => "another architecture has it: remove it here".into(),
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, _) => "the names are those of syscalls(2), for example \"ptrace\"".into(),
    };
    let name = &unknown.name;
    let message = format!("there is no system call `{name}` on this architecture");
    Diagnostic::new(Code::BadSystemCall, origin, message).help(help)
}
