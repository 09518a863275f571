//! The `sandbox` program.

use std::process::ExitCode;

/// Debug builds, and so all tests, abort when the child allocates.
#[cfg(debug_assertions)]
#[global_allocator]
static GUARD: sandbox::sys::alloc::Guard = sandbox::sys::alloc::Guard;

fn main() -> ExitCode {
    sandbox::cli::run().into()
}
