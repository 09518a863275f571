//! Inside: everything between the clone and the exec.
//!
//! # The law of the child
//!
//! The code in this folder runs in a copy of the supervisor's memory. It walks a list that was
//! prepared before the clone, and
//!
//! 1. allocates nothing (debug builds abort if it does, [`crate::sys::alloc`]),
//! 2. does not panic: nothing is unwrapped, indexed or asserted,
//! 3. prints nothing: a failed step is sent to the supervisor as `(step, errno)`, eight bytes,
//!    and the supervisor, which still holds the plan, writes the sentence,
//! 4. leaves by `_exit`, so that no handler of the supervisor's runs twice,
//! 5. takes end of file on its socket for "the supervisor is gone", never for "go".
//!
//! The lints below hold the rules; `tests/promises` holds the result.
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    clippy::todo
)]

mod attempt;
mod gate;
mod init;
mod inner;
mod joiner;
mod landlock;
mod mounts;
mod overlay;
mod payload;
mod terminal;

pub(crate) use attempt::{FAKED, LEFT, MADE};
pub(crate) use gate::NO_NETWORKS;
pub(crate) use mounts::open_host_path;

use crate::plan::op::NamespaceKind;
use crate::plan::order::Actor;
use crate::plan::{Op, Plan};
use crate::sys::mount;
use crate::sys::process::Arguments;
use crate::sys::stop::Stop;
use crate::sys::{self, descriptor, process};
use nix::errno::Errno;
use std::os::fd::RawFd;

/// What the child is given: all of it prepared before the clone.
#[derive(Debug)]
pub struct Child<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// The descriptors of the plan's slots; those of the supervisor's steps are open already.
    pub slots: &'p mut [RawFd],
    /// The `tasks` files of the groups to join (cgroup v1).
    pub groups: &'p [RawFd],
    /// The socket to the supervisor.
    pub socket: RawFd,
    /// The copy of the supervisor's own end of it, to be closed at once.
    pub peer: RawFd,
    /// The supervisor's pid, to see that it has not died before the child asked to die with it;
    /// 0 where it lies in another pid namespace.
    pub supervisor: libc::pid_t,
    /// Where this process's arguments and environment lie.
    pub arguments: Arguments,
    /// The list of init's children, where it has to end them itself; else -1.
    pub children: RawFd,
    /// The namespaces to join: one of each kind.
    pub joined: [RawFd; 8],
    /// The attached new root.
    pub root: RawFd,
    /// The tmpfs for staged files.
    pub staging: RawFd,
    /// The inner user namespace.
    pub inner: RawFd,
    /// The networks on both sides of the gate, while it is made.
    pub networks: gate::Networks,
    /// Who has forked the payload, where that is not the init of the pid namespace; else 0.
    pub parent: libc::pid_t,
    /// The call that an attempt makes, stopped.
    pub stop: Option<Stop>,
    /// Whether the filter is installed already, with a listener.
    pub filtered: bool,
}

/// What a child is given before it has opened anything.
pub const UNOPENED: RawFd = -1;

/// What the child sends: a kind, a number, a number.
pub type Message = [u8; 12];

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tag {
    /// A step failed: its number and errno.
    Failed = 1,
    /// The payload ended: 1 if it had not become the command, and its wait status.
    Ended = 2,
    /// The joiner cloned init: its pid.
    Cloned = 3,
    /// An attempt was made in the place of the command: a detail, and errno or 0.
    Attempted = 4,
    /// The filter is installed; with the message comes its listener.
    Listens = 5,
    /// The payload waits for its tracer; with the message comes its pidfd.
    Traceable = 6,
    /// The sandbox has a terminal of its own; with the message comes its master.
    Terminal = 7,
    /// The payload was stopped: the number of the last SIGCONT that came before
    /// ([`crate::sys::signal::Mark`]).
    Stopped = 8,
    /// With the message comes a socket of the gate.
    Socket = 9,
    /// A namespace: the flag of its kind, and 1 for the inner user namespace; with the message comes its
    /// descriptor.
    Namespace = 10,
}

/// Puts a message together.
#[must_use]
pub fn message(tag: Tag, first: u32, second: i32) -> Message {
    let mut bytes = [0; 12];
    let parts = [
        (tag as u32).to_ne_bytes(),
        first.to_ne_bytes(),
        second.to_ne_bytes(),
    ];
    for (to, from) in bytes.iter_mut().zip(parts.iter().flatten()) {
        *to = *from;
    }
    bytes
}

/// Takes a message apart; `None` for what no child of ours sends.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Tag, u32, i32)> {
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (first, rest) = rest.split_first_chunk::<4>()?;
    let (second, _) = rest.split_first_chunk::<4>()?;
    let tag = match u32::from_ne_bytes(*tag) {
        1 => Tag::Failed,
        2 => Tag::Ended,
        3 => Tag::Cloned,
        4 => Tag::Attempted,
        5 => Tag::Listens,
        6 => Tag::Traceable,
        7 => Tag::Terminal,
        8 => Tag::Stopped,
        9 => Tag::Socket,
        10 => Tag::Namespace,
        _ => return None,
    };
    Some((tag, u32::from_ne_bytes(*first), i32::from_ne_bytes(*second)))
}

impl Child<'_> {
    /// The life of init: the set-up, then the payload's parent, or the payload itself.
    pub fn run(mut self) -> ! {
        sys::alloc::forbid();
        self.let_go_of_the_supervisors_end();
        // Modes of what is made from here on are exactly those of the plan.
        process::set_umask(0);
        self.walk(Actor::Init);
        // Only without an init does the walk come to its end here: the first process inside then
        // becomes the command.
        self.walk(Actor::Payload);
        process::exit(0)
    }

    /// Closes the copy of the supervisor's end of the socket: while it is open here, the supervisor's
    /// death is no end of file, and nobody else tells of a death before [`Op::DieWithSupervisor`].
    fn let_go_of_the_supervisors_end(&mut self) {
        let peer = std::mem::replace(&mut self.peer, UNOPENED);
        if peer != UNOPENED {
            descriptor::close(peer);
        }
    }

    /// Performs the steps of one side, in order; ends the process at the first that fails.
    fn walk(&mut self, actor: Actor) {
        for (number, step) in self.plan.steps_of(actor) {
            if let Err(errno) = self.perform(&step.op) {
                self.fail(number, errno);
            }
        }
    }

    fn fail(&self, step: usize, errno: Errno) -> ! {
        let bytes = message(Tag::Failed, step as u32, errno as i32);
        // If the supervisor is gone, there is nobody to tell.
        let _ = descriptor::write_all(self.socket, &bytes);
        process::exit(125)
    }

    fn perform(&mut self, op: &Op) -> sys::Result<()> {
        match op {
            Op::DieWithSupervisor => self.tether(),
            Op::NewKeyring => init::leave_keyring(),
            Op::SetCoredumpFilter(bits) => init::set_coredump_filter(*bits),
            Op::JoinGroups => init::join_groups(self.groups),
            Op::UnshareCgroupNamespace => sys::identity::unshare(libc::CLONE_NEWCGROUP),
            Op::UnshareTimeNamespace => sys::identity::unshare(libc::CLONE_NEWTIME),
            Op::SetClock(offset) => init::set_clock(&offset.line),
            Op::MakePrivate => sys::mount::make_all_private(),
            Op::MakeSlave => sys::mount::make_all_slaves(),
            Op::AwaitRelease => init::await_release(self.socket),
            Op::TakeIds { uid, gid } => init::take_ids(*uid, *gid, self.socket),
            Op::MakeInnerUser {
                namespaces,
                users,
                groups,
            } => {
                let flag = |kind: &NamespaceKind| kind.flag as u64;
                let user = libc::CLONE_NEWUSER as u64;
                let flags = namespaces.iter().map(flag).fold(user, |all, one| all | one);
                self.make_inner_user(flags, users, groups)
            }
            Op::ForbidUserNamespaces => inner::forbid_user_namespaces(),
            Op::Restrict(rules) => self.restrict(rules),
            Op::EnterInnerUser => self.enter_inner_user(),
            Op::SetSysctl { path, value } => init::set_sysctl(path, value),
            Op::SetHostname(name) => process::set_hostname(name),
            Op::SetDomainname(name) => process::set_domainname(name),
            Op::MakeGateNetwork => self.make_gate_network(),
            Op::LinkGate(link) => self.link_gate(link),
            Op::WorsenGate(line) => self.worsen_gate(*line),
            Op::LimitGate { rate, behind } => self.limit_gate(*rate, *behind),
            Op::RouteToGate(to) => self.route_to_gate(to),
            Op::ListenAtGate(listen) => self.listen_at_gate(*listen),
            Op::ObserveGate(filter) => self.observe_gate(filter),
            Op::LeaveGateNetwork => self.leave_gate_network(),
            Op::RepeatAtGate => self.repeat_at_gate(),
            Op::FilterPackets(filter) => self.filter_packets(filter),
            Op::ListenInside(forwarded) => self.listen_inside(*forwarded),
            Op::ListenForNames(protocol) => self.listen_for_names(*protocol),
            Op::LoopbackUp => sys::network::loopback_up(),
            Op::Hide => init::hide(&self.arguments),
            Op::NewSession => process::new_session(),
            Op::AwaitTracer => payload::await_tracer(self.socket),
            Op::TakePipes { stdout, stderr } => {
                for (slot, number) in [(stdout, libc::STDOUT_FILENO), (stderr, libc::STDERR_FILENO)]
                {
                    if let Some(slot) = slot {
                        let end = self.slots.get(*slot).copied().unwrap_or(UNOPENED);
                        descriptor::take_as(end, number)?;
                    }
                }
                Ok(())
            }
            Op::ReadInput { slot, path, file } => {
                let opened = mount::read_alone(path, *file)?;
                self.slots
                    .get_mut(*slot)
                    .map(|to| *to = opened)
                    .ok_or(Errno::EBADF)
            }
            Op::TakeStream { slot, streams } => {
                let file = self.slots.get(*slot).copied().unwrap_or(UNOPENED);
                streams
                    .iter()
                    .try_for_each(|number| descriptor::take_as(file, *number))
            }
            Op::OpenTerminal {
                slot,
                settings,
                size,
                owner,
            } => self.open_terminal(*slot, *settings, *size, *owner),
            Op::TakeEmptyInput => {
                let (reading, writing) = process::pipe()?;
                descriptor::close(writing);
                descriptor::take_as(reading, libc::STDIN_FILENO)
            }
            Op::ControlTerminal { slot } => self.control_terminal(*slot),
            Op::TakeTerminal { slot, streams } => self.take_terminal(*slot, streams),
            Op::ForkPayload { alone } => self.fork_payload(*alone),
            Op::ForkBesideInit => self.fork_beside_init(),
            Op::DieWithInit => self.die_with_init(),
            Op::ShowNamespaces(kinds) => init::show_namespaces(kinds, self.inner, self.socket),
            Op::EnterNamespace {
                kind, descriptor, ..
            } => sys::identity::enter_namespace(*descriptor, kind.flag),
            Op::SetOwnOomScore(score) => init::set_oom_score(*score),
            Op::Stay => self.stay(),
            Op::JoinSandbox { kind, slot, .. } => {
                let fd = self.slots.get(*slot).copied().unwrap_or(UNOPENED);
                sys::identity::enter_namespace(fd, kind.flag)
            }
            Op::JoinNamespace { .. }
            | Op::OpenSandbox { .. }
            | Op::ReserveAddress { .. }
            | Op::ClaimRecord { .. }
            | Op::WriteRecord(_)
            | Op::OpenGroup(_)
            | Op::MakeMountPoint { .. }
            | Op::AskForScope(_)
            | Op::CreateGroup { .. }
            | Op::SetLimit(_)
            | Op::LimitDevices(_)
            | Op::LimitPeers(_)
            | Op::KeepChanges { .. }
            | Op::LockFile(_)
            | Op::TakeSecret { .. }
            | Op::MakeNode { .. }
            | Op::StartBusProxy(_)
            | Op::MakeIdmap { .. }
            | Op::MakePipes { .. }
            | Op::KeepFlags(_)
            | Op::OpenStream { .. }
            | Op::RaiseRlimit { .. }
            | Op::LendIoPriority(_)
            | Op::RelayTerminal { .. }
            | Op::OpenMapped { .. }
            | Op::CloneInit { .. }
            | Op::SetOomScore(_)
            | Op::DenySetgroups
            | Op::WriteIdMap { .. }
            | Op::MakePair(_)
            | Op::SetInterface { .. }
            | Op::AddAddress(_)
            | Op::RaiseInterface { .. }
            | Op::AddDefaultRoute { .. }
            | Op::ReservePort(_)
            | Op::Translate { .. }
            | Op::StartPasta(_)
            | Op::RefusePaused { .. }
            | Op::Release
            | Op::OpenGate(_)
            | Op::HearRefused(_)
            | Op::ForwardInside
            | Op::ResolveNames(_) => Err(Errno::ENOTSUP),
            Op::TellRefusals { first, second } => {
                self.filtered = payload::tell_refusals(first, second.as_deref(), self.socket)?;
                Ok(())
            }
            Op::SetFilter(_) if self.filtered => Ok(()),
            Op::Exec {
                opened: Some(slot),
                arguments,
                environment,
                ..
            } => {
                let program = self.slots.get(*slot).copied().unwrap_or(UNOPENED);
                Err(process::exec_opened(program, arguments, environment))
            }
            Op::NewProcessGroup
            | Op::SetUmask(_)
            | Op::SetNice(_)
            | Op::SetScheduler { .. }
            | Op::SetIoPriority(_)
            | Op::PlaceMemory { .. }
            | Op::SetTimerSlack(_)
            | Op::SetAffinity { .. }
            | Op::SetPersonality(_)
            | Op::RefuseTimestamps
            | Op::RefuseSpeculation { .. }
            | Op::RefuseHugePages
            | Op::SetRlimit { .. }
            | Op::ChangeDirectory(_)
            | Op::DropBounding(_)
            | Op::SetGroups(_)
            | Op::LeaveGroups
            | Op::SetGid(_)
            | Op::SetUid(_)
            | Op::SetCapabilities { .. }
            | Op::RefuseWriteExecute
            | Op::SetLabel(_)
            | Op::NoNewPrivileges
            | Op::CloseDescriptors { .. }
            | Op::ResetSignals
            | Op::SetFilter(_)
            | Op::AddFilter { .. }
            | Op::Exec { .. } => payload::perform(op),
            Op::ShedAsExec { .. } | Op::StopCall { .. } | Op::EndAfterExec | Op::Attempt(_) => {
                self.attempt(op)
            }
            _ => self.mount(op),
        }
    }
}
