//! What went wrong with a control group, in enough detail to say it in one sentence.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::cgroup::Controller;

/// What was being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Making a directory.
    Create,
    /// Opening a directory or file.
    Open,
    /// Waiting for the lock on a base directory, which other runs hold for moments only.
    Lock,
    /// Writing this value.
    Write(String),
    /// Reading.
    Read,
    /// Comparing what was wanted with what the kernel kept.
    Verify {
        /// The value written.
        wanted: String,
        /// The value read back.
        found: String,
    },
    /// Moving this process.
    Move(u32),
    /// Removing a directory.
    Remove,
}

/// A failed operation on a control group. Displays as a lower-case sentence fragment.
#[derive(Debug)]
pub struct CgroupError {
    /// The file or directory.
    pub path: PathBuf,
    /// What was being done with it.
    pub operation: Operation,
    /// The controller concerned, if it was one in particular.
    pub controller: Option<Controller>,
    /// The kernel's answer, or what stands for it.
    pub cause: io::Error,
}

impl CgroupError {
    pub(super) fn new(path: &Path, operation: Operation, cause: impl Into<io::Error>) -> Self {
        Self {
            path: path.to_path_buf(),
            operation,
            controller: None,
            cause: cause.into(),
        }
    }

    pub(super) fn of(mut self, controller: Controller) -> Self {
        self.controller = Some(controller);
        self
    }
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.operation {
            Operation::Create => write!(f, "cannot make the control group {path}")?,
            Operation::Open => write!(f, "cannot open {path}")?,
            Operation::Lock => write!(f, "cannot lock {path}")?,
            Operation::Write(value) => write!(f, "cannot write {value} to {path}")?,
            Operation::Read => write!(f, "cannot read {path}")?,
            Operation::Verify { wanted, found } => {
                write!(f, "wrote {wanted} to {path}, but it says {found}")?
            }
            Operation::Move(pid) => write!(f, "cannot move process {pid} to {path}")?,
            Operation::Remove => write!(f, "cannot remove the control group {path}")?,
        }
        if let Some(controller) = self.controller {
            write!(f, " ({controller} controller)")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl std::error::Error for CgroupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The errno inside an error of cgroups-rs, whose own text does not name the whole path.
pub(super) fn cause(error: &cgroups_rs::fs::error::Error) -> io::Error {
    error
        .source()
        .and_then(|inner| inner.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
        .map_or_else(
            || io::Error::other(error.to_string()),
            io::Error::from_raw_os_error,
        )
}
