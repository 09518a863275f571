//! What `[network] families` makes of socket(2) and socketpair(2).

use super::policy::{Answer, Case, Verdict};
use crate::review::arguments::{Is, Row, Test};
use crate::sections::network::Family;
use libc::EAFNOSUPPORT;
use syscalls::Sysno;

/// The calls whose first argument is a family.
pub const CALLS: [Sysno; 2] = [Sysno::socket, Sysno::socketpair];

/// What makes a ring, on which sockets of any family are made without a system call.
pub const RING: Sysno = Sysno::io_uring_setup;

/// The name of a family, as the first argument of the calls has it.
#[must_use]
pub fn name(argument: u64) -> Option<&'static str> {
    let number = argument & u64::from(u32::MAX);
    let found = Family::ALL.iter().find(|family| family.number() == number);
    found.map(|family| family.word())
}

/// What a family that is not in the list is answered with.
pub const REFUSED: Answer = Answer::Errno(EAFNOSUPPORT);

const fn family(is: Is) -> Test {
    Test {
        arg: 0,
        wide: false,
        is,
    }
}

/// The family that a row is about, if it is about one.
fn of(row: &[Test]) -> Option<u64> {
    row.iter().find_map(|test| match test {
        Test {
            arg: 0,
            is: Is::Equal(number),
            ..
        } => Some(*number),
        _ => None,
    })
}

/// The verdict, with nothing permitted for a family that is not in the list. What is refused before anything is
/// permitted stays refused in its own way.
#[must_use]
pub fn bounded(mut verdict: Verdict, families: &[Family]) -> Verdict {
    let listed = |row: &Row| {
        let own = |number| families.iter().any(|family| family.number() == number);
        of(row).is_some_and(own)
    };
    let mut permits = verdict.cases.iter().filter(|case| case.answer.permits());
    if !verdict.otherwise.permits() && permits.all(|case| case.rows.iter().all(listed)) {
        return verdict;
    }
    let row = families
        .iter()
        .map(|listed| family(Is::Other(listed.number())));
    let others = Case {
        rows: vec![row.collect()].into(),
        words: Some(format!("family is not {}", list(families, |_| "")).into()),
        answer: REFUSED,
    };
    let first = verdict.cases.iter().position(|case| case.answer.permits());
    let at = first.unwrap_or(verdict.cases.len());
    verdict.cases.insert(at, others);
    verdict
}

/// Of a preset's condition, what concerns a listed family, and for socket(2) those besides that the preset has
/// no row for.
#[must_use]
pub fn narrowed(call: Sysno, condition: &Case, families: &[Family]) -> Option<Case> {
    let mut rows: Vec<Row> = Vec::new();
    let mut permitted: Vec<Family> = Vec::new();
    for listed in families {
        let own = condition
            .rows
            .iter()
            .filter(|row| of(row) == Some(listed.number()));
        let before = rows.len();
        rows.extend(own.cloned());
        if rows.len() == before && call == Sysno::socket && !listed.is_common() {
            rows.push(vec![family(Is::Equal(listed.number()))]);
        }
        if rows.len() > before {
            permitted.push(*listed);
        }
    }
    (!rows.is_empty()).then(|| Case {
        rows: rows.into(),
        words: Some(format!("family is {}", names(&permitted)).into()),
        answer: condition.answer,
    })
}

/// The families in words, with what of each the preset means.
fn names(families: &[Family]) -> String {
    list(families, |family| match family {
        Family::Inet | Family::Inet6 => " (TCP, UDP, ICMP or raw)",
        Family::Netlink => " (NETLINK_ROUTE)",
        _ => "",
    })
}

fn list(families: &[Family], what: impl Fn(Family) -> &'static str) -> String {
    let word = |family: &Family| format!("AF_{}{}", family.word().to_uppercase(), what(*family));
    let names: Vec<_> = families.iter().map(word).collect();
    match names.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        names => names.concat(),
    }
}
