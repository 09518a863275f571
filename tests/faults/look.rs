//! The command of every run: tells what it sees of its isolation, one fact a line.
//!
//! What differs from run to run (ids of mounts, numbers of devices) is left out. A fact that cannot
//! be had is a fact too: it says why.

use crate::reach;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::process::{TimeStampCounterReadability, set_time_stamp_counter_readability};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The first line: whoever prints it runs.
pub(crate) const MARKER: &str = "the command has started";

/// Namespaces, by their names in `/proc/self/ns`.
const NAMESPACES: [&str; 8] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];

/// The caller's namespaces and session keyring, for [`report`] to compare with.
pub(crate) fn callers() -> Vec<String> {
    let link = |name: &&str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    let namespaces = NAMESPACES
        .iter()
        .map(|name| link(name).display().to_string());
    namespaces.chain([keyring()]).collect()
}

/// The serial number of the session keyring, or why there is none.
fn keyring() -> String {
    match sandbox::sys::keyring::session() {
        Ok(serial) => serial.to_string(),
        Err(why) => why.to_string(),
    }
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

/// All facts. `reach` is who may be reached, or `-`; `callers` is what [`callers`] told the caller.
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
    attributes(&mut text, callers.last());
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
        "coredump_filter",
    ] {
        lines(&mut text, name, &format!("/proc/self/{name}"), all);
    }
    for name in ["hostname", "domainname"] {
        lines(&mut text, name, &format!("/proc/sys/kernel/{name}"), all);
    }
    lines(&mut text, "device", "/proc/self/net/dev", |line| {
        line.split_once(':').map(|(name, _)| name.trim().to_owned())
    });
    lines(&mut text, "route", "/proc/self/net/route", all);
    let mtu = "/proc/sys/net/ipv6/conf/eth0/mtu";
    lines(&mut text, "largest packet", mtu, all);
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
    for folder in ["/answers", "/run/secrets", "/owned", "/mapped"] {
        files(&mut text, folder);
    }
    streams(&mut text);
    devices(&mut text);
    lock(&mut text);
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

/// What a process has and no file in /proc tells. Where the time-stamp counter may not be read, it is permitted again:
/// the C library reads the clock by it.
fn attributes(text: &mut String, caller: Option<&String>) {
    let counter = rustix::process::time_stamp_counter_readability();
    let _ = writeln!(text, "time-stamp counter: {counter:?}");
    let _ = set_time_stamp_counter_readability(TimeStampCounterReadability::Readable);
    let bits = rustix::thread::capabilities_secure_bits();
    let _ = writeln!(text, "securebits: {bits:?}");
    let keyring = keyring();
    let whose = match keyring.parse::<i32>() {
        Ok(_) if Some(&keyring) == caller => "the caller's".into(),
        Ok(_) => "its own".into(),
        Err(_) => keyring,
    };
    let _ = writeln!(text, "session keyring: {whose}");
}

/// What is in a folder, with modes, owners and contents.
fn files(text: &mut String, folder: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    for path in paths.chain([folder.into()]) {
        let Ok(what) = fs::symlink_metadata(&path) else {
            continue;
        };
        let (mode, uid, gid) = (what.mode(), what.uid(), what.gid());
        let holds = what.is_file().then(|| fs::read_to_string(&path));
        let holds = holds.map(|said| said.map_err(|why| why.kind()));
        let path = path.display();
        let _ = writeln!(text, "file {path}: {mode:o} {uid}:{gid} {holds:?}");
    }
}

/// What the standard input holds, and who of the three is what.
fn streams(text: &mut String) {
    let input = fs::metadata("/proc/self/fd/0");
    // What a terminal holds comes later, or never.
    if input.is_ok_and(|input| {
        input.is_file() || std::os::unix::fs::FileTypeExt::is_fifo(&input.file_type())
    }) {
        let mut said = String::new();
        let read = std::io::stdin().read_to_string(&mut said);
        let _ = writeln!(text, "input: {said:?} {:?}", read.map_err(|why| why.kind()));
    }
    for (name, ways) in ["stdin", "stdout", "stderr"].iter().zip(0..) {
        let flags = match ways {
            0 => fcntl(std::io::stdin(), FcntlArg::F_GETFL),
            1 => fcntl(std::io::stdout(), FcntlArg::F_GETFL),
            _ => fcntl(std::io::stderr(), FcntlArg::F_GETFL),
        };
        let ways = flags.map(|flags| flags & nix::libc::O_ACCMODE);
        let _ = writeln!(text, "stream {name}: {ways:?}");
    }
}

/// Which devices can be opened, and for what.
fn devices(text: &mut String) {
    for node in ["null", "full", "tty", "fuse", "net/tun", "loop-control"] {
        for folder in ["/dev", "/nodes"] {
            let path = Path::new(folder).join(node);
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let way = |read, write| {
                let opened = fs::File::options().read(read).write(write).open(&path);
                opened.map(drop).map_err(|why| errno(&why))
            };
            let (path, read, write) = (path.display(), way(true, false), way(false, true));
            let _ = writeln!(text, "device {path}: to read {read:?}, to write {write:?}");
        }
    }
}

/// Whether somebody holds a lock on the file that one is asked for.
fn lock(text: &mut String) {
    let Ok(file) = fs::File::open("/locked") else {
        return;
    };
    let mut asked = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let answer = fcntl(&file, FcntlArg::F_GETLK(&mut asked)).map(|_| asked.l_type);
    let _ = writeln!(text, "lock on /locked: {answer:?}");
}

/// The limits of the group, as far as a mount shows it.
fn groups(text: &mut String) {
    for folder in [
        "",
        "pids",
        "memory",
        "cpu",
        "cpu,cpuacct",
        "cpuset",
        "hugetlb",
        "blkio",
        "unified",
    ] {
        let folder = match folder {
            "unified" => beside(),
            folder => Path::new("/sys/fs/cgroup").join(folder),
        };
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
            "cpuset.mems",
            "memory.low",
            "memory.min",
            "memory.oom.group",
            "cpu.max.burst",
            "cpu.cfs_burst_us",
            "io.weight",
            "io.bfq.weight",
            "io.max",
            "blkio.bfq.weight",
            "blkio.bfq.weight_device",
            "blkio.throttle.read_bps_device",
            "hugetlb.2MB.max",
            "hugetlb.2MB.limit_in_bytes",
        ] {
            if let Ok(value) = fs::read_to_string(folder.join(file)) {
                let value = value.trim().replace('\n', "; ");
                let _ = writeln!(text, "limit {file}: {value}");
            }
        }
    }
}

/// The group of cgroup v2 beside v1, if all of those are shown.
fn beside() -> PathBuf {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/unified").into_iter().flatten().flatten();
    let mut folders = entries.map(|entry| entry.path());
    let ours = folders.find(|folder| {
        // Those of other namespaces are 0 in it.
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        members.lines().any(|pid| pid == own)
    });
    ours.unwrap_or_default()
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
