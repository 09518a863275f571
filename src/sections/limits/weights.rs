//! `io_weight`, and `weight` in entries of `io`: shares of disks. A group's file takes any weight, whoever schedules
//! the disk; so what divides by weights is looked for, and where nothing does, there is no such limit.

use super::Weight;
use super::io::Io;
use crate::diag::{At, Origin};
use crate::host::cgroup::{Cgroups, Controller};
use crate::host::disk::{Device, Weigher};
use crate::plan::Draft;
use crate::plan::op::Limit;
use std::collections::BTreeSet;

/// A share that cannot be had: of which line, why, and what helps.
pub(super) type Unweighed = (Origin, String, &'static str);

/// Where nothing divides.
const REMEDY: &str = "switch to the scheduler bfq (`echo bfq >/sys/block/DISK/queue/scheduler`), or on cgroup v2 the cost model on (`io.cost.qos` of the root group); or leave the weight out";

/// The weights as limits, and those that nothing would come of.
pub(super) fn resolve(
    all: &[&At<Weight>],
    entries: &[&At<Io>],
    cgroups: &Cgroups,
    draft: &Draft<'_>,
) -> (Vec<At<Limit>>, Vec<Unweighed>) {
    let (mut set, mut without) = (Vec::new(), Vec::new());
    if all.is_empty() && entries.iter().all(|entry| entry.value.weight.is_none()) {
        return (set, without);
    }
    // The cost model is one of v2.
    let costs = match cgroups.is_v1(Controller::Io) {
        true => None,
        false => cgroups.costs(),
    };
    for At { value, origin } in all {
        let disks = draft.host.tree.disks();
        let by = |disk: &Device| draft.host.tree.weigher(*disk, costs.as_deref());
        let all: BTreeSet<Weigher> = disks.iter().filter_map(by).collect();
        if all.is_empty() {
            without.push((
                origin.clone(),
                "no disk here is divided by weights".into(),
                REMEDY,
            ));
        }
        let (of, weight) = (None, value.0);
        let limit = |by| At::new(Limit::IoWeight { by, of, weight }, origin.clone());
        set.extend(all.into_iter().map(limit));
    }
    for At { value, origin } in entries {
        let Some(weight) = value.weight else {
            continue;
        };
        // Its rates may have found the disk, or be none.
        let disk = match draft.host.tree.disk(&value.device) {
            Ok(disk) => disk,
            Err(no) => {
                without.push((origin.clone(), no.to_string(), super::io::NAME_A_DISK));
                continue;
            }
        };
        let Some(by) = draft.host.tree.weigher(disk, costs.as_deref()) else {
            let text = format!("the disk {disk} is not divided by weights");
            without.push((origin.clone(), text, REMEDY));
            continue;
        };
        let of = Some(disk);
        set.push(At::new(Limit::IoWeight { by, of, weight }, origin.clone()));
    }
    (set, without)
}
