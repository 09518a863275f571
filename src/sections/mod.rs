//! THE list of what a profile can say: one file a TOML table, with its shape, its checks and its
//! steps together.
//!
//! Each section file holds three things: `Raw…`, the table as it is written, every key optional
//! and placed; the checked type, in which wrong states cannot be written down; and
//! `steps`, which adds operations or entries of the root to a plan.

pub mod bus;
pub mod capabilities;
pub mod changes;
pub mod devices;
pub mod enforce;
pub mod environment;
pub mod landlock;
pub mod limits;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod network;
pub mod process;
pub mod report;
pub mod rlimits;
pub mod rootfs;
pub mod seccomp;
pub mod secrets;
pub mod test;
pub mod user;
pub mod wanted;

use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, SourceId, Sources};
use crate::host::Host;
use crate::plan::draft::{Command, Draft, Drafted};
use crate::plan::layout::Look;
use crate::plan::{Plan, layout};
use crate::profile::overlay::Overlay;
use crate::profile::parameters::Params;
use crate::profile::table::{self, List};
use crate::profile::variables::Variables;
use crate::profile::{document, node};
use crate::review::Grant;
use crate::review::view::View;
use landlock::Placed;
use std::path::{Component, Path, PathBuf};

crate::table! {
    /// What stands above all tables.
    ///
    /// ```toml
    /// version = 1
    /// description = "The tests, with network"
    /// extends = ["build"]
    /// hostname = "tests"
    /// ```
    pub struct Raw as "the profile" {
        /// The version of the language: 1.
        version: u32,
        /// What the profile is for.
        description: String,
        /// The profiles that this one lies on: names, or paths relative to this file that end in
        /// `.toml`. Later ones lie on top of earlier ones, and this one on top of all.
        extends: List<String>,
        /// What is taken out of them first: the path of a key (`"limits.memory"`), of a value of a
        /// list (`"environment.inherit.LANG"`) or of a mount (`"mounts./srv/data"`).
        remove: List<String>,
        /// What callers may choose: `--set NAME=VALUE`, used as `${NAME}`.
        params: Params,
        /// The host name inside (uts namespace).
        hostname: String = "sandbox",
        /// The NIS domain name inside (uts namespace).
        domainname: String = "(none)",
        /// What the root is.
        rootfs: rootfs::RawRootfs,
        /// Which namespaces are new.
        namespaces: namespaces::RawNamespaces,
        /// Who the command is.
        user: user::RawUser,
        /// What is mounted.
        mounts: List<mounts::RawMount>,
        /// What only files inside hold.
        secrets: List<secrets::RawSecret>,
        /// What of message buses is reached.
        bus: List<bus::RawBus>,
        /// What /dev holds.
        devices: devices::RawDevices,
        /// What of the network there is.
        network: network::RawNetwork,
        /// Which capabilities the command keeps.
        capabilities: capabilities::RawCapabilities,
        /// Which system calls the command may make.
        seccomp: seccomp::RawSeccomp,
        /// What may be done with files by their paths.
        landlock: landlock::RawLandlock,
        /// What the command and all its descendants may use together.
        limits: limits::RawLimits,
        /// What each process may use.
        rlimits: rlimits::RawRlimits,
        /// The environment.
        environment: environment::RawEnvironment,
        /// How the command runs.
        process: process::RawProcess,
        /// What happens where this machine cannot do something.
        enforce: enforce::RawEnforce,
        /// What is said about a run when it has ended.
        report: report::RawReport,
        /// What `sandbox test` proves.
        test: List<test::RawTest>,
    }
}

/// A checked profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Host and domain name.
    pub names: names::Names,
    /// The root.
    pub rootfs: rootfs::Rootfs,
    /// The namespaces.
    pub namespaces: namespaces::Namespaces,
    /// Who the command is.
    pub user: user::User,
    /// What is mounted besides the defaults.
    pub mounts: mounts::Mounts,
    /// What only files inside hold.
    pub secrets: secrets::Secrets,
    /// What of message buses is reached.
    pub buses: bus::Buses,
    /// What /dev holds.
    pub devices: devices::Devices,
    /// The network.
    pub network: network::Network,
    /// The capabilities.
    pub capabilities: capabilities::Capabilities,
    /// The system calls.
    pub seccomp: seccomp::Seccomp,
    /// Rights by path.
    pub landlock: landlock::Landlock,
    /// The limits of the group.
    pub limits: limits::Limits,
    /// The limits of each process.
    pub rlimits: rlimits::Rlimits,
    /// The environment.
    pub environment: environment::Environment,
    /// The process.
    pub process: process::Process,
    /// What must be enforced.
    pub enforce: enforce::Enforce,
    /// What is said about a run when it has ended.
    pub report: report::Report,
    /// What `sandbox test` proves.
    pub tests: test::Tests,
    /// What the variables stand for; defaults use them too.
    pub variables: Variables,
}

/// From a text, what it extends and what the command line puts on top to a checked profile and what
/// is odd about it, which is no reason to refuse it; or everything that is wrong.
pub fn load(
    sources: &mut Sources,
    id: SourceId,
    variables: &Variables,
    overlay: &Overlay,
) -> Result<(Profile, Diagnostics), Diagnostics> {
    let mut problems = Diagnostics::default();
    let document = document::assemble(sources, id, variables, overlay, &mut problems);
    let profile = check(document, sources, id, variables, &mut problems);
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok((profile, problems))
    }
}

/// Checks what a profile and all that it extends say together; `id` is the profile's own text.
pub fn check(
    document: node::Table,
    sources: &Sources,
    id: SourceId,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Profile {
    let raw: Raw = table::read(document, Origin::File(id, (0..0).into()), problems);
    let mut namespaces = namespaces::Namespaces::check(raw.namespaces);
    let capabilities = capabilities::Capabilities::check(raw.capabilities, problems);
    let network = network::Network::check(raw.network, problems);
    network.join(&mut namespaces, problems);
    let families = network.families.as_ref();
    let profile = Profile {
        names: names::Names::check(raw.hostname, raw.domainname, problems),
        rootfs: rootfs::Rootfs::check(raw.rootfs, variables, problems),
        user: user::User::check(raw.user, problems),
        mounts: mounts::Mounts::check(raw.mounts, variables, problems),
        secrets: secrets::Secrets::check(raw.secrets, variables, problems),
        buses: bus::Buses::check(raw.bus, problems),
        devices: devices::Devices::check(raw.devices, problems),
        seccomp: seccomp::Seccomp::check(
            raw.seccomp,
            &namespaces.nested_user,
            families,
            network.bounds_ports(),
            capabilities.kept(),
            sources,
            problems,
        ),
        capabilities,
        landlock: landlock::Landlock::check(raw.landlock, problems),
        limits: limits::Limits::check(raw.limits, variables, problems),
        rlimits: rlimits::Rlimits::check(raw.rlimits, &namespaces, problems),
        environment: environment::Environment::check(raw.environment, variables, problems),
        process: process::Process::check(raw.process, variables, problems),
        enforce: enforce::Enforce::check(raw.enforce),
        report: report::Report::check(raw.report, variables, problems),
        tests: test::Tests::check(raw.test, problems),
        network,
        namespaces,
        variables: variables.clone(),
    };
    profile.names.relate(&profile, problems);
    profile.network.relate(&profile, problems);
    profile.namespaces.relate(&profile, problems);
    profile.user.relate(&profile, problems);
    profile.devices.relate(&profile, problems);
    profile.secrets.relate(&profile, problems);
    profile.buses.relate(&profile, problems);
    profile.capabilities.relate(&profile, problems);
    profile.process.relate(&profile, problems);
    profile.landlock.relate(&profile, problems);
    let ruled = profile.devices.ruled().is_some();
    profile.limits.relate_group(ruled, problems);
    profile.enforce.relate(&profile, problems);
    profile.report.relate(&profile, problems);
    profile.mounts.relate(&profile, sources, problems);
    profile.rootfs.relate(&profile, sources, problems);
    profile
}

impl Profile {
    /// What the profile permits, defaults included; a function of the profile alone.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            names,
            rootfs,
            namespaces,
            user,
            mounts,
            secrets,
            buses,
            devices,
            network,
            capabilities,
            seccomp,
            landlock,
            limits,
            rlimits,
            environment,
            process,
            enforce,
            report,
            // What is asserted of a sandbox permits nothing in it.
            tests: _,
            variables,
        } = self;
        let mut grants = Vec::new();
        if namespaces.builds_root() {
            let mut view = View::default();
            mounts.show(self, &mut view);
            devices.show(&mut view);
            secrets.show(&mut view);
            buses.show(&mut view);
            rootfs.show(self, &mut view);
            let project = variables.project.as_deref();
            grants.extend(view.grants(project, variables.home.as_deref()));
            grants.extend(rootfs.grants());
        }
        grants.extend(mounts.grants(self));
        grants.extend(devices.grants());
        grants.extend(namespaces.grants());
        grants.extend(network.grants(self));
        grants.extend(user.grants(self));
        grants.extend(capabilities.grants(self));
        grants.extend(seccomp.grants(self));
        grants.extend(landlock.grants());
        grants.extend(limits.grants(self));
        grants.extend(rlimits.grants());
        grants.extend(environment.grants());
        grants.extend(secrets.grants());
        grants.extend(buses.grants());
        grants.extend(process.grants());
        grants.extend(enforce.grants());
        grants.extend(report.grants());
        names.grants();
        grants
    }
}

/// The plan: a function of the profile, the facts and the command.
pub fn build(profile: &Profile, host: &Host, command: &Command) -> Result<Plan, Diagnostics> {
    draft(profile, host, command).whole()
}

/// The same, with as much of a plan as there is where this machine refuses one.
#[must_use]
pub fn draft(profile: &Profile, host: &Host, command: &Command) -> Drafted {
    let mut draft = Draft::new(host, command);
    if !host.tree.exists("/proc/self/ns".as_ref()) {
        // Every fact about namespaces, ids and cgroups comes from there.
        draft.refuse(
            &Origin::CommandLine,
            "/proc is not mounted here",
            "mount it: mount -t proc proc /proc",
        );
        return draft.finish();
    }
    let read = profile.environment.on_this_machine(&mut draft);
    let read = read.map(|environment| Profile {
        environment,
        ..profile.clone()
    });
    let profile = read.as_ref().unwrap_or(profile);
    let namespaces = profile.namespaces.on_this_machine(profile, &mut draft);
    let rootfs = &profile.rootfs;
    let unpacked = rootfs.on_this_machine(profile, &namespaces, &mut draft);
    let profile = unpacked.as_ref().unwrap_or(profile);
    let user = profile.user.on_this_machine(profile, &mut draft);
    let profile = &Profile {
        namespaces,
        user,
        ..profile.clone()
    };
    let identity = profile.user.identity(profile, &mut draft);
    profile.limits.steps(profile, &mut draft);
    profile.namespaces.steps(&identity, profile, &mut draft);
    profile.namespaces.settings(&identity, profile, &mut draft);
    profile.user.steps(&identity, profile, &mut draft);
    let rights = |look: &Look<'_>| profile.landlock.placed(profile, host, command, look);
    let mut rights = if profile.namespaces.builds_root() {
        profile.mounts.entries(profile, &identity, &mut draft);
        profile.devices.entries(profile, &identity, &mut draft);
        profile.secrets.entries(profile, &identity, &mut draft);
        profile.buses.entries(profile, &mut draft);
        profile.network.entries(profile, &mut draft);
        let (root, origin) = profile.rootfs.root(profile, &identity, &mut draft);
        layout::lay(&mut draft, root, &origin, rights)
    } else {
        rights(&|path| Ok(landlock::place_outside(path, profile, host)))
    };
    if draft.is_preparation() {
        // Of a root that is not unpacked yet, nobody knows what is in it.
        rights = Placed::default();
    }
    profile.names.steps(profile, &mut draft);
    profile.network.steps(&identity, profile, &mut draft);
    profile.process.steps(profile, &identity, &mut draft);
    profile.limits.relay(profile, &mut draft);
    profile.rlimits.steps(&mut draft);
    profile.capabilities.steps(profile, &mut draft);
    draft.keep_flags();
    profile.seccomp.steps(profile, &mut draft);
    profile.environment.steps(profile, &mut draft);
    profile.restrict(rights, &mut draft);
    profile.report.note(&mut draft);
    if let Some(doubt) = host.tree.doubt.sentence() {
        // What is not known may be what the profile is about.
        draft.refuse(
            &Origin::CommandLine,
            doubt,
            "without knowing what is there, no plan can be relied on: see the log of the kernel, and the filter of the container that this runs in",
        );
    }
    draft.finish()
}

/// The place of a table that may be missing.
fn split<T: Default>(table: Option<At<T>>, name: &'static str) -> (T, Origin) {
    match table {
        Some(At { value, origin }) => (value, origin),
        None => (T::default(), Origin::Default(name)),
    }
}

/// `PATH_MAX`, the terminating NUL included.
const LONGEST_PATH: usize = 4096;

/// A path that is absolute and does not lead upwards, without trailing slashes.
fn absolute(path: &At<String>, what: &str, problems: &mut Diagnostics) -> Option<PathBuf> {
    if path.value.len() >= LONGEST_PATH {
        problems.push(
            Diagnostic::new(
                Code::BadPath,
                &path.origin,
                format!("the {what} is longer than the kernel takes: {LONGEST_PATH} bytes or more"),
            )
            .help("shorten it"),
        );
        return None;
    }
    let clean: PathBuf = Path::new(&path.value).components().collect();
    let upwards = clean.components().any(|c| c == Component::ParentDir);
    if clean.is_absolute() && !upwards {
        return Some(clean);
    }
    let why = if upwards {
        "leads upwards (`..`)"
    } else {
        "is not absolute"
    };
    problems.push(
        Diagnostic::new(
            Code::BadPath,
            &path.origin,
            format!("the {what} `{}` {why}", path.value),
        )
        .help(if upwards {
            "write the path without `..`".into()
        } else {
            format!(
                "start it with `/`, for example \"/{}\"",
                path.value.trim_start_matches("./")
            )
        }),
    );
    None
}

/// A path of the host: absolute, or relative to the project.
fn host_path(
    path: &At<String>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<PathBuf> {
    let given = Path::new(&path.value);
    if given.is_absolute() || given.as_os_str().is_empty() {
        return absolute(path, "path", problems);
    }
    // A path that is not UTF-8 cannot be written in a profile, and so is not guessed at here.
    let Some(project) = variables.project.as_deref().and_then(Path::to_str) else {
        problems.push(
            Diagnostic::new(
                Code::BadPath,
                &path.origin,
                format!(
                    "`{}` is relative to the project, and there is none here whose path is UTF-8",
                    path.value
                ),
            )
            .help("run in a project's folder, or write an absolute path"),
        );
        return None;
    };
    let joined = At::new(format!("{project}/{}", path.value), path.origin.clone());
    absolute(&joined, "path", problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    /// The checked profile of a text without mistakes.
    pub(super) fn profile(text: &str) -> Profile {
        let mut sources = Sources::default();
        let id = sources.add(Source::new("test.toml", text));
        let overlay = Overlay::default();
        let loaded = load(&mut sources, id, &Variables::default(), &overlay);
        loaded.unwrap().0
    }
}
