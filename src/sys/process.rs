//! Processes: clone3(2), fork, exec, exit, waiting, prctl(2).

use super::{Result, check, check_int};
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

/// `struct clone_args` of clone3(2).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// On which side of a clone the caller finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that cloned; `pidfd` refers to the child.
    Parent {
        /// The child's pid as the parent sees it.
        pid: libc::pid_t,
        /// A descriptor of the child (pidfd_open(2)).
        pidfd: RawFd,
    },
    /// The new process.
    Child,
}

/// Clones the calling process, as fork(2) does, into new namespaces and (on cgroup v2) straight
/// into a group. `flags` are the `CLONE_NEW*` (and `CLONE_PARENT`) of clone3(2). The child's end
/// sends no signal: its pidfd tells.
///
/// Not through glibc: clone3 has no wrapper, and the child must not run fork handlers.
pub fn clone_into(flags: u64, cgroup: Option<RawFd>) -> Result<Side> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        ..CloneArgs::default()
    };
    if let Some(group) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = group as u64;
    }
    // SAFETY: no stack is passed, so the child runs on its copy of this one, as after fork(2);
    // the process has one thread, so no lock is held by anyone else at this moment.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    Ok(if pid == 0 {
        Side::Child
    } else {
        Side::Parent {
            pid: pid as libc::pid_t,
            pidfd,
        }
    })
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// fork(2) without fork handlers and without a pidfd; `None` in the child. Until the child executes
/// a program, its end sends SIGURG, and only [`reap_unborn`] sees it; from then on SIGCHLD, since an
/// exec resets that (clone(2)).
pub fn fork() -> Result<Option<libc::pid_t>> {
    let args = CloneArgs {
        exit_signal: libc::SIGURG as u64,
        ..CloneArgs::default()
    };
    // SAFETY: as in clone_into.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    Ok((pid != 0).then_some(pid as libc::pid_t))
}

/// fork(2) for a process that runs a supervisor of its own, while this one has one thread; `None` in the new
/// process, which is asked to end (SIGTERM) when this one dies. It has to find its parent alive after that.
pub fn fork_run() -> Result<Option<libc::pid_t>> {
    // SAFETY: no pointers; getpid cannot fail.
    let this = unsafe { libc::getpid() };
    // SAFETY: the process has one thread, so that no lock is held by anyone else at this moment. Not by
    // clone3 as above: the new process goes on to make threads, for which the C library has to know of it.
    match check_int(unsafe { libc::fork() })? {
        0 => {
            if hear_of_parents_death().is_err() || parent() != this {
                exit(128 + libc::SIGTERM);
            }
            Ok(None)
        }
        pid => Ok(Some(pid)),
    }
}

/// pidfd_open(2).
pub fn open_pidfd(pid: libc::pid_t) -> Result<RawFd> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(|fd| fd as RawFd)
}

/// This process's id in its own pid namespace (getpid(2)).
#[must_use]
pub fn id() -> libc::pid_t {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

/// Ends the process at once (_exit(2)): the exit handlers and buffers in this memory belong to
/// the process it was copied from.
pub fn exit(code: libc::c_int) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// Waits for any child that has ended, without blocking: its pid and wait status (wait(2)).
pub fn reap() -> Result<Option<(libc::pid_t, libc::c_int)>> {
    wait(-1, libc::WNOHANG | libc::__WALL)
}

/// Waits for any child that has ended and had executed a program, without blocking: its pid and wait
/// status. ECHILD where there is no child that has executed one. Where it is asked for, one that was
/// stopped is told of too (`WIFSTOPPED` of wait(2)), and goes on being a child.
pub fn reap_executed(stopped: bool) -> Result<Option<(libc::pid_t, libc::c_int)>> {
    wait(
        -1,
        libc::WNOHANG | if stopped { libc::WUNTRACED } else { 0 },
    )
}

/// The wait status of a child that has ended without executing a program ([`fork`], [`clone_into`]),
/// without blocking; ECHILD where it has executed one.
pub fn reap_unborn(child: libc::pid_t) -> Result<Option<libc::c_int>> {
    wait(child, libc::WNOHANG | libc::__WCLONE).map(|ended| ended.map(|(_, status)| status))
}

fn wait(pid: libc::pid_t, flags: libc::c_int) -> Result<Option<(libc::pid_t, libc::c_int)>> {
    let mut status = 0;
    // SAFETY: status lives here.
    let pid = check_int(unsafe { libc::waitpid(pid, &raw mut status, flags) })?;
    Ok((pid > 0).then_some((pid, status)))
}

/// What a child and all that it has waited for have used (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Microseconds of processor time outside of the kernel.
    pub user_us: u64,
    /// Microseconds of processor time in the kernel.
    pub system_us: u64,
    /// The most memory that one of the processes had resident, in bytes.
    pub largest: u64,
    /// Blocks of 512 bytes that were read from disks.
    pub blocks_read: u64,
    /// Blocks of 512 bytes that are to be written to disks.
    pub blocks_written: u64,
    /// How often a process gave up the processor by itself.
    pub yields: u64,
    /// How often one was taken off the processor.
    pub preemptions: u64,
}

/// Waits for the end of one child: its wait status, and what it has used (wait4(2)).
pub fn wait_for(pid: libc::pid_t) -> Result<(libc::c_int, Spent)> {
    let mut status = 0;
    // SAFETY: all zeroes is a value of this structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: status and usage live here.
    check_int(unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) })?;
    let number = |n: libc::c_long| u64::try_from(n).unwrap_or(0);
    let time = |t: libc::timeval| number(t.tv_sec) * 1_000_000 + number(t.tv_usec);
    let spent = Spent {
        user_us: time(usage.ru_utime),
        system_us: time(usage.ru_stime),
        largest: number(usage.ru_maxrss) * 1024,
        blocks_read: number(usage.ru_inblock),
        blocks_written: number(usage.ru_oublock),
        yields: number(usage.ru_nvcsw),
        preemptions: number(usage.ru_nivcsw),
    };
    Ok((status, spent))
}

/// A pipe, closed at exec (pipe2(2)): the end to read from, and the end to write to.
pub fn pipe() -> Result<(RawFd, RawFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel fills two numbers, which live here.
    check_int(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [reading, writing] = ends;
    Ok((reading, writing))
}

/// Kills every child of the calling process, as `/proc` lists them (proc_tid_children(5)).
pub fn kill_children(list: RawFd) {
    let mut buffer = [0u8; 4096];
    // SAFETY: the pointer and the length are those of a live, exclusive array.
    let n = unsafe { libc::pread(list, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    let text = buffer.get(..n.max(0) as usize).unwrap_or_default();
    for number in text.split(|b| *b == b' ') {
        let pid = number.iter().fold(0i32, |pid, digit| {
            pid.wrapping_mul(10)
                .wrapping_add(i32::from(digit.wrapping_sub(b'0')))
        });
        if pid > 1 {
            // SAFETY: no pointers. The pid is that of a child that was not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

/// Opens the list of the calling process's children; only where `/proc` is that of its own pid
/// namespace.
pub fn open_children() -> Result<RawFd> {
    let path = c"/proc/thread-self/children";
    // SAFETY: the path is a static string.
    check_int(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) })
}

/// Waits a millisecond.
pub fn pause_briefly() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    // SAFETY: time lives here; the remainder is not asked for.
    unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
}

/// The parent's pid, 0 if it lies outside of this pid namespace.
#[must_use]
pub fn parent() -> libc::pid_t {
    // SAFETY: no pointers, cannot fail. Raw, since the answer must not come from a cache.
    unsafe { libc::syscall(libc::SYS_getppid) as libc::pid_t }
}

/// Asks for SIGKILL when the parent dies (`PR_SET_PDEATHSIG`). An id change clears it.
pub fn die_with_parent() -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)
}

/// Asks to be told by SIGTERM when the parent dies.
pub fn hear_of_parents_death() -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as u64)
}

/// Adopts orphans below this process (`PR_SET_CHILD_SUBREAPER`).
pub fn adopt_orphans() -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Keeps others, also those with the same uid, from reading this process (`PR_SET_DUMPABLE` 0):
/// its `/proc` entry then belongs to the host's root.
pub fn hide() -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// Undoes [`hide`], as exec does for a program that may be read.
pub fn show() -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 1)
}

/// Keeps memory that is or was writable from becoming executable, in this process and all that come
/// of it (`PR_SET_MDWE`, Linux 6.3).
pub fn refuse_write_execute() -> Result<()> {
    prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN.into())
}

/// Whether the kernel has [`refuse_write_execute`].
#[must_use]
pub fn can_refuse_write_execute() -> bool {
    prctl(libc::PR_GET_MDWE, 0).is_ok()
}

/// Makes reading the time-stamp counter a SIGSEGV (`PR_SET_TSC`), in this process and its descendants.
pub fn refuse_timestamps() -> Result<()> {
    prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV as u64)
}

/// Has no memory come in huge pages by itself (`PR_SET_THP_DISABLE`), in this process and its descendants.
pub fn refuse_huge_pages() -> Result<()> {
    prctl(libc::PR_SET_THP_DISABLE, 1)
}

/// Switches a speculation of the processor off for good (`PR_SET_SPECULATION_CTRL`), in this process and its
/// descendants.
///
/// # Errors
/// `ENXIO` where the machine is affected and has no switch for a process.
pub fn refuse_speculation(which: u32) -> Result<()> {
    use nix::errno::Errno;
    const GET: libc::c_int = 52;
    const SET: libc::c_int = 53;
    const DISABLE: libc::c_long = 1 << 2;
    const FORCE_DISABLE: libc::c_long = 1 << 3;
    let which = libc::c_ulong::from(which);
    // SAFETY: these options take numbers, and zeros for what they do not use.
    let set = check_int(unsafe { libc::prctl(SET, which, FORCE_DISABLE, 0, 0) });
    match set {
        // Nothing to be switched: not affected (0), or off for everybody.
        Err(Errno::ENXIO | Errno::EPERM) => {
            // SAFETY: as above.
            let found = check_int(unsafe { libc::prctl(GET, which, 0, 0, 0) })?;
            let found = libc::c_long::from(found);
            if found == 0 || found & (DISABLE | FORCE_DISABLE) != 0 {
                Ok(())
            } else {
                Err(Errno::ENXIO)
            }
        }
        result => result.map(drop),
    }
}

fn prctl(option: libc::c_int, value: u64) -> Result<()> {
    // SAFETY: the options used in this file take one number.
    check_int(unsafe { libc::prctl(option, value, 0, 0, 0) }).map(drop)
}

/// Starts a new session without a controlling terminal (setsid(2)).
pub fn new_session() -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::setsid() }).map(drop)
}

/// Makes the caller the leader of a new process group in its session (setpgid(2)).
pub fn new_process_group() -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::setpgid(0, 0) }).map(drop)
}

/// umask(2).
pub fn set_umask(mask: libc::mode_t) {
    // SAFETY: no pointers, cannot fail.
    unsafe { libc::umask(mask) };
}

/// setpriority(2) for the calling process.
pub fn set_nice(nice: libc::c_int) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// setrlimit(2); `resource` is one `RLIMIT_*`.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: limit lives here.
    check_int(unsafe { libc::setrlimit(resource as _, &raw const limit) }).map(drop)
}

/// getrlimit(2): soft and hard.
pub fn rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: limit lives here.
    check_int(unsafe { libc::getrlimit(resource as _, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// sethostname(2).
pub fn set_hostname(name: &CStr) -> Result<()> {
    // SAFETY: the pointer and the length are those of a live string.
    check_int(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) }).map(drop)
}

/// setdomainname(2).
pub fn set_domainname(name: &CStr) -> Result<()> {
    // SAFETY: the pointer and the length are those of a live string.
    check_int(unsafe { libc::setdomainname(name.as_ptr(), name.count_bytes()) }).map(drop)
}

/// Strings in the form in which execve(2) takes them, prepared before the clone.
#[derive(Clone, Debug)]
pub struct StringArray {
    strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl StringArray {
    /// Takes the strings and lays out the terminated array of pointers to them.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain(std::iter::once(std::ptr::null()))
            .collect();
        Self { strings, pointers }
    }

    /// The strings.
    #[must_use]
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }
}

impl PartialEq for StringArray {
    fn eq(&self, other: &Self) -> bool {
        self.strings == other.strings
    }
}

/// execve(2); returns only the reason why it failed.
#[must_use]
pub fn exec(
    program: &CStr,
    arguments: &StringArray,
    environment: &StringArray,
) -> nix::errno::Errno {
    // SAFETY: both arrays end with a null pointer and point into strings that live as long.
    unsafe {
        libc::execve(
            program.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        );
    }
    nix::errno::Errno::last()
}

/// execveat(2) of a program that was opened; returns only the reason why it failed.
#[must_use]
pub fn exec_opened(
    program: RawFd,
    arguments: &StringArray,
    environment: &StringArray,
) -> nix::errno::Errno {
    // SAFETY: the path is a static string, both arrays end with a null pointer and point into strings that live as
    // long.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    nix::errno::Errno::last()
}

/// Executes the first of some paths, as execvp(3): what is missing is passed over, and a file that
/// may not be executed is remembered, since a later one may do. Returns only why none was executed.
#[must_use]
pub fn exec_first(
    candidates: &[CString],
    arguments: &StringArray,
    environment: &StringArray,
) -> nix::errno::Errno {
    use nix::errno::Errno;
    let mut worst = Errno::ENOENT;
    for candidate in candidates {
        match exec(candidate, arguments, environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => worst = Errno::EACCES,
            other => return other,
        }
    }
    worst
}

/// Overwrites this process's copy of the arguments and the environment that it was started with,
/// so that `/proc/PID/environ` and `/proc/PID/cmdline` of init show nothing of the caller's, and
/// leaves `name` as its command line.
pub fn forget_arguments(arguments: &Arguments, name: &CStr) {
    for (start, length) in [arguments.arguments, arguments.environment] {
        if start != 0 {
            // SAFETY: the range was read from the kernel for this very address space (proc(5)),
            // lies in the initial stack, which is mapped writable, and nothing here reads it
            // again: the runtime's copies of arguments and environment were made before.
            unsafe { std::ptr::write_bytes(start as *mut u8, 0, length) };
        }
    }
    let (start, length) = arguments.arguments;
    if start != 0 {
        let n = name.count_bytes().min(length.saturating_sub(1));
        // SAFETY: as above; n bytes fit into the range and are readable in name.
        unsafe { std::ptr::copy_nonoverlapping(name.as_ptr().cast::<u8>(), start as *mut u8, n) };
    }
    set_name(name);
}

/// Names this process (`PR_SET_NAME`; proc_pid_comm(5)): by 15 bytes at most.
pub fn set_name(name: &CStr) {
    // SAFETY: PR_SET_NAME reads a NUL-terminated string of which it takes 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Where the kernel put the arguments and the environment of this process: start and length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    arguments: (usize, usize),
    environment: (usize, usize),
}

impl Arguments {
    /// Finds the ranges through `environ`: the kernel lays out the pointers to the arguments, a
    /// null, the pointers to the environment, a null; and the strings in the same order without
    /// a gap (execve(2)).
    #[must_use]
    pub fn of_this_process() -> Self {
        let count = std::env::args_os().count();
        // SAFETY: the program has one thread and never sets a variable, so environ is still the
        // kernel's array, with the arguments' pointers and their null in front of it.
        unsafe {
            if environ.is_null() {
                return Self::default();
            }
            Self {
                arguments: Self::range(environ.sub(count + 1)),
                environment: Self::range(environ),
            }
        }
    }

    /// The range of the adjacent strings that a null-terminated array points to.
    ///
    /// # Safety
    /// `entry` is such an array.
    unsafe fn range(mut entry: *const *const libc::c_char) -> (usize, usize) {
        // SAFETY: the caller passes a null-terminated array of NUL-terminated strings.
        unsafe {
            let start = *entry as usize;
            let mut end = start;
            while !(*entry).is_null() && *entry as usize == end {
                end += libc::strlen(*entry) + 1;
                entry = entry.add(1);
            }
            (start, end - start)
        }
    }
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}
