//! Files of the host that a profile names for itself and not for the sandbox to show: opened with the
//! caller's rights, through no symbolic link. Which links a command could have planted depends on the grants
//! of earlier runs, which nobody knows; so none is followed, as on the way to a report.

use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Why a file cannot be had, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not there.
    Missing,
    /// The sentence, without a subject, and the remedy.
    For(String, &'static str),
}

/// Opens a file. A FIFO is not waited for, and no terminal becomes the caller's.
///
/// # Errors
/// Where it cannot be opened, or a link lies on the way.
pub fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<File, Refused> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(CWD, path, flags, mode, resolve)
        .map(File::from)
        .map_err(|errno| refused(Errno::from_raw(errno.raw_os_error())))
}

fn refused(errno: Errno) -> Refused {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => Refused::Missing,
        Errno::ELOOP => Refused::For(
            "has a symbolic link on its way, which a command could have made".into(),
            "write the path without links (`realpath` shows it)",
        ),
        errno => Refused::For(
            format!("cannot be opened: {} ({errno:?})", errno.desc()),
            "name a file that you may open",
        ),
    }
}

/// Whether a regular file begins with these bytes.
#[must_use]
pub fn begins_with<const N: usize>(path: &Path, bytes: [u8; N]) -> bool {
    let Ok(mut file) = open(path, OFlags::RDONLY, Mode::empty()) else {
        return false;
    };
    let mut found = [0; N];
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    is_file && file.read_exact(&mut found).is_ok() && found == bytes
}

/// Reads a regular file of at most so many bytes, as text.
///
/// # Errors
/// Where it cannot be opened, is no regular file, is longer, or is no text.
pub fn text(path: &Path, most: u64) -> Result<String, Refused> {
    let file = open(path, OFlags::RDONLY, Mode::empty())?;
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        refused(errno)
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Refused::For(
            "is no regular file".into(),
            "name a file with lines NAME=value",
        ));
    }
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > most {
        let message = format!("is longer than {most} bytes");
        return Err(Refused::For(message, "shorten it, or name several"));
    }
    String::from_utf8(bytes).map_err(|_| {
        let message = "is not UTF-8".to_owned();
        Refused::For(message, "store it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_read_is_a_file_of_text_through_no_link() {
        let folder = std::env::temp_dir().join(format!("named-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("real")).unwrap();
        // The temporary folder may itself lie behind a link.
        let folder = folder.canonicalize().unwrap();
        std::fs::write(folder.join("real/a"), "A=1\n").unwrap();
        std::fs::write(folder.join("real/b"), [0xff]).unwrap();
        symlink("real", folder.join("folder")).unwrap();
        symlink("real/a", folder.join("file")).unwrap();
        nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(text(&folder.join("real/a"), 4), Ok("A=1\n".into()));
        assert_eq!(text(&folder.join("none"), 4), Err(Refused::Missing));
        for (name, most, why) in [
            ("real/a", 3, "longer"),
            ("real/b", 3, "UTF-8"),
            ("real", 3, "regular"),
            ("fifo", 3, "regular"),
            ("folder/a", 4, "link"),
            ("file", 4, "link"),
        ] {
            match text(&folder.join(name), most) {
                Err(Refused::For(message, _)) => assert!(message.contains(why), "{message}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
