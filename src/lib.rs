//! `sandbox` runs a command under a profile: a TOML file, checked in beside the code, that
//! declares what the command may see and use.
//!
//! The stages, each usable by other programs: [`profile::find`] and [`sections::load`] turn a text
//! into a checked [`sections::Profile`], or into all its diagnostics; [`sections::build`] turns
//! that, the facts about this machine and a command into a [`plan::Plan`]; [`plan::explain`] prints
//! it, [`supervisor::execute`] performs it. `ARCHITECTURE.md` shows the way through the folders.

pub mod changes;
pub mod child;
pub mod cli;
pub mod diag;
pub mod exit;
pub mod host;
pub mod plan;
pub mod profile;
pub mod prove;
pub mod report;
pub mod review;
pub mod running;
pub mod sections;
pub mod serve;
pub mod supervisor;
pub mod sys;
pub mod why;

/// The unit tests run on the guarded allocator too, as the program does in debug builds.
#[cfg(test)]
#[global_allocator]
static GUARD: sys::alloc::Guard = sys::alloc::Guard;
