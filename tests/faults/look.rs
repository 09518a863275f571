//! The command of every run: tells what it sees of its isolation, one fact a line.
//!
//! What differs from run to run (ids of mounts, numbers of devices) is left out. A fact that cannot
//! be had is a fact too: it says why.

use crate::reach;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The first line: whoever prints it runs.
pub(crate) const MARKER: &str = "the command has started";

/// Namespaces, by their names in `/proc/self/ns`.
const NAMESPACES: [&str; 8] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];

/// The caller's namespaces, for [`report`] to compare with.
pub(crate) fn namespaces() -> Vec<String> {
    let link = |name: &&str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    NAMESPACES
        .iter()
        .map(|name| link(name).display().to_string())
        .collect()
}

fn lines(text: &mut String, what: &str, file: &str, keep: impl Fn(&str) -> Option<String>) {
    match fs::read_to_string(file) {
        Ok(found) => {
            for line in found.lines().filter_map(keep) {
                let _ = writeln!(text, "{what}: {line}");
            }
        }
        Err(why) => {
            let _ = writeln!(text, "{what}: {:?}", why.kind());
        }
    }
}

fn names(text: &mut String, folder: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        let _ = writeln!(text, "no folder {folder}");
        return;
    };
    for entry in entries.flatten() {
        let _ = writeln!(text, "there is {}", entry.path().display());
    }
}

/// All facts. `reach` is who may be reached, or `-`; `callers` are the caller's namespaces.
pub(crate) fn report(reach: &str, callers: &[String]) -> String {
    let own = std::process::id().to_string();
    // Of who joins, the number is another each time.
    let own = |number: &str| {
        if number == own {
            "[own]".to_owned()
        } else {
            number.to_owned()
        }
    };
    let mut text = format!("{MARKER}\n");
    for (name, callers) in NAMESPACES.iter().zip(callers) {
        let ours = fs::read_link(format!("/proc/self/ns/{name}"));
        let whose = match ours {
            Ok(ours) if ours.display().to_string() == *callers => "the caller's".into(),
            Ok(_) => "its own".into(),
            Err(why) => format!("{:?}", why.kind()),
        };
        let _ = writeln!(text, "namespace {name}: {whose}");
    }
    let all = |line: &str| Some(line.to_owned());
    lines(&mut text, "status", "/proc/self/status", |line| {
        // How much memory it takes and how often it waited.
        let varies = [
            "Vm",
            "Rss",
            "Hugetlb",
            "voluntary",
            "nonvoluntary",
            "SigQ",
            "State",
            "TracerPid",
            "x86_",
            "Speculation",
        ];
        let numbers = ["Tgid", "Pid", "NStgid", "NSpid", "NSpgid", "NSsid"];
        let kept = !varies.iter().any(|word| line.starts_with(word));
        let (name, value) = line.split_once(":\t")?;
        let value = match numbers.contains(&name) {
            true => own(value),
            false => value.to_owned(),
        };
        kept.then(|| format!("{name}: {value}"))
    });
    lines(&mut text, "mount", "/proc/self/mountinfo", |line| {
        // Ids and numbers of devices in front; ids of peer groups among the optional fields.
        let fields = line.splitn(4, ' ').nth(3)?;
        let words = fields.split(' ').map(|word| {
            word.split_once(":").map_or(word, |(kind, number)| {
                if number.bytes().all(|b| b.is_ascii_digit()) {
                    kind
                } else {
                    word
                }
            })
        });
        Some(words.collect::<Vec<_>>().join(" "))
    });
    for name in [
        "limits",
        "uid_map",
        "gid_map",
        "setgroups",
        "oom_score_adj",
        "cgroup",
        "personality",
        "timerslack_ns",
        "timens_offsets",
    ] {
        lines(&mut text, name, &format!("/proc/self/{name}"), all);
    }
    for name in ["hostname", "domainname"] {
        lines(&mut text, name, &format!("/proc/sys/kernel/{name}"), all);
    }
    lines(&mut text, "device", "/proc/self/net/dev", |line| {
        line.split_once(':').map(|(name, _)| name.trim().to_owned())
    });
    lines(&mut text, "address", "/proc/self/net/fib_trie", all);
    lines(&mut text, "process", "/proc/self/stat", |line| {
        let rest: Vec<_> = line.rsplit_once(')')?.1.split_whitespace().collect();
        // Parent, group, session, terminal; priority, nice value, threads; real-time priority, policy.
        let wanted = [1, 2, 3, 4, 15, 16, 17, 37, 38];
        Some(
            wanted
                .iter()
                .map(|n| match n {
                    2 | 3 => own(rest[*n]),
                    n => rest[*n].to_owned(),
                })
                .collect::<Vec<_>>()
                .join(" "),
        )
    });
    groups(&mut text);
    for entry in fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let kind = fs::read_link(entry.path()).unwrap_or_default();
        let kind = kind.display().to_string();
        // A pipe of ours has another number each time.
        let kind = match kind.starts_with("pipe:[") {
            true => "pipe".to_owned(),
            false => kind,
        };
        // The directory that is being listed.
        if !kind.starts_with("/proc/") {
            let _ = writeln!(text, "descriptor {}: {kind}", entry.file_name().display());
        }
    }
    for (name, value) in std::env::vars_os() {
        let _ = writeln!(text, "environment {}={}", name.display(), value.display());
    }
    let here = std::env::current_dir().map(|here| here.display().to_string());
    let _ = writeln!(text, "here: {here:?}");
    for folder in ["/", "/dev", "/etc", "/run", "/tmp"] {
        names(&mut text, folder);
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry.file_name().to_string_lossy().into_owned();
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Of an earlier command whose supervisor is gone, the caller's init has to take notice; it is dead.
        let is_dead = stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"));
        if number.bytes().all(|b| b.is_ascii_digit()) && !is_dead {
            let _ = writeln!(text, "there is process {}", own(&number));
        }
    }
    attempts(&mut text);
    reach::attempts(&mut text, reach);
    text
}

/// The limits of the group, as far as a mount shows it.
fn groups(text: &mut String) {
    for folder in ["", "pids", "memory", "cpu", "cpu,cpuacct", "cpuset"] {
        let folder = Path::new("/sys/fs/cgroup").join(folder);
        for file in [
            "pids.max",
            "memory.max",
            "memory.high",
            "memory.swap.max",
            "cpu.max",
            "cpu.weight",
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "cpu.shares",
            "cpu.cfs_quota_us",
            "cpu.cfs_period_us",
            "cpuset.cpus",
        ] {
            if let Ok(value) = fs::read_to_string(folder.join(file)) {
                let _ = writeln!(text, "limit {file}: {}", value.trim());
            }
        }
    }
}

/// What a sandbox is there to refuse: nothing that would do harm if it were not refused.
fn attempts(text: &mut String) {
    use nix::mount::{MsFlags, mount};
    use nix::unistd::{Gid, Uid, chroot, pivot_root, setgid, setuid};
    let none = None::<&str>;
    for (what, answer) in [
        (
            "mount",
            mount(none, "/", Some("none such"), MsFlags::empty(), none),
        ),
        ("pivot_root", pivot_root("/", "/")),
        ("chroot", chroot("/")),
        (
            "kill init",
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(1), None),
        ),
        ("read init", read("/proc/1/environ")),
        ("root group", setgid(Gid::from_raw(0))),
        ("root user", setuid(Uid::from_raw(0))),
        ("write /etc", write("/etc/attempted")),
        ("write /usr", write("/usr/attempted")),
        ("write /", write("/attempted")),
        ("write here", write("attempted")),
        (
            "namespace",
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER),
        ),
    ] {
        let _ = writeln!(text, "attempt {what}: {answer:?}");
    }
}

fn errno(why: &std::io::Error) -> nix::Error {
    nix::Error::from_raw(why.raw_os_error().unwrap_or(0))
}

fn read(path: &str) -> nix::Result<()> {
    fs::read(path).map(drop).map_err(|why| errno(&why))
}

fn write(path: &str) -> nix::Result<()> {
    let made = fs::write(path, "");
    let _ = fs::remove_file(path);
    made.map_err(|why| errno(&why))
}
