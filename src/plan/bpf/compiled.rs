//! A compiled filter as files hold it: an array of `struct sock_filter`, in the byte order of this machine
//! (linux/filter.h), as `seccomp_export_bpf` of libseccomp writes it.

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT,
    BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL,
    BPF_NEG, BPF_OR, BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X,
    BPF_XOR, sock_filter,
};

/// Bytes of an instruction.
const WIDTH: usize = size_of::<sock_filter>();

/// `BPF_MAXINSNS`: the kernel takes no longer program.
pub const MOST: usize = 4096;

/// Words of scratch memory (`BPF_MEMWORDS`).
const MEMORY: u32 = 16;

/// Bytes of `struct seccomp_data`.
const DATA: u32 = 64;

/// Reads a program, and looks at all that the kernel looks at, but for scratch memory that is read before it is
/// written.
///
/// # Errors
/// What is wrong with it, after the name of the file.
pub fn read(bytes: &[u8]) -> Result<Vec<sock_filter>, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    let (instructions, rest) = bytes.as_chunks::<WIDTH>();
    if !rest.is_empty() {
        let length = bytes.len();
        return Err(format!(
            "has {length} bytes, which are no whole number of instructions of {WIDTH}"
        ));
    }
    let count = instructions.len();
    if count > MOST {
        return Err(format!(
            "has {count} instructions, and the kernel takes at most {MOST}"
        ));
    }
    let program: Vec<_> = instructions.iter().map(one).collect();
    for (at, instruction) in program.iter().enumerate() {
        let wrong = |why: &str| Err(format!("is no filter: instruction {at} {why}"));
        if !is_known(instruction) {
            return wrong("is none that seccomp(2) takes");
        }
        let ahead = count - at - 1;
        let reach = match u32::from(instruction.code) {
            code if code == BPF_JMP | BPF_JA => instruction.k as usize,
            code if code & 7 == BPF_JMP => usize::from(instruction.jt.max(instruction.jf)),
            code if code & 7 == BPF_RET => continue,
            _ => 0,
        };
        if reach >= ahead {
            return wrong("leads out of the program");
        }
    }
    Ok(program)
}

fn one(&[a, b, jt, jf, k @ ..]: &[u8; WIDTH]) -> sock_filter {
    sock_filter {
        code: u16::from_ne_bytes([a, b]),
        jt,
        jf,
        k: u32::from_ne_bytes(k),
    }
}

/// Whether it is one of those that kernel/seccomp.c lists, with an operand that net/core/filter.c takes.
fn is_known(&sock_filter { code, k, .. }: &sock_filter) -> bool {
    const COMPUTED: [u32; 9] = [
        BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH,
    ];
    const COMPARED: [u32; 4] = [BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET];
    const PLAIN: [u32; 10] = [
        BPF_LD | BPF_W | BPF_LEN,
        BPF_LDX | BPF_W | BPF_LEN,
        BPF_LD | BPF_IMM,
        BPF_LDX | BPF_IMM,
        BPF_MISC | BPF_TAX,
        BPF_MISC | BPF_TXA,
        BPF_RET | BPF_K,
        BPF_RET | BPF_A,
        BPF_JMP | BPF_JA,
        BPF_ALU | BPF_NEG,
    ];
    const STORED: [u32; 4] = [BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX];
    let code = u32::from(code);
    let (class, operation, source) = (code & 7, code & 0xf0, code & 8);
    let plain = code & !0xff == 0;
    match class {
        _ if PLAIN.contains(&code) => true,
        _ if STORED.contains(&code) => k < MEMORY,
        _ if code == BPF_LD | BPF_W | BPF_ABS => k < DATA && k % 4 == 0,
        c if c == BPF_ALU && plain && COMPUTED.contains(&operation) => {
            let by_nothing = operation == BPF_DIV && k == 0;
            let too_far = matches!(operation, BPF_LSH | BPF_RSH) && k >= 32;
            source == BPF_X || !(by_nothing || too_far)
        }
        c if c == BPF_JMP && plain => COMPARED.contains(&operation),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a program, from the codes and operands.
    pub(crate) fn bytes(program: &[(u32, u8, u8, u32)]) -> Vec<u8> {
        let one = |&(code, jt, jf, k): &(u32, u8, u8, u32)| {
            let [a, b] = (code as u16).to_ne_bytes();
            let [c, d, e, f] = k.to_ne_bytes();
            [a, b, jt, jf, c, d, e, f]
        };
        program.iter().flat_map(one).collect()
    }

    const ALLOW: (u32, u8, u8, u32) = (BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW);

    #[test]
    fn programs_that_the_kernel_takes() {
        let number = (BPF_LD | BPF_W | BPF_ABS, 0, 0, 0);
        for program in [
            vec![ALLOW],
            vec![number, (BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 9), ALLOW, ALLOW],
            vec![(BPF_JMP | BPF_JA, 0, 0, 1), ALLOW, ALLOW],
            vec![number, (BPF_ST, 0, 0, 15), (BPF_RET | BPF_A, 0, 0, 0)],
            vec![ALLOW; MOST],
        ] {
            assert_eq!(read(&bytes(&program)).map(|p| p.len()), Ok(program.len()));
        }
    }

    #[test]
    fn what_is_no_program() {
        let jump = |to| bytes(&[(BPF_JMP | BPF_JA, 0, 0, to), ALLOW]);
        let number = |at| bytes(&[(BPF_LD | BPF_W | BPF_ABS, 0, 0, at), ALLOW]);
        let first = |code, k| bytes(&[(code, 0, 0, k), ALLOW]);
        for (wrong, why) in [
            (Vec::new(), "is empty"),
            (vec![6, 0, 0, 0, 0, 0, 0xff], "no whole number"),
            (bytes(&[ALLOW; MOST + 1]), "at most 4096"),
            (jump(1), "instruction 0 leads out"),
            (jump(u32::MAX), "instruction 0 leads out"),
            (
                bytes(&[(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 9), ALLOW]),
                "instruction 0 leads out",
            ),
            (
                bytes(&[ALLOW, (BPF_LD | BPF_IMM, 0, 0, 1)]),
                "instruction 1 leads out",
            ),
            (number(64), "none that seccomp(2) takes"),
            (number(2), "none that seccomp(2) takes"),
            (first(BPF_ST, 16), "none that seccomp(2) takes"),
            (
                first(BPF_ALU | BPF_DIV | BPF_K, 0),
                "none that seccomp(2) takes",
            ),
            (
                first(BPF_ALU | BPF_LSH | BPF_K, 32),
                "none that seccomp(2) takes",
            ),
            (b"secret\nx".repeat(4), "none that seccomp(2) takes"),
        ] {
            let said = read(&wrong).unwrap_err();
            assert!(said.contains(why), "{said}, not {why}");
        }
    }
}
