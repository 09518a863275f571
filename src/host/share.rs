//! How much of something a group could use at most: what the machine has, and what the groups permit in
//! which it is.

use super::cgroup::{Controller, Kind, Place};
use std::io;
use std::path::Path;

/// The most that a group made at a place could use, of memory in bytes or of tasks.
///
/// # Errors
/// When the machine does not say what it has, or a group above what it permits.
pub fn most(place: &Place, controller: Controller) -> io::Result<u64> {
    let machine = match controller {
        Controller::Memory => memory()?,
        _ => number("/proc/sys/kernel/threads-max")?.min(number("/proc/sys/kernel/pid_max")?),
    };
    let (base, v2) = match place {
        Place::V1 { hierarchies } => {
            let mut of = hierarchies.iter();
            let found = of.find(|hierarchy| hierarchy.controllers.contains(&controller));
            (found.map(|hierarchy| hierarchy.dir.as_path()), false)
        }
        Place::V2 { base, .. } => (Some(base.as_path()), true),
    };
    let Some(base) = base else { return Ok(machine) };
    // A scope is not there yet; the groups around it are.
    let (base, tasks) = match place {
        Place::V2 {
            kind: Kind::Scope(scope),
            ..
        } => (
            base.ancestors().find(|dir| dir.exists()).unwrap_or(base),
            scope.tasks,
        ),
        _ => (base, None),
    };
    let machine = match (controller, tasks) {
        (Controller::Pids, Some(tasks)) => machine.min(tasks),
        _ => machine,
    };
    let file = match (controller, v2) {
        (Controller::Memory, true) => "memory.max",
        (Controller::Memory, false) => "memory.limit_in_bytes",
        _ => "pids.max",
    };
    Ok(permitted(base, file)?.map_or(machine, |most| most.min(machine)))
}

/// The least that a group and those above it permit, as far as they can be seen. The root of the
/// hierarchy has no such file, nor has a group without the controller.
fn permitted(base: &Path, file: &str) -> io::Result<Option<u64>> {
    let mut least = None;
    for group in base.ancestors() {
        // Above the mount there are no groups.
        if !group.join("cgroup.procs").exists() {
            break;
        }
        let text = match std::fs::read_to_string(group.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text?,
        };
        if text.trim() != "max" {
            let most: u64 = text.trim().parse().map_err(io::Error::other)?;
            least = Some(least.map_or(most, |least: u64| least.min(most)));
        }
    }
    Ok(least)
}

/// The machine's memory in bytes (proc_meminfo(5)).
fn memory() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| {
        let kilobytes = line.strip_prefix("MemTotal:")?.strip_suffix("kB")?;
        kilobytes.trim().parse::<u64>().ok()
    });
    let total = total.map(|kilobytes| kilobytes.saturating_mul(1024));
    total.ok_or_else(|| io::Error::other("/proc/meminfo does not say MemTotal"))
}

fn number(path: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_least_of_all_groups_counts() {
        let root = std::env::temp_dir().join(format!("sandbox-share-{}", std::process::id()));
        let group = root.join("a/b/c");
        fs::create_dir_all(&group).unwrap();
        for above in group.ancestors().take(4) {
            fs::write(above.join("cgroup.procs"), "").unwrap();
        }
        let least = || permitted(&group, "memory.max").unwrap();
        assert_eq!(least(), None);
        fs::write(root.join("a/memory.max"), "500\n").unwrap();
        fs::write(root.join("a/b/memory.max"), "max\n").unwrap();
        fs::write(group.join("memory.max"), "700\n").unwrap();
        assert_eq!(least(), Some(500));
        fs::write(group.join("memory.max"), "300\n").unwrap();
        assert_eq!(least(), Some(300));
        fs::write(group.join("memory.max"), "-1\n").unwrap();
        assert!(permitted(&group, "memory.max").is_err());
        fs::remove_dir_all(&root).unwrap();
        assert!(memory().unwrap() > 1 << 20);
    }
}
