//! `[devices]`: what /dev holds. Nodes are bound from the host's /dev, since no user namespace
//! may make one (user_namespaces(7)).

use super::mounts::{DEFAULT_INODES, sized};
use super::{Profile, limits, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::{Entry, What, tmpfs};
use crate::profile::table::List;
use crate::profile::value::Size;
use crate::review::tree::Access;
use crate::review::view::{Group, HostFiles, Shown, View};
use crate::review::{Area, Grant};
use crate::sys::mount::Attributes;
use std::path::{Component, Path, PathBuf};

mod rules;

use rules::{Access as Permitted, Item, Node, Policy};

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
        /// machine lacks it; or `{ name = "sda", access = "r" }`, which can be read and not written to.
        nodes: List<Item>,
        /// Which devices can be opened. Rules are kept by the kernel for the cgroup, and so for root alone.
        policy: Policy = "auto",
        /// The most that /dev/shm may hold.
        shm_size: Size = "256M",
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Devices {
    nodes: Vec<At<Node>>,
    policy: At<Policy>,
    shm_size: At<Size>,
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
pub const PTS_OPTIONS: &[(&str, Option<&str>)] = &[
    ("newinstance", None),
    ("ptmxmode", Some("0666")),
    ("mode", Some("0620")),
    ("max", Some("256")),
];

impl Devices {
    /// Checks the names.
    pub fn check(raw: Option<At<RawDevices>>, problems: &mut Diagnostics) -> Self {
        let (raw, table) = split(raw, "devices");
        let nodes = raw
            .nodes
            .map(|list| rules::nodes(list.value))
            .unwrap_or_default();
        for node in &nodes {
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
        if shm_size.value.0 == 0 {
            problems.push(
                Diagnostic::new(Code::WrongValue, &shm_size.origin, "0 would mean no bound")
                    .help("for example: shm_size = \"64M\""),
            );
        }
        Self {
            nodes,
            policy: raw.policy,
            shm_size,
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
        let others = self
            .nodes
            .iter()
            .filter(|node| !MINIMAL.contains(&node.value.name.as_str()));
        others.map(move |node| (dev.join(&node.value.name), &node.origin))
    }

    /// Everything that is placed below /dev.
    pub fn targets(&self) -> impl Iterator<Item = PathBuf> {
        let links = LINKS.iter().map(|(name, _)| *name);
        let fixed = MINIMAL.iter().copied().chain(links).chain(["pts", "shm"]);
        let named = self.nodes.iter().map(|node| node.value.name.as_str());
        fixed.chain(named).map(|name| Path::new("/dev").join(name))
    }

    /// What of it is so anyway, or cannot be.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        if !profile.namespaces.builds_root() {
            return;
        }
        for node in &self.nodes {
            if MINIMAL.contains(&node.value.name.as_str()) {
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

    /// Whether there are devices beyond those that /dev shows.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let (rank, words, origin) = match self.ruled() {
            Some(origin) => (0, "open the devices of /dev alone", origin),
            None => (
                1,
                "open any device of which there is a node",
                &self.policy.origin,
            ),
        };
        vec![Grant::rank(
            Area::Filesystem,
            "devices:others",
            rank,
            words,
            origin,
        )]
    }

    /// How much /dev/shm may hold.
    #[must_use]
    pub fn shm_size(&self) -> &At<Size> {
        &self.shm_size
    }

    /// Shows the nodes. The memory of /dev/shm is counted with that of other private folders, in
    /// [`Mounts::grants`](super::mounts::Mounts::grants).
    pub fn show(&self, view: &mut View) {
        let ruled = self.ruled().is_some();
        let Self {
            nodes,
            // What it adds is said of each node, and by `grants`.
            policy: _,
            shm_size: _,
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
            (*name, false, &default, group, Permitted::ReadWrite)
        });
        let named = nodes.iter().map(|node| {
            let name = node.value.name.as_str();
            let group = Group {
                key: dev.join(name).display().to_string(),
                words: format!("the device {name}"),
                share: if MINIMAL.contains(&name) { 0 } else { 2_500 },
            };
            let permitted = match ruled {
                true => node.value.access,
                false => Permitted::ReadWrite,
            };
            (name, node.value.optional, &node.origin, group, permitted)
        });
        for (name, optional, origin, group, permitted) in minimal.chain(named) {
            let access = Access::READ.with(Access::DEVICES).with(Access::MOUNTS);
            let access = match permitted {
                Permitted::Read => access,
                Permitted::Write | Permitted::ReadWrite => access.with(Access::WRITE),
            };
            view.show(Shown {
                host: Some(HostFiles {
                    source: dev.join(name),
                    access,
                    program: None,
                    pattern: None,
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
    pub fn entries(&self, draft: &mut Draft<'_>) {
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
        let minimal = MINIMAL.iter().map(|name| (*name, false, &default));
        let named = self.nodes.iter().map(|node| {
            let Node { name, optional, .. } = &node.value;
            (name.as_str(), *optional, &node.origin)
        });
        for (name, optional, origin) in minimal.chain(named) {
            let bind = What::bind(dev.join(name), None);
            put(name, bind, plain, optional, origin);
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
        let pts = PTS_OPTIONS
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect();
        let pts = What::Filesystem {
            kind: "devpts",
            options: pts,
            sealed: false,
        };
        put("pts", pts, plain, false, &default);
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
