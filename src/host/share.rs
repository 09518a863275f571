//! How much of something a group could use at most: what the machine has, and what the groups permit in
//! which it is.

use super::cgroup::{Controller, Kind, Place, V1Hierarchy};
use std::io;
use std::path::{Path, PathBuf};

/// The most that a group made at a place could use, of memory in bytes or of tasks.
///
/// # Errors
/// When the machine does not say what it has, or a group above what it permits.
pub fn most(place: &Place, controller: Controller) -> io::Result<u64> {
    let machine = match controller {
        Controller::Memory => memory()?,
        _ => number("/proc/sys/kernel/threads-max")?.min(number("/proc/sys/kernel/pid_max")?),
    };
    let Some((base, v2)) = base(place, controller) else {
        return Ok(machine);
    };
    let tasks = match place.v2() {
        Some((_, Kind::Scope(scope), _)) => scope.tasks,
        _ => None,
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

/// How much memory is kept at most for a group at a place, by a file such as `memory.low`, and which group above
/// it says so; `None` where none has such a file, as nobody is above.
///
/// # Errors
/// A group above it does not say.
pub fn kept(place: &Place, file: &str) -> io::Result<Option<(u64, PathBuf)>> {
    let Some((base, true)) = base(place, Controller::Memory) else {
        return Ok(None);
    };
    // A scope that is yet to be made is given nothing.
    if let Some((_, Kind::Scope(scope), _)) = place.v2() {
        return Ok(Some((0, scope.dir.clone())));
    }
    least_kept(base, file)
}

fn least_kept(base: &Path, file: &str) -> io::Result<Option<(u64, PathBuf)>> {
    let mut least: Option<(u64, PathBuf)> = None;
    for group in groups(base) {
        let Some(text) = text(&group.join(file))? else {
            continue;
        };
        let kept = match text.trim() {
            "max" => u64::MAX,
            number => number.parse().map_err(io::Error::other)?,
        };
        if least.as_ref().is_none_or(|(before, _)| kept < *before) {
            least = Some((kept, group.to_owned()));
        }
    }
    Ok(least)
}

/// How many processors a group made at a place could use: those that the caller may run on, of some ranges
/// if they are given, and no more than the quotas of the groups permit.
///
/// # Errors
/// When the kernel does not say which the caller may run on, or a group above what it permits.
pub fn processors(place: &Place, of: Option<&[(u64, u64)]>) -> io::Result<f64> {
    let mine = allowed(&std::fs::read_to_string("/proc/self/status")?)?;
    let everything = [(0, u64::MAX)];
    let of = of.unwrap_or(&everything);
    let held = mine.into_iter().flat_map(|(first, last)| first..=last);
    let held = held.filter(|n| of.iter().any(|(first, last)| (*first..=*last).contains(n)));
    let held = held.count() as f64;
    let Some((base, v2)) = base(place, Controller::Cpu) else {
        return Ok(held);
    };
    let mut least = held;
    for group in groups(base) {
        let (quota, period) = if v2 {
            let Some(text) = text(&group.join("cpu.max"))? else {
                continue;
            };
            let (quota, period) = text.trim().split_once(' ').unwrap_or((&text, ""));
            (quota.to_owned(), period.to_owned())
        } else {
            let quota = text(&group.join("cpu.cfs_quota_us"))?;
            let (Some(quota), Some(period)) = (quota, text(&group.join("cpu.cfs_period_us"))?)
            else {
                continue;
            };
            (quota, period)
        };
        if !matches!(quota.trim(), "max" | "-1") {
            let number = |text: &str| text.trim().parse::<f64>().map_err(io::Error::other);
            least = least.min(number(&quota)? / number(&period)?);
        }
    }
    Ok(least)
}

/// The directory below which the group goes that has a controller, and whether it is of v2.
fn base(place: &Place, controller: Controller) -> Option<(&Path, bool)> {
    let of_v1 = |hierarchy: &&V1Hierarchy| hierarchy.controllers.contains(&controller);
    let v1 = place.v1().iter().find(of_v1);
    let v1 = v1.map(|hierarchy| (hierarchy.dir.as_path(), false));
    let v2 = || {
        let (base, ..) = place.v2()?;
        // A scope is not there yet; the groups around it are.
        let there = base.ancestors().find(|dir| dir.exists());
        Some((there.unwrap_or(base), true))
    };
    v1.or_else(v2)
}

/// A group and those above it, as far as they can be seen.
fn groups(base: &Path) -> impl Iterator<Item = &Path> {
    // Above the mount there are no groups.
    base.ancestors()
        .take_while(|group| group.join("cgroup.procs").exists())
}

/// What a file of a group says. The root of the hierarchy has no file of a limit, nor has a group without
/// the controller.
fn text(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// The least that a group and those above it permit, as far as they can be seen.
fn permitted(base: &Path, file: &str) -> io::Result<Option<u64>> {
    let mut least = None;
    for group in groups(base) {
        let Some(text) = text(&group.join(file))? else {
            continue;
        };
        if text.trim() != "max" {
            let most: u64 = text.trim().parse().map_err(io::Error::other)?;
            least = Some(least.map_or(most, |least: u64| least.min(most)));
        }
    }
    Ok(least)
}

/// The ranges of processors that a process may run on, by its status (proc_pid_status(5)).
fn allowed(status: &str) -> io::Result<Vec<(u64, u64)>> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.ok_or_else(|| io::Error::other("/proc does not say Cpus_allowed_list"))?;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
        Ok((number(first)?, number(last)?))
    };
    list.trim().split(',').map(range).collect()
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
        assert_eq!(least_kept(&group, "memory.low").unwrap(), None);
        fs::write(root.join("a/memory.low"), "max\n").unwrap();
        fs::write(root.join("a/b/memory.low"), "100\n").unwrap();
        fs::write(group.join("memory.low"), "300\n").unwrap();
        let kept = least_kept(&group, "memory.low").unwrap();
        assert_eq!(kept, Some((100, root.join("a/b"))));
        fs::write(group.join("memory.max"), "-1\n").unwrap();
        assert!(permitted(&group, "memory.max").is_err());
        fs::remove_dir_all(&root).unwrap();
        assert!(memory().unwrap() > 1 << 20);
    }
}
