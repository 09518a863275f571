//! Pausing where there is no freezer: init stops all others in its pid namespace, and its name says so.
//!
//! kill(2) of -1 by pid 1 reaches everybody in the namespace but itself, those too who hide in `/proc`, and no fork
//! escapes it: the kernel goes through them under a lock, and a fork in which a signal has come is begun anew. What is
//! stopped is killed as if it ran, so that it still ends with init, and init with its supervisor. Somebody who came in
//! for it could be killed by those inside, or be refused the fork by a limit that they have reached.

use super::inside;
use super::live::{Live, stat};
use super::record::Record;
use crate::sys::signal::{self, Mark};
use crate::sys::{descriptor, process};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// Asks init to say that the others are to be stopped; and to stop them, once it has said so. This and the other are
/// signals of timers, of which init has none: no supervisor hands one on, and no profile has a command asked to end by
/// one.
pub const PAUSE: i32 = libc::SIGVTALRM;
/// Asks init to let them go on.
pub const RESUME: i32 = libc::SIGPROF;

/// What init is called (proc_pid_comm(5)). Nobody but a process itself writes its name.
pub const NAME: &CStr = c"sandbox-init";
/// The same once it was asked to pause.
pub const PAUSING: &CStr = c"sandbox-pausing";
/// The same once it has sent the others their signal.
pub const PAUSED: &CStr = c"sandbox-paused";

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long those that have children may take to stop before their children.
const HEAD_START: Duration = Duration::from_secs(1);
/// Between two looks.
const SHORT: Duration = Duration::from_millis(5);

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// There is no init that reaches those inside, and nobody else.
    NoInit,
    /// It has ended.
    Ended,
    /// Init may not be signalled.
    Refused(Errno),
    /// It has not done what it was asked to.
    Deaf,
    /// Somebody inside goes on all the same.
    GoesOn,
}

/// Whether the init of a sandbox stops those inside when it is asked to.
#[must_use]
pub fn is_possible(record: &Record) -> bool {
    record.watch.init && record.watch.new_pid_namespace
}

/// How far an init has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not been asked to pause.
    Running,
    /// It was asked to: nobody is to come in any more.
    Pausing,
    /// It has sent the others their signal.
    Paused,
}

/// What the name of this init says, the child of this supervisor.
#[must_use]
pub fn stage(init: libc::pid_t, supervisor: libc::pid_t) -> Stage {
    match stat(init).filter(|stat| stat.parent == supervisor) {
        Some(stat) if stat.name == PAUSED.to_bytes() => Stage::Paused,
        Some(stat) if stat.name == PAUSING.to_bytes() => Stage::Pausing,
        _ => Stage::Running,
    }
}

/// Whether it has stopped those inside.
#[must_use]
pub fn is_paused(init: libc::pid_t, supervisor: libc::pid_t) -> bool {
    stage(init, supervisor) == Stage::Paused
}

/// Has everything in a sandbox stopped, or go on, and waits until that is so.
///
/// # Errors
/// It is not so.
pub fn set(record: &Record, live: &Live, paused: bool) -> Result<(), Failed> {
    if !is_possible(record) {
        return Err(Failed::NoInit);
    }
    let ended = |errno| match errno {
        Errno::ESRCH => Failed::Ended,
        errno => Failed::Refused(errno),
    };
    let init = live.init(record.init).map_err(ended)?;
    let (number, wanted) = match paused {
        true => (PAUSE, Stage::Paused),
        false => (RESUME, Stage::Running),
    };
    let until = Instant::now() + PATIENCE;
    // Looked at twice: who came in during the first look is seen by the second, and who comes in after that sees
    // that it is paused.
    let mut looks = 0;
    let mut is_begun = false;
    while looks < 2 {
        let stage = stage(record.init, live.pid);
        if stage == wanted && (!paused || inside::is_stopped(record, live)) {
            looks += 1;
            continue;
        }
        looks = 0;
        if Instant::now() > until {
            return Err(match stage == wanted {
                true => Failed::GoesOn,
                false => Failed::Deaf,
            });
        }
        if paused && stage == Stage::Pausing && !std::mem::replace(&mut is_begun, true) {
            stop_parents(record, live);
        }
        // Anew as long as somebody goes on: who is not yet stopped itself can let another one go on.
        signal::send(init.as_raw_fd(), number, Mark::NONE).map_err(ended)?;
        if live.ended(Some(SHORT)) {
            return Err(Failed::Ended);
        }
    }
    Ok(())
}

/// Stops those that have children, the oldest first: a shell with job control, which hears of the stops of those
/// that it waits for (WUNTRACED of wait(2)), would take one for Ctrl-Z if it still ran itself. Whoever is missed
/// here is stopped with all others.
fn stop_parents(record: &Record, live: &Live) {
    let mut generations = Vec::new();
    for generation in inside::parents(record, live) {
        let open = |pid| Some((pid, process::open_pidfd(pid).map(descriptor::own).ok()?));
        generations.push(generation.into_iter().filter_map(open).collect::<Vec<_>>());
    }
    // Opened before this look, a descriptor is that of the process that it shows inside, or of one that has ended.
    let still: BTreeSet<_> = inside::parents(record, live)
        .into_iter()
        .flatten()
        .collect();
    let until = Instant::now() + HEAD_START;
    for mut generation in generations {
        generation.retain(|(pid, _)| still.contains(pid));
        for (_, pidfd) in &generation {
            let _ = signal::send(pidfd.as_raw_fd(), libc::SIGSTOP, Mark::NONE);
        }
        while !generation.iter().all(|(pid, _)| inside::has_stopped(*pid)) && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
