//! The published schema and the reference of the language are those of this program, and what the
//! reference shows works.

use crate::Folder;
use std::path::PathBuf;

/// A file of the sources, as it is where the tests run.
fn source(name: &str) -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
        .join(name)
}

/// Compares a file with what the program prints; with `SANDBOX_WRITE=1` the file is written anew.
#[track_caller]
fn is_fresh(file: &str, arguments: &[&str]) {
    let folder = Folder::with("");
    let output = folder.program(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = source(file);
    if std::env::var_os("SANDBOX_WRITE").is_some() {
        return std::fs::write(file, output.stdout).unwrap();
    }
    assert!(
        std::fs::read(&file).is_ok_and(|text| text == output.stdout),
        "{} is not what `sandbox {}` prints: run this test with SANDBOX_WRITE=1",
        file.display(),
        arguments.join(" ")
    );
}

#[test]
fn the_published_schema_is_that_of_the_program() {
    is_fresh("schema/profile.schema.json", &["schema"]);
}

#[test]
fn the_reference_is_that_of_the_program() {
    is_fresh("docs/profile.md", &["schema", "--format", "markdown"]);
}

#[test]
fn every_sample_of_the_reference_is_accepted() {
    let text = std::fs::read_to_string(source("docs/profile.md")).unwrap();
    let samples: Vec<_> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(samples.len() >= 15, "{}", samples.len());
    for sample in samples {
        let folder = Folder::with(sample);
        let output = folder
            .program(&["check", "sandbox.toml"])
            .env("HOME", "/home/ada")
            .output()
            .unwrap();
        assert!(output.status.success(), "{sample}\n{output:?}");
        // It may be worth a warning; but nothing is wrong with it.
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("error["), "{sample}\n{said}");
    }
}

/// Every table has a sample, and every key is described.
#[test]
fn nothing_of_the_language_is_without_words() {
    let schema = std::fs::read_to_string(source("schema/profile.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let described = |value: &serde_json::Value| {
        value["description"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    };
    let text = std::fs::read_to_string(source("docs/profile.md")).unwrap();
    for (key, value) in schema["properties"].as_object().unwrap() {
        assert!(described(value), "{key}");
        let table = value.get("properties").or(value["items"].get("properties"));
        if let Some(keys) = table {
            let heading = format!("[{key}]");
            let (_, section) = text
                .split_once(&format!("## `{heading}`"))
                .unwrap_or_else(|| {
                    text.split_once(&format!("## `[{heading}]`"))
                        .unwrap_or_else(|| panic!("{key}"))
                });
            let section = section.split("\n## ").next().unwrap();
            assert!(section.contains("```toml"), "no sample of {key}");
            for (name, value) in keys.as_object().unwrap() {
                assert!(described(value), "{key}.{name}");
                assert!(section.contains(&format!("| `{name}` |")), "{key}.{name}");
            }
        }
    }
}

/// Editors find the schema from each shipped profile.
#[test]
fn every_shipped_profile_names_the_schema() {
    for entry in std::fs::read_dir(source("profiles")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let named = first
            .strip_prefix("#:schema ")
            .unwrap_or_else(|| panic!("{path:?}"));
        assert!(path.parent().unwrap().join(named).is_file(), "{path:?}");
        // What more it takes for a job that nobody watches fits on a page.
        let most = if path.ends_with("ci.toml") { 60 } else { 25 };
        assert!(text.lines().count() < most, "{path:?}");
    }
}
