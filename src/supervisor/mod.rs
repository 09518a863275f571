//! Outside: performs its own steps of the plan, clones init, watches, and leaves nothing behind.

mod bus;
pub mod cgroup;
mod escapes;
mod failure;
mod flags;
mod forward;
mod gate;
mod guardian;
mod helper;
mod idle;
mod idmap;
mod memory;
mod meter;
mod mount_point;
mod names;
mod network;
mod node;
mod notify;
mod packets;
pub mod progress;
mod recording;
mod relay;
mod screen;
mod secret;
mod source;
mod stream;
mod terminal;
mod trace;
mod unpack;
mod usage;
mod watch;

pub use bus::sweep as sweep_buses;
pub use failure::Failure;
pub use mount_point::sweep as sweep_mount_points;
pub use network::{Reserved, Taken};
pub use unpack::{Pruned, prepare, prune, resolve};

use crate::changes::store;
use crate::child::{self, Child, Tag};
use crate::plan::op::{IdmapNeed, Ids, MapWriter, Op};
use crate::plan::order::Actor;
use crate::plan::{Plan, Step};
use crate::report::{Measured, Outcome, denial::Refusals, egress::Unreached, files::FailedCalls};
use crate::running::{Live, Recording, joined, paused};
use crate::sys::mount::Depth;
use crate::sys::process::{Arguments, Side, Spent};
use crate::sys::{self, descriptor, process, scheduling, signal};
use cgroup::Group;
use mount_point::MountPoint;
use network::Network;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use packets::RefusedPackets;
use std::cell::Cell;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};

/// Performs a plan: the command runs, or does not start at all. `say` is told of steps that are
/// done without, as the profile permits, and why; and, in the end, of output that nobody got
/// ([`Op::MakePipes`]).
///
/// # Errors
/// The step that failed and why. Nothing of the run is left then.
pub fn execute(plan: &Plan, say: &dyn Fn(&Step, &str)) -> Result<Outcome, Failure> {
    execute_observed(plan, say, Observer::default())
}

/// Who wants to know more of a run than its end; by default, nobody.
#[derive(Default)]
pub struct Observer<'o> {
    /// Told in the end what the run has used; nothing, if its set-up fails.
    pub measured: Option<&'o mut Measured>,
    /// Whether a line on the caller's terminal says how far it is ([`progress`]).
    pub progress: bool,
    /// Told in the end which calls the filter has refused, where the plan tells of them ([`Op::TellRefusals`]).
    pub refused: Option<&'o mut Refusals>,
    /// Told in the end which file calls have failed, where the plan has the command traced ([`Op::AwaitTracer`]).
    pub failed: Option<&'o mut FailedCalls>,
    /// Told in the end what of the network was not reached, where the plan has a gate ([`Op::OpenGate`]) or a packet
    /// filter ([`Op::HearRefused`]).
    pub unreached: Option<&'o mut Unreached>,
    /// The record of the run, where the plan keeps one ([`Op::ClaimRecord`]).
    pub recording: Option<&'o mut Recording>,
    /// Addresses that were reserved for the plan when it was made ([`Op::ReserveAddress`]).
    pub reserved: Reserved,
    /// Called once the command has been executed, or has failed to be.
    pub started: Option<&'o dyn Fn()>,
}

/// The same as [`execute`], for somebody who wants to know more.
///
/// # Errors
/// As for [`execute`].
pub fn execute_observed<'p>(
    plan: &'p Plan,
    say: &'p dyn Fn(&Step, &str),
    observer: Observer<'p>,
) -> Result<Outcome, Failure> {
    let mut run = Run::new(plan, say, observer)?;
    for (number, step) in plan.steps_of(Actor::Supervisor) {
        if let Err(failure) = run.perform(number, step) {
            // If init has failed meanwhile, its step is the cause and ours only shows it.
            return Err(run.message_of_init().unwrap_or(failure));
        }
    }
    run.watch()
}

/// Why a mount cannot be copied without those below it.
const LOCKED: &str =
    "what is mounted below the source is locked there, and only who may unmount it can do without";

/// A run: what was made so far. Dropping it ends and removes all of it.
struct Run<'p> {
    plan: &'p Plan,
    say: &'p dyn Fn(&Step, &str),
    /// The descriptors of the plan's slots.
    slots: Vec<RawFd>,
    group: Option<Group>,
    /// The group of a sandbox that is joined.
    joined: Option<Group>,
    /// The namespaces of the run, for others to join.
    namespaces: Vec<OwnedFd>,
    /// What hands on the output, where it is not the command's to write.
    relay: Option<relay::Relay>,
    /// How the caller's streams were set; set so again when this goes.
    flags: Option<flags::Flags>,
    /// Files that are in the place of standard streams for output, which the supervisor writes to.
    opened: [Option<std::sync::Arc<OwnedFd>>; 2],
    /// The own resource limits that were raised, as they were.
    raised: Vec<(u32, u64, u64)>,
    /// The own class and level of I/O that was changed, as it was.
    io_priority: Option<u32>,
    /// The sandbox's own terminal and the caller's, where there are two.
    terminal: Option<terminal::Terminal>,
    mount_points: Vec<MountPoint>,
    /// What keeps unpacked roots from being removed.
    roots: Vec<std::fs::File>,
    /// Sources that were made, until the command has run.
    sources: Vec<source::Made>,
    /// The changes that this run alone uses.
    changes: Vec<store::Held>,
    init: Option<Init>,
    /// The sandbox whose namespaces were joined, and the step that has opened it.
    other: Option<(Live, usize)>,
    network: Network,
    /// Who stands between the command and message buses.
    bus: Option<bus::Proxy>,
    /// Other children, killed already, that still have to be waited for.
    killed: Vec<libc::pid_t>,
    /// Our end of the socket to init, and init's end until it is cloned.
    socket: OwnedFd,
    theirs: Option<OwnedFd>,
    /// The descriptor that came with the last message: the listener of the filter, the payload's pidfd,
    /// or the master of the sandbox's terminal.
    came: Cell<Option<OwnedFd>>,
    /// At its end once the command is executed; and its other end, until init is cloned.
    executed: Option<(OwnedFd, Option<OwnedFd>)>,
    arguments: Arguments,
    /// The only way out, where the plan has one.
    gate: Option<gate::Gate>,
    /// What hears of the packets that the sandbox's own filter refuses.
    refused_packets: Option<RefusedPackets>,
    /// What hands on to the host's loopback.
    ways: Option<forward::Ways>,
    /// What resolves the names of others on the same bridge.
    names: Option<names::Resolver>,
    observer: Observer<'p>,
}

struct Init {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// Whether it was waited for.
    reaped: bool,
    /// What it and those that it has waited for have used.
    spent: Spent,
}

impl<'p> Run<'p> {
    fn new(
        plan: &'p Plan,
        say: &'p dyn Fn(&Step, &str),
        observer: Observer<'p>,
    ) -> Result<Self, Failure> {
        // Packets, so that a message arrives whole or not at all.
        let (socket, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(Failure::before)?;
        // An exec closes the other end, as does whoever is not to become the command.
        let executed = match observer.started {
            Some(_) => {
                let (ours, theirs) = process::pipe().map_err(Failure::before)?;
                Some((descriptor::own(ours), Some(descriptor::own(theirs))))
            }
            None => None,
        };
        // Before the clone, so that no signal is lost: the child inherits the mask.
        signal::block_all().map_err(Failure::before)?;
        Ok(Self {
            plan,
            say,
            slots: vec![child::UNOPENED; plan.slots],
            group: None,
            joined: None,
            namespaces: Vec::new(),
            relay: None,
            flags: None,
            opened: [None, None],
            raised: Vec::new(),
            io_priority: None,
            terminal: None,
            mount_points: Vec::new(),
            roots: Vec::new(),
            sources: Vec::new(),
            changes: Vec::new(),
            init: None,
            other: None,
            network: Network::default(),
            bus: None,
            killed: Vec::new(),
            socket,
            theirs: Some(theirs),
            came: Cell::new(None),
            gate: None,
            refused_packets: None,
            ways: None,
            names: None,
            executed,
            arguments: Arguments::of_this_process(),
            observer,
        })
    }

    fn perform(&mut self, number: usize, step: &Step) -> Result<(), Failure> {
        let errno = |errno: Errno| Failure::step(number, errno);
        let text = |cause: String| Failure::text(number, cause);
        match &step.op {
            Op::HoldRoot(entry) => match entry.hold() {
                Ok(held) => self.roots.push(held),
                Err(error) => {
                    return Err(match error.raw_os_error() {
                        Some(raw) => errno(Errno::from_raw(raw)),
                        None => errno(Errno::ENOENT),
                    });
                }
            },
            Op::ClaimRecord { folder, .. } => {
                let recording = self.observer.recording.as_deref_mut();
                let recording = recording.ok_or_else(|| errno(Errno::ENOTSUP))?;
                recording.claim(folder).map_err(text)?;
            }
            Op::WriteRecord(kinds) => self.write_record(kinds, number)?,
            Op::OpenGroup(groups) => {
                self.joined = Some(Group::enter(groups).map_err(|e| text(e.to_string()))?);
            }
            Op::MakeMountPoint {
                tree,
                missing,
                directory,
            } => {
                MountPoint::make(tree, missing, *directory, &mut self.mount_points)
                    .map_err(errno)?;
            }
            Op::MakeSource {
                tree,
                missing,
                owner,
            } => {
                source::make(tree, missing, *owner, &mut self.sources).map_err(errno)?;
            }
            Op::KeepChanges { lock, kept } => {
                let held = store::prepare(kept).map_err(|e| text(e.to_string()))?;
                // For init: what is held here holds until the run is over.
                self.put(*lock, held.lock().map_err(errno)?.into_raw_fd());
                self.changes.push(held);
            }
            Op::LockFile(path) => {
                self.roots
                    .push(secret::lock(path).map_err(|error| {
                        match error {
                            Errno::EACCES | Errno::EAGAIN => text(
                                "it is locked for writing by another process, or may not be read"
                                    .into(),
                            ),
                            other => errno(other),
                        }
                    })?);
            }
            Op::MakeNode { slot, node } => {
                let made = node::make(*node).map_err(errno)?;
                self.put(*slot, made.into_raw_fd());
            }
            Op::TakeSecret { slot, from } => {
                let secret = secret::take(from).map_err(errno)?;
                self.put(*slot, secret.into_raw_fd());
            }
            Op::StartBusProxy(wanted) => {
                let proxy = bus::Proxy::start(wanted);
                self.bus = Some(proxy.map_err(|cause| Failure::because(number, cause))?);
            }
            Op::OpenSandbox {
                folder,
                id,
                namespaces,
                ..
            } => {
                let wanted = namespaces.iter().map(|(kind, held, _)| (*kind, *held));
                let (live, fds) = joined::open(folder, id, wanted).map_err(text)?;
                for ((_, _, slot), fd) in namespaces.iter().zip(fds) {
                    self.put(*slot, fd.into_raw_fd());
                }
                self.other = Some((live, number));
            }
            Op::AskForScope(scope) => cgroup::ask(scope).map_err(text)?,
            Op::CreateGroup { place, names, .. } => {
                cgroup::sweep(place);
                self.group = Some(Group::create(place, names).map_err(|e| text(e.to_string()))?);
            }
            Op::SetLimit(limit) => {
                let group = self.group.as_mut().ok_or_else(|| errno(Errno::EBADF))?;
                group.set(limit).map_err(|e| text(e.to_string()))?;
            }
            Op::LimitDevices(rules) => {
                let group = self.group.as_ref().ok_or_else(|| errno(Errno::EBADF))?;
                group
                    .limit_devices(rules)
                    .map_err(|e| text(e.to_string()))?;
            }
            Op::LimitPeers(peers) => {
                let group = self.group.as_ref().ok_or_else(|| errno(Errno::EBADF))?;
                group.limit_peers(peers).map_err(|e| text(e.to_string()))?;
            }
            Op::MakePipes {
                stdout,
                stderr,
                most,
                over,
                displayed,
            } => {
                // One pipe serves both where they have one slot.
                let apart = stderr.filter(|slot| Some(*slot) != *stdout);
                let wanted = [*stdout, apart];
                let (relay, ends) =
                    relay::Relay::make(number, wanted.map(|slot| slot.is_some()), *most, *over)
                        .map_err(errno)?;
                self.relay = Some(relay.displaying(*displayed));
                for (slot, end) in wanted.into_iter().zip(ends) {
                    if let (Some(slot), Some(end)) = (slot, end) {
                        self.put(slot, end);
                    }
                }
            }
            Op::KeepFlags(streams) => self.flags = Some(flags::Flags::of(streams)),
            Op::OpenStream {
                streams,
                path,
                append,
                slot,
            } => self
                .open_stream(streams, path, *append, *slot)
                .map_err(text)?,
            Op::RaiseRlimit {
                resource,
                soft,
                hard,
                ..
            } => {
                let (own_soft, own_hard) = process::rlimit(*resource).map_err(errno)?;
                let (soft, hard) = ((*soft).max(own_soft), (*hard).max(own_hard));
                process::set_rlimit(*resource, soft, hard).map_err(errno)?;
                self.raised.push((*resource, own_soft, own_hard));
            }
            Op::LendIoPriority(priority) => {
                self.io_priority = Some(scheduling::io_priority().map_err(errno)?);
                scheduling::set_io_priority(*priority).map_err(errno)?;
            }
            Op::RelayTerminal {
                caller,
                input,
                output,
                displayed,
            } => {
                let streams = (*input, *output);
                let terminal = terminal::Terminal::watch_over(number, *caller, streams, *displayed);
                self.terminal = Some(terminal.map_err(errno)?);
            }
            Op::MakeIdmap {
                slot,
                users,
                groups,
            } => {
                let namespace = idmap::namespace(users, groups, &mut self.killed)
                    .map_err(|e| text(e.to_string()))?;
                self.put(*slot, namespace);
            }
            Op::OpenMapped {
                slot,
                source,
                depth,
                idmap,
                need,
            } => {
                let namespace = self.slots.get(*idmap).copied().unwrap_or(child::UNOPENED);
                let path = child::open_host_path(source).map_err(errno)?;
                let path = sys::descriptor::own(path);
                let tree = sys::mount::clone_tree(path.as_raw_fd(), *depth);
                let tree = tree.map_err(|e| match e {
                    // Where the map is refused, it means another thing.
                    Errno::EINVAL if *depth == Depth::Alone => text(LOCKED.into()),
                    other => errno(other),
                })?;
                self.put(*slot, tree);
                // A copy of a shared mount is shared: what init mounts below it would show, and stay, on the
                // host. So it is made private with its map, or without one.
                match sys::mount::set_idmap(tree, namespace) {
                    // EPERM: it was mounted in a user namespace above.
                    Err(Errno::EINVAL | Errno::EPERM) if *need != IdmapNeed::Required => {
                        sys::mount::make_private(tree).map_err(errno)?;
                        if *need == IdmapNeed::Preferred {
                            (self.say)(step, "its file system cannot map owners");
                        }
                    }
                    result => result.map_err(errno)?,
                }
            }
            Op::CloneInit {
                namespaces,
                into_group,
            } => {
                let flags = namespaces
                    .iter()
                    .fold(0, |all, kind| all | kind.flag as u64);
                let cloned = self.clone_init(flags, *into_group, number);
                self.lower_limits();
                cloned?;
            }
            Op::SetOomScore(score) => {
                self.write_proc("oom_score_adj", &score.to_string(), number)?
            }
            Op::DenySetgroups => self.write_proc("setgroups", "deny", number)?,
            Op::WriteIdMap {
                ids,
                ranges,
                writer,
            } => {
                let file = match ids {
                    Ids::User => "uid_map",
                    Ids::Group => "gid_map",
                };
                match writer {
                    MapWriter::Supervisor => {
                        self.write_proc(file, &idmap::lines(ranges), number)?
                    }
                    MapWriter::Helper(program) => {
                        idmap::run_helper(program, self.pid(), ranges).map_err(text)?;
                    }
                }
            }
            Op::ReserveAddress { bridge, address } => {
                let before = &mut self.observer.reserved;
                let done = self.network.reserve_address(bridge, *address, before);
                done.map_err(errno)?;
            }
            Op::MakePair(_)
            | Op::MakeMacvlan(_)
            | Op::LimitRate(_)
            | Op::Worsen { .. }
            | Op::SetInterface { .. }
            | Op::AddAddress(_)
            | Op::RaiseInterface { .. }
            | Op::AddDefaultRoute { .. }
            | Op::ReservePort(_)
            | Op::ServePort { .. }
            | Op::Translate { .. }
            | Op::StartPasta(_) => {
                let init = self.pid();
                let done = self.network.perform(&step.op, init);
                done.map_err(|cause| Failure::because(number, cause))?;
            }
            Op::RefusePaused { init, supervisor } => {
                if paused::stage(*init, *supervisor) != paused::Stage::Running {
                    return Err(text("it is paused".into()));
                }
            }
            Op::Release => {
                self.network.settle();
                descriptor::write_all(self.socket.as_raw_fd(), &[1]).map_err(errno)?;
            }
            Op::OpenGate(rules) => {
                let sockets = self.take_sockets(number)?;
                self.gate = Some(gate::Gate::open(rules, sockets).map_err(errno)?);
            }
            Op::HearRefused(rules) => {
                self.refused_packets = Some(RefusedPackets::new(rules, self.take_socket(number)?));
            }
            Op::ForwardInside => {
                let mut ways = Vec::new();
                for step in &self.plan.steps {
                    if let Op::ListenInside(forwarded) = &step.op {
                        ways.push(forward::Way {
                            protocol: forwarded.protocol,
                            socket: self.take_socket(number)?,
                            to: forward::LOOPBACK
                                .map(|address| (address, forwarded.to).into())
                                .into(),
                        });
                    }
                }
                self.ways = Some(forward::Ways::open(ways, None).map_err(errno)?);
            }
            Op::ResolveNames(names) => {
                let (datagrams, streams) = (self.take_socket(number)?, self.take_socket(number)?);
                let recording = self.observer.recording.as_deref_mut();
                let own = recording.map(|recording| &*recording.record_mut());
                let resolver = names::Resolver::open(names, datagrams, streams, own);
                self.names = Some(resolver.map_err(errno)?);
            }
            _ => return Err(errno(Errno::ENOTSUP)),
        }
        Ok(())
    }

    /// Takes the sockets of the gate as init makes them.
    fn take_sockets(&self, number: usize) -> Result<Vec<gate::Socket>, Failure> {
        let mut sockets = Vec::new();
        for step in &self.plan.steps {
            if let Some(make) = gate::Socket::of(&step.op) {
                sockets.push(make(&step.op, self.take_socket(number)?));
            }
        }
        Ok(sockets)
    }

    /// Takes the own resource limits, and what was lent, back to what they were.
    fn lower_limits(&mut self) {
        for (resource, soft, hard) in self.raised.drain(..).rev() {
            // Whoever could raise them can lower them.
            let _ = process::set_rlimit(resource, soft, hard);
        }
        if let Some(before) = self.io_priority.take() {
            let _ = scheduling::set_io_priority(before);
        }
    }

    /// Takes the next socket that init makes.
    fn take_socket(&self, number: usize) -> Result<OwnedFd, Failure> {
        let lost = || Failure::step(number, Errno::ECHILD);
        self.await_message_or_end()
            .map_err(|errno| Failure::step(number, errno))?;
        match self.receive().ok().flatten() {
            Some((Tag::Socket, ..)) => self.came.take().ok_or_else(lost),
            Some((Tag::Failed, step, errno)) => {
                Err(Failure::step(step as usize, Errno::from_raw(errno)))
            }
            _ => Err(lost()),
        }
    }

    fn put(&mut self, slot: usize, fd: RawFd) {
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = fd;
        }
    }

    fn close_slots(&mut self) {
        for fd in self.slots.drain(..).filter(|fd| *fd != child::UNOPENED) {
            descriptor::close(fd);
        }
    }

    fn pid(&self) -> libc::pid_t {
        self.init.as_ref().map_or(0, |init| init.pid)
    }

    /// Writes a file of init's `/proc` directory: whole, in one call, as the kernel wants it.
    fn write_proc(&self, file: &str, text: &str, number: usize) -> Result<(), Failure> {
        let path = format!("/proc/{}/{file}", self.pid());
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|e| match e.raw_os_error() {
                Some(errno) => Failure::step(number, Errno::from_raw(errno)),
                None => Failure::text(number, e.to_string()),
            })
    }

    fn clone_init(&mut self, flags: u64, into_group: bool, number: usize) -> Result<(), Failure> {
        let theirs = self
            .theirs
            .take()
            .ok_or_else(|| Failure::step(number, Errno::EBADF))?;
        let group = self.group.as_ref().or(self.joined.as_ref());
        let tasks: Vec<RawFd> = group
            .map(|g| g.v1_tasks().iter().map(|t| t.as_raw_fd()).collect())
            .unwrap_or_default();
        let directory = match group.and_then(Group::v2_dir) {
            Some(directory) if into_group => Some(directory.as_raw_fd()),
            None if into_group => return Err(Failure::step(number, Errno::EBADF)),
            _ => None,
        };
        let joins = self.plan.steps_of(Actor::Joiner).next().is_some();
        let (first, first_group, directory) = match (joins, self.joined.is_some()) {
            (false, _) => (flags, directory, None),
            (true, false) => (0, None, directory),
            // What is done on the way into a sandbox counts as the sandbox's.
            (true, true) => (0, directory, None),
        };
        let mut slots = self.slots.clone();
        let child = Child {
            plan: self.plan,
            slots: &mut slots,
            groups: &tasks,
            socket: theirs.as_raw_fd(),
            peer: self.socket.as_raw_fd(),
            supervisor: std::process::id() as libc::pid_t,
            arguments: self.arguments,
            children: child::UNOPENED,
            joined: [child::UNOPENED; 8],
            networks: child::NO_NETWORKS,
            root: child::UNOPENED,
            staging: child::UNOPENED,
            inner: child::UNOPENED,
            parent: 0,
            stop: None,
            filtered: false,
        };
        match process::clone_into(first, first_group) {
            Ok(Side::Child) if joins => child.join_and_clone(flags, directory, number),
            Ok(Side::Child) => child.run(),
            Ok(Side::Parent { pid, pidfd }) => {
                let pidfd = descriptor::own(pidfd);
                self.init = Some(Init {
                    pid,
                    pidfd,
                    reaped: false,
                    spent: Spent::default(),
                });
                drop(theirs);
                if let Some((_, theirs)) = &mut self.executed {
                    theirs.take();
                }
                // The child has copies; ours would hold the sources busy for the whole run.
                self.close_slots();
                if joins {
                    self.meet_init(number)
                } else {
                    Ok(())
                }
            }
            Err(errno) => Err(Failure::step(number, errno)),
        }
    }

    /// Waits until the joiner has cloned init, and takes init for the joiner.
    fn meet_init(&mut self, number: usize) -> Result<(), Failure> {
        let lost = || Failure::step(number, Errno::ECHILD);
        // Init, if it was cloned, holds its end of the socket too: only the joiner's end tells that
        // there will be no word of it. Nobody knows its pid then; it ends with this process.
        self.await_message_or_end()
            .map_err(|errno| Failure::step(number, errno))?;
        if !self.has_message() {
            return Err(lost());
        }
        match self.receive().ok().flatten() {
            Some((Tag::Cloned, pid, _)) => {
                self.reap();
                let pid = pid as libc::pid_t;
                // Our own child, and not waited for: the pid cannot be anybody else's.
                let pidfd = process::open_pidfd(pid).map_err(|e| Failure::step(number, e))?;
                self.init = Some(Init {
                    pid,
                    pidfd: descriptor::own(pidfd),
                    reaped: false,
                    spent: Spent::default(),
                });
                Ok(())
            }
            Some((Tag::Failed, step, errno)) => {
                Err(Failure::step(step as usize, Errno::from_raw(errno)))
            }
            _ => Err(lost()),
        }
    }

    /// Waits until the child has written something, or has ended.
    fn await_message_or_end(&self) -> nix::Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd as _;
        let Some(init) = &self.init else {
            return Ok(());
        };
        let mut fds =
            [&self.socket, &init.pidfd].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                result => return result.map(drop),
            }
        }
    }

    /// One message of the child's; `None` at the end of file, and for what no child of ours sends.
    fn receive(&self) -> nix::Result<Option<(Tag, u32, i32)>> {
        let mut bytes = child::Message::default();
        loop {
            match descriptor::read_with_descriptor(self.socket.as_raw_fd(), &mut bytes) {
                // The child has ended without reading what we sent. The kernel says so once, before
                // it hands out what the child had sent (unix(7)).
                Err(Errno::ECONNRESET | Errno::EINTR) => {}
                result => {
                    let (length, came) = result?;
                    if came.is_some() {
                        self.came.set(came);
                    }
                    return Ok(bytes.get(..length).and_then(child::parse));
                }
            }
        }
    }

    /// What init has to say about a step of its own, after a step of ours failed: if it ends, it
    /// says why first.
    fn message_of_init(&mut self) -> Option<Failure> {
        self.init.as_ref()?;
        // It either has written already or waits for us.
        if !self.has_message() {
            return None;
        }
        match self.receive().ok()?? {
            (Tag::Failed, step, errno) => {
                Some(Failure::step(step as usize, Errno::from_raw(errno)))
            }
            _ => None,
        }
    }

    /// Waits for init, which has ended or is about to: its wait status.
    fn reap(&mut self) -> Option<libc::c_int> {
        let init = self.init.as_mut().filter(|init| !init.reaped)?;
        init.reaped = true;
        let (status, spent) = wait_for(init.pid)?;
        init.spent = spent;
        Some(status)
    }

    /// Whether the first process, which has ended, did so having executed a program. It is not waited for.
    fn is_unborn(&self) -> bool {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let pid = Id::Pid(nix::unistd::Pid::from_raw(self.pid()));
        // It has ended, so that this does not wait, but for somebody who traces it.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let ended = waitid(pid, look | WaitPidFlag::__WCLONE);
        ended.is_ok_and(|status| status != WaitStatus::StillAlive)
    }

    /// Waits for the children that were killed during the set-up.
    fn reap_killed(&mut self) {
        for pid in self.killed.drain(..) {
            wait_for(pid);
        }
    }
}

/// Waits for the end of one child: its wait status, and what it has used.
fn wait_for(pid: libc::pid_t) -> Option<(libc::c_int, Spent)> {
    loop {
        match process::wait_for(pid) {
            Err(Errno::EINTR) => {}
            result => return result.ok(),
        }
    }
}

impl Drop for Run<'_> {
    /// Ends what still runs, and removes what was made, in the reverse order.
    fn drop(&mut self) {
        self.lower_limits();
        if let Some(init) = self.init.as_ref().filter(|init| !init.reaped) {
            let killed = signal::kill_child(init.pid, init.pidfd.as_raw_fd());
            // Who cannot be killed is not waited for: it ends with this process.
            if killed.is_ok() {
                self.reap();
            }
        }
        self.reap_killed();
        self.network = Network::default();
        self.bus = None;
        drop(self.group.take());
        while let Some(point) = self.mount_points.pop() {
            point.remove();
        }
        while let Some(source) = self.sources.pop() {
            source.remove();
        }
        for fd in self.slots.drain(..).filter(|fd| *fd != child::UNOPENED) {
            descriptor::close(fd);
        }
        // What cannot be removed now is by a later run, or by `gc`.
        for held in self.changes.drain(..) {
            if held.is_thrown() || held.is_empty() {
                let _ = held.discard();
            } else {
                // Where it fails, that stays noted beside them, and is said.
                let _ = held.settle();
            }
        }
    }
}
