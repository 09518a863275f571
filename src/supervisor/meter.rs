//! When to look at the processor time that a run has used, and whether its limit is reached.

use std::time::{Duration, Instant};

/// The shortest pause between two looks: what a limit may be overrun by, times the processors.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// Nobody has more processors: what is assumed where the kernel does not say how many there are.
const MOST_PROCESSORS: f64 = 8192.0;

/// A limit on processor time, and when it could be reached at the earliest.
#[derive(Debug)]
pub(super) struct Meter {
    limit: Duration,
    processors: f64,
    next: Instant,
}

impl Meter {
    /// Starts with nothing used. `most` is how many processors the run can use at once, where that is
    /// bounded.
    pub(super) fn start(limit: Duration, most: Option<f64>, now: Instant) -> Self {
        let here = std::fs::read_to_string("/sys/devices/system/cpu/present").ok();
        let here = here.and_then(|list| crate::sections::limits::processors(list.trim()));
        let here = here.map_or(MOST_PROCESSORS, f64::from);
        Self::with(limit, most.map_or(here, |most| most.min(here)), now)
    }

    fn with(limit: Duration, processors: f64, now: Instant) -> Self {
        let mut meter = Self {
            limit,
            processors,
            next: now,
        };
        meter.next = now + meter.pause(limit);
        meter
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether the limit is reached. `used` is asked only when it may be; where it does not know, the
    /// limit counts as reached: it could not be enforced any more.
    pub(super) fn reached(
        &mut self,
        now: Instant,
        used: impl FnOnce() -> Option<Duration>,
    ) -> bool {
        if now < self.next {
            return false;
        }
        let left = used().and_then(|used| self.limit.checked_sub(used));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => {
                self.next = now + self.pause(left);
                false
            }
            None => true,
        }
    }

    /// Before this is over, that much cannot be used up.
    fn pause(&self, left: Duration) -> Duration {
        left.div_f64(self.processors).max(LEAST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lets `busy` processors work: how many looks there were, and what was used at the end.
    fn run(limit: Duration, processors: f64, busy: f64) -> (u32, Duration) {
        let start = Instant::now();
        let mut meter = Meter::with(limit, processors, start);
        for looks in 1.. {
            let now = meter.next();
            let used = (now - start).mul_f64(busy);
            if meter.reached(now, || Some(used)) {
                return (looks, used);
            }
            assert!(meter.next() > now, "no time passes");
        }
        unreachable!()
    }

    proptest! {
        #[test]
        fn a_limit_is_reached_and_hardly_overrun(
            limit in 1u64..1_000_000,
            processors in 0.01f64..256.0,
            share in 0.001f64..=1.0,
        ) {
            let limit = Duration::from_millis(limit);
            let busy = processors * share;
            let (looks, used) = run(limit, processors, busy);
            prop_assert!(used >= limit);
            let over = LEAST_PAUSE.mul_f64(busy) + Duration::from_micros(1);
            prop_assert!(used <= limit + over, "{used:?} of {limit:?}");
            // No more looks than a steady pause would have, and few where all are busy.
            prop_assert!(f64::from(looks) <= used.as_secs_f64() / busy / LEAST_PAUSE.as_secs_f64() + 2.0);
            if share == 1.0 {
                prop_assert!(looks <= 2);
            }
        }
    }

    #[test]
    fn all_processors_at_work_cost_one_look() {
        let (looks, _) = run(Duration::from_secs(10), 4.0, 4.0);
        assert!(looks <= 2, "{looks}");
        // One of two: each look halves what is left.
        let (looks, _) = run(Duration::from_secs(10), 2.0, 1.0);
        assert!(looks <= 12, "{looks}");
    }

    #[test]
    fn what_cannot_be_read_counts_as_reached() {
        let start = Instant::now();
        let mut meter = Meter::with(Duration::from_secs(1), 1.0, start);
        assert!(!meter.reached(start, || unreachable!()));
        assert!(meter.reached(meter.next(), || None));
    }
}
