//! Records of runs: what runs under which name, without a daemon.
//!
//! A run that is to be found again ([`claim::Recording`]) has a file in a folder that only its owner
//! may enter ([`folder`]), and its supervisor holds a lock on that file (fcntl(2), `F_SETLK`) until it
//! ends, however it ends. The kernel says who holds it: so a record is live exactly as long as its
//! supervisor is, and which process that is need not be believed of a number in a file.

pub mod claim;
pub mod folder;
pub mod found;
pub mod inside;
pub mod join;
pub mod joined;
pub mod live;
pub mod paused;
pub mod record;
pub mod saved;

pub use crate::host::runs::is_name;
pub use claim::Recording;
pub use folder::{Entry, Folder};
pub use live::Live;
pub use record::Record;

/// A new id: twelve hexadecimal digits at random.
#[must_use]
pub fn new_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Its keys come from the kernel's random numbers, and change with each; an id that is there
    // already is refused when its file is made.
    let number = std::hash::RandomState::new().build_hasher().finish();
    format!("{:012x}", number & 0xffff_ffff_ffff)
}

/// The length of an id.
const ID: usize = 12;

/// Whether a text is an id.
#[must_use]
fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
