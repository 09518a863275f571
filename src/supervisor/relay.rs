//! Handing on what the command writes: through a pipe for each of the two streams, or one of them, or one for
//! both, within a bound.
//!
//! Each pipe has a thread, since the caller's streams block: to make them not block would change them
//! for everybody who shares them (O_NONBLOCK of fcntl(2) belongs to the open file), and whoever waits
//! for a slow reader cannot keep the time. What one has taken from its pipe it has to get rid of before it
//! takes more, so a slow reader slows the command down, as it would without. A reader that is gone is
//! a pipe that is closed: the command gets SIGPIPE, as it would without.
//!
//! The end of file alone does not tell the end: somebody outside may hold a command's end of a pipe that
//! was passed to it. But once everything inside is dead, what is in a pipe is all that there will be.

use super::escapes::Filter;
use super::screen::Follower;
use super::{Failure, Run};
use crate::plan::op::{Op, Over};
use crate::report::Outcome;
use crate::sys::descriptor;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::{pipe2, read, write};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of a stream is on its way at most, besides what its pipe holds (64 KiB; pipe(7)).
pub(super) const CHUNK: usize = 64 << 10;

/// How long a run's last output waits for its reader where the time is already over.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the supervisor waits in the end without a look of its own: a thread may fail to ring.
const LOOK: Duration = Duration::from_millis(100);

/// Others may write to a command's own pipe through /proc, where the command is not who the caller is.
const WRITE_ONLY: libc::mode_t = 0o222;

/// The relay of one run.
pub(super) struct Relay {
    /// Which step made the pipes.
    step: usize,
    over: Over,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads and the supervisor know of each other.
pub(super) struct Shared {
    /// Our ends of the pipes, until they are done with.
    ends: [Mutex<Option<OwnedFd>>; 2],
    /// Which of them lead to a terminal, to which only what it displays is handed on.
    displayed: [bool; 2],
    /// The other side of the sandbox's own terminal, until everything inside is dead: as long as we hold it,
    /// its master can be read, whoever else has it open.
    pub(super) peer: Mutex<Option<OwnedFd>>,
    /// Whether this process has come to the foreground of the caller's terminal by itself.
    pub(super) came_forward: AtomicBool,
    /// How many bytes may still be handed on.
    left: AtomicU64,
    /// Bytes that came, that were dropped, and that were taken and not handed on yet.
    came: AtomicU64,
    dropped: AtomicU64,
    held: AtomicU64,
    /// Why a stream could not be written, if that was not its reader's doing; 0 for nothing.
    failed: AtomicUsize,
    over: AtomicBool,
    /// What is written to in the place of the caller's streams.
    opened: Mutex<[Option<Arc<OwnedFd>>; 2]>,
    /// Whether what goes there counts as well.
    counts_opened: AtomicBool,
    done: AtomicUsize,
    /// Readable when there is news for the supervisor.
    bell: (OwnedFd, OwnedFd),
    /// At its end when everything inside is dead.
    pub(super) end: (OwnedFd, Mutex<Option<OwnedFd>>),
}

impl Relay {
    /// Makes the pipes of the streams that are wanted: the relay, and the command's ends.
    pub(super) fn make(
        step: usize,
        wanted: [bool; 2],
        most: Option<u64>,
        over: Over,
    ) -> nix::Result<(Self, [Option<RawFd>; 2])> {
        let mut relay = Self::new(step, most, over)?;
        let pipe = || -> nix::Result<(OwnedFd, OwnedFd)> {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
            descriptor::set_mode(theirs.as_raw_fd(), WRITE_ONLY)?;
            does_not_block(&ours)?;
            Ok((ours, theirs))
        };
        let [stdout, stderr] = wanted.map(|wanted| wanted.then(pipe));
        let (stdout, to_stdout) = stdout.transpose()?.unzip();
        let (stderr, to_stderr) = stderr.transpose()?.unzip();
        if let Some(shared) = Arc::get_mut(&mut relay.shared) {
            shared.ends = [Mutex::new(stdout), Mutex::new(stderr)];
        }
        let ends = [to_stdout, to_stderr].map(|end| end.map(IntoRawFd::into_raw_fd));
        Ok((relay, ends))
    }

    /// The same, with what passes on to these streams reduced to what a terminal displays.
    pub(super) fn displaying(mut self, streams: [bool; 2]) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.displayed = streams;
        }
        self
    }

    /// A relay without pipes.
    pub(super) fn new(step: usize, most: Option<u64>, over: Over) -> nix::Result<Self> {
        let bell = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let end = pipe2(OFlag::O_CLOEXEC)?;
        let shared = Shared {
            ends: [Mutex::new(None), Mutex::new(None)],
            displayed: [false; 2],
            peer: Mutex::new(None),
            came_forward: AtomicBool::new(false),
            left: AtomicU64::new(most.unwrap_or(u64::MAX)),
            came: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            held: AtomicU64::new(0),
            failed: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            opened: Mutex::new([None, None]),
            counts_opened: AtomicBool::new(true),
            done: AtomicUsize::new(0),
            bell,
            end: (end.0, Mutex::new(Some(end.1))),
        };
        Ok(Self {
            step,
            over,
            shared: Arc::new(shared),
            threads: Vec::new(),
        })
    }

    /// Has files take what goes to the caller's streams, and not be counted where the bound is one of a log.
    pub(super) fn write_to(&self, opened: [Option<Arc<OwnedFd>>; 2], counts: bool) {
        *lock(&self.shared.opened) = opened;
        self.shared.counts_opened.store(counts, Ordering::Release);
    }

    /// Which step made the pipes.
    pub(super) const fn step(&self) -> usize {
        self.step
    }

    /// Begins to hand on. From here on this process has threads: nothing is cloned any more.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        for stream in 0..2 {
            if lock(&self.shared.ends[stream]).is_some() {
                self.thread(move |shared| shared.serve(stream))?;
            }
        }
        Ok(())
    }

    /// Begins a thread that hands something on, until it ends; its end is heard of.
    pub(super) fn thread(
        &mut self,
        serve: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let work = move || {
            serve(&shared);
            shared.done.fetch_add(1, Ordering::AcqRel);
            shared.ring();
        };
        let thread = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(work)
            .map_err(|cause| Failure::text(self.step, cause.to_string()))?;
        self.threads.push(thread);
        Ok(())
    }

    /// What the threads know.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Readable when something has changed.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.shared.bell.0.as_fd()
    }

    /// Takes notice; whether the command is to be ended for what it wrote.
    pub(super) fn is_over(&self) -> bool {
        let mut bytes = [0; 64];
        while read(&self.shared.bell.0, &mut bytes).is_ok_and(|n| n > 0) {}
        self.over == Over::End && self.shared.over.load(Ordering::Acquire)
    }

    /// How many bytes have come so far, and whether some of them wait for a reader.
    pub(super) fn came(&self) -> (u64, bool) {
        let held = self.shared.held.load(Ordering::Acquire) > 0;
        (self.shared.came.load(Ordering::Acquire), held)
    }

    /// Hands on what is left, now that everything inside is dead: all of it, unless the time is over or a
    /// signal asks to end first. Returns how much was not.
    fn finish(&mut self, until: Option<Instant>, signals: &SignalFd) -> u64 {
        drop(lock(&self.shared.end.1).take());
        while self.shared.done.load(Ordering::Acquire) < self.threads.len() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let next = left.map_or(LOOK, |left| LOOK.min(left + Duration::from_millis(1)));
            let timeout = PollTimeout::try_from(next).unwrap_or(PollTimeout::ZERO);
            let mut fds = [
                PollFd::new(self.bell(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            self.is_over();
            while let Ok(Some(info)) = signals.read_signal() {
                match Signal::try_from(info.ssi_signo as i32) {
                    Ok(Signal::SIGTSTP) => drop(nix::sys::signal::raise(Signal::SIGSTOP)),
                    Ok(Signal::SIGHUP | Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTERM) => {
                        return self.shared.left_over();
                    }
                    _ => {}
                }
            }
        }
        if self.shared.done.load(Ordering::Acquire) == self.threads.len() {
            // Only so much is left of them that nothing here can wait for them.
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
        self.shared.left_over()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(lock(&self.shared.end.1).take());
    }
}

impl Shared {
    /// The life of a thread: hands on one stream until its end.
    fn serve(&self, stream: usize) {
        let opened = lock(&self.opened).get_mut(stream).and_then(Option::take);
        match (opened, stream) {
            (Some(file), _) => self.hand_on(
                stream,
                file.as_fd(),
                self.counts_opened.load(Ordering::Acquire),
            ),
            (None, 0) => self.hand_on(stream, std::io::stdout().as_fd(), true),
            (None, _) => self.hand_on(stream, std::io::stderr().as_fd(), true),
        }
        // Closes our end, so that nobody writes to nobody.
        drop(lock(&self.ends[stream]).take());
    }

    fn hand_on(&self, stream: usize, to: BorrowedFd<'_>, counts: bool) {
        let Some(number) = lock(&self.ends[stream]).as_ref().map(|end| end.as_raw_fd()) else {
            return;
        };
        // Only this thread closes it, after this.
        let from = descriptor::borrow(number);
        let mut buffer = vec![0; CHUNK];
        let displayed = self
            .displayed
            .get(stream)
            .is_some_and(|displayed| *displayed);
        let mut filter = displayed.then(Filter::default);
        // Once all inside are dead: how much there can still be in the pipe.
        let mut last: Option<usize> = None;
        loop {
            if last.is_none() {
                let mut fds = [
                    PollFd::new(from, PollFlags::POLLIN),
                    // Only whether its reader is gone: that is told without being asked for.
                    PollFd::new(to, PollFlags::empty()),
                    PollFd::new(self.end.0.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) => {}
                    Err(Errno::EINTR) => continue,
                    Err(errno) => return self.fail(errno),
                }
                let [_, reader, end] = fds.map(|fd| fd.any().unwrap_or(false));
                if reader {
                    return;
                }
                if end {
                    last = Some(in_pipe(from));
                }
            }
            let most = last.map_or(CHUNK, |left| left.min(CHUNK));
            let room = buffer.get_mut(..most).unwrap_or_default();
            match read(from, room) {
                Ok(0) => return,
                Ok(n) => {
                    last = last.map(|left| left.saturating_sub(n));
                    let came = room.get(..n).unwrap_or_default();
                    if let Err(errno) = self.take(came, to, counts, &mut filter, None) {
                        return self.fail(errno);
                    }
                }
                Err(Errno::EAGAIN) if last.is_some() => return,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return self.fail(errno),
            }
        }
    }

    /// Hands on as much of what came as is permitted, and drops the rest; what a filter holds back or takes away
    /// counts as written.
    pub(super) fn take(
        &self,
        bytes: &[u8],
        to: BorrowedFd<'_>,
        counts: bool,
        filter: &mut Option<Filter>,
        mut follower: Option<&mut Follower>,
    ) -> nix::Result<()> {
        let length = bytes.len() as u64;
        let less = |left: u64| Some(left - left.min(length));
        let permitted = if counts {
            let left = self
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            left.unwrap_or(0).min(length)
        } else {
            length
        };
        self.came.fetch_add(length, Ordering::AcqRel);
        if permitted < length {
            self.dropped.fetch_add(length - permitted, Ordering::AcqRel);
            if !self.over.swap(true, Ordering::AcqRel) {
                self.ring();
            }
        }
        let permitted = bytes.get(..permitted as usize).unwrap_or_default();
        let passed = filter.as_mut().map(|filter| filter.pass(permitted));
        let mut rest = passed.as_deref().unwrap_or(permitted);
        self.held.fetch_add(rest.len() as u64, Ordering::AcqRel);
        while !rest.is_empty() {
            if let Some(follower) = &mut follower {
                follower.begin(rest);
            }
            match write(to, rest) {
                Ok(n) => {
                    self.held.fetch_sub(n as u64, Ordering::AcqRel);
                    if let Some(follower) = &mut follower {
                        follower.follow(rest, n);
                    }
                    rest = rest.get(n..).unwrap_or_default();
                }
                Err(Errno::EINTR) => {}
                // The caller has made it so for itself.
                Err(Errno::EAGAIN) => {
                    let mut fds = [PollFd::new(to, PollFlags::POLLOUT)];
                    let _ = poll(&mut fds, PollTimeout::NONE);
                }
                Err(errno) => {
                    self.held.fetch_sub(rest.len() as u64, Ordering::AcqRel);
                    return Err(errno);
                }
            }
        }
        Ok(())
    }

    pub(super) fn fail(&self, errno: Errno) {
        // A reader that is gone is no failure of ours; the command hears of it.
        if errno != Errno::EPIPE {
            self.failed.store(errno as usize, Ordering::Release);
        }
    }

    pub(super) fn ring(&self) {
        // If it is full of rings, it is heard anyway.
        let _ = write(&self.bell.1, &[1]);
    }

    /// How much was neither handed on nor dropped.
    fn left_over(&self) -> u64 {
        let ends = self.ends.iter().map(|end| {
            let end = lock(end);
            end.as_ref().map_or(0, |end| in_pipe(end.as_fd()))
        });
        self.held.load(Ordering::Acquire) + ends.map(|n| n as u64).sum::<u64>()
    }
}

impl Run<'_> {
    /// The last words of a run, once all else of it is gone: a reader may take its time. What becomes of
    /// the output is said, and is the end where the profile says so.
    pub(super) fn deliver(
        mut self,
        ended: Result<Outcome, Failure>,
        until: Option<Instant>,
        signals: &SignalFd,
    ) -> Result<Outcome, Failure> {
        let Some(mut relay) = self.relay.take() else {
            return ended;
        };
        let (plan, say) = (self.plan, self.say);
        let measured = self.observer.measured.take();
        let terminal = self.terminal.take();
        drop(self);
        let until = until.map(|until| until.max(Instant::now() + LAST_WORDS));
        let left = relay.finish(until, signals);
        // What is said next goes to the caller's terminal as it was.
        drop(terminal);
        let outcome = ended?;
        let Some(step) = plan.steps.get(relay.step) else {
            return Ok(outcome);
        };
        let dropped = relay.shared.dropped.load(Ordering::Acquire);
        if let Some(measured) = measured {
            measured.output_over = dropped > 0;
        }
        match (&step.op, relay.over) {
            (_, Over::End) if dropped > 0 => {
                let own = matches!(outcome, Outcome::Exited(_) | Outcome::Signaled(_));
                return Ok(if own { Outcome::OutputLimit } else { outcome });
            }
            (
                Op::MakePipes {
                    most: Some(most), ..
                },
                _,
            ) if dropped > 0 => {
                let most = crate::profile::value::Size(*most);
                say(
                    step,
                    &format!("output cut after {most}: {dropped} bytes dropped"),
                );
            }
            _ => {}
        }
        if left > 0 {
            say(
                step,
                &format!("output not taken by its reader in time: {left} bytes"),
            );
        }
        match relay.shared.failed.load(Ordering::Acquire) {
            0 => {}
            errno => {
                let errno = Errno::from_raw(errno as i32);
                let why = format!("output cannot be written: {} ({errno:?})", errno.desc());
                say(step, &why);
            }
        }
        Ok(outcome)
    }
}

/// How many bytes a pipe holds (FIONREAD of ioctl_tty(2), pipe(7)).
fn in_pipe(end: BorrowedFd<'_>) -> usize {
    rustix::io::ioctl_fionread(end).map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

pub(super) fn does_not_block(end: &OwnedFd) -> nix::Result<()> {
    nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

/// Nobody panics while holding one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
