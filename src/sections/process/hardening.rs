//! What of the machine a process is kept from, and what a core dump of it holds (prctl(2), core(5)).

use super::RawProcess;
use crate::diag::{At, Origin};
use crate::plan::op::Op;
use crate::plan::{Draft, Phase};
use crate::review::{Area, Grant};

crate::choice! {
    /// A misfeature of processors that a process can do without (PR_SET_SPECULATION_CTRL of prctl(2)).
    pub enum Speculation {
        /// Loads that pass by earlier stores (PR_SPEC_STORE_BYPASS).
        StoreBypass = "store_bypass",
        /// Prediction of indirect branches (PR_SPEC_INDIRECT_BRANCH).
        IndirectBranch = "indirect_branch",
    }
}

crate::choice! {
    /// A kind of memory that a core dump holds (core(5)).
    pub enum Dumped {
        /// Private memory without a file.
        AnonymousPrivate = "anonymous_private",
        /// Shared memory without a file.
        AnonymousShared = "anonymous_shared",
        /// Private mappings of files.
        FilePrivate = "file_private",
        /// Shared mappings of files.
        FileShared = "file_shared",
        /// The first page of programs and libraries.
        ElfHeaders = "elf_headers",
        /// Private huge pages.
        HugetlbPrivate = "hugetlb_private",
        /// Shared huge pages.
        HugetlbShared = "hugetlb_shared",
        /// Private pages of DAX.
        DaxPrivate = "dax_private",
        /// Shared pages of DAX.
        DaxShared = "dax_shared",
    }
}

impl Dumped {
    /// Its bit in /proc/PID/coredump_filter.
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The checked keys.
#[derive(Clone, Debug)]
pub(super) struct Hardening {
    tsc: At<bool>,
    huge_pages: At<bool>,
    speculation: Vec<At<Speculation>>,
    pub(super) coredump_filter: Option<At<u32>>,
}

impl Hardening {
    pub(super) fn check(raw: &RawProcess) -> Self {
        let speculation = raw.no_speculation.as_ref();
        let filter = raw.coredump_filter.as_ref().map(|list| {
            let kinds = list.value.0.iter();
            let bits = kinds.fold(0, |all, kind| all | kind.value.bit());
            At::new(bits, list.origin.clone())
        });
        Self {
            tsc: raw.tsc.clone(),
            huge_pages: raw.transparent_huge_pages.clone(),
            speculation: speculation.map_or(Vec::new(), |list| list.value.0.clone()),
            coredump_filter: filter,
        }
    }

    pub(super) fn steps(&self, draft: &mut Draft<'_>) {
        if let Some(filter) = &self.coredump_filter {
            let op = Op::SetCoredumpFilter(filter.value);
            draft.step(Phase::Settings, op, &filter.origin);
        }
        let mut set = |op, origin| draft.step(Phase::ProcessSettings, op, origin);
        if !self.huge_pages.value {
            set(Op::RefuseHugePages, &self.huge_pages.origin);
        }
        for one in &self.speculation {
            let op = Op::RefuseSpeculation {
                which: one.value as u32,
                name: one.value.word(),
            };
            set(op, &one.origin);
        }
        // The last of them: the C library may read the clock by it.
        if !self.tsc.value {
            set(Op::RefuseTimestamps, &self.tsc.origin);
        }
    }

    /// What it is kept from it does not have; that a dump holds less is no bound, as a process may set it anew.
    pub(super) fn grants(&self) -> Vec<Grant> {
        let default = Origin::Default("process.no_speculation");
        let area = Area::Process;
        let rank = |key: &str, kept: bool, words: [&str; 2], origin: &Origin| {
            let (rank, words) = if kept { (0, words[0]) } else { (1, words[1]) };
            Grant::rank(area, format!("process:{key}"), rank, words, origin)
        };
        let mut grants = vec![rank(
            "tsc",
            !self.tsc.value,
            ["read no time-stamp counter", "read the time-stamp counter"],
            &self.tsc.origin,
        )];
        for (which, name) in [
            (Speculation::StoreBypass, "no_speculation:store_bypass"),
            (
                Speculation::IndirectBranch,
                "no_speculation:indirect_branch",
            ),
        ] {
            let line = self.speculation.iter().find(|one| one.value == which);
            let origin = line.map_or(&default, |line| &line.origin);
            let words = match which {
                Speculation::StoreBypass => [
                    "have no load pass by a store",
                    "have loads that pass by stores",
                ],
                Speculation::IndirectBranch => [
                    "have no indirect branch predicted",
                    "have indirect branches predicted",
                ],
            };
            grants.push(rank(name, line.is_some(), words, origin));
        }
        grants
    }
}
