//! Init: binds its life to the supervisor's, forks the payload, reaps, hands on signals.

use super::{Child, Tag, message};
use crate::plan::op::NamespaceKind;
use crate::plan::order::Actor;
use crate::plan::{Op, Step};
use crate::running::paused::{self, PAUSE, RESUME};
use crate::sys::process::Arguments;
use crate::sys::signal::Arrived;
use crate::sys::{self, descriptor, identity, keyring, process, signal};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// `SECBIT_NO_SETUID_FIXUP`: a change of ids leaves the capabilities alone.
const NO_SETUID_FIXUP: u32 = 1 << 2;

/// Writes the score by which the kernel chooses whom to kill for want of memory
/// (proc_pid_oom_score_adj(5)), through the host's /proc.
pub(super) fn set_oom_score(score: i32) -> sys::Result<()> {
    /// `-1000` is the longest.
    const ROOM: usize = 5;
    let mut text = [b' '; ROOM];
    let mut left = score.unsigned_abs();
    let mut digits = text.iter_mut().rev();
    loop {
        let digit = left.checked_rem(10).unwrap_or(0);
        left = left.checked_div(10).unwrap_or(0);
        match digits.next() {
            Some(place) => *place = b'0'.saturating_add(digit as u8),
            None => return Err(Errno::ERANGE),
        }
        if left == 0 {
            break;
        }
    }
    if score < 0
        && let Some(place) = digits.next()
    {
        *place = b'-';
    }
    let file = descriptor::open_for_writing(c"/proc/self/oom_score_adj")?;
    let written = descriptor::write_all(file, text.trim_ascii_start());
    descriptor::close(file);
    written
}

/// Writes which memory core dumps hold (core(5)), through the host's /proc.
pub(super) fn set_coredump_filter(bits: u32) -> sys::Result<()> {
    /// `0x`, and as many digits as 32 bits have.
    const ROOM: usize = 10;
    let mut text = *b"0x00000000";
    let digits = text.iter_mut().skip(2);
    for (place, shift) in digits.zip((0..u32::BITS).step_by(4).rev()) {
        let digit = (bits >> shift & 0xf) as u8;
        *place = match digit {
            0..=9 => b'0'.saturating_add(digit),
            _ => b'a'.saturating_add(digit.saturating_sub(10)),
        };
    }
    let text: &[u8; ROOM] = &text;
    let file = descriptor::open_for_writing(c"/proc/self/coredump_filter")?;
    let written = descriptor::write_all(file, text);
    descriptor::close(file);
    written
}

/// Sends the supervisor a descriptor of each of these namespaces, and of the inner user namespace if there
/// is one; waits until it has written the record.
pub(super) fn show_namespaces(
    kinds: &[NamespaceKind],
    inner: RawFd,
    socket: RawFd,
) -> sys::Result<()> {
    for kind in kinds {
        let path = match kind.flag {
            libc::CLONE_NEWUSER => c"/proc/self/ns/user",
            libc::CLONE_NEWNS => c"/proc/self/ns/mnt",
            libc::CLONE_NEWPID => c"/proc/self/ns/pid",
            libc::CLONE_NEWIPC => c"/proc/self/ns/ipc",
            libc::CLONE_NEWUTS => c"/proc/self/ns/uts",
            libc::CLONE_NEWNET => c"/proc/self/ns/net",
            libc::CLONE_NEWCGROUP => c"/proc/self/ns/cgroup",
            // The command's, which init itself need not be in.
            libc::CLONE_NEWTIME => c"/proc/self/ns/time_for_children",
            _ => return Err(Errno::EINVAL),
        };
        let fd = descriptor::open_for_reading(path)?;
        let bytes = message(Tag::Namespace, kind.flag as u32, 0);
        let sent = descriptor::send_with_descriptor(socket, &bytes, fd);
        descriptor::close(fd);
        sent?;
    }
    if inner != super::UNOPENED {
        let bytes = message(Tag::Namespace, libc::CLONE_NEWUSER as u32, 1);
        descriptor::send_with_descriptor(socket, &bytes, inner)?;
    }
    await_release(socket)
}

impl Child<'_> {
    /// Whether this process has to end what the command leaves, one by one.
    fn ends_descendants(&self) -> bool {
        let forks = |step: &Step| matches!(step.op, Op::ForkPayload { alone: false });
        let watch = &self.plan.watch;
        watch.init && !watch.new_pid_namespace && self.plan.steps.iter().any(forks)
    }

    /// Dies with the supervisor; an init that is not alone in its pid namespace also opens the
    /// list of its children, while the host's /proc is there.
    pub(super) fn tether(&mut self) -> sys::Result<()> {
        if self.ends_descendants() {
            self.children = process::open_children()?;
        }
        die_with(self.supervisor)?;
        // A command without an init of ours binds its own life, last of all: the supervisor may have died
        // before that, and in another pid namespace only the socket tells.
        if !self.plan.watch.init && descriptor::is_hung_up(self.socket) {
            return Err(Errno::EPIPE);
        }
        Ok(())
    }
}

/// Asks for SIGKILL when the parent dies, and looks whether it has died already: the signal is
/// sent only for a death that comes later.
fn die_with(supervisor: libc::pid_t) -> sys::Result<()> {
    process::die_with_parent()?;
    // In another pid namespace the parent shows as 0, before and after its death; there the
    // socket tells (await_release).
    let parent = process::parent();
    if parent != 0 && parent != supervisor {
        return Err(Errno::ESRCH);
    }
    Ok(())
}

/// Leaves the caller's session keyring, which no namespace does.
///
/// Where the kernel has no keys, or a filter around us refuses keyctl altogether, there is nothing to
/// leave: the command inherits the filter.
pub(super) fn leave_keyring() -> sys::Result<()> {
    match keyring::join_new_session() {
        Err(Errno::ENOSYS | Errno::EPERM) if !keyring::can_be_asked() => Ok(()),
        result => result,
    }
}

/// Writes this process into the groups (cgroup v1). `0` means the writer: a process of one thread
/// that moves itself does not have to wait for a grace period of the kernel.
pub(super) fn join_groups(groups: &[RawFd]) -> sys::Result<()> {
    groups
        .iter()
        .try_for_each(|tasks| descriptor::write_all(*tasks, b"0"))
}

/// Sets a clock of the time namespace that this process's children will live in.
pub(super) fn set_clock(line: &str) -> sys::Result<()> {
    let file = descriptor::open_for_writing(c"/proc/self/timens_offsets")?;
    let written = descriptor::write_all(file, line.as_bytes());
    descriptor::close(file);
    written
}

/// Writes a setting of the kernel and reads it back; blanks between its parts do not count.
pub(super) fn set_sysctl(path: &CStr, value: &CStr) -> sys::Result<()> {
    /// More than the longest value of a plan.
    const ROOM: usize = 4096;
    let file = descriptor::open_for_writing(path)?;
    let written = descriptor::write_all(file, value.to_bytes());
    descriptor::close(file);
    written?;
    let file = descriptor::open_for_reading(path)?;
    let mut found = [0; ROOM];
    let read = descriptor::read(file, &mut found);
    descriptor::close(file);
    let found = found.get(..read?).unwrap_or_default();
    if parts(found).eq(parts(value.to_bytes())) {
        Ok(())
    } else {
        // The kernel has taken another value.
        Err(Errno::EILSEQ)
    }
}

/// What stands between blanks.
fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|part| !part.is_empty())
}

/// Waits for one byte. End of file means that the supervisor is gone: that is the end, not "go".
pub(super) fn await_release(socket: RawFd) -> sys::Result<()> {
    let mut byte = [0];
    match descriptor::read(socket, &mut byte)? {
        0 => Err(Errno::EPIPE),
        _ => Ok(()),
    }
}

/// Takes ids that the map holds, without losing the capabilities over the new namespaces.
pub(super) fn take_ids(uid: u32, gid: u32, socket: RawFd) -> sys::Result<()> {
    identity::set_securebits(NO_SETUID_FIXUP)?;
    identity::set_gid(gid)?;
    identity::set_uid(uid)?;
    // The change of ids has cleared the death signal; the supervisor may have died meanwhile.
    process::die_with_parent()?;
    if descriptor::is_hung_up(socket) {
        Err(Errno::EPIPE)
    } else {
        Ok(())
    }
}

/// Nobody inside may read or trace this process, whatever its uid.
pub(super) fn hide(arguments: &Arguments) -> sys::Result<()> {
    process::forget_arguments(arguments, paused::NAME);
    process::hide()
}

impl Child<'_> {
    /// Forks the payload. In the payload this returns; init stays here until the payload ends.
    pub(super) fn fork_payload(&mut self, alone: bool) -> sys::Result<()> {
        // Signals are blocked since before the clone, so none is lost between fork and wait.
        if !alone {
            process::adopt_orphans()?;
            // Killed with the supervisor, init could not take its descendants along.
            process::hear_of_parents_death()?;
            if descriptor::is_hung_up(self.socket) {
                return Err(Errno::EPIPE);
            }
        }
        self.fork_and_serve(!alone)
    }

    /// The same of whoever joins: what else is inside is not its own, and init ends it.
    pub(super) fn fork_beside_init(&mut self) -> sys::Result<()> {
        self.parent = process::id();
        self.fork_and_serve(false)
    }

    /// Forks the payload, reaps it, and hands on signals to it; then ends what it leaves, if this process is to.
    fn fork_and_serve(&mut self, ends_others: bool) -> sys::Result<()> {
        match process::fork()? {
            None => {
                self.walk(Actor::Payload);
                process::exit(0)
            }
            Some(payload) => {
                let end = self
                    .close_all_but_what_is_needed()
                    .and_then(|()| self.serve(payload));
                if end.is_err() {
                    let _ = signal::kill(payload, libc::SIGKILL);
                }
                // Others read on in the caller's file where the command has come to. In one that knows no
                // places nobody is moved.
                if let Some(input) = self.input() {
                    let _ = descriptor::move_to_place_of(libc::STDIN_FILENO, input);
                }
                if ends_others {
                    end_descendants(self.children);
                }
                let told = end.and_then(|(unborn, status)| {
                    let bytes = message(Tag::Ended, u32::from(unborn), status);
                    descriptor::write_all(self.socket, &bytes)
                });
                // As pid 1, this ends every process that is left in the namespace. To end without a
                // word says that something is wrong.
                process::exit(if told.is_ok() { 0 } else { 125 })
            }
        }
    }

    /// Dies with who has forked this process. An init cannot be gone: with it, the pid namespace and this process
    /// would be, and where it has no namespace of its own, the socket's other end tells the supervisor. Whoever is
    /// beside init can be killed from inside.
    pub(super) fn die_with_init(&self) -> sys::Result<()> {
        process::die_with_parent()?;
        match self.parent {
            0 => Ok(()),
            parent if parent == process::parent() => Ok(()),
            _ => Err(Errno::ESRCH),
        }
    }

    /// Keeps the sandbox open without a command, until SIGTERM: then all others in the pid namespace get it
    /// too, and have as long as the supervisor gives them.
    pub(super) fn stay(&self) -> ! {
        let _ = self.close_all_but_what_is_needed();
        let mut paused = false;
        loop {
            while let Ok(Some(_)) = process::reap() {}
            match signal::wait() {
                Ok(arrived) if arrived.signal == libc::SIGTERM => break,
                Ok(arrived) => {
                    self.pause_if_asked(arrived, &mut paused);
                }
                Err(_) => {}
            }
        }
        // As pid 1, this reaches exactly those inside. Who is stopped cannot end.
        let _ = signal::kill(-1, self.plan.watch.stop_signal.0);
        let _ = signal::kill(-1, libc::SIGCONT);
        while signal::kill(-1, 0).is_ok() {
            while let Ok(Some(_)) = process::reap() {}
            process::pause_briefly();
        }
        let told = descriptor::write_all(self.socket, &message(Tag::Ended, 0, 0));
        process::exit(if told.is_ok() { 0 } else { 125 })
    }

    /// Stops everybody else in the pid namespace, or lets them go on, if that is what the signal asks for
    /// ([`paused`]); false if it asks for nothing of the kind.
    fn pause_if_asked(&self, arrived: Arrived, paused: &mut bool) -> bool {
        // Only pid 1 reaches exactly those inside by -1, and nobody inside has a say in it.
        let is_possible = self.plan.watch.new_pid_namespace && process::id() == 1;
        match arrived.signal {
            PAUSE | RESUME if !is_possible || !arrived.from_outside => false,
            // The name first: who joins reads it once it is inside, and so is stopped or sees it.
            PAUSE if !*paused => {
                process::set_name(paused::PAUSING);
                *paused = true;
                true
            }
            PAUSE => {
                let _ = signal::kill(-1, libc::SIGSTOP);
                process::set_name(paused::PAUSED);
                true
            }
            RESUME => {
                process::set_name(paused::NAME);
                // Whatever ends a run lets it go on, paused or not; what has stopped by itself is then left so.
                if std::mem::take(paused) {
                    let _ = signal::kill(-1, libc::SIGCONT);
                }
                true
            }
            _ => false,
        }
    }

    /// Reaps and hands on signals until the payload or the supervisor ends; returns whether the
    /// payload had not become the command, and its wait status.
    fn serve(&self, payload: libc::pid_t) -> sys::Result<(bool, libc::c_int)> {
        let stops = self.plan.watch.terminal;
        let mut resumed = 0;
        let mut paused = false;
        loop {
            // Children may have ended while no signal was waited for: look first, then wait.
            loop {
                let ended = match process::reap_executed(stops) {
                    Ok(ended) => ended,
                    // No child has executed anything, so far as this call knows.
                    Err(_) => match process::reap_unborn(payload) {
                        Ok(Some(status)) => return Ok((true, status)),
                        Ok(None) => None,
                        // It has, between the two calls; or nobody knows.
                        Err(_) => process::reap_executed(stops)?,
                    },
                };
                match ended {
                    // Whoever looks after the caller's terminal has to know, unless it is nobody's there.
                    Some((pid, status)) if libc::WIFSTOPPED(status) => {
                        if pid == payload && !paused {
                            let bytes = message(Tag::Stopped, resumed, status);
                            descriptor::write_all(self.socket, &bytes)?;
                        }
                    }
                    Some((pid, status)) if pid == payload => return Ok((false, status)),
                    Some(_) => {}
                    None => break,
                }
            }
            let Ok(arrived) = signal::wait() else {
                continue;
            };
            if arrived.signal == libc::SIGTERM && descriptor::is_hung_up(self.socket) {
                return Ok((false, libc::SIGKILL));
            }
            if self.pause_if_asked(arrived, &mut paused) {
                continue;
            }
            if !matches!(arrived.signal, libc::SIGCHLD | libc::SIGURG) {
                if arrived.signal == libc::SIGCONT && arrived.mark.number != 0 {
                    resumed = arrived.mark.number;
                }
                // What is paused goes on with all the others.
                if paused && arrived.signal == libc::SIGCONT {
                    continue;
                }
                let to = if arrived.mark.to_group {
                    payload.wrapping_neg()
                } else {
                    payload
                };
                // The payload may be gone: its end is found at the next turn.
                let _ = signal::kill(to, arrived.signal);
            }
        }
    }

    /// Init keeps nothing open that somebody could get at through it: neither the caller's files, but for an
    /// input that was opened anew,
    /// nor directories of the host, nor the standard streams, whose readers wait for their end.
    ///
    /// It does keep the locks on changes: they are held until the last process is gone.
    fn close_all_but_what_is_needed(&self) -> sys::Result<()> {
        let locks = self.plan.steps.iter().filter_map(|step| match step.op {
            Op::KeepChanges { lock, .. } => self.slots.get(lock).copied(),
            _ => None,
        });
        let input = self.input().map(|input| [input, libc::STDIN_FILENO]);
        let kept = [self.socket, self.children].into_iter().chain(locks);
        descriptor::close_from(0, kept.chain(input.into_iter().flatten()))
    }

    /// What was opened in the place of the caller's standard input, if anything was.
    fn input(&self) -> Option<RawFd> {
        self.plan.steps.iter().find_map(|step| match step.op {
            Op::ReadInput { slot, .. } => self.slots.get(slot).copied(),
            _ => None,
        })
    }
}

/// Without a pid namespace of its own, init ends its descendants one by one: it has adopted the
/// orphans among them, so that each becomes its child sooner or later.
fn end_descendants(children: RawFd) {
    loop {
        process::kill_children(children);
        match process::reap() {
            Err(Errno::ECHILD) => return,
            Ok(Some(_)) => {}
            _ => process::pause_briefly(),
        }
    }
}
