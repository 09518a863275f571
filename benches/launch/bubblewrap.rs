//! bubblewrap, told to do what a plan does.
//!
//! What it cannot do is left out: a time namespace, resource limits, an owner map for root, a domain
//! name. Its `--dev` makes the same nodes, links and pseudo-terminals as the plan.

use crate::{Contender, TRUE};
use sandbox::plan::Plan;
use sandbox::plan::op::{Ids, Op};
use sandbox::sys::mount::Attributes;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// With everything that the plan hides and protects in /proc; or, as people usually call
/// bubblewrap, without.
pub(crate) fn contender(plan: &Plan, folder: &Path, whole: bool) -> Contender {
    let filter = folder.join("filter");
    fs::write(&filter, program(plan)).unwrap();
    let arguments = arguments(plan, whole);
    Contender {
        name: if whole {
            "bubblewrap"
        } else {
            "bubblewrap, whole /proc shown"
        },
        next: Box::new(move || {
            let mut command = Command::new("bwrap");
            // It reads the filter to its end: each launch needs the file opened anew.
            command
                .stdin(Stdio::from(File::open(&filter).unwrap()))
                .args(["--seccomp", "0"])
                .args(&arguments)
                .arg(TRUE);
            command
        }),
    }
}

/// The filter as the kernel takes it: `struct sock_filter[]`.
fn program(plan: &Plan) -> Vec<u8> {
    let filter = plan.steps.iter().find_map(|step| match &step.op {
        Op::SetFilter(filter) => Some(filter),
        _ => None,
    });
    let bytes = |i: &libc::sock_filter| {
        let [c, d] = i.code.to_ne_bytes();
        let [k0, k1, k2, k3] = i.k.to_ne_bytes();
        [c, d, i.jt, i.jf, k0, k1, k2, k3]
    };
    filter.into_iter().flatten().flat_map(bytes).collect()
}

/// Whether a source is what masks a file.
pub(crate) fn is_nothing(source: &Path) -> bool {
    source == Path::new("nothing")
}

fn arguments(plan: &Plan, whole: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| all.extend(words.iter().map(|word| (*word).to_owned()));
    for step in &plan.steps {
        match &step.op {
            Op::CloneInit { namespaces, .. } => {
                for kind in namespaces {
                    // A mount namespace goes without saying.
                    if !["mnt", "time"].contains(&kind.name) {
                        add(&[&format!("--unshare-{}", kind.name)]);
                    }
                }
            }
            Op::UnshareCgroupNamespace => add(&["--unshare-cgroup"]),
            Op::WriteIdMap { ids, ranges, .. } => {
                let option = if *ids == Ids::User { "--uid" } else { "--gid" };
                add(&[option, &ranges.first().map_or(0, |r| r.inside).to_string()]);
            }
            Op::DieWithSupervisor => add(&["--die-with-parent"]),
            Op::NewSession => add(&["--new-session"]),
            Op::SetHostname(name) => add(&["--hostname", &name.to_string_lossy()]),
            Op::MakeDirectory(name, mode) => {
                let path = inside(&[&name.parent, &name.name]);
                if !in_dev(&path) {
                    add(&["--perms", &format!("{mode:o}"), "--dir", &path]);
                }
            }
            Op::MakeSymlink(name, to) => {
                let path = inside(&[&name.parent, &name.name]);
                if !in_dev(&path) {
                    add(&["--symlink", &to.to_string_lossy(), &path]);
                }
            }
            Op::MountFilesystem {
                kind,
                options,
                target,
                ..
            } => {
                let path = inside(&[target]);
                let option = |name: &str| {
                    let found = options
                        .iter()
                        .find(|(key, _)| key.to_bytes() == name.as_bytes());
                    found.and_then(|(_, value)| Some(value.as_ref()?.to_string_lossy()))
                };
                match kind.to_bytes() {
                    b"proc" => add(&["--proc", &path]),
                    b"tmpfs" if path == "/dev" => add(&["--dev", "/dev"]),
                    b"tmpfs" if whole || !in_proc(&path) => {
                        let mode = option("mode").unwrap_or("755".into());
                        let size = option("size").map_or(0, |size| bytes(&size));
                        add(&["--perms", &mode, "--size", &size.to_string()]);
                        add(&["--tmpfs", &path]);
                    }
                    // Its --dev has made devpts.
                    _ => {}
                }
            }
            Op::AttachSource {
                source,
                attributes,
                target,
                ..
            } => {
                let path = inside(&[target]);
                let masks = is_nothing(source);
                let source = source.to_string_lossy();
                if masks || in_proc(&path) {
                    if whole || !in_proc(&path) {
                        add(&["--ro-bind", "/dev/null", &path]);
                    }
                } else if !in_dev(&path) {
                    let read_only = attributes.contains(Attributes::READ_ONLY);
                    add(&[
                        if read_only { "--ro-bind" } else { "--bind" },
                        &source,
                        &path,
                    ]);
                }
            }
            Op::Protect { target, .. } if whole => {
                let path = inside(&[target]);
                add(&["--ro-bind", &path, &path]);
            }
            Op::SealMount { target, .. } => {
                let path = inside(&[target]);
                if whole || !in_proc(&path) {
                    add(&["--remount-ro", &path]);
                }
            }
            Op::DropBounding(_) => add(&["--cap-drop", "ALL"]),
            Op::ChangeDirectory(path) => add(&["--chdir", &path.to_string_lossy()]),
            Op::Exec { environment, .. } => {
                add(&["--clearenv"]);
                for variable in environment.strings() {
                    let variable = variable.to_string_lossy();
                    let (name, value) = variable.split_once('=').unwrap();
                    add(&["--setenv", name, value]);
                }
            }
            _ => {}
        }
    }
    all
}

/// A path inside from its parts, which have no slash in front.
pub(crate) fn inside(parts: &[&std::ffi::CString]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
    let path = parts.join("/");
    format!("/{}", path.trim_start_matches('/'))
}

pub(crate) fn in_proc(path: &str) -> bool {
    path.starts_with("/proc/")
}

fn in_dev(path: &str) -> bool {
    path == "/dev" || (path.starts_with("/dev/") && path != "/dev/shm")
}

/// A size as tmpfs(5) takes it, in bytes.
fn bytes(size: &str) -> u64 {
    let digits = size.trim_end_matches(['K', 'M', 'G']);
    let unit = match size.strip_prefix(digits) {
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        _ => 0,
    };
    digits.parse::<u64>().unwrap() << unit
}
