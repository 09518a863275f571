//! Descriptors and paths below a descriptor: openat2(2), mkdirat(2), close_range(2).

use super::{Result, check, check_int};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// `struct open_how` of openat2(2).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// What a path may do while it is resolved (`RESOLVE_*` of openat2(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// As everywhere: symbolic links are followed.
    Anywhere,
    /// `..` and absolute paths stay below the directory, and no symbolic link is followed, so
    /// that nobody who can write below it can lead the path elsewhere.
    BeneathWithoutLinks,
}

/// Opens a path with `O_PATH`, and `O_NOFOLLOW` where links are not followed.
pub fn open_path(dir: RawFd, path: &CStr, resolve: Resolve) -> Result<RawFd> {
    let (flags, resolve) = match resolve {
        Resolve::Anywhere => (libc::O_PATH | libc::O_CLOEXEC, 0),
        Resolve::BeneathWithoutLinks => (
            libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW,
            libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS,
        ),
    };
    openat2(dir, path, flags, 0, resolve)
}

/// Opens a file of the host for reading.
pub fn open_for_reading(path: &CStr) -> Result<RawFd> {
    openat2(libc::AT_FDCWD, path, libc::O_RDONLY | libc::O_CLOEXEC, 0, 0)
}

/// Opens a file of the host for writing.
pub fn open_for_writing(path: &CStr) -> Result<RawFd> {
    openat2(libc::AT_FDCWD, path, libc::O_WRONLY | libc::O_CLOEXEC, 0, 0)
}

/// Opens the terminal that a standard stream leads to for writing, anew: so that writing does not wait, and the stream
/// stays as others have it.
pub fn open_terminal_of(stream: RawFd) -> Result<RawFd> {
    let path = match stream {
        libc::STDIN_FILENO => c"/proc/self/fd/0",
        libc::STDOUT_FILENO => c"/proc/self/fd/1",
        libc::STDERR_FILENO => c"/proc/self/fd/2",
        _ => return Err(nix::errno::Errno::EBADF),
    };
    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    openat2(libc::AT_FDCWD, path, flags, 0, 0)
}

/// The same below a directory.
pub fn open_for_reading_at(dir: RawFd, path: &CStr) -> Result<RawFd> {
    openat2(dir, path, libc::O_RDONLY | libc::O_CLOEXEC, 0, 0)
}

/// Opens a file below a directory for writing.
pub fn open_for_writing_at(dir: RawFd, path: &CStr) -> Result<RawFd> {
    openat2(dir, path, libc::O_WRONLY | libc::O_CLOEXEC, 0, 0)
}

/// Opens a path of the host with `O_PATH`, if no symbolic link lies on the way.
pub fn open_path_without_links(path: &CStr) -> Result<RawFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    openat2(libc::AT_FDCWD, path, flags, 0, libc::RESOLVE_NO_SYMLINKS)
}

/// Opens a file of the host for reading and writing, if no symbolic link lies on the way.
pub fn open_for_both(path: &CStr) -> Result<RawFd> {
    let flags = libc::O_RDWR | libc::O_CLOEXEC;
    openat2(libc::AT_FDCWD, path, flags, 0, libc::RESOLVE_NO_SYMLINKS)
}

/// Opens a new master of a devpts below a directory (pts(4)); no symbolic link is followed.
pub fn open_terminal_master(dir: RawFd, path: &CStr) -> Result<RawFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    openat2(dir, path, flags, 0, resolve)
}

/// Whether a file is one of procfs (fstatfs(2)).
pub fn is_of_proc(fd: RawFd) -> Result<bool> {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel fills the structure, which lives here.
    check_int(unsafe { libc::fstatfs(fd, found.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded.
    Ok(unsafe { found.assume_init() }.f_type == libc::PROC_SUPER_MAGIC)
}

/// Reads once from a place on (pread(2)); 0 means end of file.
pub fn read_at(fd: RawFd, buffer: &mut [u8], place: libc::off_t) -> Result<usize> {
    // SAFETY: the pointer and the length are those of a live, exclusive slice.
    let n = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), place) };
    check(n as libc::c_long).map(|n| n as usize)
}

/// Makes a new, empty file and opens it for writing; fails if anything is there already.
pub fn create_file(dir: RawFd, name: &CStr, mode: libc::mode_t) -> Result<RawFd> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    openat2(
        dir,
        name,
        flags,
        mode,
        libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS,
    )
}

fn openat2(
    dir: RawFd,
    path: &CStr,
    flags: libc::c_int,
    mode: libc::mode_t,
    resolve: u64,
) -> Result<RawFd> {
    let how = OpenHow {
        flags: flags as u64,
        mode: u64::from(mode),
        resolve,
    };
    // SAFETY: path is NUL-terminated, how is a live open_how of the size that is passed.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir,
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    })?;
    Ok(fd as RawFd)
}

/// Makes a new, empty file; fails if anything is there already (mknodat(2)).
pub fn make_file(dir: RawFd, name: &CStr, mode: libc::mode_t) -> Result<()> {
    // SAFETY: name is NUL-terminated.
    check_int(unsafe { libc::mknodat(dir, name.as_ptr(), libc::S_IFREG | mode, 0) }).map(drop)
}

/// mkdirat(2).
pub fn make_directory(dir: RawFd, name: &CStr, mode: libc::mode_t) -> Result<()> {
    // SAFETY: name is NUL-terminated.
    check_int(unsafe { libc::mkdirat(dir, name.as_ptr(), mode) }).map(drop)
}

/// symlinkat(2): `name` in `dir` points to `to`.
pub fn make_symlink(to: &CStr, dir: RawFd, name: &CStr) -> Result<()> {
    // SAFETY: both strings are NUL-terminated.
    check_int(unsafe { libc::symlinkat(to.as_ptr(), dir, name.as_ptr()) }).map(drop)
}

/// Sets the mode of a file just made, past the umask (fchmod(2)).
pub fn set_mode(fd: RawFd, mode: libc::mode_t) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fchmod(fd, mode) }).map(drop)
}

/// Writes all bytes, however often write(2) stops early or is interrupted.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match check(n as libc::c_long) {
            Ok(n) => bytes = bytes.get(n as usize..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads once, again if interrupted; 0 means end of file.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the pointer and the length are those of a live, exclusive slice.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        match check(n as libc::c_long) {
            Ok(n) => return Ok(n as usize),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Room for the header of a control message and one descriptor (cmsg(3)), aligned as the kernel wants it.
type Control = [u64; 4];

/// Sends a packet with a descriptor of which the receiver gets a copy (unix(7), `SCM_RIGHTS`).
pub fn send_with_descriptor(socket: RawFd, bytes: &[u8], fd: RawFd) -> Result<()> {
    let mut control: Control = [0; 4];
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: zeros are a valid msghdr. All that it is made to point to lives here, and the control
    // message, header and one descriptor, fits into its room.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        check(libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) as libc::c_long)
            .map(drop)
    }
}

/// Reads once, again if interrupted, and takes a descriptor that comes along; 0 means end of file.
pub fn read_with_descriptor(socket: RawFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut control: Control = [0; 4];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: as above; the kernel writes no more than the lengths say.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        loop {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let n = libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC);
            match check(n as libc::c_long) {
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(n) => {
                    let header = libc::CMSG_FIRSTHDR(&raw const message);
                    let came = !header.is_null()
                        && (*header).cmsg_level == libc::SOL_SOCKET
                        && (*header).cmsg_type == libc::SCM_RIGHTS;
                    let fd = came.then(|| libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned());
                    return Ok((n as usize, fd.map(own)));
                }
            }
        }
    }
}

/// Reads entries of a directory, as many as fit (getdents64(2)); 0 means that there are no more.
pub fn read_entries(fd: RawFd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the pointer and the length are those of a live, exclusive slice.
    let n = check(unsafe {
        libc::syscall(libc::SYS_getdents64, fd, buffer.as_mut_ptr(), buffer.len())
    })?;
    Ok(n as usize)
}

/// Whether the other end of a socket is closed (recv(2) with `MSG_PEEK`).
#[must_use]
pub fn is_hung_up(socket: RawFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte is read, at most, into a byte that lives here.
    let n = unsafe {
        libc::recv(
            socket,
            (&raw mut byte).cast(),
            1,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    };
    n == 0
}

/// Makes a descriptor the one of this number too, where it stays open at exec (dup2(2)).
pub fn take_as(fd: RawFd, number: RawFd) -> Result<()> {
    if fd == number {
        // dup2 would leave the flag as it is.
        // SAFETY: no pointers.
        return check_int(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: no pointers; what had the number before is one of the standard streams.
    check_int(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// Borrows a descriptor whose owner keeps it open for as long.
#[must_use]
pub fn borrow<'fd>(fd: RawFd) -> BorrowedFd<'fd> {
    // SAFETY: the caller keeps the owner.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Takes ownership of a descriptor that a function of this folder has just opened.
#[must_use]
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the functions of this folder return descriptors that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// fchown(2).
pub fn set_owner(fd: RawFd, uid: libc::uid_t, gid: libc::gid_t) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fchown(fd, uid, gid) }).map(drop)
}

/// Mode, owner and group of what is open (fstat(2)).
pub fn permissions(fd: RawFd) -> Result<(libc::mode_t, libc::uid_t, libc::gid_t)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure, which lives here.
    check_int(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid))
}

/// Sets an extended attribute (fsetxattr(2)).
pub fn set_attribute(fd: RawFd, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: name is NUL-terminated, the pointer and the length are those of a live slice.
    check_int(unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
        .map(drop)
}

/// Closes a descriptor; an error says nothing that could be acted on (close(2)).
pub fn close(fd: RawFd) {
    // SAFETY: no pointers; callers pass descriptors that they own.
    let _ = unsafe { libc::close(fd) };
}

/// Marks every descriptor from `first` on as closed at exec, but those that are kept
/// (close_range(2), Linux 5.11).
///
/// Not closed at once, because the failure of a later step still has to be reported through one.
pub fn close_on_exec_from(first: RawFd, kept: &[RawFd]) -> Result<()> {
    between(first, kept.iter().copied(), |first, last| {
        // SAFETY: no pointers.
        check(unsafe {
            libc::syscall(
                libc::SYS_close_range,
                first as libc::c_uint,
                last as libc::c_uint,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        })
        .map(drop)
    })
}

/// Closes every descriptor from `first` on, but those that are kept.
pub fn close_from(first: RawFd, kept: impl Iterator<Item = RawFd> + Clone) -> Result<()> {
    between(first, kept, close_range)
}

/// Does something with every range from `first` on that lies between kept ones, in whichever order
/// they are.
fn between(
    mut first: RawFd,
    kept: impl Iterator<Item = RawFd> + Clone,
    act: impl Fn(RawFd, RawFd) -> Result<()>,
) -> Result<()> {
    while let Some(next) = kept.clone().filter(|fd| *fd >= first).min() {
        if next > first {
            act(first, next.saturating_sub(1))?;
        }
        first = match next.checked_add(1) {
            Some(first) => first,
            None => return Ok(()),
        };
    }
    act(first, RawFd::MAX)
}

/// A second number for a descriptor, above 2 and closed at exec.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }).map(own)
}

/// Whether a descriptor is open for writing.
pub fn is_writable(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    let flags = check_int(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    flags.is_ok_and(|flags| {
        flags & libc::O_PATH == 0
            && matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
    })
}

/// Whether a descriptor is open, for reading, and not that of a directory.
#[must_use]
pub fn is_file_for_reading(fd: RawFd) -> bool {
    let readable = flags(fd).is_ok_and(|flags| {
        flags & libc::O_PATH == 0
            && matches!(flags & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR)
    });
    readable && is_directory(fd) == Ok(false)
}

/// Whether a descriptor is closed at exec (fcntl(2), F_GETFD).
pub fn is_closed_at_exec(fd: RawFd) -> Result<bool> {
    // SAFETY: no pointers.
    let flags = check_int(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC != 0)
}

/// Whether a descriptor is that of a directory (fstat(2)).
pub fn is_directory(fd: RawFd) -> Result<bool> {
    Ok(stat(fd)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Opens the file of a descriptor anew, for reading, on the mount that the descriptor is of.
pub fn reopen_for_reading(fd: RawFd) -> Result<RawFd> {
    /// More than the longest name has.
    const ROOM: usize = 32;
    const FOLDER: &[u8] = b"/proc/self/fd/";
    let mut digits = [0u8; 10];
    let mut rest = fd.unsigned_abs();
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let number = digits.iter().skip(digits.len() - count);
    let mut name = [0u8; ROOM];
    for (to, from) in name.iter_mut().zip(FOLDER.iter().chain(number)) {
        *to = *from;
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| nix::errno::Errno::ENAMETOOLONG)?;
    openat2(libc::AT_FDCWD, name, libc::O_RDONLY | libc::O_CLOEXEC, 0, 0)
}

/// Moves a descriptor to the place that another one is at in the same file (lseek(2)).
pub fn move_to_place_of(fd: RawFd, other: RawFd) -> Result<()> {
    // SAFETY: no pointers.
    let place = unsafe { libc::lseek(other, 0, libc::SEEK_CUR) };
    check(place as libc::c_long)?;
    // SAFETY: no pointers.
    let moved = unsafe { libc::lseek(fd, place, libc::SEEK_SET) };
    check(moved as libc::c_long).map(drop)
}

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file: its device and inode.
    File(u64, u64),
    /// A character device of this major number.
    Character(u32),
    /// Something else.
    Other,
}

/// What a descriptor is of (fstat(2)).
pub fn kind(fd: RawFd) -> Result<Kind> {
    let stat = stat(fd)?;
    Ok(match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFREG => Kind::File(stat.st_dev, stat.st_ino),
        libc::S_IFCHR => Kind::Character(libc::major(stat.st_rdev)),
        _ => Kind::Other,
    })
}

/// The flags of an open file that any holder may set (fcntl(2), F_GETFL).
pub fn flags(fd: RawFd) -> Result<i32> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// Sets the flags of an open file, for all that hold it (fcntl(2), F_SETFL).
pub fn set_flags(fd: RawFd, flags: i32) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

fn stat(fd: RawFd) -> Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure, which lives here.
    check_int(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded.
    Ok(unsafe { stat.assume_init() })
}

/// Whether a descriptor is open, for writing, and not that of a directory.
#[must_use]
pub fn is_file_for_writing(fd: RawFd) -> bool {
    is_writable(fd) && is_directory(fd) == Ok(false)
}

/// Closes all descriptors of a range (close_range(2)).
pub fn close_range(first: RawFd, last: RawFd) -> Result<()> {
    // SAFETY: no pointers; the caller gives up all of them.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first as libc::c_uint,
            last as libc::c_uint,
            0,
        )
    })
    .map(drop)
}

/// fchdir(2).
pub fn change_directory_to(fd: RawFd) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fchdir(fd) }).map(drop)
}

/// chdir(2).
pub fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: path is NUL-terminated.
    check_int(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

/// Whether the working directory lies below the root: the kernel reports `(unreachable)` in front
/// of a path outside of it (getcwd(2)), which is how CVE-2024-21626 shows.
pub fn working_directory_is_inside_root() -> Result<bool> {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the pointer and the length are those of a live, exclusive array.
    let n = check(unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) })?;
    Ok(n > 0 && buffer.first() == Some(&b'/'))
}
