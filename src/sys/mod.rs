//! The only folder with `unsafe`: one thin function per meaning of a system call.
//!
//! Every function here may be called after the clone: none allocates, takes a lock or panics.
//! What `nix` offers without allocating is used from there; this folder holds what it lacks
//! (clone3, the file-descriptor mount API, pidfd) and what glibc wraps in ways that are wrong in
//! a copied process (its `setuid` signals threads that only the original has).
#![allow(unsafe_code)]

pub mod alloc;
pub mod bpf;
pub mod descriptor;
pub mod identity;
pub mod keyring;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod network;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod stop;
pub mod terminal;
pub mod trace;
pub mod trial;

use nix::errno::Errno;

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;

/// Turns the return value of a raw system call into a result (-1 and `errno`).
fn check(ret: libc::c_long) -> Result<libc::c_long> {
    if ret == -1 {
        Err(Errno::last())
    } else {
        Ok(ret)
    }
}

/// The same for calls that libc wraps with an `int` result.
fn check_int(ret: libc::c_int) -> Result<libc::c_int> {
    if ret == -1 {
        Err(Errno::last())
    } else {
        Ok(ret)
    }
}
