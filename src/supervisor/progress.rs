//! `--progress`: one line about the run, drawn anew each second.
//!
//! It must not disturb what the command writes, and no place of a terminal is safe from a command that
//! writes to it too: it may have written half a line, or half an escape sequence. So the line is
//! drawn only on a terminal that the command does not write to: on the caller's own, while the
//! command's output goes elsewhere.

use super::cgroup::Group;
use crate::plan::Plan;
use crate::report::summary::rounded;
use nix::poll::PollTimeout;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

/// How often it is drawn.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether the command writes to a terminal, where nothing can be drawn beside it.
#[must_use]
pub fn is_in_the_way() -> bool {
    std::io::stdout().is_terminal() || std::io::stderr().is_terminal()
}

/// The line, on the caller's terminal; it is gone when this is.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: File,
    begun: Instant,
    next: Instant,
}

impl Progress {
    /// Begins, where the caller has a terminal that is free.
    pub(super) fn begin() -> Option<Self> {
        if is_in_the_way() {
            return None;
        }
        // A terminal that is held (Ctrl-S) must not hold the supervisor, who keeps the time.
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/dev/tty")
            .ok()?;
        let begun = Instant::now();
        Some(Self {
            terminal,
            begun,
            next: begun,
        })
    }

    /// Until when to wait for something else.
    pub(super) fn sooner(progress: Option<&Self>, timeout: PollTimeout) -> PollTimeout {
        let Some(progress) = progress else {
            return timeout;
        };
        let left = progress.next.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(timeout);
        // A negative one is none (poll(2)).
        match (i32::from(timeout), i32::from(left)) {
            (0.., _) if timeout < left => timeout,
            _ => left,
        }
    }

    /// Draws the line, when it is time.
    pub(super) fn show(&mut self, group: Option<&Group>, plan: &Plan) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + PAUSE;
        let mut line = format!("sandbox: {} s", (now - self.begun).as_secs());
        let used = group.map(Group::now).unwrap_or_default();
        if let Some(cpu) = used.cpu {
            line.push_str(&format!(", cpu {:.1} s", cpu.as_secs_f64()));
        }
        if let Some(memory) = used.memory {
            line.push_str(&format!(", memory {}", rounded(memory)));
            if let Some(limit) = &plan.watch.memory {
                line.push_str(&format!(" of {}", limit.value));
            }
        }
        let columns = rustix::termios::tcgetwinsize(&self.terminal).map_or(80, |size| size.ws_col);
        // A terminal without a size has none to cut to.
        if columns > 0 {
            line.truncate(usize::from(columns) - 1);
        }
        self.draw(&format!("\r{line}\x1b[K"));
    }

    /// What a held terminal does not take is not drawn.
    fn draw(&mut self, text: &str) {
        let _ = self.terminal.write_all(text.as_bytes());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.draw("\r\x1b[K");
    }
}
