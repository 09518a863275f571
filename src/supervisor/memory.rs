//! Reading memory of a thread that waits for the supervisor (process_vm_readv(2)).

use libc::pid_t;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::io::IoSliceMut;

/// The smallest page: what begins on one that is there can be read up to its end.
const PAGE: u64 = 4096;

/// Reads all of it, or nothing.
pub(super) fn read(thread: pid_t, address: u64, room: &mut [u8]) -> Option<()> {
    let from = RemoteIoVec {
        base: usize::try_from(address).ok()?,
        len: room.len(),
    };
    let length = room.len();
    let room = &mut [IoSliceMut::new(room)];
    let read = process_vm_readv(Pid::from_raw(thread), room, &[from]).ok()?;
    (read == length).then_some(())
}

/// A text that ends with NUL, page by page: what follows it need not be there. At most so many bytes of it, and
/// whether that was all of it; `None` where there is nothing to be read.
pub(super) fn text(thread: pid_t, address: u64, most: usize) -> Option<(Vec<u8>, bool)> {
    let mut text = Vec::new();
    while text.len() < most {
        let at = address.checked_add(text.len() as u64)?;
        let mut page = [0; PAGE as usize];
        let left = ((PAGE - at % PAGE) as usize).min(most - text.len());
        let room = page.get_mut(..left)?;
        if read(thread, at, room).is_none() {
            return (!text.is_empty()).then_some((text, false));
        }
        match room.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend_from_slice(room.get(..end)?);
                return Some((text, true));
            }
            None => text.extend_from_slice(room),
        }
    }
    Some((text, false))
}
