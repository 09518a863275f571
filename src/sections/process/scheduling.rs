//! When and where the command runs, and which kernel it sees: processors, policy, I/O class, memory nodes, timer
//! slack, personality.
//!
//! All but the personality, the real-time policies and what comes before the usual priorities is a wish and no bound: a process may choose otherwise for itself as far
//! as the kernel lets it. So they permit nothing, and take nothing away.

use super::RawProcess;
use super::numa::Numa;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::Op;
use crate::plan::{Draft, Phase};
use crate::profile::node::Node;
use crate::profile::shape::Kind;
use crate::profile::table::{Value, read_string, wrong};
use crate::profile::value::Duration;
use crate::sections::limits::processors::{cpus, is_cpu_list};

crate::choice! {
    /// How processor time is given (sched(7)).
    pub enum Scheduler {
        /// The usual one.
        Other = "other",
        /// For what computes long and waits for nobody.
        Batch = "batch",
        /// Only where nobody else has anything to do.
        Idle = "idle",
        /// Real-time: before all others of a lower `priority`, until it waits.
        Fifo = "fifo",
        /// The same, by turns with those of its own priority.
        Rr = "rr",
    }
}

impl Scheduler {
    /// Whether it has a priority.
    const fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::Rr)
    }
}

crate::choice! {
    /// What a process sees of the kernel (personality(2)). What takes protection away from memory
    /// (READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT) is none of them.
    pub enum Personality {
        /// The machine calls itself a 32-bit one, `i686` for instance.
        Linux32 = "linux32",
        /// The version of the kernel begins with 2.6.
        Uname26 = "uname26",
        /// Addresses are the same in every run: for debuggers, and for attackers.
        AddrNoRandomize = "addr_no_randomize",
        /// Addresses of a 32-bit program end at 3 GiB.
        AddrLimit3Gb = "addr_limit_3gb",
    }
}

impl Personality {
    /// The bits of linux/personality.h.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Self::Linux32 => 0x0008,
            Self::Uname26 => 0x002_0000,
            Self::AddrNoRandomize => 0x004_0000,
            Self::AddrLimit3Gb => 0x800_0000,
        }
    }
}

/// The class and level of I/O, as ioprio_set(2) takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPriority(u32);

const REAL_TIME: u32 = 1 << 13;
const BEST_EFFORT: u32 = 2 << 13;
const IDLE: u32 = 3 << 13;

impl Value for IoPriority {
    const KIND: Kind = Kind::Text {
        what: "a class of I/O",
        form: "^(idle|(best-effort|realtime)(:[0-7])?)$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let (class, level) = text.split_once(':').unwrap_or((&text, "4"));
        let class = match class {
            "idle" if text == "idle" => return Some(Self(IDLE)),
            "best-effort" => Some(BEST_EFFORT),
            "realtime" => Some(REAL_TIME),
            _ => None,
        };
        let level = match level.as_bytes() {
            [level @ b'0'..=b'7'] => Some(u32::from(level - b'0')),
            _ => None,
        };
        let read = class.zip(level);
        if read.is_none() {
            let message = format!("`{text}` is no class of I/O");
            let help = "\"idle\", or \"best-effort:0\" (first) to \"best-effort:7\" (last), or \"realtime:0\" to \"realtime:7\"";
            wrong(&origin, message, help, problems);
        }
        read.map(|(class, level)| Self(class | level))
    }
}

impl IoPriority {
    /// Whether it comes before what everybody may take.
    const fn is_real_time(self) -> bool {
        self.0 >> 13 == REAL_TIME >> 13
    }

    /// The higher the more is done for it.
    const fn rank(self) -> u64 {
        8 - (self.0 & 7) as u64
    }
}

/// The checked keys.
#[derive(Clone, Debug)]
pub(super) struct Scheduling {
    affinity: Option<At<String>>,
    scheduler: Option<At<Scheduler>>,
    priority: Option<At<u32>>,
    reset_on_fork: At<bool>,
    ioprio: Option<At<IoPriority>>,
    numa: Option<At<Numa>>,
    timer_slack: Option<At<Duration>>,
    pub(super) personality: Vec<At<Personality>>,
}

impl Scheduling {
    pub(super) fn check(raw: &RawProcess, problems: &mut Diagnostics) -> Self {
        if let Some(affinity) = raw
            .affinity
            .as_ref()
            .filter(|list| !is_cpu_list(&list.value))
        {
            let text = format!("`{}` is no list of processors", affinity.value);
            problems.push(
                Diagnostic::new(Code::WrongValue, &affinity.origin, text)
                    .help("for example: affinity = \"0-3,7\""),
            );
        }
        if let Some(slack) = raw
            .timer_slack
            .as_ref()
            .filter(|slack| slack.value.0.is_zero())
        {
            // The kernel takes 0 for "as before".
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &slack.origin,
                    "the least slack is a nanosecond",
                )
                .help("for example: timer_slack = \"1ms\""),
            );
        }
        let priority = check_priority(raw, problems);
        let personality = raw.personality.as_ref();
        Self {
            affinity: raw.affinity.clone(),
            scheduler: raw.scheduler.clone(),
            priority,
            reset_on_fork: raw.reset_on_fork.clone(),
            ioprio: raw.ioprio.clone(),
            numa: raw.numa.clone(),
            timer_slack: raw.timer_slack.clone(),
            personality: personality.map_or(Vec::new(), |list| list.value.0.clone()),
        }
    }

    /// The real-time priority, and the line that asks for it.
    pub(super) fn real_time(&self) -> Option<(u32, &Origin)> {
        let priority = self.priority.as_ref()?;
        Some((priority.value, &priority.origin))
    }

    /// Whether what the command starts has its real-time policy, too, and the line that decides it.
    pub(super) fn hands_on(&self) -> (bool, &Origin) {
        let At { value, origin } = &self.reset_on_fork;
        (!value, origin)
    }

    /// How far input and output comes before everybody else's, and the line that asks for it.
    pub(super) fn real_time_io(&self) -> Option<(u64, &Origin)> {
        let At { value, origin } = self.ioprio.as_ref()?;
        value.is_real_time().then(|| (value.rank(), origin))
    }

    pub(super) fn steps(&self, new_user: bool, draft: &mut Draft<'_>) {
        if let Some(At { value, origin }) = &self.priority {
            let what = format!("a real-time priority of {value}");
            let limit = (libc::RLIMIT_RTPRIO, "rtprio", 'r');
            allow(&what, limit, u64::from(*value), new_user, origin, draft);
        }
        if let Some(At { value, origin }) = self.ioprio.as_ref()
            && value.is_real_time()
        {
            // ioprio_check_cap asks for a capability in the first user namespace (block/ioprio.c).
            if !draft.host.caller.may_come_first() {
                let help = "run as root, or write \"best-effort:0\"";
                draft.refuse(
                    origin,
                    "only root can give the real-time class of I/O",
                    help,
                );
            }
            draft.step(Phase::OwnLimits, Op::LendIoPriority(value.0), origin);
        }
        let mut set = |op, origin| draft.step(Phase::ProcessSettings, op, origin);
        if let Some(scheduler) = &self.scheduler {
            let mut policy = match scheduler.value {
                Scheduler::Other => libc::SCHED_OTHER,
                Scheduler::Batch => libc::SCHED_BATCH,
                Scheduler::Idle => libc::SCHED_IDLE,
                Scheduler::Fifo => libc::SCHED_FIFO,
                Scheduler::Rr => libc::SCHED_RR,
            };
            if self.reset_on_fork.value {
                policy |= libc::SCHED_RESET_ON_FORK;
            }
            let priority = self.priority.as_ref().map_or(0, |priority| priority.value);
            let name = scheduler.value.word();
            let op = Op::SetScheduler {
                policy,
                name,
                priority,
            };
            set(op, &scheduler.origin);
        }
        if let Some(ioprio) = &self.ioprio
            && !ioprio.value.is_real_time()
        {
            set(Op::SetIoPriority(ioprio.value.0), &ioprio.origin);
        }
        if let Some(numa) = &self.numa {
            set(numa.value.op(), &numa.origin);
        }
        if let Some(slack) = &self.timer_slack {
            let nanoseconds = u64::try_from(slack.value.0.as_nanos()).unwrap_or(u64::MAX);
            set(Op::SetTimerSlack(nanoseconds), &slack.origin);
        }
        if let Some(affinity) = &self.affinity {
            let op = Op::SetAffinity {
                list: affinity.value.clone(),
                mask: mask(&affinity.value),
            };
            set(op, &affinity.origin);
        }
        // Always: with the caller's, a command could be less random or more executable than declared.
        let named = self.personality.iter();
        let bits = named.fold(0, |all, one| all | one.value.bits());
        let default = Origin::Default("process.personality");
        let origin = self.personality.first().map(|first| &first.origin);
        set(Op::SetPersonality(bits), origin.unwrap_or(&default));
    }
}

/// A nice value below zero takes a limit, as a real-time priority does.
pub(super) fn allow_nice(nice: &At<i32>, new_user: bool, draft: &mut Draft<'_>) {
    if let Ok(below) = u64::try_from(-i64::from(nice.value))
        && below > 0
    {
        let what = format!("a nice value of {}", nice.value);
        let limit = (libc::RLIMIT_NICE, "nice", 'e');
        allow(&what, limit, 20 + below, new_user, &nice.origin, draft);
    }
}

/// What is above the caller's own limit is what root can give: by raising that for the sandbox. CAP_SYS_NICE needs no
/// limit, but the kernel asks for it in the first user namespace (set_one_prio, user_check_sched_setscheduler), and a new
/// one has none of that.
fn allow(
    what: &str,
    (resource, name, option): (u32, &'static str, char),
    most: u64,
    new_user: bool,
    origin: &Origin,
    draft: &mut Draft<'_>,
) {
    if !new_user && draft.host.caller.may_come_first() {
        return;
    }
    let (soft, hard) = draft.host.rlimit(resource);
    if soft >= most {
        return;
    }
    if hard < most && !draft.host.caller.may_raise_limits() {
        let text = format!("{what} takes {most} of the caller's limit on {name}, which is {hard}");
        let help = format!(
            "run as root, or raise the caller's limit (`ulimit -{option}`, limits.conf(5))"
        );
        return draft.refuse(origin, text, help);
    }
    let op = Op::RaiseRlimit {
        resource,
        name,
        soft: most,
        hard: most,
    };
    draft.step(Phase::OwnLimits, op, origin);
}

/// A real-time policy has a priority, and no other one.
fn check_priority(raw: &RawProcess, problems: &mut Diagnostics) -> Option<At<u32>> {
    let real_time = raw
        .scheduler
        .as_ref()
        .filter(|scheduler| scheduler.value.is_real_time());
    if raw.reset_on_fork.value && real_time.is_none() {
        problems.push(
            Diagnostic::new(
                Code::Needs,
                &raw.reset_on_fork.origin,
                "only a real-time policy is taken back",
            )
            .help("write scheduler = \"fifo\" or \"rr\" too, or remove the line"),
        );
    }
    match (real_time, &raw.priority) {
        (Some(_), Some(priority)) if (1..=99).contains(&priority.value) => {
            return Some(priority.clone());
        }
        (Some(_), Some(priority)) => problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &priority.origin,
                "a real-time priority goes from 1 to 99",
            )
            .help("for example: priority = 10"),
        ),
        (Some(scheduler), None) => problems.push(
            Diagnostic::new(
                Code::Needs,
                &scheduler.origin,
                "a real-time policy has a priority",
            )
            .help("write `priority` too, for example: priority = 10"),
        ),
        (None, Some(priority)) => problems.push(
            Diagnostic::new(
                Code::Needs,
                &priority.origin,
                "only the real-time policies have a priority",
            )
            .help("write scheduler = \"fifo\" or \"rr\"; or `nice`, for the others"),
        ),
        (None, None) => {}
    }
    None
}

/// A list of processors as sched_setaffinity(2) takes it, or of memory nodes: a bit for each.
pub(super) fn mask(list: &str) -> Vec<u64> {
    let mut mask = Vec::new();
    // In order, so that each is set once, however often a list of a megabyte names it.
    let mut ranges = cpus(list);
    ranges.sort_unstable();
    let mut next = 0;
    for (first, last) in ranges {
        let from = first.max(next);
        next = next.max(last + 1);
        for cpu in from..=last {
            let word = (cpu / 64) as usize;
            if mask.len() <= word {
                mask.resize(word + 1, 0);
            }
            if let Some(word) = mask.get_mut(word) {
                *word |= 1 << (cpu % 64);
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn processors_become_bits() {
        assert_eq!(mask("0-3,7"), [0x8f]);
        assert_eq!(mask("64,1"), [2, 1]);
        assert_eq!(mask("63-64"), [1 << 63, 1]);
        assert_eq!(mask("5,0-3,2-4,1-1"), [0x3f]);
        let hostile = vec!["0-65535"; 100_000].join(",");
        assert_eq!(mask(&hostile), vec![u64::MAX; 1024]);
    }
}
