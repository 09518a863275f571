//! Folders of the host that a profile binds and that are missing: made once, and left there.

mod given;

use crate::host::tree::DIRECTORY_MARK;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

/// Nobody but the caller: what a command keeps there may be private.
const MODE: Mode = Mode::S_IRWXU;

/// A directory that was made, and goes again where the command does not come to run: another run
/// that has found it by then has a source that is empty, and cannot make anything in it any more.
#[derive(Debug)]
pub(super) struct Made {
    parent: OwnedFd,
    name: CString,
}

impl Made {
    /// Takes it away, if nothing is in it.
    pub(super) fn remove(self) {
        let _ = unlinkat(&self.parent, self.name.as_c_str(), UnlinkatFlags::RemoveDir);
    }
}

/// Makes the missing components of a path below a tree, one by one and without following links, so
/// that whatever was planted there meanwhile leads nowhere. What was made is added to the list, also
/// where it fails. The last one, if it is made, belongs to `owner`, by ids of the host.
pub(super) fn make(
    tree: &CStr,
    path: &CStr,
    owner: Option<(u32, u32)>,
    made: &mut Vec<Made>,
) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut parent = open(tree, flags, Mode::empty())?;
    let names = path.to_bytes().split(|byte| *byte == b'/');
    let mut names = names.filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let owner = owner.filter(|_| names.peek().is_none());
        let next = match within(&parent, &name) {
            Err(Errno::ENOENT) => {
                let created = match owner {
                    None => mkdirat(&parent, name.as_c_str(), MODE),
                    Some(owner) => match given::make(&parent, &name, owner, MODE) {
                        Ok(false) => Err(Errno::EEXIST),
                        made => made.map(drop),
                    },
                };
                match created {
                    Ok(()) => {
                        let parent = parent.try_clone().map_err(|_| Errno::EMFILE)?;
                        let name = name.clone();
                        made.push(Made { parent, name });
                    }
                    // Another run was faster.
                    Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(errno),
                }
                within(&parent, &name)?
            }
            result => {
                if owner.is_some() {
                    given::clear(&parent);
                }
                result?
            }
        };
        keep(&next)?;
        parent = next;
    }
    Ok(())
}

/// A directory in another one; a link is none.
fn within(parent: &OwnedFd, name: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// What another run made as a mount point would go with that run: without the mark it stays.
fn keep(directory: &OwnedFd) -> nix::Result<()> {
    if fstat(directory)?.st_mode & 0o7777 != DIRECTORY_MARK {
        return Ok(());
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    fchmod(openat(directory, c".", flags, Mode::empty())?, MODE)
}
