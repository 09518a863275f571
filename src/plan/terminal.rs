//! The steps of a terminal of the sandbox's own, for the command and for whoever joins.

use super::Phase;
use super::op::{Op, Slot, Stream, TerminalOwner};
use crate::host::terminal::Terminal;
use serde::{Deserialize, Serialize};

/// When a command that joins has a terminal of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhoJoins {
    /// Where its caller works at one, or one is asked for.
    AtTerminal,
    /// Where one is asked for.
    #[default]
    IfAsked,
    /// Never, as the profile says.
    Never,
}

/// A terminal that is to be opened in the sandbox's /dev/pts.
#[derive(Clone, Copy, Debug)]
pub struct OwnTerminal {
    /// The caller's, if any stream of its leads to one.
    pub caller: Option<Terminal>,
    /// Whose the new one is, by ids inside.
    pub owner: TerminalOwner,
    /// Whether only what a terminal displays is handed on.
    pub displayed: bool,
}

impl OwnTerminal {
    /// Which standard streams lead to it. Where none is a terminal, one is asked for all the same: then all three do.
    #[must_use]
    pub fn streams(&self) -> [bool; 3] {
        self.caller.map_or([true; 3], |caller| caller.streams)
    }

    /// What looks after it, opens it, makes it that of the session, and gives it to the command in the place of those
    /// `wanted` streams that lead to it.
    #[must_use]
    pub fn steps(&self, slot: Slot, wanted: [bool; 3]) -> [(Phase, Op); 4] {
        let is_terminal = self.streams();
        let first = |order: [Stream; 3]| {
            let leads = |stream: &Stream| (0..3).zip(is_terminal).any(|(n, is)| n == *stream && is);
            order.into_iter().find(leads).unwrap_or(order[0])
        };
        let relay = Op::RelayTerminal {
            caller: self.caller.map(|_| first([0, 1, 2])),
            input: first([0, 1, 2]),
            output: first([1, 2, 0]),
            displayed: self.displayed,
        };
        let open = Op::OpenTerminal {
            slot,
            settings: self.caller.and_then(|caller| caller.settings),
            size: self.caller.map(|caller| caller.size).unwrap_or_default(),
            owner: self.owner,
        };
        let streams = (0..3).zip(is_terminal).zip(wanted);
        let streams = streams.filter_map(|((stream, is), wanted)| (is && wanted).then_some(stream));
        let take = Op::TakeTerminal {
            slot,
            streams: streams.collect(),
        };
        [
            (Phase::Output, relay),
            (Phase::Terminal, open),
            (Phase::Terminal, Op::ControlTerminal { slot }),
            (Phase::Streams, take),
        ]
    }
}
