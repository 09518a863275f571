//! What guides people to a run: the profile that `init` writes, the list of profiles, completions
//! and manual pages. Nothing here needs a privilege, and no sandbox is made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod init;
mod profiles;
mod shells;
#[path = "../promises/support.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the guide uses a part of the frame of the promises"
)]
mod support;
