//! Runs a subject under one fault after the other, and keeps what became of it.

use crate::errnos;
use crate::judge::{Phase, Run, Verdict, facts, judge};
use crate::look::MARKER;
use crate::subject::{Bench, Subject, groups_of};
use crate::table;
use crate::tracer::{self, Fault, Job, Point};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use syscalls::Sysno;

/// One fault at one point.
pub(crate) type Injection = (Point, Phase, Fault);

/// What became of the injections, by call.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) by_call: table::Rows,
    /// What is said of every promise that one of our subjects broke.
    pub(crate) breaches: Vec<String>,
}

impl Results {
    fn add(&mut self, subject: Subject, injection: &Injection, verdict: &Verdict, run: &Run) {
        let (point, phase, fault) = injection;
        let word = match verdict {
            Verdict::Refused => "refused",
            Verdict::Same => "same",
            Verdict::Stillborn => "stillborn",
            Verdict::Answered => "answered",
            Verdict::EndedLate => "late",
            Verdict::Gone => "gone",
            Verdict::Cut => "cut",
            Verdict::Broken(why) => table::breach(why),
        };
        let row = self.by_call.entry(point.call.name().into()).or_default();
        *row.entry(word).or_default() += 1;
        // What others break is a number in the table.
        if let Verdict::Broken(why) = verdict
            && subject.is_ours()
        {
            let reached = if run.trace.reached {
                ""
            } else {
                " (not reached)"
            };
            self.breaches.push(format!(
                "{}: {} {fault:?} at {} of {} ({phase:?}){reached}: {why}\n    exit code {}, stderr: {}",
                subject.name(),
                point.call,
                point.nth,
                point.role,
                run.trace.code,
                run.stderr.trim(),
            ));
        }
    }
}

/// A subject in a folder of its own, with what an undisturbed run there tells.
pub(crate) struct Ground {
    subject: Subject,
    bench: Bench,
    job: Job,
    /// What it tells of itself.
    pub(crate) expected: BTreeSet<String>,
    files: BTreeSet<String>,
    /// Every call of an undisturbed run, but for those of the command.
    pub(crate) points: Vec<(Point, Phase)>,
}

impl Ground {
    /// Prepares a subject.
    ///
    /// # Errors
    /// It does not run here: what it said.
    pub(crate) fn new(subject: Subject) -> Result<Self, String> {
        let mut bench = Bench::new();
        let job = bench.job(subject);
        let mut ground = Self {
            subject,
            bench,
            job,
            expected: BTreeSet::new(),
            files: BTreeSet::new(),
            points: Vec::new(),
        };
        let first = ground.run(None);
        let second = ground.run(None);
        if second.trace.code != 0 || !second.stdout.contains(MARKER) {
            return Err(format!(
                "exit code {}: {}",
                second.trace.code,
                second.stderr.trim()
            ));
        }
        ground.expected = facts(&second.stdout);
        let other = facts(&first.stdout);
        let differing: Vec<_> = ground.expected.symmetric_difference(&other).collect();
        if !differing.is_empty() {
            return Err(format!("two runs differ: {differing:#?}"));
        }
        let unseen = ground.bench.unseen(subject, &ground.expected);
        if !unseen.is_empty() {
            return Err(format!(
                "it does not tell of what is asked for: {unseen:#?}"
            ));
        }
        ground.bench.tidy(subject);
        ground.files = ground.bench.files();
        ground.points = points(subject, &second);
        Ok(ground)
    }

    fn run(&self, fault: Option<(&Point, Fault)>) -> Run {
        let trace = tracer::run(&self.job, fault).unwrap();
        self.bench.disconnect();
        let text = |path| {
            let bytes = fs::read(path).unwrap();
            // A terminal ends its lines in its own way.
            let text = String::from_utf8_lossy(&bytes).replace('\r', "");
            self.bench.neutral(&text)
        };
        Run {
            trace,
            stdout: text(&self.job.stdout),
            stderr: text(&self.job.stderr),
        }
    }

    fn inject(&self, (point, phase, fault): &Injection) -> (Verdict, Run) {
        let run = self.run(Some((point, *fault)));
        let verdict = judge(self.subject, (point, *phase, *fault), &self.expected, &run);
        let verdict = match (self.left(&run), verdict) {
            (_, verdict @ Verdict::Broken(_)) => verdict,
            (Some(what), _) => Verdict::Broken(format!("left behind: {what}")),
            (None, verdict) => verdict,
        };
        self.bench.tidy(self.subject);
        (verdict, run)
    }

    /// What a run has left. The next run takes away what one that was killed, or whose own clean-up
    /// failed, could not.
    fn left(&self, run: &Run) -> Option<String> {
        let left = || {
            let mut left: Vec<_> = self
                .bench
                .files()
                .difference(&self.files)
                .cloned()
                .collect();
            left.extend(self.bench.mounts());
            left.extend(self.bench.inside());
            left.extend(self.bench.connections());
            left.extend(Bench::thrown(run.trace.pid));
            left.extend(
                groups_of(run.trace.pid)
                    .iter()
                    .map(|path| path.display().to_string()),
            );
            left
        };
        if run.trace.is_set_otherwise {
            return Some("another setting of the caller's terminal".into());
        }
        if left().is_empty() {
            return None;
        }
        if self.subject.is_ours() {
            let next = Command::new(&self.job.program)
                .args(&self.job.arguments)
                .current_dir(&self.job.folder)
                .env_clear()
                .envs(self.job.environment.iter().cloned())
                .stdin(Stdio::null())
                .output();
            let next = next.unwrap();
            if !next.status.success() {
                return Some(format!("a next run that fails: {next:?}"));
            }
            // A group goes when its last process is wholly gone, which takes a moment.
            let start = Instant::now();
            while !left().is_empty() && start.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let left = left();
        (!left.is_empty()).then(|| left.join(", "))
    }
}

/// What a thread does before its first line: a stack for signal handlers, and what the C library
/// registers. Where that fails, the language ends the whole program.
const STARTING: &[Sysno] = &[
    Sysno::mmap,
    Sysno::mprotect,
    Sysno::sigaltstack,
    Sysno::rseq,
    Sysno::set_robust_list,
    Sysno::sched_getaffinity,
];

/// The calls of an undisturbed run, and when they are made.
fn points(subject: Subject, run: &Run) -> Vec<(Point, Phase)> {
    // The last program to be executed is the command.
    let (command, executed) = run
        .trace
        .execs
        .last()
        .expect("something was executed")
        .clone();
    // The runtime asks which stack its signal handlers have, and sets one, right before `main`.
    let supervisors = |point: &Point| subject.is_ours() && point.role == "0";
    let main =
        run.trace.calls.iter().position(|point| {
            supervisors(point) && point.call == Sysno::sigaltstack && point.nth == 2
        });
    let mut found = Vec::new();
    for (number, point) in run.trace.calls.iter().enumerate() {
        let phase = match number {
            _ if number >= executed && point.role == command => continue,
            _ if point.is_threads() && STARTING.contains(&point.call) => Phase::Runtime,
            _ if number >= executed => Phase::After,
            _ if main.is_some_and(|main| number <= main) => Phase::Runtime,
            _ => Phase::SetUp,
        };
        found.push((point.clone(), phase));
    }
    found
}

/// Every fault that a subject's points can have.
pub(crate) fn faults(points: &[(Point, Phase)], kill: bool) -> Vec<Injection> {
    let mut all = Vec::new();
    for (point, phase) in points {
        if kill {
            all.push((point.clone(), *phase, Fault::Kill));
        } else {
            for errno in errnos::of(point) {
                all.push((point.clone(), *phase, Fault::Error(*errno)));
            }
        }
    }
    all
}

/// A sample of a size: the same in every run, with something of every call.
pub(crate) fn sample(mut all: Vec<Injection>, size: usize) -> Vec<Injection> {
    // The numbers of a generator (Knuth's MMIX) in place of a shuffle.
    let mut state: u64 = 2026;
    let mut keyed: Vec<_> = all
        .drain(..)
        .map(|injection| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33, injection)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    let mut calls = BTreeSet::new();
    let (first, rest): (Vec<_>, Vec<_>) = keyed
        .into_iter()
        .partition(|(_, (point, ..))| calls.insert((point.role.clone(), point.call)));
    first
        .into_iter()
        .chain(rest)
        .map(|(_, injection)| injection)
        .take(size)
        .collect()
}

/// Makes every one of these faults happen to a subject, on all processors.
pub(crate) fn run(subject: Subject, injections: &[Injection]) -> Results {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Results::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let ground = Ground::new(subject).unwrap();
                while let Some(injection) = injections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (verdict, run) = ground.inject(injection);
                    results
                        .lock()
                        .unwrap()
                        .add(subject, injection, &verdict, &run);
                }
            });
        }
    });
    results.into_inner().unwrap()
}
