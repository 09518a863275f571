//! Running the command of an assertion (`runs`): its output is kept for the report.

use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::prove::Stopped;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// How much of the output is kept, in bytes: the end of it.
const KEPT: u64 = 16 << 10;

/// The signals that ask this program to end.
pub(super) const REQUESTS_TO_END: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// A request to end that arrived between two runs. Runs leave the signals blocked, and take them
/// only while they last.
pub(super) fn pending_request_to_end() -> Option<i32> {
    let set: SigSet = REQUESTS_TO_END.iter().copied().collect();
    let signals =
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok()?;
    let info = signals.read_signal().ok()??;
    i32::try_from(info.ssi_signo).ok()
}

/// Does something with nothing on the standard input, and the standard output and error going to
/// a file in memory: a sandbox inherits all three. Returns the end of what was written, too.
pub(super) fn captured<T>(act: impl FnOnce() -> T) -> Result<(T, String), Stopped> {
    let refused = |errno: Errno| {
        let message = format!("cannot keep the output of a command: {}", errno.desc());
        let mut problems = Diagnostics::default();
        problems.push(
            Diagnostic::new(Code::Output, &Origin::CommandLine, message)
                .help("the caller may be short of memory or of open files (`ulimit -n`)"),
        );
        Stopped::Refused(problems)
    };
    let file = memfd_create(c"sandbox-test", MFdFlags::MFD_CLOEXEC).map_err(refused)?;
    let streams = Streams::redirect(&file).map_err(refused)?;
    let result = act();
    drop(streams);
    Ok((result, tail(&File::from(file))))
}

/// The end of a file, as text.
fn tail(file: &File) -> String {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; length.min(KEPT) as usize];
    match file.read_exact_at(&mut bytes, length.saturating_sub(KEPT)) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

/// The standard streams, put back in the end.
struct Streams(OwnedFd, OwnedFd, OwnedFd);

impl Streams {
    fn redirect(to: &OwnedFd) -> Result<Self, Errno> {
        let nothing: OwnedFd = File::open("/dev/null")
            .map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?
            .into();
        let streams = Self(
            cloned(std::io::stdin(), &nothing)?,
            cloned(std::io::stdout(), &nothing)?,
            cloned(std::io::stderr(), &nothing)?,
        );
        dup2_stdin(nothing)?;
        dup2_stdout(to)?;
        dup2_stderr(to)?;
        Ok(streams)
    }
}

/// A second descriptor of a stream, closed at exec; of `nothing` where the stream is closed.
fn cloned(stream: impl std::os::fd::AsFd, nothing: &OwnedFd) -> Result<OwnedFd, Errno> {
    let io = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let clone = stream.as_fd().try_clone_to_owned();
    clone.or_else(|_| nothing.try_clone()).map_err(io)
}

impl Drop for Streams {
    fn drop(&mut self) {
        // They were open a moment ago, and dup2 takes no memory.
        let _ = dup2_stdin(&self.0);
        let _ = dup2_stdout(&self.1);
        let _ = dup2_stderr(&self.2);
    }
}
