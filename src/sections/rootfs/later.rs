//! What the host mounts later within the root (mount_namespaces(7), "Shared subtrees").

use super::{Rootfs, Source};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::Draft;
use crate::review::{Area, Grant};
use crate::sections::changes::Changes;
use crate::sections::mounts::{Propagation, hears};
use std::path::Path;

/// The root never has devices, and mostly is read-only: what comes later is neither, so that it is to be said.
pub(super) fn check(
    how: &At<Propagation>,
    source: &At<Source>,
    changes: &At<Changes>,
    problems: &mut Diagnostics,
) {
    let problem = match how.value {
        Propagation::Private => return,
        Propagation::Slave => {
            let text = "what holds of the root cannot hold for what the host mounts there later, which comes as it is there";
            let help = "write propagation = \"slave-as-is\", where it shall hold for what is there now alone";
            Diagnostic::new(Code::Needs, &how.origin, text).help(help)
        }
        Propagation::SlaveAsIs
            if !matches!(source.value, Source::Host(_) | Source::Directory(_)) =>
        {
            let text = "the host mounts nothing in a root that is made for this run or unpacked";
            Diagnostic::new(Code::Conflict, &how.origin, text)
                .and(&source.origin, "the root")
                .help("remove one of the two lines")
        }
        Propagation::SlaveAsIs if matches!(changes.value, Changes::Discard | Changes::Keep) => {
            let text = "what is mounted below an overlay does not show in it";
            Diagnostic::new(Code::Conflict, &how.origin, text)
                .and(&changes.origin, "changes go elsewhere by an overlay")
                .help("remove one of the two lines")
        }
        Propagation::SlaveAsIs => return,
    };
    problems.push(problem);
}

impl Rootfs {
    /// Whether what the host mounts later shows.
    pub(super) fn receives(&self) -> bool {
        self.propagation.value != Propagation::Private
    }

    /// Refuses where the host's mounts are not shared.
    pub(super) fn can_receive(&self, draft: &mut Draft<'_>) {
        let root = match &self.source.value {
            _ if !self.receives() => return,
            Source::Directory(path) => path,
            _ => Path::new("/"),
        };
        hears(root, &self.propagation.origin, draft);
    }

    pub(super) fn later_grants(&self) -> Option<Grant> {
        let (key, words) = (
            "rootfs:propagation",
            "see what the host mounts in the root later, as it is mounted there",
        );
        let origin = &self.propagation.origin;
        let grant = Grant::rank(Area::Filesystem, key, 1, words, origin);
        self.receives().then(|| grant.share(200))
    }
}
