//! The files by which names are resolved inside.

use super::{Mode, Network};
use crate::diag::{At, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::egress::Name;
use crate::plan::layout::{Entry, What};
use crate::plan::op::network::RESOLVER;
use crate::profile::node::Node;
use crate::profile::shape::Kind;
use crate::profile::table::{Value, read_string, wrong};
use crate::sections::Profile;
use crate::sys::mount::Attributes;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const RESOLVERS: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// How many resolvers are asked (resolv.conf(5)).
const MOST: usize = 3;

impl Value for Name {
    const KIND: Kind = Kind::Text {
        what: "a domain",
        form: "",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        match Self::parse(&text) {
            Ok(name) => Some(name),
            Err(_) => {
                let help = "for example: \"corp.example\", in ASCII and without blanks";
                wrong(&origin, format!("`{text}` is no domain"), help, problems);
                None
            }
        }
    }
}

/// A word of `options` of resolv.conf(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverOption(pub String);

/// Those without a number.
const SWITCHES: [&str; 14] = [
    "edns0",
    "inet6",
    "ip6-bytestring",
    "ip6-dotint",
    "no-aaaa",
    "no-check-names",
    "no-ip6-dotint",
    "no-reload",
    "no-tld-query",
    "rotate",
    "single-request",
    "single-request-reopen",
    "trust-ad",
    "use-vc",
];
/// Those with one, and the largest that glibc takes.
const NUMBERS: [(&str, u32); 3] = [("attempts", 5), ("ndots", 15), ("timeout", 30)];

impl Value for ResolverOption {
    const KIND: Kind = Kind::Text {
        what: "an option of resolv.conf(5)",
        form: "^[a-z0-9-]+(:[0-9]+)?$",
    };

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        let numbered = |(name, most): &(&str, u32)| {
            let number = text.strip_prefix(name)?.strip_prefix(':')?;
            let digits = number.bytes().all(|one| one.is_ascii_digit());
            let number: u32 = number.parse().ok().filter(|_| digits)?;
            Some(number <= *most)
        };
        let known = SWITCHES.contains(&text.as_str());
        match NUMBERS.iter().find_map(numbered) {
            Some(true) => return Some(Self(text)),
            None if known => return Some(Self(text)),
            Some(false) => {
                let [(_, attempts), (_, ndots), (_, timeout)] = NUMBERS;
                let help = format!("at most attempts:{attempts}, ndots:{ndots}, timeout:{timeout}");
                wrong(
                    &origin,
                    format!("the number of `{text}` is too large"),
                    &help,
                    problems,
                );
            }
            None => {
                let message = format!("`{text}` is no option of resolv.conf(5)");
                let help = format!(
                    "one of {}, or attempts, ndots and timeout with a number, such as \"ndots:2\"",
                    SWITCHES.join(", ")
                );
                wrong(&origin, message, &help, problems);
            }
        }
        None
    }
}

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

    /// Whether anybody is reached beyond the sandbox's own network.
    fn reaches_others(&self) -> bool {
        self.mode.value == Mode::User || self.nat.value || !self.gateway.is_empty()
    }

    /// Who resolves names outside.
    pub(super) fn servers(&self, draft: &Draft<'_>) -> Vec<IpAddr> {
        let given = self.dns.iter().map(|one| one.value);
        let found: Vec<IpAddr> = match (self.dns.is_empty(), self.reaches_others()) {
            (false, _) => given.collect(),
            (true, true) => draft.host.resolvers().to_vec(),
            // Nobody can be reached who was not named.
            (true, false) => Vec::new(),
        };
        found.into_iter().take(MOST).collect()
    }

    /// Who is asked for names.
    fn resolvers(&self, draft: &mut Draft<'_>) {
        let found = self.servers(draft);
        if found.is_empty() && self.reaches_others() {
            draft.note(
                &self.mode.origin,
                "names are not resolved inside: the host's resolver is on the host's loopback, or there is none (`dns` under [network] names another)",
            );
        }
        let (found, named) = match self.names.value {
            true => (vec![RESOLVER.into()], Some(&self.names.origin)),
            false => (found, self.dns.first().map(|one| &one.origin)),
        };
        let lines = found.iter();
        let mut text: String = lines.map(|one| format!("nameserver {one}\n")).collect();
        for (key, values) in [
            ("search", words(&self.dns_search, Name::as_str)),
            ("options", words(&self.dns_options, |one| &one.0)),
        ] {
            if !values.is_empty() {
                text.push_str(&format!("{key} {values}\n"));
            }
        }
        let origin = named.map_or(Origin::Default("network: /etc/resolv.conf"), Origin::clone);
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

fn words<T>(values: &[At<T>], word: impl Fn(&T) -> &str) -> String {
    let words: Vec<_> = values.iter().map(|one| word(&one.value)).collect();
    words.join(" ")
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
