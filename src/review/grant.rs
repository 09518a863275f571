//! One thing that a profile permits.

use super::arguments::Arguments;
use super::names::Names;
use super::tree::Tree;
use crate::diag::Origin;
use crate::plan::egress::Rule;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One thing that a profile permits, or a bound that it sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// What part of the sandbox it concerns.
    pub area: Area,
    /// What it is about, the same in all versions of the program: `network`, `limit:memory`,
    /// `filesystem:/srv/data`.
    pub key: String,
    /// How much of it.
    pub extent: Extent,
    /// How dangerous it is, in parts of [`WHOLE`] of its area.
    pub share: u32,
    /// What it permits, as words after "may": `read /srv/data`.
    pub words: String,
    /// What it is one of, where many of a kind are told in one sentence.
    pub member: Option<Member>,
    /// The line that says so.
    pub origin: Origin,
}

/// The share of a grant that opens its whole area.
pub const WHOLE: u32 = 10_000;

/// One of many of a kind: "may `verb`: `item`, `item`, …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What they have in common, as words after "may".
    pub verb: String,
    /// This one.
    pub item: String,
}

/// How much is permitted.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    /// A step of a ladder, or a bound: more is wider, 0 is nothing, and what is not mentioned is 0.
    Rank(u64),
    /// Contained in nothing but itself: a namespace that is joined.
    Same(String),
    /// A set of bits: more of them are wider.
    Bits(u64),
    /// A set of numbers, as ranges of the first and the last.
    Numbers(Vec<(u64, u64)>),
    /// Bounds by name: more of them, or lower ones, are narrower, and what has none is unbounded.
    Bounds(BTreeMap<String, u64>),
    /// Files of the host.
    Trees(Vec<Tree>),
    /// Paths inside, and what lies below them.
    Below(Vec<PathBuf>),
    /// Names of environment variables.
    Names(Names),
    /// A line of what may be reached, the lines of what may not although it may, and the rank from which on a network
    /// leads to all of it.
    Reach(Rule, Vec<Rule>, u64),
    /// The arguments of a system call.
    Arguments(Arguments),
}

/// The rank of what has no bound.
pub const UNLIMITED: u64 = u64::MAX;

impl Grant {
    /// A grant of one rank.
    pub fn rank(
        area: Area,
        key: impl Into<String>,
        rank: u64,
        words: impl Into<String>,
        origin: &Origin,
    ) -> Self {
        Self::new(area, key, Extent::Rank(rank), words, origin)
    }

    /// A grant of any extent, as yet without danger.
    pub fn new(
        area: Area,
        key: impl Into<String>,
        extent: Extent,
        words: impl Into<String>,
        origin: &Origin,
    ) -> Self {
        Self {
            area,
            key: key.into(),
            extent,
            share: 0,
            words: words.into(),
            member: None,
            origin: origin.clone(),
        }
    }

    /// Sets how dangerous it is, in parts of [`WHOLE`] of its area.
    #[must_use]
    pub fn share(mut self, share: u32) -> Self {
        self.share = share;
        self
    }

    /// Makes it one of many.
    #[must_use]
    pub fn one_of(mut self, verb: impl Into<String>, item: impl Into<String>) -> Self {
        self.member = Some(Member {
            verb: verb.into(),
            item: item.into(),
        });
        self
    }

    /// How dangerous it is, comparable over all areas.
    #[must_use]
    pub fn danger(&self) -> u32 {
        self.area.weight() * self.share
    }
}

macro_rules! areas {
    ($($(#[doc = $doc:expr])* $name:ident = $word:literal, $weight:literal;)*) => {
        /// A part of the sandbox.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Area { $($(#[doc = $doc])* $name,)* }

        impl Area {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How much it counts in the exposure, relative to the other areas.
            #[must_use]
            pub const fn weight(self) -> u32 {
                match self { $(Self::$name => $weight,)* }
            }
        }
    };
}

areas! {
    /// The host's files: what most attacks are after.
    Filesystem = "filesystem", 25;
    /// The network: the way in and the way out.
    Network = "network", 15;
    /// Privileges, and with them most of the kernel's code.
    Capabilities = "capabilities", 15;
    /// What is shared with the host or another sandbox.
    Namespaces = "namespaces", 12;
    /// Who the command is on the host.
    Identity = "identity", 10;
    /// How much of the kernel can be attacked.
    SystemCalls = "system calls", 10;
    /// What a runaway command takes from others.
    Limits = "limits", 6;
    /// What the caller's variables tell.
    Environment = "environment", 5;
    /// What may silently not be enforced.
    Enforcement = "enforcement", 4;
    /// What is left of the caller's session.
    Process = "process", 2;
}
