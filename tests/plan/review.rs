//! What profiles permit: the comparison is an order, and nothing that a profile adds is overlooked.

use super::{Machine, machine, profile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sandbox::diag::{Code, Origin, Source, Sources};
use sandbox::profile::overlay::Overlay;
use sandbox::profile::variables::Variables;
use sandbox::review::ceiling::{self, Ceiling};
use sandbox::review::compare::{beyond, compare};
use sandbox::review::names::Names;
use sandbox::review::score::score;
use sandbox::review::tree::{Access, Forest, Hole, Tree};
use sandbox::review::{Area, Extent, Grant};
use sandbox::sections;

/// What a text permits; `None` if it is wrong.
pub(crate) fn grants(text: &str, variables: &Variables) -> Option<Vec<Grant>> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let loaded = sections::load(&mut sources, id, variables, &Overlay::default());
    let (profile, _) = loaded.ok()?;
    Some(profile.grants())
}

fn hold(grants: &[Grant], most: &[Grant], machine: &Machine) -> Vec<Code> {
    let ceiling = Ceiling {
        name: "ceiling.toml".into(),
        origin: Origin::CommandLine,
        grants: most.to_vec(),
    };
    match ceiling::hold(grants, &ceiling, &machine.host()) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.sorted().into_iter().map(|p| p.code).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_profile_does_not_exceed_itself(text in profile(), machine in machine()) {
        let Some(all) = grants(&text, &machine.variables()) else { return Ok(()) };
        prop_assert!(beyond(&all, &all).is_empty(), "{:?}", beyond(&all, &all));
        let refused = hold(&all, &all, &machine);
        prop_assert!(refused.iter().all(|code| *code == Code::UnclearCeiling), "{refused:?}");
    }

    #[test]
    fn both_directions_are_the_same_comparison(one in profile(), other in profile(), machine in machine()) {
        let variables = machine.variables();
        let (Some(one), Some(other)) = (grants(&one, &variables), grants(&other, &variables)) else {
            return Ok(());
        };
        let (there, back) = (compare(&one, &other), compare(&other, &one));
        prop_assert_eq!(there.widened.len(), back.narrowed.len());
        prop_assert_eq!(there.narrowed.len(), back.widened.len());
        prop_assert!(there.widened.is_sorted_by(|a, b| a.danger() >= b.danger()));
    }

    #[test]
    fn what_a_mount_adds_is_seen(text in profile(), machine in machine(), writes in any::<bool>()) {
        let variables = machine.variables();
        let added = format!(
            "{text}\n[[mounts]]\ntype = \"bind\"\ntarget = \"/only\"\nsource = \"/only/here\"\nread_only = {}\n",
            !writes
        );
        let (Some(before), Some(after)) = (grants(&text, &variables), grants(&added, &variables)) else {
            return Ok(());
        };
        // The whole host has the source already; what may be written is more than that all the same.
        if text.contains("host = \"all\"") && !writes {
            return Ok(());
        }
        let widened = compare(&before, &after).widened;
        let keys: Vec<_> = widened.iter().flat_map(|e| &e.grants).map(|g| g.key.as_str()).collect();
        prop_assert_eq!(keys, ["filesystem:/only/here"]);
        prop_assert!(score(&after).exposure >= score(&before).exposure);
        prop_assert!(hold(&after, &before, &machine).contains(&Code::ExceedsCeiling));
    }

    #[test]
    fn what_a_mask_takes_away_is_seen(text in profile(), machine in machine()) {
        let variables = machine.variables();
        let shown = format!(
            "{text}\n[[mounts]]\ntype = \"bind\"\ntarget = \"/only\"\nsource = \"/only/here\"\n"
        );
        let masked = format!("{shown}[[mounts]]\ntype = \"mask\"\ntarget = \"/only/secret\"\n");
        let (Some(shown), Some(masked)) = (grants(&shown, &variables), grants(&masked, &variables)) else {
            return Ok(());
        };
        let change = compare(&shown, &masked);
        prop_assert!(change.widened.is_empty());
        prop_assert_eq!(change.narrowed.len(), 1);
    }

    /// The trees of one list against the paths that they show, one by one.
    #[test]
    fn trees_hold_what_each_path_of_them_shows(ceiling in vec(tree(), 0..4), one in tree()) {
        let shows = |tree: &Tree, path: &str, access: Access| {
            let path = std::path::Path::new(path);
            tree.access.contains(access)
                && path.starts_with(&tree.source)
                && !tree.holes.iter().any(|hole| path.starts_with(&hole.path))
        };
        let mut paths: Vec<String> = vec![String::new()];
        for depth in 0..5 {
            let longer = paths.iter().filter(|p| p.matches('/').count() == depth);
            // `z` stands for all that no tree names.
            let longer: Vec<_> = longer.flat_map(|p| ["a", "b", "z"].map(|n| format!("{p}/{n}"))).collect();
            paths.extend(longer);
        }
        let really = paths.iter().filter(|path| shows(&one, path, one.access)).all(|path| {
            ceiling.iter().any(|over| shows(over, path, one.access))
        });
        let said = ceiling.iter().collect::<Forest<'_>>().covers(&one);
        prop_assert_eq!(said, really, "{:?} in {:?}", one, ceiling);
    }

    /// Patterns against the names that fit them, one by one.
    #[test]
    fn patterns_hold_no_name_too_many(ceiling in names(), one in names()) {
        let mut all = vec![String::new()];
        for length in 0..5 {
            let longer = all.iter().filter(|n| n.len() == length);
            let longer: Vec<_> = longer.flat_map(|n| ["A", "B", "z"].map(|c| format!("{n}{c}"))).collect();
            all.extend(longer);
        }
        let has = |names: &Names, name: &str| {
            fits(&names.pattern, name) && !names.except.iter().any(|except| fits(except, name))
        };
        let escaped = all.iter().find(|name| has(&one, name) && !has(&ceiling, name));
        if ceiling.covers(&one) {
            prop_assert_eq!(escaped, None, "{:?} in {:?}", one, ceiling);
        } else if one.except.is_empty() && ceiling.except.is_empty() {
            // Nothing is refused without a reason either.
            prop_assert!(escaped.is_some(), "{:?} in {:?}", one, ceiling);
        }
    }

    #[test]
    fn the_order_is_transitive(a in small(), b in small(), c in small()) {
        if beyond(&a, &b).is_empty() && beyond(&b, &c).is_empty() {
            prop_assert!(beyond(&a, &c).is_empty(), "{:?}", beyond(&a, &c));
        }
    }

    #[test]
    fn a_ceiling_that_permits_more_refuses_no_more(a in small(), b in small(), more in small()) {
        let wider: Vec<_> = b.iter().chain(&more).cloned().collect();
        prop_assert!(beyond(&a, &wider).len() <= beyond(&a, &b).len());
    }
}

/// Plainly: what a pattern means.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| fits(tail, &rest[at..]))),
    }
}

fn names() -> impl Strategy<Value = Names> {
    ("[AB*]{0,4}", vec("[AB*]{1,3}", 0..3)).prop_map(|(pattern, except)| Names { pattern, except })
}

fn path(depth: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(select(&["a", "b"][..]), depth).prop_map(|names| format!("/{}", names.join("/")))
}

fn tree() -> impl Strategy<Value = Tree> {
    let access = prop_oneof![
        Just(Access::READ),
        Just(Access::READ.with(Access::WRITE)),
        Just(Access::READ.with(Access::EXECUTE)),
    ];
    (path(0..3), access, vec(path(1..3), 0..3)).prop_map(|(source, access, holes)| Tree {
        holes: holes
            .iter()
            .map(|hole| Hole {
                path: std::path::Path::new(&source).join(&hole[1..]),
                if_there: None,
                origin: Origin::CommandLine,
            })
            .collect(),
        source: source.into(),
        access,
        program: None,
        pattern: None,
        of_root: false,
    })
}

/// A few grants out of so few that they often meet.
fn small() -> impl Strategy<Value = Vec<Grant>> {
    let extent = prop_oneof![
        (0u64..3).prop_map(Extent::Rank),
        select(&["x", "y"][..]).prop_map(|path| Extent::Same(path.into())),
        (0u64..4).prop_map(Extent::Bits),
        vec((0u64..4, 0u64..3), 0..3).prop_map(|ranges| {
            Extent::Numbers(
                ranges
                    .into_iter()
                    .map(|(first, n)| (first, first + n))
                    .collect(),
            )
        }),
        vec(tree(), 1..3).prop_map(Extent::Trees),
        names().prop_map(Extent::Names),
    ];
    let grant = (extent, select(&["one", "two"][..])).prop_map(|(extent, key)| {
        Grant::new(Area::Network, key, extent, "do it", &Origin::CommandLine).share(1)
    });
    vec(grant, 0..4)
}

pub(crate) fn ada() -> Variables {
    Variables {
        home: Some("/home/ada".into()),
        working_directory: Some("/work/project".into()),
        project: Some("/work/project".into()),
        temporary: "/tmp".into(),
        uid: 1000,
        gid: 1000,
        ..Variables::default()
    }
}

#[test]
fn the_exposure_reaches_both_ends() {
    let shut = r#"
[rootfs]
empty = true
project = "hide"
[network]
mode = "none"
[seccomp]
preset = "strict"
[limits]
pids = 10
memory = "10M"
cpu = 1
cpuset = "0"
wall_time = 10
[rlimits]
as = "256M"
cpu = 1
data = "256M"
fsize = 1
locks = 1
memlock = 1
msgqueue = 1
nice = 1
nofile = 256
nproc = 1
rss = 1
rtprio = 1
rttime = 1
sigpending = 1
stack = "8M"
[process]
write_execute = false
"#;
    let open = r#"
[namespaces]
user = "shared"
mount = "shared"
pid = "shared"
ipc = "shared"
uts = "shared"
net = "shared"
cgroup = "shared"
time = "shared"
[user]
uid = 0
[capabilities]
keep = ["all"]
[seccomp]
preset = "off"
[rlimits]
core = "infinity"
[environment]
inherit = ["*", "*TOKEN*"]
[process]
umask = "000"
session = "inherit"
nice = -20
oom_score_adj = -1000
[enforce]
limits = "off"
namespaces = "prefer"
idmap = "off"
seccomp = "off"
"#;
    let exposure = |text: &str| score(&grants(text, &ada()).unwrap()).exposure;
    assert_eq!((exposure(shut).0, exposure(shut).word()), (0, "perfect"));
    assert_eq!(
        (exposure(open).0, exposure(open).word()),
        (100, "dangerous")
    );
    let usual = exposure("");
    assert!(usual > exposure(shut) && usual.0 < 20, "{usual}");
}

/// A link in a project leads nowhere that the ceiling does not permit, and hides nothing.
#[test]
fn links_of_the_machine_are_followed() {
    use sandbox::host::Host;
    use sandbox::host::caller::{Caller, SubordinateIds};
    use sandbox::host::tree::{Kind, Tree as Files};
    let nodes = [
        ("/", Kind::Directory),
        ("/etc", Kind::Directory),
        ("/etc/shadow", Kind::File),
        ("/work/project", Kind::Directory),
        ("/work/project/link", Kind::Link("/secret".into())),
        ("/secret", Kind::Directory),
        ("/lib", Kind::Link("usr/lib".into())),
        ("/usr/lib", Kind::Directory),
    ];
    let nodes = nodes.map(|(path, kind)| (path.into(), kind));
    let host = Host::fixed(
        Caller::default(),
        Files::fixed(nodes),
        SubordinateIds::default(),
    );
    let held = |profile: &str, most: &str| -> Vec<Code> {
        let ceiling = Ceiling {
            name: "ceiling.toml".into(),
            origin: Origin::CommandLine,
            grants: grants(most, &ada()).unwrap(),
        };
        match ceiling::hold(&grants(profile, &ada()).unwrap(), &ceiling, &host) {
            Ok(()) => Vec::new(),
            Err(problems) => problems.sorted().into_iter().map(|p| p.code).collect(),
        }
    };
    let bind = |source: &str| {
        format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nsource = \"{source}\"\n")
    };
    assert_eq!(held(&bind("src"), ""), []);
    assert_eq!(held(&bind("link"), ""), [Code::ExceedsCeiling]);
    assert_eq!(held(&bind("link"), &bind("/secret")), []);
    let mask = |target: &str| format!("[[mounts]]\ntype = \"mask\"\ntarget = \"{target}\"\n");
    assert_eq!(held("", &mask("/etc/shadow")), [Code::ExceedsCeiling]);
    assert_eq!(held(&mask("/etc/shadow"), &mask("/etc/shadow")), []);
    let linked = bind("/work/project") + &mask("/a/link/x");
    assert_eq!(held("", &linked), [Code::UnclearCeiling]);
    // Inside, /lib is a link too: what a mask of /lib/x hides is /usr/lib/x.
    assert_eq!(held("", &mask("/lib/x")), [Code::UnclearCeiling]);
    assert_eq!(
        held(&mask("/lib/x"), &mask("/usr/lib/x")),
        [Code::ExceedsCeiling]
    );
    let hidden = bind("/work/project") + &mask("/a/link");
    let shown = bind("/work/project") + &mask("/a/link/x");
    assert!(held(&shown, &hidden).contains(&Code::UnclearCeiling));
}

#[test]
fn subsets_of_a_profile_stay_below_it() {
    const LINES: &[&str] = &[
        "[network]\nmode = \"host\"\n",
        "[capabilities]\nkeep = [\"net_raw\", \"chown\"]\n",
        "[seccomp]\nallow = [\"bpf\", \"unshare\"]\n",
        "[environment]\ninherit = [\"*\"]\n",
        "[devices]\nnodes = [\"kvm\"]\n",
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/srv\"\n",
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/opt/x\"\nread_only = false\n",
        "[process]\nsession = \"inherit\"\n",
    ];
    let all = grants(&LINES.concat(), &ada()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&subsequence(LINES, 0..LINES.len()), |some| {
            let some = grants(&some.concat(), &ada()).unwrap();
            prop_assert!(beyond(&some, &all).is_empty(), "{:?}", beyond(&some, &all));
            prop_assert!(!beyond(&all, &some).is_empty());
            prop_assert!(score(&some).exposure <= score(&all).exposure);
            Ok(())
        })
        .unwrap();
}

/// A profile is hostile input: the most that fits into one is compared in no time to speak of.
#[test]
fn large_profiles_are_compared() {
    let lines = |line: &dyn Fn(usize) -> String| (0..8_000).map(line).collect::<String>();
    let list = |word: &dyn Fn(usize) -> String| {
        let words: Vec<_> = (0..40_000).map(|n| format!("{:?}", word(n))).collect();
        words.join(", ")
    };
    let masks = lines(&|n| format!("[[mounts]]\ntype = \"mask\"\ntarget = \"/srv/{n}/x\"\n"));
    let binds = lines(&|n| {
        format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/srv/{n}\"\nsource = \"/data/{n}\"\n")
    });
    let bind = "[[mounts]]\ntype = \"bind\"\ntarget = \"/srv\"\nsource = \"/data\"\n";
    let texts = [
        format!("{bind}{masks}"),
        format!("{bind}{binds}"),
        format!(
            "[environment]\ninherit = [{}]\n",
            list(&|n| format!("A{n}*"))
        ),
        format!(
            "[environment]\ninherit = [{}]\n",
            list(&|n| format!("A{n}"))
        ),
        format!("[environment]\nunset = [{}]\n", list(&|n| format!("*{n}*"))),
        format!(
            "[user]\ngroups = [{}]\n[namespaces]\nuser = \"shared\"\n",
            list(&|n| n.to_string()).replace('"', "")
        ),
    ];
    let all: Vec<_> = texts
        .iter()
        .map(|text| grants(text, &ada()).unwrap())
        .collect();
    let again: Vec<_> = texts
        .iter()
        .map(|text| grants(text, &ada()).unwrap())
        .collect();
    for (index, one) in all.iter().enumerate() {
        assert!(beyond(one, &again[index]).is_empty(), "{index}");
        for other in &again {
            let _ = (compare(one, other), score(one));
        }
    }
    assert!(!beyond(&all[2], &again[3]).is_empty());
}
