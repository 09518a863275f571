//! Which mechanisms of the machine an operation needs: what `doctor` looks at, given a profile.

use super::op::label::Module;
use super::op::{Limit, MapWriter, NewRoot, Op};
use crate::host::cgroup::Controller;
use crate::host::images::Owners;
use crate::host::probe::Mechanism;
use std::collections::BTreeSet;

/// The mechanisms without which no run is possible.
const ALWAYS: [Mechanism; 3] = [Mechanism::Kernel, Mechanism::Proc, Mechanism::Caller];

/// What a list of operations needs.
#[must_use]
pub fn of<'o>(operations: impl IntoIterator<Item = &'o Op>) -> BTreeSet<Mechanism> {
    let mut needs = BTreeSet::from(ALWAYS);
    for op in operations {
        add(op, &mut needs);
    }
    needs
}

/// Every operation is listed, so that a new one cannot be forgotten.
fn add(op: &Op, needs: &mut BTreeSet<Mechanism>) {
    match op {
        Op::Unpack(unpacking) => {
            if matches!(unpacking.owners, Owners::Mapped { .. }) {
                needs.extend([Mechanism::UserNamespace, Mechanism::SubordinateIds]);
            }
        }
        Op::AskForScope(_) | Op::CreateGroup { .. } | Op::OpenGroup(_) | Op::JoinGroups => {
            needs.insert(Mechanism::Cgroups);
        }
        Op::SetLimit(limit) => needs.extend(of_limit(limit)),
        Op::LimitDevices(_) => needs.extend(of_controller(Controller::Devices)),
        Op::LimitPeers(_) => needs.extend(of_controller(Controller::Packets)),
        Op::MakeIdmap { .. } | Op::OpenMapped { .. } => {
            needs.extend([
                Mechanism::UserNamespace,
                Mechanism::MountApi,
                Mechanism::IdmappedMounts,
            ]);
        }
        Op::CloneInit { namespaces, .. } => {
            let kinds = namespaces.iter().map(|kind| kind.name);
            needs.extend(kinds.filter_map(Mechanism::of_namespace));
            if !namespaces.is_empty() {
                needs.insert(Mechanism::NamespaceLimits);
            }
        }
        Op::MakeInnerUser { namespaces, .. } => {
            let kinds = namespaces.iter().map(|kind| kind.name).chain(["user"]);
            needs.extend(kinds.filter_map(Mechanism::of_namespace));
            needs.insert(Mechanism::NamespaceLimits);
        }
        Op::MakeGateNetwork => {
            needs.extend(Mechanism::of_namespace("net"));
            needs.insert(Mechanism::Gate);
        }
        Op::UnshareCgroupNamespace => {
            needs.insert(Mechanism::CgroupNamespace);
        }
        Op::UnshareTimeNamespace | Op::SetClock(_) => {
            needs.insert(Mechanism::TimeNamespace);
        }
        Op::WriteIdMap { writer, .. } => {
            if matches!(writer, MapWriter::Helper(_)) {
                needs.insert(Mechanism::SubordinateIds);
            }
        }
        Op::MountFilesystem { kind, .. } => {
            needs.insert(Mechanism::MountApi);
            needs.extend(match kind.to_bytes() {
                b"proc" => Some(Mechanism::FreshProc),
                b"sysfs" => Some(Mechanism::FreshSysfs),
                b"overlay" => Some(Mechanism::Overlayfs),
                b"cgroup" | b"cgroup2" => Some(Mechanism::Cgroups),
                _ => None,
            });
        }
        Op::AttachRoot(NewRoot::Overlay(..)) | Op::MountOverlay { .. } => {
            needs.extend([Mechanism::MountApi, Mechanism::Overlayfs]);
        }
        Op::OpenSource { .. }
        | Op::ReadInput { .. }
        | Op::OpenProgram { .. }
        | Op::AttachStaging(_)
        | Op::StageFile { .. }
        | Op::StageSecret { .. }
        | Op::AttachRoot(_)
        | Op::AttachSource { .. }
        | Op::Protect { .. }
        | Op::SealMount { .. } => {
            needs.insert(Mechanism::MountApi);
        }
        Op::PivotRoot | Op::DetachOldRoot => {
            needs.insert(Mechanism::PivotRoot);
        }
        Op::SetFilter(_) | Op::AddFilter { .. } | Op::TellRefusals { .. } | Op::StopCall { .. } => {
            needs.insert(Mechanism::Seccomp);
        }
        Op::Restrict(_) => {
            needs.insert(Mechanism::Landlock);
        }
        Op::MakePair(_) => {
            needs.insert(Mechanism::Veth);
        }
        Op::Worsen { .. } | Op::WorsenGate(_) => {
            needs.insert(Mechanism::Delay);
        }
        Op::LimitRate(_) | Op::LimitGate { .. } => {
            needs.insert(Mechanism::Rate);
        }
        Op::MakeMacvlan(_) => {
            needs.insert(Mechanism::Macvlan);
        }
        Op::FilterPackets(_) => {
            needs.insert(Mechanism::PacketFilter);
        }
        Op::Translate { .. } => {
            needs.insert(Mechanism::Nftables);
        }
        Op::StartBusProxy(_) => {
            needs.insert(Mechanism::BusProxy);
        }
        Op::StartPasta(_) => {
            needs.insert(Mechanism::Pasta);
        }
        Op::SetLabel(label) => {
            needs.insert(match label.module {
                Module::Apparmor => Mechanism::Apparmor,
                Module::Selinux => Mechanism::Selinux,
            });
        }
        Op::RefuseWriteExecute => {
            needs.insert(Mechanism::WriteExecute);
        }
        // What any kernel that is new enough lets any process do, or what only touches files.
        Op::HoldRoot(_)
        | Op::ClaimRecord { .. }
        | Op::WriteRecord(_)
        | Op::ShowNamespaces(_)
        | Op::EnterNamespace { .. }
        | Op::SetOwnOomScore(_)
        | Op::Stay
        | Op::MakeMountPoint { .. }
        | Op::MakeSource { .. }
        | Op::KeepChanges { .. }
        | Op::LockFile(_)
        | Op::TakeSecret { .. }
        | Op::MakeNode { .. }
        | Op::ProvideMountPoint { .. }
        | Op::MakePipes { .. }
        | Op::KeepFlags(_)
        | Op::OpenStream { .. }
        | Op::TakeStream { .. }
        | Op::RaiseRlimit { .. }
        | Op::SetCoredumpFilter(_)
        | Op::RefuseTimestamps
        | Op::RefuseSpeculation { .. }
        | Op::RefuseHugePages
        | Op::TakePipes { .. }
        | Op::TakeEmptyInput
        | Op::AwaitTracer
        | Op::RelayTerminal { .. }
        | Op::OpenTerminal { .. }
        | Op::ControlTerminal { .. }
        | Op::TakeTerminal { .. }
        | Op::SetOomScore(_)
        | Op::DenySetgroups
        | Op::SetInterface { .. }
        | Op::AddAddress(_)
        | Op::RaiseInterface { .. }
        | Op::AddDefaultRoute { .. }
        | Op::ReservePort(_)
        | Op::ServePort { .. }
        | Op::RefusePaused { .. }
        | Op::Release
        | Op::OpenGate(_)
        | Op::LinkGate(_)
        | Op::RouteToGate(_)
        | Op::ListenAtGate(_)
        | Op::ObserveGate(_)
        | Op::LeaveGateNetwork
        | Op::RepeatAtGate
        | Op::HearRefused(_)
        | Op::ForwardInside
        | Op::ListenInside(_)
        | Op::ListenForNames(_)
        | Op::ResolveNames(_)
        | Op::JoinNamespace { .. }
        | Op::OpenSandbox { .. }
        | Op::ReserveAddress { .. }
        | Op::JoinSandbox { .. }
        | Op::DieWithSupervisor
        | Op::NewKeyring
        | Op::ForbidUserNamespaces
        | Op::EnterInnerUser
        | Op::MakePrivate
        | Op::MakeSlave
        | Op::AwaitRelease
        | Op::TakeIds { .. }
        | Op::MakeDirectory(..)
        | Op::DressDirectory(..)
        | Op::MakeFile(_)
        | Op::MakeSymlink(..)
        | Op::SetSysctl { .. }
        | Op::SetHostname(_)
        | Op::SetDomainname(_)
        | Op::LoopbackUp
        | Op::Hide
        | Op::NewSession
        | Op::ForkPayload { .. }
        | Op::ForkBesideInit
        | Op::NewProcessGroup
        | Op::SetUmask(_)
        | Op::SetNice(_)
        | Op::SetScheduler { .. }
        | Op::SetIoPriority(_)
        | Op::LendIoPriority(_)
        | Op::PlaceMemory { .. }
        | Op::SetTimerSlack(_)
        | Op::SetAffinity { .. }
        | Op::SetPersonality(_)
        | Op::SetRlimit { .. }
        | Op::ChangeDirectory(_)
        | Op::DropBounding(_)
        | Op::SetGroups(_)
        | Op::LeaveGroups
        | Op::SetGid(_)
        | Op::SetUid(_)
        | Op::SetCapabilities { .. }
        | Op::DieWithInit
        | Op::NoNewPrivileges
        | Op::CloseDescriptors { .. }
        | Op::ResetSignals
        | Op::ShedAsExec { .. }
        | Op::EndAfterExec
        | Op::Attempt(_)
        | Op::Exec { .. } => {}
    }
}

fn of_limit(limit: &Limit) -> [Mechanism; 2] {
    of_controller(limit.controller())
}

/// What the limits of a controller need.
#[must_use]
pub fn of_controller(controller: Controller) -> [Mechanism; 2] {
    [Mechanism::Cgroups, Mechanism::of_controller(controller)]
}
