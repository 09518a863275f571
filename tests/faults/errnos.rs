//! Which errors of a system call are plausible, by its manual page.

use crate::tracer::Point;
use nix::errno::Errno::{self, *};
use syscalls::Sysno;

/// The errors that are tried; none for a call that never fails, or never returns.
pub(crate) fn of(point: &Point) -> &'static [Errno] {
    match point.call {
        // "Always successful", "never fails" or "does not return" in their manual pages; the same
        // holds for what the start of every program asks of the kernel about itself.
        Sysno::exit
        | Sysno::exit_group
        | Sysno::rt_sigreturn
        | Sysno::getpid
        | Sysno::gettid
        | Sysno::getppid
        | Sysno::getuid
        | Sysno::geteuid
        | Sysno::getgid
        | Sysno::getegid
        | Sysno::umask
        | Sysno::set_tid_address
        | Sysno::sched_yield => &[],
        // ENOENT: the working directory was removed, from where a run is another one.
        Sysno::getcwd => &[EPERM, ENOMEM, EINVAL, EACCES],
        // ENOSYS, EOPNOTSUPP, EPERM: there is none here, and a run may do without.
        Sysno::landlock_create_ruleset => &[EINVAL, ENOMEM, E2BIG, EFAULT],
        // EINVAL: the file is no directory, for which less is permitted then.
        Sysno::landlock_add_rule => &[EPERM, ENOMEM, EBADF, EFAULT],
        Sysno::brk | Sysno::mmap => &[ENOMEM],
        Sysno::mprotect => &[ENOMEM, EACCES],
        Sysno::mremap => &[ENOMEM, EFAULT],
        Sysno::munmap | Sysno::madvise => &[EINVAL, ENOMEM],
        Sysno::arch_prctl | Sysno::set_robust_list | Sysno::rseq => &[EINVAL, EPERM],
        // Who wakes others has no error but for an address or an operation that is wrong (futex(2)): EAGAIN and EINTR
        // are of those who wait.
        Sysno::futex if point.operation == Some(libc::FUTEX_WAKE) => &[],
        Sysno::futex => &[EAGAIN, EINTR],
        Sysno::poll | Sysno::ppoll => &[EINTR, ENOMEM, EINVAL],
        // Never asked not to wait, so no EAGAIN.
        Sysno::getrandom => &[EINTR, ENOSYS, EPERM],
        Sysno::close => &[EINTR, EIO],
        Sysno::open | Sysno::openat | Sysno::openat2 | Sysno::open_tree => &[
            EPERM, ENOMEM, EINVAL, ENOENT, EINTR, EAGAIN, EACCES, EMFILE, ELOOP,
        ],
        Sysno::stat
        | Sysno::lstat
        | Sysno::fstat
        | Sysno::newfstatat
        | Sysno::statx
        | Sysno::readlink
        | Sysno::readlinkat
        | Sysno::access
        | Sysno::faccessat
        | Sysno::faccessat2
        | Sysno::statfs
        | Sysno::fstatfs => &[EPERM, ENOMEM, EINVAL, ENOENT, EACCES, EIO],
        Sysno::read | Sysno::pread64 | Sysno::readv => {
            &[EPERM, ENOMEM, EINVAL, EINTR, EAGAIN, EIO, ENOENT]
        }
        // The directory was removed, and is empty: ENOENT. What can be removed is empty before.
        Sysno::getdents64 => &[EPERM, ENOMEM, EINVAL, EIO, ENOTDIR],
        Sysno::write | Sysno::pwrite64 | Sysno::writev | Sysno::sendmsg | Sysno::sendto => &[
            EPERM, ENOMEM, EINVAL, EINTR, EAGAIN, EIO, ENOSPC, EPIPE, EBUSY,
        ],
        Sysno::recvmsg | Sysno::recvfrom => &[EINTR, EAGAIN, ENOMEM, ECONNRESET],
        Sysno::clone | Sysno::clone3 | Sysno::fork | Sysno::vfork => {
            &[EPERM, ENOMEM, EINVAL, EAGAIN, ENOSPC, EUSERS, ENOSYS]
        }
        Sysno::unshare | Sysno::setns => &[EPERM, ENOMEM, EINVAL, ENOSPC, EUSERS],
        Sysno::execve | Sysno::execveat => &[
            EPERM, ENOMEM, EINVAL, ENOENT, EAGAIN, EACCES, E2BIG, ENOEXEC, ETXTBSY,
        ],
        Sysno::mount
        | Sysno::move_mount
        | Sysno::fsopen
        | Sysno::fsconfig
        | Sysno::fsmount
        | Sysno::mount_setattr
        | Sysno::pivot_root
        | Sysno::umount2 => &[EPERM, ENOMEM, EINVAL, ENOENT, EBUSY, ENOSYS, EACCES, ENOSPC],
        Sysno::mkdir
        | Sysno::mkdirat
        | Sysno::symlinkat
        | Sysno::mknodat
        | Sysno::rmdir
        | Sysno::unlink
        | Sysno::unlinkat
        | Sysno::renameat2 => &[EPERM, ENOMEM, EINVAL, ENOENT, EACCES, ENOSPC, EEXIST, EBUSY],
        Sysno::setuid | Sysno::setgid | Sysno::setresuid | Sysno::setresgid | Sysno::setgroups => {
            &[EPERM, ENOMEM, EINVAL, EAGAIN]
        }
        Sysno::seccomp | Sysno::prctl => &[EPERM, ENOMEM, EINVAL, EACCES, EFAULT],
        Sysno::socket | Sysno::socketpair => &[EPERM, ENOMEM, EINVAL, EMFILE, EAFNOSUPPORT],
        Sysno::wait4 | Sysno::waitid => &[EINTR, ECHILD, EINVAL],
        Sysno::kill | Sysno::tgkill | Sysno::pidfd_send_signal => &[EPERM, EINVAL, ESRCH],
        Sysno::rt_sigtimedwait | Sysno::rt_sigsuspend | Sysno::pause => &[EINTR, EAGAIN],
        Sysno::nanosleep | Sysno::clock_nanosleep => &[EINTR],
        Sysno::flock => &[EINTR, EAGAIN, EINVAL, ENOLCK],
        Sysno::ioctl => &[EPERM, ENOMEM, EINVAL, ENOTTY, EINTR],
        _ => &[EPERM, ENOMEM, EINVAL, ENOENT, EINTR, EAGAIN],
    }
}
