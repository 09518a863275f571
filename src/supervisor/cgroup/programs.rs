//! Programs of the kernel's virtual machine that hang on a group of v2 and decide what it may do, and what they are
//! put together of (Documentation/bpf/standardization/instruction-set.rst).

use super::Group;
use super::error::{CgroupError, Operation};
use crate::host::cgroup::Controller;
use crate::sys::bpf::{self, Hook, Instruction};
use nix::errno::Errno;
use std::io;
use std::os::fd::AsFd as _;

impl Group {
    /// Hangs programs on the group, and looks whether each of them is there.
    pub(super) fn hang(
        &self,
        controller: Controller,
        about: &str,
        programs: &[(Hook, Vec<Instruction>)],
    ) -> Result<(), CgroupError> {
        let Some(group) = &self.v2 else {
            let cause = io::Error::new(io::ErrorKind::NotFound, "the group was made without it");
            let operation = Operation::Write("rules".into());
            return Err(CgroupError::new("the group".as_ref(), operation, cause).of(controller));
        };
        let (dir, fd) = (&group.dir, group.fd.as_fd());
        let what = format!("a program about {about}");
        let error = |what: &str, errno: Errno| {
            let operation = Operation::Write(what.into());
            CgroupError::new(dir, operation, io::Error::from(errno)).of(controller)
        };
        for (hook, program) in programs {
            let program = bpf::load(*hook, program).map_err(|errno| error(&what, errno))?;
            let attached = bpf::attach(*hook, fd, program.as_fd());
            attached.map_err(|errno| error(&what, errno))?;
            let count = bpf::count(*hook, fd);
            if count.map_err(|errno| error("a question about programs", errno))? == 0 {
                let operation = Operation::Verify {
                    wanted: what,
                    found: "none".into(),
                };
                let cause = io::Error::other("the kernel does not enforce it");
                return Err(CgroupError::new(dir, operation, cause).of(controller));
            }
        }
        Ok(())
    }
}

pub(super) const fn instruction(
    code: u8,
    to: u8,
    from: u8,
    offset: i16,
    number: i32,
) -> Instruction {
    Instruction {
        code,
        registers: to | (from << 4),
        offset,
        number,
    }
}

/// Reads four bytes of memory, as they lie there.
pub(super) const fn word(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x61, to, from, offset, 0)
}

pub(super) const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}
