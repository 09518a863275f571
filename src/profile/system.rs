//! The ceiling that whoever keeps the machine has set: a profile that no run may exceed.

use super::text::{self, ReadError};
use crate::diag::Source;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Where it is.
pub const CEILING: &str = "/etc/sandbox/ceiling.toml";

/// Why a ceiling that is there cannot be relied on. The run is refused, not left without.
#[derive(Debug, thiserror::Error)]
pub enum CeilingError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Others than root could have written it.
    #[error("the system's ceiling {path} {why}")]
    Untrusted {
        /// Its path.
        path: String,
        /// What is wrong with the file.
        why: String,
    },
}

impl CeilingError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Read(ReadError::Io { path, .. }) => {
                format!("whoever keeps this machine: chmod 644 {path}, and 755 its folder")
            }
            Self::Read(error) => error.remedy().into(),
            Self::Untrusted { path, .. } => format!(
                "whoever keeps this machine: make it a regular file, chown root:root {path}, chmod 644 {path}"
            ),
        }
    }
}

/// Reads the ceiling of this machine, if it has one.
pub fn ceiling() -> Result<Option<Source>, CeilingError> {
    trusted(Path::new(CEILING), 0)
}

/// Reads a file that only `owner` can have written; `None` if there is none.
fn trusted(path: &Path, owner: u32) -> Result<Option<Source>, CeilingError> {
    let name = path.display().to_string();
    // O_NOFOLLOW: where a link leads is not for its owner alone to say.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let untrusted = |why: String| CeilingError::Untrusted {
        path: path.display().to_string(),
        why,
    };
    let file = match opened {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(untrusted("is a symbolic link".into()));
        }
        Err(cause) => return Err(ReadError::Io { path: name, cause }.into()),
    };
    if let Some(why) = doubt(&file, owner, &name)? {
        return Err(untrusted(why));
    }
    Ok(Some(text::contents(file, &name)?))
}

/// What speaks against relying on a file. Asked of what was opened, so that nothing can be put in
/// its place in between.
fn doubt(file: &File, owner: u32, name: &str) -> Result<Option<String>, ReadError> {
    let metadata = file.metadata().map_err(|cause| ReadError::Io {
        path: name.into(),
        cause,
    })?;
    let mode = metadata.mode() & 0o7777;
    Ok(if !metadata.is_file() {
        Some("is not a regular file".into())
    } else if metadata.uid() != owner {
        Some(format!(
            "belongs to the user {}, not to root",
            metadata.uid()
        ))
    } else if mode & 0o022 != 0 {
        Some(format!(
            "can be written by others than root (mode {mode:o})"
        ))
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn only_a_file_that_none_but_its_owner_writes_is_read() {
        let name = format!("sandbox-ceiling-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("ceiling.toml");
        let me = nix::unistd::geteuid().as_raw();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
        };
        let why = |result: Result<Option<Source>, CeilingError>| result.unwrap_err().to_string();

        assert!(trusted(&path, me).unwrap().is_none());
        assert!(trusted(&folder.join("none/x.toml"), me).unwrap().is_none());
        std::fs::write(&path, "version = 1\n").unwrap();
        mode(0o644);
        assert_eq!(trusted(&path, me).unwrap().unwrap().text(), "version = 1\n");
        assert!(why(trusted(&path, me + 1)).contains("not to root"));
        for wrong in [0o664, 0o646] {
            mode(wrong);
            assert!(why(trusted(&path, me)).contains("by others than root"));
        }
        mode(0o644);
        let link = folder.join("link.toml");
        symlink(&path, &link).unwrap();
        assert!(why(trusted(&link, me)).contains("symbolic link"));
        assert!(why(trusted(&folder, me)).contains("not a regular file"));
        let fifo = folder.join("fifo.toml");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(why(trusted(&fifo, me)).contains("not a regular file"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
