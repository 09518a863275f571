//! Limits on generated machines: with control groups of both versions, of which some are missing.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use sandbox::diag::{Origin, Source, Sources};
use sandbox::host::Host;
use sandbox::host::caller::{Caller, SubordinateIds};
use sandbox::host::cgroup::{Cgroups, Controller};
use sandbox::host::tree::{Kind, Tree};
use sandbox::plan::Op;
use sandbox::plan::draft::Command;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::variables::Variables;
use sandbox::sections;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a controller is on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    V1,
    /// In a v1 hierarchy that is not mounted.
    Unmounted,
    /// In a v1 hierarchy of which another part is mounted.
    OutOfSight,
    V2,
    Nowhere,
}

/// A machine's control groups, as files that are only looked at.
struct Machine {
    folder: PathBuf,
    controllers: Vec<(Controller, Where)>,
    unified: bool,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Machine {
    fn new(places: [Where; 8], unified: bool) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-groups-{}-{number}", std::process::id());
        let controllers: Vec<_> = Controller::ALL.into_iter().zip(places).collect();
        let unified = unified || places.contains(&Where::V2);
        Self {
            folder: std::env::temp_dir().join(name),
            controllers,
            unified,
        }
    }

    fn cgroups(&self) -> Cgroups {
        let (mut membership, mut mounts) = (String::new(), String::new());
        let mut number = 10;
        let mut line = |folder: &PathBuf, root: &str, kind: &str, options: &str| {
            number += 1;
            let at = folder.display();
            writeln!(
                mounts,
                "{number} 1 0:{number} {root} {at} rw - {kind} {kind} rw{options}"
            )
            .unwrap();
        };
        for (controller, place) in &self.controllers {
            let name = controller.v1_name();
            let folder = self.folder.join(name);
            match place {
                Where::V2 | Where::Nowhere => continue,
                Where::Unmounted => {}
                Where::OutOfSight => line(&folder, "/other", "cgroup", &format!(",{name}")),
                Where::V1 => {
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::write(folder.join("cgroup.procs"), "").unwrap();
                    std::fs::write(folder.join("cpu.rt_runtime_us"), "950000\n").unwrap();
                    line(&folder, "/", "cgroup", &format!(",{name}"));
                }
            }
            writeln!(membership, "{}:{name}:/", membership.len() + 1).unwrap();
        }
        if self.unified {
            let folder = self.folder.join("unified");
            std::fs::create_dir_all(&folder).unwrap();
            let here = self
                .controllers
                .iter()
                .filter(|(_, place)| *place == Where::V2);
            let here: Vec<_> = here.map(|(controller, _)| controller.name()).collect();
            for (file, text) in [
                ("cgroup.procs", ""),
                ("cgroup.controllers", &here.join(" ")),
                ("cgroup.subtree_control", ""),
            ] {
                std::fs::write(folder.join(file), text).unwrap();
            }
            line(&folder, "/", "cgroup2", "");
            membership.push_str("0::/\n");
        }
        Cgroups::parse(&membership, &mounts)
    }

    fn host(&self) -> Host {
        let caller = Caller {
            uid: 0,
            gid: 0,
            capabilities: u64::MAX,
            pid: 4711,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            setgroups_denied: false,
        };
        let kinds = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];
        let files = kinds.map(|kind| (PathBuf::from("/proc/self/ns").join(kind), Kind::File));
        let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB";
        let folders = ["/", "/proc", "/proc/self", "/proc/self/ns", pages];
        let folders = folders.map(|path| (PathBuf::from(path), Kind::Directory));
        let tree = Tree::fixed(folders.into_iter().chain(files).collect::<Vec<_>>());
        Host::fixed(caller, tree, SubordinateIds::default()).with_cgroups(self.cgroups())
    }

    /// Whether a limit of a key can be had on it.
    fn has(&self, key: &str) -> bool {
        let (controller, v1_can, v2_can) = match key {
            "pids" => (Controller::Pids, true, true),
            "memory" => (Controller::Memory, true, true),
            "memory_high" | "memory_low" | "memory_min" | "oom_group" => {
                (Controller::Memory, false, true)
            }
            "realtime" => (Controller::Cpu, true, false),
            "cpu" | "cpu_weight" => (Controller::Cpu, true, true),
            "cpuset" | "memory_nodes" => (Controller::Cpuset, true, true),
            "huge_pages" => (Controller::Hugetlb, true, true),
            _ => (Controller::Cpuacct, true, true),
        };
        let place = self.controllers.iter().find(|(one, _)| *one == controller);
        match place.unwrap().1 {
            Where::V1 => v1_can,
            Where::V2 => v2_can,
            // Every group of the unified hierarchy counts processor time.
            Where::Nowhere => controller == Controller::Cpuacct && self.unified,
            Where::Unmounted | Where::OutOfSight => false,
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

thread_local! {
    /// Every controller in the unified hierarchy.
    static UNIFIED: Machine = Machine::new([Where::V2; 8], true);
}

/// The control groups of a machine that has all of them; their files are there as long as this thread.
pub(crate) fn all() -> Cgroups {
    UNIFIED.with(Machine::cgroups)
}

fn machine() -> impl Strategy<Value = ([Where; 8], bool)> {
    let somewhere = || {
        select(
            &[
                Where::V1,
                Where::V1,
                Where::V2,
                Where::V2,
                Where::Unmounted,
                Where::OutOfSight,
                Where::Nowhere,
            ][..],
        )
    };
    let mixed = proptest::array::uniform8(somewhere());
    let same = somewhere().prop_map(|place| [place; 8]);
    (prop_oneof![4 => mixed, 1 => same], any::<bool>())
}

/// Keys with the values that they may have here.
const KEYS: &[(&str, &[&str])] = &[
    ("pids", &["20", "\"50%\""]),
    ("memory", &["\"64M\"", "\"50%\""]),
    ("memory_high", &["\"32M\""]),
    ("memory_low", &["\"16M\""]),
    ("memory_min", &["\"8M\""]),
    ("oom_group", &["true"]),
    ("memory_nodes", &["\"0\""]),
    ("huge_pages", &["{ \"2M\" = \"4M\" }"]),
    ("cpu", &["0.5", "\"50%\""]),
    ("cpu_weight", &["50"]),
    ("realtime", &["\"10ms\""]),
    ("cpuset", &["\"0\""]),
    ("cpu_time", &["\"1h\""]),
    ("idle", &["\"5m\""]),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each limit is in force, or said by its own line not to be; never both, and never because of another.
    #[test]
    fn only_the_limits_of_missing_controllers_are_gone_without(
        (places, unified) in machine(),
        keys in subsequence(KEYS, 1..=KEYS.len()),
        which in any::<Index>(),
        prefer in any::<bool>(),
    ) {
        let machine = Machine::new(places, unified);
        let level = if prefer { "prefer" } else { "require" };
        let mut text = format!("version = 1\n[enforce]\nlimits = \"{level}\"\n[limits]\n");
        for (key, values) in &keys {
            writeln!(text, "{key} = {}", values[which.index(values.len())]).unwrap();
        }
        let mut sources = Sources::default();
        let id = sources.add(Source::new("sandbox.toml", &*text));
        let variables = Variables::default();
        let (profile, _) = sections::load(&mut sources, id, &variables, &Overlay::default()).unwrap();
        let command = Command::new([c"true".into()], &Origin::CommandLine);
        let drafted = sections::draft(&profile, &machine.host(), &command);
        let line = |origin: &Origin| origin.display(&sources).to_string();
        let lines = |had: bool| -> BTreeSet<String> {
            let numbered = keys.iter().zip(5..).filter(|((key, _), _)| machine.has(key) == had);
            numbered.map(|(_, number)| format!("sandbox.toml:{number}")).collect()
        };
        let steps = drafted.plan.steps.iter();
        let set = steps.filter(|step| matches!(step.op, Op::SetLimit(_)) && !step.origin.is_default());
        let set: BTreeSet<_> = set.map(|step| line(&step.origin)).collect();
        let notes = drafted.plan.notes.iter().filter(|note| note.is_weaker());
        let said: BTreeSet<_> = notes.map(|note| line(&note.origin)).collect();
        let problems = drafted.problems.clone().sorted();
        let limits = problems.iter().filter(|p| p.message.contains("cannot be enforced"));
        let refused: BTreeSet<_> = limits.map(|p| line(&p.labels[0].origin)).collect();
        prop_assert_eq!(&set, &lines(true), "{}", text);
        let (gone, not) = if prefer { (said, refused) } else { (refused, said) };
        prop_assert_eq!(gone, lines(false), "{}", text);
        prop_assert!(not.is_empty(), "{:?}", not);
        let watch = &drafted.plan.watch;
        let watched = |key| keys.iter().any(|(one, _)| *one == key) && machine.has(key);
        prop_assert_eq!(watch.cpu_time.is_some(), watched("cpu_time"));
        prop_assert_eq!(watch.idle.is_some(), watched("idle"));
        prop_assert_eq!(watch.memory.is_some(), watched("memory"));
        // Nothing is made for nothing.
        let made = drafted.plan.steps.iter().any(|step| matches!(step.op, Op::CreateGroup { .. }));
        prop_assert_eq!(made, !set.is_empty());
    }
}
