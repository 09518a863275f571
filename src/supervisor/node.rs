//! Nodes of devices that are made for a sandbox (mknod(2)).
//!
//! No user namespace may make one, nor open one of a file system that was made in it. So it is made here, in a tmpfs of
//! the supervisor's own that no path of the host leads to: a thread has it in a mount namespace that ends with the thread.
//! What stays is a detached mount of the node alone, which goes with the sandbox.

use crate::plan::op::NewNode;
use crate::sys::mount::{Attributes, Depth};
use crate::sys::{descriptor, identity, mount};
use nix::errno::Errno;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The name of the node where nobody else sees it.
const NAME: &str = "node";

/// Makes a node: a detached mount of it.
pub(super) fn make(node: NewNode) -> nix::Result<OwnedFd> {
    let thread = std::thread::Builder::new().spawn(move || made(node));
    let thread = thread.map_err(|_| Errno::EAGAIN)?;
    // It does not panic; and if it did, there would be no node.
    thread.join().unwrap_or(Err(Errno::ECHILD))
}

fn made(node: NewNode) -> nix::Result<OwnedFd> {
    let told = |why: rustix::io::Errno| Errno::from_raw(why.raw_os_error());
    // Of this thread alone, as is all that is mounted in it.
    identity::unshare(libc::CLONE_NEWNS)?;
    mount::make_all_private()?;
    let context = descriptor::own(mount::open_filesystem(c"tmpfs")?);
    for (key, value) in [(c"size", c"4k"), (c"nr_inodes", c"4"), (c"mode", c"700")] {
        mount::configure(context.as_raw_fd(), key, Some(value))?;
    }
    let inert = Attributes::NOSUID.with(Attributes::NOEXEC);
    let tree = descriptor::own(mount::create_mount(context.as_raw_fd(), inert)?);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let place = rustix::fs::open("/", flags | OFlags::DIRECTORY, Mode::empty()).map_err(told)?;
    mount::attach(tree.as_raw_fd(), place.as_raw_fd())?;
    let kind = match node.block {
        true => FileType::BlockDevice,
        false => FileType::CharacterDevice,
    };
    let number = rustix::fs::makedev(node.major, node.minor);
    rustix::fs::mknodat(&tree, NAME, kind, Mode::empty(), number).map_err(told)?;
    let (uid, gid) = node.owner;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(&tree, NAME, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(told)?;
    // Whatever the umask is.
    let mode = Mode::from_raw_mode(node.mode);
    rustix::fs::chmodat(&tree, NAME, mode, AtFlags::empty()).map_err(told)?;
    let found = rustix::fs::openat(&tree, NAME, flags, Mode::empty()).map_err(told)?;
    mount::clone_tree(found.as_raw_fd(), Depth::Alone).map(descriptor::own)
}
