//! System calls as they are written: `mount`, or with arguments `socket(40, 1, 0)`.

use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::attempt::Attempt;
use crate::sections::Profile;
use crate::sections::seccomp::call::{I386, parse_call, parse_foreign};
use crate::sections::seccomp::{foreign::ABI, no_such_call};
use syscalls::Sysno;

/// A system call, and its arguments if only those are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    call: Sysno,
    arguments: Option<[u64; 6]>,
}

pub(super) fn parse(value: &At<String>, problems: &mut Diagnostics) -> Option<Call> {
    let (name, arguments) = match value.value.split_once('(') {
        None => (value.value.trim(), None),
        Some((name, rest)) => (name.trim(), Some(rest)),
    };
    let call = match parse_call(name) {
        Ok(call) => call,
        Err(unknown) => {
            problems.push(no_such_call(&unknown, &value.origin));
            return None;
        }
    };
    let Some(list) = arguments else {
        return Some(Call {
            call,
            arguments: None,
        });
    };
    let arguments = numbers(list);
    if arguments.is_none() {
        let message = format!("`({list}` are no arguments of a system call");
        problems.push(
            Diagnostic::new(Code::BadSystemCall, &value.origin, message)
                .help("write up to six numbers, for example: \"socket(40, 1, 0)\" or \"clone(0x10000000)\""),
        );
    }
    arguments.map(|arguments| Call {
        call,
        arguments: Some(arguments),
    })
}

/// A call of the machine's other ABI, which no attempt makes; none where it is no such call, or not well written.
pub(super) fn parse_foreign_call(text: &str) -> Option<(I386, Option<[u64; 6]>)> {
    let (name, list) = match text.split_once('(') {
        None => (text, None),
        Some((name, list)) => (name, Some(list)),
    };
    let abi = format!("{} ", ABI?.name);
    let call = match name.strip_prefix(&abi) {
        Some(name) => name.trim().parse().ok()?,
        None => parse_foreign(name.trim())?,
    };
    Some((
        call,
        list.map(numbers)
            .map_or(Some(None), |found| found.map(Some))?,
    ))
}

/// Up to six numbers, decimal or hexadecimal, and the closing parenthesis. What is not given is 0.
fn numbers(list: &str) -> Option<[u64; 6]> {
    let list = list.trim().strip_suffix(')')?.trim();
    let mut arguments = [0; 6];
    if list.is_empty() {
        return Some(arguments);
    }
    let mut free = arguments.iter_mut();
    for word in list.split(',') {
        let word = word.trim();
        *free.next()? = match (word.strip_prefix("0x"), word.strip_prefix('-')) {
            (Some(digits), _) => u64::from_str_radix(digits, 16).ok()?,
            // As a register holds it: -1 is all ones.
            (_, Some(_)) => word.parse::<i64>().ok()?.cast_unsigned(),
            _ => word.parse().ok()?,
        };
    }
    Some(arguments)
}

impl Call {
    /// Which call.
    pub(crate) fn call(&self) -> Sysno {
        self.call
    }

    /// Its arguments, if only those are meant.
    pub(crate) fn arguments(&self) -> Option<[u64; 6]> {
        self.arguments
    }

    /// One attempt for the arguments that are given, else one for each that the filter may treat in
    /// its own way.
    pub(super) fn attempts(&self, profile: &Profile) -> Vec<Attempt> {
        let all = match self.arguments {
            Some(arguments) => vec![arguments],
            None => profile.seccomp.verdict(self.call, profile).examples(),
        };
        all.into_iter()
            .map(|arguments| Attempt::Call {
                name: self.call.name(),
                number: self.call.id().cast_unsigned(),
                arguments,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn arguments_are_numbers() {
        assert_eq!(numbers(")"), Some([0; 6]));
        assert_eq!(numbers("40, 0x1 ,0)"), Some([40, 1, 0, 0, 0, 0]));
        assert_eq!(numbers("-1)"), Some([u64::MAX, 0, 0, 0, 0, 0]));
        for wrong in [
            "",
            "1",
            "1,)",
            "a)",
            "1,2,3,4,5,6,7)",
            "0x)",
            "1) 2",
            "--1)",
        ] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }
}
