mod managed;

use super::*;
use std::fs;

const V1: &str = "4:memory:/job\n3:cpu,cpuacct:/\n2:pids:/a:b c\n1:name=systemd:/\n";
const V1_MOUNTS: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pi\\040ds rw,relatime - cgroup cgroup rw,pids
";

fn dirs(all: &Cgroups, v1: Option<&str>, path: &str) -> Vec<String> {
    let spots = all.spots(v1, Path::new(path)).into_iter();
    spots.map(|s| s.dir.display().to_string()).collect()
}

#[test]
fn a_v1_group_is_found_below_its_own_mount() {
    let all = Cgroups::parse(V1, V1_MOUNTS);
    assert_eq!(all.member("cpu").unwrap().path, Path::new("/"));
    assert_eq!(all.member("pids").unwrap().path, Path::new("/a:b c"));
    assert!(all.member("cpuset").is_none() && all.v2.is_none());
    let memory = dirs(&all, Some("memory"), "/job");
    assert_eq!(memory, ["/sys/fs/cgroup/memory/job"]);
    assert_eq!(dirs(&all, Some("cpu"), "/"), ["/sys/fs/cgroup/cpu,cpuacct"]);
    assert_eq!(dirs(&all, Some("pids"), "/x"), ["/sys/fs/cgroup/pi ds/x"]);
}

#[test]
fn a_container_sees_its_group_at_the_top_of_the_mount() {
    let mounts = "9 8 0:3 /docker/ab /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n";
    let all = Cgroups::parse("5:memory:/docker/ab\n", mounts);
    let seen = |path| dirs(&all, Some("memory"), path);
    assert_eq!(seen("/docker/ab"), ["/sys/fs/cgroup/memory"]);
    assert_eq!(seen("/docker/ab/in"), ["/sys/fs/cgroup/memory/in"]);
    assert!(seen("/docker/abc").is_empty());
    assert!(seen("/").is_empty());
}

#[test]
fn a_cgroup_namespace_hides_what_is_above_it() {
    // The mount was made outside: its root lies two groups above the namespace's.
    let mounts = "9 8 0:3 /../.. /cg rw - cgroup2 cgroup2 rw,nsdelegate\n";
    let all = Cgroups::parse("0::/\n", mounts);
    assert!(dirs(&all, None, "/").is_empty());
    assert_eq!(dirs(&all, None, "/../.."), ["/cg"]);
    assert_eq!(dirs(&all, None, "/../../x"), ["/cg/x"]);
    // The mount was made inside, and we have been moved out.
    let all = Cgroups::parse("0::/../x\n", "9 8 0:3 / /cg rw - cgroup2 cgroup2 rw\n");
    assert!(dirs(&all, None, "/../x").is_empty());
    assert!(matches!(
        all.place(&[Controller::Pids]),
        Err(NoPlace::OutOfSight { .. })
    ));
}

#[test]
fn a_writable_mount_is_preferred_and_a_later_one() {
    let mounts = "\
1 0 0:3 / /early rw - cgroup2 cgroup2 rw
2 0 0:3 / /ro ro - cgroup2 cgroup2 rw
3 0 0:3 / /late rw - cgroup2 cgroup2 rw
4 0 0:3 / /ro2 rw - cgroup2 cgroup2 ro
";
    let all = Cgroups::parse("0::/g\n", mounts);
    assert_eq!(
        dirs(&all, None, "/g"),
        ["/late/g", "/early/g", "/ro2/g", "/ro/g"]
    );
}

#[test]
fn torn_texts_are_survived() {
    for cut in 0..V1.len().max(V1_MOUNTS.len()) {
        let all = Cgroups::parse(
            &V1[..cut.min(V1.len())],
            &V1_MOUNTS[cut.min(V1_MOUNTS.len())..],
        );
        let _ = all.place(&Controller::ALL);
    }
    for odd in [
        "",
        "::",
        "0::",
        "0::relative",
        "1:cpu",
        "x\\",
        "1 2 3 4 5 6 - cgroup",
        "- - -",
    ] {
        let _ = Cgroups::parse(odd, odd).place(&Controller::ALL);
    }
    let _ = Cgroups::parse("", "1 2 3 \\04 \\999 rw - cgroup2 x \\4");
}

#[test]
fn what_is_in_the_way_is_said() {
    let none = Cgroups::parse("", "")
        .place(&[Controller::Cpu])
        .unwrap_err();
    assert_eq!(
        none.to_string(),
        "no cgroup file system with the cpu controller is mounted here"
    );
    let unmounted = Cgroups::parse(V1, "").place(&[Controller::Memory]);
    assert!(matches!(unmounted, Err(NoPlace::NotMounted { .. })));
    let missing = Cgroups::parse(V1, V1_MOUNTS).place(&[Controller::Cpuset]);
    assert!(
        matches!(missing, Err(NoPlace::Missing { controller }) if controller == Controller::Cpuset)
    );
    assert!(!none.remedy().is_empty());
}

#[test]
fn only_names_of_runs_are_names_of_runs() {
    assert_eq!(run_name("sandbox-12-345"), Some((12, 345)));
    for other in [
        "sandbox.leaf",
        "sandbox-1",
        "sandbox-a-1",
        "sandbox-+1-2",
        "sandbox--",
        "x",
    ] {
        assert_eq!(run_name(other), None, "{other}");
    }
}

/// A directory that looks like a v2 hierarchy to somebody who only reads.
struct Fake(PathBuf, Surroundings);

impl Fake {
    fn new(name: &str) -> Fake {
        let top = std::env::temp_dir().join(format!("cgroup-{}-{name}", std::process::id()));
        let fake = Fake(top, Surroundings::default());
        fake.group("", "", &[]);
        fs::remove_file(fake.0.join("cgroup.type")).unwrap();
        fake
    }

    fn group(&self, path: &str, procs: &str, files: &[(&str, &str)]) {
        let dir = self.0.join(path);
        fs::create_dir_all(&dir).unwrap();
        let usual = [
            ("cgroup.procs", procs),
            ("cgroup.type", "domain\n"),
            ("cgroup.controllers", "cpu memory pids\n"),
            ("cgroup.subtree_control", ""),
            ("memory.max", "max\n"),
            ("cpu.max", "max 100000\n"),
            ("pids.max", "99\n"),
            ("cpuset.cpus", "\n"),
        ];
        for (file, text) in usual.iter().chain(files) {
            fs::write(dir.join(file), text).unwrap();
        }
    }

    fn at(&self, own: &str) -> Cgroups {
        let mounts = format!("1 0 0:3 / {} rw - cgroup2 cgroup2 rw\n", self.0.display());
        Cgroups::parse(&format!("0::{own}\n"), &mounts).with(self.1.clone())
    }

    fn place(&self, own: &str, wanted: &[Controller]) -> Result<(String, Kind), NoPlace> {
        self.at(own).place(wanted).map(|place| {
            assert!(place.v1().is_empty());
            let (base, kind, _) = place.v2().unwrap();
            let below = base.strip_prefix(&self.0).unwrap();
            (below.display().to_string(), kind.clone())
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_unified_hierarchy_is_looked_at_from_our_own_group() {
    use Controller::{Cpuset, Memory, Pids};
    let fake = Fake::new("look");
    fake.group("s", "", &[]);
    fake.group("s/free", "7\n", &[]);
    fake.group("s/limited", "7\n", &[("memory.max", "4096\n")]);
    fake.group("s/sandbox-1-2", "7\n", &[]);
    fake.group("s/sandbox.leaf", "7\n", &[]);
    fake.group("busy", "8\n", &[]);
    fake.group("busy/own", "7\n", &[]);
    fake.group("busy/threads", "7\n", &[("cgroup.type", "threaded\n")]);
    fake.group("poor", "", &[("cgroup.controllers", "pids\n")]);
    fake.group("poor/own", "7\n", &[("cgroup.controllers", "pids\n")]);
    let place = |own, wanted| fake.place(own, wanted);

    assert_eq!(place("/", &[Pids]).unwrap(), (String::new(), Kind::Below));
    assert_eq!(
        place("/s/free", &[Pids]).unwrap(),
        ("s".into(), Kind::Beside)
    );
    // Its own limits would not hold beside it; only a pids limit that is replaced is no matter.
    assert_eq!(
        place("/s/free", &[Memory]).unwrap(),
        ("s/free".into(), Kind::Leaf)
    );
    assert_eq!(
        place("/s/limited", &[Pids]).unwrap(),
        ("s/limited".into(), Kind::Leaf)
    );
    // A nested run stays inside; one that was moved to the leaf goes back to the base.
    let nested = place("/s/sandbox-1-2", &[Pids]).unwrap();
    assert_eq!(nested, ("s/sandbox-1-2".into(), Kind::Leaf));
    assert_eq!(
        place("/s/sandbox.leaf", &[Pids]).unwrap(),
        ("s".into(), Kind::Leaf)
    );
    // The parent has processes of its own, so it can hand nothing on.
    assert_eq!(
        place("/busy/own", &[Pids]).unwrap(),
        ("busy/own".into(), Kind::Leaf)
    );
    assert_eq!(
        place("/busy/own", &[]).unwrap(),
        ("busy/own".into(), Kind::Below)
    );
    let refused = |own, wanted| place(own, wanted).unwrap_err();
    assert!(matches!(
        refused("/busy/threads", &[Pids]),
        NoPlace::NotDomain { .. }
    ));
    assert!(matches!(
        refused("/poor/own", &[Memory]),
        NoPlace::NotHandedOn { .. }
    ));
    assert!(matches!(
        refused("/poor/own", &[Cpuset]),
        NoPlace::Missing { .. }
    ));
    assert!(matches!(
        refused("/gone", &[Pids]),
        NoPlace::OutOfSight { .. }
    ));
}

#[test]
fn a_run_is_in_both_versions_where_its_controllers_are() {
    use Controller::{Cpu, Cpuacct, Cpuset, Memory, Pids};
    let fake = Fake::new("both");
    fake.group("old", "7\n", &[]);
    let mounts = format!(
        "1 0 0:3 / {0} rw - cgroup2 cgroup2 rw\n2 0 0:4 / {0}/old rw - cgroup cgroup rw,pids\n",
        fake.0.display()
    );
    let all = Cgroups::parse("2:pids:/\n1:cpuset:/\n0::/\n", &mounts);
    let place = all.place(&[Pids, Memory, Cpuacct]).unwrap();
    assert_eq!(place.v1()[0].dir, fake.0.join("old"));
    // Processor time is counted without a controller.
    let (base, kind, enable) = place.v2().unwrap();
    assert_eq!(
        (base, kind, enable),
        (&*fake.0, &Kind::Below, &[Memory][..])
    );
    // What cannot be had leaves the rest alone.
    let (place, lacking) = all.place_most(&[Pids, Memory, Cpu, Cpuset, Controller::Io]);
    let lacking: Vec<_> = lacking.iter().map(|(c, no)| (*c, no.to_string())).collect();
    assert_eq!(
        lacking,
        [
            (
                Cpuset,
                "no cgroup file system with the cpuset controller is mounted here".to_owned()
            ),
            (
                Controller::Io,
                "this kernel offers no io controller".to_owned()
            ),
        ]
    );
    let place = place.unwrap();
    assert_eq!(place.v1()[0].controllers, [Pids]);
    assert_eq!(place.v2().unwrap().2, [Memory, Cpu]);
    let (none, lacking) = Cgroups::parse("", "").place_most(&[Pids, Memory]);
    assert_eq!((none, lacking.len()), (None, 2));
}
