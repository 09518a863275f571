//! Random operations on files: what is told of them is what they have done, and taking it over does the same.

use super::Kept;
use crate::support::Project;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// A path of at most three components; the first is never one of the files that get a second name, since
/// moving a folder between two file systems would make two files of one.
fn path(numbers: &mut Numbers) -> String {
    let depth = 1 + numbers.below(3);
    let names = (0..depth).map(|_| numbers.of(&["a", "b", "c", "d"]));
    names.collect::<Vec<_>>().join("/")
}

fn operation(numbers: &mut Numbers) -> String {
    let (p, q) = (path(numbers), path(numbers));
    let (f, g) = (
        numbers.of(&["f0", "f1", "f2"]),
        numbers.of(&["f0", "f1", "f2", "h0", "h1"]),
    );
    let number = numbers.below(1000);
    // A pipe that nobody reads would be waited for.
    let no_pipe = format!("[ ! -p {p} ]");
    match numbers.below(22) {
        0 | 1 => format!("{no_pipe} && echo {number} > {p}"),
        2 | 3 => format!("{no_pipe} && echo {number} >> {p}"),
        4 | 5 => format!("rm -rf {p}"),
        6 => format!("rm -f {p}"),
        7 | 8 => format!("mkdir -p {p}"),
        9 | 10 => format!("mv -T {p} {q}"),
        11 => format!("mv -fT {f} {g}"),
        12 => format!("ln {f} {g}"),
        13 => format!("echo {number} >> {g}"),
        14 => format!("rm -f {f}"),
        15 => format!("ln -s {q} {p}"),
        16 => format!("mkfifo {p}"),
        17 => format!("touch -d @{} {p}", 1_000_000_000 + number),
        18 => format!(
            "[ -d {p} ] && chmod {} {p}",
            numbers.of(&["755", "700", "750"])
        ),
        19 => format!(
            "[ -f {p} ] && [ ! -L {p} ] && chmod {} {p}",
            numbers.of(&["644", "600", "755"])
        ),
        20 => format!(
            "rm -rf {p}; mkdir -p {p}; echo {number} > {p}/{}",
            numbers.of(&["a", "b"])
        ),
        _ => format!("rm -rf {p}; echo {number} > {p}"),
    }
}

fn script(numbers: &mut Numbers, most: usize) -> String {
    let count = 1 + numbers.below(most);
    let mut text = "umask 022\n".to_owned();
    for _ in 0..count {
        text += &format!("({}) 2>/dev/null\n", operation(numbers));
    }
    text + "true\n"
}

/// What is at a path: kind and mode, what it holds, its owner, and when it was touched if it was by hand.
type Look = (u32, Vec<u8>, u32, u32, Option<i64>);

fn looks(folder: &Path) -> (BTreeMap<String, Look>, BTreeSet<BTreeSet<String>>) {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let mut holds = Vec::new();
            if metadata.is_dir() {
                todo.push(path.clone());
            } else if metadata.is_symlink() {
                holds = std::fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes();
            } else if metadata.is_file() {
                holds = std::fs::read(&path).unwrap();
            }
            if !metadata.is_dir() {
                names
                    .entry(metadata.ino())
                    .or_default()
                    .insert(name.clone());
            }
            let touched =
                Some(metadata.mtime()).filter(|time| metadata.is_file() && *time < 1_100_000_000);
            let look = (
                metadata.mode(),
                holds,
                metadata.uid(),
                metadata.gid(),
                touched,
            );
            found.insert(name, look);
        }
    }
    (
        found,
        names
            .into_values()
            .filter(|names| names.len() > 1)
            .collect(),
    )
}

/// What is to be told of the way from one tree to another: the word, and the path.
fn expected(
    old: &BTreeMap<String, Look>,
    new: &BTreeMap<String, Look>,
) -> BTreeSet<(String, String)> {
    let kind = |look: &Look| look.0 & libc::S_IFMT;
    let parent = |path: &str| {
        Path::new(path)
            .parent()
            .map(|p| p.to_str().unwrap().to_owned())
    };
    let mut told = BTreeSet::new();
    for path in old.keys().chain(new.keys()) {
        let word = match (old.get(path), new.get(path)) {
            (None, Some(_)) => "added",
            (Some(_), None) => {
                let above = parent(path).filter(|above| !above.is_empty());
                // With the folder that it was in.
                let folder = |above: &String| {
                    new.get(above)
                        .is_some_and(|look| kind(look) == libc::S_IFDIR)
                };
                if above.as_ref().is_some_and(|above| !folder(above)) {
                    continue;
                }
                "deleted"
            }
            (Some(old), Some(new)) if kind(old) != kind(new) => "replaced",
            (Some(old), Some(new)) if (old.0, &old.1) != (new.0, &new.1) => "modified",
            _ => continue,
        };
        told.insert((word.to_owned(), path.clone()));
    }
    told
}

fn shell(script: &str, folder: &Path) {
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .status();
    assert!(status.unwrap().success());
}

const TEST: &str = "taking_changes_over_does_what_the_command_would_have_done";

fn case(seed: u64) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let Some(kept) = Kept::new(TEST) else { return };
    let bare = Project::new();
    let first = script(&mut numbers, 24);
    // No file of the tree has two names: what is changed under one of them is a copy.
    let first = first.replace("ln f", "cp f");
    shell(&first, bare.path());
    let copy = format!(
        "cp -a {}/. {}",
        bare.path().display(),
        kept.project.path().display()
    );
    shell(&copy, bare.path());
    let (before, _) = looks(kept.project.path());
    let second = script(&mut numbers, 16);
    shell(&second, bare.path());
    let run = kept.run(&second);
    let text = format!("seed {seed}\n{first}---\n{second}");
    assert_eq!(run.code, 0, "{text}{run:?}");
    assert_eq!(looks(kept.project.path()).0, before, "{text}");
    let (wanted, links) = looks(bare.path());
    if kept.changes("list", &[]).code == 0 {
        let told = kept.told().into_iter();
        let told = told.filter(|(what, _, aspects)| {
            what != "touched" && !(what == "modified" && aspects[..] == ["link"])
        });
        let told: BTreeSet<_> = told.map(|(what, path, _)| (what, path)).collect();
        assert_eq!(told, expected(&before, &wanted), "{text}");
        let applied = kept.changes("apply", &[]);
        assert_eq!(
            (applied.code, &applied.stderr[..]),
            (0, ""),
            "{text}{applied:?}"
        );
    } else {
        assert!(expected(&before, &wanted).is_empty(), "{text}");
    }
    let (found, linked) = looks(kept.project.path());
    assert_eq!(found, wanted, "{text}");
    assert_eq!(linked, links, "{text}");
}

#[test]
fn taking_changes_over_does_what_the_command_would_have_done() {
    let full = std::env::var("SANDBOX_STRESS").is_ok_and(|value| value == "full");
    // Processes are slow to make in the virtual machine.
    let few = std::env::var_os("LAB_CGROUP2").is_some();
    let cases = match (full, few) {
        (true, _) => 10_000,
        (false, true) => 30,
        (false, false) => 300,
    };
    if Kept::new(TEST).is_none() {
        return;
    }
    if let Some(seed) = std::env::var("SANDBOX_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return case(seed);
    }
    (1..=cases).for_each(case);
}
