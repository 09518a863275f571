//! Which line decides on a call: what [`Policy`](super::policy::Policy) says, with the reason.

use super::call::{Call, I386, Made};
use super::conditions::{Condition, condition};
use super::foreign::{ABI, Meaning, meaning};
use super::policy::Answer;
use super::presets::{Preset, STARTING, Stance, group_of};
use super::{Denials, NESTING, Placed, Seccomp, families, ports};
use crate::diag::Origin;
use crate::review::arguments::{Is, Row, Test};
use crate::sections::{Profile, enforce::Level};
use syscalls::Sysno;

/// What becomes of a call, and why.
#[derive(Clone, Debug)]
pub struct Decision<'p> {
    /// What becomes of it.
    pub answer: Answer,
    /// Why.
    pub rule: Rule<'p>,
    /// The line that says so.
    pub origin: &'p Origin,
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub enum Rule<'p> {
    /// There is no filter.
    Off,
    /// An entry of `deny`, by the name that it has there.
    Deny(&'p str),
    /// An entry of `allow`, by the name that it has there.
    Allow(&'p str),
    /// The preset, or for a call that is allowed by a set the default one: with any arguments, or where
    /// a condition holds.
    Preset(Preset, Option<&'static Condition>),
    /// The file that stands in place of a preset.
    File(&'p str),
    /// Nested user namespaces are permitted, which take it.
    Nested,
    /// The families that sockets may be of.
    Families,
    /// The ports of TCP that are bounded.
    Ports,
    /// The preset knows no such call.
    Unlisted(Preset),
    /// It is a call of another ABI; of the one that could be judged, if true.
    Foreign(bool),
    /// It is a call of the other ABI, judged as the native ones that it can be; of one of them the arguments
    /// decide, which are in another place.
    Unseen,
    /// It asks for a listener of its own.
    Listener,
}

/// In words, after "refused by …".
impl std::fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("no system call filter"),
            Self::Deny(name) => write!(f, "seccomp deny {name:?}"),
            Self::Allow(name) => write!(f, "seccomp allow {name:?}"),
            Self::Nested => f.write_str("nested user namespaces"),
            Self::Families => f.write_str("network families"),
            Self::Ports => f.write_str("network ports"),
            Self::File(name) => write!(f, "seccomp file {name:?}"),
            Self::Preset(preset, _) => write!(f, "seccomp preset {:?}", preset.word()),
            Self::Unlisted(preset) => {
                write!(f, "seccomp preset {:?}: an unknown call", preset.word())
            }
            Self::Foreign(_) => f.write_str("seccomp foreign: a call of another ABI"),
            Self::Unseen => {
                f.write_str("seccomp foreign = \"same\": its arguments are where no filter looks")
            }
            Self::Listener => f.write_str("seccomp denials = \"tell\": one listener at a time"),
        }
    }
}

impl Rule<'_> {
    /// When the preset permits the call, in words that follow "if the".
    #[must_use]
    pub fn only_if(&self) -> Option<&'static str> {
        match self {
            Self::Preset(_, condition) => condition.map(|condition| condition.summary),
            _ => None,
        }
    }
}

impl Seccomp {
    /// What becomes of a call with these arguments under a profile.
    #[must_use]
    pub fn decide<'p>(
        &'p self,
        profile: &'p Profile,
        call: Sysno,
        arguments: &[u64; 6],
    ) -> Decision<'p> {
        let enforce = &profile.enforce.seccomp;
        if enforce.value == Level::Off || self.policy.is_off() {
            return Decision {
                answer: Answer::Allow,
                rule: Rule::Off,
                origin: if enforce.value == Level::Off {
                    &enforce.origin
                } else {
                    &self.preset.origin
                },
            };
        }
        let listens = arguments[1] & u64::from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32) != 0;
        if call == Sysno::seccomp && listens && self.denials.value == Denials::Tell {
            return Decision {
                answer: Answer::Errno(libc::EBUSY),
                rule: Rule::Listener,
                origin: &self.denials.origin,
            };
        }
        let decision = self
            .denies(call, arguments)
            .or_else(|| self.allows(call, arguments))
            .unwrap_or_else(|| self.by_preset(call, arguments));
        if let Some(origin) = profile.network.port_lists().next()
            && decision.answer.permits()
            && let answer = ports::bounded(call, Answer::Allow.into()).answer(arguments)
            && !answer.permits()
        {
            return Decision {
                answer,
                rule: Rule::Ports,
                origin,
            };
        }
        if let Some(decision) = self.by_families(call, arguments, &decision) {
            return decision;
        }
        match &self.file {
            Some(file) if *decision.origin == file.origin => Decision {
                rule: Rule::File(&file.value),
                ..decision
            },
            _ => decision,
        }
    }

    /// The same of what somebody called, by its number.
    #[must_use]
    pub fn decide_made<'p>(
        &'p self,
        profile: &'p Profile,
        made: Made,
        arguments: &[u64; 6],
    ) -> Decision<'p> {
        match made {
            Made::Known(Call::Native(call)) => self.decide(profile, call, arguments),
            Made::Known(Call::Foreign(call)) => self.decide_foreign(profile, call, arguments),
            Made::Unlisted { foreign } if !foreign || self.policy.follows() => Decision {
                answer: self.policy.unlisted(),
                rule: Rule::Unlisted(self.preset.value),
                origin: &self.preset.origin,
            },
            Made::Unlisted { .. } => self.by_foreign(Rule::Foreign(true)),
            Made::Elsewhere => self.by_foreign(Rule::Foreign(false)),
        }
    }

    /// What the line about other ABIs says.
    fn by_foreign<'p>(&'p self, rule: Rule<'p>) -> Decision<'p> {
        Decision {
            answer: self.policy.foreign(),
            rule,
            origin: self.foreign.as_ref().unwrap_or(&self.preset.origin),
        }
    }

    /// What becomes of a call of the other ABI: by what is said of itself, or of the native one that does the same.
    #[must_use]
    pub fn decide_foreign<'p>(
        &'p self,
        profile: &'p Profile,
        call: I386,
        arguments: &[u64; 6],
    ) -> Decision<'p> {
        // The kernel takes the low halves.
        let arguments = &arguments.map(|argument| argument & u64::from(u32::MAX));
        if profile.enforce.seccomp.value == Level::Off || self.policy.is_off() {
            return self.decide(profile, Sysno::read, arguments);
        }
        if !self.policy.follows() {
            return self.by_foreign(Rule::Foreign(true));
        }
        let answer = self.policy.foreign_verdict(call).answer(arguments);
        let own = self
            .denies(call, arguments)
            .or_else(|| self.allows(call, arguments))
            .filter(|own| own.answer == answer);
        let as_native = || match meaning(call) {
            Meaning::As(native, _) => Some(self.decide(profile, native, arguments)),
            Meaning::Nothing => {
                Some(self.decide_made(profile, Made::Unlisted { foreign: true }, arguments))
            }
            Meaning::Any(_) => None,
        };
        let listens = |found: &Decision<'_>| matches!(found.rule, Rule::Listener);
        let found = own.or_else(as_native);
        let found = found.filter(|found| found.answer == answer || listens(found));
        let ports = profile.network.port_lists().next().filter(
            |_| matches!(meaning(call), Meaning::Any(calls) if self.policy.bounds_ports_of(calls)),
        );
        found.unwrap_or_else(|| match ports {
            Some(origin) => Decision {
                answer,
                rule: Rule::Ports,
                origin,
            },
            None => Decision {
                answer,
                ..self.by_foreign(Rule::Unseen)
            },
        })
    }

    /// Where the families decide, and not what would without them.
    fn by_families(
        &self,
        call: Sysno,
        arguments: &[u64; 6],
        before: &Decision<'_>,
    ) -> Option<Decision<'_>> {
        let origin = self.families.as_ref()?;
        let answer = self.policy.verdict(call).answer(arguments);
        let concerned = families::CALLS.contains(&call) || call == families::RING;
        // Of a refusal with the same errno it is the families that count: allowing the call would not help.
        let refused = answer == families::REFUSED && !self.policy.lists(arguments);
        (concerned && (refused || answer != before.answer)).then_some(Decision {
            answer,
            rule: Rule::Families,
            origin,
        })
    }

    fn denies(&self, call: impl Into<Call>, arguments: &[u64; 6]) -> Option<Decision<'_>> {
        let call = call.into();
        // As `Policy::new` orders them.
        for by_set in [false, true] {
            for placed in self.deny.iter().rev() {
                if let Some((name, origin)) = named(placed, call, by_set)
                    && holds(placed, arguments)
                {
                    let answer = placed.entry.with.unwrap_or(self.refuse.value);
                    let rule = Rule::Deny(name);
                    return Some(Decision {
                        answer,
                        rule,
                        origin,
                    });
                }
            }
        }
        None
    }

    /// What is allowed by itself, or with these arguments.
    fn allows(&self, call: impl Into<Call>, arguments: &[u64; 6]) -> Option<Decision<'_>> {
        let call = call.into();
        let entries = |always: bool| {
            let entries = self.allow.iter().rev();
            entries.filter(move |placed| placed.entry.when.is_none() == always)
        };
        let by_itself = entries(true).find_map(|placed| named(placed, call, false));
        let with_arguments = entries(false)
            .filter(|placed| holds(placed, arguments))
            .find_map(|placed| named(placed, call, false).or_else(|| named(placed, call, true)));
        let Some((name, origin)) = by_itself.or(with_arguments) else {
            let nests = call.native().is_some_and(|call| NESTING.contains(&call));
            let origin = self.nested.as_ref().filter(|_| nests)?;
            return Some(Decision {
                answer: Answer::Allow,
                rule: Rule::Nested,
                origin,
            });
        };
        Some(Decision {
            answer: Answer::Allow,
            rule: Rule::Allow(name),
            origin,
        })
    }

    fn by_preset(&self, call: Sysno, arguments: &[u64; 6]) -> Decision<'_> {
        let preset = self.preset.value;
        let entries = self.allow.iter().rev();
        let set = entries
            .clone()
            .filter(|placed| placed.entry.when.is_none() && preset != Preset::Off)
            .find_map(|placed| named(placed, call, true));
        // An entry with a condition that does not hold may say what becomes of the others.
        let other = entries
            .filter(|placed| placed.entry.when.is_some())
            .filter_map(|placed| {
                let (name, origin) =
                    named(placed, call, false).or_else(|| named(placed, call, true))?;
                let with = placed.entry.with?;
                Some((
                    with,
                    Rule::Allow(name),
                    placed.with.as_ref().unwrap_or(origin),
                ))
            })
            .next();
        let refused = |errno: Answer, rule, origin| match other {
            Some((answer, rule, origin)) => Decision {
                answer,
                rule,
                origin,
            },
            None => Decision {
                answer: errno,
                rule,
                origin,
            },
        };
        let (stance, from, origin) = match set {
            Some((_, origin)) => (Some(Stance::Allow), Preset::Default, origin),
            None if preset == Preset::None && STARTING.contains(&call) => {
                (Some(Stance::Allow), preset, &self.preset.origin)
            }
            None => {
                let stance = group_of(call).map(|group| group.stance(preset));
                (stance, preset, &self.preset.origin)
            }
        };
        let condition = condition(from, call);
        let rule = Rule::Preset(from, condition);
        match (stance, condition) {
            (Some(Stance::Allow), condition)
                if condition.is_none_or(|condition| condition.case().holds(arguments)) =>
            {
                Decision {
                    answer: Answer::Allow,
                    rule: set.map_or(rule, |(name, _)| Rule::Allow(name)),
                    origin,
                }
            }
            (Some(Stance::Allow), condition) => {
                let errno = condition.map_or(libc::EPERM, |condition| condition.errno);
                refused(Answer::Errno(errno), rule, origin)
            }
            (Some(Stance::Refuse(_)), _) if preset == Preset::None => {
                refused(self.refuse.value, Rule::Preset(preset, None), origin)
            }
            (Some(Stance::Refuse(errno)), _) => {
                refused(Answer::Errno(errno), Rule::Preset(preset, None), origin)
            }
            (None, _) => refused(self.policy.unlisted(), Rule::Unlisted(preset), origin),
        }
    }

    /// What to write, so that what somebody called is allowed.
    #[must_use]
    pub fn remedy_made(&self, decision: &Decision<'_>, made: Made, arguments: &[u64; 6]) -> String {
        let call = match made {
            Made::Known(Call::Native(call)) => call,
            Made::Known(Call::Foreign(foreign)) => match (meaning(foreign), decision.rule) {
                (Meaning::As(native, _), Rule::Unseen) => {
                    return format!(
                        "let [seccomp] permit \"{native}\" with any arguments, which counts for {} too",
                        Call::from(foreign)
                    );
                }
                (Meaning::As(native, _), _) => native,
                (Meaning::Any(calls), Rule::Unseen) => {
                    return match self.policy.denied_of(calls) {
                        Some(denied) => format!("remove \"{denied}\" from `deny` under [seccomp]"),
                        None => format!("[seccomp] allow = [\"{foreign}\"]"),
                    };
                }
                _ => Sysno::read,
            },
            Made::Unlisted { .. } | Made::Elsewhere => Sysno::read,
        };
        self.remedy(decision, call, arguments)
    }

    /// What to write, so that a call with these arguments is allowed.
    #[must_use]
    pub fn remedy(&self, decision: &Decision<'_>, call: Sysno, arguments: &[u64; 6]) -> String {
        match decision.rule {
            Rule::Deny(name) => format!("remove {name:?} from `deny` under [seccomp]"),
            Rule::File(name) => format!("allow it in {name:?}"),
            Rule::Families => match families::name(arguments[0]).filter(|_| call != families::RING)
            {
                Some(name) => format!("add {name:?} to `families` under [network]"),
                None => "remove `families` under [network]".into(),
            },
            Rule::Ports => "remove `connect_ports` and `bind_ports` under [network]".into(),
            Rule::Listener => "[seccomp] denials = \"silent\"".into(),
            Rule::Foreign(true) if ABI.is_some() => "[seccomp] foreign = \"same\"".into(),
            Rule::Foreign(_) | Rule::Unseen => {
                "it cannot be allowed: build the program for this architecture".into()
            }
            Rule::Unlisted(_) => {
                "it cannot be named yet: [seccomp] preset = \"off\" lets it pass".into()
            }
            // Its arguments are not those that the entry names.
            Rule::Allow(name) => {
                format!("add these arguments to `when` of {name:?} under [seccomp], or to `allow`")
            }
            // The filter alone does not permit one.
            Rule::Preset(..)
                if matches!(call, Sysno::unshare | Sysno::clone)
                    && arguments[0] & libc::CLONE_NEWUSER as u64 != 0 =>
            {
                "[namespaces] nested_user = true".into()
            }
            Rule::Preset(_, Some(condition)) => {
                let tests = told_apart(condition, arguments);
                format!("[seccomp] allow = [{{ calls = \"{call}\", when = [{tests}] }}]")
            }
            Rule::Preset(_, None) | Rule::Nested | Rule::Off => {
                format!("[seccomp] allow = [\"{call}\"]")
            }
        }
    }
}

/// The conditions that these arguments meet, as narrow as those of the preset that they do not.
fn told_apart(condition: &Condition, arguments: &[u64; 6]) -> String {
    // As long as no row permits the first argument, it alone is to blame; else those count that do.
    let first = condition.rows.iter().filter_map(|row| row.first());
    let blame = first.clone().all(|test| !test.holds(arguments));
    let first = first.map(|test| test.arg).next().unwrap_or(0);
    let permits = |row: &&&[Test]| row.first().is_some_and(|test| test.holds(arguments));
    let rows = condition.rows.iter().filter(|row| blame || permits(row));
    let tests = rows.flat_map(|row| row.iter());
    let mut words: Vec<String> = Vec::new();
    for Test { arg, is, .. } in tests.filter(|test| !blame || test.arg == first) {
        let value = arguments.get(usize::from(*arg)).copied().unwrap_or(0) & u64::from(u32::MAX);
        let text = match is {
            // Modes of files.
            Is::Masked(mask @ 0o6000, _) => {
                format!(
                    "{{ arg = {arg}, mask = {mask:#o}, is = {:#o} }}",
                    value & mask
                )
            }
            Is::Masked(mask, _) => {
                format!(
                    "{{ arg = {arg}, mask = {mask:#x}, is = {:#x} }}",
                    value & mask
                )
            }
            _ => format!("{{ arg = {arg}, is = {value:#x} }}"),
        };
        let of_arg = format!("{{ arg = {arg},");
        if !words.iter().any(|word| word.starts_with(&of_arg)) {
            words.push(text);
        }
    }
    words.join(", ")
}

fn named(placed: &Placed, call: impl Into<Call>, by_set: bool) -> Option<(&str, &Origin)> {
    let call = call.into();
    // Of two names of one entry, the later one, as `lines` has it.
    placed.names.iter().rev().find_map(|(name, calls)| {
        let found = calls
            .iter()
            .any(|named| named.call == call && named.by_set == by_set);
        found.then_some((name.value.as_str(), &name.origin))
    })
}

fn holds(placed: &Placed, arguments: &[u64; 6]) -> bool {
    let row = |row: &Row| row.iter().all(|test| test.holds(arguments));
    let when = placed.entry.when.as_ref();
    when.is_none_or(|rows| rows.iter().any(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::seccomp::presets::GROUPS;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "mount",
            "socket",
            "clone",
            "read",
            "@mount",
            "@network-io",
            "@process",
            "kill",
        ]);
        let when = prop::sample::select(vec![
            "",
            ", when = [{ arg = 0, is = 1 }]",
            ", when = [{ arg = 0, in = [0, 40] }, { arg = 1, not = 2 }]",
        ]);
        let with = prop::sample::select(vec!["", ", with = \"EXDEV\"", ", with = \"kill\""]);
        (name, when, with).prop_map(|(name, when, with)| {
            // What is allowed with any arguments is never refused.
            let with = if when.is_empty() { "" } else { with };
            format!("{{ calls = {name:?}{when}{with} }}")
        })
    }

    fn text() -> impl Strategy<Value = String> {
        let preset = prop::sample::select(vec!["default", "strict", "none", "off"]);
        let list = || prop::collection::vec(entry(), 0..4);
        let families = prop::sample::select(vec![
            "",
            "",
            "[network]\nfamilies = []\n",
            "[network]\nfamilies = [\"unix\", \"vsock\"]\n",
            "[network]\nfamilies = [\"inet\", \"netlink\"]\n",
        ]);
        (preset, list(), list(), families).prop_map(|(preset, allow, deny, families)| {
            let (allow, deny) = (allow.join(", "), deny.join(", "));
            format!(
                "{families}[seccomp]\npreset = {preset:?}\nallow = [{allow}]\ndeny = [{deny}]\n"
            )
        })
    }

    fn loaded(text: &str) -> Option<Profile> {
        use crate::diag::{Source, Sources};
        use crate::profile::{overlay::Overlay, variables::Variables};
        let mut sources = Sources::default();
        let id = sources.add(Source::new("test.toml", text));
        let (variables, overlay) = (Variables::default(), Overlay::default());
        let loaded = crate::sections::load(&mut sources, id, &variables, &overlay);
        loaded.ok().map(|(profile, _)| profile)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn what_is_explained_is_what_the_policy_says(text in text(), a in 0..50_u64, b in 0..50_u64) {
            let Some(profile) = loaded(&text) else { return Ok(()) };
            let seccomp = &profile.seccomp;
            let calls = GROUPS.iter().flat_map(|group| group.calls);
            for &call in calls {
                for args in [[a, b, 0, 0, 0, 0], [0, a, b, 0, 0, 0], [1, 1, 0, 0, 0, 0], [40, 0, 0, 0, 0, 0]] {
                    let listens = call == Sysno::seccomp && args[1] & 8 != 0;
                    let decision = seccomp.decide(&profile, call, &args);
                    if !listens || seccomp.policy.is_off() {
                        let answer = seccomp.verdict(call, &profile).answer(&args);
                        prop_assert_eq!(decision.answer, answer, "{}{:?}\n{}", call, args, text);
                    }
                }
            }
        }
    }

    /// The same of calls of the other ABI, of which some can only be allowed by allowing more.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_remedy_for_the_other_abi_that_is_followed_helps() {
        let (mut followed, mut unseen) = (0, 0);
        for preset in ["default", "strict", "none"] {
            let before = format!("[seccomp]\npreset = {preset:?}\nforeign = \"same\"\n");
            let profile = loaded(&before).unwrap();
            for call in crate::sections::seccomp::foreign::all() {
                for args in [[0; 6], [40, 1, 0, 0, 0, 0], [0, 0x5412, 0o6000, 0, 0, 0]] {
                    let made = Made::Known(call.into());
                    let decision = profile.seccomp.decide_made(&profile, made, &args);
                    let answer = profile
                        .seccomp
                        .foreign_verdict(call, &profile)
                        .answer(&args);
                    let listens = matches!(decision.rule, Rule::Listener);
                    assert!(listens || decision.answer == answer, "{call}{args:?}");
                    if decision.answer.permits() || listens {
                        continue;
                    }
                    let remedy = profile.seccomp.remedy_made(&decision, made, &args);
                    let Some(key) = remedy.strip_prefix("[seccomp] ") else {
                        unseen += 1;
                        continue;
                    };
                    let Some(profile) = loaded(&format!("{before}{key}\n")) else {
                        panic!("{call}{args:?}: {remedy}");
                    };
                    let decision = profile.seccomp.decide_made(&profile, made, &args);
                    let listens = matches!(decision.rule, Rule::Listener);
                    assert!(
                        decision.answer.permits() || listens,
                        "{call}{args:?}: {remedy}"
                    );
                    followed += 1;
                }
            }
        }
        assert!(followed > 500, "{followed}");
        assert!(unseen < followed / 10, "{unseen}");
    }

    /// With what is said to allow a call, it is allowed.
    #[test]
    fn a_remedy_that_is_followed_helps() {
        let mut followed = 0;
        for preset in ["default", "strict", "none"] {
            let before = format!("[seccomp]\npreset = {preset:?}\n");
            let profile = loaded(&before).unwrap();
            for &call in GROUPS.iter().flat_map(|group| group.calls) {
                for args in [
                    [0; 6],
                    [40, 1, 0, 0, 0, 0],
                    [u64::MAX; 6],
                    [0, 0x5412, 0o6000, 0, 0, 0],
                ] {
                    let decision = profile.seccomp.decide(&profile, call, &args);
                    if decision.answer.permits() || matches!(decision.rule, Rule::Listener) {
                        continue;
                    }
                    let remedy = profile.seccomp.remedy(&decision, call, &args);
                    let followed_by = match remedy.strip_prefix("[seccomp] ") {
                        Some(key) => format!("{before}{key}\n"),
                        None => format!("{before}{}\n", remedy.replace("] ", "]\n")),
                    };
                    let Some(profile) = loaded(&followed_by) else {
                        panic!("{call}{args:?}: {remedy}");
                    };
                    let decision = profile.seccomp.decide(&profile, call, &args);
                    let listens = matches!(decision.rule, Rule::Listener);
                    assert!(
                        decision.answer.permits() || listens,
                        "{call}{args:?}: {remedy}"
                    );
                    followed += 1;
                }
            }
        }
        assert!(followed > 500, "{followed}");
    }
}
