//! The sandbox's own terminal, seen from outside: what is typed goes in, what is written comes out, and
//! the caller's terminal, which hands on each key as it is meanwhile, gets its settings back whatever happens.
//!
//! Two threads hand on, as in [`relay`](super::relay) and for the same reasons: what is typed has to arrive
//! also while the caller's terminal takes no output. Only where this process is in the foreground does it touch
//! the caller's terminal; from the background it hands on output only, as any job may.

use super::Failure;
use super::escapes::Filter;
use super::guardian::Guardian;
use super::relay::{CHUNK, LAST_WORDS, Relay, Shared, does_not_block, lock};
use super::screen::{self, Follower, Shown};
use crate::plan::op::{Over, Stream};
use crate::sys::terminal::{self, Settings};
use crate::sys::{descriptor, process, signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// How often a process in the background looks whether it has come to the foreground, in milliseconds: the
/// shell does not tell a job that runs.
const LOOK: u16 = 250;

/// The two terminals of one run.
pub(super) struct Terminal {
    /// Which step it is.
    step: usize,
    input: Stream,
    output: Stream,
    /// Whether only what a terminal displays is handed on.
    displayed: bool,
    caller: Option<Caller>,
    /// Our side of the sandbox's terminal, which belongs to the threads: without them it is hung up.
    master: Weak<OwnedFd>,
    /// How often this process was stopped together with the command.
    suspended: u32,
}

/// The caller's terminal.
struct Caller {
    stream: Stream,
    guardian: Guardian,
    /// How it was set, while it is raw.
    saved: Option<Settings>,
    /// What the command has left on the screen.
    shown: Shown,
}

impl Terminal {
    /// Begins to look after the caller's terminal, before init is cloned.
    pub(super) fn watch_over(
        step: usize,
        caller: Option<Stream>,
        (input, output): (Stream, Stream),
        displayed: bool,
    ) -> nix::Result<Self> {
        let caller = match caller {
            None => None,
            Some(stream) => {
                let shown = Shown::new()?;
                Some(Caller {
                    stream,
                    guardian: Guardian::begin(stream, output, &shown)?,
                    saved: None,
                    shown,
                })
            }
        };
        Ok(Self {
            step,
            input,
            output,
            displayed,
            caller,
            master: Weak::new(),
            suspended: 0,
        })
    }

    /// Init has opened the sandbox's terminal: begins to hand on.
    pub(super) fn begin(
        &mut self,
        master: OwnedFd,
        relay: &mut Option<Relay>,
    ) -> Result<(), Failure> {
        let step = self.step;
        let failed = |errno| Failure::step(step, errno);
        let peer = terminal::open_peer(master.as_raw_fd()).map_err(failed)?;
        let peer = descriptor::own(peer);
        does_not_block(&master).map_err(failed)?;
        if relay.is_none() {
            *relay = Some(Relay::new(self.step, None, Over::Cut).map_err(failed)?);
        }
        let Some(relay) = relay else {
            return Ok(());
        };
        *lock(&relay.shared().peer) = Some(peer);
        let master = Arc::new(master);
        self.master = Arc::downgrade(&master);
        self.come_forward();
        let (input, output) = (self.input, self.output);
        let is_caller = self.caller.is_some();
        let typed = Arc::clone(&master);
        let (gone, until_gone) = process::pipe().map_err(failed)?;
        let (gone, until_gone) = (descriptor::own(gone), descriptor::own(until_gone));
        relay.thread(move |shared| {
            shared.type_in(descriptor::borrow(input), &typed, is_caller, gone.as_fd());
        })?;
        let filter = self.displayed.then(Filter::default);
        let follower = self.caller.as_ref();
        let follower = follower.map(|caller| Follower::new(caller.shown.clone()));
        relay.thread(move |shared| {
            shared.show(&master, descriptor::borrow(output), filter, follower);
            // Who types for nobody ends too, and with it the terminal.
            drop(until_gone);
        })
    }

    /// The caller's terminal is ours again, or for the first time: makes it raw, and the sandbox's as large.
    pub(super) fn come_forward(&mut self) {
        self.keep_size();
        let Some(caller) = &mut self.caller else {
            return;
        };
        if self.master.strong_count() == 0 || !terminal::is_in_the_foreground(caller.stream) {
            return;
        }
        let Ok(now) = terminal::settings(caller.stream) else {
            return; // It was hung up, of which somebody tells us.
        };
        if caller.saved.is_some_and(|saved| now == saved.raw()) {
            return;
        }
        // A shell may have put its own settings there meanwhile; those are what it wants back.
        caller.guardian.remember(now);
        caller.saved = Some(now);
        let _ = terminal::set(caller.stream, now.raw());
    }

    /// Gives the sandbox's terminal the size of the caller's.
    pub(super) fn keep_size(&self) {
        if let (Some(caller), Some(master)) = (&self.caller, self.master.upgrade())
            && let Ok(size) = terminal::size(caller.stream)
        {
            let _ = terminal::set_size(master.as_raw_fd(), size);
        }
    }

    /// Notices what a thread has noticed.
    pub(super) fn heed(&mut self, relay: &Relay) {
        if relay.shared().came_forward.swap(false, Ordering::AcqRel) {
            self.come_forward();
        }
    }

    /// Stops this process, with the caller's terminal as it was, until it is continued. The job that it is
    /// part of stops with it if the command was stopped at its terminal.
    pub(super) fn suspend(&mut self, whole_job: bool) {
        self.give_back();
        let _ = signal::stop(whole_job);
        self.suspended = self.suspended.wrapping_add(1);
        self.come_forward();
    }

    /// The mark of a SIGCONT for the command: it is for whatever else was stopped with it at its terminal too.
    /// Signals that wait to be heard become one, so all of them that follow one stop have one number.
    pub(super) fn mark(&self) -> signal::Mark {
        signal::Mark {
            to_group: true,
            number: self.suspended,
        }
    }

    /// Whether the command was stopped since it was last continued.
    pub(super) fn is_stop(&self, after: u32) -> bool {
        after == self.suspended
    }

    fn give_back(&mut self) {
        if let Some(caller) = &mut self.caller
            && let Some(saved) = caller.saved.take()
        {
            restore(caller.stream, saved);
        }
    }
}

/// Gives a terminal its settings back, unless it is somebody else's by now.
pub(super) fn restore(stream: Stream, saved: Settings) {
    if terminal::is_in_the_foreground(stream) || terminal::settings(stream) == Ok(saved.raw()) {
        // Tried twice, since nobody else gives them back.
        let _ = terminal::set(stream, saved).or_else(|_| terminal::set(stream, saved));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Raw, it hands on what is written as it is.
        if let Some(caller) = &self.caller {
            screen::give_back(self.output, caller.shown.left());
        }
        self.give_back();
    }
}

impl Shared {
    /// Hands on what is typed. A terminal that is gone, or the end, ends it.
    fn type_in(
        &self,
        from: BorrowedFd<'_>,
        master: &OwnedFd,
        is_terminal: bool,
        gone: BorrowedFd<'_>,
    ) {
        let mut buffer = [0; 4096];
        let mut rest = 0..0;
        let mut was_forward = !is_terminal;
        loop {
            let forward = !is_terminal || terminal::is_in_the_foreground(from.as_raw_fd());
            // Wherever in this loop it comes to the foreground, here it is seen.
            if forward && !was_forward {
                self.came_forward.store(true, Ordering::Release);
                self.ring();
            }
            was_forward = forward;
            let reads = rest.is_empty() && forward;
            let events = |wanted: bool, events| if wanted { events } else { PollFlags::empty() };
            let mut fds = [
                PollFd::new(self.end.0.as_fd(), PollFlags::POLLIN),
                PollFd::new(gone, PollFlags::POLLIN),
                PollFd::new(master.as_fd(), events(!rest.is_empty(), PollFlags::POLLOUT)),
                PollFd::new(from, events(reads, PollFlags::POLLIN)),
            ];
            // What is not asked for is told all the same if it is hung up.
            let count = if reads || is_terminal { 4 } else { 3 };
            let timeout = if forward {
                PollTimeout::NONE
            } else {
                PollTimeout::from(LOOK)
            };
            match poll(fds.get_mut(..count).unwrap_or_default(), timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let [end, gone_by, room, came] =
                fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if !end.is_empty() || !gone_by.is_empty() {
                return;
            }
            if !rest.is_empty() {
                if !room.is_empty() {
                    match write(master, buffer.get(rest.clone()).unwrap_or_default()) {
                        Ok(n) => rest.start += n,
                        Err(Errno::EAGAIN | Errno::EINTR) => {}
                        Err(_) => return,
                    }
                } else if came.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                    return;
                }
                continue;
            }
            if is_terminal && terminal::is_in_the_foreground(from.as_raw_fd()) {
                if !forward {
                    continue;
                }
            } else if is_terminal {
                if came.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                    return;
                }
                continue;
            }
            if came.is_empty() || count < 4 {
                continue;
            }
            match read(from, &mut buffer) {
                // A terminal that is raw has no end but to be hung up.
                Ok(0) if is_terminal => return,
                Ok(0) => return self.end_input(master, gone),
                Ok(n) => rest = 0..n,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The input has ended: types what means that to whoever reads lines.
    fn end_input(&self, master: &OwnedFd, gone: BorrowedFd<'_>) {
        let settings = terminal::settings(master.as_raw_fd());
        if let Some(end) = settings.ok().and_then(|settings| settings.end_of_file()) {
            let _ = write(master, &[end]);
        }
        // The terminal is there until the end, whatever becomes of this thread.
        let mut fds = [gone, self.end.0.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
    }

    /// Hands on what is written, until everything inside is dead and nothing is left; or nobody sees it.
    fn show(
        &self,
        master: &OwnedFd,
        to: BorrowedFd<'_>,
        mut filter: Option<Filter>,
        mut follower: Option<Follower>,
    ) {
        let mut buffer = vec![0; CHUNK];
        // Once all inside are dead: how long somebody outside may keep the terminal open.
        let mut until: Option<Instant> = None;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            });
            let mut fds = [
                PollFd::new(master.as_fd(), PollFlags::POLLIN),
                PollFd::new(to, PollFlags::empty()),
                PollFd::new(self.end.0.as_fd(), PollFlags::POLLIN),
            ];
            let watched = if until.is_some() { 2 } else { 3 };
            match poll(fds.get_mut(..watched).unwrap_or_default(), timeout) {
                Ok(0) => return,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return self.fail(errno),
            }
            let [came, reader, end] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if reader.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                return;
            }
            if until.is_none() && !end.is_empty() {
                // From here on the last one that closes it is heard of, once all is read.
                drop(lock(&self.peer).take());
                until = Some(Instant::now() + LAST_WORDS);
                continue;
            }
            if came.is_empty() {
                continue;
            }
            match read(master, &mut buffer) {
                Ok(0) | Err(Errno::EIO) => return,
                Ok(n) => {
                    let came = buffer.get(..n).unwrap_or_default();
                    if let Err(errno) = self.take(came, to, true, &mut filter, follower.as_mut()) {
                        // A terminal that is gone is a reader that is gone.
                        if errno != Errno::EIO {
                            self.fail(errno);
                        }
                        return;
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return self.fail(errno),
            }
        }
    }
}
