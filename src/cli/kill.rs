//! `sandbox kill`, `down`, `wait` and `rm`: the end of a sandbox, and what is remembered of it.

use super::arguments::{Kill, Several};
use super::{Refused, found};
use crate::diag::{Code, Diagnostic, Origin};
use crate::running::claim::remove_entry;
use crate::running::live::{Opened, State};
use crate::running::{Live, Record};
use crate::sys::signal;
use nix::errno::Errno;
use std::os::fd::AsRawFd as _;

/// The signals that a supervisor hands on to its command, by the names of kill(1).
const SENT: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("ALRM", libc::SIGALRM),
    ("WINCH", libc::SIGWINCH),
    ("CONT", libc::SIGCONT),
    ("TSTP", libc::SIGTSTP),
    ("KILL", libc::SIGKILL),
];

pub(super) fn run(arguments: &Kill) -> Result<u8, Refused> {
    let number = arguments.signal.as_deref().map(number).transpose()?;
    match number {
        None => down(&arguments.name),
        Some(number) => {
            let (live, record, _) = found::running(&arguments.name)?;
            let sent = match number {
                libc::SIGKILL => kill_init(&live, &record),
                number => live.send(number),
            };
            sent.map_err(|errno| not_sent(&arguments.name, errno))?;
            Ok(0)
        }
    }
}

/// Asks a sandbox to end, which takes no longer than its grace period, and waits for that.
pub(super) fn down(name: &str) -> Result<u8, Refused> {
    let (_, _, state) = found::state(name)?;
    let live = match state {
        State::Running(live, _) | State::Starting(live) | State::Unknown(live) => live,
        // Says why not.
        _ => found::running(name)?.0,
    };
    live.send(libc::SIGTERM)
        .map_err(|errno| not_sent(name, errno))?;
    let _ = live.ended(None);
    Ok(0)
}

fn number(text: &str) -> Result<i32, Refused> {
    let upper = text.to_uppercase();
    let plain = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_number = |number: &i32| plain.parse() == Ok(*number);
    let found = SENT
        .iter()
        .find(|(name, number)| *name == plain || by_number(number));
    found.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<_> = SENT.iter().map(|(name, _)| *name).collect();
        let message = format!("`{text}` is no signal that a sandbox hands on");
        Diagnostic::new(Code::WrongValue, &Origin::CommandLine, message)
            .help(format!("one of {}", names.join(", ")))
            .into()
    })
}

/// Kills init, and by that everything inside: the supervisor then clears away, as it could not if it
/// were killed itself.
fn kill_init(live: &Live, record: &Record) -> nix::Result<()> {
    let init = live.init(record.init)?;
    signal::send(init.as_raw_fd(), libc::SIGKILL, signal::Mark::NONE)
}

fn not_sent(name: &str, errno: Errno) -> Refused {
    match errno {
        Errno::ESRCH => found::not_running(name, "has just ended"),
        errno => found::out_of_reach(
            format!("{name} cannot be signalled: {}", errno.desc()),
            "do it as the user who has started it, or as root",
        ),
    }
}

/// Waits for the end of a sandbox: its exit code.
pub(super) fn wait(name: &str) -> Result<u8, Refused> {
    let opened = found::open(name)?;
    let gone = || found::not_running(name, "has just ended");
    loop {
        match opened.state() {
            State::Running(live, _) | State::Starting(live) | State::Unknown(live) => {
                let _ = live.ended(None);
            }
            State::Ended(record) => {
                return record.ended.map(|ended| ended.code).ok_or_else(gone);
            }
            State::Elsewhere => {
                return Err(found::out_of_reach(
                    format!("the supervisor of {name} is in another pid namespace"),
                    "wait for it in the container, or wherever it was started",
                ));
            }
            State::Lost => {
                let how = "has ended, and nobody can say how: its supervisor was killed, or its set-up failed";
                return Err(found::not_running(name, how));
            }
        }
    }
}

/// Forgets runs that have ended.
pub(super) fn forget(arguments: &Several) -> Result<u8, Refused> {
    for name in &arguments.names {
        let folders = found::folders()?;
        let (folder, entry) = found::find(name, &folders)?;
        let opened = Opened::new(folder, entry.clone());
        let state = opened.as_ref().map(Opened::state);
        if let Some(
            State::Running(..) | State::Starting(_) | State::Unknown(_) | State::Elsewhere,
        ) = state
        {
            let message = format!("{name} still runs");
            return Err(
                Diagnostic::new(Code::NotRunning, &Origin::CommandLine, message)
                    .help(format!("end it first: `sandbox kill {name}`"))
                    .into(),
            );
        }
        if !remove_entry(folder, &entry) {
            return Err(found::out_of_reach(
                format!("the record of {name} cannot be removed"),
                format!("see the permissions of {}", folder.path().display()),
            ));
        }
    }
    Ok(0)
}
