//! Id maps: of init, and of mounts.

use crate::plan::op::IdRange;
use crate::sys::process::{self, Side};
use crate::sys::{self, descriptor, signal};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};
use std::path::Path;
use std::process::Command;

/// The lines of `/proc/PID/uid_map` (user_namespaces(7)).
pub(super) fn lines(ranges: &[IdRange]) -> String {
    ranges.iter().fold(String::new(), |mut text, r| {
        let _ = writeln!(text, "{} {} {}", r.inside, r.outside, r.count);
        text
    })
}

/// A user namespace with these maps, for mount_setattr(2): the kernel takes the map of a mount
/// from a namespace, and a namespace needs a process to be made.
///
/// That process is killed and has to be waited for; its end costs time that nobody needs to spend
/// right away, so its pid is put into `killed`.
pub(super) fn namespace(
    users: &[IdRange],
    groups: &[IdRange],
    killed: &mut Vec<libc::pid_t>,
) -> io::Result<RawFd> {
    let supervisor = std::process::id() as libc::pid_t;
    let (pid, pidfd) = match process::clone_into(libc::CLONE_NEWUSER as u64, None)? {
        Side::Child => {
            sys::alloc::forbid();
            // If the supervisor dies, so does this process; until then it only has to exist. The
            // supervisor may have died before the request: no signal comes for that.
            let bound = process::die_with_parent();
            while bound.is_ok() && process::parent() == supervisor {
                let _ = signal::wait();
            }
            process::exit(125)
        }
        Side::Parent { pid, pidfd } => (pid, descriptor::own(pidfd)),
    };
    let made = (|| {
        std::fs::write(format!("/proc/{pid}/uid_map"), lines(users))?;
        std::fs::write(format!("/proc/{pid}/gid_map"), lines(groups))?;
        File::open(format!("/proc/{pid}/ns/user"))
    })();
    // Who cannot be killed is not waited for: it ends with the supervisor.
    if signal::kill_child(pid, pidfd.as_raw_fd()).is_ok() {
        killed.push(pid);
    }
    made.map(|file| file.into_raw_fd())
}

/// Has newuidmap(1) or newgidmap(1) write a map; their own words if they refuse.
pub(super) fn run_helper(
    program: &Path,
    pid: libc::pid_t,
    ranges: &[IdRange],
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for range in ranges {
        command.args([range.inside, range.outside, range.count].map(|n| n.to_string()));
    }
    let output = command
        .env_clear()
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {}: {e}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.trim();
    Err(if words.is_empty() {
        format!("{} ended with {}", program.display(), output.status)
    } else {
        words.lines().collect::<Vec<_>>().join("; ")
    })
}
