//! The promises: each test starts real sandboxes and looks at them from outside and from inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]
// One crate, of which nobody uses anything.
#![allow(unreachable_pub)]

mod bad_input;
mod capabilities;
mod ceiling;
mod check;
mod doctor;
mod fail_closed;
mod ids;
mod leftovers;
mod limits;
mod live;
mod mounts;
mod namespaces;
mod old_root;
mod process;
mod proofs;
mod sources;
mod start;
mod support;
mod traces;
