//! The calls of the machine's other ABI, on x86_64 those of i386: of 32-bit programs, and of `int 0x80` in any program.
//!
//! With `foreign = "same"`, each has the verdict of the native call that does the same, and nothing is ever
//! permitted that the native one is refused:
//!
//! - the kernel takes the low half of each register, and hands a filter all of it where a 64-bit program has
//!   made the call: so the low halves alone are looked at;
//! - such a half may stand for the number itself, or for the negative one: a refusal counts if either is meant, a
//!   permission if both are;
//! - where a condition looks at an argument that is elsewhere, and where the call itself depends on what is
//!   behind a pointer, nothing is permitted but what is permitted with any arguments.

#[cfg(target_arch = "x86_64")]
mod table;

use super::call::{Call, I386};
use super::policy::{Answer, Case, Policy, Said, Verdict};
use crate::review::arguments::{Is, Row, Test, both};
use libc::ENOSYS;
use syscalls::Sysno;

/// The ABI whose calls the machine takes besides the native ones.
#[derive(Clone, Copy, Debug)]
pub struct Abi {
    /// How people call it.
    pub name: &'static str,
    /// `AUDIT_ARCH_*` of linux/audit.h.
    pub architecture: u32,
}

/// The other ABI of this architecture, as far as it is known here.
#[cfg(target_arch = "x86_64")]
pub const ABI: Option<Abi> = Some(Abi {
    name: "i386",
    architecture: 0x4000_0003,
});
/// The other ABI of this architecture, as far as it is known here.
#[cfg(not(target_arch = "x86_64"))]
pub const ABI: Option<Abi> = None;

/// What a call of the other ABI does, as the native ABI would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The kernel has no such call any more, or never had.
    Nothing,
    /// The same as a native call. So many of the first arguments are in the same place and form; with [`ALL`], all are.
    As(Sysno, u8),
    /// One of these; which one with which arguments, only memory tells.
    Any(&'static [Sysno]),
}

/// No call has more arguments.
pub const ALL: u8 = 6;

/// What the call does.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn meaning(call: I386) -> Meaning {
    table::meaning(call)
}

/// What the call does.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn meaning(_: I386) -> Meaning {
    Meaning::Nothing
}

/// Every call of the other ABI that is known here.
pub fn all() -> impl Iterator<Item = I386> {
    (0..I386::table_size())
        .filter_map(I386::new)
        .filter(|_| ABI.is_some())
}

impl Policy {
    /// What becomes of a call of the other ABI.
    #[must_use]
    pub fn foreign_verdict(&self, call: I386) -> Verdict {
        if !self.follows() {
            return self.foreign().into();
        }
        let nothing = Said::default();
        let own = self.said.get(&call.into()).unwrap_or(&nothing);
        // Who has it logged has not permitted it.
        let (logged, refused): (Vec<_>, Vec<_>) = own
            .refused_if
            .iter()
            .partition(|case| case.answer.permits());
        let mut cases = match fitted(call, refused) {
            (cases, Some(always)) => return Verdict::new(cases, always),
            (cases, None) => cases,
        };
        if let Some(answer) = own.refused.filter(|answer| !answer.permits()) {
            return Verdict::new(cases, answer);
        }
        let mut verdict = match meaning(call) {
            Meaning::Nothing => self.unlisted().into(),
            Meaning::As(native, same) => self.like(call, &self.verdict(native), same),
            Meaning::Any(calls) => {
                let verdicts: Vec<_> = calls.iter().map(|call| self.verdict(*call)).collect();
                let blind = self.blind(&verdicts);
                if self.denied_of(calls).is_some() || self.bounds_ports_of(calls) {
                    blind.into()
                } else if own.allowed {
                    Answer::Allow.into()
                } else {
                    verdict_of(fitted(call, &own.allowed_if), blind)
                }
            }
        };
        if own.refused.is_some() || !logged.is_empty() {
            let answers = verdict.cases.iter_mut().map(|case| &mut case.answer);
            for answer in answers
                .chain([&mut verdict.otherwise])
                .filter(|a| a.permits())
            {
                *answer = Answer::Log;
            }
        }
        cases.extend(verdict.cases);
        Verdict::new(cases, verdict.otherwise)
    }

    /// Of some native calls, the first that `deny` names: nothing that could be it is permitted, whatever `allow` says.
    #[must_use]
    pub(super) fn denied_of(&self, calls: &[Sysno]) -> Option<Sysno> {
        let denied = |call: &Sysno| {
            let said = self.said.get(&Call::Native(*call));
            said.is_some_and(|said| said.refused.is_some() || !said.refused_if.is_empty())
        };
        calls.iter().copied().find(denied)
    }

    /// Whether the ports are bounded that one of some native calls could pass by, whatever `allow` says.
    #[must_use]
    pub(super) fn bounds_ports_of(&self, calls: &[Sysno]) -> bool {
        self.ports && calls.contains(&Sysno::socket)
    }

    /// The verdict of the native call, about arguments of which so many are in the same place.
    fn like(&self, call: I386, native: &Verdict, same: u8) -> Verdict {
        let tests = native
            .cases
            .iter()
            .flat_map(|case| case.rows.iter().flatten());
        let seen = tests.map(|test| test.arg).all(|arg| arg < same);
        if seen {
            verdict_of(fitted(call, &native.cases), native.otherwise)
        } else {
            self.blind([native]).into()
        }
    }

    /// The answer where no argument can be looked at.
    fn blind<'v>(&self, verdicts: impl IntoIterator<Item = &'v Verdict>) -> Answer {
        let mut answer = Answer::Allow;
        for verdict in verdicts {
            if !verdict.permits_all() {
                // What is refused with any arguments is refused here as there.
                let one = verdict.cases.is_empty().then_some(verdict.otherwise);
                let unseen = match self.unlisted() {
                    refused if !refused.permits() => refused,
                    _ => Answer::Errno(ENOSYS),
                };
                return one.unwrap_or(unseen);
            }
            let logs = |answer: Answer| answer == Answer::Log;
            if logs(verdict.otherwise) || verdict.cases.iter().any(|case| logs(case.answer)) {
                answer = Answer::Log;
            }
        }
        answer
    }
}

/// The cases, as they read about the low halves of registers, up to one that always holds, and its answer.
fn fitted<'c>(
    call: I386,
    cases: impl IntoIterator<Item = &'c Case>,
) -> (Vec<Case>, Option<Answer>) {
    let mut fitted = Vec::new();
    for case in cases {
        let rows = case.rows.iter();
        let rows: Vec<Row> = match case.answer.permits() {
            true => rows.filter_map(|row| in_both(call, row)).collect(),
            false => rows.flat_map(|row| in_either(call, row)).collect(),
        };
        if rows.iter().any(Vec::is_empty) {
            return (fitted, Some(case.answer));
        }
        if !rows.is_empty() {
            fitted.push(Case {
                rows: rows.into(),
                ..case.clone()
            });
        }
    }
    (fitted, None)
}

fn verdict_of((cases, always): (Vec<Case>, Option<Answer>), otherwise: Answer) -> Verdict {
    Verdict::new(cases, always.unwrap_or(otherwise))
}

/// What a test of all 64 bits says about the low half.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    Always,
    Never,
    If(Test),
}

/// The row that holds only where the given one does, however the halves are meant; none if it never does.
fn in_both(call: I386, row: &Row) -> Option<Row> {
    let mut tests = Row::new();
    for half in row.iter().flat_map(|test| halves(call, test)) {
        match sized(call, half, true) {
            Half::Always => {}
            Half::Never => return None,
            Half::If(test) if tests.contains(&test) => {}
            Half::If(test) => tests.push(test),
        }
    }
    Some(tests)
}

/// Rows of which one holds wherever the given one does, however the halves are meant.
fn in_either(call: I386, row: &Row) -> Vec<Row> {
    let mut rows = vec![Row::new()];
    for test in row {
        let [one, other] = halves(call, test).map(|half| sized(call, half, false));
        let choices = match (one, other) {
            (Half::Always, _) | (_, Half::Always) => continue,
            (Half::Never, Half::Never) => return Vec::new(),
            (Half::If(test), Half::Never) | (Half::Never, Half::If(test)) => vec![vec![test]],
            (Half::If(one), Half::If(other)) if one == other => vec![vec![one]],
            (Half::If(one), Half::If(other)) => vec![vec![one], vec![other]],
        };
        rows = both(&rows, &choices);
    }
    rows
}

/// The bits that the low half has, the highest of them, and those above.
const LOW: u64 = 0xffff_ffff;
const SIGN: u64 = 0x8000_0000;
const HIGH: u64 = !LOW;

/// What a test says where the half is the number, and where the number is negative if the half is.
fn halves(call: I386, test: &Test) -> [Half; 2] {
    if !test.wide {
        return [Half::If(*test); 2];
    }
    let low = |is| {
        Half::If(Test {
            wide: false,
            is,
            ..*test
        })
    };
    let zero = match test.is {
        Is::Equal(value) | Is::Masked(_, value) if value > LOW => Half::Never,
        Is::Other(value) | Is::Below(value) if value > LOW => Half::Always,
        Is::Masked(mask, _) if mask & LOW == 0 => Half::Always,
        Is::Masked(mask, value) => low(Is::Masked(mask & LOW, value)),
        Is::Above(value) if value >= LOW => Half::Never,
        is => low(is),
    };
    // The kernel takes 32 bits of it in either ABI, and policies of others compare 64.
    if call == I386::personality {
        return [zero; 2];
    }
    let extended = |value: u64| value & (SIGN | HIGH) == 0 || value & (SIGN | HIGH) == SIGN | HIGH;
    // Between the largest number and the smallest negative one, as numbers without a sign.
    let sign = match test.is {
        Is::Equal(value) if !extended(value) => Half::Never,
        Is::Other(value) if !extended(value) => Half::Always,
        Is::Equal(value) => low(Is::Equal(value & LOW)),
        Is::Other(value) => low(Is::Other(value & LOW)),
        Is::Below(value) if value > SIGN | HIGH => low(Is::Below(value & LOW)),
        Is::Below(value) => low(Is::Below(value.min(SIGN))),
        Is::Above(value) if value & LOW == LOW && value >= SIGN | HIGH => Half::Never,
        Is::Above(value) if value >= SIGN | HIGH => low(Is::Above(value & LOW)),
        Is::Above(value) => low(Is::Above(value.min(SIGN - 1))),
        // All of the bits above are what the sign is.
        Is::Masked(mask, value) => match (mask & HIGH, value & HIGH) {
            (0, _) => low(Is::Masked(mask, value)),
            (bits, 0) if bits != 0 && value & SIGN == 0 => {
                low(Is::Masked(mask & LOW | SIGN, value & LOW))
            }
            (bits, set) if bits == set && (mask & SIGN == 0 || value & SIGN != 0) => {
                low(Is::Masked(mask & LOW | SIGN, value & LOW | SIGN))
            }
            _ => Half::Never,
        },
    };
    [zero, sign]
}

/// Where the number of a request holds the size of what a pointer leads to (ioctl(2), `_IOC`). Of a structure with
/// pointers in it that is another one here, and so is the number.
const SIZE: u64 = 0x3fff_0000;

/// The same about requests of any size, where a size is spoken of: what is permitted is permitted by its own
/// number alone, what is refused is refused by those of all sizes.
fn sized(call: I386, half: Half, permits: bool) -> Half {
    let Half::If(test) = half else {
        return half;
    };
    if call != I386::ioctl || test.arg != 1 {
        return half;
    }
    let (doubt, unsized_bits) = (
        if permits { Half::Never } else { Half::Always },
        LOW & !SIZE,
    );
    let masked = |mask, value: u64| match mask {
        0 => Half::Always,
        mask => Half::If(Test {
            is: Is::Masked(mask, value & mask),
            ..test
        }),
    };
    match (test.is, permits) {
        (Is::Equal(value) | Is::Other(value), _) if value & SIZE == 0 => half,
        (Is::Equal(_), true) | (Is::Other(_), false) => half,
        (Is::Equal(value), false) => masked(unsized_bits, value),
        (Is::Masked(mask, _), _) if mask & SIZE == 0 => half,
        (Is::Masked(mask, value), false) => masked(mask & unsized_bits, value),
        (Is::Below(value), _) if value <= 0x1_0000 => half,
        _ => doubt,
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests;
