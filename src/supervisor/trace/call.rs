//! Which calls name files, and what they want with them.

use crate::report::files::Wants;
use crate::sections::seccomp::call::{Call, Made};
use crate::sections::seccomp::foreign::{ALL, Meaning, meaning};
use crate::supervisor::memory;
use libc::pid_t;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use syscalls::Sysno;

/// A call that names files.
#[derive(Clone, Debug)]
pub(super) struct FileCall {
    pub(super) call: Sysno,
    pub(super) wants: Wants,
    pub(super) paths: Vec<PathBuf>,
}

/// Where a call has a path: the argument of the directory, if there is one, and that of the path.
type At = (Option<usize>, usize);

/// What a call is about; `None` where it names no file, or what it names cannot be read.
pub(super) fn read(thread: pid_t, made: Made, arguments: &[u64; 6]) -> Option<FileCall> {
    let (call, arguments) = match made {
        Made::Known(Call::Native(call)) => (call, arguments),
        // Of the other ABI, what has all arguments where the native call has them.
        Made::Known(Call::Foreign(call)) => match meaning(call) {
            Meaning::As(native, ALL) => (native, &arguments.map(|it| it & u64::from(u32::MAX))),
            _ => return None,
        },
        Made::Unlisted { .. } | Made::Elsewhere => return None,
    };
    let (wants, places) = signature(call, arguments, thread)?;
    let paths = places.iter().map(|(directory, path)| {
        let directory = directory.and_then(|at| arguments.get(at)).copied();
        path_of(thread, directory, *arguments.get(*path)?)
    });
    Some(FileCall {
        call,
        wants,
        paths: paths.collect::<Option<_>>()?,
    })
}

/// By the manual pages of the calls.
fn signature(call: Sysno, arguments: &[u64; 6], thread: pid_t) -> Option<(Wants, &'static [At])> {
    const HERE: &[At] = &[(None, 0)];
    const AT: &[At] = &[(Some(0), 1)];
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
    Some(match call {
        Sysno::openat => (opens(argument(2)), AT),
        // The flags are the first field of its struct open_how.
        Sysno::openat2 => {
            let mut flags = [0; 8];
            memory::read(thread, argument(2), &mut flags)?;
            (opens(u64::from_ne_bytes(flags)), AT)
        }
        Sysno::statx | Sysno::readlinkat => (Wants::See, AT),
        Sysno::faccessat | Sysno::faccessat2 => (accesses(argument(2)), AT),
        Sysno::statfs | Sysno::chdir => (Wants::See, HERE),
        Sysno::getxattr | Sysno::lgetxattr | Sysno::listxattr | Sysno::llistxattr => {
            (Wants::See, HERE)
        }
        Sysno::execve => (Wants::Execute, HERE),
        Sysno::execveat => (Wants::Execute, AT),
        Sysno::truncate
        | Sysno::setxattr
        | Sysno::lsetxattr
        | Sysno::removexattr
        | Sysno::lremovexattr => (Wants::Write, HERE),
        Sysno::mkdirat
        | Sysno::mknodat
        | Sysno::unlinkat
        | Sysno::fchmodat
        | Sysno::fchmodat2
        | Sysno::fchownat
        | Sysno::utimensat => (Wants::Write, AT),
        Sysno::symlinkat => (Wants::Write, &[(Some(1), 2)]),
        Sysno::linkat => (Wants::Write, &[(Some(2), 3)]),
        Sysno::renameat2 => (Wants::Write, &[(Some(0), 1), (Some(2), 3)]),
        Sysno::renameat => (Wants::Write, &[(Some(0), 1), (Some(2), 3)]),
        #[cfg(target_arch = "x86_64")]
        Sysno::open => (opens(argument(1)), HERE),
        #[cfg(target_arch = "x86_64")]
        Sysno::newfstatat => (Wants::See, AT),
        #[cfg(target_arch = "aarch64")]
        Sysno::fstatat => (Wants::See, AT),
        #[cfg(target_arch = "x86_64")]
        Sysno::stat | Sysno::lstat | Sysno::readlink => (Wants::See, HERE),
        #[cfg(target_arch = "x86_64")]
        Sysno::access => (accesses(argument(1)), HERE),
        #[cfg(target_arch = "x86_64")]
        Sysno::creat
        | Sysno::mkdir
        | Sysno::rmdir
        | Sysno::unlink
        | Sysno::chmod
        | Sysno::chown
        | Sysno::lchown
        | Sysno::utime
        | Sysno::utimes
        | Sysno::mknod => (Wants::Write, HERE),
        #[cfg(target_arch = "x86_64")]
        Sysno::symlink | Sysno::link => (Wants::Write, &[(None, 1)]),
        #[cfg(target_arch = "x86_64")]
        Sysno::rename => (Wants::Write, &[(None, 0), (None, 1)]),
        _ => return None,
    })
}

/// What open(2) wants by its flags.
fn opens(flags: u64) -> Wants {
    let flags = flags as i32;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    if flags & libc::O_PATH != 0 {
        Wants::See
    } else if writes || flags & (libc::O_CREAT | libc::O_TRUNC) != 0 {
        Wants::Write
    } else {
        Wants::Read
    }
}

/// What access(2) asks for.
fn accesses(mode: u64) -> Wants {
    match mode as i32 {
        mode if mode & libc::W_OK != 0 => Wants::Write,
        mode if mode & libc::X_OK != 0 => Wants::Execute,
        mode if mode & libc::R_OK != 0 => Wants::Read,
        _ => Wants::See,
    }
}

/// A path inside, from the root on: what it begins at is what the kernel calls the thread's folder, or that of
/// one of its descriptors.
fn path_of(thread: pid_t, directory: Option<u64>, address: u64) -> Option<PathBuf> {
    let text = memory::text(thread, address, libc::PATH_MAX as usize);
    let (text, _) = text.filter(|(_, whole)| *whole)?;
    let path = Path::new(OsStr::from_bytes(&text));
    if path.is_absolute() {
        return Some(plain(path));
    }
    let from = match directory.map(|fd| fd as i32) {
        None | Some(libc::AT_FDCWD) => format!("/proc/{thread}/cwd"),
        Some(fd) => format!("/proc/{thread}/fd/{fd}"),
    };
    let folder = std::fs::read_link(from).ok()?;
    // A file without a name is none that a profile could show.
    (folder.is_absolute() && !text.is_empty()).then(|| plain(&folder.join(path)))
}

/// Without `.`; `..` stays, since what is before it may be a link.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(call: Sysno) -> Made {
        Made::Known(Call::Native(call))
    }

    #[test]
    fn calls_of_this_thread_are_read() {
        let own = nix::unistd::gettid().as_raw();
        let here = std::env::current_dir().unwrap();
        let name = c"./there/../file";
        let arguments = [libc::AT_FDCWD as u64, name.as_ptr() as u64, 0, 0, 0, 0];
        let found = read(own, native(Sysno::openat), &arguments).unwrap();
        assert_eq!(found.wants, Wants::Read);
        assert_eq!(found.paths, [here.join("there/../file")]);
        let folder = std::fs::File::open("/usr").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&folder) as u64;
        let write = libc::O_WRONLY as u64;
        let arguments = [fd, c"bin/x".as_ptr() as u64, write, 0, 0, 0];
        let found = read(own, native(Sysno::openat), &arguments).unwrap();
        assert_eq!(
            (found.wants, found.paths),
            (Wants::Write, vec!["/usr/bin/x".into()])
        );
        let (one, other) = (c"/a".as_ptr() as u64, c"/b".as_ptr() as u64);
        let found = read(own, native(Sysno::renameat2), &[0, one, 0, other, 0, 0]).unwrap();
        assert_eq!(found.paths, [Path::new("/a"), Path::new("/b")]);
        // Nothing can be read there, a call that names no file, one that is none.
        assert!(read(own, native(Sysno::openat), &[0, 8, 0, 0, 0, 0]).is_none());
        assert!(read(own, native(Sysno::read), &[0; 6]).is_none());
        assert!(read(own, Made::Elsewhere, &[0; 6]).is_none());
    }
}
