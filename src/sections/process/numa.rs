//! `numa`: which nodes memory is taken from (set_mempolicy(2)).

use super::scheduling::mask;
use crate::diag::Diagnostics;
use crate::plan::op::{MEMORY_NODES, Op};
use crate::profile::node::Node;
use crate::profile::shape::Kind;
use crate::profile::table::{Value, read_string, wrong};
use crate::sections::limits::processors::{cpus, is_cpu_list};

/// A policy for memory, as it is written, and as set_mempolicy(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numa {
    text: String,
    policy: i32,
    nodes: [u64; MEMORY_NODES],
}

/// The policies that name nodes, with their numbers (linux/mempolicy.h).
const NAMED: [(&str, i32); 4] = [
    ("preferred", libc::MPOL_PREFERRED),
    ("bind", libc::MPOL_BIND),
    ("interleave", libc::MPOL_INTERLEAVE),
    ("weighted-interleave", 6),
];
/// Of several that are preferred the kernel takes the nearest; another policy to it (Linux 5.15).
const PREFERRED_MANY: i32 = 5;

impl Value for Numa {
    const KIND: Kind = Kind::Text {
        what: "a policy for memory",
        form: "^(local|(preferred|bind|interleave|weighted-interleave):[0-9,-]+)$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let read = read(&text);
        if read.is_none() {
            let message = format!("`{text}` is no policy for memory");
            let help = "\"local\", or a word and nodes: \"bind:0\", \"preferred:0\", \"interleave:0-1\", \"weighted-interleave:0-1\"";
            wrong(&origin, message, help, problems);
        }
        let (policy, nodes) = read?;
        Some(Self {
            text,
            policy,
            nodes,
        })
    }
}

impl Numa {
    pub(super) fn op(&self) -> Op {
        Op::PlaceMemory {
            text: self.text.clone(),
            policy: self.policy,
            nodes: self.nodes,
        }
    }
}

fn read(text: &str) -> Option<(i32, [u64; MEMORY_NODES])> {
    let mut nodes = [0; MEMORY_NODES];
    if text == "local" {
        return Some((libc::MPOL_LOCAL, nodes));
    }
    let (word, list) = text.split_once(':')?;
    let (_, policy) = NAMED.iter().find(|(name, _)| *name == word)?;
    if !is_cpu_list(list) {
        return None;
    }
    if cpus(list)
        .iter()
        .any(|(_, last)| *last >= 64 * MEMORY_NODES as u64)
    {
        return None;
    }
    for (word, given) in nodes.iter_mut().zip(mask(list)) {
        *word = given;
    }
    let several = nodes.iter().map(|word| word.count_ones()).sum::<u32>() > 1;
    match *policy {
        libc::MPOL_PREFERRED if several => Some((PREFERRED_MANY, nodes)),
        policy => Some((policy, nodes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_become_numbers_and_nodes_bits() {
        let nodes = |text: &str| read(text).map(|(policy, nodes)| (policy, nodes[0], nodes[15]));
        assert_eq!(nodes("local"), Some((4, 0, 0)));
        assert_eq!(nodes("bind:0,2-3"), Some((2, 0b1101, 0)));
        assert_eq!(nodes("preferred:1"), Some((1, 2, 0)));
        assert_eq!(nodes("preferred:0-1"), Some((5, 3, 0)));
        assert_eq!(nodes("interleave:1023"), Some((3, 0, 1 << 63)));
        assert_eq!(nodes("weighted-interleave:0"), Some((6, 1, 0)));
        for bad in [
            "",
            "bind",
            "bind:",
            "bind:x",
            "bind:1024",
            "default:0",
            "local:0",
            "bind:3-1",
        ] {
            assert_eq!(nodes(bad), None, "{bad}");
        }
    }
}
