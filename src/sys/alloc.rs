//! An allocator that aborts when the child allocates; debug builds (and so all tests) run on it.
//!
//! After the clone the child shares nothing with the supervisor but a copy of its memory. An
//! allocation there is not wrong by itself in a program of one thread, but it means that work was
//! left for after the clone that belongs into the plan. The guard turns the rule into a crash.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// From here on, any allocation in this process aborts it. Has no effect where [`Guard`] is not
/// the global allocator.
pub fn forbid() {
    FORBIDDEN.store(true, Ordering::Relaxed);
}

/// The system allocator, until [`forbid`] is called.
pub struct Guard;

impl Guard {
    fn check() {
        if FORBIDDEN.load(Ordering::Relaxed) {
            const SENTENCE: &[u8] = b"sandbox: allocation in the child\n";
            // SAFETY: write(2) reads the given number of bytes of a static; abort does not return.
            unsafe {
                libc::write(2, SENTENCE.as_ptr().cast(), SENTENCE.len());
                libc::abort();
            }
        }
    }
}

// SAFETY: every call is handed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::check();
        // SAFETY: the caller keeps the contract of GlobalAlloc::alloc.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        Self::check();
        // SAFETY: the caller keeps the contract of GlobalAlloc::dealloc.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::check();
        // SAFETY: the caller keeps the contract of GlobalAlloc::realloc.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

    fn end_of(child: impl FnOnce()) -> WaitStatus {
        match process::fork().unwrap() {
            None => {
                // The sentence of the guard is expected here, and would only confuse.
                crate::sys::descriptor::close(2);
                forbid();
                child();
                process::exit(0)
            }
            Some(pid) => {
                let pid = nix::unistd::Pid::from_raw(pid);
                waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap()
            }
        }
    }

    #[test]
    fn an_allocation_in_the_child_aborts_it() {
        let end = end_of(|| drop(std::hint::black_box(Box::new(1))));
        assert!(
            matches!(end, WaitStatus::Signaled(_, Signal::SIGABRT, _)),
            "{end:?}"
        );
    }

    #[test]
    fn a_child_that_allocates_nothing_ends_as_it_likes() {
        let end = end_of(|| {});
        assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
    }
}
