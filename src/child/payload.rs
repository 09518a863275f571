//! The payload: from the fork to the command's first instruction.

use super::{Tag, message};
use crate::plan::Op;
use crate::plan::op::label::Label;
use crate::sys::{self, descriptor, identity, process, scheduling, seccomp, signal};
use nix::errno::Errno;
use std::os::fd::RawFd;

pub(super) fn perform(op: &Op) -> sys::Result<()> {
    match op {
        Op::NewProcessGroup => process::new_process_group(),
        Op::SetUmask(mask) => {
            process::set_umask(*mask);
            Ok(())
        }
        Op::SetNice(nice) => process::set_nice(*nice),
        Op::SetScheduler {
            policy, priority, ..
        } => scheduling::set_policy(*policy, *priority),
        Op::RefuseTimestamps => process::refuse_timestamps(),
        Op::RefuseSpeculation { which, .. } => process::refuse_speculation(*which),
        Op::RefuseHugePages => process::refuse_huge_pages(),
        Op::SetIoPriority(priority) => scheduling::set_io_priority(*priority),
        Op::PlaceMemory { policy, nodes, .. } => scheduling::place_memory(*policy, nodes),
        Op::SetTimerSlack(nanoseconds) => scheduling::set_timer_slack(*nanoseconds),
        Op::SetAffinity { mask, .. } => scheduling::set_affinity(mask),
        Op::SetPersonality(bits) => scheduling::set_personality(*bits),
        Op::SetRlimit {
            resource,
            soft,
            hard,
            ..
        } => process::set_rlimit(*resource, *soft, *hard),
        Op::ChangeDirectory(path) => {
            descriptor::change_directory(path)?;
            if descriptor::working_directory_is_inside_root()? {
                Ok(())
            } else {
                Err(Errno::EXDEV)
            }
        }
        Op::DropBounding(mask) => each(*mask, |capability| {
            match identity::drop_from_bounding_set(capability) {
                // A capability that this kernel does not know is in no set. Asked, not assumed: a
                // filter around us may refuse the call with any errno.
                Err(Errno::EINVAL) if !identity::is_in_bounding_set(capability) => Ok(()),
                result => result,
            }
        }),
        Op::SetGroups(groups) => identity::set_groups(groups),
        // With all capabilities over the namespace, this is what its `setgroups` file says: "deny",
        // as for every namespace that a plain user has made. Nothing can change that any more.
        Op::LeaveGroups => match identity::set_groups(&[]) {
            Err(Errno::EPERM) => Ok(()),
            result => result,
        },
        Op::SetGid(gid) => identity::set_gid(*gid),
        Op::SetUid(uid) => identity::set_uid(*uid),
        Op::SetCapabilities {
            sets,
            ambient,
            securebits,
        } => {
            identity::clear_ambient()?;
            identity::set_securebits(*securebits)?;
            identity::set_capabilities(*sets)?;
            each(*ambient, identity::raise_ambient)
        }
        Op::SetLabel(label) => set_label(label),
        Op::RefuseWriteExecute => process::refuse_write_execute(),
        Op::NoNewPrivileges => identity::no_new_privileges(),
        Op::CloseDescriptors { first, kept } => descriptor::close_on_exec_from(*first, kept),
        Op::ResetSignals => {
            signal::reset_dispositions()?;
            signal::unblock_all()
        }
        Op::SetFilter(program) | Op::AddFilter { program, .. } => identity::set_filter(program),
        Op::Exec {
            candidates,
            arguments,
            environment,
            ..
        } => Err(process::exec_first(candidates, arguments, environment)),
        _ => Err(Errno::ENOTSUP),
    }
}

/// Installs a filter with a listener, and hands that to the supervisor; false if there can be none, and
/// nothing was installed. Nothing but the hand-over is done between the two, and every filter lets it pass:
/// what was refused now would wait for an answer that nobody gives.
pub(super) fn tell_refusals(
    first: &[libc::sock_filter],
    second: Option<&[libc::sock_filter]>,
    socket: RawFd,
) -> sys::Result<bool> {
    let Ok(listener) = seccomp::set_filter_and_listen(first) else {
        return Ok(false);
    };
    descriptor::send_with_descriptor(socket, &message(Tag::Listens, 0, 0), listener)?;
    second.map_or(Ok(()), identity::set_filter)?;
    Ok(true)
}

/// Lets the supervisor trace this process, and waits until it does. Nobody is inside yet who could do so instead;
/// an exec of a program that may be read would show this process as well.
pub(super) fn await_tracer(socket: RawFd) -> sys::Result<()> {
    process::show()?;
    let own = process::open_pidfd(process::id())?;
    let sent = descriptor::send_with_descriptor(socket, &message(Tag::Traceable, 0, 0), own);
    descriptor::close(own);
    sent?;
    super::init::await_release(socket)
}

/// Tells a security module the label of the next exec. A file that only seems to be one of /proc is refused: the
/// label would silently not be there (CVE-2019-16884).
fn set_label(label: &Label) -> sys::Result<()> {
    let file = descriptor::open_for_writing(label.module.file())?;
    let written = match descriptor::is_of_proc(file) {
        Ok(true) => descriptor::write_all(file, label.text.to_bytes()),
        Ok(false) => Err(Errno::EXDEV),
        Err(errno) => Err(errno),
    };
    descriptor::close(file);
    written
}

/// Does something for every capability of a mask.
fn each(mask: u64, mut act: impl FnMut(u8) -> sys::Result<()>) -> sys::Result<()> {
    (0u8..64)
        .filter(|bit| mask >> bit & 1 == 1)
        .try_for_each(&mut act)
}
