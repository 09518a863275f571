//! Patterns of names, in which `*` stands for anything, and whether one holds no more than another.

/// The names that fit a pattern, without those that fit one of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The pattern.
    pub pattern: String,
    /// What is taken out of it.
    pub except: Vec<String>,
}

/// No name of a variable is as long. What is longer is not looked into: it fits nothing but itself.
const LONGEST: usize = 128;

impl Names {
    /// Whether every name of `other` is one of these.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        within(&other.pattern, &self.pattern)
            && self
                .except
                .iter()
                .filter(|hidden| overlaps(hidden, &other.pattern))
                .all(|hidden| other.except.iter().any(|theirs| within(hidden, theirs)))
    }
}

/// Whether every name that fits `narrow` fits `wide`.
///
/// A `*` of `narrow` stands for letters that `wide` cannot name, so only a `*` can take them: with
/// one such letter in its place, the question is whether this one name fits.
#[must_use]
pub fn within(narrow: &str, wide: &str) -> bool {
    if narrow == wide || wide == "*" {
        return true;
    }
    if narrow.len() > LONGEST || wide.len() > LONGEST {
        return false;
    }
    // No profile can hold a NUL.
    fits(narrow.replace('*', "\0").as_bytes(), wide.as_bytes())
}

/// Whether a name fits a pattern, in time proportional to the product of their lengths.
fn fits(name: &[u8], pattern: &[u8]) -> bool {
    let (mut n, mut p) = (0, 0);
    let mut back = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, n));
                p += 1;
            }
            Some(letter) if name.get(n) == Some(letter) => {
                n += 1;
                p += 1;
            }
            _ => match back {
                Some((after, from)) => {
                    back = Some((after, from + 1));
                    (n, p) = (from + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|letter| *letter == b'*')
}

/// Whether any name fits both patterns.
#[must_use]
pub fn overlaps(one: &str, other: &str) -> bool {
    if one.len() > LONGEST || other.len() > LONGEST {
        return true;
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // `row[j]`: whether the rest of `one` from here on meets `other` from `j` on.
    let mut row = vec![false; other.len() + 1];
    for i in (0..=one.len()).rev() {
        let below = row.clone();
        for j in (0..=other.len()).rev() {
            let right = row.get(j + 1).copied().unwrap_or(false);
            let down = i < one.len() && below.get(j).copied().unwrap_or(false);
            let diagonal = i < one.len() && below.get(j + 1).copied().unwrap_or(false);
            let meets = match (one.get(i), other.get(j)) {
                (None, None) => true,
                (Some(b'*'), _) if down => true,
                (Some(b'*'), Some(_)) if right => true,
                (_, Some(b'*')) if right => true,
                (Some(_), Some(b'*')) if down => true,
                (Some(a), Some(b)) if a == b => diagonal,
                _ => false,
            };
            if let Some(cell) = row.get_mut(j) {
                *cell = meets;
            }
        }
    }
    row.first().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pattern_within_another() {
        for (narrow, wide) in [
            ("LC_ALL", "LC_*"),
            ("LC_*", "L*"),
            ("A*C", "*"),
            ("A*B*C", "A*C"),
            ("*", "**"),
            ("", "*"),
        ] {
            assert!(within(narrow, wide), "{narrow} {wide}");
        }
        for (narrow, wide) in [
            ("*", "A*"),
            ("L*", "LC_*"),
            ("A*C", "A*B*C"),
            ("*A", "A"),
            ("A", ""),
        ] {
            assert!(!within(narrow, wide), "{narrow} {wide}");
        }
    }

    #[test]
    fn patterns_that_share_a_name() {
        for (one, other) in [
            ("A*", "*B"),
            ("*", ""),
            ("A", "A"),
            ("A*C", "AB*"),
            ("*x*", "y*"),
        ] {
            assert!(overlaps(one, other), "{one} {other}");
            assert!(overlaps(other, one), "{one} {other}");
        }
        for (one, other) in [("A*", "B*"), ("A", ""), ("*A", "*B"), ("AB", "A")] {
            assert!(!overlaps(one, other), "{one} {other}");
            assert!(!overlaps(other, one), "{one} {other}");
        }
    }

    #[test]
    fn what_is_taken_out_is_not_covered() {
        let names = |pattern: &str, except: &[&str]| Names {
            pattern: pattern.into(),
            except: except.iter().map(|&e| e.into()).collect(),
        };
        let ceiling = names("*", &["AWS_*"]);
        assert!(ceiling.covers(&names("CI", &[])));
        assert!(ceiling.covers(&names("*", &["A*"])));
        assert!(!ceiling.covers(&names("*", &["AWS_SECRET"])));
        assert!(!ceiling.covers(&names("AWS_REGION", &[])));
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let stars = "*a".repeat(100_000);
        assert!(!within(&stars, "b*"));
        assert!(!within(&"*a".repeat(60), &format!("{}b", "*a".repeat(60))));
    }
}
