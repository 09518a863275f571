//! `[devices]`: what /dev holds. Nodes are bound from the host's /dev, since no user namespace
//! may make one (user_namespaces(7)); those that the host has not like this, the supervisor makes as root.

use super::mounts::{DEFAULT_INODES, sized};
use super::wanted::Item;
use super::{Profile, limits, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::expand::{MOST, Unclear};
use crate::plan::Draft;
use crate::plan::layout::{Entry, What, tmpfs};
use crate::plan::op::{Ids, NewNode};
use crate::profile::pattern::{PathPattern, is_pattern};
use crate::profile::table::List;
use crate::profile::value::Space;
use crate::review::Grant;
use crate::review::tree::Access;
use crate::review::view::{Group, HostFiles, Shown, View};
use crate::sections::user::Identity;
use crate::sys::mount::Attributes;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

mod rules;

use rules::{Access as Permitted, Class, Node, Number, Policy, RawNode};

crate::table! {
    /// What /dev holds.
    ///
    /// ```toml
    /// [devices]
    /// nodes = ["kvm", { name = "dri", optional = true }, { name = "sda", access = "r" }]
    /// shm_size = "1G"
    /// ```
    pub struct RawDevices as "[devices]" {
        /// Nodes of the host's /dev besides the minimal ones (null, zero, full, random, urandom,
        /// tty), such as `"kvm"` or `"net/tun"`; or `{ name = "dri", optional = true }`, which is left out where this
        /// machine lacks it; or `{ name = "sda", access = "r" }`, which can be read and not written to; or
        /// `{ name = "fuse", number = "c 10:229", mode = "660" }`, which is made. A name may be a pattern, with `*`, `?` and `[…]` within one component each (glob(7)), such
        /// as `"input/event*"`: whatever it stands for when the run is planned.
        nodes: List<Item<RawNode>>,
        /// Which devices can be opened. Rules are kept by the kernel for the cgroup, and so for root alone.
        policy: Policy = "auto",
        /// Which devices can be opened besides those of `nodes`, by their numbers: `"c 189:* rw"` for all that a driver has,
        /// also those that are plugged in later (/proc/devices lists the drivers). Where they have nodes is for mounts to
        /// say: `{ type = "bind", target = "/dev/bus/usb", nodev = false }`. Where there are any, all devices are under rules: see `policy`.
        rules: List<Class>,
        /// The most that /dev/shm may hold: a size, or a share of the machine's memory (`"25%"`).
        shm_size: Space = "256M",
        /// The group of pseudo-terminals, an id inside, such as that of the group `tty`. Default: that of the process
        /// that opens one.
        pts_group: u32,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Devices {
    nodes: Vec<At<Node>>,
    policy: At<Policy>,
    classes: Vec<At<Class>>,
    shm_size: At<Space>,
    pts_group: Option<At<u32>>,
    table: Origin,
}

const MINIMAL: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// An own instance, with a bound on how many there can be.
const PTS_OPTIONS: &[(&str, Option<&str>)] = &[
    ("newinstance", None),
    ("ptmxmode", Some("0666")),
    ("mode", Some("0620")),
    ("max", Some("256")),
];

/// What a name stands for that is a pattern.
fn pattern(name: &str) -> Option<PathPattern> {
    let pattern = || PathPattern::below(Path::new("/dev"), name).ok();
    is_pattern(name).then(pattern).flatten()
}

/// What is said of a node, where it cannot be meant.
fn described(node: &Node, origin: &Origin, problems: &mut Diagnostics) {
    let (text, help) = if is_pattern(&node.name) {
        (
            "a pattern stands for nodes of the host, which are what they are",
            "name the node, or remove the line",
        )
    } else if MINIMAL.contains(&node.name.as_str()) {
        (
            "a minimal device is what it is everywhere",
            "give the node another name, or remove the line",
        )
    } else {
        return;
    };
    problems.push(Diagnostic::new(Code::Conflict, origin, text).help(help));
}

impl Devices {
    /// Checks the names.
    pub fn check(raw: Option<At<RawDevices>>, problems: &mut Diagnostics) -> Self {
        let (raw, table) = split(raw, "devices");
        let nodes = raw
            .nodes
            .map(|list| rules::nodes(list.value, problems))
            .unwrap_or_default();
        for node in &nodes {
            if let Some(origin) = node.value.described() {
                described(&node.value, origin, problems);
            }
            if is_pattern(&node.value.name)
                && let Err(why) = PathPattern::below(Path::new("/dev"), &node.value.name)
            {
                problems.push(
                    Diagnostic::new(Code::BadPattern, &node.origin, why)
                        .help("for example: \"input/event*\""),
                );
            }
            let path = Path::new(&node.value.name);
            let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
            if !plain || node.value.name.is_empty() {
                problems.push(
                    Diagnostic::new(
                        Code::BadPath,
                        &node.origin,
                        format!("`{}` is no name of a device", node.value.name),
                    )
                    .help("name it as it is called below /dev, for example \"kvm\" or \"net/tun\""),
                );
            }
        }
        let shm_size = raw.shm_size;
        if shm_size.value.is_zero() {
            problems.push(
                Diagnostic::new(Code::WrongValue, &shm_size.origin, "0 would mean no bound")
                    .help("for example: shm_size = \"64M\""),
            );
        }
        Self {
            nodes,
            policy: raw.policy,
            classes: raw.rules.map(|list| list.value.0).unwrap_or_default(),
            shm_size,
            pts_group: raw.pts_group,
            table,
        }
    }

    /// The place of the table, if there is one.
    #[must_use]
    pub fn explicit_origin(&self) -> Option<&Origin> {
        Some(&self.table).filter(|o| !o.is_default())
    }

    /// The nodes that the profile names, as paths inside, each with its place.
    pub fn named(&self) -> impl Iterator<Item = (PathBuf, &Origin)> {
        let dev = Path::new("/dev");
        let others = self.nodes.iter().filter(|node| {
            let name = node.value.name.as_str();
            !MINIMAL.contains(&name) && !is_pattern(name)
        });
        others.map(move |node| (dev.join(&node.value.name), &node.origin))
    }

    /// Everything that is placed below /dev.
    pub fn targets(&self) -> impl Iterator<Item = PathBuf> {
        let links = LINKS.iter().map(|(name, _)| *name);
        let fixed = MINIMAL.iter().copied().chain(links).chain(["pts", "shm"]);
        let named = self.nodes.iter().map(|node| node.value.name.as_str());
        // What a pattern stands for is where the machine has it.
        let named = named.filter(|name| !is_pattern(name));
        fixed.chain(named).map(|name| Path::new("/dev").join(name))
    }

    /// What of it is so anyway, or cannot be.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        if !profile.namespaces.builds_root() {
            return;
        }
        for node in &self.nodes {
            if let Some(owner) = &node.value.owner {
                owner.relate(profile, problems);
            }
            // What is said of one besides is refused, and told there.
            let repeats = node.value.described().is_none();
            if MINIMAL.contains(&node.value.name.as_str()) && repeats {
                problems.push(
                    Diagnostic::new(
                        Code::RepeatsDefault,
                        &node.origin,
                        format!("/dev/{} is there anyway", node.value.name),
                    )
                    .help("remove it from `nodes`"),
                );
            }
        }
        if let Some(group) = &self.pts_group {
            profile.user.knows(Ids::Group, group, problems);
        }
        if self.shm_size.origin.is_default() {
            return;
        }
        limits::fits_memory(&self.shm_size, profile, problems);
        if let Some(mount) = profile.mounts.on(Path::new("/dev/shm")) {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &self.shm_size.origin,
                    "`shm_size` is the size of a /dev/shm that is not mounted",
                )
                .and(mount, "because of this one")
                .help("remove one of the two"),
            );
        }
    }

    /// What a node that is named shows, where that can be had; a refusal is in the draft.
    fn what(
        &self,
        node: &At<Node>,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> Option<What> {
        let At { value, origin } = node;
        let path = Path::new("/dev").join(&value.name);
        let there = draft.host.tree.device(&path);
        let wanted = value.number.as_ref().map(|number| number.value);
        let is_it = wanted.is_none_or(|wanted| there == Some((wanted.block, wanted.device)));
        if is_it && value.dressed().is_none() {
            return Some(What::bind(path, None));
        }
        let place = value.described().unwrap_or(origin);
        let number = wanted.map(|wanted| (wanted.block, wanted.device)).or(there);
        let Some((block, device)) = number else {
            let text = format!("this machine has no device {}", path.display());
            if value.optional {
                draft.note(origin, format!("{text}: left out"));
            } else {
                let help = "say which one it is, such as `number = \"c 10:229\"`, or write `optional = true`";
                draft.problem(Diagnostic::new(Code::NotFound, place, text).help(help));
            }
            return None;
        };
        if !draft.host.caller.may_make_nodes() {
            let text = "only root of the machine can make a node of a device";
            let help = match is_it {
                true => "run as root, or remove `mode` and `owner`: then it is the host's own node",
                false => {
                    "run as root, or remove `number`, `mode` and `owner`: then it is the host's node of this name"
                }
            };
            draft.refuse(place, text, help);
            return None;
        }
        let owner = match &value.owner {
            None => (0, 0),
            Some(owner) => {
                let (uid, gid) = owner.numbers(profile, identity, draft);
                // What no map holds was said there.
                let outside = |ids, id| identity.outside(ids, id, 1);
                outside(Ids::User, uid).zip(outside(Ids::Group, gid))?
            }
        };
        Some(What::Node(NewNode {
            block,
            major: device.major,
            minor: device.minor,
            mode: value.made_mode(),
            owner,
        }))
    }

    /// The nodes besides the minimal ones, each once: those that are named, and those that a pattern stands for.
    fn found(
        &self,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> Vec<(String, What, bool, Origin)> {
        let mut found = Vec::new();
        let mut known: BTreeSet<PathBuf> = self.targets().collect();
        for node in &self.nodes {
            let At { value, origin } = node;
            let Some(pattern) = pattern(&value.name) else {
                if let Some(what) = self.what(node, profile, identity, draft) {
                    found.push((value.name.clone(), what, value.optional, origin.clone()));
                }
                continue;
            };
            let shown = Path::new("/dev").join(&value.name);
            let shown = shown.display();
            // What is a link in the host's /dev, root has put there.
            let paths = match draft.host.tree.expand(&pattern, true) {
                Ok(expansion) => expansion.paths,
                Err(Unclear::TooMany) => {
                    let text = format!("{shown} stands for more than {MOST} paths");
                    draft.refuse(origin, text, "narrow the pattern");
                    continue;
                }
                Err(Unclear::Unreadable) => {
                    let text = format!("cannot list {}", pattern.base.display());
                    draft.refuse(origin, text, "the caller needs read permission for it");
                    continue;
                }
            };
            if paths.is_empty() {
                let text = format!("this machine has nothing that {shown} stands for");
                if value.optional {
                    draft.note(origin, format!("{text}: left out"));
                } else {
                    let help = format!(
                        "correct the pattern, or write {{ name = \"{}\", optional = true }}",
                        value.name
                    );
                    draft.problem(Diagnostic::new(Code::NotFound, origin, text).help(help));
                }
            }
            for path in paths {
                let name = path.strip_prefix("/dev").ok().and_then(Path::to_str);
                let name = name.map(str::to_owned);
                if let Some(name) = name.filter(|_| known.insert(path.clone())) {
                    let what = What::bind(path, None);
                    found.push((name, what, true, origin.clone()));
                }
            }
        }
        found
    }

    /// An own instance of pseudo-terminals.
    #[must_use]
    pub fn terminals(&self) -> What {
        let group = self.pts_group();
        let options = PTS_OPTIONS.iter();
        let options = options.map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)));
        let group = group.map(|group| ("gid".to_owned(), Some(group.to_string())));
        What::Filesystem {
            kind: "devpts",
            options: options.chain(group).collect(),
            sealed: false,
        }
    }

    /// The group of pseudo-terminals, if it is not the command's.
    #[must_use]
    pub fn pts_group(&self) -> Option<u32> {
        self.pts_group.as_ref().map(|group| group.value)
    }

    /// Whether there are devices beyond those that /dev shows.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let made = self.nodes.iter().filter_map(|node| node.value.grant());
        made.chain(self.others()).collect()
    }

    /// How much /dev/shm may hold.
    #[must_use]
    pub fn shm_size(&self) -> &At<Space> {
        &self.shm_size
    }

    /// Shows the nodes. The memory of /dev/shm is counted with that of other private folders, in
    /// [`Mounts::grants`](super::mounts::Mounts::grants).
    pub fn show(&self, view: &mut View) {
        let ruled = self.ruled().is_some();
        let Self {
            nodes,
            // What they add is said of each node, and by `grants`.
            policy: _,
            classes: _,
            shm_size: _,
            // Of terminals that are the sandbox's own.
            pts_group: _,
            table: _,
        } = self;
        let default = Origin::Default("devices");
        let dev = Path::new("/dev");
        let own = |name: &str| Shown {
            yields: true,
            ..Shown::own(
                dev.join(name).components().collect::<PathBuf>(),
                default.clone(),
            )
        };
        for name in ["", "pts", "shm"] {
            view.show(own(name));
        }
        let minimal = MINIMAL.iter().map(|name| {
            let group = Group {
                key: "/dev".into(),
                words: format!("the minimal devices ({})", MINIMAL.join(", ")),
                share: 0,
            };
            (*name, false, &default, group, Permitted::ReadWrite, None)
        });
        let named = nodes.iter().map(|node| {
            let name = node.value.name.as_str();
            let what = if is_pattern(name) {
                "devices"
            } else {
                "device"
            };
            let number = node.value.number.as_ref().map(|number| number.value);
            // Whatever it is called, it is the device of this number.
            let (key, words) = match number {
                Some(number) => (number.path(), format!("the device {number} as {name}")),
                None => (dev.join(name), format!("the {what} {name}")),
            };
            let group = Group {
                key: key.display().to_string(),
                words,
                share: if MINIMAL.contains(&name) { 0 } else { 2_500 },
            };
            let permitted = match ruled {
                true => node.value.access,
                false => Permitted::ReadWrite,
            };
            (
                name,
                node.value.optional,
                &node.origin,
                group,
                permitted,
                number,
            )
        });
        for (name, optional, origin, group, permitted, number) in minimal.chain(named) {
            let access = Access::READ.with(Access::DEVICES).with(Access::MOUNTS);
            let access = match permitted {
                Permitted::Read => access,
                Permitted::Write | Permitted::ReadWrite => access.with(Access::WRITE),
            };
            let pattern = pattern(name);
            view.show(Shown {
                // What a pattern covers is not known.
                covers: pattern.is_none(),
                host: Some(HostFiles {
                    source: number.map_or(dev.join(name), Number::path),
                    access,
                    program: None,
                    pattern,
                    of_root: false,
                }),
                yields: origin.is_default(),
                if_there: optional.then(|| dev.join(name)),
                group: Some(group),
                origin: origin.clone(),
                ..own(name)
            });
        }
    }

    /// Adds /dev.
    pub fn entries(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        if let Some(group) = &self.pts_group {
            profile.user.holds(Ids::Group, group, identity, draft);
        }
        let named = self.found(profile, identity, draft);
        let default = Origin::Default("devices");
        let plain = Attributes::NOSUID.with(Attributes::NOEXEC);
        let dev = Path::new("/dev");
        let mut put = |name: &str, what, attributes, optional, origin: &Origin| {
            draft.entries.push(Entry {
                target: dev.join(name).components().collect(),
                what,
                attributes,
                optional,
                origin: origin.clone(),
            });
        };
        put(
            "",
            tmpfs("64K", "755", true),
            plain.with(Attributes::NODEV),
            false,
            &default,
        );
        for name in MINIMAL {
            put(
                name,
                What::bind(dev.join(name), None),
                plain,
                false,
                &default,
            );
        }
        for (name, what, optional, origin) in named {
            put(&name, what, plain, optional, &origin);
        }
        for (name, to) in LINKS {
            put(
                name,
                What::Symlink((*to).into()),
                Attributes::NONE,
                false,
                &default,
            );
        }
        let origin = self.pts_group.as_ref().map(|group| &group.origin);
        put(
            "pts",
            self.terminals(),
            plain,
            false,
            origin.unwrap_or(&default),
        );
        // Each file takes memory of the kernel's, even an empty one.
        let shm = sized(self.shm_size.value, DEFAULT_INODES, "1777", false);
        put(
            "shm",
            shm,
            plain.with(Attributes::NODEV),
            false,
            &self.shm_size.origin,
        );
    }
}
