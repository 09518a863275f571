//! The words for operations: what `explain` prints, and what a failed step is called.

mod network;

use super::egress::{Host, Protocol};
use super::op::gate::Listen;
use super::op::network::Assigned;
use super::op::{
    ClockOffset, Dress, HostPath, INFINITY, IdRange, Ids, Limit, MapWriter, MountOption,
    NamespaceKind, NewName, NewRoot, Op, Over, SecretFrom, Slot, Stream, USUAL_PERIOD_US, Upper,
};
use super::order::{Actor, RULES};
use super::{Plan, Step};
use crate::diag::Sources;
use crate::host::cgroup::IDLE_WEIGHT;
use crate::host::images::{Owners, Source};
use crate::profile::value::{Duration, Size};
use crate::sys::mount::{Attributes, Depth};
use std::ffi::CStr;
use std::fmt::{self, Write as _};

/// The plan as text: grouped by who performs each step, with the line each comes from; with the
/// reasons of the order, if asked for.
#[must_use]
pub fn text(plan: &Plan, sources: &Sources, why: bool) -> String {
    let mut out = String::new();
    for actor in [
        Actor::Supervisor,
        Actor::Joiner,
        Actor::Init,
        Actor::Payload,
    ] {
        let steps: Vec<_> = plan.steps_of(actor).collect();
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{actor}:");
        let mut phase = None;
        for (number, step) in steps {
            if why && phase != Some(step.phase) {
                phase = Some(step.phase);
                reasons(&mut out, plan, step);
            }
            let what = step.op.to_string();
            let from = step.origin.display(sources).to_string();
            let _ = writeln!(out, "{:>4}  {what:<60}  {from}", number + 1);
        }
        out.push('\n');
    }
    for note in &plan.notes {
        let kind = if note.is_weaker() {
            "NOT ENFORCED"
        } else {
            "note"
        };
        let _ = writeln!(
            out,
            "{kind}: {} ({})",
            note.text,
            note.origin.display(sources)
        );
    }
    out
}

/// Why a phase comes where it comes: the rules that bind it to other phases of this plan.
fn reasons(out: &mut String, plan: &Plan, step: &Step) {
    for rule in RULES.iter().filter(|rule| rule.after == step.phase) {
        if plan.steps.iter().any(|other| other.phase == rule.before) {
            let _ = writeln!(
                out,
                "      # {} comes after {}: {}",
                rule.after.name(),
                rule.before.name(),
                rule.because
            );
        }
    }
}

pub(super) fn s(text: &CStr) -> std::borrow::Cow<'_, str> {
    match text.to_string_lossy() {
        std::borrow::Cow::Borrowed(text) => crate::diag::printable(text),
        std::borrow::Cow::Owned(text) => crate::diag::printable(&text).into_owned().into(),
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.beneath {
            None => f.write_str(&s(&self.trusted)),
            Some(rest) => write!(f, "{}/{} (no links below {0})", s(&self.trusted), s(rest)),
        }
    }
}

impl fmt::Display for NewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = s(&self.parent);
        let slash = if parent.is_empty() { "" } else { "/" };
        write!(f, "/{parent}{slash}{}", s(&self.name))
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (Self::READ_ONLY, "read-only"),
            (Self::NOSUID, "nosuid"),
            (Self::NODEV, "nodev"),
            (Self::NOEXEC, "noexec"),
            (Self::NOSYMFOLLOW, "nosymfollow"),
        ];
        let words: Vec<_> = words
            .into_iter()
            .filter(|(a, _)| self.contains(*a))
            .map(|(_, word)| word)
            .chain(self.atime_word())
            .collect();
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Dress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {:03o}", self.mode)?;
        match self.owner {
            Some((uid, gid)) => write!(f, ", owner {uid}:{gid}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(_) => f.write_str("on disk"),
            Self::Memory(options) => {
                let options: Vec<_> = options
                    .iter()
                    .map(|(key, value)| format!("{}={}", s(key), s(value)))
                    .collect();
                write!(f, "in memory ({})", options.join(", "))
            }
        }
    }
}

/// What is said of a tmpfs whose files have a label of their own.
fn context(f: &mut fmt::Formatter<'_>, options: &[MountOption]) -> fmt::Result {
    match options.iter().find(|(key, _)| key.as_c_str() == c"context") {
        Some((_, context)) => write!(f, " (context={})", s(context)),
        None => Ok(()),
    }
}

fn ranges(ranges: &[IdRange]) -> String {
    let one = |r: &IdRange| format!("{} -> {} ({})", r.inside, r.outside, r.count);
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What is said of a mount that is copied without others.
fn alone(depth: Depth) -> &'static str {
    match depth {
        Depth::Whole => "",
        Depth::Alone => ", without what is mounted below it",
    }
}

/// Whether each of the two streams has a pipe to itself.
fn apart(stdout: Option<Slot>, stderr: Option<Slot>) -> bool {
    stdout.is_some() && stderr.is_some() && stdout != stderr
}

/// The streams that have a pipe.
fn streams(stdout: Option<Slot>, stderr: Option<Slot>) -> &'static str {
    match (stdout, stderr) {
        (Some(_), Some(_)) => "stdout and stderr",
        (Some(_), None) => "stdout",
        _ => "stderr",
    }
}

/// Standard streams by their names.
fn names(streams: &[Stream]) -> String {
    let name = |stream: &Stream| ["stdin", "stdout", "stderr"].get(usize::try_from(*stream).ok()?);
    let names: Vec<_> = streams.iter().filter_map(name).copied().collect();
    names.join(", ")
}

fn kind_names(kinds: &[NamespaceKind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

fn bound(value: u64) -> String {
    if value == INFINITY {
        "infinity".into()
    } else {
        value.to_string()
    }
}

/// Every capability that this program knows.
fn every() -> u64 {
    caps::all()
        .iter()
        .fold(0, |all, capability| all | capability.bitmask())
}

/// The names of a mask, for people.
fn capabilities(mask: u64) -> String {
    if mask & every() == every() {
        return "all".into();
    }
    let mut names: Vec<_> = caps::all()
        .into_iter()
        .filter(|capability| mask & capability.bitmask() != 0)
        .map(|capability| {
            capability
                .to_string()
                .trim_start_matches("CAP_")
                .to_lowercase()
        })
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pids(max) => write!(f, "pids to {max}"),
            Self::Memory(bytes) => write!(f, "memory to {}", Size(*bytes)),
            Self::MemoryHigh(bytes) => {
                write!(f, "memory to {} before it is slowed down", Size(*bytes))
            }
            Self::MemoryLow(bytes) => {
                let size = Size(*bytes);
                write!(
                    f,
                    "what is reclaimed of memory while others have any to what is above {size}"
                )
            }
            Self::MemoryMin(bytes) => {
                write!(
                    f,
                    "what is reclaimed of memory to what is above {}",
                    Size(*bytes)
                )
            }
            Self::HugePages { page, bytes } => {
                write!(f, "huge pages of {} to {}", Size(*page), Size(*bytes))
            }
            Self::OomGroup(true) => f.write_str("want of memory to the end of all processes"),
            Self::OomGroup(false) => f.write_str("want of memory to the end of one process"),
            Self::Swap(bytes) => write!(f, "swap to {}", Size(*bytes)),
            Self::Cpu {
                quota_us,
                period_us,
            } => {
                write!(
                    f,
                    "cpu to {} processors",
                    *quota_us as f64 / *period_us as f64
                )?;
                match *period_us {
                    USUAL_PERIOD_US => Ok(()),
                    other => write!(f, ", in periods of {}", microseconds(other)),
                }
            }
            Self::CpuBurst(burst) => {
                let time = microseconds(*burst);
                write!(f, "the processor time that is saved up for later to {time}")
            }
            Self::Realtime(us) => {
                let time = microseconds(*us);
                write!(f, "real-time processor time to {time} of each second")
            }
            Self::IoWeight { by, of, weight } => {
                let of = of.map_or("every disk".into(), |disk| format!("the disk {disk}"));
                write!(f, "io of {of} beside others to a weight of {weight} ({by})")
            }
            Self::CpuTime(time) => {
                write!(f, "the processor time used in all to {}", Duration(*time))
            }
            Self::Idle(time) => write!(
                f,
                "the time without output and with next to no processor time to {}",
                Duration(*time)
            ),
            Self::Io(device, rates) => write!(f, "io of the disk {device}: {rates}"),
            Self::CpuWeight(weight) => {
                write!(f, "processor time beside others to a weight of {weight}")
            }
            Self::CpuIdle => f.write_str("processor time to what nobody else wants"),
            Self::Cpuset(list) => write!(f, "the processors to {list}"),
            Self::MemoryNodes(list) => write!(f, "the memory nodes to {list}"),
        }
    }
}

/// A time in microseconds, in words.
fn microseconds(number: u64) -> Duration {
    Duration(std::time::Duration::from_micros(number))
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpack(unpacking) => {
                let source = unpacking.source.to_string();
                let verb = match unpacking.source {
                    Source::Registry { .. } => "fetch",
                    _ => "unpack",
                };
                let base = unpacking.cache.base().display().to_string();
                let owners = match unpacking.owners {
                    Owners::Kept => "with its owners",
                    Owners::Caller => "to belong to the caller",
                    Owners::Mapped { .. } => "with its owners as subordinate ids",
                };
                write!(
                    f,
                    "{verb} {} into {}, {owners} (at most {} members, {} of files)",
                    crate::diag::printable(&source),
                    crate::diag::printable(&base),
                    unpacking.bounds.entries,
                    Size(unpacking.bounds.bytes)
                )
            }
            Self::HoldRoot(entry) => {
                let folder = entry.folder.display().to_string();
                write!(
                    f,
                    "hold the unpacked root {}",
                    crate::diag::printable(&folder)
                )
            }
            Self::ClaimRecord { folder, id, name } => {
                let folder = folder.display().to_string();
                let folder = crate::diag::printable(&folder);
                write!(f, "make the record {id} in {folder}, locked until the end")?;
                match name {
                    Some(name) => write!(f, ", under the name {name}"),
                    None => Ok(()),
                }
            }
            Self::WriteRecord(kinds) => write!(
                f,
                "take init's namespaces, and write the record: {}",
                kind_names(kinds)
            ),
            Self::OpenGroup(groups) => {
                f.write_str("open the cgroup of the sandbox:")?;
                let v1 = groups.v1.iter().map(|(_, path)| path);
                for path in v1.chain(&groups.v2) {
                    write!(
                        f,
                        " {}",
                        crate::diag::printable(&path.display().to_string())
                    )?;
                }
                Ok(())
            }
            Self::MakeMountPoint {
                tree,
                missing,
                directory,
            } => {
                let kind = if *directory { "directory" } else { "file" };
                write!(
                    f,
                    "provide the mount point {}/{} ({kind}): if missing, until the end",
                    s(tree),
                    s(missing)
                )
            }
            Self::MakeSource {
                tree,
                missing,
                owner,
            } => {
                write!(
                    f,
                    "make the directory {}/{} on the host: if missing, to stay (no links below {0})",
                    s(tree).trim_end_matches('/'),
                    s(missing)
                )?;
                match owner {
                    Some((uid, gid)) => write!(f, "; it is given to uid {uid}, gid {gid} there"),
                    None => Ok(()),
                }
            }
            Self::KeepChanges { kept, .. } => {
                let (source, store) = (kept.source.display(), kept.store.display());
                write!(
                    f,
                    "take the changes to {} kept as {} in {}",
                    crate::diag::printable(&source.to_string()),
                    kept.name,
                    crate::diag::printable(&store.to_string())
                )
            }
            Self::StartBusProxy(proxy) => {
                let program = proxy.program.display().to_string();
                write!(f, "start {}", crate::diag::printable(&program))?;
                for bus in &proxy.buses {
                    let socket = proxy.folder.join(&bus.name).display().to_string();
                    let words = format!("{} {socket} --filter {}", bus.address, bus.rules.join(" "));
                    write!(f, " {}", crate::diag::printable(words.trim_end()))?;
                }
                f.write_str(", and wait until it listens; its folder goes in the end")
            }
            Self::MakeNode { node, .. } => write!(f, "make a node of the device {node}"),
            Self::LockFile(path) => write!(f, "lock {path} for reading, until the end"),
            Self::TakeSecret { from, .. } => match from {
                SecretFrom::File(path) => write!(f, "read a secret from {path}"),
                SecretFrom::Variable(name) => write!(
                    f,
                    "read a secret from the caller's variable {}",
                    crate::diag::printable(name)
                ),
            },
            Self::AskForScope(scope) => {
                let (manager, socket) = (scope.manager.name(), scope.socket.path.display());
                let (unit, slice) = (&scope.unit, &scope.slice);
                write!(
                    f,
                    "ask {manager} at {socket} for the scope {unit} in {slice}"
                )?;
                match scope.cpu_weight {
                    None => {}
                    Some(IDLE_WEIGHT) => f.write_str(", which is idle beside others")?,
                    Some(weight) => write!(f, ", of cpu weight {weight}")?,
                }
                match &scope.part_of {
                    Some(unit) => write!(f, ", to be stopped with {unit}"),
                    None => Ok(()),
                }
            }
            Self::CreateGroup { names, parent, .. } => {
                match &names.own {
                    None => write!(f, "make the cgroup {}", names.run)?,
                    Some(own) => write!(
                        f,
                        "make the cgroup {own}, and {} to say whose it is",
                        names.run
                    )?,
                }
                match parent {
                    Some(parent) => write!(f, ", below {}", parent.display()),
                    None => Ok(()),
                }
            }
            Self::LimitPeers(peers) if peers.is_empty() => {
                f.write_str("let no packets be exchanged with any address")
            }
            Self::LimitPeers(peers) => {
                let peers: Vec<_> = peers.iter().map(|peer| Host::Network(*peer).to_string()).collect();
                write!(f, "let packets be exchanged with nobody but: {}", peers.join(", "))
            }
            Self::LimitDevices(rules) => {
                let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
                write!(f, "let nothing of devices be opened but: {}", rules.join(", "))
            }
            Self::SetLimit(limit) => write!(f, "limit {}", limit),
            Self::MakePipes {
                stdout,
                stderr,
                most,
                over,
                displayed,
            } => {
                let pipes = match apart(*stdout, *stderr) {
                    true => "pipes",
                    false => "a pipe",
                };
                match (stdout, stderr) {
                    (None, None) => f.write_str("hand on what is written to the terminal")?,
                    _ => {
                        let streams = streams(*stdout, *stderr);
                        write!(f, "make {pipes}, and hand on what is written to {streams}")?;
                    }
                }
                if displayed.contains(&true) {
                    f.write_str(", to a terminal only what it displays")?;
                }
                match (most.map(Size), over) {
                    (None, _) => Ok(()),
                    (Some(most), Over::Cut) => {
                        write!(f, ": at most {most} together, the rest is dropped")
                    }
                    (Some(most), Over::End) => {
                        write!(f, ": at most {most} together, then the command is ended")
                    }
                }
            }
            Self::ReadInput { path, .. } => write!(
                f,
                "open {} anew, for reading alone, as the standard input",
                s(path)
            ),
            Self::KeepFlags(streams) => write!(
                f,
                "remember the flags of {}, and set them so again in the end",
                names(streams)
            ),
            Self::TakePipes { stdout, stderr } => {
                let pipes = match apart(*stdout, *stderr) {
                    true => "pipes",
                    false => "pipe",
                };
                write!(f, "take the {pipes} as {}", streams(*stdout, *stderr))
            }
            Self::OpenStream {
                streams,
                path,
                append,
                slot,
            } => {
                let (names, path) = (names(streams), path.display().to_string());
                let path = crate::diag::printable(&path);
                let (done, what) = match append {
                    true => ("find or make", "its end"),
                    false => ("empty or make", "it"),
                };
                match (&streams[..], slot) {
                    ([0, ..], _) => write!(f, "open {path} as {names} (no links)"),
                    (_, Some(_)) => write!(f, "{done} {path}, and open {what} as {names} (no links)"),
                    (_, None) => write!(
                        f,
                        "{done} {path}, to write to {what} what is handed on of {names} (no links)"
                    ),
                }
            }
            Self::TakeStream { streams, .. } => {
                write!(f, "take what was opened as {}", names(streams))
            }
            Self::RaiseRlimit {
                name, soft, hard, ..
            } => write!(
                f,
                "raise the own limit on {name} to {} (hard: {}) until init is cloned",
                bound(*soft),
                bound(*hard)
            ),
            Self::OpenProgram { path, .. } => {
                write!(f, "open the program {}, read-only (no links)", s(path))
            }
            Self::SetCoredumpFilter(bits) => {
                write!(f, "write {bits:#x} to coredump_filter: what core dumps hold")
            }
            Self::RefuseTimestamps => f.write_str("read no time-stamp counter"),
            Self::RefuseSpeculation { name, .. } => {
                write!(f, "switch the speculation {name} off for good")
            }
            Self::RefuseHugePages => f.write_str("have no transparent huge pages"),
            Self::AwaitTracer => f.write_str(
                "be traced by the supervisor, for which it waits: file calls that fail are told of",
            ),
            Self::RelayTerminal { caller, displayed, .. } => {
                f.write_str(match caller {
                    Some(_) => "hand on between the caller's terminal and the sandbox's own; the caller's is raw meanwhile, and a copy of this process gives it its settings back if this one is killed",
                    None => "hand on between stdin and stdout and the sandbox's own terminal",
                })?;
                match displayed {
                    true => f.write_str("; of what is written, only what a terminal displays"),
                    false => Ok(()),
                }
            }
            Self::TakeEmptyInput => f.write_str("take an empty pipe as stdin"),
            Self::OpenTerminal { settings, .. } => f.write_str(match settings {
                Some(_) => "open a terminal of /dev/pts, set and as large as the caller's, and hand its other side to the supervisor",
                None => "open a new terminal of /dev/pts, and hand its other side to the supervisor",
            }),
            Self::ControlTerminal { .. } => {
                f.write_str("make it the controlling terminal of the session")
            }
            Self::TakeTerminal { streams, .. } => {
                f.write_str("come to the foreground of the terminal")?;
                if streams.is_empty() {
                    return Ok(());
                }
                write!(f, ", and take it as {}", names(streams))
            }
            Self::MakeIdmap { users, groups, .. } => {
                write!(
                    f,
                    "map owners: users {}, groups {}",
                    ranges(users),
                    ranges(groups)
                )
            }
            Self::OpenMapped { source, depth, .. } => {
                write!(f, "open {source}, owners mapped{}", alone(*depth))
            }
            Self::CloneInit {
                namespaces,
                into_group,
            } => {
                let names = kind_names(namespaces);
                let group = if *into_group { ", into the cgroup" } else { "" };
                write!(f, "clone init, new namespaces: {names}{group}")
            }
            Self::SetOomScore(score) => write!(f, "set oom_score_adj to {score}"),
            Self::DenySetgroups => f.write_str("deny setgroups"),
            Self::WriteIdMap {
                ids,
                ranges: map,
                writer,
            } => {
                let what = if *ids == Ids::User {
                    "uid_map"
                } else {
                    "gid_map"
                };
                write!(f, "write {what}: {}", ranges(map))?;
                match writer {
                    MapWriter::Supervisor => Ok(()),
                    MapWriter::Helper(path) => write!(f, " (by {})", path.display()),
                }
            }
            Self::MakePair(pair) => network::pair(pair, f),
            Self::SetInterface { path, value } => {
                write!(f, "set {} to {value}", path.display())
            }
            Self::AddAddress(Assigned {
                end,
                interface,
                net,
            }) => write!(
                f,
                "give {interface} {} the address {net}",
                network::place(*end)
            ),
            Self::RaiseInterface { end, interface } => {
                write!(f, "bring up {interface} {}", network::place(*end))
            }
            Self::AddDefaultRoute { gateway, interface } => {
                write!(f, "route by {gateway} on {interface} inside")
            }
            Self::MakeMacvlan(macvlan) => network::macvlan(macvlan, f),
            Self::LimitRate(limited) => network::limit(limited, f),
            Self::Worsen {
                end,
                interface,
                line,
            } => write!(f, "of what {interface} {} sends, {line}", network::place(*end)),
            Self::WorsenGate(line) => write!(f, "of what goes through it, {line}, each way"),
            Self::LimitGate { rate, .. } => write!(
                f,
                "limit what goes through it to {} each second, each way",
                Size(*rate)
            ),
            Self::ServePort { published, to } => network::serve(published, to, f),
            Self::ReservePort(published) => network::reserve(published, f),
            Self::Translate { table, rules } => network::translate(table, rules, f),
            Self::StartPasta(pasta) => network::pasta(pasta, f),
            Self::RefusePaused { init, .. } => {
                write!(f, "go on unless the sandbox is paused, as the name of its init says (pid {init})")
            }
            Self::Release => f.write_str("release init"),
            Self::OpenGate(rules) => {
                f.write_str("open the gate: let through nothing")?;
                network::but(rules, f)
            }
            Self::FilterPackets(filter) => network::filter(&filter.rules, f),
            Self::HearRefused(_) => f.write_str("hear of what is refused there, to tell it in the end"),
            Self::ForwardInside => {
                f.write_str("hand on what comes to them, to the host's loopback and back")
            }
            Self::ListenInside(forwarded) => network::forward(*forwarded, f),
            Self::ListenForNames(protocol) => network::listen_for_names(*protocol, f),
            Self::ResolveNames(names) => network::names(names, f),
            Self::MakeGateNetwork => {
                f.write_str("make the gate's network namespace, where every address is local")
            }
            Self::LinkGate(link) => {
                let [four, six] = link.inside;
                let name = s(link.name);
                write!(f, "link it with the sandbox's by {name} ({four}, {six})")?;
                match link.rest {
                    true => f.write_str(", where all goes that is refused"),
                    false => Ok(()),
                }
            }
            Self::RouteToGate(network) => {
                write!(f, "route {network} by {}", s(super::op::gate::OPEN.name))
            }
            Self::ListenAtGate(Listen::Resolver(protocol)) => write!(
                f,
                "resolve names at {}:53 ({protocol}) of the gate",
                super::op::gate::RESOLVER
            ),
            Self::ListenAtGate(Listen::Port(protocol, port)) => {
                write!(f, "take what comes to port {port} ({protocol}) of the gate")?;
                match protocol {
                    Protocol::Tcp => f.write_str(", when the other side has answered"),
                    Protocol::Udp => Ok(()),
                }
            }
            Self::ObserveGate(_) => {
                f.write_str("see at the gate what begins, and answer what is refused")
            }
            Self::LeaveGateNetwork => f.write_str("return to the sandbox's network namespace"),
            Self::RepeatAtGate => {
                f.write_str("repeat the beginnings of connections that were answered")
            }
            Self::JoinNamespace { kind, path } => {
                write!(f, "join the {} namespace {}", kind.name, s(path))
            }
            Self::ReserveAddress { bridge, address } => {
                write!(f, "reserve {address} on the bridge {bridge}, unless somebody there has it")
            }
            Self::OpenSandbox {
                name,
                id,
                namespaces,
                ..
            } => {
                write!(f, "open {name} ({id}), a sandbox that runs, and its ")?;
                for (at, (kind, held, _)) in namespaces.iter().enumerate() {
                    let and = if at == 0 { "" } else { " and " };
                    write!(f, "{and}{}:[{}]", kind.name, held.inode)?;
                }
                f.write_str("; end when it ends")
            }
            Self::JoinSandbox {
                name, kind, inode, ..
            } => {
                write!(f, "join the {} namespace {}:[{inode}] of the sandbox {name}", kind.name, kind.name)
            }
            Self::EnterNamespace { kind, inode, .. } => {
                write!(f, "enter the namespace {}:[{inode}]", kind.name)
            }
            Self::SetOwnOomScore(score) => write!(f, "set its own oom_score_adj to {score}"),
            Self::ShowNamespaces(kinds) => write!(
                f,
                "hand its namespaces to the supervisor, and wait for the record: {}",
                kind_names(kinds)
            ),
            Self::Stay => f.write_str("stay without a command; reap, and end all when told to"),
            Self::DieWithSupervisor => f.write_str("die when the supervisor dies"),
            Self::NewKeyring => f.write_str("leave the caller's session keyring for an empty one"),
            Self::JoinGroups => f.write_str("join the cgroup"),
            Self::UnshareCgroupNamespace => f.write_str("make a cgroup namespace"),
            Self::UnshareTimeNamespace => f.write_str("make a time namespace"),
            Self::SetClock(ClockOffset { line }) => {
                write!(f, "set a clock ahead (seconds, nanoseconds): {line}")
            }
            Self::MakePrivate => f.write_str("stop mount propagation"),
            Self::MakeSlave => f.write_str("stop mount propagation to the host"),
            Self::OpenSource { source, depth, .. } => write!(f, "open {source}{}", alone(*depth)),
            Self::AwaitRelease => f.write_str("wait for the supervisor"),
            Self::TakeIds { uid, gid } => write!(f, "become uid {uid}, gid {gid} for the set-up"),
            Self::MakeInnerUser { namespaces, .. } => {
                f.write_str("make an inner user namespace with the same ids")?;
                for (at, kind) in namespaces.iter().enumerate() {
                    let before = if at == 0 {
                        "; in it, new namespaces: "
                    } else {
                        ", "
                    };
                    write!(f, "{before}{}", kind.name)?;
                }
                Ok(())
            }
            Self::ForbidUserNamespaces => f.write_str(
                "permit no further user namespaces inside (user.max_user_namespaces = 0)",
            ),
            Self::EnterInnerUser => {
                f.write_str("enter the inner user namespace, away from the mounts")
            }
            Self::AttachStaging(options) => {
                f.write_str("mount a tmpfs aside, for files of the profile")?;
                context(f, options)
            }
            Self::StageFile {
                contents, dress, ..
            } => {
                write!(f, "write a file of {} bytes aside ({dress})", contents.len())
            }
            Self::StageSecret { dress, .. } => write!(f, "write a secret aside ({dress})"),
            Self::AttachRoot(NewRoot::Tmpfs(options)) => {
                f.write_str("mount an empty tmpfs as the new root")?;
                context(f, options)
            }
            Self::AttachRoot(NewRoot::Tree(_, attributes)) => {
                write!(f, "mount the root's tree as the new root ({attributes})")
            }
            Self::AttachRoot(NewRoot::Overlay(_, upper, attributes)) => write!(
                f,
                "mount the root's tree as the new root ({attributes}), changes to it {upper}"
            ),
            Self::MountOverlay {
                source,
                upper,
                attributes,
                target,
                ..
            } => {
                let source = source.display().to_string();
                write!(
                    f,
                    "overlay {} on /{} ({attributes}), changes to it {upper}",
                    crate::diag::printable(&source),
                    s(target)
                )
            }
            Self::ProvideMountPoint { name, directory } => {
                let kind = if *directory { "directory" } else { "file" };
                write!(f, "provide the mount point {name} ({kind}): if missing")
            }
            Self::MakeDirectory(name, _) => write!(f, "make the directory {name}"),
            Self::DressDirectory(target, dress) => {
                write!(f, "set the directory /{}: {dress}", s(target))
            }
            Self::MakeFile(name) => write!(f, "make the empty file {name}"),
            Self::MakeSymlink(name, to) => write!(f, "make the link {name} -> {}", s(to)),
            Self::MountFilesystem {
                kind,
                options,
                attributes,
                target,
            } => {
                write!(f, "mount {} on /{} ({attributes}", s(kind), s(target))?;
                for (key, value) in options {
                    match value {
                        Some(value) => write!(f, ", {}={}", s(key), s(value))?,
                        None => write!(f, ", {}", s(key))?,
                    }
                }
                f.write_str(")")
            }
            Self::AttachSource {
                source,
                attributes,
                target,
                ..
            } => {
                let source = source.display().to_string();
                write!(
                    f,
                    "bind {} on /{} ({attributes})",
                    crate::diag::printable(&source),
                    s(target)
                )
            }
            Self::Protect { target, attributes } => {
                write!(f, "bind /{} on itself ({attributes})", s(target))
            }
            Self::PivotRoot => f.write_str("pivot_root into the new root"),
            Self::DetachOldRoot => f.write_str("detach the old root"),
            Self::SealMount { target, attributes } => {
                write!(f, "remount /{} ({attributes})", s(target))
            }
            Self::SetSysctl { path, value } => {
                write!(f, "set {} to {}, and read it back", s(path), s(value))
            }
            Self::SetHostname(name) => write!(f, "set the host name to {}", s(name)),
            Self::SetDomainname(name) => write!(f, "set the domain name to {}", s(name)),
            Self::LoopbackUp => f.write_str("bring up the loopback interface"),
            Self::Hide => f.write_str("hide init: not dumpable, arguments and environment erased"),
            Self::NewSession => f.write_str("start a new session"),
            Self::ForkPayload { .. } => f.write_str("fork the payload; reap, and hand on signals"),
            Self::ForkBesideInit => f.write_str("fork the payload, as its parent in the session; reap, and hand on signals"),
            Self::NewProcessGroup => f.write_str("start a new process group"),
            Self::SetUmask(mask) => write!(f, "set the umask to {mask:03o}"),
            Self::SetNice(nice) => write!(f, "set the nice value to {nice}"),
            Self::SetScheduler {
                policy,
                name,
                priority,
            } => {
                write!(f, "take the scheduling policy {name}")?;
                if *priority > 0 {
                    write!(f, ", priority {priority}")?;
                }
                match policy & libc::SCHED_RESET_ON_FORK {
                    0 => Ok(()),
                    _ => f.write_str(", and hand it on to nobody"),
                }
            }
            Self::SetIoPriority(priority) => match (priority >> 13, priority & 7) {
                (3, _) => f.write_str("do I/O only when nobody else does"),
                (_, level) => write!(f, "take the I/O class best-effort, level {level}"),
            },
            Self::LendIoPriority(priority) => write!(
                f,
                "take the I/O class realtime, level {}, until the sandbox has it",
                priority & 7
            ),
            Self::PlaceMemory { text, .. } => {
                write!(f, "take memory by the policy {text}, and read that back")
            }
            Self::SetTimerSlack(nanoseconds) => {
                write!(f, "let timers be late by up to {nanoseconds} ns")
            }
            Self::SetAffinity { list, .. } => write!(f, "run on the processors {list}"),
            Self::SetPersonality(0) => f.write_str("take no personality but the usual one"),
            Self::SetPersonality(bits) => write!(f, "take the personality {bits:#x}"),
            Self::SetRlimit {
                name, soft, hard, ..
            } => {
                write!(
                    f,
                    "limit {name} to {} (at most {})",
                    bound(*soft),
                    bound(*hard)
                )
            }
            Self::ChangeDirectory(path) => write!(f, "enter {}, checked to lie inside", s(path)),
            Self::DropBounding(mask) => {
                write!(f, "drop from the bounding set: {}", capabilities(*mask))
            }
            Self::SetGroups(groups) => write!(f, "set the supplementary groups to {groups:?}"),
            Self::LeaveGroups => {
                f.write_str("leave all supplementary groups, if the joined namespace permits it")
            }
            Self::SetGid(gid) => write!(f, "set the gid to {gid}"),
            Self::SetUid(uid) => write!(f, "set the uid to {uid}"),
            Self::SetCapabilities { sets, ambient, .. } => write!(
                f,
                "set the capabilities to {}; ambient: {}",
                capabilities(sets.permitted),
                capabilities(*ambient)
            ),
            Self::DieWithInit => f.write_str("die when init dies"),
            Self::SetLabel(label) => write!(
                f,
                "tell {} to label the command: {}",
                label.module.name(),
                s(&label.text)
            ),
            Self::RefuseWriteExecute => f.write_str("never make written memory executable"),
            Self::Restrict(rules) => write!(f, "{rules}"),
            Self::NoNewPrivileges => f.write_str("set no_new_privs"),
            Self::CloseDescriptors { first, kept } => {
                write!(f, "close descriptors from {first} on, at exec")?;
                for (at, number) in kept.iter().enumerate() {
                    let before = if at == 0 { " but " } else { ", " };
                    write!(f, "{before}{number}")?;
                }
                Ok(())
            }
            Self::ResetSignals => f.write_str("reset signal dispositions and mask"),
            Self::TellRefusals { first, second } => {
                let count = first.len() + second.as_ref().map_or(0, Vec::len);
                write!(
                    f,
                    "install the system call filter ({count} instructions) and hand its listener to the supervisor, which answers refused calls and tells of them; where there can be none, go on"
                )
            }
            Self::SetFilter(program) => {
                write!(
                    f,
                    "install the system call filter ({} instructions)",
                    program.len()
                )
            }
            Self::AddFilter { program, digest } => {
                write!(
                    f,
                    "install one more system call filter, from its file ({} instructions, {digest})",
                    program.len()
                )
            }
            Self::ShedAsExec { ambient, .. } => write!(
                f,
                "give up what exec takes away: descriptors; of a uid other than 0, all capabilities but: {}",
                capabilities(*ambient)
            ),
            Self::StopCall { name, .. } => {
                write!(f, "stop {name} behind the system call filter")
            }
            Self::EndAfterExec => f.write_str("end an executed program at its first system call"),
            Self::Attempt(attempt) => write!(f, "try to {attempt}, and report the answer"),
            Self::Exec {
                candidates,
                arguments,
                opened,
                ..
            } => {
                let words: Vec<_> = arguments.strings().iter().map(|a| s(a)).collect();
                write!(f, "execute {}", words.join(" "))?;
                if opened.is_some() {
                    return f.write_str(" by the descriptor that was opened");
                }
                if let [first, _, ..] = &candidates[..] {
                    write!(
                        f,
                        " (first found of {} paths, from {})",
                        candidates.len(),
                        s(first)
                    )?;
                }
                Ok(())
            }
        }
    }
}
