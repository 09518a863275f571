//! A system call filter in words: one instruction a line, as `explain --bpf` prints it.

pub mod compiled;

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT,
    BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL,
    BPF_NEG, BPF_OR, BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X,
    BPF_XOR, SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ALLOW, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO,
    SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG, SECCOMP_RET_TRACE,
    SECCOMP_RET_TRAP, SECCOMP_RET_USER_NOTIF, sock_filter,
};
use std::fmt::Write as _;

/// The program, one instruction a line: its number, what it does, and where it leads.
#[must_use]
pub fn text(program: &[sock_filter]) -> String {
    let mut out = String::new();
    for (at, instruction) in program.iter().enumerate() {
        let _ = writeln!(out, "{at:>4}  {}", one(at, *instruction));
    }
    out
}

fn one(at: usize, sock_filter { code, jt, jf, k }: sock_filter) -> String {
    let next = at + 1;
    let compare = |sign: &str| {
        let (yes, no) = (next + usize::from(jt), next + usize::from(jf));
        match (jt, jf) {
            (_, 0) => format!("if A {sign} {k:#x} goto {yes}"),
            (0, _) => format!("unless A {sign} {k:#x} goto {no}"),
            _ => format!("if A {sign} {k:#x} goto {yes} else {no}"),
        }
    };
    match u32::from(code) {
        c if c == BPF_LD | BPF_W | BPF_ABS => format!("A = {}", field(k)),
        c if c == BPF_ALU | BPF_AND | BPF_K => format!("A &= {k:#x}"),
        c if c == BPF_JMP | BPF_JA => format!("goto {}", next + k as usize),
        c if c == BPF_JMP | BPF_JEQ | BPF_K => compare("=="),
        c if c == BPF_JMP | BPF_JGE | BPF_K => compare(">="),
        c if c == BPF_JMP | BPF_JGT | BPF_K => compare(">"),
        c if c == BPF_JMP | BPF_JSET | BPF_K => compare("&"),
        c if c == BPF_RET | BPF_K => format!("return {}", action(k)),
        c if c == BPF_RET | BPF_A => "return A".into(),
        _ => format!("code {code:#x} jt {jt} jf {jf} k {k:#x}"),
    }
}

/// The fields of `struct seccomp_data`.
fn field(offset: u32) -> String {
    match offset {
        0 => "number".into(),
        4 => "architecture".into(),
        8 => "instruction pointer, low half".into(),
        12 => "instruction pointer, high half".into(),
        16..64 if offset & 4 == 0 => format!("argument {}, low half", (offset - 16) / 8),
        16..64 => format!("argument {}, high half", (offset - 16) / 8),
        _ => format!("data[{offset}]"),
    }
}

fn action(value: u32) -> String {
    let data = value & SECCOMP_RET_DATA;
    match value & SECCOMP_RET_ACTION_FULL {
        SECCOMP_RET_ALLOW => "ALLOW".into(),
        SECCOMP_RET_LOG => "LOG".into(),
        SECCOMP_RET_TRAP => "TRAP".into(),
        SECCOMP_RET_KILL_PROCESS => "KILL_PROCESS".into(),
        SECCOMP_RET_KILL_THREAD => "KILL_THREAD".into(),
        SECCOMP_RET_TRACE => "TRACE".into(),
        SECCOMP_RET_ERRNO => errno(data),
        SECCOMP_RET_USER_NOTIF => format!("USER_NOTIF, answered with {}", errno(data)),
        _ => format!("{value:#x}"),
    }
}

fn errno(data: u32) -> String {
    match syscalls::Errno::new(data.cast_signed()).name() {
        Some(name) => format!("ERRNO({name})"),
        None => format!("ERRNO({data})"),
    }
}

/// The same program with a listener that is told of refusals, and answers them. The errno stands where the
/// kernel looks at nothing (`SECCOMP_RET_DATA`). It is not told of `ENOSYS`, by which programs find out that
/// they have to do something in another way, and mostly do, nor of what is answered with success.
#[must_use]
pub fn told(program: &[sock_filter]) -> Vec<sock_filter> {
    let quiet = [0, libc::ENOSYS.cast_unsigned()];
    let one = |i: &sock_filter| {
        let refuses = u32::from(i.code) == BPF_RET | BPF_K
            && i.k & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_ERRNO;
        match i.k & SECCOMP_RET_DATA {
            errno if refuses && !quiet.contains(&errno) => sock_filter {
                k: SECCOMP_RET_USER_NOTIF | errno,
                ..*i
            },
            _ => *i,
        }
    };
    program.iter().map(one).collect()
}

/// Whether the program ever tells its listener of a call.
#[must_use]
pub fn tells(program: &[sock_filter]) -> bool {
    program
        .iter()
        .any(|i| u32::from(i.code) == BPF_RET | BPF_K && errno_told(i.k).is_some())
}

/// The errno with which the listener has to answer, if the answer of a program is to tell it.
#[must_use]
pub const fn errno_told(answer: u32) -> Option<i32> {
    match answer & SECCOMP_RET_ACTION_FULL {
        SECCOMP_RET_USER_NOTIF => Some((answer & SECCOMP_RET_DATA).cast_signed()),
        _ => None,
    }
}

/// What the kernel finds out by the program about a call; `None` for a program that the kernel would not take, or
/// that asks where the call was made.
#[must_use]
pub fn answer(
    program: &[sock_filter],
    number: u32,
    architecture: u32,
    arguments: &[u64; 6],
) -> Option<u32> {
    let load = |offset: u32| match offset {
        0 => Some(number),
        4 => Some(architecture),
        16..64 => {
            let argument = arguments.get((offset as usize - 16) / 8)?;
            let half = if offset & 4 == 0 { 0 } else { 32 };
            Some((argument >> half) as u32)
        }
        _ => None,
    };
    /// Bytes of `struct seccomp_data`.
    const LENGTH: u32 = 64;
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let mut at = 0;
    loop {
        let sock_filter { code, jt, jf, k } = *program.get(at)?;
        at += 1;
        let code = u32::from(code);
        let operand = if code & BPF_X == 0 { k } else { x };
        match code {
            c if c == BPF_RET | BPF_K => return Some(k),
            c if c == BPF_RET | BPF_A => return Some(a),
            c if c == BPF_LD | BPF_W | BPF_ABS => a = load(k)?,
            c if c == BPF_LD | BPF_IMM => a = k,
            c if c == BPF_LDX | BPF_IMM => x = k,
            c if c == BPF_LD | BPF_W | BPF_LEN => a = LENGTH,
            c if c == BPF_LDX | BPF_W | BPF_LEN => x = LENGTH,
            c if c == BPF_LD | BPF_MEM => a = *memory.get(k as usize)?,
            c if c == BPF_LDX | BPF_MEM => x = *memory.get(k as usize)?,
            BPF_ST => *memory.get_mut(k as usize)? = a,
            BPF_STX => *memory.get_mut(k as usize)? = x,
            c if c == BPF_MISC | BPF_TAX => x = a,
            c if c == BPF_MISC | BPF_TXA => a = x,
            c if c == BPF_JMP | BPF_JA => at += k as usize,
            c if c & 7 == BPF_JMP => {
                let holds = match c & 0xf0 {
                    BPF_JEQ => a == operand,
                    BPF_JGE => a >= operand,
                    BPF_JGT => a > operand,
                    BPF_JSET => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if holds { jt } else { jf });
            }
            c if c == BPF_ALU | BPF_NEG => a = a.wrapping_neg(),
            c if c & 7 == BPF_ALU => {
                a = match c & 0xf0 {
                    BPF_ADD => a.wrapping_add(operand),
                    BPF_SUB => a.wrapping_sub(operand),
                    BPF_MUL => a.wrapping_mul(operand),
                    // The kernel ends a program that divides by nothing with 0: the thread is killed.
                    BPF_DIV if operand == 0 => return Some(SECCOMP_RET_KILL_THREAD),
                    BPF_DIV => a / operand,
                    BPF_AND => a & operand,
                    BPF_OR => a | operand,
                    BPF_XOR => a ^ operand,
                    BPF_LSH => a.wrapping_shl(operand),
                    BPF_RSH => a.wrapping_shr(operand),
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// What the kernel does by an answer, in words; `None` where it lets the call go on.
#[must_use]
pub fn refusal(answer: u32) -> Option<String> {
    match answer & SECCOMP_RET_ACTION_FULL {
        SECCOMP_RET_ALLOW | SECCOMP_RET_LOG => None,
        _ => Some(action(answer)),
    }
}

/// Whether the program ever answers with SIGSYS.
#[must_use]
pub fn signals(program: &[sock_filter]) -> bool {
    program.iter().any(|i| {
        let action = i.k & SECCOMP_RET_ACTION_FULL;
        match u32::from(i.code) {
            // What is computed may be anything.
            c if c == BPF_RET | BPF_A => true,
            c if c == BPF_RET | BPF_K => matches!(
                action,
                SECCOMP_RET_TRAP | SECCOMP_RET_KILL_PROCESS | SECCOMP_RET_KILL_THREAD
            ),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_read_as_what_they_do() {
        let one = |code: u32, jt, jf, k| sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let program = [
            one(BPF_LD | BPF_W | BPF_ABS, 0, 0, 4),
            one(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0xc000_003e),
            one(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 38),
            one(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
            one(BPF_JMP | BPF_JGE | BPF_K, 1, 2, 41),
            one(BPF_JMP | BPF_JA, 0, 0, 1),
            one(BPF_LD | BPF_W | BPF_ABS, 0, 0, 28),
            one(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xf),
            one(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 1),
            one(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW),
            one(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 1337),
        ];
        assert_eq!(
            text(&program),
            "   0  A = architecture
   1  if A == 0xc000003e goto 3
   2  return ERRNO(ENOSYS)
   3  A = number
   4  if A >= 0x29 goto 6 else 7
   5  goto 7
   6  A = argument 1, high half
   7  A &= 0xf
   8  unless A > 0x1 goto 10
   9  return ALLOW
  10  return ERRNO(1337)
"
        );
        assert!(!signals(&program));
        assert!(signals(&[one(
            BPF_RET | BPF_K,
            0,
            0,
            SECCOMP_RET_KILL_PROCESS
        )]));
    }
}
