//! Which devices can be opened: rules that the kernel keeps for the cgroup, beside what is in /dev.

use super::{Devices, MINIMAL};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::disk::Device;
use crate::plan::Draft;
use crate::plan::op::{DeviceRule, merged};
use crate::profile;
use crate::profile::shape::Kind;
use crate::profile::table::{List, Value, read_string, wrong};
use crate::profile::value::Mode;
use crate::review::{Area, Extent, Grant};
use crate::sections::mounts::{Owner, RawOwner};
use crate::sections::wanted::Item;
use std::fmt;
use std::path::{Path, PathBuf};

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
        /// The device that it leads to, as `"c 10:229"`: of characters (`c`) or of blocks (`b`), and its number
        /// (Documentation/admin-guide/devices.txt). Where the host's node of this name is another, or none, the node is made, which takes root.
        /// Default: that of the host's node.
        number: Number,
        /// Its mode, as `"660"`. The node is made then, which takes root. Default: that of the host's; where it is made, 666.
        mode: Mode,
        /// Whose it is, by ids inside. The node is made then, which takes root. Default: the host's root.
        owner: RawOwner,
    }
}

/// The kind and the number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub(super) block: bool,
    pub(super) device: Device,
}

/// The largest parts of a number, of 12 bits and of 20 (makedev(3)).
const LARGEST: Device = Device {
    major: 0xfff,
    minor: 0xf_ffff,
};

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once(' ')?;
        let (major, minor) = number.split_once(':')?;
        Some(Self {
            block: is_block(kind)?,
            device: Device {
                major: part(major, LARGEST.major)?,
                minor: part(minor, LARGEST.minor)?,
            },
        })
    }

    /// Where udev(7) has a link to the node of this number.
    pub(super) fn path(self) -> PathBuf {
        let kind = if self.block { "block" } else { "char" };
        Path::new("/dev").join(kind).join(self.device.to_string())
    }
}

/// Whether the letter of a kind is that of blocks.
fn is_block(kind: &str) -> Option<bool> {
    match kind {
        "b" => Some(true),
        "c" => Some(false),
        _ => None,
    }
}

/// One part of a number.
fn part(text: &str, largest: u32) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|part| digits && *part <= largest)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.block { 'b' } else { 'c' };
        write!(f, "{kind} {}", self.device)
    }
}

impl Value for Number {
    const KIND: Kind = Kind::Text {
        what: "the kind and the number of a device",
        form: "^[bc] [0-9]+:[0-9]+$",
    };

    fn read(node: profile::node::Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = Self::parse(&text);
        if found.is_none() {
            let message = format!("`{text}` is no kind and number of a device");
            let help = "for example: \"c 10:229\" (characters) or \"b 8:0\" (blocks), as `ls -l /dev` shows them";
            wrong(&origin, message, help, problems);
        }
        found
    }
}

/// A rule by the number of a device, or of all that a driver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(DeviceRule);

impl Class {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, number, access) = (words.next()?, words.next()?, words.next()?);
        let (major, minor) = number.split_once(':')?;
        let minor = match minor {
            "*" => None,
            minor => Some(part(minor, LARGEST.minor)?),
        };
        let rule = DeviceRule {
            block: is_block(kind)?,
            major: part(major, LARGEST.major)?,
            minor,
            read: matches!(access, "r" | "rw"),
            write: matches!(access, "w" | "rw"),
        };
        ((rule.read || rule.write) && words.next().is_none()).then_some(Self(rule))
    }

    /// That it is opened where there is a node of it. All devices are numbers: what is done with them, their kind and
    /// their two parts, one after the other.
    fn grant(self, origin: &Origin) -> Grant {
        let rule = self.0;
        let (first, last) = match rule.minor {
            Some(minor) => (minor, minor),
            None => (0, LARGEST.minor),
        };
        let number = |writes: bool, minor: u32| {
            let driver = u64::from(rule.block) << 12 | u64::from(rule.major);
            (u64::from(writes) << 13 | driver) << 20 | u64::from(minor)
        };
        let ways = [(false, rule.read), (true, rule.write)].into_iter();
        let ways = ways.filter(|(_, permitted)| *permitted);
        let numbers = ways.map(|(writes, _)| (number(writes, first), number(writes, last)));
        let words = format!("open the devices {rule}, where there is a node");
        Grant::new(
            Area::Filesystem,
            OTHERS,
            Extent::Numbers(numbers.collect()),
            words,
            origin,
        )
        .share(1_000)
    }
}

/// What devices beyond those of /dev are granted under.
const OTHERS: &str = "devices:others";

impl Value for Class {
    const KIND: Kind = Kind::Text {
        what: "devices and what may be done with them",
        form: "^[bc] [0-9]+:([0-9]+|\\*) (r|w|rw)$",
    };

    fn read(node: profile::node::Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let found = Self::parse(&text);
        if found.is_none() {
            let message = format!("`{text}` is no rule about devices");
            let help = match text.ends_with('m') || text.contains("m ") || text.contains("rmw") {
                true => "\"r\", \"w\" or \"rw\": to make a node (`m`) is never permitted inside",
                false => {
                    "for example: \"c 189:* rw\", the kind, the numbers of the driver and of the device, and what may be done"
                }
            };
            wrong(&origin, message, help, problems);
        }
        found
    }
}

/// A checked node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub name: String,
    pub optional: bool,
    pub access: Access,
    /// Where `access` is said.
    pub ruled: Option<Origin>,
    pub number: Option<At<Number>>,
    pub mode: Option<At<Mode>>,
    pub owner: Option<Owner>,
}

impl Node {
    /// The line that wants the node made, whatever the host has.
    pub(super) fn dressed(&self) -> Option<&Origin> {
        let mode = self.mode.as_ref().map(|mode| &mode.origin);
        mode.or(self.owner.as_ref().and_then(Owner::place))
    }

    /// Its mode where it is made.
    pub(super) fn made_mode(&self) -> u32 {
        self.mode.as_ref().map_or(0o666, |mode| mode.value.0)
    }

    /// That it is opened whatever the mode and the owner of the host's node are, as far as who is inside may.
    pub(super) fn grant(&self) -> Option<Grant> {
        let origin = self.described()?;
        let mode = self.made_mode();
        // The host's root is nobody inside, and so everybody there is one of the others.
        let counts = if self.owner.is_some() { 0o777 } else { 0o007 };
        let bits = mode & counts;
        let path = match &self.number {
            Some(number) => number.value.path(),
            None => Path::new("/dev").join(&self.name),
        };
        let words = format!(
            "open the device {} by a node that is made, with the mode {mode:03o}",
            self.name
        );
        let (key, extent) = (
            format!("node:{}", path.display()),
            Extent::Bits(bits.into()),
        );
        let grant = Grant::new(Area::Filesystem, key, extent, words, origin);
        (bits != 0).then(|| grant.share(500))
    }

    /// The line that says more of the node than how it is called.
    pub(super) fn described(&self) -> Option<&Origin> {
        let number = self.number.as_ref().map(|number| &number.origin);
        number.or(self.dressed())
    }
}

/// The nodes of a list. One without a name was a problem before.
pub(super) fn nodes(list: List<Item<RawNode>>, problems: &mut Diagnostics) -> Vec<At<Node>> {
    let node = |item: At<Item<RawNode>>| match item.value {
        Item::Name(name) => {
            let node = Node {
                name,
                optional: false,
                access: Access::ReadWrite,
                ruled: None,
                number: None,
                mode: None,
                owner: None,
            };
            Some(At::new(node, item.origin))
        }
        Item::Table(raw) => {
            let (optional, access) = (raw.optional.value, raw.access);
            let owner = Owner::check(raw.owner, problems);
            let (number, mode) = (raw.number, raw.mode);
            if let Some(mode) = mode.as_ref().filter(|mode| mode.value.0 > 0o777) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &mode.origin,
                        "a device has nothing but permissions in its mode",
                    )
                    .help("for example: mode = \"660\""),
                );
            }
            Some(raw.name?.map(|name| {
                Node {
                    name,
                    optional,
                    access: access
                        .as_ref()
                        .map_or(Access::ReadWrite, |access| access.value),
                    ruled: access.map(|access| access.origin),
                    number,
                    mode,
                    owner,
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
            Policy::Auto => {
                let nodes = self
                    .nodes
                    .iter()
                    .filter_map(|node| node.value.ruled.as_ref());
                let rules = self.classes.iter().map(|class| &class.origin);
                nodes.chain(rules).next()
            }
        }
    }

    /// Which devices can be opened besides those that /dev shows.
    pub(super) fn others(&self) -> impl Iterator<Item = Grant> {
        let classes = self.classes.iter();
        let ruled = classes.map(|class| class.value.grant(&class.origin));
        let (numbers, words, origin) = match self.ruled() {
            Some(origin) => (Vec::new(), "open the devices of /dev alone", origin),
            None => (
                vec![(0, u64::MAX)],
                "open any device of which there is a node",
                &self.policy.origin,
            ),
        };
        let extent = Extent::Numbers(numbers);
        let all = Grant::new(Area::Filesystem, OTHERS, extent, words, origin);
        ruled.chain([all])
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
            if let Some(At { value: number, .. }) = value.number {
                rules.push(DeviceRule {
                    block: number.block,
                    major: number.device.major,
                    minor: Some(number.device.minor),
                    read: value.access != Access::Write,
                    write: value.access != Access::Read,
                });
                continue;
            }
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
        rules.extend(self.classes.iter().map(|class| class.value.0));
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
