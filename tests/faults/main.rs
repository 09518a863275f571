//! Fail closed, proven: every system call of a run fails in turn, with every plausible errno, and
//! every process of it is killed at every call.
//!
//! The verdict on each: the command did not start and a sentence says why, or it ran in exactly the
//! isolation that an undisturbed run has. Anything else is a broken promise: another isolation, a
//! wait without an end, a panic, an unclear message, something left behind.
//!
//! `cargo test --test faults` takes a sample, `tests/faults/run --all` everything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(not(target_arch = "x86_64"), allow(unused))]

// What the promises share; only how they say that they cannot run is wanted here.
#[path = "../promises/support.rs"]
#[allow(dead_code, unreachable_pub)]
mod support;

#[cfg(target_arch = "x86_64")]
mod campaign;
#[cfg(target_arch = "x86_64")]
mod errnos;
#[cfg(target_arch = "x86_64")]
mod judge;
#[cfg(target_arch = "x86_64")]
mod lab;
#[cfg(target_arch = "x86_64")]
mod look;
#[cfg(target_arch = "x86_64")]
mod profiles;
#[cfg(target_arch = "x86_64")]
mod reach;
#[cfg(target_arch = "x86_64")]
mod subject;
#[cfg(target_arch = "x86_64")]
mod table;
#[cfg(target_arch = "x86_64")]
mod tracer;

use std::io::Write as _;
use std::process::ExitCode;

/// How many faults the sample holds of a subject.
const SAMPLE: usize = 72;
/// And of one that makes most of its calls as another one does.
const SMALL: usize = 36;

#[derive(Debug, Default)]
struct Options {
    all: bool,
    /// Which part of all, of how many.
    part: Option<(usize, usize)>,
    peers: bool,
    /// Whether nothing is injected, and what an undisturbed run tells of itself is shown.
    facts: bool,
    /// Only these calls.
    calls: Vec<String>,
    /// Only subjects with this in their name.
    subject: Option<String>,
    /// Only tests with one of these words in their name.
    filters: Vec<String>,
}

fn options() -> Options {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--all" => options.all = true,
            "--part" => {
                options.all = true;
                let part = arguments.next();
                let numbers = part.as_deref().and_then(|part| part.split_once('/'));
                let (part, parts) =
                    numbers.expect("--part takes a part and a number of parts: 1/8");
                options.part = Some((part.parse().unwrap(), parts.parse().unwrap()));
            }
            "--peers" => options.peers = true,
            "--facts" => options.facts = true,
            "--call" => options.calls.extend(arguments.next()),
            "--subject" => options.subject = arguments.next(),
            // What the test harness of the language would take.
            "--color" | "--test-threads" | "--skip" | "--format" | "-Z" => drop(arguments.next()),
            word if word.starts_with('-') => {}
            word => options.filters.push(word.into()),
        }
    }
    options
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> ExitCode {
    println!("the faults are injected on x86-64 alone");
    ExitCode::SUCCESS
}

#[cfg(target_arch = "x86_64")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "look") {
        // A terminal may be gone by then.
        let said = look::report(&arguments[2], &arguments[3..]);
        return match std::io::stdout().write_all(said.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    // So that whose keyring a command has can be told; without keys none has any.
    let _ = sandbox::sys::keyring::join_new_session();
    let options = options();
    let tests = [
        (
            "a_call_that_fails_lets_the_command_start_as_declared_or_not_at_all",
            false,
        ),
        ("a_process_that_is_killed_at_any_call_leaves_nothing", true),
    ];
    let filters = &options.filters;
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = tests.iter().filter(|(name, _)| wanted(name)).collect();
    // As the harness of the language has it; by this line `tests/run` counts who has begun.
    let plural = if wanted.len() == 1 { "" } else { "s" };
    println!("\nrunning {} test{plural}", wanted.len());
    let (mut passed, mut failed) = (0, 0);
    for &&(name, kill) in &wanted {
        if let Some(reason) = untraceable() {
            support::skip(name, &reason);
            passed += 1;
            continue;
        }
        let broken = test(&options, kill);
        println!("test {name} ... {}", if broken { "FAILED" } else { "ok" });
        *if broken { &mut failed } else { &mut passed } += 1;
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored;");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether our own promise was broken.
#[cfg(target_arch = "x86_64")]
fn test(options: &Options, kill: bool) -> bool {
    use subject::Subject;
    let mut subjects = subject::ours();
    if options.peers {
        subjects.extend([Subject::Bubblewrap, Subject::Crun]);
    }
    let wanted = |subject: &Subject| {
        options
            .subject
            .as_ref()
            .is_none_or(|word| subject.name().contains(word))
    };
    let mut table = table::Table::default();
    let mut breaches = Vec::new();
    for subject in subjects.into_iter().filter(wanted) {
        let ground = match campaign::Ground::new(subject) {
            Ok(ground) => ground,
            Err(why) => {
                let why = format!("{} cannot be compared here: {why}", subject.name());
                println!("{why}");
                if subject.is_ours() {
                    breaches.push(why);
                }
                continue;
            }
        };
        if options.facts {
            for fact in &ground.expected {
                println!("{}: {fact}", subject.name());
            }
            continue;
        }
        let calls = ground.points.len();
        let mut injections = campaign::faults(&ground.points, kill);
        drop(ground);
        if !options.calls.is_empty() {
            injections
                .retain(|(point, ..)| options.calls.iter().any(|call| call == point.call.name()));
        }
        if !options.all {
            let size = if subject.is_a_variant() {
                SMALL
            } else {
                SAMPLE
            };
            injections = campaign::sample(injections, size);
        }
        if let Some((part, parts)) = options.part {
            // One in so many, so that each part has some of every kind.
            let rest = injections.into_iter().skip(part - 1);
            injections = rest.step_by(parts).collect();
        }
        println!(
            "{}: {} faults at {calls} calls",
            subject.name(),
            injections.len()
        );
        let mut results = campaign::run(subject, &injections);
        breaches.append(&mut results.breaches);
        table.add(subject.name(), results);
    }
    print!("{table}");
    // Last, right before the verdict, where who reads the end of a log finds them.
    for breach in &breaches {
        println!("{breach}");
    }
    !breaches.is_empty()
}

/// Why nothing can be traced here, if so.
#[cfg(target_arch = "x86_64")]
fn untraceable() -> Option<String> {
    let job = tracer::Job {
        program: "true".into(),
        folder: "/".into(),
        stdout: "/dev/null".into(),
        stderr: "/dev/null".into(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..tracer::Job::default()
    };
    tracer::run(&job, None).err()
}
