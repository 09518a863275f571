//! `[[bus]]`: which names of a message bus the command may talk to, through xdg-dbus-proxy(1).
//!
//! The proxy is outside. Its socket, in a folder of the run's own, is what is bound inside; the bus's own is not.

use super::network::Family;
use super::{Profile, absolute};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::probe::Mechanism;
use crate::host::tree::Kind;
use crate::plan::layout::{Entry, What};
use crate::plan::op::bus::{BusProxy, Proxied};
use crate::plan::{Draft, Op, Phase};
use crate::profile::table::List;
use crate::review::view::{Shown, View};
use crate::review::{Area, Grant};
use crate::sys::mount::Attributes;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

crate::table! {
    /// A message bus (D-Bus), of which the command sees the names that are permitted. Without an entry there is none.
    ///
    /// ```toml
    /// [[bus]]
    /// address = "session"
    /// talk = ["org.freedesktop.Notifications", "org.freedesktop.portal.*"]
    /// own = ["com.example.Player"]
    /// ```
    pub struct RawBus as "[[bus]]" {
        /// Which one: the caller's `"session"`, the `"system"`'s, or the path of a socket on which one listens.
        address: String; required "session",
        /// Names whose owners it may call and hear, and have started: `"org.example.App"`, or with all below it
        /// `"org.example.*"`.
        talk: List<String>,
        /// Names that it may own, and talk to.
        own: List<String>,
        /// Names of which it sees whether somebody owns them, and no more.
        see: List<String>,
        /// Single calls: `"NAME=METHOD@PATH"`, such as `"org.example.App=org.example.Player.*@/player/*"`; the path may be
        /// left out.
        call: List<String>,
        /// Single signals that reach it, in the same form.
        broadcast: List<String>,
        /// Where its socket is, an absolute path inside. Default: `/run/bus/session` of the session's, which
        /// `DBUS_SESSION_BUS_ADDRESS` then says, `/run/dbus/system_bus_socket` of the system's; of others it has to be said.
        target: String,
    }
}

/// Where the system's bus listens (D-Bus Specification, "System message bus").
const SYSTEM: &str = "/run/dbus/system_bus_socket";

/// Where the session's is inside: the command is told, so that it may be anywhere.
const SESSION: &str = "/run/bus/session";

/// The buses of a profile.
#[derive(Clone, Debug, Default)]
pub struct Buses(Vec<At<Bus>>);

#[derive(Clone, Debug)]
struct Bus {
    address: At<Address>,
    rules: Vec<At<Rule>>,
    target: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Session,
    System,
    Path(PathBuf),
}

/// What is permitted.
#[derive(Clone, Debug)]
struct Rule {
    verb: Verb,
    /// The name, with `.*` behind it for all below it too.
    name: String,
    /// Of a single call or signal, which one.
    which: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Talk,
    Own,
    See,
    Call,
    Broadcast,
}

impl Verb {
    const fn option(self) -> &'static str {
        match self {
            Self::Talk => "talk",
            Self::Own => "own",
            Self::See => "see",
            Self::Call => "call",
            Self::Broadcast => "broadcast",
        }
    }

    /// As words after "may".
    const fn words(self) -> &'static str {
        match self {
            Self::Talk => "talk to",
            Self::Own => "own",
            Self::See => "see whether somebody owns",
            Self::Call => "call",
            Self::Broadcast => "hear signals of",
        }
    }
}

impl Address {
    fn words(&self) -> String {
        match self {
            Self::Session => "session".into(),
            Self::System => "system".into(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

impl Buses {
    /// Checks every bus.
    pub fn check(raw: Option<At<List<RawBus>>>, problems: &mut Diagnostics) -> Self {
        let mut buses: Vec<At<Bus>> = Vec::new();
        for raw in raw.map(|list| list.value.0).unwrap_or_default() {
            let Some(bus) = check_one(raw, problems) else {
                continue;
            };
            let same = |known: &&At<Bus>| known.value.address.value == bus.value.address.value;
            if let Some(first) = buses.iter().find(same) {
                problems.push(
                    Diagnostic::new(
                        Code::DuplicateTarget,
                        &bus.value.address.origin,
                        format!(
                            "a second entry of the bus `{}`",
                            bus.value.address.value.words()
                        ),
                    )
                    .and(&first.value.address.origin, "the first one")
                    .help("write what both permit into one of them"),
                );
            }
            let there = |known: &&At<Bus>| known.value.target == bus.value.target;
            if let Some(first) = buses.iter().find(there) {
                let target = bus.value.target.display();
                problems.push(
                    Diagnostic::new(
                        Code::DuplicateTarget,
                        &bus.origin,
                        format!("a second bus at {target}"),
                    )
                    .and(&first.origin, "the first one")
                    .help("write another `target` for one of them"),
                );
            }
            buses.push(bus);
        }
        Self(buses)
    }

    /// There has to be a place for the socket.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        for At { origin, .. } in &self.0 {
            if !profile.namespaces.builds_root() {
                problems.push(
                    Diagnostic::new(
                        Code::Needs,
                        origin,
                        "the socket of a bus is a file of the sandbox's own",
                    )
                    .and(
                        &profile.namespaces.mount.origin,
                        "the mounts are not the sandbox's own here",
                    )
                    .help("write `mount = \"new\"` under [namespaces], or remove the bus"),
                );
            }
            if let Some(families) = &profile.network.families
                && !families.value.contains(&Family::Unix)
            {
                problems.push(
                    Diagnostic::new(
                        Code::Conflict,
                        origin,
                        "a bus is reached by a socket of the family `unix`",
                    )
                    .and(&families.origin, "no such socket can be made here")
                    .help("add `\"unix\"` to `families`, or remove the bus"),
                );
            }
        }
    }

    /// Shows the sockets, which are the run's own.
    pub fn show(&self, view: &mut View) {
        for At { value, origin } in &self.0 {
            view.show(Shown::own(&value.target, origin.clone()));
        }
    }

    /// What of each bus the command may do.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let mut grants = Vec::new();
        for bus in &self.0 {
            let of = bus.value.address.value.words();
            for At { value, origin } in &bus.value.rules {
                let Rule { verb, name, which } = value;
                let what = match which {
                    Some(which) => format!("{name}={which}"),
                    None => name.clone(),
                };
                // Who may own a name may talk to it, and who may do that sees it.
                let (key, rank, share) = match verb {
                    Verb::See => ("name", 1, 100),
                    Verb::Talk => ("name", 2, 1_000),
                    Verb::Own => ("name", 3, 1_000),
                    Verb::Call => ("call", 1, 500),
                    Verb::Broadcast => ("broadcast", 1, 100),
                };
                let key = format!("bus:{of}:{key}:{what}");
                let words = format!("{} {what} on the bus {of}", verb.words());
                grants.push(Grant::rank(Area::Namespaces, key, rank, words, origin).share(share));
            }
        }
        grants
    }

    /// Adds the sockets, and starts who serves them.
    pub fn entries(&self, profile: &Profile, draft: &mut Draft<'_>) {
        let Some(first) = self.0.first() else {
            return;
        };
        let host = draft.host;
        let Some(program) = host.bus_proxy() else {
            draft.wants([Mechanism::BusProxy]);
            return draft.refuse(
                &first.origin,
                "xdg-dbus-proxy is not installed, which stands between the command and a bus",
                "install the package `xdg-dbus-proxy`",
            );
        };
        let Some(folder) = host.bus_folder() else {
            return draft.refuse(
                &first.origin,
                "there is no folder for the socket of a bus that the caller alone may enter",
                "set XDG_RUNTIME_DIR to a folder that only you may enter (mode 0700), as a login under systemd does",
            );
        };
        let mut proxied = Vec::new();
        for (number, At { value, origin }) in self.0.iter().enumerate() {
            let Some(address) = value.found(profile, draft) else {
                continue;
            };
            let name = number.to_string();
            draft.entries.push(Entry {
                target: value.target.clone(),
                what: What::Socket(folder.join(&name)),
                attributes: Attributes::INERT.with(Attributes::READ_ONLY),
                optional: false,
                origin: origin.clone(),
            });
            proxied.push(Proxied {
                address,
                name,
                rules: value
                    .rules
                    .iter()
                    .map(|rule| rule.value.argument())
                    .collect(),
            });
        }
        let op = Op::StartBusProxy(BusProxy {
            program: program.into(),
            folder,
            buses: proxied,
        });
        draft.step(Phase::Buses, op, &first.origin);
    }

    /// Where the command finds its session's bus, if it has one.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        let session = |bus: &&At<Bus>| bus.value.address.value == Address::Session;
        let bus = self.0.iter().find(session)?;
        let path = escaped(&bus.value.target);
        Some(format!("unix:path={path}"))
    }
}

impl Bus {
    /// Its address on this machine (D-Bus Specification, "Server Addresses").
    fn found(&self, profile: &Profile, draft: &mut Draft<'_>) -> Option<String> {
        let origin = &self.address.origin;
        let (path, variable) = match &self.address.value {
            Address::Session => (None, Some("DBUS_SESSION_BUS_ADDRESS")),
            Address::System => (Some(Path::new(SYSTEM)), Some("DBUS_SYSTEM_BUS_ADDRESS")),
            Address::Path(path) => (Some(path.as_path()), None),
        };
        let said = |name: &str| profile.variables.environment.get(name);
        if let Some(said) = variable.and_then(said) {
            return Some(said.clone());
        }
        let path = match path {
            Some(path) => path.to_owned(),
            None => match said("XDG_RUNTIME_DIR") {
                Some(runtime) => Path::new(runtime).join("bus"),
                None => format!("/run/user/{}/bus", draft.host.caller.uid).into(),
            },
        };
        if draft.host.tree.target(&path).kind == Kind::File {
            return Some(format!("unix:path={}", escaped(&path)));
        }
        let text = format!("there is no bus: nothing listens at {}", path.display());
        let help = match variable {
            Some(variable) => format!("start the bus, or set {variable} to its address"),
            None => "start what listens there, or correct the path".into(),
        };
        draft.problem(Diagnostic::new(Code::NotFound, origin, text).help(help));
        None
    }
}

impl Rule {
    /// As the proxy takes it.
    fn argument(&self) -> String {
        let Self { verb, name, which } = self;
        match which {
            Some(which) => format!("--{}={name}={which}", verb.option()),
            None => format!("--{}={name}", verb.option()),
        }
    }
}

/// A path as a part of an address: what is not of these characters is written in hexadecimal.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'/' | b'.' => {
                text.push(char::from(*byte));
            }
            byte => {
                let _ = write!(text, "%{byte:02x}");
            }
        }
    }
    text
}

fn check_one(raw: At<RawBus>, problems: &mut Diagnostics) -> Option<At<Bus>> {
    let At { value: raw, origin } = raw;
    let address = raw.address?;
    let address = match address.value.as_str() {
        "session" => At::new(Address::Session, address.origin),
        "system" => At::new(Address::System, address.origin),
        path if path.starts_with('/') => {
            let path = absolute(&address, "address", problems)?;
            At::new(Address::Path(path), address.origin)
        }
        other => {
            problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &address.origin,
                    format!("`{other}` is no bus"),
                )
                .help(
                    "write \"session\", \"system\", or the path of a socket on which a bus listens",
                ),
            );
            return None;
        }
    };
    let target = match (&raw.target, &address.value) {
        (Some(target), _) => absolute(target, "target", problems)?,
        (None, Address::Session) => SESSION.into(),
        (None, Address::System) => SYSTEM.into(),
        (None, Address::Path(_)) => {
            problems.push(
                Diagnostic::new(
                    Code::MissingKey,
                    &origin,
                    "where the socket of this bus is inside is not said",
                )
                .help("for example: target = \"/run/bus/own\""),
            );
            return None;
        }
    };
    let mut rules = Vec::new();
    for (verb, names) in [
        (Verb::Talk, raw.talk),
        (Verb::Own, raw.own),
        (Verb::See, raw.see),
        (Verb::Call, raw.call),
        (Verb::Broadcast, raw.broadcast),
    ] {
        for said in names.map(|names| names.value.0).unwrap_or_default() {
            let single = matches!(verb, Verb::Call | Verb::Broadcast);
            match rule(verb, &said.value, single) {
                Ok(rule) => rules.push(At::new(rule, said.origin)),
                Err(help) => problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &said.origin,
                        format!("`{}` is nothing that can be permitted on a bus", said.value),
                    )
                    .help(help),
                ),
            }
        }
    }
    Some(At::new(
        Bus {
            address,
            rules,
            target,
        },
        origin,
    ))
}

/// What one value permits; or what to write.
fn rule(verb: Verb, said: &str, single: bool) -> Result<Rule, &'static str> {
    const NAME: &str = "write a name of at least two parts, such as \"org.example.App\", or with all below it \"org.example.*\"";
    const WHICH: &str = "for example: \"org.example.App=org.example.Player.*@/player/*\"";
    let (name, which) = match said.split_once('=') {
        Some((name, which)) if single => (name, Some(which)),
        None if !single => (said, None),
        _ if single => return Err(WHICH),
        _ => return Err(NAME),
    };
    let name = name.to_owned();
    if !is_name(name.strip_suffix(".*").unwrap_or(&name)) {
        return Err(NAME);
    }
    let which = match which {
        None => None,
        Some(which) => {
            let (method, path) = match which.split_once('@') {
                Some((method, path)) => (method, Some(path)),
                None => (which, None),
            };
            let is_method = method == "*" || is_name(method.strip_suffix(".*").unwrap_or(method));
            if !is_method || !path.is_none_or(is_path) {
                return Err(WHICH);
            }
            Some(which.to_owned())
        }
    };
    Ok(Rule { verb, name, which })
}

/// Whether it is a name of the kind that a program asks for (D-Bus Specification, "Valid Names").
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    name.len() <= 255 && name.contains('.') && name.split('.').all(is_part)
}

/// Whether it is the path of an object, or with `/*` behind it of all below one.
fn is_path(path: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let above = path.strip_suffix("/*").unwrap_or(path);
    match above.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(is_part),
        None => above.is_empty() && path == "/*",
    }
}

#[cfg(test)]
mod tests {
    use super::{Verb, escaped, rule};

    #[test]
    fn what_the_proxy_takes_is_known_from_what_it_does_not() {
        for said in ["org.example.App", "org.example.*", "a-b._c1.D"] {
            let rule = rule(Verb::Talk, said, false).unwrap();
            assert_eq!(rule.argument(), format!("--talk={said}"));
        }
        for said in [
            "",
            "*",
            "org",
            "org.*",
            ":1.5",
            "org..a",
            "org.1a",
            "org.a b",
            "org.a\n.b",
            "org.example.App=x.y",
            "org.example.*.b",
            "--own=org.a.b",
            &format!("a.{}", "b".repeat(255)),
        ] {
            assert!(rule(Verb::Talk, said, false).is_err(), "{said}");
        }
        for said in [
            "org.a.B=*",
            "org.a.B=org.a.*",
            "org.a.B=org.a.C.d@/e/f",
            "org.a.*=*@/*",
            "org.a.B=*@/",
        ] {
            let rule = rule(Verb::Call, said, true).unwrap();
            assert_eq!(rule.argument(), format!("--call={said}"));
        }
        for said in [
            "org.a.B",
            "org.a.B=",
            "org.a.B=x",
            "org.a.B=*@",
            "org.a.B=*@a",
            "org.a.B=*@/a/",
            "org.a.B=*@/a@/b",
            "org.a.B=* --talk=org.a.C",
        ] {
            assert!(rule(Verb::Broadcast, said, true).is_err(), "{said}");
        }
    }

    #[test]
    fn a_path_is_a_part_of_an_address() {
        assert_eq!(escaped("/run/a b;c,d%".as_ref()), "/run/a%20b%3bc%2cd%25");
    }
}
