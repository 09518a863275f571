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
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// Asks init to stop the others. Both are signals of timers, of which init has none: no supervisor hands one on, and
/// no profile has a command asked to end by one.
pub const PAUSE: i32 = libc::SIGVTALRM;
/// Asks init to let them go on.
pub const RESUME: i32 = libc::SIGPROF;

/// What init is called.
pub const NAME: &CStr = c"sandbox-init";
/// What it is called while the others are stopped. Nobody but a process itself writes its name.
pub const PAUSED: &CStr = c"sandbox-paused";

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
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

/// Whether this init, the child of this supervisor, has stopped those inside.
#[must_use]
pub fn is_paused(init: libc::pid_t, supervisor: libc::pid_t) -> bool {
    stat(init).is_some_and(|stat| stat.name == PAUSED.to_bytes() && stat.parent == supervisor)
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
    let number = if paused { PAUSE } else { RESUME };
    let until = Instant::now() + PATIENCE;
    // Looked at twice: who came in during the first look is seen by the second, and who comes in after that sees
    // that it is paused.
    let mut looks = 0;
    while looks < 2 {
        let is_asked = is_paused(record.init, live.pid) == paused;
        if is_asked && (!paused || inside::is_stopped(record, live)) {
            looks += 1;
            continue;
        }
        looks = 0;
        if Instant::now() > until {
            return Err(if is_asked { Failed::GoesOn } else { Failed::Deaf });
        }
        // Anew as long as somebody goes on: who is not yet stopped itself can let another one go on.
        signal::send(init.as_raw_fd(), number, Mark::NONE).map_err(ended)?;
        if live.ended(Some(SHORT)) {
            return Err(Failed::Ended);
        }
    }
    Ok(())
}
