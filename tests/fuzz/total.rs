//! What the fuzzer feeds, and what the kept corpus is run through with every test.

use sandbox::diag::{Diagnostics, Origin, Source, Sources};
use sandbox::host::Host;
use sandbox::host::caller::{Caller, SubordinateIds};
use sandbox::host::tree::{Kind, Tree};
use sandbox::plan::draft::Command;
use sandbox::plan::explain;
use sandbox::plan::op::IdRange;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::show::{self, Detail};
use sandbox::profile::table::Table as _;
use sandbox::profile::variables::Variables;
use sandbox::profile::{document, merge, shape};
use sandbox::sections::{self, Raw};
use std::path::PathBuf;
use std::sync::LazyLock;

/// What separates a profile, one that it lies on, and options in an input.
const SEPARATOR: &str = "\n%%\n";

/// Reads, merges, checks, shows and plans an input: a profile, optionally one below it, and
/// options, a line each.
pub(crate) fn total(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut parts = text.splitn(3, SEPARATOR);
    let profile = parts.next().unwrap_or_default();
    let below = parts.next();
    let options = overlay(parts.next().unwrap_or_default());

    let mut sources = Sources::default();
    let id = sources.add(Source::new("profile.toml", profile));
    let variables = variables();
    let mut problems = Diagnostics::default();
    let mut document = document::assemble(&mut sources, id, &variables, &options, &mut problems);
    if let Some(below) = below {
        let id = sources.add(Source::new("below.toml", below));
        // Its parameters are settled, too, before anything is shown.
        let none = Overlay::default();
        let mut merged = document::assemble(&mut sources, id, &variables, &none, &mut problems);
        merge::merge(&mut merged, document);
        document = merged;
    }
    let shape = const { &Raw::SHAPE };
    let _ = show::json(&document, shape, &sources);
    let shown = show::toml(&document, shape, &sources, Detail::Plain);
    let checked = sections::check(document, &sources, id, &variables, &mut problems);
    let refused = problems.has_errors();
    // Two are enough to see whether a place can be shown; drawing takes most of the time.
    for problem in problems.sorted().iter().take(2) {
        let _ = problem.render(&sources, false);
    }
    if refused {
        return;
    }
    let own = checked.process.command();
    let command = own.unwrap_or_else(|| Command::new([c"true".into()], &Origin::CommandLine));
    match sections::build(&checked, &host(), &command) {
        Ok(plan) => assert!(!explain::text(&plan, &sources, true).is_empty()),
        Err(problems) => assert!(!problems.render(&sources, false).is_empty()),
    }
    // What is shown of a profile without mistakes says the same.
    let mut sources = Sources::default();
    let id = sources.add(Source::new("shown.toml", shown.as_str()));
    let again = document::assemble(
        &mut sources,
        id,
        &variables,
        &Overlay::default(),
        &mut Diagnostics::default(),
    );
    assert_eq!(shown, show::toml(&again, shape, &sources, Detail::Plain));
}

/// Lines such as `limits.memory=2G`, or `set jobs=4`.
fn overlay(text: &str) -> Overlay {
    // The same for every input.
    static KNOWN: LazyLock<Vec<(String, &shape::Field)>> =
        LazyLock::new(|| shape::scalars(const { &Raw::SHAPE }));
    let mut overlay = Overlay::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if let Some(name) = name.strip_prefix("set ") {
            overlay.set(name, value);
        } else if let Some((path, field)) = KNOWN.iter().find(|(path, _)| path == name) {
            overlay.value(path, field, value);
        }
    }
    overlay
}

fn variables() -> Variables {
    let environment = [("PATH", "/usr/bin:/bin"), ("LANG", "C"), ("CI", "true")];
    Variables {
        home: Some("/home/ada".into()),
        working_directory: Some("/work/project/src".into()),
        project: Some("/work/project".into()),
        temporary: "/tmp".into(),
        uid: 1000,
        gid: 1000,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

fn host() -> Host {
    let all = vec![IdRange {
        inside: 0,
        outside: 0,
        count: u32::MAX,
    }];
    let caller = Caller {
        uid: 1000,
        gid: 1000,
        capabilities: 0,
        pid: 4711,
        uid_map: all.clone(),
        gid_map: all,
        setgroups_denied: false,
    };
    let subordinate = SubordinateIds {
        users: vec![(100_000, 65_536)],
        groups: vec![(100_000, 65_536)],
        newuidmap: Some("/usr/bin/newuidmap".into()),
        newgidmap: Some("/usr/bin/newgidmap".into()),
    };
    let directories = [
        "/dev",
        "/etc",
        "/home/ada",
        "/opt",
        "/proc",
        "/proc/self/ns",
        "/root",
        "/srv/rootfs/bin",
        "/sys",
        "/tmp",
        "/usr/bin",
        "/work/project/src",
    ];
    let files = [
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/tty",
        "/dev/urandom",
        "/dev/zero",
        "/dev/kvm",
        "/etc/passwd",
        "/usr/bin/true",
        "/work/project/file",
    ];
    let links = [
        ("/bin", "usr/bin"),
        ("/work/project/link", "/etc"),
        ("/loop", "loop"),
    ];
    let namespaces = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time"];
    let mut nodes: Vec<(PathBuf, Kind)> = Vec::new();
    nodes.extend(directories.map(|path| (path.into(), Kind::Directory)));
    nodes.extend(files.map(|path| (path.into(), Kind::File)));
    nodes.extend(links.map(|(path, to)| (path.into(), Kind::Link(to.into()))));
    nodes.extend(namespaces.map(|name| (format!("/proc/self/ns/{name}").into(), Kind::File)));
    Host::fixed(caller, Tree::fixed(nodes), subordinate)
}
