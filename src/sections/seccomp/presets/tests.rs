//! The data as programs meet it: real kernels, real programs.

use super::super::policy::{Answer, Entry, Policy};
use super::*;
use crate::review::arguments::{Is, Test};
use libc::EAFNOSUPPORT;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use libc::{c_long, sock_filter};

fn filter(preset: Preset) -> Vec<sock_filter> {
    Policy::from(preset).compile().unwrap().unwrap_or_default()
}

/// Installs `filter` for the rest of this process's life; an empty one stands for none.
fn install(filter: &[sock_filter]) -> bool {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program outlives the call, which copies it; neither call takes other pointers.
    filter.is_empty()
        || unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    0,
                    &program,
                ) == 0
        }
}

/// The errno (or 0) of each call, made one after the other in a child under `filter`.
fn errnos(filter: &[sock_filter], calls: &[[c_long; 6]]) -> Vec<i32> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the child makes system calls only, no allocation, and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: the arguments are numbers, or pointers to strings that the caller holds.
        unsafe {
            if !install(filter) {
                libc::_exit(1);
            }
            for &[nr, a, b, c, d, e] in calls {
                let result = libc::syscall(nr, a, b, c, d, e);
                if result == 0 && nr == libc::SYS_clone {
                    libc::_exit(0);
                }
                let errno = if result < 0 {
                    *libc::__errno_location()
                } else {
                    0
                };
                libc::write(ends[1], (&raw const errno).cast(), 4);
            }
            libc::_exit(0);
        }
    }
    let mut found = Vec::new();
    let (mut errno, mut status) = (0_i32, 0);
    // SAFETY: the descriptors are ours, the buffer has four bytes, and `status` is written to.
    unsafe {
        libc::close(ends[1]);
        while libc::read(ends[0], (&raw mut errno).cast(), 4) == 4 {
            found.push(errno);
        }
        libc::close(ends[0]);
        libc::waitpid(pid, &raw mut status, 0);
    }
    assert_eq!(status, 0, "the child could not install the filter");
    found
}

/// Runs a program under a preset; `None`, said aloud, if it is not installed here.
fn run(preset: Preset, command: &[&str]) -> Option<Output> {
    let program = filter(preset);
    let mut child = Command::new(command[0]);
    child.args(&command[1..]);
    // SAFETY: the closure makes two system calls on memory that the parent has prepared.
    unsafe {
        child.pre_exec(move || {
            if install(&program) {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
    match child.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("NOT TESTED: {} is not installed", command[0]);
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn assert_runs(preset: Preset, command: &[&str]) {
    if let Some(output) = run(preset, command) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
    }
}

#[test]
fn every_call_is_in_exactly_one_group() {
    for call in (0..Sysno::table_size()).filter_map(Sysno::new) {
        let groups: Vec<_> = GROUPS
            .iter()
            .filter(|group| group.calls.contains(&call))
            .map(|group| group.name)
            .collect();
        assert_eq!(groups.len(), 1, "{call} is in {groups:?}");
    }
    let listed: usize = GROUPS.iter().map(|group| group.calls.len()).sum();
    assert_eq!(listed, Sysno::count(), "a call is listed twice in a group");
}

#[test]
fn names_are_unique_and_found() {
    for known in GROUPS {
        assert!(std::ptr::eq(group(known.name).unwrap(), known));
    }
}

#[test]
fn strict_permits_nothing_that_default_refuses() {
    for group in GROUPS {
        let loosened = group.strict == Stance::Allow && group.default != Stance::Allow;
        assert!(!loosened, "{}", group.name);
    }
}

const CLONE_USER: c_long = libc::CLONE_NEWUSER as c_long | libc::SIGCHLD as c_long;

#[test]
fn kernel_refuses_what_default_refuses() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let fd = c_long::from(std::os::fd::AsRawFd::as_raw_fd(&null));
    let file = std::env::temp_dir().join(format!("seccomp-mode-{}", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let name = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    let path = name.as_ptr() as c_long;
    let at = c_long::from(libc::AT_FDCWD);
    let high = 1 << 32;
    let create = c_long::from(libc::O_CREAT | libc::O_WRONLY);
    let sockets = c_long::from(libc::SOCK_STREAM);

    // The call, its errno without a filter (-1 where that depends on the kernel or an outer filter), and with it.
    #[rustfmt::skip]
    let cases: &[([c_long; 6], i32, i32)] = &[
        ([libc::SYS_ioctl, fd, 0x5412, 0, 0, 0], libc::ENOTTY, EPERM),
        ([libc::SYS_ioctl, fd, 0x5412 | high, 0, 0, 0], libc::ENOTTY, EPERM),
        ([libc::SYS_ioctl, fd, 0x541c | high << 7, 0, 0, 0], libc::ENOTTY, EPERM),
        ([libc::SYS_ioctl, fd, 0x5423, 0, 0, 0], libc::ENOTTY, EPERM),
        ([libc::SYS_ioctl, fd, 0x5401, 0, 0, 0], libc::ENOTTY, libc::ENOTTY),
        ([libc::SYS_clone, CLONE_USER, 0, 0, 0, 0], -1, EPERM),
        ([libc::SYS_clone, c_long::from(libc::SIGCHLD), 0, 0, 0, 0], 0, 0),
        ([libc::SYS_clone3, 0, 0, 0, 0, 0], -1, ENOSYS),
        ([libc::SYS_unshare, 0, 0, 0, 0, 0], -1, EPERM),
        ([libc::SYS_socket, 40, sockets, 0, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 38, 5, 0, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 2, 10, 0, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 16, 3, 9, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 16, 3, 0, 0, 0], 0, 0),
        ([libc::SYS_socket, 2, sockets, 0, 0, 0], 0, 0),
        ([libc::SYS_socket, 2, sockets, 6, 0, 0], 0, 0),
        ([libc::SYS_socket, 2, sockets, 132, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 10, 2, 136, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_socket, 2, 2, 115, 0, 0], -1, EAFNOSUPPORT),
        ([libc::SYS_fchmodat, at, path, 0o4755, 0, 0], 0, EPERM),
        ([libc::SYS_fchmodat, at, path, 0o2755, 0, 0], 0, EPERM),
        ([libc::SYS_fchmodat, at, path, 0o1755, 0, 0], 0, 0),
        ([libc::SYS_openat, at, path, create, 0o4644, 0], 0, EPERM),
        ([libc::SYS_openat, at, path, create, 0o644, 0], 0, 0),
        ([libc::SYS_openat, at, path, 0, 0o6777, 0], 0, 0),
        #[cfg(target_arch = "x86_64")]
        ([libc::SYS_chmod, path, 0o4755, 0, 0, 0], 0, EPERM),
        #[cfg(target_arch = "x86_64")]
        ([libc::SYS_open, path, create, 0o2644, 0, 0], 0, EPERM),
        ([libc::SYS_keyctl, 0, -3, 0, 0, 0], -1, ENOSYS),
        ([libc::SYS_personality, 0x40_0000, 0, 0, 0, 0], -1, EPERM),
        ([libc::SYS_personality, 0xffff_ffff, 0, 0, 0, 0], 0, 0),
        // x32's getpid: the bit makes it another number, whether or not the kernel has x32.
        ([39 | 0x4000_0000, 0, 0, 0, 0, 0], -1, ENOSYS),
        ([9999, 0, 0, 0, 0, 0], -1, ENOSYS),
    ];
    let calls: Vec<_> = cases.iter().map(|case| case.0).collect();
    let bare = errnos(&[], &calls);
    let filtered = errnos(&filter(Preset::Default), &calls);
    let _ = std::fs::remove_file(&file);
    assert_eq!((bare.len(), filtered.len()), (cases.len(), cases.len()));
    for (at, (call, without, with)) in cases.iter().enumerate() {
        assert_eq!(filtered[at], *with, "with the filter: {call:?}");
        assert!(
            *without == -1 || bare[at] == *without,
            "bare: {call:?}: {}",
            bare[at]
        );
    }
}

#[test]
fn kernel_refuses_what_strict_refuses() {
    let pair = |kind| [libc::SYS_socketpair, 1, kind, 0, 0, 0];
    let calls = [
        [libc::SYS_socket, 1, 1, 0, 0, 0],
        [libc::SYS_ptrace, 0, 0, 0, 0, 0],
        pair(c_long::from(libc::SOCK_DGRAM)),
        // A stream pair passes the filter; the null pointer for the result is what fails.
        pair(c_long::from(libc::SOCK_STREAM)),
        [libc::SYS_setuid, 0, 0, 0, 0, 0],
        [libc::SYS_memfd_create, 0, 0, 0, 0, 0],
    ];
    let expected = [EPERM, EPERM, EAFNOSUPPORT, libc::EFAULT, EPERM, ENOSYS];
    assert_eq!(errnos(&filter(Preset::Strict), &calls), expected);
}

#[test]
fn strict_runs_ordinary_programs() {
    assert_runs(Preset::Strict, &["/bin/true"]);
    assert_runs(
        Preset::Strict,
        &["sh", "-c", "ls / | sort | head -n 3 >/dev/null"],
    );
    let threads = "import json, threading, tempfile, subprocess, asyncio
t = threading.Thread(target=print); t.start(); t.join()
tempfile.TemporaryFile().write(b'x'); subprocess.run(['true'], check=True)
asyncio.run(asyncio.sleep(0))";
    assert_runs(Preset::Strict, &["/usr/bin/python3", "-c", threads]);
}

#[test]
fn kernel_refuses_what_build_and_network_client_refuse() {
    let socket = |family| [libc::SYS_socket, family, 1, 0, 0, 0];
    let calls = [
        socket(c_long::from(libc::AF_UNIX)),
        socket(c_long::from(libc::AF_INET)),
        [libc::SYS_listen, -1, 0, 0, 0, 0],
        [libc::SYS_connect, -1, 0, 0, 0, 0],
        // Without a filter, a request that none is.
        [libc::SYS_ptrace, -1, 0, 0, 0, 0],
        [libc::SYS_inotify_init1, -1, 0, 0, 0, 0],
        [libc::SYS_mq_unlink, 0, 0, 0, 0, 0],
    ];
    let build = [
        0,
        EAFNOSUPPORT,
        libc::EBADF,
        libc::EBADF,
        EPERM,
        ENOSYS,
        libc::EFAULT,
    ];
    assert_eq!(errnos(&filter(Preset::Build), &calls), build);
    let client = [0, 0, EPERM, libc::EBADF, EPERM, ENOSYS, EPERM];
    assert_eq!(errnos(&filter(Preset::NetworkClient), &calls), client);
}

#[test]
fn build_and_network_client_run_ordinary_programs() {
    for preset in [Preset::Build, Preset::NetworkClient] {
        assert_runs(preset, &["git", "version"]);
        assert_runs(preset, &["cc", "--version"]);
    }
    let pool = "import multiprocessing, socket
a, b = socket.socketpair(); socket.socket(socket.AF_UNIX)
with multiprocessing.get_context('fork').Pool(2) as pool: assert pool.map(abs, [-1, 1]) == [1, 1]";
    assert_runs(Preset::Build, &["/usr/bin/python3", "-c", pool]);
    let client = "import socket, threading
s = socket.socket(); s.settimeout(1)
try: s.connect(('127.0.0.1', 1))
except OSError as error: assert error.errno != 1, error
socket.getaddrinfo('localhost', 80); t = threading.Thread(target=print); t.start(); t.join()";
    assert_runs(Preset::NetworkClient, &["/usr/bin/python3", "-c", client]);
}

#[test]
fn default_runs_ordinary_programs() {
    let network = "import socket, threading, multiprocessing
s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())
threading.Thread(target=print).start(); multiprocessing.Lock()";
    assert_runs(Preset::Default, &["/usr/bin/python3", "-c", network]);
    assert_runs(Preset::Default, &["git", "version"]);
    assert_runs(Preset::Default, &["cc", "--version"]);
}

/// The wait status of a child that makes one call under a filter and then exits with its errno.
fn end(policy: &Policy, [nr, a, b, c, d, e]: [c_long; 6]) -> i32 {
    let filter = policy.compile().unwrap().unwrap();
    // SAFETY: the child makes system calls only, no allocation, and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: the arguments are numbers, and the kernel writes through none of them.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
            let result = if install(&filter) {
                libc::syscall(nr, a, b, c, d, e)
            } else {
                libc::_exit(255)
            };
            let errno = if result < 0 {
                *libc::__errno_location()
            } else {
                0
            };
            libc::_exit(errno)
        }
    }
    let mut status = 0;
    // SAFETY: `status` is written to, and outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    status
}

#[test]
fn kernel_does_what_an_answer_says() {
    let socket = |family| [libc::SYS_socket, family, 1, 0, 0, 0];
    let unix = vec![vec![Test {
        arg: 0,
        wide: false,
        is: Is::Equal(1),
    }]];
    let allow = Entry {
        when: Some(unix.into()),
        ..Entry::from(Sysno::socket)
    };
    let exited = |code: i32| code << 8;
    for (answer, status) in [
        (Answer::Errno(EPERM), exited(EPERM)),
        (Answer::Errno(200), exited(200)),
        (Answer::Errno(0), exited(0)),
        (Answer::Kill, libc::SIGSYS),
        (Answer::Trap, libc::SIGSYS),
        (Answer::Log, exited(0)),
    ] {
        let policy = Policy::new(Preset::None, answer, std::slice::from_ref(&allow), &[]);
        // A process that is killed with SIGSYS may say that it left a core.
        let end = |call| end(&policy, call) & !0x80;
        assert_eq!(end(socket(1)), exited(0), "{answer}");
        assert_eq!(end(socket(1 | 1 << 32)), exited(0), "{answer}");
        assert_eq!(end(socket(2)), status, "{answer}");
        assert_eq!(end([libc::SYS_getpid, 0, 0, 0, 0, 0]), status, "{answer}");
    }
}

#[test]
fn kernel_compares_all_bits_where_it_is_told_to() {
    let deny = Entry {
        when: Some(
            vec![vec![Test {
                arg: 1,
                wide: true,
                is: Is::Above(0xffff_ffff),
            }]]
            .into(),
        ),
        with: Some(Answer::Errno(99)),
        ..Entry::from(Sysno::lseek)
    };
    let policy = Policy::new(Preset::Default, Answer::Kill, &[], &[deny]);
    let seek = |offset| [libc::SYS_lseek, -1, offset, 0, 0, 0];
    let bad = libc::EBADF << 8;
    assert_eq!(end(&policy, seek(0)), bad);
    assert_eq!(end(&policy, seek(0xffff_ffff)), bad);
    assert_eq!(end(&policy, seek(0x1_0000_0000)), 99 << 8);
}
