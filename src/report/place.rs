//! Where a report goes: opened before anything runs, written by the supervisor with the caller's
//! rights, whole or not at all.
//!
//! The file may lie in a folder that the command can write to. So no symbolic link is followed on
//! the way to it, not even one that the caller would trust: an earlier command may have planted it.
//! The folder is opened once and held; the file in it is replaced by renaming, which follows nothing.
//! Until the end it says that the supervisor was lost, which is then the truth if nobody replaces it.

use crate::host::descriptors;
use crate::sections::report::Target;
use crate::sys::descriptor;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a reader of a descriptor may take before the rest of a report is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place that was opened.
#[derive(Debug)]
pub struct Opened(Kind);

#[derive(Debug)]
enum Kind {
    File {
        folder: OwnedFd,
        name: PathBuf,
        /// The name that it is written under.
        passing: PathBuf,
        shown: String,
    },
    Descriptor(RawFd),
}

/// Why a report cannot be written, and what to do.
#[derive(Debug)]
pub struct Unwritable {
    /// The sentence.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl Opened {
    /// Opens a place; a relative path starts in the working directory.
    ///
    /// # Errors
    /// When a report could not be written there.
    pub fn new(target: &Target) -> Result<Self, Unwritable> {
        match target {
            Target::File(path) => Self::file(path),
            Target::Descriptor(number) => Self::descriptor(*number),
        }
    }

    fn file(path: &Path) -> Result<Self, Unwritable> {
        let shown = path.display().to_string();
        let refused = |why: &str, help: &str| Unwritable {
            message: format!("cannot write the report to {shown}: {why}"),
            help: help.into(),
        };
        let folder_of = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let Some(name) = path.file_name() else {
            return Err(refused(
                "it names no file",
                "name a file, for example: report.json",
            ));
        };
        let folder = rustix::fs::openat2(
            CWD,
            folder_of.unwrap_or(Path::new(".")),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        );
        let folder = folder.map_err(|errno| match errno {
            rustix::io::Errno::LOOP => refused(
                "a symbolic link lies on the way, which a command could have made",
                "write the path without links (`realpath` shows it)",
            ),
            errno => refused(&described(errno), "name a folder that exists"),
        })?;
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => {}
                FileType::Symlink => {
                    let why = "it is a symbolic link, which a command could have made";
                    return Err(refused(why, "remove it, or name another file"));
                }
                _ => {
                    let why = "what is there is no regular file, and cannot be replaced";
                    return Err(refused(why, "name another file, or a descriptor: fd:3"));
                }
            },
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(refused(&described(errno), "name another file")),
        }
        let mut passing = std::ffi::OsString::from(".");
        passing.push(name);
        passing.push(format!(".{}", std::process::id()));
        Ok(Self(Kind::File {
            folder,
            name: name.into(),
            passing: passing.into(),
            shown,
        }))
    }

    fn descriptor(number: RawFd) -> Result<Self, Unwritable> {
        let refused = |why: &str| Unwritable {
            message: format!("cannot write the report to descriptor {number}: {why}"),
            help: format!("open it for the run, for example: sandbox … {number}>report.json"),
        };
        // What is ours under this number is not what the caller means.
        if descriptors::inherited(number).is_none() {
            return Err(refused("it is not open"));
        }
        if descriptor::is_writable(number) {
            Ok(Self(Kind::Descriptor(number)))
        } else {
            Err(refused("it is not open for writing"))
        }
    }

    /// Whether what is written can be replaced later on.
    #[must_use]
    pub fn can_be_replaced(&self) -> bool {
        matches!(self.0, Kind::File { .. })
    }

    /// Writes a report, in the place of an earlier one.
    ///
    /// # Errors
    /// When it is not there as a whole. Nothing else is left then.
    pub fn write(&self, text: &str) -> Result<(), Unwritable> {
        match &self.0 {
            Kind::File {
                folder,
                name,
                passing,
                shown,
            } => replace(folder.as_fd(), name, passing, text.as_bytes()).map_err(|errno| {
                Unwritable {
                    message: format!("cannot write the report to {shown}: {}", described(errno)),
                    help: "name a file in a folder that you may write to".into(),
                }
            }),
            Kind::Descriptor(number) => {
                hand_over(*number, text.as_bytes()).map_err(|why| Unwritable {
                    message: format!("cannot write the report to descriptor {number}: {why}"),
                    help: "let its reader read all of it".into(),
                })
            }
        }
    }
}

fn described(errno: rustix::io::Errno) -> String {
    let errno = Errno::from_raw(errno.raw_os_error());
    format!("{} ({errno:?})", errno.desc())
}

/// A file without a name, filled, that gets one and then the right one: what a kill in between can
/// leave is the name for a moment, and never half a report.
fn replace(
    folder: BorrowedFd<'_>,
    name: &Path,
    passing: &Path,
    bytes: &[u8],
) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let unlink = || {
        let _ = rustix::fs::unlinkat(folder, passing, AtFlags::empty());
    };
    // What a killed run left under this name is nobody else's: the process with this number is us.
    unlink();
    match rustix::fs::openat(folder, ".", flags | OFlags::TMPFILE, mode) {
        Ok(file) => {
            write_all(&file, bytes)?;
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            rustix::fs::linkat(CWD, path, folder, passing, AtFlags::SYMLINK_FOLLOW)?;
        }
        // File systems that have no files without names.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(folder, passing, flags, mode)?;
            write_all(&file, bytes).inspect_err(|_| unlink())?;
        }
        Err(errno) => return Err(errno),
    }
    rustix::fs::renameat(folder, passing, folder, name).inspect_err(|_| unlink())
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(rustix::io::Errno::IO),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes to a descriptor whose reader may be slow, or have stopped reading.
fn hand_over(number: RawFd, bytes: &[u8]) -> Result<(), String> {
    let words = |errno: Errno| format!("{} ({errno:?})", errno.desc());
    // A copy of our own, so that the number stays the caller's.
    let copy = descriptor::duplicate(number).map_err(words)?;
    let deadline = Instant::now() + PATIENCE;
    // So much, a pipe that is ready takes at once (pipe(7)).
    for part in bytes.chunks(libc::PIPE_BUF) {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(copy.as_fd(), PollFlags::POLLOUT)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(0) => return Err(format!("nobody has read it for {PATIENCE:?}")),
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(words(errno)),
            }
        }
        write_all(&copy, part).map_err(described)?;
    }
    Ok(())
}
