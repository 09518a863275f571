//! With real groups, made below or beside the one that the tests run in.

mod bus;
mod runs;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::*;
use crate::host::cgroup::{Cgroups, Kind};
use crate::host::disk::Device;
use crate::plan::op::{DeviceRule, Rates};
use Controller::{Cpu, Cpuacct, Cpuset, Io, Memory, Pids};

/// One at a time: they look at what is left in directories that they share.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(wanted: &[Controller]) -> Option<Place> {
    match Cgroups::read().and_then(|all| all.place(wanted)) {
        // Not from a test: the whole process would move.
        Ok(Place::V2 {
            kind: Kind::Scope(_),
            ..
        }) => {
            eprintln!("skipped: a scope would have to be asked for");
            None
        }
        Ok(place) => Some(place),
        Err(e) => {
            eprintln!("skipped: {e} ({})", e.remedy());
            None
        }
    }
}

fn bases(place: &Place) -> Vec<PathBuf> {
    let v1 = place.v1().iter().map(|h| h.dir.clone());
    v1.chain(place.v2().map(|(base, ..)| base.to_path_buf()))
        .collect()
}

/// Everything about the base directories that a run might leave changed, our own place included.
fn state(place: &Place) -> BTreeSet<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let mut all: BTreeSet<String> = own.lines().map(str::to_owned).collect();
    for base in bases(place) {
        let names = clear::children(&base);
        let ours = names.iter().filter(|n| n.starts_with("sandbox"));
        all.extend(ours.map(|name| base.join(name).display().to_string()));
        let on = fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default();
        all.insert(format!("on: {on}"));
        all.insert(fs::read_to_string(base.join("cgroup.type")).unwrap_or_default());
    }
    all
}

fn name(test: &str) -> String {
    // A name per test, alive as long as this process by its pid and start time only if it is the
    // plain one, so the claim is what protects these.
    let salt = test.bytes().map(u64::from).sum::<u64>();
    format!("sandbox-{}-{salt}", std::process::id())
}

fn v2(place: &Place) -> bool {
    place.v2().is_some()
}

/// Runs a shell script inside the group.
fn spawn(group: &Group, script: &str) -> Child {
    let mut joins = String::new();
    for path in group.paths() {
        let file = ["tasks", "cgroup.procs"][usize::from(group.v2_dir().is_some())];
        joins += &format!("echo 0 > {}/{file} || exit 99\n", path.display());
    }
    Command::new("/bin/sh")
        .args(["-c", &format!("{joins}{script}")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn read(group: &Group, file: &str) -> String {
    let paths = group.paths();
    let found = paths
        .iter()
        .find_map(|p| fs::read_to_string(p.join(file)).ok());
    found.unwrap_or_default().trim().to_owned()
}

#[test]
fn limits_are_in_force_and_nothing_is_left() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory, Cpu]) else {
        return;
    };
    let before = state(&place);
    let mut group = Group::create(&place, &Names::of_run(name("limits"))).unwrap();
    group.set(&Limit::Pids(17)).unwrap();
    group.set(&Limit::Memory((64 << 20) + 5)).unwrap();
    let swap = group.set(&Limit::Swap(8 << 20));
    group
        .set(&Limit::Cpu {
            quota_us: 150_000,
            period_us: 50_000,
        })
        .unwrap();
    assert_eq!(read(&group, "pids.max"), "17");
    for weight in [1, 10, 99, 100, 10_000] {
        group.set(&Limit::CpuWeight(weight)).unwrap();
    }
    let high = group.set(&Limit::MemoryHigh((32 << 20) + 5));
    if v2(&place) {
        assert_eq!(read(&group, "memory.max"), "67108864");
        assert_eq!(read(&group, "memory.oom.group"), "1");
        high.unwrap();
        assert_eq!(read(&group, "memory.high"), "33554432");
        assert_eq!(read(&group, "cpu.weight"), "10000");
        assert_eq!(read(&group, "cpu.max"), "150000 50000");
        match fs::exists("/proc/swaps").unwrap() {
            true => assert_eq!(read(&group, "memory.swap.max"), "8388608"),
            false => swap.unwrap(),
        }
    } else {
        swap.unwrap();
        assert_eq!(read(&group, "memory.limit_in_bytes"), "67108864");
        assert_eq!(read(&group, "memory.memsw.limit_in_bytes"), "75497472");
        assert_eq!(read(&group, "cpu.cfs_quota_us"), "150000");
        assert_eq!(read(&group, "cpu.shares"), "102400");
        let high = high.unwrap_err().to_string();
        assert!(
            high.contains("/memory.high (memory controller): "),
            "{high}"
        );
        // Up and down again: the order of the two writes matters.
        group.set(&Limit::Memory(128 << 20)).unwrap();
        assert_eq!(read(&group, "memory.memsw.limit_in_bytes"), "142606336");
        group.set(&Limit::Memory(32 << 20)).unwrap();
        assert_eq!(read(&group, "memory.memsw.limit_in_bytes"), "41943040");
        // The way in of a child: a thread joins by itself.
        assert_eq!(group.v1_tasks().len(), group.paths().len());
        let files: Vec<_> = group
            .v1_tasks()
            .iter()
            .map(|f| f.try_clone().unwrap())
            .collect();
        let inside = std::thread::spawn(move || {
            for file in files {
                fs::File::from(file).write_all(b"0").unwrap();
            }
            fs::read_to_string("/proc/thread-self/cgroup").unwrap()
        });
        assert_eq!(
            inside.join().unwrap().matches(&name("limits")).count(),
            group.paths().len()
        );
    }
    group.remove().unwrap();
    assert_eq!(state(&place), before);
}

#[test]
fn a_hog_is_killed_and_counted() {
    let _alone = alone();
    let Some(place) = place(&[Memory]) else {
        return;
    };
    let before = state(&place);
    let mut group = Group::create(&place, &Names::of_run(name("hog"))).unwrap();
    group.set(&Limit::Memory(60 << 20)).unwrap();
    if let Err(e) = group.set(&Limit::Swap(0)) {
        eprintln!("without a swap limit: {e}");
    }
    let status = spawn(&group, "ulimit -v 600000; tail /dev/zero")
        .wait()
        .unwrap();
    let evidence = group.evidence();
    eprintln!("{status}, {evidence:?}");
    assert!(!status.success());
    assert!(evidence.oom_kills >= 1);
    assert!(
        evidence
            .memory_peak
            .is_none_or(|peak| peak > (40 << 20) && peak <= (60 << 20))
    );
    group.remove().unwrap();
    assert_eq!(state(&place), before);
}

#[test]
fn a_refused_fork_is_counted() {
    let _alone = alone();
    let Some(place) = place(&[Pids]) else { return };
    let mut group = Group::create(&place, &Names::of_run(name("fork"))).unwrap();
    group.set(&Limit::Pids(4)).unwrap();
    let mut child = spawn(&group, "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait");
    let start = Instant::now();
    while group.evidence().pids_refused == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let evidence = group.evidence();
    eprintln!("{evidence:?}");
    assert!(evidence.pids_refused >= 1);
    assert!(evidence.pids_peak.is_none_or(|peak| peak <= 4));
    assert_eq!(evidence.oom_kills, 0);
    let paths = group.paths();
    group.remove().unwrap();
    child.wait().unwrap();
    assert!(paths.iter().all(|p| !p.exists()));
}

#[test]
fn killing_reaches_groups_below() {
    let _alone = alone();
    let Some(place) = place(&[Pids]) else { return };
    let before = state(&place);
    let group = Group::create(&place, &Names::of_run(name("kill"))).unwrap();
    let inner = group.paths()[0].join("inner");
    fs::create_dir(&inner).unwrap();
    let procs = format!("echo 0 > {}/cgroup.procs; exec sleep 60", inner.display());
    let mut children: Vec<Child> = (0..4)
        .map(|_| spawn(&group, "sleep 60 & sleep 61"))
        .collect();
    children.push(spawn(&group, &procs));
    // All of them have to be inside by then.
    let inside = |child: &Child, dir: &Path| clear::members(dir).contains(&child.id());
    while !inside(&children[4], &inner)
        || !children[..4].iter().all(|c| inside(c, &group.paths()[0]))
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    group.kill();
    for mut child in children {
        assert!(!child.wait().unwrap().success());
    }
    // And a second round through remove, which has to kill by itself.
    let mut child = spawn(&group, &procs);
    while clear::members(&inner).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    group.remove().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(state(&place), before);
}

#[test]
fn processor_time_is_counted() {
    let _alone = alone();
    let Some(place) = place(&[Cpuacct]) else {
        return;
    };
    let before = state(&place);
    let mut group = Group::create(&place, &Names::of_run(name("counted"))).unwrap();
    assert_eq!(group.cpu_used(), None);
    group.set(&Limit::CpuTime(Duration::from_secs(1))).unwrap();
    assert_eq!(group.cpu_used(), Some(Duration::ZERO));
    let start = Instant::now();
    let mut child = spawn(&group, "while :; do :; done");
    let few = Duration::from_millis(50);
    while group.cpu_used().unwrap() < few && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let used = group.cpu_used().unwrap();
    assert!(used >= few && used <= start.elapsed() * 2, "{used:?}");
    group.remove().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(state(&place), before);
}

#[test]
fn rates_of_disks_are_in_force_and_of_others_an_error() {
    let _alone = alone();
    let Some(place) = place(&[Io]) else { return };
    let before = state(&place);
    let mut group = Group::create(&place, &Names::of_run(name("rates"))).unwrap();
    let none = Device {
        major: 511,
        minor: 1_000_000,
    };
    let rates = Rates {
        read: Some(1 << 20),
        write_ops: Some(9),
        ..Rates::default()
    };
    let refused = group.set(&Limit::Io(none, rates)).unwrap_err().to_string();
    assert!(refused.contains("cannot write 511:1000000 "), "{refused}");
    if let Ok(disk) = crate::host::disk::below(&std::env::temp_dir()) {
        group.set(&Limit::Io(disk, rates)).unwrap();
        if v2(&place) {
            let line = format!("{disk} rbps=1048576 wbps=max riops=max wiops=9");
            assert_eq!(read(&group, "io.max"), line);
        } else {
            let said = |file| read(&group, &format!("blkio.throttle.{file}_device"));
            assert_eq!(said("read_bps"), format!("{disk} 1048576"));
            assert_eq!(said("write_iops"), format!("{disk} 9"));
            assert_eq!(said("write_bps"), "");
        }
        // Counted in 32 bits by the kernel, which takes more for no limit.
        let many = Rates {
            read_ops: Some(1 << 40),
            ..Rates::default()
        };
        eprintln!("{}", group.set(&Limit::Io(disk, many)).unwrap_err());
    }
    group.remove().unwrap();
    assert_eq!(state(&place), before);
}

#[test]
fn what_cannot_be_enforced_is_an_error() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory, Cpu]) else {
        return;
    };
    let mut group = Group::create(&place, &Names::of_run(name("refuse"))).unwrap();
    let mut refused = |limit: Limit| {
        let text = group.set(&limit).unwrap_err().to_string();
        eprintln!("{text}");
        text
    };
    let text = refused(Limit::Pids(5_000_000_000));
    assert!(
        text.starts_with("cannot write 5000000000 to /")
            && text.contains("/pids.max (pids controller): ")
    );
    refused(Limit::Pids(u64::MAX));
    refused(Limit::Memory(u64::MAX));
    refused(Limit::Cpu {
        quota_us: 0,
        period_us: 100_000,
    });
    refused(Limit::Cpu {
        quota_us: 10,
        period_us: 100_000,
    });
    refused(Limit::Cpuset("zero".into()));
    if v2(&place) {
        refused(Limit::CpuWeight(10_001));
    }
    if v2(&place) {
        // The kernel takes this one for "no limit", and says so only when asked.
        assert!(refused(Limit::Memory(i64::MAX as u64)).contains("but it says max"));
    } else {
        assert!(refused(Limit::Swap(0)).contains("memory limit has to be set first"));
    }
    assert!(Group::create(&place, &Names::of_run(name("refuse"))).is_err());
    assert!(
        group.paths().iter().all(|p| p.exists()),
        "the failed one must not remove it"
    );
}

#[test]
fn processors_are_held_to() {
    let _alone = alone();
    let Some(place) = place(&[Cpuset]) else {
        return;
    };
    let before = state(&place);
    let mut group = Group::create(&place, &Names::of_run(name("cpuset"))).unwrap();
    group.set(&Limit::Cpuset("0".into())).unwrap();
    eprintln!(
        "{}",
        group.set(&Limit::Cpuset("900-901".into())).unwrap_err()
    );
    let script = "test \"$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status)\" = 0";
    assert!(spawn(&group, script).wait().unwrap().success());
    group.remove().unwrap();
    assert_eq!(state(&place), before);
}

/// Run with `--ignored`: prints what a whole round costs.
#[test]
#[ignore = "a measurement"]
fn cost() {
    let _alone = alone();
    let Some(place) = place(&[Pids, Memory, Cpu]) else {
        return;
    };
    let mut all: Vec<Duration> = (0..50)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            let mut group = Group::create(&place, &Names::of_run(name("cost"))).unwrap();
            group.set(&Limit::Pids(64)).unwrap();
            group.set(&Limit::Memory(64 << 20)).unwrap();
            let _ = group.set(&Limit::Swap(0));
            group
                .set(&Limit::Cpu {
                    quota_us: 50_000,
                    period_us: 100_000,
                })
                .unwrap();
            group.remove().unwrap();
            start.elapsed()
        })
        .collect();
    all.sort();
    eprintln!("median {:?}, slowest {:?}", all[25], all[49]);
}

/// Also where the controller of v1 is there for runs: a program hangs on a group of v2, whatever else is mounted.
#[test]
fn on_v2_nothing_of_devices_is_opened_but_what_a_rule_permits() {
    let _alone = alone();
    let Some(place) = place(&[]).filter(|place| place.v1().is_empty() && v2(place)) else {
        return;
    };
    let group = Group::create(&place, &Names::of_run(name("devices"))).unwrap();
    let rule = |minor, write| DeviceRule {
        block: false,
        major: 1,
        minor: Some(minor),
        read: true,
        write,
    };
    // /dev/null and /dev/zero.
    if let Err(error) = group.limit_devices(&[rule(3, true), rule(5, false)]) {
        eprintln!("skipped: {error}");
        return group.remove().unwrap();
    }
    let script = "(: <>/dev/null) && (: </dev/zero) || exit 1
        (: >>/dev/zero) && exit 2; (: <>/dev/zero) && exit 3; (: </dev/full) && exit 4; exit 0";
    let status = spawn(&group, script).wait().unwrap();
    assert_eq!(status.code(), Some(0));
    group.remove().unwrap();
}

#[test]
fn turns_come_in_the_order_of_asking_and_a_turn_that_never_comes_is_an_error() {
    let dir = std::env::temp_dir().join(format!("sandbox-turns-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("cgroup.procs"), "").unwrap();
    let patience = Duration::from_secs(60);
    let first = sweep::turn_in_order(&dir, patience).unwrap();
    let never = sweep::turn_in_order(&dir, Duration::from_millis(50)).unwrap_err();
    assert_eq!(never.operation, Operation::Lock);
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (order, dir) = (&order, &dir);
            scope.spawn(move || {
                let turn = sweep::turn_in_order(dir, patience).unwrap();
                order.lock().unwrap().push(number);
                drop(turn);
            });
            // Until it stands in the queue: the kernel lists who waits.
            let inode = std::os::unix::fs::MetadataExt::ino(
                &fs::metadata(dir.join("cgroup.procs")).unwrap(),
            );
            let waits = || {
                let locks = fs::read_to_string("/proc/locks").unwrap();
                let ours =
                    |line: &&str| line.contains(" -> ") && line.contains(&format!(":{inode} "));
                locks.lines().filter(ours).count()
            };
            let start = Instant::now();
            // That which gave up waits too, until it has had its turn.
            while waits() < number + 2 && start.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        drop(first);
    });
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    fs::remove_dir_all(&dir).unwrap();
}
