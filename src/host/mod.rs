//! What this machine offers and who the caller is. Facts are read when first asked for, so that
//! a run pays only for those that its profile needs; tests set them instead.

pub mod caller;
pub mod cgroup;
pub mod expand;
pub mod probe;
pub mod program;
pub mod tree;

use caller::{Caller, SubordinateIds};
use cgroup::Cgroups;
use std::cell::OnceCell;
use std::path::Path;
use tree::Tree;

/// The facts.
#[derive(Debug)]
pub struct Host {
    /// The caller.
    pub caller: Caller,
    /// The host's files.
    pub tree: Tree,
    cgroups: OnceCell<Result<Cgroups, String>>,
    subordinate: OnceCell<SubordinateIds>,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        Self {
            caller: Caller::here(),
            tree: Tree::here(),
            cgroups: OnceCell::new(),
            subordinate: OnceCell::new(),
        }
    }

    /// A machine of given facts, for tests: no cgroups, and subordinate ids as given.
    #[must_use]
    pub fn fixed(caller: Caller, tree: Tree, subordinate: SubordinateIds) -> Self {
        Self {
            caller,
            tree,
            cgroups: OnceCell::from(Err("a test without cgroups".into())),
            subordinate: OnceCell::from(subordinate),
        }
    }

    /// The cgroup hierarchies and the caller's place in them.
    pub fn cgroups(&self) -> Result<&Cgroups, &str> {
        self.cgroups
            .get_or_init(|| Cgroups::read().map_err(|e| e.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }

    /// The caller's subordinate ids and the programs that map them.
    pub fn subordinate(&self) -> &SubordinateIds {
        self.subordinate
            .get_or_init(|| SubordinateIds::of(&self.caller))
    }

    /// The files that a program needs to start.
    pub fn program_files(
        &self,
        name: &str,
        search: &str,
    ) -> Result<Vec<std::path::PathBuf>, program::ProgramError> {
        program::files(name, search)
    }

    /// Whether the kernel knows a namespace kind, by its name in `/proc/self/ns`.
    #[must_use]
    pub fn has_namespace(&self, name: &str) -> bool {
        // One listing instead of a look at each: the entries are links, dear to follow.
        let known = self.tree.list(Path::new("/proc/self/ns"));
        known.is_some_and(|known| known.iter().any(|one| one == name))
    }
}
