//! Files that only the outside reads or holds: secrets, which init gets by a descriptor, and locks.

use crate::child;
use crate::plan::op::{HostPath, SecretFrom};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{SFlag, fstat};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

/// The most bytes of a secret.
const MOST: u64 = 1 << 20;

/// A file in memory that holds a secret, to be read from its beginning.
pub(super) fn take(from: &SecretFrom) -> nix::Result<OwnedFd> {
    let mut contents = Vec::new();
    match from {
        SecretFrom::File(path) => {
            let file = open(path)?;
            file.take(MOST + 1)
                .read_to_end(&mut contents)
                .map_err(errno)?;
        }
        SecretFrom::Variable(name) => {
            contents = std::env::var_os(name).ok_or(Errno::ENOENT)?.into_vec();
        }
    }
    if contents.len() as u64 > MOST {
        return Err(Errno::EFBIG);
    }
    let mut secret = File::from(memfd_create(c"secret", MFdFlags::MFD_CLOEXEC)?);
    secret.write_all(&contents).map_err(errno)?;
    secret.rewind().map_err(errno)?;
    Ok(secret.into())
}

/// Takes a lock for reading on the whole of a file (fcntl(2), `F_SETLK`). It is this process's, and goes with the
/// file that is returned.
pub(super) fn lock(path: &HostPath) -> nix::Result<File> {
    let file = open(path)?;
    let whole = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&whole))?;
    Ok(file)
}

/// Opens a file for reading as a source is opened, and nothing that would wait for somebody or act by being opened.
fn open(path: &HostPath) -> nix::Result<File> {
    let there = crate::sys::descriptor::own(child::open_host_path(path)?);
    let kind = SFlag::from_bits_truncate(fstat(&there)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    File::open(format!("/proc/self/fd/{}", there.as_raw_fd())).map_err(errno)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
