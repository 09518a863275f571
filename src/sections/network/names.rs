//! The files by which names are resolved inside.

use super::{Mode, Network};
use crate::diag::Origin;
use crate::plan::Draft;
use crate::plan::layout::{Entry, What};
use crate::sections::Profile;
use crate::sys::mount::Attributes;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const RESOLVERS: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// How many resolvers are asked (resolv.conf(5)).
const MOST: usize = 3;

impl Network {
    /// Adds what name resolution needs, where there is a network to resolve for.
    ///
    /// With the host's network these are the host's files: the one that `/etc/resolv.conf` points to often lies
    /// below /run, which is not shown. A network that is joined by its name may have files of its own, as
    /// ip-netns(8) has it. One that is connected gets files of the sandbox's.
    pub fn entries(&self, profile: &Profile, draft: &mut Draft<'_>) {
        if let Some(text) = profile.namespaces.resolvers_of_other() {
            let what = What::File(text.as_bytes().to_vec(), 0o644.into());
            let origin = profile.namespaces.net.origin.clone();
            draft
                .entries
                .push(entry(RESOLVERS.into(), what, false, origin));
            return;
        }
        match self.mode.value {
            Mode::None => {}
            Mode::Loopback => self.egress_entries(profile, draft),
            Mode::Host => self.file_below_run(profile, draft),
            Mode::Join => {
                let name = self.namespace.as_ref().and_then(|one| one.value.name());
                let own = |file: &str| Some(Path::new("/etc/netns").join(name?).join(file));
                let (resolvers, hosts) = (own("resolv.conf"), own("hosts"));
                if !self.bind(resolvers, RESOLVERS, draft) {
                    self.file_below_run(profile, draft);
                }
                self.bind(hosts, HOSTS, draft);
            }
            Mode::Veth | Mode::Macvlan | Mode::User => {
                self.resolvers(draft);
                self.hosts(profile, draft);
            }
        }
    }

    /// The file that the link at `/etc/resolv.conf` names.
    fn file_below_run(&self, profile: &Profile, draft: &mut Draft<'_>) {
        if !profile.rootfs.is_host() {
            return;
        }
        let Some(file) = draft.host.tree.resolve(Path::new(RESOLVERS)) else {
            return;
        };
        if file.starts_with("/run") {
            let what = What::bind(file.clone(), None);
            let origin = self.mode.origin.clone();
            draft.entries.push(entry(file, what, true, origin));
        }
    }

    /// Shows a file of the host at another place, if it is there.
    fn bind(&self, file: Option<PathBuf>, target: &str, draft: &mut Draft<'_>) -> bool {
        let Some(file) = file.filter(|file| draft.host.tree.exists(file)) else {
            return false;
        };
        let what = What::bind(file, None);
        let origin = Origin::Default("network: names of the namespace");
        draft.entries.push(entry(target.into(), what, true, origin));
        true
    }

    /// Who is asked for names.
    fn resolvers(&self, draft: &mut Draft<'_>) {
        let given: Vec<IpAddr> = self.dns.iter().map(|one| one.value).collect();
        let reached = self.mode.value == Mode::User || self.nat.value || !self.gateway.is_empty();
        let found = match (given.is_empty(), reached) {
            (false, _) => given,
            (true, true) => draft.host.resolvers().to_vec(),
            // Nobody can be reached who was not named.
            (true, false) => Vec::new(),
        };
        if found.is_empty() && reached {
            draft.note(
                &self.mode.origin,
                "names are not resolved inside: the host's resolver is on the host's loopback, or there is none (`dns` under [network] names another)",
            );
        }
        let lines = found.iter().take(MOST);
        let text: String = lines.map(|one| format!("nameserver {one}\n")).collect();
        let origin = self
            .dns
            .first()
            .map_or(Origin::Default("network: /etc/resolv.conf"), |one| {
                one.origin.clone()
            });
        let what = What::File(text.into_bytes(), 0o644.into());
        draft
            .entries
            .push(entry(RESOLVERS.into(), what, false, origin));
    }

    /// The names that need nobody.
    fn hosts(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let mut text =
            String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
        if profile.namespaces.uts.value.is_new() {
            let line = format!("127.0.1.1 {}\n", profile.names.hostname.value);
            text.push_str(&line);
        }
        let what = What::File(text.into_bytes(), 0o644.into());
        let origin = Origin::Default("network: /etc/hosts");
        draft.entries.push(entry(HOSTS.into(), what, false, origin));
    }
}

fn entry(target: PathBuf, what: What, optional: bool, origin: Origin) -> Entry {
    Entry {
        target,
        what,
        attributes: Attributes::READ_ONLY
            .with(Attributes::NOSUID)
            .with(Attributes::NODEV),
        optional,
        origin,
    }
}
