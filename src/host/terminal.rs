//! The caller's terminal.

use crate::sys::terminal::{self, Settings, Size};

/// A terminal that standard streams of this process lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Which of the three do.
    pub streams: [bool; 3],
    /// How it is set; in the background, that is as the shell wants it for itself.
    pub settings: Option<Settings>,
    /// How large it is.
    pub size: Size,
}

/// The terminal that both the standard input and the standard output lead to. Where the input is none,
/// nothing else is asked.
#[must_use]
pub fn interactive() -> Option<Terminal> {
    let input = terminal::device(0).ok()?;
    let output = terminal::device(1).ok()?;
    (input == output).then(|| of(input))?
}

/// The terminal of the first stream that leads to one.
#[must_use]
pub fn any() -> Option<Terminal> {
    (0..3)
        .find_map(|stream| terminal::device(stream).ok())
        .and_then(of)
}

fn of(device: u32) -> Option<Terminal> {
    let streams = [0, 1, 2].map(|stream| terminal::device(stream) == Ok(device));
    let stream = (0..3)
        .zip(streams)
        .find_map(|(stream, is)| is.then_some(stream))?;
    Some(Terminal {
        streams,
        settings: match terminal::is_in_the_foreground(stream) {
            true => Some(terminal::settings(stream).ok()?),
            false => None,
        },
        size: terminal::size(stream).ok()?,
    })
}
