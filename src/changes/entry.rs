//! One file or directory, looked at through its folder, and nothing followed.

use super::removal;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// The prefix of what overlayfs keeps in a layer of a user namespace.
const OVERLAY: &[u8] = b"user.overlay.";
/// The prefix under which it keeps what a command has set with that prefix.
const ESCAPED: &[u8] = b"user.overlay.overlay.";

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and where it points.
    Link(Vec<u8>),
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A character device: its number.
    Character(u64),
    /// A block device: its number.
    Block(u64),
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link(_) => "symlink",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Character(_) => "character-device",
            Self::Block(_) => "block-device",
        }
    }
}

/// What is seen of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: Kind,
    /// The permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its length.
    pub size: u64,
    /// When its contents were changed: seconds, nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it was changed.
    pub changed: (i64, i64),
    /// Device and inode.
    pub identity: (u64, u64),
    /// How many names it has.
    pub links: u64,
    /// Its extended attributes, without those of overlayfs.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether it stands for a whole directory (overlayfs, `opaque`).
    pub opaque: bool,
    /// Whether it was made as a copy of something in the tree.
    pub copied: bool,
}

impl Look {
    /// Whether it says that something is gone.
    #[must_use]
    pub const fn is_whiteout(&self) -> bool {
        matches!(self.kind, Kind::Character(0))
    }
}

/// A folder that is open.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// Whether it is of ours to open what its modes close.
    ours: bool,
}

/// The names in a folder, in order.
pub(super) fn names(folder: &OwnedFd) -> nix::Result<Vec<CString>> {
    // A descriptor of its own, since reading moves its place.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = Dir::from_fd(openat(folder, c".", flags, Mode::empty())?)?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A name for the system.
pub(super) fn named(name: &OsStr) -> nix::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

impl Folder {
    /// Of the changes: what their modes close is opened for a moment, since it is its owner who looks.
    pub(super) const fn ours(fd: OwnedFd) -> Self {
        Self { fd, ours: true }
    }

    /// Of the tree: it is only looked at.
    pub(super) const fn theirs(fd: OwnedFd) -> Self {
        Self { fd, ours: false }
    }

    /// Its descriptor.
    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The names in it.
    pub(super) fn names(&self) -> nix::Result<Vec<CString>> {
        names(&self.fd)
    }

    /// A folder in it.
    pub(super) fn folder(&self, name: &CStr) -> nix::Result<Self> {
        let fd = self.opened(name, || removal::open_folder(&self.fd, name))?;
        Ok(Self {
            fd,
            ours: self.ours,
        })
    }

    /// A folder at the end of a path below it.
    pub(super) fn below(&self, path: &Path) -> nix::Result<Self> {
        let mut folder = Self {
            fd: self.fd.try_clone().map_err(|_| Errno::EMFILE)?,
            ours: self.ours,
        };
        for name in path.iter() {
            folder = folder.folder(&named(name)?)?;
        }
        Ok(folder)
    }

    /// A file in it, for reading. Only of what was seen to be a regular file: another kind, put there
    /// meanwhile, is not waited for.
    pub(super) fn file(&self, name: &CStr) -> nix::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = self.opened(name, || openat(&self.fd, name, flags, Mode::empty()))?;
        if fstat(&fd)?.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Errno::ESTALE);
        }
        Ok(File::from(fd))
    }

    /// Opens something, for which it is given its owner's rights for that moment where they lack.
    fn opened(&self, name: &CStr, open: impl Fn() -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
        match open() {
            Err(Errno::EACCES) if self.ours => {
                let mode = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode & 0o7777;
                removal::set_mode(&self.fd, name, mode | 0o700)?;
                let opened = open();
                removal::set_mode(&self.fd, name, mode)?;
                opened
            }
            result => result,
        }
    }

    /// What is under a name; `None` where nothing is.
    pub(super) fn look(&self, name: &CStr) -> nix::Result<Option<Look>> {
        let stat = match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(None),
            result => result?,
        };
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Link(readlinkat(&self.fd, name)?.into_vec()),
            libc::S_IFIFO => Kind::Pipe,
            libc::S_IFSOCK => Kind::Socket,
            libc::S_IFBLK => Kind::Block(stat.st_rdev),
            _ => Kind::Character(stat.st_rdev),
        };
        let mut look = Look {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            identity: (stat.st_dev, stat.st_ino),
            links: stat.st_nlink,
            attributes: BTreeMap::new(),
            opaque: false,
            copied: false,
            kind,
        };
        let opened = match look.kind {
            Kind::File => self.file(name).map(OwnedFd::from),
            Kind::Directory => self.folder(name).map(|folder| folder.fd),
            // The others have none that a user could set.
            _ => return Ok(Some(look)),
        };
        match opened {
            Ok(fd) => look.read_attributes(&fd)?,
            // What cannot be read cannot be compared either, which is said there.
            Err(Errno::EACCES) => {}
            Err(errno) => return Err(errno),
        }
        Ok(Some(look))
    }
}

impl Look {
    /// What is open.
    pub(super) fn at(fd: &OwnedFd) -> nix::Result<Self> {
        let folder = Folder::theirs(fd.try_clone().map_err(|_| Errno::EMFILE)?);
        folder.look(c".")?.ok_or(Errno::ENOENT)
    }

    fn read_attributes(&mut self, fd: &OwnedFd) -> nix::Result<()> {
        for (name, value) in attributes(fd)? {
            if let Some(own) = name.strip_prefix(ESCAPED) {
                self.attributes.insert([OVERLAY, own].concat(), value);
            } else if let Some(own) = name.strip_prefix(OVERLAY) {
                match own {
                    b"opaque" => self.opaque = value == b"y",
                    b"origin" => self.copied = true,
                    // This program mounts without; whoever made it, files are not what they seem.
                    b"redirect" | b"metacopy" => return Err(Errno::EUCLEAN),
                    _ => {}
                }
            } else if !name.starts_with(b"trusted.") && name != b"security.selinux" {
                self.attributes.insert(name, value);
            }
        }
        Ok(())
    }
}

/// All extended attributes; none where the file system has none.
fn attributes(fd: &OwnedFd) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let errno = |e: rustix::io::Errno| Errno::from_raw(e.raw_os_error());
    let mut list = vec![0u8; 1 << 16];
    let length = match rustix::fs::flistxattr(fd, &mut list[..]).map_err(errno) {
        Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        result => result?,
    };
    list.truncate(length);
    let mut found = Vec::new();
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0u8; 1 << 16];
        let key = CString::new(name).map_err(|_| Errno::EINVAL)?;
        match rustix::fs::fgetxattr(fd, key.as_c_str(), &mut value[..]).map_err(errno) {
            Ok(length) => {
                value.truncate(length);
                found.push((name.to_vec(), value));
            }
            // It went meanwhile.
            Err(Errno::ENODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}
