//! Changes in words and as data. Names and contents are a command's: nothing of them reaches a terminal that it
//! would act on.

use super::compare::{Aspect, Change, Changes, What};
use super::entry::{Kind, Look};
use serde_json::{Map, Value, json};
use similar::TextDiff;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The largest file whose lines are shown.
const LARGEST: u64 = 1 << 20;

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// A name or a text of a command's: control characters, those that change the direction or the place of
/// others, bytes that are no text, and the backslash itself are escaped.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() || is_invisible(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn path(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

/// A line for each change; what has nothing but another time is counted.
#[must_use]
pub fn lines(changes: &Changes) -> String {
    let mut out = String::new();
    for change in told(changes) {
        let _ = writeln!(out, "{}", line(change));
    }
    out.push_str(&touched(changes));
    out
}

/// The same, with the lines of text that differ.
#[must_use]
pub fn diff(changes: &Changes) -> String {
    let mut out = String::new();
    for change in told(changes) {
        let _ = writeln!(out, "{}", line(change));
        if let Some(text) = difference(changes, change) {
            out.push_str(&text);
        }
    }
    out.push_str(&touched(changes));
    out
}

fn told(changes: &Changes) -> impl Iterator<Item = &Change> {
    let list = changes.list.iter();
    list.filter(|change| change.what != What::Touched)
}

fn touched(changes: &Changes) -> String {
    let count = changes.list.len() - told(changes).count();
    match count {
        0 => String::new(),
        1 => "1 file differs in the time of its last change alone\n".into(),
        n => format!("{n} files differ in the time of their last change alone\n"),
    }
}

/// One change in words.
#[must_use]
pub fn line(change: &Change) -> String {
    let mut out = format!("{:<9} {}", change.what.word(), path(&change.path));
    let look = change.after.as_ref().or(change.before.as_ref());
    if look.is_some_and(|look| look.kind == Kind::Directory) {
        out.push('/');
    }
    let mut notes = Vec::new();
    match (&change.before, &change.after) {
        (None, Some(after)) => notes.extend(described(after)),
        (Some(before), Some(after)) if change.what == What::Replaced => {
            notes.push(format!(
                "{} by {}",
                before.kind.word(),
                described(after).join(", ")
            ));
        }
        (Some(before), Some(after)) => notes.extend(differences(before, after, change)),
        (_, None) => {}
    }
    if let Some(first) = &change.same_as {
        notes.push(format!("a name of the same file as {}", path(first)));
    }
    if let Some(from) = &change.renamed_from {
        notes.push(format!("moved from {}", path(from)));
    }
    if let Some(why) = change.conflict {
        notes.push(format!("CONFLICT: {why}"));
    }
    if !notes.is_empty() {
        let _ = write!(out, " ({})", notes.join(", "));
    }
    out
}

fn described(look: &Look) -> Vec<String> {
    let mut notes = match &look.kind {
        Kind::File => vec![format!("{} bytes", look.size)],
        Kind::Directory => Vec::new(),
        Kind::Link(to) => return vec![format!("symlink to {}", escaped(to))],
        Kind::Character(number) | Kind::Block(number) => {
            let (major, minor) = (libc::major(*number), libc::minor(*number));
            vec![format!("{} {major}:{minor}", look.kind.word())]
        }
        other => vec![other.word().into()],
    };
    notes.push(mode(look.mode));
    notes.extend(
        look.attributes
            .keys()
            .map(|key| format!("xattr {}", escaped(key))),
    );
    notes
}

fn mode(mode: u32) -> String {
    let mut text = format!("mode {mode:03o}");
    for (bit, word) in [(0o4000, " SETUID"), (0o2000, " SETGID")] {
        if mode & bit != 0 {
            text.push_str(word);
        }
    }
    text
}

fn differences(before: &Look, after: &Look, change: &Change) -> Vec<String> {
    let mut notes = Vec::new();
    for aspect in &change.aspects {
        match aspect {
            Aspect::Contents => notes.push(match (&before.kind, &after.kind) {
                (Kind::Link(from), Kind::Link(to)) => {
                    format!("symlink to {} instead of {}", escaped(to), escaped(from))
                }
                _ => format!("{} bytes instead of {}", after.size, before.size),
            }),
            Aspect::Mode => notes.push(format!(
                "{} instead of {:03o}",
                mode(after.mode),
                before.mode
            )),
            Aspect::Owner => notes.push(format!(
                "owner {}:{} instead of {}:{}",
                after.uid, after.gid, before.uid, before.gid
            )),
            Aspect::Attributes => {
                let keys = before.attributes.keys().chain(after.attributes.keys());
                let mut keys: Vec<_> = keys
                    .filter(|key| before.attributes.get(*key) != after.attributes.get(*key))
                    .collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    let how = match (
                        before.attributes.contains_key(key),
                        after.attributes.contains_key(key),
                    ) {
                        (true, true) => "another",
                        (true, false) => "no",
                        _ => "a new",
                    };
                    notes.push(format!("{how} xattr {}", escaped(key)));
                }
            }
            Aspect::Link => {}
        }
    }
    notes
}

/// The lines of text that differ, in the unified form.
fn difference(changes: &Changes, change: &Change) -> Option<String> {
    let is_file = |look: &Look| look.kind == Kind::File;
    let before = change.before.as_ref().filter(|look| is_file(look));
    let after = change.after.as_ref().filter(|look| is_file(look));
    let of_contents = change.aspects.contains(&Aspect::Contents) || change.what != What::Modified;
    if !of_contents || change.same_as.is_some() || before.is_none() && after.is_none() {
        return None;
    }
    if before
        .into_iter()
        .chain(after)
        .any(|look| look.size > LARGEST)
    {
        return None;
    }
    let read = |found: nix::Result<(super::Folder, std::ffi::CString)>| {
        let (folder, name) = found.ok()?;
        let mut bytes = Vec::new();
        let file = folder.file(&name).ok()?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        (!text.contains('\0')).then_some(text)
    };
    let old = match before {
        Some(_) => read(changes.in_tree(&change.path))?,
        None => String::new(),
    };
    let new = match after {
        Some(_) => read(changes.aside(&change.path))?,
        None => String::new(),
    };
    let name = path(&change.path);
    let (from, to) = (
        before.map_or("/dev/null".into(), |_| format!("a/{name}")),
        after.map_or("/dev/null".into(), |_| format!("b/{name}")),
    );
    let found = TextDiff::configure()
        .deadline(std::time::Instant::now() + std::time::Duration::from_secs(2))
        .diff_lines(&old, &new);
    let text = found
        .unified_diff()
        .context_radius(3)
        .header(&from, &to)
        .to_string();
    Some(harmless(&text))
}

/// Text with all escaped but line ends and tabs.
fn harmless(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c != '\n' && c != '\t' && (c.is_control() || is_invisible(c)) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The changes as data; with the lines that differ, where they are asked for.
#[must_use]
pub fn data(name: &str, changes: &Changes, lines: bool) -> Value {
    let list = changes.list.iter().map(|change| {
        let mut entry = Map::new();
        text(&mut entry, "path", change.path.as_os_str().as_bytes());
        entry.insert("change".into(), change.what.word().into());
        let aspects: Vec<_> = change.aspects.iter().map(|aspect| aspect.word()).collect();
        entry.insert("aspects".into(), aspects.into());
        for (key, look) in [("before", &change.before), ("after", &change.after)] {
            if let Some(look) = look {
                entry.insert(key.into(), seen(look));
            }
        }
        for (key, other) in [
            ("same_as", &change.same_as),
            ("renamed_from", &change.renamed_from),
        ] {
            if let Some(other) = other {
                text(&mut entry, key, other.as_os_str().as_bytes());
            }
        }
        if let Some(why) = change.conflict {
            entry.insert("conflict".into(), why.into());
        }
        if let Some(lines) = difference(changes, change).filter(|_| lines) {
            entry.insert("diff".into(), lines.into());
        }
        Value::Object(entry)
    });
    json!({
        "version": VERSION,
        "name": name,
        "source": changes.about.source,
        "changes": list.collect::<Vec<_>>(),
    })
}

/// A text; what is none has its bytes beside it, in hexadecimal digits.
fn text(entry: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    entry.insert(key.into(), String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        entry.insert(format!("{key}_bytes"), hexadecimal(bytes).into());
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn seen(look: &Look) -> Value {
    let mut entry = Map::new();
    entry.insert("kind".into(), look.kind.word().into());
    entry.insert("mode".into(), format!("{:04o}", look.mode).into());
    entry.insert("uid".into(), look.uid.into());
    entry.insert("gid".into(), look.gid.into());
    entry.insert("links".into(), look.links.into());
    match &look.kind {
        Kind::File => {
            entry.insert("size".into(), look.size.into());
        }
        Kind::Link(to) => text(&mut entry, "target", to),
        Kind::Character(number) | Kind::Block(number) => {
            let device = format!("{}:{}", libc::major(*number), libc::minor(*number));
            entry.insert("device".into(), device.into());
        }
        _ => {}
    }
    if !look.attributes.is_empty() {
        let attributes = look.attributes.iter();
        let attributes: BTreeMap<_, _> = attributes
            .map(|(key, value)| {
                (
                    String::from_utf8_lossy(key).into_owned(),
                    hexadecimal(value),
                )
            })
            .collect();
        entry.insert("xattrs".into(), json!(attributes));
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_acts_on_a_terminal() {
        for (name, words) in [
            (&b"plain name"[..], "plain name"),
            (b"a\nb", "a\\nb"),
            (b"\x1b[31mred", "\\u{1b}[31mred"),
            (b"a\\b", "a\\\\b"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe"),
            ("grün".as_bytes(), "grün"),
        ] {
            assert_eq!(escaped(name), words);
        }
    }
}
