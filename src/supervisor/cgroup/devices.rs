//! Which devices a group may open: lists of cgroup v1 (Documentation/admin-guide/cgroup-v1/devices.rst), a program
//! on a group of v2 (Documentation/admin-guide/cgroup-v2.rst, "Device controller").

use super::Group;
use super::error::CgroupError;
use super::limits::Files;
use super::programs::{copy, instruction, word};
use crate::host::cgroup::Controller;
use crate::plan::op::DeviceRule;
use crate::sys::bpf::{Hook, Instruction};
use std::collections::BTreeSet;

impl Group {
    /// Lets the group open these devices and no others, and looks whether that is so.
    ///
    /// # Errors
    /// The kernel refuses it, or says something else afterwards.
    pub fn limit_devices(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let v1 = self
            .v1
            .as_ref()
            .and_then(|group| group.dir(Controller::Devices));
        if let Some(dir) = v1 {
            return Files { dir, v2: false }.devices(rules);
        }
        let programs = [(Hook::DEVICES, program(rules))];
        self.hang(Controller::Devices, "devices", &programs)
    }
}

impl Files<'_> {
    fn devices(self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        self.file(Controller::Devices, "devices.deny").write("a")?;
        let allow = self.file(Controller::Devices, "devices.allow");
        for rule in rules {
            allow.write(&rule.to_string())?;
        }
        let list = self.file(Controller::Devices, "devices.list");
        let found = list.read()?;
        let wanted: BTreeSet<String> = rules.iter().map(DeviceRule::to_string).collect();
        let held: BTreeSet<String> = found.lines().map(str::to_owned).collect();
        let wanted_words: Vec<_> = wanted.iter().cloned().collect();
        list.compare(
            held == wanted,
            &wanted_words.join(", "),
            &found.replace('\n', ", "),
        )
    }
}

// Registers, and what they hold: the kernel's argument (`struct bpf_cgroup_dev_ctx`) in the first one.
const ANSWER: u8 = 0;
const ASKED: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const BEYOND: u8 = 6;

/// `BPF_DEVCG_*` of the kernel.
const BLOCK: i32 = 1;
const CHARACTERS: i32 = 2;
const READ: i32 = 2;
const WRITE: i32 = 4;

const fn and(to: u8, mask: i32) -> Instruction {
    instruction(0x57, to, 0, 0, mask)
}

const fn shift(to: u8, bits: i32) -> Instruction {
    instruction(0x77, to, 0, 0, bits)
}

/// Goes on so many instructions further where a register holds another number.
const fn unless(register: u8, number: i32, further: i16) -> Instruction {
    instruction(0x55, register, 0, further, number)
}

const fn answer(number: i32) -> [Instruction; 2] {
    [
        instruction(0xb7, ANSWER, 0, 0, number),
        instruction(0x95, 0, 0, 0, 0),
    ]
}

/// The program that answers 1 for what one of the rules permits, wholly, and 0 for everything else; to make a node
/// (`m` of cgroup v1) is never permitted.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        word(KIND, ASKED, 0),
        copy(ACCESS, KIND),
        and(KIND, 0xffff),
        shift(ACCESS, 16),
        word(MAJOR, ASKED, 4),
        word(MINOR, ASKED, 8),
    ];
    for rule in rules {
        let mut permitted = 0;
        permitted |= if rule.read { READ } else { 0 };
        permitted |= if rule.write { WRITE } else { 0 };
        let kind = if rule.block { BLOCK } else { CHARACTERS };
        let same = rule.minor.map(|minor| (MINOR, minor));
        let same = [Some((MAJOR, rule.major)), same].into_iter().flatten();
        let same: Vec<(u8, i32)> = same
            .map(|(of, number)| (of, number.cast_signed()))
            .collect();
        // From behind a comparison to the next rule: what is still left of the comparisons, and the answer.
        let left = |compared: i16| compared + 2;
        let others = same.len() as i16;
        program.push(unless(KIND, kind, left(others + 3)));
        program.push(copy(BEYOND, ACCESS));
        program.push(and(BEYOND, !permitted & 0xffff));
        program.push(unless(BEYOND, 0, left(others)));
        for (number, (of, wanted)) in same.into_iter().enumerate() {
            program.push(unless(of, wanted, left(others - 1 - number as i16)));
        }
        program.extend(answer(1));
    }
    program.extend(answer(0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn run(program: &[Instruction], block: bool, access: u32, major: u32, minor: u32) -> u64 {
        let asked = [(access << 16) | (u32::from(!block) + 1), major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let Instruction {
                code,
                registers: both,
                offset,
                number,
            } = program[at];
            let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
            at += 1;
            match code {
                0x61 => registers[to] = asked[offset as usize / 4].into(),
                0xbf => registers[to] = registers[from],
                0xb7 => registers[to] = number as i64 as u64,
                0x57 => registers[to] &= number as i64 as u64,
                0x77 => registers[to] >>= number,
                0x55 if registers[to] != number as i64 as u64 => at += offset as usize,
                0x55 => {}
                0x95 => return registers[0],
                other => panic!("{other:x}"),
            }
        }
    }

    #[test]
    fn a_program_permits_what_a_rule_does_and_nothing_else() {
        let rule = |block, major, minor, read, write| DeviceRule {
            block,
            major,
            minor,
            read,
            write,
        };
        let rules = [
            rule(false, 1, Some(3), true, true),
            rule(false, 136, None, true, true),
            rule(true, 8, Some(0), true, false),
        ];
        let program = program(&rules);
        for block in [false, true] {
            for access in 1..8 {
                for major in [0, 1, 8, 136] {
                    for minor in [0, 3, 7] {
                        let permits = |rule: &DeviceRule| {
                            rule.block == block
                                && rule.major == major
                                && rule.minor.is_none_or(|one| one == minor)
                                && access & 1 == 0
                                && (access & 2 == 0 || rule.read)
                                && (access & 4 == 0 || rule.write)
                        };
                        let wanted = u64::from(rules.iter().any(permits));
                        let found = run(&program, block, access, major, minor);
                        assert_eq!(found, wanted, "{block} {access} {major}:{minor}");
                    }
                }
            }
        }
        assert_eq!(run(&super::program(&[]), false, 2, 1, 3), 0);
    }
}
