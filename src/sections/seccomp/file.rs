//! `file`: a policy or a compiled filter that stands in a file of its own. It is a part of the profile, and read
//! like one.

use super::entry::Placed;
use super::oci::{self, Here, Oci};
use super::policy::{Answer, Entry};
use super::presets::Preset;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin, Sources};
use crate::profile::text;
use std::path::{Path, PathBuf};

/// Reads it; `None` means that a problem was pushed.
pub(super) fn read(
    file: &At<String>,
    preset: &At<Preset>,
    keeps: u64,
    sources: &Sources,
    problems: &mut Diagnostics,
) -> Option<Oci> {
    if !preset.origin.is_default() {
        problems.push(
            Diagnostic::new(
                Code::Conflict,
                &file.origin,
                "a filter starts from a preset or from a file",
            )
            .and(&preset.origin, "a preset is chosen here")
            .help("remove one of the two lines"),
        );
        return None;
    }
    let path = path(file, sources, problems)?;
    let mut wrong = |code, message: String, help: &str| {
        problems.push(Diagnostic::new(code, &file.origin, message).help(help));
    };
    let source = match text::read(&path, &file.value) {
        Ok(source) => source,
        Err(error) => {
            let code = match error {
                text::ReadError::Io { .. } => Code::NotFound,
                _ => Code::Unreadable,
            };
            let message = error.to_string().replacen("the profile", "the policy", 1);
            wrong(
                code,
                message,
                "name a JSON file that is there, relative to the profile",
            );
            return None;
        }
    };
    let here = Here {
        capabilities: keeps,
        kernel: kernel(),
    };
    match oci::read(source.text(), here) {
        Ok(oci) => Some(oci),
        Err(why) => {
            wrong(
                Code::WrongValue,
                format!("{}: {why}", file.value),
                "the form is that of `linux.seccomp` of the OCI runtime specification",
            );
            None
        }
    }
}

/// Whether a compiled filter is named, and not a policy.
pub(super) fn is_compiled(file: &At<String>) -> bool {
    let extension = Path::new(&file.value).extension();
    extension.is_some_and(|extension| extension == "bpf")
}

/// Where it is. Of a file that is no JSON, nothing is ever shown; and no file of another name is opened.
pub(super) fn path(
    file: &At<String>,
    sources: &Sources,
    problems: &mut Diagnostics,
) -> Option<PathBuf> {
    let given = Path::new(&file.value);
    let mut bad = |message: &str, help: &str| {
        problems.push(Diagnostic::new(Code::BadPath, &file.origin, message).help(help));
        None
    };
    let is_json = given.extension().is_some_and(|found| found == "json");
    if !is_json && !is_compiled(file) {
        return bad(
            "the policy is a file that ends in `.json`, a compiled filter one that ends in `.bpf`",
            "for example: file = \"seccomp.json\"",
        );
    }
    if given.is_absolute() {
        return Some(given.into());
    }
    let source = match &file.origin {
        Origin::File(id, _) => sources.get(*id),
        _ => None,
    };
    match source.map(|source| (source.folder(), source.is_command_line())) {
        Some((Some(folder), _)) => Some(folder.join(given)),
        Some((None, true)) => Some(given.into()),
        _ => bad(
            "the path is relative, and this profile is in no folder",
            "write an absolute path",
        ),
    }
}

/// The version of the kernel, as far as policies ask for it.
fn kernel() -> (u32, u32) {
    let system = rustix::system::uname();
    let release = system.release().to_str().ok();
    let mut numbers = release
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Oci {
    /// What a filter of this kind starts from.
    pub(super) fn preset(&self) -> Preset {
        match self.otherwise {
            Answer::Allow => Preset::Off,
            _ => Preset::None,
        }
    }
}

/// Entries of the file, as if they stood where it is named.
pub(super) fn placed(
    entries: Vec<Entry>,
    file: &At<String>,
) -> impl Iterator<Item = Placed> + use<'_> {
    entries.into_iter().map(|entry| Placed {
        names: entry
            .calls
            .iter()
            .map(|named| {
                let name = At::new(named.call.name().to_owned(), file.origin.clone());
                (name, vec![*named])
            })
            .collect(),
        with: entry.with.map(|_| file.origin.clone()),
        when: entry.when.as_ref().map(|_| file.origin.clone()),
        entry,
    })
}
