//! The memory of the program itself: madvise(2).

use std::ptr::addr_of;

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
