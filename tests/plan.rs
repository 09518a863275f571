//! The plans: generated profiles on generated machines. Nothing here needs a privilege.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sandbox::diag::{Diagnostics, Origin, Source, Sources};
use sandbox::host::Host;
use sandbox::host::caller::{Caller, SubordinateIds};
use sandbox::host::tree::{Kind, Tree};
use sandbox::plan::draft::Command;
use sandbox::plan::op::{IdRange, NewRoot, Op};
use sandbox::plan::order::{Phase, RULES};
use sandbox::plan::{Actor, Attempt, Plan, explain};
use sandbox::profile::variables::Variables;
use sandbox::sections;
use sandbox::sys::process::StringArray;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// A string as it stands in a profile.
fn quoted(text: impl AsRef<str>) -> String {
    format!("{:?}", text.as_ref())
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(quoted).boxed()
}

fn some_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    subsequence(words, 0..=words.len().min(4))
        .prop_map(|words| format!("{words:?}"))
        .boxed()
}

fn number(range: std::ops::Range<u32>) -> BoxedStrategy<String> {
    range.prop_map(|n| n.to_string()).boxed()
}

/// Some of these keys, each with a value.
fn keys(all: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let all: Vec<_> = all
        .into_iter()
        .map(|(key, value)| option::of(value.prop_map(move |v| format!("{key} = {v}\n"))))
        .collect();
    all.prop_map(|lines| lines.into_iter().flatten().collect())
        .boxed()
}

fn table(
    name: &'static str,
    all: Vec<(&'static str, BoxedStrategy<String>)>,
) -> BoxedStrategy<String> {
    option::weighted(0.4, keys(all))
        .prop_map(move |keys| keys.map_or(String::new(), |k| format!("[{name}]\n{k}")))
        .boxed()
}

fn namespace(kind: &'static str) -> BoxedStrategy<String> {
    prop_oneof![
        12 => Just(quoted("new")),
        2 => Just(quoted("shared")),
        1 => Just(quoted(format!("/proc/1/ns/{kind}"))),
    ]
    .boxed()
}

fn id_map() -> BoxedStrategy<String> {
    let ranges = vec((0u32..3, 1u32..2000), 1..4).prop_map(|ranges| {
        let ranges: Vec<_> = (0u32..)
            .zip(ranges)
            .map(|(at, (gap, count))| {
                let (inside, outside) = (at * 5000 + gap, 100_000 + at * 5000);
                format!("{{ inside = {inside}, outside = {outside}, count = {count} }}")
            })
            .collect();
        format!("[{}]", ranges.join(", "))
    });
    prop_oneof![3 => one_of(&["self", "root", "auto"]), 1 => ranges].boxed()
}

const TARGETS: &[&str] = &[
    "/data",
    "/data/deep/down",
    "/etc/hosts",
    "/etc/missing",
    "/etc/ssl",
    "/etc/ssl/new",
    "/home/ada/.cache",
    "/link/below",
    "/loop",
    "/proc",
    "/proc/sys/kernel",
    "/proc/cpuinfo",
    "/srv/rootfs/etc",
    "/tmp",
    "/tmp/inner",
    "/usr/bin/tool",
    "/usr/lib",
    "/usr/share/doc/new",
    "/var/run/x",
    "/work/project",
    "/work/project/node_modules",
    "/work/project/src",
    "/work/project/planted/x",
];

const SOURCES: &[&str] = &[
    "/etc/hosts",
    "/etc/ssl",
    "/link",
    "/missing",
    "/srv/data",
    "/usr/lib",
    "/work/project/src",
    "build",
    "src",
];

fn mount() -> BoxedStrategy<String> {
    let flags = || {
        vec![
            ("nosuid", one_of_plain(&["true", "false"])),
            ("nodev", one_of_plain(&["true", "false"])),
            ("noexec", one_of_plain(&["true", "false"])),
            ("read_only", one_of_plain(&["true", "false"])),
        ]
    };
    let mode = || ("mode", one_of_plain(&["0o755", "\"700\"", "0o1777"]));
    let bind = [
        flags(),
        vec![
            ("source", one_of(SOURCES)),
            ("optional", one_of_plain(&["true", "true", "false"])),
            ("idmap", one_of_plain(&["true", "false"])),
        ],
    ];
    let tmpfs = [
        flags(),
        vec![
            ("size", one_of_plain(&["65536", "\"64M\"", "\"1.5G\""])),
            ("inodes", number(1..100_000)),
            mode(),
        ],
    ];
    let kind = prop_oneof![
        4 => keys(bind.concat()).prop_map(|k| ("bind", k)),
        3 => keys(tmpfs.concat()).prop_map(|k| ("tmpfs", k)),
        2 => select(&["proc", "sysfs", "devpts", "mqueue", "mask"][..])
            .prop_map(|kind| (kind, String::new())),
        1 => keys(vec![("contents", one_of(&["", "hello\n", "x\ty"])), mode()])
            .prop_map(|k| ("file", k)),
        1 => one_of(&["/usr/lib", "../up", "name"]).prop_map(|to| ("symlink", format!("to = {to}\n"))),
        1 => keys(vec![mode()]).prop_map(|k| ("directory", k)),
    ];
    (kind, select(TARGETS))
        .prop_map(|((kind, keys), target)| {
            format!("[[mounts]]\ntype = \"{kind}\"\ntarget = \"{target}\"\n{keys}")
        })
        .boxed()
}

fn one_of_plain(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(str::to_owned).boxed()
}

fn rootfs() -> BoxedStrategy<String> {
    prop_oneof![
        8 => Just(String::new()),
        4 => Just("directory = \"/srv/rootfs\"\n".to_owned()),
        1 => Just("directory = \"/srv/rootfs\"\nchanges = \"write\"\n".to_owned()),
        1 => Just("directory = \"/srv/missing\"\n".to_owned()),
        3 => Just("empty = true\n".to_owned()),
    ]
    .prop_flat_map(|source| {
        keys(vec![("project", one_of(&["write", "read", "hide"]))])
            .prop_map(move |project| format!("[rootfs]\n{source}{project}"))
    })
    .boxed()
}

fn top() -> BoxedStrategy<String> {
    keys(vec![
        ("version", Just("1".to_owned()).boxed()),
        ("description", one_of(&["", "what it is for"])),
        ("hostname", "[a-z][a-z0-9.-]{0,30}".prop_map(quoted).boxed()),
        (
            "domainname",
            "[a-z][a-z0-9.-]{0,30}".prop_map(quoted).boxed(),
        ),
    ])
}

fn namespaces() -> BoxedStrategy<String> {
    table(
        "namespaces",
        vec![
            ("user", namespace("user")),
            ("mount", namespace("mnt")),
            ("pid", namespace("pid")),
            ("ipc", namespace("ipc")),
            ("uts", namespace("uts")),
            ("net", namespace("net")),
            ("cgroup", namespace("cgroup")),
            ("time", namespace("time")),
        ],
    )
}

fn identity() -> BoxedStrategy<String> {
    let groups = btree_set(0u32..3000, 0..4).prop_map(|g| format!("{g:?}"));
    let groups = groups.prop_map(|g| g.replace('{', "[").replace('}', "]"));
    table(
        "user",
        vec![
            ("uid", number(0..3000)),
            ("gid", number(0..3000)),
            ("groups", groups.boxed()),
            ("uid_map", id_map()),
            ("gid_map", id_map()),
        ],
    )
}

fn privileges() -> BoxedStrategy<String> {
    let kept = some_of(&["net_raw", "CAP_CHOWN", "sys_admin", "all", "kill"]);
    let capabilities = (kept, any::<bool>()).prop_map(|(kept, ambient)| {
        let ambient = if ambient {
            format!("ambient = {kept}\n")
        } else {
            String::new()
        };
        format!("[capabilities]\nkeep = {kept}\n{ambient}")
    });
    let seccomp = table(
        "seccomp",
        vec![
            ("preset", one_of(&["default", "strict", "off"])),
            ("allow", some_of(&["ptrace", "bpf", "unshare"])),
            ("deny", some_of(&["socket", "kill", "fork"])),
        ],
    );
    (option::of(capabilities), seccomp)
        .prop_map(|(capabilities, seccomp)| capabilities.unwrap_or_default() + &seccomp)
        .boxed()
}

fn resources() -> BoxedStrategy<String> {
    let bound = || {
        one_of_plain(&[
            "1024",
            "\"64M\"",
            "\"infinity\"",
            "\"inherit\"",
            "{ soft = 1, hard = 2 }",
        ])
    };
    let limits = table(
        "limits",
        vec![
            ("pids", number(2..1000)),
            ("memory", one_of(&["64M", "1G"])),
            ("cpu", one_of_plain(&["0.5", "2", "0.01"])),
            ("cpuset", one_of(&["0", "0-1"])),
            ("wall_time", one_of(&["500ms", "1h30m"])),
            ("grace", one_of_plain(&["0", "5"])),
        ],
    );
    let rlimits = table(
        "rlimits",
        vec![
            ("nofile", bound()),
            ("core", bound()),
            ("as", bound()),
            ("stack", bound()),
        ],
    );
    (limits, rlimits).prop_map(|(l, r)| l + &r).boxed()
}

fn rest() -> BoxedStrategy<String> {
    let environment = table(
        "environment",
        vec![
            ("inherit", some_of(&["CI", "LC_*", "*", "CARGO_*"])),
            (
                "set",
                one_of_plain(&["{}", "{ A = \"${HOME}/x\" }", "{ PATH = \"\" }"]),
            ),
            ("unset", some_of(&["HOME", "L*"])),
        ],
    );
    let process = table(
        "process",
        vec![
            ("cwd", one_of(&["/", "/work/project", "/data"])),
            ("umask", one_of_plain(&["0o022", "\"077\""])),
            ("init", one_of_plain(&["true", "true", "false"])),
            ("nice", number(0..20)),
            ("oom_score_adj", number(0..1001)),
            ("session", one_of(&["new", "inherit"])),
        ],
    );
    let enforce = table(
        "enforce",
        vec![
            ("limits", one_of(&["prefer", "prefer", "off", "require"])),
            ("namespaces", one_of(&["require", "prefer"])),
            ("idmap", one_of(&["require", "prefer", "off"])),
            ("seccomp", one_of(&["require", "prefer", "off"])),
        ],
    );
    let devices = table(
        "devices",
        vec![
            ("nodes", some_of(&["kvm"])),
            ("shm_size", one_of(&["64K", "1G"])),
        ],
    );
    let network = table(
        "network",
        vec![("mode", one_of(&["none", "loopback", "host"]))],
    );
    (environment, process, enforce, devices, network)
        .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat())
        .boxed()
}

/// A profile whose values are valid one by one; together they may contradict each other.
fn profile() -> BoxedStrategy<String> {
    let mounts = vec(mount(), 0..5).prop_map(|mounts| mounts.concat());
    (
        top(),
        rootfs(),
        namespaces(),
        identity(),
        privileges(),
        resources(),
        rest(),
        mounts,
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].concat())
        .boxed()
}

/// The files of a machine, with and without what some machines lack.
fn tree() -> BoxedStrategy<Vec<(PathBuf, Kind)>> {
    const DIRECTORIES: &[&str] = &[
        "/",
        "/dev",
        "/dev/net",
        "/etc",
        "/etc/ssl",
        "/proc",
        "/proc/self",
        "/proc/self/ns",
        "/proc/sys",
        "/proc/sys/kernel",
        "/proc/sys/kernel/seccomp",
        "/srv",
        "/srv/data",
        "/srv/rootfs",
        "/srv/rootfs/bin",
        "/srv/rootfs/etc",
        "/srv/rootfs/usr",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/usr/share",
        "/work",
        "/work/project",
        "/work/project/src",
    ];
    const FILES: &[&str] = &[
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/etc/hosts",
        "/proc/cpuinfo",
        "/proc/kcore",
        "/proc/sys/kernel/seccomp/actions_avail",
        "/proc/sysrq-trigger",
        "/usr/bin/true",
    ];
    const LINKS: &[(&str, &str)] = &[
        ("/bin", "usr/bin"),
        ("/lib", "usr/lib"),
        ("/link", "srv/data"),
    ];
    const SOMETIMES: &[(&str, Option<&str>)] = &[
        ("/dev/kvm", None),
        ("/dev/net/tun", None),
        ("/loop", Some("loop")),
        ("/srv/rootfs/bin/sh", None),
        ("/srv/rootfs/etc/link", Some("/etc/../../x")),
        ("/work/project/planted", Some("/etc")),
        ("/work/project/node_modules", Some("../../../../etc")),
        ("/work/project/build", None),
        ("/etc/missing", Some("/nowhere")),
    ];
    const NAMESPACES: &[&str] = &["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];
    let sometimes = subsequence(SOMETIMES, 0..=SOMETIMES.len());
    let lacking = prop_oneof![
        12 => Just(Vec::new()),
        2 => subsequence(NAMESPACES, 0..=2),
        1 => Just(NAMESPACES.to_vec()),
    ];
    let proc = proptest::bool::weighted(0.98);
    (sometimes, lacking, proc)
        .prop_map(|(sometimes, lacking, proc)| {
            let node = |path: &str, kind| (PathBuf::from(path), kind);
            let mut nodes: Vec<_> = DIRECTORIES
                .iter()
                .map(|d| node(d, Kind::Directory))
                .collect();
            nodes.extend(FILES.iter().map(|f| node(f, Kind::File)));
            nodes.extend(LINKS.iter().map(|(l, to)| node(l, Kind::Link(to.into()))));
            nodes.extend(
                sometimes.iter().map(|(path, to)| {
                    node(path, to.map_or(Kind::File, |to| Kind::Link(to.into())))
                }),
            );
            let there = NAMESPACES.iter().filter(|n| !lacking.contains(n));
            nodes.extend(there.map(|n| (Path::new("/proc/self/ns").join(n), Kind::File)));
            nodes.retain(|(path, _)| {
                proc || path == Path::new("/proc") || !path.starts_with("/proc")
            });
            nodes
        })
        .boxed()
}

#[derive(Clone, Debug)]
struct Machine {
    uid: u32,
    rights: bool,
    map: Vec<IdRange>,
    subordinate: Vec<(u32, u32)>,
    helpers: bool,
    nodes: Vec<(PathBuf, Kind)>,
    home: Option<PathBuf>,
    project: bool,
}

impl Machine {
    fn host(&self) -> Host {
        let caller = Caller {
            uid: self.uid,
            gid: self.uid,
            capabilities: if self.rights { u64::MAX } else { 0 },
            pid: 4711,
            uid_map: self.map.clone(),
            gid_map: self.map.clone(),
        };
        let helper = |name: &str| self.helpers.then(|| Path::new("/usr/bin").join(name));
        let subordinate = SubordinateIds {
            users: self.subordinate.clone(),
            groups: self.subordinate.clone(),
            newuidmap: helper("newuidmap"),
            newgidmap: helper("newgidmap"),
        };
        Host::fixed(caller, Tree::fixed(self.nodes.clone()), subordinate)
    }

    fn variables(&self) -> Variables {
        let project = self.project.then(|| PathBuf::from("/work/project"));
        let environment = [
            ("PATH", "/usr/bin::relative"),
            ("LANG", "C"),
            ("CI", "true"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Variables {
            home: self.home.clone(),
            working_directory: project.as_ref().map(|p| p.join("src")),
            project,
            temporary: "/tmp".into(),
            uid: self.uid,
            gid: self.uid,
            environment: environment.into(),
        }
    }
}

fn machine() -> impl Strategy<Value = Machine> {
    let map = select(
        &[
            (0u32, 0u32, u32::MAX),
            (0, 0, u32::MAX),
            (0, 0, u32::MAX),
            (0, 100_000, 65_536),
            (0, 1000, 1),
            (0, 0, 1),
        ][..],
    );
    let map = option::weighted(0.95, map).prop_map(|map| {
        let range = |(inside, outside, count)| IdRange {
            inside,
            outside,
            count,
        };
        map.map(range).into_iter().collect::<Vec<_>>()
    });
    let count = prop_oneof![4 => Just(65_536u32), 1 => any::<u32>()];
    let subordinate = vec((100_000u32..300_000, count), 0..3);
    (
        select(&[0u32, 1000, 1001][..]),
        proptest::bool::weighted(0.6),
        map,
        subordinate,
        proptest::bool::weighted(0.8),
        tree(),
        select(&[Some("/home/ada"), Some("/"), Some("/root"), None][..]),
        proptest::bool::weighted(0.8),
    )
        .prop_map(
            |(uid, rights, map, subordinate, helpers, nodes, home, project)| Machine {
                uid,
                rights,
                map,
                subordinate,
                helpers,
                nodes,
                home: home.map(PathBuf::from),
                project,
            },
        )
}

/// The plan of a text on a machine, as the program makes it.
fn plan(text: &str, machine: &Machine) -> Result<Plan, Diagnostics> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let result = sections::load(&sources, id, &machine.variables()).and_then(|profile| {
        let command = Command {
            program: c"true".into(),
            arguments: vec![c"-v".into()],
        };
        sections::build(&profile, &machine.host(), &command)
    });
    match &result {
        // What can be planned can be printed, and what is wrong can be said.
        Ok(plan) => assert!(!explain::text(plan, &sources, true).is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty());
            let said = problems.clone().render(&sources, false);
            for problem in problems.clone().sorted() {
                assert!(problem.help.is_some(), "no remedy: {said}");
            }
        }
    }
    result
}

/// What an operation of the mounts phase makes or covers, relative to the root.
fn place(op: &Op) -> Option<(PathBuf, bool)> {
    let path = |text: &CStr| PathBuf::from(text.to_str().unwrap());
    Some(match op {
        Op::MakeDirectory(name, _) | Op::MakeFile(name) | Op::MakeSymlink(name, _) => {
            (path(&name.parent).join(path(&name.name)), false)
        }
        Op::MountFilesystem { target, .. }
        | Op::AttachSource { target, .. }
        | Op::Protect { target, .. } => (path(target), true),
        _ => return None,
    })
}

fn parents_come_before_children(plan: &Plan) {
    let mounts: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Mounts)
        .map(|step| {
            (
                place(&step.op).expect("a step of the mounts phase has a place"),
                step,
            )
        })
        .collect();
    for (index, ((later, is_mount), step)) in mounts.iter().enumerate() {
        assert!(
            !later.as_os_str().is_empty(),
            "a mount on the root: {step:?}"
        );
        let clean = later
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_)));
        assert!(
            clean,
            "a target that does not lie beneath the root: {step:?}"
        );
        for ((earlier, earlier_is_mount), _) in mounts.iter().take(index) {
            let hides = *is_mount && earlier.starts_with(later);
            let on_its_mount_point = earlier == later && !earlier_is_mount;
            assert!(
                !hides || on_its_mount_point,
                "{step:?} hides {}",
                earlier.display()
            );
        }
    }
}

fn slots_are_opened_before_they_are_used(plan: &Plan) {
    let mut open = vec![false; plan.slots];
    let mut used = vec![false; plan.slots];
    for step in &plan.steps {
        match &step.op {
            Op::OpenSource { slot, .. }
            | Op::StageFile { slot, .. }
            | Op::MakeIdmap { slot, .. } => {
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::OpenMapped { slot, idmap, .. } => {
                assert!(open[*idmap], "a map that is not there: {step:?}");
                assert!(
                    !std::mem::replace(&mut open[*slot], true),
                    "opened twice: {step:?}"
                );
            }
            Op::AttachSource { slot, .. } | Op::AttachRoot(NewRoot::Tree(slot, _)) => {
                assert!(open[*slot], "used before it is opened: {step:?}");
                assert!(
                    !std::mem::replace(&mut used[*slot], true),
                    "used twice: {step:?}"
                );
            }
            _ => {}
        }
    }
}

fn count(plan: &Plan, is: impl Fn(&Op) -> bool) -> usize {
    plan.steps.iter().filter(|step| is(&step.op)).count()
}

fn the_order_holds(plan: &Plan) {
    assert!(plan.steps.is_sorted_by_key(|step| step.phase));
    for rule in RULES {
        let last = plan
            .steps
            .iter()
            .rposition(|step| step.phase == rule.before);
        let first = plan.steps.iter().position(|step| step.phase == rule.after);
        if let (Some(last), Some(first)) = (last, first) {
            assert!(last < first, "{}", rule.because);
        }
    }
}

/// An attempt, a call and an execution: one for each way in which a test changes a plan.
fn attempts() -> [Attempt; 3] {
    let strings = |all: &[&CStr]| StringArray::new(all.iter().map(|s| (*s).into()).collect());
    [
        Attempt::See(c"/usr".into()),
        Attempt::Call {
            name: "mount",
            number: 165,
            arguments: [0; 6],
        },
        Attempt::Execute {
            candidates: vec![c"/bin/sh".into()],
            arguments: strings(&[c"sh"]),
            environment: strings(&[]),
        },
    ]
}

/// What `sandbox test` performs is the plan of a run, but for what takes the place of the command.
fn attempts_differ_in_the_end_only(plan: &Plan) {
    let own = [Phase::AsExecuted, Phase::Stop, Phase::Exec];
    let common = |plan: &Plan| -> Vec<_> {
        let steps = plan.steps.iter().filter(|step| !own.contains(&step.phase));
        steps.cloned().collect()
    };
    for attempt in attempts() {
        let tried = plan
            .clone()
            .attempting(attempt.clone(), &Origin::CommandLine);
        the_order_holds(&tried);
        assert_eq!(common(&tried), common(plan));
        assert_eq!((tried.slots, &tried.notes), (plan.slots, &plan.notes));
        assert_eq!(count(&tried, |op| matches!(op, Op::Exec { .. })), 0);
        assert_eq!(count(&tried, |op| matches!(op, Op::ShedAsExec { .. })), 1);
        let last = tried.steps.last().map(|step| &step.op);
        assert_eq!(last, Some(&Op::Attempt(attempt)));
    }
}

/// What must hold for every plan.
fn check(text: &str, plan: &Plan) {
    the_order_holds(plan);
    attempts_differ_in_the_end_only(plan);
    parents_come_before_children(plan);
    slots_are_opened_before_they_are_used(plan);

    let last = &plan.steps.last().expect("no plan is empty").op;
    assert!(matches!(last, Op::Exec { .. }), "{last:?}");
    assert_eq!(count(plan, |op| matches!(op, Op::Exec { .. })), 1);
    for (what, times) in [
        (
            "clone",
            count(plan, |op| matches!(op, Op::CloneInit { .. })),
        ),
        (
            "no_new_privs",
            count(plan, |op| matches!(op, Op::NoNewPrivileges)),
        ),
        (
            "capabilities",
            count(plan, |op| matches!(op, Op::SetCapabilities { .. })),
        ),
        (
            "bounding set",
            count(plan, |op| matches!(op, Op::DropBounding(_))),
        ),
        (
            "descriptors",
            count(plan, |op| matches!(op, Op::CloseDescriptors(3))),
        ),
        ("signals", count(plan, |op| matches!(op, Op::ResetSignals))),
        ("uid", count(plan, |op| matches!(op, Op::SetUid(_)))),
        ("gid", count(plan, |op| matches!(op, Op::SetGid(_)))),
        (
            "working directory",
            count(plan, |op| matches!(op, Op::ChangeDirectory(_))),
        ),
    ] {
        assert_eq!(times, 1, "{what}");
    }
    let filters = count(plan, |op| matches!(op, Op::SetFilter(_)));
    let off = text.contains("preset = \"off\"")
        || plan
            .notes
            .iter()
            .any(|n| n.text.contains("system call filter"));
    assert!(filters == 1 || off && filters == 0, "{filters} filters");

    only_own_namespaces_are_changed(plan);
}

/// Nothing is set up that would act on a namespace of the host.
fn only_own_namespaces_are_changed(plan: &Plan) {
    let own = |name: &str| {
        plan.steps.iter().any(|step| match &step.op {
            Op::CloneInit { namespaces, .. } => namespaces.iter().any(|kind| kind.name == name),
            _ => false,
        })
    };
    for step in &plan.steps {
        let kind = match &step.op {
            Op::SetHostname(_) | Op::SetDomainname(_) => "uts",
            Op::LoopbackUp => "net",
            Op::WriteIdMap { .. } | Op::DenySetgroups => "user",
            Op::MakePrivate | Op::PivotRoot | Op::AttachRoot(_) | Op::DetachOldRoot => "mnt",
            Op::ForkPayload { alone: true } => "pid",
            _ => continue,
        };
        assert!(own(kind), "{step:?} without a {kind} namespace of its own");
    }
    if own("mnt") {
        for needed in [
            Phase::Propagation,
            Phase::Root,
            Phase::Pivot,
            Phase::DetachOldRoot,
        ] {
            let there = plan.steps.iter().any(|step| step.phase == needed);
            assert!(there, "{needed:?} is missing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_order(text in profile(), machine in machine()) {
        if let Ok(plan) = plan(&text, &machine) {
            check(&text, &plan);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_plan(text in profile(), machine in machine()) {
        match (plan(&text, &machine), plan(&text, &machine)) {
            (Ok(one), Ok(two)) => prop_assert_eq!(one, two),
            (Err(one), Err(two)) => prop_assert_eq!(one.sorted(), two.sorted()),
            _ => prop_assert!(false, "once a plan and once none"),
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), machine in machine()) {
        let _ = plan(&text, &machine);
    }

    #[test]
    fn any_text_that_looks_like_toml_is_read_without_a_panic(
        text in "([\\[\\]{}=\",.#\n\\\\a-c0-9 ]|version|mounts|limits|type|target|\\$\\{|user|uid_map){0,60}",
        machine in machine(),
    ) {
        let _ = plan(&text, &machine);
    }

    #[test]
    fn any_damaged_profile_is_read_without_a_panic(
        text in profile(),
        machine in machine(),
        damage in vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, damage) in damage {
            let at = at.index(text.len() + 1);
            match damage {
                Damage::Cut(n) => drop(text.drain(at..(at + n).min(text.len()))),
                Damage::Insert(new) => drop(text.splice(at..at, new.chars())),
                Damage::End => text.truncate(at),
            }
        }
        let _ = plan(&text.into_iter().collect::<String>(), &machine);
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Insert(String),
    End,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (1usize..20).prop_map(Damage::Cut),
        prop_oneof![
            ".{1,5}",
            "[\\[\\]{}=\"\n#.]",
            "-?[0-9]{1,25}",
            Just("${".to_owned()),
            Just("\\u0000".to_owned())
        ]
        .prop_map(Damage::Insert),
        Just(Damage::End),
    ]
}

/// The properties above would hold for no plans at all.
#[test]
fn enough_of_the_generated_profiles_have_a_plan() {
    let mut runner = TestRunner::deterministic();
    let mut plans = 0;
    let mut phases = std::collections::BTreeSet::new();
    for _ in 0..600 {
        let text = profile().new_tree(&mut runner).unwrap().current();
        let machine = machine().new_tree(&mut runner).unwrap().current();
        if let Ok(plan) = plan(&text, &machine) {
            plans += 1;
            let tried = attempts().map(|a| plan.clone().attempting(a, &Origin::CommandLine));
            for plan in tried.iter().chain([&plan]) {
                phases.extend(plan.steps.iter().map(|step| step.phase));
            }
        }
    }
    assert!(plans >= 70, "{plans} plans of 600");
    // A generated machine has no cgroups.
    let without = [Phase::Group, Phase::Limits, Phase::JoinGroup];
    let missing: Vec<_> = Phase::ALL
        .iter()
        .filter(|phase| !phases.contains(phase) && !without.contains(phase))
        .collect();
    assert!(missing.is_empty(), "never planned: {missing:?}");
}

/// Every side's steps are a part of the one list.
#[test]
fn the_sides_share_one_list() {
    let all = [
        Actor::Supervisor,
        Actor::Joiner,
        Actor::Init,
        Actor::Payload,
    ];
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let text = profile().new_tree(&mut runner).unwrap().current();
        let machine = machine().new_tree(&mut runner).unwrap().current();
        if let Ok(plan) = plan(&text, &machine) {
            let mut numbers: Vec<_> = all
                .iter()
                .flat_map(|actor| plan.steps_of(*actor).map(|(number, _)| number))
                .collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..plan.steps.len()));
        }
    }
}
