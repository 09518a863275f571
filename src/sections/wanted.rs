//! Names of things of the host, some of which a machine may lack.

use crate::diag::{At, Diagnostics};
use crate::profile::node::{Content, Node};
use crate::profile::shape::Kind;
use crate::profile::table::{List, Value, read_string};

crate::table! {
    /// A name, and whether it may be missing.
    pub struct RawWanted as "a name that may be missing" {
        /// The name.
        name: String; required "fuse",
        /// Whether it is left out where this machine lacks it.
        optional: bool = false,
    }
}

/// A name, and whether it is left out where this machine lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// Whether it is left out.
    pub optional: bool,
}

/// A name, or a table that says more of it.
#[derive(Clone, Debug)]
pub enum Item<T = RawWanted> {
    /// A name that has to be there.
    Name(String),
    /// The table.
    Table(Box<T>),
}

impl<T: Value> Value for Item<T> {
    const KIND: Kind = Kind::Either(&[String::KIND, T::KIND]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Content::Table(_) => T::read(node, problems).map(|raw| Self::Table(raw.into())),
            _ => read_string(node, problems).map(Self::Name),
        }
    }
}

/// The names of a list, each where it is written. One without a name was a problem before.
#[must_use]
pub fn names(list: List<Item>) -> Vec<At<Wanted>> {
    let name = |item: At<Item>| match item.value {
        Item::Name(name) => Some(At::new(
            Wanted {
                name,
                optional: false,
            },
            item.origin,
        )),
        Item::Table(raw) => {
            let optional = raw.optional.value;
            Some(raw.name?.map(|name| Wanted { name, optional }))
        }
    };
    list.0.into_iter().filter_map(name).collect()
}
