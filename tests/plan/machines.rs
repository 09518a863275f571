//! Generated machines.

use crate::groups;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sandbox::diag::Code;
use sandbox::host::Host;
use sandbox::host::accounts::Accounts;
use sandbox::host::caller::{Caller, SubordinateIds};
use sandbox::host::network::{Interface, Net, Networks};
use sandbox::host::runs::{Held, NotRunning, Running};
use sandbox::host::terminal::Terminal;
use sandbox::host::tree::{Kind, Tree};
use sandbox::plan::op::IdRange;
use sandbox::profile::variables::Variables;
use sandbox::sys::terminal::{Settings, Size};
use std::path::{Path, PathBuf};

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
        ("/run/netns/lab", None),
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
pub(crate) struct Machine {
    uid: u32,
    rights: bool,
    map: Vec<IdRange>,
    subordinate: Vec<(u32, u32)>,
    helpers: bool,
    nodes: Vec<(PathBuf, Kind)>,
    home: Option<PathBuf>,
    project: bool,
    old: bool,
    streams: Option<[bool; 3]>,
    groups: bool,
}

/// `db` runs, of a plain user with the uid 1000.
fn running(name: &str) -> Result<Running, NotRunning> {
    let held = |descriptor| {
        Some(Held {
            inode: 4_026_532_000,
            descriptor,
        })
    };
    let own = vec![IdRange {
        inside: 1000,
        outside: 1000,
        count: 1,
    }];
    match name {
        "db" => Ok(Running {
            folder: "/run/user/1000/sandbox".into(),
            id: "0123456789ab".into(),
            pid: 815,
            user: held(9),
            net: held(10),
            users: own.clone(),
            groups: own,
            setgroups: false,
            resolvers: Some("nameserver 192.0.2.1\n".into()),
        }),
        other => Err(NotRunning {
            code: Code::NoSandbox,
            message: format!("no sandbox is called `{other}`"),
            help: "start it".into(),
        }),
    }
}

impl Machine {
    pub(crate) fn host(&self) -> Host {
        let caller = Caller {
            uid: self.uid,
            gid: self.uid,
            capabilities: if self.rights { u64::MAX } else { 0 },
            pid: 4711,
            uid_map: self.map.clone(),
            gid_map: self.map.clone(),
            setgroups_denied: false,
        };
        let helper = |name: &str| self.helpers.then(|| Path::new("/usr/bin").join(name));
        let subordinate = SubordinateIds {
            users: self.subordinate.clone(),
            groups: self.subordinate.clone(),
            newuidmap: helper("newuidmap"),
            newgidmap: helper("newgidmap"),
        };
        let accounts = Accounts::fixed("web:x:33:34:::", "web:x:34:\ntape:x:26:");
        let host = Host::fixed(caller, Tree::fixed(self.nodes.clone()), subordinate)
            .with_accounts(accounts)
            .with_terminal(self.streams.map(|streams| Terminal {
                streams,
                settings: streams[2].then(Settings::default),
                size: Size::of(24, 80),
            }))
            .with_networks(Networks {
                interfaces: vec![Interface {
                    index: 7,
                    name: "br0".into(),
                    is_bridge: true,
                    addresses: vec![Net::parse("10.9.0.1/24").unwrap()],
                }],
                forwards: [true, self.old],
                has_ipv6: true,
            });
        let host = match self.groups {
            true => host.with_cgroups(groups::all()),
            false => host,
        };
        let host = host.with_runs(running);
        match self.old {
            true => host.that_executes_written_memory(),
            false => host,
        }
    }

    pub(crate) fn variables(&self) -> Variables {
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

pub(crate) fn machine() -> impl Strategy<Value = Machine> {
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
        proptest::bool::weighted(0.05),
        select(
            &[
                None,
                Some([true; 3]),
                Some([true, true, false]),
                Some([false, true, true]),
                Some([false, false, true]),
            ][..],
        ),
        any::<bool>(),
    )
        .prop_map(
            |(
                uid,
                rights,
                map,
                subordinate,
                helpers,
                nodes,
                home,
                project,
                old,
                streams,
                groups,
            )| {
                Machine {
                    uid,
                    rights,
                    map,
                    subordinate,
                    helpers,
                    nodes,
                    home: home.map(PathBuf::from),
                    project,
                    old,
                    streams,
                    groups,
                }
            },
        )
}
