//! `--repeat` and `--listen`: more than one run of what was read once.

use super::arguments::Run;
use super::{Refused, Session};
use crate::diag::{Code, Diagnostic, Origin};
use crate::sections::Profile;
use crate::serve::{self, Address, Listeners, Part, Turn};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::{dup2_stdin, dup2_stdout, read};
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How often to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// So often.
    Number(u64),
    /// Until something ends it.
    Forever,
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("forever", _) => Ok(Self::Forever),
            (_, Ok(number)) if number > 0 => Ok(Self::Number(number)),
            _ => Err("write a number from 1 on, or `forever`".into()),
        }
    }
}

/// How long a client may take for what its run has written last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs again and again; `once` is one run.
pub(super) fn repeat(
    times: Times,
    session: &mut Session,
    once: impl FnOnce(&mut Session) -> Result<u8, Refused>,
) -> Result<u8, Refused> {
    let times = match times {
        Times::Number(number) => Some(number),
        Times::Forever => None,
    };
    match serve::repeat(times).map_err(stuck)? {
        Turn::Over(code) => Ok(code),
        Turn::Run(part) => told(once(session), &part),
    }
}

/// Runs once for each connection, on its standard input and output.
pub(super) fn listen(
    address: &Address,
    arguments: &Run,
    profile: &Profile,
    session: &mut Session,
    once: impl FnOnce(&mut Session) -> Result<u8, Refused>,
) -> Result<u8, Refused> {
    if let Some(origin) = report(arguments, profile) {
        let message = "a report is of one run, and each connection has a run of its own";
        return Err(Diagnostic::new(Code::Conflict, &origin, message)
            .help("do without the report, or without --listen")
            .into());
    }
    let listeners = Listeners::at(address).map_err(|refusal| {
        Diagnostic::new(Code::NotHere, &Origin::CommandLine, refusal.message).help(refusal.help)
    })?;
    session.say(&format!("listening on {}", listeners.address));
    let turn = serve::listen(listeners, arguments.max.get(), &|line| session.say(line));
    let mut part = match turn.map_err(stuck)? {
        Turn::Over(code) => return Ok(code),
        Turn::Run(part) => part,
    };
    let Some(connection) = part.connection.take() else {
        return Ok(0);
    };
    dup2_stdin(&connection)
        .and_then(|()| dup2_stdout(&connection))
        .map_err(stuck)?;
    let result = told(once(session), &part);
    hang_up(&connection);
    result
}

/// Tells of a command that did not start.
fn told(result: Result<u8, Refused>, part: &Part) -> Result<u8, Refused> {
    result.inspect_err(|_| part.refused())
}

/// Lets the client have all that was written: a socket that is closed with something unread in it drops
/// what is still on its way (tcp(7)).
fn hang_up(connection: &OwnedFd) {
    use std::os::fd::AsRawFd as _;
    // Who is gone already has nothing left to read.
    if shutdown(connection.as_raw_fd(), Shutdown::Write).is_err() {
        return;
    }
    let until = Instant::now() + LAST_WORDS;
    let wait = TimeVal::milliseconds(LAST_WORDS.as_millis() as i64);
    if setsockopt(connection, sockopt::ReceiveTimeout, &wait).is_err() {
        return;
    }
    let mut rest = [0; 4096];
    while Instant::now() < until {
        match read(connection, &mut rest) {
            Ok(1..) | Err(Errno::EINTR) => {}
            _ => return,
        }
    }
}

/// Where a report is asked for.
fn report(arguments: &Run, profile: &Profile) -> Option<Origin> {
    match (&arguments.report, &profile.report.target) {
        (Some(_), _) => Some(Origin::CommandLine),
        (None, target) => target.as_ref().map(|target| target.origin.clone()),
    }
}

fn stuck(errno: Errno) -> Refused {
    let message = format!("cannot go on to another run: {}", errno.desc());
    Diagnostic::new(Code::NotHere, &Origin::CommandLine, message)
        .help("the caller may be short of processes or of open files (`ulimit -u`, `ulimit -n`)")
        .into()
}
