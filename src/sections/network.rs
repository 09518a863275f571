//! `[network]`: what of the network there is (network_namespaces(7)).

mod egress;
mod family;

pub use egress::{Egress, Refused};
pub use family::Family;

use super::{Profile, namespaces::Choice, split};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::layout::{Entry, What};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::review::{Area, Extent, Grant};
use crate::sys::mount::Attributes;
use std::path::Path;

crate::choice! {
    /// What of the network there is.
    pub enum Mode {
        /// Nothing: the loopback interface exists and is down.
        None = "none",
        /// The sandbox's own loopback.
        Loopback = "loopback",
        /// The caller's network.
        Host = "host",
    }
}

crate::table! {
    /// The network.
    ///
    /// ```toml
    /// [network]
    /// mode = "host"
    /// families = ["unix", "inet", "inet6"]
    /// ```
    ///
    /// ```toml
    /// [network]
    /// allow = ["packages.example.org:443", "*.mirror.example:80", "10.0.0.0/8:5432", "quic.example:443/udp"]
    /// deny = ["old.mirror.example"]
    /// ```
    pub struct RawNetwork as "[network]" {
        /// What of the network there is.
        mode: Mode = "loopback",
        /// The families that sockets may be of (address_families(7)); any other is refused with EAFNOSUPPORT. Of
        /// those that the default preset permits, as far as it does; others with any type. What refuses
        /// socket(2) altogether still does, and what permits it, permits no other family. Pairs are made of `unix` alone.
        /// Without a preset, rings of io_uring(7) are refused too, since sockets can be made on them. Default: what the preset permits.
        families: List<Family>,
        /// What may be reached besides the sandbox's own loopback: `HOST:PORT`, over TCP, or over UDP with `/udp`
        /// after it. A host is a name, `*.` and a name for all below it, an address, or a network. All
        /// else is refused, and told of in the end. It holds for every program, by whatever way it asks.
        /// A name does not lead to addresses that are private, link-local or another machine's own: those
        /// take a line with the address or the network.
        allow: List<String>,
        /// What is refused although `allow` permits it; without a port, at any.
        deny: List<String>,
    }
}

/// The checked table.
#[derive(Clone, Debug)]
pub struct Network {
    /// What of the network there is.
    pub mode: At<Mode>,
    /// The families that sockets may be of, each once, where the profile says so.
    pub families: Option<At<Vec<Family>>>,
    /// What may be reached through the gate, where anything may.
    pub egress: Option<Egress>,
    /// The places of `allow` and `deny`, where they are written.
    lists: Vec<Origin>,
}

impl Network {
    /// Fills in the default.
    #[must_use]
    pub fn check(raw: Option<At<RawNetwork>>, problems: &mut Diagnostics) -> Self {
        let (raw, _) = split(raw, "network");
        let egress = Egress::check(&raw, problems);
        let lists = [&raw.allow, &raw.deny].into_iter().flatten();
        let lists = lists.map(|list| list.origin.clone()).collect();
        let families = raw.families.map(|list| {
            list.map(|list| {
                let mut families = Vec::new();
                for At { value, .. } in list.0 {
                    if !families.contains(&value) {
                        families.push(value);
                    }
                }
                families
            })
        });
        Self {
            mode: raw.mode,
            families,
            egress,
            lists,
        }
    }

    /// The mode and the namespace must not contradict each other.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        self.relate_families(profile, problems);
        self.relate_egress(profile, problems);
        let net = &profile.namespaces.net;
        let explicit = |origin: &Origin| !origin.is_default();
        let host = self.mode.value == Mode::Host;
        if explicit(&self.mode.origin) && explicit(&net.origin) && host == net.value.is_new() {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &self.mode.origin,
                    format!(
                        "the mode \"{}\" contradicts the namespace",
                        self.mode.value.word()
                    ),
                )
                .and(&net.origin, "chosen here")
                .help("remove one of the two lines: `mode` alone is enough"),
            );
        } else if host || net.value == Choice::Shared {
            let place = if host { &self.mode.origin } else { &net.origin };
            problems.push(
                Diagnostic::new(
                    Code::HostNetwork,
                    place,
                    "the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them",
                )
                .help("write `mode = \"loopback\"` under [network] where no network is needed"),
            );
        }
    }

    /// The network, as this table and `[namespaces] net` say together. With the host's comes the
    /// file that resolves names, which is no secret of whoever may ask the network anyway.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> Vec<Grant> {
        let Self {
            mode,
            families,
            egress,
            lists: _,
        } = self;
        let net = &profile.namespaces.net;
        let (extent, words, share, origin) = match (&net.value, mode.value) {
            (Choice::Join(path), _) => {
                let path = path.display().to_string();
                let words = format!("use the network of {path}");
                (Extent::Same(path), words, 10_000, &net.origin)
            }
            (Choice::Shared, Mode::None | Mode::Loopback) => {
                let words = "use the host's network".into();
                (Extent::Rank(2), words, 10_000, &net.origin)
            }
            (_, Mode::Host) => {
                let words = "use the host's network".into();
                (Extent::Rank(2), words, 10_000, &mode.origin)
            }
            (Choice::New, Mode::Loopback) => {
                let words = "use a loopback of its own".into();
                (Extent::Rank(1), words, 100, &mode.origin)
            }
            (Choice::New, Mode::None) => {
                let words = "use no network".into();
                (Extent::Rank(0), words, 0, &mode.origin)
            }
        };
        let network = Grant::new(Area::Network, "network", extent, words, origin).share(share);
        // How far the common ones go is told by the system calls.
        let place = families.as_ref().map(|families| &families.origin);
        let others = family::others(place, profile);
        let reached = egress.iter().flat_map(Egress::grants);
        std::iter::once(network)
            .chain(others)
            .chain(reached)
            .collect()
    }

    /// Adds what name resolution needs, where there is a network to resolve for: the file that
    /// `/etc/resolv.conf` points to often lies below /run, which is not shown.
    pub fn entries(&self, profile: &Profile, draft: &mut Draft<'_>) {
        self.egress_entries(profile, draft);
        if self.mode.value != Mode::Host || !profile.rootfs.is_host() {
            return;
        }
        let Some(file) = draft.host.tree.resolve(Path::new("/etc/resolv.conf")) else {
            return;
        };
        if file.starts_with("/run") {
            draft.entries.push(Entry {
                target: file.clone(),
                what: What::bind(file, None),
                attributes: Attributes::READ_ONLY
                    .with(Attributes::NOSUID)
                    .with(Attributes::NODEV),
                optional: true,
                origin: self.mode.origin.clone(),
            });
        }
    }

    /// Brings up loopback, and makes the gate.
    pub fn steps(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let own = profile.namespaces.has_own_network(self.mode.value);
        if own && self.mode.value == Mode::Loopback {
            draft.step(Phase::Network, Op::LoopbackUp, &self.mode.origin);
            self.egress_steps(draft);
        }
    }
}
