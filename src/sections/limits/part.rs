//! Limits that are a part of what there is: `memory = "50%"`.

use super::{FEWEST, LEAST, cpu};
use crate::diag::{At, Diagnostics};
use crate::host::cgroup::{Controller, Place};
use crate::host::share;
use crate::plan::Draft;
use crate::plan::op::Limit;
use crate::profile::node::{Content, Node};
use crate::profile::shape::Kind;
use crate::profile::table::{Value, wrong};
use crate::profile::value::Cores;

/// A fixed amount, or a part of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<T> {
    /// The amount.
    Fixed(T),
    /// So many hundredths.
    Percent(u8),
}

const PERCENT: Kind = Kind::Text {
    what: "a percentage",
    form: "^(100|[1-9][0-9]?)%$",
};

impl<T: Value> Value for Amount<T> {
    const KIND: Kind = Kind::Either(&[T::KIND, PERCENT]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let number = match &node.value {
            Content::String(text) => text.strip_suffix('%'),
            _ => None,
        };
        let Some(number) = number else {
            return T::read(node, problems).map(Self::Fixed);
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        match number.parse() {
            Ok(percent @ 1..=100) if digits => Some(Self::Percent(percent)),
            _ => {
                let message = format!("`{number}%` is no part of what there is");
                let help = "write a whole number from 1 to 100, for example: \"50%\"";
                wrong(&node.origin, message, help, problems);
                None
            }
        }
    }
}

/// The two kinds apart.
pub(super) fn apart<T>(amount: Option<At<Amount<T>>>) -> (Option<At<T>>, Option<At<u8>>) {
    match amount {
        None => (None, None),
        Some(At { value, origin }) => match value {
            Amount::Fixed(value) => (Some(At::new(value, origin)), None),
            Amount::Percent(percent) => (None, Some(At::new(percent, origin))),
        },
    }
}

/// A part of what the sandbox could use otherwise, of this controller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub of: Controller,
    pub percent: u8,
}

impl Part {
    /// The key that says it.
    pub(super) fn key(self) -> &'static str {
        match self.of {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            _ => "pids",
        }
    }
}

/// The limits in numbers: parts of the least of what the machine has and of what the groups permit in
/// which the sandbox's own is. `cpuset` are the processors that it is bound to, if it is.
pub(super) fn resolve(
    parts: &[&At<Part>],
    cpuset: Option<&[(u64, u64)]>,
    period_us: u64,
    place: &Place,
    draft: &mut Draft<'_>,
) -> Vec<At<Limit>> {
    let mut limits = Vec::new();
    for At { value, origin } in parts {
        let (key, percent) = (value.key(), value.percent);
        let whole = match value.of {
            Controller::Cpu => share::processors(place, cpuset).map(micro),
            controller => share::most(place, controller),
        };
        let whole = match whole {
            Ok(whole) => whole,
            Err(why) => {
                let text = format!("`{key}` is a part of what nobody tells: {why}");
                draft.refuse(origin, text, "mount /proc, or write a number");
                continue;
            }
        };
        let part = u128::from(whole) * u128::from(percent) / 100;
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        let (limit, least) = match value.of {
            // In whole megabytes, so that it can be said in few words.
            Controller::Memory => (Limit::Memory(part >> 20 << 20), LEAST.0),
            // In hundredths of a processor, for the same reason.
            Controller::Cpu => {
                let cores = Cores((part / 10_000) as f64 / 100.0);
                // A quota is a millisecond at least.
                (cpu(cores, period_us), 10_000.max(1_000_000_000 / period_us))
            }
            _ => (Limit::Pids(part), FEWEST),
        };
        if part < least {
            let whole = match value.of {
                Controller::Cpu => format!("{} processors", whole as f64 / 1e6),
                _ => whole.to_string(),
            };
            let text = format!("{percent}% of the {whole} that there are here let nothing start");
            draft.refuse(origin, text, "raise it, or write a number");
            continue;
        }
        limits.push(At::new(limit, origin.clone()));
    }
    limits
}

/// Millionths of a processor.
fn micro(processors: f64) -> u64 {
    (processors * 1e6).round() as u64
}
