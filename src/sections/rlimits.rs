//! `[rlimits]`: what each process may use (getrlimit(2)).

use super::namespaces::Namespaces;
use super::split;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::INFINITY;
use crate::plan::{Draft, Op, Phase};
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{Table as _, Value, key, read_leaf};
use crate::profile::value::Size;
use crate::review::{Area, Grant};

/// What a build with many jobs and a test with many threads stay below, and a machine bears.
const MOST_PROCESSES: u64 = 4096;

/// What becomes of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rlimit {
    /// As the caller has it.
    Inherit,
    /// The soft limit is raised to the caller's hard one.
    Raise,
    /// The caller's, or this where that is lower: what is so by default must not be refused.
    AtMost(u64),
    /// Set to these; what is not said is as the caller has it.
    Set {
        /// Until which the process may go. The caller's, or the hard limit where that is lower.
        soft: Option<u64>,
        /// Until which it may raise the soft limit.
        hard: Option<u64>,
    },
}

impl Rlimit {
    /// Soft and hard, given those of the caller; `None` where nothing is to be set.
    fn among(&self, (own_soft, own_hard): (u64, u64)) -> Option<(u64, u64)> {
        match self {
            Self::Inherit => None,
            Self::Raise => Some((own_hard, own_hard)),
            Self::AtMost(most) => Some((own_soft.min(*most), own_hard.min(*most))),
            Self::Set { soft, hard } => {
                let hard = hard.unwrap_or(own_hard);
                Some((soft.unwrap_or(own_soft.min(hard)), hard))
            }
        }
    }
}

crate::table! {
    /// Soft and hard, or one of the two.
    pub struct RawPair as "a limit" {
        /// The limit in force. Default: the caller's, or `hard` where that is lower.
        soft: Bound,
        /// How far it may be raised. Default: the caller's.
        hard: Bound,
    }
}

/// A number (or a size), or `"infinity"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound(u64);

/// The word for a limit that is none.
const UNLIMITED: Kind = Kind::Choice(&[Word {
    word: "infinity",
    doc: &["No limit."],
}]);

impl Value for Bound {
    const KIND: Kind = Kind::Either(&[Size::KIND, UNLIMITED]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.value, Content::String(text) if text == "infinity") {
            return Some(Self(INFINITY));
        }
        let sample = "1024, \"64M\" or \"infinity\"";
        read_leaf::<Size>(node, problems, sample).map(|size| Self(size.0))
    }
}

impl Value for Rlimit {
    const KIND: Kind = Kind::Either(&[
        Size::KIND,
        Kind::Choice(&[
            Word {
                word: "infinity",
                doc: &["No limit."],
            },
            Word {
                word: "inherit",
                doc: &["As the caller has it."],
            },
            Word {
                word: "hard",
                doc: &["As high as the caller may raise it: the soft limit becomes the hard one."],
            },
        ]),
        RawPair::KIND,
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Content::String(text) if text == "inherit" => Some(Self::Inherit),
            Content::String(text) if text == "hard" => Some(Self::Raise),
            Content::Table(table) => {
                let origin = node.origin.clone();
                if table.is_empty() {
                    let text = "a limit that is none: neither `soft` nor `hard`";
                    problems.push(
                        Diagnostic::new(Code::MissingKey, &origin, text)
                            .help("for example: { soft = 1024, hard = 4096 }"),
                    );
                    return None;
                }
                let asked = table.len();
                let pair = RawPair::read(node, problems)?;
                let (soft, hard) = (pair.soft, pair.hard);
                // What is wrong with one of them has been said.
                if usize::from(soft.is_some()) + usize::from(hard.is_some()) < asked {
                    return None;
                }
                if let (Some(soft), Some(hard)) = (&soft, &hard)
                    && soft.value.0 > hard.value.0
                {
                    problems.push(
                        Diagnostic::new(Code::SoftAboveHard, &soft.origin, "soft is above hard")
                            .and(&hard.origin, "hard")
                            .help("lower `soft`, or raise `hard`"),
                    );
                    return None;
                }
                Some(Self::Set {
                    soft: soft.map(|soft| soft.value.0),
                    hard: hard.map(|hard| hard.value.0),
                })
            }
            _ => Bound::read(node, problems).map(|both| Self::Set {
                soft: Some(both.0),
                hard: Some(both.0),
            }),
        }
    }
}

macro_rules! rlimits {
    ($($(#[doc = $doc:expr])* $name:ident = $resource:ident,)*) => {
        crate::table! {
            /// Each: a number or a size, `{ soft, hard }` or one of the two, `"infinity"`, `"hard"`
            /// (as high as the caller may go) or `"inherit"` (the default, but for `core` and `nproc`).
            ///
            /// ```toml
            /// [rlimits]
            /// nofile = { soft = 1024, hard = 4096 }
            /// stack = "64M"
            /// memlock = "inherit"
            /// ```
            pub struct RawRlimits as "[rlimits]" { $($(#[doc = $doc])* $name: Rlimit,)* }
        }

        impl RawRlimits {
            fn given(self) -> Vec<(&'static str, u32, At<Rlimit>)> {
                let mut given = Vec::new();
                $(if let Some(limit) = self.$name {
                    given.push((key(stringify!($name)), libc::$resource as u32, limit));
                })*
                given
            }
        }
    };
}

rlimits! {
    /// Address space, in bytes.
    r#as = RLIMIT_AS,
    /// Size of a core dump, in bytes. Default: 1, which also keeps a piped core handler of the
    /// host from running (core(5)).
    core = RLIMIT_CORE,
    /// Processor time, in seconds.
    cpu = RLIMIT_CPU,
    /// Data segment, in bytes.
    data = RLIMIT_DATA,
    /// Size of a file, in bytes.
    fsize = RLIMIT_FSIZE,
    /// File locks.
    locks = RLIMIT_LOCKS,
    /// Locked memory, in bytes.
    memlock = RLIMIT_MEMLOCK,
    /// POSIX message queues, in bytes.
    msgqueue = RLIMIT_MSGQUEUE,
    /// Ceiling of the nice value: 20 minus it.
    nice = RLIMIT_NICE,
    /// Open descriptors.
    nofile = RLIMIT_NOFILE,
    /// Processes and threads of the user inside: since Linux 5.14 those of its user namespace, before
    /// that all of the user's. Default: 4096, or the caller's where that is lower; as the caller has it
    /// where the user namespace is shared. It does not hold for the host's root; `[limits] pids` does.
    nproc = RLIMIT_NPROC,
    /// Resident memory; without effect since Linux 2.4.30.
    rss = RLIMIT_RSS,
    /// Ceiling of the real-time priority.
    rtprio = RLIMIT_RTPRIO,
    /// Real-time processor time without a blocking call, in microseconds.
    rttime = RLIMIT_RTTIME,
    /// Queued signals.
    sigpending = RLIMIT_SIGPENDING,
    /// Stack of the main thread, in bytes.
    stack = RLIMIT_STACK,
}

/// The limits that are set.
#[derive(Clone, Debug)]
pub struct Rlimits(Vec<(&'static str, u32, At<Rlimit>)>);

impl Rlimits {
    /// Fills in the default, and says what is too little to start with, or pointless.
    pub fn check(
        raw: Option<At<RawRlimits>>,
        namespaces: &Namespaces,
        problems: &mut Diagnostics,
    ) -> Self {
        let (mut raw, _) = split(raw, "rlimits");
        // Below the first number the kernel ends every program at exec, since it gives each a stack
        // of 128K; below the second the C library's loader gives up.
        for (name, limit, least, for_libraries, sample) in [
            ("as", &raw.r#as, 128 << 10, 1 << 20, "\"1G\""),
            ("data", &raw.data, 0, 64 << 10, "\"1G\""),
            ("nofile", &raw.nofile, 0, 4, "1024"),
            ("stack", &raw.stack, 1, 8 << 10, "\"8M\""),
        ] {
            let Some(At {
                value: Rlimit::Set { soft, hard },
                origin,
            }) = limit
            else {
                continue;
            };
            let Some(soft) = soft.as_ref().or(hard.as_ref()) else {
                continue;
            };
            let (code, what) = if *soft < least {
                (Code::LimitTooSmall, "no program")
            } else if *soft < for_libraries {
                (Code::NoLoader, "no program with shared libraries")
            } else {
                continue;
            };
            problems.push(
                Diagnostic::new(code, origin, format!("{what} can start with so little"))
                    .help(format!("for example: {name} = {sample}")),
            );
        }
        for (limit, since) in [(&raw.rss, "2.4.30"), (&raw.locks, "2.4.25")] {
            if let Some(limit) = limit
                .as_ref()
                .filter(|limit| limit.value != Rlimit::Inherit)
            {
                let text = format!("the kernel has ignored this limit since Linux {since}");
                problems.push(
                    Diagnostic::new(Code::NoEffect, &limit.origin, text)
                        .help("remove it; [limits] memory and pids bound the sandbox"),
                );
            }
        }
        raw.core.get_or_insert_with(|| {
            let (soft, hard) = (Some(1), Some(1));
            At::default_of("rlimits.core", Rlimit::Set { soft, hard })
        });
        // In the caller's user namespace, the caller's other processes would be counted, too.
        if namespaces.user.value.is_new() {
            let most = Rlimit::AtMost(MOST_PROCESSES);
            raw.nproc
                .get_or_insert_with(|| At::default_of("rlimits.nproc", most));
        }
        Self(raw.given())
    }

    /// How far each limit may go. Only the hard one counts: a process may raise the soft one to it.
    ///
    /// What the caller has is taken for more than any number, since that is what it mostly is, and
    /// for less than infinity.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self(set) = self;
        let names = RawRlimits::SHAPE.fields.iter().map(|field| field.key);
        names
            .map(|name| {
                let given = set.iter().find(|(known, ..)| *known == name);
                let default = Origin::Default("rlimits");
                let origin = given.map_or(&default, |(.., limit)| &limit.origin);
                let (rank, words) = match given.map(|(.., limit)| &limit.value) {
                    Some(Rlimit::Set {
                        hard: Some(INFINITY),
                        ..
                    }) => (INFINITY, format!("have no limit on {name}")),
                    Some(Rlimit::Set {
                        hard: Some(hard), ..
                    }) => (*hard, format!("have a limit of {hard} on {name}")),
                    Some(Rlimit::AtMost(most)) => {
                        (*most, format!("have a limit of {most} on {name}"))
                    }
                    Some(Rlimit::Inherit | Rlimit::Raise | Rlimit::Set { hard: None, .. })
                    | None => (INFINITY - 1, format!("have the caller's limit on {name}")),
                };
                let share = match rank {
                    INFINITY => 200,
                    _ if rank == INFINITY - 1 => 20,
                    _ => 0,
                };
                let key = format!("rlimit:{name}");
                Grant::rank(Area::Limits, key, rank, words, origin).share(share)
            })
            .collect()
    }

    /// Which line forbids core dumps, if one does.
    #[must_use]
    pub fn forbids_dumps(&self) -> Option<&Origin> {
        /// The least that the kernel writes of one.
        const PAGE: u64 = 4096;
        let Self(set) = self;
        let core = set.iter().find(|(name, ..)| *name == "core")?;
        let (.., At { value, origin }) = core;
        let least = |bound: &Option<u64>| bound.is_some_and(|bound| bound < PAGE);
        match value {
            Rlimit::Set { soft, hard } if least(soft) || least(hard) => Some(origin),
            _ => None,
        }
    }

    /// Sets the limits.
    pub fn steps(&self, draft: &mut Draft<'_>) {
        for (name, resource, limit) in &self.0 {
            // The caller's are asked for only where they count.
            let own = match limit.value {
                Rlimit::Inherit => continue,
                Rlimit::Set {
                    soft: Some(soft),
                    hard: Some(hard),
                } => (soft, hard),
                _ => draft.host.rlimit(*resource),
            };
            let Some((soft, hard)) = limit.value.among(own) else {
                continue;
            };
            if soft > hard {
                let text = format!("{soft} is above the caller's own hard limit on {name}, {hard}");
                draft.refuse(
                    &limit.origin,
                    text,
                    "lower it, write \"hard\" for as much as there is, or raise the caller's (`ulimit -H`)",
                );
                continue;
            }
            let resource = *resource;
            let op = |raise: bool| match raise {
                true => Op::RaiseRlimit {
                    resource,
                    name,
                    soft,
                    hard,
                },
                false => Op::SetRlimit {
                    resource,
                    name,
                    soft,
                    hard,
                },
            };
            // Asked for only where somebody wants more than there may be.
            if !limit.origin.is_default()
                && let (_, most) = draft.host.rlimit(resource)
                && hard > most
            {
                if !draft.host.caller.may_raise_limits() {
                    let text = format!(
                        "only root may raise a hard limit (CAP_SYS_RESOURCE), and the caller's on {name} is {most}"
                    );
                    let help = "lower it, write \"hard\" for as much as there is, or raise the caller's (limits.conf(5))";
                    draft.refuse(&limit.origin, text, help);
                    continue;
                }
                draft.step(Phase::OwnLimits, op(true), &limit.origin);
            }
            let op = op(false);
            draft.step(Phase::ProcessSettings, op, &limit.origin);
        }
    }
}
