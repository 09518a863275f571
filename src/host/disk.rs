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
        let whole = Some(Device { major: 8, minor: 0 });
        assert_eq!(disk_of(makedev(8, 0), &list), whole);
        assert_eq!(disk_of(makedev(8, 1), &list), whole);
        assert_eq!(disk_of(makedev(0, 31), &list), None);
        assert_eq!(disk_of(makedev(8, 2), &list), None);
        fs::remove_dir_all(&sys).unwrap();
        assert!(matches!(
            below(Path::new("/proc/self")),
            Err(NoDisk::NotOnOne { .. })
        ));
        let missing = below(&sys).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
