//! The record of a run: what the supervisor writes into it.

use super::{Failure, Run};
use crate::child::Tag;
use crate::plan::Op;
use crate::plan::op::NamespaceKind;
use crate::running::record::Namespace;
use crate::sys::descriptor;
use nix::errno::Errno;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

impl Run<'_> {
    /// Takes the descriptors of init's namespaces, which stay open here for whoever joins; writes the
    /// record, and tells init to go on.
    pub(super) fn write_record(
        &mut self,
        kinds: &[NamespaceKind],
        number: usize,
    ) -> Result<(), Failure> {
        let errno = |errno: Errno| Failure::step(number, errno);
        let mut namespaces = Vec::new();
        for kind in kinds {
            let fd = self.receive_namespace(number)?;
            namespaces.push(self.keep_namespace(kind.name, fd).map_err(errno)?);
        }
        let mut steps = self.plan.steps.iter();
        let inner = if steps.any(|step| matches!(step.op, Op::MakeInnerUser { .. })) {
            let fd = self.receive_namespace(number)?;
            Some(self.keep_namespace("user", fd).map_err(errno)?)
        } else {
            None
        };
        let groups = self.group.as_ref().map(super::Group::groups);
        let init = self.pid();
        let recording = self.observer.recording.as_deref_mut();
        let recording = recording.ok_or_else(|| errno(Errno::ENOTSUP))?;
        recording
            .write(init, namespaces, inner, groups.unwrap_or_default())
            .map_err(|cause| Failure::text(number, cause))?;
        descriptor::write_all(self.socket.as_raw_fd(), &[1]).map_err(errno)
    }

    fn receive_namespace(&mut self, number: usize) -> Result<OwnedFd, Failure> {
        let lost = Failure::step(number, Errno::ECHILD);
        match self.receive().ok().flatten() {
            Some((Tag::Namespace, ..)) => self.came.take().ok_or(lost),
            Some((Tag::Failed, step, errno)) => {
                Err(Failure::step(step as usize, Errno::from_raw(errno)))
            }
            _ => Err(lost),
        }
    }

    fn keep_namespace(&mut self, kind: &str, fd: OwnedFd) -> nix::Result<Namespace> {
        let file = std::fs::File::from(fd);
        let inode = file.metadata().map_err(|_| Errno::EBADF)?.ino();
        let kept = OwnedFd::from(file);
        let namespace = Namespace {
            kind: kind.into(),
            inode,
            descriptor: kept.as_raw_fd(),
        };
        self.namespaces.push(kept);
        Ok(namespace)
    }
}
