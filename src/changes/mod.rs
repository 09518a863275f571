//! Changes that were kept: a tree stays as it is, and what a command changed in it lies aside, under a name,
//! to be looked at and taken over, or thrown away.
//!
//! It lies there in the form of overlayfs (Documentation/filesystems/overlayfs.rst): what is new or changed
//! as itself, what is gone as a character device 0/0, what replaces a whole directory as one with the
//! attribute `user.overlay.opaque`. All of it was made by a command that may be hostile: nothing is opened
//! here but by descriptors of folders and without following a link.

pub mod apply;
pub mod compare;
mod entry;
pub mod removal;
pub mod show;
pub mod store;

use entry::Folder;
