//! The sandbox's own terminal: opened inside, so that its name there is its own.

use super::{Child, Tag, UNOPENED, message};
use crate::plan::op::{Slot, Stream, TerminalOwner};
use crate::sys::terminal::{self, Settings, Size};
use crate::sys::{self, descriptor};
use nix::errno::Errno;

impl Child<'_> {
    /// Opens a new terminal of the sandbox's /dev/pts and hands its master to the supervisor: nobody inside
    /// has that.
    pub(super) fn open_terminal(
        &mut self,
        slot: Slot,
        settings: Option<Settings>,
        size: Size,
        owner: TerminalOwner,
    ) -> sys::Result<()> {
        // Who has joined the mounts has come to their root (setns(2)).
        let root = match self.root {
            UNOPENED => libc::AT_FDCWD,
            built => built,
        };
        let master = descriptor::open_terminal_master(root, c"dev/pts/ptmx")?;
        terminal::unlock(master)?;
        let ours = terminal::open_peer(master)?;
        if let Some(settings) = settings {
            terminal::set(ours, settings)?;
        }
        terminal::set_size(ours, size)?;
        terminal::give_to(ours, owner.uid, owner.gid)?;
        descriptor::send_with_descriptor(self.socket, &message(Tag::Terminal, 0, 0), master)?;
        descriptor::close(master);
        *self.slots.get_mut(slot).ok_or(Errno::EBADF)? = ours;
        Ok(())
    }

    /// Makes the terminal that of the session.
    pub(super) fn control_terminal(&self, slot: Slot) -> sys::Result<()> {
        terminal::take_control(self.slots.get(slot).copied().unwrap_or(UNOPENED))
    }

    /// Comes to the foreground of the terminal, and takes it as standard streams. Signals are blocked
    /// still, so that the kernel does not stop a background process that does so.
    pub(super) fn take_terminal(&self, slot: Slot, streams: &[Stream]) -> sys::Result<()> {
        let terminal = self.slots.get(slot).copied().unwrap_or(UNOPENED);
        terminal::come_to_the_foreground(terminal)?;
        streams
            .iter()
            .try_for_each(|stream| descriptor::take_as(terminal, *stream))
    }
}
