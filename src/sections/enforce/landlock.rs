//! Landlock, derived from what the rest of the profile says: the same intent holds twice.
//!
//! Only what costs nothing where it does not matter: reading, executing and looking at files stay
//! the mounts' business alone, since a rule about them makes each open walk from the file to the root.

use super::Level;
use crate::host::probe::Mechanism;
use crate::plan::op::Op;
use crate::plan::op::landlock::{ABSTRACT_SOCKETS, Ruleset, SIGNALS, TCP, WRITES};
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::network::Mode;
use crate::sys::landlock::Handled;
use caps::Capability;

impl Profile {
    /// Adds the step.
    pub(in crate::sections) fn restrict(&self, draft: &mut Draft<'_>) {
        let level = &self.enforce.landlock;
        if level.value == Level::Off {
            return draft.note(&level.origin, "no rules of Landlock: it is off");
        }
        let wanted = self.wanted();
        if wanted == Handled::default() {
            return;
        }
        if !level.origin.is_default() {
            draft.wants([Mechanism::Landlock]);
        }
        let version = draft.host.landlock();
        let (mut handled, mut lacks) = (wanted, Vec::new());
        // Before version 2, nothing could be moved from one directory to another.
        for (part, since, what) in [
            (&mut handled.files, 2, "writing to files"),
            (&mut handled.network, 4, "TCP"),
            (&mut handled.scoped, 6, "signals and abstract sockets"),
        ] {
            if *part != 0 && version < since {
                *part = 0;
                lacks.push(what);
            }
        }
        if !lacks.is_empty() {
            let asked = self.network.port_lists().next();
            let asked = asked.filter(|_| wanted.network != 0 && handled.network == 0);
            let text = format!(
                "Landlock of this kernel (version {version}) has no rules about {}",
                lacks.join(", about ")
            );
            let help = "use Linux 6.12 or newer with Landlock, or write `landlock = \"prefer\"` under [enforce]";
            match (level.value, asked) {
                (Level::Require, _) => draft.refuse(&level.origin, text, help),
                // Nothing else bounds the ports.
                (_, Some(asked)) if level.origin.is_default() => draft.refuse(asked, text, help),
                // What nobody has asked for is no loss of what was asked for.
                _ if level.origin.is_default() => draft.note(&level.origin, text),
                _ => draft.weaker(&level.origin, text),
            }
        }
        if handled == Handled::default() {
            return;
        }
        let files = handled.files != 0;
        let writable = if files {
            draft.writable_trees()
        } else {
            Vec::new()
        };
        let streams = if files { draft.streams() } else { Vec::new() };
        let rules = Ruleset {
            handled,
            writable,
            streams,
            ports: match handled.network {
                0 => Vec::new(),
                _ => self.network.bounded_ports().1,
            },
        };
        draft.step(Phase::Landlock, Op::Restrict(rules), &level.origin);
    }

    /// What is to be refused where the kernel can.
    fn wanted(&self) -> Handled {
        let namespaces = &self.namespaces;
        // Whoever is restricted in files may mount nothing any more, not even in namespaces of its own.
        let mounts =
            namespaces.nested_user.value || self.capabilities.keeps(Capability::CAP_SYS_ADMIN);
        let files = namespaces.builds_root() && !mounts;
        let network = self.network.mode.value;
        let none = network == Mode::None && namespaces.has_own_network(network);
        let signals = namespaces.pid.value.is_new();
        Handled {
            files: if files { WRITES } else { 0 },
            network: if none {
                TCP
            } else {
                self.network.bounded_ports().0
            },
            scoped: ABSTRACT_SOCKETS | if signals { SIGNALS } else { 0 },
        }
    }
}
