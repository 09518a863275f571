//! `--explain-denials`: sees the file calls of a command fail, by tracing it (ptrace(2)).
//!
//! Nothing is changed and nothing decided here: each call goes on as it would. The tracer is a thread, since
//! all that ptrace(2) does belongs to the thread that traces, and time limits go on meanwhile. Should it end
//! before the command, the kernel ends the command (`PTRACE_O_EXITKILL`).
//!
//! A filter that answers with `SECCOMP_RET_TRACE` would stop only the calls that name files. But it would be
//! another filter than that of an untraced run.

mod call;

use crate::report::denial::Process;
use crate::report::files::{FailedCall, FailedCalls, Wants};
use crate::sections::seccomp::call::Made;
use crate::supervisor::notify::Reader;
use crate::sys::trace::{self, At, Stop};
use call::FileCall;
use libc::pid_t;
use nix::errno::Errno;
use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// How many different calls are kept.
const MOST: usize = 1_000;

/// How long the thread is waited for in the end. All that it traces has ended by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// A thread that traces the command and all its descendants.
pub(super) struct Tracer {
    seen: mpsc::Receiver<FailedCalls>,
}

impl Tracer {
    /// Traces the process of a pidfd, and all that come of it, from here on.
    ///
    /// # Errors
    /// It cannot be traced: why, in words.
    pub(super) fn begin(payload: &OwnedFd, new_pid_namespace: bool) -> Result<Self, String> {
        let payload = pid_of(payload).ok_or("its pid cannot be read in /proc")?;
        let (began, begins) = mpsc::channel();
        let (sender, seen) = mpsc::channel();
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                let traced = trace::seize(payload);
                let goes_on = traced.is_ok();
                let _ = began.send(traced);
                if goes_on {
                    let mut tracing = Tracing::new(new_pid_namespace);
                    tracing.follow();
                    let _ = sender.send(tracing.seen);
                }
            })
            .map_err(|cause| cause.to_string())?;
        match begins.recv() {
            Ok(Ok(())) => Ok(Self { seen }),
            Ok(Err(errno)) => Err(format!("{} ({errno:?})", errno.desc())),
            Err(_) => Err("its thread has ended".into()),
        }
    }

    /// What was seen, when nobody of the sandbox is left.
    pub(super) fn finish(self) -> FailedCalls {
        self.seen.recv_timeout(PATIENCE).unwrap_or_default()
    }
}

/// The pid behind a pidfd, as we number it (pidfd_open(2)).
fn pid_of(pidfd: &OwnedFd) -> Option<pid_t> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    pid.trim().parse().ok().filter(|pid| *pid > 0)
}

/// What makes two failed calls one.
type Key = (
    &'static str,
    Wants,
    Vec<PathBuf>,
    i32,
    Option<(String, Option<String>)>,
);

struct Tracing {
    /// The calls that threads are in, of those that name files.
    pending: HashMap<pid_t, FileCall>,
    /// Whether the command was executed: before, it is the sandbox's own.
    begun: bool,
    reader: Reader,
    places: HashMap<Key, usize>,
    seen: FailedCalls,
}

impl Tracing {
    fn new(new_pid_namespace: bool) -> Self {
        Self {
            pending: HashMap::new(),
            begun: false,
            reader: Reader::new(new_pid_namespace),
            places: HashMap::new(),
            seen: FailedCalls::default(),
        }
    }

    /// Until nobody is left. Only those that this thread traces are waited for: the others are init's, or
    /// the supervisor's.
    fn follow(&mut self) {
        loop {
            // Who was killed meanwhile cannot be resumed: its end is reported next.
            let _ = match trace::wait() {
                Err(Errno::EINTR) => Ok(()),
                Err(_) => return,
                Ok((thread, Stop::Ended)) => {
                    self.pending.remove(&thread);
                    Ok(())
                }
                Ok((thread, Stop::Call)) => {
                    self.at_call(thread);
                    trace::resume(thread, 0)
                }
                Ok((thread, Stop::Group)) => trace::leave_stopped(thread),
                Ok((thread, Stop::Event(event))) => {
                    self.begun |= event == libc::PTRACE_EVENT_EXEC;
                    trace::resume(thread, 0)
                }
                Ok((thread, Stop::Signal(signal))) => trace::resume(thread, signal),
            };
        }
    }

    fn at_call(&mut self, thread: pid_t) {
        if !self.begun {
            return;
        }
        match trace::call(thread) {
            Ok(At::Entry(number, architecture, arguments)) => {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                let made = Made::of(number, architecture);
                if let Some(call) = call::read(thread, made, &arguments) {
                    self.pending.insert(thread, call);
                }
            }
            Ok(At::Exit(failed)) => {
                if let (Some(call), Some(errno)) = (self.pending.remove(&thread), failed) {
                    self.failed(thread, call, errno);
                }
            }
            Ok(At::Neither) | Err(_) => {}
        }
    }

    fn failed(&mut self, thread: pid_t, call: FileCall, errno: Errno) {
        if !matches!(
            errno,
            Errno::ENOENT | Errno::EACCES | Errno::EPERM | Errno::EROFS
        ) {
            return;
        }
        let process: Option<Process> = self.reader.process(thread);
        let who = process
            .as_ref()
            .map(|process| (process.name.clone(), process.thread.clone()));
        let key = (call.call.name(), call.wants, call.paths, errno as i32, who);
        if let Some(known) = self
            .places
            .get(&key)
            .and_then(|at| self.seen.all.get_mut(*at))
        {
            known.times += 1;
            known.others |= known.process != process;
            return;
        }
        if self.seen.all.len() == MOST {
            self.seen.others += 1;
            return;
        }
        self.places.insert(key.clone(), self.seen.all.len());
        let (call, wants, paths, ..) = key;
        self.seen.all.push(FailedCall {
            call,
            wants,
            paths,
            errno,
            process,
            others: false,
            times: 1,
        });
    }
}
