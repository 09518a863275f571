//! Why something is allowed or denied: answered from a profile, and what its plan would build, without a run.
//!
//! Files are looked at where they lie on this machine, since their modes and owners decide too. What only the
//! kernel knows, such as access control lists and security modules, is left out.

mod devices;
mod inside;
mod landlock;
mod refused;

pub use refused::explain as explain_failed;

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, nearest, printable};
use crate::host::{Host, program};
use crate::plan::attempt::Address;
use crate::plan::draft::c_string;
use crate::plan::egress::Name;
use crate::plan::op::landlock::Right;
use crate::plan::op::network::Protocol;
use crate::plan::{Op, Plan, bpf};
use crate::profile::variables::Variables;
use crate::sections::network::{Mode, Network};
use crate::sections::seccomp::call::{Call, Made};
use crate::sections::seccomp::compile::NATIVE;
use crate::sections::seccomp::foreign::ABI;
use crate::sections::test::{Subject, subject};
use crate::sections::{Profile, environment};
use crate::sys::mount::Attributes;
use caps::Capability;
use inside::{Found, Inside, Is, Lost};
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use syscalls::Sysno;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The word of [`WORDS`].
    pub word: &'static str,
    /// What it is about, as it was written.
    pub text: String,
    about: About,
}

#[derive(Clone, Debug)]
enum About {
    Read(PathBuf),
    Write(PathBuf),
    See(PathBuf),
    Execute(String),
    /// A host by its name, and its port.
    Host(String, u16),
    Connect(Address),
    Call(Call, Option<[u64; 6]>),
    Capability(Capability),
    Variable(String),
}

/// What can be asked, with a sample of each.
pub const WORDS: &[(&str, &str)] = &[
    ("read", "/etc/shadow"),
    ("write", "/etc/passwd"),
    ("see", "/home"),
    ("exec", "make"),
    ("connect", "example.com:443"),
    ("call", "mount"),
    ("capability", "sys_admin"),
    ("env", "HOME"),
];

/// The answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, in a sentence without an end.
    pub reason: String,
    /// The line that decides.
    pub origin: Origin,
    /// What to write to allow it.
    pub remedy: Option<String>,
}

impl Answer {
    fn allowed(reason: impl Into<String>, origin: &Origin) -> Self {
        Self {
            allowed: true,
            reason: reason.into(),
            origin: origin.clone(),
            remedy: None,
        }
    }

    fn denied(reason: impl Into<String>, origin: &Origin, remedy: impl Into<String>) -> Self {
        Self {
            allowed: false,
            reason: reason.into(),
            origin: origin.clone(),
            remedy: Some(remedy.into()),
        }
    }
}

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(word: &str, text: &str, variables: &Variables) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::default();
        let value = At::new(text.to_owned(), Origin::CommandLine);
        let path = |text: &str| match &variables.working_directory {
            Some(here) => here.join(text),
            None => PathBuf::from(text),
        };
        let about = match word {
            "read" => Some(About::Read(path(text))),
            "write" => Some(About::Write(path(text))),
            "see" => Some(About::See(path(text))),
            "exec" => Some(About::Execute(text.to_owned())),
            "connect" => match by_name(text) {
                Some((host, port)) => Some(About::Host(host, port)),
                None => match subject::socket(&value, &mut problems) {
                    Some(Subject::Connect(address)) => Some(About::Connect(address)),
                    _ => None,
                },
            },
            "call" => match subject::foreign_call(text) {
                Some((call, arguments)) => Some(About::Call(call.into(), arguments)),
                None => match subject::system_call(&value, &mut problems) {
                    Some(Subject::Call(call)) => {
                        Some(About::Call(call.call().into(), call.arguments()))
                    }
                    _ => None,
                },
            },
            "capability" => capability(text, &mut problems),
            "env" => Some(About::Variable(text.to_owned())),
            _ => {
                let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
                let near = nearest(word, words.iter().copied());
                let message = format!("`{}` is no question", printable(word));
                problems.push(
                    Diagnostic::new(Code::WrongValue, &Origin::CommandLine, message).help(
                        match near {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("the questions are: {}", words.join(", ")),
                        },
                    ),
                );
                None
            }
        };
        let known = WORDS.iter().find(|(known, _)| *known == word);
        match (about, known) {
            (Some(about), Some((word, _))) if problems.is_empty() => Ok(Self {
                word,
                text: text.to_owned(),
                about,
            }),
            _ => Err(problems),
        }
    }

    /// The answer, by a profile and its plan.
    #[must_use]
    pub fn answer(&self, profile: &Profile, plan: &Plan, host: &Host) -> Answer {
        let inside = || Inside::of(plan, host);
        match &self.about {
            About::Read(path) => {
                let inside = inside();
                devices::refused(path, false, &inside, plan, host)
                    .unwrap_or_else(|| inside.reads(path, profile))
            }
            About::Write(path) => {
                let inside = inside();
                devices::refused(path, true, &inside, plan, host)
                    .unwrap_or_else(|| inside.writes(path, profile))
            }
            About::See(path) => match inside().find(path) {
                Ok(found) => Answer::allowed("it is there", found.origin),
                Err(lost) => inside().lost(path, lost),
            },
            About::Execute(name) => inside().executes(name, profile),
            About::Host(host, port) => {
                let own = host == "localhost" || host.ends_with(".localhost");
                let name = Name::parse(host).ok().map(|name| (Ok(name), *port));
                network(profile, plan, own, name, Sysno::socket, 2)
            }
            About::Connect(address) => connects(address, profile, plan, &inside()),
            About::Call(call, arguments) => calls(*call, arguments.as_ref(), profile, plan),
            About::Capability(capability) => keeps(*capability, profile),
            About::Variable(name) => {
                let read = profile.environment.read(host);
                let environment = read.as_ref().map_or(&profile.environment, |(read, _)| read);
                let (there, origin) = environment.decide(name, profile);
                if there {
                    let reason = match environment.said_by(name, profile) {
                        Some(place) => format!("the command gets it, as {place} says"),
                        None => "the command gets it".to_owned(),
                    };
                    Answer::allowed(reason, &origin)
                } else {
                    let callers = profile.variables.environment.contains_key(name);
                    let reason = if callers {
                        "the command does not get it"
                    } else {
                        "the command does not get it, nor does the caller have it"
                    };
                    Answer::denied(
                        reason,
                        &origin,
                        format!(
                            "[environment] inherit = [\"{name}\"], or set = {{ {name} = \"…\" }}"
                        ),
                    )
                }
            }
        }
    }
}

/// The host and the port of an address that names a host.
fn by_name(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let name = host
        .chars()
        .all(|c| c.is_alphanumeric() || "-._".contains(c));
    let port = port.parse::<u16>().ok()?;
    let named = name && host.contains(char::is_alphabetic);
    (named && !host.starts_with("unix") && !host.starts_with("vsock"))
        .then(|| (host.to_owned(), port))
}

fn capability(text: &str, problems: &mut Diagnostics) -> Option<About> {
    let plain = text.to_lowercase();
    let plain = plain.trim_start_matches("cap_");
    if let Ok(found) = format!("CAP_{}", plain.to_uppercase()).parse::<Capability>() {
        return Some(About::Capability(found));
    }
    let known: Vec<_> = caps::all()
        .into_iter()
        .map(|c| c.to_string().to_lowercase().replacen("cap_", "", 1))
        .collect();
    let near = nearest(plain, known.iter().map(String::as_str));
    let message = format!("there is no capability `{}`", printable(text));
    problems.push(
        Diagnostic::new(Code::UnknownCapability, &Origin::CommandLine, message).help(match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "the names are those of capabilities(7), for example \"net_raw\"".into(),
        }),
    );
    None
}

fn calls(call: Call, arguments: Option<&[u64; 6]>, profile: &Profile, plan: &Plan) -> Answer {
    let seccomp = &profile.seccomp;
    let verdict = match call {
        Call::Native(call) => seccomp.verdict(call, profile),
        Call::Foreign(call) => seccomp.foreign_verdict(call, profile),
    };
    // Without arguments: whether there are some with which it runs.
    let examples;
    let arguments = match arguments {
        Some(arguments) => arguments,
        None => {
            examples = verdict.examples();
            examples.first().unwrap_or(&[0; 6])
        }
    };
    let made = Made::Known(call);
    let decision = seccomp.decide_made(profile, made, arguments);
    let reason = if verdict.cases.is_empty() {
        format!("{} by {}", decision.answer, decision.rule)
    } else {
        format!(
            "{} by {}; in all, {verdict}",
            decision.answer, decision.rule
        )
    };
    if decision.answer.permits() {
        return match refused_besides(call, arguments, plan) {
            Some((answer, origin)) => Answer::denied(
                format!("{answer} by the compiled filter that is installed besides"),
                origin,
                "compile another one, or leave `file` out",
            ),
            None => Answer::allowed(reason, decision.origin),
        };
    }
    let remedy = seccomp.remedy_made(&decision, made, arguments);
    Answer::denied(reason, decision.origin, remedy)
}

/// What the compiled filter of a file says of a call that the policy permits.
fn refused_besides<'p>(
    call: Call,
    arguments: &[u64; 6],
    plan: &'p Plan,
) -> Option<(String, &'p Origin)> {
    plan.steps.iter().find_map(|step| {
        let Op::AddFilter { program, .. } = &step.op else {
            return None;
        };
        let (number, architecture) = match call {
            Call::Native(call) => (call.id(), NATIVE.0),
            Call::Foreign(call) => (call.id(), ABI?.architecture),
        };
        let answer = bpf::answer(program, number.cast_unsigned(), architecture, arguments)?;
        Some((bpf::refusal(answer)?, &step.origin))
    })
}

fn keeps(capability: Capability, profile: &Profile) -> Answer {
    let name = capability
        .to_string()
        .to_lowercase()
        .replacen("cap_", "", 1);
    let (kept, ambient, origin) = profile.capabilities.decide(capability);
    if !kept {
        let remedy = format!("[capabilities] keep = [\"{name}\"]");
        return Answer::denied("it is dropped from every set", origin, remedy);
    }
    Answer::allowed(
        if ambient {
            "it is kept, and every program has it"
        } else {
            "it is kept: uid 0 has it, and programs with file capabilities"
        },
        origin,
    )
}

/// What bounds the host's network, about one end of it.
fn bounded((host, port): &(Result<Name, IpAddr>, u16), network: &Network) -> Option<Answer> {
    if let Some(ports) = &network.connect_ports
        && !ports.value.contains(port)
    {
        let reason = format!("network.connect_ports does not have {port}");
        let remedy = format!("add {port} to `connect_ports` under [network]");
        return Some(Answer::denied(reason, &ports.origin, remedy));
    }
    let peers = network.peers.as_ref()?;
    let Err(address) = host else {
        let reason = "network.peers has the addresses that may be reached, and names lead to some";
        return Some(Answer::allowed(reason, &peers.origin));
    };
    let address = address.to_canonical();
    let held = peers.value.iter().find(|peer| peer.value.0.holds(address));
    Some(match held {
        Some(peer) => Answer::allowed("network.peers has it", &peer.origin),
        None => Answer::denied(
            format!("network.peers does not have {address}"),
            &peers.origin,
            format!("add \"{address}\" to `peers` under [network]"),
        ),
    })
}

/// A host of the network, or this machine itself.
fn network(
    profile: &Profile,
    plan: &Plan,
    own: bool,
    end: Option<(Result<Name, IpAddr>, u16)>,
    call: Sysno,
    family: u64,
) -> Answer {
    for (call, arguments) in [(call, [family, 1, 0, 0, 0, 0]), (Sysno::connect, [0; 6])] {
        let answer = calls(call.into(), Some(&arguments), profile, plan);
        if !answer.allowed {
            return Answer {
                reason: format!("{call}(2) is {}", answer.reason),
                ..answer
            };
        }
    }
    let network = &profile.network;
    let mode = &network.mode;
    let net = &profile.namespaces.net;
    if !profile.namespaces.has_own_network(mode.value) {
        let origin = if mode.value == Mode::Host {
            &mode.origin
        } else {
            &net.origin
        };
        return (end.as_ref().and_then(|end| bounded(end, network)))
            .unwrap_or_else(|| Answer::allowed("the network is not the sandbox's own", origin));
    }
    if let (Some(egress), Some((host, port)), false) = (&network.egress, &end, own) {
        return match egress.reaches(host, *port) {
            Ok((rule, origin)) => {
                let by = match host {
                    Ok(_) => ", as far as its addresses are not special",
                    Err(_) => "",
                };
                Answer::allowed(format!("network.allow has \"{rule}\"{by}"), origin)
            }
            Err(refused) => Answer::denied(refused.rule, refused.origin, refused.remedy),
        };
    }
    let word = mode.value.word();
    let forwarded = (network.forward.iter()).find(|one| {
        let tcp = one.value.protocol == Protocol::Tcp;
        tcp && matches!(&end, Some((_, port)) if *port == one.value.port)
    });
    if let (true, Some(one)) = (own, forwarded) {
        let to = one.value.to;
        let reason = format!("network.forward leads to port {to} of the host's loopback");
        return Answer::allowed(reason, &one.origin);
    }
    if let (true, Some(origin)) = (own, &network.forward_all) {
        let reason = "network.forward leads to whatever listens there on the host's loopback";
        return Answer::allowed(reason, origin);
    }
    if own {
        let reason = format!(
            "network.mode is \"{word}\": what this machine's programs listen on is not reached, the sandbox's own are"
        );
        return Answer::denied(reason, &mode.origin, "[network] mode = \"host\"");
    }
    let direct = network
        .address
        .iter()
        .find(|one| matches!(&end, Some((Err(address), _)) if one.value.holds(*address)));
    match (mode.value, direct) {
        (Mode::User, _) => Answer::allowed(
            "network.mode is \"user\": what the caller reaches is reached, but for this machine's loopback",
            &mode.origin,
        ),
        (Mode::Veth | Mode::Macvlan, Some(one)) => {
            Answer::allowed("it is in the network of the sandbox's end", &one.origin)
        }
        (Mode::Veth, None) if network.nat.value => Answer::allowed(
            "it is reached by the host, under the host's address",
            &network.nat.origin,
        ),
        (Mode::Veth | Mode::Macvlan, None) => match network.gateway.first() {
            Some(gateway) => Answer::allowed(
                format!("it is reached by the gateway {}", gateway.value),
                &gateway.origin,
            ),
            None => Answer::denied(
                format!(
                    "network.mode is \"{word}\" without a gateway: the sandbox reaches its own network alone"
                ),
                &mode.origin,
                match mode.value {
                    Mode::Veth => "[network] nat = true",
                    _ => "[network] gateway = [\"ADDRESS\"]",
                },
            ),
        },
        _ => Answer::denied(
            format!("network.mode is \"{word}\": there is no way out"),
            &mode.origin,
            "[network] mode = \"host\"",
        ),
    }
}

fn connects(address: &Address, profile: &Profile, plan: &Plan, inside: &Inside<'_>) -> Answer {
    let to = |ip: IpAddr, port, family| {
        let end = Some((Err(ip), port));
        network(profile, plan, ip.is_loopback(), end, Sysno::socket, family)
    };
    match address {
        Address::V4(address) => to(address.ip().into(), address.port(), 2),
        Address::V6(address) => to(address.ip().into(), address.port(), 10),
        Address::Vsock(_) => {
            let answer = calls(
                Sysno::socket.into(),
                Some(&[40, 1, 0, 0, 0, 0]),
                profile,
                plan,
            );
            Answer {
                reason: format!("socket(2) is {}", answer.reason),
                ..answer
            }
        }
        Address::Unix(unix) => {
            let answer = network(profile, plan, true, None, Sysno::socket, 1);
            let Some(path) = unix.path() else {
                // Abstract names belong to the network namespace.
                return answer;
            };
            if !answer.allowed && answer.origin != profile.network.mode.origin {
                return answer;
            }
            match inside.find(path) {
                Ok(found) if found.is != Is::Socket => {
                    let reason = "what is there is no socket";
                    Answer::denied(reason, found.origin, "start what makes it")
                }
                Ok(found) if inside.may(&found, 2) => {
                    Answer::allowed("it is there, and may be written", found.origin)
                }
                Ok(found) => not_permitted(&found),
                Err(lost) => inside.lost(path, lost),
            }
        }
    }
}

/// The permissions of a file are in the way.
fn not_permitted(found: &Found<'_>) -> Answer {
    Answer::denied(
        format!(
            "the uid inside may not: of {}, {}",
            found.path.display(),
            found.permissions()
        ),
        found.origin,
        "change its mode or owner; or see `uid`, `gid` and `groups` under [user]",
    )
}

fn bind(path: &Path, more: &str) -> String {
    format!(
        "[[mounts]] type = \"bind\", target = {:?}{more}",
        path.display().to_string()
    )
}

impl Inside<'_> {
    fn lost(&self, path: &Path, lost: Lost<'_>) -> Answer {
        match lost {
            Lost::Loop => Answer::denied(
                "its links lead on for ever",
                &Origin::CommandLine,
                "name where it should lead",
            ),
            Lost::Closed(at) => Answer::denied(
                format!(
                    "{} may not be entered: {}",
                    at.path.display(),
                    at.permissions()
                ),
                at.origin,
                if at.mode() & 0o777 & !0o111 == 0 && at.attributes.contains(Attributes::INERT) {
                    format!("remove what hides {}", at.path.display())
                } else {
                    bind(path, "")
                },
            ),
            Lost::NotDirectory(at) => Answer::denied(
                format!("{} is no directory", at.path.display()),
                at.origin,
                "correct the path",
            ),
            Lost::Nothing(above) if path.symlink_metadata().is_ok() => Answer::denied(
                format!(
                    "it is not there: outside it is, and inside {} is not the host's",
                    above.path.display()
                ),
                above.origin,
                bind(path, ""),
            ),
            Lost::Nothing(above) => Answer::denied(
                "it is not there, nor outside",
                above.origin,
                "make it, or correct the path",
            ),
        }
    }

    fn reads(&self, path: &Path, profile: &Profile) -> Answer {
        match self.find(path) {
            Ok(found) if is_closed_device(&found) => closed_device(&found),
            Ok(found) if found.is == Is::Socket => {
                Answer::denied("it is a socket", found.origin, "ask with `connect unix:…`")
            }
            Ok(found) if self.may(&found, 4) => self
                .unlisted(&found.path, Right::Read, profile)
                .unwrap_or_else(|| Answer::allowed("it is there, and may be read", found.origin)),
            Ok(found) => not_permitted(&found),
            Err(lost) => self.lost(path, lost),
        }
    }

    fn writes(&self, path: &Path, profile: &Profile) -> Answer {
        let (found, new) = match self.find(path) {
            Ok(found) => (found, false),
            Err(Lost::Nothing(above)) if path.parent().is_some_and(|p| self.is(p, &above)) => {
                (*above, true)
            }
            Err(lost) => return self.lost(path, lost),
        };
        if is_closed_device(&found) {
            return closed_device(&found);
        }
        // The mount of a device or a socket does not decide on what is sent through it.
        let on_mount = matches!(found.is, Is::Directory | Is::File);
        if on_mount && found.attributes.contains(Attributes::READ_ONLY) {
            let project = &profile.rootfs.project.origin;
            let remedy = if found.sealed == project {
                "[rootfs] project = \"write\"".into()
            } else if new {
                bind(path.parent().unwrap_or(path), ", read_only = false")
            } else {
                bind(path, ", read_only = false")
            };
            let reason = format!("{} is on a read-only mount", found.path.display());
            return Answer::denied(reason, found.sealed, remedy);
        }
        let bits = if found.is == Is::Directory { 3 } else { 2 };
        if !self.may(&found, bits) {
            return not_permitted(&found);
        }
        if let Some(denied) = self.unlisted(&found.path, Right::Write, profile) {
            return denied;
        }
        let reason = match (new, found.is) {
            (true, _) => format!(
                "it is not there, and can be made in {}",
                found.path.display()
            ),
            (_, Is::Directory) => "files can be made in it".into(),
            _ => "it is there, and may be written".into(),
        };
        let reason = match found.aside {
            Some(aside) => format!("{reason}; {aside}"),
            None => reason,
        };
        Answer::allowed(reason, found.origin)
    }

    /// Whether a path leads to what was found.
    fn is(&self, path: &Path, found: &Found<'_>) -> bool {
        self.find(path).is_ok_and(|at| at.path == found.path)
    }

    /// Why the kernel cannot execute a file that may be executed: it is neither ELF nor a script whose interpreter
    /// is there (execve(2)); or the rules of Landlock hold it, its interpreter or its loader back.
    fn program(&self, found: &Found<'_>, profile: &Profile) -> Option<Answer> {
        let unlisted = |path: &Path| {
            let mut rights = [Right::Execute, Right::Read].into_iter();
            rights.find_map(|right| self.unlisted(path, right, profile))
        };
        if let Some(denied) = unlisted(&found.path) {
            return Some(denied);
        }
        let on_host = found.on_host.as_ref()?;
        let mut start = [0; 4];
        let mut file = std::fs::File::open(on_host).ok()?;
        let length = std::io::Read::read(&mut file, &mut start).ok()?;
        let start = start.get(..length).unwrap_or_default();
        let denied = |reason: String| Answer::denied(reason, found.origin, "correct the file");
        let is_elf = start == b"\x7fELF";
        if !is_elf && !start.starts_with(b"#!") {
            let path = found.path.display();
            return Some(denied(format!(
                "{path} is no program: neither ELF nor a script"
            )));
        }
        let named = program::executed_for(on_host);
        let path = match named {
            // A static program.
            None if is_elf => return None,
            named => named.unwrap_or_default(),
        };
        match self.find(&self.folder.join(&path)) {
            Ok(found) if self.may(&found, 1) => unlisted(&found.path),
            _ if is_elf => None,
            _ => Some(denied(format!(
                "its interpreter {} is not there, or may not be executed",
                path.display()
            ))),
        }
    }

    fn executes(&self, name: &str, profile: &Profile) -> Answer {
        let search = profile.environment.search_path(profile);
        let mut worst = None;
        for candidate in environment::candidates(&c_string(name), &search) {
            let path = Path::new(OsStr::from_bytes(candidate.to_bytes()));
            let path = self.folder.join(path);
            let answer = match self.find(&path) {
                Err(lost @ Lost::Nothing(_)) => {
                    let answer = self.lost(&path, lost);
                    worst.get_or_insert(Answer {
                        reason: if name.contains('/') {
                            answer.reason
                        } else {
                            format!("no folder of PATH inside has it: {search}")
                        },
                        ..answer
                    });
                    continue;
                }
                Err(lost) => self.lost(&path, lost),
                Ok(found) if found.is != Is::File => {
                    Answer::denied("it is no program", found.origin, "correct the path")
                }
                Ok(found) if found.attributes.contains(Attributes::NOEXEC) => Answer::denied(
                    format!("{} is on a mount with noexec", found.path.display()),
                    found.sealed,
                    bind(&path, ", noexec = false"),
                ),
                Ok(found) if !self.may(&found, 1) => not_permitted(&found),
                Ok(found) => match self.program(&found, profile) {
                    Some(denied) => denied,
                    None => {
                        let reason = format!("{} may be executed", found.path.display());
                        return Answer::allowed(reason, found.origin);
                    }
                },
            };
            // A later one may do, as for execvp(3).
            worst = Some(answer);
        }
        worst.unwrap_or_else(|| {
            Answer::denied("nothing is named", &Origin::CommandLine, "name a program")
        })
    }
}

/// A device on a mount with nodev: a mask, or a device that was not asked for.
fn is_closed_device(found: &Found<'_>) -> bool {
    found.is == Is::Device && found.attributes.contains(Attributes::NODEV)
}

fn closed_device(found: &Found<'_>) -> Answer {
    let masked = found
        .attributes
        .contains(Attributes::INERT.with(Attributes::READ_ONLY));
    Answer::denied(
        if masked {
            "it is masked"
        } else {
            "devices cannot be opened on this mount (nodev)"
        },
        found.origin,
        if masked && found.origin.is_default() {
            let path = found.path.display().to_string();
            format!("[[mounts]] type = \"bind\", target = {path:?}")
        } else if masked {
            "remove the mask".to_owned()
        } else {
            let name = found.path.strip_prefix("/dev").unwrap_or(&found.path);
            format!("[devices] nodes = [{:?}]", name.display().to_string())
        },
    )
}
