//! Settings of the kernel that belong to a namespace (sysctl(8), proc_sys(5)).

use super::{Choice, Namespaces};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::draft::c_string;
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::Map;
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;
use crate::sections::user::Identity;
use std::collections::BTreeMap;

/// The settings, by their names with dots.
#[derive(Clone, Debug, Default)]
pub(super) struct Sysctls(BTreeMap<String, At<String>>);

/// Whose setting one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The network namespace: `net.*`.
    Net,
    /// The ipc namespace.
    Ipc,
    /// The user namespace: `user.*`, bounds on what is made in it.
    User,
    /// What has a key of its own: which one, and of which table.
    Key(&'static str, &'static str),
    /// The machine.
    Machine,
}

/// ipc/ipc_sysctl.c of the kernel.
const IPC: &[&str] = &[
    "auto_msgmni",
    "msgmax",
    "msgmnb",
    "msgmni",
    "msg_next_id",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

/// The longest value: a page takes it, and so does the buffer in which it is read back.
const LONGEST: usize = 2048;

/// The path below /proc/sys: dots are slashes, and in names with slashes, slashes are dots, as sysctl(8) has it.
fn path(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

fn owner(path: &str) -> Of {
    match path.split_once('/') {
        Some(("net", _)) => Of::Net,
        Some(("user", "max_user_namespaces")) => Of::Key("nested_user", "under [namespaces]"),
        Some(("user", _)) => Of::User,
        Some(("fs", rest)) if rest.starts_with("mqueue/") => Of::Ipc,
        Some(("kernel", "hostname")) => Of::Key("hostname", "above all tables"),
        Some(("kernel", "domainname")) => Of::Key("domainname", "above all tables"),
        Some(("kernel", name)) if IPC.contains(&name) => Of::Ipc,
        _ => Of::Machine,
    }
}

impl Sysctls {
    pub(super) fn check(raw: Option<At<Map<String>>>) -> Self {
        Self(raw.map(|map| map.value.0).unwrap_or_default())
    }

    /// Each has to belong to a namespace that is new.
    pub(super) fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        let namespaces = &profile.namespaces;
        for (name, value) in &self.0 {
            let path = path(name);
            let place = &value.origin;
            let odd = |part: &str| matches!(part, "" | "." | "..");
            let printable = |text: &str| text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
            if path.split('/').any(odd) || !printable(&path) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        place,
                        format!("`{name}` is no name of a setting"),
                    )
                    .help("for example: \"net.ipv4.ip_forward\" = \"1\""),
                );
                continue;
            }
            let given = &value.value;
            if given.trim().is_empty() || given.len() > LONGEST || !printable(given) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        place,
                        format!(
                            "a setting has a value of 1 to {LONGEST} printable ASCII characters"
                        ),
                    )
                    .help("for example: \"net.ipv4.tcp_rmem\" = \"4096 131072 6291456\""),
                );
            }
            let of = owner(&path);
            if of == Of::User && given.trim().parse::<u32>().is_err() {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        place,
                        "the settings of a user namespace are numbers",
                    )
                    .help("for example: \"user.max_net_namespaces\" = \"0\""),
                );
            }
            let net = if namespaces.net.value.is_new() {
                &profile.network.mode.origin
            } else {
                &namespaces.net.origin
            };
            let (word, new, origin) = match of {
                Of::Net => (
                    "net",
                    namespaces.has_own_network(profile.network.mode.value),
                    net,
                ),
                Of::Ipc => ("ipc", namespaces.ipc.value.is_new(), &namespaces.ipc.origin),
                Of::User => (
                    "user",
                    namespaces.user.value.is_new(),
                    &namespaces.user.origin,
                ),
                Of::Key(key, table) => {
                    problems.push(
                        Diagnostic::new(
                            Code::Conflict,
                            place,
                            format!("`{name}` has a key of its own"),
                        )
                        .help(format!("write `{key}`, {table}")),
                    );
                    continue;
                }
                Of::Machine => {
                    problems.push(
                        Diagnostic::new(
                            Code::NotOfNamespace,
                            place,
                            format!("`{name}` belongs to the whole machine"),
                        )
                        .help("settings of namespaces are net.*, user.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem"),
                    );
                    continue;
                }
            };
            if !new {
                problems.push(
                    Diagnostic::new(
                        Code::NotOfNamespace,
                        place,
                        format!("`{name}` belongs to the {word} namespace, which is not the sandbox's own"),
                    )
                    .and(origin, "not new here")
                    .help(format!("give the sandbox its own {word} namespace, or remove this line")),
                );
            }
        }
    }

    /// A setting of the sandbox's own namespace may open code of the kernel, and which one does is not known
    /// here; the bounds of the user namespace do not.
    pub(super) fn grants(&self) -> Vec<Grant> {
        const SHARE: u32 = 50;
        let default = Origin::Default("namespaces.sysctls");
        let mut bounds = BTreeMap::new();
        let mut at = &default;
        let mut grants = Vec::new();
        for (name, At { value, origin }) in &self.0 {
            if owner(&path(name)) == Of::User {
                let most = value.trim().parse().unwrap_or(u64::MAX);
                bounds.insert(name.clone(), most);
                at = origin;
                continue;
            }
            // As a user would write it: how it is spaced says nothing.
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let words = format!("live with {name} = {value} in its own namespaces");
            let key = format!("sysctl:{name}");
            let extent = Extent::Same(value);
            grants.push(Grant::new(Area::Namespaces, key, extent, words, origin).share(SHARE));
        }
        let words = if bounds.is_empty() {
            "make as many namespaces in its own as the machine permits".into()
        } else {
            let bounds = bounds.iter().map(|(name, most)| format!("{name} = {most}"));
            format!(
                "make in its own namespaces {}",
                bounds.collect::<Vec<_>>().join(", ")
            )
        };
        let extent = Extent::Bounds(bounds);
        grants.push(Grant::new(
            Area::Namespaces,
            "sysctl:user",
            extent,
            words,
            at,
        ));
        grants
    }
}

impl Namespaces {
    /// Writes the settings, from inside the namespaces and through the host's /proc.
    pub fn settings(&self, identity: &Identity, profile: &Profile, draft: &mut Draft<'_>) {
        // Where the mounts are kept apart, the network and the ipc namespace are made later, and init is in the
        // caller's until then.
        let apart = self.keeps_mounts_apart(profile);
        for (name, At { value, origin }) in &self.sysctls.0 {
            let path = path(name);
            // Those of the ipc namespace can be written by root alone: by the host's, as long as init still is that,
            // or by that of the user namespace (Linux 6.9), once init is that.
            let of_ipc = owner(&path) == Of::Ipc && self.user.value == Choice::New;
            // Its groups are those of the map, once that is written.
            let of_map = name == "net.ipv4.ping_group_range" && self.user.value == Choice::New;
            let late = apart || of_map || (of_ipc && !draft.host.caller.has_rights());
            if late && of_ipc && identity.uid != 0 {
                draft.refuse(
                    origin,
                    format!("only root of the user namespace may set `{name}`"),
                    "be 0 inside (`uid_map = \"root\"` under [user]), or start sandbox as root, without the capability `sys_admin`",
                );
                continue;
            }
            let op = Op::SetSysctl {
                path: c_string(format!("/proc/sys/{path}")),
                value: c_string(value.trim()),
            };
            let phase = if late {
                Phase::InnerSettings
            } else {
                Phase::Settings
            };
            draft.step(phase, op, origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_as_sysctl_has_them() {
        assert_eq!(
            path("net.ipv4.conf.eth0/1.forwarding"),
            "net/ipv4/conf/eth0.1/forwarding"
        );
        assert_eq!(owner("net/ipv4/ip_forward"), Of::Net);
        assert_eq!(owner("fs/mqueue/msg_max"), Of::Ipc);
        assert_eq!(owner("fs/file-max"), Of::Machine);
        assert_eq!(owner("kernel/sem"), Of::Ipc);
        assert_eq!(owner("kernel/core_pattern"), Of::Machine);
        assert_eq!(owner("net"), Of::Machine);
    }
}
