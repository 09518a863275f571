//! What could not be found out. A plan that takes "I cannot tell" for "no" could be weaker than what
//! its profile asks for, so that whoever looks at this machine notes here where the look failed, and
//! no plan is made of it.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

/// The first look that failed, if one did.
#[derive(Debug, Default)]
pub struct Doubt(RefCell<Option<(PathBuf, io::Error)>>);

impl Doubt {
    /// Notes that a look failed.
    pub fn note(&self, path: impl AsRef<Path>, why: impl Into<io::Error>) {
        let mut first = self.0.borrow_mut();
        if first.is_none() {
            *first = Some((path.as_ref().into(), why.into()));
        }
    }

    /// What a look at a path has found: `None` where there is nothing, or nothing that this caller may
    /// reach. Any other error is no answer, and noted.
    pub fn found<T>(&self, path: &Path, found: io::Result<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(why) => {
                let answers = [
                    libc::ENOENT,
                    libc::ENOTDIR,
                    libc::EACCES,
                    libc::ELOOP,
                    libc::ENAMETOOLONG,
                ];
                if !why
                    .raw_os_error()
                    .is_some_and(|errno| answers.contains(&errno))
                {
                    self.note(path, why);
                }
                None
            }
        }
    }

    /// The sentence on it, if there is a doubt.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let first = self.0.borrow();
        let (path, why) = first.as_ref()?;
        Some(format!("cannot look at {}: {why}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_answer_and_a_failure_is_none() {
        let doubt = Doubt::default();
        let error = |errno| Err::<(), _>(io::Error::from_raw_os_error(errno));
        let path = Path::new("/some/file");
        assert_eq!(doubt.found(path, Ok(1)), Some(1));
        assert_eq!(doubt.found(path, error(libc::ENOENT)), None);
        assert_eq!(doubt.sentence(), None);
        assert_eq!(doubt.found(path, error(libc::EIO)), None);
        assert_eq!(doubt.found(Path::new("/other"), error(libc::ENOMEM)), None);
        let said = doubt.sentence().unwrap();
        assert!(said.starts_with("cannot look at /some/file: Input/output error"));
    }
}
