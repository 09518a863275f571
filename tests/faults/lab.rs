//! What of the machine is a run's alone: a network that is the caller's, with somebody in it; a disk that is divided by
//! weights; control groups without those of v2.

use crate::reach::{GREETING, Listener, VISITED};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Whether the kernel can divide what goes through a pair of interfaces, and there is nftables.
pub(crate) fn can_pair() -> bool {
    can(
        "ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root tbf rate 1mbit burst 2kb latency 50ms && nft list tables",
    )
}

/// Whether the kernel makes interfaces behind others.
pub(crate) fn can_stand_behind() -> bool {
    can("ip link add v0 type veth peer name v1 && ip link add link v0 name m0 type macvlan")
}

fn can(script: &str) -> bool {
    let mut shell = Command::new("unshare");
    let shell = shell.args(["--net", "sh", "-c", script]);
    shell.output().is_ok_and(|done| done.status.success())
}

/// A network namespace, of this thread as long as it is there, and of what the thread starts.
pub(crate) struct Lab {
    before: File,
    over: Arc<AtomicBool>,
    visitor: Option<JoinHandle<()>>,
    /// Who serves on its loopback.
    service: Option<Listener>,
    /// What is in it from the start.
    made: Vec<String>,
}

impl Lab {
    /// A new one, with an interface to others.
    pub(crate) fn new() -> Self {
        let before = File::open("/proc/thread-self/ns/net").unwrap();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        for words in [
            "link set lo up",
            "link add wan0 type veth peer name wan1",
            "address add 198.51.100.1/24 dev wan0",
            "link set wan0 up",
            "link set wan1 up",
        ] {
            let done = Command::new("ip").args(words.split(' ')).output().unwrap();
            assert!(done.status.success(), "{words}: {done:?}");
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let service = Listener::at("127.0.0.1:2200".parse().unwrap(), GREETING).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let visitor = std::thread::spawn(move || visit(&until));
        Self {
            before,
            over,
            visitor: Some(visitor),
            service: Some(service),
            made: state(),
        }
    }

    /// What is there that was not made with it.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut found = state();
        found.retain(|line| !self.made.contains(line));
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(visitor) = self.visitor.take() {
            let _ = visitor.join();
        }
        // Who ends it connects with it.
        drop(self.service.take());
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNET);
    }
}

/// Whether groups of either version have a controller.
fn has_controller(name: &str) -> bool {
    let unified = ["/sys/fs/cgroup", BESIDE].iter().any(|folder| {
        let controllers = std::fs::read_to_string(format!("{folder}/cgroup.controllers"));
        controllers.is_ok_and(|words| words.split_whitespace().any(|word| word == name))
    });
    unified || Path::new("/sys/fs/cgroup").join(name).exists()
}

/// Whether the kernel has huge pages of two mebibytes, and counts them for groups.
pub(crate) fn counts_huge_pages() -> bool {
    let pages = Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB");
    pages.exists() && has_controller("hugetlb")
}

/// Whether groups can have some of the processors and nodes of memory.
pub(crate) fn divides_processors() -> bool {
    has_controller("cpuset")
}

/// Whether the groups of cgroup v2 that we are in have so many bytes of kept memory to hand down.
pub(crate) fn has_memory_to_keep(bytes: u64) -> bool {
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::/"));
    let Some(own) = own.filter(|own| !own.is_empty()) else {
        return false;
    };
    let root = Path::new("/sys/fs/cgroup");
    let whole = root.join(own);
    let mut groups = whole.ancestors().take_while(|group| *group != root);
    groups.all(|group| {
        ["memory.low", "memory.min"].iter().all(|name| {
            let kept = std::fs::read_to_string(group.join(name)).unwrap_or_default();
            let kept = kept.trim();
            kept == "max" || kept.parse::<u64>().is_ok_and(|kept| kept >= bytes)
        })
    })
}

/// A disk in a file, whose scheduler divides it by weights.
pub(crate) struct Disk(String);

impl Disk {
    /// `None` where none can be made, or the kernel has no bfq.
    pub(crate) fn new(file: &Path) -> Option<Self> {
        File::create(file).ok()?.set_len(1 << 20).ok()?;
        let mut setup = Command::new("losetup");
        let made = setup.args(["--find", "--show"]).arg(file).output().ok()?;
        let node = String::from_utf8(made.stdout).ok()?;
        let name = node.trim().strip_prefix("/dev/")?;
        let disk = Self(name.to_owned());
        let scheduler = format!("/sys/block/{name}/queue/scheduler");
        std::fs::write(scheduler, "bfq").ok()?;
        Some(disk)
    }

    /// Its node.
    pub(crate) fn path(&self) -> String {
        format!("/dev/{}", self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .args(["--detach", &self.path()])
            .status();
    }
}

/// Where cgroup v2 is mounted beside v1, which crun takes for no place to run in.
pub(crate) const BESIDE: &str = "/sys/fs/cgroup/unified";

/// A mount namespace without cgroup v2 beside v1, of this thread as long as it is there, and of what the thread starts.
pub(crate) struct OneHierarchy {
    before: File,
    here: PathBuf,
}

impl OneHierarchy {
    /// `None` where there are not both, or the caller may not.
    pub(crate) fn new() -> Option<Self> {
        if !Path::new(BESIDE).join("cgroup.controllers").exists() {
            return None;
        }
        let before = File::open("/proc/thread-self/ns/mnt").unwrap();
        let here = std::env::current_dir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        umount2(BESIDE, MntFlags::MNT_DETACH).unwrap();
        Some(Self { before, here })
    }
}

impl Drop for OneHierarchy {
    fn drop(&mut self) {
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNS);
        // Whoever enters one is at its root.
        let _ = std::env::set_current_dir(&self.here);
    }
}

/// The names of the interfaces, and the tables of nftables.
fn state() -> Vec<String> {
    let said = |program: &str, words: &str| {
        let output = Command::new(program).args(words.split(' ')).output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    };
    let interfaces = said("ip", "-brief link");
    let names = interfaces.lines().filter_map(|line| line.split(' ').next());
    let tables = said("nft", "list tables");
    names.chain(tables.lines()).map(str::to_owned).collect()
}

/// Comes to the port that is published for it whenever somebody is there, and tells what it sees outside.
fn visit(over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        if let Ok(mut host) = TcpStream::connect(VISITED) {
            let _ = host.write_all(seen().as_bytes());
            let _ = host.shutdown(std::net::Shutdown::Write);
            // Until it has been read, or the other end is gone.
            let _ = host.set_read_timeout(Some(Duration::from_secs(4)));
            let _ = std::io::Read::read(&mut host, &mut [0]);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How fast the interfaces may be, and which ports lead elsewhere.
fn seen() -> String {
    let mut seen = String::new();
    for (program, words) in [("tc", "qdisc show"), ("nft", "list ruleset")] {
        let output = Command::new(program).args(words.split(' ')).output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&output);
        for line in text.lines() {
            // The name of the interface stands before its rate, and is another each time.
            let rate = line.find(" rate ").map(|at| &line[at..]);
            let shown = rate.or_else(|| line.contains("dnat").then_some(line));
            seen.extend(shown.map(|line| format!("{}\n", line.trim())));
        }
    }
    seen
}
