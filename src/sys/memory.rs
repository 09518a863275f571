//! The memory of the program itself: madvise(2), mmap(2).

use super::Result;
use nix::errno::Errno;
use std::ptr::{NonNull, addr_of};
use std::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    /// Where the linker puts the first byte of the program, and the one after its last instruction (end(3)).
    static __executable_start: u8;
    static etext: u8;
}

/// Gives back the pages of the program's instructions and constants. They are the file's, so that those
/// needed later come back from the page cache, and nothing is written to any of them. Memory is all that
/// is at stake: a kernel that refuses is no error.
pub fn release_text() {
    let (start, end) = (addr_of!(__executable_start), addr_of!(etext));
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: the range is a read-only mapping of the program's file; MADV_DONTNEED (madvise(2)) drops pages
    // that are read from there again. Its start is that of a segment, and so of a page.
    let _ = unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

/// A number that copies of this process which are made later share with it (mmap(2), `MAP_SHARED`).
#[derive(Debug)]
pub struct SharedWord(NonNull<AtomicU64>);

// SAFETY: what it leads to is atomic, and is there as long as this is.
unsafe impl Send for SharedWord {}
// SAFETY: as above.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// A new one: 0.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> Result<Self> {
        // SAFETY: a new mapping, of which nobody knows; a page is large enough, aligned, and zero.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(page.cast()).map(Self).ok_or(Errno::ENOMEM)
    }

    /// Sets it.
    pub fn store(&self, value: u64) {
        // SAFETY: the mapping is there as long as this is.
        unsafe { self.0.as_ref() }.store(value, Ordering::Release);
    }

    /// What it is.
    #[must_use]
    pub fn load(&self) -> u64 {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` has made, and nobody has another reference to it.
        let _ = unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU64>()) };
    }
}
