//! Whether a run does nothing: writes nothing, and uses next to no processor time.

use std::time::{Duration, Instant};

/// In how many parts the time is looked at. A run that has become idle is ended after the time and at most one
/// part more.
const PARTS: u32 = 16;

/// How much of a processor is next to nothing.
const NEXT_TO_NOTHING: f64 = 0.01;

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Done {
    /// Bytes that it wrote.
    pub written: u64,
    /// Whether it waits for somebody else, who does nothing: a reader of those, or who has paused it.
    pub waits: bool,
    /// Processor time.
    pub used: Duration,
}

/// A limit on the time in which nothing is done, and when to look next.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    /// How much processor time in one second is nothing.
    nothing: f64,
    since: Instant,
    looked: Instant,
    then: Done,
}

impl Idle {
    /// Starts with nothing done. `most` is how many processors the run can use at once, where that is
    /// bounded: who may hardly do anything does something with less.
    pub(super) fn start(limit: Duration, most: Option<f64>, now: Instant) -> Self {
        Self {
            limit,
            nothing: NEXT_TO_NOTHING * most.map_or(1.0, |most| most.min(1.0)),
            since: now,
            looked: now,
            then: Done::default(),
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.looked + self.limit / PARTS
    }

    /// The run was stopped, and goes on: that it did nothing meanwhile does not count.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.since = now;
        self.looked = now;
    }

    /// Whether the limit is reached. `done` is asked only when it may be.
    pub(super) fn reached(&mut self, now: Instant, done: impl FnOnce() -> Done) -> bool {
        if now < self.next() {
            return false;
        }
        let done = done();
        let used = done.used.saturating_sub(self.then.used);
        let something = (now - self.looked).mul_f64(self.nothing);
        if done.waits || done.written != self.then.written || used >= something {
            self.since = now;
        }
        self.looked = now;
        self.then = done;
        now - self.since >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(16);

    /// Looks whenever it is time to, while this is done in each second: when the limit was reached, if
    /// it was within a thousand seconds.
    fn run(most: Option<f64>, done: impl Fn(u64) -> Done) -> Option<u64> {
        let start = Instant::now();
        let mut idle = Idle::start(LIMIT, most, start);
        loop {
            let now = idle.next();
            let second = (now - start).as_secs();
            if idle.reached(now, || done(second)) {
                return Some(second);
            }
            if second > 1000 {
                return None;
            }
        }
    }

    fn done(written: u64, milliseconds: u64) -> Done {
        Done {
            written,
            waits: false,
            used: Duration::from_millis(milliseconds),
        }
    }

    #[test]
    fn to_do_nothing_or_next_to_nothing_is_to_be_idle() {
        assert_eq!(run(None, |_| Done::default()), Some(16));
        // Nine thousandths of a processor.
        assert_eq!(run(None, |second| done(0, 9 * second)), Some(16));
        // Something until the hundredth second, nothing after it.
        let until = |second: u64| done(second.min(100), 0);
        assert_eq!(run(None, until), Some(116));
        let until = |second: u64| done(0, 500 * second.min(100));
        assert_eq!(run(None, until), Some(116));
    }

    #[test]
    fn to_write_or_to_work_or_to_wait_for_a_reader_is_not() {
        assert_eq!(run(None, |second| done(second / 15, 0)), None);
        assert_eq!(run(None, |second| done(0, 11 * second)), None);
        let waits = Done {
            waits: true,
            ..Done::default()
        };
        assert_eq!(run(None, |_| waits), None);
    }

    #[test]
    fn who_may_do_little_is_idle_with_less() {
        assert_eq!(run(Some(0.1), |second| done(0, 2 * second)), None);
        assert_eq!(run(Some(8.0), |second| done(0, 9 * second)), Some(16));
    }

    #[test]
    fn a_pause_from_outside_does_not_count() {
        let start = Instant::now();
        let mut idle = Idle::start(LIMIT, None, start);
        let later = start + LIMIT * 3;
        idle.begin_again(later);
        assert!(!idle.reached(later + LIMIT / 2, Done::default));
        assert!(idle.reached(later + LIMIT, Done::default));
    }
}
