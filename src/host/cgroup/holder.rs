//! Whose a group is that we may not write: the names on its path say who made it.

use std::path::Path;

/// Who keeps a group for himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A batch system that limits its steps itself.
    Slurm,
    /// A container engine.
    Container,
    /// systemd, for a service that it started.
    Service,
}

impl Holder {
    /// The innermost one that a path names.
    pub(super) fn of(path: &Path) -> Option<Holder> {
        let names = path.iter().filter_map(|name| name.to_str());
        names.rev().find_map(|name| {
            let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
            if begins(&["slurm"]) {
                Some(Self::Slurm)
            } else if begins(&[
                "docker",
                "libpod",
                "kubepods",
                "cri-containerd",
                "crio",
                "lxc",
            ]) {
                Some(Self::Container)
            } else {
                name.ends_with(".service").then_some(Self::Service)
            }
        })
    }

    /// The end of a sentence about the path.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Slurm => ": it belongs to a step of Slurm",
            Self::Container => ": it belongs to a container",
            Self::Service => ": it belongs to a service",
        }
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Slurm => {
                "have Slurm set the limits (`srun --mem=… --cpus-per-task=…`) and leave them out here, or run in a subtree that the administrator of the cluster delegates"
            }
            Self::Container => {
                "start the container with a cgroup of its own that it may write: for Docker and Podman `--cgroupns=private` and the cgroup file system mounted read-write"
            }
            Self::Service => "write `Delegate=yes` into the unit of the service, and restart it",
        }
    }
}
