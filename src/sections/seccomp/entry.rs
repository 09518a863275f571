//! The entries of `allow` and `deny`, as they are written, and what can be wrong with one.

use super::call::{Call, parse_call, parse_foreign};
use super::foreign::{Meaning, meaning};
use super::policy::{Answer, Entry, Foreign, Named};
use super::{no_such_call, sets};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, nearest};
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{List, Value, read_integer, read_string, wrong};
use crate::review::arguments::{Is, Row, Test, both};
use syscalls::Sysno;

crate::table! {
    /// Some calls, and what holds for them.
    pub struct RawCalls as "an entry of [seccomp]" {
        /// The names of calls, and sets of calls (`"@mount"`): one, or a list.
        calls: Names; required "ptrace",
        /// The conditions on arguments, which all have to hold. Without it, every call is meant.
        when: List<RawCondition>,
        /// What a refusal does, as for `refuse`: under `deny` that of these calls; under `allow` that of calls for
        /// which `when` does not hold.
        with: Answer,
    }
}

crate::table! {
    /// A condition on one argument of a call: all that it says has to hold. Numbers have no sign, and a
    /// negative one stands for what a register then holds.
    pub struct RawCondition as "a condition on an argument" {
        /// Which argument, from 0 to 5.
        arg: Index; required 0,
        /// It is this number.
        is: Number,
        /// It is another number than this.
        not: Number,
        /// It is one of these numbers.
        r#in: List<Number>,
        /// It is less than this number.
        below: Number,
        /// It is more than this number.
        above: Number,
        /// Which of its bits `is`, `not` and `in` look at; the others may be anything.
        mask: Number,
        /// Whether all 64 bits are compared. By default the low 32, since that is what the kernel takes of most
        /// arguments; a comparison of 64 would then be passed by with a high bit set.
        wide: bool = false,
    }
}

/// A name, or a table of what holds for some.
#[derive(Clone, Debug)]
pub enum Item {
    /// A call or a set.
    Name(String),
    /// Several, with conditions or an answer of their own.
    Calls(Box<RawCalls>),
}

impl Value for Item {
    const KIND: Kind = Kind::Either(&[String::KIND, RawCalls::KIND]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Content::Table(_) => RawCalls::read(node, problems).map(|raw| Self::Calls(raw.into())),
            _ => read_string(node, problems).map(Self::Name),
        }
    }
}

/// One name, or several.
#[derive(Clone, Debug)]
pub struct Names(Vec<At<String>>);

impl Value for Names {
    const KIND: Kind = Kind::Either(&[String::KIND, Kind::List(&String::KIND)]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if matches!(node.value, Content::Array(_)) {
            return List::<String>::read(node, problems).map(|list| Self(list.0));
        }
        let origin = node.origin.clone();
        read_string(node, problems).map(|name| Self(vec![At::new(name, origin)]))
    }
}

/// The index of an argument.
#[derive(Clone, Copy, Debug)]
pub struct Index(u8);

impl Value for Index {
    const KIND: Kind = Kind::Integer(0, 5);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let index = read_integer(node, problems, 0, 5)?;
        index.try_into().ok().map(Self)
    }
}

/// A number as a register can hold it, with or without a sign. `None` where what is written is none, and a
/// problem was pushed.
#[derive(Clone, Copy, Debug)]
pub struct Number(Option<i128>);

impl Value for Number {
    const KIND: Kind = Kind::Integer(i64::MIN, i64::MAX);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        const RANGE: std::ops::RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;
        let number = match &node.value {
            Content::Integer(digits, radix) => i128::from_str_radix(digits, *radix).ok(),
            _ => None,
        };
        let number = number.filter(|number| RANGE.contains(number));
        if number.is_none() {
            let message = format!(
                "expected a whole number of at most 64 bits, found {}",
                match &node.value {
                    Content::Integer(digits, _) => digits,
                    other => other.kind(),
                }
            );
            let help = "write it in digits, without quotes: 16, 0x10, 0o20 or 0b10000";
            wrong(&node.origin, message, help, problems);
        }
        Some(Self(number))
    }
}

/// The largest errno by number: the one above is kept for `sandbox test`.
const LARGEST_ERRNO: i32 = 4094;

/// The name of an errno.
const NAME: Kind = Kind::Text {
    what: "the name of an errno",
    form: "^E[A-Z0-9]+$",
};
const NUMBER: Kind = Kind::Integer(0, LARGEST_ERRNO as i64);
const KILL: Word = Word {
    word: "kill",
    doc: &["SIGSYS ends the process."],
};
const TRAP: Word = Word {
    word: "trap",
    doc: &["The process gets SIGSYS, which it may handle."],
};

impl Value for Answer {
    const KIND: Kind = Kind::Either(&[
        NAME,
        Kind::Choice(&[
            KILL,
            TRAP,
            Word {
                word: "log",
                doc: &[
                    "The call is permitted, and the kernel's log says so: for finding out what a program needs.",
                ],
            },
        ]),
        NUMBER,
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        Self::read_or(node, "\"kill\", \"trap\", \"log\"", problems)
    }
}

impl Answer {
    /// Reads one; `words` are those that may stand there besides the errnos.
    fn read_or(node: Node, words: &str, problems: &mut Diagnostics) -> Option<Self> {
        if matches!(node.value, Content::Integer(..)) {
            let errno = read_integer(node, problems, 0, LARGEST_ERRNO.into())?;
            return errno.try_into().ok().map(Self::Errno);
        }
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let answers = [
            ("kill", Self::Kill),
            ("trap", Self::Trap),
            ("log", Self::Log),
        ];
        let known = answers.into_iter().chain(errnos());
        let found = known.clone().find(|(word, _)| *word == text);
        if found.is_none() {
            let lower = known.map(|(word, _)| (word.to_lowercase(), word));
            let lower: Vec<_> = lower.collect();
            let near = nearest(&text, lower.iter().map(|(lower, _)| &**lower));
            let near = near.and_then(|near| lower.iter().find(|(lower, _)| lower == near));
            let help = match near {
                Some((_, word)) => format!("did you mean \"{word}\"?"),
                None => format!("the name of an errno such as \"EPERM\", or {words}"),
            };
            wrong(
                &origin,
                format!("`{text}` is nothing that a refusal can do"),
                &help,
                problems,
            );
        }
        found.map(|(_, answer)| answer)
    }
}

impl Value for Foreign {
    const KIND: Kind = Kind::Either(&[
        NAME,
        Kind::Choice(&[
            Word {
                word: "same",
                doc: &["A call has the verdict of the native one that does the same."],
            },
            KILL,
            TRAP,
        ]),
        NUMBER,
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.value, Content::String(text) if text == "same") {
            return Some(Self::Same);
        }
        let answer = Answer::read_or(node, "\"same\", \"kill\", \"trap\"", problems);
        answer.map(Self::Refuse)
    }
}

/// Every errno that has a name, and the second names that some have.
fn errnos() -> impl Iterator<Item = (&'static str, Answer)> + Clone {
    let second = [
        ("EWOULDBLOCK", libc::EWOULDBLOCK),
        ("EDEADLOCK", libc::EDEADLOCK),
        ("ENOTSUP", libc::ENOTSUP),
    ];
    let named = (1..200).filter_map(|errno| Some((syscalls::Errno::new(errno).name()?, errno)));
    named
        .chain(second)
        .map(|(name, errno)| (name, Answer::Errno(errno)))
}

/// How many rows all conditions of a profile may have together. The kernel takes 4096 instructions, and a row has
/// five or more.
const MOST_ROWS: usize = 512;
/// How many calls all entries may name together, those of sets included.
const MOST_CALLS: usize = 65_536;

/// What the entries of a profile have used up.
#[derive(Debug, Default)]
pub(super) struct Budget {
    rows: usize,
    calls: usize,
    /// Once it was said that there are too many, there is no use in saying so of every other entry.
    over: bool,
}

/// A checked entry, and what of the profile says so.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) entry: Entry,
    /// Where each call or set is named, and how.
    pub(super) names: Vec<(At<String>, Vec<Named>)>,
    /// Where the answer stands.
    pub(super) with: Option<Origin>,
    /// Where the conditions stand.
    pub(super) when: Option<Origin>,
}

/// Checks a list; `allows` if it is `allow`.
pub(super) fn check(
    list: Option<At<List<Item>>>,
    allows: bool,
    budget: &mut Budget,
    problems: &mut Diagnostics,
) -> Vec<Placed> {
    let items = list.map(|list| list.value.0).unwrap_or_default();
    let mut checked = Vec::new();
    for item in items {
        let raw = match item.value {
            Item::Name(name) => RawCalls {
                calls: Some(At::new(
                    Names(vec![At::new(name, item.origin)]),
                    Origin::CommandLine,
                )),
                ..RawCalls::default()
            },
            Item::Calls(raw) => *raw,
        };
        if allows && let (Some(with), None) = (&raw.with, &raw.when) {
            problems.push(
                Diagnostic::new(
                    Code::BadCondition,
                    &with.origin,
                    "what is allowed with any arguments is never refused",
                )
                .help("remove `with`, or say with `when` which arguments are meant"),
            );
        }
        let when = raw.when.as_ref().map(|when| when.origin.clone());
        let conditions = match raw.when {
            Some(_) if budget.over => continue,
            Some(list) => match conditions(&list, budget, problems) {
                Some(rows) => Some(rows.into()),
                None => continue,
            },
            None => None,
        };
        let names = raw.calls.map(|calls| calls.value.0).unwrap_or_default();
        let mut named = Vec::new();
        for name in names {
            let Some(calls) = calls(&name, allows, problems) else {
                continue;
            };
            budget.calls += calls.len();
            if budget.calls > MOST_CALLS {
                let message = format!("the entries up to here name more than {MOST_CALLS} calls");
                let problem = Diagnostic::new(Code::TooManyConditions, &name.origin, message);
                problems.push(problem.help("name each call, and each set, once"));
                return checked;
            }
            named.push((name, calls));
        }
        checked.push(Placed {
            entry: Entry {
                calls: named.iter().flat_map(|(_, calls)| calls).copied().collect(),
                when: conditions,
                with: raw.with.as_ref().map(|with| with.value),
            },
            names: named,
            with: raw.with.map(|with| with.origin),
            when,
        });
    }
    checked
}

/// What a name stands for, in `allow` if it `allows`.
fn calls(name: &At<String>, allows: bool, problems: &mut Diagnostics) -> Option<Vec<Named>> {
    if let Some(set) = name.value.strip_prefix('@') {
        let Some(members) = sets::members(set) else {
            let message = format!("there is no set of system calls `{}`", name.value);
            let problem = Diagnostic::new(Code::UnknownSet, &name.origin, message);
            let near = nearest(set, sets::names());
            problems.push(match near {
                Some(near) => problem.help(format!("did you mean \"@{near}\"?")),
                None => problem.help("the sets are those of systemd.exec(5), for example \"@mount\" or \"@network-io\""),
            });
            return None;
        };
        let named = |call: Sysno| Named {
            call: call.into(),
            by_set: true,
        };
        return Some(members.into_iter().map(named).collect());
    }
    // What has a native counterpart is permitted as that is, and can only be refused besides.
    let foreign = parse_foreign(&name.value)
        .filter(|call| !allows || matches!(meaning(*call), Meaning::Any(_)));
    let call = match foreign {
        Some(call) => Ok(Call::Foreign(call)),
        None => parse_call(&name.value).map(Call::Native),
    };
    match call {
        Ok(call) => Some(vec![Named {
            call,
            by_set: false,
        }]),
        Err(unknown) => {
            problems.push(no_such_call(&unknown, &name.origin));
            None
        }
    }
}

/// The rows of which one has to hold. `None` means that a problem was pushed.
fn conditions(
    list: &At<List<RawCondition>>,
    budget: &mut Budget,
    problems: &mut Diagnostics,
) -> Option<Vec<Row>> {
    let mut all: Vec<Row> = vec![Vec::new()];
    let mut whole = true;
    let longest = list.value.0.iter().filter_map(|c| c.value.r#in.as_ref());
    let longest = longest.map(|list| list.value.0.len()).max().unwrap_or(0);
    if longest.max(list.value.0.len()) > MOST_ROWS {
        budget.over = true;
        problems.push(too_many(&list.origin));
        return None;
    }
    for condition in &list.value.0 {
        let Some(choices) = one(condition, problems) else {
            whole = false;
            continue;
        };
        if all.len() * choices.len() + budget.rows > MOST_ROWS {
            budget.over = true;
            problems.push(too_many(&condition.origin));
            return None;
        }
        all = both(&all, &choices);
    }
    if list.value.0.is_empty() {
        problems.push(
            Diagnostic::new(Code::BadCondition, &list.origin, "no condition at all")
                .help("remove `when` to mean every call"),
        );
    }
    budget.rows += all.len();
    (whole && !list.value.0.is_empty()).then_some(all)
}

fn too_many(origin: &Origin) -> Diagnostic {
    let message = format!(
        "with this, the conditions of the profile tell more than {MOST_ROWS} combinations of arguments apart"
    );
    Diagnostic::new(Code::TooManyConditions, origin, message)
        .help("shorten `in`, or say it with `mask`, `below` or `above`")
}

/// The rows of one condition.
fn one(condition: &At<RawCondition>, problems: &mut Diagnostics) -> Option<Vec<Row>> {
    let raw = &condition.value;
    let arg = raw.arg.as_ref()?.value.0;
    let wide = raw.wide.value;
    let before = problems.len();
    let mut broken = false;
    let mut bits = |number: &At<Number>| match number.value.0 {
        Some(value) => register(value, &number.origin, wide, problems),
        None => {
            broken = true;
            0
        }
    };
    let mask = raw.mask.as_ref().map(|mask| (bits(mask), &mask.origin));
    let is = raw.is.as_ref().map(|n| (bits(n), &n.origin));
    let not = raw.not.as_ref().map(|n| (bits(n), &n.origin));
    let below = raw.below.as_ref().map(|n| (bits(n), &n.origin));
    let above = raw.above.as_ref().map(|n| (bits(n), &n.origin));
    let among: Option<Vec<_>> = raw.r#in.as_ref().map(|list| {
        let numbers = list.value.0.iter();
        numbers.map(|n| (bits(n), &n.origin)).collect()
    });
    if broken {
        return None;
    }
    let mut bad = |origin: &Origin, message: &str, help: &str| {
        problems.push(Diagnostic::new(Code::BadCondition, origin, message).help(help));
    };
    let most = if wide { u64::MAX } else { u32::MAX.into() };
    if let Some((0, origin)) = below {
        bad(origin, "nothing is below 0", "write 1 or more");
    }
    if let Some((value, origin)) = above
        && value == most
    {
        bad(origin, "nothing is above the largest number", "write less");
    }
    if let (Some((_, origin)), true) = (mask, is.is_none() && not.is_none() && among.is_none()) {
        bad(
            origin,
            "a mask, and nothing that is compared under it",
            "write `is`, `not` or `in` beside it",
        );
    } else if is.is_none() && not.is_none() && among.is_none() && below.is_none() && above.is_none()
    {
        bad(
            &condition.origin,
            "a condition that compares its argument with nothing",
            "for example: { arg = 0, is = 1 }",
        );
    }
    if let Some((0, origin)) = mask {
        bad(
            origin,
            "a mask without any bit",
            "write the bits that are looked at: mask = 0x4",
        );
    }
    if let Some(list) = raw.r#in.as_ref().filter(|list| list.value.0.is_empty()) {
        bad(
            &list.origin,
            "no number is one of none",
            "write the numbers: in = [1, 2]",
        );
    }
    let compared = is.iter().chain(&not).chain(among.iter().flatten());
    if let Some((mask, _)) = mask {
        for (value, origin) in compared {
            if value & !mask != 0 {
                bad(
                    origin,
                    "under its mask, no argument has these bits",
                    "leave out of the number what the mask leaves out",
                );
            }
        }
    }
    if problems.len() > before {
        return None;
    }
    let test = |is| Test { arg, wide, is };
    let equal = |value: u64| match mask {
        Some((mask, _)) => test(Is::Masked(mask, value)),
        None => test(Is::Equal(value)),
    };
    let mut row = Vec::new();
    row.extend(is.map(|(value, _)| equal(value)));
    row.extend(below.map(|(value, _)| test(Is::Below(value))));
    row.extend(above.map(|(value, _)| test(Is::Above(value))));
    let mut rows = vec![row];
    let mut times = |choices: Vec<Test>| {
        let choices: Vec<_> = choices.into_iter().map(|test| vec![test]).collect();
        rows = both(&rows, &choices);
    };
    if let Some((value, _)) = not {
        times(match mask {
            None => vec![test(Is::Other(value))],
            // Another number under the mask: one of the bits differs.
            Some((mask, _)) => (0..64)
                .map(|bit| 1 << bit)
                .filter(|bit| mask & bit != 0)
                .map(|bit| test(Is::Masked(bit, !value & bit)))
                .collect(),
        });
    }
    if let Some(among) = among {
        times(among.into_iter().map(|(value, _)| equal(value)).collect());
    }
    Some(rows)
}

/// The number as a register of 32 or 64 bits holds it.
fn register(value: i128, origin: &Origin, wide: bool, problems: &mut Diagnostics) -> u64 {
    let (least, most) = (i128::from(i32::MIN), i128::from(u32::MAX));
    if !wide && !(least..=most).contains(&value) {
        problems.push(
            Diagnostic::new(Code::BadCondition, origin, "a number of more than 32 bits")
                .help("write `wide = true` beside it to compare all 64 bits of the argument"),
        );
    }
    let bits = if wide { u64::MAX } else { u32::MAX.into() };
    // Two's complement, as the C library passes it.
    (value & i128::from(bits)) as u64
}

#[cfg(test)]
mod tests;
