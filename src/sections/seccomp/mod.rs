//! `[seccomp]`: which system calls the command may make (seccomp(2)).

mod added;
pub mod call;
pub mod compile;
pub mod conditions;
pub mod decide;
pub mod entry;
pub mod families;
mod file;
pub mod foreign;
mod grants;
mod oci;
pub mod policy;
mod ports;
pub mod presets;
pub mod sets;
mod told;
mod words;

use super::network::Family;
use super::{Profile, enforce::Level, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, Sources};
use crate::host::probe::Mechanism;
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::review::arguments::Arguments;
use call::{Call, I386, UnknownCall};
use entry::{Budget, Item, Placed};
use foreign::{ABI, Meaning};
use policy::{Answer, Entry, Foreign, Named, Policy, Verdict};
use presets::{Preset, calls};
use std::collections::BTreeMap;
use std::sync::Arc;
use syscalls::Sysno;

crate::table! {
    /// Which system calls the command may make. `@name` stands for a set of calls, such as those of
    /// systemd.exec(5): `@basic-io`, `@network-io`, `@mount`, `@debug`, `@system-service`.
    ///
    /// ```toml
    /// [seccomp]
    /// preset = "strict"
    /// allow = ["@network-io", { calls = "personality", when = [{ arg = 0, in = [0, 8] }] }]
    /// deny = ["chroot", { calls = ["mount", "@module"], with = "ENOENT" }]
    /// ```
    ///
    /// What `deny` names is refused whatever else is said. An entry that names a call by itself counts before
    /// one that names it by a set, and a later entry before an earlier one.
    ///
    /// With `preset = "none"`, `allow` is an allow-list:
    ///
    /// ```toml
    /// [seccomp]
    /// preset = "none"
    /// refuse = "kill"
    /// allow = ["@default", "@basic-io", "@file-system", "fadvise64"]
    /// ```
    pub struct RawSeccomp as "[seccomp]" {
        /// What the filter starts from.
        preset: Preset = "default",
        /// A policy in the JSON form of the OCI runtime specification, in place of a preset: a path that ends in
        /// `.json`, relative to this profile. `allow` and `deny` count besides it; what it refuses by name stays
        /// refused. What starting a program and ending it takes is permitted. Calls of i386 are permitted as
        /// `foreign = "same"` says where the file has `SCMP_ARCH_X86` among its architectures and the profile says
        /// nothing else; those of no other architecture ever are.
        ///
        /// Or a compiled filter: a path that ends in `.bpf`, of an array of `struct sock_filter`, such as
        /// `seccomp_export_bpf` of libseccomp writes it. It is read when a run is planned, and installed after the
        /// filter that the other keys make. Of two answers the kernel takes the more severe one: it can only
        /// refuse more. What it refuses is not told of.
        file: String,
        /// What becomes of calls that `deny` names, and with the preset `"none"` of all that are not allowed: they
        /// return an errno, by name or number (with 0 they return 0 and do nothing), or another answer.
        refuse: Answer = "EPERM",
        /// What becomes of system calls of the machine's other ABI: on x86_64 of those of i386, which 32-bit programs
        /// make, and any program by `int 0x80`. They are refused, as for `refuse` (but for `"log"`), or
        /// with `"same"` judged as the native ones. Default: `"ENOSYS"`, with the preset `"none"` as `refuse` says;
        /// without any filter they are permitted. Those of x32 and of other architectures are never permitted.
        ///
        /// With `"same"`, `mmap2` has the verdict of `mmap`, `clock_gettime64` that of `clock_gettime`. Where arguments
        /// are in other places than those of the native call, or behind a pointer, a condition on them cannot be looked
        /// at, and refuses the call. So it is with `socketcall` and `ipc`, which each stand for many calls: they are
        /// refused, mostly with ENOSYS, unless all of these are permitted with any arguments. `allow` may name either,
        /// and thereby permits all of these to 32-bit programs, whatever the preset and `families` say, unless `deny`
        /// names one; `deny` may name whatever i386 alone has. Most distributions build the C library of i386 so that it
        /// makes sockets by `socketcall` alone: with it, programs have a network only with `allow = ["socketcall"]`.
        foreign: Foreign,
        /// Whether refused calls are told of in the end: each call once, with its arguments, the program that made
        /// it, the line that refuses it, and what to write to allow it.
        denials: Denials = "tell",
        /// Calls that are permitted besides those of the preset. A call that is named by itself is permitted
        /// with any arguments, one of a set as far as the default preset permits it, or would.
        allow: List<Item>,
        /// Calls that are refused, whatever the preset says.
        deny: List<Item>,
    }
}

crate::choice! {
    /// What becomes of the knowledge that a call was refused.
    pub enum Denials {
        /// It is told of. What is refused with `ENOSYS` is not: programs then do the same in another way. Nor is
        /// what is answered with 0, killed or trapped for. The command can then open no listener
        /// of its own for system calls (`SECCOMP_FILTER_FLAG_NEW_LISTENER` is answered with EBUSY).
        Tell = "tell",
        /// Nobody knows.
        Silent = "silent",
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Seccomp {
    /// What the filter does.
    pub policy: Policy,
    /// Whether refused calls are told of.
    pub denials: At<Denials>,
    /// The file that it is from.
    file: Option<At<String>>,
    /// The compiled filter that counts besides.
    added: Option<added::Added>,
    /// The line that permits what nested user namespaces take.
    nested: Option<Origin>,
    /// Names in it that are no calls here.
    unknown: Vec<String>,
    /// The table, and what of it the profile names.
    origin: Origin,
    /// The line that says which families sockets may be of.
    families: Option<Origin>,
    preset: At<Preset>,
    refuse: At<Answer>,
    /// Where it is said what becomes of the other ABI.
    foreign: Option<Origin>,
    allow: Vec<Placed>,
    deny: Vec<Placed>,
    /// The calls that are allowed by themselves, and where.
    allowed: Vec<(Sysno, Origin)>,
    /// The line that decides on a call.
    lines: BTreeMap<Call, Origin>,
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
    /// Checks the names and the conditions.
    ///
    /// Where user namespaces may be `nested`, the calls that this takes are permitted too, by the line
    /// that says so; `families` are those that sockets may be of, `ports` whether the ports of TCP are bounded. `keeps` are the capabilities that are kept, which a
    /// policy in a file may ask for.
    pub fn check(
        raw: Option<At<RawSeccomp>>,
        nested: &At<bool>,
        families: Option<&At<Vec<Family>>>,
        ports: bool,
        keeps: u64,
        sources: &Sources,
        problems: &mut Diagnostics,
    ) -> Self {
        let (mut raw, origin) = split(raw, "seccomp");
        let mut file = raw.file.take();
        let compiled = file.take_if(|file| file::is_compiled(file));
        let added = compiled.and_then(|file| added::Added::check(file, sources, problems));
        let mut budget = Budget::default();
        let mut allow = entry::check(raw.allow.take(), true, &mut budget, problems);
        let mut deny = entry::check(raw.deny.take(), false, &mut budget, problems);
        let mut unknown = Vec::new();
        if let Some(file) = &file
            && let Some(oci) = file::read(file, &raw.preset, keeps, sources, problems)
        {
            for own in deny.iter_mut().filter(|own| own.entry.with.is_none()) {
                own.entry.with = Some(raw.refuse.value);
            }
            raw.preset = At::new(oci.preset(), file.origin.clone());
            raw.refuse = At::new(oci.otherwise, file.origin.clone());
            allow = file::placed(oci.allow, file).chain(allow).collect();
            deny = file::placed(oci.deny, file).chain(deny).collect();
            unknown = oci.unknown;
            if oci.foreign && raw.foreign.is_none() {
                raw.foreign = Some(At::new(Foreign::Same, file.origin.clone()));
            }
        }
        let entries = |list: &[Placed]| -> Vec<_> {
            list.iter().map(|placed| placed.entry.clone()).collect()
        };
        let (preset, refuse) = (raw.preset.value, raw.refuse.value);
        let foreign = raw.foreign.as_ref().map(|foreign| foreign.value);
        if let Some(problem) = raw.foreign.as_ref().and_then(cannot_be) {
            problems.push(problem);
        }
        let mut allowed = Vec::new();
        // What a file says there, the profile may say otherwise.
        let in_file = |name: &At<String>| file.as_ref().is_some_and(|f| f.origin == name.origin);
        let names = allow.iter().flat_map(|placed| &placed.names);
        for (name, calls) in names.filter(|(name, _)| !in_file(name)) {
            let by_itself = calls.iter().filter(|named| !named.by_set);
            let native = by_itself.filter_map(|named| named.call.native());
            allowed.extend(native.map(|call| (call, name.origin.clone())));
        }
        let mut permitted = entries(&allow);
        let mut lines = lines(&allow, &deny, families.map(|families| &families.origin));
        if nested.value {
            permitted.extend(NESTING.iter().map(|call| Entry::from(*call)));
            for call in NESTING {
                lines
                    .entry(Call::Native(*call))
                    .or_insert_with(|| nested.origin.clone());
            }
        }
        let this = Self {
            policy: Policy::new(preset, refuse, &permitted, &entries(&deny))
                .foreign_calls(foreign)
                .families(families.map(|families| families.value.clone()))
                .bounded_ports(ports),
            denials: raw.denials,
            file,
            added,
            unknown,
            nested: Some(nested.origin.clone()).filter(|_| nested.value),
            origin,
            families: families.map(|families| families.origin.clone()),
            preset: raw.preset,
            refuse: raw.refuse,
            foreign: raw.foreign.map(|foreign| foreign.origin),
            lines,
            allow,
            deny,
            allowed,
        };
        this.denied(problems);
        if let Some(added) = &this.added {
            added.relate(&this, problems);
        }
        this.vain(problems);
        this.vain_foreign(problems);
        this.odd(problems);
        this
    }

    /// What is denied although it is allowed or needed.
    fn denied(&self, problems: &mut Diagnostics) {
        let places: BTreeMap<_, _> = self
            .allowed
            .iter()
            .map(|(call, place)| (call.id(), place))
            .collect();
        let always = self.deny.iter().filter(|placed| placed.when.is_none());
        for placed in always {
            let refuses = placed.entry.with.unwrap_or(self.refuse.value);
            for (name, calls) in &placed.names {
                let place = &name.origin;
                let native = |named: &Named| Some((named.call.native()?, named.by_set));
                for (call, by_set) in calls.iter().filter_map(native) {
                    if let Some(other) = places.get(&call.id()) {
                        problems.push(
                            Diagnostic::new(
                                Code::AllowedAndDenied,
                                place,
                                format!("`{call}` is denied{} and allowed", by(name, by_set)),
                            )
                            .and(other, "allowed here")
                            .help("remove it from one of the two lists"),
                        );
                    }
                    if refuses.permits() {
                        continue;
                    }
                    if ESSENTIAL.contains(&call) {
                        problems.push(
                            Diagnostic::new(
                                Code::EssentialCall,
                                place,
                                format!(
                                    "without `{call}`{} no command can be started",
                                    of(name, by_set)
                                ),
                            )
                            .help("remove it from `deny`"),
                        );
                    }
                }
                let loading = calls.iter().filter_map(|named| named.call.native());
                let loading: Vec<_> = loading.filter(|call| LOADING.contains(call)).collect();
                if !refuses.permits() && !loading.is_empty() {
                    problems.push(
                        Diagnostic::new(
                            Code::NoLoader,
                            place,
                            format!(
                                "without {} no program with shared libraries can be started",
                                quoted(&loading)
                            ),
                        )
                        .help("remove it from `deny`"),
                    );
                }
            }
        }
    }

    /// What has no effect.
    fn vain(&self, problems: &mut Diagnostics) {
        // Where calls of the other ABI are judged, one that stands for many is not allowed by the lack of a preset alone.
        let judged = self.policy.follows();
        let counts = |named: &Named| named.call.native().is_some() || !judged;
        let mut names = self.allow.iter().flat_map(|placed| &placed.names);
        let first = names.find(|(_, calls)| calls.iter().any(counts));
        if let (Preset::Off, Some((name, _))) = (self.preset.value, first) {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &name.origin,
                    "without a preset every call is allowed",
                )
                .and(&self.preset.origin, "off here")
                .help("remove `allow`, or choose a preset"),
            );
            return;
        }
        let deny: Vec<_> = self
            .deny
            .iter()
            .map(|placed| placed.entry.clone())
            .collect();
        let before = Policy::new(self.preset.value, self.refuse.value, &[], &deny);
        for placed in &self.allow {
            let (Some(rows), Some(origin)) = (&placed.entry.when, &placed.when) else {
                continue;
            };
            let asked = Arguments {
                cases: vec![(Arc::clone(rows), true)],
                otherwise: false,
            };
            let calls = &placed.entry.calls;
            let permitted = |call: Call| match call {
                Call::Native(call) => before.verdict(call).permitted().covers(&asked),
                Call::Foreign(_) => false,
            };
            if !calls.is_empty() && calls.iter().all(|named| permitted(named.call)) {
                problems.push(
                    Diagnostic::new(
                        Code::NoEffect,
                        origin,
                        "with these arguments, the preset permits it anyway",
                    )
                    .and(&self.preset.origin, "this preset")
                    .help("to permit it with no others, name the others under `deny`, for example: { calls = \"socket\", when = [{ arg = 0, not = 1 }] }"),
                );
            }
        }
        let asked = !self.refuse.origin.is_default();
        let refuses = self.preset.value == Preset::None
            || self.deny.iter().any(|placed| placed.entry.with.is_none());
        if asked && !refuses {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &self.refuse.origin,
                    "no call is refused in this way: `deny` names none without an answer of its own, and the preset has its own errnos",
                )
                .and(&self.preset.origin, "this preset")
                .help("remove `refuse`, name calls under `deny`, or write `preset = \"none\"`"),
            );
        }
    }

    /// What is said about the other ABI and has no effect.
    fn vain_foreign(&self, problems: &mut Diagnostics) {
        let in_file = |name: &At<String>| {
            let file = self.file.as_ref();
            file.is_some_and(|file| file.origin == name.origin)
        };
        let follows = self.policy.follows();
        if let Some(place) = self
            .foreign
            .as_ref()
            .filter(|_| follows && self.policy.is_off())
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    place,
                    "without a filter, calls of the other ABI are permitted as all others are",
                )
                .and(&self.preset.origin, "off here")
                .help("remove `foreign`, or choose a preset"),
            );
        }
        for (list, allows) in [(&self.allow, true), (&self.deny, false)] {
            let names = list.iter().flat_map(|placed| &placed.names);
            for (name, calls) in names.filter(|(name, _)| !in_file(name)) {
                for named in calls {
                    let Call::Foreign(call) = named.call else {
                        continue;
                    };
                    if !follows && self.policy.is_off() {
                        // That is said of the preset.
                        continue;
                    }
                    if !follows {
                        let message =
                            format!("`{}` is refused, as every call of its ABI is", named.call);
                        problems.push(
                            Diagnostic::new(Code::ForeignCall, &name.origin, message)
                                .help("remove it, or write foreign = \"same\""),
                        );
                        continue;
                    }
                    let Meaning::Any(calls) = foreign::meaning(call) else {
                        continue;
                    };
                    if allows && self.policy.bounds_ports_of(calls) {
                        let message = format!(
                            "`{}` stays refused: ports that `connect_ports` and `bind_ports` bound would be passed by",
                            named.call
                        );
                        problems.push(
                            Diagnostic::new(Code::NoEffect, &name.origin, message)
                                .help("remove it, or the ports under [network]"),
                        );
                    } else if allows && let Some(denied) = self.policy.denied_of(calls) {
                        let message = format!(
                            "`{}` stays refused: it can be `{denied}` too, which is denied",
                            named.call
                        );
                        problems.push(
                            Diagnostic::new(Code::AllowedAndDenied, &name.origin, message)
                                .and(self.line(denied), "denied here")
                                .help("remove it from one of the two lists"),
                        );
                    }
                }
            }
        }
    }

    /// Which line permits sockets of any family to programs of the other ABI.
    #[must_use]
    pub fn permits_unseen_sockets(&self) -> Option<&Origin> {
        let call = ABI.map(|_| I386::socketcall)?;
        let permitted = self.policy.follows() && self.policy.foreign_verdict(call).permits_some();
        permitted.then(|| self.lines.get(&call.into()).unwrap_or(&self.preset.origin))
    }

    /// What the author may not have meant.
    fn odd(&self, problems: &mut Diagnostics) {
        let missing: Vec<_> = LOADING
            .iter()
            .copied()
            .filter(|call| !self.policy.verdict(*call).permits_some())
            .collect();
        if self.preset.value == Preset::None && !missing.is_empty() {
            problems.push(
                Diagnostic::new(
                    Code::StaticOnly,
                    &self.preset.origin,
                    format!(
                        "only static programs can be started: those with shared libraries need {}",
                        quoted(&missing)
                    ),
                )
                .help("allow them, for example by allow = [\"@default\", \"@basic-io\", \"@file-system\"]"),
            );
        }
        let deny = self
            .deny
            .iter()
            .filter(|placed| placed.entry.with == Some(Answer::Log));
        let all = Some(&self.refuse).filter(|refuse| refuse.value == Answer::Log);
        let places = deny.filter_map(|placed| placed.with.as_ref());
        for place in places.chain(all.map(|refuse| &refuse.origin)) {
            problems.push(
                Diagnostic::new(Code::OnlyLogged, place, "what is only logged is permitted").help(
                    "when the log has told what the program needs, write an errno, or \"kill\"",
                ),
            );
        }
    }

    /// The calls that the profile allows by their own names, and where.
    #[must_use]
    pub fn allowed(&self) -> &[(Sysno, Origin)] {
        &self.allowed
    }

    /// The place of the table, where it asks for a filter, or of the families that take one.
    #[must_use]
    pub fn asked(&self) -> Option<&Origin> {
        let named = Some(&self.origin).filter(|origin| !origin.is_default());
        let asked = named.or(self.families.as_ref());
        asked.filter(|_| !self.policy.is_off() || self.added.is_some())
    }

    /// Where the preset is off and nothing is denied.
    #[must_use]
    pub fn switched_off(&self) -> Option<&Origin> {
        Some(&self.preset.origin).filter(|_| self.policy.is_off() && self.added.is_none())
    }

    /// Which line refuses every socket, whatever the families are.
    #[must_use]
    pub fn refuses_sockets(&self) -> Option<&Origin> {
        let any = self.policy.clone().families(None);
        let refused = !any.verdict(Sysno::socket).permits_some();
        let place = self.deny.iter().flat_map(|placed| &placed.names);
        let mut place =
            place.filter(|(_, calls)| calls.iter().any(|c| c.call == Sysno::socket.into()));
        let place = place.next().map(|(name, _)| &name.origin);
        refused.then(|| place.unwrap_or(&self.preset.origin))
    }

    /// What becomes of socket(2), and which line decides on it.
    #[must_use]
    pub fn sockets(&self, profile: &Profile) -> (Verdict, &Origin) {
        let call = Sysno::socket;
        (self.verdict(call, profile), self.line(call))
    }

    /// Which line permits rings, on which sockets are made without a system call.
    #[must_use]
    pub fn permits_rings(&self) -> Option<&Origin> {
        let permitted = self.policy.verdict(families::RING).permits_some();
        permitted.then(|| self.line(families::RING))
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
            return Answer::Allow.into();
        }
        self.policy.verdict(call)
    }

    /// What becomes of a call of the other ABI.
    #[must_use]
    pub fn foreign_verdict(&self, call: I386, profile: &Profile) -> Verdict {
        if profile.enforce.seccomp.value == Level::Off || self.policy.is_off() {
            return Answer::Allow.into();
        }
        self.policy.foreign_verdict(call)
    }

    /// Which line permits to type into a terminal.
    #[must_use]
    pub fn permits_terminal_input<'p>(&'p self, profile: &'p Profile) -> Option<&'p Origin> {
        /// ioctl(fd, TIOCSTI, …)
        const TYPES: [u64; 6] = [0, 0x5412, 0, 0, 0, 0];
        if !self.verdict(Sysno::ioctl, profile).answer(&TYPES).permits() {
            return None;
        }
        let enforce = &profile.enforce.seccomp;
        Some(if enforce.value == Level::Off {
            &enforce.origin
        } else {
            self.line(Sysno::ioctl)
        })
    }

    /// Which line decides on a call.
    fn line(&self, call: Sysno) -> &Origin {
        self.lines.get(&call.into()).unwrap_or(&self.preset.origin)
    }

    /// Installs the filter.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let enforce = &profile.enforce.seccomp;
        if enforce.value == Level::Off {
            return draft.note(&enforce.origin, "no system call filter: it is off");
        }
        let filters = !self.policy.is_off() || self.added.is_some();
        if filters {
            draft.wants([Mechanism::Seccomp]);
        }
        let origin = self.asked().unwrap_or(&self.origin);
        // Kernels without seccomp (CONFIG_SECCOMP_FILTER=n) lack this file.
        if filters
            && !draft
                .host
                .tree
                .exists("/proc/sys/kernel/seccomp/actions_avail".as_ref())
        {
            if enforce.value == Level::Prefer {
                return draft.weaker(origin, "this kernel has no system call filters");
            }
            return draft.refuse(
                origin,
                "this kernel has no system call filters (seccomp), or /proc is not mounted",
                "mount /proc, write `preset = \"off\"` under [seccomp], or `seccomp = \"prefer\"` under [enforce]",
            );
        }
        if let Some(file) = self.file.as_ref().filter(|_| !self.unknown.is_empty()) {
            let names = self.unknown.join(", ");
            let text = format!("{} names what is no system call here: {names}", file.value);
            draft.note(&file.origin, text);
        }
        if self.denials.value == Denials::Tell {
            match self.policy.compile_told() {
                Ok(Some((first, second))) => {
                    let op = Op::TellRefusals { first, second };
                    draft.step(Phase::Filter, op, &self.denials.origin);
                }
                Ok(None) => {}
                // What cannot be compiled is refused below; this needs some instructions more.
                Err(error) => draft.note(
                    &self.denials.origin,
                    format!("refused calls are not told of: {error}"),
                ),
            }
        }
        match self.policy.compile() {
            Ok(Some(program)) => draft.step(Phase::Filter, Op::SetFilter(program), origin),
            Ok(None) => {}
            Err(error) => draft.refuse(
                &self.origin,
                format!("the system call filter cannot be compiled: {error}"),
                match self.policy.follows() {
                    true => "shorten `allow` and `deny`, or do not judge calls of another ABI (`foreign`)",
                    false => "shorten `allow` and `deny`",
                },
            ),
        }
        if let Some(added) = &self.added {
            added.steps(draft);
        }
    }
}

/// What it takes to make a user namespace and a sandbox in it. clone3 is not among them: what uses it falls
/// back to clone, and it stays refused as a call whose flags no filter can see.
const NESTING: &[Sysno] = calls![
    clone unshare setns mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree
    open_tree_attr mount_setattr sethostname setdomainname
];

/// The line that decides on each call: the entries that count more come later.
fn lines(allow: &[Placed], deny: &[Placed], families: Option<&Origin>) -> BTreeMap<Call, Origin> {
    let mut lines = BTreeMap::new();
    for call in families::CALLS {
        lines.extend(families.map(|origin| (call.into(), origin.clone())));
    }
    for (list, by_set) in [(allow, true), (allow, false), (deny, true), (deny, false)] {
        for (name, calls) in list.iter().flat_map(|placed| &placed.names) {
            for named in calls.iter().filter(|named| named.by_set == by_set) {
                lines.insert(named.call, name.origin.clone());
            }
        }
    }
    lines
}

/// Why calls of the other ABI cannot be treated so.
fn cannot_be(foreign: &At<Foreign>) -> Option<Diagnostic> {
    let (message, here, help) = match foreign.value {
        Foreign::Refuse(answer) if answer.permits() => (
            "calls of another ABI cannot be permitted as such, not even when they are logged",
            "their numbers mean other calls",
            "write an errno, \"kill\" or \"trap\"; or \"same\", to permit what is permitted of the native calls",
        ),
        Foreign::Same if ABI.is_none() => (
            "this architecture has no other ABI whose calls could be judged",
            "32-bit programs are refused here",
            "remove it, or put it into a profile for x86_64 that extends this one",
        ),
        _ => return None,
    };
    let problem = Diagnostic::new(Code::WrongValue, &foreign.origin, message);
    Some(problem.here(here).help(help))
}

/// By which set a call is named, in words.
fn by(name: &At<String>, by_set: bool) -> String {
    if by_set {
        format!(" by `{}`", name.value)
    } else {
        String::new()
    }
}

/// Of which set a call is, in words.
fn of(name: &At<String>, by_set: bool) -> String {
    if by_set {
        format!(", which is one of `{}`,", name.value)
    } else {
        String::new()
    }
}

fn quoted(calls: &[Sysno]) -> String {
    let names: Vec<_> = calls.iter().map(|call| format!("`{call}`")).collect();
    names.join(", ")
}

/// What is said about a name that is no system call here.
pub(super) fn no_such_call(unknown: &UnknownCall, origin: &Origin) -> Diagnostic {
    let (code, help) = match (unknown.suggestion, unknown.elsewhere) {
        _ if unknown.native.is_some() => {
            let native = unknown.native.map_or("", |call| call.name());
            let help =
                format!("i386 has it for `{native}`: write \"{native}\", which counts for both");
            (Code::ForeignCall, help)
        }
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
