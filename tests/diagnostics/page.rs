//! `docs/diagnostics.md`: a section a code, whose samples do what they say.

use crate::{Folder, codes};
use sandbox::diag::Code;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/diagnostics.md");

/// The section of a code.
pub(crate) struct Section {
    pub(crate) code: String,
    title: String,
    pub(crate) wrong: Vec<Sample>,
    right: Vec<Sample>,
}

/// A profile in a section.
pub(crate) struct Sample {
    host: bool,
    text: String,
}

/// The sections, in any order. `Wrong` or `Right` at the start of a line is about the next block of
/// TOML; `--host` in that line says how it is checked.
pub(crate) fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut known = false;
    let mut about = None;
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            known = heading.starts_with("SBX");
            if known {
                let (code, title) = heading.split_once(": ").expect(heading);
                sections.push(Section {
                    code: code.into(),
                    title: title.into(),
                    wrong: Vec::new(),
                    right: Vec::new(),
                });
            }
        } else if line.starts_with("Wrong") || line.starts_with("Right") {
            about = Some(line);
        } else if line.starts_with("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let text: String = block.flat_map(|line| [line, "\n"]).collect();
            let Some(section) = sections.last_mut().filter(|_| known) else {
                continue;
            };
            // What checking does not bring about is shown under other words, or as it is typed.
            let Some(about) = about.take() else {
                continue;
            };
            assert_eq!(line, "```toml", "{}", section.code);
            let samples = if about.starts_with("Wrong") {
                &mut section.wrong
            } else {
                &mut section.right
            };
            samples.push(Sample {
                host: about.contains("--host"),
                text,
            });
        }
    }
    sections
}

/// The codes that checking a sample gives.
fn checked(sample: &Sample) -> BTreeSet<String> {
    let folder = Folder::with(&sample.text);
    let mut arguments = vec!["check", "--format", "json", "sandbox.toml"];
    arguments.extend(sample.host.then_some("--host"));
    codes(&mut folder.program(&arguments)).into_iter().collect()
}

#[test]
fn every_code_has_one_section_under_its_title() {
    let found: Vec<_> = sections()
        .into_iter()
        .map(|section| (section.code, section.title))
        .collect();
    let mut missing: BTreeSet<_> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.title().to_owned()))
        .collect();
    for section in &found {
        assert!(
            missing.remove(section),
            "no such code, or twice: {section:?}"
        );
    }
    assert!(
        missing.is_empty(),
        "no section, or another title: {missing:?}"
    );
}

#[test]
fn a_wrong_sample_gives_its_code_and_no_other() {
    for section in sections() {
        for sample in &section.wrong {
            let expected = BTreeSet::from([section.code.clone()]);
            assert_eq!(checked(sample), expected, "{}", sample.text);
        }
    }
}

#[test]
fn a_right_sample_gives_nothing() {
    for section in sections() {
        assert_eq!(section.wrong.is_empty(), section.right.is_empty());
        for sample in &section.right {
            let found = checked(sample);
            assert!(
                found.is_empty(),
                "{}: {found:?}\n{}",
                section.code,
                sample.text
            );
        }
    }
}

/// Which codes may do without samples: what no single profile brings about.
#[test]
fn only_what_is_about_the_surroundings_has_no_samples() {
    let without: Vec<_> = sections()
        .into_iter()
        .filter(|section| section.wrong.is_empty())
        .map(|section| section.code)
        .collect();
    assert_eq!(
        without,
        [
            "SBX0001", "SBX0060", "SBX0083", "SBX0084", "SBX0085", "SBX0130", "SBX0100", "SBX0102",
            "SBX0103", "SBX0104", "SBX0105", "SBX0106", "SBX0107", "SBX0110", "SBX0111", "SBX0112",
            "SBX0113", "SBX0180", "SBX0181", "SBX0182", "SBX0183"
        ]
    );
}
