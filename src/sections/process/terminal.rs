//! `terminal`: whose terminal the command works at.

use super::streams::Source;
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
        /// None: what is written goes through pipes, and nothing is typed.
        None = "none",
    }
}

crate::choice! {
    /// What of the command's control sequences reaches the caller's terminal.
    pub enum Escapes {
        /// All of them.
        All = "all",
        /// Those that display.
        Display = "display",
    }
}

impl Process {
    /// What the session and the root make of it.
    pub(super) fn relate_terminal(&self, profile: &Profile, problems: &mut Diagnostics) {
        let is_displayed = self.is_displayed();
        if is_displayed && self.terminal.value == Terminal::Caller {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &self.escapes.origin,
                    "what goes to the caller's terminal itself passes nobody who could look at it",
                )
                .and(&self.terminal.origin, "the command has that terminal here")
                .help(
                    "write `terminal = \"auto\"`, `\"own\"` or `\"none\"`, or `escapes = \"all\"`",
                ),
            );
        }
        let needs_session = match self.terminal.value {
            Terminal::Own => Some((&self.terminal.origin, "a terminal of its own belongs")),
            Terminal::None => Some((&self.terminal.origin, "to have no terminal belongs")),
            Terminal::Auto if is_displayed => Some((
                &self.escapes.origin,
                "to be kept from the caller's terminal belongs",
            )),
            Terminal::Auto | Terminal::Caller => None,
        };
        if let Some((origin, what)) = needs_session
            && self.session.value == Session::Inherit
        {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    origin,
                    format!("{what} to a session of its own"),
                )
                .and(&self.session.origin, "the caller's session is kept here")
                .help("write `session = \"new\"`, or `terminal = \"caller\"`"),
            );
        }
        if self.terminal.value != Terminal::Own {
            return;
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

    /// Whether a terminal is handed only what it displays.
    #[must_use]
    pub fn is_displayed(&self) -> bool {
        self.escapes.value == Escapes::Display
    }

    /// Which line keeps the caller's terminals from the command: where it has none of its own, it gets pipes.
    #[must_use]
    pub fn keeps_terminals_away(&self) -> Option<&Origin> {
        match (self.terminal.value, self.escapes.value) {
            (Terminal::None, _) => Some(&self.terminal.origin),
            (_, Escapes::Display) => Some(&self.escapes.origin),
            (_, Escapes::All) => None,
        }
    }

    /// Adds the sandbox's own terminal, where it is to have one; else takes the caller's from the command's input,
    /// where it is to have that no more than the other streams.
    pub(super) fn terminals(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        self.terminal(profile, identity, draft);
        if let Some(origin) = self.keeps_terminals_away()
            && *self.stream(0) == Source::Inherit
            && draft.host.terminal_of(0).is_some()
            && !draft.is_own_terminal(0)
        {
            draft.step(Phase::Streams, Op::TakeEmptyInput, origin);
        }
    }

    /// Adds the sandbox's own terminal, where it is to have one.
    fn terminal(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        let origin = &self.terminal.origin;
        let is_own = self.terminal.value == Terminal::Own;
        let is_callers = [0, 1, 2].map(|number| *self.stream(number) == Source::Inherit);
        let caller = match self.terminal.value {
            Terminal::Caller | Terminal::None => return,
            Terminal::Own => draft.host.any_terminal(),
            Terminal::Auto => {
                if self.session.value == Session::Inherit || !(is_callers[0] && is_callers[1]) {
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
            let instead = match self.is_displayed() {
                true => "has pipes, and nothing is typed",
                false => "works at the caller's terminal",
            };
            return draft.note(origin, format!("the command {instead}: {text}"));
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
            displayed: self.is_displayed(),
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
        let streams = (0..3).zip(is_terminal).zip(is_callers);
        // What the profile names is no terminal.
        let streams = streams.filter_map(|((stream, is), own)| (is && own).then_some((stream, is)));
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
