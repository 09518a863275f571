//! The table of verdicts: a row a call, a column a subject.

use crate::campaign::Results;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The verdicts, in the order of a cell, and what they are called below the table.
const WORDS: [(&str, &str); 12] = [
    (
        "refused",
        "the command did not start, and a sentence says why",
    ),
    (
        "same",
        "it ran in exactly the isolation of an undisturbed run",
    ),
    (
        "answered",
        "it ran as on a machine of which the answer is true: there is no such file",
    ),
    ("late", "it ran so, and a sentence says what failed then"),
    ("gone", "who was killed is gone with all the rest"),
    (
        "stillborn",
        "the program ended before its first line, in its language's runtime",
    ),
    (
        "cut",
        "it ran so, and could not reach what it may reach, of which it was told",
    ),
    ("WEAKER", "it ran in another isolation"),
    ("HANGS", "it went on for ever, or left a process"),
    (
        "LEAVES",
        "something is left, of a run of ours after the next one too",
    ),
    ("PANICS", "the program broke down"),
    (
        "UNCLEAR",
        "no sentence says why the command did not start, or an exit code that is a command's",
    ),
];

/// The word for a broken promise.
pub(crate) fn breach(why: &str) -> &'static str {
    let beginnings = [
        ("isolated", "WEAKER"),
        ("less", "WEAKER"),
        ("hangs", "HANGS"),
        ("it outlives", "HANGS"),
        ("left", "LEAVES"),
        ("panicked", "PANICS"),
        ("allocation", "PANICS"),
    ];
    let found = beginnings
        .iter()
        .find(|(beginning, _)| why.starts_with(beginning));
    found.map_or("UNCLEAR", |(_, word)| word)
}

/// How often each verdict was given, by call.
pub(crate) type Rows = BTreeMap<String, BTreeMap<&'static str, usize>>;

/// The verdicts on several subjects.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<(String, Rows)>,
}

impl Table {
    /// Adds a column.
    pub(crate) fn add(&mut self, name: String, results: Results) {
        self.columns.push((name, results.by_call));
    }
}

fn cell(counts: Option<&BTreeMap<&'static str, usize>>) -> String {
    let Some(counts) = counts else {
        return "-".into();
    };
    let parts = WORDS
        .iter()
        .filter_map(|(word, _)| Some(format!("{} {word}", counts.get(word)?)));
    parts.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: BTreeSet<_> = self
            .columns
            .iter()
            .flat_map(|(_, rows)| rows.keys())
            .collect();
        write!(f, "| call |")?;
        for (name, _) in &self.columns {
            write!(f, " {name} |")?;
        }
        write!(f, "\n|---|")?;
        for _ in &self.columns {
            write!(f, "---|")?;
        }
        writeln!(f)?;
        for call in calls {
            write!(f, "| {call} |")?;
            for (_, rows) in &self.columns {
                write!(f, " {} |", cell(rows.get(call)))?;
            }
            writeln!(f)?;
        }
        write!(f, "| all |")?;
        for (_, rows) in &self.columns {
            let mut sum = BTreeMap::new();
            for (word, count) in rows.values().flatten() {
                *sum.entry(*word).or_default() += count;
            }
            write!(f, " {} |", cell(Some(&sum)))?;
        }
        writeln!(f, "\n")?;
        for (word, meaning) in WORDS {
            writeln!(f, "{word}: {meaning}")?;
        }
        Ok(())
    }
}
