//! Whether a record is live, and which process its supervisor is: the kernel is asked who holds the
//! lock.

use super::folder::{Entry, Folder, text_of};
use super::record::{Reading, Record};
use crate::sys::{descriptor, process, signal};
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// A record that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its file's name.
    pub entry: Entry,
    /// Whose it is.
    pub owner: u32,
    file: File,
}

/// What is known of a run.
#[derive(Debug)]
pub enum State {
    /// Its supervisor runs, and the command with it.
    Running(Live, Box<Record>),
    /// Its supervisor runs, and has not yet written what it is.
    Starting(Live),
    /// Its supervisor runs, and was of another version of this program: what its record says is not understood.
    Unknown(Live),
    /// Its supervisor runs where this process does not see it: in another pid namespace.
    Elsewhere,
    /// It has ended, and its record says how.
    Ended(Box<Record>),
    /// Its supervisor was killed: there is nobody any more who could say how it ended.
    Lost,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running(..) => "running",
            Self::Starting(_) => "starting",
            Self::Unknown(_) => "unknown",
            Self::Elsewhere => "elsewhere",
            Self::Ended(_) => "ended",
            Self::Lost => "lost",
        }
    }

    /// What its record says, if that is there as a whole.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Running(_, record) | Self::Ended(record) => Some(record),
            _ => None,
        }
    }
}

/// A supervisor that lives.
#[derive(Debug)]
pub struct Live {
    /// Its pid.
    pub pid: libc::pid_t,
    /// A descriptor of it (pidfd_open(2)).
    pub pidfd: OwnedFd,
}

impl Live {
    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended, or the caller may not.
    pub fn send(&self, number: i32) -> nix::Result<()> {
        signal::send(self.pidfd.as_raw_fd(), number, signal::Mark::NONE)
    }

    /// A descriptor of init, by the pid that the record names.
    ///
    /// # Errors
    /// ESRCH if it has ended.
    pub fn init(&self, pid: libc::pid_t) -> nix::Result<OwnedFd> {
        let pidfd = descriptor::own(process::open_pidfd(pid)?);
        // The supervisor's child: it has not been waited for then, and so the number is still its own.
        let is_child = stat(pid).is_some_and(|stat| stat.parent == self.pid);
        if !is_child || self.send(0).is_err() {
            return Err(nix::errno::Errno::ESRCH);
        }
        Ok(pidfd)
    }

    /// Waits until it has ended; false if `patience` is over first.
    #[must_use]
    pub fn ended(&self, patience: Option<std::time::Duration>) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let until = patience.map(|patience| std::time::Instant::now() + patience);
        loop {
            let timeout = until.map_or(PollTimeout::NONE, |until| {
                let left = until.saturating_duration_since(std::time::Instant::now());
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Err(nix::errno::Errno::EINTR) => {}
                Ok(0) if until.is_some_and(|until| std::time::Instant::now() < until) => {}
                Ok(n) => return n > 0,
                Err(_) => return false,
            }
        }
    }
}

impl Opened {
    /// Opens the record of an entry; `None` if it is gone, or is none.
    #[must_use]
    pub fn new(folder: &Folder, entry: Entry) -> Option<Self> {
        let file = folder.file(entry.file())?;
        Some(Self {
            entry,
            owner: folder.owner(),
            file,
        })
    }

    /// What is known of the run at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        let record = || match text_of(&self.file).map(|text| Record::parse(&text)) {
            // A file under the name of another is not believed.
            Some(Reading::Known(record)) if record.id != self.entry.id => Reading::Unknown,
            Some(reading) => reading,
            None => Reading::Unknown,
        };
        // The supervisor may end in between: its last word is then there, or it has said none.
        match holder(&self.file) {
            Holder::Process(live) => match record() {
                Reading::Known(record) => State::Running(live, record),
                Reading::Unfinished => State::Starting(live),
                Reading::Unknown => State::Unknown(live),
            },
            Holder::Unseen => State::Elsewhere,
            Holder::Nobody => match record() {
                Reading::Known(record) if record.ended.is_some() => State::Ended(record),
                _ => State::Lost,
            },
        }
    }

    /// The same, once the run is more than starting; `patience` is how long that is waited for.
    #[must_use]
    pub fn started(&self, patience: std::time::Duration) -> State {
        let start = std::time::Instant::now();
        loop {
            match self.state() {
                State::Starting(live) if start.elapsed() < patience => {
                    let _ = live.ended(Some(std::time::Duration::from_millis(5)));
                }
                state => return state,
            }
        }
    }
}

/// What `/proc/PID/stat` says of a process (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its name.
    pub name: Vec<u8>,
    /// Its parent's pid.
    pub parent: libc::pid_t,
}

/// What is known of a process; `None` if it is gone.
pub(super) fn stat(pid: libc::pid_t) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let open = text.iter().position(|byte| *byte == b'(')?;
    // A name may contain anything.
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    Some(Stat {
        name: text.get(open + 1..close)?.to_owned(),
        parent: rest.split_whitespace().nth(1)?.parse().ok()?,
    })
}

enum Holder {
    Process(Live),
    Unseen,
    Nobody,
}

/// Who holds the lock. A pid that holds it before and after its descriptor was opened is the process
/// of the descriptor: a process that lives keeps its number.
fn holder(file: &File) -> Holder {
    loop {
        let Some(pid) = locked_by(file) else {
            return Holder::Nobody;
        };
        if pid <= 0 {
            return Holder::Unseen;
        }
        match process::open_pidfd(pid).map(descriptor::own) {
            Ok(pidfd) if locked_by(file) == Some(pid) => {
                return Holder::Process(Live { pid, pidfd });
            }
            // It has ended meanwhile; somebody else, or nobody, has it now.
            Ok(_) => {}
            Err(nix::errno::Errno::ESRCH) if locked_by(file) != Some(pid) => {}
            Err(_) => return Holder::Unseen,
        }
    }
}

/// The pid of the process with the lock, in this pid namespace: 0 where it is not in there.
pub(super) fn locked_by(file: &File) -> Option<libc::pid_t> {
    // A lock for reading is in the way of nobody but who writes.
    let mut lock = whole(libc::F_RDLCK);
    // A question that cannot be asked is no answer: then it counts as held, and is left alone.
    match fcntl(file, FcntlArg::F_GETLK(&mut lock)) {
        Ok(_) if lock.l_type == libc::F_UNLCK as libc::c_short => None,
        Ok(_) => Some(lock.l_pid),
        Err(_) => Some(0),
    }
}

/// Takes the lock, without waiting.
pub(super) fn take(file: &File) -> nix::Result<()> {
    fcntl(file, FcntlArg::F_SETLK(&whole(libc::F_WRLCK))).map(drop)
}

/// A lock on a whole file.
fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
