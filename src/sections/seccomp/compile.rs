//! From a policy to the program that the kernel runs before every system call; see seccomp(2).
//!
//! The program has three parts:
//!
//! 1. the architecture check, since numbers mean other calls in another ABI;
//! 2. a balanced tree over ranges of numbers with the same verdict. No argument is loaded in it, so the kernel
//!    can work out once, when the filter is installed, which numbers are always allowed, and never runs
//!    the program for them again (`seccomp_cache_prepare` in the kernel's kernel/seccomp.c);
//! 3. the tail: one block for each argument condition, made by seccompiler, entered by a jump from the tree.

use std::collections::BTreeMap;
use std::fmt;

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, ENOSYS, EPERM,
    SECCOMP_RET_ALLOW, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, sock_filter,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use syscalls::Sysno;

use super::presets::{Condition, GROUPS, Is, Preset, Stance, condition, group_of};

#[cfg(target_arch = "x86_64")]
use syscalls::aarch64::Sysno as OtherSysno;
#[cfg(target_arch = "aarch64")]
use syscalls::x86_64::Sysno as OtherSysno;

/// `AUDIT_ARCH_*` of linux/audit.h: the ELF machine with the 64-bit and little-endian flags.
#[cfg(target_arch = "x86_64")]
const NATIVE: (u32, TargetArch) = (0xc000_003e, TargetArch::x86_64);
#[cfg(target_arch = "aarch64")]
const NATIVE: (u32, TargetArch) = (0xc000_00b7, TargetArch::aarch64);

/// Numbers from here on are x32 calls on x86_64, under the architecture value of the native ones; a list
/// without them is passed by. Nothing has such a number elsewhere.
const X32_BIT: u32 = 0x4000_0000;

/// Offsets into `struct seccomp_data`.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;

/// `BPF_MAXINSNS`: the kernel takes no longer program.
const MAX_LEN: usize = 4096;

/// Which calls a filter permits: a preset, and what a profile adds and takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The starting point.
    pub preset: Preset,
    /// Calls that are permitted whatever the preset says, with every argument.
    pub allow: Vec<Sysno>,
    /// Calls that are refused with `EPERM`. A call in both lists is refused.
    pub deny: Vec<Sysno>,
}

impl From<Preset> for Policy {
    /// The preset and nothing besides.
    fn from(preset: Preset) -> Self {
        Self {
            preset,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs.
    Allow,
    /// It returns this errno and does not run.
    Errno(i32),
    /// It runs when the arguments meet the condition, and returns the condition's errno otherwise.
    Conditional(&'static Condition),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::Errno(errno) => write!(f, "refused with {}", ErrnoName(*errno)),
            Self::Conditional(condition) => write!(
                f,
                "allowed if the {}, else refused with {}",
                condition.summary,
                ErrnoName(condition.errno)
            ),
        }
    }
}

struct ErrnoName(i32);

impl fmt::Display for ErrnoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match syscalls::Errno::new(self.0).name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

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

/// A name that is no system call of this architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown system call `{name}`{}", hint(*suggestion))]
pub struct UnknownCall {
    /// What was written.
    pub name: String,
    /// The nearest name there is, unless none is near.
    pub suggestion: Option<&'static str>,
    /// Whether the other supported architecture has a call of this name. A profile that is shared between
    /// machines may name it: here the call cannot be made, so there is nothing to permit or refuse.
    pub elsewhere: bool,
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

/// The system call of that name.
///
/// # Errors
///
/// [`UnknownCall`], with the nearest name, if this architecture has no such call.
pub fn parse_call(name: &str) -> Result<Sysno, UnknownCall> {
    // One call that headers and tables name differently on the two architectures.
    const FSTATAT: [&str; 2] = ["fstatat", "newfstatat"];
    let spellings = if FSTATAT.contains(&name) {
        FSTATAT
    } else {
        [name, name]
    };
    spellings
        .iter()
        .find_map(|spelling| spelling.parse().ok())
        .ok_or_else(|| UnknownCall {
            name: name.to_owned(),
            suggestion: nearest_name(name),
            elsewhere: name.parse::<OtherSysno>().is_ok(),
        })
}

/// The name with the fewest typing errors, if these are few for its length.
fn nearest_name(name: &str) -> Option<&'static str> {
    GROUPS
        .iter()
        .flat_map(|group| group.calls)
        .map(|call| (strsim::damerau_levenshtein(name, call.name()), call.name()))
        .min()
        .filter(|(distance, _)| *distance <= name.len() / 3)
        .map(|(_, near)| near)
}

impl Policy {
    /// Whether there is nothing to install: the preset is off, and nothing is denied.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.preset == Preset::Off && self.deny.is_empty()
    }

    /// What becomes of `call` under this policy.
    #[must_use]
    pub fn verdict(&self, call: Sysno) -> Verdict {
        let stance = group_of(call).map(|group| group.stance(self.preset));
        self.adjusted(call, stance)
    }

    /// Arguments with which to find out whether a filter of this policy lets a call through at all.
    /// Where it looks at no argument of the call, any will do.
    #[must_use]
    pub fn examples(&self, call: Sysno) -> Vec<[u64; 6]> {
        match self.verdict(call) {
            Verdict::Allow | Verdict::Errno(_) => vec![[0; 6]],
            Verdict::Conditional(condition) => condition.examples(),
        }
    }

    /// The verdict on a call whose group has that stance: the lists of the profile come first.
    fn adjusted(&self, call: Sysno, stance: Option<Stance>) -> Verdict {
        if self.deny.contains(&call) {
            return Verdict::Errno(EPERM);
        }
        if self.allow.contains(&call) {
            return Verdict::Allow;
        }
        match stance {
            Some(Stance::Allow) => {
                condition(self.preset, call).map_or(Verdict::Allow, Verdict::Conditional)
            }
            Some(Stance::Refuse(errno)) => Verdict::Errno(errno),
            None => self.unlisted(),
        }
    }

    /// The verdict on numbers that the table does not know.
    fn unlisted(&self) -> Verdict {
        match self.preset {
            Preset::Off => Verdict::Allow,
            Preset::Default | Preset::Strict => Verdict::Errno(ENOSYS),
        }
    }

    /// The program to install with seccomp(2), or `None` if [`Policy::is_off`].
    ///
    /// Calls of any ABI but the native one, and x32 calls, return `ENOSYS`.
    /// With the preset `off` and calls to deny, everything else of the native ABI is permitted.
    ///
    /// # Errors
    ///
    /// [`CompileError`] if the program would be longer than the kernel takes, or the linking of
    /// conditions fails. No policy made of the present tables comes near either.
    pub fn compile(&self) -> Result<Option<Vec<sock_filter>>, CompileError> {
        if self.is_off() {
            return Ok(None);
        }
        let ranges = self.ranges();
        let mut program = Backwards::default();
        let leaves = program.leaves(&ranges)?;
        let root = program.tree(&leaves)?;
        program.head(root);
        program.finish().map(Some)
    }

    /// All numbers, cut where the verdict changes: each entry holds from its number up to the next.
    fn ranges(&self) -> Vec<(u32, Verdict)> {
        // One slot more than there are numbers, so that the last range has an end.
        let mut table = vec![self.unlisted(); Sysno::table_size() + 1];
        for group in GROUPS {
            for &call in group.calls {
                if let Some(slot) = table.get_mut(call.id() as usize) {
                    *slot = self.adjusted(call, Some(group.stance(self.preset)));
                }
            }
        }
        let mut ranges: Vec<(u32, Verdict)> = Vec::new();
        let x32 = (X32_BIT, Verdict::Errno(ENOSYS));
        for (nr, verdict) in (0..).zip(table).chain([x32]) {
            if ranges.last().is_none_or(|(_, before)| *before != verdict) {
                ranges.push((nr, verdict));
            }
        }
        ranges
    }
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
        let mut verdicts: Vec<Verdict> = Vec::new();
        for (_, verdict) in ranges {
            if !verdicts.contains(verdict) {
                verdicts.push(*verdict);
            }
        }
        // Conditions go to the far end: they are few, so that few branches have to reach there.
        verdicts.sort_by_key(|verdict| !matches!(verdict, Verdict::Conditional(_)));
        let mut labels = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            let label = match verdict {
                Verdict::Allow => self.push(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                Verdict::Errno(errno) => self.push(BPF_RET | BPF_K, refusal(errno)),
                Verdict::Conditional(condition) => self.condition(condition)?,
            };
            labels.push((verdict, label));
        }
        ranges
            .iter()
            .map(|(from, verdict)| {
                let leaf = labels.iter().find(|(known, _)| known == verdict);
                leaf.map(|(_, label)| (*from, *label))
                    .ok_or(CompileError::Form)
            })
            .collect()
    }

    /// Links the block that decides on `condition`.
    fn condition(&mut self, condition: &Condition) -> Result<Label, CompileError> {
        let block = condition_block(condition)?;
        for instruction in block.iter().rev() {
            self.push_jump(
                u32::from(instruction.code),
                instruction.k,
                instruction.jt,
                instruction.jf,
            );
        }
        Ok(self.0.len() - 1)
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

    /// Writes the architecture check and the loading of the number, in front of `root`.
    fn head(&mut self, root: Label) {
        if let far @ 1.. = self.distance(root) {
            self.push(BPF_JMP | BPF_JA, far as u32);
        }
        self.push(BPF_LD | BPF_W | BPF_ABS, DATA_NR);
        // ENOSYS, not a kill: programs probe for 32-bit support and take this for an answer.
        self.push(BPF_RET | BPF_K, refusal(ENOSYS));
        self.push_jump(BPF_JMP | BPF_JEQ | BPF_K, NATIVE.0, 1, 0);
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

/// The value that makes the kernel return `errno` from the call.
fn refusal(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | (errno.cast_unsigned() & SECCOMP_RET_DATA)
}

/// Compiles a condition with seccompiler and cuts it down to the part that looks at arguments.
///
/// Its programs check the architecture (and kill for a foreign one), load the number and compare it: five
/// instructions that the tree has made needless. All jumps are relative and none leads back into them, so
/// the rest can stand anywhere. Whatever it is entered with, it ends in one of its own returns.
fn condition_block(condition: &Condition) -> Result<BpfProgram, CompileError> {
    const ANY_NUMBER: i64 = 0;
    let rows: Result<Vec<SeccompRule>, seccompiler::BackendError> = condition
        .rows
        .iter()
        .map(|row| {
            let tests: Result<Vec<_>, _> = row
                .iter()
                .map(|test| {
                    let (op, value) = match test.is {
                        Is::Equal(value) => (SeccompCmpOp::Eq, value),
                        Is::Other(value) => (SeccompCmpOp::Ne, value),
                        Is::Masked(mask, value) => (SeccompCmpOp::MaskedEq(u64::from(mask)), value),
                    };
                    SeccompCondition::new(test.arg, SeccompCmpArgLen::Dword, op, u64::from(value))
                })
                .collect();
            SeccompRule::new(tests?)
        })
        .collect();
    let filter = SeccompFilter::new(
        BTreeMap::from([(ANY_NUMBER, rows?)]),
        SeccompAction::Errno(condition.errno.cast_unsigned()),
        SeccompAction::Allow,
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
    // An empty list of rows would be compiled to "always allowed": the opposite of what it says.
    if condition.rows.is_empty() || !found.eq(prefix) {
        return Err(CompileError::Form);
    }
    block.drain(..prefix.len());
    Ok(block)
}

#[cfg(test)]
mod tests;
