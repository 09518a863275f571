//! `terminal`: whose terminal the command works at.

use super::{Process, Session};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::{Op, Stream, TerminalOwner};
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::user::Identity;

crate::choice! {
    /// Whose terminal the command works at.
    pub enum Terminal {
        /// One of the sandbox's own where the standard input and output are a terminal; else as `caller`.
        Auto = "auto",
        /// One of the sandbox's own, in pipes too.
        Own = "own",
        /// The caller's, where standard streams are one.
        Caller = "caller",
    }
}

impl Process {
    /// What the session and the root make of it.
    pub(super) fn relate_terminal(&self, profile: &Profile, problems: &mut Diagnostics) {
        if self.terminal.value != Terminal::Own {
            return;
        }
        if self.session.value == Session::Inherit {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &self.terminal.origin,
                    "a terminal of its own belongs to a session of its own",
                )
                .and(&self.session.origin, "the caller's session is kept here")
                .help("write `session = \"new\"`, or `terminal = \"caller\"`"),
            );
        }
        if !profile.namespaces.builds_root() {
            problems.push(
                Diagnostic::new(
                    Code::Needs,
                    &self.terminal.origin,
                    "a terminal of its own takes a /dev/pts of its own",
                )
                .and(
                    &profile.namespaces.mount.origin,
                    "the mounts are not the sandbox's own here",
                )
                .help("write `mount = \"new\"` under [namespaces], or `terminal = \"caller\"`"),
            );
        }
    }

    /// Adds the sandbox's own terminal, where it is to have one.
    pub(super) fn terminal(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        let origin = &self.terminal.origin;
        let is_own = self.terminal.value == Terminal::Own;
        let caller = match self.terminal.value {
            Terminal::Caller => return,
            Terminal::Own => draft.host.any_terminal(),
            Terminal::Auto => {
                if self.session.value == Session::Inherit {
                    return;
                }
                match draft.host.interactive_terminal() {
                    None => return,
                    terminal => terminal,
                }
            }
        };
        if !draft.has_terminals() {
            let text = "nothing is mounted on /dev/pts in which the sandbox could have a terminal of its own";
            if is_own {
                let help = "leave /dev/pts to [devices], or write `terminal = \"caller\"`";
                return draft.refuse(origin, text, help);
            }
            return draft.note(
                origin,
                format!("the command works at the caller's terminal: {text}"),
            );
        }
        let default = Origin::Default("process.terminal");
        let origin = if is_own { origin } else { &default };
        // Where no stream is a terminal, one is asked for all the same: then all three are.
        let is_terminal = caller.map_or([true; 3], |caller| caller.streams);
        let first = |order: [Stream; 3]| {
            let leads = |stream: &Stream| (0..3).zip(is_terminal).any(|(n, is)| n == *stream && is);
            order.into_iter().find(leads).unwrap_or(order[0])
        };
        let slot = draft.slot();
        let relay = Op::RelayTerminal {
            caller: caller.map(|_| first([0, 1, 2])),
            input: first([0, 1, 2]),
            output: first([1, 2, 0]),
        };
        let open = Op::OpenTerminal {
            slot,
            settings: caller.and_then(|caller| caller.settings),
            size: caller.map(|caller| caller.size).unwrap_or_default(),
            owner: TerminalOwner {
                uid: identity.uid,
                gid: profile.devices.pts_group().unwrap_or(identity.gid),
            },
        };
        let streams = (0..3).zip(is_terminal).filter(|(_, is)| *is);
        let take = Op::TakeTerminal {
            slot,
            streams: streams.map(|(stream, _)| stream).collect(),
        };
        draft.step(Phase::Output, relay, origin);
        draft.step(Phase::Terminal, open, origin);
        draft.step(Phase::Terminal, Op::ControlTerminal { slot }, origin);
        draft.step(Phase::Streams, take, origin);
        draft.watch.terminal = true;
    }
}
