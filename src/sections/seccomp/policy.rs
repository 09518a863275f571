//! What becomes of each call: a preset, and what a profile adds and takes away.

use super::call::Call;
use super::conditions::condition;
use super::families;
use super::foreign::ABI;
use super::ports;
use super::presets::{Group, Preset, STARTING, Stance, group_of};
use crate::review::arguments::{self, Arguments, Row};
use crate::sections::network::Family;
use libc::ENOSYS;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use syscalls::Sysno;

/// What becomes of a call; the values are those of seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It runs.
    Allow,
    /// It runs, and the kernel's log says so.
    Log,
    /// It does not run, and returns this errno; with 0, it returns 0.
    Errno(i32),
    /// It does not run, and the process gets SIGSYS, which it may handle.
    Trap,
    /// It does not run, and SIGSYS ends the process.
    Kill,
}

impl Answer {
    /// Whether the call runs.
    #[must_use]
    pub const fn permits(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::Log => f.write_str("allowed and logged"),
            Self::Errno(0) => f.write_str("not performed, and answered with success"),
            Self::Errno(errno) => match syscalls::Errno::new(*errno).name() {
                Some(name) => write!(f, "refused with {name}"),
                None => write!(f, "refused with errno {errno}"),
            },
            Self::Trap => f.write_str("refused with a signal (SIGSYS)"),
            Self::Kill => f.write_str("refused by ending the process (SIGSYS)"),
        }
    }
}

/// What becomes of calls of the machine's other ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The same as of the native ones, by what they do.
    Same,
    /// They are refused.
    Refuse(Answer),
}

/// What becomes of a call with some arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The arguments: all tests of any one row hold.
    pub rows: Arc<[Row]>,
    /// The same in words, where somebody has found better ones; they complete "if the …".
    pub words: Option<Cow<'static, str>>,
    /// What becomes of the call.
    pub answer: Answer,
}

impl Case {
    pub(super) fn holds(&self, args: &[u64; 6]) -> bool {
        let row = |row: &Row| row.iter().all(|test| test.holds(args));
        self.rows.iter().any(row)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Some(words) => write!(f, "{} if the {words}", self.answer),
            None => write!(f, "{} if {}", self.answer, arguments::words(&self.rows)),
        }
    }
}

/// What becomes of a call: the first case decides that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The cases; none of them says at the end of the list what `otherwise` says anyway.
    pub cases: Vec<Case>,
    /// Where no case holds.
    pub otherwise: Answer,
}

impl From<Answer> for Verdict {
    fn from(otherwise: Answer) -> Self {
        Self {
            cases: Vec::new(),
            otherwise,
        }
    }
}

impl Verdict {
    pub(super) fn new(mut cases: Vec<Case>, otherwise: Answer) -> Self {
        while cases.last().is_some_and(|case| case.answer == otherwise) {
            cases.pop();
        }
        Self { cases, otherwise }
    }

    /// The same, with nothing permitted: what is refused before stays so.
    fn refusing(mut self, otherwise: Answer) -> Self {
        let refused = self.cases.iter().take_while(|case| !case.answer.permits());
        let refused = refused.count();
        let more = refused < self.cases.len() || self.otherwise.permits();
        self.cases.truncate(refused);
        Self::new(self.cases, if more { otherwise } else { self.otherwise })
    }

    /// What becomes of a call with these arguments.
    #[must_use]
    pub fn answer(&self, args: &[u64; 6]) -> Answer {
        let case = self.cases.iter().find(|case| case.holds(args));
        case.map_or(self.otherwise, |case| case.answer)
    }

    /// With which arguments the call runs.
    #[must_use]
    pub fn permitted(&self) -> Arguments {
        let cases = self.cases.iter();
        Arguments {
            cases: cases
                .map(|case| (Arc::clone(&case.rows), case.answer.permits()))
                .collect(),
            otherwise: self.otherwise.permits(),
        }
    }

    /// Whether the call runs whatever its arguments are.
    #[must_use]
    pub fn permits_all(&self) -> bool {
        self.otherwise.permits() && self.cases.iter().all(|case| case.answer.permits())
    }

    /// Whether there are arguments with which it may run.
    #[must_use]
    pub fn permits_some(&self) -> bool {
        self.otherwise.permits() || self.cases.iter().any(|case| case.answer.permits())
    }

    /// Arguments with which to find out whether a filter lets the call through at all: where it
    /// looks at none, any will do; where it never does, too. None if it may, and no such arguments were found.
    #[must_use]
    pub fn examples(&self) -> Vec<[u64; 6]> {
        if self.cases.is_empty() || !self.permits_some() {
            return vec![[0; 6]];
        }
        let mut found = Vec::new();
        for case in self.cases.iter().filter(|case| case.answer.permits()) {
            found.extend(case.rows.iter().filter_map(|row| self.example(row)));
        }
        if self.otherwise.permits() {
            found.extend(self.example(&[]));
        }
        found
    }

    /// Arguments that pass a row and with which the call runs.
    fn example(&self, row: &[arguments::Test]) -> Option<[u64; 6]> {
        use arguments::Is;
        /// How many combinations are tried.
        const TRIES: usize = 10_000;
        let tests = || {
            self.cases
                .iter()
                .flat_map(|case| case.rows.iter().flatten())
        };
        let values = |index: usize| -> Vec<u64> {
            let own = |test: &&arguments::Test| usize::from(test.arg) == index;
            let mut bits = 0;
            let mut all = vec![0, 1];
            for test in tests().chain(row).filter(own) {
                let near =
                    |value: u64| [value, value.wrapping_add(1), value.wrapping_sub(1), !value];
                match test.is {
                    Is::Equal(value) | Is::Other(value) | Is::Below(value) | Is::Above(value) => {
                        all.extend(near(value));
                    }
                    Is::Masked(mask, value) => {
                        all.extend([value, !value & mask, !mask]);
                        bits |= value;
                    }
                }
            }
            for test in row.iter().filter(own) {
                if let Is::Masked(_, value) | Is::Equal(value) = test.is {
                    bits |= value;
                }
            }
            all.push(bits);
            all.retain(|value| row.iter().filter(own).all(|test| test.accepts(*value)));
            all
        };
        let choices: [Vec<u64>; 6] = std::array::from_fn(values);
        let mut at = [0; 6];
        for _ in 0..TRIES {
            let mut args = [0; 6];
            for ((arg, choice), index) in args.iter_mut().zip(&choices).zip(at) {
                *arg = *choice.get(index)?;
            }
            if self.answer(&args).permits() {
                return Some(args);
            }
            // The next combination, as an odometer counts.
            let next = at.iter_mut().zip(&choices).find_map(|(index, choice)| {
                *index = (*index + 1) % choice.len();
                (*index != 0).then_some(())
            });
            next?;
        }
        None
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            write!(f, "{case}; ")?;
        }
        let otherwise = if self.cases.is_empty() { "" } else { "else " };
        write!(f, "{otherwise}{}", self.otherwise)
    }
}

/// One line of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The calls.
    pub calls: Vec<Named>,
    /// With which arguments; `None` for any.
    pub when: Option<Arc<[Row]>>,
    /// What a refusal does; `None` for what the profile says for all.
    pub with: Option<Answer>,
}

/// A call, and whether it was named by a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The call.
    pub call: Call,
    /// Whether it is meant as one of a set.
    pub by_set: bool,
}

impl From<Sysno> for Entry {
    /// A call with any arguments.
    fn from(call: Sysno) -> Self {
        Self {
            calls: vec![Named {
                call: call.into(),
                by_set: false,
            }],
            when: None,
            with: None,
        }
    }
}

/// What the entries say about one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) refused_if: Vec<Case>,
    pub(super) refused: Option<Answer>,
    pub(super) allowed_if: Vec<Case>,
    pub(super) allowed: bool,
    /// As the default preset permits it.
    allowed_by_set: bool,
    otherwise: Option<Answer>,
}

/// Which calls a filter permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    preset: Preset,
    refuse: Answer,
    /// What the profile says of the other ABI.
    foreign: Option<Foreign>,
    pub(super) said: BTreeMap<Call, Said>,
    /// The families that sockets may be of, where the profile says so.
    families: Option<Vec<Family>>,
    /// Whether the ports of TCP are bounded.
    pub(super) ports: bool,
}

impl From<Preset> for Policy {
    /// The preset and nothing besides.
    fn from(preset: Preset) -> Self {
        Self::new(preset, Answer::Errno(libc::EPERM), &[], &[])
    }
}

impl Policy {
    /// Puts entries on top of a preset.
    ///
    /// - What `deny` names is refused, with what the entry says, else with `refuse`; whatever else is said.
    /// - What `allow` names by itself is permitted with every argument; as one of a set, as the default preset
    ///   permits it; with conditions, also where they hold.
    /// - Where several entries of `deny` name a call, the one that names it by itself counts before
    ///   one that names a set, and the later one before the earlier one.
    #[must_use]
    pub fn new(preset: Preset, refuse: Answer, allow: &[Entry], deny: &[Entry]) -> Self {
        let mut said: BTreeMap<Call, Said> = BTreeMap::new();
        for by_set in [false, true] {
            for entry in deny.iter().rev() {
                let answer = entry.with.unwrap_or(refuse);
                for named in entry.calls.iter().filter(|named| named.by_set == by_set) {
                    let said = said.entry(named.call).or_default();
                    match &entry.when {
                        _ if said.refused.is_some() => {}
                        None => said.refused = Some(answer),
                        Some(rows) => said.refused_if.push(Case::of(rows, answer)),
                    }
                }
            }
        }
        for entry in allow {
            for named in &entry.calls {
                let said = said.entry(named.call).or_default();
                said.otherwise = entry.with.or(said.otherwise);
                match &entry.when {
                    None if named.by_set => said.allowed_by_set = true,
                    None => said.allowed = true,
                    Some(rows) => said.allowed_if.push(Case::of(rows, Answer::Allow)),
                }
            }
        }
        Self {
            preset,
            refuse,
            foreign: None,
            said,
            families: None,
            ports: false,
        }
    }

    /// Sets which families sockets may be of: of those that a preset permits, as far as it does; of others, with
    /// any arguments, wherever the policy permits socket(2) at all. Whatever else permits a call, it
    /// makes no socket of another family.
    #[must_use]
    pub fn families(mut self, families: Option<Vec<Family>>) -> Self {
        self.families = families;
        self
    }

    /// Refuses what would pass by bounded ports of TCP.
    #[must_use]
    pub fn bounded_ports(mut self, ports: bool) -> Self {
        self.ports = ports;
        self
    }

    /// Sets what becomes of calls of the other ABI.
    #[must_use]
    pub fn foreign_calls(mut self, foreign: Option<Foreign>) -> Self {
        self.foreign = foreign;
        self
    }

    /// Whether calls of the other ABI are judged as the native ones.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.foreign == Some(Foreign::Same) && ABI.is_some()
    }

    /// The starting point.
    #[must_use]
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Whether there is nothing to install: the preset is off, and nothing is denied, no calls of the other ABI
    /// either.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let denies = |said: &Said| said.refused.is_some() || !said.refused_if.is_empty();
        self.preset == Preset::Off
            && matches!(self.foreign, None | Some(Foreign::Same))
            && self.families.is_none()
            && !self.ports
            && !self.said.values().any(denies)
    }

    /// What becomes of `call` under this policy.
    #[must_use]
    pub fn verdict(&self, call: Sysno) -> Verdict {
        self.verdict_in(group_of(call), call)
    }

    /// The same for a call whose group is known.
    pub(super) fn verdict_in(&self, group: Option<&Group>, call: Sysno) -> Verdict {
        let verdict = self.without_bounds(group, call);
        let bounds = self.families.is_some() || self.ports;
        if self.preset == Preset::Off && bounds && call == families::RING {
            return verdict.refusing(Answer::Errno(ENOSYS));
        }
        let verdict = match self.ports {
            true => ports::bounded(call, verdict),
            false => verdict,
        };
        match self.listed(call) {
            Some([]) => verdict.refusing(families::REFUSED),
            Some(listed) => families::bounded(verdict, listed),
            None => verdict,
        }
    }

    /// Whether the first argument is a family that sockets may be of.
    #[must_use]
    pub fn lists(&self, arguments: &[u64; 6]) -> bool {
        let number = arguments[0] & u64::from(u32::MAX);
        let families = self.families.as_ref();
        families.is_none_or(|families| families.iter().any(|family| family.number() == number))
    }

    /// The families that the call may make sockets of, if they are bounded and it makes any.
    fn listed(&self, call: Sysno) -> Option<&[Family]> {
        let families = self.families.as_deref();
        families.filter(|_| families::CALLS.contains(&call))
    }

    /// The verdict before the families bound it.
    fn without_bounds(&self, group: Option<&Group>, call: Sysno) -> Verdict {
        let nothing = Said::default();
        let said = self.said.get(&Call::Native(call)).unwrap_or(&nothing);
        let mut cases = said.refused_if.clone();
        if let Some(answer) = said.refused {
            return Verdict::new(cases, answer);
        }
        if said.allowed {
            return Verdict::new(cases, Answer::Allow);
        }
        cases.extend_from_slice(&said.allowed_if);
        let stance = match self.preset {
            Preset::None if STARTING.contains(&call) => Some(Stance::Allow),
            preset => group.map(|group| group.stance(preset)),
        };
        // What a set permits is at least what any preset does.
        let (stance, condition) = if said.allowed_by_set && self.preset != Preset::Off {
            (Some(Stance::Allow), condition(Preset::Default, call))
        } else {
            (stance, condition(self.preset, call))
        };
        let otherwise = match (stance, condition) {
            (Some(Stance::Allow), None) => Answer::Allow,
            (Some(Stance::Allow), Some(condition)) => {
                let case = condition.case();
                cases.extend(match self.listed(call) {
                    Some(listed) => families::narrowed(call, &case, listed),
                    None => Some(case),
                });
                said.otherwise.unwrap_or(Answer::Errno(condition.errno))
            }
            (Some(Stance::Refuse(_)), _) if self.preset == Preset::None => {
                said.otherwise.unwrap_or(self.refuse)
            }
            (Some(Stance::Refuse(errno)), _) => said.otherwise.unwrap_or(Answer::Errno(errno)),
            (None, _) => said.otherwise.unwrap_or(self.unlisted()),
        };
        Verdict::new(cases, otherwise)
    }

    /// What becomes of numbers that the table does not know.
    #[must_use]
    pub fn unlisted(&self) -> Answer {
        match self.preset {
            Preset::Off => Answer::Allow,
            Preset::Default | Preset::Build | Preset::NetworkClient | Preset::Strict => {
                Answer::Errno(ENOSYS)
            }
            Preset::None => self.refuse,
        }
    }

    /// What becomes of x32, and of calls of other architectures unless the policy [follows](Self::follows) them.
    /// Their numbers mean other calls, so that none is permitted. ENOSYS, since programs probe for 32-bit support
    /// and take this for an answer.
    #[must_use]
    pub fn foreign(&self) -> Answer {
        match (self.foreign, self.preset) {
            (Some(Foreign::Refuse(answer)), _) if !answer.permits() => answer,
            (None | Some(Foreign::Same), Preset::None) if !self.refuse.permits() => self.refuse,
            _ => Answer::Errno(ENOSYS),
        }
    }
}

impl Case {
    fn of(rows: &Arc<[Row]>, answer: Answer) -> Self {
        Self {
            rows: Arc::clone(rows),
            words: None,
            answer,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
