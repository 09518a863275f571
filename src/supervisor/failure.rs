//! From `(step, errno)` to a sentence: which step, what was tried, why the kernel refused, which
//! line asked for it, what to do.

use crate::diag::{Code, Diagnostic, Origin};
use crate::exit;
use crate::host::cgroup::Manager;
use crate::plan::op::label::{Label, Module};
use crate::plan::op::landlock::{EXECUTE, READ_FILE};
use crate::plan::op::{NewRoot, Op, Upper};
use crate::plan::{Phase, Plan, Step};
use nix::errno::Errno;

/// A step that failed. The command did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step; none if it failed before the first.
    step: Option<usize>,
    cause: Cause,
}

/// Why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// What the kernel said.
    Errno(Errno),
    /// What else is known.
    Text(String),
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Errno(Errno::from_raw(errno)),
            None => Self::Text(error.to_string()),
        }
    }
}

impl Failure {
    pub(super) fn step(step: usize, errno: Errno) -> Self {
        Self {
            step: Some(step),
            cause: Cause::Errno(errno),
        }
    }

    pub(super) fn text(step: usize, cause: String) -> Self {
        Self {
            step: Some(step),
            cause: Cause::Text(cause),
        }
    }

    pub(super) fn because(step: usize, cause: Cause) -> Self {
        Self {
            step: Some(step),
            cause,
        }
    }

    /// A failure before the first step.
    pub(super) fn before(errno: Errno) -> Self {
        Self {
            step: None,
            cause: Cause::Errno(errno),
        }
    }

    /// The number of the step, from 0; none if the set-up could not begin.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        self.step
    }

    /// Why the kernel refused, where it was the kernel and said so in a number.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self.cause {
            Cause::Errno(errno) => Some(errno),
            Cause::Text(_) => None,
        }
    }

    fn step_in<'p>(&self, plan: &'p Plan) -> Option<&'p Step> {
        plan.steps.get(self.step?)
    }

    /// The exit code: 126 and 127 say what shells say of a command that cannot be executed.
    #[must_use]
    pub fn exit_code(&self, plan: &Plan) -> u8 {
        match (self.step_in(plan).map(|step| &step.op), &self.cause) {
            (Some(Op::Exec { .. }), Cause::Errno(Errno::ENOENT)) => exit::NOT_FOUND,
            (Some(Op::Exec { .. }), _) => exit::NOT_EXECUTABLE,
            _ => exit::SET_UP_FAILED,
        }
    }

    /// The sentence.
    #[must_use]
    pub fn diagnostic(&self, plan: &Plan) -> Diagnostic {
        let cause = match &self.cause {
            Cause::Errno(errno) => format!("{} ({errno:?})", errno.desc()),
            Cause::Text(text) => text.clone(),
        };
        let Some(step) = self.step_in(plan) else {
            let message = format!("cannot begin the set-up: {cause}");
            return Diagnostic::new(Code::StepFailed, &Origin::CommandLine, message)
                .help("the caller may be short of memory or of open files (`ulimit -n`)");
        };
        let message = match &step.op {
            Op::Exec { arguments, .. } => {
                let name = arguments.strings().first();
                let name = name.map(|name| name.to_string_lossy().into_owned());
                format!("cannot execute `{}`: {cause}", name.unwrap_or_default())
            }
            op => {
                let number = self.step.map_or(0, |step| step + 1);
                format!(
                    "step {number} of {} failed: {op}: {cause}",
                    plan.steps.len()
                )
            }
        };
        Diagnostic::new(Code::StepFailed, &step.origin, message).help(self.remedy(step, plan))
    }

    /// What to do. One errno, one hint, where the step tells what it means.
    fn remedy(&self, step: &Step, plan: &Plan) -> String {
        let Cause::Errno(errno) = self.cause else {
            return match step.op {
                Op::AwaitTracer => {
                    "run without --explain-denials; or see /proc/sys/kernel/yama/ptrace_scope, and whether this process is traced itself".into()
                }
                Op::Unpack(_) => {
                    "nothing of it is used; correct what it is made of, or name another source under [rootfs]".into()
                }
                Op::CreateGroup { ref names, .. } if names.own.is_some() => {
                    "choose another `name` under [limits], which no other run has meanwhile, or remove the group of this one if nobody needs it".into()
                }
                Op::CreateGroup { .. } | Op::SetLimit(_) => {
                    "change the limit, or set `limits = \"prefer\"` under [enforce]".into()
                }
                Op::LimitDevices(_) => {
                    "leave the rules out, or set `devices = \"off\"` under [enforce]".into()
                }
                Op::LimitPeers(_) => {
                    "a kernel with CONFIG_CGROUP_BPF, the unified hierarchy of cgroups and the capability sys_admin are needed: `sandbox doctor` says which of them there is".into()
                }
                Op::ClaimRecord { .. } => {
                    "choose another name; `sandbox ps --all` shows who has which, `sandbox kill` ends one, `sandbox rm` forgets one that has ended".into()
                }
                Op::OpenSandbox { ref name, .. } => format!("start {name} again, and then this: who joins a network ends with it"),
                Op::WriteRecord(_) => "make room in the folder of the records".into(),
                Op::RefusePaused { .. } => "let it go on first: `sandbox resume`".into(),
                Op::OpenGroup(_) => {
                    "join it as the user who has started it, with the same rights".into()
                }
                Op::AskForScope(ref scope) => match scope.manager {
                    Manager::System => "see `systemctl status` and `journalctl -b`; or leave the limits out".into(),
                    Manager::User => "see `systemctl --user status` and `journalctl --user -b`; or leave the limits out".into(),
                },
                Op::OpenStream { .. } => {
                    "name a regular file that the caller may open, or one that can be made, by a path without links (`realpath` shows it)".into()
                }
                Op::KeepChanges { .. } => {
                    "`sandbox changes list` says what is kept, and XDG_STATE_HOME where (for root /var/lib/sandbox); another name (`changes_name`, `project_name`) keeps these apart, and `sandbox changes discard NAME` throws others away".into()
                }
                Op::LockFile(_) => {
                    "wait until who writes to it has ended, or leave `lock` out".into()
                }
                Op::MakeIdmap { .. } => {
                    "this machine refuses a user namespace to this caller: `sandbox doctor` says why, and what to do".into()
                }
                Op::WriteIdMap { .. } => {
                    "compare the map with the caller's lines in /etc/subuid and /etc/subgid".into()
                }
                Op::StartPasta(_) => {
                    "these are the words of pasta(1): it needs a default route on the host (of IPv6, too, to publish on an address of IPv6), /dev/net/tun, and ports that are free".into()
                }
                _ => "is something else ending the processes of the sandbox? See the log of the kernel".into(),
            };
        };
        match (&step.op, errno) {
            (Op::Exec { opened: Some(_), .. }, Errno::ENOENT) => {
                "the loader of the program is missing inside: a program that is executed by descriptor loads from the root what it loads, unless it is static".into()
            }
            (Op::Restrict(_), Errno::ENOENT | Errno::ENOTDIR) => {
                "a path of [landlock] is not there: correct it, or write { name = \"…\", optional = true }".into()
            }
            (Op::Restrict(_), Errno::ELOOP) => {
                "a symbolic link lies on the way to a path of [landlock]: name what it leads to".into()
            }
            (Op::OpenProgram { .. }, Errno::ELOOP) => {
                "the path was changed since it was looked at: a link lies on its way".into()
            }
            (Op::RaiseRlimit { .. }, Errno::EPERM) => {
                "only root of the host may raise a hard limit, and nobody that on open files above fs.nr_open: lower it".into()
            }
            (Op::SetScheduler { priority: 1.., .. }, Errno::EPERM) => {
                "the caller may give no such priority (`ulimit -r`), or its cgroup has no real-time processor time (cpu.rt_runtime_us of cgroup v1)".into()
            }
            (Op::PlaceMemory { .. }, Errno::ENOSYS) => {
                "this kernel knows no memory nodes (CONFIG_NUMA): remove `numa`".into()
            }
            (Op::PlaceMemory { .. }, Errno::ENODEV | Errno::EINVAL) => {
                "this machine, or `memory_nodes` and the groups around, has not all of these nodes, or the kernel no such policy: /sys/devices/system/node/has_memory lists the nodes".into()
            }
            (Op::RefuseSpeculation { .. }, Errno::ENXIO | Errno::ENODEV | Errno::EINVAL) => {
                "this processor or kernel has no switch for it that a process could use: see /sys/devices/system/cpu/vulnerabilities, and take it out of `no_speculation`".into()
            }
            (Op::RefuseTimestamps, Errno::EINVAL) => {
                "only x86 can refuse it: remove `tsc = false`".into()
            }
            (Op::AddFilter { .. }, Errno::EINVAL) => {
                "the kernel takes no such program: compile it for seccomp(2), as `seccomp_export_bpf` of libseccomp does".into()
            }
            (Op::AddFilter { .. }, Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => {
                "the filter that counts besides it refuses seccomp(2): write `allow = [\"seccomp\"]` under [seccomp]".into()
            }
            (Op::SetCoredumpFilter(_), Errno::ENOENT) => {
                "this kernel writes no core dumps (CONFIG_ELF_CORE): remove `coredump_filter`".into()
            }
            (Op::Exec { candidates, .. }, Errno::ENOENT) => {
                let tried: Vec<_> = candidates.iter().map(|c| c.to_string_lossy()).collect();
                format!("inside there is no such file, or its interpreter is missing; tried: {}", tried.join(", "))
            }
            (Op::Exec { .. }, Errno::ENOEXEC) => {
                "this is no program: a script starts with a line such as `#!/bin/sh`".into()
            }
            (Op::Exec { .. }, Errno::EACCES) if bounds_execution(plan) => {
                "is it a file, executable for the uid inside, on a mount without `noexec`? And do `execute` and `read` under [landlock] have it, and its interpreter or its loader?".into()
            }
            (Op::Exec { .. }, Errno::EACCES) if plan.steps.iter().any(|step| matches!(step.op, Op::SetLabel(_))) => {
                "is it a file, executable for the uid inside, on a mount without `noexec`? And does the policy let this program take the label that is asked for (`file { entrypoint execute }` and `process2 nnp_transition` of SELinux)?".into()
            }
            (Op::Exec { .. }, Errno::EACCES) => {
                "is it a file, executable for the uid inside, on a mount without `noexec`?".into()
            }
            (Op::StartBusProxy(_), Errno::EEXIST) => {
                "another run has this folder; where none does, `sandbox gc` removes it".into()
            }
            (Op::MakeNode { .. }, Errno::EPERM) => {
                "the caller may make no nodes here (CAP_MKNOD): see how this container was started, or remove `number`, `mode` and `owner`, so that the host's own node is shown".into()
            }
            (Op::TakeSecret { .. }, Errno::EFBIG) => "a secret has 1M at most".into(),
            (Op::TakeSecret { .. } | Op::LockFile(_), Errno::EINVAL) => {
                "name a plain file: nothing else is opened".into()
            }
            (Op::Exec { .. }, Errno::E2BIG) => "shorten the arguments or the environment".into(),
            (Op::CloneInit { namespaces, into_group: true }, Errno::EACCES | Errno::EPERM) if namespaces.is_empty() => {
                "the caller may not move a process from its own cgroup to the sandbox's: join it from where it was started, such as the same login".into()
            }
            (Op::CloneInit { namespaces, into_group: true }, Errno::ENODEV) if namespaces.is_empty() => {
                "the sandbox's cgroup is gone: it has just ended".into()
            }
            (Op::JoinSandbox { .. }, Errno::EPERM) => {
                "start both sandboxes as the same user, with the same rights and in the same user namespace".into()
            }
            (Op::EnterNamespace { .. }, Errno::EPERM) => {
                "join it as the user who has started it, with the same rights".into()
            }
            (Op::CloneInit { .. }, Errno::ENOSPC) => {
                "too many namespaces, or namespaces nested too deeply: `sandbox doctor` says which limit it is".into()
            }
            (Op::CloneInit { .. } | Op::MakeIdmap { .. }, Errno::EPERM | Errno::EACCES) => {
                "this machine refuses new namespaces to this caller: `sandbox doctor` says why, and what to do".into()
            }
            // Where AppArmor lets a user namespace be made that is good for nothing, these are the first to fail.
            (Op::UnshareCgroupNamespace | Op::MakePrivate | Op::TakeIds { .. }, Errno::EPERM | Errno::EACCES) => {
                "this machine does not let the caller use the namespaces it made: `sandbox doctor` says why, and what to do".into()
            }
            (Op::ForbidUserNamespaces, _) => {
                "is /proc/sys writable here, and a procfs? Where user namespaces may be made inside, write `nested_user = true` under [namespaces]".into()
            }
            (Op::MakeInnerUser { .. }, Errno::ENOSPC | Errno::EUSERS) => {
                "too many namespaces, or namespaces nested too deeply: `sandbox doctor` says which limit it is".into()
            }
            (Op::LinkGate(_), Errno::EOPNOTSUPP) => {
                "this kernel has no veth(4): load it by `sudo modprobe veth`, use a kernel with CONFIG_VETH, or remove `allow` under [network]".into()
            }
            (Op::FilterPackets(_), Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL) => {
                "this kernel lacks a part of its packet filters: load them by `sudo modprobe -a nf_tables nft_ct nft_reject_inet nft_log nfnetlink_log`, or remove `allow` under [network], or its mode".into()
            }
            (Op::Worsen { .. } | Op::WorsenGate(_), Errno::ENOENT | Errno::EOPNOTSUPP) => {
                "this kernel has no network emulator: load it by `sudo modprobe sch_netem`, use a kernel with CONFIG_NET_SCH_NETEM, or remove `delay` and `loss` under [network]".into()
            }
            (Op::LimitRate(_) | Op::LimitGate { .. }, Errno::ENOENT | Errno::EOPNOTSUPP) => {
                "this kernel has no token bucket filter: load it by `sudo modprobe sch_tbf`, use a kernel with CONFIG_NET_SCH_TBF, or remove `rate` under [network]".into()
            }
            (Op::MakeMacvlan(_), Errno::EOPNOTSUPP) => {
                "this kernel makes no interfaces behind others: load it by `sudo modprobe macvlan`, use a kernel with CONFIG_MACVLAN, or write `mode = \"veth\"`".into()
            }
            (Op::MakeMacvlan(_), Errno::EINVAL | Errno::EBUSY) => {
                "this interface can have none behind it: it is a loopback, or something else has it; or `mtu` is larger than its own".into()
            }
            (Op::RaiseInterface { .. }, Errno::EADDRINUSE) => {
                "the host's interface, or another one behind it, has the same hardware address: choose another `hardware_address` under [network]".into()
            }
            (Op::MakeMacvlan(_), Errno::ENODEV) => {
                "the interface has gone since the run was planned".into()
            }
            (Op::MakeGateNetwork, Errno::ENOSPC | Errno::EUSERS) => {
                "too many network namespaces: `sandbox doctor` says which limit it is".into()
            }
            (Op::ObserveGate(_), Errno::EAFNOSUPPORT) => {
                "this kernel has no packet(7): use one with CONFIG_PACKET, or remove `allow` under [network]".into()
            }
            (Op::ListenAtGate(_), Errno::EAFNOSUPPORT) => {
                "datagrams are passed on only where the kernel has IPv6: remove what ends in /udp, or boot without ipv6.disable=1".into()
            }
            (Op::NewKeyring, Errno::EDQUOT) => {
                "the caller holds as many keys as it may, and every run holds one: see /proc/key-users, and raise `sysctl kernel.keys.maxkeys`".into()
            }
            (Op::CloneInit { namespaces, .. }, Errno::EAGAIN) if namespaces.is_empty() => {
                "the sandbox has as many processes as it may: end some of them, or raise `pids` under [limits]; or the caller has (`ulimit -u`)".into()
            }
            (Op::CloneInit { .. }, Errno::EAGAIN) => {
                "the caller may not have more processes: see `ulimit -u` and the pids limit of its cgroup".into()
            }
            (Op::ForkPayload { .. } | Op::ForkBesideInit, Errno::EAGAIN) => {
                "the limit on pids leaves no room for the command: raise `pids` under [limits]".into()
            }
            (_, Errno::ENOSYS) => {
                "this kernel is older than Linux 5.12, or a container's filter refuses the call: `sandbox doctor` says which".into()
            }
            (Op::OpenSource { depth: crate::sys::mount::Depth::Alone, .. }, Errno::EINVAL) => {
                "something is mounted below the source, and this caller may not do without it: remove `recursive = false`, and hide it by a mount of the type \"mask\"".into()
            }
            (Op::OpenMapped { .. }, Errno::EINVAL) => {
                "its file system cannot map owners: set `idmap = false` on the mount, or `idmap = \"prefer\"` under [enforce]".into()
            }
            (Op::OpenMapped { .. }, Errno::EPERM) => {
                "what a user namespace above has mounted, this one cannot map: set `idmap = false` on the mount, or `idmap = \"prefer\"` under [enforce]".into()
            }
            (Op::OpenSource { .. } | Op::OpenMapped { .. }, Errno::ENOENT) => {
                "the source is not there (any more)".into()
            }
            (Op::OpenSource { .. } | Op::OpenMapped { .. }, Errno::ELOOP) => {
                "a symbolic link lies in a folder that the command may write to: remove it".into()
            }
            (Op::HoldRoot(_), Errno::ENOENT) => {
                "it was pruned just now: start again, and it is unpacked again".into()
            }
            (Op::MakeSource { .. }, Errno::ELOOP | Errno::ENOTDIR) => {
                "a symbolic link or a file lies on the way: remove it, or name another source".into()
            }
            (Op::MakeSource { .. }, Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                "the caller may not make it: make it by other rights once, or name a source where the caller may".into()
            }
            (Op::MountOverlay { .. } | Op::AttachRoot(NewRoot::Overlay(..)), errno) => overlay(&step.op, errno),
            (_, Errno::ELOOP) => {
                "a symbolic link lies on the way to the target: remove it, or choose another target".into()
            }
            (Op::OpenSource { .. }, Errno::EACCES) => {
                "the caller may not reach the source: check the permissions on the way".into()
            }
            (Op::MountFilesystem { kind, .. }, Errno::EPERM) if kind.as_c_str() == c"proc" || kind.as_c_str() == c"sysfs" => {
                "the kernel shows a fresh one only where the host's is fully visible: `sandbox doctor` says what covers it; in a container, unmask /proc (for Docker: --security-opt systempaths=unconfined)".into()
            }
            (Op::MountFilesystem { kind, .. }, Errno::ENODEV) => {
                format!("this kernel has no file system {}", kind.to_string_lossy())
            }
            (Op::WriteIdMap { .. } | Op::DenySetgroups | Op::SetOomScore(_), Errno::ENOENT) => {
                "is /proc mounted on the host?".into()
            }
            (Op::WriteIdMap { .. }, Errno::EPERM) => {
                "the caller may map its own ids only: compare the map with `id`, /etc/subuid and /etc/subgid".into()
            }
            (Op::ChangeDirectory(_), Errno::ENOENT) => {
                "set `cwd` under [process] to a directory that is visible inside".into()
            }
            (Op::ChangeDirectory(_), _) => "set `cwd` under [process] to a directory inside".into(),
            (Op::SetRlimit { .. }, Errno::EPERM) => {
                "only root of the host may raise a hard limit: lower it to the caller's (`ulimit -H -a`)".into()
            }
            (Op::RefuseWriteExecute, Errno::EINVAL) => {
                "this takes Linux 6.3: write `write_execute = \"prefer\"` under [enforce]".into()
            }
            (Op::SetLabel(Label { module: Module::Apparmor, .. }), Errno::ENOENT) => {
                "the policy that is seen from here has no such profile: load it (`apparmor_parser -r FILE`), or correct the name; `aa-status` lists those that are loaded".into()
            }
            (Op::SetLabel(Label { module: Module::Selinux, .. }), Errno::EINVAL) => {
                "the policy that is loaded has no such context: load the module that declares it (`semodule -i FILE`), or correct it; `seinfo -t` lists the types".into()
            }
            (Op::SetLabel(_), Errno::EACCES | Errno::EPERM) => {
                "the policy does not let this program choose a label: permit it there (`process { setexec transition }` of SELinux, `change_profile` of AppArmor)".into()
            }
            (Op::SetClock(_), Errno::ERANGE) => {
                "a clock shows no less than 0: compare it with /proc/uptime, and set it less far behind".into()
            }
            (Op::SetAffinity { .. }, Errno::EINVAL) => {
                "this machine has none of these processors, or the caller may use none of them".into()
            }
            (Op::SetNice(_), Errno::EACCES | Errno::EPERM) => {
                "only root may lower the nice value: choose 0 or more".into()
            }
            (Op::SetOomScore(_), Errno::EACCES) => {
                "only root may lower the score: choose the caller's or more".into()
            }
            (Op::SetSysctl { .. }, Errno::ENOENT) => {
                "this kernel has no such setting, or none that is a namespace's own".into()
            }
            (Op::SetSysctl { .. }, Errno::EACCES | Errno::EPERM) => {
                "this kernel lets nobody but the host's root change it, or nobody in a namespace: see the file's permissions".into()
            }
            (Op::SetSysctl { .. } | Op::SetInterface { .. }, Errno::EROFS) => {
                "/proc/sys is mounted read-only here, as containers do: mount it to be written to".into()
            }
            (Op::SetSysctl { .. }, Errno::EINVAL | Errno::ERANGE) => "the kernel takes no such value: see proc_sys(5)".into(),
            (Op::SetSysctl { .. }, Errno::EILSEQ) => {
                "the kernel has taken another value: write it as it can be read back".into()
            }
            (Op::PivotRoot, Errno::EINVAL) => {
                "the root of this machine is the initial ramfs or a plain chroot, from which no other root can be entered".into()
            }
            (_, Errno::ESRCH | Errno::EPIPE) if step.phase <= Phase::AwaitRelease => {
                "the supervisor ended while the sandbox was being set up".into()
            }
            (Op::ReserveAddress { .. }, Errno::EADDRINUSE) => {
                "somebody on the bridge has just taken it: start this again, or name an address that is free".into()
            }
            (Op::ReserveAddress { .. }, Errno::EADDRNOTAVAIL) => {
                "the bridge itself has no address of the link (fe80::…), by which others would be asked: see `ip address`, or give the addresses".into()
            }
            (Op::AddAddress(_), Errno::EADDRINUSE) => {
                "another interface of the host is in this network, since a moment ago: run it again, or choose another network".into()
            }
            (Op::ReservePort(_) | Op::ServePort { .. }, Errno::EADDRINUSE) => {
                "something on the host listens on it, or another run publishes it: choose another port".into()
            }
            (Op::ReservePort(_) | Op::ServePort { .. }, Errno::EADDRNOTAVAIL) => {
                "the host has no such address: see `ip address`".into()
            }
            (Op::ReservePort(_) | Op::ServePort { .. }, Errno::EACCES) => {
                "ports below 1024 are root's: choose another one".into()
            }
            (Op::MakePair(_), Errno::ENODEV) => "the bridge is not there (any more)".into(),
            (Op::MakePair(_), Errno::EOPNOTSUPP) => {
                "this kernel has no veth, or the bridge is none (any more)".into()
            }
            (Op::Translate { .. }, Errno::EOPNOTSUPP | Errno::ENOENT | Errno::EPROTONOSUPPORT) => {
                "this kernel lacks a part of nftables (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_INET): load the modules, or leave out `nat` and `publish`".into()
            }
            (Op::StartPasta(_), Errno::EPERM) => {
                "does the sandbox have a user namespace of its own? See `sandbox doctor`".into()
            }
            (_, Errno::EMFILE | Errno::ENFILE) => "raise the limit on open files (`ulimit -n`)".into(),
            (_, Errno::ENOMEM | Errno::ENOSPC) => {
                "too little memory, or a limit on kernel objects (mounts: fs.mount-max)".into()
            }
            (_, Errno::EPERM | Errno::EACCES) => {
                "this machine forbids it: see the log of the kernel for a security module (AppArmor, SELinux), and the filter of the container that this runs in".into()
            }
            _ => "`sandbox explain --why` shows this step among the others, and what it needs before it".into(),
        }
    }
}

/// What to do where an overlay cannot be mounted.
fn overlay(op: &Op, errno: Errno) -> String {
    let in_memory = matches!(
        op,
        Op::MountOverlay {
            upper: Upper::Memory(_),
            ..
        } | Op::AttachRoot(NewRoot::Overlay(_, Upper::Memory(_), _))
    );
    match errno {
        Errno::EOPNOTSUPP if in_memory => "a tmpfs has the attributes that an overlay needs since Linux 6.6: set `changes_on = \"disk\"`".into(),
        Errno::EOPNOTSUPP | Errno::EINVAL if !in_memory => "the file system that holds the changes cannot hold those of an overlay, as in most containers: set XDG_STATE_HOME to a folder on ext4, xfs, btrfs or tmpfs, or discard the changes in memory".into(),
        Errno::ENODEV => "this kernel has no overlayfs (CONFIG_OVERLAY_FS; `modprobe overlay`)".into(),
        Errno::EPERM => "a user namespace may mount overlayfs since Linux 5.11: `sandbox doctor` says what this machine offers".into(),
        Errno::EOVERFLOW => "an owner there is no id of the sandbox: see `idmap` and [user]".into(),
        Errno::ENOSPC | Errno::EDQUOT => "there is no room for the changes: free some, or raise `changes_size` and `changes_inodes`".into(),
        _ => "`sandbox explain --why` shows this step among the others; the log of the kernel (`dmesg`) says what overlayfs did not like".into(),
    }
}

/// Whether Landlock lets the command execute, or read, below some paths alone.
fn bounds_execution(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.op {
        Op::Restrict(rules) => rules.handled.files & (EXECUTE | READ_FILE) != 0,
        _ => false,
    })
}
