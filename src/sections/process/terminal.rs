//! `terminal`: whose terminal the command works at.

use super::streams::Source;
use super::{Process, Session};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::{Op, TerminalOwner};
use crate::plan::terminal::{OwnTerminal, WhoJoins};
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

    /// When somebody who joins has a terminal of its own.
    #[must_use]
    pub fn terminal_of_who_joins(&self) -> WhoJoins {
        match self.terminal.value {
            Terminal::None => WhoJoins::Never,
            _ if self.session.value == Session::Inherit => WhoJoins::Never,
            Terminal::Caller => WhoJoins::IfAsked,
            Terminal::Auto | Terminal::Own => WhoJoins::AtTerminal,
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
        // Who joins may have one, whatever the command has.
        draft.watch.terminals = draft.has_terminals().then(|| TerminalOwner {
            uid: identity.uid,
            gid: profile.devices.pts_group().unwrap_or(identity.gid),
        });
        self.terminal(draft);
        if let Some(origin) = self.keeps_terminals_away()
            && *self.stream(0) == Source::Inherit
            && draft.host.terminal_of(0).is_some()
            && !draft.is_own_terminal(0)
        {
            draft.step(Phase::Streams, Op::TakeEmptyInput, origin);
        }
    }

    /// Adds the sandbox's own terminal, where it is to have one.
    fn terminal(&self, draft: &mut Draft<'_>) {
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
        let Some(owner) = draft.watch.terminals else {
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
        };
        let default = Origin::Default("process.terminal");
        let origin = if is_own { origin } else { &default };
        let own = OwnTerminal {
            caller,
            owner,
            displayed: self.is_displayed(),
        };
        // What the profile names is no terminal.
        for (phase, op) in own.steps(draft.slot(), is_callers) {
            draft.step(phase, op, origin);
        }
        draft.watch.terminal = true;
    }
}
