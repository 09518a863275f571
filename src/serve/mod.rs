//! More than one run: one after the other, or one for each connection.
//!
//! Each run is a process of its own, a copy of this one, with a supervisor in it as any other run has it. This
//! process has one thread, runs nothing itself, and waits: for connections, for the ends of runs, for signals. If
//! it is killed, its runs are asked to end (SIGTERM, by the kernel), and end as when they are asked otherwise.

mod address;

pub use address::{Address, Listeners, Refusal};

use crate::sys::{descriptor, process, signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{SockFlag, accept4};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, read, write};
use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};

/// Signals by which somebody asks for the end.
const REQUESTS: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// `si_code` of a signal of the terminal's, which the whole foreground has got (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// How long is waited, in milliseconds, where this machine has no room for another process or descriptor.
const PAUSE: u16 = 100;

/// Whose turn it is.
#[derive(Debug)]
pub enum Turn {
    /// This is the process of one run.
    Run(Part),
    /// All are over; with this exit code.
    Over(u8),
}

/// What the process of one run has.
#[derive(Debug)]
pub struct Part {
    /// The connection that it is for, if it is for one.
    pub connection: Option<OwnedFd>,
    refused: OwnedFd,
}

impl Part {
    /// Tells that the command did not start: there is no use in trying again.
    pub fn refused(&self) {
        // Who does not hear it is gone.
        let _ = write(&self.refused, &[1]);
    }
}

/// The runs that go on.
struct Crew {
    signals: SignalFd,
    runs: BTreeSet<libc::pid_t>,
    refusals: (OwnedFd, OwnedFd),
    /// Whether nothing is begun any more.
    ending: bool,
}

/// Runs again and again, one after the other: so many times, or forever. Ends early where a command does not
/// start, where a run ends by the keys that interrupt (130, 131), and when it is asked to. The exit code is the
/// first that is not 0.
///
/// # Errors
/// No process can be made, or heard of.
pub fn repeat(times: Option<u64>) -> nix::Result<Turn> {
    let mut crew = Crew::new()?;
    let mut left = times;
    let mut result = 0;
    loop {
        if crew.runs.is_empty() {
            if crew.ending || left == Some(0) {
                return Ok(Turn::Over(result));
            }
            left = left.map(|left| left - 1);
            if let Some(part) = crew.begin()? {
                return Ok(Turn::Run(part));
            }
        }
        crew.wait(&[], PollTimeout::NONE)?;
        for code in crew.ends() {
            if result == 0 {
                result = code;
            }
            crew.ending |= matches!(code, INTERRUPTED | QUIT) || crew.was_refused();
        }
        for (signal, from_terminal) in crew.requests() {
            crew.ending = true;
            if !from_terminal {
                crew.send(signal);
            }
        }
    }
}

/// The exit codes after Ctrl-C and Ctrl-\.
const INTERRUPTED: u8 = 128 + libc::SIGINT as u8;
const QUIT: u8 = 128 + libc::SIGQUIT as u8;

/// Takes connections, and begins a run for each, at most so many at once: further ones wait. Asked to end, it
/// takes no more, asks the runs to end, and waits for that.
///
/// # Errors
/// Nothing can be waited for.
pub fn listen(mut listeners: Listeners, most: usize, say: &dyn Fn(&str)) -> nix::Result<Turn> {
    let mut crew = Crew::new()?;
    let mut waiting: Option<OwnedFd> = None;
    let mut complained = false;
    loop {
        if crew.ending && crew.runs.is_empty() {
            return Ok(Turn::Over(0));
        }
        let has_room = crew.runs.len() < most && !crew.ending;
        let mut timeout = PollTimeout::NONE;
        if has_room {
            let mut complain = |what: &str, errno: Errno| {
                if !std::mem::replace(&mut complained, true) {
                    say(&format!("{what}: {}; connections wait", errno.desc()));
                }
                timeout = PollTimeout::from(PAUSE);
            };
            if waiting.is_none() {
                match next(&listeners) {
                    Ok(connection) => waiting = connection,
                    Err(errno) => complain("no connection can be taken", errno),
                }
            }
            if let Some(connection) = waiting.take() {
                match crew.begin() {
                    Ok(None) => complained = false,
                    Ok(Some(mut part)) => {
                        // A run keeps no socket open on which it takes nothing.
                        drop(listeners);
                        part.connection = Some(connection);
                        return Ok(Turn::Run(part));
                    }
                    Err(errno) => {
                        complain("no process can be made", errno);
                        waiting = Some(connection);
                    }
                }
            }
        }
        let looks = has_room && timeout == PollTimeout::NONE;
        let numbers: Vec<_> = listeners.numbers().filter(|_| looks).collect();
        if looks && crew.runs.len() >= most {
            continue;
        }
        crew.wait(&numbers, timeout)?;
        crew.ends();
        if !crew.requests().is_empty() {
            crew.ending = true;
            listeners.close();
            waiting = None;
            crew.send(Signal::SIGTERM);
        }
    }
}

/// The next connection, if one waits.
fn next(listeners: &Listeners) -> nix::Result<Option<OwnedFd>> {
    for socket in listeners.numbers() {
        loop {
            match accept4(socket, SockFlag::SOCK_CLOEXEC) {
                Ok(connection) => return Ok(Some(descriptor::own(connection))),
                // That one has gone again; the next one may not have (accept(2)).
                Err(Errno::EINTR | Errno::ECONNABORTED | Errno::EPROTO) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(None)
}

impl Crew {
    fn new() -> nix::Result<Self> {
        signal::block_all()?;
        let set: SigSet = REQUESTS
            .into_iter()
            .chain([Signal::SIGCHLD, Signal::SIGTSTP])
            .collect();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let pipe = nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK;
        Ok(Self {
            signals: SignalFd::with_flags(&set, flags)?,
            runs: BTreeSet::new(),
            refusals: pipe2(pipe)?,
            ending: false,
        })
    }

    /// Begins a run; in its process, what that has.
    fn begin(&mut self) -> nix::Result<Option<Part>> {
        match process::fork_run()? {
            Some(pid) => {
                self.runs.insert(pid);
                Ok(None)
            }
            None => Ok(Some(Part {
                connection: None,
                refused: self.refusals.1.try_clone().map_err(|_| Errno::EMFILE)?,
            })),
        }
    }

    /// Waits for a signal or for something to be read.
    fn wait(&self, numbers: &[i32], timeout: PollTimeout) -> nix::Result<()> {
        let sockets = numbers.iter().map(|number| descriptor::borrow(*number));
        let mut fds: Vec<_> = std::iter::once(self.signals.as_fd())
            .chain(sockets)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// The exit codes of the runs that have ended.
    fn ends(&mut self) -> Vec<u8> {
        let mut codes = Vec::new();
        loop {
            let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Err(Errno::EINTR) => continue,
                _ => return codes,
            };
            if self.runs.remove(&pid.as_raw()) {
                codes.push(u8::try_from(code).unwrap_or(u8::MAX));
            }
        }
    }

    /// Whether a run has told that its command did not start.
    fn was_refused(&self) -> bool {
        matches!(read(&self.refusals.0, &mut [0; 64]), Ok(1..))
    }

    /// The requests to end that have come, and whether the terminal has sent each to all of its foreground.
    fn requests(&self) -> Vec<(Signal, bool)> {
        let mut requests = Vec::new();
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => {}
                // The runs stop by themselves, and all of this job with them.
                Ok(Signal::SIGTSTP) => drop(nix::sys::signal::raise(Signal::SIGSTOP)),
                Ok(signal) => requests.push((signal, info.ssi_code == SI_KERNEL)),
                Err(_) => {}
            }
        }
        requests
    }

    fn send(&self, signal: Signal) {
        for run in &self.runs {
            // None has been waited for, so that the pid is its own; it may have ended.
            let _ = kill(Pid::from_raw(*run), signal);
        }
    }
}
