//! The disk on which something is: what limits on input and output are set on.

use rustix::fs::{FileType, major, makedev, minor};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The number of a block device, as `/sys/dev/block` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// The driver's part.
    pub major: u32,
    /// The device's part.
    pub minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Device {
    /// Of the text of a `dev` file in `/sys`.
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

/// Who divides a disk by the weights of those that want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weigher {
    /// The scheduler bfq (Documentation/block/bfq-iosched.rst).
    Bfq,
    /// The cost model of cgroup v2 (`io.cost.qos` in Documentation/admin-guide/cgroup-v2.rst).
    Cost,
}

impl fmt::Display for Weigher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bfq => "by its scheduler, bfq",
            Self::Cost => "by the cost model",
        })
    }
}

/// Who divides a disk by weights, if anybody does: the scheduler that it has, or the cost model where `costs`, the
/// text of `io.cost.qos`, has it switched on. Where nobody does, the kernel takes any weight, and nothing comes of it.
#[must_use]
pub fn weigher(disk: Device, costs: Option<&str>) -> Option<Weigher> {
    weigher_of(disk, costs, Path::new("/sys/dev/block"))
}

fn weigher_of(disk: Device, costs: Option<&str>, devices: &Path) -> Option<Weigher> {
    let queue = devices.join(disk.to_string()).join("queue/scheduler");
    let schedulers = std::fs::read_to_string(queue).unwrap_or_default();
    if schedulers.split_whitespace().any(|one| one == "[bfq]") {
        return Some(Weigher::Bfq);
    }
    let named = format!("{disk} ");
    let line = costs?.lines().find_map(|line| line.strip_prefix(&named))?;
    let is_on = line.split_whitespace().any(|word| word == "enable=1");
    is_on.then_some(Weigher::Cost)
}

/// Every disk: what `/sys/dev/block` lists and has a queue of its own.
#[must_use]
pub fn all() -> Vec<Device> {
    let devices = Path::new("/sys/dev/block");
    let names = super::tree::entries(devices).unwrap_or_default();
    let names = names.iter().filter_map(|(name, _)| name.to_str());
    let disks = names.filter(|name| devices.join(name).join("queue").exists());
    let mut disks: Vec<_> = disks.filter_map(Device::parse).collect();
    disks.sort_unstable();
    disks
}

/// Whether a node is one of blocks, and its number; `None` if it is no device.
pub(super) fn number(metadata: &std::fs::Metadata) -> Option<(bool, Device)> {
    let block = match FileType::from_raw_mode(metadata.mode()) {
        FileType::BlockDevice => true,
        FileType::CharacterDevice => false,
        _ => return None,
    };
    let number = metadata.rdev();
    let (major, minor) = (major(number), minor(number));
    Some((block, Device { major, minor }))
}

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub enum NoDisk {
    /// Nothing can be seen at the path.
    #[error("{} cannot be looked at: {cause}", path.display())]
    Unseen {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file system that is in memory, on a network, or on several disks.
    #[error("{} is on no single block device that /sys/dev/block shows", path.display())]
    NotOnOne {
        /// The path.
        path: PathBuf,
    },
}

/// The disk of a path, links followed: that of a block device itself, else that of the file system on
/// which the path is. Of a partition it is the whole disk, because only whole disks have queues.
pub fn below(path: &Path) -> Result<Device, NoDisk> {
    below_of(path, Path::new("/sys/dev/block"))
}

fn below_of(path: &Path, devices: &Path) -> Result<Device, NoDisk> {
    let metadata = path.metadata().map_err(|cause| NoDisk::Unseen {
        path: path.into(),
        cause,
    })?;
    let number = match FileType::from_raw_mode(metadata.mode()) {
        FileType::BlockDevice => metadata.rdev(),
        _ => metadata.dev(),
    };
    disk_of(number, devices).ok_or_else(|| NoDisk::NotOnOne { path: path.into() })
}

fn disk_of(number: u64, devices: &Path) -> Option<Device> {
    let device = Device {
        major: major(number),
        minor: minor(number),
    };
    debug_assert_eq!(makedev(device.major, device.minor), number);
    // A file system without a device has a number of the major 0, which is not listed.
    let folder = devices.join(device.to_string()).canonicalize().ok()?;
    match folder.join("partition").exists() {
        true => Device::parse(&std::fs::read_to_string(folder.parent()?.join("dev")).ok()?),
        false => Some(device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_partition_is_on_its_disk_and_memory_on_none() {
        let sys = std::env::temp_dir().join(format!("sandbox-disk-{}", std::process::id()));
        let (disk, list) = (sys.join("devices/sda"), sys.join("dev"));
        fs::create_dir_all(disk.join("sda1")).unwrap();
        fs::create_dir_all(&list).unwrap();
        fs::write(disk.join("dev"), "8:0\n").unwrap();
        fs::write(disk.join("sda1/dev"), "8:1\n").unwrap();
        fs::write(disk.join("sda1/partition"), "1\n").unwrap();
        std::os::unix::fs::symlink(&disk, list.join("8:0")).unwrap();
        std::os::unix::fs::symlink(disk.join("sda1"), list.join("8:1")).unwrap();
        let sda = Device { major: 8, minor: 0 };
        let whole = Some(sda);
        assert_eq!(disk_of(makedev(8, 0), &list), whole);
        assert_eq!(disk_of(makedev(8, 1), &list), whole);
        assert_eq!(disk_of(makedev(0, 31), &list), None);
        assert_eq!(disk_of(makedev(8, 2), &list), None);
        fs::create_dir_all(disk.join("queue")).unwrap();
        let schedulers = disk.join("queue/scheduler");
        fs::write(&schedulers, "none [mq-deadline] bfq\n").unwrap();
        assert_eq!(weigher_of(sda, None, &list), None);
        let costs = |line: &str| weigher_of(sda, Some(line), &list);
        assert_eq!(costs("8:0 enable=0 ctrl=auto\n"), None);
        assert_eq!(costs("8:16 enable=1\n18:0 enable=1 ctrl=auto\n"), None);
        assert_eq!(costs("8:0 enable=1 ctrl=auto\n"), Some(Weigher::Cost));
        fs::write(&schedulers, "none mq-deadline [bfq]\n").unwrap();
        assert_eq!(weigher_of(sda, None, &list), Some(Weigher::Bfq));
        fs::remove_dir_all(&sys).unwrap();
        assert!(matches!(
            below(Path::new("/proc/self")),
            Err(NoDisk::NotOnOne { .. })
        ));
        let missing = below(&sys).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
