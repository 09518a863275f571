//! `[capabilities]`: which privileges over its own namespaces the command keeps
//! (capabilities(7)).

mod power;

use super::{Profile, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, nearest};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::review::{Area, Extent, Grant};
use crate::sys::identity::CapabilitySets;
use caps::Capability;
use std::collections::BTreeMap;

crate::choice! {
    /// A flag of a process that says how capabilities are gained and kept (capabilities(7)).
    pub enum Securebit {
        /// uid 0 gains nothing by exec.
        Noroot = "noroot",
        /// Nobody can change that any more.
        NorootLocked = "noroot_locked",
        /// A change of ids leaves the capabilities alone.
        NoSetuidFixup = "no_setuid_fixup",
        /// Nobody can change that any more.
        NoSetuidFixupLocked = "no_setuid_fixup_locked",
        /// Leaving uid 0 keeps the permitted capabilities.
        KeepCaps = "keep_caps",
        /// Nobody can change that any more.
        KeepCapsLocked = "keep_caps_locked",
        /// Nothing can be made ambient.
        NoCapAmbientRaise = "no_cap_ambient_raise",
        /// Nobody can change that any more.
        NoCapAmbientRaiseLocked = "no_cap_ambient_raise_locked",
    }
}

/// Those by which more is kept; all others take something away.
const KEEPING: u32 = 1 << 2 | 1 << 4;

crate::table! {
    /// All are dropped by default. Names as in capabilities(7), with or without `cap_`; `"all"`.
    ///
    /// ```toml
    /// [capabilities]
    /// keep = ["net_bind_service", "kill"]
    /// ambient = ["net_bind_service"]
    /// ```
    pub struct RawCapabilities as "[capabilities]" {
        /// Which are kept: in the bounding, permitted and effective sets.
        keep: List<String>,
        /// Which are dropped out of those that are kept, for example out of `"all"`.
        drop: List<String>,
        /// Which, out of those that are kept, a program without file capabilities has too: in the
        /// inheritable and ambient sets. A uid other than 0 loses all others at exec.
        ambient: List<String>,
        /// Whether programs may gain privileges when they are executed: by a set-user-id bit or by capabilities of
        /// their file (no_new_privs of prctl(2) is not set then). Only where their mount has `nosuid = false`, for
        /// ids that the map holds, and no more capabilities than `keep`. The filter holds for them too, and what it
        /// refuses may make them do what they should not.
        new_privileges: bool = false,
        /// How uid 0 and changes of ids are treated (capabilities(7)). Default: where no capability is kept,
        /// `["noroot", "noroot_locked", "no_setuid_fixup_locked", "keep_caps_locked"]`, else none.
        securebits: List<Securebit>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Capabilities {
    keep: u64,
    ambient: u64,
    origin: Origin,
    /// The names in `keep` and `ambient`, where they stand.
    named: [Vec<(At<String>, u64)>; 2],
    new_privileges: At<bool>,
    securebits: At<u32>,
}

/// `SECBIT_NOROOT` and its lock: uid 0 gains nothing by exec.
const NO_ROOT: u32 = 0b11;
/// `SECBIT_NO_SETUID_FIXUP` and `SECBIT_KEEP_CAPS` are cleared and locked as cleared, so that a
/// program inside behaves as anywhere.
const LOCKED: u32 = 1 << 3 | 1 << 5;

impl Capabilities {
    /// Checks the names.
    pub fn check(raw: Option<At<RawCapabilities>>, problems: &mut Diagnostics) -> Self {
        let (raw, origin) = split(raw, "capabilities");
        let kept = named(&raw.keep, problems);
        let dropped = named(&raw.drop, problems);
        let ambient = named(&raw.ambient, problems);
        let places: BTreeMap<_, _> = kept.iter().map(|(k, _)| (&k.value, &k.origin)).collect();
        for (name, _) in &dropped {
            if let Some(twice) = places.get(&name.value) {
                problems.push(
                    Diagnostic::new(
                        Code::KeptAndDropped,
                        &name.origin,
                        format!("`{}` is dropped and kept", name.value),
                    )
                    .and(twice, "kept here")
                    .help("remove it from one of the two lists"),
                );
            }
        }
        let union = |names: &[(At<String>, u64)]| names.iter().fold(0, |all, (_, mask)| all | mask);
        let keep = union(&kept) & !union(&dropped);
        for (name, mask) in &ambient {
            if mask & !keep != 0 && name.value != "all" {
                problems.push(
                    Diagnostic::new(
                        Code::Needs,
                        &name.origin,
                        format!("`{}` can be ambient only if it is kept", name.value),
                    )
                    .help(format!("add it to `keep`: keep = [\"{}\"]", name.value)),
                );
            }
        }
        let securebits = match raw.securebits {
            Some(list) => list.map(|list| {
                let bits = list.0.iter();
                bits.fold(0, |all, bit| all | 1 << bit.value as u32)
            }),
            None if keep == 0 => At::default_of("capabilities.securebits", NO_ROOT | LOCKED),
            None => At::default_of("capabilities.securebits", 0),
        };
        Self {
            keep,
            ambient: union(&ambient) & keep,
            origin,
            named: [kept, ambient],
            new_privileges: raw.new_privileges,
            securebits,
        }
    }

    /// Whether one is kept.
    #[must_use]
    pub fn keeps(&self, capability: Capability) -> bool {
        self.keep & capability.bitmask() != 0
    }

    /// Which line keeps one; the table's, or that of the default, where none does.
    #[must_use]
    pub fn origin_of(&self, capability: Capability) -> &Origin {
        let kept = self.named[0].iter();
        let mut naming = kept.filter(|(_, mask)| mask & capability.bitmask() != 0);
        naming.next().map_or(&self.origin, |(name, _)| &name.origin)
    }

    /// Whether a capability is kept, whether a program without file capabilities has it, and which line says so.
    #[must_use]
    pub fn decide(&self, capability: Capability) -> (bool, bool, &Origin) {
        let bit = 1 << capability.index();
        let [kept, _] = &self.named;
        let line = kept.iter().rev().find(|(_, mask)| mask & bit != 0);
        (
            self.keep & bit != 0,
            self.ambient & bit != 0,
            line.map_or(&self.origin, |(name, _)| &name.origin),
        )
    }

    /// Those that are kept, a bit each.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.keep
    }

    /// Whether all are dropped.
    #[must_use]
    pub fn keeps_none(&self) -> bool {
        self.keep == 0
    }

    /// What they are good for under the rest of the profile.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        power::check(self, profile, problems);
    }

    /// Which capabilities are kept. In a new user namespace they act on the sandbox's own
    /// namespaces, and still open much of the kernel's code.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            keep,
            ambient,
            origin,
            named: [kept_at, ambient_at],
            new_privileges,
            securebits,
        } = self;
        let line = |names: &[(At<String>, u64)], bit: u64| {
            let found = names.iter().find(|(_, mask)| mask & bit != 0);
            found.map_or(origin, |(name, _)| &name.origin).clone()
        };
        let over_host = !profile.namespaces.user.value.is_new();
        let (rank, words, share) = match new_privileges.value {
            false => (0, "gain no privilege by executing a program", 0),
            true if over_host => (
                1,
                "gain privileges of the host by executing programs",
                10_000,
            ),
            true => (1, "gain privileges by executing programs", 4_000),
        };
        let area = Area::Capabilities;
        let key = "capability:new_privileges";
        let gained = Grant::rank(area, key, rank, words, &new_privileges.origin).share(share);
        // What follows from `keep` is no grant beside it.
        let said = match securebits.origin.is_default() {
            true => NO_ROOT | LOCKED,
            false => securebits.value,
        };
        let bits = (!said & 0xff & !KEEPING) | (said & KEEPING);
        let words = match securebits.origin.is_default() {
            true => "have the securebits that follow from what is kept".to_owned(),
            false => format!("have the securebits {said:#x}"),
        };
        let key = "capability:securebits";
        let bits = Grant::new(
            area,
            key,
            Extent::Bits(bits.into()),
            words,
            &securebits.origin,
        );
        let mut all: Vec<_> = caps::all().into_iter().collect();
        all.sort_by_key(Capability::index);
        all.into_iter()
            .map(|capability| {
                let (bit, name) = (capability.bitmask(), plain_name(capability));
                let key = format!("capability:{name}");
                if keep & bit == 0 {
                    let words = format!("not keep the capability {name}");
                    return Grant::rank(Area::Capabilities, key, 0, words, origin);
                }
                let share = danger(capability) * if over_host { 2 } else { 1 };
                let (rank, verb, at) = if ambient & bit == 0 {
                    (1, "keep the capabilities", line(kept_at, bit))
                } else {
                    let verb = "keep in every program the capabilities";
                    (2, verb, line(ambient_at, bit))
                };
                let words = format!("{} {name}", verb.replace("capabilities", "capability"));
                Grant::rank(Area::Capabilities, key, rank, words, &at)
                    .share(share)
                    .one_of(verb, name)
            })
            .chain([gained, bits])
            .collect()
    }

    /// Reduces all five sets.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        draft.step(
            Phase::Bounding,
            Op::DropBounding(all() & !self.keep),
            &self.origin,
        );
        // What installs the filter without no_new_privs. Exec takes it away: it is neither inheritable nor ambient,
        // nor in the bounding set, from which uid 0 has what it has.
        let until_exec = match self.new_privileges.value {
            true => Capability::CAP_SYS_ADMIN.bitmask(),
            false => 0,
        };
        let shared = profile.namespaces.user.value == super::namespaces::Choice::Shared;
        if until_exec != 0 && shared && !draft.host.caller.has_rights() {
            draft.refuse(
                &self.new_privileges.origin,
                "without no_new_privs a filter takes CAP_SYS_ADMIN, which this caller has in a user namespace of its own only",
                "write `user = \"new\"` under [namespaces], or run as root",
            );
        }
        let sets = CapabilitySets {
            permitted: self.keep | until_exec,
            effective: self.keep | until_exec,
            inheritable: self.ambient,
        };
        let securebits = self.securebits.value;
        let op = Op::SetCapabilities {
            sets,
            ambient: self.ambient,
            securebits,
        };
        draft.step(Phase::Capabilities, op, &self.origin);
        if !self.new_privileges.value {
            draft.step(Phase::NoNewPrivileges, Op::NoNewPrivileges, &self.origin);
        }
    }
}

/// The name as it stands in a profile.
fn plain_name(capability: Capability) -> String {
    let name = capability.to_string().to_lowercase();
    name.trim_start_matches("cap_").to_owned()
}

/// How dangerous a capability is within namespaces of the sandbox's own, in parts of 10,000.
const fn danger(capability: Capability) -> u32 {
    use Capability as C;
    match capability {
        C::CAP_SYS_ADMIN | C::CAP_SYS_MODULE | C::CAP_SYS_RAWIO | C::CAP_BPF => 4_000,
        C::CAP_SYS_PTRACE | C::CAP_DAC_READ_SEARCH | C::CAP_MKNOD | C::CAP_SYS_BOOT => 2_500,
        C::CAP_NET_ADMIN | C::CAP_SETUID | C::CAP_SETGID | C::CAP_SETPCAP | C::CAP_SETFCAP => 2_000,
        C::CAP_DAC_OVERRIDE | C::CAP_CHOWN | C::CAP_FOWNER | C::CAP_SYS_CHROOT => 1_000,
        C::CAP_NET_RAW | C::CAP_SYS_TIME | C::CAP_SYSLOG | C::CAP_PERFMON => 1_000,
        _ => 400,
    }
}

/// Every capability that this program knows.
fn all() -> u64 {
    caps::all()
        .iter()
        .fold(0, |all, capability| all | capability.bitmask())
}

fn named(list: &Option<At<List<String>>>, problems: &mut Diagnostics) -> Vec<(At<String>, u64)> {
    let Some(list) = list else { return Vec::new() };
    let mut out = Vec::new();
    for name in &list.value.0 {
        let plain = name.value.to_lowercase();
        let plain = plain.trim_start_matches("cap_");
        let mask = match format!("CAP_{}", plain.to_uppercase()).parse::<Capability>() {
            _ if plain == "all" => all(),
            Ok(capability) => capability.bitmask(),
            Err(_) => {
                let known: Vec<_> = caps::all().into_iter().map(plain_name).collect();
                let near = nearest(plain, known.iter().map(String::as_str));
                problems.push(
                    Diagnostic::new(
                        Code::UnknownCapability,
                        &name.origin,
                        format!("there is no capability `{}`", name.value),
                    )
                    .help(match near {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => {
                            "the names are those of capabilities(7), for example \"net_raw\"".into()
                        }
                    }),
                );
                continue;
            }
        };
        out.push((At::new(plain.to_owned(), name.origin.clone()), mask));
    }
    out
}
