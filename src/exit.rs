//! The exit codes that are not the command's own.

/// A limit that the supervisor keeps ended the command: of time or of output.
pub const TIMED_OUT: u8 = 124;
/// The sandbox could not be set up, or the profile or the command line is wrong.
pub const SET_UP_FAILED: u8 = 125;
/// The command is there and cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command is not there.
pub const NOT_FOUND: u8 = 127;
