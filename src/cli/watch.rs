//! `--watch`: a table that is shown again every second; on a terminal, on a screen of its own that is gone in
//! the end.

use super::{Refused, output, write_out};
use crate::diag::{Code, Diagnostic, Origin};
use crate::sys::signal;
use crate::sys::terminal::{self, Settings};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// Between two looks.
const SECOND: Duration = Duration::from_secs(1);

/// The screen that is left as it was, without a cursor, on which long lines are cut (xterm's
/// control sequences: 1049, 25, 7).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The keys that end it as they come where the terminal makes no signals of them: q, Ctrl-C, Ctrl-D, Ctrl-\.
const END: [u8; 5] = [b'q', b'Q', 0x03, 0x04, 0x1c];
/// Ctrl-Z.
const SUSPEND: u8 = 0x1a;

/// What is shown.
pub(super) struct Frame {
    pub(super) text: String,
    /// Whether there is nothing more to see.
    pub(super) is_last: bool,
}

/// Shows frames until the last one, or until somebody has seen enough: an exit code. In pipes, and where the
/// input is no terminal, each frame is written as it is.
pub(super) fn watch(
    title: &str,
    plain: bool,
    mut look: impl FnMut() -> Result<Frame, Refused>,
) -> Result<u8, Refused> {
    let screen = if plain { None } else { Screen::open() };
    let Some(mut screen) = screen else {
        loop {
            let frame = look()?;
            match write_out(&frame.text) {
                // Whoever reads has seen enough.
                Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => return Ok(0),
                Err(_) => return output(&frame.text).map(|()| 0),
                Ok(()) if frame.is_last => return Ok(0),
                Ok(()) => std::thread::sleep(SECOND),
            }
        }
    };
    loop {
        let frame = look()?;
        if frame.is_last {
            return Ok(0);
        }
        screen.draw(title, &frame.text)?;
        if let Some(code) = screen.wait()? {
            return Ok(code);
        }
    }
}

/// A screen on the caller's terminal. Dropping it gives the terminal back as it was.
struct Screen {
    saved: Settings,
    signals: SignalFd,
    /// What was blocked before.
    mask: SigSet,
}

impl Screen {
    /// `None` where input and output are not one terminal.
    fn open() -> Option<Self> {
        let (input, screen) = (terminal::device(0).ok()?, terminal::device(1).ok()?);
        if input != screen {
            return None;
        }
        let mut heard = SigSet::empty();
        for signal in [
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGTERM,
            Signal::SIGTSTP,
            Signal::SIGWINCH,
        ] {
            heard.add(signal);
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&heard, flags).ok()?;
        // From the background the shell has to be asked first: by this, it stops a job that is not.
        let saved = terminal::settings(0).ok()?;
        terminal::set(0, saved.by_key()).ok()?;
        let mask = heard
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .ok()?;
        let screen = Self {
            saved,
            signals,
            mask,
        };
        output(ENTER).ok()?;
        Some(screen)
    }

    /// Shows lines, as many as there is room for.
    fn draw(&self, title: &str, text: &str) -> Result<(), Refused> {
        // One that does not know is as large as the smallest.
        let rows = match terminal::size(0).map(|size| usize::from(size.rows)) {
            Ok(0) | Err(_) => 24,
            Ok(rows) => rows,
        };
        let mut screen = String::from("\x1b[H");
        let head = format!("{title}   (q: end)");
        let lines = [head.as_str(), ""].into_iter().chain(text.lines());
        let lines: Vec<_> = lines.take(rows).collect();
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                screen.push_str("\r\n");
            }
            screen.push_str(line);
            screen.push_str("\x1b[K");
        }
        screen.push_str("\x1b[J");
        output(&screen)
    }

    /// Waits until it is time for the next frame; an exit code where there is to be none.
    fn wait(&mut self) -> Result<Option<u8>, Refused> {
        let until = Instant::now() + SECOND;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let stdin = std::io::stdin();
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1));
            match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(gone(errno)),
            }
            let [typed, _] = fds.map(|fd| fd.any().unwrap_or(false));
            while let Ok(Some(info)) = self.signals.read_signal() {
                match Signal::try_from(info.ssi_signo as i32) {
                    Ok(Signal::SIGWINCH) => return Ok(None),
                    Ok(Signal::SIGTSTP) => {
                        self.suspend()?;
                        return Ok(None);
                    }
                    // As a shell says who was ended by a signal.
                    Ok(signal) => return Ok(Some(128 + signal as u8)),
                    Err(_) => {}
                }
            }
            if typed {
                let mut keys = [0; 64];
                let n = match nix::unistd::read(stdin.as_fd(), &mut keys) {
                    Ok(0) => return Ok(Some(0)),
                    Ok(n) => n,
                    Err(Errno::EINTR | Errno::EAGAIN) => continue,
                    Err(errno) => return Err(gone(errno)),
                };
                let keys = keys.get(..n).unwrap_or_default();
                if keys.iter().any(|key| END.contains(key)) {
                    return Ok(Some(0));
                }
                if keys.contains(&SUSPEND) {
                    self.suspend()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Stops with the whole job, the terminal being the shell's meanwhile.
    fn suspend(&mut self) -> Result<(), Refused> {
        self.give_back();
        signal::stop(true).map_err(gone)?;
        self.saved = terminal::settings(0).map_err(gone)?;
        terminal::set(0, self.saved.by_key()).map_err(gone)?;
        output(ENTER)
    }

    fn give_back(&self) {
        let _ = output(LEAVE);
        let _ = terminal::set(0, self.saved);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
        let _ = self.mask.thread_set_mask();
    }
}

fn gone(errno: Errno) -> Refused {
    let message = format!("the terminal is gone: {}", errno.desc());
    Diagnostic::new(Code::Output, &Origin::CommandLine, message)
        .help("watch it from another terminal, or in a pipe")
        .into()
}
