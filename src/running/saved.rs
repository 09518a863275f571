//! What of a plan goes into a record: the operations that confine the command, so that whoever joins
//! goes through the same ones, in the form in which the kernel takes them.

use crate::diag::{Origin, Sources};
use crate::plan::op::Over;
use crate::plan::op::label::{Label, Module};
use crate::plan::op::landlock::{Beneath, Port, Ruleset};
use crate::plan::{Op, Phase, Plan, Step};
use crate::sys::identity::CapabilitySets;
use crate::sys::landlock::Handled;
use crate::sys::process::StringArray;
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString};

/// A step of a plan in a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The name of its phase.
    phase: String,
    /// Where it came from, as `explain` says it.
    origin: String,
    op: SavedOp,
}

/// An instruction of a filter: code, jumps, operand.
type Instruction = (u16, u8, u8, u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SavedOp {
    Output {
        most: u64,
        end: bool,
    },
    OomScore(i32),
    Keyring,
    TakeIds(u32, u32),
    NewSession,
    EnterInnerUser,
    Umask(u32),
    Nice(i32),
    Scheduler(i32, String, u32),
    RaiseRlimit(u32, String, u64, u64),
    CoredumpFilter(u32),
    RefuseTimestamps,
    RefuseSpeculation(u32, String),
    RefuseHugePages,
    IoPriority(u32),
    LendIoPriority(u32),
    PlaceMemory(String, i32, Vec<u64>),
    TimerSlack(u64),
    Affinity(String, Vec<u64>),
    Personality(u32),
    Rlimit(u32, String, u64, u64),
    Directory(String),
    Bounding(u64),
    Groups(Vec<u32>),
    LeaveGroups,
    Gid(u32),
    Uid(u32),
    Capabilities {
        permitted: u64,
        effective: u64,
        inheritable: u64,
        ambient: u64,
        securebits: u32,
    },
    RefuseWriteExecute,
    /// Whether AppArmor's, and what is written.
    Label(bool, String),
    Landlock {
        files: u64,
        network: u64,
        scoped: u64,
        /// Where all is permitted that is handled, in records of before there was `beneath`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writable: Vec<String>,
        /// Paths, and what may be done there.
        #[serde(default)]
        beneath: Vec<(String, u64)>,
        streams: Vec<i32>,
        /// Ports, and how they may be used.
        #[serde(default)]
        ports: Vec<(u16, u64)>,
    },
    NoNewPrivileges,
    CloseDescriptors(i32),
    ResetSignals,
    TellRefusals(Vec<Instruction>, Option<Vec<Instruction>>),
    Filter(Vec<Instruction>),
    AddedFilter(Vec<Instruction>, String),
    Exec {
        environment: Vec<String>,
    },
}

/// The steps that confine the command, and its environment.
#[must_use]
pub fn save(plan: &Plan, sources: &Sources) -> Vec<Saved> {
    let saved = plan.steps.iter().filter_map(|step| {
        Some(Saved {
            phase: step.phase.name().into(),
            origin: step.origin.display(sources).to_string(),
            op: save_op(&step.op)?,
        })
    });
    saved.collect()
}

/// Every operation is listed, so that none that confines can be forgotten: what is not saved makes the
/// sandbox, or binds the life of its processes.
fn save_op(op: &Op) -> Option<SavedOp> {
    Some(match op {
        // Which streams have a pipe depends on those of who joins.
        Op::MakePipes { most, over, .. } => SavedOp::Output {
            most: (*most)?,
            end: *over == Over::End,
        },
        Op::SetOomScore(score) | Op::SetOwnOomScore(score) => SavedOp::OomScore(*score),
        Op::NewKeyring => SavedOp::Keyring,
        Op::TakeIds { uid, gid } => SavedOp::TakeIds(*uid, *gid),
        Op::NewSession => SavedOp::NewSession,
        Op::EnterInnerUser => SavedOp::EnterInnerUser,
        Op::SetUmask(mask) => SavedOp::Umask(*mask),
        Op::SetNice(nice) => SavedOp::Nice(*nice),
        Op::SetScheduler {
            policy,
            name,
            priority,
        } => SavedOp::Scheduler(*policy, (*name).into(), *priority),
        Op::RaiseRlimit {
            resource,
            name,
            soft,
            hard,
        } => SavedOp::RaiseRlimit(*resource, (*name).into(), *soft, *hard),
        Op::SetCoredumpFilter(bits) => SavedOp::CoredumpFilter(*bits),
        Op::RefuseTimestamps => SavedOp::RefuseTimestamps,
        Op::RefuseSpeculation { which, name } => {
            SavedOp::RefuseSpeculation(*which, (*name).into())
        }
        Op::RefuseHugePages => SavedOp::RefuseHugePages,
        Op::SetIoPriority(priority) => SavedOp::IoPriority(*priority),
        Op::LendIoPriority(priority) => SavedOp::LendIoPriority(*priority),
        Op::PlaceMemory {
            text,
            policy,
            nodes,
        } => SavedOp::PlaceMemory(text.clone(), *policy, nodes.to_vec()),
        Op::SetTimerSlack(slack) => SavedOp::TimerSlack(*slack),
        Op::SetAffinity { list, mask } => SavedOp::Affinity(list.clone(), mask.clone()),
        Op::SetPersonality(bits) => SavedOp::Personality(*bits),
        Op::SetRlimit {
            resource,
            name,
            soft,
            hard,
        } => SavedOp::Rlimit(*resource, (*name).into(), *soft, *hard),
        Op::ChangeDirectory(path) => SavedOp::Directory(text(path)),
        Op::DropBounding(mask) => SavedOp::Bounding(*mask),
        Op::SetGroups(groups) => SavedOp::Groups(groups.clone()),
        Op::LeaveGroups => SavedOp::LeaveGroups,
        Op::SetGid(gid) => SavedOp::Gid(*gid),
        Op::SetUid(uid) => SavedOp::Uid(*uid),
        Op::SetCapabilities {
            sets,
            ambient,
            securebits,
        } => SavedOp::Capabilities {
            permitted: sets.permitted,
            effective: sets.effective,
            inheritable: sets.inheritable,
            ambient: *ambient,
            securebits: *securebits,
        },
        Op::RefuseWriteExecute => SavedOp::RefuseWriteExecute,
        Op::SetLabel(label) => {
            SavedOp::Label(label.module == Module::Apparmor, text(&label.text))
        }
        Op::Restrict(rules) => SavedOp::Landlock {
            files: rules.handled.files,
            network: rules.handled.network,
            scoped: rules.handled.scoped,
            writable: Vec::new(),
            beneath: rules
                .beneath
                .iter()
                .map(|rule| (text(&rule.target), rule.access))
                .collect(),
            streams: rules.streams.clone(),
            ports: rules.ports.iter().map(|port| (port.port, port.access)).collect(),
        },
        Op::NoNewPrivileges => SavedOp::NoNewPrivileges,
        Op::CloseDescriptors { first, .. } => SavedOp::CloseDescriptors(*first),
        Op::ResetSignals => SavedOp::ResetSignals,
        Op::TellRefusals { first, second } => {
            SavedOp::TellRefusals(program(first), second.as_deref().map(program))
        }
        Op::SetFilter(filter) => SavedOp::Filter(program(filter)),
        Op::AddFilter { program: filter, digest } => {
            SavedOp::AddedFilter(program(filter), digest.clone())
        }
        Op::Exec { environment, .. } => SavedOp::Exec {
            environment: environment.strings().iter().map(|one| text(one)).collect(),
        },
        // What makes the sandbox, which is there for whoever joins.
        Op::ClaimRecord { .. }
        | Op::WriteRecord(_)
        | Op::OpenGroup(_)
        | Op::MakeMountPoint { .. }
        | Op::MakeSource { .. }
        | Op::AskForScope(_)
        | Op::CreateGroup { .. }
        | Op::SetLimit(_)
        | Op::LimitDevices(_)
        | Op::LimitPeers(_)
        | Op::MakeIdmap { .. }
        | Op::OpenMapped { .. }
        | Op::CloneInit { .. }
        | Op::DenySetgroups
        | Op::WriteIdMap { .. }
        | Op::RefusePaused { .. }
        | Op::Release
        | Op::JoinNamespace { .. }
        | Op::OpenSandbox { .. }
        | Op::ReserveAddress { .. }
        | Op::JoinSandbox { .. }
        | Op::EnterNamespace { .. }
        | Op::ShowNamespaces(_)
        | Op::Stay
        | Op::JoinGroups
        | Op::UnshareCgroupNamespace
        | Op::UnshareTimeNamespace
        | Op::SetClock(_)
        | Op::MakePrivate
        | Op::MakeSlave
        | Op::OpenSource { .. }
        | Op::OpenProgram { .. }
        | Op::AwaitRelease
        | Op::MakeInnerUser { .. }
        | Op::ForbidUserNamespaces
        | Op::AttachStaging(_)
        | Op::StageFile { .. }
        | Op::StageSecret { .. }
        | Op::LockFile(_)
        | Op::TakeSecret { .. }
        | Op::MakeNode { .. }
        | Op::StartBusProxy(..)
        | Op::AttachRoot(_)
        | Op::MakeDirectory(..)
        | Op::DressDirectory(..)
        | Op::MakeFile(_)
        | Op::MakeSymlink(..)
        | Op::MountFilesystem { .. }
        | Op::AttachSource { .. }
        | Op::Protect { .. }
        | Op::PivotRoot
        | Op::DetachOldRoot
        | Op::SealMount { .. }
        | Op::SetSysctl { .. }
        | Op::SetHostname(_)
        | Op::SetDomainname(_)
        | Op::LoopbackUp
        | Op::Unpack(..)
        | Op::HoldRoot(..)
        | Op::KeepChanges { .. }
        | Op::RelayTerminal { .. }
        | Op::MakePair(..)
        | Op::MakeMacvlan(..)
        | Op::LimitRate(..)
        | Op::Worsen { .. }
        | Op::WorsenGate(..)
        | Op::LimitGate { .. }
        | Op::SetInterface { .. }
        | Op::AddAddress(..)
        | Op::RaiseInterface { .. }
        | Op::AddDefaultRoute { .. }
        | Op::ReservePort(..)
        | Op::ServePort { .. }
        | Op::Translate { .. }
        | Op::StartPasta(..)
        | Op::OpenGate(..)
        | Op::MakeGateNetwork
        | Op::LinkGate(..)
        | Op::RouteToGate(..)
        | Op::ListenAtGate(..)
        | Op::ObserveGate(..)
        | Op::LeaveGateNetwork
        | Op::RepeatAtGate
        | Op::FilterPackets(_)
        | Op::HearRefused(_)
        | Op::ForwardInside
        | Op::ListenInside(..)
        | Op::ListenForNames(..)
        | Op::ResolveNames(..)
        | Op::MountOverlay { .. }
        | Op::ProvideMountPoint { .. }
        | Op::OpenTerminal { .. }
        | Op::ControlTerminal { .. }
        | Op::TakeTerminal { .. }
        // What binds the life of init and of the payload; a joiner's has its own (join.rs).
        | Op::DieWithSupervisor
        | Op::Hide
        | Op::ForkPayload { .. }
        | Op::ForkBesideInit
        | Op::AwaitTracer
        | Op::TakePipes { .. }
        | Op::KeepFlags(_)
        | Op::ReadInput { .. }
        | Op::TakeEmptyInput
        // Streams are of who joins.
        | Op::OpenStream { .. }
        | Op::TakeStream { .. }
        | Op::NewProcessGroup
        | Op::DieWithInit
        // No run that has a record ends in an attempt.
        | Op::ShedAsExec { .. }
        | Op::StopCall { .. }
        | Op::EndAfterExec
        | Op::Attempt(_) => return None,
    })
}

impl Saved {
    /// The step; what executes gets this command. `None` for what no record of ours holds.
    #[must_use]
    pub fn restore(&self, command: &[CString]) -> Option<Step> {
        let phase = Phase::ALL
            .iter()
            .find(|phase| phase.name() == self.phase)
            .copied()?;
        Some(Step {
            phase,
            op: self.op.restore(command)?,
            origin: Origin::Recorded(self.origin.as_str().into()),
        })
    }
}

impl SavedOp {
    fn restore(&self, command: &[CString]) -> Option<Op> {
        Some(match self {
            Self::Output { most, end } => Op::MakePipes {
                stdout: None,
                stderr: None,
                most: Some(*most),
                over: if *end { Over::End } else { Over::Cut },
                displayed: [false; 2],
            },
            Self::OomScore(score) => Op::SetOwnOomScore(*score),
            Self::Keyring => Op::NewKeyring,
            Self::TakeIds(uid, gid) => Op::TakeIds {
                uid: *uid,
                gid: *gid,
            },
            Self::NewSession => Op::NewSession,
            Self::EnterInnerUser => Op::EnterInnerUser,
            Self::Umask(mask) => Op::SetUmask(*mask),
            Self::Nice(nice) => Op::SetNice(*nice),
            Self::Scheduler(policy, name, priority) => Op::SetScheduler {
                policy: *policy,
                name: named(name),
                priority: *priority,
            },
            Self::RaiseRlimit(resource, name, soft, hard) => Op::RaiseRlimit {
                resource: *resource,
                name: named(name),
                soft: *soft,
                hard: *hard,
            },
            Self::CoredumpFilter(bits) => Op::SetCoredumpFilter(*bits),
            Self::RefuseTimestamps => Op::RefuseTimestamps,
            Self::RefuseSpeculation(which, name) => Op::RefuseSpeculation {
                which: *which,
                name: named(name),
            },
            Self::RefuseHugePages => Op::RefuseHugePages,
            Self::IoPriority(priority) => Op::SetIoPriority(*priority),
            Self::LendIoPriority(priority) => Op::LendIoPriority(*priority),
            Self::PlaceMemory(text, policy, nodes) => Op::PlaceMemory {
                text: text.clone(),
                policy: *policy,
                nodes: nodes.as_slice().try_into().ok()?,
            },
            Self::TimerSlack(slack) => Op::SetTimerSlack(*slack),
            Self::Affinity(list, mask) => Op::SetAffinity {
                list: list.clone(),
                mask: mask.clone(),
            },
            Self::Personality(bits) => Op::SetPersonality(*bits),
            Self::Rlimit(resource, name, soft, hard) => Op::SetRlimit {
                resource: *resource,
                name: named(name),
                soft: *soft,
                hard: *hard,
            },
            Self::Directory(path) => Op::ChangeDirectory(bytes(path)?),
            Self::Bounding(mask) => Op::DropBounding(*mask),
            Self::Groups(groups) => Op::SetGroups(groups.clone()),
            Self::LeaveGroups => Op::LeaveGroups,
            Self::Gid(gid) => Op::SetGid(*gid),
            Self::Uid(uid) => Op::SetUid(*uid),
            Self::Capabilities {
                permitted,
                effective,
                inheritable,
                ambient,
                securebits,
            } => Op::SetCapabilities {
                sets: CapabilitySets {
                    permitted: *permitted,
                    effective: *effective,
                    inheritable: *inheritable,
                },
                ambient: *ambient,
                securebits: *securebits,
            },
            Self::RefuseWriteExecute => Op::RefuseWriteExecute,
            Self::Label(is_apparmor, label) => Op::SetLabel(Label {
                module: match is_apparmor {
                    true => Module::Apparmor,
                    false => Module::Selinux,
                },
                text: bytes(label)?,
            }),
            Self::Landlock {
                files,
                network,
                scoped,
                writable,
                beneath,
                streams,
                ports,
            } => Op::Restrict(Ruleset {
                handled: Handled {
                    files: *files,
                    network: *network,
                    scoped: *scoped,
                },
                beneath: writable
                    .iter()
                    .map(|path| (path, *files))
                    .chain(beneath.iter().map(|(path, access)| (path, *access)))
                    .map(|(path, access)| {
                        let target = bytes(path)?;
                        Some(Beneath { target, access })
                    })
                    .collect::<Option<_>>()?,
                // That of who has started the sandbox.
                program: None,
                // Of descriptors beyond these, none is kept.
                streams: streams.iter().copied().filter(|fd| *fd < 3).collect(),
                ports: ports
                    .iter()
                    .map(|(port, access)| Port {
                        port: *port,
                        access: *access,
                    })
                    .collect(),
            }),
            Self::NoNewPrivileges => Op::NoNewPrivileges,
            // Those that the profile keeps are of who started the sandbox.
            Self::CloseDescriptors(first) => Op::CloseDescriptors {
                first: *first,
                kept: Vec::new(),
            },
            Self::ResetSignals => Op::ResetSignals,
            Self::TellRefusals(first, second) => Op::TellRefusals {
                first: filter(first),
                second: second.as_deref().map(filter),
            },
            Self::Filter(program) => Op::SetFilter(filter(program)),
            Self::AddedFilter(program, digest) => Op::AddFilter {
                program: filter(program),
                digest: digest.clone(),
            },
            Self::Exec { environment } => {
                let environment: Vec<CString> = environment
                    .iter()
                    .map(|one| bytes(one))
                    .collect::<Option<_>>()?;
                let path = environment
                    .iter()
                    .find_map(|one| one.to_bytes().strip_prefix(b"PATH="));
                let path = path.map(String::from_utf8_lossy);
                let program = command.first()?;
                Op::Exec {
                    candidates: crate::sections::environment::candidates(
                        program,
                        path.as_deref()
                            .unwrap_or(crate::sections::environment::PATH),
                    ),
                    arguments: StringArray::new(command.to_vec()),
                    environment: StringArray::new(environment),
                    opened: None,
                }
            }
        })
    }
}

/// Bytes as text, each as the character of its number, so that none is lost.
fn text(bytes: &CStr) -> String {
    bytes
        .to_bytes()
        .iter()
        .map(|byte| char::from(*byte))
        .collect()
}

/// The reverse of [`text`].
fn bytes(text: &str) -> Option<CString> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    CString::new(bytes.ok()?).ok()
}

/// A name that operations have as a part of the program; of a record there are a few, once.
fn named(name: &str) -> &'static str {
    name.to_owned().leak()
}

fn program(filter: &[libc::sock_filter]) -> Vec<Instruction> {
    filter.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect()
}

fn filter(program: &[Instruction]) -> Vec<libc::sock_filter> {
    let one = |&(code, jt, jf, k): &Instruction| libc::sock_filter { code, jt, jf, k };
    program.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_lost() {
        let all: Vec<u8> = (1..=255).collect();
        let all = CString::new(all).unwrap();
        assert_eq!(bytes(&text(&all)), Some(all));
        assert_eq!(bytes("\u{100}"), None);
    }
}
