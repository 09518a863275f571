//! The joiner: enters the namespaces that the profile joins, clones init there, and ends.
//!
//! A process of its own, because entering a pid namespace holds only for children, and because
//! the supervisor must stay outside. Init is cloned as the supervisor's child (`CLONE_PARENT`).

use super::{Child, Tag, message};
use crate::plan::Op;
use crate::plan::order::Actor;
use crate::sys::process::Side;
use crate::sys::{self, descriptor, identity, process};
use std::os::fd::RawFd;

impl Child<'_> {
    /// Joins, clones init with these flags, reports its pid. `step` is the number of the clone.
    pub fn join_and_clone(mut self, flags: u64, cgroup: Option<RawFd>, step: usize) -> ! {
        sys::alloc::forbid();
        self.let_go_of_the_supervisors_end();
        // All paths are opened before any namespace is entered: the first may hide the others.
        for (number, joined) in self.plan.steps_of(Actor::Joiner) {
            if let Op::JoinNamespace { path, .. } = &joined.op {
                match descriptor::open_for_reading(path) {
                    Ok(fd) => self.keep(fd),
                    Err(errno) => self.fail(number, errno),
                }
            }
        }
        let mut opened = 0;
        for (number, joined) in self.plan.steps_of(Actor::Joiner) {
            let performed = match &joined.op {
                Op::JoinNamespace { kind, .. } => {
                    let fd = self.joined.get(opened).copied().unwrap_or(super::UNOPENED);
                    opened = opened.saturating_add(1);
                    identity::enter_namespace(fd, kind.flag)
                }
                op => self.perform(op),
            };
            if let Err(errno) = performed {
                self.fail(number, errno);
            }
        }
        match process::clone_into(flags | libc::CLONE_PARENT as u64, cgroup) {
            Ok(Side::Child) => self.run(),
            Ok(Side::Parent { pid, .. }) => {
                let _ = descriptor::write_all(self.socket, &message(Tag::Cloned, pid as u32, 0));
                process::exit(0)
            }
            Err(errno) => self.fail(step, errno),
        }
    }

    fn keep(&mut self, fd: RawFd) {
        if let Some(free) = self.joined.iter_mut().find(|fd| **fd == super::UNOPENED) {
            *free = fd;
        }
    }
}
