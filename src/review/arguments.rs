//! Which arguments of a system call are permitted, and whether one such set holds another.

use std::fmt;
use std::sync::Arc;

/// What one argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// The index of the argument, from 0 to 5.
    pub arg: u8,
    /// Whether all 64 bits are compared, or the low 32 only.
    ///
    /// The kernel itself takes most arguments as 32-bit values and ignores the rest; a comparison of
    /// all 64 bits is then passed by with a high bit set (CVE-2019-10063, CVE-2019-7303).
    pub wide: bool,
    /// The comparison.
    pub is: Is,
}

/// A comparison of numbers without a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// Equal to the value.
    Equal(u64),
    /// Anything but the value.
    Other(u64),
    /// Equal to the second value in the bits of the first; the second has no other bits.
    Masked(u64, u64),
    /// Less than the value.
    Below(u64),
    /// More than the value.
    Above(u64),
}

/// Tests that all have to hold.
pub type Row = Vec<Test>;

/// The rows of which one holds where one of these does, and one of those.
#[must_use]
pub fn both(these: &[Row], those: &[Row]) -> Vec<Row> {
    these
        .iter()
        .flat_map(|row| those.iter().map(|more| [&row[..], &more[..]].concat()))
        .collect()
}

impl Test {
    /// Whether the test holds for these arguments.
    #[must_use]
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let arg = args.get(usize::from(self.arg));
        arg.is_some_and(|arg| self.accepts(*arg))
    }

    /// Whether the test holds for this value of its argument.
    #[must_use]
    pub fn accepts(&self, arg: u64) -> bool {
        let arg = if self.wide {
            arg
        } else {
            arg & u64::from(u32::MAX)
        };
        match self.is {
            Is::Equal(value) => arg == value,
            Is::Other(value) => arg != value,
            Is::Masked(mask, value) => arg & mask == value,
            Is::Below(value) => arg < value,
            Is::Above(value) => arg > value,
        }
    }

    /// Whether everything that passes this test passes the other, as far as can be told.
    fn implies(&self, other: &Self) -> bool {
        if self.arg != other.arg {
            return false;
        }
        if let Is::Equal(value) = self.is
            && (self.wide || !other.wide)
        {
            return other.accepts(value);
        }
        if self.wide != other.wide {
            return false;
        }
        match (self.is, other.is) {
            (one, other) if one == other => true,
            (Is::Below(a), Is::Below(b)) => a <= b,
            (Is::Below(a), Is::Other(b)) => a <= b,
            (Is::Above(a), Is::Above(b)) => a >= b,
            (Is::Above(a), Is::Other(b)) => a >= b,
            (Is::Masked(mask, value), Is::Masked(bits, wanted)) => {
                bits & !mask == 0 && value & bits == wanted
            }
            (Is::Masked(mask, value), Is::Other(not)) => not & mask != value,
            _ => false,
        }
    }

    /// Whether nothing passes both.
    fn excludes(&self, other: &Self) -> bool {
        let one_way = |a: &Self, b: &Self| matches!(a.is, Is::Equal(value) if (a.wide || !b.wide) && !b.accepts(value));
        self.arg == other.arg && (one_way(self, other) || one_way(other, self))
    }
}

/// Completes "if …": `argument 0 is 1`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arg, wide, is } = self;
        write!(f, "argument {arg}")?;
        if *wide {
            f.write_str(" (64 bits)")?;
        }
        match is {
            Is::Equal(value) => write!(f, " is {}", Number(*value)),
            Is::Other(value) => write!(f, " is not {}", Number(*value)),
            Is::Masked(mask, value) => write!(f, " & {mask:#x} is {}", Number(*value)),
            Is::Below(value) => write!(f, " is below {}", Number(*value)),
            Is::Above(value) => write!(f, " is above {}", Number(*value)),
        }
    }
}

/// Small numbers are counted, large ones are bits.
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

/// Rows in words, for "if …".
#[must_use]
pub fn words(rows: &[Row]) -> String {
    let mut phrases: Vec<String> = Vec::new();
    // Of rows that name one number after the other, the numbers are told together.
    let number = |row: &Row| match row.as_slice() {
        [
            Test {
                arg,
                wide,
                is: Is::Equal(value),
            },
        ] => Some((*arg, *wide, *value)),
        _ => None,
    };
    let same = |one: &Row, other: &Row| {
        let place = |row| number(row).map(|(arg, wide, _)| (arg, wide));
        place(one).is_some() && place(one) == place(other)
    };
    for group in rows.chunk_by(same) {
        let tests = group.first().into_iter().flatten().map(Test::to_string);
        let mut phrase = tests.collect::<Vec<_>>().join(" and ");
        for (_, _, value) in group.iter().skip(1).filter_map(number) {
            phrase = format!("{phrase} or {}", Number(value));
        }
        phrases.push(phrase);
    }
    phrases.join(", or ")
}

/// The arguments with which a call may be made: the first case decides of which a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Rows, of which one has to hold, and whether the call may then be made.
    pub cases: Vec<(Arc<[Row]>, bool)>,
    /// Whether it may be made where no case decides.
    pub otherwise: bool,
}

impl Arguments {
    /// Whether it may be made at all.
    #[must_use]
    pub fn some(&self) -> bool {
        self.otherwise || self.cases.iter().any(|(_, may)| *may)
    }

    /// Whether it may be made with any arguments.
    #[must_use]
    pub fn all(&self) -> bool {
        self.otherwise && self.cases.iter().all(|(_, may)| *may)
    }

    /// Whether these hold all that the other ones do. "No" if that cannot be told.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if !other.some() || self.all() || self == other {
            return true;
        }
        let (Some(own), Some(theirs)) = (self.split(), other.split()) else {
            return false;
        };
        let permitted = theirs.permitted.iter().all(|row| {
            let within = |wider: &&[Test]| implies(row, wider);
            own.permitted.iter().any(within)
        });
        // What is refused here has to be refused there, or never be permitted there.
        permitted
            && own.refused.iter().all(|row| {
                theirs.refused.iter().any(|wider| implies(row, wider))
                    || theirs.permitted.iter().all(|other| excludes(row, other))
            })
    }

    /// The same as rows that are refused, and rows that are permitted unless refused. `None` where
    /// something is refused behind what is permitted.
    fn split(&self) -> Option<Split<'_>> {
        if !self.cases.is_sorted_by_key(|(_, may)| *may) {
            return None;
        }
        let rows = |wanted: bool| {
            let cases = self.cases.iter().filter(move |(_, may)| *may == wanted);
            cases.flat_map(|(rows, _)| rows.iter().map(Vec::as_slice))
        };
        let mut permitted: Vec<_> = rows(true).collect();
        if self.otherwise {
            permitted = vec![&[]];
        }
        Some(Split {
            refused: rows(false).collect(),
            permitted,
        })
    }
}

struct Split<'a> {
    refused: Vec<&'a [Test]>,
    permitted: Vec<&'a [Test]>,
}

/// Whether all that passes one row passes the other.
fn implies(one: &[Test], other: &[Test]) -> bool {
    let implied = |test: &Test| one.iter().any(|own| own.implies(test));
    other.iter().all(implied)
}

/// Whether nothing passes both rows.
fn excludes(one: &[Test], other: &[Test]) -> bool {
    one.iter()
        .any(|test| other.iter().any(|their| test.excludes(their)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_test() -> impl Strategy<Value = Test> {
        let value = || prop_oneof![0..9_u64, Just(1 << 32), Just(u64::MAX)];
        let is = prop_oneof![
            value().prop_map(Is::Equal),
            value().prop_map(Is::Other),
            (0..9_u64, value()).prop_map(|(mask, value)| Is::Masked(mask, value & mask)),
            value().prop_map(Is::Below),
            value().prop_map(Is::Above),
        ];
        (0..2_u8, any::<bool>(), is).prop_map(|(arg, wide, is)| Test { arg, wide, is })
    }

    fn any_arguments() -> impl Strategy<Value = Arguments> {
        let rows = prop::collection::vec(prop::collection::vec(any_test(), 1..3), 1..3);
        let cases = prop::collection::vec((rows.prop_map(Arc::from), any::<bool>()), 0..3);
        (cases, any::<bool>()).prop_map(|(cases, otherwise)| Arguments { cases, otherwise })
    }

    fn may(arguments: &Arguments, args: &[u64; 6]) -> bool {
        let holds = |row: &Row| row.iter().all(|test| test.holds(args));
        let decided = arguments
            .cases
            .iter()
            .find(|(rows, _)| rows.iter().any(holds));
        decided.map_or(arguments.otherwise, |(_, may)| *may)
    }

    /// Values round the bounds of [`any_test`].
    fn values() -> impl Iterator<Item = u64> + Clone {
        (0..10).chain([1 << 32, (1 << 32) + 1, u64::MAX, u64::MAX - 1])
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5000) })]

        #[test]
        fn what_is_implied_and_excluded_is_so(one in any_test(), other in any_test()) {
            for value in values().filter(|value| one.arg == other.arg && one.accepts(*value)) {
                prop_assert!(!one.implies(&other) || other.accepts(value), "{}", value);
                prop_assert!(!one.excludes(&other) || !other.accepts(value), "{}", value);
            }
        }

        #[test]
        fn what_is_covered_permits_nothing_more(one in any_arguments(), other in any_arguments()) {
            prop_assert!(one.covers(&one));
            if !one.covers(&other) {
                return Ok(());
            }
            for (a, b) in values().flat_map(|a| values().map(move |b| (a, b))) {
                let args = [a, b, 0, 0, 0, 0];
                prop_assert!(!may(&other, &args) || may(&one, &args), "{:?}", args);
            }
        }
    }

    #[test]
    fn numbers_are_told_together() {
        let equal = |arg, value| Test {
            arg,
            wide: false,
            is: Is::Equal(value),
        };
        let rows = [
            vec![equal(0, 1)],
            vec![equal(0, 2)],
            vec![equal(0, 0x1000)],
            vec![equal(1, 3), equal(0, 2)],
            vec![equal(1, 3)],
        ];
        assert_eq!(
            words(&rows),
            "argument 0 is 1 or 2 or 0x1000, or argument 1 is 3 and argument 0 is 2, or argument 1 is 3"
        );
    }

    #[test]
    fn a_narrower_condition_is_covered() {
        let arguments = |is, then| Arguments {
            cases: vec![(
                vec![vec![Test {
                    arg: 0,
                    wide: false,
                    is,
                }]]
                .into(),
                then,
            )],
            otherwise: !then,
        };
        let when = |is| arguments(is, true);
        let but = |is| arguments(is, false);
        assert!(when(Is::Below(3)).covers(&when(Is::Equal(2))));
        assert!(!when(Is::Equal(2)).covers(&when(Is::Below(3))));
        assert!(when(Is::Masked(4, 0)).covers(&when(Is::Masked(6, 2))));
        assert!(but(Is::Equal(2)).covers(&but(Is::Below(3))));
        assert!(!but(Is::Below(3)).covers(&but(Is::Equal(2))));
        assert!(but(Is::Equal(40)).covers(&when(Is::Equal(1))));
        assert!(!when(Is::Equal(1)).covers(&but(Is::Equal(40))));
    }
}
