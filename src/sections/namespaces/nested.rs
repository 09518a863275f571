//! User namespaces inside of the sandbox's own: the one that keeps the command away from the mounts,
//! and those that the command may or may not make.

use super::Namespaces;
use crate::plan::op::{IdRange, NamespaceKind, Op};
use crate::plan::{Draft, Phase};
use crate::sections::Profile;
use crate::sections::user::Identity;
use caps::Capability;
use syscalls::Sysno;

impl Namespaces {
    /// Whether the mounts belong to another user namespace than the command.
    ///
    /// Only where the command keeps the one capability that has power over mounts. Without it nobody
    /// inside can change any, and what a nested user namespace sees of them is locked by the kernel
    /// (mount_namespaces(7)): the second namespace would be paid for by every run, and bar no way.
    pub(super) fn keeps_mounts_apart(&self, profile: &Profile) -> bool {
        self.user.value.is_new()
            && !self.is_in_others_ids()
            && self.builds_root()
            && profile.capabilities.keeps(Capability::CAP_SYS_ADMIN)
    }

    /// Forbids further user namespaces besides the filter, which a profile may loosen.
    pub(super) fn forbid_nested(&self, profile: &Profile, draft: &mut Draft<'_>) {
        // The limit of a namespace of others is theirs.
        if self.nested_user.value || !self.user.value.is_new() || self.is_in_others_ids() {
            return;
        }
        let origin = &self.nested_user.origin;
        if draft.host.has_writable_sysctls() {
            return draft.step(Phase::UserNamespaceLimit, Op::ForbidUserNamespaces, origin);
        }
        let text = "/proc/sys is read-only here: the number of user namespaces cannot be limited";
        // clone3 has its flags where no filter can see them.
        let made = |call| {
            let flags = [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0];
            profile
                .seccomp
                .verdict(call, profile)
                .answer(&flags)
                .permits()
        };
        let mut calls = [Sysno::clone, Sysno::clone3, Sysno::unshare].into_iter();
        if origin.is_default() || !calls.any(made) {
            return draft.note(origin, format!("{text}, the filter alone refuses them"));
        }
        draft.refuse(
            origin,
            text,
            "let the filter refuse `clone`, `clone3` and `unshare`, or mount /proc/sys writable around this process",
        );
    }
}

/// Adds the steps of the inner user namespace, and of those that belong to it.
pub(super) fn keep_apart(
    namespaces: Vec<NamespaceKind>,
    identity: &Identity,
    profile: &Profile,
    draft: &mut Draft<'_>,
) {
    let origin = profile.capabilities.origin_of(Capability::CAP_SYS_ADMIN);
    let op = Op::MakeInnerUser {
        namespaces,
        users: same_ids(&identity.users),
        groups: same_ids(&identity.groups),
    };
    draft.step(Phase::InnerUser, op, origin);
    draft.step(Phase::EnterInner, Op::EnterInnerUser, origin);
}

/// The lines of a map in which every id that is mapped already keeps its number.
fn same_ids(map: &[IdRange]) -> String {
    map.iter()
        .map(|range| format!("{0} {0} {1}\n", range.inside, range.count))
        .collect()
}
