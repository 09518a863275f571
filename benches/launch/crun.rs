//! crun, with a bundle that says what a plan does.
//!
//! What it cannot do is left out: an owner map for root. Version 1.8 refuses to start on a hybrid
//! of cgroup v1 and v2 (`umount /sys/fs/cgroup/unified` in a mount namespace of its own helps), as
//! the table then says. Its root is a folder, in which it makes
//! the mount points at the first launch and finds them from then on.

use crate::bubblewrap::{in_proc, inside, is_nothing};
use crate::{Contender, TRUE};
use sandbox::plan::Plan;
use sandbox::plan::op::{IdRange, Ids, Op};
use sandbox::sections::seccomp::policy::Policy;
use sandbox::sections::seccomp::presets::Preset;
use sandbox::sys::mount::Attributes;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use syscalls::Sysno;

/// What the group of a run may use.
pub(crate) struct Limits {
    pub(crate) pids: u64,
    pub(crate) memory: u64,
    /// Of a period of 100 ms.
    pub(crate) cpu_quota: u64,
}

/// Makes the bundle for a command.
pub(crate) fn bundle(plan: &Plan, folder: &Path, limits: Option<&Limits>, command: &[&str]) {
    let root = folder.join("root");
    fs::create_dir(&root).unwrap();
    let config = config(plan, &root, limits, command);
    fs::write(folder.join("config.json"), config).unwrap();
}

pub(crate) fn contender(plan: &Plan, folder: &Path, limits: Option<Limits>) -> Contender {
    bundle(plan, folder, limits.as_ref(), &[TRUE]);
    // Without limits, `sandbox` makes no cgroup either.
    let manager = if limits.is_some() {
        "cgroupfs"
    } else {
        "disabled"
    };
    let folder = folder.to_owned();
    let mut number = 0;
    Contender {
        name: "crun",
        next: Box::new(move || {
            number += 1;
            let mut command = Command::new("crun");
            command
                .arg(format!("--cgroup-manager={manager}"))
                .arg("--root")
                .arg(folder.join("state"))
                .args(["run", "--bundle"])
                .arg(&folder)
                .arg(format!("sandbox-launch-{}-{number}", std::process::id()));
            command
        }),
    }
}

/// The parts of a bundle's configuration that steps of the plan add to.
#[derive(Default)]
struct Config {
    mounts: Vec<String>,
    namespaces: Vec<String>,
    masked: Vec<String>,
    read_only: Vec<String>,
    environment: Vec<String>,
    limits: Vec<String>,
    users: String,
    groups: String,
    directory: String,
    hostname: String,
    uid: u32,
    gid: u32,
}

fn config(plan: &Plan, root: &Path, limits: Option<&Limits>, command: &[&str]) -> String {
    let mut config = Config::default();
    for step in &plan.steps {
        config.take(&step.op, root);
    }
    let Config {
        uid,
        gid,
        users,
        groups,
        ..
    } = &config;
    let resources = limits.map_or(String::new(), |l| {
        format!(
            r#","resources":{{"pids":{{"limit":{}}},"memory":{{"limit":{}}},"cpu":{{"quota":{},"period":100000}}}}"#,
            l.pids, l.memory, l.cpu_quota
        )
    });
    format!(
        r#"{{"ociVersion":"1.0.2","root":{{"path":{root},"readonly":true}},"hostname":{hostname},
"process":{{"terminal":false,"args":{command:?},"cwd":{cwd},"env":{env},"user":{{"uid":{uid},"gid":{gid}}},
"capabilities":{{"bounding":[],"effective":[],"permitted":[],"inheritable":[],"ambient":[]}},
"rlimits":[{rlimits}],"noNewPrivileges":true}},
"mounts":[{mounts}],
"linux":{{"namespaces":[{namespaces}],"uidMappings":[{users}],"gidMappings":[{groups}],
"maskedPaths":{masked},"readonlyPaths":{read_only},"seccomp":{seccomp}{resources}}}}}"#,
        root = text(&root.to_string_lossy()),
        hostname = text(&config.hostname),
        cwd = text(&config.directory),
        env = texts(&config.environment),
        rlimits = config.limits.join(","),
        mounts = config.mounts.join(",\n"),
        namespaces = config.namespaces.join(","),
        masked = texts(&config.masked),
        read_only = texts(&config.read_only),
        seccomp = seccomp(),
    )
}

impl Config {
    fn take(&mut self, op: &Op, root: &Path) {
        match op {
            Op::CloneInit { namespaces, .. } => {
                let names = namespaces.iter().map(|kind| match kind.name {
                    "mnt" => "mount",
                    "net" => "network",
                    other => other,
                });
                self.namespaces.extend(names.map(namespace));
            }
            Op::UnshareCgroupNamespace => self.namespaces.push(namespace("cgroup")),
            Op::WriteIdMap { ids, ranges, .. } => {
                let lines: Vec<_> = ranges.iter().map(range).collect();
                let inside = ranges.first().map_or(0, |r| r.inside);
                if *ids == Ids::User {
                    (self.users, self.uid) = (lines.join(","), inside);
                } else {
                    (self.groups, self.gid) = (lines.join(","), inside);
                }
            }
            Op::SetHostname(name) => self.hostname = name.to_string_lossy().into(),
            Op::MakeDirectory(name, _) => {
                let path = inside(&[&name.parent, &name.name]);
                if !path.starts_with("/dev/") {
                    fs::create_dir(root.join(&path[1..])).unwrap();
                }
            }
            Op::MakeSymlink(name, to) => {
                let path = inside(&[&name.parent, &name.name]);
                // It makes those of /dev itself.
                if !path.starts_with("/dev/") {
                    symlink(&*to.to_string_lossy(), root.join(&path[1..])).unwrap();
                }
            }
            Op::MountFilesystem {
                kind,
                options,
                target,
                attributes,
            } => {
                let (path, kind) = (inside(&[target]), kind.to_string_lossy());
                if in_proc(&path) {
                    return self.masked.push(path);
                }
                let own = options.iter().map(|(key, value)| match value {
                    Some(value) => {
                        format!("{}={}", key.to_string_lossy(), value.to_string_lossy())
                    }
                    None => key.to_string_lossy().into(),
                });
                let options: Vec<_> = flags(*attributes).chain(own).collect();
                self.mount(&path, &kind, &kind, &options);
            }
            Op::AttachSource {
                source,
                attributes,
                target,
                ..
            } => {
                let path = inside(&[target]);
                if in_proc(&path) || is_nothing(source) {
                    return self.masked.push(path);
                }
                // It makes the nodes of /dev itself, by binds too.
                if !path.starts_with("/dev/") {
                    let read_only = attributes.contains(Attributes::READ_ONLY);
                    let mut options = vec!["rbind".to_owned()];
                    options.push(if read_only { "ro" } else { "rw" }.into());
                    options.extend(flags(*attributes));
                    self.mount(&path, "bind", &source.to_string_lossy(), &options);
                }
            }
            Op::Protect { target, .. } => self.read_only.push(inside(&[target])),
            Op::SetRlimit {
                name, soft, hard, ..
            } => {
                let name = name.to_uppercase();
                self.limits.push(format!(
                    r#"{{"type":"RLIMIT_{name}","soft":{soft},"hard":{hard}}}"#
                ));
            }
            Op::ChangeDirectory(path) => self.directory = path.to_string_lossy().into(),
            Op::Exec { environment, .. } => {
                let strings = environment.strings().iter();
                self.environment = strings.map(|s| s.to_string_lossy().into()).collect();
            }
            _ => {}
        }
    }

    fn mount(&mut self, target: &str, kind: &str, source: &str, options: &[String]) {
        self.mounts.push(format!(
            r#"{{"destination":{},"type":{},"source":{},"options":{}}}"#,
            text(target),
            text(kind),
            text(source),
            texts(options)
        ));
    }
}

fn namespace(name: &str) -> String {
    format!(r#"{{"type":{}}}"#, text(name))
}

fn range(r: &IdRange) -> String {
    format!(
        r#"{{"containerID":{},"hostID":{},"size":{}}}"#,
        r.inside, r.outside, r.count
    )
}

fn flags(attributes: Attributes) -> impl Iterator<Item = String> {
    [
        (Attributes::NOSUID, "nosuid"),
        (Attributes::NODEV, "nodev"),
        (Attributes::NOEXEC, "noexec"),
    ]
    .into_iter()
    .filter(move |(flag, _)| attributes.contains(*flag))
    .map(|(_, word)| word.to_owned())
}

/// The calls that the default filter permits, without its conditions on arguments.
fn seccomp() -> String {
    let policy = Policy::from(Preset::Default);
    let names: Vec<_> = Sysno::iter()
        .filter(|call| policy.verdict(*call).permits_some())
        .map(|call| call.name().to_owned())
        .collect();
    format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[{{"names":{},"action":"SCMP_ACT_ALLOW"}}]}}"#,
        texts(&names)
    )
}

/// A string of JSON.
fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn texts(all: &[String]) -> String {
    let all: Vec<_> = all.iter().map(|one| text(one)).collect();
    format!("[{}]", all.join(","))
}
