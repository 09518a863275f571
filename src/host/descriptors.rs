//! What the caller has left open for the command.

use crate::sys::descriptor;
use std::os::fd::RawFd;

/// A descriptor that this program was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherited {
    /// A file, a pipe, a socket: only what it is itself can be reached through it.
    Harmless,
    /// Through it more can be reached than itself: what it is.
    LeadsOut(&'static str),
}

/// What the caller has open under a number.
///
/// All that this program opens is closed at exec, and nothing that was inherited can be: the exec
/// that started this program would have closed it. So the flag tells the two apart at any time.
#[must_use]
pub fn inherited(fd: RawFd) -> Option<Inherited> {
    if descriptor::is_closed_at_exec(fd).ok()? {
        return None;
    }
    if descriptor::is_directory(fd).ok()? {
        return Some(Inherited::LeadsOut("a directory"));
    }
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let name = name.to_str().unwrap_or_default();
    Some(if name == "anon_inode:[io_uring]" {
        // Its requests pass by the system call filter.
        Inherited::LeadsOut("an io_uring")
    } else if name == "anon_inode:[fscontext]" {
        Inherited::LeadsOut("a file system to be mounted")
    } else if is_namespace(name) {
        Inherited::LeadsOut("a namespace")
    } else {
        Inherited::Harmless
    })
}

/// `mnt:[4026531841]`, which no path of a file looks like.
fn is_namespace(name: &str) -> bool {
    let digits = |rest: &str| {
        let number = rest.strip_suffix(']');
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts = name.split_once(":[");
    parts.is_some_and(|(kind, rest)| {
        !kind.contains('/') && !matches!(kind, "pipe" | "socket") && digits(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_from_pipes() {
        assert!(is_namespace("mnt:[4026531841]"));
        for other in [
            "pipe:[1]",
            "socket:[1]",
            "/tmp/mnt:[1]",
            "mnt:[]",
            "anon_inode:[eventfd]",
        ] {
            assert!(!is_namespace(other), "{other}");
        }
    }

    #[test]
    fn what_this_program_opens_is_not_inherited() {
        use std::os::fd::AsRawFd as _;
        let own = std::fs::File::open("/proc/self/stat").unwrap();
        assert_eq!(inherited(own.as_raw_fd()), None);
        assert_eq!(inherited(1_000_000), None);
        // The standard error of a test is.
        assert_eq!(inherited(2), Some(Inherited::Harmless));
    }
}
