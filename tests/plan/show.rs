//! What `sandbox show` prints is a profile that says the same.

use crate::listed;
use crate::machines::{Machine, machine};
use crate::profiles::profile;
use proptest::prelude::*;
use proptest::sample::select;
use sandbox::diag::{Diagnostics, Origin, Source, Sources};
use sandbox::plan::draft::Command;
use sandbox::plan::{Op, Phase};
use sandbox::profile::document;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::shape;
use sandbox::profile::show::{self, Detail};
use sandbox::profile::table::Table as _;
use sandbox::sections::{self, Raw};

/// Options as a command line has them.
const OPTIONS: &[(&str, &str)] = &[
    ("hostname", "7"),
    ("limits.wall_time", "1h30m"),
    ("process.umask", "0o27"),
    ("process.cwd", "/a \\ \"quoted\" $${literal}"),
    ("rootfs.project", "read"),
    ("network.mode", "none"),
    ("rlimits.nofile", "infinity"),
    ("rlimits.stack", "{ soft = 1024, hard = 4096 }"),
    ("user.uid_map", "[{ inside = 3, outside = 1000 }]"),
    ("namespaces.time", "shared"),
];

fn overlay(options: &[(&str, &str)]) -> Overlay {
    let known = shape::scalars(const { &Raw::SHAPE });
    let mut overlay = Overlay::default();
    for (path, text) in options {
        let (_, field) = known.iter().find(|(known, _)| known == path).unwrap();
        overlay.value(path, field, text);
    }
    overlay
}

/// What a text and options show, and the operations of their plan.
fn shown(
    text: &str,
    options: &[(&str, &str)],
    detail: Detail,
    machine: &Machine,
) -> Option<(String, Vec<(Phase, Op)>)> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let mut problems = Diagnostics::default();
    let variables = machine.variables();
    let overlay = overlay(options);
    let document = document::assemble(&mut sources, id, &variables, &overlay, &mut problems);
    let shown = show::toml(&document, const { &Raw::SHAPE }, &sources, detail);
    let profile = sections::check(document, &sources, id, &variables, &mut problems);
    if problems.has_errors() {
        return None;
    }
    let given = || Command::new([c"true".into()], &Origin::CommandLine);
    let command = profile.process.command().unwrap_or_else(given);
    let plan = sections::build(&profile, &machine.host(), &command).ok()?;
    let steps = plan.steps.into_iter().map(|step| (step.phase, step.op));
    Some((shown, steps.collect()))
}

fn parent() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "default", "build", "cargo", "python", "node", "strict", "ci",
    ];
    proptest::option::of(select(NAMES)).prop_map(|name| match name {
        Some(name) => format!("extends = [\"{name}\"]\n"),
        None => String::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shown_profile_has_the_plan_of_the_original_and_shows_itself(
        parent in parent(),
        text in profile(),
        options in proptest::sample::subsequence(OPTIONS, 0..3),
        machine in machine(),
    ) {
        let text = parent + &text;
        if let Some((plain, steps)) = shown(&text, &options, Detail::Plain, &machine) {
            let again = shown(&plain, &[], Detail::Plain, &machine);
            prop_assert_eq!(again, Some((plain, steps.clone())));
            let (commented, _) = shown(&text, &options, Detail::Origins, &machine).unwrap();
            let loaded = shown(&commented, &[], Detail::Origins, &machine);
            prop_assert_eq!(loaded.map(|(_, steps)| steps), Some(steps));
        }
    }
}

/// The property above would hold if nothing could be shown.
#[test]
fn enough_of_the_generated_profiles_are_shown() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = 0;
    for _ in 0..600 {
        let text = profile().new_tree(&mut runner).unwrap().current();
        let machine = machine().new_tree(&mut runner).unwrap().current();
        found += usize::from(shown(&text, &[], Detail::Plain, &machine).is_some());
    }
    assert!(found >= 50, "{found} of 600");
}

/// What no generated machine has a plan for: these take files of the real one.
const ELSEWHERE: &[&str] = &["rootfs.programs", "seccomp.file"];

/// Every key is in a table of the lists that is shown on some machine, and shows itself.
#[test]
fn every_key_is_shown_and_shows_itself() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let machines: Vec<_> = (0..16)
        .map(|_| machine().new_tree(&mut runner).unwrap().current())
        .collect();
    let mut missing = listed::all_keys();
    for text in listed::samples() {
        for machine in &machines {
            if let Some((plain, steps)) = shown(&text, &[], Detail::Plain, machine) {
                let again = shown(&plain, &[], Detail::Plain, machine);
                assert_eq!(again, Some((plain, steps)), "{text}");
                for key in listed::keys_of("", &text) {
                    missing.remove(&key);
                }
                break;
            }
        }
    }
    let elsewhere = |key: &String| ELSEWHERE.iter().any(|start| key.starts_with(start));
    // What is allowed is not refused with anything.
    missing.retain(|key| !elsewhere(key) && key != "seccomp.allow.with");
    assert!(
        missing.is_empty(),
        "in no profile that has a plan: {missing:#?}"
    );
}
