//! Watching: hands on signals, keeps the time, and finds out how the command ended.

use super::gate::Gate;
use super::idle::{Done, Idle};
use super::meter::Meter;
use super::notify::Notifier;
use super::packets::RefusedPackets;
use super::progress::Progress;
use super::relay::Relay;
use super::terminal::Terminal;
use super::trace::Tracer;
use super::{Failure, Run};
use crate::child::Tag;
use crate::diag::Origin;
use crate::plan::Step;
use crate::plan::op::Op;
use crate::plan::order::Actor;
use crate::report::Outcome;
use crate::report::usage::End;
use crate::running::paused;
use crate::sys::signal::{self, Mark};
use crate::sys::{descriptor, memory};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// The signals that reach the command.
const FORWARDED: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGALRM,
];

/// `si_code` of a signal that the kernel made itself, as the terminal does (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// After so long the supervisor gives back the memory that only starting took. Many runs are over by then, and
/// would pay for it.
const SETTLED: Duration = Duration::from_millis(200);

/// How long the run may still take, and why it will be ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// Until something happens.
    Open,
    /// Until the wall time is over.
    Wall(Instant),
    /// Until the grace period is over, after the command was asked to end; or for ever.
    Grace(Option<Instant>, Reason),
    /// Killed; only its end is awaited.
    Killed(Reason),
}

/// Why the run was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    WallTime,
    CpuTime,
    Idle,
    Output,
    Terminated,
}

/// What is known of the end so far.
#[derive(Debug, Default)]
struct Heard {
    failure: Option<Failure>,
    attempted: Option<Outcome>,
    status: Option<i32>,
    /// Whether the payload had not become the command.
    unborn: bool,
    /// Whether the payload waits for its tracer.
    traceable: bool,
    /// The command was stopped, after so many SIGCONT with a number.
    stopped: Option<u32>,
    /// Whether the sandbox has its terminal.
    has_terminal: bool,
    /// Whether the gate has ended before the run.
    unguarded: bool,
    /// The step that has opened the sandbox whose namespaces were joined, once that has ended.
    left: Option<usize>,
    /// Why nothing more could be heard.
    deaf: Option<Errno>,
}

impl Run<'_> {
    /// Watches until nothing of the run is left, then says how it ended.
    pub(super) fn watch(mut self) -> Result<Outcome, Failure> {
        let set: SigSet = FORWARDED.iter().copied().collect();
        let last = self
            .plan
            .steps_of(Actor::Supervisor)
            .last()
            .map_or(0, |(number, _)| number);
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|errno| Failure::step(last, errno))?;
        let mut clock = match &self.plan.watch.wall_time {
            Some(limit) => Clock::Wall(Instant::now() + limit.value.0),
            None => Clock::Open,
        };
        let mut meter = self.plan.watch.cpu_time.as_ref().map(|limit| {
            let most = self.plan.watch.processors;
            Meter::start(limit.value.0, most, Instant::now())
        });
        let mut idle = self.plan.watch.idle.as_ref().map(|limit| {
            let most = self.plan.watch.processors;
            Idle::start(limit.value.0, most, Instant::now())
        });
        if let Some(relay) = &mut self.relay {
            let bound = self.plan.steps.get(relay.step());
            // That of a log does not hold for what has a place of its own.
            let counts = bound.is_none_or(|step| step.origin != Origin::CommandLine);
            relay.write_to(std::mem::take(&mut self.opened), counts);
            relay.start()?;
        }
        // The command runs by now; until its end nobody shall see a child of ours but init.
        self.reap_killed();
        // Opened only now, so that nobody inside has a copy.
        let mut progress = self.observer.progress.then(Progress::begin).flatten();
        let mut settled = Some(Instant::now() + SETTLED);
        let mut end = Heard::default();
        let mut listening = true;
        let mut notifier: Option<Notifier> = None;
        let mut tracer: Option<Tracer> = None;
        while let Some(init) = self.init.as_ref() {
            let waiting = notifier.as_ref().and_then(Notifier::waiting);
            let (init, socket) = (init.pidfd.as_fd(), self.socket.as_fd());
            let bell = self.relay.as_ref().map(Relay::bell);
            let waited_for = [
                Some(init),
                Some(signals.as_fd()),
                bell,
                listening.then_some(socket),
                waiting,
                self.gate.as_ref().map(Gate::bell),
                self.executed.as_ref().map(|(ours, _)| ours.as_fd()),
                self.refused_packets.as_ref().map(RefusedPackets::bell),
                self.other.as_ref().map(|(other, _)| other.pidfd.as_fd()),
            ];
            let mut fds: Vec<_> = waited_for
                .into_iter()
                .flatten()
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            let looks = [
                meter.as_ref().map(Meter::next),
                idle.as_ref().map(Idle::next),
                settled,
            ];
            let timeout = clock.timeout(looks.into_iter().flatten().min());
            match poll(&mut fds, Progress::sooner(progress.as_ref(), timeout)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::step(last, errno)),
            }
            if settled.take_if(|at| *at <= Instant::now()).is_some() {
                memory::release_text();
            }
            let mut polled = fds.iter();
            let [
                init,
                signal,
                rung,
                message,
                called,
                unguarded,
                executed,
                refused,
                left,
            ] = waited_for.map(|fd| {
                let polled = fd.and_then(|_| polled.next()?.revents());
                polled.unwrap_or(PollFlags::empty())
            });
            // The message first: init may have written it and ended.
            if !message.is_empty() {
                listening = self.hear(&mut end);
            }
            match self.came.take() {
                Some(payload) if std::mem::take(&mut end.traceable) => {
                    tracer = self.trace(&payload, &mut end);
                }
                Some(master) if std::mem::take(&mut end.has_terminal) => {
                    if let Some(terminal) = &mut self.terminal {
                        terminal.begin(master, &mut self.relay)?;
                    }
                }
                came => notifier = notifier.or(came.map(|fd| Notifier::new(fd, self.plan))),
            }
            // Why nothing was executed has been said before: it is heard first.
            let unheard = || listening && self.has_message();
            if !executed.is_empty() && !unheard() {
                self.executed = None;
                if let (None, Some(started)) = (&end.failure, self.observer.started) {
                    started();
                }
            }
            if let Some(after) = end.stopped.take() {
                self.command_stopped(after);
            }
            if called.contains(PollFlags::POLLIN) {
                notifier = notifier.and_then(Notifier::serve);
            } else if !called.is_empty() {
                // Nobody is left under the filter.
                notifier = None;
            }
            if !refused.is_empty()
                && let Some(packets) = &mut self.refused_packets
            {
                packets.hear();
            }
            if !signal.is_empty() {
                while let Ok(Some(info)) = signals.read_signal() {
                    if info.ssi_signo == libc::SIGCONT as u32
                        && let Some(idle) = &mut idle
                    {
                        idle.begin_again(Instant::now());
                    }
                    self.forward(
                        info.ssi_signo as i32,
                        info.ssi_code == SI_KERNEL,
                        &mut clock,
                    );
                }
            }
            if !init.is_empty() {
                break;
            }
            if !unguarded.is_empty() {
                // Nobody decides any more what may be reached.
                self.gate = None;
                self.send(libc::SIGKILL, false);
                end.unguarded = true;
            }
            if !left.is_empty() {
                // What guarded and served its network has gone, and would leave the rest of it behind for us.
                end.left = self.other.take().map(|(_, step)| step);
                self.send(libc::SIGKILL, false);
            }
            if !rung.is_empty()
                && let Some(relay) = &self.relay
            {
                let is_over = relay.is_over();
                if let Some(terminal) = &mut self.terminal {
                    terminal.heed(relay);
                }
                if is_over && matches!(clock, Clock::Open | Clock::Wall(_)) {
                    self.over(&mut clock, Instant::now(), Reason::Output);
                }
            }
            self.tick(&mut clock, &mut meter, &mut idle);
            if let Some(progress) = &mut progress {
                progress.show(self.group.as_ref(), self.plan);
            }
        }
        while listening && self.has_message() {
            listening = self.hear(&mut end);
        }
        drop(progress);
        if let Some(why) = self.network.lost() {
            let carried = |step: &&Step| matches!(step.op, Op::StartPasta(_));
            if let Some(step) = self.plan.steps.iter().find(carried) {
                (self.say)(step, &why);
            }
        }
        if let Some(why) = self.bus.as_ref().and_then(super::bus::Proxy::lost) {
            let started = |step: &&Step| matches!(step.op, Op::StartBusProxy(_));
            if let Some(step) = self.plan.steps.iter().find(started) {
                (self.say)(step, &why);
            }
        }
        // Without an init, the first process itself becomes the command.
        end.unborn |= !self.plan.watch.init && self.is_unborn();
        let init = self.reap();
        if let (Some(tracer), Some(told)) = (tracer, &mut self.observer.failed) {
            **told = tracer.finish();
        }
        if let Some(notifier) = notifier {
            let refused = notifier.finish();
            if let Some(told) = &mut self.observer.refused {
                **told = refused;
            }
        }
        let refused = self.refused_packets.take();
        let unreached =
            (self.gate.take().map(Gate::finish)).or(refused.map(RefusedPackets::finish));
        if let (Some(unreached), Some(told)) = (unreached, &mut self.observer.unreached) {
            **told = unreached;
        }
        if end.failure.is_none() && end.unguarded {
            let gate = self
                .plan
                .steps
                .iter()
                .position(|step| matches!(step.op, Op::OpenGate(_)));
            let cause = "the gate has ended, and the command with it".into();
            return Err(Failure::text(gate.unwrap_or(last), cause));
        }
        if let (None, Some(step)) = (&end.failure, end.left) {
            let cause = "it has ended, and the command with it".into();
            return Err(Failure::text(step, cause));
        }
        if let (None, Some(errno)) = (&end.failure, end.deaf) {
            let cause = format!(
                "what the sandbox's init says cannot be heard: {}",
                errno.desc()
            );
            return Err(Failure::text(last, cause));
        }
        // An init that exits has sent what it ended for, or could not.
        if self.plan.watch.init
            && end.failure.is_none()
            && end.status.is_none()
            && matches!(init.and_then(End::of_status), Some(End::Code(_)))
        {
            let cause = "the sandbox's init ended and could not say why".into();
            return Err(Failure::text(last, cause));
        }
        if end.failure.is_none() && end.attempted.is_none() && end.status.or(init).is_none() {
            let cause = "how the command ended cannot be told: its end was taken by somebody else";
            return Err(Failure::text(last, cause.into()));
        }
        let ended = match (end.failure, end.attempted) {
            (Some(failure), _) => Err(failure),
            (None, Some(attempted)) => Ok(attempted),
            (None, None) => {
                let outcome = self.outcome(end.status, init, clock);
                // Other signals may have been handed on to it.
                let killed = outcome == Outcome::Signaled(libc::SIGKILL);
                if end.unborn && killed && clock.runs() {
                    let cause = "signal 9 ended the process that was to become the command";
                    return Err(Failure::text(last, cause.into()));
                }
                // From here on they hold what the command has written, or may write again.
                self.sources.clear();
                self.measure(end.status.or(init), clock);
                Ok(outcome)
            }
        };
        let until = match clock {
            Clock::Open => None,
            Clock::Wall(until) => Some(until),
            Clock::Grace(until, _) => until,
            Clock::Killed(_) => Some(Instant::now()),
        };
        self.deliver(ended, until, &signals)
    }

    /// Takes one message; false at the end of file.
    fn hear(&self, end: &mut Heard) -> bool {
        match self.receive() {
            Ok(Some((Tag::Failed, step, errno))) => {
                end.failure = Some(Failure::step(step as usize, Errno::from_raw(errno)));
                true
            }
            Ok(Some((Tag::Ended, unborn, status))) => {
                end.status = Some(status);
                end.unborn = unborn != 0;
                true
            }
            Ok(Some((Tag::Attempted, detail, errno))) => {
                end.attempted = Some(Outcome::Attempted { errno, detail });
                true
            }
            Ok(Some((Tag::Traceable, ..))) => {
                end.traceable = true;
                true
            }
            Ok(Some((Tag::Terminal, ..))) => {
                end.has_terminal = true;
                true
            }
            Ok(Some((Tag::Stopped, after, _))) => {
                end.stopped = Some(after);
                true
            }
            Ok(Some((Tag::Cloned | Tag::Listens | Tag::Socket | Tag::Namespace, ..))) => true,
            Ok(None) => false,
            // It may have said that it failed, or who answers for its filter: nothing goes on unheard.
            Err(errno) => {
                self.send(libc::SIGKILL, false);
                end.deaf = Some(errno);
                false
            }
        }
    }

    /// Traces the payload, which waits for it, and lets it go on. Where it cannot be traced, the run ends.
    fn trace(&self, payload: &OwnedFd, end: &mut Heard) -> Option<Tracer> {
        let awaits = |step: &Step| matches!(step.op, Op::AwaitTracer);
        let step = self.plan.steps.iter().position(awaits).unwrap_or_default();
        match Tracer::begin(payload, self.plan.watch.new_pid_namespace) {
            Ok(tracer) => {
                // Should it be gone already, its end is what is heard next.
                let _ = descriptor::write_all(self.socket.as_raw_fd(), &[1]);
                Some(tracer)
            }
            Err(cause) => {
                end.failure = Some(Failure::text(step, cause));
                self.send(libc::SIGKILL, false);
                None
            }
        }
    }

    /// Whether the child has written something that was not heard yet.
    pub(super) fn has_message(&self) -> bool {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    /// Hands a signal on. One that the terminal sent to its whole foreground group goes to the
    /// command's whole group; where the command is in that group itself, it has it already.
    fn forward(&mut self, number: i32, from_terminal: bool, clock: &mut Clock) {
        let watch = &self.plan.watch;
        if let Some(terminal) = &mut self.terminal {
            match number {
                // Its own terminal tells the command, and all that is in the foreground there.
                libc::SIGWINCH => return terminal.keep_size(),
                libc::SIGCONT => {
                    terminal.come_forward();
                    return self.resume();
                }
                libc::SIGTSTP => {
                    self.send(number, from_terminal);
                    return self.suspend(from_terminal);
                }
                _ => {}
            }
        }
        let is_held = number == libc::SIGCONT && self.joins_paused();
        if !is_held && (!from_terminal || watch.new_session) {
            let sent = if number == libc::SIGTERM {
                self.stop_signal()
            } else {
                number
            };
            self.send(sent, from_terminal);
        }
        match Signal::try_from(number) {
            Ok(Signal::SIGTERM) if matches!(clock, Clock::Open | Clock::Wall(_)) => {
                self.let_end();
                let until = Instant::now().checked_add(self.plan.watch.grace);
                *clock = Clock::Grace(until, Reason::Terminated);
            }
            // The shell that started us waits until we stop; SIGCONT then arrives as a signal to
            // be handed on.
            Ok(Signal::SIGTSTP) => {
                let _ = nix::sys::signal::raise(Signal::SIGSTOP);
            }
            _ => {}
        }
    }

    /// The command was stopped. At its own terminal that is for whoever works there to see: this job stops too,
    /// and the command goes on when it does. What was stopped before it was last continued goes on at once.
    fn command_stopped(&mut self, after: u32) {
        match &self.terminal {
            Some(terminal) if terminal.is_stop(after) => self.suspend(true),
            Some(_) => self.resume(),
            None => {}
        }
    }

    fn suspend(&mut self, whole_job: bool) {
        if let Some(terminal) = &mut self.terminal {
            terminal.suspend(whole_job);
        }
        self.resume();
    }

    /// Whether the sandbox that is joined is paused: nobody in it goes on alone.
    fn joins_paused(&self) -> bool {
        self.plan.steps.iter().any(|step| match step.op {
            Op::RefusePaused { init, supervisor } => {
                paused::stage(init, supervisor) != paused::Stage::Running
            }
            _ => false,
        })
    }

    /// Lets the command go on.
    fn resume(&self) {
        if !self.joins_paused()
            && let Some(mark) = self.terminal.as_ref().map(Terminal::mark)
        {
            self.send_marked(libc::SIGCONT, mark);
        }
    }

    fn send(&self, number: i32, to_group: bool) {
        let mark = Mark {
            to_group,
            ..Mark::NONE
        };
        self.send_marked(number, mark);
    }

    fn send_marked(&self, number: i32, mut mark: Mark) {
        if let Some(init) = &self.init {
            if !self.plan.watch.init {
                mark = Mark::NONE;
            }
            // It may have ended: then there is nobody to tell.
            let _ = signal::send(init.pidfd.as_raw_fd(), number, mark)
                .or_else(|_| signal::kill(init.pid, number));
        }
    }

    /// Does what the clock says.
    fn tick(&self, clock: &mut Clock, meter: &mut Option<Meter>, idle: &mut Option<Idle>) {
        let now = Instant::now();
        let used = || self.group.as_ref().and_then(super::cgroup::Group::cpu_used);
        match *clock {
            Clock::Wall(until) if now >= until => self.over(clock, now, Reason::WallTime),
            Clock::Open | Clock::Wall(_)
                if meter.as_mut().is_some_and(|meter| meter.reached(now, used)) =>
            {
                self.over(clock, now, Reason::CpuTime);
            }
            Clock::Open | Clock::Wall(_)
                if idle
                    .as_mut()
                    .is_some_and(|idle| idle.reached(now, || self.done(used()))) =>
            {
                self.over(clock, now, Reason::Idle);
            }
            Clock::Grace(Some(until), reason) if now >= until => {
                if let Some(group) = &self.group {
                    group.kill();
                }
                self.send(libc::SIGKILL, false);
                *clock = Clock::Killed(reason);
            }
            _ => {}
        }
    }

    /// What was done so far, as far as it shows.
    fn done(&self, used: Option<Duration>) -> Done {
        let (written, waits) = self.relay.as_ref().map_or((0, false), Relay::came);
        // Nor is it the command that does nothing, where nobody lets it.
        let waits = waits || self.is_paused();
        // A counter that cannot be read any more shows nothing.
        let used = used.unwrap_or_default();
        Done {
            written,
            waits,
            used,
        }
    }

    /// Asks the command to end, and gives it the grace period for it.
    fn over(&self, clock: &mut Clock, now: Instant, reason: Reason) {
        self.send(self.stop_signal(), false);
        self.let_end();
        *clock = Clock::Grace(now.checked_add(self.plan.watch.grace), reason);
    }

    /// Lets the command go on, whatever has stopped it: who is stopped or paused cannot end by itself.
    fn let_end(&self) {
        self.send(libc::SIGCONT, false);
        if let Some(group) = &self.group {
            group.thaw();
        }
        if self.pauses() {
            self.send(paused::RESUME, false);
        }
    }

    /// Whether init pauses what is inside when it is asked to.
    fn pauses(&self) -> bool {
        self.has_init() && self.plan.watch.new_pid_namespace
    }

    /// Whether the run is paused: `sandbox pause` and `resume` do not ask the supervisor.
    fn is_paused(&self) -> bool {
        let group = self.group.as_ref();
        group.is_some_and(super::cgroup::Group::is_frozen)
            || self.pauses() && paused::is_paused(self.pid(), std::process::id() as libc::pid_t)
    }

    /// What asks the command to end. An init without one asks all that are inside itself, upon SIGTERM.
    fn stop_signal(&self) -> i32 {
        let stays = self
            .plan
            .steps
            .iter()
            .any(|step| matches!(step.op, Op::Stay));
        if stays {
            libc::SIGTERM
        } else {
            self.plan.watch.stop_signal.0
        }
    }

    /// Whether the command has an init, and not only a parent beside that of the sandbox that it joins.
    fn has_init(&self) -> bool {
        let beside = |step: &Step| matches!(step.op, Op::ForkBesideInit);
        self.plan.watch.init && !self.plan.steps.iter().any(beside)
    }

    /// How it ended, from evidence: what init reported, what the kernel counted, what was sent.
    fn outcome(&self, status: Option<i32>, init: Option<i32>, clock: Clock) -> Outcome {
        let evidence = self.group.as_ref().map(super::cgroup::Group::evidence);
        let oom_kills = evidence.map_or(0, |e| e.oom_kills);
        let (code, signal) = match status.or(init).and_then(End::of_status) {
            Some(End::Code(code)) => (Some(code), None),
            Some(End::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let killed = signal == Some(libc::SIGKILL);
        let oom = Outcome::OomKilled {
            code: code.unwrap_or(128 + signal.unwrap_or(libc::SIGKILL)),
        };
        match clock {
            // It still had its grace, and we had sent no SIGKILL: the kernel did, for want of memory.
            Clock::Grace(..) if oom_kills > 0 && killed => oom,
            Clock::Grace(_, Reason::WallTime) | Clock::Killed(Reason::WallTime) => {
                Outcome::WallTimeout
            }
            Clock::Grace(_, Reason::CpuTime) | Clock::Killed(Reason::CpuTime) => {
                Outcome::CpuTimeout
            }
            Clock::Grace(_, Reason::Idle) | Clock::Killed(Reason::Idle) => Outcome::IdleTimeout,
            Clock::Grace(_, Reason::Output) | Clock::Killed(Reason::Output) => Outcome::OutputLimit,
            _ if oom_kills > 0 && (killed || code != Some(0)) => oom,
            Clock::Killed(Reason::Terminated) => Outcome::Unresponsive,
            _ => match (code, signal) {
                (Some(code), _) => Outcome::Exited(code),
                (None, Some(signal)) if status.is_none() && self.has_init() => {
                    Outcome::Lost(signal)
                }
                (None, Some(libc::SIGSYS)) if self.plan.deadly_filter().is_some() => {
                    Outcome::SeccompKilled
                }
                (None, Some(signal)) => Outcome::Signaled(signal),
                (None, None) => Outcome::Lost(libc::SIGKILL),
            },
        }
    }
}

impl Clock {
    /// Whether nothing has ended the run yet.
    const fn runs(self) -> bool {
        matches!(self, Self::Open | Self::Wall(_))
    }

    /// How long nothing has to be done; `look` is when something is to be looked at.
    fn timeout(self, look: Option<Instant>) -> PollTimeout {
        let until = match self {
            Self::Wall(until) => Some(look.map_or(until, |look| look.min(until))),
            Self::Grace(until, _) => until,
            Self::Open => look,
            Self::Killed(_) => None,
        };
        let Some(until) = until else {
            return PollTimeout::NONE;
        };
        // Rounded up, so that a poll never returns a moment too early for its deadline.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }
}
