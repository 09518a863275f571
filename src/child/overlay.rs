//! Overlays: a tree that stays as it is, with what is changed in it put elsewhere (overlayfs).
//!
//! The layers are attached aside first, on the old root's side, since a kernel before Linux 6.15 takes none
//! that is nowhere; the overlay holds copies of its own. They are named by descriptor, through `/proc`.

use super::Child;
use super::mounts::{Fd, new_tmpfs};
use crate::plan::op::{NewName, Slot, Upper};
use crate::sys::descriptor::{self, Resolve};
use crate::sys::mount::{self, Attributes};
use crate::sys::{self};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Where the layers are attached, below the staged files.
const ASIDE: &CStr = c"layers";

impl Child<'_> {
    /// Makes an overlay, which is attached nowhere yet.
    pub(super) fn new_overlay(
        &mut self,
        lower: Slot,
        upper: &Upper,
        attributes: Attributes,
    ) -> sys::Result<RawFd> {
        let aside = self.aside()?;
        let lower = Fd(self.take(lower)?);
        mount::attach(lower.0, aside.0)?;
        let layers = match upper {
            Upper::Disk(slot) => Fd(self.take(*slot)?),
            Upper::Memory(options) => Fd(new_tmpfs(options)?),
        };
        mount::attach(layers.0, aside.0)?;
        if let Upper::Memory(_) = upper {
            for name in [c"upper", c"work"] {
                descriptor::make_directory(layers.0, name, 0o700)?;
            }
        }
        let upper_fd = Fd(descriptor::open_for_reading_at(layers.0, c"upper")?);
        if let Upper::Memory(_) = upper {
            let (mode, uid, gid) = descriptor::permissions(lower.0)?;
            // An owner that the map does not hold cannot be given; the directory is the set-up's then.
            match descriptor::set_owner(upper_fd.0, uid, gid) {
                Ok(()) | Err(Errno::EINVAL | Errno::EPERM | Errno::EOVERFLOW) => {}
                Err(errno) => return Err(errno),
            }
            descriptor::set_mode(upper_fd.0, mode & 0o1777)?;
        }
        // Without attributes the kernel goes on, and then fails at what takes them: a directory in the
        // place of one that was removed.
        descriptor::set_attribute(upper_fd.0, c"user.overlay.impure", b"y")?;
        let work = Fd(open_below(layers.0, c"work")?);
        let context = Fd(mount::open_filesystem(c"overlay")?);
        for (key, fd) in [
            (c"lowerdir", lower.0),
            (c"upperdir", upper_fd.0),
            (c"workdir", work.0),
        ] {
            mount::configure(context.0, key, Some(FdPath::of(fd).text()?))?;
        }
        // What the layers hold means the same on every machine, whatever its defaults.
        for (key, value) in [
            (c"redirect_dir", c"nofollow"),
            (c"metacopy", c"off"),
            (c"index", c"off"),
        ] {
            mount::configure(context.0, key, Some(value))?;
        }
        mount::configure(context.0, c"userxattr", None)?;
        // Or the kernel writes the whole file system below to its disk as it unmounts this one: the
        // supervisor does, where something is kept (src/changes/store.rs).
        if let Upper::Disk(_) = upper {
            mount::configure(context.0, c"volatile", None)?;
        }
        // What holds where the tree is holds here, as in a copy of its mount.
        let attributes = attributes.with(mount::restrictions(lower.0)?);
        mount::create_mount(context.0, attributes)
    }

    /// Makes a mount point, unless something is there already.
    pub(super) fn provide_mount_point(&self, name: &NewName, directory: bool) -> sys::Result<()> {
        let parent = self.parent(name)?;
        let made = if directory {
            descriptor::make_directory(parent.fd(), &name.name, 0o755)
        } else {
            descriptor::make_file(parent.fd(), &name.name, 0o444)
        };
        match made {
            Err(Errno::EEXIST) => Ok(()),
            result => result,
        }
    }

    fn aside(&self) -> sys::Result<Fd> {
        match descriptor::make_directory(self.staging, ASIDE, 0o700) {
            Ok(()) | Err(Errno::EEXIST) => open_below(self.staging, ASIDE).map(Fd),
            Err(errno) => Err(errno),
        }
    }
}

fn open_below(dir: RawFd, name: &CStr) -> sys::Result<RawFd> {
    descriptor::open_path(dir, name, Resolve::BeneathWithoutLinks)
}

/// The name of a descriptor in `/proc`.
struct FdPath([u8; 32]);

impl FdPath {
    fn of(fd: RawFd) -> Self {
        const PREFIX: &[u8] = b"/proc/self/fd/";
        let mut text = [0; 32];
        let mut digits = [0; 10];
        let mut rest = fd.unsigned_abs();
        let mut count = 0usize;
        for digit in &mut digits {
            *digit = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            count = count.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        let digits = digits.iter().take(count).rev();
        for (to, from) in text.iter_mut().zip(PREFIX.iter().chain(digits)) {
            *to = *from;
        }
        Self(text)
    }

    fn text(&self) -> sys::Result<&CStr> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno::EINVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_its_name() {
        for (fd, name) in [
            (0, c"/proc/self/fd/0"),
            (7, c"/proc/self/fd/7"),
            (10, c"/proc/self/fd/10"),
            (65_535, c"/proc/self/fd/65535"),
            (RawFd::MAX, c"/proc/self/fd/2147483647"),
        ] {
            assert_eq!(FdPath::of(fd).text(), Ok(name));
        }
    }
}
