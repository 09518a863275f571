//! The page of diagnostics: its samples are run.

use crate::{Folder, said, warned};
use sandbox::diag::{Code, Severity};

const PAGE: &str = include_str!("../../docs/diagnostics.md");

/// The text between the fences that follow a word.
fn sample<'p>(section: &'p str, word: &str) -> &'p str {
    let (_, after) = section
        .split_once(&format!("{word}:\n\n```toml\n"))
        .unwrap();
    after.split_once("\n```").unwrap().0
}

#[test]
fn every_wrong_sample_has_its_code_and_every_right_one_is_silent() {
    for section in PAGE.split("\n## ").skip(1) {
        let (code, _) = section.split_once(':').unwrap();
        let severity = Code::ALL.iter().find(|known| known.as_str() == code);
        let exit = match severity.unwrap().severity() {
            Severity::Error => 125,
            Severity::Warning | Severity::Note => 0,
        };
        let folder = Folder::with(sample(section, "Wrong"));
        let wrong = said(
            &folder,
            &mut folder.program(&["check", "sandbox.toml"]),
            exit,
        );
        let codes: Vec<_> = wrong.match_indices("[SBX").collect();
        assert!(!codes.is_empty(), "{code}");
        for (at, _) in codes {
            assert_eq!(wrong.get(at + 1..at + 8), Some(code), "{wrong}");
        }
        assert_eq!(warned(sample(section, "Right")), "", "{code}");
    }
}
