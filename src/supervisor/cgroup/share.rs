//! Huge pages and weights of disks: limits that cgroups-rs has no part in, or not with what the kernel makes of them.

use super::error::CgroupError;
use super::limits::Files;
use crate::host::cgroup::Controller;
use crate::host::disk::{Device, Weigher};

/// A size of huge pages as it stands in the names of files (mm/hugetlb_cgroup.c of the kernel).
pub(super) fn page_size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 30 => format!("{}GB", bytes >> 30),
        _ if bytes >= 1 << 20 => format!("{}MB", bytes >> 20),
        _ => format!("{}KB", bytes >> 10),
    }
}

impl Files<'_> {
    /// Pages in use, at which to go too far means SIGBUS; and pages that are reserved, at which mmap(2) fails first
    /// (Linux 5.7: before that, the former alone).
    pub(super) fn huge_pages(self, page: u64, bytes: u64) -> Result<(), CgroupError> {
        let size = page_size(page);
        let name = ["limit_in_bytes", "max"][usize::from(self.v2)];
        let used = self.file(Controller::Hugetlb, &format!("hugetlb.{size}.{name}"));
        used.write(&bytes.to_string())?;
        used.says(bytes, bytes)?;
        let reserved = self.file(Controller::Hugetlb, &format!("hugetlb.{size}.rsvd.{name}"));
        if reserved.path.exists() {
            reserved.write(&bytes.to_string())?;
            reserved.says(bytes, bytes)?;
        }
        Ok(())
    }

    /// The weight of one disk, or of all for which there is no other.
    pub(super) fn io_weight(
        self,
        by: Weigher,
        of: Option<Device>,
        weight: u32,
    ) -> Result<(), CgroupError> {
        let name = match (by, self.v2, of) {
            (Weigher::Cost, ..) => "io.weight",
            (Weigher::Bfq, true, _) => "io.bfq.weight",
            (Weigher::Bfq, false, None) => "blkio.bfq.weight",
            (Weigher::Bfq, false, Some(_)) => "blkio.bfq.weight_device",
        };
        let weight = match by {
            Weigher::Cost => weight,
            Weigher::Bfq => of_bfq(weight),
        };
        let file = self.file(Controller::Io, name);
        let (value, found) = match of {
            Some(disk) => {
                file.write(&format!("{disk} {weight}"))?;
                (weight.to_string(), file.of_device(disk)?)
            }
            None => {
                file.write(&weight.to_string())?;
                let text = file.read()?;
                let first = text.lines().next().unwrap_or_default();
                let found = first.strip_prefix("default ").unwrap_or(first);
                (weight.to_string(), found.to_owned())
            }
        };
        file.compare(found == value, &value, &found)
    }
}

/// bfq counts from 1 to 1000, with 100 as the usual share: as systemd does it, what is above that comes closer
/// together.
fn of_bfq(weight: u32) -> u32 {
    match weight {
        0..=100 => weight,
        _ => 100 + (weight.min(10_000) - 100) * 900 / 9_900,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_weights_are_those_of_the_kernel() {
        assert_eq!(
            [64 << 10, 2 << 20, 1 << 30].map(page_size),
            ["64KB", "2MB", "1GB"]
        );
        assert_eq!([1, 100, 10_000].map(of_bfq), [1, 100, 1000]);
        assert!(of_bfq(101) >= 100 && of_bfq(5000) < of_bfq(6000));
    }

    /// Files of v1 as a kernel makes them: what is written stays, and what is missing is an error.
    #[test]
    fn every_file_of_huge_pages_is_written_and_a_missing_one_is_an_error() {
        let dir = std::env::temp_dir().join(format!("sandbox-pages-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let files = Files {
            dir: &dir,
            v2: false,
        };
        let error = files.huge_pages(2 << 20, 4 << 20).unwrap_err().to_string();
        assert!(
            error.contains("hugetlb.2MB.limit_in_bytes (hugetlb controller)"),
            "{error}"
        );
        let names = [
            "hugetlb.2MB.limit_in_bytes",
            "hugetlb.2MB.rsvd.limit_in_bytes",
        ];
        for name in names {
            std::fs::write(dir.join(name), "").unwrap();
        }
        files.huge_pages(2 << 20, 4 << 20).unwrap();
        for name in names {
            assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), "4194304");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
