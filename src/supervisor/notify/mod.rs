//! Refused calls: answers those of which the filter tells its listener, and counts them.
//!
//! The answer is the errno that the filter would have returned by itself: the very program that asked is asked
//! which. What a pointer leads to is looked at for words only, and decides nothing. It is looked at by a thread
//! of its own, since a command may be able to keep a reader of its memory waiting; time limits and signals
//! are the supervisor's, and go on. The thread starts with the first refused call; where there can be none, the
//! supervisor answers by itself, and looks at no memory.

mod decode;
mod ledger;

use crate::plan::op::Op;
use crate::plan::{Plan, bpf};
use crate::report::denial::Refusals;
use crate::sys::{process, seccomp};
pub(super) use decode::Reader;
use ledger::Ledger;
use libc::sock_filter;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// After so many calls, the thread takes little processor time from anybody who wants some: whoever makes refused
/// calls without an end waits for the answers, and nobody else does.
const FLOOD: u64 = 100_000;

/// How long the thread is waited for in the end. All that it could wait for has ended by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The listener of a run's filter, and who serves it.
pub(super) enum Notifier {
    /// No call was refused yet.
    Idle(Arc<Listener>),
    /// There is no thread: each call is answered by whoever asks [`Notifier::serve`].
    Alone(Arc<Listener>, Ledger),
    /// A thread answers. It ends when the pipe is closed, and hands over what it has counted.
    Serving {
        _until: OwnedFd,
        counted: mpsc::Receiver<Refusals>,
    },
}

/// What it takes to answer.
#[derive(Debug)]
pub(super) struct Listener {
    fd: OwnedFd,
    program: Vec<sock_filter>,
    new_pid_namespace: bool,
}

impl Notifier {
    /// For the listener of the plan's filter.
    pub(super) fn new(fd: OwnedFd, plan: &Plan) -> Self {
        let program = plan.steps.iter().find_map(|step| match &step.op {
            Op::TellRefusals { first, .. } => Some(first.clone()),
            _ => None,
        });
        Self::Idle(Arc::new(Listener {
            fd,
            program: program.unwrap_or_default(),
            new_pid_namespace: plan.watch.new_pid_namespace,
        }))
    }

    /// What to wait for, as long as nobody serves.
    pub(super) fn waiting(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Idle(listener) | Self::Alone(listener, _) => Some(listener.fd.as_fd()),
            Self::Serving { .. } => None,
        }
    }

    /// Serves from now on, or answers a call; `None` if nothing can be answered any more.
    pub(super) fn serve(self) -> Option<Self> {
        match self {
            Self::Idle(listener) => match listener.start() {
                Some(serving) => Some(serving),
                None => Self::Alone(listener, Ledger::default()).serve(),
            },
            Self::Alone(listener, mut ledger) => listener
                .answer(None, &mut ledger)
                .then_some(Self::Alone(listener, ledger)),
            serving @ Self::Serving { .. } => Some(serving),
        }
    }

    /// What was refused, when nobody of the sandbox is left.
    pub(super) fn finish(self) -> Refusals {
        match self {
            Self::Idle(_) => Refusals::default(),
            Self::Alone(_, ledger) => ledger.close(),
            Self::Serving { _until, counted } => {
                drop(_until);
                counted.recv_timeout(PATIENCE).unwrap_or_default()
            }
        }
    }
}

impl Listener {
    /// Has a thread serve; `None` where none can be made.
    fn start(self: &Arc<Self>) -> Option<Notifier> {
        let (until, _until) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).ok()?;
        let (sender, counted) = mpsc::channel();
        let listener = Arc::clone(self);
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                // Whoever waited may have lost patience.
                let _ = sender.send(listener.serve(&until));
            })
            .ok()?;
        Some(Notifier::Serving { _until, counted })
    }

    /// The life of the thread. The listener is closed with its end: calls are refused then with ENOSYS.
    fn serve(self: Arc<Self>, until: &OwnedFd) -> Refusals {
        seccomp::take_turns(self.fd.as_raw_fd());
        let mut ledger = Ledger::default();
        let reader = Reader::new(self.new_pid_namespace);
        loop {
            let mut fds = [
                PollFd::new(self.fd.as_fd(), PollFlags::POLLIN),
                PollFd::new(until.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            let [listener, end] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if listener.contains(PollFlags::POLLIN) {
                if !self.answer(Some(&reader), &mut ledger) {
                    break;
                }
            } else if !listener.is_empty() || !end.is_empty() {
                // Nobody is left who could be refused anything.
                break;
            }
        }
        ledger.close()
    }

    /// Answers a call; false if it cannot be answered: only a closed listener does not keep it waiting.
    fn answer(&self, reader: Option<&Reader>, ledger: &mut Ledger) -> bool {
        let fd = self.fd.as_raw_fd();
        let call = match seccomp::receive(fd) {
            Ok(call) => call,
            // Interrupted, or gone with who made it. It is announced again if it still waits.
            Err(Errno::EINTR | Errno::ENOENT) => return true,
            Err(_) => return false,
        };
        let answer = bpf::answer(
            &self.program,
            call.number,
            call.architecture,
            &call.arguments,
        );
        // The program has asked us, and so says what to answer.
        let errno = answer.and_then(bpf::errno_told).unwrap_or(libc::ENOSYS);
        ledger.count(&call, errno, || {
            let read = reader?.read(&call);
            // Else it was read of somebody else.
            seccomp::still_waits(fd, call.id).then_some(read)
        });
        if reader.is_some() && ledger.total() == FLOOD {
            let _ = process::set_nice(10);
        }
        loop {
            match seccomp::refuse(fd, call.id, errno) {
                Err(Errno::EINTR) => {}
                // It may have been killed meanwhile.
                Ok(()) | Err(Errno::ENOENT) => return true,
                Err(_) => return false,
            }
        }
    }
}
