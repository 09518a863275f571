//! Calls with arguments that make no sense, to learn who refuses a call: the kernel itself looks at
//! the arguments first and says so, a filter (seccomp(2)) does not look, or answers before it.

use super::{Result, check, check_int};
use nix::errno::Errno;
use std::ptr;

/// A system call of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its manual page")]
pub enum Call {
    Clone3,
    Unshare,
    Mount,
    OpenTree,
    Fsopen,
    Fsconfig,
    Fsmount,
    MoveMount,
    MountSetattr,
    PivotRoot,
    Umount2,
    Seccomp,
}

impl Call {
    /// Those that make the namespaces, then those that build the root.
    pub const SET_UP: &[Self] = &[
        Self::Clone3,
        Self::Unshare,
        Self::Mount,
        Self::OpenTree,
        Self::Fsopen,
        Self::Fsconfig,
        Self::Fsmount,
        Self::MoveMount,
        Self::MountSetattr,
        Self::PivotRoot,
        Self::Umount2,
    ];

    /// Those that build the root. Without the capability to mount they say EPERM before they look at
    /// their arguments, so that they can be asked in a mount namespace of the asker's own only.
    pub const MOUNTING: &[Self] = Self::SET_UP.split_at(2).1;

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clone3 => "clone3",
            Self::Unshare => "unshare",
            Self::Mount => "mount",
            Self::OpenTree => "open_tree",
            Self::Fsopen => "fsopen",
            Self::Fsconfig => "fsconfig",
            Self::Fsmount => "fsmount",
            Self::MoveMount => "move_mount",
            Self::MountSetattr => "mount_setattr",
            Self::PivotRoot => "pivot_root",
            Self::Umount2 => "umount2",
            Self::Seccomp => "seccomp",
        }
    }

    /// Makes the call with arguments that make no sense. Nothing happens, whatever the answer.
    fn nonsense(self) -> libc::c_long {
        const NOTHING: *const u8 = ptr::null();
        const NOBODY: libc::c_int = -1;
        // SAFETY: each call gets a null pointer, a descriptor that is none, or a flag that does not
        // exist, and fails before it reads memory or changes anything.
        unsafe {
            match self {
                // A structure of no size; unshare(2) has no flag 1.
                Self::Clone3 => libc::syscall(libc::SYS_clone3, NOTHING, 0usize),
                Self::Unshare => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWCGROUP | 1),
                Self::Mount => {
                    libc::syscall(libc::SYS_mount, NOTHING, NOTHING, NOTHING, 0, NOTHING)
                }
                Self::OpenTree => libc::syscall(libc::SYS_open_tree, NOBODY, NOTHING, 0),
                Self::Fsopen => libc::syscall(libc::SYS_fsopen, NOTHING, 0),
                Self::Fsconfig => libc::syscall(libc::SYS_fsconfig, NOBODY, 0, NOTHING, NOTHING, 0),
                Self::Fsmount => libc::syscall(libc::SYS_fsmount, NOBODY, 0, 0),
                Self::MoveMount => {
                    libc::syscall(libc::SYS_move_mount, NOBODY, NOTHING, NOBODY, NOTHING, 0)
                }
                Self::MountSetattr => {
                    libc::syscall(libc::SYS_mount_setattr, NOBODY, NOTHING, 0, NOTHING, 0usize)
                }
                Self::PivotRoot => libc::syscall(libc::SYS_pivot_root, NOTHING, NOTHING),
                Self::Umount2 => libc::syscall(libc::SYS_umount2, NOTHING, 0),
                Self::Seccomp => libc::syscall(libc::SYS_seccomp, libc::c_uint::MAX, 0, NOTHING),
            }
        }
    }

    /// Who answers: `Ok` if the kernel has the call and a filter lets it through.
    ///
    /// # Errors
    /// What a filter answers (or, with `ENOSYS`, a kernel without the call).
    pub fn reaches_the_kernel(self) -> Result<()> {
        match check(self.nonsense()) {
            Err(answer @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) => Err(answer),
            _ => Ok(()),
        }
    }
}

/// fork(2) as libc does it, which uses clone(2) and so works where a filter refuses clone3(2);
/// `None` in the child.
pub fn fork() -> Result<Option<libc::pid_t>> {
    // SAFETY: the program has one thread, so that the child may do what the parent may.
    let pid = check_int(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}
