//! From a policy to the program that the kernel runs before every system call; see seccomp(2).
//!
//! The program has three parts, and where calls of another ABI are judged, the last two once more for them,
//! behind those of the native one:
//!
//! 1. the architecture check, since numbers mean other calls in another ABI;
//! 2. a balanced tree over ranges of numbers with the same verdict. No argument is loaded in it, so the kernel
//!    can work out once, when the filter is installed, which numbers are always allowed, and never runs
//!    the program for them again (`seccomp_cache_prepare` in the kernel's kernel/seccomp.c);
//! 3. the tail: one block for each verdict that depends on arguments, made by seccompiler, entered by a jump
//!    from the tree.

use std::collections::BTreeMap;

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_DATA, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_LOG,
    SECCOMP_RET_TRAP, sock_filter,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use syscalls::Sysno;

use super::call::I386;
use super::foreign::{self, ABI};
use super::policy::{Answer, Case, Policy, Verdict};
use super::presets::GROUPS;
use crate::review::arguments::{Is, Row, Test};

/// `AUDIT_ARCH_*` of linux/audit.h: the ELF machine with the 64-bit and little-endian flags.
#[cfg(target_arch = "x86_64")]
pub const NATIVE: (u32, TargetArch) = (0xc000_003e, TargetArch::x86_64);
#[cfg(target_arch = "aarch64")]
pub const NATIVE: (u32, TargetArch) = (0xc000_00b7, TargetArch::aarch64);

/// Numbers from here on are x32 calls on x86_64, under the architecture value of the native ones; a list
/// without them is passed by. Nothing has such a number elsewhere.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Offsets into `struct seccomp_data`.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;

/// `BPF_MAXINSNS`: the kernel takes no longer program.
const MAX_LEN: usize = 4096;

/// Why a policy has no program.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The kernel takes at most 4096 instructions.
    #[error("the system call filter has {0} instructions, and the kernel takes at most {MAX_LEN}")]
    TooLong(usize),
    /// A condition could not be expressed.
    #[error("a condition on arguments could not be compiled")]
    Condition(#[from] seccompiler::BackendError),
    /// The block of a condition is not of the form on which the linking rests.
    #[error("the compiled condition on arguments has an unexpected form")]
    Form,
    /// A branch would reach further than 255 instructions.
    #[error("a branch of the system call filter reaches too far")]
    Branch,
}

impl Policy {
    /// The program to install with seccomp(2), or `None` if [`Policy::is_off`].
    ///
    /// With the preset `off` and calls to deny, everything else of the native ABI is permitted.
    ///
    /// # Errors
    ///
    /// [`CompileError`] if the program would be longer than the kernel takes, which many conditions make it, or
    /// the linking of conditions fails.
    pub fn compile(&self) -> Result<Option<Vec<sock_filter>>, CompileError> {
        if self.is_off() {
            return Ok(None);
        }
        program(self.table(), self.foreign_table(), self.foreign()).map(Some)
    }

    /// The same for the other ABI, where its calls are judged.
    pub(super) fn foreign_table(&self) -> Option<Vec<Verdict>> {
        if !self.follows() {
            return None;
        }
        let mut table = vec![Verdict::from(self.unlisted()); I386::table_size() + 1];
        for call in foreign::all() {
            if let Some(slot) = table.get_mut(call.id() as usize) {
                *slot = self.foreign_verdict(call);
            }
        }
        Some(table)
    }

    /// The verdict on each number; the last one holds for all above it, too.
    pub(super) fn table(&self) -> Vec<Verdict> {
        // One slot more than there are numbers, so that the last range has an end.
        let mut table = vec![Verdict::from(self.unlisted()); Sysno::table_size() + 1];
        for group in GROUPS {
            for &call in group.calls {
                if let Some(slot) = table.get_mut(call.id() as usize) {
                    *slot = self.verdict_in(Some(group), call);
                }
            }
        }
        table
    }
}

/// The program for a table of verdicts, one for the other ABI, and what becomes of calls of yet others.
pub(super) fn program(
    table: Vec<Verdict>,
    foreign: Option<Vec<Verdict>>,
    elsewhere: Answer,
) -> Result<Vec<sock_filter>, CompileError> {
    let mut program = Backwards::default();
    // Last, so that the native calls have the way that they have without it.
    let foreign = match (foreign, ABI) {
        (Some(table), Some(abi)) => Some((abi.architecture, program.calls(table, elsewhere)?)),
        _ => None,
    };
    let root = program.calls(table, elsewhere)?;
    program.head(root, foreign, elsewhere);
    program.finish()
}

/// All numbers, cut where the verdict changes: each entry holds from its number up to the next.
fn ranges(table: Vec<Verdict>, elsewhere: Answer) -> Vec<(u32, Verdict)> {
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    let x32 = (X32_BIT, Verdict::from(elsewhere));
    for (nr, verdict) in (0..).zip(table).chain([x32]) {
        if ranges.last().is_none_or(|(_, before)| *before != verdict) {
            ranges.push((nr, verdict));
        }
    }
    ranges
}

/// A position in a program that is built from its end: the index counts from the last instruction.
type Label = usize;

/// A program under construction, last instruction first.
///
/// BPF jumps forward only. Built from the end, every target exists, and its distance is known, at the time a
/// jump to it is written; where it is more than the 255 instructions of a conditional jump, a stepping stone
/// is put in between.
#[derive(Default)]
struct Backwards(Vec<sock_filter>);

impl Backwards {
    fn push(&mut self, code: u32, k: u32) -> Label {
        self.push_jump(code, k, 0, 0)
    }

    fn push_jump(&mut self, code: u32, k: u32, jt: u8, jf: u8) -> Label {
        let code = (code & u32::from(u16::MAX)) as u16;
        self.0.push(sock_filter { code, jt, jf, k });
        self.0.len() - 1
    }

    /// How many instructions stand between the one that is pushed next and `target`.
    fn distance(&self, target: Label) -> usize {
        self.0.len() - 1 - target
    }

    /// A label for `target` that stays within reach of a conditional jump while `margin` more are pushed.
    fn within_reach(&mut self, target: Label, margin: usize) -> Result<Label, CompileError> {
        let distance = self.distance(target);
        if distance + margin <= usize::from(u8::MAX) {
            return Ok(target);
        }
        match self.0.get(target) {
            Some(end) if u32::from(end.code) == BPF_RET | BPF_K => {
                Ok(self.push(BPF_RET | BPF_K, end.k))
            }
            _ => {
                let far = u32::try_from(distance).map_err(|_| CompileError::Branch)?;
                Ok(self.push(BPF_JMP | BPF_JA, far))
            }
        }
    }

    /// Writes "to `from` or above: `upper`, else `lower`".
    fn branch(&mut self, from: u32, upper: Label, lower: Label) -> Result<Label, CompileError> {
        // The stone for the lower one may push the upper one away by one.
        let upper = self.within_reach(upper, 1)?;
        let lower = self.within_reach(lower, 0)?;
        let jt = u8::try_from(self.distance(upper)).map_err(|_| CompileError::Branch)?;
        let jf = u8::try_from(self.distance(lower)).map_err(|_| CompileError::Branch)?;
        Ok(self.push_jump(BPF_JMP | BPF_JGE | BPF_K, from, jt, jf))
    }

    /// Writes the ends of the tree, each once, and returns where each range leads.
    fn leaves(&mut self, ranges: &[(u32, Verdict)]) -> Result<Vec<(u32, Label)>, CompileError> {
        let mut verdicts: Vec<&Verdict> = Vec::new();
        for (_, verdict) in ranges {
            if !verdicts.contains(&verdict) {
                verdicts.push(verdict);
            }
        }
        // Conditions go to the far end: they are few, so that few branches have to reach there.
        verdicts.sort_by_key(|verdict| verdict.cases.is_empty());
        let mut labels = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            labels.push((verdict, self.verdict(verdict)?));
        }
        ranges
            .iter()
            .map(|(from, verdict)| {
                let leaf = labels.iter().find(|(known, _)| *known == verdict);
                leaf.map(|(_, label)| (*from, *label))
                    .ok_or(CompileError::Form)
            })
            .collect()
    }

    /// Links the blocks of a verdict: each ends in its answer, or falls through to the next.
    fn verdict(&mut self, verdict: &Verdict) -> Result<Label, CompileError> {
        if verdict.cases.is_empty() {
            return Ok(self.push(BPF_RET | BPF_K, value(verdict.otherwise)));
        }
        // Twice: in every row stands a jump that is never taken and leads one too far, and the kernel takes no
        // program in which a jump leads out.
        self.push(BPF_RET | BPF_K, value(verdict.otherwise));
        let mut label = self.push(BPF_RET | BPF_K, value(verdict.otherwise));
        for case in verdict.cases.iter().rev() {
            for instruction in block(case)?.iter().rev() {
                label = self.push_jump(
                    u32::from(instruction.code),
                    instruction.k,
                    instruction.jt,
                    instruction.jf,
                );
            }
        }
        Ok(label)
    }

    /// Writes the decision over `leaves`; halves of equal size give every number the same short way.
    fn tree(&mut self, leaves: &[(u32, Label)]) -> Result<Label, CompileError> {
        let (lower, upper) = leaves.split_at(leaves.len() / 2);
        let Some((from, first)) = upper.first() else {
            return Err(CompileError::Form);
        };
        if lower.is_empty() {
            return Ok(*first);
        }
        let upper = self.tree(upper)?;
        let lower = self.tree(lower)?;
        self.branch(*from, upper, lower)
    }

    /// Writes what decides on the calls of one ABI, from the loading of the number on.
    fn calls(&mut self, table: Vec<Verdict>, elsewhere: Answer) -> Result<Label, CompileError> {
        let ranges = ranges(table, elsewhere);
        let leaves = self.leaves(&ranges)?;
        let root = self.tree(&leaves)?;
        if let far @ 1.. = self.distance(root) {
            self.push(BPF_JMP | BPF_JA, far as u32);
        }
        Ok(self.push(BPF_LD | BPF_W | BPF_ABS, DATA_NR))
    }

    /// Writes the architecture check in front of `native`, which is the last that was written. Native calls are told by
    /// the first comparison, whatever others there are.
    fn head(&mut self, native: Label, foreign: Option<(u32, Label)>, elsewhere: Answer) {
        self.push(BPF_RET | BPF_K, value(elsewhere));
        if let Some((architecture, root)) = foreign {
            let far = self.distance(root);
            self.push(BPF_JMP | BPF_JA, far as u32);
            self.push_jump(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, 1);
        }
        let over = self.distance(native) as u8;
        self.push_jump(BPF_JMP | BPF_JEQ | BPF_K, NATIVE.0, over, 0);
        self.push(BPF_LD | BPF_W | BPF_ABS, DATA_ARCH);
    }

    fn finish(mut self) -> Result<Vec<sock_filter>, CompileError> {
        if self.0.len() > MAX_LEN {
            return Err(CompileError::TooLong(self.0.len()));
        }
        self.0.reverse();
        Ok(self.0)
    }
}

/// The value by which the kernel does what the answer says.
fn value(answer: Answer) -> u32 {
    match answer {
        Answer::Allow => SECCOMP_RET_ALLOW,
        Answer::Log => SECCOMP_RET_LOG,
        Answer::Errno(errno) => SECCOMP_RET_ERRNO | (errno.cast_unsigned() & SECCOMP_RET_DATA),
        Answer::Trap => SECCOMP_RET_TRAP,
        Answer::Kill => SECCOMP_RET_KILL_PROCESS,
    }
}

fn action(answer: Answer) -> SeccompAction {
    match answer {
        Answer::Allow => SeccompAction::Allow,
        Answer::Log => SeccompAction::Log,
        Answer::Errno(errno) => SeccompAction::Errno(errno.cast_unsigned()),
        Answer::Trap => SeccompAction::Trap,
        Answer::Kill => SeccompAction::KillProcess,
    }
}

fn condition(test: &Test) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (op, value) = match test.is {
        Is::Equal(value) => (SeccompCmpOp::Eq, value),
        Is::Other(value) => (SeccompCmpOp::Ne, value),
        Is::Masked(mask, value) => (SeccompCmpOp::MaskedEq(mask), value),
        Is::Below(value) => (SeccompCmpOp::Lt, value),
        Is::Above(value) => (SeccompCmpOp::Gt, value),
    };
    let length = if test.wide {
        SeccompCmpArgLen::Qword
    } else {
        SeccompCmpArgLen::Dword
    };
    SeccompCondition::new(test.arg, length, op, value)
}

/// Compiles a case with seccompiler and cuts it down to the part that looks at arguments.
///
/// Its programs check the architecture (and kill for a foreign one), load the number and compare it: five
/// instructions that the tree has made needless. They end with what happens where nothing matches, twice. All
/// jumps are relative, none leads back into the first five, and those behind the last row lead to the first
/// of the last two. So the rest can stand anywhere, and where nothing matches, what stands behind it goes on.
fn block(case: &Case) -> Result<BpfProgram, CompileError> {
    const ANY_NUMBER: i64 = 0;
    let row = |row: &Row| SeccompRule::new(row.iter().map(condition).collect::<Result<_, _>>()?);
    let rows: Result<Vec<_>, seccompiler::BackendError> = case.rows.iter().map(row).collect();
    // It has to be another action than that of the case.
    let otherwise = match case.answer {
        Answer::Allow => SeccompAction::KillProcess,
        _ => SeccompAction::Allow,
    };
    let end = u32::from(otherwise.clone());
    let filter = SeccompFilter::new(
        BTreeMap::from([(ANY_NUMBER, rows?)]),
        otherwise,
        action(case.answer),
        NATIVE.1,
    )?;
    let mut block = BpfProgram::try_from(filter)?;

    let prefix = [
        (BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA_ARCH),
        (BPF_JMP | BPF_JEQ | BPF_K, 1, 0, NATIVE.0),
        (BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS),
        (BPF_LD | BPF_W | BPF_ABS, 0, 0, DATA_NR),
        (BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
    ];
    let found = block
        .iter()
        .map(|i| (u32::from(i.code), i.jt, i.jf, i.k))
        .take(prefix.len());
    let suffix = block.iter().rev().map(|i| (u32::from(i.code), i.k));
    let ends = suffix.take(2).eq([(BPF_RET | BPF_K, end); 2]);
    // An empty list of rows would be compiled to "always": the opposite of what it says.
    if case.rows.is_empty() || !found.eq(prefix) || !ends {
        return Err(CompileError::Form);
    }
    block.drain(..prefix.len());
    block.truncate(block.len() - 2);
    Ok(block)
}

#[cfg(test)]
mod tests;
