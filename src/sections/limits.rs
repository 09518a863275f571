//! `[limits]`: what the command and all its descendants may use together (cgroups(7)).

mod asked;
mod devices;
mod grants;
mod huge_pages;
mod io;
mod output;
mod part;
mod path;
pub(crate) mod processors;
mod realtime;
mod reserved;
mod steps;
mod time;
mod weights;

use super::{Profile, enforce::Level, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::cgroup::Controller;
use crate::plan::op::{Limit, Over};
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{List, Map, Value, read_integer, wrong};
use crate::profile::value::{Cores, Duration, Grace, Size, Space, StopSignal};
use crate::profile::variables::Variables;
pub use asked::Asked;
use io::{Io, RawIo};
use part::{Amount, Part};
use processors::is_cpu_list;
pub(crate) use processors::processors;
use std::path::PathBuf;

crate::table! {
    /// What the command and all its descendants may use together.
    ///
    /// ```toml
    /// [limits]
    /// pids = 200
    /// memory = "50%"
    /// cpu = 1.5
    /// cpu_time = "30m"
    /// io = [{ device = "/", read = "50M" }]
    /// wall_time = "10m"
    /// idle = "5m"
    /// grace = "10s"
    /// output = "10M"
    /// ```
    pub struct RawLimits as "[limits]" {
        /// Below which cgroup that of the sandbox is made, as `/proc/self/cgroup` has its path: one that is there and
        /// may be written; on cgroup v1 in each hierarchy, on v2 without processes of its own. The limits of the
        /// caller's group do not count there. Default: below the caller's group, or beside it.
        parent: String,
        /// The name of the sandbox's cgroup. What is there under this name is never used: the run is refused.
        /// Default: one that no other run has.
        name: String,
        /// The most processes and threads, the sandbox's own init included.
        /// Or a part of what the machine and the groups around permit: `"50%"`.
        pids: Amount<u64>,
        /// The most memory, page cache included; beyond it the whole sandbox is killed.
        /// Or a part of what the machine and the groups around permit: `"50%"`.
        memory: Amount<Size>,
        /// From here on the sandbox is slowed down and its memory reclaimed, before `memory` kills it. Cgroup v2 only.
        memory_high: Size,
        /// Memory that is not taken from the sandbox while others have any that is not kept for them. No more than
        /// the groups above it have been given. Cgroup v2 only.
        memory_low: Size,
        /// Memory that is never taken from the sandbox; else as `memory_low`. Cgroup v2 only.
        memory_min: Size,
        /// Which nodes memory is taken from, as cpuset(7) lists them: `"0-1"`.
        memory_nodes: String,
        /// Whether all processes end when one is killed for want of memory. Default: true on cgroup v2, where `memory`
        /// is set. Cgroup v1 kills one process, and cannot do otherwise.
        oom_group: bool,
        /// The most huge pages, by their size, in use and reserved: `{ "2M" = "512M" }`. `memory` does not count them.
        huge_pages: Map<Size>,
        /// The most swap, on top of memory. Default: 0 where `memory` is set. Without `memory` cgroup v2 only.
        swap: Size,
        /// Processor time, in processors: 0.5 is half of one. Or a part of those that the caller, `cpuset` and the
        /// groups around permit: `"50%"`.
        cpu: Amount<Cores>,
        /// The time over which `cpu` is counted, from 1 ms to 1 s.
        cpu_period: Duration = "100ms",
        /// How much processor time may be saved up in periods that do not use their share, and used later on top of
        /// it; at most what `cpu` is of `cpu_period`.
        cpu_burst: Duration,
        /// The share of processor time beside other groups, where there is not enough: 1 to 10000; 100 is usual. Or
        /// `"idle"`: only what nobody else wants (Linux 5.15).
        cpu_weight: CpuWeight,
        /// Processor time of each second for processes with a real-time priority (`scheduler` under `[process]`), which
        /// then wait for the next one: `"50ms"`. No more than the group above has left. Cgroup v1 only, on kernels with
        /// CONFIG_RT_GROUP_SCHED; there a sandbox with a limit on processor time has none without this.
        realtime: Duration,
        /// The processor time of all processes together, in all; when it is used up, as for `wall_time`.
        cpu_time: Duration,
        /// Which processors, as cpuset(7) lists them: `"0-3,7"`.
        cpuset: String,
        /// How fast disks are read and written, each second: `device` and at least one of `read`, `write` (bytes),
        /// `read_ops`, `write_ops`, `weight`. What is written through the page cache is limited on cgroup v2 alone.
        io: List<RawIo>,
        /// The share of disks beside other groups: 1 to 10000; 100 is usual. Only disks with the scheduler bfq, or on
        /// cgroup v2 with the cost model switched on, are divided by weights: without any the run is refused.
        io_weight: Weight,
        /// How long the command may run; then it gets `stop_signal`, and after `grace` SIGKILL.
        wall_time: Duration,
        /// How long the command may do nothing; then as for `wall_time`. Nothing means: no output, and in each sixteenth
        /// of that time less than a hundredth of one processor (of all that it may use, where that is less), as its
        /// cgroup counts it. To wait for input is to do nothing, to wait for a reader of the output is not. The output is
        /// relayed as with `output`.
        idle: Duration,
        /// How long after that, whoever asked it to end, or `"infinity"`: then nobody kills it.
        grace: Grace = "5s",
        /// The signal that asks the command to end, in the place of SIGTERM: at a limit, from `sandbox kill` and
        /// `sandbox down`, and where SIGTERM is sent to the sandbox itself. `"SIGINT"`, `"SIGQUIT"`, `"SIGHUP"`,
        /// `"SIGUSR1"`, `"SIGUSR2"`, `"SIGALRM"`, `"SIGWINCH"`, or a real-time one: `"SIGRTMIN+3"`.
        stop_signal: StopSignal = "SIGTERM",
        /// The most bytes that are written to stdout and stderr together. The two become pipes, which stay apart and
        /// are no terminal; the sandbox hands on what comes through them.
        output: Size,
        /// What happens beyond `output`.
        output_over: Over = "cut",
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Limits {
    group: Vec<At<Limit>>,
    parent: Option<At<PathBuf>>,
    name: Option<At<String>>,
    /// Where it is a fixed amount.
    memory: Option<At<Size>>,
    parts: Vec<At<Part>>,
    wall_time: Option<At<Duration>>,
    cpu_time: Option<At<Duration>>,
    idle: Option<At<Duration>>,
    output: Option<At<Size>>,
    output_over: At<Over>,
    io: Vec<At<Io>>,
    io_weight: Option<At<Weight>>,
    /// Over which processor time is counted, in microseconds.
    period_us: At<u64>,
    /// How many processors can be used at once, where that is bounded.
    processors: Option<f64>,
    grace: At<Grace>,
    stop_signal: At<StopSignal>,
}

/// A share beside others: the weights of those that want something say how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(u32);

impl Value for Weight {
    const KIND: Kind = Kind::Integer(1, 10_000);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let number = read_integer(node, problems, 1, 10_000)?;
        u32::try_from(number).ok().map(Self)
    }
}

/// The same, or nothing but what others leave over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuWeight {
    /// A share.
    Share(Weight),
    /// What nobody else wants.
    Idle,
}

impl Value for CpuWeight {
    const KIND: Kind = Kind::Either(&[
        Weight::KIND,
        Kind::Choice(&[Word {
            word: "idle",
            doc: &["Only what nobody else wants."],
        }]),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Content::String(text) if text == "idle" => Some(Self::Idle),
            Content::String(text) => {
                let message = format!("`{text}` is no share of processor time");
                wrong(&node.origin, message, "100, or \"idle\"", problems);
                None
            }
            _ => Weight::read(node, problems).map(Self::Share),
        }
    }
}

/// The weight of a group for which none is set.
const USUAL_WEIGHT: u32 = 100;

/// The fewest processes with which a command can start: init and the command.
const FEWEST: u64 = 2;

/// The least memory with which anything starts.
const LEAST: Size = Size(1 << 20);

impl Limits {
    /// Checks the values.
    pub fn check(
        raw: Option<At<RawLimits>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let (raw, _) = split(raw, "limits");
        output::check(&raw, problems);
        let (pids, pids_part) = part::apart(raw.pids);
        let (memory, memory_part) = part::apart(raw.memory);
        let (fixed_cpu, cpu_part) = part::apart(raw.cpu);
        let has_cpu = fixed_cpu.is_some() || cpu_part.is_some();
        let (period_us, burst) = time::check(
            &raw.cpu_period,
            raw.cpu_burst.as_ref(),
            fixed_cpu.as_ref(),
            has_cpu,
            problems,
        );
        if let Some(pids) = pids.as_ref().filter(|pids| pids.value < FEWEST) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    &pids.origin,
                    "too few processes to start a command",
                )
                .help("2 are init and the command; for example: pids = 20"),
            );
        }
        let memories = [&memory, &raw.memory_high].into_iter().flatten();
        for memory in memories.filter(|memory| memory.value < LEAST) {
            problems.push(
                Diagnostic::new(
                    Code::LimitTooSmall,
                    &memory.origin,
                    "too little memory to start a command",
                )
                .help("for example: memory = \"100M\""),
            );
        }
        if let (Some(high), Some(most)) = (&raw.memory_high, &memory)
            && high.value > most.value
        {
            problems.push(
                Diagnostic::new(
                    Code::HighAboveMemory,
                    &high.origin,
                    format!(
                        "at {} the sandbox is killed, before {} slow it down",
                        most.value, high.value
                    ),
                )
                .and(&most.origin, "the memory that it has")
                .help("lower `memory_high`, or raise `memory`"),
            );
        }
        let kept = [
            ("memory_low", &raw.memory_low),
            ("memory_min", &raw.memory_min),
        ];
        reserved::check(kept, memory.as_ref(), problems);
        for (key, what, list) in [
            ("cpuset", "processors", &raw.cpuset),
            ("memory_nodes", "memory nodes", &raw.memory_nodes),
        ] {
            if let Some(list) = list.as_ref().filter(|list| !is_cpu_list(&list.value)) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &list.origin,
                        format!("`{}` is no list of {what}", list.value),
                    )
                    .help(format!("for example: {key} = \"0-3,7\"")),
                );
            }
        }
        for (key, time) in [("wall_time", &raw.wall_time), ("cpu_time", &raw.cpu_time)] {
            if let Some(time) = time.as_ref().filter(|time| time.value.0.is_zero()) {
                problems.push(
                    Diagnostic::new(
                        Code::LimitTooSmall,
                        &time.origin,
                        "no time to start a command",
                    )
                    .help(format!(
                        "for example: {key} = \"10m\"; without the key there is no limit"
                    )),
                );
            }
        }
        if let (Some(time), grace) = (&raw.wall_time, &raw.grace)
            && !time.value.0.is_zero()
            && !grace.origin.is_default()
            && grace.value.0 > time.value.0
        {
            problems.push(
                Diagnostic::new(
                    Code::GraceAboveWallTime,
                    &grace.origin,
                    format!(
                        "a command that does not end when it is asked to runs for {} after its {} are over",
                        grace.value, time.value
                    ),
                )
                .and(&time.origin, "the time that it has")
                .help("shorten `grace`, or lengthen `wall_time`"),
            );
        }
        if let (Some(cpu), Some(cpuset)) = (&fixed_cpu, &raw.cpuset)
            && let Some(held) = processors(&cpuset.value)
            && cpu.value.0 > f64::from(held)
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &cpu.origin,
                    "more processor time than the processors of `cpuset` have",
                )
                .and(&cpuset.origin, format!("{held} of them"))
                .help("lower `cpu`, or name more processors"),
            );
        }
        let held = raw
            .cpuset
            .as_ref()
            .and_then(|list| Some((f64::from(processors(&list.value)?), &list.origin)));
        let share = fixed_cpu.as_ref().map(|cpu| (cpu.value.0, &cpu.origin));
        let most = [share, held]
            .into_iter()
            .flatten()
            .min_by(|one, other| one.0.total_cmp(&other.0));
        if let (Some(time), Some(wall), Some((most, bound))) = (&raw.cpu_time, &raw.wall_time, most)
            && time.value.0 > wall.value.0.mul_f64(most)
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &time.origin,
                    "this much processor time cannot be used before `wall_time` is over",
                )
                .and(&wall.origin, "the time that there is")
                .and(bound, "the processors that there are")
                .help("lower `cpu_time`, or lengthen `wall_time`"),
            );
        }
        let processors = most.map(|(most, _)| most);
        let bounded = memory.is_some() || memory_part.is_some();
        let swap = match (raw.swap, bounded) {
            (Some(swap), _) => Some(swap),
            (None, true) => Some(At::default_of("limits.swap", Size(0))),
            (None, false) => None,
        };
        let part = |part: Option<At<u8>>, of| part.map(|at| at.map(|percent| Part { of, percent }));
        let parts = [
            part(pids_part, Controller::Pids),
            part(memory_part, Controller::Memory),
            part(cpu_part, Controller::Cpu),
        ];
        let huge_pages = huge_pages::check(raw.huge_pages, problems);
        // Memory before swap: cgroup v1 limits the sum of both, which must not be the smaller one.
        let group = [
            pids.map(|at| at.map(Limit::Pids)),
            memory
                .clone()
                .map(|at| at.map(|size| Limit::Memory(size.0))),
            raw.memory_high
                .map(|at| at.map(|size| Limit::MemoryHigh(size.0))),
            raw.memory_low
                .map(|at| at.map(|size| Limit::MemoryLow(size.0))),
            raw.memory_min
                .map(|at| at.map(|size| Limit::MemoryMin(size.0))),
            raw.oom_group.map(|at| at.map(Limit::OomGroup)),
            swap.map(|at| at.map(|size| Limit::Swap(size.0))),
            fixed_cpu.map(|at| at.map(|cores| cpu(cores, period_us))),
            burst.map(|at| at.map(Limit::CpuBurst)),
            realtime::check(raw.realtime, problems),
            raw.cpu_weight.map(|at| {
                at.map(|weight| match weight {
                    CpuWeight::Share(weight) => Limit::CpuWeight(weight.0),
                    CpuWeight::Idle => Limit::CpuIdle,
                })
            }),
            raw.cpuset.map(|at| at.map(Limit::Cpuset)),
            raw.memory_nodes.map(|at| at.map(Limit::MemoryNodes)),
            raw.cpu_time
                .clone()
                .map(|at| at.map(|time| Limit::CpuTime(time.0))),
            raw.idle
                .clone()
                .map(|at| at.map(|time| Limit::Idle(time.0))),
        ];
        Self {
            group: group.into_iter().flatten().chain(huge_pages).collect(),
            parent: path::parent(raw.parent, problems),
            name: path::name(raw.name, problems),
            memory,
            parts: parts.into_iter().flatten().collect(),
            wall_time: raw.wall_time,
            cpu_time: raw.cpu_time,
            idle: raw.idle,
            output: raw.output,
            output_over: raw.output_over,
            io: io::check(raw.io, variables, problems),
            io_weight: raw.io_weight,
            period_us: raw.cpu_period.map(|_| period_us),
            processors,
            grace: raw.grace,
            stop_signal: raw.stop_signal,
        }
    }

    /// The limits that need a cgroup and that the profile names.
    pub fn named(&self) -> impl Iterator<Item = &Origin> {
        let named = self.group.iter().map(|limit| &limit.origin);
        let named = named.chain(self.parts.iter().map(|part| &part.origin));
        let named = named.chain(self.io.iter().map(|io| &io.origin));
        let named = named.chain(self.io_weight.iter().map(|weight| &weight.origin));
        named.filter(|origin| !origin.is_default())
    }
}

/// So many processors, as a share of each period.
fn cpu(cores: Cores, period_us: u64) -> Limit {
    Limit::Cpu {
        quota_us: (cores.0 * period_us as f64).round() as u64,
        period_us,
    }
}

/// The key that says a limit.
pub(crate) fn key(limit: &Limit) -> &'static str {
    match limit {
        Limit::Pids(_) => "pids",
        Limit::Memory(_) => "memory",
        Limit::MemoryHigh(_) => "memory_high",
        Limit::MemoryLow(_) => "memory_low",
        Limit::MemoryMin(_) => "memory_min",
        Limit::MemoryNodes(_) => "memory_nodes",
        Limit::OomGroup(_) => "oom_group",
        Limit::HugePages { .. } => "huge_pages",
        Limit::Swap(_) => "swap",
        Limit::Cpu { .. } => "cpu",
        Limit::CpuBurst(_) => "cpu_burst",
        Limit::Realtime(_) => "realtime",
        Limit::CpuWeight(_) | Limit::CpuIdle => "cpu_weight",
        Limit::CpuTime(_) => "cpu_time",
        Limit::Idle(_) => "idle",
        Limit::Io(..) => "io",
        Limit::IoWeight { .. } => "io_weight",
        Limit::Cpuset(_) => "cpuset",
    }
}

/// What is in a file system in memory counts as memory: before it is full, the sandbox is killed.
pub(super) fn fits_memory(space: &At<Space>, profile: &Profile, problems: &mut Diagnostics) {
    let limits = &profile.limits;
    // A share is of the machine's memory, which is not known here.
    let (Some(memory), Space::Bytes(size)) = (limits.memory.as_ref(), space.value) else {
        return;
    };
    let swap = limits.group.iter().find_map(|limit| match limit.value {
        Limit::Swap(bytes) => Some(bytes),
        _ => None,
    });
    let held = memory.value.0.saturating_add(swap.unwrap_or(0));
    if !space.origin.is_default() && size.0 > held && profile.enforce.limits.value != Level::Off {
        problems.push(
            Diagnostic::new(
                Code::SizeAboveMemory,
                &space.origin,
                "before this is full, the sandbox is killed for its memory",
            )
            .and(&memory.origin, "the memory that it has")
            .help("lower the size, so that writing more fails instead, or raise `memory`"),
        );
    }
}
