//! A profile as a revision of a git repository has it, spelled as git spells it: `HEAD:build.toml`,
//! `v1.2:./build.toml`, `:build.toml` for what is staged.
//!
//! A repository is as hostile as the profile in it. Its objects are read with the program `git`, in
//! a way in which nothing that a repository's own configuration names is run.

use super::text::LARGEST;
use crate::diag::Source;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Why a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// It looks like an option.
    #[error("`{0}` is no revision: it starts with `-`")]
    Option(String),
    /// There is no git.
    #[error("there is no program `git` in the search path, and `{0}` names a revision")]
    NoGit(String),
    /// Git cannot be started.
    #[error("cannot run git: {0}")]
    Run(#[from] std::io::Error),
    /// Git says no.
    #[error("git cannot read `{revision}`: {said}")]
    Refused {
        /// What was asked for.
        revision: String,
        /// Its own words.
        said: String,
    },
    /// It takes too long.
    #[error("git did not read `{revision}` within {} s", PATIENCE.as_secs())]
    TooSlow {
        /// What was asked for.
        revision: String,
    },
    /// Larger than a profile may be.
    #[error("`{0}` has more than {LARGEST} bytes")]
    TooLarge(String),
    /// Bytes that are no text.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
}

impl RevisionError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoGit(_) | Self::Run(_) => "install git (package `git`), or name a file",
            Self::TooLarge(_) => "is this a profile? Move large data to files that it mounts",
            Self::NotUtf8(_) => "TOML is UTF-8: save the file in that encoding",
            Self::Option(_) | Self::Refused { .. } | Self::TooSlow { .. } => {
                "for example HEAD:sandbox.toml, as in `git show`; a file with a colon in its name is ./a:b"
            }
        }
    }
}

/// How long git may take: a repository can hold a FIFO where git expects a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a name means a revision: it holds a colon and does not start as a path does.
#[must_use]
pub fn is_revision(name: &str) -> bool {
    name.contains(':') && !["/", "./", "../"].iter().any(|path| name.starts_with(path))
}

/// Reads a revision in the repository of the working directory. `search` is where git is looked
/// for, and `home` where the caller's own configuration of it is.
pub fn read(revision: &str, search: &str, home: Option<&Path>) -> Result<Source, RevisionError> {
    if revision.starts_with('-') {
        return Err(RevisionError::Option(revision.into()));
    }
    let git = git(search).ok_or_else(|| RevisionError::NoGit(revision.into()))?;
    let mut command = Command::new(git);
    command
        .args(["--no-pager", "--no-replace-objects", "--literal-pathspecs"])
        // What a repository may name to be run; and no repository that lies about as data.
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(["-c", "safe.bareRepository=explicit"])
        .args(["cat-file", "blob", revision])
        .env_clear()
        .env("PATH", search)
        // An object that is missing would be fetched, by a command that the repository names; git
        // before 2.45 knows only the second.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The caller's own configuration says which repositories of others it trusts (safe.directory).
    if let Some(home) = home {
        command.env("HOME", home);
    }
    let mut child = command.spawn()?;
    let read = outputs(&mut child);
    let Some((stdout, stderr)) = read else {
        // It is ours and not reaped, so its pid is still its own.
        let _ = child.kill();
        let _ = child.wait();
        return Err(RevisionError::TooSlow {
            revision: revision.into(),
        });
    };
    if stdout.len() as u64 > LARGEST {
        let _ = child.kill();
        let _ = child.wait();
        return Err(RevisionError::TooLarge(revision.into()));
    }
    if !child.wait()?.success() {
        let said = String::from_utf8_lossy(&stderr);
        let said = said
            .trim()
            .trim_start_matches("fatal: ")
            .replace('\n', "; ");
        return Err(RevisionError::Refused {
            revision: revision.into(),
            said,
        });
    }
    let text = String::from_utf8(stdout).map_err(|_| RevisionError::NotUtf8(revision.into()))?;
    Ok(Source::new(revision, text).of_revision())
}

/// The revision of the file that a path names beside a revision: in the same commit.
#[must_use]
pub fn beside(revision: &str, path: &str) -> String {
    let (commit, own) = revision.split_once(':').unwrap_or((revision, ""));
    let mut parts: Vec<&str> = own.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts
                .last()
                .is_some_and(|last| *last != "." && *last != "..") =>
            {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{commit}:{}", parts.join("/"))
}

/// Git, in the absolute folders of a search path: a relative one could be the project's.
fn git(search: &str) -> Option<PathBuf> {
    search
        .split(':')
        .map(Path::new)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("git"))
        .find(|path| path.is_file())
}

/// What a child writes to stdout and stderr, no more than a profile may have; `None` if it takes
/// too long.
fn outputs(child: &mut Child) -> Option<(Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take()?, child.stderr.take()?);
    let (done, both) = mpsc::channel();
    let also = done.clone();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.take(LARGEST + 1).read_to_end(&mut bytes);
        let _ = done.send((true, bytes));
    });
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.take(LARGEST).read_to_end(&mut bytes);
        let _ = also.send((false, bytes));
    });
    let until = std::time::Instant::now() + PATIENCE;
    let (mut out, mut err) = (None, None);
    while out.is_none() || err.is_none() {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match both.recv_timeout(left).ok()? {
            (true, bytes) if bytes.len() as u64 > LARGEST => return Some((bytes, Vec::new())),
            (true, bytes) => out = Some(bytes),
            (false, bytes) => err = Some(bytes),
        }
    }
    Some((out?, err?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_spelled_as_git_spells_them() {
        for revision in ["HEAD:a.toml", ":a.toml", "v1:./a.toml", "a:b"] {
            assert!(is_revision(revision), "{revision}");
        }
        for path in ["a.toml", "./a:b", "/a:b", "../a:b", "build"] {
            assert!(!is_revision(path), "{path}");
        }
        let wrong = read("-x:y", "/usr/bin", None).unwrap_err();
        assert!(matches!(wrong, RevisionError::Option(_)));
        let relative = read("HEAD:y", ".:bin", None).unwrap_err();
        assert!(matches!(relative, RevisionError::NoGit(_)));
    }
}
