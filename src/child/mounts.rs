//! Building the root: everything by descriptor, targets resolved below the new root and without
//! symbolic links.

use super::Child;
use crate::plan::Op;
use crate::plan::op::{Dress, HostPath, MountOption, NewName, NewRoot, Slot};
use crate::sys::descriptor::{self, Resolve};
use crate::sys::mount::{self, Attributes, Depth};
use crate::sys::{self};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Closes its descriptor when it goes.
pub(super) struct Fd(pub(super) RawFd);

impl Drop for Fd {
    fn drop(&mut self) {
        descriptor::close(self.0);
    }
}

/// A directory of the new root: itself, which stays open, or one below it.
pub(super) enum Parent {
    Root(RawFd),
    Below(Fd),
}

impl Parent {
    pub(super) fn fd(&self) -> RawFd {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.0,
        }
    }
}

/// Opens a path of the host as far as trust goes, and beneath it without following links.
pub(crate) fn open_host_path(path: &HostPath) -> sys::Result<RawFd> {
    let trusted = descriptor::open_path(libc::AT_FDCWD, &path.trusted, Resolve::Anywhere)?;
    let Some(beneath) = &path.beneath else {
        return Ok(trusted);
    };
    let trusted = Fd(trusted);
    descriptor::open_path(trusted.0, beneath, Resolve::BeneathWithoutLinks)
}

impl Child<'_> {
    pub(super) fn mount(&mut self, op: &Op) -> sys::Result<()> {
        match op {
            Op::OpenSource {
                slot,
                source,
                depth,
            } => {
                let tree = match source.beneath {
                    None => mount::clone_tree_at(&source.trusted, *depth)?,
                    Some(_) => mount::clone_tree(Fd(open_host_path(source)?).0, *depth)?,
                };
                self.put(*slot, tree)
            }
            Op::OpenProgram { slot, path } => {
                let program = Fd(descriptor::open_path_without_links(path)?);
                // The command can open its program anew (/proc/self/exe): not to be written to.
                let copy = mount::clone_tree(program.0, Depth::Alone)?;
                let attributes = Attributes::READ_ONLY
                    .with(Attributes::NOSUID)
                    .with(Attributes::NODEV);
                mount::set_attributes(copy, attributes)?;
                self.put(*slot, copy)
            }
            Op::AttachStaging(options) => {
                let tmpfs = new_tmpfs(options)?;
                // On top of the old root: it goes away with it.
                attach_to_old_root(tmpfs)?;
                self.staging = tmpfs;
                Ok(())
            }
            Op::StageFile {
                slot,
                name,
                contents,
                dress,
            } => {
                let file = Fd(descriptor::create_file(self.staging, name, 0o600)?);
                descriptor::write_all(file.0, contents)?;
                put_on(file.0, *dress)?;
                self.put_staged(*slot, name)
            }
            Op::StageSecret {
                slot,
                secret,
                name,
                dress,
            } => {
                let secret = Fd(self.take(*secret)?);
                let file = Fd(descriptor::create_file(self.staging, name, 0o600)?);
                let mut part = [0; 4096];
                loop {
                    let length = descriptor::read(secret.0, &mut part)?;
                    let Some(read @ [_, ..]) = part.get(..length) else {
                        break;
                    };
                    descriptor::write_all(file.0, read)?;
                }
                put_on(file.0, *dress)?;
                self.put_staged(*slot, name)
            }
            Op::AttachRoot(root) => self.attach_root(root),
            Op::MakeDirectory(name, mode) => {
                let parent = self.parent(name)?;
                descriptor::make_directory(parent.fd(), &name.name, *mode)
            }
            Op::DressDirectory(target, dress) => {
                let target = self.target(target)?;
                let directory = Fd(descriptor::open_for_reading_at(target.0, c".")?);
                put_on(directory.0, *dress)
            }
            Op::MakeFile(name) => {
                let parent = self.parent(name)?;
                descriptor::make_file(parent.fd(), &name.name, 0o444)
            }
            Op::MakeSymlink(name, to) => {
                let parent = self.parent(name)?;
                descriptor::make_symlink(to, parent.fd(), &name.name)
            }
            Op::MountFilesystem {
                kind,
                options,
                attributes,
                target,
            } => {
                let context = Fd(mount::open_filesystem(kind)?);
                for (key, value) in options {
                    mount::configure(context.0, key, value.as_deref())?;
                }
                let new = Fd(mount::create_mount(context.0, *attributes)?);
                let target = self.target(target)?;
                mount::attach(new.0, target.0)
            }
            Op::AttachSource {
                slot,
                attributes,
                target,
                ..
            } => {
                let tree = Fd(self.take(*slot)?);
                mount::set_attributes(tree.0, *attributes)?;
                let target = self.target(target)?;
                mount::attach(tree.0, target.0)
            }
            Op::MountOverlay {
                lower,
                upper,
                attributes,
                target,
                ..
            } => {
                let overlay = Fd(self.new_overlay(*lower, upper, *attributes)?);
                let target = self.target(target)?;
                mount::attach(overlay.0, target.0)
            }
            Op::ProvideMountPoint { name, directory } => self.provide_mount_point(name, *directory),
            Op::Protect { target, attributes } => {
                let target = self.target(target)?;
                let tree = Fd(mount::clone_tree(target.0, Depth::Whole)?);
                mount::set_attributes(tree.0, *attributes)?;
                mount::attach(tree.0, target.0)
            }
            Op::PivotRoot => {
                descriptor::change_directory_to(self.root)?;
                mount::pivot_root_here()
            }
            Op::DetachOldRoot => self.detach_old_root(),
            Op::SealMount { target, attributes } => {
                let target = self.target(target)?;
                mount::set_attributes_here(target.0, *attributes)
            }
            _ => Err(Errno::ENOTSUP),
        }
    }

    /// Opens a file that was written aside as a detached mount.
    fn put_staged(&mut self, slot: Slot, name: &CStr) -> sys::Result<()> {
        let path = Fd(descriptor::open_path(
            self.staging,
            name,
            Resolve::BeneathWithoutLinks,
        )?);
        let tree = mount::clone_tree(path.0, Depth::Whole)?;
        self.put(slot, tree)
    }

    fn attach_root(&mut self, root: &NewRoot) -> sys::Result<()> {
        self.root = match root {
            NewRoot::Tmpfs(options) => new_tmpfs(options)?,
            NewRoot::Tree(slot, attributes) => {
                let tree = self.take(*slot)?;
                mount::set_attributes(tree, *attributes)?;
                tree
            }
            NewRoot::Overlay(lower, upper, attributes) => {
                self.new_overlay(*lower, upper, *attributes)?
            }
        };
        attach_to_old_root(self.root)
    }

    /// Detaches whatever lies on top of the new root: the old root, and first what is mounted on
    /// that one, such as the staged files. "/" itself does not lead to what lies on it, but "/.."
    /// does: one layer that stayed would be a way out.
    fn detach_old_root(&self) -> sys::Result<()> {
        let new = mount::mount_number(self.root)?;
        loop {
            let top = Fd(descriptor::open_path(
                libc::AT_FDCWD,
                c"/..",
                Resolve::Anywhere,
            )?);
            if mount::mount_number(top.0)? == new {
                return descriptor::change_directory(c"/");
            }
            mount::detach_here()?;
        }
    }

    /// A directory or file of the new root. An empty path is the root itself.
    fn target(&self, target: &CStr) -> sys::Result<Fd> {
        let path = if target.is_empty() { c"." } else { target };
        descriptor::open_path(self.root, path, Resolve::BeneathWithoutLinks).map(Fd)
    }

    /// The directory that a name is made in.
    pub(super) fn parent(&self, name: &NewName) -> sys::Result<Parent> {
        if name.parent.is_empty() {
            return Ok(Parent::Root(self.root));
        }
        self.target(&name.parent).map(Parent::Below)
    }

    fn put(&mut self, slot: Slot, fd: RawFd) -> sys::Result<()> {
        *self.slots.get_mut(slot).ok_or(Errno::EBADF)? = fd;
        Ok(())
    }

    pub(super) fn take(&mut self, slot: Slot) -> sys::Result<RawFd> {
        let slot = self.slots.get_mut(slot).ok_or(Errno::EBADF)?;
        match std::mem::replace(slot, -1) {
            -1 => Err(Errno::EBADF),
            fd => Ok(fd),
        }
    }
}

/// The owner comes first: a change of it takes bits of the mode away (chown(2)).
fn put_on(fd: RawFd, dress: Dress) -> sys::Result<()> {
    if let Some((uid, gid)) = dress.owner {
        descriptor::set_owner(fd, uid, gid)?;
    }
    descriptor::set_mode(fd, dress.mode)
}

pub(super) fn new_tmpfs(options: &[MountOption]) -> sys::Result<RawFd> {
    let context = Fd(mount::open_filesystem(c"tmpfs")?);
    for (key, value) in options {
        mount::configure(context.0, key, Some(value))?;
    }
    mount::create_mount(context.0, Attributes::NOSUID.with(Attributes::NODEV))
}

/// Attaches a mount on top of the root in use. The process does not see it there, since its own
/// root stays below; pivot_root makes it the root.
fn attach_to_old_root(mount: RawFd) -> sys::Result<()> {
    let root = Fd(descriptor::open_path(
        libc::AT_FDCWD,
        c"/",
        Resolve::Anywhere,
    )?);
    mount::attach(mount, root.0)
}
