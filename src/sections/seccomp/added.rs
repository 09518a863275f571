//! A compiled filter from a file, which counts besides the one that is made of the other keys.

use super::{ESSENTIAL, Seccomp, compile::NATIVE, file};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Sources};
use crate::host::images::digest::Digest;
use crate::plan::bpf::{self, compiled};
use crate::plan::{Draft, Op, Phase};
use crate::profile::text::ReadError;
use crate::review::{Area, Extent, Grant};
use std::collections::BTreeMap;
use std::path::PathBuf;
use syscalls::Sysno;

/// The file that holds it.
#[derive(Clone, Debug)]
pub(super) struct Added {
    /// As the profile names it.
    file: At<String>,
    path: PathBuf,
}

impl Added {
    /// Nothing is read yet.
    pub(super) fn check(
        file: At<String>,
        sources: &Sources,
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let path = file::path(&file, sources, problems)?;
        Some(Self { file, path })
    }

    /// As the profile names it.
    pub(super) fn name(&self) -> &str {
        &self.file.value
    }

    /// It comes second, so that it may be an allow-list without seccomp(2), as most are; the first one may not.
    pub(super) fn relate(&self, first: &Seccomp, problems: &mut Diagnostics) {
        let call = Sysno::seccomp;
        let how = [u64::from(libc::SECCOMP_SET_MODE_FILTER), 0, 0, 0, 0, 0];
        if first.policy.is_off() || first.policy.verdict(call).answer(&how).permits() {
            return;
        }
        problems.push(
            Diagnostic::new(
                Code::EssentialCall,
                &self.file.origin,
                "the filter cannot be installed: the one before it refuses `seccomp`",
            )
            .and(first.line(call), "refused here")
            .help("write `allow = [\"seccomp\"]`: filters that are added can only refuse more"),
        );
    }

    /// No file is no bound.
    pub(super) fn grant(&self) -> Grant {
        let path = self.path.display().to_string();
        let words = format!("make system calls only as far as the filter {path} lets them");
        let bounds = BTreeMap::from([(path, 0)]);
        grant(bounds, words, &self.file.origin)
    }

    /// Reads it and installs it.
    pub(super) fn steps(&self, draft: &mut Draft<'_>) {
        let At { value, origin } = &self.file;
        let bytes = match draft.host.part_of_profile(&self.path, value) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = error.to_string().replacen("the profile", "the filter", 1);
                let help = match error {
                    ReadError::TooLarge { .. } => "compiled filters have at most 32768 bytes",
                    _ => "name a compiled filter that is there, relative to the profile",
                };
                return draft.refuse(origin, message, help);
            }
        };
        let program = match compiled::read(&bytes) {
            Ok(program) => program,
            Err(why) => {
                return draft.refuse(
                    origin,
                    format!("{value} {why}"),
                    "it has to be an array of `struct sock_filter`, as `seccomp_export_bpf` of libseccomp writes it",
                );
            }
        };
        let refused = ESSENTIAL.iter().find(|call| {
            let number = call.id().cast_unsigned();
            // With some arguments it may be refused.
            [[0; 6], [u64::MAX; 6]].iter().all(|arguments| {
                bpf::answer(&program, number, NATIVE.0, arguments)
                    .is_some_and(|answer| bpf::refusal(answer).is_some())
            })
        });
        if let Some(call) = refused {
            return draft.refuse(
                origin,
                format!("{value} refuses `{call}`, without which no command can be started"),
                "is it of this architecture? Compile it anew, and let that call pass",
            );
        }
        let digest = Digest::of(&bytes).to_string();
        draft.step(Phase::Filter, Op::AddFilter { program, digest }, origin);
    }
}

/// What calls that the policy permits are bounded by.
pub(super) fn grant(
    bounds: BTreeMap<String, u64>,
    words: String,
    origin: &crate::diag::Origin,
) -> Grant {
    let key = "syscall:compiled";
    Grant::new(
        Area::SystemCalls,
        key,
        Extent::Bounds(bounds),
        words,
        origin,
    )
}
