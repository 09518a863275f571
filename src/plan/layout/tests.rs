//! Layouts over small, made-up hosts.

use super::*;
use crate::diag::Diagnostics;
use crate::host::Host;
use crate::host::caller::{Caller, SubordinateIds};
use crate::host::tree::Kind;
use crate::host::tree::Tree;
use crate::plan::draft::Command;
use crate::plan::{Phase, Plan};

const READ_ONLY: Attributes = Attributes::READ_ONLY;

fn bind(source: &str, target: &str, attributes: Attributes) -> Entry {
    let what = What::bind(source.into(), None);
    entry(target, what, attributes)
}

fn entry(target: &str, what: What, attributes: Attributes) -> Entry {
    Entry {
        target: target.into(),
        what,
        attributes,
        optional: false,
        origin: Origin::CommandLine,
    }
}

/// Lays entries over a host that has these directories (`/`), links (`->`) and files.
fn plan(host: &[&str], entries: Vec<Entry>) -> Result<Plan, Diagnostics> {
    let nodes = host.iter().map(|line| match line.split_once(" -> ") {
        Some((path, to)) => (path.into(), Kind::Link(to.into())),
        None => match line.strip_suffix('/') {
            Some(path) => (path.into(), Kind::Directory),
            None => (PathBuf::from(line), Kind::File),
        },
    });
    let nodes = nodes.chain([(PathBuf::from("/"), Kind::Directory)]);
    let host = Host::fixed(
        Caller::default(),
        Tree::fixed(nodes),
        SubordinateIds::default(),
    );
    let command = Command::default();
    let mut draft = Draft::new(&host, &command);
    draft.entries = entries;
    let root = Root::Scaffold {
        of: Some("/".into()),
        names: Names::Only(&["etc", "usr", "bin"]),
        idmap: None,
        receives: false,
    };
    lay(&mut draft, root, &Origin::Default("rootfs"), |_| ());
    draft.finish().whole()
}

fn words(plan: &Plan, phase: Phase) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.phase == phase);
    steps.map(|step| step.op.to_string()).collect()
}

const HOST: &[&str] = &["/usr/", "/bin -> usr/bin", "/etc/", "/etc/passwd", "/home/"];

#[test]
fn only_what_is_public_is_bound() {
    let plan = plan(HOST, Vec::new()).unwrap();
    let mounts = words(&plan, Phase::Mounts);
    assert_eq!(
        mounts,
        [
            "make the link /bin -> usr/bin",
            "make the directory /etc",
            "bind /etc on /etc (read-only, nosuid, nodev)",
            "make the directory /usr",
            "bind /usr on /usr (read-only, nosuid, nodev)",
        ]
    );
}

#[test]
fn a_read_only_directory_that_lacks_a_mount_point_is_rebuilt() {
    let entries = vec![
        entry(
            "/etc/app/conf",
            What::File(b"x".to_vec(), 0o644.into()),
            READ_ONLY,
        ),
        entry("/etc/passwd", What::Mask, Attributes::NONE),
    ];
    let plan = plan(HOST, entries).unwrap();
    let mounts = words(&plan, Phase::Mounts).join("\n");
    assert!(!mounts.contains("bind /etc on"), "{mounts}");
    assert!(mounts.contains("make the directory /etc/app\n"), "{mounts}");
    assert!(
        mounts.contains("make the empty file /etc/passwd\n"),
        "{mounts}"
    );
    assert!(words(&plan, Phase::MountPoints).is_empty());
}

/// What the root shows by itself, and what a rebuilt directory holds, is not in the host's tree at
/// this path but placed: it is hidden all the same.
#[test]
fn a_mask_hides_what_the_root_shows_and_what_a_rebuilt_directory_holds() {
    let host = &["/usr/", "/etc/", "/etc/passwd", "/etc/ssl/"];
    let entries = vec![
        entry(
            "/etc/app",
            What::File(b"x".to_vec(), 0o644.into()),
            READ_ONLY,
        ),
        entry("/etc/passwd", What::Mask, Attributes::NONE),
        entry("/etc/ssl", What::Mask, Attributes::NONE),
        entry("/usr", What::Mask, Attributes::NONE),
    ];
    let plan = plan(host, entries).unwrap();
    assert_eq!(plan.notes.len(), 0, "{:?}", plan.notes);
    let mounts = words(&plan, Phase::Mounts).join("\n");
    for hidden in [
        "mount tmpfs on /etc/ssl ",
        "mount tmpfs on /usr ",
        "bind nothing on /etc/passwd",
    ] {
        assert!(mounts.contains(hidden), "{mounts}");
    }
    for shown in ["bind /etc/ssl on", "bind /usr on", "bind /etc/passwd on"] {
        assert!(!mounts.contains(shown), "{mounts}");
    }
}

#[test]
fn a_link_of_the_defaults_yields_to_one_of_a_writable_folder_of_the_host() {
    let host = &["/etc/", "/dev/", "/dev/fd -> /proc/self/fd"];
    let link = |origin| Entry {
        origin,
        ..entry("/dev/fd", What::Symlink("/proc/self/fd".into()), READ_ONLY)
    };
    let with = |origin| {
        plan(
            host,
            vec![bind("/dev", "/dev", Attributes::NONE), link(origin)],
        )
    };
    assert!(with(Origin::Default("devices")).is_ok());
    assert!(with(Origin::CommandLine).is_err());
}

#[test]
fn in_a_writable_tree_the_supervisor_makes_the_mount_point() {
    let entries = vec![
        bind("/home", "/home", Attributes::NONE),
        entry("/home/cache", tmpfs("1M", "755", false), Attributes::NONE),
    ];
    let plan = plan(HOST, entries).unwrap();
    assert_eq!(
        words(&plan, Phase::MountPoints),
        ["provide the mount point /home/cache (directory): if missing, until the end"]
    );
}

#[test]
fn links_of_the_root_lead_where_they_lead_inside() {
    let entries = vec![entry(
        "/bin/tool",
        What::File(Vec::new(), 0o755.into()),
        READ_ONLY,
    )];
    let plan = plan(&[HOST, &["/usr/bin/"]].concat(), entries).unwrap();
    let mounts = words(&plan, Phase::Mounts).join("\n");
    assert!(mounts.contains("on /usr/bin/tool"), "{mounts}");
}

#[test]
fn a_link_that_the_command_could_have_planted_is_refused() {
    let entries = vec![
        bind("/home", "/home", Attributes::NONE),
        entry("/home/x/y", tmpfs("1M", "755", false), Attributes::NONE),
    ];
    let problems = plan(&[HOST, &["/home/x -> /etc"]].concat(), entries).unwrap_err();
    let message = &problems.sorted()[0].message;
    assert!(message.contains("/home/x"), "{message}");
    assert!(message.contains("planted"), "{message}");
}

#[test]
fn below_a_writable_grant_sources_are_opened_without_links() {
    let entries = vec![
        bind("/home", "/home", Attributes::NONE),
        bind("/home/data", "/data", READ_ONLY),
    ];
    let plan = plan(&[HOST, &["/home/data/"]].concat(), entries).unwrap();
    let opened = words(&plan, Phase::Sources).join("\n");
    assert!(
        opened.contains("open /home/data (no links below /home)"),
        "{opened}"
    );
}

#[test]
fn two_names_of_one_target_are_a_duplicate() {
    let entries = vec![
        entry("/bin/tool", What::File(Vec::new(), 0o755.into()), READ_ONLY),
        entry(
            "/usr/bin/tool",
            What::File(Vec::new(), 0o755.into()),
            READ_ONLY,
        ),
    ];
    let problems = plan(&[HOST, &["/usr/bin/"]].concat(), entries).unwrap_err();
    assert_eq!(problems.sorted()[0].code, Code::DuplicateTarget);
}
