//! What was refused, counted: of bounded size, however many calls and however different.

use super::decode::Read;
use crate::report::denial::{Refusal, Refusals};
use crate::sys::seccomp::Notification;
use std::collections::HashMap;

/// How many different calls are kept.
const MOST: usize = 256;
/// How many forms of a call by one program are kept; what comes in more is one.
const FORMS: u32 = 16;
/// How often the memory behind the same arguments of the same thread is looked at.
const LOOKS: u32 = 16;
/// After so many calls, nobody's memory is looked at any more.
const DECODED: u64 = 20_000;

/// What makes two calls the same: who makes which call with which arguments, as far as they are known.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    number: u32,
    architecture: u32,
    errno: i32,
    /// Its name and that of the thread: of a build, every process makes the same call.
    process: Option<(String, Option<String>)>,
    words: Option<String>,
    /// What words do not tell: all of them where nothing is known of the call.
    arguments: [u64; 6],
}

type Form = (u32, u32, i32, Option<(String, Option<String>)>);

/// The same call of the same thread with the same registers.
type Repeated = (libc::pid_t, u32, u32, [u64; 6]);

#[derive(Default)]
pub(in crate::supervisor) struct Ledger {
    /// Where it stands in the list, and the pid of the first that made it.
    kinds: HashMap<Kind, (usize, u32)>,
    /// How many there are of those that differ by their arguments alone.
    forms: HashMap<Form, u32>,
    repeated: HashMap<Repeated, (usize, u32)>,
    refusals: Refusals,
    total: u64,
}

impl Ledger {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Counts a call; `read` is asked for what is known of it besides the registers.
    pub(super) fn count(
        &mut self,
        call: &Notification,
        errno: i32,
        read: impl FnOnce() -> Option<Read>,
    ) {
        self.total += 1;
        let repeated = (call.thread, call.number, call.architecture, call.arguments);
        let mut looks = 0;
        if let Some((at, times)) = self.repeated.get_mut(&repeated) {
            *times += 1;
            looks = *times;
            if *times > LOOKS
                && let Some(refusal) = self.refusals.all.get_mut(*at)
            {
                refusal.times += 1;
                return;
            }
        }
        let read = if self.total > DECODED { None } else { read() };
        let read = read.unwrap_or_default();
        // The last look stands for all that follow, which may be different.
        let words = read.words.filter(|_| looks < LOOKS);
        let arguments = match &words {
            Some(_) => read.numbers,
            None if self.total > DECODED => [0; 6],
            None => call.arguments,
        };
        let mut kind = Kind {
            number: call.number,
            architecture: call.architecture,
            errno,
            process: read
                .process
                .as_ref()
                .map(|process| (process.name.clone(), process.thread.clone())),
            words,
            arguments,
        };
        if !self.kinds.contains_key(&kind) && self.refusals.all.len() < MOST {
            let form = (
                kind.number,
                kind.architecture,
                kind.errno,
                kind.process.clone(),
            );
            let forms = self.forms.entry(form).or_default();
            *forms += 1;
            if *forms > FORMS {
                kind.words = None;
                kind.arguments = [0; 6];
            }
        }
        let pid = read.process.as_ref().map_or(0, |process| process.pid);
        let at = match self.kinds.get(&kind) {
            Some((at, first)) => {
                if let Some(refusal) = self.refusals.all.get_mut(*at) {
                    refusal.times += 1;
                    refusal.others |= *first != pid;
                }
                *at
            }
            None if self.refusals.all.len() >= MOST => {
                self.refusals.others += 1;
                return;
            }
            None => {
                self.refusals.all.push(Refusal {
                    number: call.number,
                    architecture: call.architecture,
                    arguments: call.arguments,
                    words: kind.words.clone(),
                    others: false,
                    process: read.process,
                    errno,
                    times: 1,
                });
                let at = self.refusals.all.len() - 1;
                self.kinds.insert(kind, (at, pid));
                at
            }
        };
        if self.repeated.len() >= 4 * MOST {
            self.repeated.clear();
        }
        self.repeated
            .entry(repeated)
            .and_modify(|(to, _)| *to = at)
            .or_insert((at, 1));
    }

    pub(super) fn close(self) -> Refusals {
        self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(thread: i32, number: u32, argument: u64) -> Notification {
        Notification {
            id: 0,
            thread,
            number,
            architecture: 1,
            arguments: [argument, 0, 0, 0, 0, 0],
        }
    }

    #[test]
    fn every_call_is_counted_and_the_same_once() {
        let mut ledger = Ledger::default();
        let mut looks = 0;
        for _ in 0..100 {
            ledger.count(&call(1, 2, 3), 1, || {
                looks += 1;
                None
            });
        }
        ledger.count(&call(1, 2, 4), 1, || None);
        let refusals = ledger.close();
        let times: Vec<_> = refusals.all.iter().map(|r| r.times).collect();
        assert_eq!(times, [100, 1]);
        assert!(looks <= 20, "{looks}");
    }

    #[test]
    fn a_flood_of_different_calls_stays_bounded() {
        let mut ledger = Ledger::default();
        for number in 0..100_000 {
            ledger.count(&call(number % 7, number as u32, u64::MAX), 1, || None);
        }
        assert!(ledger.kinds.len() <= MOST && ledger.repeated.len() <= 4 * MOST);
        let refusals = ledger.close();
        let kept: u64 = refusals.all.iter().map(|r| r.times).sum();
        assert_eq!(refusals.all.len(), MOST);
        assert_eq!(kept + refusals.others, 100_000);
    }
}
