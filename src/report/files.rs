//! File calls that failed, as a tracer saw them; what they mean is for [`why`](crate::why) to say.

use super::denial::Process;
use nix::errno::Errno;
use std::path::PathBuf;

/// What a call wants with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wants {
    /// To see that it is there, and what it is.
    See,
    /// To read it.
    Read,
    /// To write to it, to change what is known of it, to make or to remove it.
    Write,
    /// To execute it.
    Execute,
}

/// A call that failed, once or more often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// Its name.
    pub call: &'static str,
    /// What it wants with the files.
    pub wants: Wants,
    /// The files, as paths inside from the root on: one, or two for rename(2) and its like. Links are not followed.
    pub paths: Vec<PathBuf>,
    /// With which errno.
    pub errno: Errno,
    /// Who made it, the first time.
    pub process: Option<Process>,
    /// Whether other processes of that name made it too.
    pub others: bool,
    /// How often.
    pub times: u64,
}

/// All of a run, in the order of the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedCalls {
    /// Each different call.
    pub all: Vec<FailedCall>,
    /// How many more there were of other kinds than can be kept.
    pub others: u64,
}
