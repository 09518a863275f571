//! What profiles permit: the comparison is an order, and nothing that a profile adds is overlooked.

use super::{Machine, machine, profile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sandbox::diag::{Code, Origin, Source, Sources};
use sandbox::profile::variables::Variables;
use sandbox::review::ceiling::{self, Ceiling};
use sandbox::review::compare::{beyond, compare};
use sandbox::review::names::Names;
use sandbox::review::score::score;
use sandbox::review::tree::{Access, Forest, Hole, Tree};
use sandbox::review::{Area, Extent, Grant};
use sandbox::sections;

/// What a text permits; `None` if it is wrong.
fn grants(text: &str, variables: &Variables) -> Option<Vec<Grant>> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let profile = sections::load(&sources, id, variables).ok()?;
    Some(profile.grants())
}

fn hold(grants: &[Grant], most: &[Grant], machine: &Machine) -> Vec<Code> {
    let ceiling = Ceiling {
        name: "ceiling.toml".into(),
        origin: Origin::CommandLine,
        grants: most.to_vec(),
    };
    match ceiling::hold(grants, &ceiling, &machine.host()) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.sorted().into_iter().map(|p| p.code).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_profile_does_not_exceed_itself(text in profile(), machine in machine()) {
        let Some(all) = grants(&text, &machine.variables()) else { return Ok(()) };
        prop_assert!(beyond(&all, &all).is_empty(), "{:?}", beyond(&all, &all));
        let refused = hold(&all, &all, &machine);
        prop_assert!(refused.iter().all(|code| *code == Code::UnclearCeiling), "{refused:?}");
    }

    #[test]
    fn both_directions_are_the_same_comparison(one in profile(), other in profile(), machine in machine()) {
        let variables = machine.variables();
        let (Some(one), Some(other)) = (grants(&one, &variables), grants(&other, &variables)) else {
            return Ok(());
        };
        let (there, back) = (compare(&one, &other), compare(&other, &one));
        prop_assert_eq!(there.widened.len(), back.narrowed.len());
        prop_assert_eq!(there.narrowed.len(), back.widened.len());
        prop_assert!(there.widened.is_sorted_by(|a, b| a.danger() >= b.danger()));
    }

    #[test]
    fn what_a_mount_adds_is_seen(text in profile(), machine in machine(), writes in any::<bool>()) {
        let variables = machine.variables();
        let added = format!(
            "{text}\n[[mounts]]\ntype = \"bind\"\ntarget = \"/only\"\nsource = \"/only/here\"\nread_only = {}\n",
            !writes
        );
        let (Some(before), Some(after)) = (grants(&text, &variables), grants(&added, &variables)) else {
            return Ok(());
        };
        let widened = compare(&before, &after).widened;
        let keys: Vec<_> = widened.iter().flat_map(|e| &e.grants).map(|g| g.key.as_str()).collect();
        prop_assert_eq!(keys, ["filesystem:/only/here"]);
        prop_assert!(score(&after).exposure >= score(&before).exposure);
        prop_assert!(hold(&after, &before, &machine).contains(&Code::ExceedsCeiling));
    }

    #[test]
    fn what_a_mask_takes_away_is_seen(text in profile(), machine in machine()) {
        let variables = machine.variables();
        let shown = format!(
            "{text}\n[[mounts]]\ntype = \"bind\"\ntarget = \"/only\"\nsource = \"/only/here\"\n"
        );
        let masked = format!("{shown}[[mounts]]\ntype = \"mask\"\ntarget = \"/only/secret\"\n");
        let (Some(shown), Some(masked)) = (grants(&shown, &variables), grants(&masked, &variables)) else {
            return Ok(());
        };
        let change = compare(&shown, &masked);
        prop_assert!(change.widened.is_empty());
        prop_assert_eq!(change.narrowed.len(), 1);
    }

    /// The trees of one list against the paths that they show, one by one.
    #[test]
    fn trees_hold_what_each_path_of_them_shows(ceiling in vec(tree(), 0..4), one in tree()) {
        let shows = |tree: &Tree, path: &str, access: Access| {
            let path = std::path::Path::new(path);
            tree.access.contains(access)
                && path.starts_with(&tree.source)
                && !tree.holes.iter().any(|hole| path.starts_with(&hole.path))
        };
        let mut paths: Vec<String> = vec![String::new()];
        for depth in 0..5 {
            let longer = paths.iter().filter(|p| p.matches('/').count() == depth);
            // `z` stands for all that no tree names.
            let longer: Vec<_> = longer.flat_map(|p| ["a", "b", "z"].map(|n| format!("{p}/{n}"))).collect();
            paths.extend(longer);
        }
        let really = paths.iter().filter(|path| shows(&one, path, one.access)).all(|path| {
            ceiling.iter().any(|over| shows(over, path, one.access))
        });
        let said = ceiling.iter().collect::<Forest<'_>>().covers(&one);
        prop_assert_eq!(said, really, "{:?} in {:?}", one, ceiling);
    }

    /// Patterns against the names that fit them, one by one.
    #[test]
    fn patterns_hold_no_name_too_many(ceiling in names(), one in names()) {
        let mut all = vec![String::new()];
        for length in 0..5 {
            let longer = all.iter().filter(|n| n.len() == length);
            let longer: Vec<_> = longer.flat_map(|n| ["A", "B", "z"].map(|c| format!("{n}{c}"))).collect();
            all.extend(longer);
        }
        let has = |names: &Names, name: &str| {
            fits(&names.pattern, name) && !names.except.iter().any(|except| fits(except, name))
        };
        let escaped = all.iter().find(|name| has(&one, name) && !has(&ceiling, name));
        if ceiling.covers(&one) {
            prop_assert_eq!(escaped, None, "{:?} in {:?}", one, ceiling);
        } else if one.except.is_empty() && ceiling.except.is_empty() {
            // Nothing is refused without a reason either.
            prop_assert!(escaped.is_some(), "{:?} in {:?}", one, ceiling);
        }
    }

    #[test]
    fn the_order_is_transitive(a in small(), b in small(), c in small()) {
        if beyond(&a, &b).is_empty() && beyond(&b, &c).is_empty() {
            prop_assert!(beyond(&a, &c).is_empty(), "{:?}", beyond(&a, &c));
        }
    }

    #[test]
    fn a_ceiling_that_permits_more_refuses_no_more(a in small(), b in small(), more in small()) {
        let wider: Vec<_> = b.iter().chain(&more).cloned().collect();
        prop_assert!(beyond(&a, &wider).len() <= beyond(&a, &b).len());
    }
}

/// Plainly: what a pattern means.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| fits(tail, &rest[at..]))),
    }
}

fn names() -> impl Strategy<Value = Names> {
    ("[AB*]{0,4}", vec("[AB*]{1,3}", 0..3)).prop_map(|(pattern, except)| Names { pattern, except })
}

fn path(depth: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(select(&["a", "b"][..]), depth).prop_map(|names| format!("/{}", names.join("/")))
}

fn tree() -> impl Strategy<Value = Tree> {
    let access = prop_oneof![
        Just(Access::READ),
        Just(Access::READ.with(Access::WRITE)),
        Just(Access::READ.with(Access::EXECUTE)),
    ];
    (path(0..3), access, vec(path(1..3), 0..3)).prop_map(|(source, access, holes)| Tree {
        holes: holes
            .iter()
            .map(|hole| Hole {
                path: std::path::Path::new(&source).join(&hole[1..]),
                if_there: None,
                origin: Origin::CommandLine,
            })
            .collect(),
        source: source.into(),
        access,
        program: None,
        of_root: false,
    })
}

/// A few grants out of so few that they often meet.
fn small() -> impl Strategy<Value = Vec<Grant>> {
    let extent = prop_oneof![
        (0u64..3).prop_map(Extent::Rank),
        select(&["x", "y"][..]).prop_map(|path| Extent::Same(path.into())),
        (0u64..4).prop_map(Extent::Bits),
        vec((0u64..4, 0u64..3), 0..3).prop_map(|ranges| {
            Extent::Numbers(
                ranges
                    .into_iter()
                    .map(|(first, n)| (first, first + n))
                    .collect(),
            )
        }),
        vec(tree(), 1..3).prop_map(Extent::Trees),
        names().prop_map(Extent::Names),
    ];
    let grant = (extent, select(&["one", "two"][..])).prop_map(|(extent, key)| {
        Grant::new(Area::Network, key, extent, "do it", &Origin::CommandLine).share(1)
    });
    vec(grant, 0..4)
}

/// Every key, with a value that permits less and one that permits more.
const WIDENINGS: &[(&str, &str, &str)] = &[
    ("rootfs", "project = \"hide\"", "project = \"read\""),
    ("rootfs", "project = \"read\"", "project = \"write\""),
    ("rootfs", "empty = true", ""),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\", \"ls\"]",
    ),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\", \"/home/ada/x\"]",
    ),
    (
        "rootfs",
        "directory = \"/srv/r\"",
        "directory = \"/srv/r\"\nchanges = \"write\"",
    ),
    ("rootfs", "empty = true", "directory = \"/srv/r\""),
    ("namespaces", "", "user = \"shared\""),
    ("namespaces", "", "mount = \"shared\""),
    ("namespaces", "", "pid = \"shared\""),
    ("namespaces", "", "ipc = \"shared\""),
    ("namespaces", "", "uts = \"shared\""),
    ("namespaces", "", "net = \"shared\""),
    ("namespaces", "", "cgroup = \"shared\""),
    ("namespaces", "", "time = \"shared\""),
    ("namespaces", "", "net = \"/proc/42/ns/net\""),
    (
        "namespaces",
        "pid = \"shared\"",
        "pid = \"/proc/42/ns/pid\"",
    ),
    (
        "namespaces",
        "mount = \"shared\"",
        "mount = \"/proc/42/ns/mnt\"",
    ),
    ("user", "", "uid_map = \"auto\""),
    (
        "user",
        "uid_map = \"root\"",
        "uid_map = [{ inside = 0, outside = 0 }]",
    ),
    (
        "user",
        "gid_map = \"root\"",
        "gid_map = [{ inside = 0, outside = 5 }]",
    ),
    (
        "user",
        "uid_map = [{ inside = 0, outside = 7, count = 9 }]",
        "uid_map = [{ inside = 0, outside = 7, count = 10 }]",
    ),
    (
        "user",
        "uid = 1\nuid_map = [{ inside = 0, outside = 0, count = 9 }]",
        "uid = 0\nuid_map = [{ inside = 0, outside = 0, count = 9 }]",
    ),
    (
        "user",
        "gid = 1\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
        "gid = 1\ngroups = [5]\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
    ),
    ("devices", "", "nodes = [\"kvm\"]"),
    ("devices", "shm_size = \"64M\"", "shm_size = \"65M\""),
    ("network", "mode = \"none\"", "mode = \"loopback\""),
    ("network", "mode = \"loopback\"", "mode = \"host\""),
    ("capabilities", "", "keep = [\"net_raw\"]"),
    (
        "capabilities",
        "keep = [\"all\"]\ndrop = [\"bpf\"]",
        "keep = [\"all\"]",
    ),
    (
        "capabilities",
        "keep = [\"net_raw\"]",
        "keep = [\"net_raw\"]\nambient = [\"net_raw\"]",
    ),
    ("seccomp", "preset = \"strict\"", "preset = \"default\""),
    ("seccomp", "preset = \"default\"", "preset = \"off\""),
    ("seccomp", "", "allow = [\"bpf\"]"),
    ("seccomp", "", "allow = [\"clone\"]"),
    ("seccomp", "deny = [\"ptrace\"]", ""),
    (
        "seccomp",
        "preset = \"off\"\ndeny = [\"ptrace\"]",
        "preset = \"off\"",
    ),
    ("limits", "pids = 10", "pids = 11"),
    ("limits", "pids = 10", ""),
    ("limits", "memory = \"1G\"", "memory = \"2G\""),
    ("limits", "memory = \"1G\"", ""),
    (
        "limits",
        "memory = \"1G\"",
        "memory = \"1G\"\nswap = \"1M\"",
    ),
    ("limits", "cpu = 1", "cpu = 1.5"),
    ("limits", "cpu = 1", ""),
    ("limits", "cpuset = \"0-2\"", "cpuset = \"0-1,3\""),
    ("limits", "cpuset = \"0\"", ""),
    ("limits", "wall_time = 10", "wall_time = \"10.5s\""),
    ("limits", "wall_time = 10", ""),
    ("limits", "grace = 1", ""),
    ("rlimits", "nofile = 10", "nofile = { soft = 1, hard = 11 }"),
    ("rlimits", "nofile = 10", ""),
    ("rlimits", "", "nofile = \"infinity\""),
    ("rlimits", "", "core = \"inherit\""),
    ("environment", "", "inherit = [\"CI\"]"),
    ("environment", "inherit = [\"A_B*\"]", "inherit = [\"A_*\"]"),
    (
        "environment",
        "inherit = [\"*\"]\nunset = [\"A_*\"]",
        "inherit = [\"*\"]",
    ),
    ("environment", "unset = [\"LANG\"]", ""),
    ("process", "", "umask = \"002\""),
    ("process", "", "nice = -1"),
    ("process", "nice = 5", ""),
    ("process", "", "oom_score_adj = -5"),
    ("process", "", "session = \"inherit\""),
    ("enforce", "", "limits = \"prefer\""),
    ("enforce", "limits = \"prefer\"", "limits = \"off\""),
    ("enforce", "", "namespaces = \"prefer\""),
    ("enforce", "", "idmap = \"prefer\""),
    ("enforce", "", "seccomp = \"prefer\""),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nsource = \"/b\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a/b\"",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nnosuid = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nnodev = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nnoexec = true",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nidmap = false",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"mask\"\ntarget = \"/etc/x\"",
        "type = \"mask\"\ntarget = \"/etc/y\"",
    ),
    (
        "[mounts]",
        "type = \"mask\"\ntarget = \"/etc/x\"",
        "type = \"directory\"\ntarget = \"/etc/x\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/etc/x\"\nsource = \"/etc/y\"",
        "type = \"bind\"\ntarget = \"/etc/x\"\nsource = \"/etc/y\"\noptional = true",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"sysfs\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"devpts\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"mqueue\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"cgroup\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"2G\"",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\ninodes = 2000000",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nnosuid = false",
    ),
];

fn ada() -> Variables {
    Variables {
        home: Some("/home/ada".into()),
        working_directory: Some("/work/project".into()),
        project: Some("/work/project".into()),
        temporary: "/tmp".into(),
        uid: 1000,
        gid: 1000,
        ..Variables::default()
    }
}

#[test]
fn every_key_that_permits_more_is_seen() {
    for (table, less, more) in WIDENINGS {
        let of = |keys: &str| {
            let text = format!("[{table}]\n{keys}\n");
            grants(&text, &ada()).unwrap_or_else(|| panic!("wrong: {text}"))
        };
        let of = |keys: &str| {
            // A table without keys is no mount.
            if keys.is_empty() {
                grants("", &ada()).unwrap()
            } else {
                of(keys)
            }
        };
        let (less, more) = (of(less), of(more));
        let change = compare(&less, &more);
        let what = format!("[{table}] {less:?} to {more:?}");
        assert!(!change.widened.is_empty(), "{what}");
        for excess in &change.widened {
            assert!(!excess.words().is_empty(), "{what}");
        }
    }
}

/// Keys that permit nothing, whatever their value; the reasons stand at each section's `grants`.
const HARMLESS: &[&str] = &[
    "version",
    "description",
    "hostname",
    "domainname",
    "source",
    "optional",
    "mode",
    "contents",
    "to",
    "set",
    "cwd",
    "init",
    "type",
    "target",
];

#[test]
fn no_key_is_forgotten() {
    use sandbox::profile::table::Table;
    fn keys<T: Table>() -> &'static [&'static str] {
        T::KEYS
    }
    use sandbox::sections::{
        Raw, capabilities, devices, enforce, environment, limits, mounts, namespaces, network,
        process, rlimits, rootfs, seccomp, user,
    };
    let tables = [
        keys::<rootfs::RawRootfs>(),
        keys::<namespaces::RawNamespaces>(),
        keys::<user::RawUser>(),
        keys::<mounts::RawMount>(),
        keys::<devices::RawDevices>(),
        keys::<network::RawNetwork>(),
        keys::<capabilities::RawCapabilities>(),
        keys::<seccomp::RawSeccomp>(),
        keys::<limits::RawLimits>(),
        keys::<environment::RawEnvironment>(),
        keys::<process::RawProcess>(),
        keys::<enforce::RawEnforce>(),
    ];
    let written = |key: &str| {
        let key = format!("{key} = ");
        let texts = WIDENINGS.iter().flat_map(|(_, less, more)| [less, more]);
        texts
            .flat_map(|text| text.lines())
            .any(|line| line.starts_with(&key))
    };
    for key in tables.into_iter().flatten() {
        assert!(HARMLESS.contains(key) || written(key), "{key} in no test");
    }
    // Each of these is one limit of the same kind.
    let all = grants("", &ada()).unwrap();
    for key in keys::<rlimits::RawRlimits>() {
        assert!(
            all.iter().any(|grant| grant.key == format!("rlimit:{key}")),
            "{key}"
        );
    }
    let sections: Vec<_> = WIDENINGS
        .iter()
        .map(|(table, ..)| table.trim_matches(['[', ']']))
        .collect();
    for table in keys::<Raw>() {
        assert!(
            HARMLESS.contains(table) || sections.contains(table),
            "{table} in no test"
        );
    }
}

/// What permits the same, or less, in other words.
#[test]
fn what_permits_no_more_is_not_taken_for_more() {
    for (before, after) in [
        ("", "hostname = \"other\""),
        ("", "[process]\ncwd = \"/\"\ninit = false"),
        ("", "[environment]\nset = { A = \"b\" }"),
        ("[namespaces]\npid = \"shared\"", ""),
        ("", "[seccomp]\npreset = \"strict\""),
        ("", "[rlimits]\nnofile = 1024"),
        ("[user]\nuid_map = \"auto\"", ""),
        (
            "[rootfs]\nproject = \"read\"",
            "[rootfs]\nproject = \"hide\"",
        ),
        ("", "[rootfs]\nprograms = [\"sh\"]"),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/work/project/src\"\nread_only = false",
        ),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/elsewhere\"\nsource = \"/work/project/src\"",
        ),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nsource = \"/etc/ssl\"\nidmap = false",
        ),
        ("", "[[mounts]]\ntype = \"mask\"\ntarget = \"/etc/shadow\""),
        (
            "",
            "[[mounts]]\ntype = \"file\"\ntarget = \"/etc/hosts\"\ncontents = \"x\"",
        ),
        (
            "",
            "[[mounts]]\ntype = \"symlink\"\ntarget = \"/a\"\nto = \"/etc\"",
        ),
        (
            "[namespaces]\nmount = \"shared\"",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/root\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nread_only = false\nnodev = false",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/b\"\nsource = \"/a/c\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/dev\"\nread_only = false\nnodev = false",
            "[devices]\nnodes = [\"kvm\"]",
        ),
    ] {
        let of = |text: &str| grants(text, &ada()).unwrap_or_else(|| panic!("wrong: {text}"));
        let (less, more) = (of(before), of(after));
        let found = beyond(&more, &less);
        assert!(found.is_empty(), "{before:?} to {after:?}: {found:?}");
    }
}

#[test]
fn the_exposure_reaches_both_ends() {
    let shut = r#"
[rootfs]
empty = true
project = "hide"
[network]
mode = "none"
[seccomp]
preset = "strict"
[limits]
pids = 10
memory = "10M"
cpu = 1
cpuset = "0"
wall_time = 10
[rlimits]
as = 1
cpu = 1
data = 1
fsize = 1
locks = 1
memlock = 1
msgqueue = 1
nice = 1
nofile = 1
nproc = 1
rss = 1
rtprio = 1
rttime = 1
sigpending = 1
stack = 1
"#;
    let open = r#"
[namespaces]
user = "shared"
mount = "shared"
pid = "shared"
ipc = "shared"
uts = "shared"
net = "shared"
cgroup = "shared"
time = "shared"
[user]
uid = 0
[capabilities]
keep = ["all"]
[seccomp]
preset = "off"
[rlimits]
core = "infinity"
[environment]
inherit = ["*", "*TOKEN*"]
[process]
umask = "000"
session = "inherit"
nice = -20
oom_score_adj = -1000
[enforce]
limits = "off"
namespaces = "prefer"
idmap = "off"
seccomp = "off"
"#;
    let exposure = |text: &str| score(&grants(text, &ada()).unwrap()).exposure;
    assert_eq!((exposure(shut).0, exposure(shut).word()), (0, "perfect"));
    assert_eq!(
        (exposure(open).0, exposure(open).word()),
        (100, "dangerous")
    );
    let usual = exposure("");
    assert!(usual > exposure(shut) && usual.0 < 20, "{usual}");
}

/// A link in a project leads nowhere that the ceiling does not permit, and hides nothing.
#[test]
fn links_of_the_machine_are_followed() {
    use sandbox::host::Host;
    use sandbox::host::caller::{Caller, SubordinateIds};
    use sandbox::host::tree::{Kind, Tree as Files};
    let nodes = [
        ("/", Kind::Directory),
        ("/etc", Kind::Directory),
        ("/etc/shadow", Kind::File),
        ("/work/project", Kind::Directory),
        ("/work/project/link", Kind::Link("/secret".into())),
        ("/secret", Kind::Directory),
        ("/lib", Kind::Link("usr/lib".into())),
        ("/usr/lib", Kind::Directory),
    ];
    let nodes = nodes.map(|(path, kind)| (path.into(), kind));
    let host = Host::fixed(
        Caller::default(),
        Files::fixed(nodes),
        SubordinateIds::default(),
    );
    let held = |profile: &str, most: &str| -> Vec<Code> {
        let ceiling = Ceiling {
            name: "ceiling.toml".into(),
            origin: Origin::CommandLine,
            grants: grants(most, &ada()).unwrap(),
        };
        match ceiling::hold(&grants(profile, &ada()).unwrap(), &ceiling, &host) {
            Ok(()) => Vec::new(),
            Err(problems) => problems.sorted().into_iter().map(|p| p.code).collect(),
        }
    };
    let bind = |source: &str| {
        format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nsource = \"{source}\"\n")
    };
    assert_eq!(held(&bind("src"), ""), []);
    assert_eq!(held(&bind("link"), ""), [Code::ExceedsCeiling]);
    assert_eq!(held(&bind("link"), &bind("/secret")), []);
    let mask = |target: &str| format!("[[mounts]]\ntype = \"mask\"\ntarget = \"{target}\"\n");
    assert_eq!(held("", &mask("/etc/shadow")), [Code::ExceedsCeiling]);
    assert_eq!(held(&mask("/etc/shadow"), &mask("/etc/shadow")), []);
    let linked = bind("/work/project") + &mask("/a/link/x");
    assert_eq!(held("", &linked), [Code::UnclearCeiling]);
    // Inside, /lib is a link too: what a mask of /lib/x hides is /usr/lib/x.
    assert_eq!(held("", &mask("/lib/x")), [Code::UnclearCeiling]);
    assert_eq!(
        held(&mask("/lib/x"), &mask("/usr/lib/x")),
        [Code::ExceedsCeiling]
    );
    let hidden = bind("/work/project") + &mask("/a/link");
    let shown = bind("/work/project") + &mask("/a/link/x");
    assert!(held(&shown, &hidden).contains(&Code::UnclearCeiling));
}

#[test]
fn subsets_of_a_profile_stay_below_it() {
    const LINES: &[&str] = &[
        "[network]\nmode = \"host\"\n",
        "[capabilities]\nkeep = [\"net_raw\", \"chown\"]\n",
        "[seccomp]\nallow = [\"bpf\", \"unshare\"]\n",
        "[environment]\ninherit = [\"*\"]\n",
        "[devices]\nnodes = [\"kvm\"]\n",
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/srv\"\n",
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/opt/x\"\nread_only = false\n",
        "[process]\nsession = \"inherit\"\n",
    ];
    let all = grants(&LINES.concat(), &ada()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&subsequence(LINES, 0..LINES.len()), |some| {
            let some = grants(&some.concat(), &ada()).unwrap();
            prop_assert!(beyond(&some, &all).is_empty(), "{:?}", beyond(&some, &all));
            prop_assert!(!beyond(&all, &some).is_empty());
            prop_assert!(score(&some).exposure <= score(&all).exposure);
            Ok(())
        })
        .unwrap();
}
