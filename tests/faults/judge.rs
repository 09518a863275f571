//! What is said of a run under a fault.

use crate::look::MARKER;
use crate::reach::PERMITTED;
use crate::subject::Subject;
use crate::tracer::{Fault, Point, Trace};
use nix::errno::Errno;
use std::collections::BTreeSet;
use syscalls::Sysno;

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) trace: Trace,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// When a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// By the start of the language's runtime: no line of the program has run yet.
    Runtime,
    /// Until the command is executed.
    SetUp,
    /// While it runs, and when all is taken away.
    After,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The command did not start, and a sentence says why.
    Refused,
    /// It ran, in exactly the isolation that was asked for.
    Same,
    /// The program ended before it had begun.
    Stillborn,
    /// It ran as it has to on a machine of which the answer is true: a file that is not there.
    Answered,
    /// Its end was a failure with a sentence, after the command had run as declared.
    EndedLate,
    /// Who was killed is gone, with all the rest.
    Gone,
    /// It ran as declared, and did not reach what it may reach.
    Cut,
    /// The promise is broken.
    Broken(String),
}

/// The facts that a run told. The id that root takes for it outside is left out: each run has its own.
/// Once nobody listens to the filter any more, the kernel refuses with ENOSYS what was refused with EPERM.
pub(crate) fn facts(stdout: &str) -> BTreeSet<String> {
    let unprivileged = |digits: &&str| {
        let id = digits.parse::<u64>().unwrap_or(0);
        (0x7000_0000..0x8000_0000).contains(&id)
    };
    let fact = |line: &str| {
        let numbers = line.split(|c: char| !c.is_ascii_digit());
        numbers
            .filter(unprivileged)
            .fold(line.to_owned(), |fact, id| {
                fact.replace(id, "[unprivileged]")
            })
    };
    // The numbers of the supervisor's descriptors, by which layers are named, hang on what it has open.
    let layers = |fact: String| -> String {
        let mut parts = fact.split("/proc/self/fd/");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |fact, part| {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{fact}/proc/self/fd/[n]{rest}")
        })
    };
    // What was killed may have been within a line.
    let (whole, _cut) = stdout.rsplit_once('\n').unwrap_or_default();
    whole
        .lines()
        .map(fact)
        .map(layers)
        .map(|fact| match fact.starts_with("attempt ") {
            // And an init that is being killed has nothing to be read any more.
            true if fact.contains("read init") => fact.replace("Err(ESRCH)", "Err(EACCES)"),
            true => fact.replace("Err(ENOSYS)", "Err(EPERM)"),
            false => fact,
        })
        .collect()
}

/// Whether an error is an answer of this machine to the planning supervisor, and no failure: that
/// something is not there, or out of the caller's reach; that a file system cannot map owners.
fn is_answer(point: &Point, fault: Fault) -> bool {
    let Fault::Error(errno) = fault else {
        return false;
    };
    let absent = matches!(errno, Errno::ENOENT | Errno::EACCES | Errno::ELOOP);
    point.role == "0"
        && match point.call {
            Sysno::mount_setattr => matches!(errno, Errno::EINVAL | Errno::EPERM),
            Sysno::openat | Sysno::openat2 | Sysno::statx | Sysno::newfstatat | Sysno::readlink => {
                absent
            }
            Sysno::getdents64 => errno == Errno::ENOTDIR,
            _ => false,
        }
}

/// Whether an error tells the planning supervisor that a stream is no terminal.
fn is_no_terminal(subject: Subject, point: &Point, phase: Phase, fault: Fault) -> bool {
    let asks = matches!(point.call, Sysno::ioctl | Sysno::newfstatat);
    let planning = point.role == "0" && phase == Phase::SetUp;
    subject == Subject::Terminal && asks && planning && matches!(fault, Fault::Error(_))
}

/// The run has to be that of a machine of which the answer is true: the same but for what is said
/// not to be there, or without the map.
fn as_answered(point: &Point, expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Verdict {
    let unmapped = |facts: &BTreeSet<String>| -> BTreeSet<String> {
        facts
            .iter()
            .map(|fact| fact.replace(",idmapped", ""))
            .collect()
    };
    if point.call == Sysno::mount_setattr {
        return match unmapped(expected) == unmapped(found) {
            true => Verdict::Answered,
            false => Verdict::Broken("isolated in another way than without a map".into()),
        };
    }
    // The root is as large as what is made in it.
    let root = |fact: &str| fact.starts_with("mount: / / ");
    let absence = |fact: &str| fact.starts_with("no folder") || fact.ends_with("Err(ENOENT)");
    // A node that cannot be told is in no rule, and may not be opened.
    let closed = |fact: &str| fact.starts_with("device /") && !fact.contains("Ok(");
    let file = |fact: &str| {
        ["mount: ", "there is ", "attempt write ", "device /"]
            .iter()
            .any(|kind| fact.starts_with(kind))
    };
    // What is masked has to stay so, unless it is what is said not to be there: a mask hides what is
    // there when the run is planned. Then nothing else is missing.
    let there = found.contains("there is /etc/passwd");
    let alone = expected
        .difference(found)
        .filter(|fact| !root(fact))
        .count()
        == 1;
    let masked = |fact: &str| there && !alone && fact.contains(" /etc/passwd ");
    // A folder of which a part is left out is shown part by part: other mounts, all of them read-only.
    let part = |fact: &str| fact.starts_with("mount: /etc/") && fact.contains(" ro,nosuid,nodev");
    let more = found
        .difference(expected)
        .find(|fact| !(root(fact) || absence(fact) || part(fact) || closed(fact)));
    let less = expected
        .difference(found)
        .find(|fact| !file(fact) || masked(fact));
    match more.or(less) {
        None => Verdict::Answered,
        Some(fact) => Verdict::Broken(format!("isolated in another way: {fact}")),
    }
}

/// Judges a run of a subject with a fault.
pub(crate) fn judge(
    subject: Subject,
    (point, phase, fault): (&Point, Phase, Fault),
    expected: &BTreeSet<String>,
    run: &Run,
) -> Verdict {
    let broken = |why: &str| Verdict::Broken(why.into());
    if let Some(who) = &run.trace.hung {
        return Verdict::Broken(format!("hangs: {who:?}"));
    }
    let code = run.trace.code;
    let started = run.stdout.contains(MARKER);
    if phase == Phase::Runtime && !started && code != 0 {
        return Verdict::Stillborn;
    }
    let found = facts(&run.stdout);
    if started && code == 0 && is_no_terminal(subject, point, phase, fault) {
        // The command then works at what the caller has there, and is told apart by nothing else.
        let rest = |facts: &BTreeSet<String>| -> BTreeSet<String> {
            let about = ["descriptor ", "process: ", "device /dev/tty: "];
            let others = facts
                .iter()
                .filter(|fact| !about.iter().any(|start| fact.starts_with(start)));
            others.cloned().collect()
        };
        if found != *expected && rest(&found) == rest(expected) {
            return Verdict::Answered;
        }
    }
    let more: Vec<_> = found.difference(expected).collect();
    // The supervisor ends, and all with it.
    if phase == Phase::Runtime && point.is_threads() && code == -6 && more.is_empty() {
        return Verdict::Stillborn;
    }
    for word in ["panicked", "allocation in the child"] {
        if run.stderr.contains(word) {
            return broken(word);
        }
    }
    let said = if subject.is_ours() {
        run.stderr.contains("error[SBX") && run.stderr.contains("help: ")
    } else {
        !run.stderr.trim().is_empty()
    };
    if subject.is_ours() && code == 0 && started && found != *expected && is_answer(point, fault) {
        return as_answered(point, expected, &found);
    }
    let unreached = |facts: &BTreeSet<String>| -> BTreeSet<String> {
        let rest = facts.iter().filter(|fact| !fact.starts_with(PERMITTED));
        rest.cloned().collect()
    };
    let failures = more
        .iter()
        .all(|fact| fact.starts_with(PERMITTED) && fact.contains("Err("));
    if !more.is_empty() && failures && code == 0 && unreached(&found) == unreached(expected) {
        // Who is let wait for an answer has been forgotten, unless it was lost on its way, as datagrams may be.
        let lost = point.is_threads() && point.call == Sysno::sendto;
        return match more
            .iter()
            .any(|fact| fact.contains("WouldBlock") || fact.contains("TimedOut"))
        {
            true if !lost => broken("hangs: no answer of the gate"),
            _ => Verdict::Cut,
        };
    }
    if !more.is_empty() {
        return Verdict::Broken(format!("isolated in another way: {more:#?}"));
    }
    // What it says of itself passes the supervisor there, which has told that it could not hand that on.
    if subject == Subject::Terminal && run.stderr.contains("output cannot be written") {
        return Verdict::EndedLate;
    }
    let whole = found == *expected;
    // To who hands on the output, these say that its reader or its writers have gone, and there is nothing more to
    // tell; nor can the command write to a terminal that is gone.
    let gone = [Errno::EPIPE, Errno::EIO].map(Fault::Error);
    if matches!(point.call, Sysno::write | Sysno::read)
        && gone.contains(&fault)
        && point.is_threads()
        && phase == Phase::After
        && !whole
    {
        return Verdict::Answered;
    }
    if fault == Fault::Kill && run.trace.reached && point.is_supervisors() {
        return match code {
            -9 => Verdict::Gone,
            _ => broken("it outlives SIGKILL"),
        };
    }
    match (started, code) {
        (true, 0) if whole => Verdict::Same,
        (true, 0) => broken("less is seen of it"),
        (true, _) if said => Verdict::EndedLate,
        // The command is told apart from what kills its init by a line.
        (true, 137) if fault == Fault::Kill && !run.stderr.is_empty() => Verdict::EndedLate,
        (true, _) => broken("it ran, and failed without a sentence"),
        (false, 0) => broken("nothing ran, and the exit code hides it"),
        (false, _) if !said && fault == Fault::Kill && !run.stderr.is_empty() => Verdict::Refused,
        (false, _) if !said => broken("no sentence, or no remedy"),
        (false, 125) => Verdict::Refused,
        (false, 126 | 127) if matches!(point.call, Sysno::execve | Sysno::execveat) => {
            Verdict::Refused
        }
        (false, _) if !subject.is_ours() => Verdict::Refused,
        (false, _) => broken("the exit code is that of a command"),
    }
}
