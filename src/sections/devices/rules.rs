//! Which devices can be opened: rules that the kernel keeps for the cgroup, beside what is in /dev.

use super::{Devices, MINIMAL};
use crate::diag::{At, Origin};
use crate::plan::Draft;
use crate::plan::op::{DeviceRule, merged};
use crate::profile::table::List;
use crate::sections::wanted::Item;
use std::path::Path;

crate::choice! {
    /// Which devices can be opened, in the terms of systemd.resource-control(5).
    pub enum Policy {
        /// Where an entry of `nodes` has `access`, as `"closed"`; else every one that is in /dev.
        Auto = "auto",
        /// The minimal ones, terminals, and those that `nodes` names, as their `access` says: by rules for the cgroup,
        /// whatever nodes there are. A folder stands for the devices that are in it when the run starts.
        Closed = "closed",
    }
}

crate::choice! {
    /// What may be done with a device.
    pub enum Access {
        /// It is read.
        Read = "r",
        /// It is written to.
        Write = "w",
        /// Both.
        ReadWrite = "rw",
    }
}

crate::table! {
    /// A node of the host's /dev.
    pub struct RawNode as "a node of /dev" {
        /// Its name below /dev.
        name: String; required "fuse",
        /// Whether it is left out where this machine lacks it.
        optional: bool = false,
        /// What may be done with it: `"r"`, `"w"` or `"rw"`, the default. Where one node has it, all devices
        /// are under rules: see `policy`.
        access: Access,
    }
}

/// A checked node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub name: String,
    pub optional: bool,
    pub access: Access,
    /// Where `access` is said.
    pub ruled: Option<Origin>,
}

/// The nodes of a list. One without a name was a problem before.
pub(super) fn nodes(list: List<Item<RawNode>>) -> Vec<At<Node>> {
    let node = |item: At<Item<RawNode>>| match item.value {
        Item::Name(name) => {
            let node = Node {
                name,
                optional: false,
                access: Access::ReadWrite,
                ruled: None,
            };
            Some(At::new(node, item.origin))
        }
        Item::Table(raw) => {
            let (optional, access) = (raw.optional.value, raw.access);
            Some(raw.name?.map(|name| {
                Node {
                    name,
                    optional,
                    access: access
                        .as_ref()
                        .map_or(Access::ReadWrite, |access| access.value),
                    ruled: access.map(|access| access.origin),
                }
            }))
        }
    };
    list.0.into_iter().filter_map(node).collect()
}

/// How deep folders of devices are looked into.
const DEPTH: u32 = 3;

/// The multiplexer of terminals, and the terminals of /dev/pts (Documentation/admin-guide/devices.txt).
const TERMINALS: [(u32, Option<u32>); 2] = [(5, Some(2)), (136, None)];

impl Devices {
    /// Where rules are asked for; by default there are none.
    #[must_use]
    pub fn ruled(&self) -> Option<&Origin> {
        match self.policy.value {
            Policy::Closed => Some(&self.policy.origin),
            Policy::Auto => self.nodes.iter().find_map(|node| node.value.ruled.as_ref()),
        }
    }

    /// The rules, of the devices as they are on this machine.
    pub(crate) fn rules(&self, draft: &Draft<'_>) -> Vec<DeviceRule> {
        let dev = Path::new("/dev");
        let terminals = TERMINALS.map(|(major, minor)| DeviceRule {
            block: false,
            major,
            minor,
            read: true,
            write: true,
        });
        let mut rules = Vec::new();
        for name in MINIMAL {
            add(&dev.join(name), Access::ReadWrite, 0, draft, &mut rules);
        }
        rules.extend(terminals);
        for At { value, .. } in &self.nodes {
            let paths = match super::pattern(&value.name) {
                // Whether there are any is said where they are shown.
                Some(pattern) => (draft.host.tree.expand(&pattern, true))
                    .map_or_else(|_| Vec::new(), |expansion| expansion.paths),
                None => vec![dev.join(&value.name)],
            };
            for path in paths {
                add(&path, value.access, DEPTH, draft, &mut rules);
            }
        }
        merged(rules)
    }
}

fn add(path: &Path, access: Access, depth: u32, draft: &Draft<'_>, rules: &mut Vec<DeviceRule>) {
    use crate::host::tree::Kind;
    let tree = &draft.host.tree;
    match tree.target(path).kind {
        Kind::Directory if depth > 0 => {
            for name in tree.list(path).unwrap_or_default() {
                let below = path.join(name);
                // What a link leads to is another node's, or elsewhere.
                if !matches!(tree.node(&below).kind, Kind::Link(_)) {
                    add(&below, access, depth - 1, draft, rules);
                }
            }
        }
        Kind::File => rules.extend(tree.device(path).map(|(block, device)| DeviceRule {
            block,
            major: device.major,
            minor: Some(device.minor),
            read: access != Access::Write,
            write: access != Access::Read,
        })),
        _ => {}
    }
}
