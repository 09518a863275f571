//! `io`: how fast devices are read and written.

use super::Weight;
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::disk::Device;
use crate::plan::Draft;
use crate::plan::op::{Limit, Rates};
use crate::profile::table::List;
use crate::profile::value::Size;
use crate::profile::variables::Variables;
use crate::sections::host_path;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

crate::table! {
    /// How fast one device is read and written, each second.
    ///
    /// Several entries on one device hold together: the lowest rate counts. What is written through the page
    /// cache counts on file systems that tell whose it is (ext4, xfs, btrfs, f2fs), and on cgroup v2 alone.
    pub struct RawIo as "a limit on a device" {
        /// The device, or a path on it: of a partition, a file or a folder it is the disk below that counts.
        device: String; required "/dev/sda",
        /// The most bytes read.
        read: Size,
        /// The most bytes written.
        write: Size,
        /// The most read operations.
        read_ops: u32,
        /// The most write operations.
        write_ops: u32,
        /// The share of the disk beside other groups, in place of `io_weight`: 1 to 10000; 100 is usual. Only a disk
        /// with the scheduler bfq, or on cgroup v2 with the cost model switched on, is divided by weights.
        weight: Weight,
    }
}

/// A checked entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Io {
    pub device: PathBuf,
    pub rates: Rates,
    /// The share of the disk.
    pub weight: Option<u32>,
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = self.rates.to_string();
        let weight = self.weight.map(|weight| format!("weight {weight}"));
        let parts = [Some(rates).filter(|rates| !rates.is_empty()), weight];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        write!(f, "{}: {}", self.device.display(), parts.join(", "))
    }
}

/// Checks the entries.
pub(super) fn check(
    raw: Option<At<List<RawIo>>>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Vec<At<Io>> {
    let entries = raw.map(|list| list.value.0).unwrap_or_default();
    let entries = entries.into_iter().filter_map(|At { value: raw, origin }| {
        let number = |rate: &Option<At<u32>>| rate.as_ref().map(|rate| u64::from(rate.value));
        let bytes = |rate: &Option<At<Size>>| rate.as_ref().map(|rate| rate.value.0);
        let rates = Rates {
            read: bytes(&raw.read),
            write: bytes(&raw.write),
            read_ops: number(&raw.read_ops),
            write_ops: number(&raw.write_ops),
        };
        let sizes = [&raw.read, &raw.write].into_iter().flatten();
        let sizes = sizes.map(|size| (size.value.0, &size.origin));
        let counts = [&raw.read_ops, &raw.write_ops].into_iter().flatten();
        let counts = counts.map(|count| (u64::from(count.value), &count.origin));
        for (_, origin) in sizes.chain(counts).filter(|(rate, _)| *rate == 0) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    origin,
                    "a device that is limited to nothing",
                )
                .help("for example: read = \"10M\"; what may not be read at all is not shown"),
            );
        }
        if rates == Rates::default() && raw.weight.is_none() {
            problems.push(
                Diagnostic::new(Code::MissingKey, &origin, "no rate is limited here").help(
                    "for example: { device = \"/dev/sda\", read = \"10M\", write_ops = 100 }",
                ),
            );
        }
        let device = host_path(&raw.device?, variables, problems)?;
        let weight = raw.weight.map(|weight| weight.value.0);
        let entry = Io {
            device,
            rates,
            weight,
        };
        Some(At::new(entry, origin))
    });
    entries.collect()
}

/// What helps where there is no disk.
pub(super) const NAME_A_DISK: &str = "name a disk, or a file or folder on one: `lsblk` lists them";

/// The limits in the kernel's terms: each disk once, at the lowest rates that are asked for.
pub(super) fn resolve(entries: &[&At<Io>], draft: &mut Draft<'_>) -> Vec<At<Limit>> {
    let mut disks: BTreeMap<Device, At<Limit>> = BTreeMap::new();
    for At { value, origin } in entries {
        match draft.host.tree.disk(&value.device) {
            // A share alone.
            Ok(_) if value.rates == Rates::default() => {}
            Ok(disk) => {
                let limit = At::new(Limit::Io(disk, value.rates), origin.clone());
                let held = disks.entry(disk).or_insert(limit);
                if let Limit::Io(_, rates) = &mut held.value {
                    *rates = rates.lowest(value.rates);
                }
            }
            Err(no) => draft.refuse(
                origin,
                format!("input and output cannot be limited there: {no}"),
                NAME_A_DISK,
            ),
        }
    }
    disks.into_values().collect()
}
