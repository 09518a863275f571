//! What other systems' configurations say, said in profiles: none of them may be refused, and the
//! page that sums them up has to agree with them.

use crate::Folder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// `CARGO_MANIFEST_DIR` is asked for at run time, since the tests may run on a copy of the sources.
fn folder() -> PathBuf {
    let sources = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    sources.join("examples/translated")
}

/// The profiles, by name, with their texts.
fn profiles() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The features that a profile wanted and did not find.
fn missing(profile: &str) -> BTreeSet<&str> {
    let lines = profile.lines();
    lines
        .filter_map(|line| line.strip_prefix("# - missing, "))
        .map(|item| item.split_once(':').expect("a feature and a colon").0)
        .collect()
}

#[test]
fn every_translated_profile_is_accepted() {
    // Another ABI is judged on x86_64 alone, and elsewhere a mistake.
    let here = |text: &str| cfg!(target_arch = "x86_64") || !text.contains("foreign = \"same\"");
    let profiles = profiles().into_iter().filter(|(_, text)| here(text));
    let paths: Vec<_> = profiles
        .map(|(name, _)| folder().join(name + ".toml"))
        .collect();
    assert!(paths.len() >= 25, "{paths:?}");
    let here = Folder::with("version = 1\n");
    let output = here.program(&["check"]).args(paths).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    // What the originals permit is worth a warning here and there, but nothing is wrong.
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("error["), "{said}");
}

#[test]
fn every_translated_profile_says_what_it_could_not_say() {
    for (name, text) in profiles() {
        let head = text.split("version = 1").next().unwrap();
        assert!(head.contains("\n# Not said:\n# - "), "{name}");
        let kinds = ["missing, ", "needless: ", "elsewhere: "];
        for item in head.lines().filter_map(|line| line.strip_prefix("# - ")) {
            assert!(kinds.iter().any(|k| item.starts_with(k)), "{name}: {item}");
        }
    }
}

/// Each profile has its row, and each missing feature its count, in the order of wanting.
#[test]
fn the_page_of_the_translated_profiles_agrees_with_them() {
    let page = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    let profiles = profiles();
    for (name, text) in &profiles {
        let row = format!("| [{name}]({name}.toml) |");
        let row = page.lines().find(|line| line.starts_with(&row));
        let cell = row.unwrap_or_else(|| panic!("no row for {name}"));
        let cell = cell.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let listed: BTreeSet<_> = cell.split(", ").filter(|f| !f.is_empty()).collect();
        assert_eq!(listed, missing(text), "{name}");
        for feature in missing(text) {
            *wanted.entry(feature).or_default() += 1;
        }
    }
    let rows = page.lines().filter(|line| line.starts_with("| [")).count();
    assert_eq!(rows, profiles.len());
    let mut counted = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("### ")) {
        let (feature, count) = line.split_once(" (").unwrap_or((line, ""));
        counted.push((feature, count.trim_end_matches(')').parse().unwrap_or(0)));
    }
    assert!(counted.is_sorted_by(|a, b| a.1 >= b.1), "{counted:?}");
    let counted: BTreeMap<&str, usize> = counted.into_iter().collect();
    assert_eq!(counted, wanted);
}
