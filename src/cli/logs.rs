//! `sandbox logs`: what a sandbox that was detached has written.

use super::arguments::Logs;
use super::{Refused, found};
use crate::diag::{Code, Diagnostic, Origin};
use crate::running::claim::{STREAMS, log_name};
use crate::running::live::{Opened, State};
use std::fs::File;
use std::io::{Read as _, Write};
use std::time::Duration;

/// Between two looks at what was added.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &Logs) -> Result<u8, Refused> {
    let name = &arguments.name;
    let folders = found::folders()?;
    let (folder, entry) = found::find(name, &folders)?;
    let files = STREAMS.map(|stream| folder.file(log_name(&entry.id, stream)));
    let [Some(mut out), Some(mut err)] = files else {
        return Err(found::out_of_reach(
            format!("{name} has no logs"),
            "only what `sandbox --detach` has started has some; what others write goes to where they were started",
        ));
    };
    let opened = Opened::new(folder, entry);
    loop {
        // First whether it runs: what it writes until its end is then read below.
        let state = opened.as_ref().map(Opened::state);
        hand_on(&mut out, &mut std::io::stdout())?;
        hand_on(&mut err, &mut std::io::stderr())?;
        match state {
            Some(State::Running(..) | State::Starting(_) | State::Unknown(_))
                if arguments.follow =>
            {
                std::thread::sleep(PAUSE);
            }
            _ => return Ok(0),
        }
    }
}

fn hand_on(from: &mut File, to: &mut dyn Write) -> Result<(), Refused> {
    let mut buffer = vec![0; 64 << 10];
    let refused = |why: std::io::Error| -> Refused {
        Diagnostic::new(
            Code::Output,
            &Origin::CommandLine,
            format!("the log cannot be handed on: {why}"),
        )
        .help("redirect the output to a file that can be written")
        .into()
    };
    loop {
        match from.read(&mut buffer).map_err(refused)? {
            0 => return to.flush().map_err(refused),
            n => to
                .write_all(buffer.get(..n).unwrap_or_default())
                .map_err(refused)?,
        }
    }
}
