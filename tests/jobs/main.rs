//! The jobs: real projects under the shipped profiles, offline, with the same result as bare.
//! The projects come from `tests/fetch`; a job whose project is missing fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod build;
mod debian;
mod frame;
mod init;
mod languages;
mod private;
mod strict;
#[path = "../promises/support.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the jobs use a part of the frame of the promises"
)]
mod support;
