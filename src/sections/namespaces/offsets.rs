//! What the clocks of a new time namespace show (time_namespaces(7)).

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::{ClockOffset, Op};
use crate::plan::{Draft, Phase};
use crate::profile::node::{Content, Node};
use crate::profile::shape::Kind;
use crate::profile::table::{Value, read_leaf};
use crate::profile::value::Duration;
use crate::sections::Profile;

crate::table! {
    /// How far the clocks of a new time namespace are ahead of the host's: a duration such as
    /// `"1d"`, or behind it: `"-1h"`. They cannot show less than nothing.
    ///
    /// ```toml
    /// [namespaces.time_offsets]
    /// monotonic = "1d"
    /// boottime = "1d"
    /// ```
    pub struct RawOffsets as "[namespaces.time_offsets]" {
        /// CLOCK_MONOTONIC, by which programs measure how long something takes. Default: 0.
        monotonic: Offset,
        /// CLOCK_BOOTTIME, by which the uptime is told. Default: 0.
        boottime: Offset,
    }
}

/// A duration, ahead or behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    behind: bool,
    by: Duration,
}

impl Value for Offset {
    const KIND: Kind = Kind::Either(&[
        Duration::KIND,
        Kind::Text {
            what: "a duration behind",
            form: "^-( *[0-9]+(\\.[0-9]+)? *(ms|sec|s|min|m|h|d)?)+ *$",
        },
    ]);

    fn read(mut node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let rest = match &node.value {
            Content::String(text) => text.strip_prefix('-').map(str::to_owned),
            _ => None,
        };
        let behind = rest.is_some();
        if let Some(rest) = rest {
            node.value = Content::String(rest);
        }
        let by = read_leaf(node, problems, "\"1d\" or \"-1h\"")?;
        Some(Self { behind, by })
    }
}

/// The offsets that are set.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets(Vec<(&'static str, At<Offset>)>);

impl Offsets {
    pub(super) fn check(raw: Option<At<RawOffsets>>) -> Self {
        let Some(At { value: raw, .. }) = raw else {
            return Self::default();
        };
        let clocks = [("monotonic", raw.monotonic), ("boottime", raw.boottime)];
        let set = clocks.into_iter();
        Self(
            set.filter_map(|(clock, offset)| Some((clock, offset?)))
                .collect(),
        )
    }

    /// The line of the first.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.0.first().map(|(_, offset)| &offset.origin)
    }

    /// They take a new namespace, and a process that is forked into it.
    pub(super) fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let Some(origin) = self.origin() else {
            return;
        };
        let time = &profile.namespaces.time;
        if !time.value.is_new() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    origin,
                    "only the clocks of a new time namespace can be set",
                )
                .and(&time.origin, "not new here")
                .help("write `time = \"new\"` under [namespaces], or remove the offsets"),
            );
        }
        if let Some(without) = profile.process.without_init() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    origin,
                    "the clocks are set by an init, whose child is the first to see them",
                )
                .and(without, "none here")
                .help("write `init = true` under [process], or remove the offsets"),
            );
        }
    }

    /// Makes the namespace and sets its clocks: before anybody is in it, the kernel wants.
    pub(super) fn steps(&self, origin: &Origin, draft: &mut Draft<'_>) {
        draft.step(Phase::TimeNamespace, Op::UnshareTimeNamespace, origin);
        for (clock, offset) in &self.0 {
            let At { value, origin } = offset;
            let seconds = i64::try_from(value.by.0.as_secs()).unwrap_or(i64::MAX);
            let nanoseconds = value.by.0.subsec_nanos();
            // The kernel adds both: what is behind by 1.5 s is ahead by -2 s and 0.5 s.
            let (seconds, nanoseconds) = match (value.behind, nanoseconds) {
                (false, _) => (seconds, nanoseconds),
                (true, 0) => (-seconds, 0),
                (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
            };
            let offset = ClockOffset::new(clock, seconds, nanoseconds);
            draft.step(Phase::TimeNamespace, Op::SetClock(offset), origin);
        }
    }
}
