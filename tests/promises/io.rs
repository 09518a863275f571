//! `[limits] io`: disks are read and written at the declared rates, or the run says that they are not.

use crate::live::{HOLD, Live, group, without_limits};
use crate::support::{Project, skip};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder on a disk, writable to the caller, and the disk's number.
struct Disk {
    folder: PathBuf,
    number: String,
}

impl Disk {
    /// That of the laboratory where there is one, else the project's own.
    fn find(test: &str, project: &Project) -> Option<Self> {
        let lab = std::env::var_os("LAB_DISK");
        let folder = lab.map_or_else(|| project.path().to_owned(), PathBuf::from);
        let device = folder.metadata().unwrap().dev();
        let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        let sys = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        if !sys.exists() {
            skip(test, "the folder for temporary files is on no disk");
            return None;
        }
        let whole = match sys.join("partition").exists() {
            true => sys.canonicalize().unwrap().parent().unwrap().to_owned(),
            false => sys,
        };
        let number = std::fs::read_to_string(whole.join("dev")).unwrap();
        Some(Self {
            folder,
            number: number.trim().into(),
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-{}", std::process::id()))
    }

    /// A profile that limits it, and shows a file on it.
    fn profile(&self, limit: &str, file: &Path) -> String {
        format!(
            "version = 1\n[limits]\nio = [{{ device = {:?}, {limit} }}]\n[[mounts]]\ntype = \"bind\"\n\
             target = {file:?}\nread_only = false\n",
            self.folder
        )
    }

    /// What the group of a process says of the disk, in one of two files.
    #[track_caller]
    fn limit(&self, pid: u32, v1: &str) -> String {
        let folder = group(pid, "blkio");
        let text = std::fs::read_to_string(folder.join(v1))
            .or_else(|_| std::fs::read_to_string(folder.join("io.max")))
            .unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{} ", self.number)));
        line.unwrap_or_else(|| panic!("nothing of {} in {text:?}", self.number))
            .into()
    }
}

/// Whether the kernel limits input and output with cgroup v1 here.
fn is_v1() -> bool {
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    membership.lines().any(|line| line.contains(":blkio:"))
}

/// Three megabytes, at a megabyte a second.
const WITHIN: Duration = Duration::from_millis(1500);

#[test]
fn what_is_read_from_a_disk_comes_at_the_declared_rate() {
    let test = "what_is_read_from_a_disk_comes_at_the_declared_rate";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let Some(disk) = Disk::find(test, &project) else {
        return;
    };
    let data = disk.file("data");
    let mut file = std::fs::File::create(&data).unwrap();
    file.write_all(&vec![7; 3 << 20]).unwrap();
    file.sync_all().unwrap();
    let script = format!(
        "{HOLD}\ndd if={} of=/dev/null bs=128k iflag=direct status=none && echo read",
        data.display()
    );
    let profile = disk.profile("read = \"1M\", read_ops = 500", &data);
    let live = Live::script(&project, &profile, &script);
    let said = disk.limit(live.command(), "blkio.throttle.read_bps_device");
    assert!(
        said == "1048576" || said == "rbps=1048576 wbps=max riops=500 wiops=max",
        "{said}"
    );
    let start = Instant::now();
    assert_eq!(live.go(&project).ok(), "read\n");
    let took = start.elapsed();
    std::fs::remove_file(data).unwrap();
    assert!(took > WITHIN, "three seconds' worth was read in {took:?}");
}

#[test]
fn what_is_written_to_a_disk_goes_at_the_declared_rate_or_the_run_says_that_it_does_not() {
    let test =
        "what_is_written_to_a_disk_goes_at_the_declared_rate_or_the_run_says_that_it_does_not";
    if without_limits(test) {
        return;
    }
    let project = Project::new();
    let Some(disk) = Disk::find(test, &project) else {
        return;
    };
    let out = disk.file("out");
    std::fs::File::create(&out).unwrap();
    let mut profile = disk.profile("write = \"1M\"", &out);
    let mut direct = "conv=notrunc,fsync";
    if is_v1() {
        let refused = project.run(&profile, "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        let why = "`io` of what is written cannot be enforced: cgroup v1 ";
        for part in [why, "sandbox.toml:3:", "help: "] {
            assert!(words.contains(part), "{words}");
        }
        profile += "[enforce]\nlimits = \"prefer\"\n";
        direct = "oflag=direct conv=notrunc";
    }
    let script = format!(
        "dd if=/dev/zero of={} bs=128k count=24 {direct} status=none && echo written",
        out.display()
    );
    let start = Instant::now();
    let run = project.run(&profile, &script);
    let took = start.elapsed();
    std::fs::remove_file(out).unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (0, "written\n"), "{run:?}");
    assert_eq!(run.stderr.contains("not enforced"), is_v1(), "{run:?}");
    assert!(
        took > WITHIN,
        "three seconds' worth was written in {took:?}"
    );
}

#[test]
fn a_device_that_is_no_disk_is_refused_with_its_line() {
    if without_limits("a_device_that_is_no_disk_is_refused_with_its_line") {
        return;
    }
    let project = Project::new();
    for (device, why) in [
        ("/proc", "is on no single block device"),
        ("/nowhere", "No such file or directory"),
    ] {
        let profile =
            format!("version = 1\n[limits]\nio = [\n{{ device = \"{device}\", read = 1 }},\n]");
        let refused = project.run(&profile, "echo ran");
        assert_eq!(refused.stdout, "");
        let words = refused.fails(125);
        for part in [why, "sandbox.toml:4:", "lsblk"] {
            assert!(words.contains(part), "{words}");
        }
    }
}
