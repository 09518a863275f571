//! What a group has counted of the run in it (Documentation/admin-guide/cgroup-v2.rst and
//! Documentation/admin-guide/cgroup-v1, memory.rst, cpuacct.rst, blkio-controller.rst).

use super::share::page_size;
use super::{Group, keyed, number};
use crate::host::cgroup::Controller;
use crate::report::usage::{Counted, Figure, Measured, Usage};
use std::path::Path;
use std::time::Duration;

impl Group {
    /// Reads everything that the group has counted. To be asked before [`Group::remove`].
    pub fn count(&self, into: &mut Measured) {
        let Measured { usage, counted, .. } = into;
        if let Some(group) = &self.v2 {
            v2_usage(&group.dir, usage);
            v2_counted(&group.dir, counted);
        }
        // Where both have a part of the group, what is in v1 is not in v2.
        if let Some(group) = &self.v1 {
            if let Some(dir) = group.dir(Controller::Memory) {
                usage.memory_peak_bytes = v1(dir, "memory.max_usage_in_bytes");
                counted.memory = number(&dir.join("memory.failcnt"));
                counted.oom_kills = keyed(&dir.join("memory.oom_control"), "oom_kill");
            }
            if let Some(dir) = group.dir(Controller::Pids) {
                usage.tasks_peak = v1(dir, "pids.peak");
                counted.pids = keyed(&dir.join("pids.events"), "max");
            }
            if let Some(dir) = group.dir(Controller::Cpuacct) {
                v1_times(dir, usage);
            }
            if let Some(dir) = group.dir(Controller::Cpu) {
                let stat = dir.join("cpu.stat");
                counted.cpu = keyed(&stat, "nr_throttled");
                let source = |key| format!("cgroup v1 cpu.stat {key}");
                usage.throttled_periods =
                    counted.cpu.map(|n| Figure::new(n, source("nr_throttled")));
                usage.throttled_seconds = keyed(&stat, "throttled_time")
                    .map(|ns| Figure::new(ns as f64 / 1e9, source("throttled_time")));
            }
            if let Some(dir) = group.dir(Controller::Io) {
                v1_io(dir, usage);
            }
            if let Some(dir) = group.dir(Controller::Hugetlb) {
                counted.huge_pages = huge_pages(dir, |size| {
                    let of = |kind| number(&dir.join(format!("hugetlb.{size}.{kind}failcnt")));
                    Some(of("")? + of("rsvd.").unwrap_or(0))
                });
            }
        }
    }
}

/// What a group uses now; `None` where it does not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Processor time, so far.
    pub cpu: Option<Duration>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Whether it is frozen.
    pub frozen: Option<bool>,
}

impl Group {
    /// What is used at this moment.
    pub fn now(&self) -> Now {
        let v1 = |controller, file| number(&self.v1.as_ref()?.dir(controller)?.join(file));
        let v2 = |file| self.v2.as_ref().map(|group| group.dir.join(file));
        let cpu = v1(Controller::Cpuacct, "cpuacct.usage").map(Duration::from_nanos);
        let memory = v1(Controller::Memory, "memory.usage_in_bytes");
        Now {
            cpu: cpu.or_else(|| keyed(&v2("cpu.stat")?, "usage_usec").map(Duration::from_micros)),
            memory: memory.or_else(|| number(&v2("memory.current")?)),
            tasks: v1(Controller::Pids, "pids.current").or_else(|| number(&v2("pids.current")?)),
            frozen: self.frozen(),
        }
    }

    /// Whether it is frozen; `None` where it has no freezer, or is gone.
    pub(super) fn frozen(&self) -> Option<bool> {
        let events = self.v2.as_ref()?.dir.join("cgroup.events");
        Some(keyed(&events, "frozen")? == 1)
    }
}

fn v1(dir: &Path, file: &str) -> Option<Figure<u64>> {
    let source = format!("cgroup v1 {file}");
    number(&dir.join(file)).map(|n| Figure::new(n, source))
}

/// The sum is exact; its parts are counted in ticks.
fn v1_times(dir: &Path, usage: &mut Usage) {
    let stat = dir.join("cpuacct.stat");
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let part = |key: &str| {
        let source = format!("cgroup v1 cpuacct.stat {key}");
        keyed(&stat, key).map(|n| Figure::new(n as f64 / ticks, source))
    };
    usage.cpu_seconds = v1(dir, "cpuacct.usage").map(|ns| Figure {
        value: ns.value as f64 / 1e9,
        source: ns.source,
    });
    usage.cpu_user_seconds = part("user");
    usage.cpu_system_seconds = part("system");
}

/// Lines of a device, an operation and a number; the totals have a line of their own in the end.
fn v1_io(dir: &Path, usage: &mut Usage) {
    let sum = |file: &str, operation: &str| {
        let text = std::fs::read_to_string(dir.join(file)).ok()?;
        let of = |line: &str| {
            let (_, rest) = line.split_once(' ')?;
            rest.strip_prefix(operation)?.trim().parse::<u64>().ok()
        };
        let sum = text.lines().filter_map(of).sum();
        Some(Figure::new(sum, format!("cgroup v1 {file}")))
    };
    let (bytes, operations) = (
        "blkio.throttle.io_service_bytes",
        "blkio.throttle.io_serviced",
    );
    usage.read_bytes = sum(bytes, "Read");
    usage.written_bytes = sum(bytes, "Write");
    usage.read_operations = sum(operations, "Read");
    usage.write_operations = sum(operations, "Write");
}

fn v2_usage(dir: &Path, usage: &mut Usage) {
    let whole =
        |file: &str| number(&dir.join(file)).map(|n| Figure::new(n, format!("cgroup v2 {file}")));
    let stat = |key: &str| {
        keyed(&dir.join("cpu.stat"), key)
            .map(|n| Figure::new(n, format!("cgroup v2 cpu.stat {key}")))
    };
    let seconds = |key: &str| {
        stat(key).map(|us| Figure {
            value: us.value as f64 / 1e6,
            source: us.source,
        })
    };
    usage.memory_peak_bytes = whole("memory.peak");
    usage.tasks_peak = whole("pids.peak");
    usage.cpu_seconds = seconds("usage_usec");
    usage.cpu_user_seconds = seconds("user_usec");
    usage.cpu_system_seconds = seconds("system_usec");
    usage.throttled_periods = stat("nr_throttled");
    usage.throttled_seconds = seconds("throttled_usec");
    // A line a device, of `key=number`; without devices there is nothing in it.
    let Ok(io) = std::fs::read_to_string(dir.join("io.stat")) else {
        return;
    };
    let sum = |key: &str| {
        let words = io.split_whitespace();
        let numbers = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let sum = numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum();
        Some(Figure::new(sum, format!("cgroup v2 io.stat {key}")))
    };
    usage.read_bytes = sum("rbytes");
    usage.written_bytes = sum("wbytes");
    usage.read_operations = sum("rios");
    usage.write_operations = sum("wios");
}

fn v2_counted(dir: &Path, counted: &mut Counted) {
    let memory = |key| keyed(&dir.join("memory.events"), key);
    *counted = Counted {
        pids: keyed(&dir.join("pids.events"), "max"),
        memory: memory("max"),
        oom_kills: memory("oom_kill"),
        memory_high: memory("high"),
        swap: keyed(&dir.join("memory.swap.events"), "max"),
        cpu: keyed(&dir.join("cpu.stat"), "nr_throttled"),
        huge_pages: huge_pages(dir, |size| {
            keyed(&dir.join(format!("hugetlb.{size}.events")), "max")
        }),
    };
}

/// How often the limit on the huge pages of each size was reached.
fn huge_pages(dir: &Path, count: impl Fn(&str) -> Option<u64>) -> Vec<(u64, u64)> {
    let sizes = (14..40).map(|shift| 1u64 << shift);
    // Most groups have none.
    let there = |size: &u64| {
        let name = page_size(*size);
        let files = [
            format!("hugetlb.{name}.max"),
            format!("hugetlb.{name}.limit_in_bytes"),
        ];
        files.iter().any(|file| dir.join(file).exists())
    };
    let counts = sizes
        .filter(there)
        .filter_map(|size| Some((size, count(&page_size(size))?)));
    counts.collect()
}
