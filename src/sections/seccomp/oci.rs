//! A policy in the JSON form of the OCI runtime specification (config-linux.md, "Seccomp"), and in that of
//! Docker's profiles, which adds `includes` and `excludes`: read into the same entries as `allow` and `deny`.
//!
//! Where the specification leaves things open, it is as libseccomp and runc have it: names that this architecture
//! does not have are passed over, an entry whose action is the default one says nothing, and several conditions on one
//! argument are alternatives.

use super::call::{Call, parse_call, parse_foreign};
use super::foreign::{self, Meaning, meaning};
use super::policy::{Answer, Entry, Named};
use crate::review::arguments::{Is, Row, Test};
use serde::Deserialize;

/// The policy, as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    default_action: Action,
    default_errno_ret: Option<i32>,
    /// The same by name; Podman has written it.
    #[serde(default, rename = "defaultErrno")]
    _default_errno: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    /// Docker's, in place of `architectures`.
    #[serde(default)]
    arch_map: Vec<Arch>,
    /// They say how a runtime installs the filter; here that is settled.
    #[serde(default, rename = "flags")]
    _flags: Vec<String>,
    listener_path: Option<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Arch {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    /// The older form.
    name: Option<String>,
    action: Action,
    errno_ret: Option<i32>,
    args: Option<Vec<Condition>>,
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    includes: Option<Where>,
    excludes: Option<Where>,
    /// Of no meaning; Docker has written it.
    #[serde(default, rename = "errno")]
    _errno: Option<String>,
}

/// Where an entry counts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Where {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: Op,
}

#[derive(Clone, Copy, Deserialize)]
enum Op {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    Masked,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// A thread alone is not ended here: the rest of the process would go on without it.
    #[serde(
        rename = "SCMP_ACT_KILL",
        alias = "SCMP_ACT_KILL_THREAD",
        alias = "SCMP_ACT_KILL_PROCESS"
    )]
    Kill,
}

impl Action {
    fn answer(self, errno: Option<i32>) -> Answer {
        match self {
            Self::Allow => Answer::Allow,
            Self::Log => Answer::Log,
            Self::Errno => Answer::Errno(errno.unwrap_or(libc::EPERM)),
            Self::Trap => Answer::Trap,
            Self::Kill => Answer::Kill,
        }
    }
}

/// What a file says.
#[derive(Debug, PartialEq)]
pub(super) struct Oci {
    /// What becomes of what no entry names.
    pub(super) otherwise: Answer,
    /// What is permitted.
    pub(super) allow: Vec<Entry>,
    /// What is not, or only logged.
    pub(super) deny: Vec<Entry>,
    /// Names that no call of this architecture has.
    pub(super) unknown: Vec<String>,
    /// Whether it is about the machine's other ABI too.
    pub(super) foreign: bool,
}

/// What the text is read for: the capabilities that the profile keeps, and the kernel's version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) capabilities: u64,
    pub(super) kernel: (u32, u32),
}

#[cfg(target_arch = "x86_64")]
const ARCH: (&str, &str) = ("SCMP_ARCH_X86_64", "amd64");
#[cfg(target_arch = "aarch64")]
const ARCH: (&str, &str) = ("SCMP_ARCH_AARCH64", "arm64");

/// The machine's other ABI.
#[cfg(target_arch = "x86_64")]
const SUB_ARCH: Option<&str> = Some("SCMP_ARCH_X86");
#[cfg(target_arch = "aarch64")]
const SUB_ARCH: Option<&str> = None;

/// How many combinations of arguments all entries may tell apart, as for `when`.
const MOST_ROWS: usize = 512;
/// The largest errno, as for `with`.
const LARGEST_ERRNO: i32 = 4094;

/// Reads a policy.
///
/// # Errors
/// What is wrong with it, with the line and the column where that is known.
pub(super) fn read(text: &str, here: Here) -> Result<Oci, String> {
    let raw: Raw = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if raw.listener_path.is_some() {
        return Err("`listenerPath` cannot be had: nobody else answers calls".into());
    }
    let arches = raw.architectures.iter();
    let mut arches = arches.chain(raw.arch_map.iter().map(|arch| &arch.architecture));
    let none = raw.architectures.is_empty() && raw.arch_map.is_empty();
    if !none && !arches.any(|arch| arch == ARCH.0) {
        return Err(format!("{} is not among its architectures", ARCH.0));
    }
    let mapped = raw
        .arch_map
        .iter()
        .filter(|arch| arch.architecture == ARCH.0);
    let mapped = mapped.flat_map(|arch| arch.sub_architectures.iter().flatten());
    let mut arches = raw.architectures.iter().chain(mapped);
    let foreign = arches.any(|arch| Some(arch.as_str()) == SUB_ARCH);
    let errnos = raw.syscalls.iter().filter_map(|rule| rule.errno_ret);
    for errno in errnos.chain(raw.default_errno_ret) {
        if !(0..=LARGEST_ERRNO).contains(&errno) {
            return Err(format!(
                "{errno} is no errno: they go from 0 to {LARGEST_ERRNO}"
            ));
        }
    }
    let otherwise = raw.default_action.answer(raw.default_errno_ret);
    let mut oci = Oci {
        otherwise,
        allow: Vec::new(),
        deny: Vec::new(),
        unknown: Vec::new(),
        foreign,
    };
    let mut permitted = Vec::new();
    let mut combinations = 0;
    for (number, rule) in (1..).zip(&raw.syscalls) {
        if !rule.counts(here)? {
            continue;
        }
        let answer = rule.action.answer(rule.errno_ret.or(raw.default_errno_ret));
        let when = match rule.args.as_deref() {
            None | Some([]) => None,
            Some(conditions) => match rows(conditions)
                .map_err(|why| format!("entry {number} of `syscalls`: {why}"))?
            {
                rows if rows.iter().any(Vec::is_empty) => None,
                rows if rows.is_empty() => continue,
                rows => {
                    combinations += rows.len();
                    Some(rows.into())
                }
            },
        };
        if combinations > MOST_ROWS {
            return Err(format!(
                "its conditions tell more than {MOST_ROWS} combinations of arguments apart"
            ));
        }
        let mut calls = Vec::new();
        for name in rule.names.iter().chain(&rule.name) {
            match parse_call(name) {
                Ok(call) => calls.push(Named {
                    call: call.into(),
                    by_set: false,
                }),
                Err(_) => match parse_foreign(name).filter(|_| foreign) {
                    Some(call) => calls.push(Named {
                        call: call.into(),
                        by_set: false,
                    }),
                    None => oci.unknown.push(name.clone()),
                },
            }
        }
        if answer.permits() && when.is_none() {
            permitted.extend(calls.iter().map(|named| named.call));
        }
        if calls.is_empty() || answer == otherwise {
            continue;
        }
        let entry = |with| Entry { calls, when, with };
        if answer == Answer::Allow {
            oci.allow.push(entry(None));
        } else {
            oci.deny.push(entry(Some(answer)));
        }
    }
    // A name of the other ABI counts by itself there: what none permits is refused, whatever becomes of the native
    // call that does the same. Before all others, so that what they say is answered as they say it.
    if foreign && !otherwise.permits() {
        let own = foreign::all().filter(|call| {
            parse_foreign(call.name()).is_some() && matches!(meaning(*call), Meaning::As(..))
        });
        let own = own.map(Call::Foreign);
        let refused = own.filter(|call| !permitted.contains(call));
        let named = |call| Named {
            call,
            by_set: false,
        };
        oci.deny.insert(
            0,
            Entry {
                calls: refused.map(named).collect(),
                when: None,
                with: Some(otherwise),
            },
        );
    }
    Ok(oci)
}

impl Rule {
    /// Whether the entry counts here.
    fn counts(&self, here: Here) -> Result<bool, String> {
        let none = Where::default();
        let includes = self.includes.as_ref().unwrap_or(&none);
        let excludes = self.excludes.as_ref().unwrap_or(&none);
        let kept = |name: &String| -> Result<bool, String> {
            let capability: caps::Capability = name
                .to_uppercase()
                .parse()
                .map_err(|_| format!("there is no capability `{name}`"))?;
            Ok(here.capabilities & capability.bitmask() != 0)
        };
        for name in &includes.caps {
            if !kept(name)? {
                return Ok(false);
            }
        }
        for name in &excludes.caps {
            if kept(name)? {
                return Ok(false);
            }
        }
        let is_here = |arch: &String| arch == ARCH.1;
        let new_enough = |version: &Option<String>| -> Result<Option<bool>, String> {
            let Some(version) = version else {
                return Ok(None);
            };
            let numbers = version
                .split_once('.')
                .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
            let wanted: (u32, u32) =
                numbers.ok_or_else(|| format!("`{version}` is no version of a kernel"))?;
            Ok(Some(here.kernel >= wanted))
        };
        Ok(
            (includes.arches.is_empty() || includes.arches.iter().any(is_here))
                && !excludes.arches.iter().any(is_here)
                && new_enough(&includes.min_kernel)? != Some(false)
                && new_enough(&excludes.min_kernel)? != Some(true),
        )
    }
}

/// The rows of which one has to hold. An empty one always does; none at all means that nothing fits.
fn rows(conditions: &[Condition]) -> Result<Vec<Row>, String> {
    let test = |condition: &Condition| -> Result<Option<Vec<Test>>, String> {
        if condition.index > 5 {
            return Err(format!("there is no argument {}", condition.index));
        }
        let value = condition.value;
        let is = match condition.op {
            Op::Eq => Is::Equal(value),
            Op::Ne => Is::Other(value),
            Op::Lt => Is::Below(value),
            Op::Gt => Is::Above(value),
            Op::Le => match value.checked_add(1) {
                Some(above) => Is::Below(above),
                None => return Ok(Some(Vec::new())),
            },
            Op::Ge => match value.checked_sub(1) {
                Some(below) => Is::Above(below),
                None => return Ok(Some(Vec::new())),
            },
            // The first value is the mask.
            Op::Masked if condition.value_two & !value != 0 => return Ok(None),
            Op::Masked => Is::Masked(value, condition.value_two),
        };
        Ok(Some(vec![Test {
            arg: condition.index,
            wide: true,
            is,
        }]))
    };
    let repeated = (0..6).any(|index| conditions.iter().filter(|c| c.index == index).count() > 1);
    let mut rows = Vec::new();
    if repeated {
        for condition in conditions {
            rows.extend(test(condition)?);
        }
        return Ok(rows);
    }
    let mut row = Vec::new();
    for condition in conditions {
        match test(condition)? {
            Some(tests) => row.extend(tests),
            // It never holds, and so not all do.
            None => return Ok(Vec::new()),
        }
    }
    Ok(vec![row])
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Foreign, Policy};
    use super::super::presets::Preset;
    use super::*;
    use proptest::prelude::*;
    use syscalls::Sysno;

    const HERE: Here = Here {
        capabilities: 1,
        kernel: (6, 1),
    };

    fn policy(text: &str) -> Policy {
        let oci = read(text, HERE).unwrap();
        let foreign = oci.foreign.then_some(Foreign::Same);
        let preset = if oci.otherwise == Answer::Allow {
            Preset::Off
        } else {
            Preset::None
        };
        Policy::new(preset, oci.otherwise, &oci.allow, &oci.deny).foreign_calls(foreign)
    }

    fn entries(entries: &str) -> String {
        format!(
            r#"{{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [{entries}] }}"#
        )
    }

    #[test]
    fn entries_are_read_as_runtimes_read_them() {
        let policy = policy(&entries(
            r#"
            { "names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["clone"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
            { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_EQ" }] },
            { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 8, "op": "SCMP_CMP_EQ" }] },
            { "names": ["socket"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }, { "index": 0, "value": 10, "op": "SCMP_CMP_GE" }] },
            { "names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_CHROOT"] } },
            { "names": ["chown"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_CHOWN"], "minKernel": "4.8" } },
            { "names": ["bpf"], "action": "SCMP_ACT_ALLOW", "excludes": { "minKernel": "5.0" } },
            { "names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 },
            { "names": ["ptrace"], "action": "SCMP_ACT_KILL_PROCESS" }"#,
        ));
        let answer = |call: Sysno, first: u64| policy.verdict(call).answer(&[first, 0, 0, 0, 0, 0]);
        let refused = Answer::Errno(38);
        assert_eq!(answer(Sysno::read, 7), Answer::Allow);
        assert_eq!(answer(Sysno::clone, 17), Answer::Allow);
        assert_eq!(answer(Sysno::clone, 0x1000_0000), refused);
        assert_eq!(answer(Sysno::personality, 8), Answer::Allow);
        assert_eq!(answer(Sysno::personality, 9), refused);
        let families = [1, 2, 10, 40].map(|family| answer(Sysno::socket, family).permits());
        assert_eq!(families, [true, false, true, true]);
        assert_eq!(answer(Sysno::chroot, 0), refused);
        assert_eq!(answer(Sysno::fchown, 0), refused);
        assert_eq!(answer(Sysno::bpf, 0), refused);
        assert_eq!(answer(Sysno::mount, 0), Answer::Errno(13));
        assert_eq!(answer(Sysno::ptrace, 0), Answer::Kill);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(answer(Sysno::chown, 0), Answer::Allow);
    }

    /// As libseccomp has it, a name counts by itself there; and no further than the native call that does the same.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn names_of_the_other_architecture_count_where_the_file_is_about_it() {
        use super::super::call::I386;
        let calls = r#"
            { "names": ["mmap", "mmap2", "read", "stat", "socketcall", "chown32"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["fcntl", "fcntl64"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 1, "value": 1, "op": "SCMP_CMP_EQ" }] },
            { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ" }] },
            { "names": ["lstat", "lstat64"], "action": "SCMP_ACT_KILL" }"#;
        let file = |more: &str| {
            let text = entries(calls);
            let (start, rest) = text.split_at(1);
            policy(&format!("{start}{more},{rest}"))
        };
        let x86 = r#""SCMP_ARCH_X86""#;
        for more in [
            format!(r#""architectures": ["SCMP_ARCH_X86_64", {x86}]"#),
            format!(
                r#""archMap": [{{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": [{x86}, "SCMP_ARCH_X32"] }},
                    {{ "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"] }}]"#
            ),
        ] {
            let policy = file(&more);
            let of = |call: I386, first: u64| {
                policy
                    .foreign_verdict(call)
                    .answer(&[first, first, 0, 0, 0, 0])
            };
            let refused = Answer::Errno(38);
            for call in [
                I386::mmap2,
                I386::mmap,
                I386::read,
                I386::stat,
                I386::socketcall,
            ] {
                assert_eq!(of(call, 0), Answer::Allow, "{call}");
            }
            // Not named, while the native call is; named, while it is not.
            for call in [
                I386::stat64,
                I386::oldstat,
                I386::chown32,
                I386::fcntl64,
                I386::ipc,
            ] {
                assert_eq!(of(call, 1), refused, "{call}");
            }
            assert_eq!(
                [0, 1].map(|cmd| of(I386::fcntl, cmd)),
                [refused, Answer::Allow]
            );
            assert_eq!(of(I386::personality, 0xffff_ffff), Answer::Allow);
            assert_eq!(of(I386::lstat64, 0), Answer::Kill);
        }
        for more in [
            r#""architectures": ["SCMP_ARCH_X86_64"]"#,
            r#""archMap": [{ "architecture": "SCMP_ARCH_X86_64" },
                { "architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_X86"] }]"#,
        ] {
            let policy = file(more);
            assert!(!policy.follows());
            assert_eq!(policy.foreign_verdict(I386::read), Answer::Errno(38).into());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, said) in [
            ("", "line 1 column 0"),
            ("{", "line 1"),
            ("[]", "line 1"),
            (
                r#"{ "defaultAction": "SCMP_ACT_NOTIFY" }"#,
                "unknown variant `SCMP_ACT_NOTIFY`",
            ),
            (
                r#"{ "defaultAction": "SCMP_ACT_ALLOW", "sycalls": [] }"#,
                "unknown field `sycalls`",
            ),
            (
                r#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000 }"#,
                "5000 is no errno",
            ),
            (
                r#"{ "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_S390"] }"#,
                "not among its architectures",
            ),
            (
                r#"{ "defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/x" }"#,
                "listenerPath",
            ),
        ] {
            let error = read(text, HERE).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let nine = entries(
            r#"{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 9, "value": 0, "op": "SCMP_CMP_EQ" }] }"#,
        );
        assert_eq!(
            read(&nine, HERE).unwrap_err(),
            "entry 1 of `syscalls`: there is no argument 9"
        );
        let deep = "[".repeat(100_000);
        assert!(read(&deep, HERE).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]{}:,\"a-zA-Z_0-9 ]{0,80}", at in 0..400_usize, byte in any::<char>()) {
            let _ = read(&text, HERE);
            let mut whole = entries(r#"{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_LE" }] }"#);
            whole.insert(at.min(whole.len()), byte);
            let _ = read(&whole, HERE);
        }
    }
}
