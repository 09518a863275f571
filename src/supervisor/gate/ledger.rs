//! What was refused, counted: of bounded size, however much and however different.

use crate::plan::egress::Reason;
use crate::report::egress::{Attempt, Meant, Unreached};
use std::collections::HashMap;

/// How many different ones are kept.
const MOST: usize = 256;

#[derive(Default)]
pub(in crate::supervisor) struct Ledger {
    places: HashMap<(Meant, Reason), usize>,
    unreached: Unreached,
}

impl Ledger {
    pub(in crate::supervisor) fn count(&mut self, meant: Meant, reason: Reason) {
        let key = (meant, reason);
        if let Some(attempt) =
            (self.places.get(&key)).and_then(|at| self.unreached.all.get_mut(*at))
        {
            attempt.times += 1;
            return;
        }
        if self.unreached.all.len() >= MOST {
            self.unreached.others += 1;
            return;
        }
        self.unreached.all.push(Attempt {
            meant: key.0.clone(),
            reason,
            times: 1,
        });
        self.places.insert(key, self.unreached.all.len() - 1);
    }

    pub(in crate::supervisor) fn close(&mut self) -> Unreached {
        self.places.clear();
        std::mem::take(&mut self.unreached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_stays_bounded_and_is_counted() {
        let mut ledger = Ledger::default();
        for number in 0..10_000 {
            let name = format!("n{}.example", number % 1000);
            ledger.count(Meant::Resolve(name), Reason::NotAllowed);
        }
        let unreached = ledger.close();
        let kept: u64 = unreached.all.iter().map(|attempt| attempt.times).sum();
        assert_eq!(unreached.all.len(), MOST);
        assert_eq!(kept + unreached.others, 10_000);
    }
}
