//! What the calls of i386 do that x86_64 has not, has under another name, or takes the arguments of in another way.
//! What is not here does the same as its namesake; the source is arch/x86/entry/syscalls/syscall_32.tbl of the
//! kernel, and what it leads to.

use super::{ALL, Meaning};
use crate::sections::seccomp::call::I386;
use syscalls::Sysno;

/// What socketcall(2) does is told by its first argument, to what and how by memory.
const SOCKETS: &[Sysno] = &[
    Sysno::socket,
    Sysno::socketpair,
    Sysno::bind,
    Sysno::connect,
    Sysno::listen,
    Sysno::accept,
    Sysno::accept4,
    Sysno::getsockname,
    Sysno::getpeername,
    Sysno::getsockopt,
    Sysno::setsockopt,
    Sysno::shutdown,
    Sysno::sendto,
    Sysno::recvfrom,
    Sysno::sendmsg,
    Sysno::recvmsg,
    Sysno::sendmmsg,
    Sysno::recvmmsg,
];

/// The same of ipc(2).
const SYSTEM_V: &[Sysno] = &[
    Sysno::semget,
    Sysno::semop,
    Sysno::semtimedop,
    Sysno::semctl,
    Sysno::msgget,
    Sysno::msgsnd,
    Sysno::msgrcv,
    Sysno::msgctl,
    Sysno::shmget,
    Sysno::shmat,
    Sysno::shmdt,
    Sysno::shmctl,
];

/// What the call does.
pub(super) fn meaning(call: I386) -> Meaning {
    let (native, same) = match call {
        I386::socketcall => return Meaning::Any(SOCKETS),
        I386::ipc => return Meaning::Any(SYSTEM_V),

        // Never there, or there no more.
        I386::r#break
        | I386::stty
        | I386::gtty
        | I386::ftime
        | I386::prof
        | I386::lock
        | I386::mpx
        | I386::ulimit
        | I386::profil
        | I386::idle
        | I386::bdflush => return Meaning::Nothing,

        // All arguments are behind one pointer.
        I386::mmap => (Sysno::mmap, 0),
        I386::select => (Sysno::select, 0),

        // Numbers of 64 bits take two registers, and move what comes after them.
        I386::pread64 => (Sysno::pread64, 3),
        I386::pwrite64 => (Sysno::pwrite64, 3),
        I386::preadv => (Sysno::preadv, 3),
        I386::pwritev => (Sysno::pwritev, 3),
        I386::preadv2 => (Sysno::preadv2, 3),
        I386::pwritev2 => (Sysno::pwritev2, 3),
        I386::truncate64 => (Sysno::truncate, 1),
        I386::ftruncate64 => (Sysno::ftruncate, 1),
        I386::_llseek => (Sysno::lseek, 1),
        I386::fadvise64 | I386::fadvise64_64 => (Sysno::fadvise64, 1),
        I386::readahead => (Sysno::readahead, 1),
        I386::sync_file_range => (Sysno::sync_file_range, 1),
        I386::fallocate => (Sysno::fallocate, 2),
        I386::fanotify_mark => (Sysno::fanotify_mark, 2),
        I386::lookup_dcookie => (Sysno::lookup_dcookie, 0),

        // The offset counts pages.
        I386::mmap2 => (Sysno::mmap, 5),
        // The last two are the other way round.
        I386::clone => (Sysno::clone, 3),
        // It has numbers of its own for locks.
        I386::fcntl64 => (Sysno::fcntl, 1),
        // The size of the structure comes in between.
        I386::statfs64 => (Sysno::statfs, 1),
        I386::fstatfs64 => (Sysno::fstatfs, 1),

        // Of ids they take 16 bits: 0x10000 is root.
        I386::setuid => (Sysno::setuid, 0),
        I386::setgid => (Sysno::setgid, 0),
        I386::setreuid => (Sysno::setreuid, 0),
        I386::setregid => (Sysno::setregid, 0),
        I386::setresuid => (Sysno::setresuid, 0),
        I386::setresgid => (Sysno::setresgid, 0),
        I386::setfsuid => (Sysno::setfsuid, 0),
        I386::setfsgid => (Sysno::setfsgid, 0),
        I386::chown => (Sysno::chown, 1),
        I386::lchown => (Sysno::lchown, 1),
        I386::fchown => (Sysno::fchown, 1),
        I386::setuid32 => (Sysno::setuid, ALL),
        I386::setgid32 => (Sysno::setgid, ALL),
        I386::setreuid32 => (Sysno::setreuid, ALL),
        I386::setregid32 => (Sysno::setregid, ALL),
        I386::setresuid32 => (Sysno::setresuid, ALL),
        I386::setresgid32 => (Sysno::setresgid, ALL),
        I386::setfsuid32 => (Sysno::setfsuid, ALL),
        I386::setfsgid32 => (Sysno::setfsgid, ALL),
        I386::chown32 => (Sysno::chown, ALL),
        I386::lchown32 => (Sysno::lchown, ALL),
        I386::fchown32 => (Sysno::fchown, ALL),
        I386::getuid32 => (Sysno::getuid, ALL),
        I386::geteuid32 => (Sysno::geteuid, ALL),
        I386::getgid32 => (Sysno::getgid, ALL),
        I386::getegid32 => (Sysno::getegid, ALL),
        I386::getresuid32 => (Sysno::getresuid, ALL),
        I386::getresgid32 => (Sysno::getresgid, ALL),
        I386::getgroups32 => (Sysno::getgroups, ALL),
        I386::setgroups32 => (Sysno::setgroups, ALL),

        // Wider structures.
        I386::stat64 | I386::oldstat => (Sysno::stat, ALL),
        I386::lstat64 | I386::oldlstat => (Sysno::lstat, ALL),
        I386::fstat64 | I386::oldfstat => (Sysno::fstat, ALL),
        I386::fstatat64 => (Sysno::newfstatat, ALL),
        I386::sendfile64 => (Sysno::sendfile, ALL),
        I386::ugetrlimit => (Sysno::getrlimit, ALL),
        I386::_newselect => (Sysno::select, ALL),
        I386::clock_gettime64 => (Sysno::clock_gettime, ALL),
        I386::clock_settime64 => (Sysno::clock_settime, ALL),
        I386::clock_adjtime64 => (Sysno::clock_adjtime, ALL),
        I386::clock_getres_time64 => (Sysno::clock_getres, ALL),
        I386::clock_nanosleep_time64 => (Sysno::clock_nanosleep, ALL),
        I386::timer_gettime64 => (Sysno::timer_gettime, ALL),
        I386::timer_settime64 => (Sysno::timer_settime, ALL),
        I386::timerfd_gettime64 => (Sysno::timerfd_gettime, ALL),
        I386::timerfd_settime64 => (Sysno::timerfd_settime, ALL),
        I386::utimensat_time64 => (Sysno::utimensat, ALL),
        I386::pselect6_time64 => (Sysno::pselect6, ALL),
        I386::ppoll_time64 => (Sysno::ppoll, ALL),
        I386::io_pgetevents_time64 => (Sysno::io_pgetevents, ALL),
        I386::recvmmsg_time64 => (Sysno::recvmmsg, ALL),
        I386::mq_timedsend_time64 => (Sysno::mq_timedsend, ALL),
        I386::mq_timedreceive_time64 => (Sysno::mq_timedreceive, ALL),
        I386::semtimedop_time64 => (Sysno::semtimedop, ALL),
        I386::rt_sigtimedwait_time64 => (Sysno::rt_sigtimedwait, ALL),
        I386::futex_time64 => (Sysno::futex, ALL),
        I386::sched_rr_get_interval_time64 => (Sysno::sched_rr_get_interval, ALL),

        // Older forms, with fewer arguments or in another order.
        I386::umount => (Sysno::umount2, 1),
        I386::waitpid => (Sysno::wait4, 3),
        I386::nice => (Sysno::setpriority, 0),
        I386::stime => (Sysno::settimeofday, 0),
        I386::readdir => (Sysno::getdents, 2),
        I386::olduname | I386::oldolduname => (Sysno::uname, ALL),
        I386::signal => (Sysno::rt_sigaction, 1),
        I386::sigaction => (Sysno::rt_sigaction, 3),
        I386::sigpending => (Sysno::rt_sigpending, 1),
        I386::sigprocmask => (Sysno::rt_sigprocmask, 3),
        I386::sgetmask | I386::ssetmask => (Sysno::rt_sigprocmask, 0),
        I386::sigsuspend => (Sysno::rt_sigsuspend, 0),
        I386::sigreturn => (Sysno::rt_sigreturn, ALL),
        // They made segments of 16 bits; of what is there of it, modify_ldt(2) is the rest.
        I386::vm86 | I386::vm86old => (Sysno::modify_ldt, 0),

        namesake => match namesake.name().parse() {
            Ok(native) => (native, ALL),
            Err(()) => return Meaning::Nothing,
        },
    };
    Meaning::As(native, same)
}
