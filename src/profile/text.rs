//! From a path to a text. Reading a profile opens nothing but the profile, and never waits.

use crate::diag::Source;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The largest profile, in bytes. Real ones have a few kilobytes; the bound keeps a wrong path
/// from being read into memory, and what a hostile one costs within bounds: the parser notes down
/// every mistake, of which each byte can be one.
pub const LARGEST: u64 = 1 << 19;

/// Why a profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// open(2) or read(2) failed.
    #[error("cannot read the profile {path}: {cause}")]
    Io {
        /// The path.
        path: String,
        /// The reason of the kernel.
        cause: std::io::Error,
    },
    /// A directory, a FIFO, a device.
    #[error("the profile {path} is not a regular file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Larger than [`LARGEST`].
    #[error("the profile {path} has more than {LARGEST} bytes")]
    TooLarge {
        /// The path.
        path: String,
    },
    /// Bytes that are no text.
    #[error("the profile {path} is not UTF-8: line {line}, byte {byte} of the file")]
    NotUtf8 {
        /// The path.
        path: String,
        /// The line of the first wrong byte, from 1.
        line: usize,
        /// Its position in the file, from 0.
        byte: usize,
    },
}

impl ReadError {
    /// The file, as messages call it.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Io { path, .. }
            | Self::NotAFile { path }
            | Self::TooLarge { path }
            | Self::NotUtf8 { path, .. } => path,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Io { .. } => "name a profile that is there, by path or by name",
            Self::NotAFile { .. } => "name a TOML file",
            Self::TooLarge { .. } => "is this a profile? Move large data to files that it mounts",
            Self::NotUtf8 { .. } => "TOML is UTF-8: save the file in that encoding",
        }
    }
}

/// Reads a profile; `name` is how messages call it.
pub fn read(path: &Path, name: &str) -> Result<Source, ReadError> {
    let io = |cause| ReadError::Io {
        path: name.into(),
        cause,
    };
    let file = open(path, name)?;
    let metadata = file.metadata().map_err(io)?;
    let source = contents(file, name)?;
    let mut folder = std::path::absolute(path).map_err(io)?;
    folder.pop();
    Ok(source.in_file(folder, metadata.dev(), metadata.ino()))
}

/// Reads a part of a profile that is no text.
///
/// # Errors
/// As for [`read`].
pub fn bytes(path: &Path, name: &str) -> Result<Vec<u8>, ReadError> {
    all_of(open(path, name)?, name)
}

/// O_NONBLOCK: opening a FIFO would otherwise wait for somebody to write into it.
fn open(path: &Path, name: &str) -> Result<File, ReadError> {
    OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .map_err(|cause| ReadError::Io {
            path: name.into(),
            cause,
        })
}

/// Reads a profile that is open, without blocking. It is in no folder: it can extend built-in
/// profiles only.
pub fn contents(file: File, name: &str) -> Result<Source, ReadError> {
    let text = String::from_utf8(all_of(file, name)?).map_err(|e| {
        let byte = e.utf8_error().valid_up_to();
        let line = e
            .as_bytes()
            .iter()
            .take(byte)
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        ReadError::NotUtf8 {
            path: name.into(),
            line,
            byte,
        }
    })?;
    Ok(Source::new(name, text))
}

fn all_of(mut file: File, name: &str) -> Result<Vec<u8>, ReadError> {
    let io = |cause| ReadError::Io {
        path: name.into(),
        cause,
    };
    if !file.metadata().map_err(io)?.is_file() {
        return Err(ReadError::NotAFile { path: name.into() });
    }
    let mut bytes = Vec::new();
    file.by_ref()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ReadError::TooLarge { path: name.into() });
    }
    Ok(bytes)
}
