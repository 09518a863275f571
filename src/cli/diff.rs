//! `sandbox diff`: what a change of a profile permits that was not permitted before.

use super::arguments::Diff;
use super::{Refused, Session, output};
use crate::diag::Diagnostics;
use crate::review::compare::compare;
use crate::review::render::{self, Pair};
use crate::review::score::score;

/// The second profile permits something that the first does not.
const WIDENED: u8 = 1;

pub(super) fn run(arguments: &Diff, session: &mut Session) -> Result<u8, Refused> {
    let before = session.reviewed(Some(&arguments.before));
    let after = session.reviewed(Some(&arguments.after));
    // Everything that is wrong, with either of them.
    let (before, after) = match (before, after) {
        (Ok(before), Ok(after)) => (before, after),
        (before, after) => {
            let mut problems = Diagnostics::default();
            for refused in [before.err(), after.err()].into_iter().flatten() {
                let found = refused.problems.sorted();
                found.into_iter().for_each(|problem| problems.push(problem));
            }
            return Err(problems.into());
        }
    };
    let comparison = compare(&before.1, &after.1);
    let pair = Pair {
        before: (&before.0, score(&before.1).exposure),
        after: (&after.0, score(&after.1).exposure),
    };
    let text = if arguments.json {
        render::comparison_json(pair, &comparison, &session.sources)
    } else {
        render::comparison(pair, &comparison, &session.sources)
    };
    output(&text)?;
    Ok(if comparison.widened.is_empty() {
        0
    } else {
        WIDENED
    })
}
