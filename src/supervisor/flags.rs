//! The caller's standard streams, as far as the command has them too: what it sets on one of them is set for
//! everybody who has the same file open, and would stay when the command is gone.

use crate::plan::op::Stream;
use crate::sys::descriptor;

/// How streams were set when the run began. Dropping it sets them so again.
pub(super) struct Flags(Vec<(Stream, i32)>);

/// What a command may change of a pipe or a terminal by F_SETFL.
const CHANGEABLE: i32 = libc::O_NONBLOCK | libc::O_APPEND | libc::O_ASYNC | libc::O_DIRECT;

impl Flags {
    /// Those of these streams that are open.
    pub(super) fn of(streams: &[Stream]) -> Self {
        let flags = |stream: &Stream| Some((*stream, descriptor::flags(*stream).ok()?));
        Self(streams.iter().filter_map(flags).collect())
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        for (stream, before) in &self.0 {
            // Who has closed the stream meanwhile has left nothing to be set.
            if let Ok(now) = descriptor::flags(*stream)
                && (now ^ before) & CHANGEABLE != 0
            {
                let _ = descriptor::set_flags(*stream, *before);
            }
        }
    }
}
